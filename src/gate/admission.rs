//! How a try gets its turn: a place, then every bucket of its gate at the same instant.
//!
//! It must not know what is tried, nor why it is repeated.
//!
//! Permits are taken only when all buckets are ready, and nothing is awaited between that and the try: what is
//! counted here at one time is counted by the server at about the same time, and a call that is dropped while
//! it waits has nothing to give back. A call queues at one bucket after the other, in an order that is the same
//! for all calls, so two calls never wait for each other.

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

impl Gate {
    /// Waits until a try may be made, and takes its permits.
    pub(super) async fn admit(&self, cost: &Cost, budget: &mut Budget) -> Result<Place> {
        let place = self.place().await?;
        let charges: Vec<(&Named, u32)> = self
            .shared
            .buckets
            .iter()
            .map(|named| (named, cost.in_bucket(&named.name)))
            .filter(|(_, permits)| *permits > 0)
            .collect();
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
                None => break,
            }
        }
        for (named, permits) in &charges {
            named.bucket.take(*permits);
        }
        Ok(place)
    }

    /// Waits for the turn at a bucket; as long as the server has paused it, the wait is the server's.
    async fn queue_at<'a>(&self, named: &'a Named, budget: &mut Budget) -> Result<MutexGuard<'a, ()>> {
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
