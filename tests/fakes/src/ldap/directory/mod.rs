//! The directory behind the fake server, editable while the server runs; it knows no connection.

pub(crate) mod account;
pub(crate) mod builder;
pub(crate) mod change;
pub(crate) mod exchange;
pub(crate) mod ldif;
pub(crate) mod links;
pub(crate) mod rights;
mod seed;
pub(crate) mod state;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use builder::{ComputerBuilder, ComputerKind, ContactBuilder, GroupBuilder, UserBuilder};
use change::Draft;
use rights::RightsEditor;
use state::{Id, Life, Phantom, Refusal, State};

use super::clock::{self, Clock};
use super::dn::{Dn, Rdn};
use super::ids::{Guid, Sid};

/// Names an object: its GUID, its DN (the domain's suffix may be left out) or its sAMAccountName.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// By objectGUID; finds deleted objects as well.
    Guid(Guid),
    /// By DN when there is a `=` in it, by sAMAccountName otherwise.
    Text(String),
}

impl From<Guid> for Target {
    fn from(guid: Guid) -> Self {
        Self::Guid(guid)
    }
}

impl From<&Guid> for Target {
    fn from(guid: &Guid) -> Self {
        Self::Guid(*guid)
    }
}

impl From<&str> for Target {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<&String> for Target {
    fn from(text: &String) -> Self {
        Self::Text(text.clone())
    }
}

impl From<String> for Target {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

/// A domain in memory; clones are handles to the same one.
///
/// Methods panic on requests that make no sense (a missing object, a name that is taken): a test's own mistake.
#[derive(Clone)]
pub struct Directory {
    state: Arc<Mutex<State>>,
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Directory").field("root", &state.dn(Id::ROOT)).field("entries", &state.entries.len()).finish()
    }
}

impl Directory {
    /// Creates a domain with everything a real one has from its first day; `root` is like `DC=corp,DC=example`.
    #[track_caller]
    pub fn new(root: &str) -> Self {
        Self::seeded(root, 1)
    }

    /// Creates a domain whose GUIDs and SIDs derive from `seed`.
    #[track_caller]
    pub fn seeded(root: &str, seed: u64) -> Self {
        done(Self::try_new(root, seed))
    }

    pub(crate) fn try_new(root: &str, seed: u64) -> Result<Self, Refusal> {
        let dn = Dn::parse(root)
            .filter(|dn| !dn.0.is_empty() && dn.0.iter().all(|rdn| rdn.attribute.eq_ignore_ascii_case("dc")));
        let dn = dn.ok_or_else(|| Refusal::new(34, format!("{root:?} is not the name of a domain")))?;
        let mut state = State {
            entries: Vec::new(),
            by_guid: HashMap::new(),
            by_sid: HashMap::new(),
            by_account: HashMap::new(),
            heads: Vec::new(),
            phantoms: HashMap::new(),
            accounts: HashMap::new(),
            names: HashMap::new(),
            usn: 12_288,
            next_rid: 1103,
            seed,
            clock: Clock::default(),
            recycle_bin: false,
            domain_sid: Sid::domain(seed),
            netbios: dn.0[0].value.to_uppercase(),
            invocation: Guid::derive(seed, "invocation", 0),
            deleted_objects: Id(usize::MAX),
            well_known: Vec::new(),
            host: "DC1".to_owned(),
        };
        state.furnish(&dn)?;
        Ok(Self { state: Arc::new(Mutex::new(state)) })
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[track_caller]
    pub(crate) fn find(state: &State, target: &Target) -> Id {
        let id = match target {
            Target::Guid(guid) => state.by_guid.get(guid).copied(),
            Target::Text(text) if text.contains('=') => state.complete(text).and_then(|dn| state.resolve(&dn).ok()),
            Target::Text(text) => state.by_account.get(&text.to_lowercase()).copied(),
        };
        id.unwrap_or_else(|| panic!("there is no object {target:?} in this directory"))
    }

    /// Returns the DN of the domain.
    pub fn root(&self) -> String {
        self.lock().root_dn().to_string()
    }

    /// Returns the SID of the domain.
    pub fn domain_sid(&self) -> Sid {
        self.lock().domain_sid.clone()
    }

    /// Returns the DNS name of the domain controller.
    pub fn dns_host(&self) -> String {
        self.lock().dns_host()
    }

    /// Returns the NetBIOS name that `DOMAIN\user` binds use.
    pub fn netbios(&self) -> String {
        self.lock().netbios.clone()
    }

    /// Returns highestCommittedUSN.
    pub fn highest_usn(&self) -> u64 {
        self.lock().usn
    }

    /// Returns the current DN of an object, deleted or not.
    #[track_caller]
    pub fn dn_of(&self, target: impl Into<Target>) -> String {
        let state = self.lock();
        state.dn(Self::find(&state, &target.into()))
    }

    /// Returns the objectGUID.
    #[track_caller]
    pub fn guid_of(&self, target: impl Into<Target>) -> Guid {
        let state = self.lock();
        state.entry(Self::find(&state, &target.into())).guid
    }

    /// Returns the objectSid of a security principal.
    #[track_caller]
    pub fn sid_of(&self, target: impl Into<Target>) -> Option<Sid> {
        let state = self.lock();
        state.entry(Self::find(&state, &target.into())).sid.clone()
    }

    /// Returns the values of an attribute as text; links come as DNs.
    #[track_caller]
    pub fn get(&self, target: impl Into<Target>, attribute: &str) -> Vec<String> {
        let state = self.lock();
        let id = Self::find(&state, &target.into());
        let name = attribute.to_lowercase();
        if super::schema::is_link(&name) || super::schema::forward_of(&name).is_some() {
            let linked = state.linked(id, &name);
            return linked.into_iter().filter_map(|guid| state.target(guid)).map(|(dn, _)| dn).collect();
        }
        state.values(id, &name).iter().map(|value| String::from_utf8_lossy(value).into_owned()).collect()
    }

    /// Says whether an object exists and is not deleted.
    pub fn exists(&self, target: impl Into<Target>) -> bool {
        let state = self.lock();
        let id = match target.into() {
            Target::Guid(guid) => state.by_guid.get(&guid).copied(),
            Target::Text(text) if text.contains('=') => state.complete(&text).and_then(|dn| state.resolve(&dn).ok()),
            Target::Text(text) => state.by_account.get(&text.to_lowercase()).copied(),
        };
        id.is_some_and(|id| state.entry(id).life == Life::Live)
    }

    /// Returns the number of live entries below the domain, containers included.
    pub fn len(&self) -> usize {
        let state = self.lock();
        state.subtree(Id::ROOT).into_iter().filter(|id| state.entry(*id).life == Life::Live).count()
    }

    /// Says whether there is nothing; a domain never is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds an organizational unit, such as `OU=People` or `OU=North,OU=People`.
    #[track_caller]
    pub fn add_ou(&self, dn: &str) -> Guid {
        self.add_raw(dn, "organizationalUnit", &[])
    }

    /// Adds a container, such as `CN=Service Accounts`.
    #[track_caller]
    pub fn add_container(&self, dn: &str) -> Guid {
        self.add_raw(dn, "container", &[])
    }

    /// Adds an object of any class with plain text attributes.
    #[track_caller]
    pub fn add_raw(&self, dn: &str, class: &str, attributes: &[(&str, &str)]) -> Guid {
        let mut state = self.lock();
        let dn = state.complete(dn).unwrap_or_else(|| panic!("{dn:?} is not a DN"));
        let parent = Self::find(&state, &Target::Text(dn.parent().to_string()));
        let mut draft = Draft::default();
        draft.text("objectClass", class);
        for (name, value) in attributes {
            let mut values = draft.get(name).map(<[_]>::to_vec).unwrap_or_default();
            values.push(value.as_bytes().to_vec());
            draft.set(name, values);
        }
        let id = done(state.create(parent, dn.0[0].clone(), draft));
        state.entry(id).guid
    }

    /// Begins a user below `parent`; [`UserBuilder::create`] adds it.
    pub fn add_user(&self, parent: &str, account: &str) -> UserBuilder {
        UserBuilder::new(self.clone(), parent, account)
    }

    /// Begins a contact with this common name.
    pub fn add_contact(&self, parent: &str, name: &str) -> ContactBuilder {
        ContactBuilder::new(self.clone(), parent, name)
    }

    /// Begins a group: global security unless told otherwise.
    pub fn add_group(&self, parent: &str, account: &str) -> GroupBuilder {
        GroupBuilder::new(self.clone(), parent, account)
    }

    /// Begins a computer, named without the `$`.
    pub fn add_computer(&self, parent: &str, name: &str, kind: ComputerKind) -> ComputerBuilder {
        ComputerBuilder::new(self.clone(), parent, name, kind)
    }

    /// Adds a foreign security principal, the stand-in for an account of a trusted forest.
    #[track_caller]
    pub fn add_foreign_principal(&self, sid: &str) -> Guid {
        let mut state = self.lock();
        let sid = sid.parse().unwrap_or_else(|_| panic!("{sid:?} is not a SID"));
        let id = done(state.foreign_principal(&sid));
        state.entry(id).guid
    }

    /// Makes an object of another domain of the forest known, so that it can be a member here.
    #[track_caller]
    pub fn add_other_domain_object(&self, dn: &str, sid: Option<&str>) -> Guid {
        let mut state = self.lock();
        let name = Dn::parse(dn).unwrap_or_else(|| panic!("{dn:?} is not a DN"));
        assert!(state.resolve(&name) == Err(None), "{dn:?} lies in this domain");
        let sid = sid.map(|sid| sid.parse().unwrap_or_else(|_| panic!("{sid:?} is not a SID")));
        let guid = Guid::derive(state.seed, &name.normal(), 0);
        state.phantoms.insert(guid, Phantom { dn: dn.to_owned(), sid });
        guid
    }

    /// Adds a member to a group; the member's own USN stays.
    #[track_caller]
    pub fn add_member(&self, group: impl Into<Target>, member: impl Into<Target>) {
        let mut state = self.lock();
        let group = Self::find(&state, &group.into());
        let member = match member.into() {
            Target::Guid(guid) => guid,
            text @ Target::Text(_) => state.entry(Self::find(&state, &text)).guid,
        };
        let usn = state.touch(group);
        state.link(group, "member", member, usn);
    }

    /// Removes a member from a group; without effect when it is none.
    #[track_caller]
    pub fn remove_member(&self, group: impl Into<Target>, member: impl Into<Target>) {
        let mut state = self.lock();
        let group = Self::find(&state, &group.into());
        let member = match member.into() {
            Target::Guid(guid) => guid,
            text @ Target::Text(_) => state.entry(Self::find(&state, &text)).guid,
        };
        let usn = state.touch(group);
        state.unlink(group, "member", member, usn);
    }

    /// Gives an object a new common name (or `ou` for units) in the same place.
    #[track_caller]
    pub fn rename(&self, target: impl Into<Target>, name: &str) {
        let mut state = self.lock();
        let id = Self::find(&state, &target.into());
        let rdn = Rdn::new(&state.entry(id).rdn.attribute.clone(), name);
        done(state.rename(id, rdn, None));
    }

    /// Renames a unit: the DNs of everything below change, their USNs do not.
    #[track_caller]
    pub fn rename_ou(&self, unit: &str, name: &str) {
        self.rename(unit, name);
    }

    /// Moves an object to another container.
    #[track_caller]
    pub fn move_to(&self, target: impl Into<Target>, parent: &str) {
        let mut state = self.lock();
        let id = Self::find(&state, &target.into());
        let parent = Self::find(&state, &Target::Text(parent.to_owned()));
        let rdn = state.entry(id).rdn.clone();
        done(state.rename(id, rdn, Some(parent)));
    }

    /// Deletes an object, with everything below it; it becomes a tombstone (or rests in the recycle bin).
    #[track_caller]
    pub fn delete(&self, target: impl Into<Target>) {
        let mut state = self.lock();
        let id = Self::find(&state, &target.into());
        done(bury_tree(&mut state, id));
    }

    /// Brings a deleted object back to where it was.
    #[track_caller]
    pub fn undelete(&self, guid: Guid) {
        let mut state = self.lock();
        let id = Self::find(&state, &guid.into());
        let entry = state.entry(id);
        let parent = entry.last_parent.unwrap_or_else(|| panic!("{guid} is not deleted"));
        let name = entry.rdn.value.split('\n').next().unwrap_or_default().to_owned();
        let rdn = Rdn::new(&entry.rdn.attribute.clone(), &name);
        done(state.revive(id, rdn, parent));
    }

    /// Ends a deleted object's time in the recycle bin: only show-recycled finds it from now on.
    #[track_caller]
    pub fn recycle(&self, guid: Guid) {
        let mut state = self.lock();
        let id = Self::find(&state, &guid.into());
        assert!(state.entry(id).life == Life::Deleted, "{guid} is not a deleted object");
        state.recycle(id);
    }

    /// Replaces the values of an attribute, also of those that only the server writes; links take DNs.
    #[track_caller]
    pub fn set<V: AsRef<[u8]>>(&self, target: impl Into<Target>, attribute: &str, values: impl IntoIterator<Item = V>) {
        let mut state = self.lock();
        let id = Self::find(&state, &target.into());
        let values: Vec<Vec<u8>> = values.into_iter().map(|value| value.as_ref().to_vec()).collect();
        done(set_values(&mut state, id, attribute, values));
    }

    /// Removes all values of an attribute.
    #[track_caller]
    pub fn clear(&self, target: impl Into<Target>, attribute: &str) {
        self.set(target, attribute, Vec::<Vec<u8>>::new());
    }

    /// Gives an account its password; needed before it can bind.
    #[track_caller]
    pub fn set_password(&self, target: impl Into<Target>, password: &str) {
        let mut state = self.lock();
        let id = Self::find(&state, &target.into());
        state.account(id).password = Some(password.to_owned());
    }

    /// Edits what an account may read and write; every call takes effect at once.
    #[track_caller]
    pub fn rights(&self, account: impl Into<Target>) -> RightsEditor {
        let state = self.lock();
        let id = Self::find(&state, &account.into());
        RightsEditor::new(self.clone(), id)
    }

    /// Turns the recycle bin on or off for deletions to come.
    pub fn set_recycle_bin(&self, on: bool) {
        self.lock().recycle_bin = on;
    }

    /// Sets the directory's time in seconds since 1970; it stands still until set again.
    pub fn set_now(&self, unix_seconds: i64) {
        self.lock().clock = Clock::Still(clock::from_unix(unix_seconds));
    }

    /// Lets the directory's time be that of the machine.
    pub fn follow_system_clock(&self) {
        self.lock().clock = Clock::System;
    }

    /// Pretends that the database was restored: new invocationId, and USNs that start again at `usn`.
    pub fn restore_from_backup(&self, usn: u64) {
        let mut state = self.lock();
        state.usn = usn;
        state.renew_invocation();
    }
}

pub(crate) fn bury_tree(state: &mut State, id: Id) -> Result<(), Refusal> {
    let children: Vec<Id> = state.entry(id).children.values().copied().collect();
    for child in children {
        bury_tree(state, child)?;
    }
    state.bury(id)
}

pub(crate) fn set_values(state: &mut State, id: Id, attribute: &str, values: Vec<Vec<u8>>) -> Result<(), Refusal> {
    if super::schema::is_link(&attribute.to_lowercase()) {
        let mut wanted = Vec::new();
        for value in &values {
            let text = String::from_utf8_lossy(value);
            let text = if text.starts_with('<') {
                text.into_owned()
            } else {
                state.complete(&text).map_or_else(|| text.into_owned(), |dn| dn.to_string())
            };
            wanted.push(state.link_target(&text, true)?);
        }
        let usn = state.touch(id);
        let name = state.name(attribute);
        let known: Vec<Guid> = state.entry(id).links.get(&name).map(|set| set.present().collect()).unwrap_or_default();
        for guid in known.into_iter().filter(|guid| !wanted.contains(guid)) {
            state.unlink(id, attribute, guid, usn);
        }
        for guid in wanted {
            state.link(id, attribute, guid, usn);
        }
        return Ok(());
    }
    let usn = state.touch(id);
    state.store(id, attribute, values, usn);
    if attribute.eq_ignore_ascii_case("userAccountControl")
        && let Some(control) = state.entry(id).number("useraccountcontrol")
    {
        let kind = change::account_type(control).to_string();
        state.store(id, "sAMAccountType", vec![kind.into_bytes()], usn);
    }
    Ok(())
}

#[track_caller]
pub(crate) fn done<T>(result: Result<T, Refusal>) -> T {
    result.unwrap_or_else(|refusal| {
        panic!("the directory refused: {} (result code {})", refusal.text.trim(), refusal.code)
    })
}
