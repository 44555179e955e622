//! A directory server in memory: pages, members, changes, accounts, and the ways in which a server can fail.
//! It knows no endpoint.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use tenantry::model::{ObjectKind, SourceId};
use tenantry::{Error, ErrorKind, Result, Retry};
use uuid::Uuid;

pub(crate) const PASSWORD: &str = "correct horse battery";

#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each is a column")]
pub(crate) struct Row {
    pub(crate) id: Uuid,
    pub(crate) kind: ObjectKind,
    pub(crate) place: &'static str,
    pub(crate) first: String,
    pub(crate) last: String,
    pub(crate) mail: Option<String>,
    /// `None`: the account may not read it.
    pub(crate) suspended: Option<bool>,
    pub(crate) locked: bool,
    pub(crate) primary: Option<Uuid>,
    pub(crate) broken: bool,
    pub(crate) outside: bool,
    /// Of the system: not to be touched.
    pub(crate) system: bool,
    hidden: bool,
    protected: bool,
    /// The number of the last change.
    pub(crate) changed: u64,
}

/// What single objects are answered with.
#[derive(Debug)]
pub(crate) enum Found {
    There(Box<Row>),
    Deleted,
    Nothing,
}

#[derive(Debug, Clone)]
pub(crate) enum Change {
    Object(Box<Row>),
    Members(Uuid),
    Deleted(Uuid, ObjectKind),
}

/// A position in a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Token {
    pub(crate) after: u128,
    skipped: bool,
}

impl Token {
    pub(crate) fn after(id: u128) -> Self {
        Self { after: id, skipped: false }
    }
}

#[derive(Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fault of its own")]
pub(crate) struct Faults {
    pub(crate) from_call: Option<u32>,
    pub(crate) no_rights_from: Option<u32>,
    pub(crate) silent: bool,
    pub(crate) empty_pages: bool,
    pub(crate) repeat: bool,
    pub(crate) repeat_changes: bool,
    pub(crate) wrong_password: bool,
    pub(crate) ignore_changes: bool,
    pub(crate) swallow_answer: bool,
    pub(crate) no_rights: bool,
    pub(crate) no_state: bool,
    pub(crate) no_members: BTreeSet<Uuid>,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) directory: Uuid,
    pub(crate) rows: BTreeMap<Uuid, Row>,
    pub(crate) members: BTreeMap<Uuid, (u64, BTreeSet<Uuid>)>,
    deleted: BTreeMap<Uuid, (u64, Row)>,
    pub(crate) counter: u64,
    pub(crate) oldest_cursor: u64,
    pub(crate) sign_ins: u64,
    pub(crate) calls: u32,
    pub(crate) faults: Faults,
}

/// Objects, and members, on a page.
pub(crate) const PAGE: usize = 7;

#[derive(Debug, Clone)]
pub(crate) struct Server(Arc<Mutex<State>>);

pub(crate) fn guid(id: &SourceId) -> Uuid {
    match id {
        SourceId::Guid(guid) => *guid,
        other => panic!("{other} is no id of this server"),
    }
}

impl Server {
    pub(crate) fn new(directory: u128) -> Self {
        Self(Arc::new(Mutex::new(State {
            directory: Uuid::from_u128(directory),
            rows: BTreeMap::new(),
            members: BTreeMap::new(),
            deleted: BTreeMap::new(),
            counter: 1,
            oldest_cursor: 0,
            sign_ins: 0,
            calls: 0,
            faults: Faults::default(),
        })))
    }

    /// What its administrator sees and does.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// One call over the wire.
    async fn call<T>(&self, answer: impl FnOnce(&mut State) -> Result<T> + Send) -> Result<T> {
        if self.state().faults.silent {
            std::future::pending::<()>().await;
        }
        let mut state = self.state();
        state.calls += 1;
        if state.faults.from_call.is_some_and(|from| state.calls >= from) {
            return Err(Error::new(ErrorKind::Unavailable, "nobody answers").with_retry(Retry::Backoff));
        }
        if state.faults.no_rights_from.is_some_and(|from| state.calls >= from) {
            state.faults.no_rights = true;
        }
        answer(&mut state)
    }

    pub(crate) async fn sign_in(&self, password: &str) -> Result<()> {
        self.call(|state| {
            state.sign_ins += 1;
            if state.faults.wrong_password || password != PASSWORD {
                return Err(Error::new(ErrorKind::Unauthenticated, "the password is wrong; set the right one"));
            }
            Ok(())
        })
        .await
    }

    /// Tells its id, whether everything may be read, and the number of the last change.
    pub(crate) async fn about(&self) -> Result<(Uuid, bool, u64)> {
        self.call(|state| Ok((state.directory, !state.faults.no_rights, state.counter))).await
    }

    pub(crate) async fn page(&self, token: Token) -> Result<(Vec<Row>, Option<Token>)> {
        self.call(|state| {
            let token = if state.faults.repeat { Token::default() } else { token };
            if state.faults.empty_pages && !token.skipped {
                return Ok((Vec::new(), Some(Token { skipped: true, ..token })));
            }
            let mut rows: Vec<_> =
                state.visible().filter(|row| row.id.as_u128() > token.after && !row.outside).collect();
            let more = rows.len() > PAGE;
            rows.truncate(PAGE);
            let next = more.then(|| Token::after(rows.last().map_or(0, |row| row.id.as_u128())));
            Ok((rows, next))
        })
        .await
    }

    /// Gives members behind one; `None` where they may not be read.
    pub(crate) async fn members(&self, group: Uuid, after: u128) -> Result<Option<(Vec<Uuid>, bool)>> {
        self.call(|state| {
            if state.faults.no_rights || state.faults.no_members.contains(&group) {
                return Ok(None);
            }
            let all = state.members.get(&group).map(|(_, members)| members.clone()).unwrap_or_default();
            let mut rest: Vec<_> = all.into_iter().filter(|member| member.as_u128() > after).collect();
            let more = rest.len() > PAGE;
            rest.truncate(PAGE);
            Ok(Some((rest, more)))
        })
        .await
    }

    pub(crate) async fn find(&self, id: Uuid) -> Result<Found> {
        self.call(|state| {
            let there = state.visible().find(|row| row.id == id);
            Ok(match there {
                Some(row) => Found::There(Box::new(row)),
                None if state.deleted.contains_key(&id) => Found::Deleted,
                None => Found::Nothing,
            })
        })
        .await
    }

    /// Gives changes between two numbers, oldest first; `None` where the first one is forgotten.
    pub(crate) async fn changes(&self, after: u64, until: u64) -> Result<Option<(Vec<Change>, Option<u64>)>> {
        self.call(|state| {
            if after < state.oldest_cursor {
                return Ok(None);
            }
            let mut changes: BTreeMap<(u64, u8, Uuid), Change> = BTreeMap::new();
            for row in state.visible() {
                changes.insert((row.changed, 0, row.id), Change::Object(Box::new(row)));
            }
            for (group, (changed, _)) in &state.members {
                changes.insert((*changed, 1, *group), Change::Members(*group));
            }
            let tombstones = state.deleted.iter().filter(|_| !state.faults.no_rights);
            for (id, (changed, row)) in tombstones {
                changes.insert((*changed, 2, *id), Change::Deleted(*id, row.kind));
            }
            let within: Vec<_> = changes.into_iter().filter(|((at, ..), _)| *at > after && *at <= until).collect();
            let last = within.get(PAGE - 1).map(|((at, ..), _)| *at);
            let on_page = |at: u64| last.is_none_or(|last| at <= last);
            let next = last.filter(|last| within.iter().any(|((at, ..), _)| at > last));
            let next = if state.faults.repeat_changes { Some(after) } else { next };
            Ok(Some((
                within.into_iter().filter(|((at, ..), _)| on_page(*at)).map(|(_, change)| change).collect(),
                next,
            )))
        })
        .await
    }

    /// Sets whether an account is suspended. `false`: it may not be changed.
    pub(crate) async fn set_suspended(&self, id: Uuid, suspended: bool) -> Result<bool> {
        let changed = self
            .call(|state| {
                if state.rows.get(&id).is_none_or(|row| row.protected) {
                    return Ok(false);
                }
                if !state.faults.ignore_changes {
                    state.edit(id, |row| row.suspended = Some(suspended));
                }
                Ok(true)
            })
            .await;
        if self.state().faults.swallow_answer {
            std::future::pending::<()>().await;
        }
        changed
    }
}

impl State {
    fn visible(&self) -> impl Iterator<Item = Row> {
        let readable = |row: &Row| !self.faults.no_rights && !row.hidden;
        self.rows.values().filter(move |row| readable(row)).cloned().map(|mut row| {
            if self.faults.no_state {
                row.suspended = None;
            }
            row
        })
    }

    fn next(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    pub(crate) fn add(
        &mut self,
        kind: ObjectKind,
        place: &'static str,
        first: &str,
        last: &str,
        mail: Option<&str>,
    ) -> Uuid {
        let changed = self.next();
        // Ids say nothing about the order in which they were given.
        let id =
            Uuid::from_u128(u128::from(changed.wrapping_mul(0x9e37_79b9_7f4a_7c15)) << 64 | self.directory.as_u128());
        let row = Row {
            id,
            kind,
            place,
            first: first.to_owned(),
            last: last.to_owned(),
            mail: mail.map(str::to_owned),
            suspended: Some(false),
            locked: false,
            primary: None,
            broken: false,
            outside: false,
            system: false,
            hidden: false,
            protected: false,
            changed,
        };
        self.rows.insert(id, row);
        id
    }

    pub(crate) fn edit(&mut self, id: Uuid, change: impl FnOnce(&mut Row)) {
        let changed = self.next();
        let row = self.rows.get_mut(&id).unwrap();
        change(row);
        row.changed = changed;
    }

    pub(crate) fn hide(&mut self, id: Uuid) {
        self.rows.get_mut(&id).unwrap().hidden = true;
    }

    pub(crate) fn protect(&mut self, id: Uuid) {
        self.rows.get_mut(&id).unwrap().protected = true;
    }

    pub(crate) fn edit_members(&mut self, group: Uuid, change: impl FnOnce(&mut BTreeSet<Uuid>)) {
        let changed = self.next();
        let (at, members) = self.members.entry(group).or_default();
        change(members);
        *at = changed;
    }

    pub(crate) fn delete(&mut self, id: Uuid) {
        let changed = self.next();
        let row = self.rows.remove(&id).unwrap();
        self.members.remove(&id);
        for (at, members) in self.members.values_mut() {
            if members.remove(&id) {
                *at = changed;
            }
        }
        self.deleted.insert(id, (changed, row));
    }

    pub(crate) fn restore(&mut self, id: Uuid) {
        let changed = self.next();
        let (_, row) = self.deleted.remove(&id).unwrap();
        self.rows.insert(id, Row { changed, ..row });
    }
}
