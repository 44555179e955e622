//! How the account shows who it is: with every request, or once for a connection. It must not know what is asked.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use reqwest::{Method, Request, StatusCode};
use ring::rand::{SecureRandom as _, SystemRandom};
use tenantry::gate::Clock;
use tenantry::{Error, ErrorKind, Result, Secret};
use tenantry_http::{Answer, Client, Dialer, Line};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::config::{Checked, EwsAuth};
use super::error::{not_accepted, setting};
use super::ntlm::{self, Binding, Challenge, Login};

/// A refused login is not tried again for so long: trying may lock the account.
const REFUSED_FOR: Duration = Duration::from_secs(30);

/// As many connections as an account may use at a time. How many are made is for the gate to say.
const LINES: usize = 27;

/// From 1601 to 1970, in milliseconds.
const EPOCH: i64 = 11_644_473_600_000;

/// Sends requests as the account.
pub(crate) struct SignIn {
    client: Client,
    dialer: Dialer,
    /// Until a login was accepted, one is tried at a time: three at once with a wrong password are three failures.
    door: Semaphore,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    accepted: bool,
    /// A refusal, and until when it is the answer to everybody.
    refused: Option<(Error, Duration)>,
    /// Connections that are signed in and idle.
    lines: Vec<Line>,
    /// The word that servers understand for NTLM, if it is not `NTLM`.
    negotiates: bool,
}

/// A connection with its challenge, or what came instead of one.
enum Begun {
    Challenged(Line, Vec<u8>),
    /// An answer that is about something else than the login.
    Answered(Answer),
    /// The server offers no NTLM at all.
    NotOffered,
}

impl SignIn {
    pub(crate) fn new(config: &Checked) -> Result<Self> {
        Ok(Self {
            client: Client::new(&config.http)?,
            dialer: Dialer::new(&config.http)?,
            door: Semaphore::new(1),
            state: Mutex::default(),
        })
    }

    /// Sends one message as the account and reads the answer, whatever it says.
    ///
    /// A connection that lost its login gets another one once; a login that is refused is refused for all who come
    /// within the next half minute.
    pub(crate) async fn send(&self, config: &Checked, clock: &Clock, message: &str) -> Result<Answer> {
        let permit = self.enter(clock).await?;
        let answer = match config.auth {
            EwsAuth::Basic => self.basic(config, message).await,
            EwsAuth::Ntlm => self.over_a_line(config, clock, message).await,
        }?;
        let mut state = self.state();
        if answer.status == StatusCode::UNAUTHORIZED {
            let error = not_accepted(config.auth == EwsAuth::Ntlm && config.url.scheme() == "https");
            state.refused = Some((error.clone(), clock.monotonic().saturating_add(REFUSED_FOR)));
            state.accepted = false;
            state.lines.clear();
            return Err(error);
        }
        state.accepted = true;
        drop(permit);
        Ok(answer)
    }

    /// Asks the server for the name of its forest, which it tells before anybody has signed in; `None` where it offers
    /// no NTLM or tells none.
    pub(crate) async fn forest(&self, config: &Checked) -> Result<Option<String>> {
        match self.begin(config).await? {
            Begun::Challenged(_, challenge) => Ok(Challenge::read(&challenge)?.forest()),
            Begun::NotOffered => Ok(None),
            Begun::Answered(answer) if answer.status.is_server_error() => Err(answer.refusal(0)),
            Begun::Answered(_) => Ok(None),
        }
    }

    /// Waits for its turn while nobody has been let in, and fails for who comes behind a refusal.
    async fn enter(&self, clock: &Clock) -> Result<Option<SemaphorePermit<'_>>> {
        let look = || {
            let state = self.state();
            match &state.refused {
                Some((error, until)) if clock.monotonic() < *until => Err(error.clone()),
                _ => Ok(state.accepted),
            }
        };
        if look()? {
            return Ok(None);
        }
        let permit = self.door.acquire().await.ok();
        // Somebody may have found out meanwhile.
        Ok(if look()? { None } else { permit })
    }

    async fn basic(&self, config: &Checked, message: &str) -> Result<Answer> {
        let pair = Secret::new(format!("{}:{}", config.user, config.password.expose()));
        let mut request = post(config, message);
        request.headers_mut().insert(AUTHORIZATION, header("Basic", pair.expose().as_bytes())?);
        self.client.send(&config.origin, request).await
    }

    async fn over_a_line(&self, config: &Checked, clock: &Clock, message: &str) -> Result<Answer> {
        if let Some(mut line) = self.idle_line() {
            match line.send(post(config, message)).await {
                // The login of the connection has ended: it is made anew, once.
                Ok(answer) if answer.status == StatusCode::UNAUTHORIZED => {}
                Ok(answer) => {
                    self.keep(line);
                    return Ok(answer);
                }
                // The server closed what was idle; nothing here changes anything there, so that it may be sent again.
                Err(error) if *error.kind() == ErrorKind::Unavailable => {}
                Err(error) => return Err(error),
            }
        }
        let (mut line, challenge) = match self.begin(config).await? {
            Begun::Challenged(line, challenge) => (line, challenge),
            Begun::Answered(answer) => return Ok(answer),
            Begun::NotOffered => {
                return Err(setting("auth", "the server does not offer NTLM; set auth to basic, or enable it there"));
            }
        };
        if !line.is_open() {
            return Err(setting(
                "auth",
                "something between here and the server does not keep connections, which NTLM needs; set auth to basic",
            ));
        }
        let answer = {
            let challenge = Challenge::read(&challenge)?;
            let mut nonce = [0; 8];
            SystemRandom::new()
                .fill(&mut nonce)
                .map_err(|_| Error::new(ErrorKind::Unavailable, "there are no random numbers on this machine"))?;
            let time = clock.now_unix_millis().saturating_add(EPOCH).max(0).unsigned_abs().saturating_mul(10_000);
            let target = format!("HTTP/{}", config.origin.host());
            let channel = line.certificate().and_then(ntlm::channel_binding);
            let login = Login::new(&config.user, &config.password);
            ntlm::authenticate(&challenge, &login, &Binding { channel, target: &target, nonce, time })
        };
        let mut request = post(config, message);
        request.headers_mut().insert(AUTHORIZATION, header(self.scheme(), &answer)?);
        let answer = line.send(request).await?;
        if answer.status != StatusCode::UNAUTHORIZED {
            self.keep(line);
        }
        Ok(answer)
    }

    /// Makes a connection and asks for a challenge on it.
    async fn begin(&self, config: &Checked) -> Result<Begun> {
        let begun = self.begin_as(config, self.scheme()).await?;
        match begun {
            // Where only `Negotiate` is offered, it takes NTLM's messages as they are.
            Begun::NotOffered if self.scheme() == "NTLM" => {
                let begun = self.begin_as(config, "Negotiate").await?;
                if matches!(begun, Begun::Challenged(..)) {
                    self.state().negotiates = true;
                }
                Ok(begun)
            }
            begun => Ok(begun),
        }
    }

    async fn begin_as(&self, config: &Checked, scheme: &'static str) -> Result<Begun> {
        let mut line = self.dialer.dial(&config.origin).await?;
        let mut request = post(config, "");
        request.headers_mut().insert(AUTHORIZATION, header(scheme, &ntlm::negotiate())?);
        let answer = line.send(request).await?;
        if answer.status != StatusCode::UNAUTHORIZED {
            // To no message at all a server that asks for no login answers, too.
            let open = answer.status.is_success() || answer.status == StatusCode::INTERNAL_SERVER_ERROR;
            return if open { Ok(Begun::NotOffered) } else { Ok(Begun::Answered(answer)) };
        }
        let offers = answer.headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        let challenge = offers.filter_map(|offer| {
            let (word, token) = offer.trim().split_once(' ')?;
            word.eq_ignore_ascii_case(scheme).then(|| BASE64_STANDARD.decode(token.trim()).ok()).flatten()
        });
        Ok(match challenge.into_iter().next() {
            Some(challenge) => Begun::Challenged(line, challenge),
            None => Begun::NotOffered,
        })
    }

    fn scheme(&self) -> &'static str {
        if self.state().negotiates { "Negotiate" } else { "NTLM" }
    }

    fn idle_line(&self) -> Option<Line> {
        let mut state = self.state();
        while let Some(line) = state.lines.pop() {
            if line.is_open() {
                return Some(line);
            }
        }
        None
    }

    fn keep(&self, line: Line) {
        let mut state = self.state();
        if line.is_open() && state.lines.len() < LINES {
            state.lines.push(line);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for SignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignIn").field("idle", &self.state().lines.len()).finish_non_exhaustive()
    }
}

fn post(config: &Checked, message: &str) -> Request {
    let mut request = Request::new(Method::POST, config.url.clone());
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/xml; charset=utf-8"));
    *request.body_mut() = Some(message.to_owned().into());
    request
}

fn header(scheme: &str, token: &[u8]) -> Result<HeaderValue> {
    let text = Secret::new(format!("{scheme} {}", BASE64_STANDARD.encode(token)));
    let mut header = HeaderValue::from_str(text.expose())
        .map_err(|_| Error::protocol("the login holds characters that cannot be sent"))?;
    header.set_sensitive(true);
    Ok(header)
}
