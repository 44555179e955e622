//! What to change on one entry.
//!
//! It asks no server; see [`crate::Session::modify`]. A change may hold a password: `Debug` shows no value.

use std::collections::HashSet;
use std::fmt;

/// What happens to the values of an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Add,
    Delete,
    Replace,
}

/// One change. All changes of a request happen together or not at all, in their order.
#[derive(Clone, PartialEq, Eq)]
pub struct Change {
    verb: Verb,
    attribute: String,
    values: Vec<Vec<u8>>,
}

impl Change {
    /// Adds values; fails if one is there already.
    pub fn add<V: Into<Vec<u8>>>(attribute: impl Into<String>, values: impl IntoIterator<Item = V>) -> Self {
        Self::new(Verb::Add, attribute.into(), values)
    }

    /// Deletes values, all if none are given; fails if one is not there.
    pub fn delete<V: Into<Vec<u8>>>(attribute: impl Into<String>, values: impl IntoIterator<Item = V>) -> Self {
        Self::new(Verb::Delete, attribute.into(), values)
    }

    /// Replaces all values; none removes the attribute.
    pub fn replace<V: Into<Vec<u8>>>(attribute: impl Into<String>, values: impl IntoIterator<Item = V>) -> Self {
        Self::new(Verb::Replace, attribute.into(), values)
    }

    fn new<V: Into<Vec<u8>>>(verb: Verb, attribute: String, values: impl IntoIterator<Item = V>) -> Self {
        Self { verb, attribute, values: values.into_iter().map(Into::into).collect() }
    }

    pub(crate) fn adds_nothing(&self) -> bool {
        self.verb == Verb::Add && self.values.is_empty()
    }

    pub(crate) fn to_mod(&self) -> ldap3::Mod<Vec<u8>> {
        let attribute = self.attribute.clone().into_bytes();
        let values: HashSet<Vec<u8>> = self.values.iter().cloned().collect();
        match self.verb {
            Verb::Add => ldap3::Mod::Add(attribute, values),
            Verb::Delete => ldap3::Mod::Delete(attribute, values),
            Verb::Replace => ldap3::Mod::Replace(attribute, values),
        }
    }
}

impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {} ({} values)", self.verb, self.attribute, self.values.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_value() {
        let change = Change::replace("unicodePwd", ["hunter2"]);
        assert_eq!(format!("{change:?}"), "Replace unicodePwd (1 values)");
    }
}
