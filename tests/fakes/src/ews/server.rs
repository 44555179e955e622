//! The running server: plain and over TLS, each connection remembered; it knows no recipient.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use http::{Response, header};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use ring::digest::{SHA256, SHA384, digest};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use super::faults::Faults;
use super::log::RequestLog;
use super::organisation::Organisation;
use super::settings::CertificateSignature;
use super::sign_in::Connection;
use crate::http::{Answer, Cut, Request, answer, wait};
use crate::tls;

/// An organisation behind loopback ports of its own, one plain and one with TLS; dropping it ends every connection.
pub struct FakeEws {
    organisation: Organisation,
    plain: SocketAddr,
    secure: SocketAddr,
    ca_pem: String,
    acceptor: JoinHandle<()>,
}

impl fmt::Debug for FakeEws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeEws").field("plain", &self.plain).field("secure", &self.secure).finish_non_exhaustive()
    }
}

impl FakeEws {
    /// Serves an organisation, which stays editable through its other handles.
    ///
    /// # Panics
    /// When no loopback port can be had.
    pub async fn start(organisation: Organisation) -> Self {
        Self::start_at(organisation, 0, 0).await.expect("a loopback port is free")
    }

    /// Serves an organisation on these ports of 127.0.0.1, the second with TLS; 0 takes a free one.
    ///
    /// # Errors
    /// When a port cannot be had.
    pub async fn start_at(organisation: Organisation, plain: u16, secure: u16) -> std::io::Result<Self> {
        let names = ["127.0.0.1".to_owned(), "localhost".to_owned()];
        let signature = organisation.settings().certificate;
        let algorithm = match signature {
            CertificateSignature::Sha256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            CertificateSignature::Sha384 => &rcgen::PKCS_ECDSA_P384_SHA384,
        };
        let identity = tls::identity_by(&names, algorithm).map_err(|error| std::io::Error::other(error.to_string()))?;
        let plain = TcpListener::bind(("127.0.0.1", plain)).await?;
        let secure = TcpListener::bind(("127.0.0.1", secure)).await?;
        let addresses = (plain.local_addr()?, secure.local_addr()?);
        // RFC 5929: the certificate is hashed as it is signed.
        let hash = match signature {
            CertificateSignature::Sha256 => digest(&SHA256, &identity.certificate),
            CertificateSignature::Sha384 => digest(&SHA384, &identity.certificate),
        };
        let binding = [b"tls-server-end-point:", hash.as_ref()].concat();
        let tls = Tls { acceptor: identity.acceptor, binding: binding.into() };
        let acceptor = tokio::spawn(accept(organisation.clone(), plain, secure, tls));
        Ok(Self { organisation, plain: addresses.0, secure: addresses.1, ca_pem: identity.ca_pem, acceptor })
    }

    /// Returns the plain address, such as `http://127.0.0.1:4711/EWS/Exchange.asmx`.
    pub fn url(&self) -> String {
        format!("http://{}/EWS/Exchange.asmx", self.plain)
    }

    /// Returns the address with TLS.
    pub fn https_url(&self) -> String {
        format!("https://{}/EWS/Exchange.asmx", self.secure)
    }

    /// Returns the certificate of the authority that signed the server's.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// Returns a handle to the organisation.
    pub fn organisation(&self) -> Organisation {
        self.organisation.clone()
    }

    /// Returns a handle to the faults.
    pub fn faults(&self) -> Faults {
        self.organisation.faults()
    }

    /// Returns a handle to the record of requests.
    pub fn log(&self) -> RequestLog {
        self.organisation.log()
    }

    /// Stops the server and ends every connection; returns when the sockets are closed.
    pub async fn shutdown(mut self) {
        self.acceptor.abort();
        // The task's end by abortion is the very thing that is waited for.
        let _ = (&mut self.acceptor).await;
    }
}

impl Drop for FakeEws {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

#[derive(Clone)]
struct Tls {
    acceptor: TlsAcceptor,
    binding: Arc<[u8]>,
}

async fn accept(organisation: Organisation, plain: TcpListener, secure: TcpListener, tls: Tls) {
    // Connections end with this set, which ends with this task.
    let mut connections = JoinSet::new();
    loop {
        let (accepted, tls) = tokio::select! {
            accepted = plain.accept() => (accepted, None),
            accepted = secure.accept() => (accepted, Some(tls.clone())),
        };
        let Ok((stream, _)) = accepted else { continue };
        connections.spawn(open(organisation.clone(), stream, tls));
        while connections.try_join_next().is_some() {}
    }
}

async fn open(organisation: Organisation, stream: TcpStream, tls: Option<Tls>) {
    // A small answer must not wait for the acknowledgement of the one before.
    let _ = stream.set_nodelay(true);
    let Ok(local) = stream.local_addr() else { return };
    match tls {
        None => serve(organisation, Connection::plain(), stream, format!("http://{local}")).await,
        Some(tls) => {
            // A client that trusts another authority goes away here.
            let Ok(stream) = tls.acceptor.accept(stream).await else { return };
            serve(organisation, Connection::bound(&tls.binding), stream, format!("https://{local}")).await;
        }
    }
}

async fn serve<S>(organisation: Organisation, connection: Connection, stream: S, origin: String)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (organisation, connection, origin) = (&organisation, &connection, &origin);
    let each = service_fn(move |request| respond(organisation, connection, request, origin));
    // A client that goes away, and a connection that is cut on purpose, end here alike.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), each).await;
}

async fn respond(
    organisation: &Organisation,
    connection: &Connection,
    request: http::Request<Incoming>,
    origin: &str,
) -> Result<Response<Answer>, Cut> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Cut)?.to_bytes();
    let scheme = origin.split_once("://").map_or("http", |(scheme, _)| scheme);
    let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let request = Request {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        origin: host.map_or_else(|| origin.to_owned(), |host| format!("{scheme}://{host}")),
        headers: parts.headers,
        body,
    };
    // The ticket is held to the end: a slow call, and one that hangs, are under way all the time.
    let (reply, _ticket) = organisation.serve(connection, &request);
    if !reply.delay.is_zero() {
        wait(reply.delay).await;
    }
    answer(reply).await
}
