//! Single objects and memberships by their ids: the proof behind what ends. It must not know what was listed.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use serde_json::value::RawValue;
use tenantry::endpoint::{Evidence, Membership, ObjectRef, Presence, Reason};
use tenantry::model::{ObjectKind, Patch, Quarantined, SourceId, TombstoneKind, Value};
use tenantry::{Context, Error, ErrorKind, Result};

use crate::client::Api;
use crate::error::repeated;
use crate::listing::{senseless, units};
use crate::map::{self, Units};
use crate::members;
use crate::operation::Operation;
use crate::owners::hash;
use crate::wire::{
    self, CHROMEOS_FIELDS, ChromeOs, GROUP_FIELDS, MOBILE_FIELDS, Member, Mobile, USER_FIELDS, mask, salvaged_id,
};

/// Look-ups under way at a time; the gate decides how many of them reach the server.
const AT_A_TIME: usize = 16;
/// So many members are asked for one by one; for more the group is listed again.
const SINGLE_CHECKS: usize = 20;

/// What a look-up by id found.
enum Found {
    Object(Box<RawValue>),
    Nothing,
    Denied,
}

async fn find(api: &Api, cx: &Context, operation: Operation, path: &[&str], fields: &str) -> Result<Found> {
    let url = api.url(path, &[("fields", fields)]);
    match api.get::<Box<RawValue>>(cx, operation, &url).await {
        Ok(object) => Ok(Found::Object(object)),
        Err(error) => match error.kind() {
            ErrorKind::NotFound => Ok(Found::Nothing),
            ErrorKind::PermissionDenied { .. } => Ok(Found::Denied),
            _ => Err(error),
        },
    }
}

/// Says who an address belongs to: an id, nobody, or unknown.
pub(crate) async fn owner(api: &Api, cx: &Context, address: &str) -> Result<Option<Value>> {
    Ok(match find(api, cx, Operation::ReadUser, &["users", address], "id").await? {
        Found::Object(object) => salvaged_id(&object).map(Value::from),
        Found::Nothing => Some(Value::Empty),
        // An address of another organisation looks the same as a lost right.
        Found::Denied => None,
    })
}

/// Whom an address of the log led to.
pub(crate) enum Named {
    Patch(Box<Patch>),
    Senseless(Quarantined),
    /// Nobody in scope.
    Nobody,
}

/// Reads a user or a group by address.
pub(crate) async fn patch_of(api: &Api, cx: &Context, kind: ObjectKind, key: &str, units: &Units) -> Result<Named> {
    let (operation, path, fields) = match kind {
        ObjectKind::Group => (Operation::ReadGroup, "groups", GROUP_FIELDS),
        _ => (Operation::ReadUser, "users", USER_FIELDS),
    };
    Ok(match find(api, cx, operation, &[path, key], fields).await? {
        Found::Object(object) => match read(api, kind, &object, units) {
            Presence::Present(Some(patch)) => Named::Patch(patch),
            Presence::Present(None) => Named::Senseless(senseless(kind, &object)),
            _ => Named::Nobody,
        },
        Found::Nothing | Found::Denied => Named::Nobody,
    })
}

fn read(api: &Api, kind: ObjectKind, object: &RawValue, units: &Units) -> Presence {
    let present = |patch: Patch| Presence::Present(Some(Box::new(patch)));
    let outside = |email: &str| {
        let domain = email.rsplit('@').next().unwrap_or_default();
        api.config.domain.as_ref().is_some_and(|own| !own.eq_ignore_ascii_case(domain))
    };
    if kind == ObjectKind::Group {
        return match wire::group(object) {
            Some(group) if outside(&group.email) => Presence::OutOfScope,
            Some(group) => present(map::group(&group)),
            None => Presence::Present(None),
        };
    }
    match wire::user(object) {
        Some(user) if outside(&user.primary_email) => Presence::OutOfScope,
        Some(user) => present(map::user(&user, units)),
        None => Presence::Present(None),
    }
}

/// Looks objects up, each by its id.
pub(crate) async fn lookup(api: &Arc<Api>, cx: &Context, ids: &[ObjectRef]) -> Result<Vec<Presence>> {
    // What a listing tells of units it tells here.
    let in_units = ids.iter().any(|object| object.key.kind != ObjectKind::Group);
    let units = if in_units { units(api, cx).await? } else { None };
    let looked: Vec<_> = ids.iter().map(|object| one(api, cx, object, &units)).collect();
    let mut found: Vec<Option<Presence>> = stream::iter(looked).buffered(AT_A_TIME).try_collect().await?;
    if found.iter().any(Option::is_none) {
        // Who can be had back is told from who is gone for good.
        let deleted = match deleted(api, cx).await {
            Ok(deleted) => Some(deleted),
            Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied { .. }) => None,
            Err(error) => return Err(error),
        };
        for (presence, object) in found.iter_mut().zip(ids) {
            presence.get_or_insert_with(|| match &deleted {
                None => Presence::Unknown(Reason::Rights),
                Some(deleted) if deleted.contains(&hash(&object.key.id.to_string())) => {
                    Presence::Gone(Evidence::Tombstone(TombstoneKind::Soft))
                }
                Some(_) => Presence::Gone(Evidence::NotFound),
            });
        }
    }
    Ok(found.into_iter().flatten().collect())
}

/// Looks one object up; `None` is a user that was not found.
async fn one(api: &Arc<Api>, cx: &Context, object: &ObjectRef, units: &Units) -> Result<Option<Presence>> {
    cx.check_cancelled()?;
    let id = object.key.id.to_string();
    // An address would find whoever has it now.
    if id.is_empty() || id.contains('@') {
        return Ok(Some(Presence::Unknown(Reason::WeakId)));
    }
    let (operation, path, fields) = match object.key.kind {
        ObjectKind::User => (Operation::ReadUser, "users", USER_FIELDS),
        ObjectKind::Group => (Operation::ReadGroup, "groups", GROUP_FIELDS),
        ObjectKind::Computer => return device(api, cx, &object.key.id, &id, units).await.map(Some),
    };
    Ok(match find(api, cx, operation, &[path, &id], fields).await? {
        Found::Denied => Some(Presence::Unknown(Reason::Rights)),
        Found::Nothing if object.key.kind == ObjectKind::User => None,
        Found::Nothing => Some(Presence::Gone(Evidence::NotFound)),
        // An alias could be spelled like an id: only the very object counts.
        Found::Object(found) if salvaged_id(&found).as_deref() != Some(id.as_str()) => {
            Some(Presence::Unknown(Reason::Failed))
        }
        Found::Object(found) => Some(read(api, object.key.kind, &found, units)),
    })
}

async fn owned(api: &Api, cx: &Context, address: Option<&str>) -> Result<Option<Value>> {
    match address {
        None => Ok(Some(Value::Empty)),
        Some(address) => owner(api, cx, address).await,
    }
}

/// Looks a device up, of the kind that its id looks like first.
async fn device(api: &Arc<Api>, cx: &Context, id: &SourceId, text: &str, units: &Units) -> Result<Presence> {
    let chromeos = (Operation::ReadChromeOs, "chromeos", CHROMEOS_FIELDS);
    let mobile = (Operation::ReadMobile, "mobile", MOBILE_FIELDS);
    let order = if matches!(id, SourceId::Guid(_)) { [chromeos, mobile] } else { [mobile, chromeos] };
    let mut denied = false;
    for (operation, kind, fields) in order {
        match find(api, cx, operation, &["customer", &api.config.customer, "devices", kind, text], fields).await? {
            // Ids that are GUIDs may be spelled in capitals there.
            Found::Object(object) if !salvaged_id(&object).is_some_and(|id| id.eq_ignore_ascii_case(text)) => {
                return Ok(Presence::Unknown(Reason::Failed));
            }
            Found::Object(object) => {
                let patch = if kind == "mobile" {
                    match serde_json::from_str::<Mobile>(object.get()) {
                        Ok(device) => Some(map::mobile(&device, owned(api, cx, device.owner()).await?)),
                        Err(_) => None,
                    }
                } else {
                    match serde_json::from_str::<ChromeOs>(object.get()) {
                        Ok(device) => Some(map::chromeos(&device, owned(api, cx, device.owner()).await?, units)),
                        Err(_) => None,
                    }
                };
                return Ok(Presence::Present(patch.map(Box::new)));
            }
            Found::Denied => denied = true,
            Found::Nothing => {}
        }
    }
    Ok(if denied { Presence::Unknown(Reason::Rights) } else { Presence::Gone(Evidence::NotFound) })
}

/// Lists who was deleted in the last 20 days, by hashes of their ids.
async fn deleted(api: &Api, cx: &Context) -> Result<HashSet<u64>> {
    let fields = mask("users", "id");
    let query = [
        ("customer", api.config.customer.as_str()),
        ("showDeleted", "true"),
        ("maxResults", "500"),
        ("fields", &fields),
    ];
    let url = api.url(&["users"], &query);
    let (mut found, mut tokens, mut token) = (HashSet::new(), HashSet::new(), None::<String>);
    loop {
        let page = api.page(cx, Operation::ListDeleted, &url, token.as_deref()).await?;
        let before = found.len();
        found.extend(page.items.iter().filter_map(|item| salvaged_id(item)).map(|id| hash(&id)));
        if !page.items.is_empty() && found.len() == before {
            return Err(repeated());
        }
        match page.next() {
            None => return Ok(found),
            Some(next) if !tokens.insert(hash(next)) => return Err(repeated()),
            Some(next) => token = Some(next.to_owned()),
        }
    }
}

/// Reads again whether some are direct members of a group.
pub(crate) async fn check_members(
    api: &Arc<Api>,
    cx: &Context,
    group: &ObjectRef,
    asked: &[SourceId],
) -> Result<Vec<Membership>> {
    cx.check_cancelled()?;
    let id = group.key.id.to_string();
    // A member that is not found looks like a group that is not.
    let there = find(api, cx, Operation::ReadGroup, &["groups", &id], "id").await?;
    if !matches!(there, Found::Object(_)) {
        return Ok(vec![Membership::Unknown; asked.len()]);
    }
    if asked.len() > SINGLE_CHECKS {
        return Ok(match members::all(api, cx, &id, &Arc::new(BTreeSet::new())).await? {
            Ok(listed) => {
                let listed: BTreeSet<_> = listed.into_iter().map(|member| member.id).collect();
                let check = |id| if listed.contains(id) { Membership::Member } else { Membership::NotMember };
                asked.iter().map(check).collect()
            }
            Err(_) => vec![Membership::Unknown; asked.len()],
        });
    }
    let check = |member: &SourceId| {
        let (id, member) = (id.clone(), member.to_string());
        async move {
            Ok::<_, Error>(
                match find(api, cx, Operation::ReadMember, &["groups", &id, "members", &member], "id").await? {
                    Found::Object(object) => match serde_json::from_str::<Member<'_>>(object.get()) {
                        Ok(found) if found.id == member => Membership::Member,
                        _ => Membership::Unknown,
                    },
                    Found::Nothing => Membership::NotMember,
                    Found::Denied => Membership::Unknown,
                },
            )
        }
    };
    let checks: Vec<_> = asked.iter().map(check).collect();
    stream::iter(checks).buffered(AT_A_TIME).try_collect().await
}
