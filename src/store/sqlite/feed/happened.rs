//! What happened, newest first: events, and between them the actions that were asked for.
//!
//! A place in it is an event's position and, behind that event, the number of an action: both only grow, so that what is
//! new comes before everything that was listed.

use rusqlite::{Connection, params};

use super::wanted::{Part, Wanted};
use super::{cursor_parts, no_cursor};
use crate::endpoint::Action;
use crate::error::Result;
use crate::model::{
    ActionId, Asked, CustomerId, EndpointName, Event, FeedCursor, FeedPage, Happening, RecordId, Timestamp,
};
use crate::store::sqlite::directory::live_record_no;
use crate::store::sqlite::outbox::{customer_no, read_segment};
use crate::store::sqlite::query::Touched;
use crate::store::sqlite::{SqliteStore, damaged, sql};

/// How a segment is read that may tell of somebody.
const SEGMENT: &str = "SELECT first_sequence, time, segment FROM outbox WHERE customer_no = ?1 AND last_sequence = ?2";

/// A place: an event's position, and the number of an action behind that event.
type Place = (u64, i64);

/// Reads a page before a cursor.
pub(super) fn read(
    store: &SqliteStore,
    customer: &CustomerId,
    of: Option<RecordId>,
    before: Option<&FeedCursor>,
    limit: usize,
) -> Result<FeedPage<Happening>> {
    let text = format!("{customer} {of:?}");
    let digest = format!("e{:016x}", xxhash_rust::xxh3::xxh3_64(text.as_bytes()));
    let before = match before {
        None => (u64::MAX >> 1, i64::MAX),
        Some(cursor) => {
            let [position, number] = cursor_parts(cursor, &digest)?;
            (position.parse().map_err(|_| no_cursor())?, number.parse().map_err(|_| no_cursor())?)
        }
    };
    let reading = Reading { customer, before, limit };
    let mut found = match of {
        None => {
            store.known_customer(customer)?;
            let host = store.host();
            let transaction = host.unchecked_transaction().map_err(sql("read a feed"))?;
            let state = State::read(&transaction, customer)?;
            let mut found = reading.events(&transaction, &state)?;
            found.append(&mut reading.actions(&transaction, &state, None)?);
            found
        }
        Some(id) => store.with_touched(customer, |touched| {
            let state = State::read(touched.state(), customer)?;
            let record_no = live_record_no(touched.state(), customer, id)?;
            let record =
                record_no.map(|no| crate::store::sqlite::apply::load_record(touched.state(), no)).transpose()?;
            let identities = record.flatten().map(|record| record.identities).unwrap_or_default();
            let wanted = Wanted::new(id, &identities);
            let mut found = reading.events_of(touched, &state, &wanted)?;
            found.append(&mut reading.actions(touched.state(), &state, Some(id))?);
            Ok(found)
        })?,
    };
    found.sort_by_key(|(place, _)| std::cmp::Reverse(*place));
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more);
    let next = next.map(|((position, number), _)| FeedCursor::new(format!("{digest}:{position}:{number}")));
    Ok(FeedPage { entries: found.into_iter().map(|(_, entry)| entry).collect(), next })
}

/// A customer's events, as they are kept.
struct State {
    no: i64,
    last: u64,
    dropped: u64,
}

impl State {
    fn read(connection: &Connection, customer: &CustomerId) -> Result<Self> {
        let no = customer_no(connection, customer)?.ok_or_else(|| damaged("a customer"))?;
        connection
            .prepare_cached("SELECT sequence, dropped FROM customers WHERE customer_no = ?1")
            .and_then(|mut query| query.query_row([no], |row| Ok(Self { no, last: row.get(0)?, dropped: row.get(1)? })))
            .map_err(sql("read the position of the outbox"))
    }
}

/// One page that is wanted. One entry more than that is read, to know whether it is the last.
struct Reading<'a> {
    customer: &'a CustomerId,
    before: Place,
    limit: usize,
}

impl Reading<'_> {
    /// Returns the last event that may be on the page.
    fn upto(&self, state: &State) -> u64 {
        let (position, number) = self.before;
        // An action stands behind the event of its position.
        let upto = if number > 0 { position } else { position.saturating_sub(1) };
        upto.min(state.last)
    }

    /// Reads events of everybody: every position has one.
    fn events(&self, connection: &Connection, state: &State) -> Result<Vec<(Place, Happening)>> {
        let step = || sql("read events");
        let upto = self.upto(state);
        let after = upto.saturating_sub(self.limit as u64 + 1).max(state.dropped);
        let mut found = Vec::new();
        let mut query = connection
            .prepare_cached(
                "SELECT first_sequence, time, segment FROM outbox
                 WHERE customer_no = ?1 AND last_sequence > ?2 ORDER BY last_sequence",
            )
            .map_err(step())?;
        let mut rows = query.query(params![state.no, after]).map_err(step())?;
        while let Some(row) = rows.next().map_err(step())? {
            let first: u64 = row.get(0).map_err(step())?;
            if first > upto {
                break;
            }
            let segment = row.get_ref(2).map_err(step())?.as_blob().map_err(|_| damaged("a segment of events"))?;
            let time = Timestamp(row.get(1).map_err(step())?);
            let part = Part { after, upto, of: None };
            read_segment(self.customer, first, time, segment, part, usize::MAX, &mut found)?;
        }
        Ok(found.into_iter().map(placed).collect())
    }

    /// Reads events of one record, from the segments that may tell of it.
    fn events_of(&self, touched: &Touched<'_>, state: &State, wanted: &Wanted) -> Result<Vec<(Place, Happening)>> {
        let step = || sql("read events");
        let upto = self.upto(state);
        let keys = wanted.keys();
        let mut found: Vec<(Place, Happening)> = Vec::new();
        let mut query = touched.state().prepare_cached(SEGMENT).map_err(step())?;
        for last in touched.may_tell(state.no, &keys)?.into_iter().rev() {
            if found.len() > self.limit {
                break;
            }
            let mut rows = query.query(params![state.no, last]).map_err(step())?;
            // It may not be kept any more.
            let Some(row) = rows.next().map_err(step())? else { continue };
            let first: u64 = row.get(0).map_err(step())?;
            if first > upto {
                continue;
            }
            let segment = row.get_ref(2).map_err(step())?.as_blob().map_err(|_| damaged("a segment of events"))?;
            let time = Timestamp(row.get(1).map_err(step())?);
            let mut events = Vec::new();
            let part = Part { after: 0, upto, of: Some(wanted) };
            read_segment(self.customer, first, time, segment, part, usize::MAX, &mut events)?;
            found.extend(events.into_iter().rev().map(placed));
        }
        Ok(found)
    }

    fn actions(&self, connection: &Connection, state: &State, of: Option<RecordId>) -> Result<Vec<(Place, Happening)>> {
        let step = || sql("read actions");
        let statement = match of {
            None => {
                "SELECT action_no, position, request, record, action, by, endpoint, at, result, reason FROM actions
                 WHERE customer_no = ?1 AND (position, action_no) < (?2, ?3)
                 ORDER BY position DESC, action_no DESC LIMIT ?4"
            }
            Some(_) => {
                "SELECT action_no, position, request, record, action, by, endpoint, at, result, reason FROM actions
                 WHERE customer_no = ?1 AND record = ?5 AND (position, action_no) < (?2, ?3)
                 ORDER BY position DESC, action_no DESC LIMIT ?4"
            }
        };
        let (position, number) = self.before;
        let limit = self.limit + 1;
        let mut query = connection.prepare_cached(statement).map_err(step())?;
        let mut rows = match of {
            None => query.query(params![state.no, position, number, limit]),
            Some(id) => query.query(params![state.no, position, number, limit, id.0.as_bytes().as_slice()]),
        }
        .map_err(step())?;
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(step())? {
            let id = |at: usize| row.get(at).map(uuid::Uuid::from_bytes).map_err(step());
            let action: String = row.get(4).map_err(step())?;
            let action = Action::ALL.into_iter().find(|known| known.as_str() == action);
            let endpoint: Option<String> = row.get(6).map_err(step())?;
            let asked = Asked {
                request: ActionId(id(2)?),
                record: RecordId(id(3)?),
                action: action.ok_or_else(|| damaged("an action"))?,
                by: row.get(5).map_err(step())?,
                endpoint: endpoint.map(EndpointName::new).transpose()?,
                at: Timestamp(row.get(7).map_err(step())?),
                result: row.get(8).map_err(step())?,
                reason: row.get(9).map_err(step())?,
            };
            let place = (row.get(1).map_err(step())?, row.get(0).map_err(step())?);
            found.push((place, Happening::Action(asked)));
        }
        Ok(found)
    }
}

fn placed(event: Event) -> (Place, Happening) {
    ((event.position(), 0), Happening::Event(event))
}
