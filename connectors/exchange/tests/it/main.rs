//! The connector against a fake organisation, and a fake domain that holds one: a module for each promise that it makes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod conformance;
#[path = "../../../ldap/tests/domain/dirsync_histories.rs"]
mod dirsync_histories;
#[allow(dead_code, reason = "shared with another view of a domain")]
#[path = "../../../ldap/tests/domain/domain.rs"]
mod domain;
#[allow(dead_code, reason = "shared with another view of a domain")]
#[path = "../../../ldap/tests/domain/followed.rs"]
mod followed;
mod imports;
#[allow(dead_code, reason = "shared with another view of a domain")]
#[path = "../../../ldap/tests/domain/known.rs"]
mod known;
mod ldap;
#[path = "../../../ldap/tests/domain/conformance.rs"]
mod ldap_conformance;
mod listing;
#[path = "../../../ldap/tests/domain/lost_members.rs"]
mod lost_members;
mod organisation;
mod routes;
mod sign_in;
mod trouble;
#[path = "../../../ldap/tests/domain/usn_histories.rs"]
mod usn_histories;
mod view;
