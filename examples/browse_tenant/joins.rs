//! The commands that join users and take them apart, and who may be joined. The library decides what can be.

use clap::Args;
use serde_json::json;
use tenantry::model::{ConflictReason, CustomerId, EndpointName, Identity, ObjectKind, RecordId, SourceId};

use crate::output::Output;
use crate::place::{Place, unknown};
use crate::status::Ended;
use crate::words::name_of;

/// Two users.
#[derive(Debug, Args)]
pub(crate) struct Two {
    /// The user that keeps its id: the id, or the primary address.
    pub(crate) kept: String,
    /// The user that turned out to be the same person.
    pub(crate) absorbed: String,
}

/// An identity of a user.
#[derive(Debug, Args)]
pub(crate) struct Taken {
    /// The user's id, or the primary address.
    pub(crate) id: String,
    /// The endpoint of the identity that does not belong to it; `user` lists them.
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
    #[arg(long, value_name = "N", default_value = "50", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: u32,
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
    let found = details.record.identities.into_iter().find(|one| {
        one.endpoint == endpoint && source_id.as_ref().is_none_or(|id| id.to_string() == one.source_id.to_string())
    });
    found.ok_or_else(|| unknown(text).into())
}

pub(crate) async fn join(place: &Place, two: &Two, output: &mut Output) -> Result<(), Ended> {
    let (customer, kept) = user(place, &two.kept).await?;
    let (_, absorbed) = user(place, &two.absorbed).await?;
    let record = place.directory.join(&customer, kept, absorbed).await?;
    if output.is_json() {
        return output.json(&json!({ "customer": customer, "record": record }));
    }
    output.line(&format!("{}  {}: one with {absorbed}", record.id, name_of(&record)))
}

pub(crate) async fn unjoin(place: &Place, taken: &Taken, output: &mut Output) -> Result<(), Ended> {
    let (customer, id) = user(place, &taken.id).await?;
    let identity = identity(place, &customer, id, &taken.endpoint).await?;
    let (kept, split) = place.directory.unjoin(&customer, id, &identity).await?;
    if output.is_json() {
        return output.json(&json!({ "customer": customer, "record": kept, "split": split }));
    }
    output.line(&format!("{}  {}", kept.id, name_of(&kept)))?;
    output.line(&format!("{}  {}: taken apart", split.id, name_of(&split)))
}

pub(crate) async fn reanchor(place: &Place, moved: &Moved, output: &mut Output) -> Result<(), Ended> {
    let (customer, id) = user(place, &moved.id).await?;
    let identity = identity(place, &customer, id, &moved.endpoint).await?;
    let (_, to) = user(place, &moved.to).await?;
    let record = place.directory.reanchor(&customer, &identity, to).await?;
    if output.is_json() {
        return output.json(&json!({ "customer": customer, "record": record }));
    }
    output.line(&format!("{}  {}: has {} of {}", record.id, name_of(&record), identity.source_id, identity.endpoint))
}

pub(crate) async fn probable(place: &Place, pairs: &Pairs, output: &mut Output) -> Result<(), Ended> {
    for customer in &place.customers {
        for pair in place.directory.probable_joins(customer, usize::try_from(pairs.limit).unwrap_or(usize::MAX)).await?
        {
            if output.is_json() {
                output.json(&json!({ "customer": customer, "probable": pair }))?;
                continue;
            }
            let (one, other) = pair.records;
            output.line(&format!("{one} and {other}: {}", reason(pair.reason)))?;
        }
    }
    Ok(())
}

/// Spells a reason for people.
pub(crate) fn reason(reason: ConflictReason) -> String {
    let reason = serde_json::to_value(reason).unwrap_or_default();
    reason.as_str().unwrap_or_default().replace('-', " ")
}
