//! What a provider allows, and how much of it this process uses.
//!
//! It knows no clock and no state: it turns a published quota into a pace.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::error::{Error, Result};

/// Longer than the quota period of any provider; keeps the sums of nanoseconds far from overflow.
const LONGEST_PERIOD: Duration = Duration::from_hours(24 * 366);

/// A published quota and the share of it that this process may use.
///
/// In no window of the length `per` are more than `permits × share` (rounded down) used; if that is less than
/// one, one permit is used in a correspondingly longer window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limit {
    per: Duration,
    permits: NonZeroU32,
    burst: NonZeroU32,
    share: f64,
}

impl Limit {
    /// Creates a limit of `permits` in every window of `per`; the burst is a tenth, the share is all of it.
    ///
    /// # Errors
    ///
    /// [`Config`](crate::ErrorKind::Config) if `per` is zero or longer than a year.
    pub fn new(permits: NonZeroU32, per: Duration) -> Result<Self> {
        if per.is_zero() || per > LONGEST_PERIOD {
            return Err(Error::config("the period of a limit must be longer than zero and at most a year"));
        }
        let burst = NonZeroU32::new(permits.get() / 10).unwrap_or(NonZeroU32::MIN);
        Ok(Self { per, permits, burst, share: 1.0 })
    }

    /// Sets how many permits may be used at once after a rest; at most half of the share is used so.
    ///
    /// A burst is paid for by a slower steady pace, because both fall into one window.
    #[must_use]
    pub const fn with_burst(mut self, burst: NonZeroU32) -> Self {
        self.burst = burst;
        self
    }

    /// Sets the share that this process may use: more than 0, at most 1.
    ///
    /// # Errors
    ///
    /// [`Config`](crate::ErrorKind::Config) for anything else.
    pub fn with_share(mut self, share: f64) -> Result<Self> {
        if !(share > 0.0 && share <= 1.0) {
            return Err(Error::config("a share must be more than 0 and at most 1"));
        }
        self.share = share;
        Ok(self)
    }

    /// Returns the length of the window.
    pub const fn per(&self) -> Duration {
        self.per
    }

    /// Returns the published number of permits in a window.
    pub const fn permits(&self) -> NonZeroU32 {
        self.permits
    }

    /// Returns how many permits may be used at once, before the share is applied.
    pub const fn burst(&self) -> NonZeroU32 {
        self.burst
    }

    /// Returns the share that this process may use.
    pub const fn share(&self) -> f64 {
        self.share
    }

    /// Returns the same limit with the smaller of two shares: what a server reports is the whole quota.
    pub(super) fn with_share_at_most(mut self, share: f64) -> Self {
        self.share = self.share.min(share);
        self
    }

    /// Returns the pace at a fraction of the full speed.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "both are checked to be in range")]
    pub(super) fn pace(&self, speed: f64) -> Pace {
        let allowed = f64::from(self.permits.get()) * self.share;
        let per = self.per.as_nanos() as f64;
        let (burst, interval) = if allowed < 1.0 {
            (1, per / allowed)
        } else {
            // The small addend keeps 10 × 0.3 from becoming 2.
            let allowed = (allowed + 1e-9) as u32;
            let burst = ((f64::from(self.burst.get()) * self.share) as u32).clamp(1, allowed.div_ceil(2));
            // With `burst` at once and then one in every interval, a half-open window of `per` holds
            // burst + ⌈per ÷ interval⌉ − 1 permits at most; this must not exceed what is allowed.
            (burst, per / f64::from(allowed - burst + 1))
        };
        let interval = (interval / speed).ceil().clamp(1.0, LONGEST_PERIOD.as_nanos() as f64 * 10.0) as u64;
        Pace { burst: NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN), interval }
    }
}

/// A limit as a token bucket: its size, and the nanoseconds in which one permit grows back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pace {
    pub(super) burst: NonZeroU32,
    pub(super) interval: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(permits: u32, burst: u32, share: f64) -> Limit {
        Limit::new(NonZeroU32::new(permits).unwrap(), Duration::from_secs(100))
            .and_then(|limit| limit.with_burst(NonZeroU32::new(burst).unwrap()).with_share(share))
            .unwrap()
    }

    #[test]
    fn burst_and_steady_pace_together_stay_within_the_window() {
        let pace = limit(100, 20, 0.5).pace(1.0);
        assert_eq!(pace.burst.get(), 10);
        // 10 at once and then 40 in 100 s: the 41st falls on the end of the window, which is open.
        assert_eq!(pace.interval, 2_439_024_391);
    }

    #[test]
    fn a_burst_as_big_as_the_quota_is_halved_so_that_there_is_a_steady_pace() {
        assert_eq!(limit(100, 100, 1.0).pace(1.0).burst.get(), 50);
        assert_eq!(limit(1, 1, 1.0).pace(1.0), Pace { burst: NonZeroU32::MIN, interval: 100_000_000_000 });
    }

    #[test]
    fn a_share_below_one_permit_stretches_the_window() {
        assert_eq!(limit(1, 1, 0.25).pace(1.0).interval.div_ceil(1_000), 400_000_000);
    }

    #[test]
    fn a_decimal_share_loses_nothing_to_rounding() {
        assert_eq!(limit(10, 1, 0.3).pace(1.0).interval, 33_333_333_334);
    }

    #[test]
    fn half_the_speed_doubles_the_interval() {
        assert_eq!(limit(10, 1, 1.0).pace(0.5).interval, 2 * limit(10, 1, 1.0).pace(1.0).interval);
    }

    #[test]
    fn impossible_values_are_refused() {
        assert!(Limit::new(NonZeroU32::MIN, Duration::ZERO).is_err());
        assert!(Limit::new(NonZeroU32::MIN, Duration::MAX).is_err());
        for share in [0.0, -0.5, 1.01, f64::NAN, f64::INFINITY] {
            assert!(limit(1, 1, 1.0).with_share(share).is_err(), "{share}");
        }
    }
}
