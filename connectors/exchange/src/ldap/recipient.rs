//! What an object of the directory is to Exchange: by its type, and by the rule of 2003 where it has none.
//!
//! It must not know what becomes of a recipient, nor how it is read.

use tenantry::Result;
use tenantry::model::{GroupKind, UserKind};
use tenantry_ldap::Entry;
use tenantry_ldap::domain::exclusion::{Exclusion, is_of_class};
use tenantry_ldap::domain::map::{Account, DISABLED};

/// The class of groups whose members are computed.
pub(crate) const DYNAMIC_GROUP: &str = "msExchDynamicDistributionList";

/// The account itself: what stands there where nobody of another forest signs in.
const SELF: &str = "S-1-5-10";

/// Attributes that tell what an object is to Exchange.
pub(crate) const DECIDING: &[&str] = &[
    "mailNickname",
    "msExchRecipientTypeDetails",
    "homeMDB",
    "msExchHomeServerName",
    "targetAddress",
    "msExchMasterAccountSid",
];

/// What an object is to Exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Recipient {
    /// Somebody, or a mailbox that is nobody's own.
    User(User),
    /// A group.
    Group(Group),
    /// None, and why.
    None(Exclusion),
}

/// A recipient that is no group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct User {
    /// What Exchange calls it.
    pub(crate) name: &'static str,
    pub(crate) kind: UserKind,
    /// What its account says.
    pub(crate) account: Account,
    /// Whether its mail goes elsewhere for good: then the address there may be the only one.
    pub(crate) is_elsewhere: bool,
}

/// A group that receives mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Group {
    /// What Exchange calls it.
    pub(crate) name: &'static str,
    pub(crate) kind: GroupKind,
}

const NOT_ENABLED: Exclusion = "not enabled for mail";
const OF_EXCHANGE: Exclusion = "mailbox of Exchange itself";

/// The account is disabled by design: others open the mailbox.
const fn opened(name: &'static str, kind: UserKind) -> Recipient {
    Recipient::User(User { name, kind, account: Account::DisabledByDesign, is_elsewhere: false })
}

const fn person(name: &'static str) -> Recipient {
    Recipient::User(User { name, kind: UserKind::Person, account: Account::Decides, is_elsewhere: false })
}

const MAIL_USER: Recipient =
    Recipient::User(User { name: "mail-user", kind: UserKind::Person, account: Account::Decides, is_elsewhere: true });

const fn contact(name: &'static str) -> Recipient {
    Recipient::User(User { name, kind: UserKind::Contact, account: Account::None, is_elsewhere: true })
}

const fn group(name: &'static str, kind: GroupKind) -> Recipient {
    Recipient::Group(Group { name, kind })
}

/// The types of users (`msExchRecipientTypeDetails`): 64 bits, of which one is set.
const USERS: &[(i64, Recipient)] = &[
    (1, person("user-mailbox")),
    (2, opened("linked-mailbox", UserKind::Person)),
    (4, opened("shared-mailbox", UserKind::Shared)),
    (16, opened("room-mailbox", UserKind::Room)),
    (32, opened("equipment-mailbox", UserKind::Equipment)),
    (128, MAIL_USER),
    (65_536, Recipient::None(NOT_ENABLED)),
    (2_097_152, Recipient::None(NOT_ENABLED)),
    (33_554_432, Recipient::None(NOT_ENABLED)),
    (2_147_483_648, person("remote-user-mailbox")),
    (8_589_934_592, opened("remote-room-mailbox", UserKind::Room)),
    (17_179_869_184, opened("remote-equipment-mailbox", UserKind::Equipment)),
    (34_359_738_368, opened("remote-shared-mailbox", UserKind::Shared)),
    (137_438_953_472, opened("team-mailbox", UserKind::Shared)),
    (274_877_906_944, opened("remote-team-mailbox", UserKind::Shared)),
    (2_199_023_255_552, opened("linked-room-mailbox", UserKind::Room)),
    // What Exchange writes its own audit logs to.
    (4_398_046_511_104, Recipient::None(OF_EXCHANGE)),
    (70_368_744_177_664, Recipient::None(OF_EXCHANGE)),
];

/// The types of contacts.
const CONTACTS: &[(i64, Recipient)] =
    &[(64, contact("mail-contact")), (32_768, contact("mail-forest-contact")), (131_072, Recipient::None(NOT_ENABLED))];

/// The types of groups.
const GROUPS: &[(i64, Recipient)] = &[
    (256, group("distribution-group", GroupKind::Distribution)),
    (1024, group("security-group", GroupKind::MailSecurity)),
    (262_144, Recipient::None(NOT_ENABLED)),
    (524_288, Recipient::None(NOT_ENABLED)),
    (1_048_576, Recipient::None(NOT_ENABLED)),
    (268_435_456, group("room-list", GroupKind::Distribution)),
    (1_073_741_824, Recipient::None("group of administrators' roles")),
    (1_099_511_627_776, group("group-mailbox", GroupKind::Microsoft365)),
];

impl Recipient {
    /// Says what a user or contact is.
    pub(crate) fn of_user(entry: &Entry) -> Result<Self> {
        let details = entry.i64("msExchRecipientTypeDetails")?;
        if is_of_class(entry, "contact")? {
            return match known(CONTACTS, details) {
                Some(recipient) => Ok(recipient),
                None if enabled(entry) || entry.is_present("targetAddress") => Ok(contact("mail-contact")),
                None => Ok(Self::None(NOT_ENABLED)),
            };
        }
        match known(USERS, details) {
            Some(recipient) => Ok(recipient),
            None => Self::of_2003(entry),
        }
    }

    /// Objects that no Exchange since 2007 has touched have no type.
    fn of_2003(entry: &Entry) -> Result<Self> {
        if entry.is_present("homeMDB") || entry.is_present("msExchHomeServerName") {
            let disabled = entry.i64("userAccountControl")?.is_some_and(|flags| flags & DISABLED != 0);
            let master = entry.sid("msExchMasterAccountSid")?.map(|sid| sid.to_string());
            return Ok(match master.as_deref() {
                // It was given to nobody in particular, and its own account was put out of use.
                Some(SELF) if disabled => opened("legacy-mailbox", UserKind::Shared),
                Some(master) if master != SELF => opened("linked-mailbox", UserKind::Person),
                _ => person("legacy-mailbox"),
            });
        }
        if entry.is_present("targetAddress") {
            return Ok(MAIL_USER);
        }
        Ok(Self::None(NOT_ENABLED))
    }

    /// Says what a group is.
    pub(crate) fn of_group(entry: &Entry) -> Result<Self> {
        if is_dynamic(entry)? {
            return Ok(group("dynamic-distribution-group", GroupKind::Dynamic));
        }
        let details = entry.i64("msExchRecipientTypeDetails")?;
        if let Some(recipient) = known(GROUPS, details) {
            return Ok(recipient);
        }
        // Also the one type of groups that are not universal, which grant rights or do not.
        if details != Some(512) && !enabled(entry) {
            return Ok(Self::None(NOT_ENABLED));
        }
        let flags = entry.i64("groupType")?.unwrap_or(0);
        let (security, universal) = (flags & 0x8000_0000 != 0, flags & 0x8 != 0);
        let kind = if security { GroupKind::MailSecurity } else { GroupKind::Distribution };
        Ok(group(
            match (universal, security) {
                (false, _) => "non-universal-group",
                (true, true) => "security-group",
                (true, false) => "distribution-group",
            },
            kind,
        ))
    }
}

/// Tells whether the members of a group are computed.
pub(crate) fn is_dynamic(entry: &Entry) -> Result<bool> {
    is_of_class(entry, DYNAMIC_GROUP)
}

/// Returns the account of another forest whose mailbox this is.
pub(crate) fn master_account(entry: &Entry) -> Result<Option<String>> {
    let master = entry.sid("msExchMasterAccountSid")?.map(|sid| sid.to_string());
    Ok(master.filter(|master| master != SELF))
}

/// What is enabled for mail has an alias, in every version.
fn enabled(entry: &Entry) -> bool {
    entry.is_present("mailNickname")
}

fn known(table: &[(i64, Recipient)], details: Option<i64>) -> Option<Recipient> {
    let details = details?;
    table.iter().find(|(number, _)| *number == details).map(|(_, recipient)| *recipient)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_type_is_in_two_tables_and_each_is_one_bit_of_64() {
        let mut all: Vec<i64> = [USERS, CONTACTS, GROUPS].concat().iter().map(|(number, _)| *number).collect();
        assert!(all.iter().all(|number| number.count_ones() == 1));
        all.sort_unstable();
        let count = all.len();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}
