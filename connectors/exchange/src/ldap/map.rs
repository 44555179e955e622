//! What an entry means to Exchange: pure functions from an entry to a patch. It asks nobody and decides nothing about
//! scope; what all views of a domain share is in `tenantry_ldap::domain::map`.

use tenantry::Result;
use tenantry::model::{AttributeName, Attributes, Patch, Value, names};
use tenantry_ldap::domain::map::{self, Moment};
use tenantry_ldap::{Dn, Entry, Sid};
use uuid::Uuid;

use super::recipient::{Group, User, master_account};

/// Attributes of every recipient, besides those that decide what it is.
pub(crate) const RECIPIENT_ATTRIBUTES: &[&str] =
    &["legacyExchangeDN", "msExchHideFromAddressLists", "msExchRecipientDisplayType"];

/// Attributes of mailboxes.
pub(crate) const MAILBOX_ATTRIBUTES: &[&str] = &["msExchMailboxGuid", "msExchRemoteRecipientType"];

/// Attributes of groups whose members are computed.
pub(crate) const DYNAMIC_ATTRIBUTES: &[&str] = &["msExchDynamicDLFilter", "msExchDynamicDLBaseDN"];

/// Reads a user or contact.
pub(crate) fn user(entry: &Entry, guid: Uuid, dn: &Dn, user: &User, moment: &Moment) -> Result<Patch> {
    let mut patch = map::user(entry, guid, dn, user.kind, user.account, moment)?;
    if let Some(master) = master_account(entry)? {
        // The mailbox is that account's, wherever it lies: in that forest it is known by this id.
        if master.parse::<Sid>().is_ok_and(|sid| sid.domain().is_some()) {
            patch = patch.anchored("security-id", master.as_str());
        }
        patch.attributes.set(AttributeName::extra("master_account_sid"), master);
    }
    let attributes = &mut patch.attributes;
    recipient(entry, user.name, attributes)?;
    let target = target(entry)?;
    // A mailbox that lies elsewhere is written to by its own address; this is only how the mail gets there.
    if user.is_elsewhere && matches!(attributes.get(&names::PRIMARY_EMAIL), Some(Value::Empty)) {
        attributes.set(names::PRIMARY_EMAIL, Value::text(target.filter(map::is_address)));
    }
    attributes.set(AttributeName::extra("target_address"), Value::text(target));
    if let Ok(Some(mailbox)) = entry.guid("msExchMailboxGuid") {
        // All zeros once a mailbox is taken away.
        let mailbox = (!mailbox.is_nil()).then(|| mailbox.to_string());
        attributes.set(AttributeName::extra("mailbox_guid"), Value::text(mailbox.as_deref()));
    }
    if let Some(flags) = entry.i64("msExchRemoteRecipientType")? {
        attributes.set(AttributeName::extra("remote_recipient_type"), flags);
    }
    Ok(patch)
}

/// Reads a group, without its members.
pub(crate) fn group(entry: &Entry, guid: Uuid, dn: &Dn, group: &Group) -> Result<Patch> {
    let mut patch = map::group(entry, guid, dn)?;
    let attributes = &mut patch.attributes;
    attributes.set(names::KIND, group.kind);
    let (_, aliases) = map::addresses(entry)?;
    attributes.set(AttributeName::extra("aliases"), Value::list(aliases));
    recipient(entry, group.name, attributes)?;
    for (name, source) in [("dynamic_filter", "msExchDynamicDLFilter"), ("dynamic_base", "msExchDynamicDLBaseDN")] {
        if entry.is_present(source) {
            attributes.set(AttributeName::extra(name), plain(entry, source)?);
        }
    }
    Ok(patch)
}

/// Reads what every recipient has.
fn recipient(entry: &Entry, name: &'static str, attributes: &mut Attributes) -> Result<()> {
    let mut set = |name: &str, value: Value| attributes.set(AttributeName::extra(name), value);
    set("recipient_type", name.into());
    set("mail_nickname", map::text(entry, "mailNickname")?);
    set("legacy_exchange_dn", map::text(entry, "legacyExchangeDN")?);
    let proxies = entry.texts("proxyAddresses")?;
    set("proxy_addresses", Value::list(proxies));
    // Cleared and hidden from this account look the same: neither says that everybody may see it.
    set("hidden_from_address_lists", entry.flag("msExchHideFromAddressLists")?.map_or(Value::Empty, Value::from));
    // For people only: it says how a program shows it, not what it is.
    set("recipient_display_type", entry.i64("msExchRecipientDisplayType")?.map_or(Value::Empty, Value::from));
    Ok(())
}

/// Returns where mail is passed on to.
fn target(entry: &Entry) -> Result<Option<&str>> {
    let target = entry.text("targetAddress")?.map(str::trim);
    let bare = |text| match str::get(text, ..5) {
        Some(prefix) if prefix.eq_ignore_ascii_case("smtp:") => text[5..].trim(),
        _ => text,
    };
    Ok(target.map(bare))
}

/// Reads a name without the ids that stand before it.
fn plain(entry: &Entry, attribute: &str) -> Result<Value> {
    let text = entry.text(attribute)?;
    let named = text.filter(|text| text.starts_with('<')).and_then(|text| tenantry_ldap::ExtendedDn::parse(text).ok());
    Ok(match named {
        Some(name) => Value::text(Some(&name.dn)),
        None => Value::text(text),
    })
}
