//! Serves a seeded tenant as a fake Microsoft Graph until standard input ends or a signal comes; it knows nothing of tenantry.
//!
//! `cargo run -p tenantry-fakes --example serve_graph -- --users 1000 --groups 100 --members 20`

use std::io::Write as _;
use std::time::Duration;

use tenantry_fakes::graph::{FakeGraph, Size, Tenant};
use tokio::io::AsyncReadExt as _;

const USAGE: &str = "usage: serve_graph [--users N] [--guests N] [--groups N] [--members N] [--largest-group N] \
[--devices N] [--seed N] [--port N] [--latency-ms N] [--quota on|off] [--log on|off] [--bearer TOKEN]";

struct Options {
    size: Size,
    seed: u64,
    port: u16,
    latency: Duration,
    quota: bool,
    log: bool,
    bearer: Option<String>,
}

fn options() -> Result<Options, Box<dyn std::error::Error>> {
    let size = Size { users: 1000, guests: 50, groups: 100, members_per_group: 20, devices: 200, ..Size::default() };
    let mut options =
        Options { size, seed: 1, port: 0, latency: Duration::ZERO, quota: true, log: false, bearer: None };
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or(USAGE)?;
        match name.as_str() {
            "--users" => options.size.users = value.parse()?,
            "--guests" => options.size.guests = value.parse()?,
            "--groups" => options.size.groups = value.parse()?,
            "--members" => options.size.members_per_group = value.parse()?,
            "--largest-group" => options.size.largest_group = value.parse()?,
            "--devices" => options.size.devices = value.parse()?,
            "--seed" => options.seed = value.parse()?,
            "--port" => options.port = value.parse()?,
            "--latency-ms" => options.latency = Duration::from_millis(value.parse()?),
            "--quota" => options.quota = value == "on",
            "--log" => options.log = value == "on",
            "--bearer" => options.bearer = Some(value),
            _ => return Err(USAGE.into()),
        }
    }
    Ok(options)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = options()?;
    let tenant = Tenant::seeded(options.seed, options.size);
    tenant.edit_settings(|settings| {
        settings.latency = options.latency;
        settings.log_lines = if options.log { settings.log_lines } else { 0 };
        if !options.quota {
            settings.quota = None;
        }
    });
    if let Some(bearer) = &options.bearer {
        tenant.accept_bearer(bearer);
    }
    let server = FakeGraph::start_at(tenant.clone(), options.port).await?;
    let credentials = server.credentials();
    let mut out = std::io::stdout();
    writeln!(out, "graph: {}", server.url())?;
    writeln!(out, "token: {}", server.token_url())?;
    writeln!(out, "tenant id: {}", credentials.tenant_id)?;
    writeln!(out, "client id: {}", credentials.client_id)?;
    writeln!(out, "client secret: {}", credentials.secret)?;
    writeln!(out, "memberships: {}", tenant.memberships())?;
    out.flush()?;

    let mut input = tokio::io::stdin();
    let mut buffer = [0; 256];
    tokio::select! {
        () = async { while input.read(&mut buffer).await.is_ok_and(|read| read > 0) {} } => {}
        signal = tokio::signal::ctrl_c() => signal?,
    }
    let sums = tenant.log().sums();
    writeln!(out, "calls: {}, refused: {}, resource units: {}", sums.calls, sums.refused, sums.units)?;
    server.shutdown().await;
    Ok(())
}
