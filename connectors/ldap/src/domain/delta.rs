//! Changes since a cursor: which method reads them, and that a cursor of another one has expired.
//!
//! It must not know how either of them asks.

use std::sync::Arc;

use async_trait::async_trait;
use tenantry::endpoint::{Context, Cursor, DeltaPager, DeltaStep};
use tenantry::{ErrorKind, Result};

use crate::Filter;
use crate::domain::config::DeltaMethod;
use crate::domain::controller::Controller;
use crate::domain::cursor::{Position, Since};
use crate::domain::dirsync;
use crate::domain::listing::Class;
use crate::domain::probe;
use crate::domain::reader::Shared;
use crate::domain::usn::UsnDelta;

/// Attributes whose values change while the object's own change number stays: links and their other ends, what depends on
/// the place, and what each controller counts for itself. All lower case.
const SILENT: &[&str] = &[
    "memberof",
    "1.2.840.113556.1.2.102",
    "member",
    "2.5.4.31",
    "manager",
    "managedby",
    "managedobjects",
    "directreports",
    "secretary",
    "tokengroups",
    "distinguishedname",
    "msds-parentdistname",
    "lastlogon",
    "lastlogoff",
    "badpwdcount",
    "badpasswordtime",
    "logoncount",
];

/// Names an attribute in a filter of what comes in that changes without a trace on the object: who matches such a filter
/// is told by no delta.
pub(crate) fn hindrance(shared: &Shared) -> Option<(Class, String)> {
    shared.classes().iter().find_map(|&class| {
        let attribute = untold(shared.configured(class)?, shared.config.delta)?;
        Some((class, attribute))
    })
}

fn untold(filter: &Filter, method: DeltaMethod) -> Option<String> {
    // Names of other ends of links end like this by convention.
    let never = |name: &str| method == DeltaMethod::DirSync && dirsync::never_tells(name);
    let silent = |name: &String| SILENT.contains(&name.as_str()) || name.ends_with("bl") || never(name);
    probe::attributes_of(filter.as_str()).into_iter().find(silent)
}

/// Tells whether changes can be read at all.
pub(crate) fn is_possible(shared: &Shared) -> bool {
    shared.config.delta != DeltaMethod::Off && hindrance(shared).is_none()
}

/// Begins to read the changes since a cursor, by the configured method.
pub(crate) async fn begin(shared: &Arc<Shared>, cx: &Context, cursor: &Cursor) -> Result<Box<dyn DeltaPager>> {
    let begun = match (shared.config.delta, Since::read(cursor)) {
        (DeltaMethod::Usn, Some(Since::Usn(position))) => {
            UsnDelta::begin(shared, cx, position).await.map(|delta| delta.map(|delta| Box::new(delta) as _))
        }
        (DeltaMethod::DirSync, Some(Since::DirSync(since))) => dirsync::begin(shared, cx, since).await,
        _ => Ok(None),
    };
    match begun {
        Ok(Some(delta)) => Ok(delta),
        Ok(None) => Ok(Box::new(Expired)),
        // Another controller took over at once.
        Err(error) if *error.kind() == ErrorKind::Conflict => Ok(Box::new(Expired)),
        Err(error) => Err(error),
    }
}

/// Tells where the first delta goes on, before the first page of a listing is asked for.
pub(crate) async fn beginning(
    shared: &Arc<Shared>,
    cx: &Context,
    controller: &Controller,
    now: Position,
) -> Result<Since> {
    match shared.config.delta {
        DeltaMethod::DirSync => Ok(Since::DirSync(dirsync::beginning(shared, cx, controller, &now).await?)),
        DeltaMethod::Usn | DeltaMethod::Off => Ok(Since::Usn(now)),
    }
}

/// Takes another controller that took over in the middle for an expired cursor: its numbers are its own, and what is
/// read from it may be older than the changes.
pub(crate) fn or_expired(step: Result<DeltaStep>) -> Result<DeltaStep> {
    match step {
        Err(error) if *error.kind() == ErrorKind::Conflict => {
            tracing::info!("changes cannot be read to their end: {error}");
            Ok(DeltaStep::CursorExpired)
        }
        step => step,
    }
}

/// A cursor that can no longer be used.
struct Expired;

#[async_trait]
impl DeltaPager for Expired {
    async fn next(&mut self) -> Result<DeltaStep> {
        Ok(DeltaStep::CursorExpired)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_by_what_changes_without_a_trace_forbids_deltas_and_is_named() {
        let hindered = |filter: &str| untold(&Filter::parse(filter).unwrap(), DeltaMethod::Usn);
        assert_eq!(hindered("(&(department=*)(!(title=member)))"), None);
        for (filter, name) in [
            ("(memberOf=CN=Import,DC=corp,DC=example)", "memberof"),
            ("(|(mail=*)(memberOf:1.2.840.113556.1.4.1941:=CN=Import,DC=corp,DC=example))", "memberof"),
            ("(1.2.840.113556.1.2.102=CN=Import,DC=corp,DC=example)", "1.2.840.113556.1.2.102"),
            ("(!(msDS-KrbTgtLinkBl=*))", "msds-krbtgtlinkbl"),
            ("(lastLogon>=1)", "lastlogon"),
        ] {
            assert_eq!(hindered(filter).as_deref(), Some(name), "{filter}");
        }
    }
}
