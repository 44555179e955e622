//! In whatever order endpoints are imported, the same people are one.

use tenantry::model::{EventType, Outcome};
use tenantry::testkit::ScriptedDirectory;

use super::crowd::{DOMAINS, ENDPOINTS, crowd, reckon};
use super::shown::{Shown, shown};
use crate::dump::dump_file;
use crate::laws::Dice;
use crate::operations::{Replica, Stage};
use crate::seeds::seeds;
use crate::world::count;

pub(super) async fn staged(directories: &[ScriptedDirectory]) -> Stage {
    let mut stage = Stage::new(ENDPOINTS.into_iter().zip(directories.iter().cloned())).await;
    stage.domains = vec![DOMAINS[0].into()];
    stage.register().await;
    stage
}

/// All orders of so many endpoints.
pub(super) fn orders(endpoints: usize) -> Vec<Vec<usize>> {
    match endpoints {
        2 => vec![vec![0, 1], vec![1, 0]],
        _ => vec![vec![0, 1, 2], vec![0, 2, 1], vec![1, 0, 2], vec![1, 2, 0], vec![2, 0, 1], vec![2, 1, 0]],
    }
}

async fn imported(directories: &[ScriptedDirectory], order: &[usize], what: &str) -> (Stage, Shown) {
    let mut stage = staged(directories).await;
    for endpoint in order {
        let report = stage.import(*endpoint).await;
        assert_eq!(report.outcome, Outcome::Done, "{what}: {report:?}");
        stage.check(what);
    }
    let events = stage.events(0);
    for removed in [EventType::UserRemoved, EventType::GroupRemoved, EventType::ComputerRemoved] {
        assert_eq!(count(&events, removed), 0, "{what}: nobody is removed by joining");
    }
    // Law 7, with people that are joined.
    let (before, position) = (dump_file(&stage.path()), stage.store().last_position(&stage.customer).unwrap());
    for endpoint in order {
        let report = stage.import(*endpoint).await;
        assert_eq!((report.created, report.updated, report.removed), (0, 0, 0), "{what}: {report:?}");
    }
    let events = stage.events(position);
    assert_eq!(events.len(), order.len(), "{what}: the ends of the imports");
    assert_eq!(dump_file(&stage.path()), before, "{what}");
    stage.check(what);
    let shown = shown(&stage);
    (stage, shown)
}

#[tokio::test]
async fn endpoints_imported_in_every_order_end_in_the_same_directory() {
    let (mut tried, mut joined, mut apart, mut left_out) = (0, 0, 0, 0);
    for seed in seeds(30) {
        tried += 1;
        let mut dice = Dice(seed ^ 0x0701);
        let endpoints = if dice.one_in(2) { 3 } else { 2 };
        let directories = crowd(&mut dice, endpoints, false);
        let (expected, follows) = reckon(&directories);
        if !follows {
            left_out += 1;
            continue;
        }
        joined += expected.iter().filter(|person| person.len() > 1).count();
        apart += expected.iter().filter(|person| person.len() == 1).count();
        let mut first: Option<Shown> = None;
        for order in orders(endpoints) {
            let what = format!("seed {seed}, {order:?}");
            let (stage, shown) = imported(&directories, &order, &what).await;
            assert_eq!(shown.users(), expected, "{what}");
            let first = first.get_or_insert_with(|| shown.clone());
            shown.same_as(first, &what);
            let mut replayed = Replica::default();
            replayed.follow(stage.store(), &stage.customer);
            replayed.same_as(&stage.live, &what);
        }
    }
    println!("{joined} joined, {apart} not, {left_out} histories left out");
    assert!(tried < 30 || (joined > 50 && apart > 50 && left_out * 5 < tried), "{joined} {apart} {left_out}");
}
