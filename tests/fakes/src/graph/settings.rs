//! What can be set on the service: page sizes, habits of delta, forms of resets; it knows no request.

use std::time::Duration;

use super::quota::Limits;

/// How a delta token that is too old or was reset is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResetForm {
    /// 410 with a `Location` whose `$deltatoken` is empty, and the code `resyncRequired`.
    GoneWithLocation,
    /// 410 with the code `resyncRequired` and nothing else.
    Gone,
    /// 410 with the code `SyncStateNotFound`.
    GoneStateNotFound,
    /// 400 with the code `syncStateNotFound`.
    StateNotFound,
    /// 400 with the code `Request_UnsupportedQuery` and the message that the link is older than 30 days; what is seen most.
    TooOld,
    /// 410 with an empty body.
    Bare,
}

impl ResetForm {
    /// All forms.
    pub const ALL: [Self; 6] =
        [Self::GoneWithLocation, Self::Gone, Self::GoneStateNotFound, Self::StateNotFound, Self::TooOld, Self::Bare];
}

/// In which order the members of large groups come in delta.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SliceOrder {
    /// One group after the other; slices of one follow each other.
    InTurn,
    /// The first slice of every group, then the second of those that have more, and so on.
    Interleaved,
}

/// How `$batch` sorts its answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchOrder {
    /// As asked.
    AsAsked,
    /// The last first.
    Reversed,
}

/// Limits and habits; the defaults are those of the real service as far as they are known.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own and is set by name")]
pub struct Settings {
    /// Rows of a listing without `$top`.
    pub page: u32,
    /// Most rows that `$top` may ask for.
    pub max_page: u32,
    /// Most rows of a listing with `signInActivity`.
    pub max_sign_in_page: u32,
    /// Members that `$expand` shows.
    pub expanded: u32,
    /// Objects on a page of delta.
    pub delta_page: u32,
    /// Members on a page of delta, and so in one slice of a group.
    pub delta_members: u32,
    /// How slices of large groups are ordered.
    pub slice_order: SliceOrder,
    /// Each n-th page of a delta round is empty but has a `nextLink`.
    pub empty_page_every: Option<u32>,
    /// Each page of a delta round begins with this many last objects of the page before.
    pub repeated: u32,
    /// Each round tells once more what the round before told.
    pub replay: bool,
    /// What changes while a first round is under way is told at its end, and again in the next round.
    pub late_changes: bool,
    /// Purged objects are not told as members that left.
    pub silent_purge: bool,
    /// The groups of a restored object tell it as a member that joined. They do not by default: memberships slept, and
    /// who never saw them asks for `memberOf`.
    pub wake_tells_groups: bool,
    /// How long delta tokens live.
    pub delta_token_life: Duration,
    /// How old delta tokens are refused.
    pub reset_form: ResetForm,
    /// How long access tokens live.
    pub access_token_life: Duration,
    /// Accepts client assertions of the older form too: RS256 with `x5t`.
    pub old_assertions: bool,
    /// The tenant has the licence that sign-in activity and registration details need.
    pub premium: bool,
    /// `revokeSignInSessions` answers 204 in place of 200.
    pub revoke_without_content: bool,
    /// How `$batch` sorts its answers.
    pub batch_order: BatchOrder,
    /// How long each call takes.
    pub latency: Duration,
    /// The quota; `None` lets everything through.
    pub quota: Option<Limits>,
    /// Most lines that the record of requests holds; 0 switches it off.
    pub log_lines: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            page: 100,
            max_page: 999,
            max_sign_in_page: 500,
            expanded: 20,
            delta_page: 200,
            delta_members: 500,
            slice_order: SliceOrder::InTurn,
            empty_page_every: None,
            repeated: 0,
            replay: false,
            late_changes: true,
            silent_purge: false,
            wake_tells_groups: false,
            delta_token_life: Duration::from_hours(7 * 24),
            reset_form: ResetForm::TooOld,
            access_token_life: Duration::from_secs(3599),
            old_assertions: false,
            premium: true,
            revoke_without_content: false,
            batch_order: BatchOrder::Reversed,
            latency: Duration::ZERO,
            quota: Some(Limits::default()),
            log_lines: 10_000,
        }
    }
}
