//! What changed since a cursor: all of it, nothing that did not, and nothing that only a full listing can tell.

use std::collections::BTreeSet;

use super::super::reading::{Changes, Listing, Members, Word};
use super::super::remote::Place;
use super::super::report::{Finding, Verdict, ensure, failed, not_checked};
use super::super::stage::{Population, Stage, key, person};
use crate::endpoint::Cursor;
use crate::model::{ObjectKind, Scope, SourceId};

pub(super) use super::agreement::agrees_with_a_snapshot;

/// People, and a cursor behind them.
pub(super) async fn begin(stage: &mut Stage) -> Verdict<(Population, Listing, Cursor)> {
    if stage.endpoint.as_delta().is_none() {
        return not_checked("the endpoint has no deltas");
    }
    let people = stage.populate().await?;
    let listing = stage.list().await?;
    let Some(cursor) = listing.cursor().cloned() else { return failed("the end of a listing tells a cursor", "none") };
    Ok((people, listing, cursor))
}

pub(super) fn tells_removals(stage: &Stage, coverage: &crate::endpoint::CoverageInfo) -> bool {
    stage.endpoint.as_delta().is_some_and(|delta| delta.tells_removals(coverage))
}

async fn expired(stage: &Stage, which: &str, cursor: &Cursor) -> Verdict {
    let changes = stage.try_changes(cursor).await?;
    ensure(changes.expired, format!("a cursor {which} is expired"), || match (&changes.error, &changes.caught_up) {
        (Some(error), _) => format!("{error:?}"),
        _ => format!("caught up with {} objects", changes.patches.len()),
    })
}

/// Another version, garbage, nothing.
pub(super) async fn takes_garbage_as_expired(stage: &mut Stage) -> Verdict {
    let (_, _, good) = begin(stage).await?;
    let (version, bytes) = (good.version(), good.bytes());
    expired(stage, "of another version", &Cursor::new(version.wrapping_add(1_000), bytes)).await?;
    expired(stage, "of garbage", &Cursor::new(version, [0xa5, 0x00, 0xff, 0x5a, 0x13].as_slice())).await?;
    expired(stage, "of nothing", &Cursor::new(version, Vec::new())).await
}

/// Given by another directory of the same kind and name.
pub(super) async fn takes_a_foreign_cursor_as_expired(stage: &mut Stage) -> Verdict {
    begin(stage).await?;
    let other = stage.remote.other_directory().await?;
    let mine = std::mem::replace(&mut stage.endpoint, other);
    let listing = stage.list().await?;
    stage.endpoint = mine;
    let Some(foreign) = listing.cursor() else { return failed("the end of a listing tells a cursor", "none") };
    expired(stage, "of another directory", foreign).await
}

/// Forgotten by the directory.
pub(super) async fn takes_an_old_cursor_as_expired(stage: &mut Stage) -> Verdict {
    let (_, _, old) = begin(stage).await?;
    stage.remote.expire_cursors().await?;
    // As a run begins: what was known of the server before may be forgotten.
    stage.renew();
    stage.told("coverage", stage.endpoint.coverage(&stage.cx)).await?;
    expired(stage, "that the directory has forgotten", &old).await
}

/// Added, renamed, re-addressed, restored: by a process that has just started.
pub(super) async fn tells_what_is_new_or_changed(stage: &mut Stage) -> Verdict {
    let (people, _, cursor) = begin(stage).await?;
    let new = stage.remote.put_user(&person(900)).await?;
    let mut changed = vec![("a new user", new)];
    if stage.remote.rename(&people.users[1], "Renamed").await.is_ok() {
        changed.push(("a renamed user", people.users[1].clone()));
    }
    if stage.remote.set_mail(&people.users[2], None).await.is_ok() {
        changed.push(("a user without an address", people.users[2].clone()));
    }
    stage.renew();
    let (changes, cursor) = stage.changes(&cursor).await?;
    for (what, id) in changed {
        ensure(changes.patches.contains_key(&key(ObjectKind::User, &id)), format!("{what} comes"), || {
            format!("{id} is not among {} changes", changes.patches.len())
        })?;
    }
    let listing = stage.list().await?;
    for (object, patch) in &changes.patches {
        let now = listing.objects.get(object).map(|now| &now.attributes);
        let differs = patch.attributes.iter().find(|(name, value)| now.and_then(|now| now.get(name)) != Some(*value));
        ensure(differs.is_none(), format!("{object:?} as a snapshot shows it"), || format!("{differs:?}"))?;
    }
    if stage.remote.delete(&people.users[4]).await.is_ok() {
        let (_, cursor) = stage.changes(&cursor).await?;
        if stage.remote.restore(&people.users[4]).await.is_ok() {
            let (changes, _) = stage.changes(&cursor).await?;
            let back = changes.patches.contains_key(&key(ObjectKind::User, &people.users[4]));
            ensure(back, "a restored user comes", || format!("{:?}", changes.patches.keys()))?;
        }
    }
    Ok(())
}

/// Somebody comes, somebody goes, a group is emptied.
pub(super) async fn tells_memberships(stage: &mut Stage) -> Verdict {
    let (people, listing, cursor) = begin(stage).await?;
    let large = people.large()?;
    let new = stage.remote.put_user(&person(900)).await?;
    let (_, cursor) = stage.changes(&cursor).await?;
    stage.remote.add_members(&large, std::slice::from_ref(&new)).await?;
    stage.remote.remove_members(&large, &people.users[..1]).await?;
    let small = people
        .groups
        .iter()
        .find(|(_, members)| members.len() == 2 && !members.iter().any(|member| people.groups.contains_key(member)));
    if let Some((small, members)) = small {
        stage.remote.remove_members(small, &members.iter().cloned().collect::<Vec<_>>()).await?;
    }
    let (changes, _) = stage.changes(&cursor).await?;
    let mut members = listing.members();
    apply_members(&mut members, &changes);
    let expect = stage.list().await?.members();
    for group in people.groups.keys() {
        let (seen, expected) = (members.get(group), expect.get(group));
        ensure(
            seen.cloned().unwrap_or_default() == expected.cloned().unwrap_or_default(),
            format!("{group} as it is now"),
            || format!("{} members by the delta, {} by a snapshot", count(seen), count(expected)),
        )?;
    }
    Ok(())
}

fn count(members: Option<&BTreeSet<SourceId>>) -> usize {
    members.map_or(0, BTreeSet::len)
}

pub(super) fn apply_members(members: &mut Members, changes: &Changes) {
    for group in changes.added.keys().chain(changes.removed.keys()).cloned().collect::<BTreeSet<_>>() {
        if changes.whole(&group) {
            members.insert(group, BTreeSet::new());
        }
    }
    for scope in &changes.closed {
        if let Scope::Members(group, _) = scope {
            members.insert(group.clone(), BTreeSet::new());
        }
    }
    for (group, gone) in &changes.removed {
        members.entry(group.clone()).or_default().retain(|member| !gone.contains(member));
    }
    for (group, added) in &changes.added {
        members.entry(group.clone()).or_default().extend(added.iter().cloned());
    }
}

/// A user, a group, a computer.
pub(super) async fn tells_what_is_gone(stage: &mut Stage) -> Verdict {
    let (people, _, cursor) = begin(stage).await?;
    let coverage = stage.told("coverage", stage.endpoint.coverage(&stage.cx)).await?;
    if !tells_removals(stage, &coverage) {
        return not_checked("the endpoint says that its deltas do not tell what is gone");
    }
    let objects = [people.users.first(), people.groups.keys().next(), people.computers.first()];
    for id in objects.into_iter().flatten() {
        stage.remote.delete(id).await?;
    }
    let (changes, _) = stage.changes(&cursor).await?;
    for id in objects.into_iter().flatten() {
        ensure(changes.has_tombstone(id), format!("a tombstone of {id}"), || format!("{:?}", changes.tombstones))?;
    }
    let alive = people.users[1..].iter().find(|id| changes.has_tombstone(id));
    ensure(alive.is_none(), "no tombstone of anybody else", || format!("{alive:?}"))
}

/// Moved by the directory itself.
pub(super) async fn tells_moved_from_gone(stage: &mut Stage) -> Verdict {
    let (people, _, cursor) = begin(stage).await?;
    stage.remote.move_out_of_scope(&people.users[0]).await?;
    let (changes, _) = stage.changes(&cursor).await?;
    ensure(!changes.has_tombstone(&people.users[0]), "no tombstone", || format!("{:?}", changes.tombstones))?;
    let patched = changes.patches.contains_key(&key(ObjectKind::User, &people.users[0]));
    ensure(!patched, "not as one in scope", || "a patch".into())?;
    let strangers = changes.out_of_scope.iter().find(|object| people.users[1..].contains(&object.id));
    ensure(strangers.is_none(), "nobody else out of scope", || format!("{strangers:?}"))
}

/// Changes before the first page, and behind each.
pub(super) async fn loses_nothing_while_it_is_read(stage: &mut Stage) -> Verdict {
    let (people, _, mut cursor) = begin(stage).await?;
    for at in 0..6 {
        for user in &people.users {
            if stage.remote.rename(user, &format!("Round{at}")).await.is_err() {
                break;
            }
        }
        stage.remote.put_user(&person(900 + at)).await?;
        let (late, next) = changes_beside(stage, &cursor, at).await?;
        let key = key(ObjectKind::User, &late);
        let (behind, caught_up) = stage.changes(&next).await?;
        let told = behind.patches.contains_key(&key);
        // Those that came with the first part are allowed to be silent in the second.
        if !told {
            return failed(
                format!("who was added behind page {at} comes in this delta or the next"),
                format!("{late} came in neither"),
            );
        }
        cursor = caught_up;
    }
    Ok(())
}

/// Reads a delta, during which a user is added. Returns him, unless he came in it, and the next cursor: then from a
/// time before him.
async fn changes_beside(stage: &mut Stage, since: &Cursor, at: usize) -> Verdict<(SourceId, Cursor)> {
    let endpoint = std::sync::Arc::clone(&stage.endpoint);
    let Some(delta) = endpoint.as_delta() else { return not_checked("the endpoint has no deltas") };
    let mut pager = stage.told("delta", delta.delta(&stage.cx, since)).await?;
    let mut changes = Changes::default();
    changes.read(stage, &mut *pager, at).await?;
    let late = stage.remote.put_user(&person(3_000 + at)).await?;
    if changes.caught_up.is_none() {
        changes.read(stage, &mut *pager, usize::MAX).await?;
    }
    let Some(next) = changes.caught_up else {
        return failed("the delta catches up", format!("{:?}, expired: {}", changes.error, changes.expired));
    };
    // Told already: then the cursor before him is as good.
    let told = changes.patches.contains_key(&key(ObjectKind::User, &late));
    Ok((late, if told { since.clone() } else { next }))
}

/// Gone and back, out and in, new and gone: between two deltas.
pub(super) async fn tells_the_last_word_last(stage: &mut Stage) -> Verdict {
    let (people, _, cursor) = begin(stage).await?;
    let coverage = stage.told("coverage", stage.endpoint.coverage(&stage.cx)).await?;
    let brief = stage.remote.put_user(&person(900)).await?;
    let deleted = stage.remote.delete(&brief).await;
    let mut back = Vec::new();
    if stage.remote.delete(&people.users[0]).await.is_ok() && stage.remote.restore(&people.users[0]).await.is_ok() {
        back.push(&people.users[0]);
    }
    if stage.remote.move_out_of_scope(&people.users[2]).await.is_ok()
        && stage.remote.move_to(&people.users[2], Place::First).await.is_ok()
    {
        back.push(&people.users[2]);
    }
    if let (Err(declined), true) = (&deleted, back.is_empty()) {
        return not_checked(declined.to_string());
    }
    let (changes, _) = stage.changes(&cursor).await?;
    let word = |id: &SourceId| changes.last_word.get(&key(ObjectKind::User, id)).copied();
    for id in back {
        ensure(
            matches!(word(id), None | Some(Word::There)),
            format!("the last word on {id} is that it is there"),
            || format!("{:?}", word(id)),
        )?;
    }
    let gone = deleted.is_ok() && tells_removals(stage, &coverage);
    ensure(!gone || word(&brief) != Some(Word::There), format!("the last word on {brief} is that it is gone"), || {
        format!("{:?}", word(&brief))
    })
}

/// A group that was not there, with members that were.
pub(super) async fn a_new_group_comes_whole(stage: &mut Stage) -> Verdict {
    let (people, _, cursor) = begin(stage).await?;
    let group = stage.remote.put_group("New").await?;
    stage.remote.add_members(&group, &people.users).await?;
    let (changes, _) = stage.changes(&cursor).await?;
    let came = changes.added.get(&group).map_or(0, BTreeSet::len);
    ensure(came == people.users.len() && changes.whole(&group), "all of its members, and their scope closed", || {
        format!("{came} of {} members, closed: {}", people.users.len(), changes.whole(&group))
    })
}

/// Many changes of every kind.
pub(super) async fn closes_no_kind(stage: &mut Stage) -> Verdict {
    let (people, listing, cursor) = begin(stage).await?;
    let new = stage.remote.put_user(&person(900)).await?;
    if let Some(large) = &people.large {
        stage.remote.add_members(large, std::slice::from_ref(&new)).await?;
    }
    let (changes, _) = stage.changes(&cursor).await?;
    let kind = changes.closed.iter().find(|scope| !matches!(scope, Scope::Members(..)));
    ensure(kind.is_none(), "no closed kind", || format!("{kind:?}"))?;
    for scope in &changes.closed {
        let Scope::Members(group, _) = scope else { continue };
        let before = listing.members.of(group.clone());
        let came = changes.added.get(group).cloned().unwrap_or_default();
        ensure(before.is_subset(&came), format!("{scope} are closed with all of them"), || {
            format!("{} of {} came", before.intersection(&came).count(), before.len())
        })?;
    }
    Ok(())
}

/// At every call of a delta.
pub(super) async fn a_broken_delta_is_an_error(stage: &mut Stage) -> Verdict {
    let (people, _, cursor) = begin(stage).await?;
    let mut changed = Vec::new();
    for user in &people.users {
        if stage.remote.rename(user, "Renamed").await.is_ok() {
            changed.push(user.clone());
        }
    }
    for number in 0..stage.remote.many() {
        changed.push(stage.remote.put_user(&person(4_000 + number)).await?);
    }
    for nth in 1..=60 {
        stage.renew();
        if !stage.outage(nth).await? {
            break;
        }
        let changes = stage.try_changes(&cursor).await?;
        stage.remote.heal().await?;
        ensure(!changes.expired, "an error: the cursor is good", || "the cursor is said to be expired".into())?;
        if changes.caught_up.is_some() {
            let missing = changed.iter().filter(|id| !changes.patches.contains_key(&key(ObjectKind::User, id))).count();
            return ensure(missing == 0 && nth > 1, format!("an error, as nobody answered from call {nth} on"), || {
                format!("caught up, with {missing} changes missing")
            });
        }
    }
    Ok(())
}

/// While nobody answers.
pub(super) async fn knows_without_the_network_how_fresh_it_is(stage: &mut Stage) -> Verdict {
    let (_, _, cursor) = begin(stage).await?;
    let told = |endpoint: &dyn crate::endpoint::Endpoint| endpoint.as_delta().map(|delta| delta.freshness(&cursor));
    let before = told(&*stage.endpoint);
    stage.remote.fail_from_call(1).await?;
    let after = told(&*stage.remote.endpoint());
    ensure(before == after, format!("{before:?}"), || format!("{after:?} while nobody answers"))
}

pub(super) async fn knows_without_the_network_what_it_tells(stage: &mut Stage) -> Verdict {
    begin(stage).await?;
    let coverage = stage.told("coverage", stage.endpoint.coverage(&stage.cx)).await?;
    let before = tells_removals(stage, &coverage);
    stage.remote.fail_from_call(1).await?;
    let new = stage.remote.endpoint();
    let after = new.as_delta().is_some_and(|delta| delta.tells_removals(&coverage));
    ensure(before == after, format!("{before}"), || format!("{after} while nobody answers"))
}

/// Behind a right that was withdrawn.
pub(super) async fn tells_removals_only_by_right(stage: &mut Stage) -> Verdict {
    let (people, _, cursor) = begin(stage).await?;
    stage.remote.withdraw_right().await?;
    stage.renew();
    let coverage = stage.told("coverage", stage.endpoint.coverage(&stage.cx)).await?;
    if !tells_removals(stage, &coverage) {
        return Ok(());
    }
    // Another right may have gone: what counts is whether the tombstone still comes.
    stage.remote.delete(&people.users[0]).await?;
    let changes = stage.try_changes(&cursor).await?;
    let told = changes.has_tombstone(&people.users[0]) || changes.expired || changes.error.is_some();
    ensure(told, "`false`, or a tombstone of who was deleted behind the right's withdrawal", || {
        "`true`, and the delta says nothing of who is gone: nobody would look for it".into()
    })
}

/// One that is new, beside others that changed.
pub(super) async fn sets_aside_what_it_cannot_understand(stage: &mut Stage) -> Verdict {
    let (_, _, cursor) = begin(stage).await?;
    let id = stage.remote.put_unintelligible().await?;
    let new = stage.remote.put_user(&person(900)).await?;
    let (changes, _) = stage.changes(&cursor).await?;
    let set_aside = changes.quarantined.iter().find(|record| record.kind == ObjectKind::User && record.id == id);
    match set_aside {
        Some(record) => ensure(!record.reason.is_empty(), "a reason", || "none".into())?,
        None => return failed(format!("a quarantined user with id {id:?}"), format!("{:?}", changes.quarantined)),
    }
    ensure(changes.patches.contains_key(&key(ObjectKind::User, &new)), "everything else", || format!("no {new}"))
}

/// The same page without end.
pub(super) async fn repeated_pages_are_an_error(stage: &mut Stage) -> Verdict {
    let (_, _, cursor) = begin(stage).await?;
    for number in 0..stage.remote.many() {
        stage.remote.put_user(&person(900 + number)).await?;
    }
    stage.remote.repeat_changes().await?;
    match stage.try_changes(&cursor).await {
        Ok(Changes { error: Some(_), .. }) => Ok(()),
        Ok(changes) => failed("an error", format!("caught up with {} objects", changes.patches.len())),
        Err(Finding::Failed { seen, .. }) => failed("an error", seen),
        Err(other) => Err(other),
    }
}
