//! The state file in a world that is not kind: foreign, damaged, read-only, full, shared.
#![allow(clippy::disallowed_methods)] // other processes know no other clock

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tenantry::model::{CustomerId, EventType, ObjectKind, Outcome, names};
use tenantry::testkit::{Lie, ScriptedDirectory, ScriptedEndpoint};
use tenantry::{Customer, Endpoint, ErrorKind, ImportOptions, Service, SqliteStore, Store};

use crate::laws::Dice;
use crate::world::{World, count, folder};

fn refused(path: &Path) -> tenantry::Error {
    let before = std::fs::read(path).unwrap();
    let error = SqliteStore::open(path).unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Store);
    assert_eq!(std::fs::read(path).unwrap(), before, "the file was touched");
    let beside: Vec<_> = std::fs::read_dir(path.parent().unwrap()).unwrap().collect();
    assert_eq!(beside.len(), 1, "something was left beside it: {beside:?}");
    error
}

#[test]
fn a_database_of_another_program_is_refused_and_not_touched() {
    let folder = folder();
    let path = folder.path().join("other.db");
    Connection::open(&path)
        .unwrap()
        .execute_batch("CREATE TABLE invoices (id INTEGER); INSERT INTO invoices VALUES (1)")
        .unwrap();
    assert!(refused(&path).to_string().contains("another program"));
}

#[test]
fn a_file_that_is_no_database_is_refused_and_not_touched() {
    let folder = folder();
    let path = folder.path().join("notes.txt");
    std::fs::write(&path, "shopping list\n".repeat(500)).unwrap();
    assert!(refused(&path).to_string().contains("no SQLite database"));
}

#[test]
fn a_file_of_a_newer_version_is_refused_and_not_touched() {
    let folder = folder();
    let path = folder.path().join("state.db");
    drop(SqliteStore::open(&path).unwrap());
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    std::fs::remove_dir(folder.path().join("state.db.work")).unwrap();
    assert!(refused(&path).to_string().contains("newer version"));
}

#[test]
fn a_file_of_a_newer_version_is_refused_also_where_it_has_no_layout_in_common() {
    let folder = folder();
    let path = folder.path().join("state.db");
    drop(SqliteStore::open(&path).unwrap());
    {
        let file = Connection::open(&path).unwrap();
        file.execute_batch("DROP TABLE outbox; PRAGMA user_version = 99").unwrap();
    }
    std::fs::remove_dir(folder.path().join("state.db.work")).unwrap();
    refused(&path);
}

/// Uses everything that a host can call; errors are fine, panics are not.
async fn use_it(path: &Path) -> Result<(), tenantry::Error> {
    let endpoint = ScriptedEndpoint::new("ad", World::directory(60), 7)?;
    endpoint.change(|directory| {
        directory.set(&ScriptedDirectory::id(3), names::LAST_NAME, "Changed");
        directory.delete(&ScriptedDirectory::id(5));
    });
    let store = Arc::new(SqliteStore::open(path)?);
    let service = Service::new(Arc::<SqliteStore>::clone(&store));
    let customer = CustomerId::new("c1")?;
    let mut outcome = Ok(());
    let mut note = |result: Result<(), tenantry::Error>| {
        if let Err(error) = result {
            assert!(!error.to_string().contains("panicked"), "{error}");
            assert!(matches!(error.kind(), ErrorKind::Store | ErrorKind::Conflict | ErrorKind::Config), "{error:?}");
            outcome = Err(error);
        }
    };
    note(
        service.register(Customer::new(customer.clone()), vec![Arc::new(endpoint.clone()) as Arc<dyn Endpoint>]).await,
    );
    match service.import(&customer, &endpoint.info().name, ImportOptions::default()).await {
        Ok(report) => assert!(!report.error.unwrap_or_default().contains("panicked")),
        Err(error) => note(Err(error)),
    }
    note(store.events(&customer, 0, usize::MAX).map(drop));
    note(store.totals(&customer).map(drop));
    note(store.history(&customer, 10).map(drop));
    note(store.parked(&customer).map(drop));
    for kind in ObjectKind::ALL {
        match store.records(&customer, *kind, None, 1000) {
            Ok(records) => {
                for record in records {
                    note(store.members(&customer, record.id).map(drop));
                    note(store.groups_of(&customer, record.id).map(drop));
                }
            }
            Err(error) => note(Err(error)),
        }
    }
    outcome
}

#[tokio::test]
async fn a_damaged_file_gives_errors_and_never_a_panic() {
    let world = World::new(World::directory(60)).await;
    world.import_done().await;
    let (whole, folder) = (world.folder.path().join("state.db"), folder());
    {
        let file = Connection::open(&whole).unwrap();
        file.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    }
    let whole = std::fs::read(whole).unwrap();
    let mut refused = 0;
    for seed in 0..120 {
        let mut dice = Dice(seed);
        let mut bytes = whole.clone();
        if seed % 4 == 0 {
            bytes.truncate(usize::try_from(dice.below(whole.len() as u64)).unwrap());
        }
        for _ in 0..=dice.below(40) {
            if bytes.len() > 100 {
                // The first hundred bytes say that it is a database of ours.
                let at = 100 + usize::try_from(dice.below(bytes.len() as u64 - 100)).unwrap();
                bytes[at] ^= u8::try_from(1 + dice.below(255)).unwrap();
            }
        }
        let path = folder.path().join(format!("damaged-{seed}.db"));
        std::fs::write(&path, bytes).unwrap();
        refused += usize::from(use_it(&path).await.is_err());
    }
    assert!(refused > 30, "only {refused} of 120 damaged files were noticed");
}

#[tokio::test]
async fn a_stage_that_cannot_be_read_is_thrown_away() {
    for spoil in 0..4 {
        let world = World::new(World::directory(60)).await;
        world.endpoint.lie([Lie::FailsAfter(4)]);
        assert_eq!(world.import().await.outcome, Outcome::Failed);
        world.endpoint.lie([]);
        let stage = stage_of(world.folder.path());
        match spoil {
            0 => std::fs::write(&stage, "no database".repeat(1000)).unwrap(),
            1 => {
                let file = Connection::open(&stage).unwrap();
                file.execute("UPDATE meta SET value = 99 WHERE name = 'layout'", []).map(drop).unwrap();
            }
            2 => {
                let file = Connection::open(&stage).unwrap();
                file.execute_batch(
                    "UPDATE seen SET numbers = x'ff'; UPDATE objects SET source_id = x'ff', body = x'ff'",
                )
                .unwrap();
            }
            _ => {
                let bytes = std::fs::read(&stage).unwrap();
                std::fs::write(&stage, &bytes[..bytes.len() / 2]).unwrap();
            }
        }
        let report = world.import().await;
        assert_eq!((report.outcome, report.created), (Outcome::Done, 65), "{spoil}: {:?}", report.error);
    }
}

fn stage_of(folder: &Path) -> PathBuf {
    let mut stages: Vec<_> = std::fs::read_dir(folder.join("state.db.work"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "stage"))
        .collect();
    assert_eq!(stages.len(), 1);
    stages.remove(0)
}

#[tokio::test]
async fn an_apply_that_was_cancelled_and_lost_its_stage_creates_nobody_twice() {
    let mut world = World::new(World::directory(40)).await;
    world.import_done().await;
    world.endpoint.change(|directory| {
        directory.delete(&ScriptedDirectory::id(5));
        for number in 100..110 {
            directory.add_user(number, "oslo");
        }
    });
    world.endpoint.lie([Lie::CancelsAtLookup]);
    assert_eq!(world.import().await.outcome, Outcome::Cancelled);
    world.endpoint.lie([]);
    let stage = stage_of(world.folder.path());
    for suffix in ["", "-wal", "-shm"] {
        let mut name = stage.clone().into_os_string();
        name.push(suffix);
        let _ = std::fs::remove_file(name);
    }
    world.import_done().await;
    let users = world.store().records(&world.customer, ObjectKind::User, None, 1000).unwrap();
    assert_eq!(users.len(), 49);
    assert_eq!(world.service.totals(&world.customer).await.unwrap().users, 49);
    assert_eq!(count(&world.events(), EventType::UserUpserted), 50);
}

#[tokio::test]
async fn customers_and_endpoints_whose_names_run_together_do_not_meet() {
    let folder = folder();
    let service = Service::new(Arc::new(SqliteStore::open(folder.path().join("state.db")).unwrap()));
    let mut runs = Vec::new();
    for (customer, endpoint) in [("a.b", "c"), ("a", "b.c")] {
        let endpoint = ScriptedEndpoint::new(endpoint, World::directory(10), 7).unwrap();
        let customer = CustomerId::new(customer).unwrap();
        let endpoints = vec![Arc::new(endpoint.clone()) as Arc<dyn Endpoint>];
        service.register(Customer::new(customer.clone()), endpoints).await.unwrap();
        runs.push(service.start(&customer, &endpoint.info().name, ImportOptions::default()).await.unwrap());
    }
    for run in runs {
        assert_eq!(run.wait().await.unwrap().created, 15);
    }
}

#[tokio::test]
async fn a_second_run_of_an_endpoint_is_refused_also_from_another_service() {
    let world = World::new(World::directory(40)).await;
    let other = Service::new(Arc::new(SqliteStore::open(world.folder.path().join("state.db")).unwrap()));
    let endpoints = vec![Arc::new(world.endpoint.clone()) as Arc<dyn Endpoint>];
    other.register(Customer::new(world.customer.clone()), endpoints).await.unwrap();
    let name = &world.endpoint.info().name;
    let first = world.service.start(&world.customer, name, ImportOptions::default()).await.unwrap();
    let refused = other.start(&world.customer, name, ImportOptions::default()).await.unwrap_err();
    assert_eq!(*refused.kind(), ErrorKind::Conflict);
    assert_eq!(first.wait().await.unwrap().outcome, Outcome::Done);
    assert_eq!(other.import(&world.customer, name, ImportOptions::default()).await.unwrap().outcome, Outcome::Done);
}

#[tokio::test]
async fn another_endpoint_of_the_customer_waits_for_its_turn_to_apply() {
    let mut world = World::new(World::directory(40)).await;
    let turn = std::fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(world.folder.path().join("state.db.work/c1.apply"))
        .unwrap();
    turn.lock().unwrap();
    let mut run =
        world.service.start(&world.customer, &world.endpoint.info().name, ImportOptions::default()).await.unwrap();
    loop {
        let progress = run.progressed().await.expect("it waits");
        if progress.waiting.is_some_and(|waiting| waiting.contains("another import")) {
            break;
        }
    }
    assert!(world.events().is_empty());
    turn.unlock().unwrap();
    world.clock.advance_by_itself();
    assert_eq!(run.wait().await.unwrap().created, 45);
}

#[tokio::test]
async fn a_stale_run_cannot_write() {
    let mut world = World::new(World::directory(40)).await;
    world.import_done().await;
    world.events();
    world.endpoint.change(|directory| directory.add_user(500, "oslo"));
    let path = world.folder.path().join("state.db");
    world.endpoint.change_while_listing(2, move |_| {
        // As if another run had begun: on a file system whose locks do not hold, say.
        Connection::open(&path).unwrap().execute("UPDATE endpoints SET epoch = epoch + 1", []).unwrap();
    });
    let report = world.import().await;
    assert_eq!((report.outcome, report.error_kind.as_deref()), (Outcome::Failed, Some("conflict")));
    assert!(world.events().is_empty());
    assert_eq!(world.records(ObjectKind::User).len(), 40);
    assert_eq!(world.import_done().await.created, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_import_keeps_its_log_small_and_leaves_readers_and_editors_alone() {
    let world = World::with_pages(ScriptedDirectory::new("domain-1"), 1000).await;
    let users = std::env::var("TENANTRY_LARGE").ok().and_then(|text| text.parse().ok()).unwrap_or(50_000);
    world.endpoint.change(|directory| {
        let groups: Vec<_> = (0..200).map(|number| directory.add_group(1_000_000 + number)).collect();
        for number in 1..=users {
            let user = directory.add_user(number, "oslo");
            for step in 0..4 {
                directory.add_member(&groups[usize::try_from((number * 7 + step * 31) % 200).unwrap()], &user);
            }
        }
    });
    let path = world.folder.path().join("state.db");
    let over = Arc::new(AtomicBool::new(false));
    let largest = Arc::new(AtomicU64::new(0));
    let watch = {
        let (path, over, largest) = (path.clone(), Arc::clone(&over), Arc::clone(&largest));
        std::thread::spawn(move || {
            let mut wal = path.into_os_string();
            wal.push("-wal");
            while !over.load(Ordering::Relaxed) {
                largest.fetch_max(std::fs::metadata(&wal).map_or(0, |file| file.len()), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(2));
            }
        })
    };
    let editor = {
        let (over, editing) = (Arc::clone(&over), world.customer.clone());
        std::thread::spawn(move || {
            let store = SqliteStore::open(&path).unwrap();
            let mut slowest = Duration::ZERO;
            let mut edits = 0_u64;
            while !over.load(Ordering::Relaxed) {
                let start = Instant::now();
                store.set_position(&editing, "editor", edits).unwrap();
                slowest = slowest.max(start.elapsed());
                edits += 1;
                std::thread::sleep(Duration::from_millis(5));
            }
            (edits, slowest)
        })
    };
    let reader = {
        let (store, over) = (Arc::clone(world.service.store()), Arc::clone(&over));
        let customer = world.customer.clone();
        std::thread::spawn(move || {
            let (mut slowest, mut position) = (Duration::ZERO, 0);
            while !over.load(Ordering::Relaxed) {
                let start = Instant::now();
                position += store.events(&customer, position, 500).unwrap().len() as u64;
                store.records(&customer, ObjectKind::User, None, 100).unwrap();
                slowest = slowest.max(start.elapsed());
                std::thread::sleep(Duration::from_millis(5));
            }
            slowest
        })
    };
    let start = Instant::now();
    let report = world.import_done().await;
    let took = start.elapsed();
    over.store(true, Ordering::Relaxed);
    watch.join().unwrap();
    let ((edits, slowest_edit), slowest_read) = (editor.join().unwrap(), reader.join().unwrap());
    let megabytes = largest.load(Ordering::Relaxed) >> 20;
    let told = format!(
        "{} users in {:?}: log at most {megabytes} MB; {edits} edits, the slowest {slowest_edit:?}; reads, the slowest {slowest_read:?}",
        report.created, took
    );
    println!("{told}");
    assert!(megabytes < 64, "{told}");
    // On a busy machine everything takes longer: nobody waits for half of the import, or for two seconds.
    let patience = (took / 2).max(Duration::from_secs(2));
    assert!(edits > 10 && slowest_edit < patience && slowest_read < patience, "{told}");
}

/// A small file system of its own, where the test may make one.
struct Mount(tempfile::TempDir);

impl Mount {
    fn new(kilobytes: u32) -> Option<Self> {
        let folder = folder();
        let mount = |options: &str| {
            Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(folder.path()).output()
        };
        let done = mount(&format!("size={kilobytes}k")).is_ok_and(|output| output.status.success());
        done.then(|| Self(folder))
    }

    fn grow(&self, megabytes: u32) {
        let options = format!("remount,size={megabytes}m");
        assert!(Command::new("mount").args(["-o", &options]).arg(self.0.path()).status().unwrap().success());
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

#[tokio::test]
async fn on_a_full_disk_nothing_is_lost_and_the_next_run_completes() {
    // Sizes at which it is full in the listing, in the apply, at the end.
    for kilobytes in [150, 250, 350, 500, 700, 900, 1200, 1600] {
        let Some(mount) = Mount::new(kilobytes) else {
            println!("skipped: a full disk needs the right to mount one");
            return;
        };
        let path = mount.0.path().join("state.db");
        let endpoint = ScriptedEndpoint::new("ad", World::directory(2000), 100).unwrap();
        let customer = CustomerId::new("c1").unwrap();
        let import = async || {
            let service = Service::new(Arc::new(SqliteStore::open(&path)?));
            let endpoints = vec![Arc::new(endpoint.clone()) as Arc<dyn Endpoint>];
            service.register(Customer::new(customer.clone()), endpoints).await?;
            service.import(&customer, &endpoint.info().name, ImportOptions::default()).await?.into_result()
        };
        let first = import().await;
        if let Err(error) = &first {
            assert!(error.to_string().contains("disk is full"), "{kilobytes}: {error}");
        }
        mount.grow(64);
        let second = import().await.unwrap();
        assert_eq!(second.outcome, Outcome::Done);
        let store = SqliteStore::open(&path).unwrap();
        assert_eq!(store.totals(&customer).unwrap().users, 2000, "{kilobytes}");
        let events = store.events(&customer, 0, usize::MAX).unwrap();
        assert_eq!(count(&events, EventType::UserUpserted), 2000, "{kilobytes}");
        assert_eq!(count(&events, EventType::MemberAdded), 10, "{kilobytes}");
        assert!(kilobytes != 150 || first.is_err());
    }
}

#[test]
fn child() {
    let Ok(path) = std::env::var("TENANTRY_READ_ONLY") else { return };
    println!("\nsaid {}", SqliteStore::open(path).map_or_else(|error| error.to_string(), |_| "nothing".into()));
}

#[cfg(unix)]
#[test]
fn a_file_that_cannot_be_written_is_an_error_with_its_remedy() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    drop(SqliteStore::open(&path).unwrap());
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o444)).unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o555)).unwrap();
    // To the superuser nothing is read-only: ask as somebody else.
    let binary = folder.path().join("asks");
    std::fs::copy(std::env::current_exe().unwrap(), &binary).unwrap();
    let mut command = Command::new(&binary);
    command.args(["--exact", "state_file::child", "--nocapture"]).env("TENANTRY_READ_ONLY", &path).current_dir("/");
    let output = command.uid(65_534).output().or_else(|_| command.uid(unprivileged()).output());
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let Ok(output) = output else { return println!("skipped: cannot become somebody else") };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = text.lines().find_map(|line| line.strip_prefix("said ")).expect(&text);
    assert!(said.contains("permissions"), "{said}");
}

#[cfg(unix)]
fn unprivileged() -> u32 {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(std::env::current_exe().unwrap()).unwrap().uid()
}
