//! What an account holds, and the elementary changes to it; it knows no request.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Map, Value, json};

use super::activity::Activity;
use super::clock::{Clock, DAY, MINUTE, written};
use super::member::{Member, MemberKind, Role};
use super::roll::{Recipe, Roll, Row};
use super::seed::{Seed, SeedMember};

/// A deleted user can be had back for so long.
pub(crate) const UNDELETABLE: i64 = 20 * DAY;

const USERS: Recipe = Recipe {
    count: |seed| seed.size.users,
    key: Seed::user_email,
    id: Seed::user_id,
    index: Seed::user_index,
    make: Seed::user,
};
const GROUPS: Recipe = Recipe {
    count: |seed| seed.size.groups,
    key: Seed::group_email,
    id: Seed::group_id,
    index: Seed::group_index,
    make: Seed::group,
};
const CHROMEOS: Recipe = Recipe {
    count: |seed| seed.size.chromeos,
    key: |_, index| Seed::chromeos_id(index),
    id: Seed::chromeos_id,
    index: |seed, id| exact(id, Seed::index_in(id, 'c'), seed.size.chromeos, Seed::chromeos_id),
    make: Seed::chromeos,
};
const MOBILE: Recipe = Recipe {
    count: |seed| seed.size.mobile,
    key: |_, index| Seed::mobile_id(index),
    id: Seed::mobile_id,
    index: |seed, id| {
        let index = id.strip_prefix("AFiQxQ").and_then(|digits| digits.parse().ok());
        exact(id, index, seed.size.mobile, Seed::mobile_id)
    },
    make: Seed::mobile,
};

fn exact(id: &str, index: Option<usize>, count: usize, name: fn(usize) -> String) -> Option<usize> {
    index.filter(|&index| index < count && name(index) == id)
}

/// How the members of one group differ from what is generated.
#[derive(Debug, Clone, Default)]
pub(crate) struct Changes {
    /// By member id.
    pub(crate) added: BTreeMap<String, Member>,
    /// Generated members that left.
    pub(crate) gone: BTreeSet<String>,
}

/// A place in a group's list of members: generated ones first, then the added ones by id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    Generated(usize),
    Added(String),
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) seed: Seed,
    pub(crate) clock: Clock,
    /// Milliseconds that tests have let pass.
    pub(crate) passed: i64,
    /// Verified domains, the primary one first.
    pub(crate) domains: Vec<String>,
    pub(crate) users: Roll,
    pub(crate) deleted: BTreeMap<String, Map<String, Value>>,
    pub(crate) groups: Roll,
    pub(crate) members: HashMap<String, Changes>,
    pub(crate) orgunits: BTreeMap<String, Map<String, Value>>,
    pub(crate) chromeos: Roll,
    pub(crate) mobile: Roll,
    pub(crate) activities: Vec<Activity>,
    /// Addresses of changed users and groups, aliases too, to their ids.
    addresses: HashMap<String, String>,
    /// Sign-outs, by user.
    pub(crate) signed_out: BTreeMap<String, u64>,
    /// How long a new user stays out of listings, in milliseconds.
    pub(crate) listing_lag: i64,
    made: u64,
}

impl State {
    pub(crate) fn new(seed: Seed) -> Self {
        let mut orgunits = BTreeMap::new();
        let paths: Vec<_> = (0..seed.size.orgunits).map(Seed::orgunit_path).collect();
        let domains = vec![seed.domain.clone()];
        for (index, path) in paths.iter().enumerate() {
            let parent = parent_of(path);
            let parent_id = orgunits.get(parent).and_then(|unit: &Map<String, Value>| unit["orgUnitId"].as_str());
            let fields = orgunit_fields(&format!("id:00unit{index:06}"), path, parent_id.unwrap_or(ROOT_UNIT));
            orgunits.insert(path.clone(), fields);
        }
        Self {
            seed,
            clock: Clock::default(),
            passed: 0,
            domains,
            users: Roll::new(USERS),
            deleted: BTreeMap::new(),
            groups: Roll::new(GROUPS),
            members: HashMap::new(),
            orgunits,
            chromeos: Roll::new(CHROMEOS),
            mobile: Roll::new(MOBILE),
            activities: Vec::new(),
            addresses: HashMap::new(),
            signed_out: BTreeMap::new(),
            listing_lag: 0,
            made: 0,
        }
    }

    pub(crate) fn now(&self) -> i64 {
        self.clock.now() + self.passed
    }

    pub(crate) fn customer(&self) -> &str {
        &self.seed.customer
    }

    fn serial(&mut self) -> u64 {
        self.made += 1;
        self.made
    }

    pub(crate) fn new_user_id(&mut self) -> String {
        format!("2000000000{:011}", self.serial() * 17)
    }

    pub(crate) fn new_group_id(&mut self) -> String {
        format!("03{:013x}", self.serial() * 4099)
    }

    pub(crate) fn new_orgunit_id(&mut self) -> String {
        format!("id:03ph{:010x}", self.serial() * 4099)
    }

    pub(crate) fn new_device_number(&mut self) -> u64 {
        self.serial()
    }

    /// Finds the id of a user by id, address or alias.
    pub(crate) fn user_id(&self, key: &str) -> Option<String> {
        if self.users.contains(&self.seed, key) {
            return Some(key.to_owned());
        }
        let email = key.to_lowercase();
        if let Some(id) = self.addresses.get(&email).filter(|id| self.users.contains(&self.seed, id)) {
            return Some(id.clone());
        }
        let index = Seed::index_in(&email, 'u').filter(|&index| index < self.seed.size.users)?;
        let id = Seed::user_id(index);
        (!self.users.is_changed(&id) && self.users.contains(&self.seed, &id)).then_some(())?;
        let alias = || has_alias(&self.seed.user(index), &email);
        (self.seed.user_email(index) == email || alias()).then_some(id)
    }

    /// Finds the id of a group by id, address or alias.
    pub(crate) fn group_id(&self, key: &str) -> Option<String> {
        if self.groups.contains(&self.seed, key) {
            return Some(key.to_owned());
        }
        let email = key.to_lowercase();
        if let Some(id) = self.addresses.get(&email).filter(|id| self.groups.contains(&self.seed, id)) {
            return Some(id.clone());
        }
        let index = Seed::index_in(&email, 'g').filter(|&index| index < self.seed.size.groups)?;
        let id = Seed::group_id(index);
        (!self.groups.is_changed(&id) && self.groups.contains(&self.seed, &id)).then_some(())?;
        let alias = || has_alias(&self.seed.group(index), &email);
        (self.seed.group_email(index) == email || alias()).then_some(id)
    }

    pub(crate) fn user(&self, id: &str) -> Option<Map<String, Value>> {
        let mut user = self.users.get(&self.seed, id)?;
        user.insert("customerId".to_owned(), json!(self.customer()));
        Some(user)
    }

    /// A group with the count of its direct members, which is text on the wire.
    pub(crate) fn group(&self, id: &str) -> Option<Map<String, Value>> {
        let mut group = self.groups.get(&self.seed, id)?;
        group.insert("directMembersCount".to_owned(), json!(self.member_count(id).to_string()));
        Some(group)
    }

    pub(crate) fn put_user(&mut self, fields: Map<String, Value>, listed_from: i64) {
        let (id, email) = (text(&fields, "id"), text(&fields, "primaryEmail").to_lowercase());
        for address in addresses_of(&fields, &email) {
            self.addresses.insert(address, id.clone());
        }
        self.users.put(&self.seed, &id, Row { fields, key: email, listed_from });
    }

    pub(crate) fn put_group(&mut self, fields: Map<String, Value>) {
        let (id, email) = (text(&fields, "id"), text(&fields, "email").to_lowercase());
        for address in addresses_of(&fields, &email) {
            self.addresses.insert(address, id.clone());
        }
        self.groups.put(&self.seed, &id, Row { fields, key: email, listed_from: i64::MIN });
    }

    pub(crate) fn delete_user(&mut self, id: &str) -> bool {
        let now = self.now();
        let Some(mut fields) = self.users.remove(&self.seed, id) else { return false };
        self.forget_addresses(id);
        fields.insert("deletionTime".to_owned(), json!(written(now)));
        self.deleted.insert(id.to_owned(), fields);
        true
    }

    /// Brings a deleted user back; `None` when there is none or it is too late.
    pub(crate) fn undelete_user(&mut self, id: &str) -> Option<()> {
        let deleted = self.deleted.get(id)?;
        let since = deleted.get("deletionTime").and_then(Value::as_str).and_then(super::clock::read)?;
        (self.now() < since + UNDELETABLE).then_some(())?;
        let mut fields = self.deleted.remove(id)?;
        fields.remove("deletionTime");
        self.put_user(fields, i64::MIN);
        Some(())
    }

    /// Deleted users who can still be had back, by address.
    pub(crate) fn undeletable(&self) -> Vec<Map<String, Value>> {
        let now = self.now();
        let young = |fields: &&Map<String, Value>| {
            let since = fields.get("deletionTime").and_then(Value::as_str).and_then(super::clock::read);
            since.is_some_and(|since| now < since + UNDELETABLE)
        };
        let mut rows: Vec<_> = self.deleted.values().filter(young).cloned().collect();
        rows.sort_by_key(|fields| text(fields, "primaryEmail").to_lowercase());
        rows
    }

    pub(crate) fn delete_group(&mut self, id: &str) -> bool {
        let found = self.groups.remove(&self.seed, id).is_some();
        if found {
            self.forget_addresses(id);
            self.members.remove(id);
            for changes in self.members.values_mut() {
                changes.added.remove(id);
            }
        }
        found
    }

    fn forget_addresses(&mut self, id: &str) {
        self.addresses.retain(|_, owner| owner != id);
    }

    fn generated_group(&self, id: &str) -> Option<usize> {
        self.seed.group_index(id).filter(|_| self.groups.contains(&self.seed, id))
    }

    /// Turns a generated member into what is shown; `None` when it left or is deleted.
    fn generated_member(&self, group: &str, member: SeedMember) -> Option<Member> {
        let shown = match member {
            SeedMember::User(index) => {
                let id = Seed::user_id(index);
                self.users.contains(&self.seed, &id).then(|| Member::new(&id, MemberKind::User, Role::Member))
            }
            SeedMember::Group(index) => {
                let id = Seed::group_id(index);
                self.groups.contains(&self.seed, &id).then(|| Member::new(&id, MemberKind::Group, Role::Member))
            }
            SeedMember::Everyone => Some(Member::new(self.customer(), MemberKind::Customer, Role::Member)),
            SeedMember::Outside(index) => {
                Some(Member::outside(&format!("9{index:020}"), &format!("guest{index}@elsewhere.example")))
            }
        }?;
        let left = self
            .members
            .get(group)
            .is_some_and(|changes| changes.gone.contains(&shown.id) || changes.added.contains_key(&shown.id));
        (!left).then_some(shown)
    }

    fn added_shown(&self, member: &Member) -> bool {
        match member.kind {
            // A deleted person is in no group until undeleted.
            MemberKind::User => member.email.is_some() || self.users.contains(&self.seed, &member.id),
            _ => true,
        }
    }

    /// Walks the members of a group from after a place.
    pub(crate) fn walk_members<'a>(
        &'a self,
        group: &'a str,
        after: Option<&Place>,
    ) -> impl Iterator<Item = (Place, Member)> + 'a {
        let generated = self.generated_group(group);
        let first = match after {
            None => 0,
            Some(Place::Generated(position)) => position + 1,
            Some(Place::Added(_)) => usize::MAX,
        };
        let size = generated.map_or(0, |index| self.seed.group_size(index));
        let one = (first..size.max(first)).filter_map(move |position| {
            let member = self.seed.group_member(generated?, position)?;
            self.generated_member(group, member).map(|member| (Place::Generated(position), member))
        });
        let passed = match after {
            Some(Place::Added(id)) => Some(id.clone()),
            _ => None,
        };
        let added = self.members.get(group).into_iter().flat_map(|changes| changes.added.values());
        let two = added
            .filter(move |member| passed.as_ref().is_none_or(|passed| member.id > *passed))
            .filter(|member| self.added_shown(member))
            .map(|member| (Place::Added(member.id.clone()), member.clone()));
        one.chain(two)
    }

    pub(crate) fn member_count(&self, group: &str) -> usize {
        let untouched = !self.members.contains_key(group) && self.deleted.is_empty();
        match self.generated_group(group) {
            // Nothing was changed that could matter: no need to look at each.
            Some(index) if untouched && self.groups.len(&self.seed) >= self.seed.size.groups => {
                self.seed.group_size(index)
            }
            _ => self.walk_members(group, None).count(),
        }
    }

    pub(crate) fn member(&self, group: &str, id: &str) -> Option<Member> {
        let added = self.members.get(group).and_then(|changes| changes.added.get(id));
        if let Some(member) = added {
            return self.added_shown(member).then(|| member.clone());
        }
        self.walk_members(group, None).map(|(_, member)| member).find(|member| member.id == id)
    }

    pub(crate) fn add_member(&mut self, group: &str, mut member: Member) {
        member.since = self.now();
        let changes = self.members.entry(group.to_owned()).or_default();
        changes.added.insert(member.id.clone(), member);
    }

    pub(crate) fn remove_member(&mut self, group: &str, id: &str) -> bool {
        let found = self.member(group, id).is_some();
        let changes = self.members.entry(group.to_owned()).or_default();
        changes.added.remove(id);
        changes.gone.insert(id.to_owned());
        found
    }

    /// Whether a user or group is a direct member.
    pub(crate) fn is_direct(&self, group: &str, id: &str) -> bool {
        let changes = self.members.get(group);
        if changes.is_some_and(|changes| changes.added.contains_key(id)) {
            return self.users.contains(&self.seed, id) || self.groups.contains(&self.seed, id);
        }
        if changes.is_some_and(|changes| changes.gone.contains(id)) {
            return false;
        }
        match (self.generated_group(group), self.seed.user_index(id)) {
            (Some(index), Some(user)) => self.seed.has_user(index, user),
            _ => self.member(group, id).is_some(),
        }
    }

    /// The members of the members too; what was nested in the last ten minutes does not show yet.
    pub(crate) fn derived_members(&self, group: &str) -> Vec<Member> {
        let mut found = BTreeMap::new();
        let mut open = vec![group.to_owned()];
        let mut seen = BTreeSet::new();
        while let Some(group) = open.pop() {
            if !seen.insert(group.clone()) {
                continue;
            }
            for (_, member) in self.walk_members(&group, None) {
                if member.kind == MemberKind::Group && member.since + 10 * MINUTE <= self.now() {
                    open.push(member.id.clone());
                }
                found.entry(member.id.clone()).or_insert(member);
            }
        }
        found.into_values().collect()
    }

    /// A user's address, and whether they are suspended; without making the whole of a generated one.
    fn address_of(&self, id: &str) -> (String, bool) {
        match self.seed.user_index(id).filter(|_| !self.users.is_changed(id)) {
            Some(index) => (self.seed.user_email(index), self.seed.is_suspended(index)),
            None => {
                let user = self.user(id).unwrap_or_default();
                let suspended = user.get("suspended").and_then(Value::as_bool) == Some(true);
                (text(&user, "primaryEmail"), suspended)
            }
        }
    }

    /// What the wire shows of a member.
    pub(crate) fn shown_member(&self, member: &Member) -> Map<String, Value> {
        let (email, status) = match member.kind {
            MemberKind::User if member.email.is_none() => {
                let (email, suspended) = self.address_of(&member.id);
                (Some(email), Some(if suspended { "SUSPENDED" } else { "ACTIVE" }))
            }
            MemberKind::Group if member.email.is_none() => {
                let untouched = self.seed.group_index(&member.id).filter(|_| !self.groups.is_changed(&member.id));
                let read = || self.groups.get(&self.seed, &member.id).map(|group| text(&group, "email"));
                (untouched.map(|index| self.seed.group_email(index)).or_else(read), Some("ACTIVE"))
            }
            MemberKind::Customer => (None, None),
            _ => (member.email.clone(), Some("ACTIVE")),
        };
        member.fields(email.as_deref(), status)
    }
}

pub(crate) const ROOT_UNIT: &str = "id:00root000001";

pub(crate) fn parent_of(path: &str) -> &str {
    match path.rfind('/') {
        None | Some(0) => "/",
        Some(end) => &path[..end],
    }
}

pub(crate) fn orgunit_fields(id: &str, path: &str, parent_id: &str) -> Map<String, Value> {
    let name = path.rsplit('/').next().unwrap_or_default();
    let value = json!({
        "kind": "admin#directory#orgUnit",
        "name": name,
        "description": "",
        "orgUnitId": id,
        "orgUnitPath": path,
        "parentOrgUnitId": parent_id,
        "parentOrgUnitPath": parent_of(path),
        "blockInheritance": false,
    });
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

pub(crate) fn text(fields: &Map<String, Value>, name: &str) -> String {
    fields.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn has_alias(fields: &Map<String, Value>, email: &str) -> bool {
    addresses_of(fields, "").iter().any(|alias| alias == email)
}

/// The address and the aliases, in lower case.
pub(crate) fn addresses_of(fields: &Map<String, Value>, email: &str) -> Vec<String> {
    let list = |name: &str| fields.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let aliases = list("aliases").into_iter().chain(list("nonEditableAliases"));
    let aliases = aliases.filter_map(|alias| alias.as_str().map(str::to_lowercase));
    std::iter::once(email.to_owned()).filter(|email| !email.is_empty()).chain(aliases).collect()
}
