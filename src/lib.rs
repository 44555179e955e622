//! Keeps a local directory of users, groups and computers in step with the directories that own them.

pub mod endpoint;
pub mod error;
pub mod gate;
pub mod model;
pub mod secret;

pub use endpoint::{Context, Endpoint, EndpointInfo};
pub use error::{Error, ErrorKind, Result, Retry};
pub use secret::Secret;
