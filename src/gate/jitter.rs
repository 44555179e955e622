//! Randomness as a parameter: where the jitter of waits comes from.
//!
//! It is not for secrets: whoever sees a few values can foretell the rest.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The increment of splitmix64 (Steele, Lea, Flood 2014).
const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// A source of jitter; a clone draws from the same sequence.
#[derive(Debug, Clone)]
pub struct Jitter(Arc<AtomicU64>);

impl Jitter {
    /// Creates a source that gives the same sequence for the same seed.
    pub fn seeded(seed: u64) -> Self {
        Self(Arc::new(AtomicU64::new(seed)))
    }

    /// Creates a source with a seed of its own, so that processes do not wait in step.
    pub fn system() -> Self {
        Self::seeded(RandomState::new().hash_one(0u8))
    }

    /// Returns the next number.
    pub fn next_u64(&self) -> u64 {
        let mut z = self.0.fetch_add(GAMMA, Ordering::Relaxed).wrapping_add(GAMMA);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Returns a fraction, at least 0 and less than 1.
    pub fn fraction(&self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Returns a duration between zero and `max`: the full jitter of a wait.
    pub fn up_to(&self, max: Duration) -> Duration {
        Duration::try_from_secs_f64(max.as_secs_f64() * self.fraction()).unwrap_or(max).min(max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_published_sequence() {
        // The first values of splitmix64 for seed 1234567, as its reference implementation prints them.
        let jitter = Jitter::seeded(1_234_567);
        assert_eq!(jitter.next_u64(), 6_457_827_717_110_365_317);
        assert_eq!(jitter.next_u64(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn jitter_fills_its_range_and_stays_within() {
        let (jitter, max) = (Jitter::seeded(7), Duration::from_secs(8));
        let waits: Vec<_> = (0..1_000).map(|_| jitter.up_to(max)).collect();
        assert!(waits.iter().all(|wait| *wait <= max));
        assert!(waits.iter().any(|wait| *wait < max / 10));
        assert!(waits.iter().any(|wait| *wait > max / 10 * 9));
    }

    #[test]
    fn two_processes_do_not_wait_in_step() {
        assert_ne!(Jitter::system().next_u64(), Jitter::system().next_u64());
    }
}
