//! A credential in memory: never printed, never serialised, wiped when dropped.

use std::fmt;

use zeroize::Zeroizing;

/// A password, key or token.
///
/// There is no `Display`, `Serialize`, `PartialEq` or `Default`; the only way to its text is [`Secret::expose`], so
/// that every place that uses one can be found.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes ownership of a credential.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// Returns the credential, to be handed to a protocol and nowhere else.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Tells whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing_of_the_secret() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "Secret(..)");
    }
}
