//! Changes of members that wait to be told, so that the records of joined members are read for many at a time.
//!
//! It does not know why a membership begins or ends.

use rusqlite::OptionalExtension;

use super::{Apply, Chunk};
use crate::error::Result;
use crate::model::{EventType, Member, RecordId, SourceId, Via};
use crate::store::sqlite::key_index::Found;
use crate::store::sqlite::member::member_record;
use crate::store::sqlite::outbox::{MemberChange, MemberRecord};
use crate::store::sqlite::sql;
use crate::store::sqlite::stage::Stage;

/// Members that wait, at most: the records of all joined objects of an endpoint are read in order once for so many.
const WAITING: usize = 16_384;

/// Changes of one group, in their order.
pub(super) struct Told {
    event_type: EventType,
    group: RecordId,
    source_id: SourceId,
    via: Via,
    members: Vec<MemberChange>,
    /// Places of members whose record another object founded, and their numbers: these are named as it is told.
    joined: Vec<(usize, i64)>,
}

impl Told {
    pub(super) fn new(event_type: EventType, group: RecordId, source_id: &SourceId, via: Via, room: usize) -> Self {
        let members = Vec::with_capacity(room);
        Self { event_type, group, source_id: source_id.clone(), via, members, joined: Vec::new() }
    }

    /// Adds a member whose record is known.
    pub(super) fn push(&mut self, change: MemberChange) {
        self.members.push(change);
    }

    /// Adds a member as it was found.
    pub(super) fn push_found(&mut self, chunk: &Chunk<'_>, member: Member, found: &Found) -> Result<()> {
        let record = if found.joined && super::is_object(found.standing) && found.standing.is_present() {
            self.joined.push((self.members.len(), found.object_no));
            MemberRecord::None
        } else {
            member_record(chunk.transaction, found)?
        };
        self.members.push(MemberChange { member, record });
        Ok(())
    }

    pub(super) fn len(&self) -> usize {
        self.members.len()
    }
}

/// What waits to be told.
#[derive(Default)]
pub(super) struct Waiting {
    told: Vec<Told>,
    members: usize,
    /// Whether the stage knows the records of joined objects.
    pub(super) noted: bool,
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waiting").field("members", &self.members).finish_non_exhaustive()
    }
}

impl Apply {
    /// Tells changes, at the latest by [`Apply::tell_waiting`]; all in the order in which they come.
    pub(super) fn tell(&mut self, stage: &Stage, chunk: &mut Chunk<'_>, told: Told) -> Result<()> {
        self.waiting.members += told.len();
        let at_once = self.waiting.told.is_empty() && told.joined.is_empty();
        self.waiting.told.push(told);
        if at_once || self.waiting.members >= WAITING { self.tell_waiting(stage, chunk) } else { Ok(()) }
    }

    /// Tells everything that waits: before the transaction ends.
    pub(super) fn tell_waiting(&mut self, stage: &Stage, chunk: &mut Chunk<'_>) -> Result<()> {
        let mut numbers: Vec<i64> =
            self.waiting.told.iter().flat_map(|told| told.joined.iter().map(|(_, object_no)| *object_no)).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let records = if numbers.is_empty() {
            Vec::new()
        } else if self.waiting.noted {
            stage.joined_records(&numbers)?
        } else {
            records_of(chunk, &numbers)?
        };
        self.waiting.members = 0;
        for Told { event_type, group, source_id, via, mut members, joined } in self.waiting.told.drain(..) {
            for (at, object_no) in joined {
                if let Ok(found) = records.binary_search_by_key(&object_no, |(object_no, _)| *object_no) {
                    members[at].record = MemberRecord::Joined(records[found].1);
                }
            }
            chunk.events.add_members(event_type, group, &source_id, via, &members)?;
        }
        Ok(())
    }
}

/// Looks the records of some objects up, in order.
fn records_of(chunk: &Chunk<'_>, objects: &[i64]) -> Result<Vec<(i64, RecordId)>> {
    let step = || sql("read a record");
    let mut query = chunk
        .transaction
        .prepare_cached("SELECT r.id FROM objects o JOIN records r USING (record_no) WHERE o.object_no = ?1")
        .map_err(step())?;
    let mut found = Vec::with_capacity(objects.len());
    for object_no in objects {
        let id: Option<[u8; 16]> = query.query_row([object_no], |row| row.get(0)).optional().map_err(step())?;
        found.extend(id.map(|id| (*object_no, RecordId(uuid::Uuid::from_bytes(id)))));
    }
    Ok(found)
}
