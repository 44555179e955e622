//! Random histories of imports and local edits, held against a model that knows the script alone: no call changes a
//! locked attribute but its owner's import, and no yielded or local value is ever lost.
//!
//! `TENANTRY_CASES` sets how many are tried, `TENANTRY_SEED` tries a single one.

use std::collections::{BTreeMap, BTreeSet};

use tenantry::model::{
    AttributeName, Attributes, Draft, Edit, EndpointName, HandOver, ObjectKind, Outcome, RecordId, Shelf, SourceId,
    TombstoneKind, Value, names,
};
use tenantry::testkit::ScriptedDirectory;
use tenantry::{Directory, ErrorKind};

use super::locks::record;
use crate::laws::{Dice, pick};
use crate::operations::{Replica, Stage, name};
use crate::seeds::seeds;

/// Endpoints in the customer's order, and the first number of their users: none has a user of the other.
const ENDPOINTS: [(&str, u128); 2] = [("ad", 0), ("cloud", 100)];

fn editable() -> [AttributeName; 5] {
    [
        names::FIRST_NAME,
        names::LAST_NAME,
        names::DISPLAY_NAME,
        AttributeName::extra("room"),
        AttributeName::extra("floor"),
    ]
}

/// One user, as far as the script tells.
#[derive(Debug, Clone, Default)]
struct Person {
    local: Attributes,
    archived: bool,
    tags: BTreeSet<String>,
    /// Through which endpoint it is seen, and what that says of it.
    seen: Option<(usize, Attributes)>,
    live: bool,
}

#[derive(Debug, Default)]
struct Model {
    people: BTreeMap<RecordId, Person>,
    /// Which record each object led to.
    led: BTreeMap<(usize, SourceId), RecordId>,
    yields: [BTreeSet<AttributeName>; 2],
    groups: BTreeMap<RecordId, BTreeSet<RecordId>>,
}

impl Model {
    /// Everything that a person shows.
    fn shown(&self, person: &Person) -> Attributes {
        let mut shown = Attributes::new();
        if let Some((_, image)) = &person.seen {
            shown.merge(image);
            shown.forget(&names::TAGS);
        }
        for (name, value) in person.local.iter() {
            let yielded = person.seen.as_ref().is_some_and(|(owner, _)| self.yields[*owner].contains(name));
            if yielded || shown.get(name).is_none() {
                shown.set(name.clone(), value.clone());
            }
        }
        if !person.tags.is_empty() {
            shown.set(names::TAGS, Value::list(person.tags.iter().map(String::as_str)));
        }
        shown
    }

    fn may_edit(&self, person: &Person, name: &AttributeName) -> bool {
        let Some((owner, image)) = &person.seen else { return true };
        self.yields[*owner].contains(name) || (name.as_extra().is_some() && image.get(name).is_none())
    }

    fn key(attributes: &Attributes) -> Option<[String; 3]> {
        let text = |name: AttributeName| attributes.text(&name).map(str::to_lowercase).filter(|text| !text.is_empty());
        Some([text(names::PRIMARY_EMAIL)?, text(names::FIRST_NAME)?, text(names::LAST_NAME)?])
    }

    /// What an import of an endpoint makes of it.
    fn import(&mut self, stage: &Stage, endpoint: usize, now: &ScriptedDirectory) {
        let users: BTreeMap<_, _> = now.objects.iter().filter(|(_, object)| object.kind == ObjectKind::User).collect();
        for ((of, id), record) in &self.led {
            if *of == endpoint && !users.contains_key(id) {
                let person = self.people.get_mut(record).unwrap();
                // Who was handed over is nobody's: no endpoint takes it away.
                if person.seen.take_if(|(by, _)| *by == endpoint).is_some() {
                    person.live = false;
                }
            }
        }
        for (id, object) in users {
            let led = self.led.get(&(endpoint, id.clone())).copied();
            let record = led.unwrap_or_else(|| {
                let adopts = |person: &Person| {
                    let mine = Self::key(&object.attributes);
                    person.live && person.seen.is_none() && mine.is_some() && Self::key(&self.shown(person)) == mine
                };
                let adopted = self.people.iter().find(|(_, person)| adopts(person)).map(|(id, _)| *id);
                let of = EndpointName::new(ENDPOINTS[endpoint].0).unwrap();
                adopted.unwrap_or_else(|| RecordId::founded_by(&stage.customer, &of, ObjectKind::User, &id.key()))
            });
            self.led.insert((endpoint, id.clone()), record);
            let person = self.people.entry(record).or_default();
            person.live = true;
            // What is no longer told stays known.
            let (_, image) = person.seen.get_or_insert_with(|| (endpoint, Attributes::new()));
            image.merge(&object.attributes);
        }
    }

    fn release(&mut self, endpoint: usize, archives: bool) {
        let theirs: Vec<RecordId> = self.people.keys().copied().collect();
        for id in theirs {
            let person = &self.people[&id];
            if person.seen.as_ref().is_none_or(|(of, _)| *of != endpoint) {
                continue;
            }
            let shown = self.shown(person);
            let person = self.people.get_mut(&id).unwrap();
            (person.local, person.seen) = (shown, None);
            person.local.forget(&names::TAGS);
            person.archived |= archives;
        }
        self.yields[endpoint].clear();
    }

    fn live(&self) -> Vec<RecordId> {
        self.people.iter().filter(|(_, person)| person.live).map(|(id, _)| *id).collect()
    }

    /// Holds what is stored against what must be.
    #[track_caller]
    fn check(&self, stage: &Stage, what: &str) {
        let stored = stage.store().records(&stage.customer, ObjectKind::User, None, 999).unwrap();
        let live = self.live();
        assert_eq!(
            stored.iter().map(|user| user.id).collect::<BTreeSet<_>>(),
            live.iter().copied().collect(),
            "{what}"
        );
        for user in stored {
            let person = &self.people[&user.id];
            assert_eq!(user.attributes, self.shown(person), "{what}: {person:?}");
            assert_eq!(user.archived, person.archived, "{what}");
            let owner = person.seen.as_ref().map(|(owner, _)| ENDPOINTS[*owner].0);
            assert_eq!(user.lock.as_ref().map(|lock| lock.endpoint.as_str()), owner, "{what}");
        }
        for (group, members) in &self.groups {
            let (there, all) = stage.store().members(&stage.customer, *group).unwrap();
            let expected: BTreeSet<_> = members.iter().filter(|id| live.contains(id)).copied().collect();
            assert_eq!((there.into_iter().collect::<BTreeSet<_>>(), all), (expected, members.len() as u64), "{what}");
        }
    }
}

struct Case {
    stage: Stage,
    directory: Directory,
    model: Model,
}

impl Case {
    async fn new(dice: &mut Dice) -> Self {
        let mut directories = ENDPOINTS.map(|(name, first)| {
            let mut directory = ScriptedDirectory::new(&format!("domain-{name}"));
            directory.tombstones_readable = true;
            for number in 1..=3 + dice.below(5) {
                directory.add_user(first + u128::from(number), "oslo");
            }
            directory
        });
        let [ad, cloud] = &mut directories;
        let stage = Stage::new([("ad", std::mem::take(ad)), ("cloud", std::mem::take(cloud))]).await;
        let directory = stage.service.directory();
        Self { stage, directory, model: Model::default() }
    }

    /// Changes a remote directory.
    fn turn(&self, dice: &mut Dice) -> String {
        let which = usize::try_from(dice.below(2)).unwrap();
        let first = ENDPOINTS[which].1;
        let user = ScriptedDirectory::id(first + 2 + u128::from(dice.below(10)));
        let name = pick(&editable(), dice.roll()).unwrap();
        let value = if dice.one_in(5) { Value::Empty } else { format!("remote{}", dice.below(4)).into() };
        let roll = dice.below(8);
        self.stage.endpoints[which].change(|directory| match roll {
            0..=3 => {
                if directory.objects.contains_key(&user) {
                    directory.set(&user, name.clone(), value.clone());
                }
            }
            4 => {
                if directory.objects.contains_key(&user) {
                    directory.delete_as(&user, TombstoneKind::Soft);
                }
            }
            5 => drop(directory.restore(&user)),
            _ => {
                let number = first + 2 + u128::from(dice.below(10));
                let id = ScriptedDirectory::id(number);
                if !directory.objects.contains_key(&id) && !directory.bin.contains_key(&id) {
                    directory.add_user(number, "oslo");
                }
            }
        });
        format!("{} {roll} {user} {name} {value:?}", ENDPOINTS[which].0)
    }

    async fn edit(&mut self, dice: &mut Dice) -> String {
        let Some(id) = pick(&self.model.live(), dice.roll()) else { return String::new() };
        let (mut edit, mut allowed, before) = (Edit::new(), true, self.model.people[&id].clone());
        let mut after = before.local.clone();
        for _ in 0..=dice.below(2) {
            let name = pick(&editable(), dice.roll()).unwrap();
            allowed &= self.model.may_edit(&before, &name);
            if dice.one_in(3) {
                edit = edit.withdraw(name.clone());
                after.forget(&name);
            } else {
                let value = Value::from(format!("local{}", dice.below(4)));
                edit = edit.set(name.clone(), value.clone());
                after.set(name, value);
            }
        }
        let told = format!("edit {id} {edit:?}");
        let refused = self.directory.check_edit(&self.stage.customer, id, &edit.attributes()).await.unwrap();
        assert_eq!(refused.is_empty(), allowed, "{told}: {refused:?}");
        match self.directory.edit(&self.stage.customer, id, &edit).await {
            Ok(_) => {
                assert!(allowed, "{told}");
                self.model.people.get_mut(&id).unwrap().local = after;
            }
            Err(error) => {
                assert_eq!((allowed, error.kind()), (false, &ErrorKind::Locked), "{told}");
                let owner = before.seen.map(|(owner, _)| ENDPOINTS[owner].0);
                assert_eq!(error.context("owner"), owner, "{told}");
            }
        }
        told
    }

    async fn add(&mut self, dice: &mut Dice) -> String {
        let number = ENDPOINTS[usize::try_from(dice.below(2)).unwrap()].1 + 2 + u128::from(dice.below(10));
        let (first, email) = (format!("FIRST{number}"), format!("User{number}@corp.example"));
        let draft = Draft::user(&email)
            .set(names::FIRST_NAME, first)
            .set(names::LAST_NAME, if dice.one_in(4) { "Other".into() } else { format!("Last{number}") })
            .set(names::DISPLAY_NAME, "by hand")
            .set(AttributeName::extra("floor"), "7");
        let taken = self.model.people.values().any(|person| {
            let shown = self.model.shown(person);
            person.live && shown.text(&names::PRIMARY_EMAIL).is_some_and(|other| other.eq_ignore_ascii_case(&email))
        });
        let told = format!("add {number} {}", draft.id);
        match self.directory.add(&self.stage.customer, &draft).await {
            Ok(added) => {
                assert!(!taken, "{told}");
                let person = Person { local: added.attributes, live: true, ..Person::default() };
                self.model.people.insert(draft.id, person);
            }
            Err(error) => assert_eq!((taken, error.kind()), (true, &ErrorKind::Conflict), "{told}: {error}"),
        }
        told
    }

    async fn remove(&mut self, dice: &mut Dice) -> String {
        let Some(id) = pick(&self.model.live(), dice.roll()) else { return String::new() };
        let locked = self.model.people[&id].seen.is_some();
        match self.directory.remove(&self.stage.customer, id).await {
            Ok(()) => {
                assert!(!locked, "remove {id}");
                self.model.people.remove(&id);
                self.model.led.retain(|_, record| *record != id);
                self.model.groups.values_mut().for_each(|members| members.retain(|member| *member != id));
            }
            Err(error) => assert_eq!((locked, error.kind()), (true, &ErrorKind::Locked), "remove {id}: {error}"),
        }
        format!("remove {id}")
    }

    async fn mark(&mut self, dice: &mut Dice) -> String {
        let Some(id) = pick(&self.model.live(), dice.roll()) else { return String::new() };
        let person = self.model.people.get_mut(&id).unwrap();
        if dice.one_in(2) {
            person.archived = !person.archived;
            let shelf = if person.archived { Shelf::Archived } else { Shelf::InUse };
            self.directory.shelve(&self.stage.customer, id, shelf).await.unwrap();
            return format!("{shelf:?} {id}");
        }
        person.tags = (0..dice.below(3)).map(|_| format!("tag{}", dice.below(3))).collect();
        self.directory.set_tags(&self.stage.customer, id, person.tags.clone()).await.unwrap();
        format!("tags {id} {:?}", person.tags)
    }

    async fn members(&mut self, dice: &mut Dice) -> String {
        if self.model.groups.is_empty() || dice.one_in(8) {
            let draft = Draft::group("By hand");
            self.directory.add(&self.stage.customer, &draft).await.unwrap();
            self.model.groups.insert(draft.id, BTreeSet::new());
        }
        let groups: Vec<RecordId> = self.model.groups.keys().copied().collect();
        let (group, live) = (pick(&groups, dice.roll()).unwrap(), self.model.live());
        let members: Vec<RecordId> = (0..dice.below(4)).filter_map(|_| pick(&live, dice.roll())).collect();
        let stored = self.model.groups.get_mut(&group).unwrap();
        let before = stored.len();
        let changed = if dice.one_in(3) {
            stored.retain(|member| !members.contains(member));
            self.directory.remove_members(&self.stage.customer, group, &members).await.unwrap()
        } else {
            stored.extend(&members);
            self.directory.add_members(&self.stage.customer, group, &members).await.unwrap()
        };
        assert_eq!(changed, before.abs_diff(stored.len()) as u64, "{members:?}");
        format!("members {group} {members:?}")
    }

    async fn step(&mut self, dice: &mut Dice) -> String {
        let which = usize::try_from(dice.below(2)).unwrap();
        match dice.below(20) {
            0..=3 => self.turn(dice),
            4..=7 => {
                let report = self.stage.import(which).await;
                assert_eq!(report.outcome, Outcome::Done, "{report:?}");
                let now = self.stage.endpoints[which].change(|directory| directory.clone());
                self.model.import(&self.stage, which, &now);
                format!("import {which}")
            }
            8..=11 => self.edit(dice).await,
            12..=13 => self.add(dice).await,
            14 => self.remove(dice).await,
            15..=16 => self.mark(dice).await,
            17 => self.members(dice).await,
            18 => {
                let yielded: BTreeSet<_> = (0..dice.below(4)).filter_map(|_| pick(&editable(), dice.roll())).collect();
                let told = format!("{which} yields {yielded:?}");
                let endpoint = name(ENDPOINTS[which].0);
                self.directory.set_yielded(&self.stage.customer, &endpoint, yielded.clone()).await.unwrap();
                self.model.yields[which] = yielded;
                told
            }
            _ => {
                if !dice.one_in(2) {
                    return String::new();
                }
                let hand_over = if dice.one_in(2) { HandOver::Unlocked } else { HandOver::Archived };
                let endpoint = name(ENDPOINTS[which].0);
                self.stage.service.remove_endpoint(&self.stage.customer, &endpoint, hand_over).await.unwrap();
                self.model.release(which, hand_over == HandOver::Archived);
                self.stage.register().await;
                format!("release {which} {hand_over:?}")
            }
        }
    }
}

#[tokio::test]
async fn no_sequence_of_calls_changes_a_locked_attribute_or_loses_a_local_value() {
    let (mut tried, mut adopted, mut locked) = (0, 0, 0);
    for seed in seeds(40) {
        tried += 1;
        let mut dice = Dice(seed ^ 0xed17);
        let mut case = Case::new(&mut dice).await;
        let mut told = Vec::new();
        for _ in 0..40 {
            told.push(case.step(&mut dice).await);
            let what = format!("seed {seed}: {told:#?}");
            case.stage.check(&what);
            case.model.check(&case.stage, &what);
        }
        let founded: BTreeSet<RecordId> = case
            .model
            .led
            .iter()
            .map(|((endpoint, id), _)| {
                RecordId::founded_by(&case.stage.customer, &name(ENDPOINTS[*endpoint].0), ObjectKind::User, &id.key())
            })
            .collect();
        adopted += case.model.led.values().filter(|id| !founded.contains(id)).count();
        locked += case.model.live().iter().filter(|id| record(&case.stage, **id).unwrap().lock.is_some()).count();
        let mut replayed = Replica::default();
        replayed.follow(case.stage.store(), &case.stage.customer);
        replayed.same_as(&case.stage.live, &format!("seed {seed}: {told:#?}, replayed from the first"));
    }
    assert!(tried < 40 || (adopted > 0 && locked > 100), "{adopted} adopted, {locked} locked");
}
