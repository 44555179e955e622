//! What should have been imported, as `ldapsearch` and the documentation of Active Directory tell it.
//!
//! It must not use the product's own reading of anything.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use tenantry::model::ObjectKind;
use tenantry_active_directory::Contacts;
use tenantry_live::{LdapClient, LdifEntry, Scope};
use uuid::Uuid;

/// Names come as `<GUID=…>;<SID=…>;CN=…`.
const EXTENDED_NAMES: &str = "!extendedDn=1";
const MANAGED: &str = "(objectClass=msDS-GroupManagedServiceAccount)(objectClass=msDS-ManagedServiceAccount)";

/// A direct membership.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Membership {
    pub(crate) group: String,
    pub(crate) member: String,
    pub(crate) via: String,
}

#[derive(Debug)]
pub(crate) struct Independent {
    /// Records as events spell them, without what the importer adds itself.
    pub(crate) objects: BTreeMap<ObjectKind, BTreeMap<Uuid, Value>>,
    pub(crate) memberships: BTreeSet<Membership>,
    /// Members that belong to another domain.
    pub(crate) foreign: BTreeSet<String>,
}

impl Independent {
    pub(crate) fn read(
        client: &LdapClient,
        domain: &str,
        base: &str,
        contacts: Contacts,
    ) -> Result<Self, Box<dyn std::error::Error>> {
        let search = |base: &str, filter: &str, attributes: &[&str]| {
            let attributes = [&["objectGUID", "objectSid", "objectClass"], attributes].concat();
            client.search_with(&[EXTENDED_NAMES], Scope::Subtree, base, filter, &attributes)
        };
        let mut truth = Self { objects: BTreeMap::new(), memberships: BTreeSet::new(), foreign: BTreeSet::new() };
        // Two accounts that every domain has for itself.
        let mut people =
            search(base, "(&(objectCategory=person)(objectClass=user)(!(sAMAccountName=krbtgt)))", PERSON)?;
        people.retain(|entry| entry.text("sAMAccountName") != Some("Guest"));
        if contacts == Contacts::Imported {
            people.extend(search(base, "(objectClass=contact)", PERSON)?);
        }
        let computers = search(base, &format!("(&(objectCategory=computer)(!(|{MANAGED})))"), COMPUTER)?;
        let groups = search(base, "(&(objectCategory=group)(!(groupType:1.2.840.113556.1.4.803:=1)))", GROUP)?;
        // A primary group may lie outside of the base.
        let by_sid: BTreeMap<Vec<u8>, Uuid> = search(domain, "(objectCategory=group)", &[])?
            .iter()
            .filter_map(|group| Some((group.values("objectSid").next()?.to_vec(), guid_of(group))))
            .collect();
        let imported: BTreeSet<Uuid> = groups.iter().map(guid_of).collect();
        for entry in people.iter().chain(&computers) {
            let (Some(sid), Some(rid)) = (entry.values("objectSid").next(), entry.text("primaryGroupID")) else {
                continue;
            };
            let mut sid = sid.to_vec();
            let at = sid.len() - 4;
            sid[at..].copy_from_slice(&rid.parse::<u32>()?.to_le_bytes());
            if let Some(group) = by_sid.get(&sid).filter(|group| imported.contains(group)) {
                truth.membership(*group, guid_of(entry), "primary");
            }
        }
        for group in &groups {
            for name in group.texts("member") {
                let member = guid_in(&name);
                truth.membership(guid_of(group), member, "explicit");
                if name.contains(",CN=ForeignSecurityPrincipals,") {
                    truth.foreign.insert(member.to_string());
                }
            }
        }
        let all = |entries: &[LdifEntry], read: fn(&LdifEntry) -> Value| {
            entries.iter().map(|entry| (guid_of(entry), read(entry))).collect()
        };
        truth.objects.insert(ObjectKind::User, all(&people, person));
        truth.objects.insert(ObjectKind::Group, all(&groups, group));
        truth.objects.insert(ObjectKind::Computer, all(&computers, computer));
        Ok(truth)
    }

    fn membership(&mut self, group: Uuid, member: Uuid, via: &str) {
        let membership = Membership { group: group.to_string(), member: member.to_string(), via: via.to_owned() };
        self.memberships.insert(membership);
    }
}

const PERSON: &[&str] = &[
    "sAMAccountName",
    "userPrincipalName",
    "mail",
    "proxyAddresses",
    "givenName",
    "sn",
    "displayName",
    "userAccountControl",
    "msDS-User-Account-Control-Computed",
    "accountExpires",
    "pwdLastSet",
    "primaryGroupID",
    "employeeID",
    "department",
    "title",
    "company",
    "telephoneNumber",
    "mobile",
    "physicalDeliveryOfficeName",
    "l",
    "co",
    "description",
    "manager",
];
const COMPUTER: &[&str] = &[
    "cn",
    "sAMAccountName",
    "dNSHostName",
    "operatingSystem",
    "operatingSystemVersion",
    "userAccountControl",
    "primaryGroupID",
    "description",
    "managedBy",
];
const GROUP: &[&str] = &[
    "cn",
    "sAMAccountName",
    "groupType",
    "mail",
    "proxyAddresses",
    "description",
    "displayName",
    "managedBy",
    "member",
];

fn person(entry: &LdifEntry) -> Value {
    let contact = entry.texts("objectClass").iter().any(|class| class == "contact");
    let (primary, aliases) = addresses(entry);
    let mut attributes = extras(
        entry,
        &[
            ("user_principal_name", "userPrincipalName"),
            ("employee_id", "employeeID"),
            ("department", "department"),
            ("title", "title"),
            ("company", "company"),
            ("telephone", "telephoneNumber"),
            ("mobile", "mobile"),
            ("office", "physicalDeliveryOfficeName"),
            ("city", "l"),
            ("country", "co"),
            ("description", "description"),
        ],
    );
    attributes.insert("manager".into(), linked(entry, "manager"));
    let mut record = json!({
        "kind": if contact { "contact" } else { "person" },
        "primary_email": primary,
        "aliases": if aliases.is_empty() { Value::Null } else { json!(aliases) },
        "first_name": entry.text("givenName"),
        "last_name": entry.text("sn"),
        "display_name": entry.text("displayName"),
        "username": entry.text("sAMAccountName"),
        "archived": false,
        "missing_since": null,
    });
    if !contact {
        let flags = number(entry, "userAccountControl");
        let computed = number(entry, "msDS-User-Account-Control-Computed");
        let disabled = flags & 2 != 0;
        // 0 and the largest number mean never; tests set nothing but the distant past.
        let expired = !matches!(number(entry, "accountExpires"), 0 | i64::MAX);
        let lasting = flags & 0x1_0000 != 0;
        attributes.insert("disabled".into(), disabled.into());
        attributes.insert("expired".into(), expired.into());
        attributes.insert("password_never_expires".into(), lasting.into());
        record["state"] = if disabled || expired { "suspended" } else { "active" }.into();
        record["locked_out"] = (computed & 0x10 != 0).into();
        let must_change = computed & 0x80_0000 != 0 || number(entry, "pwdLastSet") == 0;
        record["must_change_password"] = (!lasting && must_change).into();
    }
    record["attributes"] = attributes.into();
    record
}

fn group(entry: &LdifEntry) -> Value {
    let flags = number(entry, "groupType");
    let (email, _) = addresses(entry);
    let mut attributes = extras(entry, &[("account_name", "sAMAccountName"), ("display_name", "displayName")]);
    attributes.insert("managed_by".into(), linked(entry, "managedBy"));
    let scope = [(2, "global"), (4, "domain-local"), (8, "universal")];
    let scope = scope.iter().find(|(bit, _)| flags & bit != 0).map(|(_, name)| *name);
    attributes.insert("scope".into(), json!(scope));
    let kind = match (flags & 0x8000_0000 != 0, &email) {
        (false, _) => "distribution",
        (true, None) => "security",
        (true, Some(_)) => "mail-security",
    };
    json!({
        "kind": kind,
        "name": entry.text("cn"),
        "email": email,
        "description": entry.text("description"),
        "missing_since": null,
        "attributes": attributes,
    })
}

fn computer(entry: &LdifEntry) -> Value {
    let flags = number(entry, "userAccountControl");
    let system = entry.text("operatingSystem");
    let kind = match system {
        _ if flags & 0x2000 != 0 => "domain-controller",
        Some(name) if name.starts_with("Windows") && !name.contains("Server") => "workstation",
        Some(name) if name.contains("Server") => "server",
        _ => "other",
    };
    json!({
        "kind": kind,
        "name": entry.text("cn"),
        "dns_name": entry.text("dNSHostName"),
        "os": system,
        "os_version": entry.text("operatingSystemVersion"),
        "owner": null,
        "enabled": flags & 2 == 0,
        "missing_since": null,
        "attributes": extras(entry, &[("account_name", "sAMAccountName"), ("description", "description")]),
    })
}

fn extras(entry: &LdifEntry, pairs: &[(&str, &str)]) -> Map<String, Value> {
    let mut map: Map<_, _> =
        pairs.iter().map(|(name, source)| ((*name).to_owned(), json!(entry.text(source)))).collect();
    map.insert("sid".into(), json!(entry.values("objectSid").next().map(sid_text)));
    map
}

/// Returns the primary address and the others, sorted.
fn addresses(entry: &LdifEntry) -> (Option<String>, Vec<String>) {
    let proxies = entry.texts("proxyAddresses");
    let primary = proxies.iter().find_map(|proxy| proxy.strip_prefix("SMTP:")).map(str::to_owned);
    let primary = primary.or_else(|| entry.text("mail").map(str::to_owned));
    let aliases = proxies.iter().filter_map(|proxy| proxy.strip_prefix("smtp:")).map(str::to_owned);
    let aliases: BTreeSet<_> = aliases.collect();
    (primary, aliases.into_iter().collect())
}

fn number(entry: &LdifEntry, attribute: &str) -> i64 {
    entry.text(attribute).and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn linked(entry: &LdifEntry, attribute: &str) -> Value {
    json!(entry.text(attribute).map(|name| guid_in(name).to_string()))
}

/// Returns the id of an entry.
pub(crate) fn guid_of(entry: &LdifEntry) -> Uuid {
    let bytes = entry.values("objectGUID").next().expect("every object has an id");
    Uuid::from_bytes_le(bytes.try_into().expect("16 bytes"))
}

/// Takes the id out of an extended name.
pub(crate) fn guid_in(name: &str) -> Uuid {
    let (_, rest) = name.split_once("<GUID=").expect("an extended name");
    Uuid::try_parse(rest.split_once('>').expect("a closing bracket").0).expect("a GUID")
}

fn sid_text(bytes: &[u8]) -> String {
    let parts = bytes[8..].chunks(4).map(|part| u32::from_le_bytes(part.try_into().expect("4 bytes")).to_string());
    let head = ["S".to_owned(), bytes[0].to_string(), bytes[7].to_string()];
    head.into_iter().chain(parts).collect::<Vec<_>>().join("-")
}
