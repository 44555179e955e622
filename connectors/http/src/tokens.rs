//! A token for many callers: kept, renewed ahead of time, fetched once for all. It must not know how it is fetched.

use std::fmt::{self, Debug};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::{BoxFuture, FutureExt, WeakShared};
use reqwest::header::HeaderValue;
use tenantry::gate::Clock;
use tenantry::{Error, ErrorKind, Result, Retry, Secret};

/// A token is renewed this long before its end, or a tenth of its life where that is shorter.
const AHEAD: Duration = Duration::from_mins(5);

/// A refused login is not tried again for so long: trying may lock the account.
const REFUSED_FOR: Duration = Duration::from_secs(30);

/// After a renewal ahead of time that failed, the next one waits so long; the token is still good.
const NEXT_RENEWAL: Duration = Duration::from_secs(30);

/// Where tokens come from: a connector's sign-in.
#[async_trait]
pub trait TokenSource: Send + Sync + Debug {
    /// Fetches a new token.
    ///
    /// It is called by one caller for all, inside of that caller's try at the gate; so it makes one request, does not
    /// repeat it, does not call the gate, and says the truth about retries.
    ///
    /// # Errors
    /// [`Unauthenticated`](ErrorKind::Unauthenticated) for a refused login, which is then not tried again for a while.
    async fn fetch(&self) -> Result<Token>;
}

/// A token, fresh from its source.
#[derive(Debug)]
pub struct Token {
    /// What is sent behind `Bearer`.
    pub secret: Secret,
    /// How long it is good, from the moment before it was asked for.
    pub expires_in: Duration,
}

impl Token {
    /// Creates a token.
    pub fn new(secret: Secret, expires_in: Duration) -> Self {
        Self { secret, expires_in }
    }
}

/// A token in use. It is told from the one that comes after it.
#[derive(Clone)]
pub struct Lease {
    number: u64,
    header: HeaderValue,
}

impl Lease {
    /// Returns the value of the `Authorization` header, which hides itself from `Debug`.
    pub fn header(&self) -> HeaderValue {
        self.header.clone()
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lease({})", self.number)
    }
}

/// The token of one endpoint, for all its callers; a clone is the same token.
///
/// Whoever finds no usable token fetches one, and everybody else who needs it waits for that. Ahead of its end one caller
/// renews it while the others go on with the old one. No task is spawned: the callers that wait drive the fetch, and one
/// that is dropped leaves it to the others.
#[derive(Clone)]
pub struct Tokens {
    inner: Arc<Inner>,
}

struct Inner {
    source: Arc<dyn TokenSource>,
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    fetched: u64,
    held: Option<Held>,
    /// Weak, so that a fetch nobody waits for any more is gone, and the next caller begins anew.
    flight: Option<WeakShared<Flight>>,
    /// A failure, and until when it is the answer to everybody.
    failed: Option<(Error, Duration)>,
    /// When a renewal ahead of time may be tried again.
    renewal_from: Duration,
}

type Flight = BoxFuture<'static, Result<Lease>>;

struct Held {
    lease: Lease,
    renew_at: Duration,
    /// A little before the token's end, for requests that are on their way then.
    good_until: Duration,
}

impl Tokens {
    /// Creates a place for tokens of this source; nothing is fetched yet.
    pub fn new(source: Arc<dyn TokenSource>, clock: Clock) -> Self {
        Self { inner: Arc::new(Inner { source, clock, state: Mutex::default() }) }
    }

    /// Returns a token that is good now, and fetches one if there is none.
    ///
    /// # Errors
    /// Those of the source, for all who waited for it. For a while after a refused login, and as long as the source was
    /// told to wait, the same error without another try.
    ///
    /// # Cancel safety
    /// Dropping the future leaves a fetch that it began to those who wait for it.
    pub async fn lease(&self) -> Result<Lease> {
        let flight = {
            let mut state = self.inner.state();
            let now = self.inner.clock.monotonic();
            let under_way =
                state.flight.as_ref().and_then(WeakShared::upgrade).filter(|flight| flight.peek().is_none());
            if let Some(held) = &state.held
                && now < held.good_until
                && (now < held.renew_at || now < state.renewal_from || under_way.is_some())
            {
                return Ok(held.lease.clone());
            }
            match (under_way, &state.failed) {
                (Some(flight), _) => flight,
                (None, Some((error, until))) if now < *until => return Err(later(error, until.saturating_sub(now))),
                (None, _) => {
                    let flight = Arc::clone(&self.inner).fetch().boxed().shared();
                    state.flight = flight.downgrade();
                    flight
                }
            }
        };
        let outcome = flight.await;
        // A renewal ahead of time that failed has cost nothing yet.
        outcome.or_else(|error| self.inner.good().ok_or(error))
    }

    /// Says that a server refused a token. If it is still the current one, the next caller fetches another.
    pub fn refused(&self, lease: &Lease) {
        let mut state = self.inner.state();
        if state.held.as_ref().is_some_and(|held| held.lease.number == lease.number) {
            state.held = None;
        }
    }
}

impl Inner {
    async fn fetch(self: Arc<Self>) -> Result<Lease> {
        let begun = self.clock.monotonic();
        let outcome = self.source.fetch().await.and_then(|token| Ok((header(&token)?, token.expires_in)));
        let now = self.clock.monotonic();
        let mut state = self.state();
        match outcome {
            Ok((header, life)) => {
                state.fetched += 1;
                let lease = Lease { number: state.fetched, header };
                let ahead = AHEAD.min(life / 10);
                let end = begun.saturating_add(life);
                let held = Held {
                    lease: lease.clone(),
                    renew_at: end.saturating_sub(ahead),
                    good_until: end.saturating_sub(ahead / 10),
                };
                state.held = Some(held);
                state.failed = None;
                Ok(lease)
            }
            Err(error) => {
                state.renewal_from = now.saturating_add(NEXT_RENEWAL);
                let silence = match (error.kind(), error.retry()) {
                    (_, Retry::After(wait)) => Some(wait),
                    (ErrorKind::Unauthenticated | ErrorKind::PermissionDenied { .. } | ErrorKind::Config, _) => {
                        Some(REFUSED_FOR)
                    }
                    _ => None,
                };
                state.failed = silence.map(|wait| (error.clone(), now.saturating_add(wait)));
                Err(error)
            }
        }
    }

    /// Returns the token that is held, if it is good.
    fn good(&self) -> Option<Lease> {
        let now = self.clock.monotonic();
        self.state().held.as_ref().filter(|held| now < held.good_until).map(|held| held.lease.clone())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Repeats an error to somebody who comes later.
fn later(error: &Error, remaining: Duration) -> Error {
    match error.retry() {
        Retry::After(_) => error.clone().with_retry(Retry::After(remaining)),
        _ => error.clone(),
    }
}

fn header(token: &Token) -> Result<HeaderValue> {
    let text = Secret::new(format!("Bearer {}", token.secret.expose()));
    let mut header = HeaderValue::from_str(text.expose())
        .map_err(|_| Error::protocol("the token holds characters that cannot be sent"))?;
    header.set_sensitive(true);
    Ok(header)
}

impl Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("source", &self.inner.source).finish_non_exhaustive()
    }
}
