//! What somebody who sets the endpoint up wants to know. It must not change anything.

use std::collections::HashSet;
use std::time::Duration;

use reqwest::{Method, Request};
use serde::Deserialize;
use tenantry::endpoint::{Estimate, Right, Verification};
use tenantry::{Context, ErrorKind, Result};
use tenantry_http::Answer;
use url::Url;

use crate::client::Api;
use crate::config::{Changes, Devices, Writes};
use crate::endpoint::{identity, probe_url, probes};
use crate::operation::Operation;
use crate::owners::hash;
use crate::wire::{Page, mask};

/// So many pages of each kind are read to count: 10,000 users. A larger account is not counted.
const PAGES: usize = 20;

const SCOPE: &str = "https://www.googleapis.com/auth/";
/// Every scope that anything here may need.
const SCOPES: [&str; 9] = [
    "https://www.googleapis.com/auth/admin.directory.user.readonly",
    "https://www.googleapis.com/auth/admin.directory.group.readonly",
    "https://www.googleapis.com/auth/admin.directory.orgunit.readonly",
    "https://www.googleapis.com/auth/admin.directory.device.chromeos.readonly",
    "https://www.googleapis.com/auth/admin.directory.device.mobile.readonly",
    "https://www.googleapis.com/auth/admin.directory.domain.readonly",
    "https://www.googleapis.com/auth/admin.reports.audit.readonly",
    "https://www.googleapis.com/auth/admin.directory.user",
    "https://www.googleapis.com/auth/admin.directory.user.security",
];

pub(crate) async fn verify(api: &Api, cx: &Context) -> Result<Verification> {
    let config = &api.config;
    let (mut rights, mut missing) = (Vec::new(), Vec::new());
    for operation in probes(api) {
        let (delegated, granted) = try_alone(api, cx, operation, &probe_url(api, operation)).await?.told();
        let (scope, privilege) = operation.needs();
        rights.push(Right { name: scope.to_owned(), granted: delegated, purpose: operation.name().to_owned() });
        rights.push(Right { name: privilege.to_owned(), granted, purpose: operation.name().to_owned() });
        if !granted {
            missing.push(operation);
        }
    }
    if config.writes == Writes::On {
        for operation in [Operation::WriteUser, Operation::SignOut] {
            // Whether the role allows it too would show in a change only.
            let granted = match api.sign_in(cx, vec![full_scope(operation.needs().0)]).await {
                Ok(()) => true,
                Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied { .. }) => false,
                Err(error) => return Err(error),
            };
            rights.push(Right { name: operation.needs().0.to_owned(), granted, purpose: operation.name().to_owned() });
        }
    }
    let mut not_seen: Vec<_> = missing.iter().map(|operation| unseen(*operation).to_owned()).collect();
    let undelegated = rights.iter().any(|right| !right.granted && right.name.starts_with("admin."));
    let domains = domains(api, cx, &mut rights).await?;
    if let Some(domain) = &config.domain {
        let others: Vec<_> = domains.iter().flatten().filter(|other| !other.eq_ignore_ascii_case(domain)).collect();
        let named: Vec<_> = others.iter().map(|other| other.as_str()).collect();
        not_seen.push(match &domains {
            Some(own) if own.len() == others.len() => {
                format!("anything at all: {domain} is none of the account's domains ({})", named.join(", "))
            }
            Some(_) if named.is_empty() => format!("users and groups of domains that come in future, besides {domain}"),
            Some(_) => format!("users and groups of other domains than {domain}: {}", named.join(", ")),
            None => format!("users and groups of other domains than {domain}"),
        });
    }
    for (kind, what) in [(config.chromeos, "chromeos devices"), (config.mobile, "mobile devices")] {
        if kind == Devices::Ignored {
            not_seen.push(format!("{what}: switched off"));
        }
    }
    not_seen.push("company-owned mobile devices: this API shows those of users only".to_owned());
    if let Changes::AuditLog { full, members } = config.changes {
        not_seen.push(format!(
            "at once: memberships that the audit log does not tell, for {}; all else that it does not tell, for {}",
            hours(members),
            hours(full)
        ));
    }
    if undelegated {
        // All scopes are asked for at once: without one of them there is no token, and nothing to count with.
        return Ok(Verification { server: server(api), rights, not_seen, ..Verification::default() });
    }
    let estimate =
        if missing.contains(&Operation::ListUsers) { Estimate::default() } else { estimate(api, cx, &missing).await? };
    let id = identity(api, cx).await?;
    let identity = match domains {
        Some(domains) if !domains.is_empty() => format!("{id} ({})", domains.join(", ")),
        _ => id,
    };
    Ok(Verification { identity, server: server(api), rights, not_seen, estimate })
}

/// Whether a request may be made.
enum Allowed {
    Yes(Answer),
    /// The role lacks a privilege.
    NotByRole,
    /// The scope is not delegated.
    NotByScope,
}

impl Allowed {
    /// Tells whether the scope is delegated, and whether the role has the privilege as far as that can be told.
    const fn told(&self) -> (bool, bool) {
        match self {
            Self::Yes(_) => (true, true),
            Self::NotByRole => (true, false),
            Self::NotByScope => (false, false),
        }
    }
}

/// Makes a request with the scope that it needs alone: one that is not delegated lets the sign-in for all of them fail.
async fn try_alone(api: &Api, cx: &Context, operation: Operation, url: &Url) -> Result<Allowed> {
    let tokens = api.tokens_of(vec![full_scope(operation.needs().0)], cx.gate().clock());
    let error = match api.ask_with(cx, operation, &tokens, || Request::new(Method::GET, url.clone())).await {
        Ok(answer) => return Ok(Allowed::Yes(answer)),
        Err(error) => error,
    };
    match error.kind() {
        // Refused by the token endpoint, or by the API for the scope: else for the administrator's role.
        ErrorKind::PermissionDenied { .. } => {
            let by_role =
                error.context("status").is_some() && error.context("reason") != Some("insufficientPermissions");
            Ok(if by_role { Allowed::NotByRole } else { Allowed::NotByScope })
        }
        _ => Err(error),
    }
}

#[derive(Debug, Deserialize)]
struct Domains {
    #[serde(default)]
    domains: Vec<Domain>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Domain {
    domain_name: String,
    #[serde(default)]
    is_primary: bool,
}

/// Lists the account's domains, the primary one first, by a right of its own that imports do without.
async fn domains(api: &Api, cx: &Context, rights: &mut Vec<Right>) -> Result<Option<Vec<String>>> {
    let operation = Operation::ListDomains;
    let (scope, privilege) = operation.needs();
    let url = api.url(&["customer", &api.config.customer, "domains"], &[("fields", "domains(domainName,isPrimary)")]);
    let purpose = "list the account's domains, for this check only".to_owned();
    let allowed = try_alone(api, cx, operation, &url).await?;
    rights.push(match allowed {
        Allowed::NotByRole => Right { name: privilege.to_owned(), granted: false, purpose },
        _ => Right { name: scope.to_owned(), granted: allowed.told().0, purpose },
    });
    let Allowed::Yes(answer) = allowed else { return Ok(None) };
    let mut domains = answer.json::<Domains>()?.domains;
    domains.sort_by_key(|domain| (!domain.is_primary, domain.domain_name.clone()));
    Ok(Some(domains.into_iter().map(|domain| domain.domain_name).collect()))
}

fn hours(time: Duration) -> String {
    if time < Duration::from_hours(1) {
        format!("{} minutes", time.as_secs().div_ceil(60))
    } else {
        format!("{} hours", time.as_secs().div_ceil(3600))
    }
}

fn server(api: &Api) -> String {
    format!("{} (Admin SDK Directory API)", api.config.origin)
}

fn full_scope(scope: &'static str) -> &'static str {
    SCOPES.iter().copied().find(|full| full.strip_prefix(SCOPE) == Some(scope)).unwrap_or(scope)
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

/// Counts what is on the first pages; nothing of a kind where more follows.
async fn estimate(api: &Api, cx: &Context, missing: &[Operation]) -> Result<Estimate> {
    let config = &api.config;
    let domain = config.domain.as_deref().unwrap_or_default();
    let customer = if domain.is_empty() { config.customer.as_str() } else { "" };
    let listed = |what: &[&str], items: &str, field: &str, size: &str| {
        let fields = mask(items, field);
        let whose = if what.len() == 1 { [("customer", customer), ("domain", domain)] } else { [("customer", ""); 2] };
        api.url(what, &[whose[0], whose[1], ("maxResults", size), ("fields", &fields)])
    };
    let devices = |kind| ["customer", config.customer.as_str(), "devices", kind];
    let kinds = [
        (Operation::ListUsers, listed(&["users"], "users", "id", "500"), 500, true),
        (Operation::ListGroups, listed(&["groups"], "groups", "directMembersCount", "200"), 200, true),
        (
            Operation::ListChromeOs,
            listed(&devices("chromeos"), "chromeosdevices", "deviceId", "300"),
            300,
            config.chromeos == Devices::Imported,
        ),
        (
            Operation::ListMobile,
            listed(&devices("mobile"), "mobiledevices", "resourceId", "100"),
            100,
            config.mobile == Devices::Imported,
        ),
    ];
    let mut counted = Vec::new();
    // The account itself, and its units.
    let mut calls = Some(2);
    for (operation, url, page, wanted) in kinds {
        let items = match (wanted, missing.contains(&operation)) {
            (true, false) => pages(api, cx, operation, &url).await?,
            _ => Some(Vec::new()),
        };
        let count = items.as_ref().map(|items| items.len() as u64);
        let listing = count.map(|count| if wanted { count.div_ceil(page).max(1) } else { 0 });
        // Each group is read by itself.
        let members = items.iter().flatten().filter(|_| operation == Operation::ListGroups).map(|group| {
            let read: Option<Counted> = serde_json::from_str(group.get()).ok();
            let count = read.and_then(|read| read.direct_members_count?.parse::<u64>().ok()).unwrap_or(0);
            count.div_ceil(200).max(1)
        });
        calls = calls.zip(listing).map(|(calls, listing)| calls + listing + members.sum::<u64>());
        counted.push(count);
    }
    let computers = counted[2].zip(counted[3]).map(|(chromeos, mobile)| chromeos + mobile);
    let share = config.quota.share.max(f64::EPSILON);
    // Per minute; what is less than a minute's quota needs no waiting, only answers.
    let minute = f64::from(config.quota.user_per_minute) * share;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few thousand at most, positive")]
    let seconds = calls.map(|calls| (calls as f64 / minute * 60.0).ceil() as u64);
    Ok(Estimate { users: counted[0], groups: counted[1], computers, calls, seconds })
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
