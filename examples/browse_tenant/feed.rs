//! What needs somebody and what happened, as people read it, newest first.

use std::collections::HashMap;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use serde_json::{Value as Json, json};
use tenantry::model::{
    CustomerId, Event, EventType, Feed, FeedCursor, Happening, NoticeQuery, ObjectKind, RecordId, names,
};
use tenantry::{Error, Result};

use crate::args::some;
use crate::output::Output;
use crate::place::{Place, blocking};
use crate::status::Ended;
use crate::words::{name_in, name_of, say};
use crate::{conflict, notices};

/// Entries that are read at once.
const PAGE: usize = 1000;

/// A part of the feed.
#[derive(Debug, Args)]
pub(crate) struct FeedPart {
    /// Only what concerns this user, by id or primary address; or another record, by its id.
    #[arg(long, value_name = "ID")]
    user: Option<String>,
    /// Only this part of it; may be repeated. Default: all.
    #[arg(long, value_name = "PART")]
    only: Vec<Sort>,
    /// What somebody dismissed as well.
    #[arg(long)]
    dismissed: bool,
    /// At most so many of each part.
    #[arg(long, value_name = "N", default_value = "50", value_parser = some)]
    limit: u64,
    /// Go on behind a page: of what happened, or of the one part that is named with --only.
    #[arg(long)]
    cursor: Option<String>,
}

/// The parts of a feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Sort {
    Alerts,
    Reminders,
    Suggestions,
    Events,
}

impl Sort {
    fn feed(self) -> Option<Feed> {
        match self {
            Self::Alerts => Some(Feed::Alerts),
            Self::Reminders => Some(Feed::Reminders),
            Self::Suggestions => Some(Feed::Suggestions),
            Self::Events => None,
        }
    }
}

pub(crate) async fn show(place: &Place, part: &FeedPart, output: &mut Output) -> Result<(), Ended> {
    let of = match &part.user {
        Some(user) => Some(place.find(ObjectKind::User, user).await?),
        None => None,
    };
    let customers: Vec<CustomerId> = match &of {
        Some((customer, _)) => vec![customer.clone()],
        None => place.customers.iter().cloned().collect(),
    };
    let record = of.map(|(_, id)| id);
    if part.cursor.is_some() && customers.len() > 1 {
        return Err(Error::config("a cursor is that of one customer; name it with --customer").into());
    }
    let wanted = |sort: Sort| match (&part.cursor, part.only.as_slice()) {
        // Behind a cursor only what it is a cursor of.
        (Some(_), []) => sort == Sort::Events,
        (_, []) => true,
        (_, only) => only.contains(&sort),
    };
    if part.cursor.is_some() && part.only.len() > 1 {
        return Err(Error::config("a cursor is that of one part; name one with --only").into());
    }
    let (cursor, limit) = (part.cursor.clone().map(FeedCursor::new), usize::try_from(part.limit).unwrap_or(1000));
    let mut next = serde_json::Map::new();
    for sort in [Sort::Alerts, Sort::Reminders, Sort::Suggestions].into_iter().filter(|sort| wanted(*sort)) {
        let Some(feed) = sort.feed() else { continue };
        let mut query = NoticeQuery { record, ..NoticeQuery::new(feed) };
        query.with_dismissed = part.dismissed;
        let mut none = true;
        for customer in &customers {
            let (mut after, mut left) = (cursor.clone(), limit);
            loop {
                let page = place.directory.notices(customer, &query, after.as_ref(), left.min(PAGE)).await?;
                none &= page.entries.is_empty();
                for notice in &page.entries {
                    notices::show(customer, customers.len() > 1, notice, output)?;
                }
                left -= page.entries.len();
                after = page.next;
                if left == 0 || after.is_none() {
                    break;
                }
            }
            next.insert(feed.as_str().into(), json!(after.filter(|_| customers.len() == 1)));
        }
        if none && !part.only.is_empty() && !output.is_json() {
            output.line(&format!("no {}{}", if cursor.is_some() { "more " } else { "" }, feed.as_str()))?;
        }
    }
    let mut events = None;
    if wanted(Sort::Events) {
        events = happened(place, &customers, record, cursor.as_ref(), limit, output).await?;
    }
    if output.is_json() {
        return output.json(&json!({ "type": "tenantry.page", "next": events, "more": next }));
    }
    if let Some(cursor) = events {
        output.line(&format!("earlier: the same with --cursor {}", cursor.as_str()))?;
    }
    for (feed, cursor) in &next {
        if let Some(cursor) = cursor.as_str() {
            output.line(&format!("more: the same with --only {feed} --cursor {cursor}"))?;
        }
    }
    Ok(())
}

/// Shows what happened; returns where it goes on.
async fn happened(
    place: &Place,
    customers: &[CustomerId],
    record: Option<RecordId>,
    cursor: Option<&FeedCursor>,
    limit: usize,
    output: &mut Output,
) -> Result<Option<FeedCursor>, Ended> {
    let (mut all, mut next): (Vec<(CustomerId, Happening)>, _) = (Vec::new(), None);
    for customer in customers {
        let (mut before, mut left) = (cursor.cloned(), limit);
        loop {
            let page = place.directory.happened(customer, record, before.as_ref(), left.min(PAGE)).await?;
            left -= page.entries.len();
            all.extend(page.entries.into_iter().map(|entry| (customer.clone(), entry)));
            before = page.next;
            if left == 0 || before.is_none() {
                break;
            }
        }
        next = before;
    }
    if customers.len() > 1 {
        // Each is in order; times are RFC 3339 in one zone: their order is that of their letters.
        let time = |entry: &Happening| match entry {
            Happening::Event(event) => event.time.clone(),
            Happening::Action(asked) => asked.at.to_string(),
        };
        all.sort_by_key(|(_, entry)| std::cmp::Reverse(time(entry)));
        all.truncate(limit);
        next = None;
    }
    if output.is_json() {
        for (customer, entry) in &all {
            match entry {
                Happening::Event(event) => output.json(event)?,
                Happening::Action(asked) => {
                    output.json(&json!({ "type": "tenantry.action", "customer": customer, "action": asked }))?;
                }
            }
        }
        return Ok(next);
    }
    let mut told = Told::new(place, &all);
    for (customer, entry) in &all {
        let of = if customers.len() > 1 { format!("{customer} ") } else { String::new() };
        let line = match entry {
            Happening::Event(event) => {
                let line = told.describe(customer, event).await;
                format!("{} {of}{:>6}  {line}", event.time, event.sequence)
            }
            Happening::Action(asked) => {
                let name = told.name(customer, &asked.record.to_string()).await;
                let result = asked.result.as_deref().unwrap_or("asked, and not known what became of it");
                let reason = asked.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
                format!("{} {of}        > {} {name}, asked by {}: {result}{reason}", asked.at, asked.action, asked.by)
            }
        };
        output.line(&line)?;
    }
    if all.is_empty() && cursor.is_none() {
        output.line("nothing happened yet")?;
    }
    Ok(next)
}

/// Says what events tell, with names instead of ids.
struct Told<'a> {
    place: &'a Place,
    names: HashMap<(CustomerId, String), String>,
}

impl<'a> Told<'a> {
    fn new(place: &'a Place, entries: &[(CustomerId, Happening)]) -> Self {
        // Who was removed is in the event only; the newest name wins.
        let mut names = HashMap::new();
        for (customer, entry) in entries {
            let Happening::Event(event) = entry else { continue };
            // A conflict tells ids only.
            if let Some(record) = event.data_value().get("record").filter(|record| record.is_object()) {
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
            EventType::UserMerged => {
                let absorbed = self.named(customer, &data["absorbed"]).await;
                format!("~ user {}: one person with {absorbed}, which was absorbed", name())
            }
            EventType::UserSplit => {
                format!("~ user {}: another person than {}", name(), self.named(customer, &data["from"]).await)
            }
            EventType::RecordQuarantined => format!("? set aside a {}: {}", say(&data["kind"]), say(&data["reason"])),
            EventType::AlertRaised => format!("! alert: {}", say(&data["message"])),
            EventType::ConflictFound => format!("! conflict: {}", self.conflict(customer, &data).await),
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

    async fn conflict(&mut self, customer: &CustomerId, data: &Json) -> String {
        let record = data["record"].as_str().unwrap_or_default();
        let name = self.name(customer, record).await;
        let mut others = Vec::new();
        for id in data["others"].as_array().into_iter().flatten().filter_map(Json::as_str) {
            others.push((id.to_owned(), self.name(customer, id).await));
        }
        conflict::sentence((record, &name), &others, data["reason"].as_str().unwrap_or_default())
    }

    /// Returns the name and the id: whom two events tell of may have one name.
    async fn named(&mut self, customer: &CustomerId, id: &Json) -> String {
        let id = id.as_str().unwrap_or_default();
        let name = self.name(customer, id).await;
        if name == id { name } else { format!("{name} ({id})") }
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
