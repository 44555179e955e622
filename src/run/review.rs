//! Looks once more at what an old plan is still to remove, before the rest of it is applied.
//!
//! It adds nothing to the plan: what is not confirmed is dropped, and a full listing finds it again.

use std::collections::BTreeMap;
use std::time::Duration;

use super::confirm::CANDIDATES_A_LOOKUP;
use super::{Import, scope_name};
use crate::endpoint::{ObjectRef, Presence};
use crate::error::{ErrorKind, Result};
use crate::model::ObjectKind;
use crate::store::Alert;

/// Age of a plan from which its removals are confirmed again. A plan that is only slow, or whose host was restarted, is
/// younger and is finished as it was fixed; who was deleted by mistake is usually restored on the same day, so that half
/// a working day is the most that old evidence may count.
const PLAN_AGE: Duration = Duration::from_hours(4);

impl Import {
    /// Takes up an earlier run's plan: as it is, or without those removals that are no longer true.
    pub(super) async fn review(&mut self) -> Result<()> {
        let mut conclusion = self.hold.with(|run| run.conclusion()).await?;
        self.mode = conclusion.mode;
        let age = i64::try_from(PLAN_AGE.as_millis()).unwrap_or(i64::MAX);
        if conclusion.planned_at > self.job.now().minus_millis(age) {
            return Ok(());
        }
        tracing::info!(planned_at = %conclusion.planned_at, "the plan is old; confirming its removals again");
        // Noted first: killed half-way, what was dropped must not be forgotten.
        let relisted = std::mem::replace(&mut conclusion.relist, true);
        let noted = conclusion.clone();
        self.hold.with(move |run| run.revise(&noted)).await?;

        let mut dropped = 0;
        for kind in ObjectKind::ALL {
            dropped += self.review_kind(*kind).await?;
        }
        let endings = self.hold.with(|run| run.doubt_unapplied()).await?;
        if endings > 0 {
            self.confirm_memberships().await?;
            dropped += endings.saturating_sub(self.hold.with(|run| run.count_endings()).await?);
        }
        if dropped > 0 {
            self.alerts.push(Alert {
                about: "plan-outdated".into(),
                message: format!(
                    "a plan that was fixed at {} and not applied to its end was taken up: {dropped} of its removals are \
                     no longer confirmed and are dropped; the next import lists everything anew",
                    conclusion.planned_at
                ),
            });
        }
        conclusion.relist = relisted || dropped > 0;
        if conclusion.relist {
            // Neither what can be seen nor that all was listed may be taken over with a plan that has holes.
            conclusion.coverage = None;
            conclusion.listed_at = None;
        }
        conclusion.planned_at = self.job.now();
        conclusion.alerts.append(&mut self.alerts);
        self.hold.with(move |run| run.revise(&conclusion)).await
    }

    /// Returns how many removals of a kind are dropped.
    async fn review_kind(&mut self, kind: ObjectKind) -> Result<u64> {
        let (mut after, mut dropped, mut total, mut found) = (0, 0, 0_u64, 0_u64);
        let mut siblings: BTreeMap<Option<i64>, Vec<ObjectRef>> = BTreeMap::new();
        loop {
            let candidates = self.hold.with(move |run| run.unapplied(kind, after, CANDIDATES_A_LOOKUP)).await?;
            let Some(last) = candidates.last().map(|last| last.object_no) else { break };
            // Those with weak ids say nothing of the others: they may be hidden, and are found all the same.
            let strong: std::collections::BTreeSet<i64> =
                candidates.iter().filter(|one| !one.object.key.id.is_weak()).map(|one| one.object_no).collect();
            total += strong.len() as u64;
            self.find_siblings(kind, &candidates, &mut siblings).await?;
            let answers = match self.ask(&candidates, &siblings).await {
                Ok(answers) => answers,
                Err(error) if *error.kind() == ErrorKind::Cancelled => return Err(error),
                Err(error) => {
                    let error = self.in_endpoint(error);
                    self.alert(
                        "look-up-failed",
                        format!("{} of an old plan could not be looked up again: {error}", scope_name(kind)),
                    );
                    return Ok(dropped + self.hold.with(move |run| run.drop_unapplied(kind, after)).await?);
                }
            };
            found += answers
                .iter()
                .filter(|(no, answer, _)| strong.contains(no) && matches!(answer, Presence::Present(_)))
                .count() as u64;
            dropped += self
                .hold
                .with(move |run| {
                    let answers: Vec<_> = answers.iter().map(|(no, answer, vouched)| (*no, answer, *vouched)).collect();
                    run.confirm_unapplied(&answers)
                })
                .await?;
            after = last;
        }
        // As behind a listing: where so many are there after all, the rest is not believed either.
        if found * 100 > total {
            dropped += self.hold.with(move |run| run.drop_unapplied(kind, 0)).await?;
        }
        Ok(dropped)
    }
}
