//! How answers are written down as SOAP, in the manner of the server's version; it knows no directory.

use std::fmt::Write as _;

use super::refusal::SoapFault;
use super::request::{MESSAGES, SOAP, TYPES};
use super::settings::{Paging, Settings, VersionInfo};

const ERRORS: &str = "http://schemas.microsoft.com/exchange/services/2006/errors";
const INSTANCE: &str =
    r#"xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xsd="http://www.w3.org/2001/XMLSchema""#;

/// Text as it may stand in XML; characters that XML cannot hold are left out.
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\r' => escaped.push_str("&#xD;"),
            '\t' | '\n' | ' '..='\u{fffd}' | '\u{10000}'.. => escaped.push(letter),
            _ => {}
        }
    }
    escaped
}

/// An element with text; none at all when the text is empty.
pub(crate) fn element(into: &mut String, name: &str, text: &str) {
    if !text.is_empty() {
        // Writing to a string cannot fail.
        let _ = write!(into, "<{name}>{}</{name}>", escaped(text));
    }
}

/// What one call came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) class: &'static str,
    pub(crate) text: String,
    pub(crate) code: String,
    /// What stands in `MessageXml`; empty when there is none.
    pub(crate) xml: String,
    /// The result itself.
    pub(crate) content: String,
}

impl Message {
    pub(crate) fn success(content: String) -> Self {
        Self { class: "Success", text: String::new(), code: "NoError".to_owned(), xml: String::new(), content }
    }

    pub(crate) fn warning(code: &str, text: &str, content: String) -> Self {
        Self { class: "Warning", text: text.to_owned(), code: code.to_owned(), xml: String::new(), content }
    }

    pub(crate) fn error(code: &str, text: &str) -> Self {
        let content = String::new();
        Self { class: "Error", text: text.to_owned(), code: code.to_owned(), xml: String::new(), content }
    }

    pub(crate) fn no_results() -> Self {
        Self::error("ErrorNameResolutionNoResults", "No results were found.")
    }
}

fn version_info(settings: &Settings) -> String {
    let version = settings.version;
    let (build, name) = match &settings.version_info {
        VersionInfo::Own => (version.build(), version.name()),
        VersionInfo::Named(name) => (version.build(), Some(name.as_str())),
        VersionInfo::Build(build, name) => (*build, Some(name.as_str())),
        VersionInfo::Absent => return String::new(),
    };
    let name = name.map(|name| format!(r#" Version="{}""#, escaped(name))).unwrap_or_default();
    let numbers = format!(
        r#"MajorVersion="{}" MinorVersion="{}" MajorBuildNumber="{}" MinorBuildNumber="{}"{name}"#,
        build[0], build[1], build[2], build[3]
    );
    if version.is_2007() {
        format!(r#"<t:ServerVersionInfo {numbers} xmlns:t="{TYPES}" />"#)
    } else {
        format!(r#"<h:ServerVersionInfo {numbers} xmlns:h="{TYPES}" xmlns="{TYPES}" {INSTANCE}/>"#)
    }
}

fn envelope(settings: &Settings, body: &str) -> String {
    let info = version_info(settings);
    if settings.version.is_2007() {
        format!(
            r#"<?xml version="1.0" encoding="utf-8"?><soap:Envelope xmlns:soap="{SOAP}" {INSTANCE}><soap:Header>{info}</soap:Header><soap:Body>{body}</soap:Body></soap:Envelope>"#
        )
    } else {
        format!(
            r#"<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="{SOAP}"><s:Header>{info}</s:Header><s:Body {INSTANCE}>{body}</s:Body></s:Envelope>"#
        )
    }
}

/// A whole answer.
pub(crate) fn answer(settings: &Settings, operation: &str, messages: &[Message]) -> String {
    let messages: String = messages.iter().map(|message| response(operation, message)).collect();
    let messages = format!("<m:ResponseMessages>{messages}</m:ResponseMessages>");
    let body = if settings.version.is_2007() {
        format!(
            r#"<{operation}Response xmlns:m="{MESSAGES}" xmlns:t="{TYPES}" xmlns="{MESSAGES}">{messages}</{operation}Response>"#
        )
    } else {
        format!(r#"<m:{operation}Response xmlns:m="{MESSAGES}" xmlns:t="{TYPES}">{messages}</m:{operation}Response>"#)
    };
    envelope(settings, &body)
}

fn response(operation: &str, message: &Message) -> String {
    let mut inside = String::new();
    element(&mut inside, "m:MessageText", &message.text);
    element(&mut inside, "m:ResponseCode", &message.code);
    if message.class != "Success" {
        inside.push_str("<m:DescriptiveLinkKey>0</m:DescriptiveLinkKey>");
    }
    if !message.xml.is_empty() {
        let _ = write!(inside, "<m:MessageXml>{}</m:MessageXml>", message.xml);
    }
    inside.push_str(&message.content);
    format!(
        r#"<m:{operation}ResponseMessage ResponseClass="{}">{inside}</m:{operation}ResponseMessage>"#,
        message.class
    )
}

/// A whole SOAP fault.
pub(crate) fn fault(settings: &Settings, fault: &SoapFault) -> String {
    let SoapFault { code, message, xml } = fault;
    let message = escaped(message);
    let prefix = if settings.version.is_2007() { "soap" } else { "s" };
    let body = format!(
        r#"<{prefix}:Fault><faultcode xmlns:a="{TYPES}">a:{code}</faultcode><faultstring xml:lang="en-US">{message}</faultstring><detail><e:ResponseCode xmlns:e="{ERRORS}">{code}</e:ResponseCode><e:Message xmlns:e="{ERRORS}">{message}</e:Message>{xml}</detail></{prefix}:Fault>"#
    );
    envelope(settings, &body)
}

/// The paging attributes of a set.
pub(crate) fn paging(settings: &Settings, total: usize, last: bool) -> String {
    match (settings.paging, last) {
        (Paging::Words, _) => format!(r#" TotalItemsInView="{total}" IncludesLastItemInRange="{last}""#),
        (Paging::Digits, _) => {
            format!(r#" TotalItemsInView="{total}" IncludesLastItemInRange="{}""#, u8::from(last))
        }
        (Paging::NoTotal, _) => format!(r#" TotalItemsInView="0" IncludesLastItemInRange="{last}""#),
        (Paging::Absent, _) => String::new(),
    }
}

/// One address as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mailbox {
    pub(crate) name: String,
    pub(crate) address: String,
    pub(crate) routing: &'static str,
    pub(crate) kind: &'static str,
    /// Of what lies in a folder of the service account.
    pub(crate) item: Option<String>,
}

impl Mailbox {
    pub(crate) fn write(&self, into: &mut String) {
        into.push_str("<t:Mailbox>");
        element(into, "t:Name", &self.name);
        element(into, "t:EmailAddress", &self.address);
        element(into, "t:RoutingType", self.routing);
        element(into, "t:MailboxType", self.kind);
        if let Some(item) = &self.item {
            let _ = write!(into, r#"<t:ItemId Id="{}" ChangeKey="EQAAABYAAAA="/>"#, escaped(item));
        }
        into.push_str("</t:Mailbox>");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_xml_cannot_hold_is_escaped_or_left_out() {
        assert_eq!(escaped("a<b>&\"c\"\u{0}\u{1f}\u{fffe}\u{10348}\tñ"), "a&lt;b&gt;&amp;&quot;c&quot;\u{10348}\tñ");
    }
}
