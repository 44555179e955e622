//! The keys of the kind `office365`.
//!
//! It knows what they may be and which of them belong together, not how a tenant is read.

use std::num::NonZeroU32;
use std::time::Duration;

use tenantry::gate::Limit;
use tenantry::{Error, Secret};
use tenantry_office365::{Cloud, Credential, Enrichment, Office365Config, Quota};

use crate::http::{self, HttpKeys};
use crate::key::{Form, Key, Keys};
use crate::reading::Reading;
use crate::secret;
use crate::table::{Field, Table};

/// Everything that an endpoint of the kind `office365` needs.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Office365Settings {
    /// The tenant: its id or one of its domains.
    pub tenant: String,
    /// The application's id.
    pub client_id: String,
    /// By what the application proves who it is.
    pub credential: Credential,
    /// Which of Microsoft's clouds the tenant lives in.
    pub cloud: Cloud,
    /// Where tokens are issued; none for the cloud's own place.
    pub login_url: Option<String>,
    /// Where Graph answers, with its version; none for the cloud's own place.
    pub graph_url: Option<String>,
    /// What is read besides the directory itself.
    pub enrichments: Vec<Enrichment>,
    /// How long a run waits for that behind the directory; none for the connector's own time.
    pub lane_time: Option<Duration>,
    /// Objects on a page; none for the connector's own number.
    pub page_size: Option<u16>,
    /// Requests at the same time at most; none for the connector's own number.
    pub concurrency: Option<u16>,
    /// The published quotas where they are others than the connector knows.
    pub quota: Quota,
    /// What every endpoint behind HTTP has.
    pub http: HttpKeys,
}

impl From<&Office365Settings> for Office365Config {
    /// Says the same in the words of the connector.
    fn from(settings: &Office365Settings) -> Self {
        let mut config = Self::new(settings.tenant.clone(), settings.client_id.clone(), settings.credential.clone());
        config.cloud = settings.cloud;
        config.login_url.clone_from(&settings.login_url);
        config.graph_url.clone_from(&settings.graph_url);
        config.insecure = settings.http.insecure;
        config.proxy.clone_from(&settings.http.proxy);
        config.ca.clone_from(&settings.http.ca);
        config.enrichments.clone_from(&settings.enrichments);
        config.quota = settings.quota.clone();
        config.quota.share = settings.http.quota_share.unwrap_or(config.quota.share);
        config.timeout = settings.http.timeout.unwrap_or(config.timeout);
        config.lane_time = settings.lane_time.unwrap_or(config.lane_time);
        config.page_size = settings.page_size.unwrap_or(config.page_size);
        config.concurrency = settings.concurrency.unwrap_or(config.concurrency);
        config
    }
}

/// The keys that only endpoints of this kind have.
pub(crate) const KEYS: &[Key] = &[
    Key::required("tenant", Form::Text, "The tenant: its id, or one of its domains."),
    Key::required("client_id", Form::Text, "The application's id, as its registration shows it."),
    Key::optional("client_secret", secret::FORM, "Where the application's secret is: its value, not its id."),
    Key::optional("certificate_file", Form::Path, "PEM file of the application's certificate, instead of a secret."),
    Key::optional("private_key", secret::FORM, "Where the certificate's RSA key is, as PEM."),
    Key::optional("cloud", Form::Choice(&["global", "us-gov", "us-dod", "china"]), "Where the tenant lives."),
    Key::optional("login_url", Form::Text, "Where tokens are issued, instead of the cloud's own address."),
    Key::optional("graph_url", Form::Text, "Where Graph answers, with its version: https://graph.example/v1.0."),
    Key::optional("mfa", Form::Switch, "Whether registered second factors are read."),
    Key::optional("sign_in", Form::Switch, "Whether the times of sign-ins are read."),
    Key::optional("mailbox", Form::Switch, "Whether shared mailboxes, rooms and equipment are told from people."),
    Key::optional("lane_time", LANE_TIME, "How long a run waits for them behind the directory; the next one goes on."),
    Key::optional("page_size", PAGE_SIZE, "Objects on a page."),
    Key::optional("concurrency", CONCURRENCY, "Requests at the same time at most."),
    Key::optional("quota", Form::Table(Keys(QUOTAS)), "Published quotas that are others than is assumed."),
];

const LANE_TIME: Form = Form::Time { least: Duration::ZERO, most: Duration::from_hours(24), word: None };
const PAGE_SIZE: Form = Form::Number { least: 1, most: 999 };
const CONCURRENCY: Form = Form::Number { least: 1, most: 64 };

const QUOTAS: &[Key] = &[
    Key::optional("tenant", QUOTA, "Resource units of one application in one tenant."),
    Key::optional("application", QUOTA, "Resource units of one application in all tenants."),
    Key::optional("writes", QUOTA, "Changes by one application in one tenant."),
    Key::optional("reports", QUOTA, "Requests for reports by one application in one tenant."),
    Key::optional("sign_ins", QUOTA, "Requests for sign-in activity by one application in one tenant."),
    Key::optional("mailboxes", QUOTA, "Mailboxes asked for their purpose, which no published quota counts."),
];

const QUOTA: Form = Form::Table(Keys(&[
    Key::required("permits", Form::Number { least: 1, most: 1_000_000_000 }, "How many in each period."),
    Key::required("per", PERIOD, "The period."),
]));
const PERIOD: Form = Form::Time { least: Duration::from_secs(1), most: Duration::from_hours(24), word: None };

/// Reads what is left in the table of an endpoint.
pub(crate) fn read(mut table: Table<'_>, reading: &mut Reading<'_>) -> Option<Office365Settings> {
    let at = table.at();
    let tenant = table
        .require("tenant", r#"write tenant = "corp.example" or the tenant's id"#, reading)
        .and_then(|field| read_tenant(&field, reading));
    let client_id = table
        .require("client_id", r#"write client_id = "…", the id of the application's registration"#, reading)
        .and_then(|field| read_client(&field, reading));
    let secret = table.take("client_secret");
    let certificate = table.take("certificate_file");
    let key = table.take("private_key");
    let credential = read_credential(at, &table, secret, certificate, key, reading);
    let clouds =
        [("global", Cloud::Global), ("us-gov", Cloud::UsGov), ("us-dod", Cloud::UsDod), ("china", Cloud::China)];
    let cloud = table.take("cloud").and_then(|field| field.choice(&clouds, reading)).unwrap_or_default();
    let mut enrichments = Vec::new();
    for (name, enrichment) in
        [("mfa", Enrichment::Mfa), ("sign_in", Enrichment::SignIns), ("mailbox", Enrichment::Mailboxes)]
    {
        if table.take(name).and_then(|field| field.switch(reading)) == Some(true) {
            enrichments.push(enrichment);
        }
    }
    let lane_time = table.take("lane_time").and_then(|field| field.duration(reading));
    let page_size = table.take("page_size").and_then(|field| read_small(&field, reading));
    let concurrency = table.take("concurrency").and_then(|field| read_small(&field, reading));
    let quota = read_quotas(table.take("quota"), reading);
    let (http, addresses) = http::read(&mut table, &["login_url", "graph_url"], reading);
    let [login_url, graph_url] = addresses.try_into().unwrap_or_default();
    table.finish(reading);
    Some(Office365Settings {
        tenant: tenant?,
        client_id: client_id?,
        credential: credential?,
        cloud,
        login_url,
        graph_url,
        enrichments,
        lane_time,
        page_size,
        concurrency,
        quota,
        http,
    })
}

/// Both stand in the path of an address.
fn is_plain(text: &str) -> bool {
    !text.starts_with('.') && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.'))
}

fn read_tenant(field: &Field<'_>, reading: &mut Reading<'_>) -> Option<String> {
    const REMEDY: &str = "write the tenant's id or one of its domains, such as corp.example";
    let text = field.text(reading)?;
    if !is_plain(text) {
        field.refuse("this is neither an id nor a domain", REMEDY, reading);
        return None;
    }
    if ["common", "organizations", "consumers"].iter().any(|word| text.eq_ignore_ascii_case(word)) {
        field.refuse("an application signs in to one tenant, not to all of them", REMEDY, reading);
        return None;
    }
    Some(text.to_owned())
}

fn read_client(field: &Field<'_>, reading: &mut Reading<'_>) -> Option<String> {
    let text = field.text(reading)?;
    if !is_plain(text) {
        let remedy = "write the application's id as its registration shows it, not its name";
        field.refuse("this is no id of an application", remedy, reading);
        return None;
    }
    Some(text.to_owned())
}

/// Reads the one proof that there is: a secret, or a certificate with its key.
fn read_credential(
    at: usize,
    table: &Table<'_>,
    secret: Option<Field<'_>>,
    certificate: Option<Field<'_>>,
    key: Option<Field<'_>>,
    reading: &mut Reading<'_>,
) -> Option<Credential> {
    match (secret, certificate, key) {
        (Some(secret), None, None) => secret::read(secret, reading).map(Credential::Secret),
        (None, Some(certificate), Some(key)) => {
            let certificate = read_certificate(&certificate, reading);
            let private_key = read_key(key, reading);
            Some(Credential::Certificate { certificate: certificate?, private_key: private_key? })
        }
        (Some(_), Some(other), _) | (Some(_), None, Some(other)) => {
            let remedy = "keep client_secret, or certificate_file with private_key";
            other.refuse("the application has two proofs, a secret and a certificate", remedy, reading);
            None
        }
        (None, Some(certificate), None) => {
            let remedy = r#"write private_key = { file = "…" }; the certificate's own file may hold both"#;
            certificate.refuse("the certificate has no key", remedy, reading);
            None
        }
        (None, None, Some(key)) => {
            key.refuse("the key has no certificate", r#"write certificate_file = "…""#, reading);
            None
        }
        (None, None, None) => {
            let remedy = r#"write client_secret = { env = "…" }, or certificate_file and private_key"#;
            reading.problem(at, &table.path_of("client_secret"), "this key is missing", remedy);
            None
        }
    }
}

fn read_certificate(field: &Field<'_>, reading: &mut Reading<'_>) -> Option<Vec<u8>> {
    let pem = field.file(reading)?;
    if !holds(&pem, "-----BEGIN CERTIFICATE-----") {
        let remedy = "name a PEM file with the certificate, BEGIN CERTIFICATE; convert others with openssl";
        field.refuse("the file holds no certificate as PEM", remedy, reading);
        return None;
    }
    Some(pem)
}

fn read_key(field: Field<'_>, reading: &mut Reading<'_>) -> Option<Secret> {
    let (path, at) = (field.path.clone(), field.at);
    let key = secret::read_text(field, reading)?;
    let has = |words: &str| holds(key.expose().as_bytes(), words);
    if has("-----BEGIN ENCRYPTED PRIVATE KEY-----") || has("Proc-Type: 4,ENCRYPTED") {
        let remedy = "decrypt it with openssl pkey, and protect the file by its rights";
        reading.problem(at, &path, "the key is encrypted", remedy);
        return None;
    }
    if !has("PRIVATE KEY-----") {
        let remedy = "name a PEM file with the RSA key, BEGIN PRIVATE KEY";
        reading.problem(at, &path, "this is no key as PEM", remedy);
        return None;
    }
    Some(key)
}

fn holds(text: &[u8], words: &str) -> bool {
    text.windows(words.len()).any(|window| window == words.as_bytes())
}

fn read_small(field: &Field<'_>, reading: &mut Reading<'_>) -> Option<u16> {
    u16::try_from(field.number(reading)?).ok()
}

fn read_quotas(field: Option<Field<'_>>, reading: &mut Reading<'_>) -> Quota {
    let mut quota = Quota::default();
    let remedy = r#"write [endpoint.quota] with lines such as tenant = { permits = 8000, per = "10s" }"#;
    let Some(mut table) = field.and_then(|field| field.table(remedy, reading)) else { return quota };
    for (name, limit) in [
        ("tenant", &mut quota.tenant),
        ("application", &mut quota.application),
        ("writes", &mut quota.writes),
        ("reports", &mut quota.reports),
        ("sign_ins", &mut quota.sign_ins),
        ("mailboxes", &mut quota.mailboxes),
    ] {
        let read = table.take(name).and_then(|field| read_quota(field, reading));
        *limit = read.unwrap_or(*limit);
    }
    table.finish(reading);
    quota
}

fn read_quota(field: Field<'_>, reading: &mut Reading<'_>) -> Option<Limit> {
    const REMEDY: &str = r#"write { permits = 8000, per = "10s" }"#;
    let (path, at) = (field.path.clone(), field.at);
    let mut table = field.table(REMEDY, reading)?;
    let permits = table.require("permits", REMEDY, reading).and_then(|field| field.number(reading));
    let per = table.require("per", REMEDY, reading).and_then(|field| field.duration(reading));
    table.finish(reading);
    let permits = NonZeroU32::new(u32::try_from(permits?).ok()?)?;
    let refuse = |error: Error| reading.problem(at, &path, error.message().to_owned(), REMEDY);
    Limit::new(permits, per?).map_err(refuse).ok()
}
