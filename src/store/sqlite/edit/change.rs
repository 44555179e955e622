//! Values, tags and the shelf of one record, changed by hand.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, params};

use super::natural::{remember_key, take_over};
use super::{Change, NO_RUN, known_no};
use crate::error::{Error, Result};
use crate::model::{
    AttributeName, Attributes, Edit, EventType, ObjectKind, Record, RecordId, Refusal, Shelf, Timestamp, Value, names,
};
use crate::rules::join::addresses;
use crate::rules::lock::{self, Given, Wish};
use crate::rules::precedence::{self, Image, Own, compose};
use crate::store::codec;
use crate::store::sqlite::apply::{RecordRow, images, load_record, record_row, tell_removed, upserted};
use crate::store::sqlite::join::{absorbed_locals, local_with_absorbed};
use crate::store::sqlite::member::remove_record;
use crate::store::sqlite::release::has_objects;
use crate::store::sqlite::{damaged, sql};

/// A record and what it is put together from.
pub(super) struct Known {
    row: RecordRow,
    images: Vec<Image>,
    pub(super) record: Record,
}

impl Known {
    pub(super) fn read(connection: &Connection, record_no: i64) -> Result<Self> {
        let row = record_row(connection, record_no)?.ok_or_else(|| damaged("a record"))?;
        let mut images = images(connection, record_no)?;
        precedence::sort(&mut images);
        let record = load_record(connection, record_no)?.ok_or_else(|| damaged("a record"))?;
        Ok(Self { row, images, record })
    }

    fn refusal(&self, name: &AttributeName, wish: Wish<'_>) -> Option<Refusal> {
        let given = precedence::giver(&self.images, name)
            .map(|image| Given { by: &image.endpoint, yielded: precedence::yields(image, name) });
        lock::refusal(self.record.kind, self.record.lock.as_ref(), given, name, wish)
    }

    /// Returns the addresses, folded, that an edit gives to the record and that it does not have.
    pub(super) fn new_addresses(&self, edit: &Edit) -> BTreeSet<String> {
        if self.record.kind != ObjectKind::User {
            return BTreeSet::new();
        }
        let own = addresses(&self.record.attributes);
        addresses(&edit.values).into_iter().filter(|address| !own.contains(address)).collect()
    }

    /// Puts the record together with other local values.
    fn with(&self, local: Attributes, archived: bool) -> Result<Record> {
        let own = Own { id: self.row.id, kind: self.row.kind, local, archived };
        // Whose computer it is, no edit changes.
        compose(own, self.images.clone(), |_, _| Ok(self.record.owner.as_ref().map(|owner| owner.id)))
    }
}

/// Tells which attributes of a record may not be changed.
pub(super) fn check(connection: &Connection, record_no: i64, attributes: &[AttributeName]) -> Result<Vec<Refusal>> {
    let known = Known::read(connection, record_no)?;
    Ok(attributes.iter().filter_map(|name| known.refusal(name, Wish::Change)).collect())
}

impl Change<'_> {
    fn read(&self, id: RecordId) -> Result<(i64, Known)> {
        let record_no = known_no(self.transaction, self.customer, self.customer_no, id)?;
        Ok((record_no, Known::read(self.transaction, record_no)?))
    }

    /// Changes values. `held` are the addresses that were somebody else's when they were looked for.
    pub(super) fn edit(&mut self, id: RecordId, edit: &Edit, held: &BTreeMap<String, RecordId>) -> Result<Record> {
        let (record_no, known) = self.read(id)?;
        let set = edit.values.iter().map(|(name, value)| (name, Wish::Set(value)));
        let withdrawn = edit.withdrawn.iter().map(|name| (name, Wish::Withdraw));
        let refused: Vec<_> = set.chain(withdrawn).filter_map(|(name, wish)| known.refusal(name, wish)).collect();
        if let Some(first) = refused.first() {
            let names: Vec<_> = refused.iter().map(|refusal| refusal.attribute.as_str()).collect();
            let error = Error::from(first.clone()).with_context("record", id);
            return Err(if names.len() > 1 { error.with_context("all refused", names.join(", ")) } else { error });
        }
        self.refuse_taken(&known.new_addresses(edit), held, Some(record_no))?;
        let mut local = known.row.own.clone();
        // What somebody says of the record now, nothing says from below.
        for name in edit.attributes() {
            self.uncover(record_no, &name)?;
        }
        for (name, value) in edit.values.iter() {
            local.set(name.clone(), value.clone());
        }
        for name in &edit.withdrawn {
            local.forget(name);
        }
        let archived = known.row.archived;
        self.store(record_no, &known, &local, archived)
    }

    /// Stores local values and tells what the outside sees of it.
    fn store(&mut self, record_no: i64, known: &Known, local: &Attributes, archived: bool) -> Result<Record> {
        if *local != known.row.own {
            write_local(self.transaction, record_no, local)?;
        }
        let after = known.with(local_with_absorbed(self.transaction, record_no, local)?, archived)?;
        if after.kind == ObjectKind::User && after.lock.is_none() {
            remember_key(self.transaction, self.customer_no, record_no, &after.attributes)?;
        }
        upserted(&mut self.events, Some(&known.record), &after, NO_RUN)?;
        Ok(after)
    }

    pub(super) fn shelve(&mut self, id: RecordId, shelf: Shelf, now: Timestamp) -> Result<Record> {
        let (record_no, known) = self.read(id)?;
        if known.record.kind != ObjectKind::User {
            return Err(Error::config("only users are archived; this record is a group or a computer")
                .with_context("record", id));
        }
        let archived = shelf == Shelf::Archived;
        if archived == known.row.archived {
            return Ok(known.record);
        }
        self.transaction
            .prepare_cached("UPDATE records SET archived_at = ?2 WHERE record_no = ?1")
            .and_then(|mut update| update.execute(params![record_no, archived.then_some(now.0)]))
            .map_err(sql("archive a user"))?;
        let local = known.row.own.clone();
        self.store(record_no, &known, &local, archived)
    }

    /// Forgets what the records that this one absorbed say of an attribute.
    fn uncover(&self, record_no: i64, name: &AttributeName) -> Result<()> {
        for (below, mut local) in absorbed_locals(self.transaction, record_no)? {
            if local.forget(name).is_some() {
                write_local(self.transaction, below, &local)?;
            }
        }
        Ok(())
    }

    pub(super) fn set_tags(&mut self, id: RecordId, tags: &BTreeSet<String>) -> Result<Record> {
        let (record_no, known) = self.read(id)?;
        if known.record.kind != ObjectKind::User {
            return Err(
                Error::config("only users have tags; this record is a group or a computer").with_context("record", id)
            );
        }
        let tags = check_tags(tags)?;
        if known.row.local.get(&names::TAGS) == Some(&Value::list(tags.iter().map(String::as_str))) {
            return Ok(known.record);
        }
        self.uncover(record_no, &names::TAGS)?;
        let mut local = known.row.own.clone();
        match Value::list(tags.iter().map(String::as_str)) {
            Value::Empty => drop(local.forget(&names::TAGS)),
            tags => local.set(names::TAGS, tags),
        }
        write_tags(self.transaction, self.customer_no, record_no, &tags)?;
        let archived = known.row.archived;
        self.store(record_no, &known, &local, archived)
    }

    pub(super) fn remove(&mut self, id: RecordId) -> Result<()> {
        let (record_no, known) = self.read(id)?;
        if let Some(lock) = &known.record.lock {
            return Err(Error::new(
                crate::error::ErrorKind::Locked,
                "the record is locked by the endpoint that owns it; remove it there, or archive it here",
            )
            .with_context("owner", &lock.endpoint)
            .with_context("record", id));
        }
        self.end_memberships_of(record_no)?;
        if has_objects(self.transaction, record_no)? {
            // An endpoint that brings it back finds it again, without what was local.
            take_over(self.transaction, record_no)?;
            write_tags(self.transaction, self.customer_no, record_no, &BTreeSet::new())?;
            self.transaction
                .prepare_cached("UPDATE records SET state = 2, local = NULL, archived_at = NULL WHERE record_no = ?1")
                .and_then(|mut update| update.execute([record_no]))
                .map_err(sql("remove a record"))?;
        } else {
            remove_record(self.transaction, record_no)?;
        }
        let event_type = match known.record.kind {
            ObjectKind::User => EventType::UserRemoved,
            ObjectKind::Group => EventType::GroupRemoved,
            ObjectKind::Computer => EventType::ComputerRemoved,
        };
        tell_removed(&mut self.events, event_type, &known.record, false, NO_RUN)
    }
}

/// Stores the local values of a record.
pub(in super::super) fn write_local(connection: &Connection, record_no: i64, local: &Attributes) -> Result<()> {
    let bytes = (!local.is_empty()).then(|| {
        let mut bytes = Vec::new();
        codec::push_attributes(&mut bytes, local);
        bytes
    });
    connection
        .prepare_cached("UPDATE records SET local = ?2 WHERE record_no = ?1")
        .and_then(|mut update| update.execute(params![record_no, bytes]))
        .map(drop)
        .map_err(sql("store local values"))
}

/// Checks tags: neither empty nor with a comma, in which lists of them are written, nor longer than a name is.
pub(super) fn check_tags(tags: &BTreeSet<String>) -> Result<BTreeSet<String>> {
    let tags: BTreeSet<String> = tags.iter().map(|tag| tag.trim().to_owned()).collect();
    match lock::wrong_tag(&tags) {
        Some(message) => Err(Error::config(message)),
        None => Ok(tags),
    }
}

/// Writes by which tags a record is found.
pub(super) fn write_tags(
    connection: &Connection,
    customer_no: i64,
    record_no: i64,
    tags: &BTreeSet<String>,
) -> Result<()> {
    let step = || sql("store tags");
    connection
        .prepare_cached("DELETE FROM tags WHERE record_no = ?1")
        .and_then(|mut delete| delete.execute([record_no]))
        .map_err(step())?;
    for tag in tags {
        connection
            .prepare_cached("INSERT INTO tags VALUES (?1, ?2, ?3)")
            .and_then(|mut insert| insert.execute(params![customer_no, tag, record_no]))
            .map_err(step())?;
    }
    Ok(())
}
