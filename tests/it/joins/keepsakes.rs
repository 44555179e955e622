//! What a record that was absorbed leaves behind: its id, its local values, its memberships, and who was kept apart.

use tenantry::model::{
    AttributeName, Draft, Edit, EventType, HandOver, Identity, RecordId, TombstoneKind, Value, names,
};
use tenantry::testkit::ScriptedDirectory;
use tenantry::{Directory, ErrorKind};

use super::automatic::{ann, ann_at, ann_id, user};
use crate::operations::{Stage, name};

fn identity(endpoint: usize) -> Identity {
    Identity { endpoint: name(["ad", "cloud", "google"][endpoint]), source_id: ann_id(endpoint) }
}

/// One person at each endpoint, who have nothing in common.
async fn strangers(endpoints: usize) -> (Stage, Directory, Vec<RecordId>) {
    let stage = ann_at(endpoints).await;
    for (at, endpoint) in stage.endpoints.iter().enumerate() {
        endpoint.change(|directory| directory.set(&ann_id(at), names::PRIMARY_EMAIL, format!("ann{at}@corp.example")));
    }
    stage.import_all().await;
    let ids = (0..endpoints).map(|endpoint| ann(&stage, endpoint).id).collect();
    let directory = stage.service.directory();
    (stage, directory, ids)
}

fn floor() -> AttributeName {
    AttributeName::extra("floor")
}

#[tokio::test]
async fn what_was_local_to_the_absorbed_one_is_the_records_own_once_the_endpoint_is_removed() {
    let (mut stage, directory, ids) = strangers(2).await;
    let customer = stage.customer.clone();
    directory.edit(&customer, ids[1], &Edit::new().set(floor(), "3")).await.unwrap();
    directory.set_tags(&customer, ids[1], ["vip"]).await.unwrap();
    let board = directory.add(&customer, &Draft::group("Board")).await.unwrap().id;
    directory.add_members(&customer, board, &[ids[1]]).await.unwrap();
    directory.join(&customer, ids[0], ids[1]).await.unwrap();
    stage.check("joined");
    stage.service.remove_endpoint(&customer, &name("cloud"), HandOver::Unlocked).await.unwrap();
    stage.check("removed");
    let keeps = |stage: &Stage| {
        let kept = ann(stage, 0);
        assert_eq!((kept.id, kept.attributes.text(&floor())), (ids[0], Some("3")));
        assert_eq!(kept.attributes.get(&names::TAGS), Some(&Value::list(["vip"])));
        assert_eq!(stage.store().members(&customer, board).unwrap(), (vec![ids[0]], 1));
        assert!(stage.store().groups_of(&customer, ids[0]).unwrap().contains(&board));
    };
    keeps(&stage);
    // Whoever is there under that id again is the one that the id led to.
    stage.register().await;
    stage.import(1).await;
    stage.check("configured again");
    assert_eq!(ann(&stage, 1).id, ids[0]);
    keeps(&stage);
    let (stays, leaves) = directory.unjoin(&customer, ids[0], &identity(1)).await.unwrap();
    stage.check("apart");
    assert_eq!((stays.id, leaves.attributes.get(&floor())), (ids[0], None), "the values were the record's own by then");
    keeps(&stage);
}

#[tokio::test]
async fn an_id_that_leads_to_another_record_is_founded_anew_where_that_has_no_room() {
    let (mut stage, directory, ids) = strangers(2).await;
    let customer = stage.customer.clone();
    directory.join(&customer, ids[0], ids[1]).await.unwrap();
    stage.service.remove_endpoint(&customer, &name("cloud"), HandOver::Unlocked).await.unwrap();
    // Somebody else at the cloud is the same person as the one who is left.
    let next = ScriptedDirectory::id(52);
    let was = stage.endpoints[1].change(|cloud| {
        let was = cloud.objects.remove(&ann_id(1)).unwrap();
        let next = cloud.add_user(52, "oslo");
        cloud.set(&next, names::PRIMARY_EMAIL, "ann0@corp.example");
        cloud.set(&next, names::FIRST_NAME, "Ann");
        cloud.set(&next, names::LAST_NAME, "Lee");
        was
    });
    stage.register().await;
    stage.import(1).await;
    stage.check("the next one");
    assert_eq!(user(&stage, "cloud", &next).id, ids[0]);
    stage.endpoints[1].change(|cloud| cloud.objects.insert(ann_id(1), was));
    let position = stage.store().last_position(&customer).unwrap();
    stage.import(1).await;
    stage.check("back");
    assert_eq!(ann(&stage, 1).id, ids[1], "founded anew");
    assert_eq!((ann(&stage, 1).identities.len(), ann(&stage, 0).identities.len()), (1, 2));
    assert_eq!(user(&stage, "cloud", &next).id, ids[0]);
    assert_eq!(crate::world::count(&stage.events(position), EventType::UserSplit), 0);
    // The id leads there for good.
    stage.service.erase(&customer, &[ids[0]]).await.unwrap();
    stage.check("erased");
    assert_eq!(directory.details(&customer, ids[1]).await.unwrap().unwrap().record.id, ids[1]);
    let report = stage.import(1).await;
    assert_eq!((report.created, ann(&stage, 1).id), (1, ids[1]));
    stage.check("imported");
}

#[tokio::test]
async fn the_memberships_of_who_is_erased_end_whichever_record_they_were_given_to() {
    let (mut stage, directory, ids) = strangers(3).await;
    let customer = stage.customer.clone();
    let board = directory.add(&customer, &Draft::group("Board")).await.unwrap().id;
    directory.add_members(&customer, board, &ids).await.unwrap();
    directory.join(&customer, ids[0], ids[1]).await.unwrap();
    stage.check("joined");
    let erased = stage.service.erase(&customer, &[ids[0]]).await.unwrap();
    assert_eq!(erased.members_removed, 2);
    stage.check("erased");
    assert_eq!(stage.store().members(&customer, board).unwrap(), (vec![ids[2]], 1));
    // Where both were members, one membership is left once nothing can be taken apart any more.
    let (mut stage, directory, ids) = strangers(2).await;
    let board = directory.add(&customer, &Draft::group("Board")).await.unwrap().id;
    directory.add_members(&customer, board, &ids).await.unwrap();
    directory.join(&customer, ids[0], ids[1]).await.unwrap();
    stage.service.remove_endpoint(&customer, &name("cloud"), HandOver::Unlocked).await.unwrap();
    stage.check("removed");
    assert_eq!(stage.store().members(&customer, board).unwrap(), (vec![ids[0]], 1));
}

#[tokio::test]
async fn an_id_that_led_to_who_is_erased_leads_nowhere() {
    let (mut stage, directory, ids) = strangers(2).await;
    let customer = stage.customer.clone();
    directory.join(&customer, ids[0], ids[1]).await.unwrap();
    stage.service.remove_endpoint(&customer, &name("cloud"), HandOver::Unlocked).await.unwrap();
    stage.service.erase(&customer, &[ids[0]]).await.unwrap();
    stage.check("erased");
    let file = rusqlite::Connection::open(stage.path()).unwrap();
    let rows: i64 = file
        .query_row(
            "SELECT count(*) FROM record_ids WHERE record_no NOT IN (SELECT record_no FROM records)",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(rows, 0);
}

#[tokio::test]
async fn who_was_absorbed_with_others_is_found_again_where_its_record_went() {
    let (mut stage, directory, ids) = strangers(3).await;
    let customer = stage.customer.clone();
    // Founded at the cloud, and left to google alone.
    directory.join(&customer, ids[1], ids[2]).await.unwrap();
    stage.service.remove_endpoint(&customer, &name("cloud"), HandOver::Unlocked).await.unwrap();
    assert_eq!(ann(&stage, 2).id, ids[1]);
    directory.join(&customer, ids[0], ids[1]).await.unwrap();
    stage.check("absorbed");
    stage.register().await;
    stage.import(1).await;
    stage.check("configured again");
    assert_eq!((ann(&stage, 1).id, ann(&stage, 1).identities.len()), (ids[0], 3));
    assert_eq!(stage.store().record(&customer, ids[1]).unwrap(), None);
}

#[tokio::test]
async fn a_membership_of_the_absorbed_one_is_ended_under_the_id_that_is_shown() {
    let (mut stage, directory, ids) = strangers(2).await;
    let customer = stage.customer.clone();
    let board = directory.add(&customer, &Draft::group("Board")).await.unwrap().id;
    directory.add_members(&customer, board, &[ids[1]]).await.unwrap();
    directory.join(&customer, ids[0], ids[1]).await.unwrap();
    stage.check("joined");
    assert_eq!(directory.add_members(&customer, board, &[ids[0]]).await.unwrap(), 0, "it is one already");
    assert_eq!(directory.remove_members(&customer, board, &[ids[0]]).await.unwrap(), 1);
    stage.check("ended");
    assert_eq!(stage.store().members(&customer, board).unwrap(), (vec![], 0));
    directory.unjoin(&customer, ids[0], &identity(1)).await.unwrap();
    stage.check("apart");
    assert_eq!(stage.store().members(&customer, board).unwrap(), (vec![], 0));
}

#[tokio::test]
async fn events_of_a_joined_members_coming_and_going_name_the_record() {
    let mut stage = ann_at(2).await;
    let group = stage.endpoints[1].change(|cloud| cloud.add_group(800));
    stage.import_all().await;
    let record = ann(&stage, 0).id.to_string();
    for begins in [true, false] {
        stage.endpoints[1].change(|cloud| {
            if begins { cloud.add_member(&group, &ann_id(1)) } else { cloud.remove_member(&group, &ann_id(1)) }
        });
        let position = stage.store().last_position(&stage.customer).unwrap();
        stage.import(1).await;
        stage.check("changed");
        let wanted = if begins { EventType::MemberAdded } else { EventType::MemberRemoved };
        let events = stage.events(position);
        let told: Vec<_> = events.iter().filter(|event| event.event_type == wanted).collect();
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].data_value()["member"], record.as_str());
    }
}

/// Brings somebody to an endpoint who is recognised by address and names as one who was added by hand.
fn bring(stage: &Stage, endpoint: usize, number: u128, email: &str) -> tenantry::model::SourceId {
    stage.endpoints[endpoint].change(|directory| {
        let id = directory.add_user(number, "oslo");
        directory.set(&id, names::PRIMARY_EMAIL, email);
        directory.set(&id, names::FIRST_NAME, "Ann");
        directory.set(&id, names::LAST_NAME, "Lee");
        id
    })
}

#[tokio::test]
async fn who_was_added_by_hand_and_joined_is_adopted_by_nobody_else() {
    let (mut stage, directory, ids) = strangers(2).await;
    let customer = stage.customer.clone();
    let draft = Draft::user("annie@home.example").set(names::FIRST_NAME, "Ann").set(names::LAST_NAME, "Lee");
    let hand = directory.add(&customer, &draft).await.unwrap().id;
    directory.join(&customer, hand, ids[0]).await.unwrap();
    stage.check("joined");
    let new = bring(&stage, 0, 53, "annie@home.example");
    stage.import(0).await;
    stage.check("brought");
    assert_eq!((ann(&stage, 0).id, ann(&stage, 0).identities.len()), (hand, 1));
    assert_eq!(user(&stage, "ad", &new).identities.len(), 1);
}

#[tokio::test]
async fn who_was_handed_over_and_came_back_elsewhere_is_adopted_by_nobody_else() {
    let mut stage = ann_at(2).await;
    stage.import_all().await;
    let record = ann(&stage, 0).id;
    stage.endpoints[0].change(|ad| ad.delete_as(&ann_id(0), TombstoneKind::Soft));
    stage.import(0).await;
    stage.service.remove_endpoint(&stage.customer, &name("cloud"), HandOver::Unlocked).await.unwrap();
    stage.check("handed over");
    assert_eq!(stage.store().record(&stage.customer, record).unwrap().unwrap().lock, None);
    stage.endpoints[0].change(|ad| ad.restore(&ann_id(0)));
    stage.import(0).await;
    stage.check("back");
    assert_eq!(ann(&stage, 0).id, record);
    let new = bring(&stage, 0, 53, "ann@corp.example");
    stage.import(0).await;
    stage.check("brought");
    assert_eq!((ann(&stage, 0).id, ann(&stage, 0).identities.len()), (record, 1));
    assert_ne!(user(&stage, "ad", &new).id, record);
}

#[tokio::test]
async fn who_is_gone_is_taken_out_of_nothing_and_erased_without_a_trace() {
    let (mut stage, directory, ids) = strangers(3).await;
    let customer = stage.customer.clone();
    directory.join(&customer, ids[0], ids[1]).await.unwrap();
    directory.join(&customer, ids[0], ids[2]).await.unwrap();
    stage.endpoints[1].change(|cloud| cloud.delete_as(&ann_id(1), TombstoneKind::Soft));
    stage.import(1).await;
    stage.check("gone");
    let refused = directory.unjoin(&customer, ids[0], &identity(1)).await.unwrap_err();
    assert_eq!(*refused.kind(), ErrorKind::Config, "{refused}");
    stage.endpoints[1].change(|cloud| cloud.restore(&ann_id(1)));
    stage.import(1).await;
    assert_eq!(ann(&stage, 1).id, ids[0], "back where it was");
    directory.unjoin(&customer, ids[0], &identity(1)).await.unwrap();
    stage.check("apart");
    // All that was kept apart from her.
    for id in [ids[1], ids[0]] {
        stage.service.erase(&customer, &[id]).await.unwrap();
        stage.check("erased");
    }
    let file = rusqlite::Connection::open(stage.path()).unwrap();
    for table in ["absorbed", "joins", "apart"] {
        let rows: i64 = file.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap();
        assert_eq!(rows, 0, "{table}");
    }
}
