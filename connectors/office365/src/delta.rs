//! What changed since a cursor, and what a round of changes leaves open. It must not know how a page is read.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use futures::future::try_join3;
use tenantry::endpoint::{DeltaPage, DeltaPager, DeltaStep};
use tenantry::model::{Edges, ObjectKey, ObjectKind, Scope, SourceId, Unreadable, Via};
use tenantry::{Context, Error, ErrorKind, Result};
use tenantry_http::Answer;

use crate::asleep::Asleep;
use crate::client::{BATCH, Graph, unreadable};
use crate::cursor::{Link, Links, Since};
use crate::grants::HIDDEN_MEMBERS;
use crate::listing::{self, Mark, Watch};
use crate::lookup;
use crate::rights::Rights;
use crate::round::{Changes, Round, Told, operation};
use crate::snapshot::hidden_members;
use crate::wire::{Text, read_page};

/// Takes the links of now: what changes from here on comes by them.
pub(crate) async fn latest(graph: &Graph, cx: &Context, rights: &Rights, now: i64) -> Result<Since> {
    let (users, groups, devices) = try_join3(
        Box::pin(latest_of(graph, cx, ObjectKind::User)),
        Box::pin(latest_of(graph, cx, ObjectKind::Group)),
        Box::pin(latest_of(graph, cx, ObjectKind::Computer)),
    )
    .await?;
    let links = Links { users, groups, devices };
    Ok(Since { rights: rights.granted.clone(), links, ..Since::nothing(rights.tenant, now) })
}

/// Takes the link of one kind; none where the application may not read it, which the listing says as well.
async fn latest_of(graph: &Graph, cx: &Context, kind: ObjectKind) -> Result<Option<Link>> {
    let mut url = graph.requests.latest(kind);
    let mut watch = Watch::default();
    loop {
        let read = graph.get(cx, operation(kind), 1, &url, |answer| read_ends(graph, answer));
        match read.await {
            Ok((_, Some(link))) => return Ok(Some(link)),
            Ok((Some(next), None)) => {
                watch.note(Mark::of([]), Some(&next))?;
                url = graph.at(&next);
            }
            Ok((None, None)) => {
                return Err(Error::protocol("graph ends a round of changes without a link to the next"));
            }
            Err(error) if kind != ObjectKind::User && matches!(error.kind(), ErrorKind::PermissionDenied { .. }) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        }
    }
}

fn read_ends(graph: &Graph, answer: &Answer) -> Result<(Option<Link>, Option<Link>)> {
    let page = read_page::<serde::de::IgnoredAny>(&answer.body).map_err(|error| unreadable(answer, &error))?;
    let link = |text: Option<Text<'_>>| text.map(|text| graph.link(&text)).transpose();
    Ok((link(page.next)?, link(page.delta)?))
}

/// A delta under way.
pub(crate) struct Delta {
    graph: Arc<Graph>,
    cx: Context,
    rights: Rights,
    /// When it began: the next one's links are not older.
    begun: i64,
    round: Round,
    /// Groups that came into being: all of their members are read when the changes are told.
    new_groups: BTreeSet<SourceId>,
    /// Who slept when the last listing began.
    asleep: Asleep,
    /// Who may have slept then, and is there now: nobody told its memberships.
    woken: BTreeSet<ObjectKey>,
    links: Option<Links>,
    expired: bool,
}

impl Delta {
    /// Begins to read the changes since a cursor; nothing if it can no longer be used.
    pub(crate) fn begin(graph: Arc<Graph>, cx: &Context, rights: Rights, since: Option<&Since>) -> Self {
        let begun = cx.gate().clock().now_unix_millis();
        let nothing = Since::nothing(rights.tenant, begun);
        let usable = since.filter(|since| since.is_usable(rights.tenant, &rights.granted, begun));
        Self {
            round: Round::new(Arc::clone(&graph), cx, usable.unwrap_or(&nothing)),
            expired: usable.is_none(),
            graph,
            cx: cx.clone(),
            rights,
            begun,
            new_groups: BTreeSet::new(),
            asleep: usable.map(|since| since.asleep.clone()).unwrap_or_default(),
            woken: BTreeSet::new(),
            links: None,
        }
    }

    fn take(&mut self, changes: Changes) -> DeltaPage {
        let mut page = DeltaPage {
            patches: changes.patches,
            quarantined: changes.quarantined,
            tombstones: changes.tombstones,
            edges_added: changes.began,
            edges_removed: changes.ended,
            ..DeltaPage::default()
        };
        for patch in &page.patches {
            let (object, sleeps) = (&patch.object, patch.object.kind != ObjectKind::Computer);
            if sleeps && self.asleep.may_hold(&object.id) {
                self.woken.insert(object.clone());
            }
            if object.kind == ObjectKind::Group && self.asleep.holds(&object.id) {
                // Never listed: it comes with all of its members.
                self.new_groups.insert(object.id.clone());
            }
        }
        for tombstone in &page.tombstones {
            self.new_groups.remove(&tombstone.object.id);
            self.woken.remove(&tombstone.object);
        }
        for (group, hidden) in changes.new_groups {
            if hidden && !self.rights.has(HIDDEN_MEMBERS) {
                page.unreadable.push(hidden_members(&group));
            } else {
                self.new_groups.insert(group);
            }
        }
        page
    }

    async fn step(&mut self) -> Result<DeltaStep> {
        self.cx.check_cancelled()?;
        if self.expired {
            return Ok(DeltaStep::CursorExpired);
        }
        if self.links.is_none() {
            match self.round.next().await? {
                Told::Page(changes) => return Ok(DeltaStep::Page(self.take(changes))),
                Told::Expired => {
                    self.expired = true;
                    return Ok(DeltaStep::CursorExpired);
                }
                Told::End(links) => self.links = Some(links),
            }
        }
        if let Some(group) = self.new_groups.pop_first() {
            let mut page = DeltaPage::default();
            let scope = Scope::Members(group.clone(), Via::Explicit);
            match listing::all_members(&self.graph, &self.cx, &group).await? {
                Ok(members) => {
                    page.edges_added.push(Edges { group, via: Via::Explicit, members });
                    page.closed.push(scope);
                }
                Err(reason) => page.unreadable.push(Unreadable { scope, reason: reason.into() }),
            }
            return Ok(DeltaStep::Page(page));
        }
        let woken: Vec<ObjectKey> = self.woken.iter().take(BATCH).cloned().collect();
        if !woken.is_empty() {
            let groups = lookup::groups_of(&self.graph, &self.cx, &woken).await?;
            for object in &woken {
                self.woken.remove(object);
            }
            let asleep = std::mem::take(&mut self.asleep);
            self.asleep = asleep.without(woken.iter().map(|object| &object.id), self.begun);
            return Ok(DeltaStep::Page(DeltaPage { edges_added: groups, ..DeltaPage::default() }));
        }
        let links = self.links.clone().ok_or_else(|| Error::protocol("the changes have no end"))?;
        let since = Since {
            rights: self.rights.granted.clone(),
            asleep: std::mem::take(&mut self.asleep).without([], self.begun),
            links,
            ..Since::nothing(self.rights.tenant, self.begun)
        };
        Ok(DeltaStep::CaughtUp(since.cursor()))
    }
}

#[async_trait]
impl DeltaPager for Delta {
    async fn next(&mut self) -> Result<DeltaStep> {
        self.step().await
    }
}
