//! For tests of connectors, sinks and hosts: a directory that is a script, and an endpoint that can lie about it.
//!
//! Behind the feature `testkit`. It knows nothing of any provider.

mod directory;
mod lies;
mod scripted;

pub use directory::{ScriptedDirectory, ScriptedObject};
pub use lies::Lie;
pub use scripted::ScriptedEndpoint;
