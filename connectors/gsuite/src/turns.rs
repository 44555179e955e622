//! Whose turn it is: groups in the order of their ids, those first that were not read for the longest. It must not know
//! how they are read.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A run reads at most so large a part of all groups by turns.
const PART: usize = 8;
/// More runs than these are not told apart; the older instant holds for two.
const MARKS: usize = 256;

/// When the members of which groups were read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Turns {
    /// In the order of their instants. Behind the last one begins whose turn it is next.
    marks: VecDeque<Mark>,
}

/// The groups behind the mark before it, up to and with this one, were read at this instant. Ids go round: behind the last
/// one comes the first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    to: String,
    at: i64,
}

impl Turns {
    /// All groups were read at this instant, or later.
    pub(crate) fn all_at(at: i64) -> Self {
        Self { marks: [Mark { to: String::new(), at }].into() }
    }

    /// Returns when the group was read, at the earliest, that was not read for the longest.
    pub(crate) fn oldest(&self) -> i64 {
        self.marks.front().map_or(0, |mark| mark.at)
    }

    /// Chooses among groups in the order of their ids: as many as came due since the last turn, and at least one.
    pub(crate) fn due(&self, groups: &[Box<str>], now: i64, every: Duration) -> Vec<Box<str>> {
        let (last, at) = self.marks.back().map_or(("", 0), |mark| (mark.to.as_str(), mark.at));
        let passed = u128::try_from(now.saturating_sub(at)).unwrap_or(0);
        let due = (groups.len() as u128 * passed).div_ceil(every.as_millis().max(1));
        let due = usize::try_from(due).unwrap_or(usize::MAX).clamp(1, groups.len().div_ceil(PART).max(1));
        let start = groups.partition_point(|group| **group <= *last);
        groups[start..].iter().chain(&groups[..start]).take(due).cloned().collect()
    }

    /// Notes that those chosen were read; `of` is the number of all groups.
    pub(crate) fn read(&mut self, chosen: &[Box<str>], of: usize, at: i64) {
        let Some(to) = chosen.last() else { return };
        if chosen.len() >= of {
            self.marks.clear();
        }
        let from = self.marks.back().map(|mark| mark.to.clone()).unwrap_or_default();
        // How far behind the last turn an id lies.
        let distance = |id: &str| (*id <= *from, id.to_owned());
        while self.marks.front().is_some_and(|mark| distance(&mark.to) <= distance(to)) {
            self.marks.pop_front();
        }
        self.marks.push_back(Mark { to: to.to_string(), at });
        if self.marks.len() > MARKS
            && let Some(first) = self.marks.pop_front()
            && let Some(second) = self.marks.front_mut()
        {
            second.at = first.at;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const HOUR: i64 = 3_600_000;

    fn groups(range: std::ops::Range<usize>) -> Vec<Box<str>> {
        range.map(|number| format!("g{number:03}").into()).collect()
    }

    fn every(hours: u64) -> Duration {
        Duration::from_hours(hours)
    }

    #[test]
    fn as_many_come_due_as_time_has_passed_but_never_more_than_an_eighth() {
        let (turns, all) = (Turns::all_at(0), groups(0..80));
        let due = |at| turns.due(&all, at, every(8)).len();
        assert_eq!([due(0), due(1), due(HOUR / 10), due(HOUR / 2), due(HOUR), due(100 * HOUR)], [1, 1, 1, 5, 10, 10]);
        // A clock that was wrong, and an account without groups.
        assert_eq!(due(-HOUR), 1);
        assert!(turns.due(&[], HOUR, every(8)).is_empty());
    }

    #[test]
    fn who_was_not_read_for_the_longest_comes_first_and_the_oldest_instant_is_never_too_young() {
        let mut turns = Turns::all_at(0);
        let mut all = groups(0..50);
        let mut read: BTreeMap<Box<str>, i64> = all.iter().map(|group| (group.clone(), 0)).collect();
        // Some number that is the same for a seed.
        let mut dice = 7_u64;
        for run in 1..400 {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            if dice >> 62 == 0 {
                let gone = all.remove(usize::try_from(dice >> 40).unwrap() % all.len());
                read.remove(&gone);
            } else if dice >> 62 == 1 {
                // A new one is read when it comes.
                let new: Box<str> = format!("g{:03}x", (dice >> 40) % 200).into();
                if let Err(at) = all.binary_search(&new) {
                    all.insert(at, new.clone());
                    read.insert(new, run * HOUR / 4);
                }
            }
            let at = run * HOUR / 4;
            let chosen = turns.due(&all, at, every(6));
            let longest = read.values().min().copied().unwrap();
            assert!(chosen.iter().any(|group| read[group] == longest) || longest >= turns.oldest());
            for group in &chosen {
                read.insert(group.clone(), at);
            }
            turns.read(&chosen, all.len(), at);
            assert!(turns.oldest() <= *read.values().min().unwrap(), "run {run}: {turns:?}");
            // Six hours for a turn, and what one run reads more or less.
            assert!(run < 32 || at - turns.oldest() <= 8 * HOUR, "run {run}: {}", at - turns.oldest());
        }
    }

    #[test]
    fn many_runs_are_not_kept_apart_for_ever() {
        let (mut turns, all) = (Turns::all_at(0), groups(0..999));
        for run in 1..900 {
            let chosen = turns.due(&all, run, every(24));
            turns.read(&chosen, all.len(), run);
            assert!(turns.marks.len() <= MARKS && turns.oldest() <= 0_i64.max(run - 200));
        }
        let mut once = Turns::all_at(0);
        once.read(&all, all.len(), 5);
        assert_eq!(once.oldest(), 5);
    }
}
