//! Bodies: whole or an error, and never more than the cap.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use tenantry::{Error, Retry};
use tenantry_http::{Client, HttpSettings};

use crate::server::{Reply, Server, answer, client, json};

async fn get(server: &Server) -> Result<tenantry_http::Answer, Error> {
    client().send(&server.origin(), server.get("/users")).await
}

fn small() -> Client {
    Client::new(&HttpSettings { max_body: 1 << 20, ..HttpSettings::default() }).unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn is_cut_off(error: &Error) -> bool {
    error.kind().as_str() == "unavailable"
        && error.retry() == Retry::Backoff
        && error.message() == "the answer ended early"
}

#[tokio::test]
async fn a_body_that_ends_before_its_length_is_unavailable() {
    let cut = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"value\":[".to_vec();
    let server = Server::start(move |_, _| Reply::Close(cut.clone())).await;
    let error = get(&server).await.unwrap_err();
    assert!(is_cut_off(&error), "{error:?}");
}

#[tokio::test]
async fn a_body_that_ends_before_its_last_chunk_is_unavailable() {
    let cut = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n".to_vec();
    let server = Server::start(move |_, _| Reply::Close(cut.clone())).await;
    let error = get(&server).await.unwrap_err();
    assert!(is_cut_off(&error), "{error:?}");
}

#[tokio::test]
async fn a_packed_body_that_is_cut_off_is_unavailable() {
    let mut packed = gzip(&[7; 10_000]);
    packed.truncate(packed.len() - 12);
    let server = Server::always(answer("200 OK", "content-encoding: gzip\r\n", packed)).await;
    let error = get(&server).await.unwrap_err();
    assert!(is_cut_off(&error), "{error:?}");
}

#[tokio::test]
async fn a_body_that_cannot_be_unpacked_is_a_protocol_error() {
    let server = Server::always(answer("200 OK", "content-encoding: gzip\r\n", "this is not packed")).await;
    let error = get(&server).await.unwrap_err();
    assert_eq!(error.kind().as_str(), "protocol", "{error:?}");
}

#[tokio::test]
async fn a_packed_body_comes_unpacked() {
    let server = Server::always(answer("200 OK", "content-encoding: gzip\r\n", gzip(b"[1,2,3]"))).await;
    assert_eq!(get(&server).await.unwrap().json::<Vec<u8>>().unwrap(), [1, 2, 3]);
    assert!(server.seen()[0].text.contains("gzip"), "packing was not asked for");
}

#[tokio::test]
async fn a_small_body_that_unpacks_to_a_huge_one_is_refused() {
    let bomb = gzip(&vec![0; 64 << 20]);
    assert!(bomb.len() < 1 << 20, "it is itself smaller than the cap");
    let server = Server::always(answer("200 OK", "content-encoding: gzip\r\n", bomb)).await;
    let error = small().send(&server.origin(), server.get("/")).await.unwrap_err();
    assert_eq!((error.kind().as_str(), error.retry()), ("protocol", Retry::Never), "{error:?}");
    assert_eq!(error.context("bytes at most"), Some("1048576"));
}

#[tokio::test]
async fn a_body_without_end_is_refused_at_the_cap() {
    let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    let mut piece = b"10000\r\n".to_vec();
    piece.extend(vec![b' '; 0x10000]);
    piece.extend(b"\r\n");
    let server = Server::start(move |_, _| Reply::Endless(head.clone(), piece.clone())).await;
    let error = small().send(&server.origin(), server.get("/")).await.unwrap_err();
    assert_eq!((error.kind().as_str(), error.retry()), ("protocol", Retry::Never), "{error:?}");
}

#[tokio::test]
async fn a_body_that_says_it_is_huge_is_refused_before_it_comes() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n".to_vec();
    let server = Server::start(move |_, _| Reply::Hang(head.clone())).await;
    let error = small().send(&server.origin(), server.get("/")).await.unwrap_err();
    assert_eq!(error.kind().as_str(), "protocol", "{error:?}");
}

#[tokio::test]
async fn a_body_of_just_the_cap_is_read() {
    let server = Server::always(answer("200 OK", "", vec![b'x'; 1 << 20])).await;
    assert_eq!(small().send(&server.origin(), server.get("/")).await.unwrap().body.len(), 1 << 20);
    let server = Server::always(answer("200 OK", "", vec![b'x'; (1 << 20) + 1])).await;
    assert!(small().send(&server.origin(), server.get("/")).await.is_err());
}

#[tokio::test]
async fn an_html_page_in_place_of_json_is_named_as_one_and_may_pass_by() {
    let page = "<!DOCTYPE html><p>CANARY";
    let pages = [("content-type: text/html; charset=utf-8\r\n", page), ("content-type: application/json\r\n", page)];
    for (headers, body) in pages {
        let server = Server::always(answer("200 OK", headers, body)).await;
        let answer = get(&server).await.unwrap();
        assert!(answer.is_html());
        let error = answer.json::<serde_json::Value>().unwrap_err();
        assert_eq!((error.kind().as_str(), error.retry()), ("protocol", Retry::Backoff));
        assert!(error.message().contains("HTML") && !format!("{error:?}").contains("CANARY"), "{error:?}");
    }
}

#[tokio::test]
async fn json_that_cannot_be_read_tells_where_and_nothing_of_what() {
    #[derive(Debug, serde::Deserialize)]
    struct Page {
        #[allow(dead_code, reason = "it is only read")]
        value: u32,
    }
    let cases = [
        (r#"{"value": "CANARY"#, Retry::Backoff),
        (r#"{"value": CANARY}"#, Retry::Never),
        (r#"{"value": "CANARY"}"#, Retry::Never),
        ("", Retry::Backoff),
    ];
    for (body, retry) in cases {
        let server = Server::always(json(body)).await;
        let error = get(&server).await.unwrap().json::<Page>().unwrap_err();
        assert_eq!((error.kind().as_str(), error.retry()), ("protocol", retry), "{body}");
        assert_eq!(error.context("content type"), Some("application/json"));
        assert!(error.context("line").is_some() && error.context("column").is_some());
        assert!(!format!("{error:?} {error}").contains("CANARY"), "{error:?}");
    }
}

#[tokio::test]
async fn a_refusal_is_an_answer_with_its_own_wait() {
    let server = Server::always(answer("429 Too Many Requests", "Retry-After: 1.5\r\n", "{}")).await;
    let answer = get(&server).await.unwrap();
    let error = answer.refusal(0);
    assert_eq!(error.kind().as_str(), "throttled");
    assert_eq!(error.retry(), Retry::After(std::time::Duration::from_millis(1_500)));
    assert_eq!(answer.header("retry-after"), Some("1.5"));
    let server = Server::always(crate::server::answer("504 Gateway Timeout", "", "")).await;
    let error = get(&server).await.unwrap().refusal(0);
    assert_eq!((error.kind().as_str(), error.retry()), ("unavailable", Retry::Backoff));
}
