//! What endpoints leave to local editors. A change of it shows in every record of the endpoint, and is told.

use std::collections::BTreeSet;

use rusqlite::{OptionalExtension, params};

use super::{Change, NO_RUN};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{AttributeName, EndpointName};
use crate::store::sqlite::apply::{images, load_record, record_row, upserted};
use crate::store::sqlite::{damaged, sql};

/// Records that are read at once.
const RECORDS_AT_ONCE: usize = 1000;

impl Change<'_> {
    /// All in one transaction: between two of them records of one endpoint would be locked in two ways.
    pub(super) fn set_yielded(&mut self, endpoint: &EndpointName, attributes: &BTreeSet<AttributeName>) -> Result<u64> {
        let step = || sql("change what an endpoint yields");
        let names: Vec<String> = attributes.iter().map(|name| name.as_str().to_owned()).collect();
        let json = serde_json::to_string(&names).unwrap_or_default();
        let known: Option<(i64, String)> = self
            .transaction
            .query_row(
                "SELECT endpoint_no, yielded FROM endpoints WHERE customer_no = ?1 AND name = ?2",
                params![self.customer_no, endpoint.as_str()],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()
            .map_err(step())?;
        let (endpoint_no, before) = known.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, "the endpoint is not known; register the customer with its endpoints first")
                .with_context("endpoint", endpoint)
        })?;
        if before == json {
            return Ok(0);
        }
        let (mut after, mut changed) = (0, 0);
        loop {
            let rows: Vec<(i64, i64)> = {
                let mut query = self
                    .transaction
                    .prepare_cached(
                        "SELECT object_no, o.record_no FROM objects o JOIN records r ON r.record_no = o.record_no
                         WHERE object_no > ?1 AND endpoint_no = ?2 AND r.state = 0 ORDER BY object_no LIMIT ?3",
                    )
                    .map_err(step())?;
                let rows = query
                    .query_map(params![after, endpoint_no, RECORDS_AT_ONCE], |row| Ok((row.get(0)?, row.get(1)?)))
                    .map_err(step())?;
                rows.collect::<Result<_, _>>().map_err(step())?
            };
            let Some((last, _)) = rows.last() else { break };
            after = *last;
            for (_, record_no) in rows {
                changed += u64::from(self.yield_in(record_no, endpoint, &names)?);
            }
        }
        self.transaction
            .execute("UPDATE endpoints SET yielded = ?2 WHERE endpoint_no = ?1", params![endpoint_no, json])
            .map_err(step())?;
        Ok(changed)
    }

    fn yield_in(&mut self, record_no: i64, endpoint: &EndpointName, names: &[String]) -> Result<bool> {
        let before = load_record(self.transaction, record_no)?.ok_or_else(|| damaged("a record"))?;
        let row = record_row(self.transaction, record_no)?.ok_or_else(|| damaged("a record"))?;
        let mut images = images(self.transaction, record_no)?;
        for image in images.iter_mut().filter(|image| image.endpoint == *endpoint) {
            image.yielded = names.to_vec();
        }
        let after = row.compose(images, |_, _| Ok(before.owner.as_ref().map(|owner| owner.id)))?;
        upserted(&mut self.events, Some(&before), &after, NO_RUN)
    }
}
