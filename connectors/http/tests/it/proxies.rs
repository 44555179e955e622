//! Requests through a proxy.

use tenantry::Secret;
use tenantry_http::{Client, HttpSettings, Origin, Proxy};

use crate::server::{Reply, Server, get, json};

fn client(proxy: &Server) -> Client {
    let proxy = Proxy::parse(&format!("http://{}", proxy.address)).unwrap().with_login("corp", Secret::new("CANARY"));
    Client::new(&HttpSettings { proxy: Some(proxy), ..HttpSettings::default() }).unwrap()
}

#[tokio::test]
async fn a_proxy_gets_plain_requests_with_its_login() {
    let proxy = Server::always(json("[1]")).await;
    let origin = Origin::parse("http://directory.example", true).unwrap();
    let answer = client(&proxy).send(&origin, get("http://directory.example/users")).await.unwrap();
    assert_eq!(answer.json::<Vec<u8>>().unwrap(), [1]);
    let seen = &proxy.seen()[0].text;
    assert!(seen.starts_with("GET http://directory.example/users HTTP/1.1\r\n"), "{seen}");
    assert!(seen.contains("proxy-authorization: Basic Y29ycDpDQU5BUlk=\r\n"), "{seen}");
}

#[tokio::test]
async fn a_proxy_is_asked_for_a_tunnel_and_sees_no_path() {
    let proxy = Server::start(|_, _| Reply::Close(b"HTTP/1.1 502 Bad Gateway\r\n\r\n".to_vec())).await;
    let origin = Origin::parse("https://directory.example", false).unwrap();
    let error = client(&proxy).send(&origin, get("https://directory.example/users")).await.unwrap_err();
    assert_eq!(error.kind().as_str(), "unavailable", "{error:?}");
    assert!(!format!("{error:?}").contains("CANARY"), "{error:?}");
    let seen = &proxy.seen()[0].text;
    assert!(seen.starts_with("CONNECT directory.example:443 ") && !seen.contains("users"), "{seen}");
}

#[tokio::test]
async fn a_proxy_that_refuses_the_login_is_a_mistake_of_the_configuration() {
    let answer = b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n".to_vec();
    let proxy = Server::start(move |_, _| Reply::Close(answer.clone())).await;
    let origin = Origin::parse("https://directory.example", false).unwrap();
    let error = client(&proxy).send(&origin, get("https://directory.example/users")).await.unwrap_err();
    assert_eq!(error.kind().as_str(), "config", "{error:?}");
}

#[tokio::test]
async fn loopback_addresses_are_asked_without_the_proxy() {
    let (proxy, server) = (Server::always(json("{}")).await, Server::always(json("{}")).await);
    client(&proxy).send(&server.origin(), server.get("/")).await.unwrap();
    let named = format!("http://localhost:{}", server.address.rsplit_once(':').unwrap().1);
    client(&proxy).send(&Origin::parse(&named, false).unwrap(), get(&named)).await.unwrap();
    assert_eq!((proxy.requests(), server.requests()), (0, 2));
}
