//! What the audit log says of who changed. It must not know what becomes of it.
//!
//! The log proves nothing: it is late, and it loses entries. So its windows overlap, and nobody goes by it.

use std::collections::{BTreeSet, HashSet};

use serde::Deserialize;
use tenantry::{Context, Result};

use crate::client::Api;
use crate::error::repeated;
use crate::members::EMPTY_PAGES;
use crate::operation::Operation;
use crate::owners::hash;

/// Entries may show so much later than they happened, in milliseconds: twice what is usual.
pub(crate) const OVERLAP: i64 = 30 * 60_000;
/// Where so many objects changed, a full listing costs no more.
pub(crate) const HINTS: usize = 5_000;
/// The parts of the log that tell of people, groups and second factors.
const APPLICATIONS: [&str; 3] = ["admin", "groups_enterprise", "user_accounts"];

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogPage {
    #[serde(default)]
    items: Vec<Entry>,
    next_page_token: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Entry {
    id: Option<EntryId>,
    actor: Option<Actor>,
    #[serde(default)]
    events: Vec<Event>,
}

#[derive(Debug, Hash, Deserialize)]
#[serde(rename_all = "camelCase")]
struct EntryId {
    time: Option<String>,
    unique_qualifier: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Actor {
    email: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: Option<String>,
    name: Option<String>,
    #[serde(default)]
    parameters: Vec<Parameter>,
}

#[derive(Debug, Deserialize)]
struct Parameter {
    name: Option<String>,
    value: Option<String>,
}

/// Who is to be read anew, by address.
#[derive(Debug, Default)]
pub(crate) struct Hints {
    pub(crate) users: BTreeSet<String>,
    pub(crate) groups: BTreeSet<String>,
    /// Something changed that concerns more people than it names.
    everybody: bool,
}

/// Reads what happened since an instant; nothing where so much did that a full listing costs no more.
pub(crate) async fn read(api: &Api, cx: &Context, from: i64) -> Result<Option<Hints>> {
    let mut hints = Hints::default();
    for application in APPLICATIONS {
        read_log(api, cx, application, from - OVERLAP, &mut hints).await?;
        if hints.is_too_much() {
            return Ok(None);
        }
    }
    Ok(Some(hints))
}

impl Hints {
    fn is_too_much(&self) -> bool {
        self.everybody || self.users.len() + self.groups.len() > HINTS
    }

    fn take(&mut self, application: &str, entry: &Entry) {
        for event in &entry.events {
            let name = event.name.as_deref().unwrap_or_default();
            let moves = ["EDIT_ORG_UNIT_NAME", "MOVE_ORG_UNIT", "REMOVE_ORG_UNIT", "CHANGE_PRIMARY_DOMAIN"];
            // The path of every user below changes with a unit's name, and no entry says so of them.
            self.everybody |= event.kind.as_deref() == Some("ORG_SETTINGS") && name.starts_with("EDIT_ORG_UNIT_NAME");
            self.everybody |= moves.contains(&name);
            let renames = name.starts_with("RENAME_USER") || name.starts_with("CHANGE_GROUP_EMAIL");
            for parameter in &event.parameters {
                let Some(value) = parameter.value.as_deref().filter(|value| value.contains('@')) else { continue };
                let value = value.to_lowercase();
                match parameter.name.as_deref().unwrap_or_default() {
                    "GROUP_EMAIL" | "group_email" | "group_id" => self.groups.insert(value),
                    // The member of a group is not changed by that.
                    "USER_EMAIL" if event.kind.as_deref() == Some("GROUP_SETTINGS") => false,
                    "USER_EMAIL" | "user_email" | "affected_email_address" => self.users.insert(value),
                    "NEW_VALUE" if renames && name.contains("GROUP") => self.groups.insert(value),
                    "NEW_VALUE" if renames => self.users.insert(value),
                    _ => false,
                };
            }
            // Who enrols a second factor is the one who acts.
            let actor = entry.actor.as_ref().and_then(|actor| actor.email.as_deref());
            if let (Some(actor), "user_accounts") = (actor, application) {
                self.users.insert(actor.to_lowercase());
            }
        }
    }
}

/// Reads the log from an instant on; without filters, which have a smaller quota.
async fn read_log(api: &Api, cx: &Context, application: &str, from: i64, hints: &mut Hints) -> Result<()> {
    let Some(start) = time(from) else { return Ok(()) };
    let fields = "nextPageToken,items(id(time,uniqueQualifier),actor/email,events(type,name,parameters(name,value)))";
    let url = api.log_url(application, &[("startTime", &start), ("maxResults", "1000"), ("fields", fields)]);
    let (mut token, mut seen) = (None::<String>, HashSet::new());
    let (mut last, mut empty) = (Vec::new(), 0);
    loop {
        let mut url = url.clone();
        if let Some(token) = &token {
            url.query_pairs_mut().append_pair("pageToken", token);
        }
        let page: LogPage = match api.get(cx, Operation::ReadLog, &url).await {
            Ok(page) => page,
            // Editions without this part of the log; the full listing covers it.
            Err(error) if application != "admin" && error.context("status") == Some("400") => return Ok(()),
            Err(error) => return Err(error),
        };
        page.items.iter().for_each(|entry| hints.take(application, entry));
        let entries: Vec<_> = page.items.iter().map(|entry| hash(&entry.id)).collect();
        empty = if entries.is_empty() { empty + 1 } else { 0 };
        // The token may be another each time.
        if !entries.is_empty() && entries == last || empty > EMPTY_PAGES {
            return Err(repeated());
        }
        last = entries;
        match page.next_page_token.filter(|next| !next.is_empty()) {
            None => return Ok(()),
            Some(next) if !seen.insert(hash(&next)) => return Err(repeated()),
            Some(next) => token = Some(next),
        }
        if hints.is_too_much() {
            return Ok(());
        }
    }
}

fn time(unix_millis: i64) -> Option<String> {
    let text = tenantry::model::Timestamp(unix_millis.max(0)).to_string();
    (!text.is_empty()).then_some(text)
}
