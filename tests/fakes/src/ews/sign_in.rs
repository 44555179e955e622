//! How an account signs in, and what a connection remembers of it; it knows no recipient.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, StatusCode, header};
use ring::rand::{SecureRandom as _, SystemRandom};

use super::account::Account;
use super::ntlm::{self, Authenticate, Challenge, Names};
use super::organisation::{Organisation, locked};
use super::settings::Settings;
use crate::http::{Reply, Request};

/// Milliseconds from 1601 to 1970.
const EPOCH: i64 = 11_644_473_600_000;

/// A client's connection: what NTLM proves is proved for it, and for no other.
#[derive(Debug)]
pub struct Connection {
    number: u64,
    binding: Option<Vec<u8>>,
    stage: Mutex<Stage>,
}

#[derive(Debug, Default)]
enum Stage {
    #[default]
    Fresh,
    Challenged(Challenge),
    SignedIn(Account),
}

impl Connection {
    fn new(binding: Option<Vec<u8>>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self { number: NEXT.fetch_add(1, Ordering::Relaxed), binding, stage: Mutex::default() }
    }

    /// A connection without TLS.
    pub fn plain() -> Self {
        Self::new(None)
    }

    /// A connection over TLS with this channel binding, such as `tls-server-end-point:` and the certificate's hash.
    pub fn bound(binding: &[u8]) -> Self {
        Self::new(Some(binding.to_vec()))
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }
}

/// What became of a sign-in.
pub(crate) enum Signed {
    /// It is this account; the connection's is told once, when it has just proved itself.
    In(Account, Proved),
    Out(Reply),
}

/// Whether the connection has proved itself with this very request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proved {
    JustNow,
    EachTime,
}

impl Organisation {
    pub(crate) fn sign_in(&self, connection: &Connection, request: &Request, settings: &Settings) -> Signed {
        let authorization = request.header("authorization").unwrap_or_default().trim();
        let (scheme, value) = authorization.split_once(' ').unwrap_or((authorization, ""));
        let scheme = scheme.to_ascii_lowercase();
        let account = match scheme.as_str() {
            "basic" if settings.basic => self.basic(value.trim(), settings).map(|account| (account, Proved::EachTime)),
            "ntlm" if settings.ntlm => return self.ntlm(connection, "NTLM", value.trim(), settings),
            "negotiate" if settings.negotiate => return self.ntlm(connection, "Negotiate", value.trim(), settings),
            "" => match &*locked(&connection.stage) {
                Stage::SignedIn(account) => Some((account.clone(), Proved::EachTime)),
                _ => None,
            },
            _ => None,
        };
        match account {
            Some((account, proved)) => Signed::In(account, proved),
            None => Signed::Out(self.refuse_sign_in(connection, settings)),
        }
    }

    /// The account that is meant, if the proof is right; counts those that are not.
    fn check(
        &self,
        settings: &Settings,
        meant: impl Fn(&Account) -> bool,
        right: impl Fn(&Account) -> bool,
    ) -> Option<Account> {
        let mut accounts = locked(&self.inner.accounts);
        let account = accounts.iter_mut().find(|account| meant(account))?;
        if settings.lock_out.is_some_and(|most| account.wrong >= most) {
            return None;
        }
        if right(account) {
            account.wrong = 0;
            return Some(account.clone());
        }
        account.wrong += 1;
        None
    }

    fn basic(&self, value: &str, settings: &Settings) -> Option<Account> {
        // Clients write names and passwords in either encoding, and the server tries both.
        let decoded = String::from_utf8(STANDARD.decode(value).ok()?)
            .unwrap_or_else(|latin| latin.as_bytes().iter().map(|byte| char::from(*byte)).collect());
        let (name, password) = decoded.split_once(':')?;
        self.check(settings, |account| account.credentials.is(name), |account| account.credentials.password == password)
    }

    fn ntlm(&self, connection: &Connection, scheme: &'static str, value: &str, settings: &Settings) -> Signed {
        let mut stage = locked(&connection.stage);
        let before = std::mem::take(&mut *stage);
        let message = STANDARD.decode(value).unwrap_or_default();
        match (ntlm::kind(&message), before) {
            (Some(ntlm::Kind::Negotiate), _) => {
                if let Some(challenge) = self.challenge(&message) {
                    let offer = format!("{scheme} {}", STANDARD.encode(&challenge.message));
                    *stage = Stage::Challenged(challenge);
                    return Signed::Out(refusal(settings, Some(&offer)));
                }
            }
            (Some(ntlm::Kind::Authenticate), Stage::Challenged(challenge)) => {
                let account = Authenticate::read(&message).and_then(|answer| {
                    let meant = |account: &Account| account.credentials.is_in(&answer.domain, &answer.user);
                    let right = |account: &Account| {
                        answer.proves(&account.credentials.password, &challenge, settings.mic_required)
                    };
                    self.check(settings, meant, right)
                        .filter(|_| answer.is_bound(connection.binding.as_deref(), settings.extended_protection))
                });
                if let Some(account) = account {
                    *stage = Stage::SignedIn(account.clone());
                    return Signed::In(account, Proved::JustNow);
                }
            }
            _ => {}
        }
        Signed::Out(refusal(settings, None))
    }

    fn challenge(&self, negotiate: &[u8]) -> Option<Challenge> {
        let mut nonce = [0; 8];
        SystemRandom::new().fill(&mut nonce).ok()?;
        let credentials = self.credentials();
        let names = Names {
            dns_domain: credentials.principal.split_once('@')?.1.to_owned(),
            domain: credentials.domain,
            computer: "MAIL".to_owned(),
        };
        let filetime = u64::try_from(locked(&self.inner.clock).now().saturating_add(EPOCH)).ok()?;
        Challenge::new(negotiate, nonce, &names, filetime.saturating_mul(10_000))
    }

    /// 401 with everything that is offered; the connection's sign-in is forgotten.
    #[expect(clippy::unused_self, reason = "a question to the organisation as the others are")]
    pub(crate) fn refuse_sign_in(&self, connection: &Connection, settings: &Settings) -> Reply {
        *locked(&connection.stage) = Stage::Fresh;
        refusal(settings, None)
    }
}

fn refusal(settings: &Settings, challenge: Option<&str>) -> Reply {
    let page = "<html><body><h1>401 - Unauthorized: Access is denied due to invalid credentials.</h1></body></html>";
    let mut reply = match challenge {
        // As it was recorded: a challenge has no page.
        Some(_) => Reply::empty(StatusCode::UNAUTHORIZED),
        None => Reply::html(StatusCode::UNAUTHORIZED, page),
    };
    let taken = challenge.and_then(|challenge| challenge.split_once(' ')).map(|(scheme, _)| scheme);
    let offered = [
        ("NTLM", settings.ntlm, "NTLM"),
        ("Negotiate", settings.negotiate, "Negotiate"),
        ("Basic", settings.basic, "Basic realm=\"mail.corp.example\""),
    ];
    for (name, on, offer) in offered {
        let offer = if taken == Some(name) { challenge.unwrap_or(offer) } else { offer };
        if on && let Ok(offer) = HeaderValue::from_str(offer) {
            reply.headers.append(header::WWW_AUTHENTICATE, offer);
        }
    }
    if settings.closes_on_401 {
        reply.headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    reply
}
