//! The one way of a request to the API and back: gate, token, origin. It must not know what is asked.

use std::fmt;
use std::sync::{Arc, OnceLock};

use google_apis_common::GetToken;
use reqwest::{Method, Request};
use serde::de::DeserializeOwned;
use tenantry::gate::{Clock, Cost};
use tenantry::{Context, Error, ErrorKind, Result, Retry};
use tenantry_http::{Answer, Client, TokenSource, Tokens};
use url::Url;

use crate::config::Checked;
use crate::error;
use crate::operation::{MOBILE, Operation, REPORTS, USER};
use crate::sign_in::{Hosted, SignIn};
use crate::wire::Page;

/// The API as one endpoint sees it.
pub(crate) struct Api {
    pub(crate) config: Checked,
    http: Client,
    /// Where tokens come from, if not from the key.
    host: Option<Box<dyn GetToken>>,
    /// Made with the first context, which has the clock.
    tokens: OnceLock<Tokens>,
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Api {
    pub(crate) fn new(config: Checked, host: Option<Box<dyn GetToken>>) -> Result<Self> {
        Ok(Self { http: Client::new(&config.http)?, host, tokens: OnceLock::new(), config })
    }

    fn tokens(&self, clock: &Clock) -> &Tokens {
        self.tokens.get_or_init(|| self.tokens_of(self.config.scopes(), clock))
    }

    /// Makes a place for tokens of some scopes only.
    pub(crate) fn tokens_of(&self, scopes: Vec<&'static str>, clock: &Clock) -> Tokens {
        let source: Arc<dyn TokenSource> = match &self.host {
            Some(tokens) => Arc::new(Hosted { tokens: tokens.clone_box(), scopes }),
            None => Arc::new(SignIn {
                client: self.http.clone(),
                key: self.config.key.clone(),
                admin: self.config.admin.clone(),
                scopes,
                clock: clock.clone(),
            }),
        };
        Tokens::new(source, clock.clone())
    }

    /// Makes the address of a method: each part of the path is escaped by itself.
    pub(crate) fn url(&self, path: &[&str], query: &[(&str, &str)]) -> Url {
        let mut url = self.config.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(["admin", "directory", "v1"]).extend(path);
        }
        url.query_pairs_mut().extend_pairs(query.iter().filter(|(_, value)| !value.is_empty()));
        url
    }

    /// Makes the address of the audit log of one application.
    pub(crate) fn log_url(&self, application: &str, query: &[(&str, &str)]) -> Url {
        let mut url = self.config.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend([
                "admin",
                "reports",
                "v1",
                "activity",
                "users",
                "all",
                "applications",
                application,
            ]);
        }
        url.query_pairs_mut().extend_pairs(query.iter().filter(|(_, value)| !value.is_empty()));
        url
    }

    /// Asks for something and reads the answer, as often as the gate tries.
    pub(crate) async fn get<T: DeserializeOwned + Send>(
        &self,
        cx: &Context,
        operation: Operation,
        url: &Url,
    ) -> Result<T> {
        let answer = self.ask(cx, operation, || Request::new(Method::GET, url.clone())).await?;
        answer.json()
    }

    /// Makes a request until it is answered with success.
    pub(crate) async fn ask(
        &self,
        cx: &Context,
        operation: Operation,
        request: impl Fn() -> Request + Sync,
    ) -> Result<Answer> {
        let tokens = self.tokens(cx.gate().clock());
        self.ask_with(cx, operation, tokens, request).await
    }

    /// Signs in for some scopes only, to see whether they are delegated.
    pub(crate) async fn sign_in(&self, cx: &Context, scopes: Vec<&'static str>) -> Result<()> {
        let tokens = self.tokens_of(scopes, cx.gate().clock());
        let tokens = &tokens;
        let cost = Cost::default().on(USER, 0).on(MOBILE, 0).on(REPORTS, 0);
        cx.gate().call(cost, "sign in", |_| async move { tokens.lease().await.map(drop) }).await
    }

    /// Makes a request with other tokens.
    pub(crate) async fn ask_with(
        &self,
        cx: &Context,
        operation: Operation,
        tokens: &Tokens,
        request: impl Fn() -> Request + Sync,
    ) -> Result<Answer> {
        let request = &request;
        cx.gate()
            .call(operation.cost(), operation.name(), |attempt| async move {
                let answer = self.http.send_with(&self.config.origin, request(), tokens).await?;
                if !answer.status.is_success() {
                    let error = error::refused(operation, &answer, cx.gate().clock().now_unix_millis());
                    if *error.kind() == ErrorKind::Throttled {
                        attempt.throttled_by(operation.bucket());
                    }
                    return Err(error);
                }
                if answer.is_html() {
                    // A gateway's page with status 200: its JSON would fail behind the gate, where nobody tries again.
                    let error = Error::new(ErrorKind::Unavailable, "the answer is an HTML page instead of JSON");
                    return Err(error.with_retry(Retry::Backoff));
                }
                Ok(answer)
            })
            .await
    }

    /// Reads a page of a listing. A refused token is an error of its own.
    pub(crate) async fn page(&self, cx: &Context, operation: Operation, url: &Url, sent: Option<&str>) -> Result<Page> {
        self.page_answer(cx, operation, url, sent).await?.json()
    }

    /// Asks for a page of a listing, and leaves the reading to others.
    pub(crate) async fn page_answer(
        &self,
        cx: &Context,
        operation: Operation,
        url: &Url,
        sent: Option<&str>,
    ) -> Result<Answer> {
        let url = match sent {
            Some(token) => {
                let mut url = url.clone();
                url.query_pairs_mut().append_pair("pageToken", token);
                url
            }
            None => url.clone(),
        };
        match self.ask(cx, operation, || Request::new(Method::GET, url.clone())).await {
            Err(error) if sent.is_some() && error.context("status") == Some("400") => {
                Err(error::token_refused().with_source(error))
            }
            read => read,
        }
    }
}
