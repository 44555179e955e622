//! When a call is tried again, and when it is given up.
//!
//! It must not know the transport, and it waits for nothing: it only says how long to wait.

use std::time::{Duration, Instant};

use backoff::backoff::Backoff as _;
use backoff::exponential::ExponentialBackoff;

use super::clock::Clock;
use super::jitter::Jitter;
use crate::error::{Error, ErrorKind, Retry};

/// How often and how long one call is tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The number of tries, the first one included; 0 counts as 1.
    pub tries: u32,
    /// The sum of the waits that this process chooses.
    pub own_waits: Duration,
    /// The sum of the waits that the server dictates.
    pub dictated_waits: Duration,
    /// The upper bound of the first wait; each further one is doubled.
    pub initial: Duration,
    /// The upper bound of every wait.
    pub max: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            tries: 8,
            own_waits: Duration::from_mins(2),
            dictated_waits: Duration::from_mins(15),
            initial: Duration::from_secs(1),
            max: Duration::from_mins(1),
        }
    }
}

/// What to do after a failed try.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    GiveUp,
    /// The server said how long to wait; the wait happens where every caller waits.
    Dictated,
    Backoff(Duration),
}

/// What one call has used up of its policy.
#[derive(Debug)]
pub(super) struct Budget {
    policy: RetryPolicy,
    tries: u32,
    own_waits: Duration,
    dictated_waits: Duration,
    waited: Duration,
    growth: ExponentialBackoff<Stopped>,
}

impl Budget {
    pub(super) fn new(policy: &RetryPolicy, clock: &Clock) -> Self {
        let initial = policy.initial.min(policy.max);
        let growth = ExponentialBackoff {
            current_interval: initial,
            initial_interval: initial,
            // The crate draws from a random source of its own. Jitter is added here, from a seeded one.
            randomization_factor: 0.0,
            multiplier: 2.0,
            max_interval: policy.max,
            start_time: clock.start(),
            // Its limit counts elapsed time; the limits here count waits.
            max_elapsed_time: None,
            clock: Stopped(clock.start()),
        };
        Self {
            policy: policy.clone(),
            tries: 0,
            own_waits: Duration::ZERO,
            dictated_waits: Duration::ZERO,
            waited: Duration::ZERO,
            growth,
        }
    }

    /// Counts a try and returns its number, from 1.
    pub(super) fn begin_try(&mut self) -> u32 {
        self.tries += 1;
        self.tries
    }

    pub(super) fn tries(&self) -> u32 {
        self.tries
    }

    /// Notes a wait of the call, whatever it was for; it decides nothing.
    pub(super) fn waited(&mut self, wait: Duration) {
        self.waited = self.waited.saturating_add(wait);
    }

    /// Returns the sum of all noted waits.
    pub(super) fn waited_millis(&self) -> u64 {
        u64::try_from(self.waited.as_millis()).unwrap_or(u64::MAX)
    }

    /// Decides after a failed try; an own wait counts as waited.
    pub(super) fn next(&mut self, error: &Error, jitter: &Jitter) -> Next {
        // A refused password tried again may lock the account, whatever the connector says about retries.
        if self.tries >= self.policy.tries
            || matches!(error.kind(), ErrorKind::Unauthenticated | ErrorKind::Cancelled | ErrorKind::Config)
        {
            return Next::GiveUp;
        }
        match error.retry() {
            Retry::Never => Next::GiveUp,
            Retry::After(wait) if !wait.is_zero() => {
                if self.allows_dictated(wait) {
                    Next::Dictated
                } else {
                    Next::GiveUp
                }
            }
            // "After no time" would be a hot loop.
            Retry::Backoff | Retry::After(_) => {
                let bound = self.growth.next_backoff().unwrap_or(self.policy.max);
                let wait = jitter.up_to(bound);
                let sum = self.own_waits.saturating_add(wait);
                if sum > self.policy.own_waits {
                    return Next::GiveUp;
                }
                self.own_waits = sum;
                Next::Backoff(wait)
            }
        }
    }

    /// Returns whether the server's wait fits into what is left.
    pub(super) fn allows_dictated(&self, wait: Duration) -> bool {
        self.dictated_waits.saturating_add(wait) <= self.policy.dictated_waits
    }

    /// Counts a wait that the server dictated.
    pub(super) fn waited_dictated(&mut self, wait: Duration) {
        self.dictated_waits = self.dictated_waits.saturating_add(wait);
    }
}

/// The clock that the backoff crate asks for and, without a limit of elapsed time, does not need.
#[derive(Debug)]
struct Stopped(Instant);

impl backoff::Clock for Stopped {
    fn now(&self) -> Instant {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget() -> (Budget, Jitter) {
        (Budget::new(&RetryPolicy::default(), &Clock::manual().0), Jitter::seeded(1))
    }

    fn unavailable(retry: Retry) -> Error {
        Error::new(ErrorKind::Unavailable, "down").with_retry(retry)
    }

    #[test]
    fn the_bound_of_the_waits_doubles_up_to_the_maximum() {
        let (mut budget, _) = budget();
        let bounds: Vec<_> = (0..8).map(|_| budget.growth.next_backoff().unwrap().as_secs()).collect();
        assert_eq!(bounds, [1, 2, 4, 8, 16, 32, 60, 60]);
    }

    #[test]
    fn waits_are_jittered_over_their_whole_range() {
        let mut shares = Vec::new();
        for seed in 0..200 {
            let (mut budget, _) = budget();
            let Next::Backoff(wait) = budget.next(&unavailable(Retry::Backoff), &Jitter::seeded(seed)) else {
                panic!()
            };
            shares.push(wait.as_secs_f64());
        }
        assert!(shares.iter().all(|share| (0.0..=1.0).contains(share)));
        assert!(shares.iter().any(|share| *share < 0.1) && shares.iter().any(|share| *share > 0.9));
    }

    #[test]
    fn what_does_not_help_is_not_tried_again() {
        let (mut budget, jitter) = budget();
        assert_eq!(budget.next(&unavailable(Retry::Never), &jitter), Next::GiveUp);
        let wrong_password = Error::new(ErrorKind::Unauthenticated, "refused").with_retry(Retry::Backoff);
        assert_eq!(budget.next(&wrong_password, &jitter), Next::GiveUp);
    }

    #[test]
    fn a_dictated_wait_of_nothing_still_backs_off() {
        let (mut budget, jitter) = budget();
        let next = budget.next(&unavailable(Retry::After(Duration::ZERO)), &jitter);
        assert!(matches!(next, Next::Backoff(wait) if !wait.is_zero()));
    }

    #[test]
    fn dictated_waits_end_at_their_sum() {
        let (mut budget, jitter) = budget();
        let error = unavailable(Retry::After(Duration::from_mins(10)));
        assert_eq!(budget.next(&error, &jitter), Next::Dictated);
        budget.waited_dictated(Duration::from_mins(10));
        assert_eq!(budget.next(&error, &jitter), Next::GiveUp);
        assert!(budget.allows_dictated(Duration::from_mins(5)));
        assert!(!budget.allows_dictated(Duration::MAX));
    }
}
