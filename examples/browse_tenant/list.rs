//! Lists of users, groups and computers: a page for people, JSON lines, or a whole table for spreadsheets.

use serde_json::json;
use tenantry::Result;
use tenantry::directory::csv::csv_columns;
use tenantry::model::{AttributeName, Found, MfaState, ObjectKind, Page, PageCursor, Query, Record, SortBy, names};

use crate::args::{List, ThingList, UserList};
use crate::output::Output;
use crate::place::Place;
use crate::query;
use crate::status::Ended;
use crate::table::aligned;
use crate::words::{cell, counted, name_of};

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
    query::check(place, &query).await?;
    let cursor = list.cursor.clone().map(PageCursor::new);
    if list.csv {
        // Page by page: nothing is kept of it.
        let columns = csv_columns(query.kind);
        let done = place.directory.export_csv(&query, columns, cursor, list.limit, &mut *output).await;
        return if output.is_closed() { Err(Ended::NobodyReads) } else { Ok(done.map(drop)?) };
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
    let count = place.directory.count(&query).await?;
    let total = count.total;
    if output.is_json() {
        return output.json(&json!({
            "type": "tenantry.page", "total": total, "exact": count.exact, "next": last.next, "positions": last.positions,
        }));
    }
    for line in for_people(query.kind, place.customers.len() > 1, &shown) {
        output.line(&line)?;
    }
    let about = if count.exact { "" } else { "about " };
    output.line(&format!("{} of {about}{}", shown.len(), counted(total, query.kind.as_str())))?;
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
