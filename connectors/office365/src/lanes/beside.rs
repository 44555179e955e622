//! A listing or a delta with lanes beside it. It must not know what either reads.
//!
//! The directory goes first: what lanes brought meanwhile travels with its next page. When it has ended, the lanes have a
//! bounded time left; then the cursor is given out, with the places where they stopped.

use async_trait::async_trait;
use futures::future::BoxFuture;
use tenantry::Result;
use tenantry::endpoint::{Cursor, DeltaPage, DeltaPager, DeltaStep, SnapshotPage, SnapshotPager, SnapshotStep};
use tenantry::model::Patch;

use super::Lanes;
use crate::cursor::Since;

/// So many patches of lanes make a page of their own; fewer wait for a page of the directory.
const A_PAGE: usize = 2000;

/// A pager whose step is under way: it comes back with what it gave.
type Flight<P, S> = BoxFuture<'static, (P, Result<S>)>;

/// What is next.
enum Next<S> {
    /// What the directory gave, and what lanes gave before it.
    Directory(S, Vec<Patch>),
    Lanes(Vec<Patch>),
}

/// The directory's pager and the lanes.
struct Both<P, S> {
    lanes: Lanes,
    waiting: Vec<Patch>,
    idle: Option<P>,
    flight: Option<Flight<P, S>>,
    fly: fn(P) -> Flight<P, S>,
}

impl<P, S> Both<P, S> {
    fn new(pager: P, lanes: Lanes, fly: fn(P) -> Flight<P, S>) -> Self {
        Self { lanes, waiting: Vec::new(), idle: Some(pager), flight: None, fly }
    }

    async fn next(&mut self) -> Result<Next<S>> {
        if let Some(pager) = self.idle.take() {
            self.flight = Some((self.fly)(pager));
        }
        let Some(flight) = &mut self.flight else {
            return Err(tenantry::Error::protocol("the listing has ended"));
        };
        loop {
            tokio::select! {
                biased;
                (pager, step) = &mut *flight => {
                    self.flight = None;
                    self.idle = Some(pager);
                    return Ok(Next::Directory(step?, std::mem::take(&mut self.waiting)));
                }
                patches = self.lanes.beside() => {
                    self.waiting.extend(patches);
                    if self.waiting.len() >= A_PAGE {
                        return Ok(Next::Lanes(std::mem::take(&mut self.waiting)));
                    }
                }
            }
        }
    }

    /// Returns what lanes bring behind the directory; nothing when they are to stop.
    async fn behind(&mut self) -> Option<Vec<Patch>> {
        while self.waiting.len() < A_PAGE {
            match self.lanes.behind().await {
                Some(patches) => self.waiting.extend(patches),
                None => break,
            }
        }
        let patches = std::mem::take(&mut self.waiting);
        (!patches.is_empty()).then_some(patches)
    }

    fn cursor(&self, cursor: &Cursor) -> Cursor {
        match Since::read(cursor) {
            Some(since) => Since { lanes: self.lanes.positions(), ..since }.cursor(),
            None => cursor.clone(),
        }
    }
}

/// A listing with lanes beside it.
pub(crate) struct SnapshotWithLanes {
    both: Both<Box<dyn SnapshotPager>, SnapshotStep>,
    /// Whether the listing has ended, and with which cursor.
    ended: bool,
    cursor: Option<Cursor>,
}

impl SnapshotWithLanes {
    pub(crate) fn new(pager: Box<dyn SnapshotPager>, lanes: Lanes) -> Self {
        let fly = |mut pager: Box<dyn SnapshotPager>| -> Flight<_, _> {
            Box::pin(async move {
                let step = pager.next().await;
                (pager, step)
            })
        };
        Self { both: Both::new(pager, lanes, fly), ended: false, cursor: None }
    }
}

#[async_trait]
impl SnapshotPager for SnapshotWithLanes {
    async fn next(&mut self) -> Result<SnapshotStep> {
        let of_lanes = |patches| Ok(SnapshotStep::Page(SnapshotPage { patches, ..SnapshotPage::default() }));
        if !self.ended {
            match self.both.next().await? {
                Next::Lanes(patches) => return of_lanes(patches),
                Next::Directory(SnapshotStep::Page(mut page), patches) => {
                    page.patches.extend(patches);
                    return Ok(SnapshotStep::Page(page));
                }
                Next::Directory(SnapshotStep::End { cursor }, patches) => {
                    self.both.waiting = patches;
                    (self.ended, self.cursor) = (true, cursor);
                }
            }
        }
        if let Some(patches) = self.both.behind().await {
            return of_lanes(patches);
        }
        let cursor = self.cursor.as_ref().map(|cursor| self.both.cursor(cursor));
        Ok(SnapshotStep::End { cursor })
    }
}

/// A delta with lanes beside it.
pub(crate) struct DeltaWithLanes {
    both: Both<Box<dyn DeltaPager>, DeltaStep>,
    /// The delta has ended, with this cursor.
    ended: Option<Cursor>,
}

impl DeltaWithLanes {
    pub(crate) fn new(pager: Box<dyn DeltaPager>, lanes: Lanes) -> Self {
        let fly = |mut pager: Box<dyn DeltaPager>| -> Flight<_, _> {
            Box::pin(async move {
                let step = pager.next().await;
                (pager, step)
            })
        };
        Self { both: Both::new(pager, lanes, fly), ended: None }
    }
}

#[async_trait]
impl DeltaPager for DeltaWithLanes {
    async fn next(&mut self) -> Result<DeltaStep> {
        let of_lanes = |patches| Ok(DeltaStep::Page(DeltaPage { patches, ..DeltaPage::default() }));
        if self.ended.is_none() {
            match self.both.next().await? {
                Next::Lanes(patches) => return of_lanes(patches),
                Next::Directory(DeltaStep::Page(mut page), patches) => {
                    page.patches.extend(patches);
                    return Ok(DeltaStep::Page(page));
                }
                // All pages are dropped, those of lanes too.
                Next::Directory(DeltaStep::CursorExpired, _) => return Ok(DeltaStep::CursorExpired),
                Next::Directory(DeltaStep::CaughtUp(cursor), patches) => {
                    self.both.waiting = patches;
                    self.ended = Some(cursor);
                }
            }
        }
        if let Some(patches) = self.both.behind().await {
            return of_lanes(patches);
        }
        match &self.ended {
            Some(cursor) => Ok(DeltaStep::CaughtUp(self.both.cursor(cursor))),
            None => Err(tenantry::Error::protocol("the delta has no end")),
        }
    }
}
