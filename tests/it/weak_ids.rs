//! Directories that know people by their addresses: who is missing, who has another address by now, and who is somebody
//! else.

mod given_on;
mod kills;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;
use tenantry::ImportOptions;
use tenantry::model::{
    AttributeName, Draft, Edit, Event, EventType, ObjectKind, Outcome, Record, RecordId, SourceId, TombstoneKind,
    UserState, Value, names,
};
use tenantry::testkit::{Lie, ScriptedDirectory};

use crate::operations::Replica;
use crate::world::World;

const GROUP: &str = "group1000000@corp.example";

fn address(number: u128) -> String {
    format!("user{number}@corp.example")
}

fn id(number: u128) -> SourceId {
    SourceId::address(&address(number))
}

/// So many users, the first ten of them in a group.
fn directory(users: u128) -> ScriptedDirectory {
    let mut directory = ScriptedDirectory::new("forest-1");
    let group = directory.add_addressed_group(1_000_000);
    assert_eq!(group, SourceId::address(GROUP));
    for number in 1..=users {
        let user = directory.add_addressed_user(number);
        if number <= 10 {
            directory.add_member(&group, &user);
        }
    }
    directory
}

async fn world(users: u128) -> World {
    let mut world = World::new(directory(users)).await;
    world.import_done().await;
    world.events();
    world
}

/// Records by the address that they are known by.
fn by_address(world: &World) -> BTreeMap<String, Record> {
    [ObjectKind::User, ObjectKind::Group]
        .into_iter()
        .flat_map(|kind| world.records(kind).into_values())
        .flat_map(|record| {
            let ids: Vec<String> = record.identities.iter().map(|one| one.source_id.to_string()).collect();
            ids.into_iter().map(move |id| (id, record.clone()))
        })
        .collect()
}

/// Replays everything, strictly, and compares it with what an export and the store say.
#[track_caller]
fn told_truly(world: &World) {
    let mut replayed = Replica::default();
    replayed.follow(world.store(), &world.customer);
    replayed.agrees_with(world.store(), &world.customer, "replayed");
    replayed.same_as(&Replica::of_export(world.store(), &world.customer), "replayed and exported");
}

fn of_type(events: &[Event], event_type: EventType) -> Vec<Json> {
    events.iter().filter(|event| event.event_type == event_type).map(Event::data_value).collect()
}

fn members(world: &World, group: RecordId) -> Vec<RecordId> {
    let mut members = world.store().members(&world.customer, group).unwrap().0;
    members.sort_unstable();
    members
}

/// The groups that the directory tells, but not the one of everybody who comes through the endpoint.
fn groups(world: &World, member: RecordId) -> Vec<RecordId> {
    let told: BTreeSet<RecordId> = by_address(world).into_values().map(|record| record.id).collect();
    let mut groups = world.store().groups_of(&world.customer, member).unwrap();
    groups.retain(|group| told.contains(group));
    groups.sort_unstable();
    groups
}

fn alerts(events: &[Event], about: &str) -> usize {
    of_type(events, EventType::AlertRaised).iter().filter(|alert| alert["about"] == about).count()
}

#[tokio::test]
async fn whoever_has_another_address_stays_the_same_record_and_is_told_as_changed() {
    let mut world = world(40).await;
    let before = by_address(&world)[&address(4)].clone();
    world.endpoint.change(|directory| directory.readdress(&id(4), "ann.lee@corp.example"));
    let report = world.import_done().await;
    assert_eq!((report.created, report.updated, report.removed, report.missing), (0, 1, 0, 0), "{report:?}");
    assert_eq!((report.members_added, report.members_removed), (1, 1), "the membership is told under its new name");
    let events = world.events();
    let told = of_type(&events, EventType::UserUpserted);
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0]["record"]["id"], before.id.to_string());
    assert_eq!(told[0]["record"]["primary_email"], "ann.lee@corp.example");
    assert_eq!(told[0]["changed"], serde_json::json!(["identities", "primary_email"]));
    assert_eq!(told[0]["previous"]["primary_email"], address(4));
    assert_eq!(told[0]["record"]["missing_since"], Json::Null);
    for event in [EventType::MemberRemoved, EventType::MemberAdded] {
        let told = of_type(&events, event);
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(told[0]["member"], before.id.to_string(), "both lead to the same record");
    }
    let now = by_address(&world);
    assert_eq!(now.len(), 41);
    assert_eq!(now["ann.lee@corp.example"].id, before.id);
    assert!(!now.contains_key(&address(4)), "the old address is gone without a word");
    assert!(members(&world, now[GROUP].id).contains(&before.id));
    assert_eq!(groups(&world, before.id), [now[GROUP].id]);
    told_truly(&world);
    // And it stays so: again, back, and on.
    let again = world.import_done().await;
    assert_eq!((again.created, again.updated, again.missing, again.members_added), (0, 0, 0, 0), "{again:?}");
    for address in [&address(4), "ann@corp.example", "ann.lee@corp.example"] {
        world.endpoint.change(|directory| {
            let known = by_id(directory, "First4");
            directory.readdress(&known, address);
        });
        let report = world.import_done().await;
        assert_eq!((report.created, report.updated, report.missing), (0, 1, 0), "{address}: {report:?}");
        assert_eq!(by_address(&world)[address].id, before.id, "{address}");
        told_truly(&world);
    }
}

/// Finds who has a first name.
fn by_id(directory: &ScriptedDirectory, first: &str) -> SourceId {
    let mut all = directory.objects.iter();
    let found = all.find(|(_, object)| object.attributes.text(&names::FIRST_NAME) == Some(first));
    found.unwrap().0.clone()
}

#[tokio::test]
async fn an_address_and_a_name_that_change_at_once_are_one_change() {
    let mut world = world(40).await;
    let before = by_address(&world)[&address(4)].clone();
    world.endpoint.change(|directory| {
        directory.set(&id(4), names::LAST_NAME, "Married");
        directory.readdress(&id(4), "first4.married@corp.example");
    });
    let report = world.import_done().await;
    assert_eq!((report.created, report.updated, report.missing), (0, 1, 0), "{report:?}");
    let now = &by_address(&world)["first4.married@corp.example"];
    assert_eq!((now.id, now.attributes.text(&names::LAST_NAME)), (before.id, Some("Married")));
    assert_eq!(alerts(&world.events(), "address-given-on"), 0);
    told_truly(&world);
}

#[tokio::test]
async fn what_a_listing_does_not_know_survives_a_change_of_address() {
    let world = world(40).await;
    let local = by_address(&world)[&address(4)].id;
    world.endpoint.change(|directory| directory.set(&id(4), names::ALIASES, Value::list(["other@corp.example"])));
    world.import_done().await;
    world.endpoint.change(|directory| {
        let new = directory.readdress(&id(4), "ann@corp.example");
        if let Some(object) = directory.objects.get_mut(&new) {
            object.attributes.forget(&names::ALIASES);
        }
    });
    world.import_done().await;
    let now = &by_address(&world)["ann@corp.example"];
    assert_eq!(now.id, local);
    assert_eq!(now.attributes.get(&names::ALIASES), Some(&Value::list(["other@corp.example"])));
}

#[tokio::test]
async fn a_domain_that_is_renamed_trips_no_guard() {
    for (share, users, renamed) in [(20, 400, 20), (1, 60, 60)] {
        let mut world = world(users).await;
        let before = by_address(&world);
        world.endpoint.change(|directory| {
            for number in (1..=users).step_by(share) {
                directory.readdress(&id(number), &format!("user{number}@new.example"));
            }
        });
        let report = world.import().await;
        assert_eq!((report.outcome, report.parked), (Outcome::Done, 0), "{report:?}");
        assert_eq!((report.created, report.updated, report.removed, report.missing), (0, renamed, 0, 0), "{report:?}");
        assert_eq!(alerts(&world.events(), "listing-short"), 0);
        let now = by_address(&world);
        for number in 1..=users {
            let renamed = (number - 1) % share as u128 == 0;
            let address_now = if renamed { format!("user{number}@new.example") } else { address(number) };
            assert_eq!(now[&address_now].id, before[&address(number)].id, "{number}");
        }
        assert_eq!(members(&world, now[GROUP].id), members_before(&before), "{share}");
        told_truly(&world);
        assert_eq!(world.import_done().await.updated, 0);
    }
}

fn members_before(before: &BTreeMap<String, Record>) -> Vec<RecordId> {
    let mut ids: Vec<RecordId> = (1..=10).map(|number| before[&address(number)].id).collect();
    ids.sort_unstable();
    ids
}

#[tokio::test]
async fn a_group_that_has_another_address_keeps_its_members() {
    let world = world(40).await;
    let before = by_address(&world);
    world.endpoint.change(|directory| {
        let group = directory.readdress(&SourceId::address(GROUP), "staff@corp.example");
        directory.readdress(&id(4), "ann@corp.example");
        directory.remove_member(&group, &id(5));
        directory.add_member(&group, &id(11));
    });
    let report = world.import_done().await;
    assert_eq!((report.created, report.updated, report.removed, report.missing), (0, 2, 0, 0), "{report:?}");
    let now = by_address(&world);
    assert_eq!(now["staff@corp.example"].id, before[GROUP].id);
    let mut expected: Vec<RecordId> =
        [1, 2, 3, 4, 6, 7, 8, 9, 10, 11].iter().map(|number| before[&address(*number)].id).collect();
    expected.sort_unstable();
    assert_eq!(members(&world, before[GROUP].id), expected);
    told_truly(&world);
    let again = world.import_done().await;
    assert_eq!((again.members_added, again.members_removed), (0, 0), "{again:?}");
}

#[tokio::test]
async fn memberships_that_name_the_old_or_the_new_address_end_at_the_same_record() {
    let mut world = world(40).await;
    // The new address is a member already, of two groups, before it is listed: nobody knows whose it is.
    let new = SourceId::address("ann@corp.example");
    world.endpoint.change(|directory| {
        let other = directory.add_addressed_group(1_000_001);
        directory.add_member(&other, &new);
        directory.add_member(&SourceId::address(GROUP), &new);
    });
    world.import_done().await;
    let before = by_address(&world);
    world.endpoint.change(|directory| directory.readdress(&id(4), "ann@corp.example"));
    let report = world.import_done().await;
    assert_eq!((report.created, report.updated, report.missing), (0, 1, 0), "{report:?}");
    let now = by_address(&world);
    let ann = now["ann@corp.example"].id;
    assert_eq!(ann, before[&address(4)].id);
    let mut expected = vec![before[GROUP].id, before["group1000001@corp.example"].id];
    expected.sort_unstable();
    assert_eq!(groups(&world, ann), expected);
    assert_eq!(world.members_of(before[GROUP].id), 10, "once, not twice");
    told_truly(&world);
    world.events();
    // Ended, it has ended.
    world.endpoint.change(|directory| directory.remove_member(&SourceId::address(GROUP), &new));
    assert_eq!(world.import_done().await.members_removed, 1);
    assert_eq!(world.members_of(before[GROUP].id), 9);
    told_truly(&world);
}

#[tokio::test]
async fn who_is_not_listed_and_not_found_is_missing_and_never_removed_whatever_is_said() {
    for tombstones in [None, Some(TombstoneKind::Soft), Some(TombstoneKind::Hard)] {
        for outside in [false, true] {
            let world = world(40).await;
            world.endpoint.change(|directory| {
                directory.tombstones_readable = tombstones.is_some();
                if outside {
                    directory.outside.insert("elsewhere".into());
                    directory.move_to(&id(4), "elsewhere");
                } else {
                    directory.delete_as(&id(4), tombstones.unwrap_or(TombstoneKind::Hard));
                }
            });
            for _ in 0..3 {
                let report = world.import_done().await;
                assert_eq!((report.removed, report.members_removed), (0, 0), "{tombstones:?} {outside} {report:?}");
            }
            let now = by_address(&world);
            assert!(now[&address(4)].missing_since.is_some(), "{tombstones:?} {outside}");
            assert_eq!(world.members_of(now[GROUP].id), 10);
            told_truly(&world);
        }
    }
}

#[tokio::test]
async fn who_is_not_listed_and_found_under_the_same_address_is_not_missing_and_voids_nothing() {
    let mut world = world(40).await;
    world.endpoint.change(|directory| {
        directory.delete(&id(8));
        directory.set(&id(4), names::STATE, UserState::Suspended);
    });
    world.endpoint.lie([Lie::Drops((1..=5).map(id).collect())]);
    for _ in 0..2 {
        let report = world.import_done().await;
        assert_eq!(report.removed, 0, "{report:?}");
        let now = by_address(&world);
        assert!((1..=5).all(|number| now[&address(number)].missing_since.is_none()));
        assert!(now[&address(8)].missing_since.is_some(), "the others are missing all the same");
        assert_eq!(now[&address(4)].attributes.text(&names::STATE), Some("suspended"), "what was found is taken over");
        assert_eq!(alerts(&world.events(), "listing-short"), 0);
        told_truly(&world);
    }
}

#[tokio::test]
async fn a_new_address_that_the_listing_does_not_show_is_taken_over_from_the_look_up() {
    let world = world(40).await;
    let before = by_address(&world);
    let new = world.endpoint.change(|directory| directory.readdress(&id(4), "hidden@corp.example"));
    world.endpoint.lie([Lie::Drops(vec![new])]);
    let report = world.import_done().await;
    assert_eq!((report.created, report.updated, report.missing), (0, 1, 0), "{report:?}");
    assert_eq!(by_address(&world)["hidden@corp.example"].id, before[&address(4)].id);
    told_truly(&world);
}

#[tokio::test]
async fn while_look_ups_fail_nobody_is_missing_and_who_is_new_waits_since_it_may_be_somebody_known() {
    let mut world = world(40).await;
    let before = by_address(&world);
    world.endpoint.change(|directory| {
        directory.readdress(&id(4), "ann@corp.example");
        directory.add_addressed_user(50);
        directory.delete(&id(6));
    });
    world.endpoint.lie([Lie::LookupFails]);
    for _ in 0..2 {
        let report = world.import().await;
        assert_eq!((report.created, report.removed, report.missing), (0, 0, 0), "{report:?}");
        assert!(alerts(&world.events(), "look-up-failed") >= 1);
        told_truly(&world);
    }
    world.endpoint.lie([]);
    let report = world.import_done().await;
    assert_eq!((report.created, report.removed, report.missing), (1, 0, 1), "{report:?}");
    let now = by_address(&world);
    assert_eq!(now["ann@corp.example"].id, before[&address(4)].id);
    assert!(members(&world, now[GROUP].id).contains(&now["ann@corp.example"].id));
    told_truly(&world);
}

#[tokio::test]
async fn a_change_of_address_is_seen_in_a_listing_that_did_not_come_to_its_end() {
    let world = world(40).await;
    let before = by_address(&world);
    world.endpoint.change(|directory| {
        directory.readdress(&id(4), "ann@corp.example");
        directory.delete(&id(6));
    });
    world.endpoint.lie([Lie::LeavesUsersOpen]);
    let report = world.import_done().await;
    assert_eq!((report.created, report.updated, report.missing), (0, 1, 0), "{report:?}");
    let now = by_address(&world);
    assert_eq!(now["ann@corp.example"].id, before[&address(4)].id);
    assert!(now[&address(6)].missing_since.is_none());
    told_truly(&world);
}

#[tokio::test]
async fn somebody_new_is_imported_while_look_ups_fail_and_nobody_else_has_to_be_asked_for() {
    let world = world(40).await;
    world.endpoint.change(|directory| directory.add_addressed_user(50));
    world.endpoint.lie([Lie::LookupFails]);
    assert_eq!(world.import_done().await.created, 1);
}

#[tokio::test]
async fn a_plan_that_is_held_lets_a_change_of_address_through_and_approval_leaves_it() {
    let mut world = world(40).await;
    let before = by_address(&world);
    world.endpoint.change(|directory| {
        for number in 20..32 {
            directory.delete(&id(number));
        }
        directory.readdress(&id(4), "ann@corp.example");
        directory.readdress(&id(33), "bob@corp.example");
    });
    let held = world.import().await;
    assert_eq!((held.outcome, held.parked, held.missing, held.updated), (Outcome::Held, 12, 0, 2), "{held:?}");
    assert_eq!(by_address(&world)["ann@corp.example"].id, before[&address(4)].id);
    // One of those who are held turns out to have another address before it is approved.
    world.endpoint.change(|directory| {
        let mut object = directory.objects[&id(34)].clone();
        object.attributes.set(names::FIRST_NAME, "First20");
        object.attributes.set(names::LAST_NAME, "Last20");
        let new = SourceId::address("found@corp.example");
        directory.objects.insert(new.clone(), object);
        directory.forwarded.insert(id(20), new);
    });
    let approved = world.import_with(ImportOptions { approve: held.plan, ..ImportOptions::default() }).await;
    assert_eq!((approved.outcome, approved.missing, approved.removed), (Outcome::Done, 11, 0), "{approved:?}");
    let now = by_address(&world);
    assert_eq!(now["found@corp.example"].id, before[&address(20)].id);
    assert!(now["found@corp.example"].missing_since.is_none());
    assert!(world.service.parked(&world.customer).await.unwrap().is_empty());
    told_truly(&world);
    world.events();
    assert_eq!(world.import_done().await.missing, 0);
}

#[tokio::test]
async fn values_that_are_lost_with_a_change_of_address_are_held_and_approved_like_any() {
    let world = world(40).await;
    let before = by_address(&world);
    world.endpoint.change(|directory| {
        for number in 1..=20 {
            let new = directory.readdress(&id(number), &format!("new{number}@corp.example"));
            directory.set(&new, names::USERNAME, Value::Empty);
            directory.set(&new, names::DISPLAY_NAME, "Shown");
        }
    });
    let held = world.import().await;
    assert_eq!((held.outcome, held.parked, held.created, held.missing), (Outcome::Held, 20, 0, 0), "{held:?}");
    let now = by_address(&world);
    for number in 1..=20 {
        let record = &now[&format!("new{number}@corp.example")];
        assert_eq!(record.id, before[&address(number)].id);
        assert_eq!(record.attributes.text(&names::USERNAME), Some(format!("user{number}").as_str()), "it is held");
        assert_eq!(record.attributes.text(&names::DISPLAY_NAME), Some("Shown"));
    }
    let again = world.import().await;
    assert_eq!((again.outcome, &again.plan), (Outcome::Held, &held.plan));
    let approved = world.import_with(ImportOptions { approve: again.plan, ..ImportOptions::default() }).await;
    assert_eq!((approved.outcome, approved.updated), (Outcome::Done, 20), "{approved:?}");
    told_truly(&world);
}

#[tokio::test]
async fn a_dry_run_says_what_a_change_of_address_does_and_leaves_all_as_it_was() {
    let world = world(40).await;
    let before = by_address(&world);
    world.endpoint.change(|directory| directory.readdress(&id(4), "ann@corp.example"));
    let dry = world.import_with(ImportOptions { dry_run: true, ..ImportOptions::default() }).await;
    assert_eq!(dry.outcome, Outcome::Planned);
    assert_eq!((dry.created, dry.updated, dry.missing, dry.removed), (0, 1, 0, 0), "{dry:?}");
    assert_eq!(by_address(&world), before);
    let report = world.import_done().await;
    assert_eq!((report.updated, report.members_added), (dry.updated, dry.members_added), "{report:?} {dry:?}");
}

#[tokio::test]
async fn local_values_and_memberships_made_by_hand_stay_with_whoever_has_another_address() {
    let world = world(40).await;
    let record = by_address(&world)[&address(4)].id;
    let (directory, floor) = (world.service.directory(), AttributeName::extra("floor"));
    directory.edit(&world.customer, record, &Edit::new().set(floor.clone(), "3")).await.unwrap();
    let group = directory.add(&world.customer, &Draft::group("By hand")).await.unwrap();
    directory.add_members(&world.customer, group.id, &[record]).await.unwrap();
    world.endpoint.change(|directory| directory.readdress(&id(4), "ann@corp.example"));
    world.import_done().await;
    assert_eq!(by_address(&world)["ann@corp.example"].attributes.text(&floor), Some("3"));
    assert_eq!(members(&world, group.id), [record]);
    told_truly(&world);
}

#[tokio::test]
async fn nothing_but_the_address_makes_a_record_of_strong_ids_another_one() {
    // A look-up that tells another id of a strong one is not believed.
    let world = World::new(World::directory(40)).await;
    world.import_done().await;
    world.endpoint.change(|directory| {
        let new = directory.add_user(500, "oslo");
        directory.objects.remove(&ScriptedDirectory::id(15));
        directory.forwarded.insert(ScriptedDirectory::id(15), new);
    });
    let report = world.import_done().await;
    assert_eq!((report.created, report.removed, report.missing), (1, 0, 1), "{report:?}");
}
