//! The check before an endpoint is saved: whose tenant, which permissions, what will not be seen, how much work.
//! It must not change anything.

use std::collections::BTreeSet;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Request};
use serde::Deserialize;
use tenantry::endpoint::{Context, Estimate, Right, Verification};
use tenantry::gate::Limit;
use tenantry::{ErrorKind, Result};
use url::Url;
use uuid::Uuid;

use crate::client::{BATCH, Graph, unreadable};
use crate::config::Enrichment;
use crate::error::Refusal;
use crate::grants;
use crate::operation::Operation;

/// Objects on a page, and what a request for the members of a group costs.
const MEMBER_UNITS: u64 = 2;
/// Rows on a page of the lanes.
const REPORT_PAGE: u64 = 999;
const SIGN_IN_PAGE: u64 = 500;

/// What a permission is for, and what becomes of it if it is missing.
struct Need {
    permission: &'static str,
    purpose: &'static str,
    without: &'static str,
}

const NEEDS: &[Need] = &[
    Need {
        permission: grants::USERS,
        purpose: "to read users, with their state",
        without: "Users cannot be read, and without users nothing is imported",
    },
    Need {
        permission: grants::MEMBERS,
        purpose: "to read groups and their members",
        without: "Groups and memberships are not seen",
    },
    Need {
        permission: grants::DEVICES,
        purpose: "to read devices and their owners",
        without: "Devices are not seen, so that there are no computers",
    },
    Need {
        permission: grants::HIDDEN_MEMBERS,
        purpose: "to read members of groups that hide them",
        without: "Members of groups with hidden membership are not seen",
    },
    Need {
        permission: grants::DIRECTORY,
        purpose: "to look up many objects at once",
        without: "Objects are looked up one by one, which takes longer where many are gone",
    },
    Need {
        permission: grants::DELETED_GROUPS,
        purpose: "to tell deleted groups that can be restored from those that are gone",
        without: "A deleted group cannot be told from one that can be restored",
    },
    Need {
        permission: grants::AUDIT_LOG,
        purpose: "to read second factors and the time of the last sign-in",
        without: "Second factors and sign-ins are not seen",
    },
    Need {
        permission: grants::MAILBOXES,
        purpose: "to tell shared mailboxes, rooms and equipment from people",
        without: "Shared mailboxes, rooms and equipment look like people",
    },
    Need { permission: grants::ENABLE, purpose: "to suspend and resume accounts, when asked to", without: "" },
    Need { permission: grants::PASSWORDS, purpose: "to demand a new password, when asked to", without: "" },
    Need { permission: grants::REVOKE, purpose: "to end sessions, when asked to", without: "" },
];

#[derive(Debug, Default)]
struct Tenant {
    id: Option<Uuid>,
    name: Option<String>,
    domains: Vec<String>,
}

#[derive(Deserialize)]
struct Organizations {
    value: Vec<Organization>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Organization {
    id: Uuid,
    display_name: Option<String>,
    #[serde(default)]
    verified_domains: Vec<Domain>,
}

#[derive(Deserialize)]
struct Domain {
    name: String,
}

#[derive(Deserialize)]
struct Ids {
    value: Vec<Id>,
}

#[derive(Deserialize)]
struct Id {
    id: String,
}

pub(crate) async fn verify(graph: &Graph, cx: &Context) -> Result<Verification> {
    let claims = graph.claims_of_now(cx).await?;
    let check = Check { graph, cx };
    let tenant = check.tenant(claims.tenant).await?;
    let roles = match claims.roles {
        Some(roles) => Granted::Told(roles),
        None => Granted::Tried(check.try_each().await?),
    };
    let estimate = check.estimate(&roles).await?;
    let licensed = !roles.has(grants::AUDIT_LOG) || check.is_licensed().await?;
    let rights = NEEDS.iter().map(|need| Right {
        name: need.permission.to_owned(),
        granted: roles.has(need.permission),
        purpose: purpose(need, graph, &estimate),
    });
    let host = graph.config.graph.host_str().unwrap_or_default();
    Ok(Verification {
        identity: identity(&tenant),
        server: format!("{host}, Microsoft Graph{}", graph.config.graph.path().replace('/', " ")),
        rights: rights.collect(),
        not_seen: not_seen(graph, &roles, licensed),
        estimate,
    })
}

fn identity(tenant: &Tenant) -> String {
    let id = tenant.id.map_or_else(|| "unknown tenant".to_owned(), |id| id.to_string());
    let name = tenant.name.as_deref().unwrap_or("name not readable");
    match tenant.domains.as_slice() {
        [] => format!("{id} ({name})"),
        domains => format!("{id} ({name}: {})", domains.join(", ")),
    }
}

/// What the application may do, and how that is known.
enum Granted {
    /// By its token.
    Told(BTreeSet<String>),
    /// By trying: only what can be tried without changing anything.
    Tried(BTreeSet<String>),
}

impl Granted {
    fn has(&self, permission: &str) -> bool {
        match self {
            Self::Told(roles) => grants::is_granted(permission, roles),
            Self::Tried(permissions) => permissions.contains(permission),
        }
    }
}

/// Tells what a permission is for, and how long the slow lanes take, which nobody waits for.
fn purpose(need: &Need, graph: &Graph, estimate: &Estimate) -> String {
    let pass = |limit: &Limit, page: u64| {
        let pages = estimate.users? / page + 1;
        Some(spoken(seconds(limit, graph.config.quota.share, pages)))
    };
    let quota = &graph.config.quota;
    let lanes = match need.permission {
        grants::AUDIT_LOG => pass(&quota.reports, REPORT_PAGE).zip(pass(&quota.sign_ins, SIGN_IN_PAGE)),
        _ => None,
    };
    match lanes {
        Some((factors, sign_ins)) => format!(
            "{}; beside the imports, once through takes {factors} for second factors and {sign_ins} for sign-ins",
            need.purpose
        ),
        None => need.purpose.to_owned(),
    }
}

fn spoken(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds.div_ceil(60)),
        _ => format!("{} h", seconds.div_ceil(3600)),
    }
}

/// Returns the seconds that so many permits take at the share of a limit.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive, and far below the limit")]
fn seconds(limit: &Limit, share: f64, permits: u64) -> u64 {
    let per_second = f64::from(limit.permits().get()) * share / limit.per().max(Duration::from_millis(1)).as_secs_f64();
    (permits as f64 / per_second).ceil() as u64
}

fn not_seen(graph: &Graph, roles: &Granted, licensed: bool) -> Vec<String> {
    let mut sentences = Vec::new();
    for need in NEEDS.iter().filter(|need| !need.without.is_empty() && !roles.has(need.permission)) {
        let known = match roles {
            Granted::Told(_) => "",
            Granted::Tried(_) if need.permission == grants::HIDDEN_MEMBERS => {
                " (it cannot be told whether it is granted)"
            }
            Granted::Tried(_) => "",
        };
        sentences.push(format!("{}; grant the application permission {}{known}.", need.without, need.permission));
    }
    let lanes = [
        (Enrichment::Mfa, grants::AUDIT_LOG, "Second factors"),
        (Enrichment::SignIns, grants::AUDIT_LOG, "Sign-ins"),
        (Enrichment::Mailboxes, grants::MAILBOXES, "Purposes of mailboxes"),
    ];
    for (lane, permission, what) in lanes {
        if !graph.config.enrichments.contains(&lane) && roles.has(permission) {
            sentences.push(format!("{what} are not read: it is not configured."));
        }
    }
    if !licensed {
        let text = "Second factors and sign-ins are not seen: the tenant has no licence Entra ID P1 or P2.";
        sentences.push(text.to_owned());
    }
    sentences.push("Second factors of disabled accounts are not known to Microsoft.".to_owned());
    sentences.push("Members of dynamic distribution groups of Exchange are not known to Graph.".to_owned());
    sentences
}

struct Check<'a> {
    graph: &'a Graph,
    cx: &'a Context,
}

impl Check<'_> {
    fn url(&self, segments: &[&str], query: &[(&str, &str)]) -> Url {
        let mut url = self.graph.config.graph.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    async fn get<T: for<'de> Deserialize<'de> + Send>(&self, operation: Operation, url: &Url) -> Result<T> {
        let read = self.graph.get(self.cx, operation, 1, url, |answer| {
            serde_json::from_slice(&answer.body).map_err(|error| unreadable(answer, &error))
        });
        read.await
    }

    /// Reads whose tenant it is; without the permission for that, only its id is known, by the token.
    async fn tenant(&self, by_token: Option<Uuid>) -> Result<Tenant> {
        let url = self.url(&["organization"], &[("$select", "id,displayName,verifiedDomains")]);
        match self.get::<Organizations>(Operation::Organization, &url).await {
            Ok(found) => Ok(found.value.into_iter().next().map_or_else(
                || Tenant { id: by_token, ..Tenant::default() },
                |found| Tenant {
                    id: Some(found.id),
                    name: found.display_name,
                    domains: found.verified_domains.into_iter().map(|domain| domain.name).collect(),
                },
            )),
            Err(error) if is_denied(&error) => Ok(Tenant { id: by_token, ..Tenant::default() }),
            Err(error) => Err(error),
        }
    }

    /// Asks for a little of each, where the token does not show what is granted.
    async fn try_each(&self) -> Result<BTreeSet<String>> {
        let mut granted = BTreeSet::new();
        let one = |select| [("$top", "1"), ("$select", select)];
        let users = self.url(&["users"], &one("id,accountEnabled"));
        let mut somebody = None;
        match self.get::<Ids>(Operation::ListUsers, &users).await {
            Ok(page) => {
                granted.insert(grants::USERS);
                somebody = page.value.into_iter().next().map(|user| user.id);
            }
            Err(error) if is_denied(&error) => {}
            Err(error) => return Err(error),
        }
        let deleted = ["directory", "deletedItems", "microsoft.graph.group"];
        let report = ["reports", "authenticationMethods", "userRegistrationDetails"];
        let mut tries = vec![
            (grants::MEMBERS, Operation::ListGroups, self.url(&["groups"], &one("id"))),
            (grants::DEVICES, Operation::ListDevices, self.url(&["devices"], &one("id"))),
            (grants::DELETED_GROUPS, Operation::DeletedGroups, self.url(&deleted, &one("id"))),
            (grants::AUDIT_LOG, Operation::Registrations, self.url(&report, &[("$top", "1")])),
        ];
        if let Some(somebody) = &somebody {
            let url = self.url(&["users", somebody, "mailboxSettings", "userPurpose"], &[]);
            tries.push((grants::MAILBOXES, Operation::MailboxPurpose, url));
        }
        for (permission, operation, url) in tries {
            if is_let(self.get::<serde::de::IgnoredAny>(operation, &url).await)? {
                granted.insert(permission);
            }
        }
        if is_let(self.look_up().await)? {
            granted.insert(grants::DIRECTORY);
        }
        Ok(granted.into_iter().map(ToOwned::to_owned).collect())
    }

    async fn look_up(&self) -> Result<serde::de::IgnoredAny> {
        let url = self.url(&["directoryObjects", "getByIds"], &[]);
        let request = || {
            let mut request = Request::new(Method::POST, url.clone());
            request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            *request.body_mut() = Some(format!(r#"{{"ids":["{}"]}}"#, Uuid::nil()).into());
            request
        };
        let read = self.graph.ask(self.cx, Operation::LookUp, 5, request, |answer| {
            serde_json::from_slice(&answer.body).map_err(|error| unreadable(answer, &error))
        });
        read.await
    }

    /// Tells whether the tenant pays for reports.
    async fn is_licensed(&self) -> Result<bool> {
        let url = self.url(&["reports", "authenticationMethods", "userRegistrationDetails"], &[("$top", "1")]);
        match self.get::<serde::de::IgnoredAny>(Operation::Registrations, &url).await {
            Err(error) if *error.kind() == ErrorKind::Unsupported => Ok(false),
            // It is said elsewhere that this may not be read.
            Err(error) if !is_denied(&error) => Err(error),
            _ => Ok(true),
        }
    }

    async fn estimate(&self, roles: &Granted) -> Result<Estimate> {
        let users = self.count(roles, grants::USERS, "users", Operation::CountUsers).await?;
        let groups = self.count(roles, grants::MEMBERS, "groups", Operation::CountGroups).await?;
        let computers = self.count(roles, grants::DEVICES, "devices", Operation::CountDevices).await?;
        let page = u64::from(self.graph.config.page_size);
        let pages = |objects: Option<u64>| objects.map_or(0, |objects| objects / page + 1);
        let in_batches = groups.unwrap_or(0).div_ceil(BATCH as u64);
        let calls = pages(users) + pages(groups) + in_batches + pages(computers);
        // Devices come with their owners, which costs one unit more.
        let units = pages(users) + pages(groups) + groups.unwrap_or(0) * MEMBER_UNITS + 2 * pages(computers);
        let quota = &self.graph.config.quota;
        Ok(Estimate {
            users,
            groups,
            computers,
            calls: users.map(|_| calls),
            seconds: users.map(|_| seconds(&quota.tenant, quota.share, units) + 1),
        })
    }

    /// Counts objects by the search index; nothing where they may not be read.
    async fn count(&self, roles: &Granted, permission: &str, of: &str, operation: Operation) -> Result<Option<u64>> {
        if !roles.has(permission) {
            return Ok(None);
        }
        let url = self.url(&[of, "$count"], &[]);
        let request = || {
            let mut request = Request::new(Method::GET, url.clone());
            request.headers_mut().insert("consistencylevel", HeaderValue::from_static("eventual"));
            request
        };
        // A number as text, with a byte order mark before it.
        let read = |answer: &tenantry_http::Answer| {
            let text = std::str::from_utf8(&answer.body).ok();
            Ok(text.and_then(|text| text.trim_start_matches('\u{feff}').trim().parse::<u64>().ok()))
        };
        match self.graph.ask(self.cx, operation, 1, request, read).await {
            // What cannot be counted is listed nevertheless.
            Err(error) if is_denied(&error) || Refusal::of(&error).is_some_and(|refusal| refusal.status == 400) => {
                Ok(None)
            }
            counted => counted,
        }
    }
}

/// An answer is an answer; so is "there is no such mailbox", and a missing licence.
fn is_let<T>(outcome: Result<T>) -> Result<bool> {
    match outcome {
        Ok(_) => Ok(true),
        Err(error) if is_denied(&error) => Ok(false),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Unsupported) => Ok(true),
        Err(error) => Err(error),
    }
}

fn is_denied(error: &tenantry::Error) -> bool {
    matches!(error.kind(), ErrorKind::PermissionDenied { .. })
}
