//! Changes that an operator asks of a remote account. It knows no record: who is meant is told by the source id.

use std::fmt::Debug;

use async_trait::async_trait;

use super::Context;
use crate::error::Result;
use crate::model::{ObjectKey, ObjectKind};

pub use crate::model::Action;

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
