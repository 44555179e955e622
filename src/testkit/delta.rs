//! The changes of a scripted directory since a cursor: the difference of two of its states, told honestly.

use std::collections::BTreeSet;

use async_trait::async_trait;

use super::ScriptedDirectory;
use crate::endpoint::{Context, Cursor, DeltaPage, DeltaPager, DeltaStep};
use crate::error::Result;
use crate::model::{Edges, Member, MemberKind, ObjectKey, Quarantined, SourceId, Tombstone, TombstoneKind, Via};

/// Pages of a delta that was put together when it was asked for.
pub(super) struct Pager {
    pub(super) cx: Context,
    pub(super) pages: std::vec::IntoIter<DeltaPage>,
    pub(super) cursor: Cursor,
}

#[async_trait]
impl DeltaPager for Pager {
    async fn next(&mut self) -> Result<DeltaStep> {
        self.cx.check_cancelled()?;
        Ok(self.pages.next().map_or_else(|| DeltaStep::CaughtUp(self.cursor.clone()), DeltaStep::Page))
    }
}

/// The delta of a cursor that was given by another directory, or by nobody.
pub(super) struct Expired(pub(super) Context);

#[async_trait]
impl DeltaPager for Expired {
    async fn next(&mut self) -> Result<DeltaStep> {
        self.0.check_cancelled()?;
        Ok(DeltaStep::CursorExpired)
    }
}

/// Tells what a directory that shows its deletions tells of the way from one state to another.
pub(super) fn between(old: &ScriptedDirectory, new: &ScriptedDirectory, page_size: usize) -> Vec<DeltaPage> {
    let mut pages = vec![DeltaPage::default()];
    let mut room = page_size;
    let mut page = |add: &mut dyn FnMut(&mut DeltaPage)| {
        if room == 0 {
            pages.push(DeltaPage::default());
            room = page_size;
        }
        room -= 1;
        if let Some(page) = pages.last_mut() {
            add(page);
        }
    };
    for (id, object) in &new.objects {
        if old.objects.get(id) == Some(object) && old.in_scope(id) == new.in_scope(id) || !new.in_scope(id) {
            continue;
        }
        if object.unintelligible {
            let reason = "scripted: no sense in it".to_owned();
            let entry = Quarantined { kind: object.kind, id: Some(id.clone()), reason };
            page(&mut |page| page.quarantined.push(entry.clone()));
        } else {
            page(&mut |page| page.patches.extend(new.patch(id)));
        }
    }
    for (id, object) in old.objects.iter().filter(|(id, _)| !new.objects.contains_key(id)) {
        let kind = new.tombstones.get(id).copied().unwrap_or(TombstoneKind::Hard);
        let tombstone = Tombstone { object: ObjectKey { kind: object.kind, id: id.clone() }, kind };
        page(&mut |page| page.tombstones.push(tombstone.clone()));
    }
    let none = BTreeSet::new();
    for group in new.members.keys().filter(|group| new.in_scope(group)) {
        let (was, is) = (old.members.get(group).unwrap_or(&none), &new.members[group]);
        let edges = |ids: Vec<&SourceId>| Edges {
            group: group.clone(),
            via: Via::Explicit,
            members: ids.into_iter().map(|id| Member { id: id.clone(), kind: MemberKind::Unknown }).collect(),
        };
        let was = if old.in_scope(group) { was } else { &none };
        // Who went or came back takes the memberships along: the groups themselves say nothing of it.
        let added = is.difference(was).filter(|id| !(old.tombstones.contains_key(id) && new.in_scope(id)));
        let removed = was.difference(is).filter(|id| !new.tombstones.contains_key(id));
        let (added, removed) = (edges(added.collect()), edges(removed.collect()));
        if !added.members.is_empty() {
            page(&mut |page| page.edges_added.push(added.clone()));
        }
        if !removed.members.is_empty() {
            page(&mut |page| page.edges_removed.push(removed.clone()));
        }
    }
    pages
}
