//! Key pairs for service accounts, made for these tests and good for nothing else; they know no server.

/// The private key of the account's own service account.
pub(crate) const RIGHT: &str = include_str!("keys/right.pem");
/// What the token endpoint verifies with.
pub(crate) const RIGHT_PUBLIC: &str = include_str!("keys/right.pub.pem");
/// The private key of nobody.
pub(crate) const WRONG: &str = include_str!("keys/wrong.pem");
