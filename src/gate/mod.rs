//! The only way to the network.

/// The only way to the network.
#[derive(Debug, Clone, Default)]
pub struct Gate;
