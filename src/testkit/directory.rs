//! The truth of a scripted directory: what an honest listing shows.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Anchor, Attributes, Facet, ObjectKind, Patch, SourceId, TombstoneKind, UserKind, UserState, names};

/// One object of a scripted directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptedObject {
    /// User, group or computer.
    pub kind: ObjectKind,
    /// Where it lies.
    pub container: Box<str>,
    /// What it is like.
    pub attributes: Attributes,
    /// Ids that other directories know it by.
    pub anchors: Vec<Anchor>,
    /// Values that change by themselves.
    pub observations: Attributes,
    /// The group that it names as its primary one.
    pub primary_group: Option<SourceId>,
    /// Whether the connector cannot make sense of it.
    pub unintelligible: bool,
}

/// Objects and memberships, to be changed between two runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScriptedDirectory {
    /// The directory's own id.
    pub identity: String,
    /// Every object, by its id.
    pub objects: BTreeMap<SourceId, ScriptedObject>,
    /// Explicit members, by group.
    pub members: BTreeMap<SourceId, BTreeSet<SourceId>>,
    /// Objects that are gone, and whether they can come back.
    pub tombstones: BTreeMap<SourceId, TombstoneKind>,
    /// Whether tombstones can be read.
    pub tombstones_readable: bool,
    /// What is read of objects apart from their core.
    pub facets: BTreeMap<(SourceId, Facet), Attributes>,
    /// Containers outside of base and filter: not listed, and look-ups say so.
    pub outside: BTreeSet<Box<str>>,
    /// What was deleted and can be restored.
    pub bin: BTreeMap<SourceId, ScriptedObject>,
    /// Memberships (group, member) of which an end is in the bin: they come back with it. Deltas say nothing of that
    /// where both ends were in scope, which is what the value tells.
    pub asleep: BTreeMap<(SourceId, SourceId), bool>,
    /// Addresses that objects were known by, and the ids that they have by now.
    pub forwarded: BTreeMap<SourceId, SourceId>,
}

impl ScriptedDirectory {
    /// Creates an empty directory.
    pub fn new(identity: &str) -> Self {
        Self { identity: identity.to_owned(), ..Self::default() }
    }

    /// Returns the id that a number stands for.
    pub fn id(number: u128) -> SourceId {
        SourceId::Guid(uuid::Uuid::from_u128(number))
    }

    /// Adds a user with a name and an address made of its number.
    pub fn add_user(&mut self, number: u128, container: &str) -> SourceId {
        let attributes = [
            (names::KIND, UserKind::Person.into()),
            (names::FIRST_NAME, format!("First{number}").into()),
            (names::LAST_NAME, format!("Last{number}").into()),
            (names::PRIMARY_EMAIL, format!("user{number}@corp.example").into()),
            (names::USERNAME, format!("user{number}").into()),
            (names::STATE, UserState::Active.into()),
        ];
        self.add(number, ObjectKind::User, container, attributes.into_iter().collect())
    }

    /// Adds a user who is known by the address made of its number, and by nothing else.
    pub fn add_addressed_user(&mut self, number: u128) -> SourceId {
        let strong = self.add_user(number, "");
        self.known_by(&strong, &format!("user{number}@corp.example"))
    }

    /// Adds a group that is known by the address made of its number, and by nothing else.
    pub fn add_addressed_group(&mut self, number: u128) -> SourceId {
        let strong = self.add_group(number);
        self.known_by(&strong, &format!("group{number}@corp.example"))
    }

    fn known_by(&mut self, strong: &SourceId, address: &str) -> SourceId {
        let id = SourceId::address(address);
        if let Some(mut object) = self.objects.remove(strong) {
            object.container = "".into();
            self.objects.insert(id.clone(), object);
        }
        if let Some(members) = self.members.remove(strong) {
            self.members.insert(id.clone(), members);
        }
        id
    }

    /// Gives another address to an object that is known by one. The old one goes on to lead to it, until somebody else
    /// has it.
    pub fn readdress(&mut self, id: &SourceId, address: &str) -> SourceId {
        let new = SourceId::address(address);
        let Some(mut object) = self.objects.remove(id) else { return new };
        if object.kind == ObjectKind::User {
            object.attributes.set(names::PRIMARY_EMAIL, address);
        }
        self.objects.insert(new.clone(), object);
        if let Some(members) = self.members.remove(id) {
            self.members.insert(new.clone(), members);
        }
        for members in self.members.values_mut() {
            if members.remove(id) {
                members.insert(new.clone());
            }
        }
        for leads in self.forwarded.values_mut().filter(|leads| *leads == id) {
            *leads = new.clone();
        }
        self.forwarded.insert(id.clone(), new.clone());
        self.forwarded.remove(&new);
        new
    }

    /// Adds a group with a name made of its number.
    pub fn add_group(&mut self, number: u128) -> SourceId {
        let attributes =
            [(names::KIND, crate::model::GroupKind::Security.into()), (names::NAME, format!("Group {number}").into())];
        let id = self.add(number, ObjectKind::Group, "groups", attributes.into_iter().collect());
        self.members.entry(id.clone()).or_default();
        id
    }

    /// Adds a computer with a name made of its number.
    pub fn add_computer(&mut self, number: u128, container: &str) -> SourceId {
        let attributes = [
            (names::KIND, crate::model::ComputerKind::Workstation.into()),
            (names::NAME, format!("PC{number}").into()),
            (names::ENABLED, true.into()),
        ];
        self.add(number, ObjectKind::Computer, container, attributes.into_iter().collect())
    }

    fn add(&mut self, number: u128, kind: ObjectKind, container: &str, attributes: Attributes) -> SourceId {
        let id = Self::id(number);
        self.objects.insert(
            id.clone(),
            ScriptedObject {
                kind,
                container: container.into(),
                attributes,
                anchors: Vec::new(),
                observations: Attributes::new(),
                primary_group: None,
                unintelligible: false,
            },
        );
        self.forget(&id);
        id
    }

    /// Makes one object a direct member of a group.
    pub fn add_member(&mut self, group: &SourceId, member: &SourceId) {
        self.members.entry(group.clone()).or_default().insert(member.clone());
    }

    /// Ends a direct membership.
    pub fn remove_member(&mut self, group: &SourceId, member: &SourceId) {
        if let Some(members) = self.members.get_mut(group) {
            members.remove(member);
        }
    }

    /// Deletes an object: no group lists it any more, and a tombstone remains.
    pub fn delete(&mut self, id: &SourceId) {
        self.delete_as(id, TombstoneKind::Hard);
    }

    /// Deletes an object, leaving a tombstone of a kind.
    ///
    /// A soft one keeps object and memberships for [`ScriptedDirectory::restore`].
    pub fn delete_as(&mut self, id: &SourceId, kind: TombstoneKind) {
        self.forget(id);
        let in_scope = self.in_scope(id);
        let as_member = self.members.iter().filter(|(_, members)| members.contains(id));
        let mut asleep: Vec<_> =
            as_member.map(|(group, _)| ((group.clone(), id.clone()), in_scope && self.in_scope(group))).collect();
        let had = self.members.remove(id).unwrap_or_default();
        // With both ends in the bin, nobody can know what comes back: that is told.
        for ((group, member), silent) in &mut self.asleep {
            *silent &= group != id && member != id;
        }
        if kind == TombstoneKind::Hard {
            self.asleep.retain(|(group, member), _| group != id && member != id);
        }
        asleep.extend(had.into_iter().map(|member| ((id.clone(), member), in_scope)));
        for members in self.members.values_mut() {
            members.remove(id);
        }
        if let Some(object) = self.objects.remove(id).filter(|_| kind == TombstoneKind::Soft) {
            self.bin.insert(id.clone(), object);
            self.asleep.extend(asleep);
        }
        self.tombstones.insert(id.clone(), kind);
    }

    /// Brings back what was deleted softly, with its memberships as far as their other end is there. Returns whether it
    /// was in the bin.
    pub fn restore(&mut self, id: &SourceId) -> bool {
        let Some(object) = self.bin.remove(id) else { return false };
        if object.kind == ObjectKind::Group {
            self.members.entry(id.clone()).or_default();
        }
        self.objects.insert(id.clone(), object);
        self.tombstones.remove(id);
        let (bin, members) = (&self.bin, &mut self.members);
        self.asleep.retain(|(group, member), _| {
            if bin.contains_key(group) || bin.contains_key(member) || group != id && member != id {
                return true;
            }
            if let Some(members) = members.get_mut(group) {
                members.insert(member.clone());
            }
            false
        });
        true
    }

    /// Empties the bin of one object: it cannot come back, and its tombstone says so.
    pub fn purge(&mut self, id: &SourceId) {
        if self.bin.contains_key(id) {
            self.forget(id);
            self.tombstones.insert(id.clone(), TombstoneKind::Hard);
        }
    }

    fn forget(&mut self, id: &SourceId) {
        self.tombstones.remove(id);
        if self.bin.remove(id).is_some() {
            self.asleep.retain(|(group, member), _| group != id && member != id);
        }
    }

    /// Moves an object.
    pub fn move_to(&mut self, id: &SourceId, container: &str) {
        if let Some(object) = self.objects.get_mut(id) {
            object.container = container.into();
        }
    }

    /// Tells whether an object lies inside of base and filter.
    pub fn in_scope(&self, id: &SourceId) -> bool {
        self.objects.get(id).is_some_and(|object| !self.is_outside(object))
    }

    /// Tells whether an object's place is outside of base and filter.
    pub(super) fn is_outside(&self, object: &ScriptedObject) -> bool {
        self.outside.contains(&object.container)
    }

    /// Changes one attribute.
    pub fn set(&mut self, id: &SourceId, name: crate::model::AttributeName, value: impl Into<crate::model::Value>) {
        if let Some(object) = self.objects.get_mut(id) {
            object.attributes.set(name, value);
        }
    }

    /// Adds an id that other directories know an object by.
    pub fn anchor(&mut self, id: &SourceId, name: &str, value: &str) {
        if let Some(object) = self.objects.get_mut(id) {
            object.anchors.push(Anchor { name: name.into(), value: value.into() });
        }
    }

    /// Returns how many objects of a kind there are.
    pub fn count(&self, kind: ObjectKind) -> usize {
        self.objects.values().filter(|object| object.kind == kind).count()
    }

    /// Returns what an honest connector reports of one object.
    pub fn patch(&self, id: &SourceId) -> Option<Patch> {
        let object = self.objects.get(id)?;
        let mut patch = Patch::new(object.kind, id.clone()).in_container(object.container.clone());
        patch.attributes = object.attributes.clone();
        patch.anchors.clone_from(&object.anchors);
        patch.observations = object.observations.clone();
        patch.primary_group = Some(object.primary_group.clone());
        Some(patch)
    }

    /// Returns what an honest connector reports of one object apart from its core.
    pub fn facets_of(&self, id: &SourceId) -> Vec<Patch> {
        let Some(object) = self.objects.get(id) else { return Vec::new() };
        let facets = self.facets.iter().filter(|((of, _), _)| of == id);
        facets
            .map(|((_, facet), attributes)| {
                let mut patch = Patch::new(object.kind, id.clone());
                patch.facet = *facet;
                patch.attributes = attributes.clone();
                patch
            })
            .collect()
    }
}
