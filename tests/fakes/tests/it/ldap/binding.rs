//! Binds, TLS and rootDSE.

use ldap3::{LdapConnSettings, Scope};
use tenantry_fakes::ldap::{FakeLdap, LogonRule, Settings};

use super::{ADMIN, PLAIN, ROOT, bound, open, search, start, tenant, texts, trusting};

async fn code(server: &FakeLdap, name: &str, password: &str) -> (u32, String) {
    let mut ldap = open(&server.url(), LdapConnSettings::new()).await.unwrap();
    let result = ldap.simple_bind(name, password).await.unwrap();
    let data = result.text.split("data ").nth(1).and_then(|rest| rest.split(',').next()).unwrap_or_default().to_owned();
    (result.rc, data)
}

#[tokio::test]
async fn an_account_binds_by_dn_by_upn_and_by_domain_name() {
    let directory = tenant();
    directory.add_user("OU=People", "odd").upn("Odd Name@mail.example").password("odd-1").create();
    let server = FakeLdap::start(directory).await;
    for name in ["CN=odd,OU=People,DC=corp,DC=example", "odd name@mail.example", "odd@corp.example", "corp\\ODD"] {
        assert_eq!(code(&server, name, "odd-1").await.0, 0, "{name}");
    }
}

#[tokio::test]
async fn every_reason_against_a_logon_has_its_code() {
    let directory = tenant();
    let add = |name: &str| directory.add_user("OU=People", name).password("right-1");
    add("off").disabled().create();
    add("old").expired().create();
    add("stale").password_expired().create();
    add("new").must_change().create();
    add("locked").locked().create();
    add("night").logon_rule(LogonRule::OutsideHours).create();
    add("desk").logon_rule(LogonRule::OtherWorkstation).create();
    let server = FakeLdap::start(directory).await;
    let cases = [
        ("off", "533"),
        ("old", "701"),
        ("stale", "532"),
        ("new", "773"),
        ("locked", "775"),
        ("night", "530"),
        ("desk", "531"),
    ];
    for (name, data) in cases {
        assert_eq!(code(&server, &format!("CORP\\{name}"), "right-1").await, (49, data.to_owned()), "{name}");
    }
    assert_eq!(code(&server, "CORP\\off", "wrong").await, (49, "52e".to_owned()));
    assert_eq!(code(&server, "CORP\\nobody", "wrong").await, (49, "525".to_owned()));
}

#[tokio::test]
async fn the_diagnostic_message_is_that_of_a_domain_controller() {
    let server = FakeLdap::start(tenant()).await;
    let mut ldap = open(&server.url(), LdapConnSettings::new()).await.unwrap();
    let result = ldap.simple_bind(PLAIN.0, "wrong").await.unwrap();
    assert_eq!(result.text, "80090308: LdapErr: DSID-0C09044E, comment: AcceptSecurityContext error, data 52e, v2580");
}

#[tokio::test]
async fn wrong_passwords_lock_the_account_when_the_domain_says_so() {
    let directory = tenant();
    directory.set(ROOT, "lockoutThreshold", ["3"]);
    let server = FakeLdap::start(directory.clone()).await;
    for _ in 0..3 {
        assert_eq!(code(&server, PLAIN.0, "wrong").await.1, "52e");
    }
    assert_eq!(code(&server, PLAIN.0, PLAIN.1).await.1, "775");
    assert_eq!(directory.get("svc", "msDS-User-Account-Control-Computed"), ["16"]);
    assert_eq!(directory.get("svc", "userAccountControl"), ["512"]);
    directory.set_now(1_768_478_400 + 31 * 60);
    assert_eq!(code(&server, PLAIN.0, PLAIN.1).await.0, 0);
}

#[tokio::test]
async fn a_name_without_a_password_is_nobody_and_succeeds() {
    let server = FakeLdap::start(tenant()).await;
    let mut ldap = open(&server.url(), LdapConnSettings::new()).await.unwrap();
    assert_eq!(ldap.simple_bind("CN=svc,OU=People,DC=corp,DC=example", "").await.unwrap().rc, 0);
    let found = search(&mut ldap, ROOT, Scope::Subtree, "(cn=*)", &["cn"]).await;
    assert_eq!(found.code, 1);
    assert!(found.text.contains("a successful bind must be completed"), "{}", found.text);
}

#[tokio::test]
async fn a_failed_bind_takes_away_what_the_one_before_gave() {
    let server = FakeLdap::start(tenant()).await;
    let mut ldap = bound(&server, ADMIN).await;
    assert_eq!(ldap.simple_bind(ADMIN.0, "wrong").await.unwrap().rc, 49);
    assert_eq!(search(&mut ldap, ROOT, Scope::Base, "(objectClass=*)", &["cn"]).await.code, 1);
}

#[tokio::test]
async fn a_password_over_a_plain_connection_is_refused_when_tls_is_required() {
    let server = start(&tenant(), Settings { require_tls: true, ..Settings::default() }).await;
    assert_eq!(code(&server, PLAIN.0, PLAIN.1).await.0, 8);
    let mut ldap = open(&server.url(), trusting(&server).set_starttls(true)).await.unwrap();
    assert_eq!(ldap.simple_bind(PLAIN.0, PLAIN.1).await.unwrap().rc, 0);
    let mut ldap = open(&server.ldaps_url(), trusting(&server)).await.unwrap();
    assert_eq!(ldap.simple_bind(PLAIN.0, PLAIN.1).await.unwrap().rc, 0);
    assert_eq!(server.log().binds().len(), 3);
    assert!(!format!("{:?}", server.log().all()).contains(PLAIN.1));
}

#[tokio::test]
async fn a_certificate_for_another_host_is_not_believed() {
    let names = vec!["elsewhere.example".to_owned()];
    let settings = Settings { certificate_names: names, only_these_names: true, ..Settings::default() };
    let server = start(&tenant(), settings).await;
    assert!(open(&server.ldaps_url(), trusting(&server)).await.is_err());
    assert!(open(&server.url(), trusting(&server).set_starttls(true)).await.is_err());
}

#[tokio::test]
async fn rootdse_is_readable_without_a_bind() {
    let directory = tenant();
    let server = FakeLdap::start(directory.clone()).await;
    let mut ldap = open(&server.url(), LdapConnSettings::new()).await.unwrap();
    let root = search(&mut ldap, "", Scope::Base, "(objectClass=*)", &[]).await.entries.remove(0);
    assert_eq!(texts(&root, "defaultNamingContext"), [ROOT]);
    assert_eq!(texts(&root, "dnsHostName"), ["dc1.corp.example"]);
    assert_eq!(texts(&root, "highestCommittedUSN"), [directory.highest_usn().to_string()]);
    assert_eq!(texts(&root, "currentTime"), ["20260115120000.0Z"]);
    assert!(texts(&root, "supportedControl").contains(&"1.2.840.113556.1.4.841".to_owned()));
    assert!(texts(&root, "supportedCapabilities").contains(&"1.2.840.113556.1.4.800".to_owned()));
    let service = texts(&root, "dsServiceName").remove(0);
    let mut ldap = bound(&server, PLAIN).await;
    let before = search(&mut ldap, &service, Scope::Base, "(objectClass=*)", &["invocationId"]).await.entries.remove(0);
    assert_eq!(super::values(&before, "invocationId")[0].len(), 16);
    directory.restore_from_backup(12_000);
    let after = search(&mut ldap, &service, Scope::Base, "(objectClass=*)", &["invocationId"]).await.entries.remove(0);
    assert_ne!(super::values(&before, "invocationId"), super::values(&after, "invocationId"));
}

#[tokio::test]
async fn nothing_listens_after_the_end() {
    let server = FakeLdap::start(tenant()).await;
    let url = server.url();
    let mut ldap = bound(&server, PLAIN).await;
    server.shutdown().await;
    assert!(ldap.search(ROOT, Scope::Base, "(objectClass=*)", vec!["cn"]).await.is_err());
    assert!(open(&url, LdapConnSettings::new()).await.is_err());
}
