//! How long events and reports are kept, as data. It does not know how they are stored.

use std::time::Duration;

use super::Timestamp;

/// What is kept of a growing list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Keep {
    /// All of it.
    #[default]
    Everything,
    /// So many of the newest.
    Last(u64),
    /// What is younger than this.
    For(Duration),
}

impl Keep {
    /// Tells whether an entry may go that has so many newer ones and was written at a time.
    pub(crate) fn lets_go(self, newer: u64, written: Timestamp, now: Timestamp) -> bool {
        match self {
            Self::Everything => false,
            Self::Last(count) => newer >= count,
            Self::For(time) => {
                let millis = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
                written < now.minus_millis(millis)
            }
        }
    }
}

/// How long events and the history of runs are kept. The default keeps everything.
///
/// Positions go on in any case: an event keeps its number, and no number is given twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retention {
    /// Events that every registered consumer has acknowledged. They go in whole segments: a few more may stay.
    pub events: Keep,
    /// Events that some consumer has not acknowledged yet: the hard limit. A consumer that falls behind it gets an error
    /// that says so, and has to start anew from an export. By default they are kept as long as it takes.
    pub unread_events: Keep,
    /// Reports of runs. The newest of each endpoint stays.
    pub history: Keep,
}

impl Retention {
    /// Tells whether nothing ever goes.
    pub(crate) fn keeps_everything(&self) -> bool {
        *self == Self::default()
    }
}

/// What a [`Retention`] let go.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Dropped {
    /// Events.
    pub events: u64,
    /// Reports of runs.
    pub runs: u64,
    /// Consumers that stand before the first event that is still kept: they have to start anew from an export.
    pub cut_off: Vec<String>,
}

/// Where a registered consumer stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerPosition {
    /// Its name.
    pub name: String,
    /// The last event that it acknowledged; 0 before the first.
    pub position: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_goes_once_enough_newer_ones_are_there_or_it_is_older_than_the_time() {
        let at = |millis| Timestamp(millis);
        assert!(!Keep::Everything.lets_go(u64::MAX, at(0), at(i64::MAX)));
        assert!(!Keep::Last(3).lets_go(2, at(0), at(9)) && Keep::Last(3).lets_go(3, at(0), at(9)));
        let second = Keep::For(Duration::from_secs(1));
        assert!(!second.lets_go(9, at(500), at(1500)) && second.lets_go(0, at(499), at(1500)));
    }
}
