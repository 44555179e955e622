//! Edits what an account may read and write; it knows no request.

use super::account::{LogonRule, Rights, WriteRights};
use super::state::Id;
use super::{Directory, Target};

/// Changes an account's rights, one call at a time, at once.
#[derive(Debug, Clone)]
pub struct RightsEditor {
    directory: Directory,
    account: Id,
}

impl RightsEditor {
    pub(crate) fn new(directory: Directory, account: Id) -> Self {
        Self { directory, account }
    }

    fn edit(&self, change: impl FnOnce(&mut Rights)) -> &Self {
        change(&mut self.directory.lock().account(self.account).rights);
        self
    }

    /// Hides an object and all below it: for this account it is as if they did not exist.
    #[track_caller]
    pub fn hide(&self, target: impl Into<Target>) -> &Self {
        let guid = self.directory.guid_of(target);
        self.edit(|rights| rights.hidden.push(guid))
    }

    /// Ends every [`hide`](Self::hide).
    pub fn show_all(&self) -> &Self {
        self.edit(|rights| {
            rights.hidden.clear();
            rights.hidden_attributes.clear();
        })
    }

    /// Hides an attribute everywhere: it is silently absent.
    pub fn hide_attribute(&self, attribute: &str) -> &Self {
        self.edit(|rights| rights.hidden_attributes.push((attribute.to_lowercase(), None)))
    }

    /// Hides an attribute of an object and of all below it.
    #[track_caller]
    pub fn hide_attribute_of(&self, target: impl Into<Target>, attribute: &str) -> &Self {
        let guid = self.directory.guid_of(target);
        self.edit(|rights| rights.hidden_attributes.push((attribute.to_lowercase(), Some(guid))))
    }

    /// Allows or forbids to see what lies in Deleted Objects; the container itself shows either way.
    pub fn read_deleted(&self, allowed: bool) -> &Self {
        self.edit(|rights| rights.read_deleted = allowed)
    }

    /// Grants or takes DS-Replication-Get-Changes, which DirSync without `OBJECT_SECURITY` needs.
    pub fn replicate_changes(&self, allowed: bool) -> &Self {
        self.edit(|rights| rights.replicate = allowed)
    }

    /// Says what the account may write.
    pub fn write(&self, allowed: WriteRights) -> &Self {
        self.edit(|rights| rights.write = allowed)
    }

    /// Sets the logon hours and workstation rule.
    pub fn logon_rule(&self, rule: LogonRule) -> &Self {
        self.directory.lock().account(self.account).rule = rule;
        self
    }
}
