//! The members of groups within a full listing: many groups at a time, in the order of their ids. It must not know the other
//! listings beside them.

use std::collections::HashSet;
use std::sync::Arc;

use tenantry::Result;
use tenantry::model::{ObjectKey, ObjectKind, Scope, SourceId, Unreadable, Via};
use tracing::Instrument as _;

use super::{Answer, STALE, Snapshot};
use crate::cursor::{Lane, Stage};
use crate::error::repeated;
use crate::listing::{Detail, listing_url};
use crate::members::{Members, Read, Walk};
use crate::operation::Operation;
use crate::owners::{hash, short_hash};
use crate::wire::salvaged_id;

impl Snapshot {
    /// Lists the ids of groups again, for a listing that goes on among their members.
    pub(super) async fn recall_groups(&mut self) -> Result<()> {
        let url = listing_url(&self.api, Stage::Groups, false, Detail::Ids);
        let (mut token, mut seen, mut last) = (None::<String>, HashSet::new(), Vec::new());
        loop {
            let page = self.api.page(&self.cx, Operation::ListGroups, &url, token.as_deref()).await?;
            let ids: Vec<_> = page.items.iter().filter_map(|item| salvaged_id(item)).collect();
            if !ids.is_empty() && ids == last {
                return Err(repeated());
            }
            for id in &ids {
                self.groups.push(id);
            }
            last = ids;
            match page.next() {
                None => break,
                Some(next) if !seen.insert(hash(next)) => return Err(repeated()),
                Some(next) => token = Some(next.to_owned()),
            }
        }
        Ok(())
    }

    /// Begins with the members of the next group.
    pub(super) fn begin_group(&mut self) -> Option<Walk> {
        let group = self.waiting.take()?;
        self.position.open.insert(group.clone(), Lane { begun: self.now(), ..Lane::default() });
        self.position.group = Some(group.clone());
        Some(Walk::new(group))
    }

    pub(super) fn ask_members(&mut self, walk: Walk) {
        if self.failed.is_some() {
            return;
        }
        self.reading += 1;
        let next = walk.next(Arc::clone(&self.api), self.cx.clone(), Arc::clone(&self.known));
        self.asked.spawn(async move { Answer::Members(next.await) }.in_current_span());
    }

    /// Puts the groups in the order in which their members are read, so that a checkpoint is one id and a few more.
    pub(super) fn enter_members(&mut self) {
        let mut groups = std::mem::take(&mut self.groups);
        groups.sort();
        if let Some(since) = &mut self.position.since {
            let mut known: Vec<u32> = groups.iter().map(short_hash).collect();
            known.sort_unstable();
            known.dedup();
            since.known = Some(known);
        }
        if let Some(last) = &self.position.group {
            groups.pass(last);
        }
        self.waiting = groups;
        let now = self.now();
        for (group, lane) in &mut self.position.open {
            // Behind a token that is too old the group is read again: nothing is lost by memberships that come twice.
            if now - lane.begun > STALE {
                *lane = Lane { begun: now, ..Lane::default() };
            }
            self.resumed.push(Walk::from(group.clone(), lane.token.clone()));
        }
    }

    /// Takes what the reading of a group's members gave.
    pub(super) fn take_members(&mut self, read: Read) {
        match read {
            // Who is not in a domain seen so far may be in one that the rest of the users is in.
            Read::Page(mut members, walk) => {
                if members.settle(&self.position.domains) || self.has_ended(Stage::Users) {
                    self.give(members, walk);
                } else {
                    self.parked.push((members, walk));
                }
            }
            Read::Gone(group) => {
                self.position.open.remove(&group);
                self.page.withdrawn.push(ObjectKey { kind: ObjectKind::Group, id: SourceId::Id(group.into()) });
            }
            Read::Denied(group, reason) => {
                self.position.open.remove(&group);
                let scope = Scope::Members(SourceId::Id(group.into()), Via::Explicit);
                self.page.unreadable.push(Unreadable { scope, reason });
            }
        }
    }

    /// Puts members with what is given away, and goes on with their group.
    pub(super) fn give(&mut self, members: Members, walk: Option<Walk>) {
        let edges = members.into_edges(&self.position.domains);
        let group = edges.group.to_string();
        match walk {
            Some(walk) => {
                self.position.open.entry(group).or_default().token = walk.token().map(str::to_owned);
                self.ask_members(walk);
            }
            None => {
                self.position.open.remove(&group);
                self.page.closed.push(Scope::Members(edges.group.clone(), edges.via));
            }
        }
        self.edges += edges.members.len();
        if !edges.members.is_empty() {
            self.page.edges.push(edges);
        }
    }
}
