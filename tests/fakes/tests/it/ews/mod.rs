//! Asks the fake Exchange as a plain client would, without sockets where none are needed; it knows no connector.

mod expanding;
mod faults;
mod limits;
mod proof;
mod resolving;
mod sign_in;
mod sockets;
mod strictness;
mod versions;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue, Method};
use tenantry_fakes::ews::{Connection, Organisation};
use tenantry_fakes::http::{Reply, Request};

const ENVELOPE: &str = r#"<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" xmlns:t="http://schemas.microsoft.com/exchange/services/2006/types" xmlns:m="http://schemas.microsoft.com/exchange/services/2006/messages">"#;

/// One address of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) address: String,
    pub(crate) routing: String,
    pub(crate) kind: String,
    pub(crate) item: Option<String>,
    /// Names and texts of the contact's children.
    pub(crate) contact: Option<Vec<(String, String)>>,
    /// Keys and texts of the contact's addresses.
    pub(crate) entries: Vec<(String, String)>,
}

/// An answer, read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// `Success`, `Warning`, `Error`, or `Fault`; empty when there is no SOAP.
    pub(crate) class: String,
    pub(crate) code: String,
    pub(crate) rows: Vec<Row>,
    pub(crate) last: Option<String>,
    pub(crate) total: Option<String>,
    /// Attributes of `ServerVersionInfo`.
    pub(crate) version: Option<Vec<(String, String)>>,
    /// Names and texts of `MessageXml`.
    pub(crate) xml: Vec<(String, String)>,
}

impl Answer {
    pub(crate) fn read(reply: &Reply) -> Self {
        let mut answer = Self { status: reply.status.as_u16(), ..Self::default() };
        let text = std::str::from_utf8(&reply.body).unwrap_or_default();
        let Ok(document) = roxmltree::Document::parse(text) else { return answer };
        let text = |node: roxmltree::Node<'_, '_>| node.text().unwrap_or_default().trim().to_owned();
        for node in document.descendants().filter(roxmltree::Node::is_element) {
            match node.tag_name().name() {
                "ServerVersionInfo" => {
                    let attributes = node.attributes();
                    answer.version =
                        Some(attributes.map(|each| (each.name().to_owned(), each.value().to_owned())).collect());
                }
                "Fault" => "Fault".clone_into(&mut answer.class),
                "ResponseCode" => answer.code = text(node),
                "ResolutionSet" | "DLExpansion" => {
                    answer.last = node.attribute("IncludesLastItemInRange").map(str::to_owned);
                    answer.total = node.attribute("TotalItemsInView").map(str::to_owned);
                }
                "MessageXml" => {
                    let name = |node: roxmltree::Node<'_, '_>| {
                        node.attribute("Name").unwrap_or(node.tag_name().name()).to_owned()
                    };
                    answer.xml = node
                        .children()
                        .filter(roxmltree::Node::is_element)
                        .map(|node| (name(node), text(node)))
                        .collect();
                }
                "Mailbox" if !node.ancestors().any(|above| above.has_tag_name((TYPES, "Contact"))) => {
                    answer.rows.push(row(node));
                }
                "Contact" => {
                    let row = answer.rows.last_mut().unwrap();
                    let children = node.children().filter(roxmltree::Node::is_element);
                    row.contact =
                        Some(children.map(|child| (child.tag_name().name().to_owned(), text(child))).collect());
                    let entries = node
                        .descendants()
                        .filter(|node| node.attribute("Key").is_some_and(|key| key.starts_with("EmailAddress")));
                    row.entries = entries
                        .map(|entry| (entry.attribute("Key").unwrap_or_default().to_owned(), text(entry)))
                        .collect();
                }
                _ => {
                    if let Some(class) = node.attribute("ResponseClass") {
                        class.clone_into(&mut answer.class);
                    }
                }
            }
        }
        answer
    }

    pub(crate) fn names(&self) -> Vec<&str> {
        self.rows.iter().map(|row| row.name.as_str()).collect()
    }

    pub(crate) fn addresses(&self) -> Vec<&str> {
        self.rows.iter().map(|row| row.address.as_str()).collect()
    }

    pub(crate) fn told(&self, name: &str) -> Option<&str> {
        self.xml.iter().find(|(known, _)| known == name).map(|(_, text)| text.as_str())
    }
}

impl Row {
    pub(crate) fn told(&self, name: &str) -> Option<&str> {
        let contact = self.contact.as_ref()?;
        contact.iter().find(|(known, _)| known == name).map(|(_, text)| text.as_str())
    }
}

const TYPES: &str = "http://schemas.microsoft.com/exchange/services/2006/types";

fn row(mailbox: roxmltree::Node<'_, '_>) -> Row {
    let child = |name: &str| mailbox.children().find(|child| child.has_tag_name((TYPES, name)));
    let text = |name: &str| child(name).and_then(|child| child.text()).unwrap_or_default().to_owned();
    Row {
        name: text("Name"),
        address: text("EmailAddress"),
        routing: text("RoutingType"),
        kind: text("MailboxType"),
        item: child("ItemId").and_then(|item| item.attribute("Id")).map(str::to_owned),
        ..Row::default()
    }
}

/// A request without sign-in.
pub(crate) fn request(body: &str) -> Request {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("text/xml; charset=utf-8"));
    Request {
        method: Method::POST,
        path: "/EWS/Exchange.asmx".to_owned(),
        query: String::new(),
        headers,
        body: body.as_bytes().to_vec().into(),
        origin: "http://127.0.0.1:9".to_owned(),
    }
}

/// The value of `Authorization` for Basic.
pub(crate) fn basic(name: &str, password: &str) -> HeaderValue {
    HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(format!("{name}:{password}")))).unwrap()
}

/// Sends a body as the service account.
pub(crate) fn send(organisation: &Organisation, body: &str) -> Reply {
    let credentials = organisation.credentials();
    let mut request = request(body);
    request.headers.insert("authorization", basic(&credentials.name(), &credentials.password));
    organisation.reply(&Connection::plain(), &request)
}

/// A whole request of some headers and a call.
pub(crate) fn soap(headers: &str, call: &str) -> String {
    format!(
        r#"<?xml version="1.0" encoding="utf-8"?>{ENVELOPE}<s:Header>{headers}</s:Header><s:Body>{call}</s:Body></s:Envelope>"#
    )
}

pub(crate) fn version(name: &str) -> String {
    format!(r#"<t:RequestServerVersion Version="{name}"/>"#)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

pub(crate) fn resolving(attributes: &str, entry: &str) -> String {
    let entry = escaped(entry);
    format!("<m:ResolveNames {attributes}><m:UnresolvedEntry>{entry}</m:UnresolvedEntry></m:ResolveNames>")
}

pub(crate) fn expanding(address: &str) -> String {
    let address = escaped(address);
    format!("<m:ExpandDL><m:Mailbox><t:EmailAddress>{address}</t:EmailAddress></m:Mailbox></m:ExpandDL>")
}

/// Asks the directory for whom an entry means, without contacts.
pub(crate) fn resolve(organisation: &Organisation, entry: &str) -> Answer {
    resolve_with(organisation, r#"ReturnFullContactData="false" SearchScope="ActiveDirectory""#, entry)
}

pub(crate) fn resolve_with(organisation: &Organisation, attributes: &str, entry: &str) -> Answer {
    Answer::read(&send(organisation, &soap("", &resolving(attributes, entry))))
}

pub(crate) fn expand(organisation: &Organisation, address: &str) -> Answer {
    Answer::read(&send(organisation, &soap("", &expanding(address))))
}
