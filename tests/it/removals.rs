//! What goes, what is parked, and what a lying listing cannot do.

use tenantry::ImportOptions;
use tenantry::model::{EventType, ObjectKind, Outcome, Value, names};
use tenantry::testkit::{Lie, ScriptedDirectory};

use crate::world::{World, count};

fn delete(world: &World, numbers: impl IntoIterator<Item = u128>) {
    world.endpoint.change(|directory| {
        for number in numbers {
            directory.delete(&ScriptedDirectory::id(number));
        }
    });
}

#[tokio::test]
async fn a_deleted_user_goes_with_its_memberships() {
    let mut world = World::new(World::directory(40)).await;
    world.import_done().await;
    world.events();
    delete(&world, [4]);
    let report = world.import_done().await;
    assert_eq!((report.removed, report.members_removed, report.missing), (1, 1, 0));
    let events = world.events();
    assert_eq!(count(&events, EventType::UserRemoved), 1);
    assert_eq!(count(&events, EventType::MemberRemoved), 1);
    assert_eq!(world.records(ObjectKind::User).len(), 39);
    assert_eq!(world.import_done().await.removed, 0);
}

#[tokio::test]
async fn more_than_the_guard_allows_is_parked_and_hires_flow() {
    let mut world = World::new(World::directory(40)).await;
    world.import_done().await;
    world.events();
    delete(&world, 20..32);
    world.endpoint.change(|directory| directory.add_user(500, "oslo"));
    let report = world.import().await;
    assert_eq!((report.outcome, report.removed, report.created), (Outcome::Held, 0, 1));
    assert_eq!(report.parked, 12);
    let events = world.events();
    assert_eq!(count(&events, EventType::RemovalsParked), 1);
    // The same set is told once, and has the same id.
    let again = world.import().await;
    assert_eq!(again.plan, report.plan);
    assert_eq!(count(&world.events(), EventType::RemovalsParked), 0);
    // Approved, it goes.
    let approved = world.import_with(ImportOptions { approve: report.plan, ..ImportOptions::default() }).await;
    assert_eq!((approved.outcome, approved.removed), (Outcome::Done, 12));
    assert_eq!(world.records(ObjectKind::User).len(), 29);
    assert!(world.service.parked(&world.customer).await.unwrap().is_empty());
}

#[tokio::test]
async fn approval_covers_a_subset_and_judges_anything_more_alone() {
    let world = World::new(World::directory(40)).await;
    world.import_done().await;
    delete(&world, 20..32);
    let held = world.import().await;
    // One of them is back, and two others left.
    world.endpoint.change(|directory| directory.add_user(20, "berlin"));
    delete(&world, [33, 34]);
    let report = world.import_with(ImportOptions { approve: held.plan, ..ImportOptions::default() }).await;
    assert_eq!((report.outcome, report.removed), (Outcome::Done, 13));
}

#[tokio::test]
async fn an_empty_listing_removes_nothing() {
    let mut world = World::new(World::directory(40)).await;
    world.import_done().await;
    world.events();
    world.endpoint.lie([Lie::Empty]);
    let report = world.import().await;
    assert_eq!((report.removed, report.missing, report.members_removed), (0, 0, 0), "{report:?}");
    let events = world.events();
    assert!(count(&events, EventType::AlertRaised) >= 1);
    assert_eq!(world.records(ObjectKind::User).len(), 40);
}

#[tokio::test]
async fn rows_that_a_listing_drops_are_found_and_kept() {
    let world = World::new(World::directory(40)).await;
    world.import_done().await;
    world.endpoint.lie([Lie::Drops(vec![ScriptedDirectory::id(7), ScriptedDirectory::id(8)])]);
    let report = world.import_done().await;
    assert_eq!((report.removed, report.missing, report.members_removed), (0, 0, 0));
    assert_eq!(world.records(ObjectKind::User).len(), 40);
}

#[tokio::test]
async fn a_container_that_turns_unreadable_removes_nobody() {
    for tombstones in [false, true] {
        let world = World::new(World::directory(40)).await;
        world.endpoint.change(|directory| directory.tombstones_readable = tombstones);
        world.import_done().await;
        world.endpoint.lie([Lie::Hides("berlin".into())]);
        let report = world.import().await;
        assert_eq!((report.removed, report.members_removed), (0, 0), "{report:?}");
        assert_eq!(world.records(ObjectKind::User).len(), 40);
        world.endpoint.lie([]);
        world.import_done().await;
        assert!(world.records(ObjectKind::User).values().all(|user| user.missing_since.is_none()));
    }
}

#[tokio::test]
async fn a_truncated_member_list_ends_no_membership() {
    let world = World::new(World::directory(40)).await;
    world.import_done().await;
    world.endpoint.lie([Lie::Truncates(ScriptedDirectory::id(1_000_000), 6)]);
    let report = world.import_done().await;
    assert_eq!(report.members_removed, 0);
    assert_eq!(world.members_of(world.group()), 10);
}

#[tokio::test]
async fn rights_lost_in_mid_listing_remove_nothing() {
    let world = World::new(World::directory(40)).await;
    world.import_done().await;
    world.endpoint.lie([Lie::LosesRightsAfter(2)]);
    let report = world.import().await;
    assert_eq!((report.removed, report.missing, report.members_removed), (0, 0, 0));
    assert_eq!(world.records(ObjectKind::User).len(), 40);
}

#[tokio::test]
async fn a_changed_filter_parks_what_it_would_remove_until_approved() {
    let world = World::new(World::directory(40)).await;
    world.import_done().await;
    world.endpoint.set_filter("(department=x)");
    delete(&world, [5]);
    let held = world.import().await;
    assert_eq!((held.outcome, held.removed, held.parked), (Outcome::Held, 0, 1));
    // It does not go by itself on the next run either.
    assert_eq!(world.import().await.removed, 0);
    let report = world.import_with(ImportOptions { approve: held.plan, ..ImportOptions::default() }).await;
    assert_eq!((report.outcome, report.removed), (Outcome::Done, 1));
    delete(&world, [6]);
    assert_eq!(world.import_done().await.removed, 1);
}

#[tokio::test]
async fn a_right_that_is_gained_asks_for_no_approval_and_one_that_is_lost_does() {
    let world = World::new(World::directory(40)).await;
    world.import_done().await;
    // The first deletion shows that tombstones can be read.
    world.endpoint.change(|directory| directory.tombstones_readable = true);
    delete(&world, [5]);
    assert_eq!(world.import_done().await.removed, 1);
    world.endpoint.change(|directory| directory.tombstones_readable = false);
    delete(&world, [6]);
    let held = world.import().await;
    assert_eq!((held.outcome, held.removed, held.parked), (Outcome::Held, 0, 1));
}

#[tokio::test]
async fn another_directory_behind_the_endpoint_is_refused() {
    let world = World::new(World::directory(40)).await;
    world.import_done().await;
    world.endpoint.change(|directory| directory.identity = "domain-2".into());
    let report = world.import().await;
    assert_eq!(report.outcome, Outcome::Failed);
    assert!(report.error.unwrap().contains("another directory"));
    assert_eq!(world.records(ObjectKind::User).len(), 40);
}

#[tokio::test]
async fn a_first_listing_without_a_user_is_a_failure() {
    let world = World::new(World::directory(0)).await;
    let report = world.import().await;
    assert_eq!(report.outcome, Outcome::Failed);
    assert!(report.error.unwrap().contains("nothing visible"));
}

#[tokio::test]
async fn a_look_up_that_fails_removes_nothing_and_everything_else_goes_on() {
    let world = World::new(World::directory(40)).await;
    world.import_done().await;
    delete(&world, [5]);
    world.endpoint.change(|directory| directory.add_user(600, "oslo"));
    world.endpoint.lie([Lie::LookupFails]);
    let report = world.import_done().await;
    assert_eq!((report.removed, report.created), (0, 1));
    world.endpoint.lie([]);
    assert_eq!(world.import_done().await.removed, 1);
}

#[tokio::test]
async fn mail_blanked_on_half_of_the_people_is_held_and_other_changes_flow() {
    let world = World::new(World::directory(40)).await;
    world.import_done().await;
    world.endpoint.change(|directory| {
        for number in 1..=20 {
            directory.set(&ScriptedDirectory::id(number), names::PRIMARY_EMAIL, Value::Empty);
        }
        directory.set(&ScriptedDirectory::id(1), names::LAST_NAME, "New");
    });
    let report = world.import().await;
    assert_eq!((report.outcome, report.parked, report.updated), (Outcome::Held, 20, 1));
    let users = world.records(ObjectKind::User);
    assert!(users.values().all(|user| user.attributes.text(&names::PRIMARY_EMAIL).is_some()));
    let approved = world.import_with(ImportOptions { approve: report.plan, ..ImportOptions::default() }).await;
    assert_eq!((approved.outcome, approved.updated), (Outcome::Done, 20));
}

#[tokio::test]
async fn attributes_that_turn_unreadable_overwrite_nothing() {
    let world = World::new(World::directory(40)).await;
    world.import_done().await;
    world.endpoint.lie([Lie::Unreadable(vec![names::PRIMARY_EMAIL, names::LAST_NAME])]);
    let report = world.import_done().await;
    assert_eq!(report.updated, 0);
    let users = world.records(ObjectKind::User);
    assert!(users.values().all(|user| user.attributes.text(&names::PRIMARY_EMAIL).is_some()));
}

#[tokio::test]
async fn a_slow_drip_over_ten_runs_takes_no_more_in_a_day_than_one_run_may() {
    let world = World::new(World::directory(60)).await;
    world.import_done().await;
    let mut removed = 0;
    for day in 0..10_u128 {
        delete(&world, [1 + day * 2, 2 + day * 2]);
        removed += world.import().await.removed;
    }
    assert!(removed <= 6, "{removed}");
    world.clock.advance(std::time::Duration::from_hours(25));
    let next = world.import().await;
    assert_eq!(next.removed, 0, "the rest is more than one run may");
}

#[tokio::test]
async fn what_went_is_remembered_for_the_guard_and_not_for_ever() {
    let world = World::new(World::directory(60)).await;
    world.import_done().await;
    let remembered = || -> i64 {
        let file = rusqlite::Connection::open(world.folder.path().join("state.db")).unwrap();
        file.query_row("SELECT count(DISTINCT at) FROM losses", [], |row| row.get(0)).unwrap()
    };
    for day in 1..=20_u128 {
        delete(&world, [day]);
        assert_eq!(world.import().await.removed, 1, "on day {day}");
        let days = i64::try_from(day.min(8)).unwrap();
        assert_eq!(remembered(), days, "on day {day}");
        world.clock.advance(std::time::Duration::from_hours(24));
    }
}

#[tokio::test]
async fn a_user_who_comes_back_is_the_same_record() {
    let world = World::new(World::directory(40)).await;
    world.import_done().await;
    let before = world.records(ObjectKind::User);
    delete(&world, [9]);
    world.import_done().await;
    world.endpoint.change(|directory| directory.add_user(9, "oslo"));
    let report = world.import_done().await;
    assert_eq!(report.created, 1);
    assert_eq!(world.records(ObjectKind::User).keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>());
}

/// A world with three people in a place that is then out of sight, but for one of them who has moved to Oslo: so few
/// that the guard would let them go.
async fn a_place_out_of_sight() -> World {
    let mut directory = World::directory(40);
    for number in [2, 3, 4] {
        directory.move_to(&ScriptedDirectory::id(number), "rome");
    }
    let world = World::new(directory).await;
    world.import_done().await;
    world.endpoint.change(|directory| directory.move_to(&ScriptedDirectory::id(2), "oslo"));
    world.endpoint.lie([Lie::Hides("rome".into())]);
    world
}

#[tokio::test]
async fn a_neighbour_who_has_moved_away_vouches_for_nobody_at_the_old_place() {
    let world = a_place_out_of_sight().await;
    let report = world.import_done().await;
    assert_eq!((report.removed, report.members_removed, report.missing), (0, 0, 2), "{report:?}");
    assert_eq!(world.records(ObjectKind::User).len(), 40);
}

#[tokio::test]
async fn a_neighbour_in_quarantine_vouches_for_nobody() {
    let world = a_place_out_of_sight().await;
    world.endpoint.change(|directory| {
        directory.objects.get_mut(&ScriptedDirectory::id(2)).unwrap().unintelligible = true;
    });
    let report = world.import_done().await;
    assert_eq!((report.removed, report.members_removed, report.missing), (0, 0, 2), "{report:?}");
}

#[tokio::test]
async fn who_left_the_scope_stays_a_member_although_the_member_list_is_cut_short() {
    let world = World::new(World::directory(40)).await;
    world.import_done().await;
    world.endpoint.change(|directory| {
        directory.outside.insert("attic".into());
        directory.move_to(&ScriptedDirectory::id(10), "attic");
    });
    world.endpoint.lie([Lie::Truncates(ScriptedDirectory::id(1_000_000), 9)]);
    let report = world.import_done().await;
    assert_eq!((report.removed, report.members_removed), (1, 0));
    assert_eq!(world.members_of(world.group()), 10);
}

#[tokio::test]
async fn what_a_cancelled_run_looked_up_is_looked_up_again_by_the_next_one() {
    let world = World::new(World::directory(40)).await;
    world.import_done().await;
    delete(&world, [5, 2_000_001]);
    // The user is looked up and gone; then the caller wants to stop, before the computer is.
    world.endpoint.lie([Lie::CancelsAtLookup]);
    assert_eq!(world.import().await.outcome, Outcome::Cancelled);
    world.endpoint.change(|directory| directory.add_user(5, "oslo"));
    world.endpoint.lie([]);
    let report = world.import_done().await;
    assert_eq!(report.removed, 1, "the computer alone");
    assert_eq!(world.records(ObjectKind::User).len(), 40);
}

#[tokio::test]
async fn the_end_of_a_primary_membership_that_is_held_goes_when_approved() {
    let world = World::new(World::directory(20)).await;
    let (old, new) = (ScriptedDirectory::id(1_000_000), ScriptedDirectory::id(1_000_001));
    world.endpoint.change(|directory| {
        directory.add_group(1_000_001);
        for number in 1..=20 {
            directory.objects.get_mut(&ScriptedDirectory::id(number)).unwrap().primary_group = Some(old.clone());
        }
    });
    world.import_done().await;
    world.endpoint.change(|directory| {
        for number in 1..=15 {
            directory.objects.get_mut(&ScriptedDirectory::id(number)).unwrap().primary_group = Some(new.clone());
        }
    });
    let held = world.import().await;
    assert_eq!((held.outcome, held.members_added, held.members_removed), (Outcome::Held, 15, 0));
    assert_eq!(world.import().await.plan, held.plan);
    let approved = world.import_with(ImportOptions { approve: held.plan, ..ImportOptions::default() }).await;
    assert_eq!((approved.outcome, approved.members_removed), (Outcome::Done, 15));
}

#[tokio::test]
async fn a_membership_of_which_the_second_reading_cannot_tell_stays() {
    let world = World::new(World::directory(40)).await;
    world.import_done().await;
    let (group, member) = (ScriptedDirectory::id(1_000_000), ScriptedDirectory::id(4));
    world.endpoint.change(|directory| directory.remove_member(&group, &member));
    world.endpoint.lie([Lie::SecondReadingUnknown]);
    assert_eq!(world.import_done().await.members_removed, 0);
    assert_eq!(world.members_of(world.group()), 10);
    world.endpoint.lie([]);
    assert_eq!(world.import_done().await.members_removed, 1);
}

#[tokio::test]
async fn a_group_that_goes_in_the_same_run_as_somebody_names_it_begins_no_membership() {
    let mut world = World::new(World::directory(20)).await;
    let group = ScriptedDirectory::id(1_000_001);
    world.endpoint.change(|directory| {
        directory.add_group(1_000_001);
        directory.outside.insert("attic".into());
    });
    world.import_done().await;
    world.events();
    world.endpoint.change(|directory| {
        directory.objects.get_mut(&ScriptedDirectory::id(3)).unwrap().primary_group = Some(group.clone());
        directory.move_to(&group, "attic");
    });
    let rehearsed = world.import_with(ImportOptions { dry_run: true, ..ImportOptions::default() }).await;
    assert_eq!((rehearsed.removed, rehearsed.members_added), (1, 0));
    let report = world.import_done().await;
    assert_eq!((report.removed, report.members_added, report.members_removed), (1, 0, 0));
    assert_eq!(count(&world.events(), EventType::MemberAdded), 0);
    // Back again, it has the member that names it.
    world.endpoint.change(|directory| directory.move_to(&group, "groups"));
    assert_eq!(world.import_done().await.members_added, 1);
}
