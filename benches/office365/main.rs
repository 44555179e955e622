//! What an import from Office 365 costs the process that imports: over HTTP, from a fake Graph in a process of its own.
//!
//! Without the quota it shows CPU and memory; with it (`--quota`), how close an import comes to what the published quota
//! allows at best. `cargo xtask bench --office365` runs it; `-- --sizes 10k,100k` chooses.
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

use tenantry::model::{CustomerId, EndpointName, Mode, Outcome, RunReport};
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
        ["--child", step, state, address @ ..] => child(Step::named(step), Path::new(state), address),
        _ => compare(&words),
    }
}

fn compare(words: &[&str]) {
    let after = |name: &str| words.iter().position(|word| *word == name).and_then(|at| words.get(at + 1).copied());
    let chosen: Vec<&str> = after("--sizes").unwrap_or("10k,100k,1m").split(',').collect();
    let quota = words.contains(&"--quota");
    println!(
        "| users/groups/memberships | step | CPU s | wall s | peak MiB | state MB | WAL peak MB | objects/s | calls | units | refused | of the optimum |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|");
    for name in chosen {
        let (_, users) = SIZES.into_iter().find(|(known, _)| *known == name).expect("sizes are 10k, 100k or 1m");
        let folder = std::env::temp_dir().join(format!("tenantry-graph-{}-{users}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let mut server = Server::start(users, quota);
        for step in Step::ALL {
            let state = folder.join("state.db");
            let measured = server.measure(step, &state, quota);
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
    fn measure(&mut self, step: Step, state: &Path, quota: bool) -> String {
        if quota {
            // Each import begins with full buckets.
            std::thread::sleep(Duration::from_secs(10));
        }
        self.say("begin");
        let _ = line(&mut self.out);
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--child", step.name(), &state.display().to_string()])
            .args(&self.address)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let measured = String::from_utf8(output.stdout).unwrap();
        let (figures, seconds) = measured.trim().split_once(" @ ").unwrap();
        self.say("end");
        let sums = line(&mut self.out);
        let [calls, units, refused] = sums.split(' ').collect::<Vec<_>>().try_into().unwrap();
        let seconds: f64 = seconds.parse().unwrap();
        let objects = if step == Step::NoDelta { 0.0 } else { f64::from(self.users) * 1.1 };
        let optimum = units.parse::<f64>().unwrap() / UNITS_PER_SECOND / seconds * 100.0;
        let optimum = if quota && step != Step::NoDelta { format!("{optimum:.0} %") } else { "–".to_owned() };
        format!("{figures} | {:.0} | {calls} | {units} | {refused} | {optimum}", objects / seconds)
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
fn child(step: Step, state: &Path, address: &[&str]) {
    let measurement = Measurement::begin(wal_of(state));
    let started = Instant::now();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let report = runtime.block_on(import(step, state, address));
    let seconds = started.elapsed().as_secs_f64();
    assert_eq!(report.outcome, Outcome::Done, "{:?}", report.error);
    assert_eq!(report.mode == Mode::Delta, step == Step::NoDelta);
    assert!(step == Step::First || report.created + report.updated + report.removed == 0, "{report:?}");
    println!("{} @ {seconds}", measurement.end(state));
}

async fn import(step: Step, state: &Path, address: &[&str]) -> RunReport {
    let [url, tenant, client_id, secret] = address else { panic!("an address has four parts") };
    let mut config = Office365Config::new(*tenant, *client_id, Credential::Secret(Secret::new(*secret)));
    config.login_url = Some((*url).to_owned());
    config.graph_url = Some(format!("{url}/v1.0"));
    // Nobody else uses the application.
    config.quota.share = 1.0;
    let name = EndpointName::new("cloud").unwrap();
    let endpoint = Office365::new(EndpointInfo::new(name.clone(), Office365::KIND), config).unwrap();
    let service = Service::new(Arc::new(SqliteStore::open(state).unwrap()));
    let customer = CustomerId::new("bench").unwrap();
    service.register(Customer::new(customer.clone()), vec![Arc::new(endpoint) as Arc<dyn Endpoint>]).await.unwrap();
    let options = ImportOptions { full: step == Step::Again, ..ImportOptions::default() };
    service.import(&customer, &name, options).await.unwrap()
}

fn wal_of(state: &Path) -> PathBuf {
    let mut name = state.as_os_str().to_owned();
    name.push("-wal");
    PathBuf::from(name)
}
