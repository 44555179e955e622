//! The operating system packages of the live suites: which are missing, and how they get installed.
//!
//! It must not start a server, and must not let the packages start one.

use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use crate::process::{self, Interrupt};

const PACKAGES: [&str; 8] = [
    "samba",
    "samba-ad-provision",
    "samba-dsdb-modules",
    "samba-vfs-modules",
    "python3-samba",
    "ldb-tools",
    "ldap-utils",
    "slapd",
];

/// Newer releases carry the domain controller itself in a package of its own.
const CONTROLLER: (&str, &str) = ("/usr/sbin/samba", "samba-ad-dc");

/// Units that the packages bring; disabled again when this run installed them.
const UNITS: &str = "smbd.service nmbd.service winbind.service samba-ad-dc.service slapd.service";

/// Installs with a policy that forbids starting services, and puts the machine's own policy back in any case.
const INSTALL: &str = r#"
set -eu
policy=/usr/sbin/policy-rc.d
saved=$policy.saved-by-tenantry
if [ -e "$saved" ]; then mv -f "$saved" "$policy"; fi
restore() { rm -f "$policy"; if [ -e "$saved" ]; then mv -f "$saved" "$policy"; fi; }
trap restore EXIT
trap 'exit 130' INT TERM HUP
if [ -e "$policy" ]; then mv -f "$policy" "$saved"; fi
printf '#!/bin/sh\nexit 101\n' >"$policy"
chmod 755 "$policy"
export DEBIAN_FRONTEND=noninteractive
apt() { apt-get -q -o DPkg::Lock::Timeout=300 "$@"; }
apt install -y --no-install-recommends "$@" || { apt update; apt install -y --no-install-recommends "$@"; }
"#;

/// How this process becomes root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Root {
    Already,
    Sudo,
}

impl Root {
    /// Finds a way that asks nobody for a password.
    pub(crate) fn find() -> Option<Self> {
        if std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0) {
            return Some(Self::Already);
        }
        process::output_of(Command::new("sudo").args(["-n", "true"])).map(|_| Self::Sudo)
    }

    /// Returns a command that runs as root.
    pub(crate) fn command(self, program: &str) -> Command {
        match self {
            Self::Already => Command::new(program),
            Self::Sudo => {
                let mut command = Command::new("sudo");
                command.args(["-n", program]);
                command
            }
        }
    }
}

/// Why the live suites cannot run here.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unable(String);

impl fmt::Display for Unable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Makes sure that all packages are installed; returns how to become root, which the servers need too.
pub(crate) fn prepare(interrupt: &Interrupt) -> Result<Root, Unable> {
    let root = Root::find()
        .ok_or_else(|| Unable("needs root, or sudo without a password, to listen on the LDAP ports".to_owned()))?;
    let mut missing = missing_packages()?;
    if !missing.is_empty() {
        install(root, &missing, interrupt)?;
        missing = missing_packages()?;
    }
    if !missing.is_empty() {
        return Err(Unable(format!("packages are still missing: {}", missing.join(" "))));
    }
    if !Path::new(CONTROLLER.0).exists() {
        install(root, &[CONTROLLER.1], interrupt)?;
    }
    Ok(root)
}

/// Makes sure that there is a C++ compiler: libFuzzer is written in C++.
pub(crate) fn prepare_compiler(interrupt: &Interrupt) -> Result<(), Unable> {
    let named = std::env::var("CXX").unwrap_or_else(|_| "c++".to_owned());
    let present = || process::output_of(Command::new(&named).arg("--version")).is_some();
    if present() {
        return Ok(());
    }
    let root = Root::find().ok_or_else(|| Unable("needs a C++ compiler; install g++".to_owned()))?;
    install(root, &["g++"], interrupt)?;
    if present() { Ok(()) } else { Err(Unable(format!("needs a C++ compiler; {named} does not run"))) }
}

fn missing_packages() -> Result<Vec<&'static str>, Unable> {
    let output = Command::new("dpkg-query")
        .args(["-W", "-f=${Package} ${db:Status-Status}\n"])
        .args(PACKAGES)
        .output()
        .map_err(|_| Unable(format!("cannot install by apt-get here; needed: {}", PACKAGES.join(" "))))?;
    Ok(missing_in(&String::from_utf8_lossy(&output.stdout)))
}

fn missing_in(statuses: &str) -> Vec<&'static str> {
    let installed = |package: &&str| statuses.lines().any(|line| line == format!("{package} installed"));
    PACKAGES.into_iter().filter(|package| !installed(package)).collect()
}

fn install(root: Root, packages: &[&str], interrupt: &Interrupt) -> Result<(), Unable> {
    println!("installing {}", packages.join(" "));
    let mut command = root.command("sh");
    command.args(["-c", INSTALL, "install"]).args(packages);
    process::run(&mut command, interrupt).map_err(|error| Unable(format!("apt-get failed: {error}")))?;
    if Path::new("/run/systemd/system").exists() {
        // Without this the next start of the machine would bring up servers that nobody asked for.
        for unit in UNITS.split(' ') {
            process::output_of(root.command("systemctl").args(["disable", "--quiet", unit]));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removed_and_unknown_packages_are_missing() {
        let statuses = "samba installed\nsamba-ad-provision installed\nsamba-dsdb-modules installed\n\
            samba-vfs-modules installed\npython3-samba config-files\nldb-tools installed\nldap-utils installed\n";
        assert_eq!(missing_in(statuses), ["python3-samba", "slapd"]);
    }
}
