//! Who has an address, by going through everybody: for tables that are imported, and for single people added by hand.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::Result;
use crate::model::{CustomerId, RecordId};
use crate::rules::join::addresses;
use crate::store::codec;
use crate::store::sqlite::{SqliteStore, damaged, sql};

/// Finds who has one of these addresses, which are folded. Nobody else waits meanwhile.
pub(super) fn find(
    store: &SqliteStore,
    customer: &CustomerId,
    wanted: &BTreeSet<String>,
) -> Result<BTreeMap<String, RecordId>> {
    let step = || sql("look for addresses");
    let customer_no = store.known_customer(customer)?;
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
        "SELECT id, local FROM records WHERE customer_no = ?1 AND kind = 0 AND state = 0 AND local IS NOT NULL",
        "SELECT r.id, o.body FROM objects o JOIN records r USING (record_no)
         WHERE r.customer_no = ?1 AND r.kind = 0 AND r.state = 0",
    ] {
        let mut query = connection.prepare(statement).map_err(step())?;
        let mut rows = query.query([customer_no]).map_err(step())?;
        while let Some(row) = rows.next().map_err(step())? {
            let bytes = row.get_ref(1).map_err(step())?.as_blob_or_null().map_err(|_| damaged("an image"))?;
            note(bytes, row.get(0).map_err(step())?)?;
        }
    }
    Ok(found)
}
