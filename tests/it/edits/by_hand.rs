//! Users and groups added by hand, and their memberships.

use tenantry::ErrorKind;
use tenantry::model::{
    AttributeName, Draft, Edit, EventType, HandOver, ObjectKind, RecordId, TombstoneKind, Value, names,
};
use tenantry::testkit::ScriptedDirectory;

use super::locks::{imported, record, user_of};
use crate::operations::{Stage, name};
use crate::world::count;

#[tokio::test]
async fn a_user_added_by_hand_is_nobodys_and_may_be_edited_and_removed() {
    let (mut stage, directory) = imported().await;
    let customer = stage.customer.clone();
    let before = stage.store().last_position(&customer).unwrap();
    let draft =
        Draft::user("eve@corp.example").set(names::FIRST_NAME, "Eve").set(names::LAST_NAME, "Ray").tagged(["guest"]);
    let eve = directory.add(&customer, &draft).await.unwrap();
    assert_eq!((eve.id, &eve.lock, eve.identities.len()), (draft.id, &None, 0));
    assert_eq!(eve.attributes.text(&names::STATE), Some("active"));
    assert_eq!(eve.attributes.get(&names::TAGS), Some(&Value::list(["guest"])));
    let events = stage.events(before);
    assert_eq!((events.len(), events[0].event_type), (1, EventType::UserUpserted));
    assert_eq!((events[0].source.as_str(), &events[0].subject), ("/customers/c1", &eve.id.to_string()));
    stage.check("added");
    // Sent again, it is added once.
    assert_eq!(directory.add(&customer, &draft).await.unwrap(), eve);
    assert_eq!(stage.events(before).len(), 1);

    let edit = Edit::new().set(names::LAST_NAME, "Roe").set(names::STATE, "staged").withdraw(names::FIRST_NAME);
    let eve = directory.edit(&customer, eve.id, &edit).await.unwrap();
    assert_eq!(eve.attributes.text(&names::LAST_NAME), Some("Roe"));
    assert_eq!(eve.attributes.get(&names::FIRST_NAME), None);
    stage.check("edited");
    directory.remove(&customer, eve.id).await.unwrap();
    stage.check("removed");
    assert_eq!(record(&stage, eve.id), None);
    assert_eq!(stage.events(before).last().unwrap().event_type, EventType::UserRemoved);
    assert_eq!(*directory.remove(&customer, eve.id).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(stage.import(0).await.created, 0);
    stage.check("imported");
}

#[tokio::test]
async fn an_address_is_somebodys_once() {
    let (stage, directory) = imported().await;
    let customer = stage.customer.clone();
    let refused = directory.add(&customer, &Draft::user(" User3@Corp.example")).await.unwrap_err();
    let owner = user_of(&stage, 3).to_string();
    assert_eq!((refused.kind(), refused.context("record")), (&ErrorKind::Conflict, Some(owner.as_str())));
    let eve = directory.add(&customer, &Draft::user("eve@corp.example")).await.unwrap();
    let refused = directory.add(&customer, &Draft::user("EVE@corp.example")).await.unwrap_err();
    assert_eq!(refused.context("record"), Some(eve.id.to_string().as_str()));
    let held = directory.holders(&customer, ["USER4@corp.example".to_owned(), "nobody@corp.example".into()]).await;
    assert_eq!(held.unwrap().into_values().collect::<Vec<_>>(), [user_of(&stage, 4)]);
}

#[tokio::test]
async fn no_edit_gives_a_record_an_address_that_somebody_else_has() {
    let (mut stage, directory) = imported().await;
    let (customer, ann, cloud) = (stage.customer.clone(), user_of(&stage, 3), cloud_user(&stage, 501));
    directory.set_yielded(&customer, &name("ad"), [names::PRIMARY_EMAIL, names::ALIASES]).await.unwrap();
    let eve = directory.add(&customer, &Draft::user("eve@corp.example")).await.unwrap().id;
    let bob = directory.add(&customer, &Draft::user("bob@corp.example")).await.unwrap().id;
    let before = stage.store().last_position(&customer).unwrap();
    let primary = |address: &str| Edit::new().set(names::PRIMARY_EMAIL, address);
    let alias = |address: &str| Edit::new().set(names::ALIASES, Value::list([address, "new@corp.example"]));
    // By going through everybody, and by the index.
    for indexed in [false, true] {
        if indexed {
            directory.catch_up(&[customer.clone()].into()).await.unwrap();
        }
        for (who, edit, holder) in [
            (eve, primary("User3@Corp.example"), ann),
            (eve, alias("user3@corp.example"), ann),
            (eve, primary("bob@corp.example"), bob),
            (eve, alias("Bob@corp.example"), bob),
            (ann, primary("eve@corp.example"), eve),
            (ann, alias("EVE@corp.example"), eve),
            (ann, alias("user4@corp.example"), user_of(&stage, 4)),
        ] {
            let refused = directory.edit(&customer, who, &edit).await.unwrap_err();
            assert_eq!(*refused.kind(), ErrorKind::Conflict, "{edit:?}");
            assert_eq!(refused.context("record"), Some(holder.to_string().as_str()), "{edit:?}");
            assert!(refused.message().contains("somebody has this address already"), "{refused}");
        }
    }
    assert_eq!(stage.store().last_position(&customer).unwrap(), before, "nothing is changed or told");
    stage.check("refused");

    // Its own addresses a record may have however they are written and wherever they stand.
    let own = primary("EVE@corp.example").set(names::ALIASES, Value::list(["eve@corp.example", "e@corp.example"]));
    directory.edit(&customer, eve, &own).await.unwrap();
    directory.edit(&customer, eve, &primary("e@corp.example").withdraw(names::ALIASES)).await.unwrap();
    // What one gives up another may take, also two of them each other's.
    directory.edit(&customer, bob, &primary("eve@corp.example")).await.unwrap();
    directory.edit(&customer, eve, &primary("bob@corp.example")).await.unwrap();
    stage.check("swapped");
    // What an endpoint says is still the person's, also while a local value covers it.
    directory.edit(&customer, ann, &primary("local@corp.example")).await.unwrap();
    let refused = directory.edit(&customer, eve, &primary("user3@corp.example")).await.unwrap_err();
    assert_eq!(refused.context("record"), Some(ann.to_string().as_str()));
    directory.edit(&customer, ann, &Edit::new().withdraw(names::PRIMARY_EMAIL)).await.unwrap();
    assert_eq!(record(&stage, ann).unwrap().attributes.text(&names::PRIMARY_EMAIL), Some("user3@corp.example"));
    // So it is of a record that two endpoints bring.
    directory.join(&customer, ann, cloud).await.unwrap();
    let refused = directory.edit(&customer, eve, &alias("user501@corp.example")).await.unwrap_err();
    assert_eq!(refused.context("record"), Some(ann.to_string().as_str()));
    directory.edit(&customer, ann, &primary("user501@corp.example")).await.unwrap();
    stage.check("joined");
}

#[tokio::test]
async fn neither_edit_nor_draft_takes_a_name_that_the_contract_has_or_that_nearly_is_one() {
    let (stage, directory) = imported().await;
    let customer = stage.customer.clone();
    let eve = directory.add(&customer, &Draft::user("eve@corp.example")).await.unwrap();
    for (wrong, remedy) in [
        ("attributes.", "behind attributes."),
        ("attributes.a b", "one word"),
        ("attributes.primary_email", "did you mean primary_email?"),
        ("attributes.identities", "another name"),
        ("frist_name", "did you mean first_name?"),
        ("lock", "leave it as it is"),
    ] {
        let name = AttributeName::parse(wrong);
        let draft = Draft::user("new@corp.example").set(name.clone(), "x");
        let edit = Edit::new().set(name.clone(), "x").set(names::LAST_NAME, "Ray");
        for refused in [
            directory.add(&customer, &draft).await.unwrap_err(),
            directory.edit(&customer, eve.id, &edit).await.unwrap_err(),
        ] {
            assert_eq!((refused.kind(), refused.context("attribute")), (&ErrorKind::Config, Some(wrong)), "{refused}");
            assert!(refused.message().contains(remedy), "{refused}");
        }
        let asked = directory.check_edit(&customer, eve.id, &[name]).await.unwrap();
        assert_eq!(asked[0].attribute.as_str(), wrong);
    }
    assert_eq!(record(&stage, eve.id).unwrap(), eve);
}

#[tokio::test]
async fn an_edit_that_changes_nothing_tells_nothing() {
    let (mut stage, directory) = imported().await;
    let customer = stage.customer.clone();
    let eve = directory.add(&customer, &Draft::user("eve@corp.example")).await.unwrap();
    let before = stage.store().last_position(&customer).unwrap();
    for edit in [
        Edit::new(),
        Edit::new().set(names::PRIMARY_EMAIL, "eve@corp.example").set(names::STATE, "active"),
        Edit::new().withdraw(names::LAST_NAME).withdraw(AttributeName::extra("floor")),
    ] {
        assert_eq!(directory.edit(&customer, eve.id, &edit).await.unwrap(), eve, "{edit:?}");
        let withdrawn = Edit::new().withdraw(AttributeName::extra("floor"));
        directory.edit(&customer, user_of(&stage, 3), &withdrawn).await.unwrap();
    }
    assert_eq!(stage.store().last_position(&customer).unwrap(), before);
    stage.check("nothing");
}

fn cloud_user(stage: &Stage, number: u128) -> RecordId {
    let key = ScriptedDirectory::id(number).key();
    RecordId::founded_by(&stage.customer, &name("cloud"), ObjectKind::User, &key)
}

#[tokio::test]
async fn a_draft_without_name_or_of_a_computer_or_with_wrong_values_is_refused() {
    let (stage, directory) = imported().await;
    let mut computer = Draft::group("pc");
    computer.kind = ObjectKind::Computer;
    for draft in [
        computer,
        Draft::group(" "),
        Draft::user("no address"),
        Draft::user(""),
        Draft::user("a@corp.example").set(names::STATE, "asleep"),
        Draft::user("a@corp.example").set(names::DNS_NAME, "x"),
        Draft::group("g").tagged(["x"]),
    ] {
        let refused = directory.add(&stage.customer, &draft).await.unwrap_err();
        assert_eq!(*refused.kind(), ErrorKind::Config, "{draft:?}: {refused}");
    }
    let taken = Draft::user("a@corp.example").with_id(RecordId::of_endpoint_group(&stage.customer, &name("ad")));
    directory.add(&stage.customer, &taken).await.unwrap();
}

#[tokio::test]
async fn a_manual_group_may_contain_locked_users_and_its_memberships_outlast_their_going() {
    let (mut stage, directory) = imported().await;
    let customer = stage.customer.clone();
    let board = directory.add(&customer, &Draft::group("Board")).await.unwrap();
    assert_eq!(board.attributes.text(&names::KIND), Some("manual"));
    let eve = directory.add(&customer, &Draft::user("eve@corp.example")).await.unwrap();
    let inner = directory.add(&customer, &Draft::group("Inner circle")).await.unwrap();
    let (ann, bob) = (user_of(&stage, 3), user_of(&stage, 4));
    let before = stage.store().last_position(&customer).unwrap();
    let added = directory.add_members(&customer, board.id, &[ann, bob, eve.id, inner.id, ann]).await.unwrap();
    assert_eq!(added, 4);
    let events = stage.events(before);
    assert_eq!(count(&events, EventType::MemberAdded), 4);
    let data = events[0].data_value();
    assert_eq!((&data["group"], &data["member"]), (&board.id.to_string().into(), &ann.to_string().into()));
    assert_eq!(
        (&data["member_kind"], &data["via"], &data["run"]),
        (&"user".into(), &"explicit".into(), &serde_json::Value::Null)
    );
    assert_eq!(events[0].source, "/customers/c1");
    stage.check("members");
    assert_eq!(stage.store().members(&customer, board.id).unwrap().1, 4);
    assert!(stage.store().groups_of(&customer, ann).unwrap().contains(&board.id));
    assert_eq!(stage.store().groups_of(&customer, inner.id).unwrap(), [board.id]);

    stage.endpoints[0].change(|directory| directory.delete_as(&ScriptedDirectory::id(3), TombstoneKind::Soft));
    stage.import_all().await;
    stage.check("a member is gone");
    let (members, all) = stage.store().members(&customer, board.id).unwrap();
    assert_eq!((members.contains(&ann), all), (false, 4));
    stage.endpoints[0].change(|directory| directory.restore(&ScriptedDirectory::id(3)));
    stage.import_all().await;
    stage.check("it is back");
    assert!(stage.store().members(&customer, board.id).unwrap().0.contains(&ann));

    assert_eq!(directory.remove_members(&customer, board.id, &[bob, bob, user_of(&stage, 5)]).await.unwrap(), 1);
    stage.check("one less");
    directory.remove(&customer, eve.id).await.unwrap();
    stage.check("a member is removed by hand");
    assert_eq!(stage.store().members(&customer, board.id).unwrap().1, 2);
    directory.remove(&customer, board.id).await.unwrap();
    stage.check("the group is removed by hand");
    assert!(!stage.store().groups_of(&customer, ann).unwrap().contains(&board.id));
}

#[tokio::test]
async fn members_of_locked_groups_are_refused_and_so_is_a_group_within_itself() {
    let (stage, directory) = imported().await;
    let customer = stage.customer.clone();
    let locked =
        RecordId::founded_by(&customer, &name("ad"), ObjectKind::Group, &ScriptedDirectory::id(1_000_000).key());
    let ann = user_of(&stage, 3);
    let refused = directory.add_members(&customer, locked, &[ann]).await.unwrap_err();
    assert_eq!((refused.kind(), refused.context("owner")), (&ErrorKind::Locked, Some("ad")));
    let refused = directory.remove_members(&customer, locked, &[ann]).await.unwrap_err();
    assert_eq!((refused.kind(), refused.context("owner")), (&ErrorKind::Locked, Some("ad")));
    let refused = directory.add_members(&customer, ann, &[ann]).await.unwrap_err();
    assert_eq!(*refused.kind(), ErrorKind::Config);
    let board = directory.add(&customer, &Draft::group("Board")).await.unwrap();
    let own = RecordId::of_endpoint_group(&customer, &name("ad"));
    for wrong in [board.id, own] {
        let refused = directory.add_members(&customer, board.id, &[ann, wrong]).await.unwrap_err();
        assert_eq!(*refused.kind(), ErrorKind::Config);
    }
    let refused = directory.add_members(&customer, board.id, &[ann, RecordId::random()]).await.unwrap_err();
    assert_eq!(*refused.kind(), ErrorKind::NotFound);
    assert_eq!(stage.store().members(&customer, board.id).unwrap().1, 0, "all or nothing");
    // A locked group may well be within a manual one.
    assert_eq!(directory.add_members(&customer, board.id, &[locked]).await.unwrap(), 1);
}

#[tokio::test]
async fn a_group_that_was_handed_over_is_edited_like_one_made_by_hand() {
    let (mut stage, directory) = imported().await;
    let customer = stage.customer.clone();
    let group =
        RecordId::founded_by(&customer, &name("ad"), ObjectKind::Group, &ScriptedDirectory::id(1_000_000).key());
    stage.service.remove_endpoint(&customer, &name("ad"), HandOver::Unlocked).await.unwrap();
    let ann = user_of(&stage, 3);
    assert_eq!(directory.add_members(&customer, group, &[ann]).await.unwrap(), 1);
    directory.edit(&customer, group, &Edit::new().set(names::NAME, "Ours")).await.unwrap();
    stage.check("edited");
    stage.register().await;
    stage.import_all().await;
    stage.check("owned again");
    let owned = record(&stage, group).unwrap();
    assert_eq!(owned.lock.unwrap().endpoint, name("ad"));
    assert_eq!(owned.attributes.text(&names::NAME), Some("Group 1000000"));
    // What was made by hand stays, and can be ended by hand.
    assert_eq!(directory.remove_members(&customer, group, &[ann]).await.unwrap(), 1);
    stage.check("ended by hand");
}

#[tokio::test]
async fn somebody_added_by_hand_can_be_erased() {
    let (mut stage, directory) = imported().await;
    let customer = stage.customer.clone();
    let board = directory.add(&customer, &Draft::group("Board")).await.unwrap();
    let draft = Draft::user("quillfeather@corp.example").set(names::LAST_NAME, "Quillfeather").tagged(["quilltag"]);
    let eve = directory.add(&customer, &draft).await.unwrap();
    directory.add_members(&customer, board.id, &[eve.id, user_of(&stage, 3)]).await.unwrap();
    directory.set_assignment("quillfeather@corp.example", Some(&customer)).await.unwrap();
    stage.check("added");
    let erased = stage.service.erase(&customer, &[eve.id, user_of(&stage, 3)]).await.unwrap();
    assert_eq!(erased.records, 2);
    stage.check("erased");
    let found = crate::operations::found_in(stage.folder.path(), &["uillfeather", "quilltag"]);
    assert!(found.is_empty(), "{found:?}");
}
