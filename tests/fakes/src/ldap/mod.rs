//! A stateful LDAP server that behaves like an Active Directory domain controller; it knows nothing of tenantry.

mod ber;
mod bind;
mod clock;
mod controls;
mod directory;
mod dirsync;
mod dn;
mod entry;
mod faults;
mod filter;
mod ids;
mod log;
mod message;
mod rootdse;
mod schema;
mod search;
mod server;
mod session;
mod settings;
mod tls;
mod update;
mod view;

pub use directory::account::{LogonRule, WriteRights};
pub use directory::builder::{ComputerBuilder, ComputerKind, ContactBuilder, GroupBuilder, GroupScope, UserBuilder};
pub use directory::ldif::LdifError;
pub use directory::rights::RightsEditor;
pub use directory::{Directory, Target};
pub use faults::{Fault, Faults, When};
pub use ids::{BadIdentifier, Guid, Sid};
pub use log::{Logged, Request, RequestLog};
pub use server::FakeLdap;
pub use settings::{DirSyncDenial, RangeEnd, RangeSpelling, Settings};
