//! What is asked for, and how: whole accounts, no more rights than needed, no more at a time than the account bears.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::time::Duration;

use tenantry::endpoint::SnapshotStep;
use tenantry::gate::Gate;
use tenantry::model::{ObjectKind, Scope, SourceId};
use tenantry::testkit::{Changes, Listing};
use tenantry::{Context, Endpoint, ErrorKind};
use tenantry_fakes::google::{Account, Clock, Logged, Quota, Settings, Size};
use tenantry_gsuite::Writes;
use tokio_util::sync::CancellationToken;

use crate::account::{Tenant, ids, object, small, start, start_with};

fn some() -> Account {
    let size = Size { users: 700, groups: 230, memberships: 3000, orgunits: 5, chromeos: 110, mobile: 110 };
    Account::generated("corp.example", 5, size).with_clock(Clock::system())
}

/// Everything that is ever asked of an account.
async fn asked(tenant: &Tenant) -> Vec<Logged> {
    let endpoint = tenant.endpoint();
    endpoint.coverage(&tenant.cx).await.unwrap();
    endpoint.verify(&tenant.cx).await.unwrap();
    let cursor = tenant.listing().await.cursor.unwrap();
    Listing::of_ids(&endpoint, &tenant.cx).await.unwrap();
    let group = tenant.account.group_ids().swap_remove(0);
    tenant.account.suspend_user(&tenant.account.user_ids().swap_remove(3), true);
    tenant.account.edit_group(&group, |group| drop(group.insert("name".to_owned(), "New".into())));
    Changes::of(&endpoint, &tenant.cx, &cursor).await.unwrap();
    let gone = object(ObjectKind::User, "117000000000000000000");
    endpoint.lookup(&tenant.cx, &[gone]).await.unwrap();
    let many: Vec<_> = (0..30).map(|number| SourceId::Id(number.to_string().into())).collect();
    endpoint.check_members(&tenant.cx, &object(ObjectKind::Group, &group), &many).await.unwrap();
    tenant.fake.log().all()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_mask_of_fields_of_a_listing_asks_for_the_next_pages_token() {
    let tenant = start_with(some(), quick()).await;
    let asked = asked(&tenant).await;
    let paged: BTreeSet<_> = asked
        .iter()
        // Units and domains come whole.
        .filter(|line| {
            line.operation.strip_suffix(".list").is_some_and(|what| !["orgunits", "domains"].contains(&what))
        })
        .map(|line| {
            assert!(line.target.contains("fields=") && line.target.contains("nextPageToken"), "{}", line.target);
            line.operation
        })
        .collect();
    let all =
        ["activities.list", "chromeosdevices.list", "groups.list", "members.list", "mobiledevices.list", "users.list"];
    assert_eq!(paged, all.into());
    // Of people only what is needed: nothing of their private lives.
    assert!(asked.iter().all(|line| !line.target.contains("recovery") && !line.target.contains("phones")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_whole_account_is_asked_for_and_no_domain_unless_the_configuration_names_one() {
    let mut tenant = start_with(some(), quick()).await;
    let whole = |line: &&Logged| ["users.list", "groups.list"].contains(&line.operation);
    for line in asked(&tenant).await.iter().filter(whole) {
        assert!(line.target.contains("customer=my_customer") && !line.target.contains("domain="), "{}", line.target);
    }
    tenant.config.domain = Some("corp.example".to_owned());
    tenant.fake.log().clear();
    for line in asked(&tenant).await.iter().filter(whole) {
        // The deleted ones are looked for everywhere: a domain must not make somebody seem gone for good.
        if line.target.contains("showDeleted") {
            assert!(line.target.contains("customer=") && !line.target.contains("domain="), "{}", line.target);
        } else {
            // Both together would let the domain win without a word.
            assert!(
                line.target.contains("domain=corp.example") && !line.target.contains("customer="),
                "{}",
                line.target
            );
        }
    }
}

fn quick() -> Settings {
    let mut settings = Settings { quota: Quota::lifted(), ..Settings::default() };
    settings.audit_log.lag_seconds = 0;
    settings
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rights_to_write_are_not_asked_for_where_actions_are_off() {
    let names =
        ["user.readonly", "group.readonly", "orgunit.readonly", "device.chromeos.readonly", "device.mobile.readonly"];
    let scope = |name: &str| format!("https://www.googleapis.com/auth/{name}");
    let mut scopes: BTreeSet<_> = names.iter().map(|name| scope(&format!("admin.directory.{name}"))).collect();
    scopes.insert(scope("admin.reports.audit.readonly"));
    let mut tenant = start_with(small(), Settings { delegated_scopes: scopes, ..Settings::default() }).await;
    // One that is not delegated would be refused with all others.
    tenant.listing().await;
    tenant.config.writes = Writes::On;
    let error = tenant.endpoint().coverage(&tenant.cx).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::PermissionDenied { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fewer_are_asked_at_a_time_where_the_account_bears_fewer_and_more_again_where_it_does_not() {
    let mut settings = quick();
    settings.latency = Duration::from_millis(15);
    settings.quota.concurrent = 2;
    let mut tenant = start_with(some(), settings).await;
    // Pauses cost no time.
    let (clock, time) = tenantry::gate::Clock::manual();
    time.set_unix_millis(tenantry::gate::Clock::system().now_unix_millis());
    time.advance_by_itself();
    let gate = Gate::builder().clock(clock).concurrency(NonZeroUsize::new(8).unwrap()).build();
    tenant.cx = Context::new(gate.clone(), CancellationToken::new());
    let listing = tenant.listing().await;
    let edges: usize = listing.members.values().map(std::collections::BTreeMap::len).sum();
    assert_eq!(edges, tenant.account.memberships());
    let counts = tenant.fake.log().counts();
    let refused: u64 = counts.iter().filter(|((_, status), _)| *status != 200).map(|(_, count)| count).sum();
    let answered: u64 = counts.iter().filter(|((_, status), _)| *status == 200).map(|(_, count)| count).sum();
    assert!(refused > 0 && refused * 3 < answered, "{counts:?}");
    let narrow = gate.concurrency();
    assert!(narrow <= 4, "{narrow}");
    tenant.fake.service().edit_settings(|settings| settings.quota.concurrent = 1_000);
    tenant.listing().await;
    assert_eq!(gate.concurrency(), 8);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listing_that_would_last_for_longer_than_an_hour_comes_to_its_end() {
    let mut tenant = start_with(some(), quick()).await;
    tenant.config.page_size = 70;
    let (clock, time) = tenantry::gate::Clock::manual();
    time.set_unix_millis(tenantry::gate::Clock::system().now_unix_millis());
    let shared = time.clone();
    let _ = tenant.account.clone().with_clock(Clock::of(move || shared.now_unix_millis()));
    tenant.cx = Context::new(Gate::builder().clock(clock).build(), CancellationToken::new());
    let mut pager = tenant.endpoint().snapshot(&tenant.cx, None).await.unwrap();
    let mut listing = Listing::default();
    while let SnapshotStep::Page(page) = pager.next().await.unwrap() {
        let listed = page.patches.iter().any(|patch| patch.object.kind == ObjectKind::User);
        // Ten pages of users, nine minutes each: the fake ends every listing after an hour, as the API does.
        time.advance(Duration::from_mins(if listed { 9 } else { 0 }));
        listing.take(page);
    }
    assert_eq!(ids(&listing, ObjectKind::User), tenant.account.user_ids().into_iter().collect());
    assert_eq!(ids(&listing, ObjectKind::Group), tenant.account.group_ids().into_iter().collect());
    assert!(listing.has_closed(&Scope::Users));
    let backwards = tenant.fake.log().of("users.list").iter().filter(|line| line.target.contains("DESCENDING")).count();
    assert!(backwards > 0);
    // Nothing is refused on the way, but for a sign-in whose time is over.
    let counts = tenant.fake.log().counts();
    assert!(counts.keys().all(|(_, status)| [200, 401].contains(status)), "{counts:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_is_not_the_configured_one_is_refused_before_anything_is_listed() {
    let mut tenant = start(small()).await;
    tenant.config.customer = "C0another".to_owned();
    let error = tenant.endpoint().coverage(&tenant.cx).await.unwrap_err();
    assert_eq!((error.kind(), error.context("key")), (&ErrorKind::Config, Some("customer")), "{error:?}");
    assert_eq!(tenant.fake.log().of("users.list"), []);
    tenant.config.customer = tenant.account.customer();
    assert!(tenant.listing().await.closed.contains(&Scope::Users));
}
