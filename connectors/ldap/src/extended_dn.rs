//! Names with the object's GUID and SID in front: `<GUID=…>;<SID=…>;CN=…`, the answer to the control 529.
//!
//! It does not parse the name behind them.

use tenantry::{Error, Result};
use uuid::Uuid;

use crate::guid;
use crate::sid::Sid;

/// A name, and what the server says of the object it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtendedDn {
    /// The object's GUID.
    pub guid: Option<Uuid>,
    /// The object's SID; contacts and organisational units have none.
    pub sid: Option<Sid>,
    /// The name as the server wrote it; may be empty.
    pub dn: String,
}

impl ExtendedDn {
    /// Reads either form, hexadecimal or text, and also a plain name. Other parts in angle brackets are skipped.
    pub fn parse(text: &str) -> Result<Self> {
        let mut extended = Self { guid: None, sid: None, dn: String::new() };
        let mut rest = text;
        while let Some(part) = rest.strip_prefix('<') {
            let broken = |why: &'static str| Error::protocol(why).with_context("at byte", text.len() - part.len());
            let (part, after) = part.split_once('>').ok_or_else(|| broken("an extended name is cut off"))?;
            let (key, value) = part.split_once('=').ok_or_else(|| broken("a part of an extended name has no value"))?;
            if key.eq_ignore_ascii_case("GUID") {
                extended.guid = Some(read_guid(value).ok_or_else(|| broken("the GUID of an extended name is wrong"))?);
            } else if key.eq_ignore_ascii_case("SID") {
                extended.sid = Some(read_sid(value).ok_or_else(|| broken("the SID of an extended name is wrong"))?);
            }
            rest = after.strip_prefix(';').unwrap_or(after);
        }
        rest.clone_into(&mut extended.dn);
        Ok(extended)
    }
}

fn read_guid(text: &str) -> Option<Uuid> {
    if text.len() == 32 {
        return guid::from_bytes(&hexadecimal(text)?).ok();
    }
    (text.len() == 36).then(|| Uuid::try_parse(text).ok()).flatten()
}

fn read_sid(text: &str) -> Option<Sid> {
    text.parse().ok().or_else(|| Sid::from_bytes(&hexadecimal(text)?).ok())
}

fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    pairs.iter().map(|&[high, low]| u8::try_from(digit(high)? * 16 + digit(low)?).ok()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn both_forms_give_the_same() {
        let dn = "CN=Anna,DC=corp,DC=example";
        let text =
            ExtendedDn::parse(&format!("<GUID=ca937e1c-64d9-465c-bf9c-13f1c263394b>;<SID=S-1-5-32-545>;{dn}")).unwrap();
        let hex = ExtendedDn::parse(&format!(
            "<GUID=1c7e93cad9645c46bf9c13f1c263394b>;<SID=01020000000000052000000021020000>;{dn}"
        ))
        .unwrap();
        assert_eq!(text, hex);
        assert_eq!(text.dn, dn);
        assert_eq!(text.sid.unwrap().rid(), Some(545));
    }

    #[test]
    fn missing_parts_unknown_parts_and_plain_names_are_fine() {
        let bare = ExtendedDn::parse("<GUID=ca937e1c-64d9-465c-bf9c-13f1c263394b>").unwrap();
        assert!(bare.guid.is_some() && bare.sid.is_none() && bare.dn.is_empty());
        let more = ExtendedDn::parse("<RMD_ADDTIME=1>;<GUID=ca937e1c-64d9-465c-bf9c-13f1c263394b>;DC=x").unwrap();
        assert!(more.guid.is_some() && more.dn == "DC=x");
        assert_eq!(ExtendedDn::parse("CN=a;DC=x").unwrap().dn, "CN=a;DC=x");
    }

    #[test]
    fn wrong_parts_are_errors_and_not_missing() {
        for text in ["<GUID=12>;DC=x", "<SID=S-2>;DC=x", "<GUID=ca937e1c", "<GUID>;DC=x"] {
            assert!(ExtendedDn::parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn garbage_never_panics(text: String, part in "<(GUID|SID)=[0-9a-fé-]{0,40}>;?.{0,5}") {
            let _ = ExtendedDn::parse(&text);
            let _ = ExtendedDn::parse(&part);
        }
    }
}
