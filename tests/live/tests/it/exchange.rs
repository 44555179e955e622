//! An Exchange organisation in a real domain: every kind of recipient, imported, changed, imported again, and compared with
//! what `ldapsearch` reads as the same account.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tempfile::TempDir;
use tenantry::model::{CustomerId, EndpointName, GroupKind, Mode, ObjectKind, Outcome, Record, RunReport, SourceId};
use tenantry::{Context, Customer, Endpoint, EndpointInfo, ImportOptions, Secret, Service, SqliteStore};
use tenantry_exchange::{Ldap, LdapConfig};
use tenantry_ldap::domain::DeltaMethod;
use tenantry_live::{LdifEntry, LdifWriter, SambaDc};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::independent::guid_of;
use crate::replica::Replica;
use crate::world::{Done, PASSWORD, ready};

const BASE: &str = "DC=corp,DC=example";
const UNIT: &str = "OU=Mail,DC=corp,DC=example";
/// What every kind of user is: login, type, flags of the account.
const PEOPLE: &[(&str, Option<i64>, u32)] = &[
    ("anna", Some(1), 512),
    ("bert", Some(1), 514),
    ("linked", Some(2), 514),
    ("info", Some(4), 514),
    ("room", Some(16), 514),
    ("car", Some(32), 514),
    ("mailuser", Some(128), 512),
    ("remote", Some(2_147_483_648), 512),
    ("remoteroom", Some(8_589_934_592), 514),
    ("old", None, 512),
    ("monitor", Some(549_755_813_888), 66_048),
    ("arbiter", Some(8_388_608), 514),
    ("takenoff", Some(65_536), 512),
];

/// An organisation on one side, a state file on the other.
struct Organisation {
    dc: SambaDc,
    user: String,
    service: Service,
    customer: CustomerId,
    name: EndpointName,
    replica: Replica,
    _folder: TempDir,
}

fn address(alias: &str) -> String {
    format!("{alias}@corp.example")
}

fn person(ldif: &mut LdifWriter, login: &str, details: Option<i64>, flags: u32, database: &str) {
    let mail = address(login);
    let mut lines = vec![
        ("objectClass", "user".to_owned()),
        ("sAMAccountName", login.to_owned()),
        ("userAccountControl", flags.to_string()),
        ("displayName", format!("{login} of Corp")),
        ("mailNickname", login.to_owned()),
        ("mail", mail.clone()),
        ("proxyAddresses", format!("smtp:{login}@old.example")),
        ("proxyAddresses", format!("SMTP:{mail}")),
        ("proxyAddresses", format!("X500:/o=Corp/cn={login}")),
        ("legacyExchangeDN", format!("/o=Corp/cn={login}")),
    ];
    lines.extend(details.map(|details| ("msExchRecipientTypeDetails", details.to_string())));
    match details {
        Some(128 | 2_147_483_648 | 8_589_934_592) => {
            lines.push(("targetAddress", format!("SMTP:{login}@cloud.example")));
        }
        _ => lines.push(("homeMDB", database.to_owned())),
    }
    ldif.entry(&format!("CN={login},{UNIT}"), lines);
}

fn group(ldif: &mut LdifWriter, name: &str, kind: &str, details: Option<i64>, members: &[&str]) {
    let mut lines =
        vec![("objectClass", "group".to_owned()), ("sAMAccountName", name.to_owned()), ("groupType", kind.to_owned())];
    if let Some(details) = details {
        lines.push(("mailNickname", name.to_owned()));
        lines.push(("mail", address(name)));
        lines.push(("proxyAddresses", format!("SMTP:{}", address(name))));
        lines.push(("msExchRecipientTypeDetails", details.to_string()));
    }
    lines.extend(members.iter().map(|member| ("member", format!("CN={member},{UNIT}"))));
    ldif.entry(&format!("CN={name},{UNIT}"), lines);
}

impl Organisation {
    async fn new(delta: DeltaMethod) -> Result<Self, Box<dyn std::error::Error>> {
        let mut dc = SambaDc::provision()?;
        dc.add_exchange()?;
        let reader = dc.create_account("reader", PASSWORD)?;
        dc.grant_deleted_objects(&reader.sid)?;
        let database = dc.mailbox_database();
        let mut ldif = LdifWriter::new();
        ldif.entry(UNIT, [("objectClass", "organizationalUnit")]);
        for (login, details, flags) in PEOPLE {
            person(&mut ldif, login, *details, *flags, &database);
        }
        // Somebody with an address who is no recipient, and contacts that are and are not.
        ldif.entry(
            &format!("CN=plain,{UNIT}"),
            [("objectClass", "user"), ("sAMAccountName", "plain"), ("mail", "plain@corp.example")],
        );
        ldif.entry(
            &format!("CN=Partner,{UNIT}"),
            [
                ("objectClass", "contact"),
                ("mailNickname", "partner"),
                ("targetAddress", "SMTP:partner@other.example"),
                ("proxyAddresses", "SMTP:partner@other.example"),
                ("msExchRecipientTypeDetails", "64"),
            ],
        );
        ldif.entry(&format!("CN=Stranger,{UNIT}"), [("objectClass", "contact"), ("mail", "s@other.example")]);
        group(&mut ldif, "team", "8", Some(256), &["anna", "Partner", "Stranger", "plain"]);
        group(&mut ldif, "rights", "-2147483640", Some(1024), &["bert"]);
        group(&mut ldif, "rooms", "8", Some(268_435_456), &["room"]);
        group(&mut ldif, "roles", "-2147483640", None, &["anna"]);
        ldif.entry(
            &format!("CN=everybody,{UNIT}"),
            [
                ("objectClass", "msExchDynamicDistributionList"),
                ("mailNickname", "everybody"),
                ("proxyAddresses", "SMTP:everybody@corp.example"),
                ("msExchRecipientTypeDetails", "2048"),
                ("msExchDynamicDLFilter", "(mailNickname=*)"),
                ("msExchDynamicDLBaseDN", UNIT),
            ],
        );
        dc.ldapadd(&ldif.finish())?;
        dc.replace(&format!("CN=roles,{UNIT}"), "msExchRecipientTypeDetails", "1073741824")?;
        dc.replace(&format!("CN=anna,{UNIT}"), "msExchHideFromAddressLists", "TRUE")?;

        let mut config = LdapConfig::new(dc.ldaps_url(), &reader.upn, Secret::new(PASSWORD));
        config.domain.ca = Some(dc.ca_pem().as_bytes().to_vec());
        config.domain.delta = delta;
        let folder = tempfile::tempdir()?;
        let service = Service::new(Arc::new(SqliteStore::open(folder.path().join("state.db"))?));
        let (customer, name) = (CustomerId::new("c1")?, EndpointName::new("mail")?);
        let endpoint = Ldap::new(EndpointInfo::new(name.clone(), Ldap::KIND), config)?;
        let check =
            endpoint.verify(&Context::new(tenantry::gate::Gate::builder().build(), CancellationToken::new())).await?;
        assert!(check.server.contains("Exchange organisation First Organization"), "{}", check.server);
        assert!(check.rights.iter().any(|right| right.granted && right.name == "read msExchRecipientTypeDetails"));
        service.register(Customer::new(customer.clone()), vec![Arc::new(endpoint) as Arc<dyn Endpoint>]).await?;
        Ok(Self { dc, user: reader.upn, service, customer, name, replica: Replica::default(), _folder: folder })
    }

    async fn import(&self, full: bool) -> Result<RunReport, Box<dyn std::error::Error>> {
        let options = ImportOptions { full, ..ImportOptions::default() };
        let report = self.service.import(&self.customer, &self.name, options).await?;
        assert_eq!(report.outcome, Outcome::Done, "{report:?}");
        Ok(report)
    }

    fn records(&self, kind: ObjectKind) -> Result<BTreeMap<Uuid, Record>, Box<dyn std::error::Error>> {
        let records = self.service.store().records(&self.customer, kind, None, usize::MAX >> 1)?;
        let own = |record: Record| {
            let identity = record.identities.first()?;
            let SourceId::Guid(guid) = identity.source_id else { panic!("a GUID") };
            Some((guid, record))
        };
        Ok(records.into_iter().filter_map(own).collect())
    }

    fn dn(login: &str) -> String {
        format!("CN={login},{UNIT}")
    }

    fn guid(&self, login: &str) -> Result<Uuid, Box<dyn std::error::Error>> {
        let found = self.dc.ldapsearch(BASE, &format!("(cn={login})"), &["objectGUID"])?;
        assert_eq!(found.len(), 1, "{login}");
        Ok(guid_of(&found[0]))
    }

    /// Compares everything with what `ldapsearch` reads, by the filter that administrators use for recipients.
    fn check(&mut self) -> Done {
        let client = self.dc.client(&self.user, PASSWORD);
        let filter = "(&(mailNickname=*)(|(&(objectCategory=person)(|(objectClass=user)(objectClass=contact)))\
                      (objectCategory=group)(objectClass=msExchDynamicDistributionList))\
                      (!(msExchRecipientTypeDetails=8388608))(!(msExchRecipientTypeDetails=549755813888))\
                      (!(msExchRecipientTypeDetails=65536))(!(msExchRecipientTypeDetails=1073741824)))";
        let asked = [
            "objectGUID",
            "objectClass",
            "mailNickname",
            "proxyAddresses",
            "displayName",
            "userAccountControl",
            "msExchRecipientTypeDetails",
            "msExchHideFromAddressLists",
            "targetAddress",
            "member",
        ];
        let found = client.search(BASE, filter, &asked)?;
        let ids: BTreeMap<String, Uuid> = client
            .search(UNIT, "(objectClass=*)", &["objectGUID"])?
            .iter()
            .map(|entry| (entry.dn.to_lowercase(), guid_of(entry)))
            .collect();
        let truth: BTreeMap<Uuid, &LdifEntry> = found.iter().map(|entry| (guid_of(entry), entry)).collect();
        let (users, groups) = (self.records(ObjectKind::User)?, self.records(ObjectKind::Group)?);
        let stored: BTreeSet<Uuid> = users.keys().chain(groups.keys()).copied().collect();
        assert_eq!(stored, truth.keys().copied().collect::<BTreeSet<_>>(), "who is a recipient");
        for (guid, record) in users.iter().chain(&groups) {
            compare(truth[guid], &serde_json::to_value(record)?);
        }
        let events = self.service.store().events(&self.customer, self.replica.position(), usize::MAX)?;
        self.replica.replay(&events);
        let mut memberships = BTreeSet::new();
        for (guid, entry) in &truth {
            for member in entry.texts("member") {
                memberships.insert((guid.to_string(), ids[&member.to_lowercase()].to_string()));
            }
        }
        let known: BTreeSet<(String, String)> =
            self.replica.memberships().into_iter().map(|edge| (edge.group, edge.member)).collect();
        assert_eq!(known, memberships);
        Ok(())
    }
}

/// Compares one record with its entry, attribute by attribute, in words of its own.
fn compare(entry: &LdifEntry, record: &serde_json::Value) {
    let alias = entry.text("mailNickname").expect("a recipient has an alias");
    let proxies = entry.texts("proxyAddresses");
    let primary = proxies.iter().find_map(|proxy| proxy.strip_prefix("SMTP:"));
    let is_group = record["kind"] == "distribution" || record.get("email").is_some();
    let address = if is_group { &record["email"] } else { &record["primary_email"] };
    assert_eq!(address.as_str(), primary, "{alias}");
    let more = &record["attributes"];
    assert_eq!(more["mail_nickname"].as_str(), Some(alias));
    let mut told: Vec<_> =
        more["proxy_addresses"].as_array().into_iter().flatten().filter_map(|one| one.as_str()).collect();
    let mut held: Vec<_> = proxies.iter().map(String::as_str).collect();
    told.sort_unstable();
    held.sort_unstable();
    assert_eq!(told, held, "{alias}");
    assert_eq!(
        more["hidden_from_address_lists"] == true,
        entry.text("msExchHideFromAddressLists") == Some("TRUE"),
        "{alias}"
    );
    let details = entry.text("msExchRecipientTypeDetails").unwrap_or_default();
    let kind = match details {
        "4" => "shared",
        "16" | "8589934592" => "room",
        "32" => "equipment",
        "64" => "contact",
        "256" | "268435456" => "distribution",
        "1024" => "mail-security",
        "2048" => "dynamic",
        _ => "person",
    };
    assert_eq!(record["kind"], kind, "{alias}");
    let disabled = entry.text("userAccountControl").is_some_and(|flags| flags.parse::<u32>().unwrap_or(0) & 2 != 0);
    let by_design = matches!(details, "2" | "4" | "16" | "32" | "8589934592");
    match kind {
        "contact" | "distribution" | "mail-security" | "dynamic" => {}
        _ if disabled && !by_design => assert_eq!(record["state"], "suspended", "{alias}"),
        _ => assert_eq!(record["state"], "active", "{alias}"),
    }
    let target = entry.text("targetAddress").map(|target| target.trim_start_matches("SMTP:"));
    if !is_group {
        assert_eq!(more["target_address"].as_str(), target, "{alias}");
        assert_eq!(record["display_name"].as_str(), entry.text("displayName"), "{alias}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_recipient_comes_in_and_its_changes_behind_it() -> Done {
    if !ready("exchange") {
        return Ok(());
    }
    for delta in [DeltaMethod::Usn, DeltaMethod::DirSync] {
        let mut world = Organisation::new(delta).await?;
        let report = world.import(false).await?;
        assert_eq!((report.mode, report.created), (Mode::Snapshot, 15), "{delta:?} {report:?}");
        world.check()?;
        let everybody = world.records(ObjectKind::Group)?.remove(&world.guid("everybody")?).expect("a group");
        assert_eq!(serde_json::to_value(&everybody)?["kind"], GroupKind::Dynamic.as_str());

        let quiet = world.import(false).await?;
        assert_eq!((quiet.mode, quiet.created, quiet.updated, quiet.removed), (Mode::Delta, 0, 0, 0), "{quiet:?}");

        // Somebody becomes a recipient, another one ceases to be one, one becomes Exchange's own.
        let dn = Organisation::dn;
        world.dc.replace(&dn("plain"), "mailNickname", "plain")?;
        world.dc.replace(&dn("plain"), "proxyAddresses", "SMTP:plain@corp.example")?;
        world.dc.replace(&dn("plain"), "msExchRecipientTypeDetails", "1")?;
        world.dc.replace(&dn("car"), "msExchRecipientTypeDetails", "65536")?;
        world.dc.replace(&dn("old"), "msExchRecipientTypeDetails", "8388608")?;
        // A person's mailbox is made a shared one, with the account disabled.
        world.dc.replace(&dn("mailuser"), "msExchRecipientTypeDetails", "4")?;
        world.dc.replace(&dn("mailuser"), "userAccountControl", "514")?;
        world.dc.replace(&dn("remote"), "displayName", "Remo Te")?;
        world.dc.delete_value(&dn("team"), "member", &dn("anna"))?;
        world.dc.add_value(&dn("team"), "member", &dn("remote"))?;
        world.dc.ldapdelete(&dn("linked"))?;
        world.dc.ldapdelete(&dn("everybody"))?;
        let report = world.import(false).await?;
        assert_eq!((report.mode, report.created, report.removed), (Mode::Delta, 1, 4), "{delta:?} {report:?}");
        world.check()?;

        let again = world.import(true).await?;
        assert_eq!((again.mode, again.created, again.updated, again.removed), (Mode::Snapshot, 0, 0, 0), "{again:?}");
        world.check()?;
    }
    Ok(())
}
