//! Images of stopped domain controllers: provisioned or populated once, then copied for each test.
//!
//! It must not start a controller except to populate an image.

use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{ADMIN_PASSWORD, BASE_DN, HOST, NETBIOS_DOMAIN, PlainBind, REALM, SambaDc, Setup};
use crate::error::{Attempt, LiveError, Result};
use crate::running::{RunDirectory, live_directory, run};

/// To be raised when an image of the same name would get other content.
const REVISION: u32 = 1;

/// Which domain a controller holds. Both have the same name and differ in everything that identifies a domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Domain {
    /// The domain of most tests.
    #[default]
    First,
    /// Another domain behind the same name, as after a wrong DNS entry or a domain built anew.
    Second,
}

/// The file in an image and a clone that names the domain.
pub(super) const SID_FILE: &str = "domain.sid";

/// Copies the image for the setup to `target`, which must not exist; makes the image first when there is none.
pub(super) fn copy(setup: &Setup, target: &Path) -> Result<()> {
    let image = match &setup.population {
        None => image(&bare_name(setup.domain), |building| provision(setup.domain, building))?,
        Some(population) => {
            let ldif = population.ldif(BASE_DN);
            let name = format!("{}-{}", bare_name(setup.domain), population.name(&ldif));
            image(&name, |building| populate(setup.domain, &ldif, building))?
        }
    };
    copy_directory(&image, target)
}

fn bare_name(domain: Domain) -> String {
    format!("bare-{domain:?}").to_lowercase()
}

/// Returns the image of that name; one process makes it, all others wait.
fn image(name: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let images = live_directory()?.join("images");
    let generation = images.join(generation()?);
    fs::create_dir_all(&generation).attempt(generation.display())?;
    let image = generation.join(name);
    let lock = File::create(generation.join(format!("{name}.lock"))).attempt("create the image lock")?;
    lock.lock().attempt("wait for the image")?;
    if !image.exists() {
        remove_other_generations(&images, &generation)?;
        let building = generation.join(format!("{name}.building"));
        remove(&building)?;
        make(&building)?;
        // Only a finished image ever has the name.
        fs::rename(&building, &image).attempt(image.display())?;
    }
    Ok(image)
}

/// Names what images depend on: this machine's boot, the version of Samba, and this harness.
fn generation() -> Result<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").attempt("read the boot id")?;
    let boot = boot.split('-').next().unwrap_or_default().trim().to_owned();
    let version = run(Command::new("samba").arg("--version"))?;
    let version: String = version.trim().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '.' }).collect();
    Ok(format!("{boot}-{version}-{REVISION}"))
}

fn remove_other_generations(images: &Path, current: &Path) -> Result<()> {
    for entry in fs::read_dir(images).attempt(images.display())? {
        let path = entry.attempt(images.display())?.path();
        if path != current {
            remove(&path)?;
        }
    }
    Ok(())
}

fn remove(directory: &Path) -> Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error).attempt(directory.display()),
        _ => Ok(()),
    }
}

fn copy_directory(from: &Path, to: &Path) -> Result<()> {
    // Samba keeps rights in extended attributes, which `cp -a` copies.
    run(Command::new("cp").args(["-a", "--sparse=always", "--reflink=auto"]).arg(from).arg(to)).map(drop)
}

fn provision(domain: Domain, directory: &Path) -> Result<()> {
    for part in ["etc", "run", "log", "private", "state", "cache", "lock", "ncalrpc"] {
        fs::create_dir_all(directory.join(part)).attempt(part)?;
    }
    // Only the address of a running clone matters.
    let address = Ipv4Addr::new(127, 66, 0, 1);
    let conf = write_conf(directory, address, PlainBind::Refused)?;
    let mut command = Command::new("samba-tool");
    command.args(["domain", "provision", "-s"]).arg(&conf);
    command.args([
        &format!("--realm={REALM}"),
        &format!("--domain={NETBIOS_DOMAIN}"),
        "--server-role=dc",
        "--use-rfc2307",
        "--dns-backend=NONE",
        &format!("--adminpass={ADMIN_PASSWORD}"),
        &format!("--host-name={HOST}"),
        &format!("--host-ip={address}"),
    ]);
    let sid = match domain {
        Domain::First => "S-1-5-21-1111111111-2222222222-3333333333",
        Domain::Second => "S-1-5-21-1444444444-2555555555-3666666666",
    };
    run(command.arg(format!("--domain-sid={sid}")))?;
    fs::write(directory.join(SID_FILE), sid).attempt(SID_FILE)?;
    // An image may be older than a password may become.
    let sam = directory.join("private/sam.ldb");
    let mut command = Command::new("samba-tool");
    command.args(["user", "setexpiry", "administrator", "--noexpiry", "-s"]).arg(&conf).arg("-H").arg(sam);
    run(&mut command).map(drop)
}

/// Loads the population through a running controller, which is much faster than writing to its files.
fn populate(domain: Domain, ldif: &str, directory: &Path) -> Result<()> {
    let mut dc = SambaDc::start_with(&Setup { domain, ..Setup::default() })?;
    dc.ldapmodify(ldif)?;
    dc.stop();
    copy_directory(dc.directory(), directory)
}

/// Writes the configuration of a controller that lives in `directory` and listens on `address` only.
pub(super) fn write_conf(directory: &Path, address: Ipv4Addr, plain: PlainBind) -> Result<PathBuf> {
    let dir = directory.to_str().ok_or_else(|| LiveError::new("the directory of a controller must be utf-8"))?;
    let strong = match plain {
        PlainBind::Refused => "yes",
        PlainBind::Accepted => "no",
    };
    let host = HOST.to_uppercase();
    let domain = REALM.to_lowercase();
    // `ldap` alone serves all of LDAP. `ldb:nosync` makes writes 13 times faster; a clone that a crash destroys is
    // no loss. The two shares are never served, but provisioning insists on them.
    let text = format!(
        "[global]
    workgroup = {NETBIOS_DOMAIN}
    realm = {REALM}
    netbios name = {host}
    server role = active directory domain controller
    server services = ldap
    dcerpc endpoint servers = -winreg -srvsvc
    interfaces = {address}/8
    bind interfaces only = yes
    idmap_ldb:use rfc2307 = yes
    private dir = {dir}/private
    state directory = {dir}/state
    cache directory = {dir}/cache
    lock directory = {dir}/lock
    pid directory = {dir}/run
    ncalrpc dir = {dir}/ncalrpc
    binddns dir = {dir}/bind-dns
    winbindd socket directory = {dir}/run/winbindd
    ntp signd socket directory = {dir}/run/ntp_signd
    log file = {dir}/log/samba.log
    logging = file
    max log size = 0
    disable netbios = yes
    load printers = no
    printing = bsd
    printcap name = /dev/null
    tls enabled = yes
    tls keyfile = {dir}/private/tls/key.pem
    tls certfile = {dir}/private/tls/cert.pem
    tls cafile = {dir}/private/tls/ca.pem
    ldap server require strong auth = {strong}
    ldb:nosync = true
[sysvol]
    path = {dir}/state/sysvol
    read only = no
[netlogon]
    path = {dir}/state/sysvol/{domain}/scripts
    read only = no
"
    );
    let conf = directory.join("etc/smb.conf");
    fs::write(&conf, text).attempt(conf.display())?;
    Ok(conf)
}

/// Returns a fresh copy's directory and configuration for the address.
pub(super) fn clone(setup: &Setup, address: Ipv4Addr) -> Result<(RunDirectory, PathBuf)> {
    let run = RunDirectory::new()?;
    copy(setup, run.path())?;
    // The logs of making the image say nothing about this controller.
    remove(&run.path().join("log"))?;
    fs::create_dir_all(run.path().join("log")).attempt("create the log directory")?;
    let conf = write_conf(run.path(), address, setup.plain_bind)?;
    Ok((run, conf))
}
