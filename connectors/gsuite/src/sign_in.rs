//! Tokens of a service account that impersonates an administrator, or of the host. It must not know what they are used for.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use google_apis_common::GetToken;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Request};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tenantry::gate::Clock;
use tenantry::{Error, ErrorKind, Result, Retry, Secret};
use tenantry_http::{Answer, Client, Token, TokenSource};
use url::form_urlencoded::Serializer;

use crate::key::{Key, unusable};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// How long an assertion is good: the service takes at most an hour, and one is used at once.
const ASSERTION_LIFE: i64 = 10 * 60;
/// How much earlier it begins, for clocks that differ.
const ASSERTION_AHEAD: i64 = 60;
/// A life that is believed where the answer tells none, or an odd one: an hour is what Google gives.
const SHORTEST_LIFE: u64 = 60;
const LONGEST_LIFE: u64 = 24 * 60 * 60;
/// How long a host's token is taken to be good. One that ends earlier is refused, and another fetched.
const HOST_LIFE: Duration = Duration::from_mins(55);

/// The sign-in by a key, for some scopes. It repeats nothing: it runs inside of somebody else's try at the gate.
pub(crate) struct SignIn {
    pub(crate) client: Client,
    pub(crate) key: Key,
    /// The administrator who is impersonated.
    pub(crate) admin: String,
    pub(crate) scopes: Vec<&'static str>,
    pub(crate) clock: Clock,
}

impl fmt::Debug for SignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignIn").field("key", &self.key).field("scopes", &self.scopes.len()).finish_non_exhaustive()
    }
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    scope: String,
    aud: &'a str,
    iat: i64,
    exp: i64,
}

#[async_trait]
impl TokenSource for SignIn {
    async fn fetch(&self) -> Result<Token> {
        let fetched = async {
            let answer = self.client.send(&self.key.origin, self.request()?).await?;
            read(&answer, &self.scopes, self.clock.now_unix_millis())
        };
        fetched.await.map_err(|error| error.with_operation("sign in"))
    }
}

impl SignIn {
    fn request(&self) -> Result<Request> {
        let assertion = self.assertion()?;
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", GRANT).append_pair("assertion", assertion.expose());
        let mut request = Request::new(Method::POST, self.key.token_url.clone());
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        *request.body_mut() = Some(form.finish().into());
        Ok(request)
    }

    /// Signs that the service account asks now, as the administrator.
    fn assertion(&self) -> Result<Secret> {
        let now = self.clock.now_unix_millis().div_euclid(1000);
        let mut header = Header::new(Algorithm::RS256);
        header.kid.clone_from(&self.key.id);
        let claims = Claims {
            iss: &self.key.client_email,
            sub: &self.admin,
            scope: self.scopes.join(" "),
            aud: &self.key.token_uri,
            iat: now - ASSERTION_AHEAD,
            exp: now + ASSERTION_LIFE,
        };
        let key = EncodingKey::from_rsa_pem(self.key.pem.expose().as_bytes()).map_err(|_| unusable())?;
        jsonwebtoken::encode(&header, &claims, &key).map(Secret::new).map_err(|_| unusable())
    }
}

#[derive(Deserialize)]
struct Granted {
    token_type: String,
    access_token: String,
    #[serde(default)]
    expires_in: Value,
}

/// What is read of a refusal. Its description may name people, and is not looked at.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Refused {
    error: String,
}

fn read(answer: &Answer, scopes: &[&str], now: i64) -> Result<Token> {
    if !answer.status.is_success() {
        return Err(refused(answer, scopes, now));
    }
    let granted: Granted = answer.json()?;
    let token = Secret::new(granted.access_token);
    if !granted.token_type.eq_ignore_ascii_case("bearer") || token.is_empty() {
        return Err(Error::protocol("the sign-in gives no token that can be used"));
    }
    let life = granted.expires_in.as_u64().unwrap_or(SHORTEST_LIFE).clamp(SHORTEST_LIFE, LONGEST_LIFE);
    Ok(Token::new(token, Duration::from_secs(life)))
}

/// Says what a refusal of the token endpoint means, by its code; nothing of its texts is told.
///
/// Source: RFC 6749 section 5.2, and "using OAuth 2.0 for server to server applications", error codes.
fn refused(answer: &Answer, scopes: &[&str], now: i64) -> Error {
    let status = answer.status.as_u16();
    let told: Option<Refused> = serde_json::from_slice(&answer.body).ok();
    let code = told.map(|told| told.error).unwrap_or_default();
    let later = answer.retry_after(now).map_or(Retry::Backoff, Retry::After);
    let error = match (status, code.as_str()) {
        (429, _) | (_, "rate_limit_exceeded" | "slow_down") => {
            Error::new(ErrorKind::Throttled, "the sign-in asks to be asked more slowly").with_retry(later)
        }
        (408 | 500..=599, _) | (_, "temporarily_unavailable" | "server_error" | "internal_failure") => {
            Error::new(ErrorKind::Unavailable, "the sign-in cannot answer now").with_retry(later)
        }
        (_, "unauthorized_client" | "invalid_scope" | "access_denied") => {
            let short = |scope: &&str| scope.rsplit('/').next().unwrap_or(scope).to_owned();
            Error::new(
                ErrorKind::PermissionDenied { missing: scopes.iter().map(short).collect() },
                "a scope is not delegated to the service account; delegate all of them in the admin console",
            )
        }
        (_, "") => Error::protocol(
            "the answer to the sign-in is not one of google; look at token_uri in the key file, something in between may \
             have given it",
        ),
        _ => Error::new(
            ErrorKind::Unauthenticated,
            "the sign-in is refused: check key, administrator and this machine's clock",
        ),
    };
    let spelled = code.len() <= 40 && code.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    let error = if code.is_empty() { error } else { error.with_context("code", if spelled { &code } else { "other" }) };
    // Not `status`, which is the API's: what it means there is not what it means here.
    error.with_context("sign-in status", status)
}

/// Tokens of some scopes from the host.
pub(crate) struct Hosted {
    pub(crate) tokens: Box<dyn GetToken>,
    pub(crate) scopes: Vec<&'static str>,
}

impl fmt::Debug for Hosted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hosted").field("scopes", &self.scopes.len()).finish_non_exhaustive()
    }
}

#[async_trait]
impl TokenSource for Hosted {
    async fn fetch(&self) -> Result<Token> {
        let none = || Error::new(ErrorKind::Unavailable, "the host gives no token").with_retry(Retry::Backoff);
        let token = self.tokens.get_token(&self.scopes).await;
        // What kind of error it is a host can say by giving one of ours; of others nothing is told, whatever they hold.
        let token = token.map_err(|error| error.downcast::<Error>().map_or_else(|_| none(), |error| *error))?;
        let token = token.filter(|token| !token.is_empty()).ok_or_else(none)?;
        Ok(Token::new(Secret::new(token), HOST_LIFE))
    }
}

#[cfg(test)]
mod tests {
    use reqwest::StatusCode;
    use reqwest::header::{HeaderMap, RETRY_AFTER};

    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            body: body.as_bytes().to_vec().into(),
        }
    }

    const SCOPES: &[&str] = &["https://www.googleapis.com/auth/admin.directory.user.readonly"];

    #[test]
    fn each_refusal_is_told_by_its_code_and_nothing_of_its_text_is_shown() {
        let denied = "permission-denied";
        let cases = [
            (401, r#"{"error":"unauthorized_client","error_description":"CANARY"}"#, denied, false),
            (400, r#"{"error":"invalid_scope","error_description":"CANARY"}"#, denied, false),
            (400, r#"{"error":"invalid_grant","error_description":"CANARY"}"#, "unauthenticated", false),
            (400, r#"{"error":"CANARY"}"#, "unauthenticated", false),
            (429, "CANARY", "throttled", true),
            (403, r#"{"error":"rate_limit_exceeded"}"#, "throttled", true),
            (500, r#"{"error":"internal_failure"}"#, "unavailable", true),
            (400, r#"{"error":"temporarily_unavailable"}"#, "unavailable", true),
            (404, "<html>CANARY</html>", "protocol", false),
            (400, r#"{"error":{"message":"CANARY"}}"#, "protocol", false),
        ];
        for (status, body, kind, again) in cases {
            let error = read(&answer(status, body), SCOPES, 0).unwrap_err();
            assert_eq!((error.kind().as_str(), error.retry() != Retry::Never), (kind, again), "{error:?}");
            assert!(!format!("{error:?}").contains("CANARY"));
            // Who reads a listing takes a `status` for the API's own.
            assert_eq!(error.context("status"), None);
            let missing = vec!["admin.directory.user.readonly".to_owned()];
            assert!(kind != denied || *error.kind() == ErrorKind::PermissionDenied { missing });
        }
        let mut busy = answer(503, "");
        busy.headers.insert(RETRY_AFTER, HeaderValue::from_static("7"));
        assert_eq!(read(&busy, SCOPES, 0).unwrap_err().retry(), Retry::After(Duration::from_secs(7)));
    }

    #[test]
    fn a_token_is_good_for_as_long_as_the_answer_says_within_reason() {
        let life = |text: &str| {
            let body = format!(r#"{{"access_token":"CANARY","token_type":"Bearer"{text}}}"#);
            read(&answer(200, &body), SCOPES, 0).unwrap().expires_in.as_secs()
        };
        assert_eq!(life(r#","expires_in":3599"#), 3599);
        assert_eq!(life(""), SHORTEST_LIFE);
        assert_eq!(life(r#","expires_in":99999999"#), LONGEST_LIFE);
        for body in [
            r#"{"access_token":"","token_type":"Bearer"}"#,
            r#"{"access_token":"CANARY","token_type":"mac"}"#,
            r#"{"id_token":"CANARY"}"#,
            "CANARY",
        ] {
            let error = read(&answer(200, body), SCOPES, 0).unwrap_err();
            assert_eq!(*error.kind(), ErrorKind::Protocol);
            assert!(!format!("{error:?}").contains("CANARY"));
        }
    }
}
