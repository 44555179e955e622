//! What the laws say of one import, computed from the script alone. It knows nothing of how the engine comes to it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;
use tenantry::model::{
    AttributeName, Event, EventType, GuardLimits, Limit, Mode, ObjectKind, Outcome, PlanId, RunReport, SourceId, Value,
    Via, names,
};
use tenantry::testkit::{Lie, ScriptedDirectory};

use super::Found;
use super::local::Local;
use super::replica::{Edge, edge_of};
use super::script::Script;

/// What an endpoint could show while it was listed.
#[derive(Clone)]
pub(super) struct View {
    pub(super) before: ScriptedDirectory,
    pub(super) after: ScriptedDirectory,
    pub(super) lies: Vec<Lie>,
}

/// What decides what can be seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Coverage {
    pub(super) filter: u64,
    pub(super) tombstones: bool,
}

impl Coverage {
    fn may_hide_more_than(&self, other: &Self) -> bool {
        self.filter != other.filter || (other.tombstones && !self.tombstones)
    }
}

/// Changes of one sort that passed the guard unapproved.
struct Loss {
    at: i64,
    sort: String,
    count: u64,
}

/// What the script remembers of one endpoint's imports.
#[derive(Default)]
pub(super) struct Memory {
    /// What is parked, and what the store and the directory differed in when it was.
    pub(super) parked: Option<PlanId>,
    awaiting: Differences,
    /// What was approved with the plan under way.
    approved: Differences,
    losses: Vec<Loss>,
    /// Coverages that the engine may go by; empty before the first import.
    pub(super) coverages: Vec<Coverage>,
    /// Whose quarantine was told.
    quarantined: BTreeSet<SourceId>,
    /// Whether anything was ever hidden from a listing that came to its end.
    pub(super) misled: bool,
}

#[derive(Default, Clone)]
struct Differences {
    objects: BTreeSet<SourceId>,
    edges: BTreeSet<Edge>,
}

/// One import, as the script saw it.
#[allow(clippy::struct_excessive_bools)] // they have nothing to do with each other
pub(super) struct Seen<'a> {
    pub(super) had: &'a Local,
    pub(super) has: &'a Local,
    pub(super) view: &'a View,
    /// What earlier runs saw under the same id: when the plan was made, only the engine knows.
    pub(super) earlier: &'a [View],
    pub(super) script: &'a Script,
    pub(super) coverage: Coverage,
    /// `None` for a run that was not alone.
    pub(super) report: Option<&'a RunReport>,
    /// The run goes on with what an earlier one began.
    pub(super) goes_on: bool,
    pub(super) guard: GuardLimits,
    pub(super) approve: bool,
    pub(super) now: i64,
    pub(super) events: &'a [Event],
    /// Whether this endpoint's values count before those of the others.
    pub(super) first: bool,
    /// Whether some of its people are those of another endpoint.
    pub(super) shared: bool,
}

const DAY: i64 = 24 * 60 * 60 * 1000;

impl Seen<'_> {
    /// Nothing was withheld, nothing changed meanwhile, and nothing earlier was gone on with.
    fn is_whole(&self) -> bool {
        self.view.lies.is_empty()
            && !self.goes_on
            && self.view.before == self.view.after
            && self.report.is_some_and(|report| matches!(report.outcome, Outcome::Done | Outcome::Held))
    }

    /// Tells whether a record shows what this endpoint says of an object.
    fn shows(&self, id: &SourceId) -> bool {
        self.first || !self.has.joined.contains(id)
    }

    /// Tells whether a record is made of the same objects as before.
    fn is_as_before(&self, id: &SourceId) -> bool {
        let of = |local: &Local| local.records.get(id).map(|(_, record)| record["identities"].clone());
        of(self.had) == of(self.has)
    }

    fn is_there(&self, id: &SourceId) -> bool {
        self.views().iter().all(|view| view.in_scope(id))
    }

    fn views(&self) -> Vec<&ScriptedDirectory> {
        std::iter::once(self.view).chain(self.earlier).flat_map(|view| [&view.before, &view.after]).collect()
    }

    fn lies(&self) -> impl Iterator<Item = &Lie> {
        std::iter::once(self.view).chain(self.earlier).flat_map(|view| &view.lies)
    }

    fn is_garbled(&self, id: &SourceId) -> bool {
        self.views().iter().any(|view| view.objects.get(id).is_some_and(|object| object.unintelligible))
    }

    /// Out of sight at a place where the engine does not know them: without tombstones that is being gone.
    fn is_fooled(&self, id: &SourceId) -> bool {
        self.views().iter().any(|view| !view.tombstones_readable)
            && self.script.moved.contains(id)
            && self.views().iter().any(|directory| {
                directory.objects.get(id).is_some_and(|object| {
                    self.lies().any(|lie| matches!(lie, Lie::Hides(place) if *place == object.container))
                })
            })
    }

    fn gone(&self) -> impl Iterator<Item = (&SourceId, ObjectKind)> {
        self.had.records.iter().filter(|(id, _)| !self.has.records.contains_key(*id)).map(|(id, (kind, _))| (id, *kind))
    }

    fn ended(&self) -> impl Iterator<Item = &Edge> {
        self.had.edges.difference(&self.has.edges)
    }

    /// Names the law that a loss of something that is there breaks.
    fn broken_by(&self, id: &SourceId) -> u8 {
        match () {
            () if self.is_garbled(id) => 9,
            () if self.lies().next().is_none() => 2,
            () => 1,
        }
    }

    /// Laws 1, 2 and 9: whoever is in the directory stays, and so do memberships.
    pub(super) fn what_is_there_stays(&self, found: &mut Found) {
        for id in self.had.records.keys().filter(|id| self.is_there(id)) {
            let stays = self.has.records.contains_key(id) || self.is_fooled(id);
            found.check(self.broken_by(id), stays, || {
                format!("{id} is in the directory and was removed; lies {:?}", self.view.lies)
            });
        }
        let shown: Vec<BTreeSet<Edge>> = self.views().into_iter().map(edges).collect();
        for edge in self.had.edges.iter().filter(|edge| shown.iter().all(|shown| shown.contains(edge))) {
            let (group, member, via) = edge;
            let ended_with_group = !self.has.records.contains_key(group);
            let ended_with_member = self.had.records.contains_key(member)
                && !self.has.records.contains_key(member)
                && (*via == Via::Primary || self.is_fooled(member));
            let law = if self.is_garbled(group) { 9 } else { self.broken_by(member) };
            found.check(law, self.has.edges.contains(edge) || ended_with_group || ended_with_member, || {
                format!("membership {edge:?} is in the directory and was ended; lies {:?}", self.view.lies)
            });
        }
    }

    /// Law 2: whoever went left a proof behind.
    pub(super) fn what_went_was_proven(&self, found: &mut Found) {
        let lookups_fail = self.view.lies.contains(&Lie::LookupFails);
        let is_snapshot = self.report.is_some_and(|report| report.mode == Mode::Snapshot);
        for (id, kind) in self.gone() {
            let proven = self.views().iter().any(|view| {
                let lies_outside = view.objects.contains_key(id) && !view.in_scope(id);
                let neighbours = || {
                    let places = self.script.places.get(id);
                    view.objects.iter().any(|(other, object)| {
                        object.kind == kind
                            && view.in_scope(other)
                            && places.is_some_and(|places| places.contains(&object.container))
                    })
                };
                let entombed = view.tombstones.contains_key(id);
                // A delta brings tombstones of its own.
                lies_outside
                    || (entombed && (view.tombstones_readable || !is_snapshot))
                    || (!view.tombstones_readable && neighbours())
            });
            let aged = !self.had.records[id].1["missing_since"].is_null();
            found.check(2, proven || aged || self.is_fooled(id), || format!("{id} went without a proof"));
            found.check(2, !lookups_fail || !is_snapshot || self.goes_on, || {
                format!("{id} went although nothing could be looked up")
            });
        }
    }

    /// Law 3: under another coverage nothing goes unapproved.
    pub(super) fn a_change_of_coverage_removes_nothing(&self, memory: &Memory, found: &mut Found) {
        let changed = !memory.coverages.is_empty()
            && memory.coverages.iter().all(|known| self.coverage.may_hide_more_than(known));
        if !changed || self.goes_on {
            return;
        }
        found.mark(3);
        for (id, _) in self.gone().filter(|(id, _)| !memory.approved.objects.contains(*id)) {
            found.fail(
                3,
                format!("{id} went unapproved after a change of {:?} to {:?}", memory.coverages, self.coverage),
            );
        }
        for edge in self.ended().filter(|edge| {
            !memory.approved.edges.contains(edge)
                && !memory.approved.objects.contains(&edge.0)
                && !memory.approved.objects.contains(&edge.1)
        }) {
            found.fail(3, format!("{edge:?} ended unapproved after a change of coverage"));
        }
    }

    /// Counts what went unapproved, by sort: how many, how many were known, what the rule allows.
    fn unapproved(&self, memory: &Memory) -> BTreeMap<String, (u64, u64, Limit)> {
        let mut counts: BTreeMap<String, (u64, u64, Limit)> = BTreeMap::new();
        let mut add = |sort: String, known: u64, limit: Limit| counts.entry(sort).or_insert((0, known, limit)).0 += 1;
        let approved = &memory.approved;
        let limit = |kind| match kind {
            ObjectKind::User => self.guard.users,
            ObjectKind::Group => self.guard.groups,
            ObjectKind::Computer => self.guard.computers,
        };
        for (id, kind) in self.gone().filter(|(id, _)| !approved.objects.contains(*id)) {
            // What was missing goes only by approval; which of the two it was, the script cannot always tell.
            if self.had.records[id].1["missing_since"].is_null() {
                add(format!("{kind}s"), self.had.count(kind), limit(kind));
            }
        }
        for (id, (kind, had)) in self.had.records.iter().filter(|(id, _)| !approved.objects.contains(*id)) {
            let Some((_, has)) = self.has.records.get(id).filter(|_| self.is_as_before(id)) else { continue };
            if *kind == ObjectKind::User && had["state"] == "active" && has["state"] == "suspended" {
                add("users".into(), self.had.count(*kind), self.guard.users);
            }
            if had["missing_since"].is_null() && !has["missing_since"].is_null() {
                add(format!("{kind}s missing"), self.had.count(*kind), limit(*kind));
            }
            if had["primary_email"].is_string() && has["primary_email"].is_null() {
                add("addresses".into(), self.had.count(*kind), self.guard.cleared_values);
            }
        }
        let ended = self
            .ended()
            .filter(|edge| !approved.edges.contains(edge))
            .filter(|(group, member, _)| self.has.records.contains_key(group) && self.has.records.contains_key(member));
        for (group, _, via) in ended {
            let known = self.had.edges.iter().filter(|(g, _, v)| g == group && v == via).count() as u64;
            add(format!("members of {group} {via:?}"), known, self.guard.members_per_group);
            add("memberships".into(), self.had.edges.len() as u64, self.guard.memberships);
        }
        counts
    }

    /// Law 4: no run, and no 24 hours, lose more than the published rule allows.
    pub(super) fn the_guard_holds(&self, memory: &mut Memory, found: &mut Found) {
        for (sort, (count, known, limit)) in self.unapproved(memory) {
            // A plan that is gone on with was judged when it was made.
            if !self.goes_on && self.report.is_some() {
                let window = memory.losses.iter().filter(|loss| loss.sort == sort && loss.at > self.now - DAY + 10_000);
                let recent: u64 = window.map(|loss| loss.count).sum();
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a share of a count is a count
                let share = ((known + recent) as f64 * limit.share).floor() as u64;
                let whole = known + recent;
                let allowed = share.max(limit.floor).min(if whole >= 4 { (whole - 1) / 2 } else { u64::MAX });
                found.check(4, count + recent <= allowed, || {
                    format!("{count} {sort} of {known} went, after {recent} in 24 hours: more than {allowed}")
                });
            }
            memory.losses.push(Loss { at: self.now, sort, count });
        }
        if !self.is_whole() || self.report.is_none_or(|report| report.parked == 0 || report.mode == Mode::Delta) {
            return;
        }
        for (id, object) in self.view.after.objects.iter().filter(|(id, o)| self.is_there(id) && !o.unintelligible) {
            let record = self.has.records.get(id);
            found.check(4, record.is_some(), || {
                format!("{id} was hired while removals are parked, and did not come in")
            });
            for name in [names::LAST_NAME, names::NAME].into_iter().filter(|_| self.shows(id)) {
                let (Some((_, record)), Some(value)) = (record, object.attributes.get(&name)) else { continue };
                found.check(4, tells(record, &name, value), || {
                    format!("{name} of {id} did not change while removals are parked: {record}")
                });
            }
        }
    }

    /// Law 4: the same parked set is told once.
    pub(super) fn what_is_parked_is_told_once(&self, memory: &Memory, found: &mut Found) {
        for event in self.events.iter().filter(|event| event.event_type == EventType::RemovalsParked) {
            let again = memory.parked.as_ref().is_some_and(|plan| event.data_value()["plan"] == plan.as_str());
            found.check(4, !again || self.goes_on, || format!("parked is told twice: {}", event.data));
        }
    }

    /// Law 8: as many events as changed, no more, no fewer.
    pub(super) fn events_are_the_difference(&self, found: &mut Found) {
        use EventType as E;
        if self.report.is_none() {
            // Two runs, one behind the other: each of them told its own difference.
            return;
        }
        let mut told: [BTreeMap<String, usize>; 2] = Default::default();
        let mut edges: [BTreeSet<Edge>; 2] = Default::default();
        for event in self.events {
            let data = event.data_value();
            if data["record"]["kind"] == "endpoint" {
                continue;
            }
            let source = || data["record"]["identities"][0]["source_id"].as_str().unwrap_or_default().to_owned();
            match event.event_type {
                E::UserUpserted | E::GroupUpserted | E::ComputerUpserted => *told[0].entry(source()).or_default() += 1,
                E::UserRemoved | E::GroupRemoved | E::ComputerRemoved => *told[1].entry(source()).or_default() += 1,
                E::MemberAdded => drop(edges[0].insert(edge_of(&data))),
                E::MemberRemoved => drop(edges[1].insert(edge_of(&data))),
                _ => {}
            }
        }
        let changed: BTreeMap<String, usize> = self
            .has
            .records
            .iter()
            .filter(|(id, record)| self.had.records.get(*id) != Some(*record))
            .map(|(id, _)| (id.to_string(), 1))
            .collect();
        let gone: BTreeMap<String, usize> = self.gone().map(|(id, _)| (id.to_string(), 1)).collect();
        // Of records with objects of several endpoints, each change is told of the record.
        found.check(8, self.shared || told[0] == changed, || format!("{changed:?} changed, told of {:?}", told[0]));
        found.check(8, self.shared || told[1] == gone, || format!("{gone:?} went, told of {:?}", told[1]));
        let begun: BTreeSet<Edge> = self.has.edges.difference(&self.had.edges).cloned().collect();
        let ended: BTreeSet<Edge> = self.ended().cloned().collect();
        // Who is listed as a new member and found to be gone by the same run was one, and no longer is.
        let short = |(_, member, _): &Edge| gone.contains_key(&member.to_string());
        let short_lived: BTreeSet<Edge> =
            edges[0].intersection(&edges[1]).filter(|edge| short(edge)).cloned().collect();
        for edges in &mut edges {
            edges.retain(|edge| !short_lived.contains(edge));
        }
        found.check(8, edges == [begun, ended], || format!("memberships told: {edges:?}"));
    }

    /// Law 9: what cannot be understood costs its own entry.
    pub(super) fn one_bad_record_costs_one_entry(&self, memory: &mut Memory, found: &mut Found) {
        let garbled: BTreeSet<&SourceId> = self.view.before.objects.keys().filter(|id| self.is_garbled(id)).collect();
        let honest = self.view.lies.is_empty() && !self.goes_on && self.view.before == self.view.after;
        // A stale run is refused, whatever it read.
        let stale = |report: &RunReport| report.error_kind.as_deref() == Some("conflict");
        if let Some(report) = self.report.filter(|report| honest && !garbled.is_empty() && !stale(report)) {
            found.check(9, matches!(report.outcome, Outcome::Done | Outcome::Held), || {
                format!("a bad record cost the run: {report:?}")
            });
            let there = garbled.iter().filter(|id| self.is_there(id)).count() as u64;
            found.check(9, report.mode == Mode::Delta || report.quarantined == there, || {
                format!("{there} bad records, {} set aside", report.quarantined)
            });
        }
        for event in self.events.iter().filter(|event| event.event_type == EventType::RecordQuarantined) {
            let data = event.data_value();
            let id = SourceId::parse(data["source_id"].as_str().unwrap_or_default());
            found.check(9, self.is_garbled(&id) || self.goes_on, || format!("a good record was set aside: {data}"));
            found.check(9, memory.quarantined.insert(id), || format!("set aside twice: {data}"));
        }
        // Left out of a listing that seems to be whole, it counts as understood, and is told again.
        memory.quarantined.retain(|id| self.is_garbled(id) && self.view.lies.is_empty());
    }

    /// Law 11: unknown never overwrites.
    pub(super) fn unknown_overwrites_nothing(&self, found: &mut Found) {
        let mut unknown = vec![names::MFA];
        let listed = self.report.is_some_and(|report| report.mode == Mode::Snapshot);
        unknown.extend(self.view.lies.iter().flat_map(|lie| match lie {
            Lie::Unreadable(names) if listed => names.clone(),
            _ => Vec::new(),
        }));
        for (id, (_, had)) in self.had.records.iter().filter(|_| !self.goes_on) {
            let Some((_, has)) = self.has.records.get(id).filter(|_| self.is_as_before(id)) else { continue };
            for name in &unknown {
                let known = had.get(name.as_str()).filter(|value| !value.is_null());
                let told =
                    *name == names::MFA && self.views().iter().any(|view| view.facets.keys().any(|(of, _)| of == id));
                if let Some(value) = known.filter(|_| !told) {
                    found.check(11, has.get(name.as_str()) == Some(value), || {
                        format!("{name} of {id} was {value}, is unknown now, and became {}", has[name.as_str()])
                    });
                }
            }
        }
    }

    /// Takes note of what the next import has to be held against.
    pub(super) fn remember(&self, memory: &mut Memory) {
        let hides = |lie: &Lie| {
            !matches!(
                lie,
                Lie::FailsAfter(_)
                    | Lie::CancelsAfter(_)
                    | Lie::CancelsAtLookup
                    | Lie::LosesRightsAfter(_)
                    | Lie::Repeats
                    | Lie::LookupFails
                    | Lie::SecondReadingFails
            )
        };
        memory.misled |= self.view.lies.iter().any(hides);
        let applied = self.report.is_some_and(|report| matches!(report.outcome, Outcome::Done | Outcome::Held));
        if self.is_whole() && self.report.is_some_and(|report| report.outcome == Outcome::Done) {
            memory.coverages = vec![self.coverage.clone()];
        } else if self.report.is_none_or(|report| report.outcome != Outcome::Held)
            || self.goes_on
            || !memory.coverages.iter().all(|known| self.coverage.may_hide_more_than(known))
            || memory.coverages.is_empty()
        {
            memory.coverages.push(self.coverage.clone());
        }
        if let Some(report) = self.report.filter(|_| applied) {
            memory.parked.clone_from(&report.plan);
            memory.approved = Differences::default();
            memory.awaiting = self.differences();
        }
    }

    /// Takes note of what this import may let go; to be called before it is judged.
    pub(super) fn approve(&self, memory: &mut Memory) {
        if self.approve {
            memory.approved = memory.awaiting.clone();
        }
    }

    /// What is stored otherwise than it is in the directory.
    fn differences(&self) -> Differences {
        let mut differences = Differences::default();
        for view in self.views() {
            for (id, (_, record)) in &self.has.records {
                let same = |id: &SourceId, record: &Json| {
                    view.in_scope(id) && !self.shows(id)
                        || view.in_scope(id)
                            && view.objects[id].attributes.iter().all(|(name, value)| tells(record, name, value))
                };
                if !same(id, record) {
                    differences.objects.insert(id.clone());
                }
            }
            differences.edges.extend(self.has.edges.difference(&edges(view)).cloned());
        }
        differences
    }
}

/// Tells whether a record shows a value of its object. Of an owner it shows the record as well.
pub(super) fn tells(record: &Json, name: &AttributeName, value: &Value) -> bool {
    let shown = &record[name.as_str()];
    let shown = if *name == names::OWNER && shown.is_object() { &shown["source_id"] } else { shown };
    *shown == serde_json::to_value(value).unwrap()
}

/// The memberships of a directory, of groups and by members that are in scope.
pub(super) fn edges(directory: &ScriptedDirectory) -> BTreeSet<Edge> {
    let is_group = |id: &SourceId| {
        directory.in_scope(id) && directory.objects.get(id).is_some_and(|object| object.kind == ObjectKind::Group)
    };
    let explicit =
        directory.members.iter().filter(|(group, _)| is_group(group)).flat_map(|(group, members)| {
            members.iter().map(move |member| (group.clone(), member.clone(), Via::Explicit))
        });
    let primary = directory.objects.iter().filter(|(id, _)| directory.in_scope(id)).filter_map(|(id, object)| {
        let group = object.primary_group.clone().filter(|group| is_group(group))?;
        Some((group, id.clone(), Via::Primary))
    });
    explicit.chain(primary).collect()
}
