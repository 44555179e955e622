//! Who may log on and what that account may read and write; it knows no bind request.

use std::fmt;

use super::state::{Id, State};
use crate::ldap::clock::{DAY, SECOND};
use crate::ldap::ids::Guid;

pub(crate) const DISABLED: i64 = 0x2;
pub(crate) const LOCKED: i64 = 0x10;
pub(crate) const PASSWORD_NEVER_EXPIRES: i64 = 0x1_0000;
pub(crate) const PASSWORD_EXPIRED: i64 = 0x80_0000;

/// A logon rule beyond the state of the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogonRule {
    /// The account may log on.
    Anytime,
    /// The account may not log on at this hour (data 530).
    OutsideHours,
    /// The account may not log on at this machine (data 531).
    OtherWorkstation,
}

/// What an account may change.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum WriteRights {
    /// Nothing: every write answers insufficientAccessRights.
    #[default]
    Nothing,
    /// These attributes of objects that it can read.
    Attributes(Vec<String>),
    /// Everything.
    Everything,
}

/// What an account may do; domain administrators may do everything.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rights {
    pub(crate) hidden: Vec<Guid>,
    pub(crate) hidden_attributes: Vec<(String, Option<Guid>)>,
    pub(crate) read_deleted: bool,
    pub(crate) replicate: bool,
    pub(crate) write: WriteRights,
}

#[derive(Clone)]
pub(crate) struct Account {
    pub(crate) password: Option<String>,
    pub(crate) rule: LogonRule,
    pub(crate) rights: Rights,
}

impl Default for Account {
    fn default() -> Self {
        Self { password: None, rule: LogonRule::Anytime, rights: Rights::default() }
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("rule", &self.rule).field("rights", &self.rights).finish_non_exhaustive()
    }
}

impl State {
    pub(crate) fn account(&mut self, id: Id) -> &mut Account {
        let guid = self.entry(id).guid;
        self.accounts.entry(guid).or_default()
    }

    fn domain_number(&self, name: &str) -> i64 {
        self.entry(Id::ROOT).number(name).unwrap_or(0)
    }

    /// Says whether an account is locked out now: a lockoutTime in the past alone does not lock.
    pub(crate) fn is_locked(&self, id: Id) -> bool {
        let since = self.entry(id).number("lockouttime").unwrap_or(0);
        let duration = self.domain_number("lockoutduration");
        since > 0 && (duration == 0 || duration == i64::MIN || since.saturating_sub(duration) > self.clock.now())
    }

    pub(crate) fn password_has_expired(&self, id: Id) -> bool {
        let entry = self.entry(id);
        let control = entry.number("useraccountcontrol").unwrap_or(0);
        let set = entry.number("pwdlastset").unwrap_or(0);
        let age = self.domain_number("maxpwdage");
        let exempt = control & (PASSWORD_NEVER_EXPIRES | 0x1000 | 0x2000 | 0x800) != 0;
        !exempt && set > 0 && age != 0 && age != i64::MIN && set.saturating_sub(age) < self.clock.now()
    }

    fn must_change_password(&self, id: Id) -> bool {
        let entry = self.entry(id);
        let control = entry.number("useraccountcontrol").unwrap_or(0);
        control & PASSWORD_NEVER_EXPIRES == 0 && entry.number("pwdlastset") == Some(0)
    }

    pub(crate) fn computed_control(&self, id: Id) -> i64 {
        let expired = self.password_has_expired(id) || self.must_change_password(id);
        (i64::from(self.is_locked(id)) * LOCKED) | (i64::from(expired) * PASSWORD_EXPIRED)
    }

    /// Checks a password; the error is the `data` code of the diagnostic message.
    pub(crate) fn log_on(&mut self, id: Id, password: &str) -> Result<(), &'static str> {
        if self.is_locked(id) {
            return Err("775");
        }
        let account = self.account(id).clone();
        if account.password.as_deref() != Some(password) {
            self.count_bad_password(id);
            return Err("52e");
        }
        let entry = self.entry(id);
        let expires = entry.number("accountexpires").unwrap_or(0);
        if entry.number("useraccountcontrol").unwrap_or(0) & DISABLED != 0 {
            return Err("533");
        }
        if expires > 0 && expires < self.clock.now() {
            return Err("701");
        }
        match account.rule {
            LogonRule::OutsideHours => return Err("530"),
            LogonRule::OtherWorkstation => return Err("531"),
            LogonRule::Anytime => {}
        }
        if self.must_change_password(id) {
            return Err("773");
        }
        if self.password_has_expired(id) {
            return Err("532");
        }
        self.count_logon(id);
        Ok(())
    }

    fn count_bad_password(&mut self, id: Id) {
        let count = self.entry(id).number("badpwdcount").unwrap_or(0) + 1;
        let now = self.clock.now();
        self.store_quietly(id, "badPwdCount", count);
        self.store_quietly(id, "badPasswordTime", now);
        let threshold = self.domain_number("lockoutthreshold");
        if threshold > 0 && count >= threshold {
            let usn = self.touch(id);
            self.store(id, "lockoutTime", vec![now.to_string().into_bytes()], usn);
        }
    }

    fn count_logon(&mut self, id: Id) {
        let now = self.clock.now();
        let count = self.entry(id).number("logoncount").unwrap_or(0) + 1;
        self.store_quietly(id, "badPwdCount", 0);
        self.store_quietly(id, "logonCount", count);
        self.store_quietly(id, "lastLogon", now);
        // Only the replicated stamp moves the USN, and only when it is two weeks old.
        if self.entry(id).number("lastlogontimestamp").unwrap_or(0) < now - 14 * DAY {
            let usn = self.touch(id);
            self.store(id, "lastLogonTimestamp", vec![now.to_string().into_bytes()], usn);
        }
    }

    fn store_quietly(&mut self, id: Id, name: &str, number: i64) {
        self.store(id, name, vec![number.to_string().into_bytes()], 0);
    }

    pub(crate) fn is_admin(&self, id: Id) -> bool {
        let admins = self.domain_sid.with_rid(512);
        self.groups_above(id).into_iter().any(|group| {
            let sid = self.entry(group).sid.as_ref();
            sid == Some(&admins) || sid.is_some_and(|sid| sid.to_string() == "S-1-5-32-544")
        })
    }

    /// The instant at which a lockout must have begun to hold still: a minute ago.
    pub(crate) fn recently(&self) -> i64 {
        self.clock.now() - 60 * SECOND
    }
}
