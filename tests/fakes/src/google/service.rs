//! A request's way to its answer: fault, token, quota, right, deed, record; it knows no socket.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use url::form_urlencoded;

use super::account::Account;
use super::call::Call;
use super::clock::real;
use super::faults::{Fault, Faults, Occasion};
use super::listing::Frame;
use super::log::{Logged, RequestLog};
use super::page::PageToken;
use super::quota::Counters;
use super::refusal::Refusal;
use super::resources::show;
use super::settings::{Privilege, Settings};
use super::state::text;
use super::token::Tokens;
use super::write::{Written, write};
use super::{Answer, Request, answer, keys};

const SCOPE: &str = "https://www.googleapis.com/auth/";

/// What becomes of a request.
#[derive(Debug)]
pub enum Outcome {
    /// An answer.
    Answer(Answer),
    /// The connection is cut.
    Cut,
    /// Nothing ever comes.
    Hang,
}

/// What becomes of a request, and when.
#[derive(Debug)]
pub struct Reply {
    /// What.
    pub outcome: Outcome,
    /// After how long.
    pub after: Duration,
}

/// One account with its limits, faults and record: everything of the server but the socket.
#[derive(Clone)]
pub struct Service {
    account: Account,
    settings: Arc<Mutex<Settings>>,
    faults: Faults,
    log: RequestLog,
    tokens: Arc<Mutex<Tokens>>,
    counters: Arc<Mutex<Counters>>,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").finish_non_exhaustive()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Service {
    /// Makes the service of an account.
    pub fn new(account: Account, settings: Settings) -> Self {
        Self {
            account,
            settings: Arc::new(Mutex::new(settings)),
            faults: Faults::default(),
            log: RequestLog::default(),
            tokens: Arc::default(),
            counters: Arc::default(),
        }
    }

    /// Returns a handle to the account.
    pub fn account(&self) -> Account {
        self.account.clone()
    }

    /// Returns a handle to the faults.
    pub fn faults(&self) -> Faults {
        self.faults.clone()
    }

    /// Returns a handle to the record of requests.
    pub fn log(&self) -> RequestLog {
        self.log.clone()
    }

    /// Changes limits and policies for requests to come.
    pub fn edit_settings(&self, change: impl FnOnce(&mut Settings)) {
        change(&mut locked(&self.settings));
    }

    /// Makes all access tokens invalid.
    pub fn revoke_tokens(&self) {
        locked(&self.tokens).revoke_all();
    }

    /// Returns how many access tokens were given out.
    pub fn tokens_given(&self) -> u64 {
        locked(&self.tokens).count()
    }

    /// Returns the service account's key file, with the token endpoint of a server at this address.
    pub fn key_file(&self, base: &str) -> String {
        self.key_file_with(base, keys::RIGHT)
    }

    /// Returns a key file with a private key that belongs to nobody.
    pub fn wrong_key_file(&self, base: &str) -> String {
        self.key_file_with(base, keys::WRONG)
    }

    fn key_file_with(&self, base: &str, key: &str) -> String {
        let file = json!({
            "type": "service_account",
            "project_id": "project",
            "private_key_id": "0123456789abcdef0123456789abcdef01234567",
            "private_key": key,
            "client_email": locked(&self.settings).service_account,
            "client_id": "100000000000000000001",
            "auth_uri": format!("{base}/auth"),
            "token_uri": format!("{base}/token"),
            "universe_domain": "googleapis.com",
        });
        serde_json::to_string_pretty(&file).unwrap_or_default()
    }

    /// Answers a request to a server at this address.
    pub fn reply(&self, base: &str, request: &Request) -> Reply {
        let settings = locked(&self.settings).clone();
        let now = self.account.state().now();
        let token = request.uri().path() == "/token";
        let call = Call::read(request);
        let operation = match &call {
            Some(call) => call.operation,
            None if token => "token",
            None => "unknown",
        };
        let target = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
        let page = call.as_ref().and_then(|call| call.parameter("pageToken")).and_then(PageToken::read);
        let page = page.map_or(1, |token| token.page);
        let faults = self.faults.decide(&Occasion { operation, page, target: &target });
        let delays = faults.iter().filter_map(|fault| match fault {
            Fault::Delay(time) => Some(*time),
            _ => None,
        });
        let after = settings.latency + delays.sum::<Duration>();
        locked(&self.counters).occupy(real(), i64::try_from(after.as_millis()).unwrap_or(i64::MAX / 2));
        let outcome = faults.iter().find_map(early).unwrap_or_else(|| {
            let answered = match &call {
                Some(call) => self.answer(&settings, call, &faults, now).unwrap_or_else(|refusal| refusal.answer()),
                None if token => self.token(&settings, base, request, now),
                None => Refusal::new(404, "notFound", "Not Found").answer(),
            };
            Outcome::Answer(answered)
        });
        let outcome = if faults.contains(&Fault::LoseAnswer) { Outcome::Cut } else { outcome };
        let status = match &outcome {
            Outcome::Answer(answer) => Some(answer.status().as_u16()),
            Outcome::Cut | Outcome::Hang => None,
        };
        self.log.add(Logged { operation, target, status, at: now });
        Reply { outcome, after }
    }

    fn token(&self, settings: &Settings, base: &str, request: &Request, now: i64) -> Answer {
        let form: Vec<_> = form_urlencoded::parse(request.body()).into_owned().collect();
        let audiences = [format!("{base}/token"), "https://oauth2.googleapis.com/token".to_owned()];
        let account = self.account.clone();
        // Assertions are dated by their signer's clock: time that a test has let pass is nothing to them.
        let signed_at = account.state().clock.now();
        let instants = (signed_at, now);
        locked(&self.tokens).answer(settings, &form, &audiences, instants, |user| account.user(user).is_some())
    }

    fn answer(&self, settings: &Settings, call: &Call, faults: &[Fault], now: i64) -> Result<Answer, Refusal> {
        let (scopes, privilege) = call.needs();
        let mut superior = settings.anonymous;
        let mut subject = String::new();
        if !settings.anonymous || call.bearer.is_some() {
            let grant = locked(&self.tokens).grant(call.bearer.as_deref().unwrap_or_default(), now)?;
            subject = grant.subject.unwrap_or_default();
            // Quota is spent by refused requests too.
            locked(&self.counters).take(&settings.quota, &subject, call.operation, call.is_filtered(), now)?;
            if !scopes.iter().any(|scope| grant.scopes.contains(&format!("{SCOPE}{scope}"))) {
                let message = "Request had insufficient authentication scopes.";
                return Err(Refusal::new(403, "insufficientPermissions", message));
            }
            superior = self.rights(settings, &subject, privilege)?;
        } else {
            locked(&self.counters).take(&settings.quota, &subject, call.operation, call.is_filtered(), now)?;
        }
        let frame = Frame { call, settings, faults, now };
        // Success, and nothing done or nobody shown.
        if (is_write(call.operation) || call.operation.split('.').next_back() == Some("get"))
            && faults.contains(&Fault::EmptySuccess)
        {
            return Ok(super::answer(200, &json!({})));
        }
        if is_write(call.operation) {
            return Ok(match write(&self.account, call, superior)? {
                Written::Object(fields) => frame.object(fields)?,
                Written::Nothing => nothing(),
            });
        }
        show(&self.account.state(), &frame)
    }

    /// Looks whether the subject may; returns whether it is a super administrator.
    fn rights(&self, settings: &Settings, subject: &str, privilege: Privilege) -> Result<bool, Refusal> {
        let user = self.account.user(subject).ok_or_else(Refusal::forbidden)?;
        let is = |name: &str| user.get(name).and_then(Value::as_bool) == Some(true);
        if is("suspended") {
            return Err(Refusal::forbidden());
        }
        if is("isAdmin") {
            return Ok(true);
        }
        let email = text(&user, "primaryEmail");
        let none = BTreeSet::new();
        let privileges = settings.administrators.get(&email).unwrap_or(&none);
        if privileges.contains(&privilege) { Ok(false) } else { Err(Refusal::forbidden()) }
    }
}

fn is_write(operation: &str) -> bool {
    matches!(
        operation,
        "users.update"
            | "users.patch"
            | "users.insert"
            | "users.delete"
            | "users.undelete"
            | "users.signOut"
            | "twoStepVerification.turnOff"
            | "members.insert"
            | "members.delete"
    )
}

fn nothing() -> Answer {
    let mut answer = Answer::new(Vec::new());
    *answer.status_mut() = http::StatusCode::NO_CONTENT;
    answer
}

/// What a fault makes of a request before anything is looked at.
fn early(fault: &Fault) -> Option<Outcome> {
    let page = |status: u16, kind: &'static str, body: &[u8]| {
        let mut answer = Answer::new(body.to_vec());
        *answer.status_mut() = http::StatusCode::from_u16(status).unwrap_or(http::StatusCode::BAD_GATEWAY);
        answer.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static(kind));
        Outcome::Answer(answer)
    };
    match fault {
        Fault::Refuse(refusal) => Some(Outcome::Answer(refusal.answer())),
        Fault::Cut => Some(Outcome::Cut),
        Fault::Hang => Some(Outcome::Hang),
        Fault::Html(status) => Some(page(*status, "text/html", b"<html><title>Error</title>That's an error.</html>")),
        Fault::Malformed => {
            Some(page(200, "application/json", b"{\"kind\": \"admin#directory#users\", \"users\": [{\"id\""))
        }
        Fault::Redirect(to) => {
            let mut moved = answer(302, &json!({}));
            if let Ok(to) = http::HeaderValue::from_str(to) {
                moved.headers_mut().insert(http::header::LOCATION, to);
            }
            Some(Outcome::Answer(moved))
        }
        _ => None,
    }
}
