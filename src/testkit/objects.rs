//! Objects and memberships as pages told them, to be asked in a test's words. It does not know how they were read.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Deref, DerefMut};

use crate::model::{Edges, MemberKind, ObjectKey, ObjectKind, Patch, SourceId, Via};

/// Objects by kind and source id, as they were told.
///
/// The questions here take the id alone, as the engine does: no two objects of an endpoint share one, and what is said of
/// an object's end counts, whatever kind it is said to be. The map itself has the kinds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Objects(BTreeMap<ObjectKey, Patch>);

impl Objects {
    /// Returns what was told of an object.
    pub fn find(&self, id: impl Into<SourceId>) -> Option<&Patch> {
        let id = id.into();
        ObjectKind::ALL.iter().find_map(|kind| self.0.get(&ObjectKey { kind: *kind, id: id.clone() }))
    }

    /// Returns what was told of an object that has to be there.
    ///
    /// # Panics
    /// If it is not.
    #[track_caller]
    pub fn patch(&self, id: impl Into<SourceId>) -> &Patch {
        let id = id.into();
        self.find(id.clone()).unwrap_or_else(|| panic!("nothing was told of {id}, but of {} others", self.0.len()))
    }

    /// Tells whether an object is there.
    pub fn has(&self, id: impl Into<SourceId>) -> bool {
        self.find(id).is_some()
    }

    /// Returns the objects of one kind, in the order of their ids.
    pub fn of(&self, kind: ObjectKind) -> impl Iterator<Item = &Patch> {
        self.0.values().filter(move |patch| patch.object.kind == kind)
    }

    /// Returns the ids of all kinds.
    pub fn ids(&self) -> BTreeSet<SourceId> {
        self.0.keys().map(|object| object.id.clone()).collect()
    }

    /// Returns the ids of one kind.
    pub fn ids_of(&self, kind: ObjectKind) -> BTreeSet<SourceId> {
        self.of(kind).map(|patch| patch.object.id.clone()).collect()
    }

    /// Takes an object out.
    pub fn forget(&mut self, id: impl Into<SourceId>) -> Option<Patch> {
        let object = self.find(id)?.object.clone();
        self.0.remove(&object)
    }
}

impl Deref for Objects {
    type Target = BTreeMap<ObjectKey, Patch>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for Objects {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl IntoIterator for Objects {
    type Item = (ObjectKey, Patch);
    type IntoIter = std::collections::btree_map::IntoIter<ObjectKey, Patch>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// Members by group, each with what it is said to be. A group that was told to have none is there, too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Members(BTreeMap<SourceId, BTreeMap<SourceId, MemberKind>>);

impl Members {
    /// Returns the ids of a group's members; none where nothing was told of the group.
    pub fn of(&self, group: impl Into<SourceId>) -> BTreeSet<SourceId> {
        self.0.get(&group.into()).map(|members| members.keys().cloned().collect()).unwrap_or_default()
    }

    /// Tells whether a membership is there.
    pub fn has(&self, group: impl Into<SourceId>, member: impl Into<SourceId>) -> bool {
        self.0.get(&group.into()).is_some_and(|members| members.contains_key(&member.into()))
    }

    /// Returns every membership: group and member.
    pub fn pairs(&self) -> BTreeSet<(SourceId, SourceId)> {
        let of = |(group, members): (&SourceId, &BTreeMap<SourceId, MemberKind>)| {
            members.keys().map(|member| (group.clone(), member.clone())).collect::<Vec<_>>()
        };
        self.0.iter().flat_map(of).collect()
    }

    /// Takes edges in; says what came again, and what edges may not tell.
    pub(super) fn take(&mut self, edges: Edges, repeated: &mut Vec<String>, breaches: &mut Vec<String>) {
        if edges.via != Via::Explicit {
            breaches.push(format!(
                "{} members of {} that name it as their primary group: said by `Patch::primary_group` alone",
                edges.members.len(),
                edges.group
            ));
            return;
        }
        let of = self.0.entry(edges.group.clone()).or_default();
        for member in edges.members {
            if of.insert(member.id.clone(), member.kind).is_some() {
                repeated.push(format!("{} in {}", member.id, edges.group));
            }
        }
    }

    /// Takes out the memberships that other edges speak of, and returns those that were there.
    pub(super) fn leave_out(&mut self, edges: &Edges) -> Vec<(SourceId, SourceId)> {
        let Some(of) = self.0.get_mut(&edges.group) else { return Vec::new() };
        let left = edges.members.iter().filter(|member| of.remove(&member.id).is_some());
        let left = left.map(|member| (edges.group.clone(), member.id.clone())).collect();
        if of.is_empty() {
            self.0.remove(&edges.group);
        }
        left
    }
}

impl Deref for Members {
    type Target = BTreeMap<SourceId, BTreeMap<SourceId, MemberKind>>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for Members {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl IntoIterator for Members {
    type Item = (SourceId, BTreeMap<SourceId, MemberKind>);
    type IntoIter = std::collections::btree_map::IntoIter<SourceId, BTreeMap<SourceId, MemberKind>>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}
