//! Starts an OpenLDAP server in a temporary directory on free loopback ports.
//!
//! It knows nothing of the crate under test.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::certificates::{Authority, Validity};

pub(crate) const SUFFIX: &str = "dc=corp,dc=example";
pub(crate) const ADMIN: &str = "cn=admin,dc=corp,dc=example";
pub(crate) const PASSWORD: &str = "Passw0rd!Test1";
pub(crate) const PEOPLE: usize = 2500;

/// A running server; it ends when dropped.
pub(crate) struct Slapd {
    child: Child,
    pub(crate) plain: u16,
    pub(crate) tls: u16,
    pub(crate) authority: Authority,
    _directory: tempfile::TempDir,
}

impl Slapd {
    /// Starts one with `extra` lines of global configuration, or tells loudly why it cannot.
    pub(crate) async fn start(suite: &str, extra: &str) -> Option<Self> {
        let Some(binary) = find("slapd") else {
            assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "slapd is missing: {suite} must run in CI");
            // Past the test harness, which hides what a passing test prints.
            let line = format!("\nSKIPPED: {suite}: slapd is not installed (apt-get install slapd)\n");
            std::io::stderr().write_all(line.as_bytes()).unwrap();
            return None;
        };
        let directory = tempfile::tempdir().unwrap();
        let authority = Authority::new("Corp CA");
        let config = configure(directory.path(), &authority, extra);
        let ldif = directory.path().join("people.ldif");
        fs::write(&ldif, people()).unwrap();
        let added =
            Command::new(&binary).args(["-T", "add", "-q", "-f"]).arg(&config).arg("-l").arg(&ldif).output().unwrap();
        assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
        // Another program may take a port between choosing and using it.
        for _ in 0..5 {
            let (plain, tls) = (free_port(), free_port());
            let mut child = Command::new(&binary)
                .args(["-d", "0", "-h", &format!("ldap://127.0.0.1:{plain} ldaps://127.0.0.1:{tls}"), "-f"])
                .arg(&config)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            if is_up(&mut child, plain).await {
                return Some(Self { child, plain, tls, authority, _directory: directory });
            }
            let _ = child.kill();
            let _ = child.wait();
        }
        panic!("slapd does not start");
    }

    /// Ends the server at once.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Slapd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn is_up(child: &mut Child, port: u16) -> bool {
    let mut tick = tokio::time::interval(Duration::from_millis(20));
    for _ in 0..500 {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return true;
        }
        tick.tick().await;
    }
    false
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/lib/openldap".into()]);
    places.map(|place: PathBuf| place.join(program)).find(|file| file.is_file())
}

fn configure(directory: &Path, authority: &Authority, extra: &str) -> PathBuf {
    let certificate = authority.issue(&["127.0.0.1", "localhost"], Validity::Good);
    let file = |name: &str, text: &str| {
        let path = directory.join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let ca = file("ca.pem", &authority.pem());
    let certificate_file = file("server.pem", &certificate.pem);
    let key_file = file("server.key", &certificate.key_pem);
    let data = directory.join("data");
    fs::create_dir(&data).unwrap();
    let text = format!(
        "include /etc/ldap/schema/core.schema\n\
         include /etc/ldap/schema/cosine.schema\n\
         include /etc/ldap/schema/inetorgperson.schema\n\
         modulepath /usr/lib/ldap\n\
         moduleload back_mdb\n\
         TLSCACertificateFile {ca}\n\
         TLSCertificateFile {certificate}\n\
         TLSCertificateKeyFile {key}\n\
         sizelimit size.soft=500 size.hard=500 size.pr=1000 size.prtotal=unlimited\n\
         {extra}\n\
         database mdb\n\
         suffix \"{SUFFIX}\"\n\
         rootdn \"{ADMIN}\"\n\
         directory {data}\n\
         maxsize 104857600\n\
         access to * by anonymous auth by * write\n",
        ca = ca.display(),
        certificate = certificate_file.display(),
        key = key_file.display(),
        data = data.display(),
    );
    file("slapd.conf", &text)
}

/// A domain with an administrator, a person `sync` with the password, and many people.
fn people() -> String {
    let mut ldif = format!("dn: {SUFFIX}\nobjectClass: dcObject\nobjectClass: organization\no: corp\ndc: corp\n\n");
    for name in ["admin", "sync"] {
        let _ = write!(
            ldif,
            "dn: cn={name},{SUFFIX}\nobjectClass: person\ncn: {name}\nsn: {name}\nuserPassword: {PASSWORD}\n\n"
        );
    }
    let _ = write!(ldif, "dn: ou=people,{SUFFIX}\nobjectClass: organizationalUnit\nou: people\n\n");
    for number in 0..PEOPLE {
        let _ = write!(
            ldif,
            "dn: uid=u{number},ou=people,{SUFFIX}\nobjectClass: inetOrgPerson\nuid: u{number}\ncn: Person {number}\n\
             sn: *({number})\nmail: u{number}@corp.example\n\n"
        );
    }
    ldif
}
