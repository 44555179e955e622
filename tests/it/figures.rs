//! What a host's recorder gets: exactly the figures of the table, once for a page or a chunk, and nobody's name.

#![allow(clippy::float_cmp, reason = "recorders get whole numbers as floats")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use metrics::{Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, SharedString, Unit};
use tenantry::gate::{Clock, Cost, Gate};
use tenantry::meter::{self, METRICS, MetricKind};

use tenantry::testkit::ScriptedDirectory;
use tenantry::{Error, ErrorKind, ImportOptions, Retry};

use crate::world::World;

/// One series: the figure and its labels.
type Series = (String, Vec<(String, String)>);

/// What was recorded of one series.
#[derive(Debug, Default, Clone, PartialEq)]
struct Told {
    value: f64,
    calls: u64,
}

/// A recorder that keeps everything.
#[derive(Debug, Default, Clone)]
struct Kept {
    told: Arc<Mutex<BTreeMap<Series, (MetricKindWord, Told)>>>,
    described: Arc<Mutex<BTreeMap<String, (MetricKindWord, String)>>>,
}

type MetricKindWord = &'static str;

/// Where one series is kept.
struct Slot(Kept, Series);

impl Slot {
    fn tell(&self, change: impl FnOnce(&mut Told)) {
        let mut told = self.0.told.lock().unwrap();
        let (_, told) = told.get_mut(&self.1).unwrap();
        told.calls += 1;
        change(told);
    }
}

impl CounterFn for Slot {
    fn increment(&self, number: u64) {
        self.tell(|told| told.value += number as f64);
    }

    fn absolute(&self, _: u64) {
        unreachable!("counters are only counted up");
    }
}

impl GaugeFn for Slot {
    fn increment(&self, by: f64) {
        self.tell(|told| told.value += by);
    }

    fn decrement(&self, by: f64) {
        self.tell(|told| told.value -= by);
    }

    fn set(&self, value: f64) {
        self.tell(|told| told.value = value);
    }
}

impl HistogramFn for Slot {
    fn record(&self, value: f64) {
        self.tell(|told| told.value += value);
    }
}

impl Kept {
    fn slot(&self, kind: MetricKind, key: &Key) -> Arc<Slot> {
        let labels = key.labels().map(|label| (label.key().to_owned(), label.value().to_owned())).collect();
        let series = (key.name().to_owned(), labels);
        self.told.lock().unwrap().entry(series.clone()).or_insert_with(|| (kind.as_str(), Told::default()));
        Arc::new(Slot(self.clone(), series))
    }

    fn describe(&self, kind: MetricKind, name: &KeyName, about: &str) {
        self.described.lock().unwrap().insert(name.as_str().to_owned(), (kind.as_str(), about.to_owned()));
    }

    /// Returns one series, which must exist.
    fn get(&self, name: &str, labels: &[&str]) -> Told {
        let told = self.told.lock().unwrap();
        let found = told.iter().find(|((found, values), _)| {
            found == name && values.iter().map(|(_, value)| value.as_str()).eq(labels.iter().copied())
        });
        found.map_or_else(|| panic!("no {name} {labels:?} in {told:#?}"), |(_, (_, told))| told.clone())
    }

    /// Returns every figure with its kind and the names of its labels.
    fn shapes(&self) -> BTreeSet<(String, MetricKindWord, Vec<String>)> {
        let told = self.told.lock().unwrap();
        told.iter()
            .map(|((name, labels), (kind, _))| {
                (name.clone(), *kind, labels.iter().map(|(label, _)| label.clone()).collect())
            })
            .collect()
    }
}

impl metrics::Recorder for Kept {
    fn describe_counter(&self, name: KeyName, _: Option<Unit>, about: SharedString) {
        self.describe(MetricKind::Counter, &name, &about);
    }

    fn describe_gauge(&self, name: KeyName, _: Option<Unit>, about: SharedString) {
        self.describe(MetricKind::Gauge, &name, &about);
    }

    fn describe_histogram(&self, name: KeyName, _: Option<Unit>, about: SharedString) {
        self.describe(MetricKind::Histogram, &name, &about);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.slot(MetricKind::Counter, key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.slot(MetricKind::Gauge, key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.slot(MetricKind::Histogram, key))
    }
}

/// A history in which everything happens that is counted: alerts, removals that are parked, records set aside.
async fn everything() {
    let world = World::new(World::directory(40)).await;
    let consumer = world.service.consumer(&world.customer, "mail");
    world.import_done().await;
    world.fall_on_hard_times().await;
    let events = consumer.next(10).await.unwrap();
    consumer.acknowledge(&events[9]).await.unwrap();
    world.service.measure().await.unwrap();
}

/// A call that is throttled, waits and fails for good.
fn trouble() {
    let (clock, time) = Clock::manual();
    let gate = Gate::builder().kind("scripted").clock(clock).build();
    let answer = |retry| Err::<(), _>(Error::new(ErrorKind::Throttled, "too fast").with_retry(retry));
    let call = gate.call(Cost::default(), "list", |attempt| {
        let retry = if attempt.number() < 3 { Retry::After(Duration::from_secs(5)) } else { Retry::Never };
        std::future::ready(answer(retry))
    });
    time.run(call).unwrap_err();
}

#[tokio::test]
async fn every_figure_of_the_table_is_given_with_its_labels_and_no_other() {
    let kept = Kept::default();
    let _guard = metrics::set_default_local_recorder(&kept);
    trouble();
    everything().await;
    let table: BTreeSet<_> = METRICS
        .iter()
        .map(|metric| {
            let labels = metric.labels.iter().map(|label| (*label).to_owned()).collect();
            (metric.name.to_owned(), metric.kind.as_str(), labels)
        })
        .collect();
    assert_eq!(kept.shapes(), table);
}

#[tokio::test]
async fn calls_retries_and_waits_are_counted_by_operation_and_outcome() {
    let kept = Kept::default();
    let _guard = metrics::set_default_local_recorder(&kept);
    trouble();
    assert_eq!(kept.get("tenantry_calls_total", &["scripted", "list", "throttled"]).value, 1.0);
    assert_eq!(kept.get("tenantry_retries_total", &["scripted", "list", "throttled"]).value, 2.0);
    assert_eq!(kept.get("tenantry_throttled_total", &["scripted", "throttled"]).value, 3.0);
    assert_eq!(kept.get("tenantry_try_duration_seconds", &["scripted", "list"]).calls, 3);
    assert_eq!(kept.get("tenantry_wait_duration_seconds", &["scripted", "server"]), Told { value: 10.0, calls: 2 });
}

#[tokio::test]
async fn figures_of_an_import_equal_its_report_and_are_told_once_for_a_page() {
    let kept = Kept::default();
    let world = World::new(World::directory(40)).await;
    let _guard = metrics::set_default_local_recorder(&kept);
    let report = world.import_done().await;
    let pages = kept.get("tenantry_pages_total", &["scripted", "snapshot"]);
    assert_eq!((pages.value, pages.calls), (report.pages as f64, report.pages));
    let objects = kept.get("tenantry_objects_staged_total", &["scripted", "snapshot"]);
    assert_eq!(objects.value, 45.0);
    assert!(objects.calls <= report.pages, "{objects:?} on {} pages", report.pages);
    assert_eq!(kept.get("tenantry_memberships_staged_total", &["scripted", "snapshot"]).value, 10.0);
    for (change, number) in [("created", report.created), ("member-added", report.members_added)] {
        assert_eq!(kept.get("tenantry_changes_applied_total", &["scripted", change]).value, number as f64, "{change}");
    }
    assert_eq!(kept.get("tenantry_runs_total", &["scripted", "snapshot", "done"]).value, 1.0);
    assert_eq!(kept.get("tenantry_runs_active", &["scripted"]), Told { value: 0.0, calls: 2 });
    assert_eq!(kept.get("tenantry_calls_total", &["scripted", "scripted page", "ok"]).value, report.requests as f64);
}

#[tokio::test]
async fn what_waits_is_measured_when_asked_for() {
    let kept = Kept::default();
    let world = World::new(World::directory(40)).await;
    let _guard = metrics::set_default_local_recorder(&kept);
    let consumer = world.service.consumer(&world.customer, "mail");
    world.import_done().await;
    let last = world.service.last_position(&world.customer).await.unwrap();
    let events = consumer.next(10).await.unwrap();
    consumer.acknowledge(&events[9]).await.unwrap();
    world.service.measure().await.unwrap();
    assert_eq!(kept.get("tenantry_outbox_backlog_events", &[]).value, (last - 10) as f64);
    assert_eq!(consumer.backlog().await.unwrap(), last - 10);
    assert_eq!(kept.get("tenantry_parked_changes", &[]).value, 0.0);
    world.endpoint.change(|directory| {
        for number in 20..32 {
            directory.delete(&ScriptedDirectory::id(number));
        }
    });
    let report = world.import_with(ImportOptions::default()).await;
    world.service.measure().await.unwrap();
    assert_eq!(kept.get("tenantry_parked_changes", &[]).value, report.parked as f64);
    assert_eq!(kept.get("tenantry_changes_parked_total", &["scripted"]).value, report.parked as f64);
}

#[tokio::test]
async fn no_label_names_a_customer_an_endpoint_or_anybody() {
    let kept = Kept::default();
    let _guard = metrics::set_default_local_recorder(&kept);
    everything().await;
    for ((name, labels), _) in kept.told.lock().unwrap().iter() {
        for (_, value) in labels {
            assert!(!["c1", "ad", "mail"].contains(&value.as_str()), "{name} {labels:?}");
            let a_word = value.chars().all(|c| c.is_ascii_lowercase() || c == '-' || c == ' ');
            assert!(a_word, "{name} {labels:?}");
        }
    }
}

#[test]
fn the_meaning_of_every_figure_is_described_to_the_recorder() {
    let kept = Kept::default();
    metrics::with_local_recorder(&kept, meter::describe);
    let described = kept.described.lock().unwrap().clone();
    let table = METRICS.iter().map(|metric| (metric.name.to_owned(), (metric.kind.as_str(), metric.about.to_owned())));
    assert_eq!(described, table.collect());
}

#[test]
fn the_page_for_operators_has_the_same_table() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operations.md")).unwrap();
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| `tenantry_")).collect();
    let table: Vec<String> = METRICS
        .iter()
        .map(|metric| {
            let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
            format!("| `{}` | {} | {} | {} |", metric.name, metric.kind.as_str(), labels.join(" "), metric.about)
        })
        .collect();
    assert_eq!(rows, table, "the table should read\n{}", table.join("\n"));
}
