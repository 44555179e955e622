//! DirSync: first pass, changes, deletions, rights, cookies.

use ldap3::Scope;
use tenantry_fakes::ldap::{DirSyncDenial, FakeLdap, Fault, Settings, When};

use super::*;

const ALL: &str = "(|(objectClass=user)(objectClass=group)(objectClass=contact)(objectClass=organizationalUnit))";
const INCREMENTAL: u32 = 0x8000_0000;

fn dirsync(flags: u32, cookie: &[u8]) -> RawControl {
    let mut body = vec![0x02, 0x04];
    body.extend(flags.to_be_bytes());
    body.extend([0x02, 0x01, 0x00, 0x04, u8::try_from(cookie.len()).unwrap()]);
    body.extend(cookie);
    let mut value = vec![0x30, u8::try_from(body.len()).unwrap()];
    value.extend(body);
    control("1.2.840.113556.1.4.841", Some(value))
}

/// Takes `moreResults` and the cookie out of the answer: the cookie is its last element, of 44 bytes.
fn answer_of(found: &Found) -> (bool, Vec<u8>) {
    let value = found
        .controls
        .iter()
        .find(|control| control.1.ctype == "1.2.840.113556.1.4.841")
        .unwrap()
        .1
        .val
        .clone()
        .unwrap();
    let more = value.windows(3).find(|window| window[..2] == [0x02, 0x01]).unwrap()[2] != 0;
    (more, value[value.len() - 44..].to_vec())
}

async fn sync(ldap: &mut Ldap, flags: u32, cookie: &[u8], attributes: &[&str]) -> (Found, Vec<u8>) {
    let (mut all, mut cookie) = (Found::default(), cookie.to_vec());
    loop {
        let found = find(ldap, ROOT, Scope::Subtree, ALL, attributes, vec![dirsync(flags, &cookie)]).await;
        assert_eq!(found.code, 0, "{}", found.text);
        let (more, next) = answer_of(&found);
        cookie = next;
        all.entries.extend(found.entries);
        if !more {
            return (all, cookie);
        }
    }
}

#[tokio::test]
async fn the_first_pass_gives_everything_in_several_rounds() {
    let server = start(&crowd(25), Settings { dirsync_batch: 10, ..Settings::default() }).await;
    let mut ldap = bound(&server, ADMIN).await;
    let (all, _) = sync(&mut ldap, INCREMENTAL, b"", &["sAMAccountName", "member"]).await;
    assert!(server.log().searches().len() > 4);
    let users =
        all.entries.iter().filter(|entry| texts(entry, "sAMAccountName").iter().any(|name| name.starts_with('u')));
    assert_eq!(users.count(), 25);
    let staff = all.entries.iter().find(|entry| texts(entry, "sAMAccountName") == ["Staff"]).unwrap();
    assert_eq!(texts(staff, "member;range=1-1").len(), 2);
    assert_eq!(values(staff, "objectGUID").len(), 1);
}

#[tokio::test]
async fn later_passes_give_changed_attributes_only() {
    let directory = tenant();
    let server = FakeLdap::start(directory.clone()).await;
    let mut ldap = bound(&server, ADMIN).await;
    let (_, cookie) = sync(&mut ldap, INCREMENTAL, b"", &[]).await;
    let (none, cookie) = sync(&mut ldap, INCREMENTAL, &cookie, &[]).await;
    assert!(none.entries.is_empty());
    directory.set("aberg", "title", ["Head"]);
    directory.clear("aberg", "mail");
    let (some, cookie) = sync(&mut ldap, INCREMENTAL, &cookie, &[]).await;
    let anna = &some.entries[0];
    let mut names: Vec<_> = anna.attrs.keys().chain(anna.bin_attrs.keys()).cloned().collect();
    names.sort();
    assert_eq!(names, ["instanceType", "mail", "objectGUID", "title"]);
    assert!(texts(anna, "mail").is_empty(), "a cleared attribute has no values");
    directory.set("aberg", "department", ["Sales"]);
    let (unasked, _) = sync(&mut ldap, INCREMENTAL, &cookie, &["mail"]).await;
    assert!(unasked.entries.is_empty());
}

#[tokio::test]
async fn member_changes_come_one_by_one_or_as_the_whole_list() {
    let directory = tenant();
    let server = FakeLdap::start(directory.clone()).await;
    let mut ldap = bound(&server, ADMIN).await;
    let (_, cookie) = sync(&mut ldap, INCREMENTAL, b"", &[]).await;
    directory.remove_member("Staff", "aberg");
    directory.add_member("Staff", "svc");
    let (some, _) = sync(&mut ldap, INCREMENTAL, &cookie, &["member"]).await;
    assert_eq!(texts(&some.entries[0], "member;range=1-1"), ["CN=svc,OU=People,DC=corp,DC=example"]);
    assert_eq!(texts(&some.entries[0], "member;range=0-0"), ["CN=Berg\\, Anna,OU=People,DC=corp,DC=example"]);
    let (whole, _) = sync(&mut ldap, 0, &cookie, &["member"]).await;
    assert_eq!(texts(&whole.entries[0], "member").len(), 2);
    let guid = directory.guid_of("aberg");
    directory.delete("aberg");
    let (buried, _) = sync(&mut ldap, INCREMENTAL, &cookie, &["member"]).await;
    assert!(texts(&buried.entries[0], "member;range=0-0")[0].contains(&format!("\\0ADEL:{guid}")));
}

#[tokio::test]
async fn moves_renames_and_deletions_are_told_but_not_the_children_of_a_unit() {
    let directory = tenant();
    let server = FakeLdap::start(directory.clone()).await;
    let mut ldap = bound(&server, ADMIN).await;
    let (_, cookie) = sync(&mut ldap, INCREMENTAL, b"", &[]).await;
    directory.rename_ou("OU=People", "Persons");
    directory.move_to("cdahl", "CN=Users");
    directory.delete("aberg");
    let (some, cookie) = sync(&mut ldap, INCREMENTAL, &cookie, &["name", "parentGUID", "isDeleted", "member"]).await;
    let found = by_name(some.entries);
    assert_eq!(found.len(), 3, "the group that lost a member is not reported: {:?}", found.keys());
    assert_eq!(texts(&found["OU=Persons,DC=corp,DC=example"], "name"), ["Persons"]);
    assert_eq!(values(&found["CN=cdahl,CN=Users,DC=corp,DC=example"], "parentGUID").len(), 1);
    let grave = found.iter().find(|(name, _)| name.contains("DEL:")).unwrap().1;
    assert_eq!(texts(grave, "isDeleted"), ["TRUE"]);
    let guid = directory.guid_of(grave.dn.as_str());
    directory.undelete(guid);
    let (back, _) = sync(&mut ldap, INCREMENTAL, &cookie, &["name", "isDeleted"]).await;
    assert_eq!(values(&back.entries[0], "objectGUID"), [guid.to_wire().to_vec()]);
    assert_eq!(back.entries[0].attrs.get("isDeleted").map(Vec::len), Some(0));
}

#[tokio::test]
async fn without_the_right_to_replicate_only_object_security_works() {
    let directory = tenant();
    let server = FakeLdap::start(directory.clone()).await;
    let mut ldap = bound(&server, PLAIN).await;
    let refused = find(&mut ldap, ROOT, Scope::Subtree, ALL, &["cn"], vec![dirsync(0, b"")]).await;
    assert_eq!(refused.code, 50);
    let (own, cookie) = sync(&mut ldap, 1 | INCREMENTAL, b"", &["name"]).await;
    assert!(own.entries.len() > 3);
    let guid = directory.guid_of("cdahl");
    directory.rights("svc").hide("cdahl");
    directory.rename("cdahl", "Carl");
    let (hidden, _) = sync(&mut ldap, 1 | INCREMENTAL, &cookie, &["name"]).await;
    assert_eq!(hidden.names(), [""]);
    assert_eq!(values(&hidden.entries[0], "objectGUID"), [guid.to_wire().to_vec()]);
    server.edit_settings(|settings| settings.dirsync_denial = DirSyncDenial::SilentlyEmpty);
    let (empty, _) = sync(&mut ldap, 0, b"", &["name"]).await;
    assert!(empty.entries.is_empty());
    directory.rights("svc").replicate_changes(true);
    let (all, _) = sync(&mut ldap, 0, b"", &["name"]).await;
    assert!(all.entries.iter().any(|entry| entry.dn.starts_with("CN=Carl")), "replication sees past rights");
}

#[tokio::test]
async fn cookies_that_are_not_this_servers_are_refused() {
    let directory = tenant();
    let server = FakeLdap::start(directory.clone()).await;
    let mut ldap = bound(&server, ADMIN).await;
    let (_, cookie) = sync(&mut ldap, 0, b"", &["name"]).await;
    let bogus = find(&mut ldap, ROOT, Scope::Subtree, ALL, &["cn"], vec![dirsync(0, b"bogus")]).await;
    assert_eq!(bogus.code, 12);
    directory.restore_from_backup(20_000);
    let old = find(&mut ldap, ROOT, Scope::Subtree, ALL, &["cn"], vec![dirsync(0, &cookie)]).await;
    assert_eq!(old.code, 12);
    let narrow =
        find(&mut ldap, "OU=People,DC=corp,DC=example", Scope::Subtree, ALL, &["cn"], vec![dirsync(0, b"")]).await;
    assert_eq!(narrow.code, 50);
}

#[tokio::test]
async fn the_incremental_flag_in_five_bytes_is_not_understood() {
    let server = FakeLdap::start(tenant()).await;
    let mut ldap = bound(&server, ADMIN).await;
    let value = vec![0x30, 12, 0x02, 0x05, 0x00, 0x80, 0, 0, 0, 0x02, 0x01, 0x00, 0x04, 0x00];
    let found =
        find(&mut ldap, ROOT, Scope::Subtree, ALL, &["cn"], vec![control("1.2.840.113556.1.4.841", Some(value))]).await;
    assert_eq!(found.code, 2);
}

#[tokio::test]
async fn a_circle_repeats_the_cookie_and_an_idle_round_gives_a_new_one() {
    let directory = tenant();
    let server = FakeLdap::start(directory.clone()).await;
    let mut ldap = bound(&server, ADMIN).await;
    let (_, cookie) = sync(&mut ldap, INCREMENTAL, b"", &[]).await;
    directory.set("aberg", "title", ["Head"]);
    server.faults().on(When::Search(1), Fault::RepeatCookie);
    let round = async |ldap: &mut Ldap, cookie: &[u8]| {
        let found = find(ldap, ROOT, Scope::Subtree, ALL, &["title"], vec![dirsync(INCREMENTAL, cookie)]).await;
        let (more, next) = answer_of(&found);
        (found.entries.len(), more, next)
    };
    assert_eq!(round(&mut ldap, &cookie).await, (1, true, cookie.clone()));
    server.faults().on(When::Search(1), Fault::EmptyPage);
    let (entries, more, idle) = round(&mut ldap, &cookie).await;
    assert_eq!((entries, more), (0, true));
    assert_ne!(idle, cookie);
    let (entries, more, _) = round(&mut ldap, &idle).await;
    assert_eq!((entries, more), (1, false), "nothing is lost by it");
}
