//! The only way to the network: buckets, concurrency, classification of failures, waits and repeats.
//!
//! It must not know any provider or protocol.
//!
//! A host makes one [`Quotas`] and, for each endpoint, one [`Gate`] with the buckets that count its calls. A
//! connector makes every call through [`Gate::call`] and maps its provider's failures to [`Error`](crate::Error)s
//! with a true [`Retry`](crate::Retry); it never sleeps and never repeats by itself. Time and randomness are
//! parameters: [`Clock`] and [`Jitter`].

mod admission;
mod attempt;
mod bucket;
mod clock;
mod concurrency;
mod cost;
#[expect(clippy::module_inception, reason = "the folder is the subject, the file its main type")]
mod gate;
mod jitter;
mod limit;
mod manual;
mod quotas;
mod retry;
mod retry_after;
#[cfg(test)]
mod tests;
mod watch;

pub use attempt::Attempt;
pub use bucket::Bucket;
pub use clock::Clock;
pub use cost::Cost;
pub use gate::{Gate, GateBuilder};
pub use jitter::Jitter;
pub use limit::Limit;
pub use manual::ManualClock;
pub use quotas::Quotas;
pub use retry::RetryPolicy;
pub use retry_after::parse_retry_after;
pub use watch::{Stats, Waiting, WaitingFor};
