//! The keys of the kind `gsuite`.
//!
//! It knows what they may be and which of them belong together, not how an account is read.

use std::time::Duration;

use tenantry::Secret;
use tenantry_gsuite::{Changes, Devices, GsuiteConfig, Quota, Writes, check_key};
use tenantry_http::Proxy;

use crate::customer::is_domain;
use crate::http::{self, HttpKeys};
use crate::key::{Form, Key, Keys};
use crate::reading::Reading;
use crate::table::{Field, Table};

/// Everything that an endpoint of the kind `gsuite` needs.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct GsuiteSettings {
    /// The text of the service account's key file.
    pub key: Secret,
    /// The administrator who is impersonated.
    pub admin: String,
    /// The account's id; none for the administrator's own account.
    pub customer: Option<String>,
    /// The only domain that comes in; none for all of the account.
    pub domain: Option<String>,
    /// Where the API answers; none for Google's own address.
    pub api_url: Option<String>,
    /// Whether Chrome OS devices come in.
    pub chromeos: Devices,
    /// Whether mobile devices come in.
    pub mobile: Devices,
    /// Whether accounts may be changed.
    pub writes: Writes,
    /// How changes since the last run are found.
    pub changes: Changes,
    /// Users on a page; none for the connector's own number.
    pub page_size: Option<u32>,
    /// Requests at the same time at most; none for the connector's own number.
    pub concurrency: Option<usize>,
    /// The published quotas where they are others than the connector knows.
    pub quota: Quota,
    /// What every endpoint behind HTTP has.
    pub http: HttpKeys,
}

impl From<&GsuiteSettings> for GsuiteConfig {
    /// Says the same in the words of the connector.
    fn from(settings: &GsuiteSettings) -> Self {
        let mut config = Self::new(settings.key.clone(), settings.admin.clone());
        if let Some(customer) = &settings.customer {
            config.customer.clone_from(customer);
        }
        config.domain.clone_from(&settings.domain);
        if let Some(url) = &settings.api_url {
            config.api_url.clone_from(url);
        }
        // Checked when it was read.
        config.http.proxy = settings.http.proxy.as_deref().and_then(|proxy| Proxy::parse(proxy).ok());
        config.http.ca_pem.clone_from(&settings.http.ca);
        config.http.timeout = settings.http.timeout.unwrap_or(config.http.timeout);
        config.http.insecure = settings.http.insecure;
        config.chromeos = settings.chromeos;
        config.mobile = settings.mobile;
        config.writes = settings.writes;
        config.changes = settings.changes;
        config.page_size = settings.page_size.unwrap_or(config.page_size);
        config.quota = settings.quota;
        config.quota.share = settings.http.quota_share.unwrap_or(config.quota.share);
        config.quota.concurrent = settings.concurrency.unwrap_or(config.quota.concurrent);
        config
    }
}

/// The keys that only endpoints of this kind have.
pub(crate) const KEYS: &[Key] = &[
    Key::required("key_file", Form::Path, "The service account's key file, as JSON."),
    Key::required("admin", Form::Text, "Mail address of the administrator in whose name everything is read."),
    Key::optional("customer", Form::Text, "The account: my_customer for the administrator's own, or its id."),
    Key::optional("domain", Form::Text, "Only this domain of the account."),
    Key::optional("api_url", Form::Text, "Where the API answers, instead of Google's own address."),
    Key::optional("chromeos", Form::Switch, "Whether ChromeOS devices come in."),
    Key::optional("mobile", Form::Switch, "Whether mobile devices come in."),
    Key::optional("actions", Form::Switch, "Whether accounts may be changed; asks for the rights to."),
    Key::optional("delta", Form::Choice(&["audit-log", "off"]), "How changes since the last run are found."),
    Key::optional("full_listing", FULL, "How old the last full listing may become."),
    Key::optional("member_turn", TURN, "Within which time the members of every group are read again by turns."),
    Key::optional("page_size", PAGE_SIZE, "Users on a page."),
    Key::optional("concurrency", CONCURRENCY, "Requests at the same time at most."),
    Key::optional("quota", Form::Table(Keys(QUOTAS)), "Published quotas that are others than is assumed."),
];

const FULL: Form = Form::Time { least: Duration::from_mins(1), most: Duration::from_hours(24 * 365), word: None };
const TURN: Form = Form::Time { least: Duration::from_mins(1), most: Duration::from_hours(24 * 365), word: None };
const PAGE_SIZE: Form = Form::Number { least: 1, most: 500 };
const CONCURRENCY: Form = Form::Number { least: 1, most: 64 };

const QUOTAS: &[Key] = &[
    Key::optional("queries_per_minute", PERMITS, "Queries of one administrator in one project, per minute."),
    Key::optional("mobile_per_second", PERMITS, "Queries of mobile devices, per second."),
    Key::optional("reports_per_minute", PERMITS, "Queries of the audit log, per minute."),
];

const PERMITS: Form = Form::Number { least: 1, most: 1_000_000 };

/// Reads what is left in the table of an endpoint.
pub(crate) fn read(mut table: Table<'_>, reading: &mut Reading<'_>) -> Option<GsuiteSettings> {
    let key_field =
        table.require("key_file", r#"write key_file = "…", the JSON file of the service account's key"#, reading);
    let key = key_field.as_ref().and_then(|field| read_text(field, reading));
    let admin = table
        .require("admin", r#"write admin = "admin@corp.example", who may read the account"#, reading)
        .and_then(|field| read_admin(&field, reading));
    let customer = table.take("customer").map(|field| read_customer(&field, reading));
    let domain = table.take("domain").map(|field| read_domain(&field, reading));
    let mut switch = |name| table.take(name).and_then(|field| field.switch(reading));
    let devices = |on: Option<bool>| if on == Some(false) { Devices::Ignored } else { Devices::Imported };
    let (chromeos, mobile) = (devices(switch("chromeos")), devices(switch("mobile")));
    let writes = if switch("actions") == Some(true) { Writes::On } else { Writes::Off };
    let changes = read_changes(&mut table, reading);
    let page_size = table.take("page_size").and_then(|field| field.number(reading)).and_then(small);
    let concurrency = table.take("concurrency").and_then(|field| field.number(reading)).and_then(small);
    let quota = read_quotas(table.take("quota"), reading);
    // The key names an address, too: where tokens are issued.
    let plain = key.as_ref().is_some_and(|key| check_key(key, false).is_err() && check_key(key, true).is_ok());
    let (http, addresses) = http::read_beside(&mut table, &["api_url"], plain, reading);
    let [api_url] = addresses.try_into().unwrap_or_default();
    let key = key.zip(key_field).and_then(|(key, field)| checked(key, &field, http.insecure, reading));
    table.finish(reading);
    Some(GsuiteSettings {
        key: key?,
        admin: admin?,
        customer: unless_wrong(customer)?,
        domain: unless_wrong(domain)?,
        api_url,
        chromeos,
        mobile,
        writes,
        changes,
        page_size,
        concurrency: concurrency.and_then(|number| usize::try_from(number).ok()),
        quota,
        http,
    })
}

/// Turns what may be missing, or wrong where it is there, into what may be missing.
#[allow(clippy::option_option, reason = "the outer one is empty where a problem was told")]
fn unless_wrong(read: Option<Option<String>>) -> Option<Option<String>> {
    match read {
        Some(None) => None,
        read => Some(read.flatten()),
    }
}

fn small(number: u64) -> Option<u32> {
    u32::try_from(number).ok()
}

fn read_text(field: &Field<'_>, reading: &mut Reading<'_>) -> Option<Secret> {
    let bytes = field.file(reading)?;
    let Ok(text) = String::from_utf8(bytes) else {
        field.refuse(
            "the file is no text",
            "name the JSON file that the console gave for the service account",
            reading,
        );
        return None;
    };
    Some(Secret::new(text))
}

fn checked(key: Secret, field: &Field<'_>, insecure: bool, reading: &mut Reading<'_>) -> Option<Secret> {
    match check_key(&key, insecure) {
        Ok(()) => Some(key),
        Err(error) => {
            let remedy = "name the JSON file that the console gave for the service account";
            let (message, remedy) = http::split(error.message(), remedy);
            let message = match error.context("field") {
                Some(inside) => format!("{inside} in the file: {message}"),
                None => message,
            };
            field.refuse(message, remedy, reading);
            None
        }
    }
}

fn read_admin(field: &Field<'_>, reading: &mut Reading<'_>) -> Option<String> {
    let text = field.text(reading)?;
    let is_address = text.split_once('@').is_some_and(|(name, domain)| {
        !name.is_empty() && !name.contains(char::is_whitespace) && is_domain(&domain.to_ascii_lowercase())
    });
    if !is_address {
        let remedy = "write the mail address of an administrator, such as admin@corp.example";
        field.refuse("this is no mail address", remedy, reading);
        return None;
    }
    Some(text.to_owned())
}

fn read_customer(field: &Field<'_>, reading: &mut Reading<'_>) -> Option<String> {
    let text = field.text(reading)?;
    if !text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        let remedy = "write my_customer or the account's id, such as C01abc2de; for one domain write domain";
        field.refuse("this is no id of an account", remedy, reading);
        return None;
    }
    Some(text.to_owned())
}

fn read_domain(field: &Field<'_>, reading: &mut Reading<'_>) -> Option<String> {
    let text = field.text(reading)?;
    if !is_domain(&text.to_ascii_lowercase()) {
        let remedy = r#"write one domain of the account, such as "corp.example", or leave it out for all of them"#;
        field.refuse("this is no domain name", remedy, reading);
        return None;
    }
    Some(text.to_owned())
}

fn read_changes(table: &mut Table<'_>, reading: &mut Reading<'_>) -> Changes {
    let ways = [("audit-log", true), ("off", false)];
    let by_log = table.take("delta").and_then(|field| field.choice(&ways, reading)).unwrap_or(true);
    let (mut given, mut times) = (Vec::new(), [None, None]);
    for (name, time) in ["full_listing", "member_turn"].into_iter().zip(&mut times) {
        if let Some(field) = table.take(name) {
            *time = field.duration(reading);
            given.push(field);
        }
    }
    if !by_log {
        for field in given {
            field.refuse("this has no effect: with delta off every run lists everything", "remove it", reading);
        }
        return Changes::Listed;
    }
    let Changes::AuditLog { full, members } = Changes::default() else { return Changes::Listed };
    Changes::AuditLog { full: times[0].unwrap_or(full), members: times[1].unwrap_or(members) }
}

fn read_quotas(field: Option<Field<'_>>, reading: &mut Reading<'_>) -> Quota {
    let mut quota = Quota::default();
    let remedy = "write [endpoint.quota] with lines such as queries_per_minute = 2400";
    let Some(mut table) = field.and_then(|field| field.table(remedy, reading)) else { return quota };
    for (name, limit) in [
        ("queries_per_minute", &mut quota.user_per_minute),
        ("mobile_per_second", &mut quota.mobile_per_second),
        ("reports_per_minute", &mut quota.reports_per_minute),
    ] {
        let read = table.take(name).and_then(|field| field.number(reading)).and_then(small);
        *limit = read.unwrap_or(*limit);
    }
    table.finish(reading);
    quota
}
