//! Removal of an endpoint: what becomes of its records, and of everything else of it.

use std::sync::Arc;

use rusqlite::Connection;
use tenantry::model::{EventType, HandOver, ObjectKind, Outcome, RecordId, TombstoneKind, names};
use tenantry::testkit::{Lie, ScriptedDirectory};
use tenantry::{Endpoint, ErrorKind, ImportOptions, Service, SqliteStore};

use super::Stage;
use super::stage::name;
use crate::world::count;

#[tokio::test]
async fn records_of_a_removed_endpoint_stay_unlocked_with_their_values_and_the_rest_of_it_is_gone() {
    let mut stage = Stage::small().await;
    stage.import_all().await;
    stage.check("imported");
    let (last, totals) = (stage.live.position, stage.store().totals(&stage.customer).unwrap());
    let released = stage.service.remove_endpoint(&stage.customer, &name("ad"), HandOver::Unlocked).await.unwrap();
    assert_eq!((released.records, released.members_removed), (25, 10));
    stage.check("removed");

    let events = stage.events(last);
    assert_eq!(count(&events, EventType::UserUpserted), 20);
    assert_eq!(count(&events, EventType::MemberRemoved), 10);
    assert_eq!(count(&events, EventType::GroupRemoved), 1, "the group that stood for the endpoint");
    let after = stage.store().totals(&stage.customer).unwrap();
    assert_eq!((after.users, after.groups, after.computers), (totals.users, totals.groups, totals.computers));
    assert_eq!(after.memberships, totals.memberships - 10);
    for record in stage.store().records(&stage.customer, ObjectKind::User, None, 99).unwrap() {
        let of_cloud = record.lock.as_ref().is_some_and(|lock| lock.endpoint == name("cloud"));
        assert_eq!(record.lock.is_none(), !of_cloud);
        assert_eq!(record.identities.is_empty(), !of_cloud);
        assert!(!record.archived && record.attributes.text(&names::LAST_NAME).unwrap().starts_with("Last"));
    }
    let file = Connection::open(stage.path()).unwrap();
    for table in ["objects", "probes", "counts", "containers", "freshness", "parked", "losses", "quarantine"] {
        let of_it: i64 = file
            .query_row(
                &format!("SELECT count(*) FROM {table} JOIN endpoints USING (endpoint_no) WHERE name LIKE '.%'"),
                [],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(of_it, 0, "{table}");
    }
    let refused = stage.service.import(&stage.customer, &name("ad"), ImportOptions::default()).await.unwrap_err();
    assert_eq!(*refused.kind(), ErrorKind::Config, "{refused}");
    assert_eq!(stage.store().history(&stage.customer, 9).unwrap().len(), 2, "the history of its runs stays");
}

#[tokio::test]
async fn archived_hands_users_over_put_away() {
    let mut stage = Stage::small().await;
    stage.import_all().await;
    stage.service.remove_endpoint(&stage.customer, &name("ad"), HandOver::Archived).await.unwrap();
    stage.check("removed");
    let records = stage.store().records(&stage.customer, ObjectKind::User, None, 99).unwrap();
    assert_eq!(records.iter().filter(|record| record.archived && record.lock.is_none()).count(), 20);
    let told = stage.live.records.values().filter(|record| record["archived"] == true).count();
    assert_eq!(told, 20);
}

#[tokio::test]
async fn a_new_endpoint_of_the_same_name_starts_from_nothing() {
    let mut stage = Stage::small().await;
    stage.import_all().await;
    stage.endpoints[0].change(|directory| directory.add_user(999, "oslo"));
    let rehearsal = ImportOptions { dry_run: true, ..ImportOptions::default() };
    let planned = stage.service.import(&stage.customer, &name("ad"), rehearsal).await.unwrap();
    assert_eq!(planned.outcome, Outcome::Planned);
    stage.service.remove_endpoint(&stage.customer, &name("ad"), HandOver::Unlocked).await.unwrap();
    stage.check("removed");

    // Another directory under the old name: nothing compares the two.
    let mut other = ScriptedDirectory::new("domain-2");
    for number in 700..710 {
        other.add_user(number, "oslo");
    }
    stage.endpoints[0] = tenantry::testkit::ScriptedEndpoint::new("ad", other, 7).unwrap();
    stage.register().await;
    let report = stage.import(0).await;
    assert_eq!((report.outcome, report.created, report.removed, report.missing), (Outcome::Done, 10, 0, 0));
    stage.check("imported anew");
    assert_eq!(stage.store().totals(&stage.customer).unwrap().users, 38);
}

#[tokio::test]
async fn the_same_directory_under_the_same_name_finds_its_records_again() {
    let mut stage = Stage::small().await;
    stage.import_all().await;
    stage.check("imported");
    let before = stage.live.records.clone();
    stage.service.remove_endpoint(&stage.customer, &name("ad"), HandOver::Unlocked).await.unwrap();
    stage.check("removed");
    stage.register().await;
    assert_eq!(stage.import(0).await.outcome, Outcome::Done);
    stage.check("imported anew");
    assert_eq!(stage.live.records, before);
}

#[tokio::test]
async fn what_was_removed_before_is_not_handed_over() {
    let mut stage = Stage::small().await;
    stage.endpoints[0].change(|directory| directory.tombstones_readable = true);
    stage.import_all().await;
    stage.endpoints[0].change(|directory| {
        directory.delete(&ScriptedDirectory::id(3));
        directory.delete_as(&ScriptedDirectory::id(4), TombstoneKind::Soft);
    });
    stage.import_all().await;
    stage.check("two are gone");
    let released = stage.service.remove_endpoint(&stage.customer, &name("ad"), HandOver::Unlocked).await.unwrap();
    assert_eq!(released.records, 23);
    stage.check("removed");
    assert_eq!(stage.store().totals(&stage.customer).unwrap().users, 26);
}

#[tokio::test]
async fn a_computer_keeps_telling_its_owner_until_it_is_handed_over() {
    let mut stage = Stage::small().await;
    stage.endpoints[0].change(|directory| {
        let owner = ScriptedDirectory::id(2).to_string();
        directory.set(&ScriptedDirectory::id(2_000_001), names::OWNER, owner);
    });
    stage.import_all().await;
    stage.check("imported");
    assert!(stage.live.records.values().any(|record| record["owner"]["id"].is_string()));
    stage.service.remove_endpoint(&stage.customer, &name("ad"), HandOver::Unlocked).await.unwrap();
    stage.check("removed");
}

#[tokio::test]
async fn removal_is_refused_while_a_run_of_the_endpoint_or_an_apply_of_the_customer_is_under_way() {
    let stage = Stage::small().await;
    stage.import_all().await;
    // Held as a run and an apply hold them, for as long as this test likes.
    let hold = |name: &str| {
        let path = stage.folder.path().join("state.db.work").join(name);
        let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
        file.lock().unwrap();
        file
    };
    let run = hold("c1+ad.run");
    let refused = stage.service.remove_endpoint(&stage.customer, &name("ad"), HandOver::Unlocked).await.unwrap_err();
    assert_eq!(*refused.kind(), ErrorKind::Conflict);
    run.unlock().unwrap();

    let turn = hold("c1.apply");
    let refused = stage.service.remove_endpoint(&stage.customer, &name("ad"), HandOver::Unlocked).await.unwrap_err();
    assert_eq!((refused.kind(), refused.retry()), (&ErrorKind::Conflict, tenantry::Retry::Backoff));
    let refused = stage.service.apply_retention(&stage.customer).await.unwrap_err();
    assert_eq!(*refused.kind(), ErrorKind::Conflict);
    turn.unlock().unwrap();
    stage.service.remove_endpoint(&stage.customer, &name("ad"), HandOver::Unlocked).await.unwrap();
}

#[tokio::test]
async fn unknown_customers_and_endpoints_are_told_so() {
    let stage = Stage::small().await;
    let nobody = tenantry::model::CustomerId::new("nobody").unwrap();
    for (customer, endpoint) in [(&stage.customer, "ldap"), (&nobody, "ad"), (&stage.customer, "a")] {
        let refused = stage.service.remove_endpoint(customer, &name(endpoint), HandOver::Unlocked).await.unwrap_err();
        assert_eq!(*refused.kind(), ErrorKind::NotFound, "{refused}");
    }
    assert_eq!(*stage.service.export(&nobody).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(*stage.service.apply_retention(&nobody).await.unwrap_err().kind(), ErrorKind::NotFound);
    let refused = stage.service.erase(&nobody, &[RecordId::random()]).await.unwrap_err();
    assert_eq!(*refused.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_listing_that_was_interrupted_goes_with_its_endpoint() {
    let mut stage = Stage::small().await;
    stage.import_all().await;
    stage.endpoints[0].change(|directory| directory.add_user(321, "oslo"));
    stage.endpoints[0].lie([Lie::FailsAfter(2)]);
    assert_eq!(stage.import(0).await.outcome, Outcome::Failed);
    stage.service.remove_endpoint(&stage.customer, &name("ad"), HandOver::Unlocked).await.unwrap();
    stage.check("removed");
    let left: Vec<_> = std::fs::read_dir(stage.folder.path().join("state.db.work"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|file| file.contains("+ad") && file != "c1+ad.run")
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn a_removal_goes_on_in_another_process_only_in_the_way_it_was_begun_and_no_import_begins_before() {
    let mut stage = Stage::small().await;
    stage.import_all().await;
    stage.check("imported");
    // As if the process had died behind its first commit.
    let file = Connection::open(stage.path()).unwrap();
    file.execute(
        "INSERT INTO releases (endpoint_no, run, archive, at)
         SELECT endpoint_no, randomblob(16), 1, 5 FROM endpoints WHERE name = 'ad'",
        [],
    )
    .unwrap();
    let refused = stage.service.import(&stage.customer, &name("ad"), ImportOptions::default()).await.unwrap_err();
    assert_eq!(*refused.kind(), ErrorKind::Conflict);
    assert!(refused.to_string().contains("once more"), "{refused}");
    stage.register().await;
    let other = Service::new(Arc::new(SqliteStore::open(stage.path()).unwrap()));
    let refused = other.remove_endpoint(&stage.customer, &name("ad"), HandOver::Unlocked).await.unwrap_err();
    assert_eq!(*refused.kind(), ErrorKind::Conflict);
    other.remove_endpoint(&stage.customer, &name("ad"), HandOver::Archived).await.unwrap();
    stage.check("removed");
    assert_eq!(stage.endpoints[1].info().name, name("cloud"));
    assert_eq!(stage.import(1).await.outcome, Outcome::Done);
}

/// So many users and memberships through many chunks; `TENANTRY_LARGE` sets how many.
#[tokio::test]
async fn a_large_endpoint_goes_in_chunks() {
    let users = std::env::var("TENANTRY_LARGE").ok().and_then(|text| text.parse().ok()).unwrap_or(5000);
    let mut directory = ScriptedDirectory::new("domain-1");
    let groups: Vec<_> = (0..20).map(|number| directory.add_group(1_000_000_000 + number)).collect();
    let all = directory.add_group(2_000_000_000);
    for number in 1..=users {
        let user = directory.add_user(number, "oslo");
        for step in 0..4 {
            directory.add_member(&groups[usize::try_from((number + step * 3) % 20).unwrap()], &user);
        }
        directory.add_member(&all, &user);
    }
    let mut stage = Stage::new([("ad", directory), ("cloud", ScriptedDirectory::new("x"))]).await;
    stage.endpoints[0] = {
        let directory = stage.endpoints[0].change(|directory| directory.clone());
        tenantry::testkit::ScriptedEndpoint::new("ad", directory, 1000).unwrap()
    };
    stage.register().await;
    assert_eq!(stage.import(0).await.outcome, Outcome::Done);
    stage.check("imported");
    #[allow(clippy::disallowed_methods)] // it is measured
    let start = std::time::Instant::now();
    let released = stage.service.remove_endpoint(&stage.customer, &name("ad"), HandOver::Unlocked).await.unwrap();
    println!("{} records and {} memberships in {:?}", released.records, released.members_removed, start.elapsed());
    assert_eq!(
        (released.records, released.members_removed),
        (u64::try_from(users).unwrap() + 21, 5 * u64::try_from(users).unwrap())
    );
    stage.check("removed");
}
