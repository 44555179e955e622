//! What a fuzzer may call: the readers of stored bytes, each with what must hold of its answers.
//!
//! It exists under `cfg(fuzzing)` only, is no part of the interface, and must not hold a reader of its own.

#![allow(missing_docs, clippy::missing_panics_doc, reason = "a panic is how a fuzzer is told")]

use crate::endpoint::{Checkpoint, Cursor};
use crate::model::{Event, SourceId};
use crate::store::codec::{self, Reader};
pub use crate::store::{event_segment, held_items};

/// An image that is read is written and read as the same again.
pub fn stored_attributes(bytes: &[u8]) {
    let Ok(attributes) = codec::read_attributes(bytes) else { return };
    let mut written = Vec::new();
    codec::push_attributes(&mut written, &attributes);
    assert_eq!(codec::read_attributes(&written).expect("what is written can be read"), attributes);
    let mut again = Vec::new();
    codec::push_attributes(&mut again, &attributes);
    assert_eq!(written, again, "equal attributes give equal bytes");
}

/// Members, source ids and numbers that are read are written and read as the same again.
pub fn stored_members(bytes: &[u8]) {
    let mut reader = Reader::new(bytes, "members");
    while let Ok(member) = codec::read_member(&mut reader) {
        let mut written = Vec::new();
        codec::push_member(&mut written, &member);
        let mut again = Reader::new(&written, "members");
        assert_eq!(codec::read_member(&mut again).expect("what is written can be read"), member);
        assert!(again.is_at_end());
        assert_eq!(SourceId::from_stored(&member.id.to_stored()).as_ref(), Some(&member.id));
    }
    if let Some(id) = SourceId::from_stored(bytes) {
        assert_eq!(id.to_stored(), bytes);
    }
}

/// Packed numbers come out in order, as a list and as a set, and packed again they are the same.
pub fn packed_numbers(bytes: &[u8]) {
    let (numbers, set) = (codec::unpack_sorted(bytes), codec::unpack_set(bytes));
    assert_eq!(numbers.is_ok(), set.is_ok());
    let (Ok(numbers), Ok(set)) = (numbers, set) else { return };
    // A set keeps of equal neighbours only one.
    assert!(set.iter().eq(numbers.chunk_by(u64::eq).map(|equal| equal[0])));
    assert!(numbers.is_sorted());
    assert_eq!(codec::unpack_sorted(&codec::pack_sorted(&numbers)).expect("what is packed can be unpacked"), numbers);
}

/// Resume points read back as they were stored.
pub fn stored_cursor(bytes: &[u8]) {
    let cursor = Cursor::from_stored(bytes);
    assert_eq!(cursor.is_some(), bytes.len() >= 2);
    assert!(cursor.is_none_or(|cursor| cursor.to_stored() == bytes));
    assert!(Checkpoint::from_stored(bytes).is_none_or(|checkpoint| checkpoint.to_stored() == bytes));
}

/// What must hold of events that were read behind a position, at most so many, of a segment that begins at `first`.
pub(crate) fn check_events(all: &[Event], some: &[Event], first: u64, after: u64, limit: usize) {
    let ids = |events: &[Event]| events.iter().map(|event| event.id.clone()).collect::<Vec<_>>();
    for (at, event) in (first..).zip(all) {
        assert_eq!(event.position(), at, "positions follow each other");
        serde_json::from_str::<&serde_json::value::RawValue>(event.data.get()).expect("data is JSON");
    }
    let expected: Vec<_> = all.iter().filter(|event| event.position() > after).take(limit).cloned().collect();
    assert_eq!(ids(some), ids(&expected), "a part is a part of the whole");
}
