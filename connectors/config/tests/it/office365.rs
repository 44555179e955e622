//! The keys of a Microsoft 365 tenant and of everything behind HTTP: what arrives, and what is refused.

use std::num::NonZeroU32;
use std::time::Duration;

use tenantry::gate::Limit;
use tenantry_config::EndpointKind;
use tenantry_office365::{Cloud, Credential, Enrichment, Office365Config, Quota};

use crate::support::*;

/// Asserts one problem in the first line behind [`CLOUD`].
#[track_caller]
fn assert_next(line: &str, key: &str, words: &[&str]) {
    assert_problem(&format!("{CLOUD}{line}\n"), NEXT, key, words);
}

/// Replaces the secret by other lines.
fn proven(by: &str) -> String {
    CLOUD.lines().filter(|line| !line.starts_with("client_secret")).flat_map(|line| [line, "\n"]).collect::<String>()
        + by
}

#[test]
fn the_shortest_configuration_has_every_default_of_the_connector() {
    let settings = cloud("");
    let config = Office365Config::from(&settings);
    let Credential::Secret(secret) = config.credential.clone() else { panic!("another proof") };
    assert_eq!(secret.expose(), CANARY);
    let plain = Office365Config::new(&*config.tenant, &*config.client_id, config.credential.clone());
    assert_eq!(format!("{config:?}"), format!("{plain:?}"));
    assert!(!format!("{settings:?} {config:?}").contains(CANARY));
}

#[test]
fn every_key_arrives() {
    let config = Office365Config::from(&cloud(
        r#"
        cloud = "us-dod"
        login_url = "http://127.0.0.1:9000"
        graph_url = "http://lab.example:9000/v1.0"
        insecure = true
        mfa = true
        sign_in = true
        mailbox = true
        lane_time = 0
        page_size = 100
        concurrency = 7
        proxy = "http://proxy.example:3128"
        ca_file = "ca.pem"
        timeout = "30s"
        quota_share = 0.25
        [endpoint.quota]
        tenant = { permits = 5000, per = "10s" }
        application = { permits = 70000, per = 20 }
        writes = { permits = 3, per = "1m" }
        reports = { permits = 4, per = "1m" }
        sign_ins = { permits = 5, per = "1m" }
        mailboxes = { permits = 6, per = "1m" }
        "#,
    ));
    let limit = |permits, seconds| Limit::new(NonZeroU32::new(permits).unwrap(), Duration::from_secs(seconds)).unwrap();
    assert_eq!(config.cloud, Cloud::UsDod);
    assert_eq!(config.login_url.as_deref(), Some("http://127.0.0.1:9000"));
    assert_eq!(config.graph_url.as_deref(), Some("http://lab.example:9000/v1.0"));
    assert_eq!(config.proxy.as_deref(), Some("http://proxy.example:3128"));
    assert_eq!(config.ca.as_deref(), Some(CA_PEM.as_bytes()));
    assert!(config.insecure);
    assert_eq!(config.enrichments, [Enrichment::Mfa, Enrichment::SignIns, Enrichment::Mailboxes]);
    assert_eq!((config.page_size, config.concurrency), (100, 7));
    assert_eq!((config.timeout, config.lane_time), (Duration::from_secs(30), Duration::ZERO));
    let quota = config.quota;
    assert!((quota.share - 0.25).abs() < 1e-9);
    let rest = [quota.writes, quota.reports, quota.sign_ins, quota.mailboxes];
    assert_eq!((quota.tenant, quota.application), (limit(5_000, 10), limit(70_000, 20)));
    assert_eq!(rest, [limit(3, 60), limit(4, 60), limit(5, 60), limit(6, 60)]);
}

#[test]
fn quotas_that_are_not_named_stay_as_published() {
    let quota = cloud("quota.tenant = { permits = 5, per = 10 }\n").quota;
    assert_eq!((quota.reports, quota.application), (Quota::default().reports, Quota::default().application));
    assert_ne!(quota.tenant, Quota::default().tenant);
}

#[test]
fn an_endpoint_is_built_by_secret_and_by_certificate() {
    let certificate = "certificate_file = \"graph.pem\"\nprivate_key = { file = \"graph.key\" }\n";
    for text in [CLOUD.to_owned(), proven(certificate)] {
        let config = parse(&text).unwrap();
        assert_eq!(config.endpoints[0].kind, EndpointKind::Office365);
        let endpoint = config.endpoints[0].build().unwrap();
        assert_eq!((endpoint.info().name.as_str(), endpoint.info().kind), ("cloud", "office365"));
        assert!(!format!("{endpoint:?} {config:?}").contains(CANARY));
    }
}

#[test]
fn certificate_and_key_may_be_in_one_file_and_the_key_in_a_variable() {
    let mut environment = FakeEnvironment::complete();
    environment.variables.insert("GRAPH_KEY", GRAPH_KEY.into());
    environment.files.insert("conf/both.pem".into(), format!("{GRAPH_KEY}{GRAPH_PEM}").into());
    for key in ["{ file = \"both.pem\" }", "{ env = \"GRAPH_KEY\" }"] {
        let text = proven(&format!("certificate_file = \"both.pem\"\nprivate_key = {key}\n"));
        let config = tenantry_config::TenantConfig::parse(&text, "conf/tenant.toml", &environment).unwrap();
        config.endpoints[0].build().unwrap();
    }
}

#[test]
fn there_is_exactly_one_proof() {
    let (certificate, key) = ("certificate_file = \"graph.pem\"\n", "private_key = { file = \"graph.key\" }\n");
    assert_problem(&proven(""), 3, "endpoint.client_secret", &["missing", "client_secret = { env", "certificate_file"]);
    assert_problem(&proven(certificate), 8, "endpoint.certificate_file", &["no key", "private_key = "]);
    assert_problem(&proven(key), 8, "endpoint.private_key", &["no certificate", "certificate_file = "]);
    assert_next(certificate.trim(), "endpoint.certificate_file", &["two proofs", "keep client_secret"]);
    assert_next(key.trim(), "endpoint.private_key", &["two proofs"]);
    assert_next(&format!("{certificate}{}", key.trim()), "endpoint.certificate_file", &["two proofs"]);
}

#[test]
fn a_proof_that_cannot_be_one_is_told_by_its_own_key() {
    let mut environment = FakeEnvironment::complete();
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\n";
    environment.files.insert("conf/encrypted.key".into(), encrypted.into());
    for (certificate, key, at, words) in [
        ("graph.key", "graph.key", "endpoint.certificate_file", ["no certificate", "BEGIN CERTIFICATE"]),
        ("none.pem", "graph.key", "endpoint.certificate_file", ["does not exist", "folder conf"]),
        ("graph.pem", "graph.pem", "endpoint.private_key", ["no key as PEM", "BEGIN PRIVATE KEY"]),
        ("graph.pem", "encrypted.key", "endpoint.private_key", ["encrypted", "openssl"]),
        ("graph.pem", "none.key", "endpoint.private_key.file", ["does not exist", "folder conf"]),
    ] {
        let text = proven(&format!("certificate_file = \"{certificate}\"\nprivate_key = {{ file = \"{key}\" }}\n"));
        let found = problems_in(&text, &environment);
        let [problem] = found.as_slice() else { panic!("not one problem: {found:#?}") };
        assert_eq!(problem.key, at);
        assert!(words.iter().all(|word| problem.to_string().contains(word)), "{problem}");
    }
    let text = proven(&format!("client_secret = \"{CANARY}\"\n"));
    assert_problem(&text, 8, "endpoint.client_secret", &["must not stand"]);
    let text = proven(&format!("certificate_file = \"graph.pem\"\nprivate_key = \"{CANARY}\"\n"));
    assert_problem(&text, 9, "endpoint.private_key", &["must not stand"]);
}

#[test]
fn tenant_and_application_are_ids_or_names_that_can_stand_in_an_address() {
    let with = |key: &str, value: &str| {
        let changed = format!("{key} = \"{value}\"");
        let lines = CLOUD.lines().map(|line| if line.starts_with(key) { &*changed } else { line });
        lines.flat_map(|line| [line, "\n"]).collect::<String>()
    };
    for tenant in ["corp example", "corp.example/../x", "https://corp.example", ".", "a@corp.example", "ä.example"] {
        assert_problem(&with("tenant", tenant), 6, "endpoint.tenant", &["neither an id nor a domain", "corp.example"]);
    }
    for tenant in ["common", "Organizations", "consumers"] {
        assert_problem(&with("tenant", tenant), 6, "endpoint.tenant", &["one tenant", "its domains"]);
    }
    assert_problem(&with("client_id", "My App"), 7, "endpoint.client_id", &["no id", "not its name"]);
    let missing = CLOUD.replace("tenant =", "tenants =");
    let keys: Vec<_> = problems(&missing).into_iter().map(|problem| problem.key).collect();
    assert_eq!(keys, ["endpoint.tenant", "endpoint.tenants"]);
}

#[test]
fn addresses_are_encrypted_or_of_this_machine_unless_somebody_insists() {
    for key in ["login_url", "graph_url"] {
        let path = format!("endpoint.{key}");
        for (url, words) in [
            ("http://graph.example/v1.0", ["plain http://", "insecure"]),
            ("graph.example", ["not an address", "https://"]),
            ("ftp://127.0.0.1/", ["must begin with https://", "https://"]),
            ("https://graph.example/v1.0?a=b", ["neither query", "https://"]),
        ] {
            assert_next(&format!("{key} = \"{url}\""), &path, &words);
        }
        assert_next(&format!("{key} = \"https://ann:{CANARY}@graph.example\""), &path, &["name or password"]);
        for url in ["http://127.0.0.1:9000/v1.0", "http://[::1]:9000", "http://localhost:1", "https://graph.example"] {
            cloud(&format!("{key} = \"{url}\"\n"));
        }
        assert!(cloud(&format!("{key} = \"http://graph.example\"\ninsecure = true\n")).http.insecure);
    }
    assert_next("insecure = true", "endpoint.insecure", &["no effect", "remove it"]);
    assert_next("insecure = true\nlogin_url = \"http://127.0.0.1\"", "endpoint.insecure", &["no effect"]);
    cloud("insecure = false\n");
}

#[test]
fn a_proxy_is_an_address_without_a_password() {
    assert_next("proxy = \"proxy.example:3128\"", "endpoint.proxy", &["must begin with http://"]);
    assert_next("proxy = \"socks5://proxy.example\"", "endpoint.proxy", &["http://"]);
    assert_next(&format!("proxy = \"http://corp:{CANARY}@proxy.example\""), "endpoint.proxy", &["name or password"]);
    assert_next("proxy = 1", "endpoint.proxy", &["expected a text"]);
}

#[test]
fn numbers_and_shares_have_limits() {
    for bad in ["0", "1.5", "-0.1", "nan", "-1"] {
        assert_next(&format!("quota_share = {bad}"), "endpoint.quota_share", &["no share", "more than 0"]);
    }
    assert!(cloud("quota_share = 1\n").http.quota_share.is_some());
    assert_next("page_size = 0", "endpoint.page_size", &["out of range", "1 to 999"]);
    assert_next("page_size = 1000", "endpoint.page_size", &["out of range"]);
    assert_next("page_size = \"100\"", "endpoint.page_size", &["expected a number, found a text"]);
    assert_next("concurrency = 65", "endpoint.concurrency", &["1 to 64"]);
    assert_next("concurrency = 99999999999999999999", "endpoint.concurrency", &["out of range"]);
    assert_next("timeout = 0", "endpoint.timeout", &["out of range", "1s to 1h"]);
    assert_next("lane_time = \"25h\"", "endpoint.lane_time", &["out of range", "0s to 1d"]);
    assert_next("ca_file = \"graph.key\"", "endpoint.ca_file", &["no certificate", "PEM"]);
}

#[test]
fn quotas_are_permits_in_a_period() {
    let of = |quota: &str| format!("quota.tenant = {quota}");
    assert_next(&of("8000"), "endpoint.quota.tenant", &["expected a table", "permits = 8000"]);
    assert_next(&of("{ permits = 5 }"), "endpoint.quota.tenant.per", &["missing", "per = \"10s\""]);
    assert_next(&of("{ per = 5 }"), "endpoint.quota.tenant.permits", &["missing"]);
    assert_next(&of("{ permits = 0, per = 5 }"), "endpoint.quota.tenant.permits", &["out of range"]);
    assert_next(&of("{ permits = 5, per = 0 }"), "endpoint.quota.tenant.per", &["out of range", "1s to 1d"]);
    assert_next("quota.tennant = {}", "endpoint.quota.tennant", &["did you mean tenant?"]);
    assert_next("quota = 5", "endpoint.quota", &["expected a table", "[endpoint.quota]"]);
}

#[test]
fn choices_and_switches_are_checked() {
    assert_next("cloud = \"us\"", "endpoint.cloud", &["global, us-gov, us-dod, china"]);
    assert_next("cloud = \"usgov\"", "endpoint.cloud", &["did you mean us-gov?"]);
    for key in ["mfa", "sign_in", "mailbox"] {
        assert_next(&format!("{key} = \"yes\""), &format!("endpoint.{key}"), &["expected true or false"]);
    }
}

#[test]
fn keys_of_another_kind_are_unknown() {
    assert_next("bind = \"x\"", "endpoint.bind", &["unknown key"]);
    assert_problem(&format!("{MINIMAL}tenant = \"x\"\n"), NEXT, "endpoint.tenant", &["unknown key"]);
}
