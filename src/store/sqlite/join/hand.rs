//! Joins made and undone by hand: remembered, so that no import decides otherwise.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, params};

use super::reshape::{Joiner, Part, note_join, parts, record_of};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{
    EndpointName, Identity, Join, JoinReason, ObjectKind, Record, RecordId, RunId, SourceId, Timestamp,
};
use crate::store::sqlite::apply::{load_record, record_row};
use crate::store::sqlite::{damaged, sql};

fn kind_of(connection: &Connection, record_no: i64) -> Result<ObjectKind> {
    Ok(record_row(connection, record_no)?.ok_or_else(|| damaged("a record"))?.kind)
}

fn check_user(connection: &Connection, record_no: i64, id: RecordId) -> Result<()> {
    if kind_of(connection, record_no)? == ObjectKind::User {
        return Ok(());
    }
    Err(Error::config("only users are joined by hand; groups and computers are joined by their anchors")
        .with_context("record", id))
}

/// Finds an object by what the outside calls it.
fn object_of(connection: &Connection, customer_no: i64, endpoint: &EndpointName, source_id: &SourceId) -> Result<i64> {
    let found: Option<i64> = connection
        .prepare_cached(
            "SELECT object_no FROM endpoints e JOIN probes p USING (endpoint_no)
             WHERE e.customer_no = ?1 AND e.name = ?2 AND p.source_key = ?3 AND p.facet = 0",
        )
        .and_then(|mut query| {
            query.query_row(params![customer_no, endpoint.as_str(), source_id.key().0], |row| row.get(0)).optional()
        })
        .map_err(sql("read an object"))?;
    found.ok_or_else(|| unknown_identity(endpoint, source_id))
}

fn unknown_identity(endpoint: &EndpointName, source_id: &SourceId) -> Error {
    Error::new(ErrorKind::NotFound, "the record has no such identity; its identities name endpoint and source id")
        .with_context("endpoint", endpoint)
        .with_context("source_id", source_id)
}

/// Refuses to put objects together of which two are of one endpoint.
fn check_room(connection: &Connection, these: &[Part], those: &[Part]) -> Result<()> {
    let both = |one: &Part| those.iter().any(|other| one.excludes(other));
    let Some(part) = these.iter().find(|part| both(part)) else { return Ok(()) };
    let endpoint: String = connection
        .prepare_cached("SELECT name FROM endpoints WHERE endpoint_no = ?1")
        .and_then(|mut query| query.query_row([part.endpoint_no], |row| row.get(0)))
        .map_err(sql("read the endpoint"))?;
    Err(Error::new(
        ErrorKind::Conflict,
        "both have an identity of the same endpoint, so they are two people there; take the wrong identity out of its record \
         first",
    )
    .with_context("endpoint", endpoint))
}

impl Joiner<'_, '_> {
    /// Joins two users: the second one is absorbed, unless it was added by hand and nobody owns it.
    pub(in super::super) fn join_by_hand(
        &mut self,
        kept: (i64, RecordId),
        absorbed: (i64, RecordId),
    ) -> Result<Record> {
        check_user(self.connection, kept.0, kept.1)?;
        check_user(self.connection, absorbed.0, absorbed.1)?;
        if kept.0 == absorbed.0 {
            return Err(Error::config("this is one record; name two").with_context("record", kept.1));
        }
        let (mut kept, mut absorbed) = (kept.0, absorbed.0);
        let (mut staying, mut coming) = (parts(self.connection, None, kept)?, parts(self.connection, None, absorbed)?);
        if coming.is_empty() {
            std::mem::swap(&mut kept, &mut absorbed);
            std::mem::swap(&mut staying, &mut coming);
        }
        if coming.is_empty() {
            return Err(Error::config(
                "both were added by hand, and no endpoint sees either; move what one has to the other, and remove it",
            ));
        }
        check_room(self.connection, &coming, &staying)?;
        for one in &coming {
            for other in &staying {
                self.set_apart(one.object_no, other.object_no, false)?;
            }
        }
        let record = self.merge(kept, absorbed)?;
        let root = coming.first().ok_or_else(|| damaged("a record"))?.object_no;
        let with = staying.first().map_or(root, |part| part.object_no);
        note_join(self.connection, (root, with, JoinReason::ByHand), self.run, self.now)?;
        Ok(record)
    }

    /// Takes an identity out of a user. Returns what has the old id, and the other one.
    pub(in super::super) fn unjoin_by_hand(
        &mut self,
        record: (i64, RecordId),
        endpoint: &EndpointName,
        source_id: &SourceId,
    ) -> Result<(Record, Record)> {
        check_user(self.connection, record.0, record.1)?;
        let object_no = object_of(self.connection, self.customer_no, endpoint, source_id)?;
        if record_of(self.connection, object_no)? != record.0 {
            return Err(unknown_identity(endpoint, source_id).with_context("record", record.1));
        }
        let mut others = parts(self.connection, None, record.0)?.into_iter().filter(|part| part.object_no != object_no);
        if !others.any(|part| part.present) && !self.was_added_by_hand(record.0)? {
            return Err(Error::config("the record has no other identity; there is nothing to take apart"));
        }
        let (old, new) = self.part_with(record.0, object_no)?;
        let read = |no| load_record(self.connection, no)?.ok_or_else(|| damaged("a record"));
        Ok((read(old)?, read(new)?))
    }

    /// Splits an object off, and remembers that it does not belong to the others.
    fn part_with(&mut self, record_no: i64, object_no: i64) -> Result<(i64, i64)> {
        let all = parts(self.connection, None, record_no)?;
        if !all.iter().any(|part| part.present && part.object_no == object_no) {
            return Err(Error::config("the identity is gone from its endpoint; there is nothing to take apart"));
        }
        let split = self.split(record_no, &BTreeSet::from([object_no]))?;
        for part in all.iter().filter(|part| part.object_no != object_no) {
            if record_of(self.connection, part.object_no)? != record_of(self.connection, object_no)? {
                self.set_apart(part.object_no, object_no, true)?;
            }
        }
        Ok(split)
    }

    /// Tells whether a record is there also without any object: somebody added it, or it was handed over.
    fn was_added_by_hand(&self, record_no: i64) -> Result<bool> {
        self.connection
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM adopted_ids WHERE record_no = ?1)
                     OR EXISTS (SELECT 1 FROM joins WHERE object_no = with_no
                                AND object_no IN (SELECT object_no FROM absorbed WHERE into_no = ?1))",
            )
            .and_then(|mut query| query.query_row([record_no], |row| row.get(0)))
            .map_err(sql("read a record"))
    }

    /// Moves an identity from its user to another one.
    pub(in super::super) fn reanchor_by_hand(
        &mut self,
        endpoint: &EndpointName,
        source_id: &SourceId,
        to: (i64, RecordId),
    ) -> Result<Record> {
        check_user(self.connection, to.0, to.1)?;
        let object_no = object_of(self.connection, self.customer_no, endpoint, source_id)?;
        let from = record_of(self.connection, object_no)?;
        check_user(self.connection, from, to.1)?;
        if from == to.0 {
            return load_record(self.connection, from)?.ok_or_else(|| damaged("a record"));
        }
        let all = parts(self.connection, None, from)?;
        let moving: Vec<Part> = all.iter().filter(|part| part.object_no == object_no).cloned().collect();
        check_room(self.connection, &moving, &parts(self.connection, None, to.0)?)?;
        // Of who is gone nothing is told: the living keeps the record, and is joined with it.
        if all.len() > 1 || self.was_added_by_hand(from)? {
            self.part_with(from, object_no)?;
        }
        let own = record_of(self.connection, object_no)?;
        let id = record_row(self.connection, own)?.ok_or_else(|| damaged("a record"))?.id;
        self.join_by_hand(to, (own, id))
    }

    fn set_apart(&self, one: i64, other: i64, apart: bool) -> Result<()> {
        for (a, b) in [(one, other), (other, one)] {
            let statement = if apart {
                "INSERT OR REPLACE INTO apart VALUES (?1, ?2, ?3)"
            } else {
                "DELETE FROM apart WHERE object_no = ?1 AND other_no = ?2 AND ?3 IS NOT NULL"
            };
            self.connection
                .prepare_cached(statement)
                .and_then(|mut write| write.execute([a, b, self.now.0]))
                .map_err(sql("remember what is kept apart"))?;
        }
        Ok(())
    }
}

/// Tells why the objects of a record are in it.
pub(in super::super) fn joins_of(connection: &Connection, record_no: i64) -> Result<Vec<Join>> {
    let step = || sql("read the joins of a record");
    let identity = |object_no: i64| -> Result<Option<Identity>> {
        let row: Option<(String, Vec<u8>)> = connection
            .prepare_cached(
                "SELECT e.name, o.source_id FROM objects o JOIN endpoints e USING (endpoint_no) WHERE object_no = ?1",
            )
            .and_then(|mut query| query.query_row([object_no], |row| Ok((row.get(0)?, row.get(1)?))).optional())
            .map_err(step())?;
        row.map(|(endpoint, id)| {
            let source_id = SourceId::from_stored(&id).ok_or_else(|| damaged("a source id"))?;
            Ok(Identity { endpoint: EndpointName::new(endpoint)?, source_id })
        })
        .transpose()
    };
    let mut found = Vec::new();
    for part in parts(connection, None, record_no)?.into_iter().filter(|part| part.present) {
        type Row = (i64, usize, i64, Option<[u8; 16]>);
        let rows: Vec<Row> = connection
            .prepare_cached("SELECT with_no, reason, at, run FROM joins WHERE object_no = ?1 ORDER BY reason, with_no")
            .and_then(|mut query| {
                let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
                query.query_map([part.object_no], row)?.collect()
            })
            .map_err(step())?;
        let Some(Identity { endpoint, source_id }) = identity(part.object_no)? else { continue };
        for (with, reason, at, run) in rows {
            found.push(Join {
                endpoint: endpoint.clone(),
                source_id: source_id.clone(),
                with: if with == part.object_no { None } else { identity(with)? },
                reason: *JoinReason::ALL.get(reason).ok_or_else(|| damaged("a join"))?,
                at: Timestamp(at),
                run: run.map(|run| RunId(uuid::Uuid::from_bytes(run))),
            });
        }
    }
    Ok(found)
}
