//! The account's own time and its text forms; it knows no account.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

pub(crate) const SECOND: i64 = 1000;
pub(crate) const MINUTE: i64 = 60 * SECOND;
pub(crate) const DAY: i64 = 1440 * MINUTE;
/// The instant at which every account starts unless told otherwise: 2026-01-15 12:00:00 UTC.
const START: i64 = 1_768_478_400 * SECOND;

/// Where an account takes its time from, in milliseconds since 1970.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> i64 + Send + Sync>);

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({})", self.now())
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::of(|| START)
    }
}

impl Clock {
    /// Takes the time from somewhere else, such as the clock that a test turns; milliseconds since 1970.
    pub fn of(now: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// Takes the time of this machine.
    pub fn system() -> Self {
        Self::hurried(1)
    }

    /// Takes the time of this machine, running so many times faster from now on.
    pub fn hurried(factor: u32) -> Self {
        let start = real();
        Self::of(move || start + (real() - start) * i64::from(factor))
    }

    pub(crate) fn now(&self) -> i64 {
        (self.0)()
    }
}

/// This machine's time.
pub(crate) fn real() -> i64 {
    Timestamp::now().as_millisecond()
}

/// Writes the time as the API does, with three digits of a second.
pub(crate) fn written(milliseconds: i64) -> String {
    Timestamp::from_millisecond(milliseconds).map(|time| format!("{time:.3}")).unwrap_or_default()
}

/// Reads an RFC 3339 time.
pub(crate) fn read(text: &str) -> Option<i64> {
    text.parse::<Timestamp>().ok().map(Timestamp::as_millisecond)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_with_three_digits_of_a_second_and_read_again() {
        assert_eq!(written(START), "2026-01-15T12:00:00.000Z");
        assert_eq!(written(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(read("2026-01-15T12:00:00.250Z"), Some(START + 250));
    }
}
