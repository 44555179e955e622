//! Members of groups: all of them, or it is said that it is not all.

use tenantry::endpoint::{Endpoint, Membership};
use tenantry::model::{MemberKind, ObjectKind};
use tenantry_fakes::ldap::{Directory, Fault, Guid, Logged, RangeEnd, RangeSpelling, Request, Settings, When};

use crate::domain::{GROUPS, PEOPLE, directory, id, ids, members_scope, object, read_until, rest, start, start_with};

fn with_large_group(members: usize) -> (Directory, Guid, Vec<Guid>) {
    let directory = directory();
    let group = directory.add_group(GROUPS, "Large").create();
    let users: Vec<_> = (0..members).map(|n| directory.add_user(PEOPLE, &format!("user{n}")).create()).collect();
    for user in &users {
        directory.add_member(group, user);
    }
    (directory, group, users)
}

#[tokio::test]
async fn all_members_come_however_the_server_cuts_and_spells_its_ranges() {
    let (directory, group, users) = with_large_group(60);
    for range_end in [RangeEnd::Star, RangeEnd::NoValues, RangeEnd::Absent] {
        for range_spelling in [RangeSpelling::Lower, RangeSpelling::Capitalised] {
            // 20 divides the number of members, so that the last full range is the end.
            for max_val_range in [1, 7, 20, 59, 60] {
                let settings = Settings { max_val_range, range_end, range_spelling, ..Settings::default() };
                let listing = start_with(directory.clone(), settings).await.listing().await;
                assert_eq!(listing.members.of(id(group)), ids(&users), "{range_end:?} {max_val_range}");
                assert!(listing.has_closed_members_of(id(group)));
            }
        }
    }
}

#[tokio::test]
async fn a_large_group_is_given_out_in_pieces() {
    let (directory, group, users) = with_large_group(6100);
    let listing = start(directory).await.listing().await;
    assert_eq!(listing.members.of(id(group)).len(), users.len());
    assert!(listing.has_closed_members_of(id(group)));
    assert!(listing.pages.iter().all(|page| page.members <= 5000));
}

#[tokio::test]
async fn a_member_that_is_deleted_while_the_list_is_read_hides_nobody_else() {
    let (directory, group, users) = with_large_group(40);
    let settings = Settings { max_val_range: 10, ..Settings::default() };
    let domain = start_with(directory.clone(), settings).await;
    for deleted in [0, 9, 10, 11, 39] {
        for searches in 1..=5 {
            let mut pager = domain.endpoint().snapshot(&domain.cx, None).await.unwrap();
            // The page of the groups is given out before long lists are read.
            read_until(&mut *pager, group).await;
            let log = domain.fake.log();
            let (until, victim) = (log.searches().len() + searches, users[deleted]);
            let editor = directory.clone();
            let deleting = tokio::spawn(async move {
                while log.searches().len() < until {
                    tokio::task::yield_now().await;
                }
                editor.delete(victim);
            });
            let listing = rest(pager).await;
            deleting.await.unwrap();
            let mut others = ids(&users);
            others.remove(&id(victim));
            let got = listing.members.of(id(group));
            assert!(got.is_superset(&others), "{deleted} deleted after {searches} searches: {} of 39", got.len());
            assert!(listing.has_closed_members_of(id(group)));
            directory.undelete(victim);
            directory.add_member(group, victim);
        }
    }
}

#[tokio::test]
async fn a_group_that_vanishes_while_its_list_is_read_is_withdrawn() {
    let (directory, group, _) = with_large_group(30);
    let settings = Settings { max_val_range: 10, ..Settings::default() };
    let domain = start_with(directory, settings).await;
    let mut pager = domain.endpoint().snapshot(&domain.cx, None).await.unwrap();
    read_until(&mut *pager, group).await;
    domain.directory.delete(group);
    let listing = rest(pager).await;
    assert_eq!(listing.withdrawn, [object(ObjectKind::Group, group).key]);
    assert!(!listing.has_closed_members_of(id(group)));
}

#[tokio::test]
async fn a_group_without_members_is_closed_only_if_members_can_be_read() {
    let directory = directory();
    let empty = directory.add_group(GROUPS, "Empty").create();
    let domain = start(directory).await;
    assert!(domain.listing().await.has_closed_members_of(id(empty)));
    domain.directory.rights("reader").hide_attribute("member");
    let listing = domain.listing().await;
    assert!(!listing.has_closed_members_of(id(empty)));
    assert!(listing.unreadable.iter().any(|unreadable| unreadable.scope == members_scope(empty)));
}

#[tokio::test]
async fn groups_without_members_are_asked_about_together_whatever_page_they_came_on() {
    let directory = directory();
    let empty: Vec<_> =
        (0..12).map(|number| directory.add_group(GROUPS, &format!("Empty {number}")).create()).collect();
    let domain = start(directory).await;
    // Small pages of the server's own choice: slices are cut by what is asked for.
    domain.fake.edit_settings(|settings| settings.max_page_size = 3);
    let listing = domain.listing().await;
    assert!(empty.iter().all(|group| listing.has_closed_members_of(id(*group))));
    let about_members = |line: &Logged| match &line.request {
        Request::Search { filter, .. } => filter.to_lowercase().contains("(memberof="),
        _ => false,
    };
    assert_eq!(domain.fake.log().searches().iter().filter(|line| about_members(line)).count(), 1);
}

#[tokio::test]
async fn a_unit_whose_groups_hide_their_members_closes_none_that_somebody_names() {
    let directory = directory();
    let anna = directory.add_user(PEOPLE, "anna").create();
    let staff = directory.add_group(GROUPS, "Staff").member(anna).create();
    let empty = directory.add_group(GROUPS, "Empty").create();
    directory.rights("reader").hide_attribute_of(GROUPS, "member");
    let domain = start(directory).await;
    let listing = domain.listing().await;
    assert!(!listing.has_closed_members_of(id(staff)) && listing.has_closed_members_of(id(empty)));
    assert!(listing.unreadable.iter().any(|unreadable| unreadable.scope == members_scope(staff)));
    let group = object(ObjectKind::Group, staff);
    let answer = domain.endpoint().check_members(&domain.cx, &group, &[id(anna)]).await.unwrap();
    assert_eq!(answer, [Membership::Member]);
}

#[tokio::test]
async fn what_a_member_is_comes_as_far_as_the_group_tells() {
    let directory = directory();
    let anna = directory.add_user(PEOPLE, "anna").create();
    let partner = directory.add_contact(PEOPLE, "Partner").create();
    let foreign = directory.add_foreign_principal("S-1-5-21-1-2-3-1234");
    let elsewhere =
        directory.add_other_domain_object("CN=Zoe,CN=Users,DC=west,DC=example", Some("S-1-5-21-4-5-6-1700"));
    let group = directory.add_group(GROUPS, "Mixed").create();
    for member in [anna, partner, foreign, elsewhere] {
        directory.add_member(group, member);
    }
    let listing = start(directory).await.listing().await;
    let members = &listing.members[&id(group)];
    let kinds = [anna, partner, foreign, elsewhere].map(|guid| members[&id(guid)]);
    assert_eq!(kinds, [MemberKind::Unknown, MemberKind::Contact, MemberKind::External, MemberKind::External]);
}

#[tokio::test]
async fn nested_groups_that_hold_each_other_come_as_they_are() {
    let directory = directory();
    let one = directory.add_group(GROUPS, "One").create();
    let two = directory.add_group(GROUPS, "Two").member(one).create();
    directory.add_member(one, two);
    let listing = start(directory).await.listing().await;
    assert_eq!((listing.members.of(id(one)), listing.members.of(id(two))), (ids(&[two]), ids(&[one])));
}

#[tokio::test]
async fn a_second_reading_tells_who_is_a_member_and_who_is_not() {
    let (directory, group, users) = with_large_group(30);
    let stranger = directory.add_user(PEOPLE, "stranger").create();
    let settings = Settings { max_val_range: 10, ..Settings::default() };
    let domain = start_with(directory, settings).await;
    let asked = [users[29], stranger, users[0]].map(id);
    let answer = domain.endpoint().check_members(&domain.cx, &object(ObjectKind::Group, group), &asked).await.unwrap();
    assert_eq!(answer, [Membership::Member, Membership::NotMember, Membership::Member]);
}

#[tokio::test]
async fn a_list_that_ends_early_is_found_out_by_asking_the_members() {
    let (directory, group, users) = with_large_group(20);
    let stranger = directory.add_user(PEOPLE, "stranger").create();
    let dn = directory.dn_of(group);
    let domain = start(directory).await;
    domain.fake.faults().on(When::Always, Fault::TruncateLinks { dn, keep: 15 });
    let asked = [users[0], users[19], stranger].map(id);
    let answer = domain.endpoint().check_members(&domain.cx, &object(ObjectKind::Group, group), &asked).await.unwrap();
    assert_eq!(answer, [Membership::Member, Membership::Member, Membership::Unknown]);
}
