//! What a fuzzer may call of the reader of a domain: its resume points, with what must hold of them.
//!
//! It exists under `cfg(fuzzing)` only, is no part of the interface, and must not hold a reader of its own.

use tenantry::endpoint::{Checkpoint, Cursor};

use crate::domain::cursor::{Since, SliceStart};

/// A resume point that is read is written and read as the same again, be it of a listing or between runs.
pub(crate) fn checkpoint(bytes: &[u8]) {
    let Some((version, bytes)) = bytes.split_first() else { return };
    let version = u16::from(*version);
    if let Some(since) = Since::read(&Cursor::new(version, bytes)) {
        assert_eq!(Since::read(&since.cursor()).as_ref(), Some(&since));
    }
    let Ok(start) = SliceStart::read(&Checkpoint::new(version, bytes)) else { return };
    let again = SliceStart::read(&start.checkpoint()).expect("what is written can be read");
    assert_eq!(again, start);
    assert_eq!(again.since.cursor(), start.since.cursor());
}
