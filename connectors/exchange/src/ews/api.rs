//! The one way of a request to the server and back: gate, login, release. It must not know why something is asked.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use reqwest::StatusCode;
use tenantry::gate::Cost;
use tenantry::{Context, Error, ErrorKind, Result, Retry};
use tenantry_http::Answer;

use super::answer::{self, Mailbox, Outcome, Resolution, Set, Version};
use super::config::Checked;
use super::error::{self, Meaning};
use super::request::{self, Words};
use super::sign_in::SignIn;

/// The gate's bucket of requests by one account.
pub(crate) const ACCOUNT: &str = "account";

/// The services as one endpoint sees them.
pub(crate) struct Api {
    pub(crate) config: Checked,
    sign_in: SignIn,
    state: Mutex<State>,
}

struct State {
    words: Words,
    version: Option<Version>,
}

/// What a request came to.
enum Got {
    Results(Set<Resolution>),
    Members(Set<Mailbox>),
    Nobody,
    /// To be asked again in older words.
    Older,
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Api {
    pub(crate) fn new(config: Checked) -> Result<Self> {
        let sign_in = SignIn::new(&config)?;
        Ok(Self { config, sign_in, state: Mutex::new(State { words: Words::Full, version: None }) })
    }

    /// Asks for everybody whose name, alias or address begins with something. `None`: nobody.
    pub(crate) async fn resolve(&self, cx: &Context, entry: &str) -> Result<Option<Set<Resolution>>> {
        match self.ask(cx, "resolve names", |words| request::resolve(words, entry)).await? {
            Got::Results(set) => Ok(Some(set)),
            Got::Nobody => Ok(None),
            Got::Members(_) | Got::Older => Err(unasked()),
        }
    }

    /// Asks for the direct members of a group. `None`: the server knows no such group, or none that may be seen.
    pub(crate) async fn expand(&self, cx: &Context, address: &str) -> Result<Option<Set<Mailbox>>> {
        match self.ask(cx, "expand a group", |words| request::expand(words, address)).await? {
            Got::Members(set) => Ok(Some(set)),
            Got::Nobody => Ok(None),
            Got::Results(_) | Got::Older => Err(unasked()),
        }
    }

    /// Returns the server's release, as far as an answer has told it.
    pub(crate) fn version(&self) -> Option<Version> {
        self.state().version.clone()
    }

    /// Tells whether the server gives everything that is known of a recipient.
    pub(crate) fn is_full(&self) -> bool {
        self.state().words == Words::Full
    }

    /// Asks for the name of the forest that the server belongs to.
    pub(crate) async fn forest(&self, cx: &Context) -> Result<Option<String>> {
        cx.gate().call(Cost::default(), "ask for the forest", |_| self.sign_in.forest(&self.config)).await
    }

    async fn ask(&self, cx: &Context, name: &'static str, message: impl Fn(Words) -> String + Sync) -> Result<Got> {
        loop {
            let words = self.state().words;
            let message = message(words);
            let got = cx.gate().call(Cost::default(), name, |_| self.once(cx, &message)).await?;
            match (got, words.older()) {
                (Got::Older, Some(older)) => {
                    let mut state = self.state();
                    // Somebody else may have found out at the same time, and more.
                    if state.words == words {
                        state.words = older;
                        tracing::debug!(words = ?older, "the server is asked in older words from now on");
                    }
                }
                (Got::Older, None) => {
                    return Err(Error::protocol("the server refuses requests of every release since Exchange 2007")
                        .with_operation(name));
                }
                (got, _) => return Ok(got),
            }
        }
    }

    async fn once(&self, cx: &Context, message: &str) -> Result<Got> {
        let clock = cx.gate().clock();
        let answer = match self.sign_in.send(&self.config, clock, message).await {
            // To its own page of errors: the application is being started, or is broken.
            Err(error) if error.context("redirects to") == Some(self.config.origin.host()) => {
                let message = "the server redirects to a page of its own instead of answering";
                return Err(Error::new(ErrorKind::Unavailable, message).with_retry(Retry::Backoff).with_source(error));
            }
            sent => sent?,
        };
        self.judge(&answer, clock.now_unix_millis())
    }

    /// Says what an answer means: of the codes those inside count, whatever the status.
    fn judge(&self, answer: &Answer, now_unix_millis: i64) -> Result<Got> {
        let status = answer.status;
        if status != StatusCode::OK && status != StatusCode::INTERNAL_SERVER_ERROR {
            return Err(error::refused(answer, now_unix_millis));
        }
        if answer.is_html() {
            return Err(error::page(answer));
        }
        let reply = match answer::read(&answer.body) {
            Ok(reply) => reply,
            // What IIS says by itself is no message.
            Err(_) if status == StatusCode::INTERNAL_SERVER_ERROR => {
                return Err(error::refused(answer, now_unix_millis));
            }
            Err(error) => return Err(error.with_context("status", status.as_u16())),
        };
        if let Some(version) = reply.version {
            if version.is_online() {
                return Err(error::online());
            }
            self.state().version = Some(version);
        }
        match reply.outcome {
            Outcome::Resolved(set) => Ok(Got::Results(set)),
            Outcome::Expanded(set) => Ok(Got::Members(set)),
            Outcome::Refused(refusal) | Outcome::Fault(refusal) => match error::meaning(&refusal) {
                Meaning::Nobody => Ok(Got::Nobody),
                Meaning::Older => Ok(Got::Older),
                Meaning::Failure(error) => Err(error),
            },
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unasked() -> Error {
    Error::protocol("the answer is to another question than was asked")
}
