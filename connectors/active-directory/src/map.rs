//! What only Active Directory's own view makes of an entry: which sort of user it is, and computers.
//!
//! It asks nobody and decides nothing about scope; what all views share is in `tenantry_ldap::domain::map`.

use tenantry::Result;
use tenantry::model::{AttributeName, ComputerKind, ObjectKind, Patch, UserKind, Value, names};
use tenantry_ldap::domain::map;
use tenantry_ldap::{Dn, Entry};
use uuid::Uuid;

/// Attributes of computers.
pub(crate) const COMPUTER_ATTRIBUTES: &[&str] = &[
    "dNSHostName",
    "operatingSystem",
    "operatingSystemVersion",
    "managedBy",
    "description",
    "primaryGroupID",
    "lastLogonTimestamp",
];

const SERVER_TRUST: i64 = 0x2000;
const READ_ONLY_CONTROLLER: i64 = 0x400_0000;

/// Reads a user or contact.
pub(crate) fn user(entry: &Entry, guid: Uuid, dn: &Dn, moment: &map::Moment) -> Result<Patch> {
    let kind = user_kind(entry)?;
    let account = match kind {
        UserKind::Contact => map::Account::None,
        UserKind::Shared | UserKind::Room | UserKind::Equipment => map::Account::DisabledByDesign,
        _ => map::Account::Decides,
    };
    map::user(entry, guid, dn, kind, account, moment)
}

pub(crate) fn user_kind(entry: &Entry) -> Result<UserKind> {
    if entry.texts("objectClass")?.iter().any(|class| class.eq_ignore_ascii_case("contact")) {
        return Ok(UserKind::Contact);
    }
    Ok(match entry.i64("msExchRecipientTypeDetails")? {
        Some(4 | 34_359_738_368) => UserKind::Shared,
        Some(16 | 8_589_934_592) => UserKind::Room,
        Some(32 | 17_179_869_184) => UserKind::Equipment,
        _ => UserKind::Person,
    })
}

/// Reads a computer.
pub(crate) fn computer(entry: &Entry, guid: Uuid, dn: &Dn) -> Result<Patch> {
    let mut patch = map::begin(entry, ObjectKind::Computer, guid, dn)?;
    let attributes = &mut patch.attributes;
    let flags = entry.i64("userAccountControl")?;
    let system = entry.text("operatingSystem")?;
    attributes.set(names::KIND, computer_kind(flags, system));
    attributes.set(names::NAME, map::text(entry, "cn")?);
    attributes.set(names::DNS_NAME, map::text(entry, "dNSHostName")?);
    attributes.set(names::OS, Value::text(system));
    attributes.set(names::OS_VERSION, map::text(entry, "operatingSystemVersion")?);
    attributes.set(AttributeName::extra("account_name"), map::text(entry, "sAMAccountName")?);
    attributes.set(AttributeName::extra("description"), map::text(entry, "description")?);
    if let Some(flags) = flags {
        attributes.set(names::ENABLED, flags & map::DISABLED == 0);
    }
    if let Some(owner) = map::linked(entry, "managedBy")? {
        attributes.set(names::OWNER, owner);
    }
    map::observe_logon(entry, &mut patch.observations)?;
    Ok(patch)
}

fn computer_kind(flags: Option<i64>, system: Option<&str>) -> ComputerKind {
    if flags.is_some_and(|flags| flags & (SERVER_TRUST | READ_ONLY_CONTROLLER) != 0) {
        return ComputerKind::DomainController;
    }
    let system = system.unwrap_or_default().to_lowercase();
    if system.contains("server") {
        ComputerKind::Server
    } else if system.starts_with("windows") || system.starts_with("mac") {
        ComputerKind::Workstation
    } else {
        ComputerKind::Other
    }
}
