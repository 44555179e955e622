//! Changes by the audit log's hints and by turns: whoever is named, or whose turn it is, is read as it is now. It must not
//! know what is stored.
//!
//! The log proves nothing: who came and went is found by the ids that the engine lists behind every delta, some groups are
//! read whatever it says, and a cursor expires with the age of the last full listing.

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::BoxFuture;
use futures::stream::{self, FuturesUnordered, StreamExt as _, TryStreamExt as _};
use tenantry::endpoint::{DeltaPage, DeltaPager, DeltaStep};
use tenantry::model::{Freshness, ObjectKind, Scope, SourceId, Timestamp, Unreadable, Via};
use tenantry::{Context, Error, ErrorKind, Result};
use url::Url;

use crate::client::Api;
use crate::config::Changes;
use crate::cursor::{Since, Stage};
use crate::endpoint::identity;
use crate::error::repeated;
use crate::hints::{self, HINTS, Hints, OVERLAP};
use crate::listing::{Detail, listing_url, senseless, units};
use crate::lookup::{Named, patch_of};
use crate::map::{self, Units};
use crate::members::{EDGES, EMPTY_PAGES, Read, Walk};
use crate::operation::Operation;
use crate::owners::{hash, short_hash};
use crate::turns::Turns;
use crate::wire::{self, salvaged_id};

/// Objects on a page of changes.
const OBJECTS: usize = 50;
/// Groups whose members are asked for at a time; the gate decides how many of them reach the server.
const AT_A_TIME: usize = 64;

/// Says where deltas go on behind a listing that begins at this instant.
pub(crate) fn from(api: &Api, customer: &str, begun: i64) -> Since {
    Since {
        customer: customer.to_owned(),
        log: begun,
        full: begun,
        rights: rights(api),
        domains: BTreeSet::new(),
        turns: Turns::all_at(begun),
        known: None,
    }
}

/// Says how old each part may be of what was read up to a cursor.
pub(crate) fn freshness(since: &Since) -> Vec<Freshness> {
    let told = (since.log - OVERLAP).max(since.full);
    let turn = since.turns.oldest().max(since.full);
    [
        ("users, groups and devices that came or went, and attributes of groups", since.log),
        ("changes of users and memberships that the audit log tells", told),
        ("memberships that the audit log does not tell", turn),
        ("all else that the audit log does not tell", since.full),
    ]
    .into_iter()
    .map(|(part, as_of)| Freshness { part: part.to_owned(), as_of: Timestamp(as_of) })
    .collect()
}

/// What a cursor was taken for: another choice of what comes in asks for a full listing.
fn rights(api: &Api) -> BTreeSet<String> {
    api.config.scopes().into_iter().map(str::to_owned).collect()
}

/// Changes since a cursor.
pub(crate) struct Delta {
    api: Arc<Api>,
    cx: Context,
    /// Where the next one goes on; `None`: a full listing is needed.
    next: Option<Since>,
    /// Within which time every group's members are read by turns.
    every: Duration,
    groups: Option<Groups>,
    units: Units,
    users: VecDeque<String>,
    /// Groups of the log that no listing showed, by address.
    unseen: VecDeque<String>,
    members: VecDeque<Box<str>>,
    readings: FuturesUnordered<BoxFuture<'static, Result<Read>>>,
    domains: Arc<BTreeSet<String>>,
    /// A step failed or was dropped.
    broken: bool,
}

/// The listing of groups, with which every delta begins.
struct Groups {
    url: Url,
    token: Option<String>,
    tokens: HashSet<u64>,
    empty: u32,
    last: Vec<u64>,
    /// All of them.
    ids: Vec<Box<str>>,
    /// Those to be read whoever's turn it is.
    named: Vec<Box<str>>,
    /// Addresses that the log names.
    hints: BTreeSet<String>,
}

pub(crate) async fn begin(api: &Arc<Api>, cx: &Context, since: Option<Since>) -> Result<Box<dyn DeltaPager>> {
    let mut delta = Delta {
        api: Arc::clone(api),
        cx: cx.clone(),
        next: None,
        every: Duration::MAX,
        groups: None,
        units: None,
        users: VecDeque::new(),
        unseen: VecDeque::new(),
        members: VecDeque::new(),
        readings: FuturesUnordered::new(),
        domains: Arc::default(),
        broken: false,
    };
    let (Some(since), Changes::AuditLog { full, members }) = (since, api.config.changes) else {
        return Ok(Box::new(delta));
    };
    let begun = cx.gate().clock().now_unix_millis();
    let full = i64::try_from(full.as_millis()).unwrap_or(i64::MAX);
    let too_old = begun.saturating_sub(since.full) >= full || since.log > begun + OVERLAP;
    if too_old || since.rights != rights(api) || since.customer != identity(api, cx).await? {
        return Ok(Box::new(delta));
    }
    let Some(Hints { users, groups, .. }) = hints::read(api, cx, since.log).await? else {
        return Ok(Box::new(delta));
    };
    delta.units = if users.is_empty() { None } else { units(api, cx).await? };
    delta.users = users.into_iter().collect();
    delta.every = members;
    delta.groups = Some(Groups {
        url: listing_url(api, Stage::Groups, false, Detail::Full),
        token: None,
        tokens: HashSet::new(),
        empty: 0,
        last: Vec::new(),
        ids: Vec::new(),
        named: Vec::new(),
        hints: groups,
    });
    delta.domains = Arc::new(since.domains.clone());
    delta.next = Some(Since { log: begun, ..since });
    Ok(Box::new(delta))
}

impl Delta {
    /// Reads a page of groups; their attributes cost nothing more than their ids.
    async fn read_groups(&mut self, mut groups: Groups) -> Result<DeltaPage> {
        let mut page = DeltaPage::default();
        let sent = groups.token.as_deref();
        let read = match self.api.page(&self.cx, Operation::ListGroups, &groups.url, sent).await {
            Ok(read) => read,
            // The id listing behind this says that they are not readable.
            Err(error) if sent.is_none() && matches!(error.kind(), ErrorKind::PermissionDenied { .. }) => {
                return Ok(page);
            }
            Err(error) => return Err(error),
        };
        let hashes: Vec<_> = read.items.iter().filter_map(|item| salvaged_id(item)).map(|id| hash(&id)).collect();
        groups.empty = if read.items.is_empty() { groups.empty + 1 } else { 0 };
        if groups.empty > EMPTY_PAGES || !hashes.is_empty() && hashes == groups.last {
            return Err(repeated());
        }
        groups.last = hashes;
        for item in &read.items {
            let Some(group) = wire::group(item) else {
                page.quarantined.push(senseless(ObjectKind::Group, item));
                continue;
            };
            let mut is_named = false;
            for address in std::iter::once(&group.email).chain(&group.aliases) {
                is_named |= groups.hints.remove(&address.to_lowercase());
            }
            if is_named {
                groups.named.push(group.id.as_str().into());
            }
            groups.ids.push(group.id.as_str().into());
            page.patches.push(map::group(&group));
        }
        match read.next() {
            Some(next) if !groups.tokens.insert(hash(next)) => return Err(repeated()),
            Some(next) => {
                groups.token = Some(next.to_owned());
                self.groups = Some(groups);
            }
            None => self.choose(groups),
        }
        Ok(page)
    }

    /// Chooses whose members are read: those named by the log, those that are new, and those whose turn it is.
    fn choose(&mut self, groups: Groups) {
        let Groups { mut ids, named, hints, .. } = groups;
        self.unseen = hints.into_iter().collect();
        ids.sort_unstable();
        ids.dedup();
        let Some(next) = &mut self.next else { return };
        let mut hashes: Vec<u32> = ids.iter().map(|id| short_hash(id)).collect();
        let mut chosen: BTreeSet<Box<str>> = named.into_iter().collect();
        if let Some(known) = &next.known {
            let new = ids.iter().zip(&hashes).filter(|(_, hash)| known.binary_search(hash).is_err());
            chosen.extend(new.map(|(id, _)| id.clone()));
            if chosen.len() > HINTS {
                self.next = None;
                return;
            }
        }
        hashes.sort_unstable();
        hashes.dedup();
        next.known = Some(hashes);
        let due = next.turns.due(&ids, next.log, self.every);
        next.turns.read(&due, ids.len(), next.log);
        chosen.extend(due);
        self.members = chosen.into_iter().collect();
    }

    async fn read_users(&mut self) -> Result<DeltaPage> {
        let emails: Vec<_> = self.users.drain(..self.users.len().min(OBJECTS)).collect();
        let (api, cx, units) = (&self.api, &self.cx, &self.units);
        let read: Vec<_> = emails.iter().map(|email| patch_of(api, cx, ObjectKind::User, email, units)).collect();
        let found: Vec<Named> = stream::iter(read).buffered(8).try_collect().await?;
        let mut page = DeltaPage::default();
        for named in found {
            Self::take(named, &mut page);
        }
        Ok(page)
    }

    /// Reads a group that the log names and no listing showed: it may be new.
    async fn read_unseen(&mut self, email: &str) -> Result<DeltaPage> {
        let mut page = DeltaPage::default();
        let named = patch_of(&self.api, &self.cx, ObjectKind::Group, email, &None).await?;
        Self::take(named, &mut page);
        self.members.extend(page.patches.iter().map(|patch| patch.object.id.to_string().into_boxed_str()));
        Ok(page)
    }

    fn take(named: Named, page: &mut DeltaPage) {
        match named {
            Named::Patch(patch) => page.patches.push(*patch),
            Named::Senseless(record) => page.quarantined.push(record),
            Named::Nobody => {}
        }
    }

    fn reading(&self, walk: Walk) -> BoxFuture<'static, Result<Read>> {
        Box::pin(walk.next(Arc::clone(&self.api), self.cx.clone(), Arc::clone(&self.domains)))
    }

    /// Reads members of many groups at a time until a page is full.
    async fn read_members(&mut self) -> Result<DeltaPage> {
        let mut page = DeltaPage::default();
        let mut edges = 0;
        while edges < EDGES {
            while self.readings.len() < AT_A_TIME
                && let Some(group) = self.members.pop_front()
            {
                self.readings.push(self.reading(Walk::new(group.into())));
            }
            let Some(read) = self.readings.next().await else { break };
            let some = match read? {
                Read::Page(some, walk) => {
                    let some = some.into_edges(&self.domains);
                    match walk {
                        Some(walk) => self.readings.push(self.reading(walk)),
                        None => page.closed.push(Scope::Members(some.group.clone(), some.via)),
                    }
                    some
                }
                // It went in between: the ids tell.
                Read::Gone(_) => continue,
                Read::Denied(group, reason) => {
                    let scope = Scope::Members(SourceId::Id(group.into()), Via::Explicit);
                    page.unreadable.push(Unreadable { scope, reason });
                    continue;
                }
            };
            edges += some.members.len().max(1);
            page.edges_added.push(some);
        }
        Ok(page)
    }
}

#[async_trait]
impl DeltaPager for Delta {
    async fn next(&mut self) -> Result<DeltaStep> {
        self.cx.check_cancelled()?;
        if std::mem::replace(&mut self.broken, true) {
            return Err(Error::new(ErrorKind::Unavailable, "the delta broke off; it begins again behind its cursor"));
        }
        let page = if let Some(groups) = self.groups.take() {
            self.read_groups(groups).await?
        } else if self.next.is_none() {
            self.broken = false;
            return Ok(DeltaStep::CursorExpired);
        } else if !self.users.is_empty() {
            self.read_users().await?
        } else if let Some(email) = self.unseen.pop_front() {
            self.read_unseen(&email).await?
        } else if !self.members.is_empty() || !self.readings.is_empty() {
            self.read_members().await?
        } else {
            self.broken = false;
            return Ok(match &self.next {
                Some(next) => DeltaStep::CaughtUp(next.write()),
                None => DeltaStep::CursorExpired,
            });
        };
        self.broken = false;
        Ok(DeltaStep::Page(page))
    }
}
