//! The gate of one endpoint: every call waits here for its turn, and is tried again if that can help.
//!
//! It must not know any protocol: it decides by the kind of an error and its retry advice alone.

use std::fmt;
use std::future::Future;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use tracing::field::Empty;

use super::attempt::{Attempt, Named};
use super::bucket::{Bucket, LONGEST_PAUSE};
use super::clock::Clock;
use super::concurrency::{Concurrency, Place};
use super::cost::Cost;
use super::jitter::Jitter;
use super::retry::{Budget, Next, RetryPolicy};
use super::watch::{Stats, Waiting, WaitingFor, Watch};
use crate::error::{Error, ErrorKind, Result, Retry};

/// How many calls of one endpoint run at the same time if nobody says otherwise.
const CONCURRENCY: NonZeroUsize = NonZeroUsize::new(4).expect("4 is not 0");

/// The only way to the network for one endpoint; a clone is the same gate.
///
/// A call waits for all its buckets at once and for a place among the calls that run; it is tried, and tried
/// again as long as its error says that this can help and its [`RetryPolicy`] allows. What waits at a slow bucket
/// takes no place from other calls.
///
/// ```
/// # use tenantry::gate::{Cost, Gate};
/// # async fn read_page() -> tenantry::Result<u32> { Ok(7) }
/// # async fn example() -> tenantry::Result<()> {
/// let gate = Gate::builder().build();
/// let page = gate.call(Cost::default(), "list users", |_attempt| read_page()).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Gate {
    pub(super) shared: Arc<Shared>,
    cancel: CancellationToken,
}

pub(super) struct Shared {
    /// In the one order in which every call queues.
    pub(super) buckets: Box<[Named]>,
    concurrency: Arc<Concurrency>,
    retry: RetryPolicy,
    pub(super) clock: Clock,
    jitter: Jitter,
    /// The server's pause for a gate as a whole, in nanoseconds of the clock: what buckets cannot hold.
    paused_until: AtomicU64,
    pub(super) watch: Watch,
}

impl Gate {
    /// Starts to build a gate; without further words it has no buckets, four places and the default retries.
    pub fn builder() -> GateBuilder {
        GateBuilder {
            buckets: Vec::new(),
            concurrency: CONCURRENCY,
            retry: RetryPolicy::default(),
            clock: Clock::system(),
            jitter: Jitter::system(),
            cancel: CancellationToken::new(),
            kind: "other",
        }
    }

    /// Makes a call: waits for its turn, tries it, waits and tries again within the budget.
    ///
    /// The closure makes one try and maps its failure to an [`Error`] whose kind and retry advice are true. It
    /// must not call the same gate again: it holds a place, and might wait for itself.
    ///
    /// # Errors
    ///
    /// The error of the last try, with the context `tries`. [`Throttled`](ErrorKind::Throttled) without a try if
    /// the server demands a longer silence than a call may wait; [`Cancelled`](ErrorKind::Cancelled) as soon as
    /// the token is cancelled, whatever the call is doing.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future at any point gives back everything that it holds; a try in flight is dropped too.
    pub async fn call<T, F, Fut>(&self, cost: Cost, operation: &'static str, mut attempt: F) -> Result<T>
    where
        F: FnMut(Attempt) -> Fut,
        Fut: Future<Output = Result<T>>,
    {
        let shared = &*self.shared;
        let mut budget = Budget::new(&shared.retry, &shared.clock);
        shared.watch.request();
        let span = tracing::debug_span!("call", operation, outcome = Empty, tries = Empty, waited_ms = Empty);
        let outcome = self.tries(&cost, operation, &mut budget, &mut attempt).instrument(span.clone()).await;
        let word = outcome.as_ref().map_or_else(|error| error.kind().as_str(), |_| "ok");
        shared.watch.ended(operation, word);
        span.record("outcome", word).record("tries", budget.tries()).record("waited_ms", budget.waited_millis());
        outcome.map_err(|error| error.with_operation(operation).with_context("tries", budget.tries()))
    }

    async fn tries<T, F, Fut>(
        &self,
        cost: &Cost,
        operation: &'static str,
        budget: &mut Budget,
        attempt: &mut F,
    ) -> Result<T>
    where
        F: FnMut(Attempt) -> Fut,
        Fut: Future<Output = Result<T>>,
    {
        let shared = &*self.shared;
        let mut last: Option<Error> = None;
        loop {
            let queued = shared.clock.monotonic();
            let admitted = self.admit(cost, budget).await;
            budget.waited(shared.clock.monotonic().saturating_sub(queued));
            let place = match admitted {
                Ok(place) => place,
                // The server's own words say more than "it would take too long".
                Err(error) if *error.kind() != ErrorKind::Cancelled => return Err(last.unwrap_or(error)),
                Err(error) => return Err(error),
            };
            let handle = Attempt::new(budget.begin_try(), &shared.buckets, cost);
            let begun = shared.clock.monotonic();
            let result = {
                let _in_flight = shared.watch.attempt();
                let span = tracing::debug_span!("try", attempt = handle.number());
                self.unless_cancelled(attempt(handle.clone())).instrument(span).await?
            };
            shared.watch.tried(operation, shared.clock.monotonic().saturating_sub(begun));
            let error = match result {
                Ok(value) => {
                    place.succeeded();
                    return Ok(value);
                }
                Err(error) => error,
            };
            leave(place, error.kind());
            self.heed(&handle, &error);
            let next = budget.next(&error, &shared.jitter);
            tracing::debug!(operation, tries = budget.tries(), kind = error.kind().as_str(), ?next, "try failed");
            if next != Next::GiveUp {
                shared.watch.retry(operation, error.kind().as_str());
            }
            match next {
                Next::GiveUp => return Err(error),
                // The next admission waits, together with everybody else.
                Next::Dictated => {}
                Next::Backoff(wait) => {
                    let begun = shared.clock.monotonic();
                    let until = begun.saturating_add(wait);
                    let _wait = shared.watch.wait(&shared.clock, WaitingFor::Backoff, Some(until));
                    let slept = self.unless_cancelled(shared.clock.sleep_until(until)).await;
                    budget.waited(shared.clock.monotonic().saturating_sub(begun));
                    slept?;
                }
            }
            last = Some(error);
        }
    }

    /// Lets every caller know what the server said, even if this call is given up.
    fn heed(&self, handle: &Attempt, error: &Error) {
        if matches!(error.kind(), ErrorKind::Throttled | ErrorKind::Concurrency) {
            self.shared.watch.throttled(error.kind().as_str());
        }
        let concerned = handle.refused_by();
        match error.retry() {
            Retry::After(wait) if !wait.is_zero() => {
                for bucket in &concerned {
                    bucket.pause_for(wait);
                }
                if concerned.is_empty() {
                    let until = self.shared.clock.monotonic().saturating_add(wait.min(LONGEST_PAUSE));
                    let until = u64::try_from(until.as_nanos()).unwrap_or(u64::MAX);
                    self.shared.paused_until.fetch_max(until, Ordering::Relaxed);
                }
            }
            // The server counts more than this process does: whatever the buckets still hold is not there.
            _ if *error.kind() == ErrorKind::Throttled => concerned.iter().for_each(|bucket| bucket.exhaust()),
            _ => {}
        }
    }

    /// Returns this gate with another token: every run has its own, and they share the rest.
    #[must_use]
    pub fn with_cancel(&self, cancel: CancellationToken) -> Self {
        Self { shared: Arc::clone(&self.shared), cancel }
    }

    /// Returns a gate beside this one, for calls that may take long and on which nothing else must wait: it has places
    /// of its own, so that a slow answer keeps no place from the calls of this gate.
    ///
    /// Buckets, clock, retries and the token that ends every wait are the same. Its calls count in the
    /// [`stats`](Self::stats) of both; its waits do not, and are not told by [`waiting`](Self::waiting) of this gate. A
    /// pause of a gate as a whole, which only calls cause that cost nothing in any bucket, is each gate's own.
    #[must_use]
    pub fn beside(&self, places: NonZeroUsize) -> Self {
        let shared = &*self.shared;
        Self {
            shared: Arc::new(Shared {
                buckets: shared.buckets.clone(),
                concurrency: Arc::new(Concurrency::new(places)),
                retry: shared.retry.clone(),
                clock: shared.clock.clone(),
                jitter: shared.jitter.clone(),
                paused_until: AtomicU64::new(0),
                watch: shared.watch.beside(),
            }),
            cancel: self.cancel.clone(),
        }
    }

    /// Returns what the gate has done so far.
    pub fn stats(&self) -> Stats {
        self.shared.watch.stats()
    }

    /// Returns what the gate waits for, or `None` while a try is in flight or nothing was asked for.
    pub fn waiting(&self) -> Option<Waiting> {
        self.shared.watch.waiting(&self.shared.clock)
    }

    /// Returns how many calls may run at the same time now.
    pub fn concurrency(&self) -> usize {
        self.shared.concurrency.limit()
    }

    /// Returns the gate's clock.
    pub fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    /// Returns a place among the calls that run, if one is free.
    pub(super) fn free_place(&self) -> Option<Place> {
        self.shared.concurrency.free_place()
    }

    /// Waits for a place among the calls that run.
    pub(super) async fn place(&self) -> Result<Place> {
        let _wait = self.shared.watch.wait(&self.shared.clock, WaitingFor::Concurrency, None);
        self.unless_cancelled(self.shared.concurrency.place()).await
    }

    /// Returns until when the server has paused this gate as a whole.
    pub(super) fn paused_until(&self) -> Option<Duration> {
        let until = Duration::from_nanos(self.shared.paused_until.load(Ordering::Relaxed));
        (until > self.shared.clock.monotonic()).then_some(until)
    }

    pub(super) async fn unless_cancelled<F: Future>(&self, future: F) -> Result<F::Output> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(Error::cancelled()),
            output = future => Ok(output),
        }
    }
}

/// Ends a failed try: an answer is an answer, even a refusal of the caller's wish.
fn leave(place: Place, kind: &ErrorKind) {
    match kind {
        ErrorKind::Concurrency => place.refused(),
        ErrorKind::Throttled | ErrorKind::Unavailable | ErrorKind::Protocol | ErrorKind::Cancelled => drop(place),
        _ => place.succeeded(),
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate")
            .field("buckets", &self.shared.buckets)
            .field("concurrency", &self.concurrency())
            .field("stats", &self.stats())
            .field("waiting", &self.waiting())
            .finish_non_exhaustive()
    }
}

/// Builds a [`Gate`].
#[derive(Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct GateBuilder {
    buckets: Vec<Named>,
    concurrency: NonZeroUsize,
    retry: RetryPolicy,
    clock: Clock,
    jitter: Jitter,
    cancel: CancellationToken,
    kind: &'static str,
}

impl GateBuilder {
    /// Names the kind of endpoint behind the gate, the label of its [figures](crate::meter).
    pub fn kind(mut self, kind: &'static str) -> Self {
        self.kind = kind;
        self
    }

    /// Adds a bucket that every call passes; a bucket or a name that the gate has already is replaced.
    pub fn bucket(mut self, name: impl Into<Arc<str>>, bucket: Arc<Bucket>) -> Self {
        let name = name.into();
        // The same bucket twice would make a call wait for itself.
        self.buckets.retain(|named| named.name != name && !Arc::ptr_eq(&named.bucket, &bucket));
        self.buckets.push(Named { name, bucket });
        self
    }

    /// Sets how many calls may run at the same time at most.
    pub fn concurrency(mut self, max: NonZeroUsize) -> Self {
        self.concurrency = max;
        self
    }

    /// Sets how often and how long a call is tried.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// Sets the clock; it should be the one of the buckets.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Sets the source of jitter.
    pub fn jitter(mut self, jitter: Jitter) -> Self {
        self.jitter = jitter;
        self
    }

    /// Sets the token that ends every wait and every try.
    pub fn cancel(mut self, cancel: CancellationToken) -> Self {
        self.cancel = cancel;
        self
    }

    /// Builds the gate.
    #[must_use]
    pub fn build(mut self) -> Gate {
        self.buckets.sort_by_key(|named| named.bucket.order());
        Gate {
            shared: Arc::new(Shared {
                buckets: self.buckets.into(),
                concurrency: Arc::new(Concurrency::new(self.concurrency)),
                retry: self.retry,
                clock: self.clock,
                jitter: self.jitter,
                paused_until: AtomicU64::new(0),
                watch: Watch::new(self.kind),
            }),
            cancel: self.cancel,
        }
    }
}
