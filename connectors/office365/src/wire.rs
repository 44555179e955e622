//! The shapes of Graph's answers, borrowed from the bytes they came in. It must not know what they mean.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Error as _, IgnoredAny, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// A property of three states: Graph leaves out what was not asked for, or what never had a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Field<T> {
    /// Not in the row.
    #[default]
    Absent,
    /// In the row, without a value.
    Null,
    /// In the row.
    Is(T),
}

impl<T> Field<T> {
    pub(crate) fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    pub(crate) fn value(&self) -> Option<&T> {
        match self {
            Self::Is(value) => Some(value),
            _ => None,
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::<T>::deserialize(deserializer).map(|value| value.map_or(Self::Null, Self::Is))
    }
}

/// Text that is borrowed where nothing in it is escaped.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Text<'a>(pub(crate) Cow<'a, str>);

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::ops::Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;

        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }

            fn visit_string<E>(self, text: String) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text)))
            }
        }

        deserializer.deserialize_str(TextVisitor)
    }
}

/// Something that only its being there is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Present;

impl<'de> Deserialize<'de> for Present {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

/// Why an object or a membership is no longer there. What is not understood counts as restorable.
#[derive(Debug, Deserialize)]
pub(crate) struct Removed<'a> {
    #[serde(borrow, default)]
    pub(crate) reason: Field<Text<'a>>,
}

impl Removed<'_> {
    /// Tells whether it cannot come back.
    pub(crate) fn for_good(&self) -> bool {
        self.reason.value().is_some_and(|reason| reason.eq_ignore_ascii_case("deleted"))
    }
}

type Texts<'a> = Vec<Option<Text<'a>>>;

/// A user.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UserRow<'a> {
    #[serde(borrow)]
    pub(crate) id: Text<'a>,
    #[serde(rename = "@removed", borrow)]
    pub(crate) removed: Option<Removed<'a>>,
    #[serde(default)]
    pub(crate) account_enabled: Field<bool>,
    #[serde(borrow, default)]
    pub(crate) user_principal_name: Field<Text<'a>>,
    #[serde(borrow, default)]
    pub(crate) mail: Field<Text<'a>>,
    #[serde(borrow, default)]
    pub(crate) proxy_addresses: Field<Texts<'a>>,
    #[serde(borrow, default)]
    pub(crate) given_name: Field<Text<'a>>,
    #[serde(borrow, default)]
    pub(crate) surname: Field<Text<'a>>,
    #[serde(borrow, default)]
    pub(crate) display_name: Field<Text<'a>>,
    #[serde(borrow, default)]
    pub(crate) user_type: Field<Text<'a>>,
    #[serde(borrow, default)]
    pub(crate) external_user_state: Field<Text<'a>>,
    #[serde(borrow, default)]
    pub(crate) creation_type: Field<Text<'a>>,
    #[serde(default)]
    pub(crate) on_premises_sync_enabled: Field<bool>,
    #[serde(borrow, default)]
    pub(crate) on_premises_immutable_id: Field<Text<'a>>,
    #[serde(borrow, default)]
    pub(crate) on_premises_security_identifier: Field<Text<'a>>,
    #[serde(borrow, default)]
    pub(crate) on_premises_sam_account_name: Field<Text<'a>>,
    #[serde(borrow, default)]
    pub(crate) employee_id: Field<Text<'a>>,
    #[serde(borrow, default)]
    pub(crate) department: Field<Text<'a>>,
    #[serde(borrow, default)]
    pub(crate) job_title: Field<Text<'a>>,
    #[serde(borrow, default)]
    pub(crate) company_name: Field<Text<'a>>,
    #[serde(borrow, default)]
    pub(crate) business_phones: Field<Texts<'a>>,
    #[serde(borrow, default)]
    pub(crate) mobile_phone: Field<Text<'a>>,
    #[serde(borrow, default)]
    pub(crate) office_location: Field<Text<'a>>,
    #[serde(borrow, default)]
    pub(crate) city: Field<Text<'a>>,
    #[serde(borrow, default)]
    pub(crate) country: Field<Text<'a>>,
}

impl UserRow<'_> {
    /// What is asked of users: every property of the row.
    pub(crate) const SELECT: &'static [&'static str] = &[
        "id",
        "accountEnabled",
        "userPrincipalName",
        "mail",
        "proxyAddresses",
        "givenName",
        "surname",
        "displayName",
        "userType",
        "externalUserState",
        "creationType",
        "onPremisesSyncEnabled",
        "onPremisesImmutableId",
        "onPremisesSecurityIdentifier",
        "onPremisesSamAccountName",
        "employeeId",
        "department",
        "jobTitle",
        "companyName",
        "businessPhones",
        "mobilePhone",
        "officeLocation",
        "city",
        "country",
    ];

    /// Tells whether every property is in the row, so that it says all there is to say.
    pub(crate) fn is_whole(&self) -> bool {
        let texts = [
            &self.user_principal_name,
            &self.mail,
            &self.given_name,
            &self.surname,
            &self.display_name,
            &self.user_type,
            &self.external_user_state,
            &self.creation_type,
            &self.on_premises_immutable_id,
            &self.on_premises_security_identifier,
            &self.on_premises_sam_account_name,
            &self.employee_id,
            &self.department,
            &self.job_title,
            &self.company_name,
            &self.mobile_phone,
            &self.office_location,
            &self.city,
            &self.country,
        ];
        !texts.iter().any(|field| field.is_absent())
            && !self.account_enabled.is_absent()
            && !self.on_premises_sync_enabled.is_absent()
            && !self.proxy_addresses.is_absent()
            && !self.business_phones.is_absent()
    }
}

/// A group.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GroupRow<'a> {
    #[serde(borrow)]
    pub(crate) id: Text<'a>,
    #[serde(rename = "@removed", borrow)]
    pub(crate) removed: Option<Removed<'a>>,
    #[serde(rename = "members@delta", borrow, default)]
    pub(crate) members: Option<Vec<MemberRow<'a>>>,
    #[serde(borrow, default)]
    pub(crate) created_date_time: Field<Text<'a>>,
    #[serde(borrow, default)]
    pub(crate) display_name: Field<Text<'a>>,
    #[serde(borrow, default)]
    pub(crate) description: Field<Text<'a>>,
    #[serde(borrow, default)]
    pub(crate) mail: Field<Text<'a>>,
    #[serde(default)]
    pub(crate) mail_enabled: Field<bool>,
    #[serde(default)]
    pub(crate) security_enabled: Field<bool>,
    #[serde(borrow, default)]
    pub(crate) group_types: Field<Texts<'a>>,
    #[serde(borrow, default)]
    pub(crate) proxy_addresses: Field<Texts<'a>>,
    #[serde(borrow, default)]
    pub(crate) visibility: Field<Text<'a>>,
    #[serde(default)]
    pub(crate) is_assignable_to_role: Field<bool>,
    #[serde(default)]
    pub(crate) on_premises_sync_enabled: Field<bool>,
    #[serde(borrow, default)]
    pub(crate) on_premises_security_identifier: Field<Text<'a>>,
    #[serde(borrow, default)]
    pub(crate) on_premises_sam_account_name: Field<Text<'a>>,
}

impl GroupRow<'_> {
    /// What is asked of groups: every property of the row.
    pub(crate) const SELECT: &'static [&'static str] = &[
        "id",
        "createdDateTime",
        "displayName",
        "description",
        "mail",
        "mailEnabled",
        "securityEnabled",
        "groupTypes",
        "proxyAddresses",
        "visibility",
        "isAssignableToRole",
        "onPremisesSyncEnabled",
        "onPremisesSecurityIdentifier",
        "onPremisesSamAccountName",
    ];

    /// Tells whether every property is in the row.
    pub(crate) fn is_whole(&self) -> bool {
        let texts = [
            &self.created_date_time,
            &self.display_name,
            &self.description,
            &self.mail,
            &self.visibility,
            &self.on_premises_security_identifier,
            &self.on_premises_sam_account_name,
        ];
        let flags =
            [&self.mail_enabled, &self.security_enabled, &self.is_assignable_to_role, &self.on_premises_sync_enabled];
        !texts.iter().any(|field| field.is_absent())
            && !flags.iter().any(|field| field.is_absent())
            && !self.group_types.is_absent()
            && !self.proxy_addresses.is_absent()
    }

    /// Tells whether its members are shown only to who has a right of its own for that.
    pub(crate) fn hides_members(&self) -> bool {
        self.visibility.value().is_some_and(|visibility| visibility.eq_ignore_ascii_case("HiddenMembership"))
    }
}

/// A device.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeviceRow<'a> {
    #[serde(borrow)]
    pub(crate) id: Text<'a>,
    #[serde(rename = "@removed", borrow)]
    pub(crate) removed: Option<Removed<'a>>,
    #[serde(borrow, default)]
    pub(crate) device_id: Field<Text<'a>>,
    #[serde(borrow, default)]
    pub(crate) display_name: Field<Text<'a>>,
    #[serde(default)]
    pub(crate) account_enabled: Field<bool>,
    #[serde(borrow, default)]
    pub(crate) operating_system: Field<Text<'a>>,
    #[serde(borrow, default)]
    pub(crate) operating_system_version: Field<Text<'a>>,
    #[serde(borrow, default)]
    pub(crate) trust_type: Field<Text<'a>>,
    #[serde(borrow, default)]
    pub(crate) profile_type: Field<Text<'a>>,
    #[serde(default)]
    pub(crate) is_compliant: Field<bool>,
    #[serde(default)]
    pub(crate) is_managed: Field<bool>,
    #[serde(default)]
    pub(crate) on_premises_sync_enabled: Field<bool>,
    #[serde(borrow, default)]
    pub(crate) approximate_last_sign_in_date_time: Field<Text<'a>>,
    #[serde(borrow, default)]
    pub(crate) registered_owners: Field<Vec<MemberRow<'a>>>,
}

impl DeviceRow<'_> {
    /// What is asked of devices: every property of the row.
    pub(crate) const SELECT: &'static [&'static str] = &[
        "id",
        "deviceId",
        "displayName",
        "accountEnabled",
        "operatingSystem",
        "operatingSystemVersion",
        "trustType",
        "profileType",
        "isCompliant",
        "isManaged",
        "onPremisesSyncEnabled",
        "approximateLastSignInDateTime",
    ];
}

/// One member of a group, one owner of a device, or one object of which only kind and id count.
#[derive(Debug, Deserialize)]
pub(crate) struct MemberRow<'a> {
    #[serde(borrow)]
    pub(crate) id: Text<'a>,
    #[serde(rename = "@odata.type", borrow, default)]
    pub(crate) of_type: Field<Text<'a>>,
    #[serde(rename = "@removed", default)]
    pub(crate) removed: Option<Present>,
}

/// One page of rows that were all understood.
#[derive(Debug, Deserialize)]
#[serde(bound(deserialize = "R: Deserialize<'de>"))]
pub(crate) struct Page<'a, R> {
    #[serde(rename = "@odata.nextLink", borrow, default)]
    pub(crate) next: Option<Text<'a>>,
    #[serde(rename = "@odata.deltaLink", borrow, default)]
    pub(crate) delta: Option<Text<'a>>,
    pub(crate) value: Vec<R>,
}

/// One page, of which single rows could not be understood.
#[derive(Debug)]
pub(crate) struct Rows<'a, R> {
    /// Where the next page is.
    pub(crate) next: Option<Text<'a>>,
    /// Where the next delta begins.
    pub(crate) delta: Option<Text<'a>>,
    /// What was understood.
    pub(crate) read: Vec<R>,
    /// What was not: the id, if that much can be read, and what is wrong.
    pub(crate) odd: Vec<(Option<String>, String)>,
}

/// Reads a page; rows that make no sense are set aside instead of failing it.
pub(crate) fn read_page<'a, R: Deserialize<'a>>(body: &'a [u8]) -> serde_json::Result<Rows<'a, R>> {
    let error = match serde_json::from_slice::<Page<'a, R>>(body) {
        Ok(Page { next, delta, value }) => return Ok(Rows { next, delta, read: value, odd: Vec::new() }),
        Err(error) => error,
    };
    if !error.is_data() {
        return Err(error);
    }
    let Page { next, delta, value } = serde_json::from_slice::<Page<'a, &'a RawValue>>(body)?;
    let mut rows = Rows { next, delta, read: Vec::with_capacity(value.len()), odd: Vec::new() };
    for raw in value {
        match serde_json::from_str(raw.get()) {
            Ok(row) => rows.read.push(row),
            Err(error) => rows.odd.push(odd(raw, &error)),
        }
    }
    Ok(rows)
}

/// Says of a row that was not understood which one it is, and where; nothing of what is in it.
fn odd(raw: &RawValue, error: &serde_json::Error) -> (Option<String>, String) {
    #[derive(Deserialize)]
    struct Id {
        id: String,
    }
    let id = serde_json::from_str::<Id>(raw.get()).ok().map(|row| row.id).filter(|id| !id.is_empty());
    let reason = format!("a property is not of the type that graph documents, at character {}", error.column());
    (id, reason)
}

/// One page of a listing of members inside of a batch, or an error.
#[derive(Debug, Deserialize)]
pub(crate) struct Part<'a> {
    /// Graph says it as text; a number would be as good.
    #[serde(deserialize_with = "number")]
    pub(crate) id: usize,
    pub(crate) status: u16,
    #[serde(default)]
    pub(crate) headers: serde_json::Map<String, serde_json::Value>,
    #[serde(borrow, default)]
    pub(crate) body: Option<&'a RawValue>,
}

impl<'a> Part<'a> {
    pub(crate) fn body(&self) -> &'a [u8] {
        self.body.map_or(b"", |raw| raw.get().as_bytes())
    }
}

/// The answer of a batch.
#[derive(Debug, Deserialize)]
pub(crate) struct Batch<'a> {
    #[serde(borrow)]
    pub(crate) responses: Vec<Part<'a>>,
}

fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    let text = Text::deserialize(deserializer)?;
    text.parse().map_err(|_| D::Error::custom("an id that was not sent"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_null_and_a_value_are_three_things() {
        let row: UserRow<'_> = serde_json::from_str(r#"{"id":"a","mail":null,"surname":"Lee"}"#).unwrap();
        assert!(row.given_name.is_absent());
        assert_eq!(row.mail, Field::Null);
        assert_eq!(row.surname.value().map(|text| &**text), Some("Lee"));
        assert!(!row.is_whole());
    }

    #[test]
    fn text_is_borrowed_unless_it_is_escaped() {
        let row: UserRow<'_> = serde_json::from_str(r#"{"id":"a","city":"Ulm","country":"\u00d6sterreich"}"#).unwrap();
        assert!(matches!(row.city, Field::Is(Text(Cow::Borrowed("Ulm")))));
        assert_eq!(row.country.value().map(|text| &**text), Some("Österreich"));
    }

    #[test]
    fn every_selected_property_is_in_the_row_and_makes_it_whole() {
        fn row(select: &[&str]) -> String {
            let fields: Vec<_> = select
                .iter()
                .map(|name| format!("\"{name}\":{}", if *name == "id" { "\"a\"" } else { "null" }))
                .collect();
            format!("{{{}}}", fields.join(","))
        }
        let (user, group) = (row(UserRow::SELECT), row(GroupRow::SELECT));
        assert!(serde_json::from_str::<UserRow<'_>>(&user).unwrap().is_whole());
        assert!(serde_json::from_str::<GroupRow<'_>>(&group).unwrap().is_whole());
        for name in &UserRow::SELECT[1..] {
            let without = user.replace(&format!("\"{name}\":null"), "\"other\":null");
            assert!(!serde_json::from_str::<UserRow<'_>>(&without).unwrap().is_whole(), "{name}");
        }
        for name in &GroupRow::SELECT[1..] {
            let without = group.replace(&format!("\"{name}\":null"), "\"other\":null");
            assert!(!serde_json::from_str::<GroupRow<'_>>(&without).unwrap().is_whole(), "{name}");
        }
    }

    #[test]
    fn a_row_that_makes_no_sense_is_set_aside_with_its_id_and_the_others_stay() {
        let body = br#"{"@odata.nextLink":"https://graph.example/n","value":[{"id":"a"},{"id":"b","surname":7},{"surname":"x"}]}"#;
        let page = read_page::<UserRow<'_>>(body).unwrap();
        assert_eq!(page.read.len(), 1);
        assert_eq!(page.odd.iter().map(|(id, _)| id.as_deref()).collect::<Vec<_>>(), [Some("b"), None]);
        assert!(page.next.is_some());
        assert!(read_page::<UserRow<'_>>(br#"{"value":[{"id":"a"}"#).is_err());
        assert!(read_page::<UserRow<'_>>(br#"{"error":{}}"#).is_err());
    }
}
