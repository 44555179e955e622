//! Actions on accounts: read, judge, change one field, read again. It must not know who asks, nor what is stored.

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Body, Method, Request};
use serde_json::json;
use tenantry::endpoint::{Action, ActionOutcome, Actor};
use tenantry::model::{ObjectKey, ObjectKind};
use tenantry::{Context, Error, ErrorKind, Result};
use url::Url;

use crate::client::Api;
use crate::config::Writes;
use crate::endpoint::{Gsuite, identity};
use crate::operation::Operation;
use crate::wire::{USER_FIELDS, User};

/// How often an account is read before a change that does not show is told.
const READS: u32 = 3;

#[async_trait]
impl Actor for Gsuite {
    /// All but unlocking: there is no such state there.
    fn offers(&self, action: Action, kind: ObjectKind) -> bool {
        self.api.config.writes == Writes::On && kind == ObjectKind::User && action != Action::Unlock
    }

    async fn begin(&self, cx: &Context) -> Result<()> {
        identity(&self.api, cx).await.map(drop).map_err(|error| self.named(error))
    }

    async fn act(&self, cx: &Context, action: Action, account: &ObjectKey) -> Result<ActionOutcome> {
        let named = |error: Error| self.named(error).with_context("action", action);
        if !self.offers(action, account.kind) {
            return Err(named(Error::new(ErrorKind::Unsupported, "this is not offered for this endpoint")));
        }
        let id = account.id.to_string();
        let attempted = Attempted { api: &self.api, cx, action, id: &id, sent: AtomicBool::new(false) };
        Ok(match attempted.run().await.map_err(|error| named(attempted.honest(error)))? {
            ActionOutcome::Refused(refusal) => ActionOutcome::Refused(named(refusal)),
            outcome => outcome,
        })
    }
}

struct Attempted<'a> {
    api: &'a Api,
    cx: &'a Context,
    action: Action,
    id: &'a str,
    /// A change is on its way.
    sent: AtomicBool,
}

impl Attempted<'_> {
    async fn run(&self) -> Result<ActionOutcome> {
        let user = match self.read().await? {
            Ok(user) => user,
            Err(refusal) => return Ok(ActionOutcome::Refused(refusal)),
        };
        if self.is_so(&user) {
            return Ok(ActionOutcome::AlreadySo);
        }
        if let Err(error) = self.write().await {
            return match error.kind() {
                ErrorKind::PermissionDenied { .. } if error.context("reason") != Some("insufficientPermissions") => {
                    Ok(ActionOutcome::Refused(error))
                }
                ErrorKind::NotFound | ErrorKind::Conflict => Ok(ActionOutcome::Refused(error)),
                // The answer may have been lost behind a change that was made.
                ErrorKind::Unavailable if self.action != Action::RevokeSessions => match self.read().await {
                    Ok(Ok(user)) if self.is_so(&user) => Ok(ActionOutcome::Done),
                    _ => Err(error),
                },
                _ => Err(error),
            };
        }
        // Sessions are not shown: their end is what the server said.
        if self.action == Action::RevokeSessions {
            return Ok(ActionOutcome::Done);
        }
        for _ in 0..READS {
            match self.read().await? {
                Ok(user) if self.is_so(&user) => return Ok(ActionOutcome::Done),
                Ok(_) => {}
                Err(refusal) => return Ok(ActionOutcome::Refused(refusal)),
            }
        }
        let late = "the server took the change and does not show it yet; the next import tells what became of it";
        Ok(ActionOutcome::Refused(Error::new(ErrorKind::Conflict, late)))
    }

    fn url(&self, more: &[&str], query: &[(&str, &str)]) -> Url {
        let path: Vec<&str> = ["users", self.id].into_iter().chain(more.iter().copied()).collect();
        self.api.url(&path, query)
    }

    /// Reads the account, and tells why it is to be left alone.
    async fn read(&self) -> Result<std::result::Result<User, Error>> {
        let url = self.url(&[], &[("fields", USER_FIELDS)]);
        let user: User = match self.api.get(self.cx, Operation::ReadUser, &url).await {
            Ok(user) => user,
            Err(error) if *error.kind() == ErrorKind::NotFound => {
                let gone = "there is no such account; if it was deleted, restore it in the admin console first";
                return Ok(Err(Error::new(ErrorKind::NotFound, gone)));
            }
            Err(error) => return Err(error),
        };
        Ok(match self.protection(&user) {
            Some(reason) => Err(Error::new(ErrorKind::Locked, reason)),
            None => Ok(user),
        })
    }

    fn protection(&self, user: &User) -> Option<&'static str> {
        let domain = user.primary_email.rsplit('@').next().unwrap_or_default();
        if user.id != self.id {
            Some("the id belongs to another account")
        } else if user.primary_email.eq_ignore_ascii_case(&self.api.config.admin) {
            Some("the endpoint works as this account; change it in the admin console")
        } else if user.is_admin == Some(true) {
            Some("this is a super administrator; change it in the admin console")
        } else if self.api.config.domain.as_deref().is_some_and(|own| !own.eq_ignore_ascii_case(domain)) {
            Some("the account is in a domain that this endpoint does not import")
        } else {
            None
        }
    }

    fn is_so(&self, user: &User) -> bool {
        match self.action {
            Action::Suspend => user.suspended == Some(true),
            Action::Resume => user.suspended == Some(false),
            Action::ForcePasswordChange => user.change_password_at_next_login == Some(true),
            Action::Unlock | Action::RevokeSessions => false,
        }
    }

    /// Sends one field only: `PUT` has the meaning of a patch here, and nothing else is touched by it.
    async fn write(&self) -> Result<()> {
        let (operation, method, url, body) = match self.action {
            Action::RevokeSessions => (Operation::SignOut, Method::POST, self.url(&["signOut"], &[]), None),
            action => {
                let body = match action {
                    Action::Suspend => json!({"suspended": true}),
                    Action::ForcePasswordChange => json!({"changePasswordAtNextLogin": true}),
                    _ => json!({"suspended": false}),
                };
                (Operation::WriteUser, Method::PUT, self.url(&[], &[("fields", "id")]), Some(body.to_string()))
            }
        };
        let request = || {
            self.sent.store(true, Ordering::Relaxed);
            let mut request = Request::new(method.clone(), url.clone());
            if let Some(body) = &body {
                request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                *request.body_mut() = Some(Body::from(body.clone()));
            } else {
                // An empty body has a length too, which some servers ask for.
                *request.body_mut() = Some(Body::from(""));
            }
            request
        };
        self.api.ask(self.cx, operation, request).await.map(drop)
    }

    /// Says so where a change may have been made, whatever else is wrong.
    fn honest(&self, error: Error) -> Error {
        if !self.sent.load(Ordering::Relaxed) || matches!(error.kind(), ErrorKind::PermissionDenied { .. }) {
            return error;
        }
        let message = "the change may have been made, but could not be read back; the next import tells";
        Error::new(ErrorKind::Unavailable, message).with_context("because", error.message()).with_source(error)
    }
}
