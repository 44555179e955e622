//! Rights, and cookies that are of no more use.

use tenantry::ErrorKind;
use tenantry::endpoint::{Cursor, Endpoint};
use tenantry_fakes::ldap::{DirSyncDenial, Directory, Fault, Settings, When};

use super::{START, start};
use crate::domain::{Domain, PEOPLE, directory, id, start_with};
use crate::followed::{Known, delta, start_by_rounds_of};

async fn expired(domain: &Domain, cursor: &Cursor) -> bool {
    delta(&domain.endpoint(), domain, cursor).await.unwrap().is_none()
}

#[tokio::test]
async fn without_the_right_to_replicate_what_can_be_read_is_told() {
    for dirsync_denial in [DirSyncDenial::Refused, DirSyncDenial::SilentlyEmpty] {
        let directory = directory();
        let anna = directory.add_user(PEOPLE, "anna").create();
        let settings = Settings { dirsync_denial, ..Settings::default() };
        let mut domain = start_with(directory.clone(), settings).await;
        domain.config.domain.delta = tenantry_active_directory::DeltaMethod::DirSync;
        directory.rights("reader").read_deleted(true);
        let mut known = Known::listed(&domain).await;
        directory.set(anna, "title", ["Head"]);
        let delta = known.follow(&domain).await;
        assert!(delta.objects.has(id(anna)));
        known.check(&domain).await;
        directory.delete(anna);
        assert!(known.follow(&domain).await.tombstone(id(anna)).is_some());
        known.check(&domain).await;
    }
}

#[tokio::test]
async fn where_no_way_gives_an_answer_the_missing_right_is_named() {
    let refusal = Fault::Answer { code: 50, text: "00002105: LdapErr: DSID-0C0907AC".into() };
    for fault in [refusal, Fault::EmptySuccess] {
        let domain = start(directory()).await;
        domain.fake.faults().on(When::FilterContains("isCriticalSystemObject".into()), fault);
        let error = domain.endpoint().snapshot(&domain.cx, None).await.err().expect("there is no first cookie");
        assert!(
            matches!(error.kind(), ErrorKind::PermissionDenied { missing } if missing == &["Replicating Directory Changes"])
        );
        assert!(error.message().contains("delta = \"usn\""), "{error}");
        let check = domain.endpoint().verify(&domain.cx).await.unwrap();
        let right = check.rights.iter().find(|right| right.name == "Replicating Directory Changes").unwrap();
        assert!(!right.granted);
        assert!(check.not_seen.iter().any(|sentence| sentence.contains("DirSync")), "{:?}", check.not_seen);
    }
}

#[tokio::test]
async fn the_check_names_the_right_that_is_granted() {
    let directory = directory();
    let domain = start(directory.clone()).await;
    let granted = async || {
        let check = domain.endpoint().verify(&domain.cx).await.unwrap();
        check.rights.into_iter().find(|right| right.name == "Replicating Directory Changes").unwrap().granted
    };
    assert!(granted().await);
    directory.rights("reader").replicate_changes(false);
    assert!(!granted().await);
}

#[tokio::test]
async fn a_right_that_was_withdrawn_asks_for_a_listing_and_is_never_taken_for_silence() {
    for dirsync_denial in [DirSyncDenial::Refused, DirSyncDenial::SilentlyEmpty] {
        let directory = directory();
        let settings = Settings { dirsync_denial, ..Settings::default() };
        directory.rights("reader").replicate_changes(true);
        let mut domain = start_with(directory.clone(), settings).await;
        domain.config.domain.delta = tenantry_active_directory::DeltaMethod::DirSync;
        let known = Known::listed(&domain).await;
        assert!(!expired(&domain, &known.cursor).await);
        directory.rights("reader").replicate_changes(false);
        // Somewhere, of which the account is told nothing.
        directory.set("CN=Builtin,DC=corp,DC=example", "forceLogoff", ["0"]);
        assert!(expired(&domain, &known.cursor).await, "{dirsync_denial:?}");
    }
}

#[tokio::test]
async fn a_refused_foreign_or_damaged_cookie_has_expired() {
    let domain = start(directory()).await;
    let known = Known::listed(&domain).await;
    let damaged = Cursor::new(known.cursor.version(), b"{}".as_slice());
    assert!(expired(&domain, &damaged).await);
    let other = Directory::seeded("DC=corp,DC=example", 2);
    other.add_user("CN=Users,DC=corp,DC=example", "reader").password("Passw0rd!Read1").create();
    let other = start(other).await;
    assert!(expired(&other, &known.cursor).await);
    domain.directory.add_user(PEOPLE, "anna").create();
    domain.fake.faults().on(When::Always, Fault::RefuseCookies);
    assert!(expired(&domain, &known.cursor).await);
    domain.fake.faults().clear();
    assert!(!expired(&domain, &known.cursor).await);
}

#[tokio::test]
async fn a_cookie_of_a_controller_that_was_restored_has_expired() {
    let directory = directory();
    let domain = start(directory.clone()).await;
    let known = Known::listed(&domain).await;
    directory.restore_from_backup(90_000);
    assert!(expired(&domain, &known.cursor).await);
}

#[tokio::test]
async fn a_cookie_of_another_controller_of_the_domain_has_expired() {
    let directory = directory();
    let domain = start(directory.clone()).await;
    let known = Known::listed(&domain).await;
    let twin = crate::domain::directory();
    twin.restore_from_backup(90_000);
    let twin = start(twin).await;
    assert!(expired(&twin, &known.cursor).await, "what it has may be older than what was told");
}

#[tokio::test]
async fn a_cookie_as_old_as_tombstones_get_has_expired() {
    const DAY: i64 = 24 * 3600;
    let directory = directory();
    directory.set(
        "CN=Directory Service,CN=Windows NT,CN=Services,CN=Configuration,DC=corp,DC=example",
        "tombstoneLifetime",
        ["180"],
    );
    directory.set_now(START);
    // A password that never expires.
    directory.set("reader", "userAccountControl", ["66048"]);
    let domain = start(directory.clone()).await;
    let known = Known::listed(&domain).await;
    directory.set_now(START + 178 * DAY);
    assert!(!expired(&domain, &known.cursor).await);
    directory.set_now(START + 180 * DAY);
    assert!(expired(&domain, &known.cursor).await);
}

#[tokio::test]
async fn an_account_that_may_read_nothing_any_more_is_never_told_that_nothing_changed() {
    let directory = directory();
    let anna = directory.add_user(PEOPLE, "anna").create();
    let mut domain = start_with(directory.clone(), Settings::default()).await;
    domain.config.domain.delta = tenantry_active_directory::DeltaMethod::DirSync;
    let known = Known::listed(&domain).await;
    directory.set(anna, "title", ["Head"]);
    let blind = Fault::LoseRights;
    domain.fake.faults().on(When::FilterContains("(objectClass=*)".into()), blind.clone());
    domain.fake.faults().on(When::FilterContains("isCriticalSystemObject".into()), blind);
    let outcome = delta(&domain.endpoint(), &domain, &known.cursor).await;
    assert!(!matches!(outcome, Ok(Some(_))), "{outcome:?}");
}

#[tokio::test]
async fn a_cookie_of_another_method_has_expired() {
    let mut domain = start(directory()).await;
    let known = Known::listed(&domain).await;
    domain.config.domain.delta = tenantry_active_directory::DeltaMethod::Usn;
    assert!(expired(&domain, &known.cursor).await);
    let by_numbers = Known::listed(&domain).await;
    domain.config.domain.delta = tenantry_active_directory::DeltaMethod::DirSync;
    assert!(expired(&domain, &by_numbers.cursor).await);
}

#[tokio::test]
async fn answers_that_run_in_a_circle_end_in_an_error() {
    for fault in [Fault::RepeatCookie, Fault::EmptyPage] {
        let directory = directory();
        let anna = directory.add_user(PEOPLE, "anna").create();
        let domain = start(directory.clone()).await;
        let known = Known::listed(&domain).await;
        directory.set(anna, "title", ["Head"]);
        domain.fake.faults().on(When::Always, fault.clone());
        let error = delta(&domain.endpoint(), &domain, &known.cursor).await.unwrap_err();
        assert!(error.message().contains("circle"), "{error}");
    }
}

#[tokio::test]
async fn a_connection_that_breaks_in_between_loses_no_change() {
    let directory = directory();
    let users: Vec<_> = (0..30).map(|n| directory.add_user(PEOPLE, &format!("user{n}")).create()).collect();
    let domain = start_by_rounds_of(directory.clone(), 10).await;
    let mut known = Known::listed(&domain).await;
    for at in 1..12 {
        for user in &users {
            directory.set(user, "title", [format!("title {at}")]);
        }
        domain.fake.faults().on(When::Search(at), Fault::Cut);
        known.follow(&domain).await;
        domain.fake.faults().clear();
        known.check(&domain).await;
    }
}

#[tokio::test]
async fn an_answer_that_fails_is_an_error_and_moves_no_cursor() {
    let directory = directory();
    let anna = directory.add_user(PEOPLE, "anna").create();
    let domain = start(directory.clone()).await;
    let mut known = Known::listed(&domain).await;
    directory.set(anna, "title", ["Head"]);
    let fault = Fault::Answer { code: 1, text: "00002120: LdapErr".into() };
    domain.fake.faults().on(When::FilterContains("objectGUID".into()), fault);
    assert!(delta(&domain.endpoint(), &domain, &known.cursor).await.is_err());
    domain.fake.faults().clear();
    assert!(known.follow(&domain).await.objects.has(id(anna)));
}

#[tokio::test]
async fn a_filter_by_what_is_never_told_forbids_deltas() {
    let mut domain = start(directory()).await;
    for (filter, possible) in [("(whenChanged>=20260101000000.0Z)", false), ("(title=*)", true), ("(cn=a*)", true)] {
        domain.config.domain.users = Some(filter.to_owned());
        assert_eq!(domain.endpoint().as_delta().is_some(), possible, "{filter}");
    }
}

#[tokio::test]
async fn a_listing_of_ids_asks_for_no_cookie() {
    let domain = start(directory()).await;
    let endpoint = domain.endpoint();
    let listing = crate::domain::rest(endpoint.id_listing(&domain.cx).await.unwrap()).await;
    assert!(listing.cursor.is_none() && !listing.objects.is_empty());
    let asked = domain.fake.log().searches();
    assert!(!format!("{asked:?}").contains("isCriticalSystemObject"));
}
