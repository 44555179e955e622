//! How the network is reached: proxy, trust, times and sizes. It must not know what is asked over it.

use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use tenantry::{Error, Result, Secret};
use url::{Host, Url};

/// The settings of one client, as an endpoint's configuration gives them.
#[derive(Debug, Clone)]
pub struct HttpSettings {
    /// The proxy for everything but loopback addresses. The environment's variables are not looked at.
    pub proxy: Option<Proxy>,
    /// Authorities that are trusted besides those of the operating system, as PEM.
    pub ca_pem: Option<Vec<u8>>,
    /// How long one answer may take, from the first byte sent to the last one read.
    pub timeout: Duration,
    /// How long a connection may take to come about, with its TLS handshake.
    pub connect_timeout: Duration,
    /// The largest body that is read, in bytes after unpacking.
    pub max_body: usize,
    /// Whether plain `http://` is accepted for other hosts than loopback ones. Certificates are checked either way.
    pub insecure: bool,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            proxy: None,
            ca_pem: None,
            timeout: Duration::from_secs(100),
            connect_timeout: Duration::from_secs(15),
            max_body: 64 << 20,
            insecure: false,
        }
    }
}

/// A proxy for HTTP and, by `CONNECT`, for HTTPS.
#[derive(Debug, Clone)]
pub struct Proxy {
    url: Url,
    login: Option<(String, Secret)>,
}

impl Proxy {
    /// Reads the address of a proxy: `http://proxy.example:3128`.
    ///
    /// # Errors
    /// [`Config`](tenantry::ErrorKind::Config) for anything but scheme `http` or `https`, host and port. Name and
    /// password in the address are refused, because addresses are shown.
    pub fn parse(text: &str) -> Result<Self> {
        let url = Url::parse(text)
            .map_err(|_| Error::config("the proxy is not an address; write it as http://proxy.example:3128"))?;
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
            return Err(Error::config("the proxy's address must begin with http:// or https:// and name a host"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Error::config("the proxy's address must not hold a name or password; give them by themselves"));
        }
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(Error::config("the proxy's address must have neither path nor query"));
        }
        Ok(Self { url, login: None })
    }

    /// Sets the name and password that the proxy asks for.
    #[must_use]
    pub fn with_login(mut self, user: impl Into<String>, password: Secret) -> Self {
        self.login = Some((user.into(), password));
        self
    }

    /// Returns the host and port of a proxy that is spoken to without TLS.
    pub(crate) fn place(&self) -> Result<(String, u16)> {
        match (self.url.scheme(), self.url.host_str(), self.url.port_or_known_default()) {
            ("http", Some(host), Some(port)) => Ok((host.to_owned(), port)),
            _ => Err(Error::config("for a login that belongs to a connection, the proxy's address must be http://")),
        }
    }

    /// Returns the header by which the proxy knows who asks.
    pub(crate) fn authorization(&self) -> Option<Secret> {
        let (user, password) = self.login.as_ref()?;
        let pair = Secret::new(format!("{user}:{}", password.expose()));
        Some(Secret::new(format!("Basic {}", BASE64_STANDARD.encode(pair.expose()))))
    }

    /// Makes the proxy that reqwest uses: nothing that is meant for this machine goes through it.
    pub(crate) fn to_reqwest(&self) -> Result<reqwest::Proxy> {
        let proxy = reqwest::Proxy::all(self.url.clone())
            .map_err(|error| Error::config("the proxy cannot be used").with_source(error.without_url()))?
            .no_proxy(reqwest::NoProxy::from_string("localhost,127.0.0.0/8,::1"));
        Ok(match &self.login {
            Some((user, password)) => proxy.basic_auth(user, password.expose()),
            None => proxy,
        })
    }
}

/// Tells whether an address is one of this machine's own, which no other machine can listen on.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_with_a_password_in_its_address_is_refused_without_repeating_it() {
        let error = Proxy::parse("http://corp:hunter2@proxy.example:3128").unwrap_err();
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        for text in ["proxy.example:3128", "socks5://proxy.example", "http://proxy.example/path", "://", ""] {
            assert!(Proxy::parse(text).is_err(), "{text}");
        }
        assert!(Proxy::parse("http://proxy.example:3128").is_ok());
    }

    #[test]
    fn a_proxys_password_is_not_shown() {
        let proxy = Proxy::parse("http://proxy.example").unwrap().with_login("corp", Secret::new("hunter2"));
        let settings = HttpSettings { proxy: Some(proxy), ..HttpSettings::default() };
        assert!(!format!("{settings:?}").contains("hunter2"));
    }
}
