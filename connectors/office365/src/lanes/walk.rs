//! One lane on its way through a tenant: a page, or some mailboxes, a step. It must not know of other lanes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use tenantry::endpoint::Context;
use tenantry::model::Patch;
use tenantry::{Error, ErrorKind, Result};
use url::Url;
use uuid::Uuid;

use super::rows::{Purpose, Registration, SignIn, UserWithMailbox};
use super::{Position, is_lost, word};
use crate::client::{Ask, BATCH, Graph, unreadable};
use crate::config::Enrichment;
use crate::cursor::Link;
use crate::error::Refusal;
use crate::operation::Operation;
use crate::wire::read_page;

/// Rows on a page of users with their sign-ins; Graph takes no more, and for some years took fewer.
const SIGN_INS_A_PAGE: u16 = 500;
const SIGN_INS_A_SMALL_PAGE: u16 = 120;
const A_PAGE: u16 = 999;

/// A lane under way.
#[derive(Debug)]
pub(super) struct Walk {
    pub(super) lane: Enrichment,
    pub(super) position: Position,
    /// Users of the page whose mailboxes are still to be asked for.
    queue: VecDeque<Uuid>,
    /// The page behind them.
    behind: Option<Link>,
    /// Whether the round was begun anew in this run because its place was lost.
    restarted: bool,
    page_size: u16,
}

impl Walk {
    /// Goes on with a round, or begins the next one if it is time.
    pub(super) fn begin(lane: Enrichment, position: &Position, again: Duration, now: i64) -> Option<Self> {
        let again = i64::try_from(again.as_millis()).unwrap_or(i64::MAX);
        // A beginning in the future is of a clock that was wrong.
        let is_due = position.begun > now || now.saturating_sub(position.begun) >= again;
        let position = match position {
            Position { ended: true, .. } if !is_due => return None,
            Position { ended: true, .. } | Position { begun: 0, .. } => Position { begun: now, ..Position::default() },
            under_way => under_way.clone(),
        };
        let page_size = if lane == Enrichment::SignIns { SIGN_INS_A_PAGE } else { A_PAGE };
        Some(Self { lane, position, queue: VecDeque::new(), behind: None, restarted: false, page_size })
    }

    /// Reads on. The position moves only with what was read.
    pub(super) async fn step(mut self, graph: Arc<Graph>, cx: Context) -> (Self, Result<Vec<Patch>>) {
        let outcome = match self.lane {
            Enrichment::Mfa => self.report(&graph, &cx, Operation::Registrations, Registration::patch).await,
            Enrichment::SignIns => self.report(&graph, &cx, Operation::SignIns, SignIn::patch).await,
            Enrichment::Mailboxes => self.mailboxes(&graph, &cx).await,
        };
        (self, outcome)
    }

    /// Tells whether there is another way on behind an error: a place that was lost, a page that is too large.
    pub(super) fn can_go_on(&mut self, error: &Error) -> bool {
        if is_lost(error) && self.position.next.is_some() && !self.restarted {
            self.restarted = true;
            self.position = Position { begun: self.position.begun, ..Position::default() };
            self.queue.clear();
            return true;
        }
        let too_large = Refusal::of(error).is_some_and(|refusal| refusal.status == 400);
        if self.lane == Enrichment::SignIns && too_large && self.page_size > SIGN_INS_A_SMALL_PAGE {
            self.page_size = SIGN_INS_A_SMALL_PAGE;
            return true;
        }
        false
    }

    fn url(&self, graph: &Graph) -> Url {
        if let Some(next) = &self.position.next {
            return graph.at(next);
        }
        let mut url = graph.config.graph.clone();
        let (path, select): (&[&str], _) = match self.lane {
            Enrichment::Mfa => (&["reports", "authenticationMethods", "userRegistrationDetails"], None),
            Enrichment::SignIns => (&["users"], Some("id,signInActivity")),
            Enrichment::Mailboxes => (&["users"], Some("id,mail,userType")),
        };
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        let mut query = url.query_pairs_mut();
        if let Some(select) = select {
            query.append_pair("$select", select);
        }
        query.append_pair("$top", &self.page_size.to_string());
        drop(query);
        url
    }

    /// Reads the page at the position and tells what is behind it.
    async fn page<R: DeserializeOwned, T: Send>(
        &self,
        graph: &Graph,
        cx: &Context,
        operation: Operation,
        read: impl Fn(&R) -> Option<T> + Sync,
    ) -> Result<(Vec<T>, Option<Link>)> {
        let url = self.url(graph);
        // The service of reports counts its requests only; users count as everywhere.
        let units = u32::from(operation != Operation::Registrations);
        let page = graph.get(cx, operation, units, &url, |answer| {
            let page = read_page::<R>(&answer.body).map_err(|error| unreadable(answer, &error))?;
            if !page.odd.is_empty() {
                // What a lane cannot read stays unknown.
                tracing::warn!(
                    lane = word(self.lane),
                    rows = page.odd.len(),
                    "rows that cannot be understood are left out"
                );
            }
            let next = page.next.as_deref().map(|next| graph.link(next)).transpose()?;
            Ok((page.read.iter().filter_map(&read).collect(), next))
        });
        let (rows, next) = page.await?;
        if next.is_some() && next == self.position.next {
            return Err(Error::protocol("graph gives the same page again"));
        }
        Ok((rows, next))
    }

    async fn report<R: DeserializeOwned>(
        &mut self,
        graph: &Graph,
        cx: &Context,
        operation: Operation,
        read: fn(&R) -> Option<Patch>,
    ) -> Result<Vec<Patch>> {
        let (patches, next) = self.page(graph, cx, operation, read).await?;
        self.leave_page(next);
        Ok(patches)
    }

    /// Asks what some mailboxes are for. One request for each is the only way, so that a page of users takes several steps.
    async fn mailboxes(&mut self, graph: &Graph, cx: &Context) -> Result<Vec<Patch>> {
        if self.queue.is_empty() {
            let (users, behind) = self.page(graph, cx, Operation::ListUsers, UserWithMailbox::id).await?;
            self.queue = users.into_iter().skip(self.position.done as usize).collect();
            self.behind = behind;
        }
        let asked: Vec<Uuid> = self.queue.iter().take(BATCH).copied().collect();
        let patches = if asked.is_empty() { Vec::new() } else { purposes(graph, cx, &asked).await? };
        self.queue.drain(..asked.len());
        self.position.done += u32::try_from(asked.len()).unwrap_or(u32::MAX);
        if self.queue.is_empty() {
            let behind = self.behind.take();
            self.leave_page(behind);
        }
        Ok(patches)
    }

    fn leave_page(&mut self, next: Option<Link>) {
        self.position.ended = next.is_none();
        self.position.next = next;
        self.position.done = 0;
    }
}

async fn purposes(graph: &Graph, cx: &Context, asked: &[Uuid]) -> Result<Vec<Patch>> {
    let asks: Vec<Ask> = asked
        .iter()
        // The mail service counts them, not the directory.
        .map(|id| Ask { url: format!("/users/{id}/mailboxSettings/userPurpose"), units: 0 })
        .collect();
    let read = |_: usize, body: &[u8]| {
        serde_json::from_slice::<Purpose>(body).map_err(|_| Error::protocol("the purpose of a mailbox cannot be read"))
    };
    let mut answers = graph.batch(cx, Operation::MailboxPurpose, &asks, read).await?;
    // One mailbox may be closed to the application; all of them, and it has no right to any.
    let denied = |answer: &Result<Purpose>| {
        answer.as_ref().is_err_and(|error| matches!(error.kind(), ErrorKind::PermissionDenied { .. }))
    };
    if answers.iter().all(denied)
        && let Some(Err(error)) = answers.pop()
    {
        return Err(error);
    }
    // Who has no mailbox has none to tell of.
    Ok(asked.iter().zip(answers).filter_map(|(id, answer)| Some(answer.ok()?.patch(*id))).collect())
}
