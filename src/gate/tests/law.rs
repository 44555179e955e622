//! Law 15: no provider is asked faster than this process's share of its published quota.
//!
//! The oracle counts what a server would count; it must not know how a bucket works.

use std::cell::RefCell;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;

/// What happens besides calls: none of it may speed anything up.
#[derive(Debug, Clone)]
enum Event {
    Call {
        cost: u32,
        lasts: Duration,
        narrow: usize,
    },
    DroppedCall {
        cost: u32,
        after: Duration,
        narrow: usize,
    },
    Pause(Duration),
    SlowDown(f64),
    Correct(i64),
    /// The same quota with another burst, as a server may report it.
    Burst(u32),
}

#[derive(Debug, Clone)]
struct Schedule {
    wide: Limit,
    narrow: Limit,
    events: Vec<(Duration, Event)>,
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is at most `permits`")]
fn allowed(limit: &Limit) -> u32 {
    (f64::from(limit.permits().get()) * limit.share() + 1e-9).floor() as u32
}

fn limits() -> impl Strategy<Value = Limit> {
    (1..60u32, 1..100u64, 1..60u32, 0.05..=1.0f64)
        .prop_map(|(permits, seconds, burst, share)| limit(permits, seconds, burst).with_share(share).unwrap())
        .prop_filter("at least one whole permit", |limit| allowed(limit) >= 1)
}

fn events(most: u32) -> impl Strategy<Value = Event> {
    let millis = |to: u64| (0..to).prop_map(Duration::from_millis);
    prop_oneof![
        20 => (1..=most, millis(2_000), 0..2usize)
            .prop_map(|(cost, lasts, narrow)| Event::Call { cost, lasts, narrow }),
        2 => (1..=most, millis(20_000), 0..2usize)
            .prop_map(|(cost, after, narrow)| Event::DroppedCall { cost, after, narrow }),
        1 => millis(30_000).prop_map(Event::Pause),
        1 => (0.0..1.2f64).prop_map(Event::SlowDown),
        1 => (0..5i64).prop_map(Event::Correct),
        2 => (1..60u32).prop_map(Event::Burst),
    ]
}

fn schedules() -> impl Strategy<Value = Schedule> {
    (limits(), limits()).prop_flat_map(|(wide, narrow)| {
        let most = allowed(&wide).min(allowed(&narrow)).min(12);
        // Many at the same moment, some after a rest that fills the bucket.
        let delay = prop_oneof![Just(0u64), 0..500u64, 0..20_000u64, Just(200_000u64)].prop_map(Duration::from_millis);
        prop::collection::vec((delay, events(most)), 1..80).prop_map(move |events| Schedule { wide, narrow, events })
    })
}

/// The most that fell into any window of the limit's length. Every fullest window begins with a call.
fn fullest_window(calls: &[(Duration, u32)], limit: &Limit) -> u32 {
    let sum = |begin: Duration| {
        calls.iter().filter(|(at, _)| *at >= begin && *at < begin + limit.per()).map(|(_, cost)| cost).sum()
    };
    calls.iter().map(|(at, _)| sum(*at)).max().unwrap_or(0)
}

/// Plays a schedule and returns what the server saw of the wide bucket and of the two narrow ones.
fn play(schedule: &Schedule) -> [Vec<(Duration, u32)>; 3] {
    let (clock, time) = Clock::manual();
    let quotas = Quotas::new(clock.clone());
    let wide = quotas.bucket("wide", schedule.wide);
    let patient = RetryPolicy { dictated_waits: Duration::MAX, ..RetryPolicy::default() };
    let gates = ["left", "right"].map(|key| {
        gate(&clock)
            .bucket("wide", Arc::clone(&wide))
            .bucket("narrow", quotas.bucket(key, schedule.narrow))
            .retry(patient.clone())
            .build()
    });
    let seen = RefCell::new([const { Vec::new() }; 3]);
    let call = async |cost: u32, lasts: Duration, narrow: usize| {
        let made = gates[narrow].call(Cost::of(cost), "call", |_| async {
            let now = clock.monotonic();
            seen.borrow_mut()[0].push((now, cost));
            seen.borrow_mut()[1 + narrow].push((now, cost));
            clock.sleep(lasts).await;
            Ok(())
        });
        made.await.unwrap();
    };
    let mut at = Duration::ZERO;
    let events = schedule.events.iter().map(|(delay, event)| {
        at += *delay;
        let (begin, clock, wide, call) = (at, &clock, &wide, &call);
        async move {
            clock.sleep_until(begin).await;
            match *event {
                Event::Call { cost, lasts, narrow } => call(cost, lasts, narrow).await,
                Event::DroppedCall { cost, after, narrow } => {
                    tokio::select! { biased; () = clock.sleep(after) => {}, () = call(cost, secs(1), narrow) => {} }
                }
                Event::Pause(pause) => wide.pause_for(pause),
                Event::SlowDown(factor) => wide.slow_down(factor),
                Event::Correct(extra) => wide.correct(extra),
                Event::Burst(burst) => wide.set_limit(schedule.wide.with_burst(NonZeroU32::new(burst).unwrap())),
            }
        }
    });
    time.run(futures::future::join_all(events.collect::<Vec<_>>()));
    seen.into_inner()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_provider_is_asked_faster_than_the_share_of_its_quota(schedule in schedules()) {
        let [wide, left, right] = play(&schedule);
        let calls = schedule.events.iter().filter(|(_, event)| matches!(event, Event::Call { .. })).count();
        prop_assert!(wide.len() >= calls, "every call is made at last");
        prop_assert!(fullest_window(&wide, &schedule.wide) <= allowed(&schedule.wide));
        prop_assert!(fullest_window(&left, &schedule.narrow) <= allowed(&schedule.narrow));
        prop_assert!(fullest_window(&right, &schedule.narrow) <= allowed(&schedule.narrow));
    }
}

#[test]
fn the_oracle_sees_one_permit_too_many() {
    let limit = limit(3, 10, 1);
    let calls = |ends: u64| [(secs(0), 1), (secs(5), 2), (secs(ends), 1)];
    assert_eq!(fullest_window(&calls(9), &limit), 4);
    assert_eq!(fullest_window(&calls(10), &limit), 3);
}

#[test]
fn a_burst_that_a_server_reports_comes_after_the_window_of_the_quicker_pace() {
    let (clock, time) = Clock::manual();
    // One in 5.67 seconds; with a burst of two it is one in 8.5.
    let (steady, bursty) = (limit(3, 17, 1), limit(3, 17, 2));
    let bucket = Arc::new(Bucket::new(steady, clock.clone()));
    let gate = gate(&clock).bucket("application", Arc::clone(&bucket)).build();
    let now = &(|| clock.monotonic());
    let call = |cost| gate.call(Cost::of(cost), "call", move |_| async move { Ok((now(), cost)) });
    let first = time.run(call(3)).unwrap();
    time.advance(secs(1));
    bucket.set_limit(bursty);
    let second = time.run(call(1)).unwrap();
    assert_eq!(fullest_window(&[first, second], &bursty), 3);
    time.advance(secs(100));
    assert_eq!(bucket.available(), 2);
}

#[test]
fn a_busy_bucket_uses_what_it_may() {
    let calls = (0..1_000).map(|_| (Duration::ZERO, Event::Call { cost: 1, lasts: Duration::ZERO, narrow: 0 }));
    let (wide, narrow) = (limit(100, 100, 10), limit(1_000_000, 1, 100_000));
    let [wide, ..] = play(&Schedule { wide, narrow, events: calls.collect() });
    // 10 at once, and 91 of the 100 in each further period.
    let last = wide.last().unwrap().0;
    assert!(last > secs(1_080) && last < secs(1_090), "{last:?}");
}

#[test]
fn a_share_of_less_than_one_permit_is_one_in_a_longer_time() {
    let quarter = limit(1, 10, 1).with_share(0.25).unwrap();
    let calls = (0..4).map(|_| (Duration::ZERO, Event::Call { cost: 1, lasts: Duration::ZERO, narrow: 0 }));
    let [seen, ..] = play(&Schedule { wide: quarter, narrow: limit(1_000, 1, 100), events: calls.collect() });
    let seconds: Vec<_> = seen.iter().map(|(at, _)| at.as_secs()).collect();
    assert_eq!(seconds, [0, 40, 80, 120]);
}
