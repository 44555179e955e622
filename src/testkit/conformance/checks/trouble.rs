//! Listings that break: at every call, by rights, by changes beside them. It knows no delta.

use super::super::reading::{Ending, Listing};
use super::super::report::{Verdict, ensure, failed};
use super::super::stage::{Population, Stage, key};
use super::coverage::lost;
use crate::model::{ObjectKind, Scope, Via};

/// The last call that is made to fail: a listing of a few pages has no more.
const CALLS: u32 = 60;

/// What is listed.
#[derive(Clone, Copy)]
enum What {
    Everything,
    Ids,
}

/// Lists once for every call that can fail, with an outage from that call on.
async fn broken(stage: &mut Stage, what: What) -> Verdict<(Population, Vec<(u32, Listing)>)> {
    let people = stage.populate().await?;
    let mut listings = Vec::new();
    for nth in 1..=CALLS {
        stage.renew();
        if !stage.outage(nth).await? {
            break;
        }
        let listing = match what {
            What::Everything => stage.try_list(None).await?,
            What::Ids => stage.try_list_ids().await?,
        };
        stage.remote.heal().await?;
        let whole = matches!(listing.ending, Ending::Well(_)) && people.keys().is_subset(&listing.keys());
        listings.push((nth, listing));
        if whole {
            return Ok((people, listings));
        }
    }
    Ok((people, listings))
}

fn every_end_is_whole(people: &Population, listings: &[(u32, Listing)]) -> Verdict {
    let whole = |listing: &Listing| matches!(listing.ending, Ending::Well(_));
    ensure(!listings.iter().all(|(_, listing)| whole(listing)), "a listing that an outage breaks", || {
        "an outage from the first call on, and the listing came to its end".into()
    })?;
    for (nth, listing) in listings {
        let missing = people.keys().difference(&listing.keys()).count();
        if matches!(listing.ending, Ending::Well(_)) && missing > 0 {
            return failed(
                format!("an error, as nobody answered from call {nth} on"),
                format!("an end after {} pages, with {missing} objects missing", listing.pages.len()),
            );
        }
    }
    Ok(())
}

/// Whatever came before the error.
pub(super) async fn nothing_is_closed_after_an_error(stage: &mut Stage) -> Verdict {
    let (people, listings) = broken(stage, What::Everything).await?;
    for (nth, listing) in &listings {
        if let Some(lost) = lost(listing, &people.keys(), &people.groups) {
            return failed(format!("nobody answered from call {nth} on: only what was read whole is closed"), lost);
        }
    }
    Ok(())
}

/// At every call.
pub(super) async fn a_broken_listing_is_an_error(stage: &mut Stage) -> Verdict {
    let (people, listings) = broken(stage, What::Everything).await?;
    every_end_is_whole(&people, &listings)
}

/// At every call.
pub(super) async fn a_broken_id_listing_is_an_error(stage: &mut Stage) -> Verdict {
    let (people, listings) = broken(stage, What::Ids).await?;
    every_end_is_whole(&people, &listings)
}

/// The members of one group among others.
pub(super) async fn what_may_not_be_read_is_told(stage: &mut Stage) -> Verdict {
    let people = stage.populate().await?;
    let group = people.large()?;
    stage.remote.deny_members(&group).await?;
    let listing = stage.try_list(None).await?;
    if matches!(listing.ending, Ending::Badly(_)) {
        return failed("the rest of the listing goes on", format!("{:?}", listing.ending));
    }
    let scope = Scope::Members(group, Via::Explicit);
    ensure(!listing.has_closed(&scope), format!("{scope} stay open"), || "closed".into())?;
    let told = listing.unreadable.iter().find(|unreadable| unreadable.scope == scope);
    ensure(told.is_some_and(|told| !told.reason.is_empty()), "told as unreadable, with a reason", || {
        format!("{:?}", listing.unreadable)
    })
}

/// Half of the users go, new ones come, between two pages.
pub(super) async fn changes_beside_lose_nothing(stage: &mut Stage) -> Verdict {
    let people = stage.populate().await?;
    let mut pager = stage.begin(None).await?;
    let mut listing = Listing::default();
    let (touched, left): (Vec<_>, Vec<_>) = people.users.iter().enumerate().partition(|(number, _)| number % 3 == 0);
    for (round, (number, user)) in touched.iter().enumerate() {
        listing.read(stage, &mut *pager, round + 1).await?;
        if !matches!(listing.ending, Ending::Open) {
            break;
        }
        match stage.remote.delete(user).await {
            Ok(()) => {}
            Err(_) => stage.remote.rename(user, "Beside").await?,
        }
        stage.remote.put_user(&super::super::stage::person(1_000 + number)).await?;
    }
    if matches!(listing.ending, Ending::Open) {
        listing.read(stage, &mut *pager, usize::MAX).await?;
    }
    let listing = listing.ended()?;
    let missing: Vec<_> =
        left.iter().filter(|(_, user)| !listing.objects.contains_key(&key(ObjectKind::User, user))).collect();
    ensure(missing.is_empty(), "everybody whom nobody touched", || format!("{} are missing", missing.len()))
}
