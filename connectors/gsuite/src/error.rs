//! The API's errors in the one error type, by their reasons. It must not decide whether to try again: the gate does.

use std::borrow::Cow;
use std::time::Duration;

use serde::Deserialize;
use tenantry::{Error, ErrorKind, Retry};
use tenantry_http::Answer;

use crate::operation::Operation;

/// Refuses a setting, naming its key.
pub(crate) fn setting(key: &'static str, message: impl Into<Cow<'static, str>>) -> Error {
    Error::config(message).with_context("key", key)
}

#[derive(Debug, Deserialize)]
struct Envelope {
    error: Body,
}

#[derive(Debug, Deserialize)]
struct Body {
    #[serde(default)]
    errors: Vec<Item>,
    status: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Item {
    reason: Option<String>,
}

/// Reads the reason of a refusal: of the old envelope, else the status of newer servers. Only what is spelled like one
/// is taken: texts stay out of errors.
fn reason(answer: &Answer) -> String {
    let envelope: Option<Envelope> = serde_json::from_slice(&answer.body).ok();
    let found = envelope.and_then(|envelope| {
        let first = envelope.error.errors.into_iter().find_map(|item| item.reason);
        first.or(envelope.error.status)
    });
    let spelled = |text: &String| text.len() <= 60 && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    found.filter(spelled).unwrap_or_default()
}

/// Says what a refusal means.
pub(crate) fn refused(operation: Operation, answer: &Answer, now_unix_millis: i64) -> Error {
    let status = answer.status.as_u16();
    let reason = reason(answer);
    let later = answer.retry_after(now_unix_millis).map_or(Retry::Backoff, Retry::After);
    let error = match (status, reason.as_str()) {
        // Quota errors of the audit log come as an unavailable service.
        (503, _) if operation == Operation::ReadLog => {
            Error::new(ErrorKind::Throttled, "the audit log is asked too fast, or not available").with_retry(later)
        }
        (_, "dailyLimitExceeded" | "dailyLimitExceededUnreg") => {
            let wait = until_reset(now_unix_millis);
            Error::new(
                ErrorKind::Throttled,
                "the quota of this day is used up; it comes back at midnight in California",
            )
            .with_retry(Retry::After(wait))
        }
        (429, _) | (_, "quotaExceeded" | "concurrentLimitExceeded" | "RESOURCE_EXHAUSTED") => {
            Error::new(ErrorKind::Concurrency, "the account answers fewer requests at a time").with_retry(later)
        }
        (_, "userRateLimitExceeded" | "rateLimitExceeded" | "sharingRateLimitExceeded") => {
            Error::new(ErrorKind::Throttled, "the quota of this minute is used up").with_retry(later)
        }
        (
            _,
            "backendError"
            | "internalError"
            | "badGateway"
            | "gatewayTimeout"
            | "transientError"
            | "serviceNotAvailable"
            | "systemError"
            | "UNAVAILABLE"
            | "INTERNAL",
        ) => Error::new(ErrorKind::Unavailable, "the server cannot answer now").with_retry(later),
        (401, _) => Error::new(ErrorKind::Unauthenticated, "the token is not accepted"),
        (_, "insufficientPermissions" | "ACCESS_TOKEN_SCOPE_INSUFFICIENT") => denied(
            operation.needs().0,
            "the token lacks a scope; delegate it to the service account in the admin console",
        ),
        (_, "domainCannotUseApis") => {
            denied("API access of the account", "the account does not allow APIs; switch them on in the admin console")
        }
        (_, "accessNotConfigured" | "SERVICE_DISABLED") => denied(
            "Admin SDK API of the project",
            "the project has not switched the Admin SDK API on; do so in its console",
        ),
        (403, _) => denied(
            operation.needs().1,
            "the administrator may not do this; give the role this privilege, or name another administrator",
        ),
        (404 | 410, _) => Error::new(ErrorKind::NotFound, "there is no such object"),
        (409 | 412, _) => Error::new(ErrorKind::Conflict, "the object is not in a state that allows this"),
        _ => return answer.refusal(now_unix_millis).with_context("reason", reason),
    };
    error.with_context("status", status).with_context("reason", reason)
}

fn denied(missing: &str, message: &'static str) -> Error {
    Error::new(ErrorKind::PermissionDenied { missing: vec![missing.to_owned()] }, message)
}

/// How long it is to the next midnight in California, or an hour longer in summer: 08:00 UTC.
fn until_reset(now_unix_millis: i64) -> Duration {
    const DAY: i64 = 86_400_000;
    let since = (now_unix_millis - DAY / 3).rem_euclid(DAY);
    Duration::from_millis(u64::try_from(DAY - since).unwrap_or(0))
}

/// A page token that is refused in the middle of a listing: what was listed so far proves nothing.
pub(crate) fn token_refused() -> Error {
    Error::new(ErrorKind::Conflict, "the server does not know the listing's page any more; the listing starts again")
}

/// A page that came before, or a token that was used.
pub(crate) fn repeated() -> Error {
    Error::protocol("the server gives the same page again")
}

/// A checkpoint that is not this connector's, of a newer one, or too old.
pub(crate) fn unusable_checkpoint() -> Error {
    Error::new(ErrorKind::Conflict, "the listing cannot go on behind this checkpoint; it starts again")
}

/// A listing that takes longer than the API lets any take.
pub(crate) fn too_long() -> Error {
    Error::new(ErrorKind::Unavailable, "the listing takes longer than an hour; list one domain by an endpoint each")
}

#[cfg(test)]
mod tests {
    use reqwest::StatusCode;
    use reqwest::header::HeaderMap;

    use super::*;

    fn answer(status: u16, reason: &str) -> Answer {
        let body = format!(r#"{{"error":{{"code":{status},"message":"CANARY","errors":[{{"reason":"{reason}"}}]}}}}"#);
        Answer { status: StatusCode::from_u16(status).unwrap(), headers: HeaderMap::new(), body: body.into() }
    }

    #[test]
    fn an_error_is_told_by_its_reason_and_not_by_its_status() {
        let cases = [
            (403, "userRateLimitExceeded", "throttled"),
            (403, "rateLimitExceeded", "throttled"),
            (429, "rateLimitExceeded", "concurrency"),
            (403, "quotaExceeded", "concurrency"),
            (403, "dailyLimitExceeded", "throttled"),
            (403, "forbidden", "permission-denied"),
            (403, "notAuthorized", "permission-denied"),
            (403, "insufficientPermissions", "permission-denied"),
            (403, "backendError", "unavailable"),
            (503, "backendError", "unavailable"),
            (502, "", "unavailable"),
            (404, "notFound", "not-found"),
            (412, "conditionNotMet", "conflict"),
            (401, "authError", "unauthenticated"),
            (400, "invalid", "protocol"),
        ];
        for (status, reason, kind) in cases {
            let error = refused(Operation::ListUsers, &answer(status, reason), 0);
            assert_eq!(error.kind().as_str(), kind, "{status} {reason}");
            assert!(!format!("{error:?}").contains("CANARY"));
        }
        let log = refused(Operation::ReadLog, &answer(503, "backendError"), 0);
        assert_eq!(log.kind().as_str(), "throttled");
    }

    #[test]
    fn a_used_up_day_waits_until_midnight_in_california() {
        // 2026-01-15 12:00 UTC: 20 hours to the next 08:00.
        let error = refused(Operation::ListUsers, &answer(403, "dailyLimitExceeded"), 1_768_478_400_000);
        assert_eq!(error.retry(), Retry::After(Duration::from_hours(20)));
    }

    #[test]
    fn a_missing_scope_and_a_missing_privilege_are_named() {
        let scope = refused(Operation::ListGroups, &answer(403, "insufficientPermissions"), 0);
        assert!(
            matches!(scope.kind(), ErrorKind::PermissionDenied { missing } if missing[0].contains("group.readonly"))
        );
        let role = refused(Operation::ListGroups, &answer(403, "forbidden"), 0);
        assert!(matches!(role.kind(), ErrorKind::PermissionDenied { missing } if missing[0].contains("Groups")));
    }
}
