//! Memberships that would begin or end, and which of the endings need a second reading.

use rusqlite::{OptionalExtension, params};

use super::Verdict;
use crate::coverage::CoverageSeal;
use crate::endpoint::Membership;
use crate::error::Result;
use crate::model::{Facet, Member, ObjectKind, SourceId, SourceKey, Via};
use crate::store::EdgeDoubt;
use crate::store::codec::{pack_sorted, unpack_sorted};
use crate::store::numbers::Numbers;
use crate::store::sqlite::stage::Stage;
use crate::store::sqlite::{damaged, sql};

/// Members of one group that are read a second time at once.
const DOUBTS_AT_ONCE: usize = 1000;

/// Returns what is in the first sorted list and not in the second.
pub(in super::super) fn subtract_sorted(from: &[u64], what: &[u64]) -> Vec<u64> {
    let mut what = what.iter().peekable();
    from.iter()
        .copied()
        .filter(|number| {
            while what.next_if(|other| **other < *number).is_some() {}
            what.peek() != Some(&number)
        })
        .collect()
}

/// Returns what is in either of two sorted lists.
pub(in super::super) fn merge_sorted(a: &[u64], b: &[u64]) -> Vec<u64> {
    let mut merged = [a, b].concat();
    merged.sort_unstable();
    merged.dedup();
    merged
}

impl Stage {
    /// Reads the stored members of a group, by the numbers that they will have.
    pub(in super::super) fn stored_members(&self, group_via: i64) -> Result<Vec<u64>> {
        let mut members = self
            .main
            .prepare_cached("SELECT members FROM group_members WHERE group_via = ?1")
            .and_then(|mut query| {
                query.query_row([self.renames.stored_via(group_via)], |row| row.get::<_, Vec<u8>>(0)).optional()
            })
            .map_err(sql("read memberships"))?
            .map_or_else(|| Ok(Vec::new()), |packed| unpack_sorted(&packed))?;
        if self.renames.bring(&mut members) {
            members.sort_unstable();
            members.dedup();
        }
        Ok(members)
    }

    /// Reads the stored members of a group as a set, by the numbers that they will have.
    fn stored_set(&self, group_via: i64) -> Result<Numbers> {
        let mut members = self
            .main
            .prepare_cached("SELECT members FROM group_members WHERE group_via = ?1")
            .and_then(|mut query| {
                query.query_row([self.renames.stored_via(group_via)], |row| row.get::<_, Vec<u8>>(0)).optional()
            })
            .map_err(sql("read memberships"))?
            .map_or_else(|| Ok(Numbers::default()), |packed| Numbers::unpack(&packed))?;
        for (old, new) in self.renames.iter() {
            if members.remove(old) {
                members.insert(new);
            }
        }
        Ok(members)
    }

    /// Counts the stored members of a group.
    pub(super) fn count_members(&self, group_via: i64) -> Result<u64> {
        self.main
            .prepare_cached("SELECT count FROM group_members WHERE group_via = ?1")
            .and_then(|mut query| query.query_row([self.renames.stored_via(group_via)], |row| row.get(0)).optional())
            .map(Option::unwrap_or_default)
            .map_err(sql("read memberships"))
    }

    /// Stages the primary memberships of groups that were named before they were imported, or that are back: those who
    /// name them have not changed, so nothing else would bring them.
    fn wake_primaries(&mut self) -> Result<()> {
        let step = || sql("find who names a group");
        if self.known()?.iter().all(|count| *count == 0) {
            return Ok(());
        }
        let mut groups = std::collections::BTreeMap::new();
        {
            let mut query = self
                .file
                .prepare(
                    "SELECT stage_no / 4, source_id FROM objects
                     WHERE kind = 1 AND stage_no % 4 = 0 AND disposition IN (0, 2)",
                )
                .map_err(step())?;
            let mut rows = query.query([]).map_err(step())?;
            while let Some(row) = rows.next().map_err(step())? {
                let id: Vec<u8> = row.get(1).map_err(step())?;
                let key = SourceId::from_stored(&id).ok_or_else(|| damaged("a source id"))?.key();
                if self.probe(&key, Facet::Core)?.is_some() {
                    groups.insert(row.get::<_, i64>(0).map_err(step())?, key);
                }
            }
        }
        if groups.is_empty() {
            return Ok(());
        }
        let mut named = Vec::new();
        {
            let mut query = self
                .main
                .prepare(
                    "SELECT object_no, primary_group, source_id FROM objects
                     WHERE endpoint_no = ?1 AND primary_group IS NOT NULL",
                )
                .map_err(step())?;
            let mut rows = query.query([self.endpoint_no]).map_err(step())?;
            while let Some(row) = rows.next().map_err(step())? {
                let group_no: i64 = row.get(1).map_err(step())?;
                let Some(group) = groups.get(&group_no) else { continue };
                let id = row.get_ref(2).map_err(step())?.as_blob().ok().and_then(SourceId::from_stored);
                named.push((*group, group_no, row.get::<_, i64>(0).map_err(step())?, id));
            }
        }
        for (group, group_no, object_no, id) in named {
            let id = id.ok_or_else(|| damaged("a source id"))?;
            let Some(probe) = self.probe(&id.key(), Facet::Core)?.filter(|probe| probe.standing.is_present()) else {
                continue;
            };
            let names_another: bool = self
                .file
                .prepare_cached("SELECT exists (SELECT 1 FROM edge_ends WHERE group_via = ?1 AND member_no = ?2)")
                .and_then(|mut query| query.query_row([group_no * 2 + 1, object_no], |row| row.get(0)))
                .map_err(step())?;
            if !names_another {
                self.add_member(group, Via::Primary, &Member { id, kind: probe.standing.member_kind() })?;
            }
        }
        self.commit_batch()
    }

    /// Lists staged groups behind a position, in the order of their listing: that of their stored members as a rule.
    fn staged_groups(&self, after: i64, limit: usize) -> Result<Vec<(i64, SourceKey, i64, bool)>> {
        let step = || sql("read staged memberships");
        let mut query = self
            .file
            .prepare_cached(
                "SELECT staged_no, group_key, via, closed FROM groups WHERE staged_no > ?1 ORDER BY staged_no LIMIT ?2",
            )
            .map_err(step())?;
        let rows = query
            .query_map(params![after, limit], |row| Ok((row.get(0)?, SourceKey(row.get(1)?), row.get(2)?, row.get(3)?)))
            .map_err(step())?;
        rows.collect::<Result<Vec<_>, _>>().map_err(step())
    }

    /// Compares the staged groups with the stored ones. Returns how many memberships begin.
    ///
    /// Only under a seal does the absence of a member from a closed group mean that it may have ended.
    pub(in super::super) fn plan_memberships(&mut self, seal: Option<&CoverageSeal>) -> Result<u64> {
        let step = || sql("plan memberships");
        self.wake_primaries()?;
        self.forget_open_groups();
        let transaction = self.file.unchecked_transaction().map_err(step())?;
        let _reading = self.reading()?;
        let mut index = None;
        let mut begin = 0_u64;
        let mut after = 0;
        loop {
            let groups = self.staged_groups(after, 1000)?;
            let Some((last, ..)) = groups.last() else { break };
            after = *last;
            let index = match &index {
                Some(index) => index,
                None => index.insert(self.key_index()?),
            };
            for (_, key, via, closed) in groups {
                let found = index.get(&key)?;
                let comes = match &found {
                    Some(found) => found.standing.is_present() || self.is_staged(found.object_no)?,
                    None => self.new_key(&key)?.is_some(),
                };
                if !comes {
                    continue;
                }
                let number = match found {
                    Some(found) => found.object_no,
                    // New by its id, and stored under the one that it had.
                    None => self.new_key(&key)?.filter(|no| self.renames.is_new(*no)).unwrap_or(0),
                };
                let group_via = number * 2 + via;
                let stored = if group_via < 2 { Numbers::default() } else { self.stored_set(group_via)? };
                if stored.is_empty() && self.member_blocks(&key, via)?.len() <= 1 {
                    let mut keys = Vec::new();
                    self.listed_members(&key, via, |member| {
                        keys.push(member.id.key());
                        Ok(())
                    })?;
                    keys.sort_unstable();
                    keys.dedup();
                    begin += keys.len() as u64;
                    continue;
                }
                let (mut listed, mut strangers) = (Numbers::default(), Vec::new());
                self.listed_members(&key, via, |member| {
                    let key = member.id.key();
                    let known = match index.get(&key)? {
                        Some(found) => Some(found.object_no),
                        None => self.new_key(&key)?,
                    };
                    match known {
                        Some(object_no) => {
                            listed.insert(object_no.unsigned_abs());
                        }
                        None => strangers.push(key),
                    }
                    Ok(())
                })?;
                strangers.sort_unstable();
                strangers.dedup();
                begin +=
                    strangers.len() as u64 + listed.iter().filter(|number| !stored.contains(*number)).count() as u64;
                if let Some(seal) = seal.filter(|_| closed) {
                    let absent: Vec<u64> = stored.iter().filter(|number| !listed.contains(*number)).collect();
                    self.write_absence(seal, group_via, &absent)?;
                }
            }
        }
        self.plan_statements()?;
        transaction.commit().map_err(step())?;
        Ok(begin)
    }

    /// Tells whether an object is going to be removed, as judged.
    pub(in super::super) fn goes(&self, object_no: i64) -> Result<bool> {
        let verdict: Option<i64> = self
            .file
            .prepare_cached("SELECT verdict FROM candidates WHERE object_no = ?1 AND held = 0")
            .and_then(|mut query| query.query_row([object_no], |row| row.get(0)).optional())
            .map_err(sql("read the candidates"))?;
        Ok(verdict.map(Verdict::from_number).transpose()?.is_some_and(Verdict::is_proof))
    }

    /// Counts the staged memberships of groups that are going to be removed: these do not begin.
    pub(in super::super) fn begin_in_vain(&self) -> Result<u64> {
        let step = || sql("plan memberships");
        let groups: Vec<(i64, Vec<u8>)> = {
            let mut query = self
                .file
                .prepare("SELECT object_no, source_id FROM candidates WHERE kind = 1 AND held = 0")
                .map_err(step())?;
            let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).map_err(step())?;
            rows.collect::<Result<_, _>>().map_err(step())?
        };
        let mut count = 0;
        for (object_no, source_id) in groups {
            if !self.goes(object_no)? {
                continue;
            }
            let key = SourceId::from_stored(&source_id).ok_or_else(|| damaged("a source id"))?.key();
            for via in [0, 1] {
                let stored = self.stored_members(object_no * 2 + via)?;
                let mut begin = std::collections::BTreeSet::new();
                self.listed_members(&key, via, |member| {
                    let key = member.id.key();
                    let number = self.probe(&key, Facet::Core)?.and_then(|probe| u64::try_from(probe.object_no).ok());
                    if number.is_none_or(|number| stored.binary_search(&number).is_err()) {
                        begin.insert(key);
                    }
                    Ok(())
                })?;
                count += begin.len() as u64;
            }
        }
        Ok(count)
    }

    /// Notes members that a group no longer lists, listed to its end under one coverage.
    fn write_absence(&self, _seal: &CoverageSeal, group_via: i64, absent: &[u64]) -> Result<()> {
        self.write_loss(group_via, &[], absent)
    }

    fn write_loss(&self, group_via: i64, going: &[u64], doubted: &[u64]) -> Result<()> {
        if going.is_empty() && doubted.is_empty() {
            return Ok(());
        }
        self.file
            .prepare_cached("INSERT OR REPLACE INTO edge_losses VALUES (?1, x'', ?2, ?3, x'')")
            .and_then(|mut insert| insert.execute(params![group_via, pack_sorted(going), pack_sorted(doubted)]))
            .map(drop)
            .map_err(sql("plan memberships"))
    }

    /// Takes over what the directory itself said has ended.
    fn plan_statements(&self) -> Result<()> {
        let step = || sql("plan memberships");
        let mut statements: std::collections::BTreeMap<i64, Vec<u64>> = std::collections::BTreeMap::new();
        {
            let mut query =
                self.file.prepare("SELECT group_via, member_no FROM edge_ends ORDER BY 1, 2").map_err(step())?;
            let mut rows = query.query([]).map_err(step())?;
            while let Some(row) = rows.next().map_err(step())? {
                statements.entry(row.get(0).map_err(step())?).or_default().push(row.get(1).map_err(step())?);
            }
        }
        self.add_gone(&mut statements)?;
        for (group_via, mut said) in statements {
            said.sort_unstable();
            said.dedup();
            let stored = self.stored_members(group_via)?;
            let going = subtract_sorted(&stored, &subtract_sorted(&stored, &said));
            let [_, _, doubted, _] = self.loss(group_via)?;
            let doubted = subtract_sorted(&doubted, &going);
            self.write_loss(group_via, &going, &doubted)?;
        }
        Ok(())
    }

    /// Lists the groups with endings.
    pub(in super::super) fn groups_with_losses(&self) -> Result<Vec<i64>> {
        let step = || sql("read the plan");
        let mut query = self.file.prepare("SELECT group_via FROM edge_losses ORDER BY group_via").map_err(step())?;
        let rows = query.query_map([], |row| row.get(0)).map_err(step())?;
        rows.collect::<Result<_, _>>().map_err(step())
    }

    /// Reads the endings of one group: explained, going, doubted and held members.
    pub(in super::super) fn loss(&self, group_via: i64) -> Result<[Vec<u64>; 4]> {
        let step = || sql("read the plan");
        let columns: Option<[Vec<u8>; 4]> = self
            .file
            .prepare_cached("SELECT explained, going, doubted, held FROM edge_losses WHERE group_via = ?1")
            .and_then(|mut query| {
                query.query_row([group_via], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?])).optional()
            })
            .map_err(step())?;
        let Some([explained, going, doubted, held]) = columns else { return Ok(Default::default()) };
        Ok([unpack_sorted(&explained)?, unpack_sorted(&going)?, unpack_sorted(&doubted)?, unpack_sorted(&held)?])
    }

    /// Tells whether all groups were listed, not only what changed of some.
    pub(super) fn lists_groups(&self) -> bool {
        // An id listing closes them too, and names no member.
        !self.is_delta() && self.closes.closed().any(|scope| *scope == crate::model::Scope::Groups)
    }

    /// Tells whether the end of a primary membership is held back.
    pub(in super::super) fn is_held(&self, group_no: Option<i64>, member_no: i64) -> Result<bool> {
        let Some(group_no) = group_no else { return Ok(false) };
        let [.., held] = self.loss(group_no * 2 + 1)?;
        Ok(u64::try_from(member_no).is_ok_and(|member| held.binary_search(&member).is_ok()))
    }

    pub(in super::super) fn set_loss(
        &self,
        group_via: i64,
        [explained, going, doubted, held]: &[Vec<u64>; 4],
    ) -> Result<()> {
        self.file
            .prepare_cached(
                "UPDATE edge_losses SET explained = ?2, going = ?3, doubted = ?4, held = ?5 WHERE group_via = ?1",
            )
            .and_then(|mut update| {
                update.execute(params![
                    group_via,
                    pack_sorted(explained),
                    pack_sorted(going),
                    pack_sorted(doubted),
                    pack_sorted(held)
                ])
            })
            .map(drop)
            .map_err(sql("plan memberships"))
    }

    /// Settles the endings whose member is itself judged: they go or stay with it.
    ///
    /// The edges of what is parked, missing or voided stay; those of a proven end go with it, and need no second reading.
    pub(in super::super) fn explain_losses(&mut self) -> Result<()> {
        let step = || sql("plan memberships");
        let (mut ended, mut kept) = (Vec::new(), Vec::new());
        {
            let mut query = self
                .file
                .prepare("SELECT object_no, verdict, held FROM candidates ORDER BY object_no")
                .map_err(step())?;
            let mut rows = query.query([]).map_err(step())?;
            while let Some(row) = rows.next().map_err(step())? {
                let object_no: u64 = row.get(0).map_err(step())?;
                let verdict = Verdict::from_number(row.get(1).map_err(step())?)?;
                let held: bool = row.get(2).map_err(step())?;
                match verdict {
                    // Its groups may list it still: that they do not is to be read a second time like any other ending.
                    verdict if verdict.is_out_of_scope() && !held => {}
                    verdict if verdict.is_proof() && !held => ended.push(object_no),
                    _ => kept.push(object_no),
                }
            }
        }
        if ended.is_empty() && kept.is_empty() {
            return Ok(());
        }
        for group_via in self.groups_with_losses()? {
            let [explained, going, doubted, held] = self.loss(group_via)?;
            let both = |some: &[u64], list: &[u64]| subtract_sorted(some, &subtract_sorted(some, list));
            let explained = merge_sorted(&explained, &both(&doubted, &ended));
            let doubted = subtract_sorted(&subtract_sorted(&doubted, &ended), &kept);
            self.set_loss(group_via, &[explained, going, doubted, held])?;
        }
        Ok(())
    }

    /// Returns the next group whose endings need a second reading.
    pub(in super::super) fn next_doubt(&self) -> Result<Option<EdgeDoubt>> {
        let next: Option<i64> = self
            .file
            .prepare_cached(
                "SELECT group_via FROM edge_losses INDEXED BY edge_doubts WHERE length(doubted) > 0 LIMIT 1",
            )
            .and_then(|mut query| query.query_row([], |row| row.get(0)).optional())
            .map_err(sql("read the plan"))?;
        let Some(group_via) = next else { return Ok(None) };
        let [.., doubted, _] = self.loss(group_via)?;
        let id_of = |object_no: i64| self.id_by_number(object_no);
        let group = id_of(group_via / 2)?;
        let key = SourceId::from_stored(&group).ok_or_else(|| damaged("a source id"))?.key();
        let container = self.probe(&key, Facet::Core)?.and_then(|probe| probe.container_no);
        let group = self.object_ref(ObjectKind::Group, container, &group)?;
        let mut members = Vec::new();
        for number in doubted.iter().take(DOUBTS_AT_ONCE) {
            let id = id_of(i64::try_from(*number).map_err(|_| damaged("a number"))?)?;
            members.push((*number, SourceId::from_stored(&id).ok_or_else(|| damaged("a source id"))?));
        }
        Ok(Some(EdgeDoubt { group_via, group, members }))
    }

    /// Returns the source id of a stored object, or of one that is another's next.
    pub(super) fn id_by_number(&self, object_no: i64) -> Result<Vec<u8>> {
        let step = || sql("read an object");
        if self.renames.is_new(object_no) {
            return self
                .file
                .prepare_cached("SELECT source_id FROM objects WHERE stage_no = ?1")
                .and_then(|mut query| query.query_row([object_no * 4], |row| row.get(0)))
                .map_err(step());
        }
        self.main
            .prepare_cached("SELECT source_id FROM objects WHERE object_no = ?1")
            .and_then(|mut query| query.query_row([object_no], |row| row.get(0)))
            .map_err(step())
    }

    /// Stores what the second reading said. A listing of which more than 1 % was wrong is not believed at all.
    pub(in super::super) fn settle_doubt(&mut self, doubt: &EdgeDoubt, answers: &[Membership]) -> Result<()> {
        let [explained, going, doubted, held] = self.loss(doubt.group_via)?;
        let asked: Vec<u64> = doubt.members.iter().map(|(number, _)| *number).collect();
        let rest = subtract_sorted(&doubted, &asked);
        let contradicted = answers.iter().filter(|answer| **answer == Membership::Member).count();
        let members = asked.iter().zip(answers).filter(|(_, answer)| **answer == Membership::Member);
        self.still_members.extend(members.map(|(number, _)| (doubt.group_via, *number)));
        if contradicted * 100 > asked.len() && self.lists_groups() {
            return self.set_loss(doubt.group_via, &[explained, Vec::new(), Vec::new(), held]);
        }
        let confirmed: Vec<u64> = asked
            .iter()
            .zip(answers)
            .filter(|(_, answer)| **answer == Membership::NotMember)
            .map(|(number, _)| *number)
            .collect();
        self.set_loss(doubt.group_via, &[explained, merge_sorted(&going, &confirmed), rest, held])
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn sorted_lists_behave_as_sets(a: BTreeSet<u64>, b: BTreeSet<u64>) {
            let (left, right): (Vec<u64>, Vec<u64>) = (a.iter().copied().collect(), b.iter().copied().collect());
            prop_assert_eq!(subtract_sorted(&left, &right), a.difference(&b).copied().collect::<Vec<_>>());
            prop_assert_eq!(merge_sorted(&left, &right), a.union(&b).copied().collect::<Vec<_>>());
        }
    }
}
