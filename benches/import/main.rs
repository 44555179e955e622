//! What an import costs: a synthetic directory of growing size, first import, unchanged re-import, deltas, events
//! stored; and what the making of the synthetic pages alone costs, which is part of the figures.
//!
//! Each figure is measured in a process of its own: CPU seconds (user + system), wall time, peak memory, bytes on disk
//! and the largest write-ahead log seen. `cargo xtask bench` runs it; `-- --sizes 10k,100k` chooses.
#![allow(clippy::print_stdout)] // a benchmark prints its figures
#![allow(clippy::unwrap_used)] // and may stop where it stands

mod measure;
mod synthetic;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use tenantry::model::{CustomerId, Outcome, RunReport};
use tenantry::{Customer, Endpoint, ImportOptions, Service, SqliteStore};

use measure::Measurement;
use synthetic::{Place, Size, Synthetic};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let [mode, size, step, state] = arguments.as_slice()
        && mode == "--child"
    {
        let step = Step::ALL.into_iter().find(|known| known.name() == step).unwrap();
        child(Size::parse(size).unwrap(), step, Path::new(state));
        return;
    }
    let sizes = arguments
        .iter()
        .position(|argument| argument == "--sizes")
        .and_then(|at| arguments.get(at + 1))
        .map_or("10k,100k,1m", String::as_str);
    let sizes: Vec<Size> = sizes.split(',').map(|size| Size::parse(size).expect("sizes are 10k, 100k or 1m")).collect();
    println!("| users/groups/memberships | step | CPU s | wall s | peak MiB | state MB | WAL peak MB | events |");
    println!("|---|---|---|---|---|---|---|---|");
    for size in sizes {
        let folder = std::env::temp_dir().join(format!("tenantry-bench-{}-{}", std::process::id(), size.users));
        std::fs::create_dir_all(&folder).unwrap();
        let state = folder.join("state.db");
        for step in Step::ALL {
            let measured = run_child(size, step, &state);
            println!("| {size} | {} | {measured} |", step.name());
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }
}

/// What is measured, in this order on one state file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    PagesAlone,
    First,
    Unchanged,
    Delta,
    NoDelta,
    Second,
    SecondUnchanged,
}

impl Step {
    const ALL: [Self; 7] = [
        Self::PagesAlone,
        Self::First,
        Self::Unchanged,
        Self::Delta,
        Self::NoDelta,
        Self::Second,
        Self::SecondUnchanged,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::PagesAlone => "the synthetic pages alone",
            Self::First => "first import",
            Self::Unchanged => "unchanged full re-import",
            Self::Delta => "delta, 1 % changed",
            Self::NoDelta => "delta, nothing changed",
            Self::Second => "a second endpoint, everybody joined by anchor",
            Self::SecondUnchanged => "unchanged full re-import of the second",
        }
    }
}

fn run_child(size: Size, step: Step, state: &Path) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--child", size.name, step.name(), &state.display().to_string()])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Imports once and prints what it cost.
fn child(size: Size, step: Step, state: &Path) {
    if step == Step::PagesAlone {
        std::fs::write(state, []).unwrap();
        let measurement = Measurement::begin(wal_of(state));
        size.make_all_pages();
        println!("{} | 0", measurement.end(state));
        return;
    }
    let measurement = Measurement::begin(wal_of(state));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let report = runtime.block_on(import(size, step, state));
    assert_eq!(report.outcome, Outcome::Done, "{:?}", report.error);
    let events = report.created + report.updated + report.removed + report.members_added + report.members_removed + 1;
    println!("{} | {events}", measurement.end(state));
}

fn wal_of(state: &Path) -> PathBuf {
    let mut name = state.as_os_str().to_owned();
    name.push("-wal");
    PathBuf::from(name)
}

async fn import(size: Size, step: Step, state: &Path) -> RunReport {
    let service = Service::new(Arc::new(SqliteStore::open(state).unwrap()));
    let customer = CustomerId::new("bench").unwrap();
    let second = matches!(step, Step::Second | Step::SecondUnchanged);
    let mut endpoints = vec![Synthetic::new(size, Place::First, step == Step::Delta)];
    if second {
        endpoints.push(Synthetic::new(size, Place::Second, false));
    }
    let name = endpoints.last().unwrap().info().name.clone();
    let endpoints = endpoints.into_iter().map(|endpoint| Arc::new(endpoint) as Arc<dyn Endpoint>).collect();
    service.register(Customer::new(customer.clone()), endpoints).await.unwrap();
    let full = matches!(step, Step::Unchanged | Step::SecondUnchanged);
    let options = ImportOptions { full, ..ImportOptions::default() };
    service.import(&customer, &name, options).await.unwrap()
}
