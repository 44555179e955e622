//! What the engine hands to every call of an endpoint.

use tokio_util::sync::CancellationToken;

use crate::error::{Error, Result};
use crate::gate::Gate;

/// The way to the network, and the wish to stop.
#[derive(Debug, Clone)]
pub struct Context {
    gate: Gate,
    cancel: CancellationToken,
}

impl Context {
    /// Creates a context.
    pub fn new(gate: Gate, cancel: CancellationToken) -> Self {
        Self { gate, cancel }
    }

    /// Returns the only way to the network. A call takes a [`Cost`](crate::gate::Cost), which is `default()` until the
    /// provider counts calls differently, and a short constant name of what is asked, for errors and figures.
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Returns the token that tells when the caller wants to stop. The gate obeys it by itself.
    pub fn cancel(&self) -> &CancellationToken {
        &self.cancel
    }

    /// Fails once the caller wants to stop.
    pub fn check_cancelled(&self) -> Result<()> {
        if self.cancel.is_cancelled() { Err(Error::cancelled()) } else { Ok(()) }
    }
}
