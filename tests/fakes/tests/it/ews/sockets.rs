//! The fake behind real sockets, spoken to byte by byte; it knows no connector.

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject as _;
use tenantry_fakes::ews::{Call, FakeEws, Fault, On, Organisation, Recipient};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{basic, resolving, soap};

fn organisation() -> Organisation {
    let organisation = Organisation::new("corp.example");
    organisation.add(Recipient::user("ann"));
    organisation
}

fn text(organisation: &Organisation) -> String {
    let body = soap("", &resolving(r#"ReturnFullContactData="false""#, "ann"));
    let credentials = organisation.credentials();
    let authorization = basic(&credentials.name(), &credentials.password);
    format!(
        "POST /EWS/Exchange.asmx HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/xml\r\nAuthorization: {}\r\nContent-Length: {}\r\n\r\n{body}",
        authorization.to_str().unwrap(),
        body.len()
    )
}

/// Sends a request and reads the answer's head and what it announces; empty when the connection ends.
async fn exchange(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), request: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut got = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let read = stream.read(&mut buffer).await.unwrap_or(0);
        got.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&got).into_owned();
        let whole = text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            length.and_then(|length| length.parse().ok()) == Some(body.len())
        });
        if whole || read == 0 {
            return text;
        }
    }
}

#[tokio::test]
async fn a_connection_serves_one_call_after_another() {
    let server = FakeEws::start(organisation()).await;
    let request = text(&server.organisation());
    let address = server.url();
    let address = address.strip_prefix("http://").unwrap().split('/').next().unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    for _ in 0..2 {
        let answer = exchange(&mut stream, &request).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
        assert!(answer.contains("ann@corp.example"));
    }
    let lines = server.log().of(Call::ResolveNames);
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0].connection, lines[1].connection);
    server.shutdown().await;
}

#[tokio::test]
async fn the_same_is_served_over_tls_under_the_authority_that_is_told() {
    let server = FakeEws::start(organisation()).await;
    let request = text(&server.organisation());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(rustls::pki_types::CertificateDer::from_pem_slice(server.ca_pem().as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let address = server.https_url();
    let address = address.strip_prefix("https://").unwrap().split('/').next().unwrap();
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
    assert!(exchange(&mut stream, &request).await.contains("ann@corp.example"));
    server.shutdown().await;
}

#[tokio::test]
async fn calls_beyond_the_limit_at_a_time_are_refused_while_the_others_are_under_way() {
    let organisation = organisation();
    organisation.edit_settings(|settings| {
        settings.concurrency = Some(2);
        settings.latency = Duration::from_millis(300);
    });
    let server = FakeEws::start(organisation).await;
    let request = text(&server.organisation());
    let address = server.url();
    let address = address.strip_prefix("http://").unwrap().split('/').next().unwrap().to_owned();
    let calls: Vec<_> = (0..5)
        .map(|_| {
            let (address, request) = (address.clone(), request.clone());
            tokio::spawn(async move { exchange(&mut TcpStream::connect(&address).await.unwrap(), &request).await })
        })
        .collect();
    let mut good = 0;
    for call in calls {
        good += usize::from(call.await.unwrap().starts_with("HTTP/1.1 200"));
    }
    assert!((2..5).contains(&good), "{good}");
    assert_eq!(server.log().answered("ErrorExceededConnectionCount"), 5 - good as u64);
    assert_eq!(server.log().peak(), 2);
    // There is room again afterwards.
    let mut stream = TcpStream::connect(&address).await.unwrap();
    assert!(exchange(&mut stream, &request).await.starts_with("HTTP/1.1 200"));
    server.shutdown().await;
}

#[tokio::test]
async fn connections_are_cut_before_and_inside_an_answer() {
    let server = FakeEws::start(organisation()).await;
    let request = text(&server.organisation());
    let address = server.url();
    let address = address.strip_prefix("http://").unwrap().split('/').next().unwrap();
    server.faults().on(On::any().nth(1), Fault::Cut);
    server.faults().on(On::any().nth(2), Fault::CutInside);
    assert_eq!(exchange(&mut TcpStream::connect(address).await.unwrap(), &request).await, "");
    let half = exchange(&mut TcpStream::connect(address).await.unwrap(), &request).await;
    assert!(half.starts_with("HTTP/1.1 200") && !half.contains("</s:Envelope>"));
    server.shutdown().await;
}
