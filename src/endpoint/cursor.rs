//! Resume points: opaque to the engine, versioned by their connector, never printed.

use std::fmt;

macro_rules! opaque {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq)]
        pub struct $name {
            version: u16,
            bytes: Vec<u8>,
        }

        impl $name {
            /// Wraps a connector's own bytes under the version of their layout.
            pub fn new(version: u16, bytes: impl Into<Vec<u8>>) -> Self {
                Self { version, bytes: bytes.into() }
            }

            /// Returns the version of the layout.
            pub fn version(&self) -> u16 {
                self.version
            }

            /// Returns the connector's own bytes.
            pub fn bytes(&self) -> &[u8] {
                &self.bytes
            }

            /// Writes version and bytes for the store.
            pub(crate) fn to_stored(&self) -> Vec<u8> {
                [self.version.to_be_bytes().as_slice(), &self.bytes].concat()
            }

            /// Reads what the store kept.
            pub(crate) fn from_stored(stored: &[u8]) -> Option<Self> {
                let (version, bytes) = stored.split_first_chunk()?;
                Some(Self { version: u16::from_be_bytes(*version), bytes: bytes.to_vec() })
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}(v{}, {} bytes)", stringify!($name), self.version, self.bytes.len())
            }
        }
    };
}

opaque!(
    /// Resume point between runs: a delta link, a cookie, an update sequence number bound to one server.
    ///
    /// It may be used weeks later, by a newer release, or not at all; it holds what tells its directory from another.
    Cursor
);
opaque!(
    /// Resume point inside one snapshot. It covers exactly the pages before it, and the page that it came with.
    ///
    /// Where there are deltas, its bytes hold the cursor from before the first page, for the end to tell.
    Checkpoint
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_and_shows_no_bytes() {
        let cursor = Cursor::new(3, b"secret".to_vec());
        assert_eq!(Cursor::from_stored(&cursor.to_stored()), Some(cursor.clone()));
        assert_eq!(format!("{cursor:?}"), "Cursor(v3, 6 bytes)");
        assert_eq!(Cursor::from_stored(&[1]), None);
    }
}
