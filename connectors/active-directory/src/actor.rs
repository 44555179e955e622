//! Actions on accounts: read, judge, change one attribute, read again on the same controller.
//!
//! It must not know who asks, nor what is stored. What nobody should change by mistake is refused before anything is
//! sent; a flag is changed by taking away the very value that was read, so that nobody else's change is undone.

use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use tenantry::endpoint::{Action, ActionOutcome, Actor, Context};
use tenantry::model::{ObjectKey, ObjectKind, SourceId, UserKind};
use tenantry::{Error, ErrorKind, Result};
use tenantry_ldap::domain::error::setting;
use tenantry_ldap::domain::{Class, Controller, Detail, Paged, Profile as _};
use tenantry_ldap::filetime::{self, Expiry};
use tenantry_ldap::{Change, Control, Dn, Entry, Scope, SearchRequest, code, guid, result};
use uuid::Uuid;

use crate::endpoint::ActiveDirectory;
use crate::map;
use crate::own::Own;
use crate::profile::Accounts;

/// How often a change is begun anew because somebody else changed the account in between.
const TRIES: u32 = 6;

const FLAGS: &str = "userAccountControl";
const LOCKOUT: &str = "lockoutTime";
const PASSWORD_SET: &str = "pwdLastSet";
const COMPUTED: &str = "msDS-User-Account-Control-Computed";

const DISABLED: i64 = 0x2;
const LOCKED: i64 = 0x10;
const PASSWORD_NEVER_EXPIRES: i64 = 0x1_0000;
/// Trusts, workstations, controllers and read-only ones.
const MACHINES: i64 = 0x800 | 0x1000 | 0x2000 | 0x400_0000;
/// Accounts below this number are those that every domain is born with.
const FIRST_OWN_RID: u32 = 1000;
/// `ERROR_PASSWORD_RESTRICTION`
const PASSWORD_RESTRICTION: u32 = 0x52d;

/// What an account needs to be as asked for.
enum Wanted {
    Nothing,
    Changes(Vec<Change>),
}

/// Why an account is left as it is.
type Refusal = Error;

#[async_trait]
impl Actor for ActiveDirectory {
    /// All but the end of sessions: a domain controller keeps no list of them, and tickets end by themselves.
    fn offers(&self, action: Action, kind: ObjectKind) -> bool {
        kind == ObjectKind::User && attribute(action).is_some()
    }

    async fn begin(&self, cx: &Context) -> Result<()> {
        let connection = self.domain.connection();
        connection.begin_run().await;
        let begin = async {
            let controller = connection.controller(cx).await?;
            if controller.is_read_only() {
                return Err(setting("url", "this domain controller is a read-only one; name another first")
                    .with_context("server", controller.server()));
            }
            self.domain.check_base(cx, &controller).await?;
            Own::ask(self, cx).await.map(drop)
        };
        begin.await.map_err(|error| self.named(error))
    }

    async fn act(&self, cx: &Context, action: Action, account: &ObjectKey) -> Result<ActionOutcome> {
        let named = |error: Error| self.named(error).with_context("action", action);
        let Some(attribute) = attribute(action).filter(|_| self.offers(action, account.kind)) else {
            return Err(named(Error::new(ErrorKind::Unsupported, "active directory does not offer this")));
        };
        let SourceId::Guid(guid) = account.id else {
            return Ok(ActionOutcome::Refused(named(left_alone("its id is not one of this domain"))));
        };
        let change = Attempted { endpoint: self, cx, action, attribute, guid, unknown: AtomicU32::new(0) };
        Ok(match change.run().await.map_err(named)? {
            ActionOutcome::Refused(refusal) => ActionOutcome::Refused(named(refusal)),
            outcome => outcome,
        })
    }
}

/// The one attribute that an action changes.
fn attribute(action: Action) -> Option<&'static str> {
    match action {
        Action::Suspend | Action::Resume => Some(FLAGS),
        Action::Unlock => Some(LOCKOUT),
        Action::ForcePasswordChange => Some(PASSWORD_SET),
        Action::RevokeSessions => None,
    }
}

/// One action on one account.
struct Attempted<'a> {
    endpoint: &'a ActiveDirectory,
    cx: &'a Context,
    action: Action,
    attribute: &'static str,
    guid: Uuid,
    /// How many changes were put on the way that the server has not refused.
    unknown: AtomicU32,
}

impl Attempted<'_> {
    async fn run(&self) -> Result<ActionOutcome> {
        for _ in 0..TRIES {
            let controller =
                self.endpoint.domain.connection().controller(self.cx).await.map_err(|error| self.honest(error))?;
            let entry = match self.read(&controller).await {
                Ok(Ok(entry)) => entry,
                Ok(Err(refusal)) => return Ok(ActionOutcome::Refused(refusal)),
                // Another controller took over: nothing was changed, so that it can begin there.
                Err(error) if is_another_server(&error) && !self.may_be_changed() => continue,
                Err(error) => return Err(self.honest(error)),
            };
            let changes = match wanted(self.action, &entry, self.cx.gate().clock().now_unix_millis()) {
                Ok(Wanted::Changes(changes)) => changes,
                // The answer to an earlier change was lost, and this is what came of it.
                Ok(Wanted::Nothing) if self.may_be_changed() => return Ok(ActionOutcome::Done),
                Ok(Wanted::Nothing) => return Ok(ActionOutcome::AlreadySo),
                Err(refusal) => return Ok(ActionOutcome::Refused(refusal)),
            };
            let pin = controller.database();
            let written =
                self.endpoint.domain.connection().modify(self.cx, pin, &self.name(), &changes, &self.unknown).await;
            let Err(error) = written else { return self.read_back(&controller).await };
            match code(&error) {
                // Somebody else changed it, or an earlier try of ours did and its answer was lost.
                Some(16) => {}
                None if is_another_server(&error) && !self.may_be_changed() => {}
                _ => match refused(self.attribute, error) {
                    Ok(refusal) => return Ok(ActionOutcome::Refused(refusal)),
                    Err(error) => return Err(self.honest(error)),
                },
            }
        }
        let busy = "somebody else keeps changing the account; ask again later";
        Ok(ActionOutcome::Refused(Error::new(ErrorKind::Conflict, busy).with_context("tries", TRIES)))
    }

    /// `Done` is what the controller shows that took the change.
    async fn read_back(&self, controller: &Controller) -> Result<ActionOutcome> {
        let entry = match self.read(controller).await.map_err(|error| self.honest(error))? {
            Ok(entry) => entry,
            Err(refusal) => return Ok(ActionOutcome::Refused(refusal.with_context("changed before", "yes"))),
        };
        match wanted(self.action, &entry, self.cx.gate().clock().now_unix_millis()) {
            Ok(Wanted::Nothing) => Ok(ActionOutcome::Done),
            Ok(Wanted::Changes(_)) => Ok(ActionOutcome::Refused(Error::new(
                ErrorKind::Conflict,
                "the server took the change and does not show it; somebody else may have changed it back, see who does",
            ))),
            Err(refusal) => Ok(ActionOutcome::Refused(refusal)),
        }
    }

    fn name(&self) -> String {
        guid::as_dn(&self.guid)
    }

    fn may_be_changed(&self) -> bool {
        self.unknown.load(Ordering::Relaxed) > 0
    }

    /// Says so where a change may have been made, whatever else is wrong.
    fn honest(&self, error: Error) -> Error {
        if !self.may_be_changed() {
            return error;
        }
        Error::new(
            ErrorKind::Unavailable,
            "the change may have been made, but could not be read back; the next import tells",
        )
        .with_context("because", error.message())
        .with_source(error)
    }

    /// Reads the account as the listing would, and tells why it is to be left alone.
    async fn read(&self, controller: &Controller) -> Result<Result<Entry, Refusal>> {
        let class = Class::Users;
        let attributes = Accounts::default().attributes(class, Detail::Ids).into_iter().chain([
            LOCKOUT,
            PASSWORD_SET,
            COMPUTED,
            "accountExpires",
            "adminCount",
            "isCriticalSystemObject",
            "userPrincipalName",
        ]);
        let request = SearchRequest::new(self.name(), self.endpoint.domain.filter(class)?)
            .scope(Scope::Base)
            .attributes(attributes)
            .page_size(1)
            .control(Control::domain_scope().optional());
        let pin = Some(controller.database());
        let entry = match self.endpoint.domain.connection().page(self.cx, "read the account", pin, &request, None).await
        {
            Ok(Paged::Page(page, _)) => page.entries.into_iter().next(),
            Ok(Paged::CookieLost) => None,
            Err(error) if *error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        match entry {
            Some(entry) => Ok(self.judge(entry, controller).await?),
            None => Ok(Err(self.absent(controller).await?)),
        }
    }

    /// Tells why an account is not found: deleted, outside of the filters, or not to be seen.
    async fn absent(&self, controller: &Controller) -> Result<Refusal> {
        let pin = Some(controller.database());
        let (name, controls) = (self.name(), [controller.show_deleted()]);
        let operation = "look for the account";
        let read = self.endpoint.domain.connection().object(self.cx, operation, pin, &name, &["isDeleted"], &controls);
        let found = match read.await {
            Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied { .. }) => None,
            found => found?,
        };
        let not_there = |message: &'static str| Error::new(ErrorKind::NotFound, message);
        Ok(match found {
            None => not_there("the account is gone or cannot be seen; the next import tells"),
            Some(entry) if entry.flag("isDeleted")? == Some(true) => {
                not_there("the account is deleted; restore it in the directory first")
            }
            Some(_) => left_alone("outside of the endpoint's filter of users"),
        })
    }

    async fn judge(&self, entry: Entry, controller: &Controller) -> Result<Result<Entry, Refusal>> {
        // What cannot be understood is not to be changed.
        let refusal = match protection(&entry, self.endpoint, controller) {
            Err(error) => Some(error),
            Ok(Some(reason)) => Some(left_alone(reason)),
            Ok(None) => None,
        };
        if let Some(refusal) = refusal {
            return Ok(Err(refusal));
        }
        if Own::learn(self.endpoint, self.cx).await?.is(&entry, controller, self.endpoint.domain.bind_name())? {
            let own = "this is the account with which the endpoint itself binds; change it in the directory";
            return Ok(Err(Error::new(ErrorKind::Unsupported, own)));
        }
        Ok(Ok(entry))
    }
}

/// Tells why nobody should change an account through an endpoint; nothing if it is an ordinary one.
fn protection(entry: &Entry, endpoint: &ActiveDirectory, controller: &Controller) -> Result<Option<&'static str>> {
    let dn = Dn::parse(entry.dn())?;
    if !dn.is_under(&endpoint.domain.base(controller)) {
        return Ok(Some("outside of the endpoint's base"));
    }
    if let Some(exclusion) = endpoint.domain.exclusion(Class::Users, entry, &dn, controller.head())? {
        return Ok(Some(exclusion));
    }
    if entry.texts("objectClass")?.iter().any(|class| class.eq_ignore_ascii_case("contact")) {
        return Ok(Some("a contact has no account"));
    }
    let flags = entry.i64(FLAGS)?.ok_or_else(|| unreadable(FLAGS))?;
    let sid = entry.sid("objectSid")?.ok_or_else(|| unreadable("objectSid"))?;
    if entry.text("sAMAccountName")?.is_none() {
        return Err(unreadable("sAMAccountName"));
    }
    if flags & MACHINES != 0 {
        return Ok(Some("account of a computer or a trust"));
    }
    if sid.rid().is_none_or(|rid| rid < FIRST_OWN_RID) || entry.flag("isCriticalSystemObject")? == Some(true) {
        return Ok(Some("account of the system"));
    }
    // Delegated rights vanish on these; an account that may nevertheless is one that should not be lent for this.
    if entry.i64("adminCount")?.is_some_and(|count| count != 0) {
        return Ok(Some("protected as a member of an administrators' group"));
    }
    Ok(None)
}

/// Tells what is to be changed for the action, and why it cannot be asked of this account.
fn wanted(action: Action, entry: &Entry, now: i64) -> Result<Wanted, Refusal> {
    let flags = entry.i64(FLAGS)?.ok_or_else(|| unreadable(FLAGS))?;
    let refused = |why: &'static str| Err(Error::config(why));
    match action {
        Action::Suspend => Ok(swap(flags, flags | DISABLED)),
        Action::Resume => {
            if matches!(map::user_kind(entry)?, UserKind::Shared | UserKind::Room | UserKind::Equipment) {
                return refused(
                    "the account of a shared mailbox is disabled by design; let people open the mailbox instead",
                );
            }
            let expiry = entry.i64("accountExpires")?.map(filetime::expiry).transpose()?;
            if matches!(expiry, Some(Expiry::At(end)) if end <= now) {
                return refused("the account has expired; set a later end in the directory, then ask again");
            }
            Ok(swap(flags, flags & !DISABLED))
        }
        Action::Unlock => match (entry.i64(COMPUTED)?, entry.i64(LOCKOUT)?) {
            // The time of a lock-out stays when the lock-out has ended by itself.
            (Some(computed), _) if computed & LOCKED == 0 => Ok(Wanted::Nothing),
            (None, Some(0)) => Ok(Wanted::Nothing),
            (None, None) => Err(unreadable(LOCKOUT)),
            _ => Ok(Wanted::Changes(vec![Change::replace(LOCKOUT, ["0"])])),
        },
        Action::ForcePasswordChange => {
            if flags & PASSWORD_NEVER_EXPIRES != 0 {
                return refused(
                    "the password of this account never expires, so that a change cannot be forced; clear \"password \
                     never expires\" first",
                );
            }
            match entry.i64(PASSWORD_SET)? {
                None => Err(unreadable(PASSWORD_SET)),
                Some(0) => Ok(Wanted::Nothing),
                Some(_) => Ok(Wanted::Changes(vec![Change::replace(PASSWORD_SET, ["0"])])),
            }
        }
        Action::RevokeSessions => Err(Error::new(ErrorKind::Unsupported, "active directory does not offer this")),
    }
}

/// Takes away the very value that was read: if somebody else changed another flag since, the server refuses both.
fn swap(old: i64, new: i64) -> Wanted {
    if old == new {
        return Wanted::Nothing;
    }
    Wanted::Changes(vec![Change::delete(FLAGS, [old.to_string()]), Change::add(FLAGS, [new.to_string()])])
}

/// Tells what the server's refusal means for this account; an error if it says nothing about it.
fn refused(attribute: &'static str, error: Error) -> Result<Refusal> {
    let password = result::failure(&error).and_then(result::Failure::windows_code) == Some(PASSWORD_RESTRICTION);
    let refusal = match code(&error) {
        Some(32) => Error::new(ErrorKind::NotFound, "the account was deleted meanwhile"),
        Some(50) => Error::new(
            ErrorKind::PermissionDenied { missing: vec![format!("write {attribute}")] },
            "the endpoint's account may not change this account; delegate the right for the unit that it lies in",
        ),
        Some(19 | 53) if password => {
            Error::config("the account's password does not satisfy the policy of the domain; set another one first")
        }
        Some(53) => Error::config("the server refuses to do this to this account; look at the policies of the domain"),
        Some(19) => Error::config("the change violates a rule of the directory; look at the policies of the domain"),
        Some(17 | 20 | 21 | 34 | 64..=69 | 71) => {
            Error::config("the directory does not take this change for this account; change it there")
        }
        _ => return Err(error),
    };
    Ok(refusal.with_context("result code", code(&error).unwrap_or_default()).with_source(error))
}

fn left_alone(reason: &'static str) -> Refusal {
    Error::new(
        ErrorKind::Unsupported,
        "this account is not to be changed through the endpoint; if it must be, change it in the directory",
    )
    .with_context("because", reason)
}

fn unreadable(attribute: &'static str) -> Refusal {
    Error::new(
        ErrorKind::PermissionDenied { missing: vec![format!("read {attribute}")] },
        "what the account is like now cannot be read, so that nothing is changed; let the endpoint's account read it",
    )
}

fn is_another_server(error: &Error) -> bool {
    *error.kind() == ErrorKind::Conflict && code(error).is_none()
}

#[cfg(test)]
mod tests;
