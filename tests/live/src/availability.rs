//! Whether the servers can run on this machine, and how a suite says that it did not run.
//!
//! It must not install anything: `cargo xtask test` does.

use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Returns whether a suite can run; when it cannot, says so loudly, and panics when `CI=true`.
pub fn can_run(suite: &str, available: Result<(), String>) -> bool {
    match available {
        Ok(()) => true,
        Err(reason) => {
            skip_or_fail(suite, &reason);
            false
        }
    }
}

/// Says that a suite did not run, past the test runner's capturing; with `CI=true` it panics instead.
///
/// # Panics
///
/// When the environment has `CI=true`: there a suite that does not run is a failure.
pub fn skip_or_fail(suite: &str, reason: &str) {
    assert!(!std::env::var("CI").is_ok_and(|value| value == "true"), "live suite {suite} cannot run: {reason}");
    // The macros for printing are captured in a test that passes; a suite that was skipped would not be seen.
    let line = format!("SKIPPED live suite {suite}: {reason}\n");
    // A closed standard error must not fail a test.
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// Names the first program that is missing.
pub(crate) fn programs(needed: &[&str]) -> Result<(), String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories: Vec<_> = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]).collect();
    for program in needed {
        let found = directories.iter().any(|directory| directory.join(program).exists());
        if !found && !Path::new(program).exists() {
            return Err(format!("{program} is not installed: run `cargo xtask test`"));
        }
    }
    Ok(())
}

pub(crate) fn root() -> Result<(), String> {
    match std::fs::metadata("/proc/self") {
        Ok(process) if process.uid() == 0 => Ok(()),
        _ => Err("needs root to listen on the LDAP ports: run `cargo xtask test`".to_owned()),
    }
}
