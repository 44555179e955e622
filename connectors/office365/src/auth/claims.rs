//! What a token says of the application that holds it. It must not be believed for more than advice: nothing here checks
//! a signature, and Graph alone decides what a token may do.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use tenantry_http::Lease;
use uuid::Uuid;

/// The claims of an application's token that can be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Claims {
    /// The granted application permissions, or nothing where the token does not show them: a token is opaque, and its
    /// form may change at any time.
    pub(crate) roles: Option<BTreeSet<String>>,
    /// The tenant.
    pub(crate) tenant: Option<Uuid>,
}

#[derive(Deserialize)]
struct Body {
    roles: Option<BTreeSet<String>>,
    tid: Option<Uuid>,
}

impl Claims {
    /// Reads what the token shows.
    pub(crate) fn of(lease: &Lease) -> Self {
        lease.header().to_str().ok().and_then(|text| text.strip_prefix("Bearer ")).map(Self::read).unwrap_or_default()
    }

    fn read(token: &str) -> Self {
        let body = token.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part.trim_end_matches('=')).ok());
        let body = body.and_then(|body| serde_json::from_slice::<Body>(&body).ok());
        // A token for an application that was granted nothing has no such claim; but it is one of the tenant.
        body.map(|body| Self { roles: body.roles.or(body.tid.map(|_| BTreeSet::new())), tenant: body.tid })
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(body: &str) -> String {
        format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(body))
    }

    #[test]
    fn roles_and_tenant_are_read_without_a_key() {
        let claims =
            Claims::read(&token(r#"{"tid":"3f1c2b1a-9a1b-4c55-8f3e-0c55e2f6a001","roles":["User.Read.All"],"x":1}"#));
        assert_eq!(claims.roles, Some(BTreeSet::from(["User.Read.All".to_owned()])));
        assert_eq!(claims.tenant.unwrap().to_string(), "3f1c2b1a-9a1b-4c55-8f3e-0c55e2f6a001");
    }

    #[test]
    fn an_application_without_roles_has_none_and_an_opaque_token_tells_nothing() {
        let claims = Claims::read(&token(r#"{"tid":"3f1c2b1a-9a1b-4c55-8f3e-0c55e2f6a001"}"#));
        assert_eq!(claims.roles, Some(BTreeSet::new()));
        for opaque in ["", "abc", "a.b.c", "e30.e30.e30", &token(r#"{"roles":"User.Read.All"}"#)] {
            assert_eq!(Claims::read(opaque), Claims::default(), "{opaque}");
        }
    }
}
