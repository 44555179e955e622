//! Scheme, host and port that a request may go to. It must not know what is asked there.

use std::fmt;

use tenantry::{Error, Result};
use url::Url;

use crate::settings::is_loopback;

/// The only place that requests with one endpoint's token go to: scheme, host and port.
#[derive(Clone, PartialEq, Eq)]
pub struct Origin {
    scheme: String,
    host: String,
    port: u16,
}

impl Origin {
    /// Reads the origin of a configured address; its path is not part of it.
    ///
    /// Plain `http` is for loopback addresses only, unless `insecure`.
    ///
    /// # Errors
    /// [`Config`](tenantry::ErrorKind::Config) for what is no address of a web server, and for names, passwords, queries
    /// and fragments in it.
    pub fn parse(text: &str, insecure: bool) -> Result<Self> {
        let url = Url::parse(text)
            .map_err(|_| Error::config("this is not an address; write it as https://directory.example"))?;
        Self::of(&url, insecure)
    }

    /// Returns the origin of a configured address, as [`parse`](Self::parse) does.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn of(url: &Url, insecure: bool) -> Result<Self> {
        let refuse = |why: &'static str| Err(Error::config(why).with_context("host", shown_host(url)));
        if !url.username().is_empty() || url.password().is_some() {
            return refuse("the address must not hold a name or password");
        }
        if url.query().is_some() || url.fragment().is_some() {
            return refuse("the address must have neither query nor fragment");
        }
        match url.scheme() {
            "https" => {}
            "http" if insecure || is_loopback(url) => {}
            "http" => {
                return refuse("plain http:// shows the token to everybody on the way; use https, or set insecure");
            }
            _ => return refuse("the address must begin with https://"),
        }
        match Self::read(url) {
            Some(origin) => Ok(origin),
            None => refuse("the address names no host"),
        }
    }

    fn read(url: &Url) -> Option<Self> {
        let host = url.host_str().filter(|host| !host.is_empty())?.to_owned();
        Some(Self { scheme: url.scheme().to_owned(), host, port: url.port_or_known_default()? })
    }

    /// Returns whether a request may go to this address: a link from an answer, or one put together from ids.
    ///
    /// # Errors
    /// [`Protocol`](tenantry::ErrorKind::Protocol) naming both places, and nothing else of the address: what follows
    /// the host may be a secret.
    pub fn allows(&self, url: &Url) -> Result<()> {
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Error::protocol("an address with a name or password in it is not asked")
                .with_context("host", shown_host(url)));
        }
        match Self::read(url) {
            Some(origin) if origin == *self => Ok(()),
            other => Err(Error::protocol("an address at another place than the configured one is not asked")
                .with_context("configured", self)
                .with_context("address", other.map_or_else(|| "no host".to_owned(), |origin| origin.to_string()))),
        }
    }

    /// Reads a link that an answer gave, and checks it.
    ///
    /// # Errors
    /// [`Protocol`](tenantry::ErrorKind::Protocol) if it is no absolute address, or one that is not
    /// [allowed](Self::allows).
    pub fn link(&self, text: &str) -> Result<Url> {
        let url = Url::parse(text).map_err(|_| Error::protocol("a link of the answer is not an address"))?;
        self.allows(&url)?;
        Ok(url)
    }

    /// Returns the host's name or address.
    pub fn host(&self) -> &str {
        &self.host
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn is_tls(&self) -> bool {
        self.scheme == "https"
    }

    /// Tells whether it is this machine, which no proxy leads to.
    pub(crate) fn is_loopback(&self) -> bool {
        Url::parse(&self.to_string()).is_ok_and(|url| is_loopback(&url))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", self.scheme, self.host, self.port)
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Origin({self})")
    }
}

fn shown_host(url: &Url) -> &str {
    url.host_str().unwrap_or("none")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin() -> Origin {
        Origin::parse("https://graph.directory.example/v1.0", false).unwrap()
    }

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn the_same_place_is_allowed_however_it_is_spelled() {
        for text in ["https://graph.directory.example/", "https://GRAPH.directory.EXAMPLE:443/v1.0/users?$skiptoken=x"]
        {
            assert!(origin().allows(&url(text)).is_ok(), "{text}");
        }
    }

    #[test]
    fn another_place_is_refused_by_both_names_and_nothing_else() {
        let others = [
            "https://evil.example/v1.0/CANARY?token=CANARY#CANARY",
            "http://graph.directory.example/CANARY",
            "https://graph.directory.example:8443/CANARY",
            "https://graph.directory.example.evil.example/CANARY",
            "https://graph.directory.example./CANARY",
            "https://CANARY@graph.directory.example/",
            "https://x:CANARY@graph.directory.example/",
            "data:CANARY",
            "file:///CANARY",
        ];
        for text in others {
            let error = origin().allows(&url(text)).unwrap_err();
            assert_eq!(error.kind().as_str(), "protocol", "{text}");
            assert!(!format!("{error:?}").contains("CANARY"), "{error:?}");
        }
        let error = origin().link("https://evil.example/x").unwrap_err().to_string();
        assert!(error.contains("https://graph.directory.example:443") && error.contains("https://evil.example:443"));
        assert!(origin().link("/v1.0/users").is_err());
    }

    #[test]
    fn plain_http_is_for_loopback_only_unless_somebody_insists() {
        for text in ["http://127.0.0.1:9000/v1.0", "http://127.8.9.1", "http://[::1]:80", "http://localhost:1"] {
            assert!(Origin::parse(text, false).is_ok(), "{text}");
        }
        for text in ["http://directory.example", "http://10.0.0.1", "http://localhost.example", "http://[::]"] {
            assert_eq!(Origin::parse(text, false).unwrap_err().kind().as_str(), "config", "{text}");
            assert!(Origin::parse(text, true).is_ok(), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_of_a_server_is_refused_without_repeating_it() {
        let wrong = [
            "directory.example",
            "ftp://directory.example/CANARY",
            "https://ann:CANARY@directory.example",
            "https://directory.example/?CANARY",
            "https://directory.example/#CANARY",
            "data:CANARY",
            "",
        ];
        for text in wrong {
            let error = Origin::parse(text, true).unwrap_err();
            assert_eq!(error.kind().as_str(), "config", "{text}");
            assert!(!format!("{error:?}").contains("CANARY"), "{error:?}");
        }
    }
}
