//! The one error of the harness: what was attempted and what the program or the system said.
//!
//! It must not be matched on in detail: a test that meets it fails, except where it asks for the LDAP result code.

use std::fmt;

/// The result of everything here that can fail.
pub type Result<T, E = LiveError> = std::result::Result<T, E>;

/// Why a server could not be started, changed or read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveError {
    message: String,
    code: Option<i32>,
}

impl LiveError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: None }
    }

    pub(crate) fn with_code(mut self, code: Option<i32>) -> Self {
        self.code = code;
        self
    }

    /// Returns the exit code of the program that failed: for `ldapsearch` and its kin the LDAP result code.
    pub const fn code(&self) -> Option<i32> {
        self.code
    }

    /// Returns what was attempted and what was said.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for LiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for LiveError {}

/// Says what was attempted when the system refuses it.
pub(crate) trait Attempt<T> {
    fn attempt(self, what: impl fmt::Display) -> Result<T>;
}

impl<T, E: fmt::Display> Attempt<T> for std::result::Result<T, E> {
    fn attempt(self, what: impl fmt::Display) -> Result<T> {
        self.map_err(|error| LiveError::new(format!("{what}: {error}")))
    }
}
