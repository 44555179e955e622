//! A process that is killed anywhere and started again ends where an undisturbed one ends.
//!
//! The child is this test binary itself, started again with the name of one test and what it is to do in its
//! environment.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tenantry::endpoint::Context;
use tenantry::gate::Gate;
use tenantry::model::{CustomerId, EventType, GuardLimits, Limit, Mode, ObjectKind, PlanId, TombstoneKind, names};
use tenantry::testkit::{ScriptedDirectory, ScriptedEndpoint, on_commit};
use tenantry::{Customer, Endpoint, ImportOptions, Service, SqliteStore, Store};
use tokio_util::sync::CancellationToken;

use crate::laws::Dice;
use crate::seeds::{number, seeds};
use crate::world::folder;

const CHILD: &str = "kills::child";

fn customer() -> CustomerId {
    CustomerId::new("c1").unwrap()
}

/// The directory as it is at one of three times: at first, much changed, and changed back in part.
fn directory(users: u128, version: u32) -> ScriptedDirectory {
    let mut directory = ScriptedDirectory::new("domain-1");
    directory.tombstones_readable = true;
    let groups = users / 20 + 2;
    for number in 0..groups {
        directory.add_group(1_000_000 + number);
    }
    for number in 1..=users {
        let user = directory.add_user(number, if number % 3 == 0 { "berlin" } else { "oslo" });
        for step in [1, 7] {
            directory.add_member(&ScriptedDirectory::id(1_000_000 + number * step % groups), &user);
        }
        directory.objects.get_mut(&user).unwrap().primary_group = Some(ScriptedDirectory::id(1_000_000));
    }
    for number in 0..users / 10 {
        directory.add_computer(2_000_000 + number, "machines");
    }
    // Members that nobody imports, until a later version does.
    for number in 1..=5 {
        directory.add_member(&ScriptedDirectory::id(1_000_001), &ScriptedDirectory::id(500_000 + number));
    }
    if version >= 1 {
        for number in (1..=users).step_by(5) {
            directory.set(&ScriptedDirectory::id(number), names::LAST_NAME, "Changed");
        }
        for number in (2..=users).step_by(9) {
            directory.delete_as(&ScriptedDirectory::id(number), TombstoneKind::Soft);
        }
        for number in (3..=users).step_by(4) {
            if let Some(user) = directory.objects.get_mut(&ScriptedDirectory::id(number)) {
                user.primary_group = Some(ScriptedDirectory::id(1_000_001));
            }
        }
        for number in 500_001..=500_003 {
            directory.add_user(number, "rome");
        }
        directory.delete(&ScriptedDirectory::id(1_000_000 + groups - 1));
    }
    if version >= 2 {
        for number in (2..=users).step_by(18) {
            directory.add_user(number, "oslo");
        }
        for number in (1..=users).step_by(11) {
            directory
                .remove_member(&ScriptedDirectory::id(1_000_000 + number % groups), &ScriptedDirectory::id(number));
        }
    }
    directory
}

/// Opens the store, and an endpoint that has told these versions before, if it tells changes: it knows their cursors.
async fn open(path: &Path, users: u128, version: u32, told: Option<&str>) -> (Service, ScriptedEndpoint) {
    let endpoint =
        ScriptedEndpoint::new("ad", directory(users, version), usize::try_from(users / 9 + 1).unwrap()).unwrap();
    let endpoint = if told.is_some() { endpoint.with_deltas() } else { endpoint };
    endpoint.set_members_a_page(usize::try_from(users / 6 + 1).unwrap());
    for earlier in told.unwrap_or_default().chars().filter_map(|digit| digit.to_digit(10)) {
        let now = endpoint.change(|now| std::mem::replace(now, directory(users, earlier)));
        let cx = Context::new(Gate::builder().build(), CancellationToken::new());
        endpoint.snapshot(&cx, None).await.unwrap();
        endpoint.change(|earlier| *earlier = now);
    }
    let service = Service::new(Arc::new(SqliteStore::open(path).unwrap()));
    (service, endpoint)
}

fn options() -> ImportOptions {
    let all = Limit::new(1.0, 10_000_000);
    let guard = GuardLimits::of_all(all);
    ImportOptions { guard, ..ImportOptions::default() }
}

/// One import; aborts at a commit if it is told to. Prints the pages that it listed.
#[test]
fn child() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let Ok(path) = std::env::var("TENANTRY_KILL_STATE") else { return };
    let version = u32::try_from(number("TENANTRY_KILL_VERSION").unwrap()).unwrap();
    let approve = std::env::var("TENANTRY_KILL_APPROVE").ok().map(|plan| PlanId::parse(&plan).unwrap());
    let told = std::env::var("TENANTRY_KILL_TOLD").ok();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (service, endpoint) =
        runtime.block_on(open(path.as_ref(), number("TENANTRY_KILL_USERS").unwrap().into(), version, told.as_deref()));
    let points = Arc::new(AtomicU64::new(0));
    let (counted, listing, at) = (Arc::clone(&points), endpoint.clone(), number("TENANTRY_KILL_AT"));
    on_commit(move || {
        if Some(counted.fetch_add(1, Ordering::Relaxed)) == at {
            println!("\npages {}", listing.pages());
            std::process::abort();
        }
    });
    // With deltas the guard is a tight one: there is something to approve.
    let few = Limit::new(0.01, 2);
    let tight = GuardLimits { users: few, memberships: few, ..GuardLimits::default() };
    let guard = if told.is_some() { tight } else { options().guard };
    let report = runtime.block_on(async {
        let endpoints = vec![Arc::new(endpoint.clone()) as Arc<dyn Endpoint>];
        service.register(Customer::new(customer()), endpoints).await.unwrap();
        let is_approving = approve.is_some();
        let report =
            service.import(&customer(), &endpoint.info().name, ImportOptions { guard, approve, ..options() }).await;
        // Approved and done by a run that was killed behind its end: nothing of that name is parked any more.
        if is_approving && report.is_err() { None } else { Some(report.unwrap()) }
    });
    if let Some(report) = &report {
        assert!(report.error.is_none(), "{report:?}");
        println!("\nplan {}", report.plan.as_ref().map_or("", PlanId::as_str));
        println!("\ndelta {}", u8::from(report.mode == Mode::Delta));
    }
    println!("\npoints {}\npages {}", points.load(Ordering::Relaxed), endpoint.pages());
}

fn command(path: &Path, users: u64, version: u32, at: Option<u64>) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", CHILD, "--nocapture", "--test-threads=1"])
        .env("TENANTRY_KILL_STATE", path)
        .env("TENANTRY_KILL_USERS", users.to_string())
        .env("TENANTRY_KILL_VERSION", version.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if let Some(at) = at {
        command.env("TENANTRY_KILL_AT", at.to_string());
    }
    command
}

fn spawn(path: &Path, users: u64, version: u32, at: Option<u64>) -> Child {
    command(path, users, version, at).spawn().unwrap()
}

/// Lets a child end; returns what it printed under a word, and whether it ended well.
fn finish(child: Child) -> (bool, impl Fn(&str) -> Option<u64>) {
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    // Aborted by its own hook, or done: anything else is a failure of the import.
    assert!(output.status.success() || text.contains("pages "), "{text}{errors}");
    let figure = move |word: &str| text.lines().rev().find_map(|line| line.strip_prefix(word)?.trim().parse().ok());
    (output.status.success(), figure)
}

/// Everything that outsiders see, without times and runs.
#[derive(Debug, PartialEq)]
pub(crate) struct Seen {
    records: Vec<String>,
    members: Vec<String>,
    totals: tenantry::store::Totals,
    parked: usize,
    events: Vec<String>,
}

pub(crate) fn seen(path: &Path) -> Seen {
    let store = SqliteStore::open(path).unwrap();
    let customer = customer();
    let mut records = Vec::new();
    let mut members = Vec::new();
    for kind in ObjectKind::ALL {
        for record in store.records(&customer, *kind, None, usize::MAX >> 1).unwrap() {
            let mut groups = store.groups_of(&customer, record.id).unwrap();
            groups.sort_unstable();
            members.push(format!("{} in {groups:?}", record.id));
            if *kind == ObjectKind::Group {
                let (mut ids, count) = store.members(&customer, record.id).unwrap();
                ids.sort_unstable();
                members.push(format!("{} has {count} {ids:?}", record.id));
            }
            records.push(serde_json::to_string(&record).unwrap());
        }
    }
    let events = store.events(&customer, 0, usize::MAX).unwrap();
    for (at, event) in events.iter().enumerate() {
        assert_eq!(event.position(), at as u64 + 1, "a gap in the sequence");
    }
    assert_eq!(events.iter().map(|event| &event.id).collect::<BTreeSet<_>>().len(), events.len());
    let mut events: Vec<String> = events
        .iter()
        .filter(|event| !matches!(event.event_type, EventType::ImportFinished | EventType::AlertRaised))
        .map(|event| {
            let mut data = event.data_value();
            // A plan is named after numbers that only its own file knows.
            data.as_object_mut().unwrap().retain(|name, _| name != "run" && name != "plan");
            format!("{} {data}", event.event_type.as_str())
        })
        .collect();
    records.sort_unstable();
    members.sort_unstable();
    events.sort_unstable();
    let (totals, parked) = (store.totals(&customer).unwrap(), store.parked(&customer).unwrap().len());
    Seen { records, members, totals, parked, events }
}

impl Seen {
    /// What is there, whatever was told on the way.
    pub(crate) fn standing(&self) -> (&[String], &[String]) {
        (&self.records, &self.members)
    }

    /// Tells a little of what is otherwise than in an undisturbed run.
    pub(crate) fn difference(&self, undisturbed: &Self) -> String {
        let differ = |name: &str, a: &[String], b: &[String]| {
            let more: Vec<_> = a.iter().filter(|row| b.binary_search(row).is_err()).take(3).collect();
            let less: Vec<_> = b.iter().filter(|row| a.binary_search(row).is_err()).take(3).collect();
            (a != b).then(|| format!("{name} differ, {} and {}: more {more:#?} less {less:#?}\n", a.len(), b.len()))
        };
        let differences = [
            differ("records", &self.records, &undisturbed.records),
            differ("members", &self.members, &undisturbed.members),
            differ("events", &self.events, &undisturbed.events),
            (self.totals != undisturbed.totals).then(|| format!("{:?} and {:?}\n", self.totals, undisturbed.totals)),
            (self.parked != undisturbed.parked).then(|| format!("{} and {} parked", self.parked, undisturbed.parked)),
        ];
        differences.into_iter().flatten().collect()
    }
}

#[track_caller]
fn same(disturbed: &Seen, undisturbed: &Seen, what: &str) {
    assert!(disturbed == undisturbed, "{what}: {}", disturbed.difference(undisturbed));
}

/// One version of a directory, imported behind the one before it; and what comes of that undisturbed.
struct Version<'a> {
    folder: &'a Path,
    number: u32,
    before: Option<PathBuf>,
    points: u64,
    pages: u64,
    expected: Seen,
}

impl Version<'_> {
    const USERS: u64 = 40;

    /// Imports each version in turn, and hands it to a test.
    fn each(test: impl Fn(&Version<'_>)) {
        let folder = folder();
        let undisturbed = folder.path().join("undisturbed.db");
        for version in 0..3 {
            let before = (version > 0).then(|| folder.path().join(format!("before-{version}.db")));
            if let Some(before) = &before {
                copy(&undisturbed, before);
            }
            let (done, figure) = finish(spawn(&undisturbed, Self::USERS, version, None));
            assert!(done);
            let (points, pages) = (figure("points").unwrap(), figure("pages").unwrap());
            test(&Version {
                folder: folder.path(),
                number: version,
                before,
                points,
                pages,
                expected: seen(&undisturbed),
            });
        }
    }

    /// Makes a state file in which this version is still to be imported.
    fn file(&self, name: &str) -> PathBuf {
        let path = self.folder.join(name);
        if let Some(before) = &self.before {
            copy(before, &path);
        }
        path
    }

    /// Lets a child import it, and kills that one at a point.
    fn import(&self, path: &Path, at: Option<u64>) -> (bool, impl Fn(&str) -> Option<u64> + use<>) {
        finish(spawn(path, Self::USERS, self.number, at))
    }
}

#[test]
fn killed_before_or_behind_any_commit_the_next_run_ends_as_if_nothing_had_been() {
    Version::each(|version| {
        let points = version.points;
        assert!(points > 20, "{points}");
        for at in 0..points {
            let path = version.file(&format!("killed-{}-{at}.db", version.number));
            let (done, killed) = version.import(&path, Some(at));
            assert!(!done);
            let (done, figure) = version.import(&path, None);
            assert!(done);
            same(&seen(&path), &version.expected, &format!("version {}, killed at {at} of {points}", version.number));
            let repeated = (killed("pages").unwrap() + figure("pages").unwrap()).saturating_sub(version.pages);
            if at + 1 == points {
                // It had told its end: the next run is one of its own, not the same once more.
                assert!(figure("pages").unwrap() > 0);
                let store = SqliteStore::open(&path).unwrap();
                let runs = usize::try_from(version.number).unwrap() + 2;
                assert_eq!(store.history(&customer(), 99).unwrap().len(), runs);
            }
            // Two pages are read ahead of the one that is staged, and the end is asked for again.
            let repeats = at + 1 == points || repeated <= 4;
            assert!(repeats, "{repeated} pages twice, killed at {at} of {points}");
        }
    });
}

#[test]
fn killed_at_any_commit_and_its_stage_lost_the_next_run_mends_what_was_left() {
    Version::each(|version| {
        for at in 0..version.points {
            let path = version.file(&format!("lost-{}-{at}.db", version.number));
            assert!(!version.import(&path, Some(at)).0);
            let _ = std::fs::remove_dir_all(path.with_extension("db.work"));
            assert!(version.import(&path, None).0);
            same(&seen(&path), &version.expected, &format!("version {}, killed at {at}, stage lost", version.number));
        }
    });
}

/// Imports as they are asked for one after the other: a version to be read, and whether what is parked may go.
const ASKED: [(u32, bool); 5] = [(0, false), (1, false), (1, true), (2, false), (2, true)];

/// Asks for one of them, for the so manieth time.
fn ask(path: &Path, users: u64, step: usize, attempt: usize, plan: &str) -> Command {
    let (version, approve) = ASKED[step];
    let mut command = command(path, users, version, None);
    // Each attempt has a cursor of its own, whose version the next ones know.
    let told: String =
        (0..10 * (step + 1) + attempt).map(|at| ASKED[(at / 10).saturating_sub(1)].0.to_string()).collect();
    command.env("TENANTRY_KILL_TOLD", told);
    if approve {
        command.env("TENANTRY_KILL_APPROVE", plan);
    }
    command
}

/// Runs a child to its end or its kill; returns whether it came to its end, and what it printed.
fn run(mut command: Command) -> (bool, String) {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() || text.contains("pages "), "{text}{}", String::from_utf8_lossy(&output.stderr));
    (output.status.success(), text)
}

fn word<'a>(text: &'a str, word: &str) -> &'a str {
    text.lines().rev().find_map(|line| line.strip_prefix(word)).unwrap_or_default().trim()
}

#[test]
fn killed_several_times_in_a_row_deltas_and_approvals_end_as_if_nothing_had_been() {
    let folder = folder();
    let users = 40;
    for seed in seeds(4) {
        let mut dice = Dice(seed);
        let (undisturbed, path) =
            (folder.path().join(format!("whole-{seed}.db")), folder.path().join(format!("killed-{seed}.db")));
        // A plan is named after numbers that only its own file knows.
        let (mut plan, mut other_plan) = (String::new(), String::new());
        for (step, (version, approve)) in ASKED.into_iter().enumerate() {
            if approve && plan.is_empty() {
                continue;
            }
            let what = format!("seed {seed}, version {version}, approve {approve}");
            let (_, whole) = run(ask(&undisturbed, users, step, 0, &plan));
            assert_eq!(word(&whole, "delta"), if step == 0 { "0" } else { "1" }, "{what}");
            let points: u64 = word(&whole, "points").parse().unwrap();
            let (mut pages, kills) = (0, 1 + dice.below(4));
            let mut last = String::new();
            for attempt in 0..=kills {
                let mut command = ask(&path, users, step, usize::try_from(attempt).unwrap(), &other_plan);
                if attempt < kills {
                    command.env("TENANTRY_KILL_AT", dice.below(points).to_string());
                }
                let (done, said) = run(command);
                assert!(done || attempt < kills, "{what}");
                pages += word(&said, "pages").parse::<u64>().unwrap();
                last = said;
            }
            same(&seen(&path), &seen(&undisturbed), &what);
            // A delta is read from its cursor again and lists no page; a listing goes on where it was, unless it was
            // killed behind its end: then there is another one.
            let listed: u64 = word(&whole, "pages").parse().unwrap();
            assert!(step > 0 || pages <= listed * 2 + 4 * kills, "{what}: {pages} pages instead of {listed}");
            word(&whole, "plan").clone_into(&mut plan);
            word(&last, "plan").clone_into(&mut other_plan);
            assert!(step != 1 || !plan.is_empty(), "{what}: nothing is parked");
        }
    }
}

fn copy(from: &Path, to: &Path) {
    // The last connection has closed: everything is in the file itself.
    std::fs::copy(from, to).unwrap();
}

#[test]
#[allow(clippy::disallowed_methods)] // the process that is killed knows no other clock
fn killed_again_and_again_at_any_time_the_last_run_ends_as_if_nothing_had_been() {
    let folder = folder();
    let (undisturbed, path) = (folder.path().join("undisturbed.db"), folder.path().join("killed.db"));
    let users = number("TENANTRY_KILL_SIZE").unwrap_or(6000);
    let mut dice = Dice(number("TENANTRY_SEED").unwrap_or(7));
    for version in 0..3 {
        let start = std::time::Instant::now();
        assert!(finish(spawn(&undisturbed, users, version, None)).0);
        let whole = u64::try_from(start.elapsed().as_millis()).unwrap();
        for _ in 0..6 {
            let mut child = spawn(&path, users, version, None);
            std::thread::sleep(Duration::from_millis(10 + dice.below(whole)));
            child.kill().unwrap();
            child.wait().unwrap();
        }
        assert!(finish(spawn(&path, users, version, None)).0);
        same(&seen(&path), &seen(&undisturbed), &format!("version {version}"));
    }
}
