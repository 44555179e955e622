//! The key file of a service account, as far as it is needed to sign. It must not know what is signed.

use std::fmt;

use jsonwebtoken::EncodingKey;
use serde::Deserialize;
use tenantry::{Error, Result, Secret};
use tenantry_http::Origin;
use url::Url;

use crate::error::setting;

/// What the console writes into a key file; the rest of it is for others.
#[derive(Deserialize)]
struct File {
    #[serde(rename = "type")]
    kind: Option<String>,
    project_id: Option<String>,
    private_key_id: Option<String>,
    private_key: String,
    client_email: String,
    token_uri: String,
}

/// A service account with its key.
#[derive(Clone)]
pub(crate) struct Key {
    pub(crate) project_id: Option<String>,
    /// Which of the account's keys it is.
    pub(crate) id: Option<String>,
    /// The private key, as PEM.
    pub(crate) pem: Secret,
    pub(crate) client_email: String,
    /// Where tokens are given, and as whose audience an assertion is signed: to the letter as the file has it.
    pub(crate) token_uri: String,
    pub(crate) token_url: Url,
    pub(crate) origin: Origin,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("client_email", &self.client_email).finish_non_exhaustive()
    }
}

/// Checks the text of a service account's key file. Nothing is sent.
///
/// # Errors
/// `Config`, with a message that says what is wrong and, behind a semicolon, what to do. It repeats nothing of the key.
pub fn check_key(text: &Secret, insecure: bool) -> Result<()> {
    let key = Key::read(text, insecure)?;
    EncodingKey::from_rsa_pem(key.pem.expose().as_bytes()).map(drop).map_err(|_| unusable())
}

/// A private key that signs nothing.
pub(crate) fn unusable() -> Error {
    setting("key_file", "the private key cannot be used to sign; download a new key")
}

impl Key {
    /// Reads a key file. Plain `http` to its endpoint is for loopback addresses only, unless `insecure`.
    pub(crate) fn read(text: &Secret, insecure: bool) -> Result<Self> {
        let strange = || setting("key_file", "this is no service account's key; download one as JSON");
        // The parser's own error may quote what it stumbled over.
        let file: File = serde_json::from_str(text.expose()).map_err(|_| strange())?;
        if file.kind.is_some_and(|kind| kind != "service_account") {
            return Err(strange());
        }
        let field = |error: Error| error.with_context("key", "key_file").with_context("field", "token_uri");
        let origin = Origin::parse(&file.token_uri, insecure).map_err(field)?;
        let token_url = Url::parse(&file.token_uri).map_err(|_| strange())?;
        Ok(Self {
            project_id: file.project_id,
            id: file.private_key_id,
            pem: Secret::new(file.private_key),
            client_email: file.client_email,
            token_uri: file.token_uri,
            token_url,
            origin,
        })
    }
}
