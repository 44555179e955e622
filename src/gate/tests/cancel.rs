//! Tests of cancellation and of dropped calls: prompt at every wait, and nothing leaks.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::FutureExt;
use tokio_util::sync::CancellationToken;

use super::*;

type Call<'a> = Pin<Box<dyn Future<Output = Result<Duration>> + 'a>>;

struct World {
    clock: Clock,
    time: ManualClock,
    bucket: Arc<Bucket>,
    /// One place, one bucket with a burst of one and another every ten seconds.
    gate: Gate,
}

impl World {
    fn new() -> Self {
        let (clock, time) = Clock::manual();
        let bucket = Arc::new(Bucket::new(limit(1, 10, 1), clock.clone()));
        let gate = gate(&clock).concurrency(ONE).bucket("application", Arc::clone(&bucket)).build();
        Self { clock, time, bucket, gate }
    }

    fn call(&self) -> Call<'_> {
        Box::pin(self.gate.call(Cost::default(), "read", |_| async { Ok(self.clock.monotonic()) }))
    }

    /// Brings a call to the wait that is tested, ends it in both ways, and looks for leaks.
    fn ends_promptly(&self, on: &WaitingFor, next_at: u64, call: impl Fn(Gate) -> Call<'static>) {
        let token = CancellationToken::new();
        let mut cancelled = call(self.gate.with_cancel(token.clone()));
        assert!(cancelled.as_mut().now_or_never().is_none());
        assert_eq!(self.gate.waiting().unwrap().on, *on);
        token.cancel();
        let error = cancelled.as_mut().now_or_never().expect("it ends without the time moving").unwrap_err();
        assert_eq!((error.kind(), error.operation()), (&ErrorKind::Cancelled, "read"));

        let mut dropped = call(self.gate.clone());
        assert!(dropped.as_mut().now_or_never().is_none());
        drop(dropped);

        assert_eq!(self.time.sleepers(), 0);
        assert_eq!(self.gate.waiting(), None);
        assert_eq!(self.time.run(self.call()).unwrap(), secs(next_at));
    }
}

fn read(gate: Gate) -> Call<'static> {
    Box::pin(async move { gate.call(Cost::default(), "read", |_| async { Ok(Duration::ZERO) }).await })
}

#[test]
fn at_the_bucket() {
    let world = World::new();
    world.time.run(world.call()).unwrap();
    world.ends_promptly(&WaitingFor::Bucket("application".into()), 10, read);
}

#[test]
fn at_the_bucket_with_a_cost_beyond_the_burst() {
    let world = World::new();
    world.time.run(world.call()).unwrap();
    world.ends_promptly(&WaitingFor::Bucket("application".into()), 10, |gate| {
        Box::pin(async move { gate.call(Cost::of(5), "read", |_| async { Ok(Duration::ZERO) }).await })
    });
}

#[test]
fn while_the_server_asks_for_silence() {
    let world = World::new();
    world.bucket.pause_for(secs(30));
    world.ends_promptly(&WaitingFor::Server, 30, read);
}

#[test]
fn during_a_backoff() {
    let world = World::new();
    let quick = gate(&world.clock).concurrency(ONE).build();
    let world = World { gate: quick, ..world };
    world.ends_promptly(&WaitingFor::Backoff, 0, |gate| {
        Box::pin(async move {
            gate.call(Cost::default(), "read", |_| async { Err(failure(ErrorKind::Unavailable, Retry::Backoff)) }).await
        })
    });
}

#[test]
fn in_the_queue_for_a_place() {
    let mut world = World::new();
    // Without a bucket, at which they would wait first.
    world.gate = gate(&world.clock).concurrency(ONE).build();
    let mut first = Box::pin(world.gate.call(Cost::default(), "hold", |_| world.clock.sleep(secs(4)).map(Ok)));
    assert!(first.as_mut().now_or_never().is_none());
    let token = CancellationToken::new();
    let mut cancelled = read(world.gate.with_cancel(token.clone()));
    let mut dropped = read(world.gate.clone());
    assert!(cancelled.as_mut().now_or_never().is_none());
    assert!(dropped.as_mut().now_or_never().is_none());
    assert_eq!(world.gate.stats().tries, 1);
    token.cancel();
    assert_eq!(*cancelled.now_or_never().unwrap().unwrap_err().kind(), ErrorKind::Cancelled);
    drop(dropped);
    world.time.run(first).unwrap();
    assert_eq!(world.time.run(world.call()).unwrap(), secs(4));
}

#[test]
fn in_the_queue_at_a_bucket() {
    let world = World::new();
    world.time.run(world.call()).unwrap();
    let other = gate(&world.clock).bucket("shared", Arc::clone(&world.bucket)).build();
    let mut first = world.call();
    assert!(first.as_mut().now_or_never().is_none());
    let token = CancellationToken::new();
    let mut cancelled = read(other.with_cancel(token.clone()));
    let mut dropped = read(other.clone());
    assert!(cancelled.as_mut().now_or_never().is_none());
    assert!(dropped.as_mut().now_or_never().is_none());
    assert_eq!(other.waiting().unwrap().on, WaitingFor::Bucket("shared".into()));
    token.cancel();
    assert_eq!(*cancelled.now_or_never().unwrap().unwrap_err().kind(), ErrorKind::Cancelled);
    drop(dropped);
    assert_eq!(world.time.run(first).unwrap(), secs(10));
    assert_eq!(world.time.run(world.call()).unwrap(), secs(20));
}

#[test]
fn in_the_middle_of_a_try_which_is_dropped() {
    struct Tell(Arc<AtomicBool>);
    impl Drop for Tell {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let world = World::new();
    let (token, ended) = (CancellationToken::new(), Arc::new(AtomicBool::new(false)));
    let gate = world.gate.with_cancel(token.clone());
    let mut call = Box::pin(gate.call(Cost::default(), "read", |_| {
        let tell = Tell(Arc::clone(&ended));
        async move {
            let _tell = tell;
            std::future::pending::<Result<()>>().await
        }
    }));
    assert!(call.as_mut().now_or_never().is_none());
    token.cancel();
    assert_eq!(*call.as_mut().now_or_never().unwrap().unwrap_err().kind(), ErrorKind::Cancelled);
    assert!(ended.load(Ordering::Relaxed), "the try is dropped before the call returns");
    // The server may have counted it, so its permit is spent; its place is free.
    assert_eq!(world.time.run(world.call()).unwrap(), secs(10));
}

#[test]
fn a_token_that_is_cancelled_already_lets_nothing_through() {
    let world = World::new();
    let token = CancellationToken::new();
    token.cancel();
    let error = world.time.run(read(world.gate.with_cancel(token))).unwrap_err();
    assert_eq!((error.kind(), error.context("tries")), (&ErrorKind::Cancelled, Some("0")));
    assert_eq!(world.gate.stats().tries, 0);
    assert_eq!(world.bucket.available(), 1);
}

#[test]
fn a_call_is_send_when_its_closure_is() {
    fn is_send<T: Send>(future: T) -> T {
        future
    }
    let world = World::new();
    let number = std::sync::atomic::AtomicU32::new(0);
    let call = is_send(world.gate.call(Cost::default(), "read", |attempt| {
        number.store(attempt.number(), Ordering::Relaxed);
        async { Ok(()) }
    }));
    world.time.run(call).unwrap();
    assert_eq!(number.into_inner(), 1);
}
