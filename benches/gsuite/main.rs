//! What an import from Google costs the process that imports: over HTTP, from a fake Directory API in a process of its own.
//!
//! Without the quota it shows CPU and memory; with it (`--quota`), how close an import comes to what the published quota
//! allows at best. `cargo xtask bench --gsuite` runs it; `-- --sizes 10k,100k` chooses.
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
use tenantry_fakes::google::{Account, Clock, FakeGoogle, Settings, Size};
use tenantry_gsuite::{Gsuite, GsuiteConfig};

use measure::Measurement;

/// What Google grants one administrator in one project.
const QUERIES_PER_SECOND: f64 = 40.0;
/// How long a call takes where the quota is enforced: what a near data centre needs.
const LATENCY: Duration = Duration::from_millis(100);

const SIZES: [(&str, usize); 3] = [("10k", 10_000), ("100k", 100_000), ("1m", 1_000_000)];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["--serve", users, quota, key] => serve(users.parse().unwrap(), *quota == "quota", Path::new(key)),
        ["--child", step, state, address @ ..] => child(Step::named(step), Path::new(state), address),
        _ => compare(&words),
    }
}

fn compare(words: &[&str]) {
    let after = |name: &str| words.iter().position(|word| *word == name).and_then(|at| words.get(at + 1).copied());
    let chosen: Vec<&str> = after("--sizes").unwrap_or("10k,100k,1m").split(',').collect();
    let quota = words.contains(&"--quota");
    println!(
        "| users/groups/memberships | step | CPU s | wall s | peak MiB | state MB | WAL peak MB | objects/s | calls | least calls | refused | of the optimum |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|");
    for name in chosen {
        let (_, users) = SIZES.into_iter().find(|(known, _)| *known == name).expect("sizes are 10k, 100k or 1m");
        let folder = std::env::temp_dir().join(format!("tenantry-google-{}-{users}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let mut server = Server::start(users, quota, &folder);
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
    /// Users, groups and devices.
    objects: f64,
    /// The calls that a full listing and the ids alone take at least.
    least: [u64; 2],
}

impl Server {
    fn start(users: usize, quota: bool, folder: &Path) -> Self {
        let key = folder.join("key.json").display().to_string();
        let quota = if quota { "quota" } else { "free" };
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--serve", &users.to_string(), quota, &key])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(process.stdout.take().unwrap());
        let mut next = || line(&mut out);
        let address = [next(), next(), key, quota.to_owned()];
        let memberships = next();
        let least = [next().parse().unwrap(), next().parse().unwrap()];
        Self { process, out, address, memberships, objects: users as f64 * 1.3, least }
    }

    /// Runs one step and gives its row.
    fn measure(&mut self, step: Step, state: &Path, quota: bool) -> String {
        if quota {
            // Each import begins in a minute of its own.
            std::thread::sleep(Duration::from_mins(1));
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
        let (calls, refused) = sums.split_once(' ').unwrap();
        let seconds: f64 = seconds.parse().unwrap();
        let least = if step == Step::NoDelta { self.least[1] } else { self.least[0] };
        let optimum = least as f64 / QUERIES_PER_SECOND / seconds * 100.0;
        let optimum = if quota { format!("{optimum:.0} %") } else { "–".to_owned() };
        format!("{figures} | {:.0} | {calls} | {least} | {refused} | {optimum}", self.objects / seconds)
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

/// Serves an account until standard input ends; tells what each import asked for.
fn serve(users: usize, quota: bool, key: &Path) {
    let (groups, devices) = (users / 10, users / 10);
    let size = Size { users, groups, memberships: users * 10, orgunits: 500, chromeos: devices, mobile: devices };
    let account = Account::generated("corp.example", 1, size).with_clock(Clock::system());
    let mut settings = Settings::default();
    if quota {
        settings.latency = LATENCY;
    } else {
        settings.quota.per_user = u32::MAX;
        settings.quota.mobile_per_second = u32::MAX;
        settings.quota.concurrent = usize::MAX;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let server = runtime.block_on(FakeGoogle::start_with(account.clone(), settings));
    std::fs::write(key, server.key_file()).unwrap();
    println!("{}\n{}", server.url(), account.admin());
    println!("{}", account.memberships());
    // The ids of everything; and besides, the units and each group's members by itself.
    let pages = |count: usize, size: usize| count.div_ceil(size) as u64;
    let ids = pages(users, 500) + pages(groups, 200) + pages(devices, 300) + pages(devices, 100);
    let members: u64 = account.group_ids().iter().map(|group| pages(account.member_count(group), 200).max(1)).sum();
    println!("{}\n{ids}", ids + 1 + members);
    let sums = || {
        let counts = server.log().counts();
        let sum = |refused: bool| -> u64 {
            counts.iter().filter(|((_, status), _)| !refused || *status != 200).map(|(_, count)| count).sum()
        };
        (sum(false), sum(true))
    };
    let mut before = sums();
    for word in std::io::stdin().lock().lines() {
        let now = sums();
        if word.unwrap() == "begin" {
            before = now;
            println!("ready");
        } else {
            println!("{} {}", now.0 - before.0, now.1 - before.1);
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
    let [url, admin, key, quota] = address else { panic!("an address has four parts") };
    let mut config = GsuiteConfig::new(Secret::new(std::fs::read_to_string(key).unwrap()), *admin);
    config.api_url = (*url).to_owned();
    // Nobody else uses the project.
    config.quota.share = 1.0;
    if *quota == "free" {
        config.quota.user_per_minute = 10_000_000;
        config.quota.mobile_per_second = 1_000_000;
    }
    let name = EndpointName::new("google").unwrap();
    let endpoint = Gsuite::new(EndpointInfo::new(name.clone(), Gsuite::KIND), config).unwrap();
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
