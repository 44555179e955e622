//! The keys that only the kind `active-directory` has, besides those of every domain.
//!
//! It knows what they may be, not how a domain is read.

use tenantry_active_directory::{ActiveDirectoryConfig, BuiltinGroups, Contacts};
use tenantry_ldap::Filter;

use crate::domain::{self, DomainSettings};
use crate::key::{Form, Key};
use crate::reading::Reading;
use crate::table::Table;

/// Everything that an endpoint of the kind `active-directory` needs.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ActiveDirectorySettings {
    /// The domain, the account, and what is selected.
    pub domain: DomainSettings,
    /// Which computers; none for all.
    pub computers: Option<Filter>,
    /// Whether contacts come in as users of the kind contact.
    pub contacts: bool,
    /// Whether the groups of `CN=Builtin` come in.
    pub builtin_groups: bool,
}

impl From<&ActiveDirectorySettings> for ActiveDirectoryConfig {
    /// Says the same in the words of the connector.
    fn from(settings: &ActiveDirectorySettings) -> Self {
        let mut config = Self::from(tenantry_ldap::domain::DomainConfig::from(&settings.domain));
        config.domain.computers = settings.computers.as_ref().map(ToString::to_string);
        config.contacts = if settings.contacts { Contacts::Imported } else { Contacts::Ignored };
        config.builtin_groups = if settings.builtin_groups { BuiltinGroups::Imported } else { BuiltinGroups::Ignored };
        config
    }
}

/// The keys that only endpoints of this kind have.
pub(crate) const KEYS: &[Key] = &[
    Key::optional("computers", Form::Text, "LDAP filter: only computers that it selects."),
    Key::optional("contacts", Form::Switch, "Whether contacts come in as users of kind contact."),
    Key::optional("builtin_groups", Form::Switch, "Whether the groups of CN=Builtin come in."),
];

/// Reads what is left in the table of an endpoint.
pub(crate) fn read(mut table: Table<'_>, reading: &mut Reading<'_>) -> Option<ActiveDirectorySettings> {
    let domain = domain::read(&mut table, reading);
    let computers = table.take("computers").and_then(|field| domain::read_filter(&field, reading));
    let contacts = table.take("contacts").and_then(|field| field.switch(reading)).unwrap_or_default();
    let builtin_groups = table.take("builtin_groups").and_then(|field| field.switch(reading)).unwrap_or_default();
    table.finish(reading);
    Some(ActiveDirectorySettings { domain: domain?, computers, contacts, builtin_groups })
}
