//! Lists the remote directory into the stage: a task of its own reads pages ahead, through a bounded channel.

use std::time::Duration;

use tokio::sync::mpsc;
use tracing::field::Empty;
use tracing::{Instrument, Span};

use super::{IdListing, Import, Listed};
use crate::coverage::{Closes, Complete, CoverageSeal, CoverageWatch};
use crate::endpoint::{
    Checkpoint, CoverageInfo, Cursor, DeltaEndpoint, DeltaPage, DeltaPager, DeltaStep, ObjectRef, Presence,
    SnapshotPage, SnapshotPager, SnapshotStep,
};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Mode, ObjectKind, Phase, Scope};
use crate::store::{Need, Resume, Stranger};

/// Pages that are read ahead of the stage.
const PAGES_AHEAD: usize = 2;
/// Objects of one look-up that only an id listing named.
const STRANGERS_A_LOOKUP: usize = 200;
/// Age at which ids are listed although deltas report what is gone: what they forgot is found within a day.
const ID_LISTING_AGE: Duration = Duration::from_hours(24);

/// A listing that came to its end.
pub(super) struct Listing {
    /// What could be seen when it began.
    pub(super) coverage: CoverageInfo,
    /// Why its removals need approval.
    pub(super) suspicion: Option<String>,
    /// Whether every kind that is stored was listed to its end.
    pub(super) all_proven: bool,
    closes: Closes,
    seal: Option<CoverageSeal>,
}

impl Listing {
    /// Turns what was closed under one unchanged coverage into proofs.
    pub(super) fn proofs(&self) -> Vec<Complete> {
        self.seal.as_ref().map(|seal| seal.objects(&self.closes)).unwrap_or_default()
    }

    /// Gives away the right to believe the ends of member lists.
    pub(super) fn take_seal(&mut self) -> Option<CoverageSeal> {
        self.seal.take()
    }

    pub(super) fn closed(&self) -> Vec<String> {
        self.closes.closed().map(ToString::to_string).collect()
    }
}

enum Step {
    Snapshot(SnapshotPage),
    Delta(DeltaPage),
    Ids(SnapshotPage),
    End(Option<Cursor>),
    Expired,
}

/// A task that ends with its owner.
struct Reader(tokio::task::JoinHandle<()>);

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.abort();
    }
}

enum Pager {
    Snapshot(Box<dyn SnapshotPager>),
    Delta(Box<dyn DeltaPager>),
    Ids(Box<dyn SnapshotPager>),
}

impl Pager {
    async fn next(&mut self) -> Result<Step> {
        Ok(match self {
            Self::Snapshot(pager) => match pager.next().await? {
                SnapshotStep::Page(page) => Step::Snapshot(page),
                SnapshotStep::End { cursor } => Step::End(cursor),
            },
            Self::Delta(pager) => match pager.next().await? {
                DeltaStep::Page(page) => Step::Delta(page),
                DeltaStep::CaughtUp(cursor) => Step::End(Some(cursor)),
                DeltaStep::CursorExpired => Step::Expired,
            },
            Self::Ids(pager) => match pager.next().await? {
                SnapshotStep::Page(page) => Step::Ids(page),
                SnapshotStep::End { .. } => Step::End(None),
            },
        })
    }

    /// Reads ahead in a task of its own, each page in a span that ends when the page is staged.
    fn spawn(mut self) -> (Reader, mpsc::Receiver<(Span, Result<Step>)>) {
        let (send, receive) = mpsc::channel(PAGES_AHEAD);
        // A task of its own does not begin in the span of who started it.
        let import = Span::current();
        let task = tokio::spawn(async move {
            for number in 1_u64.. {
                let page = tracing::debug_span!(parent: &import, "page", number, objects = Empty, memberships = Empty);
                let step = self.next().instrument(page.clone()).await;
                let last = !matches!(step, Ok(Step::Snapshot(_) | Step::Delta(_) | Step::Ids(_)));
                if send.send((page, step)).await.is_err() || last {
                    return;
                }
            }
        });
        (Reader(task), receive)
    }
}

impl Import {
    /// Lists to the end, or takes up an earlier run's plan.
    pub(super) async fn list(&mut self) -> Result<Listed> {
        let (stored, known) = self.hold.with(|run| Ok((run.stored_coverage()?, run.known()?))).await?;
        let expected: u64 = known[..3].iter().sum();
        self.show(|progress| progress.expected_objects = (expected > 0).then_some(expected));
        let coverage = self.job.endpoint.coverage(&self.cx).await.map_err(|error| self.in_endpoint(error))?;
        let suspicion = Self::compare_coverage(stored.as_ref(), &coverage)?;
        let begun = coverage.clone();
        let from = match self.hold.with(move |run| run.resume(&begun)).await? {
            Resume::Applying => return Ok(Listed::Planned),
            Resume::Listing(checkpoint) => Some(checkpoint),
            Resume::Fresh => None,
        };
        self.show(|progress| progress.phase = Phase::Listing);

        let watch = CoverageWatch::begin(&coverage);
        let cursor = if from.is_none() { self.read_delta(suspicion.is_some(), &coverage).await? } else { None };
        let cursor = match cursor {
            Some(cursor) => cursor,
            None => self.read_snapshot(from, &coverage).await?,
        };
        let delta = self.job.endpoint.as_delta().zip(cursor.as_ref());
        self.freshness = delta.map(|(delta, cursor)| delta.freshness(cursor)).unwrap_or_default();
        let end = self.job.endpoint.coverage(&self.cx).await.map_err(|error| self.in_endpoint(error))?;
        let seal = watch.end(&end);
        // Of what could not be seen for a while, a delta behind this cursor would never tell.
        let cursor = cursor.filter(|_| seal.is_some());
        let closes = self.hold.with(move |run| run.end_listing(cursor)).await?;
        self.check_first(&closes, known[0], &coverage).await?;
        let all_proven = ObjectKind::ALL.iter().all(|kind| {
            known[*kind as usize] == 0
                || (closes.closed().any(|scope| *scope == Scope::of(*kind))
                    && !closes.spoiled().any(|scope| *scope == Scope::of(*kind)))
        });
        if seal.is_none() {
            let message = format!(
                "what can be seen changed while it was listed ({}); nothing is removed",
                end.difference(&coverage)
            );
            self.alert("coverage-changed", message);
        }
        Ok(Listed::Whole(Listing { coverage, suspicion, all_proven: all_proven && seal.is_some(), closes, seal }))
    }

    /// Reads the changes since the stored cursor. `None` where a snapshot is needed.
    async fn read_delta(&mut self, coverage_changed: bool, coverage: &CoverageInfo) -> Result<Option<Option<Cursor>>> {
        let endpoint = std::sync::Arc::clone(&self.job.endpoint);
        let Some(delta) = endpoint.as_delta().filter(|_| !self.job.options.full && !coverage_changed) else {
            return Ok(None);
        };
        let Some(since) = self.hold.with(|run| run.cursor()).await? else { return Ok(None) };
        self.mode = Mode::Delta;
        let pager = delta.delta(&self.cx, &since).await.map_err(|error| self.in_endpoint(error))?;
        match self.read(Pager::Delta(pager)).await? {
            Some(cursor) if !self.are_ids_due(delta, coverage).await? || self.read_ids().await? => {
                return Ok(Some(cursor));
            }
            Some(_) => tracing::info!("ids are listed of which the delta said nothing; reading a snapshot"),
            None => tracing::info!("the cursor has expired; reading a snapshot"),
        }
        self.mode = Mode::Snapshot;
        self.ids_listed = false;
        let coverage = coverage.clone();
        self.hold.with(move |run| run.restart(&coverage)).await?;
        Ok(None)
    }

    /// Tells whether the ids are to be listed behind this delta.
    async fn are_ids_due(&mut self, delta: &dyn DeltaEndpoint, coverage: &CoverageInfo) -> Result<bool> {
        let age = match self.job.options.id_listing {
            IdListing::Auto if !delta.tells_removals(coverage) => return Ok(true),
            IdListing::Auto => ID_LISTING_AGE,
            IdListing::Every(age) => age,
        };
        let age = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
        let (now, last) = (self.started_at, self.hold.with(|run| run.listed_at()).await?);
        // One of the future is of a clock that was wrong.
        Ok(last.is_none_or(|last| last > now || last <= now.minus_millis(age)))
    }

    /// Reads the ids behind a delta. `false`: only a snapshot brings what is there.
    async fn read_ids(&mut self) -> Result<bool> {
        let endpoint = std::sync::Arc::clone(&self.job.endpoint);
        let pager = endpoint.id_listing(&self.cx).await.map_err(|error| self.in_endpoint(error))?;
        self.ids_listed = true;
        Ok(self.read(Pager::Ids(pager)).await?.is_some())
    }

    /// Looks up who is listed and not known to be there. `false`: a look-up does not bring all of them.
    async fn meet(&mut self, strangers: &[Stranger]) -> Result<bool> {
        for some in strangers.chunks(STRANGERS_A_LOOKUP) {
            let asked: Vec<ObjectRef> = some.iter().map(|stranger| stranger.object.clone()).collect();
            let answers = match self.job.endpoint.lookup(&self.cx, &asked).await {
                Ok(answers) if answers.len() == asked.len() => answers,
                Ok(_) => {
                    return Err(Error::protocol(
                        "a look-up answered for another number of objects than were asked for",
                    ));
                }
                Err(error) if *error.kind() == ErrorKind::Cancelled => return Err(error),
                Err(error) => {
                    // They are listed again by the next run: this listing does not count.
                    self.doubtful = true;
                    let error = self.in_endpoint(error);
                    self.alert("look-up-failed", format!("objects that are new could not be looked up: {error}"));
                    return Ok(true);
                }
            };
            let mut found = Vec::new();
            for (stranger, answer) in some.iter().zip(answers) {
                match (stranger.need, answer) {
                    (Need::Patch | Need::Nothing, Presence::Present(Some(patch))) => found.push(*patch),
                    (Need::Nothing, Presence::Present(None)) => {}
                    (_, Presence::Present(_)) => return Ok(false),
                    // Gone meanwhile, or not to be told: the next delta or listing says more.
                    _ => {}
                }
            }
            if !found.is_empty() {
                self.hold.with(move |run| run.stage_found(found)).await?;
            }
        }
        Ok(true)
    }

    async fn read_snapshot(&mut self, from: Option<Checkpoint>, coverage: &CoverageInfo) -> Result<Option<Cursor>> {
        let endpoint = std::sync::Arc::clone(&self.job.endpoint);
        let mut pager = endpoint.snapshot(&self.cx, from.as_ref()).await;
        if from.is_some() && pager.as_ref().is_err_and(|error| *error.kind() == ErrorKind::Conflict) {
            tracing::info!("the checkpoint can no longer be used; listing from the beginning");
            pager = endpoint.snapshot(&self.cx, None).await;
            let coverage = coverage.clone();
            self.hold.with(move |run| run.restart(&coverage)).await?;
        }
        let pager = pager.map_err(|error| self.in_endpoint(error))?;
        let ended = self.read(Pager::Snapshot(pager)).await?;
        ended.ok_or_else(|| Error::protocol("a snapshot cannot expire"))
    }

    /// Stages page after page. `None`: the cursor has expired, or only a snapshot brings what is there.
    async fn read(&mut self, pager: Pager) -> Result<Option<Option<Cursor>>> {
        let (_reader, mut steps) = pager.spawn();
        self.begin_counting();
        loop {
            let step = tokio::select! {
                step = steps.recv() => step,
                () = self.cx.cancel().cancelled() => return Err(Error::cancelled()),
            };
            // A task that went without a word (it panicked) is a listing that merely stopped.
            let (span, step) = step.ok_or_else(|| Error::protocol("the listing stopped without coming to its end"))?;
            let before = self.counted;
            // The page comes back and is dropped where it was made: memory that changes threads is dear.
            let read = match step.map_err(|error| self.in_endpoint(error))? {
                Step::Snapshot(page) => {
                    let staged = self.hold.with(move |run| Ok((run.stage_snapshot(&page)?, page)));
                    staged.instrument(span.clone()).await?.0
                }
                Step::Delta(page) => {
                    let staged = self.hold.with(move |run| Ok((run.stage_delta(&page)?, page)));
                    staged.instrument(span.clone()).await?.0
                }
                Step::Ids(page) => {
                    let staged = self.hold.with(move |run| Ok((run.stage_ids(&page)?, page)));
                    let ((read, strangers), _) = staged.instrument(span.clone()).await?;
                    if !self.meet(&strangers).await? {
                        return Ok(None);
                    }
                    read
                }
                Step::End(cursor) => return Ok(Some(cursor)),
                Step::Expired => return Ok(None),
            };
            span.record("objects", read.objects.saturating_sub(before.objects));
            span.record("memberships", read.memberships.saturating_sub(before.memberships));
            self.count_read();
            self.show(|progress| {
                progress.pages = read.pages;
                progress.objects = read.objects;
                progress.memberships = read.memberships;
            });
        }
    }

    /// A first listing without a single user is a failure: rights, filter or base are wrong.
    async fn check_first(&mut self, closes: &Closes, known_users: u64, coverage: &CoverageInfo) -> Result<()> {
        if known_users > 0 || self.mode == Mode::Delta || !closes.closed().any(|scope| *scope == Scope::Users) {
            return Ok(());
        }
        if self.hold.with(|run| run.stages_users()).await? {
            return Ok(());
        }
        // The next run must not go on behind the end of this listing: it would see nothing for ever.
        let coverage = coverage.clone();
        let (set_aside, reason) = self.hold.with(|run| Ok((run.read().quarantined, run.misfit_user()?))).await?;
        self.hold.with(move |run| run.restart(&coverage)).await?;
        if let Some(reason) = reason {
            let error = Error::protocol(format!(
                "nothing to import: users were listed and none can be understood; {set_aside} records were set aside, \
                 the first user because: {reason}; mend the records, or what the connector makes of them"
            ));
            return Err(self.in_endpoint(error));
        }
        let error = Error::new(
            ErrorKind::PermissionDenied { missing: Vec::new() },
            "nothing visible: not a single user was listed; check rights, base and filters of the endpoint",
        );
        Err(self.in_endpoint(error))
    }

    pub(super) fn in_endpoint(&self, error: Error) -> Error {
        if error.context("endpoint").is_some() {
            return error;
        }
        error.with_context("endpoint", &self.job.endpoint.info().name)
    }
}
