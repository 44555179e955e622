//! A plan that was fixed and not applied: finished as it was while it is young, looked at once more when it is old.

use std::time::Duration;

use tenantry::model::{EventType, Mode, ObjectKind, Outcome, RunReport, TombstoneKind, names};
use tenantry::testkit::{Lie, ScriptedDirectory};
use tenantry::{Endpoint, ImportOptions};

use crate::world::{World, count};

async fn world() -> World {
    World::in_step(World::directory(40)).await
}

fn delete(world: &World, numbers: impl IntoIterator<Item = u128>) {
    world.endpoint.change(|directory| {
        for number in numbers {
            directory.delete_as(&ScriptedDirectory::id(number), TombstoneKind::Soft);
        }
    });
}

/// Stops an import once its plan is fixed: while it waits for its turn to apply it.
async fn stopped_before_applying(world: &World, options: ImportOptions) -> RunReport {
    let path = world.folder.path().join("state.db.work/c1.apply");
    let lock = std::fs::OpenOptions::new().create(true).truncate(false).write(true).open(path).unwrap();
    lock.lock().unwrap();
    let mut run = world.service.start(&world.customer, &world.endpoint.info().name, options).await.unwrap();
    while run.progressed().await.unwrap().waiting.is_none() {}
    run.cancel();
    let report = run.wait().await.unwrap();
    lock.unlock().unwrap();
    assert_eq!(report.outcome, Outcome::Cancelled);
    report
}

#[tokio::test]
async fn a_young_plan_is_finished_as_it_was_fixed_and_reports_how_it_was_read() {
    let world = world().await;
    delete(&world, [4]);
    world.endpoint.change(|directory| directory.add_user(500, "oslo"));
    let stopped = stopped_before_applying(&world, ImportOptions::default()).await;
    world.clock.advance(Duration::from_mins(200));
    // Nobody has to be asked.
    world.endpoint.lie([Lie::LookupFails, Lie::FailsAfter(0)]);
    let report = world.import_done().await;
    assert_eq!((report.run, report.mode, report.created, report.removed), (stopped.run, Mode::Delta, 1, 1));
    world.endpoint.lie([]);
    let next = world.import_done().await;
    assert_eq!((next.mode, next.created, next.removed), (Mode::Delta, 0, 0));
}

#[tokio::test]
async fn removals_of_an_old_plan_that_are_confirmed_once_more_go() {
    for full in [false, true] {
        let world = world().await;
        delete(&world, [4, 14]);
        stopped_before_applying(&world, ImportOptions { full, ..ImportOptions::default() }).await;
        world.clock.advance(Duration::from_hours(9));
        let report = world.import_done().await;
        assert_eq!((report.removed, report.members_removed), (2, 1), "{report:?}");
        assert_eq!(report.mode, if full { Mode::Snapshot } else { Mode::Delta });
        assert_eq!(world.import_done().await.mode, Mode::Delta);
    }
}

#[tokio::test]
async fn who_was_restored_since_an_old_plan_was_fixed_is_not_removed_and_the_others_are_found_again() {
    for full in [false, true] {
        let mut world = world().await;
        delete(&world, [4, 14]);
        world.endpoint.change(|directory| directory.add_user(500, "oslo"));
        stopped_before_applying(&world, ImportOptions { full, ..ImportOptions::default() }).await;
        world.clock.advance(Duration::from_hours(5));
        world.endpoint.change(|directory| {
            directory.restore(&ScriptedDirectory::id(4));
            directory.set(&ScriptedDirectory::id(4), names::LAST_NAME, "Back");
        });
        world.events();
        let report = world.import_done().await;
        assert_eq!((report.created, report.removed), (1, 0), "{report:?}");
        assert_eq!(count(&world.events(), EventType::AlertRaised), 1);
        // The rest of the plan was applied without its removals: a full listing brings them again.
        let next = world.import_done().await;
        assert_eq!((next.mode, next.removed, next.updated), (Mode::Snapshot, 1, 1), "{next:?}");
        assert_eq!(world.records(ObjectKind::User).len(), 40);
        assert_eq!(world.members_of(world.group()), 10);
        assert_eq!(world.import_done().await.mode, Mode::Delta);
    }
}

#[tokio::test]
async fn an_old_plan_that_cannot_be_looked_into_removes_nothing() {
    let world = world().await;
    delete(&world, [4, 14]);
    stopped_before_applying(&world, ImportOptions::default()).await;
    world.clock.advance(Duration::from_hours(5));
    world.endpoint.lie([Lie::LookupFails]);
    let report = world.import_done().await;
    assert_eq!((report.removed, report.members_removed), (0, 0), "{report:?}");
    world.endpoint.lie([]);
    let next = world.import_done().await;
    assert_eq!((next.mode, next.removed), (Mode::Snapshot, 2), "{next:?}");
}

#[tokio::test]
async fn a_membership_that_began_again_since_an_old_plan_was_fixed_does_not_end() {
    let world = world().await;
    let group = ScriptedDirectory::id(1_000_000);
    let remove = |numbers: std::ops::RangeInclusive<u128>| {
        world.endpoint.change(|directory| {
            for number in numbers {
                directory.remove_member(&group, &ScriptedDirectory::id(number));
            }
        });
    };
    remove(1..=2);
    stopped_before_applying(&world, ImportOptions::default()).await;
    world.clock.advance(Duration::from_hours(5));
    world.endpoint.change(|directory| directory.add_member(&group, &ScriptedDirectory::id(2)));
    let report = world.import_done().await;
    assert_eq!(report.members_removed, 1, "{report:?}");
    let next = world.import_done().await;
    assert_eq!((next.mode, next.members_added, next.members_removed), (Mode::Snapshot, 0, 0), "{next:?}");
}

#[tokio::test]
async fn what_changed_coverage_parks_stays_parked_although_its_plan_was_old() {
    let world = world().await;
    world.endpoint.set_filter("(department=it)");
    delete(&world, [4, 14]);
    stopped_before_applying(&world, ImportOptions::default()).await;
    world.clock.advance(Duration::from_hours(5));
    let report = world.import().await;
    assert_eq!((report.outcome, report.removed, report.parked), (Outcome::Held, 0, 2), "{report:?}");
    let next = world.import().await;
    assert_eq!((next.outcome, next.removed, &next.plan), (Outcome::Held, 0, &report.plan), "{next:?}");
}
