//! The handle to one tenant: its content, its applications, its service's habits; it knows no request.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use super::apps::{Apps, Credentials};
use super::clock::Clock;
use super::delta::Plans;
use super::faults::Faults;
use super::ids::{Id, Kind, Ref, mix, write_guid};
use super::log::RequestLog;
use super::quota::{Buckets, Limits};
use super::seeds::{Seeds, Size};
use super::settings::Settings;
use super::state::State;
use crate::http::{Handler, Responder};

/// A tenant; clones are handles to the same one.
///
/// It answers requests through [`FakeGraph`](super::FakeGraph) or through wiremock ([`Tenant::responder`]), and stays
/// editable meanwhile: every change is part of the history that delta tells.
#[derive(Clone)]
pub struct Tenant(pub(crate) Arc<Inner>);

/// What a tenant is made of.
pub(crate) struct Inner {
    state: RwLock<State>,
    /// What listings show while they lag behind.
    stale: RwLock<Option<Arc<State>>>,
    settings: RwLock<Arc<Settings>>,
    apps: Mutex<Apps>,
    buckets: Mutex<Buckets>,
    names: Mutex<HashMap<String, Id>>,
    about: RwLock<About>,
    clock: RwLock<Clock>,
    pub(crate) plans: Plans,
    pub(crate) faults: Faults,
    pub(crate) log: RequestLog,
    pub(crate) tenant_id: String,
    pub(crate) key: u64,
    epoch: AtomicU64,
    requests: AtomicU64,
}

#[derive(Debug, Clone)]
struct About {
    display_name: String,
    domains: Vec<String>,
    graph_roots: Vec<String>,
}

impl fmt::Debug for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tenant").field("tenant_id", &self.0.tenant_id).finish_non_exhaustive()
    }
}

fn guid(seed: u64) -> String {
    let mut text = [0; 36];
    let (high, low) = (mix(seed), mix(seed ^ 0xffff));
    write_guid(u128::from(high & !0xf000 | 0x4000) << 64 | u128::from(low >> 2 | 1 << 63), &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

const CLIENT: u64 = 0xc11e_4700;

impl Tenant {
    /// Makes an empty tenant with this domain and one application that may read everything.
    pub fn new(domain: &str) -> Self {
        Self::build(0, Size::default(), domain)
    }

    /// Makes a tenant of this size out of a seed; its objects take no memory until they change.
    pub fn seeded(seed: u64, size: Size) -> Self {
        Self::build(seed, size, "tenant.example")
    }

    fn build(seed: u64, size: Size, domain: &str) -> Self {
        let salt = domain.bytes().fold(seed, |salt, byte| mix(salt ^ u64::from(byte)));
        let seeds = Seeds::new(salt, size, domain);
        let mut apps = Apps::default();
        apps.register(&guid(salt ^ CLIENT), "a secret of the fake");
        let settings = Settings { quota: Some(Limits::for_users(size.users)), ..Settings::default() };
        let about = About {
            display_name: "Example tenant".to_owned(),
            domains: vec![domain.to_owned(), format!("onmicrosoft.{domain}")],
            graph_roots: Vec::new(),
        };
        Self(Arc::new(Inner {
            state: RwLock::new(State::new(seeds)),
            stale: RwLock::new(None),
            settings: RwLock::new(Arc::new(settings)),
            apps: Mutex::new(apps),
            buckets: Mutex::new(Buckets::default()),
            names: Mutex::new(HashMap::new()),
            about: RwLock::new(about),
            clock: RwLock::new(Clock::system()),
            plans: Plans::default(),
            faults: Faults::default(),
            log: RequestLog::default(),
            tenant_id: guid(salt),
            key: mix(salt ^ 0x746f_6b65),
            epoch: AtomicU64::new(0),
            requests: AtomicU64::new(0),
        }))
    }

    /// Gives the tenant another clock, such as a manual one; before anybody asks for a token.
    #[must_use]
    pub fn with_clock(self, clock: Clock) -> Self {
        *self.0.clock.write().unwrap_or_else(PoisonError::into_inner) = clock;
        self
    }

    /// Returns the clock.
    pub fn clock(&self) -> Clock {
        self.0.clock.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes habits and limits for requests to come.
    pub fn edit_settings(&self, change: impl FnOnce(&mut Settings)) {
        let mut settings = self.0.settings.write().unwrap_or_else(PoisonError::into_inner);
        change(Arc::make_mut(&mut settings));
    }

    /// Returns a handle to the faults.
    pub fn faults(&self) -> Faults {
        self.0.faults.clone()
    }

    /// Returns a handle to the record of requests.
    pub fn log(&self) -> RequestLog {
        self.0.log.clone()
    }

    /// Fills all buckets of the quota again.
    pub fn refill_quota(&self) {
        *self.0.buckets() = Buckets::default();
    }

    /// Returns wiremock's view of this tenant.
    pub fn responder(&self) -> Responder {
        Responder::new(self.handler())
    }

    /// Returns the tenant as something that answers requests.
    pub fn handler(&self) -> Arc<dyn Handler> {
        Arc::new(self.clone())
    }

    /// Returns the tenant's id.
    pub fn tenant_id(&self) -> &str {
        &self.0.tenant_id
    }

    /// Names the tenant.
    pub fn set_display_name(&self, name: &str) {
        self.0.about_mut(|about| name.clone_into(&mut about.display_name));
    }

    /// Adds a verified domain.
    pub fn add_domain(&self, domain: &str) {
        self.0.about_mut(|about| about.domains.push(domain.to_owned()));
    }

    /// Lets tokens be asked for under one more Graph root, such as `https://graph.elsewhere.example`.
    pub fn add_graph_root(&self, root: &str) {
        self.0.about_mut(|about| about.graph_roots.push(root.trim_end_matches('/').to_owned()));
    }

    // Applications.

    /// Returns the credentials of the application that every tenant has.
    pub fn credentials(&self) -> Credentials {
        let seeds = Arc::clone(&self.0.state.read().unwrap_or_else(PoisonError::into_inner).seeds);
        Credentials {
            tenant_id: self.0.tenant_id.clone(),
            client_id: guid(seeds.seed ^ CLIENT),
            secret: "a secret of the fake".to_owned(),
        }
    }

    pub(crate) fn client_id(&self) -> String {
        self.credentials().client_id
    }

    /// Gives the application a permission, such as `User.EnableDisableAccount.All`.
    pub fn grant(&self, permission: &str) {
        let client = self.client_id();
        self.0.apps().by_id.entry(client).or_default().permissions.insert(permission.to_owned());
    }

    /// Takes a permission away; tokens that are out lose it at once.
    pub fn revoke(&self, permission: &str) {
        let client = self.client_id();
        self.0.apps().by_id.entry(client).or_default().permissions.remove(permission);
    }

    /// Leaves the application these permissions and no others.
    pub fn set_permissions(&self, permissions: &[&str]) {
        let client = self.client_id();
        let permissions = permissions.iter().map(|name| (*name).to_owned()).collect();
        self.0.apps().by_id.entry(client).or_default().permissions = permissions;
    }

    /// Replaces the application's secrets with this one; tokens that are out stay good.
    pub fn replace_secret(&self, secret: &str) {
        let client = self.client_id();
        self.0.apps().by_id.entry(client).or_default().secrets = [secret.to_owned()].into();
    }

    /// Disables the application or enables it again: it gets no tokens.
    pub fn block_application(&self, blocked: bool) {
        let client = self.client_id();
        self.0.apps().by_id.entry(client).or_default().blocked = blocked;
    }

    /// Accepts this text as the application's token, for clients that cannot ask for one.
    pub fn accept_bearer(&self, token: &str) {
        let client = self.client_id();
        self.0.apps().standing.insert(token.to_owned(), client);
    }

    /// Expires all access tokens that are out.
    pub fn expire_access_tokens(&self) {
        self.0.apps().generation += 1;
    }

    /// Returns how many access tokens were given.
    pub fn access_tokens_issued(&self) -> u64 {
        self.0.apps().issued
    }

    /// Expires all delta tokens that are out, links to further pages among them.
    pub fn expire_delta_tokens(&self) {
        self.0.epoch.fetch_add(1, Ordering::SeqCst);
    }

    /// Lets listings and single objects show the tenant as it is now, whatever changes; delta goes on telling the truth.
    pub fn freeze_listings(&self) {
        let now = self.0.state.read().unwrap_or_else(PoisonError::into_inner).clone();
        *self.0.stale.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(now));
    }

    /// Lets listings show the truth again.
    pub fn thaw_listings(&self) {
        *self.0.stale.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(crate) fn remember(&self, name: &str, id: Id) {
        self.0.names.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), id);
    }

    /// Returns the id of the object that was made by hand under this name.
    ///
    /// # Panics
    /// When there is none.
    pub fn id(&self, name: &str) -> Id {
        let names = self.0.names.lock().unwrap_or_else(PoisonError::into_inner);
        *names.get(name).unwrap_or_else(|| panic!("nothing was made under the name {name}"))
    }

    /// Returns the id of the n-th object of a kind that there ever was, seeded ones first.
    pub fn nth(&self, kind: Kind, n: u32) -> Id {
        self.0.reading(true, |state| state.id(Ref::new(kind, n)))
    }
}

impl Inner {
    fn about_mut(&self, change: impl FnOnce(&mut About)) {
        change(&mut self.about.write().unwrap_or_else(PoisonError::into_inner));
    }

    pub(crate) fn display_name(&self) -> String {
        self.about.read().unwrap_or_else(PoisonError::into_inner).display_name.clone()
    }

    pub(crate) fn domains(&self) -> Vec<String> {
        self.about.read().unwrap_or_else(PoisonError::into_inner).domains.clone()
    }

    pub(crate) fn initial_domain(&self) -> String {
        self.domains().into_iter().nth(1).unwrap_or_default()
    }

    pub(crate) fn graph_roots(&self) -> Vec<String> {
        self.about.read().unwrap_or_else(PoisonError::into_inner).graph_roots.clone()
    }

    pub(crate) fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn apps(&self) -> MutexGuard<'_, Apps> {
        self.apps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn buckets(&self) -> MutexGuard<'_, Buckets> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn now(&self) -> i64 {
        self.clock.read().unwrap_or_else(PoisonError::into_inner).now()
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::SeqCst)
    }

    pub(crate) fn request_id(&self) -> String {
        guid(self.key ^ self.requests.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn principal_id(&self, app: &str) -> String {
        guid(app.bytes().fold(self.key, |seed, byte| mix(seed ^ u64::from(byte))))
    }

    /// Reads the live state, or the one that lags behind when there is one.
    pub(crate) fn reading<T>(&self, live: bool, read: impl FnOnce(&State) -> T) -> T {
        if !live {
            let stale = self.stale.read().unwrap_or_else(PoisonError::into_inner).clone();
            if let Some(stale) = stale {
                return read(&stale);
            }
        }
        read(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn writing<T>(&self, write: impl FnOnce(&mut State) -> T) -> T {
        write(&mut self.state.write().unwrap_or_else(PoisonError::into_inner))
    }
}
