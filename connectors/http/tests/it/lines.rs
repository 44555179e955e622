//! A line is one connection: everything goes over it, and nothing else ever does.

use std::time::Duration;

use tenantry_http::{Dialer, HttpSettings, Proxy};

use crate::server::{Reply, Server, answer, json};

fn dialer(change: impl FnOnce(&mut HttpSettings)) -> Dialer {
    let mut settings = HttpSettings::default();
    change(&mut settings);
    Dialer::new(&settings).unwrap()
}

#[tokio::test]
async fn every_request_of_a_line_goes_over_its_connection_and_those_of_another_over_another() {
    let server = Server::always(json("[1]")).await;
    let dialer = dialer(|_| ());
    let (mut one, mut other) =
        (dialer.dial(&server.origin()).await.unwrap(), dialer.dial(&server.origin()).await.unwrap());
    assert!(one.certificate().is_none());
    for _ in 0..3 {
        assert_eq!(one.send(server.get("/a")).await.unwrap().json::<Vec<u8>>().unwrap(), [1]);
        assert_eq!(other.send(server.get("/b")).await.unwrap().status, 200);
    }
    let mut by_path = [Vec::new(), Vec::new()];
    for seen in server.seen() {
        assert!(seen.text.starts_with("GET /"), "the path alone: {}", seen.text);
        by_path[usize::from(seen.text.starts_with("GET /b"))].push(seen.connection);
    }
    for connections in &mut by_path {
        connections.dedup();
        assert_eq!(connections.len(), 1, "{connections:?}");
    }
    assert_ne!(by_path[0], by_path[1]);
}

#[tokio::test]
async fn the_body_of_a_refusal_is_read_and_the_line_goes_on() {
    let server = Server::start(|n, _| Reply::Go(if n == 0 { answer("401 No", "", "why") } else { json("[1]") })).await;
    let mut line = dialer(|_| ()).dial(&server.origin()).await.unwrap();
    let refused = line.send(server.get("/")).await.unwrap();
    assert_eq!((refused.status.as_u16(), &refused.body[..]), (401, &b"why"[..]));
    assert!(line.is_open());
    assert_eq!(line.send(server.get("/")).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_line_is_closed_behind_whatever_went_wrong() {
    type Case = (fn() -> Reply, &'static str);
    let cases: [Case; 6] = [
        (|| Reply::Close(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nx".to_vec()), "unavailable"),
        (|| Reply::Close(Vec::new()), "unavailable"),
        (|| Reply::Close(b"nonsense\r\n\r\n".to_vec()), "protocol"),
        (|| Reply::Hang(Vec::new()), "unavailable"),
        (|| Reply::Go(answer("302 Found", "Location: https://elsewhere.example/CANARY\r\n", "")), "protocol"),
        (|| Reply::Go(json(&format!("\"{}\"", "x".repeat(2000)))), "protocol"),
    ];
    for (reply, kind) in cases {
        let server = Server::start(move |_, _| reply()).await;
        let dialer = dialer(|settings| {
            settings.timeout = Duration::from_millis(300);
            settings.max_body = 1000;
        });
        let mut line = dialer.dial(&server.origin()).await.unwrap();
        let error = line.send(server.get("/CANARY")).await.unwrap_err();
        assert_eq!(error.kind().as_str(), kind, "{error}");
        assert!(!format!("{error:?} {line:?}").contains("CANARY"), "{error:?}");
        assert!(!line.is_open());
        assert!(line.send(server.get("/")).await.is_err());
        assert_eq!(server.requests(), 1);
    }
}

#[tokio::test]
async fn a_request_that_is_dropped_closes_its_line() {
    let server = Server::start(|_, _| Reply::Hang(Vec::new())).await;
    let mut line = dialer(|_| ()).dial(&server.origin()).await.unwrap();
    {
        let sending = line.send(server.get("/"));
        assert!(tokio::time::timeout(Duration::from_millis(50), sending).await.is_err());
    }
    assert!(!line.is_open(), "what comes would be the answer to another question");
}

#[tokio::test]
async fn a_line_asks_its_own_origin_only() {
    let (server, other) = (Server::always(json("1")).await, Server::always(json("1")).await);
    let mut line = dialer(|_| ()).dial(&server.origin()).await.unwrap();
    assert_eq!(line.send(other.get("/")).await.unwrap_err().kind().as_str(), "protocol");
    assert_eq!((server.requests(), other.requests()), (0, 0));
}

#[tokio::test]
async fn a_proxy_is_asked_for_a_way_and_never_told_what_goes_through() {
    let proxy = Server::start(|_, text| {
        let known = text.contains("Proxy-Authorization: Basic Y29ycDpzZWNyZXQ=");
        Reply::Close(if known { answer("502 No", "", "") } else { answer("407 Login", "", "") })
    })
    .await;
    let address = format!("http://{}", proxy.address);
    let origin = tenantry_http::Origin::parse("https://mail.corp.example/EWS", false).unwrap();
    let with = |login: bool| {
        let proxy = Proxy::parse(&address).unwrap();
        let proxy = if login { proxy.with_login("corp", tenantry::Secret::new("secret")) } else { proxy };
        dialer(|settings| settings.proxy = Some(proxy))
    };
    let error = with(false).dial(&origin).await.unwrap_err();
    assert!(error.message().contains("asks for a login"), "{error}");
    let error = with(true).dial(&origin).await.unwrap_err();
    assert_eq!((error.kind().as_str(), error.context("status")), ("unavailable", Some("502")), "{error}");
    assert!(proxy.seen().iter().all(|seen| seen.text.starts_with("CONNECT mail.corp.example:443 HTTP/1.1\r\n")));
    // Without TLS the proxy would see everything, and keep connections as it likes.
    let plain = tenantry_http::Origin::parse("http://mail.corp.example/EWS", true).unwrap();
    assert_eq!(with(true).dial(&plain).await.unwrap_err().kind().as_str(), "config");
}
