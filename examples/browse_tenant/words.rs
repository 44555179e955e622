//! What records are called and how their values are said. It reads nothing.

use serde_json::Value as Json;
use tenantry::model::{AttributeName, Record, Value, names};

/// Returns what a person calls a record.
pub(crate) fn name_of(record: &Record) -> String {
    let text = |name: &AttributeName| record.attributes.text(name);
    text(&names::DISPLAY_NAME)
        .or_else(|| text(&names::NAME))
        .or_else(|| text(&names::USERNAME))
        .or_else(|| text(&names::PRIMARY_EMAIL))
        .map_or_else(|| record.id.to_string(), str::to_owned)
}

/// Returns what a person calls a record that an event tells of.
pub(crate) fn name_in(record: &Json) -> String {
    ["display_name", "name", "username", "primary_email", "id"]
        .iter()
        .find_map(|key| record[*key].as_str())
        .unwrap_or_default()
        .to_owned()
}

/// Returns a value as it stands in a cell: nothing where it is empty or unknown.
pub(crate) fn cell(record: &Record, name: &AttributeName) -> String {
    match record.attributes.get(name) {
        None | Some(Value::Empty) => String::new(),
        Some(Value::Text(text)) => text.to_string(),
        Some(Value::List(items)) => items.join("; "),
        Some(Value::Bool(value)) => value.to_string(),
        Some(Value::Int(value)) => value.to_string(),
    }
}

/// Counts something.
pub(crate) fn counted(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// Says a value.
pub(crate) fn say(value: &Json) -> String {
    match value {
        Json::Null => "nothing".to_owned(),
        Json::String(text) => text.clone(),
        Json::Array(values) if values.is_empty() => "nothing".to_owned(),
        Json::Array(values) => values.iter().map(say).collect::<Vec<_>>().join(" and "),
        other => other.to_string(),
    }
}
