//! The right connector for the server in memory: the one that all wrong ones lead astray.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use tenantry::endpoint::{
    Action, ActionOutcome, Actor, Checkpoint, CoverageInfo, Cursor, DeltaEndpoint, DeltaPage, DeltaPager, DeltaStep,
    Evidence, Membership, ObjectRef, Presence, Reason, SnapshotPage, SnapshotPager, SnapshotStep, Verification,
};
use tenantry::gate::Cost;
use tenantry::model::{
    Edges, EndpointName, Member, MemberKind, ObjectKey, ObjectKind, Patch, Quarantined, Scope, SourceId, Tombstone,
    TombstoneKind, Unreadable, UserKind, UserState, Value, Via, names,
};
use tenantry::{Context, Endpoint, EndpointInfo, Error, ErrorKind, Result, Secret};
use uuid::Uuid;

use super::server::{Change, Found, Row, Server, Token, guid};

const VERSION: u16 = 1;

#[derive(Debug, Clone)]
pub(crate) struct Memory {
    pub(crate) info: EndpointInfo,
    pub(crate) server: Server,
    pub(crate) filter: &'static str,
    pub(crate) secret: Secret,
}

impl Memory {
    pub(crate) fn new(server: Server) -> Self {
        let info = EndpointInfo::new(EndpointName::new("memory").unwrap(), "memory");
        Self { info, server, filter: "", secret: Secret::new(super::server::PASSWORD) }
    }

    async fn sign_in(&self, cx: &Context) -> Result<()> {
        cx.gate().call(Cost::default(), "sign in", |_| self.server.sign_in(self.secret.expose())).await
    }

    async fn about(&self, cx: &Context) -> Result<(Uuid, bool, u64)> {
        self.sign_in(cx).await?;
        cx.gate().call(Cost::default(), "read the root", |_| self.server.about()).await
    }

    async fn find(&self, cx: &Context, id: Uuid) -> Result<Found> {
        cx.gate().call(Cost::default(), "read an object", |_| self.server.find(id)).await
    }

    async fn members(&self, cx: &Context, group: Uuid, after: u128) -> Result<Option<(Vec<Uuid>, bool)>> {
        cx.gate().call(Cost::default(), "read members", |_| self.server.members(group, after)).await
    }

    async fn all_members(&self, cx: &Context, group: Uuid) -> Result<Option<Vec<Uuid>>> {
        let mut all = Vec::new();
        loop {
            let after = all.last().map_or(0, Uuid::as_u128);
            let Some((members, more)) = self.members(cx, group, after).await? else { return Ok(None) };
            all.extend(members);
            if !more {
                return Ok(Some(all));
            }
        }
    }
}

fn object(row: &Row) -> ObjectKey {
    ObjectKey { kind: row.kind, id: row.id.into() }
}

fn patch(row: &Row) -> Patch {
    let mut patch = Patch::new(row.kind, row.id).in_container(row.place);
    if row.kind != ObjectKind::User {
        return patch.with(names::NAME, row.last.as_str());
    }
    patch.primary_group = Some(row.primary.map(SourceId::Guid));
    if let Some(suspended) = row.suspended {
        patch.attributes.set(names::STATE, if suspended { UserState::Suspended } else { UserState::Active });
    }
    patch
        .with(names::KIND, UserKind::Person)
        .with(names::FIRST_NAME, row.first.as_str())
        .with(names::LAST_NAME, row.last.as_str())
        .with(names::PRIMARY_EMAIL, Value::text(row.mail.as_deref()))
}

fn quarantined(row: &Row) -> Quarantined {
    Quarantined { kind: row.kind, id: Some(row.id.into()), reason: "the record makes no sense; correct it".into() }
}

fn edges(group: Uuid, members: impl IntoIterator<Item = Uuid>) -> Edges {
    let member = |id: Uuid| Member { id: id.into(), kind: MemberKind::Unknown };
    Edges { group: group.into(), via: Via::Explicit, members: members.into_iter().map(member).collect() }
}

fn members_of(group: Uuid) -> Scope {
    Scope::Members(group.into(), Via::Explicit)
}

fn denied(group: Uuid) -> Unreadable {
    Unreadable { scope: members_of(group), reason: "the account may not read members; let it".into() }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Detail {
    Full,
    Ids,
}

struct Listing {
    endpoint: Memory,
    cx: Context,
    detail: Detail,
    directory: Uuid,
    since: u64,
    token: Token,
    ended: bool,
    groups: VecDeque<Uuid>,
    after_member: u128,
}

#[async_trait]
impl SnapshotPager for Listing {
    async fn next(&mut self) -> Result<SnapshotStep> {
        self.cx.check_cancelled()?;
        let mut page = SnapshotPage::default();
        if let Some(group) = self.groups.front().copied() {
            match self.endpoint.members(&self.cx, group, self.after_member).await? {
                None => page.unreadable.push(denied(group)),
                Some((members, true)) => {
                    self.after_member = members.last().map_or(0, Uuid::as_u128);
                    page.edges.push(edges(group, members));
                    return Ok(SnapshotStep::Page(page));
                }
                Some((members, false)) => {
                    page.edges.push(edges(group, members));
                    page.closed.push(members_of(group));
                }
            }
            self.groups.pop_front();
            self.after_member = 0;
        } else if self.ended {
            return Ok(SnapshotStep::End { cursor: Some(cursor(self.directory, self.since)) });
        } else {
            let server = self.endpoint.server.clone();
            let (rows, next) = self.cx.gate().call(Cost::default(), "list", |_| server.page(self.token)).await?;
            if next.is_some_and(|next| next == self.token || next.after < self.token.after) {
                return Err(Error::protocol("the server gives the same page again"));
            }
            for row in &rows {
                match (row.broken, self.detail) {
                    (true, _) => page.quarantined.push(quarantined(row)),
                    (false, Detail::Ids) => page.patches.push(Patch::new(row.kind, row.id)),
                    (false, Detail::Full) => page.patches.push(patch(row)),
                }
            }
            if self.detail == Detail::Full {
                self.groups.extend(rows.iter().filter(|row| row.kind == ObjectKind::Group).map(|row| row.id));
            }
            match next {
                Some(next) => self.token = next,
                None => {
                    self.token = Token::after(rows.last().map_or(self.token.after, |row| row.id.as_u128()));
                    self.ended = true;
                    page.closed.extend([Scope::Users, Scope::Groups, Scope::Computers]);
                }
            }
        }
        if self.groups.is_empty() && !self.ended && self.detail == Detail::Full {
            let parts = [&self.directory.as_bytes()[..], &self.since.to_be_bytes(), &self.token.after.to_be_bytes()];
            page.checkpoint = Some(Checkpoint::new(VERSION, parts.concat()));
        }
        Ok(SnapshotStep::Page(page))
    }
}

fn cursor(directory: Uuid, number: u64) -> Cursor {
    Cursor::new(VERSION, [&directory.as_bytes()[..], &number.to_be_bytes()].concat())
}

fn read_cursor(version: u16, bytes: &[u8]) -> Option<(Uuid, u64, &[u8])> {
    let (directory, rest) = bytes.split_first_chunk::<16>()?;
    let (number, rest) = rest.split_first_chunk::<8>()?;
    (version == VERSION).then(|| (Uuid::from_bytes(*directory), u64::from_be_bytes(*number), rest))
}

impl Memory {
    async fn listing(&self, cx: &Context, detail: Detail, from: Option<&Checkpoint>) -> Result<Listing> {
        let (directory, _, since) = self.about(cx).await?;
        let (since, token) = match from {
            None => (since, Token::default()),
            Some(from) => read_cursor(from.version(), from.bytes())
                .filter(|(of, ..)| *of == directory)
                .and_then(|(_, since, rest)| Some((since, Token::after(u128::from_be_bytes(rest.try_into().ok()?)))))
                .ok_or_else(|| Error::new(ErrorKind::Conflict, "not a checkpoint of this endpoint"))?,
        };
        let (endpoint, cx, groups) = (self.clone(), cx.clone(), VecDeque::new());
        Ok(Listing { endpoint, cx, detail, directory, since, token, ended: false, groups, after_member: 0 })
    }
}

#[async_trait]
impl Endpoint for Memory {
    fn info(&self) -> &EndpointInfo {
        &self.info
    }

    async fn coverage(&self, cx: &Context) -> Result<CoverageInfo> {
        let (directory, readable, _) = self.about(cx).await?;
        let mut coverage = CoverageInfo::new(directory.to_string(), 1);
        coverage.rights.extend(readable.then(|| "read".to_owned()));
        coverage.filters.insert("users".into(), self.filter.into());
        Ok(coverage)
    }

    async fn verify(&self, cx: &Context) -> Result<Verification> {
        let (directory, ..) = self.about(cx).await?;
        Ok(Verification { identity: directory.to_string(), ..Verification::default() })
    }

    async fn snapshot(&self, cx: &Context, from: Option<&Checkpoint>) -> Result<Box<dyn SnapshotPager>> {
        Ok(Box::new(self.listing(cx, Detail::Full, from).await?))
    }

    async fn id_listing(&self, cx: &Context) -> Result<Box<dyn SnapshotPager>> {
        Ok(Box::new(self.listing(cx, Detail::Ids, None).await?))
    }

    async fn lookup(&self, cx: &Context, ids: &[ObjectRef]) -> Result<Vec<Presence>> {
        self.sign_in(cx).await?;
        let mut answers = Vec::new();
        for asked in ids {
            answers.push(match self.find(cx, guid(&asked.key.id)).await? {
                Found::There(row) if row.outside => Presence::OutOfScope,
                Found::There(row) if row.broken => Presence::Present(None),
                Found::There(row) => Presence::Present(Some(Box::new(patch(&row)))),
                Found::Deleted => Presence::Gone(Evidence::Tombstone(TombstoneKind::Soft)),
                Found::Nothing => Presence::Unknown(Reason::NoTombstone),
            });
        }
        Ok(answers)
    }

    async fn check_members(&self, cx: &Context, group: &ObjectRef, members: &[SourceId]) -> Result<Vec<Membership>> {
        self.sign_in(cx).await?;
        let Some(all) = self.all_members(cx, guid(&group.key.id)).await? else {
            return Ok(vec![Membership::Unknown; members.len()]);
        };
        let answer = |id| if all.contains(&guid(id)) { Membership::Member } else { Membership::NotMember };
        Ok(members.iter().map(answer).collect())
    }

    fn as_delta(&self) -> Option<&dyn DeltaEndpoint> {
        Some(self)
    }

    fn as_actor(&self) -> Option<&dyn Actor> {
        Some(self)
    }
}

struct Changes {
    endpoint: Memory,
    cx: Context,
    directory: Uuid,
    /// Behind which number to go on; `None`: caught up.
    after: Option<u64>,
    until: u64,
    usable: bool,
}

#[async_trait]
impl DeltaEndpoint for Memory {
    async fn delta(&self, cx: &Context, since: &Cursor) -> Result<Box<dyn DeltaPager>> {
        let (directory, _, until) = self.about(cx).await?;
        let since = read_cursor(since.version(), since.bytes())
            .filter(|(of, _, rest)| *of == directory && rest.is_empty())
            .map(|(_, since, _)| since);
        let (endpoint, cx, usable) = (self.clone(), cx.clone(), since.is_some());
        Ok(Box::new(Changes { endpoint, cx, directory, after: since, until, usable }))
    }

    fn tells_removals(&self, coverage: &CoverageInfo) -> bool {
        coverage.rights.contains("read")
    }
}

#[async_trait]
impl DeltaPager for Changes {
    async fn next(&mut self) -> Result<DeltaStep> {
        self.cx.check_cancelled()?;
        let Some(after) = self.after.filter(|_| self.usable) else {
            return Ok(if self.usable {
                DeltaStep::CaughtUp(cursor(self.directory, self.until))
            } else {
                DeltaStep::CursorExpired
            });
        };
        let server = self.endpoint.server.clone();
        let call = self.cx.gate().call(Cost::default(), "read changes", |_| server.changes(after, self.until));
        let Some((changes, next)) = call.await? else {
            self.usable = false;
            return Ok(DeltaStep::CursorExpired);
        };
        if next == Some(after) {
            return Err(Error::protocol("the server gives the same page again"));
        }
        let mut page = DeltaPage::default();
        for change in changes {
            match change {
                Change::Object(row) if row.outside => page.out_of_scope.push(object(&row)),
                Change::Object(row) if row.broken => page.quarantined.push(quarantined(&row)),
                Change::Object(row) => page.patches.push(patch(&row)),
                Change::Deleted(id, kind) => page
                    .tombstones
                    .push(Tombstone { object: ObjectKey { kind, id: id.into() }, kind: TombstoneKind::Soft }),
                Change::Members(group) => match self.endpoint.all_members(&self.cx, group).await? {
                    Some(members) => {
                        page.edges_added.push(edges(group, members));
                        page.closed.push(members_of(group));
                    }
                    None => page.unreadable.push(denied(group)),
                },
            }
        }
        self.after = next;
        Ok(DeltaStep::Page(page))
    }
}

#[async_trait]
impl Actor for Memory {
    fn offers(&self, action: Action, kind: ObjectKind) -> bool {
        kind == ObjectKind::User && matches!(action, Action::Suspend | Action::Resume)
    }

    async fn begin(&self, cx: &Context) -> Result<()> {
        self.about(cx).await.map(drop)
    }

    async fn act(&self, cx: &Context, action: Action, account: &ObjectKey) -> Result<ActionOutcome> {
        let refused = |why: &'static str| Ok(ActionOutcome::Refused(Error::new(ErrorKind::Unsupported, why)));
        let wanted = match action {
            Action::Suspend => true,
            Action::Resume => false,
            _ => return refused("this directory only suspends and resumes"),
        };
        self.sign_in(cx).await?;
        let id = guid(&account.id);
        let row = match self.find(cx, id).await? {
            Found::There(row) if !row.outside && !row.system => row,
            _ => return refused("not an account that is imported; leave it alone"),
        };
        if row.suspended == Some(wanted) {
            return Ok(ActionOutcome::AlreadySo);
        }
        let sent = AtomicBool::new(false);
        let change = |_| {
            sent.store(true, Ordering::Relaxed);
            self.server.set_suspended(id, wanted)
        };
        match cx.gate().call(Cost::default(), "suspend", change).await {
            Ok(true) => {}
            Ok(false) => return refused("the account is protected; let the endpoint's account change it"),
            Err(error) if sent.load(Ordering::Relaxed) => {
                let maybe = "the change may have been made; the next import tells";
                return Err(Error::new(ErrorKind::Unavailable, maybe).with_source(error));
            }
            Err(error) => return Err(error),
        }
        match self.find(cx, id).await? {
            Found::There(row) if row.suspended == Some(wanted) => Ok(ActionOutcome::Done),
            _ => refused("the server took it and did nothing; ask again"),
        }
    }
}
