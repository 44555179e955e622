//! Runs both programs and reads what they say.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// What a run of a program left.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) status: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// A built example, which lies beside this test.
fn path(example: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().and_then(|deps| deps.parent()).unwrap();
    let path = folder.join("examples").join(format!("{example}{}", std::env::consts::EXE_SUFFIX));
    assert!(path.exists(), "the example is not built; run cargo build --example {example}");
    path
}

fn command(example: &str, state: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(path(example));
    command.arg("--state").arg(state).args(arguments).env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

pub(crate) fn browser(state: &Path, arguments: &[&str]) -> Command {
    command("browse_tenant", state, arguments)
}

pub(crate) fn run(mut command: Command) -> Said {
    let output = command.output().unwrap();
    Said {
        status: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Asks, and expects an answer.
pub(crate) fn browse(state: &Path, arguments: &[&str]) -> String {
    let said = run(browser(state, arguments));
    assert_eq!((said.status, said.err.as_str()), (Some(0), ""), "{arguments:?}: {said:?}");
    said.out
}

/// Asks for JSON; returns the lines.
pub(crate) fn lines(state: &Path, arguments: &[&str]) -> Vec<Value> {
    let out = browse(state, &[&["--json"], arguments].concat());
    out.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// Asks for a list as JSON; returns the records and the line behind them.
pub(crate) fn list(state: &Path, arguments: &[&str]) -> (Vec<Value>, Value) {
    let mut lines = lines(state, arguments);
    let page = lines.pop().unwrap();
    assert_eq!(page["type"], "tenantry.page", "{page}");
    (lines.into_iter().map(|line| line["record"].clone()).collect(), page)
}

/// Runs the program that imports.
pub(crate) fn import(state: &Path, arguments: &[&str]) -> Said {
    run(command("import_tenant", state, arguments))
}

/// Imports the demo tenant into a state file.
pub(crate) fn import_demo(state: &Path) {
    let said = import(state, &[]);
    assert_eq!(said.status, Some(0), "{said:?}");
}
