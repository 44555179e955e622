//! Registered applications, their secrets and rights, and the tokens that they were given; it knows no object.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde_json::json;

use super::encoding::{base64url, decode};
use super::ids::mix;
use super::permissions::READING;

/// With what an application proves who it is.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The tenant's id.
    pub tenant_id: String,
    /// The application's id.
    pub client_id: String,
    /// Its secret.
    pub secret: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("tenant_id", &self.tenant_id)
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

/// A certificate that an application registered, as far as assertions are checked against it.
#[derive(Debug, Clone)]
pub(crate) struct Registered {
    /// PKCS#1 `RSAPublicKey` in DER.
    pub(crate) public_key: Vec<u8>,
    pub(crate) sha256: String,
    pub(crate) sha1: String,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct App {
    pub(crate) secrets: BTreeSet<String>,
    pub(crate) certificates: Vec<Registered>,
    pub(crate) permissions: BTreeSet<String>,
    pub(crate) blocked: bool,
}

impl App {
    pub(crate) fn may(&self, any: &[&str]) -> bool {
        any.iter().any(|name| self.permissions.contains(*name))
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.permissions.contains(name)
    }
}

/// All applications and what was issued to them.
#[derive(Debug, Default)]
pub(crate) struct Apps {
    pub(crate) by_id: HashMap<String, App>,
    /// Tokens that are good though nobody issued them.
    pub(crate) standing: HashMap<String, String>,
    /// Assertions are good once.
    pub(crate) used: HashSet<String>,
    /// Tokens of earlier generations are expired.
    pub(crate) generation: u64,
    pub(crate) issued: u64,
}

/// Why a token is not good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    Malformed,
    Expired,
}

impl Apps {
    pub(crate) fn register(&mut self, client: &str, secret: &str) {
        let app = self.by_id.entry(client.to_owned()).or_default();
        app.secrets.insert(secret.to_owned());
        app.permissions = READING.iter().map(|name| (*name).to_owned()).collect();
    }

    /// Issues a token in the usual form; its claims are readable, as some clients read them.
    pub(crate) fn issue(
        &mut self,
        tenant: &str,
        client: &str,
        audience: &str,
        now: i64,
        life: i64,
        key: u64,
    ) -> String {
        self.issued += 1;
        let roles: Vec<&String> =
            self.by_id.get(client).map(|app| app.permissions.iter().collect()).unwrap_or_default();
        let claims = json!({
            "aud": audience, "iss": format!("https://sts.tenant.example/{tenant}/"), "iat": now, "nbf": now,
            "exp": now + life, "appid": client, "idtyp": "app", "tid": tenant, "roles": roles,
            "uti": self.issued, "gen": self.generation,
        });
        let head = base64url(json!({ "typ": "JWT", "alg": "RS256", "kid": "fake" }).to_string().as_bytes());
        let body = format!("{head}.{}", base64url(claims.to_string().as_bytes()));
        let seal = base64url(&sum(&body, key));
        format!("{body}.{seal}")
    }

    /// Tells which application a token speaks for.
    pub(crate) fn check(&self, token: &str, now: i64, key: u64) -> Result<String, Refused> {
        if let Some(client) = self.standing.get(token) {
            return Ok(client.clone());
        }
        let (body, seal) = token.rsplit_once('.').ok_or(Refused::Malformed)?;
        if base64url(&sum(body, key)) != seal {
            return Err(Refused::Malformed);
        }
        let claims = body.split_once('.').and_then(|(_, claims)| decode(claims)).ok_or(Refused::Malformed)?;
        let claims: serde_json::Value = serde_json::from_slice(&claims).map_err(|_| Refused::Malformed)?;
        let number = |name: &str| claims[name].as_i64().unwrap_or(i64::MIN);
        let old = claims["gen"].as_u64().is_none_or(|generation| generation < self.generation);
        if old || number("exp") <= now {
            return Err(Refused::Expired);
        }
        Ok(claims["appid"].as_str().unwrap_or_default().to_owned())
    }
}

/// A seal over text; only this process can make it, as the key is its own.
fn sum(text: &str, key: u64) -> [u8; 16] {
    let word = |bytes: &[u8]| bytes.iter().fold(0_u64, |word, byte| word << 8 | u64::from(*byte));
    let mut sums = [mix(key), mix(key ^ 0x5ea1)];
    for chunk in text.as_bytes().chunks(8) {
        for sum in &mut sums {
            *sum = mix(*sum ^ word(chunk)).rotate_left(9);
        }
    }
    let mut out = [0; 16];
    out[..8].copy_from_slice(&sums[0].to_le_bytes());
    out[8..].copy_from_slice(&sums[1].to_le_bytes());
    out
}
