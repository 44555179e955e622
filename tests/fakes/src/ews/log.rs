//! The record of what clients asked for; it holds no secret and knows no recipient.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What kind of call it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    /// `ResolveNames`.
    ResolveNames,
    /// `ExpandDL`.
    ExpandDl,
    /// Anything else, steps of a sign-in among them.
    Other,
}

/// One request and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    /// What kind of call it was.
    pub call: Call,
    /// What was to be resolved or expanded.
    pub entry: String,
    /// `RequestServerVersion` as sent.
    pub version: Option<String>,
    /// The account's name; absent before it has signed in.
    pub account: Option<String>,
    /// The number of the connection.
    pub connection: u64,
    /// The status; absent when the connection is cut or left hanging.
    pub status: Option<u16>,
    /// The response code or that of the fault; empty where there is none.
    pub code: String,
}

#[derive(Debug, Default)]
struct Record {
    lines: VecDeque<Logged>,
    calls: BTreeMap<Call, u64>,
    codes: BTreeMap<String, u64>,
    peak: u32,
}

/// A handle to the record.
#[derive(Debug, Clone, Default)]
pub struct RequestLog {
    record: Arc<Mutex<Record>>,
}

impl RequestLog {
    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add(&self, line: Logged, most: usize) {
        let mut record = self.record();
        *record.calls.entry(line.call).or_default() += 1;
        *record.codes.entry(line.code.clone()).or_default() += 1;
        if most > 0 {
            while record.lines.len() >= most {
                record.lines.pop_front();
            }
            record.lines.push_back(line);
        }
    }

    pub(crate) fn at_once(&self, calls: u32) {
        let mut record = self.record();
        record.peak = record.peak.max(calls);
    }

    /// Returns the requests that the record still holds, in order.
    pub fn all(&self) -> Vec<Logged> {
        self.record().lines.iter().cloned().collect()
    }

    /// Returns the requests of one kind that the record still holds, in order.
    pub fn of(&self, call: Call) -> Vec<Logged> {
        self.record().lines.iter().filter(|line| line.call == call).cloned().collect()
    }

    /// Returns how many requests of one kind there were; it counts also what the record no longer holds.
    pub fn count(&self, call: Call) -> u64 {
        self.record().calls.get(&call).copied().unwrap_or(0)
    }

    /// Returns how often a code was answered.
    pub fn answered(&self, code: &str) -> u64 {
        self.record().codes.get(code).copied().unwrap_or(0)
    }

    /// Returns how many calls of one account there were at once at most.
    pub fn peak(&self) -> u32 {
        self.record().peak
    }

    /// Forgets everything so far.
    pub fn clear(&self) {
        *self.record() = Record::default();
    }
}
