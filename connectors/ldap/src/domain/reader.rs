//! The reader of one domain: what an endpoint over it asks, handed to the part that answers.
//!
//! It must not know any attribute's meaning.

use std::collections::BTreeMap;
use std::sync::Arc;

use tenantry::Result;
use tenantry::endpoint::{
    Checkpoint, Context, CoverageInfo, Cursor, DeltaPager, Membership, ObjectRef, Presence, SnapshotPager, Verification,
};
use tenantry::model::SourceId;
use uuid::Uuid;

use crate::domain::config::{Checked, DomainConfig};
use crate::domain::connection::Connection;
use crate::domain::controller::{Controller, DomainHead};
use crate::domain::error::{base_gone, base_unseen, setting};
use crate::domain::exclusion::{self, Exclusion};
use crate::domain::listing::{self, Class, Detail, Listed, identity};
use crate::domain::map::Moment;
use crate::domain::members::Kinds;
use crate::domain::profile::Profile;
use crate::domain::snapshot::Snapshot;
use crate::domain::{delta, lookup, members, probe, verify};
use crate::{Control, Dn, Entry, Filter, SearchRequest, Sid};

pub(crate) const READ_DELETED: &str = "read deleted objects";
pub(crate) const READ_MEMBERS: &str = "read members of groups";

/// One Active Directory domain, read by a [`Profile`].
///
/// Each method that is named like one of [`Endpoint`](tenantry::Endpoint) or
/// [`DeltaEndpoint`](tenantry::endpoint::DeltaEndpoint) answers as that one has to.
#[derive(Debug, Clone)]
pub struct Domain(Arc<Shared>);

/// What the parts of a run share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Checked,
    pub(crate) profile: Box<dyn Profile>,
    /// Which of a class come in, where not all do.
    configured: BTreeMap<Class, Filter>,
    pub(crate) connection: Connection,
}

impl Domain {
    /// Checks the settings and creates the reader. Nothing is sent.
    ///
    /// # Errors
    /// `Config` with the `key` that is wrong and what to do about it.
    pub fn new(config: DomainConfig, profile: impl Profile) -> Result<Self> {
        let config = config.check()?;
        let mut configured = BTreeMap::new();
        for &class in profile.classes() {
            let filters: Vec<_> =
                profile.restriction(class)?.into_iter().chain(config.filter(class).cloned()).collect();
            if !filters.is_empty() {
                configured.insert(class, Filter::and(filters));
            }
        }
        let connection = Connection::new(config.settings.clone());
        Ok(Self(Arc::new(Shared { config, profile: Box::new(profile), configured, connection })))
    }

    /// Returns the way to the domain, for what the reader does not ask by itself.
    pub fn connection(&self) -> &Connection {
        &self.0.connection
    }

    /// Returns the account's name as it was configured.
    pub fn bind_name(&self) -> &str {
        &self.0.config.bind
    }

    /// Returns where listings begin.
    pub fn base(&self, controller: &Controller) -> Dn {
        self.0.base_dn(controller)
    }

    /// Makes sure that the base lies in this domain and can be seen.
    pub async fn check_base(&self, cx: &Context, controller: &Controller) -> Result<()> {
        self.0.check_base(cx, controller).await
    }

    /// Selects a class, and what comes in of it.
    pub fn filter(&self, class: Class) -> Result<Filter> {
        self.0.filter(class)
    }

    /// Tells why an entry is left out; nothing if it is in scope.
    pub fn exclusion(&self, class: Class, entry: &Entry, dn: &Dn, head: &DomainHead) -> Result<Option<Exclusion>> {
        exclusion::of(&*self.0.profile, class, entry, dn, &self.0.config.exclude, head)
    }

    /// Names the attributes that a listing of a class asks for: those that the account has to be able to read.
    pub fn attributes_read(profile: &dyn Profile, class: Class) -> Vec<&'static str> {
        listed_attributes(profile, class, Detail::Full)
    }

    /// Reads what can be seen at all.
    pub async fn coverage(&self, cx: &Context) -> Result<CoverageInfo> {
        let shared = &*self.0;
        shared.connection.begin_run().await;
        let controller = shared.connection.controller(cx).await?;
        shared.check_base(cx, &controller).await?;
        let mut coverage = CoverageInfo::new(controller.domain_id.to_string(), shared.profile.revision());
        if probe::tombstones(&shared.connection, cx, &controller, None).await? {
            coverage.rights.insert(READ_DELETED.to_owned());
        }
        if probe::members(&shared.connection, cx, &controller).await? {
            coverage.rights.insert(READ_MEMBERS.to_owned());
        }
        for (name, granted, _) in shared.attribute_rights(cx, &controller).await? {
            if granted {
                coverage.rights.insert(name);
            }
        }
        let mut set = |key: &str, value: String| coverage.filters.insert(key.to_owned(), value);
        set("base", shared.base_dn(&controller).normalised());
        for &class in shared.classes() {
            let filter = shared.config.filter(class).map(|filter| filter.as_str().to_owned());
            set(class.key(), filter.unwrap_or_default());
        }
        let mut exclude: Vec<_> = shared.config.exclude.iter().map(Dn::normalised).collect();
        exclude.sort_unstable();
        exclude.dedup();
        set("exclude", exclude.join("\n"));
        for (key, value) in shared.profile.choices() {
            set(key, value);
        }
        Ok(coverage)
    }

    /// Checks rights, work, and what will not be seen of the domain; the rest is the connector's to add.
    pub async fn verify(&self, cx: &Context) -> Result<Verification> {
        self.0.connection.begin_run().await;
        verify::verify(&self.0, cx).await
    }

    /// Begins a full listing, or goes on behind a checkpoint.
    pub async fn snapshot(&self, cx: &Context, from: Option<&Checkpoint>) -> Result<Box<dyn SnapshotPager>> {
        Ok(Box::new(Snapshot::begin(Arc::clone(&self.0), cx, Detail::Full, from).await?))
    }

    /// Lists without attributes and members: far less than a snapshot.
    pub async fn id_listing(&self, cx: &Context) -> Result<Box<dyn SnapshotPager>> {
        Ok(Box::new(Snapshot::begin(Arc::clone(&self.0), cx, Detail::Ids, None).await?))
    }

    /// Looks single objects up.
    pub async fn lookup(&self, cx: &Context, ids: &[ObjectRef]) -> Result<Vec<Presence>> {
        lookup::lookup(&self.0, cx, ids).await
    }

    /// Reads a second time whether some are members of a group.
    pub async fn check_members(
        &self,
        cx: &Context,
        group: &ObjectRef,
        members: &[SourceId],
    ) -> Result<Vec<Membership>> {
        lookup::check_members(&self.0, cx, group, members).await
    }

    /// Tells whether changes can be read at all under these settings.
    pub fn has_deltas(&self) -> bool {
        delta::is_possible(&self.0)
    }

    /// Begins to read the changes since a cursor.
    pub async fn delta(&self, cx: &Context, since: &Cursor) -> Result<Box<dyn DeltaPager>> {
        delta::begin(&self.0, cx, since).await
    }

    /// Only tombstones tell what is gone, and they need a right of their own.
    pub fn tells_removals(coverage: &CoverageInfo) -> bool {
        coverage.rights.contains(READ_DELETED)
    }
}

/// Returns the attributes to ask for in a listing: groups come with their members.
pub(crate) fn listed_attributes(profile: &dyn Profile, class: Class, detail: Detail) -> Vec<&'static str> {
    let mut names = profile.attributes(class, detail);
    if class == Class::Groups && detail == Detail::Full {
        names.push("member");
    }
    names
}

impl Shared {
    pub(crate) fn classes(&self) -> &'static [Class] {
        self.profile.classes()
    }

    /// Returns the class that is listed behind another one.
    pub(crate) fn class_behind(&self, class: Class) -> Option<Class> {
        let classes = self.classes();
        classes.get(classes.iter().position(|known| *known == class)? + 1).copied()
    }

    /// Returns the filter that leaves out some of a class.
    pub(crate) fn configured(&self, class: Class) -> Option<&Filter> {
        self.configured.get(&class)
    }

    /// Selects the class and what comes in of it.
    pub(crate) fn filter(&self, class: Class) -> Result<Filter> {
        Ok(Filter::and([self.selection(class)?].into_iter().chain(self.configured(class).cloned())))
    }

    /// Selects the class, whatever comes in of it.
    pub(crate) fn selection(&self, class: Class) -> Result<Filter> {
        self.profile.selection(class)
    }

    /// Returns the attributes to ask for.
    pub(crate) fn attributes(&self, class: Class, detail: Detail) -> Vec<&'static str> {
        self.profile.attributes(class, detail)
    }

    /// Returns the attributes to ask for in a listing.
    pub(crate) fn listed_attributes(&self, class: Class, detail: Detail) -> Vec<&'static str> {
        listed_attributes(&*self.profile, class, detail)
    }

    /// Reads an entry of a class.
    pub(crate) fn read(
        &self,
        class: Class,
        entry: &Entry,
        detail: Detail,
        head: &DomainHead,
        moment: &Moment,
    ) -> Listed {
        listing::read(&*self.profile, class, entry, detail, &self.config.exclude, head, moment)
    }

    /// Returns where listings begin.
    pub(crate) fn base(&self, controller: &Controller) -> String {
        self.config.base.as_ref().map_or_else(|| controller.domain.clone(), Dn::to_string)
    }

    pub(crate) fn base_dn(&self, controller: &Controller) -> Dn {
        self.config.base.clone().unwrap_or_else(|| controller.head.dn.clone())
    }

    /// Makes sure that the base lies in this domain and can be seen.
    pub(crate) async fn check_base(&self, cx: &Context, controller: &Controller) -> Result<()> {
        let base = self.base_dn(controller);
        if !base.is_under(&controller.head.dn) {
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

    /// Tells which attributes that decide what comes in can be read: name of the right, whether it is there, and for what.
    pub(crate) async fn attribute_rights(
        &self,
        cx: &Context,
        controller: &Controller,
    ) -> Result<Vec<(String, bool, String)>> {
        let mut rights = Vec::new();
        let base = self.base(controller);
        for decisive in self.profile.decisive() {
            let any = self.classes().iter().map(|class| self.profile.probed(*class)).collect::<Result<Vec<_>>>()?;
            let filter = Filter::and([Filter::or(any)?, Filter::present(decisive.attribute)?]);
            let granted = probe::is_found(&self.connection, cx, filter, &controller.domain).await?;
            rights.push((format!("read {}", decisive.attribute), granted, decisive.purpose.to_owned()));
        }
        for &class in self.classes() {
            let Some(configured) = self.config.filter(class) else { continue };
            let probed = self.profile.probed(class)?;
            let readable = probe::filter_attributes(&self.connection, cx, &probed, configured, &base).await?;
            rights.extend(readable.into_iter().map(|(attribute, granted)| {
                (
                    format!("read {attribute} of {}s", class.kind()),
                    granted,
                    "to decide by the configured filter".to_owned(),
                )
            }));
        }
        Ok(rights)
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
        if let Some(filter) = self.profile.contacts_apart()? {
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
