//! Changes of accounts, held against what the remote itself says of its content.

use super::super::remote::Dump;
use super::super::report::{Verdict, ensure, failed, not_checked};
use super::super::stage::{Stage, key, person};
use crate::endpoint::{Action, ActionOutcome, Actor, Endpoint};
use crate::error::{ErrorKind, Result};
use crate::model::{ObjectKind, SourceId};

/// Names what differs, for people.
pub(super) fn difference(before: &Dump, after: &Dump) -> String {
    let objects = before.keys().chain(after.keys()).collect::<std::collections::BTreeSet<_>>();
    let differing = objects.into_iter().filter(|object| before.get(*object) != after.get(*object));
    let told: Vec<_> =
        differing.map(|object| format!("{object}: {:?}, then {:?}", before.get(object), after.get(object))).collect();
    told.join("; ")
}

fn actor(endpoint: &dyn Endpoint) -> Verdict<&dyn Actor> {
    endpoint.as_actor().map_or_else(|| not_checked("the endpoint has no actions"), Ok)
}

fn offered(actor: &dyn Actor) -> Vec<Action> {
    Action::ALL.into_iter().filter(|action| actor.offers(*action, ObjectKind::User)).collect()
}

async fn act(stage: &Stage, action: Action, account: &SourceId) -> Verdict<Result<ActionOutcome>> {
    let actor = actor(&*stage.endpoint)?;
    stage.wait("act", actor.act(&stage.cx, action, &key(ObjectKind::User, account))).await
}

async fn done(stage: &Stage, action: Action, account: &SourceId) -> Verdict {
    match act(stage, action, account).await? {
        Ok(ActionOutcome::Done | ActionOutcome::AlreadySo) => Ok(()),
        other => failed(format!("{action:?} is done"), format!("{other:?}")),
    }
}

/// Three accounts, and the actions that are offered.
async fn accounts(stage: &mut Stage) -> Verdict<(Vec<SourceId>, Vec<Action>)> {
    let actions = offered(actor(&*stage.endpoint)?);
    ensure(!actions.is_empty(), "an actor offers something", || "nothing".into())?;
    let mut users = Vec::new();
    for number in 0..3 {
        users.push(stage.remote.put_user(&person(number)).await?);
    }
    Ok((users, actions))
}

/// Other accounts are as they were; and what is suspended and resumed is as it was.
pub(super) async fn touches_nothing_else(stage: &mut Stage) -> Verdict {
    let (users, actions) = accounts(stage).await?;
    let account = users[1].to_string();
    for action in &actions {
        let before = stage.remote.dump().await?;
        done(stage, *action, &users[1]).await?;
        let after = stage.remote.dump().await?;
        let others = |dump: &Dump| {
            dump.iter().filter(|(id, _)| **id != account).map(|(id, all)| (id.clone(), all.clone())).collect()
        };
        let (others_before, others_after): (Dump, Dump) = (others(&before), others(&after));
        ensure(others_before == others_after, format!("{action:?} leaves other objects alone"), || {
            difference(&others_before, &others_after)
        })?;
    }
    if actions.contains(&Action::Suspend) && actions.contains(&Action::Resume) {
        let before = stage.remote.dump().await?;
        done(stage, Action::Suspend, &users[2]).await?;
        let between = stage.remote.dump().await?;
        ensure(before != between, "a suspension changes the account", || "nothing changed".into())?;
        done(stage, Action::Resume, &users[2]).await?;
        let after = stage.remote.dump().await?;
        ensure(before == after, "a resumed account is as it was", || difference(&before, &after))?;
    }
    Ok(())
}

/// The second time changes nothing.
pub(super) async fn twice_is_once(stage: &mut Stage) -> Verdict {
    let (users, actions) = accounts(stage).await?;
    for action in actions {
        done(stage, action, &users[0]).await?;
        let once = stage.remote.dump().await?;
        done(stage, action, &users[0]).await?;
        let twice = stage.remote.dump().await?;
        ensure(once == twice, format!("{action:?} twice is {action:?} once"), || difference(&once, &twice))?;
    }
    Ok(())
}

/// One account that may not be changed.
pub(super) async fn a_refusal_is_no_error(stage: &mut Stage) -> Verdict {
    let (users, actions) = accounts(stage).await?;
    stage.remote.refuse_changes(&users[0]).await?;
    // Something that is not so already.
    let action = if actions.contains(&Action::Suspend) { Action::Suspend } else { actions[0] };
    match act(stage, action, &users[0]).await? {
        Ok(ActionOutcome::Refused(error)) => ensure(!error.message().is_empty(), "a remedy", || "no word".into())?,
        other => return failed("refused", format!("{other:?}")),
    }
    done(stage, action, &users[1]).await
}

/// A server that takes the change and does nothing.
pub(super) async fn reads_back_what_it_did(stage: &mut Stage) -> Verdict {
    let (users, actions) = accounts(stage).await?;
    stage.remote.ignore_changes().await?;
    let action = if actions.contains(&Action::Suspend) { Action::Suspend } else { actions[0] };
    match act(stage, action, &users[0]).await? {
        Ok(ActionOutcome::Done | ActionOutcome::AlreadySo) => {
            failed("an error, as nothing was changed", format!("{action:?} is said to be done"))
        }
        _ => Ok(()),
    }
}

/// Before and during an outage, by a process that has just started.
pub(super) async fn knows_without_the_network_what_it_offers(stage: &mut Stage) -> Verdict {
    let offers = |endpoint: &dyn Endpoint| {
        let all = |kind| Action::ALL.map(|action| endpoint.as_actor().is_some_and(|actor| actor.offers(action, kind)));
        ObjectKind::ALL.iter().map(|kind| all(*kind)).collect::<Vec<_>>()
    };
    actor(&*stage.endpoint)?;
    let before = offers(&*stage.endpoint);
    stage.remote.fail_from_call(1).await?;
    let after = [offers(&*stage.endpoint), offers(&*stage.remote.endpoint())];
    ensure(after.iter().all(|after| *after == before), format!("{before:?}"), || format!("{after:?}"))
}

/// By the remote's own account of itself.
pub(super) async fn begin_changes_nothing(stage: &mut Stage) -> Verdict {
    accounts(stage).await?;
    let before = stage.remote.dump().await?;
    stage.told("begin", actor(&*stage.endpoint)?.begin(&stage.cx)).await?;
    let after = stage.remote.dump().await?;
    ensure(before == after, "the remote is as it was", || difference(&before, &after))
}

/// Nobody answers, or the password is wrong.
pub(super) async fn begin_tells_what_concerns_every_account(stage: &mut Stage) -> Verdict {
    accounts(stage).await?;
    stage.remote.fail_from_call(1).await?;
    let begun = stage.wait("begin", actor(&*stage.endpoint)?.begin(&stage.cx)).await?;
    ensure(begun.is_err(), "an error, as nobody answers", || "all is well".into())?;
    stage.remote.heal().await?;
    stage.renew();
    stage.remote.refuse_credentials().await?;
    let before = stage.remote.sign_ins().await?;
    let begun = stage.wait("begin", actor(&*stage.endpoint)?.begin(&stage.cx)).await?;
    let tried = stage.remote.sign_ins().await? - before;
    let refused = begun.as_ref().is_err_and(|error| *error.kind() == ErrorKind::Unauthenticated);
    ensure(refused && tried == 1, "kind unauthenticated, behind one attempt to sign in", || {
        format!("{begun:?} behind {tried}")
    })
}

/// A protected account, and one outside of base and filter.
pub(super) async fn leaves_alone_what_is_not_its_own(stage: &mut Stage) -> Verdict {
    let (users, actions) = accounts(stage).await?;
    let mut alone = Vec::new();
    let protected = stage.remote.put_protected().await;
    alone.extend(protected.clone());
    if stage.remote.move_out_of_scope(&users[0]).await.is_ok() {
        alone.push(users[0].clone());
    }
    if let (Err(declined), true) = (protected, alone.is_empty()) {
        return not_checked(declined.to_string());
    }
    let before = stage.remote.dump().await?;
    for account in &alone {
        for action in &actions {
            let outcome = act(stage, *action, account).await?;
            ensure(matches!(outcome, Ok(ActionOutcome::Refused(_))), format!("{action} is refused"), || {
                format!("{outcome:?}")
            })?;
        }
    }
    let after = stage.remote.dump().await?;
    ensure(before == after, "nothing was changed", || difference(&before, &after))
}

/// Cancelled before, and while the answer to a change is awaited.
pub(super) async fn a_cancellation_tells_whether_something_was_sent(stage: &mut Stage) -> Verdict {
    let (users, actions) = accounts(stage).await?;
    let action = if actions.contains(&Action::Suspend) { Action::Suspend } else { actions[0] };
    let before = stage.remote.dump().await?;
    stage.cx.cancel().cancel();
    let outcome = act(stage, action, &users[0]).await?;
    let cancelled =
        |outcome: &Result<ActionOutcome>| outcome.as_ref().is_err_and(|error| *error.kind() == ErrorKind::Cancelled);
    ensure(cancelled(&outcome), "kind cancelled", || format!("{outcome:?}"))?;
    let after = stage.remote.dump().await?;
    ensure(before == after, "nothing was sent", || difference(&before, &after))?;
    stage.renew();
    stage.remote.swallow_answer().await?;
    let (endpoint, cx) = (std::sync::Arc::clone(&stage.endpoint), stage.cx.clone());
    let key = key(ObjectKind::User, &users[0]);
    let stop = async {
        for _ in 0..50 {
            stage.pause().await;
        }
        cx.cancel().cancel();
    };
    let actor = actor(&*endpoint)?;
    let sent = async { tokio::join!(actor.act(&cx, action, &key), stop).0 };
    let outcome = stage.wait("an action without an answer", sent).await?;
    stage.remote.heal().await?;
    let changed = stage.remote.dump().await? != before;
    ensure(outcome.is_err(), "an error, as no answer came", || format!("{outcome:?}"))?;
    ensure(!(changed && cancelled(&outcome)), "an error that says that the change may have been made", || {
        format!("{outcome:?}, and it was made")
    })
}
