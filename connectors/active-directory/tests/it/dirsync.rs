//! Changes by DirSync: what deltas give, laid over a listing, is what a fresh listing gives.

#![allow(clippy::unwrap_used, reason = "a helper of tests")]

mod cursors;

use tenantry::endpoint::Endpoint;
use tenantry::model::{ObjectKind, TombstoneKind, Value};
use tenantry::testkit::Changes;
use tenantry_fakes::ldap::{Directory, Guid};

use crate::domain::{Domain, GROUPS, PEOPLE, directory, id, ids, text};
use crate::followed::{Known, delta, start_by_rounds_of};

/// 2026-01-15T12:00:00Z, when the fake's time stands still.
const START: i64 = 1_768_478_400;

async fn start(directory: Directory) -> Domain {
    start_by_rounds_of(directory, 1000).await
}

/// Tells how an object ended.
fn ended(delta: &Changes, guid: Guid) -> (ObjectKind, TombstoneKind) {
    let tombstone = delta.tombstone(id(guid)).unwrap();
    (tombstone.object.kind, tombstone.kind)
}

#[tokio::test]
async fn nothing_changed_is_a_silent_delta_and_the_next_one_goes_on() {
    let directory = directory();
    directory.add_user(PEOPLE, "anna").create();
    let domain = start(directory.clone()).await;
    let mut known = Known::listed(&domain).await;
    for _ in 0..2 {
        assert!(known.follow(&domain).await.is_empty());
    }
    let bert = directory.add_user(PEOPLE, "bert").create();
    let delta = known.follow(&domain).await;
    assert_eq!(delta.objects.ids(), ids(&[bert]));
    assert!(known.follow(&domain).await.is_empty());
    known.check(&domain).await;
}

#[tokio::test]
async fn what_changes_while_it_is_listed_comes_in_the_delta() {
    let directory = directory();
    let anna = directory.add_user(PEOPLE, "anna").create();
    let domain = start(directory.clone()).await;
    let mut pager = domain.endpoint().snapshot(&domain.cx, None).await.unwrap();
    crate::domain::read_until(&mut *pager, anna).await;
    directory.set(anna, "title", ["Head"]);
    let cursor = crate::domain::rest(pager).await.cursor.unwrap();
    let delta = delta(&domain.endpoint(), &domain, &cursor).await.unwrap().unwrap();
    assert_eq!(text(delta.objects.patch(id(anna)), "attributes.title").as_deref(), Some("Head"));
}

#[tokio::test]
async fn a_changed_object_comes_whole_and_a_cleared_attribute_is_empty() {
    let directory = directory();
    let anna = directory.add_user(PEOPLE, "anna").given("Anna").attribute("title", "Head").disabled().create();
    let domain = start(directory.clone()).await;
    let mut known = Known::listed(&domain).await;
    directory.clear(anna, "title");
    // The state follows from two attributes of which one changed.
    directory.set(anna, "accountExpires", ["0"]);
    let delta = known.follow(&domain).await;
    let patch = delta.objects.patch(id(anna));
    let name = tenantry::model::AttributeName::parse("attributes.title");
    assert_eq!(patch.attributes.get(&name), Some(&Value::Empty));
    assert_eq!(text(patch, "state").as_deref(), Some("suspended"));
    assert_eq!(text(patch, "first_name").as_deref(), Some("Anna"));
    known.check(&domain).await;
}

#[tokio::test]
async fn single_members_come_and_go_by_their_ids_and_the_list_is_not_read() {
    let directory = directory();
    let users: Vec<_> = (0..30).map(|n| directory.add_user(PEOPLE, &format!("user{n}")).create()).collect();
    let team = directory.add_group(GROUPS, "Team").create();
    for user in &users[..20] {
        directory.add_member(team, user);
    }
    let mut domain = start(directory.clone()).await;
    domain.config.domain.page_size = 10;
    let mut known = Known::listed(&domain).await;
    directory.add_member(team, users[25]);
    directory.remove_member(team, users[3]);
    directory.add_member(team, users[26]);
    directory.remove_member(team, users[26]);
    let delta = known.follow(&domain).await;
    assert_eq!(delta.began.pairs(), [(id(team), id(users[25]))].into());
    assert!(delta.ended.has(id(team), id(users[3])));
    assert!(delta.closed.is_empty());
    known.check(&domain).await;
}

#[tokio::test]
async fn a_member_that_was_removed_and_then_deleted_is_removed_by_its_id() {
    let directory = directory();
    let anna = directory.add_user(PEOPLE, "anna").create();
    let bert = directory.add_user(PEOPLE, "bert").create();
    let team = directory.add_group(GROUPS, "Team").member(anna).member(bert).create();
    directory.set_recycle_bin(true);
    let domain = start(directory.clone()).await;
    let mut known = Known::listed(&domain).await;
    directory.remove_member(team, anna);
    directory.delete(anna);
    directory.delete(bert);
    let delta = known.follow(&domain).await;
    assert_eq!(delta.ended.pairs(), [(id(team), id(anna))].into());
    assert_eq!(ended(&delta, anna), (ObjectKind::User, TombstoneKind::Soft));
    known.check(&domain).await;
    assert!(!known.members.contains_key(&id(team)));
}

#[tokio::test]
async fn tombstones_tell_what_they_were_by_their_class() {
    let directory = directory();
    let anna = directory.add_user(PEOPLE, "anna").create();
    let team = directory.add_group(GROUPS, "Team").create();
    let server = directory.add_computer(PEOPLE, "SRV", tenantry_fakes::ldap::ComputerKind::Workstation).create();
    let unit = directory.add_ou("OU=Empty,OU=People,DC=corp,DC=example");
    let domain = start(directory.clone()).await;
    let mut known = Known::listed(&domain).await;
    for guid in [anna, team, server, unit] {
        directory.delete(guid);
    }
    let delta = known.follow(&domain).await;
    assert_eq!(delta.gone(), ids(&[anna, team, server]));
    assert_eq!(ended(&delta, team), (ObjectKind::Group, TombstoneKind::Hard));
    assert_eq!(ended(&delta, server), (ObjectKind::Computer, TombstoneKind::Hard));
    known.check(&domain).await;
}

#[tokio::test]
async fn a_tombstone_that_cannot_be_read_is_told_all_the_same() {
    let directory = directory();
    let anna = directory.add_user(PEOPLE, "anna").create();
    let domain = start(directory.clone()).await;
    let mut known = Known::listed(&domain).await;
    directory.delete(anna);
    directory.rights("reader").read_deleted(false);
    let delta = known.follow(&domain).await;
    assert_eq!(delta.tombstone(id(anna)).unwrap().kind, TombstoneKind::Hard);
}

#[tokio::test]
async fn who_comes_back_from_the_recycle_bin_comes_with_his_memberships() {
    let directory = directory();
    let anna = directory.add_user(PEOPLE, "anna").create();
    let team = directory.add_group(GROUPS, "Team").member(anna).create();
    directory.set_recycle_bin(true);
    let domain = start(directory.clone()).await;
    let mut known = Known::listed(&domain).await;
    directory.delete(anna);
    known.follow(&domain).await;
    known.check(&domain).await;
    directory.undelete(anna);
    let delta = known.follow(&domain).await;
    assert_eq!(delta.began.pairs(), [(id(team), id(anna))].into());
    known.check(&domain).await;
}

#[tokio::test]
async fn what_lies_below_a_moved_or_renamed_container_is_listed() {
    let directory = directory();
    let unit = directory.add_ou("OU=North,OU=People,DC=corp,DC=example");
    let anna = directory.add_user("OU=North,OU=People,DC=corp,DC=example", "anna").create();
    let deep = directory.add_ou("OU=Deep,OU=North,OU=People,DC=corp,DC=example");
    let bert = directory.add_user("OU=Deep,OU=North,OU=People,DC=corp,DC=example", "bert").create();
    let team = directory.add_group("OU=North,OU=People,DC=corp,DC=example", "Team").member(anna).create();
    directory.add_ou("OU=Elsewhere,DC=corp,DC=example");
    let mut domain = start(directory.clone()).await;
    domain.config.domain.base = Some(PEOPLE.into());
    let mut known = Known::listed(&domain).await;
    let container = |known: &Known, guid: Guid| known.objects.patch(id(guid)).container.clone();
    let before = container(&known, bert);
    directory.rename_ou("OU=North,OU=People", "South");
    known.follow(&domain).await;
    assert_ne!(container(&known, bert), before);
    known.check(&domain).await;
    directory.move_to(unit, "OU=Elsewhere");
    let delta = known.follow(&domain).await;
    assert_eq!(delta.outside(), ids(&[anna, bert, team]));
    known.check(&domain).await;
    directory.move_to(unit, "OU=People");
    let delta = known.follow(&domain).await;
    assert_eq!(delta.began.pairs(), [(id(team), id(anna))].into(), "the list of a group that came into scope is read");
    known.check(&domain).await;
    directory.move_to(deep, "OU=Elsewhere");
    assert_eq!(known.follow(&domain).await.outside(), ids(&[bert]));
    known.check(&domain).await;
}

#[tokio::test]
async fn what_leaves_base_filter_or_falls_under_an_exclusion_is_out_of_scope() {
    let directory = directory();
    directory.add_ou("OU=Elsewhere,DC=corp,DC=example");
    directory.add_ou("OU=Old,OU=People,DC=corp,DC=example");
    let user = |name: &str| directory.add_user(PEOPLE, name).attribute("department", "Sales").create();
    let (here, moved, excluded, left) = (user("here"), user("moved"), user("excluded"), user("left"));
    let mut domain = start(directory.clone()).await;
    domain.config.domain.base = Some(PEOPLE.into());
    domain.config.domain.users = Some("(department=*)".into());
    domain.config.domain.exclude = vec!["OU=Old,OU=People,DC=corp,DC=example".into()];
    let mut known = Known::listed(&domain).await;
    directory.move_to(moved, "OU=Elsewhere,DC=corp,DC=example");
    directory.move_to(excluded, "OU=Old,OU=People,DC=corp,DC=example");
    directory.clear(left, "department");
    directory.set(here, "title", ["Head"]);
    let delta = known.follow(&domain).await;
    assert_eq!(delta.outside(), ids(&[moved, excluded, left]));
    assert_eq!(delta.objects.ids(), ids(&[here]));
    known.check(&domain).await;
}

#[tokio::test]
async fn a_group_that_comes_into_scope_by_the_filter_brings_members_that_never_changed() {
    let directory = directory();
    let anna = directory.add_user(PEOPLE, "anna").create();
    let team = directory.add_group(GROUPS, "Team").member(anna).create();
    let mut domain = start(directory.clone()).await;
    domain.config.domain.groups = Some("(info=import)".into());
    let mut known = Known::listed(&domain).await;
    assert!(!known.members.contains_key(&id(team)));
    directory.set(team, "info", ["import"]);
    let delta = known.follow(&domain).await;
    assert_eq!(delta.began.pairs(), [(id(team), id(anna))].into());
    known.check(&domain).await;
    directory.clear(team, "info");
    directory.remove_member(team, anna);
    let delta = known.follow(&domain).await;
    assert!(delta.ended.is_empty(), "a group out of scope tells nothing of its members");
    known.check(&domain).await;
}

#[tokio::test]
async fn another_primary_group_is_told() {
    let directory = directory();
    let anna = directory.add_user(PEOPLE, "anna").create();
    let team = directory.add_group(GROUPS, "Team").member(anna).create();
    let rid = directory.sid_of(team).unwrap().rid().unwrap();
    let domain = start(directory.clone()).await;
    let mut known = Known::listed(&domain).await;
    directory.set(anna, "primaryGroupID", [rid.to_string()]);
    let delta = known.follow(&domain).await;
    let primary = Some(Some(id(team)));
    assert_eq!(delta.objects.patch(id(anna)).primary_group, primary);
    known.check(&domain).await;
}

#[tokio::test]
async fn an_object_that_goes_out_of_sight_is_no_statement_at_all() {
    let directory = directory();
    let anna = directory.add_user(PEOPLE, "anna").create();
    let domain = start(directory.clone()).await;
    directory.rights("reader").replicate_changes(false);
    let mut known = Known::listed(&domain).await;
    directory.set(anna, "title", ["Head"]);
    directory.rights("reader").hide(anna);
    assert!(known.follow(&domain).await.is_empty());
}

#[tokio::test]
async fn all_rounds_are_read_however_the_answer_is_cut() {
    for batch in [1, 7, 50] {
        let directory = directory();
        let domain = start_by_rounds_of(directory.clone(), batch).await;
        let mut known = Known::listed(&domain).await;
        let users: Vec<_> = (0..120).map(|n| directory.add_user(PEOPLE, &format!("user{n}")).create()).collect();
        let team = directory.add_group(GROUPS, "Team").create();
        for user in &users {
            directory.add_member(team, user);
        }
        let delta = known.follow(&domain).await;
        assert_eq!(delta.objects.len(), 121);
        known.check(&domain).await;
    }
}

#[tokio::test]
async fn a_delta_behind_which_nothing_was_committed_asks_for_no_changes() {
    let domain = start(directory()).await;
    let mut known = Known::listed(&domain).await;
    let endpoint = domain.endpoint();
    endpoint.coverage(&domain.cx).await.unwrap();
    domain.fake.log().clear();
    assert!(delta(&endpoint, &domain, &known.cursor).await.unwrap().unwrap().is_empty());
    assert_eq!(domain.fake.log().searches().len(), 2, "the position, and whose account came to its end");
    known.follow(&domain).await;
}

#[tokio::test]
async fn an_account_that_ends_by_time_alone_is_told() {
    let directory = directory();
    let anna = directory.add_user(PEOPLE, "anna").expires_at(START + 7200).create();
    let mut domain = start(directory.clone()).await;
    let (cx, clock) = crate::domain::timed_context();
    domain.cx = cx;
    clock.set_unix_millis(START * 1000);
    directory.set_now(START);
    let mut known = Known::listed(&domain).await;
    assert!(known.follow(&domain).await.is_empty());
    clock.set_unix_millis((START + 3 * 3600) * 1000);
    directory.set_now(START + 3 * 3600);
    let delta = known.follow(&domain).await;
    assert_eq!(text(delta.objects.patch(id(anna)), "state").as_deref(), Some("suspended"));
    known.check(&domain).await;
}

#[tokio::test]
async fn many_members_that_come_at_once_come_in_pieces() {
    let directory = directory();
    let users: Vec<_> = (0..6100).map(|n| directory.add_user(PEOPLE, &format!("user{n}")).create()).collect();
    let team = directory.add_group(GROUPS, "Team").create();
    let domain = start(directory.clone()).await;
    let mut known = Known::listed(&domain).await;
    for user in &users {
        directory.add_member(team, user);
    }
    let delta = known.follow(&domain).await;
    assert_eq!(delta.began.pairs().len(), users.len());
    assert!(delta.pages.iter().all(|page| page.members <= 5000));
    assert_eq!(known.members[&id(team)].len(), users.len());
}
