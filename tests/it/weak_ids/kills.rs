//! A change of address that is killed at any commit ends as if nothing had been.
//!
//! The child is this test binary itself, started again with what it is to do in its environment.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tenantry::model::{CustomerId, GuardLimits, Limit, Outcome, SourceId};
use tenantry::testkit::{ScriptedEndpoint, on_commit};
use tenantry::{Customer, Endpoint, ImportOptions, Service, SqliteStore};

use super::{GROUP, directory, id};
use crate::kills::seen;
use crate::operations::Replica;
use crate::world::folder;

const CHILD: &str = "weak_ids::kills::child";

fn open(version: u64) -> ScriptedEndpoint {
    let mut now = directory(30);
    let other = now.add_addressed_group(1_000_001);
    // Known as a member before it is known whose it is.
    now.add_member(&other, &SourceId::address("ann@corp.example"));
    for number in 5..=15 {
        now.add_member(&other, &id(number));
    }
    if version > 0 {
        now.readdress(&id(4), "ann@corp.example");
        for number in 8..=20 {
            now.readdress(&id(number), &format!("user{number}@new.example"));
        }
        now.readdress(&SourceId::address(GROUP), "staff@corp.example");
        now.add_addressed_user(31);
    }
    ScriptedEndpoint::new("ad", now, 4).unwrap()
}

/// One import; aborts at a commit if it is told to.
#[test]
fn child() {
    let Ok(path) = std::env::var("TENANTRY_WEAK_STATE") else { return };
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let endpoint = open(number("TENANTRY_WEAK_VERSION").unwrap());
    let (points, at) = (Arc::new(AtomicU64::new(0)), number("TENANTRY_WEAK_AT"));
    let counted = Arc::clone(&points);
    on_commit(move || {
        if Some(counted.fetch_add(1, Ordering::Relaxed)) == at {
            std::process::abort();
        }
    });
    let customer = CustomerId::new("c1").unwrap();
    let guard = GuardLimits::of_all(Limit::new(1.0, 10_000));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let report = runtime.block_on(async {
        let service = Service::new(Arc::new(SqliteStore::open(&path).unwrap()));
        let endpoints = vec![Arc::new(endpoint.clone()) as Arc<dyn Endpoint>];
        service.register(Customer::new(customer.clone()), endpoints).await.unwrap();
        let options = ImportOptions { guard, ..ImportOptions::default() };
        service.import(&customer, &endpoint.info().name, options).await.unwrap()
    });
    assert_eq!(report.outcome, Outcome::Done, "{report:?}");
    println!("\npoints {}", points.load(Ordering::Relaxed));
}

/// Returns at how many points it can be killed, unless it was.
fn import(path: &Path, version: u64, at: Option<u64>) -> Option<u64> {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", CHILD, "--nocapture", "--test-threads=1"])
        .env("TENANTRY_WEAK_STATE", path)
        .env("TENANTRY_WEAK_VERSION", version.to_string());
    if let Some(at) = at {
        command.env("TENANTRY_WEAK_AT", at.to_string());
    }
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let points = text.lines().rev().find_map(|line| line.strip_prefix("points ")?.trim().parse().ok());
    assert!(points.is_some() || at.is_some(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    points
}

#[test]
fn killed_at_any_commit_a_change_of_address_ends_as_if_nothing_had_been() {
    let folder = folder();
    let before = folder.path().join("before.db");
    import(&before, 0, None);
    let undisturbed = folder.path().join("undisturbed.db");
    std::fs::copy(&before, &undisturbed).unwrap();
    let points = import(&undisturbed, 1, None).unwrap();
    assert!(points > 15, "{points}");
    let expected = seen(&undisturbed);
    for lost in [false, true] {
        for at in 0..points {
            let path = folder.path().join(format!("killed-{at}-{lost}.db"));
            std::fs::copy(&before, &path).unwrap();
            assert_eq!(import(&path, 1, Some(at)), None);
            if lost {
                let _ = std::fs::remove_dir_all(path.with_extension("db.work"));
            }
            import(&path, 1, None);
            let now = seen(&path);
            if lost {
                // Some of it was told before the plan was lost, and a part of that twice in another order.
                assert_eq!(now.standing(), expected.standing(), "killed at {at} of {points}, its stage lost");
                let store = SqliteStore::open(&path).unwrap();
                let mut replayed = Replica::default();
                replayed.follow(&store, &CustomerId::new("c1").unwrap());
                replayed.agrees_with(&store, &CustomerId::new("c1").unwrap(), "replayed");
            } else {
                assert!(now == expected, "killed at {at} of {points}: {}", now.difference(&expected));
            }
        }
    }
}
