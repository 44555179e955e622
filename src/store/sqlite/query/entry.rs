//! What the index keeps of one record: sort keys, words, and what it is filtered by.

use std::collections::BTreeSet;

use super::fold::{self, Gram};
use crate::error::Result;
use crate::model::{
    AttributeName, EndpointName, MfaState, ObjectKind, Record, SortBy, SourceId, UserState, Value, names,
};
use crate::store::codec::{self, Reader};
use crate::store::sqlite::kind_number;

/// One record in the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) kind: i64,
    pub(super) keys: [Option<Vec<u8>>; 3],
    pub(super) text: String,
    pub(super) facets: Vec<u8>,
}

/// What the terms begin with that text is searched by; select.rs lists those of domains.
const GRAM: u8 = b'g';
const PART: u8 = b'h';
const OF_LOGIN: u8 = b'U';
const DOMAIN: u8 = b'D';

/// What a posting is kept under.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Term {
    Gram(Gram),
    Facet(Box<[u8]>),
}

impl Term {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Gram(gram) => {
                let mut bytes = vec![GRAM];
                bytes.extend_from_slice(&gram.to_be_bytes());
                bytes
            }
            Self::Facet(facet) => facet.to_vec(),
        }
    }

    pub(super) fn kind(kind: ObjectKind) -> Self {
        Self::facet(b'k', kind.as_str().as_bytes())
    }

    pub(super) fn state(state: UserState) -> Self {
        Self::facet(b's', state.as_str().as_bytes())
    }

    pub(super) fn mfa(mfa: MfaState) -> Self {
        Self::facet(b'm', mfa.as_str().as_bytes())
    }

    pub(super) fn archived() -> Self {
        Self::facet(b'a', b"")
    }

    pub(super) fn missing() -> Self {
        Self::facet(b'x', b"")
    }

    pub(super) fn locked() -> Self {
        Self::facet(b'l', b"")
    }

    /// Users in no group but those that stand for endpoints.
    pub(super) fn ungrouped() -> Self {
        Self::facet(b'u', b"")
    }

    pub(super) fn locked_out() -> Self {
        Self::facet(b'o', b"")
    }

    pub(super) fn source(endpoint: &EndpointName) -> Self {
        Self::facet(b'e', endpoint.as_str().as_bytes())
    }

    pub(super) fn tag(tag: &str) -> Self {
        Self::facet(b't', tag.as_bytes())
    }

    /// Names with this part, of four characters to twelve.
    pub(super) fn part(part: &str) -> Self {
        Self::facet(PART, part.as_bytes())
    }

    /// Login names, and addresses before their `@`, with this run of three characters.
    pub(super) fn of_login(gram: Gram) -> Self {
        Self::facet(OF_LOGIN, &gram.to_be_bytes())
    }

    /// Addresses in this domain.
    pub(super) fn domain(domain: &str) -> Self {
        Self::facet(DOMAIN, domain.as_bytes())
    }

    /// Keys of a column that begin with so many characters.
    pub(super) fn beginning(column: usize, depth: usize, beginning: &[u8]) -> Self {
        let mut bytes = Self::beginnings(column, depth);
        bytes.remove(0);
        bytes.extend_from_slice(beginning);
        Self::facet(b'p', &bytes)
    }

    /// Returns what the terms of all beginnings of a column, at a depth, begin with.
    #[allow(clippy::cast_possible_truncation)] // three columns, eight depths
    pub(super) fn beginnings(column: usize, depth: usize) -> Vec<u8> {
        vec![b'p', column as u8, depth as u8]
    }

    /// Computers that an endpoint says are somebody's.
    pub(super) fn owned_by(endpoint: &EndpointName, owner: &SourceId) -> Self {
        let mut facet = endpoint.as_str().as_bytes().to_vec();
        facet.push(0);
        facet.extend_from_slice(&owner.key().0);
        Self::facet(b'w', &facet)
    }

    fn facet(sort: u8, value: &[u8]) -> Self {
        let mut facet = Vec::with_capacity(value.len() + 1);
        facet.push(sort);
        facet.extend_from_slice(value);
        Self::Facet(facet.into())
    }
}

/// Returns the column that keeps an order of a kind of record, if it has it.
pub(super) fn column(kind: ObjectKind, by: SortBy) -> Option<usize> {
    match (kind, by) {
        (ObjectKind::User | ObjectKind::Group, SortBy::PrimaryEmail) => Some(0),
        (ObjectKind::User, SortBy::FirstName) | (ObjectKind::Group | ObjectKind::Computer, SortBy::Name) => Some(1),
        (ObjectKind::User, SortBy::LastName) => Some(2),
        _ => None,
    }
}

impl Entry {
    /// Describes a record that is there. `grouped` tells whether it is in a group.
    pub(super) fn of(record_no: i64, record: &Record, grouped: bool) -> Self {
        let attributes = &record.attributes;
        let text = |name: AttributeName| attributes.text(&name);
        let key = |parts: &[Option<&str>]| Some(fold::sort_key(parts, record_no));
        let (email, name) = (text(names::PRIMARY_EMAIL), text(names::NAME));
        let (first, last) = (text(names::FIRST_NAME), text(names::LAST_NAME));
        let keys = match record.kind {
            ObjectKind::User => [key(&[email]), key(&[first, last, email]), key(&[last, first, email])],
            ObjectKind::Group => [key(&[text(names::EMAIL), name]), key(&[name]), None],
            ObjectKind::Computer => [None, key(&[name]), None],
        };
        Self { kind: kind_number(record.kind), keys, text: searched(record), facets: facets(record, grouped) }
    }

    /// Adds addresses that do not show, because another endpoint's or a local value counts.
    pub(super) fn also_known_as(&mut self, addresses: impl IntoIterator<Item = String>) {
        for address in addresses {
            let folded = fold::fold(&address);
            if !self.addresses().contains(&hash(&folded)) {
                codec::push_bytes(&mut self.facets, &[b"A", folded.as_bytes()].concat());
            }
        }
    }

    /// Lists its sort keys, each with the number of its order and the kind.
    pub(super) fn orders(&self) -> impl Iterator<Item = (i64, i64, &[u8])> {
        (1..).zip(&self.keys).filter_map(|(by, key)| Some((by, self.kind, key.as_deref()?)))
    }

    /// Calls something for each term that it is found by; for some more than once.
    pub(super) fn each_term(&self, mut each: impl FnMut(&[u8])) -> Result<()> {
        let mut term = Vec::with_capacity(64);
        let mut emit = |sort: u8, value: &[u8]| {
            term.clear();
            term.push(sort);
            term.extend_from_slice(value);
            each(&term);
        };
        let (of_names, own) = self.text.split_once(BEHIND_NAMES).unwrap_or((&self.text, ""));
        let (mut grams, mut of_logins) = (Vec::with_capacity(self.text.len() * 3), Vec::with_capacity(own.len()));
        for word in of_names.split(' ') {
            fold::grams(word, &mut grams);
            if fold::is_short(word) {
                fold::parts(word, |part| emit(PART, part.as_bytes()));
            } else {
                fold::grams(word, &mut of_logins);
            }
        }
        for word in own.split(' ') {
            fold::grams(word, &mut grams);
            let (login, domain) = word.rsplit_once('@').unwrap_or((word, ""));
            fold::grams(login, &mut of_logins);
            if !domain.is_empty() {
                emit(DOMAIN, domain.as_bytes());
            }
        }
        of_logins.retain(|gram| *gram >= fold::OF_THREE);
        for (sort, mut grams) in [(GRAM, grams), (OF_LOGIN, of_logins)] {
            grams.sort_unstable();
            grams.dedup();
            for gram in grams {
                emit(sort, &gram.to_be_bytes());
            }
        }
        let mut reader = Reader::new(&self.facets, "the index");
        while !reader.is_at_end() {
            each(reader.bytes()?);
        }
        for (column, key) in self.keys.iter().enumerate() {
            let Some(key) = key else { continue };
            let beginnings = fold::beginnings(key);
            if beginnings.is_empty() {
                each(&Term::beginning(column, 0, &[]).to_bytes());
            }
            for (at, beginning) in beginnings.iter().enumerate() {
                term.clear();
                term.extend_from_slice(&Term::beginnings(column, at + 1));
                term.extend_from_slice(beginning);
                each(&term);
            }
        }
        Ok(())
    }

    /// Returns the hashes of the addresses, each once.
    pub(super) fn addresses(&self) -> BTreeSet<i64> {
        let shown = self.text.split([' ', BEHIND_NAMES]).filter(|word| word.contains('@')).map(hash);
        let mut reader = Reader::new(&self.facets, "the index");
        let mut others = Vec::new();
        while !reader.is_at_end() {
            let Ok(facet) = reader.bytes() else { break };
            let address = facet.strip_prefix(b"A").and_then(|address| std::str::from_utf8(address).ok());
            others.extend(address.map(hash));
        }
        shown.chain(others).collect()
    }
}

/// Stands between the words of names and those that are nearly everybody's own: addresses, login names.
pub(super) const BEHIND_NAMES: char = '\n';

/// Returns the hash under which an address is kept, folded as words are.
pub(super) fn hash(address: &str) -> i64 {
    i64::from_ne_bytes(xxhash_rust::xxh3::xxh3_64(address.as_bytes()).to_ne_bytes())
}

/// Puts the words together that are searched: names, then logins and addresses.
fn searched(record: &Record) -> String {
    let names = [names::FIRST_NAME, names::LAST_NAME, names::DISPLAY_NAME, names::NAME];
    let own = [names::PRIMARY_EMAIL, names::USERNAME, names::ALIASES, names::EMAIL, names::DNS_NAME];
    // Computers are called like nobody else.
    let (names, own): (&[_], Vec<_>) = match record.kind {
        ObjectKind::Computer => (&[], names.into_iter().chain(own).collect()),
        _ => (&names, own.into()),
    };
    let words = |wanted: &[AttributeName]| {
        let mut words = Vec::new();
        for name in wanted {
            match record.attributes.get(name) {
                Some(Value::Text(text)) => words.append(&mut fold::words(text)),
                Some(Value::List(items)) => items.iter().for_each(|item| words.append(&mut fold::words(item))),
                _ => {}
            }
        }
        words.sort_unstable();
        words.dedup();
        words.join(" ")
    };
    format!("{}{BEHIND_NAMES}{}", words(names), words(&own))
}

fn facets(record: &Record, grouped: bool) -> Vec<u8> {
    let attributes = &record.attributes;
    let mut found = vec![Term::kind(record.kind)];
    if record.kind == ObjectKind::User {
        found.extend(attributes.text(&names::STATE).and_then(UserState::from_spelling).map(Term::state));
        let mfa = attributes.text(&names::MFA).and_then(MfaState::from_spelling);
        found.push(Term::mfa(mfa.unwrap_or(MfaState::Unknown)));
        if !grouped {
            found.push(Term::ungrouped());
        }
    }
    let is = |name: AttributeName| attributes.get(&name) == Some(&Value::Bool(true));
    let flags = [
        (record.archived, Term::archived()),
        (record.missing_since.is_some(), Term::missing()),
        (record.lock.is_some(), Term::locked()),
        (is(names::LOCKED_OUT), Term::locked_out()),
    ];
    found.extend(flags.into_iter().filter(|(is, _)| *is).map(|(_, term)| term));
    found.extend(record.identities.iter().map(|identity| Term::source(&identity.endpoint)));
    if let Some(lock) = &record.lock {
        found.push(Term::source(&lock.endpoint));
    }
    if let (Some(owner), Some(source_id)) = (&record.owner, attributes.text(&names::OWNER)) {
        found.push(Term::owned_by(&owner.endpoint, &SourceId::parse(source_id)));
    }
    if let Some(Value::List(tags)) = attributes.get(&names::TAGS) {
        found.extend(tags.iter().map(|tag| Term::tag(tag)));
    }
    found.sort_unstable();
    found.dedup();
    let mut packed = Vec::new();
    for term in found {
        if let Term::Facet(facet) = term {
            codec::push_bytes(&mut packed, &facet);
        }
    }
    packed
}
