//! The harness itself: what the other suites take for granted about an OpenLDAP server.

use tenantry_live::{LdifWriter, OpenLdap, Result, can_run};

fn people() -> String {
    let mut ldif = LdifWriter::new();
    for number in 0..600 {
        let person = [("objectClass", "inetOrgPerson"), ("sn", "Person"), ("userPassword", "secret")];
        ldif.entry(&format!("cn=Person {number},dc=plain,dc=example"), person);
    }
    ldif.finish()
}

#[test]
fn loaded_and_added_entries_read_back_and_memberships_follow_deletes() -> Result<()> {
    if !can_run("open ldap harness", OpenLdap::available()) {
        return Ok(());
    }
    let mut server = OpenLdap::start(&people())?;
    let group = "cn=Group,dc=plain,dc=example";
    let mut ldif = LdifWriter::new();
    let members = ["cn=Person 1,dc=plain,dc=example", "cn=Person 2,dc=plain,dc=example"];
    ldif.entry(group, [("objectClass", "groupOfNames"), ("member", members[0]), ("member", members[1])]);
    server.ldapadd(&ldif.finish())?;
    let found = server.ldapsearch(server.base_dn(), "(cn=Person 1)", &["memberOf", "entryUUID"])?;
    assert_eq!(found[0].text("memberOf"), Some(group));
    assert!(found[0].text("entryUUID").is_some());

    server.admin().delete(members[0])?;
    server.restart()?;
    let found = server.ldapsearch(server.base_dn(), "(cn=Group)", &["member"])?;
    assert_eq!(found[0].texts("member"), [members[1]]);
    Ok(())
}

#[test]
fn an_ordinary_reader_meets_the_size_limit_and_a_wrong_password_is_refused() -> Result<()> {
    if !can_run("open ldap harness", OpenLdap::available()) {
        return Ok(());
    }
    let server = OpenLdap::start(&people())?;
    let reader = server.client("cn=Person 3,dc=plain,dc=example", "secret");
    let limited = reader.search(server.base_dn(), "(objectClass=inetOrgPerson)", &["cn"]);
    assert_eq!(limited.map_err(|error| error.code()), Err(Some(4)));
    let wrong = server.client("cn=Person 3,dc=plain,dc=example", "wrong").bind()?;
    assert_eq!(wrong.code, 49);
    Ok(())
}
