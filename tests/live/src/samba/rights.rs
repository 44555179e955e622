//! Accounts, their passwords, and what they may see.
//!
//! It must not be a model of access control: it holds the few changes that tests need.

use std::process::Command;

use super::{BASE_DN, SambaDc};
use crate::client::Scope;
use crate::error::{LiveError, Result};
use crate::ldif::LdifWriter;
use crate::running::run;

const DELETED_OBJECTS_READ: &str = include_str!("../scripts/deleted_objects_read.py");
const ATTRIBUTE_READ: &str = include_str!("../scripts/attribute_read.py");
const CONTAINER_READ: &str = include_str!("../scripts/container_read.py");

/// The control by which a write to offline files is taken as it is.
const BYPASS: &str = "--controls=local_oid:1.3.6.1.4.1.7165.4.3.12:0";

/// The control by which deleted objects are seen.
const SHOW_DELETED: &str = "!1.2.840.113556.1.4.417";

/// An account that a test made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The distinguished name.
    pub dn: String,
    /// The user principal name, which a bind accepts.
    pub upn: String,
    /// The password.
    pub password: String,
    /// The security identifier.
    pub sid: String,
}

impl SambaDc {
    /// Creates an enabled account without any right beyond those of everybody.
    pub fn create_account(&self, name: &str, password: &str) -> Result<Account> {
        let dn = format!("CN={name},CN=Users,{BASE_DN}");
        let upn = format!("{name}@{}", self.dns_domain());
        let ldif = LdifWriter::new()
            .line("dn", &dn)
            .line("objectClass", "user")
            .line("sAMAccountName", name)
            .line("userPrincipalName", &upn)
            .line("userAccountControl", "512")
            .line("unicodePwd", unicode_password(password));
        self.ldapadd(&ldif.end().finish())?;
        let sid = self.sid_of(&dn)?;
        Ok(Account { dn, upn, password: password.to_owned(), sid })
    }

    /// Sets a password as the administrator. The old one still works for a while.
    pub fn set_password(&self, dn: &str, password: &str) -> Result<()> {
        self.replace(dn, "unicodePwd", unicode_password(password))
    }

    /// Replaces all values of one attribute by one value, as the administrator.
    pub fn replace(&self, dn: &str, attribute: &str, value: impl AsRef<[u8]>) -> Result<()> {
        let ldif = LdifWriter::new().line("dn", dn).line("changetype", "modify").line("replace", attribute);
        self.ldapmodify(&ldif.line(attribute, value).end().finish())
    }

    /// Returns the security identifier of an object.
    pub fn sid_of(&self, dn: &str) -> Result<String> {
        let found = self.ldapsearch(dn, "(objectSid=*)", &["objectSid"])?;
        let entry = found.iter().find(|entry| entry.dn.eq_ignore_ascii_case(dn));
        let sid = entry.and_then(|entry| entry.values("objectSid").next()).and_then(sid_text);
        sid.ok_or_else(|| LiveError::new(format!("no security identifier: {dn}")))
    }

    /// Lets an account see deleted objects: the right to list and read their container.
    pub fn grant_deleted_objects(&self, sid: &str) -> Result<()> {
        self.script(DELETED_OBJECTS_READ, &["grant", sid])
    }

    /// Takes back what [`grant_deleted_objects`](Self::grant_deleted_objects) gave.
    pub fn revoke_deleted_objects(&self, sid: &str) -> Result<()> {
        self.script(DELETED_OBJECTS_READ, &["revoke", sid])
    }

    /// Renames an object, moves it under another parent, or both.
    pub fn rename(&self, dn: &str, rdn: &str, parent: Option<&str>) -> Result<()> {
        let ldif = LdifWriter::new().line("dn", dn).line("changetype", "moddn");
        let ldif = ldif.line("newrdn", rdn).line("deleteoldrdn", "1");
        let ldif = match parent {
            Some(parent) => ldif.line("newsuperior", parent),
            None => ldif,
        };
        self.ldapmodify(&ldif.end().finish())
    }

    /// Adds a value to an attribute.
    pub fn add_value(&self, dn: &str, attribute: &str, value: &str) -> Result<()> {
        let ldif = LdifWriter::new().line("dn", dn).line("changetype", "modify").line("add", attribute);
        self.ldapmodify(&ldif.line(attribute, value).end().finish())
    }

    /// Deletes one value of an attribute.
    pub fn delete_value(&self, dn: &str, attribute: &str, value: &str) -> Result<()> {
        let ldif = LdifWriter::new().line("dn", dn).line("changetype", "modify").line("delete", attribute);
        self.ldapmodify(&ldif.line(attribute, value).end().finish())
    }

    /// Deletes all values of an attribute.
    pub fn clear(&self, dn: &str, attribute: &str) -> Result<()> {
        let ldif = LdifWriter::new().line("dn", dn).line("changetype", "modify").line("delete", attribute);
        self.ldapmodify(&ldif.end().finish())
    }

    /// Brings a deleted object back under the given name. What its tombstone has lost stays lost.
    pub fn undelete(&self, account_name: &str, dn: &str) -> Result<()> {
        let filter = format!("(&(isDeleted=TRUE)(sAMAccountName={account_name}))");
        let found = self.admin().search_with(&[SHOW_DELETED], Scope::Subtree, BASE_DN, &filter, &["1.1"])?;
        let [tombstone] = &found[..] else { return Err(LiveError::new(format!("not one tombstone: {account_name}"))) };
        // The name of its tombstone, because Samba finds it by no other.
        let ldif = LdifWriter::new().line("dn", &tombstone.dn).line("changetype", "modify");
        let ldif = ldif.line("delete", "isDeleted").next_change();
        let ldif = ldif.line("replace", "distinguishedName").line("distinguishedName", dn);
        self.admin().modify_with(SHOW_DELETED, &ldif.end().finish())
    }

    /// Takes from an account the right to read a container, those in it, and what is in them.
    pub fn deny_read(&self, container_dn: &str, sid: &str) -> Result<()> {
        self.script(CONTAINER_READ, &["deny", container_dn, sid])
    }

    /// Gives back what [`deny_read`](Self::deny_read) took.
    pub fn allow_read(&self, container_dn: &str, sid: &str) -> Result<()> {
        self.script(CONTAINER_READ, &["allow", container_dn, sid])
    }

    /// Takes from an account the right to read one attribute of the objects that match.
    pub fn deny_attribute(&self, filter: &str, attribute: &str, sid: &str) -> Result<()> {
        self.script(ATTRIBUTE_READ, &["deny", filter, attribute, sid])
    }

    /// Gives back what [`deny_attribute`](Self::deny_attribute) took.
    pub fn allow_attribute(&self, filter: &str, attribute: &str, sid: &str) -> Result<()> {
        self.script(ATTRIBUTE_READ, &["allow", filter, attribute, sid])
    }

    /// Locks accounts of the domain after that many wrong passwords; 0 turns it off, as by default.
    pub fn set_lockout_threshold(&self, attempts: u32) -> Result<()> {
        self.replace(BASE_DN, "lockoutThreshold", attempts.to_string())
    }

    /// Makes an account's password expire; stops and starts the controller, because LDAP does not allow it.
    pub fn expire_password(&mut self, dn: &str) -> Result<()> {
        let ldif = LdifWriter::new().line("dn", dn).line("changetype", "modify").line("replace", "pwdLastSet");
        // Some day in 2019.
        let ldif = ldif.line("pwdLastSet", "132000000000000000").end().finish();
        self.stop();
        self.ldbmodify_offline(&ldif, &[BYPASS])?;
        self.start()
    }

    /// Runs a script with Samba's own Python modules, which belong to the system's Python.
    fn script(&self, script: &str, arguments: &[&str]) -> Result<()> {
        let mut command = Command::new("/usr/bin/python3");
        command.args(["-I", "-c", script]).arg(&self.conf).arg(self.database()).args(arguments);
        run(&mut command).map(drop)
    }
}

/// Encodes a password as Active Directory wants it: quoted, in UTF-16.
fn unicode_password(password: &str) -> Vec<u8> {
    format!("\"{password}\"").encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// Writes a binary security identifier as text.
fn sid_text(bytes: &[u8]) -> Option<String> {
    let (head, parts) = bytes.split_first_chunk::<8>()?;
    let [revision, count, ..] = *head;
    let (parts, rest) = parts.as_chunks::<4>();
    if parts.len() != usize::from(count) || !rest.is_empty() {
        return None;
    }
    // Six bytes, the highest first, behind the revision and the count.
    let authority = u64::from_be_bytes(*head) & 0xffff_ffff_ffff;
    let parts = parts.iter().map(|part| u32::from_le_bytes(*part).to_string());
    let mut text = vec![format!("S-{revision}-{authority}")];
    text.extend(parts);
    Some(text.join("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binary_sid_becomes_text() {
        let administrators = [1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 32, 2, 0, 0];
        assert_eq!(sid_text(&administrators).as_deref(), Some("S-1-5-32-544"));
        assert_eq!(sid_text(&administrators[..15]), None);
        assert_eq!(sid_text(&[]), None);
    }

    #[test]
    fn a_password_is_quoted_utf_16() {
        assert_eq!(unicode_password("aé"), [b'"', 0, b'a', 0, 0xe9, 0, b'"', 0]);
    }
}
