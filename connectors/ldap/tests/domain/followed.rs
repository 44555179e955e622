//! What somebody knows who listed a domain once and lays deltas over it in which single members come and go. It knows no
//! promise.

#![allow(clippy::unwrap_used, reason = "a helper of tests")]

use std::collections::{BTreeMap, BTreeSet};

use tenantry::Result;
use tenantry::endpoint::Cursor;
use tenantry::model::SourceId;
use tenantry::testkit::{Changes, Objects};
use tenantry_fakes::ldap::{Directory, Settings};
use tenantry_ldap::domain::DeltaMethod;

use crate::domain::{Domain, start_with};
use crate::view::View;

/// Reads a delta to its end; nothing if the cursor has expired.
pub(crate) async fn delta(endpoint: &View, domain: &Domain, since: &Cursor) -> Result<Option<Changes>> {
    let told = Changes::of(endpoint, &domain.cx, since).await?;
    told.assert_kept();
    assert!(told.reversed.is_empty(), "a membership began and ended in one delta: {:?}", told.reversed);
    Ok((!told.has_expired()).then_some(told))
}

/// What is known after a listing and the deltas behind it.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) objects: Objects,
    pub(crate) members: BTreeMap<SourceId, BTreeSet<SourceId>>,
    pub(crate) cursor: Cursor,
}

impl Known {
    pub(crate) async fn listed(domain: &Domain) -> Self {
        let listing = domain.listing().await;
        let members = listing.members.iter().filter(|(_, members)| !members.is_empty());
        Self {
            members: members.map(|(group, members)| (group.clone(), members.keys().cloned().collect())).collect(),
            objects: listing.objects,
            cursor: listing.cursor.expect("a listing ends with a cursor"),
        }
    }

    /// Reads a delta and lays it over what is known.
    pub(crate) async fn follow(&mut self, domain: &Domain) -> Changes {
        let delta = delta(&domain.endpoint(), domain, &self.cursor).await.unwrap().expect("the cursor is good");
        self.lay_over(&delta);
        delta
    }

    pub(crate) fn lay_over(&mut self, delta: &Changes) {
        self.objects.extend(delta.objects.clone());
        for group in delta.closed_groups() {
            self.members.remove(&group);
        }
        for (group, member) in delta.began.pairs() {
            self.members.entry(group).or_default().insert(member);
        }
        for (group, member) in delta.ended.pairs() {
            self.members.entry(group).or_default().remove(&member);
        }
        for gone in delta.gone() {
            self.members.remove(&gone);
            for members in self.members.values_mut() {
                members.remove(&gone);
            }
            self.objects.forget(gone);
        }
        for outside in delta.outside() {
            self.members.remove(&outside);
            self.objects.forget(outside);
        }
        self.members.retain(|_, members| !members.is_empty());
        self.cursor = delta.next();
    }

    /// Compares with a fresh listing.
    pub(crate) async fn check(&self, domain: &Domain) {
        let fresh = Self::listed(domain).await;
        let difference: Vec<_> = fresh.objects.keys().filter(|object| !self.objects.contains_key(object)).collect();
        assert!(difference.is_empty(), "never told: {difference:?}");
        let difference: Vec<_> = self.objects.keys().filter(|object| !fresh.objects.contains_key(object)).collect();
        assert!(difference.is_empty(), "not told to be gone: {difference:?}");
        for (object, patch) in fresh.objects.iter() {
            assert_eq!(self.objects[object], *patch);
        }
        assert_eq!(self.members, fresh.members);
    }
}

/// Starts a domain that is followed by DirSync, with so many entries in each round.
pub(crate) async fn start_by_rounds_of(directory: Directory, dirsync_batch: usize) -> Domain {
    directory.rights("reader").replicate_changes(true).read_deleted(true);
    let mut domain = start_with(directory, Settings { dirsync_batch, ..Settings::default() }).await;
    domain.config.domain.delta = DeltaMethod::DirSync;
    domain
}
