//! A kill that other histories survive: at a commit, every file of a run is copied as it is at that instant.
//!
//! What a process that is killed leaves behind is what is in its files, whether they are on the disk yet or not. It knows
//! nothing of what is in them. Only one run at a time can be killed so: these histories run in processes of their own.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use tenantry::testkit::{ScriptedEndpoint, on_commit};

struct Armed {
    at: u64,
    from: PathBuf,
    to: PathBuf,
    endpoint: ScriptedEndpoint,
    killed: Option<Killed>,
}

/// What was done when the kill came.
pub(super) struct Killed {
    /// Pages that the endpoint had listed.
    pub(super) pages: u64,
}

static ARMED: Mutex<Option<Armed>> = Mutex::new(None);

/// Looks at every commit of this process from now on.
pub(super) fn watch_commits() {
    on_commit(|| {
        let mut armed = ARMED.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(kill) = armed.as_mut().filter(|kill| kill.killed.is_none()) else { return };
        if kill.at > 0 {
            kill.at -= 1;
            return;
        }
        copy(&kill.from, &kill.to);
        kill.killed = Some(Killed { pages: kill.endpoint.pages() as u64 });
    });
}

/// Kills at a commit to come: what is in one folder then is left in another one.
pub(super) fn arm(at: u64, from: &Path, to: &Path, endpoint: &ScriptedEndpoint) {
    let armed = Armed { at, from: from.to_owned(), to: to.to_owned(), endpoint: endpoint.clone(), killed: None };
    *ARMED.lock().unwrap_or_else(PoisonError::into_inner) = Some(armed);
}

/// Ends it; returns what was done when the kill came, if it did.
pub(super) fn disarm() -> Option<Killed> {
    ARMED.lock().unwrap_or_else(PoisonError::into_inner).take().and_then(|armed| armed.killed)
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (path, name) = (entry.path(), entry.file_name());
        if path.is_dir() {
            copy(&path, &to.join(name));
        } else if !name.to_string_lossy().ends_with("-shm") {
            // The shared memory of a log goes with the last process.
            std::fs::copy(&path, to.join(name)).unwrap();
        }
    }
}
