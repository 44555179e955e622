//! Runs the program and reads what it says.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// What a run of the program left.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) status: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// The built example, which lies beside this test.
fn path() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().and_then(|deps| deps.parent()).unwrap();
    let path = folder.join("examples").join(format!("import_tenant{}", std::env::consts::EXE_SUFFIX));
    assert!(path.exists(), "the example is not built; run cargo build --example import_tenant");
    path
}

pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(path());
    command.args(arguments).env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

/// Runs it to its end. It blocks: on a runtime, there must be a thread left for the servers.
pub(crate) fn run(command: &mut Command) -> Said {
    let output = command.output().unwrap();
    Said {
        status: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Runs it with the `tenant.toml` of a folder, to its end.
pub(crate) fn run_in(folder: &Path, arguments: &[&str]) -> Said {
    run(command(arguments).arg("--config").arg(folder.join("tenant.toml")))
}

/// Likewise with `--json`, and to a good end: its events and its summary.
pub(crate) fn told_in(folder: &Path, arguments: &[&str]) -> (Vec<Value>, Value) {
    let said = run_in(folder, &[&["--json"], arguments].concat());
    assert_eq!(said.status, Some(0), "{said:?}");
    events_and_summary(&said)
}

/// Reads JSON lines; a last one that was torn by a kill is left out.
pub(crate) fn lines(text: &str) -> Vec<Value> {
    text.split_inclusive('\n')
        .filter(|line| line.ends_with('\n'))
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

/// Splits the output of a run into its events and its summary.
pub(crate) fn events_and_summary(said: &Said) -> (Vec<Value>, Value) {
    let mut lines = lines(&said.out);
    let summary = lines.pop().unwrap_or_else(|| panic!("nothing was printed: {said:?}"));
    assert_eq!(summary["type"], "tenantry.summary", "{said:?}");
    (lines, summary)
}

pub(crate) fn sequences(events: &[Value]) -> Vec<u64> {
    events.iter().map(|event| event["sequence"].as_str().unwrap().parse().unwrap()).collect()
}

pub(crate) fn count(events: &[Value], event_type: &str) -> usize {
    events.iter().filter(|event| event["type"] == event_type).count()
}
