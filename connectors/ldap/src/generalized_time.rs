//! Generalized time: `YYYYMMDDHHMMSS[.f]Z`, as whenCreated and OpenLDAP's timestamps have it.
//!
//! It knows no attribute and no time zone but UTC.

use tenantry::{Error, Result};

/// Reads milliseconds since 1970.
pub fn to_unix_millis(text: &str) -> Result<i64> {
    parse(text.as_bytes()).ok_or_else(|| Error::protocol("a time is not of the form YYYYMMDDHHMMSS.0Z"))
}

/// Writes a time for use in a filter; a part of a second is dropped. Nothing outside of the years 0 to 9999.
pub fn from_unix_millis(millis: i64) -> Option<String> {
    let seconds = millis.div_euclid(1000);
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Days to a date by eras of 400 years that begin in March (Howard Hinnant's algorithm).
    let shifted = days.checked_add(719_468)?;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    (0..=9999).contains(&year).then(|| format!("{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}.0Z"))
}

fn parse(text: &[u8]) -> Option<i64> {
    let (digits, rest) = text.split_at_checked(14)?;
    let number = |from: usize, to: usize| {
        digits[from..to]
            .iter()
            .try_fold(0_i64, |value, digit| digit.is_ascii_digit().then(|| value * 10 + i64::from(digit - b'0')))
    };
    let (year, month, day) = (number(0, 4)?, number(4, 6)?, number(6, 8)?);
    let (hour, minute, second) = (number(8, 10)?, number(10, 12)?, number(12, 14)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days_in_month = match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        _ => return None,
    };
    // A leap second is second 60.
    if !(1..=days_in_month).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let rest = rest.strip_suffix(b"Z")?;
    let millis = match rest.split_first() {
        None => 0,
        Some((b'.' | b',', fraction)) if !fraction.is_empty() && fraction.iter().all(u8::is_ascii_digit) => {
            fraction.iter().chain(b"000").take(3).fold(0, |value, digit| value * 10 + i64::from(digit - b'0'))
        }
        Some(_) => return None,
    };
    let shifted_year = year - i64::from(month <= 2);
    let (era, year_of_era) = (shifted_year.div_euclid(400), shifted_year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468;
    Some(((days * 24 + hour) * 60 + minute) * 60_000 + second * 1000 + millis)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_times_convert() {
        assert_eq!(to_unix_millis("19700101000000.0Z").unwrap(), 0);
        assert_eq!(to_unix_millis("20000229120000Z").unwrap(), 951_825_600_000);
        assert_eq!(to_unix_millis("20201122103020.25Z").unwrap(), 1_606_041_020_250);
        assert_eq!(to_unix_millis("16010101000000.0Z").unwrap(), -11_644_473_600_000);
        assert_eq!(from_unix_millis(951_825_600_000).as_deref(), Some("20000229120000.0Z"));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in
            ["", "2020", "20200101000000", "20201301000000Z", "20210229000000Z", "20200101240000Z", "20200101000000.Z"]
        {
            assert!(to_unix_millis(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn garbage_never_panics(text: String, millis: i64) {
            let _ = to_unix_millis(&text);
            let _ = from_unix_millis(millis);
        }

        #[test]
        fn seconds_round_trip(seconds in -60_000_000_000_i64..250_000_000_000) {
            let text = from_unix_millis(seconds * 1000).unwrap();
            prop_assert_eq!(to_unix_millis(&text).unwrap(), seconds * 1000);
        }
    }
}
