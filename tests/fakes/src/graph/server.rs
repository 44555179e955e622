//! The running fake on a loopback port; it knows no resource.

use super::apps::Credentials;
use super::faults::Faults;
use super::log::RequestLog;
use super::tenant::Tenant;
use crate::http::HttpServer;

/// A tenant behind a fast server of its own; dropping it ends every connection.
#[derive(Debug)]
pub struct FakeGraph {
    tenant: Tenant,
    server: HttpServer,
}

impl FakeGraph {
    /// Serves a tenant, which stays editable through its other handles.
    ///
    /// # Panics
    /// When no loopback port can be had.
    pub async fn start(tenant: Tenant) -> Self {
        let server = HttpServer::start(tenant.handler()).await;
        Self { tenant, server }
    }

    /// Serves a tenant on this port of 127.0.0.1.
    ///
    /// # Errors
    /// When the port cannot be had.
    pub async fn start_at(tenant: Tenant, port: u16) -> std::io::Result<Self> {
        let server = HttpServer::start_at(tenant.handler(), port).await?;
        Ok(Self { tenant, server })
    }

    /// Returns the address of Graph and of the login, such as `http://127.0.0.1:4711`; `/v1.0` is not part of it.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Returns the address for tokens.
    pub fn token_url(&self) -> String {
        format!("{}/{}/oauth2/v2.0/token", self.server.url(), self.tenant.tenant_id())
    }

    /// Returns the credentials of the application that every tenant has.
    pub fn credentials(&self) -> Credentials {
        self.tenant.credentials()
    }

    /// Returns a handle to the tenant.
    pub fn tenant(&self) -> Tenant {
        self.tenant.clone()
    }

    /// Returns a handle to the faults.
    pub fn faults(&self) -> Faults {
        self.tenant.faults()
    }

    /// Returns a handle to the record of requests.
    pub fn log(&self) -> RequestLog {
        self.tenant.log()
    }

    /// Stops the server and ends every connection; returns when the sockets are closed.
    pub async fn shutdown(self) {
        self.server.shutdown().await;
    }
}
