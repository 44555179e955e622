//! The route through Exchange Web Services, for when only a mailbox's credential is there. It knows nothing of LDAP.

mod answer;
mod api;
mod config;
mod cursor;
mod endpoint;
mod error;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod letters;
mod lookup;
mod map;
mod ntlm;
mod recipients;
mod request;
mod sign_in;
mod snapshot;
mod verify;
mod walk;
mod xml;

pub use config::{EwsAuth, EwsConfig};
pub use endpoint::Ews;
