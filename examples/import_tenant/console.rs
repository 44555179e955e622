//! Where words for people go: stdout, or stderr when stdout is for events. It knows no event.

use std::io::{self, IsTerminal as _, Write as _};

use indicatif::{MultiProgress, ProgressDrawTarget};

/// The two streams, and the progress bars that have to make room for what is written.
#[derive(Debug)]
pub(crate) struct Console {
    json: bool,
    bars: Option<MultiProgress>,
    shows_progress: bool,
}

impl Console {
    pub(crate) fn new(json: bool) -> Self {
        let bars =
            io::stderr().is_terminal().then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(8)));
        Self { json, bars, shows_progress: true }
    }

    /// Creates one without bars and lines of progress, for imports that take no time.
    pub(crate) fn without_progress(json: bool) -> Self {
        Self { json, bars: None, shows_progress: false }
    }

    /// Whether it is told how far an import is.
    pub(crate) fn shows_progress(&self) -> bool {
        self.shows_progress
    }

    /// Whether stdout is for events.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Returns the place for progress bars, if a person watches.
    pub(crate) fn bars(&self) -> Option<&MultiProgress> {
        self.bars.as_ref()
    }

    /// Says something that was asked for.
    pub(crate) fn say(&self, text: &str) {
        if self.json {
            return self.note(text);
        }
        // Nobody is left to be told that nobody listens.
        self.aside(|| drop(writeln!(io::stdout().lock(), "{text}")));
    }

    /// Says something on the side.
    pub(crate) fn note(&self, text: &str) {
        self.aside(|| drop(writeln!(io::stderr().lock(), "{text}")));
    }

    fn aside(&self, write: impl FnOnce()) {
        match &self.bars {
            Some(bars) => bars.suspend(write),
            None => write(),
        }
    }
}
