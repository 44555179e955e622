//! First and second imports, changes, and what their events say.

use std::sync::Arc;

use tenantry::model::{EventType, ObjectKind, Outcome, UserState, names};
use tenantry::testkit::{Lie, ScriptedDirectory};
use tenantry::{Endpoint as _, ImportOptions, Service, SqliteStore};

use crate::world::{World, count};

#[tokio::test]
async fn a_first_import_brings_everything_in_locked() {
    let mut world = World::new(World::directory(20)).await;
    let report = world.import_done().await;
    assert_eq!((report.created, report.members_added), (25, 10));
    let users = world.records(ObjectKind::User);
    assert_eq!(users.len(), 20);
    assert!(users.values().all(|user| user.lock.as_ref().unwrap().endpoint.as_str() == "ad"));
    let events = world.events();
    assert_eq!(count(&events, EventType::UserUpserted), 20);
    // The group itself, and the one that stands for the endpoint.
    assert_eq!(count(&events, EventType::GroupUpserted), 2);
    assert_eq!(count(&events, EventType::ComputerUpserted), 4);
    assert_eq!(count(&events, EventType::MemberAdded), 10);
    assert_eq!(count(&events, EventType::ImportFinished), 1);
    let totals = world.service.totals(&world.customer).await.unwrap();
    assert_eq!((totals.users, totals.groups, totals.computers, totals.memberships), (20, 1, 4, 10));
}

#[tokio::test]
async fn a_second_import_of_the_same_raises_one_event_and_writes_no_object() {
    let mut world = World::new(World::directory(30)).await;
    world.import_done().await;
    world.events();
    let report = world.import_done().await;
    assert_eq!((report.created, report.updated, report.removed, report.members_added), (0, 0, 0, 0));
    let events = world.events();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].event_type, EventType::ImportFinished);
}

#[tokio::test]
async fn a_change_tells_what_changed_and_what_it_was() {
    let mut world = World::new(World::directory(5)).await;
    world.import_done().await;
    world.events();
    world.endpoint.change(|directory| directory.set(&ScriptedDirectory::id(3), names::LAST_NAME, "Married"));
    let report = world.import_done().await;
    assert_eq!(report.updated, 1);
    let events = world.events();
    let data = events[0].data_value();
    assert_eq!(data["changed"], serde_json::json!(["last_name"]));
    assert_eq!(data["previous"], serde_json::json!({"last_name": "Last3"}));
    assert_eq!(data["record"]["last_name"], "Married");
    assert_eq!(data["record"]["lock"]["endpoint"], "ad");
}

#[tokio::test]
async fn a_membership_that_ends_is_one_event() {
    let mut world = World::new(World::directory(12)).await;
    world.import_done().await;
    world.events();
    let (group, member) = (ScriptedDirectory::id(1_000_000), ScriptedDirectory::id(4));
    world.endpoint.change(|directory| directory.remove_member(&group, &member));
    let report = world.import_done().await;
    assert_eq!((report.members_removed, report.members_added, report.removed), (1, 0, 0));
    let events = world.events();
    assert_eq!(events[0].event_type, EventType::MemberRemoved);
    assert_eq!(events[0].data_value()["member_source_id"], member.to_string());
    assert_eq!(world.members_of(world.group()), 9);
}

#[tokio::test]
async fn a_primary_group_is_a_membership_of_its_own_way() {
    let mut world = World::new(World::directory(6)).await;
    let (group, other) = (ScriptedDirectory::id(1_000_000), ScriptedDirectory::id(1_000_001));
    world.endpoint.change(|directory| {
        directory.add_group(1_000_001);
        for object in directory.objects.values_mut().filter(|object| object.kind == ObjectKind::User) {
            object.primary_group = Some(group.clone());
        }
    });
    let report = world.import_done().await;
    assert_eq!(report.members_added, 12);
    assert_eq!(world.import_done().await.members_added, 0);
    world.events();
    world.endpoint.change(|directory| {
        directory.objects.get_mut(&ScriptedDirectory::id(2)).unwrap().primary_group = Some(other);
    });
    let report = world.import_done().await;
    assert_eq!((report.members_added, report.members_removed), (1, 1), "{:?}", world.events());
    assert_eq!(world.import_done().await.members_removed, 0);
}

#[tokio::test]
async fn an_unknown_member_is_kept_without_a_record() {
    let mut world = World::new(World::directory(3)).await;
    let stranger = ScriptedDirectory::id(77_777);
    world.endpoint.change(|directory| directory.add_member(&ScriptedDirectory::id(1_000_000), &stranger));
    world.import_done().await;
    let events = world.events();
    let event = events
        .iter()
        .find(|event| event.data_value()["member_source_id"] == stranger.to_string())
        .expect("the stranger's membership is told");
    assert!(event.data_value()["member"].is_null());
    // Later it is imported: the same membership, no second event.
    world.endpoint.change(|directory| directory.add_user(77_777, "oslo"));
    let report = world.import_done().await;
    assert_eq!((report.created, report.members_added), (1, 0));
}

#[tokio::test]
async fn a_dry_run_changes_nothing_and_tells_the_figures() {
    let mut world = World::new(World::directory(20)).await;
    let plan = world.import_with(ImportOptions { dry_run: true, ..ImportOptions::default() }).await;
    assert_eq!((plan.outcome, plan.created, plan.members_added), (Outcome::Planned, 25, 10));
    assert!(world.events().is_empty());
    assert_eq!(world.records(ObjectKind::User).len(), 0);
    assert_eq!(world.import_done().await.created, 25);
}

#[tokio::test]
async fn a_listing_that_fails_half_way_goes_on_from_its_checkpoint() {
    let world = World::new(World::directory(60)).await;
    world.endpoint.lie([Lie::FailsAfter(4)]);
    let failed = world.import().await;
    assert_eq!(failed.outcome, Outcome::Failed);
    world.endpoint.lie([]);
    let before = world.endpoint.pages();
    let report = world.import_done().await;
    assert_eq!(report.created, 65);
    let all = 65_usize.div_ceil(7) + 1;
    assert_eq!(world.endpoint.pages() - before, all - 4);
}

#[tokio::test]
async fn one_bad_record_costs_one_quarantine_entry_and_its_references_are_kept() {
    let mut world = World::new(World::directory(12)).await;
    world.import_done().await;
    world.events();
    let bad = ScriptedDirectory::id(4);
    world.endpoint.change(|directory| {
        directory.objects.get_mut(&bad).unwrap().unintelligible = true;
        directory.set(&ScriptedDirectory::id(5), names::STATE, UserState::Suspended);
    });
    let report = world.import_done().await;
    assert_eq!((report.quarantined, report.updated, report.removed, report.members_removed), (1, 1, 0, 0));
    let events = world.events();
    assert_eq!(count(&events, EventType::RecordQuarantined), 1);
    world.import_done().await;
    assert_eq!(count(&world.events(), EventType::RecordQuarantined), 0);
}

#[tokio::test]
async fn pages_that_come_twice_change_nothing() {
    let world = World::new(World::directory(30)).await;
    world.endpoint.lie([Lie::Repeats]);
    assert_eq!(world.import_done().await.created, 35);
    assert_eq!(world.import_done().await.updated, 0);
    world.endpoint.lie([]);
    let report = world.import_done().await;
    assert_eq!((report.updated, report.members_added, report.members_removed), (0, 0, 0));
}

#[tokio::test]
async fn the_endpoints_own_group_holds_everyone_and_follows_its_title() {
    let mut world = World::new(World::directory(20)).await;
    world.import_done().await;
    world.events();
    let groups = world.records(ObjectKind::Group);
    let own = groups.values().find(|group| group.attributes.text(&names::KIND) == Some("endpoint")).unwrap();
    assert_eq!(own.attributes.text(&names::NAME), Some("ad"));
    assert_eq!(own.lock.as_ref().unwrap().endpoint.as_str(), "ad");
    assert_eq!(world.members_of(own.id), 20);
    let user = *world.records(ObjectKind::User).keys().next().unwrap();
    assert!(world.store().groups_of(&world.customer, user).unwrap().contains(&own.id));
    // Renamed, it stays the same group; its membership is derived, so nothing else is told.
    world.endpoint.set_title("Head office");
    world.register_again().await;
    let report = world.import_done().await;
    assert_eq!(report.updated, 0);
    let events = world.events();
    assert_eq!(events.len(), 2);
    assert_eq!(events[0].subject, own.id.to_string());
    assert_eq!(events[0].data_value()["previous"], serde_json::json!({"name": "ad"}));
    assert_eq!(events[0].data_value()["record"]["name"], "Head office");
}

#[tokio::test]
async fn an_empty_first_listing_is_not_gone_on_with_once_something_is_visible() {
    let world = World::new(World::directory(20)).await;
    world.endpoint.lie([Lie::Empty]);
    assert_eq!(world.import().await.outcome, Outcome::Failed);
    world.endpoint.lie([]);
    assert_eq!(world.import_done().await.created, 25);
}

#[tokio::test]
async fn a_primary_group_changes_also_while_other_values_of_its_member_are_held() {
    let world = World::new(World::directory(20)).await;
    world.import_done().await;
    let group = ScriptedDirectory::id(1_000_000);
    world.endpoint.change(|directory| {
        for number in 1..=15 {
            directory.set(&ScriptedDirectory::id(number), names::PRIMARY_EMAIL, tenantry::model::Value::Empty);
        }
        directory.objects.get_mut(&ScriptedDirectory::id(12)).unwrap().primary_group = Some(group);
    });
    let held = world.import().await;
    assert_eq!((held.outcome, held.members_added), (Outcome::Held, 1));
    world.endpoint.change(|directory| {
        directory.objects.get_mut(&ScriptedDirectory::id(12)).unwrap().primary_group = None;
    });
    assert_eq!(world.import().await.members_removed, 1);
}

#[tokio::test]
async fn endpoints_that_are_only_attached_can_be_planned_without_a_trace_and_not_imported() {
    let world = World::new(World::directory(6)).await;
    let path = world.folder.path().join("other.db");
    // Closed once, so that nothing is left in the write-ahead log.
    drop(SqliteStore::open(&path).unwrap());
    let service = Service::new(Arc::new(SqliteStore::open(&path).unwrap()));
    service.attach(&world.customer, vec![Arc::new(world.endpoint.clone())]).unwrap();
    let before = std::fs::read(&path).unwrap();
    let name = world.endpoint.info().name.clone();
    let options = ImportOptions { dry_run: true, ..ImportOptions::default() };
    let report = service.import(&world.customer, &name, options).await.unwrap();
    assert_eq!((report.outcome, report.created), (Outcome::Planned, 11));
    assert_eq!(service.last_position(&world.customer).await.unwrap(), 0);
    assert!(service.import(&world.customer, &name, ImportOptions::default()).await.is_err());
    drop(service);
    assert!(std::fs::read(&path).unwrap() == before, "the state file was written");
}

#[tokio::test]
async fn the_last_position_is_that_of_the_last_event() {
    let mut world = World::new(World::directory(6)).await;
    world.import_done().await;
    let last = world.events().last().unwrap().position();
    assert_eq!(world.service.last_position(&world.customer).await.unwrap(), last);
}

#[tokio::test]
async fn a_new_computer_tells_its_owner_who_was_there_before() {
    let mut world = World::new(World::directory(6)).await;
    world.import_done().await;
    world.events();
    world.endpoint.change(|directory| {
        let computer = directory.add_computer(2_000_100, "machines");
        directory.set(&computer, names::OWNER, ScriptedDirectory::id(3).to_string());
    });
    assert_eq!(world.import_done().await.created, 1);
    let told = world.events()[0].data_value()["record"].clone();
    let users = world.records(ObjectKind::User);
    let owner = users.values().find(|user| user.identities[0].source_id == ScriptedDirectory::id(3)).unwrap();
    assert_eq!(told["owner"]["id"], owner.id.to_string());
}

#[tokio::test]
async fn a_computer_names_its_owner_before_that_one_is_imported_and_after_it_is_gone() {
    let mut world = World::new(World::directory(6)).await;
    let (machine, owner) = (ScriptedDirectory::id(2_000_100), ScriptedDirectory::id(77));
    world.endpoint.change(|directory| {
        directory.add_computer(2_000_100, "machines");
        directory.set(&machine, names::OWNER, owner.to_string());
    });
    world.import_done().await;
    let named = |world: &World| {
        let computers = world.records(ObjectKind::Computer);
        let computer = computers.values().find(|computer| computer.identities[0].source_id == machine).unwrap();
        computer.owner.as_ref().unwrap().id
    };
    let told = world.events().iter().find_map(|event| {
        let record = &event.data_value()["record"];
        record["owner"]["id"].as_str().map(ToOwned::to_owned)
    });
    assert_eq!(told, Some(named(&world).to_string()));
    let before = named(&world);

    world.endpoint.change(|directory| directory.add_user(77, "oslo"));
    assert_eq!(world.import_done().await.created, 1);
    let users = world.records(ObjectKind::User);
    let user = users.values().find(|user| user.identities[0].source_id == owner).unwrap();
    assert_eq!((named(&world), user.id), (before, before));

    world.endpoint.change(|directory| directory.delete(&owner));
    assert_eq!(world.import_done().await.removed, 1);
    assert_eq!(named(&world), before);
}

#[tokio::test]
async fn a_computer_may_belong_to_a_group() {
    let mut directory = World::directory(6);
    let (machine, group) = (directory.add_computer(2_000_100, "machines"), directory.add_group(1_000_100));
    directory.set(&machine, names::OWNER, group.to_string());
    let mut world = World::new(directory).await;
    world.import_done().await;
    let told = world.events().iter().find_map(|event| {
        let record = &event.data_value()["record"];
        record["owner"]["id"].as_str().map(ToOwned::to_owned)
    });
    let (groups, computers) = (world.records(ObjectKind::Group), world.records(ObjectKind::Computer));
    let group = groups.values().find(|known| known.identities.first().is_some_and(|id| id.source_id == group)).unwrap();
    assert!(computers.values().any(|computer| computer.owner.as_ref().is_some_and(|owner| owner.id == group.id)));
    assert_eq!(told, Some(group.id.to_string()));
}
