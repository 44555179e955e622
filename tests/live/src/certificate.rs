//! A certificate authority and a server certificate for one server, made fresh for each.
//!
//! It must not write outside the directory it is given.

use std::fs::{self, Permissions};
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose, SanType};

use crate::error::{Attempt, Result};

/// Writes `ca.pem`, `cert.pem` and `key.pem` for the address and the name; returns the authority's PEM.
pub(crate) fn write(directory: &Path, address: Ipv4Addr, name: &str) -> Result<String> {
    let (authority, leaf, key) = make(address, name).attempt("make the server certificate")?;
    fs::create_dir_all(directory).attempt("create the certificate directory")?;
    for (file, text) in [("ca.pem", &authority), ("cert.pem", &leaf), ("key.pem", &key)] {
        let path = directory.join(file);
        fs::write(&path, text).attempt(file)?;
        // Samba exits when others may read the key.
        fs::set_permissions(&path, Permissions::from_mode(0o600)).attempt(file)?;
    }
    Ok(authority)
}

fn make(address: Ipv4Addr, name: &str) -> Result<(String, String, String), rcgen::Error> {
    let mut authority = CertificateParams::default();
    authority.distinguished_name.push(DnType::CommonName, "tenantry test authority");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;

    let mut leaf = CertificateParams::new(vec![name.to_owned()])?;
    leaf.distinguished_name.push(DnType::CommonName, name);
    leaf.subject_alt_names.push(SanType::IpAddress(address.into()));
    leaf.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate()?;
    let leaf = leaf.signed_by(&key, &authority)?;
    Ok((authority.pem(), leaf.pem(), key.serialize_pem()))
}
