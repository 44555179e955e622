//! What came of reading a listing or a delta, whatever its pages looked like. It judges nothing but their number.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;

use super::report::{Verdict, failed};
use super::stage::Stage;
use crate::endpoint::{
    Checkpoint, Cursor, DeltaPage, DeltaPager, DeltaStep, SnapshotPage, SnapshotPager, SnapshotStep,
};
use crate::error::{Error, Result};
use crate::model::{Edges, ObjectKey, Patch, Quarantined, Scope, SourceId, Tombstone, Via};
use crate::testkit;

/// Pages after which a listing counts as one without an end. Every object of a check may have a page of its own.
const PAGES: usize = 2_000;

/// Who is in which group.
pub(super) type Members = BTreeMap<SourceId, BTreeSet<SourceId>>;

/// How reading ended.
#[derive(Debug)]
pub(super) enum Ending<T> {
    /// Not yet: the reader stopped.
    Open,
    Well(T),
    Badly(Error),
}

/// A listing, as far as it was read.
#[derive(Debug)]
pub(super) struct Listing {
    told: testkit::Listing,
    /// The number of pages that each checkpoint covers.
    covered: Vec<usize>,
    pub(super) ending: Ending<Option<Cursor>>,
}

impl Default for Listing {
    fn default() -> Self {
        Self { told: testkit::Listing::default(), covered: Vec::new(), ending: Ending::Open }
    }
}

impl Deref for Listing {
    type Target = testkit::Listing;

    fn deref(&self) -> &Self::Target {
        &self.told
    }
}

impl Listing {
    pub(super) fn keys(&self) -> BTreeSet<ObjectKey> {
        self.objects.keys().cloned().collect()
    }

    /// Returns who is in which group, whatever they are said to be.
    pub(super) fn members(&self) -> Members {
        let members = self.told.members.iter();
        members.map(|(group, members)| (group.clone(), members.keys().cloned().collect())).collect()
    }

    /// Returns the checkpoints, each with the number of pages that it covers.
    pub(super) fn marks(&self) -> impl Iterator<Item = (usize, &Checkpoint)> {
        self.covered.iter().copied().zip(&self.told.checkpoints)
    }

    fn take(&mut self, page: SnapshotPage) {
        let marked = page.checkpoint.is_some();
        self.told.take(page);
        if marked {
            self.covered.push(self.pages.len());
        }
    }

    /// Reads on until the listing ends, fails, or has so many pages.
    pub(super) async fn read(&mut self, stage: &Stage, pager: &mut dyn SnapshotPager, until: usize) -> Verdict {
        while self.pages.len() < until {
            if self.pages.len() >= PAGES {
                return failed("the listing ends", format!("{PAGES} pages, and no end"));
            }
            match stage.wait("the listing's `next`", pager.next()).await? {
                Ok(SnapshotStep::Page(page)) => self.take(page),
                Ok(SnapshotStep::End { cursor }) => {
                    self.ending = Ending::Well(cursor);
                    return Ok(());
                }
                Err(error) => {
                    self.ending = Ending::Badly(error);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Demands that the listing came to its end.
    pub(super) fn ended(self) -> Verdict<Self> {
        match self.ending {
            Ending::Badly(error) => failed("the listing comes to its end", format!("{error:?}")),
            _ => Ok(self),
        }
    }

    pub(super) fn cursor(&self) -> Option<&Cursor> {
        match &self.ending {
            Ending::Well(cursor) => cursor.as_ref(),
            _ => None,
        }
    }
}

fn add(members: &mut Members, edges: Edges) {
    let of = members.entry(edges.group).or_default();
    if edges.via == Via::Explicit {
        of.extend(edges.members.into_iter().map(|member| member.id));
    }
}

/// What a delta says of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    There,
    /// There, and not to be understood.
    SetAside,
    Gone,
    Outside,
}

/// A delta, as far as it was read.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) patches: BTreeMap<ObjectKey, Patch>,
    pub(super) added: Members,
    pub(super) removed: Members,
    pub(super) tombstones: Vec<Tombstone>,
    pub(super) out_of_scope: Vec<ObjectKey>,
    pub(super) quarantined: Vec<Quarantined>,
    /// What was said last of each object, in the order in which the engine reads a page.
    pub(super) last_word: BTreeMap<ObjectKey, Word>,
    pub(super) closed: Vec<Scope>,
    pub(super) caught_up: Option<Cursor>,
    pub(super) expired: bool,
    pub(super) error: Option<Error>,
}

impl Changes {
    fn take(&mut self, page: DeltaPage) {
        let there = page.patches.iter().map(|patch| (patch.object.clone(), Word::There));
        let set_aside = page
            .quarantined
            .iter()
            .filter_map(|record| Some((ObjectKey { kind: record.kind, id: record.id.clone()? }, Word::SetAside)));
        let outside = page.out_of_scope.iter().map(|object| (object.clone(), Word::Outside));
        let gone = page.tombstones.iter().map(|tombstone| (tombstone.object.clone(), Word::Gone));
        self.last_word.extend(there.chain(set_aside).chain(outside).chain(gone));
        self.quarantined.extend(page.quarantined);
        for patch in page.patches {
            let known = self.patches.entry(patch.object.clone()).or_insert_with(|| patch.clone());
            known.attributes.merge(&patch.attributes);
            known.container = patch.container.or(known.container.take());
            known.primary_group = patch.primary_group.or(known.primary_group.take());
        }
        page.edges_added.into_iter().for_each(|edges| add(&mut self.added, edges));
        page.edges_removed.into_iter().for_each(|edges| add(&mut self.removed, edges));
        self.tombstones.extend(page.tombstones);
        self.out_of_scope.extend(page.out_of_scope);
        self.closed.extend(page.closed);
    }

    /// Tells whether the members of a group came whole.
    pub(super) fn whole(&self, group: &SourceId) -> bool {
        self.closed.contains(&Scope::Members(group.clone(), Via::Explicit))
    }

    pub(super) fn has_tombstone(&self, id: &SourceId) -> bool {
        self.tombstones.iter().any(|tombstone| tombstone.object.id == *id)
    }
}

impl Stage {
    /// Reads a whole listing, however it ends.
    pub(super) async fn try_list(&self, from: Option<&Checkpoint>) -> Verdict<Listing> {
        self.try_read(self.endpoint.snapshot(&self.cx, from)).await
    }

    /// Reads a whole listing of ids, however it ends.
    pub(super) async fn try_list_ids(&self) -> Verdict<Listing> {
        self.try_read(self.endpoint.id_listing(&self.cx)).await
    }

    async fn try_read(&self, begin: impl Future<Output = Result<Box<dyn SnapshotPager>>> + Send) -> Verdict<Listing> {
        let mut listing = Listing::default();
        match self.wait("the beginning of a listing", begin).await? {
            Ok(mut pager) => listing.read(self, &mut *pager, usize::MAX).await?,
            Err(error) => listing.ending = Ending::Badly(error),
        }
        Ok(listing)
    }

    /// Reads a listing that has to come to its end.
    pub(super) async fn list(&self) -> Verdict<Listing> {
        self.try_list(None).await?.ended()
    }

    /// Begins a listing.
    pub(super) async fn begin(&self, from: Option<&Checkpoint>) -> Verdict<Box<dyn SnapshotPager>> {
        self.told("snapshot", self.endpoint.snapshot(&self.cx, from)).await
    }

    /// Reads a whole delta, however it ends; so many pages in, something may happen.
    pub(super) async fn try_changes(&self, since: &Cursor) -> Verdict<Changes> {
        let Some(delta) = self.endpoint.as_delta() else {
            return super::report::not_checked("the endpoint has no deltas");
        };
        let mut changes = Changes::default();
        match self.wait("the beginning of a delta", delta.delta(&self.cx, since)).await? {
            Ok(mut pager) => changes.read(self, &mut *pager, usize::MAX).await?,
            Err(error) => changes.error = Some(error),
        }
        Ok(changes)
    }

    /// Reads a delta that has to come to its end.
    pub(super) async fn changes(&self, since: &Cursor) -> Verdict<(Changes, Cursor)> {
        let mut changes = self.try_changes(since).await?;
        match (changes.caught_up.take(), &changes.error) {
            (Some(cursor), _) => Ok((changes, cursor)),
            (None, Some(error)) => failed("the delta catches up", format!("{error:?}")),
            (None, None) => failed("the delta catches up", "the cursor is said to be expired"),
        }
    }
}

impl Changes {
    /// Reads on until the delta ends, fails, or gave so many pages.
    pub(super) async fn read(&mut self, stage: &Stage, pager: &mut dyn DeltaPager, until: usize) -> Verdict {
        for _ in 0..until.min(PAGES) {
            match stage.wait("the delta's `next`", pager.next()).await? {
                Ok(DeltaStep::Page(page)) => self.take(page),
                Ok(DeltaStep::CaughtUp(cursor)) => {
                    self.caught_up = Some(cursor);
                    return Ok(());
                }
                Ok(DeltaStep::CursorExpired) => {
                    self.expired = true;
                    return Ok(());
                }
                Err(error) => {
                    self.error = Some(error);
                    return Ok(());
                }
            }
        }
        if until >= PAGES { failed("the delta ends", format!("{PAGES} pages, and no end")) } else { Ok(()) }
    }
}
