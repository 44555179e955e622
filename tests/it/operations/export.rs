//! An export is one position: what it holds and the events behind it are the state.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tenantry::model::{Exported, ObjectKind, Outcome, names};
use tenantry::testkit::ScriptedDirectory;
use tenantry::{ErrorKind, SqliteStore};

use super::{Replica, Stage};

#[tokio::test]
async fn an_export_holds_every_record_and_membership_once_records_first() {
    let mut stage = Stage::small().await;
    stage.import_all().await;
    stage.check("imported");
    let mut export = stage.service.export(&stage.customer).await.unwrap();
    assert_eq!(export.position(), stage.store().last_position(&stage.customer).unwrap());
    let (mut kinds, mut entries) = (Vec::new(), 0);
    loop {
        let next = export.next(4).await.unwrap();
        if next.is_empty() {
            break;
        }
        entries += next.len();
        kinds.extend(next.iter().map(|entry| matches!(entry, Exported::Member(_))));
        for entry in &next {
            let json = serde_json::to_value(entry).unwrap();
            assert!(json["record"]["id"].is_string() || json["member"]["group_source_id"].is_string(), "{json}");
        }
    }
    assert_eq!(entries, 28 + 2 + 4 + 2 + 18);
    assert!(kinds.is_sorted());
    assert!(export.next(4).await.unwrap().is_empty(), "the end stays the end");
}

#[tokio::test]
async fn an_export_does_not_see_what_is_applied_meanwhile_and_lets_it_be_applied() {
    let mut stage = Stage::small().await;
    stage.import_all().await;
    stage.check("imported");
    let before = stage.live.clone();
    let mut export = stage.service.export(&stage.customer).await.unwrap();
    let mut replica = Replica { position: export.position(), ..Replica::default() };
    replica.add(export.next(3).await.unwrap());
    stage.endpoints[0].change(|directory| {
        directory.add_user(900, "oslo");
        directory.set(&ScriptedDirectory::id(7), names::LAST_NAME, "Changed");
        directory.delete(&ScriptedDirectory::id(8));
    });
    stage.import_all().await;
    loop {
        let entries = export.next(5).await.unwrap();
        if entries.is_empty() {
            break;
        }
        replica.add(entries);
    }
    replica.same_as(&before, "as it was");
    drop(export);
    stage.check("imported again");
    replica.follow(stage.store(), &stage.customer);
    replica.same_as(&stage.live, "export and the events behind it");
}

#[tokio::test]
async fn a_future_that_is_dropped_ends_the_export_and_says_so() {
    let stage = Stage::small().await;
    stage.import_all().await;
    for _ in 0..1000 {
        let mut export = stage.service.export(&stage.customer).await.unwrap();
        // On a busy machine it may be done before it is looked at: then there was nothing to drop.
        let is_dropped = futures::poll!(&mut Box::pin(export.next(5))).is_pending();
        if is_dropped {
            assert_eq!(*export.next(5).await.unwrap_err().kind(), ErrorKind::Cancelled);
            return;
        }
    }
    panic!("every part was ready at once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exports_beside_a_running_import_are_each_consistent_with_their_position() {
    let users = 6000;
    let mut directory = ScriptedDirectory::new("domain-1");
    let groups: Vec<_> = (0..40).map(|number| directory.add_group(1_000_000 + number)).collect();
    for number in 1..=users {
        let user = directory.add_user(1000 + number, "oslo");
        directory.add_member(&groups[usize::try_from(number % 40).unwrap()], &user);
        directory.add_member(&groups[usize::try_from(number % 7).unwrap()], &user);
    }
    // Listed before their owners, who are applied in a later chunk; one of them is never imported.
    for number in 0..200 {
        let computer = directory.add_computer(number, "machines");
        let owner = if number == 0 { 77_000_000 } else { 1000 + users - number };
        directory.set(&computer, names::OWNER, ScriptedDirectory::id(owner).to_string());
    }
    let mut other = ScriptedDirectory::new("x");
    other.add_user(1, "x");
    let mut stage = Stage::new([("ad", directory), ("cloud", other)]).await;
    let over = Arc::new(AtomicBool::new(false));
    let exports = {
        let (path, over, customer) = (stage.path(), Arc::clone(&over), stage.customer.clone());
        std::thread::spawn(move || {
            let store = SqliteStore::open(path).unwrap();
            let mut exports: Vec<Replica> = Vec::new();
            while !over.load(Ordering::Relaxed) {
                let export = Replica::of_export(&store, &customer);
                if exports.last().is_none_or(|last| last.position != export.position) {
                    exports.push(export);
                }
            }
            exports
        })
    };
    for round in 0..3_u64 {
        stage.endpoints[0].change(|directory| {
            for number in 1..=users {
                if number % 3 == u128::from(round) {
                    directory.set(&ScriptedDirectory::id(1000 + number), names::LAST_NAME, format!("Round{round}"));
                }
                if number % 50 == u128::from(round) && number < 5000 {
                    directory.delete(&ScriptedDirectory::id(1000 + number));
                }
            }
        });
        assert_eq!(stage.import(0).await.outcome, Outcome::Done);
    }
    over.store(true, Ordering::Relaxed);
    let exports = exports.join().unwrap();
    stage.check("imported");
    println!("{} exports, at {:?}", exports.len(), exports.iter().map(|export| export.position).collect::<Vec<_>>());
    assert!(exports.len() > 2);
    for mut export in exports {
        let at = export.position;
        let mut replayed = Replica::default();
        replayed.take(&stage.store().events(&stage.customer, 0, usize::try_from(at).unwrap()).unwrap());
        export.same_as(&replayed, "export and the events before it");
        export.follow(stage.store(), &stage.customer);
        export.same_as(&stage.live, "export and the events behind it");
    }
    assert_eq!(stage.store().records(&stage.customer, ObjectKind::Group, None, 99).unwrap().len(), 41);
}
