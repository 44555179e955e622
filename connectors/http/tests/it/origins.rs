//! Where requests go, and where they do not.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tenantry::gate::Clock;
use tenantry::{Result, Secret};
use tenantry_http::{Token, TokenSource, Tokens};

use crate::server::{Server, answer, client, get, json};

#[derive(Debug)]
struct Fixed;

#[async_trait]
impl TokenSource for Fixed {
    async fn fetch(&self) -> Result<Token> {
        Ok(Token::new(Secret::new("CANARY"), Duration::from_hours(1)))
    }
}

fn tokens() -> Tokens {
    Tokens::new(Arc::new(Fixed), Clock::manual().0)
}

fn redirect(status: &str, to: &str) -> Vec<u8> {
    answer(status, &format!("Location: {to}\r\n"), "")
}

#[tokio::test]
async fn a_request_to_another_place_is_not_sent() {
    let (ours, evil) = (Server::always(json("{}")).await, Server::always(json("{}")).await);
    let error = client().send_with(&ours.origin(), evil.get("/v1.0?$skiptoken=x"), &tokens()).await.unwrap_err();
    assert_eq!(error.kind().as_str(), "protocol");
    assert!(error.to_string().contains(&ours.address) && error.to_string().contains(&evil.address), "{error}");
    assert_eq!((ours.requests(), evil.requests()), (0, 0));
}

#[tokio::test]
async fn a_redirect_elsewhere_takes_no_token_along() {
    let evil = Server::always(json("{}")).await;
    for status in ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"] {
        let ours = Server::always(redirect(status, &format!("http://{}/take?x=SECRET", evil.address))).await;
        let error = client().send_with(&ours.origin(), ours.get("/"), &tokens()).await.unwrap_err();
        assert_eq!(error.kind().as_str(), "protocol", "{status}");
        assert!(!format!("{error:?}").contains("SECRET"), "{error:?}");
        assert_eq!((ours.requests(), evil.requests()), (1, 0), "{status}");
    }
}

#[tokio::test]
async fn a_redirect_to_the_same_place_is_not_followed_either() {
    for to in ["/v1.0/other", "//127.0.0.1/x", "::::", ""] {
        let ours = Server::always(redirect("307 Temporary", to)).await;
        let error = client().send_with(&ours.origin(), ours.get("/"), &tokens()).await.unwrap_err();
        assert_eq!(error.kind().as_str(), "protocol", "{to}");
        assert_eq!(ours.requests(), 1, "{to}");
    }
}

#[tokio::test]
async fn not_modified_is_an_answer() {
    let ours = Server::always(b"HTTP/1.1 304 Not Modified\r\n\r\n".to_vec()).await;
    let answer = client().send(&ours.origin(), ours.get("/")).await.unwrap();
    assert_eq!(answer.status.as_u16(), 304);
}

#[tokio::test]
async fn a_name_and_password_in_a_link_are_not_sent() {
    let ours = Server::always(json("{}")).await;
    let link = format!("http://ann:pw@{}/", ours.address);
    assert!(client().send(&ours.origin(), get(&link)).await.is_err());
    assert_eq!(ours.requests(), 0);
}

#[tokio::test]
async fn a_token_goes_to_its_origin() {
    let ours = Server::always(json("{}")).await;
    client().send_with(&ours.origin(), ours.get("/users"), &tokens()).await.unwrap();
    assert!(ours.seen()[0].text.contains("authorization: Bearer CANARY\r\n"), "{:?}", ours.seen());
}
