//! What an import from Office 365 costs the process that imports: over HTTP, from a fake Graph in a process of its own.
//!
//! Without the quota it shows CPU and memory; with it (`--quota`), how close an import comes to what the published quota
//! allows at best: the resource units of all its calls, divided by the published rate, by the time that it took. *Reading*
//! counts the time until the last answer of the listing is staged, *of the optimum* that until the import has ended, with
//! what is planned, applied and told behind the reading.
//!
//! `cargo xtask bench --office365` runs it; `--sizes 10k,100k` chooses, `--batch 1` asks for each group's members by itself
//! (20 is what is set otherwise), `--concurrency 64` sets the calls at a time.
#![allow(clippy::print_stdout)] // a benchmark prints its figures
#![allow(clippy::unwrap_used)] // and may stop where it stands
#![allow(clippy::disallowed_methods)] // and reads the clock

#[path = "../cloud/mod.rs"]
mod cloud;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tenantry::model::EndpointName;
use tenantry::{Endpoint, EndpointInfo, Secret};
use tenantry_fakes::graph::{FakeGraph, Size, Tenant};
use tenantry_office365::{Credential, Office365, Office365Config};

use cloud::{LATENCY, Server, Step};

/// What Microsoft grants an application in a tenant of more than 500 users.
const UNITS_PER_SECOND: f64 = 800.0;

fn main() {
    let arguments = cloud::arguments();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["--serve", users, quota] => serve(users.parse().unwrap(), *quota == "quota"),
        ["--child", step, state, settings @ ..] => {
            cloud::child(Step::named(step), Path::new(state), |name| endpoint(name, settings));
        }
        _ => compare(&words),
    }
}

fn compare(words: &[&str]) {
    let quota = words.contains(&"--quota");
    let batch = cloud::after(words, "--batch").unwrap_or("20");
    let concurrency = cloud::after(words, "--concurrency").unwrap_or("16");
    println!(
        "| users/groups/memberships | step | CPU s | wall s | peak MiB | state MB | WAL peak MB | objects/s | calls | units | refused | reading s | reading | of the optimum |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|");
    cloud::each_size(words, |users, folder| {
        let with = if quota { "quota" } else { "free" };
        let mut server = Server::start(&["--serve", &users.to_string(), with], 5);
        let [url, tenant, client_id, secret, memberships] = server.said.clone().try_into().unwrap();
        for step in Step::ALL {
            if quota {
                // Each import begins with full buckets.
                std::thread::sleep(Duration::from_secs(10));
            }
            let settings = [url.as_str(), &tenant, &client_id, &secret, batch, concurrency];
            let measured = server.measure(step, &folder.join("state.db"), &settings);
            let units = measured.counted[1];
            let is_listing = step != Step::NoDelta;
            let shares = measured.shares((quota && is_listing).then_some(units / UNITS_PER_SECOND));
            let rate = if is_listing { users as f64 * 1.1 / measured.seconds } else { 0.0 };
            let [calls, units, refused] = measured.counted.try_into().unwrap();
            println!(
                "| {users}/{}/{memberships} | {} | {} | {rate:.0} | {calls} | {units} | {refused} | {shares} |",
                users / 10,
                step.name(),
                measured.figures
            );
        }
    });
}

/// Serves a tenant until standard input ends; tells what each import asked for.
fn serve(users: u32, quota: bool) {
    let size = Size { users, groups: users / 10, members_per_group: 100, ..Size::default() };
    let tenant = Tenant::seeded(1, size);
    tenant.edit_settings(|settings| {
        settings.log_lines = 0;
        if quota {
            settings.latency = LATENCY;
        } else {
            settings.quota = None;
        }
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let server = runtime.block_on(FakeGraph::start(tenant.clone()));
    let credentials = server.credentials();
    for part in [server.url(), credentials.tenant_id, credentials.client_id, credentials.secret] {
        println!("{part}");
    }
    println!("{}", tenant.memberships());
    cloud::attend(|| {
        let sums = tenant.log().sums();
        [sums.calls as f64, sums.units, sums.refused as f64]
    });
}

fn endpoint(name: EndpointName, settings: &[&str]) -> Arc<dyn Endpoint> {
    let [url, tenant, client_id, secret, batch, concurrency] = settings else { panic!("these are not all settings") };
    let mut config = Office365Config::new(*tenant, *client_id, Credential::Secret(Secret::new(*secret)));
    config.login_url = Some((*url).to_owned());
    config.graph_url = Some(format!("{url}/v1.0"));
    // Nobody else uses the application.
    config.quota.share = 1.0;
    config.batch = batch.parse().unwrap();
    config.concurrency = concurrency.parse().unwrap();
    Arc::new(Office365::new(EndpointInfo::new(name, Office365::KIND), config).unwrap())
}
