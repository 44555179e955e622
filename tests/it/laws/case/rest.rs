//! How a history ends: the endpoints stop lying, what is held is approved, and imports come to rest.
//!
//! It does not know what happened before, but for what is still open.

use tenantry::ImportOptions;
use tenantry::model::Outcome;
use tenantry::testkit::ScriptedDirectory;

use super::side::Side;
use super::{Case, MISSING_AGE, guard};
use crate::dump::dump_file;
use crate::laws::oracles::{edges, tells};
use crate::laws::replica::Edge;
use crate::laws::script::Dice;
use crate::laws::shared::Pair;

impl Case {
    /// Stops lying and approves what is held: then the local state is the directory, and a further import does nothing.
    pub(in crate::laws) async fn converge(&mut self, seed: u64) {
        let mut dice = Dice(seed ^ 0xe4d);
        for side in 0..self.sides.len() {
            if dice.one_in(2) {
                self.catches_up_by_delta(side).await;
            }
            if self.found.is_broken() {
                return;
            }
            let readable = dice.one_in(2);
            self.sides[side].endpoint.change(|directory| {
                directory.tombstones_readable |= readable;
                directory.objects.values_mut().for_each(|object| object.unintelligible = false);
            });
            self.comes_to_rest(side, true).await;
            if !self.found.is_broken() {
                self.equals_directory(side);
            }
        }
        if let Some(pasts) = self.pasts.as_mut().filter(|_| !self.found.is_broken()) {
            let local = [&self.sides[0].local, &self.sides[1].local];
            let directories = [self.sides[0].directory(), self.sides[1].directory()];
            self.joined += Pair { local, pasts }.is_put_together(&directories, &mut self.found);
        }
    }

    /// Imports honestly until nothing changes any more. Law 7: then nothing is written either.
    async fn comes_to_rest(&mut self, side: usize, full: bool) {
        for _ in 0..9 {
            // The first one may finish what was begun under a lie.
            let goes_on = self.sides[side].goes_on;
            let approve = self.sides[side].memory.parked.clone();
            let is_approving = approve.is_some();
            let tables = dump_file(&self.path());
            let options = ImportOptions {
                full,
                guard: guard(true),
                approve,
                missing_age: MISSING_AGE,
                ..ImportOptions::default()
            };
            let seen = self.replica.seen;
            let report = self.import(side, &[], options).await;
            self.found.check(6, goes_on || matches!(report.outcome, Outcome::Done | Outcome::Held), || {
                format!("an honest import ends as {:?}: {:?}", report.outcome, report.error)
            });
            if self.found.is_broken() {
                return;
            }
            let changes = [
                report.created,
                report.updated,
                report.removed,
                report.missing,
                report.members_added,
                report.members_removed,
            ];
            if changes == [0; 6] && report.outcome == Outcome::Done && !goes_on && !is_approving {
                let now = dump_file(&self.path());
                let events = self.replica.seen - seen;
                if now == tables && events == 1 {
                    self.found.mark(7);
                    return;
                }
                // The first quiet one may still have alerts to tell, observations and places to store: not the next.
                let again = self.import(side, &[], ImportOptions { full, ..ImportOptions::default() }).await;
                let written = dump_file(&self.path());
                let told = self.replica.seen - seen - events;
                self.found.check(7, told == 1, || format!("{told} events without a change: {again:?}"));
                for (table, rows) in &now {
                    self.found.check(7, *rows == written[table], || {
                        format!("a run without changes wrote {table}: was {rows:#?} is {:#?}", written[table])
                    });
                }
                return;
            }
        }
        self.found.fail(7, "honest imports come to no rest".into());
    }

    /// Law 5: what an endpoint that never misled the engine has told is there: nothing lies behind the cursor unread.
    async fn catches_up_by_delta(&mut self, side: usize) {
        let at = &self.sides[side];
        let garbled = |directory: &ScriptedDirectory| directory.objects.values().any(|object| object.unintelligible);
        if !at.deltas || at.memory.misled || garbled(&at.directory()) || self.cursor(side).is_none() {
            return;
        }
        self.comes_to_rest(side, false).await;
        if self.found.is_broken() {
            return;
        }
        let at = &self.sides[side];
        let directory = at.directory();
        for (id, object) in directory.objects.iter().filter(|(id, _)| directory.in_scope(id)) {
            let record = at.local.records.get(id).map(|(_, record)| record);
            let hidden = side > 0 && at.local.joined.contains(id);
            let same = record.is_some_and(|record| {
                hidden || object.attributes.iter().all(|(name, value)| tells(record, name, value))
            });
            self.found.check(5, same, || format!("{id} is {object:?}; behind the cursor it is {record:?}"));
        }
        // Of who came back, a delta tells the memberships only if it had told them before.
        // And members that are listed in parts are counted: who goes in between takes the place of another one.
        let told = |edge: &Edge| !at.in_parts && !at.script.restored.contains(&edge.1);
        for edge in edges(&directory).into_iter().filter(told) {
            let known = at.local.edges.contains(&edge);
            self.found.check(5, known, || format!("{edge:?} lies unread behind the cursor"));
        }
    }

    /// Law 6: however often it was stopped, in the end the store is the directory.
    fn equals_directory(&mut self, side: usize) {
        let Side { endpoint, local, .. } = &self.sides[side];
        let directory = endpoint.change(|directory| directory.clone());
        let found = &mut self.found;
        for (id, object) in directory.objects.iter().filter(|(id, _)| directory.in_scope(id)) {
            let Some((kind, record)) = local.records.get(id) else {
                found.fail(6, format!("{id} was never imported"));
                continue;
            };
            found.check(6, *kind == object.kind && record["missing_since"].is_null(), || format!("{id} is {record}"));
            let facets = directory.facets.iter().filter(|((of, _), _)| of == id).flat_map(|(_, values)| values.iter());
            // What another endpoint says before this one is held against both at the end.
            let hidden = side > 0 && local.joined.contains(id);
            for (name, value) in object.attributes.iter().chain(facets).filter(|_| !hidden) {
                found.check(6, tells(record, name, value), || {
                    format!("{name} of {id} is {} and not {value:?}", record[name.as_str()])
                });
            }
        }
        // Without tombstones, somebody who left no neighbour behind is missing for good, and is marked so.
        let missing = |id| local.records.get(id).is_some_and(|(_, record)| !record["missing_since"].is_null());
        let missing = |id| !directory.tombstones_readable && missing(id);
        for id in local.records.keys() {
            found.check(6, directory.in_scope(id) || missing(id), || {
                format!("{id} is not in the directory: {}", local.records[id].1)
            });
        }
        let expected = edges(&directory);
        for edge in expected.difference(&local.edges) {
            found.fail(6, format!("membership {edge:?} was never imported"));
        }
        for edge in local.edges.difference(&expected).filter(|edge| !missing(&edge.0) && !missing(&edge.1)) {
            found.fail(6, format!("membership {edge:?} is not in the directory"));
        }
    }
}
