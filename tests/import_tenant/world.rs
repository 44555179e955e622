//! Fake domain controllers, a configuration that names them, and a folder for the state.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;
use tenantry_fakes::ldap::{ComputerKind, Directory, FakeLdap};

use crate::program::{self, Said};

/// A password that must not be seen anywhere.
pub(crate) const CANARY: &str = "canary-7f3e-never-print-me";

pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) server: FakeLdap,
    pub(crate) directory: Directory,
}

/// A domain of so many users, in which nothing was ever deleted.
pub(crate) fn directory(root: &str, users: usize) -> Directory {
    let directory = Directory::new(root);
    directory.add_ou("OU=People");
    directory.add_user("CN=Users", "sync").password(CANARY).create();
    directory.rights("sync").read_deleted(true);
    let mut staff = directory.add_group("OU=People", "Staff");
    for number in 0..users {
        let account = format!("user{number:04}");
        let guid = directory
            .add_user("OU=People", &account)
            .given("Kim")
            .surname(&format!("Number {number}"))
            .mail(&format!("{account}@corp.example"))
            .create();
        if number < 20 {
            staff = staff.member(guid);
        }
    }
    staff.create();
    directory.add_computer("OU=People", "PC1", ComputerKind::Workstation).create();
    directory
}

impl World {
    /// Starts a domain of so many users, in which something was deleted before: as in every one that is in use.
    pub(crate) async fn new(users: usize) -> Self {
        let directory = directory("DC=corp,DC=example", users);
        directory.add_user("CN=Users", "former").create();
        directory.delete("former");
        Self::of(directory).await
    }

    pub(crate) async fn of(directory: Directory) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = FakeLdap::start(directory.clone()).await;
        let world = Self { folder, server, directory };
        world.configure(&[("ad", &world.server, CANARY)]);
        world
    }

    /// Writes a configuration with these endpoints: name, server, password.
    pub(crate) fn configure(&self, endpoints: &[(&str, &FakeLdap, &str)]) {
        let mut text = "[customer]\nname = \"Corp\"\n".to_owned();
        for (name, server, password) in endpoints {
            std::fs::write(self.path(&format!("{name}.pem")), server.ca_pem()).unwrap();
            std::fs::write(self.path(&format!("{name}.secret")), password).unwrap();
            let bind = format!("{}\\sync", server.directory().netbios());
            write!(
                text,
                "\n[[endpoint]]\nname = \"{name}\"\nkind = \"active-directory\"\nurl = \"{}\"\nbind = '{bind}'\n\
                 password = {{ file = \"{name}.secret\" }}\nca_file = \"{name}.pem\"\n",
                server.ldaps_url()
            )
            .unwrap();
        }
        std::fs::write(self.path("tenant.toml"), text).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.path("tenant.db")
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = program::command(arguments);
        command.arg("--config").arg(self.path("tenant.toml"));
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Said {
        program::run(&mut self.command(arguments))
    }

    /// Deletes users, by number.
    pub(crate) fn delete(&self, numbers: std::ops::Range<usize>) {
        for number in numbers {
            self.directory.delete(format!("user{number:04}"));
        }
    }
}
