//! Everything that the organisation holds, and the ways to find it; it knows no handle and no request.

use std::collections::{BTreeMap, HashMap};

use roaring::RoaringBitmap;

use super::fold::{Folding, Matching, starts};
use super::index::Index;
use super::recipient::{Id, Kind, Member, PersonalContact, Recipient, Rule};

#[derive(Debug, Clone)]
pub(crate) struct State {
    pub(crate) domain: String,
    pub(crate) organisation: String,
    pub(crate) folding: Folding,
    pub(crate) matching: Matching,
    recipients: BTreeMap<u32, Recipient>,
    next: u32,
    names: Index,
    addresses: Index,
    /// By folded address with its routing prefix, by `ex:` and legacy name, and by `alias:`.
    exact: HashMap<String, Vec<u32>>,
    pub(crate) personal: Vec<PersonalContact>,
}

impl State {
    pub(crate) fn new(domain: &str) -> Self {
        let first = domain.split('.').next().unwrap_or(domain);
        Self {
            domain: domain.to_owned(),
            organisation: first[..1.min(first.len())].to_uppercase() + first.get(1..).unwrap_or_default(),
            folding: Folding::default(),
            matching: Matching::default(),
            recipients: BTreeMap::new(),
            next: 1,
            names: Index::default(),
            addresses: Index::default(),
            exact: HashMap::new(),
            personal: Vec::new(),
        }
    }

    /// Compares and matches otherwise from now on.
    pub(crate) fn rebuild(&mut self, folding: Folding, matching: Matching) {
        (self.folding, self.matching) = (folding, matching);
        (self.names, self.addresses, self.exact) = Default::default();
        for (place, recipient) in std::mem::take(&mut self.recipients) {
            self.enter(place, recipient);
        }
    }

    pub(crate) fn add(&mut self, mut recipient: Recipient) -> Id {
        self.complete(&mut recipient);
        let place = self.next;
        self.next += 1;
        self.enter(place, recipient);
        Id(place)
    }

    fn complete(&self, recipient: &mut Recipient) {
        if recipient.display_name.is_empty() {
            recipient.alias.clone_into(&mut recipient.display_name);
        }
        if recipient.primary_address().is_none() && !recipient.alias.is_empty() {
            // First of all, so that proxies that were given by hand come after it.
            recipient.addresses.insert(0, format!("SMTP:{}@{}", recipient.alias, self.domain));
        }
        if recipient.legacy_name.is_empty() {
            recipient.legacy_name = format!(
                "/o={}/ou=Exchange Administrative Group (FYDIBOHF23SPDLT)/cn=Recipients/cn={}",
                self.organisation, recipient.alias
            );
        }
    }

    /// Puts a recipient at its place and into all indices.
    fn enter(&mut self, place: u32, recipient: Recipient) {
        if !recipient.hidden {
            for key in self.name_keys(&recipient) {
                self.names.insert(&key, place);
            }
            for key in self.address_keys(&recipient) {
                self.addresses.insert(&key, place);
            }
        }
        for key in self.exact_keys(&recipient) {
            let places = self.exact.entry(key).or_default();
            if let Err(at) = places.binary_search(&place) {
                places.insert(at, place);
            }
        }
        self.recipients.insert(place, recipient);
    }

    /// Takes a recipient out of its place and of all indices.
    fn leave(&mut self, place: u32) -> Option<Recipient> {
        let recipient = self.recipients.remove(&place)?;
        let names = self.name_keys(&recipient);
        self.names.remove(names.iter().map(String::as_str), place);
        let addresses = self.address_keys(&recipient);
        self.addresses.remove(addresses.iter().map(String::as_str), place);
        for key in self.exact_keys(&recipient) {
            if let Some(places) = self.exact.get_mut(&key) {
                places.retain(|other| *other != place);
                if places.is_empty() {
                    self.exact.remove(&key);
                }
            }
        }
        Some(recipient)
    }

    pub(crate) fn edit<T>(&mut self, id: Id, change: impl FnOnce(&mut Recipient) -> T) -> Option<T> {
        let mut recipient = self.leave(id.0)?;
        let made = change(&mut recipient);
        self.enter(id.0, recipient);
        Some(made)
    }

    /// Edits what is in no index.
    pub(crate) fn edit_members<T>(&mut self, id: Id, change: impl FnOnce(&mut Vec<Member>) -> T) -> Option<T> {
        self.recipients.get_mut(&id.0).map(|recipient| change(&mut recipient.members))
    }

    pub(crate) fn remove(&mut self, id: Id) -> Option<Recipient> {
        let gone = self.leave(id.0)?;
        for other in self.recipients.values_mut() {
            other.members.retain(|member| member.recipient() != Some(id));
            if other.manager == Some(id) {
                other.manager = None;
            }
        }
        Some(gone)
    }

    pub(crate) fn get(&self, id: Id) -> Option<&Recipient> {
        self.recipients.get(&id.0)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (Id, &Recipient)> {
        self.recipients.iter().map(|(place, recipient)| (Id(*place), recipient))
    }

    pub(crate) fn count(&self) -> usize {
        self.recipients.len()
    }

    /// The attributes that are searched by name.
    fn names(recipient: &Recipient) -> [&str; 5] {
        let full = if recipient.full_name.is_empty() { &recipient.display_name } else { &recipient.full_name };
        [&recipient.display_name, full, &recipient.first_name, &recipient.last_name, &recipient.office]
    }

    fn name_keys(&self, recipient: &Recipient) -> Vec<String> {
        let mut keys = Vec::new();
        let mut take = |text: &str, parts: bool| {
            let folded = self.folding.fold(text.trim());
            keys.extend(starts(&folded).take(if parts { usize::MAX } else { 1 }).map(str::to_owned));
        };
        for name in Self::names(recipient) {
            take(name, self.matching != Matching::Attributes);
        }
        for address in [recipient.alias.as_str(), recipient.primary_address().unwrap_or_default()] {
            take(address, self.matching == Matching::Parts);
        }
        // A key that another one begins with finds nothing more.
        keys.sort_unstable();
        keys.dedup_by(|later, earlier| {
            let same = later.starts_with(earlier.as_str());
            if same {
                std::mem::swap(later, earlier);
            }
            same
        });
        keys.retain(|key| !key.is_empty());
        keys
    }

    fn address_keys(&self, recipient: &Recipient) -> Vec<String> {
        recipient.addresses.iter().map(|address| self.folding.fold(address)).collect()
    }

    fn exact_keys(&self, recipient: &Recipient) -> Vec<String> {
        let mut keys = self.address_keys(recipient);
        keys.push(format!("ex:{}", self.folding.fold(&recipient.legacy_name)));
        keys.push(format!("alias:{}", self.folding.fold(&recipient.alias)));
        keys
    }

    /// Who is found by a name: all who match the whole, and those whose first and last names match two words.
    pub(crate) fn named<'a>(&'a self, entry: &str) -> Box<dyn Iterator<Item = (Id, &'a Recipient)> + 'a> {
        let entry = self.folding.fold(entry.trim());
        let whole = self.names.starting(&entry);
        let Some((one, other)) = entry.split_once(' ').map(|(one, other)| (one.to_owned(), other.trim().to_owned()))
        else {
            return Box::new(whole.filter_map(|place| self.at(place)));
        };
        // Who has both words at all is soon found; whether they are first and last name is asked of few.
        let others: RoaringBitmap = self.names.starting(&other).collect();
        let both = self.names.starting(&one).filter(move |place| others.contains(*place)).filter(move |place| {
            self.recipients.get(place).is_some_and(|recipient| {
                let first = self.folding.fold(&recipient.first_name);
                let last = self.folding.fold(&recipient.last_name);
                (first.starts_with(&one) && last.starts_with(&other))
                    || (last.starts_with(&one) && first.starts_with(&other))
            })
        });
        let mut places: Vec<u32> = whole.chain(both).collect();
        places.sort_unstable();
        places.dedup();
        Box::new(places.into_iter().filter_map(|place| self.at(place)))
    }

    fn at(&self, place: u32) -> Option<(Id, &Recipient)> {
        self.recipients.get(&place).map(|recipient| (Id(place), recipient))
    }

    /// Who has an address that begins so, routing prefix and all.
    pub(crate) fn addressed<'a>(&'a self, entry: &str) -> Box<dyn Iterator<Item = (Id, &'a Recipient)> + 'a> {
        let places = self.addresses.starting(&self.folding.fold(entry));
        Box::new(places.filter_map(|place| self.at(place)))
    }

    /// Who has exactly this key, hidden or not: `smtp:…`, `ex:…`, `alias:…`.
    pub(crate) fn exactly<'a>(&'a self, key: &str) -> impl Iterator<Item = (Id, &'a Recipient)> + use<'a> {
        self.exact.get(&self.folding.fold(key)).into_iter().flatten().filter_map(|place| self.at(*place))
    }

    /// The members of a group as they are now.
    pub(crate) fn members(&self, group: &Recipient) -> Vec<Member> {
        let hit = |recipient: &Recipient| match &group.rule {
            Rule::Department(department) => {
                !recipient.kind.is_group() && self.folding.fold(&recipient.department) == self.folding.fold(department)
            }
            Rule::Kind(kind) => recipient.kind == *kind,
            Rule::Nobody => false,
        };
        match group.kind {
            Kind::DynamicGroup => self.all().filter(|(_, recipient)| hit(recipient)).map(|(id, _)| id.into()).collect(),
            _ => group.members.clone(),
        }
    }
}
