//! A child process that counts the commits it comes to, and dies at one if it is told to. It knows no operation.

use std::ffi::OsStr;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tenantry::testkit::on_commit;

const AT: &str = "TENANTRY_KILL_AT";

/// In the child: the commits so far.
pub(crate) struct Commits(Arc<AtomicU64>);

impl Commits {
    /// Counts from now on, and aborts at the commit that the parent named.
    pub(crate) fn watch() -> Self {
        let commits = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&commits);
        let at = std::env::var(AT).ok().and_then(|text| text.parse().ok());
        on_commit(move || {
            if Some(counted.fetch_add(1, Ordering::Relaxed)) == at {
                println!("\nkilled");
                std::process::abort();
            }
        });
        Self(commits)
    }

    /// Tells the parent how many there were.
    pub(crate) fn tell(&self) {
        println!("\npoints {}", self.0.load(Ordering::Relaxed));
    }
}

/// What a child told that lived to its end.
pub(crate) struct Told {
    pub(crate) points: u64,
    pub(crate) text: String,
}

/// Runs the test of this name as a child with these variables; `None` if it died where it was told to.
pub(crate) fn run<'a>(
    child: &str,
    variables: impl IntoIterator<Item = (&'a str, &'a OsStr)>,
    at: Option<u64>,
) -> Option<Told> {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", child, "--nocapture", "--test-threads=1"]).envs(variables);
    if let Some(at) = at {
        command.env(AT, at.to_string());
    }
    let output = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if text.contains("\nkilled") {
        return None;
    }
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let points = text.lines().find_map(|line| line.strip_prefix("points ")?.trim().parse().ok());
    Some(Told { points: points.unwrap_or_else(|| panic!("no points: {text}")), text })
}
