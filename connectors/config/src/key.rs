//! What a key of the configuration is: its name, the form of its value, whether it must be there, what it means.
//!
//! The modules of the tables list their keys in these words; the reading and the schema both go by the lists, so that
//! neither can know a key, a choice or a limit that the other does not. It knows no key by name.

use std::time::Duration;

/// One key of a table.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) form: Form,
    pub(crate) required: bool,
    /// What it means, in one line, for whoever edits the file.
    pub(crate) about: &'static str,
}

impl Key {
    /// A key that may be missing.
    pub(crate) const fn optional(name: &'static str, form: Form, about: &'static str) -> Self {
        Self { name, form, required: false, about }
    }

    /// A key that must be there.
    pub(crate) const fn required(name: &'static str, form: Form, about: &'static str) -> Self {
        Self { name, form, required: true, about }
    }
}

/// The form of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// A text that says something.
    Text,
    /// A short key: 1 to 64 of `a-z A-Z 0-9 - _ .`.
    Name,
    /// What an endpoint connects to.
    Kind,
    /// One text or a list of them.
    Texts,
    /// `true` or `false`.
    Switch,
    /// One of a few words.
    Choice(&'static [&'static str]),
    /// A time within limits, or a word that stands for one.
    Time { least: Duration, most: Duration, word: Option<&'static str> },
    /// The path of a file.
    Path,
    /// The name of an environment variable.
    Variable,
    /// A share of a whole.
    Share,
    /// A share of a whole that is more than nothing.
    Part,
    /// A number of things.
    Count,
    /// A number within limits.
    Number { least: u64, most: u64 },
    /// Where a secret is: a table with one of its keys.
    Secret(Keys),
    /// A table.
    Table(Keys),
    /// A list of endpoints, each a table with the keys of its kind.
    Endpoints,
}

/// The keys of one table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keys(pub(crate) &'static [Key]);

impl PartialEq for Keys {
    /// Compares by identity: a list of keys is written once.
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.0, other.0)
    }
}

impl Eq for Keys {}
