//! Random histories of a directory and of a lying endpoint, against an oracle that knows the script alone.
//!
//! A history is a list of steps made from a seed; one that fails is cut down before it is told. `TENANTRY_CASES` sets
//! how many are tried, `TENANTRY_SEED` tries a single one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::Value as Json;
use tenantry::ImportOptions;
use tenantry::model::{EventType, GuardLimits, Limit, ObjectKind, Outcome, RecordId, RunReport, SourceId, Via, names};
use tenantry::testkit::{Lie, ScriptedDirectory, ScriptedEndpoint};

use crate::dump::dump;
use crate::world::World;

type Check = Result<(), String>;

macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err(format!($($message)+));
        }
    };
}

mod replica;
mod script;

use replica::{Edge, Replica};
pub(crate) use script::{Dice, OUTSIDE, Op, Script, an_op, pick};
use script::{PLACES, Step, Trick, a_history, ids};

/// Whether each import is told: once, of the history that was cut down.
static TELL: AtomicBool = AtomicBool::new(false);

/// One history under way.
struct Case {
    world: World,
    script: Script,
    replica: Replica,
    record_ids: BTreeMap<SourceId, String>,
    parked: Option<tenantry::model::PlanId>,
    /// A run that was stopped, and what it saw: fixed by then, its plan is applied as it was made.
    half_applied: bool,
    stopped: Option<(tenantry::model::RunId, ScriptedDirectory, ScriptedDirectory, Vec<Lie>)>,
}

impl Case {
    async fn new(seed: u64) -> Self {
        let mut dice = Dice(seed ^ 0x5eed);
        let mut directory = ScriptedDirectory::new("domain-1");
        directory.outside.insert(OUTSIDE.into());
        directory.tombstones_readable = dice.one_in(2);
        let users = 4 + dice.below(26);
        for number in 1..=users {
            directory.add_user(number.into(), PLACES[usize::try_from(number % 3).unwrap()]);
        }
        for number in 0..=dice.below(4) {
            let group = directory.add_group(u128::from(1000 + number));
            for _ in 0..dice.below(12) {
                directory.add_member(&group, &ScriptedDirectory::id(u128::from(1 + dice.below(users + 2))));
            }
        }
        for number in 0..dice.below(4) {
            directory.add_computer(u128::from(2000 + number), "oslo");
        }
        let endpoint = ScriptedEndpoint::new("ad", directory, usize::try_from(1 + dice.below(9)).unwrap()).unwrap();
        let endpoint = if dice.one_in(3) { endpoint.with_deltas() } else { endpoint };
        let world = World::with_endpoint(endpoint).await;
        if dice.one_in(2) {
            world.endpoint.set_members_a_page(usize::try_from(1 + dice.below(4)).unwrap());
        }
        Self {
            world,
            script: Script::default(),
            replica: Replica::default(),
            record_ids: BTreeMap::new(),
            parked: None,
            half_applied: false,
            stopped: None,
        }
    }

    fn directory(&self) -> ScriptedDirectory {
        self.world.endpoint.change(|directory| directory.clone())
    }

    fn lies(&self, tricks: &[Trick]) -> Vec<Lie> {
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

    async fn step(&mut self, step: &Step) -> Check {
        match step {
            Step::Do(Op::Filter(n)) => self.world.endpoint.set_filter(&format!("(f={})", n % 2)),
            Step::Do(op) => {
                let mut script = std::mem::take(&mut self.script);
                self.world.endpoint.change(|directory| script.apply(op, directory));
                self.script = script;
            }
            Step::Wait(hours) => self.world.clock.advance(std::time::Duration::from_secs(hours * 3600)),
            Step::Import { tricks, meanwhile, wide, approve, rehearse } => {
                let lies = self.lies(tricks);
                let mut options = ImportOptions { guard: guard(*wide), ..ImportOptions::default() };
                if *approve {
                    options.approve = self.parked.clone();
                }
                if let Some((pages, op)) = meanwhile {
                    // The script's memory goes along: what is deleted meanwhile can be restored later.
                    let mut script = std::mem::take(&mut self.script);
                    let mut after = self.directory();
                    script.apply(op, &mut after);
                    self.script = script;
                    let pages = usize::try_from(*pages).unwrap();
                    self.world.endpoint.change_while_listing(pages, move |directory| *directory = after);
                }
                // What goes on with an earlier listing need not be what a rehearsal from the beginning sees.
                let rehearse = *rehearse && meanwhile.is_none() && !self.half_applied;
                self.import(&lies, options, rehearse).await?;
                // A listing too short for the change to happen in: then it happens now.
                self.world.endpoint.finish_change();
            }
        }
        Ok(())
    }

    async fn import(&mut self, lies: &[Lie], options: ImportOptions, rehearse: bool) -> Result<RunReport, String> {
        let before = self.directory();
        let had = self.local()?;
        let planned = if rehearse {
            let tables = dump(&self.world);
            self.world.endpoint.lie(lies.iter().cloned());
            let report = self.world.import_with(ImportOptions { dry_run: true, ..options.clone() }).await;
            ensure_same(&tables, &dump(&self.world), "a dry run")?;
            ensure!(self.world.events().is_empty(), "a dry run has events");
            Some(report)
        } else {
            None
        };
        self.world.endpoint.lie(lies.iter().cloned());
        let goes_on = self.half_applied;
        let report = self.world.import_with(options).await;
        let after = self.directory();
        let events = self.world.events();
        self.replica.take(&events)?;
        self.half_applied = matches!(report.outcome, Outcome::Failed | Outcome::Cancelled);
        if TELL.load(Ordering::Relaxed) {
            eprintln!("lies {lies:?}\n{report:?}");
            for event in &events {
                let text = event.data.to_string();
                let short = |name: &str| event.data_value()[name].as_str().map(|id| id[id.len() - 5..].to_owned());
                match event.event_type {
                    EventType::MemberAdded | EventType::MemberRemoved => eprintln!(
                        "  {} {:?} {:?} {}",
                        event.event_type.as_str(),
                        short("group_source_id"),
                        short("member_source_id"),
                        event.data_value()["via"]
                    ),
                    _ => eprintln!("  {} {}", event.event_type.as_str(), &text[..text.len().min(500)]),
                }
            }
        }
        let has = self.local()?;
        if matches!(report.outcome, Outcome::Done | Outcome::Held) {
            self.parked.clone_from(&report.plan);
            let figures = [
                report.created + report.updated + report.missing,
                report.removed,
                report.members_added,
                report.members_removed,
            ];
            ensure!(
                figures == self.replica.figures_of(&report),
                "{figures:?} reported, {:?} events: {report:?}",
                self.replica.figures_of(&report)
            );
            if let Some(planned) =
                // A run that takes up an earlier one's listing or plan is not the one that was rehearsed.
                planned.filter(|planned| {
                    planned.outcome == Outcome::Planned
                        && (report.pages, report.requests) == (planned.pages, planned.requests)
                })
            {
                let figures = |r: &RunReport| [r.created, r.updated, r.removed, r.missing, r.parked, r.members_added];
                ensure!(figures(&planned) == figures(&report), "planned {planned:?}\ndone {report:?}");
            }
        }
        let saw_everybody = lies.is_empty() && !goes_on && !self.half_applied && before == after;
        let (before, after, lies) = match self.stopped.take() {
            Some((run, before, after, lies)) if run == report.run => (before, after, lies),
            _ => (before, after, lies.to_vec()),
        };
        self.nothing_that_exists_went(&had, &has, &before, &after, &lies)?;
        if matches!(report.outcome, Outcome::Failed | Outcome::Cancelled) {
            self.stopped = Some((report.run, before, after, lies.clone()));
        }
        if saw_everybody {
            self.script.moved.clear();
        }
        Ok(report)
    }

    /// Reads the store, and holds it against what the events say and against itself.
    fn local(&mut self) -> Result<Local, String> {
        let mut local = Local::default();
        let mut records = BTreeMap::new();
        let mut by_id = BTreeMap::new();
        let mut own_group = None;
        let store = self.world.store();
        let customer = &self.world.customer;
        for kind in ObjectKind::ALL {
            for (id, record) in self.world.records(*kind) {
                let Some(source) = record.identities.first().map(|identity| identity.source_id.clone()) else {
                    // The endpoint's own group: derived, holding every user.
                    ensure!(record.attributes.text(&names::KIND) == Some("endpoint"), "no identity: {record:?}");
                    records.insert(id.to_string(), serde_json::to_value(&record).unwrap());
                    own_group = Some(id);
                    continue;
                };
                by_id.insert(id, source.clone());
                let json = serde_json::to_value(&record).unwrap();
                records.insert(id.to_string(), json.clone());
                let first = self.record_ids.entry(source.clone()).or_insert_with(|| id.to_string());
                if *first != id.to_string() {
                    return Err(format!("{source} was record {first} and is now {id}"));
                }
                local.records.insert(source, (record.kind, json));
            }
        }
        if records != self.replica.records {
            let mut text = String::from("events and records differ:");
            for (id, record) in &records {
                if self.replica.records.get(id) != Some(record) {
                    write!(text, "\nstored {record}\n  told {:?}", self.replica.records.get(id)).unwrap();
                }
            }
            for (id, record) in self.replica.records.iter().filter(|(id, _)| !records.contains_key(*id)) {
                write!(text, "\nnot stored {id} {record}").unwrap();
            }
            return Err(text);
        }
        local.edges.clone_from(&self.replica.edges);
        let mut back: BTreeMap<RecordId, BTreeSet<RecordId>> = BTreeMap::new();
        for group in self.world.records(ObjectKind::Group).into_keys().filter(|id| Some(*id) != own_group) {
            let (members, count) = store.members(customer, group).unwrap();
            let told: BTreeSet<&SourceId> =
                self.replica.edges.iter().filter(|(g, ..)| *g == by_id[&group]).map(|(_, m, _)| m).collect();
            ensure!(told.len() as u64 == count, "{count} members stored of {}, told {told:?}", by_id[&group]);
            let live: BTreeSet<&SourceId> = told.into_iter().filter(|id| local.records.contains_key(id)).collect();
            let stored: BTreeSet<&SourceId> = members.iter().map(|id| &by_id[id]).collect();
            ensure!(live == stored, "members of {}: stored {stored:?}, told {live:?}", by_id[&group]);
            for member in members {
                back.entry(member).or_default().insert(group);
            }
        }
        // The way back is written last: while a plan is half applied it lags behind.
        for id in by_id.keys().filter(|_| !self.half_applied) {
            let mut groups: BTreeSet<RecordId> = store.groups_of(customer, *id).unwrap().into_iter().collect();
            if let Some(own) = own_group {
                let is_user = local.records[&by_id[id]].0 == ObjectKind::User;
                ensure!(groups.remove(&own) == is_user, "{} in the endpoint's own group", by_id[id]);
            }
            let expected = back.remove(id).unwrap_or_default();
            ensure!(groups == expected, "groups of {}: {groups:?} instead of {expected:?}", by_id[id]);
        }
        for edge in &local.edges {
            ensure!(local.records.contains_key(&edge.0), "a membership of a group that is not there: {edge:?}");
        }
        let totals = store.totals(customer).unwrap();
        let count = |kind| local.records.values().filter(|(k, _)| *k == kind).count() as u64;
        ensure!(
            (totals.users, totals.groups, totals.computers, totals.memberships)
                == (
                    count(ObjectKind::User),
                    count(ObjectKind::Group),
                    count(ObjectKind::Computer),
                    local.edges.len() as u64
                ),
            "{totals:?}, but {} records and {} memberships",
            local.records.len(),
            local.edges.len()
        );
        Ok(local)
    }

    /// Laws 1 to 3: whoever is in the directory and was imported is still there, and so are memberships.
    fn nothing_that_exists_went(
        &self,
        had: &Local,
        has: &Local,
        before: &ScriptedDirectory,
        after: &ScriptedDirectory,
        lies: &[Lie],
    ) -> Check {
        // Out of sight at a place where the engine does not know them: without tombstones that is being gone.
        let fooled = |id: &SourceId| {
            !before.tombstones_readable
                && self.script.moved.contains(id)
                && [before, after].iter().any(|directory| {
                    directory.objects.get(id).is_some_and(|object| {
                        lies.iter().any(|lie| matches!(lie, Lie::Hides(place) if *place == object.container))
                    })
                })
        };
        for id in had.records.keys() {
            let exists = before.in_scope(id) && after.in_scope(id);
            ensure!(
                !exists || has.records.contains_key(id) || fooled(id),
                "{id} is in the directory and was removed; lies {lies:?}"
            );
        }
        let (before, after) = (edges(before), edges(after));
        for edge in had.edges.iter().filter(|edge| before.contains(edge) && after.contains(edge)) {
            let (group, member, via) = edge;
            let ended_with_group = !has.records.contains_key(group);
            let ended_with_member = had.records.contains_key(member)
                && !has.records.contains_key(member)
                && (*via == Via::Primary || fooled(member));
            ensure!(
                has.edges.contains(edge) || ended_with_group || ended_with_member,
                "membership {edge:?} is in the directory and was ended; lies {lies:?}"
            );
        }
        Ok(())
    }

    /// Stops lying and approves what is held: then the local state is the directory, and a further import does nothing.
    async fn converge(&mut self, seed: u64) -> Check {
        let mut dice = Dice(seed ^ 0xe4d);
        let readable = dice.one_in(2);
        self.world.endpoint.change(|directory| {
            directory.tombstones_readable |= readable;
            directory.objects.values_mut().for_each(|object| object.unintelligible = false);
        });
        let mut quiet = false;
        let mut approve = None;
        for _ in 0..9 {
            // The first one may finish what was begun under a lie.
            let goes_on = self.half_applied;
            let options =
                ImportOptions { full: true, guard: guard(true), approve: approve.take(), ..ImportOptions::default() };
            let report = self.import(&[], options, false).await?;
            ensure!(
                goes_on || matches!(report.outcome, Outcome::Done | Outcome::Held),
                "an honest import ends as {:?}: {:?}",
                report.outcome,
                report.error
            );
            approve.clone_from(&report.plan);
            let changes = report.created
                + report.updated
                + report.removed
                + report.missing
                + report.members_added
                + report.members_removed;
            if changes == 0 && report.outcome == Outcome::Done && !goes_on {
                quiet = true;
                break;
            }
        }
        ensure!(quiet, "honest imports come to no rest");
        self.equals_directory()?;
        let tables = dump(&self.world);
        let report = self.world.import_with(ImportOptions { full: true, ..ImportOptions::default() }).await;
        let events = self.world.events();
        ensure!(
            events.len() == 1 && events[0].event_type == EventType::ImportFinished,
            "a run without changes: {report:?} {:?}",
            events.iter().map(|event| event.event_type).collect::<Vec<_>>()
        );
        self.replica.take(&events)?;
        ensure_same(&tables, &dump(&self.world), "a run without changes")
    }

    fn equals_directory(&mut self) -> Check {
        let (directory, local) = (self.directory(), self.local()?);
        for (id, object) in directory.objects.iter().filter(|(id, _)| directory.in_scope(id)) {
            let Some((kind, record)) = local.records.get(id) else {
                return Err(format!("{id} was never imported"));
            };
            ensure!(*kind == object.kind && record["missing_since"].is_null(), "{id} is {record}");
            for (name, value) in object.attributes.iter() {
                let expected = serde_json::to_value(value).unwrap();
                ensure!(
                    record[name.as_str()] == expected,
                    "{name} of {id} is {} and not {expected}",
                    record[name.as_str()]
                );
            }
        }
        // Without tombstones, somebody who left no neighbour behind is missing for good, and is marked so.
        let missing = |id: &SourceId| {
            !directory.tombstones_readable
                && local.records.get(id).is_some_and(|(_, record)| !record["missing_since"].is_null())
        };
        for id in local.records.keys() {
            ensure!(directory.in_scope(id) || missing(id), "{id} is not in the directory: {}", local.records[id].1);
        }
        let expected = edges(&directory);
        for edge in &expected {
            ensure!(local.edges.contains(edge), "membership {edge:?} was never imported");
        }
        for edge in &local.edges {
            ensure!(
                expected.contains(edge) || missing(&edge.0) || missing(&edge.1),
                "membership {edge:?} is not in the directory"
            );
        }
        Ok(())
    }
}

/// What is stored, by source id.
#[derive(Default)]
struct Local {
    records: BTreeMap<SourceId, (ObjectKind, Json)>,
    edges: BTreeSet<Edge>,
}

/// The memberships of a directory, of groups and by members that are in scope.
fn edges(directory: &ScriptedDirectory) -> BTreeSet<Edge> {
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

fn guard(wide: bool) -> GuardLimits {
    let all = Limit::new(1.0, 1_000_000);
    if wide {
        GuardLimits {
            users: all,
            groups: all,
            computers: all,
            memberships: all,
            members_per_group: all,
            cleared_values: all,
        }
    } else {
        GuardLimits::default()
    }
}

fn ensure_same(before: &BTreeMap<String, Vec<String>>, after: &BTreeMap<String, Vec<String>>, what: &str) -> Check {
    for (table, rows) in before {
        let now = &after[table];
        let gone: Vec<_> = rows.iter().filter(|row| !now.contains(row)).collect();
        let new: Vec<_> = now.iter().filter(|row| !rows.contains(row)).collect();
        ensure!(rows == now, "{what} wrote {table}:\nwas {gone:#?}\nis {new:#?}");
    }
    Ok(())
}

fn run(seed: u64, steps: &[Step]) -> Check {
    let steps = steps.to_vec();
    let result = std::panic::catch_unwind(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut case = Case::new(seed).await;
            for (at, step) in steps.iter().enumerate() {
                case.step(step).await.map_err(|error| format!("after step {at}: {error}"))?;
            }
            case.converge(seed).await.map_err(|error| format!("at the end: {error}"))
        })
    });
    result.unwrap_or_else(|panic| {
        let text =
            panic.downcast_ref::<String>().cloned().or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).into()));
        Err(format!("panic: {}", text.unwrap_or_default()))
    })
}

/// Cuts a failing history down: its end first, then one step after the other.
fn cut_down(seed: u64, mut steps: Vec<Step>, mut error: String) -> (Vec<Step>, String) {
    let mut size = steps.len() / 2;
    while size > 0 {
        let mut at = steps.len();
        while at > 0 {
            let from = at.saturating_sub(size);
            let mut shorter = steps.clone();
            shorter.drain(from..at);
            if let Err(other) = run(seed, &shorter) {
                (steps, error) = (shorter, other);
            }
            at = from.min(steps.len());
        }
        size /= 2;
    }
    (steps, error)
}

#[test]
fn whatever_happens_and_whatever_is_lied_the_directory_is_what_remains() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds: Vec<u64> = match number("TENANTRY_SEED") {
        Some(seed) => vec![seed],
        None => (0..number("TENANTRY_CASES").unwrap_or(300)).collect(),
    };
    let next = AtomicUsize::new(0);
    let failed = std::sync::Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(error) = run(*seed, &a_history(*seed)) {
                        failed.lock().unwrap().insert(*seed, error);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    let Some((seed, error)) = failed.first_key_value() else { return };
    let (steps, error) = cut_down(*seed, a_history(*seed), error.clone());
    TELL.store(true, Ordering::Relaxed);
    let _ = run(*seed, &steps);
    panic!(
        "{} of {} histories fail: {:?}\nTENANTRY_SEED={seed} {steps:#?}\n{error}",
        failed.len(),
        seeds.len(),
        failed.keys()
    );
}
