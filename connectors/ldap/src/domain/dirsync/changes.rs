//! What an answer to DirSync says: pure functions from its entries to what has to be read. It asks nobody.
//!
//! Such an entry holds what changed and nothing else: an attribute without values was cleared, one that is not there is
//! unknown. A state is made of several attributes, so nothing is derived from an entry: it only names what to read again.
//! Taken from the answer itself are the single members that came or went, and what is gone.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::dn::Mangling;
use crate::ranges::is_attribute;
use crate::{Attribute, Dn, Entry, ExtendedDn};
use tenantry::Result;
use tenantry::model::{MemberKind, TombstoneKind};
use uuid::Uuid;

use crate::domain::listing::identity;
use crate::domain::members::Kinds;

/// Come with every entry, whatever changed.
const ALWAYS: &[&str] = &["objectGUID", "instanceType"];
const ADDED: &str = "member;range=1-1";
const REMOVED: &str = "member;range=0-0";

/// Everything that a walk found. What comes twice counts as it came last.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// Objects to read again.
    pub(crate) changed: BTreeSet<Uuid>,
    /// Those of them whose members have to be read, if they are groups.
    pub(crate) whole: HashSet<Uuid>,
    /// Those of them that lie elsewhere or are called otherwise: nothing is said of what lies below.
    pub(crate) moved: BTreeSet<Uuid>,
    /// Those of them that were deleted before.
    pub(crate) restored: BTreeSet<Uuid>,
    /// What is gone.
    pub(crate) deleted: BTreeMap<Uuid, TombstoneKind>,
    /// By group, the members that came (true) and those that went, and what they are as far as the name tells.
    pub(crate) members: BTreeMap<Uuid, BTreeMap<Uuid, (MemberKind, bool)>>,
    /// Objects that went out of sight. That is no statement that they are gone, or elsewhere.
    pub(crate) hidden: u64,
}

impl Changes {
    /// Takes an entry in. Tells whose it was, unless it was met before or does not tell.
    pub(crate) fn take(&mut self, entry: &Entry, reads: &Reads) -> Result<Option<Uuid>> {
        let (guid, name) = identity(entry)?;
        if name.dn.is_empty() {
            self.hidden += 1;
            return Ok(None);
        }
        let known = self.changed.contains(&guid) || self.deleted.contains_key(&guid);
        // A name that cannot be read is for the reading of the object itself to report.
        let mangled = Dn::parse(&name.dn).ok().and_then(|dn| dn.mangled());
        let is_deleted = entry.flag("isDeleted")? == Some(true)
            || mangled.is_some_and(|mangled| mangled.mangling == Mangling::Deleted);
        if is_deleted {
            let final_ = entry.flag("isRecycled")? == Some(true) || entry.is_present_but_empty("objectCategory");
            let kind = if final_ { TombstoneKind::Hard } else { TombstoneKind::Soft };
            self.forget(guid);
            self.deleted.insert(guid, kind);
            return Ok((!known).then_some(guid));
        }
        self.deleted.remove(&guid);
        self.changed.insert(guid);
        if entry.is_present_but_empty("isDeleted") {
            self.restored.insert(guid);
        }
        // What is new comes with the time of it, and what was moved below it since comes by itself.
        let renamed = entry.is_present("name") || entry.is_present("parentGUID");
        if renamed && !entry.is_present("whenCreated") {
            self.moved.insert(guid);
        }
        for attribute in entry.attributes() {
            self.attribute(guid, attribute, reads);
        }
        Ok((!known).then_some(guid))
    }

    fn attribute(&mut self, guid: Uuid, attribute: &Attribute, reads: &Reads) {
        let name = attribute.description();
        let came = if name.eq_ignore_ascii_case(ADDED) {
            true
        } else if name.eq_ignore_ascii_case(REMOVED) {
            false
        } else {
            let matters = is_attribute(name, "member") || reads.matters(name);
            if matters {
                // Also a list of members that came as it is, or without any: only a reading to its end is one.
                self.whole.insert(guid);
            }
            return;
        };
        let changes = self.members.entry(guid).or_default();
        for value in attribute.values() {
            match Linked::read(value) {
                // Its memberships went with it; a list would not show it.
                Some(linked) if came && linked.deleted => {}
                Some(linked) => {
                    let kind = reads.kinds.of(linked.guid, &linked.dn);
                    changes.insert(linked.guid, (kind, came));
                }
                None => {
                    self.whole.insert(guid);
                }
            }
        }
    }

    fn forget(&mut self, guid: Uuid) {
        self.changed.remove(&guid);
        self.whole.remove(&guid);
        self.moved.remove(&guid);
        self.restored.remove(&guid);
        self.members.remove(&guid);
    }
}

/// Whom the value of a link names.
struct Linked {
    guid: Uuid,
    dn: String,
    deleted: bool,
}

impl Linked {
    /// Reads a name; nothing if it does not tell whose. That of a deleted object holds its id.
    fn read(value: &[u8]) -> Option<Self> {
        let name = ExtendedDn::parse(std::str::from_utf8(value).ok()?).ok()?;
        let mangled = Dn::parse(&name.dn).ok().and_then(|dn| dn.mangled());
        let mangled = mangled.filter(|mangled| mangled.mangling == Mangling::Deleted);
        let deleted = mangled.is_some();
        let guid = name.guid.or_else(|| mangled.map(|mangled| mangled.guid))?;
        Some(Self { guid, dn: name.dn, deleted })
    }
}

/// How entries are read.
#[derive(Debug)]
pub(crate) struct Reads {
    /// What members are, as far as their names tell.
    pub(crate) kinds: Kinds,
    /// The attributes by which groups are selected, in lower case.
    pub(crate) selecting: BTreeSet<String>,
    /// Attributes of groups whose change puts no group into scope or out of it.
    pub(crate) harmless: &'static [&'static str],
}

impl Reads {
    /// Tells whether a group with this change may have come into scope: then its members were never told.
    fn matters(&self, name: &str) -> bool {
        let one_of = |names: &[&str]| names.iter().any(|known| is_attribute(name, known));
        // A filter may name an attribute by its number.
        let by_number = self.selecting.iter().any(|selecting| selecting.contains('.'));
        !one_of(ALWAYS) && (!one_of(self.harmless) || by_number || self.selecting.contains(&name.to_ascii_lowercase()))
    }
}

#[cfg(test)]
mod tests;
