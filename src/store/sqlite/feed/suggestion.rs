//! What could be better: records that contradict each other, users in no group. Told from indexes, a page at a time.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, params};

use super::{answer, cursor_parts, digest, is_dismissed, no_cursor};
use crate::error::Result;
use crate::model::{
    ConflictReason, CustomerId, EndpointName, FeedCursor, FeedPage, Notice, NoticeId, NoticeQuery, ObjectKind, Record,
    RecordId, Timestamp, Topic,
};
use crate::rules::join::addresses;
use crate::store::sqlite::apply::load_record;
use crate::store::sqlite::query::ungrouped;
use crate::store::sqlite::{SqliteStore, damaged, sql};

/// Pairs that are looked at for one page, at most: many may be over, or dismissed.
const LOOKED_AT: usize = 2000;
/// The place of what has no time: behind all that has.
const UNTIMED: &str = "untimed";

/// Reads a page.
pub(super) fn read(
    store: &SqliteStore,
    customer: &CustomerId,
    query: &NoticeQuery,
    after: Option<&FeedCursor>,
    limit: usize,
) -> Result<FeedPage<Notice>> {
    let customer_no = store.known_customer(customer)?;
    let digest = digest(customer, query);
    let mut at = Some(Place { found_at: i64::MAX, record_no: i64::MAX, other_no: i64::MAX });
    if let Some(after) = after {
        let [first, rest] = cursor_parts(after, &digest)?;
        at = if first == UNTIMED { None } else { Some(Place::parse(first, rest)?) };
    }
    let mut entries = Vec::new();
    if let Some(from) = at {
        let host = store.host();
        let transaction = host.unchecked_transaction().map_err(sql("read a feed"))?;
        let (found, next) = pairs(&transaction, customer, customer_no, query, from, limit)?;
        entries = found;
        if let Some(next) = next {
            let next = FeedCursor::new(format!("{digest}:{}:{}/{}", next.found_at, next.record_no, next.other_no));
            return Ok(FeedPage { entries, next: Some(next) });
        }
    }
    if entries.len() == limit {
        return Ok(FeedPage { entries, next: Some(FeedCursor::new(format!("{digest}:{UNTIMED}:"))) });
    }
    if let Some(mut notice) = without_group(store, customer, query.record)? {
        let host = store.host();
        answer::join(&host, customer_no, std::slice::from_mut(&mut notice))?;
        if query.with_dismissed || !is_dismissed(&notice) {
            entries.push(notice);
        }
    }
    Ok(FeedPage { entries, next: None })
}

/// A place in the order of pairs.
#[derive(Clone, Copy)]
struct Place {
    found_at: i64,
    record_no: i64,
    other_no: i64,
}

impl Place {
    fn parse(first: &str, rest: &str) -> Result<Self> {
        let parse = |text: &str| text.parse::<i64>().map_err(|_| no_cursor());
        let (record_no, other_no) = rest.split_once('/').ok_or_else(no_cursor)?;
        Ok(Self { found_at: parse(first)?, record_no: parse(record_no)?, other_no: parse(other_no)? })
    }
}

const PAIRS: &str = "SELECT found_at, c.record_no, c.other_no, reason FROM conflicts c
    WHERE c.customer_no = ?1 AND (found_at, c.record_no, c.other_no) < (?2, ?3, ?4)
    ORDER BY found_at DESC, c.record_no DESC, c.other_no DESC LIMIT ?5";
const PAIRS_OF: &str = "SELECT found_at, record_no, other_no, reason FROM (
        SELECT * FROM conflicts WHERE customer_no = ?1 AND record_no = ?6
        UNION SELECT * FROM conflicts INDEXED BY conflicts_of_other WHERE customer_no = ?1 AND other_no = ?6)
    WHERE (found_at, record_no, other_no) < (?2, ?3, ?4)
    ORDER BY found_at DESC, record_no DESC, other_no DESC LIMIT ?5";

/// Reads pairs before a place; returns where to go on, unless that was all.
fn pairs(
    connection: &Connection,
    customer: &CustomerId,
    customer_no: i64,
    query: &NoticeQuery,
    from: Place,
    limit: usize,
) -> Result<(Vec<Notice>, Option<Place>)> {
    let step = || sql("read conflicts");
    let record_no = match query.record {
        None => None,
        Some(id) => match crate::store::sqlite::directory::live_record_no(connection, customer, id)? {
            Some(record_no) => Some(record_no),
            None => return Ok((Vec::new(), None)),
        },
    };
    let mut statement = connection.prepare_cached(if record_no.is_some() { PAIRS_OF } else { PAIRS }).map_err(step())?;
    let mut rows = match record_no {
        Some(record_no) => {
            statement.query(params![customer_no, from.found_at, from.record_no, from.other_no, LOOKED_AT, record_no])
        }
        None => statement.query(params![customer_no, from.found_at, from.record_no, from.other_no, LOOKED_AT]),
    }
    .map_err(step())?;
    let (mut found, mut looked_at, mut last) = (Vec::new(), 0, from);
    while let Some(row) = rows.next().map_err(step())? {
        if found.len() == limit {
            return Ok((found, Some(last)));
        }
        looked_at += 1;
        let number = |at: usize| row.get::<_, i64>(at).map_err(step());
        last = Place { found_at: number(0)?, record_no: number(1)?, other_no: number(2)? };
        let reason = ConflictReason::ALL.get(row.get::<_, usize>(3).map_err(step())?).copied();
        let reason = reason.ok_or_else(|| damaged("a conflict"))?;
        let Some(notice) = pair(connection, last, reason)? else { continue };
        let mut one = [notice];
        answer::join(connection, customer_no, &mut one)?;
        found.extend(one.into_iter().filter(|notice| query.with_dismissed || !is_dismissed(notice)));
    }
    let more = looked_at == LOOKED_AT;
    Ok((found, more.then_some(last)))
}

/// Describes a pair, if both are there and still contradict each other.
fn pair(connection: &Connection, place: Place, reason: ConflictReason) -> Result<Option<Notice>> {
    let live = |record_no: i64| -> Result<Option<Record>> {
        let there: Option<i64> = connection
            .prepare_cached("SELECT 1 FROM records WHERE record_no = ?1 AND state = 0")
            .and_then(|mut query| query.query_row([record_no], |row| row.get(0)).optional())
            .map_err(sql("read a record"))?;
        there.map_or(Ok(None), |_| load_record(connection, record_no))
    };
    let (Some(one), Some(other)) = (live(place.record_no)?, live(place.other_no)?) else { return Ok(None) };
    let text = match reason {
        ConflictReason::AddressWithOtherNames => "two records have the same address and other names",
        ConflictReason::SecondaryAddress => "two records have an address in common that is not the primary one of both",
        ConflictReason::SeveralCandidates => "several records fit one person",
        ConflictReason::JoinedOtherwise => {
            "two records seem to be one person, and one of them is joined with somebody else there already"
        }
        ConflictReason::LateAnchor => "two records that were known apart turned out to be the same",
    };
    let by_address = matches!(reason, ConflictReason::AddressWithOtherNames | ConflictReason::SecondaryAddress);
    if by_address && addresses(&one.attributes).is_disjoint(&addresses(&other.attributes)) {
        return Ok(None);
    }
    let endpoints = |record: &Record| -> BTreeSet<EndpointName> {
        record.identities.iter().map(|identity| identity.endpoint.clone()).collect()
    };
    let (here, there) = (endpoints(&one), endpoints(&other));
    // What somebody took apart is not to be suggested again.
    if !here.is_empty() && !there.is_empty() && are_apart(connection, place)? {
        return Ok(None);
    }
    let joinable = one.kind == ObjectKind::User
        && other.kind == ObjectKind::User
        && !(here.is_empty() && there.is_empty())
        && here.is_disjoint(&there);
    let of_endpoints = !here.is_empty() && !there.is_empty();
    let topic = if joinable && of_endpoints { Topic::ProbableJoin } else { Topic::Duplicate };
    let remedy = if topic == Topic::ProbableJoin {
        "if they are one person, join them; if they are two, dismiss this, or take the address from one of them"
    } else if joinable {
        "if they are one person, join them, or give them the same names; else take the address from one of them"
    } else {
        "see which of them is right, and correct the other one in its directory"
    };
    Ok(Some(Notice {
        id: NoticeId::new(topic, format!("{}/{}", one.id, other.id), [place.found_at, 0]),
        feed: topic.feed(),
        topic,
        severity: topic.severity(),
        endpoint: one.lock.as_ref().map(|lock| lock.endpoint.clone()),
        records: vec![one.id, other.id],
        plan: None,
        count: None,
        since: Some(Timestamp(place.found_at)),
        text: text.to_owned(),
        remedy: remedy.to_owned(),
        answered: None,
    }))
}

/// Tells whether somebody said that two records are not the same.
fn are_apart(connection: &Connection, place: Place) -> Result<bool> {
    connection
        .prepare_cached(
            "SELECT 1 FROM (SELECT ?1 AS object_no UNION SELECT object_no FROM objects INDEXED BY objects_joined
                            WHERE record_no = ?1 AND record_no <> object_no) one
             JOIN apart a ON a.object_no = one.object_no
             JOIN objects other ON other.object_no = a.other_no WHERE other.record_no = ?2",
        )
        .and_then(|mut query| query.exists([place.record_no, place.other_no]))
        .map_err(sql("read joins"))
}

/// Tells of users in no group: of all of them together, or of one.
fn without_group(store: &SqliteStore, customer: &CustomerId, record: Option<RecordId>) -> Result<Option<Notice>> {
    let found = ungrouped(store, customer, record)?;
    let Some((count, newest)) = found else { return Ok(None) };
    let topic = Topic::UsersWithoutGroup;
    let (of, text) = match record {
        Some(id) => (id.to_string(), "the user is in no group".to_owned()),
        None if count == 1 => ("all".to_owned(), "one user is in no group".to_owned()),
        None => ("all".to_owned(), format!("{count} users are in no group")),
    };
    Ok(Some(Notice {
        id: NoticeId::new(topic, of, [newest, i64::try_from(count).unwrap_or(i64::MAX)]),
        feed: topic.feed(),
        topic,
        severity: topic.severity(),
        endpoint: None,
        records: record.into_iter().collect(),
        plan: None,
        count: record.is_none().then_some(count),
        since: None,
        text,
        remedy: "list the users that are in no group, and add them to one here or in their directory".to_owned(),
        answered: None,
    }))
}
