//! Stateful fake directory servers for tests and for the demo; they know protocols and nothing of tenantry itself.

mod calendar;
pub mod ews;
pub mod google;
pub mod graph;
pub mod http;
pub mod ldap;
mod tls;
mod turns;
