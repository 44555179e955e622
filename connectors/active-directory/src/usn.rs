//! Changes by the change numbers of one controller: whole objects that changed, what fell out of scope, what lies below
//! a container that changed, what only time has changed, and tombstones.
//!
//! It must not know what an attribute means, nor what is stored.

use std::collections::VecDeque;
use std::sync::Arc;

use async_trait::async_trait;
use tenantry::endpoint::{Context, DeltaPager, DeltaStep};
use tenantry::model::{ObjectKey, ObjectKind, SourceId, Tombstone};
use tenantry::{ErrorKind, Result};
use tenantry_ldap::filetime::{self, Interval};
use tenantry_ldap::{Control, Dn, Entry, Filter, Scope, SearchRequest, guid};
use uuid::Uuid;

use crate::controller::NOW;
use crate::cursor::{Position, Since};
use crate::endpoint::Shared;
use crate::error::{base_gone, base_unseen, nameless_container};
use crate::gathering::{Gathering, lies_outside};
use crate::listing::{Class, Detail, identity};
use crate::search::Search;
use crate::{lookup, members, probe};

pub(crate) const DAY: i64 = 24 * 60 * 60 * 1000;
/// What Active Directory assumes where no lifetime of tombstones is set.
const TOMBSTONE_DAYS: i64 = 60;
/// By how much clocks may drift apart between two runs.
const DRIFT: i64 = 10 * 60 * 1000;

/// Classes that users, groups and computers can lie in. The domain's head is no such: it stays where it is. Group
/// policies are containers by class, but hold none.
pub(crate) const CONTAINERS: &str = "(&(|(objectClass=organizationalUnit)(objectClass=container)(objectClass=builtinDomain)\
                          (objectClass=lostAndFound)(objectClass=organization)(objectClass=country)\
                          (objectClass=locality))(!(objectClass=groupPolicyContainer)))";

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    /// Changed objects of a class, in scope.
    Inside(Class),
    /// Changed objects of a class that do not match what is configured.
    Unmatched(Class),
    /// Changed objects of a class, anywhere in the domain.
    Elsewhere(Class),
    /// Users whose state changes by time alone.
    Expiring(Box<Filter>),
    /// Changed containers: what lies in them does not change with their names.
    Containers,
    /// Everything of a class in a container.
    Below(Uuid, Class),
    /// Deleted objects.
    Deleted,
}

/// A delta under way.
pub(crate) struct UsnDelta {
    gathering: Gathering,
    /// Behind which number everything is asked for.
    since: u64,
    /// Where the next delta goes on.
    now: Position,
    /// The base as the controller writes it; none if it is the whole domain.
    base: Option<Dn>,
    steps: VecDeque<Step>,
    under_way: Option<(Step, Search)>,
    containers: Vec<(Uuid, Dn)>,
}

impl UsnDelta {
    /// Begins; nothing if the position can no longer be used.
    pub(crate) async fn begin(shared: &Arc<Shared>, cx: &Context, since: Position) -> Result<Option<Self>> {
        let connection = &shared.connection;
        let controller = connection.go_to(cx, &since.server, since.invocation).await?;
        let expired = |reason: &str| {
            tracing::info!(server = %since.server, "changes cannot be read behind the last run: {reason}");
            Ok(None)
        };
        if controller.position.invocation != since.invocation || controller.position.service != since.service {
            return expired("another domain controller answers, or this one was restored");
        }
        if !controller.numbers_readable {
            return expired("the account may not read change numbers; let it read uSNChanged");
        }
        let pin = since.invocation;
        // Read before the first search: what changes from here on comes in the next delta, perhaps once more.
        let now = controller.now(&connection.root(cx, Some(pin), NOW).await?)?;
        if now.usn < since.usn {
            return expired("the domain controller has gone back");
        }
        let age = now.time.saturating_sub(since.time);
        if age < -DAY {
            return expired("the domain controller's clock has gone back");
        }
        // No forest keeps tombstones for less than two days; a day is left for the reading itself.
        if age >= DAY && age >= tombstone_lifetime(shared, cx, pin, &controller.configuration).await? - DAY {
            return expired("deleted objects are not kept for so long");
        }
        let mut delta = Self {
            gathering: Gathering::new(Arc::clone(shared), cx, controller, Detail::Full),
            since: since.usn,
            base: None,
            steps: VecDeque::new(),
            under_way: None,
            containers: Vec::new(),
            now,
        };
        if delta.now.usn > since.usn {
            delta.base = delta.real_base().await?;
            delta.plan();
        }
        delta.steps.extend(delta.expiring(&since)?.map(|filter| Step::Expiring(Box::new(filter))));
        if delta.now.usn > since.usn {
            // Last: who is deleted while his change is read is gone.
            delta.steps.push_back(Step::Deleted);
        }
        Ok(Some(delta))
    }

    fn shared(&self) -> &Shared {
        &self.gathering.shared
    }

    /// Returns the base as the controller writes it: by that name, and no other, what lies elsewhere can be told.
    async fn real_base(&self) -> Result<Option<Dn>> {
        let Gathering { shared, cx, controller, .. } = &self.gathering;
        let Some(base) = &shared.config.base else { return Ok(None) };
        let pin = Some(controller.position.invocation);
        let entry = shared.connection.object(cx, "read the base", pin, &base.to_string(), &["1.1"], &[]).await?;
        let real = Dn::parse(entry.ok_or_else(base_unseen)?.dn())?;
        Ok(Some(real).filter(|real| !controller.domain_dn.is_under(real)))
    }

    fn plan(&mut self) {
        for class in Class::ALL {
            self.steps.push_back(Step::Inside(class));
            if class.configured(&self.shared().config).is_some() {
                self.steps.push_back(Step::Unmatched(class));
            }
            if self.base.is_some() {
                self.steps.push_back(Step::Elsewhere(class));
            }
        }
        self.steps.push_back(Step::Containers);
    }

    /// Selects the users whose account, lock-out or password came to its end since the last run: that changes what they
    /// are, and no number tells of it. The first is judged by the clock here, the others by the controller's.
    fn expiring(&self, since: &Position) -> Result<Option<Filter>> {
        let controller = &self.gathering.controller;
        let ahead = self.gathering.cx.gate().clock().now_unix_millis().saturating_sub(self.now.time);
        let between = |attribute: &str, earlier: i64| {
            let ticks = |time: i64| filetime::from_unix_millis(time.saturating_sub(earlier)).unwrap_or(1).max(1);
            let (from, to) = (ticks(since.time.saturating_sub(DRIFT)), ticks(self.now.time));
            Filter::parse(&format!("(&({attribute}>={from})({attribute}<={to}))"))
        };
        let millis = |interval: Option<Interval>| match interval {
            Some(Interval::Of(duration)) if !duration.is_zero() => i64::try_from(duration.as_millis()).ok(),
            _ => None,
        };
        let mut ends = vec![between("accountExpires", ahead.saturating_neg())?];
        if let Some(lockout) = millis(controller.lockout) {
            ends.push(between("lockoutTime", lockout)?);
        }
        if let Some(age) = millis(controller.password_age) {
            ends.push(between("pwdLastSet", age)?);
        }
        Ok(Some(Filter::or(ends)?))
    }

    fn changed(&self) -> Result<Filter> {
        Filter::at_least("uSNChanged", i64::try_from(self.since).unwrap_or(i64::MAX).saturating_add(1))
    }

    /// Writes what a step asks for.
    async fn request(&self, step: &Step) -> Result<Option<(&'static str, SearchRequest)>> {
        let Gathering { shared, cx, controller, .. } = &self.gathering;
        let config = &shared.config;
        let whole = |class: Class, base: String, filter: Filter| {
            SearchRequest::new(base, filter)
                .attributes(self.gathering.attributes(class))
                .page_size(Gathering::page_size(shared, class))
        };
        let ids = |filter: Filter| {
            SearchRequest::new(&controller.domain, filter).attributes(["objectGUID"]).page_size(config.page_size)
        };
        let (operation, request) = match step {
            Step::Inside(class) => {
                let filter = Filter::and([self.changed()?, class.filter(config)?]);
                (class.operation_on_changes(), whole(*class, shared.base(controller), filter))
            }
            Step::Expiring(ends) => {
                let filter = Filter::and([Class::Users.filter(config)?, (**ends).clone()]);
                ("list expired users", whole(Class::Users, shared.base(controller), filter))
            }
            Step::Below(container, class) => {
                let filter = class.filter(config)?;
                ("list a moved container", whole(*class, guid::as_dn(container), filter))
            }
            Step::Unmatched(class) => {
                let Some(configured) = class.configured(config) else { return Ok(None) };
                let filter = Filter::and([self.changed()?, class.selection(config)?, configured.negate()]);
                ("list what no longer matches", ids(filter))
            }
            Step::Elsewhere(class) => {
                ("list what lies elsewhere", ids(Filter::and([self.changed()?, class.filter(config)?])))
            }
            Step::Containers => {
                ("list changed containers", ids(Filter::and([self.changed()?, Filter::parse(CONTAINERS)?])))
            }
            Step::Deleted => {
                // Once they can be read at all, a search that fails is a failure, and an empty one is empty.
                if !probe::tombstones(&shared.connection, cx, controller).await? {
                    return Ok(None);
                }
                let kinds = Filter::parse("(|(objectClass=user)(objectClass=group)(objectClass=contact))")?;
                let filter = Filter::and([Filter::parse("(isDeleted=TRUE)")?, self.changed()?, kinds]);
                let request = SearchRequest::new(probe::deleted_objects(controller), filter)
                    .scope(Scope::OneLevel)
                    .attributes(["objectGUID", "objectClass", "objectCategory", "isDeleted", "isRecycled"])
                    .page_size(config.page_size)
                    .control(controller.show_deleted());
                return Ok(Some(("list deleted objects", request.control(members::extended()))));
            }
        };
        Ok(Some((operation, request.control(members::extended()).control(Control::domain_scope().optional()))))
    }

    async fn take(&mut self, step: &Step, entries: &[Entry]) -> Result<()> {
        match step {
            Step::Inside(class) => drop(self.gathering.take(*class, entries, None).await?),
            Step::Expiring(_) => drop(self.gathering.take(Class::Users, entries, None).await?),
            Step::Below(_, class) => drop(self.gathering.take(*class, entries, self.base.as_ref()).await?),
            Step::Unmatched(class) => self.gathering.take_outside(class.kind(), entries),
            Step::Elsewhere(class) => {
                let outside = |entry: &&Entry| self.base.as_ref().is_some_and(|base| lies_outside(entry, base));
                let entries: Vec<&Entry> = entries.iter().filter(outside).collect();
                self.gathering.take_outside(class.kind(), entries);
            }
            Step::Containers => {
                let place = |entry: &Entry| {
                    let (guid, name) = identity(entry)?;
                    Ok((guid, Dn::parse(&name.dn)?))
                };
                for entry in entries {
                    self.containers.push(place(entry).map_err(nameless_container)?);
                }
            }
            Step::Deleted => self.gathering.take_tombstones(entries.iter().filter_map(tombstone)),
        }
        Ok(())
    }

    /// Plans to list what lies in the containers that changed, each object once.
    fn descend(&mut self) {
        let mut containers = std::mem::take(&mut self.containers);
        containers.sort_by_key(|(_, dn)| dn.rdns().len());
        let mut tops: Vec<(Uuid, Dn)> = Vec::new();
        for (guid, dn) in containers {
            // The base and what is above it is where it was: by its configured name it was just found.
            let holds_base = self.base.as_ref().is_some_and(|base| base.is_under(&dn));
            if !holds_base && !tops.iter().any(|(known, top)| *known == guid || dn.is_under(top)) {
                tops.push((guid, dn));
            }
        }
        for (guid, _) in tops.iter().rev() {
            for class in Class::ALL.into_iter().rev() {
                self.steps.push_front(Step::Below(*guid, class));
            }
        }
    }

    async fn go_on(&mut self) -> Result<DeltaStep> {
        loop {
            self.gathering.cx.check_cancelled()?;
            if let Some(page) = self.gathering.next_page() {
                return Ok(DeltaStep::Page(page.into()));
            }
            if self.gathering.has_work() {
                self.gathering.work().await?;
            } else if let Some((step, mut search)) = self.under_way.take() {
                let read = search.next(&self.shared().connection, &self.gathering.cx).await;
                match read {
                    Ok(Some(entries)) => {
                        self.take(&step, &entries).await?;
                        self.under_way = Some((step, search));
                    }
                    Ok(None) if step == Step::Containers => self.descend(),
                    Ok(None) => {}
                    // Gone again: its content was told gone or moved, by numbers of its own.
                    Err(error) if matches!(step, Step::Below(..)) && *error.kind() == ErrorKind::NotFound => {}
                    Err(error) => return Err(base_gone(error)),
                }
            } else if let Some(step) = self.steps.pop_front() {
                let request = self.request(&step).await?;
                self.under_way = request.map(|(operation, request)| {
                    let search = Search::new(operation, self.gathering.pin(), request);
                    (step, search)
                });
            } else {
                return Ok(DeltaStep::CaughtUp(Since::Usn(self.now.clone()).cursor()));
            }
        }
    }
}

#[async_trait]
impl DeltaPager for UsnDelta {
    async fn next(&mut self) -> Result<DeltaStep> {
        match self.go_on().await {
            // Another controller took over in the middle: its numbers are its own.
            Err(error) if *error.kind() == ErrorKind::Conflict => {
                tracing::info!("changes cannot be read to their end: {error}");
                Ok(DeltaStep::CursorExpired)
            }
            step => step,
        }
    }
}

/// Reads how long tombstones are kept, in milliseconds.
pub(crate) async fn tombstone_lifetime(shared: &Shared, cx: &Context, pin: Uuid, configuration: &str) -> Result<i64> {
    let name = format!("CN=Directory Service,CN=Windows NT,CN=Services,{configuration}");
    let attributes = ["tombstoneLifetime"];
    let entry = shared.connection.object(cx, "read the lifetime of tombstones", Some(pin), &name, &attributes, &[]);
    let days = entry.await?.map(|entry| entry.i64("tombstoneLifetime")).transpose()?.flatten();
    Ok(days.filter(|days| *days > 0).unwrap_or(TOMBSTONE_DAYS).saturating_mul(DAY))
}

/// Reads what is left of a deleted object. Where it lay does not matter: who was never imported is not known.
pub(crate) fn tombstone(entry: &Entry) -> Option<Tombstone> {
    let (guid, _) = identity(entry).ok()?;
    let classes = entry.texts("objectClass").ok()?;
    let is = |name: &str| classes.iter().any(|class| class.eq_ignore_ascii_case(name));
    let kind = if is("group") {
        ObjectKind::Group
    } else if is("computer") {
        ObjectKind::Computer
    } else {
        ObjectKind::User
    };
    let object = ObjectKey { kind, id: SourceId::Guid(guid) };
    lookup::is_deleted(entry).then(|| Tombstone { object, kind: lookup::tombstone(entry) })
}
