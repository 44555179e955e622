//! A query as a table: page by page, so that nothing is kept of it. It decides nothing about who is in it.

use std::io::Write;

use super::CsvWriter;
use crate::directory::Directory;
use crate::error::Result;
use crate::model::{AttributeName, Found, ObjectKind, PageCursor, Query, Value, names};

/// Records that are read at once.
const BATCH: u64 = 1000;

/// Returns the columns that a table of such records has unless others are asked for. Those of users can be imported again.
pub fn csv_columns(kind: ObjectKind) -> &'static [&'static str] {
    match kind {
        ObjectKind::User => &[
            "customer",
            "id",
            "kind",
            "primary_email",
            "first_name",
            "last_name",
            "display_name",
            "username",
            "aliases",
            "state",
            "archived",
            "missing_since",
            "mfa",
            "locked_out",
            "locked_by",
            "tags",
        ],
        ObjectKind::Group => &["customer", "id", "kind", "name", "email", "description", "missing_since", "locked_by"],
        ObjectKind::Computer => &[
            "customer",
            "id",
            "kind",
            "name",
            "dns_name",
            "os",
            "os_version",
            "owner",
            "enabled",
            "missing_since",
            "locked_by",
        ],
    }
}

impl Directory {
    /// Writes what a query finds as a table: all of it, or behind a cursor, or so many; returns how many rows it has.
    ///
    /// Columns are attributes as events spell them (`attributes.…` for those beyond the contract), or `customer`, `id`,
    /// `archived`, `missing_since`, `locked_by`, `owner`, `tags`. A cell that a spreadsheet would take for a formula begins
    /// with an apostrophe, which an import takes away again. At no time more than a page is in memory.
    ///
    /// # Errors
    /// As [`Directory::find`]; an output that cannot be written. The table is not whole then.
    pub async fn export_csv<W: Write + Send>(
        &self,
        query: &Query,
        columns: &[&str],
        mut after: Option<PageCursor>,
        limit: Option<u64>,
        out: W,
    ) -> Result<u64> {
        let (mut left, mut rows) = (limit.unwrap_or(u64::MAX), 0);
        let mut table = CsvWriter::new(out, columns)?;
        while left > 0 {
            let batch = usize::try_from(left.min(BATCH)).unwrap_or(1);
            let page = self.find(query, after.as_ref(), batch).await?;
            for found in &page.found {
                table.row(columns.iter().map(|column| cell(found, column)))?;
            }
            left -= page.found.len() as u64;
            rows += page.found.len() as u64;
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        table.finish()?;
        Ok(rows)
    }
}

/// Writes one cell: nothing where the value is empty or unknown.
fn cell(found: &Found, column: &str) -> String {
    let record = &found.record;
    let name = match column {
        "customer" => return found.customer.to_string(),
        "id" => return record.id.to_string(),
        "archived" => return record.archived.to_string(),
        "missing_since" => return record.missing_since.map(|time| time.to_string()).unwrap_or_default(),
        "locked_by" => return record.lock.as_ref().map(|lock| lock.endpoint.to_string()).unwrap_or_default(),
        "owner" => return record.owner.as_ref().map(|owner| owner.id.to_string()).unwrap_or_default(),
        "tags" => names::TAGS,
        name => AttributeName::parse(name),
    };
    match record.attributes.get(&name) {
        None | Some(Value::Empty) => String::new(),
        Some(Value::Text(text)) => text.to_string(),
        Some(Value::List(items)) => items.join("; "),
        Some(Value::Bool(value)) => value.to_string(),
        Some(Value::Int(value)) => value.to_string(),
    }
}
