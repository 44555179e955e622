//! How far imports are: bars where a person watches, lines now and then where not. It decides nothing.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tenantry::gate::Clock;
use tenantry::model::{Phase, Progress};

use crate::console::Console;

/// Between two lines of the same phase.
const QUIET: Duration = Duration::from_secs(10);

/// The progress of one endpoint.
#[derive(Debug)]
pub(crate) struct Meter<'a> {
    console: &'a Console,
    name: String,
    bar: Option<ProgressBar>,
    clock: Clock,
    told: Option<(Phase, bool, Duration)>,
}

impl<'a> Meter<'a> {
    pub(crate) fn new(console: &'a Console, name: &str) -> Self {
        let bar = console.bars().map(|bars| {
            let bar = bars.add(ProgressBar::new_spinner().with_style(spinner()).with_prefix(name.to_owned()));
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        Self { console, name: name.to_owned(), bar, clock: Clock::system(), told: None }
    }

    pub(crate) fn show(&mut self, progress: &Progress) {
        let text = describe(progress);
        if let Some(bar) = &self.bar {
            match share(progress) {
                Some((done, all)) => {
                    bar.set_style(measured());
                    bar.set_length(all);
                    bar.set_position(done);
                }
                None => bar.set_style(spinner()),
            }
            bar.set_message(text);
            return;
        }
        let (now, waits) = (self.clock.monotonic(), progress.waiting.is_some());
        let due = self.told.is_none_or(|(phase, waited, at)| {
            phase != progress.phase || (waits && !waited) || now.saturating_sub(at) >= QUIET
        });
        if due && self.console.shows_progress() && progress.phase != Phase::Finished {
            self.console.note(&format!("{}: {text}", self.name));
            self.told = Some((progress.phase, waits, now));
        }
    }
}

impl Drop for Meter<'_> {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Returns how much is done of how much, where that is known.
fn share(progress: &Progress) -> Option<(u64, u64)> {
    match progress.phase {
        // More than expected is no more than everything.
        Phase::Listing => progress.expected_objects.map(|all| (progress.objects.min(all), all)),
        Phase::Applying if progress.planned > 0 => Some((progress.applied, progress.planned)),
        _ => None,
    }
}

fn describe(progress: &Progress) -> String {
    let text = match progress.phase {
        Phase::Starting => "looking what can be seen".to_owned(),
        Phase::Listing if progress.objects > 0 => {
            format!("listing: {} objects, {} memberships", progress.objects, progress.memberships)
        }
        Phase::Listing => "listing".to_owned(),
        Phase::Planning => "comparing with what is stored".to_owned(),
        Phase::Confirming => "looking up what seems to be gone".to_owned(),
        Phase::Applying if progress.planned == 0 => "applying".to_owned(),
        Phase::Applying => format!("applying {} changes", progress.planned),
        Phase::Finished => "finished".to_owned(),
    };
    match &progress.waiting {
        Some(what) => format!("{text}; waiting for {what}"),
        None => text,
    }
}

fn spinner() -> ProgressStyle {
    style("{prefix:>12} {spinner} {msg}")
}

fn measured() -> ProgressStyle {
    style("{prefix:>12} [{bar:24}] {pos}/{len} {msg}")
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}
