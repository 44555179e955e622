//! Every statement of a query is answered by an index: SQLite itself says so.

use rusqlite::Connection;

use super::page::{LEAPS, LOOK_UPS, WALKS};
use super::touched;

fn plan(index: &Connection, statement: &str) -> String {
    let mut query = index.prepare(&format!("EXPLAIN QUERY PLAN {statement}")).unwrap();
    let count = query.parameter_count();
    for at in 1..=count {
        query.raw_bind_parameter(at, 1).unwrap();
    }
    let mut rows = query.raw_query();
    let mut plan = String::new();
    while let Some(row) = rows.next().unwrap() {
        plan.push_str(&row.get::<_, String>(3).unwrap());
        plan.push('\n');
    }
    plan
}

#[test]
fn every_order_is_walked_along_its_index_and_nothing_is_sorted() {
    let index = Connection::open_in_memory().unwrap();
    index.execute_batch(include_str!("schema.sql")).unwrap();
    for statement in WALKS {
        let wanted = "SEARCH orders USING PRIMARY KEY (customer_no=? AND by=? AND kind=? AND key>? AND key<?)\n";
        assert_eq!(plan(&index, statement), wanted, "{statement}");
    }
}

#[test]
fn records_and_postings_are_looked_up_by_their_keys() {
    let index = Connection::open_in_memory().unwrap();
    index.execute_batch(include_str!("schema.sql")).unwrap();
    for statement in LOOK_UPS {
        assert_eq!(plan(&index, statement), "SEARCH entries USING INTEGER PRIMARY KEY (rowid=?)\n");
    }
    for statement in LEAPS {
        let plan = plan(&index, statement);
        assert!(plan.starts_with("SEARCH postings USING COVERING INDEX"), "{plan}");
        assert!(plan.contains("(customer_no=? AND term>? AND term<?)") && !plan.contains("B-TREE"), "{plan}");
    }
    let touched = plan(&index, touched::LOOK_UP);
    assert_eq!(touched, "SEARCH touched USING PRIMARY KEY (customer_no=? AND upto=? AND slot=?)\n");
    let posting = plan(&index, "SELECT chunk, bits FROM postings WHERE customer_no = ?1 AND term = ?2");
    assert!(posting.starts_with("SEARCH postings USING INDEX"), "{posting}");
    assert!(posting.contains("(customer_no=? AND term=?)"), "{posting}");
}
