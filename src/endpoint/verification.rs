//! What a check of an endpoint found, for the person who configures it.

use serde::{Deserialize, Serialize};

/// A right that an endpoint needs or could use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Right {
    /// Its name, as the provider's administrator knows it.
    pub name: String,
    /// Whether it is granted.
    pub granted: bool,
    /// What it is for.
    pub purpose: String,
}

/// How much there is to read.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Estimate {
    /// Users, if the directory can tell cheaply.
    pub users: Option<u64>,
    /// Groups, if the directory can tell cheaply.
    pub groups: Option<u64>,
    /// Computers, if the directory can tell cheaply.
    pub computers: Option<u64>,
    /// Calls that a snapshot takes.
    pub calls: Option<u64>,
    /// Seconds that a snapshot takes.
    pub seconds: Option<u64>,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Verification {
    /// The directory's own id and, where it has one, name.
    pub identity: String,
    /// The server that answered, and what it is.
    pub server: String,
    /// Rights, granted or not.
    pub rights: Vec<Right>,
    /// What will not be seen, one sentence each.
    pub not_seen: Vec<String>,
    /// How much work it is.
    pub estimate: Estimate,
}
