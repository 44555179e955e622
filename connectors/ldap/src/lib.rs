//! A safe LDAP session, and behind it the reader of an Active Directory domain.
//!
//! The session (TLS, paging, ranged values, controls, and the value forms of Active Directory) is a wrapper around ldap3
//! that bounds what a server may send, never panics on it, and translates every failure into [`tenantry::Error`]. Each
//! call of a [`Session`] is one round trip, so that a caller can wrap it in its own limiter and retry.
//!
//! [`domain`] reads a domain through sessions: listings, deltas, look-ups. Neither holds a provider's policy: which
//! objects, which attributes and what becomes of them is for the connectors, as a [`Profile`](domain::Profile).

mod ber;
mod connect;
pub mod controls;
pub mod dn;
pub mod domain;
pub mod entry;
pub mod extended_dn;
pub mod filetime;
pub mod filter;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
pub mod generalized_time;
pub mod guid;
mod message;
mod modify;
pub mod ranges;
mod relay;
pub mod result;
mod search;
mod server;
mod session;
mod settings;
pub mod sid;
mod tls;

pub use controls::{Control, Cookie, DirSync, DirSyncAnswer, ExtendedDnForm};
pub use dn::Dn;
pub use entry::{Attribute, Entry};
pub use extended_dn::ExtendedDn;
pub use filter::Filter;
pub use modify::Change;
pub use ranges::{NextRange, RangedValues};
pub use result::{BindRefusal, bind_refusal, code, is_cookie_lost};
pub use search::{PageProgress, Scope, SearchPage, SearchRequest};
pub use server::{Encryption, Server};
pub use session::{RangeBatch, Session};
pub use settings::{Credentials, Limits, PlainText, Settings};
pub use sid::Sid;
pub use tls::Trust;
