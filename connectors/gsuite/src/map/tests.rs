//! Pages as the API gives them, each with what has to come of it: `fixtures/gsuite/<case>/`.

use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Value as Json, json};

use super::*;
use crate::wire::{Page, salvaged_id};

fn shown(patch: Option<Patch>, item: &RawValue) -> Json {
    match patch {
        None => json!({ "quarantined": salvaged_id(item) }),
        Some(patch) => json!({
            "id": patch.object.id.to_string(),
            "kind": patch.object.kind,
            "container": patch.container,
            "attributes": patch.attributes,
            "observations": patch.observations,
        }),
    }
}

fn parsed<T: DeserializeOwned>(item: &RawValue) -> Option<T> {
    serde_json::from_str(item.get()).ok()
}

fn read_case(directory: &Path) -> Json {
    let text = |file: &str| std::fs::read_to_string(directory.join(file)).unwrap();
    let case = text("case.toml");
    assert!(case.contains("proves = "), "{}", directory.display());
    let class = case.lines().find_map(|line| line.strip_prefix("class = ")).unwrap().trim_matches('"').to_owned();
    let units: Units = Some([("/Corp/Sales".to_owned(), "id:03ph8a2z1".to_owned())].into());
    let page: Page = serde_json::from_str(&text("page.json")).unwrap();
    // Whose address it is others find out.
    let owner = |address: Option<&str>| Some(Value::text(address));
    let items = page.items.iter().map(|item| match class.as_str() {
        "users" => shown(parsed(item).map(|read| user(&read, &units)), item),
        "groups" => shown(parsed(item).map(|read| group(&read)), item),
        "chromeos" => shown(parsed(item).map(|read| chromeos(&read, owner(read.owner()), &units)), item),
        "mobile" => shown(parsed(item).map(|read| mobile(&read, owner(read.owner()))), item),
        "members" => {
            let read: Member<'_> = serde_json::from_str(item.get()).unwrap();
            let (id, kind) = (read.id.to_string(), kind_of_member(&read));
            json!({ "id": id, "kind": kind })
        }
        other => panic!("no such class: {other}"),
    });
    json!({ "items": items.collect::<Vec<_>>(), "next": page.next() })
}

/// Says what a member is where the account has one domain.
fn kind_of_member(read: &Member<'_>) -> MemberKind {
    let (member, domain) = member(read);
    match domain {
        Some(domain) if !domain.eq_ignore_ascii_case("corp.example") => MemberKind::External,
        _ => member.kind,
    }
}

#[test]
fn every_fixture_becomes_what_it_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/gsuite");
    let mut wrong = Vec::new();
    let mut cases = 0;
    for case in std::fs::read_dir(root).unwrap() {
        let directory = case.unwrap().path();
        let expected = std::fs::read_to_string(directory.join("expect.json")).unwrap_or_default();
        let found = read_case(&directory);
        cases += 1;
        if serde_json::from_str::<Json>(&expected).ok().as_ref() != Some(&found) {
            wrong.push(format!("{}\n{found:#}", directory.display()));
        }
    }
    assert!(cases > 15, "only {cases} cases");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn read(json: &str) -> Patch {
    user(&serde_json::from_str(json).unwrap(), &None)
}

#[test]
fn a_user_keeps_suspended_archived_and_second_factors_apart() {
    let patch = read(
        r#"{"id":"1","primaryEmail":"a@corp.example","suspended":false,"archived":true,"isEnrolledIn2Sv":false,
            "isEnforcedIn2Sv":true,"lastLoginTime":"1970-01-01T00:00:00.000Z","orgUnitPath":"corp/x y",
            "aliases":["b@corp.example"],"nonEditableAliases":["a@corp.example.test-google-a.com","a@alias.example"],
            "externalIds":[{"value":"7","type":"custom","customType":"badge"}],"isGuestUser":true}"#,
    );
    let get = |name: &str| patch.attributes.get(&AttributeName::parse(name)).cloned();
    assert_eq!(get("state"), Some(Value::from("suspended")));
    assert_eq!(get("attributes.archived_at_source"), Some(Value::Bool(true)));
    assert_eq!(get("attributes.suspended_at_source"), Some(Value::Bool(false)));
    assert_eq!(get("mfa"), Some(Value::from("not-enrolled")));
    assert_eq!(get("attributes.mfa_enforced"), Some(Value::Bool(true)));
    assert_eq!(get("aliases"), Some(Value::list(["a@alias.example", "b@corp.example"])));
    assert_eq!(get("attributes.external_ids"), Some(Value::list(["badge:7"])));
    assert_eq!(get("kind"), Some(Value::from("guest")));
    assert_eq!(get("attributes.org_unit_path"), Some(Value::from("/corp/x y")));
    assert_eq!(patch.observations.get(&AttributeName::extra("last_logon")), Some(&Value::Empty));
}

#[test]
fn what_is_not_told_stays_unknown() {
    let patch = read(r#"{"id":"1","primaryEmail":"a@corp.example"}"#);
    for name in ["state", "mfa", "must_change_password", "attributes.archived_at_source", "attributes.admin_role"] {
        assert_eq!(patch.attributes.get(&AttributeName::parse(name)), None, "{name}");
    }
}

#[test]
fn members_of_every_type_are_told_apart() {
    let kind = |json: &str| kind_of_member(&serde_json::from_str(json).unwrap());
    assert_eq!(kind(r#"{"id":"1","type":"USER","email":"a@Corp.example"}"#), MemberKind::User);
    assert_eq!(kind(r#"{"id":"1","type":"USER","email":"a@other.example"}"#), MemberKind::External);
    assert_eq!(kind(r#"{"id":"1","type":"GROUP","email":"g@corp.example"}"#), MemberKind::Group);
    assert_eq!(kind(r#"{"id":"C1","type":"CUSTOMER"}"#), MemberKind::Everyone);
    assert_eq!(kind(r#"{"id":"1","type":"EXTERNAL","email":"a@corp.example"}"#), MemberKind::External);
    assert_eq!(kind(r#"{"id":"1"}"#), MemberKind::Unknown);
}

#[test]
fn a_mobile_system_is_told_from_its_version() {
    let json = r#"{"resourceId":"r","os":"iOS 17.4.1","status":"BLOCKED","email":["a@corp.example"]}"#;
    let device: Mobile = serde_json::from_str(json).unwrap();
    let patch = mobile(&device, Some(Value::from("1")));
    assert_eq!(patch.attributes.text(&names::OS), Some("iOS"));
    assert_eq!(patch.attributes.text(&names::OS_VERSION), Some("17.4.1"));
    assert_eq!(patch.attributes.get(&names::ENABLED), Some(&Value::Bool(false)));
}
