//! One kept connection: for logins that belong to a connection. It must not know how anybody signs in.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use reqwest::header::{CONTENT_LENGTH, HOST, HeaderValue, LOCATION, USER_AGENT};
use reqwest::{Request, StatusCode};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tenantry::{Error, ErrorKind, Result, Retry};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use url::Url;

use crate::answer::Answer;
use crate::failure::link;
use crate::origin::Origin;
use crate::settings::{HttpSettings, Proxy};
use crate::{trust, tunnel};

/// Makes connections that are kept by whoever asked for them.
///
/// A [`Client`](crate::Client) has a pool, out of which no request can choose. Where a login is good for one connection
/// only, as NTLM's is, each step of it and each request behind it has to go over the same one.
#[derive(Clone)]
pub struct Dialer {
    settings: Arc<HttpSettings>,
    tls: Arc<ClientConfig>,
}

impl Dialer {
    /// Takes the settings of an endpoint.
    ///
    /// # Errors
    /// [`Config`](ErrorKind::Config) if its authorities cannot be used.
    pub fn new(settings: &HttpSettings) -> Result<Self> {
        let mut tls = trust::client_config(settings.ca_pem.as_deref())?;
        // Over HTTP/2 no request belongs to a connection.
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { settings: Arc::new(settings.clone()), tls: Arc::new(tls) })
    }

    /// Makes a connection.
    ///
    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable) for a server that is not reached in time, [`Config`](ErrorKind::Config)
    /// for a certificate that is not trusted and a proxy that cannot be used.
    ///
    /// # Cancel safety
    /// Dropping the future ends the connection.
    pub async fn dial(&self, origin: &Origin) -> Result<Line> {
        let named = |error: Error| error.with_context("host", origin);
        match within(self.settings.connect_timeout, "connecting took too long", Box::pin(self.connect(origin))).await {
            Ok(line) => Ok(line),
            Err(error) => Err(named(error)),
        }
    }

    async fn connect(&self, origin: &Origin) -> Result<Line> {
        let stream = match self.settings.proxy.as_ref().filter(|_| !origin.is_loopback()) {
            None => tcp(origin.host(), origin.port()).await?,
            Some(_) if !origin.is_tls() => {
                return Err(Error::config(
                    "a login that belongs to a connection does not pass a proxy without TLS; use https",
                ));
            }
            Some(proxy) => through(proxy, origin).await?,
        };
        // Small requests and small answers, one behind the other: waiting to fill packets doubles their time.
        let _ = stream.set_nodelay(true);
        if !origin.is_tls() {
            return self.line(origin, stream, None).await;
        }
        let name = ServerName::try_from(bare(origin.host()).to_owned())
            .map_err(|_| Error::config("the host's name cannot be that of a certificate"))?;
        let connector = TlsConnector::from(Arc::clone(&self.tls));
        let stream = connector.connect(name, stream).await.map_err(|error| io(&error))?;
        let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
        let certificate = certificate.map(|certificate| Bytes::copy_from_slice(certificate));
        self.line(origin, stream, certificate).await
    }

    async fn line<S>(&self, origin: &Origin, stream: S, certificate: Option<Bytes>) -> Result<Line>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| failed(&error))?;
        let mut driver = JoinSet::new();
        // It ends with the line: the set aborts what is in it when it is dropped.
        driver.spawn(async move {
            let _ = connection.await;
        });
        Ok(Line {
            origin: origin.clone(),
            settings: Arc::clone(&self.settings),
            sender,
            certificate,
            usable: true,
            _driver: driver,
        })
    }
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialer").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// One connection to one origin, HTTP/1.1, a request at a time.
pub struct Line {
    origin: Origin,
    settings: Arc<HttpSettings>,
    sender: http1::SendRequest<Full<Bytes>>,
    certificate: Option<Bytes>,
    /// No request failed or was dropped on it.
    usable: bool,
    _driver: JoinSet<()>,
}

impl Line {
    /// Returns the certificate that the server showed, as DER; `None` without TLS.
    pub fn certificate(&self) -> Option<&[u8]> {
        self.certificate.as_deref()
    }

    /// Tells whether another request can be sent. The server may close the connection nevertheless.
    pub fn is_open(&self) -> bool {
        self.usable && !self.sender.is_closed()
    }

    /// Sends one request and reads the answer whole, whatever its status. Redirects are not followed. The answer is
    /// never packed, since that is not asked for.
    ///
    /// # Errors
    /// As those of [`Client::send`](crate::Client::send). The line is closed behind an error.
    ///
    /// # Cancel safety
    /// Dropping the future ends the connection: what would come on it is the answer to another question.
    pub async fn send(&mut self, request: Request) -> Result<Answer> {
        self.origin.allows(request.url())?;
        if !self.is_open() {
            return Err(unavailable("the server closed the connection").with_context("host", &self.origin));
        }
        self.usable = false;
        let timeout = self.settings.timeout;
        let answer = within(timeout, "the answer took too long", self.exchange(request)).await;
        match answer {
            Ok((answer, goes_on)) => {
                self.usable = goes_on;
                Ok(answer)
            }
            Err(error) => Err(error.with_context("host", &self.origin)),
        }
    }

    async fn exchange(&mut self, request: Request) -> Result<(Answer, bool)> {
        let (method, url) = (request.method().clone(), request.url().clone());
        let request = assemble(&request)?;
        self.sender.ready().await.map_err(|error| failed(&error))?;
        let response = self.sender.send_request(request).await.map_err(|error| failed(&error))?;
        let (parts, mut body) = response.into_parts();
        let max = self.settings.max_body;
        let too_large = || {
            Error::protocol("the answer is larger than is read; ask for smaller pages")
                .with_context("bytes at most", max)
        };
        let declared = parts.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        if declared.is_some_and(|length| length > max as u64) {
            return Err(too_large());
        }
        let mut read = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let Ok(piece) = frame.map_err(|error| failed(&error))?.into_data() else { continue };
            if piece.len() > max - read.len() {
                return Err(too_large());
            }
            read.extend_from_slice(&piece);
        }
        let status = parts.status;
        if status.is_redirection() && status != StatusCode::NOT_MODIFIED {
            return Err(redirected(status, &url, parts.headers.get(LOCATION)));
        }
        tracing::debug!(%method, host = self.origin.host(), status = status.as_u16(), bytes = read.len(), "answer");
        let goes_on =
            !parts.headers.get_all("connection").iter().any(|value| value.as_bytes().eq_ignore_ascii_case(b"close"));
        Ok((Answer { status, headers: parts.headers, body: read.freeze() }, goes_on))
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line").field("origin", &self.origin).field("open", &self.is_open()).finish_non_exhaustive()
    }
}

/// Puts a request into the form in which it goes over a connection: the path alone, the host as a header.
fn assemble(request: &Request) -> Result<hyper::Request<Full<Bytes>>> {
    let wrong = || Error::protocol("the request cannot be put together");
    let url = request.url();
    let path = &url[url::Position::BeforePath..url::Position::AfterQuery];
    let host = &url[url::Position::BeforeHost..url::Position::AfterPort];
    let host = HeaderValue::from_str(host).map_err(|_| wrong())?;
    let body = match request.body() {
        None => Bytes::new(),
        Some(body) => Bytes::copy_from_slice(body.as_bytes().ok_or_else(wrong)?),
    };
    let mut assembled = hyper::Request::new(Full::new(body));
    *assembled.method_mut() = request.method().clone();
    *assembled.uri_mut() = path.parse().map_err(|_| wrong())?;
    *assembled.headers_mut() = request.headers().clone();
    assembled.headers_mut().insert(HOST, host);
    let agent = HeaderValue::from_static(concat!("tenantry/", env!("CARGO_PKG_VERSION")));
    assembled.headers_mut().entry(USER_AGENT).or_insert(agent);
    Ok(assembled)
}

async fn within<T>(limit: Duration, message: &'static str, work: impl Future<Output = Result<T>>) -> Result<T> {
    // How long a server may be silent is real time, like reqwest's own limits, and none of the gate's.
    #[allow(clippy::disallowed_methods)]
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| Err(unavailable(message)))
}

async fn tcp(host: &str, port: u16) -> Result<TcpStream> {
    TcpStream::connect((bare(host), port)).await.map_err(|error| io(&error))
}

async fn through(proxy: &Proxy, origin: &Origin) -> Result<TcpStream> {
    let (host, port) = proxy.place()?;
    let stream = tcp(&host, port).await?;
    tunnel::open(stream, origin, proxy.authorization()).await
}

/// Returns the host without the brackets of an IPv6 address.
fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

fn redirected(status: StatusCode, url: &Url, location: Option<&HeaderValue>) -> Error {
    let target = location.and_then(|value| value.to_str().ok()).and_then(|text| url.join(text).ok());
    let target = target.as_ref().and_then(Url::host_str).unwrap_or("nowhere").to_owned();
    Error::protocol("the server redirects, which is not followed; configure the address that it redirects to")
        .with_context("status", status.as_u16())
        .with_context("redirects to", target)
}

fn failed(error: &hyper::Error) -> Error {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(current) = cause {
        if let Some(known) = link(current) {
            return known;
        }
        cause = current.source();
    }
    unavailable("the connection failed")
}

/// What went wrong while a connection was made.
pub(crate) fn io(error: &std::io::Error) -> Error {
    link(error).unwrap_or_else(|| unavailable("the server cannot be reached"))
}

fn unavailable(message: &'static str) -> Error {
    Error::new(ErrorKind::Unavailable, message).with_retry(Retry::Backoff)
}
