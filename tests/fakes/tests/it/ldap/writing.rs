//! Writes and the rules behind them.

use std::collections::HashSet;

use ldap3::{Mod, Scope};
use tenantry_fakes::ldap::{Directory, FakeLdap, Fault, TokenGroups, When, WriteRights};

use super::*;

const CARL: &str = "CN=cdahl,OU=People,DC=corp,DC=example";
const STAFF: &str = "CN=Staff,OU=Groups,DC=corp,DC=example";

async fn with_admin(directory: &Directory) -> (FakeLdap, Ldap) {
    let server = FakeLdap::start(directory.clone()).await;
    let ldap = bound(&server, ADMIN).await;
    (server, ldap)
}

fn set(value: &str) -> HashSet<String> {
    HashSet::from([value.to_owned()])
}

async fn modify(ldap: &mut Ldap, dn: &str, mods: Vec<Mod<String>>) -> u32 {
    ldap.modify(dn, mods).await.unwrap().rc
}

#[tokio::test]
async fn compare_and_swap_changes_the_value_or_nothing() {
    let directory = tenant();
    directory.set("cdahl", "userAccountControl", ["66048"]);
    let (server, mut ldap) = with_admin(&directory).await;
    let swap = |old: &str, new: &str| {
        let name = "userAccountControl".to_owned();
        vec![Mod::Delete(name.clone(), set(old)), Mod::Add(name, set(new))]
    };
    assert_eq!(modify(&mut ldap, CARL, swap("512", "514")).await, 16);
    assert_eq!(directory.get("cdahl", "userAccountControl"), ["66048"]);
    assert_eq!(modify(&mut ldap, CARL, swap("66048", "66050")).await, 0);
    assert_eq!(directory.get("cdahl", "userAccountControl"), ["66050"]);
    assert_eq!(server.log().writes().len(), 2);
}

#[tokio::test]
async fn others_write_before_and_after_and_an_answer_can_be_lost() {
    let directory = tenant();
    let (server, mut ldap) = with_admin(&directory).await;
    let title = |text: &str| vec![Mod::Replace("title".to_owned(), set(text))];
    let rival = |text: &'static str| {
        let directory = directory.clone();
        move || {
            assert_ne!(directory.get("cdahl", "title"), [text], "it comes at its time");
            directory.set("cdahl", "title", [text]);
        }
    };
    server.faults().before_write(rival("before"));
    let add = vec![Mod::Add("title".to_owned(), set("mine"))];
    assert_eq!(modify(&mut ldap, CARL, add).await, 19, "there is one already");
    assert_eq!(directory.get("cdahl", "title"), ["before"]);
    server.faults().after_write(rival("after"));
    assert_eq!(modify(&mut ldap, CARL, title("mine")).await, 0);
    assert_eq!(directory.get("cdahl", "title"), ["after"]);
    assert_eq!(modify(&mut ldap, CARL, title("mine")).await, 0, "each waits for one write only");
    assert_eq!(directory.get("cdahl", "title"), ["mine"]);
    server.faults().on(When::Write(2), Fault::LoseAnswer);
    assert_eq!(modify(&mut ldap, CARL, title("first")).await, 0);
    assert!(ldap.modify(CARL, title("second")).await.is_err(), "the answer is lost");
    assert_eq!(directory.get("cdahl", "title"), ["second"], "and what was asked for is done");
    assert_eq!(server.faults().pending(), 0);
}

#[tokio::test]
async fn the_server_tells_what_the_bound_account_counts_as_to_who_asks_for_it() {
    let directory = tenant();
    let (server, mut ldap) = with_admin(&directory).await;
    let mut token = async |attributes: &[&str]| {
        let root = search(&mut ldap, "", Scope::Base, "(objectClass=*)", attributes).await.entries.remove(0);
        root.bin_attrs.get("tokenGroups").cloned().unwrap_or_default()
    };
    let admins = directory.domain_sid().with_rid(512).to_wire();
    assert!(token(&["tokenGroups"]).await.contains(&admins));
    assert_eq!(token(&[]).await, Vec::<Vec<u8>>::new());
    server.edit_settings(|settings| settings.token = TokenGroups::Silent);
    assert_eq!(token(&["tokenGroups"]).await, Vec::<Vec<u8>>::new());
}

#[tokio::test]
async fn the_special_attributes_take_special_values_only() {
    let directory = tenant();
    directory.set("cdahl", "lockoutTime", ["134129520000000000"]);
    let (_server, mut ldap) = with_admin(&directory).await;
    let mut replace =
        async |name: &str, value: &str| modify(&mut ldap, CARL, vec![Mod::Replace(name.to_owned(), set(value))]).await;
    assert_eq!(replace("lockoutTime", "5").await, 53);
    assert_eq!(replace("lockoutTime", "0").await, 0);
    assert_eq!(replace("pwdLastSet", "7").await, 53);
    assert_eq!(replace("pwdLastSet", "0").await, 0);
    assert_eq!(replace("userAccountControl", &(512 + 0x10 + 0x0080_0000).to_string()).await, 0);
    assert_eq!(replace("objectGUID", "x").await, 19);
    assert_eq!(replace("memberOf", STAFF).await, 19);
    assert_eq!(replace("cn", "x").await, 67);
    assert_eq!(directory.get("cdahl", "lockoutTime"), ["0"]);
    assert_eq!(directory.get("cdahl", "pwdLastSet"), ["0"]);
    assert_eq!(directory.get("cdahl", "userAccountControl"), ["512"], "computed bits are not kept");
    let two = Mod::Replace("title".to_owned(), HashSet::from(["a".to_owned(), "b".to_owned()]));
    assert_eq!(modify(&mut ldap, CARL, vec![two]).await, 19);
}

#[tokio::test]
async fn members_are_added_and_removed_with_the_codes_of_a_domain_controller() {
    let directory = tenant();
    let (_server, mut ldap) = with_admin(&directory).await;
    let member = || "member".to_owned();
    let usn = directory.get("svc", "uSNChanged");
    let svc = "CN=svc,OU=People,DC=corp,DC=example";
    assert_eq!(modify(&mut ldap, STAFF, vec![Mod::Add(member(), set(svc))]).await, 0);
    assert_eq!(modify(&mut ldap, STAFF, vec![Mod::Add(member(), set(svc))]).await, 68);
    assert_eq!(modify(&mut ldap, STAFF, vec![Mod::Delete(member(), set(svc))]).await, 0);
    assert_eq!(modify(&mut ldap, STAFF, vec![Mod::Delete(member(), set(svc))]).await, 53);
    let nobody = "CN=Nobody,OU=People,DC=corp,DC=example";
    assert_eq!(modify(&mut ldap, STAFF, vec![Mod::Add(member(), set(nobody))]).await, 32);
    assert_eq!(directory.get("svc", "uSNChanged"), usn);
}

#[tokio::test]
async fn a_password_is_set_over_tls_only() {
    let directory = tenant();
    let (server, mut plain) = with_admin(&directory).await;
    let coded = |text: &str| format!("\"{text}\"").encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let mods = |text: &str| vec![Mod::Replace(b"unicodePwd".to_vec(), HashSet::from([coded(text)]))];
    assert_eq!(plain.modify(CARL, mods("Long-enough-1")).await.unwrap().rc, 53);
    let mut ldap = open(&server.ldaps_url(), trusting(&server)).await.unwrap();
    ldap.simple_bind(ADMIN.0, ADMIN.1).await.unwrap().success().unwrap();
    assert_eq!(ldap.modify(CARL, mods("short")).await.unwrap().rc, 19);
    assert_eq!(ldap.modify(CARL, mods("Long-enough-1")).await.unwrap().rc, 0);
    directory.set("cdahl", "userAccountControl", ["512"]);
    assert_eq!(ldap.simple_bind("CORP\\cdahl", "Long-enough-1").await.unwrap().rc, 0);
    let found = search(&mut ldap, CARL, Scope::Base, "(objectClass=*)", &["unicodePwd", "cn"]).await;
    assert!(values(&found.entries[0], "unicodePwd").is_empty());
}

#[tokio::test]
async fn objects_are_added_renamed_moved_and_deleted() {
    let directory = tenant();
    let (_server, mut ldap) = with_admin(&directory).await;
    let dn = "CN=Eva,OU=People,DC=corp,DC=example";
    let attributes = |account: &str| {
        vec![("objectClass", HashSet::from(["user"])), ("sAMAccountName", HashSet::from([account]))]
            .into_iter()
            .map(|(name, values)| (name.to_owned(), values.into_iter().map(str::to_owned).collect::<HashSet<_>>()))
            .collect::<Vec<_>>()
    };
    assert_eq!(ldap.add(dn, attributes("aberg")).await.unwrap().rc, 68);
    assert_eq!(ldap.add(dn, attributes("eva")).await.unwrap().rc, 0);
    assert_eq!(directory.get("eva", "userAccountControl"), ["546"]);
    let guid = directory.guid_of("eva");
    let users = "CN=Users,DC=corp,DC=example";
    assert_eq!(ldap.modifydn(dn, "CN=Eva Falk", true, Some(users)).await.unwrap().rc, 0);
    assert_eq!(directory.dn_of(guid), "CN=Eva Falk,CN=Users,DC=corp,DC=example");
    assert_eq!(ldap.delete("OU=People,DC=corp,DC=example").await.unwrap().rc, 66);
    assert_eq!(ldap.delete("CN=Eva Falk,CN=Users,DC=corp,DC=example").await.unwrap().rc, 0);
    assert!(!directory.exists(guid));
    let undelete = vec![
        Mod::Delete("isDeleted".to_owned(), HashSet::new()),
        Mod::Replace("distinguishedName".to_owned(), set(dn)),
    ];
    let grave = directory.dn_of(guid);
    let result = ldap.with_controls(show_deleted()).modify(&grave, undelete).await.unwrap();
    assert_eq!(result.rc, 0, "{}", result.text);
    assert_eq!(directory.dn_of(guid), dn);
}

#[tokio::test]
async fn an_account_writes_what_it_was_given_to_write() {
    let directory = tenant();
    let server = FakeLdap::start(directory.clone()).await;
    let mut ldap = bound(&server, PLAIN).await;
    let title = || vec![Mod::Replace("title".to_owned(), set("Head"))];
    assert_eq!(modify(&mut ldap, CARL, title()).await, 50);
    directory.rights("svc").write(WriteRights::Attributes(vec!["title".to_owned()]));
    assert_eq!(modify(&mut ldap, CARL, title()).await, 0);
    let mail = vec![Mod::Replace("mail".to_owned(), set("c@corp.example"))];
    assert_eq!(modify(&mut ldap, CARL, mail.clone()).await, 50);
    directory.rights("svc").write(WriteRights::Everything);
    assert_eq!(modify(&mut ldap, CARL, mail).await, 0);
    let by_guid = format!("<GUID={}>", directory.guid_of("cdahl"));
    assert_eq!(modify(&mut ldap, &by_guid, title()).await, 0);
}
