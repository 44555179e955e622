//! Real directory servers for tests: each is a clone of a prepared image on a loopback address of its own.
//!
//! It must not know the product: it starts servers, changes them, and reads them by other people's programs, so that
//! a suite can compare what the product sees with what an independent reader sees.
//!
//! ```no_run
//! use tenantry_live::{SambaDc, can_run};
//!
//! # fn main() -> tenantry_live::Result<()> {
//! if !can_run("my suite", SambaDc::available()) {
//!     return Ok(());
//! }
//! let dc = SambaDc::provision()?;
//! let reader = dc.create_account("reader", "Passw0rd!Read1")?;
//! let seen = dc.client(&reader.upn, &reader.password).search(dc.base_dn(), "(objectClass=user)", &["cn"])?;
//! assert!(!seen.is_empty());
//! # Ok(())
//! # }
//! ```

#![allow(clippy::disallowed_methods, reason = "waits for real processes; there is no clock to inject")]

mod address;
mod availability;
mod certificate;
mod client;
mod error;
mod ldif;
mod leftovers;
mod open_ldap;
mod population;
mod probe;
mod running;
mod samba;

pub use availability::{can_run, skip_or_fail};
pub use client::{BindOutcome, LdapClient, Scope};
pub use error::{LiveError, Result};
pub use ldif::{LdifAttribute, LdifEntry, LdifWriter, parse_ldif};
pub use open_ldap::OpenLdap;
pub use population::Population;
pub use samba::{Account, Domain, PlainBind, SambaDc, Setup};
