//! Objects: compared by fingerprint with what is stored, staged only where they differ.

use std::borrow::Cow;

use rusqlite::{OptionalExtension, params};

use super::Stage;
use super::unchanged::Unchanged;
use crate::error::Result;
use crate::model::{
    Attributes, Facet, ObjectKey, ObjectKind, Patch, Quarantined, Scope, SourceId, SourceKey, Tombstone, TombstoneKind,
    Via,
};
use crate::rules::diff;
use crate::store::codec;
use crate::store::sqlite::key_index::Found;
use crate::store::sqlite::plan::Verdict;
use crate::store::sqlite::{Class, Standing, State, damaged, kind_number, sql};

/// What is to be done with a staged object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Disposition {
    /// It was never imported.
    New,
    /// It is known and differs.
    Changed,
    /// It was removed and is back.
    Restored,
    /// It was missing and is seen again.
    Reappeared,
    /// Only what raises no event differs: place, anchors, observations, the way it was read.
    Quiet,
}

impl Disposition {
    pub(in super::super) fn to_number(self) -> i64 {
        match self {
            Self::New => 0,
            Self::Changed => 1,
            Self::Restored => 2,
            Self::Reappeared => 3,
            Self::Quiet => 4,
        }
    }

    pub(in super::super) fn from_number(number: i64) -> Result<Self> {
        Ok(match number {
            0 => Self::New,
            1 => Self::Changed,
            2 => Self::Restored,
            3 => Self::Reappeared,
            4 => Self::Quiet,
            _ => return Err(damaged("a disposition")),
        })
    }
}

/// What is stored of an object, as far as comparing needs it.
pub(in super::super) struct Probe {
    pub(in super::super) object_no: i64,
    pub(in super::super) standing: Standing,
    pub(in super::super) container_no: Option<i64>,
    fingerprint: Vec<u8>,
    observed: i64,
}

/// The stored image that a patch is merged over.
#[derive(Default)]
pub(in super::super) struct Base {
    pub(in super::super) attributes: Attributes,
    body: Vec<u8>,
    pub(in super::super) container: Option<String>,
    pub(in super::super) anchors: Option<String>,
    pub(in super::super) primary_group: Option<i64>,
}

impl Stage {
    /// Finds an object by key and facet.
    pub(in super::super) fn probe(&self, key: &SourceKey, facet: Facet) -> Result<Option<Probe>> {
        self.main
            .prepare_cached(
                "SELECT object_no, standing, fingerprint, observed, container_no FROM probes
                 WHERE endpoint_no = ?1 AND source_key = ?2 AND facet = ?3",
            )
            .and_then(|mut query| {
                query
                    .query_row(params![self.endpoint_no, key.0, facet.number()], |row| {
                        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
                    })
                    .optional()
            })
            .map_err(sql("compare an object"))?
            .map(|(object_no, standing, fingerprint, observed, container_no)| {
                let standing = Standing::from_number(standing)?;
                Ok(Probe { object_no, standing, container_no, fingerprint, observed })
            })
            .transpose()
    }

    /// Finds the number of an object that is new in this listing.
    pub(in super::super) fn new_key(&self, key: &SourceKey) -> Result<Option<i64>> {
        Ok(self.new.get(key)?.map(|found| found.object_no))
    }

    /// Tells of what kind an object is that is new in this listing.
    pub(in super::super) fn new_kind(&self, key: &SourceKey) -> Result<Option<ObjectKind>> {
        Ok(self.new.get(key)?.and_then(|found| found.standing.kind()))
    }

    /// Tells whether anything is staged of objects of a kind. Goes through all that is staged.
    pub(in super::super) fn brings(&self, kind: ObjectKind) -> Result<bool> {
        self.file
            .query_row("SELECT EXISTS (SELECT 1 FROM objects WHERE kind = ?1)", [kind_number(kind)], |row| row.get(0))
            .map_err(sql("read the stage"))
    }

    /// Compares one object with what is stored, and stages it if it differs.
    pub(super) fn add_patch(&mut self, patch: &Patch) -> Result<()> {
        if patch.facet != Facet::Core {
            return self.add_facet(patch);
        }
        self.figures.objects += 1;
        if let Some(reason) = diff::misfit(patch.object.kind, &patch.attributes) {
            return self.quarantine(&Quarantined {
                kind: patch.object.kind,
                id: Some(patch.object.id.clone()),
                reason,
            });
        }
        let key = patch.object.id.key();
        let fingerprint = self.fingerprint(patch);
        let observed = self.observed(patch);
        let kind = patch.object.kind;
        if let Some(object_no) = self.unchanged.as_ref().and_then(|index| index.find(&key, &fingerprint, observed)) {
            self.seen.push(object_no.cast_unsigned());
            return self.unstage(object_no, Facet::Core);
        }

        let first = self.unchanged.as_ref().is_some_and(Unchanged::knows_nobody);
        let stored = if first { None } else { self.probe(&key, Facet::Core)? };
        if let Some(probe) = &stored {
            match probe.standing.class {
                Class::Object(known) if known != kind => {
                    let reason = format!("its source id is known as a {known}'s; ids must differ between kinds");
                    return self.quarantine(&Quarantined { kind, id: Some(patch.object.id.clone()), reason });
                }
                _ => {}
            }
            self.saw(probe);
            let quiet = probe.observed == observed || patch.observations.is_empty();
            if probe.standing.state == State::Live
                && matches!(probe.standing.class, Class::Object(_))
                && probe.fingerprint == fingerprint
                && quiet
            {
                return self.unstage(probe.object_no, Facet::Core);
            }
            return self.stage_known(patch, probe, &fingerprint, observed);
        }
        let (object_no, listed) = match self.new_key(&key)? {
            Some(object_no) => (object_no, self.staged_base(object_no, Facet::Core)?),
            None => {
                let object_no = self.new_number()?;
                self.new.insert(&key, Found { object_no, standing: Standing::live(kind), joined: false });
                (object_no, None)
            }
        };
        self.write_staged(object_no, Disposition::New, patch, &Base::default(), listed.as_ref(), &fingerprint, observed)
    }

    /// Stages what was read of an object apart from its core. It makes no object, wakes none, and is no sign that one is
    /// there: reports lag behind, and go on to name those who are gone.
    fn add_facet(&mut self, patch: &Patch) -> Result<()> {
        let key = patch.object.id.key();
        let Some(object_no) = self.owner_of_facet(patch)? else { return self.keep_early_facet(patch) };
        if let Some(reason) = diff::misfit(patch.object.kind, &patch.attributes) {
            let (kind, id) = (patch.object.kind, Some(patch.object.id.clone()));
            return self.quarantine(&Quarantined { kind, id, reason });
        }
        let fingerprint = self.fingerprint(patch);
        let observed = self.observed(patch);
        let listed = self.staged_base(object_no, patch.facet)?;
        let Some(probe) = self.probe(&key, patch.facet)?.filter(|probe| probe.object_no == object_no) else {
            // What changes by itself makes no event.
            let quiet =
                patch.attributes.is_empty() && listed.as_ref().is_none_or(|listed| listed.attributes.is_empty());
            let disposition = if quiet { Disposition::Quiet } else { Disposition::New };
            let none = Base::default();
            return self.write_staged(object_no, disposition, patch, &none, listed.as_ref(), &fingerprint, observed);
        };
        if probe.fingerprint == fingerprint && (probe.observed == observed || patch.observations.is_empty()) {
            return self.unstage(object_no, patch.facet);
        }
        let stored = self.stored_base(&probe, patch.facet)?;
        self.write_staged(object_no, Disposition::Changed, patch, &stored, listed.as_ref(), &fingerprint, observed)
    }

    /// Finds the object that a facet belongs to: one that is there, or that this listing brought.
    fn owner_of_facet(&self, patch: &Patch) -> Result<Option<i64>> {
        let key = patch.object.id.key();
        let Some(core) = self.probe(&key, Facet::Core)? else {
            let Some(object_no) = self.new_key(&key)? else { return Ok(None) };
            // An earlier page brought it, a later one may have taken it back.
            return Ok(self.is_staged(object_no)?.then_some(object_no));
        };
        let fits = match core.standing.class {
            Class::Object(kind) => kind == patch.object.kind,
            Class::Stub(_) => true,
        };
        let is_there = matches!(core.standing.class, Class::Object(_)) && core.standing.state == State::Live;
        Ok((fits && (is_there && !self.is_told_gone(core.object_no)? || self.is_staged(core.object_no)?))
            .then_some(core.object_no))
    }

    /// Keeps a facet until the listing has ended: its object may come on a later page.
    fn keep_early_facet(&mut self, patch: &Patch) -> Result<()> {
        let text = serde_json::to_string(patch).map_err(|_| damaged("a facet"))?;
        self.any_early = true;
        self.file
            .prepare_cached("INSERT INTO early_facets (patch) VALUES (?1)")
            .and_then(|mut insert| insert.execute([text]))
            .map(drop)
            .map_err(sql("stage a facet"))
    }

    /// Stages the facets that came before their objects; those of nobody who was listed are dropped.
    pub(super) fn settle_early_facets(&mut self) -> Result<()> {
        let step = || sql("stage facets");
        if !self.any_early {
            return Ok(());
        }
        self.main.execute_batch("BEGIN").map_err(step())?;
        loop {
            let next: Option<(i64, String)> = self
                .file
                .prepare_cached("SELECT number, patch FROM early_facets ORDER BY number LIMIT 1")
                .and_then(|mut query| query.query_row([], |row| Ok((row.get(0)?, row.get(1)?))).optional())
                .map_err(step())?;
            let Some((number, text)) = next else { break };
            self.file
                .prepare_cached("DELETE FROM early_facets WHERE number = ?1")
                .and_then(|mut delete| delete.execute([number]))
                .map_err(step())?;
            let patch: Patch = serde_json::from_str(&text).map_err(|_| damaged("a facet"))?;
            if self.owner_of_facet(&patch)?.is_some() {
                self.add_facet(&patch)?;
            }
        }
        self.any_early = false;
        self.main.execute_batch("COMMIT").map_err(step())
    }

    /// Drops the facets that were staged of an object: the directory says that it is gone.
    fn unstage_facets(&self, object_no: i64) -> Result<()> {
        if !self.any_staged {
            return Ok(());
        }
        self.file
            .prepare_cached("DELETE FROM objects WHERE stage_no BETWEEN ?1 AND ?2")
            .and_then(|mut delete| delete.execute([object_no * 4 + 1, object_no * 4 + 3]))
            .map(drop)
            .map_err(sql("stage a tombstone"))
    }

    fn stage_known(&mut self, patch: &Patch, probe: &Probe, fingerprint: &[u8; 16], observed: i64) -> Result<()> {
        let listed = self.staged_base(probe.object_no, patch.facet)?;
        let stored = self.stored_base(probe, patch.facet)?;
        let disposition = match (probe.standing.class, probe.standing.state) {
            (Class::Stub(_), _) => Disposition::New,
            (_, State::Soft | State::Gone) => Disposition::Restored,
            (_, State::Missing) => Disposition::Reappeared,
            (_, State::Live) => Disposition::Changed,
        };
        self.write_staged(probe.object_no, disposition, patch, &stored, listed.as_ref(), fingerprint, observed)
    }

    /// Merges a patch over what the listing brought before, else over what is stored, and writes the row.
    #[allow(clippy::too_many_arguments)] // one row, one call
    fn write_staged(
        &mut self,
        object_no: i64,
        disposition: Disposition,
        patch: &Patch,
        stored: &Base,
        listed: Option<&Base>,
        fingerprint: &[u8; 16],
        observed: i64,
    ) -> Result<()> {
        let kind = patch.object.kind;
        let base = listed.unwrap_or(stored);
        let attributes = if base.attributes.is_empty() {
            // Nothing to merge over: most of a first listing.
            Cow::Borrowed(&patch.attributes)
        } else {
            let mut attributes = base.attributes.clone();
            for name in &patch.forgets {
                attributes.forget(name);
            }
            attributes.merge(&patch.attributes);
            Cow::Owned(attributes)
        };
        let mut body = Vec::with_capacity(self.buffer.len());
        codec::push_attributes(&mut body, &attributes);
        let container = patch.container.as_deref().or(base.container.as_deref());
        let anchors =
            if patch.anchors.is_empty() { base.anchors.clone() } else { serde_json::to_string(&patch.anchors).ok() };
        let disposition = match disposition {
            Disposition::Changed if body == stored.body => Disposition::Quiet,
            other => other,
        };
        // Losses are counted against what is stored, also when a listing brings the object twice.
        let losses = diff::losses(kind, &stored.attributes, &attributes);
        let mut lost: Vec<&str> = losses.cleared.iter().map(crate::model::AttributeName::as_str).collect();
        if losses.suspended {
            lost.push("state");
        }
        let observations = (!patch.observations.is_empty()).then(|| {
            let mut bytes = Vec::new();
            codec::push_attributes(&mut bytes, &patch.observations);
            bytes
        });
        let primary =
            patch.primary_group.as_ref().map(|group| group.as_ref().map(SourceId::to_stored).unwrap_or_default());
        self.any_staged = true;
        if listed.is_some() {
            self.forget_primary(object_no)?;
        }
        self.file
            .prepare_cached(
                "INSERT OR REPLACE INTO objects VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, NULL)",
            )
            .and_then(|mut insert| {
                insert.execute(params![
                    object_no * 4 + i64::from(patch.facet.number()),
                    disposition.to_number(),
                    kind_number(kind),
                    patch.object.id.to_stored(),
                    container,
                    anchors,
                    primary,
                    body,
                    fingerprint.as_slice(),
                    observations,
                    observed,
                    (!lost.is_empty()).then(|| lost.join(",")),
                ])
            })
            .map_err(sql("stage an object"))?;
        if let Some(group) = &patch.primary_group {
            self.stage_primary(object_no, patch, group.as_ref(), stored.primary_group)?;
        }
        Ok(())
    }

    /// Stages the change of the group that an object names as its primary one.
    fn stage_primary(
        &mut self,
        object_no: i64,
        patch: &Patch,
        group: Option<&SourceId>,
        was: Option<i64>,
    ) -> Result<()> {
        let now = match group {
            Some(group) => match self.probe(&group.key(), Facet::Core)? {
                Some(probe) => Some(probe.object_no),
                None => self.new_key(&group.key())?,
            },
            None => None,
        };
        if was.is_some() && was == now {
            return Ok(());
        }
        if let Some(was) = was {
            self.end_edge(was * 2 + 1, object_no, &patch.object.id)?;
        }
        if let Some(group) = group {
            let kind = match patch.object.kind {
                crate::model::ObjectKind::User => crate::model::MemberKind::User,
                crate::model::ObjectKind::Group => crate::model::MemberKind::Group,
                crate::model::ObjectKind::Computer => crate::model::MemberKind::Computer,
            };
            self.add_member(group.key(), Via::Primary, &crate::model::Member { id: patch.object.id.clone(), kind })?;
        }
        Ok(())
    }

    /// Reads what this listing already staged of an object.
    fn staged_base(&self, object_no: i64, facet: Facet) -> Result<Option<Base>> {
        if !self.any_staged {
            return Ok(None);
        }
        self.file
            .prepare_cached("SELECT body, container, anchors FROM objects WHERE stage_no = ?1")
            .and_then(|mut query| {
                query
                    .query_row([object_no * 4 + i64::from(facet.number())], |row| {
                        Ok((row.get::<_, Vec<u8>>(0)?, row.get(1)?, row.get(2)?))
                    })
                    .optional()
            })
            .map_err(sql("compare an object"))?
            .map(|(body, container, anchors)| {
                let attributes = codec::read_attributes(&body)?;
                Ok(Base { attributes, body, container, anchors, primary_group: None })
            })
            .transpose()
    }

    /// Reads what the state file keeps of an object.
    pub(in super::super) fn stored_base(&self, probe: &Probe, facet: Facet) -> Result<Base> {
        let step = || sql("compare an object");
        let object_no = probe.object_no;
        if facet != Facet::Core {
            let body: Option<Vec<u8>> = self
                .main
                .prepare_cached("SELECT body FROM facets WHERE object_no = ?1 AND facet = ?2")
                .and_then(|mut query| query.query_row(params![object_no, facet.number()], |row| row.get(0)).optional())
                .map_err(step())?;
            return body.map_or_else(
                || Ok(Base::default()),
                |body| Ok(Base { attributes: codec::read_attributes(&body)?, body, ..Base::default() }),
            );
        }
        let stored = self
            .main
            .prepare_cached(
                "SELECT body, (SELECT path FROM containers WHERE container_no = ?2), anchors, primary_group
                 FROM objects WHERE object_no = ?1",
            )
            .and_then(|mut query| {
                query
                    .query_row(params![object_no, probe.container_no], |row| {
                        Ok((row.get::<_, Vec<u8>>(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
                    })
                    .optional()
            })
            .map_err(step())?;
        let Some((body, container, anchors, primary_group)) = stored else { return Ok(Base::default()) };
        let attributes = if body.is_empty() { Attributes::new() } else { codec::read_attributes(&body)? };
        Ok(Base { attributes, body, container, anchors, primary_group })
    }

    /// Takes note that a known object was listed.
    fn saw(&mut self, probe: &Probe) {
        if probe.standing.is_present() {
            self.seen.push(u64::try_from(probe.object_no).unwrap_or_default());
        }
    }

    /// Forgets an earlier page's version: a later page brought the object back to what is stored.
    fn unstage(&mut self, object_no: i64, facet: Facet) -> Result<()> {
        if !self.any_staged {
            return Ok(());
        }
        let unstaged = self
            .file
            .prepare_cached("DELETE FROM objects WHERE stage_no = ?1")
            .and_then(|mut delete| delete.execute([object_no * 4 + i64::from(facet.number())]))
            .map_err(sql("stage an object"))?;
        if unstaged > 0 { self.forget_primary(object_no) } else { Ok(()) }
    }

    /// Takes back what an earlier page said of an object's primary group.
    fn forget_primary(&mut self, object_no: i64) -> Result<()> {
        if !self.restaged {
            self.put("restaged", &1)?;
            self.restaged = true;
        }
        self.flush_ends()?;
        self.file
            .prepare_cached("DELETE FROM edge_ends WHERE member_no = ?1 AND group_via % 2 = 1")
            .and_then(|mut delete| delete.execute([object_no]))
            .map(drop)
            .map_err(sql("stage an object"))
    }

    /// Takes an object of an earlier page as never listed.
    pub(super) fn withdraw(&mut self, object: &ObjectKey) -> Result<()> {
        let key = object.id.key();
        let step = || sql("stage a page");
        if let Some(probe) = self.probe(&key, Facet::Core)? {
            self.file
                .prepare_cached("INSERT OR IGNORE INTO withdrawn VALUES (?1)")
                .and_then(|mut insert| insert.execute([probe.object_no]))
                .map_err(step())?;
            self.unstage(probe.object_no, Facet::Core)?;
        } else if let Some(object_no) = self.new_key(&key)? {
            self.unstage(object_no, Facet::Core)?;
        }
        self.drop_group(key)
    }

    /// Sets a record aside. It counts as listed, so that it is not taken for gone.
    pub(super) fn quarantine(&mut self, entry: &Quarantined) -> Result<()> {
        self.figures.quarantined += 1;
        let stored = match &entry.id {
            Some(id) => {
                if let Some(probe) = self.probe(&id.key(), Facet::Core)? {
                    self.saw(&probe);
                }
                id.to_stored()
            }
            None => {
                // It could be any object: its kind's listing proves no absence.
                self.closes.spoil(Scope::of(entry.kind));
                codec::fingerprint(entry.reason.as_bytes()).to_vec()
            }
        };
        self.file
            .prepare_cached("INSERT OR REPLACE INTO quarantine VALUES (?1, ?2, ?3)")
            .and_then(|mut insert| insert.execute(params![kind_number(entry.kind), stored, entry.reason]))
            .map(drop)
            .map_err(sql("stage a page"))
    }

    /// Stages the directory's own statement that an object is gone.
    pub(super) fn add_tombstone(&mut self, tombstone: &Tombstone) -> Result<()> {
        let verdict = match tombstone.kind {
            TombstoneKind::Soft => Verdict::SoftTombstone,
            TombstoneKind::Hard => Verdict::HardTombstone,
        };
        self.add_statement(&tombstone.object, verdict)
    }

    /// Stages the directory's own statement that an object is gone, or out of scope.
    pub(super) fn add_statement(&mut self, object: &ObjectKey, verdict: Verdict) -> Result<()> {
        let key = object.id.key();
        self.mark_stated();
        let Some(probe) = self.probe(&key, Facet::Core)? else {
            if let Some(object_no) = self.new_key(&key)? {
                self.unstage(object_no, Facet::Core)?;
                self.unstage_facets(object_no)?;
            }
            return Ok(());
        };
        self.unstage(probe.object_no, Facet::Core)?;
        self.unstage_facets(probe.object_no)?;
        let kind = match probe.standing.class {
            Class::Object(kind) if probe.standing.is_present() => kind,
            // It may still be a member.
            _ if verdict != Verdict::ToldOutOfScope => return self.note_gone(probe.object_no),
            _ => return Ok(()),
        };
        // An address that is said to be gone may be somebody's who has another one by now: it is looked up.
        let verdict = if object.id.is_weak() { Verdict::Open } else { verdict };
        self.file
            .prepare_cached("INSERT OR REPLACE INTO candidates VALUES (?1, ?2, NULL, ?3, ?4, ?5, 0)")
            .and_then(|mut insert| {
                insert.execute(params![
                    probe.object_no,
                    kind_number(kind),
                    object.id.to_stored(),
                    probe.standing.to_number(),
                    verdict.to_number()
                ])
            })
            .map(drop)
            .map_err(sql("stage a tombstone"))
    }

    /// Returns the fingerprint of everything that makes a difference worth storing.
    fn fingerprint(&mut self, patch: &Patch) -> [u8; 16] {
        let buffer = &mut self.buffer;
        buffer.clear();
        buffer.push(patch.object.kind.as_str().as_bytes()[0]);
        codec::push_bytes(buffer, patch.container.as_deref().unwrap_or_default().as_bytes());
        for anchor in &patch.anchors {
            codec::push_bytes(buffer, anchor.name.as_bytes());
            codec::push_bytes(buffer, anchor.value.as_bytes());
        }
        match &patch.primary_group {
            None => buffer.push(0),
            Some(None) => buffer.push(1),
            Some(Some(group)) => {
                buffer.push(2);
                codec::push_source_id(buffer, group);
            }
        }
        codec::push_attributes(buffer, &patch.attributes);
        for name in &patch.forgets {
            codec::push_bytes(buffer, name.as_str().as_bytes());
        }
        codec::fingerprint(buffer)
    }

    /// Returns the hash of the observations.
    fn observed(&mut self, patch: &Patch) -> i64 {
        if patch.observations.is_empty() {
            return 0;
        }
        self.buffer.clear();
        codec::push_attributes(&mut self.buffer, &patch.observations);
        let mut half = [0; 8];
        half.copy_from_slice(&codec::fingerprint(&self.buffer)[..8]);
        i64::from_le_bytes(half)
    }
}
