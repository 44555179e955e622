//! What the attributes that all views of a domain share mean: pure functions from an entry to a patch.
//!
//! It asks nobody and decides nothing about scope.
//!
//! Active Directory leaves out attributes that have no value, so what was asked for and did not come is empty. It also
//! leaves out what may not be read: attributes that every account has are taken as unknown when they are absent.

use crate::filetime::{self, Expiry, Interval};
use crate::{Dn, Entry, ExtendedDn, Sid};
use tenantry::Result;
use tenantry::model::{
    AttributeName, Attributes, GroupKind, ObjectKind, Patch, SourceId, Timestamp, UserKind, UserState, Value, names,
};
use uuid::Uuid;

/// Attributes of users and contacts.
pub const USER_ATTRIBUTES: &[&str] = &[
    "mail",
    "proxyAddresses",
    "givenName",
    "sn",
    "displayName",
    "userPrincipalName",
    "accountExpires",
    "lockoutTime",
    "pwdLastSet",
    "msDS-User-Account-Control-Computed",
    "lastLogonTimestamp",
    "primaryGroupID",
    "employeeID",
    "department",
    "title",
    "company",
    "telephoneNumber",
    "mobile",
    "physicalDeliveryOfficeName",
    "l",
    "co",
    "description",
    "manager",
    "mS-DS-ConsistencyGuid",
];

/// Attributes of groups, without their members.
pub const GROUP_ATTRIBUTES: &[&str] = &["mail", "proxyAddresses", "displayName", "description", "managedBy"];

/// The flag of `userAccountControl` that says that nobody may sign in.
pub const DISABLED: i64 = 0x2;
const LOCKED: i64 = 0x10;
const PASSWORD_NEVER_EXPIRES: i64 = 0x1_0000;
const PASSWORD_EXPIRED: i64 = 0x80_0000;
const SECURITY_GROUP: i64 = 0x8000_0000;

/// What "now" means to the directory.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// Milliseconds since 1970.
    pub now: i64,
    /// How long a lock-out lasts.
    pub lockout: Option<Interval>,
}

/// What the account of a user says about him.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Account {
    /// Whether he may work.
    Decides,
    /// Nothing: it is disabled by design, and others open what belongs to it.
    DisabledByDesign,
    /// There is none.
    None,
}

/// Reads a user or contact, with the attributes [`USER_ATTRIBUTES`].
pub fn user(entry: &Entry, guid: Uuid, dn: &Dn, kind: UserKind, account: Account, moment: &Moment) -> Result<Patch> {
    let mut patch = begin(entry, ObjectKind::User, guid, dn)?;
    if let Some(guid) = entry.guid("mS-DS-ConsistencyGuid").ok().flatten() {
        patch = patch.anchored("consistency-guid", guid.to_string());
    }
    let attributes = &mut patch.attributes;
    attributes.set(names::KIND, kind);
    let (primary, aliases) = addresses(entry)?;
    attributes.set(names::PRIMARY_EMAIL, Value::text(primary));
    attributes.set(names::ALIASES, Value::list(aliases));
    for (name, source) in [
        (names::FIRST_NAME, "givenName"),
        (names::LAST_NAME, "sn"),
        (names::DISPLAY_NAME, "displayName"),
        (names::USERNAME, "sAMAccountName"),
    ] {
        attributes.set(name, text(entry, source)?);
    }
    for (name, source) in [
        ("user_principal_name", "userPrincipalName"),
        ("employee_id", "employeeID"),
        ("department", "department"),
        ("title", "title"),
        ("company", "company"),
        ("telephone", "telephoneNumber"),
        ("mobile", "mobile"),
        ("office", "physicalDeliveryOfficeName"),
        ("city", "l"),
        ("country", "co"),
        ("description", "description"),
    ] {
        attributes.set(AttributeName::extra(name), text(entry, source)?);
    }
    if let Some(manager) = linked(entry, "manager")? {
        attributes.set(AttributeName::extra("manager"), manager);
    }
    if account != Account::None {
        read_account(entry, account, moment, attributes)?;
        observe_logon(entry, &mut patch.observations)?;
        observe(&mut patch.observations, "password_last_set", entry.i64("pwdLastSet")?);
    }
    Ok(patch)
}

/// What the account may do now. Everything here is on every account: absent is unreadable.
fn read_account(entry: &Entry, account: Account, moment: &Moment, attributes: &mut Attributes) -> Result<()> {
    let flags = entry.i64("userAccountControl")?;
    let computed = entry.i64("msDS-User-Account-Control-Computed")?;
    let changed = entry.i64("pwdLastSet")?;
    let disabled = flags.map(|flags| flags & DISABLED != 0);
    let expired = match entry.i64("accountExpires")? {
        Some(ticks) => {
            match filetime::expiry(ticks).map_err(|error| error.with_context("attribute", "accountExpires"))? {
                Expiry::Never => Some(false),
                Expiry::At(time) => Some(time <= moment.now),
            }
        }
        None => None,
    };
    let never_expires = flags.map(|flags| flags & PASSWORD_NEVER_EXPIRES != 0);
    let mut extra = |name: &str, value: Option<bool>| {
        if let Some(value) = value {
            attributes.set(AttributeName::extra(name), value);
        }
    };
    extra("disabled", disabled);
    extra("expired", expired);
    extra("password_never_expires", never_expires);
    let state = match (disabled, expired) {
        // The account of a shared mailbox or a room is disabled by design: that says nothing about the mailbox.
        (Some(_), _) if account == Account::DisabledByDesign => Some(UserState::Active),
        (Some(true), _) | (_, Some(true)) => Some(UserState::Suspended),
        (Some(false), Some(false)) => Some(UserState::Active),
        _ => None,
    };
    if let Some(state) = state {
        attributes.set(names::STATE, state);
    }
    let locked = match (computed, entry.i64("lockoutTime")?) {
        (Some(computed), _) => Some(computed & LOCKED != 0),
        (None, Some(since)) => lockout_lasts(since, moment),
        (None, None) => None,
    };
    if let Some(locked) = locked {
        attributes.set(names::LOCKED_OUT, locked);
    }
    let must_change = match (computed, changed, never_expires) {
        (_, _, Some(true)) => Some(false),
        (Some(computed), _, _) if computed & PASSWORD_EXPIRED != 0 => Some(true),
        (_, Some(0), Some(false)) => Some(true),
        (Some(_), Some(_), Some(false)) => Some(false),
        _ => None,
    };
    if let Some(must_change) = must_change {
        attributes.set(names::MUST_CHANGE_PASSWORD, must_change);
    }
    Ok(())
}

/// The time of a lock-out stays on the account when the lock-out has ended by itself.
fn lockout_lasts(since: i64, moment: &Moment) -> Option<bool> {
    match (filetime::expiry(since).ok()?, moment.lockout?) {
        (Expiry::Never, _) => Some(false),
        (Expiry::At(_), Interval::Forever) => Some(true),
        // A duration of nothing means: until somebody unlocks it.
        (Expiry::At(_), Interval::Of(duration)) if duration.is_zero() => Some(true),
        (Expiry::At(since), Interval::Of(duration)) => {
            let lasts = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
            Some(since.saturating_add(lasts) > moment.now)
        }
    }
}

/// Reads a group with the attributes [`GROUP_ATTRIBUTES`] and those that every class has, without its members.
pub fn group(entry: &Entry, guid: Uuid, dn: &Dn) -> Result<Patch> {
    let mut patch = begin(entry, ObjectKind::Group, guid, dn)?;
    let attributes = &mut patch.attributes;
    let (email, _) = addresses(entry)?;
    if let Some(flags) = entry.i64("groupType")? {
        attributes.set(
            names::KIND,
            match (flags & SECURITY_GROUP != 0, email) {
                (true, Some(_)) => GroupKind::MailSecurity,
                (true, None) => GroupKind::Security,
                (false, _) => GroupKind::Distribution,
            },
        );
        let scope = match flags & 0xe {
            2 => "global",
            4 => "domain-local",
            8 => "universal",
            _ => "",
        };
        attributes.set(AttributeName::extra("scope"), scope);
    }
    attributes.set(names::NAME, text(entry, "cn")?);
    attributes.set(names::EMAIL, Value::text(email));
    attributes.set(names::DESCRIPTION, text(entry, "description")?);
    attributes.set(AttributeName::extra("account_name"), text(entry, "sAMAccountName")?);
    attributes.set(AttributeName::extra("display_name"), text(entry, "displayName")?);
    if let Some(owner) = linked(entry, "managedBy")? {
        attributes.set(AttributeName::extra("managed_by"), owner);
    }
    Ok(patch)
}

/// Returns the primary group, of the same domain as the account itself.
pub(crate) fn primary_group(entry: &Entry) -> Result<Option<Sid>> {
    let (Some(sid), Some(rid)) = (entry.sid("objectSid")?, entry.i64("primaryGroupID")?) else { return Ok(None) };
    let rid = u32::try_from(rid).map_err(|_| {
        tenantry::Error::protocol("a value is out of range").with_context("attribute", "primaryGroupID")
    })?;
    Ok(sid.domain().and_then(|domain| domain.child(rid)))
}

/// Sets where an object lies.
pub(crate) fn located(patch: Patch, dn: &Dn) -> Patch {
    match dn.parent() {
        Some(parent) => patch.in_container(parent.normalised()),
        None => patch,
    }
}

/// Begins to read an object: place, and the ids that other directories know it by.
pub fn begin(entry: &Entry, kind: ObjectKind, guid: Uuid, dn: &Dn) -> Result<Patch> {
    let mut patch = located(Patch::new(kind, SourceId::Guid(guid)), dn).anchored("object-guid", guid.to_string());
    let sid = entry.sid("objectSid")?.map(|sid| sid.to_string());
    if let Some(sid) = &sid {
        patch = patch.anchored("security-id", sid.as_str());
    }
    patch.attributes.set(AttributeName::extra("sid"), Value::text(sid.as_deref()));
    Ok(patch)
}

/// Reads one text; empty if there is none.
pub fn text(entry: &Entry, attribute: &str) -> Result<Value> {
    Ok(Value::text(entry.text(attribute)?))
}

/// Returns the source id of the object that a link names; `None` if the link does not tell it.
pub fn linked(entry: &Entry, attribute: &str) -> Result<Option<Value>> {
    let Some(name) = entry.text(attribute)? else { return Ok(Some(Value::Empty)) };
    let name = ExtendedDn::parse(name).map_err(|error| error.with_context("attribute", attribute))?;
    Ok(name.guid.map(|guid| Value::from(guid.to_string())))
}

/// Returns the primary address and the others. `SMTP:` in capitals marks the primary one; `mail` is free text.
pub fn addresses(entry: &Entry) -> Result<(Option<&str>, Vec<&str>)> {
    let proxies = entry.texts("proxyAddresses")?;
    let smtp = |proxy: &&&str| proxy.get(..5).is_some_and(|prefix| prefix.eq_ignore_ascii_case("smtp:"));
    let marked = proxies.iter().find_map(|proxy| proxy.strip_prefix("SMTP:")).map(str::trim).filter(is_address);
    let mail = entry.text("mail")?.map(str::trim).filter(is_address);
    let primary = marked.or(mail);
    let aliases = proxies
        .iter()
        .filter(smtp)
        .map(|proxy| proxy[5..].trim())
        .filter(is_address)
        .filter(|address| primary.is_none_or(|primary| !primary.eq_ignore_ascii_case(address)));
    Ok((primary, aliases.collect()))
}

/// Tells whether a text is one mail address.
pub fn is_address(text: &&str) -> bool {
    let blank = |c: char| c.is_whitespace() || c.is_control();
    text.rsplit_once('@').is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty())
        && !text.contains(blank)
}

/// Notes when somebody signed in last, as far as controllers tell each other.
pub fn observe_logon(entry: &Entry, observations: &mut Attributes) -> Result<()> {
    observe(observations, "last_logon", entry.i64("lastLogonTimestamp")?);
    Ok(())
}

fn observe(observations: &mut Attributes, name: &str, ticks: Option<i64>) {
    // 0 is never, and a time that no calendar holds is not worth a record.
    let time = ticks.filter(|ticks| *ticks > 0).and_then(filetime::to_unix_millis);
    if let Some(time) = time {
        observations.set(AttributeName::extra(name), Timestamp(time).to_string());
    }
}
