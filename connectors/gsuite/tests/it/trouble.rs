//! What goes wrong on the other side is waited for, named or refused, and never taken for an empty directory.

use tenantry::model::{ObjectKind, Scope};
use tenantry::testkit::{Changes, Listing};
use tenantry::{Endpoint, ErrorKind, Result};
use tenantry_fakes::google::{Account, Clock, Fault, Privilege, Quota, Refusal, Size, When};

use crate::account::{Tenant, ids, list, small, source, start};

fn some() -> Account {
    let size = Size { users: 700, groups: 30, memberships: 900, orgunits: 5, chromeos: 10, mobile: 10 };
    Account::generated("corp.example", 5, size).with_clock(Clock::system())
}

async fn fails(tenant: &Tenant) -> (tenantry::Error, Listing) {
    let mut listing = Listing::default();
    let failed: Result<()> =
        async { listing.read(&mut *tenant.endpoint().snapshot(&tenant.cx, None).await?).await }.await;
    listing.assert_once();
    (failed.unwrap_err(), listing)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn quotas_and_outages_are_waited_for_and_nothing_is_missing() {
    let tenant = start(some()).await;
    let faults = tenant.fake.faults();
    let refusals = [
        Refusal::user_rate_limit(),
        Refusal::rate_limit(),
        Refusal::quota(),
        Refusal::concurrency(),
        Refusal::backend(),
    ];
    for (at, refusal) in (2..).step_by(4).zip(refusals) {
        faults.on(When::Request(at), Fault::Refuse(refusal));
    }
    faults.on(When::Request(30), Fault::Html(502));
    faults.on(When::Request(33), Fault::Cut);
    faults.on(When::Request(36), Fault::Html(200));
    let listing = tenant.listing().await;
    assert_eq!(faults.pending(), 0);
    assert_eq!(ids(&listing, ObjectKind::User), tenant.account.user_ids().into_iter().collect());
    let edges: usize = listing.members.values().map(std::collections::BTreeMap::len).sum();
    assert_eq!(edges, tenant.account.memberships());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_used_up_day_ends_the_import_at_once_and_keeps_its_checkpoint() {
    let mut tenant = start(some()).await;
    // At noon, when it is long to the quota's midnight; waits cost no time.
    let (clock, time) = tenantry::gate::Clock::manual();
    time.set_unix_millis(1_768_478_400_000);
    time.advance_by_itself();
    // The account lives by the same time as the gate.
    let shared = time.clone();
    let _ = tenant.account.clone().with_clock(Clock::of(move || shared.now_unix_millis()));
    let context = || {
        let gate = tenantry::gate::Gate::builder().clock(clock.clone()).build();
        tenantry::Context::new(gate, tokio_util::sync::CancellationToken::new())
    };
    tenant.cx = context();
    tenant.fake.faults().on(When::CallsFrom("members.list", 5), Fault::Refuse(Refusal::daily()));
    let before = tenant.fake.log().calls();
    let (error, listing) = fails(&tenant).await;
    assert_eq!(*error.kind(), ErrorKind::Throttled);
    assert!(matches!(error.retry(), tenantry::Retry::After(wait) if wait.as_secs() > 60), "{error:?}");
    assert!(tenant.fake.log().calls() - before < 30);
    assert!(!listing.checkpoints.is_empty());
    tenant.fake.faults().clear();
    let rest = list(&tenant.endpoint(), &context(), listing.checkpoints.last()).await.unwrap();
    assert!(rest.closed.contains(&Scope::Computers));
    assert!(rest.objects.keys().all(|key| !listing.objects.contains_key(key)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_page_token_ends_the_listing_without_closing_anything() {
    let tenant = start(some()).await;
    tenant.fake.faults().on(When::Page("users.list", 2), Fault::RefuseTokens);
    let (error, listing) = fails(&tenant).await;
    assert_eq!(*error.kind(), ErrorKind::Conflict);
    assert!(!listing.closed.contains(&Scope::Users) && !listing.closed.contains(&Scope::Computers));
    // It begins anew, and comes to its end.
    assert_eq!(tenant.listing().await.objects.of(ObjectKind::User).count(), 700);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_that_repeat_are_an_error_and_empty_ones_are_not() {
    let mut tenant = start(some()).await;
    tenant.fake.service().edit_settings(|settings| settings.quota = Quota::lifted());
    tenant.config.page_size = 5;
    let operations = [
        ("users.list", Scope::Users),
        ("groups.list", Scope::Groups),
        ("members.list", Scope::Computers),
        ("chromeosdevices.list", Scope::Computers),
        ("mobiledevices.list", Scope::Computers),
    ];
    for fault in [Fault::RepeatFirstPage, Fault::RepeatToken] {
        for (operation, scope) in &operations {
            tenant.fake.faults().on(When::Calls(operation), fault.clone());
            let (error, listing) = fails(&tenant).await;
            assert_eq!(*error.kind(), ErrorKind::Protocol, "{fault:?} of {operation}");
            assert!(!listing.closed.contains(scope));
            tenant.fake.faults().clear();
        }
    }
    tenant.config.page_size = 500;
    tenant.fake.faults().on(When::Page("users.list", 2), Fault::EmptyPage);
    tenant.fake.faults().on(When::Page("groups.list", 1), Fault::EmptyPage);
    // The last page has a token all the same, and the page behind it has nothing on it.
    tenant.fake.faults().on(When::Page("groups.list", 2), Fault::ExtraPage);
    let listing = tenant.listing().await;
    assert_eq!(listing.objects.of(ObjectKind::User).count(), 700);
    assert_eq!(listing.objects.of(ObjectKind::Group).count(), 30);
    assert!(listing.closed.contains(&Scope::Groups));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kind_that_may_not_be_read_is_said_to_be_unreadable_and_the_rest_comes() {
    let mut tenant = start(small()).await;
    tenant.account.add_user("sync@corp.example", "Sync", "Robot", |_| {});
    tenant.config.admin = "sync@corp.example".to_owned();
    let mut privileges = Privilege::all();
    let all = privileges.clone();
    for (missing, scope) in [(Privilege::Groups, Scope::Groups), (Privilege::Mobile, Scope::Computers)] {
        privileges.clone_from(&all);
        privileges.remove(&missing);
        let granted = privileges.clone();
        tenant.fake.service().edit_settings(|settings| {
            settings.administrators = [("sync@corp.example".to_owned(), granted)].into();
        });
        let listing = tenant.listing().await;
        let unreadable: Vec<_> = listing.unreadable.iter().map(|unreadable| unreadable.scope.clone()).collect();
        assert_eq!(unreadable, std::slice::from_ref(&scope));
        assert!(!listing.closed.contains(&scope) && listing.closed.contains(&Scope::Users));
    }
    privileges.remove(&Privilege::Users);
    tenant.fake.service().edit_settings(|settings| {
        settings.administrators = [("sync@corp.example".to_owned(), privileges)].into();
    });
    let (error, _) = fails(&tenant).await;
    assert!(
        matches!(error.kind(), ErrorKind::PermissionDenied { missing } if missing[0].contains("Users")),
        "{error:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_that_goes_while_it_is_read_is_withdrawn_and_one_that_may_not_be_read_is_not_empty() {
    let tenant = start(some()).await;
    let groups = tenant.account.group_ids();
    let about = |group: &String| When::About("members.list", format!("/{group}/"));
    tenant.fake.faults().on(about(&groups[3]), Fault::Refuse(Refusal::not_found("groupKey")));
    tenant.fake.faults().on(about(&groups[5]), Fault::Refuse(Refusal::forbidden()));
    let listing = tenant.listing().await;
    let withdrawn: Vec<_> = listing.withdrawn.iter().map(|key| (key.kind, key.id.to_string())).collect();
    assert_eq!(withdrawn, [(ObjectKind::Group, groups[3].clone())]);
    let unreadable: Vec<_> = listing.unreadable.iter().map(|unreadable| unreadable.scope.to_string()).collect();
    assert!(unreadable.len() == 1 && unreadable[0].contains(&groups[5]), "{unreadable:?}");
    let closed = |group: &String| listing.has_closed_members_of(source(group));
    assert!(!closed(&groups[3]) && !closed(&groups[5]) && closed(&groups[4]));
    // The same by turns, and where the log names a group.
    let cursor = listing.cursor.as_ref().unwrap();
    for group in &groups {
        tenant.account.edit_group(group, |fields| drop(fields.insert("description".to_owned(), "new".into())));
    }
    tenant.fake.service().edit_settings(|settings| settings.audit_log.lag_seconds = 0);
    let told = Changes::of(&tenant.endpoint(), &tenant.cx, cursor).await.unwrap();
    told.assert_once();
    assert_eq!(told.closed.len(), groups.len() - 2);
    assert!(!told.has_closed_members_of(source(&groups[3])) && !told.has_closed_members_of(source(&groups[5])));
    assert_eq!(told.unreadable.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listing_that_breaks_off_is_an_error_wherever_it_does() {
    let tenant = start(some()).await;
    let whole = tenant.listing().await;
    let requests = tenant.fake.log().calls();
    for nth in (1..=requests).step_by(3) {
        tenant.fake.faults().clear();
        tenant.fake.faults().on(When::RequestsFrom(nth), Fault::Refuse(Refusal::new(400, "failedPrecondition", "no")));
        let (error, listing) = fails(&tenant).await;
        assert!(matches!(error.kind(), ErrorKind::Protocol | ErrorKind::Conflict), "{error:?}");
        assert!(listing.closed.len() < whole.closed.len() && listing.cursor.is_none());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_than_the_share_of_the_quota_is_asked_for_in_a_minute() {
    let mut tenant = start(some()).await;
    tenant.fake.service().edit_settings(|settings| settings.quota.per_user = 40);
    tenant.config.quota.user_per_minute = 40;
    let endpoint = tenant.endpoint();
    let (clock, time) = tenantry::gate::Clock::manual();
    time.set_unix_millis(tenantry::gate::Clock::system().now_unix_millis());
    time.advance_by_itself();
    let mut gate = tenantry::gate::Gate::builder().clock(clock.clone());
    for quota in endpoint.limits().quotas() {
        let bucket = std::sync::Arc::new(tenantry::gate::Bucket::new(quota.limit, clock.clone()));
        gate = gate.bucket(quota.name.clone(), bucket);
    }
    // The account lives by the same time as the gate.
    let shared = time.clone();
    let _ = tenant.account.clone().with_clock(Clock::of(move || shared.now_unix_millis()));
    let cx = tenantry::Context::new(gate.build(), tokio_util::sync::CancellationToken::new());
    let begun = time.monotonic();
    let listing = list(&endpoint, &cx, None).await.unwrap();
    assert_eq!(listing.objects.of(ObjectKind::User).count(), 700);
    let counts = tenant.fake.log().counts();
    assert!(counts.keys().all(|(_, status)| *status == 200), "{counts:?}");
    let taken = time.monotonic().saturating_sub(begun);
    assert!(taken.as_secs() >= 20, "{taken:?}");
}
