//! The changes of a scripted directory since a cursor: the difference of two of its states.
//!
//! It knows nothing of the engine; its lies are those that the endpoint hands to it.

use std::collections::BTreeSet;

use async_trait::async_trait;

use super::{Lie, ScriptedDirectory};
use crate::endpoint::{Context, Cursor, DeltaPage, DeltaPager, DeltaStep};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Edges, Member, MemberKind, ObjectKey, Quarantined, Scope, SourceId, Tombstone, TombstoneKind, Via};

/// Whether deltas speak of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Telling {
    /// They do.
    #[default]
    Told,
    /// They do not.
    Silent,
}

/// What the deltas of an endpoint tell.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Told {
    /// Tombstones, and moves out of scope.
    pub(super) removals: Telling,
    /// All members of a group that is back from the bin.
    pub(super) restored_groups: Telling,
}

/// Pages of a delta that was put together when it was asked for.
pub(super) struct Pager {
    pub(super) cx: Context,
    pub(super) pages: std::vec::IntoIter<DeltaPage>,
    /// Pages until it fails, if it does.
    pub(super) fails_after: Option<usize>,
    pub(super) cursor: Cursor,
}

#[async_trait]
impl DeltaPager for Pager {
    async fn next(&mut self) -> Result<DeltaStep> {
        self.cx.check_cancelled()?;
        if let Some(left) = &mut self.fails_after {
            *left = left.checked_sub(1).ok_or_else(|| Error::new(ErrorKind::Unavailable, "scripted failure"))?;
        }
        Ok(self.pages.next().map_or_else(|| DeltaStep::CaughtUp(self.cursor.clone()), DeltaStep::Page))
    }
}

/// A delta since a cursor that is not known any more.
pub(super) struct Expired;

#[async_trait]
impl DeltaPager for Expired {
    async fn next(&mut self) -> Result<DeltaStep> {
        Ok(DeltaStep::CursorExpired)
    }
}

/// Leaves out or repeats pages, as far as such lies are told.
pub(super) fn with_lies(
    old: &ScriptedDirectory,
    new: &ScriptedDirectory,
    page_size: usize,
    told: Told,
    lies: &[Lie],
) -> Vec<DeltaPage> {
    let tell = || between(old, new, page_size, told);
    let mut pages: Vec<DeltaPage> = if lies.contains(&Lie::DeltaRepeats) {
        tell().into_iter().zip(tell()).flat_map(|(page, again)| [page, again]).collect()
    } else {
        tell()
    };
    let mut at = 0;
    pages.retain(|_| {
        at += 1;
        !lies.contains(&Lie::DeltaDropsPage(at - 1))
    });
    pages
}

/// Fills pages of so many entries.
struct Pages {
    filled: Vec<DeltaPage>,
    room: usize,
    size: usize,
}

impl Pages {
    fn add(&mut self, add: impl FnOnce(&mut DeltaPage)) {
        if self.room == 0 {
            self.filled.push(DeltaPage::default());
            self.room = self.size;
        }
        self.room -= 1;
        if let Some(page) = self.filled.last_mut() {
            add(page);
        }
    }
}

/// Tells the way from one state to another.
///
/// Of who is deleted or restored its groups say nothing; a group that comes into scope is told whole, and closed. Where removals are not told, neither tombstones nor moves out of
/// scope are; where tombstones cannot be read, they are not.
fn between(old: &ScriptedDirectory, new: &ScriptedDirectory, page_size: usize, told: Told) -> Vec<DeltaPage> {
    let removals_told = told.removals == Telling::Told;
    let mut pages = Pages { filled: vec![DeltaPage::default()], room: page_size, size: page_size };
    let facets = |directory: &ScriptedDirectory, id: &SourceId| directory.facets_of(id);
    for (id, object) in &new.objects {
        let same = old.objects.get(id) == Some(object) && old.in_scope(id) == new.in_scope(id);
        let key = || ObjectKey { kind: object.kind, id: id.clone() };
        if !new.in_scope(id) {
            if !same && removals_told {
                pages.add(|page| page.out_of_scope.push(key()));
            }
        } else if !same && object.unintelligible {
            let reason = "scripted: no sense in it".to_owned();
            let entry = Quarantined { kind: object.kind, id: Some(id.clone()), reason };
            pages.add(|page| page.quarantined.push(entry));
        } else if !same || facets(old, id) != facets(new, id) {
            pages.add(|page| {
                page.patches.extend(new.patch(id));
                page.patches.extend(facets(new, id));
            });
        }
    }
    let gone = old.objects.iter().filter(|(id, _)| !new.objects.contains_key(id));
    // What could be restored and no longer can is told once more.
    let purged = old.bin.iter().filter(|(id, _)| new.tombstones.get(*id) == Some(&TombstoneKind::Hard));
    let tombstones_told = removals_told && new.tombstones_readable;
    for (id, object) in gone.chain(purged).filter(|_| tombstones_told) {
        let kind = new.tombstones.get(id).copied().unwrap_or(TombstoneKind::Hard);
        let tombstone = Tombstone { object: ObjectKey { kind: object.kind, id: id.clone() }, kind };
        pages.add(|page| page.tombstones.push(tombstone));
    }
    let none = BTreeSet::new();
    // Who comes back takes the memberships along: the groups themselves say nothing of it.
    let was_asleep = |group: &SourceId, member: &SourceId| {
        let asleep = (group.clone(), member.clone());
        old.tombstones_readable && old.asleep.get(&asleep) == Some(&true) && new.in_scope(member)
    };
    for group in new.members.keys().filter(|group| new.in_scope(group)) {
        let edges = |ids: Vec<&SourceId>| Edges {
            group: group.clone(),
            via: Via::Explicit,
            members: ids.into_iter().map(|id| Member { id: id.clone(), kind: MemberKind::Unknown }).collect(),
        };
        let is = &new.members[group];
        let silent = told.restored_groups == Telling::Silent
            && old.tombstones_readable
            && old.bin.get(group).is_some_and(|object| !old.is_outside(object));
        if !old.in_scope(group) && !silent {
            // Whole, also if it has none: what it had when it was last seen counts no more.
            let all = edges(is.iter().collect());
            pages.add(|page| {
                page.edges_added.push(all);
                page.closed.push(Scope::Members(group.clone(), Via::Explicit));
            });
            continue;
        }
        let was = if old.in_scope(group) { old.members.get(group).unwrap_or(&none) } else { &none };
        let added = edges(is.difference(was).filter(|id| !was_asleep(group, id)).collect());
        // What ended before its member was deleted is told, and what nothing else would tell.
        let ended = |id: &SourceId| match new.tombstones.get(id) {
            Some(_) if !tombstones_told && !old.in_scope(id) => true,
            Some(TombstoneKind::Soft) => !new.asleep.contains_key(&(group.clone(), id.clone())),
            Some(TombstoneKind::Hard) => false,
            None => true,
        };
        let removed = edges(was.difference(is).filter(|id| ended(id)).collect());
        if !added.members.is_empty() {
            pages.add(|page| page.edges_added.push(added));
        }
        if !removed.members.is_empty() {
            pages.add(|page| page.edges_removed.push(removed));
        }
    }
    pages.filled
}
