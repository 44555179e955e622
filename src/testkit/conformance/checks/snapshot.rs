//! What a full listing of a healthy directory shows. It knows no failure.

use super::super::remote::Place;
use super::super::report::{Verdict, ensure, failed, not_checked};
use super::super::stage::{Stage, key, person};
use crate::model::{ObjectKind, Patch, Scope, SourceId, Value, Via, names};
use crate::rules::diff;

/// Users in two places, groups, computers; on several pages.
pub(super) async fn lists_every_object(stage: &mut Stage) -> Verdict {
    let before = stage.list().await?;
    let people = stage.populate().await?;
    let listing = stage.list().await?;
    let mut wanted = people.keys();
    wanted.extend(before.keys());
    let listed = listing.keys();
    let missing: Vec<_> = wanted.difference(&listed).collect();
    ensure(missing.is_empty(), "every object", || format!("not listed: {missing:?}"))?;
    let strange: Vec<_> = listed.difference(&wanted).collect();
    ensure(strange.is_empty(), "no object but those that are there", || format!("listed: {strange:?}"))
}

/// Moved out, with others beside it.
pub(super) async fn leaves_out_what_is_out_of_scope(stage: &mut Stage) -> Verdict {
    let people = stage.populate().await?;
    stage.remote.move_out_of_scope(&people.users[0]).await?;
    let listing = stage.list().await?;
    ensure(!listing.objects.contains_key(&key(ObjectKind::User, &people.users[0])), "not listed", || "listed".into())?;
    ensure(listing.objects.contains_key(&key(ObjectKind::User, &people.users[1])), "its neighbour is listed", || {
        "nobody".into()
    })
}

/// A group without any, small ones, one that holds a group, one of everybody, and somebody who is not listed.
pub(super) async fn lists_every_member(stage: &mut Stage) -> Verdict {
    let people = stage.populate().await?;
    people.large()?;
    // Declined by remotes where nobody can leave the scope.
    let _ = stage.remote.move_out_of_scope(&people.users[0]).await;
    let listing = stage.list().await?;
    for (group, members) in &people.groups {
        let listed = listing.members.of(group.clone());
        ensure(listed == *members, format!("all {} members of {group}, and nobody else", members.len()), || {
            let missing = members.difference(&listed).count();
            format!("{} members, {missing} missing, {} not theirs", listed.len(), listed.difference(members).count())
        })?;
    }
    Ok(())
}

/// Named by the user.
pub(super) async fn names_primary_groups(stage: &mut Stage) -> Verdict {
    let user = stage.remote.put_user(&person(0)).await?;
    let group = stage.remote.put_group("Primary").await?;
    stage.remote.set_primary_group(&user, &group).await?;
    let listing = stage.list().await?;
    let Some(patch) = listing.objects.get(&key(ObjectKind::User, &user)) else {
        return failed("the user is listed", "it is not");
    };
    ensure(patch.primary_group == Some(Some(group.clone())), format!("its primary group {group}"), || {
        format!("{:?}", patch.primary_group)
    })
}

/// Each kind of change on a user of its own.
pub(super) async fn keeps_ids(stage: &mut Stage) -> Verdict {
    let mut users = Vec::new();
    for number in 0..3 {
        users.push(stage.remote.put_user(&person(number)).await?);
    }
    let before = stage.list().await?.keys();
    if before.iter().any(|key| key.id.is_weak()) {
        return not_checked("the connector marks its ids as weak: the engine counts on nothing from them");
    }
    let changed = [
        stage.remote.rename(&users[0], "Renamed").await,
        stage.remote.set_mail(&users[1], Some("elsewhere@corp.example")).await,
        stage.remote.move_to(&users[2], Place::Second).await,
    ];
    if let Some(Err(declined)) = changed.iter().find(|_| changed.iter().all(Result::is_err)) {
        return not_checked(declined.to_string());
    }
    let after = stage.list().await?.keys();
    ensure(before == after, "the same ids", || {
        let (gone, new): (Vec<_>, Vec<_>) = (before.difference(&after).collect(), after.difference(&before).collect());
        format!("gone: {gone:?}; new: {new:?}")
    })
}

fn listed<'a>(listing: &'a super::super::reading::Listing, user: &SourceId) -> Verdict<&'a Patch> {
    match listing.objects.get(&key(ObjectKind::User, user)) {
        Some(patch) => Ok(patch),
        None => failed("the user is listed", "it is not"),
    }
}

/// A user without mail, beside one that has it.
pub(super) async fn tells_no_value_as_empty(stage: &mut Stage) -> Verdict {
    let with = stage.remote.put_user(&person(0)).await?;
    let without = stage.remote.put_user(&super::super::NewUser { mail: None, ..person(1) }).await?;
    let listing = stage.list().await?;
    let mail = |user: &SourceId| -> Verdict<Option<Value>> {
        Ok(listed(&listing, user)?.attributes.get(&names::PRIMARY_EMAIL).cloned())
    };
    let expected = person(0).mail.map(Value::from);
    let seen = mail(&with)?;
    if seen.is_none() {
        return not_checked("the connector does not read `primary_email`");
    }
    ensure(seen == expected, format!("the address {expected:?}"), || format!("{seen:?}"))?;
    let seen = mail(&without)?;
    ensure(seen == Some(Value::Empty), "an address that is known to be empty", || format!("{seen:?}"))
}

/// An attribute that turns unreadable.
pub(super) async fn leaves_out_what_was_not_read(stage: &mut Stage) -> Verdict {
    let user = stage.remote.put_user(&person(0)).await?;
    let before = stage.list().await?;
    let name = stage.remote.deny_attribute().await?;
    let known = listed(&before, &user)?.attributes.get(&name).cloned();
    ensure(known.is_some(), format!("`{name}` while it can be read"), || "unknown".into())?;
    let after = stage.list().await?;
    let seen = listed(&after, &user)?.attributes.get(&name).cloned();
    ensure(seen.is_none(), format!("no word about `{name}`"), || format!("{seen:?}"))
}

/// One record among others.
pub(super) async fn sets_aside_what_it_cannot_understand(stage: &mut Stage) -> Verdict {
    let people = stage.populate().await?;
    let id = stage.remote.put_unintelligible().await?;
    let listing = stage.list().await?;
    let set_aside = listing.quarantined.iter().find(|record| record.kind == ObjectKind::User && record.id == id);
    match set_aside {
        Some(record) => ensure(!record.reason.is_empty(), "a reason", || "none".into())?,
        None => {
            return failed(format!("a quarantined user with id {id:?}"), format!("{:?}", listing.quarantined));
        }
    }
    let missing = people.keys().difference(&listing.keys()).count();
    ensure(missing == 0, "everything else", || format!("{missing} objects are missing"))
}

/// Users with and without a mail address, groups, computers.
pub(super) async fn fits_the_shapes(stage: &mut Stage) -> Verdict {
    stage.populate().await?;
    stage.remote.put_user(&super::super::NewUser { mail: None, ..person(900) }).await?;
    let listing = stage.list().await?;
    for (object, patch) in listing.objects.iter() {
        let misfit = diff::misfit(object.kind, &patch.attributes);
        ensure(misfit.is_none(), format!("attributes of {object:?} that fit"), || {
            format!("{}: the engine sets the whole record aside", misfit.unwrap_or_default())
        })?;
    }
    Ok(())
}

/// Every kind and every group.
pub(super) async fn closes_each_scope_once(stage: &mut Stage) -> Verdict {
    let people = stage.populate().await?;
    let listing = stage.list().await?;
    ensure(listing.breaches.is_empty(), "each scope closed once, with nothing behind it", || {
        listing.breaches.join("; ")
    })?;
    let mut wanted = vec![Scope::Users];
    if !people.groups.is_empty() {
        wanted.push(Scope::Groups);
    }
    if !people.computers.is_empty() {
        wanted.push(Scope::Computers);
    }
    if people.large.is_some() {
        wanted.extend(people.groups.keys().map(|group| Scope::Members(group.clone(), Via::Explicit)));
    }
    wanted.retain(|scope| !listing.has_closed(scope));
    ensure(wanted.is_empty(), "every scope that was listed to its end is closed", || {
        let open: Vec<_> = wanted.iter().map(ToString::to_string).collect();
        format!("left open: {}; told as unreadable: {:?}", open.join(", "), listing.unreadable)
    })
}
