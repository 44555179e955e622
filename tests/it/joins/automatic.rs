//! What imports join by themselves, what they do not, and what is told of it.

use tenantry::ErrorKind;
use tenantry::model::{
    AttributeName, ConflictReason, Edit, EventType, Feed, HandOver, JoinReason, NoticeQuery, ObjectKind, Record,
    RecordId, SourceId, TombstoneKind, Topic, Value, ValueOwner, names,
};
use tenantry::testkit::ScriptedDirectory;

use super::orders::staged;
use super::shown::shown;
use crate::operations::{Replica, Stage, name};
use crate::world::count;

const ANN: u128 = 7;

/// One person at each endpoint, and enough others for one to go.
pub(super) async fn ann_at(endpoints: usize) -> Stage {
    let directories: Vec<_> = (0..endpoints)
        .map(|endpoint| {
            let mut directory = ScriptedDirectory::new(&format!("domain-{endpoint}"));
            directory.tombstones_readable = true;
            for number in 0..12 {
                let other = directory.add_user(900 + 20 * endpoint as u128 + number, "oslo");
                directory.set(&other, names::PRIMARY_EMAIL, format!("other{endpoint}.{number}@corp.example"));
            }
            let ann = directory.add_user(ann_no(endpoint), "oslo");
            directory.set(&ann, names::PRIMARY_EMAIL, "ann@corp.example");
            directory.set(&ann, names::FIRST_NAME, "Ann");
            directory.set(&ann, names::LAST_NAME, "Lee");
            directory
        })
        .collect();
    staged(&directories).await
}

pub(super) fn ann_no(endpoint: usize) -> u128 {
    // The order of ids is not that of the endpoints.
    ANN + 100 * (5 - endpoint as u128)
}

pub(super) fn ann_id(endpoint: usize) -> SourceId {
    ScriptedDirectory::id(ann_no(endpoint))
}

/// Returns the user that has an identity.
#[track_caller]
pub(super) fn user(stage: &Stage, endpoint: &str, id: &SourceId) -> Record {
    let users = stage.store().records(&stage.customer, ObjectKind::User, None, 9999).unwrap();
    let mut having = users
        .into_iter()
        .filter(|user| user.identities.iter().any(|one| one.endpoint == name(endpoint) && one.source_id == *id));
    let found = having.next().unwrap();
    assert_eq!(having.next(), None);
    found
}

pub(super) fn ann(stage: &Stage, endpoint: usize) -> Record {
    user(stage, ["ad", "cloud", "google"][endpoint], &ann_id(endpoint))
}

#[tokio::test]
async fn a_value_is_that_of_the_first_endpoint_that_knows_it_and_explained() {
    let mut stage = ann_at(3).await;
    let title = AttributeName::extra("title");
    stage.endpoints[1].change(|cloud| {
        cloud.set(&ann_id(1), names::USERNAME, "ann.lee@corp.example");
        cloud.set(&ann_id(1), names::MFA, "enrolled");
        cloud.set(&ann_id(1), title.clone(), "Boss");
    });
    stage.endpoints[2].change(|google| google.set(&ann_id(2), title.clone(), "Head"));
    for endpoint in [2, 1, 0] {
        stage.import(endpoint).await;
        stage.check("imported");
    }
    let record = ann(&stage, 0);
    assert_eq!(record.identities.len(), 3);
    assert_eq!(record.attributes.text(&names::USERNAME), Some("user507"));
    assert_eq!(record.attributes.text(&names::MFA), Some("enrolled"));
    assert_eq!(record.attributes.text(&title), Some("Boss"));
    let lock = record.lock.unwrap();
    assert_eq!((lock.endpoint, lock.others), (name("ad"), vec![name("cloud"), name("google")]));
    let directory = stage.service.directory();
    let told = directory.explain(&stage.customer, record.id, &names::USERNAME).await.unwrap().unwrap();
    assert_eq!(told.owner, ValueOwner::Endpoint(name("ad")));
    assert_eq!(told.overruled[&name("cloud")], "ann.lee@corp.example");
    assert_eq!(told.overruled[&name("google")], "user307");
    let told = directory.explain(&stage.customer, record.id, &title).await.unwrap().unwrap();
    assert_eq!(told.owner, ValueOwner::Endpoint(name("cloud")));
    assert_eq!(told.overruled.keys().collect::<Vec<_>>(), [&name("google")]);
    // Whose value counts is who is named as the owner.
    let refused = directory.edit(&stage.customer, record.id, &Edit::new().set(title.clone(), "x")).await.unwrap_err();
    assert_eq!((refused.kind(), refused.context("owner")), (&ErrorKind::Locked, Some("cloud")));
    // And who may leave it to local editors.
    directory.set_yielded(&stage.customer, &name("cloud"), [title.clone()]).await.unwrap();
    let edited = directory.edit(&stage.customer, record.id, &Edit::new().set(title.clone(), "x")).await.unwrap();
    assert_eq!(edited.attributes.text(&title), Some("x"));
    stage.check("edited");
    let details = directory.details(&stage.customer, record.id).await.unwrap().unwrap();
    assert_eq!(details.sources.len(), 3);
    let reasons: Vec<_> = details.joins.iter().map(|join| (join.endpoint.as_str(), join.reason)).collect();
    assert_eq!(reasons.len(), 2, "{reasons:?}");
    assert!(reasons.iter().all(|(_, reason)| *reason == JoinReason::VerifiedAddress), "{reasons:?}");
    assert!(details.joins.iter().all(|join| join.run.is_some() && join.with.is_some()));
}

#[tokio::test]
async fn what_becomes_known_later_merges_two_users_and_nobody_is_removed() {
    let mut stage = ann_at(2).await;
    stage.endpoints[1].change(|cloud| cloud.set(&ann_id(1), names::PRIMARY_EMAIL, "lee@corp.example"));
    stage.import_all().await;
    let (at_ad, at_cloud) = (ann(&stage, 0).id, ann(&stage, 1).id);
    assert_ne!(at_ad, at_cloud);
    let directory = stage.service.directory();
    directory.set_tags(&stage.customer, at_cloud, ["vip"]).await.unwrap();
    stage.check("apart");
    let before = stage.store().last_position(&stage.customer).unwrap();
    stage.endpoints[1].change(|cloud| cloud.set(&ann_id(1), names::PRIMARY_EMAIL, "ann@corp.example"));
    let report = stage.import(1).await;
    stage.check("merged");
    let events = stage.events(before);
    assert_eq!(count(&events, EventType::UserRemoved), 0);
    let merged: Vec<_> = events.iter().filter(|event| event.event_type == EventType::UserMerged).collect();
    assert_eq!(merged.len(), 1);
    let data = merged[0].data_value();
    assert_eq!(
        (data["kept"].clone(), data["absorbed"].clone()),
        (at_ad.to_string().into(), at_cloud.to_string().into())
    );
    assert_eq!(data["record"]["identities"].as_array().unwrap().len(), 2);
    assert_eq!(data["record"]["attributes"]["tags"], serde_json::json!(["vip"]), "what was local shows");
    assert_eq!(report.updated, 2, "the changed address, and the merging");
    assert_eq!(stage.store().record(&stage.customer, at_cloud).unwrap(), None);
    assert_eq!(stage.store().totals(&stage.customer).unwrap().users, 25);
}

#[tokio::test]
async fn an_address_that_is_handed_on_is_a_conflict_and_never_a_merge() {
    for same_names in [false, true] {
        let mut stage = ann_at(2).await;
        stage.import_all().await;
        let before = ann(&stage, 0);
        assert_eq!(before.identities.len(), 2);
        let bob = stage.endpoints[0].change(|ad| {
            ad.set(&ann_id(0), names::PRIMARY_EMAIL, "ann.lee@corp.example");
            let bob = ad.add_user(50, "oslo");
            ad.set(&bob, names::PRIMARY_EMAIL, "ann@corp.example");
            if same_names {
                ad.set(&bob, names::FIRST_NAME, "Ann");
                ad.set(&bob, names::LAST_NAME, "Lee");
            }
            bob
        });
        let position = stage.store().last_position(&stage.customer).unwrap();
        stage.import(0).await;
        stage.check("handed on");
        let events = stage.events(position);
        assert_eq!((count(&events, EventType::UserMerged), count(&events, EventType::ConflictFound)), (0, 1));
        assert_eq!(user(&stage, "ad", &bob).identities.len(), 1);
        assert_eq!(ann(&stage, 0).id, before.id);
        let directory = stage.service.directory();
        let conflicts = directory.conflicts(&stage.customer).await.unwrap();
        assert_eq!(conflicts[0].others, [before.id]);
        let reason = if same_names { ConflictReason::JoinedOtherwise } else { ConflictReason::AddressWithOtherNames };
        assert_eq!(conflicts[0].reason, reason);
        let probable = directory.probable_joins(&stage.customer, 9).await.unwrap();
        assert_eq!(probable.len(), 1, "{probable:?}");
        assert_eq!(stage.import(0).await.updated, 0);
        assert_eq!(directory.conflicts(&stage.customer).await.unwrap().len(), 1, "told once");
    }
}

#[tokio::test]
async fn a_record_goes_with_its_last_identity_and_one_that_goes_takes_its_values_along() {
    let mut stage = ann_at(2).await;
    stage.endpoints[0].change(|ad| ad.set(&ann_id(0), names::STATE, "suspended"));
    stage.import_all().await;
    let record = ann(&stage, 0);
    assert_eq!(record.attributes.text(&names::STATE), Some("suspended"));
    stage.endpoints[0].change(|ad| ad.delete_as(&ann_id(0), TombstoneKind::Soft));
    stage.import(0).await;
    stage.check("gone from one");
    let left = ann(&stage, 1);
    assert_eq!((left.id, left.identities.len()), (record.id, 1));
    assert_eq!(left.attributes.text(&names::STATE), Some("active"));
    assert_eq!(left.lock.unwrap().endpoint, name("cloud"));
    // Who is hired under a new id is not taken for the one who may come back.
    let hired = stage.endpoints[0].change(|ad| {
        let hired = ad.add_user(51, "oslo");
        ad.set(&hired, names::PRIMARY_EMAIL, "ann@corp.example");
        ad.set(&hired, names::FIRST_NAME, "Ann");
        ad.set(&hired, names::LAST_NAME, "Lee");
        hired
    });
    stage.import(0).await;
    stage.check("hired");
    assert_ne!(user(&stage, "ad", &hired).id, record.id);
    stage.endpoints[0].change(|ad| ad.restore(&ann_id(0)));
    stage.import(0).await;
    stage.check("back");
    assert_eq!((ann(&stage, 0).id, ann(&stage, 0).identities.len()), (record.id, 2));
    for endpoint in [0, 1] {
        stage.endpoints[endpoint].change(|directory| directory.delete(&ann_id(endpoint)));
    }
    let position = stage.store().last_position(&stage.customer).unwrap();
    stage.import(0).await;
    assert_eq!(count(&stage.events(position), EventType::UserRemoved), 0);
    stage.import(1).await;
    stage.check("gone");
    assert_eq!(count(&stage.events(position), EventType::UserRemoved), 1);
    assert_eq!(stage.store().record(&stage.customer, record.id).unwrap(), None);
}

#[tokio::test]
async fn missing_at_one_endpoint_is_not_missing() {
    let mut stage = ann_at(2).await;
    for (at, endpoint) in stage.endpoints.iter().enumerate() {
        endpoint.change(|directory| directory.move_to(&ann_id(at), "attic"));
    }
    stage.import_all().await;
    for endpoint in [0, 1] {
        // Absent without a proof.
        stage.endpoints[endpoint].lie([tenantry::testkit::Lie::Hides("attic".into())]);
        assert_eq!(stage.import(endpoint).await.missing, 1);
        stage.check("missing");
        assert_eq!(ann(&stage, 0).missing_since.is_some(), endpoint == 1);
    }
}

#[tokio::test]
async fn a_weak_id_and_its_next_one_are_the_same_person() {
    let mut stage = ann_at(2).await;
    // At first the mail server is asked by a protocol that has addresses only.
    let weak = SourceId::address("ann@corp.example");
    stage.endpoints[1].change(|mail| {
        let object = mail.objects.remove(&ann_id(1)).unwrap();
        mail.objects.insert(weak.clone(), object);
    });
    for order in [[0, 1], [1, 0]] {
        for endpoint in order {
            stage.import(endpoint).await;
            stage.check("weak");
        }
    }
    let record = ann(&stage, 0);
    assert_eq!(user(&stage, "cloud", &weak).id, record.id);
    // Then by one that knows the directory's own ids.
    stage.endpoints[1].change(|mail| {
        let object = mail.objects.remove(&weak).unwrap();
        mail.objects.insert(ann_id(1), object);
    });
    stage.import(1).await;
    stage.check("strong");
    let now = ann(&stage, 1);
    assert_eq!(now.id, record.id, "{now:?}");
    assert_eq!(now.missing_since, None);
    assert_eq!(stage.import(1).await.created, 0);
}

#[tokio::test]
async fn an_anchor_that_is_learned_takes_its_object_out_of_what_names_alone_had_joined() {
    let mut stage = ann_at(2).await;
    stage.import_all().await;
    let (record, namesake) = (ann(&stage, 0), ScriptedDirectory::id(61));
    assert_eq!(record.identities.len(), 2);
    stage.endpoints[1].change(|cloud| {
        let id = cloud.add_user(61, "oslo");
        cloud.anchor(&id, "object-guid", &ann_id(0).to_string());
    });
    stage.endpoints[0].change(|ad| ad.anchor(&ann_id(0), "object-guid", &ann_id(0).to_string()));
    let position = stage.store().last_position(&stage.customer).unwrap();
    stage.import(0).await;
    stage.import(1).await;
    stage.check("anchored");
    let events = stage.events(position);
    assert_eq!((count(&events, EventType::UserSplit), count(&events, EventType::UserRemoved)), (1, 0));
    assert_eq!(ann(&stage, 0).id, record.id);
    assert_eq!(user(&stage, "cloud", &namesake).id, record.id);
    assert_ne!(ann(&stage, 1).id, record.id);
}

#[tokio::test]
async fn groups_and_computers_are_joined_by_anchors_and_keep_the_members_of_each() {
    let mut stage = ann_at(2).await;
    for (endpoint, number) in [(0, 5), (1, 105)] {
        stage.endpoints[endpoint].change(|directory| {
            let group = directory.add_group(800 + number);
            directory.anchor(&group, "security-id", "S-1-5-32-1");
            directory.add_member(&group, &ann_id(endpoint));
            directory.add_member(&group, &ScriptedDirectory::id(900 + 20 * endpoint as u128));
            let lonely = directory.add_group(820 + number);
            directory.set(&lonely, names::NAME, "Same name");
        });
    }
    stage.import_all().await;
    stage.check("imported");
    let groups = stage.store().records(&stage.customer, ObjectKind::Group, None, 99).unwrap();
    let joined: Vec<&Record> = groups.iter().filter(|group| group.identities.len() == 2).collect();
    assert_eq!((joined.len(), groups.iter().filter(|group| group.identities.len() == 1).count()), (1, 2));
    let (members, all) = stage.store().members(&stage.customer, joined[0].id).unwrap();
    assert_eq!((members.len(), all), (3, 3), "Ann once, and two others");
    assert!(stage.store().groups_of(&stage.customer, ann(&stage, 0).id).unwrap().contains(&joined[0].id));
    stage.endpoints[1].change(|cloud| {
        cloud.members.get_mut(&ScriptedDirectory::id(905)).unwrap().clear();
    });
    let report = stage.import(1).await;
    stage.check("emptied");
    assert_eq!(report.members_removed, 2);
    let (members, _) = stage.store().members(&stage.customer, joined[0].id).unwrap();
    assert!(members.contains(&ann(&stage, 0).id), "the other endpoint's members stay");
    let directory = stage.service.directory();
    let details = directory.details(&stage.customer, joined[0].id).await.unwrap().unwrap();
    assert_eq!(details.members, Some((2, 2)));
}

#[tokio::test]
async fn an_endpoint_that_is_removed_leaves_the_others_records_and_takes_them_up_again() {
    for hand_over in [HandOver::Unlocked, HandOver::Archived] {
        let mut stage = ann_at(2).await;
        stage.import_all().await;
        let (record, before) = (ann(&stage, 0), shown(&stage));
        let other = user(&stage, "ad", &ScriptedDirectory::id(900));
        stage.service.remove_endpoint(&stage.customer, &name("ad"), hand_over).await.unwrap();
        stage.check("removed");
        let left = ann(&stage, 1);
        assert_eq!((left.id, left.identities.len(), left.archived), (record.id, 1, false));
        assert_eq!(left.lock.unwrap().endpoint, name("cloud"));
        let handed_over = stage.store().record(&stage.customer, other.id).unwrap().unwrap();
        assert_eq!((handed_over.lock, handed_over.archived), (None, hand_over == HandOver::Archived));
        assert_eq!(stage.import(1).await.updated, 0);
        stage.register().await;
        stage.import_all().await;
        stage.check("configured again");
        assert_eq!(ann(&stage, 0).id, record.id);
        if hand_over == HandOver::Unlocked {
            shown(&stage).same_as(&before, "the same as before");
        }
        let mut replayed = Replica::default();
        replayed.follow(stage.store(), &stage.customer);
        replayed.same_as(&stage.live, "replayed");
    }
}

#[tokio::test]
async fn who_is_erased_is_erased_with_all_identities_and_absorbed_ids() {
    let mut stage = ann_at(2).await;
    stage.endpoints[1].change(|cloud| cloud.set(&ann_id(1), names::PRIMARY_EMAIL, "ann.cloud@corp.example"));
    stage.import_all().await;
    let (kept, absorbed) = (ann(&stage, 0).id, ann(&stage, 1).id);
    let directory = stage.service.directory();
    directory.set_tags(&stage.customer, absorbed, ["secret tag"]).await.unwrap();
    directory.join(&stage.customer, kept, absorbed).await.unwrap();
    stage.check("joined");
    // By the id that she had once.
    let erased = stage.service.erase(&stage.customer, &[absorbed]).await.unwrap();
    assert_eq!(erased.records, 1);
    stage.check("erased");
    let words = ["ann.cloud@corp.example", "ann@corp.example", "secret tag"];
    assert_eq!(crate::operations::found_in(stage.folder.path(), &words), Vec::<String>::new());
    for id in [kept, absorbed] {
        assert_eq!(stage.store().record(&stage.customer, id).unwrap(), None);
    }
    let file = rusqlite::Connection::open(stage.path()).unwrap();
    for table in ["absorbed", "joins", "apart"] {
        let rows: i64 = file.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap();
        assert_eq!(rows, 0, "{table}");
    }
    let keys: i64 = file
        .query_row("SELECT count(*) FROM join_keys WHERE object_no NOT IN (SELECT object_no FROM objects)", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert_eq!(keys, 0);
    let fresh = stage.import(0).await;
    assert_eq!(fresh.created, 1, "what the remote still shows comes back");
}

#[tokio::test]
async fn what_more_than_a_few_share_tells_nothing_of_any_of_them() {
    let mut stage = ann_at(2).await;
    for endpoint in [0, 1] {
        stage.endpoints[endpoint].change(|directory| {
            for number in 0..70 {
                let user = directory.add_user(1000 + 500 * endpoint as u128 + number, "oslo");
                directory.set(&user, names::PRIMARY_EMAIL, Value::Empty);
                directory.set(&user, names::ALIASES, Value::list(["noreply@corp.example"]));
            }
        });
    }
    stage.import_all().await;
    stage.check("imported");
    assert_eq!(stage.service.directory().conflicts(&stage.customer).await.unwrap(), []);
}

/// A customer with one endpoint keeps no index; one that gets a second one has it built, and one that loses it empties it.
#[tokio::test]
async fn only_customers_with_several_endpoints_keep_an_index_of_joins() {
    let mut stage = ann_at(2).await;
    let second = stage.endpoints.pop().unwrap();
    stage.service = tenantry::Service::new(std::sync::Arc::new(
        tenantry::SqliteStore::open(stage.folder.path().join("other.db")).unwrap(),
    ));
    stage.register().await;
    let keys = |stage: &Stage| -> i64 {
        let file = rusqlite::Connection::open(stage.folder.path().join("other.db")).unwrap();
        file.query_row("SELECT count(*) FROM join_keys", [], |row| row.get(0)).unwrap()
    };
    stage.import(0).await;
    assert_eq!(keys(&stage), 0);
    stage.endpoints.push(second);
    stage.register().await;
    stage.import(1).await;
    assert_eq!(ann(&stage, 1).identities.len(), 2);
    assert_eq!(keys(&stage), 26);
    stage.service.remove_endpoint(&stage.customer, &name("cloud"), HandOver::Unlocked).await.unwrap();
    stage.import(0).await;
    assert_eq!(keys(&stage), 0);
    let _: RecordId = ann(&stage, 0).id;
}

#[tokio::test]
async fn groups_and_computers_that_turn_out_to_be_the_same_later_stay_apart_and_say_why() {
    let mut stage = ann_at(2).await;
    let group = |endpoint: usize| ScriptedDirectory::id(830 + 100 * endpoint as u128);
    let computer = |endpoint: usize| ScriptedDirectory::id(831 + 100 * endpoint as u128);
    for endpoint in [0, 1] {
        stage.endpoints[endpoint].change(|directory| {
            directory.add_group(830 + 100 * endpoint as u128);
            directory.add_computer(831 + 100 * endpoint as u128, "oslo");
            directory.add_member(&group(endpoint), &ann_id(endpoint));
        });
    }
    stage.import_all().await;
    stage.check("imported");
    for endpoint in [0, 1] {
        stage.endpoints[endpoint].change(|directory| {
            directory.anchor(&group(endpoint), "security-id", "S-1-5-32-9");
            directory.anchor(&computer(endpoint), "object-guid", "one machine");
        });
    }
    let position = stage.store().last_position(&stage.customer).unwrap();
    stage.import_all().await;
    stage.check("anchored");
    let events = stage.events(position);
    assert_eq!(count(&events, EventType::ConflictFound), 2, "{events:?}");
    assert_eq!(count(&events, EventType::GroupRemoved) + count(&events, EventType::ComputerRemoved), 0);
    let directory = stage.service.directory();
    let conflicts = directory.conflicts(&stage.customer).await.unwrap();
    assert_eq!(conflicts.iter().map(|one| one.reason).collect::<Vec<_>>(), [ConflictReason::LateAnchor; 2]);
    for conflict in &conflicts {
        for id in [conflict.record, conflict.others[0]] {
            let query = NoticeQuery::new(Feed::Suggestions).of(id);
            let told = directory.notices(&stage.customer, &query, None, 9).await.unwrap().entries;
            let told: Vec<_> = told.iter().filter(|one| one.topic == Topic::Duplicate).collect();
            assert!(told.len() == 1 && told[0].text.contains("the same"), "{told:?}");
        }
    }
    // Told once; and a group that is made anew over there joins as every new one does.
    let position = stage.store().last_position(&stage.customer).unwrap();
    stage.import_all().await;
    assert_eq!(count(&stage.events(position), EventType::ConflictFound), 0);
    stage.endpoints[1].change(|cloud| {
        cloud.delete(&group(1));
        let anew = cloud.add_group(940);
        cloud.anchor(&anew, "security-id", "S-1-5-32-9");
        cloud.add_member(&anew, &ann_id(1));
    });
    stage.import_all().await;
    stage.check("made anew");
    let groups = stage.store().records(&stage.customer, ObjectKind::Group, None, 99).unwrap();
    assert_eq!(groups.iter().filter(|group| group.identities.len() == 2).count(), 1, "{groups:?}");
    let left = directory.notices(&stage.customer, &NoticeQuery::new(Feed::Suggestions), None, 9).await.unwrap().entries;
    assert_eq!(left.iter().filter(|one| one.topic == Topic::Duplicate).count(), 1, "that of the computers");
}

/// A machine of two endpoints, whose owner the first one does not know.
#[tokio::test]
async fn whose_a_machine_is_counts_in_the_endpoint_that_says_so() {
    for order in [[0, 1], [1, 0]] {
        let mut stage = ann_at(2).await;
        let machine = |endpoint: u128| ScriptedDirectory::id(5000 + endpoint);
        for endpoint in 0..2 {
            stage.endpoints[endpoint].change(|directory| {
                let machine = directory.add_computer(5000 + endpoint as u128, "machines");
                directory.anchor(&machine, "object-guid", "the machine");
            });
        }
        // Who owns it is nobody whom the first endpoint shows.
        let owner = ScriptedDirectory::id(920);
        stage.endpoints[1].change(|cloud| cloud.set(&machine(1), names::OWNER, owner.to_string()));
        for endpoint in order {
            stage.import(endpoint).await;
            stage.check("imported");
        }
        let person = user(&stage, "cloud", &owner);
        let of = |stage: &Stage| {
            let computers = stage.store().records(&stage.customer, ObjectKind::Computer, None, 9).unwrap();
            let [computer] = computers.try_into().unwrap();
            computer
        };
        let computer = of(&stage);
        assert_eq!((computer.identities.len(), computer.lock.as_ref().unwrap().endpoint.as_str()), (2, "ad"));
        let named = computer.owner.unwrap();
        assert_eq!((named.endpoint, named.id), (name("cloud"), person.id));
        // The page of the owner shows it; that what was told names him, the checks see.
        let details = stage.service.directory().details(&stage.customer, person.id).await.unwrap().unwrap();
        assert_eq!(details.computers.iter().map(|one| one.id).collect::<Vec<_>>(), [computer.id]);
        // The first endpoint learns of another owner: its word counts.
        stage.endpoints[0].change(|ad| ad.set(&machine(0), names::OWNER, ann_id(0).to_string()));
        stage.import(0).await;
        stage.check("the first endpoint names an owner");
        let named = of(&stage).owner.unwrap();
        assert_eq!((named.endpoint, named.id), (name("ad"), ann(&stage, 0).id));
        let details = stage.service.directory().details(&stage.customer, person.id).await.unwrap().unwrap();
        assert_eq!(details.computers, []);
        // It leaves there: who is left says whose it is.
        stage.endpoints[0].change(|ad| ad.delete(&machine(0)));
        stage.import(0).await;
        stage.check("removed at the first endpoint");
        let named = of(&stage).owner.unwrap();
        assert_eq!((named.endpoint, named.id), (name("cloud"), person.id));
    }
}
