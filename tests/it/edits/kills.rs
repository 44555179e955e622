//! Killed around any commit of a change by hand, or of an import that adopts, and asked again: as if nothing had been.

use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;

use tenantry::directory::csv::{CsvMode, CsvOptions};
use tenantry::model::{AttributeName, CustomerId, Draft, Edit, ObjectKind, RecordId, Shelf, names};
use tenantry::testkit::{ScriptedDirectory, ScriptedEndpoint};
use tenantry::{Customer, Endpoint, Service, SqliteStore, Store};

use crate::dying::{self, Commits};
use crate::operations::{Replica, name, wide};
use crate::world::{World, folder};

const CHILD: &str = "edits::kills::child";

fn customer() -> CustomerId {
    CustomerId::new("c1").unwrap()
}

fn id(number: u128) -> RecordId {
    RecordId(uuid::Uuid::from_u128(number))
}

fn user(number: u128) -> RecordId {
    RecordId::founded_by(&customer(), &name("ad"), ObjectKind::User, &ScriptedDirectory::id(number).key())
}

/// Who is brought by the second import and was added by hand before.
fn newcomer(number: u128) -> Draft {
    Draft::user(&format!("user{number}@corp.example"))
        .set(names::FIRST_NAME, format!("First{number}"))
        .set(names::LAST_NAME, format!("Last{number}"))
        .set(AttributeName::extra("floor"), "3")
        .with_id(id(number))
}

fn directory(grown: bool) -> ScriptedDirectory {
    let mut directory = World::directory(12);
    if grown {
        for number in 101..=125 {
            let user = directory.add_user(number, "oslo");
            directory.add_member(&ScriptedDirectory::id(1_000_000), &user);
        }
        let owner = ScriptedDirectory::id(110).to_string();
        directory.set(&ScriptedDirectory::id(2_000_001), names::OWNER, owner);
    }
    directory
}

async fn registered(path: &Path, grown: bool) -> Service {
    let endpoint = ScriptedEndpoint::new("ad", directory(grown), 5).unwrap();
    let service = Service::new(Arc::new(SqliteStore::open(path).unwrap()));
    service.register(Customer::new(customer()), vec![Arc::new(endpoint) as Arc<dyn Endpoint>]).await.unwrap();
    service
}

async fn by_hand(service: &Service) -> tenantry::Result<()> {
    let (directory, customer) = (service.directory(), customer());
    directory.set_yielded(&customer, &name("ad"), [names::DISPLAY_NAME]).await?;
    let edit = Edit::new().set(names::DISPLAY_NAME, "Local").set(AttributeName::extra("floor"), "3");
    directory.edit(&customer, user(3), &edit).await?;
    directory.set_tags(&customer, user(3), ["boss"]).await?;
    directory.shelve(&customer, user(4), Shelf::Archived).await?;
    directory.add(&customer, &newcomer(201)).await?;
    directory.add(&customer, &Draft::group("Board").with_id(id(202))).await?;
    directory.add_members(&customer, id(202), &[user(3), id(201)]).await?;
    directory.remove_members(&customer, id(203), &[user(5)]).await?;
    Ok(())
}

/// One operation; aborts at a commit if it is told to.
#[test]
fn child() {
    let text = |name: &str| std::env::var(name).ok();
    let Some(path) = text("TENANTRY_EDIT_STATE") else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let commits = runtime.block_on(async {
        let operation = text("TENANTRY_EDIT").unwrap();
        let service = registered(path.as_ref(), operation == "adopt").await;
        let commits = Commits::watch();
        match operation.as_str() {
            "by hand" => by_hand(&service).await.unwrap(),
            "adopt" => drop(service.import(&customer(), &name("ad"), wide()).await.unwrap()),
            "table" => {
                let rows: Vec<String> = (1..=9000).map(|row| format!("p{row}@corp.example")).collect();
                let table = Cursor::new(format!("email\n{}\n", rows.join("\n")));
                let options = CsvOptions { mode: CsvMode::Apply, ..CsvOptions::default() };
                service.directory().import_csv(&customer(), table, options).await.unwrap();
            }
            "remove" => drop(service.directory().remove(&customer(), id(102)).await),
            other => panic!("{other}"),
        }
        commits
    });
    commits.tell();
}

/// Returns how many points there were; `None` if it died at one.
fn operate(path: &Path, operation: &str, at: Option<u64>) -> Option<u64> {
    let variables = [("TENANTRY_EDIT_STATE", path.as_os_str()), ("TENANTRY_EDIT", operation.as_ref())];
    dying::run(CHILD, variables, at).map(|told| told.points)
}

/// What was told, without what is drawn anew each time.
fn told(path: &Path) -> Vec<String> {
    let store = SqliteStore::open(path).unwrap();
    let events = store.events(&customer(), 0, usize::MAX).unwrap();
    let events = events.iter().map(|event| {
        let mut data = event.data_value();
        data.as_object_mut().unwrap().remove("run");
        let differs = event.event_type.as_str() == "tenantry.import.finished";
        format!("{} {} {}", event.id, event.source, if differs { serde_json::Value::Null } else { data })
    });
    events.collect()
}

#[tokio::test]
async fn killed_around_any_commit_changes_that_are_made_again_end_the_same() {
    let folder = folder();
    let before = folder.path().join("before.db");
    {
        let service = registered(&before, false).await;
        service.import(&customer(), &name("ad"), wide()).await.unwrap();
        for number in [102, 103, 110] {
            service.directory().add(&customer(), &newcomer(number)).await.unwrap();
        }
        service.directory().add(&customer(), &Draft::group("Club").with_id(id(203))).await.unwrap();
        service.directory().add_members(&customer(), id(203), &[user(5), user(6)]).await.unwrap();
    }
    for operation in ["by hand", "adopt", "remove", "table"] {
        let undisturbed = folder.path().join("undisturbed.db");
        std::fs::copy(&before, &undisturbed).unwrap();
        let points = operate(&undisturbed, operation, None).unwrap();
        let expected = Replica::of_file(&undisturbed, &customer(), operation);
        assert!(points >= 2, "{operation}: {points}");
        if operation == "adopt" {
            let adopted = expected
                .records
                .values()
                .filter(|record| record["attributes"]["floor"] == "3" && record["lock"]["endpoint"] == "ad");
            assert_eq!(adopted.count(), 3);
        }
        // Before a commit the file is as it was behind the last one: of the many points of an import every other will do.
        let step = if operation == "adopt" { 2 } else { 1 };
        for at in (0..points).step_by(step) {
            let inside = tempfile::tempdir_in(folder.path()).unwrap();
            let path = inside.path().join("killed.db");
            std::fs::copy(&before, &path).unwrap();
            let what = format!("{operation}, killed at {at} of {points}");
            assert_eq!(operate(&path, operation, Some(at)), None, "{what}");
            Replica::of_file(&path, &customer(), &format!("{what}, at once"));
            operate(&path, operation, None).unwrap();
            let found = Replica::of_file(&path, &customer(), &what);
            if operation == "table" {
                // Ids are drawn anew; nobody comes twice.
                assert_eq!(
                    (found.records.len(), found.position),
                    (expected.records.len(), expected.position),
                    "{what}"
                );
                continue;
            }
            if operation == "adopt" && at + 1 == points {
                // It had ended: what is asked for again is an import of its own.
                assert_eq!((found.records, found.edges), (expected.records.clone(), expected.edges.clone()), "{what}");
                continue;
            }
            found.same_as(&expected, &what);
            assert_eq!(told(&path), told(&undisturbed), "{what}");
        }
    }
}
