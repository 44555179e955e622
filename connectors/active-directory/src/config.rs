//! The settings of one endpoint. It opens nothing and reads no file; what all views of a domain share is checked by
//! `tenantry-ldap`.

use tenantry::Secret;
use tenantry_ldap::domain::DomainConfig;

/// Whether contacts come in as users of kind contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Contacts {
    /// They are members of groups only.
    #[default]
    Ignored,
    /// They come in.
    Imported,
}

/// Whether the groups of `CN=Builtin` come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BuiltinGroups {
    /// They are left out.
    #[default]
    Ignored,
    /// They come in.
    Imported,
}

/// How to reach a domain, and which part of it comes in.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ActiveDirectoryConfig {
    /// The domain, the account, and what is selected.
    pub domain: DomainConfig,
    /// Whether contacts come in.
    pub contacts: Contacts,
    /// Whether the groups of `CN=Builtin` come in.
    pub builtin_groups: BuiltinGroups,
}

impl ActiveDirectoryConfig {
    /// Creates settings for one server, with everything else as by default.
    pub fn new(url: impl Into<String>, bind: impl Into<String>, password: Secret) -> Self {
        DomainConfig::new(url, bind, password).into()
    }
}

impl From<DomainConfig> for ActiveDirectoryConfig {
    fn from(domain: DomainConfig) -> Self {
        Self { domain, contacts: Contacts::default(), builtin_groups: BuiltinGroups::default() }
    }
}
