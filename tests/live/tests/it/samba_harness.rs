//! The harness itself: what the other suites take for granted about a domain controller.

use std::fs;

use tenantry_live::{Domain, LdifWriter, PlainBind, Population, Result, SambaDc, Scope, Setup, can_run};

const PASSWORD: &str = "Passw0rd!Read1";
const SHOW_DELETED: &str = "!1.2.840.113556.1.4.417";

fn ready() -> bool {
    can_run("samba harness", SambaDc::available())
}

fn add_unit_with_user(dc: &SambaDc) -> Result<String> {
    let unit = format!("OU=Hidden,{}", dc.base_dn());
    let mut ldif = LdifWriter::new();
    ldif.entry(&unit, [("objectClass", "organizationalUnit")]);
    ldif.entry(&format!("OU=Below,{unit}"), [("objectClass", "organizationalUnit")]);
    let user = [("objectClass", "user"), ("sAMAccountName", "hidden"), ("displayName", "Åsa, \"Hidden\"")];
    ldif.entry(&format!("CN=Hidden,{unit}"), user);
    let user = [("objectClass", "user"), ("sAMAccountName", "below")];
    ldif.entry(&format!("CN=Below,OU=Below,{unit}"), user);
    dc.ldapadd(&ldif.finish())?;
    Ok(unit)
}

#[test]
fn an_added_user_reads_back_over_checked_tls() -> Result<()> {
    if !ready() {
        return Ok(());
    }
    let dc = SambaDc::provision()?;
    add_unit_with_user(&dc)?;
    let found = dc.ldapsearch(dc.base_dn(), "(sAMAccountName=hidden)", &["displayName", "objectSid"])?;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].text("displayName"), Some("Åsa, \"Hidden\""));
    assert!(dc.sid_of(&found[0].dn)?.starts_with(dc.domain_sid()));
    Ok(())
}

#[test]
fn two_controllers_run_side_by_side_and_neither_trusts_the_other() -> Result<()> {
    if !ready() {
        return Ok(());
    }
    let (one, other) = (SambaDc::provision()?, SambaDc::provision()?);
    assert_ne!(one.address(), other.address());
    add_unit_with_user(&one)?;
    let there = other.ldapsearch(other.base_dn(), "(sAMAccountName=hidden)", &["cn"])?;
    assert!(there.is_empty());
    let refused = one.admin().with_ca_file(other.ca_file()).bind();
    assert!(refused.is_err_and(|error| error.message().contains("contact")), "a certificate of another authority");
    Ok(())
}

#[test]
fn the_second_domain_has_the_same_name_and_another_sid() -> Result<()> {
    if !ready() {
        return Ok(());
    }
    let dc = SambaDc::start_with(&Setup { domain: Domain::Second, ..Setup::default() })?;
    assert_eq!(dc.sid_of(dc.base_dn())?, dc.domain_sid());
    assert_ne!(dc.domain_sid(), SambaDc::provision()?.domain_sid());
    Ok(())
}

#[test]
fn a_wrong_password_is_refused_with_data_52e_and_locks_at_the_threshold() -> Result<()> {
    if !ready() {
        return Ok(());
    }
    let dc = SambaDc::provision()?;
    let account = dc.create_account("reader", PASSWORD)?;
    assert_eq!(dc.client(&account.upn, PASSWORD).bind()?.code, 0);
    dc.set_lockout_threshold(2)?;
    for _ in 0..2 {
        let outcome = dc.client(&account.upn, "wrong").bind()?;
        assert_eq!(outcome.code, 49);
        assert!(outcome.diagnostic.contains("data 52e"), "{}", outcome.diagnostic);
    }
    let outcome = dc.client(&account.upn, PASSWORD).bind()?;
    assert!(outcome.diagnostic.contains("data 775"), "{}", outcome.diagnostic);
    Ok(())
}

#[test]
fn an_expired_password_is_refused_with_data_532() -> Result<()> {
    if !ready() {
        return Ok(());
    }
    let mut dc = SambaDc::provision()?;
    let account = dc.create_account("reader", PASSWORD)?;
    dc.expire_password(&account.dn)?;
    let outcome = dc.client(&account.upn, PASSWORD).bind()?;
    assert!(outcome.diagnostic.contains("data 532"), "{}", outcome.diagnostic);
    Ok(())
}

#[test]
fn a_bind_without_tls_is_refused_unless_the_controller_is_careless() -> Result<()> {
    if !ready() {
        return Ok(());
    }
    let dc = SambaDc::provision()?;
    assert_eq!(dc.admin().with_url(dc.ldap_url()).bind()?.code, 8);
    let dc = SambaDc::start_with(&Setup { plain_bind: PlainBind::Accepted, ..Setup::default() })?;
    assert_eq!(dc.admin().with_url(dc.ldap_url()).bind()?.code, 0);
    Ok(())
}

#[test]
fn a_denied_container_vanishes_for_that_account_and_comes_back() -> Result<()> {
    if !ready() {
        return Ok(());
    }
    let dc = SambaDc::provision()?;
    let unit = add_unit_with_user(&dc)?;
    let account = dc.create_account("reader", PASSWORD)?;
    let reader = dc.client(&account.upn, PASSWORD);
    let users = "(|(sAMAccountName=hidden)(sAMAccountName=below))";
    assert_eq!(reader.search(dc.base_dn(), users, &["cn"])?.len(), 2);

    dc.deny_read(&unit, &account.sid)?;
    assert!(reader.search(dc.base_dn(), users, &["cn"])?.is_empty());
    assert!(reader.search(dc.base_dn(), "(sAMAccountName=reader)", &["cn"])?.len() == 1, "the rest stays readable");
    assert_eq!(dc.ldapsearch(dc.base_dn(), users, &["cn"])?.len(), 2, "the administrator still reads");

    dc.allow_read(&unit, &account.sid)?;
    assert_eq!(reader.search(dc.base_dn(), users, &["cn"])?.len(), 2);
    Ok(())
}

#[test]
fn deleted_objects_are_seen_only_after_the_grant() -> Result<()> {
    if !ready() {
        return Ok(());
    }
    let dc = SambaDc::provision()?;
    let unit = add_unit_with_user(&dc)?;
    let account = dc.create_account("reader", PASSWORD)?;
    let reader = dc.client(&account.upn, PASSWORD);
    dc.ldapdelete(&format!("CN=Hidden,{unit}"))?;
    let deleted = || {
        let filter = "(&(isDeleted=TRUE)(sAMAccountName=hidden))";
        reader.search_with(&[SHOW_DELETED], Scope::Subtree, dc.base_dn(), filter, &["objectGUID"])
    };
    assert!(deleted()?.is_empty());
    dc.grant_deleted_objects(&account.sid)?;
    assert_eq!(deleted()?.len(), 1);
    Ok(())
}

#[test]
fn a_controller_keeps_its_data_over_a_stop_and_answers_samba_tool() -> Result<()> {
    if !ready() {
        return Ok(());
    }
    let mut dc = SambaDc::provision()?;
    add_unit_with_user(&dc)?;
    assert!(dc.samba_tool(&["user", "list"])?.lines().any(|name| name == "hidden"));
    dc.stop();
    dc.start()?;
    assert_eq!(dc.ldapsearch(dc.base_dn(), "(sAMAccountName=hidden)", &["cn"])?.len(), 1);
    Ok(())
}

#[test]
fn nothing_is_left_of_a_dropped_controller() -> Result<()> {
    if !ready() {
        return Ok(());
    }
    let dc = SambaDc::provision()?;
    let directory = dc.directory().to_owned();
    let process = dc.pid().map(|pid| format!("/proc/{pid}"));
    assert!(process.as_ref().is_some_and(|process| fs::exists(process).unwrap()));
    drop(dc);
    assert!(!directory.exists());
    assert!(process.is_some_and(|process| !fs::exists(process).unwrap()));
    Ok(())
}

#[test]
fn a_population_is_there_as_described() -> Result<()> {
    if !ready() {
        return Ok(());
    }
    check_population(Population::small())
}

#[test]
fn thousands_of_objects_are_there_as_described() -> Result<()> {
    if !ready() {
        return Ok(());
    }
    check_population(Population::thousands())
}

fn check_population(population: Population) -> Result<()> {
    let dc = SambaDc::populated(population)?;
    let root = population.root_dn(dc.base_dn());
    let count = |filter: &str| dc.ldapsearch(&root, filter, &["cn"]).map(|found| found.len());
    assert_eq!(count("(&(objectCategory=person)(objectClass=user))")?, population.people());
    assert_eq!(count("(objectClass=group)")?, population.all_groups());
    assert_eq!(count("(objectCategory=computer)")?, population.computers);
    assert_eq!(count("(objectClass=contact)")?, population.contacts);
    assert_eq!(count("(objectClass=msDS-GroupManagedServiceAccount)")?, 1);
    let disabled = "(userAccountControl:1.2.840.113556.1.4.803:=2)";
    assert_eq!(count(disabled)?, population.disabled());

    let large = dc.ldapsearch(&root, "(cn=Large Group)", &["member"])?;
    assert_eq!(large[0].values("member").count(), population.large_group);
    let awkward = dc.ldapsearch(&root, "(sAMAccountName=awkward*)", &["cn", "sn"])?;
    assert_eq!(awkward.len(), 8);
    for entry in &awkward {
        assert_eq!(entry.text("cn"), entry.text("sn"), "the name in the dn is the one that was meant");
    }
    let odd = dc.ldapsearch(&root, "(sAMAccountName=oddvalues)", &[])?;
    assert_eq!(odd[0].values("thumbnailPhoto").next().map(<[u8]>::len), Some(256));
    assert_eq!(odd[0].text("streetAddress"), Some(" leading and trailing "));
    let foreign = dc.ldapsearch(&root, "(cn=Foreign)", &["member"])?;
    assert!(foreign[0].text("member").is_some_and(|member| member.contains("CN=ForeignSecurityPrincipals")));
    let loops = dc.ldapsearch(&root, "(&(cn=Loop *)(member=*))", &["memberOf"])?;
    assert!(loops.iter().all(|group| group.values("memberOf").count() == 1) && loops.len() == 2);
    Ok(())
}
