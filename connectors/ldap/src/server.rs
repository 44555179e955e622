//! Where a directory is: scheme, host and port, and with it whether and how the connection is encrypted.
//!
//! It opens nothing and knows nothing of certificates.

use std::fmt;
use std::str::FromStr;

use tenantry::{Error, Result};

/// How a connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// TLS from the first byte: `ldaps://`.
    Tls,
    /// Plain first, then TLS before anything else is said: `ldap://`.
    StartTls,
    /// None. Refused unless the settings allow plain text.
    Plain,
}

/// One server of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    host: String,
    port: u16,
    encryption: Encryption,
}

impl Server {
    /// Reads `ldaps://host[:port]` or `ldap://host[:port]`; the latter means StartTLS.
    pub fn parse(url: &str) -> Result<Self> {
        let refuse = |why: &'static str| Error::config(why).with_context("url", url);
        let (scheme, rest) = url
            .trim()
            .split_once("://")
            .ok_or_else(|| refuse("the server is not a URL; write ldaps://host or ldap://host"))?;
        let (encryption, default_port) = match scheme.to_ascii_lowercase().as_str() {
            "ldaps" => (Encryption::Tls, 636),
            "ldap" => (Encryption::StartTls, 389),
            _ => return Err(refuse("the scheme of the server is neither ldaps:// nor ldap://")),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains('@') {
            // Not echoed: somebody wrote a password into it.
            return Err(Error::config("the server's URL holds a name or password; set them by their own keys"));
        }
        if rest.contains(['/', '?', '#']) {
            return Err(refuse("the server's URL has a path; set base and filter by their own keys"));
        }
        let (host, port) = match rest.strip_prefix('[') {
            Some(bracketed) => {
                let (host, after) = bracketed.split_once(']').ok_or_else(|| refuse("a bracket is not closed"))?;
                if host.parse::<std::net::Ipv6Addr>().is_err() {
                    return Err(refuse("between the brackets is no IPv6 address"));
                }
                match after.strip_prefix(':') {
                    Some(port) => (host, Some(port)),
                    None if after.is_empty() => (host, None),
                    None => return Err(refuse("there is something behind the bracket that is no port")),
                }
            }
            None => match rest.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (rest, None),
            },
        };
        if host.is_empty() || host.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(refuse("the server's URL names no host"));
        }
        let port = match port {
            None => default_port,
            Some(port) => match port.parse::<u16>() {
                Ok(port) if port != 0 => port,
                _ => return Err(refuse("the port is not a number from 1 to 65535")),
            },
        };
        Ok(Self { host: host.to_owned(), port, encryption })
    }

    /// Replaces how the connection is protected.
    #[must_use]
    pub fn with_encryption(mut self, encryption: Encryption) -> Self {
        self.encryption = encryption;
        self
    }

    /// Returns the host: a name or an address, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns how the connection is protected.
    pub fn encryption(&self) -> Encryption {
        self.encryption
    }
}

impl FromStr for Server {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.encryption == Encryption::Tls { "ldaps" } else { "ldap" };
        if self.host.contains(':') {
            write!(f, "{scheme}://[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{scheme}://{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn schemes_decide_encryption_and_default_port() {
        let tls = Server::parse("ldaps://dc1.corp.example").unwrap();
        assert_eq!((tls.host(), tls.port(), tls.encryption()), ("dc1.corp.example", 636, Encryption::Tls));
        let start = Server::parse("LDAP://dc1.corp.example:3268/").unwrap();
        assert_eq!((start.port(), start.encryption()), (3268, Encryption::StartTls));
        let six = Server::parse("ldaps://[::1]:1636").unwrap();
        assert_eq!((six.host(), six.port()), ("::1", 1636));
        assert_eq!(six.to_string(), "ldaps://[::1]:1636");
    }

    #[test]
    fn what_is_no_server_is_refused_with_a_remedy() {
        for url in
            ["dc1.corp.example", "http://x", "ldap://", "ldap://h:0", "ldap://h:x", "ldap://h/dc=x", "ldap://[x]"]
        {
            assert!(Server::parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn a_password_in_the_url_is_not_echoed() {
        let error = Server::parse("ldap://admin:hunter2@dc1.corp.example").unwrap_err();
        assert!(!format!("{error:?}").contains("hunter2"));
    }

    proptest! {
        #[test]
        fn garbage_never_panics_and_what_is_read_reads_back(text in ".{0,40}") {
            for url in [text.clone(), format!("ldaps://{text}")] {
                if let Ok(server) = Server::parse(&url) {
                    prop_assert_eq!(Server::parse(&server.to_string()).unwrap(), server);
                }
            }
        }
    }
}
