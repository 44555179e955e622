//! The `OData` options of a request; it knows no object.

use super::error::Problem;
use super::ids::Kind;
use super::properties::{self, NOT_IN_LISTS};

/// A relation to be shown inside its object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Expand {
    pub(crate) relation: String,
    pub(crate) select: Option<Vec<String>>,
}

/// What stands after the question mark.
#[derive(Debug, Clone, Default)]
pub(crate) struct Query {
    /// As sent, for links.
    pub(crate) raw: String,
    pub(crate) select: Option<Vec<String>>,
    pub(crate) filter: Option<String>,
    pub(crate) top: Option<u32>,
    pub(crate) orderby: Option<String>,
    pub(crate) expand: Vec<Expand>,
    pub(crate) count: bool,
    pub(crate) search: Option<String>,
    pub(crate) skip_token: Option<String>,
    pub(crate) delta_token: Option<String>,
    /// `ConsistencyLevel: eventual` was sent.
    pub(crate) eventual: bool,
}

fn names(list: &str) -> Vec<String> {
    list.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// Splits at commas outside parentheses.
fn expands(list: &str) -> Vec<Expand> {
    let mut parts = vec![String::new()];
    let mut depth = 0;
    for letter in list.chars() {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(part) = parts.last_mut() {
            part.push(letter);
        }
    }
    let one = |part: String| {
        let (relation, options) = part.split_once('(').unwrap_or((&part, ""));
        let select = options.trim_end_matches(')').split(';').find_map(|option| {
            let (name, value) = option.split_once('=')?;
            (name.trim().trim_start_matches('$') == "select").then(|| names(value))
        });
        Expand { relation: relation.trim().to_owned(), select }
    };
    parts.into_iter().filter(|part| !part.trim().is_empty()).map(one).collect()
}

impl Query {
    pub(crate) fn parse(raw: &str, eventual: bool) -> Result<Self, Problem> {
        let mut query = Self { raw: raw.to_owned(), eventual, ..Self::default() };
        for (name, value) in url::form_urlencoded::parse(raw.as_bytes()) {
            let value = value.into_owned();
            match name.trim_start_matches('$').to_ascii_lowercase().as_str() {
                "select" => query.select = Some(names(&value)),
                "filter" => query.filter = Some(value),
                "top" => match value.parse() {
                    Ok(top) if top > 0 => query.top = Some(top),
                    _ => return Err(Problem::bad("Invalid page size specified. Must be between 1 and 999 inclusive.")),
                },
                "orderby" => query.orderby = Some(value),
                "expand" => query.expand = expands(&value),
                "count" => query.count = value.eq_ignore_ascii_case("true"),
                "search" => query.search = Some(value),
                "skiptoken" => query.skip_token = Some(value),
                "deltatoken" => query.delta_token = Some(value),
                "skip" => return Err(Problem::bad("'$skip' is not supported by the service.")),
                _ => {}
            }
        }
        Ok(query)
    }

    /// Both conditions of an advanced query hold.
    pub(crate) fn is_advanced(&self) -> bool {
        self.eventual && self.count
    }

    /// The selected properties as a set; all that come by default without a selection.
    pub(crate) fn properties(&self, kind: Kind) -> Result<u128, Problem> {
        self.select.as_ref().map_or_else(|| Ok(properties::defaults(kind)), |names| set(kind, names))
    }

    /// The same address from here on: a listing's options with the token of a place.
    pub(crate) fn at(&self, token: &str) -> String {
        let keep = |pair: &&str| {
            let name = pair.split('=').next().unwrap_or_default().to_ascii_lowercase();
            !pair.is_empty() && !name.ends_with("skiptoken")
        };
        let mut raw: Vec<&str> = self.raw.split('&').filter(keep).collect();
        let token = format!("$skiptoken={token}");
        raw.push(&token);
        raw.join("&")
    }
}

/// Turns names into a set of properties of a kind; `id` is always in it.
pub(crate) fn set(kind: Kind, names: &[String]) -> Result<u128, Problem> {
    let mut set = 1_u128;
    for name in names {
        match properties::place(kind, name) {
            Some(place) => set |= 1 << place,
            None if name == "*" => set |= properties::defaults(kind),
            None if kind == Kind::Group && name == "members" => set |= properties::MEMBERS,
            None if kind == Kind::User && name == "manager" => {}
            None if kind == Kind::User && NOT_IN_LISTS.contains(&name.as_str()) => {
                return Err(Problem::new(501, "NotImplemented", "This operation target is not yet supported."));
            }
            None => {
                let message = format!(
                    "Parsing OData Select and Expand failed: Could not find a property named '{name}' on type '{}'.",
                    &kind.odata_type()[1..]
                );
                return Err(Problem::new(400, "BadRequest", message));
            }
        }
    }
    Ok(set)
}
