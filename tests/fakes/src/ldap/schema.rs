//! What the fake knows of the Active Directory schema: names, syntaxes, links, classes; it knows no entry.

use std::collections::HashMap;
use std::sync::OnceLock;

/// How the values of an attribute are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Syntax {
    Text,
    Integer,
    Octets,
    Name,
    Boolean,
    Time,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Definition {
    pub(crate) shown: &'static str,
    pub(crate) syntax: Syntax,
    traits: u8,
}

const SINGLE: u8 = 1;
/// Forward link: its values are objects, not texts.
const LINK: u8 = 2;
/// Computed at reading, given only when asked for by name.
const CONSTRUCTED: u8 = 4;
/// Never part of a DirSync answer.
const LOCAL: u8 = 8;
/// Survives on a tombstone (searchFlags 0x8).
const KEPT: u8 = 16;
/// Computed or set by the server, not by a modify request.
const SYSTEM: u8 = 32;
const BACK: u8 = 64;

#[rustfmt::skip]
const TABLE: &[(&str, Syntax, u8)] = {
    use Syntax::{Boolean, Integer, Name, Octets, Text, Time};
    &[
        ("objectClass", Text, KEPT), ("cn", Text, SINGLE | KEPT), ("ou", Text, KEPT), ("dc", Text, SINGLE),
        ("name", Text, SINGLE | KEPT | SYSTEM), ("distinguishedName", Name, SINGLE | KEPT | SYSTEM | LOCAL),
        ("objectGUID", Octets, SINGLE | KEPT | SYSTEM), ("objectSid", Octets, SINGLE | KEPT | SYSTEM),
        ("objectCategory", Name, SINGLE), ("instanceType", Integer, SINGLE | KEPT | SYSTEM),
        ("sAMAccountName", Text, SINGLE | KEPT), ("sAMAccountType", Integer, SINGLE | SYSTEM),
        ("userPrincipalName", Text, SINGLE), ("mail", Text, SINGLE), ("givenName", Text, SINGLE), ("sn", Text, SINGLE),
        ("displayName", Text, SINGLE), ("initials", Text, SINGLE), ("proxyAddresses", Text, 0),
        ("department", Text, SINGLE), ("title", Text, SINGLE), ("company", Text, SINGLE), ("employeeID", Text, SINGLE),
        ("employeeNumber", Text, SINGLE), ("mobile", Text, SINGLE), ("telephoneNumber", Text, SINGLE),
        ("physicalDeliveryOfficeName", Text, SINGLE), ("l", Text, SINGLE), ("st", Text, SINGLE), ("co", Text, SINGLE),
        ("c", Text, SINGLE), ("streetAddress", Text, SINGLE), ("postalCode", Text, SINGLE), ("info", Text, SINGLE),
        ("description", Text, 0), ("mailNickname", Text, SINGLE), ("targetAddress", Text, SINGLE),
        ("member", Name, LINK), ("manager", Name, LINK | SINGLE), ("managedBy", Name, LINK | SINGLE),
        ("memberOf", Name, SYSTEM | LOCAL | BACK), ("directReports", Name, SYSTEM | LOCAL | BACK),
        ("managedObjects", Name, SYSTEM | LOCAL | BACK), ("primaryGroupID", Integer, SINGLE),
        ("primaryGroupToken", Integer, SINGLE | SYSTEM | CONSTRUCTED | LOCAL),
        ("userAccountControl", Integer, SINGLE | KEPT), ("groupType", Integer, SINGLE | KEPT),
        ("msDS-User-Account-Control-Computed", Integer, SINGLE | SYSTEM | CONSTRUCTED | LOCAL),
        ("canonicalName", Text, SYSTEM | CONSTRUCTED | LOCAL), ("parentGUID", Octets, SINGLE | SYSTEM | CONSTRUCTED),
        ("tokenGroups", Octets, SYSTEM | CONSTRUCTED | LOCAL), ("lockoutTime", Integer, SINGLE | KEPT),
        ("accountExpires", Integer, SINGLE), ("pwdLastSet", Integer, SINGLE),
        ("lastLogon", Integer, SINGLE | LOCAL), ("lastLogonTimestamp", Integer, SINGLE),
        ("badPwdCount", Integer, SINGLE | LOCAL), ("badPasswordTime", Integer, SINGLE | LOCAL),
        ("logonCount", Integer, SINGLE | LOCAL), ("codePage", Integer, SINGLE), ("countryCode", Integer, SINGLE),
        ("whenCreated", Time, SINGLE | SYSTEM | KEPT), ("whenChanged", Time, SINGLE | SYSTEM | LOCAL),
        ("uSNChanged", Integer, SINGLE | SYSTEM | LOCAL), ("uSNCreated", Integer, SINGLE | SYSTEM | LOCAL),
        ("dNSHostName", Text, SINGLE | KEPT), ("operatingSystem", Text, SINGLE), ("location", Text, SINGLE),
        ("operatingSystemVersion", Text, SINGLE), ("operatingSystemServicePack", Text, SINGLE),
        ("servicePrincipalName", Text, 0), ("isDeleted", Boolean, SINGLE | SYSTEM), ("isRecycled", Boolean, SINGLE | SYSTEM),
        ("lastKnownParent", Name, SINGLE | SYSTEM), ("msDS-LastKnownRDN", Text, SINGLE | SYSTEM),
        ("sIDHistory", Octets, SYSTEM | KEPT), ("systemFlags", Integer, SINGLE | SYSTEM),
        ("isCriticalSystemObject", Boolean, SINGLE), ("adminCount", Integer, SINGLE),
        ("showInAdvancedViewOnly", Boolean, SINGLE), ("wellKnownObjects", Text, SYSTEM),
        ("fSMORoleOwner", Name, SINGLE), ("nTSecurityDescriptor", Octets, SINGLE | SYSTEM), ("invocationId", Octets, SINGLE | SYSTEM),
        ("tombstoneLifetime", Integer, SINGLE), ("msDS-deletedObjectLifetime", Integer, SINGLE),
        ("lockoutDuration", Integer, SINGLE), ("lockOutObservationWindow", Integer, SINGLE),
        ("lockoutThreshold", Integer, SINGLE), ("maxPwdAge", Integer, SINGLE), ("minPwdAge", Integer, SINGLE),
        ("minPwdLength", Integer, SINGLE), ("pwdProperties", Integer, SINGLE), ("forceLogoff", Integer, SINGLE),
        ("msDS-Behavior-Version", Integer, SINGLE), ("nETBIOSName", Text, SINGLE), ("nCName", Name, SINGLE),
        ("dnsRoot", Text, 0), ("serverReference", Name, SINGLE), ("legacyExchangeDN", Text, SINGLE | KEPT),
        ("msExchHideFromAddressLists", Boolean, SINGLE), ("msExchRecipientTypeDetails", Integer, SINGLE),
        ("msExchRecipientDisplayType", Integer, SINGLE), ("unicodePwd", Octets, SINGLE), ("userPassword", Octets, 0),
        ("thumbnailPhoto", Octets, SINGLE), ("jpegPhoto", Octets, 0), ("userCertificate", Octets, 0),
        ("msExchMailboxGuid", Octets, SINGLE), ("mS-DS-ConsistencyGuid", Octets, SINGLE),
        ("homeMDB", Name, SINGLE), ("msExchHomeServerName", Text, SINGLE), ("msExchMasterAccountSid", Octets, SINGLE),
        ("msExchRemoteRecipientType", Integer, SINGLE), ("msExchVersion", Integer, SINGLE),
        ("msExchArchiveGUID", Octets, SINGLE), ("showInAddressBook", Name, 0), ("serialNumber", Text, 0),
        ("msExchDynamicDLFilter", Text, SINGLE), ("msExchDynamicDLBaseDN", Name, SINGLE),
        ("msExchQueryFilter", Text, SINGLE),
        ("msDS-SecondaryKrbTgtNumber", Integer, SINGLE), ("trustPartner", Text, SINGLE), ("flatName", Text, SINGLE),
    ]
};

/// Returns the definition of an attribute by its lower-case name.
pub(crate) fn definition(lower: &str) -> Option<&'static Definition> {
    static INDEX: OnceLock<HashMap<String, Definition>> = OnceLock::new();
    let index = INDEX.get_or_init(|| {
        let rows = TABLE.iter().map(|&(shown, syntax, traits)| Definition { shown, syntax, traits });
        rows.map(|row| (row.shown.to_lowercase(), row)).collect()
    });
    index.get(lower)
}

fn has(lower: &str, bit: u8) -> bool {
    definition(lower).is_some_and(|found| found.traits & bit != 0)
}

pub(crate) fn syntax(lower: &str) -> Syntax {
    definition(lower).map_or(Syntax::Text, |found| found.syntax)
}

pub(crate) fn is_single(lower: &str) -> bool {
    has(lower, SINGLE)
}

pub(crate) fn is_link(lower: &str) -> bool {
    has(lower, LINK)
}

pub(crate) fn is_constructed(lower: &str) -> bool {
    has(lower, CONSTRUCTED)
}

pub(crate) fn is_replicated(lower: &str) -> bool {
    !has(lower, LOCAL)
}

pub(crate) fn is_kept_on_tombstone(lower: &str) -> bool {
    has(lower, KEPT)
}

pub(crate) fn is_system(lower: &str) -> bool {
    has(lower, SYSTEM)
}

/// Returns the forward link whose other end this attribute shows.
pub(crate) fn forward_of(back: &str) -> Option<&'static str> {
    match back {
        "memberof" => Some("member"),
        "directreports" => Some("manager"),
        "managedobjects" => Some("managedby"),
        _ => None,
    }
}

/// Returns the back link that shows the other end of a forward link.
pub(crate) fn back_of(forward: &str) -> Option<&'static str> {
    match forward {
        "member" => Some("memberof"),
        "manager" => Some("directreports"),
        "managedby" => Some("managedobjects"),
        _ => None,
    }
}

/// Returns the classes from `top` down to the class named.
pub(crate) fn class_chain(class: &str) -> Vec<String> {
    let chain: &[&str] = match class.to_lowercase().as_str() {
        "user" => &["top", "person", "organizationalPerson", "user"],
        "inetorgperson" => &["top", "person", "organizationalPerson", "user", "inetOrgPerson"],
        "contact" => &["top", "person", "organizationalPerson", "contact"],
        "computer" => &["top", "person", "organizationalPerson", "user", "computer"],
        "msds-groupmanagedserviceaccount" => {
            &["top", "person", "organizationalPerson", "user", "computer", "msDS-GroupManagedServiceAccount"]
        }
        "msds-managedserviceaccount" => {
            &["top", "person", "organizationalPerson", "user", "computer", "msDS-ManagedServiceAccount"]
        }
        "group" => &["top", "group"],
        "organizationalunit" => &["top", "organizationalUnit"],
        "container" => &["top", "container"],
        "domaindns" => &["top", "domain", "domainDNS"],
        "foreignsecurityprincipal" => &["top", "foreignSecurityPrincipal"],
        "msexchdynamicdistributionlist" => &["top", "msExchBaseClass", "msExchDynamicDistributionList"],
        "msexchorganizationcontainer" => &["top", "container", "msExchOrganizationContainer"],
        "msexchconfigurationcontainer" => &["top", "container", "msExchConfigurationContainer"],
        "msexchexchangeserver" => &["top", "server", "msExchExchangeServer"],
        _ => {
            return if class.eq_ignore_ascii_case("top") {
                vec!["top".into()]
            } else {
                vec!["top".into(), class.into()]
            };
        }
    };
    chain.iter().map(|&name| name.to_owned()).collect()
}

/// The schema objects that exist, by common name; the second column is the class that points at them.
pub(crate) const CATEGORIES: &[(&str, &str)] = &[
    ("Person", "person"),
    ("Group", "group"),
    ("Computer", "computer"),
    ("ms-DS-Group-Managed-Service-Account", "msds-groupmanagedserviceaccount"),
    ("ms-DS-Managed-Service-Account", "msds-managedserviceaccount"),
    ("Organizational-Unit", "organizationalunit"),
    ("Container", "container"),
    ("Builtin-Domain", "builtindomain"),
    ("Domain-DNS", "domaindns"),
    ("Foreign-Security-Principal", "foreignsecurityprincipal"),
    ("Lost-And-Found", "lostandfound"),
    ("Trusted-Domain", "trusteddomain"),
    ("Server", "server"),
    ("NTDS-DSA", "ntdsdsa"),
    ("Cross-Ref", "crossref"),
    ("Configuration", "configuration"),
    ("DMD", "dmd"),
    ("Class-Schema", "classschema"),
];

/// Returns the common name of the schema object that is the category of a class.
pub(crate) fn category_of(class: &str) -> Option<&'static str> {
    let lower = class.to_lowercase();
    let lower = match lower.as_str() {
        "user" | "contact" | "inetorgperson" | "organizationalperson" => "person",
        // Only a forest with Exchange has these; the schema object itself is not there.
        "msexchdynamicdistributionlist" => return Some("ms-Exch-Dynamic-Distribution-List"),
        "msexchexchangeserver" => return Some("ms-Exch-Exchange-Server"),
        other => other,
    };
    CATEGORIES.iter().find(|(cn, class)| *class == lower || cn.eq_ignore_ascii_case(lower)).map(|(cn, _)| *cn)
}
