//! Tokens: fetched once for all, ahead of time, and again when a server refuses one.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt;
use futures::future::join_all;
use tenantry::gate::{Clock, ManualClock};
use tenantry::{Error, ErrorKind, Result, Retry, Secret};
use tenantry_http::{Token, TokenSource, Tokens};
use tokio::sync::Semaphore;

use crate::server::{Reply, Server, answer, client, json};

/// Gives numbered tokens, or the failures that a test put in, each as soon as it is let through.
#[derive(Debug)]
struct Source {
    fetched: AtomicUsize,
    open: Semaphore,
    failures: Mutex<VecDeque<Error>>,
    life: Duration,
}

#[async_trait]
impl TokenSource for Source {
    async fn fetch(&self) -> Result<Token> {
        let number = self.fetched.fetch_add(1, Ordering::SeqCst) + 1;
        self.open.acquire().await.unwrap().forget();
        match self.failures.lock().unwrap().pop_front() {
            Some(error) => Err(error),
            None => Ok(Token::new(Secret::new(format!("t{number}")), self.life)),
        }
    }
}

impl Source {
    fn fetched(&self) -> usize {
        self.fetched.load(Ordering::SeqCst)
    }

    fn fail(&self, error: Error) {
        self.failures.lock().unwrap().push_back(error);
    }
}

fn tokens(open: usize) -> (Tokens, Arc<Source>, ManualClock) {
    let source = Arc::new(Source {
        fetched: AtomicUsize::new(0),
        open: Semaphore::new(open),
        failures: Mutex::default(),
        life: Duration::from_hours(1),
    });
    let (clock, time) = Clock::manual();
    (Tokens::new(Arc::clone(&source) as Arc<dyn TokenSource>, clock), source, time)
}

async fn bearer(tokens: &Tokens) -> String {
    tokens.lease().await.unwrap().header().to_str().unwrap().to_owned()
}

fn unavailable() -> Error {
    Error::new(ErrorKind::Unavailable, "down").with_retry(Retry::Backoff)
}

#[tokio::test]
async fn a_hundred_callers_wait_for_one_fetch() {
    let (tokens, source, _) = tokens(0);
    let mut callers = pin!(join_all((0..100).map(|_| bearer(&tokens))));
    assert!(callers.as_mut().now_or_never().is_none());
    source.open.add_permits(100);
    assert!(callers.await.iter().all(|bearer| bearer == "Bearer t1"));
    assert_eq!(source.fetched(), 1);
}

#[tokio::test]
async fn a_dropped_caller_leaves_the_fetch_to_the_others() {
    let (tokens, source, _) = tokens(0);
    let mut first = Box::pin(bearer(&tokens));
    assert!(first.as_mut().now_or_never().is_none());
    let other = tokio::spawn({
        let tokens = tokens.clone();
        async move { bearer(&tokens).await }
    });
    tokio::task::yield_now().await;
    drop(first);
    source.open.add_permits(1);
    assert_eq!(other.await.unwrap(), "Bearer t1");
    assert_eq!(source.fetched(), 1);
}

#[tokio::test]
async fn when_all_callers_are_dropped_the_next_one_begins_anew() {
    let (tokens, source, _) = tokens(0);
    for _ in 0..3 {
        assert!(bearer(&tokens).now_or_never().is_none());
    }
    source.open.add_permits(1);
    assert_eq!(bearer(&tokens).await, "Bearer t4");
}

#[tokio::test]
async fn a_token_is_renewed_ahead_of_its_end_by_one_caller_while_the_others_go_on() {
    let (tokens, source, time) = tokens(1);
    assert_eq!(bearer(&tokens).await, "Bearer t1");
    time.advance(Duration::from_mins(54));
    assert_eq!(bearer(&tokens).await, "Bearer t1");
    time.advance(Duration::from_mins(2));
    let mut renewing = Box::pin(bearer(&tokens));
    assert!(renewing.as_mut().now_or_never().is_none(), "this one renews");
    assert_eq!(bearer(&tokens).now_or_never().as_deref(), Some("Bearer t1"), "the others do not wait");
    source.open.add_permits(1);
    assert_eq!(renewing.await, "Bearer t2");
    assert_eq!(bearer(&tokens).await, "Bearer t2");
    assert_eq!(source.fetched(), 2);
}

#[tokio::test]
async fn a_renewal_that_fails_is_not_felt_as_long_as_the_token_is_good() {
    let (tokens, source, time) = tokens(10);
    assert_eq!(bearer(&tokens).await, "Bearer t1");
    time.advance(Duration::from_mins(56));
    source.fail(unavailable());
    assert_eq!(bearer(&tokens).await, "Bearer t1");
    assert_eq!(bearer(&tokens).await, "Bearer t1");
    assert_eq!(source.fetched(), 2, "the next renewal waits a little");
    time.advance(Duration::from_secs(31));
    assert_eq!(bearer(&tokens).await, "Bearer t3");
}

#[tokio::test]
async fn a_token_that_has_ended_is_not_used_even_if_no_other_can_be_had() {
    let (tokens, source, time) = tokens(10);
    bearer(&tokens).await;
    time.advance(Duration::from_hours(1));
    source.fail(unavailable());
    assert_eq!(tokens.lease().await.unwrap_err().message(), "down");
    assert_eq!(bearer(&tokens).await, "Bearer t3", "what may pass by is tried again at once");
}

#[tokio::test]
async fn a_refused_login_is_tried_once_for_a_hundred_callers_and_again_after_a_while() {
    let (tokens, source, time) = tokens(10);
    source.fail(Error::new(ErrorKind::Unauthenticated, "wrong secret"));
    for _ in 0..100 {
        assert_eq!(*tokens.lease().await.unwrap_err().kind(), ErrorKind::Unauthenticated);
    }
    assert_eq!(source.fetched(), 1);
    time.advance(Duration::from_secs(31));
    assert_eq!(bearer(&tokens).await, "Bearer t2");
}

#[tokio::test]
async fn a_login_that_asks_for_silence_is_left_alone_as_long_as_it_asks() {
    let (tokens, source, time) = tokens(10);
    source.fail(Error::new(ErrorKind::Throttled, "slowly").with_retry(Retry::After(Duration::from_secs(90))));
    assert_eq!(tokens.lease().await.unwrap_err().retry(), Retry::After(Duration::from_secs(90)));
    time.advance(Duration::from_mins(1));
    assert_eq!(tokens.lease().await.unwrap_err().retry(), Retry::After(Duration::from_secs(30)));
    assert_eq!(source.fetched(), 1);
    time.advance(Duration::from_secs(30));
    assert_eq!(bearer(&tokens).await, "Bearer t2");
}

#[tokio::test]
async fn a_token_that_cannot_be_sent_is_an_error_that_does_not_show_it() {
    #[derive(Debug)]
    struct Odd;
    #[async_trait]
    impl TokenSource for Odd {
        async fn fetch(&self) -> Result<Token> {
            Ok(Token::new(Secret::new("CANARY\r\nx: y"), Duration::from_hours(1)))
        }
    }
    let error = Tokens::new(Arc::new(Odd), Clock::manual().0).lease().await.unwrap_err();
    assert_eq!(error.kind().as_str(), "protocol");
    assert!(!format!("{error:?}").contains("CANARY"));
}

/// A server that accepts only the token `good`.
async fn server(good: &'static str) -> Server {
    Server::start(move |_, text| {
        let right = text.contains(&format!("authorization: Bearer {good}\r\n"));
        Reply::Go(if right { json("{}") } else { answer("401 Unauthorized", "", "") })
    })
    .await
}

#[tokio::test]
async fn a_refused_token_is_renewed_once_and_the_request_sent_once_more() {
    let (tokens, source, _) = tokens(10);
    let server = server("t2").await;
    let answer = client().send_with(&server.origin(), server.get("/users"), &tokens).await.unwrap();
    assert_eq!(answer.status.as_u16(), 200);
    assert_eq!((source.fetched(), server.requests()), (2, 2));
}

#[tokio::test]
async fn a_second_refusal_is_an_answer() {
    let (tokens, source, _) = tokens(10);
    let server = server("none").await;
    let answer = client().send_with(&server.origin(), server.get("/users"), &tokens).await.unwrap();
    assert_eq!(answer.status.as_u16(), 401);
    assert_eq!((source.fetched(), server.requests()), (2, 2));
}

#[tokio::test]
async fn a_hundred_refused_callers_renew_the_token_once() {
    let (tokens, source, _) = tokens(10);
    let server = server("t2").await;
    let (client, origin) = (client(), server.origin());
    let answers = join_all((0..100).map(|_| client.send_with(&origin, server.get("/users"), &tokens))).await;
    assert!(answers.into_iter().all(|answer| answer.unwrap().status.is_success()));
    assert_eq!(source.fetched(), 2);
}

#[tokio::test]
async fn a_refusal_of_an_old_token_does_not_take_the_new_one_away() {
    let (tokens, source, _) = tokens(10);
    let old = tokens.lease().await.unwrap();
    tokens.refused(&old);
    assert_eq!(bearer(&tokens).await, "Bearer t2");
    tokens.refused(&old);
    assert_eq!(bearer(&tokens).await, "Bearer t2");
    assert_eq!(source.fetched(), 2);
}
