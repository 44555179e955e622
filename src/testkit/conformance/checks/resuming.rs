//! Going on: behind every checkpoint, and by the cursor at the end. It knows nothing of what a listing shows.

use std::sync::Arc;

use super::super::reading::{Listing, Members};
use super::super::report::{Verdict, ensure, failed, not_checked};
use super::super::stage::{Stage, person};
use crate::endpoint::{Checkpoint, SnapshotPager};
use crate::error::{ErrorKind, Result};
use crate::model::{ObjectKind, Scope};

/// From each checkpoint of one listing, by a process that has just started.
pub(super) async fn goes_on_behind_every_checkpoint(stage: &mut Stage) -> Verdict {
    stage.populate().await?;
    let whole = stage.list().await?;
    if whole.checkpoints.is_empty() {
        return not_checked("the listing has no checkpoints: an interruption repeats all of it");
    }
    for (pages, _) in whole.marks() {
        stage.renew();
        let mut before = Listing::default();
        let mut pager = stage.begin(None).await?;
        before.read(stage, &mut *pager, pages).await?;
        drop(pager);
        // Where several lists are read side by side, each listing has its own order of pages, and its own checkpoints.
        let Some((_, checkpoint)) = before.marks().find(|(at, _)| *at == pages) else { continue };
        stage.renew();
        let rest = stage.try_list(Some(checkpoint)).await?.ended()?;
        let twice: Vec<_> = before.keys().intersection(&rest.keys()).cloned().collect();
        let both: std::collections::BTreeSet<_> = before.keys().union(&rest.keys()).cloned().collect();
        let missing: Vec<_> = whole.keys().difference(&both).cloned().collect();
        ensure(missing.is_empty() && twice.is_empty(), format!("behind page {pages} exactly the rest"), || {
            format!("{} objects in neither part, {} in both: {missing:?} {twice:?}", missing.len(), twice.len())
        })?;
        let mut members = before.members();
        for (group, more) in rest.members() {
            members.entry(group).or_default().extend(more);
        }
        members.retain(|_, members| !members.is_empty());
        let mut all = whole.members();
        all.retain(|_, members| !members.is_empty());
        ensure(members == all, format!("the memberships around page {pages} add up"), || {
            format!("{} in both parts, {} in one listing", count(&members), count(&all))
        })?;
        let closed = |scope: &Scope| before.has_closed(scope) || rest.has_closed(scope);
        let open: Vec<_> = whole.closed.iter().filter(|scope| !closed(scope)).map(ToString::to_string).collect();
        ensure(open.is_empty(), format!("everything is closed before or behind page {pages}"), || open.join(", "))?;
    }
    Ok(())
}

fn count(members: &Members) -> usize {
    members.values().map(std::collections::BTreeSet::len).sum()
}

/// Another version, cut off, garbage, nothing, and another directory's.
pub(super) async fn refuses_an_unusable_checkpoint(stage: &mut Stage) -> Verdict {
    stage.populate().await?;
    let listing = stage.list().await?;
    let Some(good) = listing.checkpoints.first() else {
        return not_checked("the listing has no checkpoints");
    };
    let (version, bytes) = (good.version(), good.bytes());
    let bad = [
        ("of another version", Checkpoint::new(version.wrapping_add(1_000), bytes)),
        ("of garbage", Checkpoint::new(version, [0xa5, 0x00, 0xff, 0x5a, 0x13].as_slice())),
        ("of nothing", Checkpoint::new(version, Vec::new())),
    ];
    let (endpoint, cx) = (Arc::clone(&stage.endpoint), stage.cx.clone());
    for (which, checkpoint) in bad {
        refuses(stage, which, endpoint.snapshot(&cx, Some(&checkpoint))).await?;
    }
    // Over a remote that has no second directory there is none to come from.
    if let Ok(other) = stage.remote.other_directory().await {
        refuses(stage, "of another directory", other.snapshot(&cx, Some(good))).await?;
    }
    Ok(())
}

async fn refuses(
    stage: &Stage,
    which: &str,
    begun: impl Future<Output = Result<Box<dyn SnapshotPager>>> + Send,
) -> Verdict {
    let expected = format!("a checkpoint {which} is a conflict");
    match stage.wait("snapshot", begun).await? {
        Err(error) if *error.kind() == ErrorKind::Conflict => Ok(()),
        Err(error) => failed(expected, format!("{error:?}")),
        Ok(_) => failed(expected, "a listing begins"),
    }
}

/// A change between the first page and the end.
pub(super) async fn takes_the_cursor_before_the_data(stage: &mut Stage) -> Verdict {
    if stage.endpoint.as_delta().is_none() {
        return not_checked("the endpoint has no deltas");
    }
    let people = stage.populate().await?;
    let pages = stage.list().await?.pages.len();
    for at in 1..=pages {
        let mut pager = stage.begin(None).await?;
        let mut listing = Listing::default();
        listing.read(stage, &mut *pager, at).await?;
        let late = stage.remote.put_user(&person(2_000 + at)).await?;
        let renamed = stage.remote.rename(&people.users[0], &format!("During{at}")).await.is_ok();
        listing.read(stage, &mut *pager, usize::MAX).await?;
        let listing = listing.ended()?;
        let Some(cursor) = listing.cursor().cloned() else {
            return failed("the end tells a cursor", "none");
        };
        let (changes, _) = stage.changes(&cursor).await?;
        for (user, changed) in [(&late, true), (&people.users[0], renamed)] {
            let key = super::super::stage::key(ObjectKind::User, user);
            ensure(!changed || changes.patches.contains_key(&key), format!("what changed behind page {at}"), || {
                format!("{key:?} is not among {} changes", changes.patches.len())
            })?;
        }
    }
    Ok(())
}

/// A change between the first part and the rest, on what came before the checkpoint.
pub(super) async fn tells_the_first_cursor(stage: &mut Stage) -> Verdict {
    if stage.endpoint.as_delta().is_none() {
        return not_checked("the endpoint has no deltas");
    }
    stage.populate().await?;
    let pages: Vec<_> = stage.list().await?.marks().map(|(pages, _)| pages).collect();
    if pages.is_empty() {
        return not_checked("the listing has no checkpoints: an interruption repeats all of it");
    }
    for at in pages {
        stage.renew();
        let mut before = Listing::default();
        let mut pager = stage.begin(None).await?;
        before.read(stage, &mut *pager, at).await?;
        drop(pager);
        let Some(checkpoint) = before.checkpoints.last().cloned() else { continue };
        let late = stage.remote.put_user(&person(5_000 + at)).await?;
        let mut changed = vec![late];
        let listed = before.keys().into_iter().find(|key| key.kind == ObjectKind::User);
        if let Some(listed) = listed
            && stage.remote.rename(&listed.id, &format!("Between{at}")).await.is_ok()
        {
            changed.push(listed.id);
        }
        stage.renew();
        let rest = stage.try_list(Some(&checkpoint)).await?.ended()?;
        let Some(cursor) = rest.cursor().cloned() else {
            return failed("the end of the resumed listing tells a cursor", "none");
        };
        let (changes, _) = stage.changes(&cursor).await?;
        for user in changed {
            let key = super::super::stage::key(ObjectKind::User, &user);
            ensure(
                changes.patches.contains_key(&key),
                format!("what changed before the listing went on behind page {at} comes by its cursor"),
                || format!("{key:?} is not among {} changes", changes.patches.len()),
            )?;
        }
    }
    Ok(())
}
