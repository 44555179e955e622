//! What a gate has done and what it waits for: for progress and figures.
//!
//! It must not influence any decision.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::clock::Clock;
use crate::meter;

/// What a gate has done since it was built; the numbers only grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Calls that were asked for.
    pub requests: u64,
    /// Tries that were made for them.
    pub tries: u64,
    /// Tries that the server refused because of a quota or of too many at once.
    pub throttled: u64,
    /// The sum of the waits of all calls, whatever they waited for.
    pub waited: Duration,
}

/// What a gate waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum WaitingFor {
    /// Other calls have to end first.
    Concurrency,
    /// This process's own share of a quota, under the name that the bucket has in the gate.
    Bucket(Arc<str>),
    /// The next try after a failure.
    Backoff,
    /// The server asked for silence.
    Server,
}

impl WaitingFor {
    /// Returns the reason as one lower-case word, without the names of buckets.
    const fn as_str(&self) -> &'static str {
        match self {
            Self::Concurrency => "concurrency",
            Self::Bucket(_) => "quota",
            Self::Backoff => "backoff",
            Self::Server => "server",
        }
    }
}

/// A wait of a gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// What it waits for.
    pub on: WaitingFor,
    /// Until when, in milliseconds since 1970, if that is known.
    pub until_unix_millis: Option<i64>,
}

impl std::fmt::Display for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.on {
            WaitingFor::Concurrency => f.write_str("other calls to end"),
            WaitingFor::Bucket(name) => write!(f, "this process's share of the quota {name}"),
            WaitingFor::Backoff => f.write_str("the next try after a failure"),
            WaitingFor::Server => f.write_str("the pause that the server asked for"),
        }
    }
}

/// Shorter waits are none: a call passes several places where it might have to wait.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);

/// What gates that stand beside each other count together.
#[derive(Debug, Default)]
struct Counts {
    requests: AtomicU64,
    tries: AtomicU64,
    throttled: AtomicU64,
}

#[derive(Debug)]
pub(super) struct Watch {
    /// What kind of endpoint is behind the gate, for figures.
    kind: &'static str,
    counts: Arc<Counts>,
    waited_nanos: AtomicU64,
    in_flight: AtomicUsize,
    next_number: AtomicU64,
    waits: Mutex<BTreeMap<u64, (WaitingFor, Option<Duration>)>>,
}

impl Watch {
    pub(super) fn new(kind: &'static str) -> Self {
        Self::counting(kind, Arc::default())
    }

    /// Creates a watch that counts calls together with this one. What it waits for explains no standstill of this one.
    pub(super) fn beside(&self) -> Self {
        Self::counting(self.kind, Arc::clone(&self.counts))
    }

    fn counting(kind: &'static str, counts: Arc<Counts>) -> Self {
        Self {
            kind,
            counts,
            waited_nanos: AtomicU64::default(),
            in_flight: AtomicUsize::default(),
            next_number: AtomicU64::default(),
            waits: Mutex::default(),
        }
    }

    /// Counts a call that has come to its end.
    pub(super) fn ended(&self, operation: &'static str, outcome: &'static str) {
        meter::CALLS.count(1, &[self.kind, operation, outcome]);
    }

    /// Notes how long a try took.
    pub(super) fn tried(&self, operation: &'static str, took: Duration) {
        meter::TRY_SECONDS.took(took, &[self.kind, operation]);
    }

    /// Counts a try that is to be repeated.
    pub(super) fn retry(&self, operation: &'static str, reason: &'static str) {
        meter::RETRIES.count(1, &[self.kind, operation, reason]);
    }

    pub(super) fn request(&self) {
        self.counts.requests.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn throttled(&self, reason: &'static str) {
        self.counts.throttled.fetch_add(1, Ordering::Relaxed);
        meter::THROTTLED.count(1, &[self.kind, reason]);
    }

    /// Counts a try, which is in flight until the guard is dropped.
    pub(super) fn attempt(&self) -> InFlight<'_> {
        self.counts.tries.fetch_add(1, Ordering::Relaxed);
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(self)
    }

    /// Notes a wait, which lasts until the guard is dropped.
    pub(super) fn wait<'a>(&'a self, clock: &'a Clock, on: WaitingFor, until: Option<Duration>) -> Wait<'a> {
        let number = self.next_number.fetch_add(1, Ordering::Relaxed);
        let reason = on.as_str();
        self.waits().insert(number, (on, until));
        Wait { watch: self, clock, number, reason, since: clock.monotonic() }
    }

    pub(super) fn stats(&self) -> Stats {
        Stats {
            requests: self.counts.requests.load(Ordering::Relaxed),
            tries: self.counts.tries.load(Ordering::Relaxed),
            throttled: self.counts.throttled.load(Ordering::Relaxed),
            waited: Duration::from_nanos(self.waited_nanos.load(Ordering::Relaxed)),
        }
    }

    /// Returns the wait that explains the standstill: the server's before an own one, the longest of its kind.
    pub(super) fn waiting(&self, clock: &Clock) -> Option<Waiting> {
        if self.in_flight.load(Ordering::Relaxed) > 0 {
            return None;
        }
        let waits = self.waits();
        let (on, until) = waits.values().max_by_key(|(on, until)| (*on == WaitingFor::Server, *until))?;
        Some(Waiting { on: on.clone(), until_unix_millis: until.map(|until| clock.unix_millis_at(until)) })
    }

    fn waits(&self) -> MutexGuard<'_, BTreeMap<u64, (WaitingFor, Option<Duration>)>> {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) struct InFlight<'a>(&'a Watch);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

pub(super) struct Wait<'a> {
    watch: &'a Watch,
    clock: &'a Clock,
    number: u64,
    reason: &'static str,
    since: Duration,
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let waited = self.clock.monotonic().saturating_sub(self.since);
        let nanos = u64::try_from(waited.as_nanos()).unwrap_or(u64::MAX);
        self.watch.waited_nanos.fetch_add(nanos, Ordering::Relaxed);
        self.watch.waits().remove(&self.number);
        if waited >= SHORTEST_WAIT {
            meter::WAIT_SECONDS.took(waited, &[self.watch.kind, self.reason]);
        }
    }
}
