//! Killed, asked to stop, or no longer read: nothing is lost, nothing has a gap.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tenantry_fakes::ldap::{Fault, When};

use crate::program::{Said, events_and_summary, lines, sequences};
use crate::world::World;

/// Kills it so that it has no say in it.
fn kill(mut child: Child) -> String {
    child.kill().unwrap();
    let mut rest = String::new();
    child.stdout.take().unwrap().read_to_string(&mut rest).unwrap();
    child.wait().unwrap();
    rest
}

fn start(command: &mut Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Every position from the first to the last, each at least once, and in each run in order.
fn assert_complete(runs: &[Vec<Value>]) {
    let mut seen = BTreeSet::new();
    for run in runs {
        let sequences = sequences(run);
        assert!(sequences.windows(2).all(|pair| pair[1] == pair[0] + 1), "a gap in {sequences:?}");
        if let Some(first) = sequences.first() {
            assert!(*first <= seen.last().map_or(1, |last| last + 1), "a gap before {first}");
        }
        seen.extend(sequences);
    }
    let last = seen.last().copied().unwrap();
    assert_eq!(seen.len() as u64, last);
}

fn events(text: &str) -> Vec<Value> {
    lines(text).into_iter().filter(|line| line["type"] != "tenantry.summary").collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_it_prints_the_next_run_prints_what_is_missing() {
    let world = World::new(2500).await;
    assert_eq!(world.run(&[]).status, Some(0));
    let mut runs = Vec::new();
    for wanted in [10, 1500, 900] {
        let mut child = start(&mut world.command(&["--json"]));
        let mut reader = BufReader::new(child.stdout.take().unwrap());
        let mut text = String::new();
        for _ in 0..wanted {
            reader.read_line(&mut text).unwrap();
        }
        child.kill().unwrap();
        reader.read_to_string(&mut text).unwrap();
        child.wait().unwrap();
        runs.push(events(&text));
    }
    let last = world.run(&["--json"]);
    assert_eq!(last.status, Some(0), "{last:?}");
    let (rest, summary) = events_and_summary(&last);
    runs.push(rest);
    assert_complete(&runs);
    let users: BTreeSet<&str> = runs
        .iter()
        .flatten()
        .filter(|event| event["type"] == "tenantry.user.upserted")
        .map(|event| event["subject"].as_str().unwrap())
        .collect();
    assert_eq!(users.len() as u64, summary["users"].as_u64().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_it_imports_the_next_runs_end_as_if_nothing_had_happened() {
    let world = World::new(3000).await;
    world.server.edit_settings(|settings| settings.max_page_size = 250);
    let mut runs = Vec::new();
    for page in [2, 5, 9] {
        world.server.faults().on(When::Page(page), Fault::Hang);
        let child = start(&mut world.command(&["--json"]));
        let deadline = Duration::from_mins(1);
        tokio::time::timeout(deadline, async {
            while world.server.faults().pending() > 0 {
                tokio::task::yield_now().await;
            }
        })
        .await
        .unwrap();
        runs.push(events(&kill(child)));
    }
    let last = world.run(&["--json"]);
    assert_eq!(last.status, Some(0), "{last:?}");
    let (rest, summary) = events_and_summary(&last);
    runs.push(rest);
    assert_complete(&runs);
    let undisturbed = World::new(3000).await;
    let (_, expected) = events_and_summary(&undisturbed.run(&["--json"]));
    for total in ["users", "groups", "computers", "memberships"] {
        assert_eq!(summary[total], expected[total], "{total}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_goes_away_loses_no_event() {
    let world = World::new(1500).await;
    let mut child = start(&mut world.command(&["--json"]));
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    let mut text = String::new();
    for _ in 0..3 {
        reader.read_line(&mut text).unwrap();
    }
    drop(reader);
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(1), "{err}");
    assert!(err.contains("nobody reads stdout any more") && !err.contains("panicked"), "{err}");
    let last = world.run(&["--json"]);
    assert_eq!(last.status, Some(0), "{last:?}");
    assert_complete(&[events(&text), events_and_summary(&last).0]);
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn asked_to_stop_it_keeps_its_checkpoint_and_says_that_it_was_cancelled() {
    for signal in ["INT", "TERM"] {
        let world = World::new(1200).await;
        world.server.edit_settings(|settings| settings.max_page_size = 250);
        world.server.faults().on(When::Page(4), Fault::Delay(Duration::from_secs(20)));
        let child = start(&mut world.command(&["--json"]));
        while world.server.faults().pending() > 0 {
            tokio::task::yield_now().await;
        }
        let asked = Command::new("sh").args(["-c", &format!("kill -{signal} {}", child.id())]).status().unwrap();
        assert!(asked.success());
        let output = child.wait_with_output().unwrap();
        let said = Said {
            status: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        };
        assert_eq!(said.status, Some(1), "{said:?}");
        let (_, summary) = events_and_summary(&said);
        assert_eq!(summary["endpoints"][0]["outcome"], "cancelled", "{summary}");
        assert!(said.err.contains("cancelled"), "{said:?}");
        let next = world.run(&["--json"]);
        assert_eq!(next.status, Some(0), "{next:?}");
        assert!(events_and_summary(&next).1["users"].as_u64().unwrap() >= 1200);
    }
}
