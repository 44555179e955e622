//! Accounts for tests of the joining: a few people, and all that may be known of them.

use tenantry::model::{EventType, JoinReason, RecordId, SourceId, Value, names};
use tenantry::testkit::ScriptedDirectory;

use super::automatic::user;
use super::orders::staged;
use crate::operations::Stage;
use crate::world::count;

/// An account as an endpoint shows it; what is empty is not known.
#[derive(Clone, Copy, Default)]
pub(super) struct Account {
    pub(super) email: &'static str,
    pub(super) alias: &'static str,
    pub(super) names: (&'static str, &'static str),
    pub(super) anchors: &'static [(&'static str, &'static str)],
}

pub(super) fn put(directory: &mut ScriptedDirectory, number: u128, account: Account) -> SourceId {
    let id = directory.add_user(number, "oslo");
    let text = |text: &str| if text.is_empty() { Value::Empty } else { text.into() };
    directory.set(&id, names::PRIMARY_EMAIL, text(account.email));
    directory.set(&id, names::FIRST_NAME, text(account.names.0));
    directory.set(&id, names::LAST_NAME, text(account.names.1));
    if !account.alias.is_empty() {
        directory.set(&id, names::ALIASES, Value::list([account.alias]));
    }
    for (name, value) in account.anchors {
        directory.anchor(&id, name, value);
    }
    id
}

/// Endpoints with these accounts, numbered 100 apart, and enough others for one to go.
pub(super) async fn accounts(endpoints: &[&[Account]]) -> Stage {
    let directories: Vec<_> = endpoints
        .iter()
        .enumerate()
        .map(|(endpoint, accounts)| {
            let mut directory = ScriptedDirectory::new(&format!("domain-{endpoint}"));
            directory.tombstones_readable = true;
            for number in 0..12 {
                let email = format!("other{endpoint}.{number}@corp.example");
                let other = directory.add_user(900 + 20 * endpoint as u128 + number, "oslo");
                directory.set(&other, names::PRIMARY_EMAIL, email);
            }
            for (at, account) in accounts.iter().enumerate() {
                put(&mut directory, 100 * (endpoint as u128 + 1) + at as u128, *account);
            }
            directory
        })
        .collect();
    staged(&directories).await
}

pub(super) fn id_of(endpoint: usize, at: usize) -> SourceId {
    ScriptedDirectory::id(100 * (endpoint as u128 + 1) + at as u128)
}

pub(super) fn of(stage: &Stage, endpoint: usize, at: usize) -> tenantry::model::Record {
    user(stage, ["ad", "cloud", "google"][endpoint], &id_of(endpoint, at))
}

pub(super) async fn reasons(stage: &Stage, record: RecordId) -> Vec<JoinReason> {
    let details = stage.service.directory().details(&stage.customer, record).await.unwrap().unwrap();
    details.joins.iter().map(|join| join.reason).collect()
}

pub(super) fn told(stage: &Stage, after: u64) -> [usize; 4] {
    let events = stage.events(after);
    [EventType::UserUpserted, EventType::UserMerged, EventType::UserSplit, EventType::UserRemoved]
        .map(|event_type| count(&events, event_type))
}

pub(super) const ANN: (&str, &str) = ("Ann", "Lee");
pub(super) const VERIFIED: Account = Account { email: "ann@corp.example", alias: "", names: ("", ""), anchors: &[] };
pub(super) const NAMED: Account = Account { names: ANN, ..VERIFIED };
pub(super) const FREE: Account = Account { email: "ann@free.example", ..NAMED };
pub(super) const ALIASED: Account = Account { email: "lee@corp.example", alias: "ann@corp.example", ..NAMED };

pub(super) const fn anchored(anchors: &'static [(&'static str, &'static str)]) -> Account {
    Account { email: "", alias: "", names: ("", ""), anchors }
}
