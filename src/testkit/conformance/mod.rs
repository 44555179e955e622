//! The suite that every connector passes: a check for each line of the `# Behaviour` lists of [`endpoint`].
//!
//! It knows nothing of any provider: an author supplies a [`Remote`], a directory of a test's own that can be changed
//! and made to fail, and an endpoint over it. Each check gets a fresh one.
//!
//! ```
//! use tenantry::testkit::conformance::{self, Remote};
//!
//! // Called from a `#[tokio::test]`, with a function that starts a fake of yours.
//! async fn does_what_the_engine_counts_on<R: Remote + 'static>(start: impl AsyncStart<R>) {
//!     // What this directory cannot do stays untried, and has to be named.
//!     conformance::run(|| start.fake()).await.assert_but(&["actor::"]);
//! }
//! # trait AsyncStart<R>: Send + Sync { fn fake(&self) -> impl Future<Output = R> + Send; }
//! ```
//!
//! It takes `tenantry` with the feature `testkit` and `tokio` with `rt` and `macros` under `[dev-dependencies]`.
//!
//! - Begin with [`Remote::endpoint`], [`Remote::put_user`] and [`Remote::many`]; the report then names, for each check
//!   that was not tried, the method that it is waiting for. `Suite::new(fresh).only("lookup::")` runs a part.
//! - A check that failed says where the behaviour is promised, what was expected, what was seen, and what to do about it.
//!   `delta::agrees_with_a_snapshot` mixes everything: where a check above it failed too, mend that one first.
//! - The faults belong below the connector's client (a fake server, a wrapper around its transport), so that what turns
//!   an answer into a patch or an error is the connector's own code.
//! - A remote declines what it has not: the checks that need it are *not checked*, and [`Report::assert`] fails because
//!   of them, unless they are named. What the endpoint itself does not offer (deltas, actions) counts the same, so that
//!   it is checked from the day on which it does.
//! - No check hangs: a listing may have so many pages, a call so many requests, and [`Suite::patience`] bounds the rest.
//!   The waits of the gate cost no time. Only an endpoint that loops without ever awaiting cannot be stopped.
//!
//! [`endpoint`]: crate::endpoint

mod checks;
mod reading;
mod remote;
mod report;
mod stage;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

pub use checks::ALL;
pub use remote::{Declined, Done, Dump, NewUser, Place, Remote};
pub use report::{Outcome, Report};

use report::Verdict;
use stage::{Patience, Stage};

/// One check: a behaviour that every endpoint promises, and how it is tried.
pub struct Check {
    /// Its name: the part of the contract and what has to be so.
    pub name: &'static str,
    /// The item in whose docs the behaviour stands.
    pub item: &'static str,
    /// The behaviour, as its docs say it, without links.
    pub behaviour: &'static str,
    /// What to do about an endpoint that fails it.
    pub remedy: &'static str,
    run: for<'a> fn(&'a mut Stage) -> Pin<Box<dyn Future<Output = Verdict> + Send + 'a>>,
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Check").field("name", &self.name).field("item", &self.item).finish_non_exhaustive()
    }
}

/// The suite over one author's remote.
#[must_use = "a suite does nothing until `run`"]
pub struct Suite<F> {
    fresh: F,
    patience: Patience,
    only: String,
}

impl<F> fmt::Debug for Suite<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Suite").field("patience", &self.patience).field("only", &self.only).finish_non_exhaustive()
    }
}

impl<F, Fut, R> Suite<F>
where
    F: Fn() -> Fut + Send + Sync,
    Fut: Future<Output = R> + Send,
    R: Remote + 'static,
{
    /// Takes the way to make a fresh remote.
    pub fn new(fresh: F) -> Self {
        Self { fresh, patience: Patience::Real(Duration::from_secs(30)), only: String::new() }
    }

    /// Runs only checks whose names begin so, such as `lookup::`.
    pub fn only(mut self, names: impl Into<String>) -> Self {
        self.only = names.into();
        self
    }

    /// Sets how long one call of the endpoint may take; 30 seconds if nobody says otherwise.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = Patience::Real(patience);
        self
    }

    /// Says that the remote lives in memory: a call that nothing can wake any more fails at once, without waiting.
    ///
    /// Not for one whose answers come from a socket, a process or `spawn_blocking`: the call would be given up before
    /// they are there. Files that are read on the spot are as good as memory.
    pub fn in_memory(mut self) -> Self {
        self.patience = Patience::Virtual;
        self
    }

    /// Tries each check on a remote of its own.
    pub async fn run(&self) -> Report {
        let mut entries = Vec::new();
        for check in ALL.iter().filter(|check| check.name.starts_with(&self.only)) {
            let remote = Box::new((self.fresh)().await);
            let mut stage = Stage::new(remote, self.patience);
            // In a task of its own: a panic is a finding, and does not hide the other checks.
            let tried = tokio::spawn(async move { (check.run)(&mut stage).await }).await;
            let verdict = tried.unwrap_or_else(|panic| report::failed("no panic", panic.to_string()));
            entries.push((check, verdict.into()));
        }
        Report { entries }
    }
}

/// Tries every check, each on a fresh remote.
pub async fn run<F, Fut, R>(fresh: F) -> Report
where
    F: Fn() -> Fut + Send + Sync,
    Fut: Future<Output = R> + Send,
    R: Remote + 'static,
{
    Suite::new(fresh).run().await
}
