//! Imports users, groups, memberships and devices of an Entra tenant through Microsoft Graph.
//!
//! It knows nothing of the store and of other connectors.
