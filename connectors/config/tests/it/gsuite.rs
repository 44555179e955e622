//! The keys of a Google Workspace account: what arrives, and what is refused.

use std::time::Duration;

use tenantry::Secret;
use tenantry_config::{EndpointKind, TenantConfig};
use tenantry_gsuite::{Changes, Devices, GsuiteConfig, Writes};

use crate::support::*;

/// Asserts one problem in the first line behind [`GOOGLE`].
#[track_caller]
fn assert_next(line: &str, key: &str, words: &[&str]) {
    assert_problem(&format!("{GOOGLE}{line}\n"), 8, key, words);
}

/// What is said of one problem with another key file.
#[track_caller]
fn told_of_key(text: &str, more: &str) -> String {
    let mut environment = FakeEnvironment::complete();
    environment.files.insert("conf/google.json".into(), text.into());
    let found = problems_in(&format!("{GOOGLE}{more}"), &environment);
    let [problem] = found.as_slice() else { panic!("not one problem: {found:#?}") };
    assert_eq!((problem.line, problem.key.as_str()), (6, "endpoint.key_file"), "{problem}");
    problem.to_string()
}

#[test]
fn the_shortest_configuration_has_every_default_of_the_connector() {
    let settings = google("");
    let config = GsuiteConfig::from(&settings);
    assert_eq!(config.key.expose(), google_key());
    let plain = GsuiteConfig::new(Secret::new(google_key()), "admin@mining88.example");
    assert_eq!(format!("{config:?}"), format!("{plain:?}"));
    assert_eq!((config.customer.as_str(), &config.domain, config.writes), ("my_customer", &None, Writes::Off));
    assert!(!format!("{settings:?} {config:?}").contains("PRIVATE KEY"));
}

#[test]
fn every_key_arrives() {
    let config = GsuiteConfig::from(&google(
        r#"
        customer = "C01abc2de"
        domain = "mining88.example"
        api_url = "http://lab.example:9001"
        insecure = true
        chromeos = false
        mobile = false
        actions = true
        delta = "audit-log"
        full_listing = "7d"
        member_turn = "12h"
        page_size = 100
        concurrency = 3
        proxy = "http://proxy.example:3128"
        ca_file = "ca.pem"
        timeout = "30s"
        quota_share = 0.25
        [endpoint.quota]
        queries_per_minute = 1500
        mobile_per_second = 5
        reports_per_minute = 100
        "#,
    ));
    assert_eq!((config.customer.as_str(), config.domain.as_deref()), ("C01abc2de", Some("mining88.example")));
    assert_eq!(config.api_url, "http://lab.example:9001");
    assert_eq!((config.chromeos, config.mobile, config.writes), (Devices::Ignored, Devices::Ignored, Writes::On));
    let (full, members) = (Duration::from_hours(24 * 7), Duration::from_hours(12));
    assert_eq!(config.changes, Changes::AuditLog { full, members });
    assert_eq!((config.page_size, config.quota.concurrent), (100, 3));
    assert!(config.http.proxy.is_some() && config.http.insecure);
    assert_eq!(config.http.ca_pem.as_deref(), Some(CA_PEM.as_bytes()));
    assert_eq!(config.http.timeout, Duration::from_secs(30));
    let quota = config.quota;
    assert!((quota.share - 0.25).abs() < 1e-9);
    assert_eq!((quota.user_per_minute, quota.mobile_per_second, quota.reports_per_minute), (1500, 5, 100));
    assert_eq!(GsuiteConfig::from(&google("delta = \"off\"\n")).changes, Changes::Listed);
    let half = GsuiteConfig::from(&google("member_turn = \"1h\"\n")).changes;
    assert_eq!(half, Changes::AuditLog { full: Duration::from_hours(24), members: Duration::from_hours(1) });
}

#[test]
fn an_endpoint_is_built_and_shows_nothing_of_its_key() {
    let config = parse(GOOGLE).unwrap();
    assert_eq!(config.endpoints[0].kind, EndpointKind::Gsuite);
    let endpoint = config.endpoints[0].build().unwrap();
    assert_eq!((endpoint.info().name.as_str(), endpoint.info().kind), ("google", "gsuite"));
    let secret = GRAPH_KEY.lines().nth(1).unwrap();
    assert!(!format!("{endpoint:?} {config:?}").contains(secret));
}

#[test]
fn a_key_file_that_cannot_sign_is_told_without_repeating_it() {
    let changed = |from: &str, to: &str| google_key().replace(from, to);
    assert!(told_of_key("{}", "").contains("no service account's key; download one as JSON"));
    assert!(told_of_key(CANARY, "").contains("no service account's key"));
    assert!(told_of_key(&changed("service_account", "authorized_user"), "").contains("no service account's key"));
    let unusable = told_of_key(&changed("PRIVATE KEY", &format!("PRIVATE {CANARY}")), "");
    assert!(unusable.contains("cannot be used to sign; download a new key"), "{unusable}");
    let plain = changed("https://sign-in", "http://sign-in");
    let told = told_of_key(&plain, "");
    assert!(told.contains("token_uri in the file: plain http://") && told.contains("insecure"), "{told}");
    // Somebody who insists gets it, and the permission has its effect.
    let mut environment = FakeEnvironment::complete();
    environment.files.insert("conf/google.json".into(), plain.into());
    let insists = TenantConfig::parse(&format!("{GOOGLE}insecure = true\n"), "conf/tenant.toml", &environment).unwrap();
    insists.endpoints[0].build().unwrap();
    let missing = GOOGLE.replace("google.json", "none.json");
    assert_problem(&missing, 6, "endpoint.key_file", &["does not exist", "folder conf"]);
    environment.files.insert("conf/google.json".into(), vec![0xff]);
    let [problem] = &*problems_in(GOOGLE, &environment) else { panic!("not one problem") };
    assert!(problem.to_string().contains("no text"), "{problem}");
}

#[test]
fn what_must_be_there_is_missed_by_name() {
    let without = |key: &str| {
        GOOGLE.lines().filter(|line| !line.starts_with(key)).flat_map(|line| [line, "\n"]).collect::<String>()
    };
    assert_problem(&without("key_file"), 3, "endpoint.key_file", &["missing", "key_file = "]);
    assert_problem(&without("admin"), 3, "endpoint.admin", &["missing", "admin@corp.example"]);
    assert_next("key = \"x\"", "endpoint.key", &["unknown key"]);
    assert_next("client_id = \"x\"", "endpoint.client_id", &["unknown key"]);
    assert_next("costumer = \"x\"", "endpoint.costumer", &["did you mean customer?"]);
    assert_problem(&format!("{MINIMAL}admin = \"x\"\n"), NEXT, "endpoint.admin", &["unknown key"]);
}

#[test]
fn administrator_account_and_domain_are_what_they_are_called() {
    for wrong in ["admin", "@corp.example", "a b@corp.example", "a@corp", "a@b@corp.example"] {
        let text = GOOGLE.replace("admin@mining88.example", wrong);
        assert_problem(&text, 7, "endpoint.admin", &["no mail address", "admin@corp.example"]);
    }
    for wrong in ["corp.example", "C0/../x", "a@corp.example", "C0 1"] {
        assert_next(&format!("customer = \"{wrong}\""), "endpoint.customer", &["no id of an account", "my_customer"]);
    }
    for wrong in ["corp", "a@corp.example", "https://corp.example", "corp.example,b.example"] {
        assert_next(&format!("domain = \"{wrong}\""), "endpoint.domain", &["no domain name", "one domain"]);
    }
    // An id that is checked, and only a part of what it stands for.
    let both = google("customer = \"C01\"\ndomain = \"Mining88.example\"\n");
    assert_eq!((both.customer.as_deref(), both.domain.as_deref()), (Some("C01"), Some("Mining88.example")));
}

#[test]
fn an_address_is_encrypted_or_of_this_machine_unless_somebody_insists() {
    assert_next("api_url = \"http://api.example\"", "endpoint.api_url", &["plain http://", "insecure"]);
    assert_next("api_url = \"api.example\"", "endpoint.api_url", &["not an address", "https://"]);
    assert_next("insecure = true", "endpoint.insecure", &["no effect", "remove it"]);
    assert_next("proxy = \"socks5://proxy.example\"", "endpoint.proxy", &["http://"]);
    assert_next("ca_file = \"graph.key\"", "endpoint.ca_file", &["no certificate", "PEM"]);
    for url in ["http://127.0.0.1:9001", "http://[::1]:9001", "https://api.example"] {
        google(&format!("api_url = \"{url}\"\n"));
    }
}

#[test]
fn numbers_times_and_choices_have_limits() {
    assert_next("quota_share = 0", "endpoint.quota_share", &["no share", "more than 0"]);
    assert_next("page_size = 501", "endpoint.page_size", &["out of range", "1 to 500"]);
    assert_next("concurrency = 0", "endpoint.concurrency", &["out of range", "1 to 64"]);
    assert_next("full_listing = 0", "endpoint.full_listing", &["out of range", "1m to 365d"]);
    assert_next("member_turn = \"366d\"", "endpoint.member_turn", &["out of range"]);
    assert_next("delta = \"usn\"", "endpoint.delta", &["audit-log, off"]);
    assert_next("mobile = \"no\"", "endpoint.mobile", &["expected true or false"]);
    assert_next("actions = 1", "endpoint.actions", &["expected true or false"]);
    assert_next("quota = 2400", "endpoint.quota", &["expected a table", "[endpoint.quota]"]);
    assert_next("quota.queries = 1", "endpoint.quota.queries", &["unknown key"]);
    assert_next("quota.queries_per_minute = 0", "endpoint.quota.queries_per_minute", &["out of range"]);
    let useless = format!("{GOOGLE}delta = \"off\"\nfull_listing = \"1d\"\n");
    assert_problem(&useless, 9, "endpoint.full_listing", &["no effect", "remove it"]);
}
