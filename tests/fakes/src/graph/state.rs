//! What the tenant holds: the seed's objects, the changes over them and their history; it knows no request.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use serde_json::Value;

use super::clock::{instant, parse_instant};
use super::error::Problem;
use super::ids::{Id, Kind, Ref};
use super::links::Links;
use super::properties::{self, ID, Property};
use super::seeds::Seeds;

/// Where an object is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    /// It was never there.
    Never,
    Live,
    /// It can be restored; deleted at this time in milliseconds.
    Soft(i64),
    Gone,
}

/// What was changed of one object, or all of it when no seed made it.
#[derive(Debug, Clone)]
struct Overlay {
    life: Life,
    values: BTreeMap<u8, Value>,
    /// What Graph never shows as a property: MFA, purpose of the mailbox, roles.
    hidden: BTreeMap<&'static str, Value>,
}

#[derive(Debug, Clone, Default)]
struct Store {
    seeded: u32,
    created: u32,
    live: u32,
    overlay: BTreeMap<u32, Overlay>,
    soft: BTreeSet<u32>,
}

/// One step of the tenant's history; its place in the history is what delta tokens hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Change {
    pub(crate) object: Ref,
    pub(crate) what: What,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum What {
    /// Created or restored.
    Born,
    /// These properties changed.
    Set(u128),
    /// Deleted, softly or for good.
    Died,
    Joined(Ref),
    Left(Ref),
}

/// The tenant's content.
#[derive(Debug, Clone)]
pub(crate) struct State {
    pub(crate) seeds: Arc<Seeds>,
    stores: [Store; 5],
    links: Links,
    owners: HashMap<u32, Vec<Ref>>,
    pub(crate) history: Vec<Change>,
    /// Groups whose changes of members delta never tells.
    pub(crate) silent: HashSet<u32>,
}

impl State {
    pub(crate) fn new(seeds: Seeds) -> Self {
        let stores = Kind::ALL.map(|kind| {
            let seeded = seeds.count(kind);
            Store { seeded, live: seeded, ..Store::default() }
        });
        Self {
            seeds: Arc::new(seeds),
            stores,
            links: Links::default(),
            owners: HashMap::new(),
            history: Vec::new(),
            silent: HashSet::new(),
        }
    }

    fn store(&self, kind: Kind) -> &Store {
        &self.stores[kind as usize]
    }

    /// How many objects of a kind there ever were.
    pub(crate) fn end(&self, kind: Kind) -> u32 {
        self.store(kind).seeded + self.store(kind).created
    }

    pub(crate) fn seeded(&self, kind: Kind) -> u32 {
        self.store(kind).seeded
    }

    pub(crate) fn live(&self, kind: Kind) -> u32 {
        self.store(kind).live
    }

    /// The first changed object of a kind at this place or after it.
    pub(crate) fn next_changed(&self, kind: Kind, from: u32) -> Option<u32> {
        self.store(kind).overlay.range(from..).next().map(|(ordinal, _)| *ordinal)
    }

    pub(crate) fn soft_deleted(&self, kind: Kind) -> &BTreeSet<u32> {
        &self.store(kind).soft
    }

    pub(crate) fn life(&self, object: Ref) -> Life {
        let store = self.store(object.kind());
        if store.overlay.is_empty() || !store.overlay.contains_key(&object.ordinal()) {
            return if object.ordinal() < store.seeded { Life::Live } else { Life::Never };
        }
        store.overlay[&object.ordinal()].life
    }

    pub(crate) fn is_live(&self, object: Ref) -> bool {
        self.life(object) == Life::Live
    }

    pub(crate) fn id(&self, object: Ref) -> Id {
        self.seeds.codec.id(object)
    }

    /// Finds the object with this id, whatever its life.
    pub(crate) fn find(&self, id: Id) -> Option<Ref> {
        let object = self.seeds.codec.object(id)?;
        (object.ordinal() < self.end(object.kind())).then_some(object)
    }

    // Properties.

    fn overlaid(&self, object: Ref) -> Option<&Overlay> {
        let overlay = &self.store(object.kind()).overlay;
        if overlay.is_empty() { None } else { overlay.get(&object.ordinal()) }
    }

    /// Returns a writer of one object's properties, so that it is looked up once.
    pub(crate) fn open(&self, object: Ref) -> Open<'_> {
        Open {
            state: self,
            object,
            overlay: self.overlaid(object),
            seeded: object.ordinal() < self.store(object.kind()).seeded,
            properties: properties::of(object.kind()),
        }
    }

    pub(crate) fn value(&self, object: Ref, place: u8) -> Value {
        let mut out = Vec::new();
        self.open(object).write(place, &mut out);
        serde_json::from_slice(&out).unwrap_or(Value::Null)
    }

    pub(crate) fn named(&self, object: Ref, name: &str) -> Value {
        properties::place(object.kind(), name).map_or(Value::Null, |place| self.value(object, place))
    }

    pub(crate) fn text(&self, object: Ref, name: &str) -> Option<String> {
        match self.named(object, name) {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// When an object was created, in seconds since 1970.
    pub(crate) fn created(&self, object: Ref) -> Option<i64> {
        let place = properties::place(object.kind(), "createdDateTime")?;
        match self.overlaid(object).and_then(|overlay| overlay.values.get(&place)) {
            Some(value) => value.as_str().and_then(parse_instant),
            None if object.ordinal() < self.seeded(object.kind()) => {
                Some(self.seeds.created(object.kind(), object.ordinal()))
            }
            None => None,
        }
    }

    pub(crate) fn hidden(&self, object: Ref, name: &str) -> Option<&Value> {
        self.overlaid(object)?.hidden.get(name)
    }

    // Changes.

    fn touch(&mut self, object: Ref) -> &mut Overlay {
        let life = self.life(object);
        let store = &mut self.stores[object.kind() as usize];
        store.overlay.entry(object.ordinal()).or_insert_with(|| Overlay {
            life,
            values: BTreeMap::new(),
            hidden: BTreeMap::new(),
        })
    }

    fn tell(&mut self, object: Ref, what: What) {
        self.history.push(Change { object, what });
    }

    pub(crate) fn create(&mut self, kind: Kind, values: BTreeMap<u8, Value>) -> Ref {
        let store = &mut self.stores[kind as usize];
        let object = Ref::new(kind, store.seeded + store.created);
        store.created += 1;
        store.live += 1;
        store.overlay.insert(object.ordinal(), Overlay { life: Life::Live, values, hidden: BTreeMap::new() });
        self.tell(object, What::Born);
        object
    }

    pub(crate) fn set(&mut self, object: Ref, values: impl IntoIterator<Item = (u8, Value)>) {
        let mut changed = 0;
        for (place, value) in values {
            if self.value(object, place) != value {
                changed |= 1 << place;
                self.touch(object).values.insert(place, value);
            }
        }
        if changed != 0 {
            self.tell(object, What::Set(changed));
        }
    }

    pub(crate) fn hide(&mut self, object: Ref, name: &'static str, value: Value) {
        self.touch(object).hidden.insert(name, value);
    }

    /// Deletes an object so that it can be restored.
    pub(crate) fn delete_softly(&mut self, object: Ref, now: i64) {
        if self.is_live(object) {
            self.touch(object).life = Life::Soft(now);
            let store = &mut self.stores[object.kind() as usize];
            store.live -= 1;
            store.soft.insert(object.ordinal());
            self.tell(object, What::Died);
        }
    }

    pub(crate) fn restore(&mut self, object: Ref, tell_groups: bool) {
        if matches!(self.life(object), Life::Soft(_)) {
            self.touch(object).life = Life::Live;
            let store = &mut self.stores[object.kind() as usize];
            store.live += 1;
            store.soft.remove(&object.ordinal());
            self.tell(object, What::Born);
            if tell_groups {
                for group in self.groups_of(object) {
                    self.tell(Ref::new(Kind::Group, group), What::Joined(object));
                }
            }
        }
    }

    /// Deletes an object for good; its memberships end, told of or not.
    pub(crate) fn purge(&mut self, object: Ref, tell_groups: bool) {
        let life = self.life(object);
        if !matches!(life, Life::Live | Life::Soft(_)) {
            return;
        }
        // Groups that can be restored lose the member too.
        let there = |group: &u32| self.life(Ref::new(Kind::Group, *group)) != Life::Gone && self.holds(*group, object);
        let groups: Vec<u32> = (0..self.end(Kind::Group)).filter(there).collect();
        self.touch(object).life = Life::Gone;
        let store = &mut self.stores[object.kind() as usize];
        store.live -= u32::from(life == Life::Live);
        store.soft.remove(&object.ordinal());
        self.tell(object, What::Died);
        for group in groups {
            if tell_groups && !self.silent.contains(&group) {
                self.tell(Ref::new(Kind::Group, group), What::Left(object));
            }
        }
    }

    // Memberships.

    /// Adds a member; neither a deleted group nor a purged member can be joined.
    pub(crate) fn join(&mut self, group: Ref, member: Ref) {
        if !self.is_live(group) || !matches!(self.life(member), Life::Live | Life::Soft(_)) {
            return;
        }
        let seeded = self.seeded(Kind::Group);
        if self.links.add(&self.seeds, seeded, group.ordinal(), member) && !self.silent.contains(&group.ordinal()) {
            self.tell(group, What::Joined(member));
        }
    }

    pub(crate) fn leave(&mut self, group: Ref, member: Ref) {
        if !self.is_live(group) {
            return;
        }
        let seeded = self.seeded(Kind::Group);
        if self.links.remove(&self.seeds, seeded, group.ordinal(), member) && !self.silent.contains(&group.ordinal()) {
            self.tell(group, What::Left(member));
        }
    }

    /// How many places a group's list of members has; some may be empty.
    pub(crate) fn places(&self, group: u32) -> u32 {
        self.links.places(&self.seeds, self.seeded(Kind::Group), group)
    }

    /// The member at a place, when it is there and alive.
    pub(crate) fn member(&self, group: u32, place: u32) -> Option<Ref> {
        let member = self.links.at(&self.seeds, self.seeded(Kind::Group), group, place)?;
        self.is_live(member).then_some(member)
    }

    /// Whether an object is in a group, asleep or awake.
    pub(crate) fn holds(&self, group: u32, member: Ref) -> bool {
        self.links.place(&self.seeds, self.seeded(Kind::Group), group, member).is_some()
    }

    pub(crate) fn member_count(&self, group: u32) -> u32 {
        let places = self.places(group);
        u32::try_from((0..places).filter(|place| self.member(group, *place).is_some()).count()).unwrap_or(places)
    }

    /// The groups that hold an object, dead groups aside.
    pub(crate) fn groups_of(&self, member: Ref) -> Vec<u32> {
        let holds = |group: &u32| self.is_live(Ref::new(Kind::Group, *group)) && self.holds(*group, member);
        (0..self.end(Kind::Group)).filter(holds).collect()
    }

    /// The groups that hold an object itself or through other groups.
    pub(crate) fn all_groups_of(&self, member: Ref) -> Vec<u32> {
        let mut found: BTreeSet<u32> = BTreeSet::new();
        let mut open = vec![member];
        while let Some(object) = open.pop() {
            let groups = self.groups_of(object);
            open.extend(
                groups.into_iter().filter(|group| found.insert(*group)).map(|group| Ref::new(Kind::Group, group)),
            );
        }
        found.into_iter().collect()
    }

    /// The members of a group and of the groups in it.
    pub(crate) fn transitive_members(&self, group: Ref, cast: Option<Kind>) -> Vec<Ref> {
        let mut found: BTreeSet<Ref> = BTreeSet::new();
        let mut open = vec![group.ordinal()];
        while let Some(group) = open.pop() {
            for member in (0..self.places(group)).filter_map(|place| self.member(group, place)) {
                if found.insert(member) && member.kind() == Kind::Group {
                    open.push(member.ordinal());
                }
            }
        }
        found.into_iter().filter(|member| cast.is_none_or(|kind| member.kind() == kind)).collect()
    }

    /// Finds a live object of a kind by what stands in an address: its id, a principal name, a device id.
    pub(crate) fn wanted(&self, kind: Option<Kind>, id: &str) -> Result<Ref, Problem> {
        let by_id = id.parse::<Id>().ok().and_then(|id| self.find(id));
        by_id
            .or_else(|| self.by_name(kind, id))
            .filter(|object| self.is_live(*object) && kind.is_none_or(|kind| object.kind() == kind))
            .ok_or_else(|| Problem::not_found(id))
    }

    /// Finds a live user by the principal name, or a live device by its device id.
    pub(crate) fn by_name(&self, kind: Option<Kind>, name: &str) -> Option<Ref> {
        let (kind, property) = match kind {
            Some(Kind::User) => (Kind::User, "userPrincipalName"),
            Some(Kind::Device) => (Kind::Device, "deviceId"),
            _ => return None,
        };
        let has = |object: &Ref| {
            self.is_live(*object) && self.text(*object, property).is_some_and(|text| text.eq_ignore_ascii_case(name))
        };
        let seeded = self.seeded(kind);
        let mut first = 0;
        if kind == Kind::User {
            // Seeded names rise with the place; whoever was renamed since stands among the changed ones.
            let (mut end, wanted) = (seeded, name.to_lowercase());
            while first < end {
                let middle = first + (end - first) / 2;
                let below = self.seeds.upn(middle).to_lowercase() < wanted;
                (first, end) = if below { (middle + 1, end) } else { (first, middle) };
            }
            let changed = self.store(kind).overlay.keys().copied().filter(|ordinal| *ordinal < seeded);
            let found = changed.chain([first]).map(|ordinal| Ref::new(kind, ordinal)).find(has);
            if found.is_some() {
                return found;
            }
            first = seeded;
        }
        (first..self.end(kind)).map(|ordinal| Ref::new(kind, ordinal)).find(has)
    }

    pub(crate) fn owners(&self, device: u32) -> Vec<Ref> {
        let seeded = if device < self.seeded(Kind::Device) { self.seeds.owner(device) } else { None };
        let all = self.owners.get(&device).cloned().unwrap_or_else(|| seeded.into_iter().collect());
        all.into_iter().filter(|owner| self.is_live(*owner)).collect()
    }

    pub(crate) fn set_owners(&mut self, device: Ref, owners: Vec<Ref>) {
        self.owners.insert(device.ordinal(), owners);
    }
}

/// One object, ready to write its properties.
#[derive(Clone, Copy)]
pub(crate) struct Open<'a> {
    state: &'a State,
    object: Ref,
    overlay: Option<&'a Overlay>,
    seeded: bool,
    properties: &'static [Property],
}

impl Open<'_> {
    /// Writes a property as JSON.
    pub(crate) fn write(&self, place: u8, out: &mut Vec<u8>) {
        if place == ID {
            out.push(b'"');
            let mut text = [0; 36];
            super::ids::write_guid(self.state.id(self.object).0, &mut text);
            out.extend_from_slice(&text);
            out.push(b'"');
            return;
        }
        let Some(property) = self.properties.get(usize::from(place)) else { return };
        if let Some(overlay) = self.overlay {
            if let Some(value) = overlay.values.get(&place) {
                // Writing into memory cannot fail.
                let _ = serde_json::to_writer(&mut *out, value);
                return;
            }
            if let (Life::Soft(at), "deletedDateTime") = (overlay.life, property.name) {
                out.extend_from_slice(format!("\"{}\"", instant(at / 1000)).as_bytes());
                return;
            }
        }
        match property.write.filter(|_| self.seeded) {
            Some(write) => write(&self.state.seeds, self.object.ordinal(), out),
            None => out.extend_from_slice(property.absent.as_bytes()),
        }
    }
}
