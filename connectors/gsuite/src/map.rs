//! Patches out of the API's objects. It must not know how they were asked for.

use std::collections::HashMap;

use tenantry::model::{
    AttributeName, Attributes, ComputerKind, GroupKind, MemberKind, MfaState, ObjectKind, Patch, SourceId, UserKind,
    UserState, Value, names,
};

use crate::wire::{ChromeOs, ExternalId, Group, Member, MemberType, Mobile, User};

/// Addresses that Google makes for itself.
const TEST_DOMAIN: &str = ".test-google-a.com";

/// The ids of organisational units by their paths; `None`: they could not be read.
pub(crate) type Units = Option<HashMap<String, String>>;

fn extra(name: &str) -> AttributeName {
    AttributeName::extra(name)
}

fn set_known(attributes: &mut Attributes, name: AttributeName, value: Option<bool>) {
    if let Some(value) = value {
        attributes.set(name, value);
    }
}

/// Makes a user's patch.
pub(crate) fn user(user: &User, units: &Units) -> Patch {
    let mut patch = Patch::new(ObjectKind::User, SourceId::Id(user.id.as_str().into()));
    let path = user.org_unit_path.as_deref().map(normal_path);
    patch.container = path.as_deref().map(Box::from);
    let kind = if user.is_guest_user == Some(true) { UserKind::Guest } else { UserKind::Person };
    let attributes = &mut patch.attributes;
    attributes.set(names::KIND, kind);
    attributes.set(names::PRIMARY_EMAIL, Value::text(Some(&user.primary_email)));
    // One signs in by it, whatever else.
    attributes.set(names::USERNAME, Value::text(Some(&user.primary_email)));
    // Everybody has a name there; who was just made may be shown without it for a while.
    if let Some(name) = &user.name {
        attributes.set(names::FIRST_NAME, Value::text(name.given_name.as_deref()));
        attributes.set(names::LAST_NAME, Value::text(name.family_name.as_deref()));
        attributes.set(names::DISPLAY_NAME, Value::text(name.full_name.as_deref()));
    }
    attributes.set(names::ALIASES, aliases(&user.primary_email, &user.aliases, &user.non_editable_aliases));
    if let (Some(suspended), Some(archived)) = (user.suspended, user.archived) {
        let state = if suspended || archived { UserState::Suspended } else { UserState::Active };
        attributes.set(names::STATE, state);
    } else if user.suspended == Some(true) || user.archived == Some(true) {
        attributes.set(names::STATE, UserState::Suspended);
    }
    set_known(attributes, extra("suspended_at_source"), user.suspended);
    set_known(attributes, extra("archived_at_source"), user.archived);
    attributes.set(extra("suspension_reason"), Value::text(user.suspension_reason.as_deref()));
    if let Some(enrolled) = user.enrolled {
        attributes.set(names::MFA, if enrolled { MfaState::Enrolled } else { MfaState::NotEnrolled });
    }
    set_known(attributes, extra("mfa_enforced"), user.enforced);
    set_known(attributes, names::MUST_CHANGE_PASSWORD, user.change_password_at_next_login);
    let role = match (user.is_admin, user.is_delegated_admin) {
        (Some(true), _) => Some(Value::from("super")),
        (Some(false), Some(true)) => Some(Value::from("delegated")),
        (Some(false), Some(false)) => Some(Value::Empty),
        _ => None,
    };
    if let Some(role) = role {
        attributes.set(extra("admin_role"), role);
    }
    attributes.set(extra("external_ids"), Value::list(user.external_ids.iter().filter_map(external_id)));
    if let Some(created) = &user.creation_time {
        attributes.set(extra("created_at"), Value::text(Some(created)));
    }
    set_unit(attributes, path.as_deref(), units);
    if let Some(login) = &user.last_login_time {
        // Who never signed in is shown with the beginning of time.
        let never = login.starts_with("1970-01-01T00:00:00");
        patch.observations.set(extra("last_logon"), Value::text((!never).then_some(login.as_str())));
    }
    patch
}

fn set_unit(attributes: &mut Attributes, path: Option<&str>, units: &Units) {
    let Some(path) = path else { return };
    attributes.set(extra("org_unit_path"), Value::text(Some(path)));
    if let Some(id) = units.as_ref().and_then(|units| units.get(path)) {
        attributes.set(extra("org_unit_id"), Value::text(Some(id)));
    }
}

/// Writes a path with its leading slash, which devices and some guides leave out.
pub(crate) fn normal_path(path: &str) -> String {
    format!("/{}", path.trim_start_matches('/'))
}

/// Other addresses than the primary one.
fn aliases(primary: &str, aliases: &[String], fixed: &[String]) -> Value {
    let real = |alias: &&String| {
        let made = alias.len() > TEST_DOMAIN.len() && alias.to_ascii_lowercase().ends_with(TEST_DOMAIN);
        !made && alias.contains('@') && !alias.eq_ignore_ascii_case(primary)
    };
    Value::list(aliases.iter().chain(fixed).filter(real).map(String::as_str))
}

fn external_id(id: &ExternalId) -> Option<String> {
    let value = id.value.as_deref().filter(|value| !value.is_empty())?;
    let kind = id.custom_type.as_deref().filter(|kind| !kind.is_empty()).or(id.kind.as_deref()).unwrap_or("custom");
    Some(format!("{kind}:{value}"))
}

/// Makes a group's patch.
pub(crate) fn group(group: &Group) -> Patch {
    let mut patch = Patch::new(ObjectKind::Group, SourceId::Id(group.id.as_str().into()))
        .with(names::KIND, GroupKind::Google)
        .with(names::NAME, Value::text(group.name.as_deref()))
        .with(names::EMAIL, Value::text(Some(&group.email)))
        .with(names::DESCRIPTION, Value::text(group.description.as_deref()));
    patch.attributes.set(extra("aliases"), aliases(&group.email, &group.aliases, &group.non_editable_aliases));
    set_known(&mut patch.attributes, extra("admin_created"), group.admin_created);
    patch
}

/// Says what a member is if the domain beside it is one of the account's; if it is not, the member is somebody outside.
pub(crate) fn member<'a>(member: &'a Member<'_>) -> (tenantry::model::Member, Option<&'a str>) {
    let kind = match member.kind {
        Some(MemberType::Customer) => MemberKind::Everyone,
        // Addresses of others come as users and groups; the documented type for them is not in use.
        Some(MemberType::External) => MemberKind::External,
        Some(MemberType::User) => MemberKind::User,
        Some(MemberType::Group) => MemberKind::Group,
        Some(MemberType::Other) | None => MemberKind::Unknown,
    };
    let depends = matches!(kind, MemberKind::User | MemberKind::Group);
    let domain = member.email.as_deref().filter(|_| depends).and_then(|email| email.rsplit('@').next());
    let id = SourceId::Id((&*member.id).into());
    (tenantry::model::Member { id, kind }, domain)
}

/// Makes a Chrome OS device's patch; `owner` is unknown where it was not looked for.
pub(crate) fn chromeos(device: &ChromeOs, owner: Option<Value>, units: &Units) -> Patch {
    let path = device.org_unit_path.as_deref().map(normal_path);
    let asset = device.annotated_asset_id.as_deref().filter(|id| !id.is_empty());
    let mut patch = Patch::new(ObjectKind::Computer, SourceId::parse(&device.device_id))
        .with(names::KIND, ComputerKind::ChromeOs)
        .with(names::NAME, Value::text(asset.or(device.serial_number.as_deref()).or(Some(&device.device_id))))
        .with(names::OS, "ChromeOS")
        .with(names::OS_VERSION, Value::text(device.os_version.as_deref()));
    patch.container = path.as_deref().map(Box::from);
    if let Some(status) = &device.status {
        patch.attributes.set(names::ENABLED, status == "ACTIVE");
    }
    set_device(&mut patch, device.status.as_deref(), device.serial_number.as_deref(), device.model.as_deref(), owner);
    set_unit(&mut patch.attributes, path.as_deref(), units);
    seen(&mut patch, device.last_sync.as_deref());
    patch
}

/// Makes a mobile device's patch.
pub(crate) fn mobile(device: &Mobile, owner: Option<Value>) -> Patch {
    // `Android 14`, `iOS 17.4.1`: the version stands behind the last space.
    let os = device.os.as_deref().unwrap_or_default();
    let versioned = os.rsplit_once(' ').filter(|(_, version)| version.starts_with(|c: char| c.is_ascii_digit()));
    let (system, version) = versioned.map_or((os, None), |(system, version)| (system, Some(version)));
    let serial = device.serial_number.as_deref().filter(|serial| !serial.is_empty());
    let name = serial.or(device.model.as_deref()).or(Some(&device.resource_id));
    let mut patch = Patch::new(ObjectKind::Computer, SourceId::parse(&device.resource_id))
        .with(names::KIND, ComputerKind::Mobile)
        .with(names::NAME, Value::text(name))
        .with(names::OS, Value::text(Some(system)))
        .with(names::OS_VERSION, Value::text(version));
    if let Some(status) = &device.status {
        patch.attributes.set(names::ENABLED, status == "APPROVED");
    }
    patch.attributes.set(extra("device_type"), Value::text(device.kind.as_deref()));
    set_device(&mut patch, device.status.as_deref(), serial, device.model.as_deref(), owner);
    seen(&mut patch, device.last_sync.as_deref());
    patch
}

fn set_device(
    patch: &mut Patch,
    status: Option<&str>,
    serial: Option<&str>,
    model: Option<&str>,
    owner: Option<Value>,
) {
    patch.attributes.set(extra("status"), Value::text(status));
    patch.attributes.set(extra("serial_number"), Value::text(serial));
    patch.attributes.set(extra("model"), Value::text(model));
    set_owner(patch, owner);
}

/// Notes a device's owner; an unknown one is left out.
pub(crate) fn set_owner(patch: &mut Patch, owner: Option<Value>) {
    if let Some(owner) = owner {
        patch.attributes.set(names::OWNER, owner);
    }
}

fn seen(patch: &mut Patch, last_sync: Option<&str>) {
    if let Some(time) = last_sync {
        patch.observations.set(extra("last_seen"), Value::text(Some(time)));
    }
}

#[cfg(test)]
mod tests;
