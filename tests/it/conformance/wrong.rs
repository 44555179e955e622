//! An endpoint that is led astray at one place: the right one with a hook in it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use tenantry::endpoint::{
    Action, ActionOutcome, Actor, CallLimits, Checkpoint, CoverageInfo, Cursor, DeltaEndpoint, DeltaPager, DeltaStep,
    Membership, ObjectRef, Presence, SnapshotPage, SnapshotPager, SnapshotStep, Verification,
};
use tenantry::model::{Freshness, ObjectKey, ObjectKind, SourceId};
use tenantry::{Context, Endpoint, EndpointInfo, Result};

use super::connector::Memory;

/// What becomes of the steps of one pager. `None`: this step is kept back, and the next one is asked for.
pub(crate) type Steps<S> = Box<dyn FnMut(Result<S>) -> Option<Result<S>> + Send>;
type Hook<F> = Option<Box<F>>;

/// Where an endpoint can be led astray; each hook is handed the right answer.
#[derive(Default)]
#[allow(clippy::type_complexity, reason = "each is the signature of a call")]
pub(crate) struct Hooks {
    info: Hook<dyn Fn(&mut EndpointInfo) + Send + Sync>,
    limits: Hook<dyn Fn(&Memory) -> CallLimits + Send + Sync>,
    prints: Hook<dyn Fn(&Memory) -> String + Send + Sync>,
    context: Hook<dyn Fn(&Context) -> Context + Send + Sync>,
    coverage: Hook<dyn Fn(Result<CoverageInfo>, &Memory) -> Result<CoverageInfo> + Send + Sync>,
    verify: Hook<dyn Fn(&Memory) + Send + Sync>,
    sign_ins: u32,
    from: Hook<dyn Fn(&Memory, Option<Checkpoint>) -> Option<Checkpoint> + Send + Sync>,
    listing: Hook<dyn Fn(&Memory) -> Steps<SnapshotStep> + Send + Sync>,
    ids: Hook<dyn Fn(&Memory) -> Steps<SnapshotStep> + Send + Sync>,
    ids_by_snapshot: bool,
    lookup: Hook<dyn Fn(&[ObjectRef], Result<Vec<Presence>>) -> Result<Vec<Presence>> + Send + Sync>,
    members: Hook<dyn Fn(&ObjectRef, Result<Vec<Membership>>) -> Result<Vec<Membership>> + Send + Sync>,
    delta: Hook<dyn Fn(&Memory, &Cursor) -> Steps<DeltaStep> + Send + Sync>,
    freshness: Hook<dyn Fn(&Memory) -> Vec<Freshness> + Send + Sync>,
    tells: Hook<dyn Fn(&Memory) -> bool + Send + Sync>,
    offers: Hook<dyn Fn(&Memory) -> bool + Send + Sync>,
    begin: Hook<dyn Fn(&Memory, Result<()>) -> Result<()> + Send + Sync>,
    act: Hook<dyn Fn(&Memory, Action, &SourceId, Result<ActionOutcome>) -> Result<ActionOutcome> + Send + Sync>,
}

macro_rules! hooks {
    ($($name:ident($($hook:tt)+);)+) => {
        $(pub(crate) fn $name(mut self, hook: impl $($hook)+ + Send + Sync + 'static) -> Self {
            self.$name = Some(Box::new(hook));
            self
        })+
    };
}

impl Hooks {
    hooks! {
        info(Fn(&mut EndpointInfo));
        limits(Fn(&Memory) -> CallLimits);
        prints(Fn(&Memory) -> String);
        context(Fn(&Context) -> Context);
        coverage(Fn(Result<CoverageInfo>, &Memory) -> Result<CoverageInfo>);
        verify(Fn(&Memory));
        from(Fn(&Memory, Option<Checkpoint>) -> Option<Checkpoint>);
        listing(Fn(&Memory) -> Steps<SnapshotStep>);
        ids(Fn(&Memory) -> Steps<SnapshotStep>);
        lookup(Fn(&[ObjectRef], Result<Vec<Presence>>) -> Result<Vec<Presence>>);
        members(Fn(&ObjectRef, Result<Vec<Membership>>) -> Result<Vec<Membership>>);
        delta(Fn(&Memory, &Cursor) -> Steps<DeltaStep>);
        freshness(Fn(&Memory) -> Vec<Freshness>);
        tells(Fn(&Memory) -> bool);
        offers(Fn(&Memory) -> bool);
        begin(Fn(&Memory, Result<()>) -> Result<()>);
        act(Fn(&Memory, Action, &SourceId, Result<ActionOutcome>) -> Result<ActionOutcome>);
    }

    /// Changes each page of a listing.
    pub(crate) fn page(self, change: fn(&mut SnapshotPage)) -> Self {
        self.listing(move |_| {
            Box::new(move |mut step| {
                if let Ok(SnapshotStep::Page(page)) = &mut step {
                    change(page);
                }
                Some(step)
            })
        })
    }

    /// Shows the credential.
    pub(crate) fn debug(self) -> Self {
        self.prints(|memory| memory.secret.expose().to_owned())
    }

    /// Tries to sign in so often more when it is verified.
    pub(crate) fn sign_ins(mut self, more: u32) -> Self {
        self.sign_ins = more;
        self
    }

    /// Lists ids by whole snapshots, bodies and all.
    pub(crate) fn ids_by_snapshot(mut self) -> Self {
        self.ids_by_snapshot = true;
        self
    }
}

pub(crate) struct Wrong {
    memory: Memory,
    infos: [EndpointInfo; 2],
    listed: AtomicBool,
    hooks: Arc<Hooks>,
}

impl Wrong {
    pub(crate) fn new(memory: Memory, hooks: Arc<Hooks>) -> Self {
        let mut infos = [memory.info.clone(), memory.info.clone()];
        if let Some(hook) = &hooks.info {
            hook(&mut infos[1]);
        }
        Self { memory, infos, listed: AtomicBool::new(false), hooks }
    }

    fn context(&self, cx: &Context) -> Context {
        self.hooks.context.as_ref().map_or_else(|| cx.clone(), |hook| hook(cx))
    }
}

impl fmt::Debug for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hooks.prints.as_ref().map_or_else(|| "Wrong".to_owned(), |hook| hook(&self.memory)))
    }
}

struct Pager<P: ?Sized, S> {
    steps: Option<Steps<S>>,
    inner: Box<P>,
}

#[async_trait]
impl SnapshotPager for Pager<dyn SnapshotPager, SnapshotStep> {
    async fn next(&mut self) -> Result<SnapshotStep> {
        loop {
            let step = self.inner.next().await;
            let Some(steps) = &mut self.steps else { return step };
            if let Some(step) = steps(step) {
                return step;
            }
        }
    }
}

#[async_trait]
impl DeltaPager for Pager<dyn DeltaPager, DeltaStep> {
    async fn next(&mut self) -> Result<DeltaStep> {
        loop {
            let step = self.inner.next().await;
            let Some(steps) = &mut self.steps else { return step };
            if let Some(step) = steps(step) {
                return step;
            }
        }
    }
}

#[async_trait]
impl Endpoint for Wrong {
    fn info(&self) -> &EndpointInfo {
        &self.infos[usize::from(self.listed.load(Ordering::Relaxed))]
    }

    fn limits(&self) -> CallLimits {
        self.hooks.limits.as_ref().map_or_else(|| self.memory.limits(), |hook| hook(&self.memory))
    }

    async fn coverage(&self, cx: &Context) -> Result<CoverageInfo> {
        let right = self.memory.coverage(&self.context(cx)).await;
        match &self.hooks.coverage {
            Some(hook) => hook(right, &self.memory),
            None => right,
        }
    }

    async fn verify(&self, cx: &Context) -> Result<Verification> {
        for _ in 0..self.hooks.sign_ins {
            let _ = self.memory.verify(cx).await;
        }
        if let Some(hook) = &self.hooks.verify {
            hook(&self.memory);
        }
        self.memory.verify(&self.context(cx)).await
    }

    async fn snapshot(&self, cx: &Context, from: Option<&Checkpoint>) -> Result<Box<dyn SnapshotPager>> {
        self.listed.store(true, Ordering::Relaxed);
        let from = self.hooks.from.as_ref().map_or_else(|| from.cloned(), |hook| hook(&self.memory, from.cloned()));
        let inner = self.memory.snapshot(&self.context(cx), from.as_ref()).await?;
        Ok(Box::new(Pager { inner, steps: self.hooks.listing.as_ref().map(|hook| hook(&self.memory)) }))
    }

    async fn id_listing(&self, cx: &Context) -> Result<Box<dyn SnapshotPager>> {
        if self.hooks.ids_by_snapshot {
            return self.memory.snapshot(cx, None).await;
        }
        let inner = self.memory.id_listing(&self.context(cx)).await?;
        Ok(Box::new(Pager { inner, steps: self.hooks.ids.as_ref().map(|hook| hook(&self.memory)) }))
    }

    async fn lookup(&self, cx: &Context, ids: &[ObjectRef]) -> Result<Vec<Presence>> {
        let right = self.memory.lookup(&self.context(cx), ids).await;
        match &self.hooks.lookup {
            Some(hook) => hook(ids, right),
            None => right,
        }
    }

    async fn check_members(&self, cx: &Context, group: &ObjectRef, members: &[SourceId]) -> Result<Vec<Membership>> {
        let right = self.memory.check_members(&self.context(cx), group, members).await;
        match &self.hooks.members {
            Some(hook) => hook(group, right),
            None => right,
        }
    }

    fn as_delta(&self) -> Option<&dyn DeltaEndpoint> {
        Some(self)
    }

    fn as_actor(&self) -> Option<&dyn Actor> {
        Some(self)
    }
}

#[async_trait]
impl DeltaEndpoint for Wrong {
    async fn delta(&self, cx: &Context, since: &Cursor) -> Result<Box<dyn DeltaPager>> {
        let inner = self.memory.delta(&self.context(cx), since).await?;
        Ok(Box::new(Pager { inner, steps: self.hooks.delta.as_ref().map(|hook| hook(&self.memory, since)) }))
    }

    fn freshness(&self, cursor: &Cursor) -> Vec<Freshness> {
        self.hooks.freshness.as_ref().map_or_else(|| self.memory.freshness(cursor), |hook| hook(&self.memory))
    }

    fn tells_removals(&self, coverage: &CoverageInfo) -> bool {
        self.hooks.tells.as_ref().map_or_else(|| self.memory.tells_removals(coverage), |hook| hook(&self.memory))
    }
}

#[async_trait]
impl Actor for Wrong {
    fn offers(&self, action: Action, kind: ObjectKind) -> bool {
        self.memory.offers(action, kind) && self.hooks.offers.as_ref().is_none_or(|hook| hook(&self.memory))
    }

    async fn begin(&self, cx: &Context) -> Result<()> {
        let right = self.memory.begin(cx).await;
        match &self.hooks.begin {
            Some(hook) => hook(&self.memory, right),
            None => right,
        }
    }

    async fn act(&self, cx: &Context, action: Action, account: &ObjectKey) -> Result<ActionOutcome> {
        let right = self.memory.act(cx, action, account).await;
        match &self.hooks.act {
            Some(hook) => hook(&self.memory, action, &account.id, right),
            None => right,
        }
    }
}
