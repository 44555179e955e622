//! What faults do to an answer; it knows no object.

use http::StatusCode;
use serde_json::Value;

use super::error::Problem;
use super::faults::Fault;
use super::ids::mix;
use super::page::Page;
use super::route::Route;
use super::service::Asked;
use crate::http::{Ending, Reply};

/// The answer in place of the right one, when a fault asks for that.
pub(crate) fn instead(asked: &Asked<'_>, faults: &[Fault]) -> Option<Reply> {
    let refuse = |problem: Problem| Some(asked.inner.refuse(&problem, asked.request));
    let reply = faults.iter().find_map(|fault| match fault {
        Fault::Error { status, code, message } => refuse(Problem::new(*status, code, message)),
        Fault::Status { status, retry_after } => {
            let problem = by_status(*status);
            refuse(match retry_after {
                Some(after) => problem.with("retry-after", after),
                None => problem,
            })
        }
        Fault::Html { status } => {
            let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::BAD_GATEWAY);
            Some(Reply::html(
                status,
                "<html><head><title>Our services aren't available right now</title></head></html>",
            ))
        }
        Fault::EmptyOk => {
            let page = Page::new(format!("{}/$metadata#directoryObjects", asked.base()));
            Some(Reply::json(StatusCode::OK, page.into_json()))
        }
        Fault::Redirect(address) => Some(Reply::empty(StatusCode::TEMPORARY_REDIRECT).with_header("location", address)),
        Fault::Reset(form) => asked.reset(*form).and_then(refuse),
        Fault::ForeignReset(origin) => {
            let location = format!("{origin}/v1.0{}?$deltatoken=", asked.path);
            refuse(Problem::new(410, "resyncRequired", "Resync is required.").with("location", location))
        }
        Fault::ExpiredPageToken => refuse(Problem::new(
            400,
            "Directory_ExpiredPageToken",
            "The specified page token value has expired and can no longer be included in your request.",
        )),
        Fault::LoseRights => refuse(Problem::denied()),
        Fault::Unauthorized => {
            refuse(Problem::new(401, "InvalidAuthenticationToken", "Lifetime validation failed, the token is expired."))
        }
        Fault::Cut | Fault::Hang => Some(Reply::empty(StatusCode::OK)),
        _ => None,
    });
    reply.map(|reply| spoil(reply, faults))
}

fn by_status(status: u16) -> Problem {
    match status {
        429 => Problem::new(429, "TooManyRequests", "Please retry again later."),
        500 => Problem::new(500, "InternalServerError", "An internal error occurred."),
        502 => Problem::new(502, "BadGateway", "The upstream server did not answer."),
        503 => Problem::new(503, "ServiceUnavailable", "The service is temporarily unavailable."),
        504 => Problem::new(504, "GatewayTimeout", "The request timed out."),
        other => Problem::new(other, "UnknownError", ""),
    }
}

impl Asked<'_> {
    fn reset(&self, form: super::settings::ResetForm) -> Option<Problem> {
        let Route::Delta(kind) = self.route else { return None };
        self.inner.reading(true, |state| Some(self.delta_context(state, kind).reset(form)))
    }
}

fn foreign(link: &str, origin: &str) -> String {
    let path = link.find("/v1.0").map_or(link, |at| &link[at..]);
    format!("{origin}{path}")
}

/// Bends a page's rows and links.
pub(crate) fn bend(page: &mut Page, faults: &[Fault], asked: &Asked<'_>) {
    for fault in faults {
        match fault {
            Fault::EmptyPage => page.repeat(|_, _| 0),
            Fault::DropRows { percent, seed } => page.repeat(|_, row| {
                let hash = row.iter().take(64).fold(*seed, |hash, byte| mix(hash ^ u64::from(*byte)));
                usize::from(hash % 100 >= u64::from(*percent))
            }),
            Fault::DuplicateRows => page.repeat(|_, _| 2),
            Fault::EndListing => (page.next, page.delta) = (None, None),
            Fault::CycleNextLink => {
                page.delta = None;
                page.next = Some(asked.request.url());
            }
            Fault::ForeignNextLink(origin) => {
                page.next = page.next.as_ref().map(|link| foreign(link, origin));
            }
            Fault::ForeignDeltaLink(origin) => {
                page.delta = page.delta.as_ref().map(|link| foreign(link, origin));
            }
            Fault::WrongCount(by) => page.count = page.count.map(|count| count.saturating_add(*by).max(0)),
            Fault::LimitedMembers => page.rewrite(limit),
            _ => {}
        }
    }
}

/// Leaves expanded relations of a row with kinds and ids only.
fn limit(row: &[u8]) -> Vec<u8> {
    let Ok(Value::Object(mut object)) = serde_json::from_slice(row) else { return row.to_vec() };
    for name in ["members", "registeredOwners"] {
        for related in object.get_mut(name).and_then(Value::as_array_mut).into_iter().flatten() {
            for (name, value) in related.as_object_mut().into_iter().flatten() {
                if name != "id" && name != "@odata.type" {
                    *value = Value::Null;
                }
            }
        }
    }
    Value::Object(object).to_string().into_bytes()
}

/// Spoils the way of a finished answer.
pub(crate) fn spoil(mut reply: Reply, faults: &[Fault]) -> Reply {
    for fault in faults {
        match fault {
            Fault::Cut | Fault::LoseAnswer => reply.ending = Ending::CutBefore,
            Fault::CutInside => reply.ending = Ending::CutInside,
            Fault::Hang => reply.ending = Ending::Never,
            Fault::Delay(delay) => reply.delay += *delay,
            Fault::TruncatedJson => reply.body = reply.body.slice(..reply.body.len() * 2 / 3),
            _ => {}
        }
    }
    reply
}
