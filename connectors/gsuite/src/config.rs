//! The settings of one endpoint, and their check before anything is sent. It opens nothing and reads no file.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use tenantry::endpoint::CallLimits;
use tenantry::gate::Limit;
use tenantry::{Error, Result, Secret};
use tenantry_http::{HttpSettings, Origin};
use url::Url;

use crate::error::setting;
use crate::key::Key;
use crate::operation::{MOBILE, REPORTS, USER};

/// Whether a kind of devices comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Devices {
    /// They come in as computers.
    #[default]
    Imported,
    /// They are left out, and the right to read them is not asked for.
    Ignored,
}

/// Whether accounts may be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Writes {
    /// Only rights to read are asked for.
    #[default]
    Off,
    /// The rights that actions need are asked for too.
    On,
}

/// How changes since the last run are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changes {
    /// Every run lists everything.
    Listed,
    /// By the audit log: who is named there is read anew, and the ids of everything are listed, so that who is new or gone
    /// is known with every run. The log is late by minutes and sometimes loses an entry: its windows overlap, some groups
    /// are read by turns whatever it says, and once in `full` everything is listed.
    ///
    /// So fresh is what comes by it: users, groups and devices that came or went, and the attributes of groups, at once;
    /// changes that the log tells, after its delay of some minutes; memberships that it does not tell, after `members`;
    /// all else that it does not tell (attributes of devices, entries that it lost), after `full`.
    AuditLog {
        /// How old the last full listing may become.
        full: Duration,
        /// Within which time the members of every group are read again by turns: each run reads the part of all groups that
        /// has come due since the one before, those first that were not read for the longest, and at most an eighth.
        members: Duration,
    },
}

impl Default for Changes {
    fn default() -> Self {
        Self::AuditLog { full: Duration::from_hours(24), members: Duration::from_hours(6) }
    }
}

/// The published quotas, and how much of them this process may use.
///
/// Google changes the numbers from time to time: they are settings. See *Directory API: limits and quotas*.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quota {
    /// Which part of each quota this process may use: more than 0, at most 1.
    pub share: f64,
    /// Queries per minute of one administrator in one project.
    pub user_per_minute: u32,
    /// Listings of mobile devices per second.
    pub mobile_per_second: u32,
    /// Queries of the audit log per minute.
    pub reports_per_minute: u32,
    /// How many requests are under way at most; the account's own number is unpublished.
    pub concurrent: usize,
}

impl Default for Quota {
    fn default() -> Self {
        Self { share: 0.9, user_per_minute: 2400, mobile_per_second: 10, reports_per_minute: 250, concurrent: 8 }
    }
}

/// How to reach an account, and which part of it comes in.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct GsuiteConfig {
    /// The service account's key file, as text.
    pub key: Secret,
    /// The administrator who is impersonated.
    pub admin: String,
    /// The account: `my_customer` is the administrator's own.
    pub customer: String,
    /// Only this domain of the account.
    pub domain: Option<String>,
    /// The API's address.
    pub api_url: String,
    /// How the network is reached.
    pub http: HttpSettings,
    /// Whether Chrome OS devices come in.
    pub chromeos: Devices,
    /// Whether mobile devices come in.
    pub mobile: Devices,
    /// Whether accounts may be changed.
    pub writes: Writes,
    /// How changes since the last run are found.
    pub changes: Changes,
    /// The quotas.
    pub quota: Quota,
    /// Users on a page, 1 to 500. Smaller ones are for tests.
    pub page_size: u32,
    /// After how long a listing of users goes on from the other end: less than the hour after which the API ends it.
    pub half_after: Duration,
}

impl GsuiteConfig {
    /// Creates settings for the whole account of an administrator, with everything else as by default.
    pub fn new(key: Secret, admin: impl Into<String>) -> Self {
        Self {
            key,
            admin: admin.into(),
            customer: "my_customer".to_owned(),
            domain: None,
            api_url: "https://admin.googleapis.com".to_owned(),
            http: HttpSettings::default(),
            chromeos: Devices::default(),
            mobile: Devices::default(),
            writes: Writes::default(),
            changes: Changes::default(),
            quota: Quota::default(),
            page_size: 500,
            half_after: Duration::from_mins(50),
        }
    }

    /// Checks every setting; the network is not needed.
    pub(crate) fn check(self) -> Result<Checked> {
        let key = Key::read(&self.key, self.http.insecure)?;
        if !self.admin.contains('@') {
            return Err(setting("admin", "an administrator's mail address is needed, to be impersonated"));
        }
        if self.customer.trim().is_empty() || self.customer.contains(['/', '?', '#']) {
            return Err(setting("customer", "write my_customer, or the account's id"));
        }
        if self.domain.as_ref().is_some_and(|domain| domain.trim().is_empty() || domain.contains('@')) {
            return Err(setting("domain", "write one domain of the account, or leave it out for all of them"));
        }
        let base = Url::parse(&self.api_url).map_err(|_| setting("api_url", "this is no address"))?;
        let origin = Origin::parse(&self.api_url, self.http.insecure).map_err(|e| e.with_context("key", "api_url"))?;
        if !(1..=500).contains(&self.page_size) {
            return Err(setting("page_size", "the page size is not between 1 and 500"));
        }
        if !(self.quota.share > 0.0 && self.quota.share <= 1.0) {
            return Err(setting("quota_share", "a share is more than 0 and at most 1"));
        }
        Ok(Checked {
            key,
            admin: self.admin.trim().to_lowercase(),
            customer: self.customer.trim().to_owned(),
            domain: self.domain.map(|domain| domain.trim().to_lowercase()),
            base,
            origin,
            http: self.http,
            chromeos: self.chromeos,
            mobile: self.mobile,
            writes: self.writes,
            changes: self.changes,
            quota: self.quota,
            page_size: self.page_size,
            half_after: self.half_after,
        })
    }
}

/// Settings that were found usable.
pub(crate) struct Checked {
    pub(crate) key: Key,
    pub(crate) admin: String,
    pub(crate) customer: String,
    pub(crate) domain: Option<String>,
    pub(crate) base: Url,
    pub(crate) origin: Origin,
    pub(crate) http: HttpSettings,
    pub(crate) chromeos: Devices,
    pub(crate) mobile: Devices,
    pub(crate) writes: Writes,
    pub(crate) changes: Changes,
    pub(crate) quota: Quota,
    pub(crate) page_size: u32,
    pub(crate) half_after: Duration,
}

impl std::fmt::Debug for Checked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Checked").field("admin", &self.admin).field("base", &self.base.as_str()).finish_non_exhaustive()
    }
}

impl Checked {
    /// Returns the scopes that are asked for: all that is needed at once, because one that was not delegated is refused
    /// with all others.
    pub(crate) fn scopes(&self) -> Vec<&'static str> {
        let mut scopes = vec![
            "https://www.googleapis.com/auth/admin.directory.user.readonly",
            "https://www.googleapis.com/auth/admin.directory.group.readonly",
            "https://www.googleapis.com/auth/admin.directory.orgunit.readonly",
        ];
        if self.chromeos == Devices::Imported {
            scopes.push("https://www.googleapis.com/auth/admin.directory.device.chromeos.readonly");
        }
        if self.mobile == Devices::Imported {
            scopes.push("https://www.googleapis.com/auth/admin.directory.device.mobile.readonly");
        }
        if matches!(self.changes, Changes::AuditLog { .. }) {
            scopes.push("https://www.googleapis.com/auth/admin.reports.audit.readonly");
        }
        if self.writes == Writes::On {
            scopes.push("https://www.googleapis.com/auth/admin.directory.user");
            scopes.push("https://www.googleapis.com/auth/admin.directory.user.security");
        }
        scopes
    }

    /// Returns what the API counts, with this process's share of it: each by administrator and project.
    pub(crate) fn limits(&self) -> Result<CallLimits> {
        let limit = |permits: u32, per: Duration| {
            let permits =
                NonZeroU32::new(permits).ok_or_else(|| Error::config("a quota of nothing lets nothing pass"))?;
            Limit::new(permits, per)?.with_share(self.quota.share)
        };
        let minute = Duration::from_mins(1);
        let project = self.key.project_id.as_deref().unwrap_or(&self.key.client_email);
        let key = format!("{project} {}", self.admin);
        // A burst is paid for by the pace of the whole listing: what a second allows is enough to be late by a second.
        let a_second = NonZeroU32::new(self.quota.user_per_minute / 60).unwrap_or(NonZeroU32::MIN);
        let concurrent = NonZeroUsize::new(self.quota.concurrent).unwrap_or(NonZeroUsize::MIN);
        Ok(CallLimits::default()
            .with_concurrency(concurrent)
            .with_quota(USER, key.clone(), limit(self.quota.user_per_minute, minute)?.with_burst(a_second))
            .with_quota(MOBILE, key.clone(), limit(self.quota.mobile_per_second, Duration::from_secs(1))?)
            .with_quota(REPORTS, key, limit(self.quota.reports_per_minute, minute)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Secret {
        Secret::new(
            r#"{"type":"service_account","private_key":"CANARY","client_email":"s@p.example",
                "token_uri":"https://sign.in.example/token"}"#,
        )
    }

    #[test]
    fn each_wrong_setting_is_refused_by_the_name_of_its_key_and_no_secret_is_shown() {
        type Change = fn(&mut GsuiteConfig);
        let cases: [(&str, Change); 8] = [
            ("key_file", |c| c.key = Secret::new("{}")),
            ("key_file", |c| c.key = Secret::new(key().expose().replace("service_account", "authorized_user"))),
            ("key_file", |c| c.key = Secret::new(key().expose().replace("https://", "http://"))),
            ("admin", |c| c.admin = "admin".into()),
            ("domain", |c| c.domain = Some("a@corp.example".into())),
            ("api_url", |c| c.api_url = "http://admin.example".into()),
            ("page_size", |c| c.page_size = 501),
            ("quota_share", |c| c.quota.share = 0.0),
        ];
        for (name, change) in cases {
            let mut config = GsuiteConfig::new(key(), "admin@corp.example");
            change(&mut config);
            let error = config.check().unwrap_err();
            assert_eq!((error.kind().as_str(), error.context("key")), ("config", Some(name)), "{error}");
            assert!(!format!("{error:?}").contains("CANARY"));
        }
        let config = GsuiteConfig::new(key(), "admin@corp.example");
        assert!(!format!("{config:?} {:?}", config.clone().check().unwrap()).contains("CANARY"));
    }

    #[test]
    fn rights_to_write_are_asked_for_only_where_actions_are_on() {
        let mut config = GsuiteConfig::new(key(), "admin@corp.example");
        assert!(config.clone().check().unwrap().scopes().iter().all(|scope| scope.ends_with(".readonly")));
        config.writes = Writes::On;
        assert!(config.check().unwrap().scopes().iter().any(|scope| scope.ends_with("directory.user")));
    }
}
