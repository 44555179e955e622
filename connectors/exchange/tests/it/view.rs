//! The view of a domain that these tests are about, for those that every view has: the recipients of Exchange.

use tenantry_fakes::ldap::{Directory, Guid};

pub(crate) use tenantry_exchange::{Ldap as View, LdapConfig as Config};

/// Whether computers come in.
pub(crate) const COMPUTERS: bool = false;
/// Whether primary groups are told.
pub(crate) const PRIMARY_GROUPS: bool = false;

/// Checks of the suite that this view has no use for: primary groups do not matter to Exchange, and accounts are changed
/// through Active Directory's own connector.
pub(crate) const NOT_TRIED: &[&str] = &[
    "snapshot::names_primary_groups",
    "actor::knows_without_the_network_what_it_offers",
    "actor::begin_changes_nothing",
    "actor::begin_tells_what_concerns_every_account",
    "actor::touches_nothing_else",
    "actor::twice_is_once",
    "actor::leaves_alone_what_is_not_its_own",
    "actor::a_refusal_is_no_error",
    "actor::reads_back_what_it_did",
    "actor::a_cancellation_tells_whether_something_was_sent",
];

const TYPE: &str = "msExchRecipientTypeDetails";
const DATABASE: &str = "CN=DB01,CN=Databases,CN=Microsoft Exchange,CN=Services,CN=Configuration,DC=corp,DC=example";

/// Adds what a domain needs for this view.
pub(crate) fn furnish(directory: &Directory) {
    directory.add_exchange();
}

fn is(directory: &Directory, guid: Guid, class: &str) -> bool {
    directory.get(guid, "objectClass").iter().any(|known| known == class)
}

/// Makes an object a recipient, or takes it off mail in one of the ways that there are: 0 is the former.
pub(crate) fn enrol(directory: &Directory, guid: Guid, how: u8) {
    let is_group = is(directory, guid, "group");
    let set = |name: &str, value: &str| directory.set(guid, name, [value]);
    let clear = |name: &str| {
        if !directory.get(guid, name).is_empty() {
            directory.clear(guid, name);
        }
    };
    match how % 7 {
        // Taken off, and nothing stays.
        1 => ["mailNickname", "homeMDB", TYPE].map(clear).into_iter().collect(),
        // Taken off, and an alias stays.
        2 => set(TYPE, if is_group { "262144" } else { "65536" }),
        // Becomes one of Exchange's own.
        3 => set(TYPE, if is_group { "1073741824" } else { "8388608" }),
        // As Exchange 2003 left it.
        4 => {
            set("mailNickname", "old");
            clear(TYPE);
        }
        5 if !is_group => {
            set("mailNickname", "room");
            set(TYPE, "16");
        }
        _ => {
            set("mailNickname", "alias");
            set(TYPE, if is_group { "256" } else { "1" });
            if !is_group {
                set("homeMDB", DATABASE);
            }
            if let Some(mail) = directory.get(guid, "mail").first().filter(|mail| mail.contains('@')) {
                set("proxyAddresses", &format!("SMTP:{mail}"));
            }
        }
    }
}

/// Tells whether an object comes in, wherever it lies: by what was done to it above, not by the connector's tables.
pub(crate) fn comes_in(directory: &Directory, guid: Guid) -> bool {
    let has = |name: &str| !directory.get(guid, name).is_empty();
    let details = directory.get(guid, TYPE).concat();
    match details.as_str() {
        _ if is(directory, guid, "computer") => false,
        "1" | "16" | "256" => true,
        "" => has("mailNickname") && (is(directory, guid, "group") || has("homeMDB")),
        _ => false,
    }
}

/// Gives a user an address, or takes it away.
pub(crate) fn address(directory: &Directory, user: Guid, mail: Option<&str>) {
    directory.set(user, "mail", mail);
    directory.set(user, "proxyAddresses", mail.map(|mail| format!("SMTP:{mail}")));
}
