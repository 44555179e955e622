//! Partial responses: the `fields` parameter; it knows no resource.

use std::collections::BTreeMap;

use serde_json::Value;

/// What a client wants to see; without names below it, everything.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Mask(BTreeMap<String, Mask>);

impl Mask {
    /// Reads `a,b/c,d(e,f/g)`; `None` when it is not of that form.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut rest = text;
        let mask = list(&mut rest)?;
        rest.is_empty().then_some(mask)
    }

    /// Leaves of a value what the mask names; arrays are looked through.
    pub(crate) fn apply(&self, value: &mut Value) {
        if self.0.is_empty() || self.0.contains_key("*") {
            return;
        }
        match value {
            Value::Array(items) => items.iter_mut().for_each(|item| self.apply(item)),
            Value::Object(fields) => {
                fields.retain(|name, _| self.0.contains_key(name));
                for (name, below) in &self.0 {
                    if let Some(field) = fields.get_mut(name) {
                        below.apply(field);
                    }
                }
            }
            _ => {}
        }
    }

    /// Returns the first name of the outermost two levels that is none of those known.
    pub(crate) fn unknown<'a>(&'a self, page: &[&str], items: &str, item: &[&str]) -> Option<&'a str> {
        let strange = |names: &'a BTreeMap<String, Mask>, known: &[&str]| {
            names.keys().find(|name| *name != "*" && !known.contains(&name.as_str())).map(String::as_str)
        };
        let below = self.0.get(items).and_then(|mask| strange(&mask.0, item));
        strange(&self.0, page).or(below)
    }
}

fn list(rest: &mut &str) -> Option<Mask> {
    let mut mask = Mask::default();
    loop {
        path(rest, &mut mask)?;
        match rest.strip_prefix(',') {
            Some(after) => *rest = after,
            None => return Some(mask),
        }
    }
}

fn path(rest: &mut &str, into: &mut Mask) -> Option<()> {
    let end = rest.find([',', '/', '(', ')']).unwrap_or(rest.len());
    let (name, after) = rest.split_at(end);
    let name = name.trim();
    if name.is_empty() {
        return None;
    }
    *rest = after;
    let below = into.0.entry(name.to_owned()).or_default();
    if let Some(after) = rest.strip_prefix('/') {
        *rest = after;
        path(rest, below)
    } else if let Some(after) = rest.strip_prefix('(') {
        *rest = after;
        below.0.extend(list(rest)?.0);
        *rest = rest.strip_prefix(')')?;
        Some(())
    } else {
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_mask_leaves_what_it_names_and_nothing_else() {
        let mask = Mask::parse("nextPageToken,users(id,name/givenName)").unwrap();
        let mut page = json!({"kind": "k", "nextPageToken": "t", "users": [
            {"id": "1", "primaryEmail": "a@corp.example", "name": {"givenName": "A", "familyName": "B"}}]});
        mask.apply(&mut page);
        assert_eq!(page, json!({"nextPageToken": "t", "users": [{"id": "1", "name": {"givenName": "A"}}]}));
        let mut star = json!({"users": [{"id": "1", "etag": "e"}], "kind": "k"});
        Mask::parse("users/*").unwrap().apply(&mut star);
        assert_eq!(star, json!({"users": [{"id": "1", "etag": "e"}]}));
    }

    #[test]
    fn a_broken_mask_is_none_and_a_strange_name_is_found() {
        for broken in ["", "users(", "users(id", "a,,b", "users)"] {
            assert_eq!(Mask::parse(broken), None, "{broken}");
        }
        let mask = Mask::parse("users(id,shoeSize)").unwrap();
        assert_eq!(mask.unknown(&["users"], "users", &["id"]), Some("shoeSize"));
        assert_eq!(Mask::parse("users(id)").unwrap().unknown(&["users"], "users", &["id"]), None);
    }
}
