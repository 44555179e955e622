//! The route through Exchange Web Services, for when only a mailbox's credential is there. It knows nothing of LDAP.

mod config;
mod endpoint;
mod error;
mod ntlm;

pub use config::{EwsAuth, EwsConfig};
pub use endpoint::Ews;
