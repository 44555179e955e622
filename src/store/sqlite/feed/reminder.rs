//! What is due: plans that wait, cursors that will soon be worth nothing. It follows from what is stored and the time.

use rusqlite::Connection;

use super::Source;
use super::alert::{About, held, notice, parked};
use crate::error::Result;
use crate::model::{Notice, Timestamp, Topic};

/// How long held changes wait before somebody is reminded.
const PLAN_WAITS: i64 = 24 * 60 * 60 * 1000;
/// The part of a cursor's life that is its last.
const LAST_PART: i64 = 4;

/// Lists what is due of endpoints.
pub(super) fn of_endpoints(connection: &Connection, sources: &[Source], now: Timestamp) -> Result<Vec<Notice>> {
    let mut found = Vec::new();
    for source in sources {
        found.append(&mut waiting(connection, source, now)?);
        found.extend(expiring(source, now));
    }
    Ok(found)
}

/// Lists what is due that concerns a record: a plan that would change it.
pub(super) fn of_record(
    connection: &Connection,
    sources: &[Source],
    about: &About,
    now: Timestamp,
) -> Result<Vec<Notice>> {
    let mut found = Vec::new();
    for source in sources {
        let due = waiting(connection, source, now)?;
        if !due.is_empty() && held(connection, source, about)? {
            found.extend(due.into_iter().map(|notice| Notice { records: vec![about.record.id], ..notice }));
        }
    }
    Ok(found)
}

fn waiting(connection: &Connection, source: &Source, now: Timestamp) -> Result<Vec<Notice>> {
    let mut found = Vec::new();
    for plan in parked(connection, source)? {
        let due = plan.at.saturating_add(PLAN_WAITS);
        if due > now.0 {
            continue;
        }
        let mut notice = notice(Topic::PlanWaiting, source, plan.plan.as_str(), [plan.at, 0], due);
        notice.text = format!(
            "{}: {} changes wait for approval of {} since {}",
            source.title,
            plan.count(),
            plan.plan,
            Timestamp(plan.at)
        );
        notice.count = Some(plan.count());
        notice.remedy = plan.remedy();
        notice.plan = Some(plan.plan);
        found.push(notice);
    }
    Ok(found)
}

fn expiring(source: &Source, now: Timestamp) -> Option<Notice> {
    let (at, ends) = source.cursor_ends?;
    let due = ends.saturating_sub(ends.saturating_sub(at) / LAST_PART);
    if due > now.0 {
        return None;
    }
    let mut notice = notice(Topic::CursorExpiring, source, "", [at, 0], due);
    let when = if ends > now.0 { "is good until" } else { "was good until" };
    notice.text = format!("{}: the point from which changes are read {when} {}", source.title, Timestamp(ends));
    "import before that; behind it everything is listed anew, which takes longer and loses nothing"
        .clone_into(&mut notice.remedy);
    Some(notice)
}
