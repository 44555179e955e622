//! The settings of one endpoint, and their check before anything is sent. It opens nothing and reads no file.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use tenantry::endpoint::CallLimits;
use tenantry::gate::Limit;
use tenantry::{Result, Secret};
use tenantry_http::{HttpSettings, Origin};
use url::Url;

use super::api::ACCOUNT;
use super::error::setting;

/// How the account shows who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EwsAuth {
    /// By `NTLMv2` over one kept connection, bound to the server's certificate.
    #[default]
    Ntlm,
    /// By name and password in every request; over TLS only, or to this machine.
    Basic,
}

/// How to reach an organisation, and which part of it comes in.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct EwsConfig {
    /// The address of Exchange Web Services: `https://mail.corp.example/EWS/Exchange.asmx`.
    pub url: String,
    /// The account: `CORP\user` or `user@corp.example`. It needs a mailbox.
    pub user: String,
    /// The account's password.
    pub password: Secret,
    /// How the account shows who it is.
    pub auth: EwsAuth,
    /// How the network is reached.
    pub http: HttpSettings,
    /// How many requests are under way at most: Exchange allows 10 (2010) or 27 (later) for an account, mailbox programs
    /// of the same account among them.
    pub concurrent: usize,
    /// How many requests are made in a second at most. Exchange counts the time that they take in its directory, and
    /// does not publish how much of it an account has.
    pub per_second: u32,
    /// The most requests of one listing. Where they do not suffice, it is told as cut short.
    pub max_calls: u32,
}

impl EwsConfig {
    /// Creates settings for an organisation, with everything else as by default.
    pub fn new(url: impl Into<String>, user: impl Into<String>, password: Secret) -> Self {
        Self {
            url: url.into(),
            user: user.into(),
            password,
            auth: EwsAuth::default(),
            http: HttpSettings::default(),
            concurrent: 3,
            per_second: 50,
            max_calls: 250_000,
        }
    }

    /// Checks an address of the service by itself; the network is not needed.
    ///
    /// # Errors
    /// `Config` if it is none, or one of Exchange Online.
    pub fn check_url(url: &str) -> Result<()> {
        service(url).map(drop)
    }

    /// Checks every setting; the network is not needed.
    pub(crate) fn check(self) -> Result<Checked> {
        let url = service(&self.url)?;
        let origin = Origin::parse(&self.url, self.http.insecure).map_err(|e| e.with_context("key", "url"))?;
        let user = self.user.trim();
        if user.is_empty() || user.chars().any(char::is_control) {
            return Err(setting("user", r"an account is needed: CORP\user or user@corp.example"));
        }
        if self.auth == EwsAuth::Basic && user.contains(':') {
            return Err(setting("user", "a name with a colon cannot be sent by basic authentication; use ntlm"));
        }
        if self.password.expose().is_empty() {
            return Err(setting("password", "the password is empty"));
        }
        let concurrent = NonZeroUsize::new(self.concurrent)
            .filter(|calls| calls.get() <= 27)
            .ok_or_else(|| setting("concurrency", "write 1 to 27 requests at the same time"))?;
        let per_second = NonZeroU32::new(self.per_second)
            .ok_or_else(|| setting("per_second", "a pace of nothing lets nothing pass"))?;
        if self.max_calls == 0 {
            return Err(setting("max_calls", "a listing without requests lists nothing"));
        }
        Ok(Checked {
            url,
            origin,
            user: user.to_owned(),
            password: self.password,
            auth: self.auth,
            http: self.http,
            concurrent,
            per_second,
            max_calls: self.max_calls,
        })
    }
}

/// Reads the address of the service.
fn service(text: &str) -> Result<Url> {
    const SHAPE: &str =
        "this is no address of Exchange Web Services; write https://mail.corp.example/EWS/Exchange.asmx";
    let url = Url::parse(text).map_err(|_| setting("url", SHAPE))?;
    if is_online(&url) {
        return Err(setting(
            "url",
            "this is Exchange Online, which the kind office365 reads; Exchange Web Services end there",
        ));
    }
    if !url.path().to_ascii_lowercase().ends_with(".asmx") {
        return Err(setting("url", SHAPE));
    }
    Ok(url)
}

/// Tells whether an address is Microsoft's own service.
fn is_online(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_end_matches('.').to_ascii_lowercase();
    let within = |domain: &str| host == domain || host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'));
    ["office365.com", "office365.us", "office.com", "outlook.com", "outlook.cn", "partner.outlook.cn"]
        .iter()
        .any(|domain| within(domain))
}

/// Settings that were found usable.
pub(crate) struct Checked {
    pub(crate) url: Url,
    pub(crate) origin: Origin,
    pub(crate) user: String,
    pub(crate) password: Secret,
    pub(crate) auth: EwsAuth,
    pub(crate) http: HttpSettings,
    pub(crate) concurrent: NonZeroUsize,
    pub(crate) per_second: NonZeroU32,
    pub(crate) max_calls: u32,
}

impl std::fmt::Debug for Checked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Checked").field("origin", &self.origin).field("auth", &self.auth).finish_non_exhaustive()
    }
}

impl Checked {
    /// Returns how many calls the account bears: what it is throttled by cannot be read.
    ///
    /// The pace is this side's own. Its bucket is held while the server asks to be left alone: for the account, in all
    /// that it does.
    pub(crate) fn limits(&self) -> Result<CallLimits> {
        let key = format!("{} {}", self.origin, self.user.to_lowercase());
        let limit = Limit::new(self.per_second, Duration::from_secs(1))?;
        Ok(CallLimits::default().with_concurrency(self.concurrent).with_quota(ACCOUNT, key, limit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wrong_setting_is_refused_by_the_name_of_its_key_and_no_secret_is_shown() {
        type Change = fn(&mut EwsConfig);
        let cases: [(&str, Change); 13] = [
            ("url", |c| c.url = "mail.corp.example".into()),
            ("url", |c| c.url = "https://mail.corp.example/".into()),
            ("url", |c| c.url = "http://mail.corp.example/EWS/Exchange.asmx".into()),
            ("url", |c| c.url = "https://outlook.office365.com/EWS/Exchange.asmx".into()),
            ("url", |c| c.url = "https://OUTLOOK.office365.com./EWS/Exchange.asmx".into()),
            ("url", |c| c.url = "https://ann:CANARY@mail.corp.example/EWS/Exchange.asmx".into()),
            ("user", |c| c.user = " ".into()),
            ("user", |c| {
                c.user = "a:b".into();
                c.auth = EwsAuth::Basic;
            }),
            ("password", |c| c.password = Secret::new("")),
            ("concurrency", |c| c.concurrent = 0),
            ("concurrency", |c| c.concurrent = 28),
            ("per_second", |c| c.per_second = 0),
            ("max_calls", |c| c.max_calls = 0),
        ];
        let good =
            || EwsConfig::new("https://mail.corp.example/EWS/Exchange.asmx", r"CORP\sync", Secret::new("CANARY"));
        for (name, change) in cases {
            let mut config = good();
            change(&mut config);
            let error = config.check().unwrap_err();
            assert_eq!((error.kind().as_str(), error.context("key")), ("config", Some(name)), "{error}");
            assert!(!format!("{error:?}").contains("CANARY"), "{error:?}");
        }
        assert!(!format!("{:?} {:?}", good(), good().check().unwrap()).contains("CANARY"));
    }

    #[test]
    fn a_host_that_only_looks_like_the_online_service_is_not_it() {
        for url in ["https://notoffice365.com/EWS/Exchange.asmx", "https://outlook.com.corp.example/EWS/Exchange.asmx"]
        {
            assert!(!is_online(&Url::parse(url).unwrap()), "{url}");
        }
    }
}
