//! Tests of slow buckets and of full gates: neither keeps calls waiting that need only the other.

use std::cell::RefCell;
use std::sync::Arc;

use futures::future::{join, join_all};

use super::*;

fn places(number: usize) -> NonZeroUsize {
    NonZeroUsize::new(number).unwrap()
}

#[test]
fn calls_that_wait_at_a_slow_bucket_take_no_place_from_the_others() {
    let (clock, time) = Clock::manual();
    // Made in this order, the slow one is queued at first.
    let quotas = Quotas::new(clock.clone());
    let gate = gate(&clock)
        .concurrency(places(2))
        .bucket("tenant", quotas.bucket("tenant", limit(10_000, 10, 1_000)))
        .bucket("reports", quotas.bucket("reports", limit(1, 100, 1)))
        .build();
    let call = async |cost: Cost| {
        let tried = gate.call(cost, "read", |_| async {
            clock.sleep(secs(1)).await;
            Ok(clock.monotonic().as_secs())
        });
        tried.await.unwrap()
    };
    let slow = join_all((0..10).map(|_| call(Cost::default())));
    let quick = join_all((0..40).map(|_| call(Cost::default().on("reports", 0))));
    let (slow, quick) = time.run(join(slow, quick));
    // One slow call runs at once, the others 100 seconds apart; two at a time is all that the quick ones may.
    assert_eq!(*quick.iter().max().unwrap(), 21);
    assert_eq!(slow, (0..10).map(|number| 1 + 100 * number).collect::<Vec<_>>());
}

#[test]
fn calls_that_wait_for_a_place_take_no_bucket_from_other_gates() {
    let (clock, time) = Clock::manual();
    let bucket = Arc::new(Bucket::new(limit(10_000, 10, 1_000), clock.clone()));
    let full = gate(&clock).concurrency(ONE).bucket("application", Arc::clone(&bucket)).build();
    let other = gate(&clock).bucket("application", bucket).build();
    let calls = join_all((0..5).map(|_| {
        full.call(Cost::default(), "slow answer", |_| async {
            clock.sleep(secs(60)).await;
            Ok(())
        })
    }));
    let others = async {
        clock.sleep(secs(1)).await;
        join_all((0..50).map(|_| other.call(Cost::default(), "read", |_| async { Ok(()) }))).await;
        clock.monotonic()
    };
    assert_eq!(time.run(join(calls, others)).1, secs(1));
}

#[test]
fn a_heavy_call_of_a_full_gate_gets_through_among_light_ones_of_another() {
    let (clock, time) = Clock::manual();
    let bucket = Arc::new(Bucket::new(limit(100, 10, 20), clock.clone()));
    let busy = gate(&clock).concurrency(places(2)).bucket("application", Arc::clone(&bucket)).build();
    let other = gate(&clock).concurrency(MANY).bucket("application", bucket).build();
    let (light, heavy) = (RefCell::new(0), RefCell::new(Vec::new()));
    let lights = join_all((0..1_000).map(|_| {
        other.call(Cost::default(), "light", |_| async {
            *light.borrow_mut() += 1;
            Ok(())
        })
    }));
    let heavies = join_all((0..6).map(|_| {
        busy.call(Cost::of(20), "heavy", |_| async {
            heavy.borrow_mut().push(*light.borrow());
            clock.sleep(secs(3)).await;
            Ok(())
        })
    }));
    time.run(join(heavies, lights));
    // They came first and are served in their turn: a place that was not free costs a heavy call its turn now and
    // then, but not for good.
    assert_eq!(heavy.borrow().len(), 6);
    assert!(heavy.borrow().iter().take(2).all(|before| *before == 0), "{heavy:?}");
}

#[test]
fn a_place_that_comes_free_during_a_pause_is_left_to_nobody_who_may_not_use_it() {
    let (clock, time) = Clock::manual();
    // Made in this order, the one that will be paused is queued at first.
    let other = Arc::new(Bucket::new(limit(10_000, 10, 1_000), clock.clone()));
    let bucket = Arc::new(Bucket::new(limit(10_000, 10, 1_000), clock.clone()));
    let gate = gate(&clock).concurrency(ONE).bucket("application", Arc::clone(&bucket)).bucket("other", other).build();
    let order = RefCell::new(Vec::new());
    let call = async |name: &'static str, cost: Cost| {
        let tried = gate.call(cost, "read", |_| async {
            order.borrow_mut().push((name, clock.monotonic().as_secs()));
            clock.sleep(secs(2)).await;
            Ok(())
        });
        tried.await.unwrap();
    };
    let pause = async {
        clock.sleep(secs(1)).await;
        bucket.pause_for(secs(60));
    };
    let calls = join_all([
        call("first", Cost::default()),
        call("paused", Cost::default()),
        call("free", Cost::default().on("application", 0)),
    ]);
    time.run(join(calls, pause));
    assert_eq!(order.into_inner(), [("first", 0), ("free", 2), ("paused", 61)]);
}
