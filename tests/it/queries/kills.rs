//! Killed around any commit of the index, it is gone on with; erased people are in none of its bytes.

use std::path::Path;

use tenantry::model::{HandOver, ObjectKind, Query, RecordId, Value, names};
use tenantry::{Endpoint, ErrorKind, Service};

use super::oracle::Everything;
use super::random::check;
use super::tenants::{Tenants, open, state};
use crate::dying::{self, Commits};
use crate::laws::Dice;

const CHILD: &str = "queries::kills::child";
const WORDS: [&str; 4] = ["Ottoline", "Quillfeather", "o.quill@corp.example", "quillfeatherlogin"];

/// Brings the index up to date; aborts at a commit if it is told to.
#[test]
fn child() {
    let text = |name: &str| std::env::var(name).ok();
    let Some(path) = text("TENANTRY_QUERY_STATE") else { return };
    tenantry::testkit::index_step(5);
    let service = open(path.as_ref());
    let commits = Commits::watch();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let customers = ["c1", "c2"].map(|name| tenantry::model::CustomerId::new(name).unwrap());
    runtime.block_on(async {
        match text("TENANTRY_ERASE") {
            Some(id) => {
                let id = RecordId(uuid(&id));
                service.erase(&customers[0], &[id]).await.unwrap();
            }
            None => service.directory().catch_up(&customers.into()).await.unwrap(),
        }
    });
    commits.tell();
}

fn uuid(text: &str) -> uuid::Uuid {
    uuid::Uuid::try_parse(text).unwrap()
}

/// Returns how many points there were; `None` if it died at one.
fn run_child(path: &Path, erase: Option<RecordId>, at: Option<u64>) -> Option<u64> {
    let erase = erase.map(|id| id.to_string());
    let state = ("TENANTRY_QUERY_STATE", path.as_os_str());
    let variables = [state].into_iter().chain(erase.as_deref().map(|id| ("TENANTRY_ERASE", id.as_ref())));
    dying::run(CHILD, variables, at).map(|told| told.points)
}

async fn all_is_right(tenants: &Tenants, dice: &mut Dice) {
    let everything = Everything::of(tenants.store(), &tenants.all());
    for _ in 0..8 {
        let query = tenants.query(dice);
        check(tenants, &everything, &query, 7).await;
    }
}

#[tokio::test]
async fn killed_at_any_commit_of_the_index_the_next_query_is_right() {
    let mut dice = Dice(23);
    let mut tenants = Tenants::new(&mut dice, 25).await;
    tenants.import_all().await;
    let path = state(&tenants.folder);
    // A building, and then a following.
    for round in 0..2 {
        for at in 0.. {
            if run_child(&path, None, Some(at)).is_some() {
                assert!(at > 3, "the index was written in too few steps to be killed in");
                break;
            }
            // Half of the time the state file goes on in between.
            if round == 1 && at % 2 == 1 && at < 8 {
                tenants.change(&mut dice).await;
            }
        }
        all_is_right(&tenants, &mut dice).await;
        for _ in 0..6 {
            tenants.change(&mut dice).await;
        }
    }
}

fn found_in(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(found_in(&path));
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        for word in WORDS {
            if bytes.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word.as_bytes())) {
                found.push(format!("{word} in {}", path.file_name().unwrap().to_string_lossy()));
            }
        }
    }
    found
}

/// A tenant with somebody whose name is nobody else's, renamed once, in the index both times.
async fn with_ottoline(dice: &mut Dice) -> (Tenants, RecordId) {
    let tenants = Tenants::new(dice, 25).await;
    let (customer, endpoints) = tenants.customers[0].clone();
    let id = endpoints[0].change(|directory| {
        let id = directory.add_user(4242, "people");
        directory.set(&id, names::FIRST_NAME, "Ottoline");
        directory.set(&id, names::USERNAME, "quillfeatherlogin");
        directory.set(&id, names::ALIASES, Value::list(["o.quill@corp.example".to_owned()]));
        id
    });
    tenants.import_all().await;
    tenants.service.directory().catch_up(&tenants.all()).await.unwrap();
    endpoints[0].change(|directory| directory.set(&id, names::LAST_NAME, "Quillfeather"));
    tenants.import_all().await;
    tenants.service.directory().catch_up(&tenants.all()).await.unwrap();
    let record = RecordId::founded_by(&customer, &endpoints[0].info().name, ObjectKind::User, &id.key());
    (tenants, record)
}

#[tokio::test]
async fn not_a_byte_of_an_erased_person_stays_in_the_index() {
    let mut dice = Dice(29);
    let (tenants, person) = with_ottoline(&mut dice).await;
    let before = found_in(tenants.folder.path());
    for word in WORDS {
        assert!(before.iter().any(|found| found.starts_with(word) && found.contains(".index")), "{word}: {before:?}");
    }
    tenants.service.erase(&tenants.customers[0].0, &[person]).await.unwrap();
    assert_eq!(found_in(tenants.folder.path()), [""; 0]);
    all_is_right(&tenants, &mut dice).await;
    let mut query = Query::users(&tenants.customers[0].0);
    query.filter.search = Some("ottoline".to_owned());
    assert_eq!(tenants.service.directory().count(&query).await.unwrap().total, 0);
}

#[tokio::test]
async fn an_erasure_that_is_killed_and_asked_for_again_leaves_no_byte_in_the_index() {
    for at in 0.. {
        let mut dice = Dice(31);
        let (mut tenants, person) = with_ottoline(&mut dice).await;
        let path = state(&tenants.folder);
        let done = run_child(&path, Some(person), Some(at)).is_some();
        tenants.service = Service::new(open(&path).store().clone());
        if !done {
            match tenants.service.erase(&tenants.customers[0].0, &[person]).await {
                Ok(_) => {}
                // Killed behind its end: nobody is known under the id any more.
                Err(error) => assert_eq!(*error.kind(), ErrorKind::NotFound, "{error}"),
            }
        }
        assert_eq!(found_in(tenants.folder.path()), [""; 0], "killed at {at}");
        all_is_right(&tenants, &mut dice).await;
        if done {
            assert!(at > 6, "too few points");
            break;
        }
    }
}

#[tokio::test]
async fn somebody_who_was_handed_over_and_archived_is_found_as_such() {
    let mut dice = Dice(37);
    let mut tenants = Tenants::new(&mut dice, 25).await;
    tenants.import_all().await;
    tenants.service.directory().catch_up(&tenants.all()).await.unwrap();
    let (customer, endpoints) = tenants.customers[0].clone();
    tenants.service.remove_endpoint(&customer, &endpoints[0].info().name, HandOver::Archived).await.unwrap();
    tenants.customers[0].1.remove(0);
    let mut query = Query::users(&customer);
    query.filter.archived = Some(true);
    query.filter.locked = Some(false);
    assert_eq!(tenants.service.directory().count(&query).await.unwrap().total, 25);
    all_is_right(&tenants, &mut dice).await;
}
