//! One user or group in full, and why an attribute has its value.

use serde_json::json;
use tenantry::Result;
use tenantry::model::{
    AttributeName, Details, Filter, LastChange, Nesting, ObjectKind, Query, RunEnd, SortBy, Value, ValueOwner, names,
};

use crate::args::{One, OneGroup, What};
use crate::output::Output;
use crate::place::{Place, unknown};
use crate::status::Ended;
use crate::words::{cell, counted, name_of, say};

pub(crate) async fn user(place: &Place, one: &One, output: &mut Output) -> Result<(), Ended> {
    let (customer, id) = place.find(ObjectKind::User, &one.id).await?;
    let details = place.directory.details(&customer, id).await?.ok_or_else(|| unknown(&one.id))?;
    if output.is_json() {
        return output.json(&json!({ "customer": customer, "details": details }));
    }
    describe(&details, output)
}

pub(crate) async fn group(place: &Place, one: &OneGroup, output: &mut Output) -> Result<(), Ended> {
    let (customer, id) = place.find(ObjectKind::Group, &one.id).await?;
    let details = place.directory.details(&customer, id).await?.ok_or_else(|| unknown(&one.id))?;
    let nesting = if one.nested { Nesting::Nested } else { Nesting::Direct };
    let limit = usize::try_from(one.limit).unwrap_or(usize::MAX);
    let mut members = Vec::new();
    for (mut query, by) in [
        (Query::users(&customer), SortBy::PrimaryEmail),
        (Query::groups(&customer), SortBy::Name),
        (Query::computers(&customer), SortBy::Name),
    ] {
        query.sort.by = by;
        query.filter = Filter { group: Some((id, nesting)), ..Filter::default() };
        let page = place.directory.find(&query, None, limit).await?;
        let total = place.directory.count(&query).await?.total;
        members.push((query.kind, total, page));
    }
    if output.is_json() {
        let members: Vec<_> = members
            .into_iter()
            .map(|(kind, total, page)| json!({ "kind": kind, "total": total, "found": page.found, "next": page.next }))
            .collect();
        return output.json(&json!({ "customer": customer, "details": details, "members": members }));
    }
    describe(&details, output)?;
    for (kind, total, page) in members.into_iter().filter(|(_, total, _)| *total > 0) {
        output.line(&format!(
            "{}{}",
            counted(total, kind.as_str()),
            if one.nested { ", those of member groups too" } else { "" }
        ))?;
        for found in &page.found {
            let address = cell(&found.record, &names::PRIMARY_EMAIL);
            output.line(&format!("  {}  {} {address}", found.record.id, name_of(&found.record)))?;
        }
    }
    Ok(())
}

fn describe(details: &Details, output: &mut Output) -> Result<(), Ended> {
    let record = &details.record;
    output.line(&format!("{}  {}", record.id, name_of(record)))?;
    for (name, value) in record.attributes.iter().filter(|(_, value)| **value != Value::Empty) {
        let name = name.as_extra().unwrap_or(name.as_str());
        output.line(&format!("  {name:<22} {}", say(&serde_json::to_value(value).unwrap_or_default())))?;
    }
    if record.archived {
        output.line("  archived here")?;
    }
    if let Some(since) = record.missing_since {
        output.line(&format!("  missing in its directory since {since}"))?;
    }
    match &record.lock {
        Some(lock) => {
            let yielded = match lock.yielded.as_slice() {
                [] => String::new(),
                some => format!(", which leaves {} to local editors", some.join(", ")),
            };
            output.line(&format!("  locked by {}{yielded}", lock.endpoint))?;
        }
        None => output.line("  by hand: nobody owns it")?,
    }
    if let Some((imported, all)) = details.members {
        let others = all.saturating_sub(imported);
        let others = if others > 0 { format!(", {others} more that were not imported") } else { String::new() };
        output.line(&format!("  {}{others}", counted(imported, "direct member")))?;
    }
    for group in &details.groups {
        let how = if group.nesting == Nesting::Nested { ", through another group" } else { "" };
        output.line(&format!("  in {}{how}", name_of(&group.group)))?;
    }
    for computer in &details.computers {
        output.line(&format!("  owns {}", name_of(computer)))?;
    }
    for source in &details.sources {
        output.line(&format!("  seen through {} ({}) as {}", source.endpoint, source.title, source.source_id))?;
        for join in details.joins.iter().filter(|join| join.source_id == source.source_id) {
            let reason = serde_json::to_value(join.reason).unwrap_or_default();
            let reason = reason.as_str().unwrap_or_default().replace('-', " ");
            let with = join.with.as_ref().map(|with| format!(" with {} of {}", with.source_id, with.endpoint));
            let by = join.run.map_or_else(String::new, |run| format!(", run {run}"));
            output.line(&format!("    joined{} since {}: {reason}{by}", with.unwrap_or_default(), join.at))?;
        }
        let end = |end: &RunEnd| {
            let error = end.error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
            format!("{}, run {}{error}", end.at, end.run)
        };
        if let Some(last) = &source.last_import {
            output.line(&format!("    last import {}", end(last)))?;
        }
        if let Some(last) = &source.last_error {
            output.line(&format!("    last error  {}", end(last)))?;
        }
        if let Some((since, reason)) = &source.quarantined {
            output.line(&format!("    set aside since {since}: {reason}"))?;
        }
    }
    Ok(())
}

pub(crate) async fn explain(place: &Place, what: &What, output: &mut Output) -> Result<(), Ended> {
    let (customer, id) = place.find(ObjectKind::User, &what.id).await?;
    let name = attribute(&what.attribute);
    let explained = place.directory.explain(&customer, id, &name).await?.ok_or_else(|| unknown(&what.id))?;
    if output.is_json() {
        return output
            .json(&json!({ "customer": customer, "id": id, "attribute": name.as_str(), "explained": explained }));
    }
    match &explained.value {
        Some(value) => output.line(&format!("{name}: {}", say(value)))?,
        None => output.line(&format!("{name}: not known"))?,
    }
    output.line(&match &explained.owner {
        ValueOwner::Endpoint(endpoint) => format!("  the value of {endpoint}: only its imports change it"),
        ValueOwner::Local => "  a local value".to_owned(),
        ValueOwner::Nobody => "  nobody has said anything of it".to_owned(),
    })?;
    for (endpoint, value) in &explained.overruled {
        output.line(&format!("  {endpoint} says {}, which does not count", say(value)))?;
    }
    match &explained.changed {
        Some(LastChange { at, position, endpoint, run, previous }) => {
            let by = endpoint.as_ref().map_or_else(|| "by hand".to_owned(), |endpoint| format!("by {endpoint}"));
            let run = run.map(|run| format!(", run {run}")).unwrap_or_default();
            let before = previous.as_ref().map(|value| format!("; before: {}", say(value))).unwrap_or_default();
            output.line(&format!("  since {at} {by}{run}, event {position}{before}"))
        }
        None if explained.all_kept && explained.value.is_none() => output.line("  it has never been known"),
        None if explained.all_kept => output.line("  no event tells of a change"),
        None => output.line("  since when is no longer told: older events are not kept"),
    }
}

/// Takes the name of an attribute; what is not in the contract's list, and nearly no name of it, is one of the others.
pub(crate) fn attribute(name: &str) -> AttributeName {
    let own = ["id", "archived", "missing_since", "lock", "identities"].contains(&name);
    let listed = ObjectKind::ALL.iter().any(|kind| names::shape(*kind, &AttributeName::parse(name)).is_some());
    let slip = ObjectKind::ALL.iter().any(|kind| names::meant(*kind, name).is_some());
    if own || listed || slip {
        AttributeName::parse(name)
    } else {
        AttributeName::extra(name.trim_start_matches("attributes."))
    }
}
