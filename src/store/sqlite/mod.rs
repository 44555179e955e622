//! The embedded store: one SQLite file for any number of customers, beside it a folder for runs under way.
//!
//! Every function here blocks; callers keep it off the async threads.

/// The place of an endpoint in the order that a record follows: while the order changes, some follow the next one already.
macro_rules! rank_in_record {
    () => {
        "CASE WHEN e.next_rank IS NULL
               OR o.record_no > (SELECT upto FROM reorders r WHERE r.customer_no = e.customer_no)
              THEN e.rank ELSE e.next_rank END"
    };
}

mod apply;
mod directory;
mod edit;
mod erasure;
mod export;
mod feed;
mod join;
mod key_index;
mod left_over;
mod locks;
mod member;
mod outbox;
mod plan;
mod query;
mod redaction;
mod release;
mod reorder;
mod retention;
mod run;
mod schema;
mod stage;
mod turn;

#[cfg(fuzzing)]
pub use outbox::event_segment;
#[cfg(fuzzing)]
pub use plan::held_items;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use crate::error::{Error, ErrorKind, Result, Retry};
use crate::model::{MemberKind, ObjectKind};

/// Bytes of a write-ahead log behind which a run empties it.
const LOG_WORTH_EMPTYING: u64 = 4 << 20;
/// How often a statement looks whether another writer is done, and how many times.
const BUSY_PAUSE: Duration = Duration::from_millis(2);
const BUSY_LOOKS: i32 = 15_000;
/// What a large apply leaves to other writers between two of its chunks: enough for them to look.
const BREATH: Duration = Duration::from_millis(5);
/// The write-ahead log shrinks back to this size in bytes after each checkpoint.
const WAL_LIMIT: i64 = 16 << 20;

/// The embedded store.
pub struct SqliteStore {
    path: PathBuf,
    work: PathBuf,
    host: Mutex<Connection>,
    projection: query::Projection,
}

impl SqliteStore {
    /// Opens a state file, or creates it.
    ///
    /// # Errors
    /// [`ErrorKind::Store`] for a file of another program, of a newer version, a damaged one, or one that cannot be
    /// written. The file is left as it is.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().to_owned();
        let in_file = |error: Error| error.with_context("file", path.display());
        // Before anything else: to open a file for writing is to change it.
        schema::check(&open(&path).map_err(in_file)?).map_err(in_file)?;
        let mut host = connect(&path, 4 << 20).map_err(in_file)?;
        schema::migrate(&mut host).map_err(in_file)?;
        let mut work = path.clone().into_os_string();
        work.push(".work");
        let work = PathBuf::from(work);
        std::fs::create_dir_all(&work).map_err(io("create the folder for runs under way", &work))?;
        let projection = query::Projection::beside(&path, &work);
        Ok(Self { path, work, host: Mutex::new(host), projection })
    }

    /// Returns the path of the state file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens one more connection, with a page cache of so many bytes.
    fn connect(&self, cache: i64) -> Result<Connection> {
        connect(&self.path, cache).map_err(|error| error.with_context("file", self.path.display()))
    }

    /// Empties a write-ahead log that has grown, unless somebody reads from it: whoever opens the file next would have
    /// to go through all of it.
    fn empty_log(&self, writer: &Connection) {
        let mut log = self.path.clone().into_os_string();
        log.push("-wal");
        if std::fs::metadata(log).is_ok_and(|log| log.len() > LOG_WORTH_EMPTYING) {
            // Nobody waits for it: the next run tries again.
            let _ = writer.busy_handler(None);
            let _ = writer.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        }
    }

    /// Returns the connection that all calls of the host share.
    fn host(&self) -> MutexGuard<'_, Connection> {
        // A panic while it was held rolled its transaction back.
        self.host.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").field("path", &self.path).finish_non_exhaustive()
    }
}

fn open(path: &Path) -> Result<Connection> {
    let step = || sql("open the state file");
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(step())?;
    // SQLite's own waiting looks ever more rarely: beside an apply it would come too late each time.
    connection.busy_handler(Some(look_again)).map_err(step())?;
    Ok(connection)
}

fn look_again(looks: i32) -> bool {
    pause(BUSY_PAUSE);
    looks < BUSY_LOOKS
}

/// Waits for other users of the file, other processes among them: they know no clock of ours.
#[allow(clippy::disallowed_methods)]
fn pause(time: Duration) {
    std::thread::sleep(time);
}

fn connect(path: &Path, cache: i64) -> Result<Connection> {
    let step = || sql("open the state file");
    let connection = open(path)?;
    connection.pragma_update(None, "journal_mode", "WAL").map_err(step())?;
    // An event is handed out only after its commit is on the disk.
    connection.pragma_update(None, "synchronous", "FULL").map_err(step())?;
    connection.pragma_update(None, "foreign_keys", "ON").map_err(step())?;
    connection.pragma_update(None, "cache_size", -(cache / 1024)).map_err(step())?;
    connection.pragma_update(None, "journal_size_limit", WAL_LIMIT).map_err(step())?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Translates an error of SQLite, naming what was being done.
fn sql(operation: &'static str) -> impl Fn(rusqlite::Error) -> Error {
    move |error| {
        use rusqlite::ErrorCode;
        // Where there is no room for the file beside the log, SQLite calls that a failure to read or write.
        let extended = error.sqlite_error().map(|error| error.extended_code);
        let code = match error.sqlite_error_code() {
            Some(ErrorCode::SystemIoFailure) if extended == Some(rusqlite::ffi::SQLITE_IOERR_SHMSIZE) => {
                Some(ErrorCode::DiskFull)
            }
            code => code,
        };
        let (message, retry) = match code {
            Some(ErrorCode::DiskFull) => {
                ("the disk is full; make room and start again, nothing was lost", Retry::Backoff)
            }
            Some(ErrorCode::NotADatabase) => ("the file is no SQLite database; name another file", Retry::Never),
            Some(ErrorCode::DatabaseCorrupt) => {
                ("the file is damaged; restore it from a backup, or begin with a new one", Retry::Never)
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                ("another program holds the file; try again when it is done", Retry::Backoff)
            }
            Some(ErrorCode::ReadOnly) => ("the file cannot be written; check its permissions", Retry::Never),
            Some(ErrorCode::CannotOpen) => ("the file cannot be opened; check path and permissions", Retry::Never),
            Some(ErrorCode::SystemIoFailure) => ("reading or writing the file failed", Retry::Backoff),
            _ => {
                // Names tables and columns, never values.
                return Error::new(ErrorKind::Store, "the database refused a statement")
                    .with_operation(operation)
                    .with_context("reason", &error)
                    .with_source(error);
            }
        };
        Error::new(ErrorKind::Store, message).with_operation(operation).with_retry(retry).with_source(error)
    }
}

/// Translates an error of the file system, naming what was being done and where.
fn io(operation: &'static str, path: &Path) -> impl Fn(std::io::Error) -> Error {
    let path = path.display().to_string();
    move |error| {
        let message = if error.kind() == std::io::ErrorKind::StorageFull {
            "the disk is full; make room and start again, nothing was lost"
        } else {
            "the file system refused"
        };
        Error::new(ErrorKind::Store, message)
            .with_operation(operation)
            .with_context("path", &path)
            .with_context("reason", error.kind())
            .with_source(error)
    }
}

fn damaged(what: &'static str) -> Error {
    Error::new(ErrorKind::Store, "a stored value cannot be read: the file is damaged; restore it from a backup")
        .with_context("what", what)
}

/// What an object is and how it stands, as one stored number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Standing {
    class: Class,
    state: State,
}

/// What an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Imported.
    Object(ObjectKind),
    /// Never imported; only a group names it.
    Stub(MemberKind),
}

/// How an object stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Seen.
    Live,
    /// Removed, restorable.
    Soft,
    /// Removed.
    Gone,
    /// Not seen in a complete listing, and not proven gone.
    Missing,
}

impl Standing {
    const fn live(kind: ObjectKind) -> Self {
        Self { class: Class::Object(kind), state: State::Live }
    }

    /// Whether it counts as being there.
    fn is_present(self) -> bool {
        matches!((self.class, self.state), (Class::Object(_), State::Live | State::Missing))
    }

    fn kind(self) -> Option<ObjectKind> {
        match self.class {
            Class::Object(kind) => Some(kind),
            Class::Stub(_) => None,
        }
    }

    fn member_kind(self) -> MemberKind {
        match self.class {
            Class::Object(ObjectKind::User) => MemberKind::User,
            Class::Object(ObjectKind::Group) => MemberKind::Group,
            Class::Object(ObjectKind::Computer) => MemberKind::Computer,
            Class::Stub(kind) => kind,
        }
    }

    fn to_number(self) -> i64 {
        let class = match self.class {
            Class::Object(kind) => kind_number(kind),
            Class::Stub(kind) => 3 + i64::from(crate::store::codec::member_kind_number(kind)),
        };
        let state = match self.state {
            State::Live => 0,
            State::Soft => 1,
            State::Gone => 2,
            State::Missing => 3,
        };
        class * 4 + state
    }

    fn from_number(number: i64) -> Result<Self> {
        let class = match number / 4 {
            0 => Class::Object(ObjectKind::User),
            1 => Class::Object(ObjectKind::Group),
            2 => Class::Object(ObjectKind::Computer),
            stub @ 3..=9 => Class::Stub(crate::store::codec::member_kind(
                u8::try_from(stub - 3).map_err(|_| damaged("a standing"))?,
            )),
            _ => return Err(damaged("a standing")),
        };
        let state = match number % 4 {
            0 => State::Live,
            1 => State::Soft,
            2 => State::Gone,
            3 => State::Missing,
            _ => return Err(damaged("a standing")),
        };
        Ok(Self { class, state })
    }
}

fn kind_number(kind: ObjectKind) -> i64 {
    match kind {
        ObjectKind::User => 0,
        ObjectKind::Group => 1,
        ObjectKind::Computer => 2,
    }
}

fn kind_from_number(number: i64) -> Result<ObjectKind> {
    match number {
        0 => Ok(ObjectKind::User),
        1 => Ok(ObjectKind::Group),
        2 => Ok(ObjectKind::Computer),
        _ => Err(damaged("a kind")),
    }
}

/// The `counts.what` of memberships; kinds of objects come before it.
const COUNT_MEMBERSHIPS: i64 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_standing_reads_back() {
        for number in 0..40 {
            assert_eq!(Standing::from_number(number).unwrap().to_number(), number);
        }
        assert!(Standing::from_number(40).is_err());
        assert!(Standing::from_number(-1).is_err());
    }
}
