//! Mends what an apply left half-way whose stage was lost: the next listing then converges from there.

use rusqlite::{Transaction, TransactionBehavior, params};

use super::Target;
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
    way_back(&transaction, target)?;
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
            .prepare_cached("INSERT OR IGNORE INTO probes VALUES (?1, ?2, 0, ?3, ?4, zeroblob(16), 0, NULL)")
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

fn way_back(transaction: &Transaction<'_>, target: &Target) -> Result<()> {
    let step = || sql("mend an interrupted apply");
    let mut query = transaction
        .prepare(
            "SELECT group_via, members FROM group_members JOIN objects ON object_no = group_via / 2
             WHERE endpoint_no = ?1",
        )
        .map_err(step())?;
    let mut rows = query.query([target.endpoint_no]).map_err(step())?;
    while let Some(row) = rows.next().map_err(step())? {
        let group_via: u64 = row.get(0).map_err(step())?;
        for member in unpack_sorted(&row.get::<_, Vec<u8>>(1).map_err(step())?)? {
            let stored: Option<Vec<u8>> = rusqlite::OptionalExtension::optional(
                transaction
                    .prepare_cached("SELECT groups FROM member_groups WHERE member_no = ?1")
                    .map_err(step())?
                    .query_row([member], |row| row.get(0)),
            )
            .map_err(step())?;
            let mut groups = stored.map(|packed| unpack_sorted(&packed)).transpose()?.unwrap_or_default();
            if let Err(at) = groups.binary_search(&group_via) {
                groups.insert(at, group_via);
                transaction
                    .prepare_cached("INSERT OR REPLACE INTO member_groups VALUES (?1, ?2)")
                    .and_then(|mut insert| insert.execute(params![member, pack_sorted(&groups)]))
                    .map_err(step())?;
            }
        }
    }
    Ok(())
}
