//! What is wrong with a configuration: where, what, and what to do about it.
//!
//! It knows no key and no rule. Whoever makes a [`Problem`] keeps values that could be secrets out of it.

use std::fmt;
use std::sync::Arc;

use tenantry::Error;

/// One mistake in a configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// The file, as it was named when it was loaded.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The key with the tables around it, `endpoint.password` for instance; empty where the text is no TOML.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: ", self.file, self.line, self.column)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        write!(f, "{}; {}", self.message, self.remedy)
    }
}

/// All mistakes in a configuration file, at least one, in the order of the file.
///
/// It is the source of the [`Error`] that loading returns. `Display` has a line for each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Returns the problems behind an error; none if the error is of something else.
    pub fn of(error: &Error) -> Option<&Self> {
        std::error::Error::source(error)?.downcast_ref()
    }

    /// Returns the problems in the order of the file.
    pub fn as_slice(&self) -> &[Problem] {
        &self.0
    }

    /// Goes through the problems in the order of the file.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.0.iter()
    }

    /// Makes one error of them: its one line tells the only problem, or the number and the first.
    pub(crate) fn into_error(mut list: Vec<Problem>) -> Error {
        list.sort_by_key(|problem| (problem.line, problem.column));
        let message = match list.as_slice() {
            [] => "the configuration cannot be used".to_owned(),
            [only] => only.to_string(),
            [first, ..] => format!("{} problems in {}, the first: {first}", list.len(), first.file),
        };
        Error::config(message).with_source(Self(list))
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
