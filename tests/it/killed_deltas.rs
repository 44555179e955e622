//! A process that is killed anywhere in a run that reads changes and lists ids ends where an undisturbed one ends.
//!
//! The child is this test binary itself. Cursors live in its memory, so each child makes the same states of the directory
//! anew before it imports.

use std::path::Path;
use std::sync::Arc;

use tenantry::model::{CustomerId, EventType, GuardLimits, Limit, Mode, ObjectKind, TombstoneKind, names};
use tenantry::testkit::{ScriptedDirectory, ScriptedEndpoint, Telling};
use tenantry::{Customer, Endpoint, ImportOptions, Service, SqliteStore, Store};

use crate::dying::{self, Commits};
use crate::world::folder;

const CHILD: &str = "killed_deltas::child";
const USERS: u128 = 40;

fn customer() -> CustomerId {
    CustomerId::new("c1").unwrap()
}

fn first() -> ScriptedDirectory {
    let mut directory = ScriptedDirectory::new("domain-1");
    directory.tombstones_readable = true;
    directory.outside.insert("attic".into());
    let groups = [directory.add_group(1_000_000), directory.add_group(1_000_001), directory.add_group(1_000_002)];
    for number in 1..=USERS {
        let user = directory.add_user(number, if number % 3 == 0 { "berlin" } else { "oslo" });
        directory.add_member(&groups[usize::try_from(number % 3).unwrap()], &user);
        directory.objects.get_mut(&user).unwrap().primary_group = Some(groups[0].clone());
    }
    directory
}

/// What happens between the snapshot and the delta.
fn change(directory: &mut ScriptedDirectory) {
    for number in (1..=USERS).step_by(5) {
        directory.set(&ScriptedDirectory::id(number), names::LAST_NAME, "Changed");
    }
    for number in (2..=USERS).step_by(9) {
        directory.delete_as(&ScriptedDirectory::id(number), TombstoneKind::Soft);
    }
    for number in (3..=USERS).step_by(13) {
        directory.move_to(&ScriptedDirectory::id(number), "attic");
    }
    for number in (4..=USERS).step_by(11) {
        let id = ScriptedDirectory::id(number);
        directory.remove_member(&ScriptedDirectory::id(1_000_000 + number % 3), &id);
        directory.add_member(&ScriptedDirectory::id(1_000_000 + (number + 1) % 3), &id);
    }
    let group = directory.add_group(1_000_003);
    for number in 500..505 {
        let user = directory.add_user(number, "rome");
        directory.add_member(&group, &user);
    }
    directory.delete(&ScriptedDirectory::id(1_000_002));
}

fn options() -> ImportOptions {
    let all = Limit::new(1.0, 10_000_000);
    let guard = GuardLimits::of_all(all);
    ImportOptions { guard, ..ImportOptions::default() }
}

/// The endpoint as it is behind so many snapshots of a directory that has not changed since, and then changed.
fn endpoint(silent: bool) -> ScriptedEndpoint {
    let endpoint = ScriptedEndpoint::new("ad", first(), 3).unwrap().with_deltas();
    if silent {
        endpoint.set_removals(Telling::Silent);
    }
    endpoint
}

async fn import(path: &Path, endpoint: &ScriptedEndpoint) -> tenantry::model::RunReport {
    let service = Service::new(Arc::new(SqliteStore::open(path).unwrap()));
    service.register(Customer::new(customer()), vec![Arc::new(endpoint.clone()) as Arc<dyn Endpoint>]).await.unwrap();
    let report = service.import(&customer(), &endpoint.info().name, options()).await.unwrap();
    assert!(report.error.is_none(), "{report:?}");
    report
}

/// One import of what has changed; aborts at a commit if it is told to.
#[test]
fn child() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let Ok(path) = std::env::var("TENANTRY_KILLED_DELTA") else { return };
    let endpoint = endpoint(number("TENANTRY_KILL_SILENT") == Some(1));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // A first cursor, as the file has one: of the same state, under the same number.
    let elsewhere = folder();
    runtime.block_on(import(&elsewhere.path().join("first.db"), &endpoint));
    endpoint.change(change);
    let commits = Commits::watch();
    let report = runtime.block_on(import(path.as_ref(), &endpoint));
    println!("\nmode {:?}", report.mode);
    commits.tell();
}

/// Lets a child import; returns how many commits it came to, or `None` if it was killed.
fn spawn(path: &Path, silent: bool, at: Option<u64>) -> Option<u64> {
    let silent = u8::from(silent).to_string();
    let variables = [("TENANTRY_KILLED_DELTA", path.as_os_str()), ("TENANTRY_KILL_SILENT", silent.as_ref())];
    let told = dying::run(CHILD, variables, at)?;
    assert!(told.text.contains(&format!("mode {:?}", Mode::Delta)), "taken up, it is a delta still: {}", told.text);
    Some(told.points)
}

/// Everything that outsiders see, without times and runs.
fn seen(path: &Path) -> Vec<String> {
    let store = SqliteStore::open(path).unwrap();
    let mut seen = Vec::new();
    for kind in ObjectKind::ALL {
        for record in store.records(&customer(), *kind, None, usize::MAX >> 1).unwrap() {
            let mut groups = store.groups_of(&customer(), record.id).unwrap();
            groups.sort_unstable();
            seen.push(format!("{} in {groups:?}", record.id));
            if *kind == ObjectKind::Group {
                let (mut members, count) = store.members(&customer(), record.id).unwrap();
                members.sort_unstable();
                seen.push(format!("{} has {count} {members:?}", record.id));
            }
            seen.push(serde_json::to_string(&record).unwrap());
        }
    }
    for event in store.events(&customer(), 0, usize::MAX).unwrap() {
        if event.event_type != EventType::ImportFinished {
            let mut data = event.data_value();
            data.as_object_mut().unwrap().retain(|name, _| name != "run" && name != "plan");
            seen.push(format!("{} {data}", event.event_type.as_str()));
        }
    }
    seen.push(format!("{:?}", store.totals(&customer()).unwrap()));
    seen.sort_unstable();
    seen
}

#[test]
fn killed_before_or_behind_any_commit_a_delta_run_ends_as_if_nothing_had_been() {
    for silent in [false, true] {
        let folder = folder();
        let before = folder.path().join("before.db");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(import(&before, &endpoint(silent)));
        let undisturbed = folder.path().join("undisturbed.db");
        std::fs::copy(&before, &undisturbed).unwrap();
        let points = spawn(&undisturbed, silent, None).unwrap();
        assert!(points > 15, "{points}");
        let expected = seen(&undisturbed);
        // Killed behind its last commit there is nothing to take up: that run is one of its own.
        for at in 0..points - 1 {
            let path = folder.path().join(format!("killed-{at}.db"));
            std::fs::copy(&before, &path).unwrap();
            assert_eq!(spawn(&path, silent, Some(at)), None);
            spawn(&path, silent, None).unwrap();
            let now = seen(&path);
            let more: Vec<_> = now.iter().filter(|row| expected.binary_search(row).is_err()).take(3).collect();
            let less: Vec<_> = expected.iter().filter(|row| now.binary_search(row).is_err()).take(3).collect();
            assert!(now == expected, "silent {silent}, killed at {at} of {points}: more {more:#?} less {less:#?}");
        }
    }
}
