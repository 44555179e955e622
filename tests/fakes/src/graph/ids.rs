//! Object ids that tell which object they mean, so that a million need no table; they know no property.

use std::fmt;
use std::str::FromStr;

/// What an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    /// A user, member or guest.
    User = 0,
    /// A group of any kind.
    Group = 1,
    /// A device.
    Device = 2,
    /// A mail contact of the organisation.
    Contact = 3,
    /// An application's service principal.
    ServicePrincipal = 4,
}

impl Kind {
    pub(crate) const ALL: [Self; 5] = [Self::User, Self::Group, Self::Device, Self::Contact, Self::ServicePrincipal];

    pub(crate) fn odata_type(self) -> &'static str {
        match self {
            Self::User => "#microsoft.graph.user",
            Self::Group => "#microsoft.graph.group",
            Self::Device => "#microsoft.graph.device",
            Self::Contact => "#microsoft.graph.orgContact",
            Self::ServicePrincipal => "#microsoft.graph.servicePrincipal",
        }
    }

    /// The name of the collection.
    pub(crate) fn set(self) -> &'static str {
        match self {
            Self::User => "users",
            Self::Group => "groups",
            Self::Device => "devices",
            Self::Contact => "contacts",
            Self::ServicePrincipal => "servicePrincipals",
        }
    }

    fn from_number(number: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u64 == number)
    }
}

/// An object's id as Graph shows it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(pub(crate) u128);

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0_u8; 36];
        write_guid(self.0, &mut text);
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl serde::Serialize for Id {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A text that is no id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadId;

impl fmt::Display for BadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an object id")
    }
}

impl std::error::Error for BadId {}

impl FromStr for Id {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        uuid::Uuid::parse_str(text).map(|id| Self(id.as_u128())).map_err(|_| BadId)
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

pub(crate) fn write_guid(value: u128, text: &mut [u8; 36]) {
    let mut at = 0;
    for (index, byte) in value.to_be_bytes().into_iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text[at] = b'-';
            at += 1;
        }
        text[at] = HEX[usize::from(byte >> 4)];
        text[at + 1] = HEX[usize::from(byte & 15)];
        at += 2;
    }
}

/// An object by its kind and its place among all that ever were of that kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Ref(u32);

impl Ref {
    pub(crate) fn new(kind: Kind, ordinal: u32) -> Self {
        Self((kind as u32) << 29 | (ordinal & 0x1fff_ffff))
    }

    pub(crate) fn kind(self) -> Kind {
        Kind::from_number(u64::from(self.0 >> 29)).unwrap_or(Kind::User)
    }

    pub(crate) fn ordinal(self) -> u32 {
        self.0 & 0x1fff_ffff
    }
}

/// Mixes a number; each bit of the outcome depends on each bit of the number.
pub(crate) fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

const MASK: u64 = (1 << 62) - 1;
const ODD: u64 = 0x2545_f491_4f6c_dd1d;

/// Turns places into ids and back; 62 bits of an id are a permutation of kind and place, the rest a seal over them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Codec {
    key: u64,
    seal: u64,
    inverse: u64,
}

impl Codec {
    pub(crate) fn new(seed: u64) -> Self {
        // Newton's iteration: each round doubles the number of right bits.
        let mut inverse = ODD;
        for _ in 0..6 {
            inverse = inverse.wrapping_mul(2_u64.wrapping_sub(ODD.wrapping_mul(inverse)));
        }
        Self { key: mix(seed ^ 0x006b_6579) & MASK, seal: mix(seed ^ 0x7365_616c), inverse }
    }

    pub(crate) fn id(&self, object: Ref) -> Id {
        let mut x = (u64::from(object.0) ^ self.key) & MASK;
        x = x.wrapping_mul(ODD) & MASK;
        x ^= x >> 31;
        x = x.wrapping_mul(ODD) & MASK;
        Id(u128::from(self.high(x)) << 64 | u128::from(1_u64 << 63 | x))
    }

    pub(crate) fn object(&self, id: Id) -> Option<Ref> {
        #[expect(clippy::cast_possible_truncation, reason = "the two halves are what is wanted")]
        let (high, low) = ((id.0 >> 64) as u64, id.0 as u64);
        let mut x = low & MASK;
        if low >> 62 != 2 || high != self.high(x) {
            return None;
        }
        x = x.wrapping_mul(self.inverse) & MASK;
        x ^= x >> 31;
        x = (x.wrapping_mul(self.inverse) & MASK) ^ self.key;
        u32::try_from(x).ok().map(Ref)
    }

    /// The upper half: version 4, as random ids have it.
    fn high(&self, low: u64) -> u64 {
        mix(low ^ self.seal) & !0xf000 | 0x4000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_lead_back_to_their_objects_and_strangers_to_none() {
        let codec = Codec::new(7);
        for kind in Kind::ALL {
            for ordinal in [0, 1, 2, 1_000_000, 0x1fff_ffff] {
                let object = Ref::new(kind, ordinal);
                let id = codec.id(object);
                assert_eq!(codec.object(id), Some(object));
                assert_eq!(id.to_string().parse::<Id>(), Ok(id));
                assert_eq!(uuid::Uuid::from_u128(id.0).get_version_num(), 4);
                assert_eq!(Codec::new(8).object(id), None);
            }
        }
    }
}
