//! How far a run is, and how it ended.

use serde::{Deserialize, Serialize};

use super::{EndpointName, HeldChange, PlanId, RunId, Timestamp, Unreadable};

/// How a run reads the remote directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// A full listing.
    #[default]
    Snapshot,
    /// The changes since a cursor.
    Delta,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Everything was applied.
    Done,
    /// Everything was applied but what the guard holds back.
    Held,
    /// It failed; nothing false was applied.
    Failed,
    /// It was a dry run.
    Planned,
    /// Somebody asked it to stop; its checkpoint is kept.
    Cancelled,
}

/// What a run is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Waiting for its turn, or reading what can be seen.
    #[default]
    Starting,
    /// Listing the remote directory.
    Listing,
    /// Comparing with what is stored.
    Planning,
    /// Looking up what seems to be gone.
    Confirming,
    /// Writing changes and events.
    Applying,
    /// Ended.
    Finished,
}

/// Where a run stands.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Progress {
    /// What it is doing.
    pub phase: Phase,
    /// Pages read.
    pub pages: u64,
    /// Objects read.
    pub objects: u64,
    /// Memberships read.
    pub memberships: u64,
    /// Changes applied, of those planned.
    pub applied: u64,
    /// Changes planned, once known.
    pub planned: u64,
    /// Objects expected, where the endpoint's last listing or its own estimate tells.
    pub expected_objects: Option<u64>,
    /// What the run waits for, if it waits: a quota, the server's own demand, a pause before trying again.
    pub waiting: Option<String>,
}

/// How old what a run left may be, of one part of a directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Freshness {
    /// The part, in words.
    pub part: String,
    /// What is stored of it is at least as young: whatever happened before is there.
    pub as_of: Timestamp,
}

/// How one run of one endpoint went. The figures of a dry run are the planned ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunReport {
    /// The run.
    pub run: RunId,
    /// The endpoint's key.
    #[serde(rename = "name")]
    pub endpoint: EndpointName,
    /// The endpoint's kind.
    pub kind: String,
    /// How it read.
    pub mode: Mode,
    /// How it ended.
    pub outcome: Outcome,
    /// The id of what is held back or, of a dry run, would be.
    pub plan: Option<PlanId>,
    /// What failed, in one line.
    pub error: Option<String>,
    /// The failure's kind.
    pub error_kind: Option<String>,
    /// Objects that came in: each founds a record, or joins the one of somebody whom another endpoint shows.
    pub created: u64,
    /// Records changed.
    pub updated: u64,
    /// Records removed.
    pub removed: u64,
    /// Objects newly missing.
    pub missing: u64,
    /// Changes held back.
    pub parked: u64,
    /// Memberships begun.
    pub members_added: u64,
    /// Memberships ended.
    pub members_removed: u64,
    /// Records set aside.
    pub quarantined: u64,
    /// Pages read.
    pub pages: u64,
    /// Calls sent to the remote.
    pub requests: u64,
    /// Calls that the remote throttled.
    pub throttled: u64,
    /// Wall time.
    pub seconds: f64,
    /// What is held back, by sort.
    #[serde(default)]
    pub held: Vec<HeldChange>,
    /// What could not be read.
    #[serde(default)]
    pub unreadable: Vec<Unreadable>,
    /// How old each part may be, where the endpoint cannot tell all changes: none, where all is as of the beginning.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub freshness: Vec<Freshness>,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Timestamp,
}
