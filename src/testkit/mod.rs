//! For tests of connectors, sinks and hosts: a directory that is a script, an endpoint that can lie about it, and what an
//! endpoint under test told.
//!
//! Behind the feature `testkit`. It knows nothing of any provider.

mod changes;
pub mod conformance;
mod delta;
mod directory;
mod lies;
mod listing;
mod objects;
mod scripted;

pub use changes::Changes;
pub use delta::Telling;
pub use directory::{ScriptedDirectory, ScriptedObject};
pub use lies::Lie;
pub use listing::{Listing, PageSize};
pub use objects::{Members, Objects};
pub use scripted::ScriptedEndpoint;

/// Calls something before and behind each commit of this process, from now on: a test that wants to die there can.
/// Only the first call counts.
pub fn on_commit(hook: impl Fn() + Send + Sync + 'static) {
    crate::store::fault::on_commit(Box::new(hook));
}

/// Has the index of queries written in steps of so many records in this process, so that a small directory takes several.
pub fn index_step(records: usize) {
    crate::store::fault::set_step(records);
}
