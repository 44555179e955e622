//! The endpoint: what the engine asks, handed to the part that answers. It must not know any attribute's meaning.

use std::sync::Arc;

use async_trait::async_trait;
use google_apis_common::GetToken;
use serde::Deserialize;
use tenantry::endpoint::{
    Actor, CallLimits, Checkpoint, CoverageInfo, Cursor, DeltaEndpoint, DeltaPager, Membership, ObjectRef, Presence,
    SnapshotPager, Verification,
};
use tenantry::model::{Freshness, SourceId};
use tenantry::{Context, Endpoint, EndpointInfo, Error, ErrorKind, Result};

use crate::client::Api;
use crate::config::{Changes, Devices, GsuiteConfig, Writes};
use crate::cursor::Since;
use crate::error::setting;
use crate::listing::Detail;
use crate::operation::Operation;
use crate::snapshot::Snapshot;
use crate::wire::Page;
use crate::{delta, lookup, verify};

/// Counts up when a release lists less or other things than the one before.
const REVISION: u32 = 1;

/// One Google Workspace account.
#[derive(Debug)]
pub struct Gsuite {
    info: EndpointInfo,
    limits: CallLimits,
    pub(crate) api: Arc<Api>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Own {
    customer_id: Option<String>,
}

impl Gsuite {
    /// How the configuration spells this kind of endpoint.
    pub const KIND: &'static str = "gsuite";

    /// Checks the settings and creates the endpoint. Nothing is sent.
    ///
    /// # Errors
    /// `Config` with the `key` that is wrong and what to do about it.
    pub fn new(info: EndpointInfo, config: GsuiteConfig) -> Result<Self> {
        Self::build(info, config, None)
    }

    /// Creates the endpoint with tokens from elsewhere, such as a workload's identity, instead of those of the key.
    ///
    /// They must be of an administrator, and good for all scopes that are asked for. A failure to get one is told as it is
    /// where it is a [`tenantry::Error`]; any other one is not shown, and tried again.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_tokens(info: EndpointInfo, config: GsuiteConfig, tokens: Box<dyn GetToken>) -> Result<Self> {
        Self::build(info, config, Some(tokens))
    }

    fn build(info: EndpointInfo, config: GsuiteConfig, tokens: Option<Box<dyn GetToken>>) -> Result<Self> {
        if info.kind != Self::KIND {
            return Err(Error::config("this endpoint is not of kind gsuite").with_context("kind", info.kind));
        }
        let named = |error: Error| error.with_context("endpoint", &info.name);
        let config = config.check().map_err(named)?;
        let limits = config.limits().map_err(named)?;
        let api = Arc::new(Api::new(config, tokens).map_err(named)?);
        Ok(Self { info, limits, api })
    }

    pub(crate) fn named(&self, error: Error) -> Error {
        error.with_context("endpoint", &self.info.name)
    }

    fn checks_log(&self) -> bool {
        matches!(self.api.config.changes, Changes::AuditLog { .. })
    }

    async fn read_coverage(&self, cx: &Context) -> Result<CoverageInfo> {
        let api = &self.api;
        let config = &api.config;
        let mut coverage = CoverageInfo::new(identity(api, cx).await?, REVISION);
        for operation in probes(api) {
            if probe(api, cx, operation).await? {
                coverage.rights.insert(operation.name().to_owned());
            } else if operation == Operation::ListUsers {
                let missing = vec![operation.needs().1.to_owned()];
                let message = "the administrator may not list users; give the role this privilege";
                return Err(Error::new(ErrorKind::PermissionDenied { missing }, message));
            }
        }
        let mut set = |key: &str, value: String| coverage.filters.insert(key.to_owned(), value);
        set("domain", config.domain.clone().unwrap_or_default());
        set("chromeos", (config.chromeos == Devices::Imported).to_string());
        set("mobile", (config.mobile == Devices::Imported).to_string());
        Ok(coverage)
    }
}

/// Reads the account's id from the administrator's own record.
pub(crate) async fn identity(api: &Api, cx: &Context) -> Result<String> {
    let url = api.url(&["users", &api.config.admin], &[("fields", "id,customerId")]);
    let own = api.get::<Own>(cx, Operation::ReadCustomer, &url).await.map_err(|error| match error.kind() {
        ErrorKind::NotFound => setting("admin", "there is no such administrator").with_source(error),
        _ => error,
    })?;
    let id = own.customer_id.filter(|id| !id.is_empty());
    let id = id.ok_or_else(|| Error::protocol("the administrator's record does not name the account"))?;
    let configured = &api.config.customer;
    if configured != "my_customer" && *configured != id {
        return Err(setting("customer", "the administrator belongs to another account").with_context("account", id));
    }
    Ok(id)
}

/// What decides what is visible.
pub(crate) fn probes(api: &Api) -> Vec<Operation> {
    let mut probes = vec![Operation::ListUsers, Operation::ListGroups, Operation::ListOrgUnits];
    if api.config.chromeos == Devices::Imported {
        probes.push(Operation::ListChromeOs);
    }
    if api.config.mobile == Devices::Imported {
        probes.push(Operation::ListMobile);
    }
    if matches!(api.config.changes, Changes::AuditLog { .. }) {
        probes.push(Operation::ReadLog);
    }
    probes
}

/// Makes the smallest request of an operation's kind.
pub(crate) fn probe_url(api: &Api, operation: Operation) -> url::Url {
    let config = &api.config;
    let domain = config.domain.as_deref().unwrap_or_default();
    let customer = if domain.is_empty() { config.customer.as_str() } else { "" };
    let one = ("maxResults", "1");
    let account = ["customer", config.customer.as_str()];
    match operation {
        Operation::ListGroups => {
            api.url(&["groups"], &[("customer", customer), ("domain", domain), one, ("fields", "kind,nextPageToken")])
        }
        Operation::ListOrgUnits => {
            api.url(&[account[0], account[1], "orgunits"], &[("type", "children"), ("fields", "kind")])
        }
        Operation::ListChromeOs => {
            api.url(&[account[0], account[1], "devices", "chromeos"], &[one, ("fields", "kind,nextPageToken")])
        }
        Operation::ListMobile => {
            api.url(&[account[0], account[1], "devices", "mobile"], &[one, ("fields", "kind,nextPageToken")])
        }
        Operation::ReadLog => api.log_url("admin", &[one, ("fields", "kind,nextPageToken")]),
        _ => api.url(&["users"], &[("customer", customer), ("domain", domain), one, ("fields", "kind,nextPageToken")]),
    }
}

async fn probe(api: &Api, cx: &Context, operation: Operation) -> Result<bool> {
    match api.get::<Page>(cx, operation, &probe_url(api, operation)).await {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

#[async_trait]
impl Endpoint for Gsuite {
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
        let begin = async {
            // Before the first page: what happens from here on is in the log behind this instant.
            let begun = cx.gate().clock().now_unix_millis();
            let customer = identity(&self.api, cx).await?;
            let since = (from.is_none() && self.checks_log()).then(|| delta::from(&self.api, &customer, begun));
            Snapshot::begin(Arc::clone(&self.api), cx, Detail::Full, customer, since, from).await
        };
        Ok(Box::new(begin.await.map_err(|error| self.named(error))?))
    }

    /// Lists without attributes and members: far less than a snapshot.
    async fn id_listing(&self, cx: &Context) -> Result<Box<dyn SnapshotPager>> {
        let snapshot = Snapshot::begin(Arc::clone(&self.api), cx, Detail::Ids, String::new(), None, None).await;
        Ok(Box::new(snapshot.map_err(|error| self.named(error))?))
    }

    async fn lookup(&self, cx: &Context, ids: &[ObjectRef]) -> Result<Vec<Presence>> {
        lookup::lookup(&self.api, cx, ids).await.map_err(|error| self.named(error))
    }

    async fn check_members(&self, cx: &Context, group: &ObjectRef, members: &[SourceId]) -> Result<Vec<Membership>> {
        lookup::check_members(&self.api, cx, group, members).await.map_err(|error| self.named(error))
    }

    fn as_delta(&self) -> Option<&dyn DeltaEndpoint> {
        self.checks_log().then_some(self)
    }

    fn as_actor(&self) -> Option<&dyn Actor> {
        (self.api.config.writes == Writes::On).then_some(self)
    }
}

#[async_trait]
impl DeltaEndpoint for Gsuite {
    async fn delta(&self, cx: &Context, since: &Cursor) -> Result<Box<dyn DeltaPager>> {
        delta::begin(&self.api, cx, Since::read(since)).await.map_err(|error| self.named(error))
    }

    fn freshness(&self, cursor: &Cursor) -> Vec<Freshness> {
        Since::read(cursor).map(|since| delta::freshness(&since)).unwrap_or_default()
    }

    /// The log names who was deleted by an address, which may be another's by now: the ids are listed instead.
    fn tells_removals(&self, _coverage: &CoverageInfo) -> bool {
        false
    }
}
