//! What somebody knows who listed a domain once and reads its changes since. It knows no promise.

#![allow(clippy::unwrap_used, reason = "a helper of tests")]

use std::collections::{BTreeMap, BTreeSet};

use tenantry::endpoint::{Cursor, DeltaPage, DeltaStep, Endpoint};
use tenantry::model::{MemberKind, ObjectKey, ObjectKind, Patch, Quarantined, Scope, Tombstone, Unreadable, Via};
use tenantry::{Context, Result};
use tenantry_fakes::ldap::Guid;
use uuid::Uuid;

use crate::domain::{Domain, Listing, id, list, uuid};
use crate::view::View;

/// What a delta told, up to its end.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) patches: BTreeMap<Uuid, Patch>,
    pub(crate) tombstones: Vec<Tombstone>,
    pub(crate) out_of_scope: BTreeSet<Uuid>,
    pub(crate) quarantined: Vec<Quarantined>,
    pub(crate) unreadable: Vec<Unreadable>,
    pub(crate) closed: BTreeSet<Uuid>,
    pub(crate) members: BTreeMap<Uuid, BTreeMap<Uuid, MemberKind>>,
    pub(crate) cursor: Option<Cursor>,
}

/// Reads a delta to its end; nothing if the cursor has expired.
pub(crate) async fn changes(endpoint: &View, cx: &Context, since: &Cursor) -> Result<Option<Told>> {
    let mut pager = endpoint.as_delta().expect("deltas are on").delta(cx, since).await?;
    let mut told = Told::default();
    loop {
        match pager.next().await? {
            DeltaStep::CursorExpired => return Ok(None),
            DeltaStep::CaughtUp(cursor) => {
                told.cursor = Some(cursor);
                return Ok(Some(told));
            }
            DeltaStep::Page(page) => told.add(page),
        }
    }
}

impl Told {
    fn add(&mut self, page: DeltaPage) {
        assert!(page.edges_removed.is_empty(), "whole lists only");
        for patch in page.patches {
            let known = self.patches.insert(uuid(&patch.object.id), patch);
            assert!(known.is_none(), "an object came twice: {known:?}");
        }
        for edges in page.edges_added {
            assert_eq!(edges.via, Via::Explicit);
            let members = self.members.entry(uuid(&edges.group)).or_default();
            for member in edges.members {
                assert!(members.insert(uuid(&member.id), member.kind).is_none(), "a member came twice");
            }
        }
        for object in page.out_of_scope {
            assert!(self.out_of_scope.insert(uuid(&object.id)), "told twice to be out of scope");
        }
        self.tombstones.extend(page.tombstones);
        self.quarantined.extend(page.quarantined);
        self.unreadable.extend(page.unreadable);
        for scope in page.closed {
            let Scope::Members(group, Via::Explicit) = scope else { panic!("a delta closes members only: {scope}") };
            assert!(self.closed.insert(uuid(&group)), "closed twice");
        }
    }

    pub(crate) fn names(&self, kind: ObjectKind) -> BTreeSet<String> {
        let name = if kind == ObjectKind::User { "username" } else { "name" };
        let of_kind = self.patches.values().filter(|patch| patch.object.kind == kind);
        of_kind.filter_map(|patch| crate::domain::text(patch, name)).collect()
    }

    /// Returns the objects that were told gone.
    pub(crate) fn gone(&self) -> BTreeSet<Uuid> {
        self.tombstones.iter().map(|tombstone| uuid(&tombstone.object.id)).collect()
    }

    pub(crate) fn members_of(&self, group: Guid) -> BTreeSet<Uuid> {
        self.members.get(&id(group)).map(|members| members.keys().copied().collect()).unwrap_or_default()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.patches.is_empty()
            && self.tombstones.is_empty()
            && self.out_of_scope.is_empty()
            && self.quarantined.is_empty()
            && self.closed.is_empty()
            && self.unreadable.is_empty()
    }
}

/// Objects and members as a listing and the deltas behind it leave them.
#[derive(Debug, PartialEq)]
pub(crate) struct Known {
    pub(crate) objects: BTreeMap<Uuid, Patch>,
    pub(crate) members: BTreeMap<Uuid, BTreeMap<Uuid, MemberKind>>,
}

impl From<Listing> for Known {
    fn from(listing: Listing) -> Self {
        assert!(listing.unreadable.is_empty() && listing.quarantined.is_empty());
        Self { objects: listing.objects, members: listing.members }
    }
}

impl Known {
    /// Takes over what a delta told, as an importer would.
    pub(crate) fn apply(&mut self, told: &Told) {
        for (id, patch) in &told.patches {
            self.objects.insert(*id, patch.clone());
        }
        for group in &told.closed {
            self.members.remove(group);
        }
        for (group, members) in &told.members {
            self.members.entry(*group).or_default().extend(members);
        }
        for gone in told.gone() {
            self.objects.remove(&gone);
            self.members.remove(&gone);
            self.members.values_mut().for_each(|members| members.retain(|member, _| *member != gone));
        }
        for outside in &told.out_of_scope {
            self.objects.remove(outside);
            self.members.remove(outside);
        }
        self.members.retain(|_, members| !members.is_empty());
    }

    /// Compares, and says what differs.
    #[track_caller]
    pub(crate) fn assert_same(&self, fresh: &Self, when: &str) {
        let keys = |known: &Self| known.objects.keys().copied().collect::<BTreeSet<_>>();
        let (mine, theirs) = (keys(self), keys(fresh));
        assert!(
            mine == theirs,
            "{when}: only after deltas {:?}, only listed {:?}",
            mine.difference(&theirs).map(|id| &self.objects[id]).collect::<Vec<_>>(),
            theirs.difference(&mine).map(|id| &fresh.objects[id]).collect::<Vec<_>>()
        );
        for (id, patch) in &fresh.objects {
            assert_eq!(&self.objects[id], patch, "{when}");
        }
        assert_eq!(self.members, fresh.members, "{when}");
    }
}

/// Somebody who listed a domain once.
pub(crate) struct Follower {
    pub(crate) domain: Domain,
    pub(crate) endpoint: View,
    pub(crate) known: Known,
    pub(crate) cursor: Cursor,
}

pub(crate) async fn follow(domain: Domain) -> Follower {
    let endpoint = domain.endpoint();
    let mut listing = list(&endpoint, &domain.cx, None).await.unwrap();
    let cursor = listing.cursor.take().unwrap();
    Follower { known: listing.into(), endpoint, domain, cursor }
}

impl Follower {
    /// Reads what changed, goes on behind it, and compares with a fresh listing.
    pub(crate) async fn changes(&mut self) -> Told {
        let told = self.tell().await;
        self.known.apply(&told);
        self.cursor = told.cursor.clone().unwrap();
        self.known.assert_same(&self.fresh().await, "after a delta");
        told
    }

    pub(crate) async fn tell(&self) -> Told {
        changes(&self.endpoint, &self.domain.cx, &self.cursor).await.unwrap().expect("the cursor is good")
    }

    pub(crate) async fn has_expired(&self, cursor: &Cursor) -> bool {
        changes(&self.endpoint, &self.domain.cx, cursor).await.unwrap().is_none()
    }

    pub(crate) async fn fresh(&self) -> Known {
        list(&self.domain.endpoint(), &self.domain.cx, None).await.unwrap().into()
    }
}

/// Names the object of a tombstone.
pub(crate) fn key(kind: ObjectKind, guid: Guid) -> ObjectKey {
    crate::domain::object(kind, guid).key
}
