//! The token endpoint: it verifies a service account's signed assertion as the vendor's does; it knows no resource.

use std::collections::{BTreeSet, HashMap};

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use serde_json::json;

use super::keys;
use super::refusal::Refusal;
use super::settings::Settings;
use super::{Answer, answer};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// What a client's clock may differ, in seconds.
const SKEW: i64 = 300;

/// For whom a token was given.
#[derive(Debug, Clone)]
pub(crate) struct Grant {
    /// The impersonated user; without one, the service account itself.
    pub(crate) subject: Option<String>,
    pub(crate) scopes: BTreeSet<String>,
    expires: i64,
}

#[derive(Debug, Default)]
pub(crate) struct Tokens {
    given: HashMap<String, Grant>,
    number: u64,
}

#[derive(Debug, Deserialize)]
struct Claims {
    iss: Option<String>,
    sub: Option<String>,
    scope: Option<String>,
    aud: Option<String>,
    iat: Option<i64>,
    exp: Option<i64>,
}

impl Tokens {
    /// Answers a form; the instants in milliseconds, `knows` says whether there is such a user.
    pub(crate) fn answer(
        &mut self,
        settings: &Settings,
        form: &[(String, String)],
        audiences: &[String],
        (signed_at, now): (i64, i64),
        knows: impl Fn(&str) -> bool,
    ) -> Answer {
        let field = |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        if field("grant_type") != Some(GRANT) {
            return denied(400, "unsupported_grant_type", "Invalid grant_type");
        }
        let claims = match verified(field("assertion").unwrap_or_default()) {
            Ok(claims) => claims,
            Err(description) => return denied(400, "invalid_grant", description),
        };
        if claims.iss.as_deref() != Some(settings.service_account.as_str()) {
            return denied(400, "invalid_grant", "Invalid grant: account not found");
        }
        if !claims.aud.is_some_and(|audience| audiences.contains(&audience)) {
            return denied(400, "invalid_grant", "Invalid JWT: Failed audience check.");
        }
        let seconds = signed_at.div_euclid(1000);
        let (Some(issued), Some(expires)) = (claims.iat, claims.exp) else { return untimely() };
        let timely = expires >= seconds - SKEW && issued <= seconds + SKEW;
        if settings.dated_assertions && !timely || expires <= issued || expires - issued > 3600 {
            return untimely();
        }
        let scopes: BTreeSet<_> = claims.scope.unwrap_or_default().split_whitespace().map(str::to_owned).collect();
        if scopes.is_empty() {
            return denied(400, "invalid_scope", "Empty or missing scope not allowed.");
        }
        if let Some(subject) = &claims.sub {
            if !knows(subject) {
                return denied(400, "invalid_grant", "Invalid email or User ID");
            }
            let delegated = &settings.delegated_scopes;
            if !delegated.is_empty() && !scopes.is_subset(delegated) {
                let description = "Client is unauthorized to retrieve access tokens using this method, or client not \
                                   authorized for any of the scopes requested.";
                return denied(401, "unauthorized_client", description);
            }
        }
        self.number += 1;
        let token = format!("ya29.fake-{:016x}-{}", super::seed::mixed(self.number), self.number);
        let lifetime = settings.token_lifetime.as_secs();
        let expires = now + i64::try_from(settings.token_lifetime.as_millis()).unwrap_or(i64::MAX / 2);
        self.given.insert(token.clone(), Grant { subject: claims.sub, scopes, expires });
        answer(200, &json!({"access_token": token, "expires_in": lifetime.saturating_sub(1), "token_type": "Bearer"}))
    }

    pub(crate) fn grant(&self, token: &str, now: i64) -> Result<Grant, Refusal> {
        let grant = self.given.get(token).filter(|grant| now < grant.expires);
        grant.cloned().ok_or_else(|| Refusal::new(401, "authError", "Invalid Credentials"))
    }

    pub(crate) fn count(&self) -> u64 {
        self.number
    }

    pub(crate) fn revoke_all(&mut self) {
        self.given.clear();
    }
}

/// Verifies an assertion. Its parts may be padded, which RFC 7515 forbids and some clients do; the signature is over the
/// text as it came.
fn verified(assertion: &str) -> Result<Claims, &'static str> {
    let malformed = "Bad Request";
    let (message, signature) = assertion.rsplit_once('.').ok_or(malformed)?;
    let key = DecodingKey::from_rsa_pem(keys::RIGHT_PUBLIC.as_bytes()).expect("the fake's own key is one");
    let signature = signature.trim_end_matches('=');
    let mut validation = Validation::new(Algorithm::RS256);
    // Signature, times and audience are judged here, by the fake's own clock and names.
    validation.insecure_disable_signature_validation();
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    let plain = assertion.replace('=', "");
    let token = jsonwebtoken::decode::<Claims>(&plain, &key, &validation).map_err(|error| match error.kind() {
        jsonwebtoken::errors::ErrorKind::InvalidAlgorithm => "Invalid JWT: unsupported algorithm",
        _ => malformed,
    })?;
    if token.header.alg != Algorithm::RS256 {
        return Err("Invalid JWT: unsupported algorithm");
    }
    match jsonwebtoken::crypto::verify(signature, message.as_bytes(), &key, Algorithm::RS256) {
        Ok(true) => Ok(token.claims),
        Ok(false) | Err(_) => Err("Invalid JWT Signature."),
    }
}

fn untimely() -> Answer {
    let description = "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check \
                       your iat and exp values in the JWT claim.";
    denied(400, "invalid_grant", description)
}

fn denied(status: u16, error: &str, description: &str) -> Answer {
    answer(status, &json!({"error": error, "error_description": description}))
}
