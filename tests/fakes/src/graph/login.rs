//! The token endpoint: who asks, with what proof, for which resource; it knows no object.

use std::collections::HashMap;

use http::{Method, StatusCode};
use serde_json::json;

use super::assertion::{self, Demand};
use super::clock::instant;
use super::faults::{Fault, Occasion};
use super::lies::spoil;
use super::route::Call;
use super::settings::Settings;
use super::tenant::Inner;
use crate::http::{Reply, Request};

const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Why no token is given, as Entra says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) error: &'static str,
    pub(crate) number: u32,
    pub(crate) text: String,
}

pub(crate) fn refusal(status: u16, error: &'static str, number: u32, text: impl Into<String>) -> Refusal {
    Refusal { status, error, number, text: text.into() }
}

impl Inner {
    pub(crate) fn token(&self, request: &Request, tenant: &str, settings: &Settings) -> Reply {
        let faults = self.faults.decide(&Occasion { call: Call::Token, target: &request.path, page: 1 });
        let lied = faults.iter().find_map(|fault| match fault {
            Fault::Error { status, code, message } => Some(self.token_error(&Refusal {
                status: *status,
                error: "temporarily_unavailable",
                number: code.trim_start_matches("AADSTS").parse().unwrap_or(90_033),
                text: message.clone(),
            })),
            Fault::Status { status, retry_after } => {
                let text = "A transient error has occurred. Please try again.";
                let reply = self.token_error(&refusal(*status, "temporarily_unavailable", 90_033, text));
                Some(match retry_after {
                    Some(after) => reply.with_header("retry-after", after),
                    None => reply,
                })
            }
            Fault::Html { status } => {
                let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::BAD_GATEWAY);
                Some(Reply::html(status, "<html><body>Sign-in is not available right now</body></html>"))
            }
            Fault::Redirect(address) => {
                Some(Reply::empty(StatusCode::TEMPORARY_REDIRECT).with_header("location", address))
            }
            Fault::LoseRights | Fault::Unauthorized => Some(self.token_error(&bad_secret("unknown"))),
            _ => None,
        });
        let reply = lied.unwrap_or_else(|| match self.grant(request, tenant, settings) {
            Ok(body) => Reply::json(StatusCode::OK, body).with_header("cache-control", "no-store"),
            Err(refusal) => self.token_error(&refusal),
        });
        let reply = spoil(reply, &faults);
        self.record(request, (Call::Token, Some(reply.status.as_u16()), 0.0), settings, false);
        reply
    }

    fn grant(&self, request: &Request, tenant: &str, settings: &Settings) -> Result<String, Refusal> {
        if request.method != Method::POST {
            return Err(refusal(400, "invalid_request", 900_561, "The endpoint only accepts POST requests."));
        }
        if !tenant.eq_ignore_ascii_case(&self.tenant_id) && !self.domains().iter().any(|domain| domain == tenant) {
            let text = format!("Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID.");
            return Err(refusal(400, "invalid_request", 90_002, text));
        }
        let form: HashMap<String, String> = url::form_urlencoded::parse(&request.body).into_owned().collect();
        let field = |name: &'static str| {
            form.get(name).filter(|value| !value.is_empty()).ok_or_else(|| {
                let text = format!("The request body must contain the following parameter: '{name}'.");
                refusal(400, "invalid_request", 900_144, text)
            })
        };
        if field("grant_type")? != "client_credentials" {
            return Err(refusal(400, "unsupported_grant_type", 70_003, "The app requested an unsupported grant type."));
        }
        let client = field("client_id")?.to_ascii_lowercase();
        let scope = field("scope")?;
        let audience = self.audience(scope, &request.origin)?;
        let now = self.now() / 1000;
        let mut apps = self.apps();
        let app = apps.by_id.get(&client).cloned().ok_or_else(|| {
            let text = format!("Application with identifier '{client}' was not found in the directory '{tenant}'.");
            refusal(400, "unauthorized_client", 700_016, text)
        })?;
        if app.blocked {
            let text = format!("The application '{client}' is disabled.");
            return Err(refusal(401, "unauthorized_client", 7_000_112, text));
        }
        if let Some(text) = form.get("client_assertion") {
            if form.get("client_assertion_type").map(String::as_str) != Some(ASSERTION) {
                return Err(refusal(
                    400,
                    "invalid_request",
                    900_144,
                    "The client_assertion_type is missing or unknown.",
                ));
            }
            let demand = Demand {
                client: &client,
                audiences: &[
                    format!("{}{}", request.origin, request.path),
                    format!("https://login.microsoftonline.com{}", request.path),
                ],
                certificates: &app.certificates,
                old_form: settings.old_assertions,
                now,
            };
            let id = assertion::check(text, &demand)?;
            if !apps.used.insert(format!("{client} {id}")) {
                let text = "Client assertion contains a 'jti' that was already used.";
                return Err(refusal(401, "invalid_client", 700_027, text));
            }
        } else {
            let secret = form.get("client_secret").ok_or_else(|| {
                let text =
                    "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.";
                refusal(401, "invalid_client", 7_000_218, text)
            })?;
            if !app.secrets.contains(secret) {
                return Err(bad_secret(&client));
            }
        }
        let life = i64::try_from(settings.access_token_life.as_secs()).unwrap_or(3599);
        let token = apps.issue(&self.tenant_id, &client, &audience, now, life, self.key);
        let body = json!({ "token_type": "Bearer", "expires_in": life, "ext_expires_in": life, "access_token": token });
        Ok(body.to_string())
    }

    /// `https://graph.microsoft.com/.default`, or this server's own root for clients that were told of it.
    fn audience(&self, scope: &str, origin: &str) -> Result<String, Refusal> {
        let root = scope.strip_suffix("/.default").map(|root| root.trim_end_matches('/'));
        let known = root.filter(|root| {
            *root == origin
                || self.graph_roots().iter().any(|known| known == root)
                || matches!(
                    *root,
                    "https://graph.microsoft.com"
                        | "https://graph.microsoft.us"
                        | "https://dod-graph.microsoft.us"
                        | "https://microsoftgraph.chinacloudapi.cn"
                )
        });
        match (root, known) {
            (_, Some(root)) => Ok(root.to_owned()),
            (Some(root), None) => {
                let text = format!("The resource principal named {root} was not found in the tenant.");
                Err(refusal(400, "invalid_resource", 500_011, text))
            }
            (None, _) => {
                let text = format!(
                    "The provided value for the input parameter 'scope' is not valid. The scope {scope} is not valid."
                );
                Err(refusal(400, "invalid_scope", 1_002_012, text))
            }
        }
    }

    fn token_error(&self, refusal: &Refusal) -> Reply {
        let id = self.request_id();
        let date = instant(self.now() / 1000).replace('T', " ");
        let description =
            format!("AADSTS{}: {} Trace ID: {id} Correlation ID: {id} Timestamp: {date}", refusal.number, refusal.text);
        let body = json!({ "error": refusal.error, "error_description": description, "error_codes": [refusal.number],
            "timestamp": date, "trace_id": id, "correlation_id": id,
            "error_uri": format!("https://login.tenant.example/error?code={}", refusal.number) });
        Reply::json(StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::BAD_REQUEST), body.to_string())
    }
}

fn bad_secret(client: &str) -> Refusal {
    let text = format!(
        "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, \
         not the client secret ID, for a secret added to app '{client}'."
    );
    refusal(401, "invalid_client", 7_000_215, text)
}
