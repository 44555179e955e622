//! Keeps a local directory of users, groups and computers in step with the directories that own them.

pub mod coverage;
pub mod endpoint;
pub mod error;
pub mod gate;
pub mod model;
pub mod outbox;
mod rules;
mod run;
pub mod secret;
pub mod service;
pub mod store;
#[cfg(feature = "testkit")]
pub mod testkit;

pub use endpoint::{Context, Endpoint, EndpointInfo};
pub use error::{Error, ErrorKind, Result, Retry};
pub use outbox::Consumer;
pub use run::ImportOptions;
pub use secret::Secret;
pub use service::{RunHandle, Service};
#[cfg(feature = "sqlite")]
pub use store::SqliteStore;
pub use store::{Customer, Store};
