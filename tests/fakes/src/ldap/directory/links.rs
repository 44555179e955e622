//! The values of one linked attribute, kept by object so that renames need no care; it knows no names.

use std::collections::HashMap;

use crate::ldap::ids::Guid;

/// One value; a removed one stays with its USN, because DirSync reports removals.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Link {
    pub(crate) target: Guid,
    pub(crate) usn: u64,
    pub(crate) present: bool,
}

/// The values in the order in which they were added.
#[derive(Debug, Clone, Default)]
pub(crate) struct LinkSet {
    order: Vec<Link>,
    index: HashMap<Guid, usize>,
}

impl LinkSet {
    /// Adds a value; says whether it was not there before.
    pub(crate) fn add(&mut self, target: Guid, usn: u64) -> bool {
        if let Some(&at) = self.index.get(&target) {
            let known = std::mem::replace(&mut self.order[at], Link { target, usn, present: true });
            if known.present {
                self.order[at].usn = known.usn;
            }
            return !known.present;
        }
        self.index.insert(target, self.order.len());
        self.order.push(Link { target, usn, present: true });
        true
    }

    /// Removes a value and remembers when; says whether it was there.
    pub(crate) fn remove(&mut self, target: Guid, usn: u64) -> bool {
        let Some(&at) = self.index.get(&target) else { return false };
        let was = self.order[at].present;
        if was {
            self.order[at] = Link { target, usn, present: false };
        }
        was
    }

    /// Drops a value without a trace: what happens to the links of a deleted object.
    pub(crate) fn forget(&mut self, target: Guid) {
        self.remove(target, 0);
    }

    pub(crate) fn contains(&self, target: Guid) -> bool {
        self.index.get(&target).is_some_and(|&at| self.order[at].present)
    }

    pub(crate) fn present(&self) -> impl Iterator<Item = Guid> + '_ {
        self.order.iter().filter(|link| link.present).map(|link| link.target)
    }

    pub(crate) fn changed_since(&self, usn: u64) -> impl Iterator<Item = Link> + '_ {
        self.order.iter().filter(move |link| link.usn > usn).copied()
    }
}
