//! An answer that was read whole. It must not know what a provider means by it.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use serde::Deserialize;
use serde_json::error::Category;
use tenantry::gate::parse_retry_after;
use tenantry::{Error, ErrorKind, Result, Retry};

/// What a server answered: any status but a redirect, and the whole body, unpacked.
#[derive(Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// Returns the text of a header, the first one of its name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Returns how long `Retry-After` asks to wait, if it says so in a way that can be understood.
    pub fn retry_after(&self, now_unix_millis: i64) -> Option<Duration> {
        parse_retry_after(self.headers.get(RETRY_AFTER)?.to_str().ok()?, now_unix_millis)
    }

    /// Reads the body as JSON.
    ///
    /// # Errors
    /// [`Protocol`](ErrorKind::Protocol) with content type and position, and nothing of the content. Where the body is cut
    /// off, or is the HTML page of something in between, trying again may help.
    pub fn json<'a, T: Deserialize<'a>>(&'a self) -> Result<T> {
        serde_json::from_slice(&self.body).map_err(|error| {
            let (message, retry) = match error.classify() {
                _ if self.is_html() => ("the answer is an HTML page instead of JSON", Retry::Backoff),
                Category::Eof => ("the answer's JSON is cut off", Retry::Backoff),
                Category::Data => ("the answer's JSON is not of the expected form", Retry::Never),
                Category::Syntax | Category::Io => ("the answer is not JSON", Retry::Never),
            };
            Error::protocol(message)
                .with_retry(retry)
                .with_context("status", self.status.as_u16())
                .with_context("content type", self.content_type())
                .with_context("line", error.line())
                .with_context("column", error.column())
                .with_context("bytes", self.body.len())
        })
    }

    /// Tells whether the body is an HTML page: something in between answered, or an error page of the provider's.
    pub fn is_html(&self) -> bool {
        let begins = |with: &[u8]| {
            let body = self.body.trim_ascii_start();
            body.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with))
        };
        self.content_type() == "text/html" || begins(b"<!doctype html") || begins(b"<html")
    }

    /// Returns the error that the status alone means, for where the provider's own codes say nothing more precise.
    ///
    /// 429 is throttled, 502, 503, 504 and other failures of the server are unavailable; both as long as `Retry-After`
    /// says. 401 is a refused login, 403 a missing right, 404 and 410 not found.
    pub fn refusal(&self, now_unix_millis: i64) -> Error {
        let later = self.retry_after(now_unix_millis).map_or(Retry::Backoff, Retry::After);
        let error = match self.status.as_u16() {
            401 => Error::new(ErrorKind::Unauthenticated, "the server does not accept the login"),
            403 => Error::new(ErrorKind::PermissionDenied { missing: Vec::new() }, "the server does not allow it"),
            404 | 410 => Error::new(ErrorKind::NotFound, "the server does not know what was asked for"),
            409 | 412 => Error::new(ErrorKind::Conflict, "somebody else changed it at the same time"),
            429 => Error::new(ErrorKind::Throttled, "the server says that it is asked too fast").with_retry(later),
            408 | 500..=599 => Error::new(ErrorKind::Unavailable, "the server cannot answer now").with_retry(later),
            _ => Error::protocol("the server refuses the request"),
        };
        error.with_context("status", self.status.as_u16())
    }

    /// Returns the content type without its parameters, as far as it is one.
    fn content_type(&self) -> String {
        let text = self.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("none");
        let essence = text.split(';').next().unwrap_or_default().trim();
        let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '+' | '-');
        if essence.len() <= 60 && essence.chars().all(known) { essence.to_ascii_lowercase() } else { "odd".to_owned() }
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status.as_u16())
            .field("content_type", &self.content_type())
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}
