//! A server of a few lines that sends whatever bytes a test wants.
//!
//! It does not know what LDAP means: tests read the requests and write the answers.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tenantry::Secret;
use tenantry_ldap::{Credentials, Encryption, PlainText, Server, Settings};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub(crate) const BIND: u8 = 0x60;
pub(crate) const SEARCH: u8 = 0x63;

/// A listening server; it ends with the test's runtime.
pub(crate) struct ByteServer {
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl ByteServer {
    /// Handles every connection with this function.
    pub(crate) async fn start<F, R>(handle: F) -> Self
    where
        F: Fn(TcpStream) -> R + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(handle(stream));
            }
        });
        Self { address, connections }
    }

    /// Returns how many connections there were.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn server(&self) -> Server {
        Server::parse(&format!("ldap://{}", self.address)).unwrap()
    }

    /// Settings for a bind in the clear.
    pub(crate) fn settings(&self) -> Settings {
        plain_settings([self.server()])
    }
}

pub(crate) fn account() -> Credentials {
    Credentials::Password { name: "CORP\\sync".into(), password: Secret::new("Passw0rd!Test1") }
}

pub(crate) fn plain_settings(servers: impl IntoIterator<Item = Server>) -> Settings {
    let servers = servers.into_iter().map(|server| server.with_encryption(Encryption::Plain)).collect();
    Settings::new(servers, account()).plain_text(PlainText::Allowed)
}

/// One request, as far as tests look at it.
pub(crate) struct Request {
    pub(crate) id: u8,
    pub(crate) operation: u8,
    pub(crate) bytes: Vec<u8>,
}

/// The server's side of a connection.
pub(crate) struct Peer<S>(pub(crate) S);

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<S> {
    /// Reads a request; none at the end of the connection.
    pub(crate) async fn request(&mut self) -> Option<Request> {
        let mut head = [0; 2];
        self.0.read_exact(&mut head).await.ok()?;
        assert_eq!(head[0], 0x30, "a request is a sequence");
        let mut length = usize::from(head[1]);
        if length >= 0x80 {
            let mut digits = vec![0; length & 0x7f];
            self.0.read_exact(&mut digits).await.ok()?;
            length = digits.iter().fold(0, |value, &byte| (value << 8) | usize::from(byte));
        }
        let mut bytes = vec![0; length];
        self.0.read_exact(&mut bytes).await.ok()?;
        assert_eq!(bytes[..2], [2, 1], "message ids are small in tests");
        Some(Request { id: bytes[2], operation: bytes[3], bytes })
    }

    /// Sends bytes; a client that has gone away is no failure of the test.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> bool {
        self.0.write_all(bytes).await.is_ok() && self.0.flush().await.is_ok()
    }

    /// Lets the client bind.
    pub(crate) async fn accept_bind(&mut self) -> bool {
        let Some(request) = self.request().await else { return false };
        assert_eq!(request.operation, BIND);
        self.send(&result(request.id, 0x61, 0, "", &[])).await
    }

    /// Waits for the next request, which has to be a search, and returns its id.
    pub(crate) async fn search(&mut self) -> Option<u8> {
        let request = self.request().await?;
        assert_eq!(request.operation, SEARCH);
        Some(request.id)
    }

    /// Keeps the connection open until the client closes it.
    pub(crate) async fn until_closed(&mut self) {
        let mut sink = [0; 1024];
        while matches!(self.0.read(&mut sink).await, Ok(1..)) {}
    }
}

pub(crate) fn tlv(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match body.len() {
        short @ 0..=0x7f => out.push(u8::try_from(short).unwrap()),
        // As Active Directory writes lengths: always four bytes.
        long => {
            out.push(0x84);
            out.extend_from_slice(&u32::try_from(long).unwrap().to_be_bytes());
        }
    }
    out.extend_from_slice(body);
    out
}

pub(crate) fn message(id: u8, rest: &[u8]) -> Vec<u8> {
    tlv(0x30, &[&[2, 1, id][..], rest].concat())
}

/// A result with controls, each an OID and a value.
pub(crate) fn result(id: u8, tag: u8, code: u8, text: &str, controls: &[(&str, &[u8])]) -> Vec<u8> {
    let body = [tlv(0x0a, &[code]), tlv(4, b""), tlv(4, text.as_bytes())].concat();
    let mut rest = tlv(tag, &body);
    if !controls.is_empty() {
        let list: Vec<u8> = controls
            .iter()
            .flat_map(|(oid, value)| tlv(0x30, &[tlv(4, oid.as_bytes()), tlv(4, value)].concat()))
            .collect();
        rest.extend(tlv(0xa0, &list));
    }
    message(id, &rest)
}

/// The end of a page.
pub(crate) fn page_end(id: u8, cookie: &[u8]) -> Vec<u8> {
    let value = tlv(0x30, &[tlv(2, &[0]), tlv(4, cookie)].concat());
    result(id, 0x65, 0, "", &[("1.2.840.113556.1.4.319", &value)])
}

pub(crate) fn entry(id: u8, dn: &str, attributes: &[(&str, &[&[u8]])]) -> Vec<u8> {
    let attributes: Vec<u8> = attributes
        .iter()
        .flat_map(|(name, values)| {
            let values: Vec<u8> = values.iter().flat_map(|value| tlv(4, value)).collect();
            tlv(0x30, &[tlv(4, name.as_bytes()), tlv(0x31, &values)].concat())
        })
        .collect();
    message(id, &tlv(0x64, &[tlv(4, dn.as_bytes()), tlv(0x30, &attributes)].concat()))
}
