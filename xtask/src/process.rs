//! Runs child processes, passes their output on, and ends them when a person presses Ctrl-C.
//!
//! It must not know what the children do.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::leftovers;

/// How long an interrupted child may take to end by itself.
const GRACE: Duration = Duration::from_secs(8);

/// Whether somebody asked this process to stop.
#[derive(Debug, Clone)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Takes over SIGINT, SIGTERM and SIGHUP: from now on they set a flag, so that cleaning up still happens.
    pub(crate) fn listen() -> Result<Self, String> {
        let flag = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(&flag))
                .map_err(|error| format!("cannot listen for signal {signal}: {error}"))?;
        }
        Ok(Self(flag))
    }

    pub(crate) fn check(&self) -> Result<(), String> {
        if self.0.load(Ordering::Relaxed) { Err("interrupted".to_owned()) } else { Ok(()) }
    }
}

/// Returns a `cargo` that sees the environment as if a person had started it.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // What cargo tells about `xtask` itself would make build scripts that look at it run again, and with them
    // everything that depends on them.
    let told = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_"];
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| told.iter().any(|prefix| name.starts_with(prefix))) {
            command.env_remove(name);
        }
    }
    command
}

/// Returns the root of the workspace, wherever the command was started.
pub(crate) fn workspace_root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Whether skipping is a failure.
pub(crate) fn is_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true")
}

/// Runs the command to its end with its output shown; an unsuccessful end is an error.
pub(crate) fn run(command: &mut Command, interrupt: &Interrupt) -> Result<(), String> {
    let shown = describe(command);
    let status = wait(spawn(command, Stdio::inherit)?, interrupt)?;
    if status.success() { Ok(()) } else { Err(format!("{shown}: {status}")) }
}

/// Runs the command to its end, shows each line and hands it to `seen`; returns whether it was successful.
pub(crate) fn run_watched(
    command: &mut Command,
    interrupt: &Interrupt,
    seen: impl Fn(&str) + Sync,
) -> Result<bool, String> {
    let mut child = spawn(command, Stdio::piped)?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let status = thread::scope(|scope| {
        let seen = &seen;
        if let Some(pipe) = stdout {
            scope.spawn(move || relay(pipe, std::io::stdout(), seen));
        }
        if let Some(pipe) = stderr {
            scope.spawn(move || relay(pipe, std::io::stderr(), seen));
        }
        wait(child, interrupt)
    })?;
    Ok(status.success())
}

/// Runs the command silently and returns its output, or `None` when it cannot start or fails.
pub(crate) fn output_of(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs the command to its end, shows nothing, and returns whether it was successful and what it said.
pub(crate) fn run_captured(command: &mut Command, interrupt: &Interrupt) -> Result<(bool, String), String> {
    let mut child = spawn(command, Stdio::piped)?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let read = |pipe: Option<Box<dyn Read + Send>>| {
        let mut said = Vec::new();
        // A pipe that breaks has said what it said.
        let _ = pipe.map(|mut pipe| pipe.read_to_end(&mut said));
        String::from_utf8_lossy(&said).into_owned()
    };
    thread::scope(|scope| {
        let stdout = scope.spawn(move || read(stdout.map(|pipe| Box::new(pipe) as _)));
        let stderr = scope.spawn(move || read(stderr.map(|pipe| Box::new(pipe) as _)));
        let status = wait(child, interrupt)?;
        let said = [stdout, stderr].map(|reader| reader.join().unwrap_or_default());
        Ok((status.success(), said.concat()))
    })
}

/// Returns the triple of this machine.
pub(crate) fn host() -> Option<String> {
    let version = output_of(Command::new("rustc").arg("-vV"))?;
    version.lines().find_map(|line| line.strip_prefix("host: ")).map(str::to_owned)
}

fn describe(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

fn spawn(command: &mut Command, output: fn() -> Stdio) -> Result<Child, String> {
    // A group of its own, so that an interrupt reaches the test binaries behind cargo and not only cargo.
    command.stdin(Stdio::null()).stdout(output()).stderr(output()).process_group(0);
    command.spawn().map_err(|error| format!("{}: {error}", describe(command)))
}

fn wait(mut child: Child, interrupt: &Interrupt) -> Result<ExitStatus, String> {
    loop {
        if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
            interrupt.check()?;
            return Ok(status);
        }
        if interrupt.check().is_err() {
            end_group(&mut child);
            return Err("interrupted".to_owned());
        }
        thread::sleep(Duration::from_millis(20));
    }
}

fn end_group(child: &mut Child) {
    let group = format!("-{}", child.id());
    leftovers::signal("TERM", &group);
    let deadline = Instant::now() + GRACE;
    while Instant::now() < deadline {
        if matches!(child.try_wait(), Ok(Some(_)) | Err(_)) {
            return;
        }
        thread::sleep(Duration::from_millis(50));
    }
    leftovers::signal("KILL", &group);
    // Nothing is left to do with a child that cannot be waited for.
    let _ = child.wait();
}

fn relay(pipe: impl Read, mut to: impl Write, seen: &impl Fn(&str)) {
    let mut reader = BufReader::new(pipe);
    let mut line = Vec::new();
    while matches!(reader.read_until(b'\n', &mut line), Ok(length) if length > 0) {
        // A closed terminal must not stop the tests.
        let _ = to.write_all(&line).and_then(|()| to.flush());
        seen(String::from_utf8_lossy(&line).trim_end());
        line.clear();
    }
}
