//! Joins made, undone and moved by hand: refused where they cannot be, remembered, and inverse to each other.

use tenantry::model::{Draft, Edit, EventType, Identity, JoinReason, RecordId, TombstoneKind, names};
use tenantry::testkit::ScriptedDirectory;
use tenantry::{Directory, ErrorKind};

use super::automatic::{ann, ann_at, ann_id, ann_no, user};
use super::shown::shown;
use crate::operations::{Replica, Stage, name};
use crate::world::count;

fn identity(endpoint: usize) -> Identity {
    Identity { endpoint: name(["ad", "cloud", "google"][endpoint]), source_id: ann_id(endpoint) }
}

/// One person at each endpoint under addresses that have nothing in common.
async fn strangers(endpoints: usize) -> (Stage, Directory) {
    let stage = ann_at(endpoints).await;
    for (at, endpoint) in stage.endpoints.iter().enumerate() {
        endpoint.change(|directory| directory.set(&ann_id(at), names::PRIMARY_EMAIL, format!("ann{at}@corp.example")));
    }
    stage.import_all().await;
    let directory = stage.service.directory();
    (stage, directory)
}

fn ids(stage: &Stage) -> Vec<RecordId> {
    (0..stage.endpoints.len()).map(|endpoint| ann(stage, endpoint).id).collect()
}

#[tokio::test]
async fn joined_and_taken_apart_everything_is_as_it_was() {
    let (mut stage, directory) = strangers(3).await;
    let [one, two, three] = ids(&stage)[..] else { panic!() };
    let customer = stage.customer.clone();
    for (id, tag) in [(one, "one"), (two, "two"), (three, "three")] {
        directory.set_tags(&customer, id, [tag]).await.unwrap();
    }
    let board = directory.add(&customer, &Draft::group("Board")).await.unwrap();
    directory.add_members(&customer, board.id, &[two, three]).await.unwrap();
    stage.check("apart");
    let before = shown(&stage);
    let position = stage.store().last_position(&customer).unwrap();
    let joined = directory.join(&customer, one, two).await.unwrap();
    stage.check("two joined");
    assert_eq!((joined.id, joined.identities.len()), (one, 2));
    assert_eq!(joined.attributes.get(&names::TAGS), Some(&tenantry::model::Value::list(["one", "two"])));
    assert!(stage.store().groups_of(&customer, one).unwrap().contains(&board.id), "what the absorbed one was in");
    assert_eq!(stage.store().members(&customer, board.id).unwrap().0.len(), 2);
    directory.join(&customer, three, one).await.unwrap();
    stage.check("three joined");
    assert_eq!(stage.store().totals(&customer).unwrap().users, 37);
    let found = directory.details(&customer, three).await.unwrap().unwrap();
    assert!(found.groups.iter().any(|group| group.group.id == board.id));
    assert!(found.joins.iter().all(|join| join.reason == JoinReason::ByHand && join.run.is_none()));
    let members = stage.store().members(&customer, board.id).unwrap();
    assert_eq!(members, (vec![three], 1), "twice the same");

    // The later join first, and then the other way round.
    let (stays, leaves) = directory.unjoin(&customer, three, &identity(2)).await.unwrap();
    assert_eq!((stays.id, leaves.id), (three, one), "who founded a record keeps it");
    stage.check("taken apart");
    let (stays, leaves) = directory.unjoin(&customer, one, &identity(1)).await.unwrap();
    assert_eq!((stays.id, leaves.id), (one, two));
    stage.check("taken apart again");
    shown(&stage).same_as(&before, "as it was");
    assert_eq!(ids(&stage), [one, two, three], "also the ids");
    let events = stage.events(position);
    let of = |event_type| count(&events, event_type);
    assert_eq!([EventType::UserMerged, EventType::UserSplit, EventType::UserRemoved].map(of), [2, 2, 0]);
    // Out of the middle: what the one in the middle had absorbed stays with whom it belongs to.
    directory.join(&customer, one, two).await.unwrap();
    directory.join(&customer, three, one).await.unwrap();
    directory.unjoin(&customer, three, &identity(1)).await.unwrap();
    stage.check("out of the middle");
    directory.unjoin(&customer, three, &identity(0)).await.unwrap();
    stage.check("and the last");
    shown(&stage).same_as(&before, "as it was once more");
    let mut replayed = Replica::default();
    replayed.follow(stage.store(), &customer);
    replayed.same_as(&stage.live, "replayed");
}

#[tokio::test]
async fn who_was_taken_apart_stays_apart_and_who_was_joined_stays_joined() {
    let mut stage = ann_at(2).await;
    stage.import_all().await;
    let directory = stage.service.directory();
    let customer = stage.customer.clone();
    let record = ann(&stage, 0);
    assert_eq!(record.identities.len(), 2);
    let before = shown(&stage);
    let (stays, leaves) = directory.unjoin(&customer, record.id, &identity(1)).await.unwrap();
    assert_eq!((stays.id, stays.identities.len(), leaves.identities.len()), (record.id, 1, 1));
    stage.check("apart");
    for round in 0..2 {
        for endpoint in 0..2 {
            stage.endpoints[endpoint].change(|directory| {
                directory.set(&ann_id(endpoint), names::USERNAME, format!("ann{round}"));
                // What they have in common changes, and is in common again.
                let email = if round == 0 { "ann.lee@corp.example" } else { "ann@corp.example" };
                directory.set(&ann_id(endpoint), names::PRIMARY_EMAIL, email);
                directory.set(&ann_id(endpoint), names::USERNAME, format!("user{}", ann_no(endpoint)));
            });
            stage.import(endpoint).await;
            stage.check("imported");
            assert_ne!(ann(&stage, 0).id, ann(&stage, 1).id);
        }
    }
    assert_eq!(directory.probable_joins(&customer, 9).await.unwrap(), [], "nobody is asked again");
    directory.join(&customer, stays.id, leaves.id).await.unwrap();
    stage.check("joined");
    shown(&stage).same_as(&before, "as it was");
    // Also where nothing is in common any more.
    stage.endpoints[1].change(|cloud| {
        cloud.set(&ann_id(1), names::PRIMARY_EMAIL, "x@corp.example");
        cloud.set(&ann_id(1), names::LAST_NAME, "Married");
    });
    stage.import_all().await;
    stage.check("renamed");
    assert_eq!(ann(&stage, 1).id, record.id);
    // An anchor that says otherwise does not undo what somebody said.
    stage.endpoints[0].change(|ad| ad.anchor(&ann_id(0), "object-guid", "g"));
    stage.endpoints[1].change(|cloud| {
        let other = cloud.add_user(77, "oslo");
        cloud.anchor(&other, "object-guid", "g");
    });
    stage.import_all().await;
    stage.check("anchored");
    assert_eq!((ann(&stage, 1).id, ann(&stage, 0).id), (record.id, record.id));
    assert_eq!(user(&stage, "cloud", &ScriptedDirectory::id(77)).identities.len(), 1);
    assert_eq!(directory.probable_joins(&customer, 9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_identity_is_moved_to_whom_it_belongs() {
    let mut stage = ann_at(2).await;
    stage.import_all().await;
    let directory = stage.service.directory();
    let customer = stage.customer.clone();
    let (record, other) = (ann(&stage, 0).id, user(&stage, "ad", &ScriptedDirectory::id(900)).id);
    let moved = directory.reanchor(&customer, &identity(1), other).await.unwrap();
    stage.check("moved");
    assert_eq!((moved.id, moved.identities.len()), (other, 2));
    assert_eq!(ann(&stage, 0).identities.len(), 1);
    for endpoint in [0, 1, 0] {
        assert_eq!(stage.import(endpoint).await.updated, 0);
    }
    // The founder of a record leaves it to the others, and takes its id along.
    let back = directory.reanchor(&customer, &identity(1), record).await.unwrap();
    stage.check("moved back");
    assert_eq!((back.id, back.identities.len()), (record, 2));
    let to = user(&stage, "cloud", &ScriptedDirectory::id(920)).id;
    let moved = directory.reanchor(&customer, &identity(0), to).await.unwrap();
    stage.check("the founder moved");
    assert_eq!((moved.id, moved.identities.len()), (to, 2));
    assert_eq!(stage.store().record(&customer, record).unwrap(), None, "absorbed");
    assert_eq!(ann(&stage, 1).identities.len(), 1);
    assert_eq!(count(&stage.events(0), EventType::UserRemoved), 0);
}

#[tokio::test]
async fn the_last_living_identity_of_a_record_moves_to_the_next_account_of_its_person() {
    let mut stage = ann_at(2).await;
    stage.import_all().await;
    let (customer, directory) = (stage.customer.clone(), stage.service.directory());
    // She left the first directory, and is back there as somebody whom nothing shows to be her.
    stage.endpoints[0].change(|ad| ad.delete_as(&ann_id(0), TombstoneKind::Soft));
    stage.import(0).await;
    let (record, next) = (ann(&stage, 1).id, user(&stage, "ad", &ScriptedDirectory::id(900)).id);
    let moved = directory.reanchor(&customer, &identity(1), next).await.unwrap();
    stage.check("moved");
    assert_eq!((moved.id, moved.identities.len()), (next, 2));
    assert_eq!(stage.store().record(&customer, record).unwrap(), None, "absorbed");
    assert_eq!(count(&stage.events(0), EventType::UserRemoved), 0);
    // The account that is gone may come back: it is nobody else's by then.
    stage.endpoints[0].change(|ad| assert!(ad.restore(&ann_id(0))));
    for endpoint in [0, 1, 0] {
        stage.import(endpoint).await;
        stage.check("imported again");
    }
    assert_eq!(ann(&stage, 0).identities.len(), 1);
    assert_eq!(ann(&stage, 1).id, next);
}

#[tokio::test]
async fn what_cannot_be_joined_or_taken_apart_is_refused_with_a_reason() {
    let (mut stage, directory) = strangers(2).await;
    let customer = stage.customer.clone();
    let [one, two] = ids(&stage)[..] else { panic!() };
    let other = user(&stage, "ad", &ScriptedDirectory::id(900)).id;
    let group = directory.add(&customer, &Draft::group("Board")).await.unwrap().id;
    let hand = [directory.add(&customer, &Draft::user("a@x.example")).await.unwrap().id];
    let hand = [hand[0], directory.add(&customer, &Draft::user("b@x.example")).await.unwrap().id];
    let nobody = RecordId::random();
    let position = stage.store().last_position(&customer).unwrap();
    let same = directory.join(&customer, one, other).await.unwrap_err();
    assert_eq!((same.kind(), same.context("endpoint")), (&ErrorKind::Conflict, Some("ad")));
    for (kept, absorbed, kind) in [
        (one, one, ErrorKind::Config),
        (one, group, ErrorKind::Config),
        (group, one, ErrorKind::Config),
        (hand[0], hand[1], ErrorKind::Config),
        (one, nobody, ErrorKind::NotFound),
    ] {
        let refused = directory.join(&customer, kept, absorbed).await.unwrap_err();
        assert_eq!(*refused.kind(), kind, "{refused}");
    }
    assert_eq!(*directory.unjoin(&customer, one, &identity(0)).await.unwrap_err().kind(), ErrorKind::Config);
    assert_eq!(*directory.unjoin(&customer, one, &identity(1)).await.unwrap_err().kind(), ErrorKind::NotFound);
    let taken = directory.reanchor(&customer, &identity(0), other).await.unwrap_err();
    assert_eq!(*taken.kind(), ErrorKind::Conflict);
    assert_eq!(stage.store().last_position(&customer).unwrap(), position, "nothing is told");
    stage.check("refused");
    directory.join(&customer, one, two).await.unwrap();
    let gone = directory.join(&customer, one, two).await.unwrap_err();
    assert_eq!(*gone.kind(), ErrorKind::NotFound, "absorbed");
}

#[tokio::test]
async fn who_was_added_by_hand_keeps_the_id_and_is_nobodys_again_when_taken_apart() {
    let (mut stage, directory) = strangers(2).await;
    let customer = stage.customer.clone();
    let one = ids(&stage)[0];
    let draft = Draft::user("annie@home.example").set(names::FIRST_NAME, "Annie").tagged(["local"]);
    let hand = directory.add(&customer, &draft).await.unwrap().id;
    stage.check("added");
    let before = shown(&stage);
    let joined = directory.join(&customer, one, hand).await.unwrap();
    stage.check("joined");
    assert_eq!((joined.id, joined.attributes.text(&names::FIRST_NAME)), (hand, Some("Ann")));
    let refused = directory.edit(&customer, hand, &Edit::new().set(names::LAST_NAME, "x")).await.unwrap_err();
    assert_eq!(*refused.kind(), ErrorKind::Locked);
    assert_eq!(stage.import(0).await.updated, 0);
    let (stays, leaves) = directory.unjoin(&customer, hand, &identity(0)).await.unwrap();
    stage.check("apart");
    assert_eq!((stays.id, stays.lock, leaves.id), (hand, None, one));
    shown(&stage).same_as(&before, "as it was");
    directory.edit(&customer, hand, &Edit::new().set(names::LAST_NAME, "x")).await.unwrap();
    stage.check("edited");
}

#[tokio::test]
async fn edits_of_the_joined_one_stay_with_it_and_what_lies_below_is_seen_no_more() {
    let (mut stage, directory) = strangers(2).await;
    let customer = stage.customer.clone();
    let [one, two] = ids(&stage)[..] else { panic!() };
    let floor = tenantry::model::AttributeName::extra("floor");
    for (id, value) in [(one, "1"), (two, "2")] {
        directory.edit(&customer, id, &Edit::new().set(floor.clone(), value)).await.unwrap();
    }
    let joined = directory.join(&customer, two, one).await.unwrap();
    assert_eq!(joined.attributes.text(&floor), Some("2"));
    stage.check("joined");
    let withdrawn = directory.edit(&customer, two, &Edit::new().withdraw(floor.clone())).await.unwrap();
    assert_eq!(withdrawn.attributes.get(&floor), None, "not that of the absorbed one");
    stage.check("withdrawn");
    let set = directory.edit(&customer, two, &Edit::new().set(floor.clone(), "3")).await.unwrap();
    assert_eq!(set.attributes.text(&floor), Some("3"));
    let (stays, leaves) = directory.unjoin(&customer, two, &identity(0)).await.unwrap();
    stage.check("apart");
    assert_eq!((stays.id, stays.attributes.text(&floor)), (two, Some("3")));
    assert_eq!((leaves.id, leaves.attributes.get(&floor)), (one, None));
}
