//! Application permissions: their ids and what each resource asks for; it knows no request.

use super::ids::Kind;
use super::route::Route;

/// Permissions by name with the ids that Graph's own service principal gives them.
pub(crate) const KNOWN: [(&str, &str); 26] = [
    ("Application.Read.All", "9a5d68dd-52b0-4cc2-bd40-abcf44ac3a30"),
    ("AuditLog.Read.All", "b0afded3-3588-46d8-8b3d-9842eff778da"),
    ("Device.Read.All", "7438b122-aefc-4978-80ed-43db9fcc7715"),
    ("DeviceManagementServiceConfig.Read.All", "06a5fe6d-c49d-46a7-b082-56b1b14103c7"),
    ("Directory.Read.All", "7ab1d382-f21e-4acd-a863-ba3e13f7da61"),
    ("Directory.ReadWrite.All", "19dbc75e-c2e2-444c-a770-ec69d8559fc7"),
    ("Domain.Read.All", "dbb9058a-0e50-45d7-ae91-66909b5d4664"),
    ("Group.Read.All", "5b567255-7703-4780-807c-7be8301ae99b"),
    ("Group.ReadBasic.All", "0b1b1a4e-6a3f-4f0e-9f0f-5b3c1d2e4a10"),
    ("Group.ReadWrite.All", "62a82d76-70ea-41e2-9197-370581804d09"),
    ("GroupMember.Read.All", "98830695-27a2-44f7-8c18-0c3ebc9698f6"),
    ("GroupMember.ReadBasic.All", "0b1b1a4e-6a3f-4f0e-9f0f-5b3c1d2e4a11"),
    ("LicenseAssignment.Read.All", "e2f98668-2877-4f38-a2f4-8202e0717aa1"),
    ("MailboxSettings.Read", "40f97065-369a-49f4-947c-6a255697ae91"),
    ("Member.Read.Hidden", "658aa5d8-239f-45c4-aa12-864f4fc7e490"),
    ("Organization.Read.All", "498476ce-e0fe-48b0-b801-37ba7e2685c6"),
    ("OrgContact.Read.All", "e1a88a34-94c4-4418-be12-c87b00e26bea"),
    ("Place.Read.All", "913b9306-0ce1-42b8-9137-6a7df690a760"),
    ("Reports.Read.All", "230c1aed-a721-4c5d-9cb4-a90514e508ef"),
    ("User-PasswordProfile.ReadWrite.All", "cc117bb9-00cf-4eb8-b580-ea2a878fe8f7"),
    ("User.EnableDisableAccount.All", "3011c876-62b7-4ada-afa2-506cbbecc68c"),
    ("User.Read.All", "df021288-bdef-4463-88db-98f22de89214"),
    ("User.ReadBasic.All", "97235f07-e226-4f63-ace3-39588e11d3a1"),
    ("User.ReadWrite.All", "741f803b-c850-494e-b5df-cde7c675a1ca"),
    ("User.RevokeSessions.All", "77f3a031-c388-4f99-b373-dc68676a979e"),
    ("UserAuthenticationMethod.Read.All", "38d9df27-64da-44fd-b7c5-a6fbac20248f"),
];

/// What an application gets by default: everything that reading asks for.
pub(crate) const READING: [&str; 9] = [
    "Application.Read.All",
    "AuditLog.Read.All",
    "Device.Read.All",
    "Directory.Read.All",
    "Group.Read.All",
    "LicenseAssignment.Read.All",
    "MailboxSettings.Read",
    "Member.Read.Hidden",
    "User.Read.All",
];

const USERS: &[&str] = &["User.Read.All", "User.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"];
const BASIC_USERS: &[&str] =
    &["User.ReadBasic.All", "User.Read.All", "User.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"];
const GROUPS: &[&str] = &[
    "Group.ReadBasic.All",
    "GroupMember.Read.All",
    "Group.Read.All",
    "Group.ReadWrite.All",
    "Directory.Read.All",
    "Directory.ReadWrite.All",
];
const MEMBERS: &[&str] = &[
    "GroupMember.ReadBasic.All",
    "GroupMember.Read.All",
    "Group.Read.All",
    "Group.ReadWrite.All",
    "Directory.Read.All",
    "Directory.ReadWrite.All",
];
const MEMBER_OF: &[&str] = &["Directory.Read.All", "Directory.ReadWrite.All", "User.Read.All", "GroupMember.Read.All"];
const DEVICES: &[&str] = &["Device.Read.All", "Directory.Read.All", "Directory.ReadWrite.All"];
const DIRECTORY: &[&str] = &["Directory.Read.All", "Directory.ReadWrite.All"];
const ORGANIZATION: &[&str] = &[
    "Organization.Read.All",
    "Directory.Read.All",
    "Directory.ReadWrite.All",
    "User.Read.All",
    "DeviceManagementServiceConfig.Read.All",
];
const SKUS: &[&str] = &["LicenseAssignment.Read.All", "Organization.Read.All", "Directory.Read.All"];
const APPLICATIONS: &[&str] = &["Application.Read.All", "Directory.Read.All", "Directory.ReadWrite.All"];

/// The permissions any one of which opens a resource; empty when its handler decides.
pub(crate) fn needed(route: &Route) -> &'static [&'static str] {
    match route {
        Route::Organization => ORGANIZATION,
        Route::Domains => &["Domain.Read.All", "Directory.Read.All", "Directory.ReadWrite.All"],
        Route::List(kind) | Route::Count(kind) | Route::One(Some(kind), _) => reading(*kind),
        Route::Delta(Kind::User) => USERS,
        Route::Delta(Kind::Device) => &["Device.Read.All", "Directory.Read.All"],
        Route::Delta(kind) | Route::Deleted(kind) => match kind {
            Kind::User => USERS,
            Kind::Group => GROUPS,
            _ => reading(*kind),
        },
        Route::One(None, _) | Route::GetByIds | Route::DeletedOne(_) => DIRECTORY,
        Route::Members { .. } => MEMBERS,
        Route::Owners { .. } => DEVICES,
        Route::MemberOf { .. } | Route::MemberGroups { .. } => MEMBER_OF,
        Route::Skus => SKUS,
        Route::ServicePrincipal(_) | Route::RoleAssignments(_) => APPLICATIONS,
        Route::Purpose(_) | Route::Registration | Route::Patch(_) | Route::Revoke(_) | Route::Batch => &[],
    }
}

/// The permissions any one of which lets objects of a kind be read, be it a little.
pub(crate) fn reading(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::User => BASIC_USERS,
        Kind::Group => GROUPS,
        Kind::Device => DEVICES,
        Kind::Contact => &["OrgContact.Read.All", "Directory.Read.All", "Directory.ReadWrite.All"],
        Kind::ServicePrincipal => APPLICATIONS,
    }
}
/// The permissions any one of which lets all properties of a user be read.
pub(crate) const WHOLE_USERS: &[&str] = USERS;
