//! The query language of `users.list` and `groups.list`; it knows no account.

use serde_json::{Map, Value};

use super::refusal::Refusal;
use super::state::{addresses_of, text};

/// Clauses that all must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Query(Vec<Clause>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Clause {
    field: String,
    value: String,
    /// `:` with a `*` at the end.
    prefix: bool,
}

const FLAGS: [(&str, &str); 7] = [
    ("isSuspended", "suspended"),
    ("isArchived", "archived"),
    ("isAdmin", "isAdmin"),
    ("isDelegatedAdmin", "isDelegatedAdmin"),
    ("isEnrolledIn2Sv", "isEnrolledIn2Sv"),
    ("isEnforcedIn2Sv", "isEnforcedIn2Sv"),
    ("isGuest", "isGuestUser"),
];
const TEXTS: [&str; 7] = ["orgUnitPath", "email", "givenName", "familyName", "name", "externalId", "memberKey"];

impl Query {
    pub(crate) fn parse(query: &str) -> Result<Self, Refusal> {
        let wrong = || Refusal::invalid(query);
        let mut clauses = Vec::new();
        let mut rest = query.trim();
        while !rest.is_empty() {
            let end = rest.find([':', '=']).ok_or_else(wrong)?;
            let (field, after) = rest.split_at(end);
            let (operator, after) = after.split_at(1);
            let (value, after) = match after.strip_prefix(['\'', '"']) {
                Some(quoted) => quoted.split_once(['\'', '"']).ok_or_else(wrong)?,
                None => after.split_once(' ').unwrap_or((after, "")),
            };
            let known = TEXTS.contains(&field) || FLAGS.iter().any(|(name, _)| *name == field);
            if !known {
                return Err(wrong());
            }
            let stem = value.strip_suffix('*').filter(|_| operator == ":");
            clauses.push(Clause {
                field: field.to_owned(),
                value: stem.unwrap_or(value).to_lowercase(),
                prefix: stem.is_some(),
            });
            rest = after.trim_start();
        }
        Ok(Self(clauses))
    }

    /// The beginning that every address must have, if one is asked for.
    pub(crate) fn email_prefix(&self) -> Option<&str> {
        self.0.iter().find(|clause| clause.field == "email" && clause.prefix).map(|clause| clause.value.as_str())
    }

    pub(crate) fn holds(&self, user: &Map<String, Value>) -> bool {
        self.0.iter().all(|clause| clause.holds(user))
    }
}

impl Clause {
    fn holds(&self, user: &Map<String, Value>) -> bool {
        if let Some((_, field)) = FLAGS.iter().find(|(name, _)| *name == self.field) {
            return user.get(*field).and_then(Value::as_bool).unwrap_or(false) == (self.value == "true");
        }
        let name = |part: &str| user.get("name").and_then(|name| name.get(part)).and_then(Value::as_str).unwrap_or("");
        let values = match self.field.as_str() {
            // The whole subtree.
            "orgUnitPath" => {
                let path = text(user, "orgUnitPath").to_lowercase();
                let rest = path.strip_prefix(&self.value);
                return self.value == "/" || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
            }
            "email" => addresses_of(user, &text(user, "primaryEmail").to_lowercase()),
            "externalId" => {
                let ids = user.get("externalIds").and_then(Value::as_array).cloned().unwrap_or_default();
                ids.iter().filter_map(|id| id["value"].as_str().map(str::to_lowercase)).collect()
            }
            "givenName" | "familyName" => vec![name(&self.field).to_lowercase()],
            _ => vec![name("givenName").to_lowercase(), name("familyName").to_lowercase()],
        };
        let fits = |value: &String| if self.prefix { value.starts_with(&self.value) } else { *value == self.value };
        values.iter().any(fits)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn clauses_all_hold_and_strange_ones_are_refused() {
        let user = json!({"primaryEmail": "Anna@corp.example", "orgUnitPath": "/Sales/North", "suspended": false,
            "aliases": ["berg@corp.example"], "name": {"givenName": "Anna", "familyName": "Berg"}});
        let user = user.as_object().unwrap();
        for fits in ["email:an*", "email:berg*", "orgUnitPath=/Sales", "orgUnitPath='/sales' isSuspended=false", ""] {
            assert!(Query::parse(fits).unwrap().holds(user), "{fits}");
        }
        for not in ["email:bo*", "orgUnitPath=/Sal", "isSuspended=true", "isGuest=true", "familyName:Bergman"] {
            assert!(!Query::parse(not).unwrap().holds(user), "{not}");
        }
        assert!(Query::parse("modifiedTime>2026").is_err());
    }
}
