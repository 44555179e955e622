//! What waits for approval, through runs that say nothing of it: a delta tells a change once, and parked is durable.

use std::collections::BTreeSet;

use rusqlite::{OptionalExtension, params};

use super::{HeldItems, Judgement, Verdict, merge_sorted, subtract_sorted};
use crate::endpoint::ObjectRef;
use crate::error::Result;
use crate::model::{Facet, HeldChange, HeldKind, ObjectKind, SourceId};
use crate::store::sqlite::stage::Stage;
use crate::store::sqlite::{Standing, damaged, sql};

/// An object as it is stored.
struct Stored {
    source_id: Vec<u8>,
    kind: ObjectKind,
    standing: Standing,
    container_no: Option<i64>,
}

impl Stage {
    fn stored(&self, number: u64) -> Result<Option<Stored>> {
        let row: Option<Vec<u8>> = self
            .main
            .prepare_cached("SELECT source_id FROM objects WHERE object_no = ?1")
            .and_then(|mut query| query.query_row([number], |row| row.get(0)).optional())
            .map_err(sql("read what is parked"))?;
        let Some(source_id) = row else { return Ok(None) };
        let id = SourceId::from_stored(&source_id).ok_or_else(|| damaged("a source id"))?;
        let Some(probe) = self.probe(&id.key(), Facet::Core)?.filter(|probe| probe.standing.is_present()) else {
            return Ok(None);
        };
        let Some(kind) = probe.standing.kind() else { return Ok(None) };
        let (standing, container_no) = (probe.standing, probe.container_no);
        Ok(Some(Stored { source_id, kind, standing, container_no }))
    }

    /// Proposes anew the parked removals of what this run did not read: they are to be looked up.
    pub(in super::super) fn propose_parked_objects(&mut self, parked: &HeldItems) -> Result<()> {
        let step = || sql("propose what is parked");
        let seen = self.listed()?;
        let transaction = self.file.unchecked_transaction().map_err(step())?;
        for (sort, _, numbers) in parked.iter() {
            if !matches!(sort, HeldKind::Removed(_) | HeldKind::Missing(_) | HeldKind::Aged(_)) {
                continue;
            }
            for number in numbers {
                let object_no = i64::try_from(*number).map_err(|_| damaged("held changes"))?;
                let Some(object) = self.stored(*number)?.filter(|_| !seen.contains(object_no)) else {
                    continue;
                };
                self.file
                    .prepare_cached("INSERT OR IGNORE INTO candidates VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0)")
                    .and_then(|mut insert| {
                        insert.execute(params![
                            object_no,
                            crate::store::sqlite::kind_number(object.kind),
                            object.container_no,
                            object.source_id,
                            object.standing.to_number(),
                            Verdict::Open.to_number()
                        ])
                    })
                    .map_err(step())?;
            }
        }
        transaction.commit().map_err(step())
    }

    /// Proposes anew the parked endings of memberships: they are to be read a second time.
    pub(in super::super) fn propose_parked_edges(&self, parked: &HeldItems) -> Result<()> {
        for (sort, subject, numbers) in parked.iter() {
            if matches!(sort, HeldKind::Memberships | HeldKind::MembersOf(_)) && subject % 2 == 0 {
                self.doubt(subject, numbers)?;
            }
        }
        Ok(())
    }

    /// Adds memberships to those that need a second reading.
    fn doubt(&self, group_via: i64, numbers: &[u64]) -> Result<()> {
        let stored = self.stored_members(group_via)?;
        let numbers = subtract_sorted(&stored, &subtract_sorted(&stored, numbers));
        let [explained, going, doubted, held] = self.loss(group_via)?;
        let numbers = subtract_sorted(&subtract_sorted(&numbers, &going), &explained);
        let doubted = merge_sorted(&doubted, &numbers);
        if doubted.is_empty() {
            return Ok(());
        }
        self.file
            .prepare_cached("INSERT OR IGNORE INTO edge_losses VALUES (?1, x'', x'', x'', x'')")
            .and_then(|mut insert| insert.execute([group_via]))
            .map_err(sql("propose what is parked"))?;
        self.set_loss(group_via, &[explained, going, doubted, held])
    }

    /// Lists the objects whose parked values or primary memberships this run did not read: they are to be looked up.
    pub(in super::super) fn parked_values(&self, parked: &HeldItems) -> Result<Vec<ObjectRef>> {
        let seen = self.seen()?;
        let mut numbers: BTreeSet<&u64> = BTreeSet::new();
        for (sort, subject, held) in parked.iter() {
            match sort {
                HeldKind::Suspended | HeldKind::Cleared(..) => numbers.extend(held),
                HeldKind::Memberships | HeldKind::MembersOf(_) if subject % 2 == 1 => numbers.extend(held),
                _ => {}
            }
        }
        let mut objects = Vec::new();
        for number in numbers {
            let object_no = i64::try_from(*number).map_err(|_| damaged("held changes"))?;
            if seen.contains(object_no) {
                continue;
            }
            if let Some(object) = self.stored(*number)? {
                objects.push(self.object_ref(object.kind, object.container_no, &object.source_id)?);
            }
        }
        Ok(objects)
    }

    /// Keeps what was parked and could not be read by this run either: it waits on.
    pub(in super::super) fn carry_parked(
        &self,
        parked: &HeldItems,
        summary: &[HeldChange],
        judgement: &mut Judgement,
    ) -> Result<()> {
        // An id that was listed says that it is there, and nothing of its values.
        let (seen, listed) = (self.seen()?, self.listed()?);
        for (sort, subject, numbers) in parked.iter() {
            let mut kept = Vec::new();
            for number in numbers {
                let object_no = i64::try_from(*number).map_err(|_| damaged("held changes"))?;
                let open = match sort {
                    HeldKind::Memberships | HeldKind::MembersOf(_) => self.is_unread_edge(subject, *number, &seen)?,
                    // Under its new number it is judged anew.
                    HeldKind::Suspended | HeldKind::Cleared(..) => {
                        !seen.contains(object_no) && !self.renames.is_old(object_no)
                    }
                    _ => !listed.contains(object_no) && !self.is_candidate(object_no)?,
                };
                if open && self.stored(*number)?.is_some() && !judgement.items.contains(sort, subject, *number) {
                    kept.push(*number);
                }
            }
            if kept.is_empty() {
                continue;
            }
            let count = kept.len() as u64;
            judgement.items.add(sort.clone(), subject, kept);
            match judgement.held.iter_mut().find(|change| change.kind == *sort) {
                Some(change) => change.count += count,
                None => judgement.held.extend(
                    summary
                        .iter()
                        .find(|change| change.kind == *sort)
                        .map(|change| HeldChange { count, ..change.clone() }),
                ),
            }
        }
        Ok(())
    }

    pub(in super::super) fn is_candidate(&self, object_no: i64) -> Result<bool> {
        self.file
            .prepare_cached(
                "SELECT exists (SELECT 1 FROM candidates WHERE object_no = ?1)
                    OR exists (SELECT 1 FROM renames WHERE old_no = ?1)",
            )
            .and_then(|mut query| query.query_row([object_no], |row| row.get(0)))
            .map_err(sql("read the candidates"))
    }

    /// Tells whether nothing was said of a membership: neither that it goes, nor that it is there.
    fn is_unread_edge(&self, group_via: i64, member: u64, seen: &super::candidates::Seen) -> Result<bool> {
        if self.stored_members(group_via)?.binary_search(&member).is_err() {
            return Ok(false);
        }
        if group_via % 2 == 1 {
            return Ok(i64::try_from(member).is_ok_and(|member| !seen.contains(member)));
        }
        if self.still_members.contains(&(group_via, member)) || self.lists_groups() {
            return Ok(false);
        }
        let [explained, going, _, held] = self.loss(group_via)?;
        Ok([explained, going, held].iter().all(|numbers| numbers.binary_search(&member).is_err()))
    }
}
