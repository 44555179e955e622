//! What the checks found, for people. It knows no endpoint.

use std::fmt;
use std::io::Write as _;

use super::Check;
use super::remote::Declined;

/// What became of one check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The behaviour was seen.
    Passed,
    /// Another behaviour was seen.
    Failed {
        /// What should have been seen.
        expected: String,
        /// What was seen instead.
        seen: String,
    },
    /// It could not be tried.
    NotChecked(String),
}

/// Everything that a run of the suite found.
#[derive(Debug, Clone)]
#[must_use = "a report that nobody looks at checks nothing"]
pub struct Report {
    pub(super) entries: Vec<(&'static Check, Outcome)>,
}

impl Report {
    /// Returns what became of each check, in the order of the suite.
    pub fn outcomes(&self) -> impl Iterator<Item = (&'static Check, &Outcome)> {
        self.entries.iter().map(|(check, outcome)| (*check, outcome))
    }

    /// Returns the names of the checks that failed.
    pub fn failed(&self) -> Vec<&'static str> {
        self.named(|outcome| matches!(outcome, Outcome::Failed { .. }))
    }

    /// Returns the names of the checks that could not be tried.
    pub fn not_checked(&self) -> Vec<&'static str> {
        self.named(|outcome| matches!(outcome, Outcome::NotChecked(_)))
    }

    fn named(&self, which: impl Fn(&Outcome) -> bool) -> Vec<&'static str> {
        self.entries.iter().filter(|(_, outcome)| which(outcome)).map(|(check, _)| check.name).collect()
    }

    /// Stops the test unless every check was tried and passed.
    ///
    /// # Panics
    /// With the whole report, if a check failed or was not tried.
    pub fn assert(&self) {
        self.assert_but(&[]);
    }

    /// Stops the test unless every check passed, but for those that may stay untried: by name, or by the beginning of
    /// their names, such as `delta::`. One that could be tried has to pass, whether it stands here or not. What was not
    /// tried is told on standard error, also where the test harness captures what tests print.
    ///
    /// # Panics
    /// With the whole report, if a check failed, was not tried without standing here, or if a name here is no check's.
    pub fn assert_but(&self, untried: &[&str]) {
        let stands = |name: &str| untried.iter().any(|allowed| name.starts_with(allowed));
        let missing: Vec<_> = self.not_checked().into_iter().filter(|name| !stands(name)).collect();
        let is_one = |allowed: &str| self.entries.iter().any(|(check, _)| check.name.starts_with(allowed));
        let unknown: Vec<_> = untried.iter().filter(|allowed| !is_one(allowed)).collect();
        assert!(
            self.failed().is_empty() && missing.is_empty() && unknown.is_empty() && !self.entries.is_empty(),
            "{self}\nnot tried, and not said so: {missing:?}; no such check: {unknown:?}"
        );
        // Past the capture of the test harness: a pass that left something out is not to look like one that did not.
        for (check, outcome) in &self.entries {
            if let Outcome::NotChecked(why) = outcome {
                let _ = writeln!(std::io::stderr(), "NOT CHECKED  {}: {why}", check.name);
            }
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (check, outcome) in &self.entries {
            match outcome {
                Outcome::Passed => writeln!(f, "passed       {}", check.name)?,
                Outcome::NotChecked(why) => writeln!(f, "NOT CHECKED  {}: {why}", check.name)?,
                Outcome::Failed { expected, seen } => {
                    writeln!(f, "FAILED       {}", check.name)?;
                    writeln!(f, "  behaviour  {}: {}", check.item, check.behaviour)?;
                    writeln!(f, "  expected   {expected}")?;
                    writeln!(f, "  seen       {}", seen.replace('\n', "\n             "))?;
                    writeln!(f, "  remedy     {}", check.remedy)?;
                }
            }
        }
        let (failed, untried) = (self.failed().len(), self.not_checked().len());
        let passed = self.entries.len() - failed - untried;
        write!(f, "{passed} passed, {failed} failed, {untried} not checked")
    }
}

/// Why a check does not go on.
#[derive(Debug)]
pub(super) enum Finding {
    Failed { expected: String, seen: String },
    NotChecked(String),
}

/// What a check comes to.
pub(super) type Verdict<T = ()> = Result<T, Finding>;

impl From<Declined> for Finding {
    fn from(declined: Declined) -> Self {
        Self::NotChecked(declined.to_string())
    }
}

impl From<Verdict> for Outcome {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Ok(()) => Self::Passed,
            Err(Finding::Failed { expected, seen }) => Self::Failed { expected, seen },
            Err(Finding::NotChecked(why)) => Self::NotChecked(why),
        }
    }
}

/// Fails a check.
pub(super) fn failed<T>(expected: impl Into<String>, seen: impl Into<String>) -> Verdict<T> {
    Err(Finding::Failed { expected: expected.into(), seen: seen.into() })
}

/// Gives a check up as one that cannot be tried.
pub(super) fn not_checked<T>(why: impl Into<String>) -> Verdict<T> {
    Err(Finding::NotChecked(why.into()))
}

/// Fails a check unless something holds.
pub(super) fn ensure(holds: bool, expected: impl Into<String>, seen: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { failed(expected, seen()) }
}
