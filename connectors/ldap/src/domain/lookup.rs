//! Single objects by id: there, elsewhere, gone with a tombstone, or not to be told.
//!
//! It must not know what was listed.

use std::collections::{HashMap, HashSet};

use crate::{Control, Dn, Entry, Filter, SearchRequest, guid};
use tenantry::Result;
use tenantry::endpoint::{Context, Evidence, Membership, ObjectRef, Presence, Reason};
use tenantry::model::{SourceId, TombstoneKind};
use uuid::Uuid;

use crate::domain::controller::Controller;
use crate::domain::error::base_gone;
use crate::domain::listing::{Class, Detail, Listed, identity};
use crate::domain::map::Moment;
use crate::domain::members::{self, Reading};
use crate::domain::probe;
use crate::domain::reader::Shared;

/// Ids in one search.
const AT_ONCE: usize = 100;

/// Looks objects up, in the order asked.
pub(crate) async fn lookup(shared: &Shared, cx: &Context, ids: &[ObjectRef]) -> Result<Vec<Presence>> {
    let controller = shared.connection.controller(cx).await?;
    let tombstones = probe::tombstones(&shared.connection, cx, &controller, None).await?;
    let mut answers = Vec::with_capacity(ids.len());
    for chunk in ids.chunks(AT_ONCE) {
        cx.check_cancelled()?;
        answers.extend(some(shared, cx, &controller, tombstones, chunk).await?);
    }
    Ok(answers)
}

async fn some(
    shared: &Shared,
    cx: &Context,
    controller: &Controller,
    tombstones: bool,
    ids: &[ObjectRef],
) -> Result<Vec<Presence>> {
    let mut found = HashMap::new();
    for &class in shared.classes() {
        let guids: Vec<Uuid> =
            ids.iter().filter(|id| Class::of(id.key.kind) == class).filter_map(|id| as_guid(&id.key.id)).collect();
        if guids.is_empty() {
            continue;
        }
        let wanted = any_of(&guids)?;
        let attributes =
            shared.attributes(class, Detail::Full).into_iter().chain(["isDeleted", "isRecycled", "objectCategory"]);
        let everywhere = SearchRequest::new(&controller.domain, wanted.clone())
            .attributes(attributes)
            .control(members::extended())
            .control(controller.show_deleted())
            .control(Control::domain_scope().optional());
        let entries = shared.connection.all(cx, "look up", &everywhere).await?;
        let live = entries.iter().any(|entry| !is_deleted(entry));
        let scope = if live { scope(shared, cx, controller, class, &wanted).await? } else { Scopes::default() };
        for entry in entries {
            let Ok((guid, name)) = identity(&entry) else { continue };
            let elsewhere = || Dn::parse(&name.dn).is_ok_and(|dn| !dn.is_under(&shared.base_dn(controller)));
            let presence = if is_deleted(&entry) {
                Presence::Gone(Evidence::Tombstone(tombstone(&entry)))
            } else if scope.inside.contains(&guid) {
                present(shared, cx, controller, class, &entry).await?
            } else if scope.outside.contains(&guid) || elsewhere() {
                Presence::OutOfScope
            } else {
                // It exists and neither answer names it: one of them came back short.
                Presence::Unknown(Reason::Failed)
            };
            found.insert((class, guid), presence);
        }
    }
    let absent = if tombstones { Presence::Unknown(Reason::NoTombstone) } else { Presence::Gone(Evidence::NotFound) };
    let answer = |id: &ObjectRef| match as_guid(&id.key.id) {
        Some(guid) => found.get(&(Class::of(id.key.kind), guid)).unwrap_or(&absent).clone(),
        // Every id that this connector gives out is a GUID.
        None => Presence::Unknown(Reason::Failed),
    };
    Ok(ids.iter().map(answer).collect())
}

/// Which of the objects asked for the listing would find now, and which it would leave out.
#[derive(Default)]
struct Scopes {
    inside: HashSet<Uuid>,
    outside: HashSet<Uuid>,
}

/// Asks for both, each by a filter of its own: not being in one answer is no proof of belonging to the other.
async fn scope(
    shared: &Shared,
    cx: &Context,
    controller: &Controller,
    class: Class,
    wanted: &Filter,
) -> Result<Scopes> {
    let listed = shared.filter(class)?;
    let ask = async |base: String, filter: Filter| -> Result<HashSet<Uuid>> {
        let request = SearchRequest::new(base, Filter::and([wanted.clone(), filter]))
            .attributes(["objectGUID"])
            .control(members::extended())
            .control(Control::domain_scope().optional());
        let entries = shared.connection.all(cx, "look up", &request).await.map_err(base_gone)?;
        Ok(entries.iter().filter_map(|entry| identity(entry).ok()).map(|(guid, _)| guid).collect())
    };
    let inside = ask(shared.base(controller), listed.clone()).await?;
    let outside = ask(controller.domain.clone(), listed.negate()).await?;
    Ok(Scopes { inside, outside })
}

async fn present(
    shared: &Shared,
    cx: &Context,
    controller: &Controller,
    class: Class,
    entry: &Entry,
) -> Result<Presence> {
    let moment = Moment { now: cx.gate().clock().now_unix_millis(), lockout: controller.head.lockout };
    Ok(match shared.read(class, entry, Detail::Full, &controller.head, &moment) {
        Listed::Excluded(_) => Presence::OutOfScope,
        // It is there; that it cannot be understood is for the listing to say.
        Listed::Quarantined(_) => Presence::Present(None),
        Listed::Object(mut found) => {
            if let Some(sid) = found.primary {
                let group = shared.group_by_sid(cx, controller, &sid).await?;
                found.patch.primary_group = group.map(|group| Some(SourceId::Guid(group)));
            }
            Presence::Present(Some(Box::new(found.patch)))
        }
    })
}

/// Reads a group's members once more, and asks the members themselves.
pub(crate) async fn check_members(
    shared: &Shared,
    cx: &Context,
    group: &ObjectRef,
    members: &[SourceId],
) -> Result<Vec<Membership>> {
    let unknown = || vec![Membership::Unknown; members.len()];
    let Some(id) = as_guid(&group.key.id) else { return Ok(unknown()) };
    let controller = shared.connection.controller(cx).await?;
    let kinds = members::Kinds::new(&controller, Vec::new());
    let reading = members::read_all(&shared.connection, cx, None, id, &kinds).await?;
    let (listed, whole) = match reading {
        Reading::Whole(listed) => (listed, true),
        Reading::Partial(listed, _) => (listed, false),
        Reading::Vanished => return Ok(unknown()),
    };
    let listed: HashSet<Uuid> = listed.into_iter().map(|(guid, _)| guid).collect();
    let missing: Vec<Uuid> = members.iter().filter_map(as_guid).filter(|guid| !listed.contains(guid)).collect();
    let naming = name_the_group(shared, cx, &controller, id, &missing).await?;
    // A list in which somebody stands can be read; an empty one proves nothing unless members can be read elsewhere.
    let readable = !listed.is_empty() || probe::members(&shared.connection, cx, &controller).await?;
    // Who names the group and is not on its list proves that the list lies; then nothing is believed of it.
    let honest = whole && readable && naming.is_empty();
    let answer = |member: &SourceId| match as_guid(member) {
        Some(guid) if listed.contains(&guid) || naming.contains(&guid) => Membership::Member,
        Some(_) if honest => Membership::NotMember,
        _ => Membership::Unknown,
    };
    Ok(members.iter().map(answer).collect())
}

/// Asks which of these objects name the group as one of theirs.
async fn name_the_group(
    shared: &Shared,
    cx: &Context,
    controller: &Controller,
    group: Uuid,
    members: &[Uuid],
) -> Result<HashSet<Uuid>> {
    let mut naming = HashSet::new();
    if members.is_empty() {
        return Ok(naming);
    }
    let Some(entry) = shared.connection.object(cx, "read the group", None, &guid::as_dn(&group), &["cn"], &[]).await?
    else {
        return Ok(naming);
    };
    let of_the_group = Filter::equals("memberOf", entry.dn())?;
    for chunk in members.chunks(AT_ONCE) {
        let filter = Filter::and([any_of(chunk)?, of_the_group.clone()]);
        let request = SearchRequest::new(&controller.domain, filter)
            .attributes(["objectGUID"])
            .control(members::extended())
            .control(Control::domain_scope().optional());
        let entries = shared.connection.all(cx, "ask the members", &request).await?;
        naming.extend(entries.iter().filter_map(|entry| identity(entry).ok()).map(|(guid, _)| guid));
    }
    Ok(naming)
}

/// Selects objects by their ids.
pub(crate) fn any_of(guids: &[Uuid]) -> Result<Filter> {
    let one = |guid: &Uuid| Filter::equals_bytes("objectGUID", &guid::to_bytes(guid));
    Filter::or(guids.iter().map(one).collect::<Result<Vec<_>>>()?)
}

fn as_guid(id: &SourceId) -> Option<Uuid> {
    match id {
        SourceId::Guid(guid) => Some(*guid),
        _ => None,
    }
}

pub(crate) fn is_deleted(entry: &Entry) -> bool {
    matches!(entry.flag("isDeleted"), Ok(Some(true)))
}

/// An object in the recycle bin keeps everything; a tombstone has lost its category with nearly all else.
pub(crate) fn tombstone(entry: &Entry) -> TombstoneKind {
    let recycled = matches!(entry.flag("isRecycled"), Ok(Some(true)));
    if !recycled && entry.is_present("objectCategory") { TombstoneKind::Soft } else { TombstoneKind::Hard }
}
