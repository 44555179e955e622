//! Feeds: what happened, what was asked, what needs somebody. It decides nothing about records.
//!
//! Notices are not stored: they follow from what is, so that each ends with its cause. Stored is only what nothing else
//! tells: since when imports fail, what was asked of accounts, and what somebody made of a notice.

mod action;
mod alert;
mod answer;
mod happened;
mod reminder;
mod suggestion;
mod wanted;

use rusqlite::Connection;

pub(super) use alert::note_run;
pub(super) use wanted::{Part, keys_in};

use super::{SqliteStore, sql};
use crate::error::{Error, Result};
use crate::model::{
    ActionId, Answer, CustomerId, EndpointName, Feed, FeedCursor, FeedPage, Happening, Notice, NoticeId, NoticeQuery,
    RecordId, Timestamp,
};
use crate::store::{AskedResult, AskedSeries, Feeds};

/// The largest page.
const LARGEST: usize = 1000;

impl Feeds for SqliteStore {
    fn happened(
        &self,
        customer: &CustomerId,
        of: Option<RecordId>,
        before: Option<&FeedCursor>,
        limit: usize,
    ) -> Result<FeedPage<Happening>> {
        happened::read(self, customer, of, before, limit.clamp(1, LARGEST))
    }

    fn notices(
        &self,
        customer: &CustomerId,
        query: &NoticeQuery,
        after: Option<&FeedCursor>,
        limit: usize,
        now: Timestamp,
    ) -> Result<FeedPage<Notice>> {
        let limit = limit.clamp(1, LARGEST);
        match query.feed {
            Feed::Suggestions => suggestion::read(self, customer, query, after, limit),
            Feed::Alerts | Feed::Reminders => {
                let customer_no = self.known_customer(customer)?;
                let host = self.host();
                // One moment: between two statements an import may end.
                let transaction = host.unchecked_transaction().map_err(sql("read a feed"))?;
                let all = few(&transaction, customer, customer_no, query, now)?;
                page(all, query, &digest(customer, query), after, limit)
            }
        }
    }

    fn answer(
        &self,
        customer: &CustomerId,
        notice: &NoticeId,
        answer: Option<(Answer, &str)>,
        now: Timestamp,
    ) -> Result<()> {
        answer::store(self, customer, notice, answer, now)
    }

    fn begin_actions(&self, customer: &CustomerId, series: &AskedSeries, now: Timestamp) -> Result<Vec<AskedResult>> {
        action::begin(self, customer, series, now)
    }

    fn end_actions(&self, customer: &CustomerId, request: ActionId, results: &[AskedResult]) -> Result<()> {
        action::end(self, customer, request, results)
    }
}

/// An endpoint, as far as feeds tell of it.
struct Source {
    no: i64,
    name: EndpointName,
    title: String,
    cursor_ends: Option<(i64, i64)>,
}

/// Lists the endpoints of a customer that are not removed.
fn sources(connection: &Connection, customer_no: i64) -> Result<Vec<Source>> {
    let step = || sql("read endpoints");
    let mut query = connection
        .prepare_cached(
            "SELECT endpoint_no, name, title, cursor_at, cursor_ends, cursor IS NOT NULL FROM endpoints
             WHERE customer_no = ?1 AND substr(name, 1, 1) <> '.' ORDER BY rank, endpoint_no",
        )
        .map_err(step())?;
    let mut rows = query.query([customer_no]).map_err(step())?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(step())? {
        let (at, ends): (Option<i64>, Option<i64>) = (row.get(3).map_err(step())?, row.get(4).map_err(step())?);
        let has_cursor: bool = row.get(5).map_err(step())?;
        found.push(Source {
            no: row.get(0).map_err(step())?,
            name: EndpointName::new(row.get::<_, String>(1).map_err(step())?)?,
            title: row.get(2).map_err(step())?,
            cursor_ends: at.zip(ends).filter(|_| has_cursor),
        });
    }
    Ok(found)
}

/// Lists all notices of a feed that has few: so many to an endpoint.
fn few(
    connection: &Connection,
    customer: &CustomerId,
    customer_no: i64,
    query: &NoticeQuery,
    now: Timestamp,
) -> Result<Vec<Notice>> {
    let mut sources = sources(connection, customer_no)?;
    let about = query.record.map(|id| alert::About::read(connection, customer, id)).transpose()?;
    let Some(about) = about else {
        let mut found = match query.feed {
            Feed::Alerts => {
                let mut found = alert::of_endpoints(connection, &sources)?;
                found.append(&mut alert::of_consumers(connection, customer_no)?);
                found
            }
            _ => reminder::of_endpoints(connection, &sources, now)?,
        };
        answer::join(connection, customer_no, &mut found)?;
        return Ok(found);
    };
    let Some(about) = about else { return Ok(Vec::new()) };
    sources.retain(|source| about.record.identities.iter().any(|identity| identity.endpoint == source.name));
    let mut found = match query.feed {
        Feed::Alerts => alert::of_record(connection, &sources, &about)?,
        _ => reminder::of_record(connection, &sources, &about, now)?,
    };
    answer::join(connection, customer_no, &mut found)?;
    Ok(found)
}

/// Cuts a page out of a list, newest first; what nobody noted a time of comes last.
fn page(
    mut all: Vec<Notice>,
    query: &NoticeQuery,
    digest: &str,
    after: Option<&FeedCursor>,
    limit: usize,
) -> Result<FeedPage<Notice>> {
    all.retain(|notice| query.with_dismissed || !is_dismissed(notice));
    let place = |notice: &Notice| (notice.since.map_or(i64::MIN, |since| since.0), notice.id.to_string());
    all.sort_by_key(|notice| std::cmp::Reverse(place(notice)));
    if let Some(after) = after {
        let [since, id] = cursor_parts(after, digest)?;
        let since: i64 = since.parse().map_err(|_| no_cursor())?;
        all.retain(|notice| place(notice) < (since, id.to_owned()));
    }
    let more = all.len() > limit;
    all.truncate(limit);
    let next = all.last().filter(|_| more).map(|last| {
        let (since, id) = place(last);
        FeedCursor::new(format!("{digest}:{since}:{id}"))
    });
    Ok(FeedPage { entries: all, next })
}

fn is_dismissed(notice: &Notice) -> bool {
    notice.answered.as_ref().is_some_and(|answered| answered.answer == Answer::Dismissed)
}

/// Returns what tells feeds apart in their cursors.
fn digest(customer: &CustomerId, query: &NoticeQuery) -> String {
    let text = format!("{customer} {} {:?} {}", query.feed.as_str(), query.record, query.with_dismissed);
    format!("n{:016x}", xxhash_rust::xxh3::xxh3_64(text.as_bytes()))
}

fn no_cursor() -> Error {
    Error::config("this is no cursor of this feed; take the one that a page of it came with, or begin anew")
}

/// Splits a cursor into its two parts, if it is one of this feed.
fn cursor_parts<'a>(cursor: &'a FeedCursor, digest: &str) -> Result<[&'a str; 2]> {
    let parts = || {
        let rest = cursor.as_str().strip_prefix(digest)?.strip_prefix(':')?;
        rest.split_once(':').map(|(first, second)| [first, second])
    };
    parts().ok_or_else(no_cursor)
}
