//! What tells that objects of two endpoints are one person or thing, and which of them can be one. It sees no store.

use std::collections::{BTreeMap, BTreeSet};

use super::join::addresses;
use super::text::folded;
use crate::model::{Anchor, AttributeName, Attributes, ConflictReason, JoinReason, ObjectKind, names};

/// What an object may be joined by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Persona {
    kind: ObjectKind,
    /// Each with the reason that it is, as `name=value`.
    anchors: BTreeSet<(JoinReason, Box<str>)>,
    /// The primary address, folded. Users only, as all that follows.
    primary: Option<String>,
    addresses: BTreeSet<String>,
    first: Option<String>,
    last: Option<String>,
}

/// What two objects have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Common {
    /// Enough to be one.
    Joins(JoinReason),
    /// Too much for nobody to be told of it.
    Objects(ConflictReason),
}

/// How much the names of two people say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Names {
    Same,
    Unknown,
    Contradict,
}

impl Persona {
    /// Reads what an object may be joined by.
    pub(crate) fn of(kind: ObjectKind, attributes: &Attributes, anchors: &[Anchor]) -> Self {
        let anchors = anchors
            .iter()
            .filter(|anchor| !anchor.value.is_empty())
            .map(|anchor| (reason_of(anchor), format!("{}={}", anchor.name, anchor.value).into()))
            .collect();
        let bare = Self { kind, anchors, primary: None, addresses: BTreeSet::new(), first: None, last: None };
        if kind != ObjectKind::User {
            return bare;
        }
        let known = |name: AttributeName| attributes.text(&name).map(folded).filter(|text| !text.is_empty());
        Self {
            primary: known(names::PRIMARY_EMAIL),
            addresses: addresses(attributes),
            first: known(names::FIRST_NAME),
            last: known(names::LAST_NAME),
            ..bare
        }
    }

    /// Hashes what it may be found by, each once.
    pub(crate) fn keys(&self) -> BTreeSet<i64> {
        let anchors = self.anchors.iter().map(|(_, anchor)| anchor_key(self.kind, anchor));
        anchors.chain(self.addresses.iter().map(|address| address_key(address))).collect()
    }

    /// Lists the keys of its anchors, the strongest first.
    pub(crate) fn anchor_keys(&self) -> impl Iterator<Item = (JoinReason, i64)> {
        self.anchors.iter().map(|(reason, anchor)| (*reason, anchor_key(self.kind, anchor)))
    }

    /// Lists its addresses, folded.
    pub(crate) fn addresses(&self) -> &BTreeSet<String> {
        &self.addresses
    }

    /// Tells what it has in common with an object of another endpoint. `alone` says of an address whether it is in a
    /// domain of the customer's, and nobody else in these two endpoints has it.
    pub(crate) fn in_common(&self, other: &Self, alone: impl Fn(&str) -> bool) -> Option<Common> {
        if self.kind != other.kind {
            return None;
        }
        if let Some((reason, _)) = self.anchors.intersection(&other.anchors).next() {
            return Some(Common::Joins(*reason));
        }
        self.addresses.intersection(&other.addresses).map(|address| self.by_address(other, address, &alone)).min()
    }

    fn by_address(&self, other: &Self, address: &str, alone: impl Fn(&str) -> bool) -> Common {
        let primary = |one: &Self| one.primary.as_deref() == Some(address);
        let both = primary(self) && primary(other);
        match self.names(other) {
            // A further address is forwarded, or taken over: it takes the names to tell.
            Names::Same | Names::Unknown if (both || self.names(other) == Names::Same) && alone(address) => {
                Common::Joins(JoinReason::VerifiedAddress)
            }
            Names::Same if both => Common::Joins(JoinReason::NaturalKey),
            _ if both => Common::Objects(ConflictReason::AddressWithOtherNames),
            _ => Common::Objects(ConflictReason::SecondaryAddress),
        }
    }

    fn names(&self, other: &Self) -> Names {
        let differ = |a: &Option<String>, b: &Option<String>| a.is_some() && b.is_some() && a != b;
        if differ(&self.first, &other.first) || differ(&self.last, &other.last) {
            Names::Contradict
        } else if [&self.first, &self.last, &other.first, &other.last].iter().all(|name| name.is_some()) {
            Names::Same
        } else {
            Names::Unknown
        }
    }
}

fn reason_of(anchor: &Anchor) -> JoinReason {
    match &*anchor.name {
        "consistency-guid" => JoinReason::SourceAnchor,
        "security-id" => JoinReason::SecurityId,
        _ => JoinReason::DirectoryId,
    }
}

fn anchor_key(kind: ObjectKind, anchor: &str) -> i64 {
    key(kind.as_str(), anchor)
}

/// Hashes an address, which is folded.
pub(crate) fn address_key(address: &str) -> i64 {
    key("address", address)
}

fn key(sort: &str, text: &str) -> i64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(sort.as_bytes());
    hasher.update(&[0]);
    hasher.update(text.as_bytes());
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    i64::from_le_bytes(bytes)
}

/// Puts objects together that are linked, the strongest links first, as far as no two that exclude each other come
/// together. Of links that are equally strong the earlier one counts. Returns the parts, each in order.
pub(crate) fn partition(
    objects: &[i64],
    links: &[(JoinReason, i64, i64)],
    exclude: impl Fn(i64, i64) -> bool,
) -> Vec<BTreeSet<i64>> {
    let mut part_of: BTreeMap<i64, i64> = objects.iter().map(|object| (*object, *object)).collect();
    let mut parts: BTreeMap<i64, BTreeSet<i64>> = objects.iter().map(|one| (*one, BTreeSet::from([*one]))).collect();
    let mut links: Vec<_> = links.to_vec();
    links.sort_by_key(|(reason, ..)| *reason);
    for (_, one, other) in links {
        let (Some(a), Some(b)) = (part_of.get(&one).copied(), part_of.get(&other).copied()) else { continue };
        if a == b {
            continue;
        }
        let (left, right) = (&parts[&a], &parts[&b]);
        if left.iter().any(|x| right.iter().any(|y| exclude(*x, *y))) {
            continue;
        }
        let moved = parts.remove(&b).unwrap_or_default();
        for object in &moved {
            part_of.insert(*object, a);
        }
        parts.entry(a).or_default().extend(moved);
    }
    parts.into_values().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::Value;

    fn person(email: &str, first: &str, last: &str) -> Attributes {
        let texts = [(names::PRIMARY_EMAIL, email), (names::FIRST_NAME, first), (names::LAST_NAME, last)];
        texts.into_iter().filter(|(_, text)| !text.is_empty()).map(|(name, text)| (name, text.into())).collect()
    }

    fn of(attributes: &Attributes, anchors: &[(&str, &str)]) -> Persona {
        let anchors: Vec<_> =
            anchors.iter().map(|(name, value)| Anchor { name: (*name).into(), value: (*value).into() }).collect();
        Persona::of(ObjectKind::User, attributes, &anchors)
    }

    const ANN: (&str, &str, &str) = ("ann@corp.example", "Ann", "Lee");

    #[test]
    fn an_address_is_evidence_in_a_domain_of_the_customers_where_no_name_contradicts() {
        let ann = of(&person(ANN.0, ANN.1, ANN.2), &[]);
        let told = |other: (&str, &str, &str), alone: bool| {
            let other = of(&person(other.0, other.1, other.2), &[]);
            let found = ann.in_common(&other, |_| alone);
            assert_eq!(found, other.in_common(&ann, |_| alone));
            found
        };
        assert_eq!(told(ANN, true), Some(Common::Joins(JoinReason::VerifiedAddress)));
        assert_eq!(told(ANN, false), Some(Common::Joins(JoinReason::NaturalKey)));
        assert_eq!(told((ANN.0, "", ""), true), Some(Common::Joins(JoinReason::VerifiedAddress)));
        let other_names = Some(Common::Objects(ConflictReason::AddressWithOtherNames));
        assert_eq!(told((ANN.0, "", ""), false), other_names);
        assert_eq!(told((ANN.0, "Bob", "Lee"), true), other_names);
        assert_eq!(told((ANN.0, "", "Ray"), true), other_names);
        assert_eq!(told(("other@corp.example", ANN.1, ANN.2), true), None);
    }

    #[test]
    fn a_further_address_takes_the_names_to_tell() {
        let mut ann = person("ann.lee@corp.example", ANN.1, ANN.2);
        ann.set(names::ALIASES, Value::list([ANN.0]));
        let ann = of(&ann, &[]);
        let with = |other: &Attributes, alone: bool| ann.in_common(&of(other, &[]), |_| alone);
        let same = person(ANN.0, ANN.1, ANN.2);
        assert_eq!(with(&same, true), Some(Common::Joins(JoinReason::VerifiedAddress)));
        let objects = Some(Common::Objects(ConflictReason::SecondaryAddress));
        assert_eq!(with(&same, false), objects);
        assert_eq!(with(&person(ANN.0, "", ""), true), objects);
        assert_eq!(with(&person(ANN.0, "Bob", "Ray"), true), objects);
    }

    #[test]
    fn an_anchor_goes_before_everything_and_the_strongest_before_the_others() {
        let ad = of(
            &person(ANN.0, "Ann", "Lee"),
            &[("object-guid", "g1"), ("consistency-guid", "g2"), ("security-id", "S-1-5-21-1")],
        );
        let cloud = |anchors: &[(&str, &str)]| ad.in_common(&of(&person("x@y.example", "Z", "Z"), anchors), |_| false);
        assert_eq!(
            cloud(&[("object-guid", "g2"), ("consistency-guid", "g2")]).unwrap(),
            joins(JoinReason::SourceAnchor)
        );
        assert_eq!(
            cloud(&[("object-guid", "g1"), ("security-id", "S-1-5-21-1")]).unwrap(),
            joins(JoinReason::DirectoryId)
        );
        assert_eq!(cloud(&[("security-id", "S-1-5-21-1")]).unwrap(), joins(JoinReason::SecurityId));
        assert_eq!(cloud(&[("security-id", "")]), None);
    }

    fn joins(reason: JoinReason) -> Common {
        Common::Joins(reason)
    }

    #[test]
    fn groups_have_anchors_only() {
        let group: Attributes = [(names::EMAIL, "all@corp.example".into())].into_iter().collect();
        let group = Persona::of(ObjectKind::Group, &group, &[]);
        assert!(group.keys().is_empty());
        assert_eq!(group.in_common(&group, |_| true), None);
    }

    #[test]
    fn a_stronger_link_goes_before_a_weaker_one_in_whatever_order_they_come() {
        // 10 and 11 are of one endpoint.
        let links =
            [(JoinReason::NaturalKey, 10, 20), (JoinReason::SourceAnchor, 11, 30), (JoinReason::DirectoryId, 20, 30)];
        for at in 0..3 {
            let mut links = links.to_vec();
            links.rotate_left(at);
            let parts = partition(&[10, 11, 20, 30], &links, |a, b| a / 10 == b / 10);
            assert_eq!(parts, [BTreeSet::from([10]), BTreeSet::from([11, 20, 30])]);
        }
    }

    proptest! {
        #[test]
        fn no_part_has_two_that_exclude_each_other(links in prop::collection::vec((0_usize..6, 0_i64..12, 0_i64..12), 0..30)) {
            let objects: Vec<i64> = (0..12).collect();
            let links: Vec<_> = links.into_iter().map(|(reason, a, b)| (JoinReason::ALL[reason], a, b)).collect();
            let parts = partition(&objects, &links, |a, b| a != b && a % 3 == b % 3);
            prop_assert_eq!(parts.iter().map(BTreeSet::len).sum::<usize>(), 12);
            for part in parts {
                prop_assert!(part.len() <= 3);
                let endpoints: BTreeSet<i64> = part.iter().map(|object| object % 3).collect();
                prop_assert_eq!(endpoints.len(), part.len());
            }
        }
    }
}
