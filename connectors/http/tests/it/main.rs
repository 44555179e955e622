//! What a connector may rely on when it sends a request. It knows no provider.

mod bodies;
mod failures;
mod origins;
mod proxies;
mod secrets;
mod server;
mod tls;
mod tokens;
