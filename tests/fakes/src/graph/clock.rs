//! The tenant's own time in milliseconds since 1970 and its text forms; it knows no directory.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use crate::calendar::{date, days};

/// The instant at which a still clock starts: 2026-01-15 12:00:00 UTC.
const START: i64 = 1_768_478_400_000;

/// Where a tenant takes its time from; clones show the same time.
#[derive(Clone)]
pub struct Clock(Source);

#[derive(Clone)]
enum Source {
    System,
    Manual(Arc<AtomicI64>),
    Following(Arc<dyn Fn() -> i64 + Send + Sync>),
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = match &self.0 {
            Source::System => "system",
            Source::Manual(_) => "manual",
            Source::Following(_) => "following",
        };
        write!(f, "Clock({source}, {})", self.now())
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands still at 2026-01-15 12:00:00 UTC until it is advanced.
    pub fn manual() -> Self {
        Self(Source::Manual(Arc::new(AtomicI64::new(START))))
    }

    /// A clock that asks for milliseconds since 1970, such as the manual clock of a client under test.
    pub fn following(now: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        Self(Source::Following(Arc::new(now)))
    }

    /// Moves a manual clock on; other clocks go their own way.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(now) = &self.0 {
            now.fetch_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX), Ordering::SeqCst);
        }
    }

    /// Returns milliseconds since 1970.
    pub fn now(&self) -> i64 {
        match &self.0 {
            #[expect(clippy::disallowed_methods, reason = "the fake is the other side: its time is its own")]
            Source::System => {
                let since = std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                i64::try_from(since.as_millis()).unwrap_or(0)
            }
            Source::Manual(now) => now.load(Ordering::SeqCst),
            Source::Following(now) => now(),
        }
    }
}

/// Writes `YYYY-MM-DDTHH:MM:SSZ`.
pub(crate) fn instant(seconds: i64) -> String {
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = date(days);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Reads an instant in UTC; fractions of a second are dropped.
pub(crate) fn parse_instant(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let field = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    let (year, month, day) = (field(0, 4)?, field(5, 7)?, field(8, 10)?);
    if bytes.get(4) != Some(&b'-') {
        return None;
    }
    let days = days(year, month, day)?;
    let time = if bytes.len() > 10 { field(11, 13)? * 3600 + field(14, 16)? * 60 + field(17, 19)? } else { 0 };
    Some(days * 86_400 + time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_survive_the_way_there_and_back() {
        for text in ["2026-01-15T12:00:00Z", "1970-01-01T00:00:00Z", "2024-02-29T23:59:59Z", "2000-03-01T00:00:00Z"] {
            assert_eq!(parse_instant(text).map(instant).as_deref(), Some(text));
        }
        assert_eq!(instant(Clock::manual().now() / 1000), "2026-01-15T12:00:00Z");
        assert_eq!(parse_instant("2026-13-15T12:00:00Z"), None);
    }
}
