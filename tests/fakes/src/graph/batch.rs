//! `$batch`: up to twenty requests in one, each judged, priced and refused by itself; it knows no object.

use std::collections::{HashMap, HashSet};

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::{Map, Value, json};

use super::error::Problem;
use super::service::{Asked, Output};
use super::settings::BatchOrder;
use crate::http::{Ending, Reply, Request};

/// The most parts of a batch.
const MOST: usize = 20;

fn wrong(message: impl Into<String>) -> Problem {
    Problem::new(400, "BadRequest", message)
}

impl Asked<'_> {
    pub(crate) fn batch(&self) -> Result<Output, Problem> {
        if self.in_batch {
            return Err(wrong("A batch cannot be part of a batch."));
        }
        let body: Value =
            serde_json::from_slice(&self.request.body).map_err(|_| wrong("Invalid batch payload format."))?;
        let parts = body["requests"].as_array().filter(|parts| !parts.is_empty());
        let parts = parts.ok_or_else(|| wrong("Invalid batch payload format."))?;
        if parts.len() > MOST {
            return Err(wrong(format!("Number of batch request steps exceeds the maximum value of {MOST}.")));
        }
        let mut ids = HashSet::new();
        for part in parts {
            let id = part["id"].as_str().ok_or_else(|| wrong("Request Id cannot be null."))?;
            if !ids.insert(id.to_lowercase()) {
                return Err(wrong("Request Id's must be unique."));
            }
        }
        let mut statuses: HashMap<String, u16> = HashMap::new();
        let mut answers = Vec::with_capacity(parts.len());
        for part in parts {
            let id = part["id"].as_str().unwrap_or_default();
            let before = part["dependsOn"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let failed =
                before.map(|id| statuses.get(&id.to_lowercase())).any(|status| status.is_none_or(|s| *s >= 400));
            let answer = if failed { self.failed_dependency(id) } else { self.part(id, part)? };
            statuses.insert(id.to_lowercase(), u16::try_from(answer["status"].as_u64().unwrap_or(500)).unwrap_or(500));
            answers.push(answer);
        }
        if self.settings.batch_order == BatchOrder::Reversed {
            answers.reverse();
        }
        Ok(Output::Json(json!({ "responses": answers })))
    }

    fn failed_dependency(&self, id: &str) -> Value {
        let problem = Problem::new(424, "FailedDependency", "A request that this one depends on failed.");
        answer(id, &self.inner.refuse(&problem, self.request))
    }

    fn part(&self, id: &str, part: &Value) -> Result<Value, Problem> {
        let method = part["method"].as_str().unwrap_or_default().to_uppercase();
        let method = Method::from_bytes(method.as_bytes()).map_err(|_| wrong("Invalid HTTP method."))?;
        let url = part["url"].as_str().ok_or_else(|| wrong("Invalid request url."))?;
        if url.contains("://") {
            return Err(wrong("Only relative urls are supported."));
        }
        let (path, query) = url.split_once('?').unwrap_or((url, ""));
        let mut headers = HeaderMap::new();
        for (name, value) in part["headers"].as_object().unwrap_or(&Map::new()) {
            if let (Ok(name), Some(Ok(value))) =
                (HeaderName::from_bytes(name.as_bytes()), value.as_str().map(HeaderValue::from_str))
            {
                headers.insert(name, value);
            }
        }
        let body = match &part["body"] {
            Value::Null => Vec::new(),
            _ if !headers.contains_key("content-type") => {
                return Err(wrong("A Content-Type header is required for a request with a body."));
            }
            body => body.to_string().into_bytes(),
        };
        let request = Request {
            method,
            path: format!("/v1.0/{}", path.trim_start_matches('/')),
            query: query.to_owned(),
            headers,
            body: body.into(),
            origin: self.request.origin.clone(),
        };
        Ok(answer(id, &self.inner.one(&request, self.app.clone(), self.settings, true)))
    }
}

fn answer(id: &str, reply: &Reply) -> Value {
    let headers: Map<String, Value> = reply
        .headers
        .iter()
        .filter_map(|(name, value)| Some((capitals(name.as_str()), Value::String(value.to_str().ok()?.to_owned()))))
        .collect();
    // Inside a batch no connection can be cut: the part fails as its own server would for the gateway.
    let status = if reply.ending == Ending::Whole { reply.status.as_u16() } else { 504 };
    let body = serde_json::from_slice(&reply.body).unwrap_or_else(|_| {
        // What is no JSON is given as text in base64, as the real service does.
        if reply.body.is_empty() { Value::Null } else { json!(super::encoding::base64(&reply.body)) }
    });
    json!({ "id": id, "status": status, "headers": headers, "body": body })
}

/// `retry-after` to `Retry-After`, as the inner headers are written.
fn capitals(name: &str) -> String {
    if name.starts_with("x-") || name == "request-id" {
        return name.to_owned();
    }
    let word = |word: &str| {
        let mut out = Vec::new();
        super::names::capital(word, &mut out);
        String::from_utf8(out).unwrap_or_default()
    };
    name.split('-').map(word).collect::<Vec<_>>().join("-")
}
