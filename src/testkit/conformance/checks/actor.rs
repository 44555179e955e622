//! Changes of accounts, held against what the remote itself says of its content.

use super::super::remote::Dump;
use super::super::report::{Verdict, ensure, failed, not_checked};
use super::super::stage::{Stage, key, person};
use crate::endpoint::{Action, ActionOutcome, Actor};
use crate::error::Result;
use crate::model::{ObjectKind, SourceId};

const ACTIONS: [Action; 5] =
    [Action::Suspend, Action::Resume, Action::Unlock, Action::ForcePasswordChange, Action::RevokeSessions];

/// Names what differs, for people.
pub(super) fn difference(before: &Dump, after: &Dump) -> String {
    let objects = before.keys().chain(after.keys()).collect::<std::collections::BTreeSet<_>>();
    let differing = objects.into_iter().filter(|object| before.get(*object) != after.get(*object));
    let told: Vec<_> =
        differing.map(|object| format!("{object}: {:?}, then {:?}", before.get(object), after.get(object))).collect();
    told.join("; ")
}

fn offered(actor: &dyn Actor) -> Vec<Action> {
    ACTIONS.into_iter().filter(|action| actor.offers(*action)).collect()
}

async fn act(stage: &Stage, action: Action, account: &SourceId) -> Verdict<Result<ActionOutcome>> {
    let Some(actor) = stage.endpoint.as_actor() else { return not_checked("the endpoint has no actions") };
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
    let Some(actor) = stage.endpoint.as_actor() else { return not_checked("the endpoint has no actions") };
    let actions = offered(actor);
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
