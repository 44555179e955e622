//! The endpoint: what the engine asks, handed to the part that answers. It must not know any attribute's meaning.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tenantry::endpoint::{
    Actor, CallLimits, Checkpoint, Context, CoverageInfo, Cursor, DeltaEndpoint, DeltaPager, Endpoint, EndpointInfo,
    Membership, ObjectRef, Presence, SnapshotPager, Verification,
};
use tenantry::model::SourceId;
use tenantry::{Error, Result};

use crate::client::Graph;
use crate::config::Office365Config;
use crate::cursor::Since;
use crate::delta::Delta;
use crate::lanes::{DeltaWithLanes, Lanes, Positions, SnapshotWithLanes};
use crate::lookup;
use crate::requests::Detail;
use crate::rights::Rights;
use crate::snapshot::Snapshot;

/// Counts up when a release lists less or other things than the one before.
const REVISION: u32 = 1;
/// How long a delta link of directory objects is good (learn.microsoft.com, delta query: token duration).
const CURSOR_LIFETIME: Duration = Duration::from_hours(7 * 24);

/// One Entra tenant.
#[derive(Debug)]
pub struct Office365 {
    info: EndpointInfo,
    graph: Arc<Graph>,
}

impl Office365 {
    /// How the configuration spells this kind of endpoint.
    pub const KIND: &'static str = "office365";

    /// Checks the settings and creates the endpoint. Nothing is sent.
    ///
    /// # Errors
    /// `Config` with the `key` that is wrong and what to do about it.
    pub fn new(info: EndpointInfo, config: Office365Config) -> Result<Self> {
        if info.kind != Self::KIND {
            return Err(Error::config("this endpoint is not of kind office365").with_context("kind", info.kind));
        }
        let graph = config.check().and_then(Graph::new).map_err(|error| error.with_context("endpoint", &info.name))?;
        Ok(Self { info, graph: Arc::new(graph) })
    }

    pub(crate) fn graph(&self) -> &Graph {
        &self.graph
    }

    pub(crate) fn named(&self, error: Error) -> Error {
        error.with_context("endpoint", &self.info.name)
    }

    async fn listing(&self, cx: &Context, detail: Detail, from: Option<&Checkpoint>) -> Result<Box<dyn SnapshotPager>> {
        let begun = async {
            let rights = Rights::read(&self.graph, cx).await?;
            Snapshot::begin(Arc::clone(&self.graph), cx, &rights, detail, from).await
        };
        Ok(Box::new(begun.await.map_err(|error| self.named(error))?))
    }
}

#[async_trait]
impl Endpoint for Office365 {
    fn info(&self) -> &EndpointInfo {
        &self.info
    }

    fn limits(&self) -> CallLimits {
        crate::rates::limits(&self.graph.config)
    }

    async fn coverage(&self, cx: &Context) -> Result<CoverageInfo> {
        let rights = Rights::of_now(&self.graph, cx).await.map_err(|error| self.named(error))?;
        let mut coverage = CoverageInfo::new(rights.tenant.to_string(), REVISION);
        coverage.rights = rights.granted;
        Ok(coverage)
    }

    async fn verify(&self, cx: &Context) -> Result<Verification> {
        crate::verify::verify(&self.graph, cx).await.map_err(|error| self.named(error))
    }

    async fn snapshot(&self, cx: &Context, from: Option<&Checkpoint>) -> Result<Box<dyn SnapshotPager>> {
        let listing = self.listing(cx, Detail::Full, from).await?;
        if self.graph.config.enrichments.is_empty() {
            return Ok(listing);
        }
        let lanes = Lanes::begin(&self.graph, cx, Positions::default()).await.map_err(|error| self.named(error))?;
        Ok(Box::new(SnapshotWithLanes::new(listing, lanes)))
    }

    /// Lists without attributes and members: far less than a snapshot.
    async fn id_listing(&self, cx: &Context) -> Result<Box<dyn SnapshotPager>> {
        self.listing(cx, Detail::Ids, None).await
    }

    async fn lookup(&self, cx: &Context, ids: &[ObjectRef]) -> Result<Vec<Presence>> {
        lookup::lookup(&self.graph, cx, ids).await.map_err(|error| self.named(error))
    }

    async fn check_members(&self, cx: &Context, group: &ObjectRef, members: &[SourceId]) -> Result<Vec<Membership>> {
        let checked = async {
            let rights = Rights::read(&self.graph, cx).await?;
            lookup::check_members(&self.graph, cx, &rights, group, members).await
        };
        checked.await.map_err(|error| self.named(error))
    }

    fn as_delta(&self) -> Option<&dyn DeltaEndpoint> {
        Some(self)
    }

    fn as_actor(&self) -> Option<&dyn Actor> {
        Some(self)
    }
}

#[async_trait]
impl DeltaEndpoint for Office365 {
    async fn delta(&self, cx: &Context, since: &Cursor) -> Result<Box<dyn DeltaPager>> {
        let rights = Rights::read(&self.graph, cx).await.map_err(|error| self.named(error))?;
        let since = Since::read(since);
        let delta = Box::new(Delta::begin(Arc::clone(&self.graph), cx, rights, since.as_ref()));
        let Some(since) = since.filter(|_| !self.graph.config.enrichments.is_empty()) else { return Ok(delta) };
        let lanes = Lanes::begin(&self.graph, cx, since.lanes).await.map_err(|error| self.named(error))?;
        Ok(Box::new(DeltaWithLanes::new(delta, lanes)))
    }

    fn cursor_lifetime(&self) -> Option<Duration> {
        Some(CURSOR_LIFETIME)
    }
}
