//! What somebody who sets the endpoint up wants to know. It must not change anything.

use std::collections::HashSet;

use futures::future::try_join_all;
use tenantry::endpoint::{Estimate, Right, Verification};
use tenantry::model::ObjectKind;
use tenantry::{Context, Result};

use super::api::Api;
use super::endpoint::identity;
use super::letters;
use super::map;
use super::recipients::find;

/// What this route cannot see, whatever the account may.
const NOT_SEEN: [&str; 8] = [
    "recipients that are hidden from address lists, or that the account's address book policy leaves out",
    "whether an account is disabled, and logins: the route ldap reads them",
    "immutable ids: recipients are known by their primary address, and nothing is removed by itself",
    "more than three addresses of a recipient",
    "whether a mailbox is a person's, shared, a room's or equipment's",
    "whether a distribution group grants rights, or computes its members",
    "members of hidden groups, and members without a mail address",
    "computers",
];

pub(crate) async fn verify(api: &Api, cx: &Context) -> Result<Verification> {
    let identity = identity(api, cx).await?;
    let letters = || letters::ADDRESS.chars().filter(char::is_ascii_alphanumeric);
    let entries: Vec<String> = letters().map(String::from).collect();
    let found = try_join_all(entries.iter().map(|entry| find(api, cx, entry))).await?;
    let mut known = [HashSet::new(), HashSet::new()];
    for resolution in found.iter().flat_map(|found| &found.items) {
        if let (Ok(kind), Some(address)) = (map::kind_of(resolution), map::primary(resolution)) {
            known[usize::from(kind == ObjectKind::Group)].insert(address.to_lowercase());
        }
    }
    let cuts = found.iter().filter(|found| found.cut).count();
    let [users, groups] = known.map(|all| all.len() as u64);
    // Behind each beginning that was cut every letter is asked for, and behind some of those again.
    let walk = (letters::ADDRESS.chars().count() * (cuts * 4 + 1) + letters::beginnings().count()) as u64;
    let estimate = Estimate {
        users: (cuts == 0).then_some(users),
        groups: (cuts == 0).then_some(groups),
        computers: None,
        calls: (cuts == 0).then_some(walk + groups),
        seconds: (cuts == 0).then(|| (walk + groups) / u64::from(api.config.per_second.get()) + 1),
    };
    let release =
        api.version().map_or_else(|| "Exchange of an untold release".to_owned(), |version| version.to_string());
    let mut not_seen: Vec<String> = NOT_SEEN.iter().map(|&text| text.to_owned()).collect();
    if !api.is_full() {
        not_seen.push("titles, departments, telephone numbers: this release tells them in part".to_owned());
    }
    let right = Right {
        name: "Exchange Web Services for the account".to_owned(),
        granted: true,
        purpose: "search of the address book, members of distribution groups".to_owned(),
    };
    let server = format!("{release} at {}, route ews", api.config.origin);
    Ok(Verification { identity, server, rights: vec![right], not_seen, estimate })
}
