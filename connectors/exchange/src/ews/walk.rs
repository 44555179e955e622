//! Which beginnings are asked for, and whether everybody was found. It must not know how anybody is asked.
//!
//! A server tells the first hundred of those whose name, alias or primary address begins with something. Where it tells a
//! hundred, there may be more: each letter that may follow is asked for behind it. Why nobody is left out then: everybody
//! who is visible has a primary address that nobody else has. On its way, letter by letter, a beginning is either told
//! whole, with that person in it, or cut and followed by every letter that addresses are made of. Letters of names are
//! followed too, where they are seen; nothing rests on them.

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::hash::{Hash as _, Hasher as _};
use std::ops::Bound;

use serde::{Deserialize, Serialize};

use super::letters;

/// The local part of an address has no more letters.
const DEPTH: usize = 64;
/// Addresses that are held against what is told of them elsewhere.
const WITNESSES: usize = 2000;

/// Somebody that a server told, as far as the walk is concerned: folded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Heard {
    /// The primary address; empty where it is not known.
    pub(crate) address: String,
    /// Names and alias.
    pub(crate) names: Vec<String>,
}

/// Why a listing may leave somebody out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Gap {
    /// More than a hundred have the same long beginning.
    TooDeep,
    /// The requests that the configuration allows were used up.
    TooMany,
    /// The server tells others than those who were asked for.
    Deaf,
    /// Somebody with an address was not told under its beginning.
    Contradiction,
    /// Addresses have letters of a script that cannot be tried letter by letter.
    Script,
}

impl Gap {
    /// Says it to people.
    pub(crate) const fn reason(self) -> &'static str {
        match self {
            Self::TooDeep => "more than a hundred recipients begin alike, and the server tells only the first hundred",
            Self::TooMany => "the requests that max_calls allows did not suffice; raise it, or use the route ldap",
            Self::Deaf => "the server tells recipients that were not asked for, so that nobody can be looked for",
            Self::Contradiction => "the server did not tell somebody under the beginning of the address",
            Self::Script => "addresses are written in a script that cannot be tried letter by letter",
        }
    }
}

/// A beginning that was cut, and how many letters were asked for behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Node {
    prefix: Box<str>,
    next: usize,
    /// Who was told under it, as a hash.
    told: u64,
}

/// A walk over an address book.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Walk {
    /// What is asked for behind each beginning that was cut: only ever appended to.
    letters: Vec<char>,
    nodes: Vec<Node>,
    /// The node that is gone on with.
    at: usize,
    /// Beginnings that were seen in names.
    hints: VecDeque<Box<str>>,
    /// Hashes of those that were ever among them.
    hinted: HashSet<u64>,
    gaps: BTreeSet<Gap>,
    /// Whether nothing is asked for behind what was cut.
    flat: bool,
    asked: u32,
    most: u32,
    /// Some of those who were told; not kept with a checkpoint.
    #[serde(skip)]
    witnesses: BTreeSet<Box<str>>,
}

impl Walk {
    /// Begins a walk of so many requests at most.
    pub(crate) fn new(most: u32) -> Self {
        let mut walk = Self {
            letters: letters::ADDRESS.chars().collect(),
            nodes: vec![Node { prefix: Box::default(), next: 0, told: 0 }],
            at: 0,
            hints: VecDeque::new(),
            hinted: HashSet::new(),
            gaps: BTreeSet::new(),
            flat: false,
            asked: 0,
            most,
            witnesses: BTreeSet::new(),
        };
        letters::beginnings().for_each(|letter| walk.hint(&letter.to_string()));
        walk
    }

    /// Returns a beginning that nobody has. Where a server tells a hundred nevertheless, it does not listen.
    pub(crate) const fn nonsense() -> &'static str {
        "qzxjvqkwz"
    }

    /// Says that the server does not listen.
    pub(crate) fn is_deaf(&mut self) {
        self.flat = true;
        self.gaps.insert(Gap::Deaf);
    }

    /// Returns the next beginning to be asked for; `None` for now if there is none. What is heard may lead to others.
    pub(crate) fn next(&mut self) -> Option<String> {
        let found = self.find()?;
        if self.asked >= self.most {
            self.gaps.insert(Gap::TooMany);
            return None;
        }
        self.asked += 1;
        Some(found)
    }

    fn find(&mut self) -> Option<String> {
        loop {
            if let Some(node) = self.nodes.get_mut(self.at) {
                if let Some(letter) = self.letters.get(node.next) {
                    node.next += 1;
                    return Some(format!("{}{letter}", node.prefix));
                }
                self.at += 1;
                continue;
            }
            if let Some(hint) = self.hints.pop_front() {
                return Some(hint.into());
            }
            // Letters that were learned on the way are asked for behind the first beginnings, too.
            let behind = self.nodes.iter().position(|node| node.next < self.letters.len())?;
            self.at = behind;
        }
    }

    /// Takes what was told under a beginning.
    pub(crate) fn hear(&mut self, prefix: &str, heard: &[Heard], cut: bool) {
        for one in heard {
            one.address.chars().for_each(|letter| self.learn(letter));
            for name in &one.names {
                name.split_whitespace().filter_map(|word| word.chars().next()).for_each(|first| {
                    if !first.is_ascii() && !self.letters.contains(&first) {
                        self.hint(&first.to_string());
                    }
                });
            }
        }
        if cut {
            self.split(prefix, heard);
        } else {
            self.hold_against(prefix, heard);
        }
        for one in heard.iter().filter(|one| !one.address.is_empty()) {
            if self.witnesses.len() < WITNESSES {
                self.witnesses.insert(one.address.as_str().into());
            }
        }
    }

    fn split(&mut self, prefix: &str, heard: &[Heard]) {
        if self.flat {
            return;
        }
        if prefix.chars().count() >= DEPTH {
            self.gaps.insert(Gap::TooDeep);
            return;
        }
        let told = told(heard);
        if self.is_ignored(prefix, heard, told) {
            return;
        }
        self.nodes.push(Node { prefix: prefix.into(), next: 0, told });
        for name in heard.iter().flat_map(|one| &one.names) {
            let Some(next) = name.strip_prefix(prefix).and_then(|rest| rest.chars().next()) else { continue };
            if !next.is_ascii() && !self.letters.contains(&next) {
                self.hint(&format!("{prefix}{next}"));
            }
        }
    }

    /// Tells whether the server seems to ignore the last letter, as directories do with hyphens and the like: the same
    /// are told as without it, and nobody of them has it. What follows was asked for without it, then.
    fn is_ignored(&self, prefix: &str, heard: &[Heard], told: u64) -> bool {
        let mut letters = prefix.chars();
        let Some(last) = letters.next_back().filter(|last| !last.is_alphanumeric()) else { return false };
        let before = letters.as_str();
        let has = |text: &str| text.starts_with(prefix) || text.contains(&format!(" {prefix}"));
        !before.is_empty()
            && self.nodes.iter().any(|node| node.told == told && before == &*node.prefix)
            && !heard.iter().any(|one| has(&one.address) || one.names.iter().any(|name| has(name)))
            && last != '@'
    }

    /// Everybody who was told anywhere has to be told under a beginning of the own address that is told whole.
    fn hold_against(&mut self, prefix: &str, heard: &[Heard]) {
        let mut begin = self
            .witnesses
            .range::<str, _>((Bound::Included(prefix), Bound::Unbounded))
            .take_while(|address| address.starts_with(prefix));
        if begin.any(|address| heard.iter().all(|one| one.address != **address)) {
            self.gaps.insert(Gap::Contradiction);
        }
    }

    /// Takes a letter that an address has, and all of its alphabet.
    fn learn(&mut self, letter: char) {
        if self.letters.contains(&letter) {
            return;
        }
        match letters::alphabet_of(letter) {
            Some(alphabet) => {
                for other in alphabet {
                    if !self.letters.contains(&other) {
                        self.letters.push(other);
                    }
                }
            }
            None => {
                self.gaps.insert(Gap::Script);
            }
        }
        if !self.letters.contains(&letter) && !letters::is_mark(letter) {
            self.letters.push(letter);
        }
    }

    fn hint(&mut self, prefix: &str) {
        if prefix.ends_with(letters::is_mark) {
            return;
        }
        let mut hasher = Fnv::default();
        prefix.hash(&mut hasher);
        if self.hinted.insert(hasher.finish()) {
            self.hints.push_back(prefix.into());
        }
    }

    /// Returns why somebody may have been left out; `None` once everybody was found.
    pub(crate) fn gap(&self) -> Option<Gap> {
        self.gaps.first().copied()
    }

    /// Returns how many requests were made.
    pub(crate) fn asked(&self) -> u32 {
        self.asked
    }

    /// Returns how many beginnings were cut.
    pub(crate) fn cuts(&self) -> usize {
        self.nodes.len() - 1
    }
}

fn told(heard: &[Heard]) -> u64 {
    let mut hasher = Fnv::default();
    for one in heard {
        one.address.hash(&mut hasher);
    }
    hasher.finish()
}

/// FNV-1a: the same in every release, because checkpoints hold its hashes.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl std::hash::Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests;
