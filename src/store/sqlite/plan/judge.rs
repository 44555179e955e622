//! Lets the guard judge a plan, sort by sort, and marks what it holds.

use std::collections::{BTreeMap, HashMap};

use rusqlite::params;

use super::{HeldItems, Verdict, subtract_sorted};
use crate::error::Result;
use crate::model::{GuardLimits, HeldChange, HeldKind, Limit, ObjectKind, Timestamp};
use crate::rules::guard::{Charge, judge};
use crate::store::codec::unpack_sorted;
use crate::store::sqlite::stage::Stage;
use crate::store::sqlite::{COUNT_MEMBERSHIPS, Standing, State, kind_from_number, sql};

/// Under what terms a plan is judged.
#[derive(Debug, Clone)]
pub(in super::super) struct Terms {
    /// The configured limits.
    pub(in super::super) limits: GuardLimits,
    /// What somebody approved.
    pub(in super::super) approved: HeldItems,
    /// From when on what went without approval counts.
    pub(in super::super) since: Timestamp,
    /// Why nothing may go without approval: what can be seen has changed.
    pub(in super::super) suspicion: Option<String>,
}

impl Terms {
    fn limit(&self, kind: ObjectKind) -> Limit {
        match kind {
            ObjectKind::User => self.limits.users,
            ObjectKind::Group => self.limits.groups,
            ObjectKind::Computer => self.limits.computers,
        }
    }

    /// Judges one sort; what was approved is not counted.
    fn judge(&self, charge: &Charge) -> Option<HeldChange> {
        if let Some(reason) = self.suspicion.as_ref().filter(|_| charge.count > 0) {
            return Some(HeldChange {
                kind: charge.kind.clone(),
                count: charge.count,
                allowed: 0,
                known: charge.known,
                reason: reason.clone(),
            });
        }
        judge(charge)
    }
}

/// What went without approval lately, by sort as it is stored. A large delta leaves a row for each of its groups: it is
/// read only where there is something to judge.
#[derive(Debug, Default)]
struct Recent(HashMap<String, u64>);

impl Recent {
    fn of(&self, kind: &HeldKind) -> u64 {
        // Most runs find nothing.
        if self.0.is_empty() {
            return 0;
        }
        serde_json::to_string(kind).ok().and_then(|kind| self.0.get(&kind).copied()).unwrap_or(0)
    }
}

/// What the guard holds: for people, and exactly.
#[derive(Debug, Default)]
pub(in super::super) struct Judgement {
    pub(in super::super) held: Vec<HeldChange>,
    pub(in super::super) items: HeldItems,
    /// What goes without approval, for the next 24 hours.
    pub(in super::super) spent: BTreeMap<HeldKind, u64>,
}

impl Judgement {
    /// Judges what is not approved of one sort; gives back what is held.
    fn pass(&mut self, terms: &Terms, charge: Charge, subject: i64, numbers: Vec<u64>) -> bool {
        match terms.judge(&charge) {
            Some(change) => {
                self.items.add(charge.kind, subject, numbers);
                self.held.push(change);
                true
            }
            None => {
                if charge.count > 0 {
                    *self.spent.entry(charge.kind).or_default() += charge.count;
                }
                false
            }
        }
    }
}

impl Stage {
    fn recent(&self, terms: &Terms, statement: &'static str) -> Result<Recent> {
        let step = || sql("read what went");
        let mut recent = HashMap::new();
        let mut query = self.main.prepare_cached(statement).map_err(step())?;
        let mut rows = query.query(params![self.endpoint_no, terms.since.0]).map_err(step())?;
        while let Some(row) = rows.next().map_err(step())? {
            *recent.entry(row.get(0).map_err(step())?).or_default() += row.get::<_, u64>(1).map_err(step())?;
        }
        Ok(Recent(recent))
    }

    /// Reads what went lately of objects and their values.
    fn recent_objects(&self, terms: &Terms) -> Result<Recent> {
        self.recent(
            terms,
            "SELECT kind, count FROM losses WHERE endpoint_no = ?1 AND at > ?2
             AND kind <> '\"memberships\"' AND substr(kind, 1, 13) <> '{\"members-of\"'",
        )
    }

    /// Reads what went lately of memberships.
    fn recent_memberships(&self, terms: &Terms) -> Result<Recent> {
        self.recent(
            terms,
            "SELECT kind, count FROM losses WHERE endpoint_no = ?1 AND at > ?2
             AND (kind = '\"memberships\"' OR substr(kind, 1, 13) = '{\"members-of\"')",
        )
    }

    /// Judges removals, new missing ones, suspensions and cleared values. Marks the held ones in the stage.
    pub(in super::super) fn judge_objects(&mut self, terms: &Terms) -> Result<Judgement> {
        let step = || sql("judge the plan");
        let mut judgement = Judgement::default();
        let known = self.known()?;
        let transaction = self.file.unchecked_transaction().map_err(step())?;
        let mut going: BTreeMap<HeldKind, Vec<u64>> = BTreeMap::new();
        {
            let mut query = self
                .file
                .prepare("SELECT object_no, kind, standing, verdict FROM candidates ORDER BY object_no")
                .map_err(step())?;
            let mut rows = query.query([]).map_err(step())?;
            while let Some(row) = rows.next().map_err(step())? {
                let object_no: u64 = row.get(0).map_err(step())?;
                let kind = kind_from_number(row.get(1).map_err(step())?)?;
                let standing = Standing::from_number(row.get(2).map_err(step())?)?;
                let verdict = Verdict::from_number(row.get(3).map_err(step())?)?;
                let sort = match verdict {
                    Verdict::Missing | Verdict::Open if standing.state == State::Live => HeldKind::Missing(kind),
                    Verdict::Aged => HeldKind::Aged(kind),
                    verdict if verdict.is_proof() => HeldKind::Removed(kind),
                    _ => continue,
                };
                if !terms.approved.contains(&sort, 0, object_no) {
                    going.entry(sort).or_default().push(object_no);
                }
            }
        }
        let recent_of = if going.is_empty() { Recent::default() } else { self.recent_objects(terms)? };
        for (sort, numbers) in going {
            let count = numbers.len() as u64;
            let charge = match &sort {
                // What was never proven gone goes only by approval.
                HeldKind::Aged(kind) => {
                    let known = known[*kind as usize];
                    Charge { kind: sort.clone(), count, known, recent: 0, limit: Limit::new(0.0, 0) }
                }
                HeldKind::Removed(kind) | HeldKind::Missing(kind) => {
                    let mut recent = recent_of.of(&sort);
                    if sort == HeldKind::Removed(ObjectKind::User) {
                        recent += recent_of.of(&HeldKind::Suspended);
                    }
                    let known = known[*kind as usize];
                    Charge { kind: sort.clone(), count, known, recent, limit: terms.limit(*kind) }
                }
                _ => continue,
            };
            if judgement.pass(terms, charge, 0, numbers.clone()) {
                for number in numbers {
                    self.file
                        .prepare_cached("UPDATE candidates SET held = 1 WHERE object_no = ?1")
                        .and_then(|mut update| update.execute([number]))
                        .map_err(step())?;
                }
            }
        }
        self.judge_values(terms, &known, &mut judgement)?;
        transaction.commit().map_err(step())?;
        Ok(judgement)
    }

    /// Judges suspensions and cleared values of staged objects.
    fn judge_values(&self, terms: &Terms, known: &[u64; 4], judgement: &mut Judgement) -> Result<()> {
        let step = || sql("judge the plan");
        let mut lost: BTreeMap<HeldKind, Vec<u64>> = BTreeMap::new();
        let sorts = |kind: ObjectKind, losses: &str| -> Vec<HeldKind> {
            losses
                .split(',')
                .map(
                    |name| if name == "state" { HeldKind::Suspended } else { HeldKind::Cleared(kind, name.to_owned()) },
                )
                .collect()
        };
        let each = |call: &mut dyn FnMut(i64, ObjectKind, &str) -> Result<()>| -> Result<()> {
            let mut query = self
                .file
                .prepare(
                    "SELECT stage_no, kind, losses FROM objects INDEXED BY objects_with_losses
                     WHERE losses IS NOT NULL ORDER BY stage_no",
                )
                .map_err(step())?;
            let mut rows = query.query([]).map_err(step())?;
            while let Some(row) = rows.next().map_err(step())? {
                let losses: String = row.get(2).map_err(step())?;
                call(row.get(0).map_err(step())?, kind_from_number(row.get(1).map_err(step())?)?, &losses)?;
            }
            Ok(())
        };
        each(&mut |stage_no, kind, losses| {
            let number = u64::try_from(stage_no / 4).unwrap_or_default();
            for sort in sorts(kind, losses) {
                if !terms.approved.contains(&sort, 0, number) {
                    lost.entry(sort).or_default().push(number);
                }
            }
            Ok(())
        })?;
        if lost.is_empty() {
            return Ok(());
        }
        let recent = self.recent_objects(terms)?;
        for (sort, mut numbers) in lost {
            numbers.sort_unstable();
            numbers.dedup();
            let charge = match &sort {
                HeldKind::Suspended => {
                    let removed = HeldKind::Removed(ObjectKind::User);
                    let now = judgement.spent.get(&removed).copied().unwrap_or(0);
                    Charge {
                        kind: sort.clone(),
                        count: numbers.len() as u64,
                        known: known[0].saturating_sub(now),
                        recent: recent.of(&sort) + recent.of(&removed) + now,
                        limit: terms.limits.users,
                    }
                }
                HeldKind::Cleared(kind, _) => Charge {
                    kind: sort.clone(),
                    count: numbers.len() as u64,
                    known: known[*kind as usize],
                    recent: recent.of(&sort),
                    limit: terms.limits.cleared_values,
                },
                _ => continue,
            };
            judgement.pass(terms, charge, 0, numbers);
        }
        if judgement.items.is_empty() {
            return Ok(());
        }
        let mut marks = Vec::new();
        each(&mut |stage_no, kind, losses| {
            let number = u64::try_from(stage_no / 4).unwrap_or_default();
            let held: Vec<&str> = losses
                .split(',')
                .zip(sorts(kind, losses))
                .filter(|(_, sort)| judgement.items.contains(sort, 0, number))
                .map(|(name, _)| name)
                .collect();
            if !held.is_empty() {
                marks.push((stage_no, held.join(",")));
            }
            Ok(())
        })?;
        for (stage_no, held) in marks {
            self.file
                .prepare_cached("UPDATE objects SET held = ?2 WHERE stage_no = ?1")
                .and_then(|mut update| update.execute(params![stage_no, held]))
                .map_err(step())?;
        }
        Ok(())
    }

    /// Judges the memberships that end: each group by itself, then all together.
    pub(in super::super) fn judge_memberships(&mut self, terms: &Terms, judgement: &mut Judgement) -> Result<()> {
        let step = || sql("judge the plan");
        let known = self.known()?[usize::try_from(COUNT_MEMBERSHIPS).unwrap_or(3)];
        let transaction = self.file.unchecked_transaction().map_err(step())?;
        let _reading = self.reading()?;
        let mut total = 0;
        let mut rest: Vec<(i64, Vec<u64>)> = Vec::new();
        let mut lost_groups = BTreeMap::new();
        let mut recent = None;
        let mut query =
            self.file.prepare("SELECT group_via, going FROM edge_losses ORDER BY group_via").map_err(step())?;
        let mut rows = query.query([]).map_err(step())?;
        while let Some(row) = rows.next().map_err(step())? {
            let group_via: i64 = row.get(0).map_err(step())?;
            let going = unpack_sorted(row.get_ref(1).map_err(step())?.as_blob().unwrap_or_default())?;
            if going.is_empty() {
                continue;
            }
            let recent = match &recent {
                Some(recent) => recent,
                None => recent.insert(self.recent_memberships(terms)?),
            };
            let group = self.group_id(group_via)?;
            let per_group = HeldKind::MembersOf(group);
            let approved: Vec<u64> = super::merge_sorted(
                terms.approved.get(&per_group, group_via),
                terms.approved.get(&HeldKind::Memberships, group_via),
            );
            let numbers = subtract_sorted(&going, &approved);
            let charge = Charge {
                kind: per_group.clone(),
                count: numbers.len() as u64,
                known: self.count_members(group_via)?,
                recent: recent.of(&per_group),
                limit: terms.limits.members_per_group,
            };
            if judgement.pass(terms, charge, group_via, numbers.clone()) {
                lost_groups.insert(group_via, numbers);
            } else {
                total += numbers.len() as u64;
                rest.push((group_via, numbers));
            }
        }
        drop(rows);
        drop(query);
        let charge = Charge {
            kind: HeldKind::Memberships,
            count: total,
            known,
            recent: recent.unwrap_or_default().of(&HeldKind::Memberships),
            limit: terms.limits.memberships,
        };
        if judgement.pass(terms, charge, 0, Vec::new()) {
            for (group_via, numbers) in rest {
                judgement.items.add(HeldKind::Memberships, group_via, numbers.clone());
                lost_groups.insert(group_via, numbers);
            }
            judgement.spent.retain(|kind, _| !matches!(kind, HeldKind::MembersOf(_)));
        }
        for (group_via, numbers) in lost_groups {
            let [explained, going, doubted, _] = self.loss(group_via)?;
            let going = subtract_sorted(&going, &numbers);
            self.set_loss(group_via, &[explained, going, doubted, numbers])?;
        }
        transaction.commit().map_err(step())
    }

    fn group_id(&self, group_via: i64) -> Result<crate::model::SourceId> {
        let stored = self.id_by_number(group_via / 2)?;
        crate::model::SourceId::from_stored(&stored).ok_or_else(|| crate::store::sqlite::damaged("a source id"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SourceId;

    #[test]
    fn what_the_statements_ask_for_is_how_sorts_are_stored() {
        let stored = |kind: &HeldKind| serde_json::to_string(kind).unwrap();
        assert_eq!(stored(&HeldKind::Memberships), "\"memberships\"");
        assert!(stored(&HeldKind::MembersOf(SourceId::parse("g1"))).starts_with("{\"members-of\""));
    }
}
