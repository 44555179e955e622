//! Reads LDIF (RFC 2849), content and changes, into a directory; it knows no connection.

use std::fmt;

use super::change::Draft;
use super::state::{Id, Refusal, State, Value};
use super::{Directory, bury_tree, set_values};
use crate::ldap::dn::Dn;
use crate::ldap::ids::{Guid, Sid};
use crate::ldap::schema;

/// Why a text could not be read or applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LdifError {
    /// The line at which the record begins, from 1.
    pub line: usize,
    /// What is wrong.
    pub reason: String,
}

impl fmt::Display for LdifError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)
    }
}

impl std::error::Error for LdifError {}

struct Record {
    line: usize,
    fields: Vec<(String, Value)>,
}

/// Links whose targets may come later in the text.
type Pending = Vec<(usize, Id, String, Vec<Value>)>;

impl Directory {
    /// Creates the domain that the first record lies in and adds the records to it.
    ///
    /// GUIDs and SIDs that the text does not give derive from the names and the order. `userPassword` gives an
    /// account its password.
    ///
    /// # Errors
    /// When the text is no LDIF or a record cannot be added.
    pub fn from_ldif(text: &str) -> Result<Self, LdifError> {
        Self::from_ldif_seeded(text, 1)
    }

    /// Does the same with another seed for GUIDs and SIDs.
    ///
    /// # Errors
    /// When the text is no LDIF or a record cannot be added.
    pub fn from_ldif_seeded(text: &str, seed: u64) -> Result<Self, LdifError> {
        let nothing = || LdifError { line: 1, reason: "there is no record with a domain in its DN".to_owned() };
        let first = records(text)?.into_iter().next().ok_or_else(nothing)?;
        let dn = first.fields.first().and_then(|(_, value)| Dn::parse(&String::from_utf8_lossy(value)));
        let mut root = dn.ok_or_else(nothing)?;
        root.0.retain(|rdn| rdn.attribute.eq_ignore_ascii_case("dc"));
        let failed = |refusal: Refusal| LdifError { line: first.line, reason: refusal.text };
        let directory = Self::try_new(&root.to_string(), seed).map_err(failed)?;
        directory.apply_ldif(text)?;
        Ok(directory)
    }

    /// Applies records in order; content records of entries that exist change these. Returns how many were applied.
    ///
    /// # Errors
    /// When the text is no LDIF or a record cannot be applied; records before it stay applied.
    pub fn apply_ldif(&self, text: &str) -> Result<usize, LdifError> {
        let records = records(text)?;
        let mut state = self.lock();
        let mut pending = Pending::new();
        for record in &records {
            let applied = apply(&mut state, record, &mut pending);
            applied.map_err(|refusal| LdifError { line: record.line, reason: refusal.text.trim().to_owned() })?;
        }
        settle(&mut state, &mut pending)?;
        Ok(records.len())
    }
}

fn refuse(reason: impl Into<String>) -> Refusal {
    Refusal::new(1, reason)
}

fn text_of(value: &[u8]) -> String {
    String::from_utf8_lossy(value).into_owned()
}

fn settle(state: &mut State, pending: &mut Pending) -> Result<(), LdifError> {
    for (line, id, name, values) in pending.drain(..) {
        let usn = state.entry(id).usn_changed;
        for value in values {
            let text = text_of(&value);
            let target = state.link_target(&text, true);
            let target =
                target.map_err(|_| LdifError { line, reason: format!("{name} names {text:?}, which is missing") })?;
            state.link(id, &name, target, usn);
        }
    }
    Ok(())
}

fn apply(state: &mut State, record: &Record, pending: &mut Pending) -> Result<(), Refusal> {
    let dn_text = match record.fields.first() {
        Some((name, value)) if name.eq_ignore_ascii_case("dn") => text_of(value),
        _ => return Err(refuse("a record begins with its dn")),
    };
    let dn =
        Dn::parse(&dn_text).filter(|dn| !dn.0.is_empty()).ok_or_else(|| refuse(format!("{dn_text:?} is not a DN")))?;
    let mut fields = &record.fields[1..];
    let mut kind = "add".to_owned();
    while let Some((name, value)) = fields.first() {
        match name.to_lowercase().as_str() {
            "changetype" => kind = text_of(value).to_lowercase(),
            "control" => {}
            _ => break,
        }
        fields = &fields[1..];
    }
    if kind == "add" {
        return add(state, &dn, fields, record.line, pending);
    }
    settle(state, pending).map_err(|error| refuse(error.reason))?;
    let id = state.resolve(&dn).map_err(|_| refuse(format!("{dn_text:?} is missing")))?;
    match kind.as_str() {
        "modify" => modify(state, id, fields),
        "delete" => bury_tree(state, id),
        "modrdn" | "moddn" => {
            let get = |wanted: &str| {
                fields.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| text_of(value))
            };
            let rdn = get("newrdn").and_then(|text| Dn::parse(&text)).filter(|dn| dn.0.len() == 1);
            let rdn = rdn.ok_or_else(|| refuse("newrdn is missing or no RDN"))?;
            let parent = match get("newsuperior") {
                Some(text) => {
                    let found = Dn::parse(&text).and_then(|dn| state.resolve(&dn).ok());
                    Some(found.ok_or_else(|| refuse(format!("{text:?} is missing")))?)
                }
                None => None,
            };
            state.rename(id, rdn.0[0].clone(), parent)
        }
        other => Err(refuse(format!("changetype {other:?} is unknown"))),
    }
}

fn add(
    state: &mut State,
    dn: &Dn,
    fields: &[(String, Value)],
    line: usize,
    pending: &mut Pending,
) -> Result<(), Refusal> {
    let (mut draft, mut links, mut password): (Draft, Vec<(String, Vec<Value>)>, _) =
        (Draft::default(), Vec::new(), None);
    for (name, value) in fields {
        let lower = name.to_lowercase();
        match lower.as_str() {
            "objectguid" => draft.guid = Some(read_guid(value)?),
            "objectsid" => draft.sid = Some(read_sid(value)?),
            "userpassword" => password = Some(text_of(value)),
            "systemflags" | "sidhistory" => push(&mut draft.attributes, name, value),
            _ if schema::is_link(&lower) => push(&mut links, name, value),
            // What the server computes may stand in an export; it is computed again.
            _ if schema::is_system(&lower) || lower.eq_ignore_ascii_case(&dn.0[0].attribute) => {}
            _ => push(&mut draft.attributes, name, value),
        }
    }
    let id = if let Ok(id) = state.resolve(dn) {
        for (name, values) in draft.attributes {
            if !name.eq_ignore_ascii_case("objectClass") {
                set_values(state, id, &name, values)?;
            }
        }
        id
    } else {
        let parent = state.resolve(&dn.parent()).map_err(|_| refuse(format!("the parent of {dn} is missing")))?;
        if draft.get("objectClass").is_none() {
            return Err(refuse(format!("{dn} has no objectClass")));
        }
        state.create(parent, dn.0[0].clone(), draft)?
    };
    if let Some(password) = password {
        state.account(id).password = Some(password);
    }
    pending.extend(links.into_iter().map(|(name, values)| (line, id, name, values)));
    Ok(())
}

fn push(list: &mut Vec<(String, Vec<Value>)>, name: &str, value: &[u8]) {
    match list.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
        Some((_, values)) => values.push(value.to_vec()),
        None => list.push((name.to_owned(), vec![value.to_vec()])),
    }
}

fn read_guid(value: &[u8]) -> Result<Guid, Refusal> {
    let text = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
    let wire = || <[u8; 16]>::try_from(value).ok().map(Guid::from_wire);
    text.or_else(wire).ok_or_else(|| refuse("objectGUID is neither text nor 16 bytes"))
}

fn read_sid(value: &[u8]) -> Result<Sid, Refusal> {
    let text = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
    text.or_else(|| Sid::from_wire(value).ok()).ok_or_else(|| refuse("objectSid is neither text nor binary"))
}

fn modify(state: &mut State, id: Id, fields: &[(String, Value)]) -> Result<(), Refusal> {
    for block in fields.split(|(name, _)| name == "-").filter(|block| !block.is_empty()) {
        let (kind, name) = (block[0].0.to_lowercase(), text_of(&block[0].1));
        let values: Vec<Value> = block[1..].iter().map(|(_, value)| value.clone()).collect();
        if let Some((other, _)) = block[1..].iter().find(|(other, _)| !other.eq_ignore_ascii_case(&name)) {
            return Err(refuse(format!("{other} stands in the change of {name}")));
        }
        if name.eq_ignore_ascii_case("userPassword") {
            state.account(id).password = values.first().map(|value| text_of(value));
            continue;
        }
        let is_link = schema::is_link(&name.to_lowercase());
        match kind.as_str() {
            "replace" => set_values(state, id, &name, values)?,
            "delete" if values.is_empty() => set_values(state, id, &name, Vec::new())?,
            "add" | "delete" if is_link => {
                let usn = state.touch(id);
                for value in values {
                    let target = state.link_target(&text_of(&value), true)?;
                    if kind == "add" {
                        state.link(id, &name, target, usn);
                    } else {
                        state.unlink(id, &name, target, usn);
                    }
                }
            }
            "add" | "delete" => {
                let mut now = state.entry(id).plain(&name.to_lowercase()).to_vec();
                now.retain(|known| !values.contains(known));
                if kind == "add" {
                    now.extend(values);
                }
                set_values(state, id, &name, now)?;
            }
            other => return Err(refuse(format!("the change {other:?} is unknown"))),
        }
    }
    Ok(())
}

/// Splits the text into records; folded lines are joined, comments dropped.
fn records(text: &str) -> Result<Vec<Record>, LdifError> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    let mut in_comment = false;
    for (at, line) in text.lines().enumerate() {
        if let Some(more) = line.strip_prefix(' ') {
            if let Some((_, last)) = lines.last_mut().filter(|_| !in_comment) {
                last.push_str(more);
            }
            continue;
        }
        in_comment = line.starts_with('#');
        if !in_comment {
            lines.push((at + 1, line.trim_end().to_owned()));
        }
    }
    let mut found = Vec::new();
    for block in lines.split(|(_, line)| line.is_empty()) {
        let mut fields = Vec::new();
        for (line, text) in block {
            if fields.is_empty() && text.to_lowercase().starts_with("version:") {
                continue;
            }
            fields.push(field(text).ok_or_else(|| LdifError { line: *line, reason: format!("{text:?} is no field") })?);
        }
        if let (Some((line, _)), false) = (block.first(), fields.is_empty()) {
            found.push(Record { line: *line, fields });
        }
    }
    Ok(found)
}

fn field(text: &str) -> Option<(String, Value)> {
    if text == "-" {
        return Some(("-".to_owned(), Vec::new()));
    }
    let (name, rest) = text.split_once(':')?;
    match rest.strip_prefix(':') {
        Some(encoded) => Some((name.to_owned(), base64(encoded.trim())?)),
        // Values by address would make a file depend on others.
        None if rest.starts_with('<') && !rest.contains('=') => None,
        None => Some((name.to_owned(), rest.trim_start().as_bytes().to_vec())),
    }
}

fn base64(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=');
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0u32, 0);
    for character in digits.bytes() {
        let digit = match character {
            b'A'..=b'Z' => character - b'A',
            b'a'..=b'z' => character - b'a' + 26,
            b'0'..=b'9' => character - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6) | u32::from(digit);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from((bits >> count) & 0xff).ok()?);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENANT: &str = "\
# a small tenant
version: 1

dn: OU=People,DC=corp,DC=example
objectClass: organizationalUnit

dn: CN=Staff,OU=People,DC=corp,DC=example
objectClass: group
member: CN=Anna Berg,OU=People,DC=corp,DC=example
member: CN=S-1-5-11,CN=ForeignSecurityPrincipals,DC=corp,DC=example
member: <GUID=6d9d2f10-0a44-4f0e-8a2b-aabbccddeeff>;<SID=S-1-5-21-9-9-9-1105>;CN=Otto,OU=X,DC=other,DC=example

dn: CN=Anna Berg,OU=People,DC=corp,DC=example
objectClass: user
sAMAccountName: aberg
objectGUID:: Th1sC1I/ekydjhEiM0RVZg==
displayName:: QW5uYSBCw6lyZw==
description: a long
  line
userPassword: secret-1
";

    #[test]
    fn members_may_come_before_the_people_they_name() {
        let directory = Directory::from_ldif(TENANT).unwrap();
        assert_eq!(directory.root(), "DC=corp,DC=example");
        assert_eq!(directory.get("Staff", "member").len(), 3);
        assert_eq!(directory.get("aberg", "displayName"), ["Anna Bérg"]);
        assert_eq!(directory.get("aberg", "description"), ["a long line"]);
        assert_eq!(directory.guid_of("aberg").to_string(), "0b6c1d4e-3f52-4c7a-9d8e-112233445566");
    }

    #[test]
    fn ids_that_are_not_given_are_the_same_in_every_run() {
        let (one, two) = (Directory::from_ldif(TENANT).unwrap(), Directory::from_ldif(TENANT).unwrap());
        assert_eq!(one.guid_of("Staff"), two.guid_of("Staff"));
        assert_eq!(one.sid_of("aberg"), two.sid_of("aberg"));
        let other = Directory::from_ldif_seeded(TENANT, 2).unwrap();
        assert_ne!(one.guid_of("Staff"), other.guid_of("Staff"));
    }

    #[test]
    fn changes_are_applied_in_order() {
        let directory = Directory::from_ldif(TENANT).unwrap();
        let changes = "\
dn: CN=Anna Berg,OU=People,DC=corp,DC=example
changetype: modify
replace: title
title: Head
-
add: proxyAddresses
proxyAddresses: SMTP:anna@corp.example
-
delete: displayName
-

dn: CN=Anna Berg,OU=People,DC=corp,DC=example
changetype: modrdn
newrdn: CN=Anna Holm
deleteoldrdn: 1
newsuperior: CN=Users,DC=corp,DC=example

dn: CN=Staff,OU=People,DC=corp,DC=example
changetype: delete
";
        assert_eq!(directory.apply_ldif(changes), Ok(3));
        assert_eq!(directory.dn_of("aberg"), "CN=Anna Holm,CN=Users,DC=corp,DC=example");
        assert_eq!(directory.get("aberg", "title"), ["Head"]);
        assert!(directory.get("aberg", "displayName").is_empty());
        assert!(!directory.exists("Staff"));
    }

    #[test]
    fn a_broken_record_is_reported_with_its_line() {
        let missing =
            "dn: CN=G,CN=Users,DC=corp,DC=example\nobjectClass: group\nmember: CN=Nobody,DC=corp,DC=example\n";
        let error = Directory::from_ldif(missing).unwrap_err();
        assert_eq!(error.line, 1);
        assert!(error.reason.contains("missing"), "{error}");
        assert!(Directory::from_ldif("dn: CN=G,DC=corp,DC=example\nnonsense\n").is_err());
    }
}
