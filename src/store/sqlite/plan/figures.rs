//! What a plan comes to: its figures and its digest. It judges nothing.

use crate::error::Result;
use crate::model::PlanSummary;
use crate::rules::diff;
use crate::store::codec;
use crate::store::sqlite::stage::{Disposition, Stage};
use crate::store::sqlite::{Standing, State, sql};

impl Stage {
    /// Counts what the plan would change, as judged.
    pub(in super::super) fn plan_figures(&self) -> Result<PlanSummary> {
        let step = || sql("read the plan");
        let removed = self
            .file
            .query_row("SELECT count(*) FROM candidates WHERE held = 0 AND verdict IN (1, 2, 3, 4, 7, 8)", [], |row| {
                row.get(0)
            })
            .map_err(step())?;
        let mut summary = PlanSummary { removed, ..PlanSummary::default() };
        let mut hasher = blake3::Hasher::new();
        {
            let mut query = self
                .file
                .prepare("SELECT object_no, standing, verdict, held FROM candidates ORDER BY object_no")
                .map_err(step())?;
            let mut rows = query.query([]).map_err(step())?;
            while let Some(row) = rows.next().map_err(step())? {
                let standing = Standing::from_number(row.get(1).map_err(step())?)?;
                let (verdict, held): (i64, bool) = (row.get(2).map_err(step())?, row.get(3).map_err(step())?);
                if verdict == 5 && !held && standing.state == State::Live {
                    summary.missing += 1;
                }
                hasher.update(&row.get::<_, i64>(0).map_err(step())?.to_le_bytes());
                hasher.update(&[u8::try_from(verdict).unwrap_or(u8::MAX), u8::from(held)]);
            }
        }
        {
            // Once through all that is staged, which may be all that there is.
            let mut query = self
                .file
                .prepare("SELECT stage_no, disposition, fingerprint, held FROM objects ORDER BY stage_no")
                .map_err(step())?;
            let mut rows = query.query([]).map_err(step())?;
            // The rows of one object follow each other, its core before its facets.
            let (mut object_no, mut comes, mut changes) = (None, false, false);
            while let Some(row) = rows.next().map_err(step())? {
                let stage_no: i64 = row.get(0).map_err(step())?;
                let disposition = Disposition::from_number(row.get(1).map_err(step())?)?;
                let is_core = stage_no % 4 == 0;
                if object_no != Some(stage_no / 4) {
                    (object_no, comes, changes) = (Some(stage_no / 4), false, false);
                }
                let renamed = self.renames.is_new(stage_no / 4);
                if is_core && !renamed && matches!(disposition, Disposition::New | Disposition::Restored) {
                    comes = true;
                    summary.created += 1;
                }
                let differs = match disposition {
                    Disposition::Changed | Disposition::Reappeared => true,
                    Disposition::New => renamed || !is_core && !comes,
                    Disposition::Restored | Disposition::Quiet => false,
                };
                if differs && !changes {
                    changes = true;
                    summary.updated += 1;
                }
                hasher.update(&stage_no.to_le_bytes());
                hasher.update(row.get_ref(2).map_err(step())?.as_blob().unwrap_or_default());
                hasher.update(row.get::<_, Option<String>>(3).map_err(step())?.unwrap_or_default().as_bytes());
            }
        }
        {
            let mut query = self
                .file
                .prepare("SELECT group_via, explained, going FROM edge_losses ORDER BY group_via")
                .map_err(step())?;
            let mut rows = query.query([]).map_err(step())?;
            while let Some(row) = rows.next().map_err(step())? {
                hasher.update(&row.get::<_, i64>(0).map_err(step())?.to_le_bytes());
                for column in [1, 2] {
                    let numbers =
                        codec::unpack_sorted(row.get_ref(column).map_err(step())?.as_blob().unwrap_or_default())?;
                    for number in &numbers {
                        hasher.update(&number.to_le_bytes());
                    }
                    summary.members_removed += numbers.len() as u64;
                }
            }
        }
        summary.updated -= self.held_away()?;
        let (ended, begun) = self.retold()?;
        summary.members_removed += ended;
        summary.members_added += begun;
        hasher.finalize().to_hex()[..16].clone_into(&mut summary.digest);
        Ok(summary)
    }

    /// Counts staged changes of which nothing is left once the guard's share is held back.
    fn held_away(&self) -> Result<u64> {
        let step = || sql("read the plan");
        let mut away = 0;
        let mut query = self
            .file
            .prepare(
                "SELECT stage_no / 4, body, held FROM objects INDEXED BY objects_with_losses
                 WHERE losses IS NOT NULL AND held IS NOT NULL AND disposition = 1",
            )
            .map_err(step())?;
        let mut rows = query.query([]).map_err(step())?;
        while let Some(row) = rows.next().map_err(step())? {
            let mut new = codec::read_attributes(&row.get::<_, Vec<u8>>(1).map_err(step())?)?;
            let held: String = row.get(2).map_err(step())?;
            let held: Vec<_> = held.split(',').map(crate::model::AttributeName::parse).collect();
            let stored: Vec<u8> = self
                .main
                .prepare_cached("SELECT body FROM objects WHERE object_no = ?1")
                .and_then(|mut query| query.query_row([row.get::<_, i64>(0)?], |row| row.get(0)))
                .map_err(step())?;
            let stored = codec::read_attributes(&stored)?;
            diff::hold_back(&stored, &mut new, &held);
            away += u64::from(new == stored);
        }
        Ok(away)
    }
}
