//! What an earlier run left behind in its stage, and whose it is now. It does not read what is staged.

use rusqlite::{OptionalExtension, params};

use super::stage::{Stage, StagePhase};
use super::{SqliteStore, damaged, sql};
use crate::error::Result;
use crate::model::{Outcome, RunId, RunReport};

/// Finds the run that a stage was left by, and whether this run is to go on under its id.
///
/// A plan that was being applied goes on under its own id; a listing that was killed does as well. One that ended with
/// a report goes on too, from its checkpoint, but as a new run.
pub(super) fn taken_up(
    store: &SqliteStore,
    stage: Stage,
    endpoint_no: i64,
    dry_run: bool,
) -> Result<(Stage, Option<RunId>)> {
    let Some((run, _, phase)) = stage.left_over()?.filter(|_| !dry_run) else { return Ok((stage, None)) };
    let report: Option<Option<String>> = store
        .host()
        .query_row(
            "SELECT report FROM runs WHERE id = ?1 AND endpoint_no = ?2",
            params![run.0.as_bytes().as_slice(), endpoint_no],
            |row| row.get(0),
        )
        .optional()
        .map_err(sql("begin a run"))?;
    let Some(report) = report else { return Ok((stage.restart()?, None)) };
    let Some(report) = report else { return Ok((stage, Some(run))) };
    let report: RunReport = serde_json::from_str(&report).map_err(|_| damaged("a report"))?;
    Ok(match (report.outcome, phase) {
        // Killed behind its last commit: only its stage was still to be thrown away.
        (Outcome::Done | Outcome::Held, _) => (stage.restart()?, None),
        (_, StagePhase::Applying) => (stage, Some(run)),
        (_, StagePhase::Listing) => (stage, None),
    })
}
