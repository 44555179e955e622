//! Changes by the change numbers of one controller: whole objects that changed, what fell out of scope, what lies below
//! a container that changed, what only time has changed, and tombstones.
//!
//! It must not know what an attribute means, nor what is stored.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::{Control, Dn, Entry, Filter, Scope, SearchRequest, guid};
use async_trait::async_trait;
use tenantry::endpoint::{Context, DeltaPager, DeltaStep};
use tenantry::model::{ObjectKey, ObjectKind, SourceId, Tombstone};
use tenantry::{ErrorKind, Result};
use uuid::Uuid;

use crate::domain::cursor::{Position, Since};
use crate::domain::delta::or_expired;
use crate::domain::error::{base_gone, nameless_container};
use crate::domain::gathering::{Gathering, lies_outside};
use crate::domain::listing::{Class, Detail, identity};
use crate::domain::profile::Profile;
use crate::domain::reader::Shared;
use crate::domain::resume::{self, Resumed};
use crate::domain::search::Search;
use crate::domain::{lookup, members, probe};

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
        let Some(Resumed { controller, now, numbers_readable }) = resume::resume(shared, cx, &since).await? else {
            return Ok(None);
        };
        if !numbers_readable {
            tracing::info!("changes cannot be read behind the last run: let the account read uSNChanged");
            return Ok(None);
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
            delta.base = resume::real_base(&delta.gathering).await?;
            delta.plan();
        }
        let ends = resume::expiring(&delta.gathering, &since, &delta.now)?;
        delta.steps.push_back(Step::Expiring(Box::new(ends)));
        if delta.now.usn > since.usn {
            // Last: who is deleted while his change is read is gone.
            delta.steps.push_back(Step::Deleted);
        }
        Ok(Some(delta))
    }

    fn shared(&self) -> &Shared {
        &self.gathering.shared
    }

    fn plan(&mut self) {
        for &class in self.shared().classes() {
            self.steps.push_back(Step::Inside(class));
            if self.shared().configured(class).is_some() {
                self.steps.push_back(Step::Unmatched(class));
            }
            if self.base.is_some() {
                self.steps.push_back(Step::Elsewhere(class));
            }
        }
        self.steps.push_back(Step::Containers);
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
                let filter = Filter::and([self.changed()?, shared.filter(*class)?]);
                (class.operation_on_changes(), whole(*class, shared.base(controller), filter))
            }
            Step::Expiring(ends) => {
                let filter = Filter::and([shared.filter(Class::Users)?, (**ends).clone()]);
                ("list expired users", whole(Class::Users, shared.base(controller), filter))
            }
            Step::Below(container, class) => {
                let filter = shared.filter(*class)?;
                ("list a moved container", whole(*class, guid::as_dn(container), filter))
            }
            Step::Unmatched(class) => {
                let Some(configured) = shared.configured(*class) else { return Ok(None) };
                let filter = Filter::and([self.changed()?, shared.selection(*class)?, configured.negate()]);
                ("list what no longer matches", ids(filter))
            }
            Step::Elsewhere(class) => {
                ("list what lies elsewhere", ids(Filter::and([self.changed()?, shared.filter(*class)?])))
            }
            Step::Containers => {
                ("list changed containers", ids(Filter::and([self.changed()?, Filter::parse(CONTAINERS)?])))
            }
            Step::Deleted => {
                // Once they can be read at all, a search that fails is a failure, and an empty one is empty.
                if !probe::tombstones(&shared.connection, cx, controller, Some(self.gathering.pin())).await? {
                    return Ok(None);
                }
                let classes = shared.profile.tombstones().iter().map(|(class, _)| Filter::equals("objectClass", class));
                let kinds = Filter::or(classes.collect::<Result<Vec<_>>>()?)?;
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
            Step::Deleted => {
                let profile = &*self.gathering.shared.profile;
                // The search asked for classes that are told of.
                let read = |entry| tombstone(profile, entry, Some(ObjectKind::User));
                let tombstones: Vec<_> = entries.iter().filter_map(read).collect();
                self.gathering.take_tombstones(tombstones);
            }
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
            for &class in self.shared().classes().iter().rev() {
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
        or_expired(self.go_on().await)
    }
}

/// Reads what is left of a deleted object; nothing if it is none that is told of. Where it lay does not matter: who was
/// never imported is not known. `otherwise` is what it is taken for if its class is none of the profile's.
pub(crate) fn tombstone(profile: &dyn Profile, entry: &Entry, otherwise: Option<ObjectKind>) -> Option<Tombstone> {
    let (guid, _) = identity(entry).ok()?;
    let classes = entry.texts("objectClass").ok()?;
    let is = |name: &str| classes.iter().any(|class| class.eq_ignore_ascii_case(name));
    let known = profile.tombstones().iter().find(|(class, _)| is(class)).map(|(_, kind)| *kind);
    let object = ObjectKey { kind: known.or(otherwise)?, id: SourceId::Guid(guid) };
    lookup::is_deleted(entry).then(|| Tombstone { object, kind: lookup::tombstone(entry) })
}
