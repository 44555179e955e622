//! Law 13: no secret in any log, error, `Debug`, event or report.
//!
//! What an endpoint hands to the engine (cursors, page tokens in checkpoints, a credential in its own fields) holds a
//! word; a process of its own logs everything and prints whatever it gets. Passwords of a real connector, and the files
//! beside the state, are searched for in `tests/import_tenant`.

use std::process::Command;
use std::sync::Arc;

use async_trait::async_trait;
use tenantry::endpoint::{
    Checkpoint, Context, CoverageInfo, Cursor, DeltaEndpoint, DeltaPager, DeltaStep, Endpoint, EndpointInfo,
    Membership, ObjectRef, Presence, SnapshotPager, SnapshotStep, Verification,
};
use tenantry::model::{CustomerId, SourceId};
use tenantry::testkit::{Lie, ScriptedDirectory, ScriptedEndpoint};
use tenantry::{Customer, ImportOptions, Result, Secret, Service, SqliteStore};

use crate::world::{World, folder};

/// What is never to be seen.
const WORD: &str = "canary-4711-never-tell";
const CHILD: &str = "laws::secrets::child";
const STATE: &str = "TENANTRY_SECRETS_STATE";

/// A scripted endpoint whose tokens hold the word.
#[derive(Debug)]
struct Guarded {
    inner: ScriptedEndpoint,
    _credential: Secret,
}

fn dress(bytes: &[u8]) -> Vec<u8> {
    [WORD.as_bytes(), bytes].concat()
}

fn undress(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(WORD.as_bytes()).unwrap()
}

struct Listing(Box<dyn SnapshotPager>);

#[async_trait]
impl SnapshotPager for Listing {
    async fn next(&mut self) -> Result<SnapshotStep> {
        Ok(match self.0.next().await? {
            SnapshotStep::Page(mut page) => {
                page.checkpoint = page.checkpoint.map(|at| Checkpoint::new(at.version(), dress(at.bytes())));
                SnapshotStep::Page(page)
            }
            SnapshotStep::End { cursor } => {
                SnapshotStep::End { cursor: cursor.map(|at| Cursor::new(at.version(), dress(at.bytes()))) }
            }
        })
    }
}

struct Changes(Box<dyn DeltaPager>);

#[async_trait]
impl DeltaPager for Changes {
    async fn next(&mut self) -> Result<DeltaStep> {
        Ok(match self.0.next().await? {
            DeltaStep::CaughtUp(at) => DeltaStep::CaughtUp(Cursor::new(at.version(), dress(at.bytes()))),
            other => other,
        })
    }
}

#[async_trait]
impl DeltaEndpoint for Guarded {
    async fn delta(&self, cx: &Context, since: &Cursor) -> Result<Box<dyn DeltaPager>> {
        let since = Cursor::new(since.version(), undress(since.bytes()));
        Ok(Box::new(Changes(self.inner.as_delta().unwrap().delta(cx, &since).await?)))
    }
}

#[async_trait]
impl Endpoint for Guarded {
    fn info(&self) -> &EndpointInfo {
        self.inner.info()
    }

    async fn coverage(&self, cx: &Context) -> Result<CoverageInfo> {
        self.inner.coverage(cx).await
    }

    async fn verify(&self, cx: &Context) -> Result<Verification> {
        self.inner.verify(cx).await
    }

    async fn snapshot(&self, cx: &Context, from: Option<&Checkpoint>) -> Result<Box<dyn SnapshotPager>> {
        let from = from.map(|at| Checkpoint::new(at.version(), undress(at.bytes())));
        Ok(Box::new(Listing(self.inner.snapshot(cx, from.as_ref()).await?)))
    }

    async fn lookup(&self, cx: &Context, ids: &[ObjectRef]) -> Result<Vec<Presence>> {
        self.inner.lookup(cx, ids).await
    }

    async fn check_members(&self, cx: &Context, group: &ObjectRef, members: &[SourceId]) -> Result<Vec<Membership>> {
        self.inner.check_members(cx, group, members).await
    }

    fn as_delta(&self) -> Option<&dyn DeltaEndpoint> {
        Some(self)
    }
}

/// Imports in several ways, and prints all that can be got hold of.
#[tokio::test]
async fn child() {
    let Ok(path) = std::env::var(STATE) else { return };
    tracing_subscriber::fmt().with_max_level(tracing_subscriber::filter::LevelFilter::TRACE).init();
    let inner = ScriptedEndpoint::new("ad", World::directory(40), 7).unwrap().with_deltas();
    let endpoint = Arc::new(Guarded { inner: inner.clone(), _credential: Secret::new(WORD) });
    let service = Service::new(Arc::new(SqliteStore::open(&path).unwrap()));
    let customer = CustomerId::new("c1").unwrap();
    service.register(Customer::new(customer.clone()), vec![Arc::clone(&endpoint) as Arc<dyn Endpoint>]).await.unwrap();
    println!("{service:?} {endpoint:?}");
    let mut modes = Vec::new();
    for lies in [
        vec![Lie::FailsAfter(3)],
        vec![Lie::CancelsAfter(2)],
        vec![],
        vec![],
        vec![Lie::LookupFails],
        vec![Lie::PanicsAfter(1)],
        vec![Lie::Drops(vec![ScriptedDirectory::id(3)])],
        vec![],
    ] {
        // Panics come in a full listing.
        let full = !lies.is_empty();
        inner.lie(lies);
        inner.change(|directory| directory.delete(&ScriptedDirectory::id(20 + modes.len() as u128)));
        for dry_run in [true, false] {
            let options = ImportOptions { dry_run, full, ..ImportOptions::default() };
            let report = service.import(&customer, &endpoint.info().name, options).await.unwrap();
            println!("{report:?} {:?}", report.clone().into_result());
            modes.push(format!("{:?} {:?}", report.mode, report.outcome));
        }
    }
    let mut run = service.start(&customer, &endpoint.info().name, ImportOptions::default()).await.unwrap();
    while let Some(progress) = run.progressed().await {
        println!("{progress:?} {run:?}");
    }
    let store = service.store();
    for event in store.events(&customer, 0, usize::MAX).unwrap() {
        println!("{event:?} {}", serde_json::to_string(&event).unwrap());
    }
    println!("{:?} {:?}", store.parked(&customer).unwrap(), store.history(&customer, 99).unwrap());
    println!("did {modes:?}");
}

#[test]
fn law_13_no_secret_is_in_any_log_error_debug_event_or_report() {
    let folder = folder();
    let path = folder.path().join("state.db");
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", CHILD, "--nocapture", "--test-threads=1"]).env(STATE, &path).env("RUST_BACKTRACE", "full");
    let output = command.output().unwrap();
    let told = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&told);
    assert!(output.status.success(), "{text}");
    // Snapshots, deltas and failures came by, and were logged; the word was where it belongs.
    for done in ["Delta Done", "Snapshot Failed", "Snapshot Cancelled", "WARN", "scripted panic"] {
        assert!(text.contains(done), "{done} is missing");
    }
    let state = std::fs::read(&path).unwrap();
    assert!(state.windows(WORD.len()).any(|window| window == WORD.as_bytes()), "there is no cursor");
    let hex = WORD.bytes().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    let list = format!("{:?}", WORD.as_bytes());
    let list = list.trim_matches(['[', ']']);
    for spelling in [WORD, &hex, list] {
        let line = text.lines().find(|line| line.contains(spelling));
        assert!(line.is_none(), "told: {}", line.unwrap_or_default());
    }
}
