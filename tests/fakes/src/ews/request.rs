//! What a request asks for, read as strictly as the server's own schema does; it knows no recipient.

use roxmltree::{Document, Node, ParsingOptions};

use super::refusal::Refusal;
use super::settings::{Settings, VersionRefusal};
use super::version::Schema;

pub(crate) const SOAP: &str = "http://schemas.xmlsoap.org/soap/envelope/";
pub(crate) const MESSAGES: &str = "http://schemas.microsoft.com/exchange/services/2006/messages";
pub(crate) const TYPES: &str = "http://schemas.microsoft.com/exchange/services/2006/types";
const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";
const XML: &str = "http://www.w3.org/XML/1998/namespace";

/// Where `ResolveNames` looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Scope {
    Directory,
    #[default]
    DirectoryThenContacts,
    Contacts,
    ContactsThenDirectory,
}

/// How much of a contact is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Shape {
    IdOnly,
    Default,
    All,
}

#[derive(Debug, Clone)]
pub(crate) struct Resolve {
    pub(crate) entry: String,
    /// Absent when contacts are not asked for.
    pub(crate) shape: Option<Shape>,
    pub(crate) scope: Scope,
    pub(crate) folders: Vec<String>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Expand {
    pub(crate) address: String,
    pub(crate) routing: String,
    pub(crate) item: String,
}

#[derive(Debug, Clone)]
pub(crate) enum Asked {
    Resolve(Resolve),
    Expand(Expand),
    /// Conversions of this many ids.
    Convert(usize),
}

/// A request that the schema allows.
#[derive(Debug, Clone)]
pub(crate) struct Read {
    pub(crate) asked: Asked,
    /// The address, principal name or SID in whose name the call is made.
    pub(crate) impersonated: Option<String>,
}

/// What could be told of a request, whether or not it is allowed.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// `RequestServerVersion` as sent.
    pub(crate) version: Option<String>,
    /// The operation's name.
    pub(crate) operation: String,
}

/// Reads a request; `told` learns what can be told of it even when it is refused.
pub(crate) fn read(body: &str, settings: &Settings, told: &mut Told) -> Result<Read, Refusal> {
    // No document types: a request has none, and this server unfolds none.
    let options = ParsingOptions { allow_dtd: false, nodes_limit: 10_000, ..ParsingOptions::default() };
    let document = Document::parse_with_options(body, options).map_err(|_| Refusal::malformed())?;
    let reader = Reader { document: &document };
    let root = document.root_element();
    if !root.has_tag_name((SOAP, "Envelope")) {
        return Err(reader.unexpected(root, "Envelope"));
    }
    let mut parts = reader.children(root)?.into_iter().peekable();
    let header = parts.next_if(|part| part.has_tag_name((SOAP, "Header")));
    let body = parts.next().filter(|part| part.has_tag_name((SOAP, "Body")));
    let (Some(body), None) = (body, parts.next()) else { return Err(reader.unexpected(root, "Body")) };
    let mut calls = reader.children(body)?.into_iter();
    let (Some(call), None) = (calls.next(), calls.next()) else {
        return Err(reader.violation(body, "The element 'Body' must hold one operation."));
    };
    call.tag_name().name().clone_into(&mut told.operation);
    let headers = header.map_or_else(|| Ok(Headers::default()), |header| reader.headers(header))?;
    told.version.clone_from(&headers.version);
    let schema = schema(&headers, settings)?;
    let asked = match (call.tag_name().namespace(), call.tag_name().name()) {
        (Some(MESSAGES), "ResolveNames") => Asked::Resolve(reader.resolve(call, schema, settings)?),
        (Some(MESSAGES), "ExpandDL") => Asked::Expand(reader.expand(call)?),
        (Some(MESSAGES), "ConvertId") if schema >= Schema::E2007_SP1 => Asked::Convert(reader.convert(call)?),
        _ => return Err(reader.unexpected(call, "an operation of this service")),
    };
    if headers.roles && schema < Schema::E2013 {
        return Err(reader.violation(root, "The element 'ManagementRole' is not declared."));
    }
    Ok(Read { asked, impersonated: headers.impersonated })
}

#[derive(Default)]
struct Headers {
    version: Option<String>,
    impersonated: Option<String>,
    roles: bool,
}

/// The schema by which the rest is read: the first one when no other is asked for.
fn schema(headers: &Headers, settings: &Settings) -> Result<Schema, Refusal> {
    let version = settings.version;
    // 2007 without a service pack knows no such header and leaves it alone.
    let Some(requested) = headers.version.as_deref().filter(|_| version.schema("Exchange2007_SP1").is_some()) else {
        return Ok(Schema::E2007);
    };
    match (version.schema(requested), settings.version_refusal) {
        (Some(schema), _) => Ok(schema),
        (None, VersionRefusal::InvalidServerVersion) => {
            Err(Refusal::fault("ErrorInvalidServerVersion", "The specified server version is invalid."))
        }
        (None, VersionRefusal::IncorrectSchemaVersion) => Err(Refusal::fault(
            "ErrorIncorrectSchemaVersion",
            "The schema version of the request is newer than the server's.",
        )),
        (None, VersionRefusal::SchemaValidation) => Err(Refusal::schema(
            1,
            1,
            &format!("The 'Version' attribute is invalid - The value '{requested}' is invalid."),
        )),
        (None, VersionRefusal::Taken) => {
            Ok(version.name().and_then(|name| version.schema(name)).unwrap_or(Schema::E2013))
        }
    }
}

struct Reader<'a, 'b> {
    document: &'a Document<'b>,
}

impl<'a> Reader<'a, '_> {
    fn violation(&self, node: Node<'_, '_>, text: &str) -> Refusal {
        let at = self.document.text_pos_at(node.range().start);
        Refusal::schema(at.row, at.col, text)
    }

    fn unexpected(&self, node: Node<'_, '_>, wanted: &str) -> Refusal {
        let name = node.tag_name();
        let space = name.namespace().unwrap_or_default();
        let text = format!("The element '{}' in namespace '{space}' is invalid. Expected: {wanted}.", name.name());
        self.violation(node, &text)
    }

    /// The children of an element that has no text.
    fn children(&self, node: Node<'a, 'a>) -> Result<Vec<Node<'a, 'a>>, Refusal> {
        if node.children().any(|child| child.text().is_some_and(|text| child.is_text() && !text.trim().is_empty())) {
            return Err(self.violation(node, &format!("The element '{}' cannot contain text.", node.tag_name().name())));
        }
        Ok(node.children().filter(Node::is_element).collect())
    }

    /// The text of an element that has no children.
    fn text(&self, node: Node<'_, '_>) -> Result<String, Refusal> {
        if node.children().any(|child| child.is_element()) {
            return Err(
                self.violation(node, &format!("The element '{}' cannot contain elements.", node.tag_name().name()))
            );
        }
        let text: String = node.children().filter(Node::is_text).filter_map(|child| child.text()).collect();
        Ok(text)
    }

    fn filled(&self, node: Node<'_, '_>) -> Result<String, Refusal> {
        let text = self.text(node)?;
        if text.is_empty() {
            let text = format!(
                "The '{}' element is invalid - The value '' is invalid according to its datatype 'NonEmptyStringType'.",
                node.tag_name().name()
            );
            return Err(self.violation(node, &text));
        }
        Ok(text)
    }

    /// Refuses attributes that are not declared; those of the envelope and of instances are for everybody.
    fn attributes(&self, node: Node<'_, '_>, declared: &[&str]) -> Result<(), Refusal> {
        for attribute in node.attributes() {
            let allowed = match attribute.namespace() {
                None => declared.contains(&attribute.name()),
                Some(space) => [XSI, XML, SOAP].contains(&space),
            };
            if !allowed {
                return Err(self.violation(node, &format!("The '{}' attribute is not declared.", attribute.name())));
            }
        }
        Ok(())
    }

    fn headers(&self, header: Node<'a, 'a>) -> Result<Headers, Refusal> {
        let mut headers = Headers::default();
        for node in self.children(header)? {
            let name = node.tag_name();
            if name.namespace() != Some(TYPES) {
                return Err(self.unexpected(node, "a header of this service"));
            }
            match name.name() {
                "RequestServerVersion" => {
                    self.attributes(node, &["Version"])?;
                    let version = node
                        .attribute("Version")
                        .ok_or_else(|| self.violation(node, "The required attribute 'Version' is missing."))?;
                    if headers.version.replace(version.to_owned()).is_some() {
                        return Err(self.violation(node, "The header 'RequestServerVersion' may be given once."));
                    }
                }
                "ExchangeImpersonation" => headers.impersonated = Some(self.impersonated(node)?),
                "ManagementRole" => headers.roles = true,
                "MailboxCulture"
                | "TimeZoneContext"
                | "DateTimePrecision"
                | "SerializedSecurityContext"
                | "OpenAsAdminOrSystemService" => {}
                _ => return Err(self.unexpected(node, "a header of this service")),
            }
        }
        Ok(headers)
    }

    fn impersonated(&self, node: Node<'a, 'a>) -> Result<String, Refusal> {
        let inside = self.children(node)?;
        let [sid] = inside[..] else { return Err(self.unexpected(node, "ConnectingSID")) };
        let whom = self.children(sid)?;
        let [whom] = whom[..] else { return Err(self.unexpected(sid, "one identity")) };
        let names = ["PrincipalName", "SID", "PrimarySmtpAddress", "SmtpAddress"];
        if !sid.has_tag_name((TYPES, "ConnectingSID"))
            || whom.tag_name().namespace() != Some(TYPES)
            || !names.contains(&whom.tag_name().name())
        {
            return Err(self.unexpected(sid, "ConnectingSID with an identity"));
        }
        self.filled(whom)
    }

    fn resolve(&self, call: Node<'a, 'a>, schema: Schema, settings: &Settings) -> Result<Resolve, Refusal> {
        let mut declared = vec!["ReturnFullContactData"];
        if !settings.scope_needs_sp1 || schema >= Schema::E2007_SP1 {
            declared.push("SearchScope");
        }
        if schema >= Schema::E2010_SP2 {
            declared.push("ContactDataShape");
        }
        self.attributes(call, &declared)?;
        let wrong = |name: &str, value: &str| {
            self.violation(call, &format!("The '{name}' attribute is invalid - The value '{value}' is invalid."))
        };
        let full = match call.attribute("ReturnFullContactData").map(str::trim) {
            Some("true" | "1") => true,
            Some("false" | "0") => false,
            Some(other) => return Err(wrong("ReturnFullContactData", other)),
            None => return Err(self.violation(call, "The required attribute 'ReturnFullContactData' is missing.")),
        };
        let scope = match call.attribute("SearchScope") {
            Some("ActiveDirectory") => Scope::Directory,
            None | Some("ActiveDirectoryContacts") => Scope::DirectoryThenContacts,
            Some("Contacts") => Scope::Contacts,
            Some("ContactsActiveDirectory") => Scope::ContactsThenDirectory,
            Some(other) => return Err(wrong("SearchScope", other)),
        };
        let shape = match call.attribute("ContactDataShape") {
            Some("IdOnly") => Shape::IdOnly,
            None | Some("Default" | "PcxPeopleSearch") => Shape::Default,
            Some("AllProperties") => Shape::All,
            Some(other) => return Err(wrong("ContactDataShape", other)),
        };
        let mut parts = self.children(call)?.into_iter().peekable();
        let mut folders = Vec::new();
        if let Some(parents) = parts.next_if(|part| part.has_tag_name((MESSAGES, "ParentFolderIds"))) {
            for folder in self.children(parents)? {
                let known =
                    folder.has_tag_name((TYPES, "FolderId")) || folder.has_tag_name((TYPES, "DistinguishedFolderId"));
                let id = folder.attribute("Id").filter(|_| known);
                folders.push(id.ok_or_else(|| self.unexpected(folder, "a folder's id"))?.to_owned());
            }
            if folders.is_empty() {
                return Err(self.violation(parents, "The element 'ParentFolderIds' has incomplete content."));
            }
        }
        let Some(entry) = parts.next() else {
            return Err(
                self.violation(call, "The element 'ResolveNames' has incomplete content. Expected: 'UnresolvedEntry'.")
            );
        };
        if !entry.has_tag_name((MESSAGES, "UnresolvedEntry")) {
            return Err(self.unexpected(entry, "'UnresolvedEntry'"));
        }
        if let Some(more) = parts.next() {
            return Err(self.unexpected(more, "nothing"));
        }
        self.attributes(entry, &[])?;
        Ok(Resolve { entry: self.filled(entry)?, shape: full.then_some(shape), scope, folders })
    }

    fn convert(&self, call: Node<'a, 'a>) -> Result<usize, Refusal> {
        self.attributes(call, &["DestinationFormat"])?;
        if call.attribute("DestinationFormat").is_none() {
            return Err(self.violation(call, "The required attribute 'DestinationFormat' is missing."));
        }
        let inside = self.children(call)?;
        let [ids] = inside[..] else { return Err(self.unexpected(call, "one 'SourceIds'")) };
        if !ids.has_tag_name((MESSAGES, "SourceIds")) {
            return Err(self.unexpected(ids, "'SourceIds'"));
        }
        let ids = self.children(ids)?;
        let strange = |id: &&Node<'_, '_>| id.tag_name().namespace() != Some(TYPES);
        match ids.iter().find(strange).or(ids.is_empty().then_some(&call)) {
            Some(strange) => Err(self.unexpected(*strange, "an id")),
            None => Ok(ids.len()),
        }
    }

    fn expand(&self, call: Node<'a, 'a>) -> Result<Expand, Refusal> {
        self.attributes(call, &[])?;
        let inside = self.children(call)?;
        let [mailbox] = inside[..] else {
            return Err(self.violation(call, "The element 'ExpandDL' must hold one 'Mailbox'."));
        };
        if !mailbox.has_tag_name((MESSAGES, "Mailbox")) {
            return Err(self.unexpected(mailbox, "'Mailbox'"));
        }
        self.attributes(mailbox, &[])?;
        let order = ["Name", "EmailAddress", "RoutingType", "MailboxType", "ItemId"];
        let mut next = 0;
        let mut expand = Expand::default();
        for part in self.children(mailbox)? {
            let place = order.iter().position(|name| part.has_tag_name((TYPES, *name)));
            let Some(place) = place.filter(|place| *place >= next) else {
                return Err(self.unexpected(part, &format!("one of {:?}", &order[next..])));
            };
            next = place + 1;
            match order[place] {
                "EmailAddress" => expand.address = self.filled(part)?,
                "RoutingType" => expand.routing = self.filled(part)?,
                "ItemId" => {
                    self.attributes(part, &["Id", "ChangeKey"])?;
                    let id = part.attribute("Id");
                    let missing = || self.violation(part, "The required attribute 'Id' is missing.");
                    id.ok_or_else(missing)?.clone_into(&mut expand.item);
                }
                _ => {
                    self.text(part)?;
                }
            }
        }
        Ok(expand)
    }
}
