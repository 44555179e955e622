//! Application permissions: which wider one is as good as a narrow one, and what each is for.
//!
//! It must not know how permissions are read. A permission is always named by its least form, so that an
//! administrator who swaps a wide one for a narrow one loses nothing.

use std::collections::BTreeSet;

pub(crate) const USERS: &str = "User.Read.All";
pub(crate) const MEMBERS: &str = "GroupMember.Read.All";
pub(crate) const DEVICES: &str = "Device.Read.All";
/// Shows the members of groups that hide them.
pub(crate) const HIDDEN_MEMBERS: &str = "Member.Read.Hidden";
pub(crate) const DELETED_GROUPS: &str = "Group.Read.All";
pub(crate) const DIRECTORY: &str = "Directory.Read.All";
pub(crate) const AUDIT_LOG: &str = "AuditLog.Read.All";
pub(crate) const MAILBOXES: &str = "MailboxSettings.Read";
pub(crate) const ENABLE: &str = "User.EnableDisableAccount.All";
pub(crate) const PASSWORDS: &str = "User-PasswordProfile.ReadWrite.All";
pub(crate) const REVOKE: &str = "User.RevokeSessions.All";

const WRITES_DIRECTORY: &str = "Directory.ReadWrite.All";
const WRITES_USERS: &str = "User.ReadWrite.All";
const WRITES_GROUPS: &str = "Group.ReadWrite.All";

/// Permissions that decide what of the directory is visible. Reports and mailboxes do not: nobody is hidden without them.
pub(crate) const VISIBLE: &[&str] = &[USERS, MEMBERS, DEVICES, HIDDEN_MEMBERS, DELETED_GROUPS, DIRECTORY];

/// The wider permissions that are as good.
fn wider(permission: &str) -> &'static [&'static str] {
    match permission {
        USERS => &[WRITES_USERS, DIRECTORY, WRITES_DIRECTORY],
        MEMBERS => &["GroupMember.ReadWrite.All", DELETED_GROUPS, WRITES_GROUPS, DIRECTORY, WRITES_DIRECTORY],
        DEVICES => &["Device.ReadWrite.All", DIRECTORY, WRITES_DIRECTORY],
        DELETED_GROUPS => &[WRITES_GROUPS, DIRECTORY, WRITES_DIRECTORY],
        DIRECTORY => &[WRITES_DIRECTORY],
        MAILBOXES => &["MailboxSettings.ReadWrite"],
        ENABLE | REVOKE => &[WRITES_USERS, WRITES_DIRECTORY],
        PASSWORDS => &[WRITES_USERS, WRITES_DIRECTORY],
        _ => &[],
    }
}

/// Tells whether a permission is granted, itself or by a wider one.
pub(crate) fn is_granted(permission: &str, roles: &BTreeSet<String>) -> bool {
    roles.contains(permission) || wider(permission).iter().any(|wider| roles.contains(*wider))
}

/// Returns the permissions by which something of the directory is visible, each by its least form.
pub(crate) fn visible(roles: &BTreeSet<String>) -> BTreeSet<String> {
    VISIBLE.iter().filter(|permission| is_granted(permission, roles)).map(ToString::to_string).collect()
}

/// Returns those of some permissions that are not granted.
pub(crate) fn missing(needed: &[&str], roles: &BTreeSet<String>) -> Vec<String> {
    needed.iter().filter(|permission| !is_granted(permission, roles)).map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roles(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_wide_permission_swapped_for_the_narrow_ones_shows_the_same() {
        let wide = visible(&roles(&["Directory.Read.All", "Mail.Read"]));
        let narrow = visible(&roles(&[USERS, MEMBERS, DEVICES, DELETED_GROUPS, DIRECTORY]));
        assert_eq!(wide, narrow);
        assert!(!wide.contains(HIDDEN_MEMBERS) && !wide.contains("Mail.Read"));
    }

    #[test]
    fn what_only_enriches_is_no_matter_of_visibility() {
        assert!(visible(&roles(&[AUDIT_LOG, MAILBOXES])).is_empty());
    }

    #[test]
    fn what_is_missing_is_named_by_its_least_form() {
        assert_eq!(missing(&[ENABLE, USERS], &roles(&[USERS])), [ENABLE]);
        assert!(missing(&[ENABLE, USERS], &roles(&["User.ReadWrite.All"])).is_empty());
    }
}
