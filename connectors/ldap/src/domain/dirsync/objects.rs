//! Objects of which it is known only that something changed, read again by their ids: whole, out of scope, or gone.
//!
//! It must not know how it became known that they changed.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::{Control, Dn, Entry, Filter, SearchRequest, guid};
use tenantry::model::{ObjectKey, ObjectKind, Quarantined, SourceId, Tombstone, TombstoneKind};
use tenantry::{ErrorKind, Result};
use uuid::Uuid;

use crate::domain::gathering::Gathering;
use crate::domain::listing::{Class, identity};
use crate::domain::lookup::{any_of, is_deleted};
use crate::domain::members;
use crate::domain::usn::{self, CONTAINERS};

/// Ids in one search.
pub(crate) const AT_ONCE: usize = 100;

fn request(base: impl Into<String>, filter: Filter, attributes: &[&str]) -> SearchRequest {
    SearchRequest::new(base, filter)
        .attributes(attributes.iter().copied())
        .control(members::extended())
        .control(Control::domain_scope().optional())
}

async fn all(gathering: &Gathering, request: &SearchRequest) -> Result<Vec<Entry>> {
    let Gathering { shared, cx, .. } = gathering;
    shared.connection.all_of(cx, "read changed objects", Some(gathering.pin()), request).await
}

async fn ids(gathering: &Gathering, base: impl Into<String>, filter: Filter) -> Result<HashSet<Uuid>> {
    let request = request(base, filter, &["objectGUID"]).page_size(gathering.shared.config.page_size);
    let entries = all(gathering, &request).await?;
    Ok(entries.iter().filter_map(|entry| identity(entry).ok()).map(|(guid, _)| guid).collect())
}

/// Which lists of members are read with the groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lists {
    /// Those of all groups.
    Read,
    /// None.
    Left,
}

/// Reads objects whole and has them given out, or told to be out of scope. Without lists, returns the groups in scope.
pub(crate) async fn read(
    gathering: &mut Gathering,
    guids: &[Uuid],
    lists: Lists,
    base: Option<&Dn>,
) -> Result<Vec<Uuid>> {
    let mut groups = Vec::new();
    if guids.is_empty() {
        return Ok(groups);
    }
    for &class in gathering.shared.classes() {
        let selection = Filter::and([any_of(guids)?, gathering.shared.selection(class)?]);
        let mut attributes = gathering.attributes(class);
        if lists == Lists::Left {
            attributes.retain(|name| !name.eq_ignore_ascii_case("member"));
        }
        let request = request(&gathering.controller.domain, selection.clone(), &attributes);
        let entries = all(gathering, &request).await?;
        let entries = matching(gathering, class, selection, entries).await?;
        match lists {
            Lists::Read => drop(gathering.take(class, &entries, base).await?),
            Lists::Left => groups.extend(gathering.take_bodies(class, &entries, base).await?),
        }
    }
    Ok(groups)
}

/// Keeps what the configured filter selects, and tells of what it refuses. Each is asked for by a search of its own: not
/// being in one answer is no proof of belonging to the other.
async fn matching(
    gathering: &mut Gathering,
    class: Class,
    selection: Filter,
    entries: Vec<Entry>,
) -> Result<Vec<Entry>> {
    let Some(configured) = gathering.shared.configured(class).filter(|_| !entries.is_empty()) else {
        return Ok(entries);
    };
    let (selects, refuses) = (configured.clone(), configured.negate());
    let domain = gathering.controller.domain.clone();
    let selected = ids(gathering, &domain, Filter::and([selection.clone(), selects])).await?;
    let refused = ids(gathering, &domain, Filter::and([selection, refuses])).await?;
    let (mut inside, mut outside) = (Vec::new(), Vec::new());
    for entry in entries {
        match identity(&entry).map(|(guid, _)| guid) {
            Ok(guid) if selected.contains(&guid) => inside.push(entry),
            Ok(guid) if refused.contains(&guid) => outside.push(entry),
            Ok(guid) => {
                let reason = "the configured filter neither selects nor refuses it; let the account read what the filter asks \
                              for";
                let record =
                    Quarantined { kind: class.kind(), id: Some(SourceId::Guid(guid)), reason: reason.to_owned() };
                gathering.last_page().quarantined.push(record);
            }
            // It was found by its id.
            Err(error) => return Err(error),
        }
    }
    gathering.take_outside(class.kind(), &outside);
    Ok(inside)
}

/// Names those among these objects that others can lie in.
pub(crate) async fn containers(gathering: &Gathering, guids: &[Uuid]) -> Result<HashSet<Uuid>> {
    let filter = Filter::and([any_of(guids)?, Filter::parse(CONTAINERS)?]);
    ids(gathering, &gathering.controller.domain, filter).await
}

/// Lists what lies below a container, by class; nothing if it is not there any more.
pub(crate) async fn below(gathering: &Gathering, container: Uuid) -> Result<Vec<(Class, Uuid)>> {
    let mut found = Vec::new();
    for &class in gathering.shared.classes() {
        let selection = gathering.shared.selection(class)?;
        match ids(gathering, guid::as_dn(&container), selection).await {
            Err(error) if *error.kind() == ErrorKind::NotFound => break,
            listed => found.extend(listed?.into_iter().map(|guid| (class, guid))),
        }
    }
    Ok(found)
}

/// Names the groups that hold any of these objects.
pub(crate) async fn holding(gathering: &Gathering, guids: &[Uuid]) -> Result<HashSet<Uuid>> {
    let mut holding = HashSet::new();
    for chunk in guids.chunks(AT_ONCE) {
        let request = request(&gathering.controller.domain, any_of(chunk)?, &["memberOf"]);
        for entry in all(gathering, &request).await? {
            holding.extend(members::groups_of(&entry)?);
        }
    }
    Ok(holding)
}

/// Has told what is gone, and what it was. What the account cannot read any more is told without knowing its kind.
///
/// Returns what was brought back since.
pub(crate) async fn bury(gathering: &mut Gathering, gone: &BTreeMap<Uuid, TombstoneKind>) -> Result<Vec<Uuid>> {
    let guids: Vec<Uuid> = gone.keys().copied().collect();
    let attributes = ["objectClass", "isDeleted", "isRecycled", "objectCategory"];
    let request = request(&gathering.controller.domain, any_of(&guids)?, &attributes)
        .control(gathering.controller.show_deleted());
    let mut read = HashMap::new();
    for entry in all(gathering, &request).await? {
        if let Ok((guid, _)) = identity(&entry) {
            read.insert(guid, entry);
        }
    }
    let (mut tombstones, mut back) = (Vec::new(), Vec::new());
    for (guid, kind) in gone {
        match read.get(guid) {
            Some(entry) if !is_deleted(entry) => back.push(*guid),
            // Nothing for a class that is not told of: a tombstone keeps its class, while its category is gone.
            Some(entry) => tombstones.extend(usn::tombstone(&*gathering.shared.profile, entry, None)),
            None => {
                let object = ObjectKey { kind: ObjectKind::User, id: SourceId::Guid(*guid) };
                tombstones.push(Tombstone { object, kind: *kind });
            }
        }
    }
    gathering.take_tombstones(tombstones);
    Ok(back)
}
