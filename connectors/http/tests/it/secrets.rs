//! Law 13: no token, path, query or body in an error, a `Debug` or a log line.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tenantry::gate::Clock;
use tenantry::{Result, Secret};
use tenantry_http::{Client, HttpSettings, Token, TokenSource, Tokens};
use tracing::instrument::WithSubscriber;

use crate::server::{Reply, Server, answer, json};

#[derive(Debug)]
struct Fixed;

#[async_trait]
impl TokenSource for Fixed {
    async fn fetch(&self) -> Result<Token> {
        Ok(Token::new(Secret::new("CANARY-token"), Duration::from_hours(1)))
    }
}

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn nothing_that_is_shown_holds_a_secret_whatever_the_server_does() {
    let replies: Vec<fn() -> Reply> = vec![
        || Reply::Go(json("{\"secret\":\"CANARY-body\"}")),
        || Reply::Go(answer("401 Unauthorized", "WWW-Authenticate: CANARY\r\n", "CANARY-body")),
        || Reply::Go(answer("302 Found", "Location: http://127.0.0.2/CANARY?CANARY\r\n", "CANARY-body")),
        || Reply::Go(answer("500 Oops", "Content-Type: text/CANARY CANARY\r\n", "CANARY-body")),
        || Reply::Go(answer("200 OK", "content-encoding: gzip\r\n", "CANARY-body")),
        || Reply::Close(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nCANARY-body".to_vec()),
        || Reply::Close(b"CANARY-body".to_vec()),
        || Reply::Close(b"HTTP/1.1 200 OK\r\nCANARY\x01: CANARY\r\n\r\n".to_vec()),
        || Reply::Close(Vec::new()),
    ];
    let written = Written::default();
    let writer = written.clone();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone()).finish();
    // A second one, who hears nothing. While there is only one, `tracing` asks the thread that comes by a place first
    // whether anybody listens there; with the tests of other threads that is nobody, and the answer is kept.
    let another = tracing::Dispatch::new(tracing_subscriber::registry());
    let shown = async {
        let mut shown = Vec::new();
        for reply in replies {
            let server = Server::start(move |_, _| reply()).await;
            let client = Client::new(&HttpSettings::default()).unwrap();
            let tokens = Tokens::new(Arc::new(Fixed), Clock::system());
            let request = server.get("/CANARY-path?$deltatoken=CANARY-query");
            match client.send_with(&server.origin(), request, &tokens).await {
                Ok(answer) => {
                    let json = answer.json::<u32>();
                    shown.push(format!("{answer:?} {json:?} {:?} {}", answer.refusal(0), answer.refusal(0)));
                }
                Err(error) => shown.push(format!("{error:?} {error}")),
            }
            shown.push(format!("{tokens:?} {client:?} {:?} {:?}", tokens.lease().await, server.origin()));
        }
        shown.concat()
    }
    .with_subscriber(subscriber)
    .await;
    drop(another);
    let logged = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
    assert!(logged.contains("answer"), "nothing was logged: {logged}");
    assert!(!shown.contains("CANARY"), "{shown}");
    assert!(!logged.contains("CANARY"), "{logged}");
}
