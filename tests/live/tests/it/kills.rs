//! The command that outsiders drive, killed again and again in the middle of an import of a real domain.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tenantry::model::{CustomerId, Event, ObjectKind};
use tenantry::{SqliteStore, Store};
use tenantry_live::{LdifWriter, Population, SambaDc};

use crate::replica::Replica;
use crate::world::{Done, PASSWORD, ready};

/// The program as a user has it, with a configuration of its own.
struct Program {
    binary: PathBuf,
    folder: tempfile::TempDir,
}

impl Program {
    fn new(dc: &SambaDc, user: &str) -> Result<Self, Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let config = format!(
            "[customer]\nname = \"Mining 88\"\n\n[[endpoint]]\nname = \"ad\"\nkind = \"active-directory\"\nurl = \"{}\"\n\
             bind = \"{user}\"\npassword = {{ env = \"AD_PASSWORD\" }}\nca_file = \"ca.pem\"\n",
            dc.ldaps_url()
        );
        fs::write(folder.path().join("tenant.toml"), config)?;
        fs::write(folder.path().join("ca.pem"), dc.ca_pem())?;
        Ok(Self { binary: build()?, folder })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts an import into a state file; what it prints goes to a file, as it might with a user.
    fn start(&self, state: &str, printed: &str) -> std::io::Result<Child> {
        Command::new(&self.binary)
            .arg("--config")
            .arg(self.path("tenant.toml"))
            .arg("--state")
            .arg(self.path(state))
            .arg("--json")
            .env("AD_PASSWORD", PASSWORD)
            .stdin(Stdio::null())
            .stdout(File::create(self.path(printed))?)
            .stderr(File::create(self.path("errors.txt"))?)
            .spawn()
    }

    fn run(&self, state: &str, printed: &str) -> std::io::Result<ExitStatus> {
        self.start(state, printed)?.wait()
    }

    /// Returns what was printed: events by position, with the line as it was, and the summary of a run that ended.
    fn printed(&self, name: &str) -> Result<(Vec<Event>, Option<Value>), Box<dyn std::error::Error>> {
        let text = fs::read_to_string(self.path(name))?;
        // Whoever is killed in the middle of a line has not printed it; it comes again.
        let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
        let mut events = Vec::new();
        let mut summary = None;
        for line in whole.lines() {
            let value: Value = serde_json::from_str(line)?;
            if value["type"] == "tenantry.summary" {
                summary = Some(value);
            } else {
                events.push(serde_json::from_str(line)?);
            }
        }
        Ok((events, summary))
    }
}

/// Builds the program the way these tests were built, and returns where it lies.
fn build() -> Result<PathBuf, Box<dyn std::error::Error>> {
    let tests = std::env::current_exe()?;
    let profile = tests.parent().and_then(Path::parent).expect("tests lie in deps of a profile");
    let mut command = Command::new(env!("CARGO"));
    command.args(["build", "--quiet", "--locked", "--example", "import_tenant", "--package", "tenantry"]);
    // What cargo tells a test about its own package would make it build other packages anew.
    for (name, _) in std::env::vars_os() {
        let about_us = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN", "CARGO_CRATE_", "CARGO_PRIMARY_"];
        if name.to_str().is_some_and(|name| about_us.iter().any(|start| name.starts_with(start))) {
            command.env_remove(&name);
        }
    }
    if profile.ends_with("release") {
        command.arg("--release");
    }
    let target = profile.parent().expect("a profile lies in the target directory");
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let status = command.current_dir(root).env("CARGO_TARGET_DIR", target).status()?;
    assert!(status.success(), "the program can be built");
    Ok(profile.join("examples/import_tenant"))
}

/// Everything that readers can ask of a state file.
fn state(file: &Path, customer: &str) -> Result<BTreeMap<String, Value>, Box<dyn std::error::Error>> {
    let store = SqliteStore::open(file)?;
    let customer = CustomerId::new(customer)?;
    let mut all = BTreeMap::new();
    for kind in ObjectKind::ALL {
        for record in store.records(&customer, *kind, None, usize::MAX >> 1)? {
            let mut groups = store.groups_of(&customer, record.id)?;
            groups.sort_unstable();
            let (mut members, count) = store.members(&customer, record.id)?;
            members.sort_unstable();
            let value = serde_json::json!({ "record": record, "groups": groups, "members": members, "count": count });
            all.insert(record.id.to_string(), value);
        }
    }
    all.insert("totals".into(), serde_json::to_value(store.totals(&customer)?)?);
    Ok(all)
}

/// When a run is killed.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// After a random time between two hundredths of what a whole run takes.
    Within(u64, u64),
    /// As soon as it has printed something: while it applies or prints.
    Printing,
}

/// The first ones fall into the listing, where a whole run spends its time; the others into what follows.
const MOMENTS: [Moment; 5] =
    [Moment::Within(0, 40), Moment::Within(30, 60), Moment::Printing, Moment::Printing, Moment::Within(0, 100)];

/// Waits for the moment; tells how long that was.
#[allow(clippy::disallowed_methods, reason = "kills a real process at real moments")]
fn wait_for(moment: Moment, whole: Duration, child: &mut Child, printed: &Path) -> std::io::Result<Duration> {
    let began = Instant::now();
    match moment {
        Moment::Within(from, to) => {
            let random = RandomState::new().build_hasher().finish();
            let whole = u64::try_from(whole.as_micros()).unwrap_or(u64::MAX) / 100;
            std::thread::sleep(Duration::from_micros(whole * from + random % (whole * (to - from)).max(1)));
        }
        Moment::Printing => {
            while fs::metadata(printed)?.len() == 0 && child.try_wait()?.is_none() {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }
    Ok(began.elapsed())
}

#[test]
#[allow(clippy::disallowed_methods, reason = "kills a real process at real moments")]
fn killed_again_and_again_it_ends_as_if_it_never_was_and_every_event_is_printed() -> Done {
    if !ready("kills") {
        return Ok(());
    }
    let dc = SambaDc::populated(Population::thousands())?;
    let reader = dc.create_account("reader", PASSWORD)?;
    let program = Program::new(&dc, &reader.upn)?;
    let began = Instant::now();
    assert_eq!(program.run("calm.db", "calm.jsonl")?.code(), Some(0), "{}", errors(&program));
    let calm = began.elapsed();
    let (calm_events, summary) = program.printed("calm.jsonl")?;
    let summary = summary.expect("a summary is the last line");
    let customer = summary["customer"].as_str().expect("the customer is told").to_owned();
    assert!(summary["users"].as_u64() > Some(4_200), "{summary}");

    let mut killed = 0;
    let mut moments = Vec::new();
    let mut printed = Vec::new();
    // First over the whole time, then a second import that has something to remove and to change.
    for round in 0..2 {
        for (number, moment) in MOMENTS.into_iter().enumerate() {
            let name = format!("killed-{round}-{number}.jsonl");
            let mut child = program.start("killed.db", &name)?;
            moments.push(wait_for(moment, calm, &mut child, &program.path(&name))?);
            killed += u32::from(child.try_wait()?.is_none());
            child.kill()?;
            child.wait()?;
            printed.push(name);
        }
        let name = format!("whole-{round}.jsonl");
        assert_eq!(program.run("killed.db", &name)?.code(), Some(0), "{moments:?} {}", errors(&program));
        printed.push(name);
        if round == 0 {
            let same = state(&program.path("killed.db"), &customer)? == state(&program.path("calm.db"), &customer)?;
            assert!(same, "the first import after kills at {moments:?} is another one");
            change(&dc)?;
        }
    }
    assert!(killed >= 4, "most runs were killed: {killed} at {moments:?}");
    assert_eq!(program.run("calm.db", "calm-2.jsonl")?.code(), Some(0), "{}", errors(&program));
    let killed_state = state(&program.path("killed.db"), &customer)?;
    assert!(killed_state == state(&program.path("calm.db"), &customer)?, "the change after kills at {moments:?}");

    // Everything that was printed, in any run: each position at least once, and always the same.
    let mut events: BTreeMap<u64, Event> = BTreeMap::new();
    for name in &printed {
        for event in program.printed(name)?.0 {
            let line = serde_json::to_value(&event)?;
            if let Some(before) = events.insert(event.position(), event) {
                assert_eq!(serde_json::to_value(&before)?, line, "printed twice, and not the same");
            }
        }
    }
    let mut replica = Replica::default();
    replica.replay(&events.into_values().collect::<Vec<_>>());
    let records = killed_state.iter().filter(|(id, _)| *id != "totals");
    let records: BTreeMap<_, _> = records.map(|(id, value)| (id.clone(), value["record"].clone())).collect();
    assert!(records == replica.records, "printed events give the records, after kills at {moments:?}");
    assert_eq!(replica.memberships().len() as u64, killed_state["totals"]["memberships"].as_u64().unwrap_or(0));
    assert!(calm_events.len() as u64 <= replica.position());
    Ok(())
}

/// A thousand memberships more, three people less, one with another name.
fn change(dc: &SambaDc) -> tenantry_live::Result<()> {
    let population = Population::thousands();
    let group = format!("CN=Empty\\2C with comma,OU=Groups,{}", population.root_dn(dc.base_dn()));
    let mut ldif = LdifWriter::new().line("dn", &group).line("changetype", "modify").line("add", "member");
    for number in 300..1500 {
        ldif = ldif.line("member", population.user_dn(number, dc.base_dn()));
    }
    dc.ldapmodify(&ldif.end().finish())?;
    for number in 20..23 {
        dc.ldapdelete(&population.user_dn(number, dc.base_dn()))?;
    }
    dc.replace(&population.user_dn(30, dc.base_dn()), "sn", "Newname")
}

fn errors(program: &Program) -> String {
    fs::read_to_string(program.path("errors.txt")).unwrap_or_default()
}
