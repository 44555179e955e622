//! When two images are one person, and why. It sees no store, and merges nothing.

use std::collections::BTreeSet;

use super::text::folded;
use crate::model::{AttributeName, Attributes, ConflictReason, Value, names};

/// What a person is recognised by where no directory's id helps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NaturalKey {
    /// The primary mail address, folded.
    pub(crate) address: String,
    /// First and last name, folded; `None` while one of them is not known.
    pub(crate) names: Option<String>,
}

/// Between first and last name: no name contains it.
const BETWEEN: char = '\u{1f}';

/// Reads what a person is recognised by. `None` without an address.
pub(crate) fn natural_key(attributes: &Attributes) -> Option<NaturalKey> {
    let known = |name: AttributeName| attributes.text(&name).map(folded).filter(|text| !text.is_empty());
    let address = known(names::PRIMARY_EMAIL)?;
    let names = known(names::FIRST_NAME).zip(known(names::LAST_NAME));
    Some(NaturalKey { address, names: names.map(|(first, last)| format!("{first}{BETWEEN}{last}")) })
}

/// Tells whether somebody who is known by an address alone is likely to be another person than before: first and last name
/// are known, and neither is the one that it was. One of them changes in a life, with the address.
pub(crate) fn is_another(before: &Attributes, after: &Attributes) -> bool {
    let differs = |name: AttributeName| {
        let known = |of: &Attributes| of.text(&name).map(folded).filter(|text| !text.is_empty());
        known(before).zip(known(after)).is_some_and(|(before, after)| before != after)
    };
    differs(names::FIRST_NAME) && differs(names::LAST_NAME)
}

/// Lists all addresses of a person, folded, the primary one among them.
pub(crate) fn addresses(attributes: &Attributes) -> BTreeSet<String> {
    let aliases = match attributes.get(&names::ALIASES) {
        Some(Value::List(items)) => items.as_slice(),
        _ => &[],
    };
    let primary = attributes.text(&names::PRIMARY_EMAIL);
    primary.into_iter().chain(aliases.iter().map(Box::as_ref)).map(folded).filter(|text| !text.is_empty()).collect()
}

/// What becomes of a new object that may be somebody who was added by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Finding<T> {
    /// It is somebody else.
    Nobody,
    /// It is this one: primary address, first and last name are the same.
    Adopts(T),
    /// They contradict each other.
    Conflict(Vec<T>, ConflictReason),
}

/// Judges a new object against the records that local editors added with one of its addresses.
pub(crate) fn judge<T: Copy + PartialEq>(new: &Attributes, candidates: &[(T, NaturalKey)]) -> Finding<T> {
    let mine = natural_key(new);
    let same_address = |key: &NaturalKey| mine.as_ref().is_some_and(|mine| mine.address == key.address);
    let same_person = |key: &NaturalKey| {
        same_address(key) && mine.as_ref().is_some_and(|mine| mine.names.is_some() && mine.names == key.names)
    };
    let of = |wanted: &dyn Fn(&NaturalKey) -> bool| -> Vec<T> {
        candidates.iter().filter(|(_, key)| wanted(key)).map(|(who, _)| *who).collect()
    };
    let same = of(&same_person);
    match same.as_slice() {
        [one] => return Finding::Adopts(*one),
        [_, _, ..] => return Finding::Conflict(same, ConflictReason::SeveralCandidates),
        [] => {}
    }
    let addressed = of(&same_address);
    if !addressed.is_empty() {
        return Finding::Conflict(addressed, ConflictReason::AddressWithOtherNames);
    }
    let others = addresses(new);
    let aliased = of(&|key: &NaturalKey| others.contains(&key.address));
    if aliased.is_empty() { Finding::Nobody } else { Finding::Conflict(aliased, ConflictReason::SecondaryAddress) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(email: &str, first: &str, last: &str) -> Attributes {
        [(names::PRIMARY_EMAIL, email.into()), (names::FIRST_NAME, first.into()), (names::LAST_NAME, last.into())]
            .into_iter()
            .collect()
    }

    #[test]
    fn the_same_address_and_names_are_one_person_and_an_address_alone_is_a_conflict() {
        let ann = person("Ann.Lee@corp.example", " Ann ", "L\u{e9}e");
        for (by_hand, expected) in [
            (vec![("ann.lee@CORP.example", "ANN", "Le\u{301}e")], Finding::Adopts(0)),
            (
                vec![("ann.lee@corp.example", "Anna", "L\u{e9}e")],
                Finding::Conflict(vec![0], ConflictReason::AddressWithOtherNames),
            ),
            (vec![("ann.lee@corp.example", "", "")], Finding::Conflict(vec![0], ConflictReason::AddressWithOtherNames)),
            (vec![("other@corp.example", "Ann", "L\u{e9}e")], Finding::Nobody),
            (
                vec![("ann.lee@corp.example", "Ann", "L\u{e9}e"), ("ann.lee@corp.example", "ann", "L\u{c9}E")],
                Finding::Conflict(vec![0, 1], ConflictReason::SeveralCandidates),
            ),
            // One fits; that another has the address too does not make it somebody else.
            (
                vec![("ann.lee@corp.example", "Bob", "L\u{e9}e"), ("ann.lee@corp.example", "Ann", "L\u{e9}e")],
                Finding::Adopts(1),
            ),
        ] {
            let candidates: Vec<_> = by_hand
                .iter()
                .enumerate()
                .map(|(at, (email, first, last))| (at, natural_key(&person(email, first, last)).unwrap()))
                .collect();
            assert_eq!(judge(&ann, &candidates), expected, "{by_hand:?}");
        }
    }

    #[test]
    fn names_that_are_not_known_never_match() {
        let bare = person("info@corp.example", "", "");
        let candidates = [(1, natural_key(&bare).unwrap())];
        assert_eq!(judge(&bare, &candidates), Finding::Conflict(vec![1], ConflictReason::AddressWithOtherNames));
        assert_eq!(natural_key(&person("", "Ann", "Lee")), None);
        assert_eq!(judge(&person("", "Ann", "Lee"), &candidates), Finding::Nobody);
    }

    #[test]
    fn an_alias_that_is_somebodys_address_is_a_conflict() {
        let mut ann = person("ann@corp.example", "Ann", "Lee");
        ann.set(names::ALIASES, Value::list(["Info@corp.example"]));
        let candidates = [(7, natural_key(&person("info@corp.example", "Ann", "Lee")).unwrap())];
        assert_eq!(judge(&ann, &candidates), Finding::Conflict(vec![7], ConflictReason::SecondaryAddress));
    }

    #[test]
    fn names_do_not_run_into_each_other() {
        let one = natural_key(&person("a@corp.example", "Ann Mary", "Lee")).unwrap();
        let two = natural_key(&person("a@corp.example", "Ann", "Mary Lee")).unwrap();
        assert_ne!(one, two);
    }
}
