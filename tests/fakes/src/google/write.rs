//! What each changing method does, told to the audit log as an administrator's deed; it knows no socket.

use serde_json::{Map, Value, json};

use super::account::Account;
use super::call::Call;
use super::member::{Member, MemberKind, Role};
use super::refusal::Refusal;
use super::resources::{known_group, known_user};
use super::state::text;

/// What the API lets a client write of a user; anything else is silently passed over, as the real one does.
const WRITABLE: [&str; 12] = [
    "changePasswordAtNextLogin",
    "archived",
    "includeInGlobalAddressList",
    "externalIds",
    "phones",
    "organizations",
    "addresses",
    "relations",
    "recoveryEmail",
    "recoveryPhone",
    "customSchemas",
    "orgUnitPath",
];

/// What a write is answered with.
pub(crate) enum Written {
    Object(Map<String, Value>),
    Nothing,
}

/// Does a changing method; `superior` says whether the subject is a super administrator.
pub(crate) fn write(account: &Account, call: &Call, superior: bool) -> Result<Written, Refusal> {
    let user = |key: &str| {
        let state = account.state();
        let id = known_user(&state, key)?;
        let user = state.user(&id).unwrap_or_default();
        // Nobody but another super administrator acts on a super administrator.
        let above = user.get("isAdmin") == Some(&json!(true)) && !superior;
        if above { Err(Refusal::forbidden()) } else { Ok(id) }
    };
    let shown = |id: &str| Written::Object(account.user(id).unwrap_or_default());
    match call.operation {
        "users.update" | "users.patch" => {
            let id = user(call.key(0))?;
            update(account, &id, &call.body, call.operation == "users.patch")?;
            Ok(shown(&id))
        }
        "users.insert" => {
            let body = &call.body;
            let name = |part: &str| body["name"][part].as_str().unwrap_or_default().to_owned();
            let email = body["primaryEmail"].as_str().ok_or_else(|| Refusal::invalid("primary_user_email"))?;
            if account.user(email).is_some() || account.group(email).is_some() {
                return Err(Refusal::new(409, "duplicate", "Entity already exists."));
            }
            let id = account.add_user(email, &name("givenName"), &name("familyName"), |_| {});
            update(account, &id, body, false)?;
            Ok(shown(&id))
        }
        "users.delete" => {
            let id = user(call.key(0))?;
            account.delete_user(&id);
            Ok(Written::Nothing)
        }
        "users.undelete" => {
            let known = account.state().deleted.contains_key(call.key(0));
            if !known {
                return Err(Refusal::not_found("userKey"));
            }
            if account.undelete_user(call.key(0)) {
                Ok(Written::Nothing)
            } else {
                Err(Refusal::new(412, "conditionNotMet", "The user can not be undeleted any more"))
            }
        }
        "users.signOut" => {
            let id = user(call.key(0))?;
            *account.state().signed_out.entry(id).or_default() += 1;
            Ok(Written::Nothing)
        }
        "twoStepVerification.turnOff" => {
            let id = user(call.key(0))?;
            let is = |name: &str| account.user(&id).is_some_and(|user| user.get(name) == Some(&json!(true)));
            if is("suspended") || is("isEnforcedIn2Sv") || !is("isEnrolledIn2Sv") {
                return Err(Refusal::invalid("userKey"));
            }
            account.edit_user(&id, |user| {
                user.insert("isEnrolledIn2Sv".to_owned(), json!(false));
            });
            Ok(Written::Nothing)
        }
        "members.insert" => insert_member(account, call),
        "members.delete" => {
            let (group, member) = {
                let state = account.state();
                let group = known_group(&state, call.key(0))?;
                let key = call.key(1);
                let id = state.user_id(key).or_else(|| state.group_id(key)).unwrap_or_else(|| key.to_owned());
                (group, id)
            };
            if account.remove_member(&group, &member) {
                Ok(Written::Nothing)
            } else {
                Err(Refusal::not_found("memberKey"))
            }
        }
        _ => Err(Refusal::bad_request()),
    }
}

fn insert_member(account: &Account, call: &Call) -> Result<Written, Refusal> {
    let (group, member) = {
        let state = account.state();
        let group = known_group(&state, call.key(0))?;
        let key = call.body["id"].as_str().or_else(|| call.body["email"].as_str()).unwrap_or_default();
        let role = match call.body["role"].as_str() {
            Some("OWNER") => Role::Owner,
            Some("MANAGER") => Role::Manager,
            _ => Role::Member,
        };
        let member = match (state.user_id(key), state.group_id(key)) {
            (Some(id), _) => Member::new(&id, MemberKind::User, role),
            (None, Some(id)) if id == group => {
                return Err(Refusal::new(412, "conditionNotMet", "Cyclic memberships not allowed"));
            }
            (None, Some(id)) => Member::new(&id, MemberKind::Group, role),
            (None, None) if key.contains('@') => {
                let id = format!("9{:020}", super::page::fingerprint(key));
                Member::outside(&id, key).with_role(role)
            }
            (None, None) => return Err(Refusal::not_found("memberKey")),
        };
        if state.member(&group, &member.id).is_some() {
            return Err(Refusal::new(409, "duplicate", "Member already exists."));
        }
        (group, member)
    };
    account.add_member(&group, member.clone());
    Ok(Written::Object(account.state().shown_member(&member)))
}

/// Writes a user: `update` has the meaning of a patch too, but only it can empty an array.
fn update(account: &Account, id: &str, body: &Value, patch: bool) -> Result<(), Refusal> {
    let Some(body) = body.as_object() else { return Err(Refusal::bad_request()) };
    if let Some(path) = body.get("orgUnitPath").and_then(Value::as_str) {
        let path = format!("/{}", path.trim_matches('/'));
        if path != "/" && !account.state().orgunits.contains_key(&path) {
            return Err(Refusal::new(400, "invalid", "Invalid Input: INVALID_OU_ID"));
        }
    }
    let email = account.user(id).map(|user| text(&user, "primaryEmail")).unwrap_or_default();
    match body.get("primaryEmail").and_then(Value::as_str) {
        Some(new) if !new.eq_ignore_ascii_case(&email) => {
            if account.user(new).is_some_and(|other| text(&other, "id") != id) || account.group(new).is_some() {
                return Err(Refusal::new(409, "duplicate", "Entity already exists."));
            }
            account.rename_user(id, new);
        }
        _ => {}
    }
    if let Some(suspended) = body.get("suspended").and_then(Value::as_bool) {
        account.suspend_user(id, suspended);
    }
    account.edit_user(id, |user| {
        for name in WRITABLE {
            let Some(value) = body.get(name) else { continue };
            if !(patch && value.as_array().is_some_and(Vec::is_empty)) {
                user.insert(name.to_owned(), value.clone());
            }
        }
        if let (Some(new), Some(old)) = (body.get("name").and_then(Value::as_object), user.get_mut("name")) {
            for (part, value) in new {
                old[part] = value.clone();
            }
            let full = format!(
                "{} {}",
                old["givenName"].as_str().unwrap_or_default(),
                old["familyName"].as_str().unwrap_or_default()
            );
            old["fullName"] = json!(full);
        }
    });
    Ok(())
}
