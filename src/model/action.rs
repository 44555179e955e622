//! What can be asked of an account. It does not know who does it.

use std::fmt;

use serde::{Deserialize, Serialize};

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
