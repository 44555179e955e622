//! Words for people: how imports went, and what changed. It knows events by their JSON, as every consumer does.

use std::collections::HashMap;

use serde_json::Value;
use tenantry::model::{CustomerId, Event, EventType, HeldChange, Outcome, RecordId, names};
use tenantry::{Result, Service};

use crate::conflict;
use crate::console::Console;
use crate::summary::Ended;

/// Changes that are told one by one; a reader of more wants JSON.
const SHOWN: usize = 60;
/// Events that are read for them.
const READ: usize = 2000;

/// Tells how each endpoint went.
pub(crate) fn outcomes(console: &Console, ended: &[Ended]) {
    for ended in ended {
        console.say(&outcome(ended));
    }
}

/// Tells on the side what a person has to know although a program reads the events.
pub(crate) fn complain(console: &Console, ended: &[Ended]) {
    for ended in ended {
        if let Some(error) = &ended.error {
            console.note(&format!("{}: {}: {error}", ended.name, word(ended.outcome)));
        }
        for line in held(ended) {
            console.note(&format!("{}: {}", ended.name, line.trim_start()));
        }
    }
}

/// Tells what is there now.
pub(crate) async fn totals(console: &Console, service: &Service, customer: &CustomerId) -> Result<()> {
    let totals = service.totals(customer).await?;
    console.say(&format!(
        "{customer}: {} users, {} groups, {} computers, {} memberships",
        totals.users, totals.groups, totals.computers, totals.memberships
    ));
    Ok(())
}

fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Done => "done",
        Outcome::Held => "done, but for what is held back",
        Outcome::Failed => "failed",
        Outcome::Planned => "planned",
        Outcome::Cancelled => "cancelled",
    }
}

pub(crate) fn outcome(ended: &Ended) -> String {
    let mut lines = vec![format!(
        "{} ({}): {} in {:.1} s with {} requests",
        ended.name,
        ended.kind,
        word(ended.outcome),
        ended.seconds,
        ended.requests
    )];
    if let Some(error) = &ended.error {
        lines.push(format!("  {error}"));
        return lines.join("\n");
    }
    let would = if ended.outcome == Outcome::Planned { "would be " } else { "" };
    lines.push(format!(
        "  records      {} {would}created, {} {would}updated, {} {would}removed, {} newly missing",
        ended.created, ended.updated, ended.removed, ended.missing
    ));
    lines
        .push(format!("  memberships  {} {would}added, {} {would}removed", ended.members_added, ended.members_removed));
    if ended.quarantined > 0 {
        lines.push(format!("  set aside    {} records that cannot be understood", ended.quarantined));
    }
    for unreadable in &ended.unreadable {
        lines.push(format!("  not readable {}: {}; nothing of it is removed", unreadable.scope, unreadable.reason));
    }
    for part in &ended.freshness {
        lines.push(format!("  as of        {}  {}", part.as_of, part.part));
    }
    lines.extend(held(ended));
    lines.join("\n")
}

/// Tells what is held back and how it is let go.
fn held(ended: &Ended) -> Vec<String> {
    let one = |change: &HeldChange| {
        let what = change.kind.to_string();
        if change.reason.contains(&what) {
            format!("  held back    {}", change.reason)
        } else {
            format!("  held back    {} {what}: {}", change.count, change.reason)
        }
    };
    let mut lines: Vec<String> = ended.held.iter().map(one).collect();
    if let Some(plan) = &ended.plan {
        let is = if ended.outcome == Outcome::Planned { "would be" } else { "is" };
        lines.push(format!("  this {is} parked as {plan}; if it is right, run again with --approve {plan}"));
    }
    lines
}

/// Tells what changed since a position, record by record, if that can be read by a person.
pub(crate) async fn changes(console: &Console, service: &Service, customer: &CustomerId, behind: u64) -> Result<()> {
    let (store, owner) = (service.store().clone(), customer.clone());
    let events =
        tokio::task::spawn_blocking(move || store.events(&owner, behind, READ)).await.unwrap_or(Ok(Vec::new()))?;
    let mut lines = Lines::new(service, customer, &events);
    let mut shown = 0;
    let mut seen = behind;
    for event in &events {
        if shown == SHOWN {
            break;
        }
        seen = event.position();
        if let Some(line) = lines.describe(event) {
            console.say(&format!("  {line}"));
            shown += 1;
        }
    }
    let rest = service.last_position(customer).await?.saturating_sub(seen);
    if rest > 0 && shown == SHOWN {
        console.say(&format!("  … and {rest} more events; --json prints every one"));
    }
    Ok(())
}

/// Describes events, with names instead of ids.
#[derive(Debug)]
pub(crate) struct Lines<'a> {
    service: &'a Service,
    customer: &'a CustomerId,
    names: HashMap<String, String>,
}

impl<'a> Lines<'a> {
    pub(crate) fn new(service: &'a Service, customer: &'a CustomerId, events: &[Event]) -> Self {
        // A record that was removed is in its event only.
        let named = |event: &Event| {
            let data = event.data_value();
            // A conflict tells ids only.
            let record = data.get("record").filter(|record| record.is_object())?;
            Some((event.subject.clone(), name_of(record)))
        };
        Self { service, customer, names: events.iter().filter_map(named).collect() }
    }

    /// Says in one line what happened; `None` for events about the run itself.
    pub(crate) fn describe(&mut self, event: &Event) -> Option<String> {
        let data = event.data_value();
        let upserted = |what: &str| {
            let record = &data["record"];
            if is_new(&data) {
                let mail = record["primary_email"].as_str().map(|mail| format!(" <{mail}>")).unwrap_or_default();
                return format!("+ {what:<9} {}{mail}", name_of(record));
            }
            format!("~ {what:<9} {}: {}", name_of(record), differences(&data))
        };
        let removed = |what: &str| format!("- {what:<9} {}", name_of(&data["record"]));
        Some(match event.event_type {
            EventType::UserUpserted => upserted("user"),
            EventType::GroupUpserted => upserted("group"),
            EventType::ComputerUpserted => upserted("computer"),
            EventType::UserRemoved => removed("user"),
            EventType::GroupRemoved => removed("group"),
            EventType::ComputerRemoved => removed("computer"),
            EventType::MemberAdded => format!("+ member    {}", self.membership(&data)),
            EventType::MemberRemoved => format!("- member    {}", self.membership(&data)),
            EventType::RecordQuarantined => {
                format!("? set aside a {}: {}", text(&data["kind"]), text(&data["reason"]))
            }
            EventType::AlertRaised => format!("! alert     {}", text(&data["message"])),
            EventType::ConflictFound => format!("! conflict  {}", self.conflict(&data)),
            EventType::UserMerged => {
                let absorbed = self.named(&data["absorbed"]);
                let changed = differences(&data);
                let changed = if changed.is_empty() { changed } else { format!("; {changed}") };
                format!(
                    "~ user      {}: one person with {absorbed}, which was absorbed{changed}",
                    name_of(&data["record"])
                )
            }
            EventType::UserSplit => {
                format!("~ user      {}: another person than {}", name_of(&data["record"]), self.named(&data["from"]))
            }
            EventType::RemovalsParked | EventType::ImportFinished => return None,
        })
    }

    fn conflict(&mut self, data: &Value) -> String {
        let record = data["record"].as_str().unwrap_or_default();
        let name = self.name(record);
        let others = data["others"].as_array().map(Vec::as_slice).unwrap_or_default();
        let others: Vec<(String, String)> =
            others.iter().filter_map(Value::as_str).map(|id| (id.to_owned(), self.name(id))).collect();
        conflict::sentence((record, &name), &others, data["reason"].as_str().unwrap_or_default())
    }

    /// Returns the name and the id: whom two events tell of may have one name.
    fn named(&mut self, id: &Value) -> String {
        let id = id.as_str().unwrap_or_default();
        let name = self.name(id);
        if name == id { name } else { format!("{name} ({id})") }
    }

    fn membership(&mut self, data: &Value) -> String {
        let member = match data["member"].as_str() {
            Some(id) => self.name(id),
            None => format!("{} {} (not imported)", text(&data["member_kind"]), text(&data["member_source_id"])),
        };
        let primary = if data["via"] == "primary" { ", its primary group" } else { "" };
        format!("{member} in {}{primary}", self.name(data["group"].as_str().unwrap_or_default()))
    }

    fn name(&mut self, id: &str) -> String {
        if let Some(name) = self.names.get(id) {
            return name.clone();
        }
        let record = id.parse().ok().and_then(|id| self.service.store().record(self.customer, RecordId(id)).ok()?);
        let name =
            record.map_or_else(|| id.to_owned(), |record| name_of(&serde_json::to_value(record).unwrap_or_default()));
        self.names.insert(id.to_owned(), name.clone());
        name
    }
}

/// Whether an upsert brought the record: it then has no earlier kind.
fn is_new(data: &Value) -> bool {
    let changed = |name: &str| data["changed"].as_array().is_some_and(|names| names.iter().any(|known| known == name));
    changed(names::KIND.as_str()) && data["previous"].get(names::KIND.as_str()).is_none()
}

/// Returns what a person calls a record.
pub(crate) fn name_of(record: &Value) -> String {
    ["display_name", "name", "username", "primary_email", "id"]
        .iter()
        .find_map(|key| record[*key].as_str())
        .unwrap_or_default()
        .to_owned()
}

fn differences(data: &Value) -> String {
    let changed = data["changed"].as_array().map(Vec::as_slice).unwrap_or_default();
    let one = |name: &Value| {
        let name = name.as_str().unwrap_or_default();
        let extra = name.strip_prefix("attributes.");
        let now = extra.map_or(&data["record"][name], |extra| &data["record"]["attributes"][extra]);
        let before = data["previous"].get(name).map_or_else(|| "unknown".to_owned(), text);
        format!("{} {before} → {}", extra.unwrap_or(name), text(now))
    };
    changed.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(values) if values.is_empty() => "nothing".to_owned(),
        Value::Array(values) => values.iter().map(text).collect::<Vec<_>>().join(" and "),
        other => other.to_string(),
    }
}
