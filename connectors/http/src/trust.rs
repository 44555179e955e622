//! Whose certificates are believed, and what to say when one cannot be. It must not know what is asked over TLS.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{AlertDescription, CertificateError, ClientConfig, RootCertStore};
use std::sync::Arc;
use tenantry::{Error, ErrorKind, Result, Retry};

/// Builds the TLS side of a client: the operating system's authorities, and those of the PEM text.
///
/// It is built here and not by reqwest, because there the choice of roots and of the TLS library depends on what other
/// crates of the program ask of reqwest.
pub(crate) fn client_config(ca_pem: Option<&[u8]>) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    // A damaged certificate in the system's store is no reason to distrust the others.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    for authority in ca_pem.map(read_pem).transpose()?.unwrap_or_default() {
        roots.add(authority).map_err(|error| {
            Error::config("a certificate of the CA file cannot be used as an authority").with_source(error)
        })?;
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::config("TLS cannot be set up").with_source(error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// Checks that a PEM text holds certificates, for whoever reads a configuration.
///
/// # Errors
/// [`Config`](ErrorKind::Config) if it is no PEM or holds none.
pub fn check_authorities(pem: &[u8]) -> Result<()> {
    read_pem(pem).map(|_| ())
}

fn read_pem(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>> {
    let certificates = CertificateDer::pem_slice_iter(pem)
        .collect::<std::result::Result<Vec<_>, _>>()
        .map_err(|_| Error::config("the CA file is not valid PEM"))?;
    if certificates.is_empty() {
        return Err(Error::config("the CA file holds no certificate; it must be PEM with BEGIN CERTIFICATE"));
    }
    Ok(certificates)
}

/// Says what went wrong in a handshake and who can mend it.
pub(crate) fn refused(error: &rustls::Error) -> Error {
    match error {
        rustls::Error::InvalidCertificate(reason) => certificate(reason),
        rustls::Error::InvalidMessage(_) => {
            Error::config("the server does not speak TLS on this port; check scheme and port")
        }
        rustls::Error::AlertReceived(AlertDescription::ProtocolVersion) | rustls::Error::PeerIncompatible(_) => {
            Error::config("the server offers no TLS version or cipher that is safe; it needs TLS 1.2 or newer")
        }
        // A server that is being restarted, or a balancer with nothing behind it, does this for a while.
        _ => Error::new(ErrorKind::Unavailable, "the TLS handshake failed").with_retry(Retry::Backoff),
    }
}

fn certificate(reason: &CertificateError) -> Error {
    match reason {
        CertificateError::UnknownIssuer => Error::config(
            "the server's certificate is signed by an authority that is not trusted; set ca_file to the PEM of that \
             authority, or of the one of a proxy that opens TLS",
        ),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            Error::config("the server's certificate is for another name; use a name that it is for")
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            Error::config("the server's certificate has expired; renew it, or check the clock of this machine")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            Error::config("the server's certificate is not valid yet; check the clocks")
        }
        CertificateError::Revoked => Error::config("the server's certificate is revoked"),
        // Among others a self-signed certificate that says of itself that it is an authority.
        _ => Error::config("the server's certificate is not acceptable; issue one from an authority"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ca_file_without_a_certificate_is_refused() {
        for pem in ["", "hello", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"] {
            assert_eq!(client_config(Some(pem.as_bytes())).unwrap_err().kind().as_str(), "config", "{pem:?}");
        }
        assert!(client_config(None).is_ok());
    }
}
