//! The limits that the removals of a plan must pass. The judging is in `rules::guard`.

use serde::{Deserialize, Serialize};

/// How much may go: the larger of a share and a small floor.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// Share of what is known, 0 to 1.
    pub share: f64,
    /// Number that is always allowed, so that a small customer can have leavers; never half or more of four or more.
    pub floor: u64,
}

impl Limit {
    /// Creates a limit.
    pub const fn new(share: f64, floor: u64) -> Self {
        Self { share, floor }
    }
}

/// The limits of one endpoint, for one run and for the last 24 hours.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GuardLimits {
    /// Users removed, suspended or newly missing.
    pub users: Limit,
    /// Groups removed or newly missing.
    pub groups: Limit,
    /// Computers removed or newly missing.
    pub computers: Limit,
    /// Memberships that end, all groups together.
    pub memberships: Limit,
    /// Memberships that end in one group.
    pub members_per_group: Limit,
    /// Values of one attribute that become empty.
    pub cleared_values: Limit,
}

impl GuardLimits {
    /// One limit for everything.
    pub const fn of_all(limit: Limit) -> Self {
        Self {
            users: limit,
            groups: limit,
            computers: limit,
            memberships: limit,
            members_per_group: limit,
            cleared_values: limit,
        }
    }
}

impl Default for GuardLimits {
    fn default() -> Self {
        Self {
            users: Limit::new(0.10, 5),
            groups: Limit::new(0.10, 5),
            computers: Limit::new(0.20, 5),
            memberships: Limit::new(0.10, 25),
            members_per_group: Limit::new(0.50, 5),
            cleared_values: Limit::new(0.10, 5),
        }
    }
}
