//! Where a test may let the process die: around each commit. Without the feature `testkit` it is nothing at all.

#[cfg(feature = "testkit")]
use std::sync::OnceLock;

#[cfg(feature = "testkit")]
type Hook = Box<dyn Fn() + Send + Sync>;

#[cfg(feature = "testkit")]
static HOOK: OnceLock<Hook> = OnceLock::new();

/// Calls something around each commit of this process, once and for all.
#[cfg(feature = "testkit")]
pub(crate) fn on_commit(hook: Hook) {
    let _ = HOOK.set(hook);
}

/// Marks a place before or behind a commit.
#[inline]
pub(crate) fn point() {
    #[cfg(feature = "testkit")]
    if let Some(hook) = HOOK.get() {
        hook();
    }
}
