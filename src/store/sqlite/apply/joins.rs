//! What an apply does for customers with several endpoints: it keeps what objects may be joined by, and joins them.
//!
//! It does not judge who belongs together.

use rusqlite::{OptionalExtension, params};

use super::objects::Row;
use super::{Apply, Chunk, images_seeing};
use crate::error::Result;
use crate::model::{RecordId, SourceId};
use crate::rules::precedence::Image;
use crate::store::sqlite::join::{
    Ahead, Evidence, Joiner, Links, Newcomer, OBJECTS_A_CHUNK, backfill, forget_unless_several, has_room, parts,
    persona_in_row, put_keys, stored_keys,
};
use crate::store::sqlite::member::record_id;
use crate::store::sqlite::sql;
use crate::store::sqlite::stage::{Disposition, Stage};

/// The position behind the last step that only indexes: staged objects have larger numbers.
const INDEXED: i64 = 1;

/// Whether an object may take up the record that it founded once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    /// It may.
    There,
    /// It founds one anew.
    Anew,
    /// It founds one under an id of its own: the one that is derived from its source id is somebody else's for good.
    Taken,
}

/// Forgets to which record an id leads that another object is about to found.
fn forget_founded(chunk: &Chunk<'_>, founded: RecordId) -> Result<()> {
    for statement in ["DELETE FROM adopted_ids WHERE id = ?1", "DELETE FROM record_ids WHERE id = ?1"] {
        chunk
            .transaction
            .prepare_cached(statement)
            .and_then(|mut delete| delete.execute([founded.0.as_bytes()]))
            .map_err(sql("store an object"))?;
    }
    Ok(())
}

impl Apply {
    /// Brings the index of joins to what the run makes of its endpoint, before anybody is looked for in it. Positions of
    /// these steps are negative. Returns whether the objects follow now.
    pub(super) fn keys(&self, stage: &Stage, chunk: &Chunk<'_>, at: &mut i64) -> Result<bool> {
        let customer_no = self.target.customer_no;
        if chunk.ground.is_none() {
            if *at == 0 {
                forget_unless_several(chunk.transaction, customer_no)?;
            }
            return Ok(true);
        }
        if *at == 0 && !backfill(chunk.transaction, customer_no)? {
            return Ok(false);
        }
        let step = || sql("write the index of joins");
        let mut query = stage
            .file
            .prepare_cached(
                "SELECT kind, body, anchors, held, stage_no, disposition FROM objects
                 WHERE stage_no > ?1 AND stage_no % 4 = 0 ORDER BY stage_no LIMIT ?2",
            )
            .map_err(step())?;
        let mut rows = query.query(params![at.unsigned_abs(), OBJECTS_A_CHUNK]).map_err(step())?;
        let (mut last, mut going, mut coming) = (None, Vec::new(), Vec::new());
        while let Some(row) = rows.next().map_err(step())? {
            let stage_no: i64 = row.get(4).map_err(step())?;
            last = Some(stage_no);
            let object_no = stage_no / 4;
            let new = persona_in_row(chunk.transaction, stage, object_no, row)?.keys();
            if Disposition::from_number(row.get(5).map_err(step())?)? == Disposition::New {
                coming.extend(new.into_iter().map(|key| (key, object_no)));
            } else {
                let old = stored_keys(chunk.transaction, object_no)?;
                going.extend(old.difference(&new).map(|key| (*key, object_no)));
                coming.extend(new.difference(&old).map(|key| (*key, object_no)));
            }
        }
        let Some(last) = last else {
            *at = INDEXED;
            return Ok(true);
        };
        *at = -last;
        put_keys(chunk.transaction, customer_no, going, coming)?;
        Ok(false)
    }

    /// Reads what new objects of the chunk will be asked for, in the order of the pages.
    pub(super) fn look_ahead(&self, stage: &Stage, chunk: &mut Chunk<'_>, rows: &[Row]) -> Result<()> {
        let new = || rows.iter().filter(|row| row.facet() == 0 && row.disposition == Disposition::New);
        if chunk.before.any_ids {
            let target = &self.target;
            let id =
                |row: &Row| RecordId::founded_by(&target.customer, &target.endpoint, row.kind, &row.source_id.key());
            let mut ids: Vec<(RecordId, i64)> = new().map(|row| (id(row), row.object_no())).collect();
            ids.sort_unstable();
            for (id, object_no) in ids {
                let known: Option<i64> = chunk
                    .transaction
                    .prepare_cached("SELECT record_no FROM record_ids WHERE id = ?1")
                    .and_then(|mut query| query.query_row([id.0.as_bytes()], |row| row.get(0)).optional())
                    .map_err(sql("store an object"))?;
                chunk.founded.insert(object_no, (id, known));
            }
        }
        if let Some(ground) = &chunk.ground {
            let rows = new().filter(|row| row.held.is_empty());
            let rows = rows.map(|row| (row.object_no(), row.kind, row.body.as_slice(), row.anchors.as_deref()));
            chunk.ahead = Ahead::read(chunk.transaction, stage, ground, rows)?;
        }
        Ok(())
    }

    /// Tells whom an object belongs together with.
    pub(super) fn links(stage: &Stage, chunk: &Chunk<'_>, object_no: i64) -> Result<Links> {
        match &chunk.ground {
            Some(ground) => Evidence::new(chunk.transaction, Some(stage), ground, Some(&chunk.ahead)).links(object_no),
            None => Ok(Links::default()),
        }
    }

    /// The same for a stored object, if anything of it has changed that it may be joined by.
    pub(super) fn new_links(stage: &Stage, chunk: &Chunk<'_>, row: &Row) -> Result<Links> {
        let Some(ground) = &chunk.ground else { return Ok(Links::default()) };
        let mut evidence = Evidence::new(chunk.transaction, Some(stage), ground, Some(&chunk.ahead));
        if row.disposition != Disposition::Restored && !evidence.has_changed(row.object_no())? {
            return Ok(Links::default());
        }
        evidence.links(row.object_no())
    }

    /// Finds the record that a new object joins; with what it is made of so far.
    pub(super) fn place(
        stage: &Stage,
        chunk: &Chunk<'_>,
        object_no: i64,
        links: &Links,
    ) -> Result<Option<(i64, Vec<Image>)>> {
        let (Some((_, with)), Some(ground)) = (links.joins.first(), &chunk.ground) else { return Ok(None) };
        let connection = chunk.transaction;
        let record_no: i64 = connection
            .prepare_cached("SELECT record_no FROM objects WHERE object_no = ?1")
            .and_then(|mut query| query.query_row([with], |row| row.get(0)))
            .map_err(sql("read an object"))?;
        let newcomer = Newcomer { connection, stage, object_no, any_apart: ground.any_apart };
        let mut room = true;
        let standing = |endpoint_no, id: &SourceId| chunk.ahead.standing_of(connection, endpoint_no, id);
        let images = images_seeing(connection, record_no, standing, |other, endpoint_no, source_id, state| {
            room = room && !newcomer.is_kept_out_by(other, endpoint_no, source_id, state)?;
            Ok(())
        })?;
        Ok(room.then_some((record_no, images)))
    }

    /// Makes room in the record that an object founded once, if it may take it up again.
    pub(super) fn clear(
        &self,
        stage: &Stage,
        chunk: &mut Chunk<'_>,
        row: &Row,
        record_no: i64,
        founded: RecordId,
    ) -> Result<Room> {
        let object_no = row.object_no();
        if row.source_id.is_weak() {
            // Whoever had the address has another one by now, and the record with it; whether still there or not.
            let stays = parts(chunk.transaction, Some(stage), record_no)?;
            if stays.iter().any(|part| part.endpoint_no == stage.endpoint_no) {
                if record_id(chunk.transaction, record_no)? == Some(founded) {
                    return Ok(Room::Taken);
                }
                forget_founded(chunk, founded)?;
                return Ok(Room::Anew);
            }
        }
        if chunk.ground.is_none() || has_room(chunk.transaction, stage, record_no, object_no, &row.source_id)? {
            return Ok(Room::There);
        }
        let id = record_id(chunk.transaction, record_no)?;
        if id != Some(founded) {
            // It is somebody else's by now: the object founds one anew.
            forget_founded(chunk, founded)?;
            return Ok(Room::Anew);
        }
        self.joiner(stage, chunk, |joiner| joiner.expel(record_no))?;
        Ok(Room::There)
    }

    fn joiner(
        &self,
        stage: &Stage,
        chunk: &mut Chunk<'_>,
        work: impl FnOnce(&mut Joiner<'_, '_>) -> Result<()>,
    ) -> Result<()> {
        let Chunk { transaction, events, now, applied, .. } = chunk;
        let mut joiner = Joiner {
            connection: transaction,
            events,
            customer: &self.target.customer,
            customer_no: self.target.customer_no,
            run: self.target.run,
            now: *now,
            stage: Some(stage),
            told: 0,
        };
        work(&mut joiner)?;
        applied.updated += joiner.told;
        Ok(())
    }

    /// Joins an object that is stored by now with those that it belongs together with.
    pub(super) fn settle(&self, stage: &Stage, chunk: &mut Chunk<'_>, object_no: i64, links: &Links) -> Result<()> {
        if links.joins.is_empty() && links.conflicts.is_empty() {
            return Ok(());
        }
        self.joiner(stage, chunk, |joiner| joiner.settle(object_no, links))
    }
}
