//! What entries become on their way out: patches, members of groups piece by piece, what is set aside and what is left
//! out. Listings and deltas give the same for the same entries, because both go through here.
//!
//! It must not know which entries are asked for, and why.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use crate::{Dn, Entry, NextRange, RangedValues, SearchRequest, Sid};
use tenantry::Result;
use tenantry::endpoint::{Checkpoint, Context, DeltaPage, SnapshotPage};
use tenantry::model::{Edges, ObjectKey, ObjectKind, Patch, Quarantined, Scope, SourceId, Tombstone, Unreadable, Via};
use uuid::Uuid;

use crate::domain::controller::Controller;
use crate::domain::listing::{Class, Detail, Found, Listed, identity};
use crate::domain::map::Moment;
use crate::domain::members::{self, Kinds, Known, Reading};
use crate::domain::probe;
use crate::domain::profile::Membership;
use crate::domain::reader::Shared;

/// Groups on a page: each may bring 1,500 members with it.
const GROUPS_ON_A_PAGE: u32 = 200;
/// Members on a page that is given out.
const MEMBERS_ON_A_PAGE: usize = 5000;

/// A page of a listing or of a delta: each takes from it what it knows.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) patches: Vec<Patch>,
    pub(crate) edges: Vec<Edges>,
    pub(crate) quarantined: Vec<Quarantined>,
    pub(crate) withdrawn: Vec<ObjectKey>,
    pub(crate) out_of_scope: Vec<ObjectKey>,
    pub(crate) tombstones: Vec<Tombstone>,
    pub(crate) closed: Vec<Scope>,
    pub(crate) unreadable: Vec<Unreadable>,
    pub(crate) checkpoint: Option<Checkpoint>,
}

impl From<Page> for SnapshotPage {
    fn from(page: Page) -> Self {
        Self {
            patches: page.patches,
            edges: page.edges,
            quarantined: page.quarantined,
            withdrawn: page.withdrawn,
            closed: page.closed,
            unreadable: page.unreadable,
            checkpoint: page.checkpoint,
        }
    }
}

impl From<Page> for DeltaPage {
    fn from(page: Page) -> Self {
        Self {
            patches: page.patches,
            edges_added: page.edges,
            tombstones: page.tombstones,
            out_of_scope: page.out_of_scope,
            quarantined: page.quarantined,
            closed: page.closed,
            unreadable: page.unreadable,
            ..Self::default()
        }
    }
}

/// Pages in the making.
pub(crate) struct Gathering {
    pub(crate) shared: Arc<Shared>,
    pub(crate) cx: Context,
    pub(crate) controller: Controller,
    detail: Detail,
    /// Objects that were given out: pages are read again when a connection breaks.
    listed: HashSet<Uuid>,
    /// Objects that were told to be out of scope.
    outside: HashSet<Uuid>,
    ready: VecDeque<Page>,
    /// Groups that came without members: nobody has said yet that they have none.
    empty: Vec<(Uuid, String)>,
    /// Groups whose members did not all come with their entries.
    pending: VecDeque<Uuid>,
    long: Option<LongList>,
    kinds: Option<Kinds>,
    members_readable: Option<bool>,
    primary_groups: HashMap<Sid, Option<Uuid>>,
    excluded: BTreeMap<&'static str, u64>,
}

/// The members of one group, given out piece by piece.
struct LongList {
    group: Uuid,
    members: Vec<Known>,
    at: usize,
    incomplete: Option<String>,
}

impl Gathering {
    pub(crate) fn new(shared: Arc<Shared>, cx: &Context, controller: Controller, detail: Detail) -> Self {
        Self {
            shared,
            cx: cx.clone(),
            controller,
            detail,
            listed: HashSet::new(),
            outside: HashSet::new(),
            ready: VecDeque::new(),
            empty: Vec::new(),
            pending: VecDeque::new(),
            long: None,
            kinds: None,
            members_readable: None,
            primary_groups: HashMap::new(),
            excluded: BTreeMap::new(),
        }
    }

    /// Nothing that is gathered may come from another controller.
    pub(crate) fn pin(&self) -> Uuid {
        self.controller.position.invocation
    }

    pub(crate) fn page_size(shared: &Shared, class: Class) -> u32 {
        let most = if class == Class::Groups { GROUPS_ON_A_PAGE } else { SearchRequest::MAX_PAGE_SIZE };
        shared.config.page_size.min(most)
    }

    /// Returns the attributes by which [`take`](Self::take) understands entries of a class.
    pub(crate) fn attributes(&self, class: Class) -> Vec<&'static str> {
        self.shared.listed_attributes(class, self.detail)
    }

    /// Returns the next page that is ready.
    pub(crate) fn next_page(&mut self) -> Option<Page> {
        self.ready.pop_front()
    }

    /// Tells whether members are still to be read or given out.
    pub(crate) fn has_work(&self) -> bool {
        self.long.is_some() || !self.pending.is_empty()
    }

    /// Reads or gives out members.
    pub(crate) async fn work(&mut self) -> Result<()> {
        if let Some(list) = self.long.take() {
            self.continue_list(list);
        } else if let Some(group) = self.pending.pop_front() {
            self.complete(group).await?;
        }
        Ok(())
    }

    /// Tells whether nothing was given out since the last [`forget`](Self::forget).
    pub(crate) fn is_untouched(&self) -> bool {
        self.listed.is_empty()
    }

    /// Forgets which objects were given out; returns how many these were.
    pub(crate) fn forget(&mut self) -> u64 {
        self.outside.clear();
        std::mem::take(&mut self.listed).len() as u64
    }

    /// Returns how many entries were left out by design, by reason, and counts anew.
    pub(crate) fn take_excluded(&mut self) -> BTreeMap<&'static str, u64> {
        std::mem::take(&mut self.excluded)
    }

    /// Turns entries into pages to give out; tells whether there was anything new among them. Where a base is given,
    /// what does not lie in it is out of scope.
    pub(crate) async fn take(&mut self, class: Class, entries: &[Entry], base: Option<&Dn>) -> Result<bool> {
        let (moved, groups) = self.turn(class, entries, base).await?;
        self.take_members(groups).await?;
        self.judge_empty().await?;
        Ok(moved)
    }

    /// Does the same for one page of many, and leaves groups that came without members to
    /// [`judge_empty`](Self::judge_empty).
    pub(crate) async fn take_listed(&mut self, class: Class, entries: &[Entry]) -> Result<bool> {
        let (moved, groups) = self.turn(class, entries, None).await?;
        self.take_members(groups).await?;
        Ok(moved)
    }

    /// Does the same, and leaves the members of groups aside. Returns the groups that are in scope.
    pub(crate) async fn take_bodies(
        &mut self,
        class: Class,
        entries: &[Entry],
        base: Option<&Dn>,
    ) -> Result<Vec<Uuid>> {
        let (_, groups) = self.turn(class, entries, base).await?;
        Ok(groups.into_iter().map(|(guid, ..)| guid).collect())
    }

    async fn turn<'a>(
        &mut self,
        class: Class,
        entries: &'a [Entry],
        base: Option<&Dn>,
    ) -> Result<(bool, Vec<(Uuid, String, &'a Entry)>)> {
        let moment = Moment { now: self.cx.gate().clock().now_unix_millis(), lockout: self.controller.head.lockout };
        let mut page = Page::default();
        let mut groups = Vec::new();
        let mut moved = false;
        for entry in entries {
            let shared = &*self.shared;
            let mut listed = shared.read(class, entry, self.detail, &self.controller.head, &moment);
            if base.is_some_and(|base| lies_outside(entry, base)) {
                listed = Listed::Excluded("outside of the base");
            }
            match listed {
                Listed::Excluded(reason) => {
                    *self.excluded.entry(reason).or_default() += 1;
                    page.out_of_scope.extend(self.outside(class.kind(), entry));
                }
                Listed::Quarantined(record) => {
                    if !matches!(record.id, Some(SourceId::Guid(guid)) if !self.listed.insert(guid)) {
                        page.quarantined.push(record);
                    }
                }
                Listed::Object(Found { guid, mut patch, primary, membership, dn }) => {
                    if self.outside.contains(&guid) || !self.listed.insert(guid) {
                        continue;
                    }
                    moved = true;
                    if let Some(sid) = primary {
                        // A group that cannot be seen is no statement that there is none.
                        patch.primary_group = self.primary_group(sid).await?.map(|group| Some(SourceId::Guid(group)));
                    }
                    page.patches.push(patch);
                    // What is computed elsewhere is neither a list nor an empty one: nothing is said of it.
                    let listed = class == Class::Groups && membership == Membership::Listed;
                    if listed && self.detail == Detail::Full {
                        groups.push((guid, dn, entry));
                    }
                }
            }
        }
        self.ready.push_back(page);
        Ok((moved, groups))
    }

    /// Tells of objects of a class that they exist outside of base or filter.
    pub(crate) fn take_outside<'a>(&mut self, kind: ObjectKind, entries: impl IntoIterator<Item = &'a Entry>) {
        let keys: Vec<_> = entries.into_iter().filter_map(|entry| self.outside(kind, entry)).collect();
        self.last_page().out_of_scope.extend(keys);
    }

    /// The first word on an object stands: one that moves while it is read is told again by the next delta. Without an
    /// id it was never listed either.
    fn outside(&mut self, kind: ObjectKind, entry: &Entry) -> Option<ObjectKey> {
        let (guid, _) = identity(entry).ok()?;
        let new = !self.listed.contains(&guid) && self.outside.insert(guid);
        new.then_some(ObjectKey { kind, id: SourceId::Guid(guid) })
    }

    pub(crate) fn take_tombstones(&mut self, tombstones: impl IntoIterator<Item = Tombstone>) {
        self.last_page().tombstones.extend(tombstones);
    }

    /// Tells what members that are known by their names alone are, as a list would.
    pub(crate) async fn told_apart(&mut self, members: Vec<Known>) -> Result<Vec<Known>> {
        let kinds = match self.kinds.take() {
            Some(kinds) => kinds,
            None => self.shared.kinds(&self.cx, &self.controller).await?,
        };
        let told = members.into_iter().map(|(guid, kind)| (guid, kinds.contact(guid).unwrap_or(kind))).collect();
        self.kinds = Some(kinds);
        Ok(told)
    }

    async fn take_members(&mut self, groups: Vec<(Uuid, String, &Entry)>) -> Result<()> {
        if groups.is_empty() {
            return Ok(());
        }
        let kinds = match self.kinds.take() {
            Some(kinds) => kinds,
            None => self.shared.kinds(&self.cx, &self.controller).await?,
        };
        for (group, dn, entry) in groups {
            let first = match RangedValues::first(entry, "member") {
                Ok(first) => first,
                Err(error) => {
                    self.not_readable(group, error.message().to_owned());
                    continue;
                }
            };
            if first.next != NextRange::Done {
                self.pending.push_back(group);
            } else if first.values.is_empty() {
                self.empty.push((group, dn));
            } else {
                let (members, wrong) = kinds.read(first.values);
                self.give(group, &members);
                match wrong {
                    None => self.close(Scope::Members(SourceId::Guid(group), Via::Explicit)),
                    Some(reason) => self.not_readable(group, reason),
                }
            }
        }
        self.kinds = Some(kinds);
        Ok(())
    }

    /// Closes groups that came without members, if it can be told that they have none; tells whether there were any.
    ///
    /// As many together as there are: a server that has no index for the question goes through every object each time.
    pub(crate) async fn judge_empty(&mut self) -> Result<bool> {
        let empty = std::mem::take(&mut self.empty);
        if empty.is_empty() {
            return Ok(false);
        }
        let readable = match self.members_readable {
            Some(readable) => readable,
            None => probe::members(&self.shared.connection, &self.cx, &self.controller).await?,
        };
        self.members_readable = Some(readable);
        let named = if readable {
            members::named_by_members(&self.shared.connection, &self.cx, &self.controller, &empty).await?
        } else {
            HashSet::new()
        };
        for (group, _) in empty {
            if !readable {
                self.not_readable(group, "the account may not read members of groups; let it read member".to_owned());
            } else if named.contains(&group) {
                // Perhaps somebody became a member a moment ago: read it once more before judging.
                self.pending.push_back(group);
            } else {
                self.close(Scope::Members(SourceId::Guid(group), Via::Explicit));
            }
        }
        Ok(true)
    }

    /// Reads a group whose members did not all come with its entry.
    async fn complete(&mut self, group: Uuid) -> Result<()> {
        let kinds = self.kinds.take().unwrap_or_default();
        let reading = members::read_all(&self.shared.connection, &self.cx, Some(self.pin()), group, &kinds).await;
        self.kinds = Some(kinds);
        let (members, incomplete) = match reading? {
            Reading::Whole(members) if members.is_empty() => {
                let reason = "the list is empty although somebody names the group as his; let the account read member";
                (members, Some(reason.to_owned()))
            }
            Reading::Whole(members) => (members, None),
            Reading::Partial(members, reason) => (members, Some(reason)),
            Reading::Vanished => {
                let object = ObjectKey { kind: ObjectKind::Group, id: SourceId::Guid(group) };
                self.last_page().withdrawn.push(object);
                return Ok(());
            }
        };
        self.long = Some(LongList { group, members, at: 0, incomplete });
        Ok(())
    }

    /// Gives out the next piece of a long list of members.
    fn continue_list(&mut self, mut list: LongList) {
        let end = (list.at + MEMBERS_ON_A_PAGE).min(list.members.len());
        let mut page = Page::default();
        if list.at < end {
            page.edges.push(members::edges(list.group, &list.members[list.at..end]));
        }
        list.at = end;
        self.ready.push_back(page);
        if end < list.members.len() {
            self.long = Some(list);
            return;
        }
        match list.incomplete.take() {
            None => self.close(Scope::Members(SourceId::Guid(list.group), Via::Explicit)),
            Some(reason) => self.not_readable(list.group, reason),
        }
    }

    /// Returns the last page that is ready, a new one if there is none.
    pub(crate) fn last_page(&mut self) -> &mut Page {
        if self.ready.is_empty() {
            self.ready.push_back(Page::default());
        }
        self.ready.back_mut().expect("a page was just put there")
    }

    pub(crate) fn close(&mut self, scope: Scope) {
        self.last_page().closed.push(scope);
    }

    fn not_readable(&mut self, group: Uuid, reason: String) {
        let scope = Scope::Members(SourceId::Guid(group), Via::Explicit);
        self.last_page().unreadable.push(Unreadable { scope, reason });
    }

    /// Puts members on the last page, and on further ones where they are many.
    fn give(&mut self, group: Uuid, members: &[Known]) {
        let mut rest = members;
        while !rest.is_empty() {
            let there: usize = self.last_page().edges.iter().map(|edges: &Edges| edges.members.len()).sum();
            if there >= MEMBERS_ON_A_PAGE {
                self.ready.push_back(Page::default());
                continue;
            }
            let (now, later) = rest.split_at(rest.len().min(MEMBERS_ON_A_PAGE - there));
            self.last_page().edges.push(members::edges(group, now));
            rest = later;
        }
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

/// Tells whether an entry certainly does not lie in a base: not so of one whose name cannot be understood.
pub(crate) fn lies_outside(entry: &Entry, base: &Dn) -> bool {
    let dn = identity(entry).and_then(|(_, name)| Dn::parse(&name.dn));
    dn.is_ok_and(|dn| !dn.is_under(base))
}
