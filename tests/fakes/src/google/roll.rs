//! An ordered collection of generated rows with the changes made to them; it knows no resource.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;

use serde_json::{Map, Value};

use super::seed::Seed;

/// How generated rows come to be; `key` rises with the index.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Recipe {
    pub(crate) count: fn(&Seed) -> usize,
    pub(crate) key: fn(&Seed, usize) -> String,
    pub(crate) id: fn(usize) -> String,
    pub(crate) index: fn(&Seed, &str) -> Option<usize>,
    pub(crate) make: fn(&Seed, usize) -> Map<String, Value>,
}

/// A row that differs from what is generated.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) fields: Map<String, Value>,
    pub(crate) key: String,
    /// Before this instant listings do not show it.
    pub(crate) listed_from: i64,
}

#[derive(Debug, Clone)]
pub(crate) struct Roll {
    recipe: Recipe,
    changed: HashMap<String, Row>,
    order: BTreeMap<String, String>,
    /// Generated rows that are changed or gone.
    touched: BTreeSet<usize>,
}

impl Roll {
    pub(crate) fn new(recipe: Recipe) -> Self {
        Self { recipe, changed: HashMap::new(), order: BTreeMap::new(), touched: BTreeSet::new() }
    }

    pub(crate) fn len(&self, seed: &Seed) -> usize {
        (self.recipe.count)(seed) - self.touched.len() + self.changed.len()
    }

    fn untouched(&self, seed: &Seed, id: &str) -> Option<usize> {
        (self.recipe.index)(seed, id).filter(|index| !self.touched.contains(index))
    }

    pub(crate) fn contains(&self, seed: &Seed, id: &str) -> bool {
        self.changed.contains_key(id) || self.untouched(seed, id).is_some()
    }

    pub(crate) fn get(&self, seed: &Seed, id: &str) -> Option<Map<String, Value>> {
        let generated = || self.untouched(seed, id).map(|index| (self.recipe.make)(seed, index));
        self.changed.get(id).map(|row| row.fields.clone()).or_else(generated)
    }

    pub(crate) fn is_changed(&self, id: &str) -> bool {
        self.changed.contains_key(id)
    }

    /// Puts a row in place of what was there under its id.
    pub(crate) fn put(&mut self, seed: &Seed, id: &str, row: Row) {
        self.remove(seed, id);
        self.order.insert(row.key.clone(), id.to_owned());
        self.changed.insert(id.to_owned(), row);
    }

    pub(crate) fn remove(&mut self, seed: &Seed, id: &str) -> Option<Map<String, Value>> {
        let fields = self.get(seed, id);
        if let Some(row) = self.changed.remove(id) {
            self.order.remove(&row.key);
        }
        if let Some(index) = (self.recipe.index)(seed, id) {
            self.touched.insert(index);
        }
        fields
    }

    pub(crate) fn listed_from(&self, id: &str) -> i64 {
        self.changed.get(id).map_or(i64::MIN, |row| row.listed_from)
    }

    /// Walks the rows in order of their keys, from the first key that is `>= from` (or `>` it).
    pub(crate) fn walk<'a>(&'a self, seed: &'a Seed, from: &str, inclusive: bool) -> Walk<'a> {
        let count = (self.recipe.count)(seed);
        let before = |index: usize| {
            let key = (self.recipe.key)(seed, index);
            if inclusive { key.as_str() < from } else { key.as_str() <= from }
        };
        let (mut low, mut high) = (0, count);
        while low < high {
            let middle = low + (high - low) / 2;
            if before(middle) { low = middle + 1 } else { high = middle }
        }
        let bound = if inclusive { Bound::Included(from.to_owned()) } else { Bound::Excluded(from.to_owned()) };
        let changed = self.order.range((bound, Bound::Unbounded));
        Walk { roll: self, seed, index: low, count, changed: changed.peekable() }
    }
}

/// Rows in order: key and id.
pub(crate) struct Walk<'a> {
    roll: &'a Roll,
    seed: &'a Seed,
    index: usize,
    count: usize,
    changed: std::iter::Peekable<std::collections::btree_map::Range<'a, String, String>>,
}

impl Iterator for Walk<'_> {
    type Item = (String, String);

    fn next(&mut self) -> Option<Self::Item> {
        while self.index < self.count && self.roll.touched.contains(&self.index) {
            self.index += 1;
        }
        let generated = (self.index < self.count).then(|| (self.roll.recipe.key)(self.seed, self.index));
        let changed_first = match (&generated, self.changed.peek()) {
            (Some(generated), Some((changed, _))) => *changed < generated,
            (None, Some(_)) => true,
            (_, None) => false,
        };
        if changed_first {
            return self.changed.next().map(|(key, id)| (key.clone(), id.clone()));
        }
        let key = generated?;
        let id = (self.roll.recipe.id)(self.index);
        self.index += 1;
        Some((key, id))
    }
}
