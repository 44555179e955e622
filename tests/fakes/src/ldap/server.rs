//! The running server: its sockets, its handles, its end; it knows no message.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

use super::directory::Directory;
use super::faults::Faults;
use super::log::RequestLog;
use super::session::{self, Shared};
use super::settings::Settings;
use crate::tls;

/// A fake domain controller on loopback ports of its own; dropping it ends every connection.
pub struct FakeLdap {
    shared: Shared,
    plain: SocketAddr,
    tls: SocketAddr,
    ca_pem: String,
    acceptor: JoinHandle<()>,
}

impl fmt::Debug for FakeLdap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeLdap").field("plain", &self.plain).field("tls", &self.tls).finish_non_exhaustive()
    }
}

impl FakeLdap {
    /// Starts a server over a directory, which stays editable through its other handles.
    ///
    /// # Panics
    /// When no loopback port can be had or no certificate can be made.
    pub async fn start(directory: Directory) -> Self {
        Self::start_with(directory, Settings::default()).await
    }

    /// Starts a server with other limits and policies.
    ///
    /// # Panics
    /// When no loopback port can be had or no certificate can be made for the names in the settings.
    pub async fn start_with(directory: Directory, settings: Settings) -> Self {
        let mut names = settings.certificate_names.clone();
        if !settings.only_these_names {
            names.push(directory.dns_host());
        }
        let identity = tls::identity(&names).expect("a certificate can be made for host names and addresses");
        let plain = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port is free");
        let secure = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port is free");
        let shared = Shared {
            directory,
            settings: Arc::new(Mutex::new(settings)),
            faults: Faults::default(),
            log: RequestLog::default(),
            acceptor: identity.acceptor,
        };
        let address = |listener: &TcpListener| listener.local_addr().expect("a bound socket has an address");
        let addresses = (address(&plain), address(&secure));
        let acceptor = tokio::spawn(accept(shared.clone(), plain, secure));
        Self { shared, plain: addresses.0, tls: addresses.1, ca_pem: identity.ca_pem, acceptor }
    }

    /// Returns the address for plain connections and StartTLS.
    pub fn url(&self) -> String {
        format!("ldap://{}", self.plain)
    }

    /// Returns the address for LDAPS.
    pub fn ldaps_url(&self) -> String {
        format!("ldaps://{}", self.tls)
    }

    /// Returns the port for plain connections and StartTLS.
    pub fn port(&self) -> u16 {
        self.plain.port()
    }

    /// Returns the port for LDAPS.
    pub fn ldaps_port(&self) -> u16 {
        self.tls.port()
    }

    /// Returns the certificate of the authority that signed the server's.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// Returns a handle to the directory.
    pub fn directory(&self) -> Directory {
        self.shared.directory.clone()
    }

    /// Returns a handle to the faults.
    pub fn faults(&self) -> Faults {
        self.shared.faults.clone()
    }

    /// Returns a handle to the record of requests.
    pub fn log(&self) -> RequestLog {
        self.shared.log.clone()
    }

    /// Changes limits and policies for requests to come; names in the certificate stay.
    pub fn edit_settings(&self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.shared.settings.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Stops the server and ends every connection; returns when the sockets are closed.
    pub async fn shutdown(mut self) {
        self.acceptor.abort();
        // The task's end by abortion is the very thing that is waited for.
        let _ = (&mut self.acceptor).await;
    }
}

impl Drop for FakeLdap {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

async fn accept(shared: Shared, plain: TcpListener, secure: TcpListener) {
    // Connections end with this set, which ends with this task.
    let mut connections = JoinSet::new();
    let mut number = 0;
    loop {
        let (accepted, tls) = tokio::select! {
            accepted = plain.accept() => (accepted, false),
            accepted = secure.accept() => (accepted, true),
        };
        let Ok((stream, _)) = accepted else { continue };
        number += 1;
        connections.spawn(session::serve(shared.clone(), stream, number, tls));
        while connections.try_join_next().is_some() {}
    }
}
