//! The options of the command. It knows what may be combined, and nothing of what it means.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::act::{Acting, Possible};
use crate::edits::{Addition, Change, Tags, Who};
use crate::feed::FeedPart;
use crate::import_csv::Table;
use crate::joins::{Moved, Pairs, Taken, Two};
use crate::notices::Notices;

const EXIT_STATUS: &str = "\
Exit status: 0 done, also when nothing was found; 1 the state file could not be read; 2 wrong options, an unknown \
customer, nobody under an id, or a change that is refused; 3 rows of a table were refused, or an action was not done \
for all, and the others are.";

/// Shows and edits users, groups and computers in a state file of `import_tenant`, also while it imports.
#[derive(Debug, Parser)]
#[command(name = "browse_tenant", after_help = EXIT_STATUS)]
pub(crate) struct Arguments {
    /// The state file; named before the command: behind `users`, --state is that of the accounts.
    #[arg(long, value_name = "FILE", default_value = "tenant.db")]
    pub(crate) state: PathBuf,
    /// Only this customer; may be repeated. Default: all customers of the file.
    #[arg(long = "customer", value_name = "ID", global = true)]
    pub(crate) customers: Vec<String>,
    /// Print JSON lines; everything else goes to stderr.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// What to show.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What can be shown.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List users.
    Users(UserList),
    /// Show one user: groups, computers, where it comes from.
    User(One),
    /// List groups.
    Groups(ThingList),
    /// Show one group and its members.
    Group(OneGroup),
    /// List computers.
    Computers(ThingList),
    /// List what needs somebody (alerts, reminders, suggestions), then what happened, newest first.
    Feed(FeedPart),
    /// Note that somebody has seen notices of the feed; they are still listed.
    Acknowledge(Notices),
    /// Hide notices of the feed until they have a new cause.
    Dismiss(Notices),
    /// Take back what was said of notices.
    Reopen(Notices),
    /// Ask an action of remote accounts, through the endpoints that own them.
    Act(Acting),
    /// Tell which actions can be asked of a record's account, and why not the others.
    Actions(Possible),
    /// List imports, newest first.
    Runs(Part),
    /// Tell why an attribute has its value: whose it is, since when, by which run.
    Explain(What),
    /// List records that contradict each other, as they were found: imports did not join them.
    Conflicts,
    /// List users of several endpoints who may be one person and are not joined.
    Probable(Pairs),
    /// Make one user of two, and print whose id stays; `unjoin` undoes it.
    Join(Two),
    /// Take the identity of an endpoint out of a user, or the others, if the record was founded by that one: two users from
    /// then on.
    Unjoin(Taken),
    /// Move the identity of an endpoint from one user to another.
    Reanchor(Moved),
    /// Change values of a record, as far as no endpoint owns them.
    Edit(Change),
    /// Add a user or a group by hand.
    #[command(subcommand)]
    Add(Addition),
    /// Add people from a table.
    ImportCsv(Table),
    /// Put a user away: still imported, and out of the way.
    Archive(Who),
    /// Take an archived user back into use.
    Restore(Who),
    /// Set the host's tags of a user.
    Tag(Tags),
}

/// Which users.
#[derive(Debug, Args)]
pub(crate) struct UserList {
    #[command(flatten)]
    pub(crate) list: List,
    /// Only users in this state: active, suspended or staged; may be repeated.
    #[arg(long = "state", value_name = "STATE", value_parser = state)]
    pub(crate) states: Vec<State>,
    /// Only users whose second factor is enrolled, not enrolled, or unknown; may be repeated.
    #[arg(long, value_name = "MFA")]
    pub(crate) mfa: Vec<Mfa>,
    /// Only users who are put away locally, or who are not.
    #[arg(long, value_name = "YES|NO")]
    pub(crate) archived: Option<YesNo>,
    /// Only users who are locked out after wrong passwords, or who are not.
    #[arg(long, value_name = "YES|NO")]
    pub(crate) locked_out: Option<YesNo>,
    /// Only users who are in some group, or in none; the groups that stand for endpoints do not count.
    #[arg(long, value_name = "YES|NO")]
    pub(crate) grouped: Option<YesNo>,
    /// Only users with this tag of the host.
    #[arg(long)]
    pub(crate) tag: Option<String>,
    /// By what they are sorted.
    #[arg(long, value_name = "BY", default_value = "email")]
    pub(crate) sort: UserSort,
}

/// Which groups or computers.
#[derive(Debug, Args)]
pub(crate) struct ThingList {
    #[command(flatten)]
    pub(crate) list: List,
}

/// Which records, and how they are shown.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only what has each of these words, as a whole or in part, in a name or an address.
    #[arg(long, value_name = "WORDS")]
    pub(crate) search: Option<String>,
    /// Only what begins with these letters, in what it is sorted by.
    #[arg(long, value_name = "LETTERS")]
    pub(crate) prefix: Option<String>,
    /// Only what this endpoint sees.
    #[arg(long, value_name = "ENDPOINT")]
    pub(crate) source: Option<String>,
    /// Only members of this group, by its id.
    #[arg(long, value_name = "ID")]
    pub(crate) group: Option<String>,
    /// With --group: members of member groups too.
    #[arg(long, requires = "group")]
    pub(crate) nested: bool,
    /// Only what is missing in its directory, or what is not.
    #[arg(long, value_name = "YES|NO")]
    pub(crate) missing: Option<YesNo>,
    /// Only what an endpoint owns, or what it does not.
    #[arg(long, value_name = "YES|NO")]
    pub(crate) locked: Option<YesNo>,
    /// From Z to A.
    #[arg(long)]
    pub(crate) desc: bool,
    /// At most so many; default: 50, of --csv all.
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub(crate) limit: Option<u64>,
    /// Go on behind a page of the same query.
    #[arg(long)]
    pub(crate) cursor: Option<String>,
    /// Print a table for spreadsheets.
    #[arg(long, conflicts_with = "json")]
    pub(crate) csv: bool,
}

/// One record.
#[derive(Debug, Args)]
pub(crate) struct One {
    /// Its id, or its primary address.
    pub(crate) id: String,
}

/// One group.
#[derive(Debug, Args)]
pub(crate) struct OneGroup {
    /// Its id, or its name.
    pub(crate) id: String,
    /// Members of member groups too.
    #[arg(long)]
    pub(crate) nested: bool,
    /// At most so many members of a kind.
    #[arg(long, value_name = "N", default_value = "50", value_parser = at_least_one)]
    pub(crate) limit: u64,
}

/// A part of a history.
#[derive(Debug, Args)]
pub(crate) struct Part {
    /// At most so many.
    #[arg(long, value_name = "N", default_value = "50", value_parser = some)]
    pub(crate) limit: u64,
}

/// An attribute of a record.
#[derive(Debug, Args)]
pub(crate) struct What {
    /// The id of a record, or the primary address of a user.
    pub(crate) id: String,
    /// The attribute's name, as events spell it.
    pub(crate) attribute: String,
}

/// Yes or no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum YesNo {
    Yes,
    No,
}

/// Whether an account may be used.
#[derive(Debug, Clone, Copy)]
pub(crate) enum State {
    Active,
    Suspended,
    Staged,
}

/// Where the state file is named, for those who name it behind the command.
pub(crate) const STATE_FILE: &str = "the --state of the file goes before the command: browse_tenant --state FILE";

fn state(text: &str) -> Result<State, String> {
    match text {
        "active" => Ok(State::Active),
        "suspended" => Ok(State::Suspended),
        "staged" => Ok(State::Staged),
        _ => Err(format!("possible values: active, suspended, staged; {STATE_FILE} users")),
    }
}

/// Reads how many records at most.
pub(crate) fn at_least_one(text: &str) -> Result<u64, String> {
    text.parse().ok().filter(|number| *number > 0).ok_or_else(|| "write a number, 1 or more".to_owned())
}

/// Reads how many entries at most.
pub(crate) fn some(text: &str) -> Result<u64, String> {
    at_least_one(text)
        .ok()
        .filter(|number| *number <= 100_000)
        .ok_or_else(|| "write a number from 1 to 100000".to_owned())
}

/// Whether a second factor is enrolled.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Mfa {
    Enrolled,
    NotEnrolled,
    Unknown,
}

/// What users are sorted by.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum UserSort {
    Email,
    First,
    Last,
}
