//! What to search for, and what a page of the answer holds.
//!
//! It asks no server; see [`crate::Session`].

use tenantry::{Error, Result};

use crate::controls::{Control, Cookie};
use crate::entry::Entry;
use crate::filter::Filter;

/// How far below the base a search reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The base alone.
    Base,
    /// The entries right below the base.
    OneLevel,
    /// The base and everything below it.
    Subtree,
}

/// A search. It has to stay the same from page to page.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SearchRequest {
    /// Where it begins: a name, `<GUID=…>`, or nothing for the root DSE.
    pub base: String,
    /// How far it reaches.
    pub scope: Scope,
    /// What it selects.
    pub filter: Filter,
    /// Attributes to return; none means all user attributes.
    pub attributes: Vec<String>,
    /// Entries on a page, 1 to 1000: more is not given by the servers.
    pub page_size: u32,
    /// Controls that go with it, besides paging.
    pub controls: Vec<Control>,
}

impl SearchRequest {
    /// Largest page that Active Directory gives unless it is configured otherwise.
    pub const MAX_PAGE_SIZE: u32 = 1000;

    /// Creates a search of the subtree with pages of 1000.
    pub fn new(base: impl Into<String>, filter: Filter) -> Self {
        Self {
            base: base.into(),
            scope: Scope::Subtree,
            filter,
            attributes: Vec::new(),
            page_size: Self::MAX_PAGE_SIZE,
            controls: Vec::new(),
        }
    }

    /// Sets how far it reaches.
    #[must_use]
    pub fn scope(mut self, scope: Scope) -> Self {
        self.scope = scope;
        self
    }

    /// Sets the attributes to return.
    #[must_use]
    pub fn attributes<A: Into<String>>(mut self, attributes: impl IntoIterator<Item = A>) -> Self {
        self.attributes = attributes.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the entries on a page.
    #[must_use]
    pub fn page_size(mut self, entries: u32) -> Self {
        self.page_size = entries;
        self
    }

    /// Adds a control.
    #[must_use]
    pub fn control(mut self, control: Control) -> Self {
        self.controls.push(control);
        self
    }
}

/// One page of an answer.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SearchPage {
    /// The entries; there may be none although more pages follow.
    pub entries: Vec<Entry>,
    /// Where the next page begins; none at the end.
    pub next: Option<Cookie>,
    /// References to other servers, which are not followed.
    pub referrals_ignored: u64,
    /// Controls that came with the answer.
    pub controls: Vec<Control>,
}

impl SearchPage {
    /// Creates a page, for tests of what reads one.
    pub fn new(entries: Vec<Entry>, next: Option<Cookie>) -> Self {
        Self { entries, next, referrals_ignored: 0, controls: Vec::new() }
    }
}

/// Watches over a listing that does not move.
///
/// A repeated cookie is legal, and so is an empty page; both together, or the same entries under the same cookie, again
/// and again, are not a listing.
#[derive(Debug, Clone)]
pub struct PageProgress {
    last: Option<Cookie>,
    /// The first entry of the last page, by its name.
    first: Option<String>,
    stalled: u32,
    limit: u32,
}

impl PageProgress {
    /// Tolerates that many pages in a row without an entry and with the same cookie.
    pub fn new(limit: u32) -> Self {
        Self { last: None, first: None, stalled: 0, limit }
    }

    /// Looks at the next page.
    ///
    /// # Errors
    /// If the listing has not moved for too long.
    pub fn observe(&mut self, page: &SearchPage) -> Result<()> {
        let first = page.entries.first().map(Entry::dn);
        let same = first.is_none() || first == self.first.as_deref();
        let stalled = same && page.next.is_some() && page.next == self.last;
        self.stalled = if stalled { self.stalled + 1 } else { 0 };
        self.last.clone_from(&page.next);
        self.first = first.map(str::to_owned);
        if self.stalled > self.limit {
            return Err(Error::protocol("the server repeats a page").with_context("times", self.stalled));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_pages_with_a_repeated_cookie_end_in_an_error_and_others_do_not() {
        let stuck = SearchPage::new(vec![], Some(Cookie::new([1])));
        let full = |name: &str| SearchPage::new(vec![Entry::new(name, [("a", ["b"])])], Some(Cookie::new([1])));
        let mut progress = PageProgress::new(2);
        for page in [&stuck, &full("a"), &full("b"), &full("c"), &full("d"), &stuck, &stuck] {
            progress.observe(page).unwrap();
        }
        let moved = SearchPage::new(vec![], Some(Cookie::new([2])));
        progress.observe(&moved).unwrap();
        progress.observe(&moved).unwrap();
        progress.observe(&moved).unwrap();
        assert!(progress.observe(&moved).is_err());
        let mut progress = PageProgress::new(2);
        for page in [&full("a"), &full("a"), &full("a")] {
            progress.observe(page).unwrap();
        }
        assert!(progress.observe(&full("a")).is_err());
    }
}
