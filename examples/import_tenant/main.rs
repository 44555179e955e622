//! Imports the endpoints of a `tenant.toml`, or without one a demo tenant, and prints what changed.
//!
//! It uses the library as any host would and must not reach into it: what it can do, a host can do. Others drive it
//! by its options, its exit status and the JSON that it prints, so these are stable.
#![allow(clippy::print_stderr, reason = "an example for the command line speaks to the person in front of it")]

mod args;
mod conflict;
mod console;
mod demo;
mod demo_cloud;
mod import;
mod json;
mod plan;
mod progress;
mod signal;
mod status;
mod story;
mod summary;
mod tenant;
mod text;
mod usage;
mod verify;

use std::io::IsTerminal as _;
use std::process::ExitCode;

use args::Arguments;
use clap::Parser as _;
use console::Console;
use status::{Refusal, Status};
use summary::{Ended, Summary};
use tenant::Tenant;
use tenantry::store::Totals;
use tenantry_config::TenantConfig;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    // A wrong option ends the program here, with the status of a wrong configuration.
    let arguments = Arguments::parse();
    let logs = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("error"));
    let colours = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(logs).with_writer(std::io::stderr).with_ansi(colours).init();
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("the runtime cannot start: {error}");
            return Status::Failed.into();
        }
    };
    let status = runtime.block_on(run(&arguments)).unwrap_or_else(|refusal| {
        eprintln!("{refusal}");
        refusal.status()
    });
    // Whoever reads our output may have stopped reading for good; that is no reason to wait.
    runtime.shutdown_background();
    status.into()
}

async fn run(arguments: &Arguments) -> Result<Status, Refusal> {
    let console = Console::new(arguments.json);
    let Some(file) = &arguments.config else {
        let demo = demo::Demo::start().await?;
        if arguments.tells_the_story() {
            return story::tell(&demo, &Console::without_progress(arguments.json)).await;
        }
        let tenant = Tenant::new(demo.config(), &arguments.endpoints)?;
        let (folder, default) = tenant::temporary()?;
        let status = carry_out(arguments, &tenant, arguments.state.as_deref().unwrap_or(&default), &console).await;
        drop(folder);
        return status;
    };
    let config = TenantConfig::load(file)?;
    let tenant = Tenant::new(&config, &arguments.endpoints)?;
    let default = file.with_file_name("tenant.db");
    carry_out(arguments, &tenant, arguments.state.as_deref().unwrap_or(&default), &console).await
}

async fn carry_out(
    arguments: &Arguments,
    tenant: &Tenant,
    state: &std::path::Path,
    console: &Console,
) -> Result<Status, Refusal> {
    let done = if arguments.verify {
        verify::run(tenant, console).await
    } else if arguments.plan {
        plan::run(arguments, tenant, state, console).await
    } else {
        import::run(arguments, tenant, state, console).await
    };
    if let Err(refusal) = &done
        && console.is_json()
        && refusal.status() == Status::Failed
    {
        // Whoever reads the last line learns of it there: for each endpoint, nothing was done.
        let ended: Vec<Ended> =
            tenant.chosen().map(|chosen| Ended::without_run(chosen.endpoint.info(), Some(refusal.error()))).collect();
        json::print(&Summary::new(&tenant.customer.id, &ended, Totals::default())).await?;
    }
    done
}
