//! What a result means: pure functions from a result to a patch. It asks nobody.
//!
//! Exchange Web Services tell three addresses of somebody at most, and not whether there are more. Whether an account is
//! disabled, whether a mailbox is a person's or a room's, whether a group grants rights, they do not tell at all. What is
//! not told is left out: it is unknown, and never takes the place of what another endpoint knows.

use tenantry::model::{
    AttributeName, Attributes, GroupKind, MemberKind, ObjectKind, Patch, Quarantined, SourceId, UserKind, Value, names,
};

use super::answer::{Contact, Mailbox, Resolution};
use super::letters::folded;
use super::walk::Heard;

/// As many addresses as a result has places for.
const PLACES: usize = 3;
/// The longest mail address.
const LONGEST: usize = 320;

/// What became of a result.
#[derive(Debug, PartialEq)]
pub(crate) enum Mapped {
    /// A recipient.
    Object(Box<Patch>),
    /// None that is imported, and why.
    Left(&'static str),
    /// One that makes no sense.
    Senseless(Quarantined),
}

/// Returns the primary address of a result, where it has one.
pub(crate) fn primary(resolution: &Resolution) -> Option<&str> {
    let mailbox = &resolution.mailbox;
    let by_routing = match mailbox.routing.as_str() {
        "SMTP" | "smtp" | "" => Some(bare(&mailbox.address)),
        _ => None,
    };
    let marked = || {
        let contact = resolution.contact.as_ref()?;
        contact.addresses.iter().find_map(|address| address.strip_prefix("SMTP:"))
    };
    by_routing.filter(|address| is_address(address)).or_else(|| marked().filter(|address| is_address(address)))
}

/// Returns the address by which a member is known.
pub(crate) fn member_address(member: &Mailbox) -> Option<&str> {
    let routed = matches!(member.routing.as_str(), "SMTP" | "smtp" | "");
    Some(bare(&member.address)).filter(|address| routed && is_address(address))
}

/// Returns all mail addresses that a result names besides the primary one.
pub(crate) fn others(resolution: &Resolution) -> impl Iterator<Item = &str> {
    let primary = primary(resolution).unwrap_or_default();
    let addresses = resolution.contact.iter().flat_map(|contact| &contact.addresses);
    addresses.filter_map(|address| mail(address)).filter(move |address| !address.eq_ignore_ascii_case(primary))
}

/// Tells whether there may be more addresses than the result has places for.
pub(crate) fn may_be_cut(resolution: &Resolution) -> bool {
    resolution.contact.as_ref().is_none_or(|contact| contact.addresses.len() >= PLACES)
}

/// Says whether a result is one of the directory's, and of what kind.
pub(crate) fn kind_of(resolution: &Resolution) -> Result<ObjectKind, &'static str> {
    let own = resolution.contact.as_ref().is_some_and(|contact| contact.source.as_deref() == Some("Store"));
    if resolution.mailbox.is_own || own {
        return Err("of the account's own contacts");
    }
    match resolution.mailbox.kind.as_str() {
        "Mailbox" | "Contact" => Ok(ObjectKind::User),
        "PublicDL" | "GroupMailbox" => Ok(ObjectKind::Group),
        "PublicFolder" => Err("a public folder"),
        "PrivateDL" | "OneOff" | "ImplicitContact" => Err("not of the directory"),
        _ => Err(""),
    }
}

/// Says what a member of a group is.
pub(crate) fn member_kind(kind: &str) -> MemberKind {
    match kind {
        // Contacts come in as users.
        "Mailbox" | "Contact" => MemberKind::User,
        "PublicDL" | "GroupMailbox" => MemberKind::Group,
        "OneOff" => MemberKind::External,
        _ => MemberKind::Unknown,
    }
}

/// Turns a result into a patch. `full` tells whether the server was asked for everything that is known.
pub(crate) fn object(resolution: &Resolution, full: bool) -> Mapped {
    let kind = match kind_of(resolution) {
        Ok(kind) => kind,
        Err("") => {
            // It may be anything that is known already, and shall not seem to be gone.
            return Mapped::Senseless(Quarantined {
                kind: ObjectKind::User,
                id: primary(resolution).map(SourceId::address),
                reason: "the recipient is of a type that is not known; look at it in Exchange".to_owned(),
            });
        }
        Err(why) => return Mapped::Left(why),
    };
    let Some(address) = primary(resolution) else {
        return Mapped::Senseless(Quarantined {
            kind,
            id: None,
            reason: "the recipient has no mail address, by which it could be known; give it one".to_owned(),
        });
    };
    let name = resolution.contact.as_ref().and_then(|contact| contact.display_name.as_deref());
    let name = name.or_else(|| Some(resolution.mailbox.name.as_str()).filter(|name| !name.is_empty()));
    if is_system(address, name.unwrap_or_default()) {
        return Mapped::Left("a mailbox of the system");
    }
    let mut patch = Patch::new(kind, SourceId::address(address));
    let attributes = &mut patch.attributes;
    let contact = resolution.contact.as_ref();
    match kind {
        ObjectKind::User => {
            attributes.set(names::PRIMARY_EMAIL, address);
            if resolution.mailbox.kind == "Contact" {
                attributes.set(names::KIND, UserKind::Contact);
            }
            if let Some(name) = name {
                attributes.set(names::DISPLAY_NAME, name);
            }
            if let Some(contact) = contact {
                person(contact, full, attributes);
            }
            aliases(resolution, names::ALIASES, attributes);
        }
        _ => {
            attributes.set(names::EMAIL, address);
            if let Some(name) = name {
                attributes.set(names::NAME, name);
            }
            if resolution.mailbox.kind == "GroupMailbox" {
                attributes.set(names::KIND, GroupKind::Microsoft365);
            }
            aliases(resolution, AttributeName::extra("aliases"), attributes);
        }
    }
    if let Some(alias) = contact.and_then(|contact| contact.alias.as_deref()) {
        attributes.set(AttributeName::extra("mail_nickname"), alias);
    }
    Mapped::Object(Box::new(patch))
}

fn person(contact: &Contact, full: bool, attributes: &mut Attributes) {
    let mut set = |name: AttributeName, value: &Option<String>| {
        // A server that was not asked for everything leaves out more than what is empty.
        if full || value.is_some() {
            attributes.set(name, Value::text(value.as_deref()));
        }
    };
    set(names::FIRST_NAME, &contact.given_name);
    set(names::LAST_NAME, &contact.surname);
    for (name, value) in [
        ("title", &contact.title),
        ("department", &contact.department),
        ("company", &contact.company),
        ("office", &contact.office),
        ("telephone", &contact.telephone),
        ("mobile", &contact.mobile),
        ("manager_name", &contact.manager),
    ] {
        set(AttributeName::extra(name), value);
    }
}

/// Sets the further addresses where these are all. Where they may not be, they are told by a name of their own, so that
/// what is known of them does not end the others.
fn aliases(resolution: &Resolution, name: AttributeName, attributes: &mut Attributes) {
    let known = Value::list(others(resolution));
    let some = AttributeName::extra("some_aliases");
    if resolution.contact.is_none() {
        return;
    }
    if may_be_cut(resolution) {
        attributes.set(some, known);
    } else {
        attributes.set(name, known);
        attributes.set(some, Value::Empty);
    }
}

/// Folds what a walk goes by.
pub(crate) fn heard(resolution: &Resolution) -> Heard {
    let contact = resolution.contact.as_ref();
    let texts = contact.into_iter().flat_map(|contact| {
        [&contact.display_name, &contact.given_name, &contact.surname, &contact.alias, &contact.office]
            .into_iter()
            .flatten()
    });
    Heard {
        address: primary(resolution).map(folded).unwrap_or_default(),
        names: texts
            .chain([&resolution.mailbox.name])
            .map(|text| folded(text))
            .filter(|text| !text.is_empty())
            .collect(),
    }
}

/// Mailboxes that Exchange made for itself: hidden as a rule, and recognised where they are not.
fn is_system(address: &str, name: &str) -> bool {
    const OWN: [&str; 6] = [
        "systemmailbox{",
        "healthmailbox",
        "discoverysearchmailbox",
        "federatedemail.4c1f4d8b",
        "migration.8f3e7716",
        "extest_",
    ];
    [address, name].iter().any(|text| {
        let text = text.to_ascii_lowercase().replace(' ', "");
        OWN.iter().any(|own| text.starts_with(own))
    })
}

/// Reads an entry with its type in front; other types than mail's are none.
fn mail(entry: &str) -> Option<&str> {
    let address = match entry.split_once(':') {
        Some((kind, address)) if kind.eq_ignore_ascii_case("smtp") => address,
        Some(_) => return None,
        None => entry,
    };
    Some(address.trim()).filter(|address| is_address(address))
}

fn bare(address: &str) -> &str {
    let address = address.trim();
    match address.split_at_checked(5) {
        Some((kind, rest)) if kind.eq_ignore_ascii_case("smtp:") => rest,
        _ => address,
    }
}

fn is_address(text: &str) -> bool {
    let well = |part: &str| !part.is_empty() && !part.chars().any(|c| c.is_control() || c.is_whitespace());
    text.len() <= LONGEST && text.rsplit_once('@').is_some_and(|(local, domain)| well(local) && well(domain))
}

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod tests;
