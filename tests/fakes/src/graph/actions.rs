//! Writes of clients: disabling, forcing a new password, ending sessions; it knows no transport.

use serde_json::{Map, Value, json};

use super::clock::instant;
use super::error::Problem;
use super::ids::{Kind, Ref};
use super::properties;
use super::route::Route;
use super::service::{Asked, Output};
use super::state::State;

const WRITING: &[&str] = &["User.ReadWrite.All", "Directory.ReadWrite.All"];

/// What is mastered on-premises cannot be written here.
fn mastered_elsewhere(names: &[&str]) -> Problem {
    let message = format!(
        "Unable to update the specified properties for on-premises mastered Directory Sync objects or objects \
         currently undergoing migration: {}",
        names.join(", ")
    );
    Problem::bad(message)
}

impl Asked<'_> {
    pub(crate) fn write(&self, id: &str) -> Result<Output, Problem> {
        match &self.route {
            Route::Patch(_) => {
                let body: Map<String, Value> = serde_json::from_slice(&self.request.body)
                    .map_err(|_| Problem::new(400, "BadRequest", "Unable to read JSON request payload."))?;
                self.may_write(&body)?;
                self.inner.writing(|state| Self::patch(state, id, &body))?;
                Ok(Output::Nothing)
            }
            _ => {
                if !self.app.has("User.RevokeSessions.All") && !self.app.may(WRITING) {
                    return Err(Problem::denied());
                }
                let now = instant(self.inner.now() / 1000);
                self.inner.writing(|state| {
                    let user = state.wanted(Some(Kind::User), id)?;
                    state.set(user, at("signInSessionsValidFromDateTime").map(|place| (place, json!(now))));
                    Ok(())
                })?;
                if self.settings.revoke_without_content {
                    return Ok(Output::Nothing);
                }
                let context = format!("{}/$metadata#Edm.Boolean", self.base());
                Ok(Output::Json(json!({ "@odata.context": context, "value": true })))
            }
        }
    }

    fn may_write(&self, body: &Map<String, Value>) -> Result<(), Problem> {
        let may = body.keys().all(|name| match name.as_str() {
            // The account's switch alone asks for two permissions.
            "accountEnabled" => {
                self.app.may(WRITING)
                    || (self.app.has("User.EnableDisableAccount.All") && self.app.has("User.Read.All"))
            }
            "passwordProfile" => {
                self.app.has("User-PasswordProfile.ReadWrite.All") || self.app.has("Directory.ReadWrite.All")
            }
            _ => self.app.may(WRITING),
        });
        if may { Ok(()) } else { Err(Problem::denied()) }
    }

    fn patch(state: &mut State, id: &str, body: &Map<String, Value>) -> Result<(), Problem> {
        let user = state.wanted(Some(Kind::User), id)?;
        if state.hidden(user, "admin").is_some() || state.named(user, "isManagementRestricted") == Value::Bool(true) {
            return Err(Problem::denied());
        }
        let synced = state.named(user, "onPremisesSyncEnabled") == Value::Bool(true);
        let mut values = Vec::new();
        for (name, value) in body {
            if name.starts_with('@') {
                continue;
            }
            let place = at(name).ok_or_else(|| {
                Problem::bad(format!("Property '{name}' does not exist as a declared property or extension property."))
            })?;
            if matches!(name.as_str(), "id" | "proxyAddresses" | "createdDateTime" | "signInActivity") {
                return Err(Problem::bad(format!("Property '{name}' is read-only and cannot be set.")));
            }
            values.push((place, value.clone()));
        }
        if synced {
            return Err(mastered_elsewhere(&body.keys().map(String::as_str).collect::<Vec<_>>()));
        }
        check_values(body)?;
        let (password, values): (Vec<_>, Vec<_>) =
            values.into_iter().partition(|(place, _)| Some(*place) == at("passwordProfile"));
        if let Some((_, profile)) = password.into_iter().next() {
            // It can be written and is never read back.
            state.hide(user, "passwordProfile", profile);
        }
        state.set(user, values);
        Ok(())
    }
}

fn check_values(body: &Map<String, Value>) -> Result<(), Problem> {
    let wrong = |name: &str| Err(Problem::bad(format!("Invalid value specified for property '{name}'.")));
    match (body.get("accountEnabled"), body.get("passwordProfile")) {
        (Some(value), _) if !value.is_boolean() => wrong("accountEnabled"),
        (_, Some(value)) if !value.is_object() => wrong("passwordProfile"),
        _ => Ok(()),
    }
}

fn at(name: &str) -> Option<u8> {
    properties::place(Kind::User, name)
}

/// Whether a user must choose a new password at the next sign-in.
pub(crate) fn must_change_password(state: &State, user: Ref) -> bool {
    let flag = |profile: &Value, name: &str| profile[name].as_bool().unwrap_or(false);
    state.hidden(user, "passwordProfile").is_some_and(|profile| {
        flag(profile, "forceChangePasswordNextSignIn") || flag(profile, "forceChangePasswordNextSignInWithMfa")
    })
}
