//! `ResolveNames`: who is meant by an entry, and how that is shown; it knows no envelope.

use std::fmt::Write as _;

use super::lies::Bend;
use super::recipient::{Id, Kind, PersonalContact, Recipient, Routing};
use super::request::{Resolve, Scope, Shape};
use super::settings::{AddressOrder, Settings};
use super::state::State;
use super::write::{Mailbox, Message, element, escaped, paging};

/// What an entry is taken for.
enum Entry<'a> {
    /// A legacy name, whole.
    Legacy(&'a str),
    /// An address with its routing prefix, or the beginning of one.
    Address(&'a str),
    Name(&'a str),
}

/// The routing types whose prefix makes an entry an address.
const ROUTING: [&str; 8] = ["smtp", "sip", "x500", "x400", "eum", "ex", "mobile", "notes"];

impl<'a> Entry<'a> {
    fn read(entry: &'a str) -> Self {
        let entry = entry.trim();
        match entry.split_once(':') {
            Some((kind, rest)) if kind.eq_ignore_ascii_case("ex") => Self::Legacy(rest),
            Some((kind, _)) if ROUTING.iter().any(|known| kind.eq_ignore_ascii_case(known)) => Self::Address(entry),
            _ if entry.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("/o=")) => Self::Legacy(entry),
            _ => Self::Name(entry),
        }
    }
}

/// One of those who are meant.
enum Found<'a> {
    Directory(&'a Recipient),
    Personal(usize, &'a PersonalContact),
}

/// Answers a request.
pub(crate) fn resolve(state: &State, settings: &Settings, bend: &Bend, asked: &Resolve) -> Message {
    let searched = asked.scope != Scope::Directory;
    if searched && asked.folders.len() > 1 {
        return Message::error(
            "ErrorResolveNamesOnlyOneContactsFolderAllowed",
            "Only one contacts folder can be specified for ResolveNames.",
        );
    }
    if searched && asked.folders.first().is_some_and(|folder| folder != "contacts") {
        return Message::error(
            "ErrorResolveNamesInvalidFolderType",
            "The folder that was specified for ResolveNames is no contacts folder.",
        );
    }
    let cap = bend.cap.unwrap_or(settings.cap);
    let entry = Entry::read(&asked.entry);
    let directory = || directory(state, settings, &entry).filter(|(id, _)| bend.shows(*id));
    let directory = || directory().map(|(_, recipient)| Found::Directory(recipient));
    let contacts = || personal(state, &asked.entry).map(|(at, contact)| Found::Personal(at, contact));
    let found: Vec<Found<'_>> = match asked.scope {
        Scope::Directory => directory().take(cap + 1).collect(),
        Scope::Contacts => contacts().take(cap + 1).collect(),
        Scope::DirectoryThenContacts => directory().chain(contacts()).take(cap + 1).collect(),
        Scope::ContactsThenDirectory => contacts().chain(directory()).take(cap + 1).collect(),
    };
    let last = !bend.never_last && (found.len() <= cap || bend.cap.is_some());
    let legacy = matches!(entry, Entry::Legacy(_));
    let shown: Vec<&Found<'_>> = found.iter().take(cap).collect();
    let shown: Vec<&Found<'_>> = bend.rows(shown);
    if shown.is_empty() {
        return Message::no_results();
    }
    let mut set = format!("<m:ResolutionSet{}>", paging(settings, shown.len(), last));
    for one in &shown {
        set.push_str("<t:Resolution>");
        match one {
            Found::Directory(recipient) => {
                bend.mailbox(mailbox(recipient, settings, legacy)).write(&mut set);
                if let Some(shape) = asked.shape.filter(|shape| *shape > Shape::IdOnly) {
                    contact(&mut set, state, settings, recipient, shape);
                }
            }
            Found::Personal(at, contact) => personal_contact(&mut set, *at, contact, asked.shape),
        }
        set.push_str("</t:Resolution>");
    }
    set.push_str("</m:ResolutionSet>");
    if shown.len() == 1 && found.len() == 1 {
        Message::success(set)
    } else {
        Message::warning("ErrorNameResolutionMultipleResults", "Multiple results were found.", set)
    }
}

fn directory<'a>(
    state: &'a State,
    settings: &Settings,
    entry: &Entry<'_>,
) -> Box<dyn Iterator<Item = (Id, &'a Recipient)> + 'a> {
    let seen = |(_, recipient): &(Id, &Recipient)| !recipient.hidden;
    match entry {
        Entry::Legacy(name) => Box::new(state.exactly(&format!("ex:{name}")).filter(seen)),
        Entry::Address(address) if settings.hidden_by_address && state.exactly(address).next().is_some() => {
            Box::new(state.exactly(address))
        }
        Entry::Address(address) => state.addressed(address),
        Entry::Name(name) if settings.hidden_by_address && name.contains('@') => {
            let whole: Vec<_> = state.exactly(&format!("smtp:{name}")).collect();
            if whole.is_empty() { state.named(name) } else { Box::new(whole.into_iter()) }
        }
        Entry::Name(name) => state.named(name),
    }
}

fn personal<'a>(state: &'a State, entry: &str) -> impl Iterator<Item = (usize, &'a PersonalContact)> {
    let entry = state.folding.fold(entry.trim());
    let address = entry.strip_prefix("smtp:").unwrap_or(&entry).to_owned();
    state.personal.iter().enumerate().filter(move |(_, contact)| {
        let name = state.folding.fold(&contact.name);
        super::fold::starts(&name).any(|word| word.starts_with(&entry))
            || state.folding.fold(&contact.address).starts_with(&address)
    })
}

/// How a recipient is named in `MailboxType`.
fn kind(recipient: &Recipient, settings: &Settings) -> &'static str {
    match recipient.kind {
        Kind::User | Kind::Shared | Kind::Room | Kind::Equipment => "Mailbox",
        Kind::MailUser if settings.mail_users_are_contacts => "Contact",
        Kind::MailUser => "Mailbox",
        Kind::Contact => "Contact",
        Kind::Group | Kind::DynamicGroup => "PublicDL",
        Kind::PublicFolder => "PublicFolder",
    }
}

/// A recipient's address as it is shown; one without an SMTP address is shown by its legacy name.
pub(crate) fn mailbox(recipient: &Recipient, settings: &Settings, by_legacy_name: bool) -> Mailbox {
    let plain = match recipient.routing {
        Routing::Smtp => true,
        Routing::ExUnlessAsked => by_legacy_name,
        Routing::Ex => false,
    };
    let (address, routing) = match recipient.primary_address().filter(|_| plain) {
        Some(address) => (address, "SMTP"),
        None => (recipient.legacy_name.as_str(), "EX"),
    };
    let (name, address) = (recipient.display_name.clone(), address.to_owned());
    Mailbox { name, address, routing, kind: kind(recipient, settings), item: None }
}

/// The up to three addresses that are shown.
fn addresses<'a>(recipient: &'a Recipient, order: AddressOrder) -> Vec<&'a str> {
    let mut shown: Vec<&'a str> = recipient.addresses.iter().map(String::as_str).collect();
    if let Some(at) = shown.iter().position(|address| address.starts_with("SMTP:")) {
        let to = match order {
            AddressOrder::AsStored => at.min(2),
            AddressOrder::PrimaryFirst => 0,
            AddressOrder::PrimarySecond => 1.min(shown.len() - 1),
        };
        let primary = shown.remove(at);
        shown.insert(to, primary);
    }
    shown.truncate(3);
    shown
}

fn contact(into: &mut String, state: &State, settings: &Settings, recipient: &Recipient, shape: Shape) {
    let all = shape == Shape::All;
    into.push_str("<t:Contact>");
    element(into, "t:DisplayName", &recipient.display_name);
    element(into, "t:GivenName", &recipient.first_name);
    element(into, "t:Initials", &recipient.initials);
    element(into, "t:CompanyName", &recipient.company);
    let addresses = addresses(recipient, settings.address_order);
    if !addresses.is_empty() {
        into.push_str("<t:EmailAddresses>");
        for (number, address) in (1..).zip(addresses) {
            // Writing to a string cannot fail.
            let _ = write!(into, r#"<t:Entry Key="EmailAddress{number}">{}</t:Entry>"#, escaped(address));
        }
        into.push_str("</t:EmailAddresses>");
    }
    if recipient.postal.iter().any(|part| !part.is_empty()) {
        into.push_str(r#"<t:PhysicalAddresses><t:Entry Key="Business">"#);
        let names = ["t:Street", "t:City", "t:State", "t:CountryOrRegion", "t:PostalCode"];
        for (name, part) in names.iter().zip(&recipient.postal) {
            element(into, name, part);
        }
        into.push_str("</t:Entry></t:PhysicalAddresses>");
    }
    if !recipient.phone.is_empty() || !recipient.mobile.is_empty() {
        into.push_str("<t:PhoneNumbers>");
        for (key, number) in [("BusinessPhone", &recipient.phone), ("MobilePhone", &recipient.mobile)] {
            if !number.is_empty() {
                let _ = write!(into, r#"<t:Entry Key="{key}">{}</t:Entry>"#, escaped(number));
            }
        }
        into.push_str("</t:PhoneNumbers>");
    }
    element(into, "t:ContactSource", "ActiveDirectory");
    element(into, "t:Department", &recipient.department);
    element(into, "t:JobTitle", &recipient.title);
    let manager = recipient.manager.and_then(|id| state.get(id));
    element(into, "t:Manager", manager.map_or("", |manager| &manager.display_name));
    element(into, "t:OfficeLocation", &recipient.office);
    element(into, "t:Surname", &recipient.last_name);
    if all {
        element(into, "t:Alias", &recipient.alias);
        element(into, "t:Notes", &recipient.notes);
        if let Some(manager) = manager {
            into.push_str("<t:ManagerMailbox>");
            mailbox(manager, settings, false).write(into);
            into.push_str("</t:ManagerMailbox>");
        }
    }
    into.push_str("</t:Contact>");
}

/// The id of what the service account keeps for itself.
pub(crate) fn item(at: usize) -> String {
    format!("AAMkAD{at:010}=")
}

fn personal_contact(into: &mut String, at: usize, contact: &PersonalContact, shape: Option<Shape>) {
    let list = !contact.members.is_empty();
    let (kind, routing) = if list { ("PrivateDL", "MAPIPDL") } else { ("Contact", "SMTP") };
    let (name, address) = (contact.name.clone(), contact.address.clone());
    Mailbox { name, address, routing, kind, item: Some(item(at)) }.write(into);
    if shape.is_some() && !list {
        into.push_str("<t:Contact>");
        element(into, "t:DisplayName", &contact.name);
        let _ = write!(
            into,
            r#"<t:EmailAddresses><t:Entry Key="EmailAddress1">{}</t:Entry></t:EmailAddresses>"#,
            escaped(&contact.address)
        );
        element(into, "t:ContactSource", "Store");
        into.push_str("</t:Contact>");
    }
}
