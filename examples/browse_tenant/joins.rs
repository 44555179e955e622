//! The commands that join users and take them apart, and who may be joined. The library decides what can be.

use std::sync::Arc;

use clap::Args;
use serde_json::json;
use tenantry::model::{ConflictReason, CustomerId, EndpointName, Identity, ObjectKind, Record, RecordId, SourceId};
use tenantry::{Error, ErrorKind};

use crate::args::at_least_one;
use crate::conflict::why;
use crate::output::Output;
use crate::place::{Place, blocking, unknown};
use crate::status::Ended;
use crate::words::name_of;

/// Two users.
#[derive(Debug, Args)]
pub(crate) struct Two {
    /// The user that keeps its id, unless it is one that endpoints own and the other one was added by hand: then that one
    /// does. The id, or the primary address.
    pub(crate) kept: String,
    /// The user that turned out to be the same person; which of the two ids stays is printed.
    pub(crate) absorbed: String,
}

/// An identity of a user.
#[derive(Debug, Args)]
pub(crate) struct Taken {
    /// The user's id, or the primary address.
    pub(crate) id: String,
    /// The endpoint of the identity that does not belong to it; `user` lists them. If that one founded the record, it keeps
    /// the record and its id, and the others leave: what each has then is printed. `NAME:SOURCEID` names one of several.
    pub(crate) endpoint: String,
}

/// An identity, and whose it is.
#[derive(Debug, Args)]
pub(crate) struct Moved {
    /// The user who has the identity: the id, or the primary address.
    pub(crate) id: String,
    /// The endpoint of the identity.
    pub(crate) endpoint: String,
    /// The user to whom it belongs.
    pub(crate) to: String,
}

/// How many pairs.
#[derive(Debug, Args)]
pub(crate) struct Pairs {
    /// At most so many.
    #[arg(long, value_name = "N", default_value = "50", value_parser = at_least_one)]
    pub(crate) limit: u64,
}

async fn user(place: &Place, text: &str) -> Result<(CustomerId, RecordId), Ended> {
    Ok(place.find(ObjectKind::User, text).await?)
}

/// Finds the identity of a user at an endpoint; a source id behind a colon names one of several.
async fn identity(place: &Place, customer: &CustomerId, id: RecordId, text: &str) -> Result<Identity, Ended> {
    let (endpoint, source_id) = match text.split_once(':') {
        Some((endpoint, id)) => (endpoint, Some(SourceId::parse(id))),
        None => (text, None),
    };
    let endpoint = EndpointName::new(endpoint)?;
    let details = place.directory.details(customer, id).await?.ok_or_else(|| unknown(&id.to_string()))?;
    let all = details.record.identities;
    let found = all.iter().find(|one| {
        one.endpoint == endpoint && source_id.as_ref().is_none_or(|id| id.to_string() == one.source_id.to_string())
    });
    if let Some(found) = found {
        return Ok(found.clone());
    }
    let mut error = Error::new(ErrorKind::NotFound, "the user has no identity of this endpoint")
        .with_context("user", id)
        .with_context("endpoint", text);
    if all.iter().any(|one| one.endpoint == endpoint) {
        error = Error::new(ErrorKind::NotFound, "the user has no such identity of this endpoint")
            .with_context("user", id)
            .with_context("asked", text);
    }
    let there: Vec<String> = if source_id.is_some() {
        all.iter().map(|one| format!("{}:{}", one.endpoint, one.source_id)).collect()
    } else {
        all.iter().map(|one| one.endpoint.to_string()).collect()
    };
    let there = if there.is_empty() { "none: nobody owns it".to_owned() } else { there.join(", ") };
    Err(error.with_context("there are", there).into())
}

/// Says whom a record stands for: its id, its name, and by which identities it is seen.
fn who(record: &Record) -> String {
    let of: Vec<String> = record.identities.iter().map(|one| format!("{} {}", one.endpoint, one.source_id)).collect();
    let of = if of.is_empty() { "no endpoint sees it".to_owned() } else { of.join(", ") };
    format!("{}  {}: {of}", record.id, name_of(record))
}

pub(crate) async fn join(place: &Place, two: &Two, output: &mut Output) -> Result<(), Ended> {
    let (customer, kept) = user(place, &two.kept).await?;
    let (_, absorbed) = user(place, &two.absorbed).await?;
    let record = place.directory.join(&customer, kept, absorbed).await?;
    if output.is_json() {
        return output.json(&json!({ "customer": customer, "record": record }));
    }
    let gone = if record.id == kept { absorbed } else { kept };
    output.line(&format!("{}  {}: this id stays, {gone} was absorbed", record.id, name_of(&record)))
}

pub(crate) async fn unjoin(place: &Place, taken: &Taken, output: &mut Output) -> Result<(), Ended> {
    let (customer, id) = user(place, &taken.id).await?;
    let identity = identity(place, &customer, id, &taken.endpoint).await?;
    let (kept, split) = place.directory.unjoin(&customer, id, &identity).await?;
    if output.is_json() {
        return output.json(&json!({ "customer": customer, "record": kept, "split": split }));
    }
    output.line(&who(&kept))?;
    output.line(&who(&split))
}

pub(crate) async fn reanchor(place: &Place, moved: &Moved, output: &mut Output) -> Result<(), Ended> {
    let (customer, id) = user(place, &moved.id).await?;
    let identity = identity(place, &customer, id, &moved.endpoint).await?;
    let (_, to) = user(place, &moved.to).await?;
    let record = place.directory.reanchor(&customer, &identity, to).await?;
    if output.is_json() {
        return output.json(&json!({ "customer": customer, "record": record }));
    }
    output.line(&who(&record))
}

pub(crate) async fn probable(place: &Place, pairs: &Pairs, output: &mut Output) -> Result<(), Ended> {
    let mut none = true;
    for customer in &place.customers {
        for pair in place.directory.probable_joins(customer, usize::try_from(pairs.limit).unwrap_or(usize::MAX)).await?
        {
            none = false;
            if output.is_json() {
                output.json(&json!({ "customer": customer, "probable": pair }))?;
                continue;
            }
            let (one, other) = pair.records;
            let (one, other) = (named(place, customer, one).await?, named(place, customer, other).await?);
            output.line(&format!("{one} and {other}: {}", reason(pair.reason)))?;
        }
    }
    if none && !output.is_json() {
        output.line("no users seem to be one person and are not joined")?;
    }
    Ok(())
}

pub(crate) async fn conflicts(place: &Place, output: &mut Output) -> Result<(), Ended> {
    let mut none = true;
    for customer in &place.customers {
        for conflict in place.directory.conflicts(customer).await? {
            none = false;
            if output.is_json() {
                output.json(&json!({ "customer": customer, "conflict": conflict }))?;
                continue;
            }
            let mut others = Vec::new();
            for other in &conflict.others {
                others.push(named(place, customer, *other).await?);
            }
            let (record, reason) = (named(place, customer, conflict.record).await?, reason(conflict.reason));
            output.line(&format!("{}  {record} and {}: {reason}", conflict.found_at, others.join(", ")))?;
        }
    }
    if none && !output.is_json() {
        output.line("no conflicts")?;
    }
    Ok(())
}

/// Returns id and name of a record.
async fn named(place: &Place, customer: &CustomerId, id: RecordId) -> Result<String, Ended> {
    let (store, owner) = (Arc::clone(&place.store), customer.clone());
    let record = blocking(move || store.record(&owner, id)).await?;
    Ok(record.map_or_else(|| id.to_string(), |record| format!("{id} {}", name_of(&record))))
}

/// Spells a reason for people.
fn reason(reason: ConflictReason) -> String {
    why(serde_json::to_value(reason).unwrap_or_default().as_str().unwrap_or_default())
}
