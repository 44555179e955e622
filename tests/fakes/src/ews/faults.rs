//! Which requests go wrong, and how; it knows no recipient and no socket.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::log::Call;
use crate::turns::Turns;

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// A SOAP fault `ErrorServerBusy` with `BackOffMilliseconds`, HTTP 500.
    Busy(Duration),
    /// The same inside a response message, HTTP 200.
    BusyInside(Duration),
    /// A SOAP fault `ErrorServerBusy` that says nothing of a time.
    BusyWithoutTime,
    /// A SOAP fault `ErrorExceededConnectionCount`, whatever the count.
    ExceededConnections,
    /// A SOAP fault with this code, such as `ErrorTimeoutExpired` or `ErrorInternalServerTransientError`.
    Soap(String),
    /// A response message of class `Error` with this code, and an `InnerErrorResponseCode` where one is given.
    Inside {
        /// The code.
        code: String,
        /// The code inside `MessageXml`.
        inner: Option<String>,
    },
    /// A page of HTML with this status, such as 503, and a `Retry-After` where one is given.
    Status {
        /// The status.
        status: u16,
        /// `Retry-After` as written.
        retry_after: Option<String>,
    },
    /// A page of HTML with 200, as a portal in between gives it.
    Html,
    /// The host's own error page, "Server Error in '/EWS' Application", HTTP 500.
    HostError,
    /// 302 to this address.
    Redirect(String),
    /// 401, although the sign-in was right; the connection's sign-in is forgotten.
    Unauthorized,
    /// 200 without a body.
    EmptyBody,
    /// Success with an empty set.
    EmptySet,
    /// `ErrorNameResolutionNoResults`, whatever there is.
    NoResults,
    /// So many percent of the rows are left out, always the same ones for a seed.
    DropRows {
        /// How much, 0 to 100.
        percent: u8,
        /// Decides which.
        seed: u64,
    },
    /// Each row stands twice.
    DuplicateRows,
    /// So many percent of the directory are not seen, always the same ones for a seed, as under an address book policy.
    HidePercent {
        /// How much, 0 to 100.
        percent: u8,
        /// Decides which.
        seed: u64,
    },
    /// No more rows than this, and the flag says that these were all.
    SilentCap(usize),
    /// The flag says that there is more, however few there are.
    NeverLast,
    /// Rows come without routing type and kind, which the schema allows.
    BareRows,
    /// The answer shows the directory as it was at [`Organisation::mark`](super::Organisation::mark).
    Stale,
    /// The answer to the call before this one, whoever made it.
    AnswerBefore,
    /// The answer as if this had been asked for.
    AnswerTo(String),
    /// The XML ends after two thirds although the connection is well.
    TruncatedXml,
    /// The answer is this long: a comment fills it up.
    Oversized(usize),
    /// The answer has one name of this length.
    LongName(usize),
    /// The answer is so many elements deep.
    Deep(usize),
    /// The answer begins with a document type of entities that unfold to gigabytes.
    EntityBomb,
    /// The answer begins with a document type that names an entity outside.
    ExternalEntity,
    /// The answer has bytes that are no UTF-8.
    BadText,
    /// The connection is cut without an answer.
    Cut,
    /// The connection is cut in the middle of the answer's body.
    CutInside,
    /// No answer ever comes.
    Hang,
    /// The answer takes this much longer.
    Delay(Duration),
}

/// When a fault happens. Counting begins when the rule is made and counts the calls that the rule is about; refused
/// sign-ins and requests against the schema are no calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct On {
    call: Option<Call>,
    contains: Option<String>,
    is: Option<String>,
    turns: Turns,
}

impl On {
    /// At every call.
    pub fn any() -> Self {
        Self { call: None, contains: None, is: None, turns: Turns::default() }
    }

    /// At every call of this kind.
    pub fn call(call: Call) -> Self {
        Self { call: Some(call), ..Self::any() }
    }

    /// Only where the entry contains this text.
    #[must_use]
    pub fn containing(mut self, text: impl Into<String>) -> Self {
        self.contains = Some(text.into());
        self
    }

    /// Only where the entry is this text.
    #[must_use]
    pub fn entry(mut self, text: impl Into<String>) -> Self {
        self.is = Some(text.into());
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

    fn applies(&mut self, call: Call, entry: &str) -> bool {
        let here = self.call.is_none_or(|wanted| wanted == call)
            && self.contains.as_ref().is_none_or(|text| entry.contains(text))
            && self.is.as_ref().is_none_or(|text| entry == text);
        here && self.turns.comes()
    }
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

    pub(crate) fn decide(&self, call: Call, entry: &str) -> Vec<Fault> {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let hit = |(on, fault): &mut (On, Fault)| on.applies(call, entry).then(|| fault.clone());
        rules.iter_mut().filter_map(hit).collect()
    }
}
