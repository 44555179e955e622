//! What each refusal becomes. It must not know who asks.

use std::error::Error as _;

use proptest::prelude::*;
use reqwest::header::{HeaderMap, HeaderValue};
use serde_json::json;

use super::*;

const NOW: i64 = 1_767_225_600_000;

fn error(status: u16, body: &str) -> Error {
    refused(Operation::ListUsers, status, &HeaderMap::new(), body.as_bytes(), NOW)
}

fn coded(status: u16, code: &str) -> Error {
    error(status, &json!({ "error": { "code": code, "message": "text" } }).to_string())
}

fn after(value: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(reqwest::header::RETRY_AFTER, HeaderValue::from_static(value))])
}

#[test]
fn each_code_and_status_has_its_kind_and_its_advice() {
    let denied = || ErrorKind::PermissionDenied { missing: vec!["User.Read.All".to_owned()] };
    let cases: [(u16, &str, ErrorKind, Retry); 24] = [
        (403, "Authorization_RequestDenied", denied(), Retry::Never),
        (400, "Authorization_RequestDenied", denied(), Retry::Never),
        (403, "accessDenied", denied(), Retry::Never),
        (403, "SomethingNew", denied(), Retry::Never),
        (403, "Authentication_RequestFromNonPremiumTenantOrB2CTenant", ErrorKind::Unsupported, Retry::Never),
        (401, "InvalidAuthenticationToken", ErrorKind::Unauthenticated, Retry::Never),
        (401, "", ErrorKind::Unauthenticated, Retry::Never),
        (403, "Authorization_IdentityNotFound", ErrorKind::PermissionDenied { missing: vec![] }, Retry::Backoff),
        (404, "Request_ResourceNotFound", ErrorKind::NotFound, Retry::Never),
        (404, "Directory_ObjectNotFound", ErrorKind::NotFound, Retry::Never),
        (400, "Request_BadRequest", ErrorKind::Protocol, Retry::Never),
        (400, "Request_UnsupportedQuery", ErrorKind::Protocol, Retry::Never),
        (400, "Directory_ExpiredPageToken", ErrorKind::Conflict, Retry::Never),
        (410, "syncStateNotFound", ErrorKind::Conflict, Retry::Never),
        (400, "syncStateNotFound", ErrorKind::Conflict, Retry::Never),
        (429, "TooManyRequests", ErrorKind::Throttled, Retry::Backoff),
        (403, "TooManyRequests", ErrorKind::Throttled, Retry::Backoff),
        (500, "UnknownError", ErrorKind::Unavailable, Retry::Backoff),
        (502, "", ErrorKind::Unavailable, Retry::Backoff),
        (503, "Authorization_RequestDenied", ErrorKind::Unavailable, Retry::Backoff),
        (504, "", ErrorKind::Unavailable, Retry::Backoff),
        (400, "Directory_ReplicaUnavailable", ErrorKind::Unavailable, Retry::Backoff),
        (501, "NotImplemented", ErrorKind::Unsupported, Retry::Never),
        (418, "Teapot", ErrorKind::Protocol, Retry::Never),
    ];
    for (status, code, kind, retry) in cases {
        let error = coded(status, code);
        assert_eq!((error.kind(), error.retry()), (&kind, retry), "{status} {code}: {error}");
    }
}

#[test]
fn a_wait_that_graph_dictates_is_kept_with_its_fraction() {
    let wait = |status, value| refused(Operation::ListUsers, status, &after(value), b"{}", NOW).retry();
    assert_eq!(wait(429, "2.128"), Retry::After(Duration::from_millis(2128)));
    assert_eq!(wait(503, "4"), Retry::After(Duration::from_secs(4)));
    assert_eq!(wait(504, "Thu, 01 Jan 2026 00:00:09 GMT"), Retry::After(Duration::from_secs(9)));
    assert_eq!(wait(429, "soon"), Retry::Backoff);
    // A wait does not make a lasting refusal a passing one.
    assert_eq!(wait(403, "4"), Retry::Never);
}

#[test]
fn the_most_specific_code_that_is_known_counts() {
    let nested = |outer: &str, inner: &str, deepest: &str| json!({ "error": { "code": outer, "innerError": { "code": inner, "innererror": { "code": deepest } } } });
    let code = |outer, inner, deepest| {
        let error = error(400, &nested(outer, inner, deepest).to_string());
        Refusal::of(&error).unwrap().code.to_string()
    };
    assert_eq!(code("badRequest", "Request_UnsupportedQuery", "Whatever"), "Request_UnsupportedQuery");
    assert_eq!(code("UnknownError", "", "Directory_ExpiredPageToken"), "Directory_ExpiredPageToken");
    assert_eq!(code("SomethingNew", "429", "Whatever"), "SomethingNew");
    assert_eq!(code("", "New", ""), "New");
}

#[test]
fn the_request_id_is_told_wherever_it_stands_and_only_if_it_is_one() {
    let id = "94fb3b52-452a-4535-a601-69e0a90e3aa2";
    let inner = json!({ "error": { "code": "X", "innerError": { "request-id": id } } });
    assert_eq!(error(400, &inner.to_string()).context("request id"), Some(id));
    let older = json!({ "error": { "code": "X", "innererror": { "requestId": id } } });
    assert_eq!(error(400, &older.to_string()).context("request id"), Some(id));
    let part = json!({ "Request-Id": id });
    let told = refused(Operation::ListMembers, 404, part.as_object().unwrap(), b"", NOW);
    assert_eq!(told.context("request id"), Some(id));
    let odd = json!({ "error": { "code": "X", "innerError": { "request-id": "anna@corp.example" } } });
    assert_eq!(error(400, &odd.to_string()).context("request id"), None);
}

#[test]
fn what_something_in_between_answers_proves_nothing_and_is_not_shown() {
    for status in [400, 401, 403, 404] {
        for body in ["<html>canary-page</html>", "canary", "[1]", r#"{"error":"canary"}"#, r#"{"fault":{"code":"x"}}"#]
        {
            let error = error(status, body);
            assert_eq!(*error.kind(), ErrorKind::Protocol, "{status} {body}: {error}");
            assert!(!format!("{error:?}").contains("canary"), "{error:?}");
        }
    }
    // Without a word of Graph's, nobody is gone.
    assert_eq!(*error(404, "").kind(), ErrorKind::Protocol);
    assert_eq!(*error(503, "<html>").kind(), ErrorKind::Unavailable);
}

#[test]
fn an_expired_token_is_told_by_status_and_code_alone() {
    let expired = |status, code| Refusal::of(&coded(status, code)).unwrap().is_of_an_expired_token();
    for (status, code) in [
        (410, ""),
        (410, "resyncRequired"),
        (404, "syncStateNotFound"),
        (400, "SyncStateNotFound"),
        (400, "Request_UnsupportedQuery"),
        (400, "syncStateInvalid"),
    ] {
        assert!(expired(status, code), "{status} {code}");
    }
    for (status, code) in [(400, "Request_BadRequest"), (400, ""), (403, "Authorization_RequestDenied"), (503, "")] {
        assert!(!expired(status, code), "{status} {code}");
    }
    assert!(Refusal::of(&coded(400, "Directory_ExpiredPageToken")).unwrap().is_of_an_expired_page());
}

proptest! {
    #[test]
    fn no_body_is_ever_shown_or_stops_the_program(
        status in 100_u16..600,
        code in ".{0,80}",
        message in "canary.{0,20}",
        depth in 0_usize..20,
        garbage in proptest::collection::vec(any::<u8>(), 0..64),
    ) {
        let mut value = json!({ "code": code, "message": message, "request-id": message });
        for _ in 0..depth {
            value = json!({ "code": message, "message": message, "innerError": value });
        }
        let body = json!({ "error": value }).to_string();
        for body in [body.as_bytes(), &garbage] {
            let error = refused(Operation::Registrations, status, &HeaderMap::new(), body, NOW);
            let shown = format!("{error:?}{:?}", error.source());
            // A message that looks like a code may be taken for one; anything with another character in it may not.
            if !is_code(&message) {
                prop_assert!(!shown.contains("canary"), "{}", shown);
            }
        }
    }
}
