//! The directory's own time in FILETIME ticks (100 ns since 1601) and its text forms; it knows no directory.

use std::time::UNIX_EPOCH;

use crate::calendar::{date, days};

/// Ticks between 1601 and 1970.
const EPOCH: i64 = 116_444_736_000_000_000;
pub(crate) const SECOND: i64 = 10_000_000;
pub(crate) const DAY: i64 = 86_400 * SECOND;
/// The instant at which every directory starts unless told otherwise: 2026-01-15 12:00:00 UTC.
const START: i64 = 1_768_478_400;

/// Where a directory takes its time from; still by default, so that runs repeat.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Clock {
    Still(i64),
    System,
}

impl Default for Clock {
    fn default() -> Self {
        Self::Still(from_unix(START))
    }
}

impl Clock {
    pub(crate) fn now(self) -> i64 {
        match self {
            Self::Still(ticks) => ticks,
            #[expect(clippy::disallowed_methods, reason = "the fake is the other side: its time is its own")]
            Self::System => {
                let since = std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                from_unix(i64::try_from(since.as_secs()).unwrap_or(0))
            }
        }
    }
}

pub(crate) fn from_unix(seconds: i64) -> i64 {
    seconds.saturating_mul(SECOND).saturating_add(EPOCH)
}

/// Writes `YYYYMMDDHHMMSS.0Z`.
pub(crate) fn generalized(ticks: i64) -> String {
    let seconds = ticks.div_euclid(SECOND) - EPOCH / SECOND;
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = date(days);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}.0Z")
}

/// Reads a generalized time; fractions are dropped.
pub(crate) fn parse_generalized(text: &str) -> Option<i64> {
    let digits = text.get(..14).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
    let field = |from: usize, to: usize| digits[from..to].parse::<i64>().ok();
    let (year, month, day) = (field(0, 4)?, field(4, 6)?, field(6, 8)?);
    let days = days(year, month, day)?;
    Some(from_unix(days * 86_400 + field(8, 10)? * 3600 + field(10, 12)? * 60 + field(12, 14)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generalized_times_survive_the_way_there_and_back() {
        for text in ["20260115120000.0Z", "16010101000000.0Z", "20240229235959.0Z", "20000301000000.0Z"] {
            assert_eq!(parse_generalized(text).map(generalized).as_deref(), Some(text));
        }
        assert_eq!(generalized(Clock::default().now()), "20260115120000.0Z");
        assert_eq!(parse_generalized("20261315120000.0Z"), None);
    }
}
