//! What a plan comes to: its figures and its digest. It judges nothing.

use crate::error::Result;
use crate::model::PlanSummary;
use crate::rules::diff;
use crate::store::codec;
use crate::store::sqlite::stage::Stage;
use crate::store::sqlite::{Standing, State, sql};

impl Stage {
    /// Counts what the plan would change, as judged.
    pub(in super::super) fn plan_figures(&self) -> Result<PlanSummary> {
        let step = || sql("read the plan");
        let count =
            |statement: &str| -> Result<u64> { self.file.query_row(statement, [], |row| row.get(0)).map_err(step()) };
        let mut summary = PlanSummary {
            created: count("SELECT count(*) FROM objects WHERE disposition IN (0, 2) AND stage_no % 4 = 0")?,
            updated: count(
                "SELECT count(DISTINCT stage_no / 4) FROM objects o WHERE disposition IN (1, 3)
                    OR (stage_no % 4 > 0 AND disposition = 0
                        AND NOT EXISTS (SELECT 1 FROM objects c WHERE c.stage_no = o.stage_no - o.stage_no % 4
                                        AND c.disposition IN (0, 2)))",
            )?,
            removed: count("SELECT count(*) FROM candidates WHERE held = 0 AND verdict IN (1, 2, 3, 4, 7, 8)")?,
            missing: 0,
            ..PlanSummary::default()
        };
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
            let mut query = self
                .file
                .prepare("SELECT stage_no, disposition, fingerprint, held FROM objects ORDER BY stage_no")
                .map_err(step())?;
            let mut rows = query.query([]).map_err(step())?;
            while let Some(row) = rows.next().map_err(step())? {
                hasher.update(&row.get::<_, i64>(0).map_err(step())?.to_le_bytes());
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
        hasher.finalize().to_hex()[..16].clone_into(&mut summary.digest);
        Ok(summary)
    }

    /// Counts staged changes of which nothing is left once the guard's share is held back.
    fn held_away(&self) -> Result<u64> {
        let step = || sql("read the plan");
        let mut away = 0;
        let mut query = self
            .file
            .prepare("SELECT stage_no / 4, body, held FROM objects WHERE held IS NOT NULL AND disposition = 1")
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
