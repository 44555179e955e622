//! The stage of one check: a fresh remote, an endpoint over it, bounded waits, and a directory's worth of people.
//! It knows no behaviour.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::future::{Future, poll_fn};
use std::num::NonZeroU32;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::remote::{NewUser, Place, Remote};
use super::report::{Verdict, failed, not_checked};
use crate::endpoint::{Context, Endpoint, ObjectRef};
use crate::error::Result;
use crate::gate::{Bucket, Clock, Gate, Limit};
use crate::model::{ObjectKey, ObjectKind, SourceId};

/// Requests that one call of an endpoint may make before it counts as one that goes on forever.
const REQUESTS: u64 = 2_000;

/// Requests in a second of virtual time; a tenth of it at once.
const QUOTA: NonZeroU32 = NonZeroU32::new(1_000).expect("1000 is not 0");

/// What one check works with.
pub(super) struct Stage {
    pub(super) remote: Box<dyn Remote>,
    /// The endpoint, as it was when the check began.
    pub(super) endpoint: Arc<dyn Endpoint>,
    pub(super) cx: Context,
    patience: Patience,
}

/// How long a call may take.
#[derive(Debug, Clone, Copy)]
pub(super) enum Patience {
    /// So long on the system's clock: for remotes behind a socket.
    Real(Duration),
    /// As long as anybody sleeps at the gate, and a while beyond: for remotes in memory, where nobody else can wake it.
    Virtual,
}

impl Patience {
    async fn sleep(self, cx: &Context) {
        match self {
            Self::Real(patience) => Clock::system().sleep(patience).await,
            Self::Virtual => {
                // Longer than any wait at the gate; many times, so that whoever is ready gets to run between.
                for _ in 0..100 {
                    cx.gate().clock().sleep(Duration::from_hours(24)).await;
                }
            }
        }
    }
}

/// Who was put into the remote.
#[derive(Debug, Default)]
pub(super) struct Population {
    pub(super) users: Vec<SourceId>,
    pub(super) computers: Vec<SourceId>,
    /// Groups with their direct members: one without any, a small one, one that holds a group, a large one.
    pub(super) groups: BTreeMap<SourceId, BTreeSet<SourceId>>,
    /// The group that everybody is in.
    pub(super) large: Option<SourceId>,
}

impl Population {
    pub(super) fn keys(&self) -> BTreeSet<ObjectKey> {
        let of = |kind, ids: &[SourceId]| ids.iter().map(|id| key(kind, id)).collect::<Vec<_>>();
        let groups: Vec<_> = self.groups.keys().cloned().collect();
        [of(ObjectKind::User, &self.users), of(ObjectKind::Computer, &self.computers), of(ObjectKind::Group, &groups)]
            .concat()
            .into_iter()
            .collect()
    }

    /// The group that everybody is in.
    pub(super) fn large(&self) -> Verdict<SourceId> {
        self.large.clone().map_or_else(|| not_checked("the remote has no groups with members"), Ok)
    }
}

pub(super) fn key(kind: ObjectKind, id: &SourceId) -> ObjectKey {
    ObjectKey { kind, id: id.clone() }
}

pub(super) fn user(id: &SourceId) -> ObjectRef {
    ObjectRef { key: key(ObjectKind::User, id), container: None }
}

pub(super) fn group(id: &SourceId) -> ObjectRef {
    ObjectRef { key: key(ObjectKind::Group, id), container: None }
}

/// Describes a user by a number.
pub(super) fn person(number: usize) -> NewUser {
    NewUser {
        username: format!("user{number}"),
        first_name: format!("First{number}"),
        last_name: format!("Last{number}"),
        mail: Some(format!("user{number}@corp.example")),
        place: if number.is_multiple_of(2) { Place::First } else { Place::Second },
    }
}

impl Stage {
    pub(super) fn new(remote: Box<dyn Remote>, patience: Patience) -> Self {
        let endpoint = remote.endpoint();
        Self { remote, endpoint, cx: context(), patience }
    }

    /// Awaits a call of the endpoint or the remote: by so many requests at most, and not forever.
    pub(super) async fn wait<T: Send>(&self, call: &str, future: impl Future<Output = T> + Send) -> Verdict<T> {
        let (mut future, mut late) = (pin!(future), pin!(self.patience.sleep(&self.cx)));
        let before = self.cx.gate().stats().requests;
        let ended = poll_fn(|cx| {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Ok(output));
            }
            if self.cx.gate().stats().requests - before > REQUESTS {
                return Poll::Ready(Err(format!("{call} made more than {REQUESTS} requests and was still not done")));
            }
            late.as_mut().poll(cx).map(|()| Err(format!("{call} did not return (patience: {:?})", self.patience)))
        })
        .await;
        ended.or_else(|seen| failed(format!("{call} returns"), seen))
    }

    /// Awaits a call that has to succeed.
    pub(super) async fn told<T: Send>(&self, call: &str, future: impl Future<Output = Result<T>> + Send) -> Verdict<T> {
        match self.wait(call, future).await? {
            Ok(value) => Ok(value),
            Err(error) => failed(format!("{call} succeeds"), format!("{error:?}")),
        }
    }

    /// Lets others go on: the remote, and whoever waits for it.
    pub(super) async fn pause(&self) {
        match self.patience {
            Patience::Real(_) => Clock::system().sleep(Duration::from_millis(1)).await,
            Patience::Virtual => tokio::task::yield_now().await,
        }
    }

    /// Begins an outage with the n-th call. `false`: the remote cannot count so far.
    pub(super) async fn outage(&mut self, nth: u32) -> Verdict<bool> {
        match self.remote.fail_from_call(nth).await {
            Ok(()) => Ok(true),
            Err(declined) if nth == 1 => Err(declined.into()),
            Err(_) => Ok(false),
        }
    }

    /// Begins anew with a context that nobody has cancelled.
    pub(super) fn renew(&mut self) {
        self.endpoint = self.remote.endpoint();
        self.cx = context();
    }

    /// Fills the remote with people, and with groups and computers where it has them.
    pub(super) async fn populate(&mut self) -> Verdict<Population> {
        let mut population = Population::default();
        for number in 0..self.remote.many() {
            population.users.push(self.remote.put_user(&person(number)).await?);
        }
        for number in 0..3 {
            match self.remote.put_computer(&format!("pc{number}")).await {
                Ok(computer) => population.computers.push(computer),
                Err(_) => break,
            }
        }
        let mut groups = Vec::new();
        for name in ["Empty", "Small", "Nested", "Large"] {
            match self.remote.put_group(name).await {
                Ok(group) => groups.push(group),
                Err(_) => return Ok(population),
            }
        }
        population.groups = groups.iter().map(|group| (group.clone(), BTreeSet::new())).collect();
        let members = [
            (&groups[1], population.users[..2].to_vec()),
            (&groups[2], vec![groups[1].clone(), population.users[0].clone()]),
            (&groups[3], population.users.clone()),
        ];
        for (group, members) in members {
            if self.remote.add_members(group, &members).await.is_err() {
                return Ok(population);
            }
            population.groups.insert(group.clone(), members.into_iter().collect());
        }
        population.large = Some(groups[3].clone());
        Ok(population)
    }
}

impl Debug for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stage").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

/// A context whose waits cost no time: whoever sleeps at the gate moves the time himself.
///
/// Its quota makes an endpoint that asks without end come to rest now and then, so that it can be stopped.
pub(super) fn context() -> Context {
    let (clock, time) = Clock::manual();
    time.advance_by_itself();
    let cancel = CancellationToken::new();
    let limit = Limit::new(QUOTA, Duration::from_secs(1)).expect("a second is a period");
    let bucket = Arc::new(Bucket::new(limit, clock.clone()));
    Context::new(Gate::builder().clock(clock).bucket("suite", bucket).cancel(cancel.clone()).build(), cancel)
}
