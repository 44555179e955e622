//! An old plan, looked at once more: what of it is still true stays, the rest is dropped.
//!
//! It never adds to a plan, and never touches what was applied.

use rusqlite::params;

use super::{Verdict, merge_sorted, subtract_sorted};
use crate::endpoint::Presence;
use crate::error::Result;
use crate::model::ObjectKind;
use crate::store::Candidate;
use crate::store::sqlite::stage::Stage;
use crate::store::sqlite::{damaged, kind_number, sql};

impl Stage {
    /// Lists what is to be removed or marked as missing, behind an object.
    pub(in super::super) fn unapplied(&self, kind: ObjectKind, after: i64, limit: usize) -> Result<Vec<Candidate>> {
        let step = || sql("read the plan");
        let mut found = Vec::new();
        let mut query = self
            .file
            .prepare_cached(
                "SELECT object_no, container, source_id FROM candidates
                 WHERE kind = ?1 AND held = 0 AND object_no > ?2 ORDER BY object_no",
            )
            .map_err(step())?;
        let mut rows = query.query(params![kind_number(kind), after]).map_err(step())?;
        while let Some(row) = rows.next().map_err(step())? {
            let source_id: Vec<u8> = row.get(2).map_err(step())?;
            let (object_no, container_no) = (row.get(0).map_err(step())?, row.get(1).map_err(step())?);
            found.push(Candidate { object_no, container_no, object: self.object_ref(kind, container_no, &source_id)? });
            if found.len() == limit {
                break;
            }
        }
        Ok(found)
    }

    /// Keeps what an answer confirms: a removal needs its proof again, what is missing only not to be there.
    pub(in super::super) fn confirm_unapplied(&mut self, answers: &[(i64, &Presence, bool)]) -> Result<u64> {
        let step = || sql("confirm a plan again");
        let mut dropped = Vec::new();
        for (object_no, presence, canary) in answers {
            let was: i64 = self
                .file
                .prepare_cached("SELECT verdict FROM candidates WHERE object_no = ?1")
                .and_then(|mut query| query.query_row([object_no], |row| row.get(0)))
                .map_err(step())?;
            let weak = self.is_weak_candidate(*object_no)?;
            let (was, now) = (Verdict::from_number(was)?, Verdict::of(presence, *canary, weak));
            match now {
                // A new address is taken over by the next listing: a plan is never added to.
                Verdict::Present | Verdict::Renamed => dropped.push(*object_no),
                // Who left the scope keeps memberships that end with somebody who is gone.
                now if now.is_proof() == was.is_proof() && now.is_out_of_scope() == was.is_out_of_scope() => {
                    self.file
                        .prepare_cached("UPDATE candidates SET verdict = ?2 WHERE object_no = ?1")
                        .and_then(|mut update| update.execute(params![object_no, now.to_number()]))
                        .map_err(step())?;
                }
                // Approved although nothing proves it; or only marked, and now even proven: both as it was planned.
                _ if matches!(was, Verdict::Aged | Verdict::Missing) => {}
                _ => dropped.push(*object_no),
            }
        }
        self.drop_candidates(&dropped)
    }

    /// Drops what is still to be applied of a kind.
    pub(in super::super) fn drop_unapplied(&mut self, kind: ObjectKind, after: i64) -> Result<u64> {
        let step = || sql("confirm a plan again");
        let numbers: Vec<i64> = {
            let mut query = self
                .file
                .prepare("SELECT object_no FROM candidates WHERE kind = ?1 AND held = 0 AND object_no > ?2")
                .map_err(step())?;
            let rows = query.query_map(params![kind_number(kind), after], |row| row.get(0)).map_err(step())?;
            rows.collect::<Result<_, _>>().map_err(step())?
        };
        self.drop_candidates(&numbers)
    }

    /// Drops candidates, and the endings of memberships that only their going explained.
    fn drop_candidates(&mut self, numbers: &[i64]) -> Result<u64> {
        if numbers.is_empty() {
            return Ok(0);
        }
        let step = || sql("confirm a plan again");
        let transaction = self.file.unchecked_transaction().map_err(step())?;
        let mut gone: Vec<u64> = Vec::with_capacity(numbers.len());
        for number in numbers {
            self.file
                .prepare_cached("DELETE FROM candidates WHERE object_no = ?1")
                .and_then(|mut delete| delete.execute([number]))
                .map_err(step())?;
            gone.push(u64::try_from(*number).map_err(|_| damaged("an object number"))?);
        }
        gone.sort_unstable();
        for group_via in self.groups_with_losses()? {
            let [explained, going, doubted, held] = self.loss(group_via)?;
            let rest = subtract_sorted(&explained, &gone);
            if rest.len() < explained.len() {
                self.set_loss(group_via, &[rest, going, doubted, held])?;
            }
        }
        transaction.commit().map_err(step())?;
        Ok(gone.len() as u64)
    }

    /// Has the explicit memberships that are to end read a second time once more.
    pub(in super::super) fn doubt_again(&mut self) -> Result<u64> {
        let step = || sql("confirm a plan again");
        let mut count = 0;
        let transaction = self.file.unchecked_transaction().map_err(step())?;
        for group_via in self.groups_with_losses()?.into_iter().filter(|group_via| group_via % 2 == 0) {
            let [explained, going, doubted, held] = self.loss(group_via)?;
            let doubted = merge_sorted(&doubted, &going);
            count += doubted.len() as u64;
            self.set_loss(group_via, &[explained, Vec::new(), doubted, held])?;
        }
        transaction.commit().map_err(step())?;
        Ok(count)
    }

    /// Counts the explicit memberships that were confirmed to end.
    pub(in super::super) fn count_endings(&self) -> Result<u64> {
        let mut count = 0;
        for group_via in self.groups_with_losses()?.into_iter().filter(|group_via| group_via % 2 == 0) {
            let [_, going, ..] = self.loss(group_via)?;
            count += going.len() as u64;
        }
        Ok(count)
    }
}
