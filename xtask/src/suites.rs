//! `cargo xtask test`: the tests of the workspace, then the live suites, then a clean machine.
//!
//! It must not know how a server is set up: the live suites do that themselves.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use crate::leftovers;
use crate::packages::{self, Root};
use crate::process::{self, Interrupt};
use crate::tally::{SKIPPED, Tally};

const LIVE_SUITES: &str = "tests/live/tests/it/main.rs";

/// Sets how many histories the laws are tried with, and how many of them a change has to pass.
const CASES: &str = "TENANTRY_LAWS_CASES";
const CI_CASES: &str = "10000";

/// Which tests to run.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Selection {
    live_only: bool,
    no_live: bool,
    filter: Option<String>,
}

impl Selection {
    /// Reads the arguments of `cargo xtask test`.
    pub(crate) fn parse(arguments: &[String]) -> Result<Self, String> {
        let mut selection = Self::default();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            match argument.as_str() {
                "--live-only" => selection.live_only = true,
                "--no-live" => selection.no_live = true,
                "--filter" => selection.filter = Some(rest.next().ok_or("--filter needs a text")?.clone()),
                other => return Err(format!("unknown argument: {other}")),
            }
        }
        if selection.live_only && selection.no_live {
            return Err("--live-only and --no-live leave nothing to run".to_owned());
        }
        Ok(selection)
    }
}

/// Runs the selected tests, cleans up and prints the counts.
pub(crate) fn run(selection: &Selection, interrupt: &Interrupt) -> Result<(), String> {
    let tally = Mutex::new(Tally::default());
    let outcome = run_selected(selection, interrupt, &tally);
    let tally = *tally.lock().map_err(|_| "a thread that counted tests has panicked")?;
    println!("\n{tally}");
    outcome?;
    if process::is_ci() && tally.skipped > 0 {
        return Err("CI=true: nothing may be skipped".to_owned());
    }
    Ok(())
}

fn run_selected(selection: &Selection, interrupt: &Interrupt, tally: &Mutex<Tally>) -> Result<(), String> {
    let live = live_directory()?;
    // Before the long build, so that a machine that cannot run the live suites says so at once.
    let prepared = (!selection.no_live).then(|| packages::prepare(interrupt));
    interrupt.check()?;
    let mut failures = Vec::new();

    if !selection.live_only {
        let mut command = test_command(selection, &[]);
        if !process::run_watched(&mut command, interrupt, |line| count(tally, line))? {
            failures.push("tests of the workspace failed");
        }
    }
    match prepared {
        None => skip_all(tally, "--no-live"),
        Some(Err(reason)) => skip_all(tally, &reason.to_string()),
        Some(Ok(root)) => {
            remove_logs(&live);
            let outcome = run_live(selection, root, &live, interrupt, tally);
            let successful = *outcome.as_ref().unwrap_or(&false);
            clean_as(root, &live, successful)?;
            if !outcome? {
                println!("logs of the servers: {}", live.join(leftovers::LOGS).display());
                failures.push("live suites failed");
            }
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.join(", ")) }
}

fn run_live(
    selection: &Selection,
    root: Root,
    live: &Path,
    interrupt: &Interrupt,
    tally: &Mutex<Tally>,
) -> Result<bool, String> {
    let before = passed(tally);
    // The same selection of packages and features as above, or cargo would build everything a second time.
    let mut command = test_command(selection, &["--test", "live"]);
    run_as(root, live, &mut command)?;
    let successful = process::run_watched(&mut command, interrupt, |line| count(tally, line))?;
    if successful && selection.filter.is_none() && passed(tally) == before {
        return Err("no live test ran".to_owned());
    }
    Ok(successful)
}

/// Lets a `cargo` command start servers: it knows where they lie, and what it builds runs as root.
pub(crate) fn prepare_live(command: &mut Command, root: Root) -> Result<(), String> {
    run_as(root, &live_directory()?, command)
}

/// Removes what a command behind [`prepare_live`] left; its logs stay when it failed.
pub(crate) fn clean_live(root: Root, successful: bool) -> Result<(), String> {
    clean_as(root, &live_directory()?, successful)
}

fn run_as(root: Root, live: &Path, command: &mut Command) -> Result<(), String> {
    command.env("TENANTRY_LIVE_DIR", live);
    if root == Root::Sudo {
        let ci = std::env::var("CI").unwrap_or_default();
        let runner = format!("sudo -n env TENANTRY_LIVE_DIR={} CI={ci}", live.display());
        command.env(runner_variable()?, runner);
    }
    Ok(())
}

fn test_command(selection: &Selection, which: &[&str]) -> Command {
    let mut command = process::cargo();
    command.args(["test", "--workspace", "--all-features", "--locked", "--no-fail-fast"]).args(which);
    if let Some(filter) = &selection.filter {
        command.args(["--", filter]);
    }
    if process::is_ci() && std::env::var_os(CASES).is_none() {
        command.env(CASES, CI_CASES);
        // So many histories pay for a compiler that takes a minute more.
        command.env("CARGO_PROFILE_DEV_OPT_LEVEL", "1");
    }
    command.current_dir(process::workspace_root());
    command
}

/// Names every live suite that does not run: what was not tested must be seen.
fn skip_all(tally: &Mutex<Tally>, reason: &str) {
    let suites = std::fs::read_to_string(process::workspace_root().join(LIVE_SUITES)).unwrap_or_default();
    for suite in suite_names(&suites) {
        println!("{SKIPPED}{suite}: {reason}");
        if let Ok(mut tally) = tally.lock() {
            tally.skipped += 1;
        }
    }
}

fn suite_names(main: &str) -> impl Iterator<Item = String> {
    main.lines().filter_map(|line| Some(line.strip_prefix("mod ")?.strip_suffix(';')?.replace('_', " ")))
}

fn count(tally: &Mutex<Tally>, line: &str) {
    if let Ok(mut tally) = tally.lock() {
        tally.read(line);
    }
}

fn passed(tally: &Mutex<Tally>) -> usize {
    tally.lock().map_or(0, |tally| tally.passed)
}

/// Returns where the live suites keep their servers: `live` in the target directory that holds this program.
fn live_directory() -> Result<PathBuf, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    leftovers::live_directory(&program).ok_or_else(|| "cannot find the target directory".to_owned())
}

/// Ends servers whose test process is gone (a killed one cannot do it itself) and removes their files.
pub(crate) fn clean() -> Result<(), String> {
    let live = live_directory()?;
    let swept = leftovers::sweep(&live).map_err(|error| format!("cannot clean up {}: {error}", live.display()))?;
    if swept > 0 {
        println!("ended and removed {swept} left-over servers");
    }
    Ok(())
}

fn clean_as(root: Root, live: &Path, successful: bool) -> Result<(), String> {
    if root == Root::Already {
        clean()?;
        if successful {
            remove_logs(live);
        }
        return Ok(());
    }
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    process::output_of(root.command("env").arg(program).arg("clean")).ok_or("cannot clean up by sudo")?;
    // What is in it belongs to root; left there, it would stand in the way of `cargo clean`.
    let kept = if successful { "" } else { leftovers::LOGS };
    let script = r#"cd "$1" && for entry in *; do [ "$entry" = "$2" ] || rm -rf -- "$entry"; done; chown -R "$3" ."#;
    let owner = std::fs::metadata("/proc/self").map_err(|error| error.to_string())?.uid().to_string();
    let mut command = root.command("sh");
    command.args(["-c", script, "clean"]).arg(live).args([kept, &owner]);
    process::output_of(&mut command).map(drop).ok_or_else(|| "cannot remove the servers' files by sudo".to_owned())
}

fn remove_logs(live: &Path) {
    // A log too many does no harm.
    let _ = std::fs::remove_dir_all(live.join(leftovers::LOGS));
}

fn runner_variable() -> Result<String, String> {
    let host = process::host().ok_or("rustc does not run")?;
    Ok(format!("CARGO_TARGET_{}_RUNNER", host.to_uppercase().replace('-', "_")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Selection, String> {
        Selection::parse(&arguments.iter().map(|&argument| argument.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn arguments_select_tests() {
        let wanted = Selection { live_only: true, no_live: false, filter: Some("dirsync".to_owned()) };
        assert_eq!(parse(&["--live-only", "--filter", "dirsync"]), Ok(wanted));
    }

    #[test]
    fn selections_that_run_nothing_or_are_unknown_are_refused() {
        assert!(parse(&["--live-only", "--no-live"]).is_err());
        assert!(parse(&["--filter"]).is_err());
        assert!(parse(&["--live"]).is_err());
    }

    #[test]
    fn live_suites_are_named_after_their_modules() {
        let names: Vec<_> = suite_names("//! Live suites.\n\nmod open_ldap;\nmod samba_harness;\n").collect();
        assert_eq!(names, ["open ldap", "samba harness"]);
    }
}
