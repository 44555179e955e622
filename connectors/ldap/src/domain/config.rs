//! The settings of one domain, and their check before anything is sent. It opens nothing, reads no file, and must not
//! know what is read of the objects.

use std::time::Duration;

use crate::{Credentials, Dn, Encryption, Filter, Limits, PlainText, SearchRequest, Server, Settings, Trust};
use tenantry::{Result, Secret};

use crate::domain::error::setting;
use crate::domain::listing::Class;

/// How changes since the last run are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeltaMethod {
    /// By the change numbers of one domain controller; needs only to read.
    #[default]
    Usn,
    /// By the DirSync control, which needs the right to replicate directory changes.
    DirSync,
    /// Not at all: every run lists everything.
    Off,
}

/// How to reach a domain, and which part of it comes in.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DomainConfig {
    /// Domain controllers in order: `ldaps://host` or `ldap://host`.
    pub urls: Vec<String>,
    /// Whether `ldap://` begins with StartTLS. Without it, plain text is meant, which needs `insecure`.
    pub starttls: bool,
    /// Whether plain text is allowed.
    pub insecure: bool,
    /// The account: a distinguished name, a user principal name or `DOMAIN\user`.
    pub bind: String,
    /// Its password.
    pub password: Secret,
    /// Where the listing begins; the domain's naming context if not set.
    pub base: Option<String>,
    /// Which users come in, besides the kind.
    pub users: Option<String>,
    /// Which groups come in, besides the kind.
    pub groups: Option<String>,
    /// Which computers come in, besides the kind; only where computers are read at all.
    pub computers: Option<String>,
    /// Names of containers that are left out with everything below them.
    pub exclude: Vec<String>,
    /// The certificate authorities to trust, as PEM; the system's if not set.
    pub ca: Option<Vec<u8>>,
    /// How changes since the last run are found.
    pub delta: DeltaMethod,
    /// Time for name look-up, connection and TLS, for each server.
    pub connect_timeout: Duration,
    /// Time for one call.
    pub timeout: Duration,
    /// Entries on a page, 1 to 1000.
    pub page_size: u32,
}

impl DomainConfig {
    /// Creates settings for one server, with everything else as by default.
    pub fn new(url: impl Into<String>, bind: impl Into<String>, password: Secret) -> Self {
        let limits = Limits::default();
        Self {
            urls: vec![url.into()],
            starttls: true,
            insecure: false,
            bind: bind.into(),
            password,
            base: None,
            users: None,
            groups: None,
            computers: None,
            exclude: Vec::new(),
            ca: None,
            delta: DeltaMethod::default(),
            connect_timeout: limits.connect_timeout,
            timeout: limits.operation_timeout,
            page_size: SearchRequest::MAX_PAGE_SIZE,
        }
    }

    /// Checks every setting; the network is not needed.
    pub(crate) fn check(self) -> Result<Checked> {
        if self.urls.is_empty() {
            return Err(setting("url", "no domain controller is named; set ldaps://host"));
        }
        let servers = self.urls.iter().map(|url| self.server(url)).collect::<Result<Vec<_>>>()?;
        if self.bind.trim().is_empty() {
            return Err(setting("bind", "the account is empty; set its distinguished name or user principal name"));
        }
        if self.password.is_empty() {
            // With an empty one a bind succeeds as nobody (RFC 4513, 5.1.2), and everything looks empty.
            return Err(setting("password", "the password is empty; set the account's password"));
        }
        if !(1..=SearchRequest::MAX_PAGE_SIZE).contains(&self.page_size) {
            return Err(setting("page_size", "the page size is not between 1 and 1000"));
        }
        if self.timeout.is_zero() || self.connect_timeout.is_zero() {
            return Err(setting("timeout", "a timeout of nothing lets no call succeed; set seconds"));
        }
        let name = |key: &'static str, text: &String| {
            let dn = Dn::parse(text).map_err(|error| {
                setting(key, "this is no distinguished name; write it like OU=People,DC=corp,DC=example")
                    .with_context("value", text)
                    .with_source(error)
            })?;
            if dn.rdns().is_empty() {
                return Err(setting(key, "the distinguished name is empty; leave the key out or name a container"));
            }
            Ok(dn)
        };
        let filter = |key: &'static str, text: &Option<String>| {
            let parse = |text: &String| {
                Filter::parse(text).map_err(|error| {
                    setting(key, "this is no LDAP filter; write it like (department=*)")
                        .with_context("value", text)
                        .with_source(error)
                })
            };
            text.as_ref().map(parse).transpose()
        };
        let base = self.base.as_ref().map(|base| name("base", base)).transpose()?;
        let exclude = self.exclude.iter().map(|dn| name("exclude", dn)).collect::<Result<Vec<_>>>()?;
        if let Some(base) = &base
            && exclude.iter().any(|dn| base.is_under(dn))
        {
            return Err(setting("exclude", "the base itself is excluded; nothing would be left"));
        }
        let trust = match &self.ca {
            None => Trust::system(),
            Some(pem) => Trust::only(pem).map_err(|error| {
                setting("ca_file", "the file holds no usable certificate authority; give it as PEM").with_source(error)
            })?,
        };
        let limits =
            Limits { connect_timeout: self.connect_timeout, operation_timeout: self.timeout, ..Limits::default() };
        let plain_text = if self.insecure { PlainText::Allowed } else { PlainText::Refused };
        let credentials = Credentials::Password { name: self.bind.clone(), password: self.password.clone() };
        Ok(Checked {
            base,
            exclude,
            users: filter("users", &self.users)?,
            groups: filter("groups", &self.groups)?,
            computers: filter("computers", &self.computers)?,
            delta: self.delta,
            page_size: self.page_size,
            bind: self.bind.trim().to_owned(),
            settings: Settings::new(servers, credentials).trust(trust).plain_text(plain_text).limits(limits),
        })
    }

    fn server(&self, url: &str) -> Result<Server> {
        let server = Server::parse(url).map_err(|error| error.with_context("key", "url"))?;
        if matches!(server.port(), 3268 | 3269) {
            // It lacks attributes and members of most groups; what is missing there would look cleared here.
            return Err(setting(
                "url",
                "this is the port of a global catalogue, which holds only a part of each object; use 636",
            )
            .with_context("value", url));
        }
        if server.encryption() != Encryption::StartTls || self.starttls {
            return Ok(server);
        }
        if !self.insecure {
            return Err(setting(
                "url",
                "without TLS the password can be read on the way; use ldaps://, or starttls = true, or allow it by \
                 insecure = true",
            )
            .with_context("value", url));
        }
        Ok(server.with_encryption(Encryption::Plain))
    }
}

/// Settings that were found usable.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) base: Option<Dn>,
    pub(crate) exclude: Vec<Dn>,
    pub(crate) users: Option<Filter>,
    pub(crate) groups: Option<Filter>,
    pub(crate) computers: Option<Filter>,
    pub(crate) delta: DeltaMethod,
    pub(crate) page_size: u32,
    /// The name to bind with.
    pub(crate) bind: String,
    pub(crate) settings: Settings,
}

impl Checked {
    /// Returns the filter that was configured for a class.
    pub(crate) fn filter(&self, class: Class) -> Option<&Filter> {
        match class {
            Class::Groups => self.groups.as_ref(),
            Class::Users => self.users.as_ref(),
            Class::Computers => self.computers.as_ref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use tenantry::{Error, ErrorKind};

    use super::*;

    fn config() -> DomainConfig {
        DomainConfig::new("ldaps://dc1.corp.example", "sync@corp.example", Secret::new("pw"))
    }

    fn refused(change: impl FnOnce(&mut DomainConfig)) -> Error {
        let mut config = config();
        change(&mut config);
        config.check().unwrap_err()
    }

    #[test]
    fn usable_settings_pass() {
        let mut config = config();
        config.users = Some("(department=*)".into());
        config.exclude = vec!["OU=Old,DC=corp,DC=example".into()];
        let checked = config.check().unwrap();
        assert_eq!(checked.users.unwrap().as_str(), "(department=*)");
        assert_eq!(checked.settings.servers[0].encryption(), Encryption::Tls);
    }

    #[test]
    fn each_wrong_setting_is_refused_by_the_name_of_its_key() {
        type Change = fn(&mut DomainConfig);
        let cases: [(&str, Change); 11] = [
            ("url", |c| c.urls.clear()),
            ("url", |c| c.urls = vec!["http://dc1.corp.example".into()]),
            ("url", |c| c.urls = vec!["ldaps://dc1.corp.example:3269".into()]),
            ("bind", |c| c.bind = " ".into()),
            ("password", |c| c.password = Secret::new("")),
            ("users", |c| c.users = Some("(department=*".into())),
            ("groups", |c| c.groups = Some("cn".into())),
            ("computers", |c| c.computers = Some(")(".into())),
            ("base", |c| c.base = Some("corp.example".into())),
            ("exclude", |c| c.exclude = vec!["People".into()]),
            ("page_size", |c| c.page_size = 1001),
        ];
        for (key, change) in cases {
            let error = refused(change);
            assert_eq!((error.kind(), error.context("key")), (&ErrorKind::Config, Some(key)), "{error}");
        }
    }

    #[test]
    fn plain_text_needs_to_be_allowed() {
        let plain = |c: &mut DomainConfig| {
            c.urls = vec!["ldap://dc1.corp.example".into()];
            c.starttls = false;
        };
        assert!(refused(plain).message().contains("insecure = true"));
        let mut config = config();
        plain(&mut config);
        config.insecure = true;
        assert_eq!(config.check().unwrap().settings.servers[0].encryption(), Encryption::Plain);
    }

    #[test]
    fn an_exclusion_of_the_base_itself_is_refused() {
        let error = refused(|c| {
            c.base = Some("OU=a,DC=corp,DC=example".into());
            c.exclude = vec!["dc=CORP,dc=example".into()];
        });
        assert_eq!(error.context("key"), Some("exclude"));
    }

    #[test]
    fn debug_shows_no_password() {
        let mut config = config();
        config.password = Secret::new("hunter2");
        assert!(!format!("{config:?} {:?}", config.clone().check()).contains("hunter2"));
    }
}
