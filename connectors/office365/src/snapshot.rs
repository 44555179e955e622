//! A full listing: users, groups, members and devices side by side. It must not know what is stored.
//!
//! What is left to read is a list of tasks, and that is the checkpoint. Requests run side by side and are delivered in
//! the order in which they were made, so that two listings of the same directory come in the same order. Nothing else is
//! kept: of groups only those whose members wait for their turn, and when many do, no further groups are read.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt;
use futures::future::{BoxFuture, FutureExt};
use futures::stream::FuturesOrdered;
use tenantry::endpoint::{Checkpoint, SnapshotPage, SnapshotPager, SnapshotStep};
use tenantry::model::{Edges, ObjectKind, Scope, SourceId, Unreadable, Via};
use tenantry::{Context, Error, ErrorKind, Result};

use crate::asleep::{self, Asleep};
use crate::client::Graph;
use crate::cursor::{Frontier, Link, Since, Task};
use crate::error::Refusal;
use crate::grants::HIDDEN_MEMBERS;
use crate::listing::{self, Answered, ListPage, MembersPage, Watch};
use crate::replay::Replay;
use crate::requests::Detail;
use crate::rights::Rights;
use crate::slices::{Cut, Search};

/// Groups that wait for their members at most before further groups are read.
const WAITING: usize = 2_000;
/// Tasks that are left for each page between two checkpoints: where more is left, it is written down less often.
const TASKS_PER_PAGE: usize = 64;
/// How often a position that Graph has forgotten is looked for again from the beginning of its part.
const RESTARTS: u8 = 5;

/// A listing under way.
pub(crate) struct Snapshot {
    reading: Reading,
    detail: Detail,
    hidden: bool,
    /// Parts of lists that wait for their next page.
    lists: VecDeque<Task>,
    /// Groups that wait for their members, or for more of them.
    groups: VecDeque<(Box<str>, Option<Link>)>,
    in_flight: FuturesOrdered<BoxFuture<'static, Result<Delivered>>>,
    /// What was asked for, in the order of the requests.
    sent: VecDeque<Sent>,
    unreadable: Vec<ObjectKind>,
    chains: HashMap<Box<str>, (Watch, u8)>,
    replay: Option<Replay>,
    since_checkpoint: usize,
    /// What has to be found out beside the first pages, before anything can be written down.
    pending: Pending,
    stage: Stage,
}

/// What is asked for when a listing begins, beside its first pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Pending {
    /// Who is deleted: known before the first members are read, which leave out who sleeps.
    asleep: bool,
    /// How users are cut into ranges.
    cut: bool,
}

/// What a listing and its requests share.
#[derive(Debug, Clone)]
struct Reading {
    graph: Arc<Graph>,
    cx: Context,
    since: Arc<Since>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Listing,
    Replaying,
    Closed,
    Failed,
}

#[derive(Debug)]
enum Sent {
    Asleep,
    Cut,
    List(Task),
    Members(Vec<(Box<str>, Option<Link>)>),
}

#[derive(Debug)]
enum Delivered {
    Asleep(Asleep),
    Cut(Cut),
    List(ListPage),
    Members(Vec<Answered>),
    Expired,
    Denied(Error),
}

impl Snapshot {
    /// Begins a listing, or goes on behind a checkpoint.
    pub(crate) async fn begin(
        graph: Arc<Graph>,
        cx: &Context,
        rights: &Rights,
        detail: Detail,
        from: Option<&Checkpoint>,
    ) -> Result<Self> {
        let now = cx.gate().clock().now_unix_millis();
        let (frontier, pending) = match from {
            Some(checkpoint) => (Frontier::read(checkpoint, rights.tenant, now)?, Pending::default()),
            None => {
                // Before anything is listed: what changes from now on comes by these.
                let since = match detail {
                    Detail::Full => Box::pin(crate::delta::latest(&graph, cx, rights, now)).await?,
                    Detail::Ids => Since::nothing(rights.tenant, now),
                };
                let left = vec![Task::Groups { next: None }, Task::Devices { next: None }];
                let pending = Pending { asleep: detail == Detail::Full, cut: true };
                (Frontier { since, left, unreadable: Vec::new() }, pending)
            }
        };
        let mut snapshot = Self {
            reading: Reading { graph, cx: cx.clone(), since: Arc::new(frontier.since) },
            detail,
            hidden: rights.has(HIDDEN_MEMBERS),
            lists: VecDeque::new(),
            groups: VecDeque::new(),
            in_flight: FuturesOrdered::new(),
            sent: VecDeque::new(),
            unreadable: frontier.unreadable,
            chains: HashMap::new(),
            replay: None,
            since_checkpoint: 0,
            pending,
            stage: Stage::Listing,
        };
        if pending.asleep {
            snapshot.send(Sent::Asleep, |reading| async move {
                asleep::read(&reading.graph, &reading.cx, now).await.map(Delivered::Asleep)
            });
        }
        if pending.cut {
            let most = usize::from(snapshot.reading.graph.config.concurrency / 2).max(1);
            snapshot.search(Search::new(most));
        }
        for task in frontier.left {
            match task {
                Task::Members { group, next } => snapshot.groups.push_back((group, next)),
                list => snapshot.lists.push_back(list),
            }
        }
        Ok(snapshot)
    }

    /// Keeps as many requests on their way as may run.
    fn fill(&mut self) {
        let width = usize::from(self.reading.graph.config.concurrency).max(1);
        while self.in_flight.len() < width {
            let lists = self.sent.iter().filter(|sent| matches!(sent, Sent::List(_))).count();
            let more_groups = self.lists.iter().chain(self.sent.iter().filter_map(Sent::list)).any(Task::is_groups);
            let batch = self.groups.len() >= self.batch() || (!more_groups && !self.groups.is_empty());
            let batch = batch && !self.pending.asleep;
            // Both go on side by side, whichever there is more of.
            if batch && lists * 2 >= width {
                self.send_members();
            } else if let Some(at) = self.next_list() {
                if let Some(task) = self.lists.remove(at) {
                    self.send_list(task);
                }
            } else if batch {
                self.send_members();
            } else {
                return;
            }
        }
    }

    /// How many groups' members are asked for at once.
    fn batch(&self) -> usize {
        self.reading.graph.config.batch
    }

    fn next_list(&self) -> Option<usize> {
        let full = self.groups.len() >= WAITING;
        self.lists.iter().position(|task| !(full && task.is_groups()))
    }

    fn send<F>(&mut self, sent: Sent, read: impl FnOnce(Reading) -> F)
    where
        F: Future<Output = Result<Delivered>> + Send + 'static,
    {
        self.in_flight.push_back(read(self.reading.clone()).boxed());
        self.sent.push_back(sent);
    }

    fn send_list(&mut self, task: Task) {
        let (detail, asked) = (self.detail, task.clone());
        self.send(Sent::List(task), |reading| async move { reading.list(&asked, detail).await });
    }

    fn send_members(&mut self) {
        let wanted: Vec<_> = self.groups.drain(..self.batch().min(self.groups.len())).collect();
        let asked = wanted.clone();
        self.send(Sent::Members(wanted), |reading| async move {
            listing::members(&reading.graph, &reading.cx, &asked).await.map(Delivered::Members)
        });
    }

    /// Asks the next questions of a search for bounds: beside the pages, none of which have to wait for it.
    fn search(&mut self, search: Search) {
        self.send(
            Sent::Cut,
            |reading| async move { search.round(&reading.graph, &reading.cx).await.map(Delivered::Cut) },
        );
    }

    async fn deliver(&mut self) -> Result<Option<SnapshotPage>> {
        let (sent, delivered) = loop {
            self.fill();
            let Some(delivered) = self.in_flight.next().await else { return Ok(None) };
            let sent = self.sent.pop_front().ok_or_else(|| Error::protocol("an answer to nothing"))?;
            match (sent, delivered?) {
                (Sent::Asleep, Delivered::Asleep(asleep)) => {
                    Arc::make_mut(&mut self.reading.since).asleep = asleep;
                    self.pending.asleep = false;
                }
                (Sent::Cut, Delivered::Cut(Cut::Further(search))) => self.search(search),
                (Sent::Cut, Delivered::Cut(Cut::Ranges(ranges))) => {
                    self.lists.extend(ranges);
                    self.pending.cut = false;
                }
                page => break page,
            }
        };
        let mut page = SnapshotPage::default();
        match (sent, delivered) {
            (Sent::List(task), Delivered::List(listed)) => self.take_list(task, listed, &mut page)?,
            (Sent::List(task), Delivered::Expired) => self.restart(task)?,
            (Sent::List(task), Delivered::Denied(error)) => self.deny(&task, error, &mut page)?,
            (Sent::Members(asked), Delivered::Members(answers)) => {
                for ((group, _), answered) in asked.into_iter().zip(answers) {
                    self.take_members(group, answered, &mut page)?;
                }
            }
            _ => return Err(Error::protocol("an answer to something else")),
        }
        self.mark(&mut page);
        Ok(Some(page))
    }

    fn take_list(&mut self, task: Task, listed: ListPage, page: &mut SnapshotPage) -> Result<()> {
        if task.is_groups() && self.detail == Detail::Full {
            for (patch, hidden) in listed.patches.iter().zip(&listed.hidden) {
                if *hidden && !self.hidden {
                    page.unreadable.push(hidden_members(&patch.object.id));
                } else {
                    self.groups.push_back((patch.object.id.to_string().into(), None));
                }
            }
        }
        page.patches = listed.patches;
        page.quarantined = listed.quarantined;
        let key = task.key();
        match listed.next {
            Some(next) => {
                self.chains.entry(key).or_default().0.note(listed.mark, Some(&next))?;
                self.lists.push_back(task.behind(next));
            }
            None => {
                self.chains.remove(&key);
            }
        }
        if self.detail == Detail::Ids {
            for patch in &mut page.patches {
                patch.attributes = tenantry::model::Attributes::new();
                patch.observations = tenantry::model::Attributes::new();
                patch.anchors.clear();
            }
        }
        Ok(())
    }

    fn take_members(&mut self, group: Box<str>, answered: Answered, page: &mut SnapshotPage) -> Result<()> {
        let id = SourceId::parse(&group);
        match answered {
            Answered::Page(MembersPage { members, next, mark }) => {
                page.edges.push(Edges { group: id.clone(), via: Via::Explicit, members });
                match next {
                    Some(next) => {
                        self.chains.entry(group.clone()).or_default().0.note(mark, Some(&next))?;
                        // Before the others: what is open is kept in memory somewhere.
                        self.groups.push_front((group, Some(next)));
                    }
                    None => {
                        self.chains.remove(&group);
                        page.closed.push(Scope::Members(id, Via::Explicit));
                    }
                }
            }
            Answered::Unreadable(reason) => {
                self.chains.remove(&group);
                page.unreadable.push(Unreadable { scope: Scope::Members(id, Via::Explicit), reason: reason.into() });
            }
            Answered::Expired => self.restart(Task::Members { group, next: None })?,
        }
        Ok(())
    }

    /// Reads a part from its beginning: Graph has forgotten the position in it.
    fn restart(&mut self, task: Task) -> Result<()> {
        let (watch, times) = self.chains.entry(task.key()).or_default();
        *watch = Watch::default();
        *times += 1;
        if *times > RESTARTS {
            return Err(Error::new(ErrorKind::Unavailable, "graph forgets the position in a listing again and again"));
        }
        match task.begun_anew() {
            Task::Members { group, .. } => self.groups.push_front((group, None)),
            list => self.lists.push_front(list),
        }
        Ok(())
    }

    /// A kind that may not be read at all is said to be so; nothing of it is closed. Without users there is no import.
    fn deny(&mut self, task: &Task, error: Error, page: &mut SnapshotPage) -> Result<()> {
        let kind = task.kind();
        if kind == ObjectKind::User {
            return Err(error);
        }
        if !self.unreadable.contains(&kind) {
            self.unreadable.push(kind);
        }
        let reason = match kind {
            ObjectKind::Group => "the application may not read groups; grant GroupMember.Read.All",
            _ => "the application may not read devices; grant Device.Read.All",
        };
        page.unreadable.push(Unreadable { scope: Scope::of(kind), reason: reason.into() });
        Ok(())
    }

    /// Puts a checkpoint on a page, more rarely where there is much to write down.
    fn mark(&mut self, page: &mut SnapshotPage) {
        if self.detail == Detail::Ids || self.pending != Pending::default() {
            return;
        }
        self.since_checkpoint += 1;
        let left = self.lists.len() + self.groups.len() + self.reading.since.asleep.len();
        if self.since_checkpoint * TASKS_PER_PAGE > left {
            self.since_checkpoint = 0;
            page.checkpoint = Some(self.frontier().checkpoint());
        }
    }

    /// Returns what is left: what is on its way has not come yet.
    fn frontier(&self) -> Frontier {
        let sent = self.sent.iter().flat_map(|sent| match sent {
            Sent::Asleep | Sent::Cut => Vec::new(),
            Sent::List(task) => vec![task.clone()],
            Sent::Members(groups) => groups.iter().map(members_task).collect(),
        });
        let left = sent.chain(self.lists.iter().cloned()).chain(self.groups.iter().map(members_task)).collect();
        Frontier { since: (*self.reading.since).clone(), left, unreadable: self.unreadable.clone() }
    }

    /// Closes what was read to its end.
    fn close(&self) -> SnapshotPage {
        let closed = ObjectKind::ALL.iter().filter(|kind| !self.unreadable.contains(kind));
        SnapshotPage { closed: closed.map(|kind| Scope::of(*kind)).collect(), ..SnapshotPage::default() }
    }

    async fn step(&mut self) -> Result<SnapshotStep> {
        loop {
            self.reading.cx.check_cancelled()?;
            match self.stage {
                Stage::Listing => {
                    if let Some(page) = self.deliver().await? {
                        return Ok(SnapshotStep::Page(page));
                    }
                    self.stage = Stage::Replaying;
                    if self.detail == Detail::Full {
                        let reading = &self.reading;
                        self.replay = Some(Replay::new(Arc::clone(&reading.graph), &reading.cx, &reading.since));
                    }
                }
                Stage::Replaying => {
                    if let Some(replay) = &mut self.replay
                        && let Some(page) = replay.next().await?
                    {
                        return Ok(SnapshotStep::Page(page));
                    }
                    self.stage = Stage::Closed;
                    return Ok(SnapshotStep::Page(self.close()));
                }
                Stage::Closed => {
                    // The links from before the first page: what the replay showed comes once more, and with it what a
                    // listing cannot say, that a membership ended.
                    let cursor = (self.detail == Detail::Full).then(|| self.reading.since.cursor());
                    return Ok(SnapshotStep::End { cursor });
                }
                Stage::Failed => return Err(Error::protocol("the listing was broken off before")),
            }
        }
    }
}

#[async_trait]
impl SnapshotPager for Snapshot {
    async fn next(&mut self) -> Result<SnapshotStep> {
        let step = self.step().await;
        if step.is_err() {
            self.stage = Stage::Failed;
        }
        step
    }
}

impl Reading {
    /// Reads the next page of a list.
    async fn list(&self, task: &Task, detail: Detail) -> Result<Delivered> {
        let requests = &self.graph.requests;
        let url = match task {
            Task::Users { next: Some(link), .. }
            | Task::Groups { next: Some(link) }
            | Task::Devices { next: Some(link) } => self.graph.at(link),
            Task::Users { from, to, .. } => requests.users_between(from.as_deref(), to.as_deref(), detail),
            other => requests.list(other.kind(), detail),
        };
        match listing::page(&self.graph, &self.cx, task.kind(), detail, &url).await {
            Ok(page) => Ok(Delivered::List(page)),
            Err(error) if Refusal::of(&error).is_some_and(Refusal::is_of_an_expired_page) => Ok(Delivered::Expired),
            Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied { .. }) => Ok(Delivered::Denied(error)),
            Err(error) => Err(error),
        }
    }
}

impl Sent {
    fn list(&self) -> Option<&Task> {
        match self {
            Self::List(task) => Some(task),
            _ => None,
        }
    }
}

fn members_task((group, next): &(Box<str>, Option<Link>)) -> Task {
    Task::Members { group: group.clone(), next: next.clone() }
}

/// Members that are shown only to who has a right of its own: an empty list of them says nothing.
pub(crate) fn hidden_members(group: &SourceId) -> Unreadable {
    Unreadable {
        scope: Scope::Members(group.clone(), Via::Explicit),
        reason: "the group hides its members; grant Member.Read.Hidden".into(),
    }
}
