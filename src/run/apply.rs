//! Applies a fixed plan: waits for the customer's turn, then writes chunk after chunk.

use std::time::Duration;

use super::Import;
use crate::error::{Error, Result};
use crate::model::{Outcome, Phase, RunReport};

/// How often a run looks whether another apply of its customer has ended.
const TURN_PAUSE: Duration = Duration::from_millis(200);

impl Import {
    /// Writes everything that the plan lets go.
    pub(super) async fn apply(&mut self) -> Result<RunReport> {
        self.show(|progress| {
            progress.phase = Phase::Applying;
            progress.waiting = None;
        });
        let conclusion = self.hold.with(|run| run.conclusion()).await?;
        let plan = &conclusion.plan;
        let planned =
            plan.created + plan.updated + plan.removed + plan.missing + plan.members_added + plan.members_removed;
        self.show(|progress| progress.planned = planned);
        self.await_turn().await?;
        // An earlier run may have applied a part of this plan, and counted it.
        let mut counted = self.hold.with(|run| run.applied()).await?;
        loop {
            let now = self.job.now();
            let (applied, done) = self.hold.with(move |run| run.apply_chunk(now)).await?;
            self.count_applied(&counted, &applied);
            counted = applied;
            self.show(|progress| progress.applied = applied.total());
            if !done {
                // Between two chunks is a good place to stop: the next run goes on with the one that is missing.
                self.cx.check_cancelled()?;
                continue;
            }
            let outcome = if plan.held.is_empty() { Outcome::Done } else { Outcome::Held };
            let mut report = self.report(outcome, None, conclusion.plan.clone());
            report.created = applied.created;
            report.updated = applied.updated;
            report.removed = applied.removed;
            report.missing = applied.missing;
            report.members_added = applied.members_added;
            report.members_removed = applied.members_removed;
            report.unreadable = self.hold.with(|run| run.unreadable()).await?;
            let (stored, now) = (report.clone(), self.job.now());
            self.hold.with(move |run| run.finish(&stored, now)).await?;
            return Ok(report);
        }
    }

    /// One apply per customer at a time, whoever runs it.
    async fn await_turn(&mut self) -> Result<()> {
        while !self.hold.with(|run| run.try_lock_apply()).await? {
            self.show(|progress| progress.waiting = Some("another import of this customer to be applied".into()));
            tokio::select! {
                () = self.job.gate.clock().sleep(TURN_PAUSE) => {}
                () = self.job.cancel.cancelled() => return Err(Error::cancelled()),
            }
        }
        self.show(|progress| progress.waiting = None);
        Ok(())
    }
}
