//! Search filters of RFC 4511 with Active Directory's matching rules; it knows no connection.

use std::collections::BTreeSet;
use std::fmt;

use super::ber::{Malformed, Reader};
use super::clock;
use super::directory::change::read_sid;
use super::directory::state::{Id, State};
use super::dn::Dn;
use super::ids::Guid;
use super::schema::{self, Syntax};
use super::view::View;

const BIT_AND: &str = "1.2.840.113556.1.4.803";
const BIT_OR: &str = "1.2.840.113556.1.4.804";
const IN_CHAIN: &str = "1.2.840.113556.1.4.1941";
/// Filters nested deeper than this are refused, so that no request can exhaust the stack.
const DEPTH: usize = 100;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Filter {
    And(Vec<Filter>),
    Or(Vec<Filter>),
    Not(Box<Filter>),
    Equal(String, Vec<u8>),
    Substrings(String, Vec<(u8, Vec<u8>)>),
    AtLeast(String, Vec<u8>),
    AtMost(String, Vec<u8>),
    Present(String),
    Approximate(String, Vec<u8>),
    Extensible { rule: Option<String>, name: Option<String>, value: Vec<u8> },
}

impl Filter {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Self::read_at(reader, 0)
    }

    fn read_at(reader: &mut Reader<'_>, depth: usize) -> Result<Self, Malformed> {
        if depth > DEPTH {
            return Err(Malformed);
        }
        let (tag, value) = reader.next()?;
        let mut inner = Reader::new(value);
        let pair = |inner: &mut Reader<'_>| Ok((inner.text(0x04)?, inner.expect(0x04)?.to_vec()));
        Ok(match tag {
            0xa0 | 0xa1 => {
                let mut parts = Vec::new();
                while !inner.is_empty() {
                    parts.push(Self::read_at(&mut inner, depth + 1)?);
                }
                if tag == 0xa0 { Self::And(parts) } else { Self::Or(parts) }
            }
            0xa2 => Self::Not(Box::new(Self::read_at(&mut inner, depth + 1)?)),
            0xa3 => pair(&mut inner).map(|(name, value)| Self::Equal(name, value))?,
            0xa4 => {
                let name = inner.text(0x04)?;
                let mut parts = Vec::new();
                let mut list = Reader::new(inner.expect(0x30)?);
                while !list.is_empty() {
                    let (place, part) = list.next()?;
                    if !(0x80..=0x82).contains(&place) {
                        return Err(Malformed);
                    }
                    parts.push((place, part.to_vec()));
                }
                Self::Substrings(name, parts)
            }
            0xa5 => pair(&mut inner).map(|(name, value)| Self::AtLeast(name, value))?,
            0xa6 => pair(&mut inner).map(|(name, value)| Self::AtMost(name, value))?,
            0x87 => Self::Present(String::from_utf8(value.to_vec()).map_err(|_| Malformed)?),
            0xa8 => pair(&mut inner).map(|(name, value)| Self::Approximate(name, value))?,
            0xa9 => {
                let (mut rule, mut name, mut found) = (None, None, None);
                while !inner.is_empty() {
                    let (tag, value) = inner.next()?;
                    let text = || String::from_utf8(value.to_vec()).map_err(|_| Malformed);
                    match tag {
                        0x81 => rule = Some(text()?),
                        0x82 => name = Some(text()?),
                        0x83 => found = Some(value.to_vec()),
                        0x84 => {}
                        _ => return Err(Malformed),
                    }
                }
                Self::Extensible { rule, name, value: found.ok_or(Malformed)? }
            }
            _ => return Err(Malformed),
        })
    }

    /// Resolves everything that needs the directory once, not per entry.
    pub(crate) fn prepare(&self, state: &State) -> Test {
        let all = |parts: &[Self]| parts.iter().map(|part| part.prepare(state)).collect();
        match self {
            Self::And(parts) => Test::And(all(parts)),
            Self::Or(parts) => Test::Or(all(parts)),
            Self::Not(part) => Test::Not(Box::new(part.prepare(state))),
            Self::Equal(name, value) | Self::Approximate(name, value) => equal(state, &bare(name), value),
            Self::Substrings(name, parts) => {
                let parts = parts.iter().map(|(place, part)| (*place, lower(part))).collect();
                Test::Substrings(bare(name), parts)
            }
            Self::AtLeast(name, value) => Test::Ordered(bare(name), value.clone(), std::cmp::Ordering::Greater),
            Self::AtMost(name, value) => Test::Ordered(bare(name), value.clone(), std::cmp::Ordering::Less),
            Self::Present(name) => Test::Present(bare(name)),
            Self::Extensible { rule, name: Some(name), value } => {
                let (name, text) = (bare(name), String::from_utf8_lossy(value).into_owned());
                match (rule.as_deref(), text.parse::<i64>()) {
                    (Some(BIT_AND), Ok(bits)) => Test::AllBits(name, bits),
                    (Some(BIT_OR), Ok(bits)) => Test::AnyBit(name, bits),
                    (Some(IN_CHAIN), _) => chain(state, &name, &text),
                    (None, _) => equal(state, &name, value),
                    _ => Test::Undefined,
                }
            }
            Self::Extensible { .. } => Test::Undefined,
        }
    }
}

fn bare(name: &str) -> String {
    name.split(';').next().unwrap_or_default().to_lowercase()
}

fn lower(bytes: &[u8]) -> Vec<u8> {
    std::str::from_utf8(bytes).map_or_else(|_| bytes.to_ascii_lowercase(), |text| text.to_lowercase().into_bytes())
}

fn named(state: &State, text: &str) -> Option<Guid> {
    if let Some(inner) = text.strip_prefix('<').and_then(|text| text.strip_suffix('>')) {
        let (key, value) = inner.split_once('=')?;
        return match key.to_lowercase().as_str() {
            "guid" => value.parse().ok(),
            "sid" => state.by_sid.get(&read_sid(value)?).map(|id| state.entry(*id).guid),
            _ => None,
        };
    }
    let dn = Dn::parse(text)?;
    if let Ok(id) = state.resolve(&dn) {
        return Some(state.entry(id).guid);
    }
    let key = dn.normal();
    let mut known = state.phantoms.iter();
    known.find(|(_, phantom)| Dn::parse(&phantom.dn).is_some_and(|dn| dn.normal() == key)).map(|(guid, _)| *guid)
}

fn equal(state: &State, name: &str, value: &[u8]) -> Test {
    let text = String::from_utf8_lossy(value);
    if schema::is_link(name) || schema::forward_of(name).is_some() {
        return named(state, &text).map_or(Test::Nothing, |guid| Test::Linked(name.to_owned(), guid));
    }
    match (name, schema::syntax(name)) {
        // The short form of a category is the name of a class.
        ("objectcategory", _) if !text.contains('=') => match schema::category_of(&text) {
            Some(category) => {
                let dn = format!("CN={category},CN=Schema,CN=Configuration,{}", state.root_dn());
                Test::Equal(name.to_owned(), lower(dn.as_bytes()))
            }
            None => Test::Nothing,
        },
        ("objectsid", _) => match read_sid(&text) {
            Some(sid) => Test::Bytes(name.to_owned(), sid.to_wire()),
            None => Test::Bytes(name.to_owned(), value.to_vec()),
        },
        (_, Syntax::Octets) => Test::Bytes(name.to_owned(), value.to_vec()),
        (_, Syntax::Name) => match named(state, &text).and_then(|guid| state.target(guid)) {
            Some((dn, _)) => Test::Equal(name.to_owned(), lower(dn.as_bytes())),
            None => Test::Equal(name.to_owned(), lower(value)),
        },
        (_, Syntax::Integer) => {
            text.trim().parse().map_or(Test::Nothing, |number| Test::Number(name.to_owned(), number))
        }
        _ => Test::Equal(name.to_owned(), lower(value)),
    }
}

fn chain(state: &State, name: &str, text: &str) -> Test {
    let Some(start) = named(state, text).and_then(|guid| state.by_guid.get(&guid).copied()) else {
        return Test::Nothing;
    };
    let next = match (schema::back_of(name), schema::forward_of(name)) {
        (Some(back), _) => back,
        (None, Some(forward)) => forward,
        (None, None) => return Test::Undefined,
    };
    let (mut found, mut todo) = (BTreeSet::new(), vec![start]);
    while let Some(id) = todo.pop() {
        for id in state.linked(id, next).iter().filter_map(|guid| state.by_guid.get(guid)) {
            if found.insert(*id) {
                todo.push(*id);
            }
        }
    }
    Test::OneOf(found)
}

/// A filter that is ready to be applied to many entries.
#[derive(Debug)]
pub(crate) enum Test {
    And(Vec<Test>),
    Or(Vec<Test>),
    Not(Box<Test>),
    Equal(String, Vec<u8>),
    Bytes(String, Vec<u8>),
    Number(String, i64),
    Linked(String, Guid),
    OneOf(BTreeSet<Id>),
    Substrings(String, Vec<(u8, Vec<u8>)>),
    Ordered(String, Vec<u8>, std::cmp::Ordering),
    Present(String),
    AllBits(String, i64),
    AnyBit(String, i64),
    Nothing,
    Undefined,
}

impl Test {
    pub(crate) fn matches(&self, view: &View<'_>, id: Id) -> bool {
        self.verdict(view, id) == Some(true)
    }

    /// Three-valued after RFC 4511: `None` is undefined.
    fn verdict(&self, view: &View<'_>, id: Id) -> Option<bool> {
        let any = |name: &str, test: &dyn Fn(&[u8]) -> bool| {
            if schema::is_constructed(name) {
                return None;
            }
            let values = view.texts(id, name);
            Some(values.iter().any(|value| test(value)))
        };
        let number = |value: &[u8]| std::str::from_utf8(value).ok().and_then(|text| text.trim().parse::<i64>().ok());
        match self {
            Self::And(parts) => {
                let mut verdict = Some(true);
                for part in parts {
                    match part.verdict(view, id) {
                        Some(false) => return Some(false),
                        None => verdict = None,
                        Some(true) => {}
                    }
                }
                verdict
            }
            Self::Or(parts) => {
                let mut verdict = Some(false);
                for part in parts {
                    match part.verdict(view, id) {
                        Some(true) => return Some(true),
                        None => verdict = None,
                        Some(false) => {}
                    }
                }
                verdict
            }
            Self::Not(part) => part.verdict(view, id).map(|verdict| !verdict),
            Self::Equal(name, wanted) => {
                any(name, &|value| value.eq_ignore_ascii_case(wanted) || (!value.is_ascii() && lower(value) == *wanted))
            }
            Self::Bytes(name, wanted) => any(name, &|value| value == wanted),
            Self::Number(name, wanted) => any(name, &|value| number(value) == Some(*wanted)),
            Self::Linked(name, guid) => Some(view.links_to(id, name, *guid)),
            Self::OneOf(ids) => Some(ids.contains(&id)),
            Self::Substrings(name, parts) => any(name, &|value| substrings(&lower(value), parts)),
            Self::Ordered(name, wanted, order) => any(name, &|value| {
                let found = compare(name, value, wanted);
                found.is_some_and(|found| found == *order || found == std::cmp::Ordering::Equal)
            }),
            Self::Present(name) => Some(view.has(id, name)),
            Self::AllBits(name, bits) => any(name, &|value| number(value).is_some_and(|value| value & bits == *bits)),
            Self::AnyBit(name, bits) => any(name, &|value| number(value).is_some_and(|value| value & bits != 0)),
            Self::Nothing => Some(false),
            Self::Undefined => None,
        }
    }
}

fn compare(name: &str, value: &[u8], wanted: &[u8]) -> Option<std::cmp::Ordering> {
    let text = |bytes| std::str::from_utf8(bytes).ok();
    match schema::syntax(name) {
        Syntax::Integer => {
            let number = |bytes| text(bytes)?.trim().parse::<i64>().ok();
            Some(number(value)?.cmp(&number(wanted)?))
        }
        Syntax::Time => Some(clock::parse_generalized(text(value)?)?.cmp(&clock::parse_generalized(text(wanted)?)?)),
        _ => Some(lower(value).cmp(&lower(wanted))),
    }
}

fn substrings(value: &[u8], parts: &[(u8, Vec<u8>)]) -> bool {
    let mut rest = value;
    for (place, part) in parts {
        match place {
            0x80 => match rest.strip_prefix(part.as_slice()) {
                Some(after) => rest = after,
                None => return false,
            },
            0x82 => return rest.ends_with(part),
            _ => match rest.windows(part.len().max(1)).position(|window| window == part.as_slice()) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return part.is_empty(),
            },
        }
    }
    true
}

struct Escaped<'a>(&'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let special = |c: char| matches!(c, '(' | ')' | '*' | '\\' | '\0');
        match std::str::from_utf8(self.0) {
            Ok(text) if !text.chars().any(char::is_control) => text
                .chars()
                .try_for_each(|c| if special(c) { write!(f, "\\{:02x}", u32::from(c)) } else { write!(f, "{c}") }),
            _ => self.0.iter().try_for_each(|byte| write!(f, "\\{byte:02x}")),
        }
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = |f: &mut fmt::Formatter<'_>, sign: char, parts: &[Self]| {
            write!(f, "({sign}")?;
            parts.iter().try_for_each(|part| part.fmt(f))?;
            f.write_str(")")
        };
        match self {
            Self::And(parts) => all(f, '&', parts),
            Self::Or(parts) => all(f, '|', parts),
            Self::Not(part) => write!(f, "(!{part})"),
            Self::Equal(name, value) => write!(f, "({name}={})", Escaped(value)),
            Self::AtLeast(name, value) => write!(f, "({name}>={})", Escaped(value)),
            Self::AtMost(name, value) => write!(f, "({name}<={})", Escaped(value)),
            Self::Approximate(name, value) => write!(f, "({name}~={})", Escaped(value)),
            Self::Present(name) => write!(f, "({name}=*)"),
            Self::Substrings(name, parts) => {
                write!(f, "({name}=")?;
                for (at, (place, part)) in parts.iter().enumerate() {
                    if *place != 0x80 && at == 0 {
                        f.write_str("*")?;
                    }
                    Escaped(part).fmt(f)?;
                    if *place != 0x82 {
                        f.write_str("*")?;
                    }
                }
                f.write_str(")")
            }
            Self::Extensible { rule, name, value } => {
                write!(f, "({}", name.as_deref().unwrap_or_default())?;
                if let Some(rule) = rule {
                    write!(f, ":{rule}")?;
                }
                write!(f, ":={})", Escaped(value))
            }
        }
    }
}
