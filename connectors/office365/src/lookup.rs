//! Single objects by id, and single memberships. It must not know what was listed.

use std::collections::{HashMap, HashSet};

use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Request};
use tenantry::endpoint::{Context, Evidence, Membership, ObjectRef, Presence, Reason};
use tenantry::model::{
    Edges, Member, MemberKind, ObjectKey, ObjectKind, Patch, Quarantined, SourceId, TombstoneKind, Via,
};
use tenantry::{Error, ErrorKind, Result};
use tenantry_http::Answer;
use url::Url;

use crate::client::{Ask, BATCH, Graph, unreadable};
use crate::cursor::Link;
use crate::grants::HIDDEN_MEMBERS;
use crate::listing::{self, Mark, Watch};
use crate::map;
use crate::operation::Operation;
use crate::rights::Rights;
use crate::wire::{DeviceRow, GroupRow, MemberRow, Rows, UserRow, read_page};

/// Ids in one request.
const AT_ONCE: usize = 1_000;
/// Members that are asked for their own groups; of more the group's list is read again, which costs less.
const FEW: usize = 2 * BATCH;

/// An object that is there.
#[derive(Debug, Clone)]
pub(crate) enum Found {
    Patch(Box<Patch>),
    /// It cannot be understood.
    Odd(Quarantined),
}

/// Reads objects of one kind by their ids. Those that are not there are not in the answer.
pub(crate) async fn objects(
    graph: &Graph,
    cx: &Context,
    kind: ObjectKind,
    ids: &[SourceId],
) -> Result<HashMap<SourceId, Found>> {
    let mut found = HashMap::with_capacity(ids.len());
    if kind == ObjectKind::Computer {
        // Only by itself does a device come with its owner.
        one_by_one(graph, cx, kind, ids, &mut found).await?;
        return Ok(found);
    }
    for ids in ids.chunks(AT_ONCE) {
        match by_ids(graph, cx, kind, ids).await {
            Ok(rows) => found.extend(rows),
            // It takes a right that is not needed otherwise.
            Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied { .. }) => {
                one_by_one(graph, cx, kind, ids, &mut found).await?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

async fn by_ids(graph: &Graph, cx: &Context, kind: ObjectKind, ids: &[SourceId]) -> Result<Vec<(SourceId, Found)>> {
    let name = match kind {
        ObjectKind::User => "user",
        ObjectKind::Group => "group",
        ObjectKind::Computer => "device",
    };
    let url = graph.requests.by_ids(kind);
    let body = ids_body(ids, Some(name));
    // 5 for up to a thousand, 2 with a selection.
    graph.ask(cx, Operation::LookUp, 2, || post(&url, &body), |answer| read_objects(kind, answer)).await
}

fn ids_body(ids: &[SourceId], kind: Option<&str>) -> String {
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    let types: Vec<&str> = kind.into_iter().collect();
    if types.is_empty() {
        serde_json::json!({ "ids": ids }).to_string()
    } else {
        serde_json::json!({ "ids": ids, "types": types }).to_string()
    }
}

fn post(url: &Url, body: &str) -> Request {
    let mut request = Request::new(Method::POST, url.clone());
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    *request.body_mut() = Some(body.to_owned().into());
    request
}

fn read_objects(kind: ObjectKind, answer: &Answer) -> Result<Vec<(SourceId, Found)>> {
    let failed = |error: serde_json::Error| unreadable(answer, &error);
    let body = &answer.body;
    match kind {
        ObjectKind::User => all_of(kind, read_page::<UserRow<'_>>(body).map_err(failed)?, map::user),
        ObjectKind::Group => all_of(kind, read_page::<GroupRow<'_>>(body).map_err(failed)?, map::group),
        ObjectKind::Computer => all_of(kind, read_page::<DeviceRow<'_>>(body).map_err(failed)?, map::device),
    }
}

fn all_of<R>(
    kind: ObjectKind,
    page: Rows<'_, R>,
    read: impl Fn(&R) -> Result<Patch, Quarantined>,
) -> Result<Vec<(SourceId, Found)>> {
    if page.next.is_some() {
        return Err(Error::protocol("a look-up was answered in part"));
    }
    let rows = page.read.iter().map(read);
    let odd = page.odd.into_iter().map(|(id, reason)| Err(map::quarantined(kind, id.as_deref(), reason)));
    let found = rows.chain(odd).filter_map(|row| match row {
        Ok(patch) => Some((patch.object.id.clone(), Found::Patch(Box::new(patch)))),
        Err(quarantined) => Some((quarantined.id.clone()?, Found::Odd(quarantined))),
    });
    Ok(found.collect())
}

async fn one_by_one(
    graph: &Graph,
    cx: &Context,
    kind: ObjectKind,
    ids: &[SourceId],
    found: &mut HashMap<SourceId, Found>,
) -> Result<()> {
    for ids in ids.chunks(BATCH) {
        let asks: Vec<_> = ids.iter().map(|id| Ask { url: graph.requests.object(kind, id), units: 1 }).collect();
        let read = |at: usize, body: &[u8]| read_object(kind, ids.get(at), body);
        for (id, answer) in ids.iter().zip(graph.batch(cx, Operation::LookUp, &asks, read).await?) {
            match answer {
                Ok(object) => {
                    found.insert(id.clone(), object);
                }
                Err(error) if *error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

fn read_object(kind: ObjectKind, id: Option<&SourceId>, body: &[u8]) -> Result<Found> {
    fn read<'a, R: serde::Deserialize<'a>>(
        body: &'a [u8],
        map: impl Fn(&R) -> Result<Patch, Quarantined>,
    ) -> serde_json::Result<Result<Patch, Quarantined>> {
        serde_json::from_slice::<R>(body).map(|row| map(&row))
    }
    let read = match kind {
        ObjectKind::User => read::<UserRow<'_>>(body, map::user),
        ObjectKind::Group => read::<GroupRow<'_>>(body, map::group),
        ObjectKind::Computer => read::<DeviceRow<'_>>(body, map::device),
    };
    match read {
        Ok(Ok(patch)) if id.is_some_and(|id| *id == patch.object.id) => Ok(Found::Patch(Box::new(patch))),
        Ok(Ok(_)) => Err(Error::protocol("another object was told than the one asked for")),
        Ok(Err(quarantined)) => Ok(Found::Odd(quarantined)),
        Err(error) if error.is_data() => {
            let reason = "a property is not of the type that graph documents".to_owned();
            Ok(Found::Odd(Quarantined { kind, id: id.cloned(), reason }))
        }
        Err(error) => Err(Error::protocol("an object is not JSON").with_context("column", error.column())),
    }
}

/// Looks objects up, in the order asked.
pub(crate) async fn lookup(graph: &Graph, cx: &Context, ids: &[ObjectRef]) -> Result<Vec<Presence>> {
    let mut known: HashMap<ObjectKey, Presence> = HashMap::with_capacity(ids.len());
    for kind in ObjectKind::ALL {
        cx.check_cancelled()?;
        let mut wanted: Vec<SourceId> =
            ids.iter().filter(|id| id.key.kind == *kind && !id.key.id.is_weak()).map(|id| id.key.id.clone()).collect();
        wanted.sort_unstable();
        wanted.dedup();
        if wanted.is_empty() {
            continue;
        }
        let found = match objects(graph, cx, *kind, &wanted).await {
            Ok(found) => found,
            Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied { .. }) => {
                let unknown = |id| (ObjectKey { kind: *kind, id }, Presence::Unknown(Reason::Rights));
                known.extend(wanted.into_iter().map(unknown));
                continue;
            }
            Err(error) => return Err(error),
        };
        let (present, absent): (Vec<_>, Vec<_>) = wanted.into_iter().partition(|id| found.contains_key(id));
        let deleted = deleted(graph, cx, *kind, &absent).await?;
        for id in present {
            let presence = Presence::Present(match found.get(&id) {
                Some(Found::Patch(patch)) => Some(patch.clone()),
                _ => None,
            });
            known.insert(ObjectKey { kind: *kind, id }, presence);
        }
        for (id, evidence) in absent.into_iter().zip(deleted) {
            known.insert(
                ObjectKey { kind: *kind, id },
                evidence.map_or(Presence::Unknown(Reason::Failed), Presence::Gone),
            );
        }
    }
    // Every id that this connector gives out is immutable.
    Ok(ids.iter().map(|id| known.get(&id.key).cloned().unwrap_or(Presence::Unknown(Reason::WeakId))).collect())
}

/// Asks whether what is not there can be restored; nothing where that cannot be told.
async fn deleted(graph: &Graph, cx: &Context, kind: ObjectKind, ids: &[SourceId]) -> Result<Vec<Option<Evidence>>> {
    let operation = if kind == ObjectKind::Group { Operation::DeletedGroups } else { Operation::DeletedUsers };
    let mut evidence = Vec::with_capacity(ids.len());
    if kind == ObjectKind::Computer {
        // Devices are deleted for good.
        evidence.resize(ids.len(), Some(Evidence::NotFound));
        return Ok(evidence);
    }
    for ids in ids.chunks(BATCH) {
        let asks: Vec<_> = ids.iter().map(|id| Ask { url: graph.requests.deleted(id), units: 1 }).collect();
        let read = |at: usize, body: &[u8]| match serde_json::from_slice::<MemberRow<'_>>(body) {
            Ok(row) => Ok(ids.get(at).is_some_and(|id| *id == SourceId::parse(&row.id))),
            Err(error) => {
                Err(Error::protocol("a deleted object makes no sense").with_context("column", error.column()))
            }
        };
        for answer in graph.batch(cx, operation, &asks, read).await? {
            evidence.push(match answer {
                Ok(true) => Some(Evidence::Tombstone(TombstoneKind::Soft)),
                Ok(false) => None,
                Err(error) => match error.kind() {
                    // Neither there nor restorable; or it cannot be told which of both, but gone it is.
                    ErrorKind::NotFound | ErrorKind::PermissionDenied { .. } => Some(Evidence::NotFound),
                    _ => return Err(error),
                },
            });
        }
    }
    Ok(evidence)
}

/// Tells whether some are direct members of a group.
pub(crate) async fn check_members(
    graph: &Graph,
    cx: &Context,
    rights: &Rights,
    group: &ObjectRef,
    members: &[SourceId],
) -> Result<Vec<Membership>> {
    let group = &group.key.id;
    let unknown = || vec![Membership::Unknown; members.len()];
    // Who hides its members hides them from both readings.
    match objects(graph, cx, ObjectKind::Group, std::slice::from_ref(group)).await?.get(group) {
        Some(Found::Patch(patch)) if hides(patch) && !rights.has(HIDDEN_MEMBERS) => return Ok(unknown()),
        Some(_) => {}
        None => return Ok(unknown()),
    }
    if members.len() <= FEW {
        return by_member(graph, cx, group, members).await;
    }
    let listed: HashSet<SourceId> = match listing::all_members(graph, cx, group).await? {
        Ok(listed) => listed.into_iter().map(|member| member.id).collect(),
        Err(_) => return Ok(unknown()),
    };
    let absent: Vec<SourceId> = members.iter().filter(|id| !listed.contains(id)).cloned().collect();
    let sleeping = sleeping(graph, cx, &absent).await?;
    let judge = |id: &SourceId| match (listed.contains(id), sleeping.contains(id)) {
        (true, _) => Membership::Member,
        (false, true) => Membership::Unknown,
        (false, false) => Membership::NotMember,
    };
    Ok(members.iter().map(judge).collect())
}

fn hides(patch: &Patch) -> bool {
    let visibility = tenantry::model::AttributeName::fixed("attributes.visibility");
    patch.attributes.text(&visibility).is_some_and(|text| text.eq_ignore_ascii_case("HiddenMembership"))
}

/// Asks each member for the groups that it is directly in: another way than the group's list.
async fn by_member(graph: &Graph, cx: &Context, group: &SourceId, members: &[SourceId]) -> Result<Vec<Membership>> {
    let kinds = kinds(graph, cx, members).await?;
    let mut verdicts: HashMap<&SourceId, Membership> = HashMap::new();
    let mut left = Vec::new();
    for member in members {
        match kinds.get(member) {
            Some(kind) => {
                if let Some(kind) = object_kind(*kind) {
                    left.push((member, kind));
                }
            }
            None => {
                left.retain(|(other, _)| *other != member);
            }
        }
    }
    left.sort_unstable();
    left.dedup();
    for some in left.chunks(BATCH) {
        let asks: Vec<_> =
            some.iter().map(|(id, kind)| Ask { url: graph.requests.member_of(*kind, id), units: 1 }).collect();
        let read = |_: usize, body: &[u8]| read_member_of(graph, body);
        let answers = graph.batch(cx, Operation::CheckMembers, &asks, read).await?;
        for ((member, _), answer) in some.iter().zip(answers) {
            verdicts.insert(member, follow(graph, cx, group, answer).await?);
        }
    }
    // Contacts, applications and whoever is gone can be found in the group's list only.
    if members.iter().any(|member| !verdicts.contains_key(member)) {
        let listed = listing::all_members(graph, cx, group).await?;
        let rest: Vec<SourceId> = members.iter().filter(|id| !verdicts.contains_key(id)).cloned().collect();
        let sleeping = sleeping(graph, cx, &rest).await?;
        let listed: Option<HashSet<SourceId>> =
            listed.ok().map(|all| all.into_iter().map(|member| member.id).collect());
        let judge = |id: &SourceId| match &listed {
            Some(listed) if listed.contains(id) => Membership::Member,
            Some(_) if !sleeping.contains(id) => Membership::NotMember,
            _ => Membership::Unknown,
        };
        return Ok(members.iter().map(|id| verdicts.get(id).copied().unwrap_or_else(|| judge(id))).collect());
    }
    Ok(members.iter().map(|id| verdicts.get(id).copied().unwrap_or(Membership::Unknown)).collect())
}

fn object_kind(kind: MemberKind) -> Option<ObjectKind> {
    Some(match kind {
        MemberKind::User => ObjectKind::User,
        MemberKind::Group => ObjectKind::Group,
        MemberKind::Computer => ObjectKind::Computer,
        _ => return None,
    })
}

/// Reads which groups some objects are direct members of: 20 at most.
pub(crate) async fn groups_of(graph: &Graph, cx: &Context, objects: &[ObjectKey]) -> Result<Vec<Edges>> {
    let asks: Vec<_> =
        objects.iter().map(|object| Ask { url: graph.requests.member_of(object.kind, &object.id), units: 1 }).collect();
    let read = |_: usize, body: &[u8]| read_member_of(graph, body);
    let mut edges = Vec::new();
    for (object, answer) in objects.iter().zip(graph.batch(cx, Operation::CheckMembers, &asks, read).await?) {
        let kind = if object.kind == ObjectKind::User { MemberKind::User } else { MemberKind::Group };
        let (mut watch, mut answer) = (Watch::default(), answer);
        loop {
            let page = match answer {
                Ok(page) => page,
                // Gone again: then nobody waits for its memberships.
                Err(error) if *error.kind() == ErrorKind::NotFound => break,
                Err(error) => return Err(error),
            };
            let member = || Member { id: object.id.clone(), kind };
            let of = |group| Edges { group, via: Via::Explicit, members: vec![member()] };
            edges.extend(page.groups.into_iter().map(of));
            let Some(next) = page.next else { break };
            watch.note(page.mark, Some(&next))?;
            let url = graph.at(&next);
            let read = graph.get(cx, Operation::CheckMembers, 1, &url, |answer| read_member_of(graph, &answer.body));
            answer = read.await;
        }
    }
    Ok(edges)
}

/// A page of somebody's groups, and where more are.
#[derive(Debug)]
struct MemberOf {
    groups: Vec<SourceId>,
    next: Option<Link>,
    mark: Mark,
}

fn read_member_of(graph: &Graph, body: &[u8]) -> Result<MemberOf> {
    let page = read_page::<MemberRow<'_>>(body).map_err(|error| {
        Error::protocol("the groups of a member are not of the expected form").with_context("column", error.column())
    })?;
    if !page.odd.is_empty() {
        return Err(Error::protocol("a group of a member makes no sense"));
    }
    // Roles and administrative units are among them.
    let groups = page.read.iter().filter_map(map::member).filter(|member| member.kind == MemberKind::Group);
    Ok(MemberOf {
        groups: groups.map(|member| member.id).collect(),
        next: page.next.as_ref().map(|link| graph.link(link)).transpose()?,
        mark: Mark::of(page.read.iter().map(|row| &*row.id)),
    })
}

async fn follow(graph: &Graph, cx: &Context, group: &SourceId, answer: Result<MemberOf>) -> Result<Membership> {
    let mut watch = Watch::default();
    let mut answer = answer;
    loop {
        let page = match answer {
            Ok(page) => page,
            Err(error) => match error.kind() {
                ErrorKind::NotFound | ErrorKind::PermissionDenied { .. } => return Ok(Membership::Unknown),
                _ => return Err(error),
            },
        };
        if page.groups.contains(group) {
            return Ok(Membership::Member);
        }
        let Some(next) = page.next else { return Ok(Membership::NotMember) };
        watch.note(page.mark, Some(&next))?;
        let url = graph.at(&next);
        answer = graph.get(cx, Operation::CheckMembers, 1, &url, |answer| read_member_of(graph, &answer.body)).await;
    }
}

/// Tells what those are that are there.
async fn kinds(graph: &Graph, cx: &Context, ids: &[SourceId]) -> Result<HashMap<SourceId, MemberKind>> {
    let mut url = graph.requests.by_ids(ObjectKind::User);
    url.set_query(None);
    url.query_pairs_mut().append_pair("$select", "id");
    let mut kinds = HashMap::new();
    for ids in ids.chunks(AT_ONCE) {
        let body = ids_body(ids, None);
        let read = graph.ask(
            cx,
            Operation::LookUp,
            2,
            || post(&url, &body),
            |answer| {
                let page = read_page::<MemberRow<'_>>(&answer.body).map_err(|error| unreadable(answer, &error))?;
                Ok(page.read.iter().filter_map(map::member).map(|member| (member.id, member.kind)).collect::<Vec<_>>())
            },
        );
        match read.await {
            Ok(rows) => kinds.extend(rows),
            // Then the group's list has to tell.
            Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied { .. }) => return Ok(HashMap::new()),
            Err(error) => return Err(error),
        }
    }
    Ok(kinds)
}

/// Returns which of some are deleted and can be restored: their memberships sleep and are listed nowhere.
async fn sleeping(graph: &Graph, cx: &Context, ids: &[SourceId]) -> Result<HashSet<SourceId>> {
    let evidence = deleted(graph, cx, ObjectKind::User, ids).await?;
    let soft = |evidence: &Option<Evidence>| *evidence != Some(Evidence::NotFound);
    Ok(ids.iter().zip(evidence).filter(|(_, evidence)| soft(evidence)).map(|(id, _)| id.clone()).collect())
}
