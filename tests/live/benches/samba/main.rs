//! What an import from a real domain costs, in times of what `ldapsearch` takes to write the same attributes to a file.
//!
//! A Samba domain controller with 10,000 users is read in turns: by `ldapsearch`, by a first import into a fresh
//! file, by `ldapsearch`, by a full import that finds nothing new. Each is a process of its own; only ratios within a
//! run mean anything. `cargo xtask bench --samba` runs it; `--rounds N` chooses how many turns, `--users N` how many
//! users, `--limit X` makes it fail when a first import takes more than X times the wall time of `ldapsearch`.
#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![allow(clippy::unwrap_used, reason = "and may stop where it stands")]

mod measure;
mod yardstick;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use tenantry::model::{CustomerId, EndpointName, ObjectKind, Outcome, RunReport};
use tenantry::{Customer, Endpoint, EndpointInfo, ImportOptions, Secret, Service, SqliteStore};
use tenantry_active_directory::{ActiveDirectory, ActiveDirectoryConfig};
use tenantry_live::{Population, SambaDc};

use measure::{Cost, measured};
use yardstick::{Expected, Names};

const PASSWORD: &str = "Passw0rd!Read1";
const CUSTOMER: &str = "bench";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let [mode, url, ca, user, state] = arguments.as_slice()
        && mode == "--import"
    {
        import(url, Path::new(ca), user, Path::new(state));
        return;
    }
    let number = |name: &str| -> Option<f64> {
        let at = arguments.iter().position(|argument| argument == name)?;
        Some(arguments.get(at + 1).and_then(|value| value.parse().ok()).expect("a number"))
    };
    SambaDc::available().expect("a domain controller can run here");
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small numbers from a person")]
    let [rounds, users] =
        [("--rounds", 5.0), ("--users", 10_000.0)].map(|(name, usual)| number(name).unwrap_or(usual) as usize);
    let ratio = compare(rounds, Population { users, ..Population::ten_thousand() });
    if let Some(limit) = number("--limit") {
        assert!(ratio <= limit, "a first import takes {ratio:.2} times as long as ldapsearch, not {limit} at most");
    }
}

/// Reads in turns, prints the medians, and returns the wall time of a first import in times of `ldapsearch`.
fn compare(rounds: usize, population: Population) -> f64 {
    let dc = SambaDc::populated(population).unwrap();
    let reader = dc.create_account("reader", PASSWORD).unwrap();
    let (server, client) = (dc.pid().unwrap(), dc.client(&reader.upn, &reader.password));
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state.db");
    let search = |names| yardstick::read(&client, server, dc.base_dn(), folder.path(), names);
    let import = || {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--import", &dc.ldaps_url()]).arg(dc.ca_file()).arg(&reader.upn).arg(&state);
        let (report, cost) = measured(&mut command, server);
        (serde_json::from_str::<RunReport>(&report).unwrap(), cost)
    };
    // Nobody is measured while the server reads its files for the first time.
    search(Names::Plain);
    let mut costs: [Vec<Cost>; 4] = Default::default();
    let mut ratios: [Vec<Cost>; 3] = Default::default();
    let mut last = None;
    for _ in 0..rounds {
        for name in ["state.db", "state.db-wal", "state.db-shm"] {
            let _ = std::fs::remove_file(folder.path().join(name));
        }
        let extended = search(Names::Extended);
        let before = search(Names::Plain);
        let (first_report, first) = import();
        let after = search(Names::Plain);
        let (again_report, again) = import();
        let both = before.plus(after);
        let yardstick = Cost { wall: both.wall / 2.0, client: both.client / 2.0, server: both.server / 2.0 };
        for (at, cost) in [yardstick, extended, first, again].into_iter().enumerate() {
            costs[at].push(cost);
        }
        for (at, cost) in [extended, first, again].into_iter().enumerate() {
            ratios[at].push(cost.over(yardstick));
        }
        check(&first_report, &again_report, &state, &Expected::read(folder.path()));
        last = Some((first_report, again_report));
    }
    let (first, again) = last.expect("at least one round");
    println!("checked in each of {rounds} rounds: {:?}", Expected::read(folder.path()));
    println!("| | wall s | client CPU s | server CPU s | wall × | client CPU × | server CPU × | calls |");
    println!("|---|---|---|---|---|---|---|---|");
    let names = ["`ldapsearch`", "`ldapsearch`, extended names", "first import", "unchanged full import"];
    let calls = [None, None, Some(first.requests), Some(again.requests)];
    let ratios: Vec<Cost> = ratios.iter().map(|ratios| Cost::median(ratios)).collect();
    for (at, name) in names.into_iter().enumerate() {
        let cost = Cost::median(&costs[at]);
        let ratio = at.checked_sub(1).map_or(Cost { wall: 1.0, client: 1.0, server: 1.0 }, |at| ratios[at]);
        println!(
            "| {name} | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} | {} |",
            cost.wall,
            cost.client,
            cost.server,
            ratio.wall,
            ratio.client,
            ratio.server,
            calls[at].map(|calls| calls.to_string()).unwrap_or_default()
        );
    }
    ratios[1].wall
}

/// Makes sure that both sides have read the same, and that there was nothing new the second time.
fn check(first: &RunReport, again: &RunReport, state: &Path, expected: &Expected) {
    for report in [first, again] {
        assert_eq!(report.outcome, Outcome::Done, "{report:?}");
        assert_eq!((report.quarantined, report.unreadable.len()), (0, 0), "{report:?}");
    }
    assert_eq!((again.created, again.updated, again.removed, again.missing), (0, 0, 0, 0));
    assert_eq!((again.members_added, again.members_removed), (0, 0));
    let store = SqliteStore::open(state).unwrap();
    let customer = CustomerId::new(CUSTOMER).unwrap();
    let service = Service::new(Arc::new(store));
    let imported = |kind| {
        let records = service.store().records(&customer, kind, None, usize::MAX >> 1).unwrap();
        // Members from elsewhere get records without an identity.
        records.iter().filter(|record| !record.identities.is_empty()).count()
    };
    let found = Expected {
        users: imported(ObjectKind::User),
        groups: imported(ObjectKind::Group),
        computers: imported(ObjectKind::Computer),
        memberships: usize::try_from(first.members_added).unwrap(),
    };
    assert_eq!(found, *expected);
}

/// The measured process: one full import.
fn import(url: &str, ca: &Path, user: &str, state: &Path) {
    let mut config = ActiveDirectoryConfig::new(url, user, Secret::new(PASSWORD));
    config.domain.ca = Some(std::fs::read(ca).unwrap());
    let info = EndpointInfo::new(EndpointName::new("ad").unwrap(), ActiveDirectory::KIND);
    let endpoint = Arc::new(ActiveDirectory::new(info.clone(), config).unwrap()) as Arc<dyn Endpoint>;
    let service = Service::new(Arc::new(SqliteStore::open(state).unwrap()));
    let customer = CustomerId::new(CUSTOMER).unwrap();
    let run = async {
        service.register(Customer::new(customer.clone()), vec![endpoint]).await?;
        service.import(&customer, &info.name, ImportOptions { full: true, ..ImportOptions::default() }).await
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    println!("{}", serde_json::to_string(&runtime.block_on(run).unwrap()).unwrap());
}
