//! One import, from the first call to the last commit: list, stage, plan, confirm, guard, apply, report.
//!
//! It knows endpoints by their trait and the store by its trait, and no host.

mod apply;
mod blocking;
mod confirm;
mod figures;
mod list;
mod report;
mod review;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::coverage::CoverageSeal;
use crate::endpoint::{Context, CoverageInfo, DeltaEndpoint, Endpoint};
use crate::error::{Error, ErrorKind, Result};
use crate::gate::{Gate, Stats};
use crate::meter;
use crate::model::{
    CustomerId, Freshness, GuardLimits, Mode, ObjectKind, Outcome, Phase, PlanId, PlanSummary, Progress, RecordId,
    RunReport, Scope, Timestamp,
};
use crate::store::{Alert, Conclusion, GuardTerms, Read, RunStart, Store};
use blocking::Hold;

/// The guard counts what went in this time.
const GUARD_WINDOW_MILLIS: i64 = 24 * 60 * 60 * 1000;

/// How an import is to be made.
#[derive(Debug, Clone)]
#[must_use]
pub struct ImportOptions {
    /// A snapshot, even if a cursor exists.
    pub full: bool,
    /// Plan only: nothing is changed, no event is written.
    pub dry_run: bool,
    /// Let these parked or planned changes go, as far as they are still the ones approved.
    pub approve: Option<PlanId>,
    /// The limits of the guard.
    pub guard: GuardLimits,
    /// How long something has to be missing before its removal is put up for approval.
    pub missing_age: Duration,
    /// When a delta run ends with a listing of source ids.
    pub id_listing: IdListing,
}

/// When a delta run ends with a listing of source ids, to find what is gone without a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IdListing {
    /// Behind every delta that does not report what is gone; behind others once a day.
    #[default]
    Auto,
    /// When the last listing of all ids, by a snapshot or by itself, is this old; whatever deltas report.
    Every(Duration),
}

impl Default for ImportOptions {
    fn default() -> Self {
        Self {
            full: false,
            dry_run: false,
            approve: None,
            guard: GuardLimits::default(),
            missing_age: Duration::from_hours(30 * 24),
            id_listing: IdListing::Auto,
        }
    }
}

/// Everything that one import needs.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) endpoint: Arc<dyn Endpoint>,
    pub(crate) customer: CustomerId,
    pub(crate) options: ImportOptions,
    pub(crate) gate: Gate,
    pub(crate) cancel: CancellationToken,
    pub(crate) progress: watch::Sender<Progress>,
}

/// An import that has its place: nobody else runs this endpoint now.
#[derive(Debug)]
pub(crate) struct Import {
    job: Job,
    cx: Context,
    hold: Hold,
    mode: Mode,
    started_at: Timestamp,
    clock_start: Duration,
    stats_start: Stats,
    alerts: Vec<Alert>,
    /// Whether the ids were listed behind a delta.
    ids_listed: bool,
    /// Whether a listing was short, or could not be looked into.
    doubtful: bool,
    /// What was read and is counted already.
    counted: Read,
    /// How old each part may be of what was read.
    freshness: Vec<Freshness>,
}

/// What the listing left to be done.
enum Listed {
    /// A plan is to be made of it.
    Whole(list::Listing),
    /// An earlier run's plan is to be applied.
    Planned,
}

impl Job {
    fn now(&self) -> Timestamp {
        Timestamp(self.gate.clock().now_unix_millis())
    }

    /// Takes the endpoint's place in the store.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] while another run of the endpoint is under way.
    pub(crate) fn begin(self) -> Result<Import> {
        let start = RunStart {
            customer: self.customer.clone(),
            info: self.endpoint.info().clone(),
            dry_run: self.options.dry_run,
            now: self.now(),
            cursor_lives: self.endpoint.as_delta().and_then(DeltaEndpoint::cursor_lifetime),
        };
        let hold = Hold::new(Arc::clone(&self.store).begin_run(&start)?)?;
        let gate = self.gate.with_cancel(self.cancel.clone());
        Ok(Import {
            cx: Context::new(gate, self.cancel.clone()),
            hold,
            mode: Mode::Snapshot,
            started_at: start.now,
            clock_start: self.gate.clock().monotonic(),
            stats_start: self.gate.stats(),
            alerts: Vec::new(),
            ids_listed: false,
            doubtful: false,
            counted: Read::default(),
            freshness: Vec::new(),
            job: self,
        })
    }
}

impl Import {
    /// Runs to the end. A failure is reported, not returned: the report says what became of it.
    pub(crate) async fn run(mut self) -> RunReport {
        let run = self.hold.run_id();
        let info = self.job.endpoint.info();
        let (customer, kind) = (&self.job.customer, info.kind);
        let span = tracing::info_span!("import", kind, %customer, endpoint = %info.name, %run);
        let _active = meter::RUNS_ACTIVE.hold(kind);
        async {
            let report = match self.steps().await {
                Ok(report) => report,
                Err(error) => self.fail(error).await,
            };
            self.hold.close().await;
            self.count_run(&report);
            self.show(|progress| {
                progress.phase = Phase::Finished;
                progress.waiting = None;
            });
            report
        }
        .instrument(span)
        .await
    }

    /// The one path.
    async fn steps(&mut self) -> Result<RunReport> {
        let mut listing = match self.list().await? {
            Listed::Planned => {
                self.review().await?;
                return self.apply().await;
            }
            Listed::Whole(listing) => listing,
        };
        self.plan(&listing).await?;
        self.confirm_objects().await?;
        let terms = self.terms(&listing);
        self.judge_objects(&terms, listing.take_seal()).await?;
        self.confirm_memberships().await?;
        let plan = self.judge_memberships(&terms).await?;
        if self.job.options.dry_run {
            return self.report_plan(plan).await;
        }
        self.conclude(&listing, plan).await?;
        self.apply().await
    }

    /// Finds what seems to be gone, in the scopes that are proven.
    async fn plan(&mut self, listing: &list::Listing) -> Result<()> {
        self.show(|progress| progress.phase = Phase::Planning);
        self.look_up_parked().await?;
        let proofs = if self.lists_ids() { listing.proofs() } else { Vec::new() };
        self.hold.with(move |run| run.find_candidates(proofs)).await
    }

    /// Tells whether all ids were listed, by a snapshot or behind a delta: a delta itself proves no absence.
    fn lists_ids(&self) -> bool {
        self.mode == Mode::Snapshot || self.ids_listed
    }

    fn terms(&self, listing: &list::Listing) -> GuardTerms {
        GuardTerms {
            limits: self.job.options.guard,
            suspicion: listing.suspicion.clone(),
            approved: self.job.options.approve.clone(),
            since: self.job.now().minus_millis(GUARD_WINDOW_MILLIS),
        }
    }

    async fn judge_objects(&mut self, terms: &GuardTerms, seal: Option<CoverageSeal>) -> Result<()> {
        let age = i64::try_from(self.job.options.missing_age.as_millis()).unwrap_or(i64::MAX);
        let (terms, before) = (terms.clone(), self.job.now().minus_millis(age));
        let another = self
            .hold
            .with(move |run| {
                let another = run.settle_candidates(before)?;
                run.plan_memberships(seal.as_ref())?;
                run.judge_objects(&terms)?;
                Ok(another)
            })
            .await?;
        self.tell_of_another(&another);
        Ok(())
    }

    /// Tells that addresses by which people are known seem to have been given to others.
    fn tell_of_another(&mut self, records: &[RecordId]) {
        let Some(rest) = records.len().checked_sub(1) else { return };
        let some: Vec<String> = records.iter().take(RECORDS_NAMED).map(RecordId::to_string).collect();
        let more = if rest >= RECORDS_NAMED { " and others" } else { "" };
        self.alert(
            "address-given-on",
            format!(
                "{} records are known by an address alone, and it shows another first and last name now: it may have \
                 been given to somebody else, whom nothing else tells from who had it; look at {}{more}",
                records.len(),
                some.join(", ")
            ),
        );
    }

    async fn judge_memberships(&mut self, terms: &GuardTerms) -> Result<PlanSummary> {
        let terms = terms.clone();
        self.hold
            .with(move |run| {
                run.judge_memberships(&terms)?;
                run.summary()
            })
            .await
    }

    /// Fixes the plan: from here on a killed run is finished by the next one, as it was planned.
    async fn conclude(&mut self, listing: &list::Listing, plan: PlanSummary) -> Result<()> {
        if !plan.held.is_empty() {
            let sorts: Vec<String> = plan.held.iter().map(|change| change.reason.clone()).collect();
            tracing::warn!(
                plan = plan.held_id.as_ref().map(PlanId::as_str),
                held = plan.parked,
                "removals are parked: {}",
                sorts.join("; ")
            );
        }
        let conclusion = Conclusion {
            // While removals wait because what can be seen has changed, that change is still to be judged.
            coverage: (plan.held.is_empty() || listing.suspicion.is_none())
                .then(|| listing.coverage.clone())
                .filter(|_| listing.suspicion.is_none() || listing.all_proven),
            listed: if self.mode == Mode::Snapshot { listing.closed() } else { Vec::new() },
            whole: self.mode == Mode::Snapshot && listing.all_proven,
            alerts: std::mem::take(&mut self.alerts),
            plan,
            mode: self.mode,
            planned_at: self.job.now(),
            // Counted from its beginning: a run at the same hour each day is a day behind the one before it.
            listed_at: (self.lists_ids() && listing.all_proven && !self.doubtful).then_some(self.started_at),
            relist: false,
        };
        self.hold.with(move |run| run.conclude(&conclusion)).await
    }

    /// Refuses another directory behind the same endpoint; tells what else has changed.
    fn compare_coverage(stored: Option<&CoverageInfo>, now: &CoverageInfo) -> Result<Option<String>> {
        let Some(stored) = stored else { return Ok(None) };
        if stored.identity != now.identity {
            return Err(Error::new(
                ErrorKind::Config,
                "another directory answers than the one imported before; give it an endpoint of its own",
            )
            .with_context("before", &stored.identity)
            .with_context("now", &now.identity));
        }
        Ok(now.may_hide_more_than(stored).then(|| format!("what can be seen has changed: {}", now.difference(stored))))
    }

    /// Tells how far the run is.
    fn show(&self, change: impl FnOnce(&mut Progress)) {
        self.job.progress.send_modify(change);
    }

    fn alert(&mut self, about: &'static str, message: String) {
        self.count_alert(about);
        tracing::warn!(about, "{message}");
        self.alerts.push(Alert { about: about.to_owned(), message });
    }

    async fn fail(&mut self, error: Error) -> RunReport {
        let outcome = if *error.kind() == ErrorKind::Cancelled { Outcome::Cancelled } else { Outcome::Failed };
        tracing::warn!(kind = error.kind().as_str(), "import ended early: {error}");
        let report = self.report(outcome, Some(&error), PlanSummary::default());
        let alert = (outcome == Outcome::Failed).then(|| {
            self.count_alert("import-failed");
            Alert { about: "import-failed".into(), message: error.to_string() }
        });
        let (stored, now) = (report.clone(), self.job.now());
        if let Err(second) = self.hold.with(move |run| run.abort(&stored, alert, now)).await {
            tracing::error!("the end of the run could not be stored: {second}");
        }
        report
    }

    /// Reports a dry run: what would be done.
    async fn report_plan(&mut self, plan: PlanSummary) -> Result<RunReport> {
        let held = plan.held_id.clone();
        let report = self.report(Outcome::Planned, None, plan);
        self.hold
            .with(move |run| {
                if let Some(held) = held {
                    run.remember_plan(&held)?;
                }
                run.discard()
            })
            .await?;
        Ok(report)
    }
}

/// Records that an alert names.
const RECORDS_NAMED: usize = 5;

/// Names the scope of a kind for people.
fn scope_name(kind: ObjectKind) -> String {
    Scope::of(kind).to_string()
}
