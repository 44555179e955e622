//! The endpoint: what the engine asks, handed to the part that answers. It must not know any attribute's meaning.

use std::sync::Arc;

use async_trait::async_trait;
use tenantry::endpoint::{
    CallLimits, Checkpoint, CoverageInfo, Membership, ObjectRef, Presence, SnapshotPager, Verification,
};
use tenantry::model::SourceId;
use tenantry::{Context, Endpoint, EndpointInfo, Error, Result};

use super::api::Api;
use super::config::EwsConfig;
use super::snapshot::{Detail, Snapshot};
use super::walk::Walk;
use super::{lookup, verify};

/// Counts up when a release lists less or other things than the one before.
const REVISION: u32 = 1;

/// One Exchange organisation, as the mailbox of one account sees its address book.
#[derive(Debug)]
pub struct Ews {
    info: EndpointInfo,
    limits: CallLimits,
    api: Arc<Api>,
}

impl Ews {
    /// How the configuration spells this kind of endpoint.
    pub const KIND: &'static str = "exchange";

    /// Checks the settings and creates the endpoint. Nothing is sent.
    ///
    /// # Errors
    /// `Config` with the `key` that is wrong and what to do about it.
    pub fn new(info: EndpointInfo, config: EwsConfig) -> Result<Self> {
        if info.kind != Self::KIND {
            return Err(Error::config("this endpoint is not of kind exchange").with_context("kind", info.kind));
        }
        let named = |error: Error| error.with_context("endpoint", &info.name);
        let config = config.check().map_err(named)?;
        let limits = config.limits().map_err(named)?;
        let api = Arc::new(Api::new(config).map_err(named)?);
        Ok(Self { info, limits, api })
    }

    fn named(&self, error: Error) -> Error {
        error.with_context("endpoint", &self.info.name)
    }

    async fn read_coverage(&self, cx: &Context) -> Result<CoverageInfo> {
        let coverage = CoverageInfo::new(identity(&self.api, cx).await?, REVISION);
        // What the account may see is told by nobody; that it may search at all is.
        self.api.resolve(cx, Walk::nonsense()).await?;
        Ok(coverage)
    }

    async fn list(&self, cx: &Context, detail: Detail, from: Option<&Checkpoint>) -> Result<Box<dyn SnapshotPager>> {
        let begin = async {
            let identity = identity(&self.api, cx).await?;
            Snapshot::begin(Arc::clone(&self.api), cx, detail, identity, from).await
        };
        Ok(Box::new(begin.await.map_err(|error| self.named(error))?))
    }
}

/// Reads by what the organisation is told from others: the forest's name, which the server tells where it offers NTLM,
/// however the account signs in. Elsewhere it is the server's own name.
pub(crate) async fn identity(api: &Api, cx: &Context) -> Result<String> {
    Ok(api.forest(cx).await?.unwrap_or_else(|| api.config.origin.host().to_lowercase()))
}

#[async_trait]
impl Endpoint for Ews {
    fn info(&self) -> &EndpointInfo {
        &self.info
    }

    fn limits(&self) -> CallLimits {
        self.limits.clone()
    }

    async fn coverage(&self, cx: &Context) -> Result<CoverageInfo> {
        self.read_coverage(cx).await.map_err(|error| self.named(error))
    }

    async fn verify(&self, cx: &Context) -> Result<Verification> {
        verify::verify(&self.api, cx).await.map_err(|error| self.named(error))
    }

    async fn snapshot(&self, cx: &Context, from: Option<&Checkpoint>) -> Result<Box<dyn SnapshotPager>> {
        self.list(cx, Detail::Full, from).await
    }

    /// Lists as a snapshot does, but for the members of groups.
    async fn id_listing(&self, cx: &Context) -> Result<Box<dyn SnapshotPager>> {
        self.list(cx, Detail::Ids, None).await
    }

    async fn lookup(&self, cx: &Context, ids: &[ObjectRef]) -> Result<Vec<Presence>> {
        lookup::lookup(&self.api, cx, ids).await.map_err(|error| self.named(error))
    }

    async fn check_members(&self, cx: &Context, group: &ObjectRef, members: &[SourceId]) -> Result<Vec<Membership>> {
        lookup::check_members(&self.api, cx, group, members).await.map_err(|error| self.named(error))
    }
}
