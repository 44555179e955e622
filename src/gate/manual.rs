//! The hand that moves a manual clock: virtual time for tests, safe to use from several threads.
//!
//! It must not know real time, nor who is sleeping.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// 2026-01-01T00:00:00Z: any fixed date gives reproducible tests.
const FIRST_UNIX_MILLIS: i64 = 1_767_225_600_000;

/// How often a sleeper lets others run before it moves the time itself.
const YIELDS: u8 = 3;

/// The handle of a manual clock.
///
/// Time moves by [`advance`](Self::advance), by [`advance_to_next`](Self::advance_to_next), by
/// [`run`](Self::run) whenever its future is idle, or by the sleepers themselves after
/// [`advance_by_itself`](Self::advance_by_itself).
#[derive(Clone)]
pub struct ManualClock(Arc<Mutex<Timeline>>);

struct Timeline {
    now: Duration,
    wall_offset_millis: i64,
    by_itself: bool,
    next_number: u64,
    /// Ordered by deadline, then by arrival: the first is the next to wake.
    sleepers: BTreeMap<(Duration, u64), Waker>,
}

impl ManualClock {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Timeline {
            now: Duration::ZERO,
            wall_offset_millis: FIRST_UNIX_MILLIS,
            by_itself: false,
            next_number: 0,
            sleepers: BTreeMap::new(),
        })))
    }

    /// Returns the time since creation.
    pub fn monotonic(&self) -> Duration {
        self.lock().now
    }

    /// Returns the wall time in milliseconds since 1970.
    pub fn now_unix_millis(&self) -> i64 {
        let timeline = self.lock();
        timeline.wall_offset_millis.saturating_add(i64::try_from(timeline.now.as_millis()).unwrap_or(i64::MAX))
    }

    /// Sets the wall time, as an administrator or a time server does; sleepers do not notice.
    pub fn set_unix_millis(&self, unix_millis: i64) {
        let mut timeline = self.lock();
        let passed = i64::try_from(timeline.now.as_millis()).unwrap_or(i64::MAX);
        timeline.wall_offset_millis = unix_millis.saturating_sub(passed);
    }

    /// Moves the time forward in one step and wakes everyone whose time has come.
    pub fn advance(&self, duration: Duration) {
        let mut timeline = self.lock();
        let to = timeline.now.saturating_add(duration);
        let due = timeline.move_to(to);
        drop(timeline);
        due.into_iter().for_each(Waker::wake);
    }

    /// Moves the time to the next sleeper's deadline and returns how far that was, or `None` if nobody sleeps.
    pub fn advance_to_next(&self) -> Option<Duration> {
        let mut timeline = self.lock();
        let (&(deadline, _), _) = timeline.sleepers.first_key_value()?;
        let step = deadline.saturating_sub(timeline.now);
        let due = timeline.move_to(deadline);
        drop(timeline);
        due.into_iter().for_each(Waker::wake);
        Some(step)
    }

    /// From now on the earliest sleeper moves the time itself, after it has let others run.
    ///
    /// For tests on a runtime with several threads, where nobody can tell when all are idle.
    pub fn advance_by_itself(&self) {
        let mut timeline = self.lock();
        timeline.by_itself = true;
        let wakers: Vec<Waker> = timeline.sleepers.values().cloned().collect();
        drop(timeline);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Returns how many sleep now: a test on several threads waits for it before it advances.
    pub fn sleepers(&self) -> usize {
        self.lock().sleepers.len()
    }

    /// Runs a future on this thread and moves the time to the next sleeper whenever the future is idle.
    ///
    /// # Panics
    ///
    /// If the future waits for something that no sleeper can bring about: the test would hang.
    pub fn run<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        let woken = Arc::new(Woken(AtomicBool::new(true)));
        let waker = Waker::from(Arc::clone(&woken));
        loop {
            if woken.0.swap(false, Ordering::AcqRel) {
                if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                    return output;
                }
            } else {
                assert!(self.advance_to_next().is_some(), "the future waits, but nobody sleeps on its clock");
            }
        }
    }

    pub(super) fn sleep_until(&self, deadline: Duration) -> impl Future<Output = ()> + Send + use<> {
        Sleep { time: self.clone(), deadline, number: None, yields: 0 }
    }

    fn lock(&self) -> MutexGuard<'_, Timeline> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let timeline = self.lock();
        f.debug_struct("ManualClock").field("now", &timeline.now).field("sleepers", &timeline.sleepers.len()).finish()
    }
}

impl Timeline {
    fn move_to(&mut self, to: Duration) -> Vec<Waker> {
        self.now = self.now.max(to);
        let later = self.sleepers.split_off(&(self.now.saturating_add(Duration::from_nanos(1)), 0));
        std::mem::replace(&mut self.sleepers, later).into_values().collect()
    }

    fn earliest(&self) -> Option<Waker> {
        self.sleepers.first_key_value().map(|(_, waker)| waker.clone())
    }
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

struct Sleep {
    time: ManualClock,
    deadline: Duration,
    number: Option<u64>,
    yields: u8,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let mut timeline = this.time.lock();
        if timeline.now >= this.deadline {
            return Poll::Ready(());
        }
        let number = *this.number.get_or_insert_with(|| {
            timeline.next_number += 1;
            timeline.next_number
        });
        let key = (this.deadline, number);
        timeline.sleepers.insert(key, cx.waker().clone());
        if timeline.by_itself {
            if this.yields < YIELDS {
                this.yields += 1;
                drop(timeline);
                cx.waker().wake_by_ref();
            } else if timeline.sleepers.first_key_value().is_some_and(|(first, _)| *first == key) {
                let due = timeline.move_to(this.deadline);
                drop(timeline);
                // Its own waker is among them; one poll too many does no harm.
                due.into_iter().for_each(Waker::wake);
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        let Some(number) = self.number else { return };
        let mut timeline = self.time.lock();
        timeline.sleepers.remove(&(self.deadline, number));
        // The one that moves the time by itself has gone: the next one has to know.
        let next = if timeline.by_itself { timeline.earliest() } else { None };
        drop(timeline);
        if let Some(waker) = next {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::Clock;

    #[test]
    fn sleepers_wake_in_the_order_of_their_deadlines() {
        let (clock, time) = Clock::manual();
        let order = Mutex::new(Vec::new());
        let sleeper = async |seconds: u64| {
            clock.sleep(Duration::from_secs(seconds)).await;
            order.lock().unwrap().push((seconds, clock.monotonic().as_secs()));
        };
        time.run(futures::future::join3(sleeper(5), sleeper(1), sleeper(3)));
        assert_eq!(*order.lock().unwrap(), [(1, 1), (3, 3), (5, 5)]);
    }

    #[test]
    fn time_moves_only_by_hand() {
        let (clock, time) = Clock::manual();
        let before = clock.now_unix_millis();
        let mut sleep = Box::pin(clock.sleep(Duration::from_secs(2)));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(sleep.as_mut().poll(&mut cx).is_pending());
        time.advance(Duration::from_millis(1_999));
        assert!(sleep.as_mut().poll(&mut cx).is_pending());
        time.advance(Duration::from_millis(1));
        assert!(sleep.as_mut().poll(&mut cx).is_ready());
        assert_eq!(clock.now_unix_millis() - before, 2_000);
        time.set_unix_millis(5);
        assert_eq!(clock.now_unix_millis(), 5);
        assert_eq!(clock.monotonic(), Duration::from_secs(2));
    }

    #[test]
    fn a_dropped_sleep_leaves_no_sleeper() {
        let (clock, time) = Clock::manual();
        let mut sleep = Box::pin(clock.sleep(Duration::from_secs(2)));
        assert!(sleep.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        assert_eq!(time.sleepers(), 1);
        drop(sleep);
        assert_eq!(time.sleepers(), 0);
        assert_eq!(time.advance_to_next(), None);
    }

    #[test]
    #[should_panic(expected = "nobody sleeps")]
    fn a_future_that_nobody_can_wake_fails_the_test_instead_of_hanging() {
        let (_clock, time) = Clock::manual();
        time.run(std::future::pending::<()>());
    }

    #[test]
    fn on_several_threads_the_sleepers_move_the_time_themselves() {
        let (clock, time) = Clock::manual();
        time.advance_by_itself();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
        runtime.block_on(async {
            let tasks: Vec<_> = (1..=20u64)
                .map(|n| {
                    let clock = clock.clone();
                    tokio::spawn(async move {
                        for _ in 0..10 {
                            clock.sleep(Duration::from_secs(n * 60)).await;
                        }
                        clock.monotonic()
                    })
                })
                .collect();
            for (n, task) in (1..).zip(tasks) {
                assert!(task.await.unwrap() >= Duration::from_secs(n * 600));
            }
        });
        assert_eq!(time.sleepers(), 0);
    }
}
