//! Serves an LDIF file as a fake domain controller until interrupted; it knows nothing of tenantry.
//!
//! `cargo run -p tenantry-fakes --example serve_ldap -- tenant.ldif [ca.pem]`

use std::io::Write as _;

use tenantry_fakes::ldap::{Directory, FakeLdap};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().ok_or("usage: serve_ldap FILE.ldif [CA.pem]")?;
    let directory = Directory::from_ldif(&std::fs::read_to_string(&file)?)?;
    let server = FakeLdap::start(directory.clone()).await;
    if let Some(path) = arguments.next() {
        std::fs::write(path, server.ca_pem())?;
    }
    let mut out = std::io::stdout();
    writeln!(
        out,
        "{} and {} serve {} objects of {}",
        server.url(),
        server.ldaps_url(),
        directory.len(),
        directory.root()
    )?;
    out.flush()?;
    tokio::signal::ctrl_c().await?;
    server.shutdown().await;
    Ok(())
}
