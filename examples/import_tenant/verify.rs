//! A check of each endpoint: who answers, which rights, what will not be seen, how much work. Nothing is stored.

use serde::Serialize;
use tenantry::Error;
use tenantry::endpoint::{Estimate, Verification};
use tenantry::store::Totals;

use crate::console::Console;
use crate::json;
use crate::status::{Refusal, Status};
use crate::summary::{self, Ended, Summary};
use crate::tenant::{Tenant, temporary};
use crate::text;

#[derive(Serialize)]
struct Line<'a> {
    #[serde(rename = "type")]
    sort: &'static str,
    endpoint: &'a str,
    verification: Option<&'a Verification>,
    error: Option<String>,
}

/// Checks the chosen endpoints and tells the exit status.
pub(crate) async fn run(tenant: &Tenant, console: &Console) -> Result<Status, Refusal> {
    let (_folder, path) = temporary()?;
    // A stand-in: checking an endpoint needs no state, and must not touch one.
    let (service, _stand_in) = tenant.look_at(&path)?;
    let mut outcomes = Vec::new();
    let mut printed = Ok(());
    for chosen in tenant.chosen() {
        let checked = service.verify(&tenant.customer.id, chosen.name()).await;
        if console.is_json() {
            let line = Line {
                sort: "tenantry.verification",
                endpoint: chosen.name().as_str(),
                verification: checked.as_ref().ok(),
                error: checked.as_ref().err().map(ToString::to_string),
            };
            printed = printed.and(json::print(&line).await);
        } else {
            console.say(&describe(chosen.name().as_str(), checked.as_ref()));
        }
        outcomes.push(Ended::without_run(chosen.endpoint.info(), checked.as_ref().err()));
    }
    let mut status = summary::status(&outcomes);
    if console.is_json() {
        let summary = Summary::new(&tenant.customer.id, &outcomes, Totals::default());
        printed = printed.and(json::print(&summary).await);
        text::complain(console, &outcomes);
    }
    if let Err(error) = printed {
        console.note(&error.to_string());
        status = status.max(Status::Failed);
    }
    Ok(status)
}

fn describe(name: &str, checked: Result<&Verification, &Error>) -> String {
    let verification = match checked {
        Ok(verification) => verification,
        Err(error) => return format!("{name}: {error}\n"),
    };
    let mut lines = vec![
        format!("{name}: {}", verification.identity),
        format!("  server    {}", verification.server),
        format!("  estimate  {}", estimate(&verification.estimate)),
    ];
    for right in &verification.rights {
        let granted = if right.granted { "granted" } else { "MISSING" };
        lines.push(format!("  {granted}   {}: {}", right.name, right.purpose));
    }
    lines.extend(verification.not_seen.iter().map(|sentence| format!("  not seen  {sentence}")));
    lines.join("\n") + "\n"
}

fn estimate(estimate: &Estimate) -> String {
    let count = |count: Option<u64>, what: &str| {
        count.map_or_else(|| format!("{what}: too many to count first"), |count| format!("{count} {what}"))
    };
    let mut parts =
        vec![count(estimate.users, "users"), count(estimate.groups, "groups"), count(estimate.computers, "computers")];
    parts.extend(estimate.calls.map(|calls| format!("about {calls} calls")));
    parts.extend(estimate.seconds.map(|seconds| format!("{seconds} s")));
    parts.join(", ")
}
