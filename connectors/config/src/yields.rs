//! The attributes that an endpoint leaves to local editors: `yields`.
//!
//! It knows what the connectors tell of people beyond the contract; what can be yielded at all, the library decides.

use std::collections::BTreeSet;

use tenantry::Directory;
use tenantry::model::{AttributeName, ObjectKind, names};

use crate::reading::Reading;
use crate::suggestion::nearest;
use crate::table::Field;

/// What begins the name of any attribute outside of the contract.
const OTHERS: &str = "attributes.";

/// What connectors tell of people and groups beyond the contract: here it goes without the prefix.
const TOLD: &[&str] = &[
    "account_name",
    "city",
    "company",
    "country",
    "department",
    "employee_id",
    "external_ids",
    "managed_by",
    "manager",
    "mobile",
    "office",
    "org_unit_path",
    "scope",
    "telephone",
    "title",
    "user_principal_name",
];

/// The contract's own that can be yielded, for whoever has mistyped one.
const CONTRACT: &[&str] = &[
    "aliases",
    "description",
    "display_name",
    "dns_name",
    "email",
    "first_name",
    "last_name",
    "name",
    "os",
    "os_version",
    "primary_email",
    "username",
];

/// Reads the list; nothing is yielded where there is none.
pub(crate) fn read(field: Option<Field<'_>>, reading: &mut Reading<'_>) -> Option<BTreeSet<AttributeName>> {
    let Some(field) = field else { return Some(BTreeSet::new()) };
    let mut yields = BTreeSet::new();
    let mut right = true;
    for (text, at) in field.texts(reading)? {
        match attribute(text) {
            Ok(name) => drop(yields.insert(name)),
            Err((message, remedy)) => {
                reading.problem(at, &field.path, message, remedy);
                right = false;
            }
        }
    }
    right.then_some(yields)
}

/// Finds the attribute that is meant.
fn attribute(text: &str) -> Result<AttributeName, (String, String)> {
    let contract = AttributeName::parse(text);
    let name = match text.strip_prefix(OTHERS) {
        Some(extra) if !extra.trim().is_empty() => AttributeName::extra(extra),
        None if ObjectKind::ALL.iter().any(|kind| names::shape(*kind, &contract).is_some()) => contract,
        None if TOLD.contains(&text) => AttributeName::extra(text),
        _ => {
            let known = CONTRACT.iter().chain(TOLD).copied();
            let remedy = match nearest(text, known) {
                Some(meant) => format!("did you mean {meant}? anything else is written as {OTHERS}…"),
                None => format!("name one of those that docs/configuration.md lists, or write it as {OTHERS}…"),
            };
            return Err(("there is no such attribute".to_owned(), remedy));
        }
    };
    match Directory::check_yielded(&name) {
        Some(refusal) => Err((refusal.reason.to_owned(), refusal.remedy.to_owned())),
        None => Ok(name),
    }
}
