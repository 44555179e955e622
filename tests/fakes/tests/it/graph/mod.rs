//! Asks the fake Graph as a plain client would, without sockets where none are needed; it knows no connector.

mod delta;
mod faults;
mod listing;
mod login;
mod quota;
mod sockets;
mod writes;

use std::collections::BTreeSet;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::Value;
use tenantry_fakes::graph::{Clock, Tenant};
use tenantry_fakes::http::{Reply, Request};

const ORIGIN: &str = "http://127.0.0.1:9";

/// A client with a token.
pub(crate) struct Client {
    pub(crate) tenant: Tenant,
    token: String,
}

/// An answer with its JSON, which is null when there is none.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn of(reply: &Reply) -> Self {
        let body = serde_json::from_slice(&reply.body).unwrap_or(Value::Null);
        Self { status: reply.status.as_u16(), headers: reply.headers.clone(), body }
    }

    pub(crate) fn code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap_or_default()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    pub(crate) fn rows(&self) -> &[Value] {
        self.body["value"].as_array().map_or(&[], Vec::as_slice)
    }

    pub(crate) fn ids(&self) -> Vec<String> {
        self.rows().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
    }

    pub(crate) fn link(&self, name: &str) -> Option<&str> {
        self.body[name].as_str()
    }
}

pub(crate) fn manual(tenant: Tenant) -> Tenant {
    tenant.with_clock(Clock::manual())
}

impl Client {
    pub(crate) fn new(tenant: Tenant) -> Self {
        let mut client = Self { tenant, token: String::new() };
        client.sign_in();
        client
    }

    pub(crate) fn sign_in(&mut self) {
        let known = self.tenant.credentials();
        let answer = self.ask_token(&[
            ("grant_type", "client_credentials"),
            ("client_id", &known.client_id),
            ("client_secret", &known.secret),
            ("scope", "https://graph.microsoft.com/.default"),
        ]);
        answer.body["access_token"].as_str().unwrap().clone_into(&mut self.token);
    }

    pub(crate) fn ask_token(&self, form: &[(&str, &str)]) -> Answer {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let path = format!("/{}/oauth2/v2.0/token", self.tenant.tenant_id());
        self.ask(Method::POST, &path, &[], &body)
    }

    fn ask(&self, method: Method, target: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        Answer::of(&self.reply(method, target, headers, body))
    }

    pub(crate) fn reply(&self, method: Method, target: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut all = HeaderMap::new();
        if !self.token.is_empty() {
            all.insert("authorization", HeaderValue::from_str(&format!("Bearer {}", self.token)).unwrap());
        }
        for (name, value) in headers {
            all.insert(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
        }
        self.tenant.handler().handle(&Request {
            method,
            path: path.to_owned(),
            query: query.to_owned(),
            headers: all,
            body: body.as_bytes().to_vec().into(),
            origin: ORIGIN.to_owned(),
        })
    }

    /// Asks for a path below the version, or follows a link.
    pub(crate) fn get(&self, target: &str) -> Answer {
        self.get_with(target, &[])
    }

    pub(crate) fn get_with(&self, target: &str, headers: &[(&str, &str)]) -> Answer {
        let whole = target.strip_prefix(ORIGIN).map_or_else(|| format!("/v1.0{target}"), str::to_owned);
        self.ask(Method::GET, &whole, headers, "")
    }

    pub(crate) fn post(&self, target: &str, body: &Value) -> Answer {
        self.ask(Method::POST, &format!("/v1.0{target}"), &[("content-type", "application/json")], &body.to_string())
    }

    pub(crate) fn patch(&self, target: &str, body: &Value) -> Answer {
        self.ask(Method::PATCH, &format!("/v1.0{target}"), &[("content-type", "application/json")], &body.to_string())
    }

    /// Follows `nextLink` to the end; returns all pages.
    pub(crate) fn pages(&self, target: &str) -> Vec<Answer> {
        let mut pages = vec![self.get(target)];
        while let Some(next) = pages.last().and_then(|page| page.link("@odata.nextLink")).map(str::to_owned) {
            assert!(pages.len() < 5000, "the pages never end");
            pages.push(self.get(&next));
        }
        for page in &pages {
            assert_eq!(page.status, 200, "{page:?}");
        }
        pages
    }

    /// All rows of a listing.
    pub(crate) fn rows(&self, target: &str) -> Vec<Value> {
        self.pages(target).iter().flat_map(|page| page.rows().to_vec()).collect()
    }

    pub(crate) fn ids(&self, target: &str) -> BTreeSet<String> {
        let rows = self.rows(target);
        let ids: BTreeSet<String> = rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect();
        assert_eq!(ids.len(), rows.len(), "a row stands twice");
        ids
    }

    /// Walks a round of delta; returns its rows and the link to the next round.
    pub(crate) fn round(&self, target: &str) -> (Vec<Value>, String) {
        let pages = self.pages(target);
        let link = pages.last().unwrap().link("@odata.deltaLink").expect("a round ends with a deltaLink").to_owned();
        assert!(pages.iter().rev().skip(1).all(|page| page.link("@odata.deltaLink").is_none()));
        (pages.iter().flat_map(|page| page.rows().to_vec()).collect(), link)
    }

    pub(crate) fn pass(&self, seconds: u64) {
        self.tenant.clock().advance(Duration::from_secs(seconds));
    }
}
