//! The keys that every endpoint behind HTTP has: proxy, trust, times, and its share of the quotas.
//!
//! It knows no kind of endpoint.

use std::time::Duration;

use tenantry_http::{Origin, Proxy};

use crate::key::{Form, Key};
use crate::reading::Reading;
use crate::table::{Field, Table};

/// How an endpoint behind HTTP is reached, and how fast it is asked.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct HttpKeys {
    /// The address of a proxy for everything but loopback addresses.
    pub proxy: Option<String>,
    /// The text of `ca_file`: authorities to believe besides those of the operating system.
    pub ca: Option<Vec<u8>>,
    /// How long one request may take; none for the connector's own limit.
    pub timeout: Option<Duration>,
    /// Which part of every published quota this process may use; none for the connector's own share.
    pub quota_share: Option<f64>,
    /// Whether plain `http://` is allowed for other addresses than this machine's.
    pub insecure: bool,
}

/// The keys of every endpoint behind HTTP.
pub(crate) const KEYS: &[Key] = &[
    Key::optional("proxy", Form::Text, "http://host:port of a proxy for everything but this machine itself."),
    Key::optional("ca_file", Form::Path, "PEM file of certificate authorities to believe besides the system's."),
    Key::optional("timeout", TIMEOUT, "How long one request may take."),
    Key::optional("quota_share", Form::Part, "Part of every published quota that this process may use: 0.8 is 80 %."),
    Key::optional("insecure", Form::Switch, "Allows http:// for addresses of other machines; the token is readable."),
];

const TIMEOUT: Form = Form::Time { least: Duration::from_secs(1), most: Duration::from_hours(1), word: None };

/// Reads the keys, and the addresses that may be other than the provider's own: each by its name.
#[cfg(feature = "office365")]
pub(crate) fn read(
    table: &mut Table<'_>,
    addresses: &[&'static str],
    reading: &mut Reading<'_>,
) -> (HttpKeys, Vec<Option<String>>) {
    read_beside(table, addresses, false, reading)
}

/// Reads the same where an address that stands elsewhere may be `plain`, and need the permission for it.
pub(crate) fn read_beside(
    table: &mut Table<'_>,
    addresses: &[&'static str],
    plain: bool,
    reading: &mut Reading<'_>,
) -> (HttpKeys, Vec<Option<String>>) {
    let insecure_field = table.take("insecure");
    // A wrong form is a problem by itself; the addresses need not be one, too.
    let insecure = insecure_field.as_ref().is_some_and(|field| field.switch(reading).unwrap_or(true));
    let proxy = table.take("proxy").and_then(|field| read_proxy(&field, reading));
    let ca = table.take("ca_file").and_then(|field| read_ca(&field, reading));
    let timeout = table.take("timeout").and_then(|field| field.duration(reading));
    let quota_share = table.take("quota_share").and_then(|field| field.part(reading));
    let mut needed = plain;
    let addresses = addresses
        .iter()
        .map(|name| {
            let field = table.take(name)?;
            let text = field.text(reading)?;
            needed |= Origin::parse(text, false).is_err();
            read_address(&field, text, insecure, reading)
        })
        .collect();
    if let Some(field) = insecure_field.filter(|_| insecure && !needed) {
        let remedy = "remove it; certificates are always checked: for an authority of your own set ca_file";
        // Of a wrong form something was said already.
        if field.value.as_bool() == Some(true) {
            field.refuse("insecure has no effect: no address is http:// on another machine", remedy, reading);
        }
    }
    (HttpKeys { proxy, ca, timeout, quota_share, insecure }, addresses)
}

fn read_address(field: &Field<'_>, text: &str, insecure: bool, reading: &mut Reading<'_>) -> Option<String> {
    match Origin::parse(text, insecure) {
        Ok(_) => Some(text.to_owned()),
        Err(error) => {
            let (message, remedy) = split(error.message(), "write it like https://directory.example");
            field.refuse(message, remedy, reading);
            None
        }
    }
}

fn read_proxy(field: &Field<'_>, reading: &mut Reading<'_>) -> Option<String> {
    let text = field.text(reading)?;
    match Proxy::parse(text) {
        Ok(_) => Some(text.to_owned()),
        Err(error) => {
            let (message, remedy) = split(error.message(), "write it like http://proxy.example:3128");
            field.refuse(message, remedy, reading);
            None
        }
    }
}

fn read_ca(field: &Field<'_>, reading: &mut Reading<'_>) -> Option<Vec<u8>> {
    let pem = field.file(reading)?;
    match tenantry_http::check_authorities(&pem) {
        Ok(()) => Some(pem),
        Err(error) => {
            let remedy = "name a PEM file with the authority's certificate, BEGIN CERTIFICATE";
            field.refuse(split(error.message(), "").0, remedy, reading);
            None
        }
    }
}

/// Splits a message into what is wrong and what to do.
pub(crate) fn split<'a>(message: &'a str, remedy: &'a str) -> (String, String) {
    let (message, remedy) = message.split_once("; ").unwrap_or((message, remedy));
    (message.to_owned(), remedy.to_owned())
}
