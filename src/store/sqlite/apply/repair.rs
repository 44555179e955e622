//! Mends what an apply left half-way whose stage was lost: the next listing then converges from there.

use std::collections::BTreeMap;

use rusqlite::{Transaction, TransactionBehavior, params};

use super::{FINISHING, Target};
use crate::error::Result;
use crate::model::SourceId;
use crate::store::codec::{pack_sorted, unpack_sorted};
use crate::store::sqlite::{SqliteStore, Standing, damaged, kind_from_number, sql};

/// Gives objects without a probe one, records without an id in the index theirs, and memberships their way back.
pub(in super::super) fn repair(store: &SqliteStore, target: &Target) -> Result<()> {
    let step = || sql("mend an interrupted apply");
    let mut writer = store.connect(16 << 20)?;
    let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate).map_err(step())?;
    super::check_epoch(&transaction, target)?;
    transaction.execute("INSERT OR IGNORE INTO record_ids SELECT id, record_no FROM records", []).map_err(step())?;
    probes(&transaction, target)?;
    primaries(&transaction, target)?;
    way_back(&transaction, target)?;
    // Mended once: these runs are over.
    transaction
        .execute(
            "UPDATE runs SET phase = ?3 WHERE endpoint_no = ?1 AND id <> ?2",
            params![target.endpoint_no, target.run.0.as_bytes().as_slice(), FINISHING],
        )
        .map_err(step())?;
    transaction.commit().map_err(step())
}

fn probes(transaction: &Transaction<'_>, target: &Target) -> Result<()> {
    let step = || sql("mend an interrupted apply");
    let mut query = transaction
        .prepare("SELECT object_no, source_id, kind FROM objects JOIN records USING (record_no) WHERE endpoint_no = ?1")
        .map_err(step())?;
    let mut rows = query.query([target.endpoint_no]).map_err(step())?;
    while let Some(row) = rows.next().map_err(step())? {
        let source_id = row.get_ref(1).map_err(step())?.as_blob().ok().and_then(SourceId::from_stored);
        let key = source_id.ok_or_else(|| damaged("a source id"))?.key();
        let kind = kind_from_number(row.get(2).map_err(step())?)?;
        transaction
            .prepare_cached(
                // Twelve is the first standing of a mere member: this one has become an object since.
                "INSERT INTO probes VALUES (?1, ?2, 0, ?3, ?4, zeroblob(16), 0, NULL)
                 ON CONFLICT DO UPDATE SET standing = excluded.standing WHERE standing >= 12",
            )
            .and_then(|mut insert| {
                insert.execute(params![
                    target.endpoint_no,
                    key.0,
                    row.get::<_, i64>(0)?,
                    Standing::live(kind).to_number()
                ])
            })
            .map_err(step())?;
    }
    Ok(())
}

/// Sets what each object is kept to name as its primary group to what is stored as a membership, and has the rest
/// compared in full by the next listing.
fn primaries(transaction: &Transaction<'_>, target: &Target) -> Result<()> {
    let step = || sql("mend an interrupted apply");
    let mut members: BTreeMap<u64, Vec<i64>> = BTreeMap::new();
    each_group(transaction, target, |group_via, numbers| {
        if group_via % 2 == 1 {
            for member in numbers {
                members.entry(member).or_default().push(i64::try_from(group_via / 2).unwrap_or_default());
            }
        }
        Ok(())
    })?;
    let mut mended = Vec::new();
    {
        let mut query = transaction
            .prepare("SELECT object_no, primary_group, source_id FROM objects WHERE endpoint_no = ?1")
            .map_err(step())?;
        let mut rows = query.query([target.endpoint_no]).map_err(step())?;
        while let Some(row) = rows.next().map_err(step())? {
            let object_no: u64 = row.get(0).map_err(step())?;
            let named: Option<i64> = row.get(1).map_err(step())?;
            let stored = members.get(&object_no).map_or(&[][..], Vec::as_slice);
            if stored == named.as_slice() {
                continue;
            }
            // Of two, the one that it no longer names is still to be ended.
            let group = stored.iter().copied().find(|group| Some(*group) != named);
            let id = row.get_ref(2).map_err(step())?.as_blob().ok().and_then(SourceId::from_stored);
            mended.push((object_no, group, id.ok_or_else(|| damaged("a source id"))?.key()));
        }
    }
    for (object_no, group, key) in mended {
        transaction
            .prepare_cached("UPDATE objects SET primary_group = ?2 WHERE object_no = ?1")
            .and_then(|mut update| update.execute(params![object_no, group]))
            .map_err(step())?;
        transaction
            .prepare_cached(
                "UPDATE probes SET fingerprint = zeroblob(16) WHERE endpoint_no = ?1 AND source_key = ?2 AND facet = 0",
            )
            .and_then(|mut update| update.execute(params![target.endpoint_no, key.0]))
            .map_err(step())?;
    }
    Ok(())
}

/// Writes the way back from members to groups anew where it is not what the groups say.
fn way_back(transaction: &Transaction<'_>, target: &Target) -> Result<()> {
    let step = || sql("mend an interrupted apply");
    let mut expected: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    each_group(transaction, target, |group_via, numbers| {
        // Groups come in the order of their numbers.
        for member in numbers {
            expected.entry(member).or_default().push(group_via);
        }
        Ok(())
    })?;
    let mut stale = Vec::new();
    {
        let mut query = transaction
            .prepare(
                "SELECT member_no, groups FROM member_groups JOIN objects ON object_no = member_no
                 WHERE endpoint_no = ?1",
            )
            .map_err(step())?;
        let mut rows = query.query([target.endpoint_no]).map_err(step())?;
        while let Some(row) = rows.next().map_err(step())? {
            let member: u64 = row.get(0).map_err(step())?;
            let packed: Vec<u8> = row.get(1).map_err(step())?;
            match expected.get(&member) {
                Some(groups) if pack_sorted(groups) == packed => drop(expected.remove(&member)),
                Some(_) => {}
                None => stale.push(member),
            }
        }
    }
    for member in stale {
        transaction.execute("DELETE FROM member_groups WHERE member_no = ?1", [member]).map_err(step())?;
    }
    for (member, groups) in expected {
        transaction
            .prepare_cached("INSERT OR REPLACE INTO member_groups VALUES (?1, ?2)")
            .and_then(|mut insert| insert.execute(params![member, pack_sorted(&groups)]))
            .map_err(step())?;
    }
    Ok(())
}

fn each_group(
    transaction: &Transaction<'_>,
    target: &Target,
    mut group: impl FnMut(u64, Vec<u64>) -> Result<()>,
) -> Result<()> {
    let step = || sql("mend an interrupted apply");
    let mut query = transaction
        .prepare(
            "SELECT group_via, members FROM group_members JOIN objects ON object_no = group_via / 2
             WHERE endpoint_no = ?1 ORDER BY group_via",
        )
        .map_err(step())?;
    let mut rows = query.query([target.endpoint_no]).map_err(step())?;
    while let Some(row) = rows.next().map_err(step())? {
        group(row.get(0).map_err(step())?, unpack_sorted(&row.get::<_, Vec<u8>>(1).map_err(step())?)?)?;
    }
    Ok(())
}
