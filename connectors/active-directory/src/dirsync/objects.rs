//! Objects of which it is known only that something changed, read again by their ids: whole, out of scope, or gone.
//!
//! It must not know how it became known that they changed.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use tenantry::Result;
use tenantry::endpoint::{Context, DeltaPage};
use tenantry::model::{ObjectKey, ObjectKind, Quarantined, Scope, SourceId, Tombstone, TombstoneKind, Unreadable, Via};
use tenantry_ldap::{Control, Dn, Entry, Filter, SearchRequest, Sid, guid};
use uuid::Uuid;

use crate::controller::Controller;
use crate::endpoint::Shared;
use crate::error::base_gone;
use crate::listing::{Class, Detail, Found, Listed, identity};
use crate::lookup::{any_of, tombstone};
use crate::map::Moment;
use crate::members::{self, Kinds, Known, Reading};
use crate::probe;

/// Ids in one search.
pub(crate) const AT_ONCE: usize = 100;
/// Members on a page that is given out.
const MEMBERS_ON_A_PAGE: usize = 5000;

/// Reads objects of one controller again.
pub(crate) struct Objects {
    shared: Arc<Shared>,
    cx: Context,
    controller: Controller,
    kinds: Option<Arc<Kinds>>,
    members_readable: Option<bool>,
    primary_groups: HashMap<Sid, Option<Uuid>>,
}

/// What some objects are now.
#[derive(Debug, Default)]
pub(crate) struct Read {
    pub(crate) page: DeltaPage,
    /// Groups in scope, with their names.
    pub(crate) groups: Vec<(Uuid, String)>,
    /// Those that are no user, group or computer, or not there any more.
    pub(crate) others: Vec<Uuid>,
}

impl Objects {
    pub(crate) fn new(shared: Arc<Shared>, cx: &Context, controller: Controller) -> Self {
        let (kinds, members_readable, primary_groups) = (None, None, HashMap::new());
        Self { shared, cx: cx.clone(), controller, kinds, members_readable, primary_groups }
    }

    pub(crate) fn controller(&self) -> &Controller {
        &self.controller
    }

    fn pin(&self) -> Option<Uuid> {
        Some(self.controller.position.invocation)
    }

    fn search(&self, base: impl Into<String>, filter: Filter, attributes: &[&str]) -> SearchRequest {
        SearchRequest::new(base, filter)
            .attributes(attributes.iter().copied())
            .control(members::extended())
            .control(Control::domain_scope().optional())
    }

    async fn all(&self, request: &SearchRequest) -> Result<Vec<Entry>> {
        self.shared.connection.all_of(&self.cx, "read changed objects", self.pin(), request).await
    }

    /// Names the groups that hold any of these objects.
    pub(crate) async fn holding(&self, guids: &[Uuid]) -> Result<HashSet<Uuid>> {
        let mut holding = HashSet::new();
        for chunk in guids.chunks(AT_ONCE) {
            let request = self.search(&self.controller.domain, any_of(chunk)?, &["memberOf"]);
            for entry in self.all(&request).await? {
                holding.extend(members::groups_of(&entry)?);
            }
        }
        Ok(holding)
    }

    /// Reads objects whole.
    pub(crate) async fn read(&mut self, guids: &[Uuid]) -> Result<Read> {
        let moment = Moment { now: self.cx.gate().clock().now_unix_millis(), lockout: self.controller.lockout };
        let wanted = any_of(guids)?;
        let mut read = Read::default();
        let mut met = HashSet::new();
        for class in Class::ALL {
            let attributes = class.attributes(Detail::Full);
            let filter = Filter::and([wanted.clone(), class.own_filter(&self.shared.config)?]);
            let entries = self.all(&self.search(&self.controller.domain, filter, &attributes)).await?;
            let scope = self.scope(class, &wanted, &entries).await?;
            for entry in &entries {
                let Ok((guid, name)) = identity(entry) else { continue };
                met.insert(guid);
                let key = || ObjectKey { kind: class.kind(), id: SourceId::Guid(guid) };
                match scope.of(guid, &name.dn) {
                    Place::Inside => {}
                    Place::Outside => {
                        read.page.out_of_scope.push(key());
                        continue;
                    }
                    Place::Unknown => {
                        let reason = "it exists, and the configured filter neither selects nor refuses it; let the account read \
                                      the attributes of the filter";
                        let (kind, id, reason) = (class.kind(), Some(SourceId::Guid(guid)), reason.to_owned());
                        read.page.quarantined.push(Quarantined { kind, id, reason });
                        continue;
                    }
                }
                match class.read(entry, Detail::Full, &self.shared.config, &self.controller, &moment) {
                    Listed::Excluded(_) => read.page.out_of_scope.push(key()),
                    Listed::Quarantined(record) => read.page.quarantined.push(record),
                    Listed::Object(Found { guid, mut patch, primary, dn }) => {
                        if let Some(sid) = primary {
                            let group = self.primary_group(sid).await?;
                            patch.primary_group = group.map(|group| Some(SourceId::Guid(group)));
                        }
                        read.page.patches.push(patch);
                        if class == Class::Groups {
                            read.groups.push((guid, dn));
                        }
                    }
                }
            }
        }
        read.others.extend(guids.iter().filter(|guid| !met.contains(guid)));
        Ok(read)
    }

    /// Asks which of them a configured filter selects and which it refuses, each by a search of its own: not being in one
    /// answer is no proof of belonging to the other. Without a filter the place alone decides.
    async fn scope(&self, class: Class, wanted: &Filter, entries: &[Entry]) -> Result<Scopes> {
        let base = self.shared.base_dn(&self.controller);
        let Some(configured) = class.configured(&self.shared.config).filter(|_| !entries.is_empty()) else {
            return Ok(Scopes { base, filtered: None });
        };
        let class = class.own_filter(&self.shared.config)?;
        let ask = async |filter: Filter| -> Result<HashSet<Uuid>> {
            let filter = Filter::and([wanted.clone(), class.clone(), filter]);
            let request = self.search(&self.controller.domain, filter, &["objectGUID"]);
            let entries = self.all(&request).await.map_err(base_gone)?;
            Ok(entries.iter().filter_map(|entry| identity(entry).ok()).map(|(guid, _)| guid).collect())
        };
        let filtered = Some((ask(configured.clone()).await?, ask(configured.negate()).await?));
        Ok(Scopes { base, filtered })
    }

    /// Lists the ids of what lies below a container, by class.
    pub(crate) async fn below(&self, container: Uuid) -> Result<Vec<(Class, Uuid)>> {
        let mut found = Vec::new();
        for class in Class::ALL {
            let filter = class.own_filter(&self.shared.config)?;
            let request = self
                .search(guid::as_dn(&container), filter, &["objectGUID"])
                .page_size(self.shared.config.page_size);
            let take = |entry: Entry| found.extend(identity(&entry).ok().map(|(guid, _)| (class, guid)));
            let listed = self.shared.connection.each_of(&self.cx, "list what was moved", self.pin(), &request, take);
            match listed.await {
                Err(error) if *error.kind() == tenantry::ErrorKind::NotFound => break,
                listed => listed?,
            }
        }
        Ok(found)
    }

    /// Finds out what deleted objects were. What the account cannot read any more is told without knowing its kind.
    pub(crate) async fn tombstones(&self, gone: &BTreeMap<Uuid, TombstoneKind>) -> Result<(Vec<Tombstone>, Vec<Uuid>)> {
        let guids: Vec<Uuid> = gone.keys().copied().collect();
        let attributes = ["objectClass", "isDeleted", "isRecycled", "objectCategory"];
        let request = self
            .search(&self.controller.domain, any_of(&guids)?, &attributes)
            .control(self.controller.show_deleted());
        let mut read = HashMap::new();
        for entry in self.all(&request).await? {
            if let Ok((guid, _)) = identity(&entry) {
                read.insert(guid, entry);
            }
        }
        let (mut tombstones, mut back) = (Vec::new(), Vec::new());
        for (guid, told) in gone {
            let (object, kind) = match read.get(guid) {
                // Brought back since.
                Some(entry) if entry.flag("isDeleted")? != Some(true) => {
                    back.push(*guid);
                    continue;
                }
                Some(entry) => match kind_of(entry)? {
                    Some(object) => (object, tombstone(entry)),
                    None => continue,
                },
                None => (ObjectKind::User, *told),
            };
            tombstones.push(Tombstone { object: ObjectKey { kind: object, id: SourceId::Guid(*guid) }, kind });
        }
        Ok((tombstones, back))
    }

    /// Reads all members of a group, and says so, or says that it is not all.
    pub(crate) async fn members(&mut self, group: Uuid, dn: &str) -> Result<Vec<DeltaPage>> {
        let scope = Scope::Members(SourceId::Guid(group), Via::Explicit);
        let kinds = self.kinds().await?;
        let reading = members::read_all(&self.shared.connection, &self.cx, self.pin(), group, &kinds).await?;
        let (list, incomplete) = match reading {
            Reading::Whole(list) if list.is_empty() => (list, self.why_not_empty(group, dn).await?),
            Reading::Whole(list) => (list, None),
            Reading::Partial(list, reason) => (list, Some(reason)),
            // Its tombstone comes in the next delta.
            Reading::Vanished => return Ok(Vec::new()),
        };
        let mut pages: Vec<DeltaPage> = list
            .chunks(MEMBERS_ON_A_PAGE)
            .map(|chunk| DeltaPage { edges_added: vec![members::edges(group, chunk)], ..DeltaPage::default() })
            .collect();
        let mut last = pages.pop().unwrap_or_default();
        match incomplete {
            None => last.closed.push(scope),
            Some(reason) => last.unreadable.push(Unreadable { scope, reason }),
        }
        pages.push(last);
        Ok(pages)
    }

    /// An empty list may be one that cannot be read.
    async fn why_not_empty(&mut self, group: Uuid, dn: &str) -> Result<Option<String>> {
        let readable = match self.members_readable {
            Some(readable) => readable,
            None => probe::members(&self.shared.connection, &self.cx, &self.controller).await?,
        };
        self.members_readable = Some(readable);
        if !readable {
            return Ok(Some("the account may not read members of groups; let it read member".to_owned()));
        }
        let asked = [(group, dn.to_owned())];
        let named = members::named_by_members(&self.shared.connection, &self.cx, &self.controller, &asked).await?;
        let reason = "the list is empty although somebody names the group as his; let the account read member";
        Ok((!named.is_empty()).then(|| reason.to_owned()))
    }

    /// Tells what the members that came or went are, as a listing would.
    pub(crate) async fn told_apart(&mut self, members: Vec<Known>) -> Result<Vec<Known>> {
        let kinds = self.kinds().await?;
        Ok(members.into_iter().map(|(guid, kind)| (guid, kinds.contact(guid).unwrap_or(kind))).collect())
    }

    async fn kinds(&mut self) -> Result<Arc<Kinds>> {
        if let Some(kinds) = &self.kinds {
            return Ok(Arc::clone(kinds));
        }
        let kinds = Arc::new(self.shared.kinds(&self.cx, &self.controller).await?);
        self.kinds = Some(Arc::clone(&kinds));
        Ok(kinds)
    }

    async fn primary_group(&mut self, sid: Sid) -> Result<Option<Uuid>> {
        if let Some(known) = self.primary_groups.get(&sid) {
            return Ok(*known);
        }
        let group = self.shared.group_by_sid(&self.cx, &self.controller, &sid).await?;
        self.primary_groups.insert(sid, group);
        Ok(group)
    }
}

/// Where an object stands towards base and filter.
enum Place {
    Inside,
    Outside,
    Unknown,
}

struct Scopes {
    base: Dn,
    /// What the filter selects, and what it refuses.
    filtered: Option<(HashSet<Uuid>, HashSet<Uuid>)>,
}

impl Scopes {
    fn of(&self, guid: Uuid, dn: &str) -> Place {
        // A name that cannot be read is set aside with its reason by the reading of the object.
        if Dn::parse(dn).is_ok_and(|dn| !dn.is_under(&self.base)) {
            return Place::Outside;
        }
        match &self.filtered {
            None => Place::Inside,
            Some((selected, _)) if selected.contains(&guid) => Place::Inside,
            Some((_, refused)) if refused.contains(&guid) => Place::Outside,
            Some(_) => Place::Unknown,
        }
    }
}

/// Tells the kind by the class, which a tombstone keeps; its category is gone. Nothing if it is none of ours.
fn kind_of(entry: &Entry) -> Result<Option<ObjectKind>> {
    let classes = entry.texts("objectClass")?;
    let is = |name: &str| classes.iter().any(|class| class.eq_ignore_ascii_case(name));
    Ok(if is("group") {
        Some(ObjectKind::Group)
    } else if is("computer") {
        Some(ObjectKind::Computer)
    } else if is("user") || is("contact") {
        Some(ObjectKind::User)
    } else {
        None
    })
}
