//! What a subscriber sees of an import: how spans nest, what their fields are, and whom they do not name.

use std::collections::BTreeMap;
use std::fmt::{Debug, Write as _};
use std::sync::{Arc, LazyLock, Mutex};

use tenantry::Secret;
use tenantry::testkit::{Lie, ScriptedDirectory};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;

use crate::world::World;

/// One span or event: the names of the spans around it, its own, its fields.
#[derive(Debug, Clone, Default)]
struct Told {
    path: String,
    level: Option<Level>,
    fields: BTreeMap<&'static str, String>,
}

impl Visit for Told {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let mut text = String::new();
        write!(text, "{value:?}").unwrap();
        self.fields.insert(field.name(), text);
    }
}

#[derive(Debug, Clone, Default)]
struct Kept {
    spans: Arc<Mutex<BTreeMap<u64, Told>>>,
    closed: Arc<Mutex<Vec<Told>>>,
    events: Arc<Mutex<Vec<Told>>>,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Kept {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, cx: Context<'_, S>) {
        let names: Vec<_> = cx.span_scope(id).unwrap().from_root().map(|span| span.name()).collect();
        let level = Some(*attributes.metadata().level());
        let mut told = Told { path: names.join(" > "), level, ..Told::default() };
        attributes.record(&mut told);
        self.spans.lock().unwrap().insert(id.into_u64(), told);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, _: Context<'_, S>) {
        values.record(self.spans.lock().unwrap().get_mut(&id.into_u64()).unwrap());
    }

    fn on_close(&self, id: Id, _: Context<'_, S>) {
        self.closed.lock().unwrap().extend(self.spans.lock().unwrap().remove(&id.into_u64()));
    }

    fn on_event(&self, event: &Event<'_>, cx: Context<'_, S>) {
        let scope = cx.event_scope(event).into_iter().flat_map(tracing_subscriber::registry::Scope::from_root);
        let names: Vec<_> = scope.map(|span| span.name()).collect();
        let level = Some(*event.metadata().level());
        let mut told = Told { path: names.join(" > "), level, ..Told::default() };
        event.record(&mut told);
        self.events.lock().unwrap().push(told);
    }
}

/// A second subscriber, who hears nothing. While there is only one, `tracing` asks the thread that comes by a place first
/// whether anybody listens there; with the tests of other threads that is nobody, and the answer is kept.
static ANOTHER: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(tracing_subscriber::registry()));

/// Does something and returns what was told of it, up to a level.
async fn told(level: LevelFilter, work: impl Future<Output = ()>) -> Kept {
    LazyLock::force(&ANOTHER);
    let kept = Kept::default();
    let guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(kept.clone().with_filter(level)));
    work.await;
    drop(guard);
    kept
}

#[tokio::test]
async fn calls_lie_in_pages_and_pages_in_the_import_each_with_its_fields() {
    let world = World::new(World::directory(40)).await;
    let mut report = None;
    let kept = told(LevelFilter::DEBUG, async { report = Some(world.import_done().await) }).await;
    let report = report.unwrap();
    let closed = kept.closed.lock().unwrap();
    assert!(kept.spans.lock().unwrap().is_empty(), "a span is still open: {:?}", kept.spans);
    let at = |path: &str| -> Vec<Told> { closed.iter().filter(|span| span.path == path).cloned().collect() };

    let imports = at("import");
    let [import] = imports.as_slice() else { panic!("not one import: {imports:?}") };
    let run = report.run.to_string();
    for (field, value) in [("kind", "\"scripted\""), ("customer", "c1"), ("endpoint", "ad"), ("run", run.as_str())] {
        assert_eq!(import.fields[field], value);
    }
    // The end of the listing is asked for as one page more.
    let pages = at("import > page");
    assert_eq!(pages.len() as u64, report.pages + 1);
    let mut numbers: Vec<u64> = pages.iter().map(|page| page.fields["number"].parse().unwrap()).collect();
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(1..=report.pages + 1));
    let objects: u64 = pages.iter().filter_map(|page| page.fields.get("objects")?.parse::<u64>().ok()).sum();
    let members: u64 = pages.iter().filter_map(|page| page.fields.get("memberships")?.parse::<u64>().ok()).sum();
    assert_eq!((objects, members), (45, 10));

    let calls = at("import > page > call");
    assert_eq!(calls.len() as u64, report.requests);
    for call in &calls {
        let fields = ["operation", "outcome", "tries", "waited_ms"].map(|name| call.fields[name].as_str());
        assert_eq!(fields, ["\"scripted page\"", "\"ok\"", "1", "0"]);
    }
    let tries = at("import > page > call > try");
    assert_eq!(tries.len(), calls.len());
    assert!(tries.iter().all(|attempt| attempt.fields["attempt"] == "1"));
}

#[tokio::test]
async fn at_info_there_is_one_span_for_an_import_and_no_other() {
    let world = World::new(World::directory(40)).await;
    let kept = told(LevelFilter::INFO, async { drop(world.import_done().await) }).await;
    let paths: Vec<_> = kept.closed.lock().unwrap().iter().map(|span| span.path.clone()).collect();
    assert_eq!(paths, ["import"]);
}

#[tokio::test]
async fn warnings_say_in_which_import_they_were_given() {
    let world = World::new(World::directory(40)).await;
    world.endpoint.lie([Lie::FailsAfter(1)]);
    let kept = told(LevelFilter::INFO, async { drop(world.import().await) }).await;
    let events = kept.events.lock().unwrap();
    assert!(!events.is_empty() && events.iter().all(|event| event.path == "import"), "{events:?}");
}

#[tokio::test]
async fn nobody_is_named_and_no_secret_told_down_to_debug() {
    let secret = Secret::new("k4n4ri-Vogel");
    let world = World::new(World::directory(40)).await;
    let kept = told(LevelFilter::DEBUG, async {
        tracing::debug!(?secret, "what a host may log");
        world.import_done().await;
        world.fall_on_hard_times().await;
    })
    .await;
    let (closed, events) = (kept.closed.lock().unwrap(), kept.events.lock().unwrap());
    assert!(closed.len() > 30 && events.len() > 2);
    for told in closed.iter().chain(events.iter()) {
        assert!(told.level.is_some_and(|level| level <= Level::DEBUG));
        for value in told.fields.values() {
            // Names, addresses, places and ids of the scripted directory; and the secret.
            for word in ["First", "Last", "corp.example", "user", "oslo", "berlin", "PC0", "k4n4ri"] {
                assert!(!value.contains(word) || value.contains("users"), "{word} in {told:?}");
            }
            let source_id =
                (1..60).map(|number| ScriptedDirectory::id(number).to_string()).find(|id| value.contains(id));
            assert_eq!(source_id, None, "{told:?}");
        }
    }
}
