//! An OpenLDAP server: a directory with `entryUUID`, referential integrity and content synchronisation.
//!
//! It must not be shared between tests.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::address::AddressClaim;
use crate::availability;
use crate::certificate;
use crate::client::{LdapClient, scratch_file};
use crate::error::{Attempt, LiveError, Result};
use crate::ldif::LdifEntry;
use crate::probe;
use crate::running::{RunDirectory, RunningServer, live_directory, run};

/// Not in everybody's search path.
const PROGRAM: &str = "/usr/sbin/slapd";
const BASE_DN: &str = "dc=plain,dc=example";
const ADMIN_DN: &str = "cn=admin,dc=plain,dc=example";
const ADMIN_PASSWORD: &str = "Passw0rd!Test1";
// Ports for which nobody needs to be root.
const LDAP: u16 = 1389;
const LDAPS: u16 = 1636;

/// An OpenLDAP server on a loopback address of its own; stopped and removed with this value.
#[derive(Debug)]
pub struct OpenLdap {
    // Dropped in this order: first the process, then its files, then its address.
    server: Option<RunningServer>,
    run: RunDirectory,
    claim: AddressClaim,
    ca_pem: String,
}

impl OpenLdap {
    /// Tells why the server cannot run on this machine.
    pub fn available() -> Result<(), String> {
        availability::programs(&[PROGRAM, "ldapsearch", "ldapmodify"])
    }

    /// Starts a server that holds the entries of the LDIF text, or only its base when the text is empty.
    ///
    /// The text is loaded without overlays: a `memberOf` that is wanted must be in it, or be made by a later write.
    pub fn start(ldif: &str) -> Result<Self> {
        let claim = AddressClaim::new(live_directory()?, &[LDAP, LDAPS])?;
        let run = RunDirectory::new()?;
        for part in ["db", "log", "tls"] {
            fs::create_dir_all(run.path().join(part)).attempt(part)?;
        }
        let ca_pem = certificate::write(&run.path().join("tls"), claim.address(), "ldap.plain.example")?;
        write_conf(run.path())?;
        let mut server = Self { server: None, run, claim, ca_pem };
        server.load(ldif)?;
        server.restart()?;
        Ok(server)
    }

    /// Stops the server, if it runs, and starts it on the same data.
    pub fn restart(&mut self) -> Result<()> {
        self.stop();
        let mut command = self.slapd(&[]);
        let address = self.address();
        command.args(["-d", "0", "-h", &format!("{}/ {}/", self.ldap_url(), self.ldaps_url())]);
        let ready = || probe::root_dse_has(address, LDAP, "supportedLDAPVersion", "3");
        self.server = Some(RunningServer::start(&mut command, self.run.path(), ready)?);
        Ok(())
    }

    /// Stops the server; its data stays.
    pub fn stop(&mut self) {
        self.server = None;
    }

    /// Returns the address on which it alone listens.
    pub const fn address(&self) -> Ipv4Addr {
        self.claim.address()
    }

    /// Returns the URL without TLS, where `StartTLS` works.
    pub fn ldap_url(&self) -> String {
        format!("ldap://{}:{LDAP}", self.address())
    }

    /// Returns the URL with TLS; the certificate names the address.
    pub fn ldaps_url(&self) -> String {
        format!("ldaps://{}:{LDAPS}", self.address())
    }

    /// Returns the certificate authority to trust.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// Returns the file with the certificate authority to trust.
    pub fn ca_file(&self) -> PathBuf {
        self.run.path().join("tls/ca.pem")
    }

    /// Returns the distinguished name of the base.
    pub const fn base_dn(&self) -> &'static str {
        BASE_DN
    }

    /// Returns the distinguished name of the administrator, whom no limit holds.
    pub const fn admin_dn(&self) -> &'static str {
        ADMIN_DN
    }

    /// Returns the administrator's password.
    pub const fn admin_password(&self) -> &'static str {
        ADMIN_PASSWORD
    }

    /// Returns an independent client bound as the given object.
    pub fn client(&self, dn: &str, password: &str) -> LdapClient {
        LdapClient {
            url: self.ldaps_url(),
            ca_file: self.ca_file(),
            scratch: self.run.path().to_owned(),
            user: dn.to_owned(),
            password: password.to_owned(),
        }
    }

    /// Returns an independent client bound as the administrator.
    pub fn admin(&self) -> LdapClient {
        self.client(ADMIN_DN, ADMIN_PASSWORD)
    }

    /// Adds the entries of an LDIF text as the administrator.
    pub fn ldapadd(&self, ldif: &str) -> Result<()> {
        self.admin().add(ldif)
    }

    /// Applies the change records of an LDIF text as the administrator.
    pub fn ldapmodify(&self, ldif: &str) -> Result<()> {
        self.admin().modify(ldif)
    }

    /// Reads a subtree as the administrator.
    pub fn ldapsearch(&self, base: &str, filter: &str, attributes: &[&str]) -> Result<Vec<LdifEntry>> {
        self.admin().search(base, filter, attributes)
    }

    fn load(&self, ldif: &str) -> Result<()> {
        let base = format!("dn: {BASE_DN}\nobjectClass: domain\ndc: plain\n\n");
        let file = scratch_file(self.run.path(), &format!("{base}{ldif}"))?;
        // The program reads `-T` only as its first argument.
        run(self.slapd(&["-T", "add", "-q"]).arg("-l").arg(file)).map(drop)
    }

    fn slapd(&self, first: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(first).arg("-f").arg(self.run.path().join("slapd.conf"));
        command
    }
}

fn write_conf(directory: &Path) -> Result<()> {
    let dir = directory.to_str().ok_or_else(|| LiveError::new("the directory of a server must be utf-8"))?;
    // A reader may read 500 entries at once and everything by pages, as on a careful administrator's server.
    let text = format!(
        "include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
include /etc/ldap/schema/nis.schema
pidfile {dir}/slapd.pid
argsfile {dir}/slapd.args
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload memberof
moduleload syncprov
moduleload refint
sizelimit size.soft=500 size.hard=2000 size.pr=1000 size.prtotal=unlimited
TLSCertificateFile {dir}/tls/cert.pem
TLSCertificateKeyFile {dir}/tls/key.pem
TLSCACertificateFile {dir}/tls/ca.pem
database mdb
suffix \"{BASE_DN}\"
rootdn \"{ADMIN_DN}\"
rootpw {ADMIN_PASSWORD}
directory {dir}/db
maxsize 1073741824
index objectClass,entryCSN,entryUUID eq
index uid,mail,cn,member,memberOf eq
access to attrs=userPassword by self write by anonymous auth by * none
access to * by users read by anonymous none
overlay memberof
memberof-group-oc groupOfNames
memberof-member-ad member
memberof-memberof-ad memberOf
overlay refint
refint_attributes member memberOf
overlay syncprov
syncprov-checkpoint 100 10
syncprov-sessionlog 1000
"
    );
    fs::write(directory.join("slapd.conf"), text).attempt("write slapd.conf")
}
