//! What all fake directories over HTTP share: a request, a reply and the servers that carry them; it knows no directory.
//!
//! A fake implements [`Handler`]. [`HttpServer`] serves it on a free loopback port, fast enough for benchmarks, and
//! can cut connections; [`Responder`] hangs the same handler behind wiremock.

mod mock;
mod server;

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use hyper::body::Bytes;

pub use mock::Responder;
pub use server::HttpServer;
pub(crate) use server::{Answer, Cut, answer, wait};

/// What was asked for, whole.
#[derive(Debug, Clone)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The path as sent, without the query.
    pub path: String,
    /// The query as sent, without `?`; empty when there is none.
    pub query: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// Scheme and authority under which the client reached the server, such as `http://127.0.0.1:4711`.
    pub origin: String,
}

impl Request {
    /// Returns a header's text; absent when it is missing or not text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Returns the whole address.
    pub fn url(&self) -> String {
        let mark = if self.query.is_empty() { "" } else { "?" };
        format!("{}{}{mark}{}", self.origin, self.path, self.query)
    }
}

/// How the connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ending {
    /// The whole answer is sent.
    #[default]
    Whole,
    /// The connection is cut before any byte of the answer.
    CutBefore,
    /// The connection is cut after half of the announced body.
    CutInside,
    /// No answer ever comes; the connection stays.
    Never,
}

/// What is answered.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// How long the answer takes.
    pub delay: Duration,
    /// How the connection ends.
    pub ending: Ending,
}

impl Reply {
    /// Makes an answer without a body.
    pub fn empty(status: StatusCode) -> Self {
        Self { status, headers: HeaderMap::new(), body: Bytes::new(), delay: Duration::ZERO, ending: Ending::Whole }
    }

    /// Makes an answer of JSON text.
    pub fn json(status: StatusCode, body: impl Into<Bytes>) -> Self {
        let mut reply = Self::empty(status);
        reply.body = body.into();
        reply.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json;charset=utf-8"));
        reply
    }

    /// Makes an answer of HTML, as gateways in between give it.
    pub fn html(status: StatusCode, body: impl Into<Bytes>) -> Self {
        let mut reply = Self::empty(status);
        reply.body = body.into();
        reply.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html"));
        reply
    }

    /// Adds a header; one that cannot be written is left out.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(HeaderName::from_static(name), value);
        }
        self
    }
}

/// Something that answers requests.
pub trait Handler: Send + Sync + 'static {
    /// Answers a request.
    ///
    /// # Behaviour
    /// - It never blocks on anything but its own state: it is called on the server's threads.
    fn handle(&self, request: &Request) -> Reply;
}
