//! The server's certificate authority and certificate, made at start; it knows no protocol.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
    SignatureAlgorithm,
};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;

type Problem = Box<dyn std::error::Error + Send + Sync>;

pub(crate) struct Identity {
    pub(crate) ca_pem: String,
    /// The server's certificate in DER.
    pub(crate) certificate: Vec<u8>,
    pub(crate) acceptor: TlsAcceptor,
}

/// Makes a CA and a certificate for `names`, host names or addresses.
pub(crate) fn identity(names: &[String]) -> Result<Identity, Problem> {
    identity_by(names, &PKCS_ECDSA_P256_SHA256)
}

/// Makes a CA whose key signs in this way, and a certificate for `names`.
pub(crate) fn identity_by(names: &[String], algorithm: &'static SignatureAlgorithm) -> Result<Identity, Problem> {
    let mut authority = CertificateParams::new(Vec::<String>::new())?;
    authority.distinguished_name.push(DnType::CommonName, "Fake Directory CA");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let authority_key = KeyPair::generate_for(algorithm)?;
    let authority_certificate = authority.self_signed(&authority_key)?;
    let issuer = Issuer::new(authority, authority_key);

    let mut leaf = CertificateParams::new(names.to_vec())?;
    let name = names.first().map_or("directory", String::as_str);
    leaf.distinguished_name.push(DnType::CommonName, name);
    let leaf_key = KeyPair::generate()?;
    let leaf_certificate = leaf.signed_by(&leaf_key, &issuer)?;

    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(leaf_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![leaf_certificate.der().clone(), authority_certificate.der().clone()], key)?;
    Ok(Identity {
        ca_pem: authority_certificate.pem(),
        certificate: leaf_certificate.der().to_vec(),
        acceptor: TlsAcceptor::from(Arc::new(config)),
    })
}
