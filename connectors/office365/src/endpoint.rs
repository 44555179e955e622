//! The endpoint: what the engine asks, handed to the part that answers. It must not know any attribute's meaning.

/// One Entra tenant.
#[derive(Debug)]
pub struct Office365 {}
