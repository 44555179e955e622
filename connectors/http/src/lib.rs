//! What the connectors of cloud directories share: one client, tokens, the rule of one origin, caps.
//!
//! It knows no provider.
//!
//! A connector makes one [`Client`] from the [`HttpSettings`] of its endpoint, one [`Origin`] for each address that is
//! configured (the directory's and the sign-in's are two), and one [`Tokens`] over its own [`TokenSource`]. Every page is
//! one closure for the gate:
//!
//! ```
//! # use tenantry::endpoint::Context;
//! # use tenantry::gate::Cost;
//! # use tenantry_http::{Answer, Client, Origin, Tokens};
//! # #[derive(serde::Deserialize)] struct Page {}
//! # async fn example(cx: &Context, client: &Client, origin: &Origin, tokens: &Tokens, url: url::Url) -> tenantry::Result<()> {
//! let page: Page = cx
//!     .gate()
//!     .call(Cost::default(), "list users", |_attempt| async {
//!         let request = reqwest::Request::new(reqwest::Method::GET, url.clone());
//!         let answer = client.send_with(origin, request, tokens).await?;
//!         if !answer.status.is_success() {
//!             // Where the provider's own codes say more than the status, they come before this.
//!             return Err(answer.refusal(cx.gate().clock().now_unix_millis()));
//!         }
//!         answer.json()
//!     })
//!     .await?;
//! # let _ = page; Ok(()) }
//! ```
//!
//! What is guaranteed here, so that no connector has to think of it:
//!
//! - A request goes to the origin that it is meant for, or nowhere: a link from an answer is checked like any other
//!   address, and redirects are not followed.
//! - An answer is read whole or is an error: cut off, too large (also when it is unpacked) and too slow are all errors.
//! - No error, no `Debug` and no log line holds a token, a path, a query or anything of a body.
//! - A [`Line`] is one connection, for logins that belong to one: it never changes under the hand of its owner.
//! - Certificates are always checked; nothing turns that off.

mod answer;
mod client;
mod failure;
mod line;
mod origin;
mod settings;
mod tokens;
mod trust;
mod tunnel;

pub use answer::Answer;
pub use client::Client;
pub use line::{Dialer, Line};
pub use origin::Origin;
pub use settings::{HttpSettings, Proxy};
pub use tokens::{Lease, Token, TokenSource, Tokens};
pub use trust::check_authorities;
