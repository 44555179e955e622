//! What an import from Google costs the process that imports: over HTTP, from a fake Directory API in a process of its own.
//!
//! Without the quota it shows CPU and memory; with it (`--quota`), how close an import comes to what the published quota
//! allows at best: the calls that it takes at least, divided by the published rate, by the time that it took. *Reading*
//! counts the time until the last answer of the listing is staged, *of the optimum* that until the import has ended, with
//! what is planned, applied and told behind the reading.
//!
//! `cargo xtask bench --gsuite` runs it; `--sizes 10k,100k` chooses.
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
use tenantry_fakes::google::{Account, Clock, FakeGoogle, Settings, Size};
use tenantry_gsuite::{Gsuite, GsuiteConfig};

use cloud::{LATENCY, Server, Step};

/// What Google grants one administrator in one project.
const QUERIES_PER_SECOND: f64 = 40.0;

fn main() {
    let arguments = cloud::arguments();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["--serve", users, quota, key] => serve(users.parse().unwrap(), *quota == "quota", Path::new(key)),
        ["--child", step, state, address @ ..] => {
            cloud::child(Step::named(step), Path::new(state), |name| endpoint(name, address));
        }
        _ => compare(&words),
    }
}

fn compare(words: &[&str]) {
    let quota = words.contains(&"--quota");
    println!(
        "| users/groups/memberships | step | CPU s | wall s | peak MiB | state MB | WAL peak MB | objects/s | calls | least calls | refused | reading s | reading | of the optimum |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|");
    cloud::each_size(words, |users, folder| {
        let key = folder.join("key.json").display().to_string();
        let with = if quota { "quota" } else { "free" };
        let mut server = Server::start(&["--serve", &users.to_string(), with, &key], 5);
        let [url, admin, memberships, listing, ids] = server.said.clone().try_into().unwrap();
        for step in Step::ALL {
            if quota {
                // Each import begins in a minute of its own.
                std::thread::sleep(Duration::from_mins(1));
            }
            let measured = server.measure(step, &folder.join("state.db"), &[&url, &admin, &key, with]);
            let least: f64 = if step == Step::NoDelta { &ids } else { &listing }.parse().unwrap();
            let shares = measured.shares(quota.then_some(least / QUERIES_PER_SECOND));
            // Users, groups and devices.
            let rate = users as f64 * 1.3 / measured.seconds;
            let [calls, refused] = measured.counted.try_into().unwrap();
            println!(
                "| {users}/{}/{memberships} | {} | {} | {rate:.0} | {calls} | {least} | {refused} | {shares} |",
                users / 10,
                step.name(),
                measured.figures
            );
        }
    });
}

/// Serves an account until standard input ends; tells what each import asked for.
fn serve(users: usize, quota: bool, key: &Path) {
    let (groups, devices) = (users / 10, users / 10);
    let size = Size { users, groups, memberships: users * 10, orgunits: 500, chromeos: devices, mobile: devices };
    let account = Account::generated("corp.example", 1, size).with_clock(Clock::system());
    let mut settings = Settings::default();
    if quota {
        settings.latency = LATENCY;
    } else {
        settings.quota.per_user = u32::MAX;
        settings.quota.mobile_per_second = u32::MAX;
        settings.quota.concurrent = usize::MAX;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let server = runtime.block_on(FakeGoogle::start_with(account.clone(), settings));
    std::fs::write(key, server.key_file()).unwrap();
    println!("{}\n{}\n{}", server.url(), account.admin(), account.memberships());
    // The calls that a listing takes at least: the ids of everything; and besides, the units and each group's members.
    let pages = |count: usize, size: usize| count.div_ceil(size) as u64;
    let ids = pages(users, 500) + pages(groups, 200) + pages(devices, 300) + pages(devices, 100);
    let members: u64 = account.group_ids().iter().map(|group| pages(account.member_count(group), 200).max(1)).sum();
    println!("{}\n{ids}", ids + 1 + members);
    cloud::attend(|| {
        let counts = server.log().counts();
        let sum = |refused: bool| {
            let counted = counts.iter().filter(|((_, status), _)| !refused || *status != 200);
            counted.map(|(_, count)| *count as f64).sum()
        };
        [sum(false), sum(true)]
    });
}

fn endpoint(name: EndpointName, address: &[&str]) -> Arc<dyn Endpoint> {
    let [url, admin, key, quota] = address else { panic!("an address has four parts") };
    let mut config = GsuiteConfig::new(Secret::new(std::fs::read_to_string(key).unwrap()), *admin);
    (*url).clone_into(&mut config.api_url);
    // Nobody else uses the project.
    config.quota.share = 1.0;
    if *quota == "free" {
        config.quota.user_per_minute = 10_000_000;
        config.quota.mobile_per_second = 1_000_000;
    }
    Arc::new(Gsuite::new(EndpointInfo::new(name, Gsuite::KIND), config).unwrap())
}
