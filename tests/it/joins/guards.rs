//! What keeps people apart, and what must not: each guard of the joining with a history that only it decides.

use tenantry::model::{ConflictReason, EventType, Filter, JoinReason, Query, SourceId, TombstoneKind, Value, names};
use tenantry::testkit::ScriptedDirectory;

use super::accounts::{Account, FREE, NAMED, VERIFIED, accounts, anchored, id_of, of, put, reasons, told};
use super::automatic::{ann, ann_at, ann_id, ann_no, user};
use crate::operations::name;
use crate::world::count;

#[tokio::test]
async fn nobody_is_joined_with_who_is_gone_and_who_comes_back_is_joined() {
    for kind in [TombstoneKind::Soft, TombstoneKind::Hard] {
        let mut stage = accounts(&[&[NAMED], &[NAMED]]).await;
        stage.import(1).await;
        let was = of(&stage, 1, 0).id;
        stage.endpoints[1].change(|cloud| cloud.delete_as(&id_of(1, 0), kind));
        stage.import(1).await;
        stage.check("gone");
        assert_eq!(stage.store().record(&stage.customer, was).unwrap(), None);
        stage.import(0).await;
        stage.check("another comes");
        let now = of(&stage, 0, 0);
        assert_ne!(now.id, was);
        assert_eq!(stage.store().record(&stage.customer, was).unwrap(), None, "nobody brings back who is gone");
        if kind == TombstoneKind::Hard {
            continue;
        }
        stage.endpoints[1].change(|cloud| cloud.restore(&id_of(1, 0)));
        let position = stage.store().last_position(&stage.customer).unwrap();
        stage.import(1).await;
        stage.check("back");
        assert_eq!(of(&stage, 0, 0).identities.len(), 2, "nothing of it has changed, and it is there again");
        assert_eq!(told(&stage, position)[1..], [1, 0, 0]);
    }
}

#[tokio::test]
async fn who_was_taken_apart_is_not_brought_together_by_a_third() {
    let mut stage = ann_at(3).await;
    for endpoint in [0, 1] {
        stage.import(endpoint).await;
    }
    let directory = stage.service.directory();
    let record = ann(&stage, 0);
    directory.unjoin(&stage.customer, record.id, &record.identities[1]).await.unwrap();
    stage.check("apart");
    let position = stage.store().last_position(&stage.customer).unwrap();
    stage.import(2).await;
    stage.check("a third");
    assert_ne!(ann(&stage, 0).id, ann(&stage, 1).id);
    assert_eq!(ann(&stage, 0).identities.len() + ann(&stage, 1).identities.len(), 3, "the third is with one of them");
    assert_eq!(told(&stage, position)[1..], [0, 0, 0]);
    let conflicts = directory.conflicts(&stage.customer).await.unwrap();
    assert_eq!(conflicts.iter().map(|one| one.reason).collect::<Vec<_>>(), [ConflictReason::JoinedOtherwise]);
}

#[tokio::test]
async fn a_third_brings_together_who_have_nothing_in_common() {
    let third = Account { anchors: &[("object-guid", "g"), ("security-id", "s")], ..VERIFIED };
    for late in [false, true] {
        let mut stage =
            accounts(&[&[anchored(&[("object-guid", "g")])], &[anchored(&[("security-id", "s")])], &[]]).await;
        stage.import_all().await;
        stage.check("two");
        if late {
            stage.endpoints[2].change(|google| put(google, 300, Account { anchors: &[], ..third }));
            stage.import(2).await;
            stage.endpoints[2].change(|google| put(google, 300, third));
        } else {
            stage.endpoints[2].change(|google| put(google, 300, third));
        }
        let position = stage.store().last_position(&stage.customer).unwrap();
        stage.import(2).await;
        stage.check("one");
        assert_eq!(of(&stage, 0, 0).identities.len(), 3);
        let [_, merged, split, removed] = told(&stage, position);
        assert_eq!((merged, split, removed), (1 + usize::from(late), 0, 0));
    }
}

#[tokio::test]
async fn a_new_object_goes_to_whom_the_strongest_reason_leads_and_says_who_else_it_may_be() {
    // Two who have a namesake of their own at the third endpoint's neighbour: they exclude each other.
    let ad: &[Account] = &[anchored(&[("object-guid", "g")]), NAMED];
    let mut stage = accounts(&[ad, &[NAMED], &[]]).await;
    stage.import_all().await;
    assert_eq!(of(&stage, 0, 1).identities.len(), 2);
    stage.endpoints[2].change(|google| put(google, 300, Account { anchors: &[("object-guid", "g")], ..NAMED }));
    let position = stage.store().last_position(&stage.customer).unwrap();
    stage.import(2).await;
    stage.check("imported");
    assert_eq!(of(&stage, 2, 0).id, of(&stage, 0, 0).id);
    assert_eq!(of(&stage, 0, 1).identities.len(), 2);
    assert_eq!(told(&stage, position), [1, 0, 0, 0], "at once, and nobody else is touched");
    let conflicts = stage.service.directory().conflicts(&stage.customer).await.unwrap();
    assert_eq!(conflicts.len(), 1, "{conflicts:?}");
    assert_eq!((conflicts[0].reason, conflicts[0].others[0]), (ConflictReason::JoinedOtherwise, of(&stage, 0, 1).id));
}

#[tokio::test]
async fn whose_place_is_taken_gets_it_back_from_the_one_who_came_later() {
    let mut stage = ann_at(2).await;
    stage.import_all().await;
    let record = ann(&stage, 0).id;
    stage.service.remove_endpoint(&stage.customer, &name("ad"), tenantry::model::HandOver::Unlocked).await.unwrap();
    let next = ScriptedDirectory::id(51);
    stage.endpoints[0].change(|ad| {
        let object = ad.objects.remove(&ann_id(0)).unwrap();
        ad.objects.insert(next.clone(), object);
    });
    stage.register().await;
    stage.import_all().await;
    stage.check("another id");
    assert_eq!(user(&stage, "ad", &next).id, record);
    // Who founded the record is there again, and nobody else has what it was joined by.
    stage.endpoints[0].change(|ad| {
        put(ad, ann_no(0), NAMED);
        ad.set(&next, names::PRIMARY_EMAIL, "next@corp.example");
    });
    let position = stage.store().last_position(&stage.customer).unwrap();
    stage.import(0).await;
    stage.check("back");
    assert_eq!((ann(&stage, 0).id, ann(&stage, 1).id), (record, record));
    assert_eq!(ann(&stage, 0).identities.len(), 2);
    assert_eq!(user(&stage, "ad", &next).identities.len(), 1);
    assert_eq!(told(&stage, position)[1..], [0, 1, 0]);
}

#[tokio::test]
async fn a_founder_that_is_gone_leaves_the_record_to_the_living() {
    let mut stage = ann_at(2).await;
    stage.import_all().await;
    let record = ann(&stage, 1).id;
    stage.endpoints[0].change(|ad| ad.delete_as(&ann_id(0), TombstoneKind::Soft));
    stage.import(0).await;
    stage.check("gone");
    // It turns out that she is somebody else there, who is no newer than the record.
    let other = ScriptedDirectory::id(901);
    stage.endpoints[0].change(|ad| ad.anchor(&other, "object-guid", "g"));
    stage.endpoints[1].change(|cloud| cloud.anchor(&ann_id(1), "object-guid", "g"));
    let (there, position) = (user(&stage, "ad", &other).id, stage.store().last_position(&stage.customer).unwrap());
    stage.import_all().await;
    stage.check("anchored");
    let now = ann(&stage, 1);
    assert_eq!(now.identities.len(), 2);
    let [_, merged, split, removed] = told(&stage, position);
    assert_eq!((merged, split, removed), (1, 0, 0), "who is gone leaves without a word");
    let events = stage.events(position);
    let merged = events.iter().find(|event| event.event_type == EventType::UserMerged).unwrap().data_value();
    let mut ids = [merged["kept"].as_str().unwrap(), merged["absorbed"].as_str().unwrap()];
    ids.sort_unstable();
    let mut expected = [record.to_string(), there.to_string()];
    expected.sort_unstable();
    assert_eq!(ids.to_vec(), expected, "the living kept the id");
    assert_eq!(
        reasons(&stage, now.id).await,
        [JoinReason::DirectoryId],
        "what joined her with who is gone is forgotten"
    );
    // And who is gone may come back, as somebody else.
    stage.endpoints[0].change(|ad| ad.restore(&ann_id(0)));
    stage.import(0).await;
    stage.check("back");
    assert_eq!(ann(&stage, 0).identities.len(), 1);
}

#[tokio::test]
async fn who_leave_a_record_together_stay_together_only_if_something_says_so() {
    // In the directory she has an address of each of two who have nothing in common with each other.
    let ad = Account { email: "ann@corp.example", alias: "lee@corp.example", ..NAMED };
    let google = Account { email: "lee@corp.example", ..NAMED };
    for together in [false, true] {
        // The other one is two already.
        let other = anchored(&[("object-guid", "g")]);
        let mut stage = accounts(&[&[ad], &[NAMED, other], &[google, other]]).await;
        if together {
            for endpoint in [1, 2] {
                stage.endpoints[endpoint].change(|directory| directory.anchor(&id_of(endpoint, 0), "security-id", "s"));
            }
        }
        stage.import_all().await;
        stage.check("joined");
        assert_eq!((of(&stage, 0, 0).identities.len(), of(&stage, 1, 1).identities.len()), (3, 2));
        stage.endpoints[0].change(|ad| ad.anchor(&id_of(0, 0), "object-guid", "g"));
        stage.import(0).await;
        stage.check("anchored");
        assert_eq!((of(&stage, 0, 0).id, of(&stage, 0, 0).identities.len()), (of(&stage, 1, 1).id, 3));
        assert_eq!(of(&stage, 1, 0).id == of(&stage, 2, 0).id, together);
    }
}

#[tokio::test]
async fn who_was_held_together_by_one_who_is_gone_stays_together() {
    // Nothing but the cloud says that they are one.
    let (ad, google) = (anchored(&[("object-guid", "g")]), anchored(&[("security-id", "s")]));
    let cloud = anchored(&[("object-guid", "g"), ("security-id", "s")]);
    let mut stage = accounts(&[&[ad], &[cloud], &[google]]).await;
    for endpoint in [0, 2, 1] {
        stage.import(endpoint).await;
    }
    stage.check("joined");
    assert_eq!(of(&stage, 0, 0).identities.len(), 3);
    stage.service.remove_endpoint(&stage.customer, &name("cloud"), tenantry::model::HandOver::Unlocked).await.unwrap();
    stage.check("removed");
    // Somebody there is known to google too, by no more than a name: that is no reason to take her apart.
    stage.endpoints[1].change(|cloud| {
        cloud.delete(&id_of(1, 0));
        put(cloud, 201, Account { anchors: &[("object-guid", "h")], ..FREE });
    });
    stage.endpoints[2].change(|google| put(google, 301, FREE));
    stage.register().await;
    stage.import_all().await;
    stage.check("configured again");
    assert_eq!((of(&stage, 0, 0).id, of(&stage, 1, 1).id), (of(&stage, 2, 0).id, of(&stage, 2, 1).id));
    stage.endpoints[0].change(|ad| ad.anchor(&id_of(0, 0), "object-guid", "h"));
    stage.import(0).await;
    stage.check("anchored");
    assert_eq!((of(&stage, 0, 0).id, of(&stage, 1, 1).id), (of(&stage, 2, 0).id, of(&stage, 0, 0).id));
    assert_eq!(of(&stage, 2, 1).identities.len(), 1);
}

#[tokio::test]
async fn a_weak_id_that_is_seen_keeps_its_place_and_one_that_is_not_seen_leaves_it() {
    let weak = SourceId::address("ann@corp.example");
    // The next id: new, known for long, or known for long and learning who it is while the weak one goes.
    for (stays, known, same_run) in
        [(true, false, true), (false, false, true), (false, false, false), (false, true, true), (false, true, false)]
    {
        let what = format!("{stays} {known} {same_run}");
        let mut stage = accounts(&[&[Account { anchors: &[("object-guid", "g")], ..VERIFIED }], &[]]).await;
        stage.endpoints[1].change(|mail| {
            let strong = put(mail, 200, VERIFIED);
            let object = mail.objects.remove(&strong).unwrap();
            mail.objects.insert(weak.clone(), object);
            if known {
                put(mail, 201, Account { email: "lee@corp.example", ..VERIFIED });
            }
        });
        stage.import_all().await;
        stage.check(&what);
        let record = user(&stage, "cloud", &weak).id;
        assert_eq!(of(&stage, 0, 0).id, record, "{what}");
        if !stays {
            stage.endpoints[1].change(|mail| mail.objects.remove(&weak));
            if !same_run {
                stage.import(1).await;
                stage.check(&what);
            }
        }
        stage.endpoints[1].change(|mail| {
            if stays {
                put(mail, 201, anchored(&[("object-guid", "g")]));
            } else {
                put(mail, 201, VERIFIED);
            }
        });
        let position = stage.store().last_position(&stage.customer).unwrap();
        stage.import(1).await;
        stage.check(&what);
        assert_eq!((of(&stage, 1, 1).id, of(&stage, 0, 0).id), (record, record), "{what}");
        let [_, merged, split, removed] = told(&stage, position);
        if stays {
            // Both are seen, so they are two: the stronger reason takes the place.
            assert_ne!(user(&stage, "cloud", &weak).id, record, "{what}");
            assert_eq!((split, removed), (1, 0), "{what}");
        } else {
            assert_eq!((merged, split, removed), (usize::from(known), 0, 0), "{what}");
        }
    }
}

#[tokio::test]
async fn what_is_kept_apart_though_an_anchor_says_otherwise_is_asked_of_nobody() {
    let both = anchored(&[("object-guid", "g")]);
    let mut stage = accounts(&[&[both], &[both]]).await;
    stage.import_all().await;
    let record = of(&stage, 0, 0);
    let directory = stage.service.directory();
    directory.unjoin(&stage.customer, record.id, &record.identities[1]).await.unwrap();
    stage.check("apart");
    let position = stage.store().last_position(&stage.customer).unwrap();
    for endpoint in [0, 1] {
        stage.endpoints[endpoint].change(|directory| {
            directory.set(&id_of(endpoint, 0), names::PRIMARY_EMAIL, format!("e{endpoint}@corp.example"));
        });
        stage.import(endpoint).await;
        stage.check("imported");
    }
    assert_ne!(of(&stage, 0, 0).id, of(&stage, 1, 0).id);
    assert_eq!(directory.conflicts(&stage.customer).await.unwrap(), []);
    assert_eq!(directory.probable_joins(&stage.customer, 9).await.unwrap(), []);
    assert_eq!(count(&stage.events(position), EventType::ConflictFound), 0);
}

#[tokio::test]
async fn nobody_is_in_conflict_with_the_own_record() {
    let mut stage = accounts(&[&[FREE], &[FREE]]).await;
    stage.import_all().await;
    let record = of(&stage, 0, 0).id;
    let namesake = stage.endpoints[1].change(|cloud| put(cloud, 201, FREE));
    stage.import(1).await;
    // Something of her changes, and who else she may be is asked once more.
    stage.endpoints[0].change(|ad| ad.set(&id_of(0, 0), names::ALIASES, Value::list(["lee@corp.example"])));
    stage.import(0).await;
    stage.check("a namesake");
    let conflicts = stage.service.directory().conflicts(&stage.customer).await.unwrap();
    assert_eq!(conflicts.len(), 1, "{conflicts:?}");
    let mut ids = [conflicts[0].record, conflicts[0].others[0]];
    ids.sort_unstable();
    let mut expected = [record, user(&stage, "cloud", &namesake).id];
    expected.sort_unstable();
    assert_eq!((ids, conflicts[0].others.len()), (expected, 1));
}

#[tokio::test]
async fn a_weak_id_that_is_missing_keeps_nobody_from_its_address() {
    let weak = SourceId::address("ann@corp.example");
    let mut stage = accounts(&[&[VERIFIED], &[]]).await;
    stage.endpoints[1].change(|mail| {
        let strong = put(mail, 200, VERIFIED);
        let object = mail.objects.remove(&strong).unwrap();
        mail.objects.insert(weak.clone(), object);
    });
    stage.import(1).await;
    stage.endpoints[1].change(|mail| {
        mail.objects.remove(&weak);
        put(mail, 201, VERIFIED);
    });
    stage.import(1).await;
    stage.check("missing");
    let missing = user(&stage, "cloud", &weak);
    assert!(missing.missing_since.is_some());
    stage.import(0).await;
    stage.check("another endpoint");
    assert_eq!(of(&stage, 0, 0).id, of(&stage, 1, 1).id);
    assert_eq!(user(&stage, "cloud", &weak).identities.len(), 1);
}

#[tokio::test]
async fn who_has_anothers_old_address_is_taken_apart_under_an_id_of_its_own() {
    let mut stage = accounts(&[&[], &[]]).await;
    let weak = stage.endpoints[1].change(|mail| mail.add_addressed_user(4));
    stage.import_all().await;
    let first = user(&stage, "cloud", &weak).id;
    let next = stage.endpoints[1].change(|mail| mail.readdress(&weak, "ann@corp.example"));
    stage.import(1).await;
    stage.check("another address");
    assert_eq!(user(&stage, "cloud", &next).id, first);
    // Somebody new has the old one, at both endpoints.
    for endpoint in [0, 1] {
        stage.endpoints[endpoint].change(|directory| {
            let id = if endpoint == 0 { directory.add_user(4, "oslo") } else { directory.add_addressed_user(4) };
            directory.set(&id, names::FIRST_NAME, "Somebody");
            directory.set(&id, names::LAST_NAME, "Else");
            directory.forwarded.remove(&id);
        });
        stage.import(endpoint).await;
        stage.check("given on");
    }
    let second = user(&stage, "cloud", &weak);
    assert_eq!((second.identities.len(), second.id == first), (2, false));
    let directory = stage.service.directory();
    let identity = second.identities.iter().find(|one| one.endpoint == name("cloud")).unwrap();
    let (stays, leaves) = directory.unjoin(&stage.customer, second.id, identity).await.unwrap();
    stage.check("apart");
    assert_eq!(stays.id, second.id);
    assert!(leaves.id != first && leaves.id != second.id);
    assert_eq!(user(&stage, "cloud", &next).id, first);
}

#[tokio::test]
async fn queries_follow_another_order_of_endpoints() {
    let mut stage = accounts(&[&[NAMED], &[NAMED]]).await;
    for endpoint in [0, 1] {
        stage.endpoints[endpoint].change(|directory| {
            directory.set(&id_of(endpoint, 0), names::DISPLAY_NAME, format!("says{endpoint}"));
        });
    }
    stage.import_all().await;
    let directory = stage.service.directory();
    for says in [0, 1, 0] {
        for endpoint in [0, 1] {
            let filter = Filter { search: Some(format!("says{endpoint}")), ..Filter::default() };
            let query = Query { filter, ..Query::users(&stage.customer) };
            let found = directory.find(&query, None, 9).await.unwrap();
            assert_eq!(found.found.len(), usize::from(says == endpoint), "{says} {endpoint}");
        }
        stage.endpoints.reverse();
        stage.register().await;
        stage.check("another order");
    }
}
