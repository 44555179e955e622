//! What a row means: pure functions from a row to a patch. It asks nobody.
//!
//! Graph leaves out of a row what was not asked for, and out of a delta also what never had a value: what is absent is
//! unknown, what is null is empty. Values of Graph's own lists that are not known here are kept as they are written.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tenantry::model::{
    AttributeName, Attributes, ComputerKind, GroupKind, Member, MemberKind, ObjectKind, Patch, Quarantined, SourceId,
    UserKind, UserState, Value, names,
};
use uuid::Uuid;

use crate::wire::{DeviceRow, Field, GroupRow, MemberRow, Text, UserRow};

macro_rules! extra {
    ($($name:ident = $text:literal;)+) => {
        $(const $name: AttributeName = AttributeName::fixed(concat!("attributes.", $text));)+
    };
}

extra! {
    ACCOUNT_NAME = "account_name";
    CITY = "city";
    COMPANY = "company";
    COMPLIANT = "compliant";
    COUNTRY = "country";
    CREATION_TYPE = "creation_type";
    DEPARTMENT = "department";
    DEVICE_ID = "device_id";
    EMPLOYEE_ID = "employee_id";
    GROUP_TYPES = "group_types";
    IMMUTABLE_ID = "immutable_id";
    INVITATION = "invitation";
    LAST_SEEN = "last_seen";
    MANAGED = "managed";
    MOBILE = "mobile";
    OFFICE = "office";
    PROFILE_TYPE = "profile_type";
    ROLE_ASSIGNABLE = "role_assignable";
    RULE_BASED = "rule_based";
    SID = "sid";
    SYNCED = "synced";
    TELEPHONE = "telephone";
    TITLE = "title";
    TRUST_TYPE = "trust_type";
    USER_PRINCIPAL_NAME = "user_principal_name";
    USER_TYPE = "user_type";
    VISIBILITY = "visibility";
}

/// Reads a user.
///
/// # Errors
/// What makes no sense, with the id.
pub(crate) fn user(row: &UserRow<'_>) -> Result<Patch, Quarantined> {
    let mut patch = Patch::new(ObjectKind::User, id(ObjectKind::User, &row.id)?);
    if let Some(text) = row.on_premises_immutable_id.value() {
        // The directory's own id there, or the value that stands in for it: both are ids of one person only.
        if let Some(guid) = immutable(text) {
            patch = patch.anchored("object-guid", guid.to_string()).anchored("consistency-guid", guid.to_string());
        }
    }
    let sid = row.on_premises_security_identifier.value().filter(|sid| sid.starts_with("S-1-"));
    if let Some(sid) = sid {
        patch = patch.anchored("security-id", &**sid);
    }
    let set = &mut patch.attributes;
    // In the order of their names: each is put behind the last one.
    match (&row.proxy_addresses, &row.mail) {
        (Field::Absent, Field::Absent) => {}
        (Field::Absent, mail) => {
            set.set(names::PRIMARY_EMAIL, Value::text(mail.value().map(|t| t.trim()).filter(is_address)));
        }
        (proxies, mail) => {
            let (primary, aliases) = addresses(proxies, mail);
            set.set(names::ALIASES, Value::list(aliases));
            if !(primary.is_none() && mail.is_absent()) {
                set.set(names::PRIMARY_EMAIL, Value::text(primary));
            }
        }
    }
    for (name, field) in [
        (ACCOUNT_NAME, &row.on_premises_sam_account_name),
        (CITY, &row.city),
        (COMPANY, &row.company_name),
        (COUNTRY, &row.country),
        (CREATION_TYPE, &row.creation_type),
        (DEPARTMENT, &row.department),
        (EMPLOYEE_ID, &row.employee_id),
        (IMMUTABLE_ID, &row.on_premises_immutable_id),
        (INVITATION, &row.external_user_state),
        (MOBILE, &row.mobile_phone),
        (OFFICE, &row.office_location),
        (SID, &row.on_premises_security_identifier),
    ] {
        text(set, name, field);
    }
    flag(set, SYNCED, row.on_premises_sync_enabled);
    match &row.business_phones {
        Field::Absent => {}
        Field::Null => set.set(TELEPHONE, Value::Empty),
        Field::Is(phones) => set.set(TELEPHONE, Value::text(phones.iter().flatten().next().map(|phone| &**phone))),
    }
    for (name, field) in [
        (TITLE, &row.job_title),
        (USER_PRINCIPAL_NAME, &row.user_principal_name),
        (USER_TYPE, &row.user_type),
        (names::DISPLAY_NAME, &row.display_name),
        (names::FIRST_NAME, &row.given_name),
        (names::LAST_NAME, &row.surname),
        (names::USERNAME, &row.user_principal_name),
    ] {
        text(set, name, field);
    }
    // Null is what older accounts have, which are members.
    match &row.user_type {
        Field::Absent => {}
        Field::Is(kind) if kind.eq_ignore_ascii_case("guest") => set.set(names::KIND, UserKind::Guest),
        _ => set.set(names::KIND, UserKind::Person),
    }
    if let Some(enabled) = row.account_enabled.value() {
        set.set(names::STATE, if *enabled { UserState::Active } else { UserState::Suspended });
    }
    Ok(patch)
}

/// Reads a group, without its members.
///
/// # Errors
/// What makes no sense, with the id.
pub(crate) fn group(row: &GroupRow<'_>) -> Result<Patch, Quarantined> {
    let mut patch = Patch::new(ObjectKind::Group, id(ObjectKind::Group, &row.id)?);
    if let Some(sid) = row.on_premises_security_identifier.value().filter(|sid| sid.starts_with("S-1-")) {
        patch = patch.anchored("security-id", &**sid);
    }
    let set = &mut patch.attributes;
    text(set, ACCOUNT_NAME, &row.on_premises_sam_account_name);
    if let Some(kind) = group_kind(row) {
        set.set(names::KIND, kind);
    }
    match &row.group_types {
        Field::Absent => {}
        field => {
            let types = || field.value().into_iter().flatten().flatten();
            let others = types().filter(|name| !is_rule(name) && !is_unified(name));
            set.set(GROUP_TYPES, Value::list(others.map(|name| &**name)));
            set.set(RULE_BASED, types().any(|name| is_rule(name)));
        }
    }
    flag(set, ROLE_ASSIGNABLE, row.is_assignable_to_role);
    text(set, SID, &row.on_premises_security_identifier);
    flag(set, SYNCED, row.on_premises_sync_enabled);
    text(set, VISIBILITY, &row.visibility);
    text(set, names::DESCRIPTION, &row.description);
    match (&row.proxy_addresses, &row.mail) {
        (Field::Absent | Field::Null, Field::Absent) => {}
        (proxies, mail) => {
            let (primary, _) = addresses(proxies, mail);
            if !(primary.is_none() && mail.is_absent()) {
                set.set(names::EMAIL, Value::text(primary));
            }
        }
    }
    text(set, names::NAME, &row.display_name);
    Ok(patch)
}

/// Reads a device.
///
/// # Errors
/// What makes no sense, with the id.
pub(crate) fn device(row: &DeviceRow<'_>) -> Result<Patch, Quarantined> {
    let mut patch = Patch::new(ObjectKind::Computer, id(ObjectKind::Computer, &row.id)?);
    // A device that Active Directory trusts was registered under the id of its computer there.
    if row.trust_type.value().is_some_and(|trust| trust.eq_ignore_ascii_case("ServerAd"))
        && let Some(guid) = row.device_id.value().and_then(|id| Uuid::try_parse(id).ok())
    {
        patch = patch.anchored("object-guid", guid.to_string());
    }
    let set = &mut patch.attributes;
    flag(set, COMPLIANT, row.is_compliant);
    text(set, DEVICE_ID, &row.device_id);
    flag(set, MANAGED, row.is_managed);
    text(set, PROFILE_TYPE, &row.profile_type);
    flag(set, SYNCED, row.on_premises_sync_enabled);
    text(set, TRUST_TYPE, &row.trust_type);
    if let Some(enabled) = row.account_enabled.value() {
        set.set(names::ENABLED, *enabled);
    }
    if !row.operating_system.is_absent() {
        let system = row.operating_system.value().map_or("", |system| &**system);
        set.set(names::KIND, computer_kind(system, row.profile_type.value().map_or("", |profile| &**profile)));
    }
    text(set, names::NAME, &row.display_name);
    text(set, names::OS, &row.operating_system);
    text(set, names::OS_VERSION, &row.operating_system_version);
    match &row.registered_owners {
        Field::Absent => {}
        // Several owners are possible and rare; which of them comes first is not said.
        owners => {
            let owner = owners.value().into_iter().flatten().filter_map(|owner| member_id(owner)).min();
            set.set(names::OWNER, owner.map_or(Value::Empty, |owner| Value::from(owner.to_string())));
        }
    }
    if let Some(seen) = row.approximate_last_sign_in_date_time.value() {
        patch.observations.set(LAST_SEEN, Value::text(Some(seen)));
    }
    Ok(patch)
}

/// Reads a member; nothing if it has no id.
pub(crate) fn member(row: &MemberRow<'_>) -> Option<Member> {
    Some(Member { id: member_id(row)?, kind: member_kind(row) })
}

fn member_id(row: &MemberRow<'_>) -> Option<SourceId> {
    (!row.id.is_empty()).then(|| SourceId::parse(&row.id))
}

/// Tells what a member is by its type.
pub(crate) fn member_kind(row: &MemberRow<'_>) -> MemberKind {
    let Some(name) = row.of_type.value() else { return MemberKind::Unknown };
    match name.rsplit('.').next().unwrap_or_default() {
        "user" => MemberKind::User,
        "group" => MemberKind::Group,
        "device" => MemberKind::Computer,
        "orgContact" => MemberKind::Contact,
        _ => MemberKind::Unknown,
    }
}

/// Says that a row was set aside.
pub(crate) fn quarantined(kind: ObjectKind, id: Option<&str>, reason: String) -> Quarantined {
    Quarantined { kind, id: id.map(SourceId::parse), reason }
}

/// Sets what a later reading knows over an earlier one.
pub(crate) fn overlay(mut earlier: Patch, later: Patch) -> Patch {
    earlier.attributes.merge(&later.attributes);
    earlier.observations.merge(&later.observations);
    if !later.anchors.is_empty() {
        earlier.anchors = later.anchors;
    }
    earlier
}

fn id(kind: ObjectKind, text: &str) -> Result<SourceId, Quarantined> {
    if text.is_empty() {
        return Err(quarantined(kind, None, "the id is empty".into()));
    }
    Ok(SourceId::parse(text))
}

fn text(set: &mut Attributes, name: AttributeName, field: &Field<Text<'_>>) {
    match field {
        Field::Absent => {}
        Field::Null => set.set(name, Value::Empty),
        Field::Is(text) => set.set(name, Value::text(Some(text))),
    }
}

fn flag(set: &mut Attributes, name: AttributeName, field: Field<bool>) {
    match field {
        Field::Absent => {}
        Field::Null => set.set(name, Value::Empty),
        Field::Is(value) => set.set(name, value),
    }
}

/// Reads the anchor of an account that is synchronised: usually a GUID in the byte order of its origin, in base 64.
fn immutable(text: &str) -> Option<Uuid> {
    let bytes = STANDARD.decode(text.trim()).ok()?;
    Some(Uuid::from_bytes_le(bytes.try_into().ok()?))
}

/// Returns the primary address and the others. `SMTP:` in capitals marks the primary one.
fn addresses<'a>(
    proxies: &'a Field<Vec<Option<Text<'a>>>>,
    mail: &'a Field<Text<'a>>,
) -> (Option<&'a str>, Vec<&'a str>) {
    let proxies = || proxies.value().into_iter().flatten().flatten().map(|proxy| &**proxy);
    let marked = proxies().find_map(|proxy| proxy.strip_prefix("SMTP:")).map(str::trim).filter(is_address);
    let primary = marked.or_else(|| mail.value().map(|mail| mail.trim()).filter(is_address));
    let aliases = proxies()
        .filter(|proxy| proxy.get(..5).is_some_and(|prefix| prefix.eq_ignore_ascii_case("smtp:")))
        .map(|proxy| proxy[5..].trim())
        .filter(is_address)
        .filter(|address| primary.is_none_or(|primary| !primary.eq_ignore_ascii_case(address)));
    (primary, aliases.collect())
}

fn is_address(text: &&str) -> bool {
    let blank = |c: char| c.is_whitespace() || c.is_control();
    text.rsplit_once('@').is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty())
        && !text.contains(blank)
}

fn is_unified(name: &str) -> bool {
    name.eq_ignore_ascii_case("Unified")
}

fn is_rule(name: &str) -> bool {
    name.eq_ignore_ascii_case("DynamicMembership")
}

/// Tells the kind where everything that decides it was read.
fn group_kind(row: &GroupRow<'_>) -> Option<GroupKind> {
    if row.group_types.is_absent() {
        return None;
    }
    if row.group_types.value().into_iter().flatten().flatten().any(|name| is_unified(name)) {
        return Some(GroupKind::Microsoft365);
    }
    Some(match (*row.mail_enabled.value()?, *row.security_enabled.value()?) {
        (true, true) => GroupKind::MailSecurity,
        (true, false) => GroupKind::Distribution,
        (false, _) => GroupKind::Security,
    })
}

fn computer_kind(system: &str, profile: &str) -> ComputerKind {
    let system: Cow<'_, str> = system.to_ascii_lowercase().into();
    let profile = profile.to_ascii_lowercase();
    let begins = |names: &[&str]| names.iter().any(|name| system.starts_with(name));
    if matches!(&*profile, "printer" | "iot") {
        ComputerKind::Other
    } else if system.contains("server") {
        ComputerKind::Server
    } else if begins(&["android", "ios", "ipad", "iphone", "windowsphone", "windows phone"]) {
        ComputerKind::Mobile
    } else if begins(&["chrome"]) {
        ComputerKind::ChromeOs
    } else if begins(&["windows", "mac", "linux"]) {
        ComputerKind::Workstation
    } else {
        ComputerKind::Other
    }
}

#[cfg(test)]
mod tests;
