//! A full listing: one beginning after the other, groups with their members. It must not know what an attribute means.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use async_trait::async_trait;
use futures::future::try_join_all;
use tenantry::endpoint::{Checkpoint, SnapshotPage, SnapshotPager, SnapshotStep};
use tenantry::model::{ObjectKind, Patch, Scope, SourceId, Unreadable};
use tenantry::{Context, Error, Result};

use super::api::Api;
use super::cursor::Position;
use super::error::unusable_checkpoint;
use super::map::{self, Mapped};
use super::recipients::{Found, Members, find, members};
use super::walk::{Gap, Walk};

/// Beginnings that are asked for together; the gate decides how many of them reach the server at a time.
const BATCH: usize = 16;
/// Groups whose members are on one page.
const GROUPS: usize = 16;
/// Requests, and recipients, between two checkpoints.
const REQUESTS: u32 = 512;
const RECIPIENTS: usize = 1000;

/// Whether attributes and members come too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detail {
    Full,
    Ids,
}

/// A listing under way.
pub(crate) struct Snapshot {
    api: Arc<Api>,
    cx: Context,
    detail: Detail,
    position: Position,
    /// Groups that came and whose members did not.
    groups: VecDeque<(SourceId, Box<str>)>,
    /// At the last checkpoint: requests, recipients.
    kept: (u32, usize),
    closed: bool,
    /// A step failed or was dropped.
    broken: bool,
}

impl Snapshot {
    pub(crate) async fn begin(
        api: Arc<Api>,
        cx: &Context,
        detail: Detail,
        identity: String,
        from: Option<&Checkpoint>,
    ) -> Result<Self> {
        let position = match from {
            None => {
                let mut walk = Walk::new(api.config.max_calls);
                // A server that does not listen would be asked without end.
                if find(&api, cx, Walk::nonsense()).await?.cut {
                    walk.is_deaf();
                }
                Position { identity, walk, seen: HashSet::new(), done: false }
            }
            Some(checkpoint) => {
                let position = Position::read(checkpoint)?;
                if position.identity != identity {
                    return Err(unusable_checkpoint());
                }
                position
            }
        };
        let kept = (position.walk.asked(), position.seen.len());
        let groups = VecDeque::new();
        Ok(Self { api, cx: cx.clone(), detail, position, groups, kept, closed: false, broken: false })
    }

    async fn step(&mut self) -> Result<SnapshotStep> {
        let mut page = SnapshotPage::default();
        if !self.groups.is_empty() {
            self.read_members(&mut page).await?;
        } else if !self.position.done {
            self.read_recipients(&mut page).await?;
        } else if self.closed {
            self.cx.check_cancelled()?;
            return Ok(SnapshotStep::End { cursor: None });
        } else {
            self.cx.check_cancelled()?;
            self.close(&mut page);
        }
        let (asked, seen) = (self.position.walk.asked(), self.position.seen.len());
        let due = asked - self.kept.0 >= REQUESTS || seen - self.kept.1 >= RECIPIENTS || self.position.done;
        if due && self.groups.is_empty() && !self.closed {
            self.kept = (asked, seen);
            page.checkpoint = Some(self.position.write());
        }
        Ok(SnapshotStep::Page(page))
    }

    async fn read_recipients(&mut self, page: &mut SnapshotPage) -> Result<()> {
        let beginnings: Vec<String> = std::iter::from_fn(|| self.position.walk.next()).take(BATCH).collect();
        if beginnings.is_empty() {
            self.position.done = true;
            return Ok(());
        }
        let asked = beginnings.iter().map(|beginning| find(&self.api, &self.cx, beginning));
        let answers = try_join_all(asked).await?;
        for (beginning, found) in beginnings.iter().zip(answers) {
            let heard: Vec<_> = found.items.iter().map(map::heard).collect();
            self.position.walk.hear(beginning, &heard, found.cut);
            self.take(&found, page);
        }
        Ok(())
    }

    /// Takes whoever was not told before.
    fn take(&mut self, found: &Found, page: &mut SnapshotPage) {
        for resolution in &found.items {
            let name = match map::primary(resolution) {
                Some(address) => SourceId::address(address),
                // Told under each of its beginnings, it is set aside once.
                None => SourceId::address(&format!("\0{}", resolution.mailbox.address)),
            };
            if !self.position.seen.insert(hash(&name)) {
                continue;
            }
            match map::object(resolution, self.api.is_full()) {
                Mapped::Object(patch) => self.list(*patch, map::primary(resolution).unwrap_or_default(), page),
                Mapped::Left(why) => tracing::debug!(why, "a result is not imported"),
                Mapped::Senseless(quarantined) => page.quarantined.push(quarantined),
            }
        }
    }

    fn list(&mut self, mut patch: Patch, address: &str, page: &mut SnapshotPage) {
        match self.detail {
            Detail::Ids => patch = Patch::new(patch.object.kind, patch.object.id),
            Detail::Full if patch.object.kind == ObjectKind::Group => {
                self.groups.push_back((patch.object.id.clone(), address.into()));
            }
            Detail::Full => {}
        }
        page.patches.push(patch);
    }

    async fn read_members(&mut self, page: &mut SnapshotPage) -> Result<()> {
        let groups: Vec<_> = self.groups.drain(..self.groups.len().min(GROUPS)).collect();
        let asked = groups.iter().map(|(group, address)| members(&self.api, &self.cx, group, address));
        for read in try_join_all(asked).await? {
            match read {
                Members::All(edges) => {
                    page.closed.push(Scope::Members(edges.group.clone(), edges.via));
                    page.edges.push(edges);
                }
                Members::Some(edges, unreadable) => {
                    page.edges.push(edges);
                    page.unreadable.push(unreadable);
                }
            }
        }
        Ok(())
    }

    /// Says that everybody came, or why that cannot be said.
    fn close(&mut self, page: &mut SnapshotPage) {
        self.closed = true;
        let walk = &self.position.walk;
        tracing::debug!(requests = walk.asked(), cuts = walk.cuts(), gap = ?walk.gap(), "the address book was walked");
        match walk.gap() {
            None => page.closed.extend([Scope::Users, Scope::Groups]),
            Some(gap) => page.unreadable.extend([Scope::Users, Scope::Groups].map(|scope| open(scope, gap))),
        }
    }
}

fn open(scope: Scope, gap: Gap) -> Unreadable {
    Unreadable { scope, reason: gap.reason().to_owned() }
}

fn hash(id: &SourceId) -> u64 {
    let key = id.key().0;
    u64::from_le_bytes([key[0], key[1], key[2], key[3], key[4], key[5], key[6], key[7]])
}

#[async_trait]
impl SnapshotPager for Snapshot {
    async fn next(&mut self) -> Result<SnapshotStep> {
        if self.broken {
            return Err(Error::protocol("the listing failed and cannot go on; it starts again"));
        }
        self.broken = true;
        let step = self.step().await?;
        self.broken = false;
        Ok(step)
    }
}
