//! What a query costs: pages, counts and one record in full, over a synthetic directory of growing size.
//!
//! The directory is imported first; then the index is built, followed by a delta, and asked. Every query is asked many
//! times at different places; what is printed is the median and the slowest. `cargo xtask bench -- --query` runs it;
//! `--sizes 10k,100k` chooses.
#![allow(clippy::print_stdout)] // a benchmark prints its figures
#![allow(clippy::unwrap_used)] // and may stop where it stands
#![allow(clippy::disallowed_methods)] // and reads the clock

#[allow(dead_code, reason = "the import's benchmark uses more of it")]
#[path = "../import/measure.rs"]
mod measure;
#[allow(dead_code, reason = "the import's benchmark uses more of it")]
#[path = "../import/synthetic.rs"]
mod synthetic;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use tenantry::model::{
    CustomerId, Filter, MfaState, Nesting, ObjectKind, Order, Outcome, Query, RecordId, Sort, SortBy, UserState,
};
use tenantry::{Customer, Endpoint, ImportOptions, Service, SqliteStore, Store};

use measure::Measurement;
use synthetic::{Size, Synthetic};

/// Records of a page.
const PAGE: usize = 100;
/// How often each query is asked.
const TIMES: u64 = 30;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let [mode, size, step, state] = arguments.as_slice()
        && mode == "--child"
    {
        child(Size::parse(size).unwrap(), step, Path::new(state));
        return;
    }
    let sizes = arguments.iter().position(|argument| argument == "--sizes").and_then(|at| arguments.get(at + 1));
    let sizes = sizes.map_or("10k,100k,1m", String::as_str);
    for size in sizes.split(',').map(|size| Size::parse(size).expect("sizes are 10k, 100k or 1m")) {
        let folder = std::env::temp_dir().join(format!("tenantry-query-{}-{}", std::process::id(), size.users));
        std::fs::create_dir_all(&folder).unwrap();
        let state = folder.join("state.db");
        println!("\n{size}\n\n| step | CPU s | wall s | peak MiB | file MB | WAL peak MB |\n|---|---|---|---|---|---|");
        for step in ["import", "index built", "delta", "index follows", "index current"] {
            println!("| {step} | {} |", run_child(size, step, &state));
        }
        println!("\n| query | found | rows read | median ms | slowest ms |\n|---|---|---|---|---|");
        println!("{}", run_child(size, "queries", &state));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}

fn run_child(size: Size, step: &str, state: &Path) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--child", size.name, step, &state.display().to_string()])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn customer() -> CustomerId {
    CustomerId::new("bench").unwrap()
}

fn beside(state: &Path, end: &str) -> PathBuf {
    let mut name = state.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

fn child(size: Size, step: &str, state: &Path) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let index = beside(state, ".index");
    match step {
        "import" | "delta" => {
            let measurement = Measurement::begin(beside(state, "-wal"));
            runtime.block_on(import(size, step == "delta", state));
            println!("{}", measurement.end(state));
        }
        "queries" => runtime.block_on(queries(size, state)),
        _ => {
            let measurement = Measurement::begin(beside(&index, "-wal"));
            let service = Service::new(Arc::new(SqliteStore::open(state).unwrap()));
            runtime.block_on(service.directory().catch_up(&[customer()].into())).unwrap();
            println!("{}", measurement.end(&index));
        }
    }
}

async fn import(size: Size, changes: bool, state: &Path) {
    let service = Service::new(Arc::new(SqliteStore::open(state).unwrap()));
    let endpoint = Synthetic::new(size, changes);
    let name = endpoint.info().name.clone();
    service.register(Customer::new(customer()), vec![Arc::new(endpoint) as Arc<dyn Endpoint>]).await.unwrap();
    let report = service.import(&customer(), &name, ImportOptions::default()).await.unwrap();
    assert_eq!(report.outcome, Outcome::Done, "{:?}", report.error);
}

fn filters(size: Size, group: RecordId, number: u64) -> Vec<(&'static str, SortBy, Filter)> {
    let all = Filter::default;
    let email = SortBy::PrimaryEmail;
    let letter = char::from(b'0' + u8::try_from(number % 10).unwrap()).to_string();
    vec![
        ("everybody by address", email, all()),
        ("everybody by last name", SortBy::LastName, all()),
        ("everybody by first name", SortBy::FirstName, all()),
        ("active", email, Filter { states: Some([UserState::Active].into()), ..all() }),
        ("suspended (nobody)", email, Filter { states: Some([UserState::Suspended].into()), ..all() }),
        ("MFA unknown, by last name", SortBy::LastName, Filter { mfa: Some([MfaState::Unknown].into()), ..all() }),
        ("locked, not archived", email, Filter { locked: Some(true), archived: Some(false), ..all() }),
        ("one address", email, Filter { search: Some(format!("user{}@corp", number * 7919 % size.users)), ..all() }),
        ("a part of many", SortBy::LastName, Filter { search: Some(format!("last{}", number % 500)), ..all() }),
        ("two parts", email, Filter { search: Some(format!("last{} first{}", number % 50, number % 30)), ..all() }),
        ("a part of all", SortBy::LastName, Filter { search: Some("corp.example".into()), ..all() }),
        ("letters", email, Filter { prefix: Some((email, format!("user{letter}"))), ..all() }),
        (
            "letters of another order",
            email,
            Filter { prefix: Some((SortBy::LastName, format!("last{letter}"))), ..all() },
        ),
        ("members of a group", SortBy::LastName, Filter { group: Some((group, Nesting::Direct)), ..all() }),
        ("members, nested", SortBy::LastName, Filter { group: Some((group, Nesting::Nested)), ..all() }),
    ]
}

fn median(mut times: Vec<f64>) -> (f64, f64) {
    times.sort_by(f64::total_cmp);
    (times[times.len() / 2], times[times.len() - 1])
}

fn millis(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

async fn queries(size: Size, state: &Path) {
    let store = Arc::new(SqliteStore::open(state).unwrap());
    let service = Service::new(Arc::clone(&store) as Arc<dyn Store>);
    let directory = service.directory();
    let groups = store.records(&customer(), ObjectKind::Group, None, 50).unwrap();
    let names = filters(size, groups[1].id, 0);
    for (at, (name, ..)) in names.iter().enumerate() {
        let (mut pages, mut later, mut counts) = (Vec::new(), Vec::new(), Vec::new());
        let (mut rows, mut found, mut counted) = (0, 0, 0);
        for number in 0..TIMES {
            let group = groups[1 + usize::try_from(number).unwrap() % (groups.len() - 1)].id;
            let (_, by, filter) = filters(size, group, number).swap_remove(at);
            let order = if number % 2 == 0 { Order::Ascending } else { Order::Descending };
            let query = Query { filter, sort: Sort { by, order }, ..Query::users(&customer()) };
            let begun = Instant::now();
            let page = directory.find(&query, None, PAGE).await.unwrap();
            pages.push(millis(begun));
            rows = rows.max(page.rows_read);
            if let Some(next) = &page.next {
                let begun = Instant::now();
                let page = directory.find(&query, Some(next), PAGE).await.unwrap();
                later.push(millis(begun));
                rows = rows.max(page.rows_read);
            }
            let begun = Instant::now();
            let count = directory.count(&query).await.unwrap();
            counts.push(millis(begun));
            found = found.max(count.total);
            counted = counted.max(count.rows_read);
        }
        let (middle, slowest) = median(pages);
        println!("| {name} | {found} | {rows} | {middle:.2} | {slowest:.2} |");
        if !later.is_empty() {
            let (middle, slowest) = median(later);
            println!("| {name}, the next page | {found} | {rows} | {middle:.2} | {slowest:.2} |");
        }
        let (middle, slowest) = median(counts);
        println!("| {name}, counted | {found} | {counted} | {middle:.2} | {slowest:.2} |");
    }
    let users = store.records(&customer(), ObjectKind::User, None, 1000).unwrap();
    let mut times = Vec::new();
    for user in users.iter().step_by(20) {
        let begun = Instant::now();
        directory.details(&customer(), user.id).await.unwrap();
        times.push(millis(begun));
    }
    let (middle, slowest) = median(times);
    println!("| one user in full | 1 | | {middle:.2} | {slowest:.2} |");
}
