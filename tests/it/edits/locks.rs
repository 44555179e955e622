//! What an endpoint owns nobody else changes; what it yields, and what is purely local, is never lost.

use tenantry::model::{
    AttributeName, Draft, Edit, EventType, HandOver, ObjectKind, Record, RecordId, Shelf, TombstoneKind, Value, names,
};
use tenantry::testkit::ScriptedDirectory;
use tenantry::{Directory, ErrorKind};

use crate::operations::{Stage, name};
use crate::world::count;

pub(super) fn user_of(stage: &Stage, number: u128) -> RecordId {
    let key = ScriptedDirectory::id(number).key();
    RecordId::founded_by(&stage.customer, &name("ad"), ObjectKind::User, &key)
}

pub(super) fn record(stage: &Stage, id: RecordId) -> Option<Record> {
    stage.store().record(&stage.customer, id).unwrap()
}

pub(super) async fn imported() -> (Stage, Directory) {
    let mut stage = Stage::small().await;
    stage.endpoints[0].change(|directory| directory.tombstones_readable = true);
    stage.import_all().await;
    stage.check("imported");
    let directory = stage.service.directory();
    (stage, directory)
}

#[tokio::test]
async fn an_edit_of_what_an_endpoint_owns_is_refused_with_owner_attribute_and_remedy() {
    let (stage, directory) = imported().await;
    let ann = user_of(&stage, 3);
    let before = stage.store().last_position(&stage.customer).unwrap();
    let edit = Edit::new().set(names::LAST_NAME, "Local").set(AttributeName::extra("floor"), "3");
    let refused = directory.edit(&stage.customer, ann, &edit).await.unwrap_err();
    assert_eq!(*refused.kind(), ErrorKind::Locked);
    assert_eq!((refused.context("owner"), refused.context("attribute")), (Some("ad"), Some("last_name")));
    assert!(refused.message().contains("change it there, or have the endpoint yield it"), "{refused}");
    assert_eq!(stage.store().last_position(&stage.customer).unwrap(), before, "all of it or nothing");
    assert_eq!(record(&stage, ann).unwrap().attributes.get(&AttributeName::extra("floor")), None);

    let asked = [names::LAST_NAME, AttributeName::extra("floor"), names::MFA];
    let refused = directory.check_edit(&stage.customer, ann, &asked).await.unwrap();
    let refused: Vec<_> = refused.iter().map(|refusal| refusal.attribute.as_str()).collect();
    assert_eq!(refused, ["last_name", "mfa"]);
    let edit = Edit::new().set(names::STATE, "suspended");
    let refused = directory.edit(&stage.customer, ann, &edit).await.unwrap_err();
    assert_eq!((refused.kind(), refused.context("owner")), (&ErrorKind::Locked, Some("ad")));
    assert!(refused.message().ends_with("suspend or resume the account"), "{refused}");
    assert_eq!(*directory.remove(&stage.customer, ann).await.unwrap_err().kind(), ErrorKind::Locked);
    let nobody = directory.edit(&stage.customer, RecordId::random(), &edit).await.unwrap_err();
    assert_eq!(*nobody.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn the_group_that_stands_for_an_endpoint_is_locked_by_it() {
    let (stage, directory) = imported().await;
    let own = RecordId::of_endpoint_group(&stage.customer, &name("ad"));
    let refused = directory.check_edit(&stage.customer, own, &[names::NAME]).await.unwrap();
    assert_eq!(refused[0].owner, Some(name("ad")));
    let refused = directory.edit(&stage.customer, own, &Edit::new().set(names::NAME, "X")).await.unwrap_err();
    assert_eq!((refused.kind(), refused.context("owner")), (&ErrorKind::Locked, Some("ad")));
    let refused = directory.add_members(&stage.customer, own, &[user_of(&stage, 3)]).await.unwrap_err();
    assert_eq!(*refused.kind(), ErrorKind::Locked);
}

#[tokio::test]
async fn a_local_edit_is_one_event_of_the_customer_with_changed_and_previous() {
    let (mut stage, directory) = imported().await;
    let ann = user_of(&stage, 3);
    let floor = AttributeName::extra("floor");
    directory.edit(&stage.customer, ann, &Edit::new().set(floor.clone(), "3")).await.unwrap();
    let before = stage.store().last_position(&stage.customer).unwrap();
    let edited = directory.edit(&stage.customer, ann, &Edit::new().set(floor.clone(), "4")).await.unwrap();
    assert_eq!(edited.attributes.text(&floor), Some("4"));
    let events = stage.events(before);
    assert_eq!(events.len(), 1);
    assert_eq!((events[0].source.as_str(), events[0].event_type), ("/customers/c1", EventType::UserUpserted));
    assert_eq!(events[0].subject, ann.to_string());
    let data = events[0].data_value();
    assert_eq!(data["changed"], serde_json::json!(["attributes.floor"]));
    assert_eq!(data["previous"], serde_json::json!({ "attributes.floor": "3" }));
    assert_eq!((&data["run"], &data["record"]["attributes"]["floor"]), (&serde_json::Value::Null, &"4".into()));
    assert_eq!(record(&stage, ann).unwrap(), edited);
    // The same once more changes nothing, and tells nothing.
    directory.edit(&stage.customer, ann, &Edit::new().set(floor.clone(), "4")).await.unwrap();
    assert_eq!(stage.events(before).len(), 1);
    assert_eq!(stage.events(before)[0].id, events[0].id);
    directory.edit(&stage.customer, ann, &Edit::new().withdraw(floor.clone())).await.unwrap();
    assert_eq!(record(&stage, ann).unwrap().attributes.get(&floor), None);
    stage.check("edited");
}

#[tokio::test]
async fn yielded_and_local_values_survive_imports_and_the_records_going_and_coming_back() {
    let (mut stage, directory) = imported().await;
    let (customer, ann, floor) = (stage.customer.clone(), user_of(&stage, 3), AttributeName::extra("floor"));
    let changed = directory.set_yielded(&customer, &name("ad"), [names::FIRST_NAME]).await.unwrap();
    assert_eq!(changed, 25, "every record of the endpoint shows it");
    stage.check("yielded");
    assert_eq!(directory.set_yielded(&customer, &name("ad"), [names::FIRST_NAME]).await.unwrap(), 0);
    assert_eq!(record(&stage, ann).unwrap().lock.unwrap().yielded, ["first_name"]);

    let edit = Edit::new().set(names::FIRST_NAME, "Annie").set(floor.clone(), "3");
    directory.edit(&customer, ann, &edit).await.unwrap();
    directory.set_tags(&customer, ann, ["admin", "registered"]).await.unwrap();
    directory.shelve(&customer, ann, Shelf::Archived).await.unwrap();
    stage.check("edited");
    let kept = |stage: &Stage, what: &str| {
        let ann = record(stage, ann).expect(what);
        assert_eq!(ann.attributes.text(&names::FIRST_NAME), Some("Annie"), "{what}");
        assert_eq!(ann.attributes.text(&floor), Some("3"), "{what}");
        assert_eq!(ann.attributes.get(&names::TAGS), Some(&Value::list(["admin", "registered"])), "{what}");
        assert!(ann.archived, "{what}");
    };
    stage.endpoints[0].change(|directory| {
        directory.set(&ScriptedDirectory::id(3), names::FIRST_NAME, "Remote");
        directory.set(&ScriptedDirectory::id(3), names::LAST_NAME, "Married");
        directory.set(&ScriptedDirectory::id(3), names::TAGS, Value::list(["remote"]));
    });
    stage.import_all().await;
    stage.check("imported");
    kept(&stage, "imported");
    assert_eq!(record(&stage, ann).unwrap().attributes.text(&names::LAST_NAME), Some("Married"));

    stage.endpoints[0].change(|directory| directory.delete_as(&ScriptedDirectory::id(3), TombstoneKind::Soft));
    stage.import_all().await;
    stage.check("gone");
    assert_eq!(record(&stage, ann), None);
    let gone = directory.edit(&customer, ann, &edit).await.unwrap_err();
    assert_eq!(*gone.kind(), ErrorKind::NotFound);
    stage.endpoints[0].change(|directory| directory.restore(&ScriptedDirectory::id(3)));
    stage.import_all().await;
    stage.check("back");
    kept(&stage, "back");

    // No longer yielded, the owner's value shows; the local one is kept for later.
    directory.set_yielded(&customer, &name("ad"), []).await.unwrap();
    stage.check("yields nothing");
    assert_eq!(record(&stage, ann).unwrap().attributes.text(&names::FIRST_NAME), Some("Remote"));
    directory.set_yielded(&customer, &name("ad"), [names::FIRST_NAME]).await.unwrap();
    kept(&stage, "yielded again");

    stage.service.remove_endpoint(&customer, &name("ad"), HandOver::Unlocked).await.unwrap();
    stage.check("released");
    kept(&stage, "released");
    directory.edit(&customer, ann, &Edit::new().set(names::LAST_NAME, "Own")).await.unwrap();
    stage.check("unlocked");
}

#[tokio::test]
async fn what_only_a_directory_can_say_and_what_is_nothing_is_not_yielded() {
    let (stage, directory) = imported().await;
    for attribute in [names::STATE, names::TAGS, AttributeName::parse("lock")] {
        let refused = directory.set_yielded(&stage.customer, &name("ad"), [attribute]).await.unwrap_err();
        assert_eq!(*refused.kind(), ErrorKind::Config);
    }
    let refused = directory.set_yielded(&stage.customer, &name("other"), [names::FIRST_NAME]).await.unwrap_err();
    assert_eq!(*refused.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn archived_is_neither_suspended_nor_missing_and_imports_leave_it_alone() {
    let (mut stage, directory) = imported().await;
    let (customer, ann) = (stage.customer.clone(), user_of(&stage, 3));
    let before = stage.store().last_position(&customer).unwrap();
    directory.shelve(&customer, ann, Shelf::Archived).await.unwrap();
    directory.shelve(&customer, ann, Shelf::Archived).await.unwrap();
    let events = stage.events(before);
    assert_eq!(count(&events, EventType::UserUpserted), 1);
    assert_eq!(events[0].data_value()["changed"], serde_json::json!(["archived"]));
    stage.endpoints[0].change(|directory| {
        directory.set(&ScriptedDirectory::id(3), names::STATE, "suspended");
        directory.set(&ScriptedDirectory::id(3), names::LAST_NAME, "Imported");
    });
    stage.import_all().await;
    stage.check("imported");
    let archived = record(&stage, ann).unwrap();
    assert!(archived.archived && archived.missing_since.is_none());
    assert_eq!(archived.attributes.text(&names::STATE), Some("suspended"));
    assert_eq!(archived.attributes.text(&names::LAST_NAME), Some("Imported"));
    let restored = directory.shelve(&customer, ann, Shelf::InUse).await.unwrap();
    assert!(!restored.archived);
    assert_eq!(restored.attributes.text(&names::STATE), Some("suspended"));
    stage.check("restored");
    let groups = stage.store().records(&customer, ObjectKind::Group, None, 99).unwrap();
    let group = groups.iter().find(|group| group.attributes.text(&names::KIND) != Some("endpoint")).unwrap();
    let refused = directory.shelve(&customer, group.id, Shelf::Archived).await.unwrap_err();
    assert_eq!(*refused.kind(), ErrorKind::Config);
}

#[tokio::test]
async fn what_an_archived_person_kept_outlasts_the_removal_of_the_endpoint_while_the_person_is_gone() {
    let (mut stage, directory) = imported().await;
    let (customer, ann) = (stage.customer.clone(), user_of(&stage, 3));
    directory.shelve(&customer, ann, Shelf::Archived).await.unwrap();
    stage.endpoints[0].change(|directory| directory.delete_as(&ScriptedDirectory::id(3), TombstoneKind::Soft));
    stage.import_all().await;
    stage.service.remove_endpoint(&customer, &name("ad"), HandOver::Unlocked).await.unwrap();
    stage.endpoints[0].change(|directory| directory.restore(&ScriptedDirectory::id(3)));
    stage.register().await;
    stage.import_all().await;
    stage.check("back through a new endpoint of the same name");
    assert!(record(&stage, ann).unwrap().archived);
}

#[tokio::test]
async fn tags_are_for_users_and_written_as_a_list_can_be() {
    let (mut stage, directory) = imported().await;
    let customer = stage.customer.clone();
    let group = directory.add(&customer, &Draft::group("Board")).await.unwrap();
    let refused = directory.set_tags(&customer, group.id, ["x"]).await.unwrap_err();
    assert_eq!(*refused.kind(), ErrorKind::Config);
    for bad in ["", " ", "a,b", "a;b", "a\nb", &"x".repeat(129)] {
        let refused = directory.set_tags(&customer, user_of(&stage, 3), [bad]).await.unwrap_err();
        assert_eq!(*refused.kind(), ErrorKind::Config, "{bad:?}");
    }
    directory.set_tags(&customer, user_of(&stage, 3), ["a", "b"]).await.unwrap();
    directory.set_tags(&customer, user_of(&stage, 3), ["b"]).await.unwrap();
    let tagged = |stage: &Stage| -> i64 {
        let file = rusqlite::Connection::open(stage.path()).unwrap();
        file.query_row("SELECT count(*) FROM tags", [], |row| row.get(0)).unwrap()
    };
    assert_eq!(tagged(&stage), 1);
    let none: [&str; 0] = [];
    let bare = directory.set_tags(&customer, user_of(&stage, 3), none).await.unwrap();
    assert_eq!((bare.attributes.get(&names::TAGS), tagged(&stage)), (None, 0));
    stage.check("tagged");
}
