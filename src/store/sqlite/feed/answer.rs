//! What somebody made of a notice. An answer holds for its cause and those before it: a new cause is unanswered.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use crate::error::{Error, ErrorKind, Result};
use crate::model::{Answer, Answered, CustomerId, Feed, Notice, NoticeId, NoticeQuery, RecordId, Timestamp};
use crate::store::sqlite::{SqliteStore, sql};
use crate::store::{Feeds, fault};

/// Longest name of somebody who answers, in bytes.
const LONGEST_NAME: usize = 256;

/// Writes answers beside the notices that they are about.
pub(super) fn join(connection: &Connection, customer_no: i64, notices: &mut [Notice]) -> Result<()> {
    for notice in notices {
        type Row = (i64, i64, bool, String, i64);
        let row: Option<Row> = connection
            .prepare_cached(
                "SELECT cause, cause_more, dismissed, by, at FROM answers WHERE customer_no = ?1 AND notice = ?2",
            )
            .and_then(|mut query| {
                query
                    .query_row(params![customer_no, notice.id.key()], |row| {
                        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
                    })
                    .optional()
            })
            .map_err(sql("read answers"))?;
        let Some((cause, more, dismissed, by, at)) = row else { continue };
        if notice.id.cause[0] <= cause && notice.id.cause[1] <= more {
            let answer = if dismissed { Answer::Dismissed } else { Answer::Acknowledged };
            notice.answered = Some(Answered { answer, by, at: Timestamp(at) });
        }
    }
    Ok(())
}

/// Stores an answer, or takes it back.
pub(super) fn store(
    store: &SqliteStore,
    customer: &CustomerId,
    id: &NoticeId,
    answer: Option<(Answer, &str)>,
    now: Timestamp,
) -> Result<()> {
    let step = || sql("store an answer");
    let customer_no = store.known_customer(customer)?;
    if let Some((_, by)) = answer {
        if by.len() > LONGEST_NAME {
            return Err(Error::config("who answers is named in 256 bytes at most"));
        }
        check_there(store, customer, id, now)?;
    }
    let mut host = store.host();
    let transaction = host.transaction_with_behavior(TransactionBehavior::Immediate).map_err(step())?;
    match answer {
        Some((answer, by)) => transaction
            .prepare_cached("INSERT OR REPLACE INTO answers VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")
            .and_then(|mut insert| {
                let [cause, more] = id.cause;
                insert.execute(params![customer_no, id.key(), cause, more, answer == Answer::Dismissed, by, now.0])
            }),
        None => transaction
            .prepare_cached("DELETE FROM answers WHERE customer_no = ?1 AND notice = ?2")
            .and_then(|mut delete| delete.execute(params![customer_no, id.key()])),
    }
    .map_err(step())?;
    fault::point();
    transaction.commit().map_err(step())?;
    fault::point();
    Ok(())
}

/// Refuses to answer what is over, and what has a newer cause than the one that was seen.
fn check_there(store: &SqliteStore, customer: &CustomerId, id: &NoticeId, now: Timestamp) -> Result<()> {
    // What concerns one record ends with its id.
    let record = id.of.rsplit('/').next().and_then(|last| uuid::Uuid::try_parse(last).ok()).map(RecordId);
    for record in [None, record] {
        let mut query = NoticeQuery::new(id.topic.feed()).with_dismissed();
        query.record = record;
        if record.is_none() && id.topic.feed() == Feed::Suggestions && id.of.contains('/') {
            // There may be many; a pair is found by one of its records.
            continue;
        }
        let mut after = None;
        loop {
            let page = store.notices(customer, &query, after.as_ref(), 1000, now)?;
            let known = page.entries.iter().find(|notice| notice.id.key() == id.key());
            match known {
                Some(notice) if notice.id == *id => return Ok(()),
                Some(notice) => {
                    return Err(Error::new(
                        ErrorKind::Conflict,
                        "there is a newer cause; look at the notice once more",
                    )
                    .with_context("notice", &notice.id));
                }
                None => after = page.next,
            }
            if after.is_none() {
                break;
            }
        }
    }
    Err(Error::new(ErrorKind::NotFound, "there is no such notice, or its cause is over").with_context("notice", id))
}
