//! Ids listed behind a delta: what the delta did not tell is found, and what a listing merely left out stays.

use std::time::Duration;

use tenantry::model::{EventType, Mode, ObjectKind, Outcome, TombstoneKind, Value, names};
use tenantry::testkit::{Lie, ScriptedDirectory, Telling};
use tenantry::{IdListing, ImportOptions};

use crate::dump::dump;
use crate::world::{World, count};

const DAY: Duration = Duration::from_hours(24);

/// A world whose deltas keep silent about what is gone.
async fn silent_world() -> World {
    let world = world().await;
    world.endpoint.set_removals(Telling::Silent);
    world
}

async fn world() -> World {
    let mut directory = World::directory(40);
    directory.outside.insert("attic".into());
    World::in_step(directory).await
}

#[tokio::test]
async fn what_a_delta_keeps_silent_about_is_found_gone_behind_it() {
    let world = silent_world().await;
    world.delete([4]);
    world.endpoint.change(|directory| {
        directory.move_to(&ScriptedDirectory::id(6), "attic");
        directory.add_user(500, "oslo");
    });
    let report = world.import_done().await;
    assert_eq!(report.mode, Mode::Delta);
    // Who left the scope is still listed by the group; who is gone is not.
    assert_eq!((report.created, report.removed, report.members_removed), (1, 2, 1), "{report:?}");
    assert_eq!(world.endpoint.id_listings(), 1);
}

#[tokio::test]
async fn where_tombstones_cannot_be_read_absence_and_look_up_are_the_proof() {
    let world = World::with_deltas(World::directory(40)).await;
    world.import_done().await;
    world.delete([4]);
    let report = world.import_done().await;
    assert_eq!((report.mode, report.removed, report.members_removed), (Mode::Delta, 1, 1), "{report:?}");
}

#[tokio::test]
async fn a_run_that_lists_ids_and_finds_nothing_writes_nothing() {
    let mut world = silent_world().await;
    world.endpoint.change(|directory| {
        directory.objects.get_mut(&ScriptedDirectory::id(3)).unwrap().unintelligible = true;
    });
    world.import_done().await;
    world.events();
    let before = dump(&world);
    let report = world.import_done().await;
    assert_eq!((report.mode, world.endpoint.id_listings()), (Mode::Delta, 2), "{report:?}");
    assert_eq!(dump(&world), before);
    let events = world.events();
    assert_eq!((events.len(), count(&events, EventType::ImportFinished)), (1, 1));
}

#[tokio::test]
async fn an_id_listing_that_is_short_or_empty_or_loses_a_container_removes_nothing_and_does_not_count() {
    for lie in [
        Lie::IdsEmpty,
        Lie::IdsDrop((1..=3).map(ScriptedDirectory::id).collect()),
        Lie::IdsHide("berlin".into()),
        Lie::Empty,
    ] {
        let mut world = world().await;
        world.clock.advance(DAY);
        world.endpoint.lie([lie.clone()]);
        let report = world.import().await;
        assert_eq!((report.removed, report.missing, report.members_removed), (0, 0, 0), "{lie:?} {report:?}");
        assert!(count(&world.events(), EventType::AlertRaised) > 0, "{lie:?}");
        // The next one comes at once, not a day later, although it is thought that deltas tell what is gone.
        world.delete([30]);
        world.endpoint.lie([Lie::DeltaDropsPage(0)]);
        let report = world.import_done().await;
        assert_eq!((report.mode, report.removed, world.endpoint.id_listings()), (Mode::Delta, 1, 2), "{lie:?}");
        world.import_done().await;
        assert_eq!(world.endpoint.id_listings(), 2);
    }
}

#[tokio::test]
async fn an_id_listing_behind_which_nobody_can_be_looked_up_removes_nothing_and_does_not_count() {
    let mut world = world().await;
    world.clock.advance(DAY);
    world.delete([30]);
    world.endpoint.change(|directory| directory.add_user(500, "oslo"));
    world.endpoint.lie([Lie::DeltaDropsPage(0), Lie::LookupFails]);
    let report = world.import_done().await;
    assert_eq!((report.created, report.removed, report.missing), (0, 0, 0), "{report:?}");
    assert_eq!(count(&world.events(), EventType::AlertRaised), 2);
    world.endpoint.lie([]);
    let report = world.import_done().await;
    assert_eq!((report.mode, report.created, report.removed), (Mode::Delta, 1, 1), "{report:?}");
}

#[tokio::test]
async fn a_container_that_nobody_can_see_any_more_is_not_gone() {
    let world = silent_world().await;
    world.endpoint.lie([Lie::Hides("berlin".into())]);
    let report = world.import().await;
    assert_eq!((report.removed, report.missing), (0, 0), "{report:?}");
    assert_eq!(report.parked, 20);
}

#[tokio::test]
async fn who_moved_and_nobody_understands_vouches_for_nobody_at_the_old_place() {
    let mut directory = World::directory(40);
    directory.add_user(500, "hut");
    directory.add_user(501, "hut");
    let world = World::with_deltas(directory).await;
    world.import_done().await;
    // Garbled, its move is told to nobody; later on the place is hidden, and it is not there any more.
    world.endpoint.change(|directory| {
        let id = ScriptedDirectory::id(500);
        directory.move_to(&id, "oslo");
        directory.objects.get_mut(&id).unwrap().unintelligible = true;
    });
    world.import_done().await;
    world.endpoint.lie([Lie::Hides("hut".into())]);
    let report = world.import_done().await;
    assert_eq!((report.mode, report.removed, report.missing), (Mode::Delta, 0, 1), "{report:?}");
}

#[tokio::test]
async fn who_moved_and_was_not_told_to_vouches_for_nobody_at_the_old_place() {
    let mut directory = World::directory(40);
    directory.add_user(500, "hut");
    directory.add_user(501, "hut");
    let world = World::with_deltas(directory).await;
    world.import_done().await;
    world.endpoint.change(|directory| directory.move_to(&ScriptedDirectory::id(500), "oslo"));
    world.endpoint.lie([Lie::DeltaDropsPage(0), Lie::Hides("hut".into())]);
    let report = world.import_done().await;
    assert_eq!((report.mode, report.removed, report.missing), (Mode::Delta, 0, 1), "{report:?}");
}

#[tokio::test]
async fn rights_that_are_lost_while_ids_are_listed_prove_nothing() {
    let world = silent_world().await;
    world.delete([4]);
    world.endpoint.lie([Lie::LosesRightsAfter(2)]);
    let report = world.import().await;
    assert_eq!((report.removed, report.missing, report.parked), (0, 0, 0), "{report:?}");
    world.endpoint.lie([]);
    assert_eq!(world.import_done().await.removed, 1);
}

#[tokio::test]
async fn an_id_listing_that_fails_fails_the_run_and_the_delta_is_told_again() {
    let world = silent_world().await;
    world.delete([4]);
    world.endpoint.change(|directory| directory.add_user(500, "oslo"));
    world.endpoint.lie([Lie::IdsFailAfter(3)]);
    let failed = world.import().await;
    assert_eq!((failed.outcome, failed.mode, failed.created), (Outcome::Failed, Mode::Delta, 0));
    world.endpoint.lie([]);
    let report = world.import_done().await;
    assert_eq!((report.mode, report.created, report.removed), (Mode::Delta, 1, 1));
}

#[tokio::test]
async fn a_delta_that_fails_leaves_its_cursor_where_it_was() {
    let world = world().await;
    world.delete([4]);
    world.endpoint.change(|directory| {
        for number in 500..520 {
            directory.add_user(number, "oslo");
        }
    });
    world.endpoint.lie([Lie::DeltaFailsAfter(2)]);
    assert_eq!(world.import().await.outcome, Outcome::Failed);
    world.endpoint.lie([]);
    let report = world.import_done().await;
    assert_eq!((report.mode, report.created, report.removed), (Mode::Delta, 20, 1));
}

#[tokio::test]
async fn ids_are_listed_once_a_day_where_deltas_tell_what_is_gone_and_as_often_as_is_configured() {
    let world = world().await;
    world.import_done().await;
    assert_eq!(world.endpoint.id_listings(), 0);
    world.clock.advance(DAY);
    world.import_done().await;
    world.import_done().await;
    assert_eq!(world.endpoint.id_listings(), 1);
    let every =
        |hours| ImportOptions { id_listing: IdListing::Every(Duration::from_hours(hours)), ..Default::default() };
    world.clock.advance(Duration::from_hours(5));
    world.import_with(every(6)).await;
    assert_eq!(world.endpoint.id_listings(), 1);
    world.clock.advance(Duration::from_hours(1));
    world.import_with(every(6)).await;
    assert_eq!(world.endpoint.id_listings(), 2);
    // A snapshot lists them too.
    world.clock.advance(Duration::from_hours(5));
    world.import_with(ImportOptions { full: true, ..ImportOptions::default() }).await;
    world.clock.advance(Duration::from_hours(5));
    world.import_with(every(6)).await;
    assert_eq!(world.endpoint.id_listings(), 2);
    // Configured, an interval holds also where deltas are silent.
    world.endpoint.set_removals(Telling::Silent);
    world.import_with(every(6)).await;
    assert_eq!(world.endpoint.id_listings(), 2);
    world.import_done().await;
    assert_eq!(world.endpoint.id_listings(), 3);
}

#[tokio::test]
async fn who_is_there_although_the_delta_said_nothing_is_imported() {
    let world = silent_world().await;
    world.endpoint.change(|directory| {
        directory.add_user(500, "oslo");
        directory.add_computer(501, "machines");
    });
    world.endpoint.lie([Lie::DeltaDropsPage(0)]);
    let report = world.import_done().await;
    assert_eq!((report.mode, report.created, report.removed), (Mode::Delta, 2, 0), "{report:?}");
}

#[tokio::test]
async fn a_group_that_the_delta_did_not_tell_comes_with_its_members_by_a_snapshot() {
    let world = silent_world().await;
    world.endpoint.change(|directory| {
        let group = directory.add_group(1_000_001);
        directory.add_member(&group, &ScriptedDirectory::id(7));
    });
    world.endpoint.lie([Lie::DeltaDropsPage(0)]);
    let report = world.import_done().await;
    assert_eq!((report.mode, report.created, report.members_added), (Mode::Snapshot, 1, 1), "{report:?}");
    world.endpoint.lie([]);
    assert_eq!(world.import_done().await.mode, Mode::Delta);
}

#[tokio::test]
async fn nobody_asks_for_a_snapshot_because_of_what_nobody_understands() {
    let world = silent_world().await;
    world.endpoint.change(|directory| {
        for id in [directory.add_user(500, "oslo"), directory.add_group(1_000_001)] {
            directory.objects.get_mut(&id).unwrap().unintelligible = true;
        }
    });
    for _ in 0..2 {
        let report = world.import_done().await;
        assert_eq!((report.mode, report.created), (Mode::Delta, 0), "{report:?}");
    }
}

#[tokio::test]
async fn who_is_missing_and_is_listed_again_reappears() {
    let world = silent_world().await;
    // Alone in its place: nobody vouches for its absence.
    world.endpoint.change(|directory| directory.move_to(&ScriptedDirectory::id(5), "hut"));
    world.import_done().await;
    world.endpoint.lie([Lie::Hides("hut".into())]);
    assert_eq!(world.import_done().await.missing, 1);
    world.endpoint.lie([]);
    let report = world.import_done().await;
    assert_eq!((report.mode, report.updated), (Mode::Delta, 1), "{report:?}");
    let users = world.records(ObjectKind::User);
    assert!(users.values().all(|user| user.missing_since.is_none()));
}

#[tokio::test]
async fn values_and_memberships_that_are_parked_wait_through_id_listings() {
    let world = silent_world().await;
    let group = ScriptedDirectory::id(1_000_000);
    world.endpoint.change(|directory| {
        for number in 11..=30 {
            directory.set(&ScriptedDirectory::id(number), names::PRIMARY_EMAIL, Value::Empty);
        }
        for number in 1..=8 {
            directory.remove_member(&group, &ScriptedDirectory::id(number));
        }
    });
    let held = world.import().await;
    assert_eq!((held.outcome, held.parked), (Outcome::Held, 28));
    // Whether they can be read again or not: to be listed is not to be read.
    for (lies, listings) in [(vec![Lie::LookupFails, Lie::SecondReadingFails], 2), (Vec::new(), 3)] {
        world.endpoint.lie(lies);
        let later = world.import().await;
        assert_eq!((later.plan.as_ref(), world.endpoint.id_listings()), (held.plan.as_ref(), listings), "{later:?}");
    }
    let approved = world.import_with(ImportOptions { approve: held.plan, ..ImportOptions::default() }).await;
    assert_eq!((approved.outcome, approved.updated, approved.members_removed), (Outcome::Done, 20, 8));
}

#[tokio::test]
async fn removals_that_are_parked_behind_an_id_listing_go_when_approved() {
    let world = silent_world().await;
    world.delete(20..35);
    let held = world.import().await;
    assert_eq!((held.outcome, held.parked, held.mode), (Outcome::Held, 15, Mode::Delta));
    assert_eq!(world.import().await.plan, held.plan);
    let approved = world.import_with(ImportOptions { approve: held.plan, ..ImportOptions::default() }).await;
    assert_eq!((approved.outcome, approved.removed), (Outcome::Done, 15));
}

#[tokio::test]
async fn who_is_told_to_be_gone_and_is_back_when_the_ids_are_listed_stays() {
    let world = world().await;
    let id = ScriptedDirectory::id(4);
    world.endpoint.change(|directory| directory.delete_as(&id, TombstoneKind::Soft));
    world.clock.advance(DAY);
    // Restored between the delta, which said that it is gone, and the id listing.
    let back = id.clone();
    world.endpoint.change_while_listing(0, move |directory| {
        directory.restore(&back);
        directory.set(&back, names::LAST_NAME, "Back");
    });
    let report = world.import_done().await;
    assert_eq!((report.mode, report.removed, report.updated), (Mode::Delta, 0, 1), "{report:?}");
    let report = world.import_done().await;
    assert_eq!((report.updated, report.members_added, report.members_removed), (0, 0, 0), "{report:?}");
}

#[tokio::test]
async fn a_dry_run_lists_ids_and_leaves_everything_as_it_was() {
    let mut world = silent_world().await;
    world.delete([4]);
    let before = dump(&world);
    let report = world.import_with(ImportOptions { dry_run: true, ..ImportOptions::default() }).await;
    assert_eq!((report.outcome, report.mode, report.removed), (Outcome::Planned, Mode::Delta, 1), "{report:?}");
    assert_eq!(dump(&world), before);
    assert!(world.events().is_empty());
    assert_eq!(world.import_done().await.removed, 1);
}

#[tokio::test]
async fn an_expired_cursor_is_answered_by_a_snapshot() {
    let world = silent_world().await;
    world.delete([4]);
    world.endpoint.expire_cursors();
    let report = world.import_done().await;
    assert_eq!((report.mode, report.removed), (Mode::Snapshot, 1));
    assert_eq!(world.import_done().await.mode, Mode::Delta);
}
