//! What the benches of clouds share: an import by a process of its own, from a fake that is served by another. It must not
//! know which cloud it is, nor what its quota is.

#[path = "../import/measure.rs"]
mod measure;

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tenantry::model::{CustomerId, EndpointName, Mode, Outcome, Phase, RunReport};
use tenantry::{Customer, Endpoint, ImportOptions, Service, SqliteStore};

use measure::Measurement;

/// How long a call takes where the quota is enforced: what a near data centre needs.
pub(crate) const LATENCY: Duration = Duration::from_millis(100);

const SIZES: [(&str, usize); 3] = [("10k", 10_000), ("100k", 100_000), ("1m", 1_000_000)];

/// The arguments, without what cargo adds.
pub(crate) fn arguments() -> Vec<String> {
    std::env::args().skip(1).filter(|argument| argument != "--bench").collect()
}

/// Returns the word behind an option.
pub(crate) fn after<'a>(words: &[&'a str], name: &str) -> Option<&'a str> {
    words.iter().position(|word| *word == name).and_then(|at| words.get(at + 1).copied())
}

/// Measures each chosen number of users, in an empty folder each.
pub(crate) fn each_size(words: &[&str], mut measure: impl FnMut(usize, &Path)) {
    for name in after(words, "--sizes").unwrap_or("10k,100k,1m").split(',') {
        let (_, users) = SIZES.into_iter().find(|(known, _)| *known == name).expect("sizes are 10k, 100k or 1m");
        let folder = std::env::temp_dir().join(format!("tenantry-cloud-{}-{users}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        measure(users, &folder);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}

/// What is measured, in this order on one state file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    First,
    NoDelta,
    Again,
}

impl Step {
    pub(crate) const ALL: [Self; 3] = [Self::First, Self::NoDelta, Self::Again];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::First => "first import",
            Self::NoDelta => "delta, nothing changed",
            Self::Again => "unchanged full re-import",
        }
    }

    pub(crate) fn named(name: &str) -> Self {
        Self::ALL.into_iter().find(|step| step.name() == name).unwrap()
    }
}

/// What one step cost.
pub(crate) struct Measured {
    /// Those of the importing process, as columns.
    pub(crate) figures: String,
    /// Seconds until the listing was read.
    pub(crate) reading: f64,
    /// Seconds until the import had ended.
    pub(crate) seconds: f64,
    /// What the fake counted.
    pub(crate) counted: Vec<f64>,
}

impl Measured {
    /// Says which part of two spans of time a shorter one is: of that until the listing was read, and of that of all.
    pub(crate) fn shares(&self, optimum: Option<f64>) -> String {
        let share =
            |seconds: f64| optimum.map_or("–".to_owned(), |least| format!("{:.1} %", least / seconds * 100.0));
        format!("{:.2} | {} | {}", self.reading, share(self.reading), share(self.seconds))
    }
}

/// The fake in its own process.
pub(crate) struct Server {
    process: Child,
    out: BufReader<ChildStdout>,
    /// What it said of itself, a line each.
    pub(crate) said: Vec<String>,
}

impl Server {
    /// Starts this program as a fake, which says so many lines before it attends.
    pub(crate) fn start(arguments: &[&str], lines: usize) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(process.stdout.take().unwrap());
        let said = (0..lines).map(|_| line(&mut out)).collect();
        Self { process, out, said }
    }

    /// Runs one step in a process of its own.
    pub(crate) fn measure(&mut self, step: Step, state: &Path, settings: &[&str]) -> Measured {
        self.say("begin");
        let _ = line(&mut self.out);
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--child", step.name(), &state.display().to_string()])
            .args(settings)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let measured = String::from_utf8(output.stdout).unwrap();
        let [figures, reading, seconds] = measured.trim().split(" @ ").collect::<Vec<_>>().try_into().unwrap();
        self.say("end");
        let counted = line(&mut self.out).split(' ').map(|count| count.parse().unwrap()).collect();
        let (reading, seconds) = (reading.parse().unwrap(), seconds.parse().unwrap());
        Measured { figures: figures.to_owned(), reading, seconds, counted }
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

/// In the fake's process: tells by how much its counts grew in each step, until standard input ends.
pub(crate) fn attend<const N: usize>(count: impl Fn() -> [f64; N]) {
    let mut before = count();
    for word in std::io::stdin().lock().lines() {
        let now = count();
        if word.unwrap() == "begin" {
            before = now;
            println!("ready");
        } else {
            let grown: Vec<_> = now.iter().zip(&before).map(|(now, before)| (now - before).to_string()).collect();
            println!("{}", grown.join(" "));
        }
    }
}

/// In a process of its own: imports once and prints what it cost.
pub(crate) fn child(step: Step, state: &Path, endpoint: impl FnOnce(EndpointName) -> Arc<dyn Endpoint>) {
    let measurement = Measurement::begin(wal_of(state));
    let started = Instant::now();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (report, reading) = runtime.block_on(import(step, state, endpoint));
    let seconds = started.elapsed().as_secs_f64();
    assert_eq!(report.outcome, Outcome::Done, "{:?}", report.error);
    assert_eq!(report.mode == Mode::Delta, step == Step::NoDelta);
    assert!(step == Step::First || report.created + report.updated + report.removed == 0, "{report:?}");
    println!("{} @ {} @ {seconds}", measurement.end(state), reading.as_secs_f64());
}

/// Imports; returns how long it took until everything was read, as well.
async fn import(
    step: Step,
    state: &Path,
    endpoint: impl FnOnce(EndpointName) -> Arc<dyn Endpoint>,
) -> (RunReport, Duration) {
    let begun = Instant::now();
    let name = EndpointName::new("cloud").unwrap();
    let service = Service::new(Arc::new(SqliteStore::open(state).unwrap()));
    let customer = CustomerId::new("bench").unwrap();
    service.register(Customer::new(customer.clone()), vec![endpoint(name.clone())]).await.unwrap();
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
