//! Operations on the local directory: retention, erasure, removal of endpoints, export at a position.

mod erasure;
mod export;
mod histories;
mod kills;
mod release;
mod replica;
mod retention;
mod stage;

pub(crate) use erasure::found_in;
pub(crate) use replica::Replica;
pub(crate) use stage::{Stage, name, wide};
