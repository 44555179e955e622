//! By which right the account may ask for changes, and where the first delta goes on. It must not know what changed.

use crate::{DirSync, Filter, code};
use serde::{Deserialize, Serialize};
use tenantry::endpoint::Context;
use tenantry::{Error, ErrorKind, Result};

use crate::domain::controller::Controller;
use crate::domain::cursor::{DirSyncPosition, Position};
use crate::domain::dirsync::walk::{More, Question, Round, Walk};
use crate::domain::reader::Shared;

/// The right by the name that administrators delegate it by.
pub(crate) const REPLICATE: &str = "Replicating Directory Changes";

/// Objects that every domain has from its first day: few, never deleted, and told to every account.
const ALWAYS_THERE: &str = "(|(isCriticalSystemObject=TRUE)(groupType:1.2.840.113556.1.4.803:=1))";

/// By which right changes are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Access {
    /// By the right to replicate.
    Replication,
    /// By the right to read each object: what the account cannot read is not told.
    ObjectSecurity,
}

impl Access {
    /// The wider one first.
    const ALL: [Self; 2] = [Self::Replication, Self::ObjectSecurity];

    pub(crate) fn flags(self) -> u32 {
        match self {
            Self::Replication => 0,
            Self::ObjectSecurity => DirSync::OBJECT_SECURITY,
        }
    }

    /// Finds out by which right the account gets answers.
    ///
    /// # Errors
    /// `PermissionDenied` that names the right if it gets none.
    pub(crate) async fn find(shared: &Shared, cx: &Context, controller: &Controller) -> Result<Self> {
        for access in Self::ALL {
            if access.is_granted(shared, cx, controller).await? {
                return Ok(access);
            }
        }
        Err(denied())
    }

    /// Tells whether asking by this right gives answers. A server may refuse it by an error, or by success with nothing
    /// in it; so that what every domain has is asked for.
    pub(crate) async fn is_granted(self, shared: &Shared, cx: &Context, controller: &Controller) -> Result<bool> {
        let question = self.question(controller)?;
        let mut walk = Walk::new(None);
        loop {
            let (entries, more) = match walk.round(&shared.connection, cx, &question).await {
                Ok(Round::Entries(entries, more)) => (entries, more),
                Ok(Round::CookieLost) => return Err(cookies_do_not_work()),
                Err(error) if is_denied(&error) => return Ok(false),
                Err(error) => return Err(error),
            };
            if !entries.is_empty() || more == More::Ended {
                return Ok(!entries.is_empty());
            }
            walk.progress(0)?;
        }
    }

    /// Walks to the end with next to nothing told on the way: a cookie says how far, whatever the filter was.
    async fn first_cookie(self, shared: &Shared, cx: &Context, controller: &Controller) -> Result<Option<Vec<u8>>> {
        let question = self.question(controller)?;
        let (mut walk, mut told) = (Walk::new(None), false);
        loop {
            let (entries, more) = match walk.round(&shared.connection, cx, &question).await {
                Ok(Round::Entries(entries, more)) => (entries, more),
                Ok(Round::CookieLost) => return Err(cookies_do_not_work()),
                Err(error) if is_denied(&error) => return Ok(None),
                Err(error) => return Err(error),
            };
            walk.progress(entries.len())?;
            told |= !entries.is_empty();
            if more == More::Ended {
                let cookie = walk.into_cookie().filter(|_| told);
                return Ok(cookie.map(crate::Cookie::into_bytes));
            }
        }
    }

    fn question(self, controller: &Controller) -> Result<Question<'_>> {
        Ok(Question {
            operation: "look for changes",
            domain: &controller.domain,
            filter: Filter::parse(ALWAYS_THERE)?,
            attributes: vec!["name".to_owned()],
            access: self,
            pin: controller.position.invocation,
        })
    }
}

/// Takes the position of a listing that is about to begin: what changes from here on comes in the next delta.
///
/// # Errors
/// `PermissionDenied` that names the right if the account gets no answers.
pub(crate) async fn beginning(
    shared: &Shared,
    cx: &Context,
    controller: &Controller,
    now: &Position,
) -> Result<DirSyncPosition> {
    for access in Access::ALL {
        if let Some(cookie) = access.first_cookie(shared, cx, controller).await? {
            return Ok(DirSyncPosition { domain: controller.domain_id, position: now.clone(), access, cookie });
        }
    }
    Err(denied())
}

/// The account may not ask this way: an answer, not a failure.
pub(crate) fn is_denied(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::PermissionDenied { .. }) && code(error).is_some()
}

fn denied() -> Error {
    Error::new(
        ErrorKind::PermissionDenied { missing: vec![REPLICATE.to_owned()] },
        "the account gets no changes by DirSync; delegate the right to it on the domain object, or set delta = \"usn\"",
    )
    .with_operation("look for changes")
}

fn cookies_do_not_work() -> Error {
    Error::protocol("the server does not take the DirSync cookies that it gives; set delta = \"usn\"")
}
