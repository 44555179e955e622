//! The sign-in: by the key's own endpoint, as an administrator, for no more scopes than needed.

use futures::future::BoxFuture;
use google_apis_common::GetToken;
use tenantry::model::EndpointName;
use tenantry::{Endpoint, EndpointInfo, Error, ErrorKind, Secret};
use tenantry_fakes::google::{Fault, Privilege, Refusal, When};
use tenantry_gsuite::{Gsuite, Writes};

use crate::account::{endpoint, small, start};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_token_serves_a_whole_import_and_a_revoked_one_is_renewed() {
    let tenant = start(small()).await;
    let endpoint = tenant.endpoint();
    endpoint.coverage(&tenant.cx).await.unwrap();
    endpoint.coverage(&tenant.cx).await.unwrap();
    assert_eq!(tenant.fake.service().tokens_given(), 1);
    tenant.fake.service().revoke_tokens();
    endpoint.coverage(&tenant.cx).await.unwrap();
    assert_eq!(tenant.fake.service().tokens_given(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_key_and_an_unknown_administrator_are_refused_once_and_show_no_secret() {
    let tenant = start(small()).await;
    let mut wrong_key = tenant.config.clone();
    wrong_key.key = Secret::new(tenant.fake.wrong_key_file());
    let mut nobody = tenant.config.clone();
    nobody.admin = "nobody@corp.example".to_owned();
    for config in [wrong_key, nobody] {
        tenant.fake.log().clear();
        let key = config.key.expose().to_owned();
        let error = endpoint(config).coverage(&tenant.cx).await.unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::Unauthenticated, "{error:?}");
        assert_eq!(tenant.fake.log().all().len(), 1);
        let shown = format!("{error:?}");
        assert!(!shown.contains("BEGIN") && !key.lines().any(|line| line.len() > 60 && shown.contains(line)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_right_that_was_withdrawn_changes_the_coverage_and_another_account_its_identity() {
    let mut tenant = start(small()).await;
    tenant.account.add_user("sync@corp.example", "Sync", "Robot", |_| {});
    tenant.config.admin = "sync@corp.example".to_owned();
    tenant.config.writes = Writes::On;
    let grant = |privileges: std::collections::BTreeSet<Privilege>| {
        tenant.fake.service().edit_settings(|settings| {
            settings.administrators = [("sync@corp.example".to_owned(), privileges)].into();
        });
    };
    grant(Privilege::all());
    let before = tenant.endpoint().coverage(&tenant.cx).await.unwrap();
    let mut fewer = Privilege::all();
    fewer.remove(&Privilege::ChromeOs);
    grant(fewer);
    let after = tenant.endpoint().coverage(&tenant.cx).await.unwrap();
    assert!(after.may_hide_more_than(&before));
    let other = start(small().with_customer("C0other00")).await;
    assert_ne!(other.endpoint().coverage(&other.cx).await.unwrap().identity, before.identity);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_of_the_sign_in_is_waited_for() {
    for fault in [Fault::Refuse(Refusal::backend()), Fault::Html(502), Fault::Html(200), Fault::Cut] {
        let tenant = start(small()).await;
        tenant.fake.faults().on(When::Call("token", 1), fault.clone());
        let coverage = tenant.endpoint().coverage(&tenant.cx).await;
        assert_eq!(coverage.unwrap().identity, tenant.account.customer(), "{fault:?}");
        assert_eq!(tenant.fake.log().of("token").len(), 2, "{fault:?}");
    }
}

/// A host that cannot give a token, and says so in its own way or in ours.
#[derive(Clone)]
enum Host {
    Ours,
    Own,
    Stale,
}

type Given<'a> = BoxFuture<'a, std::result::Result<Option<String>, Box<dyn std::error::Error + Send + Sync>>>;

impl GetToken for Host {
    fn get_token<'a>(&'a self, scopes: &'a [&str]) -> Given<'a> {
        assert!(!scopes.is_empty());
        Box::pin(async move {
            match self {
                Self::Ours => Err(Error::config("no identity is bound to this workload").into()),
                Self::Own => Err("CANARY of the host".into()),
                Self::Stale => Ok(Some("CANARY".to_owned())),
            }
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_of_the_host_take_the_place_of_the_keys_and_its_errors_are_told_only_where_they_are_ours() {
    let tenant = start(small()).await;
    let kinds = [
        (Host::Ours, ErrorKind::Config),
        (Host::Own, ErrorKind::Unavailable),
        (Host::Stale, ErrorKind::Unauthenticated),
    ];
    for (host, kind) in kinds {
        let info = EndpointInfo::new(EndpointName::new("google").unwrap(), Gsuite::KIND);
        let endpoint = Gsuite::with_tokens(info, tenant.config.clone(), Box::new(host)).unwrap();
        let error = endpoint.coverage(&tenant.cx).await.unwrap_err();
        assert_eq!(*error.kind(), kind, "{error:?}");
        assert!(!format!("{error:?}").contains("CANARY"));
    }
    assert!(tenant.fake.log().of("token").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_assertion_is_of_the_clock_of_the_gate() {
    let tenant = start(small()).await;
    let (clock, time) = tenantry::gate::Clock::manual();
    time.set_unix_millis(1_768_478_400_000);
    time.advance_by_itself();
    let context = || {
        let gate = tenantry::gate::Gate::builder().clock(clock.clone()).build();
        tenantry::Context::new(gate, tokio_util::sync::CancellationToken::new())
    };
    let set = |ahead: i64| {
        let shared = time.clone();
        let now = move || shared.now_unix_millis() + ahead;
        let _ = tenant.account.clone().with_clock(tenantry_fakes::google::Clock::of(now));
    };
    set(0);
    tenant.endpoint().coverage(&context()).await.unwrap();
    // A machine whose clock is wrong by an hour is told so.
    for ahead in [-3_600_000, 3_600_000] {
        set(ahead);
        let error = tenant.endpoint().coverage(&context()).await.unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::Unauthenticated, "{error:?}");
        assert!(error.message().contains("clock"), "{error:?}");
    }
}
