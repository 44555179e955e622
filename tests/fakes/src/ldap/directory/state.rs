//! The entries behind a directory handle: their tree, their attributes and how they are read; no request is known.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::account::Account;
use super::links::LinkSet;
use crate::ldap::clock::{self, Clock};
use crate::ldap::dn::{Dn, Rdn};
use crate::ldap::ids::{Guid, Sid};
use crate::ldap::schema;

/// An attribute name in lower case, shared.
pub(crate) type Name = Arc<str>;
pub(crate) type Value = Vec<u8>;

/// The place of an entry; entries are never taken out, deleted ones become tombstones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Id(pub(crate) usize);

impl Id {
    /// The domain itself, the first entry of all.
    pub(crate) const ROOT: Self = Self(0);
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    Live,
    Deleted,
    Recycled,
}

/// The values of a plain attribute with the USN of their last change; no values means cleared.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stored {
    pub(crate) values: Vec<Value>,
    pub(crate) usn: u64,
}

#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) guid: Guid,
    pub(crate) sid: Option<Sid>,
    pub(crate) parent: Option<Id>,
    pub(crate) rdn: Rdn,
    pub(crate) head: Option<Dn>,
    pub(crate) attributes: BTreeMap<Name, Stored>,
    pub(crate) links: BTreeMap<Name, LinkSet>,
    pub(crate) back: BTreeSet<(Name, Id)>,
    pub(crate) children: BTreeMap<String, Id>,
    pub(crate) usn_created: u64,
    pub(crate) usn_changed: u64,
    pub(crate) usn_named: u64,
    pub(crate) usn_moved: u64,
    pub(crate) usn_revived: u64,
    pub(crate) when_created: i64,
    pub(crate) when_changed: i64,
    pub(crate) life: Life,
    pub(crate) last_parent: Option<Id>,
    pub(crate) last_rdn: Option<String>,
}

impl Entry {
    pub(crate) fn plain(&self, name: &str) -> &[Value] {
        self.attributes.get(name).map_or(&[], |stored| stored.values.as_slice())
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.plain(name).first().and_then(|value| std::str::from_utf8(value).ok())
    }

    pub(crate) fn number(&self, name: &str) -> Option<i64> {
        self.text(name).and_then(|text| text.parse().ok())
    }

    pub(crate) fn has_class(&self, class: &str) -> bool {
        self.plain("objectclass").iter().any(|value| value.eq_ignore_ascii_case(class.as_bytes()))
    }
}

/// An object of another domain that links of this one point at.
#[derive(Debug, Clone)]
pub(crate) struct Phantom {
    pub(crate) dn: String,
    pub(crate) sid: Option<Sid>,
}

/// Why a change or a request was not done: an LDAP result code and its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: u32,
    pub(crate) text: String,
    pub(crate) matched: String,
    /// The address of a referral.
    pub(crate) referral: Option<String>,
}

impl Refusal {
    pub(crate) fn new(code: u32, text: impl Into<String>) -> Self {
        Self { code, text: text.into(), matched: String::new(), referral: None }
    }
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) entries: Vec<Entry>,
    pub(crate) by_guid: HashMap<Guid, Id>,
    pub(crate) by_sid: HashMap<Sid, Id>,
    pub(crate) by_account: HashMap<String, Id>,
    /// Naming contexts by normal name, the longest first.
    pub(crate) heads: Vec<(Dn, Id)>,
    pub(crate) phantoms: HashMap<Guid, Phantom>,
    pub(crate) accounts: HashMap<Guid, Account>,
    pub(crate) names: HashMap<String, (Name, Arc<str>)>,
    pub(crate) usn: u64,
    pub(crate) next_rid: u32,
    pub(crate) seed: u64,
    pub(crate) clock: Clock,
    pub(crate) recycle_bin: bool,
    pub(crate) domain_sid: Sid,
    pub(crate) netbios: String,
    pub(crate) invocation: Guid,
    pub(crate) deleted_objects: Id,
    pub(crate) well_known: Vec<(&'static str, Id)>,
    /// While a directory is furnished, ids are fixed and nothing counts as a change by somebody.
    pub(crate) host: String,
}

impl State {
    pub(crate) fn entry(&self, id: Id) -> &Entry {
        &self.entries[id.0]
    }

    pub(crate) fn entry_mut(&mut self, id: Id) -> &mut Entry {
        &mut self.entries[id.0]
    }

    pub(crate) fn root_dn(&self) -> Dn {
        self.entries[0].head.clone().unwrap_or_default()
    }

    /// Interns an attribute name and returns its lower-case form.
    pub(crate) fn name(&mut self, text: &str) -> Name {
        let lower = text.to_lowercase();
        if let Some((name, _)) = self.names.get(&lower) {
            return name.clone();
        }
        let name: Name = lower.as_str().into();
        let shown = schema::definition(&lower).map_or_else(|| text.into(), |found| found.shown.into());
        self.names.insert(lower, (name.clone(), shown));
        name
    }

    /// Returns the spelling of a name that answers use.
    pub(crate) fn shown<'a>(&'a self, lower: &'a str) -> &'a str {
        match self.names.get(lower) {
            Some((_, shown)) => shown,
            None => schema::definition(lower).map_or(lower, |found| found.shown),
        }
    }

    pub(crate) fn dn(&self, id: Id) -> String {
        let mut text = String::new();
        let mut at = Some(id);
        while let Some(entry) = at.map(|id| self.entry(id)) {
            if !text.is_empty() {
                text.push(',');
            }
            match &entry.head {
                Some(head) => {
                    text.push_str(&head.to_string());
                    break;
                }
                None => text.push_str(&entry.rdn.to_string()),
            }
            at = entry.parent;
        }
        text
    }

    pub(crate) fn head_of(&self, id: Id) -> Id {
        let mut at = id;
        while let Some(parent) = self.entry(at).parent {
            at = parent;
        }
        at
    }

    /// Finds the entry of a name; on failure gives the deepest one that exists.
    pub(crate) fn resolve(&self, dn: &Dn) -> Result<Id, Option<Id>> {
        let (head, top) = self.heads.iter().find(|(head, _)| dn.ends_with(head)).ok_or(None)?;
        let mut at = *top;
        for rdn in dn.0[..dn.0.len() - head.0.len()].iter().rev() {
            at = *self.entry(at).children.get(&rdn.normal()).ok_or(Some(at))?;
        }
        Ok(at)
    }

    /// Completes a name that does not end in a naming context with the domain's.
    pub(crate) fn complete(&self, text: &str) -> Option<Dn> {
        let mut dn = Dn::parse(text)?;
        if !dn.0.last().is_some_and(|rdn| rdn.attribute.eq_ignore_ascii_case("dc")) {
            dn.0.extend(self.root_dn().0);
        }
        Some(dn)
    }

    pub(crate) fn is_below(&self, id: Id, base: Id) -> bool {
        let mut at = Some(id);
        while let Some(id) = at {
            if id == base {
                return true;
            }
            at = self.entry(id).parent;
        }
        false
    }

    /// Returns `base` and everything below it in the same naming context, in order of creation.
    pub(crate) fn subtree(&self, base: Id) -> Vec<Id> {
        if self.entry(base).parent.is_none() && base == Id::ROOT {
            return (0..self.entries.len()).map(Id).filter(|id| self.head_of(*id) == base).collect();
        }
        let (mut found, mut todo) = (Vec::new(), vec![base]);
        while let Some(id) = todo.pop() {
            found.push(id);
            todo.extend(self.entry(id).children.values().copied());
        }
        found.sort_unstable();
        found
    }

    /// Returns the values of an attribute other than a link; nothing when it has none.
    pub(crate) fn values<'a>(&'a self, id: Id, name: &str) -> Vec<Cow<'a, [u8]>> {
        let entry = self.entry(id);
        let one = |bytes: Vec<u8>| vec![Cow::Owned(bytes)];
        let text = |text: String| vec![Cow::Owned(text.into_bytes())];
        match name {
            "objectguid" => one(entry.guid.to_wire().to_vec()),
            "objectsid" => entry.sid.as_ref().map(|sid| Cow::Owned(sid.to_wire())).into_iter().collect(),
            "distinguishedname" => text(self.dn(id)),
            "name" => vec![Cow::Borrowed(entry.rdn.value.as_bytes())],
            "usnchanged" => text(entry.usn_changed.to_string()),
            "usncreated" => text(entry.usn_created.to_string()),
            "whenchanged" => text(clock::generalized(entry.when_changed)),
            "whencreated" => text(clock::generalized(entry.when_created)),
            "isdeleted" if entry.life != Life::Live || id == self.deleted_objects => text("TRUE".into()),
            "isrecycled" if entry.life == Life::Recycled => text("TRUE".into()),
            "lastknownparent" => {
                entry.last_parent.map(|parent| self.dn(parent).into_bytes().into()).into_iter().collect()
            }
            "msds-lastknownrdn" => entry.last_rdn.iter().map(|rdn| Cow::Borrowed(rdn.as_bytes())).collect(),
            "parentguid" => entry.parent.map(|id| self.entry(id).guid.to_wire().to_vec().into()).into_iter().collect(),
            "primarygrouptoken" if entry.has_class("group") => entry
                .sid
                .as_ref()
                .and_then(Sid::rid)
                .map(|rid| rid.to_string().into_bytes().into())
                .into_iter()
                .collect(),
            "msds-user-account-control-computed" if entry.number("useraccountcontrol").is_some() => {
                text(self.computed_control(id).to_string())
            }
            "canonicalname" => text(self.canonical_name(id)),
            "tokengroups" => self.token_groups(id).into_iter().map(|sid| Cow::Owned(sid.to_wire())).collect(),
            _ if entry.head.is_none() && name.eq_ignore_ascii_case(&entry.rdn.attribute) => {
                vec![Cow::Borrowed(entry.rdn.value.as_bytes())]
            }
            _ => entry.plain(name).iter().map(|value| Cow::Borrowed(value.as_slice())).collect(),
        }
    }

    /// Returns the objects that a link or a back link shows: live ends only.
    pub(crate) fn linked(&self, id: Id, name: &str) -> Vec<Guid> {
        let entry = self.entry(id);
        // Links of a deleted object are hidden until it is restored.
        if entry.life != Life::Live {
            return Vec::new();
        }
        if let Some(forward) = schema::forward_of(name) {
            let sources = entry.back.iter().filter(|(name, _)| name.as_ref() == forward).map(|(_, id)| *id);
            let live = sources.filter(|id| self.entry(*id).life == Life::Live);
            return live.map(|id| self.entry(id).guid).collect();
        }
        let Some(set) = entry.links.get(name) else { return Vec::new() };
        set.present().filter(|guid| self.is_live(*guid)).collect()
    }

    fn is_live(&self, guid: Guid) -> bool {
        match self.by_guid.get(&guid) {
            Some(id) => self.entry(*id).life == Life::Live,
            None => self.phantoms.contains_key(&guid),
        }
    }

    /// Returns the name and the SID behind an object's GUID.
    pub(crate) fn target(&self, guid: Guid) -> Option<(String, Option<Sid>)> {
        match self.by_guid.get(&guid) {
            Some(id) => Some((self.dn(*id), self.entry(*id).sid.clone())),
            None => self.phantoms.get(&guid).map(|phantom| (phantom.dn.clone(), phantom.sid.clone())),
        }
    }

    /// Returns every plain attribute that `*` gives, in a fixed order.
    pub(crate) fn listed_names(&self, id: Id) -> Vec<Name> {
        let entry = self.entry(id);
        let always = ["distinguishedname", "instancetype", "name", "objectguid", "whencreated", "whenchanged"];
        let sometimes = ["usncreated", "usnchanged", "objectsid", "isdeleted", "isrecycled", "lastknownparent"];
        let more = ["msds-lastknownrdn", "memberof", "directreports", "managedobjects"];
        let mut names: Vec<Name> = vec!["objectclass".into()];
        let rdn = if entry.head.is_none() { Some(Name::from(entry.rdn.attribute.to_lowercase())) } else { None };
        names.extend(rdn);
        names.extend(always.into_iter().chain(sometimes).chain(more).map(Name::from));
        names.extend(entry.attributes.keys().cloned());
        names.extend(entry.links.keys().cloned());
        let mut seen = HashSet::new();
        names.retain(|name| seen.insert(name.clone()));
        names
    }

    fn canonical_name(&self, id: Id) -> String {
        let dn = Dn::parse(&self.dn(id)).unwrap_or_default();
        let path: Vec<_> = dn.0.iter().rev().filter(|rdn| !rdn.attribute.eq_ignore_ascii_case("dc")).collect();
        let mut text = dn.dns_name();
        text.push('/');
        text.push_str(&path.iter().map(|rdn| rdn.value.replace('/', "\\/")).collect::<Vec<_>>().join("/"));
        text
    }

    /// Returns the SIDs of the groups that hold an object, through other groups as well.
    pub(crate) fn token_groups(&self, id: Id) -> Vec<Sid> {
        let groups = self.groups_above(id);
        groups.into_iter().filter_map(|id| self.entry(id).sid.clone()).collect()
    }

    /// Returns the groups that hold an object directly, by primary group or through other groups.
    pub(crate) fn groups_above(&self, id: Id) -> BTreeSet<Id> {
        let (mut found, mut todo) = (BTreeSet::new(), vec![id]);
        let rid = self.entry(id).number("primarygroupid").and_then(|rid| u32::try_from(rid).ok());
        if let Some(group) = rid.and_then(|rid| self.by_sid.get(&self.domain_sid.with_rid(rid))) {
            found.insert(*group);
            todo.push(*group);
        }
        while let Some(id) = todo.pop() {
            for group in self.linked(id, "memberof").iter().filter_map(|guid| self.by_guid.get(guid)) {
                if found.insert(*group) {
                    todo.push(*group);
                }
            }
        }
        found
    }
}
