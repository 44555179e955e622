//! The JSON schema and the reading agree: what is accepted fits, and strangers and wrong forms are refused by both.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use serde_json::Value;
use tenantry_config::schema;

use crate::fitting;
use crate::support::*;

/// Says where a text does not fit the schema; a text that is no TOML fits nothing.
fn misfit_of(text: &str) -> Option<String> {
    fitting::misfit_of(text, &schema())
}

/// Asserts that what is accepted fits.
#[track_caller]
fn assert_accepted_fits(text: &str) {
    if let Err(error) = parse(text) {
        panic!("{error:?}\n{text}");
    }
    assert_eq!(misfit_of(text), None, "{text}");
}

fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

#[test]
fn the_copy_in_the_documents_is_the_schema() {
    let copy = fs::read_to_string(repository().join("docs/tenant.schema.json")).unwrap();
    let copy: Value = serde_json::from_str(&copy).unwrap();
    assert!(copy == schema(), "run: cargo run -p tenantry-config --example schema > docs/tenant.schema.json");
}

#[test]
fn every_configuration_of_the_documents_fits() {
    let read = |path: &str| fs::read_to_string(repository().join(path)).unwrap();
    let sample = read("examples/tenant.toml");
    let everything: Vec<_> = sample.lines().map(|line| line.strip_prefix("#: ").unwrap_or(line)).collect();
    assert_accepted_fits(&sample);
    assert_accepted_fits(&everything.join("\n"));
    let reference = read("docs/configuration.md");
    let examples: Vec<_> = reference.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(examples.len() >= 2);
    examples.into_iter().for_each(assert_accepted_fits);
}

/// Every key, with values that are accepted.
const RIGHT: &[&str] = &[
    "title = \"x\"",
    "yields = [\"mobile\", \"last_name\"]",
    "base = \"DC=x\"",
    "users = \"(a=1)\"",
    "groups = \"(a=1)\"",
    "computers = \"(a=1)\"",
    "exclude = \"OU=x\"",
    "exclude = [\"OU=x\", 'OU=y']",
    "exclude = []",
    "ca_file = \"ca.pem\"",
    "delta = \"usn\"",
    "delta = \"dirsync\"",
    "delta = \"off\"",
    "contacts = true",
    "builtin_groups = false",
    "starttls = false",
    "insecure = false",
    "id_listing = \"auto\"",
    "id_listing = 60",
    "id_listing = \"365d\"",
    "timeout = 1",
    "timeout = 0x10",
    "timeout = \" 5 min \"",
    "timeout = \"1h\"",
    "guard = {}",
    "guard.users = { share = 1, floor = 0 }",
    "guard.groups = { share = 0.5 }",
    "guard.computers = { floor = 1_000 }",
    "guard.memberships = {}",
    "guard.members_per_group.share = 1e-3",
    "guard.cleared_values.share = 0",
];

/// Every key of a tenant in the cloud, with values that are accepted.
const RIGHT_CLOUD: &[&str] = &[
    "cloud = \"china\"",
    "login_url = \"https://login.example\"",
    "graph_url = \"http://127.0.0.1:9000/v1.0\"",
    "mfa = true",
    "sign_in = false",
    "mailbox = true",
    "lane_time = 0",
    "lane_time = \"5m\"",
    "page_size = 1",
    "page_size = 999",
    "concurrency = 64",
    "proxy = \"http://proxy.example:3128\"",
    "ca_file = \"ca.pem\"",
    "timeout = \"1h\"",
    "quota_share = 1",
    "quota_share = 0.01",
    "insecure = false",
    "quota = {}",
    "quota.tenant = { permits = 1, per = 1 }",
    "quota.mailboxes = { permits = 1_000_000, per = \"1d\" }",
    QUOTAS,
];

const QUOTAS: &str = "quota = { application = { permits = 1, per = 1 }, writes = { permits = 1, per = 1 }, \
                      reports = { permits = 1, per = 1 }, sign_ins = { permits = 1, per = 1 } }";

/// Every key of the route through Exchange Web Services, with values that are accepted.
const RIGHT_WEB_MAIL: &[&str] = &[
    "auth = \"ntlm\"",
    "auth = \"basic\"",
    "concurrency = 1",
    "concurrency = 27",
    "timeout = \"1h\"",
    "insecure = false",
];

const CERTIFICATE: &str = "certificate_file = \"graph.pem\"\nprivate_key = { file = \"graph.key\" }";

/// Every key of an account at Google, with values that are accepted.
const RIGHT_GOOGLE: &[&str] = &[
    "customer = \"my_customer\"",
    "customer = \"C01abc2de\"",
    "domain = \"mining88.example\"",
    "api_url = \"http://127.0.0.1:9001\"",
    "chromeos = false",
    "mobile = false",
    "actions = true",
    "delta = \"audit-log\"",
    "delta = \"off\"",
    "full_listing = \"1d\"",
    "member_turn = 60",
    "page_size = 500",
    "concurrency = 1",
    "proxy = \"http://proxy.example:3128\"",
    "ca_file = \"ca.pem\"",
    "timeout = \"1h\"",
    "quota_share = 0.5",
    "insecure = false",
    "quota = {}",
    "quota = { queries_per_minute = 1, mobile_per_second = 10, reports_per_minute = 250 }",
];

#[test]
fn every_right_value_of_every_key_of_an_account_at_google_fits() {
    assert_accepted_fits(GOOGLE);
    for line in RIGHT_GOOGLE {
        assert_accepted_fits(&format!("{GOOGLE}{line}\n"));
    }
}

#[test]
fn what_is_wrong_of_an_account_at_google_does_not_fit() {
    for line in [
        "colour = 1",
        "tenant = \"x\"",
        "customer = 1",
        "mobile = \"no\"",
        "delta = \"usn\"",
        "full_listing = 1",
        "member_turn = \"often\"",
        "page_size = 501",
        "concurrency = 0",
        "quota.colour = 1",
        "quota.mobile_per_second = 0",
    ] {
        let text = format!("{GOOGLE}{line}\n");
        assert!(misfit_of(&text).is_some() && parse(&text).is_err(), "{line}");
    }
    for key in ["key_file", "admin"] {
        assert!(misfit_of(&GOOGLE.replace(&format!("{key} ="), &format!("{key}s ="))).is_some());
    }
}

#[test]
fn every_right_value_of_every_key_of_a_tenant_in_the_cloud_fits() {
    assert_accepted_fits(CLOUD);
    for line in RIGHT_CLOUD {
        assert_accepted_fits(&format!("{CLOUD}{line}\n"));
    }
    assert_accepted_fits(&CLOUD.replace("client_secret = { env = \"GRAPH_SECRET\" }", CERTIFICATE));
}

#[test]
fn every_right_value_of_every_key_of_an_exchange_organisation_fits() {
    assert_accepted_fits(MAIL);
    for line in
        RIGHT.iter().filter(|line| !["computers", "contacts", "builtin"].iter().any(|key| line.starts_with(key)))
    {
        assert_accepted_fits(&format!("{MAIL}{line}\n"));
    }
    assert_accepted_fits(WEB_MAIL);
    for line in RIGHT_WEB_MAIL {
        assert_accepted_fits(&format!("{WEB_MAIL}{line}\n"));
    }
}

#[test]
fn what_belongs_to_the_other_route_of_an_exchange_organisation_does_not_fit() {
    for text in
        [format!("{MAIL}user = \"x\"\n"), format!("{WEB_MAIL}bind = \"x\"\n"), MAIL.replace("\"ldap\"", "\"ews\"")]
    {
        assert!(misfit_of(&text).is_some() && parse(&text).is_err(), "{text}");
    }
}

#[test]
fn what_is_wrong_of_a_tenant_in_the_cloud_does_not_fit() {
    for line in [
        "colour = 1",
        "bind = \"x\"",
        "cloud = \"moon\"",
        "page_size = 0",
        "page_size = 1000",
        "quota_share = 2",
        "quota.tenant = { permits = 1 }",
        "quota.tenant = { permits = 0, per = 1 }",
        "quota.colour = {}",
        "mfa = 1",
        "proxy = []",
        "private_key = \"x\"",
    ] {
        let text = format!("{CLOUD}{line}\n");
        assert!(misfit_of(&text).is_some() && parse(&text).is_err(), "{line}");
    }
    assert!(misfit_of(&CLOUD.replace("tenant =", "tenants =")).is_some());
}

#[test]
fn every_right_value_of_every_key_fits() {
    assert_accepted_fits(MINIMAL);
    for line in RIGHT {
        assert_accepted_fits(&format!("{MINIMAL}{line}\n"));
    }
    for line in ["url = [\"ldaps://a.example\", \"ldaps://b.example\"]", "url = [\"ldaps://a.example\"]"] {
        assert_accepted_fits(&replaced("url", line));
    }
    assert_accepted_fits(&replaced("password", "password = { file = \"ad.secret\" }"));
    assert_accepted_fits(&MINIMAL.replace("[[", "id = \"a.b-C_1\"\ndomains = \"a.example\"\n[["));
}

/// Every key in a document of its own, with what is written for it.
fn with(key: &str, value: &str) -> String {
    let (head, endpoint) = MINIMAL.split_once("[[endpoint]]").expect("one endpoint");
    let without = |text: &str| -> String {
        text.lines().filter(|line| !line.starts_with(&format!("{key} ="))).flat_map(|line| [line, "\n"]).collect()
    };
    match key.split_once('.') {
        Some(("customer", key)) => {
            let head: String =
                head.lines().filter(|line| !line.starts_with(&format!("{key} ="))).collect::<Vec<_>>().join("\n");
            format!("{head}\n{key} = {value}\n[[endpoint]]{endpoint}")
        }
        Some(("root", key)) => format!("{key} = {value}\n{MINIMAL}"),
        _ => format!("{}{key} = {value}\n", without(MINIMAL)),
    }
}

/// Keys, and what each may be: `t`ext, `i`nteger, `f`loat, `b`oolean, `l`ist, `m`ap.
const FORMS: &[(&str, &str)] = &[
    ("customer.name", "t"),
    ("customer.id", "t"),
    ("customer.domains", "tl"),
    ("name", "t"),
    ("title", "t"),
    ("kind", "t"),
    ("guard", "m"),
    ("guard.users", "m"),
    ("guard.members_per_group", "m"),
    ("guard.users.share", "if"),
    ("guard.users.floor", "i"),
    ("url", "tl"),
    ("starttls", "b"),
    ("insecure", "b"),
    ("bind", "t"),
    ("password", "m"),
    ("password.env", "t"),
    ("password.file", "t"),
    ("base", "t"),
    ("users", "t"),
    ("groups", "t"),
    ("computers", "t"),
    ("exclude", "tl"),
    ("ca_file", "t"),
    ("delta", "t"),
    ("contacts", "b"),
    ("builtin_groups", "b"),
    ("id_listing", "ti"),
    ("timeout", "ti"),
    ("root.guard", "m"),
    ("root.guard.users.floor", "i"),
];

#[test]
fn values_of_a_wrong_form_are_refused_by_both() {
    // No float here is a whole number: to a schema 5.0 is an integer.
    for (form, value) in [('t', "\"x\""), ('i', "7"), ('f', "0.5"), ('b', "true"), ('l', "[1.5]"), ('m', "{ x = 1 }")] {
        for (key, forms) in FORMS.iter().filter(|(_, forms)| !forms.contains(form)) {
            let text = match key.strip_prefix("password.") {
                Some(place) => replaced("password", &format!("password = {{ {place} = {value} }}")),
                None => with(key, value),
            };
            let refused =
                misfit_of(&text).unwrap_or_else(|| panic!("{key} = {value} fits, but may be {forms}:\n{text}"));
            let told = problems(&text);
            let leaf = key.rsplit('.').next().unwrap();
            assert!(told.iter().any(|problem| problem.key.contains(leaf)), "{told:?}\n{text}");
            assert!(refused.contains(leaf), "{refused}\n{text}");
        }
    }
}

#[test]
fn unknown_keys_are_refused_by_both_in_every_table() {
    for key in
        ["customer.colour", "colour", "guard.colour", "guard.users.colour", "root.colour", "root.guard.groups.colour"]
    {
        let text = with(key, "1");
        assert!(problems(&text).iter().any(|problem| problem.message == "unknown key"), "{text}");
        assert!(misfit_of(&text).is_some_and(|misfit| misfit.contains("additionalProperties")), "{text}");
    }
    let text = replaced("password", "password = { env = \"AD_PASSWORD\", colour = 1 }");
    assert!(parse(&text).is_err() && misfit_of(&text).is_some());
}

#[test]
fn missing_keys_are_refused_by_both() {
    for key in ["name = \"ad\"", "kind", "url", "bind", "password"] {
        let text: String =
            MINIMAL.lines().filter(|line| !line.starts_with(key)).flat_map(|line| [line, "\n"]).collect();
        assert!(parse(&text).is_err() && misfit_of(&text).is_some(), "{text}");
    }
    for text in
        ["", "[customer]\nname = \"x\"\n", &MINIMAL.replace("[customer]", "#").replace("name = \"Mining 88\"", "")]
    {
        assert!(parse(text).is_err() && misfit_of(text).is_some(), "{text}");
    }
}

#[test]
fn every_key_of_the_schema_is_tried_here() {
    fn keys(schema: &Value, path: &str, found: &mut Vec<String>) {
        for (key, rule) in schema["properties"].as_object().into_iter().flatten() {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            keys(rule, &path, found);
            let kinds = rule["items"]["oneOf"].as_array().into_iter().flatten();
            kinds.chain([&rule["items"]]).for_each(|items| keys(items, &path, found));
            found.push(path);
        }
    }
    let mut found = Vec::new();
    keys(&schema(), "", &mut found);
    assert!(found.len() > 90, "{found:?}");
    let (right, cloud, google) = (RIGHT.join("\n"), RIGHT_CLOUD.join("\n"), RIGHT_GOOGLE.join("\n"));
    let mail = format!("{MAIL}{WEB_MAIL}{RIGHT_WEB_MAIL:?}");
    let tried = format!("{MINIMAL}{right}{FORMS:?}{CLOUD}{cloud}{CERTIFICATE}{QUOTAS}{GOOGLE}{google}{mail}");
    for path in found {
        let leaf = path.rsplit('.').next().unwrap();
        assert!(tried.contains(leaf), "{path}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_accepted_fits(lines in prop::sample::subsequence(RIGHT, 0..6), share in 0.0..=1.0_f64, floor: u32) {
        let text = format!(
            "{MINIMAL}{}\n[guard.users]\nshare = {share:?}\nfloor = {floor}\n", lines.join("\n")
        );
        if parse(&text).is_ok() {
            prop_assert_eq!(misfit_of(&text), None);
        }
    }

    #[test]
    fn whatever_is_made_of_real_keys_and_accepted_fits(text in crate::random::document()) {
        if parse(&text).is_ok() {
            prop_assert_eq!(misfit_of(&text), None, "{}", text);
        }
    }
}
