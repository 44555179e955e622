//! A check before anything is saved: account, domains, each right by itself, what will not be seen, how much work it is.

use tenantry::endpoint::Verification;
use tenantry::{Endpoint, ErrorKind};
use tenantry_fakes::google::{Privilege, Settings};
use tenantry_gsuite::{Devices, Writes};

use crate::account::{Tenant, small, start, start_with};

const SCOPES: [&str; 9] = [
    "admin.directory.user.readonly",
    "admin.directory.group.readonly",
    "admin.directory.orgunit.readonly",
    "admin.directory.device.chromeos.readonly",
    "admin.directory.device.mobile.readonly",
    "admin.reports.audit.readonly",
    "admin.directory.user",
    "admin.directory.user.security",
    "admin.directory.domain.readonly",
];

fn missing(verification: &Verification) -> Vec<&str> {
    verification.rights.iter().filter(|right| !right.granted).map(|right| right.name.as_str()).collect()
}

async fn checked(tenant: &Tenant) -> Verification {
    tenant.endpoint().verify(&tenant.cx).await.unwrap()
}

/// An account with a reader of these privileges.
async fn with_privileges(privileges: impl FnOnce(&mut std::collections::BTreeSet<Privilege>)) -> Tenant {
    let mut tenant = start(small()).await;
    tenant.account.add_user("sync@corp.example", "Sync", "Robot", |_| {});
    "sync@corp.example".clone_into(&mut tenant.config.admin);
    let mut granted = Privilege::all();
    privileges(&mut granted);
    tenant.fake.service().edit_settings(|settings| {
        settings.administrators = [("sync@corp.example".to_owned(), granted)].into();
    });
    tenant
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scope_that_is_not_delegated_is_named_by_the_check() {
    let scope = |name: &str| format!("https://www.googleapis.com/auth/{name}");
    let names = ["admin.directory.user.readonly", "admin.directory.group.readonly", "admin.directory.orgunit.readonly"];
    let mut settings = Settings { delegated_scopes: names.map(scope).into(), ..Settings::default() };
    settings.delegated_scopes.insert(scope("admin.reports.audit.readonly"));
    let tenant = start_with(small(), settings).await;
    let error = tenant.endpoint().coverage(&tenant.cx).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::PermissionDenied { .. }), "{error:?}");
    let verification = tenant.endpoint().verify(&tenant.cx).await.unwrap();
    let missing: Vec<_> =
        verification.rights.iter().filter(|right| !right.granted).map(|right| right.name.as_str()).collect();
    assert!(missing.contains(&"admin.directory.device.chromeos.readonly"), "{missing:?}");
    assert!(missing.contains(&"admin.directory.device.mobile.readonly"));
    assert!(!missing.contains(&"admin.directory.user.readonly"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_scope_is_tried_by_itself_and_the_only_one_that_is_missing_is_named() {
    for absent in SCOPES {
        let full = |scope: &&str| format!("https://www.googleapis.com/auth/{scope}");
        let delegated = SCOPES.iter().filter(|scope| **scope != absent).map(full).collect();
        let mut tenant = start_with(small(), Settings { delegated_scopes: delegated, ..Settings::default() }).await;
        tenant.config.writes = Writes::On;
        let verification = checked(&tenant).await;
        let privileges = missing(&verification);
        let scopes: Vec<_> = privileges.iter().filter(|name| name.starts_with("admin.")).collect();
        assert_eq!(scopes, [&absent]);
        // Imports do without the domains, and with nothing else of these.
        assert_eq!(verification.identity.is_empty(), absent != "admin.directory.domain.readonly", "{absent}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rights_to_write_are_tried_only_where_actions_are_on_and_nothing_is_written() {
    let mut tenant = start(small()).await;
    let of = |verification: &Verification, name: &str| verification.rights.iter().any(|right| right.name == name);
    let off = checked(&tenant).await;
    assert!(!of(&off, "admin.directory.user") && !of(&off, "admin.directory.user.security"), "{off:?}");
    tenant.config.writes = Writes::On;
    let on = checked(&tenant).await;
    assert!(of(&on, "admin.directory.user") && of(&on, "admin.directory.user.security"), "{on:?}");
    assert!(
        tenant
            .fake
            .log()
            .counts()
            .keys()
            .all(|(name, _)| name.ends_with("list") || ["users.get", "token"].contains(name))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_tells_account_domains_and_how_much_work_it_is() {
    let account = small();
    account.add_domain("sub.example");
    account.add_chromeos("SN1", |_| {});
    let mut tenant = start(account).await;
    let verification = checked(&tenant).await;
    assert_eq!(verification.identity, format!("{} (corp.example, sub.example)", tenant.account.customer()));
    assert_eq!(missing(&verification), [""; 0], "{verification:?}");
    let estimate = &verification.estimate;
    assert_eq!((estimate.users, estimate.groups, estimate.computers), (Some(3), Some(2), Some(1)));
    // As many calls as a listing then makes.
    tenant.fake.log().clear();
    tenant.listing().await;
    assert_eq!(estimate.calls, Some(tenant.fake.log().calls()));
    assert_eq!(estimate.seconds, Some(1));
    let late = verification.not_seen.iter().find(|line| line.contains("audit log does not tell")).unwrap();
    assert!(late.contains("6 hours") && late.contains("24 hours"), "{late}");
    tenant.config.mobile = Devices::Ignored;
    assert!(checked(&tenant).await.not_seen.iter().any(|line| line == "mobile devices: switched off"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_domain_only_is_told_with_those_that_stay_out() {
    let mut tenant = start(small()).await;
    tenant.account.add_domain("sub.example");
    for (domain, wanted) in [
        ("corp.example", "users and groups of other domains than corp.example: sub.example"),
        ("typo.example", "anything at all: typo.example is none of the account's domains (corp.example, sub.example)"),
    ] {
        tenant.config.domain = Some(domain.to_owned());
        let verification = tenant.endpoint().verify(&tenant.cx).await;
        // Of a domain that is not there the API lists nobody, or says so.
        if let Ok(verification) = verification {
            assert!(verification.not_seen.iter().any(|line| line == wanted), "{verification:?}");
        } else {
            assert_eq!(domain, "typo.example");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_privilege_that_the_role_lacks_is_told_from_a_scope() {
    let tenant = with_privileges(|privileges| {
        privileges.remove(&Privilege::Groups);
    })
    .await;
    let verification = checked(&tenant).await;
    assert_eq!(missing(&verification), ["Admin API: Groups > Read"]);
    assert!(verification.not_seen.iter().any(|line| line.contains("groups and their members")));
    // Whoever may not see the domains still gets everything else.
    let tenant = with_privileges(|privileges| {
        privileges.remove(&Privilege::Domains);
    })
    .await;
    let verification = checked(&tenant).await;
    assert_eq!(missing(&verification), ["Admin API: Domain Management > Read"]);
    assert_eq!((verification.identity, verification.estimate.users), (tenant.account.customer(), Some(4)));
}
