//! Objects that are known by an address and have another one by now: the same object, staged under its new id.
//!
//! It judges who is the same; what becomes of the record it does not know.

use std::collections::HashMap;

use rusqlite::{OptionalExtension, params};

use super::Verdict;
use crate::coverage::Complete;
use crate::error::Result;
use crate::model::{Facet, ObjectKind, Patch, RecordId, Scope, SourceId};
use crate::rules::{diff, join};
use crate::store::codec;
use crate::store::sqlite::stage::Stage;
use crate::store::sqlite::{Class, Standing, damaged, sql};

/// Of so many objects of a kind that was not listed to its end each is asked for its other address; of more, none is.
const DOUBTFUL: usize = 2000;

/// Which object takes the place of which, by number, both ways.
#[derive(Debug, Default)]
pub(in super::super) struct Renames {
    new: HashMap<i64, i64>,
    old: HashMap<i64, i64>,
}

impl Renames {
    fn add(&mut self, old_no: i64, new_no: i64) {
        self.new.insert(old_no, new_no);
        self.old.insert(new_no, old_no);
    }

    /// Tells whether an object has another id by now.
    pub(in super::super) fn is_old(&self, object_no: i64) -> bool {
        self.new.contains_key(&object_no)
    }

    /// Tells whether a staged object is one that is stored under another id.
    pub(in super::super) fn is_new(&self, object_no: i64) -> bool {
        self.old.contains_key(&object_no)
    }

    /// Returns the object whose place a staged one takes.
    pub(in super::super) fn old_of(&self, new_no: i64) -> Option<i64> {
        self.old.get(&new_no).copied()
    }

    /// Returns under which number the members of a group are stored.
    pub(super) fn stored_via(&self, group_via: i64) -> i64 {
        self.old.get(&(group_via / 2)).map_or(group_via, |old| old * 2 + group_via % 2)
    }

    /// Lists old and new numbers of members.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, u64)> {
        self.new.iter().map(|(old, new)| (old.unsigned_abs(), new.unsigned_abs()))
    }

    /// Brings members to the numbers that they will have; `false` if none has another.
    pub(super) fn bring(&self, members: &mut [u64]) -> bool {
        let mut any = false;
        if !self.new.is_empty() {
            for member in members {
                if let Some(new) = self.new.get(&member.cast_signed()) {
                    *member = new.unsigned_abs();
                    any = true;
                }
            }
        }
        any
    }
}

/// What became of one that may be another's next.
enum Settled {
    /// They are the same.
    Same,
    /// They are not, or it cannot be told.
    No,
    /// The other has neither of its names.
    Another,
}

impl Stage {
    /// Takes up which objects an interrupted run found to have another id.
    pub(in super::super) fn restore_renames(&mut self) -> Result<()> {
        let step = || sql("read who has another id");
        let mut query =
            self.file.prepare("SELECT old_no, new_no FROM renames WHERE new_no IS NOT NULL").map_err(step())?;
        let mut rows = query.query([]).map_err(step())?;
        while let Some(row) = rows.next().map_err(step())? {
            self.renames.add(row.get(0).map_err(step())?, row.get(1).map_err(step())?);
        }
        Ok(())
    }

    /// Forgets who has another id: what was staged is again as it was listed.
    pub(in super::super) fn forget_renames(&mut self) -> Result<()> {
        self.renames = Renames::default();
        self.file
            .execute_batch(
                "BEGIN;
                 UPDATE objects SET losses = NULL, (body, container, anchors) =
                     (SELECT r.body, r.container, r.anchors FROM renames r WHERE new_no * 4 = stage_no)
                 WHERE stage_no IN (SELECT new_no * 4 FROM renames WHERE new_no IS NOT NULL);
                 DELETE FROM renames;
                 DELETE FROM doubtful;
                 COMMIT",
            )
            .map_err(sql("take up the stage"))
    }

    /// Finds who may have another address by now, in kinds that were listed and not to their end. Nobody of these seems to be
    /// gone; but who is new may be one of them, and would be two people for good.
    pub(in super::super) fn find_doubtful(&mut self, proofs: &[Complete]) -> Result<()> {
        let step = || sql("find who may have another id");
        if self.is_delta() {
            return Ok(());
        }
        let open = |kind: &&ObjectKind| proofs.iter().all(|proof| *proof.scope() != Scope::of(**kind));
        let mut seen = None;
        for kind in ObjectKind::ALL.iter().filter(open) {
            let number = super::super::kind_number(*kind);
            let is_any_new: bool = self
                .file
                .prepare_cached(
                    "SELECT EXISTS (SELECT 1 FROM objects WHERE kind = ?1 AND disposition = 0 AND stage_no % 4 = 0
                     AND substr(source_id, 1, 1) = x'61')",
                )
                .and_then(|mut query| query.query_row([number], |row| row.get(0)))
                .map_err(step())?;
            if !is_any_new || self.known()?[*kind as usize] == 0 {
                continue;
            }
            let seen = match &seen {
                Some(seen) => seen,
                None => seen.insert(self.listed()?),
            };
            let mut unseen = Vec::new();
            let mut query = self
                .main
                .prepare_cached(
                    "SELECT object_no, standing, source_id FROM probes JOIN objects o USING (object_no)
                     WHERE probes.endpoint_no = ?1 AND facet = 0 AND substr(source_id, 1, 1) = x'61'",
                )
                .map_err(step())?;
            let mut rows = query.query([self.endpoint_no]).map_err(step())?;
            while let Some(row) = rows.next().map_err(step())? {
                let object_no: i64 = row.get(0).map_err(step())?;
                let standing = Standing::from_number(row.get(1).map_err(step())?)?;
                if standing.kind() == Some(*kind) && standing.is_present() && !seen.contains(object_no) {
                    unseen.push((object_no, standing, row.get::<_, Vec<u8>>(2).map_err(step())?));
                }
            }
            if unseen.len() > DOUBTFUL {
                tracing::warn!(
                    unseen = unseen.len(),
                    "too many were not listed to ask each of them for another address"
                );
                continue;
            }
            let transaction = self.file.unchecked_transaction().map_err(step())?;
            for (object_no, standing, source_id) in unseen {
                let new = transaction
                    .prepare_cached("INSERT OR IGNORE INTO candidates VALUES (?1, ?2, NULL, ?3, ?4, ?5, 0)")
                    .and_then(|mut insert| {
                        insert.execute(params![
                            object_no,
                            number,
                            source_id,
                            standing.to_number(),
                            Verdict::Open.to_number()
                        ])
                    })
                    .map_err(step())?;
                if new > 0 {
                    transaction.execute("INSERT OR IGNORE INTO doubtful VALUES (?1)", [object_no]).map_err(step())?;
                }
            }
            transaction.commit().map_err(step())?;
        }
        Ok(())
    }

    pub(super) fn is_weak_candidate(&self, object_no: i64) -> Result<bool> {
        let id: Vec<u8> = self
            .file
            .prepare_cached("SELECT source_id FROM candidates WHERE object_no = ?1")
            .and_then(|mut query| query.query_row([object_no], |row| row.get(0)))
            .map_err(sql("read the candidates"))?;
        Ok(SourceId::from_stored(&id).ok_or_else(|| damaged("a source id"))?.is_weak())
    }

    /// Notes that a look-up told another id of a candidate.
    pub(super) fn note_rename(&self, object_no: i64, patch: &Patch) -> Result<()> {
        let patch = serde_json::to_string(patch).map_err(|_| damaged("a look-up"))?;
        self.file
            .prepare_cached("INSERT OR REPLACE INTO renames (old_no, patch) VALUES (?1, ?2)")
            .and_then(|mut insert| insert.execute(params![object_no, patch]))
            .map(drop)
            .map_err(sql("store the answers of look-ups"))
    }

    /// Settles for whom a look-up told another id. Whoever has it for certain is staged as the same object; of the rest the
    /// old id is missing. Returns the records whose address leads to somebody with other names.
    pub(in super::super) fn settle_renames(&mut self) -> Result<Vec<RecordId>> {
        let step = || sql("settle who has another id");
        // What look-ups brought is not part of the listing.
        let figures = self.figures;
        let told: Vec<(i64, Patch)> = {
            let mut query = self
                .file
                .prepare("SELECT old_no, patch FROM renames WHERE new_no IS NULL ORDER BY old_no")
                .map_err(step())?;
            let rows = query.query_map([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?))).map_err(step())?;
            rows.map(|row| {
                let (old_no, patch) = row.map_err(step())?;
                Ok((old_no, serde_json::from_str(&patch).map_err(|_| damaged("a look-up"))?))
            })
            .collect::<Result<_>>()?
        };
        // Two that lead to one: nobody says whose it was.
        let mut claims: HashMap<SourceId, u32> = HashMap::new();
        for (_, patch) in &told {
            *claims.entry(patch.object.id.clone()).or_default() += 1;
        }
        let mut another = Vec::new();
        for (old_no, patch) in told {
            let only = claims.get(&patch.object.id) == Some(&1);
            match if only { self.settle_rename(old_no, &patch)? } else { Settled::No } {
                Settled::Same => continue,
                Settled::Another => another.push(old_no),
                Settled::No => {}
            }
            self.file
                .execute("DELETE FROM renames WHERE old_no = ?1", [old_no])
                .and_then(|_| {
                    self.file.execute(
                        "UPDATE candidates SET verdict = ?2 WHERE object_no = ?1",
                        params![old_no, Verdict::Missing.to_number()],
                    )
                })
                .map_err(step())?;
        }
        self.file
            .execute_batch("DELETE FROM candidates WHERE object_no IN (SELECT object_no FROM doubtful)")
            .map_err(step())?;
        self.figures = figures;
        self.with_another_person(another)
    }

    fn settle_rename(&mut self, old_no: i64, patch: &Patch) -> Result<Settled> {
        let step = || sql("settle who has another id");
        let candidate: Option<(i64, Vec<u8>)> = self
            .file
            .prepare_cached("SELECT kind, source_id FROM candidates WHERE object_no = ?1 AND verdict = ?2")
            .and_then(|mut query| {
                query
                    .query_row(params![old_no, Verdict::Renamed.to_number()], |row| Ok((row.get(0)?, row.get(1)?)))
                    .optional()
            })
            .map_err(step())?;
        let Some((kind, source_id)) = candidate else { return Ok(Settled::No) };
        let id = SourceId::from_stored(&source_id).ok_or_else(|| damaged("a source id"))?;
        let key = patch.object.id.key();
        if super::super::kind_number(patch.object.kind) != kind || !patch.object.id.is_weak() {
            return Ok(Settled::No);
        }
        // Who has an id of his own by now is somebody else, or was told apart before.
        let stub = self.probe(&key, Facet::Core)?;
        if stub.as_ref().is_some_and(|probe| matches!(probe.standing.class, Class::Object(_))) {
            return Ok(Settled::No);
        }
        let mut new_no = self.staged_as_new(&key, stub.as_ref().map(|stub| stub.object_no))?;
        if new_no.is_none() {
            // The listing does not show the new address either.
            self.add_found(std::slice::from_ref(patch))?;
            new_no = self.staged_as_new(&key, stub.map(|stub| stub.object_no))?;
        }
        let Some(new_no) = new_no else { return Ok(Settled::No) };
        let Some(probe) = self.probe(&id.key(), Facet::Core)? else { return Ok(Settled::No) };
        let stored = self.stored_base(&probe, Facet::Core)?;
        let (body, container, anchors): (Vec<u8>, Option<String>, Option<String>) = self
            .file
            .prepare_cached("SELECT body, container, anchors FROM objects WHERE stage_no = ?1")
            .and_then(|mut query| query.query_row([new_no * 4], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))))
            .map_err(step())?;
        let listed = codec::read_attributes(&body)?;
        if patch.object.kind == ObjectKind::User && join::is_another(&stored.attributes, &listed) {
            return Ok(Settled::Another);
        }
        let mut attributes = stored.attributes.clone();
        for name in &patch.forgets {
            attributes.forget(name);
        }
        attributes.merge(&listed);
        let losses = diff::losses(patch.object.kind, &stored.attributes, &attributes);
        let mut lost: Vec<&str> = losses.cleared.iter().map(crate::model::AttributeName::as_str).collect();
        if losses.suspended {
            lost.push("state");
        }
        let mut merged = Vec::with_capacity(body.len());
        codec::push_attributes(&mut merged, &attributes);
        let transaction = self.file.unchecked_transaction().map_err(step())?;
        transaction
            .execute(
                "UPDATE renames SET new_no = ?2, body = ?3, container = ?4, anchors = ?5 WHERE old_no = ?1",
                params![old_no, new_no, body, container, anchors],
            )
            .map_err(step())?;
        transaction
            .execute(
                "UPDATE objects SET body = ?2, container = ?3, anchors = ?4, losses = ?5 WHERE stage_no = ?1",
                params![
                    new_no * 4,
                    merged,
                    container.or_else(|| stored.container.clone()),
                    anchors.or_else(|| stored.anchors.clone()),
                    (!lost.is_empty()).then(|| lost.join(","))
                ],
            )
            .map_err(step())?;
        transaction.execute("DELETE FROM candidates WHERE object_no = ?1", [old_no]).map_err(step())?;
        self.end_old_primary(new_no, &patch.object.id, stored.primary_group)?;
        transaction.commit().map_err(step())?;
        self.renames.add(old_no, new_no);
        Ok(Settled::Same)
    }

    /// Counts the memberships that are told anew, because an end of them has another id: those that end, and begin.
    pub(super) fn retold(&self) -> Result<(u64, u64)> {
        let step = || sql("read the plan");
        let (mut ended, mut begun) = (0, 0);
        for (old_no, new_no) in &self.renames.new {
            let packed: Option<Vec<u8>> = self
                .main
                .prepare_cached("SELECT groups FROM member_groups WHERE member_no = ?1")
                .and_then(|mut query| query.query_row([old_no], |row| row.get(0)).optional())
                .map_err(step())?;
            for group_via in packed.map(|packed| codec::unpack_sorted(&packed)).transpose()?.unwrap_or_default() {
                // Of a group that has another id itself all are told.
                if self.renames.is_old((group_via / 2).cast_signed()) {
                    continue;
                }
                ended += 1;
                let both: bool = self
                    .main
                    .prepare_cached("SELECT groups FROM member_groups WHERE member_no = ?1")
                    .and_then(|mut query| query.query_row([new_no], |row| row.get::<_, Vec<u8>>(0)).optional())
                    .map_err(step())?
                    .map(|packed| codec::unpack_sorted(&packed))
                    .transpose()?
                    .is_some_and(|groups| groups.binary_search(&group_via).is_ok());
                begun += u64::from(!both);
            }
            for via in [0, 1] {
                let members = self.count_members(new_no * 2 + via)?;
                (ended, begun) = (ended + members, begun + members);
            }
        }
        Ok((ended, begun))
    }

    /// Returns the number under which an object is staged as a new one.
    fn staged_as_new(&self, key: &crate::model::SourceKey, stub: Option<i64>) -> Result<Option<i64>> {
        let Some(number) = (match stub {
            Some(number) => Some(number),
            None => self.new_key(key)?,
        }) else {
            return Ok(None);
        };
        self.file
            .prepare_cached("SELECT stage_no / 4 FROM objects WHERE stage_no = ?1 AND disposition = 0")
            .and_then(|mut query| query.query_row([number * 4], |row| row.get(0)).optional())
            .map_err(sql("settle who has another id"))
    }

    /// Ends the membership of the group that an object named as its primary one under its old id.
    fn end_old_primary(&self, new_no: i64, id: &SourceId, was: Option<i64>) -> Result<()> {
        let Some(was) = was else { return Ok(()) };
        let named: Option<Vec<u8>> = self
            .file
            .prepare_cached("SELECT primary_group FROM objects WHERE stage_no = ?1")
            .and_then(|mut query| query.query_row([new_no * 4], |row| row.get(0)))
            .map_err(sql("settle who has another id"))?;
        let Some(named) = named else { return Ok(()) };
        let now = match SourceId::from_stored(&named) {
            Some(id) => self.probe(&id.key(), Facet::Core)?.map(|probe| probe.object_no),
            None => None,
        };
        if now == Some(was) { Ok(()) } else { self.end_edge(was * 2 + 1, new_no, id) }
    }

    /// Lists the records of objects whose address leads to somebody with other names: these, and those that are listed under
    /// the address that they were known by.
    fn with_another_person(&self, mut objects: Vec<i64>) -> Result<Vec<RecordId>> {
        let step = || sql("compare names");
        {
            let mut query = self
                .file
                .prepare(
                    "SELECT stage_no / 4, body FROM objects
                     WHERE kind = 0 AND stage_no % 4 = 0 AND disposition <> 0 AND substr(source_id, 1, 1) = x'61'",
                )
                .map_err(step())?;
            let mut rows = query.query([]).map_err(step())?;
            while let Some(row) = rows.next().map_err(step())? {
                let object_no: i64 = row.get(0).map_err(step())?;
                let stored: Option<Vec<u8>> = self
                    .main
                    .prepare_cached("SELECT body FROM objects WHERE object_no = ?1")
                    .and_then(|mut query| query.query_row([object_no], |row| row.get(0)).optional())
                    .map_err(step())?;
                let Some(stored) = stored.filter(|stored| !stored.is_empty()) else { continue };
                let listed = row.get_ref(1).map_err(step())?.as_blob().map_err(|_| damaged("a staged object"))?;
                if join::is_another(&codec::read_attributes(&stored)?, &codec::read_attributes(listed)?) {
                    objects.push(object_no);
                }
            }
        }
        objects.sort_unstable();
        objects
            .into_iter()
            .map(|object_no| {
                self.main
                    .prepare_cached("SELECT id FROM records JOIN objects USING (record_no) WHERE object_no = ?1")
                    .and_then(|mut query| query.query_row([object_no], |row| row.get(0)))
                    .map(|id| RecordId(uuid::Uuid::from_bytes(id)))
                    .map_err(step())
            })
            .collect()
    }
}
