//! Changes by the audit log: it names who changed, and each of them is read as it is now. It must not know what is stored.
//!
//! The log proves nothing: it is late, and it loses entries. So its windows overlap, who came and went is found by the ids
//! that the engine lists behind every delta, and a cursor expires with the age of the last full listing.

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use serde::Deserialize;
use tenantry::endpoint::{DeltaPage, DeltaPager, DeltaStep};
use tenantry::model::{Edges, ObjectKind, Scope, Unreadable, Via};
use tenantry::{Context, Result};

use crate::client::Api;
use crate::config::Changes;
use crate::cursor::Since;
use crate::endpoint::identity;
use crate::error::repeated;
use crate::lookup::{Named, patch_of};
use crate::map::Units;
use crate::members::{self, EMPTY_PAGES, Read};
use crate::operation::Operation;
use crate::owners::hash;
use crate::snapshot::units;

/// Entries may show so much later than they happened, in milliseconds: twice what is usual.
const OVERLAP: i64 = 30 * 60_000;
/// Where so many objects changed, a full listing costs no more.
const HINTS: usize = 5_000;
/// Objects on a page of changes.
const OBJECTS: usize = 50;
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
struct Hints {
    users: BTreeSet<String>,
    groups: BTreeSet<String>,
    /// Something changed that concerns more people than it names.
    everybody: bool,
}

impl Hints {
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

/// Says where deltas go on behind a listing that begins at this instant.
pub(crate) fn from(api: &Api, customer: &str, begun: i64) -> Since {
    Since { customer: customer.to_owned(), log: begun, full: begun, rights: rights(api), domains: BTreeSet::new() }
}

/// What a cursor was taken for: another choice of what comes in asks for a full listing.
fn rights(api: &Api) -> BTreeSet<String> {
    api.config.scopes().into_iter().map(str::to_owned).collect()
}

/// Changes since a cursor.
pub(crate) struct Delta {
    api: Arc<Api>,
    cx: Context,
    /// Where the next one goes on; `None`: a full listing is needed.
    next: Option<Since>,
    units: Units,
    users: VecDeque<String>,
    groups: VecDeque<String>,
    domains: Arc<BTreeSet<String>>,
}

pub(crate) async fn begin(api: &Arc<Api>, cx: &Context, since: Option<Since>) -> Result<Box<dyn DeltaPager>> {
    let mut delta = Delta {
        api: Arc::clone(api),
        cx: cx.clone(),
        next: None,
        units: None,
        users: VecDeque::new(),
        groups: VecDeque::new(),
        domains: Arc::default(),
    };
    let Some(since) = since else { return Ok(Box::new(delta)) };
    let begun = cx.gate().clock().now_unix_millis();
    let full = match api.config.changes {
        Changes::AuditLog { full } => i64::try_from(full.as_millis()).unwrap_or(i64::MAX),
        Changes::Listed => 0,
    };
    let too_old = begun.saturating_sub(since.full) >= full || since.log > begun + OVERLAP;
    if too_old || since.rights != rights(api) || since.customer != identity(api, cx).await? {
        return Ok(Box::new(delta));
    }
    let mut hints = Hints::default();
    for application in APPLICATIONS {
        read_log(api, cx, application, since.log - OVERLAP, &mut hints).await?;
        if hints.everybody || hints.users.len() + hints.groups.len() > HINTS {
            return Ok(Box::new(delta));
        }
    }
    delta.units = if hints.users.is_empty() { None } else { units(api, cx).await? };
    delta.users = hints.users.into_iter().collect();
    delta.groups = hints.groups.into_iter().collect();
    delta.domains = Arc::new(since.domains.clone());
    delta.next = Some(Since { log: begun, ..since });
    Ok(Box::new(delta))
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
        if hints.everybody || hints.users.len() + hints.groups.len() > HINTS {
            return Ok(());
        }
    }
}

fn time(unix_millis: i64) -> Option<String> {
    let text = tenantry::model::Timestamp(unix_millis.max(0)).to_string();
    (!text.is_empty()).then_some(text)
}

impl Delta {
    async fn read_users(&mut self) -> Result<DeltaPage> {
        let emails: Vec<_> = self.users.drain(..self.users.len().min(OBJECTS)).collect();
        let (api, cx, units) = (&self.api, &self.cx, &self.units);
        let read: Vec<_> = emails.iter().map(|email| patch_of(api, cx, ObjectKind::User, email, units)).collect();
        let found: Vec<Named> = stream::iter(read).buffered(8).try_collect().await?;
        let mut page = DeltaPage::default();
        for named in found {
            match named {
                Named::Patch(patch) => page.patches.push(*patch),
                Named::Senseless(record) => page.quarantined.push(record),
                Named::Nobody => {}
            }
        }
        Ok(page)
    }

    async fn read_group(&mut self, email: &str) -> Result<DeltaPage> {
        let mut page = DeltaPage::default();
        let patch = match patch_of(&self.api, &self.cx, ObjectKind::Group, email, &None).await? {
            Named::Patch(patch) => *patch,
            Named::Senseless(record) => {
                page.quarantined.push(record);
                return Ok(page);
            }
            Named::Nobody => return Ok(page),
        };
        let id = patch.object.id.clone();
        let scope = Scope::Members(id.clone(), Via::Explicit);
        match members::all(&self.api, &self.cx, &id.to_string(), &self.domains).await? {
            Ok(members) => {
                page.edges_added.push(Edges { group: id, via: Via::Explicit, members });
                page.closed.push(scope);
                page.patches.push(patch);
            }
            Err(Read::Denied(_, reason)) => {
                page.unreadable.push(Unreadable { scope, reason });
                page.patches.push(patch);
            }
            // It went in between: the ids tell.
            Err(_) => {}
        }
        Ok(page)
    }
}

#[async_trait]
impl DeltaPager for Delta {
    async fn next(&mut self) -> Result<DeltaStep> {
        self.cx.check_cancelled()?;
        let Some(next) = &self.next else { return Ok(DeltaStep::CursorExpired) };
        if !self.users.is_empty() {
            return self.read_users().await.map(DeltaStep::Page);
        }
        if let Some(email) = self.groups.pop_front() {
            return self.read_group(&email).await.map(DeltaStep::Page);
        }
        Ok(DeltaStep::CaughtUp(next.write()))
    }
}
