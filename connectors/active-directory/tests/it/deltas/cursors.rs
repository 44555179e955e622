//! A cursor is good for the database that gave it, and not for ever: else a listing is needed, and nobody is removed.

use tenantry::endpoint::{Cursor, DeltaStep, Endpoint};
use tenantry_fakes::ldap::FakeLdap;

use super::{HOUR, START};
use crate::domain::{Domain, PEOPLE, directory, list, running, start};
use crate::known::{changes, follow};

#[tokio::test]
async fn a_cursor_of_another_or_a_restored_controller_has_expired_and_a_snapshot_goes_on() {
    let mut follower = follow(start(running()).await).await;
    let directory = follower.domain.directory.clone();
    directory.add_user(PEOPLE, "anna").create();
    directory.restore_from_backup(directory.highest_usn() + 100);
    follower.domain.fake.shutdown().await;
    let fake = FakeLdap::start(directory.clone()).await;
    follower.domain.config.domain.urls = vec![fake.ldaps_url()];
    follower.domain.config.domain.ca = Some(fake.ca_pem().as_bytes().to_vec());
    follower.domain.fake = fake;
    follower.endpoint = follower.domain.endpoint();
    assert!(follower.has_expired(&follower.cursor).await);
    let mut next = follow(follower.domain).await;
    directory.set("anna", "title", ["Manager"]);
    assert_eq!(next.changes().await.objects.len(), 1);
}

#[tokio::test]
async fn a_controller_that_went_back_expires_the_cursor() {
    let follower = follow(start(running()).await).await;
    let usn = follower.domain.directory.highest_usn();
    let bytes = String::from_utf8(follower.cursor.bytes().to_vec()).unwrap();
    let ahead = bytes.replace(&format!("\"usn\":{usn}"), &format!("\"usn\":{}", usn + 1));
    assert_ne!(ahead, bytes);
    assert!(follower.has_expired(&Cursor::new(follower.cursor.version(), ahead)).await);
    assert!(!follower.has_expired(&follower.cursor).await);
}

#[tokio::test]
async fn a_cursor_that_is_foreign_or_garbage_has_expired() {
    let follower = follow(start(running()).await).await;
    for cursor in [
        Cursor::new(follower.cursor.version() + 1, follower.cursor.bytes()),
        Cursor::new(follower.cursor.version(), b"garbage".as_slice()),
        Cursor::new(1, b"".as_slice()),
    ] {
        assert!(follower.has_expired(&cursor).await);
    }
}

#[tokio::test]
async fn a_cursor_as_old_as_tombstones_get_has_expired() {
    const DAY: i64 = 24 * HOUR;
    let settings = "CN=Directory Service,CN=Windows NT,CN=Services,CN=Configuration,DC=corp,DC=example";
    for (lifetime, good, expired) in [(Some("180"), 178, 179), (None, 58, 59), (Some("2"), 0, 1)] {
        let directory = directory();
        match lifetime {
            Some(days) => directory.set(settings, "tombstoneLifetime", [days]),
            None => directory.clear(settings, "tombstoneLifetime"),
        }
        let follower = follow(start(directory.clone()).await).await;
        directory.set_now(START + good * DAY + HOUR);
        assert!(!follower.has_expired(&follower.cursor).await, "{lifetime:?} after {good} days");
        directory.set_now(START + expired * DAY + HOUR);
        assert!(follower.has_expired(&follower.cursor).await, "{lifetime:?} after {expired} days");
        directory.set_now(START - 2 * DAY);
        assert!(follower.has_expired(&follower.cursor).await, "a clock that went back");
    }
}

/// Two controllers of one domain, told apart by their numbers.
async fn two_controllers() -> (Domain, FakeLdap) {
    let directory = running();
    directory.add_user(PEOPLE, "anna").create();
    let twin = running();
    twin.add_user(PEOPLE, "anna").create();
    twin.restore_from_backup(90_000);
    let twin = FakeLdap::start(twin).await;
    let mut domain = start(directory).await;
    domain.config.domain.urls = vec![domain.fake.ldaps_url(), twin.ldaps_url()];
    domain.config.domain.ca = Some([domain.fake.ca_pem(), twin.ca_pem()].concat().into_bytes());
    (domain, twin)
}

#[tokio::test]
async fn of_several_controllers_the_one_of_the_last_run_is_asked() {
    let (domain, twin) = two_controllers().await;
    let mut second = domain.config.clone();
    second.domain.urls.reverse();
    let endpoint = crate::domain::endpoint(second);
    let cursor = list(&endpoint, &domain.cx, None).await.unwrap().cursor.unwrap();
    twin.directory().set("anna", "title", ["Manager"]);
    // Another process, which begins with the first of the list: both are asked who they are, one is read.
    let endpoint = domain.endpoint();
    endpoint.coverage(&domain.cx).await.unwrap();
    twin.log().clear();
    let told = changes(&endpoint, &domain.cx, &cursor).await.unwrap().expect("the other one was found");
    assert_eq!(told.objects.len(), 1);
    assert_eq!(twin.log().binds().len(), 1);
    // It stays there until the end of the run.
    twin.log().clear();
    endpoint.coverage(&domain.cx).await.unwrap();
    assert!(!twin.log().searches().is_empty());
}

#[tokio::test]
async fn a_controller_that_is_gone_expires_the_cursor_before_and_in_the_middle_of_a_delta() {
    let (mut domain, twin) = two_controllers().await;
    domain.config.domain.page_size = 1;
    let follower = follow(domain).await;
    for number in 0..9 {
        follower.domain.directory.add_user(PEOPLE, &format!("user{number}")).create();
    }
    let mut pager = follower.endpoint.as_delta().unwrap().delta(&follower.domain.cx, &follower.cursor).await.unwrap();
    assert!(matches!(pager.next().await.unwrap(), DeltaStep::Page(_)));
    follower.domain.fake.shutdown().await;
    let last = loop {
        match pager.next().await.unwrap() {
            DeltaStep::Page(_) => {}
            last => break last,
        }
    };
    assert!(matches!(last, DeltaStep::CursorExpired));
    let endpoint = crate::domain::endpoint(follower.domain.config.clone());
    assert!(changes(&endpoint, &follower.domain.cx, &follower.cursor).await.unwrap().is_none());
    assert!(list(&endpoint, &follower.domain.cx, None).await.is_ok());
    twin.shutdown().await;
}
