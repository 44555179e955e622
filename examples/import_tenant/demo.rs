//! The demo tenant: a fake domain controller and a fake Microsoft Graph in this process, and a configuration that the real
//! connectors read.

use std::ffi::OsString;
use std::io;
use std::path::Path;

use tenantry::{Error, Result};
use tenantry_config::{Environment, TenantConfig};
use tenantry_fakes::graph::FakeGraph;
use tenantry_fakes::ldap::{Directory, FakeLdap};

use crate::demo_cloud;

const TENANT: &str = include_str!("../../fixtures/demo/tenant.ldif");
const CHANGES: &str = include_str!("../../fixtures/demo/changes.ldif");

/// Opens nothing: the server lives as long as this process.
const PASSWORD: &str = "a-tide-table-and-two-gulls";

/// Running directories and the configuration to reach them.
#[derive(Debug)]
pub(crate) struct Demo {
    server: FakeLdap,
    cloud: FakeGraph,
    config: TenantConfig,
}

/// Gives the configuration its secrets and its certificate without a file or a variable.
struct DemoEnvironment<'a> {
    ca_pem: &'a str,
    client_secret: &'a str,
}

impl Environment for DemoEnvironment<'_> {
    fn variable(&self, name: &str) -> Option<OsString> {
        match name {
            "DEMO_PASSWORD" => Some(PASSWORD.into()),
            "DEMO_CLIENT_SECRET" => Some(self.client_secret.into()),
            _ => None,
        }
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        match path.file_name() {
            Some(name) if name == "ca.pem" => Ok(self.ca_pem.as_bytes().to_vec()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

impl Demo {
    /// Starts the directories.
    pub(crate) async fn start() -> Result<Self> {
        let directory = Directory::from_ldif(TENANT).map_err(|error| broken("tenant.ldif", &error))?;
        directory.set_password("sync", PASSWORD);
        // With this right a removal is proven by the directory's own tombstone.
        directory.rights("sync").read_deleted(true);
        // Every domain that is in use has deleted something; only then can it be told that tombstones are readable.
        directory.delete("copier");
        let cloud = FakeGraph::start(demo_cloud::tenant(&directory)).await;
        let server = FakeLdap::start(directory).await;
        let secret = cloud.credentials().secret;
        let environment = DemoEnvironment { ca_pem: server.ca_pem(), client_secret: &secret };
        let config = TenantConfig::parse(&configuration(&server, &cloud), "tenant.toml", &environment)?;
        Ok(Self { server, cloud, config })
    }

    pub(crate) fn config(&self) -> &TenantConfig {
        &self.config
    }

    pub(crate) fn server(&self) -> &FakeLdap {
        &self.server
    }

    /// Lets a day pass in both directories.
    pub(crate) fn pass_a_day(&self) -> Result<()> {
        demo_cloud::pass_a_day(&self.cloud.tenant());
        self.server.directory().apply_ldif(CHANGES).map(drop).map_err(|error| broken("changes.ldif", &error))
    }
}

/// Writes the configuration as a person would, with this run's ports.
fn configuration(server: &FakeLdap, cloud: &FakeGraph) -> String {
    let (ad, graph, application) = (server.ldaps_url(), cloud.url(), cloud.credentials());
    let (tenant_id, client_id) = (application.tenant_id, application.client_id);
    format!(
        r#"
[customer]
name = "Harbour"
domains = ["harbour.example"]

[[endpoint]]
name = "ad"
title = "Harbour AD"
kind = "active-directory"
url = "{ad}"
bind = "sync@harbour.example"
password = {{ env = "DEMO_PASSWORD" }}
ca_file = "ca.pem"
exclude = ["OU=Attic,DC=harbour,DC=example", "OU=Service,DC=harbour,DC=example"]
contacts = true

[[endpoint]]
name = "cloud"
title = "Harbour Office 365"
kind = "office365"
tenant = "{tenant_id}"
client_id = "{client_id}"
client_secret = {{ env = "DEMO_CLIENT_SECRET" }}
login_url = "{graph}"
graph_url = "{graph}/v1.0"
"#
    )
}

fn broken(file: &'static str, error: &tenantry_fakes::ldap::LdifError) -> Error {
    Error::config("a fixture of the demo cannot be read").with_context("file", file).with_context("reason", error)
}
