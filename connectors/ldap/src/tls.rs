//! Trust and handshake: whom to believe, and what to say when a certificate cannot be believed.
//!
//! It knows nothing of LDAP. Without a CA of one's own the operating system's store decides (`rustls-native-certs`, which
//! honours `SSL_CERT_FILE`), because domain controllers are usually certified by the company's own authority, which
//! administrators put there. Names are always checked; there is no way to turn verification off.

use std::io;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{AlertDescription, CertificateError, ClientConfig, RootCertStore};
use tenantry::{Error, ErrorKind, Result, Retry};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Whether the operating system's authorities are trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SystemRoots {
    Trusted,
    Ignored,
}

/// Whose certificates are believed.
#[derive(Debug, Clone)]
pub struct Trust {
    system: SystemRoots,
    authorities: Vec<CertificateDer<'static>>,
}

impl Default for Trust {
    fn default() -> Self {
        Self::system()
    }
}

impl Trust {
    /// Trusts the authorities of the operating system.
    pub fn system() -> Self {
        Self { system: SystemRoots::Trusted, authorities: Vec::new() }
    }

    /// Trusts only the authorities in this PEM text.
    pub fn only(pem: &[u8]) -> Result<Self> {
        Ok(Self { system: SystemRoots::Ignored, authorities: read_pem(pem)? })
    }

    /// Trusts the authorities of the operating system and those in this PEM text.
    pub fn system_and(pem: &[u8]) -> Result<Self> {
        Ok(Self { system: SystemRoots::Trusted, authorities: read_pem(pem)? })
    }

    /// Builds the configuration of a client.
    pub(crate) fn client_config(&self) -> Result<Arc<ClientConfig>> {
        let mut roots = RootCertStore::empty();
        for authority in &self.authorities {
            roots.add(authority.clone()).map_err(|error| {
                Error::config("a certificate of the CA file cannot be used as an authority").with_source(error)
            })?;
        }
        if self.system == SystemRoots::Trusted {
            // A damaged certificate in the system's store is no reason to distrust the others.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        if roots.is_empty() {
            return Err(Error::config("the operating system knows no certificate authority; set ca_file"));
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::config("TLS cannot be set up").with_source(error))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Arc::new(config))
    }
}

fn read_pem(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>> {
    let certificates = CertificateDer::pem_slice_iter(pem)
        .collect::<std::result::Result<Vec<_>, _>>()
        .map_err(|error| Error::config("the CA file is not valid PEM").with_source(error))?;
    if certificates.is_empty() {
        return Err(Error::config("the CA file holds no certificate; it must be PEM with BEGIN CERTIFICATE"));
    }
    Ok(certificates)
}

/// Does the handshake, checking the certificate against the trust and the host's name.
pub(crate) async fn handshake<S>(config: Arc<ClientConfig>, host: &str, stream: S) -> Result<TlsStream<S>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| Error::config("the host is neither a DNS name nor an address").with_context("host", host))?;
    TlsConnector::from(config).connect(name, stream).await.map_err(|error| translate(error, host))
}

fn translate(error: io::Error, host: &str) -> Error {
    let reason = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let translated = match reason {
        Some(rustls::Error::InvalidCertificate(reason)) => certificate(reason),
        Some(rustls::Error::InvalidMessage(_)) => {
            Error::config("the server does not speak TLS on this port; check scheme and port")
        }
        Some(rustls::Error::AlertReceived(AlertDescription::ProtocolVersion) | rustls::Error::PeerIncompatible(_)) => {
            Error::config("the server offers no TLS version or cipher that is safe; it needs TLS 1.2 or newer")
        }
        Some(rustls::Error::AlertReceived(_)) => Error::config("the server refused the TLS handshake"),
        Some(_) => Error::protocol("the TLS handshake failed"),
        None => Error::new(
            ErrorKind::Unavailable,
            "the connection ended during the TLS handshake; a domain controller without a certificate does that",
        )
        .with_retry(Retry::Backoff),
    };
    translated.with_context("host", host).with_source(error)
}

fn certificate(reason: &CertificateError) -> Error {
    match reason {
        CertificateError::UnknownIssuer => Error::config(
            "the server's certificate is signed by an authority that is not trusted; set ca_file to the PEM of that \
             authority",
        ),
        CertificateError::NotValidForName => {
            Error::config("the server's certificate is for another name; connect by the name in the certificate")
        }
        CertificateError::NotValidForNameContext { presented, .. } => {
            let names = if presented.is_empty() { "no name at all".to_owned() } else { presented.join(", ") };
            Error::config("the server's certificate is for another name; connect by a name in the certificate")
                .with_context("certificate is for", names)
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            Error::config("the server's certificate has expired; renew it")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            Error::config("the server's certificate is not valid yet; check the clocks")
        }
        CertificateError::BadSignature => Error::config(
            "the server's certificate is not signed by the authority that it names; ca_file may be of an older authority \
             of the same name",
        ),
        CertificateError::Revoked => Error::config("the server's certificate is revoked"),
        // Among others a self-signed certificate that says of itself that it is an authority.
        _ => Error::config("the server's certificate is not acceptable; issue one from an authority"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ca_file_without_certificates_is_refused() {
        assert!(Trust::only(b"").is_err());
        assert!(Trust::only(b"-----BEGIN CERTIFICATE-----\n%%%\n-----END CERTIFICATE-----\n").is_err());
    }
}
