//! A server of bytes: it reads requests and writes whatever a test says. It knows no HTTP but where a request ends.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tenantry_http::{Client, HttpSettings, Origin};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use url::Url;

/// What to do with a request.
pub(crate) enum Reply {
    /// Write this and wait for the next request.
    Go(Vec<u8>),
    /// Write this and close.
    Close(Vec<u8>),
    /// Write this and then nothing, without closing.
    Hang(Vec<u8>),
    /// Write the first, and then the second again and again.
    Endless(Vec<u8>, Vec<u8>),
}

/// A request as it came: the number of its connection, from 0, and its text.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) connection: usize,
    pub(crate) text: String,
}

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) address: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    /// Starts a server; the script gets the number of the request, from 0, and its text.
    pub(crate) async fn start(script: impl Fn(usize, &str) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (seen, script) = (Arc::<Mutex<Vec<Seen>>>::default(), Arc::new(script));
        let (all, connections) = (Arc::clone(&seen), AtomicUsize::new(0));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let connection = connections.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(serve(stream, connection, Arc::clone(&all), Arc::clone(&script)));
            }
        });
        Self { address, seen }
    }

    /// A server that always answers the same and keeps its connections.
    pub(crate) async fn always(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        Self::start(move |_, _| Reply::Go(answer.clone())).await
    }

    pub(crate) fn origin(&self) -> Origin {
        Origin::parse(&format!("http://{}", self.address), false).unwrap()
    }

    pub(crate) fn get(&self, path: &str) -> reqwest::Request {
        get(&format!("http://{}{path}", self.address))
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn requests(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

pub(crate) async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send>(
    mut stream: S,
    connection: usize,
    seen: Arc<Mutex<Vec<Seen>>>,
    script: Arc<impl Fn(usize, &str) -> Reply + Send + Sync>,
) {
    let mut read = Vec::new();
    loop {
        let end = loop {
            if let Some(at) = read.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            let mut piece = [0; 4096];
            match stream.read(&mut piece).await {
                Ok(0) | Err(_) => return,
                Ok(length) => read.extend_from_slice(&piece[..length]),
            }
        };
        let text = String::from_utf8(read.drain(..end).collect()).unwrap();
        let number = {
            let mut seen = seen.lock().unwrap();
            seen.push(Seen { connection, text: text.clone() });
            seen.len() - 1
        };
        match script(number, &text) {
            Reply::Go(bytes) => {
                if stream.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            Reply::Close(bytes) => {
                let _ = stream.write_all(&bytes).await;
                let _ = stream.shutdown().await;
                return;
            }
            Reply::Hang(bytes) => {
                let _ = stream.write_all(&bytes).await;
                return std::future::pending().await;
            }
            Reply::Endless(head, piece) => {
                let _ = stream.write_all(&head).await;
                while stream.write_all(&piece).await.is_ok() {}
                return;
            }
        }
    }
}

pub(crate) fn get(url: &str) -> reqwest::Request {
    reqwest::Request::new(reqwest::Method::GET, Url::parse(url).unwrap())
}

pub(crate) fn client() -> Client {
    Client::new(&HttpSettings::default()).unwrap()
}

/// An answer with a length.
pub(crate) fn answer(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let mut bytes = format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n", body.len()).into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

pub(crate) fn json(body: &str) -> Vec<u8> {
    answer("200 OK", "content-type: application/json; charset=utf-8\r\n", body)
}
