//! The truth of a scripted directory: what an honest listing shows.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Attributes, Facet, ObjectKind, Patch, SourceId, UserKind, UserState, names};

/// One object of a scripted directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptedObject {
    /// User, group or computer.
    pub kind: ObjectKind,
    /// Where it lies.
    pub container: Box<str>,
    /// What it is like.
    pub attributes: Attributes,
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
    pub tombstones: BTreeMap<SourceId, crate::model::TombstoneKind>,
    /// Whether tombstones can be read.
    pub tombstones_readable: bool,
    /// What is read of objects apart from their core.
    pub facets: BTreeMap<(SourceId, Facet), Attributes>,
    /// Containers outside of base and filter: not listed, and look-ups say so.
    pub outside: BTreeSet<Box<str>>,
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
                observations: Attributes::new(),
                primary_group: None,
                unintelligible: false,
            },
        );
        self.tombstones.remove(&id);
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
        self.delete_as(id, crate::model::TombstoneKind::Hard);
    }

    /// Deletes an object, leaving a tombstone of a kind.
    pub fn delete_as(&mut self, id: &SourceId, kind: crate::model::TombstoneKind) {
        self.objects.remove(id);
        self.members.remove(id);
        for members in self.members.values_mut() {
            members.remove(id);
        }
        self.tombstones.insert(id.clone(), kind);
    }

    /// Moves an object.
    pub fn move_to(&mut self, id: &SourceId, container: &str) {
        if let Some(object) = self.objects.get_mut(id) {
            object.container = container.into();
        }
    }

    /// Tells whether an object lies inside of base and filter.
    pub fn in_scope(&self, id: &SourceId) -> bool {
        self.objects.get(id).is_some_and(|object| !self.outside.contains(&object.container))
    }

    /// Changes one attribute.
    pub fn set(&mut self, id: &SourceId, name: crate::model::AttributeName, value: impl Into<crate::model::Value>) {
        if let Some(object) = self.objects.get_mut(id) {
            object.attributes.set(name, value);
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
        patch.observations = object.observations.clone();
        patch.primary_group = Some(object.primary_group.clone());
        Some(patch)
    }
}
