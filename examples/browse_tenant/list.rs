//! Lists of users, groups and computers: a page for people, JSON lines, or a whole table for spreadsheets.

use serde_json::json;
use tenantry::Result;
use tenantry::directory::csv::CsvWriter;
use tenantry::model::{AttributeName, Found, MfaState, ObjectKind, Page, PageCursor, Query, Record, SortBy, names};

use crate::args::{List, ThingList, UserList};
use crate::output::Output;
use crate::place::Place;
use crate::query;
use crate::status::Ended;
use crate::table::aligned;
use crate::words::{cell, name_of};

/// Records of a page for people.
const PAGE: u64 = 50;
/// Records that are read at once.
const BATCH: u64 = 1000;

pub(crate) async fn users(place: &Place, users: &UserList, output: &mut Output) -> Result<(), Ended> {
    show(place, query::of_users(place, users)?, &users.list, output).await
}

pub(crate) async fn groups(place: &Place, groups: &ThingList, output: &mut Output) -> Result<(), Ended> {
    show(place, query::of_list(place, &groups.list, ObjectKind::Group, SortBy::Name)?, &groups.list, output).await
}

pub(crate) async fn computers(place: &Place, list: &ThingList, output: &mut Output) -> Result<(), Ended> {
    show(place, query::of_list(place, &list.list, ObjectKind::Computer, SortBy::Name)?, &list.list, output).await
}

async fn show(place: &Place, query: Query, list: &List, output: &mut Output) -> Result<(), Ended> {
    let cursor = list.cursor.clone().map(PageCursor::new);
    if list.csv {
        let done = table(place, &query, cursor, list.limit, output).await;
        return if output.is_closed() { Err(Ended::NobodyReads) } else { done };
    }
    let mut left = list.limit.unwrap_or(PAGE);
    let mut after = cursor;
    let mut last: Option<Page>;
    let mut shown: Vec<Found> = Vec::new();
    loop {
        let page = place.directory.find(&query, after.as_ref(), batch(left)).await?;
        left -= page.found.len() as u64;
        if output.is_json() {
            for found in &page.found {
                output.json(found)?;
            }
        } else {
            shown.extend(page.found.iter().cloned());
        }
        after.clone_from(&page.next);
        let ended = left == 0 || page.next.is_none();
        last = Some(page);
        if ended {
            break;
        }
    }
    let Some(last) = last else { return Ok(()) };
    let total = place.directory.count(&query).await?.total;
    if output.is_json() {
        return output.json(&json!({
            "type": "tenantry.page", "total": total, "next": last.next, "positions": last.positions,
        }));
    }
    for line in for_people(query.kind, place.customers.len() > 1, &shown) {
        output.line(&line)?;
    }
    output.line(&format!("{} of {total} {}s", shown.len(), query.kind))?;
    match last.next {
        Some(next) => output.line(&format!("more: the same with --cursor {}", next.as_str())),
        None => Ok(()),
    }
}

fn batch(left: u64) -> usize {
    usize::try_from(left.min(BATCH)).unwrap_or(1)
}

fn for_people(kind: ObjectKind, several: bool, found: &[Found]) -> Vec<String> {
    let of = |found: &Found| if several { found.customer.to_string() } else { String::new() };
    let text = |record: &Record, name: &AttributeName| cell(record, name);
    match kind {
        ObjectKind::User => aligned(
            ["id", "name", "address", "state", "mfa", "marks", if several { "customer" } else { "" }],
            &found
                .iter()
                .map(|one| {
                    let record = &one.record;
                    let mfa = Some(text(record, &names::MFA)).filter(|mfa| !mfa.is_empty());
                    [
                        record.id.to_string(),
                        name_of(record),
                        text(record, &names::PRIMARY_EMAIL),
                        text(record, &names::STATE),
                        mfa.unwrap_or_else(|| MfaState::Unknown.to_string()),
                        marks(record),
                        of(one),
                    ]
                })
                .collect::<Vec<_>>(),
        ),
        ObjectKind::Group => aligned(
            ["id", "name", "kind", "address", "marks", if several { "customer" } else { "" }],
            &found
                .iter()
                .map(|one| {
                    let record = &one.record;
                    let kind = text(record, &names::KIND);
                    [record.id.to_string(), name_of(record), kind, text(record, &names::EMAIL), marks(record), of(one)]
                })
                .collect::<Vec<_>>(),
        ),
        ObjectKind::Computer => aligned(
            ["id", "name", "kind", "system", "marks", if several { "customer" } else { "" }],
            &found
                .iter()
                .map(|one| {
                    let record = &one.record;
                    let system = [text(record, &names::OS), text(record, &names::OS_VERSION)].join(" ");
                    let kind = text(record, &names::KIND);
                    [record.id.to_string(), name_of(record), kind, system.trim().to_owned(), marks(record), of(one)]
                })
                .collect::<Vec<_>>(),
        ),
    }
}

/// Says what is special about a record: whose it is first.
fn marks(record: &Record) -> String {
    let mut marks = vec![record.lock.as_ref().map_or_else(|| "by hand".to_owned(), |lock| lock.endpoint.to_string())];
    let flags = [
        (record.archived, "archived"),
        (record.missing_since.is_some(), "missing"),
        (record.attributes.get(&names::LOCKED_OUT) == Some(&true.into()), "locked out"),
    ];
    marks.extend(flags.into_iter().filter(|(is, _)| *is).map(|(_, mark)| mark.to_owned()));
    marks.join(", ")
}

/// The columns of a table, by kind: attributes, and what belongs to the record itself.
fn columns(kind: ObjectKind) -> &'static [&'static str] {
    match kind {
        ObjectKind::User => &[
            "customer",
            "id",
            "kind",
            "primary_email",
            "first_name",
            "last_name",
            "display_name",
            "username",
            "aliases",
            "state",
            "archived",
            "missing_since",
            "mfa",
            "locked_out",
            "locked_by",
            "tags",
        ],
        ObjectKind::Group => &["customer", "id", "kind", "name", "email", "description", "missing_since", "locked_by"],
        ObjectKind::Computer => &[
            "customer",
            "id",
            "kind",
            "name",
            "dns_name",
            "os",
            "os_version",
            "owner",
            "enabled",
            "missing_since",
            "locked_by",
        ],
    }
}

/// Prints all that a query finds, page by page: nothing is kept of it.
async fn table(
    place: &Place,
    query: &Query,
    mut after: Option<PageCursor>,
    limit: Option<u64>,
    output: &mut Output,
) -> Result<(), Ended> {
    let columns = columns(query.kind);
    let mut left = limit.unwrap_or(u64::MAX);
    let mut table = CsvWriter::new(&mut *output, columns)?;
    loop {
        let page = place.directory.find(query, after.as_ref(), batch(left)).await?;
        left -= page.found.len() as u64;
        for found in &page.found {
            table.row(columns.iter().map(|column| column_of(found, column)))?;
        }
        after = page.next;
        if left == 0 || after.is_none() {
            table.finish()?;
            return Ok(());
        }
    }
}

fn column_of(found: &Found, column: &str) -> String {
    let record = &found.record;
    match column {
        "customer" => found.customer.to_string(),
        "id" => record.id.to_string(),
        "archived" => record.archived.to_string(),
        "missing_since" => record.missing_since.map(|time| time.to_string()).unwrap_or_default(),
        "locked_by" => record.lock.as_ref().map(|lock| lock.endpoint.to_string()).unwrap_or_default(),
        "owner" => record.owner.map(|owner| owner.to_string()).unwrap_or_default(),
        "tags" => cell(record, &AttributeName::fixed("attributes.tags")),
        name => cell(record, &AttributeName::parse(name)),
    }
}
