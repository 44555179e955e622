//! What happened, as people read it, newest first.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Value as Json, json};
use tenantry::model::{CustomerId, Event, EventType, RecordId, names};
use tenantry::{Error, ErrorKind, Result};

use crate::args::Part;
use crate::output::Output;
use crate::place::{Place, blocking};
use crate::status::Ended;
use crate::words::{name_in, name_of, say};

pub(crate) async fn show(place: &Place, part: &Part, output: &mut Output) -> Result<(), Ended> {
    if part.cursor.is_some() && place.customers.len() > 1 {
        return Err(Error::config("a position is that of one customer; name it with --customer").into());
    }
    let mut all: Vec<(CustomerId, Event)> = Vec::new();
    for customer in &place.customers {
        let events = newest(place, customer, part.cursor, part.limit).await?;
        all.extend(events.into_iter().map(|event| (customer.clone(), event)));
    }
    // Times are RFC 3339 in one zone: their order is that of their letters.
    all.sort_by(|(_, a), (_, b)| (&b.time, b.position()).cmp(&(&a.time, a.position())));
    all.truncate(usize::try_from(part.limit).unwrap_or(usize::MAX));
    if output.is_json() {
        for (_, event) in &all {
            output.json(event)?;
        }
        let next = all.last().map(|(_, event)| event.position()).filter(|position| *position > 1);
        let next = next.filter(|_| place.customers.len() == 1);
        return output.json(&json!({ "type": "tenantry.page", "next": next }));
    }
    let mut told = Told::new(place, &all);
    for (customer, event) in &all {
        let line = told.describe(customer, event).await;
        let of = if place.customers.len() > 1 { format!("{customer} ") } else { String::new() };
        output.line(&format!("{} {of}{:>6}  {line}", event.time, event.sequence))?;
    }
    match all.last() {
        None => output.line("nothing happened yet"),
        Some((_, last)) if place.customers.len() == 1 && last.position() > 1 => {
            output.line(&format!("earlier: the same with --cursor {}", last.position()))
        }
        Some(_) => Ok(()),
    }
}

/// Reads the last events of a customer that are before a position, and still kept.
async fn newest(place: &Place, customer: &CustomerId, before: Option<u64>, limit: u64) -> Result<Vec<Event>> {
    let (store, customer) = (Arc::clone(&place.store), customer.clone());
    blocking(move || {
        let last = store.last_position(&customer)?;
        let upto = before.map_or(last, |before| before.saturating_sub(1).min(last));
        let mut after = upto.saturating_sub(limit);
        let read = |after: u64| {
            let limit = usize::try_from(upto.saturating_sub(after)).unwrap_or(usize::MAX);
            store.events(&customer, after, limit)
        };
        match read(after) {
            Err(error) if *error.kind() == ErrorKind::NotFound => {
                let kept = error.context("first kept").and_then(|first| first.parse::<u64>().ok());
                after = kept.map_or(upto, |first| first.saturating_sub(1)).min(upto);
                if after == upto { Ok(Vec::new()) } else { read(after) }
            }
            other => other,
        }
    })
    .await
}

/// Says what events tell, with names instead of ids.
struct Told<'a> {
    place: &'a Place,
    names: HashMap<(CustomerId, String), String>,
}

impl<'a> Told<'a> {
    fn new(place: &'a Place, events: &[(CustomerId, Event)]) -> Self {
        // Who was removed is in the event only; the newest name wins.
        let mut names = HashMap::new();
        for (customer, event) in events {
            if let Some(record) = event.data_value().get("record") {
                names.entry((customer.clone(), event.subject.clone())).or_insert_with(|| name_in(record));
            }
        }
        Self { place, names }
    }

    async fn describe(&mut self, customer: &CustomerId, event: &Event) -> String {
        let data = event.data_value();
        let name =
            || if data["erased"] == true { "somebody who was erased".to_owned() } else { name_in(&data["record"]) };
        let upserted = |what: &str| {
            if data["erased"] == true {
                return format!("~ {what} {}", name());
            }
            if is_new(&data) {
                let mail = data["record"]["primary_email"].as_str().map(|mail| format!(" <{mail}>"));
                return format!("+ {what} {}{}", name(), mail.unwrap_or_default());
            }
            format!("~ {what} {}: {}", name(), differences(&data))
        };
        match event.event_type {
            EventType::UserUpserted => upserted("user"),
            EventType::GroupUpserted => upserted("group"),
            EventType::ComputerUpserted => upserted("computer"),
            EventType::UserRemoved => format!("- user {}", name()),
            EventType::GroupRemoved => format!("- group {}", name()),
            EventType::ComputerRemoved => format!("- computer {}", name()),
            EventType::MemberAdded => format!("+ member {}", self.membership(customer, &data).await),
            EventType::MemberRemoved => format!("- member {}", self.membership(customer, &data).await),
            EventType::UserMerged => format!("~ user {} is the same person as {}", name(), say(&data["absorbed"])),
            EventType::UserSplit => format!("~ user {} is another person than {}", name(), say(&data["from"])),
            EventType::RecordQuarantined => format!("? set aside a {}: {}", say(&data["kind"]), say(&data["reason"])),
            EventType::AlertRaised => format!("! alert: {}", say(&data["message"])),
            EventType::ConflictFound => format!("! conflict: {}", say(&data["reason"])),
            EventType::RemovalsParked => {
                let held = data["held"].as_array().into_iter().flatten();
                let count: u64 = held.filter_map(|held| held["count"].as_u64()).sum();
                format!("! {count} changes wait for approval of {}", say(&data["plan"]))
            }
            EventType::ImportFinished => {
                let error = data["error"].as_str().map(|error| format!(": {error}")).unwrap_or_default();
                format!(
                    "import of {} {}: {} created, {} updated, {} removed{error}",
                    say(&data["name"]),
                    say(&data["outcome"]),
                    data["created"],
                    data["updated"],
                    data["removed"],
                )
            }
        }
    }

    async fn membership(&mut self, customer: &CustomerId, data: &Json) -> String {
        let member = match data["member"].as_str() {
            Some(id) => self.name(customer, id).await,
            None => format!("{} {} (not imported)", say(&data["member_kind"]), say(&data["member_source_id"])),
        };
        let primary = if data["via"] == "primary" { ", its primary group" } else { "" };
        let group = self.name(customer, data["group"].as_str().unwrap_or_default()).await;
        format!("{member} in {group}{primary}")
    }

    async fn name(&mut self, customer: &CustomerId, id: &str) -> String {
        let key = (customer.clone(), id.to_owned());
        if let Some(name) = self.names.get(&key) {
            return name.clone();
        }
        let record = match id.parse() {
            Ok(id) => {
                let (store, customer) = (Arc::clone(&self.place.store), customer.clone());
                blocking(move || store.record(&customer, RecordId(id))).await.ok().flatten()
            }
            Err(_) => None,
        };
        let name = record.map_or_else(|| id.to_owned(), |record| name_of(&record));
        self.names.insert(key, name.clone());
        name
    }
}

/// Whether an upsert brought the record: it then has no earlier kind.
fn is_new(data: &Json) -> bool {
    let kind = names::KIND;
    let changed = data["changed"].as_array().into_iter().flatten().any(|name| name == kind.as_str());
    changed && data["previous"].get(kind.as_str()).is_none()
}

fn differences(data: &Json) -> String {
    let changed = data["changed"].as_array().map(Vec::as_slice).unwrap_or_default();
    let one = |name: &Json| {
        let name = name.as_str().unwrap_or_default();
        let extra = name.strip_prefix("attributes.");
        let now = extra.map_or(&data["record"][name], |extra| &data["record"]["attributes"][extra]);
        let before = data["previous"].get(name).map_or_else(|| "unknown".to_owned(), say);
        format!("{} {before} → {}", extra.unwrap_or(name), say(now))
    };
    changed.iter().map(one).collect::<Vec<_>>().join(", ")
}
