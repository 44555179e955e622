//! Tests of the gate as a whole, on virtual time.
//!
//! They must not know the insides: what the server would see is what counts.

mod cancel;
mod lanes;
mod law;
mod quota;
mod tries;

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use super::*;
use crate::error::{Error, ErrorKind, Result, Retry};

const ONE: NonZeroUsize = NonZeroUsize::MIN;
const MANY: NonZeroUsize = NonZeroUsize::new(1_000).expect("1000 is not 0");

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// `permits` in `seconds`, `burst` of them at once.
fn limit(permits: u32, seconds: u64, burst: u32) -> Limit {
    let number = |n| NonZeroU32::new(n).unwrap();
    Limit::new(number(permits), secs(seconds)).unwrap().with_burst(number(burst))
}

/// A gate on a manual clock with the same jitter in every test.
fn gate(clock: &Clock) -> GateBuilder {
    Gate::builder().clock(clock.clone()).jitter(Jitter::seeded(42)).concurrency(MANY)
}

fn failure(kind: ErrorKind, retry: Retry) -> Error {
    Error::new(kind, "refused").with_retry(retry)
}
