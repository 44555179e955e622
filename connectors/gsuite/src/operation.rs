//! What is asked of the API: its name in errors and figures, its price, the rights it needs. It must not know answers.

use tenantry::gate::Cost;

/// The gate's bucket of queries by one administrator in one project.
pub const USER: &str = "user";
/// The gate's bucket of listings of mobile devices.
pub const MOBILE: &str = "mobile";
/// The gate's bucket of queries of the audit log.
pub const REPORTS: &str = "reports";

/// One kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    ListUsers,
    ListDeleted,
    ReadUser,
    ListGroups,
    ReadGroup,
    ListMembers,
    ReadMember,
    ListOrgUnits,
    ListChromeOs,
    ReadChromeOs,
    ListMobile,
    ReadMobile,
    ReadLog,
    ReadCustomer,
    ListDomains,
    WriteUser,
    SignOut,
}

impl Operation {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::ListUsers => "list users",
            Self::ListDeleted => "list deleted users",
            Self::ReadUser => "read a user",
            Self::ListGroups => "list groups",
            Self::ReadGroup => "read a group",
            Self::ListMembers => "list members",
            Self::ReadMember => "read a member",
            Self::ListOrgUnits => "list organisational units",
            Self::ListChromeOs => "list chromeos devices",
            Self::ReadChromeOs => "read a chromeos device",
            Self::ListMobile => "list mobile devices",
            Self::ReadMobile => "read a mobile device",
            Self::ReadLog => "read the audit log",
            Self::ReadCustomer => "read the account",
            Self::ListDomains => "list the account's domains",
            Self::WriteUser => "change a user",
            Self::SignOut => "sign a user out",
        }
    }

    /// The scope, and the privilege of the administrator's role, by the names in the admin console.
    pub(crate) const fn needs(self) -> (&'static str, &'static str) {
        match self {
            Self::ListUsers | Self::ListDeleted | Self::ReadUser | Self::ReadCustomer => {
                ("admin.directory.user.readonly", "Admin API: Users > Read")
            }
            Self::ListGroups | Self::ReadGroup | Self::ListMembers | Self::ReadMember => {
                ("admin.directory.group.readonly", "Admin API: Groups > Read")
            }
            Self::ListOrgUnits => ("admin.directory.orgunit.readonly", "Admin API: Organization Units > Read"),
            Self::ListChromeOs | Self::ReadChromeOs => (
                "admin.directory.device.chromeos.readonly",
                "Services: Chrome Management > Manage ChromeOS Devices (read only)",
            ),
            Self::ListMobile | Self::ReadMobile => (
                "admin.directory.device.mobile.readonly",
                "Services: Mobile Device Management > Manage Devices and Settings",
            ),
            Self::ReadLog => ("admin.reports.audit.readonly", "Reports"),
            Self::ListDomains => ("admin.directory.domain.readonly", "Admin API: Domain Management > Read"),
            Self::WriteUser => ("admin.directory.user", "Admin API: Users > Update"),
            Self::SignOut => ("admin.directory.user.security", "Security: User Security Management"),
        }
    }

    /// One query of the administrator's; listings of mobile devices and of the log have a quota besides.
    pub(crate) fn cost(self) -> Cost {
        let cost = Cost::default().on(MOBILE, 0).on(REPORTS, 0);
        match self {
            Self::ListMobile | Self::ReadMobile => cost.on(MOBILE, 1),
            Self::ReadLog => cost.on(USER, 0).on(REPORTS, 1),
            _ => cost,
        }
    }

    /// Whose quota a refusal is about.
    pub(crate) const fn bucket(self) -> &'static str {
        match self {
            Self::ReadLog => REPORTS,
            _ => USER,
        }
    }
}
