//! A Samba domain controller: what Active Directory looks like to an LDAP client.
//!
//! It must not be shared between tests: each has its own, so that each may break it.

mod exchange;
mod image;
mod rights;

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

pub use image::Domain;
pub use rights::Account;

use crate::address::AddressClaim;
use crate::availability;
use crate::certificate;
use crate::client::{LdapClient, scratch_file};
use crate::error::{Attempt, LiveError, Result};
use crate::ldif::LdifEntry;
use crate::population::Population;
use crate::probe;
use crate::running::{RunDirectory, RunningServer, run};

const REALM: &str = "CORP.EXAMPLE";
const NETBIOS_DOMAIN: &str = "CORP";
const HOST: &str = "dc1";
const HOST_NAME: &str = "dc1.corp.example";
const BASE_DN: &str = "DC=corp,DC=example";
const ADMIN_USER: &str = "administrator@corp.example";
const ADMIN_PASSWORD: &str = "Passw0rd!Test1";
const PORTS: [u16; 4] = [389, 636, 3268, 3269];

/// A controller ends by itself after this many seconds, whatever became of its test.
const MAXIMUM_RUNTIME: u32 = 3600;

/// Whether a simple bind without TLS is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PlainBind {
    /// Refused with `strongerAuthRequired`, as by default.
    #[default]
    Refused,
    /// Accepted, as on old or careless controllers.
    Accepted,
}

/// What a controller begins with.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    /// The domain it holds.
    pub domain: Domain,
    /// Whether a simple bind without TLS is accepted.
    pub plain_bind: PlainBind,
    /// The objects in it beside those of every new domain.
    pub population: Option<Population>,
}

/// A domain controller on a loopback address of its own; stopped and removed with this value.
#[derive(Debug)]
pub struct SambaDc {
    // Dropped in this order: first the process, then its files, then its address.
    server: Option<RunningServer>,
    run: RunDirectory,
    claim: AddressClaim,
    conf: PathBuf,
    ca_pem: String,
    domain_sid: String,
}

impl SambaDc {
    /// Tells why no controller can run on this machine.
    pub fn available() -> Result<(), String> {
        let programs = ["samba", "samba-tool", "ldbmodify", "ldapsearch", "ldapmodify", "/usr/bin/python3"];
        availability::programs(&programs)?;
        availability::root()
    }

    /// Starts a controller of a new domain.
    pub fn provision() -> Result<Self> {
        Self::start_with(&Setup::default())
    }

    /// Starts a controller of a domain with the population in it.
    pub fn populated(population: Population) -> Result<Self> {
        Self::start_with(&Setup { population: Some(population), ..Setup::default() })
    }

    /// Starts a controller with everything chosen.
    pub fn start_with(setup: &Setup) -> Result<Self> {
        let claim = AddressClaim::new(crate::running::live_directory()?, &PORTS)?;
        let (run, conf) = image::clone(setup, claim.address())?;
        let ca_pem = certificate::write(&run.path().join("private/tls"), claim.address(), HOST_NAME)?;
        let domain_sid = fs::read_to_string(run.path().join(image::SID_FILE)).attempt(image::SID_FILE)?;
        let mut dc = Self { server: None, run, claim, conf, ca_pem, domain_sid };
        dc.start()?;
        Ok(dc)
    }

    /// Starts the controller again after [`stop`](Self::stop); does nothing while it runs.
    pub fn start(&mut self) -> Result<()> {
        if self.server.is_some() {
            return Ok(());
        }
        let mut command = Command::new("samba");
        // Interactive, because only then it ends when its standard input closes, as it does when a test is killed.
        command.arg("-s").arg(&self.conf).args(["-i", "--no-process-group", "-M", "single"]);
        command.arg(format!("--maximum-runtime={MAXIMUM_RUNTIME}"));
        let address = self.address();
        let ready = || probe::root_dse_has(address, 389, "isSynchronized", "TRUE");
        self.server = Some(RunningServer::start(&mut command, self.run.path(), ready)?);
        Ok(())
    }

    /// Stops the controller; its data stays.
    pub fn stop(&mut self) {
        // Stopped by being dropped.
        self.server = None;
    }

    /// Returns the process id while the controller runs.
    pub fn pid(&self) -> Option<u32> {
        self.server.as_ref().map(RunningServer::pid)
    }

    /// Returns the address on which it alone listens.
    pub const fn address(&self) -> Ipv4Addr {
        self.claim.address()
    }

    /// Returns the URL with TLS; the certificate names the address.
    pub fn ldaps_url(&self) -> String {
        format!("ldaps://{}", self.address())
    }

    /// Returns the URL without TLS, where `StartTLS` works.
    pub fn ldap_url(&self) -> String {
        format!("ldap://{}", self.address())
    }

    /// Returns the URL of the global catalogue, with TLS.
    pub fn global_catalogue_url(&self) -> String {
        format!("ldaps://{}:3269", self.address())
    }

    /// Returns the name in the certificate beside the address. It does not resolve.
    pub const fn host_name(&self) -> &'static str {
        HOST_NAME
    }

    /// Returns the certificate authority to trust.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// Returns the file with the certificate authority to trust.
    pub fn ca_file(&self) -> PathBuf {
        self.run.path().join("private/tls/ca.pem")
    }

    /// Returns the domain administrator's user principal name.
    pub const fn admin_user(&self) -> &'static str {
        ADMIN_USER
    }

    /// Returns the domain administrator's password.
    pub const fn admin_password(&self) -> &'static str {
        ADMIN_PASSWORD
    }

    /// Returns the distinguished name of the domain.
    pub const fn base_dn(&self) -> &'static str {
        BASE_DN
    }

    /// Returns the domain's DNS name.
    pub fn dns_domain(&self) -> String {
        REALM.to_lowercase()
    }

    /// Returns the domain's NetBIOS name.
    pub const fn netbios_domain(&self) -> &'static str {
        NETBIOS_DOMAIN
    }

    /// Returns the domain's security identifier.
    pub fn domain_sid(&self) -> &str {
        &self.domain_sid
    }

    /// Returns the directory that holds everything of this controller.
    pub fn directory(&self) -> &Path {
        self.run.path()
    }

    /// Returns an independent client bound as the given user.
    pub fn client(&self, user: &str, password: &str) -> LdapClient {
        LdapClient {
            url: self.ldaps_url(),
            ca_file: self.ca_file(),
            scratch: self.run.path().join("run"),
            user: user.to_owned(),
            password: password.to_owned(),
        }
    }

    /// Returns an independent client bound as the domain administrator.
    pub fn admin(&self) -> LdapClient {
        self.client(ADMIN_USER, ADMIN_PASSWORD)
    }

    /// Adds the entries of an LDIF text as the administrator.
    pub fn ldapadd(&self, ldif: &str) -> Result<()> {
        self.admin().add(ldif)
    }

    /// Applies the change records of an LDIF text as the administrator.
    pub fn ldapmodify(&self, ldif: &str) -> Result<()> {
        self.admin().modify(ldif)
    }

    /// Deletes an object as the administrator.
    pub fn ldapdelete(&self, dn: &str) -> Result<()> {
        self.admin().delete(dn)
    }

    /// Reads a subtree as the administrator.
    pub fn ldapsearch(&self, base: &str, filter: &str, attributes: &[&str]) -> Result<Vec<LdifEntry>> {
        self.admin().search(base, filter, attributes)
    }

    /// Runs `samba-tool` on the controller's own database; it works while the controller runs.
    pub fn samba_tool(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new("samba-tool");
        run(command.args(arguments).arg("-s").arg(&self.conf).arg("-H").arg(self.database()))
    }

    /// Applies an LDIF text to the files of a stopped controller, past the checks of LDAP.
    pub fn ldbmodify_offline(&self, ldif: &str, options: &[&str]) -> Result<()> {
        if self.server.is_some() {
            return Err(LiveError::new("ldbmodify needs a stopped controller"));
        }
        let file = scratch_file(self.run.path(), ldif)?;
        let mut command = Command::new("ldbmodify");
        command.arg(format!("--configfile={}", self.conf.display())).arg("-H").arg(self.database());
        run(command.args(options).arg(file)).map(drop)
    }

    fn database(&self) -> PathBuf {
        self.run.path().join("private/sam.ldb")
    }
}
