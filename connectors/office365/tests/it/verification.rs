//! What a check of an endpoint tells the person who sets it up.

#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

use std::collections::BTreeMap;
use std::sync::Arc;

use tenantry::ErrorKind;
use tenantry::endpoint::{Endpoint, Verification};
use tenantry_fakes::graph::{Call, Fault, On, Size, Tenant};
use tenantry_fakes::http::{Handler, HttpServer, Reply, Request};
use tenantry_office365::Enrichment;

use crate::running::{DOMAIN, Running, start};

impl Running {
    async fn verified(&self) -> Verification {
        self.endpoint().verify(&self.cx).await.unwrap()
    }
}

fn granted(verification: &Verification) -> BTreeMap<&str, bool> {
    verification.rights.iter().map(|right| (right.name.as_str(), right.granted)).collect()
}

fn mentions(verification: &Verification, words: &str) -> bool {
    verification.not_seen.iter().any(|sentence| sentence.contains(words))
}

#[tokio::test]
async fn tenant_rights_and_work_are_told() {
    let tenant = Tenant::seeded(7, Size { users: 2500, groups: 120, devices: 30, ..Size::default() });
    tenant.set_display_name("Mining 88");
    tenant.add_domain("mining88.example");
    let mut running = start(tenant).await;
    running.config.enrichments = vec![Enrichment::Mfa, Enrichment::SignIns, Enrichment::Mailboxes];
    let verification = running.verified().await;
    assert!(verification.identity.starts_with(running.tenant.tenant_id()), "{}", verification.identity);
    assert!(verification.identity.contains("Mining 88") && verification.identity.contains("mining88.example"));
    assert_eq!(verification.server, "127.0.0.1, Microsoft Graph v1.0");
    let estimate = &verification.estimate;
    assert_eq!((estimate.users, estimate.groups, estimate.computers), (Some(2500), Some(120), Some(30)));
    // Three pages of users, one of groups, six batches of members, one of devices.
    assert_eq!(estimate.calls, Some(3 + 1 + 6 + 1));
    assert_eq!(estimate.seconds, Some(2));
    let rights = granted(&verification);
    for permission in ["User.Read.All", "GroupMember.Read.All", "Device.Read.All", "Member.Read.Hidden"] {
        assert_eq!(rights.get(permission), Some(&true), "{permission}");
    }
    assert_eq!(rights.get("User.RevokeSessions.All"), Some(&false));
    assert!(!mentions(&verification, "not configured"), "{:?}", verification.not_seen);
    let audit = verification.rights.iter().find(|right| right.name == "AuditLog.Read.All").unwrap();
    assert!(audit.purpose.contains("45 s for sign-ins"), "{}", audit.purpose);
}

#[tokio::test]
async fn each_missing_permission_is_named_with_what_will_not_be_seen() {
    let cases = [
        ("Device.Read.All", "Devices are not seen"),
        ("Member.Read.Hidden", "hidden membership"),
        ("AuditLog.Read.All", "Second factors and sign-ins"),
        ("MailboxSettings.Read", "Shared mailboxes"),
        ("GroupMember.Read.All", "Groups and memberships"),
        ("Directory.Read.All", "one by one"),
    ];
    let tenant = Tenant::new(DOMAIN);
    tenant.user("anna").create();
    tenant.set_permissions(&["User.Read.All"]);
    let running = start(tenant).await;
    let verification = running.verified().await;
    for (permission, words) in cases {
        assert_eq!(granted(&verification).get(permission), Some(&false), "{permission}");
        let told = verification.not_seen.iter().any(|text| text.contains(words) && text.contains(permission));
        assert!(told, "{permission}: {:?}", verification.not_seen);
    }
    assert_eq!((verification.estimate.users, verification.estimate.groups), (Some(1), None));
    for (permission, words) in cases {
        running.tenant.grant(permission);
        assert!(!mentions(&running.verified().await, words), "{permission}");
    }
}

#[tokio::test]
async fn without_the_right_to_read_users_the_check_says_so_instead_of_failing() {
    let tenant = Tenant::new(DOMAIN);
    tenant.set_permissions(&[]);
    let running = start(tenant).await;
    let verification = running.verified().await;
    assert!(verification.identity.starts_with(running.tenant.tenant_id()));
    assert_eq!(granted(&verification).get("User.Read.All"), Some(&false));
    assert!(mentions(&verification, "nothing is imported"));
    assert_eq!(verification.estimate.users, None);
}

#[tokio::test]
async fn a_tenant_without_the_licence_is_told_apart_from_a_missing_permission() {
    let tenant = Tenant::new(DOMAIN);
    tenant.edit_settings(|settings| settings.premium = false);
    let running = start(tenant).await;
    let verification = running.verified().await;
    assert!(mentions(&verification, "no licence"), "{:?}", verification.not_seen);
    assert_eq!(granted(&verification).get("AuditLog.Read.All"), Some(&true));
}

#[tokio::test]
async fn what_is_granted_but_not_configured_is_told() {
    let running = start(Tenant::new(DOMAIN)).await;
    let verification = running.verified().await;
    for words in ["Second factors are not read", "Sign-ins are not read", "Purposes of mailboxes are not read"] {
        assert!(mentions(&verification, words), "{:?}", verification.not_seen);
    }
}

#[tokio::test]
async fn a_refused_proof_and_an_unreachable_graph_are_errors_of_the_check() {
    let running = start(Tenant::new(DOMAIN)).await;
    running.tenant.replace_secret("another");
    let error = running.endpoint().verify(&running.cx).await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Unauthenticated, "{error}");
    let running = start(Tenant::new(DOMAIN)).await;
    running.fake.faults().on(On::call(Call::Organization), Fault::Html { status: 403 });
    let error = running.endpoint().verify(&running.cx).await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Protocol, "{error}");
}

/// A sign-in whose tokens tell nothing of what is granted.
struct Opaque;

impl Handler for Opaque {
    fn handle(&self, _request: &Request) -> Reply {
        let body = r#"{"token_type":"Bearer","expires_in":3599,"access_token":"opaque-token"}"#;
        Reply::json(reqwest::StatusCode::OK, body)
    }
}

#[tokio::test]
async fn where_the_token_does_not_tell_each_right_is_tried() {
    let tenant = Tenant::new(DOMAIN);
    tenant.user("anna").create();
    tenant.accept_bearer("opaque-token");
    tenant.set_permissions(&["User.Read.All", "Device.Read.All", "MailboxSettings.Read"]);
    let mut running = start(tenant).await;
    let login = HttpServer::start(Arc::new(Opaque)).await;
    running.config.login_url = Some(login.url());
    let verification = running.verified().await;
    let rights = granted(&verification);
    for (permission, expected) in [
        ("User.Read.All", true),
        ("GroupMember.Read.All", false),
        ("Device.Read.All", true),
        ("Directory.Read.All", false),
        ("AuditLog.Read.All", false),
        ("MailboxSettings.Read", true),
        // Nothing can be tried here without changing something, or without a group that hides its members.
        ("Member.Read.Hidden", false),
        ("User.RevokeSessions.All", false),
    ] {
        assert_eq!(rights.get(permission), Some(&expected), "{permission}");
    }
    assert!(mentions(&verification, "cannot be told whether it is granted"), "{:?}", verification.not_seen);
    assert!(verification.identity.starts_with(running.tenant.tenant_id()), "{}", verification.identity);
    assert_eq!(running.fake.log().count(Call::Write), 0);
}

#[tokio::test]
async fn the_check_changes_nothing() {
    let tenant = Tenant::new(DOMAIN);
    tenant.user("anna").create();
    tenant.grant("User.ReadWrite.All");
    let running = start(tenant).await;
    running.verified().await;
    assert_eq!(running.fake.log().count(Call::Write), 0);
}
