//! Which segments of events may tell of a record: a filter for each segment, kept beside the state file.
//!
//! What a filter says no to is not in the segment; what it says yes to is there but for one in some thousand. It is
//! made again from the events at any time.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use crate::error::Result;
use crate::store::fault;
use crate::store::sqlite::feed::keys_in;
use crate::store::sqlite::{damaged, sql};

/// Segments of one step.
const STEP: usize = 64;
/// Bits for each key, and how many of them it sets: one in 1700 is answered wrongly.
const BITS_A_KEY: usize = 16;
const BITS_SET: u64 = 8;

/// Makes the filter of some keys.
fn filter(keys: &BTreeSet<u128>) -> Vec<u8> {
    let mut filter = vec![0; (keys.len() * BITS_A_KEY).div_ceil(8).max(8)];
    for key in keys {
        for bit in bits(*key, filter.len()) {
            filter[bit / 8] |= 1 << (bit % 8);
        }
    }
    filter
}

/// Tells whether a key may be among those of a filter.
fn may_have(filter: &[u8], key: u128) -> bool {
    !filter.is_empty() && bits(key, filter.len()).all(|bit| filter[bit / 8] & 1 << (bit % 8) != 0)
}

#[allow(clippy::cast_possible_truncation)] // two halves of one hash, and a number below the number of bits
fn bits(key: u128, bytes: usize) -> impl Iterator<Item = usize> {
    let (first, second) = (key as u64, (key >> 64) as u64 | 1);
    let all = bytes as u64 * 8;
    (0..BITS_SET).map(move |at| (first.wrapping_add(at.wrapping_mul(second)) % all) as usize)
}

/// Tells whether every segment of a customer has its filter.
pub(super) fn is_complete(state: &Connection, index: &Connection, customer_no: i64) -> Result<bool> {
    let last: Option<u64> = state
        .prepare_cached("SELECT max(last_sequence) FROM outbox WHERE customer_no = ?1")
        .and_then(|mut query| query.query_row([customer_no], |row| row.get(0)))
        .map_err(sql("read events"))?;
    Ok(last.is_none() || last == reached(index, customer_no)?)
}

fn reached(index: &Connection, customer_no: i64) -> Result<Option<u64>> {
    index
        .prepare_cached("SELECT max(last_sequence) FROM segments WHERE customer_no = ?1")
        .and_then(|mut query| query.query_row([customer_no], |row| row.get(0)))
        .map_err(sql("read the index"))
}

/// Makes the filters that are missing, in steps: killed in between, the next call goes on. The caller has the lock, and
/// the state's connection is in a transaction.
pub(super) fn advance(state: &Connection, index: &mut Connection, customer_no: i64) -> Result<()> {
    let step = || sql("write the index");
    loop {
        let transaction = index.transaction_with_behavior(TransactionBehavior::Immediate).map_err(step())?;
        let mut done = 0;
        {
            let mut query = state
                .prepare_cached(
                    "SELECT last_sequence, segment FROM outbox WHERE customer_no = ?1 AND last_sequence > ?2
                     ORDER BY last_sequence LIMIT ?3",
                )
                .map_err(step())?;
            let after = reached(&transaction, customer_no)?.unwrap_or_default();
            let mut rows = query.query(params![customer_no, after, fault::step(STEP)]).map_err(step())?;
            while let Some(row) = rows.next().map_err(step())? {
                let last: u64 = row.get(0).map_err(step())?;
                let segment = row.get_ref(1).map_err(step())?.as_blob().map_err(|_| damaged("a segment of events"))?;
                let filter = filter(&keys_in(segment)?);
                transaction
                    .prepare_cached("INSERT INTO segments VALUES (?1, ?2, ?3)")
                    .and_then(|mut insert| insert.execute(params![customer_no, last, filter]))
                    .map_err(step())?;
                done += 1;
            }
        }
        if done == 0 {
            return Ok(());
        }
        // Segments that are no longer kept need no filter.
        transaction
            .execute(
                "DELETE FROM segments WHERE customer_no = ?1 AND last_sequence < ?2",
                params![customer_no, first_kept(state, customer_no)?],
            )
            .map_err(step())?;
        fault::point();
        transaction.commit().map_err(step())?;
        fault::point();
    }
}

fn first_kept(state: &Connection, customer_no: i64) -> Result<u64> {
    state
        .prepare_cached("SELECT coalesce(min(last_sequence), 0) FROM outbox WHERE customer_no = ?1")
        .and_then(|mut query| query.query_row([customer_no], |row| row.get(0)))
        .map_err(sql("read events"))
}

/// Tells whether a segment may tell of one of some keys; one without a filter may.
pub(in super::super) fn may_tell(index: &Connection, customer_no: i64, last: u64, keys: &[u128]) -> Result<bool> {
    let filter: Option<Vec<u8>> = index
        .prepare_cached("SELECT filter FROM segments WHERE customer_no = ?1 AND last_sequence = ?2")
        .and_then(|mut query| query.query_row(params![customer_no, last], |row| row.get(0)).optional())
        .map_err(sql("read the index"))?;
    Ok(filter.is_none_or(|filter| keys.iter().any(|key| may_have(&filter, *key))))
}

/// Forgets the filters of a customer.
pub(super) fn clear(index: &Connection, customer_no: i64) -> Result<()> {
    index
        .prepare_cached("DELETE FROM segments WHERE customer_no = ?1")
        .and_then(|mut delete| delete.execute([customer_no]))
        .map(drop)
        .map_err(sql("clear the index"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_put_in_is_never_denied(keys in proptest::collection::btree_set(any::<u128>(), 0..300)) {
            let filter = filter(&keys);
            prop_assert!(keys.iter().all(|key| may_have(&filter, *key)));
        }
    }

    #[test]
    fn what_was_not_put_in_is_denied_but_for_few() {
        let key = |number: u64| xxhash_rust::xxh3::xxh3_128(&number.to_be_bytes());
        let filter = filter(&(0..2000).map(key).collect());
        let wrong = (2000..102_000).filter(|number| may_have(&filter, key(*number))).count();
        assert!(wrong < 200, "{wrong} of 100000");
    }
}
