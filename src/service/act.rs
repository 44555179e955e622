//! Actions on remote accounts, asked for by local record. It must not know how an endpoint carries them out, and it
//! changes nothing here: what became of an account is for the next import to say.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::fmt;
use std::sync::Arc;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Registered, Service};
use crate::endpoint::{Action, ActionOutcome, Context, Endpoint};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{ActionId, CustomerId, EndpointName, ObjectKey, Record, RecordId, UserKind, names};
use crate::outbox::blocking;
use crate::store::{AskedResult, AskedSeries};

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
    /// The action cannot be asked for this record, with the reason.
    NotOffered(Error),
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
            Self::NotOffered(_) => "not-offered",
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
            Self::Refused(error) | Self::Failed(error) | Self::NotTried(error) | Self::NotOffered(error) => Some(error),
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
    /// The endpoint that it was asked of; `None` where none owns the record.
    pub endpoint: Option<EndpointName>,
    /// What became of it.
    pub result: ActionResult,
}

/// What is asked of accounts, and by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct ActionRequest {
    /// The id of the series. Asked for twice under the same id, what was done is not sent again.
    pub id: ActionId,
    /// What is asked.
    pub action: Action,
    /// Who asks: the host's own word, opaque here, kept with the action.
    pub by: String,
    /// Through which endpoint; `None` asks each record's owner.
    pub endpoint: Option<EndpointName>,
}

impl ActionRequest {
    /// Asks the owners of records, under an id of its own.
    pub fn new(action: Action, by: impl Into<String>) -> Self {
        Self { id: ActionId::random(), action, by: by.into(), endpoint: None }
    }

    /// Asks one endpoint, whoever owns the records.
    pub fn through(mut self, endpoint: EndpointName) -> Self {
        self.endpoint = Some(endpoint);
        self
    }

    /// Names the id, so that the same may be asked once more.
    pub fn with_id(mut self, id: ActionId) -> Self {
        self.id = id;
        self
    }
}

/// Whether an action can be asked of a record.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Availability {
    /// The action.
    pub action: Action,
    /// The endpoint that would be asked; `None` where nobody owns the record.
    pub endpoint: Option<EndpointName>,
    /// Why it cannot be asked; `None` where it can.
    pub obstacle: Option<Error>,
}

impl Service {
    /// Returns which actions can be asked of a record's owner, and why not the others. It asks the store only, and nobody
    /// remote: an account can still be refused then.
    ///
    /// # Errors
    /// A store that cannot be read.
    pub async fn available_actions(&self, customer: &CustomerId, record: RecordId) -> Result<Vec<Availability>> {
        let read = self.read_records(customer, vec![record]).await?;
        let record = read.into_iter().next().and_then(|(_, record)| record);
        let owner = record.as_ref().and_then(|record| record.lock.as_ref()).map(|lock| lock.endpoint.clone());
        let registered = owner.as_ref().and_then(|owner| self.registered(customer, owner).ok());
        let available = |action: Action| {
            let found = match (&record, &owner, &registered) {
                (None, ..) => Err(ActionResult::NotFoundHere),
                (Some(_), None, _) => Err(ActionResult::NotOffered(by_hand())),
                (Some(_), Some(owner), None) => Err(ActionResult::NotOffered(not_registered(owner))),
                (Some(record), Some(_), Some(registered)) => find(&*registered.endpoint, action, Some(record)),
            };
            let obstacle = found.err().map(|result| result.error().cloned().unwrap_or_else(nobody));
            Availability { action, endpoint: owner.clone(), obstacle }
        };
        Ok(Action::ALL.into_iter().map(available).collect())
    }

    /// Asks an action of the remote accounts behind some records; answers once for each record, in the order asked.
    ///
    /// # Behaviour
    /// - Each record's owner is asked, through its own gate, unless the request names one endpoint for all.
    /// - What is asked is noted before anything is sent, and then what became of it: see
    ///   [`Directory::happened`](crate::Directory::happened). A process that ends in between leaves it noted without a
    ///   result.
    /// - One account that is refused, or fails, keeps no other from being tried. Only when many fail one after the
    ///   other and none succeeds in between, the rest is left untried.
    /// - Once `cancel` is cancelled no further account is tried.
    /// - Doing it twice is the same as doing it once. Under the same id, who was done is not asked again.
    /// - The records stay as they are: the next import reads what has changed.
    ///
    /// # Errors
    /// A named endpoint that is not registered; a store that cannot be read or written; another action under an id that
    /// was used. If one endpoint is asked, also what keeps every account from being changed, such as a server that is
    /// not reached or a password that is wrong: nothing was tried then. If several are, that is told of their records.
    ///
    /// # Cancel safety
    /// Dropping the future ends what is under way. A change may have been made then of which nobody is told; it stays
    /// noted as asked for.
    pub async fn act(
        &self,
        customer: &CustomerId,
        request: &ActionRequest,
        records: &[RecordId],
        cancel: &CancellationToken,
    ) -> Result<Vec<RecordResult>> {
        let named = request.endpoint.as_ref().map(|endpoint| self.registered(customer, endpoint)).transpose()?;
        let mut seen = HashSet::new();
        let records = records.iter().copied().filter(|record| seen.insert(*record)).collect();
        let mut results: Vec<RecordResult> = Vec::new();
        let mut queues: BTreeMap<EndpointName, (Registered, Queue)> = BTreeMap::new();
        for (at, (id, record)) in self.read_records(customer, records).await?.into_iter().enumerate() {
            let owner = record.as_ref().and_then(|record| record.lock.as_ref()).map(|lock| lock.endpoint.clone());
            let endpoint = request.endpoint.clone().or(owner);
            let registered = match (&named, &endpoint) {
                (Some(named), _) => Ok(named.clone()),
                (None, Some(owner)) => {
                    self.registered(customer, owner).map_err(|_| ActionResult::NotOffered(not_registered(owner)))
                }
                (None, None) if record.is_some() => Err(ActionResult::NotOffered(by_hand())),
                (None, None) => Err(ActionResult::NotFoundHere),
            };
            let found = registered.and_then(|registered| {
                let account = find(&*registered.endpoint, request.action, record.as_ref())?;
                Ok((registered, account))
            });
            // Until it is asked, it was not.
            let result = ActionResult::NotTried(Error::cancelled());
            results.push(RecordResult { record: id, endpoint: endpoint.clone(), result });
            match (found, endpoint) {
                (Ok((registered, account)), Some(endpoint)) => {
                    queues.entry(endpoint).or_insert((registered, Queue::new())).1.push_back((at, account));
                }
                (Ok(_), None) => results[at].result = ActionResult::NotFoundHere,
                (Err(result), _) => results[at].result = result,
            }
        }
        let notes = Notes { service: self, customer, request: request.id };
        for (at, result) in notes.begin(request, &results).await? {
            results[at].result = result;
            for (_, queue) in queues.values_mut() {
                queue.retain(|(waiting, _)| *waiting != at);
            }
        }
        let alone = queues.len() == 1;
        let mut refused = None;
        for (Registered { endpoint, gate }, queue) in queues.into_values() {
            let all: Vec<usize> = queue.iter().map(|(at, _)| *at).collect();
            let cx = Context::new(gate.with_cancel(cancel.clone()), cancel.clone());
            let mut series =
                Series { endpoint, cx, action: request.action, results: &mut results, failures: 0, notes: &notes };
            if let Err(error) = series.run(queue).await {
                for at in all {
                    results[at].result = ActionResult::NotTried(error.clone());
                }
                refused = refused.or(Some(error));
            }
        }
        notes.end(&results).await?;
        for RecordResult { record, result, .. } in &results {
            tracing::info!(%customer, action = %request.action, %record, result = result.as_str(), "action");
        }
        match refused {
            Some(error) if alone => Err(error),
            _ => Ok(results),
        }
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

/// Accounts that wait to be asked, with the places of their records.
type Queue = VecDeque<(usize, ObjectKey)>;

/// Results that are noted at once while others are still asked for.
const NOTED_AT_ONCE: usize = 32;

/// Keeps what is asked and what becomes of it.
struct Notes<'a> {
    service: &'a Service,
    customer: &'a CustomerId,
    request: ActionId,
}

impl Notes<'_> {
    /// Notes what is asked for; returns what was done before under this id, by place.
    async fn begin(&self, request: &ActionRequest, results: &[RecordResult]) -> Result<Vec<(usize, ActionResult)>> {
        let of = results.iter().map(|result| (result.record, result.endpoint.clone())).collect();
        let series = AskedSeries { request: request.id, by: request.by.clone(), action: request.action, of };
        let (store, customer) = (Arc::clone(&self.service.inner.store), self.customer.clone());
        let now = self.service.now();
        let before = blocking(move || store.begin_actions(&customer, &series, now)).await?;
        let done = before.into_iter().filter_map(|before| {
            let at = results.iter().position(|result| result.record == before.record)?;
            let result = match before.result.as_str() {
                "done" => ActionResult::Done,
                "already-so" => ActionResult::AlreadySo,
                // Whoever was not done is asked once more.
                _ => return None,
            };
            Some((at, result))
        });
        Ok(done.collect())
    }

    /// Notes what became of some of them.
    async fn end(&self, results: impl IntoIterator<Item = &RecordResult>) -> Result<()> {
        let results: Vec<AskedResult> = results
            .into_iter()
            .map(|RecordResult { record, result, .. }| AskedResult {
                record: *record,
                result: result.as_str().to_owned(),
                reason: result.error().map(ToString::to_string),
            })
            .collect();
        let (store, customer, request) = (Arc::clone(&self.service.inner.store), self.customer.clone(), self.request);
        blocking(move || store.end_actions(&customer, request, &results)).await
    }
}

fn by_hand() -> Error {
    Error::new(ErrorKind::Unsupported, "nobody owns the record: it was added by hand and has no account anywhere")
}

fn nobody() -> Error {
    Error::new(ErrorKind::NotFound, "there is no such record, or this endpoint does not see it")
}

fn not_registered(endpoint: &EndpointName) -> Error {
    Error::new(ErrorKind::Unsupported, "the endpoint that owns the record is not configured here; configure it")
        .with_context("endpoint", endpoint)
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
    let obstacle = match endpoint.as_actor() {
        _ if !is_account => "the record is a contact: an address, nothing that signs in",
        None => "the endpoint changes nothing; do it in its directory",
        Some(actor) if !actor.offers(action, record.kind) => {
            "the endpoint does not offer this for such a record; do it in its directory"
        }
        Some(_) => return Ok(ObjectKey { kind: record.kind, id: identity.source_id.clone() }),
    };
    Err(ActionResult::NotOffered(
        Error::new(ErrorKind::Unsupported, obstacle).with_context("endpoint", &endpoint.info().name),
    ))
}

/// Accounts that are asked, so many at a time as the gate lets through.
struct Series<'a> {
    endpoint: Arc<dyn Endpoint>,
    cx: Context,
    action: Action,
    results: &'a mut Vec<RecordResult>,
    /// Failures since the last answer.
    failures: usize,
    notes: &'a Notes<'a>,
}

impl Series<'_> {
    async fn run(&mut self, mut queue: Queue) -> Result<()> {
        let Some(actor) = self.endpoint.as_actor().filter(|_| !queue.is_empty()) else { return Ok(()) };
        match actor.begin(&self.cx).await {
            // Nothing was tried, and the results say so already.
            Err(error) if *error.kind() == ErrorKind::Cancelled => return Ok(()),
            begun => begun?,
        }
        let mut under_way = JoinSet::new();
        let mut answered: Vec<usize> = Vec::new();
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
                    answered.push(at);
                    if answered.len() == NOTED_AT_ONCE {
                        // What cannot be noted now is noted at the end, or the end says so.
                        let noted = self.notes.end(answered.drain(..).map(|at| &self.results[at])).await;
                        if let Err(error) = noted {
                            tracing::warn!("what became of actions is not noted yet: {error}");
                        }
                    }
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
    let Some(actor) = endpoint.as_actor() else { return ActionResult::NotFoundHere };
    match actor.act(cx, action, account).await {
        Ok(ActionOutcome::Done) => ActionResult::Done,
        Ok(ActionOutcome::AlreadySo) => ActionResult::AlreadySo,
        Ok(ActionOutcome::Refused(error)) => ActionResult::Refused(error),
        Err(error) if *error.kind() == ErrorKind::Cancelled => ActionResult::NotTried(error),
        Err(error) => ActionResult::Failed(error),
    }
}
