//! The endpoint: what the engine asks, handed to the reader of the domain.
//!
//! It must not know any attribute's meaning.

use async_trait::async_trait;
use tenantry::endpoint::{
    Actor, Checkpoint, CoverageInfo, Cursor, DeltaEndpoint, DeltaPager, Endpoint, Membership, ObjectRef, Presence,
    SnapshotPager, Verification,
};
use tenantry::model::{ObjectKind, SourceId};
use tenantry::{Context, EndpointInfo, Error, Result};
use tenantry_ldap::domain::{Class, Domain};

use crate::config::{ActiveDirectoryConfig, BuiltinGroups, Contacts};
use crate::own::Known;
use crate::profile::Accounts;

/// One Active Directory domain.
#[derive(Debug)]
pub struct ActiveDirectory {
    info: EndpointInfo,
    accounts: Accounts,
    pub(crate) domain: Domain,
    pub(crate) own: Known,
}

impl ActiveDirectory {
    /// How the configuration spells this kind of endpoint.
    pub const KIND: &'static str = "active-directory";

    /// Checks the settings and creates the endpoint. Nothing is sent.
    ///
    /// # Errors
    /// `Config` with the `key` that is wrong and what to do about it.
    pub fn new(info: EndpointInfo, config: ActiveDirectoryConfig) -> Result<Self> {
        if info.kind != Self::KIND {
            return Err(Error::config("this endpoint is not of kind active-directory").with_context("kind", info.kind));
        }
        let accounts = Accounts { contacts: config.contacts, builtin_groups: config.builtin_groups };
        let domain =
            Domain::new(config.domain, accounts).map_err(|error| error.with_context("endpoint", &info.name))?;
        Ok(Self { info, accounts, domain, own: Known::default() })
    }

    /// Names the attributes that a listing of this kind asks for: those that the account has to be able to read.
    #[must_use]
    pub fn attributes_read(kind: ObjectKind) -> Vec<&'static str> {
        Domain::attributes_read(&Accounts::default(), Class::of(kind))
    }

    pub(crate) fn named(&self, error: Error) -> Error {
        error.with_context("endpoint", &self.info.name)
    }

    /// Says what is left out by choice, and what Active Directory does not know.
    fn not_seen(&self) -> Vec<String> {
        let mut sentences = Vec::new();
        if self.accounts.contacts == Contacts::Ignored {
            sentences.push("Contacts are not imported; they appear as members of groups only.".to_owned());
        }
        if self.accounts.builtin_groups == BuiltinGroups::Ignored {
            sentences.push("The built-in groups are not imported.".to_owned());
        }
        sentences.push("Second factors are not known to Active Directory.".to_owned());
        sentences
    }
}

#[async_trait]
impl Endpoint for ActiveDirectory {
    fn info(&self) -> &EndpointInfo {
        &self.info
    }

    async fn coverage(&self, cx: &Context) -> Result<CoverageInfo> {
        self.domain.coverage(cx).await.map_err(|error| self.named(error))
    }

    async fn verify(&self, cx: &Context) -> Result<Verification> {
        let mut verification = self.domain.verify(cx).await.map_err(|error| self.named(error))?;
        verification.not_seen.extend(self.not_seen());
        Ok(verification)
    }

    async fn snapshot(&self, cx: &Context, from: Option<&Checkpoint>) -> Result<Box<dyn SnapshotPager>> {
        self.domain.snapshot(cx, from).await.map_err(|error| self.named(error))
    }

    /// Lists without attributes and members: far less than a snapshot.
    async fn id_listing(&self, cx: &Context) -> Result<Box<dyn SnapshotPager>> {
        self.domain.id_listing(cx).await.map_err(|error| self.named(error))
    }

    async fn lookup(&self, cx: &Context, ids: &[ObjectRef]) -> Result<Vec<Presence>> {
        self.domain.lookup(cx, ids).await.map_err(|error| self.named(error))
    }

    async fn check_members(&self, cx: &Context, group: &ObjectRef, members: &[SourceId]) -> Result<Vec<Membership>> {
        self.domain.check_members(cx, group, members).await.map_err(|error| self.named(error))
    }

    fn as_actor(&self) -> Option<&dyn Actor> {
        Some(self)
    }

    fn as_delta(&self) -> Option<&dyn DeltaEndpoint> {
        self.domain.has_deltas().then_some(self)
    }
}

#[async_trait]
impl DeltaEndpoint for ActiveDirectory {
    async fn delta(&self, cx: &Context, since: &Cursor) -> Result<Box<dyn DeltaPager>> {
        self.domain.delta(cx, since).await.map_err(|error| self.named(error))
    }

    fn tells_removals(&self, coverage: &CoverageInfo) -> bool {
        Domain::tells_removals(coverage)
    }
}
