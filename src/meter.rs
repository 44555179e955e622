//! The figures that the engine gives to the recorder of a host: their names, labels and meanings in one table.
//!
//! It must not know who counts: without a recorder installed nothing is kept, and nothing here decides anything.
//!
//! The facade is the `metrics` crate: a host installs the recorder of its choice (Prometheus, its own) once for
//! the process, calls [`describe`] and, before each scrape, [`Service::measure`](crate::Service::measure). Everything
//! else is counted where it happens, once for a call, a page or a chunk and never for a single object.
//!
//! A label holds only words of this program, which its type enforces: no name, id or address of anybody can become one,
//! and there are as many series as there are kinds of endpoints, whatever the number of customers. A host that wants
//! figures by customer takes them from the [reports](crate::model::RunReport), or lets its recorder add fields of the
//! span `import` as labels.

use std::time::Duration;

use metrics::{Key, KeyName, Label, Level, Metadata, Unit};

/// What a figure does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetricKind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
    /// It is a distribution.
    Histogram,
}

impl MetricKind {
    /// Returns the kind as one lower-case word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// One figure: its name, what it does, its labels and what it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metric {
    /// The name that a recorder sees.
    pub name: &'static str,
    /// What it does.
    pub kind: MetricKind,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it means, in one line.
    pub about: &'static str,
}

macro_rules! metrics_table {
    ($($id:ident = $kind:ident $name:literal [$($label:literal),*] $about:literal;)+) => {
        $(pub(crate) const $id: Metric =
            Metric { name: $name, kind: MetricKind::$kind, labels: &[$($label),*], about: $about };)+

        /// Every figure that the engine gives, in the order of `docs/operations.md`.
        pub const METRICS: &[Metric] = &[$($id),+];
    };
}

metrics_table! {
    RUNS = Counter "tenantry_runs_total" ["kind", "mode", "outcome"]
        "Imports that have ended.";
    RUN_SECONDS = Histogram "tenantry_run_duration_seconds" ["kind", "mode", "outcome"]
        "How long an import took.";
    RUNS_ACTIVE = Gauge "tenantry_runs_active" ["kind"]
        "Imports under way in this process.";
    PAGES = Counter "tenantry_pages_total" ["kind", "mode"]
        "Pages read and staged.";
    OBJECTS = Counter "tenantry_objects_staged_total" ["kind", "mode"]
        "Objects read and staged, changed or not.";
    MEMBERSHIPS = Counter "tenantry_memberships_staged_total" ["kind", "mode"]
        "Memberships read and staged, changed or not.";
    QUARANTINED = Counter "tenantry_quarantined_total" ["kind"]
        "Records set aside because they cannot be understood.";
    APPLIED = Counter "tenantry_changes_applied_total" ["kind", "change"]
        "Changes applied to records and memberships.";
    PARKED = Counter "tenantry_changes_parked_total" ["kind"]
        "Changes that imports held back for approval; what is held back again counts again.";
    ALERTS = Counter "tenantry_alerts_total" ["kind", "about"]
        "Alerts that need a person.";
    CALLS = Counter "tenantry_calls_total" ["kind", "operation", "outcome"]
        "Calls to remote directories that have ended, with all their tries.";
    TRY_SECONDS = Histogram "tenantry_try_duration_seconds" ["kind", "operation"]
        "How long one try of a call took, without waits.";
    RETRIES = Counter "tenantry_retries_total" ["kind", "operation", "reason"]
        "Tries after which a call was tried again.";
    THROTTLED = Counter "tenantry_throttled_total" ["kind", "reason"]
        "Tries that the remote directory refused because of a quota or of too many at once.";
    WAIT_SECONDS = Histogram "tenantry_wait_duration_seconds" ["kind", "on"]
        "Waits of calls of a millisecond or more.";
    PARKED_NOW = Gauge "tenantry_parked_changes" []
        "Changes that wait for approval, of all customers registered here; set by Service::measure.";
    BACKLOG = Gauge "tenantry_outbox_backlog_events" []
        "Events that consumers have yet to acknowledge, of all consumers asked for here; set by Service::measure.";
}

const METADATA: Metadata<'static> = Metadata::new("tenantry", Level::INFO, Some(module_path!()));

impl Metric {
    /// Counts, with one value for each label. Nothing is written for 0.
    pub(crate) fn count(&self, number: u64, values: &[&'static str]) {
        debug_assert_eq!(self.kind, MetricKind::Counter, "{}", self.name);
        if number > 0 {
            metrics::with_recorder(|to| to.register_counter(&self.key(values), &METADATA).increment(number));
        }
    }

    /// Notes how long something took.
    pub(crate) fn took(&self, duration: Duration, values: &[&'static str]) {
        debug_assert_eq!(self.kind, MetricKind::Histogram, "{}", self.name);
        let seconds = duration.as_secs_f64();
        metrics::with_recorder(|to| to.register_histogram(&self.key(values), &METADATA).record(seconds));
    }

    /// Sets a gauge.
    pub(crate) fn set(&self, value: u64, values: &[&'static str]) {
        debug_assert_eq!(self.kind, MetricKind::Gauge, "{}", self.name);
        metrics::with_recorder(|to| to.register_gauge(&self.key(values), &METADATA).set(value as f64));
    }

    /// Adds one to a gauge until the guard is dropped.
    pub(crate) fn hold(&'static self, label: &'static str) -> Held {
        debug_assert_eq!(self.kind, MetricKind::Gauge, "{}", self.name);
        metrics::with_recorder(|to| to.register_gauge(&self.key(&[label]), &METADATA).increment(1.0));
        Held { metric: self, label }
    }

    fn key(&self, values: &[&'static str]) -> Key {
        debug_assert_eq!(self.labels.len(), values.len(), "the labels of {}", self.name);
        if values.is_empty() {
            return Key::from_static_name(self.name);
        }
        let label = |(name, value): (&&'static str, &&'static str)| Label::from_static_parts(name, value);
        Key::from_parts(self.name, self.labels.iter().zip(values).map(label).collect::<Vec<_>>())
    }
}

/// Something that a gauge counts as long as it exists.
#[derive(Debug)]
pub(crate) struct Held {
    metric: &'static Metric,
    label: &'static str,
}

impl Drop for Held {
    fn drop(&mut self) {
        let key = self.metric.key(&[self.label]);
        metrics::with_recorder(|to| to.register_gauge(&key, &METADATA).decrement(1.0));
    }
}

/// Tells the installed recorder what each figure means.
pub fn describe() {
    metrics::with_recorder(|to| {
        for metric in METRICS {
            let (name, about) = (KeyName::from_const_str(metric.name), metric.about.into());
            match metric.kind {
                MetricKind::Counter => to.describe_counter(name, Some(Unit::Count), about),
                MetricKind::Gauge => to.describe_gauge(name, Some(Unit::Count), about),
                MetricKind::Histogram => to.describe_histogram(name, Some(Unit::Seconds), about),
            }
        }
    });
}
