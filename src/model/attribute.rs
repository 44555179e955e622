//! Three-valued attributes: unknown (absent), empty, value. It does not know where they come from.

pub mod names;

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The name of an attribute as events spell it; names outside the contract's list begin with `attributes.`.
///
/// Names of the contract's list are kept as their number, others as text: one name has one form.
#[derive(Clone)]
pub struct AttributeName(Form);

#[derive(Clone)]
enum Form {
    /// The place in [`names::ALL`].
    Listed(u8),
    /// Written in the program.
    Fixed(&'static str),
    /// Read somewhere.
    Read(Arc<str>),
}

impl AttributeName {
    /// Takes a name as events spell it. As a constant it costs nothing: `AttributeName::fixed("attributes.title")`.
    pub const fn fixed(name: &'static str) -> Self {
        match names::number_of(name) {
            Some(number) => Self(Form::Listed(number)),
            None => Self(Form::Fixed(name)),
        }
    }

    /// Names an attribute outside the contract's list: it appears under `attributes` in events.
    pub fn extra(name: &str) -> Self {
        Self(Form::Read(format!("attributes.{name}").into()))
    }

    /// Reads a name as events spell it.
    pub fn parse(name: &str) -> Self {
        if name.starts_with("attributes.") {
            // No name of the list begins so.
            return Self(Form::Read(name.into()));
        }
        match names::number_of(name) {
            Some(number) => Self(Form::Listed(number)),
            None => Self(Form::Read(name.into())),
        }
    }

    /// Returns the name as events spell it.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Form::Listed(number) => names::ALL[usize::from(*number)],
            Form::Fixed(name) => name,
            Form::Read(name) => name,
        }
    }

    /// Returns the part behind `attributes.`, for names outside the contract's list.
    pub fn as_extra(&self) -> Option<&str> {
        match &self.0 {
            Form::Listed(_) => None,
            _ => self.as_str().strip_prefix("attributes."),
        }
    }

    /// Returns the number of a name of the contract's list.
    pub(crate) const fn number(&self) -> Option<u8> {
        match self.0 {
            Form::Listed(number) => Some(number),
            _ => None,
        }
    }

    /// Finds a name of the contract's list by its number.
    pub(crate) fn from_number(number: u8) -> Option<Self> {
        (usize::from(number) < names::ALL.len()).then_some(Self(Form::Listed(number)))
    }
}

impl PartialEq for AttributeName {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Form::Listed(a), Form::Listed(b)) => a == b,
            (Form::Listed(_), _) | (_, Form::Listed(_)) => false,
            _ => self.as_str() == other.as_str(),
        }
    }
}

impl Eq for AttributeName {}

impl PartialOrd for AttributeName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for AttributeName {
    fn cmp(&self, other: &Self) -> Ordering {
        match (&self.0, &other.0) {
            (Form::Listed(a), Form::Listed(b)) => names::RANKS[usize::from(*a)].cmp(&names::RANKS[usize::from(*b)]),
            _ => self.as_str().cmp(other.as_str()),
        }
    }
}

impl Hash for AttributeName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Debug for AttributeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for AttributeName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for AttributeName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::parse(&String::deserialize(deserializer)?))
    }
}

impl fmt::Display for AttributeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A known value.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Value {
    /// Known to have no value.
    Empty,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Text; times are written as RFC 3339.
    Text(Box<str>),
    /// A set of texts, sorted, without repetition. An empty list is [`Value::Empty`].
    List(Vec<Box<str>>),
}

impl Value {
    /// Takes text; an empty or absent one is [`Value::Empty`].
    pub fn text(text: Option<&str>) -> Self {
        match text {
            None | Some("") => Self::Empty,
            Some(text) => Self::Text(text.into()),
        }
    }

    /// Takes a set of texts: sorts it and drops repetitions; an empty one is [`Value::Empty`].
    pub fn list<T: Into<Box<str>>>(items: impl IntoIterator<Item = T>) -> Self {
        let mut items: Vec<Box<str>> = items.into_iter().map(Into::into).collect();
        items.sort_unstable();
        items.dedup();
        if items.is_empty() { Self::Empty } else { Self::List(items) }
    }

    /// Tells whether it is known to have no value.
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Empty)
    }

    /// Returns the text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the truth value, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("empty"),
            Self::Bool(value) => value.fmt(f),
            Self::Int(value) => value.fmt(f),
            Self::Text(text) => text.fmt(f),
            Self::List(items) => items.fmt(f),
        }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::text(Some(text))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        if text.is_empty() { Self::Empty } else { Self::Text(text.into()) }
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Empty => serializer.serialize_none(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Int(value) => serializer.serialize_i64(*value),
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(items) => items.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ValueVisitor;

        impl<'de> Visitor<'de> for ValueVisitor {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("null, a boolean, a whole number, text or a list of texts")
            }

            fn visit_unit<E>(self) -> Result<Value, E> {
                Ok(Value::Empty)
            }

            fn visit_none<E>(self) -> Result<Value, E> {
                Ok(Value::Empty)
            }

            fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
                Ok(Value::Bool(value))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
                Ok(Value::Int(value))
            }

            fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Value, E> {
                i64::try_from(value).map(Value::Int).map_err(|_| E::custom("number out of range"))
            }

            fn visit_str<E>(self, text: &str) -> Result<Value, E> {
                Ok(Value::text(Some(text)))
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element::<Box<str>>()? {
                    items.push(item);
                }
                Ok(Value::list(items))
            }
        }

        deserializer.deserialize_any(ValueVisitor)
    }
}

/// Known attributes in the order of their names. A name that is not here is unknown.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Attributes(Vec<(AttributeName, Value)>);

impl Attributes {
    /// Creates a set in which everything is unknown.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Sets what is known of one attribute.
    pub fn set(&mut self, name: AttributeName, value: impl Into<Value>) {
        let value = value.into();
        match self.0.last() {
            Some((last, _)) if *last >= name => match self.0.binary_search_by(|(n, _)| n.cmp(&name)) {
                Ok(at) => self.0[at].1 = value,
                Err(at) => self.0.insert(at, (name, value)),
            },
            _ => {
                if self.0.is_empty() {
                    // Most objects have about so many.
                    self.0.reserve(16);
                }
                self.0.push((name, value));
            }
        }
    }

    /// Returns what is known of one attribute; `None` is unknown.
    pub fn get(&self, name: &AttributeName) -> Option<&Value> {
        self.0.binary_search_by(|(n, _)| n.cmp(name)).ok().map(|at| &self.0[at].1)
    }

    /// Returns the text of one attribute, if it is known and is text.
    pub fn text(&self, name: &AttributeName) -> Option<&str> {
        self.get(name).and_then(Value::as_text)
    }

    /// Forgets one attribute: it becomes unknown.
    pub fn forget(&mut self, name: &AttributeName) -> Option<Value> {
        self.0.binary_search_by(|(n, _)| n.cmp(name)).ok().map(|at| self.0.remove(at).1)
    }

    /// Takes over everything that a later reading knows. What it does not know stays.
    pub fn merge(&mut self, later: &Self) {
        if self.0.is_empty() {
            self.0.clone_from(&later.0);
            return;
        }
        for (name, value) in &later.0 {
            self.set(name.clone(), value.clone());
        }
    }

    /// Iterates in the order of names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&AttributeName, &Value)> {
        self.0.iter().map(|(name, value)| (name, value))
    }

    /// Returns how many attributes are known.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Tells whether everything is unknown.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl FromIterator<(AttributeName, Value)> for Attributes {
    fn from_iter<I: IntoIterator<Item = (AttributeName, Value)>>(iter: I) -> Self {
        let mut attributes = Self::new();
        for (name, value) in iter {
            attributes.set(name, value);
        }
        attributes
    }
}

impl Serialize for Attributes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name.as_str(), value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Attributes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AttributesVisitor;

        impl<'de> Visitor<'de> for AttributesVisitor {
            type Value = Attributes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of attributes")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Attributes, A::Error> {
                let mut attributes = Attributes(Vec::with_capacity(16));
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    attributes.set(AttributeName::parse(&name), value);
                }
                Ok(attributes)
            }
        }

        deserializer.deserialize_map(AttributesVisitor)
    }
}

/// Returns the names that differ between two states: changed, newly known, or no longer known.
pub(crate) fn attribute_differences(before: &Attributes, after: &Attributes) -> Vec<AttributeName> {
    let mut differing = Vec::new();
    let (mut old, mut new) = (before.0.iter().peekable(), after.0.iter().peekable());
    loop {
        let order = match (old.peek(), new.peek()) {
            (None, None) => return differing,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((a, _)), Some((b, _))) => a.cmp(b),
        };
        match order {
            Ordering::Less => differing.extend(old.next().map(|(name, _)| name.clone())),
            Ordering::Greater => differing.extend(new.next().map(|(name, _)| name.clone())),
            Ordering::Equal => {
                if let (Some((name, a)), Some((_, b))) = (old.next(), new.next())
                    && a != b
                {
                    differing.push(name.clone());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_name_has_one_form_and_the_order_of_its_text() {
        let spelled = names::ALL.iter().copied().chain(["attributes.title", "attributes.a", "archived", "zz", ""]);
        let forms: Vec<AttributeName> = spelled.map(AttributeName::parse).collect();
        assert_eq!(AttributeName::fixed("kind"), AttributeName::parse("kind"));
        assert_eq!(AttributeName::fixed("attributes.title"), AttributeName::extra("title"));
        for a in &forms {
            for b in &forms {
                assert_eq!(a.cmp(b), a.as_str().cmp(b.as_str()), "{a} {b}");
                assert_eq!(a == b, a.as_str() == b.as_str(), "{a} {b}");
            }
        }
    }

    #[test]
    fn unknown_never_overwrites_and_empty_does() {
        let mut image: Attributes =
            [(names::FIRST_NAME, "Ann".into()), (names::LAST_NAME, "Lee".into())].into_iter().collect();
        let later: Attributes = [(names::LAST_NAME, Value::Empty)].into_iter().collect();
        image.merge(&later);
        assert_eq!(image.text(&names::FIRST_NAME), Some("Ann"));
        assert_eq!(image.get(&names::LAST_NAME), Some(&Value::Empty));
        assert_eq!(image.get(&names::USERNAME), None);
    }

    #[test]
    fn the_order_of_a_list_is_no_difference() {
        assert_eq!(Value::list(["b", "a", "b"]), Value::list(["a", "b"]));
    }

    #[test]
    fn attributes_read_back_from_json() {
        let attributes: Attributes = [
            (names::ALIASES, Value::list(["x@a.example"])),
            (names::LOCKED_OUT, true.into()),
            (names::FIRST_NAME, Value::Empty),
            (AttributeName::extra("employee_number"), Value::Int(7)),
        ]
        .into_iter()
        .collect();
        let json = serde_json::to_string(&attributes).unwrap();
        assert_eq!(serde_json::from_str::<Attributes>(&json).unwrap(), attributes);
    }
}
