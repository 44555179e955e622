//! What is read beside the directory: it arrives, it is never believed too far, and nothing waits for it.

#![allow(clippy::unwrap_used, reason = "a test may stop where it stands")]

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;
use tenantry::gate::{Clock, Limit, ManualClock};
use tenantry::model::{
    AttributeName, CustomerId, Event, EventType, Mode, ObjectKind, Outcome, Record, RunReport, SourceId, Value, names,
};
use tenantry::{Customer, Endpoint, ImportOptions, Service, SqliteStore};
use tenantry_fakes::graph::{Call, Clock as FakeClock, FakeGraph, Fault, Id, On, Size, Tenant};
use tenantry_office365::{Enrichment, Office365Config};

use crate::running::{DOMAIN, config, endpoint, source};

const ALL: [Enrichment; 3] = [Enrichment::Mfa, Enrichment::SignIns, Enrichment::Mailboxes];
/// The clock of tests stands still unless it is moved: nothing in it waits.
const HOURS: Duration = Duration::from_hours(1);

/// One customer with one tenant, and where its records are kept.
struct Customers {
    _folder: TempDir,
    tenant: Tenant,
    fake: FakeGraph,
    service: Service,
    customer: CustomerId,
    clock: Option<ManualClock>,
    seen: u64,
}

fn limit(permits: u32, seconds: u64) -> Limit {
    let number = NonZeroU32::new(permits).unwrap();
    Limit::new(number, Duration::from_secs(seconds)).unwrap().with_burst(number)
}

impl Customers {
    /// A tenant on a clock that stands still, with quotas that nobody has to wait for.
    async fn new(tenant: Tenant, change: impl FnOnce(&mut Office365Config)) -> Self {
        let (clock, time) = Clock::manual();
        let follow = time.clone();
        let tenant = tenant.with_clock(FakeClock::following(move || follow.now_unix_millis()));
        tenant.edit_settings(|settings| settings.quota = None);
        Self::on(tenant, clock, Some(time), |config| {
            let quota = &mut config.quota;
            for lane in [&mut quota.reports, &mut quota.sign_ins, &mut quota.mailboxes] {
                *lane = limit(1_000_000, 1);
            }
            quota.tenant = limit(1_000_000, 1);
            quota.application = limit(1_000_000, 1);
            change(config);
        })
        .await
    }

    /// A tenant on the machine's clock.
    async fn in_time(tenant: Tenant, change: impl FnOnce(&mut Office365Config)) -> Self {
        tenant.edit_settings(|settings| settings.quota = None);
        Self::on(tenant, Clock::system(), None, change).await
    }

    async fn on(
        tenant: Tenant,
        clock: Clock,
        manual: Option<ManualClock>,
        change: impl FnOnce(&mut Office365Config),
    ) -> Self {
        let fake = FakeGraph::start(tenant.clone()).await;
        let mut config = config(&fake);
        config.enrichments = ALL.to_vec();
        change(&mut config);
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(folder.path().join("state.db")).unwrap());
        let service = Service::with_clock(store, clock);
        let customer = CustomerId::new("c1").unwrap();
        let endpoints = vec![Arc::new(endpoint(config)) as Arc<dyn Endpoint>];
        service.register(Customer::new(customer.clone()), endpoints).await.unwrap();
        Self { _folder: folder, tenant, fake, service, customer, clock: manual, seen: 0 }
    }

    async fn import(&self) -> RunReport {
        let name = tenantry::model::EndpointName::new("cloud").unwrap();
        let report = self.service.import(&self.customer, &name, ImportOptions::default()).await.unwrap();
        assert_eq!(report.outcome, Outcome::Done, "{report:?}");
        report
    }

    fn pass(&self, time: Duration) {
        self.clock.as_ref().unwrap().advance(time);
    }

    fn events(&mut self) -> Vec<Event> {
        let events = self.service.store().events(&self.customer, self.seen, usize::MAX).unwrap();
        self.seen += events.len() as u64;
        events
    }

    fn users(&self) -> BTreeMap<SourceId, Record> {
        let users = self.service.store().records(&self.customer, ObjectKind::User, None, usize::MAX >> 1).unwrap();
        users.into_iter().map(|user| (user.identities[0].source_id.clone(), user)).collect()
    }

    fn value(&self, id: Id, name: &AttributeName) -> Option<Value> {
        self.users()[&source(id)].attributes.get(name).cloned()
    }

    fn text(&self, id: Id, name: &AttributeName) -> Option<String> {
        self.value(id, name).and_then(|value| value.as_text().map(ToOwned::to_owned))
    }

    fn asked(&self, call: Call) -> u64 {
        self.fake.log().count(call)
    }

    /// What was asked for, with a text in it.
    fn targets(&self, call: Call, with: &str) -> Vec<String> {
        let all = self.fake.log().of(call).into_iter().map(|line| line.target);
        all.filter(|target| target.contains(with)).collect()
    }
}

fn upserted(events: &[Event]) -> usize {
    events.iter().filter(|event| event.event_type == EventType::UserUpserted).count()
}

#[tokio::test]
async fn what_lanes_read_is_in_the_first_event_of_each_user() {
    let tenant = Tenant::new(DOMAIN);
    let anna = tenant.user("anna").second_factor(true).create();
    let bert = tenant.user("bert").second_factor(false).create();
    let carl = tenant.user("carl").second_factor(true).disabled().create();
    let (info, room) = (tenant.user("info").shared_mailbox().create(), tenant.user("room").room().create());
    let guest = tenant.guest("gerd").create();
    let mut customers = Customers::new(tenant, |_| {}).await;
    customers.import().await;
    let events = customers.events();
    assert_eq!(upserted(&events), 6, "{events:#?}");
    assert_eq!(customers.text(anna, &names::MFA).as_deref(), Some("enrolled"));
    assert_eq!(customers.text(bert, &names::MFA).as_deref(), Some("not-enrolled"));
    // The report leaves disabled accounts out: that says nothing of them.
    assert_eq!(customers.value(carl, &names::MFA), None);
    for (id, kind) in [(info, "shared"), (room, "room"), (anna, "person"), (guest, "guest")] {
        assert_eq!(customers.text(id, &names::KIND).as_deref(), Some(kind));
    }
    // A guest's mailbox is elsewhere.
    assert_eq!(customers.asked(Call::Mailbox), 5);
    // Nothing more is asked for before it is time, and nothing is told.
    let before = [Call::Registration, Call::Mailbox].map(|call| customers.asked(call));
    customers.pass(HOURS);
    assert_eq!(customers.import().await.mode, Mode::Delta);
    assert_eq!([Call::Registration, Call::Mailbox].map(|call| customers.asked(call)), before);
    assert_eq!(customers.events().len(), 1);
}

#[tokio::test]
async fn what_changed_is_told_in_the_next_round_and_what_is_not_told_stays() {
    let tenant = Tenant::new(DOMAIN);
    let anna = tenant.user("anna").second_factor(true).create();
    let bert = tenant.user("bert").second_factor(true).create();
    let info = tenant.user("info").shared_mailbox().create();
    let mut customers = Customers::new(tenant, |_| {}).await;
    customers.import().await;
    customers.events();
    customers.tenant.set_second_factor(anna, false);
    customers.tenant.leave_out_of_report(bert);
    customers.tenant.set_mailbox_purpose(info, Some("user"));
    customers.pass(25 * HOURS);
    let report = customers.import().await;
    assert_eq!((report.mode, report.updated), (Mode::Delta, 2), "{report:?}");
    let told: Vec<_> = customers.events().iter().map(|event| event.data_value()["changed"].clone()).collect();
    assert!(
        told.contains(&json!(["attributes.mfa_methods", "mfa"]))
            && told.contains(&json!(["attributes.mailbox", "kind"])),
        "{told:?}"
    );
    assert_eq!(customers.text(anna, &names::MFA).as_deref(), Some("not-enrolled"));
    assert_eq!(customers.text(bert, &names::MFA).as_deref(), Some("enrolled"));
    assert_eq!(customers.text(info, &names::KIND).as_deref(), Some("person"));
    // Who lost the mailbox is not known to be anything else.
    customers.tenant.set_mailbox_purpose(info, Some("room"));
    customers.pass(25 * HOURS);
    customers.import().await;
    customers.tenant.set_mailbox_purpose(info, None);
    customers.pass(25 * HOURS);
    customers.import().await;
    assert_eq!(customers.text(info, &names::KIND).as_deref(), Some("room"));
}

#[tokio::test]
async fn the_directory_does_not_overwrite_what_only_a_lane_knows() {
    let tenant = Tenant::new(DOMAIN);
    let info = tenant.user("info").shared_mailbox().create();
    let customers = Customers::new(tenant, |_| {}).await;
    customers.import().await;
    customers.tenant.update(info, [("displayName", json!("Information")), ("accountEnabled", json!(true))]);
    customers.import().await;
    assert_eq!(customers.text(info, &names::DISPLAY_NAME).as_deref(), Some("Information"));
    assert_eq!(customers.text(info, &names::KIND).as_deref(), Some("shared"));
}

#[tokio::test]
async fn sign_ins_are_no_events() {
    let tenant = Tenant::new(DOMAIN);
    let anna = tenant.user("anna").create();
    tenant.set_last_sign_in(anna, Some(1_767_225_600));
    let mut customers = Customers::new(tenant, |config| config.enrichments = vec![Enrichment::SignIns]).await;
    customers.import().await;
    assert_eq!(upserted(&customers.events()), 1);
    customers.tenant.set_last_sign_in(anna, Some(1_767_300_000));
    customers.pass(25 * HOURS);
    let report = customers.import().await;
    assert_eq!((report.updated, customers.events().len()), (0, 1), "{report:?}");
    assert_eq!(customers.targets(Call::Users, "signInActivity").len(), 2);
}

#[tokio::test]
async fn a_report_that_names_the_deleted_brings_nobody_back() {
    let tenant = Tenant::new(DOMAIN);
    let people: Vec<Id> = (0..12).map(|n| tenant.user(&format!("p{n}")).second_factor(n % 2 == 0).create()).collect();
    let mut customers = Customers::new(tenant, |config| config.enrichments = vec![Enrichment::Mfa]).await;
    customers.import().await;
    customers.events();
    // The report shows the tenant as it was.
    customers.tenant.set_second_factor(people[3], true);
    customers.tenant.freeze_listings();
    customers.tenant.delete(people[3]);
    customers.pass(7 * HOURS);
    assert_eq!(customers.import().await.removed, 1);
    assert_eq!(upserted(&customers.events()), 0);
    customers.pass(7 * HOURS);
    customers.import().await;
    assert_eq!(upserted(&customers.events()), 0);
    assert_eq!(customers.users().len(), 11);
}

#[tokio::test]
async fn a_lane_that_may_not_be_read_costs_nothing_else() {
    for (permissions, premium) in [
        (&["User.Read.All", "GroupMember.Read.All", "Directory.Read.All"][..], true),
        (&["AuditLog.Read.All", "Directory.Read.All"], false),
    ] {
        let tenant = Tenant::new(DOMAIN);
        let anna = tenant.user("anna").second_factor(true).create();
        tenant.set_permissions(permissions);
        tenant.edit_settings(|settings| settings.premium = premium);
        let customers = Customers::new(tenant, |_| {}).await;
        let report = customers.import().await;
        assert_eq!(report.created, 1, "{report:?}");
        assert_eq!(customers.value(anna, &names::MFA), None);
        // What is known to be missing is not even asked for.
        assert_eq!(customers.asked(Call::Registration), u64::from(!premium));
    }
}

#[tokio::test]
async fn a_right_that_only_some_mailboxes_are_closed_to_ends_no_lane() {
    let tenant = Tenant::new(DOMAIN);
    let ids: Vec<Id> = (0..30).map(|n| tenant.user(&format!("p{n}")).purpose(Some("room")).create()).collect();
    let customers = Customers::new(tenant, |config| config.enrichments = vec![Enrichment::Mailboxes]).await;
    let closed = On::call(Call::Mailbox).containing(source(ids[4]).to_string());
    customers.fake.faults().on(closed, Fault::LoseRights);
    customers.import().await;
    let rooms = ids.iter().filter(|id| customers.text(**id, &names::KIND).as_deref() == Some("room")).count();
    assert_eq!(rooms, 29);
}

#[tokio::test]
async fn a_lane_that_is_told_to_wait_keeps_nobody_waiting() {
    let tenant = Tenant::seeded(3, Size { users: 300, groups: 20, members_per_group: 10, ..Size::default() });
    let customers = Customers::in_time(tenant, |config| {
        config.lane_time = Duration::from_millis(300);
        config.enrichments = vec![Enrichment::Mfa];
    })
    .await;
    let wait = Fault::Status { status: 429, retry_after: Some("600".to_owned()) };
    customers.fake.faults().on(On::call(Call::Registration), wait);
    let report = tokio::time::timeout(Duration::from_secs(30), customers.import()).await.unwrap();
    assert_eq!((report.created, customers.asked(Call::Registration)), (320, 1), "{report:?}");
}

#[tokio::test]
async fn a_lane_that_fails_goes_on_in_the_next_run() {
    for fault in [
        Fault::Html { status: 200 },
        Fault::TruncatedJson,
        Fault::ForeignNextLink("https://graph.elsewhere.example".into()),
    ] {
        let tenant = Tenant::seeded(5, Size { users: 1500, ..Size::default() });
        let customers = Customers::in_time(tenant, |config| {
            config.lane_time = Duration::from_millis(1500);
            config.quota.reports = limit(1_000, 1);
            config.enrichments = vec![Enrichment::Mfa];
        })
        .await;
        customers.fake.faults().on(On::call(Call::Registration), fault.clone());
        assert_eq!(customers.import().await.created, 1500);
        let known = |customers: &Customers| {
            customers.users().values().filter(|user| user.attributes.get(&names::MFA).is_some()).count()
        };
        assert_eq!(known(&customers), 0, "{fault:?}");
        customers.fake.faults().clear();
        customers.import().await;
        assert!(known(&customers) > 1300, "{fault:?}: {}", known(&customers));
    }
}

#[tokio::test]
async fn a_slow_lane_goes_on_where_it_stopped_until_it_is_through() {
    let tenant = Tenant::seeded(7, Size { users: 2300, ..Size::default() });
    let customers = Customers::in_time(tenant, |config| {
        // One page in half a second: five pages take several runs.
        config.quota.sign_ins = limit(2, 1);
        config.quota.share = 1.0;
        config.lane_time = Duration::from_millis(700);
        config.enrichments = vec![Enrichment::SignIns];
    })
    .await;
    let mut runs = 0;
    while customers.targets(Call::Users, "signInActivity").len() < 5 {
        customers.import().await;
        runs += 1;
        assert!(runs < 20);
    }
    assert!(runs > 1, "the lane was through in one run");
    customers.import().await;
    let pages = customers.targets(Call::Users, "signInActivity");
    let distinct: BTreeSet<&String> = pages.iter().collect();
    // Each page once, and perhaps one again that was under way when a run ended.
    assert_eq!(distinct.len(), 5);
    assert!(pages.len() <= 5 + runs, "{}", pages.len());
}

#[tokio::test]
async fn mailboxes_are_asked_for_once_in_a_round_however_many_runs_it_takes() {
    let tenant = Tenant::new(DOMAIN);
    for n in 0..130 {
        tenant.user(&format!("p{n}")).purpose(Some(if n % 10 == 0 { "shared" } else { "user" })).create();
    }
    let customers = Customers::in_time(tenant, |config| {
        config.quota.mailboxes = limit(60, 1);
        config.quota.share = 1.0;
        config.lane_time = Duration::from_millis(600);
        config.enrichments = vec![Enrichment::Mailboxes];
    })
    .await;
    let mut runs = 0;
    let shared = |customers: &Customers| {
        customers.users().values().filter(|user| user.attributes.text(&names::KIND) == Some("shared")).count()
    };
    while shared(&customers) < 13 {
        customers.import().await;
        runs += 1;
        assert!(runs < 20);
    }
    assert!(runs > 1);
    customers.import().await;
    // A batch that was under way when a run ended is asked for again.
    let asked = usize::try_from(customers.asked(Call::Mailbox)).unwrap();
    assert!((130..=130 + 20 * runs).contains(&asked), "{asked} in {runs} runs");
}

#[tokio::test]
async fn a_place_that_graph_forgot_begins_the_round_anew() {
    let tenant = Tenant::seeded(9, Size { users: 1200, ..Size::default() });
    let customers = Customers::new(tenant, |config| config.enrichments = vec![Enrichment::SignIns]).await;
    customers
        .fake
        .faults()
        .on(On::call(Call::Users).containing("signInActivity").page(2).times(1), Fault::ExpiredPageToken);
    customers.import().await;
    // Page one, the lost one, and all three.
    assert_eq!(customers.targets(Call::Users, "signInActivity").len(), 5);
    customers.pass(HOURS);
    customers.import().await;
    assert_eq!(customers.targets(Call::Users, "signInActivity").len(), 5);
}

#[tokio::test]
async fn a_page_of_sign_ins_that_is_too_large_is_asked_for_smaller() {
    let tenant = Tenant::seeded(9, Size { users: 200, ..Size::default() });
    let customers = Customers::new(tenant, |config| config.enrichments = vec![Enrichment::SignIns]).await;
    let too_large = Fault::Error { status: 400, code: "Request_BadRequest".into(), message: "at most 120".into() };
    customers.fake.faults().on(On::call(Call::Users).containing("%24top=500"), too_large.clone());
    customers.fake.faults().on(On::call(Call::Users).containing("$top=500"), too_large);
    customers.import().await;
    let pages = customers.targets(Call::Users, "signInActivity");
    let sizes: Vec<bool> = pages.iter().map(|target| target.contains("top=120")).collect();
    assert_eq!(sizes, [false, true, true], "{pages:?}");
}

#[tokio::test]
async fn a_lane_never_asks_faster_than_its_quota_and_is_never_refused() {
    let tenant = Tenant::seeded(11, Size { users: 4000, ..Size::default() });
    let customers = Customers::in_time(tenant, |config| {
        config.lane_time = Duration::from_secs(4);
        config.enrichments = vec![Enrichment::Mfa];
    })
    .await;
    customers.tenant.edit_settings(|settings| settings.quota = Some(tenantry_fakes::graph::Limits::default()));
    customers.import().await;
    customers.import().await;
    assert_eq!(customers.fake.log().sums().refused, 0);
    assert!(customers.asked(Call::Registration) >= 2);
}

#[tokio::test]
async fn without_enrichments_nothing_of_them_is_asked_for() {
    let tenant = Tenant::new(DOMAIN);
    tenant.user("anna").create();
    let customers = Customers::new(tenant, |config| config.enrichments.clear()).await;
    customers.import().await;
    assert_eq!([Call::Registration, Call::Mailbox].map(|call| customers.asked(call)), [0, 0]);
    assert!(customers.targets(Call::Users, "signInActivity").is_empty());
}
