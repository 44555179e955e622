//! One session with one domain controller at a time, shared by everything that a run asks. Every call goes through the
//! gate; a broken session is opened again, on the same controller first.
//!
//! It must not know what is asked for.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::{
    Change, Control, Cookie, Entry, PageProgress, RangeBatch, SearchPage, SearchRequest, Server, Session, Settings,
};
use crate::{code, is_cookie_lost};
use tenantry::endpoint::Context;
use tenantry::gate::Cost;
use tenantry::{Error, ErrorKind, Result};
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::domain::controller::Controller;
use crate::domain::error::{another_server, refused_before};

/// How often a search of several pages begins anew because its cookie was lost.
const RESTARTS: u32 = 3;
/// How many empty pages with the same cookie are borne.
pub(crate) const STALLED_PAGES: u32 = 16;
/// Opening is connect, bind and three small reads.
const OPENING: u32 = 4;

/// The way to the domain.
#[derive(Debug)]
pub struct Connection {
    settings: Settings,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    live: Option<Arc<Live>>,
    /// The server that is tried first.
    first: usize,
    /// Why the account was refused: it is not tried again before the next run.
    refused: Option<String>,
    opened: u64,
}

/// A session, and who is at its other end.
#[derive(Debug)]
pub(crate) struct Live {
    session: Session,
    /// Counts sessions: a cookie belongs to one of them.
    number: u64,
    pub(crate) controller: Controller,
}

/// A cookie and the session that it belongs to.
#[derive(Debug, Clone)]
pub struct HeldCookie {
    session: u64,
    cookie: Cookie,
}

/// What a page request gives.
#[derive(Debug)]
pub enum Paged {
    /// A page, and where the next one begins.
    Page(SearchPage, Option<HeldCookie>),
    /// The session of the cookie is over: the search begins anew.
    CookieLost,
}

impl Connection {
    pub(crate) fn new(settings: Settings) -> Self {
        Self { settings, state: Mutex::default() }
    }

    /// Begins a run: an account that was refused in an earlier one is tried again, once.
    pub async fn begin_run(&self) {
        self.state.lock().await.refused = None;
    }

    /// Has the next call open a session of its own: what the controller said of itself has changed.
    pub(crate) async fn renew(&self) {
        self.state.lock().await.live = None;
    }

    /// Returns who answers now; connects if nobody does.
    pub async fn controller(&self, cx: &Context) -> Result<Controller> {
        let open = |_| async { Ok(self.live(None).await?.controller.clone()) };
        cx.gate().call(Cost::of(OPENING), "connect", open).await
    }

    /// Goes over to the controller with this database if another one answers, and returns who answers then. Of several
    /// configured servers the one of this name is tried, or each if none has it.
    pub(crate) async fn go_to(&self, cx: &Context, name: &str, invocation: Uuid) -> Result<Controller> {
        let controller = self.controller(cx).await?;
        if controller.position.invocation == invocation {
            return Ok(controller);
        }
        let servers = &self.settings.servers;
        let named = |server: &Server| server.host().eq_ignore_ascii_case(name);
        let any_named = servers.iter().any(named);
        for (number, server) in servers.iter().enumerate().filter(|(_, server)| !any_named || named(server)) {
            let reach = |_| async move { self.reach(number, server, invocation).await };
            if let Some(controller) = cx.gate().call(Cost::of(OPENING), "connect", reach).await? {
                return Ok(controller);
            }
        }
        Ok(controller)
    }

    /// Takes a session with one server if it is the controller with this database. One that does not answer is no error:
    /// there is a session already.
    async fn reach(&self, number: usize, server: &Server, invocation: Uuid) -> Result<Option<Controller>> {
        let mut state = self.state.lock().await;
        if let Some(live) = state.live.as_ref().filter(|live| live.session.server() == server) {
            let same = live.controller.position.invocation == invocation;
            return Ok(same.then(|| live.controller.clone()));
        }
        if let Some(message) = &state.refused {
            return Err(refused_before(message));
        }
        let mut settings = self.settings.clone();
        settings.servers = vec![server.clone()];
        let opened = async {
            let session = Session::connect(&settings).await?;
            let controller = Controller::read(&session).await?;
            Ok::<_, Error>((session, controller))
        };
        match opened.await {
            Ok((session, controller)) if controller.position.invocation == invocation => {
                state.first = number;
                state.opened += 1;
                tracing::debug!(%server, "session opened with the server of the last run");
                state.live = Some(Arc::new(Live { session, number: state.opened, controller: controller.clone() }));
                Ok(Some(controller))
            }
            Ok(_) => Ok(None),
            Err(error) if *error.kind() == ErrorKind::Unauthenticated => {
                state.refused = Some(error.message().to_owned());
                Err(error)
            }
            Err(error) => {
                tracing::debug!(%server, "the server of the last run is not to be had: {error}");
                Ok(None)
            }
        }
    }

    /// Reads a page. With `pin`, only from the controller with this invocation id.
    pub async fn page(
        &self,
        cx: &Context,
        operation: &'static str,
        pin: Option<Uuid>,
        request: &SearchRequest,
        cookie: Option<&HeldCookie>,
    ) -> Result<Paged> {
        let read = |_| async move {
            let live = self.live(pin).await?;
            if cookie.is_some_and(|held| held.session != live.number) {
                return Ok(Paged::CookieLost);
            }
            match live.session.search_page(request, cookie.map(|held| &held.cookie)).await {
                Ok(page) => {
                    let held = |cookie: &Cookie| HeldCookie { session: live.number, cookie: cookie.clone() };
                    let next = page.next.as_ref().map(held);
                    Ok(Paged::Page(page, next))
                }
                Err(error) if is_cookie_lost(&error) => Ok(Paged::CookieLost),
                Err(error) => {
                    self.forget_if_over(&live, &error).await;
                    // Another session has no use for the cookie, so that trying again would not help.
                    let over = cookie.is_some() && is_over(&error);
                    if over { Ok(Paged::CookieLost) } else { Err(error) }
                }
            }
        };
        cx.gate().call(Cost::default(), operation, read).await
    }

    /// Reads a search page by page until it ends or enough was taken; entries may come twice if it had to begin anew.
    async fn walk(
        &self,
        cx: &Context,
        operation: &'static str,
        pin: Option<Uuid>,
        request: &SearchRequest,
        mut take: impl FnMut(Entry) -> ControlFlow<()> + Send,
    ) -> Result<()> {
        let (mut cookie, mut restarts) = (None, 0);
        let mut progress = PageProgress::new(STALLED_PAGES);
        loop {
            match self.page(cx, operation, pin, request, cookie.as_ref()).await? {
                Paged::Page(page, next) => {
                    progress.observe(&page)?;
                    if page.entries.into_iter().try_for_each(&mut take).is_break() {
                        return Ok(());
                    }
                    match next {
                        Some(next) => cookie = Some(next),
                        None => return Ok(()),
                    }
                }
                Paged::CookieLost if restarts < RESTARTS => {
                    restarts += 1;
                    cookie = None;
                }
                Paged::CookieLost => return Err(cookies_do_not_work(operation)),
            }
        }
    }

    /// Reads a whole search and hands each entry over; entries may come twice if it had to begin anew.
    pub(crate) async fn each(
        &self,
        cx: &Context,
        operation: &'static str,
        request: &SearchRequest,
        take: impl FnMut(Entry) + Send,
    ) -> Result<()> {
        self.each_of(cx, operation, None, request, take).await
    }

    /// Reads a whole search. With `pin`, only from the controller with this invocation id.
    pub(crate) async fn each_of(
        &self,
        cx: &Context,
        operation: &'static str,
        pin: Option<Uuid>,
        request: &SearchRequest,
        mut take: impl FnMut(Entry) + Send,
    ) -> Result<()> {
        let go_on = |entry| {
            take(entry);
            ControlFlow::Continue(())
        };
        self.walk(cx, operation, pin, request, go_on).await
    }

    /// Asks once, without pages: for requests that the server bounds by other means.
    pub(crate) async fn unpaged(
        &self,
        cx: &Context,
        operation: &'static str,
        pin: Uuid,
        request: &SearchRequest,
        max_entries: u64,
    ) -> Result<SearchPage> {
        let read = |_| async move {
            let live = self.live(Some(pin)).await?;
            let outcome = live.session.search_unpaged(request, max_entries).await;
            self.keep(&live, outcome).await
        };
        cx.gate().call(Cost::default(), operation, read).await
    }

    /// Reads a search that finds few.
    pub async fn all(&self, cx: &Context, operation: &'static str, request: &SearchRequest) -> Result<Vec<Entry>> {
        self.all_of(cx, operation, None, request).await
    }

    /// Reads a search that finds few. With `pin`, only from the controller with this invocation id.
    pub(crate) async fn all_of(
        &self,
        cx: &Context,
        operation: &'static str,
        pin: Option<Uuid>,
        request: &SearchRequest,
    ) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        self.each_of(cx, operation, pin, request, |entry| entries.push(entry)).await?;
        Ok(entries)
    }

    /// Reads the first entry that a search finds.
    pub async fn first(&self, cx: &Context, operation: &'static str, request: &SearchRequest) -> Result<Option<Entry>> {
        let mut first = None;
        let stop = |entry| {
            first = Some(entry);
            ControlFlow::Break(())
        };
        self.walk(cx, operation, None, request, stop).await?;
        Ok(first)
    }

    /// Reads one object; nothing if it is not there or hidden.
    pub async fn object(
        &self,
        cx: &Context,
        operation: &'static str,
        pin: Option<Uuid>,
        name: &str,
        attributes: &[&str],
        controls: &[Control],
    ) -> Result<Option<Entry>> {
        let read = |_| async move {
            let live = self.live(pin).await?;
            match live.session.search_base(name, attributes, controls).await {
                Err(error) if *error.kind() == ErrorKind::NotFound => Ok(None),
                outcome => self.keep(&live, outcome).await,
            }
        };
        cx.gate().call(Cost::default(), operation, read).await
    }

    /// Reads a piece of an attribute's values; nothing if the object is not there or hidden.
    pub(crate) async fn range(
        &self,
        cx: &Context,
        pin: Option<Uuid>,
        name: &str,
        attribute: &str,
        from: u64,
        controls: &[Control],
    ) -> Result<Option<RangeBatch>> {
        let read = |_| async move {
            let live = self.live(pin).await?;
            match live.session.read_range(name, attribute, from, controls).await {
                Err(error) if *error.kind() == ErrorKind::NotFound => Ok(None),
                outcome => self.keep(&live, outcome.map(Some)).await,
            }
        };
        cx.gate().call(Cost::default(), "read members", read).await
    }

    /// Reads the controller's own entry.
    pub async fn root(&self, cx: &Context, pin: Option<Uuid>, attributes: &[&str]) -> Result<Entry> {
        let read = |_| async move {
            let live = self.live(pin).await?;
            let outcome = live.session.root_dse(attributes).await;
            self.keep(&live, outcome).await
        };
        cx.gate().call(Cost::default(), "read the server's entry", read).await
    }

    /// Changes one object on the controller with this invocation id. `unknown` counts the tries that the server has not
    /// refused: those that it took, and those without an answer.
    pub async fn modify(
        &self,
        cx: &Context,
        pin: Uuid,
        name: &str,
        changes: &[Change],
        unknown: &AtomicU32,
    ) -> Result<()> {
        let write = |_| async move {
            let live = self.live(Some(pin)).await?;
            // Before it is sent, because whoever gives up while it is under way does not come back to say so.
            unknown.fetch_add(1, Ordering::Relaxed);
            let outcome = live.session.modify(name, changes, &[]).await;
            if outcome.as_ref().is_err_and(|error| code(error).is_some()) {
                unknown.fetch_sub(1, Ordering::Relaxed);
            }
            self.keep(&live, outcome).await
        };
        cx.gate().call(Cost::default(), "change the account", write).await
    }

    async fn keep<T>(&self, live: &Live, outcome: Result<T>) -> Result<T> {
        if let Err(error) = &outcome {
            self.forget_if_over(live, error).await;
        }
        outcome
    }

    /// Returns the session, opening it if need be. Who else wants one meanwhile waits: a wrong password is tried once.
    async fn live(&self, pin: Option<Uuid>) -> Result<Arc<Live>> {
        let mut state = self.state.lock().await;
        let live = match &state.live {
            Some(live) => Arc::clone(live),
            None => self.open(&mut state).await?,
        };
        match pin {
            Some(pin) if live.controller.position.invocation != pin => Err(another_server()),
            _ => Ok(live),
        }
    }

    async fn open(&self, state: &mut State) -> Result<Arc<Live>> {
        if let Some(message) = &state.refused {
            return Err(refused_before(message));
        }
        let mut settings = self.settings.clone();
        if state.first < settings.servers.len() {
            let first = settings.servers.remove(state.first);
            settings.servers.insert(0, first);
        }
        let session = Session::connect(&settings).await.inspect_err(|error| {
            if *error.kind() == ErrorKind::Unauthenticated {
                state.refused = Some(error.message().to_owned());
            }
        })?;
        state.first = self.settings.servers.iter().position(|server| server == session.server()).unwrap_or(0);
        let controller = match Controller::read(&session).await {
            Ok(controller) => controller,
            Err(error) => {
                // It answers, but is of no use now: the next try begins with the one behind it.
                state.first = (state.first + 1) % self.settings.servers.len().max(1);
                return Err(error);
            }
        };
        state.opened += 1;
        tracing::debug!("session opened");
        tracing::trace!(server = %session.server(), "session opened");
        let live = Arc::new(Live { session, number: state.opened, controller });
        state.live = Some(Arc::clone(&live));
        Ok(live)
    }

    async fn forget_if_over(&self, live: &Live, error: &Error) {
        if is_over(error) {
            let mut state = self.state.lock().await;
            if state.live.as_ref().is_some_and(|known| known.number == live.number) {
                state.live = None;
            }
        }
    }
}

/// Tells whether the session is of no more use. A result code is an answer; only 1, "bind first", says that it is over.
fn is_over(error: &Error) -> bool {
    match error.kind() {
        ErrorKind::Unavailable => matches!(code(error), None | Some(1)),
        ErrorKind::Protocol => code(error).is_none(),
        _ => false,
    }
}

pub(crate) fn cookies_do_not_work(operation: &'static str) -> Error {
    Error::protocol("the server forgets its paging cookies again and again; look for a load balancer in between")
        .with_operation(operation)
}
