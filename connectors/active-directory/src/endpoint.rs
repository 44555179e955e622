//! The endpoint: what the engine asks, handed to the part that answers.
//!
//! It must not know any attribute's meaning.

use std::sync::Arc;

use async_trait::async_trait;
use tenantry::endpoint::{
    Actor, Checkpoint, CoverageInfo, Cursor, DeltaEndpoint, DeltaPager, Endpoint, Membership, ObjectRef, Presence,
    SnapshotPager, Verification,
};
use tenantry::model::SourceId;
use tenantry::{Context, EndpointInfo, Error, Result};
use tenantry_ldap::{Control, Dn, Filter, SearchRequest, Sid};
use uuid::Uuid;

use crate::config::{ActiveDirectoryConfig, BuiltinGroups, Checked, Contacts};
use crate::connection::Connection;
use crate::controller::Controller;
use crate::error::{base_gone, base_unseen, setting};
use crate::listing::{Class, Detail, identity};
use crate::members::Kinds;
use crate::own::Known;
use crate::snapshot::Snapshot;
use crate::{delta, lookup, members, probe, verify};

/// Counts up when a release lists less or other things than the one before.
const REVISION: u32 = 1;

pub(crate) const READ_DELETED: &str = "read deleted objects";
pub(crate) const READ_MEMBERS: &str = "read members of groups";

/// One Active Directory domain.
#[derive(Debug)]
pub struct ActiveDirectory {
    info: EndpointInfo,
    shared: Arc<Shared>,
}

/// What the parts of a run share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Checked,
    pub(crate) connection: Connection,
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
        let config = config.check().map_err(|error| error.with_context("endpoint", &info.name))?;
        let connection = Connection::new(config.settings.clone());
        Ok(Self { info, shared: Arc::new(Shared { config, connection, own: Known::default() }) })
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    pub(crate) fn named(&self, error: Error) -> Error {
        error.with_context("endpoint", &self.info.name)
    }
}

impl Shared {
    /// Returns where listings begin.
    pub(crate) fn base(&self, controller: &Controller) -> String {
        self.config.base.as_ref().map_or_else(|| controller.domain.clone(), Dn::to_string)
    }

    pub(crate) fn base_dn(&self, controller: &Controller) -> Dn {
        self.config.base.clone().unwrap_or_else(|| controller.domain_dn.clone())
    }

    /// Makes sure that the base lies in this domain and can be seen.
    pub(crate) async fn check_base(&self, cx: &Context, controller: &Controller) -> Result<()> {
        let base = self.base_dn(controller);
        if !base.is_under(&controller.domain_dn) {
            return Err(setting("base", "the base is not in the domain of this server; correct base or url")
                .with_context("domain", &controller.domain));
        }
        let entry =
            self.connection.object(cx, "read the base", None, &self.base(controller), &["objectGUID"], &[]).await;
        match entry.map_err(base_gone)? {
            Some(_) => Ok(()),
            None => Err(base_unseen()),
        }
    }

    /// Tells which attributes of a configured filter can be read, by the name of the right.
    pub(crate) async fn filter_rights(
        &self,
        cx: &Context,
        controller: &Controller,
        class: Class,
    ) -> Result<Vec<(String, bool)>> {
        let Some(configured) = class.configured(&self.config) else { return Ok(Vec::new()) };
        let base = self.base(controller);
        let readable = probe::filter_attributes(&self.connection, cx, class, configured, &base).await?;
        let right = |(attribute, granted)| (format!("read {attribute} of {}s", class.kind()), granted);
        Ok(readable.into_iter().map(right).collect())
    }

    /// Finds a group by its SID; nothing if it cannot be seen.
    pub(crate) async fn group_by_sid(&self, cx: &Context, controller: &Controller, sid: &Sid) -> Result<Option<Uuid>> {
        let request = SearchRequest::new(&controller.domain, Filter::equals_bytes("objectSid", &sid.to_bytes())?)
            .attributes(["objectGUID"])
            .page_size(1)
            .control(members::extended())
            .control(Control::domain_scope().optional());
        let entry = self.connection.first(cx, "find the primary group", &request).await?;
        entry.map(|entry| identity(&entry).map(|(guid, _)| guid)).transpose()
    }

    /// Learns what members of groups can be told by their ids alone.
    pub(crate) async fn kinds(&self, cx: &Context, controller: &Controller) -> Result<Kinds> {
        let mut contacts = Vec::new();
        if self.config.contacts == Contacts::Ignored {
            let filter = Filter::parse("(&(objectCategory=person)(objectClass=contact))")?;
            let request = SearchRequest::new(&controller.domain, filter)
                .attributes(["objectGUID"])
                .page_size(self.config.page_size)
                .control(members::extended())
                .control(Control::domain_scope().optional());
            let take = |entry| contacts.extend(identity(&entry).map(|(guid, _)| guid));
            self.connection.each(cx, "list contacts", &request, take).await?;
        }
        Ok(Kinds::new(controller, contacts))
    }
}

#[async_trait]
impl Endpoint for ActiveDirectory {
    fn info(&self) -> &EndpointInfo {
        &self.info
    }

    async fn coverage(&self, cx: &Context) -> Result<CoverageInfo> {
        let shared = &*self.shared;
        shared.connection.begin_run().await;
        let read = async {
            let controller = shared.connection.controller(cx).await?;
            shared.check_base(cx, &controller).await?;
            let mut coverage = CoverageInfo::new(controller.domain_id.to_string(), REVISION);
            if probe::tombstones(&shared.connection, cx, &controller, None).await? {
                coverage.rights.insert(READ_DELETED.to_owned());
            }
            if probe::members(&shared.connection, cx, &controller).await? {
                coverage.rights.insert(READ_MEMBERS.to_owned());
            }
            for class in Class::ALL {
                let rights = shared.filter_rights(cx, &controller, class).await?;
                coverage.rights.extend(rights.into_iter().filter(|(_, granted)| *granted).map(|(name, _)| name));
            }
            let config = &shared.config;
            let mut set = |key: &str, value: String| coverage.filters.insert(key.to_owned(), value);
            set("base", shared.base_dn(&controller).normalised());
            for (key, class) in [("users", Class::Users), ("groups", Class::Groups), ("computers", Class::Computers)] {
                set(key, class.configured(config).map(|filter| filter.as_str().to_owned()).unwrap_or_default());
            }
            let mut exclude: Vec<_> = config.exclude.iter().map(Dn::normalised).collect();
            exclude.sort_unstable();
            exclude.dedup();
            set("exclude", exclude.join("\n"));
            set("contacts", (config.contacts == Contacts::Imported).to_string());
            set("builtin_groups", (config.builtin_groups == BuiltinGroups::Imported).to_string());
            Ok(coverage)
        };
        read.await.map_err(|error| self.named(error))
    }

    async fn verify(&self, cx: &Context) -> Result<Verification> {
        self.shared.connection.begin_run().await;
        verify::verify(&self.shared, cx).await.map_err(|error| self.named(error))
    }

    async fn snapshot(&self, cx: &Context, from: Option<&Checkpoint>) -> Result<Box<dyn SnapshotPager>> {
        let snapshot = Snapshot::begin(Arc::clone(&self.shared), cx, Detail::Full, from).await;
        Ok(Box::new(snapshot.map_err(|error| self.named(error))?))
    }

    /// Lists without attributes and members: far less than a snapshot.
    async fn id_listing(&self, cx: &Context) -> Result<Box<dyn SnapshotPager>> {
        let snapshot = Snapshot::begin(Arc::clone(&self.shared), cx, Detail::Ids, None).await;
        Ok(Box::new(snapshot.map_err(|error| self.named(error))?))
    }

    async fn lookup(&self, cx: &Context, ids: &[ObjectRef]) -> Result<Vec<Presence>> {
        lookup::lookup(&self.shared, cx, ids).await.map_err(|error| self.named(error))
    }

    async fn check_members(&self, cx: &Context, group: &ObjectRef, members: &[SourceId]) -> Result<Vec<Membership>> {
        lookup::check_members(&self.shared, cx, group, members).await.map_err(|error| self.named(error))
    }

    fn as_actor(&self) -> Option<&dyn Actor> {
        Some(self)
    }

    fn as_delta(&self) -> Option<&dyn DeltaEndpoint> {
        delta::is_possible(&self.shared.config).then_some(self)
    }
}

#[async_trait]
impl DeltaEndpoint for ActiveDirectory {
    async fn delta(&self, cx: &Context, since: &Cursor) -> Result<Box<dyn DeltaPager>> {
        delta::begin(&self.shared, cx, since).await.map_err(|error| self.named(error))
    }

    /// Only tombstones tell what is gone, and they need a right of their own.
    fn tells_removals(&self, coverage: &CoverageInfo) -> bool {
        coverage.rights.contains(READ_DELETED)
    }
}
