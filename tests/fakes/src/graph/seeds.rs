//! Objects and memberships worked out from a seed and a place, so that millions take no memory; it knows no change.

use super::clock::instant;
use super::ids::{Codec, Kind, Ref, mix, write_guid};
use super::names::{DEPARTMENTS, GIVEN, SURNAMES, TITLES, capital};

/// How large a seeded tenant is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Users of all kinds, guests among them.
    pub users: u32,
    /// How many of the users are guests; spread evenly.
    pub guests: u32,
    /// Groups of all kinds.
    pub groups: u32,
    /// Members of a group on average; sizes run from 0 to twice this.
    pub members_per_group: u32,
    /// Members of the first group, when it is to be larger than the others.
    pub largest_group: u32,
    /// Devices; each has one registered owner.
    pub devices: u32,
    /// How many per cent of users, groups and devices are synchronised from on-premises.
    pub synced_percent: u32,
}

impl Default for Size {
    fn default() -> Self {
        Self { users: 0, guests: 0, groups: 0, members_per_group: 0, largest_group: 0, devices: 0, synced_percent: 30 }
    }
}

/// The generator.
#[derive(Debug, Clone)]
pub(crate) struct Seeds {
    pub(crate) codec: Codec,
    pub(crate) seed: u64,
    pub(crate) size: Size,
    pub(crate) domain: String,
    digits: usize,
    /// Members of a group lie this far apart; it shares no factor with the number of users.
    stride: u64,
    unstride: u64,
}

/// What a seeded group is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GroupShape {
    Unified,
    Security,
    MailSecurity,
    Distribution,
    Dynamic,
}

/// 2019-01-01, the day on which the first seeded object was created.
const BIRTH: i64 = 1_546_300_800;

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// The inverse of `value` modulo `modulus`, which share no factor.
fn inverse(value: u64, modulus: u64) -> u64 {
    let (mut r, mut next_r) = (i128::from(modulus), i128::from(value % modulus.max(1)));
    let (mut t, mut next_t) = (0_i128, 1_i128);
    while next_r != 0 {
        let quotient = r / next_r;
        (t, next_t) = (next_t, t - quotient * next_t);
        (r, next_r) = (next_r, r - quotient * next_r);
    }
    u64::try_from(t.rem_euclid(i128::from(modulus.max(1)))).unwrap_or(0)
}

impl Seeds {
    pub(crate) fn new(seed: u64, mut size: Size, domain: &str) -> Self {
        size.guests = size.guests.min(size.users);
        size.largest_group = size.largest_group.min(size.users);
        size.members_per_group = size.members_per_group.min(size.users / 2);
        let users = u64::from(size.users.max(1));
        let mut stride = (users * 5 / 8).max(1);
        while gcd(stride, users) != 1 {
            stride += 1;
        }
        let mut digits = 1;
        while 10_u64.pow(digits) < users {
            digits += 1;
        }
        Self {
            codec: Codec::new(seed),
            seed,
            size,
            domain: domain.to_owned(),
            digits: digits as usize,
            stride,
            unstride: inverse(stride, users),
        }
    }

    pub(crate) fn count(&self, kind: Kind) -> u32 {
        match kind {
            Kind::User => self.size.users,
            Kind::Group => self.size.groups,
            Kind::Device => self.size.devices,
            Kind::Contact | Kind::ServicePrincipal => 0,
        }
    }

    fn hash(&self, kind: Kind, at: u32, what: u64) -> u64 {
        mix(self.seed ^ mix(u64::from(at) << 8 | kind as u64) ^ what.rotate_left(40))
    }

    pub(crate) fn chance(&self, kind: Kind, at: u32, what: u64, percent: u32) -> bool {
        self.hash(kind, at, what) % 100 < u64::from(percent)
    }

    pub(crate) fn created(&self, kind: Kind, at: u32) -> i64 {
        // Within six years.
        BIRTH + i64::try_from(self.hash(kind, at, 1) % (6 * 365 * 86_400)).unwrap_or(0)
    }

    pub(crate) fn write_created(&self, kind: Kind, at: u32, out: &mut Vec<u8>) {
        quoted(out, |out| out.extend_from_slice(instant(self.created(kind, at)).as_bytes()));
    }

    // Users.

    pub(crate) fn is_guest(&self, at: u32) -> bool {
        let (guests, users) = (u64::from(self.size.guests), u64::from(self.size.users.max(1)));
        (u64::from(at) + 1) * guests / users > u64::from(at) * guests / users
    }

    pub(crate) fn is_synced(&self, kind: Kind, at: u32) -> bool {
        !(kind == Kind::User && self.is_guest(at)) && self.chance(kind, at, 2, self.size.synced_percent)
    }

    /// The person's names; they rise with the place.
    pub(crate) fn names(&self, at: u32) -> (&'static str, &'static str) {
        let users = u64::from(self.size.users.max(1));
        let cells = (GIVEN.len() * SURNAMES.len()) as u64;
        let cell = usize::try_from(u64::from(at) * cells / users).unwrap_or(0).min(GIVEN.len() * SURNAMES.len() - 1);
        (GIVEN[cell / SURNAMES.len()], SURNAMES[cell % SURNAMES.len()])
    }

    /// `ada.abel0001`
    pub(crate) fn write_nick(&self, at: u32, out: &mut Vec<u8>) {
        let (given, surname) = self.names(at);
        out.extend_from_slice(given.as_bytes());
        out.push(b'.');
        out.extend_from_slice(surname.as_bytes());
        let mut place = 10_u64.pow(u32::try_from(self.digits).unwrap_or(1) - 1);
        while place > 0 {
            out.push(b'0' + u8::try_from(u64::from(at) / place % 10).unwrap_or(0));
            place /= 10;
        }
    }

    pub(crate) fn write_upn(&self, at: u32, out: &mut Vec<u8>) {
        self.write_nick(at, out);
        if self.is_guest(at) {
            out.extend_from_slice(b"_partner.example#EXT#@");
        } else {
            out.push(b'@');
        }
        out.extend_from_slice(self.domain.as_bytes());
    }

    pub(crate) fn write_mail(&self, at: u32, out: &mut Vec<u8>) {
        self.write_nick(at, out);
        out.push(b'@');
        out.extend_from_slice(if self.is_guest(at) { b"partner.example" } else { self.domain.as_bytes() });
    }

    pub(crate) fn upn(&self, at: u32) -> String {
        let mut out = Vec::with_capacity(64);
        self.write_upn(at, &mut out);
        String::from_utf8(out).unwrap_or_default()
    }

    pub(crate) fn write_display(&self, at: u32, out: &mut Vec<u8>) {
        let (given, surname) = self.names(at);
        capital(given, out);
        out.push(b' ');
        capital(surname, out);
    }

    pub(crate) fn title(&self, at: u32) -> &'static str {
        TITLES[usize::try_from(self.hash(Kind::User, at, 3) % 8).unwrap_or(0)]
    }

    pub(crate) fn department(&self, at: u32) -> &'static str {
        DEPARTMENTS[usize::try_from(self.hash(Kind::User, at, 4) % 8).unwrap_or(0)]
    }

    pub(crate) fn write_guid(&self, kind: Kind, at: u32, what: u64, out: &mut Vec<u8>) {
        let (high, low) = (self.hash(kind, at, what), self.hash(kind, at, what + 1000));
        let mut text = [0; 36];
        write_guid(u128::from(high & !0xf000 | 0x4000) << 64 | u128::from(low >> 2 | 1 << 63), &mut text);
        out.extend_from_slice(&text);
    }

    pub(crate) fn sid(&self, kind: Kind, at: u32) -> String {
        let domain = mix(self.seed ^ 0x5349_4400);
        let rid = 1100 + u64::from(at) * 3 + kind as u64;
        format!("S-1-5-21-{}-{}-{}-{rid}", domain >> 33, domain & 0x7fff_ffff, (domain >> 12) & 0x7fff_ffff)
    }

    // Groups.

    pub(crate) fn shape(&self, group: u32) -> GroupShape {
        match self.hash(Kind::Group, group, 5) % 100 {
            0..50 => GroupShape::Unified,
            50..85 => GroupShape::Security,
            85..90 => GroupShape::MailSecurity,
            90..95 => GroupShape::Distribution,
            _ => GroupShape::Dynamic,
        }
    }

    /// How many members a group has; pairs of groups share out twice the mean, so that the sum is known.
    pub(crate) fn members(&self, group: u32) -> u32 {
        if group == 0 && self.size.largest_group > 0 {
            return self.size.largest_group;
        }
        let mean = self.size.members_per_group;
        let pair = group / 2;
        if pair * 2 + 1 >= self.size.groups {
            return mean;
        }
        let share = u32::try_from(self.hash(Kind::Group, pair, 6) % (u64::from(mean) + 1)).unwrap_or(0);
        if group.is_multiple_of(2) { mean + share } else { mean - share }
    }

    fn first_user(&self, group: u32) -> u64 {
        self.hash(Kind::Group, group, 7) % u64::from(self.size.users.max(1))
    }

    /// Some groups hold another group or a device at their first place.
    fn stranger(&self, group: u32) -> Option<Ref> {
        match group % 50 {
            49 => Some(Ref::new(Kind::Group, group - 1)),
            48 if self.size.devices > 0 => Some(Ref::new(Kind::Device, group % self.size.devices)),
            _ => None,
        }
    }

    /// The member at this place of a group.
    pub(crate) fn member(&self, group: u32, place: u32) -> Ref {
        if place == 0
            && let Some(stranger) = self.stranger(group)
        {
            return stranger;
        }
        let users = u64::from(self.size.users.max(1));
        let user = (self.first_user(group) + u64::from(place) % users * self.stride) % users;
        Ref::new(Kind::User, u32::try_from(user).unwrap_or(0))
    }

    /// Where an object stands in a group.
    pub(crate) fn place(&self, group: u32, member: Ref) -> Option<u32> {
        let count = self.members(group);
        if count == 0 {
            return None;
        }
        let stranger = self.stranger(group);
        if stranger == Some(member) {
            return Some(0);
        }
        if member.kind() != Kind::User || member.ordinal() >= self.size.users {
            return None;
        }
        let users = u64::from(self.size.users);
        let distance = (u64::from(member.ordinal()) + users - self.first_user(group)) % users;
        let place = distance * self.unstride % users;
        let taken = place == 0 && stranger.is_some();
        u32::try_from(place).ok().filter(|place| *place < count && !taken)
    }

    // Devices.

    pub(crate) fn owner(&self, device: u32) -> Option<Ref> {
        let users = u64::from(self.size.users);
        (users > 0).then(|| {
            let user = (u64::from(device) * self.stride + self.seed % users) % users;
            Ref::new(Kind::User, u32::try_from(user).unwrap_or(0))
        })
    }
}

/// Writes text in quotes that needs no escape.
pub(crate) fn quoted(out: &mut Vec<u8>, text: impl FnOnce(&mut Vec<u8>)) {
    out.push(b'"');
    text(out);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn seeds() -> Seeds {
        let size =
            Size { users: 1200, guests: 100, groups: 101, members_per_group: 40, devices: 30, ..Size::default() };
        Seeds::new(3, size, "tenant.example")
    }

    #[test]
    fn members_are_distinct_and_lead_back_to_their_places() {
        let seeds = seeds();
        let mut sum = 0;
        for group in 0..101 {
            let members: Vec<Ref> = (0..seeds.members(group)).map(|place| seeds.member(group, place)).collect();
            assert_eq!(members.iter().collect::<HashSet<_>>().len(), members.len());
            for (place, member) in members.iter().enumerate() {
                assert_eq!(seeds.place(group, *member), u32::try_from(place).ok());
            }
            let found = (0..1200).filter(|at| seeds.place(group, Ref::new(Kind::User, *at)).is_some()).count();
            assert_eq!(found, members.iter().filter(|member| member.kind() == Kind::User).count());
            sum += members.len();
        }
        assert_eq!(sum, 101 * 40);
    }

    #[test]
    fn user_principal_names_rise_with_the_place() {
        let seeds = seeds();
        let names: Vec<String> = (0..1200).map(|at| seeds.upn(at)).collect();
        assert!(names.is_sorted());
        assert_eq!(names.iter().filter(|name| name.contains("#EXT#")).count(), 100);
    }
}
