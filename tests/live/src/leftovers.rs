//! How a server in use is marked on disk, and how the servers and files of ended test processes are found and removed.
//!
//! It must not know which kind of server it is, and uses the standard library only: `xtask` compiles this file too.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

/// Names of Unix sockets end at 107 bytes; Samba's need about 60 below this directory.
const LONGEST: usize = 44;

/// The file in a server's directory that names its process.
pub(crate) const PID_FILE: &str = "server.pid";

/// The directory, in that of everything live, with the logs of the last run, by test.
pub(crate) const LOGS: &str = "logs";

/// Returns the directory of everything that servers leave on disk: `live` in the target directory of the program.
pub(crate) fn live_directory(program: &Path) -> Option<PathBuf> {
    // Every profile's directory holds cargo's lock file, whatever the target directory is called.
    let profile = program.ancestors().find(|directory| directory.join(".cargo-lock").exists())?;
    let live = profile.parent()?.join("live");
    if live.as_os_str().len() <= LONGEST {
        return Some(live);
    }
    let mut hasher = DefaultHasher::new();
    live.hash(&mut hasher);
    Some(std::env::temp_dir().join(format!("tenantry-live-{:08x}", hasher.finish() & 0xffff_ffff)))
}

/// Returns the directory under which every running server has its own: `<owner pid>-<owner start>-<number>`.
pub(crate) fn running_directory(live: &Path) -> PathBuf {
    live.join("run")
}

/// Sends a signal to a process, or to a group when `target` begins with a minus.
pub(crate) fn signal(name: &str, target: &str) {
    let script = r#"kill -s "$1" -- "$2""#;
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh", name, target]);
    // A process that has just ended by itself is no failure.
    let _ = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
}

/// Returns when the process started, in clock ticks since boot: with the pid it names a process for good.
pub(crate) fn start_of(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in brackets may hold anything; after its last bracket come the state and 18 more fields.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    if fields.first() == Some(&"Z") {
        return None;
    }
    fields.get(19)?.parse().ok()
}

/// Ends servers and removes directories whose test process is gone; returns how many there were.
pub(crate) fn sweep(live: &Path) -> io::Result<usize> {
    let entries = match fs::read_dir(running_directory(live)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    let mut swept = 0;
    for entry in entries {
        let directory = entry?.path();
        let Some((pid, start)) = directory.file_name().and_then(|name| owner_of(name.to_str()?)) else { continue };
        if start_of(pid) == Some(start) {
            continue;
        }
        end_server_of(&directory);
        match fs::remove_dir_all(&directory) {
            Ok(()) => swept += 1,
            // Another test process sweeps at the same time.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(swept)
}

fn owner_of(name: &str) -> Option<(u32, u64)> {
    let mut parts = name.split('-');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn end_server_of(directory: &Path) {
    let Ok(mark) = fs::read_to_string(directory.join(PID_FILE)) else { return };
    let Some((pid, start)) = mark.trim().split_once(' ') else { return };
    let (Ok(number), Ok(start)) = (pid.parse::<u32>(), start.parse::<u64>()) else { return };
    for name in ["TERM", "KILL"] {
        if start_of(number) != Some(start) {
            return;
        }
        signal(name, pid);
        for _ in 0..60 {
            if start_of(number) != Some(start) {
                return;
            }
            thread::sleep(Duration::from_millis(50));
        }
    }
}
