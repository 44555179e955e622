//! Identifiers, names, filters and addresses: read, written, read again; and what other readers say.

use tenantry_ldap::{Dn, ExtendedDn, Filter, Server, Sid, filter, guid};
use uuid::Uuid;

use crate::text;

/// A SID is the same in bytes and in text.
pub fn sid(bytes: &[u8]) {
    if let Ok(sid) = Sid::from_bytes(bytes) {
        assert_eq!(sid.to_bytes(), bytes);
        assert_eq!(sid.to_string().parse::<Sid>().ok().as_ref(), Some(&sid));
        assert_eq!(sid.domain().zip(sid.rid()).and_then(|(domain, rid)| domain.child(rid)), sid.rid().map(|_| sid));
    }
    let Some(sid) = text(bytes).and_then(|text| text.parse::<Sid>().ok()) else { return };
    assert_eq!(Sid::from_bytes(&sid.to_bytes()).ok().as_ref(), Some(&sid));
    assert_eq!(sid.to_string().parse::<Sid>().ok(), Some(sid));
}

/// A GUID is the same in bytes, in text and in names.
pub fn guid(bytes: &[u8]) {
    let Ok(guid) = guid::from_bytes(bytes) else {
        assert_ne!(bytes.len(), 16);
        return;
    };
    assert_eq!(guid::to_bytes(&guid), bytes);
    let name = ExtendedDn::parse(&guid::as_dn(&guid)).expect("our own name of an object");
    assert_eq!((name.guid, name.sid, name.dn.as_str()), (Some(guid), None, ""));
    assert_eq!(Uuid::try_parse(&guid.to_string()), Ok(guid));
}

/// An extended name, put together from what was read of it, is read as the same.
pub fn extended_dn(bytes: &[u8]) {
    let Some(Ok(name)) = text(bytes).map(ExtendedDn::parse) else { return };
    let mut again = String::new();
    if let Some(guid) = name.guid {
        again += &format!("<GUID={guid}>;");
    }
    if let Some(sid) = &name.sid {
        again += &format!("<SID={sid}>;");
    }
    again += &name.dn;
    assert_eq!(ExtendedDn::parse(&again).ok(), Some(name));
}

/// A name, written in one way, is the same name, level by level; the fakes' reader says the same.
pub fn dn(bytes: &[u8]) {
    let Some(Ok(dn)) = text(bytes).map(Dn::parse) else { return };
    let written = dn.to_string();
    let again = Dn::parse(&written).unwrap_or_else(|error| panic!("{error}: {written:?}"));
    assert_eq!(again, dn);
    assert_eq!(again.rdns(), dn.rdns(), "{written:?}");
    assert_eq!(again.to_string(), written);
    let normal = dn.normalised();
    let again = Dn::parse(&normal).unwrap_or_else(|error| panic!("{error}: {normal:?}"));
    assert_eq!(again.normalised(), normal, "a normal form is its own normal form");
    assert!(dn.is_under(&dn));
    let mut above = dn.parent();
    for level in 1.. {
        let Some(parent) = above else {
            assert_eq!(level, dn.rdns().len() + 1);
            break;
        };
        assert!(dn.is_under(&parent) && !parent.is_under(&dn));
        assert_eq!(parent.rdns(), &dn.rdns()[level..]);
        above = parent.parent();
    }
    let _ = dn.mangled();
    if let Some(levels) = tenantry_fakes::ldap::fuzzing::levels(&written) {
        // The fakes know one part for each level, and text.
        let simple = !written.contains(['+', '#']) && levels.len() == dn.rdns().len();
        for ((attribute, value), rdn) in levels.iter().zip(dn.rdns()).filter(|_| simple) {
            assert_eq!((attribute.as_str(), Some(value.as_str())), (rdn.attribute(), rdn.value()), "{written:?}");
        }
    }
}

/// A filter that is accepted is accepted again, by ldap3 and by the fakes too, alone and with others.
pub fn search_filter(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    let escaped = Filter::equals("cn", text).expect("any text can be looked for");
    assert_eq!(Filter::parse(escaped.as_str()).ok().as_ref(), Some(&escaped));
    sent(&escaped);
    sent(&Filter::equals_bytes("objectGUID", bytes).expect("any bytes can be looked for"));
    assert!(!filter::escape(text).contains(['(', ')', '*', '\0']));
    let Ok(filter) = Filter::parse(text) else { return };
    assert_eq!(Filter::parse(filter.as_str()).ok().as_ref(), Some(&filter));
    sent(&filter);
    sent(&Filter::and([filter.clone(), escaped.clone()]));
    sent(&Filter::or([filter.negate(), escaped]).expect("there are two"));
}

fn sent(filter: &Filter) {
    let parsed = ldap3::parse_filter(filter.as_str());
    let tag = parsed.unwrap_or_else(|()| panic!("ldap3 refuses {:?}", filter.as_str()));
    let mut bytes = Vec::new();
    write(&mut bytes, &ldap3::asn1::ASNTag::into_structure(tag));
    assert!(tenantry_fakes::ldap::fuzzing::is_filter(&bytes), "the fakes refuse {:?}", filter.as_str());
}

/// Encodes what ldap3 would send.
fn write(out: &mut Vec<u8>, tag: &ldap3::asn1::StructureTag) {
    use ldap3::asn1::{PL, TagClass};
    let class = match tag.class {
        TagClass::Universal => 0_u8,
        TagClass::Application => 1,
        TagClass::Context => 2,
        TagClass::Private => 3,
    };
    let (constructed, body) = match &tag.payload {
        PL::P(bytes) => (0, bytes.clone()),
        PL::C(parts) => {
            let mut body = Vec::new();
            parts.iter().for_each(|part| write(&mut body, part));
            (0x20, body)
        }
    };
    out.push(class << 6 | constructed | u8::try_from(tag.id).expect("low tags only"));
    out.push(0x84);
    out.extend_from_slice(&u32::try_from(body.len()).expect("inputs are short").to_be_bytes());
    out.extend_from_slice(&body);
}

/// A server is written as it is read.
pub fn server(bytes: &[u8]) {
    let Some(Ok(server)) = text(bytes).map(Server::parse) else { return };
    assert!(!server.host().is_empty() && server.port() != 0);
    let again = Server::parse(&server.to_string()).unwrap_or_else(|error| panic!("{error}: {server}"));
    assert_eq!(again, server);
}

/// An entry of any attributes and values: a line each, `name:value`; the first line is its name.
pub fn directory_entry(bytes: &[u8]) {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let Some(dn) = lines.next().and_then(text) else { return };
    let attributes = lines.filter_map(|line| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        Some((text(&line[..colon])?.to_owned(), [line[colon + 1..].to_vec()]))
    });
    tenantry_active_directory::fuzzing::entry(&tenantry_ldap::Entry::new(dn, attributes));
}
