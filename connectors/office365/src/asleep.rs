//! Who was deleted and could be restored when a listing began. It must not know how a change is told.

use std::collections::BTreeSet;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::future::join;
use serde::{Deserialize, Serialize};
use tenantry::model::{ObjectKind, SourceId};
use tenantry::{Context, ErrorKind, Result};
use uuid::Uuid;

use crate::client::{Graph, unreadable};
use crate::listing::{Mark, Watch};
use crate::operation::Operation;
use crate::wire::{MemberRow, read_page};

/// So many are kept at most: more would make a cursor of megabytes.
const MOST: usize = 50_000;
/// Graph keeps deleted objects for thirty days.
const SLEEP: Duration = Duration::from_hours(31 * 24);

/// Users and groups that were deleted and could be restored when the last listing began.
///
/// Their memberships sleep and are listed nowhere, and when they come back no group tells of it: whoever is among
/// these is then asked for the groups that it is in. Others were seen alive, and their memberships are known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Asleep {
    ids: BTreeSet<Uuid>,
    /// Whether these are all of them; if not, anybody may be one.
    whole: bool,
    /// When they were read, in milliseconds since 1970.
    read: i64,
}

impl Asleep {
    /// Takes what was read; nothing where it may not be read.
    pub(crate) fn of(ids: Option<Vec<SourceId>>, read: i64) -> Self {
        let (mut whole, mut guids) = (ids.is_some(), BTreeSet::new());
        for id in ids.into_iter().flatten() {
            match id {
                SourceId::Guid(guid) if guids.len() < MOST => {
                    guids.insert(guid);
                }
                _ => whole = false,
            }
        }
        Self { ids: guids, whole, read }
    }

    /// Tells whether an object may have slept when the listing began.
    pub(crate) fn may_hold(&self, id: &SourceId) -> bool {
        !self.whole || matches!(id, SourceId::Guid(guid) if self.ids.contains(guid))
    }

    /// Forgets who woke, and all when they are gone for good.
    pub(crate) fn without<'a>(mut self, woken: impl IntoIterator<Item = &'a SourceId>, now: i64) -> Self {
        for id in woken {
            if let SourceId::Guid(guid) = id {
                self.ids.remove(guid);
            }
        }
        let sleep = i64::try_from(SLEEP.as_millis()).unwrap_or(i64::MAX);
        if now.saturating_sub(self.read) >= sleep {
            (self.ids, self.whole) = (BTreeSet::new(), true);
        }
        self
    }

    /// Tells whether an object did sleep when the listing began.
    pub(crate) fn holds(&self, id: &SourceId) -> bool {
        matches!(id, SourceId::Guid(guid) if self.ids.contains(guid))
    }

    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }
}

/// Ids as bytes, one behind the other.
#[derive(Serialize, Deserialize)]
struct Packed {
    ids: String,
    whole: bool,
    read: i64,
}

impl Serialize for Asleep {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let bytes: Vec<u8> = self.ids.iter().flat_map(|id| *id.as_bytes()).collect();
        Packed { ids: STANDARD.encode(bytes), whole: self.whole, read: self.read }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Asleep {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let packed = Packed::deserialize(deserializer)?;
        let bytes = STANDARD.decode(packed.ids).map_err(serde::de::Error::custom)?;
        let (ids, rest) = bytes.as_chunks::<16>();
        if !rest.is_empty() {
            return Err(serde::de::Error::custom("half an id"));
        }
        let ids = ids.iter().map(|id| Uuid::from_bytes(*id)).collect();
        Ok(Self { ids, whole: packed.whole, read: packed.read })
    }
}

/// Reads who sleeps now. What may not be read leaves it open who does.
pub(crate) async fn read(graph: &Graph, cx: &Context, now: i64) -> Result<Asleep> {
    let mut all = Some(Vec::new());
    let (users, groups) = join(of_kind(graph, cx, ObjectKind::User), of_kind(graph, cx, ObjectKind::Group)).await;
    for read in [users, groups] {
        match read {
            Ok(ids) => all.iter_mut().for_each(|all| all.extend_from_slice(&ids)),
            Err(error) => match error.kind() {
                ErrorKind::PermissionDenied { .. } | ErrorKind::NotFound | ErrorKind::Unsupported => all = None,
                _ => return Err(error),
            },
        }
    }
    Ok(Asleep::of(all, now))
}

async fn of_kind(graph: &Graph, cx: &Context, kind: ObjectKind) -> Result<Vec<SourceId>> {
    let operation = if kind == ObjectKind::User { Operation::DeletedUsers } else { Operation::DeletedGroups };
    let (mut url, mut watch, mut ids) = (graph.requests.all_deleted(kind), Watch::default(), Vec::new());
    loop {
        let read = graph.get(cx, operation, 1, &url, |answer| {
            let page = read_page::<MemberRow<'_>>(&answer.body).map_err(|error| unreadable(answer, &error))?;
            let next = page.next.as_ref().map(|link| graph.link(link)).transpose()?;
            let ids: Vec<_> = page.read.iter().map(|row| SourceId::parse(&row.id)).collect();
            Ok((ids, Mark::of(page.read.iter().map(|row| &*row.id)), next))
        });
        let (some, mark, next) = read.await?;
        ids.extend(some);
        // Enough to know that they are too many to be kept.
        let Some(next) = next.filter(|_| ids.len() <= MOST) else { return Ok(ids) };
        watch.note(mark, Some(&next))?;
        url = graph.at(&next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u128) -> SourceId {
        SourceId::Guid(Uuid::from_u128(number))
    }

    #[test]
    fn who_slept_reads_back_and_is_forgotten_when_awake_or_gone() {
        let asleep = Asleep::of(Some(vec![id(1), id(2)]), 0);
        let text = serde_json::to_string(&asleep).unwrap();
        assert_eq!(serde_json::from_str::<Asleep>(&text).unwrap(), asleep);
        let awake = asleep.without([&id(1)], 0);
        assert!(!awake.may_hold(&id(1)) && awake.may_hold(&id(2)) && !awake.may_hold(&id(3)));
        assert_eq!(awake.without([], 40 * 86_400_000).len(), 0);
    }

    #[test]
    fn where_not_all_are_known_anybody_may_have_slept() {
        let many = (0..=MOST as u128).map(id).collect();
        for asleep in [Asleep::of(None, 0), Asleep::of(Some(many), 0)] {
            assert!(asleep.may_hold(&id(u128::MAX)));
            assert!(!asleep.without([], 40 * 86_400_000).may_hold(&id(u128::MAX)), "after a month nobody is left");
        }
    }
}
