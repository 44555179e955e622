//! One try of a call, and what its answer says about the quotas.
//!
//! It must not know how the call is made; the closure that makes it reports here.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::bucket::Bucket;
use super::cost::Cost;
use super::limit::Limit;

/// A bucket under the name that it has in one gate.
#[derive(Debug, Clone)]
pub(super) struct Named {
    pub(super) name: Arc<str>,
    pub(super) bucket: Arc<Bucket>,
}

/// The handle that a gate gives to each try: its number, and where the answer's quota reports go.
///
/// A report about a bucket that the gate does not have does nothing.
#[derive(Clone)]
pub struct Attempt {
    number: u32,
    charges: Arc<[Charge]>,
}

/// What one try took from one bucket.
pub(super) struct Charge {
    named: Named,
    told: Mutex<Told>,
}

struct Told {
    cost: u32,
    throttled: bool,
}

impl Attempt {
    pub(super) fn new(number: u32, buckets: &[Named], cost: &Cost) -> Self {
        let charge = |named: &Named| Charge {
            told: Mutex::new(Told { cost: cost.in_bucket(&named.name), throttled: false }),
            named: named.clone(),
        };
        Self { number, charges: buckets.iter().map(charge).collect() }
    }

    /// Returns which try this is, from 1.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Reports what the call really cost in a bucket; the difference is booked or given back.
    pub fn actual_cost(&self, bucket: &str, permits: u32) {
        if let Some(charge) = self.charge(bucket) {
            let mut told = charge.told();
            let before = std::mem::replace(&mut told.cost, permits);
            charge.named.bucket.correct(i64::from(permits) - i64::from(before));
        }
    }

    /// Reports how much of a bucket's quota is in use, as a fraction: from 0.8 on the bucket slows down.
    pub fn usage(&self, bucket: &str, fraction: f64) {
        if let Some(charge) = self.charge(bucket) {
            charge.named.bucket.report_usage(fraction);
        }
    }

    /// Reports the quota that the server names; the share of this process stays as configured.
    pub fn quota(&self, bucket: &str, limit: Limit) {
        if let Some(charge) = self.charge(bucket) {
            charge.named.bucket.set_reported_limit(limit);
        }
    }

    /// Says which bucket the server's refusal is about: only it is held, not all buckets of the call.
    pub fn throttled_by(&self, bucket: &str) {
        if let Some(charge) = self.charge(bucket) {
            charge.told().throttled = true;
        }
    }

    /// Returns the buckets that a refusal of this try holds.
    pub(super) fn refused_by(&self) -> Vec<&Arc<Bucket>> {
        let named = self.charges.iter().any(|charge| charge.told().throttled);
        let concerned = |charge: &&Charge| {
            let told = charge.told();
            if named { told.throttled } else { told.cost > 0 }
        };
        self.charges.iter().filter(concerned).map(|charge| &charge.named.bucket).collect()
    }

    fn charge(&self, bucket: &str) -> Option<&Charge> {
        self.charges.iter().find(|charge| &*charge.named.name == bucket)
    }
}

impl Charge {
    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt").field("number", &self.number).finish_non_exhaustive()
    }
}
