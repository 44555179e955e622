//! What a request asks for: the method it means, its keys and parameters; it knows no account.

use std::collections::BTreeMap;

use http::Method;
use serde_json::Value;
use url::form_urlencoded;

use super::Request;
use super::settings::Privilege;

/// A request, read.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) operation: &'static str,
    pub(crate) keys: Vec<String>,
    pub(crate) query: BTreeMap<String, String>,
    pub(crate) body: Value,
    pub(crate) if_none_match: Option<String>,
    pub(crate) bearer: Option<String>,
}

impl Call {
    /// Reads a request; `None` when no method is meant.
    pub(crate) fn read(request: &Request) -> Option<Self> {
        let path = request.uri().path();
        let segments: Vec<String> = path.split('/').skip(1).map(decoded).collect();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let (operation, keys) = route(request.method(), &segments)?;
        let query = request.uri().query().unwrap_or_default();
        let header = |name: http::HeaderName| {
            request.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
        };
        Some(Self {
            operation,
            keys: keys.into_iter().map(str::to_owned).collect(),
            query: form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
            body: serde_json::from_slice(request.body()).unwrap_or_default(),
            if_none_match: header(http::header::IF_NONE_MATCH),
            bearer: header(http::header::AUTHORIZATION)
                .and_then(|value| value.strip_prefix("Bearer ").map(str::to_owned)),
        })
    }

    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str)
    }

    pub(crate) fn key(&self, index: usize) -> &str {
        self.keys.get(index).map_or("", String::as_str)
    }

    /// Which scopes allow it, any of them, without their common prefix; and which privilege the subject needs.
    pub(crate) fn needs(&self) -> (&'static [&'static str], Privilege) {
        match self.operation {
            "users.list" | "users.get" | "users.aliases.list" => {
                (&["admin.directory.user.readonly", "admin.directory.user"], Privilege::Users)
            }
            "users.signOut" | "asps.list" | "twoStepVerification.turnOff" => {
                (&["admin.directory.user.security"], Privilege::EditUsers)
            }
            "groups.list" | "groups.get" => {
                (&["admin.directory.group.readonly", "admin.directory.group"], Privilege::Groups)
            }
            "members.list" | "members.get" | "members.hasMember" => (
                &[
                    "admin.directory.group.member.readonly",
                    "admin.directory.group.member",
                    "admin.directory.group.readonly",
                    "admin.directory.group",
                ],
                Privilege::Groups,
            ),
            "members.insert" | "members.delete" => {
                (&["admin.directory.group.member", "admin.directory.group"], Privilege::Groups)
            }
            "orgunits.list" | "orgunits.get" => {
                (&["admin.directory.orgunit.readonly", "admin.directory.orgunit"], Privilege::OrgUnits)
            }
            "chromeosdevices.list" | "chromeosdevices.get" => {
                (&["admin.directory.device.chromeos.readonly", "admin.directory.device.chromeos"], Privilege::ChromeOs)
            }
            "mobiledevices.list" | "mobiledevices.get" => (
                &[
                    "admin.directory.device.mobile.readonly",
                    "admin.directory.device.mobile.action",
                    "admin.directory.device.mobile",
                ],
                Privilege::Mobile,
            ),
            "domains.list" => (&["admin.directory.domain.readonly", "admin.directory.domain"], Privilege::Domains),
            "customers.get" => (&["admin.directory.customer.readonly", "admin.directory.customer"], Privilege::Domains),
            "roles.list" | "roleAssignments.list" => {
                (&["admin.directory.rolemanagement.readonly", "admin.directory.rolemanagement"], Privilege::Domains)
            }
            "activities.list" => (&["admin.reports.audit.readonly"], Privilege::Reports),
            _ => (&["admin.directory.user"], Privilege::EditUsers),
        }
    }

    /// Whether a query of the audit log is one of the filtered ones, which are cheaper for nobody.
    pub(crate) fn is_filtered(&self) -> bool {
        const FILTERS: [&str; 5] = ["eventName", "filters", "orgUnitID", "actorIpAddress", "groupIdFilter"];
        self.operation == "activities.list"
            && (self.key(0) != "all" || FILTERS.iter().any(|name| self.query.contains_key(*name)))
    }
}

fn route<'a>(method: &Method, segments: &[&'a str]) -> Option<(&'static str, Vec<&'a str>)> {
    let below = match segments {
        ["admin", "directory", "v1", below @ ..] => below,
        ["admin", "reports", "v1", "activity", "users", user, "applications", application] if method == Method::GET => {
            return Some(("activities.list", vec![user, application]));
        }
        _ => return None,
    };
    let found = match (method.as_str(), below) {
        ("GET", ["users"]) => ("users.list", vec![]),
        ("POST", ["users"]) => ("users.insert", vec![]),
        ("GET", ["users", user]) => ("users.get", vec![*user]),
        ("PUT", ["users", user]) => ("users.update", vec![*user]),
        ("PATCH", ["users", user]) => ("users.patch", vec![*user]),
        ("DELETE", ["users", user]) => ("users.delete", vec![*user]),
        ("POST", ["users", user, "undelete"]) => ("users.undelete", vec![*user]),
        ("POST", ["users", user, "signOut"]) => ("users.signOut", vec![*user]),
        ("POST", ["users", user, "twoStepVerification", "turnOff"]) => ("twoStepVerification.turnOff", vec![*user]),
        ("GET", ["users", user, "asps"]) => ("asps.list", vec![*user]),
        ("GET", ["users", user, "aliases"]) => ("users.aliases.list", vec![*user]),
        ("GET", ["groups"]) => ("groups.list", vec![]),
        ("GET", ["groups", group]) => ("groups.get", vec![*group]),
        ("GET", ["groups", group, "members"]) => ("members.list", vec![*group]),
        ("POST", ["groups", group, "members"]) => ("members.insert", vec![*group]),
        ("GET", ["groups", group, "members", member]) => ("members.get", vec![*group, *member]),
        ("DELETE", ["groups", group, "members", member]) => ("members.delete", vec![*group, *member]),
        ("GET", ["groups", group, "hasMember", member]) => ("members.hasMember", vec![*group, *member]),
        ("GET", ["customer", customer, "orgunits"]) => ("orgunits.list", vec![*customer]),
        // The path may be escaped as one segment or written as several.
        ("GET", ["customer", customer, "orgunits", path @ ..]) => {
            let keys = std::iter::once(*customer).chain(path.iter().copied()).collect();
            ("orgunits.get", keys)
        }
        ("GET", ["customer", customer, "devices", "chromeos"]) => ("chromeosdevices.list", vec![*customer]),
        ("GET", ["customer", customer, "devices", "chromeos", id]) => ("chromeosdevices.get", vec![*customer, *id]),
        ("GET", ["customer", customer, "devices", "mobile"]) => ("mobiledevices.list", vec![*customer]),
        ("GET", ["customer", customer, "devices", "mobile", id]) => ("mobiledevices.get", vec![*customer, *id]),
        ("GET", ["customer", customer, "domains"]) => ("domains.list", vec![*customer]),
        ("GET", ["customer", customer, "roles"]) => ("roles.list", vec![*customer]),
        ("GET", ["customer", customer, "roleassignments"]) => ("roleAssignments.list", vec![*customer]),
        ("GET", ["customers", customer]) => ("customers.get", vec![*customer]),
        _ => return None,
    };
    Some(found)
}

/// Percent decoding of a path segment: unlike in a query, `+` is itself.
fn decoded(segment: &str) -> String {
    let escaped = segment.replace('+', "%2B");
    let query = format!("x={}", escaped.replace('&', "%26"));
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    pairs.next().map(|(_, value)| value.into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_as_the_method_it_means() {
        let read = |method: &str, target: &str| {
            let request = http::Request::builder().method(method).uri(target).body(Vec::new()).unwrap();
            Call::read(&request).map(|call| (call.operation, call.keys))
        };
        assert_eq!(read("GET", "/admin/directory/v1/users?customer=my_customer"), Some(("users.list", vec![])));
        let member = read("GET", "/admin/directory/v1/groups/a%2Bb%40corp.example/members");
        assert_eq!(member, Some(("members.list", vec!["a+b@corp.example".to_owned()])));
        let unit = read("GET", "/admin/directory/v1/customer/my_customer/orgunits/Unit%201/Team%20+2");
        let keys = ["my_customer", "Unit 1", "Team +2"].map(str::to_owned).to_vec();
        assert_eq!(unit, Some(("orgunits.get", keys)));
        assert_eq!(read("POST", "/admin/directory/v1/groups"), None);
    }
}
