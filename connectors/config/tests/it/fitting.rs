//! Says where a document does not fit a JSON schema, as far as our schemas go; the fuzz targets use it too.
//!
//! It must not know what a configuration is, and it refuses words that it does not know: a rule that is not checked
//! would look like one that holds.

use serde_json::{Map, Value, json};
use toml::de::{DeTable, DeValue};

/// Says where a value does not fit a schema. Only the words that our schemas use are known; any other is a failure.
fn misfit(value: &Value, schema: &Value, place: &str) -> Option<String> {
    let Some(rules) = schema.as_object() else {
        return (schema != &json!(true)).then(|| format!("{place}: nothing fits"));
    };
    let number = |rule: &Value| rule.as_f64().expect("a limit is a number");
    let fits = |schema: &Value| misfit(value, schema, place).is_none();
    let each = |rule: &Value| rule.as_array().expect("a list of schemas").iter().filter(|schema| fits(schema)).count();
    let is_whole = value.as_f64().is_some_and(|number| number.fract() == 0.0);
    for (word, rule) in rules {
        let holds = match word.as_str() {
            "$schema" | "title" | "description" => true,
            "type" => match rule.as_str().expect("one type") {
                "object" => value.is_object(),
                "array" => value.is_array(),
                "string" => value.is_string(),
                "boolean" => value.is_boolean(),
                "number" => value.is_number(),
                "integer" => is_whole,
                other => panic!("the type {other} is not known"),
            },
            "const" => value == rule,
            "enum" => rule.as_array().expect("a list of values").contains(value),
            "pattern" => {
                let pattern = regex::Regex::new(rule.as_str().expect("a pattern")).expect("a right pattern");
                value.as_str().is_none_or(|text| pattern.is_match(text))
            }
            "minimum" => value.as_f64().is_none_or(|value| value >= number(rule)),
            "maximum" => value.as_f64().is_none_or(|value| value <= number(rule)),
            "minItems" => value.as_array().is_none_or(|items| items.len() as f64 >= number(rule)),
            "minProperties" => value.as_object().is_none_or(|keys| keys.len() as f64 >= number(rule)),
            "maxProperties" => value.as_object().is_none_or(|keys| keys.len() as f64 <= number(rule)),
            "anyOf" => each(rule) > 0,
            "oneOf" => each(rule) == 1,
            "required" => {
                let keys: Vec<_> = rule.as_array().expect("a list of keys").iter().filter_map(Value::as_str).collect();
                value.as_object().is_none_or(|object| keys.iter().all(|key| object.contains_key(*key)))
            }
            "items" => {
                let items = value.as_array().into_iter().flatten();
                let wrong = items.enumerate().find_map(|(at, item)| misfit(item, rule, &format!("{place}[{at}]")));
                if wrong.is_some() {
                    return wrong;
                }
                true
            }
            "properties" => {
                let fields = value.as_object().into_iter().flatten();
                let wrong = fields
                    .filter_map(|(key, value)| Some((key, value, rule.get(key)?)))
                    .find_map(|(key, value, rule)| misfit(value, rule, &format!("{place}.{key}")));
                if wrong.is_some() {
                    return wrong;
                }
                true
            }
            "additionalProperties" => {
                assert_eq!(rule, &json!(false));
                let known = rules["properties"].as_object().expect("a table of keys");
                value.as_object().is_none_or(|object| object.keys().all(|key| known.contains_key(key)))
            }
            other => panic!("the word {other} is not known"),
        };
        if !holds {
            return Some(format!("{place}: {word} {rule}"));
        }
    }
    None
}

/// Turns a document into what a schema judges; a date becomes a text, as in editors.
fn json_of(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => json!(text),
        DeValue::Integer(integer) => match i64::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(number) => json!(number),
            Err(_) => json!(1e300),
        },
        DeValue::Float(float) => json!(float.as_str().parse::<f64>().unwrap_or(f64::NAN)),
        DeValue::Boolean(switch) => json!(switch),
        DeValue::Datetime(date) => json!(date.to_string()),
        DeValue::Array(items) => items.iter().map(|item| json_of(item.get_ref())).collect(),
        DeValue::Table(table) => json_of_table(table),
    }
}

fn json_of_table(table: &DeTable<'_>) -> Value {
    let pairs = table.iter().map(|(key, value)| (key.get_ref().to_string(), json_of(value.get_ref())));
    pairs.collect::<Map<_, _>>().into()
}

/// Says where a text does not fit the schema; a text that is no TOML fits nothing.
pub(crate) fn misfit_of(text: &str, schema: &Value) -> Option<String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match DeTable::parse(text) {
        Ok(table) => misfit(&json_of_table(table.get_ref()), schema, ""),
        Err(error) => Some(error.to_string()),
    }
}
