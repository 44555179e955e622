//! Asks for changes round by round, from a cookie to the end. It must not know what an entry means.

use std::collections::HashSet;

use crate::{Control, Cookie, DirSync, DirSyncAnswer, Entry, Filter, SearchRequest, is_cookie_lost};
use tenantry::endpoint::Context;
use tenantry::{Error, Result};
use uuid::Uuid;

use crate::domain::connection::Connection;
use crate::domain::dirsync::access::Access;
use crate::domain::members;

/// Bytes that are wished for in one answer. Servers may ignore it.
const BYTES: i32 = 1 << 20;
/// Entries taken in one answer; what ignores the wish gives all at once.
const ENTRIES: u64 = 1_000_000;
/// How many rounds in a row may tell nothing new. A narrow filter makes for rounds without entries.
const IDLE_ROUNDS: u32 = 1000;

/// What to ask for.
#[derive(Debug)]
pub(crate) struct Question<'a> {
    pub(crate) operation: &'static str,
    /// The naming context: DirSync takes no other base.
    pub(crate) domain: &'a str,
    pub(crate) filter: Filter,
    pub(crate) attributes: Vec<String>,
    pub(crate) access: Access,
    /// The one controller that may answer.
    pub(crate) pin: Uuid,
}

/// What a round gave.
#[derive(Debug)]
pub(crate) enum Round {
    /// Entries, and whether there is more to ask for at once.
    Entries(Vec<Entry>, More),
    /// The cookie is no longer known, or was never this domain's.
    CookieLost,
}

/// Whether a walk goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum More {
    Follows,
    Ended,
}

/// A walk under way.
#[derive(Debug)]
pub(crate) struct Walk {
    cookie: Option<Cookie>,
    seen: HashSet<Cookie>,
    idle: u32,
}

impl Walk {
    /// Begins behind a cookie; without one at the first object that there is.
    pub(crate) fn new(cookie: Option<Cookie>) -> Self {
        Self { seen: cookie.iter().cloned().collect(), cookie, idle: 0 }
    }

    /// Asks for the next round.
    pub(crate) async fn round(
        &mut self,
        connection: &Connection,
        cx: &Context,
        question: &Question<'_>,
    ) -> Result<Round> {
        cx.check_cancelled()?;
        let control = Control::dir_sync(&DirSync {
            flags: question.access.flags() | DirSync::INCREMENTAL_VALUES,
            max_bytes: BYTES,
            cookie: self.cookie.clone(),
        });
        let request = SearchRequest::new(question.domain, question.filter.clone())
            .attributes(question.attributes.iter().cloned())
            .control(control)
            .control(members::extended());
        let page = match connection.unpaged(cx, question.operation, question.pin, &request, ENTRIES).await {
            Ok(page) => page,
            Err(error) if is_cookie_lost(&error) => return Ok(Round::CookieLost),
            Err(error) => return Err(error),
        };
        let answer = DirSyncAnswer::find(&page.controls)?.filter(|answer| !answer.cookie.as_bytes().is_empty());
        let Some(answer) = answer else {
            return Err(Error::protocol(
                "the server did not answer the DirSync control; the end of the changes is not proven",
            )
            .with_operation(question.operation));
        };
        let more = if answer.more { More::Follows } else { More::Ended };
        if more == More::Follows && !self.seen.insert(answer.cookie.clone()) {
            return Err(circle().with_operation(question.operation));
        }
        self.cookie = Some(answer.cookie);
        Ok(Round::Entries(page.entries, more))
    }

    /// Counts what a round told that was not known: a server may give cookies that never repeat and go on forever.
    pub(crate) fn progress(&mut self, news: usize) -> Result<()> {
        self.idle = if news == 0 { self.idle + 1 } else { 0 };
        if self.idle > IDLE_ROUNDS { Err(circle()) } else { Ok(()) }
    }

    /// Returns where the walk has come to.
    pub(crate) fn into_cookie(self) -> Option<Cookie> {
        self.cookie
    }
}

fn circle() -> Error {
    Error::protocol("the server's answers to DirSync run in a circle; set delta = \"usn\"")
}
