//! The view of a domain that these tests are about, for those that every view has: Active Directory's own.

use tenantry_fakes::ldap::{Directory, Guid};

pub(crate) use tenantry_active_directory::{ActiveDirectory as View, ActiveDirectoryConfig as Config};

/// Whether computers come in.
pub(crate) const COMPUTERS: bool = true;
/// Whether primary groups are told.
pub(crate) const PRIMARY_GROUPS: bool = true;

/// Checks of the suite that this view has no use for.
pub(crate) const NOT_TRIED: &[&str] = &[];

/// Adds what a domain needs for this view.
pub(crate) fn furnish(_: &Directory) {}

/// Makes an object one that comes in, or one that does not: 0 is the former. Here everything does.
pub(crate) fn enrol(_: &Directory, _: Guid, _: u8) {}

/// Tells whether an object comes in, wherever it lies.
pub(crate) fn comes_in(_: &Directory, _: Guid) -> bool {
    true
}

/// Gives a user an address, or takes it away.
pub(crate) fn address(directory: &Directory, user: Guid, mail: Option<&str>) {
    directory.set(user, "mail", mail);
}
