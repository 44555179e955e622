//! The attributes of the outside contract: their names, and what each may hold. It knows no value.

use super::AttributeName;
use crate::model::{ComputerKind, GroupKind, MfaState, ObjectKind, UserKind, UserState};

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)+) => {
        $($(#[$doc])* pub const $name: AttributeName = AttributeName::fixed($text);)+

        /// Every name, in the order of the numbers under which the store keeps them: only ever appended to.
        pub(crate) const ALL: &[&str] = &[$($text),+];

        /// What to ask whoever has mistyped one, by the same numbers.
        const DID_YOU_MEAN: &[&str] = &[
            $(concat!("did you mean ", $text, "? a name of your own is written as attributes.NAME")),+
        ];
    };
}

names! {
    /// `UserKind`, `GroupKind` or `ComputerKind`; never empty.
    KIND = "kind";
    /// A mail address or empty; never a login name.
    PRIMARY_EMAIL = "primary_email";
    /// Given name.
    FIRST_NAME = "first_name";
    /// Family name.
    LAST_NAME = "last_name";
    /// Name as shown.
    DISPLAY_NAME = "display_name";
    /// Login name.
    USERNAME = "username";
    /// Further mail addresses: a list, kept sorted.
    ALIASES = "aliases";
    /// `UserState`; never empty.
    STATE = "state";
    /// `MfaState`.
    MFA = "mfa";
    /// Locked out after wrong passwords: a boolean.
    LOCKED_OUT = "locked_out";
    /// Has to change the password at the next sign-in: a boolean.
    MUST_CHANGE_PASSWORD = "must_change_password";
    /// Name of a group or computer.
    NAME = "name";
    /// Mail address of a group.
    EMAIL = "email";
    /// Description of a group.
    DESCRIPTION = "description";
    /// DNS name of a computer.
    DNS_NAME = "dns_name";
    /// Operating system of a computer.
    OS = "os";
    /// Version of the operating system.
    OS_VERSION = "os_version";
    /// Source id of the user that owns a computer.
    OWNER = "owner";
    /// Whether a computer's account may be used: a boolean.
    ENABLED = "enabled";
}

/// The host's tags on a user: opaque, set by the host alone, a list. What an endpoint gives under this name is not shown.
pub const TAGS: AttributeName = AttributeName::fixed("attributes.tags");

/// What a record tells beside its attributes: nobody sets it by such a name.
const OF_RECORDS: &[&str] = &["id", "archived", "missing_since", "lock", "identities", "attributes"];

/// Bytes that a name outside the contract's list may have, behind `attributes.`.
const LONGEST: usize = 128;

/// The place of each name in the alphabet.
pub(crate) const RANKS: [u8; ALL.len()] = {
    let mut ranks = [0; ALL.len()];
    let mut at = 0;
    while at < ALL.len() {
        let mut other = 0;
        while other < ALL.len() {
            if is_before(ALL[other].as_bytes(), ALL[at].as_bytes()) {
                ranks[at] += 1;
            }
            other += 1;
        }
        at += 1;
    }
    ranks
};

const fn is_before(a: &[u8], b: &[u8]) -> bool {
    let mut at = 0;
    while at < a.len() && at < b.len() {
        if a[at] != b[at] {
            return a[at] < b[at];
        }
        at += 1;
    }
    a.len() < b.len()
}

const fn is_same(a: &[u8], b: &[u8]) -> bool {
    let mut at = 0;
    while at < a.len() && at < b.len() && a[at] == b[at] {
        at += 1;
    }
    at == a.len() && at == b.len()
}

/// Returns the number of a name.
#[allow(clippy::cast_possible_truncation)] // the list is short
pub(crate) const fn number_of(name: &str) -> Option<u8> {
    let mut at = 0;
    while at < ALL.len() {
        if is_same(ALL[at].as_bytes(), name.as_bytes()) {
            return Some(at as u8);
        }
        at += 1;
    }
    None
}

/// What an attribute of the contract may hold.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    /// Text.
    Text,
    /// A set of texts.
    List,
    /// True or false.
    Bool,
    /// One of these spellings, and never empty.
    OneOf(fn(&str) -> bool),
    /// Anything: outside the contract's list.
    Free,
}

/// Returns what an attribute may hold, or `None` where this kind of object has no such attribute.
pub fn shape(kind: ObjectKind, name: &AttributeName) -> Option<Shape> {
    let Some(number) = name.number() else { return name.as_extra().map(|_| Shape::Free) };
    SHAPES[kind as usize][usize::from(number)]
}

/// What each name may hold, by kind and number.
static SHAPES: [[Option<Shape>; ALL.len()]; 3] = {
    let mut shapes = [[None; ALL.len()]; 3];
    let mut number = 0;
    while number < ALL.len() {
        let mut kind = 0;
        while kind < 3 {
            shapes[kind][number] = shape_of(ObjectKind::ALL[kind], ALL[number]);
            kind += 1;
        }
        number += 1;
    }
    shapes
};

const fn shape_of(kind: ObjectKind, name: &str) -> Option<Shape> {
    Some(match (kind, name.as_bytes()) {
        (ObjectKind::User, b"kind") => Shape::OneOf(|text| UserKind::from_spelling(text).is_some()),
        (ObjectKind::User, b"state") => Shape::OneOf(|text| UserState::from_spelling(text).is_some()),
        (ObjectKind::User, b"mfa") => Shape::OneOf(|text| MfaState::from_spelling(text).is_some()),
        (ObjectKind::User, b"primary_email" | b"first_name" | b"last_name" | b"display_name" | b"username") => {
            Shape::Text
        }
        (ObjectKind::User, b"aliases") => Shape::List,
        (ObjectKind::User, b"locked_out" | b"must_change_password") => Shape::Bool,
        (ObjectKind::Group, b"kind") => Shape::OneOf(|text| GroupKind::from_spelling(text).is_some()),
        (ObjectKind::Group, b"name" | b"email" | b"description") => Shape::Text,
        (ObjectKind::Computer, b"kind") => Shape::OneOf(|text| ComputerKind::from_spelling(text).is_some()),
        (ObjectKind::Computer, b"name" | b"dns_name" | b"os" | b"os_version" | b"owner") => Shape::Text,
        (ObjectKind::Computer, b"enabled") => Shape::Bool,
        _ => return None,
    })
}

/// Tells what is wrong with a name of this kind of object, and what to do: that it is nearly one of the
/// contract's, that a record has it already, or that nobody could read it. `None` for a name that can be set.
pub(crate) fn wrong(kind: ObjectKind, name: &AttributeName) -> Option<(&'static str, &'static str)> {
    if shape(kind, name).is_none() {
        return Some(unknown(kind, name.as_str()));
    }
    let extra = name.as_extra()?;
    if extra.is_empty() {
        return Some(("the attribute has no name", "write one behind attributes."));
    }
    if extra.len() > LONGEST {
        return Some(("the name of the attribute is too long", "give it one of at most 128 bytes"));
    }
    if extra.chars().any(|c| c.is_whitespace() || c.is_control() || c == '=') {
        return Some((
            "the name of an attribute has no blanks, no control characters and no =",
            "write it in one word, like attributes.room_1",
        ));
    }
    if OF_RECORDS.contains(&extra) {
        return Some(("a record has something of this name already", "choose another name"));
    }
    let number = usize::from(number_of(extra)?);
    SHAPES[kind as usize][number].map(|_| ("the contract has an attribute of this name", DID_YOU_MEAN[number]))
}

/// Tells what is the matter with a name that is none.
fn unknown(kind: ObjectKind, name: &str) -> (&'static str, &'static str) {
    if name == "archived" {
        return ("it is no attribute", "archive the user, or restore it");
    }
    if OF_RECORDS.contains(&name) {
        return ("it is no attribute: it follows from elsewhere", "leave it as it is");
    }
    let remedy = meant(kind, name).unwrap_or("name one of this kind of record, or write it as attributes.NAME");
    ("there is no such attribute", remedy)
}

/// Asks whoever has mistyped a name of the contract which one was meant; `None` where it is nearly none of this kind
/// of object.
pub fn meant(kind: ObjectKind, name: &str) -> Option<&'static str> {
    // Far longer than any of them; the comparison is quadratic. And one of another kind of object is no mistake.
    if name.is_empty() || name.len() > 64 || number_of(name).is_some() {
        return None;
    }
    let plain = |name: &str| name.trim().to_ascii_lowercase().replace(['-', ' '], "_");
    let wanted = plain(name);
    (0..ALL.len())
        .filter(|number| SHAPES[kind as usize][*number].is_some())
        .map(|number| (strsim::osa_distance(&wanted, ALL[number]), number))
        .filter(|(distance, number)| *distance <= (ALL[*number].len() / 4).max(1))
        .min()
        .map(|(_, number)| DID_YOU_MEAN[number])
}
