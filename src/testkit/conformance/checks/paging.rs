//! How pages come: empty, repeated, after an error; and listings of ids.

use super::super::reading::{Ending, Listing};
use super::super::report::{Finding, Verdict, ensure, failed};
use super::super::stage::Stage;
use crate::model::Scope;

/// Empty pages, between those with something on them.
pub(super) async fn goes_on_at_empty_pages(stage: &mut Stage) -> Verdict {
    let people = stage.populate().await?;
    stage.remote.give_empty_pages().await?;
    let listing = stage.list().await?;
    let missing = people.keys().difference(&listing.keys()).count();
    ensure(missing == 0, "every object", || format!("{missing} objects are missing"))
}

/// The same page without end.
pub(super) async fn repeated_pages_are_an_error(stage: &mut Stage) -> Verdict {
    stage.populate().await?;
    stage.remote.repeat_pages().await?;
    match stage.try_list(None).await {
        Ok(Listing { ending: Ending::Badly(_), .. }) => Ok(()),
        Ok(listing) => failed("an error", format!("{:?} after {} pages", listing.ending, listing.pages.len())),
        Err(Finding::Failed { seen, .. }) => failed("an error", seen),
        Err(other) => Err(other),
    }
}

/// An outage that passes.
pub(super) async fn loses_nothing_after_an_error(stage: &mut Stage) -> Verdict {
    let people = stage.populate().await?;
    for nth in 1..=30 {
        stage.renew();
        if !stage.outage(nth).await? {
            break;
        }
        let begun = stage.wait("snapshot", stage.endpoint.snapshot(&stage.cx, None)).await?;
        let mut listing = Listing::default();
        if let Ok(mut pager) = begun {
            listing.read(stage, &mut *pager, usize::MAX).await?;
            stage.remote.heal().await?;
            if matches!(listing.ending, Ending::Well(_)) {
                return Ok(());
            }
            listing.ending = Ending::Open;
            listing.read(stage, &mut *pager, usize::MAX).await?;
            let missing = people.keys().difference(&listing.keys()).count();
            ensure(!matches!(listing.ending, Ending::Well(_)) || missing == 0, "an error, or all the rest", || {
                format!("an end behind the error of call {nth}, with {missing} objects missing")
            })?;
        }
        stage.remote.heal().await?;
    }
    Ok(())
}

/// Beside a snapshot of the same moment.
pub(super) async fn id_listing_shows_what_a_snapshot_shows(stage: &mut Stage) -> Verdict {
    let people = stage.populate().await?;
    let _ = stage.remote.move_out_of_scope(&people.users[0]).await;
    let whole = stage.list().await?;
    let ids = stage.try_list_ids().await?.ended()?;
    ensure(whole.keys() == ids.keys(), "the same objects", || {
        let (missing, more) = (whole.keys(), ids.keys());
        format!("{} missing, {} more", missing.difference(&more).count(), more.difference(&missing).count())
    })?;
    for kind in [Scope::Users, Scope::Groups, Scope::Computers] {
        ensure(whole.has_closed(&kind) == ids.has_closed(&kind), format!("{kind} closed as by a snapshot"), || {
            format!("closed: {}", ids.has_closed(&kind))
        })?;
    }
    ensure(ids.breaches.is_empty(), "nothing behind a close", || ids.breaches.join("; "))
}

/// Nothing but ids.
pub(super) async fn id_listing_has_no_bodies(stage: &mut Stage) -> Verdict {
    stage.populate().await?;
    let ids = stage.try_list_ids().await?.ended()?;
    let body = ids.objects.values().find(|patch| !patch.attributes.is_empty());
    ensure(body.is_none(), "no attributes", || format!("{body:?}"))?;
    let members: usize = ids.members.values().map(std::collections::BTreeMap::len).sum();
    ensure(members == 0, "no memberships", || format!("{members}"))
}
