//! Reads the value of a `Retry-After` header.
//!
//! It must not know the time: the present is a parameter.

use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::bucket::LONGEST_PAUSE;

/// Reads how long a `Retry-After` value asks to wait (RFC 9110, section 10.2.3).
///
/// Seconds may have a fraction, as some providers send it. Of dates all three forms of RFC 9110, section 5.6.7,
/// are read; one in the past is no wait. More than a day is read as a day. Anything else is `None`.
pub fn parse_retry_after(value: &str, now_unix_millis: i64) -> Option<Duration> {
    let value = value.trim_matches([' ', '\t']);
    let wait = match seconds(value) {
        Some(wait) => wait,
        None => Duration::from_millis(u64::try_from(date(value, now_unix_millis)? - now_unix_millis).unwrap_or(0)),
    };
    Some(wait.min(LONGEST_PAUSE))
}

fn seconds(value: &str) -> Option<Duration> {
    let (whole, fraction) = value.split_once('.').unwrap_or((value, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    // Digits alone fail to parse only by being too many.
    let whole = whole.parse().unwrap_or(u64::MAX);
    let nanos = format!("{fraction:0<9.9}").parse().unwrap_or(0);
    Some(Duration::from_secs(whole).saturating_add(Duration::from_nanos(nanos)))
}

/// Returns the milliseconds since 1970. The weekday is redundant and not looked at.
fn date(value: &str, now_unix_millis: i64) -> Option<i64> {
    let date = if let Some((_, rest)) = value.split_once(", ") {
        if let Ok(fixdate) = DateTime::strptime("%d %b %Y %H:%M:%S GMT", rest) {
            fixdate
        } else {
            let rfc850 = DateTime::strptime("%d-%b-%y %H:%M:%S GMT", rest).ok()?;
            rfc850.with().year(nearest_year(rfc850.year(), now_unix_millis)?).build().ok()?
        }
    } else {
        let (_, rest) = value.split_once(' ')?;
        DateTime::strptime("%b %e %H:%M:%S %Y", rest.trim_start()).ok()?
    };
    // All but RFC 850's have four digits. Fewer are read as a year long ago, which would mean: ask again at once.
    if date.year() < 1000 {
        return None;
    }
    // Not by way of a timestamp, which ends a day before the year 9999 does.
    i64::try_from(date.duration_since(DateTime::constant(1970, 1, 1, 0, 0, 0, 0)).as_millis()).ok()
}

/// RFC 9110: two digits that seem to lie more than 50 years ahead mean the past.
fn nearest_year(year: i16, now_unix_millis: i64) -> Option<i16> {
    let now = jiff::Timestamp::from_millisecond(now_unix_millis).ok()?.to_zoned(TimeZone::UTC).year();
    let ahead = (year - now - 50).rem_euclid(100);
    Some(if ahead == 0 { now + 50 } else { now - 50 + ahead })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 1994-11-06T08:49:37Z, the date of RFC 9110's examples.
    const EXAMPLE: i64 = 784_111_777_000;

    fn parse(value: &str) -> Option<Duration> {
        parse_retry_after(value, EXAMPLE - 90_000)
    }

    #[test]
    fn seconds_are_read_with_and_without_fractions() {
        assert_eq!(parse("120"), Some(Duration::from_mins(2)));
        assert_eq!(parse(" 7\t"), Some(Duration::from_secs(7)));
        assert_eq!(parse("0"), Some(Duration::ZERO));
        assert_eq!(parse("0.5"), Some(Duration::from_millis(500)));
        assert_eq!(parse("1.0000000019"), Some(Duration::new(1, 1)));
    }

    #[test]
    fn a_year_of_fewer_than_four_digits_is_no_year_long_ago() {
        for date in ["Sun, 06 Nov 94 08:49:37 GMT", "Sun, 03 Nov 395 08:49:37 GMT", "Sun Nov  6 08:49:37 94"] {
            assert_eq!(parse(date), None, "{date}");
        }
    }

    #[test]
    fn all_three_forms_of_a_date_are_read() {
        for date in ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"] {
            assert_eq!(parse(date), Some(Duration::from_secs(90)), "{date}");
        }
    }

    #[test]
    fn a_date_in_the_past_is_no_wait() {
        assert_eq!(parse("Sat, 05 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        assert_eq!(parse_retry_after("Sunday, 06-Nov-94 08:49:37 GMT", 1_800_000_000_000), Some(Duration::ZERO));
    }

    #[test]
    fn two_digit_years_are_at_most_fifty_years_ahead() {
        let year = |digits| nearest_year(digits, 1_798_761_600_000); // 2027-01-01
        assert_eq!(year(2027), Some(2027));
        assert_eq!(year(1976), Some(2076));
        assert_eq!(year(1977), Some(2077));
        assert_eq!(year(1978), Some(1978));
        assert_eq!(year(1999), Some(1999));
        assert_eq!(year(2000), Some(2000));
    }

    #[test]
    fn absurd_waits_are_cut_to_a_day() {
        assert_eq!(parse("86401"), Some(LONGEST_PAUSE));
        assert_eq!(parse("99999999999999999999999999"), Some(LONGEST_PAUSE));
        assert_eq!(parse("Fri, 31 Dec 9999 23:59:59 GMT"), Some(LONGEST_PAUSE));
    }

    #[test]
    fn garbage_is_nothing() {
        let garbage = [
            "",
            " ",
            "soon",
            "-1",
            "+5",
            "1e3",
            "5.",
            ".5",
            "1.2.3",
            "NaN",
            "inf",
            "12 seconds",
            "٣",
            "0x10",
            "Sun, 31 Feb 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 25:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 CET",
            ", ",
            "Sun Nov",
            "Sunday, 06-Nov-1994 08:49:37 GMT",
            "1994-11-06T08:49:37Z",
        ];
        for value in garbage {
            assert_eq!(parse(value), None, "{value:?}");
        }
    }
}
