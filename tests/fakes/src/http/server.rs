//! A small HTTP/1.1 server on a loopback port; it knows no directory.

use std::fmt;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{HeaderValue, Response, header};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use super::{Ending, Handler, Reply, Request};

/// A running server; dropping it ends every connection.
pub struct HttpServer {
    address: SocketAddr,
    acceptor: JoinHandle<()>,
}

impl fmt::Debug for HttpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpServer").field("address", &self.address).finish_non_exhaustive()
    }
}

impl HttpServer {
    /// Serves a handler on a free port of 127.0.0.1.
    ///
    /// # Panics
    /// When no loopback port can be had.
    pub async fn start(handler: Arc<dyn Handler>) -> Self {
        Self::start_at(handler, 0).await.expect("a loopback port is free")
    }

    /// Serves a handler on this port of 127.0.0.1; 0 takes a free one.
    ///
    /// # Errors
    /// When the port cannot be had.
    pub async fn start_at(handler: Arc<dyn Handler>, port: u16) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let address = listener.local_addr()?;
        Ok(Self { address, acceptor: tokio::spawn(accept(listener, handler)) })
    }

    /// Returns scheme and authority, such as `http://127.0.0.1:4711`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Stops the server and ends every connection; returns when the sockets are closed.
    pub async fn shutdown(mut self) {
        self.acceptor.abort();
        // The task's end by abortion is the very thing that is waited for.
        let _ = (&mut self.acceptor).await;
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

async fn accept(listener: TcpListener, handler: Arc<dyn Handler>) {
    // Connections end with this set, which ends with this task.
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        connections.spawn(serve(stream, Arc::clone(&handler)));
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(stream: TcpStream, handler: Arc<dyn Handler>) {
    // A small answer must not wait for the acknowledgement of the one before.
    let _ = stream.set_nodelay(true);
    let Ok(local) = stream.local_addr() else { return };
    let answer = service_fn(move |request: http::Request<Incoming>| {
        let handler = Arc::clone(&handler);
        async move { respond(&*handler, request, local).await }
    });
    // A client that goes away, and a connection that is cut on purpose, end here alike.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
}

/// The reason for which hyper closes the connection without an answer.
#[derive(Debug)]
pub(crate) struct Cut;

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cut on purpose")
    }
}

impl std::error::Error for Cut {}

async fn respond(
    handler: &dyn Handler,
    request: http::Request<Incoming>,
    local: SocketAddr,
) -> Result<Response<Answer>, Cut> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Cut)?.to_bytes();
    let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let origin = host.map_or_else(|| format!("http://{local}"), |host| format!("http://{host}"));
    let request = Request {
        method: parts.method,
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers,
        body,
        origin,
    };
    let reply = handler.handle(&request);
    if !reply.delay.is_zero() {
        wait(reply.delay).await;
    }
    answer(reply).await
}

pub(crate) async fn answer(reply: Reply) -> Result<Response<Answer>, Cut> {
    let left = match reply.ending {
        Ending::Whole => reply.body.len(),
        Ending::CutInside => reply.body.len() / 2,
        Ending::CutBefore => return Err(Cut),
        Ending::Never => std::future::pending::<Result<usize, Cut>>().await?,
    };
    let announced = reply.body.len();
    let mut body = reply.body;
    body.truncate(left);
    let mut response = Response::new(Answer { body: Some(body), missing: announced - left, waited: false });
    *response.status_mut() = reply.status;
    *response.headers_mut() = reply.headers;
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(announced));
    if reply.status == http::StatusCode::NO_CONTENT {
        response.headers_mut().remove(header::CONTENT_LENGTH);
    }
    Ok(response)
}

#[expect(clippy::disallowed_methods, reason = "the fake is the other side: its latency is its own")]
pub(crate) async fn wait(delay: std::time::Duration) {
    tokio::time::sleep(delay).await;
}

/// A body that may end before its announced length.
pub(crate) struct Answer {
    body: Option<Bytes>,
    missing: usize,
    waited: bool,
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        if let Some(body) = self.body.take().filter(|body| !body.is_empty()) {
            return Poll::Ready(Some(Ok(Frame::data(body))));
        }
        match (self.missing, std::mem::replace(&mut self.waited, true)) {
            (0, _) => Poll::Ready(None),
            // What is there must be on its way before the connection is cut: waiting lets hyper flush it.
            (_, false) => {
                context.waker().wake_by_ref();
                Poll::Pending
            }
            (_, true) => Poll::Ready(Some(Err(Cut))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.missing == 0 && self.body.as_ref().is_none_or(Bytes::is_empty)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact((self.body.as_ref().map_or(0, Bytes::len) + self.missing) as u64)
    }
}
