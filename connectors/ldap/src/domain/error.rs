//! Failures of reading a domain in the one error type. Result codes are translated by the session; here is what only a
//! domain controller can mean by them. It must not decide whether to try again: the gate does.

use tenantry::{Error, ErrorKind, Retry};

/// Refuses a setting, naming its key.
pub fn setting(key: &'static str, message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::config(message).with_context("key", key)
}

/// The base is not there: never an empty directory.
pub(crate) fn base_gone(error: Error) -> Error {
    match error.kind() {
        ErrorKind::NotFound => setting(
            "base",
            "the base does not exist or the account cannot see it; correct it, or let the account read it",
        )
        .with_source(error),
        _ => error,
    }
}

/// The base cannot be seen: neither is this an empty directory.
pub(crate) fn base_unseen() -> Error {
    setting("base", "the base does not exist or the account cannot see it; correct it, or let it read it")
}

/// A checkpoint, a cookie or a cursor of another controller, or of this one before it was restored.
pub(crate) fn another_server() -> Error {
    Error::new(
        ErrorKind::Conflict,
        "another domain controller answers, or this one was restored; the listing starts again",
    )
}

/// A listing whose last step failed in the middle of a page does not know what of it was given out.
pub(crate) fn broken_off() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "the listing broke off in the middle of a page; go on behind its last checkpoint",
    )
}

/// Whatever lies in such a container can be told neither in scope nor out of it: a listing has to.
pub(crate) fn nameless_container(error: Error) -> Error {
    Error::new(ErrorKind::Conflict, "a container changed whose name or id cannot be understood").with_source(error)
}

/// A checkpoint that is not this connector's, or that a newer one wrote.
pub(crate) fn foreign_checkpoint() -> Error {
    Error::new(ErrorKind::Conflict, "the checkpoint cannot be read by this version; the listing starts again")
}

/// The account was refused before: another try would count towards a lockout.
pub(crate) fn refused_before(message: &str) -> Error {
    Error::new(ErrorKind::Unauthenticated, message.to_owned())
        .with_operation("bind")
        .with_context("tried again", "no, so that the account is not locked out")
}

/// The server is there, but does not hold the whole domain yet.
pub(crate) fn not_synchronised() -> Error {
    Error::new(ErrorKind::Unavailable, "the domain controller has not finished its first synchronisation")
        .with_retry(Retry::Backoff)
}
