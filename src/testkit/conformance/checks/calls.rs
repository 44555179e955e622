//! What holds for every call: cancellation, kinds of errors, secrets; and the calls that list nothing.
//! It knows no content of a directory.

use super::super::reading::{Ending, Listing};
use super::super::report::{Verdict, ensure, failed, not_checked};
use super::super::stage::{Stage, user};
use crate::error::{Error, ErrorKind, Result};

/// Makes each call once; returns what failed.
async fn every_call(stage: &Stage, asked: &[crate::endpoint::ObjectRef]) -> Verdict<Vec<(&'static str, Error)>> {
    let (endpoint, cx) = (&stage.endpoint, &stage.cx);
    let mut errors = Vec::new();
    let mut note = |call, result: Result<()>| {
        if let Err(error) = result {
            errors.push((call, error));
        }
    };
    note("coverage", stage.wait("coverage", endpoint.coverage(cx)).await?.map(drop));
    note("verify", stage.wait("verify", endpoint.verify(cx)).await?.map(drop));
    for (call, listing) in [("snapshot", stage.try_list(None).await?), ("id_listing", stage.try_list_ids().await?)] {
        if let Ending::Badly(error) = listing.ending {
            note(call, Err(error));
        }
    }
    note("lookup", stage.wait("lookup", endpoint.lookup(cx, asked)).await?.map(drop));
    Ok(errors)
}

const CALLS: [&str; 5] = ["coverage", "verify", "snapshot", "id_listing", "lookup"];

/// Cancelled before a call, between two pages, and while the remote does not answer.
pub(super) async fn obey_cancellation(stage: &mut Stage) -> Verdict {
    let people = stage.populate().await?;
    let asked = [user(&people.users[0])];
    stage.cx.cancel().cancel();
    let errors = every_call(stage, &asked).await?;
    for call in CALLS {
        let kind = errors.iter().find(|(name, _)| *name == call).map(|(_, error)| error.kind());
        ensure(kind == Some(&ErrorKind::Cancelled), format!("a cancelled `{call}` fails with kind cancelled"), || {
            format!("{kind:?}")
        })?;
    }
    stage.renew();
    let mut pager = stage.begin(None).await?;
    let mut listing = Listing::default();
    listing.read(stage, &mut *pager, 1).await?;
    stage.cx.cancel().cancel();
    let until = listing.pages + 1;
    listing.read(stage, &mut *pager, until).await?;
    match &listing.ending {
        Ending::Badly(error) if *error.kind() == ErrorKind::Cancelled => {}
        other => return failed("the page after a cancellation fails with kind cancelled", format!("{other:?}")),
    }
    stage.renew();
    if stage.remote.fall_silent().await.is_err() {
        // Which remote can hang is its author's to say; the two above hold everywhere.
        return Ok(());
    }
    let cancel = stage.cx.cancel().clone();
    let endpoint = std::sync::Arc::clone(&stage.endpoint);
    let (cx, pause) = (stage.cx.clone(), &*stage);
    let silent = async move {
        let call = endpoint.coverage(&cx);
        let stop = async {
            // Not before the call has gone as far as it goes without an answer.
            for _ in 0..50 {
                pause.pause().await;
            }
            cancel.cancel();
        };
        tokio::join!(call, stop).0.map(drop)
    };
    let ended = stage.wait("a cancelled call without an answer", silent).await?;
    ensure(ended.as_ref().is_err_and(|error| *error.kind() == ErrorKind::Cancelled), "kind cancelled", || {
        format!("{ended:?}")
    })
}

/// An outage from the first call on.
pub(super) async fn tell_an_outage(stage: &mut Stage) -> Verdict {
    let people = stage.populate().await?;
    let asked = [user(&people.users[0])];
    stage.remote.fail_from_call(1).await?;
    let errors = every_call(stage, &asked).await?;
    for call in CALLS {
        let error = errors.iter().find(|(name, _)| *name == call).map(|(_, error)| error);
        let kind = error.map(Error::kind);
        let honest = matches!(kind, Some(ErrorKind::Unavailable | ErrorKind::Throttled | ErrorKind::Concurrency));
        // A look-up may answer `Unknown` for each instead; another check looks at that.
        ensure(honest || call == "lookup" && error.is_none(), format!("`{call}` says that nobody answers"), || {
            format!("{error:?}")
        })?;
    }
    Ok(())
}

/// Looks for the credentials in everything that can be printed.
pub(super) async fn show_no_secret(stage: &mut Stage) -> Verdict {
    let secrets: Vec<_> = stage.remote.secrets().into_iter().filter(|secret| !secret.is_empty()).collect();
    if secrets.is_empty() {
        return not_checked("the remote names no credentials in `secrets`");
    }
    let people = stage.populate().await?;
    let asked = [user(&people.users[0])];
    let mut printed = vec![format!("{:?} {:?}", stage.endpoint, stage.endpoint.info())];
    printed.push(format!("{:?}", stage.wait("verify", stage.endpoint.verify(&stage.cx)).await?));
    printed.push(format!("{:?}", stage.wait("coverage", stage.endpoint.coverage(&stage.cx)).await?));
    // Again: a token that was fetched meanwhile is to be kept as secret as a password.
    printed.push(format!("{:?}", stage.endpoint));
    for trouble in [Trouble::Refused, Trouble::Outage] {
        let made = match trouble {
            Trouble::Refused => stage.remote.refuse_credentials().await,
            Trouble::Outage => stage.remote.fail_from_call(1).await,
        };
        if made.is_ok() {
            stage.renew();
            printed.push(format!("{:?}", every_call(stage, &asked).await?));
        }
    }
    for text in &printed {
        for secret in &secrets {
            ensure(!text.contains(secret.as_str()), "no credential in anything that is printed", || {
                format!("one of {} letters in: {}", secret.chars().count(), text.replace(secret.as_str(), "[HERE]"))
            })?;
        }
    }
    Ok(())
}

enum Trouble {
    Refused,
    Outage,
}

/// Before, behind and without the network.
pub(super) async fn info_is_constant(stage: &mut Stage) -> Verdict {
    let first = stage.endpoint.info().clone();
    let mut others = vec![stage.remote.endpoint().info().clone()];
    stage.list().await?;
    others.push(stage.endpoint.info().clone());
    if stage.remote.fail_from_call(1).await.is_ok() {
        others.push(stage.endpoint.info().clone());
    }
    let same = others.iter().all(|other| *other == first);
    ensure(same && first.kind == others[0].kind, "always the same", || format!("{first:?}, then {others:?}"))
}

/// By the remote's own account of itself.
pub(super) async fn verify_changes_nothing(stage: &mut Stage) -> Verdict {
    stage.populate().await?;
    let (dump, listed) = (stage.remote.dump().await?, stage.list().await?);
    stage.told("verify", stage.endpoint.verify(&stage.cx)).await?;
    let (after, again) = (stage.remote.dump().await?, stage.list().await?);
    ensure(dump == after, "the remote is as it was", || super::actor::difference(&dump, &after))?;
    ensure(listed.objects == again.objects, "a listing shows the same", || "another listing".into())
}

/// Counted at the remote.
pub(super) async fn verify_tries_a_wrong_password_once(stage: &mut Stage) -> Verdict {
    stage.remote.refuse_credentials().await?;
    let before = stage.remote.sign_ins().await?;
    let verified = stage.wait("verify", stage.endpoint.verify(&stage.cx)).await?;
    let tried = stage.remote.sign_ins().await? - before;
    match verified {
        Err(error) if *error.kind() == ErrorKind::Unauthenticated => {
            ensure(tried == 1, "one attempt to sign in", || format!("{tried}"))
        }
        other => failed("`verify` fails with kind unauthenticated", format!("{other:?}")),
    }
}
