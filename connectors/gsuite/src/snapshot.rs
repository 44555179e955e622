//! A full listing: users, groups and their members, devices, side by side where they do not need each other, so that the
//! quota is what it waits for and not one chain of pages. It must not know what an attribute means.

mod groups;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use serde_json::value::RawValue;
use tenantry::endpoint::{Checkpoint, SnapshotPage, SnapshotPager, SnapshotStep};
use tenantry::model::{ObjectKind, Patch, Quarantined, Scope, SourceId, Unreadable, Value};
use tenantry::{Context, Error, ErrorKind, Result};
use tokio::task::JoinSet;
use tracing::Instrument as _;

use crate::client::Api;
use crate::config::Devices;
use crate::cursor::{Lane, Position, Since, Stage};
use crate::error::{repeated, too_long, unusable_checkpoint};
use crate::ids::Ids;
use crate::listing::{Detail, listing_url, parse, senseless, source_id, units};
use crate::map::{self, Units};
use crate::members::{EDGES, EMPTY_PAGES, Members, Read, Walk};
use crate::operation::Operation;
use crate::owners::{Owners, hash};
use crate::wire::{self, ChromeOs, Mobile, Page, salvaged_id};

/// A listing behind which its token is worthless.
const HOUR: i64 = 3_600_000;
/// A token near that end is not gone on with.
const STALE: i64 = HOUR - 300_000;
/// Pages of members that may wait for the account's domains; with more of them no other group is begun.
const PARKED: usize = 256;
/// Owners of devices that are asked for at a time.
const OWNERS_AT_A_TIME: usize = 4;

/// What is listed page by page.
const LISTED: [Stage; 4] = [Stage::Users, Stage::Groups, Stage::ChromeOs, Stage::Mobile];

/// What came of what was asked.
enum Answer {
    Page(Stage, Result<Page>),
    /// Who the owners of a page's devices are.
    Owners(Part, Result<Vec<Option<Value>>>),
    Members(Result<Read>),
}

/// A page of one listing, read but not given away.
struct Part {
    stage: Stage,
    patches: Vec<Patch>,
    quarantined: Vec<Quarantined>,
    /// The next page's token.
    next: Option<String>,
    /// Devices on it whose owners nobody listed, by address.
    strangers: BTreeMap<String, Vec<usize>>,
}

/// What is known of a listing under way in this process only.
#[derive(Debug, Default)]
struct Chain {
    /// A page was asked for and is not given away.
    asked: bool,
    /// Tokens that were used, so that a circle is noticed.
    tokens: HashSet<u64>,
    empty: u32,
    /// Who was on the page before, by hash: where the other half ends, and whether the page repeats.
    last: Vec<u64>,
}

/// A listing under way.
pub(crate) struct Snapshot {
    api: Arc<Api>,
    cx: Context,
    detail: Detail,
    position: Position,
    units: Units,
    owners: Owners,
    chains: BTreeMap<Stage, Chain>,
    /// All groups, to be sorted; taken when their members are read.
    groups: Ids,
    waiting: Ids,
    /// Groups of which some members came before the checkpoint.
    resumed: Vec<Walk>,
    /// Tasks, so that a request goes on while a page is given away: it holds one of the gate's places.
    asked: JoinSet<Answer>,
    /// How many groups' members are being asked for.
    reading: usize,
    /// Members whose domains were not known when they came. Their group is not gone on with.
    parked: Vec<(Members, Option<Walk>)>,
    /// The domains that are known, for those who read members.
    known: Arc<BTreeSet<String>>,
    /// What is given away next.
    page: SnapshotPage,
    edges: usize,
    /// Why nothing more is asked for. It is told behind what was under way then: what has come is not asked for again.
    failed: Option<Error>,
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
                ended: left_out(&api, detail),
                lanes: BTreeMap::new(),
                group: None,
                open: BTreeMap::new(),
                domains: BTreeSet::new(),
                short: false,
                since,
            },
            Some(checkpoint) => {
                let mut position = Position::read(checkpoint)?;
                let stale = |lane: &Lane| lane.token.is_some() && now - lane.begun > STALE;
                if position.lanes.values().any(stale) || position.customer != customer {
                    return Err(unusable_checkpoint());
                }
                position.lanes.values_mut().filter(|lane| lane.token.is_none()).for_each(|lane| lane.begun = now);
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
            chains: BTreeMap::new(),
            groups: Ids::default(),
            waiting: Ids::default(),
            resumed: Vec::new(),
            asked: JoinSet::new(),
            reading: 0,
            parked: Vec::new(),
            known: Arc::default(),
            page: SnapshotPage::default(),
            edges: 0,
            failed: None,
            broken: false,
        };
        if !snapshot.has_ended(Stage::Members) {
            // Groups that came before the checkpoint have members that did not.
            let within_groups = snapshot.position.lanes.get(&Stage::Groups).is_some_and(|lane| lane.token.is_some());
            if within_groups || snapshot.has_ended(Stage::Groups) {
                snapshot.recall_groups().await?;
            }
            if snapshot.has_ended(Stage::Groups) {
                snapshot.enter_members();
            }
        }
        Ok(snapshot)
    }

    fn now(&self) -> i64 {
        self.cx.gate().clock().now_unix_millis()
    }

    fn has_ended(&self, stage: Stage) -> bool {
        self.position.ended.contains(&stage)
    }

    /// Asks for all that can be asked for now.
    fn ask(&mut self) {
        for stage in LISTED {
            let is_device = matches!(stage, Stage::ChromeOs | Stage::Mobile);
            // Devices name their owners by address.
            let waits = is_device && self.detail == Detail::Full && !self.has_ended(Stage::Users);
            if !waits && !self.has_ended(stage) && !self.chains.entry(stage).or_default().asked {
                self.ask_page(stage);
            }
        }
        if self.known.len() != self.position.domains.len() {
            self.known = Arc::new(self.position.domains.clone());
        }
        // The gate serves in order: with more groups than this in its queue, each page of a listing waits behind them.
        while self.reading < self.api.config.quota.concurrent.max(1)
            && self.parked.len() < PARKED
            && let Some(walk) = self.resumed.pop().or_else(|| self.begin_group())
        {
            self.ask_members(walk);
        }
        if self.has_ended(Stage::Groups) && self.waiting.is_empty() && self.position.open.is_empty() {
            self.position.ended.insert(Stage::Members);
        }
    }

    fn ask_page(&mut self, stage: Stage) {
        let now = self.now();
        let lane = self.position.lanes.entry(stage).or_insert_with(|| Lane { begun: now, ..Lane::default() });
        let (url, token) = (listing_url(&self.api, stage, lane.frontier.is_some(), self.detail), lane.token.clone());
        self.chains.entry(stage).or_default().asked = true;
        let operation = match stage {
            Stage::Users => Operation::ListUsers,
            Stage::ChromeOs => Operation::ListChromeOs,
            Stage::Mobile => Operation::ListMobile,
            Stage::Groups | Stage::Members => Operation::ListGroups,
        };
        let (api, cx) = (Arc::clone(&self.api), self.cx.clone());
        let page = async move { Answer::Page(stage, api.page(&cx, operation, &url, token.as_deref()).await) };
        self.asked.spawn(page.in_current_span());
    }

    /// Asks for owners whom nobody listed.
    fn ask_owners(&mut self, part: Part) {
        let (api, cx) = (Arc::clone(&self.api), self.cx.clone());
        let owners = async move {
            let asked: Vec<_> = part.strangers.keys().map(|address| crate::lookup::owner(&api, &cx, address)).collect();
            let owners = stream::iter(asked).buffered(OWNERS_AT_A_TIME).try_collect().await;
            Answer::Owners(part, owners)
        };
        self.asked.spawn(owners.in_current_span());
    }

    /// Takes answers until there is a page to give away; `false`: there is nothing more.
    async fn fill(&mut self) -> Result<bool> {
        loop {
            if self.failed.is_none() {
                self.ask();
            }
            let Some(answer) = self.asked.join_next().await else {
                return match self.failed.take_if(|_| is_empty(&self.page)) {
                    Some(error) => Err(error),
                    None => Ok(!is_empty(&self.page)),
                };
            };
            let answer = answer.map_err(|_| Error::new(ErrorKind::Unavailable, "a request ended without an answer"))?;
            match self.take_answer(answer) {
                Ok(true) => return Ok(true),
                Ok(false) => {}
                Err(error) => drop(self.failed.get_or_insert(error)),
            }
        }
    }

    /// Takes one answer; tells whether what it brought is given away at once.
    fn take_answer(&mut self, answer: Answer) -> Result<bool> {
        match answer {
            Answer::Page(stage, Err(error)) => self.unreadable(stage, error)?,
            Answer::Page(stage, Ok(page)) => {
                let part = self.read(stage, &page)?;
                if !part.strangers.is_empty() {
                    if self.failed.is_none() {
                        self.ask_owners(part);
                    }
                    return Ok(false);
                }
                self.take(part)?;
            }
            Answer::Owners(part, owners) => {
                let part = self.with_owners(part, owners?);
                self.take(part)?;
            }
            Answer::Members(read) => {
                self.reading -= 1;
                self.take_members(read?);
                return Ok(self.edges >= EDGES);
            }
        }
        Ok(true)
    }

    /// Turns a page's items into patches.
    fn read(&mut self, stage: Stage, read: &Page) -> Result<Part> {
        let chain = self.chains.entry(stage).or_default();
        chain.empty = if read.items.is_empty() { chain.empty + 1 } else { 0 };
        if chain.empty > EMPTY_PAGES {
            return Err(repeated());
        }
        let mut part = Part {
            stage,
            patches: Vec::with_capacity(read.items.len()),
            quarantined: Vec::new(),
            next: read.next().map(str::to_owned),
            strangers: BTreeMap::new(),
        };
        for item in &read.items {
            let frontier = self.position.lanes.get(&stage).and_then(|lane| lane.frontier.as_ref());
            if let (Some(frontier), Some(id)) = (frontier, salvaged_id(item))
                && frontier.contains(&hash(&id))
            {
                // The other half of the listing was met.
                part.next = None;
                break;
            }
            let kind = kind_of(stage);
            let patch = match (self.detail, stage) {
                (Detail::Ids, _) => salvaged_id(item).map(|id| Patch::new(kind, source_id(kind, &id))),
                (_, Stage::Users) => self.read_user(item),
                (_, Stage::ChromeOs) => parse::<ChromeOs>(item).map(|device| {
                    let owner = self.owner(device.owner(), &mut part);
                    map::chromeos(&device, owner, &self.units)
                }),
                (_, Stage::Mobile) => parse::<Mobile>(item).map(|device| {
                    let owner = self.owner(device.owner(), &mut part);
                    map::mobile(&device, owner)
                }),
                (_, Stage::Groups | Stage::Members) => self.read_group(item),
            };
            match patch {
                Some(patch) => part.patches.push(patch),
                None => part.quarantined.push(senseless(kind, item)),
            }
        }
        let taken = part.patches.iter().map(|patch| &patch.object.id);
        let hashes: Vec<_> =
            taken.chain(part.quarantined.iter().filter_map(|record| record.id.as_ref())).map(id_hash).collect();
        let chain = self.chains.entry(stage).or_default();
        if !hashes.is_empty() && hashes == chain.last {
            return Err(repeated());
        }
        chain.last = hashes;
        Ok(part)
    }

    /// Learns the account's domains from the addresses in it. There may be some in which only groups are.
    fn learn_domain(&mut self, address: &str) {
        if let Some((_, domain)) = address.rsplit_once('@')
            && !self.position.domains.contains(domain)
        {
            self.position.domains.insert(domain.to_ascii_lowercase());
        }
    }

    fn read_group(&mut self, item: &RawValue) -> Option<Patch> {
        let group = wire::group(item);
        let id = group.as_ref().map(|group| group.id.clone()).or_else(|| salvaged_id(item));
        if let Some(id) = &id {
            self.groups.push(id);
        }
        let group = group?;
        self.learn_domain(&group.email);
        Some(map::group(&group))
    }

    fn read_user(&mut self, item: &RawValue) -> Option<Patch> {
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

    /// Finds who owns the next device of a part: nobody, somebody listed, or somebody to be asked for.
    fn owner(&self, address: Option<&str>, part: &mut Part) -> Option<Value> {
        let Some(address) = address else { return Some(Value::Empty) };
        let found = self.owners.find(address).map(Value::from);
        if found.is_none() {
            part.strangers.entry(address.to_owned()).or_default().push(part.patches.len());
        }
        found
    }

    /// Notes the owners who were asked for; nobody, where the address is nobody's.
    fn with_owners(&mut self, mut part: Part, owners: Vec<Option<Value>>) -> Part {
        for ((address, devices), owner) in std::mem::take(&mut part.strangers).into_iter().zip(owners) {
            if let Some(Value::Text(id)) = &owner {
                self.owners.add_late(&address, id);
            }
            for device in devices {
                map::set_owner(&mut part.patches[device], owner.clone());
            }
        }
        part
    }

    /// Puts a page of a listing with what is given away.
    fn take(&mut self, part: Part) -> Result<()> {
        let chain = self.chains.entry(part.stage).or_default();
        chain.asked = false;
        if part.next.as_ref().is_some_and(|next| !chain.tokens.insert(hash(&**next))) {
            return Err(repeated());
        }
        self.page.patches.extend(part.patches);
        self.page.quarantined.extend(part.quarantined);
        let Some(next) = part.next else {
            self.close(part.stage);
            return Ok(());
        };
        self.position.lanes.entry(part.stage).or_default().token = Some(next);
        if part.stage == Stage::Users { self.turn_around() } else { Ok(()) }
    }

    /// Lets a listing of users that would not end within its hour go on from the other end.
    fn turn_around(&mut self) -> Result<()> {
        let now = self.now();
        let (Some(lane), Some(chain)) =
            (self.position.lanes.get_mut(&Stage::Users), self.chains.get_mut(&Stage::Users))
        else {
            return Ok(());
        };
        let lasted = now - lane.begun;
        let limit = i64::try_from(self.api.config.half_after.as_millis()).unwrap_or(HOUR);
        if lasted < limit || chain.last.is_empty() {
            return Ok(());
        }
        if lane.frontier.is_some() {
            return if lasted < HOUR { Ok(()) } else { Err(too_long()) };
        }
        *lane = Lane { token: None, begun: now, frontier: Some(std::mem::take(&mut chain.last)) };
        chain.tokens.clear();
        Ok(())
    }

    /// A kind that may not be read is said to be so; without users nothing makes sense.
    fn unreadable(&mut self, stage: Stage, error: Error) -> Result<()> {
        let denied = matches!(error.kind(), ErrorKind::PermissionDenied { .. });
        // Within a listing that has begun, a lost right is a failure: what was listed is not the whole.
        let within = self.position.lanes.get(&stage).is_some_and(|lane| lane.token.is_some());
        if !denied || stage == Stage::Users || within {
            return Err(error);
        }
        let scope = if stage == Stage::Groups { Scope::Groups } else { Scope::Computers };
        if scope == Scope::Groups || !self.position.short {
            let reason = format!("{}: {}", error.operation(), error.message());
            self.page.unreadable.push(Unreadable { scope: scope.clone(), reason });
        }
        self.position.short |= scope == Scope::Computers;
        self.end(stage);
        if stage == Stage::Groups {
            self.end(Stage::Members);
        }
        Ok(())
    }

    fn end(&mut self, stage: Stage) {
        self.position.ended.insert(stage);
        self.position.lanes.remove(&stage);
        self.chains.remove(&stage);
    }

    /// Ends a listing with its last page.
    fn close(&mut self, stage: Stage) {
        self.end(stage);
        match stage {
            Stage::Users => {
                self.page.closed.push(Scope::Users);
                self.owners.seal();
                for (members, walk) in std::mem::take(&mut self.parked) {
                    self.give(members, walk);
                }
            }
            Stage::Groups | Stage::Members => {
                self.page.closed.push(Scope::Groups);
                if !self.has_ended(Stage::Members) {
                    self.enter_members();
                }
            }
            Stage::ChromeOs | Stage::Mobile => {
                let all = self.has_ended(Stage::ChromeOs) && self.has_ended(Stage::Mobile);
                if all && !self.position.short {
                    self.page.closed.push(Scope::Computers);
                }
            }
        }
    }
}

fn is_empty(page: &SnapshotPage) -> bool {
    page.patches.is_empty()
        && page.edges.is_empty()
        && page.closed.is_empty()
        && page.withdrawn.is_empty()
        && page.unreadable.is_empty()
        && page.quarantined.is_empty()
}

/// What is not read at all.
fn left_out(api: &Api, detail: Detail) -> BTreeSet<Stage> {
    let config = &api.config;
    [
        (Stage::Members, detail == Detail::Ids),
        (Stage::ChromeOs, config.chromeos == Devices::Ignored),
        (Stage::Mobile, config.mobile == Devices::Ignored),
    ]
    .into_iter()
    .filter_map(|(stage, is_out)| is_out.then_some(stage))
    .collect()
}

fn kind_of(stage: Stage) -> ObjectKind {
    match stage {
        Stage::Users => ObjectKind::User,
        Stage::ChromeOs | Stage::Mobile => ObjectKind::Computer,
        Stage::Groups | Stage::Members => ObjectKind::Group,
    }
}

/// Hashes an id as it is spelled.
fn id_hash(id: &SourceId) -> u64 {
    match id {
        SourceId::Id(text) => hash(&**text),
        other => hash(&other.to_string()),
    }
}

#[async_trait]
impl SnapshotPager for Snapshot {
    async fn next(&mut self) -> Result<SnapshotStep> {
        self.cx.check_cancelled()?;
        if std::mem::replace(&mut self.broken, true) {
            return Err(Error::new(ErrorKind::Unavailable, "the listing broke off; go on behind its last checkpoint"));
        }
        let step = if self.fill().await? {
            let mut page = std::mem::take(&mut self.page);
            self.edges = 0;
            page.checkpoint = (self.detail == Detail::Full).then(|| self.position.write());
            SnapshotStep::Page(page)
        } else {
            let since = self.position.since.as_ref().filter(|_| self.detail == Detail::Full);
            let cursor = since.map(|since| Since { domains: self.position.domains.clone(), ..since.clone() }.write());
            SnapshotStep::End { cursor }
        };
        self.broken = false;
        Ok(step)
    }
}
