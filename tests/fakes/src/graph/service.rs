//! Answers requests: who asks, what it costs, whether it is allowed, what goes wrong, and then what it is; no socket.

use http::{HeaderValue, StatusCode};
use serde_json::Value;

use super::apps::{App, Refused};
use super::clock::instant;
use super::delta::Context;
use super::error::Problem;
use super::faults::{Fault, Occasion};
use super::ids::Kind;
use super::lies;
use super::listing::Listing;
use super::log::Logged;
use super::page::Page;
use super::permissions::{needed, reading};
use super::query::Query;
use super::quota::Price;
use super::route::{Call, Route};
use super::rows::Detail;
use super::settings::Settings;
use super::state::State;
use super::tenant::{Inner, Tenant};
use super::token::{Round, unseal_place};
use crate::http::{Ending, Handler, Reply, Request};

/// What a resource answers when all is well.
pub(crate) enum Output {
    Page(Page),
    Json(Value),
    Bytes(Vec<u8>),
    Text(String),
    Nothing,
}

/// A request to a resource, with everything that is known of it.
pub(crate) struct Asked<'a> {
    pub(crate) inner: &'a Inner,
    pub(crate) settings: &'a Settings,
    pub(crate) app: App,
    pub(crate) request: &'a Request,
    /// Below the version, such as `/users`.
    pub(crate) path: &'a str,
    pub(crate) query: Query,
    pub(crate) route: Route,
    pub(crate) in_batch: bool,
    pub(crate) limited: bool,
}

impl Handler for Tenant {
    fn handle(&self, request: &Request) -> Reply {
        let inner = &*self.0;
        let settings = inner.settings();
        let mut reply = match request.path.strip_suffix("/oauth2/v2.0/token") {
            Some(tenant) => inner.token(request, tenant.trim_start_matches('/'), &settings),
            None => inner.graph(request, &settings),
        };
        reply.delay += settings.latency;
        reply
    }
}

impl Inner {
    fn graph(&self, request: &Request, settings: &Settings) -> Reply {
        let client = match self.client(request) {
            Ok(client) => client,
            Err(problem) => return self.refuse(&problem, request),
        };
        let app = self.apps().by_id.get(&client).cloned().unwrap_or_default();
        self.one(request, app, settings, false)
    }

    /// Answers one request, or one part of a batch.
    pub(crate) fn one(&self, request: &Request, app: App, settings: &Settings, in_batch: bool) -> Reply {
        let path = request.path.strip_prefix("/v1.0").unwrap_or_default();
        let Some(route) = Route::parse(&request.method, path) else {
            let problem = Problem::new(400, "BadRequest", "Resource not found for the segment.");
            self.record(request, (Call::Other, Some(400), 0.0), settings, in_batch);
            return self.refuse(&problem, request);
        };
        let call = route.call();
        let eventual = request.header("consistencylevel").is_some_and(|level| level.eq_ignore_ascii_case("eventual"));
        let query = match Query::parse(&request.query, eventual) {
            Ok(query) => query,
            Err(problem) => {
                self.record(request, (call, Some(problem.status), 1.0), settings, in_batch);
                return self.refuse(&problem, request);
            }
        };
        let price = route.price(&query);
        let share = match self.charge(settings, &price, &app.client) {
            Ok(share) => share,
            Err(problem) => {
                self.record(request, (call, Some(429), price.units), settings, in_batch);
                return self.refuse(&problem, request);
            }
        };
        let faults = {
            let target = target(request);
            self.faults.decide(&Occasion { call, target: &target, page: self.page_number(&query) })
        };
        let asked = Asked {
            inner: self,
            settings,
            app,
            request,
            path,
            query,
            route,
            in_batch,
            limited: faults.contains(&Fault::LimitedMembers),
        };
        let mut reply = asked.answer(&faults);
        if price.units > 0.0 {
            reply = reply.with_header("x-ms-resource-unit", &price.units.to_string());
        }
        if share > 0.8 {
            reply = reply.with_header("x-ms-throttle-limit-percentage", &format!("{:.2}", share.min(1.8)));
        }
        let status = (reply.ending == Ending::Whole).then(|| reply.status.as_u16());
        self.record(request, (call, status, price.units), settings, in_batch);
        reply
    }

    /// The number of the page that is asked for.
    fn page_number(&self, query: &Query) -> u64 {
        let Some(token) = query.skip_token.as_deref() else { return 1 };
        let round = Round::unseal(token, self.key).map(|round| round.page);
        round.or_else(|| unseal_place(token, self.key).map(|(_, page)| page)).unwrap_or(1)
    }

    fn client(&self, request: &Request) -> Result<String, Problem> {
        let challenge = "Bearer realm=\"\", authorization_uri=\"https://login.tenant.example/common/oauth2/authorize\"";
        let wrong = |message: &str| {
            Problem::new(401, "InvalidAuthenticationToken", message).with("www-authenticate", challenge)
        };
        let token = request.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        let token = token.ok_or_else(|| wrong("Access token is empty."))?;
        self.apps().check(token, self.now() / 1000, self.key).map_err(|refused| match refused {
            Refused::Malformed => wrong("CompactToken parsing failed with error code: 80049217"),
            Refused::Expired => wrong("Lifetime validation failed, the token is expired."),
        })
    }

    fn charge(&self, settings: &Settings, price: &Price, client: &str) -> Result<f64, Problem> {
        let Some(limits) = &settings.quota else { return Ok(0.0) };
        self.buckets().take(limits, self.now(), price).map_err(|refusal| {
            // Rounded up: who waits this long is let in.
            let wait = format!("{:.3}", (refusal.retry_after * 1000.0).ceil() / 1000.0);
            let scope = format!("{}/{}/{}", refusal.scope, client, self.tenant_id);
            Problem::new(429, "TooManyRequests", "Please retry again later.")
                .with("retry-after", wait)
                .with("x-ms-throttle-scope", scope)
                .with("x-ms-throttle-information", refusal.information)
                .with("x-ms-throttle-limit-percentage", "1.20")
        })
    }

    pub(crate) fn record(
        &self,
        request: &Request,
        (call, status, units): (Call, Option<u16>, f64),
        settings: &Settings,
        in_batch: bool,
    ) {
        let at = self.now();
        let line = || Logged {
            call,
            method: request.method.to_string(),
            target: target(request),
            in_batch,
            status,
            units,
            at,
            client_request_id: request.header("client-request-id").map(str::to_owned),
        };
        self.log.add(line, (call, status, units, at), settings.log_lines);
    }

    pub(crate) fn refuse(&self, problem: &Problem, request: &Request) -> Reply {
        let id = self.request_id();
        let body = if problem.code.is_empty() && problem.message.is_empty() {
            Vec::new()
        } else {
            problem.body(&instant(self.now() / 1000), &id, request.header("client-request-id"))
        };
        let mut reply = Reply::json(problem.status(), body).with_header("request-id", &id);
        for (name, value) in &problem.headers {
            reply = reply.with_header(name, value);
        }
        reply
    }
}

fn target(request: &Request) -> String {
    let mark = if request.query.is_empty() { "" } else { "?" };
    format!("{}{mark}{}", request.path, request.query)
}

impl Asked<'_> {
    fn answer(&self, faults: &[Fault]) -> Reply {
        if let Some(reply) = lies::instead(self, faults) {
            return reply;
        }
        let output = self.allowed().and_then(|()| self.output(faults));
        let reply = match output {
            Ok(Output::Page(mut page)) => {
                lies::bend(&mut page, faults, self);
                Reply::json(StatusCode::OK, page.into_json())
            }
            Ok(Output::Json(value)) => Reply::json(StatusCode::OK, value.to_string()),
            Ok(Output::Bytes(bytes)) => Reply::json(StatusCode::OK, bytes),
            Ok(Output::Text(text)) => {
                let mut reply = Reply::json(StatusCode::OK, text);
                reply.headers.insert("content-type", HeaderValue::from_static("text/plain"));
                reply
            }
            Ok(Output::Nothing) => Reply::empty(StatusCode::NO_CONTENT),
            Err(problem) => self.inner.refuse(&problem, self.request),
        };
        lies::spoil(reply, faults).with_header("request-id", &self.inner.request_id())
    }

    fn allowed(&self) -> Result<(), Problem> {
        let needed = needed(&self.route);
        if needed.is_empty() || self.app.may(needed) { Ok(()) } else { Err(Problem::denied()) }
    }

    /// `http://…/v1.0`
    pub(crate) fn base(&self) -> String {
        format!("{}/v1.0", self.request.origin)
    }

    fn metadata(&self) -> String {
        format!("{}/$metadata#", self.base())
    }

    fn detail(&self, kind: Kind) -> Detail {
        let seen = match (&self.route, kind) {
            // Whoever may list these objects sees them; as members and owners each kind needs its own right.
            (Route::List(_) | Route::One(Some(_), _) | Route::Deleted(_), _) => true,
            _ => !self.limited && self.app.may(reading(kind)),
        };
        if seen { Detail::Full } else { Detail::Limited }
    }

    fn output(&self, faults: &[Fault]) -> Result<Output, Problem> {
        // Changes and deleted items come from the live state; listings may lag behind.
        let live = matches!(self.route, Route::Delta(_) | Route::Deleted(_) | Route::DeletedOne(_));
        if let Route::Patch(id) | Route::Revoke(id) = &self.route {
            return self.write(id);
        }
        if self.route == Route::Batch {
            return self.batch();
        }
        self.inner.reading(live, |state| self.read(state, faults))
    }

    fn read(&self, state: &State, faults: &[Fault]) -> Result<Output, Problem> {
        let detail = |kind| self.detail(kind);
        let listing = Listing {
            state,
            settings: self.settings,
            query: &self.query,
            address: format!("{}{}", self.base(), self.path),
            metadata: self.metadata(),
            key: self.inner.key,
            detail: &detail,
            sees_hidden: self.app.has("Member.Read.Hidden"),
        };
        match &self.route {
            Route::List(kind) => {
                self.may_select(*kind)?;
                listing.objects(*kind).map(Output::Page)
            }
            Route::Delta(kind) => self.delta(state, *kind).map(Output::Page),
            Route::Members { group, cast, count, transitive } => {
                let group = state.wanted(Some(Kind::Group), group)?;
                if *count {
                    self.count_segment(listing.member_count(group.ordinal(), *cast), faults)
                } else if *transitive {
                    listing.these(&state.transitive_members(group, *cast), "directoryObjects").map(Output::Page)
                } else {
                    listing.members(group.ordinal(), *cast).map(Output::Page)
                }
            }
            Route::Owners { device, cast } => {
                let device = state.wanted(Some(Kind::Device), device)?;
                let mut owners = state.owners(device.ordinal());
                owners.retain(|owner| cast.is_none_or(|kind| owner.kind() == kind));
                listing.these(&owners, "directoryObjects").map(Output::Page)
            }
            Route::Count(kind) => {
                if !self.query.eventual {
                    return Err(Problem::bad("$count is not currently supported."));
                }
                let filter = listing.filter(*kind)?;
                let count = listing.count(*kind, filter.as_ref());
                self.count_segment(usize::try_from(count).unwrap_or(0), faults)
            }
            Route::Deleted(kind) => listing.deleted(*kind).map(Output::Page),
            _ => self.single(state, &listing),
        }
    }

    fn count_segment(&self, count: usize, faults: &[Fault]) -> Result<Output, Problem> {
        if !self.query.eventual {
            return Err(Problem::bad("$count is not currently supported."));
        }
        let off = faults.iter().find_map(|fault| match fault {
            Fault::WrongCount(by) => Some(*by),
            _ => None,
        });
        let count = i64::try_from(count).unwrap_or(i64::MAX).saturating_add(off.unwrap_or(0)).max(0);
        Ok(Output::Text(count.to_string()))
    }

    pub(crate) fn delta(&self, state: &State, kind: Kind) -> Result<Page, Problem> {
        self.may_select(kind)?;
        self.delta_context(state, kind).answer(kind, &self.query)
    }

    pub(crate) fn delta_context<'a>(&'a self, state: &'a State, kind: Kind) -> Context<'a> {
        let chosen = self.query.select.as_ref().map(|names| format!("({})", names.join(","))).unwrap_or_default();
        Context {
            state,
            settings: self.settings,
            plans: &self.inner.plans,
            address: format!("{}{}", self.base(), self.path),
            metadata: format!("{}{}{chosen}", self.metadata(), kind.set()),
            now: self.inner.now(),
            epoch: self.inner.epoch(),
            key: self.inner.key,
            minimal: self.request.header("prefer").is_some_and(|prefer| prefer.contains("return=minimal")),
            sees_hidden: self.app.has("Member.Read.Hidden"),
        }
    }
}
