//! A table of the file: its keys are taken one by one, and what nobody took is unknown.
//!
//! It knows no key by name.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::key::{Form, Key, Keys};
use crate::reading::Reading;
use crate::suggestion::nearest;

/// A key with its value.
pub(crate) struct Field<'t> {
    /// The key with the tables around it.
    pub(crate) path: String,
    /// Where the value is written.
    pub(crate) at: usize,
    pub(crate) value: &'t DeValue<'t>,
    /// What the list of keys says of the value.
    pub(crate) form: Form,
}

/// A table whose keys are being taken.
pub(crate) struct Table<'t> {
    path: String,
    at: usize,
    entries: BTreeMap<&'t str, (usize, &'t Spanned<DeValue<'t>>)>,
    keys: Vec<&'static Key>,
    asked: Vec<&'static str>,
}

impl<'t> Table<'t> {
    /// Opens a table with these keys. `path` is empty for the whole file.
    pub(crate) fn new(path: String, at: usize, table: &'t DeTable<'t>, keys: Keys) -> Self {
        let entries = table.iter().map(|(key, value)| (key.get_ref().as_ref(), (key.span().start, value))).collect();
        Self { path, at, entries, keys: keys.0.iter().collect(), asked: Vec::new() }
    }

    /// Lets the table have more keys, once it is known of what kind it is.
    pub(crate) fn extend(&mut self, keys: &'static [Key]) {
        self.keys.extend(keys);
    }

    /// Refuses keys of another sort of such a table, in words that say so.
    pub(crate) fn refuse_strangers(
        &mut self,
        others: &[&'static [Key]],
        message: &str,
        remedy: &str,
        reading: &mut Reading<'_>,
    ) {
        for key in others.iter().copied().flatten() {
            if self.keys.iter().any(|own| own.name == key.name) {
                continue;
            }
            if let Some((at, _)) = self.entries.remove(key.name) {
                reading.problem(at, &self.path_of(key.name), message, remedy);
            }
        }
    }

    /// Returns where the table begins.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Returns where the value of a key is written that was not taken yet.
    pub(crate) fn place_of(&self, key: &str) -> Option<usize> {
        self.entries.get(key).map(|(_, value)| value.span().start)
    }

    /// Returns the path of a key of this table.
    pub(crate) fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    fn key(&self, name: &str) -> &'static Key {
        let found = self.keys.iter().copied().find(|key| key.name == name);
        found.expect("a key that is read is in the list of its table")
    }

    /// Takes a key that may be missing.
    pub(crate) fn take(&mut self, name: &'static str) -> Option<Field<'t>> {
        let key = self.key(name);
        debug_assert!(!key.required, "{name} is listed as required");
        self.remove(key)
    }

    fn remove(&mut self, key: &'static Key) -> Option<Field<'t>> {
        self.asked.push(key.name);
        let (_, value) = self.entries.remove(key.name)?;
        let Range { start: at, .. } = value.span();
        Some(Field { path: self.path_of(key.name), at, value: value.get_ref(), form: key.form })
    }

    /// Takes a key that must not be missing.
    pub(crate) fn require(&mut self, name: &'static str, remedy: &str, reading: &mut Reading<'_>) -> Option<Field<'t>> {
        let key = self.key(name);
        debug_assert!(key.required, "{name} is listed as optional");
        let field = self.remove(key);
        if field.is_none() {
            reading.problem(self.at, &self.path_of(name), "this key is missing", remedy);
        }
        field
    }

    /// Tells whether every key has been taken.
    pub(crate) fn is_taken(&self) -> bool {
        self.entries.is_empty()
    }

    /// Reports every key that nobody has taken.
    pub(crate) fn finish(self, reading: &mut Reading<'_>) {
        debug_assert!(self.keys.iter().all(|key| self.asked.contains(&key.name)), "only {:?} are read", self.asked);
        let known = || self.keys.iter().map(|key| key.name);
        for (key, (at, _)) in &self.entries {
            let remedy = match nearest(key, known()) {
                Some(meant) => format!("did you mean {meant}?"),
                None => format!("the keys here are {}", known().collect::<Vec<_>>().join(", ")),
            };
            reading.problem(*at, &self.path_of(&printable(key)), "unknown key", remedy);
        }
    }
}

/// Writes a key as one line of bounded length, whatever is in it.
fn printable(key: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if key.len() <= 64 && !key.is_empty() && key.chars().all(bare) {
        return key.to_owned();
    }
    let start: String = key.chars().take(64).collect();
    format!("{start:?}")
}
