//! The way through a proxy: `CONNECT`. It must not know what goes through.

use tenantry::{Error, ErrorKind, Result, Retry, Secret};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::line::io;
use crate::origin::Origin;

/// A proxy's answer to `CONNECT` is a few lines.
const MOST: usize = 16 << 10;

/// Asks a proxy for a way to an origin.
pub(crate) async fn open(mut stream: TcpStream, origin: &Origin, authorization: Option<Secret>) -> Result<TcpStream> {
    let place = format!("{}:{}", origin.host(), origin.port());
    let login = authorization.map(|login| format!("Proxy-Authorization: {}\r\n", login.expose())).unwrap_or_default();
    let request = Secret::new(format!("CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n{login}\r\n"));
    stream.write_all(request.expose().as_bytes()).await.map_err(|error| io(&error))?;
    let mut answer = Vec::new();
    // Byte by byte: what follows the answer belongs to TLS.
    while !answer.ends_with(b"\r\n\r\n") {
        let byte = stream.read_u8().await.map_err(|error| io(&error))?;
        answer.push(byte);
        if answer.len() > MOST {
            return Err(Error::config("the proxy does not answer as one; check its address"));
        }
    }
    let status = answer.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok()).unwrap_or_default();
    match (answer.starts_with(b"HTTP/1."), status) {
        (true, "200") => Ok(stream),
        (true, "407") => Err(Error::config("the proxy asks for a login; set its user and password")),
        (true, status) => Err(Error::new(ErrorKind::Unavailable, "the proxy does not reach the server")
            .with_retry(Retry::Backoff)
            .with_context("status", status)),
        _ => Err(Error::config("the proxy does not answer as one; check its address")),
    }
}
