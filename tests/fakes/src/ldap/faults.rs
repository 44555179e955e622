//! Faults and lies that a test turns on while the server runs; it knows no directory and no socket.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// When a fault happens; counting begins when the rule is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum When {
    /// At every request.
    Always,
    /// At the n-th request of any kind, from 1; once.
    Message(u64),
    /// At the n-th search, from 1; once.
    Search(u64),
    /// At the n-th search and all later ones.
    SearchesFrom(u64),
    /// At page n of a paged listing, from 1; once.
    Page(u64),
    /// At page n of every paged listing and all later pages of it.
    PagesFrom(u64),
    /// At every search whose filter contains this text, case aside.
    FilterContains(String),
    /// At every bind.
    Binds,
    /// At every write.
    Writes,
    /// At the n-th write, from 1; once.
    Write(u64),
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The connection is cut without an answer.
    Cut,
    /// The connection is cut after this many entries.
    CutAfterEntries(usize),
    /// This result code is answered, without entries.
    Answer {
        /// The LDAP result code, such as 51.
        code: u32,
        /// The diagnostic message.
        text: String,
    },
    /// What was asked for is done, and the connection is cut instead of the answer. Of writes only.
    LoseAnswer,
    /// No answer ever comes; the connection stays.
    Hang,
    /// The answer is no BER.
    MalformedBer,
    /// The answer announces two gigabytes.
    OversizedLength,
    /// An entry of this many bytes is sent before the answer.
    OversizedMessage(usize),
    /// The same page with the same cookie, again and again; for DirSync with the cookie that was sent.
    RepeatCookie,
    /// A page, or a DirSync round, without entries but with a cookie; nothing is lost, and legal.
    EmptyPage,
    /// This page ends the listing with success although more would follow.
    EndListing,
    /// The last so many percent of the listing are left out; it ends with success.
    DropTail {
        /// How much, 0 to 100.
        percent: u8,
    },
    /// So many percent of the rows are left out, always the same ones for a seed.
    DropRows {
        /// How much, 0 to 100.
        percent: u8,
        /// Decides which.
        seed: u64,
    },
    /// This container and all below it cannot be read: silently absent.
    HideContainer(String),
    /// A link of this object shows its first so many values only, as if these were all.
    TruncateLinks {
        /// The object's DN.
        dn: String,
        /// How many stay.
        keep: usize,
    },
    /// Success without any entry.
    EmptySuccess,
    /// The account may read nothing any more: success, and nothing in it.
    LoseRights,
    /// Paged and DirSync cookies are refused with code 12.
    RefuseCookies,
    /// The answer takes this much longer.
    Delay(Duration),
}

#[derive(Debug)]
struct Rule {
    when: When,
    fault: Fault,
    seen: u64,
    spent: bool,
}

/// What is known of a request when it is decided whether something goes wrong.
#[derive(Debug, Clone, Default)]
pub(crate) struct Occasion {
    pub(crate) filter: Option<String>,
    pub(crate) page: Option<u64>,
    pub(crate) bind: bool,
    pub(crate) write: bool,
}

/// A handle to the rules.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    rules: Arc<Mutex<Vec<Rule>>>,
    rivals: Arc<Mutex<Rivals>>,
}

type Deed = Box<dyn FnOnce() + Send>;

/// What somebody else does around the next writes.
#[derive(Default)]
struct Rivals {
    before: VecDeque<Deed>,
    after: VecDeque<Deed>,
}

impl fmt::Debug for Rivals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rivals({} before, {} after)", self.before.len(), self.after.len())
    }
}

impl Faults {
    /// Makes a rule; rules add up.
    pub fn on(&self, when: When, fault: Fault) {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).push(Rule { when, fault, seen: 0, spent: false });
    }

    /// Lets somebody else do something right before the next write is looked at; each call waits for a write of its own.
    pub fn before_write(&self, deed: impl FnOnce() + Send + 'static) {
        self.rivals().before.push_back(Box::new(deed));
    }

    /// Lets somebody else do something right after the next write, before it is answered.
    pub fn after_write(&self, deed: impl FnOnce() + Send + 'static) {
        self.rivals().after.push_back(Box::new(deed));
    }

    fn rivals(&self) -> std::sync::MutexGuard<'_, Rivals> {
        self.rivals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does a write with what others do around it.
    pub(crate) fn among_others<T>(&self, write: impl FnOnce() -> T) -> T {
        let (before, after) = {
            let mut rivals = self.rivals();
            (rivals.before.pop_front(), rivals.after.pop_front())
        };
        if let Some(deed) = before {
            deed();
        }
        let outcome = write();
        if let Some(deed) = after {
            deed();
        }
        outcome
    }

    /// Ends all rules.
    pub fn clear(&self) {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Returns how many rules that happen once have not happened yet.
    pub fn pending(&self) -> usize {
        let once = |rule: &&Rule| {
            matches!(rule.when, When::Message(_) | When::Search(_) | When::Page(_) | When::Write(_)) && !rule.spent
        };
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).iter().filter(once).count()
    }

    pub(crate) fn decide(&self, occasion: &Occasion) -> Vec<Fault> {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        rules.iter_mut().filter_map(|rule| rule.applies(occasion).then(|| rule.fault.clone())).collect()
    }
}

impl Rule {
    fn applies(&mut self, occasion: &Occasion) -> bool {
        let is_search = occasion.filter.is_some();
        match &self.when {
            When::Always => true,
            When::Binds => occasion.bind,
            When::Writes => occasion.write,
            When::Write(n) => {
                self.seen += u64::from(occasion.write);
                occasion.write && self.seen == *n && !std::mem::replace(&mut self.spent, true)
            }
            When::FilterContains(text) => {
                occasion.filter.as_ref().is_some_and(|filter| filter.to_lowercase().contains(&text.to_lowercase()))
            }
            When::Message(n) => {
                self.seen += 1;
                self.seen == *n && !std::mem::replace(&mut self.spent, true)
            }
            When::Search(n) => {
                self.seen += u64::from(is_search);
                is_search && self.seen == *n && !std::mem::replace(&mut self.spent, true)
            }
            When::SearchesFrom(n) => {
                self.seen += u64::from(is_search);
                is_search && self.seen >= *n
            }
            When::Page(n) => occasion.page == Some(*n) && !std::mem::replace(&mut self.spent, true),
            When::PagesFrom(n) => occasion.page.is_some_and(|page| page >= *n),
        }
    }
}
