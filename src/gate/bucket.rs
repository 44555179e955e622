//! A token bucket that is fair to heavy calls and listens to the server.
//!
//! It must not know what is called, nor why a call is repeated.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::clock::Clock as GovernorClock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{NotKeyed, StateStore};
use governor::{Quota, RateLimiter};
use tokio::sync::Notify;

use super::clock::Clock;
use super::limit::{Limit, Pace};

/// The longest pause that is believed; who asks for more is asked again after a day.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_hours(24);

/// Usage above this fraction of a quota slows the bucket down.
const BUSY: f64 = 0.8;

/// The slowest pace that a usage report causes; a full stop is the server's to ask for.
const SLOWEST: f64 = 0.1;

/// Debts beyond this many nanoseconds (146 years) are cut off, far below what governor's sums can hold.
const DEEPEST_DEBT: u64 = 1 << 62;

/// How many buckets this process has made: each has a rank of its own.
static MADE: AtomicU64 = AtomicU64::new(0);

/// A token bucket for one published quota, shared by all calls that the provider counts together.
///
/// Calls are served in the order in which they ask. A call that costs more than the burst waits until enough
/// has been saved up, and what it borrows from the future is paid back before the next call.
pub struct Bucket {
    clock: Clock,
    /// Buckets that were made later come first when a call takes several: see `admission`.
    rank: u64,
    /// The queue: its holder is the only one that takes. Tokio's mutex is first come, first served.
    pub(super) turn: tokio::sync::Mutex<()>,
    /// Tells the holder of the turn that its wait may have become shorter or longer.
    pub(super) changed: Notify,
    state: Mutex<State>,
}

struct State {
    limit: Limit,
    /// A fraction of the full speed, and until when it holds.
    slowed: Option<(f64, u64)>,
    /// A smaller burst than the limit's, and until when it holds.
    held_burst: Option<(NonZeroU32, u64)>,
    paused_until: u64,
    pace: Pace,
    limiter: Limiter,
    ledger: Arc<Ledger>,
}

type Limiter = RateLimiter<NotKeyed, Book, Book, NoOpMiddleware<Nanos>>;

/// What governor reads and writes, kept outside of it so that debts can be looked at, corrected and carried over.
/// All access happens under the lock of `State`.
#[derive(Debug, Default)]
struct Ledger {
    now: AtomicU64,
    /// The theoretical arrival time of GCRA: when all permits that were handed out have grown back.
    paid_at: AtomicU64,
}

struct Book(Arc<Ledger>);

impl GovernorClock for Book {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        self.0.now.load(Ordering::Relaxed).into()
    }
}

impl StateStore for Book {
    type Key = NotKeyed;

    fn measure_and_replace<T, F, E>(&self, _key: &NotKeyed, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let (outcome, paid_at) = decide(Some(self.0.paid_at.load(Ordering::Relaxed).into()))?;
        self.0.paid_at.store(paid_at.into(), Ordering::Relaxed);
        Ok(outcome)
    }
}

/// Whether permits can be taken now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Readiness {
    Ready,
    /// The server asked for silence until this monotonic time.
    Paused(Duration),
    /// The permits grow back until this monotonic time.
    Empty(Duration),
}

impl Bucket {
    /// Creates a full bucket; a call that takes several queues first at the one that was made last. [`Quotas`](super::Quotas) makes buckets that several gates share.
    pub fn new(limit: Limit, clock: Clock) -> Self {
        let ledger = Arc::new(Ledger::default());
        let pace = limit.pace(1.0);
        // Governor's start is read from the ledger before its first entry, so its times are the clock's.
        let limiter = limiter(pace, &ledger);
        let now = nanos(clock.monotonic());
        ledger.paid_at.store(now, Ordering::Relaxed);
        let state = State { limit, slowed: None, held_burst: None, paused_until: 0, pace, limiter, ledger };
        let rank = MADE.fetch_add(1, Ordering::Relaxed);
        Self { clock, rank, turn: tokio::sync::Mutex::default(), changed: Notify::new(), state: Mutex::new(state) }
    }

    /// Returns the limit that holds now.
    pub fn limit(&self) -> Limit {
        self.state().limit
    }

    /// Sets another limit: a configuration was changed.
    ///
    /// What was used under the old limit stays used, and a bigger burst starts empty: however often the limit
    /// changes, nothing is handed out twice.
    pub fn set_limit(&self, limit: Limit) {
        let mut state = self.state();
        if state.limit != limit {
            let (old, new) = (state.limit.pace(1.0), limit.pace(1.0));
            if new.burst > state.pace.burst && new.interval > old.interval {
                // Quicker refills under the old limit and a bigger burst under the new one, in one window,
                // would be more than either allows: the burst grows when the window has passed.
                let until = state.now().saturating_add(nanos(state.limit.per().max(limit.per())));
                state.held_burst = Some((state.pace.burst, until));
            }
            state.limit = limit;
            state.adopt();
            drop(state);
            self.changed.notify_one();
        }
    }

    /// Sets the quota that the server reports; of two shares the smaller one stays.
    pub fn set_reported_limit(&self, limit: Limit) {
        let share = self.limit().share();
        self.set_limit(limit.with_share_at_most(share));
    }

    /// Holds all calls of this bucket for a duration, at most a day: the server asked for it.
    ///
    /// A running pause is never shortened.
    pub fn pause_for(&self, duration: Duration) {
        self.pause_until(self.clock.monotonic().saturating_add(duration));
    }

    /// Holds all calls of this bucket until a monotonic time of its clock, at most a day away.
    pub fn pause_until(&self, monotonic: Duration) {
        let latest = self.clock.monotonic().saturating_add(LONGEST_PAUSE);
        let mut state = self.state();
        state.paused_until = state.paused_until.max(nanos(monotonic.min(latest)));
        drop(state);
        self.changed.notify_one();
    }

    /// Returns how long the server's pause still lasts, or zero.
    pub fn paused_for(&self) -> Duration {
        let state = self.state();
        Duration::from_nanos(state.paused_until.saturating_sub(state.now()))
    }

    /// Books what a call cost beyond its estimate, or gives back what it did not need.
    pub fn correct(&self, extra_cost: i64) {
        let state = self.state();
        let amount = u32::try_from(extra_cost.unsigned_abs()).unwrap_or(u32::MAX);
        if extra_cost >= 0 {
            state.debit(amount);
        } else {
            state.credit(amount);
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Empties the bucket: the server says that the quota is used up, but not for how long.
    pub fn exhaust(&self) {
        let state = self.state();
        let burst = state.cost(state.pace.burst.get());
        state.book(state.paid_at().max(state.now().saturating_add(burst)));
    }

    /// Lowers the pace to a fraction of the full speed for one period of the limit; 1 restores it at once.
    ///
    /// Another report replaces it; without one the full speed returns by itself.
    pub fn slow_down(&self, factor: f64) {
        let factor = if factor.is_nan() { SLOWEST } else { factor.clamp(SLOWEST, 1.0) };
        let mut state = self.state();
        let until = state.now().saturating_add(nanos(state.limit.per()));
        state.slowed = (factor < 1.0).then_some((factor, until));
        state.adopt();
        drop(state);
        self.changed.notify_one();
    }

    /// Takes a report of how much of the quota is in use, as a fraction: from 0.8 on the bucket slows down.
    pub fn report_usage(&self, fraction: f64) {
        // At 0.8 the full speed, at 1.0 and beyond the slowest.
        self.slow_down(1.0 - (fraction - BUSY).max(0.0) / (1.0 - BUSY) * (1.0 - SLOWEST));
    }

    /// Returns how many permits could be taken now; negative while a debt is paid back.
    pub fn available(&self) -> i64 {
        let state = self.state();
        let owed = state.paid_at().saturating_sub(state.now()).div_ceil(state.pace.interval);
        i64::from(state.pace.burst.get()).saturating_sub(i64::try_from(owed).unwrap_or(i64::MAX))
    }

    /// Returns whether `cost` permits can be taken now. Only the holder of the turn may rely on it.
    pub(super) fn readiness(&self, cost: u32) -> Readiness {
        let state = self.state();
        let now = state.now();
        // GCRA's rule. For a cost beyond the burst the same sum says how long the bucket must have rested.
        let (cost, burst) = (state.cost(cost), state.cost(state.pace.burst.get()));
        let ready_at = state.paid_at().saturating_add(cost).saturating_sub(burst);
        if state.paused_until > now {
            Readiness::Paused(Duration::from_nanos(state.paused_until))
        } else if ready_at > now {
            let slowed_until = state.slowed.map_or(u64::MAX, |(_, until)| until);
            let held_until = state.held_burst.map_or(u64::MAX, |(_, until)| until);
            Readiness::Empty(Duration::from_nanos(ready_at.min(slowed_until).min(held_until)))
        } else {
            Readiness::Ready
        }
    }

    /// Takes permits after [`readiness`](Self::readiness) said so: as many as governor hands out at once, and
    /// the rest as a debt.
    pub(super) fn take(&self, cost: u32) {
        let state = self.state();
        if let Some(at_once) = NonZeroU32::new(cost.min(state.pace.burst.get())) {
            // A correction may have come in between. The server cannot tell in which order; so it becomes a debt.
            let taken = if let Ok(Ok(())) = state.limiter.check_n(at_once) { at_once.get() } else { 0 };
            state.debit(cost - taken);
        }
    }

    /// Returns the key of the one order in which every call queues at its buckets.
    pub(super) fn order(&self) -> std::cmp::Reverse<u64> {
        std::cmp::Reverse(self.rank)
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Locks the state and brings it up to the present.
    fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = nanos(self.clock.monotonic());
        state.ledger.now.store(now, Ordering::Relaxed);
        if state.slowed.take_if(|(_, until)| *until <= now).is_some()
            | state.held_burst.take_if(|(_, until)| *until <= now).is_some()
        {
            state.adopt();
        }
        state
    }
}

impl State {
    fn now(&self) -> u64 {
        self.ledger.now.load(Ordering::Relaxed)
    }

    fn paid_at(&self) -> u64 {
        self.ledger.paid_at.load(Ordering::Relaxed)
    }

    fn book(&self, paid_at: u64) {
        self.ledger.paid_at.store(paid_at.min(DEEPEST_DEBT), Ordering::Relaxed);
    }

    fn cost(&self, permits: u32) -> u64 {
        u64::from(permits).saturating_mul(self.pace.interval)
    }

    fn debit(&self, permits: u32) {
        if permits > 0 {
            self.book(self.paid_at().max(self.now()).saturating_add(self.cost(permits)));
        }
    }

    /// What was not used grows back at once, but a full bucket gets no fuller.
    fn credit(&self, permits: u32) {
        let floor = self.paid_at().min(self.now());
        self.book(self.paid_at().saturating_sub(self.cost(permits)).max(floor));
    }

    /// Changes the pace and keeps every permit that is owed; the growth of the burst starts empty.
    fn adopt(&mut self) {
        let mut pace = self.limit.pace(self.slowed.map_or(1.0, |(factor, _)| factor));
        pace.burst = self.held_burst.map_or(pace.burst, |(burst, _)| burst.min(pace.burst));
        if pace == self.pace {
            return;
        }
        let owed = u128::from(self.paid_at().saturating_sub(self.now()));
        let owed = (owed * u128::from(pace.interval)).div_ceil(u128::from(self.pace.interval));
        let owed = u64::try_from(owed).unwrap_or(u64::MAX);
        let grown = u64::from(pace.burst.get().saturating_sub(self.pace.burst.get()));
        let owed = if grown > 0 {
            // An empty bucket at worst: quotas that change to and fro must not pile up a debt.
            let empty = u64::from(pace.burst.get()).saturating_mul(pace.interval);
            owed.saturating_add(grown.saturating_mul(pace.interval)).min(owed.max(empty))
        } else {
            owed
        };
        if owed > 0 {
            self.book(self.now().saturating_add(owed));
        }
        let now = self.ledger.now.swap(0, Ordering::Relaxed);
        self.limiter = limiter(pace, &self.ledger);
        self.ledger.now.store(now, Ordering::Relaxed);
        self.pace = pace;
    }
}

/// Makes governor's limiter over a ledger that reads zero, so that governor counts from the clock's beginning.
fn limiter(pace: Pace, ledger: &Arc<Ledger>) -> Limiter {
    let quota = Quota::with_period(Duration::from_nanos(pace.interval)).unwrap_or(Quota::per_second(NonZeroU32::MIN));
    RateLimiter::new(quota.allow_burst(pace.burst), Book(Arc::clone(ledger)), Book(Arc::clone(ledger)))
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (available, paused_for) = (self.available(), self.paused_for());
        f.debug_struct("Bucket")
            .field("limit", &self.limit())
            .field("available", &available)
            .field("paused_for", &paused_for)
            .finish_non_exhaustive()
    }
}
