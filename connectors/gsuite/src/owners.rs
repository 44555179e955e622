//! Who has which address, so that devices find their owners: 17 bytes each, and beyond some ten thousands in a file that
//! has no name. It must not know devices.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::fs::File;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash};
use std::io::{self, BufWriter, Read as _, Seek as _, SeekFrom, Write as _};

/// An address's hash and its id, both so that they sort as numbers.
type Entry = [u8; WIDTH];
const WIDTH: usize = 17;

/// So many are held in memory, be it to be found or on their way to a file.
const HELD: usize = 1 << 16;
/// So many lie between two of which the memory knows where they are.
const BLOCK: usize = 256;
/// So many of each run are read at a time.
const READ: usize = 4096;

/// Ids by addresses, for ids that are numbers below 2^72; others are not kept, and have to be asked for.
///
/// Nor can those be found that a file loses: they are asked for as well. Their number grows with the account, and an import's
/// memory must not grow with it as much.
#[derive(Debug, Default)]
pub(crate) struct Owners {
    /// Sorted in place once all are there, because there are many.
    held: Vec<Entry>,
    /// What was held before, in runs of [`HELD`] that are sorted each.
    spilled: Option<File>,
    runs: usize,
    /// All of them, where they are in a file.
    sorted: Option<Sorted>,
    is_sealed: bool,
    /// Those that were asked for one by one.
    late: HashMap<u64, Box<str>>,
}

/// Entries of a file in their order.
#[derive(Debug)]
struct Sorted {
    file: File,
    length: usize,
    /// The first hash of each block.
    firsts: Vec<u64>,
}

/// Hashes what is compared with itself in this process and its next ones only.
pub(crate) fn hash<T: Hash + ?Sized>(value: &T) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(value)
}

/// Hashes to half of that: of a hundred thousand, two are taken for one another once in a million times.
pub(crate) fn short_hash(value: &str) -> u32 {
    u32::try_from(hash(value) >> 32).unwrap_or_default()
}

fn address_hash(address: &str) -> u64 {
    hash(&address.to_ascii_lowercase())
}

fn hash_in(entry: &Entry) -> u64 {
    entry.first_chunk().map_or(0, |hash| u64::from_be_bytes(*hash))
}

/// Reads entries from a place on: as many as there is room for.
fn read(mut file: &File, at: usize, entries: &mut [Entry]) -> io::Result<()> {
    file.seek(SeekFrom::Start((at * WIDTH) as u64))?;
    file.read_exact(entries.as_flattened_mut())
}

impl Sorted {
    /// Merges runs of [`HELD`] entries, of which the last may be shorter.
    fn merge(runs: &File, count: usize, length: usize) -> io::Result<Self> {
        struct Run {
            buffer: Vec<Entry>,
            /// Where in the buffer its next one is.
            next: usize,
            /// Where in the file what follows the buffer is, and where the run ends.
            rest: std::ops::Range<usize>,
        }
        let mut runs_left: Vec<Run> = (0..count)
            .map(|run| Run { buffer: Vec::new(), next: 0, rest: run * HELD..length.min((run + 1) * HELD) })
            .collect();
        let mut advance = |number: usize| -> io::Result<Option<Entry>> {
            let run = &mut runs_left[number];
            if run.next == run.buffer.len() {
                run.buffer.resize(run.rest.len().min(READ), [0; WIDTH]);
                read(runs, run.rest.start, &mut run.buffer)?;
                run.rest.start += run.buffer.len();
                run.next = 0;
            }
            run.next += 1;
            Ok(run.buffer.get(run.next - 1).copied())
        };
        let mut first = BinaryHeap::with_capacity(count);
        for number in 0..count {
            first.extend(advance(number)?.map(|entry| Reverse((entry, number))));
        }
        let (mut firsts, mut written) = (Vec::with_capacity(length / BLOCK + 1), 0);
        let mut out = BufWriter::with_capacity(READ * WIDTH, tempfile::tempfile()?);
        while let Some(Reverse((entry, number))) = first.pop() {
            if written % BLOCK == 0 {
                firsts.push(hash_in(&entry));
            }
            written += 1;
            out.write_all(&entry)?;
            first.extend(advance(number)?.map(|entry| Reverse((entry, number))));
        }
        let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok(Self { file, length: written, firsts })
    }

    fn find(&self, hash: u64) -> io::Result<Option<Entry>> {
        let Some(block) = self.firsts.partition_point(|first| *first <= hash).checked_sub(1) else { return Ok(None) };
        let at = block * BLOCK;
        let mut buffer = [[0; WIDTH]; BLOCK];
        let entries = &mut buffer[..BLOCK.min(self.length - at)];
        read(&self.file, at, entries)?;
        Ok(entries.binary_search_by_key(&hash, hash_in).ok().map(|found| entries[found]))
    }
}

impl Owners {
    pub(crate) fn add(&mut self, address: &str, id: &str) {
        let Ok(number) = id.parse::<u128>() else { return };
        // A leading zero would be lost.
        if number >> 72 != 0 || number.to_string() != id {
            return;
        }
        let mut entry = [0; WIDTH];
        entry[..8].copy_from_slice(&address_hash(address).to_be_bytes());
        entry[8..].copy_from_slice(&number.to_be_bytes()[7..]);
        self.held.push(entry);
        if self.held.len() == HELD {
            self.spill();
        }
    }

    /// Moves what is held to the file. Where there can be none, all stay in memory.
    fn spill(&mut self) {
        if self.spilled.is_none() {
            self.spilled = tempfile::tempfile().ok();
        }
        if let Some(file) = &mut self.spilled {
            self.held.sort_unstable();
            let _ = file.write_all(self.held.as_flattened());
            self.held.clear();
            self.runs += 1;
        }
    }

    /// Sorts what was added; without it nothing is found.
    pub(crate) fn seal(&mut self) {
        self.is_sealed = true;
        if self.spilled.is_none() {
            self.held.sort_unstable();
            return;
        }
        let length = self.runs * HELD + self.held.len();
        if !self.held.is_empty() {
            self.spill();
        }
        self.held = Vec::new();
        if let Some(file) = self.spilled.take() {
            self.sorted = Sorted::merge(&file, self.runs, length).ok();
        }
    }

    /// Keeps one that was asked for.
    pub(crate) fn add_late(&mut self, address: &str, id: &str) {
        self.late.insert(address_hash(address), id.into());
    }

    pub(crate) fn find(&self, address: &str) -> Option<String> {
        let hash = address_hash(address);
        if let Some(id) = self.late.get(&hash) {
            return Some(id.to_string());
        }
        let entry = match &self.sorted {
            Some(sorted) => sorted.find(hash).ok().flatten()?,
            None if self.is_sealed => self.held[self.held.binary_search_by_key(&hash, hash_in).ok()?],
            None => return None,
        };
        let mut number = [0; 16];
        number[7..].copy_from_slice(&entry[8..]);
        Some(u128::from_be_bytes(number).to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_found_by_any_spelling_of_the_address() {
        let mut owners = Owners::default();
        owners.add("b@corp.example", "117654321098765432109");
        owners.add("a@corp.example", "100000000000000000007");
        owners.add("c@corp.example", "007");
        owners.seal();
        assert_eq!(owners.find("A@Corp.example").as_deref(), Some("100000000000000000007"));
        assert_eq!(owners.find("b@corp.example").as_deref(), Some("117654321098765432109"));
        assert_eq!(owners.find("c@corp.example"), None);
    }

    #[test]
    fn owners_of_any_number_are_found_and_few_of_them_are_in_memory() {
        let id = |number: usize| (117_000_000_000_000_000_000_u128 + number as u128 * 7).to_string();
        for count in [0, 1, HELD - 1, HELD, HELD + 1, 2 * HELD, 3 * HELD + BLOCK + 1] {
            let mut owners = Owners::default();
            for number in 0..count {
                owners.add(&format!("u{number}@corp.example"), &id(number));
            }
            assert!(count == 0 || owners.find("u0@corp.example").is_none(), "not all are there");
            owners.seal();
            owners.add_late("late@corp.example", "5");
            for number in (0..count).step_by(101).chain(count.checked_sub(1)) {
                assert_eq!(owners.find(&format!("U{number}@corp.example")), Some(id(number)), "of {count}");
            }
            assert_eq!(owners.find("nobody@corp.example"), None);
            assert_eq!(owners.find("late@corp.example").as_deref(), Some("5"));
            assert!(owners.held.capacity() <= HELD, "{}", owners.held.capacity());
        }
    }

    #[test]
    fn owners_that_a_file_loses_are_not_found_and_nobody_is_taken_for_another() {
        let mut owners = Owners::default();
        for number in 1..=2 * HELD {
            owners.add(&format!("u{number}@corp.example"), &number.to_string());
        }
        owners.spilled.as_ref().unwrap().set_len(100).unwrap();
        owners.seal();
        assert_eq!(owners.find("u7@corp.example"), None);
    }
}
