//! What the connectors of cloud directories share: one client, tokens, the rule of one origin, caps.
//!
//! It knows no provider.
