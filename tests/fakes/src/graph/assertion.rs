//! Client assertions: signed by a registered certificate, for this endpoint, for a short time, once; it knows no object.

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::Value;

use super::apps::Registered;
use super::login::{Refusal, refusal};

/// What an assertion must fit.
pub(crate) struct Demand<'a> {
    pub(crate) client: &'a str,
    /// The token endpoint's addresses.
    pub(crate) audiences: &'a [String],
    pub(crate) certificates: &'a [Registered],
    /// RS256 with `x5t` is good as well.
    pub(crate) old_form: bool,
    /// Seconds since 1970.
    pub(crate) now: i64,
}

/// Seconds by which two clocks may differ.
const SKEW: i64 = 300;

fn invalid(number: u32, text: impl Into<String>) -> Refusal {
    refusal(401, "invalid_client", number, text)
}

/// Checks an assertion; returns its `jti`.
pub(crate) fn check(text: &str, demand: &Demand<'_>) -> Result<String, Refusal> {
    let malformed = || invalid(50_027, "JWT token is invalid or malformed.");
    let head = text.split('.').next().and_then(super::encoding::decode).ok_or_else(malformed)?;
    let head: Value = serde_json::from_slice(&head).map_err(|_| malformed())?;
    let (algorithm, thumbprint) = match (head["alg"].as_str(), head["x5t#S256"].as_str(), head["x5t"].as_str()) {
        (Some("PS256"), Some(thumbprint), _) => (Algorithm::PS256, thumbprint),
        (Some("RS256"), _, Some(thumbprint)) if demand.old_form => (Algorithm::RS256, thumbprint),
        (Some("RS256"), Some(thumbprint), _) if demand.old_form => (Algorithm::RS256, thumbprint),
        _ => {
            return Err(invalid(
                700_027,
                "Client assertion failed signature validation: the algorithm or the thumbprint is missing or not accepted.",
            ));
        }
    };
    let thumbprint = thumbprint.trim_end_matches('=');
    let known = demand.certificates.iter().find(|known| known.sha256 == thumbprint || known.sha1 == thumbprint);
    let Some(known) = known else {
        let text = "Client assertion failed signature validation. The certificate used to sign the client assertion \
                    is not registered on application.";
        return Err(invalid(700_027, text));
    };
    let mut validation = Validation::new(algorithm);
    // Times and audience are judged below by the tenant's own clock.
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    let key = DecodingKey::from_rsa_der(&known.public_key);
    let claims = jsonwebtoken::decode::<Value>(text, &key, &validation)
        .map_err(|_| invalid(700_027, "Client assertion failed signature validation."))?
        .claims;
    let text = |name: &str| claims[name].as_str().unwrap_or_default().to_owned();
    if !text("iss").eq_ignore_ascii_case(demand.client) || !text("sub").eq_ignore_ascii_case(demand.client) {
        return Err(invalid(700_030, "Invalid certificate: 'iss' and 'sub' must be the client id."));
    }
    if !demand.audiences.contains(&text("aud")) {
        return Err(invalid(
            700_023,
            format!("Client assertion audience claim does not match Realm issuer: {}.", text("aud")),
        ));
    }
    let number = |name: &str| claims[name].as_i64();
    let (Some(from), Some(to)) = (number("nbf"), number("exp")) else {
        return Err(invalid(50_027, "Client assertion must contain 'nbf' and 'exp'."));
    };
    if from > demand.now + SKEW || to <= demand.now - SKEW {
        return Err(invalid(700_024, "Client assertion is not within its valid time range."));
    }
    let id = text("jti");
    if id.is_empty() { Err(invalid(50_027, "Client assertion must contain 'jti'.")) } else { Ok(id) }
}
