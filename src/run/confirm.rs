//! Looks up what seems to be gone, beside siblings that must be there; reads a second time what seems to have ended.

use std::collections::BTreeMap;

use super::{Import, scope_name};
use crate::endpoint::{ObjectRef, Presence};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Mode, ObjectKind, Patch, Phase};
use crate::store::Candidate;

/// Candidates of one look-up.
pub(super) const CANDIDATES_A_LOOKUP: usize = 200;
/// Siblings that vouch for one place.
const SIBLINGS_A_PLACE: usize = 2;

impl Import {
    /// Looks up every candidate that came from a listing.
    pub(super) async fn confirm_objects(&mut self) -> Result<()> {
        self.show(|progress| progress.phase = Phase::Confirming);
        for kind in ObjectKind::ALL {
            match self.confirm_kind(*kind).await {
                Ok(()) => {}
                Err(error) if *error.kind() == ErrorKind::Cancelled || *error.kind() == ErrorKind::Store => {
                    return Err(error);
                }
                Err(error) => {
                    // Nothing was proven: everything else goes on.
                    let kind = *kind;
                    self.doubtful = true;
                    self.hold.with(move |run| run.void(kind)).await?;
                    let error = self.in_endpoint(error);
                    self.alert(
                        "look-up-failed",
                        format!("{} that are no longer listed could not be looked up: {error}", scope_name(kind)),
                    );
                }
            }
        }
        Ok(())
    }

    /// Reads what a delta does not tell again: the present values of objects of which some are parked.
    pub(super) async fn look_up_parked(&mut self) -> Result<()> {
        if self.mode == Mode::Snapshot {
            return Ok(());
        }
        let objects = self.hold.with(|run| run.parked_values()).await?;
        for asked in objects.chunks(CANDIDATES_A_LOOKUP) {
            let answers = match self.job.endpoint.lookup(&self.cx, asked).await {
                Ok(answers) => answers,
                Err(error) if *error.kind() == ErrorKind::Cancelled => return Err(error),
                Err(error) => {
                    // They wait on.
                    tracing::warn!("what is parked could not be looked up: {}", self.in_endpoint(error));
                    return Ok(());
                }
            };
            let present = answers.into_iter().filter_map(|answer| match answer {
                Presence::Present(patch) => Some(patch),
                _ => None,
            });
            self.take_in(present.collect()).await?;
        }
        Ok(())
    }

    async fn confirm_kind(&mut self, kind: ObjectKind) -> Result<()> {
        let total = self.hold.with(move |run| run.count_candidates(kind)).await?;
        let mut found = 0_u64;
        let mut siblings: BTreeMap<Option<i64>, Vec<ObjectRef>> = BTreeMap::new();
        loop {
            let candidates = self.hold.with(move |run| run.open_candidates(kind, CANDIDATES_A_LOOKUP)).await?;
            if candidates.is_empty() {
                return Ok(());
            }
            self.find_siblings(kind, &candidates, &mut siblings).await?;
            let (present, strong) = self.look_up(&candidates, &siblings).await?;
            found += strong;
            // In a mere delta only what was parked before is looked up: no listing was short.
            if self.lists_ids() && found * 100 > total {
                return self.void(kind, total).await;
            }
            self.take_in(present).await?;
        }
    }

    /// Finds siblings for the places that were not met before.
    pub(super) async fn find_siblings(
        &mut self,
        kind: ObjectKind,
        candidates: &[Candidate],
        siblings: &mut BTreeMap<Option<i64>, Vec<ObjectRef>>,
    ) -> Result<()> {
        let mut places: Vec<Option<i64>> =
            candidates.iter().map(|candidate| candidate.container_no).filter(|no| !siblings.contains_key(no)).collect();
        places.sort_unstable();
        places.dedup();
        if places.is_empty() {
            return Ok(());
        }
        siblings.extend(places.iter().map(|place| (*place, Vec::new())));
        let found = self.hold.with(move |run| run.siblings(kind, &places, SIBLINGS_A_PLACE)).await?;
        for (place, sibling) in found {
            siblings.entry(place).or_default().push(sibling);
        }
        Ok(())
    }

    /// Looks candidates up together with their siblings. Answers for each, and tells whether its place vouches for it.
    pub(super) async fn ask(
        &self,
        candidates: &[Candidate],
        siblings: &BTreeMap<Option<i64>, Vec<ObjectRef>>,
    ) -> Result<Vec<(i64, Presence, bool)>> {
        let mut places: Vec<Option<i64>> = candidates.iter().map(|candidate| candidate.container_no).collect();
        places.dedup();
        let vouching: Vec<(Option<i64>, &ObjectRef)> = places
            .iter()
            .flat_map(|place| siblings.get(place).into_iter().flatten().map(move |sibling| (*place, sibling)))
            .collect();
        let asked: Vec<ObjectRef> = candidates
            .iter()
            .map(|candidate| candidate.object.clone())
            .chain(vouching.iter().map(|(_, sibling)| (*sibling).clone()))
            .collect();
        let mut answers = self.job.endpoint.lookup(&self.cx, &asked).await?;
        if answers.len() != asked.len() {
            return Err(Error::protocol("a look-up answered for another number of objects than were asked for"));
        }
        let canaries = answers.split_off(candidates.len());
        // A place vouches for absence only if all of its siblings, and at least one, were found.
        let mut vouched: BTreeMap<Option<i64>, bool> = BTreeMap::new();
        for ((place, sibling), answer) in vouching.iter().zip(&canaries) {
            // Found elsewhere, it shows nothing of the place where it was thought to be.
            *vouched.entry(*place).or_insert(true) &= match answer {
                Presence::Present(Some(patch)) => patch.container.is_none() || patch.container == sibling.container,
                Presence::Present(None) => true,
                _ => false,
            };
        }
        Ok(candidates
            .iter()
            .zip(answers)
            .map(|(candidate, answer)| {
                let answer = match answer {
                    Presence::Renamed(patch) if patch.object.id == candidate.object.key.id => {
                        Presence::Present(Some(patch))
                    }
                    answer => answer,
                };
                let vouched = vouched.get(&candidate.container_no).copied().unwrap_or(false);
                (candidate.object_no, answer, vouched)
            })
            .collect())
    }

    /// Looks candidates up, and stores the verdicts. Returns what was found after all, and how many of these show that the
    /// listing was short: a directory that knows people by their addresses may hide them, and they are found all the same.
    async fn look_up(
        &mut self,
        candidates: &[Candidate],
        siblings: &BTreeMap<Option<i64>, Vec<ObjectRef>>,
    ) -> Result<(Vec<Option<Box<Patch>>>, u64)> {
        let verdicts = self.ask(candidates, siblings).await?;
        let (mut present, mut strong) = (Vec::new(), 0);
        for (candidate, (_, answer, _)) in candidates.iter().zip(&verdicts) {
            if let Presence::Present(patch) = answer {
                present.push(patch.clone());
                strong += u64::from(!candidate.object.key.id.is_weak());
            }
        }
        self.hold
            .with(move |run| {
                let answers: Vec<_> = verdicts.iter().map(|(no, answer, vouched)| (*no, answer, *vouched)).collect();
                run.set_verdicts(&answers)
            })
            .await?;
        Ok((present, strong))
    }

    /// Gives up on a kind: more than 1 % of what was not listed is there.
    async fn void(&mut self, kind: ObjectKind, total: u64) -> Result<()> {
        self.doubtful = true;
        self.hold.with(move |run| run.void(kind)).await?;
        self.alert(
            "listing-short",
            format!(
                "the listing of {} was short: of {total} that it left out, some are there when looked up; none is \
                 removed and none is marked as missing",
                scope_name(kind)
            ),
        );
        Ok(())
    }

    /// Stages what a look-up found: it is changed or unchanged like anything that was listed.
    async fn take_in(&mut self, present: Vec<Option<Box<Patch>>>) -> Result<()> {
        let patches: Vec<Patch> = present.into_iter().flatten().map(|patch| *patch).collect();
        if patches.is_empty() {
            return Ok(());
        }
        self.hold.with(move |run| run.stage_found(patches)).await?;
        self.count_read();
        Ok(())
    }

    /// Reads a second time the memberships that seem to have ended.
    pub(super) async fn confirm_memberships(&mut self) -> Result<()> {
        while let Some(doubt) = self.hold.with(|run| run.next_doubt()).await? {
            let members: Vec<_> = doubt.members.iter().map(|(_, id)| id.clone()).collect();
            let answers = match self.job.endpoint.check_members(&self.cx, &doubt.group, &members).await {
                Ok(answers) if answers.len() == members.len() => answers,
                Ok(_) => {
                    return Err(Error::protocol("a check of members answered for another number than were asked for"));
                }
                Err(error) if *error.kind() == ErrorKind::Cancelled => return Err(error),
                Err(error) => {
                    let error = self.in_endpoint(error);
                    self.alert(
                        "second-reading-failed",
                        format!("memberships that seem to have ended could not be read again and are kept: {error}"),
                    );
                    vec![crate::endpoint::Membership::Unknown; members.len()]
                }
            };
            self.hold.with(move |run| run.settle_doubt(&doubt, &answers)).await?;
        }
        Ok(())
    }
}
