//! Windows time: ticks of 100 nanoseconds since 1601, points and intervals.
//!
//! It knows no attribute: whether 0 means "never" or "must change" is for a connector to say by the function it calls.

use std::time::Duration;

use tenantry::{Error, Result};

const TICKS_PER_MILLI: i64 = 10_000;
const UNIX_EPOCH_TICKS: i64 = 116_444_736_000_000_000;

/// A point in time that may never come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// 0 or the largest number.
    Never,
    /// Milliseconds since 1970.
    At(i64),
}

/// A span of time that may never end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interval {
    /// The smallest number.
    Forever,
    /// That long.
    Of(Duration),
}

/// Returns milliseconds since 1970, or nothing outside of what a number can hold.
pub fn to_unix_millis(ticks: i64) -> Option<i64> {
    ticks.checked_sub(UNIX_EPOCH_TICKS).map(|ticks| ticks.div_euclid(TICKS_PER_MILLI))
}

/// Returns ticks for milliseconds since 1970, or nothing outside of what a number can hold.
pub fn from_unix_millis(millis: i64) -> Option<i64> {
    millis.checked_mul(TICKS_PER_MILLI)?.checked_add(UNIX_EPOCH_TICKS)
}

/// Reads a point in time for which 0 and the largest number mean never.
pub fn expiry(ticks: i64) -> Result<Expiry> {
    match ticks {
        0 | i64::MAX => Ok(Expiry::Never),
        1.. => to_unix_millis(ticks).map(Expiry::At).ok_or_else(|| Error::protocol("a time is out of range")),
        _ => Err(Error::protocol("a point in time is negative")),
    }
}

/// Reads an interval, which the server keeps negative.
pub fn interval(ticks: i64) -> Result<Interval> {
    match ticks {
        i64::MIN => Ok(Interval::Forever),
        _ if ticks <= 0 => {
            let ticks = ticks.unsigned_abs();
            let nanos = u32::try_from(ticks % 10_000_000 * 100).expect("below a second there are less than 2^32 ns");
            Ok(Interval::Of(Duration::new(ticks / 10_000_000, nanos)))
        }
        _ => Err(Error::protocol("an interval is positive")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_points_convert() {
        assert_eq!(to_unix_millis(UNIX_EPOCH_TICKS), Some(0));
        assert_eq!(to_unix_millis(132_000_000_000_000_000), Some(1_555_526_400_000));
        assert_eq!(to_unix_millis(UNIX_EPOCH_TICKS - 1), Some(-1));
        assert_eq!(from_unix_millis(1_555_526_400_000), Some(132_000_000_000_000_000));
        assert_eq!(from_unix_millis(i64::MAX), None);
        assert_eq!(to_unix_millis(i64::MIN), None);
    }

    #[test]
    fn zero_and_the_largest_number_mean_never() {
        assert_eq!(expiry(0).unwrap(), Expiry::Never);
        assert_eq!(expiry(i64::MAX).unwrap(), Expiry::Never);
        assert_eq!(expiry(UNIX_EPOCH_TICKS).unwrap(), Expiry::At(0));
        assert!(expiry(-1).is_err());
    }

    #[test]
    fn intervals_are_negative_and_the_smallest_number_is_forever() {
        assert_eq!(interval(i64::MIN).unwrap(), Interval::Forever);
        assert_eq!(interval(-18_000_000_000).unwrap(), Interval::Of(Duration::from_mins(30)));
        assert_eq!(interval(-1).unwrap(), Interval::Of(Duration::from_nanos(100)));
        assert!(interval(1).is_err());
    }

    proptest! {
        #[test]
        fn no_number_panics_and_millis_round_trip(ticks: i64, millis in -11_644_473_600_000_i64..800_000_000_000_000) {
            let _ = (to_unix_millis(ticks), from_unix_millis(ticks), expiry(ticks), interval(ticks));
            prop_assert_eq!(from_unix_millis(millis).and_then(to_unix_millis), Some(millis));
        }
    }
}
