//! What went wrong on the way, as an error of ours. It must not know any provider, and shows no address.

use std::error::Error as StdError;
use std::io;

use tenantry::{Error, ErrorKind, Retry};

use crate::origin::Origin;
use crate::trust;

/// Translates reqwest's error about a request to this origin.
pub(crate) fn transport(error: reqwest::Error, origin: &Origin) -> Error {
    // The address in it may hold a delta token.
    let error = error.without_url();
    let translated = translate(&error).with_context("host", origin);
    // Texts about a body or a header may quote it; those about connections do not.
    if error.is_connect() || error.is_timeout() { translated.with_source(error) } else { translated }
}

fn translate(error: &reqwest::Error) -> Error {
    if error.is_builder() {
        return Error::protocol("the request cannot be put together");
    }
    if error.is_timeout() {
        let what = if error.is_connect() { "connecting took too long" } else { "the answer took too long" };
        return unavailable(what);
    }
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(link) = cause {
        if let Some(known) = self::link(link) {
            return known;
        }
        cause = link.source();
    }
    match (error.is_connect(), error.is_decode()) {
        (true, _) if says(error, "proxy authorization required") => {
            Error::config("the proxy asks for a login; set its user and password")
        }
        (true, _) if says(error, "dns error") => unavailable("the host's name cannot be resolved"),
        (true, _) => unavailable("the server cannot be reached"),
        (_, true) => Error::protocol("the answer cannot be unpacked").with_retry(Retry::Backoff),
        _ => unavailable("the connection failed"),
    }
}

/// Recognises one link of the chain of causes by its type.
pub(crate) fn link(link: &(dyn StdError + 'static)) -> Option<Error> {
    if let Some(error) = link.downcast_ref::<rustls::Error>() {
        return Some(trust::refused(error));
    }
    if let Some(error) = link.downcast_ref::<io::Error>() {
        // What is wrapped in it is not in the chain of sources.
        if let Some(inner) = error.get_ref()
            && let Some(known) = self::link(inner)
        {
            return Some(known);
        }
        return match error.kind() {
            io::ErrorKind::ConnectionRefused => Some(unavailable("the server refuses the connection")),
            io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe => {
                Some(unavailable("the server closed the connection"))
            }
            io::ErrorKind::UnexpectedEof => Some(unavailable("the answer ended early")),
            io::ErrorKind::TimedOut => Some(unavailable("the server does not answer")),
            _ => None,
        };
    }
    let error = link.downcast_ref::<hyper::Error>()?;
    if error.is_parse() {
        return Some(Error::protocol("the answer is not HTTP").with_retry(Retry::Backoff));
    }
    if error.is_incomplete_message() {
        return Some(unavailable("the answer ended early"));
    }
    None
}

fn unavailable(message: &'static str) -> Error {
    Error::new(ErrorKind::Unavailable, message).with_retry(Retry::Backoff)
}

/// Looks for words in the chain of causes where there is no type to look for.
fn says(error: &reqwest::Error, words: &str) -> bool {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(link) = cause {
        if link.to_string().contains(words) {
            return true;
        }
        cause = link.source();
    }
    false
}
