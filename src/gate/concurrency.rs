//! How many calls run at the same time: additive increase, multiplicative decrease.
//!
//! It must not know what the calls do, only how each one ended.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// So many successes at least make one step back up, lest a limit of one grows on every answer.
const SHORTEST_WINDOW: usize = 8;

/// A limit of concurrent calls that shrinks when the server complains and grows back; first come, first served.
#[derive(Debug)]
pub(super) struct Concurrency {
    semaphore: Arc<Semaphore>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    limit: usize,
    max: usize,
    /// Permits that were taken away while their holders still run.
    owed: usize,
    successes: usize,
    /// Counts the times of shrinking, so that calls that ran together shrink the limit once.
    shrunk: u64,
}

impl Concurrency {
    pub(super) fn new(max: NonZeroUsize) -> Self {
        let max = max.get().min(Semaphore::MAX_PERMITS);
        Self {
            semaphore: Arc::new(Semaphore::new(max)),
            state: Mutex::new(State { limit: max, max, owed: 0, successes: 0, shrunk: 0 }),
        }
    }

    /// Waits for a place. Dropping the future or the place leaves nothing behind.
    pub(super) async fn place(self: &Arc<Self>) -> Place {
        // The semaphore is never closed; without a permit the call would run unlimited, so it waits forever.
        let Ok(permit) = Arc::clone(&self.semaphore).acquire_owned().await else {
            return std::future::pending().await;
        };
        self.placed(permit)
    }

    /// Returns a place if one is free and nobody waits for it.
    pub(super) fn free_place(self: &Arc<Self>) -> Option<Place> {
        // Tokio hands what is given back to those who wait, before anybody can take it here.
        Arc::clone(&self.semaphore).try_acquire_owned().ok().map(|permit| self.placed(permit))
    }

    fn placed(self: &Arc<Self>, permit: OwnedSemaphorePermit) -> Place {
        let shrunk = self.state().shrunk;
        Place { concurrency: Arc::clone(self), permit: Some(permit), shrunk }
    }

    pub(super) fn limit(&self) -> usize {
        self.state().limit
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place among the calls that run now.
#[derive(Debug)]
pub(super) struct Place {
    concurrency: Arc<Concurrency>,
    permit: Option<OwnedSemaphorePermit>,
    shrunk: u64,
}

impl Place {
    /// Counts an answer; after a window of them one more call may run.
    pub(super) fn succeeded(self) {
        let mut state = self.concurrency.state();
        state.successes += 1;
        if state.successes >= state.limit.max(SHORTEST_WINDOW) {
            state.successes = 0;
            if state.limit < state.max {
                state.limit += 1;
                if state.owed > 0 {
                    state.owed -= 1;
                } else {
                    self.concurrency.semaphore.add_permits(1);
                }
            }
        }
    }

    /// Halves the limit, unless a call that ran at the same time has done so already.
    pub(super) fn refused(self) {
        let mut state = self.concurrency.state();
        state.successes = 0;
        if state.shrunk == self.shrunk {
            state.shrunk += 1;
            let surplus = state.limit - (state.limit / 2).max(1);
            state.limit -= surplus;
            state.owed += surplus - self.concurrency.semaphore.forget_permits(surplus);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.concurrency.state();
        if state.owed > 0
            && let Some(permit) = self.permit.take()
        {
            state.owed -= 1;
            permit.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn concurrency(max: usize) -> Arc<Concurrency> {
        Arc::new(Concurrency::new(NonZeroUsize::new(max).unwrap()))
    }

    fn take(concurrency: &Arc<Concurrency>) -> Option<Place> {
        concurrency.place().now_or_never()
    }

    fn free(concurrency: &Arc<Concurrency>) -> usize {
        std::iter::from_fn(|| take(concurrency)).collect::<Vec<_>>().len()
    }

    #[test]
    fn a_refusal_halves_the_limit_and_successes_bring_it_back_by_one() {
        let concurrency = concurrency(10);
        take(&concurrency).unwrap().refused();
        assert_eq!((concurrency.limit(), free(&concurrency)), (5, 5));
        for _ in 0..SHORTEST_WINDOW {
            assert_eq!(concurrency.limit(), 5);
            take(&concurrency).unwrap().succeeded();
        }
        assert_eq!((concurrency.limit(), free(&concurrency)), (6, 6));
        for _ in 0..1_000 {
            take(&concurrency).unwrap().succeeded();
        }
        assert_eq!((concurrency.limit(), free(&concurrency)), (10, 10));
    }

    #[test]
    fn calls_that_ran_together_shrink_the_limit_once() {
        let concurrency = concurrency(16);
        let places: Vec<_> = (0..16).map(|_| take(&concurrency).unwrap()).collect();
        places.into_iter().for_each(Place::refused);
        assert_eq!((concurrency.limit(), free(&concurrency)), (8, 8));
    }

    #[test]
    fn one_call_may_always_run() {
        let concurrency = concurrency(3);
        for _ in 0..5 {
            take(&concurrency).unwrap().refused();
        }
        assert_eq!((concurrency.limit(), free(&concurrency)), (1, 1));
    }

    #[test]
    fn places_taken_away_while_in_use_are_not_handed_on() {
        let concurrency = concurrency(4);
        let mut places: Vec<_> = (0..4).map(|_| take(&concurrency).unwrap()).collect();
        places.pop().unwrap().refused();
        assert_eq!(concurrency.limit(), 2);
        assert!(take(&concurrency).is_none(), "three still run, two are allowed");
        places.pop();
        assert!(take(&concurrency).is_none(), "two still run");
        places.pop();
        assert_eq!(free(&concurrency), 1);
    }

    #[test]
    fn a_waiter_that_gives_up_leaves_its_place_to_the_next() {
        let concurrency = concurrency(1);
        let place = take(&concurrency).unwrap();
        let mut first = Box::pin(concurrency.place());
        let mut second = Box::pin(concurrency.place());
        assert!(first.as_mut().now_or_never().is_none());
        assert!(second.as_mut().now_or_never().is_none());
        drop(place);
        drop(first);
        assert!(second.as_mut().now_or_never().is_some());
    }
}
