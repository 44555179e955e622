//! What a delta says of one object or membership more than once: the later statement counts, within and across pages.

use tenantry::ImportOptions;
use tenantry::endpoint::DeltaPage;
use tenantry::model::{
    Edges, EventType, Member, MemberKind, Mode, ObjectKey, ObjectKind, Outcome, Patch, Scope, Tombstone, TombstoneKind,
    Via, names,
};
use tenantry::testkit::ScriptedDirectory;

use crate::told::{tell, told};
use crate::world::count;

const GROUP: u128 = 1_000_000;

fn user(number: u128) -> Patch {
    Patch::new(ObjectKind::User, ScriptedDirectory::id(number)).with(names::LAST_NAME, "Told")
}

fn key(kind: ObjectKind, number: u128) -> ObjectKey {
    ObjectKey { kind, id: ScriptedDirectory::id(number) }
}

fn patched(number: u128) -> DeltaPage {
    DeltaPage { patches: vec![user(number)], ..DeltaPage::default() }
}

fn left(numbers: impl IntoIterator<Item = u128>) -> DeltaPage {
    let out_of_scope = numbers.into_iter().map(|number| key(ObjectKind::User, number)).collect();
    DeltaPage { out_of_scope, ..DeltaPage::default() }
}

fn gone(number: u128, kind: TombstoneKind) -> DeltaPage {
    let tombstones = vec![Tombstone { object: key(ObjectKind::User, number), kind }];
    DeltaPage { tombstones, ..DeltaPage::default() }
}

fn members(numbers: &[u128]) -> Vec<Edges> {
    let members =
        numbers.iter().map(|number| Member { id: ScriptedDirectory::id(*number), kind: MemberKind::User }).collect();
    vec![Edges { group: ScriptedDirectory::id(GROUP), via: Via::Explicit, members }]
}

fn joined(numbers: &[u128]) -> DeltaPage {
    DeltaPage { edges_added: members(numbers), ..DeltaPage::default() }
}

fn parted(numbers: &[u128]) -> DeltaPage {
    DeltaPage { edges_removed: members(numbers), ..DeltaPage::default() }
}

#[tokio::test]
async fn who_is_told_to_be_out_of_scope_goes_and_stays_a_member_where_a_group_lists_it() {
    let mut world = told(vec![left([4])]).await;
    let report = world.import_done().await;
    assert_eq!((report.mode, report.removed, report.members_removed), (Mode::Delta, 1, 0), "{report:?}");
    let events = world.events();
    let removed = events.iter().find(|event| event.event_type == EventType::UserRemoved).unwrap();
    assert_eq!(removed.data_value()["restorable"], true);
    assert_eq!(world.members_of(world.group()), 10);
    // Back in scope it is the same record.
    tell(&world, Vec::new(), vec![patched(4)]).await;
    assert_eq!(world.import_done().await.created, 1);
    assert_eq!(world.records(ObjectKind::User).len(), 40);
}

#[tokio::test]
async fn those_who_were_never_imported_may_be_told_to_be_out_of_scope() {
    let mut world = told(vec![left([7000]), joined(&[7001]), left([7001]), patched(7002), left([7002])]).await;
    let report = world.import_done().await;
    assert_eq!((report.created, report.removed, report.members_added), (0, 0, 1), "{report:?}");
    assert_eq!(count(&world.events(), EventType::UserRemoved), 0);
}

#[tokio::test]
async fn moves_out_of_scope_pass_the_guard_and_wait_for_approval_like_all_removals() {
    let world = told(vec![left(20..35)]).await;
    world.endpoint.change(|directory| {
        directory.outside.insert("attic".into());
        for number in 20..35 {
            directory.move_to(&ScriptedDirectory::id(number), "attic");
        }
    });
    let held = world.import().await;
    assert_eq!((held.outcome, held.removed, held.parked), (Outcome::Held, 0, 15));
    let later = world.import().await;
    assert_eq!((later.mode, &later.plan), (Mode::Delta, &held.plan));
    let approved = world.import_with(ImportOptions { approve: held.plan, ..ImportOptions::default() }).await;
    assert_eq!((approved.outcome, approved.removed), (Outcome::Done, 15));
}

#[tokio::test]
async fn the_later_statement_on_an_object_counts() {
    let hard = || gone(4, TombstoneKind::Hard);
    // Removed, updated, and how many members are left: who is out of scope stays one.
    for (pages, expected) in [
        // On one page, what ends comes behind what is there.
        (vec![DeltaPage { out_of_scope: left([4]).out_of_scope, ..patched(4) }], (1, 0, 10)),
        (vec![DeltaPage { tombstones: hard().tombstones, ..patched(4) }], (1, 0, 9)),
        (vec![DeltaPage { tombstones: hard().tombstones, ..left([4]) }], (1, 0, 9)),
        (vec![patched(4), left([4])], (1, 0, 10)),
        (vec![left([4]), patched(4)], (0, 1, 10)),
        (vec![left([4]), patched(4), left([4])], (1, 0, 10)),
        (vec![gone(4, TombstoneKind::Soft), patched(4)], (0, 1, 10)),
        (vec![hard(), patched(4), gone(4, TombstoneKind::Soft)], (1, 0, 9)),
        (vec![hard(), left([4])], (1, 0, 10)),
        (vec![left([4]), hard()], (1, 0, 9)),
    ] {
        let text = format!("{pages:?}");
        let world = told(pages).await;
        let report = world.import_done().await;
        assert_eq!((report.removed, report.updated, world.members_of(world.group())), expected, "{text}");
    }
}

#[tokio::test]
async fn who_is_quarantined_behind_its_tombstone_is_there() {
    let entry = tenantry::model::Quarantined {
        kind: ObjectKind::User,
        id: Some(ScriptedDirectory::id(4)),
        reason: "no sense in it".into(),
    };
    let page = DeltaPage { quarantined: vec![entry], ..DeltaPage::default() };
    let world = told(vec![gone(4, TombstoneKind::Hard), page]).await;
    let report = world.import_done().await;
    assert_eq!((report.removed, report.quarantined), (0, 1));
}

#[tokio::test]
async fn who_came_back_and_went_again_in_one_delta_stays_away() {
    let world = told(vec![gone(4, TombstoneKind::Soft)]).await;
    world.import_done().await;
    tell(&world, Vec::new(), vec![patched(4), gone(4, TombstoneKind::Hard)]).await;
    let report = world.import_done().await;
    assert_eq!((report.created, report.removed, report.members_added), (0, 0, 0), "{report:?}");
}

#[tokio::test]
async fn the_later_statement_on_a_membership_counts() {
    let closed = |numbers: &[u128]| DeltaPage {
        closed: vec![Scope::Members(ScriptedDirectory::id(GROUP), Via::Explicit)],
        ..joined(numbers)
    };
    let both = |added: &[u128], removed: &[u128]| DeltaPage { edges_removed: members(removed), ..joined(added) };
    let all: Vec<u128> = (1..=10).collect();
    for (pages, added, removed) in [
        (vec![joined(&[20]), parted(&[20])], 0, 0),
        (vec![joined(&[20, 21]), parted(&[20])], 1, 0),
        (vec![both(&[20], &[20])], 0, 0),
        (vec![parted(&[4]), joined(&[4])], 0, 0),
        (vec![parted(&[4]), joined(&[4]), parted(&[4])], 0, 1),
        (vec![joined(&[20]), parted(&[20]), joined(&[20])], 1, 0),
        // Strangers, who have no number yet.
        (vec![joined(&[7000]), parted(&[7000])], 0, 0),
        (vec![closed(&all), parted(&[4])], 0, 1),
        (vec![parted(&[4]), closed(&all)], 0, 0),
    ] {
        let text = format!("{pages:?}");
        let world = told(pages).await;
        let report = world.import_done().await;
        assert_eq!((report.members_added, report.members_removed), (added, removed), "{text}");
        assert_eq!(world.members_of(world.group()), 10 + added - removed, "{text}");
    }
}

#[tokio::test]
async fn the_memberships_of_a_mere_member_end_with_its_tombstone() {
    let world = told(vec![joined(&[7000])]).await;
    assert_eq!(world.import_done().await.members_added, 1);
    tell(&world, Vec::new(), vec![gone(7000, TombstoneKind::Hard)]).await;
    let report = world.import_done().await;
    assert_eq!((report.removed, report.members_removed), (0, 1), "{report:?}");
    // So do those of somebody who had left the scope before.
    tell(&world, Vec::new(), vec![left([4])]).await;
    world.import_done().await;
    tell(&world, Vec::new(), vec![gone(4, TombstoneKind::Soft)]).await;
    let report = world.import_done().await;
    assert_eq!((report.removed, report.members_removed), (0, 1), "{report:?}");
    assert_eq!(world.members_of(world.group()), 9);
}
