//! An endpoint over a scripted directory: honest, unless it is told to lie.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::{Lie, ScriptedDirectory};
use crate::endpoint::{
    Checkpoint, Context, CoverageInfo, Endpoint, EndpointInfo, Evidence, Membership, ObjectRef, Presence, Reason,
    SnapshotPage, SnapshotPager, SnapshotStep, Verification,
};
use crate::error::{Error, ErrorKind, Result};
use crate::gate::Cost;
use crate::model::{Edges, EndpointName, Member, MemberKind, ObjectKind, Quarantined, Scope, SourceId, Via};

/// An endpoint over a directory that tests change.
#[derive(Debug, Clone)]
pub struct ScriptedEndpoint {
    info: EndpointInfo,
    state: Arc<Mutex<State>>,
    /// Pages that were listed, all runs together.
    pages: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct State {
    directory: ScriptedDirectory,
    lies: Vec<Lie>,
    page_size: usize,
    filter: String,
    revision: u32,
    rights_lost: bool,
}

impl ScriptedEndpoint {
    /// Creates an endpoint that lists so many objects on a page.
    ///
    /// # Errors
    /// A name that is no endpoint's name.
    pub fn new(name: &str, directory: ScriptedDirectory, page_size: usize) -> Result<Self> {
        Ok(Self {
            info: EndpointInfo::new(EndpointName::new(name)?, "scripted"),
            state: Arc::new(Mutex::new(State {
                directory,
                lies: Vec::new(),
                page_size: page_size.max(1),
                filter: String::new(),
                revision: 1,
                rights_lost: false,
            })),
            pages: Arc::default(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the directory.
    pub fn change<T>(&self, change: impl FnOnce(&mut ScriptedDirectory) -> T) -> T {
        change(&mut self.state().directory)
    }

    /// Tells lies from now on, instead of those before.
    pub fn lie(&self, lies: impl IntoIterator<Item = Lie>) {
        let mut state = self.state();
        state.lies = lies.into_iter().collect();
        state.rights_lost = false;
    }

    /// Gives the endpoint another title; it has to be registered again.
    pub fn set_title(&mut self, title: &str) {
        title.clone_into(&mut self.info.title);
    }

    /// Pretends that the configured filter is another one.
    pub fn set_filter(&self, filter: &str) {
        filter.clone_into(&mut self.state().filter);
    }

    /// Returns how many pages were listed so far.
    pub fn pages(&self) -> usize {
        self.pages.load(Ordering::Relaxed)
    }
}

impl State {
    fn lies(&self, lie: impl Fn(&Lie) -> bool) -> bool {
        self.lies.iter().any(lie)
    }

    fn hides(&self, container: &str) -> bool {
        self.lies(|lie| matches!(lie, Lie::Hides(hidden) if **hidden == *container))
    }

    /// Lists what can be seen: groups first, each kind in the order of ids.
    fn visible(&self) -> Vec<SourceId> {
        let mut ids: Vec<(ObjectKind, &SourceId)> = self
            .directory
            .objects
            .iter()
            .filter(|(id, object)| {
                !self.hides(&object.container)
                    && !self.lies(|lie| matches!(lie, Lie::Empty) || matches!(lie, Lie::Drops(ids) if ids.contains(id)))
            })
            .map(|(id, object)| (object.kind, id))
            .collect();
        ids.sort_by_key(|(kind, id)| (*kind != ObjectKind::Group, *kind, (*id).clone()));
        ids.into_iter().map(|(_, id)| id.clone()).collect()
    }

    fn patch(&self, id: &SourceId) -> Option<crate::model::Patch> {
        let mut patch = self.directory.patch(id)?;
        for lie in &self.lies {
            if let Lie::Unreadable(names) = lie {
                for name in names {
                    patch.attributes.forget(name);
                }
            }
        }
        Some(patch)
    }

    fn members(&self, group: &SourceId) -> Vec<Member> {
        let all = self.directory.members.get(group).cloned().unwrap_or_default();
        let keep = self.lies.iter().find_map(|lie| match lie {
            Lie::Truncates(id, keep) if id == group => Some(*keep),
            _ => None,
        });
        all.into_iter().take(keep.unwrap_or(usize::MAX)).map(|id| Member { id, kind: MemberKind::Unknown }).collect()
    }
}

struct Pager {
    endpoint: ScriptedEndpoint,
    cx: Context,
    ids: Vec<SourceId>,
    at: usize,
    pages: usize,
    repeat: Option<usize>,
    closed: bool,
}

impl Pager {
    fn page(&mut self) -> Result<SnapshotStep> {
        let mut state = self.endpoint.state();
        self.pages += 1;
        self.endpoint.pages.fetch_add(1, Ordering::Relaxed);
        let done = self.pages - 1;
        if state.lies(|lie| matches!(lie, Lie::FailsAfter(pages) if done >= *pages)) {
            return Err(Error::new(ErrorKind::Unavailable, "scripted failure"));
        }
        assert!(!state.lies(|lie| matches!(lie, Lie::PanicsAfter(pages) if done >= *pages)), "scripted panic");
        if state.lies(|lie| matches!(lie, Lie::LosesRightsAfter(pages) if done >= *pages)) {
            state.rights_lost = true;
            self.ids.truncate(self.at);
        }
        if let Some(back) = self.repeat.take() {
            self.at = back;
        } else if state.lies(|lie| matches!(lie, Lie::Repeats)) {
            self.repeat = Some(self.at);
        }
        if self.at >= self.ids.len() && self.closed && self.repeat.is_none() {
            return Ok(SnapshotStep::End { cursor: None });
        }
        let until = (self.at + state.page_size).min(self.ids.len());
        let mut page = SnapshotPage::default();
        for id in &self.ids[self.at..until] {
            // Deleted while the listing runs.
            let Some(object) = state.directory.objects.get(id) else { continue };
            if object.unintelligible {
                page.quarantined.push(Quarantined {
                    kind: object.kind,
                    id: Some(id.clone()),
                    reason: "scripted: no sense in it".into(),
                });
                continue;
            }
            page.patches.extend(state.patch(id));
            if object.kind == ObjectKind::Group {
                page.edges.push(Edges { group: id.clone(), via: Via::Explicit, members: state.members(id) });
                page.closed.push(Scope::Members(id.clone(), Via::Explicit));
            }
        }
        self.at = until;
        if self.at >= self.ids.len() {
            self.closed = true;
            page.closed.extend([Scope::Users, Scope::Groups, Scope::Computers]);
        }
        page.checkpoint = Some(Checkpoint::new(1, (self.at as u64).to_be_bytes()));
        Ok(SnapshotStep::Page(page))
    }
}

#[async_trait]
impl SnapshotPager for Pager {
    async fn next(&mut self) -> Result<SnapshotStep> {
        self.cx.check_cancelled()?;
        let gate = self.cx.gate().clone();
        let step = self.page();
        gate.call(Cost::default(), "scripted page", |_| std::future::ready(Ok(()))).await?;
        step
    }
}

#[async_trait]
impl Endpoint for ScriptedEndpoint {
    fn info(&self) -> &EndpointInfo {
        &self.info
    }

    async fn coverage(&self, _cx: &Context) -> Result<CoverageInfo> {
        let state = self.state();
        let mut coverage = CoverageInfo::new(&state.directory.identity, state.revision);
        if !state.rights_lost {
            coverage.rights.insert("read".into());
        }
        if state.directory.tombstones_readable {
            coverage.rights.insert("read tombstones".into());
        }
        coverage.filters.insert("users".into(), state.filter.clone());
        Ok(coverage)
    }

    async fn verify(&self, _cx: &Context) -> Result<Verification> {
        Ok(Verification { identity: self.state().directory.identity.clone(), ..Verification::default() })
    }

    async fn snapshot(&self, cx: &Context, from: Option<&Checkpoint>) -> Result<Box<dyn SnapshotPager>> {
        let ids = self.state().visible();
        let at = match from.map(|checkpoint| <[u8; 8]>::try_from(checkpoint.bytes())) {
            None => 0,
            Some(Ok(at)) => usize::try_from(u64::from_be_bytes(at)).unwrap_or(usize::MAX).min(ids.len()),
            Some(Err(_)) => return Err(Error::new(ErrorKind::Conflict, "not a checkpoint of this endpoint")),
        };
        // Everything is closed by the last page; of an empty directory, by an empty one.
        Ok(Box::new(Pager { endpoint: self.clone(), cx: cx.clone(), ids, at, pages: 0, repeat: None, closed: false }))
    }

    async fn lookup(&self, _cx: &Context, ids: &[ObjectRef]) -> Result<Vec<Presence>> {
        let state = self.state();
        if state.lies(|lie| matches!(lie, Lie::LookupFails)) {
            return Err(Error::new(ErrorKind::Unavailable, "scripted failure"));
        }
        Ok(ids
            .iter()
            .map(|asked| match state.directory.objects.get(&asked.key.id) {
                Some(object) if !state.hides(&object.container) => {
                    Presence::Present(state.patch(&asked.key.id).map(Box::new))
                }
                _ if !state.directory.tombstones_readable => Presence::Gone(Evidence::NotFound),
                _ => match state.directory.tombstones.get(&asked.key.id) {
                    Some(kind) => Presence::Gone(Evidence::Tombstone(*kind)),
                    None => Presence::Unknown(Reason::NoTombstone),
                },
            })
            .collect())
    }

    async fn check_members(&self, _cx: &Context, group: &ObjectRef, members: &[SourceId]) -> Result<Vec<Membership>> {
        let state = self.state();
        let Some(all) = state.directory.members.get(&group.key.id) else {
            return Ok(vec![Membership::Unknown; members.len()]);
        };
        Ok(members
            .iter()
            .map(|member| if all.contains(member) { Membership::Member } else { Membership::NotMember })
            .collect())
    }
}
