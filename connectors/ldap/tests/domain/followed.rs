//! What somebody knows who listed a domain once and lays deltas over it in which single members come and go. It knows no
//! promise.

#![allow(clippy::unwrap_used, reason = "a helper of tests")]

use std::collections::{BTreeMap, BTreeSet};

use tenantry::Result;
use tenantry::endpoint::{Cursor, DeltaPage, DeltaStep, Endpoint};
use tenantry::model::{ObjectKind, Patch, TombstoneKind};
use tenantry_fakes::ldap::{Directory, Settings};
use tenantry_ldap::domain::DeltaMethod;
use uuid::Uuid;

use crate::domain::{Domain, start_with, uuid};
use crate::view::View;

/// What one delta gave.
#[derive(Debug, Default)]
pub(crate) struct Delta {
    pub(crate) pages: Vec<DeltaPage>,
    pub(crate) cursor: Option<Cursor>,
}

impl Delta {
    pub(crate) fn patches(&self) -> BTreeMap<Uuid, &Patch> {
        self.pages.iter().flat_map(|page| &page.patches).map(|patch| (uuid(&patch.object.id), patch)).collect()
    }

    pub(crate) fn tombstones(&self) -> BTreeMap<Uuid, (ObjectKind, TombstoneKind)> {
        let all = self.pages.iter().flat_map(|page| &page.tombstones);
        all.map(|tombstone| (uuid(&tombstone.object.id), (tombstone.object.kind, tombstone.kind))).collect()
    }

    pub(crate) fn out_of_scope(&self) -> BTreeSet<Uuid> {
        self.pages.iter().flat_map(|page| &page.out_of_scope).map(|key| uuid(&key.id)).collect()
    }

    pub(crate) fn edges(&self, side: impl Fn(&DeltaPage) -> &Vec<tenantry::model::Edges>) -> BTreeSet<(Uuid, Uuid)> {
        let edges = self.pages.iter().flat_map(&side);
        edges.flat_map(|edges| edges.members.iter().map(|member| (uuid(&edges.group), uuid(&member.id)))).collect()
    }

    pub(crate) fn added(&self) -> BTreeSet<(Uuid, Uuid)> {
        self.edges(|page| &page.edges_added)
    }

    pub(crate) fn removed(&self) -> BTreeSet<(Uuid, Uuid)> {
        self.edges(|page| &page.edges_removed)
    }

    pub(crate) fn is_silent(&self) -> bool {
        self.patches().is_empty()
            && self.tombstones().is_empty()
            && self.out_of_scope().is_empty()
            && self.added().is_empty()
            && self.removed().is_empty()
    }
}

/// Reads a delta to its end; nothing if the cursor has expired.
pub(crate) async fn delta(endpoint: &View, domain: &Domain, since: &Cursor) -> Result<Option<Delta>> {
    let mut pager = endpoint.as_delta().expect("deltas are on").delta(&domain.cx, since).await?;
    let mut delta = Delta::default();
    loop {
        match pager.next().await? {
            DeltaStep::Page(page) => delta.pages.push(page),
            DeltaStep::CaughtUp(cursor) => {
                delta.cursor = Some(cursor);
                return Ok(Some(delta));
            }
            DeltaStep::CursorExpired => return Ok(None),
        }
    }
}

/// What is known after a listing and the deltas behind it.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) objects: BTreeMap<Uuid, Patch>,
    pub(crate) members: BTreeMap<Uuid, BTreeSet<Uuid>>,
    pub(crate) cursor: Cursor,
}

impl Known {
    pub(crate) async fn listed(domain: &Domain) -> Self {
        let listing = domain.listing().await;
        let members = listing.members.iter().map(|(group, members)| (*group, members.keys().copied().collect()));
        let mut known = Self {
            members: members.collect(),
            objects: listing.objects,
            cursor: listing.cursor.expect("a listing ends with a cursor"),
        };
        known.members.retain(|_, members| !members.is_empty());
        known
    }

    /// Reads a delta and lays it over what is known.
    pub(crate) async fn follow(&mut self, domain: &Domain) -> Delta {
        let delta = delta(&domain.endpoint(), domain, &self.cursor).await.unwrap().expect("the cursor is good");
        self.lay_over(&delta);
        delta
    }

    pub(crate) fn lay_over(&mut self, delta: &Delta) {
        for page in &delta.pages {
            for patch in &page.patches {
                self.objects.insert(uuid(&patch.object.id), patch.clone());
            }
            for scope in &page.closed {
                let tenantry::model::Scope::Members(group, _) = scope else { panic!("a delta closed {scope}") };
                let listed = delta.added().into_iter().filter(|(of, _)| *of == uuid(group));
                self.members.insert(uuid(group), listed.map(|(_, member)| member).collect());
            }
        }
        let (added, removed) = (delta.added(), delta.removed());
        assert!(added.is_disjoint(&removed), "a membership began and ended in one delta");
        for (group, member) in added {
            self.members.entry(group).or_default().insert(member);
        }
        for (group, member) in removed {
            self.members.entry(group).or_default().remove(&member);
        }
        for gone in delta.tombstones().into_keys() {
            self.objects.remove(&gone);
            self.members.remove(&gone);
            for members in self.members.values_mut() {
                members.remove(&gone);
            }
        }
        for gone in delta.out_of_scope() {
            self.objects.remove(&gone);
            self.members.remove(&gone);
        }
        self.members.retain(|_, members| !members.is_empty());
        self.cursor = delta.cursor.clone().expect("a delta ends with a cursor");
    }

    /// Compares with a fresh listing.
    pub(crate) async fn check(&self, domain: &Domain) {
        let fresh = Self::listed(domain).await;
        let difference: Vec<_> = fresh.objects.keys().filter(|id| !self.objects.contains_key(id)).collect();
        assert!(difference.is_empty(), "never told: {difference:?}");
        let difference: Vec<_> = self.objects.keys().filter(|id| !fresh.objects.contains_key(id)).collect();
        assert!(difference.is_empty(), "not told to be gone: {difference:?}");
        for (guid, patch) in &fresh.objects {
            assert_eq!(self.objects[guid], *patch);
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
