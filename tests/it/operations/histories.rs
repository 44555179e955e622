//! Random histories of two directories, with operations in between: events, exports and records always agree.
//!
//! `TENANTRY_CASES` sets how many are tried, `TENANTRY_SEED` tries a single one.

use tenantry::model::{HandOver, Keep, ObjectKind, Outcome, Retention};
use tenantry::testkit::{ScriptedDirectory, ScriptedEndpoint};

use super::{Replica, Stage};
use crate::laws::{Dice, OUTSIDE, Op, Script, an_op, pick};
use crate::seeds::seeds;

fn a_directory(dice: &mut Dice, base: u128) -> ScriptedDirectory {
    let mut directory = ScriptedDirectory::new(&format!("domain-{base}"));
    directory.outside.insert(OUTSIDE.into());
    directory.tombstones_readable = dice.one_in(2);
    // The script keeps the first user, so that nobody's directory is ever empty.
    directory.add_user(1, "oslo");
    for number in 1..=3 + dice.below(12) {
        directory.add_user(base + u128::from(number), "berlin");
    }
    for number in 0..=dice.below(3) {
        let group = directory.add_group(base + u128::from(500 + number));
        for _ in 0..dice.below(8) {
            directory.add_member(&group, &ScriptedDirectory::id(base + u128::from(1 + dice.below(16))));
        }
    }
    for number in 0..dice.below(3) {
        directory.add_computer(base + u128::from(800 + number), "oslo");
    }
    directory
}

struct Case {
    stage: Stage,
    scripts: [Script; 2],
    /// Exports, each followed from its position as long as its events are kept.
    exports: Vec<Replica>,
    dropped: bool,
}

impl Case {
    async fn step(&mut self, dice: &mut Dice) -> String {
        let stage = &mut self.stage;
        let which = usize::try_from(dice.below(2)).unwrap();
        match dice.below(14) {
            0..=5 => {
                for _ in 0..dice.below(6) {
                    let op = an_op(dice);
                    if !matches!(op, Op::Filter(_)) {
                        stage.endpoints[which].change(|directory| self.scripts[which].apply(&op, directory));
                    }
                }
                let report = stage.import(which).await;
                assert!(matches!(report.outcome, Outcome::Done | Outcome::Held), "{report:?}");
                format!("import {which}")
            }
            6..=8 => {
                self.exports.push(Replica::of_export(stage.store(), &stage.customer));
                "export".into()
            }
            9..=10 => {
                let users = stage.store().records(&stage.customer, ObjectKind::User, None, 999).unwrap();
                let ids: Vec<_> = users.iter().map(|user| user.id).collect();
                let people: Vec<_> = (0..=dice.below(2)).filter_map(|_| pick(&ids, dice.roll())).collect();
                stage.service.erase(&stage.customer, &people).await.unwrap();
                format!("erase {people:?}")
            }
            11 => {
                let hand_over = if dice.one_in(2) { HandOver::Unlocked } else { HandOver::Archived };
                let endpoint = tenantry::Endpoint::info(&stage.endpoints[which]).name.clone();
                stage.service.remove_endpoint(&stage.customer, &endpoint, hand_over).await.unwrap();
                if dice.one_in(2) {
                    let base = 50_000 * u128::from(1 + dice.below(9));
                    let directory = a_directory(dice, base);
                    self.scripts[which] = Script::default();
                    stage.endpoints[which] = ScriptedEndpoint::new(endpoint.as_str(), directory, 5).unwrap();
                }
                stage.register().await;
                format!("remove {endpoint} {hand_over:?}")
            }
            12 => {
                // Exports are no registered consumers: they are followed up to here, or lost.
                for export in &mut self.exports {
                    export.follow(stage.store(), &stage.customer);
                }
                stage.live.follow(stage.service.store().as_ref(), &stage.customer);
                let keep = Keep::Last(dice.below(40));
                let retention = Retention { events: keep, history: keep, ..Retention::default() };
                let service = stage.service.clone().with_retention(retention);
                self.dropped |= service.apply_retention(&stage.customer).await.unwrap().events > 0;
                format!("keep {keep:?}")
            }
            _ => {
                stage.service.compact().await.unwrap();
                "compact".into()
            }
        }
    }
}

#[tokio::test]
async fn export_and_events_and_records_agree_through_any_history() {
    for seed in seeds(40) {
        let mut dice = Dice(seed ^ 0x0b5e);
        let directories = [("ad", a_directory(&mut dice, 0)), ("cloud", a_directory(&mut dice, 20_000))];
        let mut case = Case {
            stage: Stage::new(directories).await,
            scripts: [Script::default(), Script::default()],
            exports: Vec::new(),
            dropped: false,
        };
        let mut told = Vec::new();
        for _ in 0..6 + dice.below(10) {
            told.push(case.step(&mut dice).await);
            case.stage.check(&format!("seed {seed}: {told:?}"));
        }
        let stage = &case.stage;
        for mut export in case.exports {
            let what = format!("seed {seed}: {told:?}, exported at {}", export.position);
            export.follow(stage.store(), &stage.customer);
            export.same_as(&stage.live, &what);
        }
        if !case.dropped {
            let mut replayed = Replica::default();
            replayed.follow(stage.store(), &stage.customer);
            replayed.same_as(&stage.live, &format!("seed {seed}: {told:?}, replayed from the first"));
        }
    }
}
