//! The options of the command. It knows what may be combined, and nothing of what it means.

use std::path::PathBuf;

use clap::Parser;
use tenantry::model::PlanId;

const EXIT_STATUS: &str = "\
Exit status: 0 done, also when single groups or kinds were not readable, which the summary says; 1 an endpoint failed
(the others are still imported); 2 bad configuration; 3 removals are parked and wait for --approve. 1 wins over 3.";

/// Imports users, groups and computers from the directories of one customer into a local state file.
///
/// Without --config it shows a demo tenant, served by fake directories in this process: no network is used and nothing
/// is kept. With `--state FILE` the demo's directory is imported and kept in that file, for `browse_tenant`.
#[expect(clippy::struct_excessive_bools, reason = "options of a command line are flags")]
#[derive(Debug, Parser)]
#[command(name = "import_tenant", after_help = EXIT_STATUS)]
pub(crate) struct Arguments {
    /// The configuration; see docs/configuration.md.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The state file; default: tenant.db beside the configuration. Without --config the demo is kept in it.
    #[arg(long, value_name = "FILE")]
    pub(crate) state: Option<PathBuf>,
    /// Only this endpoint; may be repeated.
    #[arg(long = "endpoint", value_name = "NAME")]
    pub(crate) endpoints: Vec<String>,
    /// List everything, even if the changes since the last run could be read.
    #[arg(long)]
    pub(crate) full: bool,
    /// Only check each endpoint, and say what it will not see.
    #[arg(long, conflicts_with_all = ["plan", "full", "approve"])]
    pub(crate) verify: bool,
    /// Print what an import would do, and change nothing.
    #[arg(long)]
    pub(crate) plan: bool,
    /// Let the parked or planned removals of this id go, as far as they are still the ones approved.
    #[arg(long, value_name = "ID", value_parser = PlanId::parse)]
    pub(crate) approve: Option<PlanId>,
    /// Print events as JSON lines, and a summary as the last line; everything else goes to stderr.
    #[arg(long)]
    pub(crate) json: bool,
}

impl Arguments {
    /// Whether nothing was asked for but to see what this is.
    pub(crate) fn tells_the_story(&self) -> bool {
        self.config.is_none()
            && self.state.is_none()
            && self.endpoints.is_empty()
            && self.approve.is_none()
            && !(self.full || self.verify || self.plan)
    }
}
