//! The limits of removals: defaults, then `[guard]`, then `[endpoint.guard]`, key by key.
//!
//! It knows what a limit may be, not how it is judged.

use tenantry::model::{GuardLimits, Limit};

use crate::key::{Form, Key, Keys};
use crate::reading::Reading;
use crate::table::{Field, Table};

const REMEDY: &str = "write { share = 0.10, floor = 5 }";
const FLOOR: &str = "write how many may always go: 0 or more, without a fraction";

/// The kinds of changes that are limited.
pub(crate) const KEYS: &[Key] = &[
    Key::optional("users", LIMIT, "Users removed, suspended or newly missing."),
    Key::optional("groups", LIMIT, "Groups removed or newly missing."),
    Key::optional("computers", LIMIT, "Computers removed or newly missing."),
    Key::optional("memberships", LIMIT, "Memberships that end, all groups together."),
    Key::optional("members_per_group", LIMIT, "Memberships that end in one group."),
    Key::optional("cleared_values", LIMIT, "Values of one attribute that become empty."),
];

const LIMIT: Form = Form::Table(Keys(&[
    Key::optional("share", Form::Share, "Share of what is known, from 0 to 1: 0.10 is 10 %."),
    Key::optional("floor", Form::Count, "Number that is always allowed."),
]));

/// Reads a table of limits over those that hold without it.
pub(crate) fn read(field: Option<Field<'_>>, below: GuardLimits, reading: &mut Reading<'_>) -> GuardLimits {
    let mut limits = below;
    let Some(mut table) = field.and_then(|field| field.table("write it as a table of limits", reading)) else {
        return limits;
    };
    for (key, limit) in [
        ("users", &mut limits.users),
        ("groups", &mut limits.groups),
        ("computers", &mut limits.computers),
        ("memberships", &mut limits.memberships),
        ("members_per_group", &mut limits.members_per_group),
        ("cleared_values", &mut limits.cleared_values),
    ] {
        if let Some(table) = table.take(key).and_then(|field| field.table(REMEDY, reading)) {
            read_limit(table, limit, reading);
        }
    }
    table.finish(reading);
    limits
}

fn read_limit(mut table: Table<'_>, limit: &mut Limit, reading: &mut Reading<'_>) {
    if let Some(share) = table.take("share").and_then(|field| field.share(reading)) {
        limit.share = share;
    }
    if let Some(floor) = table.take("floor").and_then(|field| field.count(FLOOR, reading)) {
        limit.floor = floor;
    }
    table.finish(reading);
}
