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

use crate::{Control, Cookie, Dn, Filter, SearchRequest};
use async_trait::async_trait;
use tenantry::Result;
use tenantry::endpoint::{Context, DeltaPage, DeltaPager, DeltaStep};
use uuid::Uuid;

pub(crate) use access::{Access, REPLICATE, beginning};

use crate::domain::cursor::{DirSyncPosition, Position, Since};
use crate::domain::delta::or_expired;
use crate::domain::dirsync::access::is_denied;
use crate::domain::dirsync::changes::{Changes, Reads};
use crate::domain::dirsync::objects::{AT_ONCE, Lists};
use crate::domain::dirsync::walk::{More, Question, Round, Walk};
use crate::domain::error::base_gone;
use crate::domain::gathering::{Gathering, Page};
use crate::domain::listing::{Class, Detail};
use crate::domain::members::{self, Kinds, Known};
use crate::domain::probe;
use crate::domain::reader::Shared;
use crate::domain::resume::{self, Resumed};
use crate::domain::search::Search;

/// Memberships on a page that is given out.
const EDGES_ON_A_PAGE: usize = 5000;
/// Tell where an object lies, what it is, and whether it is deleted.
const PLACE: &[&str] = &["name", "parentGUID", "whenCreated", "isDeleted", "isRecycled", "objectCategory", "member"];
/// Never come: constructed, of one controller only, or the other end of a link. Asking for them may be refused. All lower
/// case.
const NEVER_TOLD: &[&str] = &[
    "usnchanged",
    "usncreated",
    "whenchanged",
    "modifytimestamp",
    "memberof",
    "tokengroups",
    "distinguishedname",
    "canonicalname",
    "lastlogon",
    "badpwdcount",
    "badpasswordtime",
    "logoncount",
    "msds-user-account-control-computed",
];
/// What an object is called by is told by this name only.
const COMMON_NAME: &str = "cn";

/// Tells whether a change of this attribute, in lower case, would never come.
pub(crate) fn never_tells(attribute: &str) -> bool {
    NEVER_TOLD.contains(&attribute)
}

/// Begins to read the changes since a position; nothing if it can no longer be used.
pub(crate) async fn begin(
    shared: &Arc<Shared>,
    cx: &Context,
    since: DirSyncPosition,
) -> Result<Option<Box<dyn DeltaPager>>> {
    let resumed = resume::resume(shared, cx, &since.position).await?;
    let Some(Resumed { controller, now, .. }) = resumed else { return Ok(None) };
    if since.domain != controller.domain_id {
        return Ok(None);
    }
    let selecting = |class: &Class| shared.configured(*class).map(|filter| probe::attributes_of(filter.as_str()));
    let selecting: BTreeSet<String> = shared.classes().iter().filter_map(selecting).flatten().collect();
    let harmless = shared.profile.harmless();
    let reads = Reads { kinds: Kinds::new(&controller, Vec::new()), selecting, harmless };
    let gathering = Gathering::new(Arc::clone(shared), cx, controller, Detail::Full);
    Ok(Some(Box::new(Changed {
        base: resume::real_base(&gathering).await?,
        gathering,
        reads,
        since,
        now,
        cookie: None,
        found: Changes::default(),
        moved: VecDeque::new(),
        queue: VecDeque::new(),
        met: HashSet::new(),
        in_scope: HashSet::new(),
        expiring: None,
    })))
}

/// The attributes of every class, and those by which objects are selected.
fn attributes(shared: &Shared, selecting: &BTreeSet<String>) -> Vec<String> {
    let mut names: Vec<String> = PLACE.iter().map(|name| (*name).to_owned()).collect();
    let listed = shared.classes().iter().flat_map(|class| shared.attributes(*class, Detail::Full)).map(str::to_owned);
    for name in listed.chain(selecting.iter().cloned()) {
        let known = |known: &str| known.eq_ignore_ascii_case(&name);
        if !never_tells(&name.to_ascii_lowercase()) && !known(COMMON_NAME) && !names.iter().any(|there| known(there)) {
            names.push(name);
        }
    }
    names
}

/// A delta under way: first the walk to its end, then what it found is read and given out.
struct Changed {
    gathering: Gathering,
    since: DirSyncPosition,
    /// The controller when the walk began.
    now: Position,
    /// The base as the controller writes it; none if it is the whole domain.
    base: Option<Dn>,
    reads: Reads,
    /// Where the walk ended.
    cookie: Option<Cookie>,
    found: Changes,
    /// What lies elsewhere or is called otherwise.
    moved: VecDeque<Uuid>,
    /// Objects to read.
    queue: VecDeque<Uuid>,
    /// Everything that is or was in the queue.
    met: HashSet<Uuid>,
    /// Groups that were found in scope, of which single members are known.
    in_scope: HashSet<Uuid>,
    /// The search for users whose state changed by time alone.
    expiring: Option<Search>,
}

impl Changed {
    /// Walks to the end; tells nothing if the cookie is of no more use.
    async fn walk(&mut self) -> Result<Option<Cookie>> {
        let from = Cookie::new(self.since.cookie.clone());
        if self.now.usn == self.since.position.usn {
            // Nothing was committed since, of whatever kind.
            return Ok(Some(from));
        }
        let Gathering { shared, cx, controller, .. } = &self.gathering;
        let question = Question {
            operation: "read changes",
            domain: &controller.domain,
            filter: Filter::any(),
            attributes: attributes(shared, &self.reads.selecting),
            access: self.since.access,
            pin: self.now.invocation,
        };
        let mut walk = Walk::new(Some(from));
        let mut told = false;
        loop {
            let (entries, more) = match walk.round(&shared.connection, cx, &question).await {
                Ok(Round::Entries(entries, more)) => (entries, more),
                Ok(Round::CookieLost) => return Ok(None),
                // The right was withdrawn: the listing finds out whether there is another way, and says so if not.
                Err(error) if is_denied(&error) => return Ok(None),
                Err(error) => return Err(error),
            };
            let mut news = 0;
            for entry in &entries {
                match self.found.take(entry, &self.reads) {
                    Ok(new) => news += usize::from(new.is_some()),
                    Err(error) => {
                        // Whose change it is cannot be told: a listing can.
                        tracing::info!("changes cannot be read behind the last run: {error}");
                        return Ok(None);
                    }
                }
            }
            walk.progress(news)?;
            told |= !entries.is_empty();
            if more == More::Ended {
                break;
            }
        }
        // Success with nothing in it is what some servers give instead of a refusal.
        if !told && !self.since.access.is_granted(shared, cx, controller).await? {
            return Ok(None);
        }
        Ok(walk.into_cookie())
    }

    /// Orders what the walk found.
    async fn begin_reading(&mut self) -> Result<()> {
        let Changes { changed, moved, restored, hidden, deleted, .. } = &mut self.found;
        tracing::debug!(changed = changed.len(), deleted = deleted.len(), hidden, "changes told");
        self.moved = mem::take(moved).into_iter().collect();
        let restored: Vec<Uuid> = mem::take(restored).into_iter().collect();
        for guid in mem::take(changed) {
            self.enqueue(guid);
        }
        self.read_groups_of(&restored).await?;
        let Gathering { shared, controller, .. } = &self.gathering;
        let ends = resume::expiring(&self.gathering, &self.since.position, &self.now)?;
        let filter = Filter::and([shared.filter(Class::Users)?, ends]);
        let request = SearchRequest::new(shared.base(controller), filter)
            .attributes(self.gathering.attributes(Class::Users))
            .page_size(Gathering::page_size(shared, Class::Users))
            .control(members::extended())
            .control(Control::domain_scope().optional());
        self.expiring = Some(Search::new("list expired users", self.gathering.pin(), request));
        Ok(())
    }

    fn enqueue(&mut self, guid: Uuid) {
        if self.met.insert(guid) {
            self.queue.push_back(guid);
        }
    }

    /// Whoever comes back from the recycle bin comes with his memberships, and no group tells.
    async fn read_groups_of(&mut self, restored: &[Uuid]) -> Result<()> {
        for group in objects::holding(&self.gathering, restored).await? {
            self.found.whole.insert(group);
            self.enqueue(group);
        }
        Ok(())
    }

    /// Gives out what is gone.
    async fn read_tombstones(&mut self) -> Result<()> {
        let rest = self.found.deleted.keys().nth(AT_ONCE).copied();
        let rest = rest.map(|first| self.found.deleted.split_off(&first)).unwrap_or_default();
        let gone = mem::replace(&mut self.found.deleted, rest);
        let back = objects::bury(&mut self.gathering, &gone).await?;
        for guid in &back {
            self.found.whole.insert(*guid);
            self.enqueue(*guid);
        }
        self.read_groups_of(&back).await
    }

    /// Adds what lies below containers that were moved.
    async fn descend(&mut self) -> Result<()> {
        let chunk: Vec<Uuid> = self.moved.drain(..self.moved.len().min(AT_ONCE)).collect();
        for container in objects::containers(&self.gathering, &chunk).await? {
            for (class, guid) in objects::below(&self.gathering, container).await? {
                if class == Class::Groups && self.place_matters() {
                    self.found.whole.insert(guid);
                }
                self.enqueue(guid);
            }
        }
        Ok(())
    }

    /// Tells whether a move can bring groups into scope, whose members were never told.
    fn place_matters(&self) -> bool {
        self.base.is_some() || !self.gathering.shared.config.exclude.is_empty()
    }

    /// Reads some objects again.
    async fn read_objects(&mut self) -> Result<()> {
        let chunk = self.queue.drain(..self.queue.len().min(AT_ONCE));
        let (whole, bare): (Vec<Uuid>, Vec<Uuid>) = chunk.partition(|guid| self.found.whole.contains(guid));
        objects::read(&mut self.gathering, &whole, Lists::Read, self.base.as_ref()).await?;
        let groups = objects::read(&mut self.gathering, &bare, Lists::Left, self.base.as_ref()).await?;
        self.in_scope.extend(groups);
        Ok(())
    }

    /// Gives out the single members that came or went, of groups in scope whose lists were not read.
    async fn give_members(&mut self) -> Result<Option<DeltaPage>> {
        let (mut page, mut there) = (DeltaPage::default(), 0);
        while there < EDGES_ON_A_PAGE {
            let Some((group, mut changes)) = self.found.members.pop_first() else { break };
            if !self.in_scope.contains(&group) {
                continue;
            }
            let room = changes.keys().nth(EDGES_ON_A_PAGE - there).copied();
            if let Some(rest) = room.map(|first| changes.split_off(&first)) {
                self.found.members.insert(group, rest);
            }
            there += changes.len();
            let of = |side: bool| changes.iter().filter(move |(_, (_, came))| *came == side);
            let side = |side: bool| of(side).map(|(guid, (kind, _))| (*guid, *kind)).collect::<Vec<Known>>();
            let (came, went) = (self.gathering.told_apart(side(true)).await?, side(false));
            let edges = |members: &[Known]| (!members.is_empty()).then(|| members::edges(group, members));
            page.edges_added.extend(edges(&came));
            page.edges_removed.extend(edges(&went));
        }
        Ok((there > 0).then_some(page))
    }

    fn reached(&self, cookie: Cookie) -> DeltaStep {
        let since = DirSyncPosition { position: self.now.clone(), cookie: cookie.into_bytes(), ..self.since.clone() };
        DeltaStep::CaughtUp(Since::DirSync(since).cursor())
    }

    async fn go_on(&mut self) -> Result<DeltaStep> {
        loop {
            self.gathering.cx.check_cancelled()?;
            if let Some(page) = self.gathering.next_page() {
                return Ok(DeltaStep::Page(Page::into(page)));
            }
            let Some(cookie) = self.cookie.clone() else {
                self.cookie = self.walk().await?;
                if self.cookie.is_none() {
                    return Ok(DeltaStep::CursorExpired);
                }
                self.begin_reading().await?;
                continue;
            };
            if self.gathering.has_work() {
                self.gathering.work().await?;
            } else if !self.found.deleted.is_empty() {
                self.read_tombstones().await?;
            } else if !self.moved.is_empty() {
                self.descend().await?;
            } else if !self.queue.is_empty() {
                self.read_objects().await?;
            } else if let Some(page) = self.give_members().await? {
                return Ok(DeltaStep::Page(page));
            } else if let Some(search) = &mut self.expiring {
                match search.next(&self.gathering.shared.connection, &self.gathering.cx).await.map_err(base_gone)? {
                    Some(entries) => drop(self.gathering.take(Class::Users, &entries, None).await?),
                    None => self.expiring = None,
                }
            } else {
                return Ok(self.reached(cookie));
            }
        }
    }
}

#[async_trait]
impl DeltaPager for Changed {
    async fn next(&mut self) -> Result<DeltaStep> {
        or_expired(self.go_on().await)
    }
}
