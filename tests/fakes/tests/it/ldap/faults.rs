//! Faults and lies.

use std::time::Duration;

use ldap3::Scope;
use tenantry_fakes::ldap::{Fault, Settings, When};

use super::*;

const CROWD: &str = "(&(objectCategory=person)(sAMAccountName=u*))";

async fn with_crowd(count: usize) -> (Directory, FakeLdap, Ldap) {
    let directory = crowd(count);
    let server = start(&directory, Settings::default()).await;
    let ldap = bound(&server, ADMIN).await;
    (directory, server, ldap)
}

async fn attempt(ldap: &mut Ldap) -> Result<usize, String> {
    let search = ldap.search(ROOT, Scope::Subtree, CROWD, vec!["cn"]);
    match tokio::time::timeout(Duration::from_millis(400), search).await {
        Err(_) => Err("hangs".to_owned()),
        Ok(Err(error)) => Err(error.to_string()),
        Ok(Ok(answer)) if answer.1.rc == 0 => Ok(answer.0.iter().filter(|entry| !entry.is_ref()).count()),
        Ok(Ok(answer)) => Err(format!("code {}", answer.1.rc)),
    }
}

#[tokio::test]
async fn a_result_code_is_answered_once_at_the_search_that_was_named() {
    let (_, server, mut ldap) = with_crowd(5).await;
    server.faults().on(When::Search(2), Fault::Answer { code: 51, text: "0000200E: SvcErr: busy".to_owned() });
    assert_eq!(attempt(&mut ldap).await, Ok(5));
    assert_eq!(attempt(&mut ldap).await, Err("code 51".to_owned()));
    assert_eq!(server.faults().pending(), 0);
    assert_eq!(attempt(&mut ldap).await, Ok(5));
}

#[tokio::test]
async fn a_bind_can_be_refused_as_well() {
    let (_, server, mut ldap) = with_crowd(1).await;
    server.faults().on(When::Binds, Fault::Answer { code: 52, text: "unavailable".to_owned() });
    assert_eq!(ldap.simple_bind(ADMIN.0, ADMIN.1).await.unwrap().rc, 52);
}

#[tokio::test]
async fn the_connection_is_cut_at_a_message_or_after_some_entries() {
    let (_, server, mut ldap) = with_crowd(5).await;
    server.faults().on(When::Message(1), Fault::Cut);
    assert!(attempt(&mut ldap).await.is_err());
    let mut ldap = bound(&server, ADMIN).await;
    server.faults().on(When::Search(1), Fault::CutAfterEntries(3));
    let mut stream = ldap.streaming_search(ROOT, Scope::Subtree, CROWD, vec!["cn"]).await.unwrap();
    let mut count = 0;
    while let Ok(Some(_)) = stream.next().await {
        count += 1;
    }
    assert_eq!(count, 3);
    assert_eq!(server.log().searches().last().map(|line| (line.entries, line.result)), Some((3, None)));
}

#[tokio::test]
async fn a_server_can_hang_be_slow_or_talk_garbage() {
    let (_, server, mut ldap) = with_crowd(5).await;
    server.faults().on(When::Search(1), Fault::Hang);
    assert_eq!(attempt(&mut ldap).await, Err("hangs".to_owned()));
    server.faults().on(When::Search(1), Fault::Delay(Duration::from_millis(600)));
    assert_eq!(attempt(&mut ldap).await, Err("hangs".to_owned()));
    server.faults().clear();
    let mut ldap = bound(&server, ADMIN).await;
    server.faults().on(When::Search(1), Fault::OversizedLength);
    assert_eq!(attempt(&mut ldap).await, Err("hangs".to_owned()), "a client without a limit waits for two gigabytes");
    let mut ldap = bound(&server, ADMIN).await;
    server.faults().on(When::Search(1), Fault::MalformedBer);
    assert!(attempt(&mut ldap).await.is_err());
    let mut ldap = bound(&server, ADMIN).await;
    server.faults().on(When::Search(1), Fault::OversizedMessage(1 << 20));
    assert_eq!(attempt(&mut ldap).await, Ok(6));
}

#[tokio::test]
async fn a_cookie_can_come_again_and_again() {
    let (_, server, mut ldap) = with_crowd(50).await;
    server.faults().on(When::PagesFrom(2), Fault::RepeatCookie);
    let mut cookies = Vec::new();
    for _ in 0..4 {
        let cookie = cookies.last().cloned().unwrap_or_default();
        let page = find(&mut ldap, ROOT, Scope::Subtree, CROWD, &["cn"], vec![paged(10, cookie)]).await;
        assert_eq!(page.entries.len(), 10);
        cookies.push(page.cookie());
    }
    assert_eq!(cookies[0], cookies[1]);
    assert_eq!(cookies[1], cookies[3]);
}

#[tokio::test]
async fn an_empty_page_loses_nothing() {
    let (_, server, mut ldap) = with_crowd(50).await;
    server.faults().on(When::Page(3), Fault::EmptyPage);
    let (all, sizes) = all_pages(&mut ldap, CROWD, 20).await;
    assert_eq!(sizes, [20, 20, 0, 10]);
    assert_eq!(by_name(all.entries).len(), 50);
}

#[tokio::test]
async fn rows_are_lost_and_the_server_says_success() {
    let (_, server, mut ldap) = with_crowd(100).await;
    let lie = |when: When, fault: Fault| {
        server.faults().clear();
        server.faults().on(when, fault);
    };
    lie(When::Always, Fault::DropTail { percent: 30 });
    assert_eq!(all_pages(&mut ldap, CROWD, 20).await.0.entries.len(), 70);
    lie(When::Always, Fault::DropRows { percent: 20, seed: 1 });
    let first = all_pages(&mut ldap, CROWD, 20).await.0.names();
    assert!((60..95).contains(&first.len()), "{}", first.len());
    assert_eq!(all_pages(&mut ldap, CROWD, 7).await.0.names(), first, "always the same rows");
    lie(When::Page(3), Fault::EndListing);
    let (all, sizes) = all_pages(&mut ldap, CROWD, 20).await;
    assert_eq!((all.code, sizes), (0, vec![20, 20, 20]));
    lie(When::FilterContains("SAMaccountname=U".to_owned()), Fault::EmptySuccess);
    assert_eq!(attempt(&mut ldap).await, Ok(0));
    assert_eq!(everybody(&mut ldap, "(cn=u1)").await.len(), 1);
    lie(When::Page(2), Fault::EmptySuccess);
    assert_eq!(all_pages(&mut ldap, CROWD, 20).await.1, [20, 0]);
}

#[tokio::test]
async fn a_container_becomes_unreadable_in_the_middle_of_a_listing() {
    let (directory, server, mut ldap) = with_crowd(30).await;
    directory.add_ou("OU=Late");
    for number in 30..60 {
        directory.add_user("OU=Late", &format!("u{number}")).create();
    }
    server.faults().on(When::PagesFrom(4), Fault::HideContainer("OU=Late".to_owned()));
    let (all, _) = all_pages(&mut ldap, CROWD, 10).await;
    assert_eq!((all.code, all.entries.len()), (0, 30));
    server.faults().clear();
    server.faults().on(When::PagesFrom(2), Fault::LoseRights);
    let (all, _) = all_pages(&mut ldap, CROWD, 10).await;
    assert_eq!((all.code, all.entries.len()), (0, 10));
}

#[tokio::test]
async fn a_member_list_is_cut_as_if_it_were_whole() {
    let (_, server, mut ldap) = with_crowd(1).await;
    let dn = "CN=Staff,OU=Groups,DC=corp,DC=example".to_owned();
    server.faults().on(When::Always, Fault::TruncateLinks { dn: dn.clone(), keep: 1 });
    let found = search(&mut ldap, &dn, Scope::Base, "(objectClass=*)", &["member"]).await;
    assert_eq!(texts(&found.entries[0], "member").len(), 1);
}

#[tokio::test]
async fn cookies_are_refused_from_a_page_on() {
    let (_, server, mut ldap) = with_crowd(50).await;
    server.faults().on(When::PagesFrom(3), Fault::RefuseCookies);
    let (all, sizes) = all_pages(&mut ldap, CROWD, 10).await;
    assert_eq!((all.code, sizes), (12, vec![10, 10, 0]));
}
