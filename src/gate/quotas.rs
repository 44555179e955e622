//! The buckets of a process by key, so that everything the provider counts together shares one.
//!
//! It must not know which endpoints or gates use them; the host owns it, there is no global one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::bucket::Bucket;
use super::clock::Clock;
use super::limit::Limit;

/// The registry of shared buckets; a clone is the same registry.
///
/// Buckets stay as long as the registry: a forgotten one would hand out its burst a second time.
#[derive(Debug, Clone)]
pub struct Quotas {
    clock: Clock,
    buckets: Arc<Mutex<BTreeMap<String, Shared>>>,
}

#[derive(Debug)]
struct Shared {
    bucket: Arc<Bucket>,
    /// The limits that its users are configured with, by user.
    claims: BTreeMap<String, Limit>,
}

impl Shared {
    fn slowest(&self) -> Option<Limit> {
        let pace = |limit: &Limit| f64::from(limit.permits().get()) * limit.share() / limit.per().as_secs_f64();
        self.claims.values().copied().min_by(|one, other| pace(one).total_cmp(&pace(other)))
    }
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
        Arc::clone(&self.shared(&mut self.lock(), key.into(), limit).bucket)
    }

    /// Returns the bucket of a key for a user of it who is configured with this limit, as [`bucket`](Self::bucket) does.
    ///
    /// Where several users name several limits, the slowest of them holds. Whoever comes again replaces what they named
    /// before, so that a changed configuration needs no new process.
    pub fn claim(&self, key: impl Into<String>, user: impl Into<String>, limit: Limit) -> Arc<Bucket> {
        let mut buckets = self.lock();
        let shared = self.shared(&mut buckets, key.into(), limit);
        let before = shared.slowest();
        shared.claims.insert(user.into(), limit);
        let now = shared.slowest();
        // What the server corrected stays as long as nobody's configuration changes anything.
        if let Some(limit) = now.filter(|_| before.is_some() && before != now) {
            shared.bucket.set_limit(limit);
        }
        Arc::clone(&shared.bucket)
    }

    fn shared<'a>(&self, buckets: &'a mut BTreeMap<String, Shared>, key: String, limit: Limit) -> &'a mut Shared {
        let new = || Shared { bucket: Arc::new(Bucket::new(limit, self.clock.clone())), claims: BTreeMap::new() };
        buckets.entry(key).or_insert_with(new)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Shared>> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the clock of the buckets.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }
}
