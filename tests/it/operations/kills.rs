//! Killed around any commit of an operation and asked again, it ends as if nothing had been.

use std::path::Path;
use std::sync::Arc;

use tenantry::model::{AttributeName, CustomerId, HandOver, Keep, ObjectKind, RecordId, Retention, TombstoneKind};
use tenantry::testkit::{ScriptedDirectory, ScriptedEndpoint};
use tenantry::{Customer, Endpoint, ErrorKind, Service, SqliteStore, Store};

use super::Replica;
use super::erasure::{found_in, ottoline};
use super::stage::{name, wide};
use crate::dying::{self, Commits};
use crate::world::{World, folder};

const CHILD: &str = "operations::kills::child";
const WORDS: [&str; 3] = ["Ottoline", "quillfeatherlogin", "Room-Zx81"];

fn customer() -> CustomerId {
    CustomerId::new("c1").unwrap()
}

fn person() -> RecordId {
    RecordId::founded_by(&customer(), &name("ad"), ObjectKind::User, &ScriptedDirectory::id(4242).key())
}

fn service(path: &Path) -> Service {
    let retention = Retention { events: Keep::Last(5), history: Keep::Last(1), ..Retention::default() };
    Service::new(Arc::new(SqliteStore::open(path).unwrap())).with_retention(retention)
}

/// One operation; aborts at a commit if it is told to.
#[test]
fn child() {
    let text = |name: &str| std::env::var(name).ok();
    let Some(path) = text("TENANTRY_OPERATION_STATE") else { return };
    let service = service(path.as_ref());
    let commits = Commits::watch();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        match text("TENANTRY_OPERATION").unwrap().as_str() {
            "release" => {
                if let Err(error) = service.remove_endpoint(&customer(), &name("ad"), HandOver::Unlocked).await {
                    // Killed behind its last commit.
                    assert_eq!(*error.kind(), ErrorKind::NotFound, "{error}");
                }
            }
            "erase" => drop(service.erase(&customer(), &[person()]).await.unwrap()),
            "import" => {
                let endpoint = ScriptedEndpoint::new("ad", changed(), 9).unwrap();
                let endpoints = vec![Arc::new(endpoint) as Arc<dyn Endpoint>];
                let customer_of = Customer::new(customer());
                let importing = Service::new(Arc::clone(service.store()));
                importing.register(customer_of, endpoints).await.unwrap();
                importing.import(&customer(), &name("ad"), wide()).await.unwrap();
            }
            "retention" => drop(service.apply_retention(&customer()).await.unwrap()),
            other => panic!("{other}"),
        }
    });
    commits.tell();
}

/// Returns how many points there were; `None` if it died at one.
fn operate(path: &Path, operation: &str, at: Option<u64>) -> Option<u64> {
    let variables = [("TENANTRY_OPERATION_STATE", path.as_os_str()), ("TENANTRY_OPERATION", operation.as_ref())];
    dying::run(CHILD, variables, at).map(|told| told.points)
}

/// Everything that outsiders see: the export, and all events without what is drawn anew each time.
fn seen(path: &Path) -> (Replica, Vec<String>) {
    let store = SqliteStore::open(path).unwrap();
    let export = Replica::of_export(&store, &customer());
    export.agrees_with(&store, &customer(), "as exported");
    let kept = (0..=export.position).find(|after| store.events(&customer(), *after, 1).is_ok()).unwrap();
    let events = store.events(&customer(), kept, usize::MAX).unwrap();
    let events = events.iter().map(|event| {
        let mut data = event.data_value();
        data.as_object_mut().unwrap().remove("run");
        format!("{} {} {} {data}", event.id, event.sequence, event.event_type.as_str())
    });
    (export, events.collect())
}

fn first() -> ScriptedDirectory {
    let mut directory = World::directory(60);
    directory.tombstones_readable = true;
    ottoline(&mut directory);
    for number in 1..=20 {
        let user = directory.objects.get_mut(&ScriptedDirectory::id(number)).unwrap();
        user.primary_group = Some(ScriptedDirectory::id(1_000_000));
    }
    directory
}

/// What the directory has become when an import of it is killed.
fn changed() -> ScriptedDirectory {
    let mut directory = first();
    let group = directory.add_group(1_000_001);
    for number in 61..=90 {
        let user = directory.add_user(number, "oslo");
        directory.add_member(&group, &user);
    }
    directory.add_member(&group, &ScriptedDirectory::id(4242));
    for number in (2..=60).step_by(7) {
        directory.delete_as(&ScriptedDirectory::id(number), TombstoneKind::Soft);
    }
    for number in (3..=20).step_by(5) {
        let user = directory.objects.get_mut(&ScriptedDirectory::id(number)).unwrap();
        user.primary_group = Some(group.clone());
    }
    directory.set(&ScriptedDirectory::id(4242), AttributeName::extra("room"), "Room-Zx81-b");
    directory
}

async fn base(path: &Path) {
    let directory = first();
    let mut cloud = ScriptedDirectory::new("tenant-1");
    cloud.add_user(501, "cloud");
    let service = Service::new(Arc::new(SqliteStore::open(path).unwrap()));
    let endpoints = [("ad", directory), ("cloud", cloud)];
    let endpoints = endpoints.map(|(name, directory)| ScriptedEndpoint::new(name, directory, 9).unwrap());
    let all = endpoints.iter().map(|endpoint| Arc::new(endpoint.clone()) as Arc<dyn Endpoint>).collect();
    service.register(Customer::new(customer()), all).await.unwrap();
    for endpoint in endpoints.iter().chain(&endpoints) {
        service.import(&customer(), &endpoint.info().name, wide()).await.unwrap();
    }
}

#[tokio::test]
async fn killed_around_any_commit_an_operation_that_is_asked_again_ends_the_same() {
    let folder = folder();
    let before = folder.path().join("before.db");
    base(&before).await;
    for operation in ["release", "erase", "retention"] {
        let undisturbed = folder.path().join(format!("{operation}.db"));
        std::fs::copy(&before, &undisturbed).unwrap();
        let points = operate(&undisturbed, operation, None).unwrap();
        let expected = seen(&undisturbed);
        assert!(points >= 2, "{operation}: {points}");
        for at in 0..points {
            let inside = tempfile::tempdir_in(folder.path()).unwrap();
            let path = inside.path().join("killed.db");
            std::fs::copy(&before, &path).unwrap();
            assert_eq!(operate(&path, operation, Some(at)), None, "it dies at {at}");
            operate(&path, operation, None).unwrap();
            let found = seen(&path);
            let what = format!("{operation}, killed at {at} of {points}");
            found.0.same_as(&expected.0, &what);
            assert_eq!(found.1, expected.1, "{what}");
            if operation == "erase" {
                assert_eq!(found_in(inside.path(), &WORDS), [""; 0], "{what}");
            }
        }
    }
}

#[tokio::test]
async fn behind_an_import_that_was_killed_at_any_commit_operations_leave_events_and_records_agreeing() {
    let folder = folder();
    let before = folder.path().join("before.db");
    base(&before).await;
    let undisturbed = folder.path().join("import.db");
    std::fs::copy(&before, &undisturbed).unwrap();
    let points = operate(&undisturbed, "import", None).unwrap();
    assert!(points > 10, "{points}");
    for at in 0..points {
        // In turns: each takes several processes.
        let operation = if at % 2 == 0 { "release" } else { "erase" };
        let inside = tempfile::tempdir_in(folder.path()).unwrap();
        let path = inside.path().join("killed.db");
        std::fs::copy(&before, &path).unwrap();
        assert_eq!(operate(&path, "import", Some(at)), None, "it dies at {at}");
        operate(&path, operation, None).unwrap();
        let what = format!("import killed at {at} of {points}, then {operation}");
        let (export, _) = seen(&path);
        let store = SqliteStore::open(&path).unwrap();
        let mut replayed = Replica::default();
        replayed.follow(&store, &customer());
        replayed.same_as(&export, &what);
        if operation == "erase" {
            assert_eq!(found_in(inside.path(), &WORDS), [""; 0], "{what}");
        }
        drop(store);
        operate(&path, "import", None).unwrap();
        let (export, _) = seen(&path);
        let store = SqliteStore::open(&path).unwrap();
        let mut replayed = Replica::default();
        replayed.follow(&store, &customer());
        replayed.same_as(&export, &format!("{what}, then imported"));
    }
}

#[test]
fn a_file_of_version_1_is_brought_to_the_newest_and_keeps_everything() {
    let folder = folder();
    let path = folder.path().join("state.db");
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(base(&path));
    let expected = seen(&path);
    {
        // What later versions added, taken away again: the tables of the first are untouched by it.
        let file = rusqlite::Connection::open(&path).unwrap();
        file.execute_batch(
            "DROP TABLE reorders; ALTER TABLE endpoints DROP COLUMN next_rank;
             DROP TABLE join_keys; DROP TABLE joins; DROP TABLE absorbed; DROP TABLE apart;
             ALTER TABLE endpoints DROP COLUMN keyed;
             DROP TABLE alerts; DROP TABLE answers; DROP TABLE actions; DROP INDEX quarantine_by_time;
             ALTER TABLE endpoints DROP COLUMN cursor_at; ALTER TABLE endpoints DROP COLUMN cursor_ends;
             DROP TABLE natural_keys; DROP TABLE adopted_ids; DROP TABLE manual_members; DROP TABLE tags;
             DROP TABLE conflicts; DROP TABLE customer_domains; DROP TABLE assignments;
             DROP TABLE releases; DROP TABLE local_records; DROP TABLE chores; DROP INDEX joined_by_object;
             ALTER TABLE sleeping DROP COLUMN deleted;
             ALTER TABLE customers DROP COLUMN dropped; PRAGMA user_version = 1",
        )
        .unwrap();
        let first = rusqlite::Connection::open_in_memory().unwrap();
        first.execute_batch(include_str!("../../../src/store/sqlite/schema/1.sql")).unwrap();
        let tables = |file: &rusqlite::Connection| {
            let mut query = file.prepare("SELECT name, (SELECT group_concat(name) FROM pragma_table_info(s.name)) FROM sqlite_schema s ORDER BY 1").unwrap();
            let rows =
                query.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, Option<String>>(1)?))).unwrap();
            rows.collect::<Result<Vec<_>, _>>().unwrap()
        };
        assert_eq!(tables(&file), tables(&first));
    }
    let found = seen(&path);
    found.0.same_as(&expected.0, "upgraded");
    assert_eq!(found.1, expected.1);
    let file = rusqlite::Connection::open(&path).unwrap();
    let version: i64 = file.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert!(version > 3, "{version}");
    drop(file);
    operate(&path, "release", None).unwrap();
    assert_eq!(SqliteStore::open(&path).unwrap().totals(&customer()).unwrap().users, 62);
}
