//! Changes by the DirSync control: what changed since a cookie, whichever object of the domain it was.
//!
//! The answer is used for three things: which objects changed, which single members came or went, and what is gone. What
//! an object is now is read from the object itself, on the same controller, once the walk has come to its end: a state is
//! made of several attributes, of which an answer holds only those that changed, and constructed ones never.
//!
//! What it tells and what not:
//!
//! - An object that left base or filter, or that is excluded now, is shown to exist outside.
//! - A tombstone is told where the account may see it. An object that merely went out of sight comes by its id alone;
//!   that proves nothing, and is left to the listing of ids and the look-up behind it.
//! - What lies below a moved or renamed container is not in the answer: it is listed.
//! - A filter by `memberOf` is followed through the groups that changed; memberships by way of another group are not.
//! - A cookie is used only with the controller that gave it. Another one would take it, but may lag behind in what is then
//!   read from it, and would never tell of that again.
//!
//! It must not know how a listing is made.

mod access;
mod changes;
mod objects;
mod walk;

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::mem;
use std::sync::Arc;

use async_trait::async_trait;
use tenantry::Result;
use tenantry::endpoint::{Context, DeltaPage, DeltaPager, DeltaStep};
use tenantry_ldap::{Cookie, Filter};
use uuid::Uuid;

pub(crate) use access::{Access, REPLICATE, beginning};

use crate::controller::{Controller, NOW};
use crate::cursor::{DirSyncPosition, Position, Since};
use crate::delta::Expired;
use crate::dirsync::access::is_denied;
use crate::dirsync::changes::{Changes, Reads};
use crate::dirsync::objects::{AT_ONCE, Objects};
use crate::dirsync::walk::{More, Question, Round, Walk};
use crate::endpoint::Shared;
use crate::listing::{Class, Detail};
use crate::members::{self, Kinds, Known};
use crate::probe;

/// Memberships on a page that is given out.
const EDGES_ON_A_PAGE: usize = 5000;
/// Tell where an object lies, what it is, and whether it is deleted.
const PLACE: &[&str] = &["name", "parentGUID", "isDeleted", "isRecycled", "objectCategory", "member"];
/// Never come: constructed, of one controller only, or the other end of a link. Asking for them may be refused.
const NEVER_TOLD: &[&str] = &[
    "cn",
    "uSNChanged",
    "uSNCreated",
    "whenChanged",
    "memberOf",
    "tokenGroups",
    "distinguishedName",
    "lastLogon",
    "badPwdCount",
    "badPasswordTime",
    "logonCount",
    "msDS-User-Account-Control-Computed",
];

/// Begins to read the changes since a position.
pub(crate) async fn begin(shared: &Arc<Shared>, cx: &Context, since: DirSyncPosition) -> Result<Box<dyn DeltaPager>> {
    let controller = shared.connection.controller(cx).await?;
    let pin = controller.position.invocation;
    let now = controller.now(&shared.connection.root(cx, Some(pin), NOW).await?)?;
    let same = since.domain == controller.domain_id && since.position.invocation == pin;
    if !same || since.position.usn > now.usn {
        return Ok(Box::new(Expired));
    }
    let selecting = |class: Class| class.configured(&shared.config).map(|filter| probe::attributes_of(filter.as_str()));
    let selecting: BTreeSet<String> = Class::ALL.into_iter().filter_map(selecting).flatten().collect();
    Ok(Box::new(Changed {
        reads: Reads { kinds: Kinds::new(&controller, Vec::new()), selecting },
        objects: Objects::new(Arc::clone(shared), cx, controller),
        shared: Arc::clone(shared),
        cx: cx.clone(),
        since,
        now,
        cookie: None,
        found: Changes::default(),
        queue: VecDeque::new(),
        met: HashSet::new(),
        in_scope: HashSet::new(),
        lists: VecDeque::new(),
        ready: VecDeque::new(),
    }))
}

/// The attributes of every class, and those by which objects are selected.
fn attributes(selecting: &BTreeSet<String>) -> Vec<String> {
    let mut names: Vec<String> = PLACE.iter().map(|name| (*name).to_owned()).collect();
    let listed = Class::ALL.into_iter().flat_map(|class| class.attributes(Detail::Full)).map(str::to_owned);
    for name in listed.chain(selecting.iter().cloned()) {
        let known = |known: &str| known.eq_ignore_ascii_case(&name);
        if !NEVER_TOLD.iter().any(|never| known(never)) && !names.iter().any(|there| known(there)) {
            names.push(name);
        }
    }
    names
}

/// A delta under way: first the walk to its end, then what it found is read and given out.
struct Changed {
    shared: Arc<Shared>,
    cx: Context,
    since: DirSyncPosition,
    /// The controller when the walk began.
    now: Position,
    reads: Reads,
    objects: Objects,
    /// Where the walk ended.
    cookie: Option<Cookie>,
    found: Changes,
    /// Objects to read.
    queue: VecDeque<Uuid>,
    /// Everything that is or was in the queue.
    met: HashSet<Uuid>,
    /// Groups that were found in scope.
    in_scope: HashSet<Uuid>,
    /// Groups whose members are to be read.
    lists: VecDeque<(Uuid, String)>,
    ready: VecDeque<DeltaPage>,
}

impl Changed {
    fn controller(&self) -> &Controller {
        self.objects.controller()
    }

    /// Walks to the end; tells nothing if the cookie is of no more use.
    async fn walk(&mut self) -> Result<Option<Cookie>> {
        let question = Question {
            operation: "read changes",
            domain: &self.objects.controller().domain,
            filter: Filter::any(),
            attributes: attributes(&self.reads.selecting),
            access: self.since.access,
            pin: self.now.invocation,
        };
        let mut walk = Walk::new(Some(Cookie::new(self.since.cookie.clone())));
        let mut told = false;
        loop {
            let (entries, more) = match walk.round(&self.shared.connection, &self.cx, &question).await {
                Ok(Round::Entries(entries, more)) => (entries, more),
                Ok(Round::CookieLost) => return Ok(None),
                // The right was withdrawn: the listing finds out whether there is another way, and says so if not.
                Err(error) if is_denied(&error) => return Ok(None),
                Err(error) => return Err(error),
            };
            let mut news = 0;
            for entry in &entries {
                news += usize::from(self.found.take(entry, &self.reads)?.is_some());
            }
            walk.progress(news)?;
            told |= !entries.is_empty();
            if more == More::Ended {
                break;
            }
        }
        // Success with nothing in it is what some servers give instead of a refusal.
        if !told && !self.since.access.is_granted(&self.shared, &self.cx, self.controller()).await? {
            return Ok(None);
        }
        Ok(walk.into_cookie())
    }

    /// Orders what the walk found.
    async fn begin_reading(&mut self) -> Result<()> {
        let Changes { changed, members, hidden, deleted, .. } = &mut self.found;
        tracing::debug!(changed = changed.len(), deleted = deleted.len(), hidden, "changes told");
        let changed = mem::take(changed);
        // Who is selected by his groups may have come or gone with them.
        let by_groups = self.reads.selecting.contains("memberof");
        let selected = members.values().flat_map(|members| members.keys()).copied();
        let selected: Vec<Uuid> = if by_groups { selected.collect() } else { Vec::new() };
        for guid in changed.into_iter().chain(selected) {
            self.enqueue(guid);
        }
        let restored: Vec<Uuid> = self.found.restored.iter().copied().collect();
        self.read_groups_of(&restored).await
    }

    /// Whoever comes back from the recycle bin comes with his memberships, and no group tells.
    async fn read_groups_of(&mut self, restored: &[Uuid]) -> Result<()> {
        for group in self.objects.holding(restored).await? {
            self.found.whole.insert(group);
            self.enqueue(group);
        }
        Ok(())
    }

    fn enqueue(&mut self, guid: Uuid) {
        if self.met.insert(guid) {
            self.queue.push_back(guid);
        }
    }

    /// Gives out what is gone.
    async fn read_tombstones(&mut self) -> Result<()> {
        let rest = self.found.deleted.keys().nth(AT_ONCE).copied();
        let rest = rest.map(|first| self.found.deleted.split_off(&first)).unwrap_or_default();
        let gone = mem::replace(&mut self.found.deleted, rest);
        let (tombstones, back) = self.objects.tombstones(&gone).await?;
        self.ready.push_back(DeltaPage { tombstones, ..DeltaPage::default() });
        for guid in &back {
            self.found.whole.insert(*guid);
            self.enqueue(*guid);
        }
        self.read_groups_of(&back).await
    }

    /// Reads some objects again.
    async fn read_objects(&mut self) -> Result<()> {
        let chunk: Vec<Uuid> = self.queue.drain(..self.queue.len().min(AT_ONCE)).collect();
        let read = self.objects.read(&chunk).await?;
        self.ready.push_back(read.page);
        for (group, dn) in read.groups {
            self.in_scope.insert(group);
            if self.found.whole.contains(&group) {
                self.lists.push_back((group, dn));
            }
        }
        for container in read.others.into_iter().filter(|guid| self.found.moved.contains(guid)).collect::<Vec<_>>() {
            for (class, guid) in self.objects.below(container).await? {
                if class == Class::Groups && self.place_matters() && self.found.whole.insert(guid) {
                    self.met.remove(&guid);
                }
                self.enqueue(guid);
            }
        }
        Ok(())
    }

    /// Tells whether a move can bring groups into scope, whose members were never told.
    fn place_matters(&self) -> bool {
        self.shared.config.base.is_some() || !self.shared.config.exclude.is_empty()
    }

    /// Gives out the single members that came or went, of groups in scope whose lists were not read.
    async fn give_members(&mut self) -> Result<()> {
        let (mut page, mut there) = (DeltaPage::default(), 0);
        while there < EDGES_ON_A_PAGE {
            let Some((group, changes)) = self.found.members.pop_first() else { break };
            if !self.in_scope.contains(&group) || self.found.whole.contains(&group) {
                continue;
            }
            there += changes.len();
            let of = |side: bool| changes.iter().filter(move |(_, (_, came))| *came == side);
            let side = |side: bool| of(side).map(|(guid, (kind, _))| (*guid, *kind)).collect::<Vec<Known>>();
            let (came, went) = (self.objects.told_apart(side(true)).await?, side(false));
            let edges = |members: &[Known]| (!members.is_empty()).then(|| members::edges(group, members));
            page.edges_added.extend(edges(&came));
            page.edges_removed.extend(edges(&went));
        }
        if there > 0 {
            self.ready.push_back(page);
        }
        Ok(())
    }

    fn reached(&self, cookie: Cookie) -> DeltaStep {
        let since = DirSyncPosition { position: self.now.clone(), cookie: cookie.into_bytes(), ..self.since.clone() };
        DeltaStep::CaughtUp(Since::DirSync(since).cursor())
    }
}

#[async_trait]
impl DeltaPager for Changed {
    async fn next(&mut self) -> Result<DeltaStep> {
        loop {
            self.cx.check_cancelled()?;
            if let Some(page) = self.ready.pop_front() {
                return Ok(DeltaStep::Page(page));
            }
            let Some(cookie) = &self.cookie else {
                self.cookie = self.walk().await?;
                if self.cookie.is_none() {
                    return Ok(DeltaStep::CursorExpired);
                }
                self.begin_reading().await?;
                continue;
            };
            if !self.found.deleted.is_empty() {
                self.read_tombstones().await?;
            } else if !self.queue.is_empty() {
                self.read_objects().await?;
            } else if let Some((group, dn)) = self.lists.pop_front() {
                self.ready.extend(self.objects.members(group, &dn).await?);
            } else if !self.found.members.is_empty() {
                self.give_members().await?;
            } else {
                return Ok(self.reached(cookie.clone()));
            }
        }
    }
}
