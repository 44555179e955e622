//! What faults do to an answer; it knows no recipient.

use std::fmt::Write as _;

use http::StatusCode;

use super::faults::Fault;
use super::recipient::Id;
use super::refusal::{Refusal, SoapFault};
use super::write::{Mailbox, Message};
use crate::http::{Ending, Reply};

/// How rows are bent.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bend {
    pub(crate) cap: Option<usize>,
    hide: Vec<(u8, u64)>,
    drop: Vec<(u8, u64)>,
    twice: bool,
    pub(crate) never_last: bool,
    bare: bool,
}

fn mix(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

fn hit(percent: u8, seed: u64, number: u64) -> bool {
    mix(mix(seed) ^ number) % 100 < u64::from(percent)
}

impl Bend {
    pub(crate) fn of(faults: &[Fault]) -> Self {
        let mut bend = Self::default();
        for fault in faults {
            match fault {
                Fault::SilentCap(cap) => bend.cap = Some(*cap),
                Fault::HidePercent { percent, seed } => bend.hide.push((*percent, *seed)),
                Fault::DropRows { percent, seed } => bend.drop.push((*percent, *seed)),
                Fault::DuplicateRows => bend.twice = true,
                Fault::NeverLast => bend.never_last = true,
                Fault::BareRows => bend.bare = true,
                _ => {}
            }
        }
        bend
    }

    /// Whether a recipient is there for whoever asks.
    pub(crate) fn shows(&self, id: Id) -> bool {
        !self.hide.iter().any(|(percent, seed)| hit(*percent, *seed, u64::from(id.0)))
    }

    /// Leaves out what need not be told of a row.
    pub(crate) fn mailbox(&self, mailbox: Mailbox) -> Mailbox {
        if self.bare { Mailbox { routing: "", kind: "", ..mailbox } } else { mailbox }
    }

    /// Leaves out and doubles rows.
    pub(crate) fn rows<T: Clone>(&self, rows: Vec<T>) -> Vec<T> {
        let keep = |number: u64| !self.drop.iter().any(|(percent, seed)| hit(*percent, *seed, number));
        let kept = (0..).zip(rows).filter(|(number, _)| keep(*number)).map(|(_, row)| row);
        if self.twice { kept.flat_map(|row| [row.clone(), row]).collect() } else { kept.collect() }
    }
}

/// The response message in place of the right one.
pub(crate) fn message(faults: &[Fault], operation: &str) -> Option<Message> {
    let value = |name: &str, value: &str| format!(r#"<t:Value Name="{name}">{value}</t:Value>"#);
    faults.iter().find_map(|fault| match fault {
        Fault::BusyInside(back_off) => {
            let mut message =
                Message::error("ErrorServerBusy", "The server cannot service this request right now. Try again later.");
            message.xml = value("BackOffMilliseconds", &back_off.as_millis().to_string());
            Some(message)
        }
        Fault::Inside { code, inner } => {
            let mut message = Message::error(code, "An internal server error occurred. The operation failed.");
            if let Some(inner) = inner {
                message.xml =
                    value("InnerErrorMessageText", "See the inner code.") + &value("InnerErrorResponseCode", inner);
            }
            Some(message)
        }
        Fault::NoResults => Some(Message::no_results()),
        Fault::EmptySet => {
            let set = if operation == "ExpandDL" { "DLExpansion" } else { "ResolutionSet" };
            Some(Message::success(format!(r#"<m:{set} TotalItemsInView="0" IncludesLastItemInRange="true"/>"#)))
        }
        _ => None,
    })
}

/// The SOAP fault in place of the right answer.
pub(crate) fn soap(faults: &[Fault]) -> Option<SoapFault> {
    let refusal = faults.iter().find_map(|fault| match fault {
        Fault::Busy(back_off) => Some(Refusal::busy(u64::try_from(back_off.as_millis()).unwrap_or(u64::MAX))),
        Fault::BusyWithoutTime => Some(Refusal::fault(
            "ErrorServerBusy",
            "The server cannot service this request right now. Try again later.",
        )),
        Fault::ExceededConnections => Some(Refusal::too_many_at_once()),
        Fault::Soap(code) => Some(Refusal::fault(code, "The operation could not be completed.")),
        _ => None,
    });
    match refusal {
        Some(Refusal::Fault(fault)) => Some(fault),
        _ => None,
    }
}

/// The answer of the way in between, or of the host, in place of the service's.
pub(crate) fn instead(faults: &[Fault]) -> Option<Reply> {
    faults.iter().find_map(|fault| match fault {
        Fault::Status { status, retry_after } => {
            let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::BAD_GATEWAY);
            let page = "<html><head><title>Service Unavailable</title></head><body><h2>Service Unavailable</h2></body></html>";
            let reply = Reply::html(status, page);
            Some(match retry_after {
                Some(after) => reply.with_header("retry-after", after),
                None => reply,
            })
        }
        Fault::Html => Some(Reply::html(
            StatusCode::OK,
            "<!DOCTYPE html><html><head><title>Outlook</title></head><body><form>Sign in</form></body></html>",
        )),
        Fault::HostError => Some(Reply::html(
            StatusCode::INTERNAL_SERVER_ERROR,
            "<html><head><title>Runtime Error</title></head><body><h1>Server Error in '/EWS' Application.</h1></body></html>",
        )),
        Fault::Redirect(address) => Some(Reply::empty(StatusCode::FOUND).with_header("location", address)),
        Fault::EmptyBody => Some(xml(StatusCode::OK, String::new())),
        Fault::Cut | Fault::Hang => Some(Reply::empty(StatusCode::OK)),
        _ => None,
    })
}

/// An answer of XML.
pub(crate) fn xml(status: StatusCode, body: String) -> Reply {
    let mut reply = Reply::empty(status).with_header("content-type", "text/xml; charset=utf-8");
    reply.body = body.into();
    reply
}

/// Spoils a finished answer or its way.
pub(crate) fn spoil(mut reply: Reply, faults: &[Fault]) -> Reply {
    for fault in faults {
        match fault {
            Fault::Cut => reply.ending = Ending::CutBefore,
            Fault::CutInside => reply.ending = Ending::CutInside,
            Fault::Hang => reply.ending = Ending::Never,
            Fault::Delay(delay) => reply.delay += *delay,
            Fault::TruncatedXml => reply.body = reply.body.slice(..reply.body.len() * 2 / 3),
            other => {
                if let Ok(text) = std::str::from_utf8(&reply.body)
                    && let Some(spoiled) = spoiled(text, other)
                {
                    reply.body = spoiled.into();
                }
            }
        }
    }
    reply
}

fn spoiled(text: &str, fault: &Fault) -> Option<Vec<u8>> {
    let root = text.find("?>").map_or(0, |at| at + 2);
    let (head, rest) = text.split_at(root);
    let with = |doctype: &str, rest: &str| Some(format!("{head}{doctype}{rest}").into_bytes());
    // Where the text of the first name is, or else of the first code.
    let name = ["<t:Name>", "<m:ResponseCode>", "<e:Message "].iter().find_map(|tag| {
        let at = rest.find(tag)?;
        rest[at..].find('>').map(|end| at + end + 1)
    });
    let inside = |text: &str| name.map(|at| format!("{}{text}{}", &rest[..at], &rest[at..]));
    match fault {
        Fault::Oversized(size) => with(&format!("<!--{}-->", "x".repeat(size.saturating_sub(text.len() + 7))), rest),
        Fault::LongName(size) => with("", &inside(&"n".repeat(*size))?),
        Fault::Deep(depth) => with("", &inside(&format!("{}{}", "<x>".repeat(*depth), "</x>".repeat(*depth)))?),
        Fault::EntityBomb => {
            let mut doctype = String::from("<!DOCTYPE b [<!ENTITY e0 \"eeeeeeeeee\">");
            for level in 1..10 {
                let before = format!("&e{};", level - 1).repeat(10);
                // Writing to a string cannot fail.
                let _ = write!(doctype, "<!ENTITY e{level} \"{before}\">");
            }
            doctype.push_str("]>");
            with(&doctype, &inside("&e9;")?)
        }
        Fault::ExternalEntity => with("<!DOCTYPE b [<!ENTITY e SYSTEM \"file:///etc/hostname\">]>", &inside("&e;")?),
        Fault::BadText => {
            let at = name? + head.len();
            let (before, after) = text.as_bytes().split_at(at);
            Some([before, &[0xff, 0xc3, 0x28], after].concat())
        }
        _ => None,
    }
}
