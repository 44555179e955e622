//! The handle to an account with which tests make and change it; it knows no request.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::activity::Activity;
use super::clock::Clock;
use super::member::Member;
use super::roll::Row;
use super::seed::{Seed, Size, chromeos_fields, group_fields, mobile_fields, user_fields};
use super::state::{ROOT_UNIT, State, orgunit_fields, parent_of, text};

/// The fields of an object as the API shows them.
pub type Fields = Map<String, Value>;

/// An account; its handles all show the same one.
#[derive(Debug, Clone)]
pub struct Account {
    state: Arc<Mutex<State>>,
}

impl Account {
    /// Makes an empty account with a primary domain and its super administrator `admin@…`.
    pub fn new(domain: &str) -> Self {
        let account = Self::generated(domain, 0, Size::default());
        account.add_user(&format!("admin@{domain}"), "Ada", "Admin", |user| {
            user.insert("isAdmin".to_owned(), json!(true));
        });
        account
    }

    /// Makes an account of any size out of a seed; its first user is the super administrator.
    pub fn generated(domain: &str, seed: u64, size: Size) -> Self {
        let customer = format!("C0{:07x}", super::seed::mixed(seed ^ domain.len() as u64) >> 36);
        let seed = Seed { number: seed, size, domain: domain.to_owned(), customer };
        Self { state: Arc::new(Mutex::new(State::new(seed))) }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the time from another clock.
    #[must_use]
    pub fn with_clock(self, clock: Clock) -> Self {
        self.state().clock = clock;
        self
    }

    /// Gives the account another customer id.
    #[must_use]
    pub fn with_customer(self, id: &str) -> Self {
        id.clone_into(&mut self.state().seed.customer);
        self
    }

    /// Lets time pass, besides what the clock says.
    pub fn advance(&self, time: Duration) {
        self.state().passed += i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    }

    /// Keeps users made from now on out of listings for so long.
    pub fn list_new_users_after(&self, time: Duration) {
        self.state().listing_lag = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    }

    /// Returns the customer id.
    pub fn customer(&self) -> String {
        self.state().customer().to_owned()
    }

    /// Returns the address of the first super administrator.
    pub fn admin(&self) -> String {
        let state = self.state();
        if state.seed.size.users > 0 { state.seed.user_email(0) } else { format!("admin@{}", state.seed.domain) }
    }

    /// Adds a verified domain.
    pub fn add_domain(&self, name: &str) {
        self.state().domains.push(name.to_owned());
    }

    fn log(state: &mut State, kind: &'static str, name: &'static str, parameters: Vec<(&'static str, String)>) {
        let application = "admin";
        let (at, number) = (state.now(), state.activities.len() as u64 + 1);
        state.activities.push(Activity { at, number, application, kind, name, parameters });
    }

    /// Adds a user; `edit` may set any field. Returns the id.
    pub fn add_user(&self, email: &str, given: &str, family: &str, edit: impl FnOnce(&mut Fields)) -> String {
        let mut state = self.state();
        let (id, now) = (state.new_user_id(), state.now());
        let mut fields = user_fields(&id, email, given, family, state.customer(), now);
        edit(&mut fields);
        let listed_from = now + state.listing_lag;
        state.put_user(fields, listed_from);
        Self::log(&mut state, "USER_SETTINGS", "CREATE_USER", vec![("USER_EMAIL", email.to_owned())]);
        id
    }

    /// Changes any fields of a user, found by id or address; says so in the audit log by what changed.
    ///
    /// # Panics
    /// When there is no such user.
    pub fn edit_user(&self, key: &str, edit: impl FnOnce(&mut Fields)) {
        let mut state = self.state();
        let id = state.user_id(key).expect("the user exists");
        let old = state.user(&id).unwrap_or_default();
        let mut new = old.clone();
        edit(&mut new);
        if old == new {
            return;
        }
        let listed_from = state.users.listed_from(&id);
        state.put_user(new.clone(), listed_from);
        let email = text(&old, "primaryEmail");
        let event = user_event(&old, &new);
        let mut parameters = vec![("USER_EMAIL", email)];
        if event == "RENAME_USER" {
            parameters.push(("NEW_VALUE", text(&new, "primaryEmail")));
        }
        Self::log(&mut state, "USER_SETTINGS", event, parameters);
    }

    /// Gives a user another address; the old one becomes an alias.
    pub fn rename_user(&self, key: &str, email: &str) {
        self.edit_user(key, |user| {
            let old = user.insert("primaryEmail".to_owned(), json!(email)).unwrap_or_default();
            user.insert("emails".to_owned(), json!([{"address": email, "primary": true}]));
            if let Some(aliases) = user.entry("aliases").or_insert_with(|| json!([])).as_array_mut() {
                aliases.retain(|alias| alias != email);
                aliases.push(old);
            }
        });
    }

    /// Suspends a user, or lets them in again.
    pub fn suspend_user(&self, key: &str, suspended: bool) {
        self.edit_user(key, |user| {
            user.insert("suspended".to_owned(), json!(suspended));
            if suspended {
                user.insert("suspensionReason".to_owned(), json!("ADMIN"));
            } else {
                user.remove("suspensionReason");
            }
        });
    }

    /// Moves a user to another organisational unit.
    pub fn move_user(&self, key: &str, path: &str) {
        self.edit_user(key, |user| {
            user.insert("orgUnitPath".to_owned(), json!(path));
        });
    }

    /// Deletes a user, who can be had back for 20 days; returns whether there was one.
    pub fn delete_user(&self, key: &str) -> bool {
        let mut state = self.state();
        let Some(id) = state.user_id(key) else { return false };
        let email = state.user(&id).map(|user| text(&user, "primaryEmail")).unwrap_or_default();
        state.delete_user(&id);
        Self::log(&mut state, "USER_SETTINGS", "DELETE_USER", vec![("USER_EMAIL", email)]);
        true
    }

    /// Has a deleted user back; returns whether it was possible.
    pub fn undelete_user(&self, id: &str) -> bool {
        let mut state = self.state();
        let done = state.undelete_user(id).is_some();
        if done {
            let email = state.user(id).map(|user| text(&user, "primaryEmail")).unwrap_or_default();
            Self::log(&mut state, "USER_SETTINGS", "UNDELETE_USER", vec![("USER_EMAIL", email)]);
        }
        done
    }

    /// Adds a group; `edit` may set any field. Returns the id.
    pub fn add_group(&self, email: &str, name: &str, edit: impl FnOnce(&mut Fields)) -> String {
        let mut state = self.state();
        let id = state.new_group_id();
        let mut fields = group_fields(&id, email, name);
        edit(&mut fields);
        state.put_group(fields);
        Self::log(&mut state, "GROUP_SETTINGS", "CREATE_GROUP", vec![("GROUP_EMAIL", email.to_owned())]);
        id
    }

    /// Changes any fields of a group.
    ///
    /// # Panics
    /// When there is no such group.
    pub fn edit_group(&self, key: &str, edit: impl FnOnce(&mut Fields)) {
        let mut state = self.state();
        let id = state.group_id(key).expect("the group exists");
        let mut fields = state.groups.get(&state.seed, &id).unwrap_or_default();
        let email = text(&fields, "email");
        edit(&mut fields);
        let new_email = text(&fields, "email");
        state.put_group(fields);
        let (event, parameters) = if new_email == email {
            ("CHANGE_GROUP_NAME", vec![("GROUP_EMAIL", email)])
        } else {
            ("CHANGE_GROUP_EMAIL", vec![("GROUP_EMAIL", email), ("NEW_VALUE", new_email)])
        };
        Self::log(&mut state, "GROUP_SETTINGS", event, parameters);
    }

    /// Deletes a group for good; returns whether there was one.
    pub fn delete_group(&self, key: &str) -> bool {
        let mut state = self.state();
        let Some(id) = state.group_id(key) else { return false };
        let email = state.groups.get(&state.seed, &id).map(|group| text(&group, "email")).unwrap_or_default();
        state.delete_group(&id);
        Self::log(&mut state, "GROUP_SETTINGS", "DELETE_GROUP", vec![("GROUP_EMAIL", email)]);
        true
    }

    /// Adds a member to a group.
    ///
    /// # Panics
    /// When there is no such group.
    pub fn add_member(&self, group: &str, member: Member) {
        let mut state = self.state();
        let id = state.group_id(group).expect("the group exists");
        let parameters = member_parameters(&state, &id, &member);
        state.add_member(&id, member);
        Self::log(&mut state, "GROUP_SETTINGS", "ADD_GROUP_MEMBER", parameters);
    }

    /// Removes a member by id; returns whether it was one.
    ///
    /// # Panics
    /// When there is no such group.
    pub fn remove_member(&self, group: &str, member: &str) -> bool {
        let mut state = self.state();
        let id = state.group_id(group).expect("the group exists");
        let Some(was) = state.member(&id, member) else { return false };
        let parameters = member_parameters(&state, &id, &was);
        state.remove_member(&id, member);
        Self::log(&mut state, "GROUP_SETTINGS", "REMOVE_GROUP_MEMBER", parameters);
        true
    }

    /// Adds an organisational unit by its path; its parent must be there. Returns the id.
    pub fn add_orgunit(&self, path: &str) -> String {
        let mut state = self.state();
        let id = state.new_orgunit_id();
        let parent =
            state.orgunits.get(parent_of(path)).map_or_else(|| ROOT_UNIT.to_owned(), |unit| text(unit, "orgUnitId"));
        state.orgunits.insert(path.to_owned(), orgunit_fields(&id, path, &parent));
        Self::log(&mut state, "ORG_SETTINGS", "CREATE_ORG_UNIT", vec![("ORG_UNIT_NAME", path.to_owned())]);
        id
    }

    /// Renames an organisational unit: its id stays, every path below it changes, of users and devices too.
    pub fn rename_orgunit(&self, path: &str, new: &str) {
        let mut state = self.state();
        let moved = |old: &str| {
            let rest = old.strip_prefix(path)?;
            (rest.is_empty() || rest.starts_with('/')).then(|| format!("{new}{rest}"))
        };
        let paths: Vec<_> = state.orgunits.keys().filter(|old| moved(old).is_some()).cloned().collect();
        for old in paths {
            let (Some(unit), Some(now)) = (state.orgunits.remove(&old), moved(&old)) else { continue };
            let fields = orgunit_fields(&text(&unit, "orgUnitId"), &now, &text(&unit, "parentOrgUnitId"));
            state.orgunits.insert(now, fields);
        }
        let ids: Vec<_> = state.users.walk(&state.seed, "", true).map(|(_, id)| id).collect();
        for id in ids {
            let Some(mut user) = state.user(&id) else { continue };
            if let Some(now) = moved(&text(&user, "orgUnitPath")) {
                user.insert("orgUnitPath".to_owned(), json!(now));
                let listed_from = state.users.listed_from(&id);
                state.put_user(user, listed_from);
            }
        }
        Self::log(&mut state, "ORG_SETTINGS", "EDIT_ORG_UNIT_NAME", vec![("ORG_UNIT_NAME", path.to_owned())]);
    }

    /// Adds a Chrome OS device; returns its id.
    pub fn add_chromeos(&self, serial: &str, edit: impl FnOnce(&mut Fields)) -> String {
        let mut state = self.state();
        let id = format!("d{:07x}-0000-4000-8000-000000000000", state.new_device_number());
        let mut fields = chromeos_fields(&id, serial, "");
        edit(&mut fields);
        let State { seed, chromeos, .. } = &mut *state;
        chromeos.put(seed, &id, Row { fields, key: id.clone(), listed_from: i64::MIN });
        id
    }

    /// Adds a mobile device of a user; returns its resource id.
    pub fn add_mobile(&self, serial: &str, name: &str, email: &str, edit: impl FnOnce(&mut Fields)) -> String {
        let mut state = self.state();
        let id = format!("AFiQxB{:07x}", state.new_device_number());
        let mut fields = mobile_fields(&id, serial, name, email);
        edit(&mut fields);
        let State { seed, mobile, .. } = &mut *state;
        mobile.put(seed, &id, Row { fields, key: id.clone(), listed_from: i64::MIN });
        id
    }

    /// Removes a device of either kind; returns whether there was one.
    pub fn remove_device(&self, id: &str) -> bool {
        let mut state = self.state();
        let State { seed, chromeos, mobile, .. } = &mut *state;
        let found = chromeos.contains(seed, id) || mobile.contains(seed, id);
        chromeos.remove(seed, id);
        mobile.remove(seed, id);
        found
    }

    /// Returns a user's fields, found by id or address.
    pub fn user(&self, key: &str) -> Option<Fields> {
        let state = self.state();
        state.user_id(key).and_then(|id| state.user(&id))
    }

    /// Returns a group's fields, found by id or address.
    pub fn group(&self, key: &str) -> Option<Fields> {
        let state = self.state();
        state.group_id(key).and_then(|id| state.group(&id))
    }

    /// Returns the ids of all users, deleted ones not among them.
    pub fn user_ids(&self) -> Vec<String> {
        let state = self.state();
        state.users.walk(&state.seed, "", true).map(|(_, id)| id).collect()
    }

    /// Returns the ids of all groups.
    pub fn group_ids(&self) -> Vec<String> {
        let state = self.state();
        state.groups.walk(&state.seed, "", true).map(|(_, id)| id).collect()
    }

    /// Returns the ids of the direct members of a group.
    pub fn member_ids(&self, group: &str) -> Vec<String> {
        let state = self.state();
        let id = state.group_id(group).unwrap_or_default();
        state.walk_members(&id, None).map(|(_, member)| member.id).collect()
    }

    /// Returns how many direct members a group has.
    pub fn member_count(&self, group: &str) -> usize {
        let state = self.state();
        state.group_id(group).map_or(0, |id| state.member_count(&id))
    }

    /// Returns how many direct memberships there are in all.
    pub fn memberships(&self) -> usize {
        let state = self.state();
        state.groups.walk(&state.seed, "", true).map(|(_, id)| state.member_count(&id)).sum()
    }

    /// Returns how often a user was signed out of all sessions.
    pub fn signed_out(&self, id: &str) -> u64 {
        self.state().signed_out.get(id).copied().unwrap_or_default()
    }

    /// Forgets the audit log, as if its retention had ended.
    pub fn forget_activities(&self) {
        self.state().activities.clear();
    }
}

fn member_parameters(state: &State, group: &str, member: &Member) -> Vec<(&'static str, String)> {
    let email = state.groups.get(&state.seed, group).map(|group| text(&group, "email")).unwrap_or_default();
    vec![("USER_EMAIL", text(&state.shown_member(member), "email")), ("GROUP_EMAIL", email)]
}

fn user_event(old: &Fields, new: &Fields) -> &'static str {
    let differs = |name: &str| old.get(name) != new.get(name);
    let on = |name: &str| new.get(name).and_then(Value::as_bool) == Some(true);
    if differs("primaryEmail") {
        "RENAME_USER"
    } else if differs("suspended") {
        if on("suspended") { "SUSPEND_USER" } else { "UNSUSPEND_USER" }
    } else if differs("archived") {
        if on("archived") { "ARCHIVE_USER" } else { "UNARCHIVE_USER" }
    } else if differs("orgUnitPath") {
        "MOVE_USER_TO_ORG_UNIT"
    } else if differs("aliases") {
        "ADD_USER_ALIAS"
    } else if differs("changePasswordAtNextLogin") {
        "CHANGE_PASSWORD_ON_NEXT_LOGIN"
    } else if differs("name") {
        "CHANGE_LAST_NAME"
    } else {
        "CHANGE_USER_CUSTOM_FIELD"
    }
}
