//! Ranged values: an attribute with many values comes in pieces, `member;range=0-1499` and so on.
//!
//! The size of a piece is the server's choice. It knows no attribute and asks no server.

use tenantry::{Error, Result};

use crate::entry::Entry;

/// Where the values of an attribute go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextRange {
    /// Ask for the values from this index on.
    From(u64),
    /// There are no more.
    Done,
}

/// The end of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum High {
    At(u64),
    End,
}

/// One piece of the values of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RangedValues<'a> {
    /// The values of this piece.
    pub values: &'a [Vec<u8>],
    /// Where they go on.
    pub next: NextRange,
}

impl<'a> RangedValues<'a> {
    /// Reads the attribute of an entry, whether it came whole or as its first piece.
    ///
    /// A server that starts a range by itself may put an empty attribute of the plain name next to it: that does not
    /// mean that there are no values. Not for answers to DirSync, where `range=1-1` and `range=0-0` have another meaning.
    pub fn first(entry: &'a Entry, name: &str) -> Result<Self> {
        Self::at(entry, name, 0)
    }

    /// Reads the piece that was asked for from this index on.
    pub(crate) fn at(entry: &'a Entry, name: &str, from: u64) -> Result<Self> {
        let ranged = entry.attributes().iter().find_map(|attribute| {
            let (low, high) = range_of(attribute.description(), name)?;
            Some((low, high, attribute.values()))
        });
        let Some((low, high, values)) = ranged else {
            // Past the end a server may leave the attribute out, or answer with the whole of it.
            return Ok(Self { values: entry.values(name), next: NextRange::Done });
        };
        let (High::At(high), false) = (high, values.is_empty()) else {
            if low > from && !values.is_empty() {
                return Err(gap(name, from, low));
            }
            return Ok(Self { values, next: NextRange::Done });
        };
        if low > from {
            return Err(gap(name, from, low));
        }
        // A piece with fewer values than it says is followed from where it really ends: twice is harmless, never is not.
        let next = high.saturating_add(1).min(low.saturating_add(values.len() as u64));
        if next <= from {
            return Err(Error::protocol("a range of values does not go on")
                .with_context("attribute", name)
                .with_context("from", from));
        }
        Ok(Self { values, next: NextRange::From(next) })
    }
}

fn gap(name: &str, from: u64, low: u64) -> Error {
    Error::protocol("a range of values leaves a gap")
        .with_context("attribute", name)
        .with_context("asked from", from)
        .with_context("answered from", low)
}

/// Describes the values of an attribute from an index to their end.
pub fn describe(name: &str, from: u64) -> String {
    format!("{name};range={from}-*")
}

/// Returns whether the description is that attribute, with or without a range or other options.
pub fn is_attribute(description: &str, name: &str) -> bool {
    description.split(';').next().is_some_and(|base| base.eq_ignore_ascii_case(name))
}

/// Reads the range from the options of a description, in any case and order.
fn range_of(description: &str, name: &str) -> Option<(u64, High)> {
    let mut parts = description.split(';');
    if !parts.next()?.trim().eq_ignore_ascii_case(name) {
        return None;
    }
    parts.find_map(|option| {
        let (key, range) = option.split_once('=')?;
        if !key.trim().eq_ignore_ascii_case("range") {
            return None;
        }
        let (low, high) = range.split_once('-')?;
        let high = match high.trim() {
            "*" => High::End,
            number => High::At(index(number)?),
        };
        Some((index(low.trim())?, high))
    })
}

fn index(text: &str) -> Option<u64> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(attributes: &[(&str, usize)]) -> Entry {
        Entry::new("", attributes.iter().map(|&(name, count)| (name, (0..count).map(|n| n.to_string()))))
    }

    fn read(attributes: &[(&str, usize)], from: u64) -> (usize, NextRange) {
        let entry = entry(attributes);
        let ranged = RangedValues::at(&entry, "member", from).unwrap();
        (ranged.values.len(), ranged.next)
    }

    #[test]
    fn a_range_next_to_an_empty_plain_attribute_counts() {
        assert_eq!(read(&[("member", 0), ("member;range=0-1499", 1500)], 0), (1500, NextRange::From(1500)));
    }

    #[test]
    fn any_spelling_and_any_step_is_understood() {
        for name in ["Member;Range=0-4", "MEMBER;x-opt;RANGE=0-4", "member;range=0-4;binary"] {
            assert_eq!(read(&[(name, 5)], 0), (5, NextRange::From(5)), "{name}");
        }
    }

    #[test]
    fn the_last_piece_zero_values_and_an_absent_attribute_all_end_it() {
        assert_eq!(read(&[("member;range=1500-*", 7)], 1500), (7, NextRange::Done));
        assert_eq!(read(&[("member;range=1500-*", 0)], 1500), (0, NextRange::Done));
        assert_eq!(read(&[("member;range=1500-2999", 0)], 1500), (0, NextRange::Done));
        assert_eq!(read(&[], 1500), (0, NextRange::Done));
        assert_eq!(read(&[("member", 3)], 0), (3, NextRange::Done));
    }

    #[test]
    fn a_gap_and_a_range_that_does_not_go_on_are_errors() {
        assert!(RangedValues::at(&entry(&[("member;range=20-29", 10)]), "member", 10).is_err());
        assert!(RangedValues::at(&entry(&[("member;range=20-*", 10)]), "member", 10).is_err());
        assert!(RangedValues::at(&entry(&[("member;range=0-9", 10)]), "member", 10).is_err());
    }

    #[test]
    fn a_piece_shorter_than_it_says_is_followed_from_its_real_end() {
        assert_eq!(read(&[("member;range=0-1499", 1000)], 0), (1000, NextRange::From(1000)));
    }

    #[test]
    fn another_attribute_is_not_mistaken() {
        assert_eq!(read(&[("memberOf;range=0-4", 5)], 0), (0, NextRange::Done));
        assert!(is_attribute("Member;range=1-1", "member") && !is_attribute("memberOf", "member"));
    }

    proptest! {
        #[test]
        fn collecting_gives_every_value_whatever_the_steps(total in 0_usize..200, steps in proptest::collection::vec(1_usize..40, 1..20)) {
            let (mut from, mut got, mut steps) = (0_u64, 0, steps.into_iter().cycle());
            loop {
                let step = steps.next().unwrap();
                let left = total - usize::try_from(from).unwrap();
                let name = if left <= step { describe("member", from) } else { format!("member;range={from}-{}", from + step as u64 - 1) };
                let entry = entry(&[(&name, left.min(step))]);
                let ranged = RangedValues::at(&entry, "member", from).unwrap();
                got += ranged.values.len();
                match ranged.next {
                    NextRange::From(next) => from = next,
                    NextRange::Done => break,
                }
            }
            prop_assert_eq!(got, total);
        }

        #[test]
        fn garbage_never_panics(description: String, options in "member;[Rr]ange=[0-9*-]{0,30}", from: u64) {
            for name in [&description, &options] {
                let _ = RangedValues::at(&entry(&[(name, 2)]), "member", from);
            }
        }
    }
}
