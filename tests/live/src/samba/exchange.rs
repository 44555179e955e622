//! An Exchange organisation in a Samba domain: the attributes that its setup adds to the schema, and its settings.
//!
//! It must not know what a connector reads of them. Samba's own schema has none of it. Syntaxes, sizes and the link of
//! `homeMDB` are as in Exchange's schema; numbers are made up, because LDAP clients go by names.

use std::fmt::Write as _;

use super::{BASE_DN, SambaDc};
use crate::error::Result;

/// Numbers of experiments.
const ARC: &str = "1.3.6.1.4.1.4203.666.77";
/// The property set that every account may read, by its schema GUID e48d0154-bcf8-11d1-8702-00c04fb96050. Exchange has a
/// set of its own, which is granted likewise.
const READABLE: &str = "VAGN5Pi80RGHAgDAT7lgUA==";

/// Name, common name, and the two numbers of its syntax.
const ATTRIBUTES: &[(&str, &str, &str, u8)] = &[
    ("mailNickname", "ms-Exch-Mail-Nickname", "2.5.5.12", 64),
    ("targetAddress", "ms-Exch-Target-Address", "2.5.5.12", 64),
    ("homeMDB", "ms-Exch-Home-MDB", "2.5.5.1", 127),
    ("homeMDBBL", "ms-Exch-Home-MDB-BL", "2.5.5.1", 127),
    ("msExchHomeServerName", "ms-Exch-Home-Server-Name", "2.5.5.12", 64),
    ("msExchMailboxGuid", "ms-Exch-Mailbox-Guid", "2.5.5.10", 4),
    ("msExchMasterAccountSid", "ms-Exch-Master-Account-Sid", "2.5.5.17", 4),
    ("msExchRecipientTypeDetails", "ms-Exch-Recipient-Type-Details", "2.5.5.16", 65),
    ("msExchRemoteRecipientType", "ms-Exch-Remote-Recipient-Type", "2.5.5.16", 65),
    ("msExchRecipientDisplayType", "ms-Exch-Recipient-Display-Type", "2.5.5.9", 2),
    ("msExchHideFromAddressLists", "ms-Exch-Hide-From-Address-Lists", "2.5.5.8", 1),
    ("msExchVersion", "ms-Exch-Version", "2.5.5.16", 65),
    ("msExchDynamicDLFilter", "ms-Exch-Dynamic-DL-Filter", "2.5.5.12", 64),
    ("msExchDynamicDLBaseDN", "ms-Exch-Dynamic-DL-BaseDN", "2.5.5.1", 127),
];

/// The mailbox database that `homeMDB` names.
const DATABASE: &str = "CN=DB01,CN=Databases,CN=First Organization,CN=Microsoft Exchange,CN=Services,CN=Configuration";

impl SambaDc {
    /// Adds what Exchange's setup adds: schema and settings. The controller is stopped for it, and started again.
    pub fn add_exchange(&mut self) -> Result<()> {
        self.stop();
        let allowed = ["--option=dsdb:schema update allowed=true"];
        // One after the other: a class may name what is there already.
        for ldif in [attributes(), storage(), dynamic_group(), attachments(), settings()] {
            self.ldbmodify_offline(&ldif, &allowed)?;
        }
        self.start()
    }

    /// Returns the name of the organisation's only database.
    pub fn mailbox_database(&self) -> String {
        format!("{DATABASE},{BASE_DN}")
    }
}

fn schema(cn: &str) -> String {
    format!("dn: CN={cn},CN=Schema,CN=Configuration,{BASE_DN}\n")
}

fn attributes() -> String {
    let mut ldif = String::new();
    for (number, (name, cn, syntax, om)) in ATTRIBUTES.iter().enumerate() {
        let single = if *name == "homeMDBBL" { "FALSE" } else { "TRUE" };
        let _ = write!(
            ldif,
            "{}changetype: add\nobjectClass: attributeSchema\nattributeID: {ARC}.1.{}\nattributeSyntax: {syntax}\n\
             oMSyntax: {om}\nisSingleValued: {single}\nlDAPDisplayName: {name}\nadminDisplayName: {cn}\nsearchFlags: 1\n\
             attributeSecurityGUID:: {READABLE}\nshowInAdvancedViewOnly: TRUE\n",
            schema(cn),
            number + 1
        );
        if *om == 127 {
            ldif.push_str("oMObjectClass:: KwwCh3McAIVK\n");
        }
        match *name {
            "homeMDB" => ldif.push_str("linkID: 32\n"),
            "homeMDBBL" => ldif.push_str("linkID: 33\nsystemOnly: TRUE\n"),
            _ => {}
        }
        ldif.push('\n');
    }
    ldif
}

fn contained() -> String {
    ATTRIBUTES.iter().fold(String::new(), |mut lines, (name, ..)| {
        let _ = writeln!(lines, "mayContain: {name}");
        lines
    })
}

/// The class by which every recipient may have them.
fn storage() -> String {
    format!(
        "{}changetype: add\nobjectClass: classSchema\ngovernsID: {ARC}.2.1\nlDAPDisplayName: msExchMailStorage\n\
         adminDisplayName: ms-Exch-Mail-Storage\nsubClassOf: top\nobjectClassCategory: 3\n{}\n",
        schema("ms-Exch-Mail-Storage"),
        contained()
    )
}

fn dynamic_group() -> String {
    format!(
        "{}changetype: add\nobjectClass: classSchema\ngovernsID: {ARC}.2.2\n\
         lDAPDisplayName: msExchDynamicDistributionList\nadminDisplayName: ms-Exch-Dynamic-Distribution-List\n\
         subClassOf: top\nobjectClassCategory: 1\nrDNAttID: cn\npossSuperiors: organizationalUnit\n\
         possSuperiors: container\nauxiliaryClass: msExchMailStorage\nauxiliaryClass: mailRecipient\n\
         mayContain: displayName\n\
         defaultSecurityDescriptor: D:(A;;RPWPCRCCDCLCLORCWOWDSDDTSW;;;DA)(A;;RPWPCRCCDCLCLORCWOWDSDDTSW;;;SY)\
         (A;;RPLCLORC;;;AU)\n\n",
        schema("ms-Exch-Dynamic-Distribution-List")
    )
}

fn attachments() -> String {
    ["User", "Group", "Contact"].into_iter().fold(String::new(), |mut ldif, class| {
        let add = "changetype: modify\nadd: auxiliaryClass\nauxiliaryClass: msExchMailStorage\n";
        let _ = writeln!(ldif, "{}{add}", schema(class));
        ldif
    })
}

/// Containers down to the database, outermost first. The real ones have classes of their own.
fn settings() -> String {
    let names: Vec<&str> = DATABASE.split(',').collect();
    let mut ldif = String::new();
    for from in (0..names.len() - 2).rev() {
        let class = if names[from] == "CN=Microsoft Exchange" { "msExchConfigurationContainer" } else { "container" };
        let dn = names[from..].join(",");
        let _ = write!(ldif, "dn: {dn},{BASE_DN}\nchangetype: add\nobjectClass: {class}\n\n");
    }
    ldif
}
