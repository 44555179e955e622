//! The server's errors in the one error type, by their codes. It must not decide whether to try again: the gate does.

use std::borrow::Cow;
use std::time::Duration;

use tenantry::{Error, ErrorKind, Retry};
use tenantry_http::Answer;

use super::answer::Refusal;

/// Refuses a setting, naming its key.
pub(crate) fn setting(key: &'static str, message: impl Into<Cow<'static, str>>) -> Error {
    Error::config(message).with_context("key", key)
}

/// What a code asks for.
#[derive(Debug)]
pub(crate) enum Meaning {
    /// There is nobody of this name: an answer, not a failure.
    Nobody,
    /// To be asked in the words of an older release.
    Older,
    /// A failure.
    Failure(Error),
}

/// Says what a code means. This is the one place that knows them.
pub(crate) fn meaning(refusal: &Refusal) -> Meaning {
    let general = matches!(refusal.code.as_str(), "ErrorInternalServerError" | "ErrorInternalServerTransientError");
    let code = match &refusal.inner {
        Some(inner) if general && !inner.is_empty() => inner.as_str(),
        _ => refusal.code.as_str(),
    };
    let later = refusal.back_off.map_or(Retry::Backoff, |millis| Retry::After(Duration::from_millis(millis)));
    let error = match code {
        "ErrorNameResolutionNoResults" => return Meaning::Nobody,
        "ErrorInvalidServerVersion"
        | "ErrorIncorrectSchemaVersion"
        | "ErrorInvalidSchemaVersionForMailboxVersion"
        | "ErrorSchemaValidation" => return Meaning::Older,
        "ErrorServerBusy" => {
            Error::new(ErrorKind::Throttled, "the server asks to be left alone for a while").with_retry(later)
        }
        "ErrorExceededConnectionCount" => {
            Error::new(ErrorKind::Concurrency, "the account has too many requests under way").with_retry(later)
        }
        "ErrorTimeoutExpired"
        | "ErrorTooManyObjectsOpened"
        | "ErrorInternalServerTransientError"
        | "ErrorInternalServerError"
        | "ErrorADUnavailable"
        | "ErrorADOperation"
        | "ErrorConnectionFailed"
        | "ErrorInsufficientResources"
        | "ErrorMailboxMoveInProgress"
        | "ErrorMailboxStoreUnavailable"
        | "ErrorMailboxFailover"
        | "ErrorNoRespondingCASInDestinationSite"
        | "ErrorExceededFindCountLimit" => {
            Error::new(ErrorKind::Unavailable, "the server cannot answer now").with_retry(later)
        }
        "ErrorNameResolutionNoMailbox" | "ErrorNonExistentMailbox" | "ErrorMissingEmailAddress" => setting(
            "user",
            "the account has no mailbox on this organisation's servers, which Exchange Web Services need; give it one",
        ),
        "ErrorAccountDisabled" => Error::new(ErrorKind::Unauthenticated, "the account is disabled; enable it"),
        "ErrorPasswordExpired" | "ErrorPasswordChangeRequired" => Error::new(
            ErrorKind::Unauthenticated,
            "the account's password has expired or has to be changed; set one that stays",
        ),
        "ErrorAccessDenied"
        | "ErrorImpersonateUserDenied"
        | "ErrorImpersonationDenied"
        | "ErrorImpersonationFailed" => {
            let missing = vec!["Exchange Web Services for the account".to_owned()];
            Error::new(ErrorKind::PermissionDenied { missing }, "the account may not use Exchange Web Services")
        }
        _ => Error::protocol("the server refuses the request"),
    };
    let error = error.with_context("code", spelled(&refusal.code));
    Meaning::Failure(match &refusal.inner {
        Some(inner) => error.with_context("inner code", spelled(inner)),
        None => error,
    })
}

/// Takes what is spelled like a code: texts of the server stay out of errors.
fn spelled(code: &str) -> &str {
    let plain = code.len() <= 80 && code.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if plain { code } else { "odd" }
}

/// Says what a status means, where no code came with it.
pub(crate) fn refused(answer: &Answer, now_unix_millis: i64) -> Error {
    let status = answer.status.as_u16();
    match status {
        403 => Error::new(
            ErrorKind::PermissionDenied { missing: vec!["Exchange Web Services for the account".to_owned()] },
            "the server does not let the account use Exchange Web Services; look at EwsEnabled and EwsApplicationAccessPolicy",
        ),
        404 => setting("url", "there are no Exchange Web Services at this address; Exchange 2003 has none at all"),
        440 => setting("url", "a sign-in page answers instead of Exchange Web Services; use the address behind it"),
        200..=299 => Error::protocol("the answer is not one to what was asked"),
        _ => return answer.refusal(now_unix_millis),
    }
    .with_context("status", status)
}

/// A page for people instead of an answer: of a balancer, a sign-in, or IIS with a broken application.
pub(crate) fn page(answer: &Answer) -> Error {
    let message = "the answer is an HTML page instead of a SOAP message; check that url leads to Exchange.asmx without a \
                   sign-in page in between, and that the application is well";
    Error::new(ErrorKind::Unavailable, message)
        .with_retry(Retry::Backoff)
        .with_context("status", answer.status.as_u16())
}

/// A login that was refused.
pub(crate) fn not_accepted(bound: bool) -> Error {
    let message = if bound {
        "the server does not accept the login; check user and password, and that nothing between here and the server \
         opens TLS: the login is bound to the server's own certificate"
    } else {
        "the server does not accept the login; check user and password"
    };
    Error::new(ErrorKind::Unauthenticated, message).with_context("status", 401)
}

/// A release that this connector does not read.
pub(crate) fn online() -> Error {
    setting("url", "this is Exchange Online, which the kind office365 reads; Exchange Web Services end there")
}

/// A checkpoint that is not this connector's, or of another release of it.
pub(crate) fn unusable_checkpoint() -> Error {
    Error::new(ErrorKind::Conflict, "the listing cannot go on behind this checkpoint; it starts again")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(code: &str, inner: Option<&str>, back_off: Option<u64>) -> Error {
        let refusal = Refusal { code: code.into(), inner: inner.map(Into::into), back_off };
        match meaning(&refusal) {
            Meaning::Failure(error) => error,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_code_of_the_documents_has_its_meaning() {
        let wait = Retry::After(Duration::from_millis(297_749));
        let cases = [
            ("ErrorServerBusy", Some(297_749), "throttled", wait),
            ("ErrorServerBusy", None, "throttled", Retry::Backoff),
            ("ErrorExceededConnectionCount", None, "concurrency", Retry::Backoff),
            ("ErrorADUnavailable", None, "unavailable", Retry::Backoff),
            ("ErrorMailboxMoveInProgress", None, "unavailable", Retry::Backoff),
            ("ErrorNameResolutionNoMailbox", None, "config", Retry::Never),
            ("ErrorPasswordExpired", None, "unauthenticated", Retry::Never),
            ("ErrorAccessDenied", None, "permission-denied", Retry::Never),
            ("ErrorInvalidRequest", None, "protocol", Retry::Never),
            ("ErrorOfAReleaseToCome", None, "protocol", Retry::Never),
        ];
        for (code, back_off, kind, retry) in cases {
            let error = failure(code, None, back_off);
            assert_eq!((error.kind().as_str(), error.retry()), (kind, retry), "{code}");
            assert_eq!(error.context("code"), Some(code));
        }
    }

    #[test]
    fn a_general_code_is_judged_by_the_one_behind_it() {
        let busy = failure("ErrorInternalServerError", Some("ErrorServerBusy"), Some(5));
        assert_eq!((busy.kind().as_str(), busy.retry()), ("throttled", Retry::After(Duration::from_millis(5))));
        let denied = failure("ErrorInternalServerError", Some("ErrorAccessDenied"), None);
        assert_eq!(denied.kind().as_str(), "permission-denied");
        assert_eq!(failure("ErrorInternalServerError", None, None).kind().as_str(), "unavailable");
        // A code that says enough is not replaced.
        assert_eq!(failure("ErrorAccessDenied", Some("ErrorServerBusy"), None).kind().as_str(), "permission-denied");
    }

    #[test]
    fn nothing_that_is_no_code_gets_into_an_error() {
        let error = failure("CANARY <secret>", Some("CANARY secret"), None);
        assert!(!format!("{error:?}").contains("CANARY"));
    }
}
