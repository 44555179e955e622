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

#[cfg(feature = "testkit")]
static STEP: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);

/// Lets the index of queries be written in steps of so many records, so that a small directory takes several.
#[cfg(feature = "testkit")]
pub(crate) fn set_step(records: usize) {
    STEP.store(records, std::sync::atomic::Ordering::Relaxed);
}

/// Returns how many records a step has: what a test wants, or what is usual.
pub(crate) fn step(usual: usize) -> usize {
    #[cfg(feature = "testkit")]
    {
        let wanted = STEP.load(std::sync::atomic::Ordering::Relaxed);
        if wanted > 0 {
            return wanted;
        }
    }
    usual
}
