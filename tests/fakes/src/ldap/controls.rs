//! The request controls that the server understands, decoded; it knows no directory.

use super::ber::{INTEGER, Malformed, OCTETS, Reader, SEQUENCE, Writer};
use super::directory::state::Refusal;
use super::message::Control;

pub(crate) const PAGED: &str = "1.2.840.113556.1.4.319";
pub(crate) const DIRSYNC: &str = "1.2.840.113556.1.4.841";
const SHOW_DELETED: &str = "1.2.840.113556.1.4.417";
const SHOW_RECYCLED: &str = "1.2.840.113556.1.4.2064";
const EXTENDED_DN: &str = "1.2.840.113556.1.4.529";
const DOMAIN_SCOPE: &str = "1.2.840.113556.1.4.1339";
const SEARCH_OPTIONS: &str = "1.2.840.113556.1.4.1340";
const TREE_DELETE: &str = "1.2.840.113556.1.4.805";
const PERMISSIVE: &str = "1.2.840.113556.1.4.1413";
/// Accepted without effect: SD flags, lazy commit, permissive search hints, extended verification of names.
const ACCEPTED: &[&str] = &["1.2.840.113556.1.4.801", "1.2.840.113556.1.4.619", "1.2.840.113556.1.4.1338"];

/// Every control that rootDSE names.
pub(crate) const SUPPORTED: &[&str] = &[
    PAGED,
    "1.2.840.113556.1.4.801",
    SHOW_DELETED,
    "1.2.840.113556.1.4.619",
    DIRSYNC,
    EXTENDED_DN,
    TREE_DELETE,
    "1.2.840.113556.1.4.1338",
    DOMAIN_SCOPE,
    SEARCH_OPTIONS,
    PERMISSIVE,
    SHOW_RECYCLED,
];

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Paged {
    pub(crate) size: i64,
    pub(crate) cookie: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DirSync {
    pub(crate) flags: u32,
    pub(crate) cookie: Vec<u8>,
}

impl DirSync {
    pub(crate) fn object_security(&self) -> bool {
        self.flags & 1 != 0
    }

    pub(crate) fn incremental_values(&self) -> bool {
        self.flags & 0x8000_0000 != 0
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DnForm {
    Plain,
    ExtendedHex,
    ExtendedText,
}

#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "a control without a value is there or not")]
pub(crate) struct Controls {
    pub(crate) paged: Option<Paged>,
    pub(crate) dirsync: Option<DirSync>,
    pub(crate) dn_form: DnForm,
    pub(crate) show_deleted: bool,
    pub(crate) show_recycled: bool,
    pub(crate) domain_scope: bool,
    pub(crate) tree_delete: bool,
    pub(crate) permissive: bool,
}

impl Controls {
    pub(crate) fn read(list: &[Control]) -> Result<Self, Refusal> {
        let mut controls = Self {
            paged: None,
            dirsync: None,
            dn_form: DnForm::Plain,
            show_deleted: false,
            show_recycled: false,
            domain_scope: false,
            tree_delete: false,
            permissive: false,
        };
        for control in list {
            let value = control.value.as_deref().unwrap_or_default();
            let broken = |_: Malformed| {
                Refusal::new(2, "00000057: LdapErr: DSID-0C0907FA, comment: Error decoding control, data 0, v4563")
            };
            match control.oid.as_str() {
                PAGED => controls.paged = Some(read_paged(value).map_err(broken)?),
                DIRSYNC => controls.dirsync = Some(read_dirsync(value).map_err(broken)?),
                EXTENDED_DN => controls.dn_form = read_form(value).map_err(broken)?,
                SHOW_DELETED => controls.show_deleted = true,
                SHOW_RECYCLED => controls.show_recycled = true,
                DOMAIN_SCOPE => controls.domain_scope = true,
                SEARCH_OPTIONS => controls.domain_scope |= read_one(value).map_err(broken)? & 1 != 0,
                TREE_DELETE => controls.tree_delete = true,
                PERMISSIVE => controls.permissive = true,
                oid if ACCEPTED.contains(&oid) || !control.critical => {}
                _ => {
                    return Err(Refusal::new(
                        12,
                        "00000057: LdapErr: DSID-0C0907D0, comment: Error processing control, data 0, v4563",
                    ));
                }
            }
        }
        Ok(controls)
    }
}

/// The answer to a cookie of another connection, another search or another server.
pub(crate) fn bad_cookie() -> Refusal {
    Refusal::new(12, "00000057: LdapErr: DSID-0C090797, comment: Error processing control, data 0")
}

fn read_one(value: &[u8]) -> Result<i64, Malformed> {
    Reader::new(Reader::new(value).expect(SEQUENCE)?).integer(INTEGER)
}

fn read_form(value: &[u8]) -> Result<DnForm, Malformed> {
    // Without a value the form is the hex one.
    Ok(if !value.is_empty() && read_one(value)? == 1 { DnForm::ExtendedText } else { DnForm::ExtendedHex })
}

fn read_paged(value: &[u8]) -> Result<Paged, Malformed> {
    let mut body = Reader::new(Reader::new(value).expect(SEQUENCE)?);
    let size = body.integer(INTEGER)?;
    if size < 0 {
        return Err(Malformed);
    }
    Ok(Paged { size, cookie: body.expect(OCTETS)?.to_vec() })
}

fn read_dirsync(value: &[u8]) -> Result<DirSync, Malformed> {
    let mut body = Reader::new(Reader::new(value).expect(SEQUENCE)?);
    let flags = body.expect(INTEGER)?;
    // A domain controller takes four bytes at most: 0x80000000 has to come as a negative number.
    if flags.is_empty() || flags.len() > 4 {
        return Err(Malformed);
    }
    let bits = super::ber::integer(flags)? & 0xffff_ffff;
    body.integer(INTEGER)?;
    let flags = u32::try_from(bits).map_err(|_| Malformed)?;
    Ok(DirSync { flags, cookie: body.expect(OCTETS)?.to_vec() })
}

pub(crate) fn write_paged(cookie: &[u8]) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.nested(SEQUENCE, |body| {
        body.integer(INTEGER, 0);
        body.octets(OCTETS, cookie);
    });
    writer.into_bytes()
}

pub(crate) fn write_dirsync(more: bool, cookie: &[u8]) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.nested(SEQUENCE, |body| {
        body.integer(INTEGER, i64::from(more));
        body.integer(INTEGER, 0);
        body.octets(OCTETS, cookie);
    });
    writer.into_bytes()
}
