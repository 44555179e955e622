//! Looks for the objects of other endpoints that an object has something in common with, and judges it from both sides.
//!
//! Whether two belong together depends on what their two endpoints show, not on who was imported first. It writes nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use rusqlite::{Connection, OptionalExtension, params};

use super::keys::{persona, stored_persona};
use crate::error::Result;
use crate::model::{AttributeName, ConflictReason, JoinReason, ObjectKind, SourceId, SourceKey};
use crate::rules::diff;
use crate::rules::domains;
use crate::rules::evidence::{Common, Persona, address_key};
use crate::store::codec;
use crate::store::sqlite::apply::{is_object, standing_at, standing_of};
use crate::store::sqlite::stage::Stage;
use crate::store::sqlite::{Standing, State, damaged, kind_from_number, sql};

/// What more objects than these share tells nothing of any of them.
const TOO_MANY: usize = 64;

/// What is the same for all objects of one apply.
#[derive(Debug, Clone)]
pub(in super::super) struct Ground {
    pub(super) customer_no: i64,
    /// The customer's web domains, in the form in which they are compared.
    domains: BTreeSet<String>,
    /// Endpoints that have been imported.
    endpoints: Vec<i64>,
    /// Whether anybody ever said of two objects that they are not the same.
    pub(in super::super) any_apart: bool,
}

impl Ground {
    pub(in super::super) fn read(connection: &Connection, customer_no: i64) -> Result<Self> {
        let step = || sql("read the domains of a customer");
        let domains = connection
            .prepare_cached("SELECT domain FROM customer_domains WHERE customer_no = ?1")
            .and_then(|mut query| query.query_map([customer_no], |row| row.get(0))?.collect())
            .map_err(step())?;
        let endpoints = connection
            .prepare_cached("SELECT endpoint_no FROM endpoints WHERE customer_no = ?1 AND name NOT LIKE '.%'")
            .and_then(|mut query| query.query_map([customer_no], |row| row.get(0))?.collect())
            .map_err(step())?;
        let any_apart = connection
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM apart)")
            .and_then(|mut query| query.query_row([], |row| row.get(0)))
            .map_err(step())?;
        Ok(Self { customer_no, domains, endpoints, any_apart })
    }

    fn is_verified(&self, address: &str) -> bool {
        domains::domains_of(address).into_iter().flatten().any(|domain| self.domains.contains(&domain))
    }
}

/// An object as it is once the run has been applied.
#[derive(Debug)]
struct Known {
    endpoint_no: i64,
    persona: Persona,
}

/// What an object has in common with those of one other endpoint.
type Matches = BTreeMap<Common, BTreeSet<i64>>;

/// Whom an object belongs together with, and whom it contradicts.
#[derive(Debug, Default)]
pub(in super::super) struct Links {
    /// The strongest first.
    pub(in super::super) joins: Vec<(JoinReason, i64)>,
    pub(in super::super) conflicts: Vec<(ConflictReason, BTreeSet<i64>)>,
}

/// What many questions will ask for, read beforehand in the order of the pages: alone, each look-up reads pages of its own.
#[derive(Default)]
pub(in super::super) struct Ahead {
    known: BTreeMap<i64, Option<Rc<Known>>>,
    holders: BTreeMap<i64, Rc<[i64]>>,
    /// Of objects of other endpoints: what no apply of this one changes.
    standings: HashMap<(i64, [u8; 16]), Option<Standing>>,
}

/// Holders of a key up to which they are read beforehand: mostly there is one in each endpoint.
const FEW: usize = 4;

impl Ahead {
    /// Reads what will be asked for some new objects: their numbers, kinds, bodies and anchors.
    pub(in super::super) fn read<'r>(
        connection: &Connection,
        stage: &Stage,
        ground: &Ground,
        rows: impl Iterator<Item = (i64, ObjectKind, &'r [u8], Option<&'r str>)>,
    ) -> Result<Self> {
        let mut evidence = Evidence::new(connection, Some(stage), ground, None);
        let mut own = Vec::new();
        for (object_no, kind, body, anchors) in rows {
            let persona = persona(kind, &codec::read_attributes(body)?, anchors)?;
            let known = Rc::new(Known { endpoint_no: stage.endpoint_no, persona });
            evidence.known.insert(object_no, Some(Rc::clone(&known)));
            own.push(known);
        }
        let anchors: BTreeSet<i64> =
            own.iter().flat_map(|known| known.persona.anchor_keys().map(|(_, key)| key)).collect();
        for key in anchors {
            evidence.holders(key)?;
        }
        // Who shares an anchor is mostly asked for nothing more.
        let mut addresses = BTreeSet::new();
        for known in own {
            let shared = |(_, key)| evidence.holders.get(&key).is_some_and(|holders| holders.len() > 1);
            if !known.persona.anchor_keys().any(shared) {
                addresses.extend(known.persona.addresses().iter().map(|address| address_key(address)));
            }
        }
        for key in addresses {
            evidence.holders(key)?;
        }
        let few = evidence.holders.values().filter(|holders| holders.len() <= FEW);
        let others: BTreeSet<i64> =
            few.flat_map(|holders| holders.iter().copied()).filter(|no| !evidence.known.contains_key(no)).collect();
        let (mut keys, mut stored) = (BTreeSet::new(), Vec::new());
        for other in others {
            let row = StoredRow::read(connection, other)?;
            if let Some(row) = row.as_ref().filter(|row| row.endpoint_no != stage.endpoint_no) {
                keys.insert((row.endpoint_no, row.source_id.key().0));
            }
            stored.push((other, row));
        }
        let mut ahead = Self::default();
        for (endpoint_no, key) in keys {
            ahead.standings.insert((endpoint_no, key), standing_at(connection, endpoint_no, &SourceKey(key))?);
        }
        let mut found = Evidence::new(connection, Some(stage), ground, Some(&ahead));
        for (other, row) in stored {
            found.know(other, row)?;
        }
        let mut others = found.known;
        ahead.known = evidence.known;
        ahead.known.append(&mut others);
        ahead.holders = evidence.holders;
        Ok(ahead)
    }

    /// Returns how an object stands.
    pub(in super::super) fn standing_of(
        &self,
        connection: &Connection,
        endpoint_no: i64,
        id: &SourceId,
    ) -> Result<Option<Standing>> {
        let key = id.key();
        match self.standings.get(&(endpoint_no, key.0)) {
            Some(standing) => Ok(*standing),
            None => standing_at(connection, endpoint_no, &key),
        }
    }
}

/// Looks for evidence; what it has read is kept for one question.
pub(in super::super) struct Evidence<'a> {
    connection: &'a Connection,
    /// What is being applied: its objects are taken as they will be.
    stage: Option<&'a Stage>,
    ground: &'a Ground,
    /// What was read before.
    ahead: Option<&'a Ahead>,
    known: BTreeMap<i64, Option<Rc<Known>>>,
    holders: BTreeMap<i64, Rc<[i64]>>,
}

impl<'a> Evidence<'a> {
    pub(in super::super) fn new(
        connection: &'a Connection,
        stage: Option<&'a Stage>,
        ground: &'a Ground,
        ahead: Option<&'a Ahead>,
    ) -> Self {
        Self { connection, stage, ground, ahead, known: BTreeMap::new(), holders: BTreeMap::new() }
    }

    /// Tells whether anything of a stored object is staged that it may be joined by.
    pub(in super::super) fn has_changed(&mut self, object_no: i64) -> Result<bool> {
        let Some(staged) = self.known(object_no)? else { return Ok(false) };
        let stored = stored_persona(self.connection, object_no)?;
        Ok(stored.is_none_or(|stored| stored != staged.persona))
    }

    /// Tells whom an object belongs together with.
    pub(in super::super) fn links(&mut self, object_no: i64) -> Result<Links> {
        let mut links = Links::default();
        let Some(own) = self.known(object_no)? else { return Ok(links) };
        for (_, matches) in self.matches(object_no, None, JoinReason::NaturalKey)? {
            let Some((common, others)) = matches.into_iter().next() else { continue };
            let reason = match common {
                Common::Objects(reason) => {
                    links.conflicts.push((reason, others));
                    continue;
                }
                Common::Joins(reason) => reason,
            };
            let only = others.first().copied().filter(|_| others.len() == 1);
            let back = match only {
                Some(other) => self.best(other, own.endpoint_no, reason)?,
                None => None,
            };
            match back {
                Some((back, own)) if back == reason && own == BTreeSet::from([object_no]) => {
                    links.joins.extend(only.map(|other| (reason, other)));
                }
                Some((back, _)) if back < reason => links.conflicts.push((ConflictReason::JoinedOtherwise, others)),
                _ => links.conflicts.push((ConflictReason::SeveralCandidates, others)),
            }
        }
        links.joins.sort_unstable();
        Ok(links)
    }

    /// Returns the strongest reason why an object belongs to one of an endpoint, and to which of them.
    fn best(
        &mut self,
        object_no: i64,
        endpoint_no: i64,
        up_to: JoinReason,
    ) -> Result<Option<(JoinReason, BTreeSet<i64>)>> {
        let found = self.matches(object_no, Some(endpoint_no), up_to)?.remove(&endpoint_no);
        Ok(found.and_then(|matches| matches.into_iter().next()).and_then(|(common, own)| match common {
            Common::Joins(reason) => Some((reason, own)),
            Common::Objects(_) => None,
        }))
    }

    /// Lists what an object has in common with those of other endpoints, or of one of them; reasons weaker than `up_to`
    /// are not asked for.
    fn matches(&mut self, object_no: i64, only: Option<i64>, up_to: JoinReason) -> Result<BTreeMap<i64, Matches>> {
        let mut found: BTreeMap<i64, Matches> = BTreeMap::new();
        let Some(own) = self.known(object_no)? else { return Ok(found) };
        let apart = self.apart(object_no)?;
        let asked = |endpoint_no: i64| endpoint_no != own.endpoint_no && only.is_none_or(|only| only == endpoint_no);
        for (reason, key) in own.persona.anchor_keys() {
            if reason > up_to {
                break;
            }
            for other in self.holders(key)?.iter().copied() {
                let Some(known) = self.known(other)?.filter(|known| asked(known.endpoint_no)) else { continue };
                if apart.contains(&other) {
                    continue;
                }
                if let Some(common @ Common::Joins(_)) = own.persona.in_common(&known.persona, |_| false)
                    && common <= Common::Joins(JoinReason::SecurityId)
                {
                    found.entry(known.endpoint_no).or_default().entry(common).or_default().insert(other);
                }
            }
        }
        // An anchor settles it: addresses are asked of the other endpoints only.
        let open: BTreeSet<i64> =
            self.ground.endpoints.iter().copied().filter(|no| asked(*no) && !found.contains_key(no)).collect();
        if up_to <= JoinReason::SecurityId || open.is_empty() {
            return Ok(found);
        }
        // Who has each address, by endpoint.
        let mut having: BTreeMap<String, BTreeMap<i64, BTreeSet<i64>>> = BTreeMap::new();
        for address in own.persona.addresses() {
            let mut by_endpoint: BTreeMap<i64, BTreeSet<i64>> = BTreeMap::new();
            for other in self.holders(address_key(address))?.iter().copied() {
                let Some(known) = self.known(other)? else { continue };
                if known.persona.addresses().contains(address) {
                    by_endpoint.entry(known.endpoint_no).or_default().insert(other);
                }
            }
            having.insert(address.clone(), by_endpoint);
        }
        for endpoint_no in open {
            let others: BTreeSet<i64> =
                having.values().filter_map(|by| by.get(&endpoint_no)).flatten().copied().collect();
            let alone = |address: &str| {
                let Some(by) = having.get(address) else { return false };
                let one = |no: &i64| by.get(no).is_some_and(|all| all.len() == 1);
                one(&own.endpoint_no) && one(&endpoint_no) && self.ground.is_verified(address)
            };
            let mut matches = Matches::new();
            for other in others {
                let Some(known) = self.known(other)? else { continue };
                if apart.contains(&other) {
                    continue;
                }
                if let Some(common) = own.persona.in_common(&known.persona, alone) {
                    matches.entry(common).or_default().insert(other);
                }
            }
            found.insert(endpoint_no, matches);
        }
        Ok(found)
    }

    /// Lists the objects that somebody said are not the same.
    fn apart(&self, object_no: i64) -> Result<BTreeSet<i64>> {
        if !self.ground.any_apart {
            return Ok(BTreeSet::new());
        }
        self.connection
            .prepare_cached("SELECT other_no FROM apart WHERE object_no = ?1")
            .and_then(|mut query| query.query_map([object_no], |row| row.get(0))?.collect())
            .map_err(sql("read what is kept apart"))
    }

    fn holders(&mut self, key: i64) -> Result<Rc<[i64]>> {
        let ahead = self.ahead.and_then(|ahead| ahead.holders.get(&key));
        if let Some(holders) = ahead.or_else(|| self.holders.get(&key)) {
            return Ok(Rc::clone(holders));
        }
        let mut holders: Vec<i64> = self
            .connection
            // Without a bound `LIMIT`, for which SQLite would prepare it anew each time.
            .prepare_cached("SELECT object_no FROM join_keys WHERE customer_no = ?1 AND key = ?2")
            .and_then(|mut query| {
                let holders = query.query_map(params![self.ground.customer_no, key], |row| row.get(0))?;
                holders.take(TOO_MANY + 1).collect()
            })
            .map_err(sql("read the index of joins"))?;
        if holders.len() > TOO_MANY {
            holders.clear();
        }
        let holders: Rc<[i64]> = holders.into();
        self.holders.insert(key, Rc::clone(&holders));
        Ok(holders)
    }

    /// Reads an object that is there.
    fn known(&mut self, object_no: i64) -> Result<Option<Rc<Known>>> {
        let ahead = self.ahead.and_then(|ahead| ahead.known.get(&object_no));
        if let Some(known) = ahead.or_else(|| self.known.get(&object_no)) {
            return Ok(known.clone());
        }
        self.know(object_no, StoredRow::read(self.connection, object_no)?)
    }

    /// The same, once it is known what is stored of it.
    fn know(&mut self, object_no: i64, row: Option<StoredRow>) -> Result<Option<Rc<Known>>> {
        let known = match (self.stored(object_no, row)?, self.stage) {
            // What other endpoints show is not staged.
            (Stored::Other(known), _) => known,
            (Stored::Own(known), Some(stage)) => match staged_persona(self.connection, stage, object_no)? {
                Some(_) if stage.goes(object_no)? => None,
                Some(persona) => Some(Known { endpoint_no: stage.endpoint_no, persona }),
                None => known,
            },
            (Stored::Own(known), None) => known,
        };
        let known = known.map(Rc::new);
        self.known.insert(object_no, known.clone());
        Ok(known)
    }
}

/// Puts together what a staged object will be joined by; `None` if its core is not staged.
fn staged_persona(connection: &Connection, stage: &Stage, object_no: i64) -> Result<Option<Persona>> {
    let mut query = stage
        .file
        .prepare_cached("SELECT kind, body, anchors, held FROM objects WHERE stage_no = ?1")
        .map_err(sql("read the stage"))?;
    let mut rows = query.query([object_no * 4]).map_err(sql("read the stage"))?;
    let row = rows.next().map_err(sql("read the stage"))?;
    row.map(|row| persona_in_row(connection, stage, object_no, row)).transpose()
}

/// The same from a row that begins with kind, body, anchors and what is held back.
pub(in super::super) fn persona_in_row(
    connection: &Connection,
    stage: &Stage,
    object_no: i64,
    row: &rusqlite::Row<'_>,
) -> Result<Persona> {
    let step = || sql("read the stage");
    let body = row.get_ref(1).map_err(step())?.as_blob().map_err(|_| damaged("a staged object"))?;
    let anchors = row.get_ref(2).map_err(step())?.as_str_or_null().map_err(|_| damaged("anchors"))?;
    let mut attributes = codec::read_attributes(body)?;
    if let Some(held) = row.get::<_, Option<String>>(3).map_err(step())? {
        let stored: Option<Vec<u8>> = connection
            // Under its new number once it is stored, under the old one before.
            .prepare_cached("SELECT body FROM objects WHERE object_no IN (?1, ?2) ORDER BY object_no = ?1 DESC LIMIT 1")
            .and_then(|mut query| {
                query
                    .query_row([object_no, stage.renames.old_of(object_no).unwrap_or(object_no)], |row| row.get(0))
                    .optional()
            })
            .map_err(sql("read an object"))?;
        let held: Vec<AttributeName> = held.split(',').map(AttributeName::parse).collect();
        let stored = stored.map(|stored| codec::read_attributes(&stored)).transpose()?.unwrap_or_default();
        diff::hold_back(&stored, &mut attributes, &held);
    }
    persona(kind_from_number(row.get(0).map_err(step())?)?, &attributes, anchors)
}

/// What is stored of an object.
struct StoredRow {
    endpoint_no: i64,
    source_id: SourceId,
    body: Vec<u8>,
    anchors: Option<String>,
    kind: i64,
}

impl StoredRow {
    fn read(connection: &Connection, object_no: i64) -> Result<Option<Self>> {
        type Row = (i64, Vec<u8>, Vec<u8>, Option<String>, i64);
        let row: Option<Row> = connection
            .prepare_cached(
                "SELECT o.endpoint_no, o.source_id, o.body, o.anchors, r.kind
                 FROM objects o JOIN records r ON r.record_no = o.record_no WHERE object_no = ?1",
            )
            .and_then(|mut query| {
                query
                    .query_row([object_no], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)))
                    .optional()
            })
            .map_err(sql("read an object"))?;
        row.map(|(endpoint_no, source_id, body, anchors, kind)| {
            let source_id = SourceId::from_stored(&source_id).ok_or_else(|| damaged("a source id"))?;
            Ok(Self { endpoint_no, source_id, body, anchors, kind })
        })
        .transpose()
    }
}

/// An object that is there, and stays, as it is stored.
enum Stored {
    /// Of another endpoint than the one that is being applied.
    Other(Option<Known>),
    /// Of that endpoint, or not stored.
    Own(Option<Known>),
}

impl Evidence<'_> {
    fn stored(&self, object_no: i64, row: Option<StoredRow>) -> Result<Stored> {
        let Some(row) = row else { return Ok(Stored::Own(None)) };
        let StoredRow { endpoint_no, source_id, body, anchors, kind } = row;
        let own = self.stage.filter(|stage| stage.endpoint_no == endpoint_no);
        let known = if self.stays(own, endpoint_no, object_no, &source_id)? {
            let attributes = codec::read_attributes(&body)?;
            Some(Known { endpoint_no, persona: persona(kind_from_number(kind)?, &attributes, anchors.as_deref())? })
        } else {
            None
        };
        Ok(if own.is_some() { Stored::Own(known) } else { Stored::Other(known) })
    }

    fn stays(&self, stage: Option<&Stage>, endpoint_no: i64, object_no: i64, source_id: &SourceId) -> Result<bool> {
        let standing = match self.ahead {
            Some(ahead) => ahead.standing_of(self.connection, endpoint_no, source_id)?,
            None => standing_of(self.connection, endpoint_no, source_id)?,
        };
        // Without a probe it is new: probes are written once all new objects are.
        if standing.is_some_and(|standing| is_object(standing) && !standing.is_present()) {
            return Ok(false);
        }
        // A weak id that is not seen any more tells nothing: its person may have another one by now.
        if source_id.is_weak() && standing.is_some_and(|standing| standing.state == State::Missing) {
            return Ok(false);
        }
        let Some(stage) = stage else { return Ok(true) };
        let goes = stage.goes(object_no)? || source_id.is_weak() && stage.is_candidate(object_no)?;
        Ok(!goes)
    }
}
