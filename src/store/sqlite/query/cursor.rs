//! Page cursors: the key of the last record of a page, and of which query it was. It knows no key's inside.

use std::fmt::Write as _;

use crate::error::{Error, Result};
use crate::model::{PageCursor, Query};

/// The layout of cursors, and of the keys in them.
const VERSION: u8 = 1;

/// Returns what tells queries apart.
fn digest(query: &Query) -> [u8; 8] {
    let text = serde_json::to_vec(query).unwrap_or_default();
    xxhash_rust::xxh3::xxh3_64(&text).to_be_bytes()
}

/// Writes the place behind a key.
pub(super) fn write(query: &Query, key: &[u8]) -> PageCursor {
    let mut text = String::with_capacity(18 + 2 * key.len());
    for byte in [VERSION].iter().chain(&digest(query)).chain(key) {
        let _ = write!(text, "{byte:02x}"); // into a string: cannot fail
    }
    PageCursor::new(text)
}

/// Reads the key behind which a page begins.
pub(super) fn read(query: &Query, cursor: &PageCursor) -> Result<Vec<u8>> {
    let refused = || Error::config("this is no cursor of a page; take the one that a page came with");
    let text = cursor.as_str().as_bytes();
    let (pairs, rest) = text.as_chunks::<2>();
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let bytes: Option<Vec<u8>> = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect();
    let bytes = bytes.filter(|_| rest.is_empty()).ok_or_else(refused)?;
    let (version, bytes) = bytes.split_first().ok_or_else(refused)?;
    if *version != VERSION {
        return Err(Error::config("the cursor is of another version; begin with the first page")
            .with_context("version", version)
            .with_context("this version", VERSION));
    }
    let (of, key) = bytes.split_first_chunk::<8>().ok_or_else(refused)?;
    if *of != digest(query) {
        return Err(Error::config("the cursor is of another query; begin with the first page"));
    }
    if key.is_empty() { Err(refused()) } else { Ok(key.to_vec()) }
}
