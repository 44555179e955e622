//! How long events and history are kept, and what becomes of consumers that are behind.

use std::time::Duration;

use tenantry::ErrorKind;
use tenantry::model::{Answer, Feed, HandOver, Keep, NoticeQuery, ObjectKind, Retention, Topic, names};
use tenantry::testkit::ScriptedDirectory;

use super::stage::name;
use super::{Replica, Stage};
use crate::feeds::all;

fn keep_last(events: u64) -> Retention {
    Retention { events: Keep::Last(events), ..Retention::default() }
}

async fn rename(stage: &Stage, round: u64) {
    stage.endpoints[0].change(|directory| {
        for number in 1..=20 {
            directory.set(&ScriptedDirectory::id(number), names::LAST_NAME, format!("Round{round}"));
        }
    });
    stage.import_all().await;
}

#[tokio::test]
async fn what_a_registered_consumer_has_not_read_is_kept_and_the_rest_goes() {
    let mut stage = Stage::small().await;
    stage.import_all().await;
    let consumer = stage.service.consumer(&stage.customer, "mail");
    let first = consumer.next(5).await.unwrap();
    rename(&stage, 1).await;
    stage.service = stage.service.clone().with_retention(keep_last(0));
    let dropped = stage.service.apply_retention(&stage.customer).await.unwrap();
    assert_eq!((dropped.events, dropped.cut_off.len()), (0, 0), "registered by its first look, and nothing read");

    let all = stage.events(0);
    consumer.acknowledge(&first[4]).await.unwrap();
    consumer.acknowledge(&all[all.len() - 10]).await.unwrap();
    let dropped = stage.service.apply_retention(&stage.customer).await.unwrap();
    assert!(dropped.events > 20, "{dropped:?}");
    let rest = consumer.next(usize::MAX).await.unwrap();
    assert_eq!(
        rest.iter().map(|e| &e.id).collect::<Vec<_>>(),
        all[all.len() - 9..].iter().map(|e| &e.id).collect::<Vec<_>>()
    );
    let error = stage.store().events(&stage.customer, 0, 1).unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::NotFound);

    // Numbers go on.
    consumer.acknowledge(rest.last().unwrap()).await.unwrap();
    stage.service.apply_retention(&stage.customer).await.unwrap();
    let last = rest.last().unwrap().position();
    assert_eq!(stage.store().last_position(&stage.customer).unwrap(), last);
    rename(&stage, 2).await;
    assert_eq!(consumer.next(1).await.unwrap()[0].position(), last + 1);
}

#[tokio::test]
async fn beyond_the_hard_limit_a_consumer_is_told_where_it_stands_and_starts_anew_from_an_export() {
    let mut stage = Stage::small().await;
    stage.import_all().await;
    let consumer = stage.service.consumer(&stage.customer, "mail");
    let read = consumer.next(5).await.unwrap();
    consumer.acknowledge(&read[4]).await.unwrap();
    rename(&stage, 1).await;
    let retention = Retention { unread_events: Keep::Last(3), ..keep_last(3) };
    stage.service = stage.service.clone().with_retention(retention);
    let dropped = stage.service.apply_retention(&stage.customer).await.unwrap();
    assert_eq!(dropped.cut_off, ["mail"]);

    let error = consumer.next(10).await.unwrap_err();
    assert_eq!((error.kind(), error.context("position")), (&ErrorKind::NotFound, Some("5")));
    assert!(error.to_string().contains("export"), "{error}");
    assert_eq!(*consumer.start_after(5).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(*consumer.start_after(100_000).await.unwrap_err().kind(), ErrorKind::Config);
    // A newcomer is told the same, not a part of the story.
    let newcomer = stage.service.consumer(&stage.customer, "new");
    assert_eq!(*newcomer.next(10).await.unwrap_err().kind(), ErrorKind::NotFound);

    let mut export = stage.service.export(&stage.customer).await.unwrap();
    consumer.start_after(export.position()).await.unwrap();
    let mut replica = Replica { position: export.position(), ..Replica::default() };
    loop {
        let entries = export.next(10).await.unwrap();
        if entries.is_empty() {
            break;
        }
        replica.add(entries);
    }
    rename(&stage, 2).await;
    replica.take(&consumer.next(usize::MAX).await.unwrap());
    replica.agrees_with(stage.store(), &stage.customer, "started anew");
}

#[tokio::test]
async fn who_falls_behind_what_is_kept_is_an_alert_until_it_starts_anew_or_is_forgotten() {
    let stage = Stage::small().await;
    stage.import_all().await;
    let (slow, quick) =
        (stage.service.consumer(&stage.customer, "a/b@c"), stage.service.consumer(&stage.customer, "q"));
    let read = slow.next(5).await.unwrap();
    slow.acknowledge(&read[4]).await.unwrap();
    let directory = stage.service.directory();
    let alerts = async || {
        let alerts = all(&directory, &stage.customer, Feed::Alerts).await;
        assert!(alerts.iter().all(|alert| alert.topic == Topic::ConsumerCutOff), "{alerts:?}");
        alerts
    };
    let keeps = |unread| Retention { unread_events: Keep::Last(unread), ..keep_last(3) };
    let (wide, narrow) = (keeps(1_000_000), keeps(3));
    let catch_up = async || {
        let last = quick.next(usize::MAX).await.unwrap().pop();
        quick.acknowledge(&last.unwrap()).await.unwrap();
    };

    rename(&stage, 1).await;
    catch_up().await;
    stage.service.clone().with_retention(wide).apply_retention(&stage.customer).await.unwrap();
    assert_eq!(alerts().await, [], "behind, and everything is kept for it");
    stage.service.clone().with_retention(narrow).apply_retention(&stage.customer).await.unwrap();
    let told = alerts().await;
    assert_eq!(told.len(), 1, "who is in time is none: {told:?}");
    assert!(told[0].text.contains("a/b@c") && told[0].count.unwrap() > 20 && told[0].remedy.contains("export"));
    let query = NoticeQuery::new(Feed::Alerts).of(stage
        .service
        .store()
        .records(&stage.customer, ObjectKind::User, None, 1)
        .unwrap()[0]
        .id);
    assert_eq!(directory.notices(&stage.customer, &query, None, 9).await.unwrap().entries, [], "of no record");
    directory.answer(&stage.customer, &told[0].id, Answer::Dismissed, "kim").await.unwrap();
    assert_eq!(alerts().await, []);

    // Started anew: what was dismissed is over, and when it happens again it is told again.
    let last = stage.store().last_position(&stage.customer).unwrap();
    slow.start_after(last).await.unwrap();
    let all_of_it = NoticeQuery::new(Feed::Alerts).with_dismissed();
    assert_eq!(directory.notices(&stage.customer, &all_of_it, None, 9).await.unwrap().entries, []);
    for round in 2..=5 {
        rename(&stage, round).await;
    }
    catch_up().await;
    stage.service.clone().with_retention(narrow).apply_retention(&stage.customer).await.unwrap();
    assert_eq!(alerts().await.len(), 1);
    stage.service.forget_consumer(&stage.customer, "a/b@c").await.unwrap();
    assert_eq!(alerts().await, []);
}

#[tokio::test]
async fn a_consumer_that_is_forgotten_holds_nothing_back() {
    let mut stage = Stage::small().await;
    stage.import_all().await;
    stage.service.consumer(&stage.customer, "gone").next(1).await.unwrap();
    stage.service = stage.service.clone().with_retention(keep_last(0));
    assert_eq!(stage.service.apply_retention(&stage.customer).await.unwrap().events, 0);
    let consumers = stage.service.consumers(&stage.customer).await.unwrap();
    assert_eq!((consumers.len(), consumers[0].name.as_str(), consumers[0].position), (1, "gone", 0));
    stage.service.forget_consumer(&stage.customer, "gone").await.unwrap();
    assert!(stage.service.apply_retention(&stage.customer).await.unwrap().events > 0);
    assert!(stage.events(stage.store().last_position(&stage.customer).unwrap()).is_empty());
}

#[tokio::test]
async fn the_end_of_an_import_lets_go_of_what_is_older_than_the_time() {
    let mut stage = Stage::small().await;
    let day = Duration::from_hours(24);
    let retention = Retention { events: Keep::For(day), history: Keep::For(day), ..Retention::default() };
    stage.service = stage.service.clone().with_retention(retention);
    stage.import_all().await;
    assert_eq!(stage.events(0)[0].position(), 1);
    stage.clock.advance(day / 2);
    rename(&stage, 1).await;
    assert_eq!(stage.events(0)[0].position(), 1, "younger than a day");
    let old = stage.store().last_position(&stage.customer).unwrap();
    stage.clock.advance(day + day / 4);
    rename(&stage, 2).await;
    assert!(stage.store().events(&stage.customer, old - 1, 1).is_err());
    assert_eq!(stage.store().events(&stage.customer, old, 1).unwrap()[0].position(), old + 1);
    assert_eq!(stage.store().history(&stage.customer, 99).unwrap().len(), 2);
}

#[tokio::test]
async fn the_newest_report_of_each_endpoint_stays_and_so_does_what_it_is_needed_for() {
    let mut stage = Stage::small().await;
    for round in 0..5 {
        rename(&stage, round).await;
    }
    assert_eq!(stage.store().history(&stage.customer, 99).unwrap().len(), 10);
    stage.service = stage.service.clone().with_retention(Retention { history: Keep::Last(4), ..Retention::default() });
    assert_eq!(stage.service.apply_retention(&stage.customer).await.unwrap().runs, 6);
    stage.service = stage.service.clone().with_retention(Retention { history: Keep::Last(0), ..Retention::default() });
    assert_eq!(stage.service.apply_retention(&stage.customer).await.unwrap().runs, 2);
    let left = stage.store().history(&stage.customer, 99).unwrap();
    let names: Vec<_> = left.iter().map(|run| run.endpoint.as_str().to_owned()).collect();
    assert_eq!(names, ["cloud", "ad"]);
    assert_eq!(stage.events(0)[0].position(), 1, "events are another matter");
    // The endpoints go on as before.
    rename(&stage, 9).await;
    stage.check("after");
    stage.service.remove_endpoint(&stage.customer, &name("ad"), HandOver::Unlocked).await.unwrap();
}

#[tokio::test]
async fn the_space_of_dropped_events_is_used_again_and_compacting_gives_it_back() {
    let mut directory = ScriptedDirectory::new("domain-1");
    for number in 1..=1500 {
        directory.add_user(number, "oslo");
    }
    let mut other = ScriptedDirectory::new("x");
    other.add_user(1, "x");
    let mut stage = Stage::new([("ad", directory), ("cloud", other)]).await;
    stage.service = stage.service.clone().with_retention(keep_last(2000));
    let size = |stage: &Stage| {
        let file = rusqlite::Connection::open(stage.path()).unwrap();
        let number = |pragma: &str| file.pragma_query_value(None, pragma, |row| row.get::<_, u64>(0)).unwrap();
        number("page_count") * number("page_size")
    };
    let change = async |stage: &Stage, round: u128| {
        stage.endpoints[0].change(|directory| {
            for number in 1..=1500 {
                directory.set(
                    &ScriptedDirectory::id(number),
                    names::LAST_NAME,
                    format!("{:x}", (number * 7919 + round) * 104_729),
                );
            }
        });
        assert_eq!(stage.import(0).await.updated, if round == 0 { 0 } else { 1500 });
    };
    let mut sizes = Vec::new();
    for round in 0..12 {
        change(&stage, round).await;
        sizes.push(size(&stage));
    }
    println!("sizes by round: {sizes:?}");
    assert!(sizes[11] <= sizes[4] + sizes[4] / 20, "it no longer grows: {sizes:?}");
    stage.service = stage.service.clone().with_retention(keep_last(0));
    stage.service.apply_retention(&stage.customer).await.unwrap();
    assert_eq!(size(&stage), sizes[11], "not given back by itself");
    stage.service.compact().await.unwrap();
    println!("compacted: {}", size(&stage));
    assert!(size(&stage) < sizes[11] * 9 / 10, "{} of {}", size(&stage), sizes[11]);
    assert_eq!(std::fs::metadata(stage.path()).unwrap().len(), size(&stage));
    stage.live = Replica::of_export(stage.store(), &stage.customer);
    stage.check("compacted");
}
