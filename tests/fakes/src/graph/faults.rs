//! Faults and lies that a test turns on while the fake runs; it knows no object and no socket.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::route::Call;
use super::settings::ResetForm;
use crate::turns::Turns;

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// This error is answered in Graph's form.
    Error {
        /// The status.
        status: u16,
        /// The code, known or made up.
        code: String,
        /// The message.
        message: String,
    },
    /// This status with Graph's error for it and, where one is given, this `Retry-After`.
    Status {
        /// The status, such as 503.
        status: u16,
        /// The header's text, such as `2.128`.
        retry_after: Option<String>,
    },
    /// A page of HTML with this status, as a gateway in between gives it; 200 is possible.
    Html {
        /// The status.
        status: u16,
    },
    /// The connection is cut before the answer.
    Cut,
    /// The connection is cut in the middle of the answer's body.
    CutInside,
    /// No answer ever comes.
    Hang,
    /// The answer takes this much longer.
    Delay(Duration),
    /// What was asked for is done, and the connection is cut instead of the answer.
    LoseAnswer,
    /// The JSON text ends in the middle although the connection is well.
    TruncatedJson,
    /// Success without any row and without any link.
    EmptyOk,
    /// The page's rows are left out; its links stay.
    EmptyPage,
    /// So many percent of the rows are left out, always the same ones for a seed.
    DropRows {
        /// How much, 0 to 100.
        percent: u8,
        /// Decides which.
        seed: u64,
    },
    /// Each row stands twice.
    DuplicateRows,
    /// The listing ends here with success although more would follow; a round of delta gets no link either.
    EndListing,
    /// `nextLink` leads to this very page again.
    CycleNextLink,
    /// `nextLink` leads to another origin, such as `https://graph.elsewhere.example`.
    ForeignNextLink(String),
    /// `deltaLink` leads to another origin.
    ForeignDeltaLink(String),
    /// The answer is a redirect to this address.
    Redirect(String),
    /// The delta token is refused in this form.
    Reset(ResetForm),
    /// The delta token is refused with 410 and a `Location` at another origin.
    ForeignReset(String),
    /// 400 `Directory_ExpiredPageToken`.
    ExpiredPageToken,
    /// Members and owners come with their kind and id only, the rest as null.
    LimitedMembers,
    /// `@odata.count` and `/$count` are off by this much.
    WrongCount(i64),
    /// 403 as for missing permissions; with [`On::from`] the rights are lost from then on.
    LoseRights,
    /// 401 as for an expired token.
    Unauthorized,
}

/// When a fault happens. Counting begins when the rule is made and counts the calls that the rule is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct On {
    call: Option<Call>,
    contains: Option<String>,
    page: Option<u64>,
    turns: Turns,
}

impl On {
    /// At every request of any kind, parts of batches among them.
    pub fn any() -> Self {
        Self { call: None, contains: None, page: None, turns: Turns::default() }
    }

    /// At every call of this kind.
    pub fn call(call: Call) -> Self {
        Self { call: Some(call), ..Self::any() }
    }

    /// Only where path and query contain this text.
    #[must_use]
    pub fn containing(mut self, text: impl Into<String>) -> Self {
        self.contains = Some(text.into());
        self
    }

    /// Only at page n of a listing or a round, from 1.
    #[must_use]
    pub fn page(mut self, page: u64) -> Self {
        self.page = Some(page);
        self
    }

    /// Only at the n-th such call, from 1.
    #[must_use]
    pub fn nth(mut self, n: u64) -> Self {
        self.turns.nth(n);
        self
    }

    /// At the n-th such call and all later ones.
    #[must_use]
    pub fn from(mut self, n: u64) -> Self {
        self.turns.from(n);
        self
    }

    /// At so many such calls and no more.
    #[must_use]
    pub fn times(mut self, n: u64) -> Self {
        self.turns.times(n);
        self
    }

    /// At each n-th such call.
    #[must_use]
    pub fn every(mut self, n: u64) -> Self {
        self.turns.every(n);
        self
    }

    fn applies(&mut self, occasion: &Occasion<'_>) -> bool {
        let here = self.call.is_none_or(|call| call == occasion.call)
            && self.page.is_none_or(|page| page == occasion.page)
            && self.contains.as_ref().is_none_or(|text| occasion.target.contains(text));
        here && self.turns.comes()
    }
}

/// What is known of a request when it is decided whether something goes wrong.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Occasion<'a> {
    pub(crate) call: Call,
    /// Path and query.
    pub(crate) target: &'a str,
    pub(crate) page: u64,
}

/// A handle to the rules.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    rules: Arc<Mutex<Vec<(On, Fault)>>>,
}

impl Faults {
    /// Makes a rule; rules add up.
    pub fn on(&self, on: On, fault: Fault) {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).push((on, fault));
    }

    /// Ends all rules.
    pub fn clear(&self) {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Returns how many rules with an end have not come to it yet.
    pub fn pending(&self) -> usize {
        let open = |(on, _): &&(On, Fault)| on.turns.are_to_come();
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).iter().filter(open).count()
    }

    pub(crate) fn decide(&self, occasion: &Occasion<'_>) -> Vec<Fault> {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let hit = |(on, fault): &mut (On, Fault)| on.applies(occasion).then(|| fault.clone());
        rules.iter_mut().filter_map(hit).collect()
    }
}
