//! A full listing: users, groups, their members, devices. It must not know what an attribute means.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use async_trait::async_trait;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt as _};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use tenantry::endpoint::{Checkpoint, SnapshotPage, SnapshotPager, SnapshotStep};
use tenantry::model::{ObjectKey, ObjectKind, Patch, Quarantined, Scope, SourceId, Unreadable, Value, Via};
use tenantry::{Context, Error, ErrorKind, Result};
use url::Url;

use crate::client::Api;
use crate::config::Devices;
use crate::cursor::{Position, Since, Stage};
use crate::error::{repeated, too_long, unusable_checkpoint};
use crate::map::{self, Units};
use crate::members::{EDGES, EMPTY_PAGES, Read, Walk};
use crate::operation::Operation;
use crate::owners::{Owners, hash, short_hash};
use crate::wire::{
    self, CHROMEOS_FIELDS, ChromeOs, GROUP_FIELDS, MOBILE_FIELDS, Mobile, OrgUnit, Page, USER_FIELDS, mask, salvaged_id,
};

/// A listing behind which its token is worthless.
const HOUR: i64 = 3_600_000;
/// A token near that end is not gone on with.
const STALE: i64 = HOUR - 300_000;
/// Groups whose members are read between two checkpoints.
const WINDOW: usize = 256;

/// Whether attributes and members come too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detail {
    Full,
    Ids,
}

type Reading = BoxFuture<'static, Result<Read>>;

/// A listing under way.
pub(crate) struct Snapshot {
    api: Arc<Api>,
    cx: Context,
    detail: Detail,
    position: Position,
    units: Units,
    owners: Owners,
    /// Tokens that were used, so that a circle is noticed.
    tokens: HashSet<u64>,
    empty: u32,
    /// Who was on the page before, by hash: where the other half ends, and whether the page repeats.
    last: Vec<u64>,
    /// All groups, to be sorted; taken when their members are read.
    groups: Vec<Box<str>>,
    waiting: VecDeque<Box<str>>,
    window_end: Option<Box<str>>,
    readings: FuturesUnordered<Reading>,
    known: Arc<BTreeSet<String>>,
    /// A step failed or was dropped.
    broken: bool,
}

impl Snapshot {
    pub(crate) async fn begin(
        api: Arc<Api>,
        cx: &Context,
        detail: Detail,
        customer: String,
        since: Option<Since>,
        from: Option<&Checkpoint>,
    ) -> Result<Self> {
        let now = cx.gate().clock().now_unix_millis();
        let position = match from {
            None => Position {
                customer,
                stage: Stage::Users,
                token: None,
                begun: now,
                group: None,
                frontier: None,
                domains: BTreeSet::new(),
                short: false,
                since,
            },
            Some(checkpoint) => {
                let position = Position::read(checkpoint)?;
                let stale = position.token.is_some() && now - position.begun > STALE;
                if stale || position.customer != customer {
                    return Err(unusable_checkpoint());
                }
                position
            }
        };
        let units = match detail {
            Detail::Full => units(&api, cx).await?,
            Detail::Ids => None,
        };
        let mut snapshot = Self {
            api,
            cx: cx.clone(),
            detail,
            position,
            units,
            owners: Owners::default(),
            tokens: HashSet::new(),
            empty: 0,
            last: Vec::new(),
            groups: Vec::new(),
            waiting: VecDeque::new(),
            window_end: None,
            readings: FuturesUnordered::new(),
            known: Arc::default(),
            broken: false,
        };
        // Groups that came before the checkpoint have members that did not.
        let within_groups = snapshot.position.stage == Stage::Groups && snapshot.position.token.is_some();
        if within_groups || snapshot.position.stage == Stage::Members {
            snapshot.recall_groups().await?;
        }
        if snapshot.position.stage == Stage::Members {
            snapshot.enter_members();
        }
        Ok(snapshot)
    }

    /// Lists the ids of groups again, for a listing that goes on among their members.
    async fn recall_groups(&mut self) -> Result<()> {
        let url = listing_url(&self.api, Stage::Groups, false, Detail::Ids);
        let (mut token, mut seen) = (None::<String>, HashSet::new());
        loop {
            let page = self.api.page(&self.cx, Operation::ListGroups, &url, token.as_deref()).await?;
            let ids: Vec<_> =
                page.items.iter().filter_map(|item| salvaged_id(item)).map(String::into_boxed_str).collect();
            if !ids.is_empty() && self.groups.ends_with(&ids) {
                return Err(repeated());
            }
            self.groups.extend(ids);
            match page.next() {
                None => break,
                Some(next) if !seen.insert(hash(next)) => return Err(repeated()),
                Some(next) => token = Some(next.to_owned()),
            }
        }
        Ok(())
    }

    fn now(&self) -> i64 {
        self.cx.gate().clock().now_unix_millis()
    }

    async fn list(&mut self) -> Result<SnapshotPage> {
        let stage = self.position.stage;
        let operation = match stage {
            Stage::Users => Operation::ListUsers,
            Stage::ChromeOs => Operation::ListChromeOs,
            Stage::Mobile => Operation::ListMobile,
            _ => Operation::ListGroups,
        };
        let url = listing_url(&self.api, stage, self.position.frontier.is_some(), self.detail);
        let read = self.api.page(&self.cx, operation, &url, self.position.token.as_deref()).await;
        let mut page = SnapshotPage::default();
        let read = match read {
            Ok(read) => read,
            Err(error) => {
                self.unreadable(&mut page, error)?;
                return Ok(page);
            }
        };
        self.empty = if read.items.is_empty() { self.empty + 1 } else { 0 };
        if self.empty > EMPTY_PAGES {
            return Err(repeated());
        }
        let met = self.take(&read, &mut page).await?;
        let taken = page.patches.iter().map(|patch| &patch.object.id);
        let set_aside = page.quarantined.iter().filter_map(|record| record.id.as_ref());
        let hashes: Vec<_> = taken.chain(set_aside).map(id_hash).collect();
        if !hashes.is_empty() && hashes == self.last {
            return Err(repeated());
        }
        self.last = hashes;
        match read.next().filter(|_| !met) {
            Some(next) => {
                if !self.tokens.insert(hash(next)) {
                    return Err(repeated());
                }
                self.position.token = Some(next.to_owned());
                self.turn_around()?;
            }
            None => self.close(&mut page),
        }
        page.checkpoint = self.checkpoint();
        Ok(page)
    }

    /// Lets a listing of users that would not end within its hour go on from the other end.
    fn turn_around(&mut self) -> Result<()> {
        let lasted = self.now() - self.position.begun;
        let limit = i64::try_from(self.api.config.half_after.as_millis()).unwrap_or(HOUR);
        if self.position.stage != Stage::Users || lasted < limit || self.last.is_empty() {
            return Ok(());
        }
        if self.position.frontier.is_some() {
            return if lasted < HOUR { Ok(()) } else { Err(too_long()) };
        }
        self.position.frontier = Some(std::mem::take(&mut self.last));
        self.position.token = None;
        self.position.begun = self.now();
        self.tokens.clear();
        Ok(())
    }

    /// Turns a page's items into patches; tells whether the other half of the listing was met.
    async fn take(&mut self, read: &Page, page: &mut SnapshotPage) -> Result<bool> {
        let stage = self.position.stage;
        for item in &read.items {
            if let (Some(frontier), Some(id)) = (&self.position.frontier, salvaged_id(item))
                && frontier.contains(&hash(&id))
            {
                return Ok(true);
            }
            let kind = match stage {
                Stage::Users => ObjectKind::User,
                Stage::ChromeOs | Stage::Mobile => ObjectKind::Computer,
                _ => ObjectKind::Group,
            };
            if self.detail == Detail::Ids {
                match salvaged_id(item) {
                    Some(id) => page.patches.push(Patch::new(kind, source_id(kind, &id))),
                    None => page.quarantined.push(senseless(kind, item)),
                }
                continue;
            }
            let patch = match stage {
                Stage::Users => self.take_user(item),
                Stage::ChromeOs => match parse::<ChromeOs>(item) {
                    Some(device) => {
                        let owner = self.owner(device.owner()).await?;
                        Some(map::chromeos(&device, owner, &self.units))
                    }
                    None => None,
                },
                Stage::Mobile => match parse::<Mobile>(item) {
                    Some(device) => {
                        let owner = self.owner(device.owner()).await?;
                        Some(map::mobile(&device, owner))
                    }
                    None => None,
                },
                _ => self.take_group(item),
            };
            if stage == Stage::Groups {
                let id = patch.as_ref().map(|patch| patch.object.id.to_string()).or_else(|| salvaged_id(item));
                self.groups.extend(id.map(String::into_boxed_str));
            }
            match patch {
                Some(patch) => page.patches.push(patch),
                None => page.quarantined.push(senseless(kind, item)),
            }
        }
        Ok(false)
    }

    /// Learns the account's domains from the addresses in it. There may be some in which only groups are.
    fn learn_domain(&mut self, address: &str) {
        if let Some((_, domain)) = address.rsplit_once('@')
            && !self.position.domains.contains(domain)
        {
            self.position.domains.insert(domain.to_ascii_lowercase());
        }
    }

    fn take_group(&mut self, item: &RawValue) -> Option<Patch> {
        let group = wire::group(item)?;
        self.learn_domain(&group.email);
        Some(map::group(&group))
    }

    fn take_user(&mut self, item: &RawValue) -> Option<Patch> {
        let user = wire::user(item)?;
        let addresses = std::iter::once(&user.primary_email).chain(&user.aliases).chain(&user.non_editable_aliases);
        addresses.for_each(|address| self.learn_domain(address));
        let has_devices = self.api.config.chromeos == Devices::Imported || self.api.config.mobile == Devices::Imported;
        if has_devices {
            self.owners.add(&user.primary_email, &user.id);
            user.aliases.iter().for_each(|alias| self.owners.add(alias, &user.id));
        }
        Some(map::user(&user, &self.units))
    }

    /// Finds who owns a device: among those listed, else by asking; nobody, where the address is nobody's.
    async fn owner(&mut self, address: Option<&str>) -> Result<Option<Value>> {
        let Some(address) = address else { return Ok(Some(Value::Empty)) };
        if let Some(id) = self.owners.find(address) {
            return Ok(Some(Value::from(id)));
        }
        let owner = crate::lookup::owner(&self.api, &self.cx, address).await?;
        if let Some(Value::Text(id)) = &owner {
            self.owners.add_late(address, id);
        }
        Ok(owner)
    }

    /// A kind that may not be read is said to be so; without users nothing makes sense.
    fn unreadable(&mut self, page: &mut SnapshotPage, error: Error) -> Result<()> {
        let denied = matches!(error.kind(), ErrorKind::PermissionDenied { .. });
        // Within a listing that has begun, a lost right is a failure: what was listed is not the whole.
        if !denied || self.position.stage == Stage::Users || self.position.token.is_some() {
            return Err(error);
        }
        let scope = match self.position.stage {
            Stage::Groups => Scope::Groups,
            _ => Scope::Computers,
        };
        if scope == Scope::Groups || !self.position.short {
            let reason = format!("{}: {}", error.operation(), error.message());
            page.unreadable.push(Unreadable { scope: scope.clone(), reason });
        }
        self.position.short |= scope == Scope::Computers;
        self.advance(if scope == Scope::Groups { Stage::ChromeOs } else { following(self.position.stage) });
        page.checkpoint = self.checkpoint();
        Ok(())
    }

    /// Ends a stage with its last page.
    fn close(&mut self, page: &mut SnapshotPage) {
        let stage = self.position.stage;
        match stage {
            Stage::Users => {
                page.closed.push(Scope::Users);
                self.owners.seal();
            }
            Stage::Groups => page.closed.push(Scope::Groups),
            Stage::ChromeOs | Stage::Mobile => {
                let config = &self.api.config;
                let last = stage == Stage::Mobile || config.mobile == Devices::Ignored;
                if last && !self.position.short {
                    page.closed.push(Scope::Computers);
                }
            }
            Stage::Members | Stage::Done => {}
        }
        self.advance(following(stage));
    }

    fn advance(&mut self, mut next: Stage) {
        let config = &self.api.config;
        if next == Stage::Members && self.detail == Detail::Ids {
            next = Stage::ChromeOs;
        }
        if next == Stage::ChromeOs && config.chromeos == Devices::Ignored {
            next = Stage::Mobile;
        }
        if next == Stage::Mobile && config.mobile == Devices::Ignored {
            next = Stage::Done;
        }
        self.position.stage = next;
        self.position.token = None;
        self.position.frontier = None;
        self.position.begun = self.now();
        self.tokens.clear();
        self.last.clear();
        self.empty = 0;
        if next == Stage::Members {
            self.enter_members();
        }
    }

    /// Puts the groups in the order in which their members are read, so that a checkpoint is one id.
    fn enter_members(&mut self) {
        let mut groups = std::mem::take(&mut self.groups);
        groups.sort_unstable();
        groups.dedup();
        if let Some(since) = &mut self.position.since {
            let mut known: Vec<u32> = groups.iter().map(|group| short_hash(group)).collect();
            known.sort_unstable();
            known.dedup();
            since.known = Some(known);
        }
        if let Some(last) = &self.position.group {
            groups.retain(|group| **group > **last);
        }
        self.waiting = groups.into();
        self.known = Arc::new(self.position.domains.clone());
    }

    fn checkpoint(&self) -> Option<Checkpoint> {
        (self.detail == Detail::Full).then(|| self.position.write())
    }

    fn reading(&self, walk: Walk) -> Reading {
        Box::pin(walk.next(Arc::clone(&self.api), self.cx.clone(), Arc::clone(&self.known)))
    }

    /// Reads members of many groups at a time until a page is full or the window is through.
    async fn read_members(&mut self) -> Result<SnapshotPage> {
        let mut page = SnapshotPage::default();
        if self.readings.is_empty() {
            for _ in 0..WINDOW {
                let Some(group) = self.waiting.pop_front() else { break };
                self.readings.push(self.reading(Walk::new(group.to_string())));
                self.window_end = Some(group);
            }
        }
        let mut edges = 0;
        while edges < EDGES {
            let Some(read) = self.readings.next().await else { break };
            let (some, closed) = match read? {
                Read::Page(some, walk) => {
                    self.readings.push(self.reading(walk));
                    (some, false)
                }
                Read::End(some) => (some, true),
                Read::Gone(group) => {
                    page.withdrawn.push(ObjectKey { kind: ObjectKind::Group, id: SourceId::Id(group.into()) });
                    continue;
                }
                Read::Denied(group, reason) => {
                    let scope = Scope::Members(SourceId::Id(group.into()), Via::Explicit);
                    page.unreadable.push(Unreadable { scope, reason });
                    continue;
                }
            };
            if closed {
                page.closed.push(Scope::Members(some.group.clone(), some.via));
            }
            edges += some.members.len();
            if !some.members.is_empty() {
                page.edges.push(some);
            }
        }
        if self.readings.is_empty() {
            self.position.group = self.window_end.take().map(String::from).or_else(|| self.position.group.take());
            if self.waiting.is_empty() {
                self.position.group = None;
                self.advance(Stage::ChromeOs);
            }
            page.checkpoint = self.checkpoint();
        }
        Ok(page)
    }
}

/// Makes the address of a stage's listing, without a page.
pub(crate) fn listing_url(api: &Api, stage: Stage, backwards: bool, detail: Detail) -> Url {
    let config = &api.config;
    let fields = |items: &str, full: &str, ids: &str| mask(items, if detail == Detail::Full { full } else { ids });
    let size = |most: u32| config.page_size.min(most).to_string();
    let domain = config.domain.as_deref().unwrap_or_default();
    // With a domain the account must not be named, or the other way round.
    let customer = if domain.is_empty() { config.customer.as_str() } else { "" };
    let order = if backwards { "DESCENDING" } else { "ASCENDING" };
    match stage {
        Stage::Users => {
            let fields = fields("users", USER_FIELDS, "id");
            let size = size(500);
            let query = [
                ("customer", customer),
                ("domain", domain),
                ("maxResults", &size),
                ("orderBy", "email"),
                ("sortOrder", order),
                ("fields", &fields),
            ];
            api.url(&["users"], &query)
        }
        Stage::Groups | Stage::Members | Stage::Done => {
            let fields = fields("groups", GROUP_FIELDS, "id");
            let size = size(200);
            let query = [("customer", customer), ("domain", domain), ("maxResults", &size), ("fields", &fields)];
            api.url(&["groups"], &query)
        }
        Stage::ChromeOs => {
            let fields = fields("chromeosdevices", CHROMEOS_FIELDS, "deviceId");
            let size = size(300);
            let query = [("maxResults", size.as_str()), ("fields", &fields), ("projection", "BASIC")];
            api.url(&["customer", &config.customer, "devices", "chromeos"], &query)
        }
        Stage::Mobile => {
            let fields = fields("mobiledevices", MOBILE_FIELDS, "resourceId");
            let size = size(100);
            let query = [("maxResults", size.as_str()), ("fields", &fields), ("projection", "BASIC")];
            api.url(&["customer", &config.customer, "devices", "mobile"], &query)
        }
    }
}

fn following(stage: Stage) -> Stage {
    match stage {
        Stage::Users => Stage::Groups,
        Stage::Groups => Stage::Members,
        Stage::Members => Stage::ChromeOs,
        Stage::ChromeOs => Stage::Mobile,
        Stage::Mobile | Stage::Done => Stage::Done,
    }
}

fn parse<T: DeserializeOwned>(item: &RawValue) -> Option<T> {
    serde_json::from_str(item.get()).ok()
}

/// Ids of devices may be spelled as GUIDs; those of users and groups are none.
pub(crate) fn source_id(kind: ObjectKind, id: &str) -> SourceId {
    match kind {
        ObjectKind::Computer => SourceId::parse(id),
        _ => SourceId::Id(id.into()),
    }
}

/// Hashes an id as it is spelled.
fn id_hash(id: &SourceId) -> u64 {
    match id {
        SourceId::Id(text) => hash(&**text),
        other => hash(&other.to_string()),
    }
}

/// Sets a record aside, with its id where that can be read.
pub(crate) fn senseless(kind: ObjectKind, item: &RawValue) -> Quarantined {
    let id = salvaged_id(item).map(|id| source_id(kind, &id));
    Quarantined { kind, id, reason: "a field has not the form that the API documents, or the id is missing".to_owned() }
}

/// Reads the ids of organisational units; nothing where they may not be read.
pub(crate) async fn units(api: &Api, cx: &Context) -> Result<Units> {
    let fields = "organizationUnits(orgUnitId,orgUnitPath)";
    // By default only the children of the root come.
    let url = api.url(&["customer", &api.config.customer, "orgunits"], &[("type", "all"), ("fields", fields)]);
    match api.get::<Page>(cx, Operation::ListOrgUnits, &url).await {
        Ok(page) => {
            let units = page.items.iter().filter_map(|item| parse::<OrgUnit>(item));
            Ok(Some(units.map(|unit| (unit.org_unit_path, unit.org_unit_id)).collect::<HashMap<_, _>>()))
        }
        Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

#[async_trait]
impl SnapshotPager for Snapshot {
    async fn next(&mut self) -> Result<SnapshotStep> {
        self.cx.check_cancelled()?;
        if std::mem::replace(&mut self.broken, true) {
            return Err(Error::new(ErrorKind::Unavailable, "the listing broke off; go on behind its last checkpoint"));
        }
        let page = match self.position.stage {
            Stage::Done => {
                let cursor = self
                    .position
                    .since
                    .as_ref()
                    .filter(|_| self.detail == Detail::Full)
                    .map(|since| Since { domains: self.position.domains.clone(), ..since.clone() }.write());
                self.broken = false;
                return Ok(SnapshotStep::End { cursor });
            }
            Stage::Members => self.read_members().await?,
            _ => self.list().await?,
        };
        self.broken = false;
        Ok(SnapshotStep::Page(page))
    }
}
