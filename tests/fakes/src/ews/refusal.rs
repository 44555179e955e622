//! What is answered in place of a result, before anything is written down as SOAP; it knows no recipient.

use std::fmt::Write as _;

use super::request::TYPES;
use super::write::escaped;

/// A request that is not answered with a response message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The text is no XML: the host refuses it before the service sees it.
    Malformed,
    Fault(SoapFault),
}

/// A SOAP fault as this service writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SoapFault {
    pub(crate) code: String,
    pub(crate) message: String,
    /// What stands in `MessageXml`; empty when there is none.
    pub(crate) xml: String,
}

impl Refusal {
    pub(crate) fn malformed() -> Self {
        Self::Malformed
    }

    pub(crate) fn fault(code: &str, message: &str) -> Self {
        Self::Fault(SoapFault { code: code.to_owned(), message: message.to_owned(), xml: String::new() })
    }

    pub(crate) fn schema(line: u32, position: u32, violation: &str) -> Self {
        let mut xml = String::new();
        // Writing to a string cannot fail.
        let _ = write!(
            xml,
            r#"<t:MessageXml xmlns:t="{TYPES}"><t:LineNumber>{line}</t:LineNumber><t:LinePosition>{position}</t:LinePosition><t:Violation>{}</t:Violation></t:MessageXml>"#,
            escaped(violation)
        );
        Self::Fault(SoapFault {
            code: "ErrorSchemaValidation".to_owned(),
            message: "The request failed schema validation.".to_owned(),
            xml,
        })
    }

    /// `ErrorServerBusy` with the time after which to come again.
    pub(crate) fn busy(milliseconds: u64) -> Self {
        Self::Fault(SoapFault {
            code: "ErrorServerBusy".to_owned(),
            message: "The server cannot service this request right now. Try again later.".to_owned(),
            xml: format!(
                r#"<t:MessageXml xmlns:t="{TYPES}"><t:Value Name="BackOffMilliseconds">{milliseconds}</t:Value></t:MessageXml>"#
            ),
        })
    }

    pub(crate) fn too_many_at_once() -> Self {
        Self::fault(
            "ErrorExceededConnectionCount",
            "You have exceeded the available concurrent connections for your account. Try again once your other requests have completed.",
        )
    }
}
