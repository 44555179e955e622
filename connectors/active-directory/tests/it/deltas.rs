//! What a delta tells is what happened: all of it, and nothing that did not.

mod cursors;
mod trouble;

use std::collections::BTreeSet;

use tenantry::endpoint::{DeltaStep, Endpoint};
use tenantry::model::{MemberKind, ObjectKind, TombstoneKind};
use tenantry_active_directory::{Contacts, DeltaMethod};
use tenantry_fakes::ldap::{ComputerKind, Guid, Logged, Settings};
use uuid::Uuid;

use crate::domain::{
    GROUPS, OLD, OUTSIDE, PEOPLE, directory, id, ids, names_of, running, start, start_with, text, timed_context,
};
use crate::known::{follow, key};

/// 2026-01-15T12:00:00Z, when the fake's time stands still.
const START: i64 = 1_768_478_400;
const HOUR: i64 = 3600;

#[tokio::test]
async fn an_empty_delta_takes_two_searches_and_is_empty() {
    let mut follower = follow(start(running()).await).await;
    follower.domain.fake.log().clear();
    let told = follower.tell().await;
    assert!(told.is_empty(), "{told:?}");
    assert_eq!(follower.domain.fake.log().searches().len(), 2);
    assert!(follower.changes().await.is_empty());
}

#[tokio::test]
async fn one_changed_user_takes_as_few_searches_as_there_are_questions() {
    let directory = running();
    directory.add_user(PEOPLE, "anna").create();
    let follower = follow(start(directory.clone()).await).await;
    directory.set("anna", "title", ["Manager"]);
    follower.domain.fake.log().clear();
    let told = follower.tell().await;
    assert_eq!(names_of(&told.objects, ObjectKind::User), BTreeSet::from(["anna".to_owned()]));
    // Position, domain, three classes, containers, expired accounts, the primary group, twice for deleted objects.
    assert_eq!(follower.domain.fake.log().searches().len(), 10);
}

#[tokio::test]
async fn what_is_created_changed_renamed_or_moved_comes_whole_and_nobody_else() {
    let directory = running();
    for name in ["anna", "bert", "cleo", "dora"] {
        directory.add_user(PEOPLE, name).attribute("department", "Sales").create();
    }
    directory.add_group(GROUPS, "Staff").member("anna").create();
    let mut follower = follow(start(directory.clone()).await).await;
    directory.set("anna", "title", ["Manager"]);
    directory.rename("bert", "Bertram");
    directory.move_to("cleo", "CN=Users");
    directory.add_user(PEOPLE, "emil").create();
    directory.add_computer("CN=Computers,DC=corp,DC=example", "PC9", ComputerKind::Workstation).create();
    directory.set("Staff", "description", ["Everybody"]);
    let told = follower.changes().await;
    let expected = ["anna", "bert", "cleo", "emil"].map(str::to_owned);
    assert_eq!(names_of(&told.objects, ObjectKind::User), BTreeSet::from(expected));
    assert_eq!(names_of(&told.objects, ObjectKind::Computer), BTreeSet::from(["PC9".to_owned()]));
    assert_eq!(names_of(&told.objects, ObjectKind::Group), BTreeSet::from(["Staff".to_owned()]));
    assert!(told.tombstones.is_empty() && told.out_of_scope.is_empty());
    let anna = told.objects.patch(id(directory.guid_of("anna")));
    assert_eq!(
        (text(anna, "attributes.department").as_deref(), text(anna, "attributes.title").as_deref()),
        (Some("Sales"), Some("Manager"))
    );
    assert!(anna.primary_group.is_some());
    assert!(follower.changes().await.is_empty());
}

#[tokio::test]
async fn what_changes_while_a_delta_is_read_is_in_it_or_in_the_next() {
    let directory = running();
    for number in 0..30 {
        directory.add_user(PEOPLE, &format!("user{number}")).create();
    }
    let mut domain = start(directory.clone()).await;
    domain.config.domain.page_size = 5;
    let mut follower = follow(domain).await;
    (0..30).for_each(|number| directory.set(format!("user{number}"), "title", ["Clerk"]));
    let mut pager = follower.endpoint.as_delta().unwrap().delta(&follower.domain.cx, &follower.cursor).await.unwrap();
    let mut step = 0;
    let cursor = loop {
        match pager.next().await.unwrap() {
            DeltaStep::Page(_) => {
                directory.set(format!("user{}", step % 30), "title", [format!("Manager {step}")]);
                directory.add_user(PEOPLE, &format!("late{step}")).create();
                step += 1;
            }
            DeltaStep::CaughtUp(cursor) => break cursor,
            DeltaStep::CursorExpired => panic!("expired"),
        }
    };
    assert!(step > 6);
    let first = follower.tell().await;
    follower.known.apply(&first);
    follower.cursor = cursor;
    follower.changes().await;
}

#[tokio::test]
async fn who_is_deleted_is_told_gone_where_deleted_objects_can_be_read() {
    for bin in [false, true] {
        let directory = running();
        directory.set_recycle_bin(bin);
        directory.rights("reader").read_deleted(true);
        let anna = directory.add_user(PEOPLE, "anna").create();
        let staff = directory.add_group(GROUPS, "Staff").member(anna).create();
        let other = directory.add_group(GROUPS, "Other").member(anna).create();
        let computer = directory.add_computer(PEOPLE, "PC1", ComputerKind::Workstation).create();
        let mut follower = follow(start(directory.clone()).await).await;
        let coverage = follower.endpoint.coverage(&follower.domain.cx).await.unwrap();
        assert!(follower.endpoint.as_delta().unwrap().tells_removals(&coverage));
        directory.delete(anna);
        directory.delete(staff);
        directory.delete(computer);
        let told = follower.changes().await;
        let soft = if bin { TombstoneKind::Soft } else { TombstoneKind::Hard };
        let mut found: Vec<_> = told.tombstones.iter().map(|gone| (gone.object.clone(), gone.kind)).collect();
        found.sort_by_key(|(object, _)| object.kind as u8);
        let mut expected = vec![
            (key(ObjectKind::User, anna), soft),
            (key(ObjectKind::Group, staff), soft),
            (key(ObjectKind::Computer, computer), soft),
        ];
        expected.sort_by_key(|(object, _)| object.kind as u8);
        assert_eq!(found, expected);
        assert!(told.objects.is_empty() && told.out_of_scope.is_empty(), "{told:?}");
        assert_eq!(follower.known.members.get(&id(other)), None);
        if bin {
            directory.recycle(anna);
            assert_eq!(follower.changes().await.tombstones[0].kind, TombstoneKind::Hard);
            directory.undelete(staff);
            let told = follower.changes().await;
            assert_eq!(told.objects.ids(), ids(&[staff]));
        }
    }
}

#[tokio::test]
async fn without_the_right_nobody_is_told_gone_and_the_delta_says_that_it_does_not_tell() {
    let directory = running();
    let anna = directory.add_user(PEOPLE, "anna").create();
    let follower = follow(start(directory.clone()).await).await;
    let coverage = follower.endpoint.coverage(&follower.domain.cx).await.unwrap();
    assert!(!follower.endpoint.as_delta().unwrap().tells_removals(&coverage));
    directory.delete(anna);
    assert!(follower.tell().await.is_empty());
}

#[tokio::test]
async fn who_leaves_base_or_filter_or_enters_what_is_excluded_is_out_of_scope_and_comes_back() {
    let directory = running();
    directory.add_ou(OLD);
    directory.add_ou(OUTSIDE);
    directory.rights("reader").read_deleted(true);
    let names = ["moved", "excluded", "unmatched", "stays", "both"];
    let users = names.map(|name| directory.add_user(PEOPLE, name).attribute("department", "Sales").create());
    let [moved, excluded, unmatched, _, both] = users;
    let group = directory.add_group(PEOPLE, "Team").member(moved).member(excluded).create();
    let stranger = directory.add_user(OUTSIDE, "stranger").attribute("department", "Sales").create();
    let mut domain = start(directory.clone()).await;
    domain.config.domain.base = Some(PEOPLE.to_lowercase());
    domain.config.domain.users = Some("(department=*)".into());
    domain.config.domain.exclude = vec![OLD.into()];
    let mut follower = follow(domain).await;
    assert_eq!(follower.known.objects.len(), 6);

    directory.move_to(moved, OUTSIDE);
    directory.move_to(excluded, OLD);
    directory.clear(unmatched, "department");
    directory.move_to(both, OUTSIDE);
    directory.clear(both, "department");
    directory.set("stays", "title", ["Manager"]);
    directory.set(stranger, "title", ["Manager"]);
    directory.move_to(group, OUTSIDE);
    let told = follower.changes().await;
    assert_eq!(told.outside(), ids(&[moved, excluded, unmatched, both, stranger, group]));
    assert_eq!(names_of(&told.objects, ObjectKind::User), BTreeSet::from(["stays".to_owned()]));
    assert!(told.tombstones.is_empty());

    directory.move_to(moved, PEOPLE);
    directory.move_to(excluded, PEOPLE);
    directory.set(unmatched, "department", ["IT"]);
    directory.move_to(group, PEOPLE);
    let told = follower.changes().await;
    assert_eq!(told.objects.ids(), ids(&[moved, excluded, unmatched, group]));
    assert_eq!(told.began.of(id(group)), ids(&[moved, excluded]));

    // Moved out and deleted between two runs: known, and gone.
    directory.move_to(moved, OUTSIDE);
    directory.delete(moved);
    assert_eq!(follower.changes().await.gone(), ids(&[moved]));
}

#[tokio::test]
async fn a_base_that_is_spelled_otherwise_puts_nobody_out_of_scope() {
    let directory = running();
    directory.add_ou("OU=Söhne \\2C Co,OU=People,DC=corp,DC=example");
    let base = "OU=Söhne \\2C Co,OU=People,DC=corp,DC=example";
    directory.add_user(base, "anna").create();
    for spelling in [base.to_owned(), "ou = SÖHNE \\, co , ou=people,dc=corp, dc=example".to_owned()] {
        let mut domain = start(directory.clone()).await;
        domain.config.domain.base = Some(spelling);
        let mut follower = follow(domain).await;
        directory.set("anna", "title", [Uuid::new_v4().to_string()]);
        let told = follower.changes().await;
        assert!(told.out_of_scope.is_empty() && told.objects.len() == 1, "{told:?}");
    }
}

#[tokio::test]
async fn what_lies_in_a_unit_that_is_renamed_or_moved_is_told_with_it() {
    let directory = running();
    let unit = "OU=Unit,OU=People,DC=corp,DC=example";
    let deep = format!("OU=Deep,{unit}");
    directory.add_ou(OUTSIDE);
    directory.add_ou(OLD);
    directory.add_ou(unit);
    directory.add_ou(&deep);
    let anna = directory.add_user(unit, "anna").create();
    let bert = directory.add_user(&deep, "bert").create();
    let team = directory.add_group(&deep, "Team").member(anna).create();
    directory.add_user(PEOPLE, "other").create();
    let mut domain = start(directory.clone()).await;
    domain.config.domain.base = Some(PEOPLE.into());
    domain.config.domain.exclude = vec![OLD.into()];
    domain.config.domain.page_size = 1;
    let mut follower = follow(domain).await;

    directory.rename_ou(unit, "Renamed");
    let told = follower.changes().await;
    let all = ids(&[anna, bert, team]);
    assert_eq!(told.objects.ids(), all);
    assert!(told.objects.patch(id(bert)).container.as_deref().unwrap().contains("renamed"));

    directory.move_to("OU=Renamed,OU=People,DC=corp,DC=example", OUTSIDE);
    let told = follower.changes().await;
    assert_eq!((told.outside(), told.objects.len()), (all.clone(), 0), "out of the base");

    directory.move_to(format!("OU=Renamed,{OUTSIDE}"), OLD);
    assert_eq!(follower.changes().await.outside(), all, "into what is excluded");

    directory.rename_ou(OLD, "No Longer Old");
    let told = follower.changes().await;
    assert_eq!(told.objects.ids(), all, "no longer excluded");
    assert_eq!(told.began.of(id(team)), ids(&[anna]));

    // A unit that changes in any other way costs a listing of it, and that is all.
    directory.set(PEOPLE, "description", ["the base itself"]);
    directory.set("DC=corp,DC=example", "description", ["the domain itself"]);
    assert!(follower.changes().await.is_empty());
}

#[tokio::test]
async fn nested_units_that_change_together_are_listed_once() {
    let directory = running();
    let outer = "OU=Outer,OU=People,DC=corp,DC=example";
    directory.add_ou(outer);
    directory.add_ou(&format!("OU=Inner,{outer}"));
    directory.add_user(&format!("OU=Inner,{outer}"), "anna").create();
    let mut follower = follow(start(directory.clone()).await).await;
    directory.rename_ou(&format!("OU=Inner,{outer}"), "Renamed");
    directory.rename_ou(outer, "Moved");
    follower.domain.fake.log().clear();
    assert_eq!(follower.changes().await.objects.len(), 1);
    let moved = |line: &Logged| format!("{:?}", line.request).contains("<GUID=");
    assert_eq!(follower.domain.fake.log().searches().iter().filter(|line| moved(line)).count(), 3);
}

#[tokio::test]
async fn a_large_group_is_read_anew_and_closed_and_others_are_left_alone() {
    let directory = running();
    let users: Vec<Guid> =
        (0..40).map(|number| directory.add_user(PEOPLE, &format!("user{number}")).create()).collect();
    let large = directory.add_group(GROUPS, "Large").create();
    let small = directory.add_group(GROUPS, "Small").member(users[0]).create();
    users.iter().take(39).for_each(|user| directory.add_member(large, *user));
    let domain = start_with(directory.clone(), Settings { max_val_range: 10, ..Settings::default() }).await;
    let mut follower = follow(domain).await;
    directory.remove_member(large, users[7]);
    directory.add_member(large, users[39]);
    let told = follower.changes().await;
    assert_eq!((told.closed_groups(), told.began.len()), (ids(&[large]), 1));
    assert_eq!(told.began.of(id(large)).len(), 39);
    directory.remove_member(small, users[0]);
    let told = follower.changes().await;
    assert_eq!((told.closed_groups(), told.began.len()), (ids(&[small]), 0), "the last member");
}

#[tokio::test]
async fn a_group_whose_members_are_hidden_is_not_closed() {
    let directory = running();
    let anna = directory.add_user(PEOPLE, "anna").create();
    let staff = directory.add_group(GROUPS, "Staff").member(anna).create();
    let follower = follow(start(directory.clone()).await).await;
    directory.rights("reader").hide_attribute_of(GROUPS, "member");
    directory.set(staff, "description", ["hidden"]);
    let told = follower.tell().await;
    assert!(told.closed.is_empty() && told.unreadable.len() == 1, "{told:?}");
}

#[tokio::test]
async fn a_group_nested_into_domain_users_leaves_primary_memberships_alone() {
    let directory = running();
    let anna = directory.add_user(PEOPLE, "anna").create();
    let nested = directory.add_group(GROUPS, "Nested").create();
    let domain_users = directory.guid_of("Domain Users");
    let mut follower = follow(start(directory.clone()).await).await;
    directory.add_member(domain_users, nested);
    let told = follower.changes().await;
    assert_eq!(told.closed_groups(), ids(&[domain_users]));
    assert_eq!(told.began.of(id(domain_users)), ids(&[nested]));
    assert!(!told.objects.has(id(anna)));
}

#[tokio::test]
async fn contacts_are_told_as_such_imported_or_not() {
    for contacts in [Contacts::Ignored, Contacts::Imported] {
        let directory = running();
        directory.rights("reader").read_deleted(true);
        let partner = directory.add_contact(PEOPLE, "Partner").create();
        let team = directory.add_group(GROUPS, "Team").create();
        let mut domain = start(directory.clone()).await;
        domain.config.contacts = contacts;
        let mut follower = follow(domain).await;
        directory.add_member(team, partner);
        directory.set(partner, "mail", ["partner@other.example"]);
        let told = follower.changes().await;
        assert_eq!(told.objects.has(id(partner)), contacts == Contacts::Imported);
        let kind = if contacts == Contacts::Imported { MemberKind::Unknown } else { MemberKind::Contact };
        assert_eq!(told.began[&id(team)][&id(partner)], kind);
        directory.delete(partner);
        assert_eq!(follower.changes().await.gone(), ids(&[partner]));
    }
}

#[tokio::test]
async fn methods_that_are_off_or_cannot_tell_are_not_offered() {
    let mut domain = start(running()).await;
    assert!(domain.endpoint().as_delta().is_some());
    domain.config.domain.users = Some("(memberOf=CN=Import,DC=corp,DC=example)".into());
    assert!(domain.endpoint().as_delta().is_none());
    let verification = domain.endpoint().verify(&domain.cx).await.unwrap();
    assert!(verification.not_seen.iter().any(|sentence| sentence.contains("memberof")), "{verification:?}");
    domain.config.domain.users = None;
    domain.config.domain.delta = DeltaMethod::Off;
    assert!(domain.endpoint().as_delta().is_none());
}

#[tokio::test]
async fn accounts_that_end_by_time_alone_are_told() {
    let directory = directory();
    let expiring = directory.add_user(PEOPLE, "expiring").expires_at(START + 2 * HOUR).create();
    let locked = directory.add_user(PEOPLE, "locked").locked().create();
    let aged = directory.add_user(PEOPLE, "aged").create();
    let ticks = |seconds: i64| ((seconds + 11_644_473_600) * 10_000_000).to_string();
    directory.set(aged, "pwdLastSet", [ticks(START - 42 * 24 * HOUR + 2 * HOUR)]);
    directory.add_user(PEOPLE, "steady").expires_at(START + 200 * HOUR).create();
    let mut domain = start(directory.clone()).await;
    let (cx, clock) = timed_context();
    domain.cx = cx;
    let at = |hours: i64| {
        clock.set_unix_millis((START + hours * HOUR) * 1000);
        directory.set_now(START + hours * HOUR);
    };
    at(0);
    let mut follower = follow(domain).await;
    assert!(follower.changes().await.is_empty());
    at(1);
    assert_eq!(names_of(&follower.changes().await.objects, ObjectKind::User), BTreeSet::from(["locked".to_owned()]));
    at(3);
    let told = follower.changes().await;
    assert_eq!(told.objects.ids(), ids(&[expiring, aged]));
    assert_eq!(text(told.objects.patch(id(expiring)), "state").as_deref(), Some("suspended"));
    at(4);
    assert!(follower.changes().await.is_empty());
    // The same by another policy: nobody can say whom it concerns without asking for all.
    directory.set("DC=corp,DC=example", "lockoutDuration", ["-72000000000"]);
    assert!(follower.has_expired(&follower.cursor).await);
    let _ = locked;
}
