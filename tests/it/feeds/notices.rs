//! Single notices: of records that contradict each other, of users without a group, of what waits.

use std::time::Duration;

use tenantry::ErrorKind;
use tenantry::model::{Answer, Draft, Edit, Feed, Filter, NoticeId, NoticeQuery, ObjectKind, Query, Topic, names};
use tenantry::testkit::{Lie, ScriptedDirectory};

use super::{all, topics, walk};
use crate::operations::Stage;
use crate::world::World;

#[tokio::test]
async fn a_contradiction_is_suggested_to_both_until_it_is_resolved_or_dismissed() {
    let stage = Stage::small().await;
    let (directory, customer) = (stage.service.directory(), stage.customer.clone());
    let mut drafts = Vec::new();
    for number in 1..=7 {
        let draft = Draft::user(&format!("user{number}@corp.example")).set(names::LAST_NAME, "Other");
        drafts.push(directory.add(&customer, &draft).await.unwrap().id);
    }
    assert!(all(&directory, &customer, Feed::Suggestions).await.iter().all(|one| one.topic != Topic::Duplicate));
    stage.import(0).await;
    let query = NoticeQuery::new(Feed::Suggestions);
    let pairs = walk(&directory, &customer, &query, 2).await;
    assert_eq!(topics(&pairs), [&[Topic::Duplicate; 7][..], &[Topic::UsersWithoutGroup]].concat());
    assert_eq!(pairs, walk(&directory, &customer, &query, 1000).await);
    let conflicts = directory.conflicts(&customer).await.unwrap();
    assert_eq!(conflicts.len(), 7);
    for conflict in &conflicts {
        for id in [conflict.record, conflict.others[0]] {
            let of_one = walk(&directory, &customer, &query.clone().of(id), 1000).await;
            let pair = of_one.iter().find(|one| one.topic == Topic::Duplicate).unwrap();
            assert_eq!(pair.records, [conflict.record, conflict.others[0]]);
        }
    }
    // Another address ends one of them, its removal another, a word a third.
    let edit = Edit::new().set(names::PRIMARY_EMAIL, "someone.else@corp.example");
    directory.edit(&customer, drafts[0], &edit).await.unwrap();
    directory.remove(&customer, drafts[1]).await.unwrap();
    let third = pairs.iter().find(|one| one.records.contains(&drafts[2])).unwrap();
    directory.answer(&customer, &third.id, Answer::Dismissed, "kim").await.unwrap();
    let left = walk(&directory, &customer, &query, 1000).await;
    let duplicates =
        |found: &[tenantry::model::Notice]| found.iter().filter(|one| one.topic == Topic::Duplicate).count();
    assert_eq!(duplicates(&left), 4);
    let with = walk(&directory, &customer, &query.clone().with_dismissed(), 1000).await;
    assert_eq!(duplicates(&with), 5);
    assert!(
        walk(&directory, &customer, &query.clone().of(drafts[0]), 9)
            .await
            .iter()
            .all(|one| one.topic != Topic::Duplicate)
    );
    let gone = pairs.iter().find(|one| one.records.contains(&drafts[1])).unwrap();
    let error = directory.answer(&customer, &gone.id, Answer::Acknowledged, "kim").await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn users_in_no_group_are_counted_listed_and_told_apart() {
    let stage = Stage::small().await;
    let (directory, customer) = (stage.service.directory(), stage.customer.clone());
    stage.import(0).await;
    stage.import(1).await;
    let count = async |stage: &Stage| {
        // Everybody, asked one by one.
        let users = stage.store().records(&customer, ObjectKind::User, None, usize::MAX >> 1).unwrap();
        let mut without = Vec::new();
        for user in users {
            let groups = stage.store().groups_of(&customer, user.id).unwrap();
            let own: Vec<_> = user
                .identities
                .iter()
                .map(|one| tenantry::model::RecordId::of_endpoint_group(&customer, &one.endpoint))
                .collect();
            if groups.iter().all(|group| own.contains(group)) && !user.archived {
                without.push(user.id);
            }
        }
        let found = all(&directory, &customer, Feed::Suggestions).await;
        let told = found.iter().find(|one| one.topic == Topic::UsersWithoutGroup).and_then(|one| one.count);
        assert_eq!(told.unwrap_or_default(), without.len() as u64);
        let filter = Filter { grouped: Some(false), archived: Some(false), ..Filter::default() };
        let query = Query { filter, ..Query::users(&customer) };
        let mut page: Vec<_> =
            directory.find(&query, None, 1000).await.unwrap().found.into_iter().map(|one| one.record.id).collect();
        page.sort_unstable();
        without.sort_unstable();
        assert_eq!(page, without);
        without
    };
    let before = count(&stage).await;
    assert_eq!(before.len(), 10);
    let query = NoticeQuery::new(Feed::Suggestions);
    let notice = all(&directory, &customer, Feed::Suggestions).await.pop().unwrap();
    directory.answer(&customer, &notice.id, Answer::Dismissed, "kim").await.unwrap();
    assert!(all(&directory, &customer, Feed::Suggestions).await.is_empty());
    // Fewer of the same are nothing new; somebody else is.
    let group = directory.add(&customer, &Draft::group("Board")).await.unwrap();
    directory.add_members(&customer, group.id, &before[..2]).await.unwrap();
    assert!(all(&directory, &customer, Feed::Suggestions).await.is_empty());
    stage.endpoints[0].change(|directory| drop(directory.add_user(77, "oslo")));
    stage.import(0).await;
    assert_eq!(count(&stage).await.len(), 9);
    assert_eq!(walk(&directory, &customer, &query.clone().of(before[0]), 10).await, []);
    assert_eq!(walk(&directory, &customer, &query.clone().of(before[3]), 10).await.len(), 1);
    directory.remove_members(&customer, group.id, &before[..1]).await.unwrap();
    assert_eq!(count(&stage).await.len(), 10);
    stage.endpoints[0].change(|directory| {
        let (group, user) = (ScriptedDirectory::id(1_000_000), ScriptedDirectory::id(77));
        directory.add_member(&group, &user);
        directory.remove_member(&group, &ScriptedDirectory::id(1));
        directory.remove_member(&group, &ScriptedDirectory::id(2));
    });
    stage.import(0).await;
    assert_eq!(count(&stage).await.len(), 11);
    directory.remove(&customer, group.id).await.unwrap();
    count(&stage).await;
    stage.endpoints[1].change(|directory| directory.delete(&ScriptedDirectory::id(5000)));
    stage.import(1).await;
    count(&stage).await;
    stage
        .service
        .remove_endpoint(&customer, &crate::operations::name("ad"), tenantry::model::HandOver::Unlocked)
        .await
        .unwrap();
    count(&stage).await;
}

#[tokio::test]
async fn who_would_be_removed_by_a_plan_is_told_so_and_who_would_not_is_not() {
    let world = World::in_step(World::directory(40)).await;
    let (directory, customer) = (world.service.directory(), world.customer.clone());
    world.delete(20..32);
    world.import().await;
    let ids: Vec<_> = world.records(ObjectKind::User).into_values().collect();
    world.clock.advance(Duration::from_hours(25));
    for user in ids {
        let doomed = (20..32).any(|number| user.identities[0].source_id == ScriptedDirectory::id(number));
        let alerts = walk(&directory, &customer, &NoticeQuery::new(Feed::Alerts).of(user.id), 10).await;
        let reminders = walk(&directory, &customer, &NoticeQuery::new(Feed::Reminders).of(user.id), 10).await;
        let expected: &[Topic] = if doomed { &[Topic::HeldForApproval] } else { &[] };
        assert_eq!(topics(&alerts), expected);
        assert_eq!(topics(&reminders), if doomed { &[Topic::PlanWaiting][..] } else { &[] });
    }
}

#[tokio::test]
async fn an_alert_of_a_listing_ends_only_with_a_listing() {
    let world = World::with_deltas({
        let mut directory = World::directory(40);
        directory.tombstones_readable = true;
        directory
    })
    .await;
    world.import_done().await;
    let (directory, customer) = (world.service.directory(), world.customer.clone());
    world.endpoint.lie([Lie::Drops((1..=3).map(ScriptedDirectory::id).collect())]);
    let full = tenantry::ImportOptions { full: true, ..Default::default() };
    world.import_with(full.clone()).await;
    assert_eq!(topics(&all(&directory, &customer, Feed::Alerts).await), [Topic::ListingShort]);
    world.endpoint.lie([]);
    world.import().await;
    assert_eq!(topics(&all(&directory, &customer, Feed::Alerts).await), [Topic::ListingShort], "a delta cannot tell");
    world.endpoint.lie([Lie::FailsAfter(0)]);
    world.import_with(full.clone()).await;
    let both = [Topic::ImportFailed, Topic::ListingShort];
    assert_eq!(topics(&all(&directory, &customer, Feed::Alerts).await), both, "nor can who fails");
    world.endpoint.lie([]);
    world.import_with(full).await;
    assert_eq!(topics(&all(&directory, &customer, Feed::Alerts).await), []);
}

#[tokio::test]
async fn ids_and_cursors_of_others_are_refused() {
    let mut world = World::directory(40);
    world.tombstones_readable = true;
    let world = World::new(world).await;
    world.import_done().await;
    let (directory, customer) = (world.service.directory(), world.customer.clone());
    world.fall_on_hard_times().await;
    let alerts = NoticeQuery::new(Feed::Alerts);
    let page = directory.notices(&customer, &alerts, None, 1).await.unwrap();
    let next = page.next.unwrap();
    let refused = directory.notices(&customer, &NoticeQuery::new(Feed::Reminders), Some(&next), 1).await.unwrap_err();
    assert_eq!(*refused.kind(), ErrorKind::Config);
    let refused = directory.happened(&customer, None, Some(&next), 1).await.unwrap_err();
    assert_eq!(*refused.kind(), ErrorKind::Config);
    let id = page.entries[0].id.to_string();
    let old = NoticeId::parse(&format!("{}@0.0", id.rsplit_once('@').unwrap().0)).unwrap();
    let refused = directory.answer(&customer, &old, Answer::Dismissed, "kim").await.unwrap_err();
    assert_eq!(*refused.kind(), ErrorKind::Conflict, "it was about another cause");
    let nobody = tenantry::model::CustomerId::new("c9").unwrap();
    for result in [
        directory.notices(&nobody, &alerts, None, 1).await.map(drop),
        directory.happened(&nobody, None, None, 1).await.map(drop),
    ] {
        assert_eq!(*result.unwrap_err().kind(), ErrorKind::NotFound);
    }
}
