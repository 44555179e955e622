//! The keys of the kind `exchange`: which route, and what that route needs.
//!
//! It knows what they may be and which of them contradict each other, not how an organisation is read.

use std::sync::Arc;

use tenantry::{Endpoint, EndpointInfo, IdListing, Result, Secret};
use tenantry_exchange::{Ews, EwsAuth, EwsConfig, Ldap, LdapConfig};
use tenantry_http::{HttpSettings, Origin, Proxy};
use tenantry_ldap::domain::DomainConfig;

use crate::domain::{self, DomainSettings};
use crate::http::{self, HttpKeys};
use crate::key::{Form, Key};
use crate::reading::Reading;
use crate::secret;
use crate::table::{Field, Table};

/// Everything that an endpoint of the kind `exchange` needs: by one route or the other.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum ExchangeSettings {
    /// Through the domain that holds the recipients: Exchange 2003 and later.
    Ldap(DomainSettings),
    /// Through Exchange Web Services: Exchange 2007 and later.
    Ews(EwsSettings),
}

/// What the route through Exchange Web Services needs.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct EwsSettings {
    /// The address of the service.
    pub url: String,
    /// Who signs in.
    pub user: String,
    /// The password of the account.
    pub password: Secret,
    /// How it signs in.
    pub auth: EwsAuth,
    /// How many requests are under way at most; none for the connector's own number.
    pub concurrency: Option<usize>,
    /// What every endpoint behind HTTP has. There is no published quota to have a share of.
    pub http: HttpKeys,
}

impl ExchangeSettings {
    /// Returns when a delta run ends with a listing of ids.
    pub(crate) fn id_listing(&self) -> IdListing {
        match self {
            Self::Ldap(domain) => domain.id_listing,
            Self::Ews(_) => IdListing::Auto,
        }
    }

    /// Creates the endpoint. Nothing is sent.
    pub(crate) fn build(&self, info: EndpointInfo) -> Result<Arc<dyn Endpoint>> {
        Ok(match self {
            Self::Ldap(domain) => Arc::new(Ldap::new(info, LdapConfig::from(DomainConfig::from(domain)))?),
            Self::Ews(ews) => Arc::new(Ews::new(info, ews.config()?)?),
        })
    }
}

impl EwsSettings {
    /// Says the same in the words of the connector.
    fn config(&self) -> Result<EwsConfig> {
        let mut config = EwsConfig::new(self.url.as_str(), self.user.as_str(), self.password.clone());
        config.auth = self.auth;
        config.concurrent = self.concurrency.unwrap_or(config.concurrent);
        config.http = HttpSettings {
            proxy: self.http.proxy.as_deref().map(Proxy::parse).transpose()?,
            ca_pem: self.http.ca.clone(),
            timeout: self.http.timeout.unwrap_or(config.http.timeout),
            insecure: self.http.insecure,
            ..config.http
        };
        Ok(config)
    }
}

/// The key that decides which others there are.
const ROUTE: &str = "How recipients are read: ldap from the domain, ews from the address book of a mailbox.";

/// The route, before it is known which.
pub(crate) const ROUTES: &[Key] = &[Key::required("route", Form::Choice(&["ldap", "ews"]), ROUTE)];
/// The route through the domain.
pub(crate) const LDAP: &[Key] = &[Key::required("route", Form::Choice(&["ldap"]), ROUTE)];
/// The route through Exchange Web Services.
pub(crate) const EWS: &[Key] = &[Key::required("route", Form::Choice(&["ews"]), ROUTE)];

/// The keys that only the route through Exchange Web Services has, besides those of HTTP.
pub(crate) const EWS_KEYS: &[Key] = &[
    Key::required("url", Form::Text, "The service: https://mail.corp.example/EWS/Exchange.asmx."),
    Key::required("user", Form::Text, "The account, which needs a mailbox: DOMAIN\\user or user@domain."),
    Key::required("password", secret::FORM, "Where its secret is."),
    Key::optional("auth", Form::Choice(&["ntlm", "basic"]), "How the account signs in."),
    Key::optional("concurrency", CONCURRENCY, "Requests at the same time at most."),
];

const CONCURRENCY: Form = Form::Number { least: 1, most: 27 };

/// Reads what is left in the table of an endpoint.
pub(crate) fn read(mut table: Table<'_>, reading: &mut Reading<'_>) -> Option<ExchangeSettings> {
    const REMEDY: &str = r#"write route = "ldap", or route = "ews" where only a mailbox's password is to be had"#;
    table.extend(ROUTES);
    let route = table.require("route", REMEDY, reading);
    // Without a route nobody can say which keys are right.
    match route?.choice(&[("ldap", Route::Ldap), ("ews", Route::Ews)], reading)? {
        Route::Ldap => {
            table.extend(domain::KEYS);
            let remedy = r#"remove it, or set route = "ews", which Exchange 2003 does not have"#;
            table.refuse_strangers(&[EWS_KEYS, http::KEYS], "this key belongs to the route ews", remedy, reading);
            let domain = domain::read(&mut table, reading);
            table.finish(reading);
            domain.map(ExchangeSettings::Ldap)
        }
        Route::Ews => {
            table.extend(EWS_KEYS);
            table.extend(http::KEYS);
            let remedy = r#"remove it, or set route = "ldap" and name a domain controller"#;
            table.refuse_strangers(&[domain::KEYS], "this key belongs to the route ldap", remedy, reading);
            let settings = read_ews(&mut table, reading);
            table.finish(reading);
            settings.map(ExchangeSettings::Ews)
        }
    }
}

#[derive(Clone, Copy)]
enum Route {
    Ldap,
    Ews,
}

fn read_ews(table: &mut Table<'_>, reading: &mut Reading<'_>) -> Option<EwsSettings> {
    const URL: &str = r#"write url = "https://mail.corp.example/EWS/Exchange.asmx""#;
    let url = table.require("url", URL, reading);
    let address = url.as_ref().and_then(|field| field.text(reading));
    let plain = address.is_some_and(|text| Origin::parse(text, false).is_err());
    let user = table
        .require("user", r#"write user = 'CORP\sync' or "sync@corp.example""#, reading)
        .and_then(|field| field.text(reading));
    let password = table
        .require("password", r#"write password = { env = "…" } or { file = "…" }"#, reading)
        .and_then(|field| secret::read(field, reading));
    let auths = [("ntlm", EwsAuth::Ntlm), ("basic", EwsAuth::Basic)];
    let auth = table.take("auth").and_then(|field| field.choice(&auths, reading)).unwrap_or_default();
    let share_at = table.place_of("quota_share");
    let concurrency = table.take("concurrency").and_then(|field| field.number(reading));
    let (http, _) = http::read_beside(table, &[], plain, reading);
    if let (Some(_), Some(at)) = (http.quota_share, share_at) {
        let remedy = "remove it; concurrency says how many requests are under way at most";
        let path = table.path_of("quota_share");
        reading.problem(at, &path, "quota_share has no effect: Exchange publishes no quota", remedy);
        return None;
    }
    let url = check(url.as_ref()?, address?, http.insecure, reading);
    Some(EwsSettings {
        url: url?,
        user: user?.to_owned(),
        password: password?,
        auth,
        concurrency: concurrency.and_then(|calls| usize::try_from(calls).ok()),
        http,
    })
}

/// Refuses what the connector would refuse, with the line.
fn check(field: &Field<'_>, address: &str, insecure: bool, reading: &mut Reading<'_>) -> Option<String> {
    const REMEDY: &str = "write it like https://mail.corp.example/EWS/Exchange.asmx";
    let parsed = Origin::parse(address, insecure).and_then(|_| EwsConfig::check_url(address));
    let refuse = |error: tenantry::Error| {
        let (message, remedy) = http::split(error.message(), REMEDY);
        field.refuse(message, remedy, reading);
    };
    parsed.map(|()| address.to_owned()).map_err(refuse).ok()
}
