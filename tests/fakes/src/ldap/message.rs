//! LDAP messages: requests from bytes, answers to bytes; it knows no directory.

use super::ber::{self, ENUMERATED, INTEGER, Malformed, OCTETS, Reader, SEQUENCE, SET, Writer};
use super::directory::state::Refusal;
use super::filter::Filter;

#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) id: i64,
    pub(crate) operation: Operation,
    pub(crate) controls: Vec<Control>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Control {
    pub(crate) oid: String,
    pub(crate) critical: bool,
    pub(crate) value: Option<Vec<u8>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    Base,
    One,
    Sub,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Search {
    pub(crate) base: String,
    pub(crate) scope: Scope,
    pub(crate) size_limit: i64,
    pub(crate) types_only: bool,
    pub(crate) filter: Filter,
    pub(crate) attributes: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Add,
    Delete,
    Replace,
    Other,
}

pub(crate) type Values = Vec<Vec<u8>>;

pub(crate) enum Operation {
    Bind { name: String, password: Option<String> },
    Unbind,
    Search(Search),
    Modify { dn: String, changes: Vec<(Change, String, Values)> },
    Add { dn: String, attributes: Vec<(String, Values)> },
    Delete { dn: String },
    Rename { dn: String, rdn: String, parent: Option<String> },
    Abandon,
    Extended { oid: String },
    Other(u8),
}

impl std::fmt::Debug for Operation {
    /// Names the operation only: its content may hold a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Operation({:#x})", self.response_tag())
    }
}

impl Operation {
    /// Returns the tag of the response that ends this operation.
    pub(crate) fn response_tag(&self) -> u8 {
        match self {
            Self::Bind { .. } => 0x61,
            Self::Search(_) | Self::Unbind | Self::Abandon => 0x65,
            Self::Modify { .. } => 0x67,
            Self::Add { .. } => 0x69,
            Self::Delete { .. } => 0x6b,
            Self::Rename { .. } => 0x6d,
            Self::Extended { .. } => 0x78,
            Self::Other(tag) => tag + 1,
        }
    }
}

impl Message {
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut message = Reader::new(Reader::new(bytes).expect(SEQUENCE)?);
        let id = message.integer(INTEGER)?;
        let (tag, value) = message.next()?;
        let mut body = Reader::new(value);
        let text = |value: &[u8]| String::from_utf8(value.to_vec()).map_err(|_| Malformed);
        let operation = match tag {
            0x60 => {
                body.integer(INTEGER)?;
                let name = body.text(OCTETS)?;
                let (method, secret) = body.next()?;
                // A password that is no UTF-8 cannot be the right one; SASL is not offered at all.
                let password = (method == 0x80).then(|| String::from_utf8_lossy(secret).into_owned());
                Operation::Bind { name, password }
            }
            0x42 => Operation::Unbind,
            0x63 => Operation::Search(read_search(&mut body)?),
            0x66 => {
                let dn = body.text(OCTETS)?;
                let mut list = Reader::new(body.expect(SEQUENCE)?);
                let mut changes = Vec::new();
                while !list.is_empty() {
                    let mut change = Reader::new(list.expect(SEQUENCE)?);
                    let kind = match change.integer(ENUMERATED)? {
                        0 => Change::Add,
                        1 => Change::Delete,
                        2 => Change::Replace,
                        _ => Change::Other,
                    };
                    let (name, values) = read_attribute(&mut change)?;
                    changes.push((kind, name, values));
                }
                Operation::Modify { dn, changes }
            }
            0x68 => {
                let dn = body.text(OCTETS)?;
                let mut list = Reader::new(body.expect(SEQUENCE)?);
                let mut attributes = Vec::new();
                while !list.is_empty() {
                    attributes.push(read_attribute(&mut list)?);
                }
                Operation::Add { dn, attributes }
            }
            0x4a => Operation::Delete { dn: text(value)? },
            0x6c => {
                let (dn, rdn) = (body.text(OCTETS)?, body.text(OCTETS)?);
                body.expect(ber::BOOLEAN)?;
                let parent = if body.is_empty() { None } else { Some(body.text(0x80)?) };
                Operation::Rename { dn, rdn, parent }
            }
            0x50 => Operation::Abandon,
            0x77 => Operation::Extended { oid: body.text(0x80)? },
            // Compare is the one request left of RFC 4511.
            0x6e => Operation::Other(tag),
            _ => return Err(Malformed),
        };
        let controls = if message.peek() == Some(0xa0) { read_controls(message.expect(0xa0)?)? } else { Vec::new() };
        Ok(Self { id, operation, controls })
    }
}

fn read_attribute(reader: &mut Reader<'_>) -> Result<(String, Values), Malformed> {
    let mut attribute = Reader::new(reader.expect(SEQUENCE)?);
    let name = attribute.text(OCTETS)?;
    let mut list = Reader::new(attribute.expect(SET)?);
    let mut values = Vec::new();
    while !list.is_empty() {
        values.push(list.expect(OCTETS)?.to_vec());
    }
    Ok((name, values))
}

fn read_search(body: &mut Reader<'_>) -> Result<Search, Malformed> {
    let base = body.text(OCTETS)?;
    let scope = match body.integer(ENUMERATED)? {
        0 => Scope::Base,
        1 => Scope::One,
        2 => Scope::Sub,
        _ => return Err(Malformed),
    };
    body.integer(ENUMERATED)?;
    let size_limit = body.integer(INTEGER)?;
    body.integer(INTEGER)?;
    let types_only = body.expect(ber::BOOLEAN)?.first().is_some_and(|byte| *byte != 0);
    let filter = Filter::read(body)?;
    let mut list = Reader::new(body.expect(SEQUENCE)?);
    let mut attributes = Vec::new();
    while !list.is_empty() {
        attributes.push(list.text(OCTETS)?);
    }
    Ok(Search { base, scope, size_limit, types_only, filter, attributes })
}

fn read_controls(bytes: &[u8]) -> Result<Vec<Control>, Malformed> {
    let mut list = Reader::new(bytes);
    let mut controls = Vec::new();
    while !list.is_empty() {
        let mut control = Reader::new(list.expect(SEQUENCE)?);
        let oid = control.text(OCTETS)?;
        let critical = if control.peek() == Some(ber::BOOLEAN) {
            control.expect(ber::BOOLEAN)?.first().is_some_and(|byte| *byte != 0)
        } else {
            false
        };
        let value = if control.is_empty() { None } else { Some(control.expect(OCTETS)?.to_vec()) };
        controls.push(Control { oid, critical, value });
    }
    Ok(controls)
}

/// Writes one message around an operation's own bytes.
pub(crate) fn write(id: i64, controls: &[(&str, Vec<u8>)], operation: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.nested(SEQUENCE, |message| {
        message.integer(INTEGER, id);
        operation(message);
        if !controls.is_empty() {
            message.nested(0xa0, |list| {
                for (oid, value) in controls {
                    list.nested(SEQUENCE, |control| {
                        control.text(OCTETS, oid);
                        control.octets(OCTETS, value);
                    });
                }
            });
        }
    });
    writer.into_bytes()
}

/// Writes the answer that ends an operation.
pub(crate) fn write_result(id: i64, tag: u8, result: &Refusal, controls: &[(&str, Vec<u8>)]) -> Vec<u8> {
    write(id, controls, |message| {
        message.nested(tag, |body| {
            body.integer(ENUMERATED, i64::from(result.code));
            body.text(OCTETS, &result.matched);
            body.text(OCTETS, &result.text);
            if let Some(address) = &result.referral {
                body.nested(0xa3, |list| list.text(OCTETS, address));
            }
        });
    })
}

/// Writes the answer of an extended operation with its name.
pub(crate) fn write_extended(id: i64, oid: &str, result: &Refusal) -> Vec<u8> {
    write(id, &[], |message| {
        message.nested(0x78, |body| {
            body.integer(ENUMERATED, i64::from(result.code));
            body.text(OCTETS, &result.matched);
            body.text(OCTETS, &result.text);
            body.text(0x8a, oid);
        });
    })
}

/// Writes a `SearchResultReference`.
pub(crate) fn write_reference(id: i64, address: &str) -> Vec<u8> {
    write(id, &[], |message| message.nested(0x73, |body| body.text(OCTETS, address)))
}

pub(crate) fn success() -> Refusal {
    Refusal::new(0, "")
}

/// Writes an entry that has nothing but its size.
pub(crate) fn write_large_entry(id: i64, size: usize) -> Vec<u8> {
    write(id, &[], |message| {
        message.nested(0x64, |body| {
            body.text(OCTETS, "CN=Large");
            body.nested(SEQUENCE, |list| {
                list.nested(SEQUENCE, |attribute| {
                    attribute.text(OCTETS, "description");
                    attribute.nested(SET, |set| set.octets(OCTETS, &vec![b'x'; size]));
                });
            });
        });
    })
}
