//! Addresses that lead to somebody else by now: each is right or reported, and nobody is merged.

use tenantry::model::{EventType, SourceId, names};

use super::{GROUP, address, alerts, by_address, id, members, of_type, told_truly, world};

#[tokio::test]
async fn two_who_swap_their_addresses_are_not_merged_and_are_reported() {
    let mut world = world(40).await;
    let before = by_address(&world);
    world.endpoint.change(|directory| {
        let (four, five) = (directory.objects[&id(4)].clone(), directory.objects[&id(5)].clone());
        for (number, mut object) in [(4, five), (5, four)] {
            object.attributes.set(names::PRIMARY_EMAIL, address(number));
            directory.objects.insert(id(number), object);
        }
    });
    let report = world.import_done().await;
    assert_eq!((report.created, report.removed, report.missing), (0, 0, 0), "{report:?}");
    let events = world.events();
    assert_eq!(alerts(&events, "address-given-on"), 1);
    let alert = of_type(&events, EventType::AlertRaised).remove(0)["message"].as_str().unwrap().to_owned();
    for number in [4, 5] {
        assert!(alert.contains(&before[&address(number)].id.to_string()), "{alert}");
    }
    assert_eq!(by_address(&world).len(), 41);
    told_truly(&world);
    assert_eq!(alerts(&world.events(), "address-given-on"), 0);
    world.import_done().await;
    assert_eq!(alerts(&world.events(), "address-given-on"), 0, "told once");
}

#[tokio::test]
async fn an_address_that_is_given_on_while_its_owner_gets_another_one_is_reported() {
    let mut world = world(40).await;
    let before = by_address(&world);
    world.endpoint.change(|directory| {
        directory.readdress(&id(4), "ann@corp.example");
        // Somebody new gets the address.
        directory.add_addressed_user(4);
        directory.set(&id(4), names::FIRST_NAME, "Somebody");
        directory.set(&id(4), names::LAST_NAME, "Else");
    });
    let report = world.import_done().await;
    assert_eq!((report.created, report.removed, report.missing), (1, 0, 0), "{report:?}");
    assert_eq!(alerts(&world.events(), "address-given-on"), 1);
    let now = by_address(&world);
    assert_ne!(now["ann@corp.example"].id, before[&address(4)].id, "nothing tells that it is she");
    told_truly(&world);
}

#[tokio::test]
async fn an_address_that_is_given_on_later_is_never_the_record_of_who_had_it() {
    for gap in [false, true] {
        let mut world = world(40).await;
        let before = by_address(&world);
        world.endpoint.change(|directory| directory.readdress(&id(4), "ann@corp.example"));
        world.import_done().await;
        if gap {
            // She is not seen any more when somebody gets the address.
            world.endpoint.change(|directory| directory.delete(&SourceId::address("ann@corp.example")));
            assert_eq!(world.import_done().await.missing, 1);
        }
        world.endpoint.change(|directory| {
            directory.add_addressed_user(4);
            directory.forwarded.remove(&id(4));
            directory.set(&id(4), names::FIRST_NAME, "Somebody");
            directory.add_member(&SourceId::address(GROUP), &id(4));
        });
        let report = world.import_done().await;
        assert_eq!((report.created, report.updated, report.missing), (1, 0, 0), "{report:?}");
        let now = by_address(&world);
        let (ann, new) = (&now["ann@corp.example"], &now[&address(4)]);
        assert_eq!(ann.id, before[&address(4)].id);
        assert_ne!(new.id, ann.id);
        assert_eq!(ann.missing_since.is_some(), gap);
        assert_eq!(new.attributes.text(&names::FIRST_NAME), Some("Somebody"));
        assert!(members(&world, now[GROUP].id).contains(&new.id));
        told_truly(&world);
        let events = world.events();
        let joined = of_type(&events, EventType::MemberAdded);
        assert_eq!(joined.last().unwrap()["member"], new.id.to_string());
        // The second one gets another address as well, and a third one the first.
        world.endpoint.change(|directory| {
            directory.readdress(&id(4), "second@corp.example");
            directory.forwarded.clear();
            directory.forwarded.insert(id(4), SourceId::address("second@corp.example"));
        });
        world.import_done().await;
        world.endpoint.change(|directory| {
            directory.forwarded.clear();
            directory.add_addressed_user(4);
        });
        assert_eq!(world.import_done().await.created, 1);
        let now = by_address(&world);
        let mut ids = vec![now["ann@corp.example"].id, now["second@corp.example"].id, now[&address(4)].id];
        assert_eq!((ids[0], ids[1]), (ann.id, new.id));
        ids.dedup();
        assert_eq!(ids.len(), 3);
        told_truly(&world);
    }
}

#[tokio::test]
async fn an_address_that_leads_to_somebody_known_under_another_one_is_missing_and_merges_nobody() {
    let mut world = world(40).await;
    let before = by_address(&world);
    // She has left, and her mail goes to a colleague.
    world.endpoint.change(|directory| {
        directory.delete(&id(4));
        directory.forwarded.insert(id(4), id(7));
    });
    let report = world.import_done().await;
    assert_eq!((report.created, report.removed, report.missing, report.updated), (0, 0, 1, 0), "{report:?}");
    let now = by_address(&world);
    assert!(now[&address(4)].missing_since.is_some());
    assert_eq!(now[&address(4)].id, before[&address(4)].id);
    assert_eq!(now[&address(7)], before[&address(7)]);
    assert_eq!(world.members_of(now[GROUP].id), 10, "her memberships are kept with her");
    told_truly(&world);
    world.events();
    let again = world.import_done().await;
    assert_eq!((again.missing, again.updated), (0, 0), "{again:?}");
}

#[tokio::test]
async fn an_address_that_leads_to_somebody_new_with_other_names_is_missing_and_reported() {
    let mut world = world(40).await;
    let before = by_address(&world);
    world.endpoint.change(|directory| {
        directory.delete(&id(4));
        let new = directory.add_addressed_user(50);
        directory.forwarded.insert(id(4), new);
    });
    let report = world.import_done().await;
    assert_eq!((report.created, report.removed, report.missing), (1, 0, 1), "{report:?}");
    let events = world.events();
    assert_eq!(alerts(&events, "address-given-on"), 1);
    let now = by_address(&world);
    assert_ne!(now[&address(50)].id, before[&address(4)].id);
    assert!(now[&address(4)].missing_since.is_some());
    told_truly(&world);
}

#[tokio::test]
async fn two_addresses_that_lead_to_one_new_person_are_both_missing() {
    let world = world(40).await;
    world.endpoint.change(|directory| {
        let new = directory.readdress(&id(4), "both@corp.example");
        directory.delete(&id(5));
        directory.forwarded.insert(id(5), new);
    });
    let report = world.import_done().await;
    assert_eq!((report.created, report.removed, report.missing), (1, 0, 2), "{report:?}");
    told_truly(&world);
}
