//! The one way of a request to Graph and back: gate, token, origin, quota. It must not know what is asked.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Method, Request};
use serde_json::error::Category;
use tenantry::gate::{Clock, Cost};
use tenantry::{Context, Error, ErrorKind, Result, Retry};
use tenantry_http::{Answer, Client, HttpSettings, Origin, Proxy, Tokens};
use url::{Position, Url};
use uuid::Uuid;

use crate::auth::{self, Claims};
use crate::config::{Checked, Office365Config};
use crate::cursor::Link;
use crate::error;
use crate::operation::Operation;
use crate::rates::{APPLICATION, Rates, TENANT};
use crate::requests::Requests;
use crate::wire::{Batch, Part};

/// The most requests in one batch.
pub(crate) const BATCH: usize = Office365Config::MAX_BATCH as usize;

/// Graph as one application sees it.
#[derive(Debug)]
pub(crate) struct Graph {
    pub(crate) config: Checked,
    pub(crate) requests: Requests,
    http: Client,
    api: Origin,
    login: Origin,
    /// Made with the first context, which has the clock.
    tokens: OnceLock<Tokens>,
    /// The token by which rights were last read.
    seen: Mutex<Option<HeaderValue>>,
}

/// One request inside of a batch.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    /// Relative to the root of the version.
    pub(crate) url: String,
    /// Resource units.
    pub(crate) units: u32,
}

impl Graph {
    /// Checks what the client needs and makes it. Nothing is sent.
    pub(crate) fn new(config: Checked) -> Result<Self> {
        let proxy = config.proxy.as_deref().map(Proxy::parse).transpose();
        let settings = HttpSettings {
            proxy: proxy.map_err(|error| error.with_context("key", "proxy"))?,
            ca_pem: config.ca.clone(),
            timeout: config.timeout,
            connect_timeout: config.connect_timeout,
            insecure: config.insecure,
            ..HttpSettings::default()
        };
        let http = Client::new(&settings)?;
        Ok(Self {
            requests: Requests::new(&config.graph, config.page_size),
            api: Origin::of(&config.graph, config.insecure)?,
            login: Origin::of(&config.login, config.insecure)?,
            http,
            tokens: OnceLock::new(),
            seen: Mutex::default(),
            config,
        })
    }

    /// Returns the token of this endpoint, for everybody.
    pub(crate) fn tokens(&self, clock: &Clock) -> Result<&Tokens> {
        if let Some(tokens) = self.tokens.get() {
            return Ok(tokens);
        }
        let source = auth::sign_in(&self.config, self.http.clone(), self.login.clone(), clock.clone())?;
        Ok(self.tokens.get_or_init(|| Tokens::new(Arc::new(source), clock.clone())))
    }

    /// Reads the rights by which is read: those of the moment when the token was issued.
    pub(crate) async fn claims(&self, cx: &Context) -> Result<Claims> {
        let tokens = self.tokens(cx.gate().clock())?;
        let lease = cx.gate().call(Cost::of(0), "sign in", |_| tokens.lease()).await?;
        Ok(Claims::of(&lease))
    }

    /// Reads the rights of now, by a token that this was not called with before.
    pub(crate) async fn claims_of_now(&self, cx: &Context) -> Result<Claims> {
        let tokens = self.tokens(cx.gate().clock())?;
        let read = cx.gate().call(Cost::of(0), "sign in", |_| async move {
            let lease = tokens.lease().await?;
            if *self.seen.lock().unwrap_or_else(PoisonError::into_inner) != Some(lease.header()) {
                return Ok(lease);
            }
            tokens.refused(&lease);
            tokens.lease().await
        });
        let lease = read.await?;
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(lease.header());
        Ok(Claims::of(&lease))
    }

    /// Sends one request as it is, without the gate: for whoever stands in it already.
    pub(crate) async fn send(&self, cx: &Context, mut request: Request) -> Result<Answer> {
        let id = HeaderValue::try_from(Uuid::new_v4().to_string()).expect("digits and hyphens");
        request.headers_mut().insert(HeaderName::from_static("client-request-id"), id);
        self.http.send_with(&self.api, request, self.tokens(cx.gate().clock())?).await
    }

    /// Asks for something and reads the answer, as often as the gate tries.
    pub(crate) async fn get<T: Send>(
        &self,
        cx: &Context,
        operation: Operation,
        units: u32,
        url: &Url,
        read: impl Fn(&Answer) -> Result<T> + Sync,
    ) -> Result<T> {
        self.ask(cx, operation, units, || Request::new(Method::GET, url.clone()), read).await
    }

    /// Makes a request and reads the answer, as often as the gate tries.
    pub(crate) async fn ask<T: Send>(
        &self,
        cx: &Context,
        operation: Operation,
        units: u32,
        request: impl Fn() -> Request + Sync,
        read: impl Fn(&Answer) -> Result<T> + Sync,
    ) -> Result<T> {
        let (request, read) = (&request, &read);
        cx.gate()
            .call(cost_of(operation, units, 1), operation.name(), |attempt| async move {
                let answer = self.send(cx, request()).await?;
                Rates::of(&answer.headers).report(&attempt, operation.lane());
                if !answer.status.is_success() {
                    let now = cx.gate().clock().now_unix_millis();
                    return Err(error::refused(operation, answer.status.as_u16(), &answer.headers, &answer.body, now));
                }
                read(&answer)
            })
            .await
    }

    /// Makes up to 20 requests at once. Each is answered by itself: what was answered is not asked again, and what Graph
    /// asks to be repeated is, behind the longest wait that any of them was told.
    ///
    /// # Errors
    /// That nothing more can be done about one of them; what is refused for good is in its place among the answers.
    pub(crate) async fn batch<T: Send>(
        &self,
        cx: &Context,
        operation: Operation,
        asks: &[Ask],
        read: impl Fn(usize, &[u8]) -> Result<T> + Sync,
    ) -> Result<Vec<Result<T>>> {
        let answers: Mutex<Vec<Option<Result<T>>>> = Mutex::new(asks.iter().map(|_| None).collect());
        let (answers_ref, read) = (&answers, &read);
        let all: u32 = asks.iter().map(|ask| ask.units).sum();
        let url = &self.requests.batch();
        let all_parts = u32::try_from(asks.len()).unwrap_or(u32::MAX);
        let price = cost_of(operation, all, all_parts);
        let sent = cx.gate().call(price, operation.name(), |attempt| async move {
            let left: Vec<usize> = {
                let answers = answers_ref.lock().unwrap_or_else(PoisonError::into_inner);
                (0..asks.len()).filter(|at| answers[*at].is_none()).collect()
            };
            let units = left.iter().map(|at| asks[*at].units).sum();
            if units != all {
                attempt.actual_cost(TENANT, units);
                attempt.actual_cost(APPLICATION, units);
            }
            let mut request = Request::new(Method::POST, url.clone());
            request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            *request.body_mut() = Some(batch_body(asks, &left).into());
            let answer = self.send(cx, request).await?;
            let now = cx.gate().clock().now_unix_millis();
            if !answer.status.is_success() {
                Rates::of(&answer.headers).report(&attempt, operation.lane());
                return Err(error::refused(operation, answer.status.as_u16(), &answer.headers, &answer.body, now));
            }
            let batch: Batch<'_> = answer.json()?;
            let mut rates = Rates::default();
            rates.add(&answer.headers);
            let mut again: Option<Error> = None;
            let mut told = answers_ref.lock().unwrap_or_else(PoisonError::into_inner);
            for part in &batch.responses {
                rates.add(&part.headers);
                let Some(place) = told.get_mut(part.id).filter(|place| place.is_none()) else { continue };
                match part_of(operation, part, now, read) {
                    Err(error) if error.retry() != Retry::Never => again = Some(later(again.take(), error)),
                    outcome => *place = Some(outcome),
                }
            }
            let ended = if again.is_none() { check_whole(&told) } else { Ok(()) };
            drop(told);
            rates.report(&attempt, operation.lane());
            again.map_or(ended, Err)
        });
        sent.await?;
        let answers = answers.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(answers.into_iter().flatten().collect())
    }

    /// Takes a link that Graph gave: it has to lead to where requests are sent.
    pub(crate) fn link(&self, text: &str) -> Result<Link> {
        let url = self.api.link(text)?;
        Ok(Link(url[Position::BeforePath..Position::AfterQuery].into()))
    }

    /// Returns where a link leads: to the configured place, whatever is in the link.
    pub(crate) fn at(&self, link: &Link) -> Url {
        let mut url = self.config.graph.clone();
        let (path, query) = match link.0.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (&*link.0, None),
        };
        url.set_path(path);
        url.set_query(query);
        url
    }

    /// Returns where a part of a batch leads when it is asked for by itself.
    pub(crate) fn alone(&self, ask: &Ask) -> Url {
        self.at(&Link(format!("{}{}", self.config.graph.path(), ask.url).into()))
    }

    /// Returns a link as a part of a batch, if it lies below the root of the version.
    pub(crate) fn relative(&self, link: &Link) -> Option<String> {
        link.0.strip_prefix(self.config.graph.path()).filter(|rest| rest.starts_with('/')).map(ToOwned::to_owned)
    }
}

/// Returns the cost of so many requests of a kind, which may have a quota of its own.
fn cost_of(operation: Operation, units: u32, requests: u32) -> Cost {
    match operation.lane() {
        Some(lane) => cost(units).on(lane, requests),
        None => cost(units),
    }
}

/// Returns the cost of an ordinary call.
pub(crate) fn cost(units: u32) -> Cost {
    Cost::of(0).on(TENANT, units).on(APPLICATION, units)
}

/// Says what was wrong with an answer that is not what it should be, and nothing of what is in it.
pub(crate) fn unreadable(answer: &Answer, error: &serde_json::Error) -> Error {
    let (message, retry) = match error.classify() {
        _ if answer.is_html() => ("the answer is an HTML page instead of JSON", Retry::Backoff),
        Category::Eof => ("the answer's JSON is cut off", Retry::Backoff),
        Category::Data => ("the answer's JSON is not of the expected form", Retry::Never),
        Category::Syntax | Category::Io => ("the answer is not JSON", Retry::Never),
    };
    Error::protocol(message).with_retry(retry).with_context("line", error.line()).with_context("column", error.column())
}

/// Refuses a batch of which parts were not answered at all: they are asked for again.
fn check_whole<T>(told: &[Option<Result<T>>]) -> Result<()> {
    if told.iter().all(Option::is_some) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Unavailable, "a batch was not answered whole").with_retry(Retry::Backoff))
}

fn part_of<T>(operation: Operation, part: &Part<'_>, now: i64, read: &impl Fn(usize, &[u8]) -> Result<T>) -> Result<T> {
    if !(200..300).contains(&part.status) {
        return Err(error::refused(operation, part.status, &part.headers, part.body(), now));
    }
    read(part.id, part.body())
}

/// Of two failures the one that asks for the longer wait.
fn later(one: Option<Error>, other: Error) -> Error {
    let wait = |error: &Error| match error.retry() {
        Retry::After(wait) => Some(wait),
        _ => None,
    };
    match one {
        Some(one) if wait(&one) >= wait(&other) => one,
        _ => other,
    }
}

fn batch_body(asks: &[Ask], left: &[usize]) -> String {
    use std::fmt::Write as _;
    let mut body = String::with_capacity(left.len() * 160);
    body.push_str(r#"{"requests":["#);
    for (place, at) in left.iter().enumerate() {
        let comma = if place == 0 { "" } else { "," };
        let url = serde_json::Value::from(asks[*at].url.as_str());
        let _ = write!(body, r#"{comma}{{"id":"{at}","method":"GET","url":{url}}}"#);
    }
    body.push_str("]}");
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_that_leaves_a_part_out_is_asked_again() {
        assert!(check_whole(&[Some(Ok(1)), Some(Err(Error::protocol("refused for good")))]).is_ok());
        let error = check_whole(&[Some(Ok(1)), None]).unwrap_err();
        assert_eq!((error.kind(), error.retry()), (&ErrorKind::Unavailable, Retry::Backoff));
    }
}
