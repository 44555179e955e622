//! The root of the server's names, which says what it is and can; it knows no other entry.

use std::borrow::Cow;

use super::ber::{OCTETS, SEQUENCE};
use super::clock;
use super::controls::SUPPORTED;
use super::directory::state::{Id, State};
use super::entry::Selection;
use super::ids::Sid;
use super::message;

/// Returns the attributes in the order in which real servers give them.
fn attributes(state: &State) -> Vec<(&'static str, Vec<String>)> {
    let root = state.root_dn();
    let host = state.dns_host();
    let dns = root.dns_name();
    let server = format!("CN={},CN=Servers,CN=Default-First-Site-Name,CN=Sites,CN=Configuration,{root}", state.host);
    let one = |text: String| vec![text];
    let many = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect();
    vec![
        ("domainFunctionality", one("7".into())),
        ("forestFunctionality", one("7".into())),
        ("domainControllerFunctionality", one("7".into())),
        ("rootDomainNamingContext", one(root.to_string())),
        ("ldapServiceName", one(format!("{dns}:{}$@{}", state.host.to_lowercase(), dns.to_uppercase()))),
        ("isGlobalCatalogReady", one("TRUE".into())),
        ("supportedSASLMechanisms", many(&["GSSAPI", "GSS-SPNEGO", "EXTERNAL", "DIGEST-MD5"])),
        ("supportedLDAPVersion", many(&["3", "2"])),
        (
            "supportedLDAPPolicies",
            many(&[
                "MaxReceiveBuffer",
                "MaxConnections",
                "MaxConnIdleTime",
                "MaxPageSize",
                "MaxQueryDuration",
                "MaxValRange",
            ]),
        ),
        ("supportedControl", many(SUPPORTED)),
        (
            "supportedCapabilities",
            many(&[
                "1.2.840.113556.1.4.800",
                "1.2.840.113556.1.4.1670",
                "1.2.840.113556.1.4.1791",
                "1.2.840.113556.1.4.1935",
                "1.2.840.113556.1.4.2080",
                "1.2.840.113556.1.4.2237",
            ]),
        ),
        ("supportedExtension", many(&["1.3.6.1.4.1.1466.20037"])),
        ("subschemaSubentry", one(format!("CN=Aggregate,CN=Schema,CN=Configuration,{root}"))),
        ("serverName", one(server.clone())),
        ("schemaNamingContext", one(format!("CN=Schema,CN=Configuration,{root}"))),
        ("namingContexts", {
            let mut heads: Vec<_> = state.heads.iter().map(|(dn, id)| (*id, dn.to_string())).collect();
            heads.sort();
            heads.into_iter().map(|(_, dn)| dn).collect()
        }),
        ("isSynchronized", one("TRUE".into())),
        ("highestCommittedUSN", one(state.usn.to_string())),
        ("dsServiceName", one(format!("CN=NTDS Settings,{server}"))),
        ("dnsHostName", one(host)),
        ("defaultNamingContext", one(root.to_string())),
        ("currentTime", one(clock::generalized(state.clock.now()))),
        ("configurationNamingContext", one(format!("CN=Configuration,{root}"))),
    ]
}

/// Returns what the bound account counts as: itself, and the groups that it is in.
fn token(state: &State, who: Id) -> Vec<Sid> {
    state.entry(who).sid.iter().cloned().chain(state.token_groups(who)).collect()
}

pub(crate) fn write(state: &State, who: Option<Id>, selection: &Selection, message_id: i64) -> Vec<u8> {
    message::write(message_id, &[], |message| {
        message.nested(0x64, |body| {
            body.text(OCTETS, "");
            body.nested(SEQUENCE, |list| {
                for (name, values) in attributes(state) {
                    if selection.includes(&name.to_lowercase()) {
                        let values: Vec<_> = values.into_iter().map(|value| Cow::Owned(value.into_bytes())).collect();
                        selection.put(list, name, &values);
                    }
                }
                // Computed, so that only who asks for it gets it.
                if let Some(who) = who.filter(|_| selection.named.iter().any(|wanted| wanted.lower == "tokengroups")) {
                    let sids: Vec<_> = token(state, who).iter().map(|sid| Cow::Owned(sid.to_wire())).collect();
                    selection.put(list, "tokenGroups", &sids);
                }
            });
        });
    })
}
