//! The proof behind every removal: look-ups of what is there, elsewhere, gone, hidden, or not to be told.

use super::super::report::{Verdict, ensure, failed, not_checked};
use super::super::stage::{Stage, group, key, person, user};
use crate::endpoint::{Evidence, ObjectRef, Presence};
use crate::model::{ObjectKind, SourceId};

async fn ask(stage: &Stage, asked: &[ObjectRef]) -> Verdict<Vec<Presence>> {
    let answers = stage.told("lookup", stage.endpoint.lookup(&stage.cx, asked)).await?;
    ensure(answers.len() == asked.len(), format!("{} answers", asked.len()), || answers.len().to_string())?;
    Ok(answers)
}

async fn one(stage: &Stage, id: &SourceId) -> Verdict<Presence> {
    let mut answers = ask(stage, &[user(id)]).await?;
    answers.pop().map_or_else(|| failed("an answer", "none"), Ok)
}

fn said(answer: &Presence) -> String {
    match answer {
        Presence::Present(patch) => format!("present, {}", if patch.is_some() { "with its patch" } else { "no patch" }),
        other => format!("{other:?}"),
    }
}

/// Everybody backwards, with one who is gone and one who is elsewhere among them; and some of them twice.
pub(super) async fn answers_in_the_order_asked(stage: &mut Stage) -> Verdict {
    let people = stage.populate().await?;
    let deleted = stage.remote.delete(&people.users[3]).await;
    let moved = stage.remote.move_out_of_scope(&people.users[5]).await;
    if let (Err(declined), Err(_)) = (deleted, moved) {
        return not_checked(declined.to_string());
    }
    let mut asked: Vec<_> = people.users.iter().rev().map(user).collect();
    asked.extend(people.groups.keys().map(group));
    asked.push(asked[0].clone());
    let together = ask(stage, &asked).await?;
    let kind_of = |answer: &Presence| std::mem::discriminant(answer);
    for (asked, answer) in asked.iter().zip(&together) {
        let alone = ask(stage, std::slice::from_ref(asked)).await?;
        ensure(
            kind_of(answer) == kind_of(&alone[0]),
            format!("for {:?} the answer that it has alone", asked.key),
            || format!("{}, and alone {}", said(answer), said(&alone[0])),
        )?;
        if let Presence::Present(Some(patch)) = answer {
            ensure(patch.object == asked.key, format!("the patch of {:?}", asked.key), || {
                format!("{:?}", patch.object)
            })?;
        }
    }
    Ok(())
}

/// Every object of a listing, and its patch.
pub(super) async fn finds_what_is_there(stage: &mut Stage) -> Verdict {
    let people = stage.populate().await?;
    let listing = stage.list().await?;
    let asked: Vec<_> = people.keys().into_iter().map(|key| ObjectRef { key, container: None }).collect();
    for (asked, answer) in asked.iter().zip(ask(stage, &asked).await?) {
        let Presence::Present(patch) = &answer else {
            return failed(format!("{:?} is present", asked.key), said(&answer));
        };
        if let (Some(patch), Some(listed)) = (patch, listing.objects.get(&asked.key)) {
            ensure(patch.attributes == listed.attributes, "the attributes that the listing gave", || {
                format!("{:?}, and listed {:?}", patch.attributes, listed.attributes)
            })?;
        }
    }
    Ok(())
}

/// Known by an address, and given another one.
pub(super) async fn tells_another_address(stage: &mut Stage) -> Verdict {
    let id = stage.remote.put_user(&person(0)).await?;
    let renamed = id.is_weak();
    if renamed {
        stage.remote.set_mail(&id, Some("another.address@corp.example")).await?;
    }
    let answer = one(stage, &id).await?;
    let Presence::Renamed(patch) = &answer else {
        return ensure(!renamed && matches!(answer, Presence::Present(_)), "renamed", || said(&answer));
    };
    ensure(renamed, "present: an immutable id stays", || said(&answer))?;
    let listing = stage.list().await?;
    let listed = listing.objects.get(&patch.object).map(|listed| &listed.attributes);
    ensure(patch.object.id != id && listed == Some(&patch.attributes), "the object of a listing of now", || {
        said(&answer)
    })
}

/// Moved by the directory itself.
pub(super) async fn tells_moved_from_gone(stage: &mut Stage) -> Verdict {
    let id = stage.remote.put_user(&person(0)).await?;
    stage.remote.put_user(&person(1)).await?;
    stage.remote.move_out_of_scope(&id).await?;
    let answer = one(stage, &id).await?;
    ensure(answer == Presence::OutOfScope, "out of scope", || said(&answer))
}

/// Deleted, and brought back.
pub(super) async fn calls_gone_what_is_gone(stage: &mut Stage) -> Verdict {
    let id = stage.remote.put_user(&person(0)).await?;
    let sibling = stage.remote.put_user(&person(2)).await?;
    stage.remote.delete(&id).await?;
    let answers = ask(stage, &[user(&id), user(&sibling)]).await?;
    match &answers[0] {
        Presence::Gone(_) => {}
        Presence::Unknown(reason) => {
            return not_checked(format!("the endpoint says that it cannot tell what is gone: {reason:?}"));
        }
        other => return failed("gone", said(other)),
    }
    ensure(matches!(answers[1], Presence::Present(_)), "its sibling is present", || said(&answers[1]))?;
    if stage.remote.restore(&id).await.is_ok() {
        let answer = one(stage, &id).await?;
        ensure(matches!(answer, Presence::Present(_)), "present once it was restored", || said(&answer))?;
    }
    Ok(())
}

/// Hidden, with a sibling that is not.
pub(super) async fn does_not_call_gone_what_is_hidden(stage: &mut Stage) -> Verdict {
    let id = stage.remote.put_user(&person(0)).await?;
    let sibling = stage.remote.put_user(&person(2)).await?;
    stage.remote.hide(&id).await?;
    let answers = ask(stage, &[user(&id), user(&sibling)]).await?;
    let vouched = matches!(answers[1], Presence::Present(_));
    match &answers[0] {
        Presence::Unknown(_) => Ok(()),
        // The engine believes it only beside a sibling that can be read.
        Presence::Gone(Evidence::NotFound) if !vouched => Ok(()),
        other => failed("unknown", said(other)),
    }
}

/// At every call of a look-up.
pub(super) async fn guesses_nothing_in_an_outage(stage: &mut Stage) -> Verdict {
    let id = stage.remote.put_user(&person(0)).await?;
    for nth in 1..=20 {
        stage.renew();
        if !stage.outage(nth).await? {
            break;
        }
        let asked = [ObjectRef { key: key(ObjectKind::User, &id), container: None }];
        let answers = stage.wait("lookup", stage.endpoint.lookup(&stage.cx, &asked)).await?;
        stage.remote.heal().await?;
        match answers.as_deref() {
            Err(_) | Ok([Presence::Unknown(_)]) => {}
            Ok([Presence::Present(_)]) => return Ok(()),
            Ok(other) => {
                return failed(format!("an error, as nobody answered from call {nth} on"), format!("{other:?}"));
            }
        }
    }
    Ok(())
}
