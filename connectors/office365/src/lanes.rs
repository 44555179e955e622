//! What is read besides the directory, in lanes with quotas of their own: second factors, sign-ins, purposes of mailboxes.
//! It must not know what is stored, and nothing waits for it.
//!
//! Lanes are slow: once through a tenant of a million users takes half an hour to hours. So they run beside a listing or a
//! delta, and a bounded time behind it; then the run ends, and the next one goes on where they stopped, round and round.
//! [`SnapshotWithLanes`] and [`DeltaWithLanes`] plug them into a pager, by:
//!
//! - [`Lanes::begin`] with the positions of the cursor; a snapshot has none, and begins all rounds anew;
//! - [`Lanes::beside`], selected against the next page of the directory, which goes first; behind the last one
//!   [`Lanes::behind`], until it gives nothing more; what comes is put into a page as it is;
//! - [`Lanes::positions`] when the cursor is made: behind the last page that was given out.
//!
//! A lane that fails or is refused says so in the log and rests until the next run; it costs nothing else. What a lane
//! does not tell is unknown, and stays as it was: reports leave out disabled accounts, and those who never signed in.

mod beside;
mod rows;
mod walk;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use serde::{Deserialize, Serialize};
use tenantry::endpoint::Context;
use tenantry::gate::Clock;
use tenantry::model::Patch;
use tenantry::{Error, ErrorKind, Result};

use crate::client::Graph;
use crate::config::Enrichment;
use crate::cursor::Link;
use crate::error::Refusal;
use crate::grants;

pub(crate) use beside::{DeltaWithLanes, SnapshotWithLanes};
use walk::Walk;

/// Where one lane stands.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Position {
    /// The page to be read next; none at the beginning of a round.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<Link>,
    /// So many of its users are done.
    #[serde(skip_serializing_if = "is_zero")]
    done: u32,
    /// When the round began, in milliseconds since 1970.
    begun: i64,
    /// Whether it came to its end.
    ended: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "as serde asks")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Where all lanes stand between two runs. Lanes that are not configured keep their place.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Positions {
    mfa: Position,
    sign_ins: Position,
    mailboxes: Position,
}

impl Positions {
    fn of(&self, lane: Enrichment) -> &Position {
        match lane {
            Enrichment::Mfa => &self.mfa,
            Enrichment::SignIns => &self.sign_ins,
            Enrichment::Mailboxes => &self.mailboxes,
        }
    }

    fn set(&mut self, lane: Enrichment, position: Position) {
        match lane {
            Enrichment::Mfa => self.mfa = position,
            Enrichment::SignIns => self.sign_ins = position,
            Enrichment::Mailboxes => self.mailboxes = position,
        }
    }
}

/// How long after its beginning a round is begun again at the earliest. The reports are made a few times a day.
const fn again(lane: Enrichment) -> Duration {
    match lane {
        Enrichment::Mfa => Duration::from_hours(6),
        Enrichment::SignIns => Duration::from_hours(12),
        Enrichment::Mailboxes => Duration::from_hours(24),
    }
}

const fn permission(lane: Enrichment) -> &'static str {
    match lane {
        Enrichment::Mfa | Enrichment::SignIns => grants::AUDIT_LOG,
        Enrichment::Mailboxes => grants::MAILBOXES,
    }
}

const fn word(lane: Enrichment) -> &'static str {
    match lane {
        Enrichment::Mfa => "mfa",
        Enrichment::SignIns => "sign-ins",
        Enrichment::Mailboxes => "mailboxes",
    }
}

/// A step of a lane: where it stands then, and what it brought.
type Flight = BoxFuture<'static, (Walk, Result<Vec<Patch>>)>;

/// The lanes of one run.
pub(crate) struct Lanes {
    graph: Arc<Graph>,
    /// With places of their own: a call that waits for a slow quota keeps none from the directory.
    cx: Context,
    positions: Positions,
    flights: FuturesUnordered<Flight>,
    /// Until when they go on behind the directory.
    until: Option<Duration>,
}

impl std::fmt::Debug for Lanes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lanes")
            .field("positions", &self.positions)
            .field("under way", &self.flights.len())
            .finish_non_exhaustive()
    }
}

impl Lanes {
    /// Goes on where the lanes stood. Nothing is asked before a page is asked for.
    ///
    /// # Errors
    /// That no token is to be had; a permission that is missing is none, but keeps its lane from being read.
    pub(crate) async fn begin(graph: &Arc<Graph>, cx: &Context, positions: Positions) -> Result<Self> {
        let places = NonZeroUsize::new(graph.config.enrichments.len()).unwrap_or(NonZeroUsize::MIN);
        let mut lanes = Self {
            graph: Arc::clone(graph),
            cx: Context::new(cx.gate().beside(places), cx.cancel().clone()),
            positions,
            flights: FuturesUnordered::new(),
            until: None,
        };
        if graph.config.enrichments.is_empty() {
            return Ok(lanes);
        }
        let roles = graph.claims(cx).await?.roles;
        let now = lanes.clock().now_unix_millis();
        for lane in &graph.config.enrichments {
            if roles.as_ref().is_some_and(|roles| !grants::is_granted(permission(*lane), roles)) {
                let (lane, permission) = (word(*lane), permission(*lane));
                tracing::warn!(lane, permission, "not read: the application permission is not granted");
                continue;
            }
            if let Some(walk) = Walk::begin(*lane, lanes.positions.of(*lane), again(*lane), now) {
                lanes.fly(walk);
            }
        }
        Ok(lanes)
    }

    /// Waits for what any lane brings, for ever where none brings anything.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing: the requests go on with the next call.
    pub(crate) async fn beside(&mut self) -> Vec<Patch> {
        match self.next().await {
            Some(patches) => patches,
            None => std::future::pending().await,
        }
    }

    /// Waits for what any lane brings; nothing once the time behind the directory is over, or no lane has more.
    ///
    /// # Cancel safety
    /// As [`beside`](Self::beside).
    pub(crate) async fn behind(&mut self) -> Option<Vec<Patch>> {
        let clock = self.clock().clone();
        let time = self.graph.config.lane_time;
        let until = *self.until.get_or_insert_with(|| clock.monotonic().saturating_add(time));
        let next = tokio::select! {
            biased;
            next = self.next() => next,
            () = clock.sleep_until(until) => None,
        };
        if next.is_none() {
            // What is still under way is asked again by the next run.
            self.flights.clear();
        }
        next
    }

    /// Returns where the lanes stand behind the last page that was given out.
    pub(crate) fn positions(&self) -> Positions {
        self.positions.clone()
    }

    fn clock(&self) -> &Clock {
        self.cx.gate().clock()
    }

    fn fly(&mut self, walk: Walk) {
        let (graph, cx) = (Arc::clone(&self.graph), self.cx.clone());
        self.flights.push(Box::pin(walk.step(graph, cx)));
    }

    async fn next(&mut self) -> Option<Vec<Patch>> {
        loop {
            let (mut walk, outcome) = self.flights.next().await?;
            match outcome {
                Ok(patches) => {
                    self.positions.set(walk.lane, walk.position.clone());
                    if walk.position.ended {
                        tracing::debug!(lane = word(walk.lane), "once through");
                    } else {
                        self.fly(walk);
                    }
                    if !patches.is_empty() {
                        return Some(patches);
                    }
                }
                Err(error) if walk.can_go_on(&error) => self.fly(walk),
                Err(error) => rest(walk.lane, &error),
            }
        }
    }
}

/// Says why a lane is left until the next run.
fn rest(lane: Enrichment, error: &Error) {
    if *error.kind() != ErrorKind::Cancelled {
        tracing::warn!(lane = word(lane), %error, "not read further in this run; nothing else waits for it");
    }
}

/// Tells whether a position of an earlier run, or of an earlier page, is of no use any more.
fn is_lost(error: &Error) -> bool {
    Refusal::of(error)
        .is_some_and(|refusal| refusal.is_of_an_expired_page() || matches!(refusal.status, 400 | 404 | 410))
}
