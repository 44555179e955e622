//! What somebody knows who listed a domain once and reads its changes since. It knows no promise.

#![allow(clippy::unwrap_used, reason = "a helper of tests")]

use std::collections::BTreeSet;

use tenantry::endpoint::Cursor;
use tenantry::model::{ObjectKey, ObjectKind};
use tenantry::testkit::{Changes, Listing, Members, Objects};
use tenantry::{Context, Result};
use tenantry_fakes::ldap::Guid;

use crate::domain::{Domain, list};
use crate::view::View;

/// Reads a delta to its end; nothing if the cursor has expired.
pub(crate) async fn changes(endpoint: &View, cx: &Context, since: &Cursor) -> Result<Option<Changes>> {
    let told = Changes::of(endpoint, cx, since).await?;
    told.assert_once();
    assert!(told.ended.is_empty(), "whole lists only");
    Ok((!told.has_expired()).then_some(told))
}

/// Objects and members as a listing and the deltas behind it leave them.
#[derive(Debug, PartialEq)]
pub(crate) struct Known {
    pub(crate) objects: Objects,
    pub(crate) members: Members,
}

impl From<Listing> for Known {
    fn from(listing: Listing) -> Self {
        assert!(listing.unreadable.is_empty() && listing.quarantined.is_empty());
        Self { objects: listing.objects, members: listing.members }
    }
}

impl Known {
    /// Takes over what a delta told, as an importer would.
    pub(crate) fn apply(&mut self, told: &Changes) {
        self.objects.extend(told.objects.clone());
        for group in told.closed_groups() {
            self.members.remove(&group);
        }
        for (group, members) in told.began.iter() {
            self.members.entry(group.clone()).or_default().extend(members.clone());
        }
        for gone in told.gone() {
            self.members.remove(&gone);
            self.members.values_mut().for_each(|members| members.retain(|member, _| *member != gone));
            self.objects.forget(gone);
        }
        for outside in told.outside() {
            self.members.remove(&outside);
            self.objects.forget(outside);
        }
        self.members.retain(|_, members| !members.is_empty());
    }

    /// Compares, and says what differs.
    #[track_caller]
    pub(crate) fn assert_same(&self, fresh: &Self, when: &str) {
        let keys = |known: &Self| known.objects.keys().cloned().collect::<BTreeSet<_>>();
        let (mine, theirs) = (keys(self), keys(fresh));
        assert!(
            mine == theirs,
            "{when}: only after deltas {:?}, only listed {:?}",
            mine.difference(&theirs).map(|object| &self.objects[object]).collect::<Vec<_>>(),
            theirs.difference(&mine).map(|object| &fresh.objects[object]).collect::<Vec<_>>()
        );
        for (object, patch) in fresh.objects.iter() {
            assert_eq!(&self.objects[object], patch, "{when}");
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
    pub(crate) async fn changes(&mut self) -> Changes {
        let told = self.tell().await;
        self.known.apply(&told);
        self.cursor = told.cursor.clone().unwrap();
        self.known.assert_same(&self.fresh().await, "after a delta");
        told
    }

    pub(crate) async fn tell(&self) -> Changes {
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
