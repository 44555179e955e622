//! An endpoint over a scripted directory: honest, unless it is told to lie.
//!
//! It must not know what an engine makes of what it tells.

mod listing;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::{Lie, ScriptedDirectory, Telling, delta};
use crate::endpoint::{
    Action, ActionOutcome, Actor, CallLimits, Checkpoint, Context, CoverageInfo, Cursor, DeltaEndpoint, DeltaPager,
    Endpoint, EndpointInfo, Evidence, Membership, ObjectRef, Presence, Reason, SnapshotPager, Verification,
};
use crate::error::{Error, ErrorKind, Result};
use crate::gate::Cost;
use crate::model::{EndpointName, Member, MemberKind, ObjectKey, ObjectKind, SourceId, UserState, names};
use listing::{Pager, Place, place_of, rank};

/// An endpoint over a directory that tests change.
#[derive(Debug, Clone)]
pub struct ScriptedEndpoint {
    info: EndpointInfo,
    state: Arc<Mutex<State>>,
    /// Pages that were listed, all runs together.
    pages: Arc<AtomicUsize>,
    /// Id listings that were begun.
    id_listings: Arc<AtomicUsize>,
    /// When it was asked, where it has limits.
    asked: Arc<Mutex<Vec<Duration>>>,
    limits: CallLimits,
    deltas: bool,
    actions: bool,
    cursor_lifetime: Option<Duration>,
}

/// Of checkpoints and cursors.
const VERSION: u16 = 1;

type Change = Box<dyn FnOnce(&mut ScriptedDirectory) + Send>;

struct State {
    directory: ScriptedDirectory,
    lies: Vec<Lie>,
    page_size: usize,
    members_a_page: usize,
    filter: String,
    revision: u32,
    rights_lost: bool,
    /// States of the directory at which a cursor was given.
    states: Vec<ScriptedDirectory>,
    /// Cursors that were given before this one have expired.
    expired: usize,
    /// What deltas tell.
    told: delta::Told,
    /// The cursor of the listing under way: taken before its first page.
    listing: usize,
    /// To be done once so many pages of a listing are given.
    while_listing: Option<(usize, Change)>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("lies", &self.lies).finish_non_exhaustive()
    }
}

impl ScriptedEndpoint {
    /// Creates an endpoint that lists so many objects on a page.
    ///
    /// # Errors
    /// A name that is no endpoint's name.
    pub fn new(name: &str, directory: ScriptedDirectory, page_size: usize) -> Result<Self> {
        Ok(Self {
            info: EndpointInfo::new(EndpointName::new(name)?, "scripted"),
            state: Arc::new(Mutex::new(State {
                directory,
                lies: Vec::new(),
                page_size: page_size.max(1),
                members_a_page: usize::MAX,
                filter: String::new(),
                revision: 1,
                rights_lost: false,
                states: Vec::new(),
                expired: 0,
                told: delta::Told::default(),
                listing: 0,
                while_listing: None,
            })),
            pages: Arc::default(),
            id_listings: Arc::default(),
            asked: Arc::default(),
            limits: CallLimits::default(),
            deltas: false,
            actions: false,
            cursor_lifetime: None,
        })
    }

    /// Tells changes since a cursor as well.
    #[must_use]
    pub fn with_deltas(mut self) -> Self {
        self.deltas = true;
        self
    }

    /// Declares how long its cursors are good.
    #[must_use]
    pub fn with_cursor_lifetime(mut self, lifetime: Duration) -> Self {
        self.cursor_lifetime = Some(lifetime);
        self
    }

    fn sign_in(&self) -> Result<()> {
        if self.state().lies.contains(&Lie::RefusesCredentials) {
            return Err(Error::new(ErrorKind::Unauthenticated, "the password is refused; renew it"));
        }
        Ok(())
    }

    /// Takes actions on users as well, all but the end of sessions.
    #[must_use]
    pub fn with_actions(mut self) -> Self {
        self.actions = true;
        self
    }

    /// Has these limits.
    #[must_use]
    pub fn with_limits(mut self, limits: CallLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Returns when it was asked for a page or an action, on the clock of its gate. Without quotas nobody counts.
    pub fn asked(&self) -> Vec<Duration> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Counts one request, where a quota counts them.
    fn note(&self, cx: &Context) {
        if !self.limits.quotas().is_empty() {
            self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(cx.gate().clock().monotonic());
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lists the members of a group in parts of so many, each on a page of its own.
    pub fn set_members_a_page(&self, members: usize) {
        self.state().members_a_page = members.max(1);
    }

    /// Changes the directory.
    pub fn change<T>(&self, change: impl FnOnce(&mut ScriptedDirectory) -> T) -> T {
        change(&mut self.state().directory)
    }

    /// Changes the directory once so many pages of the next listing are given; with 0, an id listing shows the change.
    pub fn change_while_listing(&self, pages: usize, change: impl FnOnce(&mut ScriptedDirectory) + Send + 'static) {
        self.state().while_listing = Some((pages, Box::new(change)));
    }

    /// Makes the change that waits for a listing, if none was long enough for it.
    pub fn finish_change(&self) {
        let mut state = self.state();
        if let Some((_, change)) = state.while_listing.take() {
            change(&mut state.directory);
        }
    }

    /// Tells lies from now on, instead of those before.
    pub fn lie(&self, lies: impl IntoIterator<Item = Lie>) {
        let mut state = self.state();
        state.lies = lies.into_iter().collect();
        state.rights_lost = false;
    }

    /// Gives the endpoint another title; it has to be registered again.
    pub fn set_title(&mut self, title: &str) {
        title.clone_into(&mut self.info.title);
    }

    /// Pretends that the configured filter is another one.
    pub fn set_filter(&self, filter: &str) {
        filter.clone_into(&mut self.state().filter);
    }

    /// Sets whether deltas tell what is gone or moved out of scope. Tombstones that cannot be read are never told.
    pub fn set_removals(&self, telling: Telling) {
        self.state().told.removals = telling;
    }

    /// Sets whether deltas tell the members of a group that is restored.
    pub fn set_restored_groups(&self, telling: Telling) {
        self.state().told.restored_groups = telling;
    }

    /// Forgets all cursors given so far.
    pub fn expire_cursors(&self) {
        let mut state = self.state();
        state.expired = state.states.len();
    }

    /// Returns how many id listings were begun so far.
    pub fn id_listings(&self) -> usize {
        self.id_listings.load(Ordering::Relaxed)
    }

    /// Returns how many pages were listed so far.
    pub fn pages(&self) -> usize {
        self.pages.load(Ordering::Relaxed)
    }
}

impl State {
    fn lies(&self, lie: impl Fn(&Lie) -> bool) -> bool {
        self.lies.iter().any(lie)
    }

    fn hides(&self, container: &str) -> bool {
        self.lies(|lie| matches!(lie, Lie::Hides(hidden) if **hidden == *container))
    }

    /// Lists what can be seen: groups first, each kind in the order of ids.
    fn visible(&self) -> Vec<SourceId> {
        let mut ids: Vec<(ObjectKind, &SourceId)> = self
            .directory
            .objects
            .iter()
            .filter(|(id, object)| {
                !self.hides(&object.container)
                    && !self.directory.outside.contains(&object.container)
                    && !self.lies(|lie| matches!(lie, Lie::Empty) || matches!(lie, Lie::Drops(ids) if ids.contains(id)))
            })
            .map(|(id, object)| (object.kind, id))
            .collect();
        ids.sort_by_key(|(kind, id)| (rank(*kind), (*id).clone()));
        ids.into_iter().map(|(_, id)| id.clone()).collect()
    }

    /// Keeps the state at which a cursor is given. A membership that began and went to sleep since the one before was told
    /// to nobody, and that of a group out of scope is not known: deltas say so when they wake.
    fn remember(&mut self) {
        let last = self.states.last();
        let directory = &self.directory;
        let known: std::collections::BTreeSet<SourceId> = directory
            .asleep
            .keys()
            .map(|(group, _)| group)
            .filter(|group| directory.in_scope(group) || directory.bin.contains_key(*group))
            .cloned()
            .collect();
        for ((group, member), silent) in &mut self.directory.asleep {
            *silent &= known.contains(group);
            *silent &= last.is_some_and(|last| {
                last.asleep.contains_key(&(group.clone(), member.clone()))
                    || last.members.get(group).is_some_and(|members| members.contains(member))
            });
        }
        self.states.push(self.directory.clone());
    }

    /// Lists the ids that can be seen.
    fn visible_ids(&self) -> Vec<SourceId> {
        let mut ids = self.visible();
        ids.retain(|id| {
            let container = self.directory.objects.get(id).map(|object| &object.container);
            !self.lies(|lie| match lie {
                Lie::IdsEmpty => true,
                Lie::IdsDrop(ids) => ids.contains(id),
                Lie::IdsHide(hidden) => container == Some(hidden),
                _ => false,
            })
        });
        ids
    }

    /// Answers for an object that cannot be seen.
    fn absent(&self, id: &SourceId) -> Presence {
        if !self.directory.tombstones_readable {
            return Presence::Gone(Evidence::NotFound);
        }
        match self.directory.tombstones.get(id) {
            Some(kind) => Presence::Gone(Evidence::Tombstone(*kind)),
            None => Presence::Unknown(Reason::NoTombstone),
        }
    }

    fn patch(&self, id: &SourceId) -> Option<crate::model::Patch> {
        let mut patch = self.directory.patch(id)?;
        for lie in &self.lies {
            if let Lie::Unreadable(names) = lie {
                for name in names {
                    patch.attributes.forget(name);
                }
            }
        }
        Some(patch)
    }

    fn members(&self, group: &SourceId) -> Vec<Member> {
        let all = self.directory.members.get(group).cloned().unwrap_or_default();
        let keep = self.lies.iter().find_map(|lie| match lie {
            Lie::Truncates(id, keep) if id == group => Some(*keep),
            _ => None,
        });
        all.into_iter().take(keep.unwrap_or(usize::MAX)).map(|id| Member { id, kind: MemberKind::Unknown }).collect()
    }
}

/// The right without which tombstones cannot be read.
const READ_TOMBSTONES: &str = "read tombstones";

fn cursor_of(identity: &str, state: usize) -> Cursor {
    Cursor::new(VERSION, [&(state as u64).to_be_bytes(), identity.as_bytes()].concat())
}

#[async_trait]
impl DeltaEndpoint for ScriptedEndpoint {
    async fn delta(&self, cx: &Context, since: &Cursor) -> Result<Box<dyn DeltaPager>> {
        self.sign_in()?;
        let mut state = self.state();
        let place = since.bytes().split_first_chunk::<8>().filter(|_| since.version() == VERSION);
        let at = place.filter(|(_, of)| *of == state.directory.identity.as_bytes());
        let at = at.and_then(|(at, _)| usize::try_from(u64::from_be_bytes(*at)).ok());
        let Some(old) = at.filter(|at| *at >= state.expired).and_then(|at| state.states.get(at)) else {
            return Ok(Box::new(delta::Expired));
        };
        let pages = delta::with_lies(old, &state.directory, state.page_size, state.told, &state.lies);
        let fails_after = state.lies.iter().find_map(|lie| match lie {
            Lie::DeltaFailsAfter(pages) => Some(*pages),
            _ => None,
        });
        state.remember();
        let cursor = cursor_of(&state.directory.identity, state.states.len() - 1);
        Ok(Box::new(delta::Pager { cx: cx.clone(), pages: pages.into_iter(), fails_after, cursor }))
    }

    fn cursor_lifetime(&self) -> Option<Duration> {
        self.cursor_lifetime
    }

    fn tells_removals(&self, coverage: &CoverageInfo) -> bool {
        self.state().told.removals == Telling::Told && coverage.rights.contains(READ_TOMBSTONES)
    }
}

#[async_trait]
impl Endpoint for ScriptedEndpoint {
    fn info(&self) -> &EndpointInfo {
        &self.info
    }

    fn limits(&self) -> CallLimits {
        self.limits.clone()
    }

    async fn coverage(&self, cx: &Context) -> Result<CoverageInfo> {
        cx.check_cancelled()?;
        let state = self.state();
        let mut coverage = CoverageInfo::new(&state.directory.identity, state.revision);
        if !state.rights_lost {
            coverage.rights.insert("read".into());
        }
        if state.directory.tombstones_readable {
            coverage.rights.insert(READ_TOMBSTONES.into());
        }
        coverage.filters.insert("users".into(), state.filter.clone());
        Ok(coverage)
    }

    async fn verify(&self, cx: &Context) -> Result<Verification> {
        cx.check_cancelled()?;
        Ok(Verification { identity: self.state().directory.identity.clone(), ..Verification::default() })
    }

    async fn snapshot(&self, cx: &Context, from: Option<&Checkpoint>) -> Result<Box<dyn SnapshotPager>> {
        self.sign_in()?;
        let mut state = self.state();
        if from.is_none() && self.deltas {
            state.listing = state.states.len();
            state.remember();
        }
        let ids = state.visible();
        let place = match from {
            None => Place::default(),
            Some(checkpoint) => place_of(checkpoint, &ids, &state.directory)
                .ok_or_else(|| Error::new(ErrorKind::Conflict, "not a checkpoint of this endpoint"))?,
        };
        drop(state);
        // Everything is closed by the last page; of an empty directory, by an empty one.
        Ok(Box::new(Pager::new(self.clone(), cx.clone(), ids, place)))
    }

    async fn id_listing(&self, cx: &Context) -> Result<Box<dyn SnapshotPager>> {
        self.id_listings.fetch_add(1, Ordering::Relaxed);
        let mut state = self.state();
        if let Some((_, change)) = state.while_listing.take_if(|(pages, _)| *pages == 0) {
            change(&mut state.directory);
        }
        let ids = state.visible_ids();
        drop(state);
        Ok(Box::new(Pager::of_ids(self.clone(), cx.clone(), ids)))
    }

    async fn lookup(&self, cx: &Context, ids: &[ObjectRef]) -> Result<Vec<Presence>> {
        cx.check_cancelled()?;
        let state = self.state();
        if state.lies(|lie| matches!(lie, Lie::LookupFails)) {
            return Err(Error::new(ErrorKind::Unavailable, "scripted failure"));
        }
        if state.lies(|lie| matches!(lie, Lie::CancelsAtLookup)) {
            cx.cancel().cancel();
        }
        Ok(ids
            .iter()
            .map(|asked| match state.directory.objects.get(&asked.key.id) {
                Some(object) if state.hides(&object.container) => state.absent(&asked.key.id),
                Some(object) if state.directory.outside.contains(&object.container) => Presence::OutOfScope,
                // There, but beyond understanding.
                Some(object) if object.unintelligible => Presence::Present(None),
                Some(_) => Presence::Present(state.patch(&asked.key.id).map(Box::new)),
                None => match state.directory.forwarded.get(&asked.key.id).and_then(|id| state.patch(id)) {
                    Some(patch) if patch.object.kind == asked.key.kind => Presence::Renamed(Box::new(patch)),
                    _ => state.absent(&asked.key.id),
                },
            })
            .collect())
    }

    fn as_delta(&self) -> Option<&dyn DeltaEndpoint> {
        self.deltas.then_some(self)
    }

    fn as_actor(&self) -> Option<&dyn Actor> {
        self.actions.then_some(self)
    }

    async fn check_members(&self, cx: &Context, group: &ObjectRef, members: &[SourceId]) -> Result<Vec<Membership>> {
        cx.check_cancelled()?;
        let state = self.state();
        if state.lies(|lie| matches!(lie, Lie::SecondReadingFails)) {
            return Err(Error::new(ErrorKind::Unavailable, "scripted failure"));
        }
        if state.lies(|lie| matches!(lie, Lie::SecondReadingUnknown)) {
            return Ok(vec![Membership::Unknown; members.len()]);
        }
        let Some(all) = state.directory.members.get(&group.key.id) else {
            return Ok(vec![Membership::Unknown; members.len()]);
        };
        Ok(members
            .iter()
            .map(|member| if all.contains(member) { Membership::Member } else { Membership::NotMember })
            .collect())
    }
}

#[async_trait]
impl Actor for ScriptedEndpoint {
    fn offers(&self, action: Action, kind: ObjectKind) -> bool {
        kind == ObjectKind::User && action != Action::RevokeSessions
    }

    async fn act(&self, cx: &Context, action: Action, account: &ObjectKey) -> Result<ActionOutcome> {
        cx.check_cancelled()?;
        let act = |_| {
            self.note(cx);
            std::future::ready(self.state().act(action, &account.id))
        };
        let outcome = cx.gate().call(Cost::default(), "scripted action", act).await;
        if self.state().lies(|lie| matches!(lie, Lie::CancelsAfterAction(id) if *id == account.id)) {
            cx.cancel().cancel();
        }
        outcome
    }
}

impl State {
    fn act(&mut self, action: Action, id: &SourceId) -> Result<ActionOutcome> {
        if self.lies(|lie| matches!(lie, Lie::ActionFails(ids) if ids.contains(id))) {
            return Err(Error::new(ErrorKind::Unavailable, "scripted failure"));
        }
        let refused = |why: &'static str| Ok(ActionOutcome::Refused(Error::config(why)));
        if self.lies(|lie| matches!(lie, Lie::ActionRefused(ids) if ids.contains(id))) {
            return refused("scripted: protected; leave it alone");
        }
        let in_scope = self.directory.in_scope(id);
        let Some(object) = self.directory.objects.get_mut(id).filter(|_| in_scope) else {
            return refused("scripted: there is no such account");
        };
        let before = object.attributes.clone();
        match action {
            Action::Suspend => object.attributes.set(names::STATE, UserState::Suspended),
            Action::Resume => object.attributes.set(names::STATE, UserState::Active),
            Action::Unlock => object.attributes.set(names::LOCKED_OUT, false),
            Action::ForcePasswordChange => object.attributes.set(names::MUST_CHANGE_PASSWORD, true),
            Action::RevokeSessions => return Err(Error::new(ErrorKind::Unsupported, "scripted: not offered")),
        }
        Ok(if object.attributes == before { ActionOutcome::AlreadySo } else { ActionOutcome::Done })
    }
}
