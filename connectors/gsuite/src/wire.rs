//! The API's objects as they come, as far as they are asked for. It must not know what becomes of them.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// The fields of users that are asked for; personal addresses and numbers are not among them.
pub(crate) const USER_FIELDS: &str = "id,primaryEmail,name(givenName,familyName,fullName),suspended,suspensionReason,\
    archived,isAdmin,isDelegatedAdmin,aliases,nonEditableAliases,isEnrolledIn2Sv,isEnforcedIn2Sv,orgUnitPath,\
    externalIds,lastLoginTime,creationTime,changePasswordAtNextLogin,isGuestUser";
/// The fields of groups that are asked for.
pub(crate) const GROUP_FIELDS: &str = "id,email,name,description,aliases,nonEditableAliases,adminCreated";
/// The fields of members that are asked for.
pub(crate) const MEMBER_FIELDS: &str = "id,email,type";
/// The fields of Chrome OS devices that are asked for.
pub(crate) const CHROMEOS_FIELDS: &str = "deviceId,serialNumber,status,lastSync,annotatedUser,annotatedAssetId,model,\
    osVersion,orgUnitPath,recentUsers(type,email)";
/// The fields of mobile devices that are asked for.
pub(crate) const MOBILE_FIELDS: &str =
    "resourceId,deviceId,serialNumber,status,lastSync,email,model,os,type,hardwareId";

/// Makes a mask for a listing: it always asks for the next token, without which a listing ends silently.
pub(crate) fn mask(items: &str, fields: &str) -> String {
    format!("nextPageToken,{items}({fields})")
}

/// One page of any listing.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Page {
    #[serde(
        default,
        alias = "users",
        alias = "groups",
        alias = "members",
        alias = "chromeosdevices",
        alias = "mobiledevices",
        alias = "organizationUnits"
    )]
    pub(crate) items: Vec<Box<RawValue>>,
    #[serde(rename = "nextPageToken")]
    next: Option<String>,
}

impl Page {
    /// Returns the next page's token; an empty one is none.
    pub(crate) fn next(&self) -> Option<&str> {
        self.next.as_deref().filter(|token| !token.is_empty())
    }
}

/// What every object has at least, for those that make no sense otherwise.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AnyId {
    id: Option<String>,
    device_id: Option<String>,
    resource_id: Option<String>,
}

/// Reads an id out of what cannot be read as a whole, also where another kind's id makes no sense.
pub(crate) fn salvaged_id(item: &RawValue) -> Option<String> {
    let any: AnyId = serde_json::from_str(item.get()).or_else(|_| AnyId::piecewise(item)).ok()?;
    any.id.or(any.resource_id).or(any.device_id).filter(|id| !id.is_empty())
}

impl AnyId {
    /// Reads each field by itself, the last one of its name.
    fn piecewise(item: &RawValue) -> serde_json::Result<Self> {
        let fields: serde_json::Map<String, Value> = serde_json::from_str(item.get())?;
        let text = |name: &str| fields.get(name).and_then(Value::as_str).map(str::to_owned);
        Ok(Self { id: text("id"), device_id: text("deviceId"), resource_id: text("resourceId") })
    }
}

/// Reads a user, who has an id and an address.
pub(crate) fn user(item: &RawValue) -> Option<User> {
    let user: User = serde_json::from_str(item.get()).ok()?;
    (!user.id.is_empty() && user.primary_email.contains('@')).then_some(user)
}

/// Reads a group, which has an id.
pub(crate) fn group(item: &RawValue) -> Option<Group> {
    serde_json::from_str(item.get()).ok().filter(|group: &Group| !group.id.is_empty())
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the names of the wire")]
pub(crate) struct User {
    pub(crate) id: String,
    pub(crate) primary_email: String,
    pub(crate) name: Option<Name>,
    pub(crate) suspended: Option<bool>,
    pub(crate) suspension_reason: Option<String>,
    pub(crate) archived: Option<bool>,
    pub(crate) is_admin: Option<bool>,
    pub(crate) is_delegated_admin: Option<bool>,
    #[serde(default)]
    pub(crate) aliases: Vec<String>,
    #[serde(default)]
    pub(crate) non_editable_aliases: Vec<String>,
    #[serde(rename = "isEnrolledIn2Sv")]
    pub(crate) enrolled: Option<bool>,
    #[serde(rename = "isEnforcedIn2Sv")]
    pub(crate) enforced: Option<bool>,
    pub(crate) org_unit_path: Option<String>,
    #[serde(default)]
    pub(crate) external_ids: Vec<ExternalId>,
    pub(crate) last_login_time: Option<String>,
    pub(crate) creation_time: Option<String>,
    pub(crate) change_password_at_next_login: Option<bool>,
    pub(crate) is_guest_user: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the names of the wire")]
pub(crate) struct Name {
    pub(crate) given_name: Option<String>,
    pub(crate) family_name: Option<String>,
    pub(crate) full_name: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ExternalId {
    pub(crate) value: Option<String>,
    #[serde(rename = "type")]
    pub(crate) kind: Option<String>,
    pub(crate) custom_type: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Group {
    pub(crate) id: String,
    pub(crate) email: String,
    pub(crate) name: Option<String>,
    pub(crate) description: Option<String>,
    #[serde(default)]
    pub(crate) aliases: Vec<String>,
    #[serde(default)]
    pub(crate) non_editable_aliases: Vec<String>,
    pub(crate) admin_created: Option<bool>,
}

/// One page of members. There are ten times as many of them as of anything else: they are read in place.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MembersPage<'a> {
    #[serde(borrow, default)]
    pub(crate) members: Vec<Member<'a>>,
    next_page_token: Option<String>,
}

impl MembersPage<'_> {
    /// Returns the next page's token; an empty one is none.
    pub(crate) fn next(&self) -> Option<&str> {
        self.next_page_token.as_deref().filter(|token| !token.is_empty())
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct Member<'a> {
    #[serde(borrow)]
    pub(crate) id: Cow<'a, str>,
    pub(crate) email: Option<String>,
    #[serde(rename = "type")]
    pub(crate) kind: Option<MemberType>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum MemberType {
    User,
    Group,
    Customer,
    External,
    #[serde(other)]
    Other,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OrgUnit {
    pub(crate) org_unit_id: String,
    pub(crate) org_unit_path: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChromeOs {
    pub(crate) device_id: String,
    pub(crate) serial_number: Option<String>,
    pub(crate) status: Option<String>,
    pub(crate) last_sync: Option<String>,
    pub(crate) annotated_user: Option<String>,
    pub(crate) annotated_asset_id: Option<String>,
    pub(crate) model: Option<String>,
    pub(crate) os_version: Option<String>,
    pub(crate) org_unit_path: Option<String>,
    #[serde(default)]
    pub(crate) recent_users: Vec<RecentUser>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct RecentUser {
    pub(crate) email: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Mobile {
    pub(crate) resource_id: String,
    pub(crate) serial_number: Option<String>,
    pub(crate) status: Option<String>,
    pub(crate) last_sync: Option<String>,
    #[serde(default)]
    pub(crate) email: Vec<String>,
    pub(crate) model: Option<String>,
    pub(crate) os: Option<String>,
    #[serde(rename = "type")]
    pub(crate) kind: Option<String>,
}

impl ChromeOs {
    /// Returns whose device it is: the one written on it, else the one who used it last.
    pub(crate) fn owner(&self) -> Option<&str> {
        let recent = || self.recent_users.iter().find_map(|user| user.email.as_deref());
        self.annotated_user.as_deref().filter(|text| text.contains('@')).or_else(recent)
    }
}

impl Mobile {
    /// Returns whose device it is.
    pub(crate) fn owner(&self) -> Option<&str> {
        self.email.first().map(String::as_str)
    }
}
