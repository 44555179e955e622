//! Tables for spreadsheets: the whole query, and no formulas.

use std::sync::Arc;

use tenantry::model::{CustomerId, ObjectKind, names};
use tenantry::testkit::{ScriptedDirectory, ScriptedEndpoint};
use tenantry::{Customer, Endpoint, ImportOptions, Service, SqliteStore};

use crate::demo;
use crate::program::{browse, list};

fn rows(text: &str) -> Vec<Vec<String>> {
    let text = text.strip_prefix('\u{feff}').unwrap();
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
    reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect()
}

#[test]
fn a_table_has_every_record_that_the_query_finds() {
    let state = demo();
    let (users, page) = list(&state, &["users", "--sort", "last", "--limit", "1000"]);
    let table = rows(&browse(&state, &["users", "--sort", "last", "--csv"]));
    assert_eq!(table.len() as u64, page["total"].as_u64().unwrap() + 1);
    let at = |column: &str| table[0].iter().position(|name| name == column).unwrap();
    let ids: Vec<_> = table[1..].iter().map(|row| row[at("id")].as_str()).collect();
    assert_eq!(ids, users.iter().map(|user| user["id"].as_str().unwrap()).collect::<Vec<_>>());
    assert!(table.iter().any(|row| row[at("last_name")] == "Křížová"));
    assert_eq!(rows(&browse(&state, &["users", "--csv", "--limit", "3"])).len(), 4);
    for kind in ["groups", "computers"] {
        assert!(rows(&browse(&state, &[kind, "--csv"])).len() > 2);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_would_be_a_formula_is_none_and_a_terminal_is_not_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("tenant.db");
    let mut directory = ScriptedDirectory::new("domain-1");
    let evil = directory.add_user(1, "people");
    directory.set(&evil, names::LAST_NAME, "=cmd|' /C calc'!A0");
    directory.set(&evil, names::DISPLAY_NAME, "\u{1b}[2Jgone\nand \"more\", too");
    for number in 2..1300 {
        directory.add_user(number, "people");
    }
    assert_eq!(directory.count(ObjectKind::User), 1299);
    let endpoint = ScriptedEndpoint::new("ad", directory, 500).unwrap();
    let name = endpoint.info().name.clone();
    let service = Service::new(Arc::new(SqliteStore::open(&state).unwrap()));
    let customer = CustomerId::new("c1").unwrap();
    service.register(Customer::new(customer.clone()), vec![Arc::new(endpoint) as Arc<dyn Endpoint>]).await.unwrap();
    service.import(&customer, &name, ImportOptions::default()).await.unwrap();

    let table = rows(&browse(&state, &["users", "--csv"]));
    assert_eq!(table.len(), 1300, "more than one page");
    let at = |column: &str| table[0].iter().position(|name| name == column).unwrap();
    let row = table.iter().find(|row| row[at("primary_email")] == "user1@corp.example").unwrap();
    assert_eq!(row[at("last_name")], "'=cmd|' /C calc'!A0");
    for text in [&["users"][..], &["user", "user1@corp.example"], &["feed", "--limit", "2000"]] {
        let text = browse(&state, text);
        assert!(!text.contains('\u{1b}'), "{text:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn columns_stand_below_each_other_whatever_the_names_are_written_in() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("tenant.db");
    let mut directory = ScriptedDirectory::new("domain-1");
    let names = ["Ann Lee", "\u{7530}\u{4e2d} \u{592a}\u{90ce}", &"\u{5c71}".repeat(30)];
    for (number, name) in (1..).zip(names) {
        let user = directory.add_user(number, "people");
        directory.set(&user, names::DISPLAY_NAME, name);
    }
    let endpoint = ScriptedEndpoint::new("ad", directory, 500).unwrap();
    let name = endpoint.info().name.clone();
    let service = Service::new(Arc::new(SqliteStore::open(&state).unwrap()));
    let customer = CustomerId::new("c1").unwrap();
    service.register(Customer::new(customer.clone()), vec![Arc::new(endpoint) as Arc<dyn Endpoint>]).await.unwrap();
    service.import(&customer, &name, ImportOptions::default()).await.unwrap();
    let table = browse(&state, &["users"]);
    // Of the names' characters, those from here on take two columns of a terminal.
    let width = |text: &str| text.chars().map(|c| if c >= '\u{2e80}' { 2 } else { 1 }).sum::<usize>();
    let rows = table.lines().filter(|line| line.contains("@corp.example"));
    let at: Vec<usize> = rows.map(|row| width(&row[..row.find("user").unwrap()])).collect();
    assert_eq!(at.len(), 3, "{table}");
    assert!(at.iter().all(|column| *column == at[0]), "{at:?}\n{table}");
    let group = table.lines().last().unwrap();
    assert_eq!(group, "3 of 3 users");
}
