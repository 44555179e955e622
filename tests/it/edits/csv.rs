//! People from tables: what is wrong is told by line and column, the rest is added.

use std::io::{Cursor, Read};

use tenantry::directory::csv::{CsvMode, CsvOptions, CsvReport, CsvWriter, sample_csv};
use tenantry::model::{AttributeName, EventType, ObjectKind, Record, Value, names};
use tenantry::{Directory, ErrorKind};

use super::locks::{imported, user_of};
use crate::operations::Stage;
use crate::world::count;

fn options(mode: CsvMode) -> CsvOptions {
    CsvOptions { mode, ..CsvOptions::default() }
}

async fn import(directory: &Directory, stage: &Stage, table: impl Into<Vec<u8>>, mode: CsvMode) -> CsvReport {
    directory.import_csv(&stage.customer, Cursor::new(table.into()), options(mode)).await.unwrap()
}

fn told(report: &CsvReport) -> Vec<(u64, Option<&str>, &str)> {
    report.problems.iter().map(|problem| (problem.line, problem.column.as_deref(), problem.message.as_str())).collect()
}

fn by_address(stage: &Stage, address: &str) -> Record {
    let users = stage.store().records(&stage.customer, ObjectKind::User, None, 999).unwrap();
    users.into_iter().find(|user| user.attributes.text(&names::PRIMARY_EMAIL) == Some(address)).unwrap()
}

#[tokio::test]
async fn the_sample_can_be_imported_as_it_is_and_a_check_changes_nothing() {
    let (mut stage, directory) = imported().await;
    let before = stage.store().last_position(&stage.customer).unwrap();
    let checked = import(&directory, &stage, sample_csv().unwrap(), CsvMode::Check).await;
    assert_eq!((checked.rows, checked.added, checked.refused, checked.complete), (2, 2, 0, true), "{checked:?}");
    assert_eq!(stage.store().last_position(&stage.customer).unwrap(), before);
    let applied = import(&directory, &stage, sample_csv().unwrap(), CsvMode::Apply).await;
    assert_eq!(applied, checked);
    assert_eq!(count(&stage.events(before), EventType::UserUpserted), 2);
    stage.check("applied");
    let ann = by_address(&stage, "ann.lee@corp.example");
    assert_eq!(ann.attributes.get(&names::ALIASES), Some(&Value::list(["a.lee@corp.example", "ann@corp.example"])));
    assert_eq!(ann.attributes.get(&names::TAGS), Some(&Value::list(["manager", "registered"])));
    let bo = by_address(&stage, "bo.berg@corp.example");
    assert_eq!((bo.attributes.text(&names::KIND), bo.attributes.text(&names::STATE)), (Some("guest"), Some("staged")));
    assert_eq!(bo.attributes.get(&names::DISPLAY_NAME), None, "an empty cell says nothing");
    // Applied again, everybody is there.
    let again = import(&directory, &stage, sample_csv().unwrap(), CsvMode::Apply).await;
    assert_eq!((again.added, again.refused), (0, 2));
    assert!(again.problems[0].message.contains(&ann.id.to_string()), "{again:?}");
}

#[tokio::test]
async fn what_is_wrong_is_told_by_line_and_column_and_the_rest_is_applied() {
    let (mut stage, directory) = imported().await;
    let mut table = b"\xef\xbb\xbfEmail;First Name;Zustand;attributes.room\r\n".to_vec();
    table.extend_from_slice(b"one@corp.example;One;active;'=1+1\r\n");
    table.extend_from_slice(b"two;Two;active;\r\n");
    table.extend_from_slice(b"three@corp.example;Three;asleep;\r\n");
    table.extend_from_slice(b"\"four@corp.example\";\"Four\r\nand more\";active;\"x;y\"\r\n");
    table.extend_from_slice(b"five@corp.example;F\xfcnf;active;\r\n");
    table.extend_from_slice(b"ONE@corp.example;One again;active;\r\n");
    table.extend_from_slice(b"User3@corp.example;There;active;\r\n");
    table.extend_from_slice(b"six@corp.example;Six;active\r\n");
    table.extend_from_slice(b";Nobody;active;\r\n");
    table.extend_from_slice(b"seven@corp.example;\"Seven \"of\" nine\";active;\r\n");
    table.extend_from_slice(b"eight@corp.example;Eight;;\n");
    for mode in [CsvMode::Check, CsvMode::Apply] {
        let own = [("zustand".to_owned(), "state".to_owned())].into();
        let options = CsvOptions { mode, names: own, ..CsvOptions::default() };
        let report = directory.import_csv(&stage.customer, Cursor::new(table.clone()), options).await.unwrap();
        let mut told = told(&report);
        told.sort_unstable();
        let there = format!("somebody has this address already; edit that record ({})", user_of(&stage, 3));
        assert_eq!(
            told,
            [
                (3, Some("Email"), "this is no mail address; write it as name@domain"),
                (4, Some("Zustand"), "this is none of the values that the attribute may have; see the sample"),
                (7, Some("First Name"), "this is not UTF-8; save the table as \u{201c}CSV UTF-8\u{201d}"),
                (8, None, "line 2 has this address too; leave one of them out"),
                (9, None, there.as_str()),
                (
                    10,
                    None,
                    "the row has 3 cells and the first line 4; a cell that contains the separator has to be in quotes"
                ),
                (11, Some("Email"), "there is no address; a person in a table is known by it"),
                (12, None, "a quote within a cell has to be doubled"),
            ],
            "{mode:?}"
        );
        assert_eq!((report.rows, report.added, report.refused, report.complete), (11, 3, 8, true));
    }
    stage.check("applied");
    let four = by_address(&stage, "four@corp.example");
    assert_eq!(four.attributes.text(&names::FIRST_NAME), Some("Four\r\nand more"));
    assert_eq!(four.attributes.text(&AttributeName::extra("room")), Some("x;y"));
    let one = by_address(&stage, "one@corp.example");
    assert_eq!(one.attributes.text(&AttributeName::extra("room")), Some("=1+1"));
    assert_eq!(by_address(&stage, "eight@corp.example").attributes.text(&names::STATE), Some("active"));
}

#[tokio::test]
async fn a_first_line_that_cannot_be_understood_and_other_encodings_are_refused_as_a_whole() {
    let (stage, directory) = imported().await;
    let before = stage.store().last_position(&stage.customer).unwrap();
    let utf_16: Vec<u8> =
        "\u{feff}primary_email\r\na@corp.example\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (table, says) in [
        (&b""[..], "empty"),
        (b"first_name\nAnn\n", "primary_email"),
        (b"primary_email,frist_name\na@corp.example,Ann\n", "\"frist_name\""),
        (b"primary_email,email\na@corp.example,b@corp.example\n", "means the same"),
        (b"primary_email,V\xf6rname\na@corp.example,Ann\n", "column 2: it is not UTF-8"),
        (b"\"primary_email\n", "quote"),
        (&utf_16, "UTF-16"),
    ] {
        let table = Cursor::new(table.to_vec());
        let refused = directory.import_csv(&stage.customer, table, options(CsvMode::Apply)).await.unwrap_err();
        assert_eq!(*refused.kind(), ErrorKind::Config, "{says}");
        assert!(refused.to_string().contains(says), "{says}: {refused}");
    }
    assert_eq!(stage.store().last_position(&stage.customer).unwrap(), before);
}

#[tokio::test]
async fn a_quote_that_does_not_end_ends_the_table_and_what_precedes_it_is_added() {
    let (mut stage, directory) = imported().await;
    let table = "email,first_name\na@corp.example,Ann\nb@corp.example,\"Bo\nc@corp.example,Cy\n";
    let report = import(&directory, &stage, table, CsvMode::Apply).await;
    assert_eq!((report.added, report.complete, report.problems[0].line), (1, false, 3), "{report:?}");
    assert!(report.problems[0].message.contains("does not end"));
    stage.check("applied");
}

#[tokio::test]
async fn columns_of_an_export_that_nobody_sets_by_a_table_are_left_out_and_told() {
    let (stage, directory) = imported().await;
    let mut table = CsvWriter::new(Vec::new(), ["id", "primary_email", "display_name", "lock", "Notes"]).unwrap();
    table.row(["x", "a@corp.example", "=cmd|' /C calc'!A0", "ad", "whatever"]).unwrap();
    let own = [("notes".to_owned(), "-".to_owned())].into();
    let options = CsvOptions { mode: CsvMode::Apply, names: own, ..CsvOptions::default() };
    let table = Cursor::new(table.finish().unwrap());
    let report = directory.import_csv(&stage.customer, table, options).await.unwrap();
    assert_eq!((report.added, report.left_out), (1, vec!["id".to_owned(), "lock".into(), "Notes".into()]));
    let added = by_address(&stage, "a@corp.example");
    assert_eq!(added.attributes.text(&names::DISPLAY_NAME), Some("=cmd|' /C calc'!A0"));
}

/// A table that is made while it is read.
struct Rows {
    next: u64,
    last: u64,
    part: Cursor<Vec<u8>>,
}

impl Read for Rows {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.part.read(buffer)?;
        if read > 0 || self.next > self.last {
            return Ok(read);
        }
        let line = if self.next == 0 {
            "email,first_name,last_name\n".to_owned()
        } else {
            format!("p{0}@corp.example,First{0},Last{0}\n", self.next)
        };
        self.next += 1;
        self.part = Cursor::new(line.into_bytes());
        self.part.read(buffer)
    }
}

#[tokio::test]
async fn a_long_table_is_added_in_parts_and_a_column_of_problems_is_cut() {
    let (mut stage, directory) = imported().await;
    let table = Rows { next: 0, last: 9000, part: Cursor::new(Vec::new()) };
    let report = directory.import_csv(&stage.customer, table, options(CsvMode::Apply)).await.unwrap();
    assert_eq!((report.rows, report.added, report.refused), (9000, 9000, 0));
    stage.check("added");
    let table = Rows { next: 0, last: 9000, part: Cursor::new(Vec::new()) };
    let report = directory.import_csv(&stage.customer, table, options(CsvMode::Apply)).await.unwrap();
    assert_eq!((report.added, report.refused, report.problems.len()), (0, 9000, 1000));
}
