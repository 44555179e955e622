//! What a query costs: pages, counts and one record in full, over a synthetic directory of growing size.
//!
//! The directory is imported first; then the index is built, followed by a delta, and asked. Every query is asked many
//! times at different places; what is printed is the median and the slowest, and the CPU time of one. Behind the sizes
//! stands how each grows from one to the next. `cargo xtask bench --query` runs it; `--sizes 10k,100k` chooses.
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
    CustomerId, Feed, Filter, MfaState, Nesting, NoticeQuery, ObjectKind, Order, Outcome, Query, RecordId, Sort,
    SortBy, UserState,
};
use tenantry::{Customer, Endpoint, ImportOptions, Service, SqliteStore, Store};

use measure::Measurement;
use synthetic::{Place, Size, Synthetic};

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
    let mut growth: Vec<(String, Vec<String>)> = Vec::new();
    for size in sizes.split(',').map(|size| Size::parse(size).expect("sizes are 10k, 100k or 1m")) {
        let folder = std::env::temp_dir().join(format!("tenantry-query-{}-{}", std::process::id(), size.users));
        std::fs::create_dir_all(&folder).unwrap();
        let state = folder.join("state.db");
        println!("\n{size}\n\n| step | CPU s | wall s | peak MiB | file MB | WAL peak MB |\n|---|---|---|---|---|---|");
        for step in ["import", "index built", "delta", "index follows", "index current"] {
            println!("| {step} | {} |", run_child(size, step, &state));
        }
        println!("\n| query | found | rows read | median ms | slowest ms | CPU ms |\n|---|---|---|---|---|---|");
        let table = run_child(size, "queries", &state);
        println!("{table}");
        for row in table.lines() {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            let times = format!("{} / {}", cells[4], cells[6]);
            match growth.iter_mut().find(|(name, _)| name == cells[1]) {
                Some((_, all)) => all.push(times),
                None => growth.push((cells[1].to_owned(), vec![times])),
            }
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }
    println!(
        "\n| median ms / CPU ms | {} |\n|---|{}",
        sizes.replace(',', " | "),
        "---|".repeat(sizes.split(',').count())
    );
    for (name, times) in growth {
        println!("| {name} | {} |", times.join(" | "));
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
    let endpoint = Synthetic::new(size, Place::First, changes);
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

/// What one sort of question costs, asked many times.
#[derive(Default)]
struct Cost {
    times: Vec<f64>,
    cpu: f64,
    found: u64,
    rows: u64,
}

impl Cost {
    async fn ask<T>(&mut self, question: impl Future<Output = T>, figures: impl FnOnce(&T) -> (u64, u64)) -> T {
        let (begun, cpu) = (Instant::now(), cpu_millis());
        let answer = question.await;
        self.times.push(millis(begun));
        self.cpu += cpu_millis() - cpu;
        let (found, rows) = figures(&answer);
        self.found = self.found.max(found);
        self.rows = self.rows.max(rows);
        answer
    }

    fn print(self, name: &str) {
        if self.times.is_empty() {
            return;
        }
        let cpu = self.cpu / self.times.len() as f64;
        let (middle, slowest) = median(self.times);
        println!("| {name} | {} | {} | {middle:.2} | {slowest:.2} | {cpu:.2} |", self.found, self.rows);
    }
}

/// Returns the CPU time of all threads so far, as fine as the kernel knows it.
fn cpu_millis() -> f64 {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let of = |task: std::io::Result<std::fs::DirEntry>| {
        let text = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<f64>().ok()
    };
    tasks.filter_map(of).sum::<f64>() / 1e6
}

#[allow(clippy::too_many_lines)] // one question after the other
async fn queries(size: Size, state: &Path) {
    let of = customer();
    let store = Arc::new(SqliteStore::open(state).unwrap());
    let service = Service::new(Arc::clone(&store) as Arc<dyn Store>);
    let directory = service.directory();
    let groups = store.records(&customer(), ObjectKind::Group, None, 50).unwrap();
    let names = filters(size, groups[1].id, 0);
    for (at, (name, ..)) in names.iter().enumerate() {
        let (mut pages, mut later, mut counts) = (Cost::default(), Cost::default(), Cost::default());
        let mut found = 0;
        for number in 0..TIMES {
            let group = groups[1 + usize::try_from(number).unwrap() % (groups.len() - 1)].id;
            let (_, by, filter) = filters(size, group, number).swap_remove(at);
            let order = if number % 2 == 0 { Order::Ascending } else { Order::Descending };
            let query = Query { filter, sort: Sort { by, order }, ..Query::users(&customer()) };
            let count = directory.count(&query);
            found = found.max(
                counts
                    .ask(count, |count| {
                        let count = count.as_ref().unwrap();
                        (count.total, count.rows_read)
                    })
                    .await
                    .unwrap()
                    .total,
            );
            let rows = |page: &tenantry::Result<tenantry::model::Page>| (found, page.as_ref().unwrap().rows_read);
            let page = pages.ask(directory.find(&query, None, PAGE), rows).await.unwrap();
            if let Some(next) = &page.next {
                later.ask(directory.find(&query, Some(next), PAGE), rows).await.unwrap();
            }
        }
        pages.print(name);
        later.print(&format!("{name}, the next page"));
        counts.print(&format!("{name}, counted"));
    }
    let users = store.records(&customer(), ObjectKind::User, None, 1000).unwrap();
    let few: Vec<_> = users.iter().step_by(20).collect();
    let (mut details, mut events, mut notices) = (Cost::default(), Cost::default(), Cost::default());
    // The first question after an import makes what the index lacks.
    let mut first = Cost::default();
    first.ask(directory.happened(&of, Some(few[0].id), None, 20), |_| (0, 0)).await.unwrap();
    for user in few {
        details.ask(directory.details(&of, user.id), |_| (1, 0)).await.unwrap();
        let happened = directory.happened(&of, Some(user.id), None, 20);
        events.ask(happened, |page| (page.as_ref().unwrap().entries.len() as u64, 0)).await.unwrap();
        let of_one = NoticeQuery::new(Feed::Alerts).of(user.id);
        notices.ask(directory.notices(&of, &of_one, None, 20), |_| (0, 0)).await.unwrap();
    }
    details.print("one user in full");
    events.print("feed of one user");
    notices.print("alerts of one user");
    let (mut all, mut suggestions, mut holders) = (Cost::default(), Cost::default(), Cost::default());
    let mut before = None;
    for number in 0..TIMES {
        let page = all.ask(directory.happened(&of, None, before.as_ref(), PAGE), |_| (PAGE as u64, 0)).await;
        before = page.unwrap().next;
        let query = NoticeQuery::new(Feed::Suggestions);
        suggestions.ask(directory.notices(&of, &query, None, 20), |_| (0, 0)).await.unwrap();
        let address = format!("user{}@corp.example", number * 7919 % size.users);
        let found = holders.ask(directory.holders(&of, [address]), |_| (1, 0)).await.unwrap();
        assert_eq!(found.len(), 1);
    }
    all.print("feed of everybody");
    suggestions.print("suggestions");
    holders.print("who has an address");
}
