//! The server's errors in the one error type, by their codes. It must not decide whether to try again: the gate does.

use std::borrow::Cow;

use tenantry::Error;

/// Refuses a setting, naming its key.
pub(crate) fn setting(key: &'static str, message: impl Into<Cow<'static, str>>) -> Error {
    Error::config(message).with_context("key", key)
}
