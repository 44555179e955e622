//! Connections that break, servers that change, passwords that are wrong: nothing is lost and nothing is made up.

use tenantry::ErrorKind;
use tenantry::Secret;
use tenantry::endpoint::{Endpoint, SnapshotStep};
use tenantry::model::{ObjectKind, Scope};
use tenantry::testkit::Listing;
use tenantry_fakes::ldap::{Directory, FakeLdap, Fault, When};

use crate::domain::{Domain, GROUPS, PEOPLE, directory, list, names_of, start};

fn populated(users: usize) -> Directory {
    let directory = directory();
    for number in 0..users {
        directory.add_user(PEOPLE, &format!("user{number}")).create();
        if number % 4 == 0 {
            directory.add_group(GROUPS, &format!("group{number}")).member(format!("user{number}")).create();
        }
    }
    directory
}

async fn small_pages(users: usize) -> Domain {
    let mut domain = start(populated(users)).await;
    domain.config.domain.page_size = 10;
    domain
}

#[tokio::test]
async fn a_connection_that_is_cut_at_any_search_loses_and_repeats_nothing() {
    let domain = small_pages(60).await;
    let whole = domain.listing().await;
    let searches = domain.fake.log().searches().len() as u64;
    for number in 1..=searches {
        for fault in [Fault::Cut, Fault::CutAfterEntries(3)] {
            domain.fake.faults().clear();
            domain.fake.faults().on(When::Search(number), fault.clone());
            let listing = list(&domain.endpoint(), &domain.cx, None).await.unwrap();
            assert_eq!(domain.fake.faults().pending(), 0);
            assert_eq!(listing.objects, whole.objects, "{fault:?} at {number}");
            assert_eq!(listing.members, whole.members, "{fault:?} at {number}");
            assert_eq!(listing.closed, whole.closed, "{fault:?} at {number}");
        }
    }
}

#[tokio::test]
async fn a_lost_cookie_begins_the_slice_anew_and_gives_nothing_twice() {
    let domain = small_pages(60).await;
    let whole = domain.listing().await;
    for page in 2..5 {
        domain.fake.faults().on(When::Page(page), Fault::RefuseCookies);
    }
    let listing = domain.listing().await;
    assert_eq!(domain.fake.faults().pending(), 0);
    assert_eq!(listing.objects, whole.objects);
    assert_eq!(listing.members, whole.members);
}

#[tokio::test]
async fn cookies_that_never_work_are_an_error_that_names_the_cause() {
    let domain = small_pages(60).await;
    domain.fake.faults().on(When::PagesFrom(2), Fault::RefuseCookies);
    let error = list(&domain.endpoint(), &domain.cx, None).await.unwrap_err();
    assert!(error.message().contains("cookies"), "{error}");
}

#[tokio::test]
async fn empty_pages_are_gone_through_and_a_circle_is_an_error() {
    let domain = small_pages(60).await;
    let whole = domain.listing().await;
    domain.fake.faults().on(When::Page(2), Fault::EmptyPage);
    assert_eq!(domain.listing().await.objects, whole.objects);
    domain.fake.faults().clear();
    domain.fake.faults().on(When::PagesFrom(1), Fault::RepeatCookie);
    assert!(list(&domain.endpoint(), &domain.cx, None).await.is_err());
}

#[tokio::test]
async fn an_error_in_the_middle_closes_nothing_and_the_checkpoint_goes_on() {
    let domain = small_pages(80).await;
    let whole = domain.listing().await;
    let endpoint = domain.endpoint();
    let searches = domain.fake.log().searches().len() as u64;
    domain
        .fake
        .faults()
        .on(When::Search(searches * 2 / 3), Fault::Answer { code: 53, text: "0000052D: SvcErr: DSID-031A12D2".into() });
    let mut broken = Listing::default();
    let mut pager = endpoint.snapshot(&domain.cx, None).await.unwrap();
    broken.read(&mut *pager).await.unwrap_err();
    broken.assert_once();
    assert!(!broken.closed.contains(&Scope::Computers));
    let checkpoint = broken.checkpoints.last().unwrap();
    let rest = list(&endpoint, &domain.cx, Some(checkpoint)).await.unwrap();
    broken.objects.extend(rest.objects);
    assert_eq!(broken.objects, whole.objects);
    assert_eq!(rest.cursor, whole.cursor);
}

#[tokio::test]
async fn a_checkpoint_of_another_or_a_restored_controller_is_a_conflict() {
    let domain = small_pages(60).await;
    let whole = domain.listing().await;
    domain.directory.restore_from_backup(13_000);
    let error = list(&domain.endpoint(), &domain.cx, whole.checkpoints.first()).await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Conflict);
    assert!(list(&domain.endpoint(), &domain.cx, None).await.is_ok());
}

#[tokio::test]
async fn a_server_that_changes_during_a_listing_is_a_conflict_and_the_next_one_takes_the_other() {
    let mut domain = small_pages(60).await;
    // The same domain on another controller: its numbers are its own.
    let twin = populated(60);
    twin.restore_from_backup(90_000);
    let twin = FakeLdap::start(twin).await;
    domain.config.domain.urls.push(twin.ldaps_url());
    domain.config.domain.ca = Some([domain.fake.ca_pem(), twin.ca_pem()].concat().into_bytes());
    let endpoint = domain.endpoint();
    let mut pager = endpoint.snapshot(&domain.cx, None).await.unwrap();
    pager.next().await.unwrap();
    domain.fake.shutdown().await;
    let error = loop {
        match pager.next().await {
            Ok(SnapshotStep::Page(_)) => {}
            Ok(SnapshotStep::End { .. }) => panic!("a listing from two controllers"),
            Err(error) => break error,
        }
    };
    assert_eq!(*error.kind(), ErrorKind::Conflict, "{error}");
    assert_eq!(list(&endpoint, &domain.cx, None).await.unwrap().objects.of(ObjectKind::User).count(), 62);
}

#[tokio::test]
async fn a_wrong_password_is_tried_once_in_a_run_whatever_is_asked_and_however_many_servers_there_are() {
    let mut domain = start(directory()).await;
    domain.config.domain.password = Secret::new("wrong");
    domain.config.domain.urls.push(domain.fake.url());
    let endpoint = domain.endpoint();
    assert_eq!(*endpoint.coverage(&domain.cx).await.unwrap_err().kind(), ErrorKind::Unauthenticated);
    assert_eq!(*endpoint.snapshot(&domain.cx, None).await.err().unwrap().kind(), ErrorKind::Unauthenticated);
    assert_eq!(*endpoint.lookup(&domain.cx, &[]).await.unwrap_err().kind(), ErrorKind::Unauthenticated);
    assert_eq!(domain.fake.log().binds().len(), 1);
    assert_eq!(*endpoint.verify(&domain.cx).await.unwrap_err().kind(), ErrorKind::Unauthenticated);
    assert_eq!(domain.fake.log().binds().len(), 2, "a new run tries once more");
}

#[tokio::test]
async fn a_whole_run_binds_once_and_asks_for_no_password_in_the_clear() {
    let domain = small_pages(20).await;
    let endpoint = domain.endpoint();
    endpoint.coverage(&domain.cx).await.unwrap();
    list(&endpoint, &domain.cx, None).await.unwrap();
    endpoint.lookup(&domain.cx, &[]).await.unwrap();
    endpoint.coverage(&domain.cx).await.unwrap();
    assert_eq!(domain.fake.log().binds().len(), 1);
    assert!(domain.fake.log().all().iter().all(|line| line.secure));
}

#[tokio::test]
async fn a_container_that_turns_unreadable_is_absent_here_and_not_gone_on_look_up() {
    let directory = populated(8);
    let gone = directory.add_user(PEOPLE, "gone").create();
    let anna = directory.guid_of("user1");
    directory.delete(gone);
    directory.rights("reader").read_deleted(true);
    let domain = start(directory).await;
    domain.fake.faults().on(When::Always, Fault::HideContainer(PEOPLE.into()));
    let listing = domain.listing().await;
    assert!(!names_of(&listing.objects, ObjectKind::User).contains("user1"));
    let asked = [crate::domain::object(ObjectKind::User, anna)];
    let answer = domain.endpoint().lookup(&domain.cx, &asked).await.unwrap();
    assert!(matches!(answer[0], tenantry::endpoint::Presence::Unknown(_)));
}

#[tokio::test]
async fn an_account_that_may_read_nothing_any_more_gets_an_error_and_no_empty_domain() {
    let domain = small_pages(20).await;
    let endpoint = domain.endpoint();
    endpoint.coverage(&domain.cx).await.unwrap();
    domain.fake.faults().on(When::Always, Fault::LoseRights);
    assert!(endpoint.coverage(&domain.cx).await.is_err());
}

#[tokio::test]
async fn a_caller_that_stops_gets_cancelled() {
    let domain = small_pages(20).await;
    let (cx, _time) = crate::domain::timed_context();
    let mut pager = domain.endpoint().snapshot(&cx, None).await.unwrap();
    cx.cancel().cancel();
    assert_eq!(*pager.next().await.unwrap_err().kind(), ErrorKind::Cancelled);
}
