//! The index file: opened, laid out, thrown away. It knows no record.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use crate::error::Result;
use crate::store::sqlite::{look_again, sql};

/// The layout of the index, of its keys and of its words: another one is built anew.
const LAYOUT: i64 = 5;
/// Bytes of the cache of a connection to the index, and of one to the state file.
const INDEX_CACHE: i64 = 24 << 20;
const STATE_CACHE: i64 = 4 << 20;
/// The write-ahead log shrinks back to this size in bytes.
const LOG_LIMIT: i64 = 4 << 20;
/// Readers that are kept open.
const IDLE: usize = 4;

/// The index beside a state file.
pub(in super::super) struct Projection {
    pub(super) path: PathBuf,
    pub(super) lock: PathBuf,
    idle: Mutex<Vec<Pair>>,
}

/// A connection to the state file and one to its index.
pub(super) struct Pair {
    pub(super) state: Connection,
    pub(super) index: Connection,
}

impl Projection {
    /// Names the files; nothing is opened before it is asked for.
    pub(in super::super) fn beside(state: &Path, work: &Path) -> Self {
        let mut path = state.as_os_str().to_owned();
        path.push(".index");
        Self { path: path.into(), lock: work.join("index.lock"), idle: Mutex::default() }
    }

    /// Takes a pair of connections that nobody uses.
    pub(super) fn pair(&self, state: &Path) -> Result<Pair> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.map_or_else(
            || Ok(Pair { state: super::super::connect(state, STATE_CACHE)?, index: open(&self.path)? }),
            Ok,
        )
    }

    /// Gives a pair back that is in no transaction.
    pub(super) fn give_back(&self, pair: Pair) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE {
            idle.push(pair);
        }
    }

    /// Closes the connections that nobody uses.
    pub(super) fn close_idle(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Removes a file that cannot be read. To be called with the lock.
    pub(super) fn remove(&self) {
        for end in ["", "-wal", "-shm"] {
            let mut path = self.path.clone().into_os_string();
            path.push(end);
            // What cannot be removed cannot be opened either, and that is told.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Opens the index, and lays it out if it is new or of another version.
fn open(path: &Path) -> Result<Connection> {
    let step = || sql("open the index");
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut index = Connection::open_with_flags(path, flags).map_err(step())?;
    index.busy_handler(Some(look_again)).map_err(step())?;
    index.pragma_update(None, "journal_mode", "WAL").map_err(step())?;
    // A commit that is lost with the power is made again: what matters is that the file stays whole.
    index.pragma_update(None, "synchronous", "NORMAL").map_err(step())?;
    index.pragma_update(None, "cache_size", -(INDEX_CACHE / 1024)).map_err(step())?;
    index.pragma_update(None, "journal_size_limit", LOG_LIMIT).map_err(step())?;
    index.pragma_update(None, "temp_store", "MEMORY").map_err(step())?;
    index.set_prepared_statement_cache_capacity(64);
    let layout = |index: &Connection| index.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0));
    if layout(&index).map_err(step())? != LAYOUT {
        let transaction = index.transaction_with_behavior(TransactionBehavior::Exclusive).map_err(step())?;
        // Somebody else may have done it while we waited.
        if layout(&transaction).map_err(step())? != LAYOUT {
            transaction
                .execute_batch(
                    "DROP TABLE IF EXISTS customers; DROP TABLE IF EXISTS entries; DROP TABLE IF EXISTS postings;
                     DROP TABLE IF EXISTS segments; DROP TABLE IF EXISTS addresses; DROP TABLE IF EXISTS orders;
                     DROP TABLE IF EXISTS runs; DROP TABLE IF EXISTS touched;",
                )
                .map_err(step())?;
            transaction.execute_batch(include_str!("schema.sql")).map_err(step())?;
            transaction.pragma_update(None, "user_version", LAYOUT).map_err(step())?;
        }
        transaction.commit().map_err(step())?;
    }
    Ok(index)
}
