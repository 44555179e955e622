//! An endpoint over a scripted one that hands its pages on otherwise, or fails where the other does not.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tenantry::endpoint::{
    Checkpoint, Context, CoverageInfo, Cursor, DeltaEndpoint, DeltaPager, DeltaStep, Endpoint, EndpointInfo,
    Membership, ObjectRef, Presence, SnapshotPage, SnapshotPager, SnapshotStep, Verification,
};
use tenantry::model::SourceId;
use tenantry::testkit::ScriptedEndpoint;
use tenantry::{Error, ErrorKind, Result};

/// What goes wrong, until it is said otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The password is not accepted.
    Password,
    /// A delta breaks off.
    Delta,
    /// The cursor is of another server, or too old.
    Cursor,
}

type Pages = dyn Fn(SnapshotPage) -> Vec<SnapshotPage> + Send + Sync;

/// The endpoint.
#[derive(Clone)]
pub(crate) struct Odd {
    pub(crate) inner: ScriptedEndpoint,
    pages: Arc<Pages>,
    trouble: Arc<Mutex<Option<Trouble>>>,
}

impl std::fmt::Debug for Odd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Odd").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl Odd {
    /// Hands on other pages instead of each; they follow each other in this order.
    pub(crate) fn new(
        inner: ScriptedEndpoint,
        pages: impl Fn(SnapshotPage) -> Vec<SnapshotPage> + Send + Sync + 'static,
    ) -> Self {
        Self { inner, pages: Arc::new(pages), trouble: Arc::default() }
    }

    pub(crate) fn trouble(&self, trouble: Option<Trouble>) {
        *self.trouble.lock().unwrap() = trouble;
    }

    fn has(&self, trouble: Trouble) -> bool {
        *self.trouble.lock().unwrap() == Some(trouble)
    }
}

struct Listing {
    inner: Box<dyn SnapshotPager>,
    pages: Arc<Pages>,
    next: std::collections::VecDeque<SnapshotPage>,
}

#[async_trait]
impl SnapshotPager for Listing {
    async fn next(&mut self) -> Result<SnapshotStep> {
        loop {
            if let Some(page) = self.next.pop_front() {
                return Ok(SnapshotStep::Page(page));
            }
            match self.inner.next().await? {
                SnapshotStep::Page(page) => self.next.extend((self.pages)(page)),
                end @ SnapshotStep::End { .. } => return Ok(end),
            }
        }
    }
}

/// Says at once that it cannot go on.
struct Over(Option<DeltaStep>);

#[async_trait]
impl DeltaPager for Over {
    async fn next(&mut self) -> Result<DeltaStep> {
        self.0.take().ok_or_else(|| Error::new(ErrorKind::Unavailable, "scripted failure of a delta"))
    }
}

#[async_trait]
impl DeltaEndpoint for Odd {
    async fn delta(&self, cx: &Context, since: &Cursor) -> Result<Box<dyn DeltaPager>> {
        if self.has(Trouble::Cursor) {
            return Ok(Box::new(Over(Some(DeltaStep::CursorExpired))));
        }
        if self.has(Trouble::Delta) {
            return Ok(Box::new(Over(None)));
        }
        self.inner.as_delta().unwrap().delta(cx, since).await
    }

    fn tells_removals(&self, coverage: &CoverageInfo) -> bool {
        self.inner.as_delta().unwrap().tells_removals(coverage)
    }
}

#[async_trait]
impl Endpoint for Odd {
    fn info(&self) -> &EndpointInfo {
        self.inner.info()
    }

    async fn coverage(&self, cx: &Context) -> Result<CoverageInfo> {
        if self.has(Trouble::Password) {
            return Err(Error::new(ErrorKind::Unauthenticated, "scripted: the password is not accepted"));
        }
        self.inner.coverage(cx).await
    }

    async fn verify(&self, cx: &Context) -> Result<Verification> {
        self.inner.verify(cx).await
    }

    async fn snapshot(&self, cx: &Context, from: Option<&Checkpoint>) -> Result<Box<dyn SnapshotPager>> {
        let inner = self.inner.snapshot(cx, from).await?;
        Ok(Box::new(Listing { inner, pages: Arc::clone(&self.pages), next: std::collections::VecDeque::new() }))
    }

    async fn lookup(&self, cx: &Context, ids: &[ObjectRef]) -> Result<Vec<Presence>> {
        self.inner.lookup(cx, ids).await
    }

    async fn check_members(&self, cx: &Context, group: &ObjectRef, members: &[SourceId]) -> Result<Vec<Membership>> {
        self.inner.check_members(cx, group, members).await
    }

    fn as_delta(&self) -> Option<&dyn DeltaEndpoint> {
        self.inner.as_delta().map(|_| self as &dyn DeltaEndpoint)
    }
}
