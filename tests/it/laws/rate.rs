//! Law 15 from end to end: a provider that asks for silence is left alone as long as it asks, by every import at once.
//!
//! That no quota is exceeded is shown in `quota`, and for the gate itself, over schedules of its own: `gate::tests::law`.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tenantry::endpoint::{
    Checkpoint, Context, CoverageInfo, Endpoint, EndpointInfo, Membership, ObjectRef, Presence, SnapshotPager,
    SnapshotStep, Verification,
};
use tenantry::gate::{Clock, Cost, ManualClock};
use tenantry::model::{CustomerId, Outcome, SourceId};
use tenantry::testkit::{ScriptedDirectory, ScriptedEndpoint};
use tenantry::{Customer, Error, ErrorKind, ImportOptions, Result, Retry, Service, SqliteStore};

use super::Dice;
use crate::seeds::seeds;
use crate::world::{World, folder};

/// What a provider saw and demanded.
struct Provider {
    clock: ManualClock,
    dice: Mutex<Dice>,
    /// When it was asked.
    asked: Mutex<Vec<Duration>>,
    /// From when to when it wanted to be left alone.
    silences: Mutex<Vec<(Duration, Duration)>>,
}

impl Provider {
    fn answer(&self) -> Result<()> {
        let now = self.clock.monotonic();
        self.asked.lock().unwrap().push(now);
        let mut dice = self.dice.lock().unwrap();
        if dice.below(4) > 0 {
            return Ok(());
        }
        let wait = Duration::from_millis(1 + dice.below(90_000));
        self.silences.lock().unwrap().push((now, now + wait));
        Err(Error::new(ErrorKind::Throttled, "scripted throttling").with_retry(Retry::After(wait)))
    }
}

/// A scripted endpoint whose provider throttles.
struct Throttled {
    inner: ScriptedEndpoint,
    provider: Arc<Provider>,
}

impl std::fmt::Debug for Throttled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Throttled").finish_non_exhaustive()
    }
}

impl Throttled {
    async fn ask(&self, cx: &Context) -> Result<()> {
        cx.gate().call(Cost::default(), "ask", |_| std::future::ready(self.provider.answer())).await
    }
}

struct Listing {
    inner: Box<dyn SnapshotPager>,
    cx: Context,
    provider: Arc<Provider>,
}

#[async_trait]
impl SnapshotPager for Listing {
    async fn next(&mut self) -> Result<SnapshotStep> {
        let provider = Arc::clone(&self.provider);
        self.cx.gate().call(Cost::default(), "list", |_| std::future::ready(provider.answer())).await?;
        self.inner.next().await
    }
}

#[async_trait]
impl Endpoint for Throttled {
    fn info(&self) -> &EndpointInfo {
        self.inner.info()
    }

    async fn coverage(&self, cx: &Context) -> Result<CoverageInfo> {
        self.ask(cx).await?;
        self.inner.coverage(cx).await
    }

    async fn verify(&self, cx: &Context) -> Result<Verification> {
        self.ask(cx).await?;
        self.inner.verify(cx).await
    }

    async fn snapshot(&self, cx: &Context, from: Option<&Checkpoint>) -> Result<Box<dyn SnapshotPager>> {
        let inner = self.inner.snapshot(cx, from).await?;
        Ok(Box::new(Listing { inner, cx: cx.clone(), provider: Arc::clone(&self.provider) }))
    }

    async fn lookup(&self, cx: &Context, ids: &[ObjectRef]) -> Result<Vec<Presence>> {
        self.ask(cx).await?;
        self.inner.lookup(cx, ids).await
    }

    async fn check_members(&self, cx: &Context, group: &ObjectRef, members: &[SourceId]) -> Result<Vec<Membership>> {
        self.ask(cx).await?;
        self.inner.check_members(cx, group, members).await
    }
}

async fn a_throttled_import(seed: u64) -> (usize, u64) {
    let (folder, (clock, time)) = (folder(), Clock::manual());
    time.advance_by_itself();
    let provider = Arc::new(Provider {
        clock: time,
        dice: Mutex::new(Dice(seed)),
        asked: Mutex::default(),
        silences: Mutex::default(),
    });
    let inner = ScriptedEndpoint::new("ad", World::directory(40), 7).unwrap();
    let endpoint = Arc::new(Throttled { inner: inner.clone(), provider: Arc::clone(&provider) });
    let service = Service::with_clock(Arc::new(SqliteStore::open(folder.path().join("state.db")).unwrap()), clock);
    let customer = CustomerId::new("c1").unwrap();
    service.register(Customer::new(customer.clone()), vec![Arc::clone(&endpoint) as Arc<dyn Endpoint>]).await.unwrap();
    let mut throttled = 0;
    for _ in 0..2 {
        // Somebody asks for a check while the import runs: it goes through the same gate.
        let import = service.import(&customer, &endpoint.info().name, ImportOptions::default());
        let check = service.verify(&customer, &endpoint.info().name);
        let (report, _) = futures::join!(import, check);
        let report = report.unwrap();
        throttled += report.throttled;
        // It may give up when it is sent away again and again; it may not say that it is done when it is not.
        assert!(matches!(report.outcome, Outcome::Done | Outcome::Failed), "seed {seed}: {report:?}");
        inner.change(|directory| directory.delete(&ScriptedDirectory::id(3)));
    }
    let (asked, silences) = (provider.asked.lock().unwrap().clone(), provider.silences.lock().unwrap().clone());
    for at in &asked {
        let broken = silences.iter().find(|(from, until)| at > from && at < until);
        assert!(broken.is_none(), "law 15: seed {seed}: asked at {at:?}, in the silence {broken:?}");
    }
    (silences.len(), throttled)
}

#[test]
fn law_15_a_throttled_provider_is_left_alone_as_long_as_it_asks() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (mut silences, mut throttled) = (0, 0);
    for seed in seeds(150) {
        let (more, told) = runtime.block_on(a_throttled_import(seed));
        silences += more;
        throttled += told;
    }
    println!("law 15: {silences} silences, {throttled} of them told in reports");
    assert!(silences > 0 && throttled > 0);
}
