//! The properties of users, groups and devices: which come by default and what seeded objects hold; it knows no change.

use super::ids::Kind;
use super::seeds::Seeds;
use super::tables::{CONTACT, DEVICE, GROUP, SERVICE, USER};

pub(crate) type Write = fn(&Seeds, u32, &mut Vec<u8>);

/// A property.
pub(crate) struct Property {
    pub(crate) name: &'static str,
    /// Comes without being asked for.
    pub(crate) default: bool,
    /// Its JSON while nothing was ever set.
    pub(crate) absent: &'static str,
    pub(crate) write: Option<Write>,
}

/// The place of `id` in every kind's table; what it holds is for the state to say.
pub(crate) const ID: u8 = 0;

/// Stands for the members in a set of properties.
pub(crate) const MEMBERS: u128 = 1 << 127;

/// The properties of a kind, in the order in which they are shown; their places are bits of a set.
pub(crate) fn of(kind: Kind) -> &'static [Property] {
    match kind {
        Kind::User => USER,
        Kind::Group => GROUP,
        Kind::Device => DEVICE,
        Kind::Contact => CONTACT,
        Kind::ServicePrincipal => SERVICE,
    }
}

/// Finds a property by name; case counts, as it does in `OData`.
pub(crate) fn place(kind: Kind, name: &str) -> Option<u8> {
    of(kind).iter().position(|property| property.name == name).and_then(|place| u8::try_from(place).ok())
}

pub(crate) fn bit(kind: Kind, name: &str) -> u128 {
    place(kind, name).map_or(0, |place| 1 << place)
}

pub(crate) fn defaults(kind: Kind) -> u128 {
    let set = of(kind).iter().enumerate().filter(|(_, property)| property.default);
    set.fold(0, |set, (place, _)| set | 1 << place)
}

/// Asked for in a listing, these are refused with 501.
pub(crate) const NOT_IN_LISTS: [&str; 11] = [
    "aboutMe",
    "birthday",
    "hireDate",
    "interests",
    "mySite",
    "pastProjects",
    "preferredName",
    "responsibilities",
    "schools",
    "skills",
    "mailboxSettings",
];

/// What somebody with the right to basic profiles only may see of a user.
pub(crate) const BASIC: [&str; 7] =
    ["id", "displayName", "givenName", "surname", "mail", "userPrincipalName", "securityIdentifier"];
