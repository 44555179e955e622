//! What can be seen at all: equal where nothing changed, unequal where something did. It lists only to lose rights.

use super::super::reading::{Ending, Listing};
use super::super::report::{Verdict, ensure, failed};
use super::super::stage::{Stage, person};
use crate::endpoint::{CoverageInfo, Endpoint};
use crate::model::{ObjectKind, Scope, Via};

async fn read(stage: &Stage, endpoint: &dyn Endpoint) -> Verdict<CoverageInfo> {
    stage.told("coverage", endpoint.coverage(&stage.cx)).await
}

fn equal(one: &CoverageInfo, other: &CoverageInfo) -> Verdict {
    ensure(one == other, "an equal coverage", || one.difference(other))
}

/// Read twice, by a new process, by another server.
pub(super) async fn is_equal_from_every_server(stage: &mut Stage) -> Verdict {
    let first = read(stage, &*stage.endpoint).await?;
    equal(&read(stage, &*stage.endpoint).await?, &first)?;
    equal(&read(stage, &*stage.remote.endpoint()).await?, &first)?;
    let other = stage.remote.other_server().await?;
    equal(&read(stage, &*other).await?, &first)
}

/// People, groups, deletions.
pub(super) async fn ignores_what_is_there(stage: &mut Stage) -> Verdict {
    let first = read(stage, &*stage.endpoint).await?;
    let people = stage.populate().await?;
    equal(&read(stage, &*stage.endpoint).await?, &first)?;
    for user in &people.users {
        if stage.remote.delete(user).await.is_err() {
            break;
        }
    }
    equal(&read(stage, &*stage.endpoint).await?, &first)
}

/// Of the same name.
pub(super) async fn knows_another_directory(stage: &mut Stage) -> Verdict {
    let first = read(stage, &*stage.endpoint).await?;
    let other = stage.remote.other_directory().await?;
    let other = read(stage, &*other).await?;
    ensure(first.identity != other.identity, "another identity", || other.identity.clone())
}

/// Taken away between two readings.
pub(super) async fn shows_a_withdrawn_right(stage: &mut Stage) -> Verdict {
    stage.populate().await?;
    let first = read(stage, &*stage.endpoint).await?;
    stage.remote.withdraw_right().await?;
    let second = read(stage, &*stage.endpoint).await?;
    ensure(second.may_hide_more_than(&first) && second.digest() != first.digest(), "an unequal coverage", || {
        format!("{second:?}")
    })
}

/// Taken away at every call of a listing.
pub(super) async fn shows_a_right_lost_on_the_way(stage: &mut Stage) -> Verdict {
    let people = stage.populate().await?;
    for calls in 1..=30 {
        stage.renew();
        let first = read(stage, &*stage.endpoint).await?;
        stage.remote.withdraw_rights_after(calls).await?;
        let listing = stage.try_list(None).await?;
        if listing.pages.is_empty() && matches!(listing.ending, Ending::Badly(_)) {
            stage.remote.heal().await?;
            continue;
        }
        let told = stage.wait("coverage", stage.endpoint.coverage(&stage.cx)).await?.ok() != Some(first);
        stage.remote.heal().await?;
        if !told && matches!(listing.ending, Ending::Well(_)) {
            let lost = lost(&listing, &people.keys(), &people.groups);
            return match lost {
                None => Ok(()),
                Some(lost) => failed(
                    "another coverage behind it, an error, or an open scope",
                    format!(
                        "rights were lost behind call {calls}; the listing ended well, the coverage is as before, and {lost}"
                    ),
                ),
            };
        }
    }
    Ok(())
}

/// Names what a closed scope lacks.
pub(super) fn lost(
    listing: &Listing,
    keys: &std::collections::BTreeSet<crate::model::ObjectKey>,
    groups: &super::super::reading::Members,
) -> Option<String> {
    for kind in [ObjectKind::User, ObjectKind::Group, ObjectKind::Computer] {
        let missing: Vec<_> =
            keys.iter().filter(|key| key.kind == kind && !listing.objects.contains_key(key)).collect();
        if listing.has_closed(&Scope::of(kind)) && !missing.is_empty() {
            return Some(format!("{} is closed without {} {kind}s", Scope::of(kind), missing.len()));
        }
    }
    for (group, members) in groups {
        let listed = listing.members.of(group.clone()).intersection(members).count();
        let scope = Scope::Members(group.clone(), Via::Explicit);
        if listing.has_closed(&scope) && listed < members.len() {
            return Some(format!("{scope} is closed with {listed} of {}", members.len()));
        }
    }
    None
}

/// Configured otherwise.
pub(super) async fn shows_a_changed_filter(stage: &mut Stage) -> Verdict {
    stage.remote.put_user(&person(0)).await?;
    let first = read(stage, &*stage.endpoint).await?;
    let other = stage.remote.other_filter().await?;
    let other = read(stage, &*other).await?;
    ensure(first.identity == other.identity, "the same identity", || other.identity.clone())?;
    ensure(other.may_hide_more_than(&first), "an unequal coverage", || format!("{other:?}"))
}
