//! Time as a parameter: the system's clock, or a manual one for tests.
//!
//! It is the only file that reads real time, and it knows nothing of limits, retries or networks.

// Everything else is forbidden to read the time, so that every wait can be tested without waiting.
#![allow(clippy::disallowed_methods, reason = "this is the one place where real time enters")]

use std::fmt;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::manual::ManualClock;

/// A source of time: wall time for records, monotonic time for waits.
///
/// A clone reads the same clock.
#[derive(Clone)]
pub struct Clock(Source);

#[derive(Clone)]
enum Source {
    System { start: Instant },
    Manual { time: ManualClock, start: Instant },
}

impl Clock {
    /// Creates a clock that reads the system's time and sleeps on tokio's timer.
    pub fn system() -> Self {
        Self(Source::System { start: Instant::now() })
    }

    /// Creates a clock whose time moves only when its handle says so, and that handle.
    pub fn manual() -> (Self, ManualClock) {
        let time = ManualClock::new();
        (Self(Source::Manual { time: time.clone(), start: Instant::now() }), time)
    }

    /// Returns the wall time in milliseconds since 1970-01-01T00:00:00Z. It may jump.
    pub fn now_unix_millis(&self) -> i64 {
        match &self.0 {
            Source::System { .. } => match SystemTime::now().duration_since(UNIX_EPOCH) {
                Ok(since) => millis(since),
                Err(before) => -millis(before.duration()),
            },
            Source::Manual { time, .. } => time.now_unix_millis(),
        }
    }

    /// Returns the time since this clock was created. It never goes back.
    pub fn monotonic(&self) -> Duration {
        match &self.0 {
            Source::System { start } => start.elapsed(),
            Source::Manual { time, .. } => time.monotonic(),
        }
    }

    /// Returns the wall time at a monotonic time, as far as is known now.
    pub fn unix_millis_at(&self, monotonic: Duration) -> i64 {
        let (now, wall) = (self.monotonic(), self.now_unix_millis());
        match monotonic.checked_sub(now) {
            Some(ahead) => wall.saturating_add(millis(ahead)),
            None => wall.saturating_sub(millis(now.saturating_sub(monotonic))),
        }
    }

    /// Sleeps for a duration.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the sleep and leaves nothing behind.
    pub async fn sleep(&self, duration: Duration) {
        match &self.0 {
            Source::System { .. } => tokio::time::sleep(duration).await,
            Source::Manual { time, .. } => time.sleep_until(time.monotonic().saturating_add(duration)).await,
        }
    }

    /// Sleeps until a monotonic time of this clock; returns at once if it has passed.
    pub async fn sleep_until(&self, monotonic: Duration) {
        match &self.0 {
            Source::System { start } => tokio::time::sleep(monotonic.saturating_sub(start.elapsed())).await,
            Source::Manual { time, .. } => time.sleep_until(monotonic).await,
        }
    }

    /// Returns the instant of creation, for libraries that insist on holding one.
    pub(super) fn start(&self) -> Instant {
        match &self.0 {
            Source::System { start } | Source::Manual { start, .. } => *start,
        }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Source::System { .. } => "Clock(system)",
            Source::Manual { .. } => "Clock(manual)",
        })
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_clock_reads_a_plausible_wall_time_and_never_goes_back() {
        let clock = Clock::system();
        assert!(clock.now_unix_millis() > 1_700_000_000_000);
        let first = clock.monotonic();
        assert!(clock.monotonic() >= first);
    }

    #[tokio::test(start_paused = true)]
    async fn the_system_clock_sleeps_on_the_timer_of_tokio() {
        let (clock, begin) = (Clock::system(), tokio::time::Instant::now());
        clock.sleep(Duration::from_hours(1)).await;
        clock.sleep_until(clock.monotonic() + Duration::from_hours(1)).await;
        clock.sleep_until(Duration::ZERO).await;
        assert!(begin.elapsed() >= Duration::from_mins(119));
    }

    #[test]
    fn wall_time_of_a_monotonic_time_works_in_both_directions() {
        let (clock, time) = Clock::manual();
        time.advance(Duration::from_secs(10));
        let now = clock.now_unix_millis();
        assert_eq!(clock.unix_millis_at(Duration::from_secs(12)), now + 2_000);
        assert_eq!(clock.unix_millis_at(Duration::from_secs(7)), now - 3_000);
        assert_eq!(clock.unix_millis_at(Duration::MAX), i64::MAX);
    }
}
