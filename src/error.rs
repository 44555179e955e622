//! The one error type: what kind of failure, whether trying again helps, and where it happened.
//!
//! It knows nothing of any provider: connectors translate their errors into it in one `match`.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of failure it is: decides what a caller can do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The configuration or an argument is wrong; a person has to change it.
    Config,
    /// The credentials were refused. Trying them again may lock the account.
    Unauthenticated,
    /// The credentials are accepted, but rights are missing.
    PermissionDenied {
        /// The names of the missing rights, as the provider's administrator knows them.
        missing: Vec<String>,
    },
    /// Asked too fast: the server, or this process's own share of the quota, says wait.
    Throttled,
    /// Too many calls at the same time: the gate lowers its concurrency.
    Concurrency,
    /// The server cannot be reached, or says that it cannot answer now.
    Unavailable,
    /// The server answered something that its protocol does not allow, or that cannot be understood.
    Protocol,
    /// What was asked for does not exist.
    NotFound,
    /// The attribute is locked by an endpoint.
    Locked,
    /// Somebody else changed or holds it: a stale run, a second run, a newer version.
    Conflict,
    /// The local store failed: disk full, corrupt, written by another program or a newer version.
    Store,
    /// A sink refused an event.
    Sink,
    /// Changes are held back until somebody approves them.
    Held,
    /// The caller asked to stop.
    Cancelled,
    /// The endpoint cannot do this.
    Unsupported,
}

impl ErrorKind {
    /// Returns the kind as one lower-case word, for reports and metrics.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Unauthenticated => "unauthenticated",
            Self::PermissionDenied { .. } => "permission-denied",
            Self::Throttled => "throttled",
            Self::Concurrency => "concurrency",
            Self::Unavailable => "unavailable",
            Self::Protocol => "protocol",
            Self::NotFound => "not-found",
            Self::Locked => "locked",
            Self::Conflict => "conflict",
            Self::Store => "store",
            Self::Sink => "sink",
            Self::Held => "held",
            Self::Cancelled => "cancelled",
            Self::Unsupported => "unsupported",
        }
    }
}

/// Whether the same call can succeed later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Retry {
    /// Trying again does not help, or harms.
    #[default]
    Never,
    /// Try again after a growing, jittered wait.
    Backoff,
    /// The server said how long to wait.
    After(Duration),
}

/// A failure: kind, retry advice, operation, context and source.
///
/// `Display` is one line; `Debug` adds the chain of sources, a line each. Neither holds a secret. A clone says the same,
/// for several who waited for one thing.
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    retry: Retry,
    operation: Cow<'static, str>,
    message: Cow<'static, str>,
    context: Vec<(&'static str, String)>,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// Creates an error with a message: lower case, no full stop, no secret.
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            kind,
            retry: Retry::Never,
            operation: Cow::Borrowed(""),
            message: message.into(),
            context: Vec::new(),
            source: None,
        }))
    }

    /// Creates the error of a configuration that a person has to change.
    pub fn config(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Config, message)
    }

    /// Creates the error of an answer that cannot be understood.
    pub fn protocol(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Protocol, message)
    }

    /// Creates the error of a caller that asked to stop.
    pub fn cancelled() -> Self {
        Self::new(ErrorKind::Cancelled, "cancelled by the caller")
    }

    /// Sets whether trying again helps.
    #[must_use]
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.0.retry = retry;
        self
    }

    /// Names the operation that failed, unless an inner one is already named; the outer one becomes context.
    #[must_use]
    pub fn with_operation(mut self, operation: impl Into<Cow<'static, str>>) -> Self {
        let operation = operation.into();
        if self.0.operation.is_empty() {
            self.0.operation = operation;
        } else if self.0.operation != operation {
            self.0.context.push(("called by", operation.into_owned()));
        }
        self
    }

    /// Adds where or with what it happened: endpoint, page, the provider's request id.
    #[must_use]
    pub fn with_context(mut self, key: &'static str, value: impl fmt::Display) -> Self {
        self.0.context.push((key, value.to_string()));
        self
    }

    /// Sets the underlying error. Its text must not hold a secret.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.0.source = Some(Arc::from(source.into()));
        self
    }

    /// Returns the kind.
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// Returns whether trying again helps.
    pub fn retry(&self) -> Retry {
        self.0.retry
    }

    /// Returns the operation that failed, or an empty string.
    pub fn operation(&self) -> &str {
        &self.0.operation
    }

    /// Returns the message alone.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Returns the value of one context key.
    pub fn context(&self, key: &str) -> Option<&str> {
        self.0.context.iter().find(|(k, _)| *k == key).map(|(_, v)| v.as_str())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.kind.as_str())?;
        if !self.0.operation.is_empty() {
            write!(f, " at {}", self.0.operation)?;
        }
        write!(f, ": {}", self.0.message)?;
        if let ErrorKind::PermissionDenied { missing } = &self.0.kind
            && !missing.is_empty()
        {
            write!(f, " (missing: {})", missing.join(", "))?;
        }
        for (index, (key, value)) in self.0.context.iter().enumerate() {
            write!(f, "{}{key}: {value}", if index == 0 { " [" } else { ", " })?;
        }
        if !self.0.context.is_empty() {
            f.write_str("]")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}\n  retry: {:?}", self.0.retry)?;
        let mut source = std::error::Error::source(self);
        while let Some(error) = source {
            write!(f, "\n  caused by: {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_is_one_line_with_kind_operation_message_and_context() {
        let error = Error::new(ErrorKind::Unavailable, "connection refused")
            .with_operation("bind")
            .with_operation("snapshot")
            .with_context("endpoint", "ad")
            .with_source(std::io::Error::other("os error 111"));
        assert_eq!(error.to_string(), "unavailable at bind: connection refused [called by: snapshot, endpoint: ad]");
        assert!(format!("{error:?}").contains("caused by: os error 111"));
    }

    #[test]
    fn missing_rights_are_named() {
        let error = Error::new(
            ErrorKind::PermissionDenied { missing: vec!["Replicating Directory Changes".into()] },
            "cannot read deleted objects",
        );
        assert!(error.to_string().contains("missing: Replicating Directory Changes"));
    }
}
