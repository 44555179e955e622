//! The connector against a fake domain controller: a module for each promise that it makes.

mod actions;
#[path = "../../../ldap/tests/domain/conformance.rs"]
mod conformance;
mod coverage;
mod deltas;
mod dirsync;
#[path = "../../../ldap/tests/domain/dirsync_histories.rs"]
mod dirsync_histories;
#[path = "../../../ldap/tests/domain/domain.rs"]
mod domain;
#[path = "../../../ldap/tests/domain/followed.rs"]
mod followed;
#[path = "../../../ldap/tests/domain/known.rs"]
mod known;
mod listing;
mod lookups;
#[path = "../../../ldap/tests/domain/lost_members.rs"]
mod lost_members;
mod members;
mod trouble;
#[path = "../../../ldap/tests/domain/usn_histories.rs"]
mod usn_histories;
mod view;
