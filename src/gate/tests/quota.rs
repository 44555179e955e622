//! Tests of buckets as calls see them: fairness, pauses, changes and reports of quotas, sharing.

use std::cell::RefCell;
use std::sync::Arc;

use futures::future::{join, join_all};

use super::*;

/// Makes calls of these costs in this order, all at once, and returns when each was tried.
#[expect(clippy::future_not_send, reason = "it runs on the test's own thread")]
async fn times(gate: &Gate, costs: &[u32]) -> Vec<(u32, Duration)> {
    let seen = RefCell::new(Vec::new());
    let call = async |cost: u32| {
        let tried = gate.call(Cost::of(cost), "call", |_| async {
            seen.borrow_mut().push((cost, gate.clock().monotonic()));
            Ok(())
        });
        tried.await.unwrap();
    };
    join_all(costs.iter().map(|cost| call(*cost))).await;
    seen.into_inner()
}

fn gate_with(clock: &Clock, limit: Limit) -> (Gate, Arc<Bucket>) {
    let bucket = Arc::new(Bucket::new(limit, clock.clone()));
    (gate(clock).bucket("application", Arc::clone(&bucket)).build(), bucket)
}

#[test]
fn a_heavy_call_is_served_in_its_turn_among_light_ones() {
    let (clock, time) = Clock::manual();
    let (gate, _) = gate_with(&clock, limit(100, 10, 20));
    let mut costs = vec![1; 30];
    costs.push(20);
    costs.extend([1; 300]);
    let seen = time.run(times(&gate, &costs));
    let place = seen.iter().position(|(cost, _)| *cost == 20);
    assert_eq!(place, Some(30));
}

#[test]
fn a_cost_beyond_the_burst_is_saved_up_and_paid_back() {
    let (clock, time) = Clock::manual();
    // Two at once, then one in a second.
    let (gate, bucket) = gate_with(&clock, limit(11, 10, 2));
    let seen = time.run(times(&gate, &[6, 1]));
    assert_eq!(seen, [(6, secs(4)), (1, secs(9))]);
    assert_eq!(bucket.available(), 0);
}

#[test]
fn a_retry_after_holds_every_caller_of_the_bucket_and_only_them() {
    let (clock, time) = Clock::manual();
    let quotas = Quotas::new(clock.clone());
    let shared = quotas.bucket("application", limit(1_000, 1, 100));
    let (one, two) = (
        gate(&clock).bucket("application", quotas.bucket("application", limit(1, 1, 1))).build(),
        gate(&clock).bucket("app", Arc::clone(&shared)).build(),
    );
    let other = gate(&clock).bucket("application", quotas.bucket("other", limit(1_000, 1, 100))).build();
    let throttled = one.call(Cost::default(), "throttled", |attempt| {
        let now = clock.monotonic();
        async move {
            let throttled = failure(ErrorKind::Throttled, Retry::After(secs(30)));
            if attempt.number() == 1 { Err(throttled) } else { Ok(now) }
        }
    });
    let (repeated, rest) = time.run(join(throttled, async {
        clock.sleep(secs(1)).await;
        assert_eq!(shared.paused_for(), secs(29));
        join(times(&two, &[1, 1]), times(&other, &[1])).await
    }));
    assert_eq!(repeated.unwrap(), secs(30));
    assert_eq!(rest, (vec![(1, secs(30)), (1, secs(30))], vec![(1, secs(1))]));
    assert_eq!(one.stats().throttled, 1);
}

#[test]
fn a_gate_without_buckets_is_held_as_a_whole() {
    let (clock, time) = Clock::manual();
    let gate = gate(&clock).build();
    let throttled = gate.call(Cost::default(), "throttled", |attempt| async move {
        let busy = failure(ErrorKind::Unavailable, Retry::After(secs(5)));
        if attempt.number() == 1 { Err(busy) } else { Ok(()) }
    });
    let (_, seen) = time.run(join(throttled, times(&gate, &[1, 0])));
    // They were let in before the refusal was known; who comes later waits.
    assert_eq!(seen, [(1, secs(5)), (0, secs(5))]);
}

#[test]
fn a_refusal_that_names_its_bucket_holds_only_that_one() {
    let (clock, time) = Clock::manual();
    let quotas = Quotas::new(clock.clone());
    let (wide, narrow) = (quotas.bucket("wide", limit(1_000, 1, 100)), quotas.bucket("narrow", limit(1_000, 1, 100)));
    let gate = gate(&clock).bucket("wide", Arc::clone(&wide)).bucket("narrow", Arc::clone(&narrow)).build();
    let once = RetryPolicy { tries: 1, ..RetryPolicy::default() };
    let gate_once = super::gate(&clock).bucket("narrow", Arc::clone(&narrow)).retry(once).build();
    let refused = gate_once.call(Cost::default(), "refused", |attempt| async move {
        attempt.throttled_by("narrow");
        Err::<(), _>(failure(ErrorKind::Throttled, Retry::After(secs(7))))
    });
    assert!(time.run(refused).is_err());
    // Even a call that is given up lets the others know.
    assert_eq!((wide.paused_for(), narrow.paused_for()), (Duration::ZERO, secs(7)));
    assert_eq!(time.run(times(&gate, &[1])), [(1, secs(7))]);
}

#[test]
fn a_pause_is_never_shortened_and_never_longer_than_a_day() {
    let (clock, _) = Clock::manual();
    let (_, bucket) = gate_with(&clock, limit(1, 1, 1));
    bucket.pause_for(secs(60));
    bucket.pause_for(secs(5));
    assert_eq!(bucket.paused_for(), secs(60));
    bucket.pause_for(Duration::MAX);
    assert_eq!(bucket.paused_for(), Duration::from_hours(24));
}

#[test]
fn a_change_of_the_quota_hands_out_no_second_burst() {
    let (clock, time) = Clock::manual();
    let (gate, bucket) = gate_with(&clock, limit(100, 100, 10));
    time.run(times(&gate, &[10]));
    assert_eq!(bucket.available(), 0);
    for permits in [200, 100, 400, 100, 50] {
        for burst in [20, 10, 1, 25] {
            bucket.set_limit(limit(permits, 100, burst));
            assert!(bucket.available() <= 0, "{permits} {burst}: {}", bucket.available());
        }
    }
    // Changes to and fro do not pile up a debt either.
    for _ in 0..1_000 {
        bucket.set_limit(limit(100, 100, 1));
        bucket.set_limit(limit(100, 100, 50));
    }
    assert!(bucket.available() >= -50, "{}", bucket.available());
}

#[test]
fn a_caller_that_waits_notices_a_bigger_quota() {
    let (clock, time) = Clock::manual();
    let (gate, bucket) = gate_with(&clock, limit(1, 1_000, 1));
    let (seen, ()) = time.run(join(times(&gate, &[1, 1]), async {
        clock.sleep(secs(10)).await;
        bucket.set_limit(limit(1, 20, 1));
    }));
    // 990 of 1000 seconds were left; of 20 that is 19.8.
    assert_eq!(seen[1].1, Duration::from_millis(29_800));
}

#[test]
fn a_reported_quota_never_raises_the_share() {
    let (clock, time) = Clock::manual();
    let (gate, bucket) = gate_with(&clock, limit(100, 10, 10).with_share(0.5).unwrap());
    let reported = gate.call(Cost::default(), "report", |attempt| async move {
        attempt.quota("application", limit(200, 10, 10));
        attempt.quota("unknown", limit(1, 10, 1));
        Ok(())
    });
    time.run(reported).unwrap();
    assert_eq!(bucket.limit(), limit(200, 10, 10).with_share(0.5).unwrap());
}

#[test]
fn the_actual_cost_is_booked_once_and_what_was_not_needed_comes_back() {
    let (clock, time) = Clock::manual();
    let (gate, bucket) = gate_with(&clock, limit(100, 100, 20));
    for (actual, left) in [(5, 15), (25, -10)] {
        let call = gate.call(Cost::of(2), "call", |attempt| async move {
            attempt.actual_cost("application", actual);
            attempt.actual_cost("application", actual);
            Ok(())
        });
        time.run(call).unwrap();
        assert_eq!(bucket.available(), left);
    }
    time.advance(secs(1_000));
    let cheap = gate.call(Cost::of(10), "call", |attempt| async move {
        attempt.actual_cost("application", 1);
        Ok(())
    });
    time.run(cheap).unwrap();
    assert_eq!(bucket.available(), 19);
    bucket.correct(-1_000);
    assert_eq!(bucket.available(), 20, "a full bucket gets no fuller");
    bucket.correct(i64::MAX);
    bucket.correct(i64::MAX);
    assert!(bucket.available() < -1_000_000);
}

#[test]
fn usage_near_the_quota_slows_the_bucket_down_for_one_period() {
    let (clock, time) = Clock::manual();
    // One in a second.
    let (gate, bucket) = gate_with(&clock, limit(60, 60, 1));
    let report = gate.call(Cost::default(), "report", |attempt| async move {
        attempt.usage("application", 1.3);
        Ok(())
    });
    time.run(report).unwrap();
    let seen = time.run(times(&gate, &[1; 10]));
    let seconds: Vec<_> = seen.iter().map(|(_, at)| at.as_secs()).collect();
    assert_eq!(seconds, [10, 20, 30, 40, 50, 60, 61, 62, 63, 64]);
    bucket.report_usage(1.0);
    bucket.report_usage(0.5);
    assert_eq!(time.run(times(&gate, &[1]))[0].1, secs(65), "less usage restores the pace");
}

#[test]
fn a_throttling_without_a_time_empties_the_bucket() {
    let (clock, time) = Clock::manual();
    let (gate, bucket) = gate_with(&clock, limit(100, 100, 20));
    let call =
        gate.call(Cost::default(), "call", |_| async { Err::<(), _>(failure(ErrorKind::Throttled, Retry::Never)) });
    assert!(time.run(call).is_err());
    assert_eq!(bucket.available(), 0);
}

#[test]
fn a_shared_bucket_counts_both_gates_and_a_full_one_is_not_kept_waiting() {
    let (clock, time) = Clock::manual();
    let quotas = Quotas::new(clock.clone());
    // Made first, so it is the last that a call queues at.
    let wide = quotas.bucket("application", limit(20, 10, 10));
    let slow = quotas.bucket("application+slow", limit(1, 100, 1));
    let slow_gate = gate(&clock).bucket("application", Arc::clone(&wide)).bucket("tenant", slow).build();
    let (fast_gate, costs) = (gate(&clock).bucket("application", wide).build(), [1; 12]);
    let (slow_seen, fast_seen) = time.run(join(times(&slow_gate, &[1, 1, 1]), times(&fast_gate, &costs)));
    // The slow tenant took one of the ten; its second call does not hold the application's queue.
    assert_eq!(fast_seen.iter().filter(|(_, at)| at.is_zero()).count(), 9);
    assert!(fast_seen.iter().all(|(_, at)| *at < secs(4)), "{fast_seen:?}");
    assert_eq!(slow_seen.iter().map(|(_, at)| at.as_secs()).collect::<Vec<_>>(), [0, 100, 200]);
}

#[test]
fn a_call_that_is_held_elsewhere_leaves_the_shared_bucket_to_others() {
    let (clock, time) = Clock::manual();
    let quotas = Quotas::new(clock.clone());
    let wide = quotas.bucket("wide", limit(1, 10, 1));
    let narrow = quotas.bucket("narrow", limit(100, 1, 10));
    let both = gate(&clock).bucket("wide", Arc::clone(&wide)).bucket("narrow", Arc::clone(&narrow)).build();
    let other = gate(&clock).bucket("wide", wide).build();
    time.run(times(&other, &[1]));
    // The first queues at the wide bucket when its narrow one is paused.
    let (held, (passed, ())) = time.run(join(
        times(&both, &[1]),
        join(times(&other, &[1]), async {
            clock.sleep(secs(1)).await;
            narrow.pause_for(secs(30));
        }),
    ));
    assert_eq!((passed[0].1, held[0].1), (secs(10), secs(31)));
}

#[test]
fn a_gate_that_is_held_as_a_whole_leaves_its_buckets_to_others() {
    let (clock, time) = Clock::manual();
    let bucket = Arc::new(Bucket::new(limit(1, 10, 1), clock.clone()));
    let held = gate(&clock).bucket("application", Arc::clone(&bucket)).build();
    let other = gate(&clock).bucket("application", bucket).build();
    time.run(times(&other, &[1]));
    // It costs nothing in any bucket, so the server's pause is the gate's.
    let throttled = held.call(Cost::of(0), "throttled", |attempt| async move {
        let busy = failure(ErrorKind::Unavailable, Retry::After(secs(31)));
        if attempt.number() == 1 { Err(busy) } else { Ok(()) }
    });
    let (seen, (passed, _)) = time.run(join(times(&held, &[1]), join(times(&other, &[1]), throttled)));
    assert_eq!((passed[0].1, seen[0].1), (secs(10), secs(31)));
}

#[test]
fn calls_through_buckets_in_any_order_never_wait_for_each_other_forever() {
    let (clock, time) = Clock::manual();
    let buckets: Vec<_> = (0..3).map(|_| Arc::new(Bucket::new(limit(10, 1, 2), clock.clone()))).collect();
    let gates = [[0, 1, 2], [2, 1, 0], [1, 2, 0]].map(|order| {
        let named = |builder: GateBuilder, index: usize| builder.bucket(index.to_string(), Arc::clone(&buckets[index]));
        order.into_iter().fold(gate(&clock), named).build()
    });
    let seen = time.run(join_all(gates.iter().map(|gate| times(gate, &[1, 2, 3, 1, 2, 3]))));
    assert_eq!(seen.iter().flatten().count(), 18);
}

#[test]
fn the_same_key_is_the_same_bucket_and_keeps_its_limit() {
    let quotas = Quotas::new(Clock::manual().0);
    let first = quotas.bucket("a", limit(1, 1, 1));
    assert!(Arc::ptr_eq(&first, &quotas.clone().bucket("a", limit(2, 1, 1))));
    assert_eq!(first.limit(), limit(1, 1, 1));
    assert!(!Arc::ptr_eq(&first, &quotas.bucket("b", limit(1, 1, 1))));
}

#[test]
fn the_same_bucket_under_two_names_is_charged_once() {
    let (clock, time) = Clock::manual();
    let bucket = Arc::new(Bucket::new(limit(100, 100, 10), clock.clone()));
    let gate = gate(&clock).bucket("a", Arc::clone(&bucket)).bucket("b", Arc::clone(&bucket)).build();
    time.run(times(&gate, &[3]));
    assert_eq!(bucket.available(), 7);
}

#[test]
fn a_call_beside_the_gate_keeps_no_place_from_it_and_counts_with_it() {
    let (clock, time) = Clock::manual();
    let slow = Arc::new(Bucket::new(limit(1, 100, 1), clock.clone()));
    let gate = gate(&clock).bucket("slow", slow).concurrency(NonZeroUsize::MIN).build();
    let beside = gate.beside(NonZeroUsize::MIN);
    let seen = RefCell::new(Vec::new());
    let call = async |gate: &Gate, cost: u32, name: &'static str| {
        let tried = gate.call(Cost::of(0).on("slow", cost), "call", |_| async {
            seen.borrow_mut().push((name, gate.clock().monotonic()));
            Ok(())
        });
        tried.await.unwrap();
    };
    time.run(async {
        call(&beside, 1, "beside").await;
        join(call(&beside, 1, "beside"), async {
            assert_eq!(gate.waiting(), None);
            call(&gate, 0, "gate").await;
        })
        .await;
    });
    assert_eq!(seen.into_inner(), [("beside", secs(0)), ("gate", secs(0)), ("beside", secs(100))]);
    assert_eq!((gate.stats().requests, beside.stats().requests), (3, 3));
    assert_eq!((gate.stats().waited, beside.stats().waited), (secs(0), secs(100)));
}
