//! What holds for every call: cancellation, kinds of errors, secrets; and the calls that list nothing.
//! It knows no content of a directory.

use super::super::reading::{Changes, Ending, Listing};
use super::super::report::{Verdict, ensure, failed, not_checked};
use super::super::stage::{Stage, group, person, user};
use crate::endpoint::{Checkpoint, Cursor, ObjectRef};
use crate::error::{Error, ErrorKind};

/// What the calls ask about.
struct Asked {
    users: Vec<ObjectRef>,
    /// Where the directory has groups with members.
    group: Option<ObjectRef>,
    /// Where there are deltas.
    cursor: Option<Cursor>,
}

impl Asked {
    /// Fills the remote.
    async fn about(stage: &mut Stage) -> Verdict<Self> {
        let people = stage.populate().await?;
        let listing = stage.list().await?;
        Ok(Self {
            users: vec![user(&people.users[0])],
            group: people.large.as_ref().map(group),
            cursor: listing.cursor().filter(|_| stage.endpoint.as_delta().is_some()).cloned(),
        })
    }
}

/// Makes each call once; returns how each of them failed.
async fn every_call(stage: &Stage, asked: &Asked) -> Verdict<Vec<(&'static str, Option<Error>)>> {
    let (endpoint, cx) = (&stage.endpoint, &stage.cx);
    let mut made = vec![
        ("coverage", stage.wait("coverage", endpoint.coverage(cx)).await?.err()),
        ("verify", stage.wait("verify", endpoint.verify(cx)).await?.err()),
    ];
    for (call, listing) in [("snapshot", stage.try_list(None).await?), ("id_listing", stage.try_list_ids().await?)] {
        let error = if let Ending::Badly(error) = listing.ending { Some(error) } else { None };
        made.push((call, error));
    }
    made.push(("lookup", stage.wait("lookup", endpoint.lookup(cx, &asked.users)).await?.err()));
    if let Some(group) = &asked.group {
        let members: Vec<_> = asked.users.iter().map(|user| user.key.id.clone()).collect();
        let answers = stage.wait("check_members", endpoint.check_members(cx, group, &members)).await?;
        made.push(("check_members", answers.err()));
    }
    if let Some(cursor) = &asked.cursor {
        made.push(("delta", stage.try_changes(cursor).await?.error));
    }
    Ok(made)
}

/// Cancelled before a call, between two pages, and while the remote does not answer.
pub(super) async fn obey_cancellation(stage: &mut Stage) -> Verdict {
    let asked = Asked::about(stage).await?;
    stage.cx.cancel().cancel();
    for (call, error) in every_call(stage, &asked).await? {
        let kind = error.as_ref().map(Error::kind);
        ensure(kind == Some(&ErrorKind::Cancelled), format!("a cancelled `{call}` fails with kind cancelled"), || {
            format!("{kind:?}")
        })?;
    }
    stage.renew();
    let mut pager = stage.begin(None).await?;
    let mut listing = Listing::default();
    listing.read(stage, &mut *pager, 1).await?;
    stage.cx.cancel().cancel();
    let until = listing.pages.len() + 1;
    listing.read(stage, &mut *pager, until).await?;
    match &listing.ending {
        Ending::Badly(error) if *error.kind() == ErrorKind::Cancelled => {}
        other => return failed("the page after a cancellation fails with kind cancelled", format!("{other:?}")),
    }
    if let Some(cursor) = &asked.cursor {
        stop_a_delta(stage, cursor).await?;
    }
    stage.renew();
    if stage.remote.fall_silent().await.is_err() {
        // Which remote can hang is its author's to say; what is above holds everywhere.
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

/// Cancelled behind the first page of changes.
async fn stop_a_delta(stage: &mut Stage, cursor: &Cursor) -> Verdict {
    for number in 0..stage.remote.many() {
        stage.remote.put_user(&person(7_000 + number)).await?;
    }
    stage.renew();
    let endpoint = std::sync::Arc::clone(&stage.endpoint);
    let Some(delta) = endpoint.as_delta() else { return Ok(()) };
    let mut pager = stage.told("delta", delta.delta(&stage.cx, cursor)).await?;
    let mut changes = Changes::default();
    changes.read(stage, &mut *pager, 1).await?;
    if changes.caught_up.is_some() || changes.expired {
        return Ok(());
    }
    stage.cx.cancel().cancel();
    changes.read(stage, &mut *pager, 1).await?;
    let cancelled = changes.error.as_ref().is_some_and(|error| *error.kind() == ErrorKind::Cancelled);
    ensure(cancelled, "the page of changes after a cancellation fails with kind cancelled", || {
        format!("{:?}, caught up: {}, expired: {}", changes.error, changes.caught_up.is_some(), changes.expired)
    })
}

/// An outage from the first call on.
pub(super) async fn tell_an_outage(stage: &mut Stage) -> Verdict {
    let asked = Asked::about(stage).await?;
    stage.remote.fail_from_call(1).await?;
    stage.renew();
    for (call, error) in every_call(stage, &asked).await? {
        let kind = error.as_ref().map(Error::kind);
        let honest = matches!(kind, Some(ErrorKind::Unavailable | ErrorKind::Throttled | ErrorKind::Concurrency));
        // These may answer `Unknown` for each instead; other checks look at that.
        let may_doubt = matches!(call, "lookup" | "check_members");
        ensure(honest || may_doubt && error.is_none(), format!("`{call}` says that nobody answers"), || {
            format!("{error:?}")
        })?;
    }
    Ok(())
}

/// The spellings by which opaque bytes would be seen. Short ones could be anything.
fn spellings(bytes: &[u8]) -> Vec<String> {
    if bytes.len() < 8 {
        return Vec::new();
    }
    let hex = bytes.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    let list = format!("{bytes:?}");
    // Without its brackets, as a part of a longer one.
    let list = list.trim_matches(['[', ']']).to_owned();
    let text = std::str::from_utf8(bytes).ok().filter(|text| !text.contains(char::is_control));
    let quoted = text.map(|text| format!("{text:?}").trim_matches('"').to_owned());
    [Some(hex.to_uppercase()), Some(hex), Some(list), text.map(str::to_owned), quoted].into_iter().flatten().collect()
}

/// Looks for credentials, cursors and checkpoints in everything that can be printed.
pub(super) async fn show_no_secret(stage: &mut Stage) -> Verdict {
    let secrets: Vec<_> = stage.remote.secrets().into_iter().filter(|secret| !secret.is_empty()).collect();
    let asked = Asked::about(stage).await?;
    let listing = stage.list().await?;
    let cursors = asked.cursor.iter().chain(listing.cursor()).map(Cursor::bytes);
    let checkpoints = listing.checkpoints.iter().map(Checkpoint::bytes);
    let hidden: Vec<_> = secrets.iter().map(|secret| ("credential", secret.clone())).collect();
    let opaque = cursors.map(|bytes| ("cursor", bytes)).chain(checkpoints.map(|bytes| ("checkpoint", bytes)));
    let hidden = hidden
        .into_iter()
        .chain(opaque.flat_map(|(what, bytes)| spellings(bytes).into_iter().map(move |spelling| (what, spelling))));
    let hidden: Vec<_> = hidden.collect();
    let mut printed = vec![format!("{:?} {:?}", stage.endpoint, stage.endpoint.info())];
    printed.push(format!("{:?}", stage.wait("verify", stage.endpoint.verify(&stage.cx)).await?));
    printed.push(format!("{:?}", stage.wait("coverage", stage.endpoint.coverage(&stage.cx)).await?));
    // Again: a token that was fetched meanwhile is to be kept as secret as a password.
    printed.push(format!("{:?}", stage.endpoint));
    if let Some(checkpoint) = listing.checkpoints.first() {
        let unusable = Checkpoint::new(checkpoint.version().wrapping_add(1_000), checkpoint.bytes());
        let begun = stage.wait("snapshot", stage.endpoint.snapshot(&stage.cx, Some(&unusable))).await?;
        printed.push(format!("{:?} {:?}", begun.err(), stage.endpoint));
    }
    for trouble in [Trouble::Refused, Trouble::Outage] {
        let made = match trouble {
            Trouble::Refused => stage.remote.refuse_credentials().await,
            Trouble::Outage => stage.remote.fail_from_call(1).await,
        };
        if made.is_ok() {
            stage.renew();
            printed.push(format!("{:?}", every_call(stage, &asked).await?));
            let ending = stage.try_list(listing.checkpoints.first()).await?.ending;
            printed.push(format!("{ending:?} {:?}", stage.endpoint));
        }
    }
    for text in &printed {
        for (what, needle) in &hidden {
            ensure(!text.contains(needle.as_str()), format!("no {what} in anything that is printed"), || {
                format!("one of {} letters in: {}", needle.chars().count(), text.replace(needle.as_str(), "[HERE]"))
            })?;
        }
    }
    if secrets.is_empty() { not_checked("the remote names no credentials in `secrets`") } else { Ok(()) }
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

/// Before, behind and without the network.
pub(super) async fn limits_are_constant(stage: &mut Stage) -> Verdict {
    let first = stage.endpoint.limits();
    let mut others = vec![stage.remote.endpoint().limits()];
    stage.list().await?;
    others.push(stage.endpoint.limits());
    if stage.remote.fail_from_call(1).await.is_ok() {
        others.push(stage.endpoint.limits());
    }
    ensure(others.iter().all(|other| *other == first), "always the same", || format!("{first:?}, then {others:?}"))
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
