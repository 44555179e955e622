//! The running server: the service behind a socket; it knows no resource.

use std::fmt;
use std::sync::Arc;

use hyper::body::Bytes;

use super::account::Account;
use super::faults::Faults;
use super::log::RequestLog;
use super::service::{Outcome, Service};
use super::settings::Settings;
use crate::http::{Ending, Handler, HttpServer, Reply, Request};

/// A fake of the Admin SDK APIs and of the token endpoint on a loopback port of its own; dropping it ends it.
pub struct FakeGoogle {
    service: Service,
    server: HttpServer,
}

impl fmt::Debug for FakeGoogle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeGoogle").field("url", &self.url()).finish_non_exhaustive()
    }
}

impl Handler for Service {
    fn handle(&self, request: &Request) -> Reply {
        let target =
            if request.query.is_empty() { request.path.clone() } else { format!("{}?{}", request.path, request.query) };
        let mut read = super::Request::new(request.body.to_vec());
        *read.method_mut() = request.method.clone();
        *read.headers_mut() = request.headers.clone();
        if let Ok(uri) = target.parse() {
            *read.uri_mut() = uri;
        }
        let replied = self.reply(&request.origin, &read);
        let mut reply = match replied.outcome {
            Outcome::Answer(answer) => {
                let (parts, body) = answer.into_parts();
                let mut reply = Reply::empty(parts.status);
                reply.headers = parts.headers;
                reply.body = Bytes::from(body);
                reply
            }
            Outcome::Cut => Reply { ending: Ending::CutBefore, ..Reply::empty(http::StatusCode::OK) },
            Outcome::Hang => Reply { ending: Ending::Never, ..Reply::empty(http::StatusCode::OK) },
        };
        reply.delay = replied.after;
        reply
    }
}

impl FakeGoogle {
    /// Starts a server over an account, which stays editable through its other handles. The account should have the
    /// time of this machine, because clients sign their assertions by it.
    ///
    /// # Panics
    /// When no loopback port can be had.
    pub async fn start(account: Account) -> Self {
        Self::start_with(account, Settings::default()).await
    }

    /// Starts a server with other limits and policies.
    ///
    /// # Panics
    /// When no loopback port can be had.
    pub async fn start_with(account: Account, settings: Settings) -> Self {
        let service = Service::new(account, settings);
        let server = HttpServer::start(Arc::new(service.clone())).await;
        Self { service, server }
    }

    /// Starts a server on a port of one's choice.
    ///
    /// # Errors
    /// When the port cannot be had.
    pub async fn start_at(account: Account, settings: Settings, port: u16) -> std::io::Result<Self> {
        let service = Service::new(account, settings);
        let server = HttpServer::start_at(Arc::new(service.clone()), port).await?;
        Ok(Self { service, server })
    }

    /// Returns the address, such as `http://127.0.0.1:4711`.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Returns the service account's key file for this server.
    pub fn key_file(&self) -> String {
        self.service.key_file(&self.url())
    }

    /// Returns a key file with a private key that belongs to nobody.
    pub fn wrong_key_file(&self) -> String {
        self.service.wrong_key_file(&self.url())
    }

    /// Returns what is behind the socket: settings, tokens.
    pub fn service(&self) -> &Service {
        &self.service
    }

    /// Returns a handle to the account.
    pub fn account(&self) -> Account {
        self.service.account()
    }

    /// Returns a handle to the faults.
    pub fn faults(&self) -> Faults {
        self.service.faults()
    }

    /// Returns a handle to the record of requests.
    pub fn log(&self) -> RequestLog {
        self.service.log()
    }

    /// Stops the server and ends every connection; returns when the sockets are closed.
    pub async fn shutdown(self) {
        self.server.shutdown().await;
    }
}
