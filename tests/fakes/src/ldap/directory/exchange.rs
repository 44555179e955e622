//! What Exchange puts into a directory: its settings, its own mailboxes, and what makes an object a recipient.
//!
//! It must not know how any of it is read.

use super::builder::GroupScope;
use super::{Directory, Target};
use crate::ldap::ids::Guid;

/// What an object becomes to Exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailType {
    /// Somebody with a mailbox in the organisation.
    Mailbox,
    /// The same as Exchange 2003 leaves it: without a type.
    MailboxOf2003,
    /// The mailbox of an account in another forest; the own account is disabled.
    Linked,
    /// A mailbox that several people open; the own account is disabled.
    Shared,
    /// A room; the own account is disabled.
    Room,
    /// A thing to be booked; the own account is disabled.
    Equipment,
    /// Somebody whose mail goes elsewhere.
    MailUser,
    /// Somebody with a mailbox in the cloud.
    Remote,
    /// A contact.
    Contact,
    /// A universal group.
    Group,
    /// A group of rooms.
    RoomList,
    /// A mailbox that Exchange watches itself with: enabled and hidden.
    Monitoring,
    /// A mailbox that Exchange asks for approvals with.
    Arbitration,
}

impl MailType {
    /// Returns `msExchRecipientTypeDetails`.
    pub fn details(self) -> Option<i64> {
        Some(match self {
            Self::MailboxOf2003 => return None,
            Self::Mailbox => 1,
            Self::Linked => 2,
            Self::Shared => 4,
            Self::Room => 16,
            Self::Equipment => 32,
            Self::Contact => 64,
            Self::MailUser => 128,
            Self::Group => 256,
            Self::Arbitration => 8_388_608,
            Self::RoomList => 268_435_456,
            Self::Remote => 2_147_483_648,
            Self::Monitoring => 549_755_813_888,
        })
    }

    fn has_mailbox(self) -> bool {
        use MailType::{Arbitration, Equipment, Linked, Mailbox, MailboxOf2003, Monitoring, Room, Shared};
        matches!(self, Mailbox | MailboxOf2003 | Linked | Shared | Room | Equipment | Monitoring | Arbitration)
    }

    fn is_disabled(self) -> bool {
        matches!(self, Self::Linked | Self::Shared | Self::Room | Self::Equipment | Self::Arbitration)
    }
}

/// Everything that taking an object off mail clears.
const ENABLED: &[&str] = &[
    "mailNickname",
    "mail",
    "proxyAddresses",
    "targetAddress",
    "homeMDB",
    "legacyExchangeDN",
    "msExchRecipientTypeDetails",
    "msExchMasterAccountSid",
    "msExchHideFromAddressLists",
];

impl Directory {
    /// Adds the organisation Corp: its settings and servers, its system objects, and the mailboxes that it makes for itself.
    #[track_caller]
    pub fn add_exchange(&self) {
        let root = self.root();
        let services = format!("CN=Services,CN=Configuration,{root}");
        let organisation = format!("CN=Corp,CN=Microsoft Exchange,{services}");
        let groups = format!("CN=Administrative Groups,{organisation}");
        let group = format!("CN=Exchange Administrative Group (FYDIBOHF23SPDLT),{groups}");
        self.add_raw(&format!("CN=Microsoft Exchange,{services}"), "msExchConfigurationContainer", &[]);
        self.add_raw(&organisation, "msExchOrganizationContainer", &[]);
        for dn in [&groups, &group, &format!("CN=Servers,{group}"), &format!("CN=Databases,{group}")] {
            self.add_raw(dn, "container", &[]);
        }
        let version = [("serialNumber", "Version 15.1 (Build 32507.6)")];
        self.add_raw(&format!("CN=EX01,CN=Servers,{group}"), "msExchExchangeServer", &version);
        self.add_raw(&format!("CN=DB01,CN=Databases,{group}"), "msExchPrivateMDB", &[]);
        let system = format!("CN=Microsoft Exchange System Objects,{root}");
        self.add_raw(&system, "container", &[]);
        let monitoring = self.add_user(&system, "HealthMailbox1").create();
        self.enable_mail(monitoring, "HealthMailbox1", MailType::Monitoring);
        let users = format!("CN=Users,{root}");
        let approval = "SystemMailbox{bb558c35-97f1-4cb9-8ff7-d53741dc928c}";
        let arbitration = self.add_user(&users, "SM_c5f15b848f534ea8a").named(approval).create();
        self.enable_mail(arbitration, "SystemMailbox1", MailType::Arbitration);
        let roles = format!("OU=Microsoft Exchange Security Groups,{root}");
        self.add_ou(&roles);
        let managers = self.add_group(&roles, "Organization Management").scope(GroupScope::Universal).create();
        self.set(managers, "msExchRecipientTypeDetails", ["1073741824"]);
    }

    /// Makes an object a recipient, with an address of the domain made of its alias.
    #[track_caller]
    pub fn enable_mail(&self, target: impl Into<Target>, alias: &str, what: MailType) {
        let target = self.guid_of(target);
        let root = self.root();
        let address = format!("{alias}@{}", self.dns_host().split_once('.').map_or("", |(_, domain)| domain));
        let text = |attribute: &str, value: &str| self.set(target, attribute, [value]);
        text("mailNickname", alias);
        text("mail", &address);
        text("proxyAddresses", &format!("SMTP:{address}"));
        text("legacyExchangeDN", &format!("/o=Corp/ou=First/cn=Recipients/cn={alias}"));
        if let Some(details) = what.details() {
            text("msExchRecipientTypeDetails", &details.to_string());
        }
        if what.has_mailbox() {
            let databases = "CN=Databases,CN=Exchange Administrative Group (FYDIBOHF23SPDLT),CN=Administrative Groups";
            let services = "CN=Corp,CN=Microsoft Exchange,CN=Services,CN=Configuration";
            text("homeMDB", &format!("CN=DB01,{databases},{services},{root}"));
        }
        match what {
            MailType::Remote => text("targetAddress", &format!("SMTP:{alias}@cloud.example")),
            MailType::MailUser | MailType::Contact => text("targetAddress", &format!("SMTP:{alias}@partner.example")),
            MailType::Monitoring | MailType::Arbitration => text("msExchHideFromAddressLists", "TRUE"),
            MailType::Linked => {
                // S-1-5-21-7-8-9-1105
                let mut sid = vec![1, 5, 0, 0, 0, 0, 0, 5];
                sid.extend([21_u32, 7, 8, 9, 1105].into_iter().flat_map(u32::to_le_bytes));
                self.set(target, "msExchMasterAccountSid", [sid]);
            }
            _ => {}
        }
        if what.is_disabled() {
            text("userAccountControl", "514");
        }
    }

    /// Takes an object off mail, as Exchange does: nothing of it stays.
    #[track_caller]
    pub fn disable_mail(&self, target: impl Into<Target>) {
        let target = self.guid_of(target);
        for attribute in ENABLED {
            if !self.get(target, attribute).is_empty() {
                self.clear(target, attribute);
            }
        }
    }

    /// Adds a group whose members Exchange computes when mail is sent.
    #[track_caller]
    pub fn add_dynamic_group(&self, parent: &str, name: &str, filter: &str) -> Guid {
        let parent = self.dn_of(parent);
        let attributes = [("displayName", name), ("msExchDynamicDLFilter", filter), ("msExchDynamicDLBaseDN", &parent)];
        let group = self.add_raw(&format!("CN={name},{parent}"), "msExchDynamicDistributionList", &attributes);
        let alias: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
        self.enable_mail(group, &alias, MailType::Group);
        self.set(group, "msExchRecipientTypeDetails", ["2048"]);
        group
    }
}
