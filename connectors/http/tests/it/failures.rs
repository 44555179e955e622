//! Servers that are not there, do not answer, or answer what is no HTTP.

#![allow(clippy::disallowed_methods, reason = "the paused time of tokio is what is tested")]

use std::time::Duration;

use tenantry::Retry;
use tenantry_http::{Client, HttpSettings, Origin};
use tokio::net::TcpListener;

use crate::server::{Reply, Server, answer, client, get, json};

#[tokio::test]
async fn a_port_where_nobody_listens_is_unavailable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = client().send(&Origin::parse(&address, false).unwrap(), get(&address)).await.unwrap_err();
    assert_eq!((error.kind().as_str(), error.retry()), ("unavailable", Retry::Backoff), "{error:?}");
    assert_eq!(error.message(), "the server refuses the connection");
}

#[tokio::test]
async fn a_connection_that_is_closed_without_an_answer_is_unavailable() {
    let server = Server::start(|_, _| Reply::Close(Vec::new())).await;
    let error = client().send(&server.origin(), server.get("/")).await.unwrap_err();
    assert_eq!((error.kind().as_str(), error.retry()), ("unavailable", Retry::Backoff), "{error:?}");
    assert_eq!(server.requests(), 1, "nothing is repeated here");
}

#[tokio::test]
async fn an_answer_that_is_no_http_is_a_protocol_error() {
    let server = Server::start(|_, _| Reply::Close(b"220 smtp.example ESMTP\r\n".to_vec())).await;
    let error = client().send(&server.origin(), server.get("/")).await.unwrap_err();
    assert_eq!(error.kind().as_str(), "protocol", "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_answers_is_given_up_when_its_time_is_over() {
    let server = Server::start(|_, _| Reply::Hang(Vec::new())).await;
    let begin = tokio::time::Instant::now();
    let error = client().send(&server.origin(), server.get("/")).await.unwrap_err();
    assert_eq!((error.kind().as_str(), error.retry()), ("unavailable", Retry::Backoff), "{error:?}");
    assert_eq!(error.message(), "the answer took too long");
    assert_eq!(begin.elapsed().as_secs(), HttpSettings::default().timeout.as_secs());
}

#[tokio::test(start_paused = true)]
async fn the_time_of_an_answer_ends_with_its_body_and_not_with_its_headers() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{".to_vec();
    let server = Server::start(move |_, _| Reply::Hang(head.clone())).await;
    let client = Client::new(&HttpSettings { timeout: Duration::from_secs(7), ..HttpSettings::default() }).unwrap();
    let begin = tokio::time::Instant::now();
    let error = client.send(&server.origin(), server.get("/")).await.unwrap_err();
    assert_eq!(error.message(), "the answer took too long", "{error:?}");
    assert_eq!(begin.elapsed().as_secs(), 7);
}

#[tokio::test]
async fn connections_are_kept_until_a_server_says_503_on_one() {
    let busy = answer("503 Service Unavailable", "", "");
    let server = Server::start(move |number, _| Reply::Go(if number == 2 { busy.clone() } else { json("{}") })).await;
    let client = client();
    for _ in 0..5 {
        client.send(&server.origin(), server.get("/")).await.unwrap();
    }
    let connections: Vec<_> = server.seen().iter().map(|seen| seen.connection).collect();
    assert_eq!(connections, [0, 0, 0, 1, 1]);
}

#[tokio::test]
async fn many_refusals_at_once_make_one_new_pool_of_connections() {
    let busy = answer("503 Service Unavailable", "", "");
    let server = Server::start(move |number, _| Reply::Go(if number < 20 { busy.clone() } else { json("{}") })).await;
    let client = client();
    let origin = server.origin();
    futures::future::join_all((0..20).map(|_| client.send(&origin, server.get("/")))).await;
    for _ in 0..5 {
        client.send(&origin, server.get("/")).await.unwrap();
    }
    let later: std::collections::BTreeSet<_> = server.seen()[20..].iter().map(|seen| seen.connection).collect();
    assert_eq!(later.len(), 1, "{later:?}");
}
