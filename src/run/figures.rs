//! Counts what a run does, page by page and chunk by chunk, for the host's recorder.
//!
//! It must not know names or ids, and no object is counted by itself.

use super::Import;
use crate::meter;
use crate::model::{Mode, Outcome, RunReport};
use crate::store::Applied;

/// Returns the word that reports have for a mode.
pub(super) const fn mode_word(mode: Mode) -> &'static str {
    match mode {
        Mode::Snapshot => "snapshot",
        Mode::Delta => "delta",
    }
}

/// Returns the word that reports have for an outcome.
pub(super) const fn outcome_word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Done => "done",
        Outcome::Held => "held",
        Outcome::Failed => "failed",
        Outcome::Planned => "planned",
        Outcome::Cancelled => "cancelled",
    }
}

impl Import {
    fn kind(&self) -> &'static str {
        self.job.endpoint.info().kind
    }

    /// Takes what is staged now as counted: an earlier run's part of a listing that this one goes on with.
    pub(super) fn begin_counting(&mut self) {
        self.counted = self.hold.read();
    }

    /// Counts what was staged since the last time, in pages that were read and objects that look-ups found.
    pub(super) fn count_read(&mut self) {
        let (now, before) = (self.hold.read(), self.counted);
        self.counted = now;
        let labels = [self.kind(), mode_word(self.mode)];
        meter::PAGES.count(now.pages.saturating_sub(before.pages), &labels);
        meter::OBJECTS.count(now.objects.saturating_sub(before.objects), &labels);
        meter::MEMBERSHIPS.count(now.memberships.saturating_sub(before.memberships), &labels);
        meter::QUARANTINED.count(now.quarantined.saturating_sub(before.quarantined), &labels[..1]);
    }

    /// Counts what one chunk has applied.
    pub(super) fn count_applied(&self, before: &Applied, now: &Applied) {
        for (change, before, now) in [
            ("created", before.created, now.created),
            ("updated", before.updated, now.updated),
            ("removed", before.removed, now.removed),
            ("missing", before.missing, now.missing),
            ("member-added", before.members_added, now.members_added),
            ("member-removed", before.members_removed, now.members_removed),
        ] {
            meter::APPLIED.count(now.saturating_sub(before), &[self.kind(), change]);
        }
    }

    /// Counts an alert.
    pub(super) fn count_alert(&self, about: &'static str) {
        meter::ALERTS.count(1, &[self.kind(), about]);
    }

    /// Counts the end of a run.
    pub(super) fn count_run(&self, report: &RunReport) {
        let labels = [self.kind(), mode_word(report.mode), outcome_word(report.outcome)];
        meter::RUNS.count(1, &labels);
        let took = self.job.gate.clock().monotonic().saturating_sub(self.clock_start);
        meter::RUN_SECONDS.took(took, &labels);
        if report.outcome == Outcome::Held {
            meter::PARKED.count(report.parked, &labels[..1]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_and_reports_use_the_same_words() {
        let written = |value: serde_json::Value| value.as_str().map(str::to_owned);
        for mode in [Mode::Snapshot, Mode::Delta] {
            assert_eq!(written(serde_json::to_value(mode).unwrap()).as_deref(), Some(mode_word(mode)));
        }
        let outcomes = [Outcome::Done, Outcome::Held, Outcome::Failed, Outcome::Planned, Outcome::Cancelled];
        for outcome in outcomes {
            assert_eq!(written(serde_json::to_value(outcome).unwrap()).as_deref(), Some(outcome_word(outcome)));
        }
    }
}
