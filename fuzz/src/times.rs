//! Times of directories and of headers, against each other and against a calendar library.

use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use tenantry::gate::parse_retry_after;
use tenantry_ldap::filetime::{self, Expiry, Interval};
use tenantry_ldap::generalized_time;

use crate::text;

/// Ticks and milliseconds say the same, in order, and never and forever are neither.
pub fn filetime(bytes: &[u8]) {
    let Some((ticks, rest)) = bytes.split_first_chunk() else { return };
    let ticks = i64::from_le_bytes(*ticks);
    if let Some(millis) = filetime::to_unix_millis(ticks) {
        let again = filetime::from_unix_millis(millis).expect("it came from ticks");
        assert!(again <= ticks && ticks - again < 10_000);
        assert_eq!(filetime::to_unix_millis(again), Some(millis));
    }
    if let Ok(Expiry::At(millis)) = filetime::expiry(ticks) {
        assert_eq!(filetime::to_unix_millis(ticks), Some(millis));
    }
    match filetime::interval(ticks) {
        Ok(Interval::Of(span)) => assert_eq!(span.as_nanos(), u128::from(ticks.unsigned_abs()) * 100),
        Ok(Interval::Forever) => assert_eq!(ticks, i64::MIN),
        Err(_) => assert!(ticks > 0),
    }
    if let Some((other, _)) = rest.split_first_chunk() {
        let other = i64::from_le_bytes(*other);
        let both = filetime::to_unix_millis(ticks).zip(filetime::to_unix_millis(other));
        assert!(both.is_none_or(|(one, two)| (ticks <= other) == (one <= two) || one == two));
    }
}

/// A generalized time is what a calendar library makes of it, and written again it is the same second.
pub fn generalized(bytes: &[u8]) {
    if let Some((millis, _)) = bytes.split_first_chunk() {
        let millis = i64::from_le_bytes(*millis);
        if let Some(text) = generalized_time::from_unix_millis(millis) {
            let second = generalized_time::to_unix_millis(&text).expect("what is written can be read");
            assert_eq!(second, millis.div_euclid(1000) * 1000, "{text}");
        }
    }
    let Some(text) = text(bytes) else { return };
    let Ok(millis) = generalized_time::to_unix_millis(text) else { return };
    let number = |range: std::ops::Range<usize>| text[range].parse::<i16>().expect("it was accepted");
    let part = |range| i8::try_from(number(range)).expect("two digits");
    // A leap second is the first of the next minute: calendars have no place for it.
    let (second, leap) = match part(12..14) {
        60 => (59, 1000),
        second => (second, 0),
    };
    let date = DateTime::new(number(0..4), part(4..6), part(6..8), part(8..10), part(10..12), second, 0);
    let date = date.unwrap_or_else(|error| panic!("{error}: {text}"));
    let since = date.duration_since(DateTime::constant(1970, 1, 1, 0, 0, 0, 0));
    let seconds = since.as_secs() * 1000 + leap;
    assert_eq!(millis - millis.rem_euclid(1000), seconds, "{text}");
    let again = generalized_time::from_unix_millis(millis);
    assert!(again.is_none_or(|again| generalized_time::to_unix_millis(&again).ok() == Some(seconds)), "{text}");
}

/// A wait is never longer than a day, digits are seconds, and a date is what a calendar library makes of it.
pub fn retry_after(bytes: &[u8]) {
    let Some((now, value)) = bytes.split_first_chunk() else { return };
    let Some(value) = text(value) else { return };
    // From 1970 to 9999.
    let now = i64::from_le_bytes(*now).rem_euclid(253_402_300_800_000);
    let wait = parse_retry_after(value, now);
    assert!(wait.is_none_or(|wait| wait <= Duration::from_hours(24)));
    if let Ok(seconds) = value.parse::<u32>()
        && !value.starts_with('+')
    {
        assert_eq!(wait, Some(Duration::from_secs(u64::from(seconds)).min(Duration::from_hours(24))));
    }
    if let Ok(date) = jiff::fmt::rfc2822::parse(value)
        && value.ends_with(" GMT")
        && let Some(wait) = wait
    {
        let ahead = date.with_time_zone(TimeZone::UTC).timestamp().as_millisecond() - now;
        let ahead = Duration::from_millis(u64::try_from(ahead).unwrap_or(0)).min(Duration::from_hours(24));
        assert_eq!(wait, ahead, "{value:?}");
    }
}
