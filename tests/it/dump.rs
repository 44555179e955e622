//! Reads the tables of a state file as text, to see what a run wrote.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use rusqlite::{Connection, OpenFlags, types::ValueRef};

use crate::world::World;

/// Tables that a run without changes must leave alone.
const TABLES: [&str; 13] = [
    "objects",
    "probes",
    "records",
    "record_ids",
    "group_members",
    "member_groups",
    "sleeping",
    "facets",
    "observations",
    "containers",
    "counts",
    "parked",
    "quarantine",
];

pub(crate) fn dump(world: &World) -> BTreeMap<String, Vec<String>> {
    dump_file(&world.folder.path().join("state.db"))
}

pub(crate) fn dump_file(path: &Path) -> BTreeMap<String, Vec<String>> {
    let file = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    TABLES.iter().map(|table| ((*table).to_owned(), rows(&file, table))).collect()
}

fn rows(file: &Connection, table: &str) -> Vec<String> {
    let mut query = file.prepare(&format!("SELECT * FROM {table} ORDER BY 1, 2")).unwrap();
    let columns = query.column_count();
    let mut rows = query.query([]).unwrap();
    let mut out = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        let mut text = String::new();
        for column in 0..columns {
            match row.get_ref(column).unwrap() {
                ValueRef::Null => text.push('-'),
                ValueRef::Integer(number) => text.push_str(&number.to_string()),
                ValueRef::Real(number) => text.push_str(&number.to_string()),
                ValueRef::Text(bytes) => text.push_str(&String::from_utf8_lossy(bytes)),
                ValueRef::Blob(bytes) => bytes.iter().for_each(|byte| write!(text, "{byte:02x}").unwrap()),
            }
            text.push('|');
        }
        out.push(text);
    }
    out
}
