//! What is asked of Graph, by name, and which application permission each of it needs.
//!
//! It must not know how anything is asked. Source: the permissions of Graph v1.0 (devx-content, permissions.json).

use crate::rates;

/// Something that is asked of Graph: the name is the one in errors and figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(dead_code, reason = "the table is whole; what is not asked yet stays in it")]
pub(crate) enum Operation {
    /// The tenant itself.
    Organization,
    ListUsers,
    ListGroups,
    ListMembers,
    ListDevices,
    UsersDelta,
    GroupsDelta,
    DevicesDelta,
    CountUsers,
    CountGroups,
    CountDevices,
    LookUp,
    DeletedUsers,
    DeletedGroups,
    DeviceOwners,
    /// The groups that somebody is a direct member of, checked or listed.
    CheckMembers,
    /// Several requests in one; each part fails by itself.
    Batch,
    /// Second factors.
    Registrations,
    SignIns,
    MailboxPurpose,
    ReadAccount,
    SetEnabled,
    DemandPassword,
    RevokeSessions,
}

impl Operation {
    /// Returns the name for errors and figures.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Organization => "read the tenant",
            Self::ListUsers => "list users",
            Self::ListGroups => "list groups",
            Self::ListMembers => "list members",
            Self::ListDevices => "list devices",
            Self::UsersDelta => "read changes of users",
            Self::GroupsDelta => "read changes of groups",
            Self::DevicesDelta => "read changes of devices",
            Self::CountUsers => "count users",
            Self::CountGroups => "count groups",
            Self::CountDevices => "count devices",
            Self::LookUp => "look up",
            Self::DeletedUsers => "read deleted users",
            Self::DeletedGroups => "read deleted groups",
            Self::DeviceOwners => "read owners of devices",
            Self::CheckMembers => "check members",
            Self::Batch => "batch",
            Self::Registrations => "read second factors",
            Self::SignIns => "read sign-ins",
            Self::MailboxPurpose => "read the purpose of mailboxes",
            Self::ReadAccount => "read the account",
            Self::SetEnabled => "enable or disable the account",
            Self::DemandPassword => "demand a new password",
            Self::RevokeSessions => "revoke sessions",
        }
    }

    /// Returns the quota of its own that it has, beside the one of everything.
    pub(crate) const fn lane(self) -> Option<&'static str> {
        match self {
            Self::Registrations => Some(rates::REPORTS),
            Self::SignIns => Some(rates::SIGN_INS),
            Self::MailboxPurpose => Some(rates::MAILBOXES),
            _ => None,
        }
    }

    /// Returns the permissions that it needs, the least ones that are enough.
    pub(crate) const fn permissions(self) -> &'static [&'static str] {
        match self {
            Self::Organization | Self::Batch => &[],
            Self::ListUsers | Self::UsersDelta | Self::CountUsers | Self::DeletedUsers | Self::ReadAccount => {
                &["User.Read.All"]
            }
            Self::ListMembers | Self::ListGroups | Self::GroupsDelta | Self::CountGroups | Self::CheckMembers => {
                &["GroupMember.Read.All"]
            }
            Self::DeletedGroups => &["Group.Read.All"],
            Self::ListDevices | Self::DevicesDelta | Self::CountDevices | Self::DeviceOwners => &["Device.Read.All"],
            Self::LookUp => &["Directory.Read.All"],
            Self::Registrations | Self::SignIns => &["AuditLog.Read.All"],
            Self::MailboxPurpose => &["MailboxSettings.Read"],
            Self::SetEnabled => &["User.EnableDisableAccount.All", "User.Read.All"],
            Self::DemandPassword => &["User-PasswordProfile.ReadWrite.All"],
            Self::RevokeSessions => &["User.RevokeSessions.All"],
        }
    }
}
