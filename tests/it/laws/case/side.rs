//! One endpoint of a history: what the script does to its directory, and what its imports are held against.
//!
//! It does not know of the other endpoints, nor how an import comes about.

use tenantry::model::{EndpointName, Event, ObjectKind, Outcome, RunId, RunReport, names};
use tenantry::testkit::{Lie, ScriptedDirectory, ScriptedEndpoint};
use tenantry::{Endpoint as _, ImportOptions};

use crate::laws::Found;
use crate::laws::local::Local;
use crate::laws::oracles::{Coverage, Memory, Seen, View};
use crate::laws::script::{Dice, OUTSIDE, Op, PLACES, Script, Trick, ids, pick};
use crate::laws::shared::blend;

/// One endpoint and what the script knows of it.
#[allow(clippy::struct_excessive_bools)] // each of them is thrown for by itself
pub(super) struct Side {
    pub(super) name: EndpointName,
    /// Some of its people are those of the other endpoint.
    pub(super) shared: bool,
    pub(super) endpoint: ScriptedEndpoint,
    pub(super) deltas: bool,
    /// Members come in parts.
    pub(super) in_parts: bool,
    filter: u64,
    pub(super) script: Script,
    pub(super) memory: Memory,
    pub(super) local: Local,
    /// The next run goes on with what the last one began.
    pub(super) goes_on: bool,
    /// A run that was stopped, and what it saw so far: once it is fixed, its plan is applied as it was made.
    stopped: Option<(RunId, Vec<View>)>,
}

/// An import that was made, and what is to be known of it.
pub(super) struct Made {
    pub(super) report: Option<RunReport>,
    pub(super) events: Vec<Event>,
    pub(super) view: View,
    pub(super) options: ImportOptions,
    pub(super) coverage: Coverage,
    pub(super) goes_on: bool,
}

pub(super) fn a_side(name: &str, shared: bool, dice: &mut Dice) -> Side {
    let mut directory = ScriptedDirectory::new(&format!("domain of {name}"));
    directory.outside.insert(OUTSIDE.into());
    directory.tombstones_readable = dice.one_in(2);
    let users = if dice.one_in(4) { 4 + dice.below(26) } else { 3 + dice.below(10) };
    for number in 1..=users {
        directory.add_user(number.into(), PLACES[usize::try_from(number % 3).unwrap()]);
    }
    for number in 0..=dice.below(3) {
        let group = directory.add_group(u128::from(1000 + number));
        for _ in 0..dice.below(12) {
            directory.add_member(&group, &ScriptedDirectory::id(u128::from(1 + dice.below(users + 2))));
        }
    }
    for number in 0..dice.below(3) {
        directory.add_computer(u128::from(2000 + number), "oslo");
    }
    be_others(name, shared, &mut directory);
    let mut script = Script::default();
    script.remember(&directory);
    let endpoint = ScriptedEndpoint::new(name, directory, 1 + dice.index(9)).unwrap();
    let deltas = dice.one_in(2);
    let endpoint = if deltas { endpoint.with_deltas() } else { endpoint };
    endpoint.set_filter("(f=0)");
    let in_parts = dice.one_in(2);
    if in_parts {
        endpoint.set_members_a_page(1 + dice.index(4));
    }
    Side {
        name: endpoint.info().name.clone(),
        shared,
        endpoint,
        deltas,
        in_parts,
        filter: 0,
        script,
        memory: Memory::default(),
        local: Local::default(),
        goes_on: false,
        stopped: None,
    }
}

/// The endpoints of a history show different people, those of the first one with other addresses; or some of them the same.
pub(super) fn be_others(name: &str, shared: bool, directory: &mut ScriptedDirectory) {
    if shared {
        blend(name == "ad", directory);
    }
    if shared || name == "ad" {
        return;
    }
    for object in directory.objects.values_mut().chain(directory.bin.values_mut()) {
        let address = object.attributes.text(&names::PRIMARY_EMAIL).map(|email| email.replace("@corp.", "@other."));
        if let Some(address) = address {
            object.attributes.set(names::PRIMARY_EMAIL, address.as_str());
        }
    }
}

impl Side {
    pub(super) fn directory(&self) -> ScriptedDirectory {
        self.endpoint.change(|directory| directory.clone())
    }

    pub(super) fn apply(&mut self, op: &Op) {
        if let Op::Filter(n) = op {
            self.filter = n % 3;
            self.endpoint.set_filter(&format!("(f={})", self.filter));
        }
        let (script, name, shared) = (&mut self.script, &self.name, self.shared);
        self.endpoint.change(|directory| {
            script.apply(op, directory);
            be_others(name.as_str(), shared, directory);
        });
    }

    pub(super) fn coverage(&self) -> Coverage {
        let tombstones = self.endpoint.change(|directory| directory.tombstones_readable);
        Coverage { filter: self.filter, tombstones }
    }

    pub(super) fn lies(&self, tricks: &[Trick]) -> Vec<Lie> {
        let directory = self.directory();
        let (all, groups) = (ids(&directory, None), ids(&directory, Some(ObjectKind::Group)));
        let pages = |n: u64| usize::try_from(n % 9).unwrap();
        tricks
            .iter()
            .filter_map(|trick| {
                Some(match trick {
                    Trick::Drops(a, b) => {
                        let mut dice = Dice(*a);
                        Lie::Drops((0..=b % 6).filter_map(|_| pick(&all, dice.roll())).collect())
                    }
                    Trick::Hides(a) => Lie::Hides(pick(&PLACES, *a).unwrap().into()),
                    Trick::Empty => Lie::Empty,
                    Trick::Truncates(a, b) => Lie::Truncates(pick(&groups, *a)?, usize::try_from(b % 4).unwrap()),
                    Trick::Fails(a) => Lie::FailsAfter(pages(*a)),
                    Trick::LosesRights(a) => Lie::LosesRightsAfter(pages(*a)),
                    Trick::Repeats => Lie::Repeats,
                    Trick::LookupFails => Lie::LookupFails,
                    Trick::SecondReadingFails => Lie::SecondReadingFails,
                    Trick::Unreadable(a) => {
                        let names = [names::LAST_NAME, names::PRIMARY_EMAIL, names::STATE];
                        Lie::Unreadable(vec![pick(&names, *a).unwrap()])
                    }
                    Trick::Cancels(a) => Lie::CancelsAfter(pages(*a)),
                    Trick::CancelsAtLookup => Lie::CancelsAtLookup,
                })
            })
            .collect()
    }

    /// Holds an import against the laws.
    pub(super) fn judge(&mut self, made: &Made, has: &Local, now: i64, found: &mut Found) {
        let stopped = match (self.stopped.take(), &made.report) {
            (Some((run, views)), Some(report)) if run == report.run => views,
            _ => Vec::new(),
        };
        let view = &made.view;
        let seen = Seen {
            earlier: &stopped,
            had: &self.local,
            has,
            view,
            script: &self.script,
            coverage: made.coverage.clone(),
            report: made.report.as_ref(),
            goes_on: made.goes_on,
            guard: made.options.guard,
            approve: made.options.approve.is_some(),
            now,
            events: &made.events,
            first: self.name.as_str() == "ad",
            shared: self.shared,
        };
        seen.approve(&mut self.memory);
        seen.what_is_there_stays(found);
        seen.what_went_was_proven(found);
        seen.a_change_of_coverage_removes_nothing(&self.memory, found);
        seen.the_guard_holds(&mut self.memory, found);
        seen.what_is_parked_is_told_once(&self.memory, found);
        seen.events_are_the_difference(found);
        seen.one_bad_record_costs_one_entry(&mut self.memory, found);
        seen.unknown_overwrites_nothing(found);
        seen.remember(&mut self.memory);
        let mut views = stopped.clone();
        views.push(view.clone());
        let ended = made.report.as_ref().filter(|r| !matches!(r.outcome, Outcome::Failed | Outcome::Cancelled));
        if made.view.lies.is_empty() && !made.goes_on && made.view.before == made.view.after && ended.is_some() {
            // Everybody was seen where they are.
            self.script.moved.clear();
        }
        if let (None, Some(report)) = (ended, &made.report) {
            self.stopped = Some((report.run, views));
        }
    }
}
