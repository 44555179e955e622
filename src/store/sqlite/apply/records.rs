//! What is stored of a record: its own row, the images of its objects, and what they make together.
//!
//! It must not change anything, and does not know why it is read.

use rusqlite::{Connection, OptionalExtension, params};

use crate::error::Result;
use crate::model::{
    Attributes, CustomerId, EndpointName, ObjectKind, Record, RecordId, SourceId, SourceKey, Timestamp,
};
use crate::rules::precedence::{Image, Own, compose};
use crate::store::codec;
use crate::store::sqlite::join;
use crate::store::sqlite::{Class, Standing, State, damaged, kind_from_number, sql};

/// A record's own row.
pub(in super::super) struct RecordRow {
    pub(in super::super) id: RecordId,
    pub(in super::super) kind: ObjectKind,
    pub(in super::super) archived: bool,
    /// Local values, also those of the records that it absorbed.
    pub(in super::super) local: Attributes,
    /// Its own local values.
    pub(in super::super) own: Attributes,
}

impl RecordRow {
    /// Puts the record together from its images.
    pub(in super::super) fn compose(
        self,
        images: Vec<Image>,
        owner_id: impl FnOnce(&EndpointName, &SourceId) -> Result<Option<RecordId>>,
    ) -> Result<Record> {
        let Self { id, kind, archived, local, own: _ } = self;
        compose(Own { id, kind, local, archived }, images, owner_id)
    }
}

/// Reads a record's own row.
pub(in super::super) fn record_row(connection: &Connection, record_no: i64) -> Result<Option<RecordRow>> {
    let row = connection
        .prepare_cached(
            "SELECT id, kind, archived_at, local, EXISTS (SELECT 1 FROM absorbed WHERE into_no = ?1)
             FROM records WHERE record_no = ?1",
        )
        .and_then(|mut query| {
            query
                .query_row([record_no], |row| {
                    Ok((
                        row.get::<_, [u8; 16]>(0)?,
                        row.get::<_, i64>(1)?,
                        row.get::<_, Option<i64>>(2)?,
                        row.get::<_, Option<Vec<u8>>>(3)?,
                        row.get::<_, bool>(4)?,
                    ))
                })
                .optional()
        })
        .map_err(sql("read a record"))?;
    row.map(|(id, kind, archived_at, local, absorbs)| {
        let own = local.map(|bytes| codec::read_attributes(&bytes)).transpose()?.unwrap_or_default();
        let local = if absorbs { join::local_with_absorbed(connection, record_no, &own)? } else { own.clone() };
        Ok(RecordRow {
            id: RecordId(uuid::Uuid::from_bytes(id)),
            kind: kind_from_number(kind)?,
            archived: archived_at.is_some(),
            local,
            own,
        })
    })
    .transpose()
}

/// Merges the facets of an object over its core attributes.
pub(super) fn with_facets(connection: &Connection, object_no: i64, core: Attributes) -> Result<Attributes> {
    let step = || sql("read an object");
    let mut attributes = core;
    let mut query =
        connection.prepare_cached("SELECT body FROM facets WHERE object_no = ?1 ORDER BY facet").map_err(step())?;
    let mut rows = query.query([object_no]).map_err(step())?;
    while let Some(row) = rows.next().map_err(step())? {
        let body = row.get_ref(0).map_err(step())?.as_blob().map_err(|_| damaged("a facet"))?;
        attributes.merge(&codec::read_attributes(body)?);
    }
    Ok(attributes)
}

/// Reads the images of all objects of a record that are there.
pub(in super::super) fn images(connection: &Connection, record_no: i64) -> Result<Vec<Image>> {
    images_seeing(
        connection,
        record_no,
        |endpoint_no, id| standing_of(connection, endpoint_no, id),
        |_, _, _, _| Ok(()),
    )
}

/// The same; shows all objects of the record on the way, also those that are gone: number, endpoint, source id and state.
pub(super) fn images_seeing(
    connection: &Connection,
    record_no: i64,
    standing_of: impl Fn(i64, &SourceId) -> Result<Option<Standing>>,
    mut see: impl FnMut(i64, i64, &SourceId, State) -> Result<()>,
) -> Result<Vec<Image>> {
    let step = || sql("read the objects of a record");
    let mut query = connection
        .prepare_cached(concat!(
            "SELECT o.object_no, o.source_id, o.body, o.missing_since, e.endpoint_no, e.name, ",
            rank_in_record!(),
            ", e.yielded FROM objects o JOIN endpoints e USING (endpoint_no)
                 WHERE o.object_no = ?1 AND o.record_no = ?1
                 UNION ALL
                 SELECT o.object_no, o.source_id, o.body, o.missing_since, e.endpoint_no, e.name, ",
            rank_in_record!(),
            ", e.yielded FROM objects o INDEXED BY objects_joined JOIN endpoints e USING (endpoint_no)
                 WHERE o.record_no = ?1 AND o.record_no <> o.object_no"
        ))
        .map_err(step())?;
    let mut rows = query.query([record_no]).map_err(step())?;
    let mut images = Vec::new();
    while let Some(row) = rows.next().map_err(step())? {
        let object_no: i64 = row.get(0).map_err(step())?;
        let source_id =
            SourceId::from_stored(&row.get::<_, Vec<u8>>(1).map_err(step())?).ok_or_else(|| damaged("a source id"))?;
        let endpoint_no: i64 = row.get(4).map_err(step())?;
        let standing = standing_of(endpoint_no, &source_id)?;
        see(object_no, endpoint_no, &source_id, standing.map_or(State::Live, |standing| standing.state))?;
        // Without a probe, or with a mere member's, it is new: probes are written once all new objects are.
        if standing.is_some_and(|standing| is_object(standing) && !standing.is_present()) {
            continue;
        }
        let body: Vec<u8> = row.get(2).map_err(step())?;
        let attributes = with_facets(connection, object_no, codec::read_attributes(&body)?)?;
        images.push(Image {
            endpoint: EndpointName::new(row.get::<_, String>(5).map_err(step())?)?,
            rank: row.get(6).map_err(step())?,
            source_id,
            attributes,
            missing_since: row.get::<_, Option<i64>>(3).map_err(step())?.map(Timestamp),
            yielded: serde_json::from_str(&row.get::<_, String>(7).map_err(step())?).unwrap_or_default(),
        });
    }
    Ok(images)
}

pub(in super::super) fn standing_of(
    connection: &Connection,
    endpoint_no: i64,
    id: &SourceId,
) -> Result<Option<Standing>> {
    standing_at(connection, endpoint_no, &id.key())
}

pub(in super::super) fn standing_at(
    connection: &Connection,
    endpoint_no: i64,
    key: &SourceKey,
) -> Result<Option<Standing>> {
    connection
        .prepare_cached("SELECT standing FROM probes WHERE endpoint_no = ?1 AND source_key = ?2 AND facet = 0")
        .and_then(|mut query| query.query_row(params![endpoint_no, key.0], |row| row.get(0)).optional())
        .map_err(sql("read an object"))?
        .map(Standing::from_number)
        .transpose()
}

/// Puts the record together as it stands in the state file. `None` where there is none.
pub(in super::super) fn load_record(connection: &Connection, record_no: i64) -> Result<Option<Record>> {
    load_record_while(connection, record_no, |_, _| Ok(None))
}

/// The same, while a run brings further objects.
pub(in super::super) fn load_record_while(
    connection: &Connection,
    record_no: i64,
    arriving: impl FnOnce(&EndpointName, &SourceKey) -> Result<Option<Arriving>>,
) -> Result<Option<Record>> {
    let Some(row) = record_row(connection, record_no)? else { return Ok(None) };
    let images = images(connection, record_no)?;
    row.compose(images, |endpoint, id| owner_id(connection, record_no, endpoint, id, arriving)).map(Some)
}

/// What is known of an owner that this run brings.
pub(in super::super) enum Arriving {
    /// It founds a record of this kind.
    Kind(ObjectKind),
    /// It has this one, or takes it over.
    Record(RecordId),
}

/// Returns the id of the record of a computer's owner: the one that there is, else the one that its first import founds.
/// Whether it is imported makes no difference: that changes without the computer, which is then told by nobody.
pub(in super::super) fn owner_id(
    connection: &Connection,
    record_no: i64,
    endpoint: &EndpointName,
    owner: &SourceId,
    arriving: impl FnOnce(&EndpointName, &SourceKey) -> Result<Option<Arriving>>,
) -> Result<Option<RecordId>> {
    let key = owner.key();
    let (customer, customer_no): (String, i64) = connection
        .prepare_cached(
            "SELECT c.id, c.customer_no FROM records JOIN customers c USING (customer_no) WHERE record_no = ?1",
        )
        .and_then(|mut query| query.query_row([record_no], |row| Ok((row.get(0)?, row.get(1)?))))
        .map_err(sql("read the owner of a computer"))?;
    let known: Option<(i64, Option<[u8; 16]>)> = connection
        .prepare_cached(
            "SELECT p.standing, r.id FROM endpoints e JOIN probes p USING (endpoint_no)
             LEFT JOIN objects o USING (object_no) LEFT JOIN records r ON r.record_no = o.record_no
             WHERE e.customer_no = ?1 AND e.name = ?2 AND p.source_key = ?3 AND p.facet = 0",
        )
        .and_then(|mut query| {
            query
                .query_row(params![customer_no, endpoint.as_str(), key.0], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()
        })
        .map_err(sql("read the owner of a computer"))?;
    let found = match known {
        Some((_, Some(id))) => Some(Arriving::Record(RecordId(uuid::Uuid::from_bytes(id)))),
        Some((standing, None)) => Standing::from_number(standing)?.kind().map(Arriving::Kind),
        None => None,
    };
    let found = match found {
        None => arriving(endpoint, &key)?,
        found => found,
    };
    Ok(Some(match found {
        Some(Arriving::Record(id)) => id,
        // Some computers belong to a group; who is not known is a person.
        found => {
            let kind = if let Some(Arriving::Kind(kind)) = found { kind } else { ObjectKind::User };
            RecordId::founded_by(&CustomerId::new(customer)?, endpoint, kind, &key)
        }
    }))
}

/// Tells whether a class is an imported object of a kind.
pub(in super::super) fn is_object(standing: Standing) -> bool {
    matches!(standing.class, Class::Object(_))
}
