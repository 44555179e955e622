//! An independent LDAP client: the programs of the `ldap-utils` package, over TLS with a checked certificate.
//!
//! It must not share code with the product, which is compared against it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::error::{Attempt, LiveError, Result};
use crate::ldif::{LdifEntry, parse_ldif};
use crate::running::run;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// How far a search goes below its base.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The base object only.
    Base,
    /// The children of the base.
    One,
    /// The base and everything below.
    Subtree,
}

/// What a server says to a bind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BindOutcome {
    /// The LDAP result code, 0 when the bind was accepted.
    pub code: i32,
    /// The server's diagnostic message, with Active Directory's `data 52e` in it.
    pub diagnostic: String,
}

/// One account on one server.
#[derive(Debug, Clone)]
pub struct LdapClient {
    pub(crate) url: String,
    pub(crate) ca_file: PathBuf,
    pub(crate) scratch: PathBuf,
    pub(crate) user: String,
    pub(crate) password: String,
}

impl LdapClient {
    /// Returns the same client talking to another URL, such as that of the port without TLS.
    #[must_use]
    pub fn with_url(mut self, url: impl Into<String>) -> Self {
        self.url = url.into();
        self
    }

    /// Returns the same client trusting another authority.
    #[must_use]
    pub fn with_ca_file(mut self, ca_file: impl Into<PathBuf>) -> Self {
        self.ca_file = ca_file.into();
        self
    }

    /// Adds the entries of an LDIF text.
    pub fn add(&self, ldif: &str) -> Result<()> {
        self.change("ldapadd", &[], ldif)
    }

    /// Applies the change records of an LDIF text; records without `changetype` are added.
    pub fn modify(&self, ldif: &str) -> Result<()> {
        self.change("ldapmodify", &["-a"], ldif)
    }

    /// Applies change records with a control as `ldapmodify` takes it behind `-e`, such as `!1.2.840.113556.1.4.417`.
    pub fn modify_with(&self, control: &str, ldif: &str) -> Result<()> {
        self.change("ldapmodify", &["-e", control], ldif)
    }

    /// Deletes an object that has no children.
    pub fn delete(&self, dn: &str) -> Result<()> {
        run(self.command("ldapdelete").arg(dn)).map(drop)
    }

    /// Reads the subtree of `base`; without attributes all user attributes are read.
    pub fn search(&self, base: &str, filter: &str, attributes: &[&str]) -> Result<Vec<LdifEntry>> {
        self.search_with(&[], Scope::Subtree, base, filter, attributes)
    }

    /// Reads with controls as `ldapsearch` takes them: `-E !1.2.840.113556.1.4.417` is `"!1.2.840.113556.1.4.417"`.
    pub fn search_with(
        &self,
        controls: &[&str],
        scope: Scope,
        base: &str,
        filter: &str,
        attributes: &[&str],
    ) -> Result<Vec<LdifEntry>> {
        let mut command = self.command("ldapsearch");
        let scope = match scope {
            Scope::Base => "base",
            Scope::One => "one",
            Scope::Subtree => "sub",
        };
        command.args(["-LLL", "-s", scope, "-b", base]);
        for control in controls {
            command.args(["-E", control]);
        }
        parse_ldif(&run(command.arg(filter).args(attributes))?)
    }

    /// Returns a command that reads the subtree of `base` into a file, for whoever wants to measure it.
    pub fn search_to_file(
        &self,
        controls: &[&str],
        base: &str,
        filter: &str,
        attributes: &[&str],
        file: &Path,
    ) -> Command {
        // A shell, so that the entries go from the program to the file without passing through this process.
        let search = self.command("ldapsearch");
        let mut command = Command::new("sh");
        command.args(["-c", r#"file=$1; shift; exec "$@" >"$file""#, "search"]).arg(file);
        command.arg(search.get_program()).args(search.get_args());
        for (name, value) in search.get_envs() {
            command.env(name, value.unwrap_or_default());
        }
        command.args(["-LLL", "-s", "sub", "-b", base]);
        for control in controls {
            command.args(["-E", control]);
        }
        command.arg(filter).args(attributes);
        command
    }

    /// Binds and tells what the server said.
    pub fn bind(&self) -> Result<BindOutcome> {
        let mut command = self.command("ldapsearch");
        let output = command.args(["-LLL", "-s", "base", "-b", "", "1.1"]).output().attempt("ldapsearch")?;
        let said = String::from_utf8_lossy(&output.stderr);
        let code = output.status.code().ok_or_else(|| LiveError::new("ldapsearch was killed"))?;
        // 255 and above are failures of the client: no connection, certificate refused.
        if code == 255 {
            return Err(LiveError::new(format!("{}: {}", self.url, said.trim())).with_code(Some(code)));
        }
        let diagnostic = said.split_once("additional info: ").map_or("", |(_, info)| info).trim().to_owned();
        Ok(BindOutcome { code, diagnostic })
    }

    fn change(&self, program: &str, options: &[&str], ldif: &str) -> Result<()> {
        // By file: a large text through a pipe would block against the lines that the program prints.
        let file = scratch_file(&self.scratch, ldif)?;
        let outcome = run(self.command(program).args(options).arg("-f").arg(&file));
        fs::remove_file(&file).attempt(file.display())?;
        outcome.map(drop)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        // The machine's own configuration must not decide what a test trusts.
        command.env("LDAPCONF", "/dev/null").env("LDAPRC", "").env("HOME", "/nonexistent");
        command.env("LDAPTLS_CACERT", &self.ca_file).env("LDAPTLS_REQCERT", "demand");
        command.args(["-x", "-H", &self.url, "-D", &self.user, "-w", &self.password]);
        command.stdin(Stdio::null());
        command
    }
}

/// Writes a text to a file of its own.
pub(crate) fn scratch_file(directory: &Path, text: &str) -> Result<PathBuf> {
    let file = directory.join(format!("change-{}.ldif", NEXT.fetch_add(1, Ordering::Relaxed)));
    fs::write(&file, text).attempt(file.display())?;
    Ok(file)
}
