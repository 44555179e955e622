//! What a connector may rely on when it sends a request. It knows no provider.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod bodies;
mod failures;
mod lines;
mod origins;
mod proxies;
mod secrets;
mod server;
mod tls;
mod tokens;
