//! One record in full: its groups, computers and sources, and why an attribute has its value. It changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{OptionalExtension, params};

use super::View;
use super::entry::Term;
use super::page::read_record;
use super::select::{live_record_no, members, posting};
use super::standing::Standing;
use crate::error::Result;
use crate::model::{
    AttributeName, Belonging, Details, EndpointName, EventType, Explained, Identity, LastChange, Nesting, ObjectKind,
    Record, RecordId, RunEnd, RunId, RunReport, SourceStatus, Timestamp, ValueOwner,
};
use crate::rules::precedence;
use crate::store::codec::{Reader, unpack_sorted};
use crate::store::sqlite::apply::{images, load_record, record_row};
use crate::store::sqlite::directory::objects_of;
use crate::store::sqlite::join::joins_of;
use crate::store::sqlite::redaction::{Entry, entry, header};
use crate::store::sqlite::{damaged, kind_number, sql};

/// Finds a record by its id: its number, and what it is.
fn by_id(view: &View<'_>, standing: &Standing, id: RecordId) -> Result<Option<(i64, Record)>> {
    if let Some(found) = standing.own_groups()?.into_iter().find(|(_, group)| group.id == id) {
        return Ok(Some(found));
    }
    let Some(record_no) = live_record_no(view, standing, id)? else { return Ok(None) };
    Ok(load_record(view.state, record_no)?.map(|record| (record_no, record)))
}

/// Reads all that is known about one record.
pub(super) fn details(view: &View<'_>, id: RecordId) -> Result<Option<Details>> {
    let Some(standing) = view.standings.first() else { return Ok(None) };
    let Some((record_no, record)) = by_id(view, standing, id)? else { return Ok(None) };
    let groups = groups_of(view, standing, record_no, &record)?;
    let mut computers = Vec::new();
    let mut sources = Vec::new();
    for identity in &record.identities {
        for computer in posting(view, standing.no, &Term::owned_by(&identity.endpoint, &identity.source_id))?.iter() {
            let computer = read_record(view, standing, computer)?;
            if computer.owner.as_ref().is_some_and(|owner| owner.id == record.id) {
                computers.push(computer);
            }
        }
        sources.push(source(view, standing, record.kind, identity)?);
    }
    computers.sort_by_key(|computer| computer.id);
    computers.dedup_by_key(|computer| computer.id);
    let members = match record.kind {
        ObjectKind::Group => Some(count_members(view, standing, record_no, id)?),
        _ => None,
    };
    let joins = if record_no < 0 { Vec::new() } else { joins_of(view.state, record_no)? };
    Ok(Some(Details { joins, record, groups, computers, sources, members, position: standing.last }))
}

/// Lists the groups of a record: direct ones first, then those that contain them.
fn groups_of(view: &View<'_>, standing: &Standing, record_no: i64, record: &Record) -> Result<Vec<Belonging>> {
    let mut found: Vec<Belonging> = Vec::new();
    let mut seen = BTreeSet::from([record_no]);
    let mut open = vec![record_no];
    let mut nesting = Nesting::Direct;
    while !open.is_empty() {
        let mut next = Vec::new();
        for member in open {
            for group in containing(view, member)? {
                if seen.insert(group) {
                    next.push(group);
                    if let Some(group) = load_record(view.state, group)? {
                        found.push(Belonging { group, nesting });
                    }
                }
            }
        }
        if nesting == Nesting::Direct && record.kind == ObjectKind::User {
            let endpoints: BTreeSet<&EndpointName> = record.identities.iter().map(|one| &one.endpoint).collect();
            let own = standing.own_groups()?.into_values();
            let own = own.filter(|group| group.lock.as_ref().is_some_and(|lock| endpoints.contains(&lock.endpoint)));
            found.extend(own.map(|group| Belonging { group, nesting }));
        }
        open = next;
        nesting = Nesting::Nested;
    }
    Ok(found)
}

/// Lists the groups that contain a record directly, by number.
fn containing(view: &View<'_>, record_no: i64) -> Result<BTreeSet<i64>> {
    let step = || sql("read memberships");
    let mut groups = BTreeSet::new();
    if record_no < 0 {
        return Ok(groups);
    }
    {
        let mut query = view
            .state
            .prepare_cached(
                "SELECT group_no FROM manual_members JOIN records ON record_no = group_no
                 WHERE state = 0
                   AND (member_no = ?1 OR member_no IN (SELECT record_no FROM absorbed WHERE into_no = ?1))",
            )
            .map_err(step())?;
        let rows = query.query_map([record_no], |row| row.get(0)).map_err(step())?;
        for group in rows {
            groups.insert(group.map_err(step())?);
        }
    }
    for object_no in objects_of(view.state, record_no)? {
        let packed: Option<Vec<u8>> = view
            .state
            .prepare_cached("SELECT groups FROM member_groups WHERE member_no = ?1")
            .and_then(|mut query| query.query_row([object_no], |row| row.get(0)).optional())
            .map_err(step())?;
        for group_via in packed.map(|packed| unpack_sorted(&packed)).transpose()?.unwrap_or_default() {
            let group: Option<i64> = view
                .state
                .prepare_cached(
                    "SELECT r.record_no FROM objects o JOIN records r ON r.record_no = o.record_no
                     WHERE o.object_no = ?1 AND r.state = 0 AND r.kind = ?2",
                )
                .and_then(|mut query| {
                    query.query_row(params![group_via / 2, kind_number(ObjectKind::Group)], |row| row.get(0)).optional()
                })
                .map_err(step())?;
            groups.extend(group);
        }
    }
    Ok(groups)
}

/// Counts the direct members of a group: those that are imported, and all.
fn count_members(view: &View<'_>, standing: &Standing, record_no: i64, id: RecordId) -> Result<(u64, u64)> {
    let imported = members(view, standing, id, Nesting::Direct)?;
    let mut live = 0;
    for kind in ObjectKind::ALL {
        let mut of_kind = posting(view, standing.no, &Term::kind(*kind))?;
        of_kind.intersect(&imported);
        live += of_kind.len();
    }
    if record_no < 0 {
        return Ok((live, live));
    }
    let mut all: u64 = view
        .state
        .prepare_cached("SELECT count(*) FROM manual_members WHERE customer_no = ?1 AND group_no = ?2")
        .and_then(|mut query| query.query_row(params![standing.no, record_no], |row| row.get(0)))
        .map_err(sql("read memberships"))?;
    for object_no in objects_of(view.state, record_no)? {
        let count: Option<u64> = view
            .state
            .prepare_cached("SELECT sum(count) FROM group_members WHERE group_via IN (?1, ?2)")
            .and_then(|mut query| query.query_row([object_no * 2, object_no * 2 + 1], |row| row.get(0)))
            .map_err(sql("read memberships"))?;
        all += count.unwrap_or_default();
    }
    Ok((live, all))
}

fn source(view: &View<'_>, standing: &Standing, kind: ObjectKind, identity: &Identity) -> Result<SourceStatus> {
    let step = || sql("read the history");
    let (endpoint_no, title): (i64, String) = view
        .state
        .prepare_cached("SELECT endpoint_no, title FROM endpoints WHERE customer_no = ?1 AND name = ?2")
        .and_then(|mut query| {
            query.query_row(params![standing.no, identity.endpoint.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
        })
        .map_err(step())?;
    let last = |statement: &'static str| -> Result<Option<RunEnd>> {
        let report: Option<String> = view
            .state
            .prepare_cached(statement)
            .and_then(|mut query| query.query_row([endpoint_no], |row| row.get(0)).optional())
            .map_err(step())?;
        report
            .map(|report| {
                let report: RunReport = serde_json::from_str(&report).map_err(|_| damaged("a report"))?;
                let RunReport { run, finished_at: at, outcome, error, .. } = report;
                Ok(RunEnd { run, at, outcome, error })
            })
            .transpose()
    };
    let quarantined: Option<(i64, String)> = view
        .state
        .prepare_cached("SELECT since, reason FROM quarantine WHERE endpoint_no = ?1 AND kind = ?2 AND source_id = ?3")
        .and_then(|mut query| {
            query
                .query_row(params![endpoint_no, kind_number(kind), identity.source_id.to_stored()], |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })
                .optional()
        })
        .map_err(step())?;
    Ok(SourceStatus {
        endpoint: identity.endpoint.clone(),
        title,
        source_id: identity.source_id.clone(),
        last_import: last(
            "SELECT report FROM runs WHERE endpoint_no = ?1 AND report ->> 'outcome' IN ('done', 'held')
             ORDER BY run_no DESC LIMIT 1",
        )?,
        last_error: last(
            "SELECT report FROM runs WHERE endpoint_no = ?1 AND report ->> 'outcome' = 'failed'
             ORDER BY run_no DESC LIMIT 1",
        )?,
        quarantined: quarantined.map(|(since, reason)| (Timestamp(since), reason)),
    })
}

/// Tells why an attribute has its value.
pub(super) fn explain(view: &View<'_>, id: RecordId, attribute: &AttributeName) -> Result<Option<Explained>> {
    let Some(standing) = view.standings.first() else { return Ok(None) };
    let Some((record_no, record)) = by_id(view, standing, id)? else { return Ok(None) };
    let value = record.value_as_json(attribute);
    let locked_by = record.lock.as_ref().map(|lock| lock.endpoint.clone());
    let mut overruled = BTreeMap::new();
    let owner = match attribute.as_str() {
        "archived" => ValueOwner::Local,
        "missing_since" | "lock" | "identities" => locked_by.map_or(ValueOwner::Local, ValueOwner::Endpoint),
        _ if record_no < 0 => locked_by.map_or(ValueOwner::Nobody, ValueOwner::Endpoint),
        _ => {
            let mut said = images(view.state, record_no)?;
            precedence::sort(&mut said);
            let owner = said.first().into_iter().chain(precedence::giver(&said, attribute));
            let yields = owner.into_iter().any(|image| precedence::yields(image, attribute));
            let mut said = said.into_iter().filter_map(|image| {
                let value = image.attributes.get(attribute)?;
                Some((image.endpoint, serde_json::to_value(value).unwrap_or_default()))
            });
            let local = is_local(view, record_no, attribute)?;
            let first = if local && yields { None } else { said.next() };
            for (endpoint, value) in said {
                overruled.entry(endpoint).or_insert(value);
            }
            match first {
                Some((endpoint, _)) => ValueOwner::Endpoint(endpoint),
                None if local => ValueOwner::Local,
                None => ValueOwner::Nobody,
            }
        }
    };
    if let ValueOwner::Endpoint(owner) = &owner {
        overruled.remove(owner);
    }
    let changed = last_change(view, standing, id, attribute)?;
    Ok(Some(Explained { value, owner, overruled, changed, all_kept: standing.dropped == 0 }))
}

/// Tells whether local editors have said something of an attribute.
fn is_local(view: &View<'_>, record_no: i64, attribute: &AttributeName) -> Result<bool> {
    Ok(record_row(view.state, record_no)?.is_some_and(|row| row.local.get(attribute).is_some()))
}

/// Looks for the newest event that tells of a change, back to the oldest one that is kept.
fn last_change(
    view: &View<'_>,
    standing: &Standing,
    id: RecordId,
    attribute: &AttributeName,
) -> Result<Option<LastChange>> {
    let step = || sql("read events");
    let mut query = view
        .state
        .prepare_cached(
            "SELECT first_sequence, time, segment FROM outbox WHERE customer_no = ?1 ORDER BY last_sequence DESC",
        )
        .map_err(step())?;
    let mut rows = query.query([standing.no]).map_err(step())?;
    let subject = id.to_string();
    while let Some(row) = rows.next().map_err(step())? {
        let segment = row.get_ref(2).map_err(step())?.as_blob().map_err(|_| damaged("a segment of events"))?;
        let bytes = lz4_flex::decompress_size_prepended(segment).map_err(|_| damaged("a segment of events"))?;
        let found = change_in(&bytes, row.get(0).map_err(step())?, &subject, attribute)?;
        if let Some(mut change) = found {
            change.at = Timestamp(row.get(1).map_err(step())?);
            return Ok(Some(change));
        }
    }
    Ok(None)
}

/// Finds the last change of an attribute in one segment.
fn change_in(segment: &[u8], first: u64, subject: &str, attribute: &AttributeName) -> Result<Option<LastChange>> {
    let mut reader = Reader::new(segment, "a segment of events");
    let (endpoint, _) = header(&mut reader)?;
    let mut found = None;
    let mut position = first;
    while !reader.is_at_end() {
        let (event_type, data) = match entry(&mut reader)? {
            Entry::Json { event_type, subject: of, data } => {
                position += 1;
                if of != subject {
                    continue;
                }
                (event_type, data)
            }
            Entry::Members { members, .. } => {
                position += members.len() as u64;
                continue;
            }
        };
        let upserted = [
            EventType::UserUpserted,
            EventType::UserMerged,
            EventType::UserSplit,
            EventType::GroupUpserted,
            EventType::ComputerUpserted,
        ];
        if !upserted.contains(&event_type) {
            continue;
        }
        let data: serde_json::Value = serde_json::from_slice(data).map_err(|_| damaged("an event"))?;
        let changed = data["changed"].as_array().into_iter().flatten().any(|name| name == attribute.as_str());
        let run = data["run"].as_str().and_then(|run| uuid::Uuid::try_parse(run).ok()).map(RunId);
        if changed {
            let previous = data["previous"].get(attribute.as_str()).cloned();
            let (endpoint, position) = (endpoint.clone(), position - 1);
            found = Some(LastChange { at: Timestamp(0), position, endpoint, run, previous });
        }
    }
    Ok(found)
}
