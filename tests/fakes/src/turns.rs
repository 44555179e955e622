//! Which of the calls that a fault is about it befalls; it knows no call.

/// Counts calls and tells those that are meant: all, unless something narrows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Turns {
    first: u64,
    last: u64,
    every: u64,
    seen: u64,
}

impl Default for Turns {
    fn default() -> Self {
        Self { first: 1, last: u64::MAX, every: 1, seen: 0 }
    }
}

impl Turns {
    /// Only the n-th, from 1.
    pub(crate) fn nth(&mut self, n: u64) {
        (self.first, self.last) = (n, n);
    }

    /// The n-th and all later ones.
    pub(crate) fn from(&mut self, n: u64) {
        (self.first, self.last) = (n, u64::MAX);
    }

    /// So many and no more.
    pub(crate) fn times(&mut self, n: u64) {
        self.last = self.first.saturating_add(n).saturating_sub(1);
    }

    /// Each n-th.
    pub(crate) fn every(&mut self, n: u64) {
        self.every = n.max(1);
    }

    /// Tells whether they have an end and have not come to it yet.
    pub(crate) fn are_to_come(&self) -> bool {
        self.last != u64::MAX && self.seen < self.last
    }

    /// Counts one more call and tells whether it is meant.
    pub(crate) fn comes(&mut self) -> bool {
        self.seen += 1;
        (self.first..=self.last).contains(&self.seen) && self.seen.is_multiple_of(self.every)
    }
}
