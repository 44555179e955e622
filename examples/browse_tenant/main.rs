//! Shows and edits the local directory in a state file of `import_tenant`: people, groups, computers, what happened.
//!
//! It uses the library as any host would, beside a running import. Only the commands that say so change anything but
//! the index of queries beside the state file. Others drive it by its options, its exit status and its JSON, so these are stable.
#![allow(clippy::print_stderr, reason = "an example for the command line speaks to the person in front of it")]

mod act;
mod args;
#[path = "../import_tenant/conflict.rs"]
mod conflict;
mod edits;
mod feed;
mod import_csv;
mod joins;
mod list;
mod notices;
mod output;
mod place;
mod query;
mod record;
mod runs;
mod status;
mod table;
mod words;

use std::process::ExitCode;

use args::{Arguments, Command};
use clap::Parser as _;
use clap::error::{ContextKind, ContextValue};
use output::Output;
use place::Place;
use status::{Ended, status_of};
use tenantry::model::{Answer, Shelf};
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    // A wrong option ends the program here, with the status of a wrong configuration.
    let arguments = Arguments::try_parse().unwrap_or_else(|error| {
        // What is like it would be another option, not the one that was meant.
        if error.kind() == clap::error::ErrorKind::UnknownArgument
            && let Some(ContextValue::String(argument)) = error.get(ContextKind::InvalidArg)
            && argument == "--state"
        {
            eprintln!("error: {} …", args::STATE_FILE);
            std::process::exit(error.exit_code());
        }
        error.exit()
    });
    let logs = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("error"));
    tracing_subscriber::fmt().with_env_filter(logs).with_writer(std::io::stderr).with_ansi(false).init();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("the runtime cannot start: {error}");
            return ExitCode::from(status::FAILED);
        }
    };
    match runtime.block_on(run(&arguments)) {
        // Whoever read our output has enough of it.
        Ok(()) | Err(Ended::NobodyReads) => ExitCode::SUCCESS,
        Err(Ended::Refused(error)) => {
            eprintln!("{error}");
            ExitCode::from(status_of(&error))
        }
        Err(Ended::NotAll) => ExitCode::from(status::NOT_ALL),
        Err(Ended::CannotWrite(error)) => {
            eprintln!("the output cannot be written: {error}");
            ExitCode::from(status::FAILED)
        }
    }
}

async fn run(arguments: &Arguments) -> Result<(), Ended> {
    if let Command::ImportCsv(table) = &arguments.command
        && table.sample
    {
        return import_csv::sample();
    }
    let place = Place::open(&arguments.state, &arguments.customers).await?;
    let mut output = Output::new(arguments.json);
    match &arguments.command {
        Command::Users(list) => list::users(&place, list, &mut output).await?,
        Command::User(one) => record::user(&place, one, &mut output).await?,
        Command::Groups(list) => list::groups(&place, list, &mut output).await?,
        Command::Group(one) => record::group(&place, one, &mut output).await?,
        Command::Computers(list) => list::computers(&place, list, &mut output).await?,
        Command::Feed(part) => feed::show(&place, part, &mut output).await?,
        Command::Acknowledge(which) => notices::answer(&place, which, Some(Answer::Acknowledged), &mut output).await?,
        Command::Dismiss(which) => notices::answer(&place, which, Some(Answer::Dismissed), &mut output).await?,
        Command::Reopen(which) => notices::answer(&place, which, None, &mut output).await?,
        Command::Act(acting) => act::act(&place, &arguments.state, acting, &mut output).await?,
        Command::Actions(possible) => act::possible(&place, &arguments.state, possible, &mut output).await?,
        Command::Runs(part) => runs::show(&place, part, &mut output).await?,
        Command::Explain(what) => record::explain(&place, what, &mut output).await?,
        Command::Conflicts => joins::conflicts(&place, &mut output).await?,
        Command::Probable(pairs) => joins::probable(&place, pairs, &mut output).await?,
        Command::Join(two) => joins::join(&place, two, &mut output).await?,
        Command::Unjoin(taken) => joins::unjoin(&place, taken, &mut output).await?,
        Command::Reanchor(moved) => joins::reanchor(&place, moved, &mut output).await?,
        Command::Edit(change) => edits::edit(&place, change, &mut output).await?,
        Command::Add(addition) => edits::add(&place, addition, &mut output).await?,
        Command::ImportCsv(table) => import_csv::import(&place, table, &mut output).await?,
        Command::Archive(who) => edits::shelve(&place, who, Shelf::Archived, &mut output).await?,
        Command::Restore(who) => edits::shelve(&place, who, Shelf::InUse, &mut output).await?,
        Command::Tag(tags) => edits::tag(&place, tags, &mut output).await?,
    }
    output.end()
}
