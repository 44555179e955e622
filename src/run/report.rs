//! Tells how a run went.

use super::Import;
use crate::error::Error;
use crate::model::{Outcome, PlanSummary, RunReport};

impl Import {
    /// Puts the report together, with the figures of a plan.
    pub(super) fn report(&self, outcome: Outcome, error: Option<&Error>, plan: PlanSummary) -> RunReport {
        let info = self.job.endpoint.info();
        let stats = self.job.gate.stats();
        let read = self.hold.read();
        RunReport {
            run: self.hold.run_id(),
            endpoint: info.name.clone(),
            kind: info.kind.to_owned(),
            mode: self.mode,
            outcome,
            plan: plan.held_id,
            error: error.map(ToString::to_string),
            error_kind: error.map(|error| error.kind().as_str().to_owned()),
            created: plan.created,
            updated: plan.updated,
            removed: plan.removed,
            missing: plan.missing,
            parked: plan.parked,
            members_added: plan.members_added,
            members_removed: plan.members_removed,
            quarantined: read.quarantined,
            pages: read.pages,
            requests: stats.requests - self.stats_start.requests,
            throttled: stats.throttled - self.stats_start.throttled,
            seconds: self.job.gate.clock().monotonic().saturating_sub(self.clock_start).as_secs_f64(),
            held: plan.held,
            unreadable: Vec::new(),
            // Only what was applied is there.
            freshness: if matches!(outcome, Outcome::Done | Outcome::Held) {
                self.freshness.clone()
            } else {
                Vec::new()
            },
            started_at: self.started_at,
            finished_at: self.job.now(),
        }
    }
}
