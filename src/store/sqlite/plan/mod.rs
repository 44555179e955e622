//! What a finished listing would change: candidates for removal, memberships that may end, and what the guard holds.
//!
//! Candidates come only from proofs ([`Complete`]) or from the directory's own statements.

mod again;
mod candidates;
mod figures;
mod held;
mod judge;
mod keys;
mod listed;
mod memberships;
mod parked;
mod renames;

pub(super) use candidates::Verdict;
pub(super) use held::HeldItems;
#[cfg(fuzzing)]
pub use held::held_items;
pub(super) use judge::{Judgement, Terms};
pub(super) use memberships::{merge_sorted, subtract_sorted};
pub(super) use renames::Renames;
