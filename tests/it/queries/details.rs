//! One person in full, and why an attribute has its value.

use std::collections::BTreeSet;
use std::sync::Arc;

use tenantry::model::{
    AttributeName, CustomerId, EndpointName, Keep, Nesting, ObjectKind, Outcome, RecordId, Retention, Timestamp,
    ValueOwner, names,
};
use tenantry::testkit::{Lie, ScriptedDirectory, ScriptedEndpoint};
use tenantry::{Customer, Endpoint, Service, SqliteStore};

use crate::world::World;

fn id_of(world: &World, kind: ObjectKind, number: u128) -> RecordId {
    let endpoint = EndpointName::new("ad").unwrap();
    RecordId::founded_by(&world.customer, &endpoint, kind, &ScriptedDirectory::id(number).key())
}

fn directory() -> ScriptedDirectory {
    let mut directory = World::directory(12);
    // 1 is in 1_000_000, which is in 3, which is in 4, which is in 3 again; 5 is another one.
    let groups: Vec<_> = (3..=5).map(|number| directory.add_group(1_000_000 + number)).collect();
    directory.add_member(&groups[0], &ScriptedDirectory::id(1_000_000));
    directory.add_member(&groups[1], &groups[0]);
    directory.add_member(&groups[0], &groups[1]);
    for number in [2_000_000, 2_000_001] {
        directory.set(&ScriptedDirectory::id(number), names::OWNER, ScriptedDirectory::id(1).to_string());
    }
    directory
}

#[tokio::test]
async fn groups_computers_identities_last_import_and_last_error_come_in_one_call() {
    let world = World::new(directory()).await;
    let report = world.import_done().await;
    world.endpoint.lie([Lie::FailsAfter(1)]);
    let failed = world.import().await;
    assert_eq!(failed.outcome, Outcome::Failed);
    world.endpoint.lie([]);

    let person = id_of(&world, ObjectKind::User, 1);
    let details = world.service.directory().details(&world.customer, person).await.unwrap().unwrap();
    assert_eq!(details.record.id, person);
    let groups: BTreeSet<_> = details
        .groups
        .iter()
        .map(|one| (one.group.attributes.text(&names::NAME).unwrap().to_owned(), one.nesting))
        .collect();
    let wanted = [
        ("Group 1000000", Nesting::Direct),
        ("Group 1000003", Nesting::Nested),
        ("Group 1000004", Nesting::Nested),
        ("ad", Nesting::Direct),
    ];
    assert_eq!(groups, wanted.map(|(name, nesting)| (name.to_owned(), nesting)).into());
    let computers: BTreeSet<_> = details.computers.iter().map(|computer| computer.id).collect();
    let owned = [2_000_000, 2_000_001].map(|number| id_of(&world, ObjectKind::Computer, number));
    assert_eq!(computers, owned.into());
    let [source] = details.sources.as_slice() else { panic!("{:?}", details.sources) };
    assert_eq!(source.source_id, ScriptedDirectory::id(1));
    assert_eq!(source.last_import.as_ref().map(|end| end.run), Some(report.run));
    let error = source.last_error.as_ref().unwrap();
    assert_eq!((error.run, &error.error), (failed.run, &failed.error));
    assert_eq!(source.quarantined, None);
    assert_eq!(details.members, None);
    assert_eq!(details.position, world.store().last_position(&world.customer).unwrap());

    let group = id_of(&world, ObjectKind::Group, 1_000_000);
    let group = world.service.directory().details(&world.customer, group).await.unwrap().unwrap();
    assert_eq!(group.members, Some((10, 10)));
    assert_eq!(group.groups.len(), 2);
    let own = RecordId::of_endpoint_group(&world.customer, &world.endpoint.info().name);
    let own = world.service.directory().details(&world.customer, own).await.unwrap().unwrap();
    assert_eq!(own.members, Some((12, 12)));
    let nobody = RecordId(uuid::Uuid::from_u128(77));
    assert_eq!(world.service.directory().details(&world.customer, nobody).await.unwrap(), None);
}

#[tokio::test]
async fn a_record_that_is_set_aside_says_since_when_and_why() {
    let world = World::new(directory()).await;
    world.import_done().await;
    world.endpoint.change(|directory| {
        directory.objects.get_mut(&ScriptedDirectory::id(1)).unwrap().unintelligible = true;
    });
    world.import_done().await;
    let person = id_of(&world, ObjectKind::User, 1);
    let details = world.service.directory().details(&world.customer, person).await.unwrap().unwrap();
    assert!(details.sources[0].quarantined.as_ref().is_some_and(|(_, reason)| !reason.is_empty()), "{details:?}");
}

#[tokio::test]
async fn an_attribute_is_explained_by_value_owner_time_and_run() {
    let world = World::new(directory()).await;
    let first = world.import_done().await;
    let created = Timestamp(first.finished_at.0);
    world.clock.advance(std::time::Duration::from_hours(1));
    world.endpoint.change(|directory| directory.set(&ScriptedDirectory::id(1), names::LAST_NAME, "Renamed"));
    let second = world.import_done().await;

    let person = id_of(&world, ObjectKind::User, 1);
    let directory = world.service.directory();
    let explain = |name: AttributeName| {
        let (directory, customer) = (directory.clone(), world.customer.clone());
        async move { directory.explain(&customer, person, &name).await.unwrap().unwrap() }
    };
    let ad = ValueOwner::Endpoint(world.endpoint.info().name.clone());
    let renamed = explain(names::LAST_NAME).await;
    assert_eq!((renamed.value, &renamed.owner), (Some("Renamed".into()), &ad));
    let changed = renamed.changed.unwrap();
    assert_eq!((changed.run, changed.previous), (Some(second.run), Some("Last1".into())));
    assert!(changed.at > created);
    let event = world.store().events(&world.customer, changed.position - 1, 1).unwrap().swap_remove(0);
    assert_eq!(event.subject, person.to_string());
    assert!(event.data.get().contains("Renamed"));

    let kept = explain(names::FIRST_NAME).await;
    assert_eq!((kept.value, kept.owner, kept.changed.unwrap().run), (Some("First1".into()), ad, Some(first.run)));
    let unknown = explain(names::MFA).await;
    assert_eq!((unknown.value, unknown.owner, unknown.changed), (None, ValueOwner::Nobody, None));
    assert!(unknown.all_kept, "it was never known");
    assert_eq!(explain(AttributeName::fixed("archived")).await.owner, ValueOwner::Local);
}

#[tokio::test]
async fn what_was_never_known_is_told_from_what_changed_too_long_ago() {
    let world = World::new(directory()).await;
    world.import_done().await;
    let person = id_of(&world, ObjectKind::User, 1);
    let directory = world.service.directory();
    for (name, dropped) in [(names::MFA, false), (names::FIRST_NAME, true), (names::MFA, true)] {
        if dropped {
            let retention = Retention { events: Keep::Last(0), ..Retention::default() };
            let service = world.service.clone().with_retention(retention);
            service.apply_retention(&world.customer).await.unwrap();
        }
        let told = directory.explain(&world.customer, person, &name).await.unwrap().unwrap();
        assert_eq!((told.changed, told.all_kept), (None, !dropped), "{name} {dropped}");
    }
}

#[tokio::test]
async fn a_customer_is_told_nothing_of_another_ones_records() {
    let world = World::new(directory()).await;
    world.import_done().await;
    let other = CustomerId::new("c2").unwrap();
    let endpoint = ScriptedEndpoint::new("ad", World::directory(3), 5).unwrap();
    let endpoints = vec![Arc::new(endpoint) as Arc<dyn Endpoint>];
    world.service.register(Customer::new(other.clone()), endpoints).await.unwrap();
    let person = id_of(&world, ObjectKind::User, 1);
    assert_eq!(world.service.directory().details(&other, person).await.unwrap(), None);
    assert_eq!(world.service.directory().explain(&other, person, &names::STATE).await.unwrap(), None);
    let fresh = Service::new(Arc::new(SqliteStore::open(world.folder.path().join("state.db")).unwrap()));
    assert!(fresh.directory().details(&world.customer, person).await.unwrap().is_some());
}
