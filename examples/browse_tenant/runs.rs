//! The imports that were, newest first.

use std::sync::Arc;

use serde_json::json;
use tenantry::Result;

use crate::args::Part;
use crate::output::Output;
use crate::place::{Place, blocking};
use crate::status::Ended;
use crate::table::aligned;

pub(crate) async fn show(place: &Place, part: &Part, output: &mut Output) -> Result<(), Ended> {
    let limit = usize::try_from(part.limit).unwrap_or(usize::MAX >> 1);
    let mut all = Vec::new();
    for customer in &place.customers {
        let (store, owner) = (Arc::clone(&place.store), customer.clone());
        let reports = blocking(move || store.history(&owner, limit)).await?;
        all.extend(reports.into_iter().map(|report| (customer.clone(), report)));
    }
    all.sort_by_key(|(_, report)| std::cmp::Reverse(report.finished_at));
    all.truncate(limit);
    if output.is_json() {
        for (customer, report) in &all {
            output.json(&json!({ "customer": customer, "report": report }))?;
        }
        return Ok(());
    }
    let spelled = |value: serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let rows: Vec<_> = all
        .iter()
        .map(|(customer, report)| {
            [
                report.finished_at.to_string(),
                customer.to_string(),
                report.endpoint.to_string(),
                spelled(json!(report.mode)),
                spelled(json!(report.outcome)),
                report.created.to_string(),
                report.updated.to_string(),
                report.removed.to_string(),
                report.parked.to_string(),
                format!("{:.1}", report.seconds),
                report.run.to_string(),
                report.error.clone().unwrap_or_default(),
            ]
        })
        .collect();
    let header = [
        "ended", "customer", "endpoint", "read", "outcome", "created", "updated", "removed", "parked", "seconds",
        "run", "error",
    ];
    for line in aligned(header, &rows) {
        output.line(&line)?;
    }
    Ok(())
}
