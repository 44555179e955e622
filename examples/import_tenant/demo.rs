//! The demo tenant: a fake domain controller in this process, and a configuration that the real connector reads.

use std::ffi::OsString;
use std::io;
use std::path::Path;

use tenantry::{Error, Result};
use tenantry_config::{Environment, TenantConfig};
use tenantry_fakes::ldap::{Directory, FakeLdap};

const TENANT: &str = include_str!("../../fixtures/demo/tenant.ldif");
const CHANGES: &str = include_str!("../../fixtures/demo/changes.ldif");

/// Opens nothing: the server lives as long as this process.
const PASSWORD: &str = "a-tide-table-and-two-gulls";

/// A running directory and the configuration to reach it.
#[derive(Debug)]
pub(crate) struct Demo {
    server: FakeLdap,
    config: TenantConfig,
}

/// Gives the configuration its secret and its certificate without a file or a variable.
struct DemoEnvironment<'a> {
    ca_pem: &'a str,
}

impl Environment for DemoEnvironment<'_> {
    fn variable(&self, name: &str) -> Option<OsString> {
        (name == "DEMO_PASSWORD").then(|| PASSWORD.into())
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        match path.file_name() {
            Some(name) if name == "ca.pem" => Ok(self.ca_pem.as_bytes().to_vec()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

impl Demo {
    /// Starts the directory.
    pub(crate) async fn start() -> Result<Self> {
        let directory = Directory::from_ldif(TENANT).map_err(|error| broken("tenant.ldif", &error))?;
        directory.set_password("sync", PASSWORD);
        // With this right a removal is proven by the directory's own tombstone.
        directory.rights("sync").read_deleted(true);
        // Every domain that is in use has deleted something; only then can it be told that tombstones are readable.
        directory.delete("copier");
        let server = FakeLdap::start(directory).await;
        let text = configuration(&server);
        let config = TenantConfig::parse(&text, "tenant.toml", &DemoEnvironment { ca_pem: server.ca_pem() })?;
        Ok(Self { server, config })
    }

    pub(crate) fn config(&self) -> &TenantConfig {
        &self.config
    }

    pub(crate) fn server(&self) -> &FakeLdap {
        &self.server
    }

    /// Lets a day pass in the directory.
    pub(crate) fn pass_a_day(&self) -> Result<()> {
        self.server.directory().apply_ldif(CHANGES).map(drop).map_err(|error| broken("changes.ldif", &error))
    }
}

/// Writes the configuration as a person would, with this run's port.
fn configuration(server: &FakeLdap) -> String {
    format!(
        r#"
[customer]
name = "Harbour"
domains = ["harbour.example"]

[[endpoint]]
name = "ad"
title = "Harbour AD"
kind = "active-directory"
url = "{}"
bind = "sync@harbour.example"
password = {{ env = "DEMO_PASSWORD" }}
ca_file = "ca.pem"
exclude = ["OU=Attic,DC=harbour,DC=example", "OU=Service,DC=harbour,DC=example"]
contacts = true
"#,
        server.ldaps_url()
    )
}

fn broken(file: &'static str, error: &tenantry_fakes::ldap::LdifError) -> Error {
    Error::config("a fixture of the demo cannot be read").with_context("file", file).with_context("reason", error)
}
