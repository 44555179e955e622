//! What an answer says: version, fault, codes, recipients. It must not decide what a code means.

use tenantry::{Error, Result};

use super::xml::{self, Marks, Ns, Step};

/// The release of a server, as it tells with its answers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Version {
    pub(crate) major: u32,
    pub(crate) minor: u32,
    pub(crate) build: u32,
    pub(crate) revision: u32,
}

impl Version {
    /// Microsoft's own service.
    pub(crate) fn is_online(&self) -> bool {
        self.major == 15 && self.minor >= 20
    }

    /// The name under which it was sold.
    pub(crate) fn product(&self) -> &'static str {
        match (self.major, self.minor) {
            (8, _) => "Exchange 2007",
            (14, _) => "Exchange 2010",
            (15, 0) => "Exchange 2013",
            (15, 1) => "Exchange 2016",
            (15, 2) => "Exchange 2019 or later",
            _ => "Exchange",
        }
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({}.{}.{}.{})", self.product(), self.major, self.minor, self.build, self.revision)
    }
}

/// What went wrong, by the server's codes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Refusal {
    pub(crate) code: String,
    /// The code behind a general one.
    pub(crate) inner: Option<String>,
    /// How long to wait, in milliseconds.
    pub(crate) back_off: Option<u64>,
}

/// A recipient as results and members name it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Mailbox {
    pub(crate) name: String,
    pub(crate) address: String,
    pub(crate) routing: String,
    pub(crate) kind: String,
    /// From the account's own contacts, not from the directory.
    pub(crate) is_own: bool,
}

/// What the address book tells of a recipient.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Contact {
    pub(crate) display_name: Option<String>,
    pub(crate) given_name: Option<String>,
    pub(crate) surname: Option<String>,
    pub(crate) alias: Option<String>,
    pub(crate) title: Option<String>,
    pub(crate) department: Option<String>,
    pub(crate) company: Option<String>,
    pub(crate) office: Option<String>,
    pub(crate) manager: Option<String>,
    pub(crate) telephone: Option<String>,
    pub(crate) mobile: Option<String>,
    /// `SMTP:` and the like in front, three at most.
    pub(crate) addresses: Vec<String>,
    /// `Store` is the account's own folder.
    pub(crate) source: Option<String>,
}

/// One result.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Resolution {
    pub(crate) mailbox: Mailbox,
    pub(crate) contact: Option<Contact>,
}

/// Results or members, and whether these are all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Set<T> {
    pub(crate) items: Vec<T>,
    /// Whether the last one is among them; some servers do not say.
    pub(crate) has_last: Option<bool>,
    /// How many there are, which cannot be relied upon where it is small.
    pub(crate) total: Option<u64>,
}

/// As many results as a server gives.
const MOST: usize = 100;

impl Set<Resolution> {
    /// As many as come at once, or the last one not among them: there may be more. A server that does not say so is
    /// believed only where fewer came.
    pub(crate) fn is_cut(&self) -> bool {
        self.items.len() >= MOST || self.has_last == Some(false)
    }
}

/// What an operation came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Results of a name.
    Resolved(Set<Resolution>),
    /// Members of a group.
    Expanded(Set<Mailbox>),
    /// A code of the operation.
    Refused(Refusal),
    /// A code of the message as a whole.
    Fault(Refusal),
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) version: Option<Version>,
    pub(crate) outcome: Outcome,
}

/// Reads an answer.
///
/// # Errors
/// `Protocol` for what is no answer to `ResolveNames` or `ExpandDL`: never an empty result.
pub(crate) fn read(body: &[u8]) -> Result<Reply> {
    let mut reading = Reading::default();
    xml::read(body, |step| match step {
        Step::Open(ns, name, marks) => reading.open(ns, name, &marks),
        Step::Close(text) => {
            reading.close(text);
            Ok(())
        }
    })?;
    reading.finish()
}

/// Elements that mean something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tag {
    Envelope,
    Header,
    Body,
    Fault,
    FaultCode,
    Detail,
    FaultResponseCode,
    MessageXml,
    Value,
    Response,
    Messages,
    Message,
    Code,
    Results,
    Members,
    Resolution,
    Mailbox,
    Contact,
    Entries,
    Phones,
    Entry,
    /// A text of a mailbox or contact.
    Field(Field),
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Name,
    Address,
    Routing,
    Kind,
    DisplayName,
    GivenName,
    Surname,
    Alias,
    Title,
    Department,
    Company,
    Office,
    Manager,
    Source,
}

#[derive(Debug, Default)]
struct Reading {
    path: Vec<Tag>,
    version: Option<Version>,
    fault: Option<Refusal>,
    responses: usize,
    class: Option<String>,
    refusal: Refusal,
    messages: usize,
    results: Option<Set<Resolution>>,
    members: Option<Set<Mailbox>>,
    /// The value, address or telephone number that is being read.
    key: Option<String>,
}

impl Reading {
    fn open(&mut self, ns: Ns, name: &str, marks: &Marks<'_>) -> Result<()> {
        let tag = self.tag(ns, name);
        match tag {
            Tag::Other if self.path.is_empty() => {
                return Err(Error::protocol(
                    "the answer is no SOAP message; check that the address ends with Exchange.asmx",
                ));
            }
            Tag::Fault => self.fault = Some(Refusal::default()),
            Tag::Value | Tag::Entry => self.key = marks.get(if tag == Tag::Value { "Name" } else { "Key" }),
            Tag::Response => self.responses += 1,
            Tag::Message => {
                self.messages += 1;
                self.class = marks.get("ResponseClass");
            }
            Tag::Results => self.results = Some(set(marks)?),
            Tag::Members => self.members = Some(set(marks)?),
            Tag::Resolution => self.results.iter_mut().for_each(|set| set.items.push(Resolution::default())),
            Tag::Mailbox if self.within(Tag::Members) => {
                self.members.iter_mut().for_each(|set| set.items.push(Mailbox::default()));
            }
            Tag::Contact => {
                if let Some(resolution) = self.resolution() {
                    resolution.contact = Some(Contact::default());
                }
            }
            Tag::Other if ns == Ns::Types && name == "ItemId" && self.within(Tag::Mailbox) => {
                self.mailbox().into_iter().for_each(|mailbox| mailbox.is_own = true);
            }
            Tag::Other if ns == Ns::Types && name == "ServerVersionInfo" && self.within(Tag::Header) => {
                // Its `Version` is a name that newer servers take from no list.
                let number = |name: &str| marks.get(name).and_then(|text| text.trim().parse().ok());
                self.version = number("MajorVersion").map(|major| Version {
                    major,
                    minor: number("MinorVersion").unwrap_or_default(),
                    build: number("MajorBuildNumber").unwrap_or_default(),
                    revision: number("MinorBuildNumber").unwrap_or_default(),
                });
            }
            _ => {}
        }
        self.path.push(tag);
        Ok(())
    }

    /// Tells an element by its namespace, its name and what it is in.
    fn tag(&self, ns: Ns, name: &str) -> Tag {
        match (self.path.last().copied(), ns, name) {
            (None, Ns::Soap, "Envelope") => Tag::Envelope,
            (Some(Tag::Envelope), Ns::Soap, "Header") => Tag::Header,
            (Some(Tag::Envelope), Ns::Soap, "Body") => Tag::Body,
            (Some(Tag::Body), Ns::Soap, "Fault") => Tag::Fault,
            (Some(Tag::Fault), Ns::Unbound, "faultcode") => Tag::FaultCode,
            (Some(Tag::Fault), Ns::Unbound, "detail") => Tag::Detail,
            (Some(Tag::Detail), Ns::Errors, "ResponseCode") => Tag::FaultResponseCode,
            (Some(Tag::Detail | Tag::Message), Ns::Types | Ns::Messages, "MessageXml") => Tag::MessageXml,
            (Some(Tag::MessageXml), Ns::Types, "Value") => Tag::Value,
            (Some(Tag::Body), Ns::Messages, "ResolveNamesResponse" | "ExpandDLResponse") => Tag::Response,
            (Some(Tag::Response), Ns::Messages, "ResponseMessages") => Tag::Messages,
            (Some(Tag::Messages), Ns::Messages, "ResolveNamesResponseMessage" | "ExpandDLResponseMessage") => {
                Tag::Message
            }
            (Some(Tag::Message), Ns::Messages, "ResponseCode") => Tag::Code,
            (Some(Tag::Message), Ns::Messages, "ResolutionSet") => Tag::Results,
            (Some(Tag::Message), Ns::Messages, "DLExpansion") => Tag::Members,
            (Some(Tag::Results), Ns::Types, "Resolution") => Tag::Resolution,
            (Some(Tag::Resolution | Tag::Members), Ns::Types, "Mailbox") => Tag::Mailbox,
            (Some(Tag::Resolution), Ns::Types, "Contact") => Tag::Contact,
            (Some(Tag::Contact), Ns::Types, "EmailAddresses") => Tag::Entries,
            (Some(Tag::Contact), Ns::Types, "PhoneNumbers") => Tag::Phones,
            (Some(Tag::Entries | Tag::Phones), Ns::Types, "Entry") => Tag::Entry,
            (Some(parent @ (Tag::Mailbox | Tag::Contact)), Ns::Types, name) => {
                field(parent, name).map_or(Tag::Other, Tag::Field)
            }
            _ => Tag::Other,
        }
    }

    fn close(&mut self, text: String) {
        let Some(tag) = self.path.pop() else { return };
        match tag {
            // The detail's code is the one that counts; a fault of the transport has none.
            Tag::FaultCode => {
                let code = text.rsplit(':').next().unwrap_or_default().trim().to_owned();
                self.fault
                    .iter_mut()
                    .filter(|fault| fault.code.is_empty())
                    .for_each(|fault| fault.code.clone_from(&code));
            }
            Tag::FaultResponseCode => self.fault.iter_mut().for_each(|fault| fault.code.clone_from(&text)),
            Tag::Code => self.refusal.code = text,
            Tag::Value => {
                let refusal = self.fault.as_mut().unwrap_or(&mut self.refusal);
                match self.key.take().as_deref() {
                    Some("BackOffMilliseconds") => refusal.back_off = text.parse().ok(),
                    Some("InnerErrorResponseCode") => refusal.inner = Some(text),
                    _ => {}
                }
            }
            Tag::Entry => self.entry(text),
            Tag::Field(field) => self.fill(field, text),
            _ => {}
        }
    }

    fn entry(&mut self, text: String) {
        let key = self.key.take();
        let is_phone = self.path.last() == Some(&Tag::Phones);
        let Some(contact) = self.resolution().and_then(|resolution| resolution.contact.as_mut()) else { return };
        match (is_phone, key.as_deref()) {
            _ if text.is_empty() => {}
            (false, _) => contact.addresses.push(text),
            (true, Some("BusinessPhone")) => contact.telephone = Some(text),
            (true, Some("MobilePhone")) => contact.mobile = Some(text),
            (true, _) => {}
        }
    }

    fn fill(&mut self, field: Field, text: String) {
        if self.path.last() == Some(&Tag::Mailbox) {
            let Some(mailbox) = self.mailbox() else { return };
            match field {
                Field::Name => mailbox.name = text,
                Field::Address => mailbox.address = text,
                Field::Routing => mailbox.routing = text,
                Field::Kind => mailbox.kind = text,
                _ => {}
            }
            return;
        }
        let Some(contact) = self.resolution().and_then(|resolution| resolution.contact.as_mut()) else { return };
        let place = match field {
            Field::DisplayName => &mut contact.display_name,
            Field::GivenName => &mut contact.given_name,
            Field::Surname => &mut contact.surname,
            Field::Alias => &mut contact.alias,
            Field::Title => &mut contact.title,
            Field::Department => &mut contact.department,
            Field::Company => &mut contact.company,
            Field::Office => &mut contact.office,
            Field::Manager => &mut contact.manager,
            Field::Source => &mut contact.source,
            Field::Name | Field::Address | Field::Routing | Field::Kind => return,
        };
        *place = Some(text).filter(|text| !text.is_empty());
    }

    fn within(&self, tag: Tag) -> bool {
        self.path.last() == Some(&tag)
    }

    fn resolution(&mut self) -> Option<&mut Resolution> {
        self.results.as_mut()?.items.last_mut()
    }

    /// Returns the mailbox that is being read: a member, or that of a result.
    fn mailbox(&mut self) -> Option<&mut Mailbox> {
        if self.path.contains(&Tag::Members) {
            return self.members.as_mut()?.items.last_mut();
        }
        self.resolution().map(|resolution| &mut resolution.mailbox)
    }

    fn finish(self) -> Result<Reply> {
        let version = self.version;
        if let Some(fault) = self.fault {
            return Ok(Reply { version, outcome: Outcome::Fault(fault) });
        }
        if self.responses != 1 || self.messages != 1 {
            return Err(Error::protocol("the answer is not one to what was asked")
                .with_context("responses", self.responses)
                .with_context("messages", self.messages));
        }
        let is_good = matches!(
            (self.class.as_deref(), self.refusal.code.as_str()),
            (Some("Success"), "NoError" | "") | (Some("Warning"), "ErrorNameResolutionMultipleResults" | "NoError")
        );
        let outcome = match (is_good, self.results, self.members) {
            (true, Some(results), None) => Outcome::Resolved(results),
            (true, None, Some(members)) => Outcome::Expanded(members),
            // Success without results is no empty result.
            (true, ..) => return Err(Error::protocol("the answer says success and holds no results")),
            (false, ..) if self.refusal.code.is_empty() || self.refusal.code == "NoError" => {
                return Err(Error::protocol("the answer says an error and not which"));
            }
            (false, ..) => Outcome::Refused(self.refusal),
        };
        Ok(Reply { version, outcome })
    }
}

fn set<T>(marks: &Marks<'_>) -> Result<Set<T>> {
    Ok(Set {
        items: Vec::new(),
        has_last: marks.boolean("IncludesLastItemInRange")?,
        total: marks.get("TotalItemsInView").and_then(|text| text.trim().parse().ok()),
    })
}

fn field(parent: Tag, name: &str) -> Option<Field> {
    Some(match (parent, name) {
        (Tag::Mailbox, "Name") => Field::Name,
        (Tag::Mailbox, "EmailAddress") => Field::Address,
        (Tag::Mailbox, "RoutingType") => Field::Routing,
        (Tag::Mailbox, "MailboxType") => Field::Kind,
        (Tag::Contact, "DisplayName") => Field::DisplayName,
        (Tag::Contact, "GivenName") => Field::GivenName,
        (Tag::Contact, "Surname") => Field::Surname,
        (Tag::Contact, "Alias") => Field::Alias,
        (Tag::Contact, "JobTitle") => Field::Title,
        (Tag::Contact, "Department") => Field::Department,
        (Tag::Contact, "CompanyName") => Field::Company,
        (Tag::Contact, "OfficeLocation") => Field::Office,
        (Tag::Contact, "Manager") => Field::Manager,
        (Tag::Contact, "ContactSource") => Field::Source,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
