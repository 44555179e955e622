//! Objects and their records: the first phases of an apply.

use rusqlite::{OptionalExtension, params};

use super::joins::Room;
use super::probes::New;
use super::removals::Told;
use super::{Apply, Arriving, Chunk, Reached, images, load_record_while, owner_id, record_row};
use crate::error::Result;
use crate::model::{
    AttributeName, Attributes, EndpointName, Member, MemberKind, ObjectKind, Record, RecordId, SourceId, SourceKey,
};
use crate::rules::diff;
use crate::rules::join::Finding;
use crate::rules::precedence::{Image, Own, compose};
use crate::store::sqlite::edit;
use crate::store::sqlite::join::{kept_of, note_join};
use crate::store::sqlite::stage::{Disposition, Stage};
use crate::store::sqlite::{damaged, kind_from_number, kind_number, sql};
use crate::store::{codec, fault};

/// Staged objects of one transaction: each takes a few rows.
const OBJECTS_A_CHUNK: usize = 5000;
/// Never equal to a real fingerprint's bytes by design: a listing of the object is compared in full next time.
pub(super) const NO_FINGERPRINT: [u8; 16] = [0; 16];

/// One staged object.
pub(super) struct Row {
    stage_no: i64,
    pub(super) disposition: Disposition,
    pub(super) kind: ObjectKind,
    pub(super) source_id: SourceId,
    pub(super) container: Option<String>,
    pub(super) anchors: Option<String>,
    pub(super) primary_group: Option<Vec<u8>>,
    pub(super) body: Vec<u8>,
    pub(super) fingerprint: [u8; 16],
    observations: Option<Vec<u8>>,
    pub(super) observed: i64,
    pub(super) held: Vec<AttributeName>,
}

impl Row {
    pub(super) fn object_no(&self) -> i64 {
        self.stage_no / 4
    }

    pub(super) fn facet(&self) -> i64 {
        self.stage_no % 4
    }
}

fn staged_rows(stage: &Stage, after: i64, limit: usize) -> Result<Vec<Row>> {
    let step = || sql("read the stage");
    let mut query = stage
        .file
        .prepare_cached(
            "SELECT stage_no, disposition, kind, source_id, container, anchors, primary_group, body, fingerprint,
                    observations, observed, held
             FROM objects WHERE stage_no > ?1 ORDER BY stage_no LIMIT ?2",
        )
        .map_err(step())?;
    let mut rows = query.query(params![after, limit]).map_err(step())?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(step())? {
        let source_id = row.get_ref(3).map_err(step())?.as_blob().ok().and_then(SourceId::from_stored);
        let held: Option<String> = row.get(11).map_err(step())?;
        found.push(Row {
            stage_no: row.get(0).map_err(step())?,
            disposition: Disposition::from_number(row.get(1).map_err(step())?)?,
            kind: kind_from_number(row.get(2).map_err(step())?)?,
            source_id: source_id.ok_or_else(|| damaged("a source id"))?,
            container: row.get(4).map_err(step())?,
            anchors: row.get(5).map_err(step())?,
            primary_group: row.get(6).map_err(step())?,
            body: row.get(7).map_err(step())?,
            fingerprint: row.get(8).map_err(step())?,
            observations: row.get(9).map_err(step())?,
            observed: row.get(10).map_err(step())?,
            held: held.iter().flat_map(|held| held.split(',')).map(AttributeName::parse).collect(),
        });
    }
    Ok(found)
}

/// Tells whether facets bring nothing that makes an event: times of sign-ins change with every reading.
fn are_quiet(facets: &[Row]) -> bool {
    facets.iter().all(|facet| facet.disposition == Disposition::Quiet)
}

impl Apply {
    /// Applies staged objects behind a position.
    pub(super) fn objects(&mut self, stage: &mut Stage, chunk: &mut Chunk<'_>, mut after: i64) -> Result<Reached> {
        if after <= 0 && !self.keys(stage, chunk, &mut after)? {
            return Ok(Reached::Position(after));
        }
        let mut rows = staged_rows(stage, after, OBJECTS_A_CHUNK)?;
        // The facets of one object stay together: they make one event.
        if rows.len() == OBJECTS_A_CHUNK
            && let Some(last) = rows.last().map(Row::object_no)
            && rows.first().is_some_and(|first| first.object_no() != last)
        {
            rows.truncate(rows.partition_point(|row| row.object_no() < last));
        }
        let Some(last) = rows.last() else { return Ok(Reached::End) };
        let reached = Reached::Position(last.stage_no);
        self.look_ahead(stage, chunk, &rows)?;
        stage.file.execute_batch("BEGIN").map_err(sql("note changes"))?;
        let mut rest = rows.as_slice();
        while let Some(first) = rest.first() {
            let (own, others) = rest.split_at(rest.partition_point(|row| row.object_no() == first.object_no()));
            rest = others;
            match own {
                [core, facets @ ..] if core.facet() == 0 && core.disposition == Disposition::New => {
                    self.create(stage, chunk, core, facets)?;
                }
                [core, facets @ ..] if core.facet() == 0 => self.update(stage, chunk, core, facets)?,
                facets => self.update_facets(stage, chunk, facets)?,
            }
        }
        self.write_joined(chunk)?;
        self.move_memberships(chunk)?;
        // Before the state file: noted twice, they end the same; not noted, they would be lost.
        stage.flush_notes()?;
        stage.file.execute_batch("COMMIT").map_err(sql("note changes"))?;
        fault::point();
        Ok(reached)
    }

    fn create(&mut self, stage: &mut Stage, chunk: &mut Chunk<'_>, row: &Row, facets: &[Row]) -> Result<()> {
        let step = || sql("store an object");
        let target = self.target.clone();
        let (object_no, key) = (row.object_no(), row.source_id.key());
        if let Some(old_no) = stage.renames.old_of(object_no)
            && self.rename(stage, chunk, (old_no, row), facets)?
        {
            return Ok(());
        }
        // The same object was here before: an endpoint of this name that was removed, and is configured again.
        let (mut id, known) = match chunk.founded.remove(&object_no) {
            Some(found) => found,
            None => (RecordId::founded_by(&target.customer, &target.endpoint, row.kind, &key), None),
        };
        let mut links = Self::links(stage, chunk, object_no)?;
        let known = known.map(|known| kept_of(chunk.transaction, known)).transpose()?;
        let room = known.map(|known| self.clear(stage, chunk, row, known, id)).transpose()?;
        let known = known.filter(|_| room == Some(Room::There));
        let place = if known.is_none() { Self::place(stage, chunk, object_no, &links)? } else { None };
        let (joined, others) = place.unzip();
        let looked_for = if chunk.adopts && known.is_none() && joined.is_none() && row.kind == ObjectKind::User {
            edit::look_for(chunk.transaction, target.customer_no, &codec::read_attributes(&row.body)?)?
        } else {
            Finding::Nobody
        };
        let adopted = match &looked_for {
            Finding::Adopts(record_no) => Some(*record_no),
            _ => None,
        };
        let before = adopted.map(|record_no| super::load_record(chunk.transaction, record_no)).transpose()?.flatten();
        let known = known.or(adopted).or(joined);
        let mut record_no = known.unwrap_or(object_no);
        if room == Some(Room::Taken) && known.is_none() {
            (record_no, id) = Self::another_record(chunk, id)?;
        }
        let founds = (joined.is_none() && known.is_some() || record_no == object_no).then_some(New { id, record_no });
        self.note_new(stage, chunk, row, &key, founds.as_ref())?;
        let primary = self.primary_no(stage, chunk, row)?;
        chunk
            .transaction
            .prepare_cached("INSERT OR REPLACE INTO objects VALUES (?1, ?2, ?3, ?4, NULL, ?5, ?6, ?7)")
            .and_then(|mut insert| {
                insert.execute(params![
                    object_no,
                    target.endpoint_no,
                    record_no,
                    primary,
                    row.source_id.to_stored(),
                    row.anchors,
                    row.body
                ])
            })
            .map_err(step())?;
        store_observations(chunk, row)?;
        self.write_facets(stage, chunk, facets)?;
        chunk.counts[row.kind as usize] += 1;
        if let Some(others) = others {
            let (reason, with) = links.joins.remove(0);
            note_join(chunk.transaction, (object_no, with, reason), target.run, chunk.now)?;
            let image = self.new_image(chunk, row, record_no, facets)?;
            self.tell_change(stage, chunk, record_no, others, image)?;
            chunk.applied.created += 1;
            return self.settle(stage, chunk, object_no, &links);
        }
        if known.is_some() {
            // Its probe must be there before the record is read.
            self.write_probe(stage, chunk, row, &row.fingerprint)?;
            chunk
                .transaction
                .execute("UPDATE records SET state = 0 WHERE record_no = ?1", [record_no])
                .map_err(step())?;
            edit::take_over(chunk.transaction, record_no)?;
            if adopted.is_some() {
                edit::adopt(chunk.transaction, record_no, id)?;
            }
            let record = self.load_record(stage, chunk, record_no)?;
            chunk.upserted(before.as_ref(), &record, target.run)?;
            chunk.applied.created += 1;
            return self.settle(stage, chunk, object_no, &links);
        }
        chunk
            .transaction
            .prepare_cached("INSERT INTO records VALUES (?1, ?2, ?3, ?4, 0, NULL, NULL)")
            .and_then(|mut insert| {
                insert.execute(params![record_no, target.customer_no, id.0.as_bytes(), kind_number(row.kind)])
            })
            .map_err(step())?;
        let image = self.new_image(chunk, row, record_no, facets)?;
        let own = Own { id, kind: row.kind, local: Attributes::new(), archived: false };
        let record = compose(own, vec![image], |endpoint, id| self.owner_id(stage, chunk, record_no, endpoint, id))?;
        chunk.upserted(None, &record, target.run)?;
        chunk.applied.created += 1;
        if let Finding::Conflict(others, reason) = looked_for {
            let Chunk { transaction, events, now, .. } = chunk;
            let numbers = (target.customer_no, record_no);
            edit::note_conflict(transaction, events, numbers, record.id, (&others, reason), (target.run, *now))?;
        }
        self.settle(stage, chunk, object_no, &links)
    }

    fn update(&mut self, stage: &Stage, chunk: &mut Chunk<'_>, row: &Row, facets: &[Row]) -> Result<()> {
        let step = || sql("store an object");
        let object_no = row.object_no();
        let (old_body, record_no, old_primary): (Vec<u8>, i64, Option<i64>) = chunk
            .transaction
            .prepare_cached("SELECT body, record_no, primary_group FROM objects WHERE object_no = ?1")
            .and_then(|mut query| query.query_row([object_no], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))))
            .map_err(step())?;
        let links = Self::new_links(stage, chunk, row)?;
        let mut new = codec::read_attributes(&row.body)?;
        let mut body = row.body.clone();
        let mut fingerprint = row.fingerprint;
        let mut primary = old_primary;
        if row.primary_group.is_some() {
            primary = self.primary_no(stage, chunk, row)?;
            if old_primary.is_some() && old_primary != primary && stage.is_held(old_primary, object_no)? {
                // The old membership waits for approval: until then it is the one to be compared with.
                primary = old_primary;
                fingerprint = NO_FINGERPRINT;
            }
        }
        if !row.held.is_empty() {
            diff::hold_back(&codec::read_attributes(&old_body)?, &mut new, &row.held);
            body.clear();
            codec::push_attributes(&mut body, &new);
            // What is stored is not what was listed: the next listing has to be compared again.
            fingerprint = NO_FINGERPRINT;
            if body == old_body && row.disposition == Disposition::Changed && facets.is_empty() {
                // Its primary membership is not among what is held.
                return chunk
                    .transaction
                    .prepare_cached(
                        "UPDATE objects SET primary_group = ?2 WHERE object_no = ?1 AND primary_group IS NOT ?2",
                    )
                    .and_then(|mut update| update.execute(params![object_no, primary]))
                    .map(drop)
                    .map_err(step());
            }
        }
        let quiet = row.disposition == Disposition::Quiet && are_quiet(facets);
        let before = if quiet { Vec::new() } else { images(chunk.transaction, record_no)? };
        if !quiet || row.anchors.is_some() || row.primary_group.is_some() {
            chunk
                .transaction
                .prepare_cached(
                    "UPDATE objects SET body = ?2, anchors = ?3, missing_since = NULL, primary_group = ?4
                     WHERE object_no = ?1",
                )
                .and_then(|mut update| update.execute(params![object_no, body, row.anchors, primary]))
                .map_err(step())?;
        }
        store_observations(chunk, row)?;
        self.write_probe(stage, chunk, row, &fingerprint)?;
        self.write_facets(stage, chunk, facets)?;
        if quiet {
            return self.settle(stage, chunk, object_no, &links);
        }
        if row.disposition == Disposition::Restored {
            chunk.counts[row.kind as usize] += 1;
            chunk
                .transaction
                .prepare_cached("UPDATE records SET state = 0 WHERE record_no = ?1")
                .and_then(|mut update| update.execute([record_no]))
                .map_err(step())?;
            // Another endpoint may have handed it over meanwhile.
            edit::take_over(chunk.transaction, record_no)?;
            let told =
                Told { primary: row.primary_group.is_some(), members: stage.lists_members(&row.source_id.key())? };
            self.wake(chunk, object_no, &told)?;
        }
        let image = self.image(chunk, row, record_no, super::with_facets(chunk.transaction, object_no, new)?);
        let was_there = !before.is_empty();
        if self.tell_change(stage, chunk, record_no, before, image)? {
            if row.disposition == Disposition::Restored && !was_there {
                chunk.applied.created += 1;
            } else {
                chunk.applied.updated += 1;
            }
        }
        self.settle(stage, chunk, object_no, &links)
    }

    /// Applies facets of an object whose core is as it was.
    fn update_facets(&mut self, stage: &Stage, chunk: &mut Chunk<'_>, facets: &[Row]) -> Result<()> {
        let Some(row) = facets.first() else { return Ok(()) };
        let core: Option<(Vec<u8>, i64)> = chunk
            .transaction
            .prepare_cached("SELECT body, record_no FROM objects WHERE object_no = ?1")
            .and_then(|mut query| query.query_row([row.object_no()], |row| Ok((row.get(0)?, row.get(1)?))).optional())
            .map_err(sql("store a facet"))?;
        let Some((core, record_no)) = core else { return Ok(()) };
        if are_quiet(facets) {
            return self.write_facets(stage, chunk, facets);
        }
        let before = images(chunk.transaction, record_no)?;
        self.write_facets(stage, chunk, facets)?;
        let attributes = super::with_facets(chunk.transaction, row.object_no(), codec::read_attributes(&core)?)?;
        let image = self.image(chunk, row, record_no, attributes);
        chunk.applied.updated += u64::from(self.tell_change(stage, chunk, record_no, before, image)?);
        Ok(())
    }

    /// Stores facets, with the time at which they were read.
    pub(super) fn write_facets(&mut self, stage: &Stage, chunk: &Chunk<'_>, facets: &[Row]) -> Result<()> {
        let step = || sql("store a facet");
        for row in facets {
            let mut body = row.body.clone();
            let mut fingerprint = row.fingerprint;
            if !row.held.is_empty() {
                let stored: Option<Vec<u8>> = chunk
                    .transaction
                    .prepare_cached("SELECT body FROM facets WHERE object_no = ?1 AND facet = ?2")
                    .and_then(|mut query| {
                        query.query_row(params![row.object_no(), row.facet()], |row| row.get(0)).optional()
                    })
                    .map_err(step())?;
                let stored = stored.map(|stored| codec::read_attributes(&stored)).transpose()?.unwrap_or_default();
                let mut new = codec::read_attributes(&body)?;
                diff::hold_back(&stored, &mut new, &row.held);
                body.clear();
                codec::push_attributes(&mut body, &new);
                fingerprint = NO_FINGERPRINT;
            }
            chunk
                .transaction
                .prepare_cached("INSERT OR REPLACE INTO facets VALUES (?1, ?2, ?3, ?4)")
                .and_then(|mut insert| insert.execute(params![row.object_no(), row.facet(), chunk.now.0, body]))
                .map_err(step())?;
            self.write_probe(stage, chunk, row, &fingerprint)?;
            store_observations(chunk, row)?;
        }
        Ok(())
    }

    /// Adds the event of a record one of whose images is new, or another now. Returns whether there was anything to tell.
    fn tell_change(
        &self,
        stage: &Stage,
        chunk: &mut Chunk<'_>,
        record_no: i64,
        before: Vec<Image>,
        image: Image,
    ) -> Result<bool> {
        let row = record_row(chunk.transaction, record_no)?.ok_or_else(|| damaged("a record"))?;
        let mut after = before.clone();
        after.retain(|other| (&other.endpoint, &other.source_id) != (&image.endpoint, &image.source_id));
        after.push(image);
        let own = Own { id: row.id, kind: row.kind, local: row.local, archived: row.archived };
        // Whose computer it was makes no difference to what has changed: that is told by what was read.
        let before = (!before.is_empty()).then(|| compose(own.clone(), before, |_, _| Ok(None))).transpose()?;
        let record = compose(own, after, |endpoint, id| self.owner_id(stage, chunk, record_no, endpoint, id))?;
        chunk.upserted(before.as_ref(), &record, self.target.run)
    }

    /// Puts the image of an object together that was not there before.
    fn new_image(&self, chunk: &Chunk<'_>, row: &Row, record_no: i64, facets: &[Row]) -> Result<Image> {
        let mut attributes = codec::read_attributes(&row.body)?;
        if !facets.is_empty() || row.object_no() <= chunk.before.last_facet {
            attributes = super::with_facets(chunk.transaction, row.object_no(), attributes)?;
        }
        Ok(self.image(chunk, row, record_no, attributes))
    }

    fn image(&self, chunk: &Chunk<'_>, row: &Row, record_no: i64, attributes: Attributes) -> Image {
        Image {
            endpoint: self.target.endpoint.clone(),
            rank: chunk.before.rank_in(record_no),
            source_id: row.source_id.clone(),
            attributes,
            missing_since: None,
            yielded: chunk.before.yielded.clone(),
        }
    }

    /// Puts a record together as it stands in the state file.
    pub(super) fn load_record(&self, stage: &Stage, chunk: &Chunk<'_>, record_no: i64) -> Result<Record> {
        let arriving = |endpoint: &EndpointName, key: &SourceKey| self.arriving(stage, chunk, endpoint, key);
        load_record_while(chunk.transaction, record_no, arriving)?.ok_or_else(|| damaged("a record"))
    }

    fn owner_id(
        &self,
        stage: &Stage,
        chunk: &Chunk<'_>,
        record_no: i64,
        endpoint: &EndpointName,
        owner: &SourceId,
    ) -> Result<Option<RecordId>> {
        let arriving = |endpoint: &EndpointName, key: &SourceKey| self.arriving(stage, chunk, endpoint, key);
        owner_id(chunk.transaction, record_no, endpoint, owner, arriving)
    }

    /// Tells of an owner who comes with the same listing: the record, if there is one or one is adopted, else the kind.
    fn arriving(
        &self,
        stage: &Stage,
        chunk: &Chunk<'_>,
        endpoint: &EndpointName,
        key: &SourceKey,
    ) -> Result<Option<Arriving>> {
        if *endpoint != self.target.endpoint {
            return Ok(None);
        }
        let (Some(object_no), Some(kind)) = (stage.new_key(key)?, stage.new_kind(key)?) else { return Ok(None) };
        let step = || sql("read the owner of a computer");
        let stored: Option<[u8; 16]> = chunk
            .transaction
            .prepare_cached("SELECT r.id FROM objects o JOIN records r USING (record_no) WHERE o.object_no = ?1")
            .and_then(|mut query| query.query_row([object_no], |row| row.get(0)).optional())
            .map_err(step())?;
        if let Some(id) = stored {
            return Ok(Some(Arriving::Record(RecordId(uuid::Uuid::from_bytes(id)))));
        }
        let links = Self::links(stage, chunk, object_no)?;
        if let Some((record_no, _)) = Self::place(stage, chunk, object_no, &links)?
            && let Some(id) = crate::store::sqlite::member::record_id(chunk.transaction, record_no)?
        {
            return Ok(Some(Arriving::Record(id)));
        }
        if chunk.adopts && kind == ObjectKind::User {
            let body: Option<Vec<u8>> = stage
                .file
                .prepare_cached("SELECT body FROM objects WHERE stage_no = ?1")
                .and_then(|mut query| query.query_row([object_no * 4], |row| row.get(0)).optional())
                .map_err(step())?;
            let body = body.map(|body| codec::read_attributes(&body)).transpose()?.unwrap_or_default();
            if let Finding::Adopts(record_no) = edit::look_for(chunk.transaction, self.target.customer_no, &body)?
                && let Some(id) = crate::store::sqlite::member::record_id(chunk.transaction, record_no)?
            {
                return Ok(Some(Arriving::Record(id)));
            }
        }
        Ok(Some(Arriving::Kind(kind)))
    }

    /// Returns the number of the group that a staged object names as its primary one.
    pub(super) fn primary_no(&mut self, stage: &Stage, chunk: &Chunk<'_>, row: &Row) -> Result<Option<i64>> {
        let Some(stored) = row.primary_group.as_ref().filter(|stored| !stored.is_empty()) else { return Ok(None) };
        let id = SourceId::from_stored(stored).ok_or_else(|| damaged("a source id"))?;
        let key = id.key();
        if let Some(found) = self.find(chunk, &key)? {
            return Ok(Some(found.object_no));
        }
        if let Some(object_no) = stage.new_key(&key)? {
            return Ok(Some(object_no));
        }
        // Not imported, or not yet: once it is, its number tells who named it.
        Ok(Some(self.stub(chunk, &Member { id, kind: MemberKind::Group })?.object_no))
    }
}

/// Observations are stored and compared with nothing.
pub(super) fn store_observations(chunk: &Chunk<'_>, row: &Row) -> Result<()> {
    let Some(observations) = &row.observations else { return Ok(()) };
    chunk
        .transaction
        .prepare_cached("INSERT OR REPLACE INTO observations VALUES (?1, ?2, ?3)")
        .and_then(|mut insert| insert.execute(params![row.object_no(), row.facet(), observations]))
        .map(drop)
        .map_err(sql("store observations"))
}
