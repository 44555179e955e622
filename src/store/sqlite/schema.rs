//! The tables of the state file and the steps that bring an older file to them.
//!
//! Numbers, not texts, join the tables: an object's number is given once and never again, and the record that an
//! object founds has the same number.

use rusqlite::{Connection, TransactionBehavior};

use super::sql;
use crate::error::{Error, ErrorKind, Result};

/// Marks a file as ours: "tNrY".
const APPLICATION_ID: i64 = 0x744e_7259;

/// One step each, in order; a released step never changes.
const MIGRATIONS: &[&str] = &[
    include_str!("schema/1.sql"),
    include_str!("schema/2.sql"),
    include_str!("schema/3.sql"),
    include_str!("schema/4.sql"),
    include_str!("schema/5.sql"),
    include_str!("schema/6.sql"),
];

fn pragma(connection: &Connection, name: &str) -> Result<i64> {
    connection.pragma_query_value(None, name, |row| row.get(0)).map_err(sql("open the state file"))
}

fn newest() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

/// Tells whether a file is one of ours, or empty. Only reads.
///
/// # Errors
/// A file of another program, of a newer version, or damaged.
pub(super) fn check(connection: &Connection) -> Result<()> {
    let id = pragma(connection, "application_id")?;
    let version = pragma(connection, "user_version")?;
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(sql("open the state file"))?;
    if id != APPLICATION_ID && (tables > 0 || id != 0 || version != 0) {
        return Err(Error::new(
            ErrorKind::Store,
            "the file is a database of another program; name another file, this one was not touched",
        ));
    }
    if version > newest() {
        return Err(Error::new(
            ErrorKind::Store,
            "the state file was written by a newer version; use that version, nothing was changed",
        )
        .with_context("file version", version)
        .with_context("this version", newest()));
    }
    Ok(())
}

/// Brings a state file to the newest layout.
///
/// # Errors
/// A file of another program, of a newer version, or damaged: it is left as it is.
pub(super) fn migrate(connection: &mut Connection) -> Result<()> {
    check(connection)?;
    let newest = newest();
    if pragma(connection, "user_version")? == newest {
        return Ok(());
    }
    let step = || sql("prepare the state file");
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Exclusive).map_err(step())?;
    // Somebody else may have done it while we waited.
    let version = pragma(&transaction, "user_version")?;
    for migration in MIGRATIONS.iter().skip(usize::try_from(version).unwrap_or(0)) {
        transaction.execute_batch(migration).map_err(step())?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(step())?;
    transaction.pragma_update(None, "user_version", newest).map_err(step())?;
    transaction.commit().map_err(step())
}
