//! Pure decisions: no I/O, no async, no clock.

pub(crate) mod columns;
pub(crate) mod diff;
pub(crate) mod domains;
pub(crate) mod evidence;
pub(crate) mod guard;
pub(crate) mod join;
pub(crate) mod lock;
pub(crate) mod precedence;
pub(crate) mod text;
