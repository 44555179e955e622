//! The last line of `--json`: how each endpoint went, what is there now, what it took.

use serde::Serialize;
use tenantry::model::{CustomerId, Freshness, HeldChange, Mode, Outcome, PlanId, RunReport, Unreadable};
use tenantry::store::Totals;
use tenantry::{EndpointInfo, Error, ErrorKind};

use crate::status::Status;
use crate::usage;

/// How one endpoint went.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Ended {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) mode: Mode,
    pub(crate) outcome: Outcome,
    pub(crate) plan: Option<PlanId>,
    pub(crate) error: Option<String>,
    pub(crate) created: u64,
    pub(crate) updated: u64,
    pub(crate) removed: u64,
    pub(crate) missing: u64,
    pub(crate) parked: u64,
    pub(crate) members_added: u64,
    pub(crate) members_removed: u64,
    pub(crate) quarantined: u64,
    pub(crate) pages: u64,
    pub(crate) requests: u64,
    pub(crate) throttled: u64,
    pub(crate) seconds: f64,
    pub(crate) held: Vec<HeldChange>,
    pub(crate) unreadable: Vec<Unreadable>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) freshness: Vec<Freshness>,
}

impl From<RunReport> for Ended {
    fn from(report: RunReport) -> Self {
        Self {
            name: report.endpoint.as_str().to_owned(),
            kind: report.kind,
            mode: report.mode,
            outcome: report.outcome,
            plan: report.plan,
            error: report.error,
            created: report.created,
            updated: report.updated,
            removed: report.removed,
            missing: report.missing,
            parked: report.parked,
            members_added: report.members_added,
            members_removed: report.members_removed,
            quarantined: report.quarantined,
            pages: report.pages,
            requests: report.requests,
            throttled: report.throttled,
            seconds: report.seconds,
            held: report.held,
            unreadable: report.unreadable,
            freshness: report.freshness,
        }
    }
}

impl Ended {
    /// Of an endpoint that was looked at, or could not even be begun.
    pub(crate) fn without_run(info: &EndpointInfo, error: Option<&Error>) -> Self {
        Self {
            name: info.name.as_str().to_owned(),
            kind: info.kind.to_owned(),
            mode: Mode::Snapshot,
            outcome: match error.map(Error::kind) {
                None => Outcome::Done,
                Some(ErrorKind::Cancelled) => Outcome::Cancelled,
                Some(_) => Outcome::Failed,
            },
            plan: None,
            error: error.map(ToString::to_string),
            created: 0,
            updated: 0,
            removed: 0,
            missing: 0,
            parked: 0,
            members_added: 0,
            members_removed: 0,
            quarantined: 0,
            pages: 0,
            requests: 0,
            throttled: 0,
            seconds: 0.0,
            held: Vec::new(),
            unreadable: Vec::new(),
            freshness: Vec::new(),
        }
    }

    /// Adds the figures of a later import of the same endpoint; how that one ended is what counts.
    pub(crate) fn followed_by(self, later: Self) -> Self {
        Self {
            created: self.created + later.created,
            updated: self.updated + later.updated,
            removed: self.removed + later.removed,
            missing: self.missing + later.missing,
            parked: self.parked + later.parked,
            members_added: self.members_added + later.members_added,
            members_removed: self.members_removed + later.members_removed,
            quarantined: self.quarantined.max(later.quarantined),
            pages: self.pages + later.pages,
            requests: self.requests + later.requests,
            throttled: self.throttled + later.throttled,
            seconds: self.seconds + later.seconds,
            ..later
        }
    }

    pub(crate) fn status(&self) -> Status {
        match self.outcome {
            Outcome::Failed | Outcome::Cancelled => Status::Failed,
            Outcome::Held => Status::Parked,
            Outcome::Planned if self.plan.is_some() => Status::Parked,
            Outcome::Done | Outcome::Planned => Status::Done,
        }
    }
}

/// Returns the exit status of them all.
pub(crate) fn status(ended: &[Ended]) -> Status {
    ended.iter().map(Ended::status).max().unwrap_or(Status::Done)
}

/// The last line.
#[derive(Debug, Serialize)]
pub(crate) struct Summary<'a> {
    #[serde(rename = "type")]
    sort: &'static str,
    customer: &'a CustomerId,
    endpoints: &'a [Ended],
    #[serde(flatten)]
    totals: Totals,
    peak_rss_bytes: Option<u64>,
    cpu_seconds: Option<f64>,
}

impl<'a> Summary<'a> {
    pub(crate) fn new(customer: &'a CustomerId, endpoints: &'a [Ended], totals: Totals) -> Self {
        let (peak_rss_bytes, cpu_seconds) = (usage::peak_rss_bytes(), usage::cpu_seconds());
        Self { sort: "tenantry.summary", customer, endpoints, totals, peak_rss_bytes, cpu_seconds }
    }
}
