//! The settings of one endpoint, and their check before anything is sent. It opens nothing and reads no file.

use std::num::NonZeroU32;
use std::time::Duration;

use tenantry::gate::Limit;
use tenantry::{Error, Result, Secret};
use url::{Host, Url};

/// Which of Microsoft's clouds a tenant lives in. Tokens of one are worth nothing in another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Cloud {
    /// The global one, and the US government community cloud.
    #[default]
    Global,
    /// US government, L4.
    UsGov,
    /// US government, L5.
    UsDod,
    /// China, operated by 21Vianet.
    China,
}

impl Cloud {
    /// Returns where tokens are issued.
    pub const fn login_url(self) -> &'static str {
        match self {
            Self::Global => "https://login.microsoftonline.com",
            Self::UsGov | Self::UsDod => "https://login.microsoftonline.us",
            Self::China => "https://login.chinacloudapi.cn",
        }
    }

    /// Returns the root of Graph, which is also what tokens are asked for.
    pub const fn graph_root(self) -> &'static str {
        match self {
            Self::Global => "https://graph.microsoft.com",
            Self::UsGov => "https://graph.microsoft.us",
            Self::UsDod => "https://dod-graph.microsoft.us",
            Self::China => "https://microsoftgraph.chinacloudapi.cn",
        }
    }
}

/// By what the application proves who it is.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Credential {
    /// A client secret.
    Secret(Secret),
    /// A certificate, which signs an assertion.
    Certificate {
        /// The certificate, as PEM.
        certificate: Vec<u8>,
        /// Its RSA key, as PEM.
        private_key: Secret,
    },
}

/// How the assertion of a certificate is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Assertion {
    /// PS256, with the certificate named by its SHA-256: the current form.
    #[default]
    Ps256,
    /// RS256, with the certificate named by its SHA-1: the older form, for a sign-in that does not know the current one.
    Rs256,
}

/// What is read besides the directory itself, in lanes with quotas of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Enrichment {
    /// Whether a second factor is registered.
    Mfa,
    /// When somebody signed in.
    SignIns,
    /// What a mailbox is for: a person, a room, equipment, or shared.
    Mailboxes,
}

/// The published quotas, and how much of them this process may use.
///
/// Microsoft changes the numbers from time to time: they are settings. See *Microsoft Graph service-specific throttling
/// limits*.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Quota {
    /// Which part of each quota this process may use: more than 0, at most 1.
    pub share: f64,
    /// Resource units of one application in one tenant.
    pub tenant: Limit,
    /// Resource units of one application in all tenants.
    pub application: Limit,
    /// Changes by one application in one tenant.
    pub writes: Limit,
    /// Requests for reports by one application in one tenant.
    pub reports: Limit,
    /// Requests for sign-in activity by one application in one tenant.
    pub sign_ins: Limit,
    /// Mailboxes asked for their purpose: no published quota counts them across mailboxes, so that this one is modest.
    pub mailboxes: Limit,
}

impl Default for Quota {
    fn default() -> Self {
        let limit = |permits: u32, seconds: u64, burst: u32| {
            let permits = NonZeroU32::new(permits).unwrap_or(NonZeroU32::MIN);
            let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
            Limit::new(permits, Duration::from_secs(seconds)).expect("a period of seconds").with_burst(burst)
        };
        Self {
            share: 0.8,
            // A tenant of more than 500 users; smaller ones say 429 sooner, and are read in a few seconds anyway.
            // A large burst is paid for by a slower pace, and an import is a long one.
            tenant: limit(8_000, 10, 160),
            application: limit(150_000, 20, 1_500),
            writes: limit(3_000, 150, 300),
            reports: limit(5, 10, 1),
            sign_ins: limit(10, 60, 1),
            mailboxes: limit(400, 10, 40),
        }
    }
}

/// How to reach a tenant, and what of it comes in.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Office365Config {
    /// The tenant: its id or one of its domains.
    pub tenant: String,
    /// The application's id.
    pub client_id: String,
    /// By what it proves who it is.
    pub credential: Credential,
    /// How the assertion is signed, where it is a certificate.
    pub assertion: Assertion,
    /// Which cloud.
    pub cloud: Cloud,
    /// Where tokens are issued, instead of the cloud's own place: for proxies and tests.
    pub login_url: Option<String>,
    /// Where Graph answers, with its version, instead of the cloud's own place: for proxies and tests.
    pub graph_url: Option<String>,
    /// Whether plain `http://` is allowed elsewhere than on this machine.
    pub insecure: bool,
    /// A proxy that all requests go through.
    pub proxy: Option<String>,
    /// The certificate authorities to trust, as PEM; the system's if not set.
    pub ca: Option<Vec<u8>>,
    /// Time for name look-up, connection and TLS.
    pub connect_timeout: Duration,
    /// Time for one request.
    pub timeout: Duration,
    /// Objects on a page, 1 to 999.
    pub page_size: u16,
    /// How many requests run at the same time at most, 1 to 64.
    pub concurrency: u16,
    /// How many groups' members are asked for by one `$batch` at most, 1 to 20; 1 asks for each by itself. Price and quota
    /// are the same.
    pub batch: u8,
    /// The quotas.
    pub quota: Quota,
    /// What is read besides the directory itself.
    pub enrichments: Vec<Enrichment>,
    /// How long that goes on behind the directory, before a run ends and leaves the rest to the next one.
    pub lane_time: Duration,
}

impl Office365Config {
    /// The largest page that Graph gives.
    pub const MAX_PAGE_SIZE: u16 = 999;
    /// The most requests that Graph takes in one batch.
    pub const MAX_BATCH: u8 = 20;

    /// Creates settings for one tenant, with everything else as by default.
    pub fn new(tenant: impl Into<String>, client_id: impl Into<String>, credential: Credential) -> Self {
        Self {
            tenant: tenant.into(),
            client_id: client_id.into(),
            credential,
            assertion: Assertion::default(),
            cloud: Cloud::default(),
            login_url: None,
            graph_url: None,
            insecure: false,
            proxy: None,
            ca: None,
            connect_timeout: Duration::from_secs(10),
            timeout: Duration::from_mins(1),
            page_size: Self::MAX_PAGE_SIZE,
            concurrency: 16,
            batch: Self::MAX_BATCH,
            quota: Quota::default(),
            enrichments: Vec::new(),
            lane_time: Duration::from_secs(20),
        }
    }

    /// Checks every setting; the network is not needed.
    pub(crate) fn check(self) -> Result<Checked> {
        // Both stand in the path of the token's address.
        let plain = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.'));
        if self.tenant.is_empty() || !plain(&self.tenant) || self.tenant.starts_with('.') {
            return Err(setting("tenant", "this is no tenant; set its id or one of its domains"));
        }
        if matches!(&*self.tenant.to_ascii_lowercase(), "common" | "organizations" | "consumers") {
            return Err(setting("tenant", "an application signs in to one tenant; set its id or one of its domains"));
        }
        if self.client_id.is_empty() || !plain(&self.client_id) {
            return Err(setting("client_id", "this is no application; set its id as its registration shows it"));
        }
        match &self.credential {
            Credential::Secret(secret) if secret.is_empty() => {
                return Err(setting("client_secret", "the secret is empty; set its value, not its id"));
            }
            Credential::Certificate { certificate, private_key }
                if certificate.is_empty() || private_key.is_empty() =>
            {
                return Err(setting("certificate_file", "certificate or key is empty; give both as PEM"));
            }
            _ => {}
        }
        if !(1..=Self::MAX_PAGE_SIZE).contains(&self.page_size) {
            return Err(setting("page_size", "the page size is not between 1 and 999"));
        }
        if !(1..=64).contains(&self.concurrency) {
            return Err(setting("concurrency", "the number of requests at a time is not between 1 and 64"));
        }
        if !(1..=Self::MAX_BATCH).contains(&self.batch) {
            return Err(setting("batch", "the number of requests in a batch is not between 1 and 20"));
        }
        if self.timeout.is_zero() || self.connect_timeout.is_zero() {
            return Err(setting("timeout", "a timeout of nothing lets no call succeed; set seconds"));
        }
        if !(self.quota.share > 0.0 && self.quota.share <= 1.0) {
            return Err(setting("quota_share", "a share is more than 0 and at most 1"));
        }
        let login = self.url("login_url", self.login_url.as_deref().unwrap_or(self.cloud.login_url()))?;
        let root = format!("{}/v1.0", self.cloud.graph_root());
        let graph = self.url("graph_url", self.graph_url.as_deref().unwrap_or(&root))?;
        let mut enrichments = self.enrichments;
        enrichments.sort_unstable();
        enrichments.dedup();
        Ok(Checked {
            tenant: self.tenant,
            client_id: self.client_id,
            credential: self.credential,
            assertion: self.assertion,
            login,
            graph,
            scope: format!("{}/.default", self.cloud.graph_root()),
            insecure: self.insecure,
            proxy: self.proxy,
            ca: self.ca,
            connect_timeout: self.connect_timeout,
            timeout: self.timeout,
            page_size: self.page_size,
            concurrency: self.concurrency,
            batch: self.batch.into(),
            quota: self.quota,
            enrichments,
            lane_time: self.lane_time,
        })
    }

    /// Takes an address without its last slash.
    fn url(&self, key: &'static str, text: &str) -> Result<Url> {
        let wrong = |why: &'static str| setting(key, why).with_context("value", text);
        let url = Url::parse(text.trim_end_matches('/')).map_err(|error| {
            wrong("this is no address; write it like https://graph.microsoft.com/v1.0").with_source(error)
        })?;
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
            return Err(setting(key, "an address here has neither a user nor a query"));
        }
        let here = match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => return Err(wrong("this address names no server")),
        };
        match url.scheme() {
            "https" => Ok(url),
            "http" if here || self.insecure => Ok(url),
            "http" => {
                Err(wrong("without TLS the token can be read on the way; use https://, or allow it by insecure = true"))
            }
            _ => Err(wrong("only https:// can be asked")),
        }
    }
}

fn setting(key: &'static str, message: &'static str) -> Error {
    Error::config(message).with_context("key", key)
}

/// Settings that were found usable.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) tenant: String,
    pub(crate) client_id: String,
    pub(crate) credential: Credential,
    pub(crate) assertion: Assertion,
    /// Where tokens are issued: `{login}/{tenant}/oauth2/v2.0/token`. Without a slash at the end of its path.
    pub(crate) login: Url,
    /// Where Graph answers, with its version. Without a slash at the end of its path.
    pub(crate) graph: Url,
    /// What a token is asked for: the cloud's Graph, also where requests take another way.
    pub(crate) scope: String,
    pub(crate) insecure: bool,
    pub(crate) proxy: Option<String>,
    pub(crate) ca: Option<Vec<u8>>,
    pub(crate) connect_timeout: Duration,
    pub(crate) timeout: Duration,
    pub(crate) page_size: u16,
    pub(crate) concurrency: u16,
    pub(crate) batch: usize,
    pub(crate) quota: Quota,
    /// In order, each once.
    pub(crate) enrichments: Vec<Enrichment>,
    pub(crate) lane_time: Duration,
}

#[cfg(test)]
mod tests {
    use tenantry::ErrorKind;

    use super::*;

    fn config() -> Office365Config {
        Office365Config::new(
            "corp.example",
            "11111111-2222-3333-4444-555555555555",
            Credential::Secret(Secret::new("pw")),
        )
    }

    #[test]
    fn a_cloud_tells_both_addresses_and_the_scope() {
        let mut config = config();
        config.cloud = Cloud::UsDod;
        let checked = config.check().unwrap();
        assert_eq!(checked.login.as_str(), "https://login.microsoftonline.us/");
        assert_eq!(checked.graph.as_str(), "https://dod-graph.microsoft.us/v1.0");
        assert_eq!(checked.scope, "https://dod-graph.microsoft.us/.default");
    }

    #[test]
    fn own_addresses_replace_those_of_the_cloud_and_not_the_scope() {
        let mut config = config();
        config.login_url = Some("http://127.0.0.1:9000".into());
        config.graph_url = Some("http://[::1]:9000/v1.0/".into());
        let checked = config.check().unwrap();
        assert_eq!(checked.graph.as_str(), "http://[::1]:9000/v1.0");
        assert_eq!(checked.scope, "https://graph.microsoft.com/.default");
    }

    #[test]
    fn each_wrong_setting_is_refused_by_the_name_of_its_key() {
        type Change = fn(&mut Office365Config);
        let cases: [(&str, Change); 15] = [
            ("tenant", |c| c.tenant = String::new()),
            ("tenant", |c| c.tenant = "corp.example/../other".into()),
            ("tenant", |c| c.tenant = "common".into()),
            ("client_id", |c| c.client_id = "a b".into()),
            ("client_secret", |c| c.credential = Credential::Secret(Secret::new(""))),
            ("certificate_file", |c| {
                c.credential = Credential::Certificate { certificate: Vec::new(), private_key: Secret::new("k") };
            }),
            ("graph_url", |c| c.graph_url = Some("http://graph.example/v1.0".into())),
            ("graph_url", |c| c.graph_url = Some("https://graph.example/v1.0?a=b".into())),
            ("login_url", |c| c.login_url = Some("ftp://127.0.0.1".into())),
            ("page_size", |c| c.page_size = 1000),
            ("batch", |c| c.batch = 0),
            ("batch", |c| c.batch = 21),
            ("concurrency", |c| c.concurrency = 0),
            ("timeout", |c| c.timeout = Duration::ZERO),
            ("quota_share", |c| c.quota.share = 1.5),
        ];
        for (key, change) in cases {
            let mut config = config();
            change(&mut config);
            let error = config.check().unwrap_err();
            assert_eq!((error.kind(), error.context("key")), (&ErrorKind::Config, Some(key)), "{error}");
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let mut config = config();
        config.credential = Credential::Secret(Secret::new("hunter2"));
        assert!(!format!("{config:?} {:?}", config.clone().check()).contains("hunter2"));
    }
}
