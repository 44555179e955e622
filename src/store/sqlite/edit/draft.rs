//! Records added by hand: nobody owns them until an endpoint brings the same person.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{OptionalExtension, params};

use super::change::{check_tags, write_local, write_tags};
use super::natural::{keyed, remember_key};
use super::{Change, NO_RUN, live_no};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Attributes, Draft, GroupKind, ObjectKind, Record, RecordId, UserKind, UserState, Value, names};
use crate::rules::join::addresses;
use crate::rules::lock::{self, Wish};
use crate::store::sqlite::apply::{load_record, upserted};
use crate::store::sqlite::{damaged, kind_number, sql};

/// Returns the addresses, folded, by which a draft is compared with who is there.
pub(super) fn addresses_of(draft: &Draft) -> BTreeSet<String> {
    if draft.kind == ObjectKind::User { addresses(&draft.values) } else { BTreeSet::new() }
}

/// Tells whether a draft could be added. `held` are the addresses that are somebody's.
pub(super) fn check(draft: &Draft, held: &BTreeMap<String, RecordId>) -> Result<()> {
    complete(draft)?;
    check_tags(&draft.tags)?;
    match addresses_of(draft).iter().find_map(|address| held.get(address)) {
        Some(holder) => Err(taken(*holder)),
        None => Ok(()),
    }
}

fn taken(holder: RecordId) -> Error {
    Error::new(ErrorKind::Conflict, "somebody has this address already; edit that record")
        .with_context("record", holder)
}

impl Change<'_> {
    /// Refuses addresses that somebody has, other than the record they are for. `held` are those that were somebody
    /// else's when they were looked for.
    pub(super) fn refuse_taken(
        &self,
        addresses: &BTreeSet<String>,
        held: &BTreeMap<String, RecordId>,
        own_no: Option<i64>,
    ) -> Result<()> {
        for address in addresses {
            let keyed = keyed(self.transaction, self.customer_no, address)?;
            let holder = match keyed.iter().find(|(record_no, _)| Some(*record_no) != own_no) {
                Some((record_no, _)) => load_record(self.transaction, *record_no)?.map(|record| record.id),
                None => held.get(address).copied(),
            };
            if let Some(holder) = holder {
                return Err(taken(holder));
            }
        }
        Ok(())
    }

    /// Adds a record. `held` are the addresses that were somebody's when they were looked for.
    pub(super) fn add(&mut self, draft: &Draft, held: &BTreeMap<String, RecordId>) -> Result<Record> {
        let step = || sql("add a record");
        let values = complete(draft)?;
        let tags = check_tags(&draft.tags)?;
        if let Some(there) = live_no(self.transaction, self.customer_no, draft.id)? {
            // Sent again: it was added before.
            return load_record(self.transaction, there)?.ok_or_else(|| damaged("a record"));
        }
        let other: Option<i64> = self
            .transaction
            .prepare_cached("SELECT record_no FROM record_ids WHERE id = ?1")
            .and_then(|mut query| query.query_row([draft.id.0.as_bytes()], |row| row.get(0)).optional())
            .map_err(step())?;
        if other.is_some() {
            return Err(Error::new(ErrorKind::Conflict, "the id belongs to another record; draw a new one")
                .with_context("record", draft.id));
        }
        self.refuse_taken(&addresses_of(draft), held, None)?;
        let record_no: i64 = self
            .transaction
            .query_row("UPDATE numbers SET next = next + 1 WHERE name = 'object' RETURNING next - 1", [], |row| {
                row.get(0)
            })
            .map_err(step())?;
        self.transaction
            .prepare_cached("INSERT INTO records (record_no, customer_no, id, kind, state) VALUES (?1, ?2, ?3, ?4, 0)")
            .and_then(|mut insert| {
                insert.execute(params![record_no, self.customer_no, draft.id.0.as_bytes(), kind_number(draft.kind)])
            })
            .map_err(step())?;
        self.transaction
            .prepare_cached("INSERT INTO record_ids VALUES (?1, ?2)")
            .and_then(|mut insert| insert.execute(params![draft.id.0.as_bytes(), record_no]))
            .map_err(step())?;
        self.transaction
            .prepare_cached("INSERT INTO local_records VALUES (?1, ?2, ?3)")
            .and_then(|mut insert| insert.execute(params![record_no, self.customer_no, kind_number(draft.kind)]))
            .map_err(step())?;
        let mut local = values;
        if let tags @ Value::List(_) = Value::list(tags.iter().map(String::as_str)) {
            local.set(names::TAGS, tags);
        }
        write_local(self.transaction, record_no, &local)?;
        write_tags(self.transaction, self.customer_no, record_no, &tags)?;
        if draft.kind == ObjectKind::User {
            remember_key(self.transaction, self.customer_no, record_no, &local)?;
        }
        let record = load_record(self.transaction, record_no)?.ok_or_else(|| damaged("a record"))?;
        upserted(&mut self.events, None, &record, NO_RUN)?;
        Ok(record)
    }
}

/// Checks a draft and adds what every record has.
fn complete(draft: &Draft) -> Result<Attributes> {
    let mut values = draft.values.clone();
    match draft.kind {
        ObjectKind::User => {
            if values.get(&names::KIND).is_none() {
                values.set(names::KIND, UserKind::Person);
            }
            if values.get(&names::STATE).is_none() {
                values.set(names::STATE, UserState::Active);
            }
        }
        ObjectKind::Group => values.set(names::KIND, GroupKind::Manual),
        ObjectKind::Computer => {
            return Err(Error::config("computers come from endpoints only; add users and groups"));
        }
    }
    for (name, value) in values.iter() {
        if let Some(refusal) = lock::refusal(draft.kind, None, None, name, Wish::Set(value)) {
            return Err(refusal.into());
        }
    }
    if !draft.tags.is_empty() && draft.kind != ObjectKind::User {
        return Err(Error::config("only users have tags"));
    }
    let wanted: &[_] = match draft.kind {
        ObjectKind::User => {
            &[names::PRIMARY_EMAIL, names::USERNAME, names::DISPLAY_NAME, names::FIRST_NAME, names::LAST_NAME]
        }
        _ => &[names::NAME],
    };
    if wanted.iter().all(|name| values.text(name).is_none_or(|text| text.trim().is_empty())) {
        let message = match draft.kind {
            ObjectKind::User => "a user has an address, a login name or a name; give one of them",
            _ => "a group has a name; give it one",
        };
        return Err(Error::config(message));
    }
    Ok(values)
}
