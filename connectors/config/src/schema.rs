//! The configuration as a JSON schema, made of the lists of keys by which it is read.
//!
//! It must not know a key by name, nor say more than the reading holds: whatever is accepted fits the schema. The other
//! way round some things are for the reading alone: files and variables that do not exist, keys that contradict each
//! other.

use serde_json::{Map, Value, json};

use crate::endpoint::{self, EndpointKind};
use crate::key::{Form, Key};
use crate::tenant;

/// Returns the JSON schema (draft 7) of `tenant.toml`, for editors and for tools that write configurations.
///
/// `docs/tenant.schema.json` is a copy of it. Every configuration that is accepted fits it; unknown keys and values of
/// a wrong form do not.
pub fn schema() -> Value {
    let mut schema = table(&[tenant::KEYS], None);
    schema.insert("$schema".into(), json!("http://json-schema.org/draft-07/schema#"));
    schema.insert("title".into(), json!("tenant.toml"));
    schema.insert("description".into(), json!("One customer, the directories its people come from, what may go."));
    Value::Object(schema)
}

/// Describes a table with these keys; `kind` is the kind of endpoint that it is, if it is one.
fn table(keys: &[&'static [Key]], kind: Option<EndpointKind>) -> Map<String, Value> {
    let keys = || keys.iter().copied().flatten();
    let properties: Map<_, _> = keys().map(|key| (key.name.to_owned(), property(key, kind))).collect();
    let required: Vec<_> = keys().filter(|key| key.required).map(|key| key.name).collect();
    let mut table = Map::new();
    table.insert("type".into(), json!("object"));
    table.insert("properties".into(), properties.into());
    table.insert("additionalProperties".into(), json!(false));
    if !required.is_empty() {
        table.insert("required".into(), json!(required));
    }
    table
}

fn property(key: &Key, kind: Option<EndpointKind>) -> Value {
    let text = || json!({ "type": "string", "pattern": r"\S" });
    let mut property = match key.form {
        Form::Text | Form::Path | Form::Variable => text(),
        Form::Name => json!({ "type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$" }),
        Form::Kind => json!({ "const": kind.map(EndpointKind::as_str) }),
        Form::Texts => json!({ "anyOf": [text(), { "type": "array", "items": text() }] }),
        Form::Switch => json!({ "type": "boolean" }),
        Form::Choice(words) => json!({ "enum": words }),
        Form::Time { least, most, word } => {
            let seconds = json!({ "type": "integer", "minimum": least.as_secs(), "maximum": most.as_secs() });
            let unit = json!({ "type": "string", "pattern": r"^\s*[0-9]+\s*(s|m|min|h|d)\s*$" });
            json!({ "anyOf": word.map(|word| json!({ "const": word })).into_iter().chain([seconds, unit]).collect::<Vec<_>>() })
        }
        Form::Share => json!({ "type": "number", "minimum": 0, "maximum": 1 }),
        // That nothing is no part is for the reading: draft 7's word for it is understood by few tools.
        Form::Part => json!({ "type": "number", "minimum": 0, "maximum": 1 }),
        Form::Count => json!({ "type": "integer", "minimum": 0 }),
        Form::Number { least, most } => json!({ "type": "integer", "minimum": least, "maximum": most }),
        Form::Secret(keys) => {
            let mut place = table(&[keys.0], None);
            place.insert("minProperties".into(), json!(1));
            place.insert("maxProperties".into(), json!(1));
            place.into()
        }
        Form::Table(keys) => table(&[keys.0], None).into(),
        Form::Endpoints => json!({ "type": "array", "minItems": 1, "items": endpoints() }),
    };
    property["description"] = json!(key.about);
    property
}

/// Describes one endpoint: of one of the kinds that this program can connect to.
fn endpoints() -> Value {
    let ways = |kind| endpoint::keys_of(kind).iter().map(move |keys| (kind, *keys));
    let mut kinds: Vec<Value> = EndpointKind::ALL
        .into_iter()
        .flat_map(ways)
        .map(|(kind, keys)| table(&[&[endpoint::KEYS], keys].concat(), Some(kind)).into())
        .collect();
    // A choice of one makes editors' messages worse, and a choice of none is not allowed.
    match kinds.len() {
        0 => json!(false),
        1 => kinds.remove(0),
        _ => json!({ "oneOf": kinds }),
    }
}
