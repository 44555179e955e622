//! Who has an address: by the index of queries, or by going through everybody where that is not built yet.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, params};

use crate::error::Result;
use crate::model::{CustomerId, RecordId};
use crate::rules::join::addresses;
use crate::store::codec;
use crate::store::sqlite::apply::{images, load_record};
use crate::store::sqlite::query::holders;
use crate::store::sqlite::{SqliteStore, damaged, sql};

/// Finds who of some users has one of these addresses: two addresses may have the same hash, and somebody may just have
/// given one up.
fn among(
    connection: &Connection,
    candidates: &BTreeSet<i64>,
    wanted: &BTreeSet<String>,
    except: Option<i64>,
) -> Result<BTreeMap<String, RecordId>> {
    let mut found = BTreeMap::new();
    for record_no in candidates.iter().filter(|record_no| Some(**record_no) != except) {
        let live = connection
            .prepare_cached("SELECT 1 FROM records WHERE record_no = ?1 AND kind = 0 AND state = 0")
            .and_then(|mut query| query.exists([record_no]))
            .map_err(sql("read a record"))?;
        let Some(record) = live.then(|| load_record(connection, *record_no)).transpose()?.flatten() else { continue };
        let mut known = addresses(&record.attributes);
        for image in images(connection, *record_no)? {
            known.append(&mut addresses(&image.attributes));
        }
        for address in known.intersection(wanted) {
            found.entry(address.clone()).or_insert(record.id);
        }
    }
    Ok(found)
}

/// Finds who has one of these addresses, which are folded; `except` for one record. Nobody else waits meanwhile.
pub(super) fn find(
    store: &SqliteStore,
    customer: &CustomerId,
    wanted: &BTreeSet<String>,
    except: Option<i64>,
) -> Result<BTreeMap<String, RecordId>> {
    let step = || sql("look for addresses");
    let customer_no = store.known_customer(customer)?;
    if let Some(candidates) = holders(store, customer, wanted)? {
        return among(&store.host(), &candidates, wanted, except);
    }
    let connection = store.connect(4 << 20)?;
    let mut found = BTreeMap::new();
    let mut note = |bytes: Option<&[u8]>, id: [u8; 16]| -> Result<()> {
        let Some(bytes) = bytes else { return Ok(()) };
        for address in addresses(&codec::read_attributes(bytes)?) {
            if wanted.contains(&address) {
                found.entry(address).or_insert(RecordId(uuid::Uuid::from_bytes(id)));
            }
        }
        Ok(())
    };
    for statement in [
        "SELECT id, local FROM records WHERE customer_no = ?1 AND kind = 0 AND state = 0 AND local IS NOT NULL
         AND record_no IS NOT ?2",
        "SELECT r.id, o.body FROM objects o JOIN records r USING (record_no)
         WHERE r.customer_no = ?1 AND r.kind = 0 AND r.state = 0 AND r.record_no IS NOT ?2",
    ] {
        let mut query = connection.prepare(statement).map_err(step())?;
        let mut rows = query.query(params![customer_no, except]).map_err(step())?;
        while let Some(row) = rows.next().map_err(step())? {
            let bytes = row.get_ref(1).map_err(step())?.as_blob_or_null().map_err(|_| damaged("an image"))?;
            note(bytes, row.get(0).map_err(step())?)?;
        }
    }
    Ok(found)
}
