//! Sort keys that are written together, in their order: pages of the index are then passed once. It knows no record.

use crate::error::Result;

/// Sort keys, one behind the other.
#[derive(Debug, Default)]
pub(super) struct Keys {
    bytes: Vec<u8>,
    /// By order and kind, where a key begins, and whose it is.
    lines: Vec<(u8, u8, u16, u32, i64)>,
}

impl Keys {
    /// Adds a key of a record.
    pub(super) fn add(&mut self, by: i64, kind: i64, key: &[u8], record_no: i64) {
        let small = |number: i64| u8::try_from(number).expect("orders and kinds have small numbers");
        let len = u16::try_from(key.len()).expect("a sort key is short: each part of it is cut");
        let at = u32::try_from(self.bytes.len()).expect("a step has keys of less than 4 GiB");
        self.bytes.extend_from_slice(key);
        self.lines.push((small(by), small(kind), len, at, record_no));
    }

    /// Returns the memory that they take.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.capacity() + self.lines.capacity() * size_of::<(u8, u8, u16, u32, i64)>()
    }

    /// Gives them back in order.
    pub(super) fn take(&mut self, mut each: impl FnMut(u8, u8, &[u8], i64) -> Result<()>) -> Result<()> {
        let (bytes, mut lines) = (std::mem::take(&mut self.bytes), std::mem::take(&mut self.lines));
        let key = |len: u16, at: u32| &bytes[at as usize..at as usize + usize::from(len)];
        lines.sort_unstable_by(|a, b| (a.0, a.1, key(a.2, a.3)).cmp(&(b.0, b.1, key(b.2, b.3))));
        lines.into_iter().try_for_each(|(by, kind, len, at, record_no)| each(by, kind, key(len, at), record_no))
    }
}
