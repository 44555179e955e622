//! What a page costs, in rows of the index: as many as the page has, not as many as there are people.

use tenantry::model::{Filter, MfaState, Nesting, Order, Page, Query, SortBy, UserState, names};
use tenantry::testkit::ScriptedDirectory;

use crate::world::World;

const USERS: u128 = 6000;
const LIMIT: usize = 20;

async fn large() -> World {
    let mut directory = ScriptedDirectory::new("domain-1");
    let (small, large) = (directory.add_group(1_000_000), directory.add_group(1_000_001));
    let outer = directory.add_group(1_000_002);
    directory.add_member(&outer, &small);
    directory.add_member(&outer, &outer);
    for number in 1..=USERS {
        let id = directory.add_user(number, "people");
        directory.set(&id, names::FIRST_NAME, format!("First{}", number % 50));
        if number % 10 == 0 {
            directory.set(&id, names::STATE, UserState::Suspended);
        }
        if number % 1000 == 0 {
            directory.add_member(&small, &id);
        }
        if number % 2 == 0 {
            directory.add_member(&large, &id);
        }
    }
    let world = World::with_pages(directory, 500).await;
    world.import_done().await;
    world
}

#[tokio::test]
async fn a_page_reads_about_as_many_rows_as_it_shows() {
    let world = large().await;
    let directory = world.service.directory();
    let groups = world.records(tenantry::model::ObjectKind::Group);
    let group = |name: &str| groups.values().find(|one| one.attributes.text(&names::NAME) == Some(name)).unwrap().id;
    let mut cases: Vec<(&str, Filter, u64, u64)> = vec![
        ("all", Filter::default(), 6000, 30),
        // One in ten: the walk meets ten for each.
        ("suspended", Filter { states: Some([UserState::Suspended].into()), ..Filter::default() }, 600, 400),
        ("unknown", Filter { mfa: Some([MfaState::Unknown].into()), ..Filter::default() }, 6000, 40),
        ("a part that everybody has", Filter { search: Some("corp.example".into()), ..Filter::default() }, 6000, 100),
        ("one person", Filter { search: Some("user5432@".into()), ..Filter::default() }, 1, 60),
        ("nobody", Filter { search: Some("qqq".into()), ..Filter::default() }, 0, 10),
        ("a prefix", Filter { prefix: Some((SortBy::PrimaryEmail, "user12".into())), ..Filter::default() }, 111, 40),
        ("a name", Filter { prefix: Some((SortBy::FirstName, "first49".into())), ..Filter::default() }, 120, 2500),
        (
            "a small group",
            Filter { group: Some((group("Group 1000000"), Nesting::Direct)), ..Filter::default() },
            6,
            20,
        ),
        ("in a group", Filter { group: Some((group("Group 1000002"), Nesting::Nested)), ..Filter::default() }, 6, 20),
        (
            "a large group",
            Filter { group: Some((group("Group 1000001"), Nesting::Direct)), ..Filter::default() },
            3000,
            100,
        ),
    ];
    cases.push(("archived", Filter { archived: Some(true), ..Filter::default() }, 0, 10));
    for (name, filter, total, rows) in cases {
        for by in [SortBy::PrimaryEmail, SortBy::LastName] {
            for order in [Order::Ascending, Order::Descending] {
                let mut query = Query { filter: filter.clone(), ..Query::users(&world.customer) };
                query.sort = tenantry::model::Sort { by, order };
                assert_eq!(directory.count(&query).await.unwrap().total, total, "{name}");
                let expensive = filter.prefix.as_ref().is_some_and(|(other, _)| *other != by);
                let first = directory.find(&query, None, LIMIT).await.unwrap();
                assert!(expensive || first.rows_read <= rows, "{name}: {} rows", first.rows_read);
                // The tenth page costs what the first one does.
                let mut page: Page = first.clone();
                for _ in 0..9 {
                    let Some(next) = page.next.clone() else { break };
                    page = directory.find(&query, Some(&next), LIMIT).await.unwrap();
                }
                assert!(expensive || page.rows_read <= rows, "{name}, later: {} rows", page.rows_read);
                assert_eq!(first.found.len() as u64, total.min(LIMIT as u64), "{name}");
            }
        }
    }
}

#[tokio::test]
async fn an_index_that_is_current_is_not_written() {
    let world = large().await;
    let query = Query::users(&world.customer);
    world.service.directory().find(&query, None, 5).await.unwrap();
    let path = world.folder.path().join("state.db.index");
    let file = rusqlite::Connection::open(&path).unwrap();
    let version = || file.pragma_query_value(None, "data_version", |row| row.get::<_, i64>(0)).unwrap();
    let before = version();
    for _ in 0..3 {
        world.service.directory().find(&query, None, 5).await.unwrap();
    }
    assert_eq!(version(), before);
    // A run without changes tells its end, and nothing else is written for it.
    world.import_done().await;
    world.service.directory().find(&query, None, 5).await.unwrap();
    assert_ne!(version(), before);
}
