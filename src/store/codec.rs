//! The byte layouts of stored images, packed numbers and members. Layout 1; a later one gets its own number.
//!
//! Everything read back is checked: a file that was damaged gives an error, never a panic or a wrong value.

use roaring::RoaringTreemap;
use xxhash_rust::xxh3::xxh3_128_with_seed;

use crate::error::{Error, ErrorKind, Result};
use crate::model::{AttributeName, Attributes, Member, MemberKind, SourceId, SourceKey, Value};

/// The layout that this file writes, as the first byte of each image.
const LAYOUT: u8 = 1;

fn damaged(what: &'static str) -> Error {
    Error::new(ErrorKind::Store, "stored bytes cannot be read: the file is damaged").with_context("while reading", what)
}

/// Reads bytes from the front of a slice.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    what: &'static str,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8], what: &'static str) -> Self {
        Self { rest: bytes, what }
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// Returns what is still to be read.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn rest_len(&self) -> usize {
        self.rest.len()
    }

    pub(crate) fn byte(&mut self) -> Result<u8> {
        let (first, rest) = self.rest.split_first().ok_or_else(|| damaged(self.what))?;
        self.rest = rest;
        Ok(*first)
    }

    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let (head, rest) = self.rest.split_at_checked(len).ok_or_else(|| damaged(self.what))?;
        self.rest = rest;
        Ok(head)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        self.take(N)?.try_into().map_err(|_| damaged(self.what))
    }

    pub(crate) fn number(&mut self) -> Result<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(damaged(self.what))
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8]> {
        let len = usize::try_from(self.number()?).map_err(|_| damaged(self.what))?;
        self.take(len)
    }

    pub(crate) fn text(&mut self) -> Result<&'a str> {
        std::str::from_utf8(self.bytes()?).map_err(|_| damaged(self.what))
    }
}

/// Appends a number in 7-bit groups, lowest first.
#[allow(clippy::cast_possible_truncation)] // the low seven bits are what is wanted
pub(crate) fn push_number(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends bytes behind their length.
pub(crate) fn push_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    push_number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends attributes in the order of their names: equal attributes give equal bytes.
pub(crate) fn push_attributes(out: &mut Vec<u8>, attributes: &Attributes) {
    out.push(LAYOUT);
    for (name, value) in attributes.iter() {
        match name.number() {
            Some(number) => out.push(number + 1),
            None => {
                out.push(0);
                push_bytes(out, name.as_str().as_bytes());
            }
        }
        match value {
            Value::Empty => out.push(0),
            Value::Bool(value) => out.push(1 + u8::from(*value)),
            Value::Int(value) => {
                out.push(3);
                out.extend_from_slice(&value.to_le_bytes());
            }
            Value::Text(text) => {
                out.push(4);
                push_bytes(out, text.as_bytes());
            }
            Value::List(items) => {
                out.push(5);
                push_number(out, items.len() as u64);
                for item in items {
                    push_bytes(out, item.as_bytes());
                }
            }
        }
    }
}

/// Reads what [`push_attributes`] wrote.
pub(crate) fn read_attributes(bytes: &[u8]) -> Result<Attributes> {
    let what = "an image";
    let mut reader = Reader::new(bytes, what);
    if reader.byte()? != LAYOUT {
        return Err(damaged(what));
    }
    let mut attributes = Attributes::new();
    while !reader.is_at_end() {
        let name = match reader.byte()? {
            0 => AttributeName::parse(reader.text()?),
            code => AttributeName::from_number(code - 1).ok_or_else(|| damaged(what))?,
        };
        let value = match reader.byte()? {
            0 => Value::Empty,
            tag @ (1 | 2) => Value::Bool(tag == 2),
            3 => Value::Int(i64::from_le_bytes(reader.array()?)),
            4 => Value::Text(reader.text()?.into()),
            5 => {
                let count = reader.number()?;
                let mut items = Vec::new();
                for _ in 0..count {
                    items.push(Box::from(reader.text()?));
                }
                Value::List(items)
            }
            _ => return Err(damaged(what)),
        };
        attributes.set(name, value);
    }
    Ok(attributes)
}

/// Returns the fingerprint of an object's bytes.
pub(crate) fn fingerprint(bytes: &[u8]) -> [u8; 16] {
    xxh3_128_with_seed(bytes, 0).to_le_bytes()
}

/// Returns one member's share of its group's digest. Shares are added up, so that the order does not matter.
pub(crate) fn member_digest(seed: u64, member: &SourceKey) -> u128 {
    xxh3_128_with_seed(&member.0, seed)
}

/// Packs sorted numbers as differences.
pub(crate) fn pack_sorted(numbers: &[u64]) -> Vec<u8> {
    pack(numbers.iter().copied(), numbers.len())
}

/// Packs a set of numbers as [`pack_sorted`] does.
pub(crate) fn pack_set(numbers: &RoaringTreemap) -> Vec<u8> {
    pack(numbers.iter(), usize::try_from(numbers.len()).unwrap_or_default())
}

fn pack(sorted: impl Iterator<Item = u64>, count: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(count * 2);
    let mut last = 0;
    for number in sorted {
        push_number(&mut out, number - last);
        last = number;
    }
    out
}

/// Reads what [`pack_sorted`] wrote.
pub(crate) fn unpack_sorted(bytes: &[u8]) -> Result<Vec<u64>> {
    let mut numbers = Vec::with_capacity(bytes.len() / 2);
    unpack(bytes, |number| numbers.push(number))?;
    Ok(numbers)
}

/// Reads what [`pack_sorted`] wrote as a set, which takes less room where there are many.
pub(crate) fn unpack_set(bytes: &[u8]) -> Result<RoaringTreemap> {
    let mut reader = Reader::new(bytes, "packed numbers");
    let (mut last, mut failed) = (None, false);
    let sorted = std::iter::from_fn(|| {
        while !reader.is_at_end() {
            let next = reader.number().ok().and_then(|step| last.unwrap_or(0_u64).checked_add(step));
            failed |= next.is_none();
            // A set has each number once, also where a list repeats it.
            if next != last || failed {
                last = next;
                return next;
            }
        }
        None
    });
    match RoaringTreemap::from_sorted_iter(sorted) {
        Ok(numbers) if !failed => Ok(numbers),
        _ => Err(damaged("packed numbers")),
    }
}

fn unpack(bytes: &[u8], mut take: impl FnMut(u64)) -> Result<()> {
    let mut reader = Reader::new(bytes, "packed numbers");
    let mut last = 0_u64;
    while !reader.is_at_end() {
        last = last.checked_add(reader.number()?).ok_or_else(|| damaged("packed numbers"))?;
        take(last);
    }
    Ok(())
}

/// Returns the number under which a member kind is kept.
pub(crate) fn member_kind_number(kind: MemberKind) -> u8 {
    MemberKind::ALL.iter().position(|k| *k == kind).and_then(|at| u8::try_from(at).ok()).unwrap_or(6)
}

/// Reads the number under which a member kind is kept.
pub(crate) fn member_kind(number: u8) -> MemberKind {
    MemberKind::ALL.get(usize::from(number)).copied().unwrap_or(MemberKind::Unknown)
}

/// Appends a source id: 17 bytes for a GUID, its length and text for others.
pub(crate) fn push_source_id(out: &mut Vec<u8>, id: &SourceId) {
    match id {
        SourceId::Guid(guid) => {
            out.push(0);
            out.extend_from_slice(guid.as_bytes());
        }
        SourceId::Id(text) => {
            out.push(1);
            push_bytes(out, text.as_bytes());
        }
        SourceId::Address(text) => {
            out.push(2);
            push_bytes(out, text.as_bytes());
        }
    }
}

/// Reads what [`push_source_id`] wrote.
pub(crate) fn read_source_id(reader: &mut Reader<'_>) -> Result<SourceId> {
    Ok(match reader.byte()? {
        0 => SourceId::Guid(uuid::Uuid::from_bytes(reader.array()?)),
        1 => SourceId::Id(reader.text()?.into()),
        2 => SourceId::Address(reader.text()?.into()),
        _ => return Err(damaged("a source id")),
    })
}

/// Appends one member: its kind and id.
pub(crate) fn push_member(out: &mut Vec<u8>, member: &Member) {
    out.push(member_kind_number(member.kind));
    push_source_id(out, &member.id);
}

/// Reads what [`push_member`] wrote.
pub(crate) fn read_member(reader: &mut Reader<'_>) -> Result<Member> {
    let kind = member_kind(reader.byte()?);
    Ok(Member { id: read_source_id(reader)?, kind })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::names;

    fn value() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Empty),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::Int),
            "\\PC{1,12}".prop_map(|text| Value::Text(text.into())),
            proptest::collection::vec("\\PC{0,6}", 1..4).prop_map(Value::list),
        ]
    }

    proptest! {
        #[test]
        fn attributes_read_back(
            known in proptest::collection::vec((0..names::ALL.len(), value()), 0..8),
            extra in proptest::collection::vec(("[a-z]{1,8}", value()), 0..4),
        ) {
            let attributes: Attributes = known
                .into_iter()
                .map(|(at, value)| (AttributeName::parse(names::ALL[at]), value))
                .chain(extra.into_iter().map(|(name, value)| (AttributeName::extra(&name), value)))
                .collect();
            let mut bytes = Vec::new();
            push_attributes(&mut bytes, &attributes);
            prop_assert_eq!(read_attributes(&bytes).unwrap(), attributes);
        }

        #[test]
        fn damaged_bytes_give_an_error_and_never_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = read_attributes(&bytes);
            let _ = unpack_sorted(&bytes);
            let _ = read_member(&mut Reader::new(&bytes, "x"));
        }

        #[test]
        fn sorted_numbers_read_back(mut numbers in proptest::collection::vec(any::<u32>(), 0..100)) {
            numbers.sort_unstable();
            let mut numbers: Vec<u64> = numbers.into_iter().map(u64::from).collect();
            prop_assert_eq!(unpack_sorted(&pack_sorted(&numbers)).unwrap(), numbers.clone());
            numbers.dedup();
            let set = unpack_set(&pack_sorted(&numbers)).unwrap();
            prop_assert_eq!(unpack_sorted(&pack_set(&set)).unwrap(), numbers);
        }
    }
}
