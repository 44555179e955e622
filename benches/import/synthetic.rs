//! A directory that is computed, not kept: pages are made when they are asked for.

use std::fmt;

use async_trait::async_trait;
use tenantry::Result;
use tenantry::endpoint::{
    Checkpoint, Context, CoverageInfo, Cursor, DeltaEndpoint, DeltaPage, DeltaPager, DeltaStep, Endpoint, EndpointInfo,
    Evidence, Membership, ObjectRef, Presence, SnapshotPage, SnapshotPager, SnapshotStep, Verification,
};
use tenantry::gate::Cost;
use tenantry::model::{
    AttributeName, Edges, EndpointName, GroupKind, Member, MemberKind, ObjectKind, Patch, Scope, SourceId, UserKind,
    UserState, Value, Via, names,
};
use uuid::Uuid;

const DEPARTMENT: AttributeName = AttributeName::fixed("attributes.department");
const EMPLOYEE_ID: AttributeName = AttributeName::fixed("attributes.employee_id");
const TITLE: AttributeName = AttributeName::fixed("attributes.title");

/// Objects of one page.
const PAGE: u64 = 1000;

/// How large a directory is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) name: &'static str,
    pub(crate) users: u64,
    groups: u64,
    memberships: u64,
}

impl Size {
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let all = [
            Self { name: "10k", users: 10_000, groups: 1_000, memberships: 100_000 },
            Self { name: "100k", users: 100_000, groups: 10_000, memberships: 1_000_000 },
            Self { name: "1m", users: 1_000_000, groups: 100_000, memberships: 10_000_000 },
        ];
        all.into_iter().find(|size| size.name == name)
    }

    fn members_of(self, group: u64) -> impl Iterator<Item = u64> {
        let each = self.memberships / self.groups;
        // Each group takes users all over the directory, each once.
        (0..each).map(move |at| (group.wrapping_mul(7919) + at * (self.users / each)) % self.users)
    }

    /// Makes one page of a listing: groups with their members, then users.
    fn page(self, from: u64, place: Place) -> SnapshotPage {
        let all = self.groups + self.users;
        let until = (from + PAGE).min(all);
        let mut page = SnapshotPage::default();
        for number in from..until {
            if number >= self.groups {
                let mut user = user(number - self.groups);
                user.object.id = place.id(1, number - self.groups);
                page.patches.push(user);
                continue;
            }
            let mut group = group(number);
            group.object.id = place.id(2, number);
            page.patches.push(group);
            let member = |member| Member { id: place.id(1, member), kind: MemberKind::User };
            let members = self.members_of(number).map(member).collect();
            page.edges.push(Edges { group: place.id(2, number), via: Via::Explicit, members });
            page.closed.push(Scope::Members(place.id(2, number), Via::Explicit));
        }
        if until == all {
            page.closed.extend([Scope::Users, Scope::Groups, Scope::Computers]);
        }
        page.checkpoint = Some(Checkpoint::new(1, until.to_be_bytes()));
        page
    }

    /// Makes all pages and drops them: what of a measurement is not the engine's.
    pub(crate) fn make_all_pages(self) {
        for from in (0..self.groups + self.users).step_by(usize::try_from(PAGE).unwrap()) {
            std::hint::black_box(self.page(from, Place::First));
        }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.users, self.groups, self.memberships)
    }
}

/// Which of two directories that show the same people: the second one knows them by other ids, and by the first one's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    First,
    Second,
}

impl Place {
    fn id(self, kind: u64, number: u64) -> SourceId {
        id(if self == Self::First { kind } else { kind + 10 }, number)
    }
}

/// Mixes a number into an id as random as a directory's.
fn id(kind: u64, number: u64) -> SourceId {
    let mix = |mut word: u64| {
        word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ word >> 31
    };
    let high = mix(kind << 56 | number);
    SourceId::Guid(Uuid::from_u64_pair(high, mix(high ^ 0x9e37_79b9_7f4a_7c15)))
}

fn user(number: u64) -> Patch {
    Patch::new(ObjectKind::User, id(1, number))
        .in_container(format!("ou=site {},ou=people,dc=corp,dc=example", number % 50))
        .anchored("object-guid", id(1, number).to_string())
        .with(names::ALIASES, Value::list([format!("alias{number}@corp.example")]))
        .with(DEPARTMENT, format!("Department {}", number % 40))
        .with(EMPLOYEE_ID, format!("E{number:07}"))
        .with(TITLE, "Engineer")
        .with(names::DISPLAY_NAME, format!("Last{} First{}", number % 5000, number % 300))
        .with(names::FIRST_NAME, format!("First{}", number % 300))
        .with(names::KIND, UserKind::Person)
        .with(names::LAST_NAME, format!("Last{}", number % 5000))
        .with(names::LOCKED_OUT, false)
        .with(names::MUST_CHANGE_PASSWORD, false)
        .with(names::PRIMARY_EMAIL, format!("user{number}@corp.example"))
        .with(names::STATE, UserState::Active)
        .with(names::USERNAME, format!("user{number}"))
}

fn group(number: u64) -> Patch {
    Patch::new(ObjectKind::Group, id(2, number))
        .in_container("ou=groups,dc=corp,dc=example")
        .with(names::DESCRIPTION, Value::Empty)
        .with(names::EMAIL, Value::Empty)
        .with(names::KIND, GroupKind::Security)
        .with(names::NAME, format!("Group {number}"))
}

/// The synthetic endpoint.
#[derive(Debug)]
pub(crate) struct Synthetic {
    info: EndpointInfo,
    size: Size,
    place: Place,
    /// Whether a delta tells of changes.
    changes: bool,
}

impl Synthetic {
    pub(crate) fn new(size: Size, place: Place, changes: bool) -> Self {
        let name = if place == Place::First { "synthetic" } else { "second" };
        Self { info: EndpointInfo::new(EndpointName::new(name).unwrap(), "synthetic"), size, place, changes }
    }
}

/// One in a hundred users has another title; every second group won a member and every other one lost one, which is one
/// in a hundred of the memberships.
struct Changes {
    size: Size,
    at: u64,
}

#[async_trait]
impl DeltaPager for Changes {
    async fn next(&mut self) -> Result<DeltaStep> {
        let Size { users, groups, .. } = self.size;
        let (changed, all) = (users / 100, users / 100 + groups);
        if self.at >= all {
            return Ok(DeltaStep::CaughtUp(Cursor::new(1, b"after".as_slice())));
        }
        let until = (self.at + PAGE).min(all);
        let mut page = DeltaPage::default();
        for number in self.at..until {
            if number < changed {
                page.patches.push(user(number * 100).with(TITLE, "Architect"));
                continue;
            }
            let group = number - changed;
            let mut members = self.size.members_of(group);
            let edges = |member| Edges {
                group: id(2, group),
                via: Via::Explicit,
                members: vec![Member { id: id(1, member), kind: MemberKind::User }],
            };
            match members.next() {
                Some(first) if group % 2 == 0 => page.edges_removed.push(edges(first)),
                Some(first) => page.edges_added.push(edges((first + 1) % users)),
                None => {}
            }
        }
        self.at = until;
        Ok(DeltaStep::Page(page))
    }
}

#[async_trait]
impl DeltaEndpoint for Synthetic {
    async fn delta(&self, _cx: &Context, _since: &Cursor) -> Result<Box<dyn DeltaPager>> {
        let Size { users, groups, .. } = self.size;
        let at = if self.changes { 0 } else { users + groups };
        Ok(Box::new(Changes { size: self.size, at }))
    }
}

struct Pager {
    cx: Context,
    size: Size,
    place: Place,
    at: u64,
}

#[async_trait]
impl SnapshotPager for Pager {
    async fn next(&mut self) -> Result<SnapshotStep> {
        let all = self.size.groups + self.size.users;
        if self.at >= all {
            return Ok(SnapshotStep::End { cursor: Some(Cursor::new(1, b"before".as_slice())) });
        }
        let gate = self.cx.gate().clone();
        gate.call(Cost::default(), "page", |_| std::future::ready(Ok(()))).await?;
        let page = self.size.page(self.at, self.place);
        self.at = (self.at + PAGE).min(all);
        Ok(SnapshotStep::Page(page))
    }
}

#[async_trait]
impl Endpoint for Synthetic {
    fn info(&self) -> &EndpointInfo {
        &self.info
    }

    async fn coverage(&self, _cx: &Context) -> Result<CoverageInfo> {
        Ok(CoverageInfo::new(self.info.name.as_str(), 1))
    }

    async fn verify(&self, _cx: &Context) -> Result<Verification> {
        Ok(Verification::default())
    }

    async fn snapshot(&self, cx: &Context, _from: Option<&Checkpoint>) -> Result<Box<dyn SnapshotPager>> {
        Ok(Box::new(Pager { cx: cx.clone(), size: self.size, place: self.place, at: 0 }))
    }

    async fn lookup(&self, _cx: &Context, ids: &[ObjectRef]) -> Result<Vec<Presence>> {
        Ok(vec![Presence::Gone(Evidence::NotFound); ids.len()])
    }

    async fn check_members(&self, _cx: &Context, _group: &ObjectRef, members: &[SourceId]) -> Result<Vec<Membership>> {
        Ok(vec![Membership::NotMember; members.len()])
    }

    fn as_delta(&self) -> Option<&dyn DeltaEndpoint> {
        Some(self)
    }
}
