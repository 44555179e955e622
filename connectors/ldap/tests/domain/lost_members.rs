//! Whoever is deleted leaves all groups, whether or not he came in himself: no group tells of it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeSet;

use tenantry_fakes::ldap::{ComputerKind, Directory, Guid, Settings};

use crate::domain::{GROUPS, PEOPLE, directory, id, start_with};
use crate::followed::{Known, start_by_rounds_of};
use crate::known::follow;
use crate::view;

/// A group of somebody who stays, and what else can be its member.
fn a_mixed_group() -> (Directory, Guid, Guid, [Guid; 5]) {
    let directory = directory();
    directory.rights("reader").read_deleted(true);
    let come_in = [directory.add_user(PEOPLE, "anna").create(), directory.add_group(GROUPS, "Team").create()];
    for guid in come_in {
        view::enrol(&directory, guid, 0);
    }
    let [anna, team] = come_in;
    let members = [
        directory.add_user(PEOPLE, "no recipient").create(),
        directory.add_group(GROUPS, "Rights").create(),
        directory.add_computer(PEOPLE, "PC1", ComputerKind::Workstation).create(),
        directory.add_contact(PEOPLE, "Partner").create(),
        directory.add_foreign_principal("S-1-5-21-4000000000-2000-3000-1104"),
    ];
    for member in members.into_iter().chain([anna]) {
        directory.add_member(team, member);
    }
    (directory, anna, team, members)
}

#[tokio::test]
async fn deleted_members_of_any_kind_leave_by_change_numbers() {
    let (directory, anna, team, members) = a_mixed_group();
    let mut follower = follow(start_with(directory.clone(), Settings::default()).await).await;
    assert_eq!(follower.known.members[&id(team)].len(), 6);
    for member in members {
        directory.delete(member);
    }
    follower.changes().await;
    assert_eq!(follower.known.members.of(id(team)), BTreeSet::from([id(anna)]));
}

#[tokio::test]
async fn deleted_members_of_any_kind_leave_by_dirsync() {
    let (directory, anna, team, members) = a_mixed_group();
    let domain = start_by_rounds_of(directory.clone(), 1000).await;
    let mut known = Known::listed(&domain).await;
    assert_eq!(known.members[&id(team)].len(), 6);
    for member in members {
        directory.delete(member);
    }
    known.follow(&domain).await;
    known.check(&domain).await;
    assert_eq!(known.members[&id(team)], BTreeSet::from([id(anna)]));
}
