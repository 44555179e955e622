//! What one customer's feeds tell is of no other customer, and what one record's tell is of no other record; at the very moment
//! at which something is due it is told.

use std::sync::Arc;
use std::time::Duration;

use tenantry::endpoint::Action;
use tenantry::model::{
    Answer, CustomerId, Draft, Feed, Happening, Keep, Notice, NoticeQuery, ObjectKind, Outcome, RecordId, Retention,
    Shelf, Topic, names,
};
use tenantry::service::ActionRequest;
use tenantry::testkit::{Lie, ScriptedDirectory, ScriptedEndpoint};
use tenantry::{Customer, Endpoint, ImportOptions};
use tokio_util::sync::CancellationToken;

use super::{all, topics, walk, walk_events};
use crate::operations::{Stage, name};
use crate::world::World;

fn asked(entries: &[Happening]) -> usize {
    entries.iter().filter(|entry| matches!(entry, Happening::Action(_))).count()
}

/// A world, and a second customer in the same state file whose endpoint has the same name, ids and trouble.
async fn twins() -> (World, CustomerId, ScriptedEndpoint) {
    let endpoint = || ScriptedEndpoint::new("ad", World::directory(5), 7).unwrap().with_actions();
    let world = World::with_endpoint(endpoint()).await;
    let (other, second) = (CustomerId::new("c2").unwrap(), endpoint());
    let endpoints = vec![Arc::new(second.clone()) as Arc<dyn Endpoint>];
    world.service.register(Customer::new(other.clone()), endpoints).await.unwrap();
    (world, other, second)
}

#[tokio::test]
async fn two_customers_with_the_same_trouble_have_feeds_and_answers_of_their_own() {
    let (world, other, second) = twins().await;
    let (directory, customer) = (world.service.directory(), world.customer.clone());
    let draft = Draft::user("user1@corp.example").set(names::LAST_NAME, "Other");
    directory.add(&other, &draft).await.unwrap();
    for of in [&customer, &other] {
        world.service.import(of, &name("ad"), ImportOptions::default()).await.unwrap();
    }
    let contradictions = async |of: &CustomerId| {
        let found = all(&directory, of, Feed::Suggestions).await;
        found.into_iter().filter(|one| one.topic == Topic::Duplicate).count()
    };
    assert_eq!([contradictions(&customer).await, contradictions(&other).await], [0, 1]);

    world.endpoint.lie([Lie::FailsAfter(0)]);
    second.lie([Lie::FailsAfter(0)]);
    for of in [&customer, &other] {
        let report =
            world.service.import(of, &name("ad"), ImportOptions { full: true, ..ImportOptions::default() }).await;
        assert_eq!(report.unwrap().outcome, Outcome::Failed);
    }
    let alerts = async |of: &CustomerId| all(&directory, of, Feed::Alerts).await;
    let [mine, theirs] = [alerts(&customer).await, alerts(&other).await];
    assert_eq!((mine.len(), mine[0].id.to_string()), (1, theirs[0].id.to_string()), "the same in both");
    directory.answer(&customer, &mine[0].id, Answer::Dismissed, "kim").await.unwrap();
    assert_eq!(alerts(&customer).await, []);
    assert_eq!(alerts(&other).await, theirs, "nobody said anything of theirs");
    directory.take_answer_back(&other, &theirs[0].id).await.unwrap();
    assert_eq!(alerts(&customer).await, [], "and nobody took back what was said of ours");
}

#[tokio::test]
async fn what_was_asked_of_one_customers_accounts_is_told_and_forgotten_there_alone() {
    let (world, other, second) = twins().await;
    let (directory, customer) = (world.service.directory(), world.customer.clone());
    for of in [&customer, &other] {
        world.service.import(of, &name("ad"), ImportOptions::default()).await.unwrap();
    }
    let users: Vec<RecordId> = world.records(ObjectKind::User).into_keys().collect();
    let request = ActionRequest::new(Action::Suspend, "kim");
    world.service.act(&customer, &request, &users, &CancellationToken::new()).await.unwrap();
    for limit in [1, 2, 100] {
        let told = asked(&walk_events(&directory, &customer, None, limit).await);
        assert_eq!((told, asked(&walk_events(&directory, &other, None, limit).await)), (5, 0), "in pages of {limit}");
    }
    // Neither the event behind which they stand nor one of them is lost between two pages.
    for of in [None, Some(users[0])] {
        let told = |entries: &[Happening]| -> Vec<String> {
            entries.iter().map(|entry| serde_json::to_string(entry).unwrap()).collect()
        };
        let whole = told(&walk_events(&directory, &customer, of, 1000).await);
        assert!(whole.len() > asked(&walk_events(&directory, &customer, of, 1000).await) + 1);
        for limit in 1..4 {
            assert_eq!(told(&walk_events(&directory, &customer, of, limit).await), whole, "{of:?} in pages of {limit}");
        }
    }
    // The other one lets go of all that it can.
    for _ in 0..2 {
        second.change(|directory| drop(directory.add_user(77, "oslo")));
        world.service.import(&other, &name("ad"), ImportOptions::default()).await.unwrap();
    }
    let keeps_little = Retention { events: Keep::Last(0), ..Retention::default() };
    world.service.clone().with_retention(keeps_little).apply_retention(&other).await.unwrap();
    assert_eq!(asked(&walk_events(&directory, &customer, None, 100).await), 5);
}

#[tokio::test]
async fn who_cannot_read_on_is_an_alert_of_its_customer() {
    let (world, other, _) = twins().await;
    let directory = world.service.directory();
    let slow = world.service.consumer(&other, "slow");
    for of in [&world.customer, &other] {
        world.service.import(of, &name("ad"), ImportOptions::default()).await.unwrap();
        for number in 0..9 {
            directory.add(of, &Draft::user(&format!("p{number}@corp.example"))).await.unwrap();
        }
    }
    slow.next(1).await.unwrap();
    let hard = Retention { events: Keep::Last(2), unread_events: Keep::Last(2), ..Retention::default() };
    for of in [&world.customer, &other] {
        world.service.clone().with_retention(hard).apply_retention(of).await.unwrap();
    }
    assert_eq!(all(&directory, &world.customer, Feed::Alerts).await, []);
    assert_eq!(topics(&all(&directory, &other, Feed::Alerts).await), [Topic::ConsumerCutOff]);
}

async fn of(world: &Stage, record: RecordId, feed: Feed) -> Vec<Notice> {
    walk(&world.service.directory(), &world.customer, &NoticeQuery::new(feed).of(record), 10).await
}

#[tokio::test]
async fn what_concerns_a_record_is_told_of_it_by_its_own_endpoint_alone() {
    let mut cloud = ScriptedDirectory::new("tenant-1");
    for number in 1..=40 {
        let id = cloud.add_user(number, "cloud");
        cloud.set(&id, names::PRIMARY_EMAIL, format!("c{number}@elsewhere.example"));
    }
    cloud.tombstones_readable = true;
    let stage = Stage::new([("ad", World::directory(40)), ("cloud", cloud)]).await;
    stage.import_all().await;
    let users = stage.store().records(&stage.customer, ObjectKind::User, None, 999).unwrap();
    let record = |endpoint: &str, number: u128| {
        let is_it = |one: &tenantry::model::Identity| {
            one.endpoint == name(endpoint) && one.source_id == ScriptedDirectory::id(number)
        };
        users.iter().find(|user| user.identities.iter().any(is_it)).unwrap().id
    };
    // The cloud cannot make sense of number 1, parks twelve, and then fails.
    stage.endpoints[1].change(|cloud| {
        cloud.objects.get_mut(&ScriptedDirectory::id(1)).unwrap().unintelligible = true;
        (20..32).for_each(|number| cloud.delete(&ScriptedDirectory::id(number)));
    });
    let import = async |endpoint: usize| {
        let endpoint = stage.endpoints[endpoint].info().name.clone();
        stage.service.import(&stage.customer, &endpoint, ImportOptions { full: true, ..ImportOptions::default() }).await
    };
    assert_eq!(import(1).await.unwrap().outcome, Outcome::Held);
    stage.clock.advance(Duration::from_hours(24) - Duration::from_millis(1));
    assert_eq!(of(&stage, record("cloud", 20), Feed::Reminders).await, []);
    stage.clock.advance(Duration::from_millis(1));
    for (endpoint, number, alerts, reminders) in [
        ("cloud", 1, &[Topic::RecordsSetAside][..], &[][..]),
        ("cloud", 2, &[], &[]),
        ("cloud", 20, &[Topic::HeldForApproval], &[Topic::PlanWaiting]),
        ("ad", 1, &[], &[]),
        ("ad", 20, &[], &[]),
    ] {
        let id = record(endpoint, number);
        assert_eq!(topics(&of(&stage, id, Feed::Alerts).await), alerts, "{endpoint} {number}");
        assert_eq!(topics(&of(&stage, id, Feed::Reminders).await), reminders, "{endpoint} {number}");
    }
    stage.endpoints[1].lie([Lie::FailsAfter(0)]);
    assert_eq!(import(1).await.unwrap().outcome, Outcome::Failed);
    assert_eq!(of(&stage, record("ad", 2), Feed::Alerts).await, [], "imports of another endpoint fail");
    assert_eq!(topics(&of(&stage, record("cloud", 2), Feed::Alerts).await), [Topic::ImportFailed]);
}

#[tokio::test]
async fn who_is_archived_need_not_be_in_a_group() {
    let stage = Stage::small().await;
    let (directory, customer) = (stage.service.directory(), stage.customer.clone());
    let mut ids = Vec::new();
    for number in 0..3 {
        ids.push(directory.add(&customer, &Draft::user(&format!("p{number}@corp.example"))).await.unwrap().id);
    }
    let count = async || all(&directory, &customer, Feed::Suggestions).await.pop().and_then(|notice| notice.count);
    assert_eq!(count().await, Some(3));
    directory.shelve(&customer, ids[2], Shelf::Archived).await.unwrap();
    assert_eq!(count().await, Some(2));
    assert_eq!(of(&stage, ids[2], Feed::Suggestions).await, []);
    assert_eq!(topics(&of(&stage, ids[1], Feed::Suggestions).await), [Topic::UsersWithoutGroup]);
    directory.shelve(&customer, ids[2], Shelf::InUse).await.unwrap();
    assert_eq!(count().await, Some(3));
}

#[tokio::test]
async fn a_cursor_is_due_in_its_last_quarter_from_the_first_moment_on_and_past_its_end() {
    let life = Duration::from_hours(40);
    let endpoint = ScriptedEndpoint::new("ad", World::directory(5), 7).unwrap().with_deltas();
    let world = World::with_endpoint(endpoint.with_cursor_lifetime(life)).await;
    world.import_done().await;
    let directory = world.service.directory();
    let due = async || all(&directory, &world.customer, Feed::Reminders).await.pop();
    let taken = world.clock.now_unix_millis();
    world.clock.advance(Duration::from_hours(30) - Duration::from_millis(1));
    assert_eq!(due().await, None);
    world.clock.advance(Duration::from_millis(1));
    let notice = due().await.unwrap();
    assert_eq!((notice.topic, notice.since.unwrap().0 - taken), (Topic::CursorExpiring, 30 * 3_600_000));
    assert!(notice.text.contains("is good until"), "{notice:?}");
    world.clock.advance(Duration::from_hours(10));
    assert!(due().await.unwrap().text.contains("was good until"));
    world.import_done().await;
    assert_eq!(due().await, None);
}

#[tokio::test]
async fn who_fails_ends_no_alert_of_what_it_has_not_tried() {
    let mut directory = World::directory(40);
    directory.tombstones_readable = true;
    let world = World::new(directory).await;
    world.import_done().await;
    let (directory, customer) = (world.service.directory(), world.customer.clone());
    world.delete([3]);
    world.endpoint.lie([Lie::LookupFails]);
    world.import().await;
    let alerts = async || topics(&all(&directory, &customer, Feed::Alerts).await);
    assert_eq!(alerts().await, [Topic::LookUpFailed]);
    world.endpoint.lie([Lie::FailsAfter(0)]);
    world.import().await;
    assert_eq!(alerts().await, [Topic::ImportFailed, Topic::LookUpFailed]);
    world.endpoint.lie([]);
    world.import().await;
    assert_eq!(alerts().await, []);
}

#[tokio::test]
async fn who_is_gone_is_no_contradiction_any_more() {
    let world = World::in_step(World::directory(40)).await;
    let (directory, customer) = (world.service.directory(), world.customer.clone());
    directory.add(&customer, &Draft::user("new77@corp.example").set(names::LAST_NAME, "Other")).await.unwrap();
    world.endpoint.change(|directory| {
        let id = directory.add_user(77, "oslo");
        directory.set(&id, names::PRIMARY_EMAIL, "new77@corp.example");
    });
    world.import_done().await;
    let pairs = async || {
        let found = all(&directory, &customer, Feed::Suggestions).await;
        found.into_iter().filter(|one| one.topic == Topic::Duplicate).count()
    };
    assert_eq!(pairs().await, 1);
    world.delete([77]);
    world.import_done().await;
    assert_eq!(pairs().await, 0);
}

#[tokio::test]
async fn behind_thousands_of_pairs_that_are_over_one_that_is_not_is_found() {
    let mut directory = World::directory(5);
    directory.tombstones_readable = true;
    let world = World::new(directory).await;
    let (directory, customer) = (world.service.directory(), world.customer.clone());
    let draft = Draft::user("shared@corp.example").set(names::LAST_NAME, "Other");
    let shared = directory.add(&customer, &draft).await.unwrap().id;
    let add = |range: std::ops::RangeInclusive<u128>| {
        world.endpoint.change(|directory| {
            for number in range {
                let id = directory.add_user(number, "oslo");
                directory.set(&id, names::ALIASES, tenantry::model::Value::list(["shared@corp.example"]));
            }
        });
    };
    add(100..=100);
    world.import_done().await;
    world.clock.advance(Duration::from_mins(1));
    add(1001..=3100);
    world.import_done().await;
    let query = NoticeQuery::new(Feed::Suggestions).of(shared);
    let pairs = async || {
        let found = walk(&directory, &customer, &query, 1000).await;
        found.into_iter().filter(|one| one.topic == Topic::Duplicate).collect::<Vec<_>>()
    };
    assert_eq!(pairs().await.len(), 2101);
    // They go; the pairs are over with them.
    world.delete(1001..=3100);
    let held = world.import().await;
    let approve = Some(held.plan.expect("more than the guard lets go"));
    world.import_with(ImportOptions { approve, ..ImportOptions::default() }).await;
    let left = pairs().await;
    assert_eq!(left.len(), 1, "{left:?}");
    let users = world.records(ObjectKind::User);
    let other = left[0].records.iter().find(|id| **id != shared).unwrap();
    assert_eq!(users[other].identities[0].source_id, ScriptedDirectory::id(100));
    let of_all = all(&directory, &customer, Feed::Suggestions).await;
    assert_eq!(of_all.iter().filter(|one| one.topic == Topic::Duplicate).count(), 1);
}
