//! Where the index stands towards the state file: current, behind, or of another history. It changes nothing.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::model::{CustomerId, EndpointName, Record, RecordId};
use crate::store::sqlite::{damaged, sql};

/// An endpoint, as far as it decides what records look like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Source {
    pub(super) no: i64,
    name: String,
    /// The name of its own group, once it has one.
    title: Option<String>,
}

/// A customer in the state file, at one moment.
#[derive(Debug, Clone)]
pub(super) struct Standing {
    pub(super) customer: CustomerId,
    pub(super) no: i64,
    /// Its last event.
    pub(super) last: u64,
    /// The last event that is no longer kept.
    pub(super) dropped: u64,
    pub(super) sources: Vec<Source>,
}

/// What an index is doing for a customer. The numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Clearing = 0,
    Building = 1,
    Following = 2,
}

/// A customer in the index.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) phase: Phase,
    pub(super) at: i64,
    pub(super) position: u64,
    pub(super) target: u64,
    pub(super) sources: Vec<Source>,
    pub(super) mark: Option<String>,
}

/// What has to be done before the index can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    Nothing,
    /// Go on from where it is.
    GoOn,
    /// Begin anew: what is there cannot be brought up to date.
    Anew,
}

impl Standing {
    /// Reads a customer. The connection is in a transaction.
    pub(super) fn read(state: &Connection, customer: &CustomerId) -> Result<Self> {
        let step = || sql("read a customer");
        let row: Option<(i64, u64, u64)> = state
            .prepare_cached("SELECT customer_no, sequence, dropped FROM customers WHERE id = ?1")
            .and_then(|mut query| {
                query.query_row([customer.as_str()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).optional()
            })
            .map_err(step())?;
        let (no, last, dropped) = row.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, "the customer is not known").with_context("customer", customer)
        })?;
        let mut query = state
            .prepare_cached(
                "SELECT endpoint_no, name, group_title FROM endpoints WHERE customer_no = ?1
                 ORDER BY endpoint_no",
            )
            .map_err(step())?;
        let rows = query
            .query_map([no], |row| Ok(Source { no: row.get(0)?, name: row.get(1)?, title: row.get(2)? }))
            .map_err(step())?;
        let sources = rows.collect::<Result<_, _>>().map_err(step())?;
        Ok(Self { customer: customer.clone(), no, last, dropped, sources })
    }

    /// Returns what the index needs to be as the state file is.
    pub(super) fn need(&self, state: &Connection, place: &Place) -> Result<Need> {
        if place.phase != Phase::Clearing && !self.goes_on_from(state, place)? {
            return Ok(Need::Anew);
        }
        let current = place.phase == Phase::Following
            && place.position == place.target
            && place.position == self.last
            && place.sources == self.sources;
        Ok(if current { Need::Nothing } else { Need::GoOn })
    }

    /// Tells whether what is in the index was read from this history, and what follows it is still told.
    fn goes_on_from(&self, state: &Connection, place: &Place) -> Result<bool> {
        if place.target > self.last || place.position < self.dropped {
            return Ok(false);
        }
        if place.position == 0 || place.position == self.dropped {
            return Ok(true);
        }
        Ok(self.mark(state, place.position)?.is_some_and(|mark| place.mark == Some(mark)))
    }

    /// Returns what tells the segment that ends with an event from another one: not its bytes, which an erasure
    /// changes.
    pub(super) fn mark(&self, state: &Connection, position: u64) -> Result<Option<String>> {
        state
            .prepare_cached("SELECT first_sequence, time FROM outbox WHERE customer_no = ?1 AND last_sequence = ?2")
            .and_then(|mut query| {
                query
                    .query_row(params![self.no, position], |row| {
                        Ok(format!("{} {}", row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
                    })
                    .optional()
            })
            .map_err(sql("read the position of the outbox"))
    }

    /// Returns the number of an endpoint that is not removed.
    pub(super) fn endpoint_no(&self, endpoint: &EndpointName) -> Option<i64> {
        self.sources.iter().find(|source| source.name == endpoint.as_str()).map(|source| source.no)
    }

    /// Puts the endpoints' own groups together, by the numbers that the index keeps them under.
    pub(super) fn own_groups(&self) -> Result<BTreeMap<i64, Record>> {
        let mut groups = BTreeMap::new();
        for source in &self.sources {
            let Some(title) = &source.title else { continue };
            let endpoint = EndpointName::new(&source.name)?;
            let id = RecordId::of_endpoint_group(&self.customer, &endpoint);
            groups.insert(-source.no, Record::of_endpoint(id, endpoint, title));
        }
        Ok(groups)
    }
}

impl Place {
    /// Reads where a customer is; a new one is yet to be built.
    pub(super) fn read(index: &Connection, customer_no: i64) -> Result<Option<Self>> {
        type Row = (i64, i64, u64, u64, String, Option<String>);
        let row: Option<Row> = index
            .prepare_cached("SELECT phase, at, position, target, endpoints, mark FROM customers WHERE customer_no = ?1")
            .and_then(|mut query| {
                query
                    .query_row([customer_no], |row| {
                        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?))
                    })
                    .optional()
            })
            .map_err(sql("read the index"))?;
        row.map(|(phase, at, position, target, sources, mark)| {
            let phase = match phase {
                0 => Phase::Clearing,
                1 => Phase::Building,
                2 => Phase::Following,
                _ => return Err(damaged("the index")),
            };
            let sources = serde_json::from_str(&sources).map_err(|_| damaged("the index"))?;
            Ok(Self { phase, at, position, target, sources, mark })
        })
        .transpose()
    }

    pub(super) fn write(&self, index: &Connection, customer_no: i64) -> Result<()> {
        index
            .prepare_cached("INSERT OR REPLACE INTO customers VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")
            .and_then(|mut insert| {
                let sources = serde_json::to_string(&self.sources).unwrap_or_default();
                let Self { phase, at, position, target, mark, .. } = self;
                insert.execute(params![customer_no, *phase as i64, at, position, target, sources, mark])
            })
            .map(drop)
            .map_err(sql("write the index"))
    }
}
