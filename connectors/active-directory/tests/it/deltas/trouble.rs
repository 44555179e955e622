//! Deltas over connections that break, from servers that refuse or lie: nothing is lost, repeated or made up.

use tenantry::ErrorKind;
use tenantry::endpoint::Cursor;
use tenantry_fakes::ldap::{Fault, Settings, When};

use super::OUTSIDE;
use crate::domain::{PEOPLE, list, running, start_with};
use crate::known::{Follower, changes, follow};

/// A domain in which everything has happened that a delta tells.
async fn eventful() -> Follower {
    let directory = running();
    directory.rights("reader").read_deleted(true);
    directory.add_ou(OUTSIDE);
    directory.add_ou("OU=Unit,OU=People,DC=corp,DC=example");
    let team = directory.add_group(PEOPLE, "Team").create();
    for number in 0..24 {
        let user = directory.add_user(PEOPLE, &format!("user{number}")).attribute("department", "Sales").create();
        directory.add_member(team, user);
        directory
            .add_user("OU=Unit,OU=People,DC=corp,DC=example", &format!("unit{number}"))
            .attribute("department", "IT")
            .create();
    }
    let mut domain = start_with(directory.clone(), Settings { max_val_range: 7, ..Settings::default() }).await;
    domain.config.domain.base = Some(PEOPLE.into());
    domain.config.domain.users = Some("(department=*)".into());
    domain.config.domain.page_size = 4;
    let follower = follow(domain).await;
    for number in 0..24 {
        let name = format!("user{number}");
        match number % 4 {
            0 => directory.set(name, "title", ["Manager"]),
            1 => directory.move_to(name, OUTSIDE),
            2 => directory.clear(name, "department"),
            _ => directory.delete(name),
        }
    }
    directory.add_group(PEOPLE, "Empty").create();
    directory.add_member(team, "unit0");
    directory.rename_ou("OU=Unit,OU=People,DC=corp,DC=example", "Renamed");
    follower
}

#[tokio::test]
async fn a_connection_that_is_cut_at_any_search_of_a_delta_loses_and_repeats_nothing() {
    let follower = eventful().await;
    follower.domain.fake.log().clear();
    let whole = follower.tell().await;
    let searches = follower.domain.fake.log().searches().len() as u64;
    assert!(searches > 30, "{searches}");
    let faults = follower.domain.fake.faults();
    for number in 1..=searches {
        for fault in [Fault::Cut, Fault::CutAfterEntries(2), Fault::RefuseCookies, Fault::EmptyPage] {
            faults.clear();
            faults.on(When::Search(number), fault.clone());
            let told = follower.tell().await;
            assert_eq!(told.objects, whole.objects, "{fault:?} at {number}");
            assert_eq!(told.began, whole.began, "{fault:?} at {number}");
            assert_eq!(told.closed, whole.closed, "{fault:?} at {number}");
            assert_eq!(told.out_of_scope, whole.out_of_scope, "{fault:?} at {number}");
            assert_eq!(told.gone(), whole.gone(), "{fault:?} at {number}");
            assert_eq!(told.cursor.as_ref().map(Cursor::version), whole.cursor.as_ref().map(Cursor::version));
        }
    }
    faults.clear();
    let mut known = follower.known;
    known.apply(&whole);
    known.assert_same(&list(&follower.endpoint, &follower.domain.cx, None).await.unwrap().into(), "after all that");
}

#[tokio::test]
async fn a_search_of_a_delta_that_fails_fails_the_delta() {
    let follower = eventful().await;
    follower.domain.fake.log().clear();
    follower.tell().await;
    let searches = follower.domain.fake.log().searches().len() as u64;
    let faults = follower.domain.fake.faults();
    for number in 1..=searches {
        for code in [53, 3] {
            faults.clear();
            faults.on(When::SearchesFrom(number), Fault::Answer { code, text: "0000052D: SvcErr".into() });
            let outcome = changes(&follower.endpoint, &follower.domain.cx, &follower.cursor).await;
            let error = outcome.err().unwrap_or_else(|| panic!("{code} at {number} of {searches} went unnoticed"));
            assert_ne!(*error.kind(), ErrorKind::Conflict);
        }
    }
}

#[tokio::test]
async fn a_page_that_repeats_itself_is_an_error() {
    let follower = eventful().await;
    follower.domain.fake.faults().on(When::FilterContains("uSNChanged".into()), Fault::RepeatCookie);
    assert!(changes(&follower.endpoint, &follower.domain.cx, &follower.cursor).await.is_err());
}

#[tokio::test]
async fn a_short_answer_puts_nobody_out_of_scope() {
    let follower = eventful().await;
    let whole = follower.tell().await;
    for seed in 0..20 {
        let faults = follower.domain.fake.faults();
        faults.clear();
        faults.on(When::Always, Fault::DropRows { percent: 50, seed });
        let told = follower.tell().await;
        assert!(told.out_of_scope.is_subset(&whole.out_of_scope) && told.gone().is_subset(&whole.gone()));
    }
}
