//! Keeps a local directory of users, groups and computers in step with the directories that own them.
//!
//! ```text
//!  remote directory
//!    │  endpoint: pages of patches and memberships, every call through the gate
//!    ▼
//!  list ─► stage ─► proof ─► plan ─► confirm ─► guard ─► apply ─► outbox ─► consumers
//!           │         │                 │          │        │
//!           │         │                 │          │        └ records, locks, events and cursor in one commit
//!           │         │                 │          └ too much at once is parked, the rest goes on
//!           │         │                 └ what seems gone is looked up, beside siblings that must be there
//!           │         └ only a scope listed to its end, under one coverage, proves absence
//!           └ unchanged objects cost a look at a fingerprint, and no write
//! ```
//!
//! - [`Service`] is what a host calls: imports in the background, progress, events.
//! - [`endpoint`] is what the author of a connector implements; `testkit` (feature `testkit`) tests it.
//! - [`model`] has the words as data, [`gate`] is the only way to the network, [`store`] keeps everything.
//! - [`meter`] lists the figures for a host's recorder.
//!
//! ```
//! # #[cfg(all(feature = "sqlite", feature = "testkit"))] {
//! # use std::sync::Arc;
//! # use tenantry::testkit::{ScriptedDirectory, ScriptedEndpoint};
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! use tenantry::{Customer, Endpoint, ImportOptions, Service, SqliteStore, model::CustomerId};
//!
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("state.db");
//! # let mut directory = ScriptedDirectory::new("corp");
//! # directory.add_user(1, "people");
//! # let endpoint = ScriptedEndpoint::new("ad", directory, 100)?;
//! # let name = endpoint.info().name.clone();
//! let service = Service::new(Arc::new(SqliteStore::open(path)?));
//! let customer = CustomerId::new("mining88")?;
//! service.register(Customer::new(customer.clone()), vec![Arc::new(endpoint) as Arc<dyn Endpoint>]).await?;
//!
//! let import = service.start(&customer, &name, ImportOptions::default()).await?; // returns at once
//! let report = import.wait().await?;
//! assert_eq!(report.created, 1);
//!
//! let events = service.consumer(&customer, "my-service");
//! for event in events.next(100).await? {
//!     println!("{} {}", event.event_type.as_str(), event.data.get());
//!     events.acknowledge(&event).await?;
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! # }
//! ```

pub mod coverage;
pub mod directory;
pub mod endpoint;
pub mod error;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
pub mod gate;
pub mod meter;
pub mod model;
pub mod outbox;
mod rules;
mod run;
pub mod secret;
pub mod service;
pub mod store;
#[cfg(feature = "testkit")]
pub mod testkit;

pub use directory::Directory;
pub use endpoint::{Context, Endpoint, EndpointInfo};
pub use error::{Error, ErrorKind, Result, Retry};
pub use outbox::Consumer;
pub use run::{IdListing, ImportOptions};
pub use secret::Secret;
pub use service::{Export, RunHandle, Service};
#[cfg(feature = "sqlite")]
pub use store::SqliteStore;
pub use store::{Customer, Store};
