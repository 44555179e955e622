//! Certificates: believed or explained.

use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tenantry::Result;
use tenantry_http::{Answer, Client, HttpSettings, Origin};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::server::{Reply, Server, get, json, serve};

struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, "Test CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    fn acceptor(&self, name: &str, expired: bool) -> TlsAcceptor {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        if expired {
            params.not_after = rcgen::date_time_ymd(2001, 1, 1);
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

async fn ask(acceptor: TlsAcceptor, ca: Option<&str>) -> Result<Answer> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("https://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    serve(stream, 0, Arc::<Mutex<_>>::default(), Arc::new(|_, _: &str| Reply::Go(json("[1]")))).await;
                }
            });
        }
    });
    let settings = HttpSettings { ca_pem: ca.map(|pem| pem.as_bytes().to_vec()), ..HttpSettings::default() };
    Client::new(&settings)?.send(&Origin::parse(&address, false)?, get(&address)).await
}

#[tokio::test]
async fn an_own_authority_is_believed_when_it_is_configured() {
    let authority = Authority::new();
    let answer = ask(authority.acceptor("127.0.0.1", false), Some(&authority.pem)).await.unwrap();
    assert_eq!(answer.json::<Vec<u8>>().unwrap(), [1]);
}

#[tokio::test]
async fn an_unknown_authority_is_a_mistake_of_the_configuration_with_its_remedy() {
    let authority = Authority::new();
    let error = ask(authority.acceptor("127.0.0.1", false), None).await.unwrap_err();
    assert_eq!(error.kind().as_str(), "config", "{error:?}");
    assert!(error.message().contains("ca_file"), "{error}");
    let other = Authority::new();
    assert!(ask(authority.acceptor("127.0.0.1", false), Some(&other.pem)).await.is_err());
}

#[tokio::test]
async fn a_certificate_for_another_name_or_of_another_time_is_refused() {
    let authority = Authority::new();
    let error = ask(authority.acceptor("directory.example", false), Some(&authority.pem)).await.unwrap_err();
    assert!(error.kind().as_str() == "config" && error.message().contains("name"), "{error:?}");
    let error = ask(authority.acceptor("127.0.0.1", true), Some(&authority.pem)).await.unwrap_err();
    assert!(error.kind().as_str() == "config" && error.message().contains("expired"), "{error:?}");
}

#[tokio::test]
async fn a_port_that_does_not_speak_tls_is_told_so() {
    let server = Server::start(|_, _| Reply::Close(Vec::new())).await;
    drop(server);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("https://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let client = Client::new(&HttpSettings::default()).unwrap();
    let error = client.send(&Origin::parse(&address, false).unwrap(), get(&address)).await.unwrap_err();
    assert!(error.kind().as_str() == "config" && error.message().contains("speak TLS"), "{error:?}");
}
