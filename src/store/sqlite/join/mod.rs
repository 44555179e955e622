//! Objects of several endpoints that are one person or thing: found by what they have in common, joined, taken apart.
//!
//! What is evidence, `rules::evidence` says; here it is looked for, and what follows from it is stored and told.

mod absorbed;
mod count;
mod evidence;
mod hand;
mod keys;
mod probable;
mod reshape;

pub(super) use absorbed::{absorbed_locals, local_with_absorbed};
pub(super) use count::{has_joins, live};
pub(super) use evidence::{Ahead, Evidence, Ground, Links, persona_in_row};
pub(super) use hand::joins_of;
pub(super) use keys::{
    OBJECTS_A_CHUNK, backfill, forget_object, forget_unless_several, is_several, put_keys, stored_keys,
};
pub(super) use probable::probable;
pub(super) use reshape::{Joiner, Newcomer, has_room, kept_of, note_join, parts};
