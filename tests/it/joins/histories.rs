//! Directories that change, imported now and then: when and in what order makes no difference to where it ends.
//!
//! Who is who is told by anchors here: what names and addresses join stays joined when they change, so it does depend on
//! what was seen.

use tenantry::model::{EventType, ObjectKind, Outcome, SourceId, TombstoneKind, names};
use tenantry::testkit::ScriptedDirectory;

use super::crowd::{ENDPOINTS, account, crowd};
use super::orders::{orders, staged};
use super::shown::{Shown, shown};
use crate::laws::{Dice, pick};
use crate::operations::Replica;
use crate::seeds::seeds;
use crate::world::count;

/// Changes one directory.
fn change(dice: &mut Dice, at: usize, directory: &mut ScriptedDirectory) {
    let fixed = ScriptedDirectory::id(account(at, 99, 0));
    let users = directory.objects.iter().filter(|(id, object)| object.kind == ObjectKind::User && **id != fixed);
    let all: Vec<SourceId> = users.map(|(id, _)| id.clone()).collect();
    let bin: Vec<SourceId> = directory.bin.keys().cloned().collect();
    let (one, other, roll) = (pick(&all, dice.roll()), pick(&all, dice.roll()), dice.below(12));
    let text = format!("{at}{}", dice.below(4));
    match (roll, one, other) {
        (0..=2, Some(one), _) => directory.set(&one, names::DISPLAY_NAME, text),
        (3, Some(one), _) => directory.set(&one, names::STATE, if dice.one_in(2) { "suspended" } else { "active" }),
        // Somebody's address, here or at another endpoint.
        (4..=5, Some(one), _) => {
            let (of, person) = (dice.below(3), 1 + dice.below(6));
            directory.set(&one, names::PRIMARY_EMAIL, format!("e{of}.{person}@corp.example"));
        }
        (6, Some(one), _) => {
            directory.delete_as(&one, if dice.one_in(3) { TombstoneKind::Hard } else { TombstoneKind::Soft });
        }
        (7..=8, ..) => {
            if let Some(gone) = pick(&bin, dice.roll()) {
                directory.restore(&gone);
            }
        }
        (9..=10, Some(one), _) => {
            let group = ScriptedDirectory::id(account(at, 500 + dice.below(2), 0));
            if directory.objects.contains_key(&group) {
                if dice.one_in(2) { directory.add_member(&group, &one) } else { directory.remove_member(&group, &one) }
            }
        }
        (_, Some(one), Some(other)) => {
            // The same names, and still not the same person.
            for name in [names::FIRST_NAME, names::LAST_NAME] {
                if let Some(value) = directory.objects[&one].attributes.get(&name).cloned() {
                    directory.set(&other, name, value);
                }
            }
        }
        _ => {}
    }
}

/// One history: the directories at each time.
fn history(dice: &mut Dice, endpoints: usize) -> Vec<Vec<ScriptedDirectory>> {
    let mut now = crowd(dice, endpoints, true);
    let mut times = vec![now.clone()];
    for _ in 0..2 + dice.below(6) {
        for _ in 0..=dice.below(3) {
            let at = usize::try_from(dice.below(endpoints as u64)).unwrap();
            change(dice, at, &mut now[at]);
        }
        times.push(now.clone());
    }
    times
}

/// Goes through a history, importing now and then, and at the end everything in an order.
async fn lived(times: &[Vec<ScriptedDirectory>], order: &[usize], dice: &mut Dice, what: &str) -> Option<Shown> {
    let mut stage = staged(&times[0]).await;
    for now in times {
        for (endpoint, directory) in stage.endpoints.iter().zip(now) {
            endpoint.change(|old| *old = directory.clone());
        }
        for _ in 0..dice.below(3) {
            let at = usize::try_from(dice.below(now.len() as u64)).unwrap();
            if stage.import(at).await.outcome != Outcome::Done {
                // More than the guard lets go at once.
                return None;
            }
        }
        stage.check(what);
    }
    for endpoint in order {
        if stage.import(*endpoint).await.outcome != Outcome::Done {
            return None;
        }
    }
    stage.check(what);
    for endpoint in order {
        let report = stage.import(*endpoint).await;
        assert_eq!((report.created, report.updated, report.removed), (0, 0, 0), "{what}: {report:?}");
    }
    stage.check(what);
    let events = stage.events(0);
    assert_eq!(count(&events, EventType::UserSplit), 0, "{what}");
    let mut replayed = Replica::default();
    replayed.follow(stage.store(), &stage.customer);
    replayed.same_as(&stage.live, what);
    Some(shown(&stage))
}

#[tokio::test]
async fn histories_imported_now_and_then_in_any_order_end_in_the_same_directory() {
    let (mut tried, mut compared, mut joined) = (0, 0, 0);
    for seed in seeds(30) {
        tried += 1;
        let mut dice = Dice(seed ^ 0x4157);
        let endpoints = if dice.one_in(2) { 3 } else { 2 };
        let times = history(&mut dice, endpoints);
        let mut first: Option<Shown> = None;
        for order in orders(endpoints).into_iter().take(4) {
            let what = format!("seed {seed}, {order:?} of {ENDPOINTS:?}");
            let Some(shown) = lived(&times, &order, &mut dice, &what).await else { continue };
            joined += shown.users().iter().filter(|user| user.len() > 1).count();
            match &first {
                Some(first) => {
                    compared += 1;
                    shown.same_as(first, &what);
                }
                None => first = Some(shown),
            }
        }
    }
    println!("{compared} compared, {joined} joined");
    assert!(tried < 30 || (compared > 20 && joined > 50), "{compared} {joined}");
}
