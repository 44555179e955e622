//! Actions on remote accounts, asked for by local record. It must not know how an endpoint carries them out, and it
//! changes nothing here: what became of an account is for the next import to say.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::sync::Arc;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Registered, Service};
use crate::endpoint::{Action, ActionOutcome, Context, Endpoint};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{CustomerId, EndpointName, ObjectKey, Record, RecordId, UserKind, names};
use crate::outbox::blocking;

/// So many failures one after the other, and nothing in between, mean that the endpoint does not answer at all.
const FAILURES_IN_A_ROW: usize = 8;

/// What became of an action on one record.
#[derive(Debug)]
#[non_exhaustive]
pub enum ActionResult {
    /// Done, and read back.
    Done,
    /// It was so already.
    AlreadySo,
    /// Refused by the endpoint or by its remote, with the reason and the remedy.
    Refused(Error),
    /// Something went wrong on the way; the error says so where the change may have been made nevertheless.
    Failed(Error),
    /// There is no such record, or the endpoint does not see it.
    NotFoundHere,
    /// The endpoint does not offer this action for this record.
    NotOffered,
    /// Nothing was sent: the caller wanted to stop, or the endpoint did not answer for those before it.
    NotTried(Error),
}

impl ActionResult {
    /// Returns the result as one word, for reports and metrics.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::AlreadySo => "already-so",
            Self::Refused(_) => "refused",
            Self::Failed(_) => "failed",
            Self::NotFoundHere => "not-found-here",
            Self::NotOffered => "not-offered",
            Self::NotTried(_) => "not-tried",
        }
    }

    /// Tells whether the account is now as asked for.
    pub const fn is_so(&self) -> bool {
        matches!(self, Self::Done | Self::AlreadySo)
    }

    /// Returns the reason why not, if there is one.
    pub const fn error(&self) -> Option<&Error> {
        match self {
            Self::Refused(error) | Self::Failed(error) | Self::NotTried(error) => Some(error),
            _ => None,
        }
    }
}

impl fmt::Display for ActionResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())?;
        self.error().map_or(Ok(()), |error| write!(f, ": {error}"))
    }
}

/// One record and what became of the action on it.
#[derive(Debug)]
#[non_exhaustive]
pub struct RecordResult {
    /// The record that was asked for.
    pub record: RecordId,
    /// What became of it.
    pub result: ActionResult,
}

impl Service {
    /// Returns which actions are offered for a record at an endpoint. It asks the store only, and nobody remote: an
    /// account can still be refused then.
    ///
    /// # Errors
    /// An endpoint that is not registered; a store that cannot be read.
    pub async fn offered_actions(
        &self,
        customer: &CustomerId,
        endpoint: &EndpointName,
        record: RecordId,
    ) -> Result<Vec<Action>> {
        let Registered { endpoint, .. } = self.registered(customer, endpoint)?;
        let read = self.read_records(customer, vec![record]).await?;
        let offered =
            |action: &Action| read.iter().any(|(_, record)| find(&*endpoint, *action, record.as_ref()).is_ok());
        Ok(Action::ALL.into_iter().filter(offered).collect())
    }

    /// Asks an action of the remote accounts behind some records; answers once for each record, in the order asked.
    ///
    /// # Behaviour
    /// - One account that is refused, or fails, keeps no other from being tried. Only when many fail one after the
    ///   other and none succeeds in between, the rest is left untried.
    /// - Once `cancel` is cancelled no further account is tried.
    /// - Doing it twice is the same as doing it once.
    /// - The records stay as they are: the next import reads what has changed.
    ///
    /// # Errors
    /// An endpoint that is not registered; a store that cannot be read; what keeps every account from being changed,
    /// such as a server that is not reached or a password that is wrong. Nothing was tried then.
    ///
    /// # Cancel safety
    /// Dropping the future ends what is under way. A change may have been made then of which nobody is told.
    pub async fn act(
        &self,
        customer: &CustomerId,
        endpoint: &EndpointName,
        action: Action,
        records: &[RecordId],
        cancel: &CancellationToken,
    ) -> Result<Vec<RecordResult>> {
        let Registered { endpoint, gate } = self.registered(customer, endpoint)?;
        let mut seen = HashSet::new();
        let records = records.iter().copied().filter(|record| seen.insert(*record)).collect();
        let mut results = Vec::new();
        let mut queue = VecDeque::new();
        for (at, (id, record)) in self.read_records(customer, records).await?.into_iter().enumerate() {
            let found = find(&*endpoint, action, record.as_ref());
            // Until it is asked, it was not.
            results.push(RecordResult { record: id, result: ActionResult::NotTried(Error::cancelled()) });
            match found {
                Ok(account) => queue.push_back((at, account)),
                Err(result) => results[at].result = result,
            }
        }
        let cx = Context::new(gate.with_cancel(cancel.clone()), cancel.clone());
        Series { endpoint, cx, action, results: &mut results, failures: 0 }.run(queue).await?;
        for RecordResult { record, result } in &results {
            tracing::info!(%customer, %action, %record, result = result.as_str(), "action");
        }
        Ok(results)
    }

    async fn read_records(
        &self,
        customer: &CustomerId,
        records: Vec<RecordId>,
    ) -> Result<Vec<(RecordId, Option<Record>)>> {
        let (store, customer) = (Arc::clone(&self.inner.store), customer.clone());
        blocking(move || records.into_iter().map(|id| Ok((id, store.record(&customer, id)?))).collect()).await
    }
}

/// Finds out of which account an action is to be asked, or why of none.
fn find(endpoint: &dyn Endpoint, action: Action, record: Option<&Record>) -> Result<ObjectKey, ActionResult> {
    let record = record.ok_or(ActionResult::NotFoundHere)?;
    let mut here = record.identities.iter().filter(|identity| identity.endpoint == endpoint.info().name);
    let identity = here.next().ok_or(ActionResult::NotFoundHere)?;
    if here.next().is_some() {
        return Err(ActionResult::Refused(Error::new(
            ErrorKind::Conflict,
            "the record stands for several accounts of this endpoint; change them there",
        )));
    }
    // A contact is an address, nothing that signs in.
    let is_account = record.attributes.text(&names::KIND) != Some(UserKind::Contact.as_str());
    let offers = endpoint.as_actor().is_some_and(|actor| actor.offers(action, record.kind));
    if !offers || !is_account {
        return Err(ActionResult::NotOffered);
    }
    Ok(ObjectKey { kind: record.kind, id: identity.source_id.clone() })
}

/// Accounts that are asked, so many at a time as the gate lets through.
struct Series<'a> {
    endpoint: Arc<dyn Endpoint>,
    cx: Context,
    action: Action,
    results: &'a mut Vec<RecordResult>,
    /// Failures since the last answer.
    failures: usize,
}

impl Series<'_> {
    async fn run(&mut self, mut queue: VecDeque<(usize, ObjectKey)>) -> Result<()> {
        let Some(actor) = self.endpoint.as_actor().filter(|_| !queue.is_empty()) else { return Ok(()) };
        match actor.begin(&self.cx).await {
            // Nothing was tried, and the results say so already.
            Err(error) if *error.kind() == ErrorKind::Cancelled => return Ok(()),
            begun => begun?,
        }
        let mut under_way = JoinSet::new();
        loop {
            while under_way.len() < self.cx.gate().concurrency().max(1) && self.goes_on() {
                let Some((at, account)) = queue.pop_front() else { break };
                let (endpoint, cx, action) = (Arc::clone(&self.endpoint), self.cx.clone(), self.action);
                // Should it panic, this is what is known of it.
                self.results[at].result = ActionResult::Failed(Error::protocol(
                    "the connector panicked; the change may have been made, the next import tells",
                ));
                under_way.spawn(async move { (at, ask(&*endpoint, &cx, action, &account).await) });
            }
            match under_way.join_next().await {
                None => break,
                Some(Ok((at, result))) => {
                    self.failures = if matches!(result, ActionResult::Failed(_)) { self.failures + 1 } else { 0 };
                    self.results[at].result = result;
                }
                Some(Err(_)) => self.failures += 1,
            }
        }
        if !self.cx.cancel().is_cancelled() {
            for (at, _) in queue {
                self.results[at].result = ActionResult::NotTried(Error::new(
                    ErrorKind::Unavailable,
                    "too many failed one after the other; see what they say, then ask again",
                ));
            }
        }
        Ok(())
    }

    fn goes_on(&self) -> bool {
        self.failures < FAILURES_IN_A_ROW && !self.cx.cancel().is_cancelled()
    }
}

async fn ask(endpoint: &dyn Endpoint, cx: &Context, action: Action, account: &ObjectKey) -> ActionResult {
    let Some(actor) = endpoint.as_actor() else { return ActionResult::NotOffered };
    match actor.act(cx, action, account).await {
        Ok(ActionOutcome::Done) => ActionResult::Done,
        Ok(ActionOutcome::AlreadySo) => ActionResult::AlreadySo,
        Ok(ActionOutcome::Refused(error)) => ActionResult::Refused(error),
        Err(error) if *error.kind() == ErrorKind::Cancelled => ActionResult::NotTried(error),
        Err(error) => ActionResult::Failed(error),
    }
}
