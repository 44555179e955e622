//! What the connector does over the wire, one module for each subject.

#[path = "../../../ldap/tests/domain/conformance.rs"]
mod conformance;
#[path = "../../../ldap/tests/domain/dirsync_histories.rs"]
mod dirsync_histories;
#[allow(dead_code, reason = "shared with another view of a domain")]
#[path = "../../../ldap/tests/domain/domain.rs"]
mod domain;
#[allow(dead_code, reason = "shared with another view of a domain")]
#[path = "../../../ldap/tests/domain/followed.rs"]
mod followed;
#[allow(dead_code, reason = "shared with another view of a domain")]
#[path = "../../../ldap/tests/domain/known.rs"]
mod known;
mod ldap;
#[path = "../../../ldap/tests/domain/usn_histories.rs"]
mod usn_histories;
mod view;
