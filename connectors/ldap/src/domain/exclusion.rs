//! Which objects are left out by design, and why: accounts of the system, of Exchange, of trusts, and what the
//! configuration excludes. It must not decide by what it cannot read.

use crate::{Dn, Entry};
use tenantry::Result;

use crate::domain::controller::DomainHead;
use crate::domain::listing::Class;
use crate::domain::profile::Profile;

/// Why an object is left out: for counting, without names.
pub type Exclusion = &'static str;

const INTERDOMAIN_TRUST: i64 = 0x800;

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
    profile: &dyn Profile,
    class: Class,
    entry: &Entry,
    dn: &Dn,
    excluded: &[Dn],
    head: &DomainHead,
) -> Result<Option<Exclusion>> {
    if excluded.iter().any(|excluded| dn.is_under(excluded)) {
        return Ok(Some("in an excluded container"));
    }
    if below_system_container(dn, &head.dn) {
        return Ok(Some("in a container of the system"));
    }
    profile.exclusion(class, entry, dn, head)
}

/// Tells why an account is nobody's: one of the system, a service, a trust, or Exchange itself.
pub fn of_account(entry: &Entry, head: &DomainHead) -> Result<Option<Exclusion>> {
    if let Some(exclusion) = of_managed_account(entry)? {
        return Ok(Some(exclusion));
    }
    if is_of_class(entry, "computer")? {
        return Ok(Some("computer among the users"));
    }
    account(entry, head)
}

/// Tells whether an account is one whose password only computers know.
pub fn of_managed_account(entry: &Entry) -> Result<Option<Exclusion>> {
    const MANAGED: [&str; 3] =
        ["msDS-GroupManagedServiceAccount", "msDS-ManagedServiceAccount", "msDS-DelegatedManagedServiceAccount"];
    for class in MANAGED {
        if is_of_class(entry, class)? {
            return Ok(Some("managed service account"));
        }
    }
    Ok(None)
}

/// Tells whether an entry has an object class.
pub fn is_of_class(entry: &Entry, class: &str) -> Result<bool> {
    Ok(entry.texts("objectClass")?.iter().any(|known| known.eq_ignore_ascii_case(class)))
}

fn account(entry: &Entry, head: &DomainHead) -> Result<Option<Exclusion>> {
    let flags = entry.i64("userAccountControl")?.unwrap_or(0);
    let name = entry.text("sAMAccountName")?.unwrap_or_default().to_ascii_lowercase();
    if flags & INTERDOMAIN_TRUST != 0 {
        return Ok(Some("account of a trust"));
    }
    let sid = entry.sid("objectSid")?;
    let own = sid.as_ref().is_some_and(|sid| head.sid.is_some() && sid.domain() == head.sid);
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
