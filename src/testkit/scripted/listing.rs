//! How a scripted directory is listed: page by page, and from a checkpoint on. It does not know what deltas tell.

use std::sync::atomic::Ordering;

use async_trait::async_trait;

use super::{ScriptedEndpoint, State, VERSION, cursor_of};
use crate::endpoint::{Checkpoint, Context, CoverageInfo, SnapshotPage, SnapshotPager, SnapshotStep};
use crate::error::{Error, ErrorKind, Result};
use crate::gate::Cost;
use crate::model::{Edges, ObjectKind, Patch, Quarantined, Scope, SourceId, Via};
use crate::testkit::{Lie, ScriptedDirectory};

/// A place in a listing: before this object, so many of its members given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Place {
    at: usize,
    members: usize,
}

pub(super) struct Pager {
    endpoint: ScriptedEndpoint,
    cx: Context,
    ids: Vec<SourceId>,
    place: Place,
    pages: usize,
    repeat: Option<Place>,
    closed: bool,
    /// Whether only ids are listed.
    ids_only: bool,
}

impl Pager {
    pub(super) fn new(endpoint: ScriptedEndpoint, cx: Context, ids: Vec<SourceId>, place: Place) -> Self {
        Self { endpoint, cx, ids, place, pages: 0, repeat: None, closed: false, ids_only: false }
    }

    /// Lists only the ids.
    pub(super) fn of_ids(endpoint: ScriptedEndpoint, cx: Context, ids: Vec<SourceId>) -> Self {
        Self { ids_only: true, ..Self::new(endpoint, cx, ids, Place::default()) }
    }

    fn page(&mut self) -> Result<SnapshotStep> {
        let endpoint = self.endpoint.clone();
        let mut state = endpoint.state();
        self.pages += 1;
        endpoint.pages.fetch_add(1, Ordering::Relaxed);
        let done = self.pages - 1;
        if let Some((_, change)) = state.while_listing.take_if(|(pages, _)| *pages <= done) {
            change(&mut state.directory);
        }
        let ids_only = self.ids_only;
        if state.lies(|lie| match lie {
            Lie::FailsAfter(pages) => done >= *pages,
            Lie::IdsFailAfter(pages) => ids_only && done >= *pages,
            _ => false,
        }) {
            return Err(Error::new(ErrorKind::Unavailable, "scripted failure"));
        }
        assert!(!state.lies(|lie| matches!(lie, Lie::PanicsAfter(pages) if done >= *pages)), "scripted panic");
        if state.lies(|lie| matches!(lie, Lie::CancelsAfter(pages) if done >= *pages)) {
            self.cx.cancel().cancel();
        }
        if state.lies(|lie| matches!(lie, Lie::LosesRightsAfter(pages) if done >= *pages)) {
            state.rights_lost = true;
            self.ids.truncate(self.place.at);
        }
        if let Some(back) = self.repeat.take() {
            self.place = back;
        } else if state.lies(|lie| matches!(lie, Lie::Repeats)) {
            self.repeat = Some(self.place);
        }
        if self.place.at >= self.ids.len() && self.closed && self.repeat.is_none() {
            let cursor =
                (endpoint.deltas && !self.ids_only).then(|| cursor_of(&state.directory.identity, state.listing));
            return Ok(SnapshotStep::End { cursor });
        }
        let mut page = SnapshotPage::default();
        let mut room = state.page_size;
        while room > 0 && self.place.at < self.ids.len() {
            let id = self.ids[self.place.at].clone();
            if self.add(&state, &id, &mut page) {
                self.place = Place { at: self.place.at + 1, members: 0 };
                room -= 1;
            } else {
                // The rest of its members comes on the next page.
                break;
            }
        }
        if self.place.at >= self.ids.len() {
            self.closed = true;
            page.closed.extend([Scope::Groups, Scope::Computers]);
            if !state.lies(|lie| matches!(lie, Lie::LeavesUsersOpen)) {
                page.closed.push(Scope::Users);
            }
        }
        page.checkpoint = Some(self.checkpoint(&state));
        Ok(SnapshotStep::Page(page))
    }

    /// Adds one object, as much as fits of its members. Returns whether that was all of it.
    fn add(&mut self, state: &State, id: &SourceId, page: &mut SnapshotPage) -> bool {
        // Deleted while the listing runs.
        let Some(object) = state.directory.objects.get(id) else { return true };
        if self.ids_only {
            page.patches.push(Patch::new(object.kind, id.clone()).in_container(object.container.clone()));
            return true;
        }
        if object.unintelligible {
            page.quarantined.push(Quarantined {
                kind: object.kind,
                id: Some(id.clone()),
                reason: "scripted: no sense in it".into(),
            });
            return true;
        }
        if self.place.members == 0 {
            page.patches.extend(state.patch(id));
            page.patches.extend(state.directory.facets_of(id));
        }
        if object.kind != ObjectKind::Group {
            return true;
        }
        let all = state.members(id);
        let until = self.place.members.saturating_add(state.members_a_page).min(all.len());
        let members = all.get(self.place.members..until).unwrap_or_default().to_vec();
        page.edges.push(Edges { group: id.clone(), via: Via::Explicit, members });
        if until < all.len() {
            self.place.members = until;
            return false;
        }
        page.closed.push(Scope::Members(id.clone(), Via::Explicit));
        true
    }

    /// Tells by the object itself, not by its place in this listing, where another one goes on.
    fn checkpoint(&self, state: &State) -> Checkpoint {
        let next = self.ids.get(self.place.at);
        let kind = next.and_then(|id| state.directory.objects.get(id)).map(|object| object.kind);
        let mut bytes = mark(&state.directory).to_vec();
        bytes.extend((self.place.members as u64).to_be_bytes());
        if let (Some(next), Some(kind)) = (next, kind) {
            bytes.push(rank(kind));
            bytes.extend(next.to_stored());
        } else {
            // Past the end, or at an object that is gone meanwhile: then by number.
            bytes.push(u8::MAX);
            let at = if next.is_some() { self.place.at as u64 } else { u64::MAX };
            bytes.extend(at.to_be_bytes());
        }
        Checkpoint::new(VERSION, bytes)
    }
}

/// Groups come first.
pub(super) fn rank(kind: ObjectKind) -> u8 {
    match kind {
        ObjectKind::Group => 0,
        ObjectKind::User => 1,
        ObjectKind::Computer => 2,
    }
}

/// Tells one directory from another in a checkpoint.
fn mark(directory: &ScriptedDirectory) -> [u8; 16] {
    CoverageInfo::new(directory.identity.as_str(), 0).digest()
}

/// Finds the place that a checkpoint names, in a listing of today.
pub(super) fn place_of(checkpoint: &Checkpoint, ids: &[SourceId], directory: &ScriptedDirectory) -> Option<Place> {
    let bytes = checkpoint.bytes().strip_prefix(&mark(directory)).filter(|_| checkpoint.version() == VERSION)?;
    let (members, rest) = bytes.split_first_chunk::<8>()?;
    let members = usize::try_from(u64::from_be_bytes(*members)).ok()?;
    let (kind, rest) = rest.split_first()?;
    if *kind == u8::MAX {
        let at = u64::from_be_bytes(rest.try_into().ok()?);
        return Some(Place { at: usize::try_from(at).unwrap_or(usize::MAX).min(ids.len()), members: 0 });
    }
    let next = SourceId::from_stored(rest)?;
    let order = |id: &SourceId| directory.objects.get(id).map_or(u8::MAX - 1, |object| rank(object.kind));
    let at = ids.partition_point(|id| (order(id), id) < (*kind, &next));
    let same = ids.get(at) == Some(&next);
    Some(Place { at, members: if same { members } else { 0 } })
}

#[async_trait]
impl SnapshotPager for Pager {
    async fn next(&mut self) -> Result<SnapshotStep> {
        self.cx.check_cancelled()?;
        let gate = self.cx.gate().clone();
        let step = self.page();
        let ask = |_| {
            self.endpoint.note(&self.cx);
            std::future::ready(Ok(()))
        };
        gate.call(Cost::default(), "scripted page", ask).await?;
        step
    }
}
