//! What is kept of one object: facets, observations, weak ids, restorable removals.

use tenantry::model::{AttributeName, EventType, Facet, MfaState, ObjectKind, Outcome, SourceId, TombstoneKind, names};
use tenantry::testkit::ScriptedDirectory;

use crate::dump::dump;
use crate::world::{World, count};

#[tokio::test]
async fn a_new_object_with_facets_is_one_event_and_each_facet_changes_by_itself() {
    let mut world = World::new(World::directory(12)).await;
    let anna = ScriptedDirectory::id(3);
    let mfa = |state: MfaState| [(names::MFA, state.into())].into_iter().collect();
    world.endpoint.change(|directory| {
        directory.facets.insert((anna.clone(), Facet::Mfa), mfa(MfaState::NotEnrolled));
    });
    let report = world.import_done().await;
    assert_eq!((report.created, report.updated), (17, 0));
    let events = world.events();
    assert_eq!(count(&events, EventType::UserUpserted), 12);
    let enrolled = |world: &World| {
        let users = world.records(ObjectKind::User);
        let anna = users.values().find(|user| user.identities[0].source_id == anna).unwrap();
        anna.attributes.text(&names::MFA).map(str::to_owned)
    };
    assert_eq!(enrolled(&world).as_deref(), Some("not-enrolled"));
    assert_eq!(world.import_done().await.updated, 0);
    world.events();
    // The facet alone changes: the core is not touched.
    world.endpoint.change(|directory| {
        directory.facets.insert((anna.clone(), Facet::Mfa), mfa(MfaState::Enrolled));
    });
    assert_eq!(world.import_done().await.updated, 1);
    assert_eq!(world.events()[0].data_value()["changed"], serde_json::json!(["mfa"]));
    // Core and facet together are one event.
    world.endpoint.change(|directory| {
        directory.facets.insert((anna.clone(), Facet::Mfa), mfa(MfaState::NotEnrolled));
        directory.set(&anna, names::LAST_NAME, "Married");
    });
    assert_eq!(world.import_done().await.updated, 1);
    assert_eq!(world.events()[0].data_value()["changed"], serde_json::json!(["last_name", "mfa"]));
    // A facet that is no longer read is unknown now, and keeps what was known.
    world.endpoint.change(|directory| directory.facets.clear());
    assert_eq!(world.import_done().await.updated, 0);
    assert_eq!(enrolled(&world).as_deref(), Some("not-enrolled"));
}

#[tokio::test]
async fn an_observation_is_stored_and_raises_no_event() {
    let mut world = World::new(World::directory(12)).await;
    world.import_done().await;
    world.events();
    let before = dump(&world);
    world.endpoint.change(|directory| {
        let user = directory.objects.get_mut(&ScriptedDirectory::id(3)).unwrap();
        user.observations.set(AttributeName::extra("last_logon"), "2026-01-02T03:04:05Z");
    });
    assert_eq!(world.import_done().await.updated, 0);
    assert_eq!(world.events().len(), 1);
    let after = dump(&world);
    assert_ne!(before["observations"], after["observations"]);
    assert_eq!(before["objects"], after["objects"]);
    // Seen again, nothing is written.
    world.import_done().await;
    assert_eq!(dump(&world), after);
}

#[tokio::test]
async fn an_object_known_by_its_address_alone_is_never_removed_automatically() {
    let world = World::new(World::directory(30)).await;
    let weak = SourceId::address("Room@corp.example");
    world.endpoint.change(|directory| {
        let room = directory.objects[&ScriptedDirectory::id(1)].clone();
        directory.objects.insert(weak.clone(), room);
    });
    world.import_done().await;
    world.endpoint.change(|directory| directory.delete(&weak));
    let report = world.import_done().await;
    assert_eq!((report.removed, report.missing), (0, 1));
    let users = world.records(ObjectKind::User);
    assert_eq!(users.values().filter(|user| user.missing_since.is_some()).count(), 1);
}

#[tokio::test]
async fn a_soft_tombstone_is_restorable_and_a_hard_one_is_not() {
    let mut world = World::new(World::directory(40)).await;
    world.endpoint.change(|directory| directory.tombstones_readable = true);
    world.import_done().await;
    world.events();
    let (soft, hard) = (ScriptedDirectory::id(20), ScriptedDirectory::id(21));
    world.endpoint.change(|directory| {
        directory.delete(&soft);
        directory.delete(&hard);
        directory.tombstones.insert(soft.clone(), TombstoneKind::Soft);
    });
    assert_eq!(world.import_done().await.removed, 2);
    let mut restorable: Vec<bool> = world
        .events()
        .iter()
        .filter(|event| event.event_type == EventType::UserRemoved)
        .map(|event| event.data_value()["restorable"].as_bool().unwrap())
        .collect();
    restorable.sort_unstable();
    assert_eq!(restorable, [false, true]);
}

#[tokio::test]
async fn what_is_missing_for_the_set_age_is_put_up_for_approval_and_never_goes_by_itself() {
    let world = World::new(World::directory(40)).await;
    world.endpoint.change(|directory| directory.tombstones_readable = true);
    world.import_done().await;
    // It vanishes without a tombstone.
    world.endpoint.change(|directory| {
        directory.delete(&ScriptedDirectory::id(20));
        directory.tombstones.clear();
    });
    assert_eq!(world.import_done().await.missing, 1);
    world.clock.advance(std::time::Duration::from_hours(31 * 24));
    let held = world.import().await;
    assert_eq!((held.outcome, held.removed, held.parked), (Outcome::Held, 0, 1));
    let approve = tenantry::ImportOptions { approve: held.plan, ..tenantry::ImportOptions::default() };
    assert_eq!(world.import_with(approve).await.removed, 1);
}
