//! What is refused, and what is thrown away and made again.

use std::collections::BTreeSet;

use tenantry::model::{CustomerId, HandOver, Order, PageCursor, Query, SortBy};
use tenantry::{Endpoint, Error, ErrorKind};

use super::oracle::Everything;
use super::random::check;
use super::tenants::{Tenants, state};
use crate::laws::Dice;

async fn imported() -> Tenants {
    let tenants = Tenants::new(&mut Dice(7), 30).await;
    tenants.import_all().await;
    tenants
}

fn users(tenants: &Tenants) -> Query {
    Query { customers: tenants.all(), ..Query::users(&tenants.customers[0].0) }
}

async fn refused(tenants: &Tenants, query: &Query, cursor: Option<&str>) -> Error {
    let cursor = cursor.map(PageCursor::new);
    tenants.service.directory().find(query, cursor.as_ref(), 5).await.unwrap_err()
}

#[tokio::test]
async fn a_cursor_of_another_query_or_version_and_one_that_is_none_are_refused() {
    let tenants = imported().await;
    let query = users(&tenants);
    let cursor = tenants.service.directory().find(&query, None, 5).await.unwrap().next.unwrap();
    tenants.service.directory().find(&query, Some(&cursor), 9).await.unwrap();
    assert_eq!(format!("{cursor:?}"), "PageCursor(..)", "it contains an address");

    let mut others = vec![query.clone(); 4];
    others[0].sort.order = Order::Descending;
    others[1].sort.by = SortBy::LastName;
    others[2].filter.locked = Some(true);
    others[3].customers.pop_first();
    for other in others {
        let error = refused(&tenants, &other, Some(cursor.as_str())).await;
        assert_eq!((error.kind(), error.message().contains("another query")), (&ErrorKind::Config, true), "{error}");
    }
    let newer = format!("7f{}", &cursor.as_str()[2..]);
    assert!(refused(&tenants, &query, Some(&newer)).await.message().contains("another version"));
    for broken in ["", "x", "01", "zz00", &cursor.as_str()[..18], &cursor.as_str()[..19], "é1"] {
        assert_eq!(*refused(&tenants, &query, Some(broken)).await.kind(), ErrorKind::Config, "{broken}");
    }
}

#[tokio::test]
async fn nobody_and_strangers_are_not_asked_for() {
    let tenants = imported().await;
    let mut query = users(&tenants);
    query.customers.clear();
    assert_eq!(*refused(&tenants, &query, None).await.kind(), ErrorKind::Config);
    query.customers = BTreeSet::from([CustomerId::new("nobody").unwrap()]);
    assert_eq!(*refused(&tenants, &query, None).await.kind(), ErrorKind::NotFound);
    let mut query = users(&tenants);
    query.sort.by = SortBy::Name;
    assert_eq!(*refused(&tenants, &query, None).await.kind(), ErrorKind::Config);
}

/// Asks a few random things.
async fn all_is_right(tenants: &Tenants, dice: &mut Dice) {
    let everything = Everything::of(tenants.store(), &tenants.all());
    for _ in 0..12 {
        let query = tenants.query(dice);
        check(tenants, &everything, &query, 6).await;
    }
}

#[tokio::test]
async fn an_index_that_is_lost_or_damaged_is_made_again() {
    let mut tenants = imported().await;
    let mut dice = Dice(11);
    all_is_right(&tenants, &mut dice).await;
    let path = tenants.folder.path().join("state.db.index");
    for damage in 0..3 {
        // As after a restart: nobody has it open.
        tenants.service = super::tenants::open(&state(&tenants.folder));
        match damage {
            0 => std::fs::remove_file(&path).unwrap(),
            1 => std::fs::write(&path, b"this is no database, and never was one").unwrap(),
            _ => {
                let file = rusqlite::Connection::open(&path).unwrap();
                file.pragma_update(None, "user_version", 99).unwrap();
            }
        }
        all_is_right(&tenants, &mut dice).await;
    }
}

#[tokio::test]
async fn a_state_file_that_is_restored_from_a_backup_is_not_read_with_the_index_of_its_future() {
    let mut tenants = imported().await;
    let mut dice = Dice(13);
    let backup = tenants.folder.path().join("backup.db");
    let file = rusqlite::Connection::open(state(&tenants.folder)).unwrap();
    file.execute("VACUUM INTO ?1", [backup.to_str().unwrap()]).unwrap();
    drop(file);
    for _ in 0..4 {
        tenants.change(&mut dice).await;
    }
    all_is_right(&tenants, &mut dice).await;

    tenants.service = super::tenants::open(&backup);
    for end in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{end}", state(&tenants.folder).display()));
    }
    std::fs::rename(&backup, state(&tenants.folder)).unwrap();
    tenants.service = super::tenants::open(&state(&tenants.folder));
    all_is_right(&tenants, &mut dice).await;
    tenants.register().await;
    for _ in 0..6 {
        tenants.change(&mut dice).await;
    }
    all_is_right(&tenants, &mut dice).await;
}

#[tokio::test]
async fn events_that_are_no_longer_kept_and_an_endpoint_that_goes_do_not_leave_the_index_behind() {
    use tenantry::model::{Keep, Retention};
    let mut tenants = imported().await;
    let mut dice = Dice(17);
    all_is_right(&tenants, &mut dice).await;
    let few = Retention { events: Keep::Last(1), history: Keep::Last(1), ..Retention::default() };
    tenants.service = super::tenants::open(&state(&tenants.folder)).with_retention(few);
    tenants.register().await;
    for _ in 0..3 {
        tenants.change(&mut dice).await;
    }
    all_is_right(&tenants, &mut dice).await;

    let (customer, endpoints) = tenants.customers[0].clone();
    let name = endpoints[1].info().name.clone();
    tenants.service.remove_endpoint(&customer, &name, HandOver::Archived).await.unwrap();
    tenants.customers[0].1.truncate(1);
    all_is_right(&tenants, &mut dice).await;
}

#[tokio::test]
async fn another_order_of_endpoints_is_seen_by_the_next_query() {
    let mut tenants = imported().await;
    let mut dice = Dice(19);
    all_is_right(&tenants, &mut dice).await;
    tenants.customers[0].1.reverse();
    tenants.register().await;
    all_is_right(&tenants, &mut dice).await;
}
