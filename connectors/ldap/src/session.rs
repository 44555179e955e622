//! A session with one server: connected, bound once, then one call after the other until the first transport error.
//!
//! It knows nothing of attributes, of retries and of other servers' answers: every call is one round trip that the caller
//! may repeat, and after a transport error, a timeout or a dropped call every further call fails at once, so that the
//! caller begins a new session.
//!
//! Calls are taken one at a time. ldap3's driver is not spawned: the call that waits drives it, together with the relay
//! ([`crate::relay`]). A panic inside is caught and ends the session, not the process; dropping a call ends the
//! connection, which is also how a server learns that nobody waits for the rest of a search.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, LdapError, LdapResult, SearchOptions, StdStream};
use tenantry::{Error, ErrorKind, Result, Retry};
use tokio::sync::Mutex;

use crate::connect::{self, Wire};
use crate::controls::{self, Control, Cookie};
use crate::entry::Entry;
use crate::filter::Filter;
use crate::message::{BIND_RESPONSE, MODIFY_RESPONSE, SEARCH_DONE, SEARCH_ENTRY, SEARCH_REFERENCE};
use crate::modify::Change;
use crate::ranges::{self, NextRange, RangedValues};
use crate::relay::{Allowance, End, Meter, relay};
use crate::result::{Identity, SentCookie, translate};
use crate::search::{Scope, SearchPage, SearchRequest};
use crate::server::{Encryption, Server};
use crate::settings::{Credentials, Limits, PlainText, Settings};

/// One piece of ranged values, as read from the server.
#[derive(Clone, PartialEq, Eq)]
pub struct RangeBatch {
    /// The values of this piece.
    pub values: Vec<Vec<u8>>,
    /// Where they go on.
    pub next: NextRange,
}

impl fmt::Debug for RangeBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RangeBatch({} values, {:?})", self.values.len(), self.next)
    }
}

/// A bound connection to one server.
pub struct Session {
    server: Server,
    skipped: Vec<Error>,
    limits: Limits,
    identity: Identity,
    meter: Arc<Meter>,
    link: Mutex<Option<Link>>,
    ended: StdMutex<String>,
}

struct Link {
    ldap: Ldap,
    pump: Pin<Box<dyn Future<Output = End> + Send>>,
}

/// What a search brings before it is judged.
struct Found {
    entries: Vec<Entry>,
    references: u64,
    controls: Vec<Control>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("server", &self.server)
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

impl Session {
    /// Connects to the first server that answers, and binds.
    ///
    /// A server that cannot be reached, whose certificate is not acceptable, or that says it is busy is passed over. A
    /// server that refuses the bind ends the attempt: another try elsewhere counts towards a lockout.
    ///
    /// # Errors
    /// The error of the server that decided; if none could be reached, that of the first one, with the others in its
    /// context.
    pub async fn connect(settings: &Settings) -> Result<Self> {
        if let Credentials::Password { name, password } = &settings.credentials {
            // With a name and without a password a bind succeeds as nobody (RFC 4513, 5.1.2).
            if password.is_empty() {
                return Err(Error::config("the password is empty").with_operation("bind"));
            }
            if name.trim().is_empty() {
                return Err(Error::config("the name to bind with is empty").with_operation("bind"));
            }
        }
        let plain = |server: &&Server| server.encryption() == Encryption::Plain;
        if settings.plain_text == PlainText::Refused
            && let Some(server) = settings.servers.iter().find(plain)
        {
            return Err(Error::config(
                "a connection without encryption needs insecure = true; use ldaps:// or StartTLS",
            )
            .with_context("server", server));
        }
        let needs_tls = settings.servers.iter().any(|server| !plain(&server));
        let tls = needs_tls.then(|| settings.trust.client_config()).transpose()?;
        let mut skipped = Vec::new();
        for server in &settings.servers {
            let wire = match connect::connect(server, tls.clone(), &settings.limits).await {
                Ok(wire) => wire,
                Err(error) => {
                    skipped.push(error);
                    continue;
                }
            };
            let session = Self::start(server.clone(), wire, settings.limits).await?;
            match session.bind(&settings.credentials).await {
                Ok(identity) => return Ok(Self { skipped, identity, ..session }),
                Err(error) if *error.kind() == ErrorKind::Unavailable => skipped.push(error),
                Err(error) => return Err(error),
            }
        }
        Err(nobody_answered(skipped))
    }

    async fn start(server: Server, wire: Box<dyn Wire>, limits: Limits) -> Result<Self> {
        let meter = Arc::new(Meter::new());
        let (local, ldap_end, url) = local_pair().map_err(|error| {
            Error::new(ErrorKind::Unavailable, "a local socket pair cannot be opened")
                .with_retry(Retry::Backoff)
                .with_source(error)
        })?;
        let settings = LdapConnSettings::new().set_std_stream(ldap_end);
        let (driver, ldap) = LdapConnAsync::with_settings(settings, url).await.map_err(unexpected)?;
        let pump_meter = Arc::clone(&meter);
        let pump = Box::pin(async move {
            // The relay owns its streams: when it ends they close, and the driver takes what is left and ends too.
            let mut driver = pin!(AssertUnwindSafe(driver.drive()).catch_unwind());
            let end = {
                let mut relay = pin!(relay(wire, local, &pump_meter, limits.max_message_bytes));
                tokio::select! {
                    end = &mut relay => end,
                    result = &mut driver => return driver_end(&result),
                }
            };
            match driver.await {
                Err(_) => End::Panicked,
                Ok(_) => end,
            }
        });
        let link = Mutex::new(Some(Link { ldap, pump }));
        let ended = StdMutex::new(String::new());
        Ok(Self { server, skipped: Vec::new(), limits, identity: Identity::Anonymous, meter, link, ended })
    }

    async fn bind(&self, credentials: &Credentials) -> Result<Identity> {
        let Credentials::Password { name, password } = credentials else { return Ok(Identity::Anonymous) };
        let allowance = self.allowance(&[BIND_RESPONSE], 1);
        let (name, password) = (name.clone(), password.clone());
        let bind = move |mut ldap: Ldap| async move { ldap.simple_bind(&name, password.expose()).await };
        let result = self.run("bind", allowance, bind).await?;
        self.judge("bind", &result, SentCookie::None)?;
        Ok(Identity::Account)
    }

    /// Returns the server that this session talks to.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Returns why servers earlier in the list were passed over.
    pub fn skipped(&self) -> &[Error] {
        &self.skipped
    }

    /// Returns whether the connection is encrypted: passwords must not be written otherwise.
    pub fn is_encrypted(&self) -> bool {
        self.server.encryption() != Encryption::Plain
    }

    /// Reads one page of a search: one round trip.
    ///
    /// # Behaviour
    /// - Without a cookie it begins; with one it goes on. The request has to be the same each time.
    /// - A page may be empty although another follows; only `next: None` is the end.
    /// - A server that leaves out the paging control has not proven the end: that is an error.
    ///
    /// # Errors
    /// [`crate::is_cookie_lost`] tells that the listing has to start again.
    ///
    /// # Cancel safety
    /// A dropped call ends the session.
    pub async fn search_page(&self, request: &SearchRequest, cookie: Option<&Cookie>) -> Result<SearchPage> {
        if !(1..=SearchRequest::MAX_PAGE_SIZE).contains(&request.page_size) {
            return Err(Error::config("the page size is not between 1 and 1000"));
        }
        let mut controls = vec![Control::paged(request.page_size, cookie)];
        controls.extend_from_slice(&request.controls);
        let sent = if cookie.is_some() { SentCookie::Paging } else { SentCookie::None };
        let found = self.find("search page", request, controls, u64::from(request.page_size), sent).await?;
        let next = controls::next_page(&found.controls)?;
        Ok(SearchPage { entries: found.entries, next, referrals_ignored: found.references, controls: found.controls })
    }

    /// Searches without paging: one round trip, for requests whose size is bounded otherwise, such as DirSync.
    ///
    /// # Cancel safety
    /// A dropped call ends the session.
    pub async fn search_unpaged(&self, request: &SearchRequest, max_entries: u64) -> Result<SearchPage> {
        let found = self.find("search", request, request.controls.clone(), max_entries, SentCookie::None).await?;
        Ok(SearchPage {
            entries: found.entries,
            next: None,
            referrals_ignored: found.references,
            controls: found.controls,
        })
    }

    /// Reads one object by name or `<GUID=…>`; nothing if the server answers without an entry: it may be hidden.
    ///
    /// # Errors
    /// `NotFound` if there is no such object.
    ///
    /// # Cancel safety
    /// A dropped call ends the session.
    pub async fn search_base(&self, base: &str, attributes: &[&str], controls: &[Control]) -> Result<Option<Entry>> {
        let request = SearchRequest::new(base, Filter::any()).scope(Scope::Base).attributes(attributes.iter().copied());
        let found = self.find("search base", &request, controls.to_vec(), 1, SentCookie::None).await?;
        let mut entries = found.entries.into_iter();
        let entry = entries.next();
        if entries.next().is_some() {
            return Err(Error::protocol("the server answered with several entries where one was asked for"));
        }
        Ok(entry)
    }

    /// Reads the server's own entry.
    ///
    /// # Cancel safety
    /// A dropped call ends the session.
    pub async fn root_dse(&self, attributes: &[&str]) -> Result<Entry> {
        self.search_base("", attributes, &[]).await?.ok_or_else(|| Error::protocol("the server has no root DSE"))
    }

    /// Reads the values of an attribute from an index on: one round trip, one piece.
    ///
    /// # Errors
    /// `NotFound` if the object is gone or hidden: what was read of it so far must be discarded.
    ///
    /// # Cancel safety
    /// A dropped call ends the session.
    pub async fn read_range(&self, base: &str, attribute: &str, from: u64, controls: &[Control]) -> Result<RangeBatch> {
        let description = ranges::describe(attribute, from);
        let entry = self
            .search_base(base, &[&description], controls)
            .await?
            .ok_or_else(|| Error::new(ErrorKind::NotFound, "the object vanished between two ranges"))?;
        let RangedValues { values, next } = RangedValues::at(&entry, attribute, from)?;
        Ok(RangeBatch { values: values.to_vec(), next })
    }

    /// Changes an entry: all changes or none.
    ///
    /// # Errors
    /// After `Unavailable` it is not known whether the change was made: read before trying again.
    ///
    /// # Cancel safety
    /// A dropped call ends the session; the change may have been made.
    pub async fn modify(&self, dn: &str, changes: &[Change], controls: &[Control]) -> Result<()> {
        if changes.is_empty() || changes.iter().any(Change::adds_nothing) {
            return Err(Error::config("a change without values").with_operation("modify"));
        }
        let allowance = self.allowance(&[MODIFY_RESPONSE], 1);
        let (dn, mods) = (dn.to_owned(), changes.iter().map(Change::to_mod).collect());
        let controls: Vec<_> = controls.iter().map(Control::to_raw).collect();
        let modify = move |mut ldap: Ldap| async move {
            if !controls.is_empty() {
                ldap.with_controls(controls);
            }
            ldap.modify(&dn, mods).await
        };
        let result = self.run("modify", allowance, modify).await?;
        self.judge("modify", &result, SentCookie::None)
    }

    /// Says good-bye to the server. A session that is merely dropped closes its connection too.
    pub async fn close(self) -> Result<()> {
        let unbind = |mut ldap: Ldap| async move { ldap.unbind().await };
        self.run("unbind", self.allowance(&[], 0), unbind).await?;
        if let Some(mut link) = self.link.into_inner() {
            // ldap3 is done as soon as the relay has the message; it still has to get to the server. A server that does
            // not let it is not worth an error: the connection closes in any case.
            let _ = tokio::time::timeout(self.limits.connect_timeout, &mut link.pump).await;
        }
        Ok(())
    }

    async fn find(
        &self,
        operation: &'static str,
        request: &SearchRequest,
        controls: Vec<Control>,
        max_entries: u64,
        cookie: SentCookie,
    ) -> Result<Found> {
        let delta = request.controls.iter().any(|control| control.carries_delta_cookie);
        let cookie = if delta { SentCookie::Delta } else { cookie };
        let allowance = self.allowance(&[SEARCH_ENTRY, SEARCH_REFERENCE, SEARCH_DONE], max_entries);
        let raw: Vec<_> = controls.iter().map(Control::to_raw).collect();
        let scope = match request.scope {
            Scope::Base => ldap3::Scope::Base,
            Scope::OneLevel => ldap3::Scope::OneLevel,
            Scope::Subtree => ldap3::Scope::Subtree,
        };
        let (base, filter) = (request.base.clone(), request.filter.as_str().to_owned());
        let attributes = request.attributes.clone();
        let search = move |mut ldap: Ldap| async move {
            if !raw.is_empty() {
                ldap.with_controls(raw);
            }
            ldap.with_search_options(SearchOptions::new());
            let mut stream = ldap.streaming_search(&base, scope, &filter, attributes).await?;
            let (mut entries, mut references) = (Vec::new(), 0);
            while let Some(item) = stream.next().await? {
                if item.is_ref() {
                    references += 1;
                } else {
                    entries.push(Entry::parse(item.0));
                }
            }
            Ok((entries, references, stream.finish().await))
        };
        let (entries, references, result) = self.run(operation, allowance, search).await?;
        self.judge(operation, &result, cookie)?;
        let entries: Vec<Entry> =
            entries.into_iter().collect::<Result<_>>().map_err(|error| error.with_operation(operation))?;
        if entries.len() as u64 > max_entries {
            return Err(End::TooMany { allowed: max_entries }.into_error().with_operation(operation));
        }
        let controls = result.ctrls.into_iter().map(|control| Control::from_raw(control.1)).collect();
        Ok(Found { entries, references, controls })
    }

    fn allowance(&self, operations: &'static [u8], entries: u64) -> Allowance {
        let messages = entries.saturating_add(1).saturating_add(self.limits.extra_messages);
        Allowance { operations, messages, bytes: self.limits.max_answer_bytes }
    }

    fn judge(&self, operation: &'static str, result: &LdapResult, cookie: SentCookie) -> Result<()> {
        if result.rc == 0 {
            return Ok(());
        }
        Err(translate(result.rc, &result.text, cookie, self.identity)
            .with_operation(operation)
            .with_context("server", &self.server))
    }

    /// Makes one call, driving the connection meanwhile.
    async fn run<T, F>(
        &self,
        operation: &'static str,
        allowance: Allowance,
        call: impl FnOnce(Ldap) -> F + Send,
    ) -> Result<T>
    where
        T: Send,
        F: Future<Output = Result<T, LdapError>> + Send,
    {
        let named = |error: Error| error.with_operation(operation).with_context("server", &self.server);
        let mut slot = self.link.lock().await;
        // Taken out, so that a dropped call leaves nothing behind that could be used again.
        let mut link = slot.take().ok_or_else(|| named(self.is_over()))?;
        self.end("an earlier call was given up before its answer");
        self.meter.set(allowance);
        let call = pin!(AssertUnwindSafe(call(link.ldap.clone())).catch_unwind());
        let outcome = tokio::time::timeout(self.limits.operation_timeout, wait(call, &mut link.pump)).await;
        let (end, error) = match outcome {
            Err(_) => (None, timed_out(self.limits.operation_timeout)),
            Ok((Err(_), _)) => (None, End::Panicked.into_error()),
            Ok((Ok(Ok(value)), None)) => {
                *slot = Some(link);
                return Ok(value);
            }
            Ok((Ok(Ok(value)), Some(end))) => {
                // The answer was complete before the connection ended.
                self.end(end.into_error().message());
                return Ok(value);
            }
            Ok((Ok(Err(error)), None)) if is_local(&error) => {
                *slot = Some(link);
                return Err(named(Error::config("the request cannot be encoded").with_source(error)));
            }
            Ok((Ok(Err(error)), end)) => (end, unexpected(error)),
        };
        let error = end.map_or(error, End::into_error);
        self.end(error.message());
        Err(named(error))
    }

    fn end(&self, why: &str) {
        why.clone_into(&mut self.ended.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn is_over(&self) -> Error {
        let why = self.ended.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Error::new(ErrorKind::Unavailable, "the session is over; begin a new one")
            .with_retry(Retry::Backoff)
            .with_context("because", why)
    }
}

/// Waits for the call while the connection is driven; if it ends first, the call sees that and ends too.
async fn wait<T>(
    mut call: Pin<&mut (impl Future<Output = T> + Send)>,
    pump: &mut (impl Future<Output = End> + Unpin + Send),
) -> (T, Option<End>) {
    let end = tokio::select! {
        biased;
        value = &mut call => return (value, None),
        end = pump => end,
    };
    (call.await, Some(end))
}

fn driver_end(result: &std::thread::Result<ldap3::result::Result<()>>) -> End {
    match result {
        Err(_) => End::Panicked,
        // What the relay lets through, ldap3 must understand.
        Ok(Err(_)) => End::Malformed("an answer that the LDAP library refuses"),
        Ok(Ok(())) => End::Local,
    }
}

/// Errors that arise before anything is sent.
fn is_local(error: &LdapError) -> bool {
    matches!(error, LdapError::FilterParsing | LdapError::AddNoValues)
}

fn unexpected(error: LdapError) -> Error {
    Error::new(ErrorKind::Unavailable, "the connection failed").with_retry(Retry::Backoff).with_source(error)
}

fn timed_out(limit: Duration) -> Error {
    Error::new(ErrorKind::Unavailable, "the server did not answer in time")
        .with_retry(Retry::Backoff)
        .with_context("seconds", limit.as_secs_f32())
}

/// A wrong configuration is told before an unreachable server: waiting does not mend it.
fn nobody_answered(mut errors: Vec<Error>) -> Error {
    if errors.is_empty() {
        return Error::config("no server is configured");
    }
    let decisive = errors.iter().position(|error| error.retry() == Retry::Never).unwrap_or(0);
    let mut error = errors.remove(decisive);
    for other in errors {
        error = error.with_context("another server", other);
    }
    error
}

#[cfg(unix)]
fn local_pair() -> std::io::Result<(tokio::net::UnixStream, StdStream, &'static str)> {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    Ok((tokio::net::UnixStream::from_std(ours)?, StdStream::Unix(theirs), "ldapi:///"))
}

/// Without socket pairs a loopback connection serves, accepted only from the very socket that was opened.
#[cfg(not(unix))]
fn local_pair() -> std::io::Result<(tokio::net::TcpStream, StdStream, &'static str)> {
    use std::net::{Ipv4Addr, TcpListener, TcpStream};

    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let theirs = TcpStream::connect(listener.local_addr()?)?;
    let ours = loop {
        let (ours, peer) = listener.accept()?;
        if peer == theirs.local_addr()? {
            break ours;
        }
    };
    ours.set_nonblocking(true)?;
    Ok((tokio::net::TcpStream::from_std(ours)?, StdStream::Tcp(theirs), "ldap://localhost"))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn session() -> (Session, tokio::io::DuplexStream) {
        let (ours, theirs) = tokio::io::duplex(1024);
        let server = Server::parse("ldaps://dc1.corp.example").unwrap();
        (Session::start(server, Box::new(ours), Limits::default()).await.unwrap(), theirs)
    }

    #[tokio::test]
    async fn a_panic_inside_ldap3_ends_the_session_and_not_the_process() {
        let (session, _server) = session().await;
        let allowance = session.allowance(&[], 0);
        let call = |_: Ldap| async { panic!("as ldap3 does on odd answers") };
        let error = session.run::<(), _>("search", allowance, call).await.unwrap_err();
        assert_eq!((error.kind(), error.retry()), (&ErrorKind::Protocol, Retry::Never));
        let after = session.root_dse(&[]).await.unwrap_err();
        assert_eq!((after.kind(), after.retry()), (&ErrorKind::Unavailable, Retry::Backoff));
    }

    #[tokio::test]
    async fn a_request_that_cannot_be_encoded_leaves_the_session_usable() {
        let (session, _server) = session().await;
        for _ in 0..2 {
            let call = |_: Ldap| async { Err::<(), _>(LdapError::FilterParsing) };
            let error = session.run("search", session.allowance(&[], 0), call).await.unwrap_err();
            assert_eq!(*error.kind(), ErrorKind::Config);
        }
    }

    #[test]
    fn a_session_can_be_shared_between_threads() {
        fn is_shared<T: Send + Sync>() {}
        fn is_sent<T: Send>(_: &T) {}
        is_shared::<Session>();
        let settings = Settings::new(Vec::new(), Credentials::Anonymous);
        is_sent(&Session::connect(&settings));
    }
}
