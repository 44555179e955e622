//! Reads `tenant.toml` into a checked configuration and builds its endpoints.
//!
//! All problems of a file are found at once, each with its line, its key and its remedy, and none of them repeats a
//! secret. It knows which connectors exist and what their keys mean; it opens no connection.

// Without a connector some forms of values have no key that takes them.
#![cfg_attr(
    not(all(feature = "active-directory", feature = "exchange", feature = "gsuite", feature = "office365")),
    allow(dead_code)
)]

#[cfg(feature = "active-directory")]
mod active_directory;
mod customer;
#[cfg(any(feature = "active-directory", feature = "exchange"))]
mod domain;
mod endpoint;
mod environment;
#[cfg(feature = "exchange")]
mod exchange;
#[cfg(feature = "gsuite")]
mod gsuite;
mod guard;
#[cfg(any(feature = "exchange", feature = "gsuite", feature = "office365"))]
mod http;
mod key;
#[cfg(feature = "office365")]
mod office365;
mod problem;
mod reading;
mod schema;
mod secret;
mod suggestion;
mod table;
mod tenant;
mod value;
mod yields;

#[cfg(feature = "active-directory")]
pub use active_directory::ActiveDirectorySettings;
pub use customer::Customer;
#[cfg(any(feature = "active-directory", feature = "exchange"))]
pub use domain::DomainSettings;
pub use endpoint::{EndpointConfig, EndpointKind, EndpointSettings};
pub use environment::{Environment, ProcessEnvironment};
#[cfg(feature = "exchange")]
pub use exchange::{EwsSettings, ExchangeSettings};
#[cfg(feature = "gsuite")]
pub use gsuite::GsuiteSettings;
#[cfg(any(feature = "exchange", feature = "gsuite", feature = "office365"))]
pub use http::HttpKeys;
#[cfg(feature = "office365")]
pub use office365::Office365Settings;
pub use problem::{Problem, Problems};
pub use schema::schema;
pub use tenant::TenantConfig;
