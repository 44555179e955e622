//! The forms of values: text, lists, switches, choices, times, files.
//!
//! It knows what is well formed, not what it is for. A problem names the form that was found, never the value.

use std::time::Duration;

use toml::de::DeValue;

use crate::key::Form;
use crate::reading::Reading;
use crate::suggestion::nearest;
use crate::table::{Field, Table};

/// Names the form of a value.
fn form(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

impl<'t> Field<'t> {
    /// Reports that the value is of another form than expected.
    pub(crate) fn wrong_form(&self, expected: &str, remedy: &str, reading: &mut Reading<'_>) {
        let message = format!("expected {expected}, found {}", form(self.value));
        reading.problem(self.at, &self.path, message, remedy);
    }

    /// Reports a value that is well formed and cannot be.
    pub(crate) fn refuse(&self, message: impl Into<String>, remedy: impl Into<String>, reading: &mut Reading<'_>) {
        reading.problem(self.at, &self.path, message, remedy);
    }

    /// Reads a text that says something: not empty, no control characters.
    pub(crate) fn text(&self, reading: &mut Reading<'_>) -> Option<&'t str> {
        let Some(text) = self.value.as_str() else {
            self.wrong_form("a text", "write it in quotes", reading);
            return None;
        };
        debug_assert!(
            matches!(self.form, Form::Text | Form::Name | Form::Kind | Form::Texts | Form::Path | Form::Variable),
            "{} is listed as {:?}",
            self.path,
            self.form
        );
        check_text(text, self.at, &self.path, reading)
    }

    /// Reads one text or a list of them, each with its place.
    pub(crate) fn texts(&self, reading: &mut Reading<'_>) -> Option<Vec<(&'t str, usize)>> {
        debug_assert_eq!(self.form, Form::Texts, "{}", self.path);
        let items = match self.value {
            DeValue::String(_) => return Some(vec![(self.text(reading)?, self.at)]),
            DeValue::Array(items) => items,
            _ => {
                self.wrong_form("a list of texts", r#"write ["…", "…"]"#, reading);
                return None;
            }
        };
        let mut texts = Vec::new();
        for item in items {
            let at = item.span().start;
            if let Some(text) = item.get_ref().as_str() {
                texts.extend(check_text(text, at, &self.path, reading).map(|text| (text, at)));
            } else {
                let message = format!("expected a text, found {}", form(item.get_ref()));
                reading.problem(at, &self.path, message, "write it in quotes");
            }
        }
        (texts.len() == items.len()).then_some(texts)
    }

    /// Reads `true` or `false`.
    pub(crate) fn switch(&self, reading: &mut Reading<'_>) -> Option<bool> {
        debug_assert_eq!(self.form, Form::Switch, "{}", self.path);
        let switch = self.value.as_bool();
        if switch.is_none() {
            self.wrong_form("true or false", "write true or false without quotes", reading);
        }
        switch
    }

    /// Reads one of a few words.
    pub(crate) fn choice<T: Copy>(&self, choices: &[(&'static str, T)], reading: &mut Reading<'_>) -> Option<T> {
        let words = || choices.iter().map(|(word, _)| *word);
        debug_assert!(
            matches!(self.form, Form::Choice(listed) if listed.iter().copied().eq(words())),
            "{} is listed as {:?}",
            self.path,
            self.form
        );
        let all = words().collect::<Vec<_>>().join(", ");
        let Some(text) = self.value.as_str() else {
            self.wrong_form("a word", &format!("write one of {all} in quotes"), reading);
            return None;
        };
        let found = choices.iter().find(|(word, _)| *word == text).map(|(_, choice)| *choice);
        if found.is_none() {
            let remedy = match nearest(text, words()) {
                Some(meant) => format!("did you mean {meant}? the choices are {all}"),
                None => format!("the choices are {all}"),
            };
            self.refuse("this is none of the choices", remedy, reading);
        }
        found
    }

    /// Reads a time within the limits of its key: an integer of seconds, or a text such as `30s`, `5m`, `6h`, `1d`.
    pub(crate) fn duration(&self, reading: &mut Reading<'_>) -> Option<Duration> {
        const REMEDY: &str = r#"write seconds, or a text such as "30s", "5m", "6h", "1d""#;
        let Form::Time { least, most, .. } = self.form else {
            unreachable!("{} is listed as {:?}", self.path, self.form)
        };
        let seconds = match self.value {
            DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix())
                .ok()
                .and_then(|seconds| u64::try_from(seconds).ok()),
            DeValue::String(text) => seconds_of(text),
            _ => {
                self.wrong_form("a time", REMEDY, reading);
                return None;
            }
        };
        let Some(seconds) = seconds else {
            self.refuse("this is no time", REMEDY, reading);
            return None;
        };
        let duration = Duration::from_secs(seconds);
        if duration < least || duration > most {
            let range = format!("write a time from {} to {}", describe(least), describe(most));
            self.refuse("this time is out of range", range, reading);
            return None;
        }
        Some(duration)
    }

    /// Tells whether the word that stands for a time is written instead of one.
    pub(crate) fn is_word(&self) -> bool {
        matches!(self.form, Form::Time { word: Some(word), .. } if self.value.as_str() == Some(word))
    }

    /// Reads a share of a whole: from 0 to 1.
    pub(crate) fn share(&self, reading: &mut Reading<'_>) -> Option<f64> {
        debug_assert_eq!(self.form, Form::Share, "{}", self.path);
        self.fraction("a share", "write a share from 0 to 1, for instance 0.10 for 10 %", |share| share >= 0.0, reading)
    }

    /// Reads a share that is more than nothing.
    pub(crate) fn part(&self, reading: &mut Reading<'_>) -> Option<f64> {
        debug_assert_eq!(self.form, Form::Part, "{}", self.path);
        let remedy = "write a share of more than 0 and at most 1, for instance 0.8 for 80 %";
        self.fraction("a share", remedy, |share| share > 0.0, reading)
    }

    fn fraction(
        &self,
        expected: &str,
        remedy: &str,
        is_enough: impl Fn(f64) -> bool,
        reading: &mut Reading<'_>,
    ) -> Option<f64> {
        let share = match self.value {
            DeValue::Float(float) => float.as_str().parse::<f64>().ok(),
            DeValue::Integer(integer) => match (integer.as_str(), integer.radix()) {
                (text, 10) => text.parse::<f64>().ok(),
                _ => None,
            },
            _ => {
                self.wrong_form(expected, remedy, reading);
                return None;
            }
        };
        // Not a number fails these comparisons, as it must.
        let share = share.filter(|share| is_enough(*share) && *share <= 1.0);
        if share.is_none() {
            self.refuse("this is no share of a whole", remedy, reading);
        }
        share
    }

    /// Reads a number of things.
    pub(crate) fn count(&self, remedy: &str, reading: &mut Reading<'_>) -> Option<u64> {
        debug_assert_eq!(self.form, Form::Count, "{}", self.path);
        let count = self.integer(remedy, reading)?;
        if count.is_none() {
            self.refuse("this number is negative or too large", remedy, reading);
        }
        count
    }

    /// Reads a number within the limits of its key.
    pub(crate) fn number(&self, reading: &mut Reading<'_>) -> Option<u64> {
        let Form::Number { least, most } = self.form else {
            unreachable!("{} is listed as {:?}", self.path, self.form)
        };
        let remedy = format!("write a number from {least} to {most}");
        let number = self.integer(&remedy, reading)?.filter(|number| (least..=most).contains(number));
        if number.is_none() {
            self.refuse("this number is out of range", remedy, reading);
        }
        number
    }

    /// Reads an integer; the inner option is empty for one that is negative or too large.
    #[allow(clippy::option_option, reason = "that it is none is told already, or is for the caller to tell")]
    fn integer(&self, remedy: &str, reading: &mut Reading<'_>) -> Option<Option<u64>> {
        let DeValue::Integer(integer) = self.value else {
            self.wrong_form("a number", remedy, reading);
            return None;
        };
        // Through i64, the range that TOML gives integers.
        Some(i64::from_str_radix(integer.as_str(), integer.radix()).ok().and_then(|number| u64::try_from(number).ok()))
    }

    /// Opens a table.
    pub(crate) fn table(self, remedy: &str, reading: &mut Reading<'_>) -> Option<Table<'t>> {
        let (Form::Table(keys) | Form::Secret(keys)) = self.form else {
            unreachable!("{} is listed as {:?}", self.path, self.form)
        };
        if let DeValue::Table(table) = self.value {
            return Some(Table::new(self.path, self.at, table, keys));
        }
        self.wrong_form("a table", remedy, reading);
        None
    }

    /// Reads the file that the value names.
    pub(crate) fn file(&self, reading: &mut Reading<'_>) -> Option<Vec<u8>> {
        debug_assert_eq!(self.form, Form::Path, "{}", self.path);
        let path = self.text(reading)?;
        match reading.read_file(path) {
            Ok(bytes) => Some(bytes),
            Err(error) => {
                let message = reading.describe(&error, path);
                self.refuse(message, "correct the path, or the file's rights", reading);
                None
            }
        }
    }
}

fn check_text<'t>(text: &'t str, at: usize, path: &str, reading: &mut Reading<'_>) -> Option<&'t str> {
    if text.trim().is_empty() {
        reading.problem(at, path, "this text is empty", "write a value, or leave the key out if it has a default");
        return None;
    }
    if text.chars().any(char::is_control) {
        let remedy = "remove it; in double quotes a backslash begins an escape, in single quotes it does not";
        reading.problem(at, path, "this text holds a control character", remedy);
        return None;
    }
    Some(text)
}

fn seconds_of(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = match unit.trim() {
        "s" => 1,
        "m" | "min" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

fn describe(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 => "0s".to_owned(),
        _ if seconds.is_multiple_of(86_400) => format!("{}d", seconds / 86_400),
        _ if seconds.is_multiple_of(3600) => format!("{}h", seconds / 3600),
        _ if seconds.is_multiple_of(60) => format!("{}m", seconds / 60),
        _ => format!("{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_number_and_a_unit() {
        for (text, seconds) in [("30s", 30), ("5m", 300), ("5 min", 300), ("6h", 21_600), ("1d", 86_400)] {
            assert_eq!(seconds_of(text), Some(seconds), "{text}");
        }
        for text in ["", "30", "h", "-1s", "1.5h", "1h30m", "99999999999999999999s", "18446744073709551615d", "１s"] {
            assert_eq!(seconds_of(text), None, "{text}");
        }
    }

    #[test]
    fn limits_of_time_are_told_in_their_largest_unit() {
        let told = [1, 60, 7200, 86_400 * 30].map(|seconds| describe(Duration::from_secs(seconds)));
        assert_eq!(told, ["1s", "1m", "2h", "30d"]);
    }
}
