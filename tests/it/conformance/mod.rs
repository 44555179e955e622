//! The suite for connectors: what is right passes it, each mistake is found by the check that is meant for it, and the
//! docs say nothing that is not checked.

mod connector;
mod delta_mistakes;
mod docs;
mod file;
mod first_import;
mod mistakes;
mod remote;
mod scripted;
mod server;
mod wrong;

use std::collections::BTreeSet;
use std::sync::Arc;

use tenantry::testkit::conformance::{ALL, Outcome, Report, Suite};

use remote::MemoryRemote;
use wrong::Hooks;

/// Runs checks on the connector in memory.
async fn run(hooks: Option<fn() -> Hooks>, only: &str) -> Report {
    let fresh = move || async move { MemoryRemote::new(hooks.map(|hooks| Arc::new(hooks()))) };
    Suite::new(fresh).in_memory().only(only).run().await
}

#[tokio::test]
async fn the_right_connector_passes_every_check() {
    let report = run(None, "").await;
    report.assert();
    assert_eq!(report.outcomes().count(), ALL.len());
}

#[tokio::test]
async fn each_mistake_is_found_by_the_check_that_is_meant_for_it() {
    let mut missed = Vec::new();
    for (mistake, check, hooks) in mistakes::all() {
        let report = run(Some(hooks), check).await;
        let outcome = report.outcomes().find(|(tried, _)| tried.name == check).map(|(_, outcome)| outcome);
        if !matches!(outcome, Some(Outcome::Failed { .. })) {
            missed.push(format!("{mistake}: {check} says {outcome:?}"));
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
}

#[test]
fn there_is_a_mistake_for_every_check() {
    let tried: BTreeSet<_> = mistakes::all().into_iter().map(|(_, check, _)| check).collect();
    let untried: Vec<_> = ALL.iter().map(|check| check.name).filter(|name| !tried.contains(name)).collect();
    assert!(untried.is_empty(), "{untried:?}");
    assert!(tried.iter().all(|name| ALL.iter().any(|check| check.name == *name)), "{tried:?}");
}

#[tokio::test]
async fn a_wrong_connector_is_told_what_was_expected_what_was_seen_and_what_to_do() {
    let hooks: fn() -> Hooks = || Hooks::default().debug();
    let report = run(Some(hooks), "calls::show_no_secret").await;
    let text = report.to_string();
    for part in
        ["FAILED       calls::show_no_secret", "behaviour  Endpoint: No credential", "expected", "seen", "remedy"]
    {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(!text.contains(server::PASSWORD), "{text}");
    assert!(std::panic::catch_unwind(|| report.assert()).is_err());
}
