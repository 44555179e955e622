//! A full listing: groups, then users, then computers, slice by slice, with the members of each group.
//!
//! It must not know what an attribute means.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use async_trait::async_trait;
use tenantry::Result;
use tenantry::endpoint::{Checkpoint, Context, SnapshotPage, SnapshotPager, SnapshotStep};
use tenantry::model::{Edges, ObjectKey, ObjectKind, Scope, SourceId, Unreadable, Via};
use tenantry_ldap::{Control, Entry, Filter, NextRange, PageProgress, RangedValues, SearchRequest, Sid};
use uuid::Uuid;

use crate::connection::{HeldCookie, Paged, STALLED_PAGES, cookies_do_not_work};
use crate::controller::{Controller, highest_usn};
use crate::cursor::{Position, SliceStart};
use crate::endpoint::Shared;
use crate::error::{another_server, base_gone};
use crate::listing::{Class, Detail, Found, Listed};
use crate::map::Moment;
use crate::members::{self, Kinds, Known, Reading};
use crate::probe;
use crate::slices::Slices;

/// Groups on a page: each may bring 1,500 members with it.
const GROUPS_ON_A_PAGE: u32 = 200;
/// Members on a page that is given out.
const MEMBERS_ON_A_PAGE: usize = 5000;
/// How often a slice begins anew without anything new coming of it.
const RESTARTS: u32 = 3;

/// A listing under way.
pub(crate) struct Snapshot {
    shared: Arc<Shared>,
    cx: Context,
    detail: Detail,
    controller: Controller,
    position: Position,
    /// What is being listed; nothing behind the last class.
    class: Option<Class>,
    slices: Slices,
    cookie: Option<HeldCookie>,
    progress: PageProgress,
    /// The pages of the slice are read; what is pending of them may be not.
    slice_read: bool,
    /// Objects of this slice that were given out: pages are read again when a connection breaks.
    listed: HashSet<Uuid>,
    restarts: u32,
    ready: VecDeque<SnapshotPage>,
    /// Groups of this slice that came without members: nobody has said yet that they have none.
    empty: Vec<(Uuid, String)>,
    /// Groups whose members did not all come with the listing.
    pending: VecDeque<Uuid>,
    long: Option<LongList>,
    kinds: Option<Kinds>,
    members_readable: bool,
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

impl Snapshot {
    /// Begins, or goes on behind a checkpoint.
    pub(crate) async fn begin(
        shared: Arc<Shared>,
        cx: &Context,
        detail: Detail,
        from: Option<&Checkpoint>,
    ) -> Result<Self> {
        let start = from.map(SliceStart::read).transpose()?;
        let controller = shared.connection.controller(cx).await?;
        let pin = controller.position.invocation;
        // Read before the first page: what changes from here on comes in the next delta.
        let usn = highest_usn(&shared.connection.root(cx, Some(pin), &["highestCommittedUSN"]).await?)?;
        let now = Position { usn, ..controller.position.clone() };
        let (position, class, slice, width) = match start {
            None => (now, Class::ALL[0], 0, None),
            Some(start) => {
                let same = start.position.invocation == now.invocation && start.position.usn <= now.usn;
                if !same {
                    return Err(another_server());
                }
                (start.position, start.class, start.from, Some(start.width))
            }
        };
        let page_size = Self::page_size(&shared, class);
        Ok(Self {
            slices: Slices::new(slice, width, position.usn, page_size, shared.config.page_size),
            members_readable: detail == Detail::Full && probe::members(&shared.connection, cx, &controller).await?,
            shared,
            cx: cx.clone(),
            detail,
            controller,
            position,
            class: Some(class),
            cookie: None,
            progress: PageProgress::new(STALLED_PAGES),
            slice_read: false,
            listed: HashSet::new(),
            restarts: 0,
            ready: VecDeque::new(),
            empty: Vec::new(),
            pending: VecDeque::new(),
            long: None,
            kinds: None,
            primary_groups: HashMap::new(),
            excluded: BTreeMap::new(),
        })
    }

    /// Nothing of a listing may come from another controller.
    fn pin(&self) -> Uuid {
        self.position.invocation
    }

    fn page_size(shared: &Shared, class: Class) -> u32 {
        let most = if class == Class::Groups { GROUPS_ON_A_PAGE } else { SearchRequest::MAX_PAGE_SIZE };
        shared.config.page_size.min(most)
    }

    async fn read_page(&mut self, class: Class) -> Result<()> {
        let filter = Filter::and([class.filter(&self.shared.config)?, self.slices.filter()?]);
        let request = SearchRequest::new(self.shared.base(&self.controller), filter)
            .attributes(class.listed_attributes(self.detail))
            .page_size(Self::page_size(&self.shared, class))
            .control(members::extended())
            .control(Control::domain_scope().optional());
        let first = self.cookie.is_none();
        let operation = class.operation();
        let read =
            self.shared.connection.page(&self.cx, operation, Some(self.pin()), &request, self.cookie.as_ref()).await;
        match read.map_err(base_gone)? {
            Paged::CookieLost => {
                self.restarts += 1;
                if self.restarts > RESTARTS {
                    return Err(cookies_do_not_work(operation));
                }
                self.cookie = None;
                self.progress = PageProgress::new(STALLED_PAGES);
                Ok(())
            }
            Paged::Page(page, next) => {
                self.progress.observe(&page)?;
                if first && next.is_some() && self.listed.is_empty() && self.slices.narrow() {
                    return Ok(());
                }
                self.slice_read = next.is_none();
                self.cookie = next;
                self.take(class, &page.entries).await
            }
        }
    }

    /// Turns the entries of a page into pages to give out.
    async fn take(&mut self, class: Class, entries: &[Entry]) -> Result<()> {
        let moment = Moment { now: self.cx.gate().clock().now_unix_millis(), lockout: self.controller.lockout };
        let mut page = SnapshotPage::default();
        let mut groups = Vec::new();
        for entry in entries {
            match class.read(entry, self.detail, &self.shared.config, &self.controller, &moment) {
                Listed::Excluded(reason) => *self.excluded.entry(reason).or_default() += 1,
                Listed::Quarantined(record) => {
                    if !matches!(record.id, Some(SourceId::Guid(guid)) if !self.listed.insert(guid)) {
                        page.quarantined.push(record);
                    }
                }
                Listed::Object(Found { guid, mut patch, primary, dn }) => {
                    if !self.listed.insert(guid) {
                        continue;
                    }
                    self.restarts = 0;
                    if let Some(sid) = primary {
                        // A group that cannot be seen is no statement that there is none.
                        patch.primary_group = self.primary_group(sid).await?.map(|group| Some(SourceId::Guid(group)));
                    }
                    page.patches.push(patch);
                    if class == Class::Groups && self.detail == Detail::Full {
                        groups.push((guid, dn, entry));
                    }
                }
            }
        }
        self.ready.push_back(page);
        self.take_members(groups).await
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

    /// Judges all groups of the slice that came without members together: a server that has no index for this question
    /// goes through every object each time it is asked.
    async fn judge_empty(&mut self) -> Result<()> {
        let empty = std::mem::take(&mut self.empty);
        let named = if self.members_readable {
            members::named_by_members(&self.shared.connection, &self.cx, &self.controller, &empty).await?
        } else {
            HashSet::new()
        };
        for (group, _) in empty {
            if !self.members_readable {
                self.not_readable(group, "the account may not read members of groups; let it read member".to_owned());
            } else if named.contains(&group) {
                // Perhaps somebody became a member a moment ago: read it once more before judging.
                self.pending.push_back(group);
            } else {
                self.close(Scope::Members(SourceId::Guid(group), Via::Explicit));
            }
        }
        Ok(())
    }

    /// Reads a group whose members did not all come with the listing.
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
        let mut page = SnapshotPage::default();
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

    fn last_page(&mut self) -> &mut SnapshotPage {
        if self.ready.is_empty() {
            self.ready.push_back(SnapshotPage::default());
        }
        self.ready.back_mut().expect("a page was just put there")
    }

    fn close(&mut self, scope: Scope) {
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
                self.ready.push_back(SnapshotPage::default());
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

    /// Ends a slice: everything of it was given out with the last page that is ready.
    fn seal(&mut self, class: Class) {
        self.slice_read = false;
        let objects = std::mem::take(&mut self.listed).len() as u64;
        self.restarts = 0;
        self.progress = PageProgress::new(STALLED_PAGES);
        if self.slices.is_last() {
            self.close(Scope::of(class.kind()));
            let excluded = std::mem::take(&mut self.excluded);
            tracing::debug!(class = class.operation(), ?excluded, "class listed");
            self.class = class.next();
            if let Some(next) = self.class {
                let (page_size, full_page) = (Self::page_size(&self.shared, next), self.shared.config.page_size);
                self.slices = Slices::new(0, None, self.position.usn, page_size, full_page);
            }
        } else {
            self.slices.advance(objects);
        }
        if let (Some(class), Detail::Full) = (self.class, self.detail) {
            let start = SliceStart {
                position: self.position.clone(),
                class,
                from: self.slices.from(),
                width: self.slices.width(),
            };
            self.last_page().checkpoint = Some(start.checkpoint());
        }
    }
}

#[async_trait]
impl SnapshotPager for Snapshot {
    async fn next(&mut self) -> Result<SnapshotStep> {
        loop {
            self.cx.check_cancelled()?;
            if let Some(class) = self.class
                && self.slice_read
                && self.pending.is_empty()
                && self.long.is_none()
            {
                if self.empty.is_empty() {
                    self.seal(class);
                } else if self.ready.is_empty() {
                    self.judge_empty().await?;
                    continue;
                }
            }
            if let Some(page) = self.ready.pop_front() {
                return Ok(SnapshotStep::Page(page));
            }
            if let Some(list) = self.long.take() {
                self.continue_list(list);
            } else if let Some(group) = self.pending.pop_front() {
                self.complete(group).await?;
            } else if let Some(class) = self.class {
                self.read_page(class).await?;
            } else {
                return Ok(SnapshotStep::End { cursor: Some(self.position.cursor()) });
            }
        }
    }
}
