//! Which objects are left out by design, and why: accounts of the system, of Exchange, of trusts, and what the
//! configuration excludes. It must not decide by what it cannot read.

use tenantry::Result;
use tenantry_ldap::{Dn, Entry};

use crate::config::{BuiltinGroups, Checked};
use crate::controller::Controller;
use crate::listing::Class;

/// Why an object is left out: for counting, without names.
pub(crate) type Exclusion = &'static str;

const INTERDOMAIN_TRUST: i64 = 0x800;
const SYSTEM_GROUP: i64 = 0x1;

/// Mailboxes that Exchange keeps for itself (msExchRecipientTypeDetails).
const EXCHANGE_SYSTEM: &[i64] =
    &[8_192, 16_384, 4_194_304, 8_388_608, 16_777_216, 536_870_912, 68_719_476_736, 549_755_813_888];

/// Accounts that every domain has for itself, by the last number of their SID.
const SYSTEM_RIDS: &[u32] = &[501, 502, 503, 504];

/// The same mailboxes by name, where the type is not set. All lower case.
const EXCHANGE_NAMES: &[&str] = &[
    "systemmailbox{",
    "discoverysearchmailbox{",
    "discoverysearchmailbox {",
    "federatedemail.4c1f4d8b-8179-4148-93bf-00a95fa1e042",
    "migration.8f3e7716-2011-43e4-96b1-aba62d229136",
    "healthmailbox",
    "extest_",
];

/// Tells why an entry is left out; nothing if it is in scope.
pub(crate) fn of(
    class: Class,
    entry: &Entry,
    dn: &Dn,
    config: &Checked,
    controller: &Controller,
) -> Result<Option<Exclusion>> {
    if config.exclude.iter().any(|excluded| dn.is_under(excluded)) {
        return Ok(Some("in an excluded container"));
    }
    if below_system_container(dn, &controller.domain_dn) {
        return Ok(Some("in a container of the system"));
    }
    let classes = entry.texts("objectClass")?;
    let is = |name: &str| classes.iter().any(|class| class.eq_ignore_ascii_case(name));
    if is("msDS-GroupManagedServiceAccount")
        || is("msDS-ManagedServiceAccount")
        || is("msDS-DelegatedManagedServiceAccount")
    {
        return Ok(Some("managed service account"));
    }
    match class {
        Class::Groups => builtin(entry, config),
        Class::Users if is("computer") => Ok(Some("computer among the users")),
        Class::Users => account(entry, controller),
        Class::Computers => Ok(None),
    }
}

fn builtin(entry: &Entry, config: &Checked) -> Result<Option<Exclusion>> {
    let system = entry.i64("groupType")?.is_some_and(|flags| flags & SYSTEM_GROUP != 0);
    let builtin = entry.sid("objectSid")?.is_some_and(|sid| sid.to_string().starts_with("S-1-5-32-"));
    Ok(((system || builtin) && config.builtin_groups == BuiltinGroups::Ignored).then_some("built-in group"))
}

fn account(entry: &Entry, controller: &Controller) -> Result<Option<Exclusion>> {
    let flags = entry.i64("userAccountControl")?.unwrap_or(0);
    let name = entry.text("sAMAccountName")?.unwrap_or_default().to_ascii_lowercase();
    if flags & INTERDOMAIN_TRUST != 0 {
        return Ok(Some("account of a trust"));
    }
    let sid = entry.sid("objectSid")?;
    let own = sid.as_ref().is_some_and(|sid| controller.domain_sid.is_some() && sid.domain() == controller.domain_sid);
    if own && sid.and_then(|sid| sid.rid()).is_some_and(|rid| SYSTEM_RIDS.contains(&rid)) {
        return Ok(Some("account of the system"));
    }
    let key_distribution =
        name.strip_prefix("krbtgt_").is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    if name == "krbtgt" || key_distribution || entry.is_present("msDS-SecondaryKrbTgtNumber") {
        return Ok(Some("account of the system"));
    }
    let details = entry.i64("msExchRecipientTypeDetails")?;
    let common_name = entry.text("cn")?.unwrap_or_default().to_lowercase();
    let named = |name: &str| EXCHANGE_NAMES.iter().any(|known| name.starts_with(known));
    if details.is_some_and(|details| EXCHANGE_SYSTEM.contains(&details)) || named(&common_name) {
        return Ok(Some("mailbox of Exchange itself"));
    }
    Ok(None)
}

fn below_system_container(dn: &Dn, domain: &Dn) -> bool {
    const CONTAINERS: &[&str] = &["microsoft exchange system objects", "deleted objects"];
    let depth = dn.rdns().len().checked_sub(domain.rdns().len() + 1);
    let top = depth.and_then(|at| dn.rdns().get(at));
    dn.is_under(domain)
        && top.is_some_and(|rdn| {
            let name = rdn.value().unwrap_or_default().to_lowercase();
            rdn.attribute().eq_ignore_ascii_case("cn") && CONTAINERS.contains(&name.as_str())
        })
}
