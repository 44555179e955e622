//! Faults and lies that a test turns on while the server runs; it knows no account and no socket.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::refusal::Refusal;

/// When a fault happens; counting begins when the rule is made. Operations are named as the API names its methods, such
/// as `users.list`, and `token` is the token endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum When {
    /// At every request.
    Always,
    /// At the n-th request of any kind, from 1; once.
    Request(u64),
    /// At the n-th request and all later ones.
    RequestsFrom(u64),
    /// At every call of an operation.
    Calls(&'static str),
    /// At the n-th call of an operation, from 1; once.
    Call(&'static str, u64),
    /// At the n-th call of an operation and all later ones.
    CallsFrom(&'static str, u64),
    /// At page n of a listing, from 1; once.
    Page(&'static str, u64),
    /// At page n of a listing and all later pages of it.
    PagesFrom(&'static str, u64),
    /// At every call of an operation whose path or query contains this text.
    About(&'static str, String),
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// This error is answered.
    Refuse(Refusal),
    /// The connection is cut without an answer.
    Cut,
    /// What was asked for is done, and the connection is cut instead of the answer.
    LoseAnswer,
    /// No answer ever comes.
    Hang,
    /// The answer takes this much longer.
    Delay(Duration),
    /// An answer of this status that is a page for people, as front ends send them.
    Html(u16),
    /// The answer is cut short JSON with status 200.
    Malformed,
    /// 200 and nothing in it: no items, no token, no fields of an object.
    EmptySuccess,
    /// The items of this page are left out, its token stays; nothing is lost when the next page has them: they come
    /// there first.
    EmptyPage,
    /// This page ends the listing although more would follow.
    EndListing,
    /// The last page is given a token all the same; the page after it is empty.
    ExtraPage,
    /// Whatever token is sent, the first page comes.
    RepeatFirstPage,
    /// The token that was sent is given out again.
    RepeatToken,
    /// The last so many percent of each page's items are left out.
    DropTail(u8),
    /// So many percent of the items are left out, always the same ones for a seed.
    DropRows {
        /// How much, 0 to 100.
        percent: u8,
        /// Decides which.
        seed: u64,
    },
    /// Only so many items of a listing are shown, as if these were all.
    Truncate(usize),
    /// Users and devices of this organisational unit and below are silently absent.
    HideOrgUnit(String),
    /// A field is missing from every item.
    HideField(&'static str),
    /// Page tokens are refused.
    RefuseTokens,
    /// A redirect to another origin.
    Redirect(String),
    /// 304 to anyone who sends `If-None-Match`, whatever changed.
    NotModified,
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
pub(crate) struct Occasion<'a> {
    pub(crate) operation: &'a str,
    pub(crate) page: u64,
    pub(crate) target: &'a str,
}

/// A handle to the rules.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    rules: Arc<Mutex<Vec<Rule>>>,
}

impl Faults {
    /// Makes a rule; rules add up.
    pub fn on(&self, when: When, fault: Fault) {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).push(Rule { when, fault, seen: 0, spent: false });
    }

    /// Ends all rules.
    pub fn clear(&self) {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Returns how many rules that happen once have not happened yet.
    pub fn pending(&self) -> usize {
        let once =
            |rule: &&Rule| matches!(rule.when, When::Request(_) | When::Call(..) | When::Page(..)) && !rule.spent;
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).iter().filter(once).count()
    }

    pub(crate) fn decide(&self, occasion: &Occasion<'_>) -> Vec<Fault> {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        rules.iter_mut().filter_map(|rule| rule.applies(occasion).then(|| rule.fault.clone())).collect()
    }
}

impl Rule {
    fn applies(&mut self, occasion: &Occasion<'_>) -> bool {
        let counted = match self.when {
            When::Request(_) | When::RequestsFrom(_) => true,
            When::Call(operation, _) | When::CallsFrom(operation, _) => operation == occasion.operation,
            _ => false,
        };
        self.seen += u64::from(counted);
        match &self.when {
            When::Always => true,
            When::Request(n) | When::Call(_, n) => {
                counted && self.seen == *n && !std::mem::replace(&mut self.spent, true)
            }
            When::RequestsFrom(n) | When::CallsFrom(_, n) => counted && self.seen >= *n,
            When::Calls(operation) => *operation == occasion.operation,
            When::Page(operation, n) => {
                *operation == occasion.operation && occasion.page == *n && !std::mem::replace(&mut self.spent, true)
            }
            When::PagesFrom(operation, n) => *operation == occasion.operation && occasion.page >= *n,
            When::About(operation, text) => *operation == occasion.operation && occasion.target.contains(text.as_str()),
        }
    }
}
