//! What rows mean. It must not know how they are asked for.

use super::*;

fn read_user(json: &str) -> Patch {
    user(&serde_json::from_str(json).unwrap()).unwrap()
}

fn read_group(json: &str) -> Patch {
    group(&serde_json::from_str(json).unwrap()).unwrap()
}

fn read_device(json: &str) -> Patch {
    device(&serde_json::from_str(json).unwrap()).unwrap()
}

fn anchors(patch: &Patch) -> Vec<(&str, &str)> {
    patch.anchors.iter().map(|anchor| (&*anchor.name, &*anchor.value)).collect()
}

#[test]
fn the_primary_address_is_the_one_in_capitals_and_aliases_are_sorted() {
    let patch = read_user(
        r#"{"id":"a","mail":"old@corp.example",
            "proxyAddresses":["smtp:z@corp.example","SMTP:ann@corp.example","x500:/o=corp","smtp:a@corp.example","sip:ann@corp.example"]}"#,
    );
    assert_eq!(patch.attributes.text(&names::PRIMARY_EMAIL), Some("ann@corp.example"));
    assert_eq!(patch.attributes.get(&names::ALIASES), Some(&Value::list(["a@corp.example", "z@corp.example"])));
}

#[test]
fn a_login_name_is_no_mail_address() {
    let patch = read_user(r#"{"id":"a","userPrincipalName":"ann@corp.example","mail":null,"proxyAddresses":[]}"#);
    assert_eq!(patch.attributes.get(&names::PRIMARY_EMAIL), Some(&Value::Empty));
    assert_eq!(patch.attributes.text(&names::USERNAME), Some("ann@corp.example"));
}

#[test]
fn what_is_not_in_the_row_stays_unknown() {
    let patch = read_user(r#"{"id":"a","proxyAddresses":["smtp:b@corp.example"]}"#);
    assert_eq!(patch.attributes.get(&names::PRIMARY_EMAIL), None, "the mail attribute was not read");
    assert_eq!(patch.attributes.len(), 1);
    assert!(read_user(r#"{"id":"a"}"#).attributes.is_empty());
}

#[test]
fn guests_are_told_from_members_and_null_is_a_member() {
    for (kind, expected) in [
        ("\"Guest\"", UserKind::Guest),
        ("\"Member\"", UserKind::Person),
        ("null", UserKind::Person),
        ("\"Robot\"", UserKind::Person),
    ] {
        let patch = read_user(&format!(r#"{{"id":"a","userType":{kind},"accountEnabled":false}}"#));
        assert_eq!(patch.attributes.text(&names::KIND), Some(expected.as_str()), "{kind}");
        assert_eq!(patch.attributes.text(&names::STATE), Some("suspended"));
    }
}

#[test]
fn unknown_values_of_lists_are_kept_as_written() {
    let user = read_user(r#"{"id":"a","userType":"Robot","externalUserState":"Someday","creationType":"Moon"}"#);
    for (name, expected) in [(USER_TYPE, "Robot"), (INVITATION, "Someday"), (CREATION_TYPE, "Moon")] {
        assert_eq!(user.attributes.text(&name), Some(expected));
    }
    let group = read_group(
        r#"{"id":"g","groupTypes":["Unified","Sticky"],"mailEnabled":true,"securityEnabled":false,"visibility":"Odd"}"#,
    );
    assert_eq!(group.attributes.get(&GROUP_TYPES), Some(&Value::list(["Sticky"])));
    assert_eq!(group.attributes.text(&VISIBILITY), Some("Odd"));
    let device = read_device(r#"{"id":"d","operatingSystem":"TempleOS","trustType":"Handshake","profileType":"Toy"}"#);
    assert_eq!(device.attributes.text(&names::KIND), Some("other"));
    assert_eq!(device.attributes.text(&TRUST_TYPE), Some("Handshake"));
    assert_eq!(device.attributes.text(&PROFILE_TYPE), Some("Toy"));
}

#[test]
fn the_anchor_of_a_synchronised_account_is_the_guid_as_active_directory_writes_it() {
    // The bytes of 5f3c8e1a-2b4d-4c6f-8091-a2b3c4d5e6f7, the first three groups turned round.
    let id = STANDARD
        .encode([0x1a, 0x8e, 0x3c, 0x5f, 0x4d, 0x2b, 0x6f, 0x4c, 0x80, 0x91, 0xa2, 0xb3, 0xc4, 0xd5, 0xe6, 0xf7]);
    let patch = read_user(&format!(
        r#"{{"id":"a","onPremisesImmutableId":"{id}","onPremisesSecurityIdentifier":"S-1-5-21-1-2-3-1104","onPremisesSyncEnabled":true}}"#
    ));
    let guid = "5f3c8e1a-2b4d-4c6f-8091-a2b3c4d5e6f7";
    assert_eq!(
        anchors(&patch),
        [("object-guid", guid), ("consistency-guid", guid), ("security-id", "S-1-5-21-1-2-3-1104")]
    );
    assert_eq!(patch.attributes.get(&SYNCED), Some(&Value::Bool(true)));
    assert!(anchors(&read_user(r#"{"id":"a","onPremisesImmutableId":"ann"}"#)).is_empty());
}

#[test]
fn every_kind_of_group_is_told() {
    for (types, mail, security, expected, rule) in [
        (r#"["Unified"]"#, true, false, "microsoft365", false),
        (r#"["Unified","DynamicMembership"]"#, true, true, "microsoft365", true),
        ("[]", false, true, "security", false),
        (r#"["DynamicMembership"]"#, false, true, "security", true),
        ("[]", true, true, "mail-security", false),
        ("[]", true, false, "distribution", false),
    ] {
        let patch = read_group(&format!(
            r#"{{"id":"g","displayName":"G","groupTypes":{types},"mailEnabled":{mail},"securityEnabled":{security}}}"#
        ));
        assert_eq!(patch.attributes.text(&names::KIND), Some(expected));
        assert_eq!(patch.attributes.get(&RULE_BASED), Some(&Value::Bool(rule)));
    }
    let part = read_group(r#"{"id":"g","groupTypes":[],"mailEnabled":true}"#);
    assert_eq!(part.attributes.get(&names::KIND), None, "half of what decides it was not read");
}

#[test]
fn a_device_tells_its_kind_owner_and_the_computer_that_it_is_elsewhere() {
    let patch = read_device(
        r##"{"id":"d","deviceId":"5f3c8e1a-2b4d-4c6f-8091-a2b3c4d5e6f7","displayName":"PC 1","accountEnabled":true,
            "operatingSystem":"Windows","operatingSystemVersion":"10.0.26100.1","trustType":"ServerAd",
            "approximateLastSignInDateTime":"2026-01-02T03:04:05Z",
            "registeredOwners":[{"@odata.type":"#microsoft.graph.user","id":"b"}]}"##,
    );
    assert_eq!(anchors(&patch), [("object-guid", "5f3c8e1a-2b4d-4c6f-8091-a2b3c4d5e6f7")]);
    for (name, expected) in [
        (names::KIND, "workstation"),
        (names::NAME, "PC 1"),
        (names::OS, "Windows"),
        (names::OS_VERSION, "10.0.26100.1"),
        (names::OWNER, "b"),
    ] {
        assert_eq!(patch.attributes.text(&name), Some(expected), "{name}");
    }
    assert_eq!(patch.observations.text(&LAST_SEEN), Some("2026-01-02T03:04:05Z"));
    for (system, expected) in [
        ("Android", "mobile"),
        ("iPhone", "mobile"),
        ("Windows Server 2022", "server"),
        ("MacMDM", "workstation"),
        ("ChromeOS", "chromeos"),
        ("", "other"),
    ] {
        let patch = read_device(&format!(r#"{{"id":"d","operatingSystem":"{system}","registeredOwners":[]}}"#));
        assert_eq!(patch.attributes.text(&names::KIND), Some(expected), "{system}");
        assert_eq!(patch.attributes.get(&names::OWNER), Some(&Value::Empty));
    }
}

#[test]
fn a_member_is_told_by_its_type() {
    for (name, expected) in [
        ("#microsoft.graph.user", MemberKind::User),
        ("#microsoft.graph.group", MemberKind::Group),
        ("#microsoft.graph.device", MemberKind::Computer),
        ("#microsoft.graph.orgContact", MemberKind::Contact),
        ("#microsoft.graph.servicePrincipal", MemberKind::Unknown),
    ] {
        let json = format!(r#"{{"id":"m","@odata.type":"{name}"}}"#);
        assert_eq!(member(&serde_json::from_str(&json).unwrap()).unwrap().kind, expected);
    }
    assert!(member(&serde_json::from_str(r#"{"id":""}"#).unwrap()).is_none());
}

/// Reads a row as a page with it alone is read.
fn read_fixture(class: &str, row: &str) -> serde_json::Value {
    use crate::wire::{Rows, read_page};
    fn first<R>(
        page: Rows<'_, R>,
        kind: ObjectKind,
        map: impl Fn(&R) -> Result<Patch, Quarantined>,
    ) -> serde_json::Value {
        let odd = page.odd.into_iter().map(|(id, reason)| Err(quarantined(kind, id.as_deref(), reason)));
        let read = page.read.iter().map(map).chain(odd).next().unwrap();
        match read {
            Ok(patch) => serde_json::json!({
                "id": patch.object.id.to_string(),
                "anchors": patch.anchors,
                "attributes": patch.attributes,
                "observations": patch.observations,
            }),
            Err(record) => serde_json::json!({ "quarantined": {
                "id": record.id.map(|id| id.to_string()),
                // Where in the row is of no interest.
                "reason": record.reason.split(',').next(),
            } }),
        }
    }
    let body = format!("{{\"value\":[{row}]}}");
    match class {
        "users" => first(read_page::<UserRow<'_>>(body.as_bytes()).unwrap(), ObjectKind::User, user),
        "groups" => first(read_page::<GroupRow<'_>>(body.as_bytes()).unwrap(), ObjectKind::Group, group),
        _ => first(read_page::<DeviceRow<'_>>(body.as_bytes()).unwrap(), ObjectKind::Computer, device),
    }
}

#[test]
fn every_fixture_becomes_what_it_says() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/office365");
    let (mut wrong, mut cases) = (Vec::new(), 0);
    for case in std::fs::read_dir(root).unwrap() {
        let directory = case.unwrap().path();
        let text = |file: &str| std::fs::read_to_string(directory.join(file)).unwrap_or_default();
        let case = text("case.toml");
        let class = case.lines().find_map(|line| line.strip_prefix("class = ")).unwrap().trim_matches('"');
        let found = read_fixture(class, &text("row.json"));
        cases += 1;
        if serde_json::from_str::<serde_json::Value>(&text("expect.json")).ok().as_ref() != Some(&found) {
            wrong.push(format!("== {}\n{found:#}", directory.display()));
        }
    }
    assert!(cases > 25, "only {cases} cases");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
