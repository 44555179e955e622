//! What can happen to a scripted directory and to its endpoint, made from a seed.

use std::collections::{BTreeMap, BTreeSet};

use tenantry::model::{AttributeName, ObjectKind, SourceId, TombstoneKind, UserState, Value, names};
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

#[derive(Debug, Clone)]
pub(super) enum Step {
    Do(Op),
    Import { tricks: Vec<Trick>, meanwhile: Option<(u64, Op)>, wide: bool, approve: bool, rehearse: bool },
    Wait(u64),
}

pub(crate) fn an_op(dice: &mut Dice) -> Op {
    let (a, b) = (dice.roll() >> 8, dice.roll() >> 8);
    match dice.below(44) {
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

pub(super) fn a_history(seed: u64) -> Vec<Step> {
    let mut dice = Dice(seed);
    let mut steps = Vec::new();
    for _ in 0..2 + dice.below(7) {
        for _ in 0..dice.below(8) {
            steps.push(Step::Do(an_op(&mut dice)));
        }
        if dice.one_in(6) {
            steps.push(Step::Wait(dice.below(40)));
        }
        let tricks = match dice.below(5) {
            0 | 1 => Vec::new(),
            2 | 3 => vec![a_trick(&mut dice)],
            _ => vec![a_trick(&mut dice), a_trick(&mut dice)],
        };
        let meanwhile = dice.one_in(4).then(|| (dice.below(6), an_op(&mut dice)));
        let (wide, approve, rehearse) = (dice.one_in(2), dice.one_in(3), dice.one_in(4));
        steps.push(Step::Import { tricks, meanwhile, wide, approve, rehearse });
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
            Op::Filter(_) => {}
        }
    }
}
