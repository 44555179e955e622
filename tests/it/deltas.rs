//! Changes since a cursor: what they bring, what they must not forget.

use tenantry::model::{GuardLimits, Limit, Mode, ObjectKind, Outcome, RunReport, TombstoneKind, Value, names};
use tenantry::testkit::{Lie, ScriptedDirectory, Telling};
use tenantry::{Endpoint, ImportOptions};

use crate::world::World;

async fn world(users: u128) -> World {
    World::in_step(World::directory(users)).await
}

#[tokio::test]
async fn a_delta_brings_changes_and_removals() {
    let world = world(40).await;
    world.delete([4]);
    world.endpoint.change(|directory| {
        directory.add_user(500, "oslo");
        directory.set(&ScriptedDirectory::id(3), names::LAST_NAME, "Changed");
    });
    let report = world.import_done().await;
    assert_eq!(report.mode, Mode::Delta);
    assert_eq!((report.created, report.updated, report.removed, report.members_removed), (1, 1, 1, 1));
    assert_eq!(world.import_done().await.removed, 0);
}

#[tokio::test]
async fn removals_parked_by_a_delta_wait_through_later_ones_and_go_when_approved() {
    let world = world(40).await;
    world.delete(20..35);
    let held = world.import().await;
    assert_eq!((held.outcome, held.parked), (Outcome::Held, 15));
    // The directory does not tell it twice.
    let later = world.import().await;
    assert_eq!((later.mode, later.outcome), (Mode::Delta, Outcome::Held));
    assert_eq!(later.plan, held.plan);
    assert_eq!(world.service.parked(&world.customer).await.unwrap().len(), 1);
    let approved = world.import_with(ImportOptions { approve: held.plan, ..ImportOptions::default() }).await;
    assert_eq!((approved.outcome, approved.removed), (Outcome::Done, 15));
    assert_eq!(world.records(ObjectKind::User).len(), 25);
}

#[tokio::test]
async fn who_is_back_while_a_removal_is_parked_is_not_removed() {
    let world = world(40).await;
    world.delete(20..35);
    let held = world.import().await;
    world.endpoint.change(|directory| directory.add_user(22, "oslo"));
    let rest = world.import().await;
    assert_ne!(rest.plan, held.plan);
    let approved = world.import_with(ImportOptions { approve: rest.plan, ..ImportOptions::default() }).await;
    assert_eq!(world.records(ObjectKind::User).len(), 26, "{approved:?}");
}

#[tokio::test]
async fn memberships_parked_by_a_delta_go_when_approved() {
    let world = world(40).await;
    let group = ScriptedDirectory::id(1_000_000);
    world.endpoint.change(|directory| {
        for number in 1..=8 {
            directory.remove_member(&group, &ScriptedDirectory::id(number));
        }
    });
    let held = world.import().await;
    assert_eq!((held.outcome, held.parked), (Outcome::Held, 8));
    assert_eq!(world.import().await.plan, held.plan);
    let approved = world.import_with(ImportOptions { approve: held.plan, ..ImportOptions::default() }).await;
    assert_eq!((approved.outcome, approved.members_removed), (Outcome::Done, 8));
}

#[tokio::test]
async fn values_parked_by_a_delta_go_when_approved() {
    let world = world(40).await;
    world.endpoint.change(|directory| {
        for number in 1..=20 {
            directory.set(&ScriptedDirectory::id(number), names::PRIMARY_EMAIL, Value::Empty);
        }
    });
    let held = world.import().await;
    assert_eq!((held.outcome, held.parked), (Outcome::Held, 20));
    assert_eq!(world.import().await.plan, held.plan);
    let approved = world.import_with(ImportOptions { approve: held.plan, ..ImportOptions::default() }).await;
    assert_eq!((approved.outcome, approved.updated), (Outcome::Done, 20));
}

#[tokio::test]
async fn an_interrupted_apply_of_a_delta_still_wakes_memberships() {
    let world = world(40).await;
    let (id, group) = (ScriptedDirectory::id(4), ScriptedDirectory::id(1_000_000));
    let object = world.endpoint.change(|directory| {
        let object = directory.objects[&id].clone();
        directory.delete_as(&id, TombstoneKind::Soft);
        object
    });
    world.import_done().await;
    // Something parked, so that there is a look-up at which to stop before the plan is applied.
    world.delete(20..35);
    world.import().await;
    world.endpoint.change(|directory| {
        directory.objects.insert(id.clone(), object);
        directory.tombstones.remove(&id);
        directory.add_member(&group, &id);
    });
    world.endpoint.lie([Lie::CancelsAtLookup]);
    let name = world.endpoint.info().name.clone();
    let lock = std::fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(world.folder.path().join("state.db.work/c1.apply"))
        .unwrap();
    lock.lock().unwrap();
    let stopped = world.service.import(&world.customer, &name, ImportOptions::default()).await.unwrap();
    assert_eq!(stopped.outcome, Outcome::Cancelled);
    lock.unlock().unwrap();
    world.endpoint.lie([]);
    assert_eq!(world.import().await.members_added, 1);
}

#[tokio::test]
async fn a_restored_object_wakes_its_memberships_although_its_groups_say_nothing() {
    for snapshot in [false, true] {
        let world = world(40).await;
        let id = ScriptedDirectory::id(4);
        let group = ScriptedDirectory::id(1_000_000);
        let object = world.endpoint.change(|directory| {
            let object = directory.objects[&id].clone();
            directory.delete_as(&id, TombstoneKind::Soft);
            object
        });
        let report = world.import_with(ImportOptions { full: snapshot, ..ImportOptions::default() }).await;
        assert_eq!((report.removed, report.members_removed), (1, 1));
        world.endpoint.change(|directory| {
            directory.objects.insert(id.clone(), object);
            directory.tombstones.remove(&id);
            directory.add_member(&group, &id);
        });
        assert_eq!(world.import_done().await.members_added, 1, "deleted seen by a snapshot: {snapshot}");
        assert_eq!(world.import_with(ImportOptions { full: true, ..ImportOptions::default() }).await.members_added, 0);
    }
}

#[tokio::test]
async fn a_listing_in_which_rights_were_lost_moves_no_cursor_past_what_it_did_not_see() {
    let world = World::with_deltas(World::directory(40)).await;
    world.endpoint.lie([Lie::LosesRightsAfter(3)]);
    let short = world.import_done().await;
    assert!(short.created < 45, "{short:?}");
    // The right is back, and nothing says that it was gone.
    world.endpoint.lie([]);
    let report = world.import_done().await;
    assert_eq!((report.mode, short.created + report.created), (Mode::Snapshot, 45));
}

#[tokio::test]
async fn a_deleted_group_ends_its_memberships_and_a_restored_one_wakes_them_although_its_members_are_not_told() {
    let world = world(40).await;
    world.endpoint.set_restored_groups(Telling::Silent);
    let group = ScriptedDirectory::id(1_000_000);
    let user = ScriptedDirectory::id(4);
    world.endpoint.change(|directory| {
        directory.objects.get_mut(&user).unwrap().primary_group = Some(group.clone());
    });
    assert_eq!(world.import_done().await.members_added, 1);
    world.endpoint.change(|directory| directory.delete_as(&group, TombstoneKind::Soft));
    let report = wide(&world).await;
    assert_eq!((report.removed, report.members_removed), (1, 11), "{report:?}");
    // Members that are deleted meanwhile come back with themselves, or never; those out of scope are members still.
    world.endpoint.change(|directory| {
        directory.outside.insert("attic".into());
        directory.delete_as(&ScriptedDirectory::id(1), TombstoneKind::Soft);
        directory.delete(&ScriptedDirectory::id(2));
        directory.move_to(&ScriptedDirectory::id(3), "attic");
    });
    assert_eq!(wide(&world).await.removed, 3);
    assert!(world.endpoint.change(|directory| directory.restore(&group)));
    let report = wide(&world).await;
    assert_eq!((report.mode, report.created, report.members_added), (Mode::Delta, 1, 9), "{report:?}");
    // One of them in two ways.
    assert_eq!(world.members_of(world.group()), 8);
    // The scripted delta tells of who was in the bin together with a group; here it is the other end alone that wakes.
    world.endpoint.change(|directory| {
        directory.asleep.clear();
        directory.restore(&ScriptedDirectory::id(1));
    });
    assert_eq!(wide(&world).await.members_added, 1);
    let full = world.import_with(ImportOptions { full: true, ..ImportOptions::default() }).await;
    assert_eq!(full.members_added, 0, "{full:?}");
}

#[tokio::test]
async fn who_is_restored_before_its_group_is_a_member_once_the_group_is_back() {
    let world = world(40).await;
    world.endpoint.set_restored_groups(Telling::Silent);
    let (group, user) = (ScriptedDirectory::id(1_000_000), ScriptedDirectory::id(4));
    for id in [&user, &group] {
        world.endpoint.change(|directory| directory.delete_as(id, TombstoneKind::Soft));
        wide(&world).await;
    }
    assert!(world.endpoint.change(|directory| directory.restore(&user)));
    assert_eq!(wide(&world).await.members_added, 0);
    assert!(world.endpoint.change(|directory| directory.restore(&group)));
    let report = wide(&world).await;
    assert_eq!((report.mode, report.members_added), (Mode::Delta, 10), "{report:?}");
}

#[tokio::test]
async fn who_is_restored_with_another_primary_group_is_in_that_one_alone() {
    let world = world(40).await;
    let (user, other) = (ScriptedDirectory::id(14), ScriptedDirectory::id(1_000_001));
    let name = |group: u128| {
        world.endpoint.change(|directory| {
            directory.objects.get_mut(&user).unwrap().primary_group = Some(ScriptedDirectory::id(group));
        });
    };
    world.endpoint.change(|directory| directory.add_group(1_000_001));
    name(1_000_000);
    assert_eq!(world.import_done().await.members_added, 1);
    world.endpoint.change(|directory| directory.delete_as(&user, TombstoneKind::Soft));
    assert_eq!(world.import_done().await.members_removed, 1);
    assert!(world.endpoint.change(|directory| directory.restore(&user)));
    name(1_000_001);
    assert_eq!(world.import_done().await.members_added, 1);
    let groups = world.records(ObjectKind::Group);
    let other = groups.values().find(|record| record.identities.iter().any(|id| id.source_id == other)).unwrap();
    assert_eq!(world.members_of(other.id), 1);
}

#[tokio::test]
async fn a_group_that_comes_back_into_scope_without_members_has_none() {
    let world = world(40).await;
    let group = ScriptedDirectory::id(1_000_000);
    world.endpoint.change(|directory| {
        directory.outside.insert("attic".into());
        directory.move_to(&group, "attic");
    });
    assert_eq!(wide(&world).await.members_removed, 10);
    world.endpoint.change(|directory| {
        directory.members.get_mut(&group).unwrap().clear();
        directory.move_to(&group, "groups");
    });
    let report = wide(&world).await;
    assert_eq!((report.mode, report.created, report.members_added), (Mode::Delta, 1, 0), "{report:?}");
}

/// Imports with nothing held back.
async fn wide(world: &World) -> RunReport {
    let all = Limit::new(1.0, 1_000_000);
    let guard = GuardLimits::of_all(all);
    let report = world.import_with(ImportOptions { guard, ..ImportOptions::default() }).await;
    assert_eq!(report.outcome, Outcome::Done, "{report:?}");
    report
}
