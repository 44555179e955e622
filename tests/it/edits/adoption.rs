//! An endpoint that brings somebody who was added by hand adopts the record; who is not the same person is a conflict.

use tenantry::model::{
    AttributeName, ConflictReason, Draft, Edit, EventType, HandOver, ObjectKind, Outcome, RecordId, Shelf,
    TombstoneKind, Value, names,
};
use tenantry::testkit::ScriptedDirectory;
use tenantry::{Directory, ErrorKind};

use super::locks::{record, user_of};
use crate::operations::{Stage, name};
use crate::world::count;

/// Two endpoints that are still to be imported.
async fn empty() -> (Stage, Directory) {
    let stage = Stage::small().await;
    stage.endpoints[0].change(|directory| directory.tombstones_readable = true);
    let directory = stage.service.directory();
    (stage, directory)
}

/// Whom the endpoint will bring as its third user.
fn ann() -> Draft {
    Draft::user("USER3@corp.example").set(names::FIRST_NAME, " first3 ").set(names::LAST_NAME, "LAST3")
}

#[tokio::test]
async fn the_same_person_is_adopted_and_locked_and_keeps_id_tags_and_what_is_yielded() {
    let (mut stage, directory) = empty().await;
    let customer = stage.customer.clone();
    directory.set_yielded(&customer, &name("ad"), [names::DISPLAY_NAME]).await.unwrap();
    let floor = AttributeName::extra("floor");
    let draft =
        ann().set(names::DISPLAY_NAME, "Annie").set(names::USERNAME, "own").set(floor.clone(), "3").tagged(["boss"]);
    let by_hand = directory.add(&customer, &draft).await.unwrap();
    let board = directory.add(&customer, &Draft::group("Board")).await.unwrap();
    directory.add_members(&customer, board.id, &[by_hand.id]).await.unwrap();
    directory.shelve(&customer, by_hand.id, Shelf::Archived).await.unwrap();
    stage.check("added by hand");
    let before = stage.store().last_position(&customer).unwrap();
    stage.endpoints[0].change(|directory| {
        directory.set(&ScriptedDirectory::id(3), names::DISPLAY_NAME, "Ann (remote)");
        let owner = ScriptedDirectory::id(3).to_string();
        directory.set(&ScriptedDirectory::id(2_000_001), names::OWNER, owner);
    });
    stage.import_all().await;
    stage.check("adopted");
    let events = stage.events(before);
    let theirs: Vec<_> = events.iter().filter(|event| event.subject == by_hand.id.to_string()).collect();
    assert_eq!(theirs.len(), 1, "one event");
    assert_eq!(theirs[0].source, "/customers/c1/endpoints/ad");
    let data = theirs[0].data_value();
    assert_eq!(data["previous"]["username"], "own");
    assert_eq!(data["previous"]["lock"], serde_json::Value::Null);
    assert_eq!(record(&stage, user_of(&stage, 3)).map(|record| record.id), Some(by_hand.id), "no second record");
    let adopted = record(&stage, by_hand.id).unwrap();
    assert_eq!(adopted.lock.as_ref().unwrap().endpoint, name("ad"));
    assert_eq!(adopted.attributes.text(&names::DISPLAY_NAME), Some("Annie"), "yielded");
    assert_eq!(adopted.attributes.text(&names::USERNAME), Some("user3"), "the owner's");
    assert_eq!(adopted.attributes.text(&floor), Some("3"), "purely local");
    assert_eq!(adopted.attributes.get(&names::TAGS), Some(&Value::list(["boss"])));
    assert!(adopted.archived);
    assert_eq!(stage.store().totals(&customer).unwrap().users, 28);
    assert!(stage.store().groups_of(&customer, by_hand.id).unwrap().contains(&board.id));
    let computers = stage.store().records(&customer, tenantry::model::ObjectKind::Computer, None, 9).unwrap();
    assert!(
        computers.iter().any(|computer| computer.owner.as_ref().is_some_and(|owner| owner.id == by_hand.id)),
        "{computers:?}"
    );
    let refused = directory.edit(&customer, by_hand.id, &Edit::new().set(names::USERNAME, "x")).await.unwrap_err();
    assert_eq!(*refused.kind(), ErrorKind::Locked);

    // Members of the endpoint's groups lead to the adopted record.
    let members = events.iter().filter(|event| event.event_type == EventType::MemberAdded);
    assert_eq!(members.filter(|event| event.data_value()["member"] == by_hand.id.to_string()).count(), 1);
    assert_eq!(stage.import(0).await.updated, 0, "nothing changes the second time");
    stage.endpoints[0].change(|directory| {
        directory.set(&ScriptedDirectory::id(2_000_001), names::OWNER, Value::Empty);
    });
    stage.endpoints[0].change(|directory| directory.delete_as(&ScriptedDirectory::id(3), TombstoneKind::Soft));
    stage.import_all().await;
    stage.check("gone");
    assert_eq!(record(&stage, by_hand.id), None);
    stage.endpoints[0].change(|directory| directory.restore(&ScriptedDirectory::id(3)));
    stage.import_all().await;
    stage.check("back");
    assert_eq!(record(&stage, by_hand.id).unwrap(), adopted);
    // Handed over and imported anew, also under another name: it is still the same record.
    stage.service.remove_endpoint(&customer, &name("ad"), HandOver::Unlocked).await.unwrap();
    stage.check("handed over");
    stage.endpoints[0].change(|directory| directory.set(&ScriptedDirectory::id(3), names::LAST_NAME, "Married"));
    stage.register().await;
    stage.import_all().await;
    stage.check("owned again");
    assert_eq!(record(&stage, by_hand.id).unwrap().attributes.text(&names::LAST_NAME), Some("Married"));
}

#[tokio::test]
async fn an_address_without_the_names_and_two_candidates_are_conflicts_and_never_merged() {
    let (mut stage, directory) = empty().await;
    let customer = stage.customer.clone();
    let other = directory.add(&customer, &ann().set(names::FIRST_NAME, "Zoe")).await.unwrap();
    let bare = directory.add(&customer, &Draft::user("user4@corp.example")).await.unwrap();
    let alias = directory.add(&customer, &Draft::user("info@corp.example")).await.unwrap();
    stage.endpoints[0].change(|directory| {
        directory.set(&ScriptedDirectory::id(6), names::ALIASES, Value::list(["Info@corp.example"]));
    });
    // Two of one natural key: an endpoint brought the second under another name, and left it behind.
    let five = Draft::user("user5@corp.example").set(names::FIRST_NAME, "First5").set(names::LAST_NAME, "Last5");
    let one = directory.add(&customer, &five).await.unwrap();
    stage.endpoints[1].change(|cloud| {
        cloud.set(&ScriptedDirectory::id(501), names::PRIMARY_EMAIL, "user5@corp.example");
    });
    stage.import(1).await;
    let two = RecordId::founded_by(&customer, &name("cloud"), ObjectKind::User, &ScriptedDirectory::id(501).key());
    stage.service.remove_endpoint(&customer, &name("cloud"), HandOver::Unlocked).await.unwrap();
    stage.endpoints[1].change(|cloud| cloud.delete_as(&ScriptedDirectory::id(501), TombstoneKind::Soft));
    stage.register().await;
    let renamed = Edit::new().set(names::FIRST_NAME, "First5").set(names::LAST_NAME, "Last5");
    let two = directory.edit(&customer, two, &renamed).await.unwrap();
    let before = stage.store().last_position(&customer).unwrap();
    stage.import_all().await;
    stage.check("imported");
    let events = stage.events(before);
    assert_eq!(count(&events, EventType::ConflictFound), 4);
    let conflicts = directory.conflicts(&customer).await.unwrap();
    let mut found: Vec<_> =
        conflicts.iter().map(|conflict| (conflict.record, conflict.reason, conflict.others.clone())).collect();
    found.sort_unstable_by_key(|(record, ..)| *record);
    let both = |a: RecordId, b: RecordId| if a < b { vec![a, b] } else { vec![b, a] };
    let mut expected = vec![
        (two.id, ConflictReason::AddressWithOtherNames, vec![one.id]),
        (user_of(&stage, 3), ConflictReason::AddressWithOtherNames, vec![other.id]),
        (user_of(&stage, 4), ConflictReason::AddressWithOtherNames, vec![bare.id]),
        (user_of(&stage, 5), ConflictReason::SeveralCandidates, both(one.id, two.id)),
        (user_of(&stage, 6), ConflictReason::SecondaryAddress, vec![alias.id]),
    ];
    expected.sort_unstable_by_key(|(record, ..)| *record);
    for (_, _, others) in &mut found {
        others.sort_unstable();
    }
    assert_eq!(found, expected);
    for by_hand in [other.id, bare.id, alias.id, one.id, two.id] {
        assert_eq!(record(&stage, by_hand).unwrap().lock, None);
    }
    assert_eq!(stage.store().totals(&customer).unwrap().users, 32);
    // Told once; and over when one side is gone.
    let before = stage.store().last_position(&customer).unwrap();
    stage.import_all().await;
    assert_eq!(count(&stage.events(before), EventType::ConflictFound), 0);
    directory.remove(&customer, other.id).await.unwrap();
    assert_eq!(directory.conflicts(&customer).await.unwrap().len(), 4);
    stage.check("one is removed");
}

#[tokio::test]
async fn one_endpoint_adopts_the_next_one_joins_and_who_was_removed_by_hand_is_not_adopted() {
    let (mut stage, directory) = empty().await;
    let customer = stage.customer.clone();
    stage.endpoints[1].change(|cloud| {
        cloud.set(&ScriptedDirectory::id(501), names::PRIMARY_EMAIL, "user3@corp.example");
        cloud.set(&ScriptedDirectory::id(501), names::FIRST_NAME, "First3");
        cloud.set(&ScriptedDirectory::id(501), names::LAST_NAME, "Last3");
    });
    let by_hand = directory.add(&customer, &ann()).await.unwrap();
    let gone = Draft::user("user4@corp.example").set(names::FIRST_NAME, "First4").set(names::LAST_NAME, "Last4");
    let gone = directory.add(&customer, &gone).await.unwrap();
    directory.remove(&customer, gone.id).await.unwrap();
    stage.import_all().await;
    stage.check("imported");
    let adopted = record(&stage, by_hand.id).unwrap();
    assert_eq!((adopted.identities.len(), adopted.lock.unwrap().endpoint), (2, name("ad")));
    assert_eq!(record(&stage, gone.id), None);
    assert_eq!(stage.store().totals(&customer).unwrap().users, 27);
}

#[tokio::test]
async fn an_edit_by_hand_decides_who_is_adopted_later() {
    let (mut stage, directory) = empty().await;
    let customer = stage.customer.clone();
    let by_hand = directory.add(&customer, &ann().set(names::LAST_NAME, "Other")).await.unwrap();
    directory.edit(&customer, by_hand.id, &Edit::new().set(names::LAST_NAME, "Last3")).await.unwrap();
    stage.import_all().await;
    stage.check("adopted");
    assert!(record(&stage, by_hand.id).unwrap().lock.is_some());
}

#[tokio::test]
async fn an_import_of_a_customer_without_people_added_by_hand_looks_for_nobody() {
    let hidden = "ALTER TABLE natural_keys RENAME COLUMN names TO hidden";
    for by_hand in [false, true] {
        let (stage, directory) = empty().await;
        directory.add(&stage.customer, &Draft::group("Board")).await.unwrap();
        if by_hand {
            directory.add(&stage.customer, &ann()).await.unwrap();
        }
        // Whoever looks for a single person now fails.
        rusqlite::Connection::open(stage.path()).unwrap().execute_batch(hidden).unwrap();
        let expected = if by_hand { Outcome::Failed } else { Outcome::Done };
        assert_eq!(stage.import(0).await.outcome, expected);
    }
}

#[tokio::test]
async fn who_was_adopted_can_be_erased_and_comes_back_as_the_object_alone() {
    let (mut stage, directory) = empty().await;
    let customer = stage.customer.clone();
    let by_hand = directory.add(&customer, &ann().tagged(["quilltag"])).await.unwrap();
    let board = directory.add(&customer, &Draft::group("Board")).await.unwrap();
    directory.add_members(&customer, board.id, &[by_hand.id]).await.unwrap();
    stage.import_all().await;
    stage.check("adopted");
    stage.service.erase(&customer, &[by_hand.id]).await.unwrap();
    stage.check("erased");
    let found = crate::operations::found_in(stage.folder.path(), &["quilltag"]);
    assert!(found.is_empty(), "{found:?}");
    stage.import_all().await;
    stage.check("imported again");
    let again = record(&stage, user_of(&stage, 3)).unwrap();
    assert_eq!((again.id, again.attributes.get(&names::TAGS)), (user_of(&stage, 3), None));
}

#[tokio::test]
async fn who_was_handed_over_is_adopted_by_another_endpoint_and_found_again_by_the_first() {
    let (mut stage, directory) = empty().await;
    let customer = stage.customer.clone();
    stage.import_all().await;
    let three = user_of(&stage, 3);
    stage.service.remove_endpoint(&customer, &name("ad"), HandOver::Unlocked).await.unwrap();
    stage.endpoints[1].change(|cloud| {
        cloud.add_user(3, "cloud");
        cloud.set(&ScriptedDirectory::id(3), names::DISPLAY_NAME, "From the cloud");
    });
    assert_eq!(stage.import(1).await.created, 1);
    stage.check("adopted by the other");
    assert_eq!(record(&stage, three).unwrap().lock.unwrap().endpoint, name("cloud"));
    stage.register().await;
    stage.import_all().await;
    stage.check("seen by both");
    let both = record(&stage, three).unwrap();
    assert_eq!(both.identities.len(), 2);
    // Both leave, one by one; then a local editor removes it.
    stage.endpoints[0].change(|directory| directory.delete_as(&ScriptedDirectory::id(3), TombstoneKind::Soft));
    stage.import_all().await;
    stage.check("gone from the first");
    stage.service.remove_endpoint(&customer, &name("cloud"), HandOver::Unlocked).await.unwrap();
    stage.check("handed over by the second");
    assert_eq!(record(&stage, three).unwrap().lock, None);
    directory.set_tags(&customer, three, ["x"]).await.unwrap();
    directory.remove(&customer, three).await.unwrap();
    stage.check("removed by hand");
    stage.endpoints[0].change(|directory| directory.restore(&ScriptedDirectory::id(3)));
    stage.import(0).await;
    stage.check("back at the first");
    let back = record(&stage, three).unwrap();
    assert_eq!((back.lock.unwrap().endpoint, back.attributes.get(&names::TAGS)), (name("ad"), None));
}
