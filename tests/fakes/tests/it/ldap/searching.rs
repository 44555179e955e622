//! Searches: filters, bases, paging, ranges, rights.

use ldap3::Scope;
use tenantry_fakes::ldap::{ComputerKind, Directory, FakeLdap, RangeEnd, RangeSpelling, Settings};

use super::*;

async fn with_admin(directory: &Directory, settings: Settings) -> (FakeLdap, Ldap) {
    let server = start(directory, settings).await;
    let ldap = bound(&server, ADMIN).await;
    (server, ldap)
}

#[tokio::test]
async fn filters_find_what_a_domain_controller_finds() {
    let directory = tenant();
    directory.add_computer("CN=Computers", "PC1", ComputerKind::Workstation).create();
    directory.add_computer("CN=Managed Service Accounts", "svcSql", ComputerKind::ManagedServiceAccount).create();
    directory.add_contact("OU=People", "Otto").mail("otto@other.example").create();
    let wire = directory.guid_of("aberg").to_wire();
    let guid = wire.map(|byte| format!("\\{byte:02x}")).concat();
    let sid = directory.sid_of("aberg").unwrap();
    let (_server, mut ldap) = with_admin(&directory, Settings::default()).await;
    for filter in [
        "(cn=BERG, anna)".to_owned(),
        "(mail=a.*@CORP.*)".to_owned(),
        "(&(givenName=*)(!(mail=x)))".to_owned(),
        format!("(objectGUID={guid})"),
        format!("(objectSid={sid})"),
        "(&(memberOf=CN=Staff,OU=Groups,DC=corp,DC=example)(!(userAccountControl:1.2.840.113556.1.4.803:=2)))"
            .to_owned(),
        "(givenName~=anna)".to_owned(),
    ] {
        assert_eq!(everybody(&mut ldap, &filter).await, ["CN=Berg\\, Anna,OU=People,DC=corp,DC=example"], "{filter}");
    }
    let count = |list: Vec<String>| list.len();
    assert_eq!(count(everybody(&mut ldap, "(sAMAccountType=805306368)").await), 6);
    assert_eq!(count(everybody(&mut ldap, "(&(objectCategory=person)(objectClass=contact))").await), 1);
    assert_eq!(count(everybody(&mut ldap, "(objectClass=user)").await), 9, "computers and service accounts are users");
    assert_eq!(count(everybody(&mut ldap, "(objectCategory=computer)").await), 2);
    assert_eq!(count(everybody(&mut ldap, "(userAccountControl:1.2.840.113556.1.4.803:=8192)").await), 1);
    assert_eq!(count(everybody(&mut ldap, "(userAccountControl:1.2.840.113556.1.4.804:=4098)").await), 5);
    assert_eq!(count(everybody(&mut ldap, "(noSuchAttribute=1)").await), 0);
    let usn = directory.highest_usn();
    directory.set("cdahl", "title", ["Head"]);
    assert_eq!(count(everybody(&mut ldap, &format!("(uSNChanged>={})", usn + 1)).await), 1);
    assert_eq!(count(everybody(&mut ldap, "(whenChanged<=20250101000000.0Z)").await), 0);
}

#[tokio::test]
async fn membership_in_chain_goes_through_loops() {
    let directory = tenant();
    directory.add_group("OU=Groups", "Outer").member("Staff").create();
    directory.add_member("Staff", "Outer");
    let (_server, mut ldap) = with_admin(&directory, Settings::default()).await;
    let filter = "(memberOf:1.2.840.113556.1.4.1941:=CN=Outer,OU=Groups,DC=corp,DC=example)";
    assert_eq!(everybody(&mut ldap, filter).await.len(), 4);
    let filter = "(member:1.2.840.113556.1.4.1941:=CN=cdahl,OU=People,DC=corp,DC=example)";
    assert_eq!(everybody(&mut ldap, filter).await.len(), 2);
}

#[tokio::test]
async fn a_base_may_be_a_guid_a_sid_or_a_well_known_container() {
    let directory = tenant();
    let (_server, mut ldap) = with_admin(&directory, Settings::default()).await;
    let bases = [
        format!("<GUID={}>", directory.guid_of("aberg")),
        format!("<SID={}>", directory.sid_of("aberg").unwrap()),
        "cn=berg\\2c anna,ou=people,dc=CORP,dc=example".to_owned(),
    ];
    for base in bases {
        let found = search(&mut ldap, &base, Scope::Base, "(objectClass=*)", &["sAMAccountName"]).await;
        assert_eq!(texts(&found.entries[0], "sAMAccountName"), ["aberg"], "{base}");
    }
    let base = format!("<WKGUID=18E2EA80684F11D2B9AA00C04F79F805,{ROOT}>");
    let found = find(&mut ldap, &base, Scope::Base, "(objectClass=*)", &["cn"], vec![show_deleted()]).await;
    assert_eq!(found.names(), ["CN=Deleted Objects,DC=corp,DC=example"]);
}

#[tokio::test]
async fn a_base_that_is_gone_is_no_empty_result() {
    let (_server, mut ldap) = with_admin(&tenant(), Settings::default()).await;
    let found = search(&mut ldap, "CN=x,OU=Nowhere,DC=corp,DC=example", Scope::Subtree, "(cn=*)", &["cn"]).await;
    assert_eq!(found.code, 32);
    assert!(found.text.starts_with("0000208D: NameErr:"), "{}", found.text);
    assert_eq!(search(&mut ldap, "DC=other,DC=example", Scope::Subtree, "(cn=*)", &["cn"]).await.code, 10);
}

#[tokio::test]
async fn the_scope_decides_how_deep_a_search_goes() {
    let (_server, mut ldap) = with_admin(&tenant(), Settings::default()).await;
    let base = "OU=People,DC=corp,DC=example";
    assert_eq!(search(&mut ldap, base, Scope::Base, "(objectClass=*)", &["1.1"]).await.entries.len(), 1);
    assert_eq!(search(&mut ldap, base, Scope::OneLevel, "(objectClass=*)", &["1.1"]).await.entries.len(), 3);
    assert_eq!(search(&mut ldap, base, Scope::Subtree, "(objectClass=*)", &["1.1"]).await.entries.len(), 4);
    assert_eq!(search(&mut ldap, ROOT, Scope::Subtree, "(objectClass=nTDSDSA)", &["1.1"]).await.entries.len(), 0);
}

#[tokio::test]
async fn pages_go_to_the_end_and_are_capped_by_the_server() {
    let (server, mut ldap) = with_admin(&crowd(2500), Settings::default()).await;
    let (all, sizes) = all_pages(&mut ldap, "(&(objectCategory=person)(sAMAccountName=u*))", 5000).await;
    assert_eq!(sizes, [1000, 1000, 500]);
    assert_eq!((all.code, all.references), (0, 3));
    assert_eq!(by_name(all.entries).len(), 2500);
    assert_eq!(server.log().searches().len(), 3);
    let found = search(&mut ldap, ROOT, Scope::Subtree, "(&(objectCategory=person)(sAMAccountName=u*))", &["cn"]).await;
    assert_eq!((found.code, found.entries.len()), (4, 1000));
}

#[tokio::test]
async fn a_cookie_is_good_for_its_own_connection_and_search_only() {
    let (server, mut ldap) = with_admin(&crowd(30), Settings::default()).await;
    let filter = "(&(objectCategory=person)(sAMAccountName=u*))";
    let page = find(&mut ldap, ROOT, Scope::Subtree, filter, &["cn"], vec![paged(10, vec![])]).await;
    let mut other = bound(&server, ADMIN).await;
    let refused = find(&mut other, ROOT, Scope::Subtree, filter, &["cn"], vec![paged(10, page.cookie())]).await;
    assert_eq!(refused.code, 12);
    assert_eq!(refused.text, "00000057: LdapErr: DSID-0C090797, comment: Error processing control, data 0");
    let changed = find(&mut ldap, ROOT, Scope::Subtree, "(cn=*)", &["cn"], vec![paged(10, page.cookie())]).await;
    assert_eq!(changed.code, 12);
}

#[tokio::test]
async fn references_come_unless_the_search_stays_in_the_domain() {
    let (_server, mut ldap) = with_admin(&tenant(), Settings::default()).await;
    let filter = "(objectClass=domain)";
    let found = search(&mut ldap, ROOT, Scope::Subtree, filter, &["cn"]).await;
    assert_eq!((found.entries.len(), found.references, found.code), (1, 3, 0));
    let scope = control("1.2.840.113556.1.4.1339", None);
    assert_eq!(find(&mut ldap, ROOT, Scope::Subtree, filter, &["cn"], vec![scope]).await.references, 0);
}

#[tokio::test]
async fn an_unknown_critical_control_is_refused_and_an_uncritical_one_ignored() {
    let (_server, mut ldap) = with_admin(&tenant(), Settings::default()).await;
    let mut unknown = control("1.2.3.4.5", None);
    assert_eq!(find(&mut ldap, ROOT, Scope::Base, "(objectClass=*)", &["cn"], vec![unknown.clone()]).await.code, 12);
    unknown.crit = false;
    assert_eq!(find(&mut ldap, ROOT, Scope::Base, "(objectClass=*)", &["cn"], vec![unknown]).await.code, 0);
}

fn big(members: usize) -> Directory {
    let directory = crowd(members);
    let mut group = directory.add_group("OU=Groups", "Big");
    for number in 0..members {
        group = group.member(format!("u{number}"));
    }
    group.create();
    directory
}

async fn ranges(ldap: &mut Ldap, attribute: &str) -> Vec<(String, usize)> {
    let found = search(ldap, ROOT, Scope::Subtree, "(sAMAccountName=Big)", &[attribute]).await;
    let mut list: Vec<_> = found.entries[0].attrs.iter().map(|(name, values)| (name.clone(), values.len())).collect();
    list.sort();
    list
}

#[tokio::test]
async fn a_long_member_list_comes_in_ranges_beside_an_empty_attribute() {
    let (server, mut ldap) = with_admin(&big(25), Settings { max_val_range: 10, ..Settings::default() }).await;
    let pair = |name: &str, count| (name.to_owned(), count);
    assert_eq!(ranges(&mut ldap, "member").await, [pair("member", 0), pair("member;range=0-9", 10)]);
    assert_eq!(ranges(&mut ldap, "member;range=10-*").await, [pair("member;range=10-19", 10)]);
    assert_eq!(ranges(&mut ldap, "member;range=20-*").await, [pair("member;range=20-*", 5)]);
    assert_eq!(ranges(&mut ldap, "member;range=3-5").await, [pair("member;range=3-5", 3)]);
    server.edit_settings(|settings| {
        settings.max_val_range = 7;
        settings.range_spelling = RangeSpelling::Capitalised;
    });
    assert_eq!(ranges(&mut ldap, "member").await, [pair("Member;Range=0-6", 7), pair("member", 0)]);
}

#[tokio::test]
async fn an_exact_multiple_ends_in_each_of_three_ways() {
    let (server, mut ldap) = with_admin(&big(20), Settings { max_val_range: 10, ..Settings::default() }).await;
    let pair = |name: &str, count| (name.to_owned(), count);
    assert_eq!(ranges(&mut ldap, "member;range=10-*").await, [pair("member;range=10-*", 10)]);
    server.edit_settings(|settings| settings.range_end = RangeEnd::NoValues);
    assert_eq!(ranges(&mut ldap, "member;range=10-*").await, [pair("member;range=10-19", 10)]);
    assert_eq!(ranges(&mut ldap, "member;range=20-*").await, [pair("member;range=20-*", 0)]);
    server.edit_settings(|settings| settings.range_end = RangeEnd::Absent);
    assert_eq!(ranges(&mut ldap, "member;range=20-*").await, []);
}

#[tokio::test]
async fn extended_names_tell_guid_and_sid_also_of_members_elsewhere() {
    let directory = tenant();
    let other = directory.add_other_domain_object("CN=Otto,OU=X,DC=other,DC=example", Some("S-1-5-21-9-9-9-1105"));
    directory.add_member("Staff", other);
    directory.add_member("Staff", directory.add_foreign_principal("S-1-5-21-7-7-7-1200"));
    let (_server, mut ldap) = with_admin(&directory, Settings::default()).await;
    let form = |number: u8| control("1.2.840.113556.1.4.529", Some(vec![0x30, 3, 2, 1, number]));
    let filter = "(sAMAccountName=Staff)";
    let found = find(&mut ldap, ROOT, Scope::Subtree, filter, &["member"], vec![form(1)]).await;
    let members = texts(&found.entries[0], "member");
    assert!(members.contains(&format!("<GUID={other}>;<SID=S-1-5-21-9-9-9-1105>;CN=Otto,OU=X,DC=other,DC=example")));
    assert!(
        members
            .iter()
            .any(|member| member.ends_with("CN=S-1-5-21-7-7-7-1200,CN=ForeignSecurityPrincipals,DC=corp,DC=example"))
    );
    assert!(found.entries[0].dn.starts_with(&format!("<GUID={}>;<SID=S-1-5-21-", directory.guid_of("Staff"))));
    let found = find(&mut ldap, ROOT, Scope::Subtree, filter, &["member"], vec![form(0)]).await;
    assert!(
        texts(&found.entries[0], "member").iter().any(|member| member.contains(";<SID=0105000000000005150000000900"))
    );
}

#[tokio::test]
async fn constructed_attributes_come_only_when_named() {
    let directory = tenant();
    directory.add_user("OU=People", "shut").locked().create();
    let (_server, mut ldap) = with_admin(&directory, Settings::default()).await;
    let computed = "msDS-User-Account-Control-Computed";
    let all = search(&mut ldap, ROOT, Scope::Subtree, "(sAMAccountName=shut)", &["*"]).await.entries.remove(0);
    assert!(texts(&all, computed).is_empty());
    let named = search(&mut ldap, ROOT, Scope::Subtree, "(sAMAccountName=shut)", &[computed]).await.entries.remove(0);
    assert_eq!(texts(&named, computed), ["16"]);
    let users = search(&mut ldap, ROOT, Scope::Subtree, "(cn=Domain Users)", &["primaryGroupToken", "member"]).await;
    assert_eq!(texts(&users.entries[0], "primaryGroupToken"), ["513"]);
    assert!(texts(&users.entries[0], "member").is_empty());
}

#[tokio::test]
async fn what_an_account_may_not_read_is_silently_absent() {
    let directory = tenant();
    directory.add_ou("OU=Secret,OU=People");
    directory.add_user("OU=Secret,OU=People", "hidden").create();
    directory
        .rights("svc")
        .hide("OU=Secret,OU=People")
        .hide_attribute("mail")
        .hide_attribute_of("cdahl", "description");
    let server = FakeLdap::start(directory.clone()).await;
    let mut ldap = bound(&server, PLAIN).await;
    let found = search(&mut ldap, ROOT, Scope::Subtree, "(objectCategory=person)", &["mail", "description"]).await;
    assert_eq!(found.code, 0);
    assert!(found.names().iter().all(|name| !name.contains("Secret")));
    assert!(found.entries.iter().all(|entry| texts(entry, "mail").is_empty()));
    assert!(everybody(&mut ldap, "(mail=*)").await.is_empty());
    let below = search(&mut ldap, "OU=Secret,OU=People,DC=corp,DC=example", Scope::Subtree, "(cn=*)", &["cn"]).await;
    assert_eq!(below.code, 32);
    directory.rights("svc").show_all();
    assert_eq!(everybody(&mut ldap, "(mail=*)").await.len(), 1);
}

#[tokio::test]
async fn deleted_objects_show_with_the_control_and_the_right() {
    let directory = tenant();
    let guid = directory.guid_of("aberg");
    let usn = directory.highest_usn();
    let staff = directory.get("Staff", "uSNChanged");
    directory.delete("aberg");
    assert_eq!(directory.get("Staff", "uSNChanged"), staff, "the group does not change");
    assert_eq!(directory.get("Staff", "member").len(), 1);
    let server = FakeLdap::start(directory.clone()).await;
    let mut ldap = bound(&server, ADMIN).await;
    let filter = format!("(&(isDeleted=TRUE)(uSNChanged>={}))", usn + 1);
    assert!(everybody(&mut ldap, &filter).await.is_empty());
    let base = "CN=Deleted Objects,DC=corp,DC=example";
    let found = find(&mut ldap, base, Scope::OneLevel, &filter, &["*"], vec![show_deleted()]).await;
    let grave = &found.entries[0];
    assert_eq!(grave.dn, format!("CN=Berg\\, Anna\\0ADEL:{guid},{base}"));
    assert_eq!(texts(grave, "cn"), [format!("Berg, Anna\nDEL:{guid}")]);
    assert_eq!(texts(grave, "lastKnownParent"), ["OU=People,DC=corp,DC=example"]);
    for gone in ["mail", "objectCategory", "sAMAccountType", "memberOf"] {
        assert!(texts(grave, gone).is_empty(), "{gone}");
    }
    assert_eq!(values(grave, "objectGUID"), [guid.to_wire().to_vec()]);
    let mut ldap = bound(&server, PLAIN).await;
    let found = find(&mut ldap, base, Scope::Subtree, "(objectClass=*)", &["cn"], vec![show_deleted()]).await;
    assert_eq!(found.names(), [base]);
    directory.rights("svc").read_deleted(true);
    let found = find(&mut ldap, base, Scope::Subtree, "(objectClass=*)", &["cn"], vec![show_deleted()]).await;
    assert_eq!(found.entries.len(), 2);
}

#[tokio::test]
async fn the_recycle_bin_keeps_everything_until_it_is_recycled() {
    let directory = tenant();
    directory.set_recycle_bin(true);
    let guid = directory.guid_of("aberg");
    directory.delete("aberg");
    let (_server, mut ldap) = with_admin(&directory, Settings::default()).await;
    let base = "CN=Deleted Objects,DC=corp,DC=example";
    let kept = find(&mut ldap, base, Scope::OneLevel, "(mail=*)", &["*"], vec![show_deleted()]).await;
    assert_eq!(texts(&kept.entries[0], "msDS-LastKnownRDN"), ["Berg, Anna"]);
    directory.undelete(guid);
    assert_eq!(directory.get("aberg", "memberOf"), ["CN=Staff,OU=Groups,DC=corp,DC=example"]);
    directory.delete("aberg");
    directory.recycle(guid);
    assert!(find(&mut ldap, base, Scope::OneLevel, "(cn=*)", &["cn"], vec![show_deleted()]).await.entries.is_empty());
    let recycled = control("1.2.840.113556.1.4.2064", None);
    let found = find(&mut ldap, base, Scope::OneLevel, "(cn=*)", &["isRecycled", "mail"], vec![recycled]).await;
    assert_eq!(texts(&found.entries[0], "isRecycled"), ["TRUE"]);
    assert!(texts(&found.entries[0], "mail").is_empty());
}

#[tokio::test]
async fn a_renamed_unit_changes_the_names_below_but_no_usn_there() {
    let directory = tenant();
    let before = directory.get("aberg", "uSNChanged");
    directory.rename_ou("OU=People", "Staff & Guests");
    assert_eq!(directory.dn_of("aberg"), "CN=Berg\\, Anna,OU=Staff & Guests,DC=corp,DC=example");
    assert_eq!(directory.get("aberg", "uSNChanged"), before);
    let (_server, mut ldap) = with_admin(&directory, Settings::default()).await;
    let found = search(&mut ldap, ROOT, Scope::Subtree, "(sAMAccountName=Staff)", &["member"]).await;
    assert!(texts(&found.entries[0], "member").iter().all(|member| member.contains("OU=Staff & Guests")));
}

#[tokio::test]
async fn the_built_in_objects_have_their_well_known_ids() {
    let directory = tenant();
    let domain = directory.domain_sid();
    for (name, rid) in [("Administrator", 500), ("Guest", 501), ("krbtgt", 502), ("Domain Users", 513), ("DC1$", 1000)]
    {
        assert_eq!(directory.sid_of(name), Some(domain.with_rid(rid)), "{name}");
    }
    assert_eq!(directory.get("Users", "groupType"), ["-2147483643"]);
    assert_eq!(directory.get("Users", "sAMAccountType"), ["536870912"]);
    assert_eq!(directory.get("DC1$", "userAccountControl"), ["532480"]);
    assert_eq!(directory.get("krbtgt", "userAccountControl"), ["514"]);
}
