//! What one account sees of the directory, with the lies of the moment laid over it; it knows no message.

use std::borrow::Cow;
use std::collections::HashMap;

use super::directory::account::{Rights, WriteRights};
use super::directory::state::{Id, Life, State};
use super::ids::Guid;
use super::schema;

/// Lies about what can be seen, from the faults in force.
#[derive(Debug, Clone, Default)]
pub(crate) struct Overlay {
    pub(crate) hidden: Vec<Guid>,
    pub(crate) truncated: HashMap<Guid, usize>,
    pub(crate) blind: bool,
}

#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each comes from another control or right")]
pub(crate) struct View<'a> {
    pub(crate) state: &'a State,
    pub(crate) admin: bool,
    rights: Rights,
    hidden: Vec<Id>,
    truncated: HashMap<Guid, usize>,
    pub(crate) blind: bool,
    pub(crate) deleted: bool,
    pub(crate) recycled: bool,
}

impl<'a> View<'a> {
    pub(crate) fn new(state: &'a State, who: Option<Id>, overlay: &Overlay) -> Self {
        let admin = who.is_some_and(|who| state.is_admin(who));
        let account = who.and_then(|who| state.accounts.get(&state.entry(who).guid));
        let rights = account.map(|account| account.rights.clone()).unwrap_or_default();
        let guids = rights.hidden.iter().chain(&overlay.hidden);
        let hidden = guids.filter_map(|guid| state.by_guid.get(guid).copied()).collect();
        let truncated = overlay.truncated.clone();
        Self { state, admin, rights, hidden, truncated, blind: overlay.blind, deleted: false, recycled: false }
    }

    /// What replication sees: everything, whatever the account may read; only lies stay in force.
    pub(crate) fn of_replication(state: &'a State, overlay: &Overlay) -> Self {
        let mut view = Self::new(state, None, overlay);
        (view.admin, view.deleted, view.recycled) = (true, true, true);
        view
    }

    pub(crate) fn may_replicate(&self) -> bool {
        self.admin || self.rights.replicate
    }

    pub(crate) fn may_read_deleted(&self) -> bool {
        self.admin || self.rights.read_deleted
    }

    pub(crate) fn may_write(&self, attribute: &str) -> bool {
        self.admin
            || match &self.rights.write {
                WriteRights::Nothing => false,
                WriteRights::Everything => true,
                WriteRights::Attributes(names) => names.iter().any(|name| name.eq_ignore_ascii_case(attribute)),
            }
    }

    /// Says whether the account may know of the entry, leaving aside whether it asked for deleted ones.
    pub(crate) fn may_see(&self, id: Id) -> bool {
        if self.blind {
            return false;
        }
        if self.state.entry(id).life != Life::Live && !self.may_read_deleted() {
            return false;
        }
        if self.hidden.is_empty() {
            return true;
        }
        let mut at = Some(id);
        while let Some(id) = at {
            if self.hidden.contains(&id) {
                return false;
            }
            at = self.state.entry(id).parent;
        }
        true
    }

    /// Says whether the entry shows in a search with the controls that were sent.
    pub(crate) fn shows(&self, id: Id) -> bool {
        let wanted = match self.state.entry(id).life {
            // The container counts as deleted itself.
            Life::Live => id != self.state.deleted_objects || self.deleted || self.recycled,
            Life::Deleted => self.deleted || self.recycled,
            Life::Recycled => self.recycled,
        };
        wanted && self.may_see(id)
    }

    pub(crate) fn may_read(&self, id: Id, name: &str) -> bool {
        // Passwords are never given away, not even to administrators.
        if matches!(name, "unicodepwd" | "userpassword") {
            return false;
        }
        // The container of deleted objects shows to everybody, but bare.
        if id == self.state.deleted_objects && !self.may_read_deleted() && name != "objectclass" {
            return false;
        }
        let denied = |(hidden, below): &(String, Option<Guid>)| {
            hidden == name
                && below
                    .is_none_or(|guid| self.state.by_guid.get(&guid).is_some_and(|base| self.state.is_below(id, *base)))
        };
        !self.rights.hidden_attributes.iter().any(denied)
    }

    fn is_linked(name: &str) -> bool {
        schema::is_link(name) || schema::forward_of(name).is_some()
    }

    /// Returns the values of an attribute that is no link.
    pub(crate) fn values(&self, id: Id, name: &str) -> Vec<Cow<'a, [u8]>> {
        if self.may_read(id, name) { self.state.values(id, name) } else { Vec::new() }
    }

    /// Returns the values as filters compare them: links as DNs.
    pub(crate) fn texts(&self, id: Id, name: &str) -> Vec<Cow<'a, [u8]>> {
        if Self::is_linked(name) {
            let targets = self.linked(id, name).into_iter().filter_map(|guid| self.state.target(guid));
            return targets.map(|(dn, _)| Cow::Owned(dn.into_bytes())).collect();
        }
        self.values(id, name)
    }

    /// Returns the objects behind a link that the account may know of.
    pub(crate) fn linked(&self, id: Id, name: &str) -> Vec<Guid> {
        if !self.may_read(id, name) {
            return Vec::new();
        }
        let mut targets = self.state.linked(id, name);
        if let Some(keep) = self.truncated.get(&self.state.entry(id).guid) {
            targets.truncate(*keep);
        }
        targets
    }

    pub(crate) fn links_to(&self, id: Id, name: &str, target: Guid) -> bool {
        if !self.may_read(id, name) {
            return false;
        }
        if let Some(forward) = schema::forward_of(name) {
            let source = self.state.by_guid.get(&target);
            return source.is_some_and(|source| self.state.entry(id).back.contains(&(forward.into(), *source)))
                && self.state.linked(id, name).contains(&target);
        }
        let set = self.state.entry(id).links.get(name);
        set.is_some_and(|set| set.contains(target)) && self.state.linked(id, name).contains(&target)
    }

    pub(crate) fn has(&self, id: Id, name: &str) -> bool {
        if schema::is_constructed(name) {
            return false;
        }
        if Self::is_linked(name) { !self.linked(id, name).is_empty() } else { !self.values(id, name).is_empty() }
    }
}
