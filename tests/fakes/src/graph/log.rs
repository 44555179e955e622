//! The record of what clients asked for and what it cost; it holds no secret and knows no object.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use super::route::Call;

/// One request, or one part of a batch, and what became of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Logged {
    /// What kind of call it was.
    pub call: Call,
    /// The method.
    pub method: String,
    /// Path and query as sent.
    pub target: String,
    /// Whether it came inside `$batch`.
    pub in_batch: bool,
    /// The status; `None` when nothing was answered.
    pub status: Option<u16>,
    /// Resource units that it cost.
    pub units: f64,
    /// When it came, in milliseconds since 1970 by the tenant's clock.
    pub at: i64,
    /// `client-request-id` as sent.
    pub client_request_id: Option<String>,
}

/// Sums over requests; parts of batches count as requests of their own.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Sums {
    /// All requests.
    pub calls: u64,
    /// Those refused with 429.
    pub refused: u64,
    /// Resource units of those that were not.
    pub units: f64,
}

#[derive(Debug, Default)]
struct Record {
    lines: VecDeque<Logged>,
    total: Sums,
    seconds: BTreeMap<i64, Sums>,
    calls: BTreeMap<Call, u64>,
}

/// A handle to the record.
#[derive(Debug, Clone, Default)]
pub struct RequestLog {
    record: Arc<Mutex<Record>>,
}

impl RequestLog {
    fn record(&self) -> std::sync::MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add(&self, line: impl FnOnce() -> Logged, (call, status, units, at): Key, most: usize) {
        let mut record = self.record();
        let refused = status == Some(429);
        let second = record.seconds.entry(at.div_euclid(1000)).or_default();
        second.count(refused, units);
        record.total.count(refused, units);
        *record.calls.entry(call).or_default() += 1;
        if most > 0 {
            while record.lines.len() >= most {
                record.lines.pop_front();
            }
            record.lines.push_back(line());
        }
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

    /// Returns the sums over everything.
    pub fn sums(&self) -> Sums {
        self.record().total
    }

    /// Returns the sums of each second in which something was asked, by seconds since 1970.
    pub fn seconds(&self) -> Vec<(i64, Sums)> {
        self.record().seconds.iter().map(|(second, sums)| (*second, *sums)).collect()
    }

    /// Forgets everything so far.
    pub fn clear(&self) {
        *self.record() = Record::default();
    }
}

/// What is counted of a request: its kind, its status, its units and its time.
pub(crate) type Key = (Call, Option<u16>, f64, i64);

impl Sums {
    fn count(&mut self, refused: bool, units: f64) {
        self.calls += 1;
        if refused {
            self.refused += 1;
        } else {
            self.units += units;
        }
    }
}
