//! Exchange organisations: two routes, each with keys of its own.

use std::time::Duration;

use tenantry::IdListing;
use tenantry_config::{EndpointKind, EndpointSettings, EwsSettings, ExchangeSettings, TenantConfig};
use tenantry_exchange::EwsAuth;
use tenantry_ldap::domain::DeltaMethod;

use crate::support::*;

fn settings(config: &TenantConfig) -> &ExchangeSettings {
    match &config.endpoints[0].settings {
        EndpointSettings::Exchange(settings) => settings,
        other => panic!("{other:?}"),
    }
}

fn ews(text: &str) -> EwsSettings {
    let config = parse(text).unwrap();
    match settings(&config) {
        ExchangeSettings::Ews(settings) => settings.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_route_ldap_has_the_keys_of_a_domain() {
    let more =
        "base = \"DC=mining88,DC=example\"\nusers = \"(department=*)\"\ndelta = \"dirsync\"\nid_listing = \"6h\"\n";
    let config = parse(&format!("{MAIL}{more}")).unwrap();
    let endpoint = &config.endpoints[0];
    assert_eq!(endpoint.kind, EndpointKind::Exchange);
    let ExchangeSettings::Ldap(domain) = settings(&config) else { panic!("another route") };
    assert_eq!(domain.base.as_ref().unwrap().to_string(), "DC=mining88,DC=example");
    assert_eq!((domain.delta, domain.users.as_ref().unwrap().as_str()), (DeltaMethod::DirSync, "(department=*)"));
    assert_eq!(endpoint.import_options().id_listing, IdListing::Every(Duration::from_hours(6)));
    let built = endpoint.build().unwrap();
    assert_eq!(built.info().kind, "exchange");
    assert!(built.as_delta().is_some(), "{built:?}");
    assert!(!format!("{built:?}").contains(CANARY));
}

#[test]
fn the_route_ews_has_an_address_an_account_and_the_keys_of_http() {
    let short = ews(WEB_MAIL);
    assert_eq!((short.auth, short.concurrency, short.http.insecure), (EwsAuth::Ntlm, None, false));
    let more = "auth = \"basic\"\nconcurrency = 2\nproxy = \"http://proxy.example:3128\"\nca_file = \"ca.pem\"\ntimeout = \"30s\"\n";
    let text = format!("{WEB_MAIL}{more}");
    let all = ews(&text);
    assert_eq!((all.auth, all.concurrency, all.user.as_str()), (EwsAuth::Basic, Some(2), r"MINING88\sync"));
    assert_eq!(all.http.timeout, Some(Duration::from_secs(30)));
    assert_eq!(all.http.ca.as_deref(), Some(CA_PEM.as_bytes()));
    let built = parse(&text.replace("ca_file", "#")).unwrap().endpoints[0].build().unwrap();
    assert!(built.as_delta().is_none());
    assert!(!format!("{built:?} {all:?}").contains(CANARY));
}

#[test]
fn a_key_of_the_other_route_is_refused_with_the_way_out() {
    let ldap = ["the route ldap", "set route = \"ldap\""];
    for line in ["bind = \"x\"", "base = \"DC=x\"", "delta = \"usn\"", "starttls = true"] {
        let key = format!("endpoint.{}", line.split_once(' ').unwrap().0);
        assert_problem(&format!("{WEB_MAIL}{line}\n"), 10, &key, &ldap);
    }
    for line in ["user = \"x\"", "auth = \"ntlm\"", "proxy = \"http://p.example:1\""] {
        let key = format!("endpoint.{}", line.split_once(' ').unwrap().0);
        assert_problem(&format!("{MAIL}{line}\n"), 10, &key, &["the route ews", "Exchange 2003"]);
    }
}

#[test]
fn what_cannot_be_is_refused_with_line_and_remedy() {
    assert_problem(&MAIL.replace("route = \"ldap\"\n", ""), 3, "endpoint.route", &["missing", "route = \"ldap\""]);
    assert_problem(&MAIL.replace("\"ldap\"", "\"owa\""), 6, "endpoint.route", &["ldap", "ews"]);
    assert_problem(&format!("{MAIL}computers = \"(cn=*)\"\n"), 10, "endpoint.computers", &["unknown key"]);
    let plain = WEB_MAIL.replace("https://", "http://");
    assert_problem(&plain, 7, "endpoint.url", &["http"]);
    ews(&format!("{plain}insecure = true\n"));
    assert_problem(&format!("{WEB_MAIL}insecure = true\n"), 10, "endpoint.insecure", &["no effect"]);
    assert_problem(
        &format!("{WEB_MAIL}quota_share = 0.5\n"),
        10,
        "endpoint.quota_share",
        &["no effect", "concurrency"],
    );
    let online = WEB_MAIL.replace("mail.mining88.example", "outlook.office365.com");
    assert_problem(&online, 7, "endpoint.url", &["Exchange Online", "office365"]);
    assert_problem(&WEB_MAIL.replace("Exchange.asmx", ""), 7, "endpoint.url", &["Exchange.asmx"]);
    assert_problem(&format!("{WEB_MAIL}concurrency = 28\n"), 10, "endpoint.concurrency", &["27"]);
}
