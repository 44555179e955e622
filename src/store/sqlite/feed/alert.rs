//! What is wrong: with an endpoint, with a consumer, and with what is kept of a record. An alert is there as long as its cause is.

use rusqlite::{Connection, OptionalExtension, params};

use super::Source;
use crate::error::Result;
use crate::model::{
    CustomerId, HeldChange, HeldKind, Notice, NoticeId, ObjectKind, Outcome, PlanId, Record, RecordId, RunReport,
    Timestamp, Topic,
};
use crate::store::Alert;
use crate::store::sqlite::apply::load_record;
use crate::store::sqlite::plan::HeldItems;
use crate::store::sqlite::{damaged, kind_number, sql};

/// Entries that are counted; behind that it is told that there are more.
const COUNTED: u64 = 10_000;

/// Stores what an import tells: alerts begin, go on, or end. `lists_all` says whether all ids were listed.
///
/// In the transaction that ends the run.
pub(in super::super) fn note_run(
    transaction: &Connection,
    endpoint_no: i64,
    report: &RunReport,
    raised: &[Alert],
    lists_all: bool,
    now: Timestamp,
) -> Result<()> {
    let step = || sql("store alerts");
    if matches!(report.outcome, Outcome::Cancelled | Outcome::Planned) {
        return Ok(());
    }
    let failed = report.outcome == Outcome::Failed;
    let mut ended: Vec<String> = {
        let mut query = transaction.prepare_cached("SELECT about FROM alerts WHERE endpoint_no = ?1").map_err(step())?;
        let rows = query.query_map([endpoint_no], |row| row.get(0)).map_err(step())?;
        rows.collect::<Result<_, _>>().map_err(step())?
    };
    // Who failed has seen nothing to its end, and says nothing of the rest; nor can a delta tell of a listing.
    ended.retain(|about| {
        !failed
            && !raised.iter().any(|alert| alert.about == *about)
            && (lists_all || about != Topic::ListingShort.as_str())
    });
    for about in ended {
        transaction
            .execute("DELETE FROM alerts WHERE endpoint_no = ?1 AND about = ?2", params![endpoint_no, about])
            .map_err(step())?;
    }
    for alert in raised {
        let kind = report.error_kind.as_deref().filter(|_| alert.about == Topic::ImportFailed.as_str());
        transaction
            .prepare_cached(
                // What fails in another way is another matter, and begins now.
                "INSERT INTO alerts (endpoint_no, about, kind, message, since) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT DO UPDATE SET message = excluded.message, kind = excluded.kind,
                     since = iif(kind = excluded.kind, since, excluded.since),
                     times = iif(kind = excluded.kind, times + 1, 1)",
            )
            .and_then(|mut insert| {
                insert.execute(params![endpoint_no, alert.about, kind.unwrap_or_default(), alert.message, now.0])
            })
            .map_err(step())?;
    }
    Ok(())
}

/// Begins a notice of an endpoint.
pub(super) fn notice(topic: Topic, source: &Source, of: &str, cause: [i64; 2], since: i64) -> Notice {
    let of = if of.is_empty() { source.name.to_string() } else { format!("{}/{of}", source.name) };
    Notice {
        id: NoticeId::new(topic, of, cause),
        feed: topic.feed(),
        topic,
        severity: topic.severity(),
        endpoint: Some(source.name.clone()),
        records: Vec::new(),
        plan: None,
        count: None,
        since: Some(Timestamp(since)),
        text: String::new(),
        remedy: String::new(),
        answered: None,
    }
}

/// Lists what is wrong with endpoints.
pub(super) fn of_endpoints(connection: &Connection, sources: &[Source]) -> Result<Vec<Notice>> {
    let mut found = Vec::new();
    for source in sources {
        found.append(&mut raised(connection, source)?);
        for parked in parked(connection, source)? {
            found.append(&mut parked.notices(source));
        }
        found.extend(set_aside(connection, source)?);
    }
    Ok(found)
}

/// Lists what the imports of an endpoint have raised.
fn raised(connection: &Connection, source: &Source) -> Result<Vec<Notice>> {
    let step = || sql("read alerts");
    let mut query = connection
        .prepare_cached("SELECT about, kind, message, since, times FROM alerts WHERE endpoint_no = ?1 ORDER BY about")
        .map_err(step())?;
    let mut rows = query.query([source.no]).map_err(step())?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(step())? {
        let text = |at: usize| row.get::<_, String>(at).map_err(step());
        let (about, kind, message) = (text(0)?, text(1)?, text(2)?);
        let (since, times): (i64, u64) = (row.get(3).map_err(step())?, row.get(4).map_err(step())?);
        // One that a newer version raised is not understood here, and not worth to fail for.
        let Some(topic) = Topic::parse(&about) else { continue };
        let topic = match (topic, kind.as_str()) {
            (Topic::ImportFailed, "unauthenticated") => Topic::CredentialsRefused,
            (Topic::ImportFailed, "permission-denied") => Topic::RightMissing,
            (topic, _) => topic,
        };
        let mut notice = notice(topic, source, &kind, [since, 0], since);
        let title = &source.title;
        let (text, remedy) = match topic {
            Topic::CredentialsRefused => (
                format!("{title} refuses the credentials: {message}"),
                "renew the endpoint's credentials, verify the endpoint, then import again",
            ),
            Topic::RightMissing => (
                format!("{title} does not let the account read what is imported: {message}"),
                "give the account the right that is named, verify the endpoint, then import again",
            ),
            Topic::ImportFailed => (
                format!("imports from {title} fail: {message}"),
                "see what the message says; what was imported before is kept, and the next import goes on",
            ),
            Topic::CoverageChanged => (
                format!("{title}: {message}"),
                "give the account back what it could see, or approve what disappears with it",
            ),
            Topic::ListingShort => (
                format!("{title}: {message}"),
                "import once more in full; if it stays so, ask the directory's operator",
            ),
            Topic::LookUpFailed | Topic::SecondReadingFailed => {
                (format!("{title}: {message}"), "nothing was removed on that ground; the next import tries again")
            }
            _ => (format!("{title}: {message}"), "the next import lists everything anew"),
        };
        notice.text = if times > 1 { format!("{text} ({times} imports in a row)") } else { text };
        remedy.clone_into(&mut notice.remedy);
        found.push(notice);
    }
    Ok(found)
}

/// What waits for approval.
pub(super) struct ParkedPlan {
    pub(super) plan: PlanId,
    pub(super) at: i64,
    held: Vec<HeldChange>,
}

/// Reads what waits for approval of an endpoint.
pub(super) fn parked(connection: &Connection, source: &Source) -> Result<Vec<ParkedPlan>> {
    let step = || sql("read what is parked");
    let mut query = connection
        .prepare_cached("SELECT plan_id, parked_at, summary FROM parked WHERE endpoint_no = ?1")
        .map_err(step())?;
    let mut rows = query.query([source.no]).map_err(step())?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(step())? {
        let summary: String = row.get(2).map_err(step())?;
        found.push(ParkedPlan {
            plan: PlanId::parse(&row.get::<_, String>(0).map_err(step())?)?,
            at: row.get(1).map_err(step())?,
            held: serde_json::from_str(&summary).map_err(|_| damaged("held changes"))?,
        });
    }
    Ok(found)
}

impl ParkedPlan {
    pub(super) fn count(&self) -> u64 {
        self.held.iter().map(|held| held.count).sum()
    }

    pub(super) fn remedy(&self) -> String {
        format!("see whether it is right; if it is, import with the approval of {}", self.plan)
    }

    fn notices(&self, source: &Source) -> Vec<Notice> {
        let mut waiting = notice(Topic::HeldForApproval, source, self.plan.as_str(), [self.at, 0], self.at);
        waiting.count = Some(self.count());
        waiting.text = format!("{}: {} changes wait for approval of {}", source.title, self.count(), self.plan);
        let mut notices = vec![waiting];
        // What is missing for long goes by approval only, however little it is.
        let tripped: Vec<&HeldChange> =
            self.held.iter().filter(|held| !matches!(held.kind, HeldKind::Aged(_))).collect();
        if !tripped.is_empty() {
            let mut guard = notice(Topic::GuardTripped, source, self.plan.as_str(), [self.at, 0], self.at);
            guard.count = Some(tripped.iter().map(|held| held.count).sum());
            let sorts: Vec<&str> = tripped.iter().map(|held| held.reason.as_str()).collect();
            guard.text = format!("{}: the guard holds back what would go: {}", source.title, sorts.join("; "));
            notices.push(guard);
        }
        for notice in &mut notices {
            notice.plan = Some(self.plan.clone());
            notice.remedy = self.remedy();
        }
        notices
    }
}

/// Tells of the records of an endpoint that are set aside.
fn set_aside(connection: &Connection, source: &Source) -> Result<Option<Notice>> {
    let step = || sql("read the quarantine");
    let newest: Option<(i64, String)> = connection
        .prepare_cached("SELECT since, reason FROM quarantine WHERE endpoint_no = ?1 ORDER BY since DESC LIMIT 1")
        .and_then(|mut query| query.query_row([source.no], |row| Ok((row.get(0)?, row.get(1)?))).optional())
        .map_err(step())?;
    let Some((newest, reason)) = newest else { return Ok(None) };
    let oldest: i64 = connection
        .prepare_cached("SELECT since FROM quarantine WHERE endpoint_no = ?1 ORDER BY since LIMIT 1")
        .and_then(|mut query| query.query_row([source.no], |row| row.get(0)))
        .map_err(step())?;
    let count: u64 = connection
        .prepare_cached("SELECT count(*) FROM (SELECT 1 FROM quarantine WHERE endpoint_no = ?1 LIMIT ?2)")
        .and_then(|mut query| query.query_row(params![source.no, COUNTED + 1], |row| row.get(0)))
        .map_err(step())?;
    let mut notice = notice(Topic::RecordsSetAside, source, "", [newest, 0], oldest);
    notice.count = Some(count.min(COUNTED));
    let many = if count > COUNTED { format!("more than {COUNTED}") } else { count.to_string() };
    notice.text = format!("{many} records of {} are set aside; of the last one: {reason}", source.title);
    "correct the records in their directory; the next import takes them in".clone_into(&mut notice.remedy);
    Ok(Some(notice))
}

/// Tells of consumers whose next events are no longer kept. It is over when they start anew, or are forgotten.
pub(super) fn of_consumers(connection: &Connection, customer_no: i64) -> Result<Vec<Notice>> {
    let step = || sql("read the consumers");
    let mut query = connection
        .prepare_cached(
            "SELECT s.name, position, dropped FROM consumers s JOIN customers USING (customer_no)
             WHERE customer_no = ?1 AND position < dropped ORDER BY s.name",
        )
        .map_err(step())?;
    let mut rows = query.query([customer_no]).map_err(step())?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(step())? {
        let (name, position): (String, i64) = (row.get(0).map_err(step())?, row.get(1).map_err(step())?);
        let dropped: i64 = row.get(2).map_err(step())?;
        let missed = dropped.checked_sub(position).ok_or_else(|| damaged("a consumer's position"))?;
        let topic = Topic::ConsumerCutOff;
        found.push(Notice {
            // Cut off once more, it stands further on.
            id: NoticeId::new(topic, name.as_str(), [position, 0]),
            feed: topic.feed(),
            topic,
            severity: topic.severity(),
            endpoint: None,
            records: Vec::new(),
            plan: None,
            count: u64::try_from(missed).ok(),
            since: None,
            text: format!(
                "the consumer {name} has read up to event {position}, and {missed} behind it are no longer kept"
            ),
            remedy: "let it start anew from an export and go on behind that one's position, or forget it; keep unread \
                     events for longer"
                .to_owned(),
            answered: None,
        });
    }
    Ok(found)
}

/// A record whose feed is asked for.
pub(super) struct About {
    pub(super) record: Record,
    pub(super) record_no: i64,
}

impl About {
    /// Reads a record that is there; the groups that stand for endpoints have no feed of their own.
    pub(super) fn read(connection: &Connection, customer: &CustomerId, id: RecordId) -> Result<Option<Self>> {
        let Some(record_no) = crate::store::sqlite::directory::live_record_no(connection, customer, id)? else {
            return Ok(None);
        };
        Ok(load_record(connection, record_no)?.map(|record| Self { record, record_no }))
    }
}

/// Lists what is wrong with a record: what concerns it alone, and that its endpoints fail.
pub(super) fn of_record(connection: &Connection, sources: &[Source], about: &About) -> Result<Vec<Notice>> {
    let step = || sql("read the quarantine");
    let (record, id) = (&about.record, about.record.id.to_string());
    let mut found = Vec::new();
    for source in sources {
        found.append(&mut raised(connection, source)?);
        for identity in record.identities.iter().filter(|identity| identity.endpoint == source.name) {
            let entry: Option<(i64, String)> = connection
                .prepare_cached(
                    "SELECT since, reason FROM quarantine WHERE endpoint_no = ?1 AND kind = ?2 AND source_id = ?3",
                )
                .and_then(|mut query| {
                    let key = params![source.no, kind_number(record.kind), identity.source_id.to_stored()];
                    query.query_row(key, |row| Ok((row.get(0)?, row.get(1)?))).optional()
                })
                .map_err(step())?;
            let Some((since, reason)) = entry else { continue };
            let mut notice = notice(Topic::RecordsSetAside, source, &id, [since, 0], since);
            notice.text = format!("what {} says of this {} cannot be understood: {reason}", source.title, record.kind);
            "correct it in its directory; until then it stays here as it was".clone_into(&mut notice.remedy);
            notice.records = vec![record.id];
            found.push(notice);
        }
        if held(connection, source, about)? {
            for plan in parked(connection, source)? {
                let of = format!("{}/{id}", plan.plan);
                let mut notice = notice(Topic::HeldForApproval, source, &of, [plan.at, 0], plan.at);
                notice.text = format!("a change of this {} waits for approval of {}", record.kind, plan.plan);
                notice.remedy = plan.remedy();
                notice.plan = Some(plan.plan);
                notice.records = vec![record.id];
                found.push(notice);
            }
        }
    }
    if let Some(since) = record.missing_since
        && let Some(source) = sources.first()
    {
        let mut notice = notice(Topic::Missing, source, &id, [since.0, 0], since.0);
        notice.text =
            format!("{} does not list this {} any more, and does not say that it is gone", source.title, record.kind);
        "look for it in its directory; its removal is put up for approval later".clone_into(&mut notice.remedy);
        notice.records = vec![record.id];
        found.push(notice);
    }
    Ok(found)
}

/// Tells whether something of a record is among what waits for approval.
pub(super) fn held(connection: &Connection, source: &Source, about: &About) -> Result<bool> {
    let step = || sql("read what is parked");
    let items: Option<Vec<u8>> = connection
        .prepare_cached("SELECT items FROM parked WHERE endpoint_no = ?1")
        .and_then(|mut query| query.query_row([source.no], |row| row.get(0)).optional())
        .map_err(step())?;
    let Some(items) = items.map(|items| HeldItems::from_stored(&items)).transpose()? else { return Ok(false) };
    let objects: Vec<u64> = {
        let mut query = connection
            .prepare_cached(
                "SELECT object_no FROM objects WHERE endpoint_no = ?1 AND object_no = ?2 AND record_no = ?2
                 UNION ALL SELECT object_no FROM objects INDEXED BY objects_joined
                 WHERE endpoint_no = ?1 AND record_no = ?2 AND record_no <> object_no",
            )
            .map_err(step())?;
        let rows = query.query_map(params![source.no, about.record_no], |row| row.get(0)).map_err(step())?;
        rows.collect::<Result<_, _>>().map_err(step())?
    };
    let kind: ObjectKind = about.record.kind;
    Ok(items.iter().any(|(sort, subject, numbers)| {
        let of_records = match sort {
            HeldKind::Removed(of) | HeldKind::Missing(of) | HeldKind::Aged(of) | HeldKind::Cleared(of, _) => {
                *of == kind
            }
            HeldKind::Suspended => kind == ObjectKind::User,
            HeldKind::Memberships | HeldKind::MembersOf(_) => false,
        };
        of_records && subject == 0 && objects.iter().any(|object| numbers.binary_search(object).is_ok())
    }))
}
