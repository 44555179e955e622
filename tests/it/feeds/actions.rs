//! Actions in the feed: who asked, of whom, what became of it; each record's owner is asked, and nobody twice.

use std::collections::BTreeMap;
use std::sync::Arc;

use tenantry::endpoint::Action;
use tenantry::model::{ActionId, Asked, Draft, Happening, ObjectKind, RecordId, names};
use tenantry::service::{ActionRequest, RecordResult};
use tenantry::testkit::{Lie, ScriptedDirectory, ScriptedEndpoint};
use tenantry::{Customer, Endpoint, ErrorKind, ImportOptions};
use tokio_util::sync::CancellationToken;

use super::walk_events;
use crate::world::World;

/// Two endpoints that take actions, with five users each, and one person added by hand.
async fn two() -> (World, ScriptedEndpoint, RecordId) {
    let endpoint = ScriptedEndpoint::new("ad", World::directory(5), 7).unwrap().with_actions();
    let world = World::with_endpoint(endpoint).await;
    let mut cloud = ScriptedDirectory::new("tenant-1");
    (501..=505).for_each(|number| drop(cloud.add_user(number, "cloud")));
    let cloud = ScriptedEndpoint::new("cloud", cloud, 7).unwrap().with_actions();
    let both = vec![Arc::new(world.endpoint.clone()) as Arc<dyn Endpoint>, Arc::new(cloud.clone())];
    world.service.register(Customer::new(world.customer.clone()), both).await.unwrap();
    world.import_done().await;
    world.service.import(&world.customer, &cloud.info().name, ImportOptions::default()).await.unwrap();
    let eve = world.service.directory().add(&world.customer, &Draft::user("eve@corp.example")).await.unwrap();
    (world, cloud, eve.id)
}

async fn act(world: &World, request: &ActionRequest, records: &[RecordId]) -> Vec<RecordResult> {
    world.service.act(&world.customer, request, records, &CancellationToken::new()).await.unwrap()
}

async fn asked(world: &World, of: Option<RecordId>) -> Vec<Asked> {
    let told = walk_events(&world.service.directory(), &world.customer, of, 2).await;
    told.into_iter()
        .filter_map(|entry| match entry {
            Happening::Action(asked) => Some(asked),
            Happening::Event(_) => None,
        })
        .collect()
}

#[tokio::test]
async fn each_owner_is_asked_and_the_feed_tells_who_asked_what_became_of_it() {
    let (world, cloud, eve) = two().await;
    let users: Vec<RecordId> = world.records(ObjectKind::User).into_keys().collect();
    let nobody = RecordId(uuid::Uuid::from_u128(7));
    world.endpoint.lie([Lie::ActionRefused(vec![ScriptedDirectory::id(2)])]);
    cloud.lie([Lie::ActionFails(vec![ScriptedDirectory::id(502)])]);
    let request = ActionRequest::new(Action::Suspend, "kim@portal");
    let results = act(&world, &request, &[users.as_slice(), &[nobody]].concat()).await;
    let mut words: BTreeMap<(Option<String>, &str), usize> = BTreeMap::new();
    for result in &results {
        let endpoint = result.endpoint.as_ref().map(ToString::to_string);
        *words.entry((endpoint, result.result.as_str())).or_default() += 1;
    }
    let word = |endpoint: Option<&str>, word: &'static str| words.get(&(endpoint.map(str::to_owned), word)).copied();
    assert_eq!([word(Some("ad"), "done"), word(Some("cloud"), "done")], [Some(4), Some(4)]);
    assert_eq!([word(Some("ad"), "refused"), word(Some("cloud"), "failed")], [Some(1), Some(1)]);
    assert_eq!([word(None, "not-offered"), word(None, "not-found-here")], [Some(1), Some(1)]);

    let told = asked(&world, None).await;
    assert_eq!(told.len(), 12);
    for (entry, result) in told.iter().rev().zip(&results) {
        assert_eq!((entry.record, entry.action, entry.by.as_str()), (result.record, Action::Suspend, "kim@portal"));
        assert_eq!(entry.request, request.id);
        assert_eq!(entry.result.as_deref(), Some(result.result.as_str()));
        assert_eq!(entry.reason.is_some(), result.result.error().is_some());
        assert_eq!(asked(&world, Some(result.record)).await, std::slice::from_ref(entry));
    }
    let of_eve = asked(&world, Some(eve)).await;
    assert!(of_eve[0].reason.as_ref().unwrap().contains("added by hand"), "{of_eve:?}");
}

#[tokio::test]
async fn under_the_same_id_who_was_done_is_not_asked_again() {
    let (world, ..) = two().await;
    let users: Vec<RecordId> = world.records(ObjectKind::User).into_keys().collect();
    world.endpoint.lie([Lie::ActionFails(vec![ScriptedDirectory::id(3)])]);
    let request = ActionRequest::new(Action::Suspend, "kim").with_id(ActionId(uuid::Uuid::from_u128(1)));
    let first = act(&world, &request, &users).await;
    assert_eq!(first.iter().filter(|one| one.result.as_str() == "done").count(), 9);
    // Somebody has let them in again meanwhile: who asks the same once more does not ask that.
    world.endpoint.lie([]);
    world.endpoint.change(|directory| {
        (1..=5).for_each(|number| directory.set(&ScriptedDirectory::id(number), names::STATE, "active"));
    });
    let again = act(&world, &request, &users).await;
    assert_eq!(again.iter().filter(|one| one.result.as_str() == "done").count(), 10);
    let state = |number| {
        let id = ScriptedDirectory::id(number);
        world.endpoint.change(|directory| directory.objects[&id].attributes.text(&names::STATE).unwrap().to_owned())
    };
    assert_eq!([1, 3, 5].map(state), ["active", "suspended", "active"]);
    assert_eq!(asked(&world, None).await.len(), 11, "one entry for each record, however often it is asked");
    let other = ActionRequest::new(Action::Resume, "kim").with_id(request.id);
    let cancel = CancellationToken::new();
    let error = world.service.act(&world.customer, &other, &users, &cancel).await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Conflict);
}

#[tokio::test]
async fn what_is_not_tried_is_told_as_that() {
    let (world, ..) = two().await;
    let users: Vec<RecordId> = world.records(ObjectKind::User).into_keys().collect();
    let cancel = CancellationToken::new();
    cancel.cancel();
    let request = ActionRequest::new(Action::Suspend, "kim");
    let results = world.service.act(&world.customer, &request, &users, &cancel).await.unwrap();
    assert!(results.iter().all(|one| matches!(one.result.as_str(), "not-tried" | "not-offered")));
    let told = asked(&world, None).await;
    assert_eq!(told.iter().filter(|one| one.result.as_deref() == Some("not-tried")).count(), 10);
}

#[tokio::test]
async fn whoever_is_not_registered_here_is_an_obstacle_with_a_reason() {
    let (world, _, eve) = two().await;
    let other = tenantry::Service::new(Arc::clone(world.service.store()));
    let users = world.records(ObjectKind::User);
    for (id, user) in &users {
        let offers = other.available_actions(&world.customer, *id).await.unwrap();
        assert_eq!(offers.len(), 5);
        let expected = if user.lock.is_some() { "not configured here" } else { "added by hand" };
        assert!(offers.iter().all(|one| one.obstacle.as_ref().unwrap().message().contains(expected)), "{offers:?}");
    }
    let request = ActionRequest::new(Action::Suspend, "kim");
    let results = other.act(&world.customer, &request, &[eve], &CancellationToken::new()).await.unwrap();
    assert_eq!(results[0].result.as_str(), "not-offered");
}
