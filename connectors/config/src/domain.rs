//! The keys of every endpoint that reads an Active Directory domain.
//!
//! It knows what they may be and which of them contradict each other, not how a domain is read, nor what of it.

use std::time::Duration;

use tenantry::{Error, IdListing, Secret};
use tenantry_ldap::domain::{DeltaMethod, DomainConfig};
use tenantry_ldap::{Dn, Encryption, Filter, PlainText, Server, Trust};

use crate::key::{Form, Key};
use crate::reading::Reading;
use crate::secret;
use crate::table::{Field, Table};

/// Everything that an endpoint needs to read a domain.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DomainSettings {
    /// Servers in the order in which they are tried, each with its encryption.
    pub servers: Vec<Server>,
    /// Whether a server without encryption is allowed: `insecure = true`.
    pub plain_text: PlainText,
    /// The text of `ca_file`: the only authorities to believe; none for those of the operating system.
    pub ca: Option<Vec<u8>>,
    /// Who binds: a distinguished name, a user principal name or `DOMAIN\user`.
    pub bind: String,
    /// The password of the account.
    pub password: Secret,
    /// What is read; none for the domain's naming context.
    pub base: Option<Dn>,
    /// Which users; none for all.
    pub users: Option<Filter>,
    /// Which groups; none for all.
    pub groups: Option<Filter>,
    /// What is left out, with everything below it.
    pub exclude: Vec<Dn>,
    /// How changes are found.
    pub delta: DeltaMethod,
    /// When a delta run ends with a listing of ids.
    pub id_listing: IdListing,
    /// How long one call may take; none for the connector's own limit.
    pub timeout: Option<Duration>,
}

impl From<&DomainSettings> for DomainConfig {
    /// Says the same in the words of the reader. `id_listing` is for whoever starts runs.
    fn from(settings: &DomainSettings) -> Self {
        let text = |filter: &Option<Filter>| filter.as_ref().map(ToString::to_string);
        let mut config = Self::new("", settings.bind.clone(), settings.password.clone());
        config.urls = settings.servers.iter().map(ToString::to_string).collect();
        config.starttls = settings.servers.iter().any(|server| server.encryption() == Encryption::StartTls);
        config.insecure = settings.plain_text == PlainText::Allowed;
        config.base = settings.base.as_ref().map(ToString::to_string);
        config.users = text(&settings.users);
        config.groups = text(&settings.groups);
        config.exclude = settings.exclude.iter().map(ToString::to_string).collect();
        config.ca.clone_from(&settings.ca);
        config.delta = settings.delta;
        if let Some(timeout) = settings.timeout {
            config.timeout = timeout;
        }
        config
    }
}

/// The keys of such an endpoint.
pub(crate) const KEYS: &[Key] = &[
    Key::required("url", Form::Texts, "ldaps://host[:port] or ldap://host[:port], or a list of them, tried in order."),
    Key::optional("starttls", Form::Switch, "Encrypts connections of ldap:// before anything is said."),
    Key::optional("insecure", Form::Switch, "Leaves connections of ldap:// unencrypted, the password too."),
    Key::required("bind", Form::Text, "The account: a distinguished name, user@domain, or DOMAIN\\user."),
    Key::required("password", secret::FORM, "Where its secret is."),
    Key::optional("base", Form::Text, "Only what lies below this distinguished name is read."),
    Key::optional("users", Form::Text, "LDAP filter: only users that it selects."),
    Key::optional("groups", Form::Text, "LDAP filter: only groups that it selects."),
    Key::optional("exclude", Form::Texts, "Distinguished names that are left out, with everything below them."),
    Key::optional("ca_file", Form::Path, "PEM file of the certificate authorities to believe, and no others."),
    Key::optional("delta", Form::Choice(&["usn", "dirsync", "off"]), "How changes since the last run are found."),
    Key::optional(
        "id_listing",
        ID_LISTING,
        "When a delta run ends with a listing of ids: auto, or when it is that old.",
    ),
    Key::optional("timeout", TIMEOUT, "How long one call to the server may take."),
];

const ID_LISTING: Form =
    Form::Time { least: Duration::from_mins(1), most: Duration::from_hours(24 * 365), word: Some("auto") };
const TIMEOUT: Form = Form::Time { least: Duration::from_secs(1), most: Duration::from_hours(1), word: None };

/// Takes these keys out of the table of an endpoint.
pub(crate) fn read(table: &mut Table<'_>, reading: &mut Reading<'_>) -> Option<DomainSettings> {
    const URL: &str = r#"write url = "ldaps://dc1.corp.example""#;
    let url = table.require("url", URL, reading);
    let starttls = table.take("starttls");
    let insecure = table.take("insecure");
    let connection = read_connection(url.as_ref(), starttls.as_ref(), insecure.as_ref(), reading);
    let bind = table
        .require("bind", r#"write bind = "sync@corp.example" or its distinguished name"#, reading)
        .and_then(|field| field.text(reading));
    let password = table
        .require("password", r#"write password = { env = "…" } or { file = "…" }"#, reading)
        .and_then(|field| secret::read(field, reading));
    let base = table.take("base");
    let base = base.and_then(|field| read_dn(field.text(reading)?, field.at, &field, reading));
    let users = table.take("users").and_then(|field| read_filter(&field, reading));
    let groups = table.take("groups").and_then(|field| read_filter(&field, reading));
    let exclude = table.take("exclude").map(|field| read_exclude(&field, base.as_ref(), reading)).unwrap_or_default();
    let ca = table.take("ca_file").and_then(|field| read_ca(&field, reading));
    let choices = [("usn", DeltaMethod::Usn), ("dirsync", DeltaMethod::DirSync), ("off", DeltaMethod::Off)];
    let delta = table.take("delta").and_then(|field| field.choice(&choices, reading)).unwrap_or_default();
    let id_listing = table.take("id_listing").and_then(|field| read_id_listing(&field, reading)).unwrap_or_default();
    let timeout = table.take("timeout").and_then(|field| field.duration(reading));
    let (servers, plain_text) = connection?;
    Some(DomainSettings {
        servers,
        plain_text,
        ca,
        bind: bind?.to_owned(),
        password: password?,
        base,
        users,
        groups,
        exclude,
        delta,
        id_listing,
        timeout,
    })
}

/// Reads where the servers are and how the connection is protected: every combination says one thing or is refused.
fn read_connection(
    url: Option<&Field<'_>>,
    starttls: Option<&Field<'_>>,
    insecure: Option<&Field<'_>>,
    reading: &mut Reading<'_>,
) -> Option<(Vec<Server>, PlainText)> {
    let start = starttls.map(|field| field.switch(reading));
    let plain = insecure.map(|field| field.switch(reading));
    let servers = url.and_then(|url| read_servers(url, reading))?;
    let (start, plain) = (start.unwrap_or(Some(false))?, plain.unwrap_or(Some(false))?);
    let unencrypted = servers.iter().find(|(server, _)| server.encryption() == Encryption::StartTls).map(|(_, at)| *at);
    let path = url.map(|url| url.path.as_str()).unwrap_or_default();
    match (unencrypted, start, plain) {
        (Some(at), false, false) => {
            let remedy = "write ldaps://, or add starttls = true; insecure = true sends the password in the clear";
            reading.problem(at, path, "ldap:// without starttls is not encrypted", remedy);
            return None;
        }
        (_, true, true) => {
            let remedy = "remove insecure: with starttls everything is encrypted";
            insecure?.refuse("insecure contradicts starttls", remedy, reading);
            return None;
        }
        (None, true, false) => {
            let remedy = "remove it, or write ldap:// in url";
            starttls?.refuse("starttls has no effect: ldaps:// is encrypted from the first byte", remedy, reading);
            return None;
        }
        (None, false, true) => {
            let remedy = "remove it; certificates are always checked: for an authority of your own set ca_file";
            insecure?.refuse("insecure has no effect: every server is encrypted", remedy, reading);
            return None;
        }
        (Some(_), _, _) | (None, false, false) => {}
    }
    let protect = |(server, _): (Server, usize)| match server.encryption() {
        Encryption::StartTls if plain => server.with_encryption(Encryption::Plain),
        _ => server,
    };
    let plain_text = if plain { PlainText::Allowed } else { PlainText::Refused };
    Some((servers.into_iter().map(protect).collect(), plain_text))
}

fn read_servers(url: &Field<'_>, reading: &mut Reading<'_>) -> Option<Vec<(Server, usize)>> {
    const REMEDY: &str = r#"write "ldaps://dc1.corp.example" or "ldaps://dc1.corp.example:636""#;
    let texts = url.texts(reading)?;
    if texts.is_empty() {
        url.refuse("the list names no server", REMEDY, reading);
        return None;
    }
    let mut servers: Vec<(Server, usize)> = Vec::new();
    let mut clean = true;
    for (text, at) in texts {
        match Server::parse(text) {
            Ok(server) if servers.iter().any(|(other, _)| *other == server) => {
                reading.problem(at, &url.path, "this server is there already", "remove one of them");
                clean = false;
            }
            Ok(server) if matches!(server.port(), 3268 | 3269) => {
                // It lacks attributes and members of most groups; what is missing there would look cleared here.
                let message = "this is the port of a global catalogue, which holds only a part of each object";
                reading.problem(at, &url.path, message, "write 636 for ldaps://, 389 for ldap://, or no port");
                clean = false;
            }
            Ok(server) => servers.push((server, at)),
            Err(error) => {
                let (message, remedy) = error.message().split_once("; ").unwrap_or((error.message(), REMEDY));
                reading.problem(at, &url.path, message, remedy);
                clean = false;
            }
        }
    }
    clean.then_some(servers)
}

fn read_dn(text: &str, at: usize, field: &Field<'_>, reading: &mut Reading<'_>) -> Option<Dn> {
    let remedy = r#"write it like "OU=Staff,DC=corp,DC=example""#;
    match Dn::parse(text) {
        Ok(dn) if dn.rdns().is_empty() => {
            reading.problem(at, &field.path, "this distinguished name is empty", remedy);
            None
        }
        Ok(dn) => Some(dn),
        Err(error) => {
            reading.problem(at, &field.path, explain(&error, "at byte"), remedy);
            None
        }
    }
}

pub(crate) fn read_filter(field: &Field<'_>, reading: &mut Reading<'_>) -> Option<Filter> {
    match Filter::parse(field.text(reading)?) {
        Ok(filter) => Some(filter),
        Err(error) => {
            let remedy = r#"write an LDAP filter such as "(department=Sales)""#;
            field.refuse(explain(&error, "at character"), remedy, reading);
            None
        }
    }
}

/// Puts what a parser expected, and where, behind its message.
fn explain(error: &Error, place: &str) -> String {
    let mut message = error.message().to_owned();
    if let Some(expected) = error.context("expected") {
        message = format!("{message}, expected {expected}");
    }
    if let Some(number) = error.context(place) {
        message = format!("{message} {place} {number}");
    }
    message
}

/// Reads what is left out. A name that leaves out nothing or everything is a slip of the pen.
fn read_exclude(field: &Field<'_>, base: Option<&Dn>, reading: &mut Reading<'_>) -> Vec<Dn> {
    let mut exclude = Vec::new();
    for (text, at) in field.texts(reading).unwrap_or_default() {
        let Some(dn) = read_dn(text, at, field, reading) else { continue };
        match base {
            Some(base) if base.is_under(&dn) => {
                reading.problem(at, &field.path, "this leaves out the whole base", "name something below the base");
            }
            Some(base) if !dn.is_under(base) => {
                let remedy = "correct it, or remove it";
                reading.problem(at, &field.path, "this is not below the base, so it leaves out nothing", remedy);
            }
            _ => exclude.push(dn),
        }
    }
    exclude
}

fn read_ca(field: &Field<'_>, reading: &mut Reading<'_>) -> Option<Vec<u8>> {
    let pem = field.file(reading)?;
    match Trust::only(&pem) {
        Ok(_) => Some(pem),
        Err(error) => {
            let message = error.message().split("; ").next().unwrap_or_default();
            let remedy = "name a PEM file with the authority's certificate, BEGIN CERTIFICATE";
            field.refuse(message, remedy, reading);
            None
        }
    }
}

fn read_id_listing(field: &Field<'_>, reading: &mut Reading<'_>) -> Option<IdListing> {
    if field.is_word() {
        return Some(IdListing::Auto);
    }
    field.duration(reading).map(IdListing::Every)
}
