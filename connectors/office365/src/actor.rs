//! Actions on accounts: read, judge, change the one thing, read again.
//!
//! It must not know who asks, nor what is stored. What nobody should change by mistake, and what Graph would refuse
//! anyway, is refused before anything is sent.

use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Request};
use serde::Deserialize;
use tenantry::endpoint::{Action, ActionOutcome, Actor, Context};
use tenantry::gate::Cost;
use tenantry::model::{ObjectKey, ObjectKind};
use tenantry::{Error, ErrorKind, Result, Retry};
use url::Url;
use uuid::Uuid;

use crate::client::{Graph, unreadable};
use crate::endpoint::Office365;
use crate::error::{self, Refusal};
use crate::grants;
use crate::operation::Operation;
use crate::rates::{APPLICATION, TENANT, WRITES, heed};

/// How often a change that Graph took is looked for: its copies of the directory follow within seconds.
const LOOKS: u32 = 4;

/// What is read of an account before and behind a change.
const SELECT: &str = "id,accountEnabled,userType,userPrincipalName,onPremisesSyncEnabled,isManagementRestricted,\
                      signInSessionsValidFromDateTime,passwordProfile";

/// An account as it is now.
#[allow(clippy::struct_field_names, reason = "as Graph calls them")]
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Account {
    account_enabled: Option<bool>,
    user_type: Option<String>,
    user_principal_name: Option<String>,
    on_premises_sync_enabled: Option<bool>,
    is_management_restricted: Option<bool>,
    sign_in_sessions_valid_from_date_time: Option<String>,
    /// Mostly not shown.
    password_profile: Option<PasswordProfile>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PasswordProfile {
    force_change_password_next_sign_in: Option<bool>,
}

#[derive(Deserialize)]
struct Word {
    value: serde_json::Value,
}

#[async_trait]
impl Actor for Office365 {
    /// All but the end of lock-outs: Entra's smart lockout ends by itself and cannot be asked to.
    fn offers(&self, action: Action, kind: ObjectKind) -> bool {
        kind == ObjectKind::User && operation(action).is_some()
    }

    async fn begin(&self, cx: &Context) -> Result<()> {
        self.graph().claims_of_now(cx).await.map(drop).map_err(|error| self.named(error))
    }

    async fn act(&self, cx: &Context, action: Action, account: &ObjectKey) -> Result<ActionOutcome> {
        let named = |error: Error| self.named(error).with_context("action", action);
        let Some(operation) = operation(action).filter(|_| self.offers(action, account.kind)) else {
            return Err(named(Error::new(ErrorKind::Unsupported, "office 365 does not offer this")));
        };
        let Ok(id) = Uuid::try_parse(&account.id.to_string()) else {
            return Ok(ActionOutcome::Refused(named(left_alone("its id is not one of this tenant"))));
        };
        let change = Change { graph: self.graph(), cx, action, operation, id, unknown: AtomicU32::new(0) };
        Ok(match change.run().await.map_err(|error| named(change.honest(error)))? {
            ActionOutcome::Refused(refusal) => ActionOutcome::Refused(named(refusal)),
            outcome => outcome,
        })
    }
}

/// What is asked of Graph for an action.
const fn operation(action: Action) -> Option<Operation> {
    match action {
        Action::Suspend | Action::Resume => Some(Operation::SetEnabled),
        Action::ForcePasswordChange => Some(Operation::DemandPassword),
        Action::RevokeSessions => Some(Operation::RevokeSessions),
        Action::Unlock => None,
    }
}

/// Why an account is left as it is.
type Reason = Error;

/// One action on one account.
struct Change<'a> {
    graph: &'a Graph,
    cx: &'a Context,
    action: Action,
    operation: Operation,
    id: Uuid,
    /// How many changes were put on the way that Graph has neither taken nor refused.
    unknown: AtomicU32,
}

impl Change<'_> {
    async fn run(&self) -> Result<ActionOutcome> {
        self.check_permission().await?;
        let before = match self.read(Operation::ReadAccount).await {
            Ok(account) => account,
            Err(error) if *error.kind() == ErrorKind::NotFound => {
                return Ok(ActionOutcome::Refused(gone().with_source(error)));
            }
            Err(error) => return Err(error),
        };
        if let Some(reason) = self.obstacle(&before).await? {
            return Ok(ActionOutcome::Refused(reason));
        }
        if self.is_so(&before) == Some(true) {
            return Ok(ActionOutcome::AlreadySo);
        }
        if let Err(error) = self.write().await {
            return match self.explain(error).await {
                Ok(reason) => Ok(ActionOutcome::Refused(reason)),
                Err(error) => Err(error),
            };
        }
        self.read_back(&before).await
    }

    /// A missing permission concerns every account.
    async fn check_permission(&self) -> Result<()> {
        let Some(roles) = self.graph.claims(self.cx).await?.roles else { return Ok(()) };
        let missing = grants::missing(self.operation.permissions(), &roles);
        if missing.is_empty() {
            return Ok(());
        }
        let message = "the application may not do this; add the permission and let an administrator consent to it";
        Err(Error::new(ErrorKind::PermissionDenied { missing }, message))
    }

    fn url(&self, below: &[&str]) -> Url {
        let mut url = self.graph.config.graph.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["users", &self.id.to_string()]).extend(below);
        }
        url
    }

    async fn read(&self, operation: Operation) -> Result<Account> {
        let mut url = self.url(&[]);
        url.query_pairs_mut().append_pair("$select", SELECT);
        self.graph
            .get(self.cx, operation, 1, &url, |answer| {
                serde_json::from_slice(&answer.body).map_err(|error| unreadable(answer, &error))
            })
            .await
    }

    /// Tells why this is not to be asked of this account.
    async fn obstacle(&self, account: &Account) -> Result<Option<Reason>> {
        if is_of_the_system(account) {
            return Ok(Some(left_alone("the account by which Entra Connect writes the directory")));
        }
        let synced = account.on_premises_sync_enabled == Some(true);
        if synced && self.action != Action::RevokeSessions {
            return Ok(Some(mastered_elsewhere()));
        }
        if account.is_management_restricted == Some(true) && self.action != Action::RevokeSessions {
            return Ok(Some(left_alone(
                "a member of a restricted management unit, which only its own administrators may change",
            )));
        }
        // Their password and their sessions are their own organisation's.
        let guest = account.user_type.as_deref().is_some_and(|kind| kind.eq_ignore_ascii_case("guest"));
        if guest && matches!(self.action, Action::ForcePasswordChange | Action::RevokeSessions) {
            let what = "a guest signs in at home, where this has no effect; suspend the guest instead";
            return Ok(Some(Error::config(what)));
        }
        match (self.action, account.account_enabled) {
            (Action::Suspend | Action::Resume, None) => Ok(Some(not_shown("accountEnabled"))),
            (Action::Resume, Some(false)) if self.is_mailbox_without_person().await? => Ok(Some(Error::config(
                "the account of a shared mailbox or a room is disabled by design; let people open the mailbox instead",
            ))),
            _ => Ok(None),
        }
    }

    /// Asks what the account's mailbox is for, if the application may know.
    async fn is_mailbox_without_person(&self) -> Result<bool> {
        let may = self.graph.claims(self.cx).await?.roles;
        if !may.is_some_and(|roles| grants::is_granted(grants::MAILBOXES, &roles)) {
            return Ok(false);
        }
        let url = self.url(&["mailboxSettings", "userPurpose"]);
        let word = self.graph.get(self.cx, Operation::MailboxPurpose, 1, &url, |answer| {
            serde_json::from_slice::<Word>(&answer.body).map_err(|error| unreadable(answer, &error))
        });
        match word.await {
            Ok(word) => {
                Ok(word.value.as_str().is_some_and(|purpose| ["shared", "room", "equipment"].contains(&purpose)))
            }
            Err(error) if Refusal::of(&error).is_some_and(|refusal| matches!(refusal.status, 403 | 404)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Tells whether it is as asked for; nothing where Graph does not show it.
    fn is_so(&self, account: &Account) -> Option<bool> {
        match self.action {
            Action::Suspend => account.account_enabled.map(|enabled| !enabled),
            Action::Resume => account.account_enabled,
            Action::ForcePasswordChange => account.password_profile.as_ref()?.force_change_password_next_sign_in,
            // Whoever signed in since is to be signed out too.
            Action::RevokeSessions | Action::Unlock => None,
        }
    }

    fn request(&self) -> Request {
        let body = match self.action {
            Action::Suspend => r#"{"accountEnabled":false}"#,
            Action::Resume => r#"{"accountEnabled":true}"#,
            Action::ForcePasswordChange => r#"{"passwordProfile":{"forceChangePasswordNextSignIn":true}}"#,
            Action::RevokeSessions | Action::Unlock => "",
        };
        let (method, url) = match self.action {
            Action::RevokeSessions | Action::Unlock => (Method::POST, self.url(&["revokeSignInSessions"])),
            _ => (Method::PATCH, self.url(&[])),
        };
        let mut request = Request::new(method, url);
        if !body.is_empty() {
            request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        *request.body_mut() = Some(body.into());
        request
    }

    /// Makes the change. All of them may be repeated: done twice, they are done once.
    async fn write(&self) -> Result<()> {
        let cost = Cost::of(0).on(TENANT, 1).on(APPLICATION, 1).on(WRITES, 1);
        self.cx
            .gate()
            .call(cost, self.operation.name(), |attempt| async move {
                self.unknown.fetch_add(1, Ordering::Relaxed);
                let sent = self.graph.send(self.cx, self.request()).await;
                let answer = sent.inspect_err(|error| {
                    // Without a token, or a way, nothing left this machine.
                    if matches!(error.kind(), ErrorKind::Unauthenticated | ErrorKind::Config) {
                        self.unknown.fetch_sub(1, Ordering::Relaxed);
                    }
                })?;
                heed(&attempt, &answer.headers);
                let status = answer.status.as_u16();
                if !answer.status.is_success() {
                    if matches!(status, 400..=499) {
                        self.unknown.fetch_sub(1, Ordering::Relaxed);
                    }
                    let now = self.cx.gate().clock().now_unix_millis();
                    return Err(error::refused(self.operation, status, &answer.headers, &answer.body, now));
                }
                let refused = serde_json::from_slice::<Word>(&answer.body).is_ok_and(|word| word.value == false);
                if self.action == Action::RevokeSessions && refused {
                    self.unknown.fetch_sub(1, Ordering::Relaxed);
                    return Err(Error::config("graph did not end the sessions; ask again later"));
                }
                Ok(())
            })
            .await
    }

    /// Looks for the change until it shows. What Graph never shows is done when it was taken.
    async fn read_back(&self, before: &Account) -> Result<ActionOutcome> {
        let mut url = self.url(&[]);
        url.query_pairs_mut().append_pair("$select", SELECT);
        let cost = crate::client::cost(1);
        let read = self.cx.gate().call(cost, "read the account again", |attempt| {
            let url = url.clone();
            async move {
                let answer = self.graph.send(self.cx, Request::new(Method::GET, url)).await?;
                heed(&attempt, &answer.headers);
                let status = answer.status.as_u16();
                if !answer.status.is_success() {
                    let now = self.cx.gate().clock().now_unix_millis();
                    return Err(error::refused(Operation::ReadAccount, status, &answer.headers, &answer.body, now));
                }
                let account: Account =
                    serde_json::from_slice(&answer.body).map_err(|error| unreadable(&answer, &error))?;
                let retry = if attempt.number() < LOOKS { Retry::Backoff } else { Retry::Never };
                if self.shows(before, &account) { Ok(()) } else { Err(not_yet().with_retry(retry)) }
            }
        });
        match read.await {
            Ok(()) => Ok(ActionOutcome::Done),
            // What it takes sessions to end is minutes; Graph has said that it will.
            Err(error) if *error.kind() == ErrorKind::Conflict && self.action == Action::RevokeSessions => {
                Ok(ActionOutcome::Done)
            }
            Err(error) if *error.kind() == ErrorKind::Conflict => {
                self.unknown.store(0, Ordering::Relaxed);
                Ok(ActionOutcome::Refused(error))
            }
            Err(error) => Err(error),
        }
    }

    fn shows(&self, before: &Account, after: &Account) -> bool {
        match self.action {
            Action::RevokeSessions => {
                let (old, new) =
                    (&before.sign_in_sessions_valid_from_date_time, &after.sign_in_sessions_valid_from_date_time);
                new.is_none() || new != old
            }
            // Written and, in most tenants, never shown.
            _ => self.is_so(after).unwrap_or(true),
        }
    }

    /// Tells what a refusal of the change means for this account; the error itself where it concerns every account.
    async fn explain(&self, error: Error) -> Result<Reason> {
        let Some(refusal) = Refusal::of(&error) else {
            return if *error.kind() == ErrorKind::Config { Ok(error) } else { Err(error) };
        };
        let reason = match (refusal.status, error.kind()) {
            (_, ErrorKind::NotFound) => gone(),
            (_, ErrorKind::PermissionDenied { .. }) => self.denied(),
            (400, _) => match self.read(Operation::ReadAccount).await {
                // It became so meanwhile, or the copy that was read before was behind.
                Ok(account) if account.on_premises_sync_enabled == Some(true) => mastered_elsewhere(),
                _ => Error::config("graph does not take this change for this account; change it in the tenant"),
            },
            (409 | 412 | 423, _) => {
                Error::new(ErrorKind::Conflict, "somebody else changes the account; ask again later")
            }
            _ => return Err(error),
        };
        let id = error.context("request id").map(ToOwned::to_owned);
        let reason = reason.with_context("code", &refusal.code).with_context("status", refusal.status);
        let reason = match id {
            Some(id) => reason.with_context("request id", id),
            None => reason,
        };
        Ok(reason.with_source(error))
    }

    /// The application has the permission, as far as is known: it is the account that is protected.
    fn denied(&self) -> Reason {
        let message = match self.action {
            Action::ForcePasswordChange => {
                "the application may not change this account's password; give it the role User Administrator, or, where \
                 the account is an administrator's, Privileged Authentication Administrator, or do it in the tenant"
            }
            Action::RevokeSessions => "the application may not end this account's sessions; do it in the tenant",
            _ => {
                "the account is an administrator's or otherwise protected; the application would need a higher role than \
                 it, so do it in the tenant"
            }
        };
        let missing = self.operation.permissions().iter().map(ToString::to_string).collect();
        Error::new(ErrorKind::PermissionDenied { missing }, message)
    }

    /// Says so where a change may have been made, whatever else is wrong.
    fn honest(&self, error: Error) -> Error {
        if self.unknown.load(Ordering::Relaxed) == 0 {
            return error;
        }
        Error::new(
            ErrorKind::Unavailable,
            "the change may have been made, but could not be read back; the next import tells",
        )
        .with_context("because", error.message())
        .with_source(error)
    }
}

/// Accounts that Entra Connect made for itself: without them a whole company's accounts are out of step.
fn is_of_the_system(account: &Account) -> bool {
    let Some((local, domain)) = account.user_principal_name.as_deref().and_then(|name| name.split_once('@')) else {
        return false;
    };
    let (local, domain) = (local.to_ascii_lowercase(), domain.to_ascii_lowercase());
    let of_connect = local.starts_with("sync_") || local.starts_with("adtoaadsyncserviceaccount");
    // The names are made up, always below the tenant's first domain.
    of_connect && [".onmicrosoft.com", ".onmicrosoft.us", ".onmschina.cn"].iter().any(|end| domain.ends_with(end))
}

fn gone() -> Reason {
    Error::new(ErrorKind::NotFound, "the account is deleted or never was; restore it in the tenant first")
}

fn mastered_elsewhere() -> Reason {
    Error::config("the account is synchronised from on-premises; change it in Active Directory, and let it synchronise")
}

fn left_alone(reason: &'static str) -> Reason {
    Error::new(
        ErrorKind::Unsupported,
        "this account is not to be changed through the endpoint; if it must be, change it in the tenant",
    )
    .with_context("because", reason)
}

fn not_shown(property: &str) -> Reason {
    Error::new(
        ErrorKind::PermissionDenied { missing: vec![grants::USERS.to_owned()] },
        "what the account is like now cannot be read, so that nothing is changed; grant the permission",
    )
    .with_context("property", property)
}

fn not_yet() -> Error {
    Error::new(
        ErrorKind::Conflict,
        "graph took the change and does not show it; somebody else may have changed it back, see who does",
    )
}
