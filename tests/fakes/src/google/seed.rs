//! Values of an account of any size, computed from a seed and an index, so that nothing of them is kept in memory.

#![allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "numbers are made below their bounds")]

use serde_json::{Map, Value, json};

use super::clock::{DAY, written};

const GIVEN: [&str; 16] = [
    "Anna", "Bela", "Chiara", "Dorte", "Emil", "Farid", "Greta", "Hugo", "Ines", "Jonas", "Kaja", "Liam", "Mira",
    "Nils", "Olga", "Pavel",
];
const FAMILY: [&str; 16] = [
    "Aberg", "Brandt", "Conti", "Dahl", "Eriksen", "Fontana", "Gruber", "Holm", "Ivanova", "Jansen", "Keller", "Lund",
    "Moreau", "Novak", "Okafor", "Petrov",
];
/// The first ids; the real ones have 21 digits as well.
const USER_IDS: u128 = 100_000_000_000_000_000_000;
/// 2026-01-01 00:00:00 UTC in milliseconds: what lies in the past lies before it.
const PAST: i64 = 1_767_225_600_000;

/// How large a generated account is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Size {
    /// Users.
    pub users: usize,
    /// Groups.
    pub groups: usize,
    /// Direct memberships of users, within rounding.
    pub memberships: usize,
    /// Organisational units below the root.
    pub orgunits: usize,
    /// Chrome OS devices.
    pub chromeos: usize,
    /// Mobile devices.
    pub mobile: usize,
}

#[derive(Debug, Clone)]
pub(crate) struct Seed {
    pub(crate) number: u64,
    pub(crate) size: Size,
    pub(crate) domain: String,
    pub(crate) customer: String,
}

pub(crate) fn mixed(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A member of a generated group: a user or another group, by index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SeedMember {
    User(usize),
    Group(usize),
    /// Everyone of the account.
    Everyone,
    /// Somebody outside.
    Outside(usize),
}

impl Seed {
    fn dice(&self, what: u64, index: usize) -> u64 {
        mixed(
            self.number ^ what.wrapping_mul(0x0123_4567_89ab_cdef) ^ (index as u64).wrapping_mul(0x5851_f42d_4c95_7f2d),
        )
    }

    fn below(&self, what: u64, index: usize, end: u64) -> u64 {
        self.dice(what, index) % end.max(1)
    }

    /// The address rises with the index: seven digits come first.
    pub(crate) fn user_email(&self, index: usize) -> String {
        format!("u{index:07}.{}@{}", FAMILY[self.family(index)].to_lowercase(), self.domain)
    }

    fn family(&self, index: usize) -> usize {
        (self.dice(1, index) % 16) as usize
    }

    pub(crate) fn user_id(index: usize) -> String {
        (USER_IDS + 7 + index as u128 * 13).to_string()
    }

    pub(crate) fn user_index(&self, id: &str) -> Option<usize> {
        let offset = id.parse::<u128>().ok()?.checked_sub(USER_IDS + 7)?;
        let index = usize::try_from(offset / 13).ok()?;
        (offset % 13 == 0 && index < self.size.users).then_some(index)
    }

    /// Reads the index out of an address that looks generated; whether it is must be compared.
    pub(crate) fn index_in(email: &str, prefix: char) -> Option<usize> {
        email.strip_prefix(prefix)?.get(..7)?.parse().ok()
    }

    pub(crate) fn orgunit_path(index: usize) -> String {
        // Ten units at the top, the others below these.
        if index < 10 { format!("/Unit {index}") } else { format!("/Unit {}/Team {index}", index % 10) }
    }

    pub(crate) fn user(&self, index: usize) -> Map<String, Value> {
        let dice = |what| self.below(what, index, 1000);
        let email = self.user_email(index);
        let given = GIVEN[self.below(2, index, 16) as usize];
        let family = format!("{} {index}", FAMILY[self.family(index)]);
        let unit = match self.size.orgunits {
            0 => "/".to_owned(),
            units => Seed::orgunit_path(self.below(3, index, units as u64) as usize),
        };
        let login = if dice(4) < 50 { 0 } else { PAST - self.below(5, index, 90) as i64 * DAY };
        let mut user = user_fields(&Seed::user_id(index), &email, given, &family, &self.customer, PAST - 400 * DAY);
        let mut put = |name: &str, value: Value| user.insert(name.to_owned(), value);
        put("isAdmin", json!(index == 0));
        put("orgUnitPath", json!(unit));
        put("lastLoginTime", json!(written(login)));
        put("isEnrolledIn2Sv", json!(dice(6) < 700));
        put("isEnforcedIn2Sv", json!(dice(7) < 500));
        if dice(8) < 200 {
            put("aliases", json!([format!("u{index:07}@{}", self.domain)]));
        }
        if dice(9) < 600 {
            put("externalIds", json!([{"value": format!("E{index}"), "type": "organization"}]));
        }
        if self.is_suspended(index) {
            put("suspended", json!(true));
            put("suspensionReason", json!("ADMIN"));
        }
        if index != 0 && dice(11) < 10 {
            put("archived", json!(true));
        }
        if index != 0 && dice(12) < 5 {
            put("isGuestUser", json!(true));
        }
        put("recoveryEmail", json!(format!("private{index}@home.example")));
        user
    }

    pub(crate) fn is_suspended(&self, index: usize) -> bool {
        // The first one administers the account.
        index != 0 && self.below(10, index, 1000) < 30
    }

    pub(crate) fn group_email(&self, index: usize) -> String {
        format!("g{index:07}@{}", self.domain)
    }

    pub(crate) fn group_id(index: usize) -> String {
        format!("0{}", to_base36(0x1000_0000_0000 + index as u64 * 31))
    }

    pub(crate) fn group_index(&self, id: &str) -> Option<usize> {
        let number = u64::from_str_radix(id.strip_prefix('0')?, 36).ok()?;
        let offset = number.checked_sub(0x1000_0000_0000)?;
        let index = usize::try_from(offset / 31).ok()?;
        (offset % 31 == 0 && index < self.size.groups).then_some(index)
    }

    /// A group without its count of members, which the account knows.
    pub(crate) fn group(&self, index: usize) -> Map<String, Value> {
        let mut group = group_fields(&Seed::group_id(index), &self.group_email(index), &format!("Group {index}"));
        group.insert("description".to_owned(), json!(format!("Generated group {index}")));
        if self.below(20, index, 10) == 0 {
            group.insert("aliases".to_owned(), json!([format!("g{index:07}.alias@{}", self.domain)]));
        }
        group
    }

    /// How many users a group has: few groups are large, most are small.
    pub(crate) fn group_users(&self, index: usize) -> usize {
        let (groups, users) = (self.size.groups.max(1), self.size.users);
        let average = self.size.memberships as f64 / groups as f64;
        let share = match mixed(index as u64 ^ self.number) % 100 {
            0 => 20.0,
            1..10 => 4.0,
            10..50 => 0.8,
            _ => 0.24,
        };
        #[expect(clippy::cast_sign_loss, reason = "a size, never negative")]
        let size = (average * share).round() as usize;
        size.min(users)
    }

    /// All members of a group: users, then what a few groups have besides.
    pub(crate) fn group_size(&self, index: usize) -> usize {
        self.group_users(index) + self.besides(index).len()
    }

    fn besides(&self, index: usize) -> Vec<SeedMember> {
        let mut more = Vec::new();
        if index % 10 == 3 && index + 1 < self.size.groups {
            more.push(SeedMember::Group(index + 1));
        }
        if index % 50 == 7 {
            more.push(SeedMember::Outside(index));
        }
        if index == 1 {
            more.push(SeedMember::Everyone);
        }
        more
    }

    pub(crate) fn group_member(&self, group: usize, position: usize) -> Option<SeedMember> {
        let users = self.group_users(group);
        if position >= users {
            return self.besides(group).get(position - users).copied();
        }
        let (start, stride) = self.walk(group);
        Some(SeedMember::User((start + position * stride) % self.size.users))
    }

    /// Where a group's users begin and how far they are apart: `stride * users <= all`, so that none comes twice.
    fn walk(&self, group: usize) -> (usize, usize) {
        let widest = (self.size.users / self.group_users(group).max(1)).max(1);
        let start = self.below(21, group, self.size.users as u64) as usize;
        (start, 1 + self.below(22, group, widest as u64) as usize)
    }

    pub(crate) fn has_user(&self, group: usize, user: usize) -> bool {
        let (start, stride) = self.walk(group);
        let distance = (user + self.size.users - start) % self.size.users;
        self.size.users > 0 && distance.is_multiple_of(stride) && distance / stride < self.group_users(group)
    }

    pub(crate) fn chromeos(&self, index: usize) -> Map<String, Value> {
        let owner = self.below(30, index, self.size.users as u64) as usize;
        let unit = if self.size.orgunits == 0 { String::new() } else { Seed::orgunit_path(index % self.size.orgunits) };
        let mut device =
            chromeos_fields(&Seed::chromeos_id(index), &format!("SN{index:07}"), unit.trim_start_matches('/'));
        if self.size.users > 0 {
            device.insert("annotatedUser".to_owned(), json!(self.user_email(owner)));
            let recent = json!([{"type": "USER_TYPE_MANAGED", "email": self.user_email(owner)}]);
            device.insert("recentUsers".to_owned(), recent);
        }
        device
    }

    pub(crate) fn chromeos_id(index: usize) -> String {
        format!("c{index:07}-0000-4000-8000-000000000000")
    }

    pub(crate) fn mobile(&self, index: usize) -> Map<String, Value> {
        let owner = self.below(31, index, self.size.users as u64) as usize;
        let email = self.user_email(owner);
        mobile_fields(&Seed::mobile_id(index), &format!("IM{index:07}"), "A. User", &email)
    }

    pub(crate) fn mobile_id(index: usize) -> String {
        format!("AFiQxQ{index:07}")
    }
}

fn to_base36(mut number: u64) -> String {
    let mut digits = Vec::new();
    while number > 0 {
        digits.push(char::from_digit((number % 36) as u32, 36).unwrap_or('0'));
        number /= 36;
    }
    digits.iter().rev().collect()
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// The fields that every user has.
pub(crate) fn user_fields(
    id: &str,
    email: &str,
    given: &str,
    family: &str,
    customer: &str,
    born: i64,
) -> Map<String, Value> {
    object(json!({
        "kind": "admin#directory#user",
        "id": id,
        "primaryEmail": email,
        "name": {"givenName": given, "familyName": family, "fullName": format!("{given} {family}")},
        "isAdmin": false,
        "isDelegatedAdmin": false,
        "lastLoginTime": written(0),
        "creationTime": written(born),
        "agreedToTerms": true,
        "suspended": false,
        "archived": false,
        "changePasswordAtNextLogin": false,
        "ipWhitelisted": false,
        "emails": [{"address": email, "primary": true}],
        "nonEditableAliases": [format!("{}.test-google-a.com", email)],
        "customerId": customer,
        "orgUnitPath": "/",
        "isMailboxSetup": true,
        "isEnrolledIn2Sv": false,
        "isEnforcedIn2Sv": false,
        "includeInGlobalAddressList": true,
    }))
}

/// The fields that every group has.
pub(crate) fn group_fields(id: &str, email: &str, name: &str) -> Map<String, Value> {
    object(json!({
        "kind": "admin#directory#group",
        "id": id,
        "email": email,
        "name": name,
        "description": "",
        "adminCreated": true,
        "nonEditableAliases": [format!("{email}.test-google-a.com")],
    }))
}

/// The fields that every Chrome OS device has; the unit is written without its leading slash, as the API does.
pub(crate) fn chromeos_fields(id: &str, serial: &str, unit: &str) -> Map<String, Value> {
    object(json!({
        "kind": "admin#directory#chromeosdevice",
        "deviceId": id,
        "serialNumber": serial,
        "status": "ACTIVE",
        "lastSync": written(PAST),
        "model": "Chromebook 14",
        "osVersion": "128.0.6613.133",
        "platformVersion": "15964.59.0 (Official Build) stable-channel",
        "bootMode": "Verified",
        "lastEnrollmentTime": written(PAST - 200 * DAY),
        "orgUnitPath": unit,
        "systemRamTotal": "8589934592",
    }))
}

/// The fields that every mobile device has.
pub(crate) fn mobile_fields(resource: &str, serial: &str, name: &str, email: &str) -> Map<String, Value> {
    object(json!({
        "kind": "admin#directory#mobiledevice",
        "resourceId": resource,
        "deviceId": format!("d-{resource}"),
        "name": [name],
        "email": [email],
        "model": "Slab 4",
        "os": "Android 14",
        "type": "ANDROID",
        "status": "APPROVED",
        "hardwareId": "",
        "serialNumber": serial,
        "firstSync": written(PAST - 100 * DAY),
        "lastSync": written(PAST),
        "userAgent": "Device Policy 4.14",
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seed() -> Seed {
        let size = Size { users: 5000, groups: 300, memberships: 20_000, orgunits: 30, chromeos: 5, mobile: 5 };
        Seed { number: 4, size, domain: "corp.example".to_owned(), customer: "C0corp".to_owned() }
    }

    #[test]
    fn ids_and_addresses_lead_back_to_the_index() {
        let seed = seed();
        for index in [0, 1, 17, 299] {
            assert_eq!(seed.user_index(&Seed::user_id(index)), Some(index));
            assert_eq!(seed.group_index(&Seed::group_id(index)), Some(index));
            assert_eq!(Seed::index_in(&seed.user_email(index), 'u'), Some(index));
        }
        assert_eq!(seed.user_index(&Seed::user_id(5000)), None);
        assert_eq!(seed.user_index("100000000000000000008"), None);
    }

    #[test]
    fn no_group_has_a_member_twice_and_the_sum_is_about_what_was_asked_for() {
        let seed = seed();
        let mut sum = 0;
        for group in 0..300 {
            let members: std::collections::BTreeSet<_> = (0..seed.group_users(group))
                .map(|position| match seed.group_member(group, position) {
                    Some(SeedMember::User(user)) => user,
                    other => panic!("{other:?}"),
                })
                .collect();
            assert_eq!(members.len(), seed.group_users(group));
            assert!(members.iter().all(|&user| seed.has_user(group, user)));
            sum += members.len();
        }
        assert!((12_000..28_000).contains(&sum), "{sum}");
    }
}
