//! How a try gets its turn: every bucket of its gate at the same instant, and a place.
//!
//! It must not know what is tried, nor why it is repeated.
//!
//! Permits are taken only when all buckets are ready, and nothing is awaited between that and the try: what is
//! counted here at one time is counted by the server at about the same time, and a call that is dropped while
//! it waits has nothing to give back. A call queues at one bucket after the other, in an order that is the same
//! for all calls, so two calls never wait for each other.
//!
//! Who waits at a bucket holds no place: the calls of a slow bucket would otherwise fill all places and keep the rest
//! of their gate waiting. Who waits for a place holds no turn at a bucket: other gates use the buckets, too. Whoever
//! got the one looks at once whether the other is free as well, and lets go where it is not.

use std::time::Duration;

use tokio::sync::MutexGuard;

use super::attempt::Named;
use super::bucket::Readiness;
use super::concurrency::Place;
use super::cost::Cost;
use super::gate::Gate;
use super::retry::Budget;
use super::watch::WaitingFor;
use crate::error::{Error, ErrorKind, Result, Retry};

/// A bucket and what the call costs there.
type Charge<'a> = (&'a Named, u32);
type Turn<'a> = MutexGuard<'a, ()>;

/// Returns the turns at all buckets if nobody has them and every bucket is ready.
fn free_turns<'a>(charges: &[Charge<'a>]) -> Option<Vec<Turn<'a>>> {
    let turns = charges.iter().map(|(named, _)| named.bucket.turn.try_lock().ok()).collect::<Option<_>>()?;
    let ready = charges.iter().all(|(named, permits)| named.bucket.readiness(*permits) == Readiness::Ready);
    ready.then_some(turns)
}

/// Takes the permits; only who has all turns may.
fn take(charges: &[Charge<'_>]) {
    for (named, permits) in charges {
        named.bucket.take(*permits);
    }
}

impl Gate {
    /// Waits until a try may be made, and takes its permits.
    pub(super) async fn admit(&self, cost: &Cost, budget: &mut Budget) -> Result<Place> {
        let charges: Vec<Charge<'_>> = self
            .shared
            .buckets
            .iter()
            .map(|named| (named, cost.in_bucket(&named.name)))
            .filter(|(_, permits)| *permits > 0)
            .collect();
        loop {
            let turns = self.turns(&charges, budget).await?;
            if let Some(place) = self.free_place() {
                take(&charges);
                return Ok(place);
            }
            drop(turns);
            let place = self.place().await?;
            if self.paused_until().is_none()
                && let Some(_turns) = free_turns(&charges)
            {
                take(&charges);
                return Ok(place);
            }
        }
    }

    /// Waits until it is this call's turn at every bucket and all of them are ready.
    async fn turns<'a>(&self, charges: &[Charge<'a>], budget: &mut Budget) -> Result<Vec<Turn<'a>>> {
        let mut turns = Vec::with_capacity(charges.len());
        loop {
            if let Some(until) = self.paused_until() {
                // Other gates use these buckets and were not asked to wait.
                turns.clear();
                let sleep = self.shared.clock.sleep_until(until);
                self.wait_for_server(until, budget, sleep).await?;
                continue;
            }
            let unready = charges[..turns.len()].iter().enumerate().find_map(|(index, (named, permits))| {
                match named.bucket.readiness(*permits) {
                    Readiness::Ready => None,
                    unready => Some((index, *named, unready)),
                }
            });
            match unready {
                Some((index, named, unready)) => {
                    // Keeps its turn here, but does not keep others waiting at the buckets that come later.
                    turns.truncate(index + 1);
                    self.wait_at(named, unready, budget).await?;
                }
                None if turns.len() < charges.len() => {
                    turns.push(self.queue_at(charges[turns.len()].0, budget).await?);
                }
                None => return Ok(turns),
            }
        }
    }

    /// Waits for the turn at a bucket; as long as the server has paused it, the wait is the server's.
    async fn queue_at<'a>(&self, named: &'a Named, budget: &mut Budget) -> Result<Turn<'a>> {
        let clock = &self.shared.clock;
        let (begin, paused) = (clock.monotonic(), named.bucket.paused_for());
        let _wait = self.shared.watch.wait(clock, WaitingFor::Bucket(named.name.clone()), None);
        let turn = self.unless_cancelled(named.bucket.turn.lock()).await?;
        budget.waited_dictated(clock.monotonic().saturating_sub(begin).min(paused));
        Ok(turn)
    }

    /// Waits at a bucket until it may be ready, or until something about it changes.
    async fn wait_at(&self, named: &Named, unready: Readiness, budget: &mut Budget) -> Result<()> {
        let bucket = &named.bucket;
        let until_or_changed = async |until: Duration| {
            tokio::select! {
                biased;
                () = bucket.changed.notified() => {}
                () = bucket.clock().sleep_until(until) => {}
            }
        };
        match unready {
            Readiness::Ready => Ok(()),
            Readiness::Paused(until) => self.wait_for_server(until, budget, until_or_changed(until)).await,
            Readiness::Empty(until) => {
                let on = WaitingFor::Bucket(named.name.clone());
                let _wait = self.shared.watch.wait(&self.shared.clock, on, Some(until));
                self.unless_cancelled(until_or_changed(until)).await
            }
        }
    }

    /// Waits as long as the server asks, if the call has that much left to wait.
    async fn wait_for_server(
        &self,
        until: Duration,
        budget: &mut Budget,
        sleep: impl Future<Output = ()>,
    ) -> Result<()> {
        let clock = &self.shared.clock;
        let begin = clock.monotonic();
        let wait = until.saturating_sub(begin);
        if !budget.allows_dictated(wait) {
            return Err(Error::new(ErrorKind::Throttled, "the server asks for a longer pause than a call may wait")
                .with_retry(Retry::After(wait)));
        }
        let _wait = self.shared.watch.wait(clock, WaitingFor::Server, Some(until));
        let outcome = self.unless_cancelled(sleep).await;
        budget.waited_dictated(clock.monotonic().saturating_sub(begin));
        outcome
    }
}
