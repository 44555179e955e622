//! Tests of tries: budgets, what is repeated, concurrency, figures.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use futures::FutureExt;
use futures::future::join_all;

use super::*;

/// Calls with a closure that always fails; returns the error and when it was tried.
fn fail(gate: &Gate, time: &ManualClock, kind: &ErrorKind, retry: Retry) -> (Error, Vec<Duration>) {
    let seen = RefCell::new(Vec::new());
    let call = gate.call(Cost::default(), "read", |attempt| {
        seen.borrow_mut().push(gate.clock().monotonic());
        assert_eq!(attempt.number() as usize, seen.borrow().len());
        let error = failure(kind.clone(), retry);
        async move { Err::<(), _>(error) }
    });
    (time.run(call).unwrap_err(), seen.into_inner())
}

#[test]
fn a_call_that_never_succeeds_ends_after_eight_tries() {
    let (clock, time) = Clock::manual();
    let gate = gate(&clock).build();
    let (error, seen) = fail(&gate, &time, &ErrorKind::Unavailable, Retry::Backoff);
    assert_eq!((seen.len(), error.context("tries"), error.operation()), (8, Some("8"), "read"));
    assert_eq!(*error.kind(), ErrorKind::Unavailable);
    assert!(clock.monotonic() <= Duration::from_mins(2));
    let stats = gate.stats();
    assert_eq!((stats.requests, stats.tries, stats.throttled), (1, 8, 0));
    assert_eq!(stats.waited, clock.monotonic());
}

#[test]
fn the_same_seed_gives_the_same_waits() {
    let waits = |seed| {
        let (clock, time) = Clock::manual();
        let gate = gate(&clock).jitter(Jitter::seeded(seed)).build();
        fail(&gate, &time, &ErrorKind::Unavailable, Retry::Backoff).1
    };
    assert_eq!(waits(1), waits(1));
    assert_ne!(waits(1), waits(2));
}

#[test]
fn the_sum_of_own_waits_ends_a_call_before_its_tries_are_used_up() {
    for seed in 0..50 {
        let (clock, time) = Clock::manual();
        let policy = RetryPolicy { tries: 1_000, initial: secs(20), ..RetryPolicy::default() };
        let gate = gate(&clock).retry(policy).jitter(Jitter::seeded(seed)).build();
        let (error, seen) = fail(&gate, &time, &ErrorKind::Unavailable, Retry::Backoff);
        assert!(clock.monotonic() <= Duration::from_mins(2));
        // The next wait would have been a minute at most.
        assert!(clock.monotonic() >= Duration::from_mins(1), "{:?}", clock.monotonic());
        assert_eq!(error.context("tries"), Some(seen.len().to_string().as_str()));
    }
}

#[test]
fn what_the_server_dictates_is_waited_up_to_fifteen_minutes_in_all() {
    let (clock, time) = Clock::manual();
    let bucket = Arc::new(Bucket::new(limit(1_000, 1, 100), clock.clone()));
    let gate = gate(&clock).bucket("application", Arc::clone(&bucket)).build();
    let (error, seen) = fail(&gate, &time, &ErrorKind::Throttled, Retry::After(Duration::from_mins(4)));
    assert_eq!(seen.iter().map(|at| at.as_secs() / 60).collect::<Vec<_>>(), [0, 4, 8, 12]);
    assert_eq!((error.message(), error.context("tries")), ("refused", Some("4")));
    assert_eq!(bucket.paused_for(), Duration::from_mins(4), "it is left alone nevertheless");
}

#[test]
fn a_call_that_finds_a_pause_too_long_for_it_fails_at_once_and_says_how_long() {
    let (clock, time) = Clock::manual();
    let bucket = Arc::new(Bucket::new(limit(1_000, 1, 100), clock.clone()));
    let gate = gate(&clock).bucket("application", Arc::clone(&bucket)).build();
    bucket.pause_for(Duration::from_hours(1));
    let (error, seen) = fail(&gate, &time, &ErrorKind::Unavailable, Retry::Backoff);
    assert_eq!((seen.len(), error.context("tries")), (0, Some("0")));
    assert_eq!((error.kind(), error.retry()), (&ErrorKind::Throttled, Retry::After(Duration::from_hours(1))));
    assert_eq!(clock.monotonic(), Duration::ZERO);
    time.advance(Duration::from_mins(50));
    let call = gate.call(Cost::default(), "read", |_| async { Ok(clock.monotonic()) });
    assert_eq!(time.run(call).unwrap(), Duration::from_hours(1));
}

#[test]
fn a_pause_spent_in_the_queue_counts_as_well() {
    let (clock, time) = Clock::manual();
    let bucket = Arc::new(Bucket::new(limit(1_000, 1, 100), clock.clone()));
    let gate = gate(&clock).bucket("application", Arc::clone(&bucket)).build();
    bucket.pause_for(Duration::from_mins(10));
    let call = || async {
        let throttled = gate.call(Cost::default(), "read", |_| async {
            Err::<(), _>(failure(ErrorKind::Throttled, Retry::After(Duration::from_mins(10))))
        });
        let error = throttled.await.unwrap_err();
        (error.context("tries").map(str::to_owned), clock.monotonic())
    };
    let ends = time.run(join_all([call(), call(), call()]));
    // The first finds out that ten minutes more are asked for; the others have waited ten already.
    let at = |tries: &str| (Some(tries.to_owned()), Duration::from_mins(10));
    assert_eq!(ends, [at("1"), at("0"), at("0")]);
}

#[test]
fn a_wrong_password_is_tried_once() {
    for retry in [Retry::Never, Retry::Backoff, Retry::After(secs(1))] {
        let (clock, time) = Clock::manual();
        let (error, seen) = fail(&gate(&clock).build(), &time, &ErrorKind::Unauthenticated, retry);
        assert_eq!((seen.len(), error.context("tries")), (1, Some("1")));
    }
}

#[test]
fn an_error_that_repeating_cannot_help_is_not_repeated() {
    let (clock, time) = Clock::manual();
    let (_, seen) = fail(&gate(&clock).build(), &time, &ErrorKind::Protocol, Retry::Never);
    assert_eq!(seen.len(), 1);
}

#[test]
fn every_try_takes_its_permits() {
    let (clock, time) = Clock::manual();
    let bucket = Arc::new(Bucket::new(limit(1_000, 100_000, 100), clock.clone()));
    let gate = gate(&clock).bucket("application", Arc::clone(&bucket)).build();
    fail(&gate, &time, &ErrorKind::Unavailable, Retry::Backoff);
    assert_eq!(bucket.available(), 100 - 8);
}

#[test]
fn concurrency_errors_shrink_what_runs_at_once_and_success_brings_it_back() {
    let (clock, time) = Clock::manual();
    let gate = gate(&clock).concurrency(NonZeroUsize::new(8).unwrap()).build();
    let (running, most, server_takes) = (Cell::new(0u32), Cell::new(0u32), Cell::new(3u32));
    let load = async |calls: usize| {
        most.set(0);
        let call = async || {
            let made = gate.call(Cost::default(), "read", |_| async {
                if running.get() >= server_takes.get() {
                    return Err(failure(ErrorKind::Concurrency, Retry::Backoff));
                }
                running.set(running.get() + 1);
                most.set(most.get().max(running.get()));
                clock.sleep(secs(1)).await;
                running.set(running.get() - 1);
                Ok(())
            });
            made.await.unwrap();
        };
        join_all((0..calls).map(|_| call())).await;
    };
    time.run(load(8));
    let shrunk = gate.concurrency();
    assert!(shrunk <= 4, "{shrunk}");
    assert!(gate.stats().throttled > 0);
    server_takes.set(100);
    time.run(load(1));
    time.run(load(200));
    assert_eq!((gate.concurrency(), most.get()), (8, 8));
}

#[test]
fn at_most_as_many_calls_as_there_are_places_run_at_once_and_in_order() {
    let (clock, time) = Clock::manual();
    let gate = gate(&clock).concurrency(NonZeroUsize::new(3).unwrap()).build();
    let order = RefCell::new(Vec::new());
    let call = async |number: u64| {
        let made = gate.call(Cost::default(), "read", |_| async {
            order.borrow_mut().push((number, clock.monotonic().as_secs()));
            clock.sleep(secs(1)).await;
            Ok(())
        });
        made.await.unwrap();
    };
    time.run(join_all((0..9).map(call)));
    let expected: Vec<_> = (0..9).map(|number| (number, number / 3)).collect();
    assert_eq!(order.into_inner(), expected);
}

#[test]
fn a_backoff_leaves_its_place_to_others() {
    let (clock, time) = Clock::manual();
    let gate = gate(&clock).concurrency(ONE).build();
    let mut failing =
        Box::pin(gate.call(Cost::default(), "read", |_| async {
            Err::<(), _>(failure(ErrorKind::Unavailable, Retry::Backoff))
        }));
    assert!(failing.as_mut().now_or_never().is_none());
    assert_eq!(gate.waiting().unwrap().on, WaitingFor::Backoff);
    time.run(gate.call(Cost::default(), "read", |_| async { Ok(()) })).unwrap();
    assert_eq!(clock.monotonic(), Duration::ZERO);
}

#[test]
fn waiting_says_for_what_and_until_when() {
    let (clock, time) = Clock::manual();
    let bucket = Arc::new(Bucket::new(limit(1, 10, 1), clock.clone()));
    let gate = gate(&clock).concurrency(ONE).bucket("application", Arc::clone(&bucket)).build();
    assert_eq!(gate.waiting(), None);
    let call = || Box::pin(gate.call(Cost::default(), "read", |_| clock.sleep(secs(3)).map(Ok)));
    let (mut first, mut second, mut third) = (call(), call(), call());
    assert!(first.as_mut().now_or_never().is_none());
    assert!(second.as_mut().now_or_never().is_none());
    assert_eq!(gate.waiting(), None, "a try is in flight");
    time.advance(secs(3));
    assert!(first.as_mut().now_or_never().is_some());
    assert!(third.as_mut().now_or_never().is_none());
    let until = |seconds| Some(clock.unix_millis_at(secs(seconds)));
    let application = WaitingFor::Bucket("application".into());
    assert_eq!(gate.waiting(), Some(Waiting { on: application, until_unix_millis: until(10) }));
    bucket.pause_for(secs(60));
    assert!(second.as_mut().now_or_never().is_none());
    assert_eq!(gate.waiting(), Some(Waiting { on: WaitingFor::Server, until_unix_millis: until(63) }));
    time.run(futures::future::join(second, third)).0.unwrap();
    assert_eq!(gate.waiting(), None);
    // The second waited 63 at the bucket, the third from 3 on, and 10 longer.
    assert_eq!(gate.stats().waited, secs(63 + 70));
}

#[test]
fn calls_on_several_threads_share_one_gate() {
    let (clock, time) = Clock::manual();
    time.advance_by_itself();
    let bucket = Arc::new(Bucket::new(limit(100, 10, 10), clock.clone()));
    let gate = gate(&clock).concurrency(NonZeroUsize::new(5).unwrap()).bucket("application", bucket).build();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(3).build().unwrap();
    runtime.block_on(async {
        let call = |gate: Gate| async move {
            let tried = gate.call(Cost::of(2), "read", |attempt| async move {
                let busy = failure(ErrorKind::Unavailable, Retry::Backoff);
                if attempt.number() < 3 { Err(busy) } else { Ok(()) }
            });
            tried.await
        };
        let calls: Vec<_> = (0..100).map(|_| tokio::spawn(call(gate.clone()))).collect();
        for call in calls {
            call.await.unwrap().unwrap();
        }
    });
    assert_eq!(gate.stats().tries, 300);
    // 600 permits: 10 at once, the rest at 91 in ten seconds.
    assert!(clock.monotonic() >= secs(64), "{:?}", clock.monotonic());
}
