//! Feeds of single records beside imports that begin, and of people who are gone.

use tenantry::model::{Draft, Happening, Keep, ObjectKind, Record, RecordId, Retention};
use tenantry::testkit::ScriptedDirectory;

use super::walk_events;
use crate::world::World;

fn of(world: &World, number: u128) -> RecordId {
    let users = world.records(ObjectKind::User);
    let is_it = |user: &&Record| user.identities.iter().any(|one| one.source_id == ScriptedDirectory::id(number));
    users.values().find(is_it).unwrap().id
}

#[tokio::test]
async fn a_page_of_one_record_costs_no_more_the_more_happens_to_others() {
    let world = World::new(World::directory(5)).await;
    world.import_done().await;
    let (directory, customer) = (world.service.directory(), world.customer.clone());
    let one = of(&world, 1);
    let first = walk_events(&directory, &customer, Some(one), 10).await;
    assert_eq!(first.len(), 2, "it came, and joined a group");
    for number in 0..30 {
        directory.add(&customer, &Draft::user(&format!("p{number}@corp.example"))).await.unwrap();
    }
    let again = walk_events(&directory, &customer, Some(one), 10).await;
    let ids = |entries: &[Happening]| {
        let id = |entry: &Happening| match entry {
            Happening::Event(event) => event.id.clone(),
            Happening::Action(_) => String::new(),
        };
        entries.iter().map(id).collect::<Vec<_>>()
    };
    assert_eq!(ids(&again), ids(&first));
}

#[tokio::test]
async fn what_is_no_longer_kept_is_not_told_and_ends_the_feed() {
    let world = World::new(World::directory(5)).await;
    let service = world.service.clone().with_retention(Retention { events: Keep::Last(4), ..Retention::default() });
    world.import_done().await;
    let (directory, customer) = (world.service.directory(), world.customer.clone());
    for number in 0..10 {
        directory.add(&customer, &Draft::user(&format!("p{number}@corp.example"))).await.unwrap();
    }
    let one = of(&world, 1);
    assert_eq!(walk_events(&directory, &customer, Some(one), 3).await.len(), 2);
    service.apply_retention(&customer).await.unwrap();
    assert_eq!(walk_events(&directory, &customer, None, 3).await.len(), 4);
    assert_eq!(walk_events(&directory, &customer, Some(one), 3).await.len(), 0);
}

#[tokio::test]
async fn who_was_erased_has_a_feed_without_a_word_of_who_it_was() {
    let world = World::new(World::directory(5)).await;
    world.import_done().await;
    let (directory, customer) = (world.service.directory(), world.customer.clone());
    let one = of(&world, 1);
    assert_eq!(walk_events(&directory, &customer, Some(one), 3).await.len(), 2);
    world.service.erase(&customer, &[one]).await.unwrap();
    for entry in walk_events(&directory, &customer, Some(one), 3).await {
        let Happening::Event(event) = entry else { panic!("{entry:?}") };
        assert!(!event.data.get().contains("user1@"), "{}", event.data.get());
    }
}
