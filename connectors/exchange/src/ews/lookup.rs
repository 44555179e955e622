//! Single objects and memberships by address: the proof behind what ends. It must not know what was listed.

use std::collections::BTreeMap;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use tenantry::endpoint::{Membership, ObjectRef, Presence, Reason};
use tenantry::model::SourceId;
use tenantry::{Context, Result};

use super::answer::Resolution;
use super::api::Api;
use super::map::{self, Mapped};
use super::recipients::{Found, Members, find, members};

/// Look-ups under way at a time; the gate decides how many of them reach the server.
const AT_A_TIME: usize = 16;

/// Looks objects up by the address that they are known by.
///
/// An address that leads nowhere is never proof that somebody is gone: hidden from the address book looks the same.
pub(crate) async fn lookup(api: &Api, cx: &Context, ids: &[ObjectRef]) -> Result<Vec<Presence>> {
    let answers = ids.iter().map(|asked| one(api, cx, asked)).collect::<Vec<_>>();
    stream::iter(answers).buffered(AT_A_TIME).try_collect().await
}

async fn one(api: &Api, cx: &Context, asked: &ObjectRef) -> Result<Presence> {
    let SourceId::Address(address) = &asked.key.id else { return Ok(Presence::Unknown(Reason::WeakId)) };
    let found = find(api, cx, &format!("smtp:{address}")).await?;
    Ok(match owner(&found, address) {
        Some(resolution) => present(resolution, asked, api.is_full()),
        None if found.cut => Presence::Unknown(Reason::Failed),
        None => Presence::Unknown(Reason::WeakId),
    })
}

/// Finds whose address it is: their primary one, a further one that is told, or one that there is no place to tell of.
fn owner<'a>(found: &'a Found, address: &str) -> Option<&'a Resolution> {
    let recipients = || found.items.iter().filter(|item| map::kind_of(item).is_ok());
    let has = |item: &&Resolution| map::primary(item).is_some_and(|primary| primary.eq_ignore_ascii_case(address));
    let names = |item: &&Resolution| map::others(item).any(|other| other.eq_ignore_ascii_case(address));
    recipients().find(has).or_else(|| recipients().find(names)).or_else(|| {
        let mut all = recipients();
        all.next().filter(|only| all.next().is_none() && !found.cut && map::may_be_cut(only))
    })
}

/// Tells of an object; whoever has another primary address by now is still the same.
fn present(resolution: &Resolution, asked: &ObjectRef, full: bool) -> Presence {
    match map::object(resolution, full) {
        Mapped::Object(patch) if patch.object.kind != asked.key.kind => Presence::Unknown(Reason::WeakId),
        Mapped::Object(patch) if patch.object.id == asked.key.id => Presence::Present(Some(patch)),
        Mapped::Object(patch) => Presence::Renamed(patch),
        // The address is somebody else's now.
        Mapped::Left(_) => Presence::Unknown(Reason::WeakId),
        Mapped::Senseless(_) => Presence::Present(None),
    }
}

/// Reads the members of a group once more.
pub(crate) async fn check_members(
    api: &Api,
    cx: &Context,
    group: &ObjectRef,
    asked: &[SourceId],
) -> Result<Vec<Membership>> {
    let SourceId::Address(address) = &group.key.id else { return Ok(vec![Membership::Unknown; asked.len()]) };
    let read = members(api, cx, &group.key.id, address).await?;
    let absent = match &read {
        Members::All(_) => Membership::NotMember,
        Members::Some(..) => Membership::Unknown,
    };
    let known: BTreeMap<&SourceId, Membership> =
        read.known().iter().map(|member| (&member.id, Membership::Member)).collect();
    Ok(asked.iter().map(|member| known.get(member).copied().unwrap_or(absent)).collect())
}
