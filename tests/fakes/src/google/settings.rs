//! Limits and policies of the fake; it knows no account.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::activity::AuditLog;

/// What an administrator's role allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Privilege {
    /// Read users.
    Users,
    /// Change users other than super administrators.
    EditUsers,
    /// Groups and their members.
    Groups,
    /// Organisational units.
    OrgUnits,
    /// Chrome OS devices.
    ChromeOs,
    /// Mobile devices.
    Mobile,
    /// Domains and the account itself.
    Domains,
    /// The audit log.
    Reports,
}

impl Privilege {
    /// Everything that can be had without being a super administrator.
    pub fn all() -> BTreeSet<Self> {
        [
            Self::Users,
            Self::EditUsers,
            Self::Groups,
            Self::OrgUnits,
            Self::ChromeOs,
            Self::Mobile,
            Self::Domains,
            Self::Reports,
        ]
        .into()
    }
}

/// What `If-None-Match` does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EntityTags {
    /// Nothing: the Directory API documents nothing.
    #[default]
    Ignored,
    /// 304 when the entity is unchanged.
    Honoured,
}

/// The published limits and what tests set lower.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Queries per minute of one impersonated user.
    pub per_user: u32,
    /// Queries per minute of the whole project, if limited.
    pub per_project: Option<u32>,
    /// Queries of a day, if limited.
    pub per_day: Option<u64>,
    /// Requests at one time for the account; the real number is unpublished.
    pub concurrent: usize,
    /// Listings of mobile devices per second.
    pub mobile_per_second: u32,
    /// Filtered queries of the audit log per minute.
    pub filtered_reports: u32,
    /// Whether an exceeded quota is told as `userRateLimitExceeded`, the documented reason, instead of the one seen.
    pub documented_reason: bool,
}

impl Quota {
    /// Only the requests at one time are limited: for tests that list many times within a second.
    #[must_use]
    pub fn lifted() -> Self {
        Self { per_user: u32::MAX, mobile_per_second: u32::MAX, filtered_reports: u32::MAX, ..Self::default() }
    }
}

impl Default for Quota {
    fn default() -> Self {
        Self {
            per_user: 2400,
            per_project: None,
            per_day: None,
            concurrent: 20,
            mobile_per_second: 10,
            filtered_reports: 250,
            documented_reason: false,
        }
    }
}

/// Limits and policies.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Whether requests need an access token; the vendor's sample clients can then do without a key.
    pub anonymous: bool,
    /// Whether an assertion must be of now by the account's clock. Not where its signer lives by a clock that cannot be
    /// shared, as in the suite for connectors; how long it is good is looked at always.
    pub dated_assertions: bool,
    /// The service account's address.
    pub service_account: String,
    /// The scopes that were delegated to the service account; empty: all.
    pub delegated_scopes: BTreeSet<String>,
    /// Delegated administrators by address; super administrators need no entry.
    pub administrators: BTreeMap<String, BTreeSet<Privilege>>,
    /// How long an access token lasts.
    pub token_lifetime: Duration,
    /// The quota.
    pub quota: Quota,
    /// A listing that goes on for longer fails.
    pub listing_limit: Duration,
    /// A page token that is older is refused.
    pub page_token_lifetime: Duration,
    /// What `If-None-Match` does.
    pub entity_tags: EntityTags,
    /// How the audit log fails to be the truth.
    pub audit_log: AuditLog,
    /// The audit log tells changes of groups and members too; those made by the members themselves never show.
    pub log_groups: bool,
    /// Every answer takes this long.
    pub latency: Duration,
    /// The largest page of Chrome OS devices: 100 or 300, the documents disagree.
    pub chromeos_page: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            anonymous: false,
            dated_assertions: true,
            service_account: "sync@project.iam.gserviceaccount.example".to_owned(),
            delegated_scopes: BTreeSet::new(),
            administrators: BTreeMap::new(),
            token_lifetime: Duration::from_hours(1),
            quota: Quota::default(),
            listing_limit: Duration::from_hours(1),
            page_token_lifetime: Duration::from_hours(72),
            entity_tags: EntityTags::default(),
            audit_log: AuditLog::default(),
            log_groups: true,
            latency: Duration::ZERO,
            chromeos_page: 300,
        }
    }
}
