//! A stateful LDAP server that behaves like an Active Directory domain controller; it knows nothing of tenantry.
//!
//! ```
//! use tenantry_fakes::ldap::{Directory, FakeLdap, Fault, When};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let directory = Directory::new("DC=corp,DC=example");
//! directory.add_ou("OU=People");
//! let anna = directory.add_user("OU=People", "aberg").given("Anna").surname("Berg").upn("anna@corp.example").create();
//! directory.add_group("OU=People", "Staff").member(anna).create();
//! directory.add_user("OU=People", "svc").password("secret").create();
//!
//! let server = FakeLdap::start(directory.clone()).await;
//! server.faults().on(When::Page(2), Fault::Cut);
//! assert!(server.url().starts_with("ldap://127.0.0.1:"));
//! // A client would bind here as `CORP\svc` or `svc@corp.example`.
//! directory.move_to("aberg", "CN=Users");
//! assert_eq!(directory.dn_of(anna), "CN=aberg,CN=Users,DC=corp,DC=example");
//! assert!(server.log().binds().is_empty());
//! server.shutdown().await;
//! # }
//! ```

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
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod ids;
mod log;
mod message;
mod rootdse;
mod schema;
mod search;
mod server;
mod session;
mod settings;
mod update;
mod view;

pub use directory::account::{LogonRule, WriteRights};
pub use directory::builder::{ComputerBuilder, ComputerKind, ContactBuilder, GroupBuilder, GroupScope, UserBuilder};
pub use directory::exchange::MailType;
pub use directory::ldif::LdifError;
pub use directory::rights::RightsEditor;
pub use directory::{Directory, Target};
pub use faults::{Fault, Faults, When};
pub use ids::{BadIdentifier, Guid, Sid};
pub use log::{Logged, Request, RequestLog};
pub use server::FakeLdap;
pub use settings::{DirSyncDenial, RangeEnd, RangeSpelling, Settings, TokenGroups};
