//! Changes that an operator asks of a remote account.

use std::fmt::Debug;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::Context;
use crate::error::Result;
use crate::model::ObjectKey;

/// What can be asked of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Disable it.
    Suspend,
    /// Enable it again.
    Resume,
    /// End a lock-out.
    Unlock,
    /// Demand a new password at the next sign-in.
    ForcePasswordChange,
    /// End all its sessions.
    RevokeSessions,
}

/// What became of an action on one account.
#[derive(Debug)]
pub enum ActionOutcome {
    /// Done, and read back.
    Done,
    /// It was so already.
    AlreadySo,
    /// Refused, here or there, with the reason and the remedy.
    Refused(crate::Error),
}

/// An endpoint that can change accounts.
#[async_trait]
pub trait Actor: Send + Sync + Debug {
    /// Tells whether an action can be asked of an account at all, without asking the remote.
    fn offers(&self, action: Action) -> bool;

    /// Asks an action of one account.
    ///
    /// # Behaviour
    /// - Touches nothing but what the action names.
    /// - Doing it twice is the same as doing it once.
    /// - What the remote refuses for this account is [`ActionOutcome::Refused`] with the remedy; an error is for what
    ///   concerns every account.
    /// - `Done` is read back from the server that was written to.
    async fn act(&self, cx: &Context, action: Action, account: &ObjectKey) -> Result<ActionOutcome>;
}
