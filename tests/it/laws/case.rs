//! One history under way: it does what the script says, and holds every import against the laws.
//!
//! What the laws say, the oracles know.

mod rest;
mod side;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension};
use tempfile::TempDir;
use tenantry::gate::{Clock, ManualClock};
use tenantry::model::{
    CustomerId, EndpointName, Event, EventType, GuardLimits, Limit, Mode, Outcome, RunReport, SourceId,
};
use tenantry::testkit::Lie;
use tenantry::{Customer, Endpoint, ErrorKind, ImportOptions, Service, SqliteStore};

use super::Found;
use super::kill::{self, Killed};
use super::local::{self, Local, Object, RecordIds};
use super::oracles::View;
use super::replica::{Replica, endpoint_of};
use super::script::{self, Dice, Rival, Run, Step};
use super::shared::{self, DOMAIN, Pair, Pasts};
use crate::dump::dump_file;
use crate::kills::seen;
use crate::world::folder;
use side::{Made, Side, a_side};

/// How long something is missing before it is put up for approval, in these histories.
const MISSING_AGE: Duration = Duration::from_hours(48);

/// One history under way.
pub(super) struct Case {
    folder: TempDir,
    customer: CustomerId,
    service: Service,
    clock: ManualClock,
    /// The same clock, for services that come later.
    time: Clock,
    sides: Vec<Side>,
    replica: Replica,
    /// What the endpoints ever showed, where they show some people both.
    pasts: Option<Pasts>,
    record_ids: RecordIds,
    pub(super) found: Found,
    pub(super) imports: u64,
    pub(super) kills: u64,
    /// How many were one at the end, of whom both endpoints showed.
    pub(super) joined: usize,
    /// Whether each import is told.
    tell: bool,
}

pub(super) fn guard(wide: bool) -> GuardLimits {
    let all = Limit::new(1.0, 1_000_000);
    if !wide {
        return GuardLimits::default();
    }
    GuardLimits::of_all(all)
}

async fn service(path: &Path, customer: &CustomerId, sides: &[Side], time: &Clock) -> Service {
    let domains = if sides[0].shared { vec![DOMAIN.to_owned()] } else { Vec::new() };
    let service = Service::with_clock(Arc::new(SqliteStore::open(path).unwrap()), time.clone());
    let endpoints = sides.iter().map(|side| Arc::new(side.endpoint.clone()) as Arc<dyn Endpoint>).collect();
    service.register(Customer { domains, ..Customer::new(customer.clone()) }, endpoints).await.unwrap();
    service
}

impl Case {
    pub(super) async fn new(seed: u64, tell: bool) -> Self {
        let mut dice = Dice(seed ^ 0x5eed);
        let shared = script::is_shared(seed);
        let sides: Vec<Side> =
            ["ad", "other"][..script::sides(seed)].iter().map(|name| a_side(name, shared, &mut dice)).collect();
        let (folder, customer) = (folder(), CustomerId::new("c1").unwrap());
        let (time, clock) = Clock::manual();
        if sides.len() > 1 {
            // Who waits for another apply of the customer waits on this clock.
            clock.advance_by_itself();
        }
        let service = service(&folder.path().join("state.db"), &customer, &sides, &time).await;
        Self {
            folder,
            customer,
            service,
            clock,
            time,
            sides,
            replica: Replica::default(),
            pasts: shared.then(Pasts::default),
            record_ids: RecordIds::new(),
            found: Found::default(),
            imports: 0,
            kills: 0,
            joined: 0,
            tell,
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("state.db")
    }

    pub(super) async fn step(&mut self, step: &Step) {
        match step {
            Step::Do(side, op) => self.sides[*side].apply(op),
            Step::Wait(hours) => self.clock.advance(Duration::from_secs(hours * 3600)),
            Step::Import(run) => self.import_as(run).await,
            Step::Together => self.together().await,
            Step::Impostor(side) => self.impostor(*side).await,
        }
    }

    async fn import_as(&mut self, run: &Run) {
        let side = &mut self.sides[run.side];
        let lies = side.lies(&run.tricks);
        let mut options = ImportOptions {
            guard: guard(run.wide),
            full: run.full,
            missing_age: MISSING_AGE,
            ..ImportOptions::default()
        };
        if run.approve {
            options.approve.clone_from(&side.memory.parked);
        }
        if let Some((pages, op)) = &run.meanwhile {
            // The script's memory goes along: what is deleted meanwhile can be restored later.
            let mut after = side.directory();
            side.script.apply(op, &mut after);
            side::be_others(side.name.as_str(), side.shared, &mut after);
            let pages = usize::try_from(*pages).unwrap();
            side.endpoint.change_while_listing(pages, move |directory| *directory = after);
        }
        let moved = side.script.moved.clone();
        // What goes on with an earlier listing need not be what a rehearsal from the beginning sees.
        let rehearsal = run.rehearse && run.meanwhile.is_none() && !side.goes_on;
        let planned = if rehearsal { self.rehearse(run.side, &lies, &options).await } else { None };
        match run.rival {
            Some(Rival::Newer(pages)) => self.import_stale(run.side, &lies, options, pages).await,
            Some(Rival::Second) => self.import_beside(run.side, &lies, options).await,
            None if run.kills.is_empty() => {
                let report = self.import(run.side, &lies, options).await;
                if let Some(planned) = planned {
                    self.was_as_planned(&planned, &report);
                }
            }
            None => self.import_killed(run.side, &lies, options, &run.kills).await,
        }
        // A listing too short for the change to happen in: then it happens now.
        self.sides[run.side].endpoint.finish_change();
        if run.meanwhile.is_some() {
            // Whether it was seen where it moved to, nobody can tell.
            self.sides[run.side].script.moved.extend(moved);
        }
    }

    /// Law 5: a dry run leaves everything as it was, the cursor too.
    async fn rehearse(&mut self, side: usize, lies: &[Lie], options: &ImportOptions) -> Option<RunReport> {
        let (tables, cursor) = (dump_file(&self.path()), self.cursor(side));
        self.sides[side].endpoint.lie(lies.iter().cloned());
        let options = ImportOptions { dry_run: true, ..options.clone() };
        let report = self.run(side, options).await;
        let same = dump_file(&self.path()) == tables;
        self.found.check(5, same && self.events().is_empty(), || "a dry run has written".into());
        let now = self.cursor(side);
        self.found.check(5, now == cursor, || "a dry run has moved the cursor".into());
        report.filter(|report| report.outcome == Outcome::Planned)
    }

    fn was_as_planned(&mut self, planned: &RunReport, report: &RunReport) {
        let done = matches!(report.outcome, Outcome::Done | Outcome::Held);
        // A run that takes up an earlier one's listing or plan is not the one that was rehearsed.
        if done && (report.pages, report.requests) == (planned.pages, planned.requests) {
            // A plan counts objects that change or go; what a record shows of them, another endpoint may have the word
            // on, and whom another one still shows is not removed, but updated.
            let shared = self.pasts.is_some();
            let alone = |r: &RunReport| if shared { [0; 2] } else { [r.updated, r.removed] };
            let figures = |r: &RunReport| ([r.created, r.missing, r.parked, r.members_added], alone(r));
            let shown_elsewhere = planned.removed.checked_sub(report.removed);
            let same = figures(planned) == figures(report) && shown_elsewhere.is_some_and(|n| n <= report.updated);
            self.found.check(8, same, || format!("planned {planned:?}\ndone {report:?}"));
        }
    }

    async fn run(&mut self, side: usize, options: ImportOptions) -> Option<RunReport> {
        self.imports += 1;
        match self.service.import(&self.customer, &self.sides[side].name, options).await {
            Ok(report) => Some(report),
            Err(error) => {
                self.found.fail(12, format!("an import could not begin: {error}"));
                None
            }
        }
    }

    /// Imports, and holds what came of it against the laws.
    async fn import(&mut self, side: usize, lies: &[Lie], options: ImportOptions) -> RunReport {
        let (before, coverage, cursor) = (self.sides[side].directory(), self.sides[side].coverage(), self.cursor(side));
        self.sides[side].endpoint.lie(lies.iter().cloned());
        let goes_on = self.sides[side].goes_on;
        let report = self.run(side, options.clone()).await.expect("nobody else imports");
        let view = View { before, after: self.sides[side].directory(), lies: lies.to_vec() };
        if matches!(report.outcome, Outcome::Failed | Outcome::Cancelled) {
            let now = self.cursor(side);
            self.found.check(5, now == cursor, || format!("a run that did not end has moved the cursor: {report:?}"));
        }
        let events = self.events();
        let made = Made { report: Some(report.clone()), events, view, options, coverage, goes_on };
        self.judge(&BTreeMap::from([(side, made)]));
        report
    }

    /// Law 6: killed at some commits and started again each time, it ends as the undisturbed run does.
    async fn import_killed(&mut self, side: usize, lies: &[Lie], options: ImportOptions, kills: &[u64]) {
        let (before, coverage) = (self.sides[side].directory(), self.sides[side].coverage());
        let goes_on = self.sides[side].goes_on;
        self.sides[side].endpoint.lie(lies.iter().cloned());
        let mut undisturbed: Option<(TempDir, u64, RunReport)> = None;
        let mut pages = 0;
        let mut report = None;
        for at in kills.iter().map(Some).chain([None]) {
            let listed = self.sides[side].endpoint.pages() as u64;
            let copy = folder();
            if let Some(at) = at {
                kill::arm(*at, self.folder.path(), copy.path(), &self.sides[side].endpoint);
            }
            let result = self.run(side, options.clone()).await;
            let killed = kill::disarm();
            let Some(made) = result else { return };
            if undisturbed.is_none() && killed.is_none() {
                // It was over before: nothing to compare with.
                report = Some(made);
                break;
            }
            let Some(Killed { pages: until }) = killed else {
                pages += self.sides[side].endpoint.pages() as u64 - listed;
                report = Some(made);
                break;
            };
            self.kills += 1;
            pages += until - listed;
            let alive = std::mem::replace(&mut self.folder, copy);
            if undisturbed.is_none() {
                undisturbed = Some((alive, self.sides[side].endpoint.pages() as u64 - listed, made.clone()));
            }
            let path = self.path();
            self.service = service(&path, &self.customer, &self.sides, &self.time).await;
            let history = self.service.history(&self.customer, 1).await.unwrap();
            if history.first().is_some_and(|last| last.run == made.run) {
                // Killed behind its last commit: it had told its end.
                report = Some(made);
                break;
            }
        }
        if let Some((alive, whole, made)) = undisturbed {
            let (disturbed, expected) = (seen(&self.path()), seen(&alive.path().join("state.db")));
            self.found.check(6, disturbed == expected, || disturbed.difference(&expected));
            if let Some(report) = &report {
                let told = |report: &RunReport| {
                    let RunReport { created, updated, removed, missing, parked, quarantined, .. } = *report;
                    let members = [report.members_added, report.members_removed];
                    let figures = [created, updated, removed, missing, parked, quarantined];
                    (report.mode, report.outcome, figures, members, report.plan.is_some())
                };
                self.found.check(6, told(report) == told(&made), || format!("{report:?}\ninstead of {made:?}"));
            }
            // Two pages are read ahead of the one that is staged, and the end is asked for again.
            let times = kills.len() as u64;
            let steady = !goes_on && made.mode == Mode::Snapshot;
            self.found.check(6, !steady || pages <= whole + 4 * times, || {
                format!("{pages} pages were listed instead of {whole}, killed {times} times")
            });
        }
        let view = View { before, after: self.sides[side].directory(), lies: lies.to_vec() };
        let events = self.events();
        self.judge(&BTreeMap::from([(side, Made { report, events, view, options, coverage, goes_on })]));
    }

    /// Law 12: a run that is no longer the newest of its endpoint writes nothing.
    async fn import_stale(&mut self, side: usize, lies: &[Lie], options: ImportOptions, pages: u64) {
        let stale = Arc::new(AtomicBool::new(false));
        let (path, said, no) = (self.path(), Arc::clone(&stale), self.sides[side].name.as_str().to_owned());
        self.sides[side].endpoint.change_while_listing(usize::try_from(pages).unwrap(), move |_| {
            // As if another run had begun: on a file system whose locks do not hold, say.
            let file = Connection::open(&path).unwrap();
            file.execute("UPDATE endpoints SET epoch = epoch + 1 WHERE name = ?1", [no]).unwrap();
            said.store(true, Ordering::Relaxed);
        });
        let tables = dump_file(&self.path());
        let had = self.replica.seen;
        let report = self.import(side, lies, options).await;
        if stale.load(Ordering::Relaxed) {
            self.found.check(12, self.replica.seen == had && dump_file(&self.path()) == tables, || {
                format!("a stale run has written: {report:?}")
            });
        }
    }

    /// Law 12: another service that wants to import the same endpoint is refused until the first has told its end.
    async fn import_beside(&mut self, side: usize, lies: &[Lie], options: ImportOptions) {
        let (before, coverage) = (self.sides[side].directory(), self.sides[side].coverage());
        self.sides[side].endpoint.lie(lies.iter().cloned());
        let goes_on = self.sides[side].goes_on;
        self.imports += 1;
        let name = self.sides[side].name.clone();
        let other = service(&self.path(), &self.customer, &self.sides, &self.time).await;
        let runs = self.service.history(&self.customer, 999).await.unwrap().len();
        let first = self.service.start(&self.customer, &name, options.clone()).await.unwrap();
        let second = other.start(&self.customer, &name, ImportOptions::default()).await;
        let told = self.service.history(&self.customer, 999).await.unwrap().len() > runs;
        match &second {
            Err(error) => self.found.check(12, *error.kind() == ErrorKind::Conflict, || format!("{error}")),
            Ok(_) => self.found.check(12, told, || "two runs of one endpoint are under way".into()),
        }
        let mut report = Some(first.wait().await.unwrap());
        if let Ok(second) = second {
            second.wait().await.unwrap();
            report = None;
        }
        let view = View { before, after: self.sides[side].directory(), lies: lies.to_vec() };
        let events = self.events();
        self.judge(&BTreeMap::from([(side, Made { report, events, view, options, coverage, goes_on })]));
    }

    /// Every endpoint of the customer at the same time: one apply waits for the other.
    async fn together(&mut self) {
        let options = ImportOptions { missing_age: MISSING_AGE, ..ImportOptions::default() };
        let mut begun = Vec::new();
        for side in &self.sides {
            side.endpoint.lie([]);
            begun.push((side.directory(), side.coverage(), side.goes_on));
        }
        let starts = self.sides.iter().map(|side| self.service.start(&self.customer, &side.name, options.clone()));
        let handles = futures::future::join_all(starts).await;
        let mut made = BTreeMap::new();
        for (side, (handle, (before, coverage, goes_on))) in handles.into_iter().zip(begun).enumerate() {
            self.imports += 1;
            let report = handle.unwrap().wait().await.unwrap();
            self.found.check(12, matches!(report.outcome, Outcome::Done | Outcome::Held) || goes_on, || {
                format!("beside another endpoint's import: {report:?}")
            });
            let view = View { before, after: self.sides[side].directory(), lies: Vec::new() };
            let options = options.clone();
            made.insert(side, Made { report: Some(report), events: Vec::new(), view, options, coverage, goes_on });
        }
        let events = self.events();
        self.replica.take(&events, &mut self.found);
        for (side, made) in &mut made {
            let name = self.sides[*side].name.as_str();
            made.events = events.iter().filter(|event| endpoint_of(event) == name).cloned().collect();
        }
        self.judge_replayed(&made);
    }

    /// Law 3: another directory behind the same endpoint is refused before anything is staged.
    async fn impostor(&mut self, side: usize) {
        if self.sides[side].local == Local::default() {
            return;
        }
        let (tables, truth) = (dump_file(&self.path()), self.sides[side].directory());
        self.sides[side].endpoint.lie([]);
        self.sides[side].endpoint.change(|directory| {
            directory.identity = "another".into();
            directory.objects.pop_last();
        });
        let report = self.run(side, ImportOptions::default()).await;
        self.sides[side].endpoint.change(|directory| *directory = truth);
        let refused = report.as_ref().is_some_and(|report| report.outcome == Outcome::Failed);
        let same = dump_file(&self.path()) == tables;
        self.found.check(3, refused && same, || format!("another directory was taken in: {report:?}"));
        let events = self.events();
        self.replica.take(&events, &mut self.found);
    }

    /// Returns the events since the last call.
    fn events(&self) -> Vec<Event> {
        self.service.store().events(&self.customer, self.replica.seen, usize::MAX).unwrap()
    }

    fn cursor(&self, side: usize) -> Option<Vec<u8>> {
        if !self.sides[side].deltas {
            return None;
        }
        let file = Connection::open(self.path()).unwrap();
        file.query_row("SELECT cursor FROM endpoints WHERE name = ?1", [self.sides[side].name.as_str()], |row| {
            row.get(0)
        })
        .optional()
        .unwrap()
        .flatten()
    }

    /// Holds imports that were made at one time against the laws.
    fn judge(&mut self, made: &BTreeMap<usize, Made>) {
        for made in made.values() {
            let before = self.replica.records.clone();
            self.replica.take(&made.events, &mut self.found);
            if self.pasts.is_some() {
                self.replica.tells_each_change_once(&before, &made.events, made.report.is_some(), &mut self.found);
            }
        }
        self.judge_replayed(made);
    }

    fn judge_replayed(&mut self, made: &BTreeMap<usize, Made>) {
        for (side, made) in made {
            let early = |report: &RunReport| matches!(report.outcome, Outcome::Failed | Outcome::Cancelled);
            self.sides[*side].goes_on = made.report.as_ref().is_none_or(early);
        }
        let half_applied = self.sides.iter().any(|side| side.goes_on);
        let missing = self.pasts.is_some().then(|| missing(&self.path()));
        let store = self.service.store();
        let mut locals = local::read(
            store.as_ref(),
            &self.customer,
            &self.replica,
            &mut self.record_ids,
            half_applied,
            missing.as_ref(),
            &mut self.found,
        );
        if let Some(pasts) = &mut self.pasts {
            for (side, made) in made {
                pasts.remember(*side, &made.view);
            }
            let none = Local::default();
            let local = [0, 1].map(|at| locals.get(&self.sides[at].name).unwrap_or(&none));
            Pair { local, pasts }.nobody_is_merged_unproven(&mut self.found);
        }
        for (at, side) in self.sides.iter_mut().enumerate() {
            let has = locals.remove(&side.name).unwrap_or_default();
            match made.get(&at) {
                Some(made) => {
                    if self.tell {
                        tell(made);
                    }
                    if let Some(report) = &made.report {
                        figures(report, side.shared, &self.replica, &mut self.found);
                    }
                    side.judge(made, &has, self.clock.now_unix_millis(), &mut self.found);
                }
                // Law 11: what one endpoint brings changes nothing that another one owns.
                None if side.shared => {
                    shared::nothing_of_others_changed(at == 0, &side.local, &has, &mut self.found);
                }
                None => self
                    .found
                    .check(11, has == side.local, || format!("{} was changed by another endpoint's import", side.name)),
            }
            side.local = has;
        }
    }
}

/// The objects that are marked as missing.
fn missing(path: &Path) -> BTreeSet<Object> {
    let file = Connection::open(path).unwrap();
    let mut query = file
        .prepare("SELECT e.name, o.source_id FROM objects o JOIN endpoints e USING (endpoint_no) WHERE missing_since NOT NULL")
        .unwrap();
    let rows = query.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, Vec<u8>>(1)?))).unwrap();
    rows.map(|row| {
        let (endpoint, id) = row.unwrap();
        // A letter that tells what sort of id it is, and its bytes.
        let id = SourceId::Guid(uuid::Uuid::from_slice(&id[1..]).unwrap());
        (EndpointName::new(endpoint).unwrap(), id)
    })
    .collect()
}

/// Law 8: a report counts as many as there are events.
fn figures(report: &RunReport, shared: bool, replica: &Replica, found: &mut Found) {
    if matches!(report.outcome, Outcome::Done | Outcome::Held) {
        let told = [
            report.created + report.updated + report.missing,
            report.removed,
            report.members_added,
            report.members_removed,
        ];
        let mut events = replica.figures_of(report);
        // Who is missing here and seen elsewhere is counted as missing, and the record is as it was.
        let hidden = told[0].saturating_sub(events[0]);
        if shared && hidden <= report.missing {
            events[0] += hidden;
        }
        found.check(8, told == events, || format!("{told:?} reported, {events:?} events: {report:?}"));
    }
}

fn tell(made: &Made) {
    eprintln!("lies {:?}\n{:?}", made.view.lies, made.report);
    for event in &made.events {
        let data = event.data_value();
        let short = |name: &str| data[name].as_str().map(|id| id[id.len() - 5..].to_owned());
        match event.event_type {
            EventType::MemberAdded | EventType::MemberRemoved => eprintln!(
                "  {} {:?} {:?} {}",
                event.event_type.as_str(),
                short("group_source_id"),
                short("member_source_id"),
                data["via"]
            ),
            _ => {
                let text = data.to_string();
                eprintln!("  {} {}", event.event_type.as_str(), &text[..text.len().min(500)]);
            }
        }
    }
}
