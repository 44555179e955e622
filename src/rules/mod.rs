//! Pure decisions: no I/O, no async, no clock.

pub(crate) mod diff;
pub(crate) mod guard;
pub(crate) mod precedence;
pub(crate) mod text;
