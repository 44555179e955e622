//! Consumers and their positions; an import seen from outside: progress, cancel, history.

use std::sync::Arc;

use tenantry::model::{CustomerId, EventType, ObjectKind, Outcome, Phase};
use tenantry::testkit::{Lie, ScriptedDirectory, ScriptedEndpoint};
use tenantry::{Customer, Endpoint, ImportOptions, Service, SqliteStore};

use crate::world::World;

#[tokio::test]
async fn a_consumer_goes_on_where_it_acknowledged_also_in_another_process() {
    let world = World::new(World::directory(20)).await;
    world.import_done().await;
    let consumer = world.service.consumer(&world.customer, "mail");
    let first = consumer.next(7).await.unwrap();
    assert_eq!(first.len(), 7);
    // Not acknowledged: they come again.
    let again = consumer.next(7).await.unwrap();
    assert_eq!(first.iter().map(|e| &e.id).collect::<Vec<_>>(), again.iter().map(|e| &e.id).collect::<Vec<_>>());
    consumer.acknowledge(&first[4]).await.unwrap();

    let store = SqliteStore::open(world.folder.path().join("state.db")).unwrap();
    let other = Service::new(std::sync::Arc::new(store));
    let consumer = other.consumer(&world.customer, "mail");
    let next = consumer.next(3).await.unwrap();
    assert_eq!(next.iter().map(tenantry::model::Event::position).collect::<Vec<_>>(), [6, 7, 8]);
}

#[tokio::test]
async fn a_position_never_goes_back_and_consumers_know_nothing_of_each_other() {
    let world = World::new(World::directory(20)).await;
    world.import_done().await;
    let (one, two) = (world.service.consumer(&world.customer, "one"), world.service.consumer(&world.customer, "two"));
    let events = one.next(100).await.unwrap();
    one.acknowledge(&events[9]).await.unwrap();
    one.acknowledge(&events[3]).await.unwrap();
    assert_eq!((one.position().await.unwrap(), two.position().await.unwrap()), (10, 0));
    assert_eq!(two.next(1).await.unwrap()[0].position(), 1);
    two.acknowledge(&events[0]).await.unwrap();
    assert_eq!((one.position().await.unwrap(), two.position().await.unwrap()), (10, 1));
}

#[tokio::test]
async fn a_consumer_who_reads_in_small_steps_sees_every_event_once_and_in_order() {
    let mut world = World::new(World::directory(40)).await;
    world.import_done().await;
    world.endpoint.change(|directory| directory.delete(&ScriptedDirectory::id(4)));
    world.import_done().await;
    let all: Vec<String> = world.events().iter().map(|event| event.id.clone()).collect();
    let consumer = world.service.consumer(&world.customer, "slow");
    let mut seen = Vec::new();
    loop {
        let next = consumer.next(3).await.unwrap();
        let Some(last) = next.last() else { break };
        seen.extend(next.iter().map(|event| event.id.clone()));
        consumer.acknowledge(last).await.unwrap();
    }
    assert_eq!(seen, all);
}

#[tokio::test]
async fn phases_are_shown_in_their_order_and_the_history_has_every_run() {
    let world = World::new(World::directory(40)).await;
    world.import_done().await;
    world.endpoint.change(|directory| directory.delete(&ScriptedDirectory::id(4)));
    let mut run =
        world.service.start(&world.customer, &world.endpoint.info().name, ImportOptions::default()).await.unwrap();
    assert!(!run.is_finished(), "it has hardly begun");
    let mut phases = vec![run.status().phase];
    let mut pages = 0;
    while let Some(progress) = run.progressed().await {
        assert!(progress.pages >= pages, "pages go up");
        pages = progress.pages;
        if phases.last() != Some(&progress.phase) {
            phases.push(progress.phase);
        }
    }
    let order = [Phase::Starting, Phase::Listing, Phase::Planning, Phase::Confirming, Phase::Applying, Phase::Finished];
    let mut places = phases.iter().map(|phase| order.iter().position(|other| other == phase).unwrap());
    let mut last = places.next().unwrap();
    for place in places {
        assert!(place > last, "{phases:?}");
        last = place;
    }
    assert_eq!(phases.last(), Some(&Phase::Finished));
    let report = run.wait().await.unwrap();
    world.endpoint.lie([Lie::FailsAfter(1)]);
    world.import().await;
    let history = world.service.history(&world.customer, 10).await.unwrap();
    assert_eq!(
        history.iter().map(|run| run.outcome).collect::<Vec<_>>(),
        [Outcome::Failed, Outcome::Done, Outcome::Done]
    );
    assert_eq!(history[1], report);
}

#[tokio::test]
async fn a_cancelled_listing_leaves_a_checkpoint_and_the_next_run_goes_on_from_there() {
    let mut world = World::new(World::directory(100)).await;
    world.endpoint.lie([Lie::CancelsAfter(9)]);
    let cancelled = world.import().await;
    assert_eq!((cancelled.outcome, cancelled.created), (Outcome::Cancelled, 0));
    assert!(world.events().iter().all(|event| event.event_type == EventType::ImportFinished));
    world.endpoint.lie([]);
    let before = world.endpoint.pages();
    let report = world.import_done().await;
    assert_eq!(report.created, 105);
    let whole = 105_usize.div_ceil(7) + 1;
    let listed = world.endpoint.pages() - before;
    assert!(listed <= whole - 6, "{listed} of {whole} pages were listed again");
    assert_eq!(world.records(ObjectKind::User).len(), 100);
    assert_ne!(report.run, cancelled.run);
}

#[tokio::test]
async fn a_run_whose_handle_is_dropped_goes_on() {
    let world = World::new(World::directory(60)).await;
    let name = &world.endpoint.info().name;
    drop(world.service.start(&world.customer, name, ImportOptions::default()).await.unwrap());
    while world.service.history(&world.customer, 1).await.unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.records(ObjectKind::User).len(), 60);
}

#[tokio::test]
async fn several_customers_are_imported_at_once_and_one_endpoint_once_at_a_time() {
    let folder = crate::world::folder();
    let service = Service::new(Arc::new(SqliteStore::open(folder.path().join("state.db")).unwrap()));
    let mut handles = Vec::new();
    for number in 1..=3_u128 {
        let customer = CustomerId::new(format!("c{number}")).unwrap();
        // So many pages that the first is not through before the last has begun.
        let endpoint = ScriptedEndpoint::new("ad", World::directory(2000 + number), 7).unwrap();
        let name = endpoint.info().name.clone();
        service.register(Customer::new(customer.clone()), vec![Arc::new(endpoint) as Arc<dyn Endpoint>]).await.unwrap();
        let handle = service.start(&customer, &name, ImportOptions::default()).await.unwrap();
        let again = service.start(&customer, &name, ImportOptions::default()).await.unwrap_err();
        assert_eq!(*again.kind(), tenantry::ErrorKind::Conflict);
        handles.push((customer, number, handle));
    }
    assert!(handles.iter().all(|(.., handle)| !handle.is_finished()), "all of them are under way");
    for (customer, number, handle) in handles {
        assert_eq!(handle.wait().await.unwrap().outcome, Outcome::Done);
        assert_eq!(u128::from(service.totals(&customer).await.unwrap().users), 2000 + number);
    }
}
