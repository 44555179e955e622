//! How an account signs in, and what a connection remembers of it; it knows no recipient.

use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, StatusCode, header};

use super::account::Account;
use super::organisation::{Organisation, locked};
use super::settings::Settings;
use crate::http::{Reply, Request};

/// A client's connection.
#[derive(Debug)]
pub struct Connection {
    number: u64,
}

impl Connection {
    /// A connection without TLS.
    pub fn plain() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self { number: NEXT.fetch_add(1, Ordering::Relaxed) }
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }
}

/// What became of a sign-in.
pub(crate) enum Signed {
    In(Account),
    Out(Reply),
}

impl Organisation {
    pub(crate) fn sign_in(&self, connection: &Connection, request: &Request, settings: &Settings) -> Signed {
        let authorization = request.header("authorization").unwrap_or_default();
        let (scheme, value) = authorization.split_once(' ').unwrap_or((authorization, ""));
        let account = match scheme.to_ascii_lowercase().as_str() {
            "basic" if settings.basic => self.basic(value.trim()),
            _ => None,
        };
        match account {
            Some(account) => Signed::In(account),
            None => Signed::Out(self.refuse_sign_in(connection, settings)),
        }
    }

    fn basic(&self, value: &str) -> Option<Account> {
        // Clients write names and passwords in either encoding, and the server tries both.
        let decoded = String::from_utf8(STANDARD.decode(value).ok()?)
            .unwrap_or_else(|latin| latin.as_bytes().iter().map(|byte| char::from(*byte)).collect());
        let (name, password) = decoded.split_once(':')?;
        let accounts = locked(&self.inner.accounts);
        let known = accounts.iter().find(|account| account.credentials.is(name))?;
        (known.credentials.password == password).then(|| known.clone())
    }

    /// 401 with everything that is offered.
    #[expect(clippy::unused_self, reason = "an account's state will decide")]
    pub(crate) fn refuse_sign_in(&self, _connection: &Connection, settings: &Settings) -> Reply {
        let mut reply = Reply::html(
            StatusCode::UNAUTHORIZED,
            "<html><body><h1>401 - Unauthorized: Access is denied due to invalid credentials.</h1></body></html>",
        );
        let mut offer = |scheme: &'static str| {
            reply.headers.append(header::WWW_AUTHENTICATE, HeaderValue::from_static(scheme));
        };
        if settings.basic {
            offer("Basic realm=\"exchange\"");
        }
        reply
    }
}
