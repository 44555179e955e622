//! The end of a run: cursor, coverage, quarantine, what is held, the report and its event, in one transaction.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use serde::Serialize;

use super::super::feed::note_run;
use super::super::outbox::Writer;
use super::super::plan::HeldItems;
use super::super::stage::Stage;
use super::super::{kind_from_number, sql};
use super::{Target, check_epoch};
use crate::error::Result;
use crate::model::{
    EventType, HeldChange, HeldKind, Outcome, PlanId, Record, RecordId, RunReport, SourceId, Timestamp,
};
use crate::store::{Alert, fault};

/// What the end of a run stores.
pub(in super::super) struct Finish<'a> {
    /// The report; its event is the run's last.
    pub(in super::super) report: &'a RunReport,
    /// What can be seen now, as JSON; `None` keeps what was stored.
    pub(in super::super) coverage: Option<String>,
    /// Scopes that were listed to their end.
    pub(in super::super) listed: Vec<String>,
    /// Whether quarantine entries that did not come again are over.
    pub(in super::super) whole: bool,
    /// When the listing of all ids began that the run rests on.
    pub(in super::super) listed_at: Option<Timestamp>,
    /// Whether the next run has to list everything anew.
    pub(in super::super) relist: bool,
    /// Since when its cursor is good, and up to when its endpoint declares it to be.
    pub(in super::super) cursor_life: (Timestamp, Option<Timestamp>),
    /// What the guard holds.
    pub(in super::super) items: &'a HeldItems,
    /// What went without approval.
    pub(in super::super) spent: Vec<(HeldKind, u64)>,
    /// One-line alerts for people.
    pub(in super::super) alerts: Vec<Alert>,
}

#[derive(Serialize)]
struct ParkedData<'a> {
    plan: &'a PlanId,
    held: &'a [HeldChange],
    run: crate::model::RunId,
}

#[derive(Serialize)]
struct QuarantineData<'a> {
    kind: crate::model::ObjectKind,
    source_id: Option<String>,
    reason: &'a str,
    run: crate::model::RunId,
}

/// Stores the end of the run.
pub(in super::super) fn finish(
    writer: &mut Connection,
    target: &Target,
    stage: &Stage,
    finish: &Finish<'_>,
    now: Timestamp,
) -> Result<()> {
    let step = || sql("finish the run");
    let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate).map_err(step())?;
    check_epoch(&transaction, target)?;
    let mut events = Writer::begin(&transaction, target.customer_no, Some(&target.endpoint), target.run, now)?;
    if finish.report.outcome != Outcome::Failed {
        tell_endpoint_group(&transaction, target, &mut events)?;
        quarantine(&transaction, stage, target, finish.whole, now, &mut events)?;
        let cursor = stage.cursor()?;
        if finish.relist || cursor.is_some() {
            // A cursor covers the data that it is stored with, all of it.
            let cursor = cursor.filter(|_| !finish.relist);
            let (at, ends) = finish.cursor_life;
            transaction
                .execute(
                    "UPDATE endpoints SET cursor = ?2, cursor_at = ?3, cursor_ends = ?4 WHERE endpoint_no = ?1",
                    params![target.endpoint_no, cursor, at.0, ends.map(|ends| ends.0)],
                )
                .map_err(step())?;
        }
        if let Some(coverage) = &finish.coverage {
            transaction
                .execute(
                    "UPDATE endpoints SET coverage = ?2 WHERE endpoint_no = ?1",
                    params![target.endpoint_no, coverage],
                )
                .map_err(step())?;
        }
        if let Some(listed_at) = finish.listed_at {
            transaction
                .execute(
                    "UPDATE endpoints SET listed_at = ?2 WHERE endpoint_no = ?1",
                    params![target.endpoint_no, listed_at.0],
                )
                .map_err(step())?;
        }
        for scope in &finish.listed {
            transaction
                .execute(
                    "INSERT OR REPLACE INTO freshness VALUES (?1, ?2, 0, ?3)",
                    params![target.endpoint_no, scope, now.0],
                )
                .map_err(step())?;
        }
        park(&transaction, target, finish, now, &mut events)?;
        spend(&transaction, target, &finish.spent, now)?;
    }
    let lists_all = finish.listed_at.is_some();
    note_run(&transaction, target.endpoint_no, finish.report, &finish.alerts, lists_all, now)?;
    for alert in &finish.alerts {
        events.add(EventType::AlertRaised, &target.run.to_string(), alert)?;
    }
    events.add(EventType::ImportFinished, &target.run.to_string(), finish.report)?;
    events.finish()?;
    close_run(&transaction, finish.report)?;
    fault::point();
    transaction.commit().map_err(step())?;
    fault::point();
    Ok(())
}

/// How long it is remembered what went: longer than the guard looks back, in case a clock was set wrong for a while.
const LOSSES_KEPT_MILLIS: i64 = 7 * 24 * 60 * 60 * 1000;

/// Notes what went without approval: a row for each group that lost members, among others.
fn spend(transaction: &Connection, target: &Target, spent: &[(HeldKind, u64)], now: Timestamp) -> Result<()> {
    let step = || sql("note what went");
    if spent.is_empty() {
        return Ok(());
    }
    let run_no: i64 = transaction
        .query_row("SELECT run_no FROM runs WHERE id = ?1", [target.run.0.as_bytes().as_slice()], |row| row.get(0))
        .map_err(step())?;
    let oldest = now.minus_millis(LOSSES_KEPT_MILLIS);
    transaction
        .execute("DELETE FROM losses WHERE endpoint_no = ?1 AND at < ?2", params![target.endpoint_no, oldest.0])
        .map_err(step())?;
    let mut insert = transaction.prepare("INSERT OR REPLACE INTO losses VALUES (?1, ?2, ?3, ?4, ?5)").map_err(step())?;
    for (kind, count) in spent {
        let kind = serde_json::to_string(kind).unwrap_or_default();
        insert.execute(params![target.endpoint_no, now.0, run_no, kind, count]).map_err(step())?;
    }
    Ok(())
}

/// Tells of the group that stands for the endpoint: after its first import, and when its title has changed.
fn tell_endpoint_group(transaction: &Connection, target: &Target, events: &mut Writer<'_>) -> Result<()> {
    let step = || sql("tell of the endpoint's group");
    let (title, told): (String, Option<String>) = transaction
        .query_row("SELECT title, group_title FROM endpoints WHERE endpoint_no = ?1", [target.endpoint_no], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .map_err(step())?;
    if told.as_ref() == Some(&title) {
        return Ok(());
    }
    let id = RecordId::of_endpoint_group(&target.customer, &target.endpoint);
    let group = |title: &str| Record::of_endpoint(id, target.endpoint.clone(), title);
    super::upserted(events, told.as_deref().map(group).as_ref(), &group(&title), target.run)?;
    transaction
        .execute("UPDATE endpoints SET group_title = title WHERE endpoint_no = ?1", [target.endpoint_no])
        .map(drop)
        .map_err(step())
}

/// Stores the end of a run that failed or was cancelled.
pub(in super::super) fn abort(
    writer: &mut Connection,
    target: &Target,
    report: &RunReport,
    alert: Option<Alert>,
    now: Timestamp,
) -> Result<()> {
    let step = || sql("end the run");
    let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate).map_err(step())?;
    check_epoch(&transaction, target)?;
    let mut events = Writer::begin(&transaction, target.customer_no, Some(&target.endpoint), target.run, now)?;
    note_run(&transaction, target.endpoint_no, report, alert.as_slice(), false, now)?;
    if let Some(alert) = alert {
        events.add(EventType::AlertRaised, &target.run.to_string(), &alert)?;
    }
    events.add(EventType::ImportFinished, &target.run.to_string(), report)?;
    events.finish()?;
    // What is staged stays for the next run, which goes on under an id of its own: this one has its report.
    close_run(&transaction, report)?;
    transaction.commit().map_err(step())
}

/// Writes a run's report into the history.
fn close_run(connection: &Connection, report: &RunReport) -> Result<()> {
    connection
        .execute(
            "UPDATE runs SET finished_at = ?2, report = ?3 WHERE id = ?1",
            params![
                report.run.0.as_bytes().as_slice(),
                report.finished_at.0,
                serde_json::to_string(report).unwrap_or_default()
            ],
        )
        .map(drop)
        .map_err(sql("write the history"))
}

fn quarantine(
    transaction: &Connection,
    stage: &Stage,
    target: &Target,
    whole: bool,
    now: Timestamp,
    events: &mut Writer<'_>,
) -> Result<()> {
    let step = || sql("store the quarantine");
    let mut query =
        stage.file.prepare("SELECT kind, source_id, reason FROM quarantine ORDER BY kind, source_id").map_err(step())?;
    let mut rows = query.query([]).map_err(step())?;
    let mut listed = Vec::new();
    while let Some(row) = rows.next().map_err(step())? {
        let (kind, source_id, reason): (i64, Vec<u8>, String) =
            (row.get(0).map_err(step())?, row.get(1).map_err(step())?, row.get(2).map_err(step())?);
        let known: Option<String> = transaction
            .query_row(
                "SELECT reason FROM quarantine WHERE endpoint_no = ?1 AND kind = ?2 AND source_id = ?3",
                params![target.endpoint_no, kind, source_id],
                |row| row.get(0),
            )
            .optional()
            .map_err(step())?;
        if known.as_ref() != Some(&reason) {
            transaction
                .execute(
                    "INSERT OR REPLACE INTO quarantine VALUES (?1, ?2, ?3, ?4, ?5)",
                    params![target.endpoint_no, kind, source_id, reason, now.0],
                )
                .map_err(step())?;
            let data = QuarantineData {
                kind: kind_from_number(kind)?,
                source_id: SourceId::from_stored(&source_id).map(|id| id.to_string()),
                reason: &reason,
                run: target.run,
            };
            events.add(EventType::RecordQuarantined, &target.run.to_string(), &data)?;
        }
        listed.push((kind, source_id));
    }
    if whole {
        let mut query =
            transaction.prepare("SELECT kind, source_id FROM quarantine WHERE endpoint_no = ?1").map_err(step())?;
        let known: Vec<(i64, Vec<u8>)> = query
            .query_map([target.endpoint_no], |row| Ok((row.get(0)?, row.get(1)?)))
            .map_err(step())?
            .collect::<Result<_, _>>()
            .map_err(step())?;
        for (kind, source_id) in known.into_iter().filter(|entry| !listed.contains(entry)) {
            transaction
                .execute(
                    "DELETE FROM quarantine WHERE endpoint_no = ?1 AND kind = ?2 AND source_id = ?3",
                    params![target.endpoint_no, kind, source_id],
                )
                .map_err(step())?;
        }
    }
    Ok(())
}

/// Keeps what is held; the same set is told once.
fn park(
    transaction: &Connection,
    target: &Target,
    finish: &Finish<'_>,
    now: Timestamp,
    events: &mut Writer<'_>,
) -> Result<()> {
    let step = || sql("park changes");
    let id = finish.report.plan.as_ref().filter(|_| !finish.items.is_empty());
    transaction
        .execute(
            "DELETE FROM parked WHERE endpoint_no = ?1 AND plan_id IS NOT ?2",
            params![target.endpoint_no, id.map(PlanId::as_str)],
        )
        .map_err(step())?;
    let Some(id) = id else { return Ok(()) };
    let inserted = transaction
        .execute(
            "INSERT OR IGNORE INTO parked VALUES (?1, ?2, ?3, ?4, ?5)",
            params![
                target.endpoint_no,
                id.as_str(),
                now.0,
                serde_json::to_string(&finish.report.held).unwrap_or_default(),
                finish.items.to_stored()
            ],
        )
        .map_err(step())?;
    if inserted > 0 {
        let data = ParkedData { plan: id, held: &finish.report.held, run: target.run };
        events.add(EventType::RemovalsParked, &target.run.to_string(), &data)?;
    }
    Ok(())
}
