//! Deltas against listings: whatever happens to a directory, both tell of the same one. It knows no single promise.

use std::collections::{BTreeMap, BTreeSet};

use super::super::reading::{Changes, Listing, Members, Word};
use super::super::remote::Place;
use super::super::report::{Verdict, ensure, failed};
use super::super::stage::{Stage, person};
use super::delta::{apply_members, begin, tells_removals};
use crate::model::{Attributes, ObjectKey, Patch, SourceId, Value};

/// Deltas in a row.
const ROUNDS: usize = 3;
/// Differences that are told; the rest is counted.
const TOLD: usize = 8;

/// The number of the first user that moves within the scope.
const MOVED: usize = 6_400;

/// What is known of one object.
#[derive(Debug, Default)]
struct Body {
    attributes: Attributes,
    container: Option<Box<str>>,
    #[allow(clippy::option_option, reason = "not read, none, or this group, as in a patch")]
    primary_group: Option<Option<SourceId>>,
}

impl Body {
    fn merge(&mut self, patch: &Patch) {
        self.attributes.merge(&patch.attributes);
        self.container = patch.container.clone().or(self.container.take());
        self.primary_group = patch.primary_group.clone().or(self.primary_group.take());
    }

    /// Names what differs, with what this one and the other one hold.
    fn differences(&self, other: &Self) -> Vec<String> {
        let names: BTreeSet<_> = self.attributes.iter().chain(other.attributes.iter()).map(|(name, _)| name).collect();
        let told = |value: Option<&Value>| value.map_or_else(|| "unknown".to_owned(), |value| format!("{value:?}"));
        let mut differences: Vec<_> = names
            .into_iter()
            .map(|name| (name, self.attributes.get(name), other.attributes.get(name)))
            .filter(|(_, one, two)| one != two)
            .map(|(name, one, two)| format!("`{name}` is {} and {}", told(one), told(two)))
            .collect();
        if self.container != other.container {
            differences.push(format!("`Patch::container` is {:?} and {:?}", self.container, other.container));
        }
        if self.primary_group != other.primary_group {
            let (one, two) = (&self.primary_group, &other.primary_group);
            differences.push(format!("`Patch::primary_group` is {one:?} and {two:?}"));
        }
        differences
    }
}

/// What somebody knows of the directory.
#[derive(Debug)]
struct Image {
    bodies: BTreeMap<ObjectKey, Body>,
    members: Members,
}

impl Image {
    fn of(listing: &Listing) -> Self {
        let mut bodies = BTreeMap::<ObjectKey, Body>::new();
        for (key, patch) in listing.objects.iter() {
            bodies.entry(key.clone()).or_default().merge(patch);
        }
        Self { bodies, members: listing.members() }
    }

    fn apply(&mut self, changes: &Changes) {
        apply_members(&mut self.members, changes);
        for (object, word) in &changes.last_word {
            match (word, changes.patches.get(object)) {
                (Word::There, Some(patch)) => self.bodies.entry(object.clone()).or_default().merge(patch),
                // A listing shows no body of these either; who is out of scope stays a member.
                (Word::There | Word::SetAside | Word::Outside, _) => {
                    self.bodies.remove(object);
                }
                (Word::Gone, _) => {
                    self.bodies.remove(object);
                    self.members.values_mut().for_each(|members| {
                        members.remove(&object.id);
                    });
                }
            }
            if matches!(word, Word::Gone | Word::Outside) {
                self.members.remove(&object.id);
            }
        }
    }

    /// Names what the deltas (this) and a snapshot (the other) tell differently.
    fn differences(&self, other: &Self, untold: &BTreeSet<SourceId>) -> Vec<String> {
        let mut differences = Vec::new();
        for object in self.bodies.keys().chain(other.bodies.keys()).collect::<BTreeSet<_>>() {
            let name = format!("{} {}", object.kind, object.id);
            match (self.bodies.get(object), other.bodies.get(object)) {
                (Some(one), Some(two)) => differences.extend(
                    one.differences(two)
                        .into_iter()
                        .map(|what| format!("{name}: {what} (by the deltas, by the snapshot)")),
                ),
                (Some(_), None) => differences.push(format!("{name}: there by the deltas, not in the snapshot")),
                (None, _) => differences.push(format!("{name}: in the snapshot, not there by the deltas")),
            }
        }
        let none = BTreeSet::new();
        for group in self.members.keys().chain(other.members.keys()).collect::<BTreeSet<_>>() {
            let of = |image: &Self| -> BTreeSet<SourceId> {
                image.members.get(group).unwrap_or(&none).difference(untold).cloned().collect()
            };
            let (one, two) = (of(self), of(other));
            if one != two {
                let (over, missing) = (one.difference(&two).count(), two.difference(&one).count());
                differences.push(format!(
                    "members of {group}: by the deltas {missing} are missing and {over} too many, of {} in the snapshot",
                    two.len()
                ));
            }
        }
        differences
    }
}

/// Users of its own, so that each change has somebody whom no other change concerns.
async fn people(stage: &mut Stage, first: usize) -> Verdict<Vec<SourceId>> {
    let mut users = Vec::new();
    for number in 0..ROUNDS {
        users.push(stage.remote.put_user(&person(first + number)).await?);
    }
    Ok(users)
}

/// Several deltas in a row, against a listing at the end.
pub(super) async fn agrees_with_a_snapshot(stage: &mut Stage) -> Verdict {
    let (population, ..) = begin(stage).await?;
    let coverage = stage.told("coverage", stage.endpoint.coverage(&stage.cx)).await?;
    let tells = tells_removals(stage, &coverage);
    let (renamed, unaddressed) = (people(stage, 6_000).await?, people(stage, 6_100).await?);
    let (deleted, left) = (people(stage, 6_200).await?, people(stage, 6_300).await?);
    let (moved, primary) = (people(stage, MOVED).await?, people(stage, 6_500).await?);
    if let Some(large) = &population.large {
        for users in [&renamed, &deleted, &left, &moved] {
            stage.remote.add_members(large, users).await?;
        }
    }
    let listing = stage.list().await?;
    let Some(mut cursor) = listing.cursor().cloned() else {
        return failed("the end of a listing tells a cursor", "none");
    };
    let mut image = Image::of(&listing);
    // Of a member that came back its groups need not tell.
    let mut restored = BTreeSet::new();
    for round in 0..ROUNDS {
        let new = stage.remote.put_user(&person(900 + round)).await?;
        // What a remote declines is left out of the mixture; each has a check of its own.
        let _ = stage.remote.rename(&renamed[round], &format!("Round{round}")).await;
        let _ = stage.remote.set_mail(&unaddressed[round], None).await;
        let elsewhere = if person(MOVED + round).place == Place::First { Place::Second } else { Place::First };
        let _ = stage.remote.move_to(&moved[round], elsewhere).await;
        if let Some(large) = &population.large {
            stage.remote.add_members(large, std::slice::from_ref(&new)).await?;
            stage.remote.remove_members(large, &renamed[round..=round]).await?;
            let _ = stage.remote.set_primary_group(&primary[round], large).await;
        }
        if let Ok(group) = stage.remote.put_group(&format!("Mixed{round}")).await {
            let _ = stage.remote.add_members(&group, &[new, renamed[round].clone()]).await;
        }
        if round == 1 {
            let _ = stage.remote.put_unintelligible().await;
        }
        if round > 0 && stage.remote.restore(&deleted[round - 1]).await.is_ok() {
            restored.insert(deleted[round - 1].clone());
        }
        if round > 0 {
            let _ = stage.remote.move_to(&left[round - 1], Place::First).await;
        }
        // Where deltas do not tell who is gone, ids are listed behind them.
        if tells {
            let _ = stage.remote.delete(&deleted[round]).await;
            let _ = stage.remote.move_out_of_scope(&left[round]).await;
        }
        let (changes, next) = stage.changes(&cursor).await?;
        image.apply(&changes);
        cursor = next;
    }
    let differences = image.differences(&Image::of(&stage.list().await?), &restored);
    ensure(differences.is_empty(), "the same objects, attributes and memberships by deltas as in a snapshot", || {
        let more = differences.len().saturating_sub(TOLD);
        let told = differences[..differences.len().min(TOLD)].join("\n");
        if more == 0 { told } else { format!("{told}\nand {more} more") }
    })
}
