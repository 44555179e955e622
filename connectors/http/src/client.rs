//! One request, one answer. It must not know when a request is repeated: that is the gate's.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use reqwest::header::AUTHORIZATION;
use reqwest::{Request, Response, StatusCode};
use rustls::ClientConfig;
use tenantry::{Error, Result};

use crate::answer::Answer;
use crate::failure;
use crate::origin::Origin;
use crate::settings::HttpSettings;
use crate::tokens::{Lease, Tokens};
use crate::trust;

/// So much memory at most is taken for a body before any of it has come.
const FIRST_BYTES: u64 = 1 << 20;

/// Sends requests; a clone is the same client with the same connections.
#[derive(Debug, Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    settings: HttpSettings,
    tls: ClientConfig,
    connections: Mutex<Connections>,
}

/// A pool of connections, which is left when a server says 503 on one of them.
#[derive(Debug, Clone)]
struct Connections {
    number: u64,
    client: reqwest::Client,
}

impl Client {
    /// Makes a client.
    ///
    /// # Errors
    /// [`Config`](tenantry::ErrorKind::Config) if authorities or proxy cannot be used.
    pub fn new(settings: &HttpSettings) -> Result<Self> {
        let tls = trust::client_config(settings.ca_pem.as_deref())?;
        let connections = Mutex::new(Connections { number: 0, client: build(settings, &tls)? });
        Ok(Self { inner: Arc::new(Inner { settings: settings.clone(), tls, connections }) })
    }

    /// Sends one request to one origin and reads the answer whole, whatever its status.
    ///
    /// Redirects are not followed: the call behind one would be counted by nobody, and no directory needs it.
    ///
    /// # Errors
    /// [`Protocol`](tenantry::ErrorKind::Protocol) for an address at another origin (nothing is sent then), a redirect, a
    /// body that is too large or cannot be unpacked; [`Unavailable`](tenantry::ErrorKind::Unavailable) for a server that
    /// is not reached, does not answer in time or closes early; [`Config`](tenantry::ErrorKind::Config) for a certificate
    /// that is not trusted.
    ///
    /// # Cancel safety
    /// Dropping the future ends the request. Whether the server carries it out is not known then.
    pub async fn send(&self, origin: &Origin, request: Request) -> Result<Answer> {
        origin.allows(request.url())?;
        let method = request.method().clone();
        let connections = self.connections();
        let sent = connections.client.execute(request).await;
        let response = sent.map_err(|error| failure::transport(error, origin))?;
        let status = response.status();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            self.leave(&connections);
        }
        if status.is_redirection() && status != StatusCode::NOT_MODIFIED {
            return Err(redirected(&response, origin));
        }
        let headers = response.headers().clone();
        let body = self.read(response, origin).await?;
        tracing::debug!(%method, host = origin.host(), status = status.as_u16(), bytes = body.len(), "answer");
        Ok(Answer { status, headers, body })
    }

    /// Sends one request with a token; if the server refuses the token, a new one is fetched and the request sent once
    /// more. A token that somebody else renewed meanwhile is not renewed again.
    ///
    /// # Errors
    /// As [`send`](Self::send), and those of the token's source. A second refusal is an answer.
    ///
    /// # Cancel safety
    /// As [`send`](Self::send); a token that others wait for is fetched nevertheless.
    pub async fn send_with(&self, origin: &Origin, request: Request, tokens: &Tokens) -> Result<Answer> {
        // Before a token is fetched for nothing.
        origin.allows(request.url())?;
        let again = request.try_clone();
        let lease = tokens.lease().await?;
        let answer = self.send(origin, signed(request, &lease)).await?;
        if answer.status != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        // A body that is a stream can be sent once only.
        let Some(again) = again else { return Ok(answer) };
        tokens.refused(&lease);
        let lease = tokens.lease().await?;
        self.send(origin, signed(again, &lease)).await
    }

    async fn read(&self, mut response: Response, origin: &Origin) -> Result<Bytes> {
        let max = self.inner.settings.max_body;
        let too_large = || {
            Error::protocol("the answer is larger than is read; ask for smaller pages")
                .with_context("host", origin)
                .with_context("bytes at most", max)
        };
        let declared = response.content_length();
        if declared.is_some_and(|length| length > max as u64) {
            return Err(too_large());
        }
        let mut body: Option<BytesMut> = None;
        // What comes here is unpacked already, a piece at a time: the cap holds for what a small body unpacks to.
        while let Some(piece) = response.chunk().await.map_err(|error| failure::transport(error, origin))? {
            let body = body.get_or_insert_with(|| {
                BytesMut::with_capacity(usize::try_from(declared.unwrap_or(0).min(FIRST_BYTES)).unwrap_or(0))
            });
            if piece.len() > max - body.len() {
                return Err(too_large());
            }
            body.extend_from_slice(&piece);
        }
        Ok(body.map(BytesMut::freeze).unwrap_or_default())
    }

    fn connections(&self) -> Connections {
        self.inner.connections.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lets later requests make new connections, which a balancer may lead to a healthier server. However many requests
    /// the old ones refuse, they are left once.
    fn leave(&self, used: &Connections) {
        // The settings were good when the client was made; should they not be now, the old connections do.
        let Ok(client) = build(&self.inner.settings, &self.inner.tls) else { return };
        let mut current = self.inner.connections.lock().unwrap_or_else(PoisonError::into_inner);
        if current.number == used.number {
            *current = Connections { number: used.number + 1, client };
        }
    }
}

fn build(settings: &HttpSettings, tls: &ClientConfig) -> Result<reqwest::Client> {
    let builder = reqwest::Client::builder()
        .use_preconfigured_tls(tls.clone())
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .user_agent(concat!("tenantry/", env!("CARGO_PKG_VERSION")))
        .timeout(settings.timeout)
        .connect_timeout(settings.connect_timeout)
        // What the environment says about proxies is not part of the configuration.
        .no_proxy();
    let builder = match &settings.proxy {
        Some(proxy) => builder.proxy(proxy.to_reqwest()?),
        None => builder,
    };
    builder.build().map_err(|error| Error::config("the HTTP client cannot be set up").with_source(error.without_url()))
}

fn signed(mut request: Request, lease: &Lease) -> Request {
    request.headers_mut().insert(AUTHORIZATION, lease.header());
    request
}

fn redirected(response: &Response, origin: &Origin) -> Error {
    let location = response.headers().get(reqwest::header::LOCATION).and_then(|value| value.to_str().ok());
    let target = location.and_then(|text| response.url().join(text).ok());
    let target = target.as_ref().and_then(|url| url.host_str()).unwrap_or("nowhere").to_owned();
    Error::protocol("the server redirects, which is not followed; configure the address that it redirects to")
        .with_context("status", response.status().as_u16())
        .with_context("host", origin)
        .with_context("redirects to", target)
}
