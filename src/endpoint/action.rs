//! Changes that an operator asks of a remote account. It knows no record: who is meant is told by the source id.

use std::fmt::{self, Debug};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::Context;
use crate::error::Result;
use crate::model::{ObjectKey, ObjectKind};

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

impl Action {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 5] =
        [Self::Suspend, Self::Resume, Self::Unlock, Self::ForcePasswordChange, Self::RevokeSessions];

    /// Returns the action as it is spelled in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Suspend => "suspend",
            Self::Resume => "resume",
            Self::Unlock => "unlock",
            Self::ForcePasswordChange => "force-password-change",
            Self::RevokeSessions => "revoke-sessions",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
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
    /// Tells whether an action can be asked of objects of a kind at all.
    ///
    /// # Behaviour
    /// - Needs no network and always returns the same.
    fn offers(&self, action: Action, kind: ObjectKind) -> bool;

    /// Makes ready for a series of actions: called once before the first of them.
    ///
    /// # Behaviour
    /// - Changes nothing there.
    /// - What would keep every account from being changed is an error here: nobody answers, the password is wrong, the
    ///   server takes no changes. A wrong password is tried once.
    async fn begin(&self, cx: &Context) -> Result<()> {
        let _ = cx;
        Ok(())
    }

    /// Asks an action of one account.
    ///
    /// # Behaviour
    /// - Touches nothing but what the action names.
    /// - Doing it twice is the same as doing it once.
    /// - What is not to be touched by anybody's mistake is [`ActionOutcome::Refused`] before anything is sent: accounts
    ///   of the system, protected ones, the account that the endpoint itself uses, everything that it does not import.
    /// - What the remote refuses for this account is [`ActionOutcome::Refused`] with the remedy; an error is for what
    ///   concerns every account.
    /// - `Done` is read back from the server that was written to.
    /// - [`Cancelled`](crate::ErrorKind::Cancelled) means that nothing was sent. Who is cancelled later, while a change
    ///   is under way, returns another error, which says that the change may have been made.
    async fn act(&self, cx: &Context, action: Action, account: &ObjectKey) -> Result<ActionOutcome>;
}
