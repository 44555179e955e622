//! A request's way to its answer: address, sign-in, limits, fault, deed, record; it knows no socket.

use std::sync::Arc;

use http::{Method, StatusCode};

use super::account::Account;
use super::expand::expand;
use super::faults::Fault;
use super::lies::{self, Bend};
use super::log::{Call, Logged};
use super::organisation::{Inner, Organisation, locked};
use super::refusal::{Refusal, SoapFault};
use super::request::{Asked, Read, Told, read};
use super::resolve::resolve;
use super::settings::Settings;
use super::sign_in::{Connection, Proved, Signed};
use super::version::Version;
use super::write::{self, Message};
use crate::http::{Ending, Reply, Request};

/// A call under way; the account has room for another one when it is dropped.
#[derive(Debug)]
pub(crate) struct Ticket {
    inner: Arc<Inner>,
    account: String,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Inner")
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(calls) = locked(&self.inner.under_way).get_mut(&self.account) {
            *calls = calls.saturating_sub(1);
        }
    }
}

/// An answer with what is known of it.
struct Made {
    reply: Reply,
    code: String,
}

impl Organisation {
    /// Answers a request on a connection.
    pub fn reply(&self, connection: &Connection, request: &Request) -> Reply {
        self.serve(connection, request).0
    }

    /// Answers a request; the ticket is held until the answer is on its way.
    pub(crate) fn serve(&self, connection: &Connection, request: &Request) -> (Reply, Option<Ticket>) {
        let settings = self.settings();
        let mut line = Logged {
            call: Call::Other,
            entry: String::new(),
            version: None,
            account: None,
            connection: connection.number(),
            status: None,
            code: String::new(),
        };
        let (mut made, ticket) = self.way(connection, request, &settings, &mut line);
        made.reply.delay += settings.latency;
        let there = matches!(made.reply.ending, Ending::Whole | Ending::CutInside);
        line.status = there.then(|| made.reply.status.as_u16());
        line.code = made.code;
        self.inner.log.add(line, settings.log_lines);
        (made.reply, ticket)
    }

    fn way(
        &self,
        connection: &Connection,
        request: &Request,
        settings: &Settings,
        line: &mut Logged,
    ) -> (Made, Option<Ticket>) {
        let plain = |reply: Reply| (Made { reply, code: String::new() }, None);
        if settings.version == Version::Exchange2003 || !request.path.eq_ignore_ascii_case("/EWS/Exchange.asmx") {
            return plain(Reply::html(
                StatusCode::NOT_FOUND,
                "<html><body><h1>404 - File or directory not found.</h1></body></html>",
            ));
        }
        let (account, proved) = match self.sign_in(connection, request, settings) {
            Signed::In(account, proved) => (account, proved),
            Signed::Out(reply) => return plain(reply),
        };
        line.account = Some(account.credentials.name());
        if request.method != Method::POST {
            return plain(Reply::html(
                StatusCode::OK,
                "<html><head><title>Service</title></head><body>You have created a service.</body></html>",
            ));
        }
        if !is_xml(request) {
            return plain(Reply::empty(StatusCode::UNSUPPORTED_MEDIA_TYPE));
        }
        let ticket = match self.enter(&account, settings) {
            Ok(ticket) => ticket,
            Err(refusal) => return (refused(settings, &refusal), None),
        };
        let mut made = self.call(connection, request, settings, &account, line);
        if proved == Proved::JustNow && made.reply.status != StatusCode::UNAUTHORIZED {
            made.reply = made.reply.with_header("persistent-auth", "true");
        }
        (made, Some(ticket))
    }

    /// Counts a call that begins.
    fn enter(&self, account: &Account, settings: &Settings) -> Result<Ticket, Refusal> {
        let name = account.credentials.name();
        if let Some(budget) = settings.budget {
            let now = locked(&self.inner.clock).now();
            let per = i64::try_from(budget.per.as_millis()).unwrap_or(i64::MAX);
            let mut spent = locked(&self.inner.spent);
            let (since, calls) = spent.entry(name.clone()).or_insert((now, 0));
            if now - *since >= per {
                (*since, *calls) = (now, 0);
            }
            if *calls >= budget.calls {
                return Err(Refusal::busy(u64::try_from(*since + per - now).unwrap_or(0)));
            }
            *calls += 1;
        }
        let most = settings.concurrency.or(settings.version.concurrency()).unwrap_or(u32::MAX);
        let mut under_way = locked(&self.inner.under_way);
        let calls = under_way.entry(name.clone()).or_default();
        if *calls >= most {
            return Err(Refusal::too_many_at_once());
        }
        *calls += 1;
        self.inner.log.at_once(*calls);
        Ok(Ticket { inner: Arc::clone(&self.inner), account: name })
    }

    fn call(
        &self,
        connection: &Connection,
        request: &Request,
        settings: &Settings,
        account: &Account,
        line: &mut Logged,
    ) -> Made {
        let mut told = Told::default();
        let read = match std::str::from_utf8(&request.body) {
            Ok(body) => read(body, settings, &mut told),
            Err(_) => Err(Refusal::malformed()),
        };
        line.version = told.version;
        let mut read = match read {
            Ok(read) => read,
            Err(refusal) => return refused(settings, &refusal),
        };
        let (call, operation, entry) = match &read.asked {
            Asked::Resolve(asked) => (Call::ResolveNames, "ResolveNames", asked.entry.clone()),
            Asked::Expand(asked) if asked.item.is_empty() => (Call::ExpandDl, "ExpandDL", asked.address.clone()),
            Asked::Expand(asked) => (Call::ExpandDl, "ExpandDL", asked.item.clone()),
            Asked::Convert(_) => (Call::Other, "ConvertId", String::new()),
        };
        (line.call, line.entry) = (call, entry);
        let faults = self.inner.faults.decide(call, &line.entry);
        if faults.contains(&Fault::Unauthorized) {
            return Made { reply: self.refuse_sign_in(connection, settings), code: String::new() };
        }
        if let Some(reply) = lies::instead(&faults) {
            return Made { reply: lies::spoil(reply, &faults), code: String::new() };
        }
        let fault = lies::soap(&faults).or_else(|| self.impersonate(account, &read));
        if let Some(fault) = fault {
            let mut made = faulted(settings, &fault);
            made.reply = lies::spoil(made.reply, &faults);
            return made;
        }
        for fault in &faults {
            if let (Fault::AnswerTo(other), Asked::Resolve(asked)) = (fault, &mut read.asked) {
                other.clone_into(&mut asked.entry);
            }
            if let (Fault::AnswerTo(other), Asked::Expand(asked)) = (fault, &mut read.asked) {
                other.clone_into(&mut asked.address);
            }
        }
        let message = lies::message(&faults, operation).unwrap_or_else(|| {
            self.looking(faults.contains(&Fault::Stale), |state| {
                let bend = Bend::of(&faults);
                match &read.asked {
                    Asked::Resolve(_) if !account.mailbox && read.impersonated.is_none() => Message::error(
                        "ErrorNameResolutionNoMailbox",
                        "The caller has no mailbox: names cannot be resolved.",
                    ),
                    Asked::Resolve(asked) => resolve(state, settings, &bend, asked),
                    Asked::Expand(asked) => expand(state, settings, &bend, asked),
                    // There is no item here whose id could be converted. Clients ask to learn the version.
                    Asked::Convert(_) => {
                        Message::error("ErrorInvalidSmtpAddress", "The SMTP address format is invalid.")
                    }
                }
            })
        });
        let messages = match read.asked {
            Asked::Convert(ids) => vec![message.clone(); ids],
            _ => vec![message.clone()],
        };
        let mut reply = lies::xml(StatusCode::OK, write::answer(settings, operation, &messages));
        let before = locked(&self.inner.before).replace(reply.clone());
        if faults.contains(&Fault::AnswerBefore) {
            reply = before.unwrap_or(reply);
        }
        Made { reply: lies::spoil(reply, &faults), code: message.code }
    }

    /// Whether the call may be made in another's name; a call in one's own name always may.
    fn impersonate(&self, account: &Account, read: &Read) -> Option<SoapFault> {
        let name = read.impersonated.as_ref()?;
        let fault = |code: &str, message: &str| {
            Some(SoapFault { code: code.to_owned(), message: message.to_owned(), xml: String::new() })
        };
        if !account.may_impersonate {
            return fault(
                "ErrorImpersonateUserDenied",
                "The account does not have permission to impersonate the requested user.",
            );
        }
        let own = locked(&self.inner.accounts).iter().any(|other| other.mailbox && other.credentials.is(name));
        let there = self.looking(false, |state| {
            state.exactly(&format!("smtp:{name}")).any(|(_, recipient)| recipient.kind.is_mailbox())
        });
        if own || there { None } else { fault("ErrorNonExistentMailbox", "No mailbox with such guid.") }
    }
}

fn is_xml(request: &Request) -> bool {
    let kind = request.header("content-type").unwrap_or_default().to_ascii_lowercase();
    let mut parts = kind.split(';').map(str::trim);
    parts.next() == Some("text/xml")
        && parts.all(|part| part.strip_prefix("charset=").is_none_or(|set| set.trim_matches('"') == "utf-8"))
}

fn refused(settings: &Settings, refusal: &Refusal) -> Made {
    match refusal {
        Refusal::Malformed => Made { reply: Reply::empty(StatusCode::BAD_REQUEST), code: String::new() },
        Refusal::Fault(fault) => faulted(settings, fault),
    }
}

fn faulted(settings: &Settings, fault: &SoapFault) -> Made {
    let reply = lies::xml(StatusCode::INTERNAL_SERVER_ERROR, write::fault(settings, fault));
    Made { reply, code: fault.code.clone() }
}
