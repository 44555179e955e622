//! What the lanes read, and what it says of a user. It must not know where a lane stands.

use jiff::Timestamp;
use serde::Deserialize;
use tenantry::model::{AttributeName, Facet, MfaState, ObjectKind, Patch, SourceId, UserKind, Value, names};
use uuid::Uuid;

/// The registered methods, as Graph spells them.
const METHODS: AttributeName = AttributeName::fixed("attributes.mfa_methods");
/// What the mailbox is for, as Graph spells it.
const MAILBOX: AttributeName = AttributeName::fixed("attributes.mailbox");
/// The last sign-in that succeeded.
const LAST_LOGON: AttributeName = AttributeName::fixed("attributes.last_logon");
/// The last attempt to sign in, successful or not.
const LAST_ATTEMPT: AttributeName = AttributeName::fixed("attributes.last_sign_in_attempt");
/// The last sign-in of a program in the user's name.
const LAST_BY_PROGRAM: AttributeName = AttributeName::fixed("attributes.last_non_interactive_sign_in");

/// A row of the report on second factors. Disabled accounts have none, which says nothing about them.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Registration {
    id: Uuid,
    is_mfa_registered: Option<bool>,
    methods_registered: Option<Vec<String>>,
}

impl Registration {
    pub(super) fn patch(&self) -> Option<Patch> {
        // Registered counts; whether a policy lets it be used (`isMfaCapable`) is another matter.
        let state = if self.is_mfa_registered? { MfaState::Enrolled } else { MfaState::NotEnrolled };
        let mut patch = of(self.id, Facet::Mfa).with(names::MFA, state);
        if let Some(methods) = &self.methods_registered {
            patch.attributes.set(METHODS, Value::list(methods.iter().map(String::as_str)));
        }
        Some(patch)
    }
}

/// A user with the time of the last sign-ins; nothing for who never signed in.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SignIn {
    id: Uuid,
    sign_in_activity: Option<Activity>,
}

#[allow(clippy::struct_field_names, reason = "as Graph calls them")]
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Activity {
    /// Counts attempts that failed.
    last_sign_in_date_time: Option<String>,
    last_successful_sign_in_date_time: Option<String>,
    last_non_interactive_sign_in_date_time: Option<String>,
}

impl SignIn {
    pub(super) fn patch(&self) -> Option<Patch> {
        let activity = self.sign_in_activity.as_ref()?;
        let mut patch = of(self.id, Facet::SignIn);
        for (name, time) in [
            (LAST_LOGON, &activity.last_successful_sign_in_date_time),
            (LAST_ATTEMPT, &activity.last_sign_in_date_time),
            (LAST_BY_PROGRAM, &activity.last_non_interactive_sign_in_date_time),
        ] {
            if let Some(time) = time.as_deref().and_then(time_of) {
                patch.observations.set(name, time);
            }
        }
        (!patch.observations.is_empty()).then_some(patch)
    }
}

/// Spells a time as everywhere; the year 1 is never.
fn time_of(text: &str) -> Option<String> {
    let millis = text.parse::<Timestamp>().ok()?.as_millisecond();
    (millis > 0).then(|| tenantry::model::Timestamp(millis).to_string())
}

/// A user, as far as it tells whether there is a mailbox to ask for.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UserWithMailbox {
    id: Uuid,
    mail: Option<String>,
    user_type: Option<String>,
}

impl UserWithMailbox {
    /// Returns the id of who may have a mailbox here: a guest's is elsewhere.
    pub(super) fn id(&self) -> Option<Uuid> {
        let guest = self.user_type.as_deref().is_some_and(|kind| kind.eq_ignore_ascii_case("guest"));
        (!guest && self.mail.as_deref().is_some_and(|mail| !mail.is_empty())).then_some(self.id)
    }
}

/// What a mailbox is for.
#[derive(Debug, Deserialize)]
pub(super) struct Purpose {
    value: String,
}

impl Purpose {
    pub(super) fn patch(&self, id: Uuid) -> Patch {
        let patch = of(id, Facet::Mailbox).with(MAILBOX, self.value.as_str());
        let kind = match self.value.as_str() {
            "shared" => UserKind::Shared,
            "room" => UserKind::Room,
            "equipment" => UserKind::Equipment,
            // An ordinary mailbox says nothing of whose it is: a member's, a guest's that has one here, or a service's.
            // What it was before may have been said: a shared mailbox can be made a person's.
            _ => return patch.forgetting(names::KIND),
        };
        patch.with(names::KIND, kind)
    }
}

fn of(id: Uuid, facet: Facet) -> Patch {
    let mut patch = Patch::new(ObjectKind::User, SourceId::Guid(id));
    patch.facet = facet;
    patch
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ID: &str = "86462606-fde0-4fc4-9e0c-a20eb73e54c6";

    #[test]
    fn a_second_factor_is_there_when_it_is_registered_and_unknown_when_nothing_is_said() {
        let read = |value| serde_json::from_value::<Registration>(value).unwrap().patch();
        let mfa = |patch: Option<Patch>| patch.unwrap().attributes.text(&names::MFA).map(ToOwned::to_owned);
        let row = json!({ "id": ID, "isMfaRegistered": true, "isMfaCapable": false, "methodsRegistered": ["b", "a"] });
        assert_eq!(mfa(read(row)).as_deref(), Some("enrolled"));
        assert_eq!(mfa(read(json!({ "id": ID, "isMfaRegistered": false }))).as_deref(), Some("not-enrolled"));
        assert!(read(json!({ "id": ID, "isMfaCapable": true })).is_none());
    }

    #[test]
    fn sign_ins_are_observed_and_never_compared() {
        let read = |value| serde_json::from_value::<SignIn>(value).unwrap().patch();
        let patch = read(json!({ "id": ID, "signInActivity": {
            "lastSignInDateTime": "2026-01-02T03:04:05Z",
            "lastSuccessfulSignInDateTime": "2026-01-01T00:00:00.1234567Z",
            "lastNonInteractiveSignInDateTime": "0001-01-01T00:00:00Z",
        }}))
        .unwrap();
        assert!(patch.attributes.is_empty());
        assert_eq!(patch.observations.text(&LAST_LOGON), Some("2026-01-01T00:00:00.123Z"));
        assert_eq!(patch.observations.text(&LAST_ATTEMPT), Some("2026-01-02T03:04:05.000Z"));
        assert_eq!(patch.observations.get(&LAST_BY_PROGRAM), None);
        for nothing in [
            json!({ "id": ID }),
            json!({ "id": ID, "signInActivity": null }),
            json!({ "id": ID, "signInActivity": {} }),
        ] {
            assert!(read(nothing).is_none());
        }
    }

    #[test]
    fn a_mailbox_tells_the_kind_of_those_who_are_no_people_and_takes_it_back() {
        let patch = |value: &str| Purpose { value: value.to_owned() }.patch(ID.parse().unwrap());
        for (purpose, kind) in [("shared", "shared"), ("room", "room"), ("equipment", "equipment")] {
            assert_eq!(patch(purpose).attributes.text(&names::KIND), Some(kind));
        }
        for purpose in ["user", "linked", "others", "unknownFutureValue", "somethingNew"] {
            let patch = patch(purpose);
            assert_eq!(patch.attributes.get(&names::KIND), None);
            assert_eq!(patch.forgets, [names::KIND]);
            assert_eq!(patch.attributes.text(&MAILBOX), Some(purpose));
        }
    }

    #[test]
    fn only_members_with_an_address_are_asked_for() {
        let asked = |value| serde_json::from_value::<UserWithMailbox>(value).unwrap().id().is_some();
        assert!(asked(json!({ "id": ID, "mail": "a@corp.example", "userType": null })));
        assert!(!asked(json!({ "id": ID, "mail": "a@corp.example", "userType": "Guest" })));
        assert!(!asked(json!({ "id": ID, "mail": null, "userType": "Member" })));
    }
}
