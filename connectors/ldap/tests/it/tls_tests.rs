//! Which certificates are believed, and what is said of the others.

use tenantry::{Error, ErrorKind, Retry};
use tenantry_ldap::{Encryption, Server, Session, Settings, Trust};

use crate::byte_server::{ByteServer, Peer, account, result};
use crate::certificates::{Authority, Certificate, Validity};

/// A server that speaks TLS at once and lets everybody bind.
async fn tls_server(certificate: &Certificate) -> ByteServer {
    let acceptor = certificate.acceptor();
    ByteServer::start(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                let mut peer = Peer(stream);
                peer.accept_bind().await;
                peer.until_closed().await;
            }
        }
    })
    .await
}

fn ldaps(server: &ByteServer) -> Server {
    server.server().with_encryption(Encryption::Tls)
}

fn settings(server: Server, authority: &Authority) -> Settings {
    Settings::new(vec![server], account()).trust(Trust::only(authority.pem().as_bytes()).unwrap())
}

async fn refusal(settings: &Settings) -> Error {
    let error = Session::connect(settings).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (&ErrorKind::Config, Retry::Never), "{error:?}");
    error
}

#[tokio::test]
async fn a_certificate_of_the_own_authority_is_believed() {
    let authority = Authority::new("Corp CA");
    let server = tls_server(&authority.issue(&["127.0.0.1"], Validity::Good)).await;
    let session = Session::connect(&settings(ldaps(&server), &authority)).await.unwrap();
    assert!(session.is_encrypted());
    let both = Trust::system_and(authority.pem().as_bytes()).unwrap();
    Session::connect(&Settings::new(vec![ldaps(&server)], account()).trust(both)).await.unwrap();
}

#[tokio::test]
async fn start_tls_is_done_before_the_bind() {
    let authority = Authority::new("Corp CA");
    let acceptor = authority.issue(&["127.0.0.1"], Validity::Good).acceptor();
    let server = ByteServer::start(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let mut peer = Peer(stream);
            let request = peer.request().await.unwrap();
            assert_eq!(request.operation, 0x77);
            peer.send(&result(request.id, 0x78, 0, "", &[])).await;
            let mut peer = Peer(acceptor.accept(peer.0).await.unwrap());
            peer.accept_bind().await;
            peer.until_closed().await;
        }
    })
    .await;
    let session = Session::connect(&settings(server.server(), &authority)).await.unwrap();
    assert!(session.is_encrypted());
}

#[tokio::test]
async fn an_unknown_authority_is_refused() {
    let server = tls_server(&Authority::new("Corp CA").issue(&["127.0.0.1"], Validity::Good)).await;
    let error = refusal(&settings(ldaps(&server), &Authority::new("Other CA"))).await;
    assert!(error.message().contains("not trusted; set ca_file"), "{error}");
    let namesake = refusal(&settings(ldaps(&server), &Authority::new("Corp CA"))).await;
    assert!(namesake.message().contains("older authority"), "{namesake:?}");
    // Nothing of this test is known to the operating system either.
    let system = Session::connect(&Settings::new(vec![ldaps(&server)], account())).await.unwrap_err();
    assert_eq!(*system.kind(), ErrorKind::Config);
}

#[tokio::test]
async fn a_certificate_for_another_host_is_refused_and_its_names_are_told() {
    let authority = Authority::new("Corp CA");
    let server = tls_server(&authority.issue(&["dc9.corp.example"], Validity::Good)).await;
    let error = refusal(&settings(ldaps(&server), &authority)).await;
    assert!(error.context("certificate is for").is_some_and(|names| names.contains("dc9.corp.example")), "{error}");
}

#[tokio::test]
async fn an_expired_certificate_is_refused() {
    let authority = Authority::new("Corp CA");
    let server = tls_server(&authority.issue(&["127.0.0.1"], Validity::Expired)).await;
    let error = refusal(&settings(ldaps(&server), &authority)).await;
    assert!(error.message().contains("expired"), "{error}");
}

#[tokio::test]
async fn a_server_without_tls_is_recognised() {
    let server = ByteServer::start(|stream| async move {
        let mut peer = Peer(stream);
        peer.send(b"220 mail.corp.example ESMTP\r\n").await;
        peer.until_closed().await;
    })
    .await;
    let error = refusal(&settings(ldaps(&server), &Authority::new("Corp CA"))).await;
    assert!(error.message().contains("does not speak TLS"), "{error}");
}

#[tokio::test]
async fn a_server_that_closes_during_the_handshake_is_unavailable() {
    let server = ByteServer::start(|stream| async move { drop(stream) }).await;
    let error = Session::connect(&settings(ldaps(&server), &Authority::new("Corp CA"))).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (&ErrorKind::Unavailable, Retry::Backoff));
}

#[tokio::test]
async fn a_server_with_a_bad_certificate_is_passed_over_and_told() {
    let authority = Authority::new("Corp CA");
    let bad = tls_server(&authority.issue(&["127.0.0.1"], Validity::Expired)).await;
    let good = tls_server(&authority.issue(&["127.0.0.1"], Validity::Good)).await;
    let mut settings = settings(ldaps(&bad), &authority);
    settings.servers.push(ldaps(&good));
    let session = Session::connect(&settings).await.unwrap();
    assert_eq!(session.skipped().len(), 1);
    assert_eq!(session.server().port(), good.address.port());
}
