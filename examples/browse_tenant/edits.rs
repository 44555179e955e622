//! The commands that change a record: edit, add, archive, restore, tag. The library decides what may be changed.

use clap::{Args, Subcommand};
use serde_json::json;
use tenantry::model::names::{self, Shape};
use tenantry::model::{AttributeName, CustomerId, Draft, Edit, ObjectKind, Record, Shelf, Value};
use tenantry::{Error, Result};

use crate::output::Output;
use crate::place::Place;
use crate::record::attribute;
use crate::status::Ended;
use crate::words::name_of;

/// A change of values.
#[derive(Debug, Args)]
pub(crate) struct Change {
    /// The id of a record, or the primary address of a user.
    pub(crate) id: String,
    /// What to set: `first_name=Ann`, `aliases=a@corp.example;b@corp.example`, `room=12`; `room=` says that there is none.
    #[arg(value_name = "NAME=VALUE", required_unless_present = "withdraw")]
    pub(crate) values: Vec<String>,
    /// Take a local value back: the owner's shows again, or none; may be repeated.
    #[arg(long, value_name = "NAME")]
    pub(crate) withdraw: Vec<String>,
}

/// What is added by hand.
#[derive(Debug, Subcommand)]
pub(crate) enum Addition {
    /// Add a user, whom nobody owns until an endpoint brings the same person.
    User {
        /// The primary address.
        email: String,
        /// Given name.
        #[arg(long, value_name = "NAME")]
        first: Option<String>,
        /// Family name.
        #[arg(long, value_name = "NAME")]
        last: Option<String>,
        /// Anything else: `display_name=Ann Lee`; may be repeated.
        #[arg(long = "set", value_name = "NAME=VALUE")]
        values: Vec<String>,
        /// A tag of the host; may be repeated.
        #[arg(long = "tag", value_name = "TAG")]
        tags: Vec<String>,
    },
    /// Add a group, which may contain users that endpoints own.
    Group {
        /// Its name.
        name: String,
        /// A member: the id of a record, or the primary address of a user; may be repeated.
        #[arg(long = "member", value_name = "ID")]
        members: Vec<String>,
    },
}

/// A user.
#[derive(Debug, Args)]
pub(crate) struct Who {
    /// The user's id, or the primary address.
    pub(crate) id: String,
}

/// The tags of a user.
#[derive(Debug, Args)]
pub(crate) struct Tags {
    /// The user's id, or the primary address.
    pub(crate) id: String,
    /// All tags that it is to have; none takes all of them away.
    pub(crate) tags: Vec<String>,
}

pub(crate) async fn edit(place: &Place, change: &Change, output: &mut Output) -> Result<(), Ended> {
    let (customer, id) = place.find(ObjectKind::User, &change.id).await?;
    let kind = place.kind_of(&customer, id).await?;
    let mut edit = Edit::new();
    for text in &change.values {
        let (name, value) = assignment(kind, text)?;
        edit = edit.set(name, value);
    }
    for name in &change.withdraw {
        edit = edit.withdraw(attribute(name));
    }
    let record = place.directory.edit(&customer, id, &edit).await?;
    show(&customer, &record, "changed", output)
}

pub(crate) async fn add(place: &Place, addition: &Addition, output: &mut Output) -> Result<(), Ended> {
    let customer = place.one_customer()?;
    let record = match addition {
        Addition::User { email, first, last, values, tags } => {
            let mut draft = Draft::user(email).tagged(tags);
            for (name, value) in [(names::FIRST_NAME, first), (names::LAST_NAME, last)] {
                if let Some(value) = value {
                    draft = draft.set(name, value.as_str());
                }
            }
            for text in values {
                let (name, value) = assignment(ObjectKind::User, text)?;
                draft = draft.set(name, value);
            }
            place.directory.add(customer, &draft).await?
        }
        Addition::Group { name, members } => {
            let mut ids = Vec::new();
            for member in members {
                ids.push(place.find(ObjectKind::User, member).await?.1);
            }
            let group = place.directory.add(customer, &Draft::group(name)).await?;
            place.directory.add_members(customer, group.id, &ids).await?;
            group
        }
    };
    show(customer, &record, "added", output)
}

pub(crate) async fn shelve(place: &Place, who: &Who, shelf: Shelf, output: &mut Output) -> Result<(), Ended> {
    let (customer, id) = place.find(ObjectKind::User, &who.id).await?;
    let record = place.directory.shelve(&customer, id, shelf).await?;
    show(&customer, &record, if shelf == Shelf::Archived { "archived" } else { "restored" }, output)
}

pub(crate) async fn tag(place: &Place, tags: &Tags, output: &mut Output) -> Result<(), Ended> {
    let (customer, id) = place.find(ObjectKind::User, &tags.id).await?;
    let record = place.directory.set_tags(&customer, id, &tags.tags).await?;
    show(&customer, &record, "tagged", output)
}

fn show(customer: &CustomerId, record: &Record, what: &str, output: &mut Output) -> Result<(), Ended> {
    if output.is_json() {
        return output.json(&json!({ "customer": customer, "record": record }));
    }
    output.line(&format!("{}  {}: {what}", record.id, name_of(record)))
}

/// Reads `name=value`.
fn assignment(kind: ObjectKind, text: &str) -> Result<(AttributeName, Value)> {
    let (name, value) = text
        .split_once('=')
        .ok_or_else(|| Error::config("a value is set by name=value").with_context("given", format_args!("{text:?}")))?;
    let name = attribute(name.trim());
    let wrong = |message| Error::config(message).with_context("attribute", &name);
    let value = match (names::shape(kind, &name), value) {
        (_, "") => Value::Empty,
        (Some(Shape::List), items) => Value::list(items.split(';').map(str::trim).filter(|item| !item.is_empty())),
        (Some(Shape::Bool), "true") => true.into(),
        (Some(Shape::Bool), "false") => false.into(),
        (Some(Shape::Bool), _) => return Err(wrong("write true or false")),
        (_, text) => text.into(),
    };
    Ok((name, value))
}
