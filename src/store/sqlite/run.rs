//! One run's hold on the store: its lock, its stage, its apply.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::apply::{Apply, ApplyPhase, FINISHING, Finish, Target};
use super::plan::{HeldItems, Judgement, Terms};
use super::stage::{Stage, StagePhase};
use super::{SqliteStore, damaged, io, locks, sql};
use crate::coverage::{Closes, Complete, CoverageSeal};
use crate::endpoint::{CoverageInfo, Cursor, DeltaPage, Membership, ObjectRef, Presence, SnapshotPage};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{
    HeldChange, ObjectKind, Patch, PlanId, PlanSummary, RecordId, RunId, RunReport, Timestamp, Unreadable,
};
use crate::store::{
    Alert, Applied, Candidate, Conclusion, Customer, EdgeDoubt, GuardTerms, Read, Resume, RunStart, RunStore, Store,
    Stranger, fault, sealed,
};

/// A run of one endpoint.
#[derive(Debug)]
pub(super) struct SqliteRun {
    store: Arc<SqliteStore>,
    target: Target,
    stage: Option<Stage>,
    apply: Option<(Connection, Apply)>,
    /// What the guard holds and lets pass, once it has judged.
    judgement: Judgement,
    begin: u64,
    wakes: bool,
    dry_run: bool,
    apply_lock: Option<locks::Held>,
    _run_lock: Option<locks::Held>,
    /// A dry run of an endpoint that is not known yet has a store of its own.
    temporary: Option<PathBuf>,
    started_at: Timestamp,
    /// How long its cursors are good, if that is declared.
    cursor_lives: Option<Duration>,
}

impl sealed::Sealed for SqliteStore {
    #[allow(private_interfaces)] // this is the seal: only the engine can name these
    fn begin_run(self: Arc<Self>, start: &RunStart) -> Result<Box<dyn RunStore>> {
        if start.dry_run && endpoint_row(&self, start)?.is_none() {
            let name = format!("dry-{}.db", RunId::random());
            let path = self.work.join(name);
            let store = Arc::new(SqliteStore::open(&path)?);
            store.register(&Customer::new(start.customer.clone()), std::slice::from_ref(&start.info), start.now)?;
            let mut run = SqliteRun::begin(&store, start)?;
            run.temporary = Some(path);
            return Ok(Box::new(run));
        }
        SqliteRun::begin(&self, start).map(|run| Box::new(run) as Box<dyn RunStore>)
    }
}

fn endpoint_row(store: &SqliteStore, start: &RunStart) -> Result<Option<(i64, i64, i64)>> {
    store
        .host()
        .query_row(
            "SELECT customer_no, endpoint_no, digest_seed FROM endpoints JOIN customers USING (customer_no)
             WHERE id = ?1 AND endpoints.name = ?2",
            params![start.customer.as_str(), start.info.name.as_str()],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .optional()
        .map_err(sql("read an endpoint"))
}

impl SqliteRun {
    #[allow(clippy::too_many_lines)] // what was left, step by step
    fn begin(store: &Arc<SqliteStore>, start: &RunStart) -> Result<Self> {
        let step = || sql("begin a run");
        let (customer_no, endpoint_no, seed) = endpoint_row(store, start)?.ok_or_else(|| {
            Error::config("the endpoint is not known; register the customer with its endpoints first")
                .with_context("endpoint", &start.info.name)
        })?;
        let run_lock =
            if start.dry_run { None } else { Some(locks::run(&store.work, &start.customer, &start.info.name)?) };
        super::release::check_not_removed(&store.host(), endpoint_no, &start.info.name)?;
        let file_name = format!("{}+{}", start.customer, start.info.name);
        let path = if start.dry_run {
            store.work.join(format!("{file_name}.dry-{}.stage", RunId::random()))
        } else {
            store.work.join(format!("{file_name}.stage"))
        };
        let stage =
            Stage::open(store, path.clone(), endpoint_no, u64::from_ne_bytes(seed.to_ne_bytes()), start.dry_run)
                .or_else(|_| {
                    // A stage that cannot be read holds nothing that cannot be listed again.
                    super::stage::remove(&path)?;
                    Stage::open(store, path, endpoint_no, u64::from_ne_bytes(seed.to_ne_bytes()), start.dry_run)
                })?;

        let (stage, left) = super::left_over::taken_up(store, stage, endpoint_no, start.dry_run)?;
        let mut host = store.host();
        let run = left.unwrap_or_else(RunId::random);
        let mut epoch = 0;
        let mut broken = false;
        if !start.dry_run {
            let transaction = host.transaction_with_behavior(TransactionBehavior::Immediate).map_err(step())?;
            epoch = transaction
                .query_row(
                    "UPDATE endpoints SET epoch = epoch + 1 WHERE endpoint_no = ?1 RETURNING epoch",
                    [endpoint_no],
                    |row| row.get(0),
                )
                .map_err(step())?;
            broken = transaction
                .query_row(
                    // Also one that told its end half-way through its plan, whose plan is now lost.
                    "SELECT exists (SELECT 1 FROM runs WHERE endpoint_no = ?1 AND id <> ?2
                            AND (phase > 0 OR position > 0) AND phase < ?3)",
                    params![endpoint_no, run.0.as_bytes().as_slice(), FINISHING],
                    |row| row.get(0),
                )
                .map_err(step())?;
            transaction
                .execute(
                    "INSERT INTO runs (id, endpoint_no, epoch, started_at) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (id) DO UPDATE SET epoch = excluded.epoch, report = NULL, finished_at = NULL",
                    params![run.0.as_bytes().as_slice(), endpoint_no, epoch, start.now.0],
                )
                .map_err(step())?;
            fault::point();
            transaction.commit().map_err(step())?;
            fault::point();
        }
        drop(host);
        let target = Target {
            customer_no,
            customer: start.customer.clone(),
            endpoint_no,
            endpoint: start.info.name.clone(),
            seed: u64::from_ne_bytes(seed.to_ne_bytes()),
            run,
            epoch,
        };
        if broken {
            super::apply::repair(store, &target)?;
        }
        if !start.dry_run {
            // Runs that died without a trace to take up are over.
            store
                .host()
                .execute(
                    "UPDATE runs SET finished_at = ?3 WHERE endpoint_no = ?1 AND id <> ?2 AND finished_at IS NULL",
                    params![endpoint_no, run.0.as_bytes().as_slice(), start.now.0],
                )
                .map_err(step())?;
        }
        Ok(Self {
            store: Arc::clone(store),
            target,
            stage: Some(stage),
            apply: None,
            judgement: Judgement::default(),
            begin: 0,
            wakes: false,
            dry_run: start.dry_run,
            apply_lock: None,
            _run_lock: run_lock,
            temporary: None,
            started_at: start.now,
            cursor_lives: start.cursor_lives,
        })
    }

    fn stage(&self) -> Result<&Stage> {
        self.stage.as_ref().ok_or_else(|| Error::new(ErrorKind::Conflict, "the run is over"))
    }

    fn stage_mut(&mut self) -> Result<&mut Stage> {
        self.stage.as_mut().ok_or_else(|| Error::new(ErrorKind::Conflict, "the run is over"))
    }

    fn begin_stage(&self, coverage: &CoverageInfo) -> Result<()> {
        self.stage()?.begin(self.target.run, &coverage.digest())
    }

    /// Reads what waits for approval.
    fn parked(&self) -> Result<(HeldItems, Vec<HeldChange>)> {
        let step = || sql("read what is parked");
        let host = self.store.host();
        let row: Option<(Vec<u8>, String)> = host
            .query_row("SELECT items, summary FROM parked WHERE endpoint_no = ?1", [self.target.endpoint_no], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()
            .map_err(step())?;
        let Some((items, summary)) = row else { return Ok(Default::default()) };
        let summary = serde_json::from_str(&summary).map_err(|_| damaged("held changes"))?;
        Ok((HeldItems::from_stored(&items)?, summary))
    }

    /// Reads what was approved, of what is parked or was planned.
    fn approved(&self, plan: Option<&PlanId>) -> Result<HeldItems> {
        let Some(plan) = plan else { return Ok(HeldItems::default()) };
        let parked: Option<Vec<u8>> = self
            .store
            .host()
            .query_row(
                "SELECT items FROM parked WHERE endpoint_no = ?1 AND plan_id = ?2",
                params![self.target.endpoint_no, plan.as_str()],
                |row| row.get(0),
            )
            .optional()
            .map_err(sql("read what is parked"))?;
        let stored = match parked {
            Some(stored) => Some(stored),
            None => std::fs::read(self.store.planned_path(&self.target.customer, &self.target.endpoint, plan)).ok(),
        };
        stored.map_or_else(|| Ok(HeldItems::default()), |stored| HeldItems::from_stored(&stored))
    }

    /// Tells since when the cursor of this run is good, and up to when. A plan may be older than the run that ends it.
    fn cursor_life(&self, planned_at: Timestamp) -> (Timestamp, Option<Timestamp>) {
        let at = self.started_at.min(planned_at);
        let millis = self.cursor_lives.map(|lives| i64::try_from(lives.as_millis()).unwrap_or(i64::MAX));
        (at, millis.map(|millis| Timestamp(at.0.saturating_add(millis))))
    }

    /// Returns up to where a phase of the apply has come: 0 before it, the largest number behind it.
    fn reached(&self, phase: ApplyPhase) -> Result<i64> {
        super::apply::reached(&self.store.host(), &self.target, phase)
    }

    fn terms(&self, terms: &GuardTerms) -> Result<Terms> {
        Ok(Terms {
            limits: terms.limits,
            approved: self.approved(terms.approved.as_ref())?,
            since: terms.since,
            suspicion: terms.suspicion.clone(),
        })
    }
}

impl RunStore for SqliteRun {
    fn run(&self) -> RunId {
        self.target.run
    }

    fn stored_coverage(&self) -> Result<Option<CoverageInfo>> {
        self.store
            .host()
            .query_row("SELECT coverage FROM endpoints WHERE endpoint_no = ?1", [self.target.endpoint_no], |row| {
                row.get::<_, Option<String>>(0)
            })
            .map_err(sql("read an endpoint"))?
            .map(|json| serde_json::from_str(&json).map_err(|_| damaged("a coverage")))
            .transpose()
    }

    fn known(&self) -> Result<[u64; 4]> {
        self.stage()?.known()
    }

    fn resume(&mut self, coverage: &CoverageInfo) -> Result<Resume> {
        match self.stage()?.left_over()? {
            Some((_, _, StagePhase::Applying)) => Ok(Resume::Applying),
            Some((_, digest, StagePhase::Listing)) if digest == coverage.digest() => {
                match self.stage()?.checkpoint()? {
                    Some(checkpoint) => {
                        self.stage_mut()?.forget_plan()?;
                        self.begin_stage(coverage).map(|()| Resume::Listing(checkpoint))
                    }
                    None => self.restart(coverage).map(|()| Resume::Fresh),
                }
            }
            Some(_) => self.restart(coverage).map(|()| Resume::Fresh),
            None => self.begin_stage(coverage).map(|()| Resume::Fresh),
        }
    }

    fn restart(&mut self, coverage: &CoverageInfo) -> Result<()> {
        if let Some(stage) = self.stage.take() {
            self.stage = Some(stage.restart()?);
        }
        self.begin_stage(coverage)
    }

    fn cursor(&self) -> Result<Option<Cursor>> {
        Ok(self
            .store
            .host()
            .query_row("SELECT cursor FROM endpoints WHERE endpoint_no = ?1", [self.target.endpoint_no], |row| {
                row.get::<_, Option<Vec<u8>>>(0)
            })
            .map_err(sql("read an endpoint"))?
            .and_then(|stored| Cursor::from_stored(&stored)))
    }

    fn stage_snapshot(&mut self, page: &SnapshotPage) -> Result<Read> {
        self.stage_mut()?.add_snapshot_page(page)?;
        Ok(self.read())
    }

    fn stage_delta(&mut self, page: &DeltaPage) -> Result<Read> {
        self.wakes = true;
        self.stage_mut()?.add_delta_page(page)?;
        Ok(self.read())
    }

    fn stage_ids(&mut self, page: &SnapshotPage) -> Result<(Read, Vec<Stranger>)> {
        let strangers = self.stage_mut()?.add_ids_page(page)?;
        Ok((self.read(), strangers))
    }

    fn listed_at(&self) -> Result<Option<Timestamp>> {
        self.store
            .host()
            .query_row("SELECT listed_at FROM endpoints WHERE endpoint_no = ?1", [self.target.endpoint_no], |row| {
                row.get::<_, Option<i64>>(0)
            })
            .map(|at| at.map(Timestamp))
            .map_err(sql("read an endpoint"))
    }

    fn stage_found(&mut self, patches: Vec<Patch>) -> Result<()> {
        let figures = self.stage()?.figures;
        let stage = self.stage_mut()?;
        for patch in &patches {
            stage.retract(&patch.object.id.key())?;
        }
        stage.add_found(&patches)?;
        // They are not part of the listing: its figures stay.
        stage.figures = figures;
        Ok(())
    }

    fn stages_users(&self) -> Result<bool> {
        self.stage()?
            .file
            .query_row("SELECT exists (SELECT 1 FROM objects WHERE kind = 0)", [], |row| row.get(0))
            .map_err(sql("read the stage"))
    }

    fn misfit_user(&self) -> Result<Option<String>> {
        self.stage()?
            .file
            .query_row("SELECT reason FROM quarantine WHERE kind = 0 LIMIT 1", [], |row| row.get(0))
            .optional()
            .map_err(sql("read the stage"))
    }

    fn end_listing(&mut self, cursor: Option<Cursor>) -> Result<Closes> {
        let stage = self.stage_mut()?;
        stage.end_listing(cursor.as_ref())?;
        Ok(stage.closes.clone())
    }

    fn unreadable(&self) -> Result<Vec<Unreadable>> {
        self.stage()?.unreadable()
    }

    fn read(&self) -> Read {
        let figures = self.stage.as_ref().map(|stage| stage.figures).unwrap_or_default();
        Read {
            pages: figures.pages,
            objects: figures.objects,
            memberships: figures.memberships,
            quarantined: figures.quarantined,
        }
    }

    fn find_candidates(&mut self, proofs: Vec<Complete>) -> Result<()> {
        self.stage_mut()?.find_candidates(&proofs)?;
        let (parked, _) = self.parked()?;
        let stage = self.stage_mut()?;
        stage.propose_parked_objects(&parked).and_then(|()| stage.find_doubtful(&proofs))
    }

    fn parked_values(&self) -> Result<Vec<ObjectRef>> {
        self.stage()?.parked_values(&self.parked()?.0)
    }

    fn count_candidates(&self, kind: ObjectKind) -> Result<u64> {
        self.stage()?.count_candidates(kind)
    }

    fn open_candidates(&self, kind: ObjectKind, limit: usize) -> Result<Vec<Candidate>> {
        self.stage()?.open_candidates(kind, limit)
    }

    fn siblings(
        &self,
        kind: ObjectKind,
        containers: &[Option<i64>],
        each: usize,
    ) -> Result<Vec<(Option<i64>, ObjectRef)>> {
        self.stage()?.siblings(kind, containers, each)
    }

    fn set_verdicts(&mut self, answers: &[(i64, &Presence, bool)]) -> Result<()> {
        self.stage_mut()?.set_verdicts(answers)
    }

    fn void(&mut self, kind: ObjectKind) -> Result<()> {
        self.stage_mut()?.void(kind)
    }

    fn settle_candidates(&mut self, missing_before: Timestamp) -> Result<Vec<RecordId>> {
        let stage = self.stage_mut()?;
        stage.commit_batch()?;
        let another = stage.settle_renames()?;
        stage.drop_present()?;
        stage.age_missing(missing_before).map(|()| another)
    }

    fn plan_memberships(&mut self, seal: Option<&CoverageSeal>) -> Result<()> {
        let stage = self.stage_mut()?;
        stage.commit_batch()?;
        self.begin = stage.plan_memberships(seal)?;
        let (parked, _) = self.parked()?;
        self.stage()?.propose_parked_edges(&parked)
    }

    fn judge_objects(&mut self, terms: &GuardTerms) -> Result<()> {
        let terms = self.terms(terms)?;
        self.judgement = self.stage_mut()?.judge_objects(&terms)?;
        self.stage_mut()?.explain_losses()
    }

    fn next_doubt(&self) -> Result<Option<EdgeDoubt>> {
        self.stage()?.next_doubt()
    }

    fn settle_doubt(&mut self, doubt: &EdgeDoubt, answers: &[Membership]) -> Result<()> {
        self.stage_mut()?.settle_doubt(doubt, answers)
    }

    fn judge_memberships(&mut self, terms: &GuardTerms) -> Result<()> {
        let terms = self.terms(terms)?;
        let mut judgement = std::mem::take(&mut self.judgement);
        let (parked, summary) = self.parked()?;
        let stage = self.stage_mut()?;
        let result = stage
            .judge_memberships(&terms, &mut judgement)
            .and_then(|()| stage.carry_parked(&parked, &summary, &mut judgement));
        self.judgement = judgement;
        result
    }

    fn summary(&mut self) -> Result<PlanSummary> {
        let mut summary = self.stage()?.plan_figures()?;
        summary.members_added += self.begin.saturating_sub(self.stage()?.begin_in_vain()?);
        summary.parked = self.judgement.items.len();
        summary.held.clone_from(&self.judgement.held);
        summary.held_id = (!self.judgement.items.is_empty())
            .then(|| self.judgement.items.id(self.target.customer.as_str(), self.target.endpoint.as_str()));
        Ok(summary)
    }

    fn conclude(&mut self, conclusion: &Conclusion) -> Result<()> {
        // A row for each group that loses members: from here on it is in the stage only.
        let spent: Vec<_> = std::mem::take(&mut self.judgement.spent).into_iter().collect();
        let spent = serde_json::to_string(&spent).map_err(|_| damaged("a conclusion"))?;
        let items = self.judgement.items.to_stored();
        self.revise(conclusion)?;
        let stage = self.stage()?;
        stage.put("spent", &spent)?;
        stage.put("items", &items)?;
        stage.put("wakes", &i64::from(self.wakes))?;
        stage.set_phase(StagePhase::Applying)
    }

    fn conclusion(&self) -> Result<Conclusion> {
        let json: String = self.stage()?.get("conclusion")?.ok_or_else(|| damaged("a conclusion"))?;
        serde_json::from_str(&json).map_err(|_| damaged("a conclusion"))
    }

    fn revise(&mut self, conclusion: &Conclusion) -> Result<()> {
        let json = serde_json::to_string(conclusion).map_err(|_| damaged("a conclusion"))?;
        self.stage()?.put("conclusion", &json)
    }

    fn unapplied(&self, kind: ObjectKind, after: i64, limit: usize) -> Result<Vec<Candidate>> {
        self.stage()?.unapplied(kind, after.max(self.reached(ApplyPhase::Removals)?), limit)
    }

    fn confirm_unapplied(&mut self, answers: &[(i64, &Presence, bool)]) -> Result<u64> {
        self.stage_mut()?.confirm_unapplied(answers)
    }

    fn drop_unapplied(&mut self, kind: ObjectKind, after: i64) -> Result<u64> {
        let reached = self.reached(ApplyPhase::Removals)?;
        self.stage_mut()?.drop_unapplied(kind, after.max(reached))
    }

    fn doubt_unapplied(&mut self) -> Result<u64> {
        if self.reached(ApplyPhase::Endings)? == i64::MAX {
            return Ok(0);
        }
        self.stage_mut()?.doubt_again()
    }

    fn count_endings(&self) -> Result<u64> {
        self.stage()?.count_endings()
    }

    fn remember_plan(&mut self, plan: &PlanId) -> Result<()> {
        let path = self.store.planned_path(&self.target.customer, &self.target.endpoint, plan);
        std::fs::write(&path, self.judgement.items.to_stored()).map_err(io("remember a plan", &path))
    }

    fn try_lock_apply(&mut self) -> Result<bool> {
        if self.apply_lock.is_none() {
            self.apply_lock = locks::try_apply(&self.store.work, &self.target.customer)?;
        }
        Ok(self.apply_lock.is_some())
    }

    fn applied(&self) -> Result<Applied> {
        super::apply::applied(&self.store.host(), &self.target)
    }

    fn apply_chunk(&mut self, now: Timestamp) -> Result<(Applied, bool)> {
        let (mut writer, mut apply) = match self.apply.take() {
            Some(apply) => apply,
            None => {
                let wakes = self.stage()?.get::<i64>("wakes")? == Some(1);
                (self.store.connect(10 << 20)?, Apply::new(self.target.clone(), wakes))
            }
        };
        let reached = apply.chunk(&mut writer, self.stage_mut()?, now)?;
        self.apply = Some((writer, apply));
        Ok(reached)
    }

    fn finish(&mut self, report: &RunReport, now: Timestamp) -> Result<()> {
        let conclusion = self.conclusion()?;
        let stage = self.stage()?;
        let items = HeldItems::from_stored(&stage.get::<Vec<u8>>("items")?.unwrap_or_default())?;
        let spent: String = stage.get("spent")?.unwrap_or_else(|| "[]".into());
        let spent = serde_json::from_str(&spent).map_err(|_| damaged("a conclusion"))?;
        let coverage = conclusion.coverage.as_ref().map(serde_json::to_string).transpose();
        let finish = Finish {
            report,
            coverage: coverage.map_err(|_| damaged("a coverage"))?,
            listed: conclusion.listed,
            whole: conclusion.whole,
            listed_at: conclusion.listed_at,
            relist: conclusion.relist,
            cursor_life: self.cursor_life(conclusion.planned_at),
            items: &items,
            spent,
            alerts: conclusion.alerts,
        };
        let mut writer = match self.apply.take() {
            Some((writer, _)) => writer,
            None => self.store.connect(8 << 20)?,
        };
        super::apply::finish(&mut writer, &self.target, self.stage()?, &finish, now)?;
        self.apply_lock = None;
        self.store.empty_log(&writer);
        drop(writer);
        self.discard()
    }

    fn abort(&mut self, report: &RunReport, alert: Option<Alert>, now: Timestamp) -> Result<()> {
        if self.dry_run {
            return self.discard();
        }
        if let Some(stage) = self.stage.as_mut().filter(|stage| stage.is_listing()) {
            stage.roll_back();
        }
        let mut writer = self.store.connect(4 << 20)?;
        super::apply::abort(&mut writer, &self.target, report, alert, now)?;
        self.apply_lock = None;
        Ok(())
    }

    fn discard(&mut self) -> Result<()> {
        self.apply = None;
        if let Some(stage) = self.stage.take() {
            stage.discard()?;
        }
        if let Some(path) = self.temporary.take() {
            super::stage::remove(&path)?;
            let mut work = path.into_os_string();
            work.push(".work");
            let work = PathBuf::from(work);
            std::fs::remove_dir_all(&work).map_err(io("remove the files of a dry run", &work))?;
        }
        Ok(())
    }
}

impl Drop for SqliteRun {
    fn drop(&mut self) {
        // A dry run leaves nothing, also when it is dropped half-way.
        if self.dry_run {
            let _ = self.discard();
        }
    }
}
