//! What can happen to scripted directories and to their endpoints, made from a seed. It knows nothing of the engine's state.

use std::collections::{BTreeMap, BTreeSet};

use tenantry::model::{AttributeName, Facet, MfaState, ObjectKind, SourceId, TombstoneKind, UserState, Value, names};
use tenantry::testkit::{ScriptedDirectory, ScriptedObject};

pub(super) const PLACES: [&str; 4] = ["berlin", "oslo", "rome", "lima"];
pub(crate) const OUTSIDE: &str = "attic";

/// A small generator of its own: the same seed gives the same history on every machine.
#[derive(Clone)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.roll() % bound
    }

    pub(super) fn index(&mut self, bound: u64) -> usize {
        usize::try_from(self.below(bound)).unwrap()
    }

    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// A change of the directory. Numbers choose among what is there when it happens, so that any cut-down history is one.
#[derive(Debug, Clone)]
pub(crate) enum Op {
    AddUser(u64),
    AddGroup,
    AddComputer(u64),
    Rename(u64, u64),
    Suspend(u64, bool),
    ClearMail(u64),
    HandAddress(u64, u64),
    Move(u64, u64),
    Leave(u64),
    Delete(u64, bool),
    Restore(u64),
    AddMember(u64, u64),
    AddStranger(u64, u64),
    DropMember(u64, u64),
    Primary(u64, u64),
    Garble(u64, bool),
    Observe(u64, u64),
    Tombstones(bool),
    Filter(u64),
    Own(u64, u64),
    Facet(u64, u64),
    ForgetFacet(u64),
    /// Another person gets the name and the address of one who is gone.
    Rehire(u64),
    /// Name, address, login and place, all at once.
    Marry(u64, u64),
}

#[derive(Debug, Clone)]
pub(super) enum Trick {
    Drops(u64, u64),
    Hides(u64),
    Empty,
    Truncates(u64, u64),
    Fails(u64),
    LosesRights(u64),
    Repeats,
    LookupFails,
    SecondReadingFails,
    Unreadable(u64),
    Cancels(u64),
    CancelsAtLookup,
}

/// One import, and what happens to it.
#[derive(Debug, Clone, Default)]
#[allow(clippy::struct_excessive_bools)] // each of them is thrown for by itself
pub(super) struct Run {
    /// Which endpoint.
    pub(super) side: usize,
    pub(super) tricks: Vec<Trick>,
    pub(super) meanwhile: Option<(u64, Op)>,
    /// A guard that lets go whatever it may let go at all.
    pub(super) wide: bool,
    pub(super) approve: bool,
    /// A dry run comes first.
    pub(super) rehearse: bool,
    pub(super) full: bool,
    /// The process is killed at these commits, and started again each time.
    pub(super) kills: Vec<u64>,
    pub(super) rival: Option<Rival>,
}

/// Who else wants to write.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rival {
    /// Another service starts an import of the same endpoint.
    Second,
    /// The run becomes a stale one once so many pages are listed.
    Newer(u64),
}

#[derive(Debug, Clone)]
pub(super) enum Step {
    /// In the directory of one endpoint.
    Do(usize, Op),
    Import(Run),
    /// Every endpoint is imported at the same time.
    Together,
    /// Another directory answers.
    Impostor(usize),
    Wait(u64),
}

/// Something that can happen.
pub(crate) fn an_op(dice: &mut Dice) -> Op {
    let (a, b) = (dice.roll() >> 8, dice.roll() >> 8);
    match dice.below(53) {
        0..=3 => Op::AddUser(a),
        4 => Op::AddGroup,
        5 => Op::AddComputer(a),
        6..=8 => Op::Rename(a, b),
        9..=10 => Op::Suspend(a, b % 3 != 0),
        11 => Op::ClearMail(a),
        12..=13 => Op::HandAddress(a, b),
        14..=16 => Op::Move(a, b),
        17..=18 => Op::Leave(a),
        19..=22 => Op::Delete(a, b % 2 == 0),
        23..=25 => Op::Restore(a),
        26..=30 => Op::AddMember(a, b),
        31 => Op::AddStranger(a, b),
        32..=34 => Op::DropMember(a, b),
        35..=38 => Op::Primary(a, b),
        39..=40 => Op::Garble(a, b % 3 != 0),
        41 => Op::Observe(a, b),
        42 => Op::Tombstones(a % 2 == 0),
        43..=44 => Op::Own(a, b),
        45..=46 => Op::Facet(a, b),
        47 => Op::ForgetFacet(a),
        48..=49 => Op::Rehire(a),
        50..=51 => Op::Marry(a, b),
        _ => Op::Filter(a),
    }
}

pub(super) fn a_trick(dice: &mut Dice) -> Trick {
    let (a, b) = (dice.roll() >> 8, dice.roll() >> 8);
    match dice.below(16) {
        0..=1 => Trick::Drops(a, b),
        2..=3 => Trick::Hides(a),
        4 => Trick::Empty,
        5..=6 => Trick::Truncates(a, b),
        7..=8 => Trick::Fails(a),
        9 => Trick::LosesRights(a),
        10 => Trick::Repeats,
        11 => Trick::LookupFails,
        12 => Trick::SecondReadingFails,
        13 => Trick::Unreadable(a),
        14 => Trick::Cancels(a),
        _ => Trick::CancelsAtLookup,
    }
}

/// Tricks that show the same whenever the same is listed: an interrupted import can be compared with another one.
fn is_steady(trick: &Trick) -> bool {
    matches!(
        trick,
        Trick::Drops(..)
            | Trick::Hides(_)
            | Trick::Truncates(..)
            | Trick::LookupFails
            | Trick::SecondReadingFails
            | Trick::Unreadable(_)
    )
}

/// What keeps an endpoint from telling all, and shows.
fn a_fault(dice: &mut Dice) -> Trick {
    let pages = dice.roll() >> 8;
    [Trick::Fails(pages), Trick::Cancels(pages), Trick::LosesRights(pages)][dice.index(3)].clone()
}

fn a_run(dice: &mut Dice, sides: u64, mood: Mood) -> Run {
    let mut tricks = match (mood, dice.below(5)) {
        (Mood::Honest, 0..=2) | (_, 0 | 1) => Vec::new(),
        (Mood::Honest, _) => vec![a_fault(dice)],
        (_, 2 | 3) => vec![a_trick(dice)],
        _ => vec![a_trick(dice), a_trick(dice)],
    };
    let mut run = Run {
        side: dice.index(sides),
        meanwhile: dice.one_in(4).then(|| (dice.below(6), an_op(dice))),
        wide: dice.one_in(2),
        approve: dice.one_in(3),
        rehearse: dice.one_in(4),
        full: dice.one_in(4),
        ..Run::default()
    };
    match dice.below(10) {
        0..=2 => {
            tricks.retain(is_steady);
            run.meanwhile = None;
            // At the first commits it is listed, at later ones applied.
            run.kills = (0..=dice.below(3)).map(|_| dice.below(44)).collect();
        }
        3 => run.rival = Some(Rival::Second),
        4 => {
            run.meanwhile = None;
            run.rival = Some(Rival::Newer(dice.below(6)));
        }
        _ => {}
    }
    run.tricks = tricks;
    run
}

/// What the endpoints of a history are like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    /// They fail, but what they tell is true.
    Honest,
    Lying,
}

/// How many endpoints the history of a seed has.
pub(super) fn sides(seed: u64) -> usize {
    if Dice(seed ^ 0x51de5).one_in(3) { 2 } else { 1 }
}

/// Whether the two endpoints of a history show some people both.
pub(super) fn is_shared(seed: u64) -> bool {
    sides(seed) > 1 && !Dice(seed ^ 0x5a4ed).one_in(3)
}

/// Makes the history of a seed: mostly a short one, because most mistakes show in a few steps.
pub(super) fn a_history(seed: u64) -> Vec<Step> {
    let mut dice = Dice(seed);
    let sides = sides(seed) as u64;
    let mood = if dice.one_in(3) { Mood::Honest } else { Mood::Lying };
    let mut steps = Vec::new();
    let imports = if dice.one_in(8) { 3 + dice.below(6) } else { 1 + dice.below(3) };
    for _ in 0..imports {
        for _ in 0..dice.below(8) {
            steps.push(Step::Do(dice.index(sides), an_op(&mut dice)));
        }
        match dice.below(16) {
            0..=2 => steps.push(Step::Wait(dice.below(60))),
            3 => steps.push(Step::Impostor(dice.index(sides))),
            4..=6 if sides > 1 => steps.push(Step::Together),
            _ => {}
        }
        steps.push(Step::Import(a_run(&mut dice, sides, mood)));
    }
    steps
}

/// The script's own memory: who can come back.
#[derive(Default)]
pub(crate) struct Script {
    pub(super) graves: BTreeMap<SourceId, (ScriptedObject, Vec<SourceId>, BTreeSet<SourceId>)>,
    pub(super) next: u128,
    /// Who moved since a listing that could see them: a place that hides them then hides where they are.
    pub(super) moved: BTreeSet<SourceId>,
    /// Who came back from the grave, ever.
    pub(super) restored: BTreeSet<SourceId>,
    /// Every place that an object was ever seen at.
    pub(super) places: BTreeMap<SourceId, BTreeSet<Box<str>>>,
}

pub(crate) fn pick<T: Clone>(all: &[T], number: u64) -> Option<T> {
    let len = u64::try_from(all.len()).unwrap();
    (len > 0).then(|| all[usize::try_from(number % len).unwrap()].clone())
}

pub(super) fn ids(directory: &ScriptedDirectory, kind: Option<ObjectKind>) -> Vec<SourceId> {
    directory
        .objects
        .iter()
        .filter(|(_, object)| kind.is_none_or(|kind| object.kind == kind))
        .map(|(id, _)| id.clone())
        .collect()
}

impl Script {
    /// Remembers where everybody is.
    pub(super) fn remember(&mut self, directory: &ScriptedDirectory) {
        for (id, object) in &directory.objects {
            self.places.entry(id.clone()).or_default().insert(object.container.clone());
        }
    }

    #[allow(clippy::too_many_lines)] // one arm a change
    pub(crate) fn apply(&mut self, op: &Op, directory: &mut ScriptedDirectory) {
        // Somebody always stays: an endpoint without a single user is refused by design.
        let anchor = ScriptedDirectory::id(1);
        let place = |n: u64| pick(&PLACES, n).unwrap();
        self.next += 1;
        let fresh = 10_000 + self.next;
        let users = ids(directory, Some(ObjectKind::User));
        let groups = ids(directory, Some(ObjectKind::Group));
        let all = ids(directory, None);
        self.remember(directory);
        match op {
            Op::AddUser(n) => drop(directory.add_user(fresh, place(*n))),
            Op::AddGroup => drop(directory.add_group(fresh)),
            Op::AddComputer(n) => drop(directory.add_computer(fresh, place(*n))),
            Op::Rename(a, b) => {
                let Some(id) = pick(&all, *a) else { return };
                let name = match directory.objects[&id].kind {
                    ObjectKind::User => names::LAST_NAME,
                    _ => names::NAME,
                };
                directory.set(&id, name, format!("Name{}", b % 5));
            }
            Op::Suspend(a, suspended) => {
                let Some(id) = pick(&users, *a) else { return };
                directory.set(&id, names::STATE, if *suspended { UserState::Suspended } else { UserState::Active });
            }
            Op::ClearMail(a) => {
                let Some(id) = pick(&users, *a) else { return };
                directory.set(&id, names::PRIMARY_EMAIL, Value::Empty);
            }
            Op::HandAddress(a, b) => {
                let (Some(from), Some(to)) = (pick(&users, *a), pick(&users, *b)) else { return };
                let Some(address) = directory.objects[&from].attributes.get(&names::PRIMARY_EMAIL).cloned() else {
                    return;
                };
                directory.set(&from, names::PRIMARY_EMAIL, format!("new{fresh}@corp.example"));
                directory.set(&to, names::PRIMARY_EMAIL, address);
            }
            Op::Move(a, b) => {
                let Some(id) = pick(&all, *a) else { return };
                self.moved.insert(id.clone());
                directory.move_to(&id, place(*b));
            }
            Op::Leave(a) => {
                let Some(id) = pick(&all, *a).filter(|id| *id != anchor) else { return };
                self.moved.insert(id.clone());
                directory.move_to(&id, OUTSIDE);
            }
            Op::Delete(a, soft) => {
                let Some(id) = pick(&all, *a).filter(|id| *id != anchor) else { return };
                let object = directory.objects[&id].clone();
                let was_in =
                    directory.members.iter().filter(|(_, m)| m.contains(&id)).map(|(g, _)| g.clone()).collect();
                let had = directory.members.get(&id).cloned().unwrap_or_default();
                self.graves.insert(id.clone(), (object, was_in, had));
                directory.delete_as(&id, if *soft { TombstoneKind::Soft } else { TombstoneKind::Hard });
            }
            Op::Restore(a) => {
                let dead: Vec<SourceId> = self.graves.keys().cloned().collect();
                let Some(id) = pick(&dead, *a) else { return };
                let (object, was_in, mut had) = self.graves.remove(&id).unwrap();
                had.retain(|member| !self.graves.contains_key(member));
                self.restored.insert(id.clone());
                if object.kind == ObjectKind::Group {
                    directory.members.insert(id.clone(), had);
                }
                directory.objects.insert(id.clone(), object);
                directory.tombstones.remove(&id);
                for group in
                    was_in.iter().filter(|group| directory.objects.contains_key(group)).cloned().collect::<Vec<_>>()
                {
                    directory.add_member(&group, &id);
                }
            }
            Op::AddMember(a, b) => {
                let (Some(group), Some(member)) = (pick(&groups, *a), pick(&all, *b)) else { return };
                directory.add_member(&group, &member);
            }
            Op::AddStranger(a, b) => {
                let Some(group) = pick(&groups, *a) else { return };
                // Some of them are created later on: new objects take numbers from the same range.
                directory.add_member(&group, &ScriptedDirectory::id(10_000 + u128::from(b % 60)));
            }
            Op::DropMember(a, b) => {
                let Some(group) = pick(&groups, *a) else { return };
                let members: Vec<SourceId> = directory.members[&group].iter().cloned().collect();
                let Some(member) = pick(&members, *b) else { return };
                directory.remove_member(&group, &member);
            }
            Op::Primary(a, b) => {
                let Some(id) = pick(&users, *a) else { return };
                // A group that is gone may still be named.
                let mut named = groups.clone();
                named.extend(
                    self.graves.iter().filter(|(_, grave)| grave.0.kind == ObjectKind::Group).map(|(id, _)| id.clone()),
                );
                let group = if b % 7 == 0 { None } else { pick(&named, *b) };
                directory.objects.get_mut(&id).unwrap().primary_group = group;
            }
            Op::Garble(a, garbled) => {
                let Some(id) = pick(&all, *a).filter(|id| *id != anchor) else { return };
                directory.objects.get_mut(&id).unwrap().unintelligible = *garbled;
            }
            Op::Observe(a, b) => {
                let Some(id) = pick(&users, *a) else { return };
                let value = Value::Int(i64::try_from(b % 1000).unwrap());
                directory.objects.get_mut(&id).unwrap().observations.set(AttributeName::extra("last_seen"), value);
            }
            Op::Tombstones(readable) => directory.tombstones_readable = *readable,
            Op::Own(a, b) => {
                let computers = ids(directory, Some(ObjectKind::Computer));
                let Some(computer) = pick(&computers, *a) else { return };
                let mut owners = users;
                let people = self.graves.iter().filter(|(_, (object, ..))| object.kind == ObjectKind::User);
                owners.extend(people.map(|(id, _)| id.clone()));
                match pick(&owners, *b).filter(|_| b % 5 != 0) {
                    Some(owner) => directory.set(&computer, names::OWNER, owner.to_string()),
                    None => directory.set(&computer, names::OWNER, Value::Empty),
                }
            }
            Op::Facet(a, b) => {
                let Some(id) = pick(&users, *a) else { return };
                let state = if b % 2 == 0 { MfaState::Enrolled } else { MfaState::NotEnrolled };
                directory.facets.insert((id, Facet::Mfa), [(names::MFA, state.into())].into_iter().collect());
            }
            Op::ForgetFacet(a) => {
                let known: Vec<_> = directory.facets.keys().cloned().collect();
                let Some(facet) = pick(&known, *a) else { return };
                directory.facets.remove(&facet);
            }
            Op::Rehire(a) => {
                let dead: Vec<SourceId> = self.graves.keys().cloned().collect();
                let Some(attributes) = pick(&dead, *a).map(|id| self.graves[&id].0.clone()) else { return };
                if attributes.kind == ObjectKind::User {
                    let id = directory.add_user(fresh, &attributes.container);
                    directory.objects.get_mut(&id).unwrap().attributes = attributes.attributes;
                }
            }
            Op::Marry(a, b) => {
                let Some(id) = pick(&users, *a) else { return };
                directory.set(&id, names::LAST_NAME, format!("Wed{fresh}"));
                directory.set(&id, names::PRIMARY_EMAIL, format!("wed{fresh}@corp.example"));
                directory.set(&id, names::USERNAME, format!("wed{fresh}"));
                self.moved.insert(id.clone());
                directory.move_to(&id, place(*b));
            }
            Op::Filter(_) => {}
        }
    }
}
