//! Opens the connection to one server: name, socket, TLS or StartTLS. Nothing is bound here.
//!
//! It knows the one LDAP message that StartTLS needs, written here because TLS has to be in place before ldap3 gets its
//! end of the connection (see [`crate::relay`]).

use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use tenantry::{Error, ErrorKind, Result, Retry};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::ber;
use crate::message::{self, EXTENDED_RESPONSE};
use crate::relay::Incoming;
use crate::result::{Identity, SentCookie, translate};
use crate::server::{Encryption, Server};
use crate::settings::Limits;
use crate::tls;

/// A connection, whatever it is made of.
pub(crate) trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

const START_TLS: &[u8] = b"1.3.6.1.4.1.1466.20037";
/// The answer to StartTLS is a few dozen bytes.
const START_TLS_CAP: usize = 64 * 1024;

/// Connects to a server within the time that the limits give.
pub(crate) async fn connect(server: &Server, tls: Option<Arc<ClientConfig>>, limits: &Limits) -> Result<Box<dyn Wire>> {
    let connected = timeout(limits.connect_timeout, open(server, tls, limits.connect_timeout)).await;
    connected
        .unwrap_or_else(|_| Err(unavailable("the server did not answer in time")))
        .map_err(|error| error.with_operation("connect").with_context("server", server))
}

async fn open(server: &Server, tls: Option<Arc<ClientConfig>>, limit: Duration) -> Result<Box<dyn Wire>> {
    let mut stream = dial(server, limit).await?;
    // A request is written at once; waiting to fill a packet only adds latency.
    stream.set_nodelay(true).map_err(|error| unavailable("the connection failed").with_source(error))?;
    match (server.encryption(), tls) {
        (Encryption::Plain, _) => Ok(Box::new(stream)),
        (Encryption::Tls, Some(config)) => Ok(Box::new(tls::handshake(config, server.host(), stream).await?)),
        (Encryption::StartTls, Some(config)) => {
            start_tls(&mut stream).await?;
            Ok(Box::new(tls::handshake(config, server.host(), stream).await?))
        }
        (_, None) => Err(Error::config("TLS is not configured")),
    }
}

async fn dial(server: &Server, limit: Duration) -> Result<TcpStream> {
    let addresses: Vec<_> = tokio::net::lookup_host((server.host(), server.port()))
        .await
        .map_err(|error| {
            unavailable("the name of the server cannot be resolved; check host and DNS").with_source(error)
        })?
        .collect();
    // One address that swallows packets must not use up the time of the others.
    let share = limit / u32::try_from(addresses.len().max(1)).unwrap_or(u32::MAX);
    let mut last = unavailable("the name of the server has no address");
    for address in addresses {
        last = match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                unavailable("the connection is refused: nothing listens on this port").with_source(error)
            }
            Ok(Err(error)) => unavailable("the connection failed").with_source(error),
            Err(_) => unavailable("the server did not answer in time"),
        };
    }
    Err(last)
}

async fn start_tls(stream: &mut TcpStream) -> Result<()> {
    let operation = ber::element(0x77, &ber::element(0x80, START_TLS));
    let request = ber::sequence(&[ber::integer(1), operation]);
    let io = |error: std::io::Error| unavailable("the connection failed during StartTLS").with_source(error);
    stream.write_all(&request).await.map_err(io)?;
    let mut incoming = Incoming::new(START_TLS_CAP);
    let mut answer = incoming.next(stream).await.map_err(crate::relay::End::into_error)?;
    if !incoming.is_empty() {
        // Whatever follows in the clear could have been slipped in by somebody between, to be taken for protected.
        return Err(Error::protocol("the server sent data in the clear after its answer to StartTLS"));
    }
    let envelope = message::inspect(&mut answer)
        .map_err(|what| Error::protocol("the answer to StartTLS is malformed").with_context("found", what))?;
    match (envelope.id, envelope.operation, envelope.code) {
        (1, EXTENDED_RESPONSE, Some(0)) => Ok(()),
        (0, _, _) => Err(unavailable("the server announced that it disconnects")),
        // Retrying in the clear is never an answer to a server that does not want TLS.
        (1, EXTENDED_RESPONSE, Some(code @ (2 | 12 | 53))) => {
            Err(Error::config("the server does not support StartTLS; use ldaps:// or give it a certificate")
                .with_context("result code", code))
        }
        (1, EXTENDED_RESPONSE, Some(code)) => {
            Err(translate(u32::try_from(code).unwrap_or(u32::MAX), "", SentCookie::None, Identity::Anonymous))
        }
        _ => Err(Error::protocol("the server answered StartTLS with something else")),
    }
}

fn unavailable(text: &'static str) -> Error {
    Error::new(ErrorKind::Unavailable, text).with_retry(Retry::Backoff)
}
