//! How to reach a directory: servers, account, trust, limits.
//!
//! It opens nothing and reads no file.

use std::fmt;
use std::time::Duration;

use tenantry::Secret;

use crate::server::Server;
use crate::tls::Trust;

/// Who binds.
#[derive(Clone)]
pub enum Credentials {
    /// Nobody.
    Anonymous,
    /// An account with a password.
    Password {
        /// A distinguished name, a user principal name or `DOMAIN\user`; passed on as it is.
        name: String,
        /// Its password; an empty one is refused before anything is sent.
        password: Secret,
    },
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str("Anonymous"),
            Self::Password { name, .. } => f.debug_struct("Password").field("name", name).finish_non_exhaustive(),
        }
    }
}

/// Whether a connection without encryption is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PlainText {
    /// It is refused before anything is sent.
    #[default]
    Refused,
    /// It is allowed: somebody has set `insecure`.
    Allowed,
}

/// What a server may take and send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Time for name look-up, connection and TLS, for each server. 10 seconds.
    pub connect_timeout: Duration,
    /// Time for one call. 150 seconds: above the 120 that Active Directory gives a query, so that its own answer comes.
    pub operation_timeout: Duration,
    /// Bytes in one message. 64 MiB.
    pub max_message_bytes: usize,
    /// Bytes in the answer to one call, a page for instance. 256 MiB.
    pub max_answer_bytes: u64,
    /// Messages tolerated above the entries that were asked for, such as references. 256.
    pub extra_messages: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            operation_timeout: Duration::from_secs(150),
            max_message_bytes: 64 << 20,
            max_answer_bytes: 256 << 20,
            extra_messages: 256,
        }
    }
}

/// Everything that a session needs to begin.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Settings {
    /// Servers in the order in which they are tried.
    pub servers: Vec<Server>,
    /// Who binds.
    pub credentials: Credentials,
    /// Whose certificates are believed.
    pub trust: Trust,
    /// Whether plain text is allowed.
    pub plain_text: PlainText,
    /// What a server may take and send.
    pub limits: Limits,
}

impl Settings {
    /// Creates settings with the system's trust, no plain text and the default limits.
    pub fn new(servers: Vec<Server>, credentials: Credentials) -> Self {
        Self {
            servers,
            credentials,
            trust: Trust::default(),
            plain_text: PlainText::default(),
            limits: Limits::default(),
        }
    }

    /// Sets whose certificates are believed.
    #[must_use]
    pub fn trust(mut self, trust: Trust) -> Self {
        self.trust = trust;
        self
    }

    /// Sets whether plain text is allowed.
    #[must_use]
    pub fn plain_text(mut self, plain_text: PlainText) -> Self {
        self.plain_text = plain_text;
        self
    }

    /// Sets what a server may take and send.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }
}
