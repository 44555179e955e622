//! Which records a filter leaves, as a set of numbers: put together from postings, not from records.

use std::collections::BTreeSet;

use rusqlite::{OptionalExtension, params};

use super::View;
use super::entry::Term;
use super::fold;
use super::posting::{Set, unpack};
use super::standing::Standing;
use crate::error::Result;
use crate::model::{Filter, Nesting, ObjectKind, RecordId};
use crate::store::codec::unpack_sorted;
use crate::store::sqlite::apply::FINISHING;
use crate::store::sqlite::directory::objects_of;
use crate::store::sqlite::sql;

/// What a filter leaves of one customer's records of one kind.
pub(super) struct Selection {
    /// `None` where all are left.
    pub(super) set: Option<Set>,
    /// How many records of the kind there are.
    pub(super) all: u64,
    /// Parts of words for which the set is only a first choice: all but those of whom it is known already.
    pub(super) check: Vec<(String, Set)>,
}

/// Puts the records of a term together.
pub(super) fn posting(view: &View<'_>, customer_no: i64, term: &Term) -> Result<Set> {
    let step = || sql("read the index");
    let mut query = view
        .index
        .prepare_cached("SELECT chunk, bits FROM postings WHERE customer_no = ?1 AND term = ?2")
        .map_err(step())?;
    let mut rows = query.query(params![customer_no, term.to_bytes()]).map_err(step())?;
    let mut set = Set::default();
    while let Some(row) = rows.next().map_err(step())? {
        view.count_row();
        let bits = row.get_ref(1).map_err(step())?.as_blob().unwrap_or_default();
        set.add_row(row.get(0).map_err(step())?, unpack(bits));
    }
    Ok(set)
}

fn union(view: &View<'_>, customer_no: i64, terms: impl Iterator<Item = Term>) -> Result<Set> {
    let mut all = Set::default();
    for term in terms {
        all.union(posting(view, customer_no, &term)?);
    }
    Ok(all)
}

/// Finds who may have a part in a name or an address; with the part, if somebody has to be looked at, and who need not.
fn having(view: &View<'_>, no: i64, part: &str) -> Result<(Set, Option<Set>)> {
    let all_of = |terms: Vec<Term>| -> Result<Set> {
        let mut terms = terms.into_iter();
        let Some(first) = terms.next() else { return Ok(Set::default()) };
        let mut set = posting(view, no, &first)?;
        for term in terms {
            if set.is_empty() {
                break;
            }
            set.intersect(&posting(view, no, &term)?);
        }
        Ok(set)
    };
    let (grams, exact) = fold::grams_of_part(part);
    if exact {
        return Ok((all_of(grams.into_iter().map(Term::Gram).collect())?, None));
    }
    let mut sure = Set::default();
    let mut rest = Set::default();
    if part.chars().count() <= fold::LONGEST_PART {
        sure = posting(view, no, &Term::part(part))?;
    } else {
        rest = all_of(fold::longest_parts(part).into_iter().map(Term::part).collect())?;
    }
    for domain in domains(view, no)? {
        let has = match part.strip_prefix('@') {
            Some(start) => domain.starts_with(start),
            None => domain.contains(part),
        };
        if has {
            sure.union(posting(view, no, &Term::domain(&domain))?);
        }
    }
    // A login may have it as well; with an `@` in it, so may only a whole address.
    if part.contains('@') {
        rest.union(all_of(grams.into_iter().map(Term::Gram).collect())?);
    } else {
        rest.union(all_of(grams.into_iter().map(Term::of_login).collect())?);
    }
    rest.subtract(&sure);
    let looked_at = !rest.is_empty();
    rest.union(sure.clone());
    Ok((rest, looked_at.then_some(sure)))
}

/// Lists the domains in which somebody has an address.
fn domains(view: &View<'_>, customer_no: i64) -> Result<Vec<String>> {
    let step = || sql("read the index");
    let mut query = view
        .index
        .prepare_cached(
            "SELECT DISTINCT term FROM postings WHERE customer_no = ?1 AND term >= x'44' AND term < x'45' ORDER BY term",
        )
        .map_err(step())?;
    let mut rows = query.query([customer_no]).map_err(step())?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(step())? {
        view.count_row();
        let term = row.get_ref(0).map_err(step())?.as_blob().unwrap_or_default();
        found.extend(std::str::from_utf8(term.get(1..).unwrap_or_default()).ok().map(str::to_owned));
    }
    Ok(found)
}

/// Finds whose names or addresses begin with a text, as far as it is among the characters that are kept for that; with
/// whether that is the whole of it.
fn beginning(view: &View<'_>, no: i64, column: usize, prefix: &str) -> Result<Option<(Set, bool)>> {
    let folded = fold::prefix(prefix);
    let length = folded.chars().count();
    if length == 0 {
        return Ok(None);
    }
    let depth = length.min(fold::DEPTHS);
    let term = Term::beginning(column, depth, &fold::beginning(&folded, depth));
    Ok(Some((posting(view, no, &term)?, length <= fold::DEPTHS)))
}

/// Applies all of a filter but its prefix; that as well, if it is told in which column. Returns whether that is done.
pub(super) fn select(
    view: &View<'_>,
    standing: &Standing,
    kind: ObjectKind,
    filter: &Filter,
    prefix_in: Option<usize>,
) -> Result<(Selection, bool)> {
    let no = standing.no;
    let mut rest = posting(view, no, &Term::kind(kind))?;
    let all = rest.len();
    let mut check = Vec::new();
    let Filter { search, prefix, states, mfa, archived, missing, locked, locked_out, source, group, tag, grouped } =
        filter;
    let mut narrowed = false;
    let mut keep = |rest: &mut Set, with: &Set| {
        rest.intersect(with);
        narrowed = true;
    };
    if let Some(states) = states {
        keep(&mut rest, &union(view, no, states.iter().copied().map(Term::state))?);
    }
    if let Some(mfa) = mfa {
        keep(&mut rest, &union(view, no, mfa.iter().copied().map(Term::mfa))?);
    }
    if let Some(source) = source {
        keep(&mut rest, &posting(view, no, &Term::source(source))?);
    }
    if let Some(tag) = tag {
        keep(&mut rest, &posting(view, no, &Term::tag(tag))?);
    }
    if let Some((group, nesting)) = group {
        keep(&mut rest, &members(view, standing, *group, *nesting)?);
    }
    for word in search.as_deref().map(fold::words).unwrap_or_default() {
        let (having, sure) = having(view, no, &word)?;
        keep(&mut rest, &having);
        check.extend(sure.map(|sure| (word, sure)));
    }
    let mut whole_prefix = false;
    if let (Some((_, prefix)), Some(column)) = (prefix, prefix_in)
        && let Some((beginning, whole)) = beginning(view, no, column, prefix)?
    {
        keep(&mut rest, &beginning);
        whole_prefix = whole;
    }
    let ungrouped = grouped.map(|grouped| !grouped);
    let flags = [
        (&ungrouped, Term::ungrouped()),
        (archived, Term::archived()),
        (missing, Term::missing()),
        (locked, Term::locked()),
        (locked_out, Term::locked_out()),
    ];
    for (wanted, term) in flags {
        match wanted {
            Some(true) => keep(&mut rest, &posting(view, no, &term)?),
            Some(false) => {
                let mut others = rest.clone();
                others.subtract(&posting(view, no, &term)?);
                keep(&mut rest, &others);
            }
            None => {}
        }
    }
    Ok((Selection { set: narrowed.then_some(rest), all, check }, whole_prefix))
}

/// Lists the members of a group, as far as they are imported, by the numbers of their records.
pub(super) fn members(view: &View<'_>, standing: &Standing, group: RecordId, nesting: Nesting) -> Result<Set> {
    let own = standing.own_groups()?;
    if let Some(record) = own.values().find(|record| record.id == group) {
        // Derived: everyone who was imported through the endpoint.
        let Some(lock) = &record.lock else { return Ok(Set::default()) };
        let mut set = posting(view, standing.no, &Term::kind(ObjectKind::User))?;
        set.intersect(&posting(view, standing.no, &Term::source(&lock.endpoint))?);
        return Ok(set);
    }
    let Some(root) = live_record_no(view, standing, group)? else { return Ok(Set::default()) };
    let mut set = direct_members(view, standing, root)?;
    if nesting == Nesting::Direct {
        return Ok(set);
    }
    let groups = posting(view, standing.no, &Term::kind(ObjectKind::Group))?;
    let mut seen = BTreeSet::from([root]);
    let mut open: Vec<i64> = Vec::new();
    let more = |found: &Set, seen: &mut BTreeSet<i64>, open: &mut Vec<i64>| {
        let mut inner = found.clone();
        inner.intersect(&groups);
        open.extend(inner.iter().filter(|no| seen.insert(*no)));
    };
    more(&set, &mut seen, &mut open);
    while let Some(inner) = open.pop() {
        let found = direct_members(view, standing, inner)?;
        more(&found, &mut seen, &mut open);
        set.union(found);
    }
    Ok(set)
}

/// Returns the number of a record that is there.
pub(super) fn live_record_no(view: &View<'_>, standing: &Standing, id: RecordId) -> Result<Option<i64>> {
    let step = || sql("read a record");
    let found: Option<i64> = view
        .state
        .prepare_cached(
            "SELECT r.record_no FROM record_ids i JOIN records r USING (record_no)
             WHERE i.id = ?1 AND r.customer_no = ?2 AND r.state = 0",
        )
        .and_then(|mut query| query.query_row(params![id.0.as_bytes(), standing.no], |row| row.get(0)).optional())
        .map_err(step())?;
    if found.is_some() {
        return Ok(found);
    }
    // An apply writes the ids of new records at its end.
    let applying: bool = view
        .state
        .prepare_cached(
            "SELECT exists (SELECT 1 FROM runs JOIN endpoints USING (endpoint_no)
                            WHERE customer_no = ?1 AND position + phase > 0 AND phase < ?2)",
        )
        .and_then(|mut query| query.query_row(params![standing.no, FINISHING], |row| row.get(0)))
        .map_err(step())?;
    if !applying {
        return Ok(None);
    }
    view.state
        .prepare_cached("SELECT record_no FROM records WHERE customer_no = ?1 AND state = 0 AND id = ?2")
        .and_then(|mut query| query.query_row(params![standing.no, id.0.as_bytes()], |row| row.get(0)).optional())
        .map_err(step())
}

/// Members beyond which all joined objects of an endpoint are read at once.
const ONE_BY_ONE: usize = 512;

fn direct_members(view: &View<'_>, standing: &Standing, group: i64) -> Result<Set> {
    let step = || sql("read memberships");
    let mut set = Set::default();
    {
        // Those made by hand are between records.
        let mut query = view
            .state
            .prepare_cached(
                "SELECT coalesce(into_no, member_no) FROM manual_members LEFT JOIN absorbed ON record_no = member_no
                 WHERE customer_no = ?1 AND group_no = ?2",
            )
            .map_err(step())?;
        let mut rows = query.query(params![standing.no, group]).map_err(step())?;
        while let Some(row) = rows.next().map_err(step())? {
            set.insert(row.get(0).map_err(step())?);
        }
    }
    for object_no in objects_of(view.state, group)? {
        let mut numbers = Vec::new();
        for group_via in [object_no * 2, object_no * 2 + 1] {
            let packed: Option<Vec<u8>> = view
                .state
                .prepare_cached("SELECT members FROM group_members WHERE group_via = ?1")
                .and_then(|mut query| query.query_row([group_via], |row| row.get(0)).optional())
                .map_err(step())?;
            if let Some(packed) = packed {
                numbers.append(&mut unpack_sorted(&packed)?);
            }
        }
        if numbers.is_empty() {
            continue;
        }
        let mut found: Set = numbers.iter().map(|number| number.cast_signed()).collect();
        // Most objects are records themselves; the others stand for the record that they joined.
        let mut joined: Vec<(i64, i64)> = Vec::new();
        if numbers.len() <= ONE_BY_ONE {
            for number in &numbers {
                let record: Option<i64> = view
                    .state
                    .prepare_cached("SELECT record_no FROM objects WHERE object_no = ?1")
                    .and_then(|mut query| query.query_row([number], |row| row.get(0)).optional())
                    .map_err(step())?;
                joined.extend(record.filter(|no| *no != number.cast_signed()).map(|no| (number.cast_signed(), no)));
            }
        } else {
            let mut query = view
                .state
                .prepare_cached(
                    "SELECT object_no, record_no FROM objects INDEXED BY joined_by_object
                     WHERE endpoint_no = (SELECT endpoint_no FROM objects WHERE object_no = ?1)
                       AND record_no <> object_no",
                )
                .map_err(step())?;
            let mut rows = query.query([object_no]).map_err(step())?;
            while let Some(row) = rows.next().map_err(step())? {
                let (object, record): (i64, i64) = (row.get(0).map_err(step())?, row.get(1).map_err(step())?);
                if found.contains(object) {
                    joined.push((object, record));
                }
            }
        }
        found.subtract(&joined.iter().map(|(object, _)| *object).collect());
        found.union(joined.into_iter().map(|(_, record)| record).collect());
        set.union(found);
    }
    Ok(set)
}
