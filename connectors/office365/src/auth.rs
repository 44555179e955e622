//! How the application proves who it is: one request for a token, by secret or by signed assertion.
//!
//! It must not know what the token is for, and it repeats nothing: it runs inside of somebody else's try at the gate,
//! which waits and tries again by the error that is given here.

mod certificate;
mod claims;

use std::fmt;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Request};
use serde::{Deserialize, Serialize};
use tenantry::gate::{Clock, parse_retry_after};
use tenantry::{Error, ErrorKind, Result, Retry, Secret};
use tenantry_http::{Answer, Client, Origin, Token, TokenSource};
use url::Url;
use url::form_urlencoded::Serializer;
use uuid::Uuid;

use crate::config::{Assertion, Checked, Credential};

use certificate::Pair;
pub(crate) use claims::Claims;

/// How long an assertion is good: the service may take at most ten minutes.
const ASSERTION_LIFE: i64 = 8 * 60;
/// How much earlier it begins, for clocks that differ.
const ASSERTION_AHEAD: i64 = 2 * 60;
/// A life that is believed where the answer tells none, or an odd one: an hour is what Entra gives.
const SHORTEST_LIFE: u64 = 60;
const LONGEST_LIFE: u64 = 24 * 60 * 60;

/// By what the application proves who it is.
enum Proof {
    Secret(Secret),
    Certificate(Pair, Assertion),
}

/// The sign-in of one application at one tenant.
pub(crate) struct SignIn {
    client: Client,
    origin: Origin,
    /// The tenant's token endpoint.
    url: Url,
    client_id: String,
    /// What tokens are asked for: the Graph of the tenant's cloud.
    scope: String,
    proof: Proof,
    clock: Clock,
}

/// Makes the sign-in of an application from its settings. Nothing is sent.
///
/// # Errors
/// [`Config`](ErrorKind::Config) for a certificate or key that cannot be used, or that do not belong together.
pub(crate) fn sign_in(config: &Checked, client: Client, origin: Origin, clock: Clock) -> Result<SignIn> {
    let mut url = config.login.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend([&config.tenant, "oauth2", "v2.0", "token"]);
    }
    let proof = match &config.credential {
        Credential::Secret(secret) => Proof::Secret(secret.clone()),
        Credential::Certificate { certificate, private_key } => {
            Proof::Certificate(Pair::read(certificate, private_key)?, config.assertion)
        }
    };
    Ok(SignIn { client, origin, url, client_id: config.client_id.clone(), scope: config.scope.clone(), proof, clock })
}

impl fmt::Debug for SignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignIn").field("client_id", &self.client_id).field("scope", &self.scope).finish_non_exhaustive()
    }
}

#[async_trait]
impl TokenSource for SignIn {
    async fn fetch(&self) -> Result<Token> {
        let fetched = async {
            let answer = self.client.send(&self.origin, self.request()?).await?;
            read(&answer, self.clock.now_unix_millis())
        };
        fetched.await.map_err(|error| error.with_operation("sign in"))
    }
}

impl SignIn {
    fn request(&self) -> Result<Request> {
        let mut form = Serializer::new(String::new());
        form.append_pair("client_id", &self.client_id)
            .append_pair("scope", &self.scope)
            .append_pair("grant_type", "client_credentials");
        match &self.proof {
            Proof::Secret(secret) => form.append_pair("client_secret", secret.expose()),
            Proof::Certificate(pair, how) => {
                let assertion = self.assertion(pair, *how)?;
                form.append_pair("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
                    .append_pair("client_assertion", assertion.expose())
            }
        };
        let mut request = Request::new(Method::POST, self.url.clone());
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        *request.body_mut() = Some(form.finish().into());
        Ok(request)
    }

    /// Signs that this application asks now. Each one is new: a service may refuse one that it has seen.
    fn assertion(&self, pair: &Pair, form: Assertion) -> Result<Secret> {
        let millis = self.clock.now_unix_millis();
        certificate::check_time(pair, millis)?;
        let now = millis / 1000;
        let mut header = Header::new(match form {
            Assertion::Ps256 => Algorithm::PS256,
            Assertion::Rs256 => Algorithm::RS256,
        });
        match form {
            Assertion::Ps256 => header.x5t_s256 = Some(URL_SAFE_NO_PAD.encode(&pair.sha256)),
            Assertion::Rs256 => header.x5t = Some(URL_SAFE_NO_PAD.encode(&pair.sha1)),
        }
        let claims = AssertionClaims {
            aud: self.url.as_str(),
            iss: &self.client_id,
            sub: &self.client_id,
            jti: Uuid::new_v4(),
            nbf: now - ASSERTION_AHEAD,
            iat: now,
            exp: now + ASSERTION_LIFE,
        };
        let unusable = || Error::config("the key cannot sign; it was read before, so that memory may be damaged");
        let key = EncodingKey::from_rsa_pem(pair.key.expose().as_bytes()).map_err(|_| unusable())?;
        jsonwebtoken::encode(&header, &claims, &key).map(Secret::new).map_err(|_| unusable())
    }
}

#[derive(Serialize)]
struct AssertionClaims<'a> {
    aud: &'a str,
    iss: &'a str,
    sub: &'a str,
    jti: Uuid,
    nbf: i64,
    iat: i64,
    exp: i64,
}

#[derive(Deserialize)]
struct Granted {
    token_type: String,
    access_token: String,
    /// A number, and in older answers the text of one.
    #[serde(default)]
    expires_in: serde_json::Value,
}

/// What is read of a refusal. Its description names things and people, and is not looked at.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Refused {
    error: String,
    error_codes: Vec<u64>,
    trace_id: Option<Uuid>,
}

fn read(answer: &Answer, now: i64) -> Result<Token> {
    if !answer.status.is_success() {
        return Err(refusal(answer, now));
    }
    let granted: Granted = answer.json()?;
    let token = Secret::new(granted.access_token);
    if !granted.token_type.eq_ignore_ascii_case("bearer") || token.is_empty() {
        return Err(Error::protocol("the sign-in gives no token that can be used"));
    }
    let life = granted.expires_in.as_u64().or_else(|| granted.expires_in.as_str()?.parse().ok());
    let life = life.unwrap_or(SHORTEST_LIFE).clamp(SHORTEST_LIFE, LONGEST_LIFE);
    Ok(Token::new(token, std::time::Duration::from_secs(life)))
}

/// Translates a refusal of the sign-in, by its codes.
///
/// Source: Microsoft Entra, "authentication and authorization error codes".
fn refusal(answer: &Answer, now: i64) -> Error {
    let status = answer.status.as_u16();
    let told = serde_json::from_slice::<Refused>(&answer.body).ok().filter(|told| !told.error.is_empty());
    let wait = answer.header("retry-after").and_then(|text| parse_retry_after(text, now));
    let later = wait.map_or(Retry::Backoff, Retry::After);
    let code = told.as_ref().and_then(|told| told.error_codes.first().copied());
    let word = told.as_ref().map_or("", |told| told.error.as_str());
    let refused = |message: &'static str| (ErrorKind::Unauthenticated, Retry::Never, message);
    let (kind, retry, message) = match (status, word, code) {
        (429, ..) => (ErrorKind::Throttled, later, "the sign-in asks to be asked more slowly"),
        (500..=599, ..)
        | (_, "temporarily_unavailable" | "server_error", _)
        | (_, _, Some(90_006 | 90_033 | 90_024 | 50_196)) => {
            (ErrorKind::Unavailable, later, "the sign-in cannot answer now")
        }
        (300..=399, ..) => (ErrorKind::Protocol, Retry::Never, "a redirection of the sign-in is not followed"),
        (.., Some(7_000_222)) => refused("the client secret has expired; make a new one and set client_secret to it"),
        (.., Some(7_000_215)) => refused(
            "the client secret is not accepted; set client_secret to the secret's value, not to its id, or make a new one",
        ),
        (.., Some(700_027 | 7_000_217)) => refused(
            "the certificate is not accepted; upload the one of certificate_file to the application, or make a new pair",
        ),
        (.., Some(700_024)) => refused("the assertion's time is not accepted; set the clock of this machine right"),
        (.., Some(700_016 | 700_010)) => refused(
            "the tenant does not know the application; look at client_id, tenant and cloud, and let an administrator \
             consent to it",
        ),
        (.., Some(90_002 | 900_021 | 900_023)) => {
            refused("there is no such tenant in this cloud; look at tenant and cloud")
        }
        (.., Some(70_011 | 500_011 | 1_002_012)) | (_, "invalid_scope" | "invalid_resource", _) => {
            refused("the sign-in does not know the graph that a token is asked for; look at cloud")
        }
        (.., Some(53_003 | 530_035 | 530_036)) => {
            refused("a conditional access policy of the tenant keeps the application out; let it in from this address")
        }
        (.., Some(7_000_112 | 7_000_114 | 500_014)) => {
            refused("the application is disabled in the tenant; let an administrator enable it")
        }
        (_, "invalid_client", _) => refused(
            "the application's proof is not accepted; renew client_secret, or the certificate, and set it here too",
        ),
        (_, "unauthorized_client" | "access_denied", _) => {
            refused("the tenant does not let the application in; let an administrator consent to it")
        }
        (400..=499, "", _) => (
            ErrorKind::Protocol,
            Retry::Never,
            "the answer to the sign-in is not one of entra; look at login_url, something in between may have given it",
        ),
        (400..=499, ..) => {
            refused("the sign-in is refused; look at tenant, client_id and the application's secret or certificate")
        }
        _ => (ErrorKind::Protocol, Retry::Never, "the sign-in gives an answer that cannot be understood"),
    };
    let mut error = Error::new(kind, message).with_retry(retry).with_context("status", status);
    if let Some(code) = code {
        error = error.with_context("code", format_args!("AADSTS{code}"));
    }
    if let Some(id) = told.and_then(|told| told.trace_id) {
        error = error.with_context("trace id", id);
    }
    error
}

#[cfg(test)]
mod tests;
