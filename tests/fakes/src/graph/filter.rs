//! `$filter` as far as directory objects answer it; it knows no paging.

use serde_json::Value;

use super::clock::parse_instant;
use super::error::Problem;
use super::ids::{Kind, Ref};
use super::properties;
use super::state::State;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Eq,
    Ne,
    Ge,
    Le,
}

/// A condition.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Filter {
    And(Box<Filter>, Box<Filter>),
    Or(Box<Filter>, Box<Filter>),
    Not(Box<Filter>),
    Compare(u8, Operator, Value),
    In(u8, Vec<Value>),
    StartsWith(u8, String),
    EndsWith(u8, String),
    /// `groupTypes/any(x:x eq 'Unified')` and its like.
    Any(u8, Operator, String),
}

#[derive(Debug, Clone, PartialEq)]
enum Word {
    Name(String),
    Text(String),
    Open,
    Close,
    Comma,
    Colon,
}

fn unsupported() -> Problem {
    Problem::unsupported("Unsupported or invalid query filter clause specified.")
}

fn words(text: &str) -> Result<Vec<Word>, Problem> {
    let mut words = Vec::new();
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            ' ' | '\t' => {}
            '(' => words.push(Word::Open),
            ')' => words.push(Word::Close),
            ',' => words.push(Word::Comma),
            ':' => words.push(Word::Colon),
            '\'' => {
                let mut value = String::new();
                loop {
                    match letters.next() {
                        // A doubled quote stands for one.
                        Some('\'') if letters.peek() == Some(&'\'') => {
                            letters.next();
                            value.push('\'');
                        }
                        Some('\'') => break,
                        Some(letter) => value.push(letter),
                        None => return Err(Problem::bad("Invalid filter clause: an unterminated text.")),
                    }
                }
                words.push(Word::Text(value));
            }
            _ => {
                let mut name = letter.to_string();
                // Instants hold colons; a lambda's colon follows a name of letters only.
                while let Some(next) = letters.peek().copied() {
                    let in_instant = next == ':' && name.starts_with(|first: char| first.is_ascii_digit());
                    if next == ' ' || (matches!(next, '(' | ')' | ',' | '\'' | ':') && !in_instant) {
                        break;
                    }
                    name.push(next);
                    letters.next();
                }
                words.push(Word::Name(name));
            }
        }
    }
    Ok(words)
}

struct Parser {
    kind: Kind,
    words: std::iter::Peekable<std::vec::IntoIter<Word>>,
    advanced: bool,
}

impl Parser {
    fn expect(&mut self, word: &Word) -> Result<(), Problem> {
        match self.words.next() {
            Some(found) if found == *word => Ok(()),
            _ => Err(Problem::bad("Invalid filter clause.")),
        }
    }

    fn takes(&mut self, name: &str) -> bool {
        let found = matches!(self.words.peek(), Some(Word::Name(word)) if word.eq_ignore_ascii_case(name));
        if found {
            self.words.next();
        }
        found
    }

    fn or(&mut self) -> Result<Filter, Problem> {
        let mut left = self.and()?;
        while self.takes("or") {
            left = Filter::Or(Box::new(left), Box::new(self.and()?));
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Filter, Problem> {
        let mut left = self.one()?;
        while self.takes("and") {
            left = Filter::And(Box::new(left), Box::new(self.one()?));
        }
        Ok(left)
    }

    fn one(&mut self) -> Result<Filter, Problem> {
        if self.takes("not") {
            self.advanced = true;
            return Ok(Filter::Not(Box::new(self.one()?)));
        }
        match self.words.next() {
            Some(Word::Open) => {
                let inner = self.or()?;
                self.expect(&Word::Close)?;
                Ok(inner)
            }
            Some(Word::Name(name)) if matches!(self.words.peek(), Some(Word::Open)) => self.function(&name),
            Some(Word::Name(name)) => self.comparison(&name),
            _ => Err(Problem::bad("Invalid filter clause.")),
        }
    }

    fn property(&self, name: &str) -> Result<u8, Problem> {
        properties::place(self.kind, name).ok_or_else(|| {
            Problem::bad(format!(
                "Could not find a property named '{name}' on type '{}'.",
                &self.kind.odata_type()[1..]
            ))
        })
    }

    fn function(&mut self, name: &str) -> Result<Filter, Problem> {
        self.expect(&Word::Open)?;
        if let Some(list) = name.strip_suffix("/any") {
            let place = self.property(list)?;
            let (Some(Word::Name(_)), Some(Word::Colon)) = (self.words.next(), self.words.next()) else {
                return Err(unsupported());
            };
            let starts = self.takes("startswith") || self.takes("startsWith");
            if starts {
                return Err(unsupported());
            }
            self.words.next();
            if !self.takes("eq") {
                return Err(unsupported());
            }
            let Some(Word::Text(value)) = self.words.next() else { return Err(unsupported()) };
            self.expect(&Word::Close)?;
            return Ok(Filter::Any(place, Operator::Eq, value));
        }
        let Some(Word::Name(property)) = self.words.next() else { return Err(unsupported()) };
        let place = self.property(&property)?;
        self.expect(&Word::Comma)?;
        let Some(Word::Text(value)) = self.words.next() else { return Err(unsupported()) };
        self.expect(&Word::Close)?;
        match name.to_ascii_lowercase().as_str() {
            "startswith" => Ok(Filter::StartsWith(place, value.to_lowercase())),
            "endswith" => {
                self.advanced = true;
                Ok(Filter::EndsWith(place, value.to_lowercase()))
            }
            _ => Err(unsupported()),
        }
    }

    fn comparison(&mut self, name: &str) -> Result<Filter, Problem> {
        let place = self.property(name)?;
        let Some(Word::Name(operator)) = self.words.next() else { return Err(unsupported()) };
        let operator = match operator.to_ascii_lowercase().as_str() {
            "eq" => Operator::Eq,
            "ne" => {
                self.advanced = true;
                Operator::Ne
            }
            "ge" => Operator::Ge,
            "le" => Operator::Le,
            "in" => {
                self.expect(&Word::Open)?;
                let mut values = vec![self.literal()?];
                while self.words.next_if_eq(&Word::Comma).is_some() {
                    values.push(self.literal()?);
                }
                self.expect(&Word::Close)?;
                if values.len() > 15 {
                    return Err(Problem::bad("Too many child clauses specified in search filter expression."));
                }
                return Ok(Filter::In(place, values));
            }
            // Directory objects know neither gt nor lt.
            _ => return Err(unsupported()),
        };
        Ok(Filter::Compare(place, operator, self.literal()?))
    }

    fn literal(&mut self) -> Result<Value, Problem> {
        match self.words.next() {
            Some(Word::Text(text)) => Ok(Value::String(text)),
            Some(Word::Name(name)) => Ok(match name.as_str() {
                "true" => Value::Bool(true),
                "false" => Value::Bool(false),
                "null" => Value::Null,
                number => number.parse::<i64>().map_or_else(|_| Value::String(number.to_owned()), Value::from),
            }),
            _ => Err(Problem::bad("Invalid filter clause.")),
        }
    }
}

fn fold(value: &Value) -> Option<String> {
    value.as_str().map(str::to_lowercase)
}

fn compare(found: &Value, operator: Operator, wanted: &Value) -> bool {
    match operator {
        Operator::Eq => found == wanted || (fold(found).is_some() && fold(found) == fold(wanted)),
        Operator::Ne => !compare(found, Operator::Eq, wanted),
        Operator::Ge | Operator::Le => {
            let order = match (found.as_i64(), wanted.as_i64()) {
                (Some(found), Some(wanted)) => found.cmp(&wanted),
                _ => match (fold(found), fold(wanted)) {
                    (Some(found), Some(wanted)) => found.cmp(&wanted),
                    _ => return false,
                },
            };
            if operator == Operator::Ge { order.is_ge() } else { order.is_le() }
        }
    }
}

impl Filter {
    /// Reads a filter; the flag says that it needs an advanced query.
    pub(crate) fn parse(kind: Kind, text: &str) -> Result<(Self, bool), Problem> {
        let mut parser = Parser { kind, words: words(text)?.into_iter().peekable(), advanced: false };
        let filter = parser.or()?;
        if parser.words.next().is_some() {
            return Err(Problem::bad("Invalid filter clause."));
        }
        Ok((filter, parser.advanced))
    }

    pub(crate) fn matches(&self, state: &State, object: Ref) -> bool {
        match self {
            Self::And(left, right) => left.matches(state, object) && right.matches(state, object),
            Self::Or(left, right) => left.matches(state, object) || right.matches(state, object),
            Self::Not(inner) => !inner.matches(state, object),
            Self::Compare(0, Operator::Eq, Value::String(id)) => {
                id.parse().ok().and_then(|id| state.find(id)) == Some(object)
            }
            Self::Compare(place, operator, wanted) => {
                let created = properties::place(object.kind(), "createdDateTime") == Some(*place);
                if created && let Some(at) = wanted.as_str().and_then(parse_instant) {
                    return state.created(object).is_some_and(|found| match operator {
                        Operator::Eq => found == at,
                        Operator::Ne => found != at,
                        Operator::Ge => found >= at,
                        Operator::Le => found <= at,
                    });
                }
                compare(&state.value(object, *place), *operator, wanted)
            }
            Self::In(place, values) => {
                let found = state.value(object, *place);
                values.iter().any(|value| compare(&found, Operator::Eq, value))
            }
            Self::StartsWith(place, start) => {
                fold(&state.value(object, *place)).is_some_and(|found| found.starts_with(start))
            }
            Self::EndsWith(place, end) => fold(&state.value(object, *place)).is_some_and(|found| found.ends_with(end)),
            Self::Any(place, _, wanted) => state.value(object, *place).as_array().is_some_and(|values| {
                values.iter().any(|value| compare(value, Operator::Eq, &Value::String(wanted.clone())))
            }),
        }
    }

    /// Bounds of the user principal names that can match: from the first, up to before the second.
    pub(crate) fn upn_bounds(&self) -> (Option<String>, Option<String>) {
        let upn = properties::place(Kind::User, "userPrincipalName").unwrap_or(u8::MAX);
        match self {
            Self::And(left, right) => {
                let ((a, b), (c, d)) = (left.upn_bounds(), right.upn_bounds());
                let end = match (b, d) {
                    (Some(b), Some(d)) => Some(b.min(d)),
                    (b, d) => b.or(d),
                };
                (a.max(c), end)
            }
            Self::Compare(place, operator, Value::String(text)) if *place == upn => {
                let text = text.to_lowercase();
                match operator {
                    Operator::Ge => (Some(text), None),
                    Operator::Le => (None, Some(text + "\u{0}")),
                    Operator::Eq => (Some(text.clone()), Some(text + "\u{0}")),
                    Operator::Ne => (None, None),
                }
            }
            Self::StartsWith(place, start) if *place == upn => {
                (Some(start.clone()), Some(format!("{start}\u{10ffff}")))
            }
            _ => (None, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_read_and_strange_ones_refused() {
        let parse = |text| Filter::parse(Kind::User, text);
        assert!(parse("userPrincipalName ge 'a' and userPrincipalName le 'm''x'").is_ok_and(|(_, advanced)| !advanced));
        assert!(parse("createdDateTime ge 2020-01-01T00:00:00Z and not(accountEnabled eq true)").is_ok_and(|(_, a)| a));
        assert!(parse("proxyAddresses/any(p:p eq 'smtp:a@tenant.example')").is_ok());
        assert_eq!(parse("displayName gt 'a'").map_err(|problem| problem.code), Err("Request_UnsupportedQuery".into()));
        assert_eq!(parse("nobody eq 'a'").map_err(|problem| problem.code), Err("Request_BadRequest".into()));
    }
}
