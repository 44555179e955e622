//! Configurations that are right, and what becomes of them.

use std::time::Duration;

use tenantry::IdListing;
use tenantry::model::{GuardLimits, Limit};
use tenantry_active_directory::{ActiveDirectoryConfig, BuiltinGroups, Contacts, DeltaMethod};
use tenantry_config::{EndpointKind, TenantConfig};
use tenantry_ldap::{Encryption, PlainText};

use crate::support::*;

#[test]
fn the_shortest_configuration_has_every_default() {
    let config = parse(MINIMAL).unwrap();
    assert_eq!(config.customer.id.as_str(), "mining-88");
    assert!(config.customer.domains.is_empty());
    let endpoint = &config.endpoints[0];
    assert_eq!((endpoint.name.as_str(), endpoint.title.as_str(), endpoint.line), ("ad", "ad", 3));
    assert_eq!(endpoint.kind, EndpointKind::ActiveDirectory);
    assert_eq!(endpoint.guard, GuardLimits::default());
    let settings = settings("");
    assert_eq!((settings.domain.delta, settings.domain.id_listing), (DeltaMethod::Usn, IdListing::Auto));
    assert_eq!((settings.contacts, settings.builtin_groups, settings.domain.timeout), (false, false, None));
    assert_eq!(settings.domain.plain_text, PlainText::Refused);
    assert!(settings.domain.base.is_none() && settings.domain.users.is_none() && settings.domain.exclude.is_empty());
    assert_eq!(settings.domain.password.expose(), CANARY);
}

#[test]
fn every_key_arrives() {
    let settings = only_settings(
        r#"
        [customer]
        id = "m88"
        name = "Mining 88"
        domains = ["Mining88.example"]
        [[endpoint]]
        name = "ad"
        title = "Mining 88 AD"
        kind = "active-directory"
        url = ["ldap://dc1.mining88.example", "ldap://dc2.mining88.example:1389", "ldaps://dc3.mining88.example"]
        starttls = true
        bind = 'MINING88\sync'
        password = { file = "ad.secret" }
        base = "DC=mining88,DC=example"
        users = "(department=*)"
        groups = "(cn=App-*)"
        computers = "(operatingSystem=Windows*)"
        exclude = ["OU=Old,DC=mining88,DC=example"]
        ca_file = "ca.pem"
        delta = "dirsync"
        contacts = true
        builtin_groups = true
        id_listing = "6h"
        timeout = 30
        "#,
    );
    let told: Vec<String> = settings.domain.servers.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        ["ldap://dc1.mining88.example:389", "ldap://dc2.mining88.example:1389", "ldaps://dc3.mining88.example:636"]
    );
    assert_eq!(settings.domain.servers[0].encryption(), Encryption::StartTls);
    let config = ActiveDirectoryConfig::from(&settings);
    assert_eq!((config.domain.urls, config.domain.starttls, config.domain.insecure), (told, true, false));
    assert_eq!(settings.domain.bind, r"MINING88\sync");
    assert_eq!(settings.domain.password.expose(), CANARY);
    assert_eq!(settings.domain.base.unwrap().to_string(), "DC=mining88,DC=example");
    assert_eq!(settings.domain.users.unwrap().as_str(), "(department=*)");
    assert_eq!(settings.domain.groups.unwrap().as_str(), "(cn=App-*)");
    assert_eq!(settings.computers.unwrap().as_str(), "(operatingSystem=Windows*)");
    assert_eq!(settings.domain.exclude.len(), 1);
    assert_eq!(settings.domain.ca.unwrap(), CA_PEM.as_bytes());
    assert_eq!((settings.domain.delta, settings.contacts, settings.builtin_groups), (DeltaMethod::DirSync, true, true));
    assert_eq!(settings.domain.id_listing, IdListing::Every(Duration::from_hours(6)));
    assert_eq!(settings.domain.timeout, Some(Duration::from_secs(30)));
}

#[test]
fn an_endpoint_is_built_with_its_name_title_and_kind() {
    let config = parse(&format!("{MINIMAL}title = \"Mining 88 AD\"\n")).unwrap();
    let endpoint = config.endpoints[0].build().unwrap();
    assert_eq!(endpoint.info(), &config.endpoints[0].info());
    let info = endpoint.info();
    assert_eq!((info.name.as_str(), info.title.as_str(), info.kind), ("ad", "Mining 88 AD", "active-directory"));
    assert!(!format!("{endpoint:?}").contains(CANARY));
}

#[test]
fn every_way_to_a_server_that_is_accepted_can_be_built() {
    for url in [
        "url = \"ldaps://[::1]:1636\"",
        "url = \"ldap://127.0.0.1\"\nstarttls = true",
        "url = \"ldap://127.0.0.1\"\ninsecure = true",
        "url = [\"ldap://127.0.0.1\", \"ldaps://127.0.0.1\"]\nstarttls = true",
        "url = [\"ldap://127.0.0.1\", \"ldaps://127.0.0.1\"]\ninsecure = true",
    ] {
        let text = replaced("url", &format!("{url}\nca_file = \"ca.pem\"\nexclude = [\"OU=x\"]"));
        parse(&text).unwrap().endpoints[0].build().unwrap();
    }
}

#[test]
fn the_connector_is_told_what_the_file_says() {
    let more = "base = \"DC=corp,DC=example\"\nusers = \"(a=1)\"\ngroups = \"(b=2)\"\ncomputers = \"(c=3)\"\n\
                exclude = [\"OU=x,DC=corp,DC=example\"]\nca_file = \"ca.pem\"\ncontacts = true\ntimeout = \"45s\"\n";
    let config = ActiveDirectoryConfig::from(&settings(more));
    assert_eq!(config.domain.urls, ["ldaps://dc1.mining88.example:636"]);
    assert_eq!((config.domain.starttls, config.domain.insecure), (false, false));
    assert_eq!((config.domain.bind.as_str(), config.domain.password.expose()), ("sync@mining88.example", CANARY));
    assert_eq!(config.domain.base.as_deref(), Some("DC=corp,DC=example"));
    assert_eq!(
        [&config.domain.users, &config.domain.groups, &config.domain.computers]
            .map(|filter| filter.as_deref().unwrap()),
        ["(a=1)", "(b=2)", "(c=3)"]
    );
    assert_eq!(config.domain.exclude, ["OU=x,DC=corp,DC=example"]);
    assert_eq!(config.domain.ca.as_deref(), Some(CA_PEM.as_bytes()));
    assert_eq!((config.contacts, config.builtin_groups), (Contacts::Imported, BuiltinGroups::Ignored));
    assert_eq!(config.domain.timeout, Duration::from_secs(45));
    let other = ActiveDirectoryConfig::from(&settings("builtin_groups = true\n"));
    assert_eq!((other.contacts, other.builtin_groups), (Contacts::Ignored, BuiltinGroups::Imported));
    assert!(other.domain.base.is_none() && other.domain.users.is_none() && other.domain.ca.is_none());
}

#[test]
fn plain_text_needs_the_word_insecure() {
    let text = replaced("url", "url = \"ldap://127.0.0.1:1389\"\ninsecure = true");
    let settings = only_settings(&text);
    let config = ActiveDirectoryConfig::from(&settings);
    assert_eq!((config.domain.starttls, config.domain.insecure), (false, true));
    assert_eq!(settings.domain.servers[0].encryption(), Encryption::Plain);
    assert_eq!(settings.domain.plain_text, PlainText::Allowed);
}

#[test]
fn insecure_leaves_the_encrypted_servers_of_the_list_encrypted() {
    let text = replaced("url", "url = [\"ldap://127.0.0.1\", \"ldaps://127.0.0.1\"]\ninsecure = true");
    let encryption: Vec<_> =
        only_settings(&text).domain.servers.iter().map(tenantry_ldap::Server::encryption).collect();
    assert_eq!(encryption, [Encryption::Plain, Encryption::Tls]);
}

#[test]
fn switches_set_to_false_change_nothing() {
    let settings = settings("starttls = false\ninsecure = false\n");
    assert_eq!(settings.domain.servers[0].encryption(), Encryption::Tls);
}

#[test]
fn the_connector_is_told_how_changes_are_found() {
    for (text, method) in [
        ("", DeltaMethod::Usn),
        ("delta = \"usn\"\n", DeltaMethod::Usn),
        ("delta = \"dirsync\"\n", DeltaMethod::DirSync),
        ("delta = \"off\"\n", DeltaMethod::Off),
    ] {
        let settings = settings(text);
        assert_eq!((settings.domain.delta, ActiveDirectoryConfig::from(&settings).domain.delta), (method, method));
    }
}

#[test]
fn whoever_starts_imports_is_told_the_limits_and_when_ids_are_listed() {
    let options = |more: &str| parse(&format!("{MINIMAL}{more}")).unwrap().endpoints[0].import_options();
    let short = options("");
    assert_eq!((short.guard, short.id_listing), (GuardLimits::default(), IdListing::Auto));
    assert!(!short.full && !short.dry_run && short.approve.is_none());
    let long = options("id_listing = \"6h\"\n[endpoint.guard]\nusers = { floor = 9 }\n");
    assert_eq!(long.id_listing, IdListing::Every(Duration::from_hours(6)));
    assert_eq!(long.guard.users.floor, 9);
}

#[test]
fn guards_are_overridden_key_by_key() {
    let config = parse(&format!(
        "{MINIMAL}[endpoint.guard]\nusers = {{ floor = 9 }}\n[guard]\nusers = {{ share = 0.5 }}\ngroups = {{ share = 1, floor = 0 }}\n"
    ))
    .unwrap();
    let guard = config.endpoints[0].guard;
    assert_eq!(guard.users, Limit::new(0.5, 9));
    assert_eq!(guard.groups, Limit::new(1.0, 0));
    assert_eq!(guard.memberships, GuardLimits::default().memberships);
}

#[test]
fn one_endpoints_guard_is_not_the_others() {
    let second = MINIMAL.split_once("[[endpoint]]").unwrap().1.replace("\"ad\"", "\"ad2\"");
    let config = parse(&format!("{MINIMAL}guard.users.share = 0.9\n[[endpoint]]{second}")).unwrap();
    assert_eq!(config.endpoints[0].guard.users, Limit::new(0.9, 5));
    assert_eq!(config.endpoints[1].guard, GuardLimits::default());
}

#[test]
fn endpoints_keep_the_order_of_the_file() {
    let endpoint = MINIMAL.split_once("[[endpoint]]").unwrap().1;
    let more: String = ["z", "b", "a"]
        .map(|name| format!("[[endpoint]]{}", endpoint.replace("\"ad\"", &format!("\"{name}\""))))
        .concat();
    let config = parse(&format!("{MINIMAL}{more}")).unwrap();
    let names: Vec<_> = config.endpoints.iter().map(|endpoint| endpoint.name.as_str()).collect();
    assert_eq!(names, ["ad", "z", "b", "a"]);
    assert_eq!(config.endpoint("z").unwrap().name.as_str(), "z");
    let told = config.endpoint("adx").unwrap_err().to_string();
    assert!(told.contains("did you mean ad?") && told.contains("ad, z, b, a"), "{told}");
}

#[test]
fn line_ends_of_windows_and_a_byte_order_mark_are_no_mistake() {
    let text = format!("\u{feff}{}", MINIMAL.replace('\n', "\r\n"));
    parse(&text).unwrap();
    assert_problem(&format!("{text}colour = 1\r\n"), NEXT, "endpoint.colour", &["conf/tenant.toml:9:1:"]);
}

#[test]
fn a_file_is_loaded_with_the_files_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tenant.toml");
    std::fs::write(&path, replaced("password", r#"password = { file = "secrets/ad" }"#)).unwrap();
    let missing = TenantConfig::load(&path).unwrap_err();
    assert!(missing.message().contains("does not exist"), "{missing}");
    std::fs::create_dir(folder.path().join("secrets")).unwrap();
    std::fs::write(folder.path().join("secrets/ad"), "from the file\r\n").unwrap();
    let config = TenantConfig::load(&path).unwrap();
    assert!(format!("{config:?}").contains("Secret(..)"));
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tenant.toml");
    let error = TenantConfig::load(&path).unwrap_err();
    assert_eq!(error.context("file"), Some(path.display().to_string().as_str()));
    assert!(error.message().contains("does not exist"), "{error}");
    if cfg!(unix) {
        assert!(TenantConfig::load(folder.path()).unwrap_err().message().contains("is a folder"));
    }
    std::fs::write(&path, b"[customer]\nname = \"\xff\"").unwrap();
    assert_eq!(TenantConfig::load(&path).unwrap_err().context("line"), Some("2"));
}
