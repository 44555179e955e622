//! Objects that may have to go, and what a direct look-up says of them.

use rusqlite::{OptionalExtension, params};

use crate::coverage::Complete;
use crate::endpoint::{Evidence, ObjectRef, Presence};
use crate::error::Result;
use crate::model::{ObjectKey, ObjectKind, Scope, SourceId, Timestamp, TombstoneKind};
use crate::store::Candidate;
use crate::store::codec;
use crate::store::sqlite::stage::Stage;
use crate::store::sqlite::{Standing, State, damaged, sql};

/// What is known of a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Verdict {
    /// Not looked up yet.
    Open,
    /// The directory keeps a restorable one.
    SoftTombstone,
    /// The directory says that it is gone.
    HardTombstone,
    /// Looked up beside readable siblings, and not found.
    LookedUp,
    /// Exists, outside of base or filter.
    OutOfScope,
    /// Cannot be told.
    Missing,
    /// Found: the listing was short.
    Present,
    /// Missing for the set age: goes if somebody approves.
    Aged,
    /// Out of scope by the directory's own change, told by itself.
    ToldOutOfScope,
    /// There, under another address.
    Renamed,
}

impl Verdict {
    const ALL: [Self; 10] = [
        Self::Open,
        Self::SoftTombstone,
        Self::HardTombstone,
        Self::LookedUp,
        Self::OutOfScope,
        Self::Missing,
        Self::Present,
        Self::Aged,
        Self::ToldOutOfScope,
        Self::Renamed,
    ];

    pub(in super::super) fn to_number(self) -> i64 {
        Self::ALL.iter().position(|v| *v == self).and_then(|at| i64::try_from(at).ok()).unwrap_or_default()
    }

    pub(in super::super) fn from_number(number: i64) -> Result<Self> {
        usize::try_from(number).ok().and_then(|at| Self::ALL.get(at)).copied().ok_or_else(|| damaged("a verdict"))
    }

    /// Whether it is proof enough to remove.
    pub(in super::super) fn is_proof(self) -> bool {
        self.is_out_of_scope()
            || matches!(self, Self::SoftTombstone | Self::HardTombstone | Self::LookedUp | Self::Aged)
    }

    /// Whether the object can come back with its memberships.
    pub(in super::super) fn is_restorable(self) -> bool {
        self == Self::SoftTombstone || self.is_out_of_scope()
    }

    /// Whether it exists, outside of base or filter: a group may list it still.
    pub(in super::super) fn is_out_of_scope(self) -> bool {
        matches!(self, Self::OutOfScope | Self::ToldOutOfScope)
    }

    /// What the answer of a look-up is worth. `canary` tells whether a sibling that must be there was found. Of a weak id
    /// nothing is proof: that an address leads nowhere, or to somebody else, says little of whoever had it.
    pub(super) fn of(presence: &Presence, canary: bool, weak: bool) -> Self {
        match presence {
            Presence::Present(_) => Self::Present,
            Presence::Renamed(_) if weak => Self::Renamed,
            _ if weak => Self::Missing,
            Presence::Renamed(_) => Self::Missing,
            Presence::OutOfScope => Self::OutOfScope,
            Presence::Gone(Evidence::Tombstone(TombstoneKind::Soft)) => Self::SoftTombstone,
            Presence::Gone(Evidence::Tombstone(TombstoneKind::Hard)) => Self::HardTombstone,
            Presence::Gone(Evidence::NotFound) if canary => Self::LookedUp,
            Presence::Gone(Evidence::NotFound) | Presence::Unknown(_) => Self::Missing,
        }
    }
}

/// Numbers that were listed, one bit each.
pub(super) struct Seen(Vec<u64>);

impl Seen {
    pub(super) fn contains(&self, object_no: i64) -> bool {
        usize::try_from(object_no).is_ok_and(|no| self.0.get(no / 64).is_some_and(|word| word >> (no % 64) & 1 == 1))
    }

    fn len(&self) -> u64 {
        self.0.iter().map(|word| u64::from(word.count_ones())).sum()
    }
}

impl Stage {
    /// Returns what was read by this run.
    pub(super) fn seen(&self) -> Result<Seen> {
        self.bits("SELECT numbers FROM seen")
    }

    /// Returns what this run found to be there, read or named by its id alone.
    pub(super) fn listed(&self) -> Result<Seen> {
        self.bits("SELECT numbers FROM seen UNION ALL SELECT numbers FROM listed")
    }

    fn bits(&self, numbers: &str) -> Result<Seen> {
        let step = || sql("read the stage");
        let mut words: Vec<u64> = Vec::new();
        let mut query = self.file.prepare(numbers).map_err(step())?;
        let mut rows = query.query([]).map_err(step())?;
        while let Some(row) = rows.next().map_err(step())? {
            let packed = row.get_ref(0).map_err(step())?.as_blob().map_err(|_| damaged("seen numbers"))?;
            for number in codec::unpack_sorted(packed)? {
                let number = usize::try_from(number).map_err(|_| damaged("seen numbers"))?;
                if number / 64 >= words.len() {
                    words.resize(number / 64 + 1, 0);
                }
                words[number / 64] |= 1 << (number % 64);
            }
        }
        let mut query = self.file.prepare("SELECT object_no FROM withdrawn").map_err(step())?;
        let mut rows = query.query([]).map_err(step())?;
        while let Some(row) = rows.next().map_err(step())? {
            let number: i64 = row.get(0).map_err(step())?;
            if let Some(word) = usize::try_from(number).ok().and_then(|no| words.get_mut(no / 64)) {
                *word &= !(1 << (number % 64));
            }
        }
        Ok(Seen(words))
    }

    /// Returns how many objects of each kind, and memberships, are stored.
    pub(in super::super) fn known(&self) -> Result<[u64; 4]> {
        let step = || sql("read the counts");
        let mut known = [0; 4];
        let mut query =
            self.main.prepare_cached("SELECT what, count FROM counts WHERE endpoint_no = ?1").map_err(step())?;
        let mut rows = query.query([self.endpoint_no]).map_err(step())?;
        while let Some(row) = rows.next().map_err(step())? {
            let what: usize = row.get(0).map_err(step())?;
            *known.get_mut(what).ok_or_else(|| damaged("counts"))? = row.get(1).map_err(step())?;
        }
        Ok(known)
    }

    /// Finds what is stored and was not listed, in the scopes that are proven to be listed to their end.
    pub(in super::super) fn find_candidates(&mut self, proofs: &[Complete]) -> Result<()> {
        let step = || sql("find what is no longer listed");
        let kinds: Vec<ObjectKind> = proofs
            .iter()
            .filter_map(|proof| ObjectKind::ALL.iter().copied().find(|kind| Scope::of(*kind) == *proof.scope()))
            .collect();
        let seen = self.listed()?;
        let known: u64 = self.known()?.iter().take(3).sum();
        if kinds.is_empty() || seen.len() == known {
            return Ok(());
        }
        let transaction = self.file.unchecked_transaction().map_err(step())?;
        {
            let mut query = self
                .main
                .prepare_cached(
                    "SELECT object_no, standing, container_no FROM probes WHERE endpoint_no = ?1 AND facet = 0",
                )
                .map_err(step())?;
            let mut rows = query.query([self.endpoint_no]).map_err(step())?;
            while let Some(row) = rows.next().map_err(step())? {
                let object_no: i64 = row.get(0).map_err(step())?;
                let standing = Standing::from_number(row.get(1).map_err(step())?)?;
                let Some(kind) = standing.kind().filter(|kind| standing.is_present() && kinds.contains(kind)) else {
                    continue;
                };
                if seen.contains(object_no) {
                    continue;
                }
                let source_id: Vec<u8> = self
                    .main
                    .prepare_cached("SELECT source_id FROM objects WHERE object_no = ?1")
                    .and_then(|mut query| query.query_row([object_no], |row| row.get(0)))
                    .map_err(step())?;
                transaction
                    .prepare_cached("INSERT OR IGNORE INTO candidates VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0)")
                    .and_then(|mut insert| {
                        insert.execute(params![
                            object_no,
                            super::super::kind_number(kind),
                            row.get::<_, Option<i64>>(2)?,
                            source_id,
                            standing.to_number(),
                            Verdict::Open.to_number(),
                        ])
                    })
                    .map_err(step())?;
            }
        }
        transaction.commit().map_err(step())
    }

    /// Counts the candidates of a kind that came from a listing, but for those with weak ids: a directory may hide whom it
    /// knows, and an address of somebody hidden is found all the same.
    pub(in super::super) fn count_candidates(&self, kind: ObjectKind) -> Result<u64> {
        self.file
            .query_row(
                "SELECT count(*) FROM candidates
                 WHERE kind = ?1 AND verdict NOT IN (1, 2, 8) AND substr(source_id, 1, 1) <> x'61'",
                [super::super::kind_number(kind)],
                |row| row.get(0),
            )
            .map_err(sql("read the candidates"))
    }

    /// Lists the next candidates of a kind that were not looked up, with siblings that were listed.
    pub(in super::super) fn open_candidates(&self, kind: ObjectKind, limit: usize) -> Result<Vec<Candidate>> {
        let step = || sql("read the candidates");
        let mut query = self
            .file
            .prepare_cached(
                "SELECT object_no, container, source_id FROM candidates WHERE kind = ?1 AND verdict = 0
                 ORDER BY container, object_no LIMIT ?2",
            )
            .map_err(step())?;
        let rows = query
            .query_map(params![super::super::kind_number(kind), limit], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, Option<i64>>(1)?, row.get::<_, Vec<u8>>(2)?))
            })
            .map_err(step())?
            .collect::<Result<Vec<_>, _>>()
            .map_err(step())?;
        rows.into_iter()
            .map(|(object_no, container_no, source_id)| {
                Ok(Candidate { object_no, container_no, object: self.object_ref(kind, container_no, &source_id)? })
            })
            .collect()
    }

    pub(in super::super) fn object_ref(
        &self,
        kind: ObjectKind,
        container_no: Option<i64>,
        source_id: &[u8],
    ) -> Result<ObjectRef> {
        let id = SourceId::from_stored(source_id).ok_or_else(|| damaged("a source id"))?;
        let container = container_no
            .map(|no| {
                self.main
                    .prepare_cached("SELECT path FROM containers WHERE container_no = ?1")
                    .and_then(|mut query| query.query_row([no], |row| row.get::<_, String>(0)))
                    .map_err(sql("read a container"))
            })
            .transpose()?;
        Ok(ObjectRef { key: ObjectKey { kind, id }, container: container.map(Into::into) })
    }

    /// Finds objects that this run listed in the same places: if they cannot be found either, absence means nothing.
    pub(in super::super) fn siblings(
        &self,
        kind: ObjectKind,
        containers: &[Option<i64>],
        each: usize,
    ) -> Result<Vec<(Option<i64>, ObjectRef)>> {
        let step = || sql("find siblings");
        // A delta lists next to nobody: then whoever is found by the look-up itself will do.
        let listed = self.closes.closed().any(|scope| *scope == Scope::of(kind));
        let seen = self.listed()?;
        let mut wanted: std::collections::BTreeMap<Option<i64>, usize> =
            containers.iter().map(|container| (*container, each)).collect();
        let mut found = Vec::new();
        let mut query = self
            .main
            .prepare_cached(
                "SELECT p.object_no, p.standing, p.container_no FROM probes p WHERE endpoint_no = ?1 AND facet = 0",
            )
            .map_err(step())?;
        let mut rows = query.query([self.endpoint_no]).map_err(step())?;
        while let Some(row) = rows.next().map_err(step())? {
            let container_no: Option<i64> = row.get(2).map_err(step())?;
            let Some(missing) = wanted.get_mut(&container_no).filter(|missing| **missing > 0) else { continue };
            let object_no: i64 = row.get(0).map_err(step())?;
            let standing = Standing::from_number(row.get(1).map_err(step())?)?;
            if standing.kind() != Some(kind) || standing.state != State::Live || listed && !seen.contains(object_no) {
                continue;
            }
            // Who has left the place meanwhile, or is gone, vouches for nobody there.
            if self.has_moved(object_no, container_no)? || self.is_candidate(object_no)? {
                continue;
            }
            let source_id: Vec<u8> = self
                .main
                .prepare_cached("SELECT source_id FROM objects WHERE object_no = ?1")
                .and_then(|mut query| query.query_row([object_no], |row| row.get(0)))
                .map_err(step())?;
            // Listed, but where it lies now is as little known as the rest of it.
            let garbled: bool = self
                .file
                .prepare_cached("SELECT exists (SELECT 1 FROM quarantine WHERE source_id = ?1)")
                .and_then(|mut query| query.query_row([&source_id], |row| row.get(0)))
                .map_err(step())?;
            // The same for what an earlier run set aside, if this one read no more of it than the id.
            if garbled || self.is_delta() && self.was_set_aside(&source_id)? {
                continue;
            }
            found.push((container_no, self.object_ref(kind, container_no, &source_id)?));
            *missing -= 1;
            if wanted.values().all(|missing| *missing == 0) {
                break;
            }
        }
        Ok(found)
    }

    /// Tells whether this listing shows an object at another place than the stored one.
    fn has_moved(&self, object_no: i64, container_no: Option<i64>) -> Result<bool> {
        let staged: Option<Option<String>> = self
            .file
            .prepare_cached("SELECT container FROM objects WHERE stage_no = ?1")
            .and_then(|mut query| query.query_row([object_no * 4], |row| row.get(0)).optional())
            .map_err(sql("find siblings"))?;
        let Some(now) = staged else { return Ok(false) };
        let was: Option<String> = self
            .main
            .prepare_cached("SELECT path FROM containers WHERE container_no = ?1")
            .and_then(|mut query| query.query_row([container_no], |row| row.get(0)).optional())
            .map_err(sql("find siblings"))?;
        Ok(now != was)
    }

    /// Stores what look-ups said.
    pub(in super::super) fn set_verdicts(&mut self, answers: &[(i64, &Presence, bool)]) -> Result<()> {
        let step = || sql("store the answers of look-ups");
        let transaction = self.file.unchecked_transaction().map_err(step())?;
        for (object_no, presence, canary) in answers {
            let verdict = Verdict::of(presence, *canary, self.is_weak_candidate(*object_no)?);
            transaction
                .prepare_cached("UPDATE candidates SET verdict = ?2 WHERE object_no = ?1")
                .and_then(|mut update| update.execute(params![object_no, verdict.to_number()]))
                .map_err(step())?;
            if let (Verdict::Renamed, Presence::Renamed(patch)) = (verdict, presence) {
                self.note_rename(*object_no, patch)?;
            }
        }
        transaction.commit().map_err(step())
    }

    /// Gives up on a kind: its listing was short or could not be looked into, so nothing of it goes and nothing becomes
    /// missing. Who is new under an address waits as well while others could not be asked for: it may be one of them.
    pub(in super::super) fn void(&mut self, kind: ObjectKind) -> Result<()> {
        let step = || sql("void a scope");
        let kind = super::super::kind_number(kind);
        self.file
            .execute(
                "DELETE FROM objects WHERE kind = ?1 AND disposition = 0 AND stage_no % 4 = 0
                 AND substr(source_id, 1, 1) = x'61' AND EXISTS
                 (SELECT 1 FROM candidates WHERE kind = ?1 AND verdict = 0 AND substr(source_id, 1, 1) = x'61')",
                [kind],
            )
            .map_err(step())?;
        // Who has another address was found, one by one.
        self.file
            .execute("DELETE FROM candidates WHERE kind = ?1 AND verdict NOT IN (1, 2, 8, 9)", [kind])
            .map(drop)
            .map_err(step())
    }

    /// Drops the candidates that were found after all.
    pub(in super::super) fn drop_present(&mut self) -> Result<()> {
        self.file
            .execute("DELETE FROM candidates WHERE verdict = ?1", [Verdict::Present.to_number()])
            .map(drop)
            .map_err(sql("read the candidates"))
    }

    /// Proposes for removal what has been missing since before a point in time.
    pub(in super::super) fn age_missing(&mut self, before: Timestamp) -> Result<()> {
        let step = || sql("read the candidates");
        let mut aged = Vec::new();
        {
            let mut query = self.file.prepare("SELECT object_no FROM candidates WHERE verdict = ?1").map_err(step())?;
            let mut rows = query.query([Verdict::Missing.to_number()]).map_err(step())?;
            while let Some(row) = rows.next().map_err(step())? {
                let object_no: i64 = row.get(0).map_err(step())?;
                let since: Option<i64> = self
                    .main
                    .prepare_cached("SELECT missing_since FROM objects WHERE object_no = ?1")
                    .and_then(|mut query| query.query_row([object_no], |row| row.get(0)))
                    .map_err(step())?;
                if since.is_some_and(|since| since < before.0) {
                    aged.push(object_no);
                }
            }
        }
        for object_no in aged {
            self.file
                .execute(
                    "UPDATE candidates SET verdict = ?2 WHERE object_no = ?1",
                    params![object_no, Verdict::Aged.to_number()],
                )
                .map_err(step())?;
        }
        Ok(())
    }
}
