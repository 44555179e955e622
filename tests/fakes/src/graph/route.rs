//! Which resource an address means and what a call to it costs; it knows no object.

use http::Method;

use super::ids::Kind;
use super::query::Query;
use super::quota::Price;

/// What kind of call a request is, for faults and the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Call {
    /// `POST /{tenant}/oauth2/v2.0/token`
    Token,
    /// `GET /organization`
    Organization,
    /// `GET /domains`
    Domains,
    /// `GET /users`
    Users,
    /// `GET /groups`
    Groups,
    /// `GET /groups/{id}/members` and `/transitiveMembers`
    Members,
    /// `GET /devices`
    Devices,
    /// `GET /devices/{id}/registeredOwners`
    Owners,
    /// `GET /{users|groups|devices}/$count`
    Count,
    /// `GET /users/delta`
    UsersDelta,
    /// `GET /groups/delta`
    GroupsDelta,
    /// `GET /devices/delta`
    DevicesDelta,
    /// `GET /{users|groups|devices|directoryObjects}/{id}`
    One,
    /// `GET /users/{id}/memberOf` and the checks of memberships
    MemberOf,
    /// `POST /directoryObjects/getByIds`
    GetByIds,
    /// `GET /directory/deletedItems/…`
    Deleted,
    /// `GET /users/{id}/mailboxSettings/userPurpose`
    Mailbox,
    /// `GET /reports/authenticationMethods/userRegistrationDetails`
    Registration,
    /// `GET /subscribedSkus`
    Skus,
    /// `GET /servicePrincipals(appId='…')` and its `appRoleAssignments`
    Roles,
    /// `PATCH /users/{id}` and `POST /users/{id}/revokeSignInSessions`
    Write,
    /// `POST /$batch`
    Batch,
    /// Anything else
    Other,
}

/// A resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    Organization,
    Domains,
    List(Kind),
    Count(Kind),
    Delta(Kind),
    One(Option<Kind>, String),
    Members {
        group: String,
        cast: Option<Kind>,
        count: bool,
        transitive: bool,
    },
    Owners {
        device: String,
        cast: Option<Kind>,
    },
    MemberOf {
        kind: Kind,
        id: String,
        transitive: bool,
    },
    MemberGroups {
        kind: Option<Kind>,
        id: String,
        check: bool,
    },
    GetByIds,
    Deleted(Kind),
    DeletedOne(String),
    Purpose(String),
    Registration,
    Skus,
    /// By `appId='…'` or by id.
    ServicePrincipal(String),
    RoleAssignments(String),
    Patch(String),
    Revoke(String),
    Batch,
}

fn kind(name: &str) -> Option<Kind> {
    match name {
        "users" => Some(Kind::User),
        "groups" => Some(Kind::Group),
        "devices" => Some(Kind::Device),
        "contacts" => Some(Kind::Contact),
        _ => None,
    }
}

fn cast(name: &str) -> Option<Kind> {
    let name = name.strip_prefix("microsoft.graph.").or_else(|| name.strip_prefix("graph."))?;
    Kind::ALL.into_iter().find(|kind| kind.odata_type()["#microsoft.graph.".len()..] == *name)
}

/// Splits `users('id')` into `users` and `id`, and takes the empty parentheses of a function away.
fn segments(path: &str) -> Vec<String> {
    let mut segments = Vec::new();
    for part in path.split('/').filter(|part| !part.is_empty()) {
        let part: String = url::form_urlencoded::parse(part.replace('+', "%2B").as_bytes())
            .map(|(name, value)| if value.is_empty() { name.into_owned() } else { format!("{name}={value}") })
            .collect();
        match part.split_once('(').and_then(|(name, key)| Some((name, key.strip_suffix(')')?))) {
            Some((name, "")) => segments.push(name.to_owned()),
            Some((name, key)) => {
                segments.push(name.to_owned());
                segments.push(key.trim_matches('\'').to_owned());
            }
            None => segments.push(part),
        }
    }
    segments
}

impl Route {
    /// Reads a path below the version.
    pub(crate) fn parse(method: &Method, path: &str) -> Option<Self> {
        let segments = segments(path);
        let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
        match *method {
            Method::GET => Self::get(&parts),
            Method::POST => Self::post(&parts),
            Method::PATCH => match parts.as_slice() {
                ["users", id] => Some(Self::Patch((*id).to_owned())),
                _ => None,
            },
            _ => None,
        }
    }

    fn get(parts: &[&str]) -> Option<Self> {
        let text = |text: &str| text.to_owned();
        Some(match parts {
            ["organization"] => Self::Organization,
            ["domains"] => Self::Domains,
            ["subscribedSkus"] => Self::Skus,
            ["reports", "authenticationMethods", "userRegistrationDetails"] => Self::Registration,
            ["directory", "deletedItems", kind] if cast(kind).is_some() => Self::Deleted(cast(kind)?),
            ["directory", "deletedItems", id] => Self::DeletedOne(text(id)),
            ["directoryObjects", id] => Self::One(None, text(id)),
            ["servicePrincipals", key] => Self::ServicePrincipal(text(key)),
            ["servicePrincipals", key, "appRoleAssignments"] => Self::RoleAssignments(text(key)),
            ["groups", group, members @ ("members" | "transitiveMembers"), rest @ ..] => {
                let (cast, count) = match rest {
                    [] => (None, false),
                    ["$count"] => (None, true),
                    [kind] => (Some(cast(kind)?), false),
                    [kind, "$count"] => (Some(cast(kind)?), true),
                    _ => return None,
                };
                Self::Members { group: text(group), cast, count, transitive: *members == "transitiveMembers" }
            }
            ["devices", device, "registeredOwners"] => Self::Owners { device: text(device), cast: None },
            ["devices", device, "registeredOwners", kind] => {
                Self::Owners { device: text(device), cast: Some(cast(kind)?) }
            }
            ["users", id, "mailboxSettings", "userPurpose"] => Self::Purpose(text(id)),
            [set, id, of @ ("memberOf" | "transitiveMemberOf")] => {
                Self::MemberOf { kind: kind(set)?, id: text(id), transitive: *of == "transitiveMemberOf" }
            }
            [set, "$count"] => Self::Count(kind(set)?),
            [set, "delta" | "microsoft.graph.delta"] => Self::Delta(kind(set)?),
            [set, id] => Self::One(Some(kind(set)?), text(id)),
            [set] => Self::List(kind(set)?),
            _ => return None,
        })
    }

    fn post(parts: &[&str]) -> Option<Self> {
        let groups = |kind, id: &str, name: &str| {
            let name = name.strip_prefix("microsoft.graph.").unwrap_or(name);
            matches!(name, "checkMemberGroups" | "getMemberGroups").then(|| Self::MemberGroups {
                kind,
                id: id.to_owned(),
                check: name == "checkMemberGroups",
            })
        };
        match parts {
            ["$batch"] => Some(Self::Batch),
            ["directoryObjects", "getByIds" | "microsoft.graph.getByIds"] => Some(Self::GetByIds),
            ["users", id, "revokeSignInSessions" | "microsoft.graph.revokeSignInSessions"] => {
                Some(Self::Revoke((*id).to_owned()))
            }
            ["directoryObjects", id, name] => groups(None, id, name),
            [set, id, name] => groups(Some(kind(set)?), id, name),
            _ => None,
        }
    }

    pub(crate) fn call(&self) -> Call {
        match self {
            Self::Organization => Call::Organization,
            Self::Domains => Call::Domains,
            Self::List(Kind::User) => Call::Users,
            Self::List(Kind::Group) => Call::Groups,
            Self::List(Kind::Device) => Call::Devices,
            Self::List(_) => Call::Other,
            Self::Count(_) => Call::Count,
            Self::Delta(Kind::User) => Call::UsersDelta,
            Self::Delta(Kind::Group) => Call::GroupsDelta,
            Self::Delta(_) => Call::DevicesDelta,
            Self::One(..) => Call::One,
            Self::Members { .. } => Call::Members,
            Self::Owners { .. } => Call::Owners,
            Self::MemberOf { .. } | Self::MemberGroups { .. } => Call::MemberOf,
            Self::GetByIds => Call::GetByIds,
            Self::Deleted(_) | Self::DeletedOne(_) => Call::Deleted,
            Self::Purpose(_) => Call::Mailbox,
            Self::Registration => Call::Registration,
            Self::Skus => Call::Skus,
            Self::ServicePrincipal(_) | Self::RoleAssignments(_) => Call::Roles,
            Self::Patch(_) | Self::Revoke(_) => Call::Write,
            Self::Batch => Call::Batch,
        }
    }

    /// The published price: a base by resource, one less with `$select` or a small `$top`, one more with `$expand`.
    ///
    /// The envelope of a batch costs nothing; its parts do.
    pub(crate) fn price(&self, query: &Query) -> Price {
        let base = match self {
            Self::Batch | Self::Purpose(_) => return Price::default(),
            Self::Registration => return Price { report: true, ..Price::default() },
            Self::List(Kind::User) | Self::One(Some(Kind::User), _) => 2,
            Self::Members { transitive: false, .. } => 3,
            Self::Members { transitive: true, .. } => 5,
            Self::MemberOf { .. } => 2,
            Self::MemberGroups { check, .. } => {
                if *check {
                    4
                } else {
                    2
                }
            }
            Self::Skus => 3,
            Self::GetByIds if query.select.is_some() => return Price { units: 2.0, ..Price::default() },
            Self::GetByIds => 5,
            _ => 1,
        };
        let select = i32::from(query.select.is_some());
        let small = i32::from(query.top.is_some_and(|top| top < 20));
        let expand = i32::from(!query.expand.is_empty());
        let units = (base - select - small + expand).max(1);
        let wants = |name: &str| query.select.as_ref().is_some_and(|names| names.iter().any(|other| other == name));
        Price {
            units: f64::from(units),
            write: matches!(self, Self::Patch(_) | Self::Revoke(_)),
            report: false,
            sign_ins: matches!(self, Self::List(Kind::User) | Self::One(..)) && wants("signInActivity"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(path: &str, query: &str) -> f64 {
        let query = Query::parse(query, false).unwrap();
        Route::parse(&Method::GET, path).unwrap().price(&query).units
    }

    #[test]
    fn every_spelling_of_an_address_is_understood() {
        let get = |path| Route::parse(&Method::GET, path);
        for path in ["/users/delta", "/users/delta()", "/users/microsoft.graph.delta", "/users/microsoft.graph.delta()"]
        {
            assert_eq!(get(path), Some(Route::Delta(Kind::User)), "{path}");
        }
        assert_eq!(get("/users('a%40b')"), Some(Route::One(Some(Kind::User), "a@b".into())));
        assert_eq!(get("/servicePrincipals(appId='x')"), Some(Route::ServicePrincipal("appId='x".into())));
        assert_eq!(get("/nothing"), None);
    }

    #[test]
    fn prices_follow_the_published_list() {
        for (path, query, price) in [
            ("/users", "", 2.0),
            ("/users", "$select=id&$top=999", 1.0),
            ("/groups/x/members", "", 3.0),
            ("/groups/x/members", "$select=id", 2.0),
            ("/groups/x/members", "$select=id&$top=5", 1.0),
            ("/groups", "$expand=members", 2.0),
            ("/groups/x/transitiveMembers", "", 5.0),
            ("/subscribedSkus", "", 3.0),
            ("/devices/delta", "", 1.0),
        ] {
            assert!((units(path, query) - price).abs() < 0.1, "{path}?{query}");
        }
    }
}
