//! What somebody who sets the endpoint up wants to know. It must not change anything.

use std::collections::HashSet;

use reqwest::{Method, Request};
use serde::Deserialize;
use tenantry::endpoint::{Estimate, Right, Verification};
use tenantry::{Context, ErrorKind, Result};

use crate::client::Api;
use crate::config::{Changes, Devices};
use crate::endpoint::{identity, probe_url, probes};
use crate::operation::Operation;
use crate::owners::hash;
use crate::wire::{Page, mask};

/// So many pages are read to count; a larger account is not counted.
const PAGES: usize = 4;

const SCOPE: &str = "https://www.googleapis.com/auth/";

pub(crate) async fn verify(api: &Api, cx: &Context) -> Result<Verification> {
    let mut rights = Vec::new();
    let mut missing = Vec::new();
    for operation in probes(api) {
        let (scope, privilege) = operation.needs();
        let full = full_scope(api, scope);
        // Alone, because one scope that is not delegated lets the sign-in for all of them fail.
        let tokens = api.tokens_of(vec![full], cx.gate().clock());
        let url = probe_url(api, operation);
        let asked = api.ask_with(cx, operation, &tokens, || Request::new(Method::GET, url.clone())).await;
        let (delegated, granted) = match asked {
            Ok(_) => (true, true),
            Err(error) => match error.kind() {
                // Refused by the token endpoint, or by the API for the scope: else for the administrator's role.
                ErrorKind::PermissionDenied { .. } => {
                    let by_role =
                        error.context("status").is_some() && error.context("reason") != Some("insufficientPermissions");
                    (by_role, false)
                }
                _ => return Err(error),
            },
        };
        rights.push(Right { name: scope.to_owned(), granted: delegated, purpose: operation.name().to_owned() });
        rights.push(Right { name: privilege.to_owned(), granted, purpose: operation.name().to_owned() });
        if !granted {
            missing.push(operation);
        }
    }
    let mut not_seen: Vec<_> = missing.iter().map(|operation| unseen(*operation).to_owned()).collect();
    let config = &api.config;
    if let Some(domain) = &config.domain {
        not_seen.push(format!("users and groups of other domains than {domain}"));
    }
    for (kind, what) in [(config.chromeos, "chromeos devices"), (config.mobile, "mobile devices")] {
        if kind == Devices::Ignored {
            not_seen.push(format!("{what}: switched off"));
        }
    }
    not_seen.push("company-owned mobile devices: this API shows those of users only".to_owned());
    if matches!(config.changes, Changes::AuditLog { .. }) {
        not_seen.push("between full listings: changes that the audit log does not tell".to_owned());
    }
    if rights.iter().any(|right| !right.granted && right.name.starts_with("admin.")) {
        // All scopes are asked for at once: without one of them there is no token, and nothing to count with.
        return Ok(Verification { server: server(api), rights, not_seen, ..Verification::default() });
    }
    let estimate =
        if missing.contains(&Operation::ListUsers) { Estimate::default() } else { estimate(api, cx, &missing).await? };
    Ok(Verification { identity: identity(api, cx).await?, server: server(api), rights, not_seen, estimate })
}

fn server(api: &Api) -> String {
    format!("{} (Admin SDK Directory API)", api.config.origin)
}

fn full_scope(api: &Api, scope: &str) -> &'static str {
    let named = api.config.scopes().into_iter().find(|full| full.strip_prefix(SCOPE) == Some(scope));
    named.unwrap_or("https://www.googleapis.com/auth/admin.directory.user.readonly")
}

fn unseen(operation: Operation) -> &'static str {
    match operation {
        Operation::ListUsers => "users, and so nothing at all",
        Operation::ListGroups => "groups and their members",
        Operation::ListOrgUnits => "ids of organisational units",
        Operation::ListChromeOs => "chromeos devices",
        Operation::ListMobile => "mobile devices",
        _ => "changes by the audit log: every import lists everything",
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Counted {
    direct_members_count: Option<String>,
}

/// Counts what is on the first pages; nothing where more follows.
async fn estimate(api: &Api, cx: &Context, missing: &[Operation]) -> Result<Estimate> {
    let config = &api.config;
    let domain = config.domain.as_deref().unwrap_or_default();
    let customer = if domain.is_empty() { config.customer.as_str() } else { "" };
    let fields = mask("users", "id");
    let query = [("customer", customer), ("domain", domain), ("maxResults", "500"), ("fields", &fields)];
    let users = pages(api, cx, Operation::ListUsers, &api.url(&["users"], &query)).await?;
    let fields = mask("groups", "directMembersCount");
    let query = [("customer", customer), ("domain", domain), ("maxResults", "200"), ("fields", &fields)];
    let groups = if missing.contains(&Operation::ListGroups) {
        Some(Vec::new())
    } else {
        pages(api, cx, Operation::ListGroups, &api.url(&["groups"], &query)).await?
    };
    let count = |items: &Vec<Box<serde_json::value::RawValue>>| items.len() as u64;
    let mut estimate =
        Estimate { users: users.as_ref().map(count), groups: groups.as_ref().map(count), ..Estimate::default() };
    if let (Some(users), Some(groups)) = (users, groups) {
        let members = groups.iter().map(|group| {
            let counted: Option<Counted> = serde_json::from_str(group.get()).ok();
            let count = counted.and_then(|counted| counted.direct_members_count?.parse::<u64>().ok()).unwrap_or(0);
            count.div_ceil(200).max(1)
        });
        let calls = count(&users).div_ceil(500).max(1) + count(&groups).div_ceil(200).max(1) + members.sum::<u64>() + 3;
        estimate.calls = Some(calls);
        let share = config.quota.share.max(f64::EPSILON);
        // Per minute; what is less than a minute's quota needs no waiting, only answers.
        let minute = f64::from(config.quota.user_per_minute) * share;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few thousand at most, positive")]
        let seconds = (calls as f64 / minute * 60.0).ceil() as u64;
        estimate.seconds = Some(seconds);
    }
    Ok(estimate)
}

async fn pages(
    api: &Api,
    cx: &Context,
    operation: Operation,
    url: &url::Url,
) -> Result<Option<Vec<Box<serde_json::value::RawValue>>>> {
    let (mut items, mut tokens, mut token) = (Vec::new(), HashSet::new(), None::<String>);
    for _ in 0..PAGES {
        let page: Page = api.page(cx, operation, url, token.as_deref()).await?;
        let next = page.next().map(str::to_owned);
        items.extend(page.items);
        match next {
            None => return Ok(Some(items)),
            Some(next) if !tokens.insert(hash(&next)) => return Err(crate::error::repeated()),
            next => token = next,
        }
    }
    Ok(None)
}
