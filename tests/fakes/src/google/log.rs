//! The record of what clients asked for, without any token; it knows no account.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// One request and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    /// The method's name, such as `users.list`, or `token`.
    pub operation: &'static str,
    /// Path and query.
    pub target: String,
    /// The HTTP status; `None` when nothing was answered.
    pub status: Option<u16>,
    /// Milliseconds since 1970 by the account's clock.
    pub at: i64,
}

#[derive(Debug, Default)]
struct Lines {
    kept: Vec<Logged>,
    counts: BTreeMap<(&'static str, u16), u64>,
}

/// How many requests are kept in full; all are counted.
const KEPT: usize = 20_000;

/// A handle to the record.
#[derive(Debug, Clone, Default)]
pub struct RequestLog {
    lines: Arc<Mutex<Lines>>,
}

impl RequestLog {
    pub(crate) fn add(&self, line: Logged) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        *lines.counts.entry((line.operation, line.status.unwrap_or(0))).or_default() += 1;
        if lines.kept.len() < KEPT {
            lines.kept.push(line);
        }
    }

    /// Returns the first requests in order, 20,000 at most.
    pub fn all(&self) -> Vec<Logged> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).kept.clone()
    }

    /// Returns those of one operation.
    pub fn of(&self, operation: &str) -> Vec<Logged> {
        self.all().into_iter().filter(|line| line.operation == operation).collect()
    }

    /// Returns how often each operation was answered with each status; 0 stands for no answer.
    pub fn counts(&self) -> BTreeMap<(&'static str, u16), u64> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).counts.clone()
    }

    /// Returns how many requests there were, those for tokens not counted.
    pub fn calls(&self) -> u64 {
        self.counts().iter().filter(|((operation, _), _)| *operation != "token").map(|(_, count)| count).sum()
    }

    /// Forgets everything so far.
    pub fn clear(&self) {
        *self.lines.lock().unwrap_or_else(PoisonError::into_inner) = Lines::default();
    }
}
