//! Tokens of a service account that impersonates an administrator. It must not know what they are used for.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use google_apis_common::GetToken;
use tenantry::{Error, ErrorKind, Result, Retry, Secret};
use tenantry_http::{Token, TokenSource};
use tokio::sync::OnceCell;
use yup_oauth2::authenticator::Authenticator;
use yup_oauth2::error::AuthErrorCode;
use yup_oauth2::{DefaultHyperClientBuilder, HyperClientBuilder, ServiceAccountAuthenticator, ServiceAccountKey};

type Connector = <DefaultHyperClientBuilder as HyperClientBuilder>::Connector;
type Outcome<'a> = futures::future::BoxFuture<'a, Result<Option<String>, Box<dyn std::error::Error + Send + Sync>>>;

/// How long a token is taken to be good; the server says an hour. One that ends earlier is refused, and another fetched.
const LIFE: Duration = Duration::from_mins(55);
/// How long the token endpoint may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A service account with a key, and the administrator it acts as.
#[derive(Clone)]
pub(crate) struct Delegated {
    inner: Arc<Inner>,
}

struct Inner {
    key: ServiceAccountKey,
    admin: String,
    authenticator: OnceCell<Authenticator<Connector>>,
}

impl Delegated {
    pub(crate) fn new(key: ServiceAccountKey, admin: &str) -> Self {
        Self { inner: Arc::new(Inner { key, admin: admin.to_owned(), authenticator: OnceCell::new() }) }
    }
}

impl GetToken for Delegated {
    fn get_token<'a>(&'a self, scopes: &'a [&str]) -> Outcome<'a> {
        Box::pin(async move {
            let inner = &*self.inner;
            let made = inner.authenticator.get_or_try_init(|| async {
                ServiceAccountAuthenticator::builder(inner.key.clone())
                    .subject(inner.admin.clone())
                    .with_timeout(TIMEOUT)
                    .build()
                    .await
            });
            // Tokens are kept by the caller, who knows when one was refused: what is asked for is always a new one.
            let token = made.await?.force_refreshed_token(scopes).await?;
            Ok(token.token().map(str::to_owned))
        })
    }
}

/// Tokens of some scopes from wherever they come.
pub(crate) struct Source {
    pub(crate) tokens: Box<dyn GetToken>,
    pub(crate) scopes: Vec<&'static str>,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("scopes", &self.scopes.len()).finish_non_exhaustive()
    }
}

#[async_trait]
impl TokenSource for Source {
    async fn fetch(&self) -> Result<Token> {
        let token = self.tokens.get_token(&self.scopes).await.map_err(|error| refused(&*error, &self.scopes))?;
        // An answer without a token and without a code: an outage, whose status was dropped on the way.
        let none = || Error::new(ErrorKind::Unavailable, "the sign-in gives no token").with_retry(Retry::Backoff);
        let token = token.ok_or_else(none)?;
        Ok(Token::new(Secret::new(token), LIFE))
    }
}

/// Says what a refusal of the token endpoint means; nothing of its texts is told.
fn refused(error: &(dyn std::error::Error + Send + Sync + 'static), scopes: &[&str]) -> Error {
    use yup_oauth2::Error as Yup;
    if error.downcast_ref::<std::io::Error>().is_some() {
        return setting_of_key();
    }
    let missing = || scopes.iter().map(|scope| scope.rsplit('/').next().unwrap_or(scope).to_owned()).collect();
    match error.downcast_ref::<Yup>() {
        Some(Yup::AuthError(refusal)) => {
            let error = match &refusal.error {
                AuthErrorCode::UnauthorizedClient | AuthErrorCode::InvalidScope | AuthErrorCode::AccessDenied => {
                    Error::new(
                        ErrorKind::PermissionDenied { missing: missing() },
                        "a scope is not delegated to the service account; delegate all of them in the admin console",
                    )
                }
                _ => Error::new(
                    ErrorKind::Unauthenticated,
                    "the sign-in is refused: check key, administrator and this machine's clock",
                ),
            };
            let code = refusal.error.as_str();
            let spelled = code.len() <= 40 && code.chars().all(|c| c.is_ascii_lowercase() || c == '_');
            error.with_context("code", if spelled { code } else { "other" })
        }
        Some(Yup::LowLevelError(_)) => setting_of_key(),
        // Also what is no JSON: throttled sign-ins and gateways answer with text.
        _ => Error::new(ErrorKind::Unavailable, "the sign-in cannot be reached, or gives no proper answer")
            .with_retry(Retry::Backoff),
    }
}

fn setting_of_key() -> Error {
    crate::error::setting("key_file", "the private key cannot be used to sign; download a new key")
}
