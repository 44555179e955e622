//! One server process and its directory: started, waited for, stopped, and gone with the value that holds it.
//!
//! It must not know which kind of server it is.

use std::cell::Cell;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Attempt, LiveError, Result};
use crate::leftovers;

const START: Duration = Duration::from_secs(30);
const STOP: Duration = Duration::from_secs(10);

static NEXT: AtomicU32 = AtomicU32::new(0);
static LIVE: OnceLock<PathBuf> = OnceLock::new();

thread_local! {
    /// How many servers this test has dropped: numbers its logs.
    static DROPPED: Cell<u32> = const { Cell::new(0) };
}

/// Returns the directory for images, locks and running servers; the first call removes what killed tests left there.
pub(crate) fn live_directory() -> Result<&'static Path> {
    if let Some(live) = LIVE.get() {
        return Ok(live);
    }
    let named = std::env::var_os("TENANTRY_LIVE_DIR").map(PathBuf::from);
    let program = std::env::current_exe().attempt("find the test program")?;
    let live = named
        .or_else(|| leftovers::live_directory(&program))
        .unwrap_or_else(|| std::env::temp_dir().join("tenantry-live"));
    fs::create_dir_all(&live).attempt(live.display())?;
    leftovers::sweep(&live).attempt("remove left-over servers")?;
    Ok(LIVE.get_or_init(|| live))
}

/// The directory of one server; removed with this value, except its log.
#[derive(Debug)]
pub(crate) struct RunDirectory(PathBuf);

impl RunDirectory {
    /// Names a directory after this process, so that it can be recognised as left over. Does not create it.
    pub(crate) fn new() -> Result<Self> {
        let parent = leftovers::running_directory(live_directory()?);
        fs::create_dir_all(&parent).attempt(parent.display())?;
        let owner = std::process::id();
        let start = leftovers::start_of(owner).ok_or_else(|| LiveError::new("this process is not in /proc"))?;
        let path = parent.join(format!("{owner}-{start}-{}", NEXT.fetch_add(1, Ordering::Relaxed)));
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    fn keep_log(&self) -> io::Result<()> {
        let logs = live_directory().map_err(io::Error::other)?.join(leftovers::LOGS);
        fs::create_dir_all(&logs)?;
        let test = thread::current().name().unwrap_or("unnamed").replace("::", ".");
        let number = DROPPED.replace(DROPPED.get() + 1);
        let kept = logs.join(format!("{test}.{number}"));
        match fs::remove_dir_all(&kept) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => fs::rename(self.0.join("log"), kept),
        }
    }
}

impl Drop for RunDirectory {
    fn drop(&mut self) {
        // A test that fails by returning an error looks here like one that passes, so every log is kept until the
        // next run. Nothing better can be done about one that cannot be kept than to lose it.
        let _ = self.keep_log();
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A running server; ended with this value.
#[derive(Debug)]
pub(crate) struct RunningServer {
    child: Child,
}

impl RunningServer {
    /// Starts the server, marks it in its directory and waits until it is ready.
    pub(crate) fn start(command: &mut Command, directory: &Path, ready: impl Fn() -> bool) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let log = directory.join("log").join("output.log");
        let output = File::options().create(true).append(true).open(&log).attempt(log.display())?;
        // The other end closes when this process ends, however it ends.
        command.stdin(Stdio::piped()).stdout(output.try_clone().attempt("share the log")?).stderr(output);
        let child = command.spawn().attempt(&name)?;
        let mut server = Self { child };
        let start = leftovers::start_of(server.child.id()).unwrap_or_default();
        let mark = format!("{} {start}\n", server.child.id());
        fs::write(directory.join(leftovers::PID_FILE), mark).attempt("mark the server")?;

        let deadline = Instant::now() + START;
        while !ready() {
            if let Some(status) = server.child.try_wait().attempt("wait for the server")? {
                return Err(LiveError::new(format!("{name} ended while starting: {status}\n{}", tail(directory))));
            }
            if Instant::now() > deadline {
                return Err(LiveError::new(format!("{name} is not ready after {START:?}\n{}", tail(directory))));
            }
            thread::sleep(Duration::from_millis(20));
        }
        // An answer from somebody else's server on the same address would be mistaken for ours.
        match server.child.try_wait().attempt("wait for the server")? {
            None => Ok(server),
            Some(status) => Err(LiveError::new(format!("{name} ended: {status}\n{}", tail(directory)))),
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks the server to end and waits; after a while it is killed.
    pub(crate) fn stop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_)) | Err(_)) {
            return;
        }
        leftovers::signal("TERM", &self.child.id().to_string());
        let deadline = Instant::now() + STOP;
        while Instant::now() < deadline {
            if matches!(self.child.try_wait(), Ok(Some(_)) | Err(_)) {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        // It is our own child and still there, so neither call can hit another process.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for RunningServer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Runs a program to its end; a failure carries what it printed.
pub(crate) fn run(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().attempt(&name)?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    let said = format!("{}{}", String::from_utf8_lossy(&output.stderr), last_lines(&text));
    Err(LiveError::new(format!("{name}: {}: {}", output.status, said.trim())).with_code(output.status.code()))
}

fn tail(directory: &Path) -> String {
    let logs = ["samba.log", "output.log"].map(|file| fs::read_to_string(directory.join("log").join(file)));
    logs.into_iter().flatten().map(|log| last_lines(&log)).collect::<Vec<_>>().join("\n")
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}
