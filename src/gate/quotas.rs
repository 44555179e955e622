//! The buckets of a process by key, so that everything the provider counts together shares one.
//!
//! It must not know which endpoints or gates use them; the host owns it, there is no global one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::bucket::Bucket;
use super::clock::Clock;
use super::limit::Limit;

/// The registry of shared buckets; a clone is the same registry.
///
/// Buckets stay as long as the registry: a forgotten one would hand out its burst a second time.
#[derive(Debug, Clone)]
pub struct Quotas {
    clock: Clock,
    buckets: Arc<Mutex<BTreeMap<String, Arc<Bucket>>>>,
}

impl Quotas {
    /// Creates an empty registry whose buckets use this clock.
    pub fn new(clock: Clock) -> Self {
        Self { clock, buckets: Arc::default() }
    }

    /// Returns the bucket of a key, and makes it with this limit if it is new.
    ///
    /// A bucket that exists keeps its limit, which the server may have corrected; a changed configuration is
    /// told with [`Bucket::set_limit`]. Ask for wide buckets (application) before narrow ones (application and
    /// tenant): a call then queues at the narrow one first and does not keep others waiting at the wide one.
    pub fn bucket(&self, key: impl Into<String>, limit: Limit) -> Arc<Bucket> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let rank = buckets.len() as u64 + 1;
        let new = || Arc::new(Bucket::with_rank(limit, self.clock.clone(), rank));
        Arc::clone(buckets.entry(key.into()).or_insert_with(new))
    }
}
