//! What a query has to find, computed from all records one by one: no index, and a folding of its own.

use std::collections::{BTreeMap, BTreeSet};

use tenantry::Store;
use tenantry::model::{
    CustomerId, EndpointName, Filter, MfaState, Nesting, ObjectKind, Order, Query, Record, RecordId, SortBy, Value,
    names,
};

/// All records of all customers.
pub(crate) struct Everything {
    records: Vec<(CustomerId, Record)>,
    members: BTreeMap<RecordId, Vec<RecordId>>,
    /// Who is in a group that does not stand for an endpoint.
    grouped: BTreeSet<RecordId>,
}

/// Letters that the test's names are made of, and what they are without case and accents.
const FOLDED: [(char, &str); 22] = [
    ('ü', "u"),
    ('Ü', "u"),
    ('ö', "o"),
    ('Ö', "o"),
    ('é', "e"),
    ('É', "e"),
    ('ß', "ss"),
    ('Ó', "o"),
    ('ó', "o"),
    ('ø', "o"),
    ('Ø', "o"),
    ('Ł', "l"),
    ('ł', "l"),
    ('ñ', "n"),
    ('ç', "c"),
    ('Ж', "ж"),
    ('И', "и"),
    ('Σ', "σ"),
    ('ς', "σ"),
    ('\u{301}', ""),
    ('ﬁ', "fi"),
    ('Ａ', "a"),
];

pub(crate) fn fold(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match FOLDED.iter().find(|(letter, _)| *letter == c) {
            Some((_, folded)) => out.push_str(folded),
            None => out.push(c.to_ascii_lowercase()),
        }
    }
    out
}

impl Everything {
    pub(crate) fn of(store: &dyn Store, customers: &BTreeSet<CustomerId>) -> Self {
        let mut records = Vec::new();
        let mut members = BTreeMap::new();
        for customer in customers {
            for kind in ObjectKind::ALL {
                for record in store.records(customer, *kind, None, usize::MAX >> 1).unwrap() {
                    if *kind == ObjectKind::Group {
                        members.insert(record.id, store.members(customer, record.id).unwrap().0);
                    }
                    records.push((customer.clone(), record));
                }
            }
        }
        let own = |id: &RecordId| {
            let group = records.iter().map(|(_, record)| record).find(|record| record.id == *id);
            group.and_then(|group| group.attributes.text(&names::KIND)) == Some("endpoint")
        };
        let grouped = members.iter().filter(|(group, _)| !own(group)).flat_map(|(_, all)| all.clone()).collect();
        Self { records, members, grouped }
    }

    pub(crate) fn record(&self, id: RecordId) -> Option<&Record> {
        self.records.iter().map(|(_, record)| record).find(|record| record.id == id)
    }

    /// Everybody in a group, however deep.
    fn members(&self, group: RecordId, nesting: Nesting) -> BTreeSet<RecordId> {
        let mut found: BTreeSet<RecordId> = BTreeSet::new();
        let mut open = vec![group];
        let mut seen = BTreeSet::new();
        while let Some(group) = open.pop() {
            if !seen.insert(group) {
                continue;
            }
            for member in self.members.get(&group).into_iter().flatten() {
                found.insert(*member);
                if nesting == Nesting::Nested {
                    open.push(*member);
                }
            }
        }
        found
    }

    /// Returns what a query finds: sort keys and ids, in ascending order.
    pub(crate) fn find(&self, query: &Query) -> Vec<(Vec<(bool, String)>, RecordId)> {
        let members = query.filter.group.map(|(group, nesting)| {
            let of_customer = self
                .records
                .iter()
                .filter(|(customer, _)| query.customers.contains(customer))
                .any(|(_, record)| record.id == group);
            if of_customer { self.members(group, nesting) } else { BTreeSet::new() }
        });
        let mut found: Vec<_> = self
            .records
            .iter()
            .filter(|(customer, record)| query.customers.contains(customer) && record.kind == query.kind)
            .filter(|(_, record)| members.as_ref().is_none_or(|members| members.contains(&record.id)))
            .filter(|(_, record)| fits(&query.filter, record))
            .filter(|(_, record)| {
                query.filter.grouped.is_none_or(|grouped| self.grouped.contains(&record.id) == grouped)
            })
            .map(|(_, record)| (key(record, query.sort.by), record.id))
            .collect();
        found.sort();
        if query.sort.order == Order::Descending {
            found.reverse();
        }
        found
    }
}

fn fits(filter: &Filter, record: &Record) -> bool {
    let text = |name| record.attributes.text(&name);
    let spelled = |name| text(name).unwrap_or_default().to_owned();
    let is = |name| record.attributes.get(&name) == Some(&Value::Bool(true));
    let sources: BTreeSet<EndpointName> = record
        .identities
        .iter()
        .map(|one| one.endpoint.clone())
        .chain(record.lock.iter().map(|lock| lock.endpoint.clone()))
        .collect();
    let mfa = MfaState::from_spelling(&spelled(names::MFA)).unwrap_or(MfaState::Unknown);
    filter.states.as_ref().is_none_or(|states| states.iter().any(|state| state.as_str() == spelled(names::STATE)))
        && filter.mfa.as_ref().is_none_or(|wanted| record.kind == ObjectKind::User && wanted.contains(&mfa))
        && filter.archived.is_none_or(|archived| archived == record.archived)
        && filter.missing.is_none_or(|missing| missing == record.missing_since.is_some())
        && filter.locked.is_none_or(|locked| locked == record.lock.is_some())
        && filter.locked_out.is_none_or(|out| out == is(names::LOCKED_OUT))
        && filter.source.as_ref().is_none_or(|source| sources.contains(source))
        && filter.tag.as_ref().is_none_or(|tag| match record.attributes.get(&names::TAGS) {
            Some(Value::List(tags)) => tags.iter().any(|one| **one == **tag),
            _ => false,
        })
        && filter.search.as_ref().is_none_or(|search| {
            let fields = fields(record);
            fold(search).split_whitespace().all(|word| fields.iter().any(|field| field.contains(word)))
        })
        && filter.prefix.as_ref().is_none_or(|(by, prefix)| {
            let (_, name) = key(record, *by).swap_remove(0);
            prefix.trim().is_empty() || name.starts_with(fold(prefix).trim_start())
        })
}

fn fields(record: &Record) -> Vec<String> {
    let mut fields = Vec::new();
    for name in
        ["first_name", "last_name", "display_name", "primary_email", "username", "aliases", "name", "email", "dns_name"]
    {
        match record.attributes.get(&tenantry::model::AttributeName::parse(name)) {
            Some(Value::Text(text)) => fields.push(fold(text)),
            Some(Value::List(items)) => fields.extend(items.iter().map(|item| fold(item))),
            _ => {}
        }
    }
    fields
}

/// The key of a record: whether each part is missing, and the part.
pub(crate) fn key(record: &Record, by: SortBy) -> Vec<(bool, String)> {
    let part = |name| {
        let text = fold(record.attributes.text(&name).unwrap_or_default()).trim().to_owned();
        (text.is_empty(), text)
    };
    let email = if record.kind == ObjectKind::Group { names::EMAIL } else { names::PRIMARY_EMAIL };
    match by {
        SortBy::PrimaryEmail if record.kind == ObjectKind::Group => vec![part(email), part(names::NAME)],
        SortBy::PrimaryEmail => vec![part(email)],
        SortBy::FirstName => vec![part(names::FIRST_NAME), part(names::LAST_NAME), part(email)],
        SortBy::LastName => vec![part(names::LAST_NAME), part(names::FIRST_NAME), part(email)],
        SortBy::Name => vec![part(names::NAME)],
    }
}
