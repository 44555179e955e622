//! Who matches a prefix, in the directory's order, without looking at everybody; it knows no recipient.
//!
//! A tree of letters. Small branches hold their keys as they are; large ones know everybody below them, so that a short
//! prefix of a large directory costs no more than a long one.

use std::collections::BTreeMap;

use roaring::RoaringBitmap;

/// How many keys a branch holds before it is split.
const LEAF: usize = 128;

#[derive(Debug, Clone)]
enum Node {
    Leaf(Vec<(Box<str>, u32)>),
    Inner { all: RoaringBitmap, children: BTreeMap<char, Node> },
}

impl Default for Node {
    fn default() -> Self {
        Self::Leaf(Vec::new())
    }
}

/// Keys with the places of their owners.
#[derive(Debug, Clone, Default)]
pub(crate) struct Index {
    root: Node,
}

fn split(key: &str) -> Option<(char, &str)> {
    let mut letters = key.chars();
    letters.next().map(|first| (first, letters.as_str()))
}

impl Node {
    fn insert(&mut self, key: &str, place: u32) {
        match self {
            Self::Leaf(entries) => {
                entries.push((key.into(), place));
                // Keys that have come to their end cannot be told apart any further, nor need they be.
                if entries.len() > LEAF && entries.iter().any(|(key, _)| !key.is_empty()) {
                    let entries = std::mem::take(entries);
                    *self = Self::Inner { all: RoaringBitmap::new(), children: BTreeMap::new() };
                    for (key, place) in entries {
                        self.insert(&key, place);
                    }
                }
            }
            Self::Inner { all, children } => {
                all.insert(place);
                if let Some((first, rest)) = split(key) {
                    children.entry(first).or_default().insert(rest, place);
                }
            }
        }
    }

    /// Removes a place; the keys are all that it has below here.
    fn remove(&mut self, key: &str, place: u32) {
        match self {
            Self::Leaf(entries) => entries.retain(|(_, other)| *other != place),
            Self::Inner { all, children } => {
                all.remove(place);
                if let Some((first, rest)) = split(key)
                    && let Some(child) = children.get_mut(&first)
                {
                    child.remove(rest, place);
                }
            }
        }
    }
}

impl Index {
    pub(crate) fn insert(&mut self, key: &str, place: u32) {
        self.root.insert(key, place);
    }

    /// Removes an owner, who has exactly these keys.
    pub(crate) fn remove<'a>(&mut self, keys: impl IntoIterator<Item = &'a str>, place: u32) {
        for key in keys {
            self.root.remove(key, place);
        }
    }

    /// Everybody with a key that begins so, the first in the directory first.
    pub(crate) fn starting<'a>(&'a self, prefix: &str) -> Box<dyn Iterator<Item = u32> + 'a> {
        let mut node = &self.root;
        let mut rest = prefix;
        loop {
            match node {
                Node::Leaf(entries) => {
                    let hit = |(key, place): &(Box<str>, u32)| key.starts_with(rest).then_some(*place);
                    let mut places: Vec<u32> = entries.iter().filter_map(hit).collect();
                    places.sort_unstable();
                    places.dedup();
                    return Box::new(places.into_iter());
                }
                Node::Inner { all, children } => match split(rest) {
                    None => return Box::new(all.iter()),
                    Some((first, after)) => match children.get(&first) {
                        Some(child) => (node, rest) = (child, after),
                        None => return Box::new(std::iter::empty()),
                    },
                },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_finds_what_a_plain_search_finds_also_after_removals() {
        let key = |n: u32| format!("{}{}", ["anna", "anne", "bob", "áb", ""][n as usize % 5], n * 7 % 1000);
        let mut index = Index::default();
        let mut plain: Vec<(String, u32)> = Vec::new();
        for n in 0..3000 {
            for key in [key(n), key(n + 2)] {
                index.insert(&key, n);
                plain.push((key, n));
            }
        }
        for n in (0..3000).step_by(3) {
            index.remove([key(n), key(n + 2)].iter().map(String::as_str), n);
            plain.retain(|(_, place)| *place != n);
        }
        for prefix in ["", "a", "an", "anna", "anna1", "anna77", "b", "bob9", "á", "7", "70", "zz"] {
            let mut wanted: Vec<u32> =
                plain.iter().filter(|(key, _)| key.starts_with(prefix)).map(|(_, place)| *place).collect();
            wanted.sort_unstable();
            wanted.dedup();
            assert_eq!(index.starting(prefix).collect::<Vec<_>>(), wanted, "{prefix}");
        }
    }

    #[test]
    fn many_owners_of_one_key_are_all_found() {
        let mut index = Index::default();
        (0..1000).for_each(|place| index.insert("anna", place));
        assert_eq!(index.starting("anna").count(), 1000);
        assert_eq!(index.starting("ann").count(), 1000);
        assert_eq!(index.starting("annab").count(), 0);
    }
}
