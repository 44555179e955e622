//! The slow lanes: purpose of mailboxes, registration of second factors, sign-ins; it knows no transport.

use serde_json::{Value, json};

use super::error::Problem;
use super::ids::{Kind, Ref};
use super::listing::Listing;
use super::page::Page;
use super::permissions::WHOLE_USERS;
use super::properties::BASIC;
use super::service::{Asked, Output};
use super::state::State;
use super::token::seal_place;

fn missing(permissions: &str) -> Problem {
    let message = format!("Calling principal does not have required MSGraph permissions {permissions}");
    Problem::new(403, "Authentication_MSGraphPermissionMissing", message)
}

fn no_licence() -> Problem {
    let message = "Neither tenant is B2C or tenant doesn't have premium license";
    Problem::new(403, "Authentication_RequestFromNonPremiumTenantOrB2CTenant", message)
}

impl Asked<'_> {
    /// Holds the selection against the rights: basic profiles, sign-ins.
    pub(crate) fn may_select(&self, kind: Kind) -> Result<(), Problem> {
        if kind != Kind::User {
            return Ok(());
        }
        let names = self.query.select.as_deref().unwrap_or_default();
        if names.iter().any(|name| name == "signInActivity") {
            if !self.app.has("AuditLog.Read.All") {
                return Err(missing("AuditLog.Read.All"));
            }
            if !self.settings.premium {
                return Err(no_licence());
            }
        }
        if !self.app.may(WHOLE_USERS) && names.iter().any(|name| !BASIC.contains(&name.as_str())) {
            return Err(Problem::denied());
        }
        Ok(())
    }
}

/// Who a mailbox is for.
pub(crate) fn purpose(asked: &Asked<'_>, state: &State, id: &str) -> Result<Output, Problem> {
    if !asked.app.has("MailboxSettings.Read") {
        let message = "Access is denied. Check credentials and try again.";
        return Err(Problem::new(403, "ErrorAccessDenied", message));
    }
    let user = state.wanted(Some(Kind::User), id)?;
    let purpose = match state.hidden(user, "purpose") {
        Some(purpose) => purpose.clone(),
        None if user.ordinal() < state.seeded(Kind::User) => seeded_purpose(state, user),
        None => json!("user"),
    };
    if purpose.is_null() {
        let message = "The mailbox is either inactive, soft-deleted, or is hosted on-premise.";
        return Err(Problem::new(404, "MailboxNotEnabledForRESTAPI", message));
    }
    let id = state.id(user);
    let context = format!("{}/$metadata#users('{id}')/mailboxSettings/userPurpose", asked.base());
    Ok(Output::Json(json!({ "@odata.context": context, "value": purpose })))
}

fn seeded_purpose(state: &State, user: Ref) -> Value {
    let chance = |what, percent| state.seeds.chance(Kind::User, user.ordinal(), what, percent);
    match () {
        () if state.seeds.is_guest(user.ordinal()) => Value::Null,
        () if chance(40, 2) => json!("shared"),
        () if chance(41, 1) => json!("room"),
        () => json!("user"),
    }
}

/// Whether a user registered a second factor; by chance for seeded users.
fn has_factor(state: &State, user: Ref) -> bool {
    match state.hidden(user, "mfa") {
        Some(value) => value.as_bool().unwrap_or(false),
        None => user.ordinal() < state.seeded(Kind::User) && state.seeds.chance(Kind::User, user.ordinal(), 42, 70),
    }
}

/// The report on registrations, which knows enabled users only.
pub(crate) fn registration(asked: &Asked<'_>, state: &State, listing: &Listing<'_>) -> Result<Page, Problem> {
    if !asked.app.has("AuditLog.Read.All") {
        return Err(missing("AuditLog.Read.All"));
    }
    if !asked.settings.premium {
        return Err(no_licence());
    }
    let size = asked.query.top.unwrap_or(asked.settings.page).min(asked.settings.max_page) as usize;
    let (position, number) = listing.place()?;
    let mut page = Page::new(format!("{}reports/authenticationMethods/userRegistrationDetails", listing.metadata));
    for ordinal in u32::try_from(position).unwrap_or(u32::MAX)..state.end(Kind::User) {
        let user = Ref::new(Kind::User, ordinal);
        if !state.is_live(user) || state.named(user, "accountEnabled") != Value::Bool(true) {
            continue;
        }
        if state.hidden(user, "unreported").is_some() {
            continue;
        }
        if page.len() == size {
            let token = seal_place(u64::from(ordinal), number + 1, listing.key);
            page.next = Some(format!("{}?{}", listing.address, asked.query.at(&token)));
            break;
        }
        let factor = has_factor(state, user);
        let kind = state.text(user, "userType").unwrap_or_else(|| "Member".to_owned()).to_lowercase();
        let row = json!({
            "id": state.id(user).to_string(), "userPrincipalName": state.text(user, "userPrincipalName"),
            "userDisplayName": state.text(user, "displayName"), "userType": kind,
            "isAdmin": state.hidden(user, "admin").is_some(), "isSsprRegistered": factor, "isSsprEnabled": false,
            "isSsprCapable": false, "isMfaRegistered": factor, "isMfaCapable": factor, "isPasswordlessCapable": false,
            "methodsRegistered": if factor { json!(["microsoftAuthenticatorPush", "softwareOneTimePasscode"]) } else { json!([]) },
            "isSystemPreferredAuthenticationMethodEnabled": true,
            "systemPreferredAuthenticationMethods": if factor { json!(["push"]) } else { json!([]) },
            "userPreferredMethodForSecondaryAuthentication": if factor { "push" } else { "" },
            "lastUpdatedDateTime": "2026-01-14T19:15:41.6195833Z",
        });
        page.row(|out| out.extend_from_slice(row.to_string().as_bytes()));
    }
    Ok(page)
}
