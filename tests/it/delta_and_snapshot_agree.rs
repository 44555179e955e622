//! Law 16: the state after deltas equals the state after a fresh snapshot, and both are what the script says.
//!
//! Histories are made from a seed and told by deltas: with tombstones or without, with moves out of scope and back, with
//! restores from the bin. `TENANTRY_CASES` sets how many are tried, `TENANTRY_SEED` tries a single one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value as Json;
use tenantry::ImportOptions;
use tenantry::model::{
    Attributes, EventType, Facet, GuardLimits, Limit, Mode, ObjectKind, Outcome, SourceId, TombstoneKind, UserState,
    names,
};
use tenantry::testkit::{Lie, ScriptedDirectory, ScriptedEndpoint, Telling};

use crate::laws::Dice;
use crate::seeds::seeds;
use crate::world::World;

const PLACES: [&str; 3] = ["berlin", "oslo", "rome"];
const OUTSIDE: &str = "attic";
/// Who is numbered below this never changes: each place keeps a sibling of every kind that vouches for absence.
const ANCHORS: u128 = 100;

type Edge = (String, String, String);

/// A change of the directory. Numbers choose among what is there when it happens, so that any cut-down history is one.
#[derive(Debug, Clone)]
enum Op {
    Add(u64, u64),
    Rename(u64, u64),
    Suspend(u64, bool),
    Move(u64, u64),
    Leave(u64),
    Return(u64, u64),
    Delete(u64, bool),
    Restore(u64),
    Purge(u64),
    Join(u64, u64),
    Stranger(u64, u64),
    Part(u64, u64),
    Primary(u64, u64),
    SecondFactor(u64, u64),
}

#[derive(Debug, Clone)]
enum Step {
    Do(Op),
    Wait(u64),
    /// Deltas report what is gone from now on, or no longer.
    Tell(Telling),
    Expire,
    /// An import while the endpoint fails or lies: it may change nothing that is not so.
    Disturbed(Lie),
    Import,
}

fn an_op(dice: &mut Dice) -> Op {
    let (a, b) = (dice.roll() >> 8, dice.roll() >> 8);
    match dice.below(34) {
        0..=3 => Op::Add(a, b),
        4..=5 => Op::Rename(a, b),
        6 => Op::Suspend(a, b % 2 == 0),
        7..=8 => Op::Move(a, b),
        9..=11 => Op::Leave(a),
        12..=14 => Op::Return(a, b),
        15..=18 => Op::Delete(a, b % 3 != 0),
        19..=22 => Op::Restore(a),
        23 => Op::Purge(a),
        24..=27 => Op::Join(a, b),
        28 => Op::Stranger(a, b),
        29..=30 => Op::Part(a, b),
        31..=32 => Op::Primary(a, b),
        _ => Op::SecondFactor(a, b),
    }
}

fn a_history(seed: u64) -> Vec<Step> {
    let mut dice = Dice(seed ^ 0x16);
    let mut steps = Vec::new();
    for _ in 0..2 + dice.below(5) {
        for _ in 0..=dice.below(7) {
            steps.push(Step::Do(an_op(&mut dice)));
        }
        match dice.below(12) {
            0 => steps.push(Step::Wait(dice.below(60))),
            1 => steps.push(Step::Tell(Telling::Told)),
            2 => steps.push(Step::Tell(Telling::Silent)),
            3 => steps.push(Step::Expire),
            4..=6 => {
                let pages = usize::try_from(dice.below(4)).unwrap();
                steps.push(Step::Disturbed(match dice.below(7) {
                    0 => Lie::DeltaFailsAfter(pages),
                    1 => Lie::IdsFailAfter(pages),
                    2 => Lie::IdsEmpty,
                    3 => Lie::IdsHide(PLACES[pages % 3].into()),
                    4 => Lie::DeltaRepeats,
                    5 => Lie::LookupFails,
                    _ => Lie::SecondReadingFails,
                }));
            }
            _ => {}
        }
        steps.push(Step::Import);
    }
    steps
}

fn pick<T: Clone>(all: &[T], number: u64) -> Option<T> {
    let len = u64::try_from(all.len()).unwrap();
    (len > 0).then(|| all[usize::try_from(number % len).unwrap()].clone())
}

fn ids(directory: &ScriptedDirectory, wanted: impl Fn(&SourceId) -> bool) -> Vec<SourceId> {
    let anchors: BTreeSet<SourceId> = (0..ANCHORS).map(ScriptedDirectory::id).collect();
    directory.objects.keys().filter(|id| !anchors.contains(id) && wanted(id)).cloned().collect()
}

#[allow(clippy::too_many_lines)] // one arm a change
fn change(op: &Op, directory: &mut ScriptedDirectory, next: &mut u128) {
    *next += 1;
    let all = ids(directory, |_| true);
    let kind = |id: &SourceId| directory.objects[id].kind;
    let users = ids(directory, |id| kind(id) == ObjectKind::User);
    let groups = ids(directory, |id| kind(id) == ObjectKind::Group);
    let place = |number: u64| PLACES[usize::try_from(number % 3).unwrap()];
    match op {
        Op::Add(a, b) => {
            // Strangers that groups name already are among those who come.
            let number = *next;
            match a % 5 {
                0 => {
                    let id = directory.add_group(number);
                    directory.move_to(&id, place(*b));
                }
                1 => drop(directory.add_computer(number, place(*b))),
                2 => drop(directory.add_user(number, OUTSIDE)),
                _ => drop(directory.add_user(number, place(*b))),
            }
        }
        Op::Rename(a, b) => {
            let Some(id) = pick(&all, *a) else { return };
            let name = if kind(&id) == ObjectKind::User { names::LAST_NAME } else { names::NAME };
            directory.set(&id, name, format!("Name{}", b % 9));
        }
        Op::Suspend(a, suspended) => {
            let Some(id) = pick(&users, *a) else { return };
            directory.set(&id, names::STATE, if *suspended { UserState::Suspended } else { UserState::Active });
        }
        Op::Move(a, b) => {
            let Some(id) = pick(&all, *a) else { return };
            directory.move_to(&id, place(*b));
        }
        Op::Leave(a) => {
            let Some(id) = pick(&all, *a) else { return };
            directory.move_to(&id, OUTSIDE);
        }
        Op::Return(a, b) => {
            let Some(id) = pick(&ids(directory, |id| !directory.in_scope(id)), *a) else { return };
            directory.move_to(&id, place(*b));
        }
        Op::Delete(a, soft) => {
            let Some(id) = pick(&all, *a) else { return };
            directory.delete_as(&id, if *soft { TombstoneKind::Soft } else { TombstoneKind::Hard });
        }
        Op::Restore(a) => {
            let Some(id) = pick(&directory.bin.keys().cloned().collect::<Vec<_>>(), *a) else { return };
            assert!(directory.restore(&id));
        }
        Op::Purge(a) => {
            let Some(id) = pick(&directory.bin.keys().cloned().collect::<Vec<_>>(), *a) else { return };
            directory.purge(&id);
        }
        Op::Join(a, b) => {
            let (Some(group), Some(member)) = (pick(&groups, *a), pick(&all, *b)) else { return };
            directory.add_member(&group, &member);
        }
        Op::Stranger(a, b) => {
            let Some(group) = pick(&groups, *a) else { return };
            let number = 10_000 + u128::from(b % 60);
            let id = ScriptedDirectory::id(number);
            // Nobody is a member who is deleted.
            if !directory.tombstones.contains_key(&id) {
                directory.add_member(&group, &id);
            }
        }
        Op::Part(a, b) => {
            let Some(group) = pick(&groups, *a) else { return };
            let Some(member) = pick(&directory.members[&group].iter().cloned().collect::<Vec<_>>(), *b) else {
                return;
            };
            directory.remove_member(&group, &member);
        }
        Op::Primary(a, b) => {
            let Some(id) = pick(&users, *a) else { return };
            // A group that is in the bin may still be named.
            let mut named = groups;
            named.extend(directory.bin.iter().filter(|(_, o)| o.kind == ObjectKind::Group).map(|(id, _)| id.clone()));
            let group = if b % 5 == 0 { None } else { pick(&named, *b) };
            directory.objects.get_mut(&id).unwrap().primary_group = group;
        }
        Op::SecondFactor(a, b) => {
            let Some(id) = pick(&users, *a) else { return };
            let enrolled = if b % 2 == 0 { "enrolled" } else { "not-enrolled" };
            directory.facets.insert((id, Facet::Mfa), [(names::MFA, enrolled.into())].into_iter().collect());
        }
    }
}

/// What outsiders see of a world: records by id, and memberships by source ids, as the events tell them.
#[derive(Debug, PartialEq, Default)]
struct Seen {
    records: BTreeMap<String, Json>,
    edges: BTreeSet<Edge>,
    members: BTreeMap<String, (BTreeSet<String>, u64)>,
    groups_of: BTreeMap<String, BTreeSet<String>>,
    counts: (u64, u64, u64, u64),
}

fn replay(world: &mut World, edges: &mut BTreeSet<Edge>) -> Result<(), String> {
    for event in world.events() {
        let data = event.data_value();
        let text = |name: &str| data[name].as_str().unwrap_or_default().to_owned();
        let edge = (text("group_source_id"), text("member_source_id"), text("via"));
        let fits = match event.event_type {
            EventType::MemberAdded => edges.insert(edge),
            EventType::MemberRemoved => edges.remove(&edge),
            _ => true,
        };
        if !fits {
            return Err(format!("{} twice: {data}", event.event_type.as_str()));
        }
    }
    Ok(())
}

fn seen(world: &World, edges: &BTreeSet<Edge>) -> Seen {
    let store = world.store();
    let mut seen = Seen { edges: edges.clone(), ..Seen::default() };
    for kind in ObjectKind::ALL {
        for (id, record) in world.records(*kind) {
            let groups = store.groups_of(&world.customer, id).unwrap();
            seen.groups_of.insert(id.to_string(), groups.iter().map(ToString::to_string).collect());
            if *kind == ObjectKind::Group {
                let (members, count) = store.members(&world.customer, id).unwrap();
                seen.members.insert(id.to_string(), (members.iter().map(ToString::to_string).collect(), count));
            }
            seen.records.insert(id.to_string(), serde_json::to_value(&record).unwrap());
        }
    }
    let totals = store.totals(&world.customer).unwrap();
    seen.counts = (totals.users, totals.groups, totals.computers, totals.memberships);
    seen
}

/// The memberships that the script has: of groups in scope, and of objects in scope that name a primary one.
fn true_edges(directory: &ScriptedDirectory) -> BTreeSet<Edge> {
    let is_group = |id: &&SourceId| {
        directory.in_scope(id) && directory.objects.get(id).is_some_and(|object| object.kind == ObjectKind::Group)
    };
    let mut edges = BTreeSet::new();
    for group in directory.members.keys().filter(is_group) {
        for member in &directory.members[group] {
            edges.insert((group.to_string(), member.to_string(), "explicit".to_owned()));
        }
    }
    for (id, object) in directory.objects.iter().filter(|(id, _)| directory.in_scope(id)) {
        if let Some(group) = object.primary_group.as_ref().filter(is_group) {
            edges.insert((group.to_string(), id.to_string(), "primary".to_owned()));
        }
    }
    edges
}

fn differ(what: &str, one: &Seen, other: &Seen) -> Result<(), String> {
    for (id, record) in &one.records {
        if other.records.get(id) != Some(record) {
            return Err(format!("{what}: {record}\nand: {:?}", other.records.get(id)));
        }
    }
    if let Some(id) = other.records.keys().find(|id| !one.records.contains_key(*id)) {
        return Err(format!("{what}: nothing\nand: {}", other.records[id]));
    }
    let (more, less): (Vec<_>, Vec<_>) =
        (one.edges.difference(&other.edges).collect(), other.edges.difference(&one.edges).collect());
    if !more.is_empty() || !less.is_empty() {
        return Err(format!("{what}: memberships more {more:?} less {less:?}"));
    }
    if one == other { Ok(()) } else { Err(format!("{what}: {one:?}\nand: {other:?}")) }
}

fn options() -> ImportOptions {
    let all = Limit::new(1.0, 1_000_000);
    let guard = GuardLimits::of_all(all);
    ImportOptions { guard, ..ImportOptions::default() }
}

struct Case {
    world: World,
    edges: BTreeSet<Edge>,
    next: u128,
    page_size: usize,
    /// Whether the next import may read a snapshot.
    disturbed: bool,
}

impl Case {
    async fn new(seed: u64) -> Self {
        let mut dice = Dice(seed ^ 0xd17a);
        let mut directory = ScriptedDirectory::new("domain-1");
        directory.outside.insert(OUTSIDE.into());
        directory.tombstones_readable = dice.below(3) > 0;
        for (place, number) in PLACES.iter().zip([1_u128, 11, 21]) {
            for user in 0..2 {
                directory.add_user(number + user, place);
                directory.add_computer(number + 4 + user, place);
                let group = directory.add_group(number + 2 + user);
                directory.move_to(&group, place);
            }
        }
        let mut next = ANCHORS;
        let mut groups = Vec::new();
        for _ in 0..2 + dice.below(3) {
            next += 1;
            let group = directory.add_group(next);
            directory.move_to(&group, PLACES[usize::try_from(dice.below(3)).unwrap()]);
            groups.push(group);
        }
        for _ in 0..4 + dice.below(8) {
            next += 1;
            let user = directory.add_user(next, PLACES[usize::try_from(dice.below(3)).unwrap()]);
            directory.add_member(&pick(&groups, dice.roll()).unwrap(), &user);
            directory.add_member(&pick(&groups, dice.roll()).unwrap(), &user);
            directory.objects.get_mut(&user).unwrap().primary_group =
                if dice.below(2) == 0 { pick(&groups, dice.roll()) } else { None };
        }
        let page_size = usize::try_from(1 + dice.below(6)).unwrap();
        let endpoint = ScriptedEndpoint::new("ad", directory, page_size).unwrap().with_deltas();
        endpoint.set_removals(if dice.below(3) > 0 { Telling::Told } else { Telling::Silent });
        let world = World::with_endpoint(endpoint).await;
        let mut case = Self { world, edges: BTreeSet::new(), next: 9_990, page_size, disturbed: true };
        case.import().await.unwrap();
        case
    }

    async fn step(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Do(op) => {
                let next = &mut self.next;
                self.world.endpoint.change(|directory| change(op, directory, next));
            }
            Step::Wait(hours) => self.world.clock.advance(Duration::from_secs(hours * 3600)),
            Step::Tell(telling) => self.world.endpoint.set_removals(*telling),
            Step::Expire => {
                self.world.endpoint.expire_cursors();
                self.disturbed = true;
            }
            Step::Disturbed(lie) => {
                let directory = self.world.endpoint.change(|directory| directory.clone());
                let had = self.sources();
                self.world.endpoint.lie([lie.clone()]);
                let report = self.world.import_with(options()).await;
                self.world.endpoint.lie([]);
                replay(&mut self.world, &mut self.edges)?;
                let has = self.sources();
                if let Some(id) = had.iter().find(|id| directory.in_scope(id) && !has.contains(id)) {
                    return Err(format!("{id} is in scope and was removed under {lie:?}: {report:?}"));
                }
            }
            Step::Import => self.import().await?,
        }
        Ok(())
    }

    fn sources(&self) -> BTreeSet<SourceId> {
        let all = ObjectKind::ALL.iter().flat_map(|kind| self.world.records(*kind).into_values());
        all.flat_map(|record| record.identities.into_iter().map(|identity| identity.source_id)).collect()
    }

    async fn import(&mut self) -> Result<(), String> {
        let mut report = self.world.import_with(options()).await;
        // However wide, the guard never lets most of a larger set go at once: then it is approved, and waits till then.
        for _ in 0..3 {
            if report.outcome != Outcome::Held {
                break;
            }
            let approve = report.plan.clone();
            report = self.world.import_with(ImportOptions { approve, ..options() }).await;
        }
        if report.outcome != Outcome::Done {
            return Err(format!("{report:?}"));
        }
        if !std::mem::replace(&mut self.disturbed, false) && report.mode != Mode::Delta {
            return Err(format!("a snapshot where a delta was to be had: {report:?}"));
        }
        replay(&mut self.world, &mut self.edges)?;
        let directory = self.world.endpoint.change(|directory| directory.clone());
        let told = seen(&self.world, &self.edges);

        let endpoint = ScriptedEndpoint::new("ad", directory.clone(), self.page_size).unwrap();
        let mut fresh = World::with_endpoint(endpoint).await;
        let mut edges = BTreeSet::new();
        let report = fresh.import_with(options()).await;
        assert_eq!((report.outcome, report.mode), (Outcome::Done, Mode::Snapshot), "{report:?}");
        replay(&mut fresh, &mut edges)?;
        differ("after deltas and after a snapshot", &told, &seen(&fresh, &edges))?;

        let expected: BTreeSet<SourceId> =
            directory.objects.keys().filter(|id| directory.in_scope(id)).cloned().collect();
        if self.sources() != expected {
            return Err(format!("stored {:?}\nin scope {expected:?}", self.sources()));
        }
        for record in told.records.values().filter(|record| record["kind"] != "endpoint") {
            let id = SourceId::parse(record["identities"][0]["source_id"].as_str().unwrap());
            let facets = directory.facets_of(&id);
            let layers = std::iter::once(&directory.objects[&id].attributes);
            for (name, value) in layers.chain(facets.iter().map(|patch| &patch.attributes)).flat_map(Attributes::iter) {
                let expected = serde_json::to_value(value).unwrap();
                if record[name.as_str()] != expected || !record["missing_since"].is_null() {
                    return Err(format!("{name} is to be {expected}: {record}"));
                }
            }
        }
        let expected = true_edges(&directory);
        if self.edges != expected {
            let (more, less): (Vec<_>, Vec<_>) =
                (self.edges.difference(&expected).collect(), expected.difference(&self.edges).collect());
            return Err(format!("memberships that are not so {more:?}, that are missing {less:?}"));
        }
        // Nothing is left for a second one to do.
        let again = self.world.import_with(options()).await;
        let events = self.world.events();
        if events.len() != 1 {
            return Err(format!("a second run told {:?}: {again:?}", events.iter().map(|event| event.event_type)));
        }
        Ok(())
    }
}

fn run(seed: u64, steps: &[Step]) -> Result<(), String> {
    let steps = steps.to_vec();
    let result = std::panic::catch_unwind(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut case = Case::new(seed).await;
            for (at, step) in steps.iter().enumerate() {
                case.step(step).await.map_err(|error| format!("after step {at}: {error}"))?;
            }
            case.import().await
        })
    });
    result.unwrap_or_else(|panic| {
        let text =
            panic.downcast_ref::<String>().cloned().or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).into()));
        Err(format!("panic: {}", text.unwrap_or_default()))
    })
}

#[test]
fn whatever_deltas_tell_the_state_is_that_of_a_fresh_snapshot_and_of_the_script() {
    let seeds: Vec<u64> = seeds(100).collect();
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(BTreeMap::new());
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
    let (seed, mut error) = (*seed, error.clone());
    // Cut down: one step after the other, from the end.
    let mut steps = a_history(seed);
    let mut at = steps.len();
    while at > 0 {
        at -= 1;
        let mut shorter = steps.clone();
        shorter.remove(at);
        if let Err(other) = run(seed, &shorter) {
            (steps, error) = (shorter, other);
        }
    }
    panic!(
        "{} of {} histories fail: {:?}\nTENANTRY_SEED={seed} {steps:#?}\n{error}",
        failed.len(),
        seeds.len(),
        failed.keys()
    );
}
