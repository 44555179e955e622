//! What an import from Office 365 costs the process that imports: over HTTP, from a fake Graph in a process of its own.
//!
//! Without the quota it shows CPU and memory; with it (`--quota`), how close an import comes to what the published quota
//! allows at best: the resource units of all its calls, divided by the published rate, by the time that it took. *Reading*
//! counts the time until the last answer of the listing is staged, *of the optimum* that until the import has ended, with
//! what is planned, applied and told behind the reading.
//!
//! `cargo xtask bench --office365` runs it; `--sizes 10k,100k` chooses, `--batch 1` asks for each group's members by itself
//! (20 is what is set otherwise), `--concurrency 64` sets the calls at a time.
#![allow(clippy::print_stdout)] // a benchmark prints its figures
#![allow(clippy::unwrap_used)] // and may stop where it stands
#![allow(clippy::disallowed_methods)] // and reads the clock

#[path = "../import/measure.rs"]
mod measure;

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tenantry::model::{CustomerId, EndpointName, Mode, Outcome, Phase, RunReport};
use tenantry::{Customer, Endpoint, EndpointInfo, ImportOptions, Secret, Service, SqliteStore};
use tenantry_fakes::graph::{FakeGraph, Size, Tenant};
use tenantry_office365::{Credential, Office365, Office365Config};

use measure::Measurement;

/// What Microsoft grants an application in a tenant of more than 500 users.
const UNITS_PER_SECOND: f64 = 800.0;
/// How long a call takes where the quota is enforced: what a near data centre needs.
const LATENCY: Duration = Duration::from_millis(100);

const SIZES: [(&str, u32); 3] = [("10k", 10_000), ("100k", 100_000), ("1m", 1_000_000)];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["--serve", users, quota] => serve(users.parse().unwrap(), *quota == "quota"),
        ["--child", step, state, settings @ ..] => child(Step::named(step), Path::new(state), settings),
        _ => compare(&words),
    }
}

fn compare(words: &[&str]) {
    let after = |name: &str| words.iter().position(|word| *word == name).and_then(|at| words.get(at + 1).copied());
    let chosen: Vec<&str> = after("--sizes").unwrap_or("10k,100k,1m").split(',').collect();
    let quota = words.contains(&"--quota");
    let settings = [after("--batch").unwrap_or("20"), after("--concurrency").unwrap_or("16")];
    println!(
        "| users/groups/memberships | step | CPU s | wall s | peak MiB | state MB | WAL peak MB | objects/s | calls | units | refused | reading s | reading | of the optimum |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|");
    for name in chosen {
        let (_, users) = SIZES.into_iter().find(|(known, _)| *known == name).expect("sizes are 10k, 100k or 1m");
        let folder = std::env::temp_dir().join(format!("tenantry-graph-{}-{users}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let mut server = Server::start(users, quota);
        for step in Step::ALL {
            let state = folder.join("state.db");
            let measured = server.measure(step, &state, quota, settings);
            println!("| {users}/{}/{} | {} | {measured} |", users / 10, server.memberships, step.name());
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }
}

/// What is measured, in this order on one state file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    First,
    NoDelta,
    Again,
}

impl Step {
    const ALL: [Self; 3] = [Self::First, Self::NoDelta, Self::Again];

    fn name(self) -> &'static str {
        match self {
            Self::First => "first import",
            Self::NoDelta => "delta, nothing changed",
            Self::Again => "unchanged full re-import",
        }
    }

    fn named(name: &str) -> Self {
        Self::ALL.into_iter().find(|step| step.name() == name).unwrap()
    }
}

/// The fake in its own process.
struct Server {
    process: Child,
    out: BufReader<std::process::ChildStdout>,
    address: [String; 4],
    memberships: String,
    users: u32,
}

impl Server {
    fn start(users: u32, quota: bool) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--serve", &users.to_string(), if quota { "quota" } else { "free" }])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(process.stdout.take().unwrap());
        let mut next = || line(&mut out);
        let (address, memberships) = ([next(), next(), next(), next()], next());
        Self { process, out, address, memberships, users }
    }

    /// Runs one step and gives its row.
    fn measure(&mut self, step: Step, state: &Path, quota: bool, settings: [&str; 2]) -> String {
        if quota {
            // Each import begins with full buckets.
            std::thread::sleep(Duration::from_secs(10));
        }
        self.say("begin");
        let _ = line(&mut self.out);
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--child", step.name(), &state.display().to_string()])
            .args(&self.address)
            .args(settings)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let measured = String::from_utf8(output.stdout).unwrap();
        let [figures, reading, seconds] = measured.trim().split(" @ ").collect::<Vec<_>>().try_into().unwrap();
        self.say("end");
        let sums = line(&mut self.out);
        let [calls, units, refused] = sums.split(' ').collect::<Vec<_>>().try_into().unwrap();
        let (reading, seconds): (f64, f64) = (reading.parse().unwrap(), seconds.parse().unwrap());
        let objects = if step == Step::NoDelta { 0.0 } else { f64::from(self.users) * 1.1 };
        let share = |seconds: f64| {
            let share = units.parse::<f64>().unwrap() / UNITS_PER_SECOND / seconds * 100.0;
            if quota && step != Step::NoDelta { format!("{share:.1} %") } else { "–".to_owned() }
        };
        let (of_reading, of_all) = (share(reading), share(seconds));
        let rate = objects / seconds;
        format!("{figures} | {rate:.0} | {calls} | {units} | {refused} | {reading:.2} | {of_reading} | {of_all}")
    }

    fn say(&mut self, word: &str) {
        writeln!(self.process.stdin.as_mut().unwrap(), "{word}").unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        self.process.wait().unwrap();
    }
}

fn line(out: &mut impl std::io::BufRead) -> String {
    let mut text = String::new();
    out.read_line(&mut text).unwrap();
    text.trim().to_owned()
}

/// Serves a tenant until standard input ends; tells what each import asked for.
fn serve(users: u32, quota: bool) {
    let size = Size { users, groups: users / 10, members_per_group: 100, ..Size::default() };
    let tenant = Tenant::seeded(1, size);
    tenant.edit_settings(|settings| {
        settings.log_lines = 0;
        if quota {
            settings.latency = LATENCY;
        } else {
            settings.quota = None;
        }
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let server = runtime.block_on(FakeGraph::start(tenant.clone()));
    let credentials = server.credentials();
    for part in [server.url(), credentials.tenant_id, credentials.client_id, credentials.secret] {
        println!("{part}");
    }
    println!("{}", tenant.memberships());
    let mut before = tenant.log().sums();
    for word in std::io::stdin().lock().lines() {
        let now = tenant.log().sums();
        if word.unwrap() == "begin" {
            before = now;
            println!("ready");
        } else {
            let units = now.units - before.units;
            println!("{} {units} {}", now.calls - before.calls, now.refused - before.refused);
        }
    }
}

/// Imports once and prints what it cost.
fn child(step: Step, state: &Path, settings: &[&str]) {
    let measurement = Measurement::begin(wal_of(state));
    let started = Instant::now();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (report, reading) = runtime.block_on(import(step, state, settings));
    let seconds = started.elapsed().as_secs_f64();
    assert_eq!(report.outcome, Outcome::Done, "{:?}", report.error);
    assert_eq!(report.mode == Mode::Delta, step == Step::NoDelta);
    assert!(step == Step::First || report.created + report.updated + report.removed == 0, "{report:?}");
    println!("{} @ {} @ {seconds}", measurement.end(state), reading.as_secs_f64());
}

/// Imports; returns how long it took until everything was read, as well.
async fn import(step: Step, state: &Path, settings: &[&str]) -> (RunReport, Duration) {
    let [url, tenant, client_id, secret, batch, concurrency] = settings else { panic!("these are not all settings") };
    let begun = Instant::now();
    let mut config = Office365Config::new(*tenant, *client_id, Credential::Secret(Secret::new(*secret)));
    config.login_url = Some((*url).to_owned());
    config.graph_url = Some(format!("{url}/v1.0"));
    // Nobody else uses the application.
    config.quota.share = 1.0;
    config.batch = batch.parse().unwrap();
    config.concurrency = concurrency.parse().unwrap();
    let name = EndpointName::new("cloud").unwrap();
    let endpoint = Office365::new(EndpointInfo::new(name.clone(), Office365::KIND), config).unwrap();
    let service = Service::new(Arc::new(SqliteStore::open(state).unwrap()));
    let customer = CustomerId::new("bench").unwrap();
    service.register(Customer::new(customer.clone()), vec![Arc::new(endpoint) as Arc<dyn Endpoint>]).await.unwrap();
    let options = ImportOptions { full: step == Step::Again, ..ImportOptions::default() };
    let mut import = service.start(&customer, &name, options).await.unwrap();
    let mut read = None;
    while let Some(progress) = import.progressed().await {
        if read.is_none() && !matches!(progress.phase, Phase::Starting | Phase::Listing) {
            read = Some(begun.elapsed());
        }
    }
    (import.wait().await.unwrap(), read.unwrap_or_else(|| begun.elapsed()))
}

fn wal_of(state: &Path) -> PathBuf {
    let mut name = state.as_os_str().to_owned();
    name.push("-wal");
    PathBuf::from(name)
}
