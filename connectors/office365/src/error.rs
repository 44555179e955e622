//! Failures of Graph in the one error type: one match over its codes and statuses.
//!
//! It must not look at the text of a message, which is translated, reworded and may name people; and it decides
//! nothing about repeating beyond what the code says: the gate does.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use serde_json::value::RawValue;
use tenantry::gate::parse_retry_after;
use tenantry::{Error, ErrorKind, Retry};
use uuid::Uuid;

use crate::operation::Operation;

/// Nested inner errors that are looked at; Graph nests two or three.
const DEEPEST: usize = 8;

/// The headers of an answer, or of a part of a batch.
pub(crate) trait Headers {
    /// Returns the value of a header, whatever the case of its name.
    fn header(&self, name: &str) -> Option<&str>;
}

impl Headers for reqwest::header::HeaderMap {
    fn header(&self, name: &str) -> Option<&str> {
        self.get(name)?.to_str().ok()
    }
}

/// The headers of a part of a batch.
impl Headers for serde_json::Map<String, serde_json::Value> {
    fn header(&self, name: &str) -> Option<&str> {
        self.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?.1.as_str()
    }
}

impl<T: Headers + ?Sized> Headers for &T {
    fn header(&self, name: &str) -> Option<&str> {
        (**self).header(name)
    }
}

/// Refuses a setting, naming its key.
pub(crate) fn setting(key: &'static str, message: impl Into<Cow<'static, str>>) -> Error {
    Error::config(message).with_context("key", key)
}

/// What Graph refused: the source of an error, for those who have to tell one refusal from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The HTTP status, of the answer or of the part of a batch.
    pub(crate) status: u16,
    /// The most specific code that is known, else the outermost one; empty where there is none.
    pub(crate) code: Box<str>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "status {}", self.status)?;
        if self.code.is_empty() { Ok(()) } else { write!(f, ", code {}", self.code) }
    }
}

impl std::error::Error for Refusal {}

impl Refusal {
    /// Returns what Graph refused, if it is a refusal of Graph that became this error.
    pub(crate) fn of(error: &Error) -> Option<&Self> {
        std::error::Error::source(error)?.downcast_ref()
    }

    /// Tells whether a refusal of a request that *carried a delta token* means that the token is of no use any more.
    ///
    /// Every documented and every observed form: 410, and as 400 or 404 the codes below. An expired link of users comes as
    /// `Request_UnsupportedQuery`, which is also the code of an ordinary malformed query: without a delta token it
    /// is not this.
    pub(crate) fn is_of_an_expired_token(&self) -> bool {
        match self.status {
            410 => true,
            400..=499 => [
                "syncStateNotFound",
                "syncStateInvalid",
                "resyncRequired",
                "resyncChangesApplyDifferences",
                "resyncChangesUploadDifferences",
                "resyncApplyDifferences",
                "resyncUploadDifferences",
                "Request_UnsupportedQuery",
                "Directory_ExpiredPageToken",
            ]
            .iter()
            .any(|code| code.eq_ignore_ascii_case(&self.code)),
            _ => false,
        }
    }

    /// Tells whether the position inside a listing was lost, so that the listing has to begin again.
    pub(crate) fn is_of_an_expired_page(&self) -> bool {
        self.status == 400 && known(&self.code) == Some(Known::ExpiredPage)
    }
}

/// Translates an answer that is no success.
///
/// `body` is the answer's own, or that of a part of a batch. Of it only the code and the request's id are looked at.
/// `now` is in milliseconds since 1970: `Retry-After` may be a date.
pub(crate) fn refused(operation: Operation, status: u16, headers: &impl Headers, body: &[u8], now: i64) -> Error {
    let told = Told::read(body);
    let wait = headers.header("retry-after").and_then(|text| parse_retry_after(text, now));
    let (kind, retry, message) = translate(operation, status, &told, wait);
    let mut error = Error::new(kind, message).with_retry(retry).with_context("status", status);
    if !told.code.is_empty() {
        error = error.with_context("code", &told.code);
    }
    if let Some(id) = headers.header("request-id").and_then(request_id).or(told.request_id) {
        error = error.with_context("request id", id);
    }
    error.with_source(Refusal { status, code: told.code })
}

/// What a code means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    Denied,
    NoLicence,
    BadToken,
    UnknownApplication,
    NotThere,
    NoMailbox,
    BadRequest,
    ExpiredPage,
    ExpiredToken,
    TooMany,
    Busy,
    Unsupported,
    Conflict,
}

/// Reads a code of Graph; case does not count, since services differ in it.
fn known(code: &str) -> Option<Known> {
    Some(match code.to_ascii_lowercase().as_str() {
        "authorization_requestdenied"
        | "accessdenied"
        | "erroraccessdenied"
        | "forbidden"
        | "authentication_msgraphpermissionmissing" => Known::Denied,
        "authentication_requestfromnonpremiumtenantorb2ctenant" | "authentication_requestfromunsupportedtenant" => {
            Known::NoLicence
        }
        "invalidauthenticationtoken"
        | "unauthenticated"
        | "authentication_expiredtoken"
        | "lifetimevalidationfailed" => Known::BadToken,
        "authorization_identitynotfound" => Known::UnknownApplication,
        "request_resourcenotfound"
        | "directory_objectnotfound"
        | "resourcenotfound"
        | "itemnotfound"
        | "erroritemnotfound"
        | "errorinvaliduser" => Known::NotThere,
        "mailboxnotenabledforrestapi"
        | "mailboxnotsupportedforrestapi"
        | "errornonexistentmailbox"
        | "mailboxnotfound" => Known::NoMailbox,
        "request_badrequest"
        | "badrequest"
        | "invalidrequest"
        | "request_unsupportedquery"
        | "request_invaliddatacontracturl" => Known::BadRequest,
        "directory_expiredpagetoken" => Known::ExpiredPage,
        "syncstatenotfound"
        | "syncstateinvalid"
        | "resyncrequired"
        | "resyncchangesapplydifferences"
        | "resyncchangesuploaddifferences"
        | "resyncapplydifferences"
        | "resyncuploaddifferences" => Known::ExpiredToken,
        "toomanyrequests" | "activitylimitreached" | "applicationthrottled" | "quotalimitreached" => Known::TooMany,
        "directory_replicaunavailable"
        | "directory_concurrencyviolation"
        | "directory_bindingredirection"
        | "directory_bindingredirectioninternalservererror"
        | "servicenotavailable"
        | "serviceunavailable"
        | "errorserverbusy"
        | "timeout" => Known::Busy,
        "notimplemented" | "notsupported" | "request_unsupported" => Known::Unsupported,
        "request_multipleobjectswithsamekeyvalue"
        | "namealreadyexists"
        | "resourcemodified"
        | "errorirresolvableconflict" => Known::Conflict,
        _ => return None,
    })
}

/// The one match over what Graph says.
///
/// A status that asks to come back later goes before the code, and the code before every other status.
fn translate(
    operation: Operation,
    status: u16,
    told: &Told,
    wait: Option<Duration>,
) -> (ErrorKind, Retry, &'static str) {
    let later = wait.map_or(Retry::Backoff, Retry::After);
    let denied =
        || ErrorKind::PermissionDenied { missing: operation.permissions().iter().map(ToString::to_string).collect() };
    match (status, known(&told.code)) {
        (429 | 509, _) => (ErrorKind::Throttled, later, "graph asks to be asked more slowly"),
        (501, _) | (400..=499, Some(Known::Unsupported)) => {
            (ErrorKind::Unsupported, Retry::Never, "graph does not offer this for this tenant")
        }
        (507, _) => (ErrorKind::Unavailable, Retry::Never, "graph has no room for this"),
        (500..=599, _) => (ErrorKind::Unavailable, later, "graph cannot answer now"),
        (400..=499, Some(Known::TooMany)) => (ErrorKind::Throttled, later, "graph asks to be asked more slowly"),
        (400..=499, Some(Known::Busy)) => (ErrorKind::Unavailable, later, "graph cannot answer now"),
        (400..=499, Some(Known::Denied)) => (
            denied(),
            Retry::Never,
            "graph refuses this to the application; add the permission and let an administrator consent to it",
        ),
        (400..=499, Some(Known::NoLicence)) => {
            (ErrorKind::Unsupported, Retry::Never, "the tenant has no licence for this; it needs entra id p1 or p2")
        }
        (400..=499, Some(Known::BadToken)) => {
            (ErrorKind::Unauthenticated, Retry::Never, "graph does not accept the token")
        }
        (400..=499, Some(Known::UnknownApplication)) => (
            ErrorKind::PermissionDenied { missing: Vec::new() },
            Retry::Backoff,
            "the tenant does not know the application yet; after a consent that takes some minutes",
        ),
        (400..=499, Some(Known::NotThere)) => (ErrorKind::NotFound, Retry::Never, "graph knows no such object"),
        (400..=499, Some(Known::NoMailbox)) => (ErrorKind::NotFound, Retry::Never, "the account has no mailbox"),
        (400..=499, Some(Known::ExpiredPage)) => {
            (ErrorKind::Conflict, Retry::Never, "graph forgot the position in the listing")
        }
        (400..=499, Some(Known::ExpiredToken)) | (410, _) => {
            (ErrorKind::Conflict, Retry::Never, "graph forgot since when changes were asked for")
        }
        (400..=499, Some(Known::Conflict)) | (409 | 412 | 423, _) => {
            (ErrorKind::Conflict, Retry::Never, "somebody else changes or holds it")
        }
        (400..=499, Some(Known::BadRequest)) => {
            (ErrorKind::Protocol, Retry::Never, "graph does not take the request as it is")
        }
        (401, None) if told.shape != Shape::Other => {
            (ErrorKind::Unauthenticated, Retry::Never, "graph does not accept the token")
        }
        (403, None) if told.shape != Shape::Other => (denied(), Retry::Never, "graph refuses this to the application"),
        (404, None) if told.shape == Shape::Graph => (ErrorKind::NotFound, Retry::Never, "graph knows no such object"),
        (407, _) => (ErrorKind::Config, Retry::Never, "the proxy asks for a name and a password"),
        (408 | 424 | 425, _) => (ErrorKind::Unavailable, later, "graph cannot answer now"),
        (300..=399, _) => (ErrorKind::Protocol, Retry::Never, "a redirection is not followed"),
        _ if told.shape == Shape::Other => (
            ErrorKind::Protocol,
            Retry::Never,
            "the answer is not one of graph; something in between may have given it",
        ),
        _ => (ErrorKind::Protocol, Retry::Never, "graph refuses the request for a reason that is not known here"),
    }
}

/// What the body of a refusal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// An error as Graph writes it.
    Graph,
    /// Nothing at all.
    Empty,
    /// Anything else: the page of a proxy, a text.
    Other,
}

/// What is read of the body of a refusal.
#[derive(Debug)]
struct Told {
    shape: Shape,
    code: Box<str>,
    request_id: Option<Uuid>,
}

#[derive(serde::Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    error: &'a RawValue,
}

/// One level of an error. What is not a text is taken as not there.
#[derive(serde::Deserialize, Default)]
#[serde(default)]
struct Level {
    code: serde_json::Value,
    #[serde(alias = "innererror")]
    #[serde(rename = "innerError")]
    inner: Option<Box<RawValue>>,
    #[serde(rename = "request-id", alias = "requestId")]
    request_id: serde_json::Value,
}

impl Told {
    /// Walks to the most specific code that is known; else takes the outermost one.
    fn read(body: &[u8]) -> Self {
        let none = |shape| Self { shape, code: Box::default(), request_id: None };
        if body.iter().all(u8::is_ascii_whitespace) {
            return none(Shape::Empty);
        }
        let Ok(Body { error }) = serde_json::from_slice::<Body<'_>>(body) else { return none(Shape::Other) };
        let mut told = none(Shape::Graph);
        let mut next = Some(error.to_owned());
        for depth in 0..DEEPEST {
            let Some(level) = next.take().and_then(|raw| serde_json::from_str::<Level>(raw.get()).ok()) else {
                if depth == 0 {
                    return none(Shape::Other);
                }
                break;
            };
            let code = level.code.as_str().filter(|code| is_code(code)).unwrap_or_default();
            if known(code).is_some() || told.code.is_empty() {
                told.code = code.into();
            }
            told.request_id = level.request_id.as_str().and_then(request_id).or(told.request_id);
            next = level.inner;
        }
        told
    }
}

/// Tells whether a text can be a code: nothing that could carry a name, a token or an address.
fn is_code(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn request_id(text: &str) -> Option<Uuid> {
    Uuid::try_parse(text).ok()
}

#[cfg(test)]
mod tests;
