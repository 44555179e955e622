//! What every domain has from its first day: naming contexts, containers, built-in accounts and groups, the DC itself.

use super::change::Draft;
use super::state::{Id, Refusal, State};
use crate::ldap::dn::{Dn, Rdn};
use crate::ldap::ids::Guid;
use crate::ldap::schema;

/// Well-known containers: RDN, class, GUID of `<WKGUID=…>`.
const CONTAINERS: &[(&str, &str, &str)] = &[
    ("CN=Users", "container", "A9D1CA15768811D1ADED00C04FD8D5CD"),
    ("CN=Computers", "container", "AA312825768811D1ADED00C04FD8D5CD"),
    ("OU=Domain Controllers", "organizationalUnit", "A361B2FFFFD211D1AA4B00C04FD7D83A"),
    ("CN=System", "container", "AB1D30F3768811D1ADED00C04FD8D5CD"),
    ("CN=LostAndFound", "lostAndFound", "AB8153B7768811D1ADED00C04FD8D5CD"),
    ("CN=ForeignSecurityPrincipals", "container", "22B70C67D56E4EFB91E9300FCA3DC1AA"),
    ("CN=Deleted Objects", "container", "18E2EA80684F11D2B9AA00C04F79F805"),
    ("CN=Builtin", "builtinDomain", ""),
    ("CN=Managed Service Accounts", "container", "1EB93889E40C45DF9F0C64D23BBB6237"),
    ("CN=Program Data", "container", "09460C08AE1E4A4EA0F64AEE7DAA1E5A"),
];

/// Groups in CN=Users: name, RID, groupType.
const GROUPS: &[(&str, u32, i64)] = &[
    ("Domain Admins", 512, -2_147_483_646),
    ("Domain Users", 513, -2_147_483_646),
    ("Domain Guests", 514, -2_147_483_646),
    ("Domain Computers", 515, -2_147_483_646),
    ("Domain Controllers", 516, -2_147_483_646),
    ("Cert Publishers", 517, -2_147_483_644),
    ("Schema Admins", 518, -2_147_483_640),
    ("Enterprise Admins", 519, -2_147_483_640),
    ("Group Policy Creator Owners", 520, -2_147_483_646),
    ("Read-only Domain Controllers", 521, -2_147_483_646),
    ("Protected Users", 525, -2_147_483_646),
    ("DnsAdmins", 1101, -2_147_483_644),
    ("DnsUpdateProxy", 1102, -2_147_483_646),
];

/// Groups in CN=Builtin: name, RID, members.
const BUILTIN: &[(&str, u32, &[&str])] = &[
    (
        "Administrators",
        544,
        &["CN=Administrator,CN=Users", "CN=Domain Admins,CN=Users", "CN=Enterprise Admins,CN=Users"],
    ),
    ("Users", 545, &["CN=Domain Users,CN=Users", "<SID=S-1-5-4>", "<SID=S-1-5-11>"]),
    ("Guests", 546, &["CN=Guest,CN=Users", "CN=Domain Guests,CN=Users"]),
    ("Account Operators", 548, &[]),
    ("Server Operators", 549, &[]),
    ("Print Operators", 550, &[]),
    ("Backup Operators", 551, &[]),
    ("Replicator", 552, &[]),
    ("Remote Desktop Users", 555, &[]),
    ("Event Log Readers", 573, &[]),
    ("Remote Management Users", 580, &[]),
];

impl State {
    pub(crate) fn furnish(&mut self, root: &Dn) -> Result<(), Refusal> {
        self.domain_head(root);
        self.configuration(root)?;
        self.containers()?;
        self.people()?;
        self.groups()?;
        self.controller()?;
        self.well_known_values();
        Ok(())
    }

    fn domain_head(&mut self, root: &Dn) {
        let mut draft = Draft { sid: Some(self.domain_sid.clone()), ..Draft::default() };
        draft.set("objectClass", ["top", "domain", "domainDNS"].map(|class| class.as_bytes().to_vec()).to_vec());
        for (name, value) in [
            ("instanceType", "5"),
            ("objectCategory", &format!("CN=Domain-DNS,CN=Schema,CN=Configuration,{root}")),
            ("dc", root.0.first().map_or("", |rdn| rdn.value.as_str())),
            ("forceLogoff", "-9223372036854775808"),
            ("lockoutDuration", "-18000000000"),
            ("lockOutObservationWindow", "-18000000000"),
            ("lockoutThreshold", "0"),
            ("maxPwdAge", "-36288000000000"),
            ("minPwdAge", "-864000000000"),
            ("minPwdLength", "7"),
            ("pwdProperties", "1"),
            ("msDS-Behavior-Version", "7"),
            ("systemFlags", "-1946157056"),
            ("isCriticalSystemObject", "TRUE"),
        ] {
            draft.text(name, value);
        }
        self.create_head(root, draft);
    }

    fn head(&mut self, text: &str, class: &str, category: &str) -> Result<Id, Refusal> {
        let dn = Dn::parse(text).ok_or_else(|| Refusal::new(34, text))?;
        let mut draft = Draft::default();
        draft.set("objectClass", ["top", class].map(|class| class.as_bytes().to_vec()).to_vec());
        draft.text("objectCategory", &format!("CN={category},CN=Schema,CN=Configuration,{}", self.root_dn()));
        draft.text("instanceType", "13");
        draft.text(if text.starts_with("DC=") { "dc" } else { "cn" }, &dn.0[0].value);
        Ok(self.create_head(&dn, draft))
    }

    fn simple(&mut self, parent: Id, name: &str, class: &str) -> Result<Id, Refusal> {
        let (attribute, value) = name.split_once('=').unwrap_or(("CN", name));
        let mut draft = Draft::default();
        draft.text("objectClass", class);
        self.create(parent, Rdn::new(attribute, value), draft)
    }

    fn configuration(&mut self, root: &Dn) -> Result<(), Refusal> {
        let configuration = self.head(&format!("CN=Configuration,{root}"), "configuration", "Configuration")?;
        let schema = self.head(&format!("CN=Schema,CN=Configuration,{root}"), "dMD", "DMD")?;
        self.head(&format!("DC=DomainDnsZones,{root}"), "domainDNS", "Domain-DNS")?;
        self.head(&format!("DC=ForestDnsZones,{root}"), "domainDNS", "Domain-DNS")?;
        for (cn, _) in schema::CATEGORIES {
            self.simple(schema, cn, "classSchema")?;
        }
        let sites = self.simple(configuration, "Sites", "sitesContainer")?;
        let site = self.simple(sites, "Default-First-Site-Name", "site")?;
        let servers = self.simple(site, "Servers", "serversContainer")?;
        let mut server = Draft::default();
        server.text("objectClass", "server");
        server.text("dNSHostName", &self.dns_host());
        let server = self.create(servers, Rdn::new("CN", &self.host.clone()), server)?;
        let mut settings = Draft::default();
        settings.text("objectClass", "nTDSDSA");
        settings.set("invocationId", vec![self.invocation.to_wire().to_vec()]);
        settings.text("options", "1");
        self.create(server, Rdn::new("CN", "NTDS Settings"), settings)?;
        let services = self.simple(configuration, "Services", "container")?;
        let windows = self.simple(services, "Windows NT", "container")?;
        let mut service = Draft::default();
        service.text("objectClass", "nTDSService");
        service.text("tombstoneLifetime", "180");
        self.create(windows, Rdn::new("CN", "Directory Service"), service)?;
        let partitions = self.simple(configuration, "Partitions", "crossRefContainer")?;
        let mut cross = Draft::default();
        cross.text("objectClass", "crossRef");
        cross.text("nETBIOSName", &self.netbios.clone());
        cross.text("nCName", &root.to_string());
        cross.text("dnsRoot", &root.dns_name());
        cross.text("systemFlags", "3");
        self.create(partitions, Rdn::new("CN", &self.netbios.clone()), cross)?;
        Ok(())
    }

    fn containers(&mut self) -> Result<(), Refusal> {
        for &(name, class, guid) in CONTAINERS {
            let id = self.simple(Id::ROOT, name, class)?;
            self.store(id, "systemFlags", vec![b"-1946157056".to_vec()], 0);
            self.store(id, "isCriticalSystemObject", vec![b"TRUE".to_vec()], 0);
            if name == "CN=Deleted Objects" {
                self.deleted_objects = id;
            }
            if !guid.is_empty() {
                self.well_known.push((guid, id));
            }
        }
        Ok(())
    }

    fn well_known_values(&mut self) {
        let values = self.well_known.iter().map(|(guid, id)| format!("B:32:{guid}:{}", self.dn(*id)).into_bytes());
        let values = values.collect();
        self.store(Id::ROOT, "wellKnownObjects", values, 0);
    }

    fn place(&self, name: &str) -> Result<Id, Refusal> {
        let found = self.complete(name).and_then(|dn| self.resolve(&dn).ok());
        found.ok_or_else(|| Refusal::new(32, format!("{name} is missing")))
    }

    fn people(&mut self) -> Result<(), Refusal> {
        let users = self.place("CN=Users")?;
        let people = [
            ("Administrator", 500, "66048", 513, "Built-in account for administering the computer/domain"),
            ("Guest", 501, "66082", 514, "Built-in account for guest access to the computer/domain"),
            ("krbtgt", 502, "514", 513, "Key Distribution Center Service Account"),
        ];
        for (name, rid, control, group, description) in people {
            let mut draft = Draft { sid: Some(self.domain_sid.with_rid(rid)), ..Draft::default() };
            draft.text("objectClass", "user");
            draft.text("sAMAccountName", name);
            draft.text("userAccountControl", control);
            draft.text("primaryGroupID", &group.to_string());
            draft.text("description", description);
            draft.text("isCriticalSystemObject", "TRUE");
            if name != "Guest" {
                draft.text("adminCount", "1");
            }
            self.create(users, Rdn::new("CN", name), draft)?;
        }
        Ok(())
    }

    fn groups(&mut self) -> Result<(), Refusal> {
        let (users, builtin) = (self.place("CN=Users")?, self.place("CN=Builtin")?);
        for &(name, rid, kind) in GROUPS {
            let mut draft = Draft { sid: Some(self.domain_sid.with_rid(rid)), ..Draft::default() };
            draft.text("objectClass", "group");
            draft.text("groupType", &kind.to_string());
            draft.text("isCriticalSystemObject", "TRUE");
            if matches!(name, "Domain Admins" | "Schema Admins" | "Enterprise Admins" | "Group Policy Creator Owners") {
                draft.text("member", &format!("CN=Administrator,CN=Users,{}", self.root_dn()));
            }
            self.create(users, Rdn::new("CN", name), draft)?;
        }
        for &(name, rid, members) in BUILTIN {
            let sid = format!("S-1-5-32-{rid}").parse().map_err(|_| Refusal::new(19, name))?;
            let mut draft = Draft { sid: Some(sid), ..Draft::default() };
            draft.text("objectClass", "group");
            draft.text("groupType", "-2147483643");
            draft.text("systemFlags", "-1946157056");
            draft.text("isCriticalSystemObject", "TRUE");
            let root = self.root_dn();
            let full =
                |member: &&str| if member.starts_with('<') { (*member).to_owned() } else { format!("{member},{root}") };
            draft.set("member", members.iter().map(|member| full(member).into_bytes()).collect());
            let id = self.create(builtin, Rdn::new("CN", name), draft)?;
            // The aliases of S-1-5-32 are local groups to everybody who asks for their type.
            self.store(id, "sAMAccountType", vec![b"536870912".to_vec()], 0);
        }
        Ok(())
    }

    fn controller(&mut self) -> Result<(), Refusal> {
        let parent = self.place("OU=Domain Controllers")?;
        let mut draft = Draft { sid: Some(self.domain_sid.with_rid(1000)), ..Draft::default() };
        draft.text("objectClass", "computer");
        draft.text("userAccountControl", "532480");
        draft.text("dNSHostName", &self.dns_host());
        draft.text("operatingSystem", "Windows Server 2022 Standard");
        draft.text("operatingSystemVersion", "10.0 (20348)");
        draft.text("isCriticalSystemObject", "TRUE");
        self.create(parent, Rdn::new("CN", &self.host.clone()), draft)?;
        Ok(())
    }

    pub(crate) fn dns_host(&self) -> String {
        format!("{}.{}", self.host.to_lowercase(), self.root_dn().dns_name())
    }

    /// Gives the database a new invocationId, as a restore does.
    pub(crate) fn renew_invocation(&mut self) {
        let old = self.invocation;
        self.invocation = Guid::derive(self.seed, &old.to_string(), self.usn);
        let id = (0..self.entries.len()).map(Id).find(|id| self.entry(*id).has_class("nTDSDSA"));
        if let Some(id) = id {
            self.store(id, "invocationId", vec![self.invocation.to_wire().to_vec()], 0);
        }
    }
}
