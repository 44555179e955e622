//! Small searches that tell what the account may read. It must not decide what follows from it.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Control, Filter, RangedValues, Scope, SearchRequest};
use tenantry::endpoint::Context;
use tenantry::{Error, ErrorKind, Result};
use uuid::Uuid;

use crate::domain::connection::Connection;
use crate::domain::controller::Controller;
use crate::domain::error::base_gone;

const DELETED_OBJECTS: &str = "18e2ea80684f11d2b9aa00c04f79f805";
/// S-1-5-32-544: has members in every domain.
const ADMINISTRATORS: &[u8] = &[1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 32, 2, 0, 0];

/// Tells whether tombstones can be read.
///
/// That the container shows proves nothing: some servers show it to everybody, but bare. What it says of itself needs
/// the right that its content needs, and is there also while nothing is deleted, so that the right does not seem to go
/// with the last tombstone. Where only the content was opened to the account, a tombstone proves it. With `pin`, only the
/// controller with this database may answer.
pub(crate) async fn tombstones(
    connection: &Connection,
    cx: &Context,
    controller: &Controller,
    pin: Option<Uuid>,
) -> Result<bool> {
    let operation = "look for deleted objects";
    let base = deleted_objects(controller);
    let container = connection.object(cx, operation, pin, &base, &["isDeleted"], &[controller.show_deleted()]).await;
    match container {
        Ok(Some(entry)) if entry.is_present("isDeleted") => return Ok(true),
        Ok(Some(_)) => {}
        Ok(None) => return Ok(false),
        Err(error) if is_hidden(&error) => return Ok(false),
        Err(error) => return Err(error),
    }
    let request = SearchRequest::new(base, Filter::parse("(isDeleted=TRUE)")?)
        .scope(Scope::OneLevel)
        .attributes(["1.1"])
        .page_size(1)
        .control(controller.show_deleted());
    match connection.first(cx, operation, &request).await {
        Ok(entry) => Ok(entry.is_some()),
        Err(error) if is_hidden(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Names the container of deleted objects, whatever it is called.
pub(crate) fn deleted_objects(controller: &Controller) -> String {
    format!("<WKGUID={DELETED_OBJECTS},{}>", controller.domain)
}

/// The container is hidden, or the account may not list it: an answer, not a failure.
fn is_hidden(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied { .. })
}

/// Tells whether members of groups can be read, by the one group that has some in every domain.
pub(crate) async fn members(connection: &Connection, cx: &Context, controller: &Controller) -> Result<bool> {
    let request = SearchRequest::new(&controller.domain, Filter::equals_bytes("objectSid", ADMINISTRATORS)?)
        .attributes(["member"])
        .page_size(1)
        .control(Control::domain_scope().optional());
    let entry = connection.first(cx, "look for members", &request).await?;
    entry.map_or(Ok(false), |entry| Ok(!RangedValues::first(&entry, "member")?.values.is_empty()))
}

/// Tells for each attribute that a configured filter asks for whether it can be read on any of the objects probed.
///
/// An attribute that turns unreadable makes every object drop out of such a filter as if it no longer matched.
pub(crate) async fn filter_attributes(
    connection: &Connection,
    cx: &Context,
    probed: &Filter,
    configured: &Filter,
    base: &str,
) -> Result<BTreeMap<String, bool>> {
    let mut readable = BTreeMap::new();
    for attribute in attributes_of(configured.as_str()) {
        let filter = Filter::and([probed.clone(), Filter::present(&attribute)?]);
        let found = is_found(connection, cx, filter, base).await?;
        readable.insert(attribute, found);
    }
    Ok(readable)
}

/// Tells whether any object matches.
pub(crate) async fn is_found(connection: &Connection, cx: &Context, filter: Filter, base: &str) -> Result<bool> {
    let request =
        SearchRequest::new(base, filter).attributes(["1.1"]).page_size(1).control(Control::domain_scope().optional());
    let found = connection.first(cx, "look for filtered attributes", &request).await.map_err(base_gone)?;
    Ok(found.is_some())
}

/// Names the attributes in a filter. A parenthesis in a value is escaped, so each one begins a part.
pub(crate) fn attributes_of(filter: &str) -> BTreeSet<String> {
    let name = |part: &str| {
        let end = part.find(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '.')?;
        let name = part[..end].to_ascii_lowercase();
        (!name.is_empty() && name != "objectclass" && name != "objectcategory").then_some(name)
    };
    filter.split('(').filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_attributes_of_a_filter_are_named_once_and_in_lower_case() {
        let filter = "(&(department=*)(!(Title=a\\28b))(userAccountControl:1.2.840.113556.1.4.803:=2)(objectClass=user)(title>=x))";
        let names: Vec<_> = attributes_of(filter).into_iter().collect();
        assert_eq!(names, ["department", "title", "useraccountcontrol"]);
    }
}
