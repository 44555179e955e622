//! A check of each endpoint: who answers, which rights, what will not be seen, how much work. Nothing is stored.

use std::pin::pin;
use std::time::Duration;

use serde::Serialize;
use tenantry::endpoint::{Estimate, Verification};
use tenantry::gate::Clock;
use tenantry::store::Totals;
use tenantry::{Error, ErrorKind};

use crate::console::Console;
use crate::json;
use crate::status::{Refusal, Status};
use crate::summary::{self, Ended, Summary};
use crate::tenant::{Tenant, temporary};
use crate::text;

/// After so long it is said what is waited for.
const QUIET: Duration = Duration::from_secs(3);
/// And then after so long again.
const LONG: Duration = Duration::from_secs(20);
const REMEDY: &str = "check host and port in the url of the endpoint, and the network between";

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
        let checked = said_while_waiting(console, chosen.name().as_str(), async {
            service.verify(&tenant.customer.id, chosen.name()).await
        });
        let checked = checked.await;
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

/// Says now and then what is waited for: a server that is not reached is tried again for a while, in silence.
async fn said_while_waiting<T>(console: &Console, name: &str, checking: impl Future<Output = T>) -> T {
    let (clock, mut pause) = (Clock::system(), QUIET);
    let mut checking = pin!(checking);
    loop {
        tokio::select! {
            checked = &mut checking => return checked,
            () = clock.sleep(pause) => {
                console.note(&format!("{name}: no answer yet; what is not reached is tried again for a minute or two; {REMEDY}"));
                pause = LONG;
            }
        }
    }
}

/// Says what to do about an error, where it does not say so itself.
fn remedy(error: &Error) -> String {
    match error.kind() {
        ErrorKind::Unavailable => format!("\n  to do     {REMEDY}"),
        _ => String::new(),
    }
}

fn describe(name: &str, checked: Result<&Verification, &Error>) -> String {
    let verification = match checked {
        Ok(verification) => verification,
        Err(error) => return format!("{name}: {error}{}\n", remedy(error)),
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
