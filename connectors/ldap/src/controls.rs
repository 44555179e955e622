//! Controls that go with a request or come with an answer, encoded and decoded here.
//!
//! It knows the OIDs that this crate serves and nothing of what a connector does with them. ldap3's own decoders panic on
//! a missing or odd value, so none of them is used.

use std::fmt;

use tenantry::{Error, Result};

use crate::ber::{self, Malformed, Reader};

const PAGED: &str = "1.2.840.113556.1.4.319";
const SHOW_DELETED: &str = "1.2.840.113556.1.4.417";
const EXTENDED_DN: &str = "1.2.840.113556.1.4.529";
const SD_FLAGS: &str = "1.2.840.113556.1.4.801";
const DIRSYNC: &str = "1.2.840.113556.1.4.841";
const DOMAIN_SCOPE: &str = "1.2.840.113556.1.4.1339";
const SHOW_RECYCLED: &str = "1.2.840.113556.1.4.2064";

/// Whether a server that does not know the control must refuse the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Criticality {
    /// It must refuse.
    Critical,
    /// It may ignore the control.
    Optional,
}

/// An opaque position of the server. Its bytes never appear in `Debug`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Cookie(Vec<u8>);

impl Cookie {
    /// Takes a cookie as it was given out by a server.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// Returns its bytes, to be stored or sent back.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns its bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

impl fmt::Debug for Cookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cookie({} bytes)", self.0.len())
    }
}

/// How extended names are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExtendedDnForm {
    /// GUID and SID as hexadecimal bytes.
    Hexadecimal,
    /// GUID with dashes, SID as `S-1-…`.
    Text,
}

/// One control of a request or an answer. `Debug` shows the length of its value only.
#[derive(Clone, PartialEq, Eq)]
pub struct Control {
    oid: String,
    criticality: Criticality,
    value: Option<Vec<u8>>,
    pub(crate) carries_delta_cookie: bool,
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control")
            .field("oid", &self.oid)
            .field("criticality", &self.criticality)
            .field("value_bytes", &self.value.as_ref().map(Vec::len))
            .finish_non_exhaustive()
    }
}

impl Control {
    /// Creates any control.
    pub fn new(oid: impl Into<String>, criticality: Criticality, value: Option<Vec<u8>>) -> Self {
        Self { oid: oid.into(), criticality, value, carries_delta_cookie: false }
    }

    fn critical(oid: &str, value: Option<Vec<u8>>) -> Self {
        Self::new(oid, Criticality::Critical, value)
    }

    /// Asks for one page (RFC 2696).
    pub(crate) fn paged(size: u32, cookie: Option<&Cookie>) -> Self {
        let cookie = cookie.map_or(&[][..], Cookie::as_bytes);
        let value = ber::sequence(&[ber::integer(i64::from(size)), ber::element(ber::OCTET_STRING, cookie)]);
        Self::critical(PAGED, Some(value))
    }

    /// Includes tombstones and deleted objects.
    pub fn show_deleted() -> Self {
        Self::critical(SHOW_DELETED, None)
    }

    /// Includes recycled objects too.
    pub fn show_recycled() -> Self {
        Self::critical(SHOW_RECYCLED, None)
    }

    /// Has names come as `<GUID=…>;<SID=…>;DN`.
    pub fn extended_dn(form: ExtendedDnForm) -> Self {
        let form = ber::integer(i64::from(form == ExtendedDnForm::Text));
        Self::critical(EXTENDED_DN, Some(ber::sequence(&[form])))
    }

    /// Keeps the search inside the naming context and suppresses referrals.
    pub fn domain_scope() -> Self {
        Self::critical(DOMAIN_SCOPE, None)
    }

    /// Chooses the parts of a security descriptor: 1 owner, 2 group, 4 access list, 8 audit list.
    pub fn sd_flags(flags: u8) -> Self {
        Self::critical(SD_FLAGS, Some(ber::sequence(&[ber::integer(i64::from(flags))])))
    }

    /// Asks for changes since a cookie (MS-ADTS 3.1.1.3.4.1.3).
    pub fn dir_sync(request: &DirSync) -> Self {
        // Flags are a 32-bit value whose highest bit makes the INTEGER negative: five bytes are refused by servers.
        let flags = i64::from(i32::from_ne_bytes(request.flags.to_ne_bytes()));
        let cookie = request.cookie.as_ref().map_or(&[][..], Cookie::as_bytes);
        let value = ber::sequence(&[
            ber::integer(flags),
            ber::integer(i64::from(request.max_bytes)),
            ber::element(ber::OCTET_STRING, cookie),
        ]);
        Self { carries_delta_cookie: !cookie.is_empty(), ..Self::critical(DIRSYNC, Some(value)) }
    }

    /// Lets a server ignore the control.
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.criticality = Criticality::Optional;
        self
    }

    /// Returns the OID.
    pub fn oid(&self) -> &str {
        &self.oid
    }

    /// Returns the value.
    pub fn value(&self) -> Option<&[u8]> {
        self.value.as_deref()
    }

    pub(crate) fn to_raw(&self) -> ldap3::controls::RawControl {
        ldap3::controls::RawControl {
            ctype: self.oid.clone(),
            crit: self.criticality == Criticality::Critical,
            val: self.value.clone(),
        }
    }

    pub(crate) fn from_raw(raw: ldap3::controls::RawControl) -> Self {
        let criticality = if raw.crit { Criticality::Critical } else { Criticality::Optional };
        Self::new(raw.ctype, criticality, raw.val)
    }
}

/// A request for changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DirSync {
    /// Flags of MS-ADTS, see the constants.
    pub flags: u32,
    /// Size of an answer; servers may ignore it.
    pub max_bytes: i32,
    /// Where the last answer ended; none asks for everything.
    pub cookie: Option<Cookie>,
}

impl DirSync {
    /// Only what the account may read; needs no replication right.
    pub const OBJECT_SECURITY: u32 = 0x1;
    /// Parents come before their children.
    pub const ANCESTORS_FIRST_ORDER: u32 = 0x800;
    /// No secret attributes.
    pub const PUBLIC_DATA_ONLY: u32 = 0x2000;
    /// Single values of linked attributes come as added (`range=1-1`) or removed (`range=0-0`).
    pub const INCREMENTAL_VALUES: u32 = 0x8000_0000;
}

/// The control that comes with an answer to [`DirSync`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirSyncAnswer {
    /// Whether there is more to ask for at once.
    pub more: bool,
    /// Where this answer ended.
    pub cookie: Cookie,
}

impl DirSyncAnswer {
    /// Finds and decodes it among the controls of an answer.
    pub fn find(controls: &[Control]) -> Result<Option<Self>> {
        find(controls, DIRSYNC, |value| {
            let mut parts = Reader::new(value).expect(ber::SEQUENCE)?.elements();
            let more = parts.expect(ber::INTEGER)?.integer()? != 0;
            parts.expect(ber::INTEGER)?;
            let cookie = Cookie::new(parts.expect(ber::OCTET_STRING)?.body);
            Ok(Self { more, cookie })
        })
    }
}

/// Finds where the next page of a paged search begins; none at the end.
///
/// # Errors
/// If the control is missing: a server that leaves it out has not proven the end.
pub(crate) fn next_page(controls: &[Control]) -> Result<Option<Cookie>> {
    let cookie = find(controls, PAGED, |value| {
        let mut parts = Reader::new(value).expect(ber::SEQUENCE)?.elements();
        // An estimate of the total, which servers leave at 0 or get wrong.
        parts.expect(ber::INTEGER)?;
        Ok(Cookie::new(parts.expect(ber::OCTET_STRING)?.body))
    })?;
    let cookie = cookie.ok_or_else(|| {
        Error::protocol("the server did not answer the paging control; the end of the listing is not proven")
    })?;
    Ok(Some(cookie).filter(|cookie| !cookie.as_bytes().is_empty()))
}

fn find<T>(
    controls: &[Control],
    oid: &'static str,
    decode: impl FnOnce(&[u8]) -> Result<T, Malformed>,
) -> Result<Option<T>> {
    let Some(control) = controls.iter().find(|control| control.oid == oid) else { return Ok(None) };
    let broken = |what: Malformed| {
        Error::protocol("a control of the answer cannot be decoded")
            .with_context("control", oid)
            .with_context("found", what)
    };
    let value = control.value.as_deref().ok_or_else(|| broken("no value"))?;
    decode(value).map(Some).map_err(broken)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_paging_control_is_size_and_cookie() {
        assert_eq!(Control::paged(1000, None).value(), Some(&[0x30, 6, 2, 2, 0x03, 0xe8, 4, 0][..]));
        let with = Control::paged(5, Some(&Cookie::new(*b"ab")));
        assert_eq!(with.value(), Some(&[0x30, 7, 2, 1, 5, 4, 2, b'a', b'b'][..]));
    }

    #[test]
    fn the_highest_dirsync_flag_is_a_negative_integer_of_four_bytes() {
        let control = Control::dir_sync(&DirSync { flags: DirSync::INCREMENTAL_VALUES, max_bytes: 0, cookie: None });
        assert_eq!(control.value(), Some(&[0x30, 11, 2, 4, 0x80, 0, 0, 0, 2, 1, 0, 4, 0][..]));
        assert!(!control.carries_delta_cookie);
        let both = DirSync { flags: 0x8000_0001, max_bytes: 0x10_0000, cookie: Some(Cookie::new([7])) };
        let control = Control::dir_sync(&both);
        assert_eq!(control.value(), Some(&[0x30, 14, 2, 4, 0x80, 0, 0, 1, 2, 3, 0x10, 0, 0, 4, 1, 7][..]));
        assert!(control.carries_delta_cookie);
    }

    #[test]
    fn the_other_controls_have_the_documented_bytes() {
        assert_eq!(Control::extended_dn(ExtendedDnForm::Text).value(), Some(&[0x30, 3, 2, 1, 1][..]));
        assert_eq!(Control::extended_dn(ExtendedDnForm::Hexadecimal).value(), Some(&[0x30, 3, 2, 1, 0][..]));
        assert_eq!(Control::sd_flags(7).value(), Some(&[0x30, 3, 2, 1, 7][..]));
        for bare in [Control::show_deleted(), Control::show_recycled(), Control::domain_scope()] {
            assert_eq!(bare.value(), None);
        }
    }

    #[test]
    fn a_dirsync_answer_is_decoded() {
        let control = Control::critical(DIRSYNC, Some(vec![0x30, 11, 2, 1, 1, 2, 1, 0, 4, 3, 1, 2, 3]));
        let answer = DirSyncAnswer::find(&[control]).unwrap().unwrap();
        assert_eq!(answer, DirSyncAnswer { more: true, cookie: Cookie::new([1, 2, 3]) });
        assert_eq!(DirSyncAnswer::find(&[]).unwrap(), None);
        assert!(DirSyncAnswer::find(&[Control::critical(DIRSYNC, None)]).is_err());
    }

    #[test]
    fn a_cookie_does_not_appear_in_debug() {
        let cookie = Cookie::new(*b"secret");
        let control = Control::paged(1, Some(&cookie));
        let shown = format!("{cookie:?} {control:?}");
        assert!(!shown.contains("115, 101") && !shown.contains("secret"), "{shown}");
    }

    proptest! {
        #[test]
        fn garbage_in_a_control_is_an_error_and_never_a_panic(value in proptest::option::of(any::<Vec<u8>>())) {
            let _ = next_page(&[Control::critical(PAGED, value.clone())]);
            let _ = DirSyncAnswer::find(&[Control::critical(DIRSYNC, value)]);
        }

        #[test]
        fn a_paging_cookie_comes_back(cookie in proptest::collection::vec(any::<u8>(), 1..300)) {
            let cookie = Cookie::new(cookie);
            let control = Control::paged(0, Some(&cookie));
            prop_assert_eq!(next_page(&[control]).unwrap(), Some(cookie));
        }
    }
}
