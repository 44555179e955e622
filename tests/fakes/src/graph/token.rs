//! Opaque tokens of places in listings and rounds: everything a next page needs, sealed; it knows no object.

use super::encoding::{base64url, decode};
use super::ids::mix;

/// Where a delta round is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Lists everything, for a round without a token.
    Everything,
    /// Tells changes that happened while everything was listed.
    Late,
    /// Tells changes since the last round.
    Changes,
    /// No page of a round, but its end: the next round begins here.
    End,
}

/// A place in a delta round; a link carries one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Round {
    pub(crate) kind: u8,
    pub(crate) phase: Phase,
    /// The history from here ...
    pub(crate) since: u64,
    /// ... to here belongs to this round.
    pub(crate) until: u64,
    /// Where the round before began.
    pub(crate) before: u64,
    pub(crate) position: u64,
    pub(crate) slice: u64,
    /// Counts pages from 1.
    pub(crate) page: u64,
    /// Milliseconds since 1970.
    pub(crate) issued: i64,
    /// Tokens of earlier epochs are expired.
    pub(crate) epoch: u64,
    pub(crate) select: u128,
    /// Whether a selection was given at all.
    pub(crate) selected: bool,
    /// The only objects that are tracked; all when empty.
    pub(crate) only: Vec<u128>,
}

fn scramble(bytes: &mut [u8], key: u64) {
    for (place, chunk) in bytes.chunks_mut(8).enumerate() {
        let pad = mix(key ^ (place as u64) << 32).to_le_bytes();
        for (byte, pad) in chunk.iter_mut().zip(pad) {
            *byte ^= pad;
        }
    }
}

fn check(bytes: &[u8]) -> u64 {
    bytes.chunks(8).fold(0x746f_6b65_6e00, |sum, chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        mix(sum ^ u64::from_le_bytes(word)).rotate_left(7)
    })
}

fn seal(words: &[u64], key: u64) -> String {
    let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let sum = mix(check(&bytes) ^ key);
    scramble(&mut bytes, sum ^ key);
    bytes.splice(0..0, sum.to_le_bytes());
    base64url(&bytes)
}

fn unseal(text: &str, key: u64) -> Option<Vec<u64>> {
    let mut bytes = decode(text)?;
    if bytes.len() < 8 || !bytes.len().is_multiple_of(8) {
        return None;
    }
    let body = bytes.split_off(8);
    let sum = u64::from_le_bytes(bytes.try_into().ok()?);
    let mut body = body;
    scramble(&mut body, sum ^ key);
    (mix(check(&body) ^ key) == sum).then(|| {
        let words = body.chunks_exact(8);
        words.map(|word| u64::from_le_bytes(word.try_into().unwrap_or_default())).collect()
    })
}

#[expect(clippy::cast_possible_truncation, reason = "the two halves are what is wanted")]
fn halves(value: u128) -> [u64; 2] {
    [(value >> 64) as u64, value as u64]
}

impl Round {
    pub(crate) fn seal(&self, key: u64) -> String {
        let mut words = vec![
            u64::from(self.kind) | (self.phase as u64) << 8 | u64::from(self.selected) << 16,
            self.since,
            self.until,
            self.before,
            self.position,
            self.slice,
            self.page,
            self.issued.cast_unsigned(),
            self.epoch,
        ];
        words.extend(halves(self.select));
        words.extend(self.only.iter().flat_map(|id| halves(*id)));
        seal(&words, key)
    }

    pub(crate) fn unseal(text: &str, key: u64) -> Option<Self> {
        let words = unseal(text, key)?;
        let (head, only) = words.split_at_checked(11)?;
        let phase = match head[0] >> 8 & 0xff {
            0 => Phase::Everything,
            1 => Phase::Late,
            2 => Phase::Changes,
            _ => Phase::End,
        };
        let whole = |pair: &[u64]| u128::from(pair[0]) << 64 | u128::from(pair[1]);
        Some(Self {
            kind: (head[0] & 0xff) as u8,
            phase,
            since: head[1],
            until: head[2],
            before: head[3],
            position: head[4],
            slice: head[5],
            page: head[6],
            issued: head[7].cast_signed(),
            epoch: head[8],
            select: whole(&head[9..]),
            selected: head[0] >> 16 & 1 == 1,
            only: only.chunks_exact(2).map(whole).collect(),
        })
    }
}

/// A place in a listing: its position and the page's number.
pub(crate) fn seal_place(position: u64, page: u64, key: u64) -> String {
    seal(&[position, page], key ^ 0x6c69_7374)
}

pub(crate) fn unseal_place(text: &str, key: u64) -> Option<(u64, u64)> {
    match unseal(text, key ^ 0x6c69_7374)?.as_slice() {
        [position, page] => Some((*position, *page)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_survive_and_changed_ones_are_noticed() {
        let round = Round {
            kind: 1,
            phase: Phase::Late,
            since: 3,
            until: 9,
            before: 1,
            position: 77,
            slice: 2,
            page: 5,
            issued: 1_768_478_400_000,
            epoch: 1,
            select: 1 << 127 | 5,
            selected: true,
            only: vec![1 << 90, 2],
        };
        let text = round.seal(11);
        assert_eq!(Round::unseal(&text, 11), Some(round));
        assert_eq!(Round::unseal(&text, 12), None);
        let mut bent = text.into_bytes();
        bent[20] = if bent[20] == b'a' { b'b' } else { b'a' };
        assert_eq!(Round::unseal(&String::from_utf8(bent).unwrap(), 11), None);
        assert_eq!(unseal_place(&seal_place(5, 2, 1), 1), Some((5, 2)));
    }
}
