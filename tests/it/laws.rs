//! The laws of the design, each with a test of its own name.
//!
//! Most of them hold of every import. For these there are seeded *histories*: directories change, endpoints lie and fail,
//! runs are rehearsed, cancelled, killed, started twice, and every import is held against all laws, by oracles that know
//! the script alone (`oracles.rs`). They are tried once, by two processes of their own; the test of each law then tells
//! what broke it, cut down to the steps that matter, and in how many histories there was something to hold against it.
//!
//! `TENANTRY_CASES` sets how many histories are tried (`TENANTRY_LAWS_CASES` here alone), `TENANTRY_SEED` tries a single one and tells each of its imports.
//!
//! | law | its test | beside it |
//! |---|---|---|
//! | 1–11 | `law_01_…` to `law_11_…` here | `removals`, `deltas`, `images`, `imports`, `incidents`; the docs of `coverage` |
//! | 6 | `law_06_…` here | `kills`: processes that are really killed |
//! | 12 | `law_12_…` here | `state_file`: locks, stale runs |
//! | 13 | `secrets` | `secret`, the connectors' own tests |
//! | 14 | `memory` | `benches/import` |
//! | 15 | `rate`, `quota` | `gate::tests::law` |
//! | 16 | `delta_and_snapshot_agree` | `delta_order`, `id_listings` |

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

use serde::{Deserialize, Serialize};

mod case;
mod kill;
mod local;
mod memory;
mod oracles;
mod quota;
mod rate;
mod replica;
mod script;
mod secrets;
mod shared;

use case::Case;
pub(crate) use script::{Dice, OUTSIDE, Op, Script, an_op, pick};
use script::{Step, a_history};

use crate::seeds::number;

/// How many laws there are.
const LAWS: usize = 16;
/// How many histories are tried unless `TENANTRY_CASES` says otherwise.
const CASES: u64 = 1000;
const CHILD: &str = "laws::child";
const CHILD_SEEDS: &str = "TENANTRY_LAWS_SEEDS";

/// Violations that were found at one time, by law; and which laws there was something to hold against.
#[derive(Debug, Clone, Default)]
struct Found {
    broken: Vec<(u8, String)>,
    applied: [bool; LAWS + 1],
}

impl Found {
    fn check(&mut self, law: u8, holds: bool, message: impl FnOnce() -> String) {
        self.mark(law);
        if !holds {
            self.broken.push((law, message()));
        }
    }

    fn fail(&mut self, law: u8, message: String) {
        self.check(law, false, || message);
    }

    fn mark(&mut self, law: u8) {
        self.applied[usize::from(law)] = true;
    }

    fn is_broken(&self) -> bool {
        !self.broken.is_empty()
    }

    fn breaks(&self, law: u8) -> Option<&str> {
        self.broken.iter().find(|(broken, _)| *broken == law).map(|(_, message)| message.as_str())
    }
}

/// What came of one history.
struct Outcome {
    found: Found,
    imports: u64,
    kills: u64,
    joined: usize,
}

fn run(seed: u64, steps: &[Step], tell: bool) -> Outcome {
    let steps = steps.to_vec();
    let result = std::panic::catch_unwind(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut case = Case::new(seed, tell).await;
            for (at, step) in steps.iter().enumerate() {
                if tell {
                    eprintln!("{at}: {step:?}");
                }
                case.step(step).await;
                if case.found.is_broken() {
                    break;
                }
            }
            if !case.found.is_broken() {
                case.converge(seed).await;
            }
            let found = std::mem::take(&mut case.found);
            Outcome { found, imports: case.imports, kills: case.kills, joined: case.joined }
        })
    });
    result.unwrap_or_else(|panic| {
        let text =
            panic.downcast_ref::<String>().cloned().or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).into()));
        // Whatever it was about, it would not have been so undisturbed.
        let mut found = Found::default();
        found.fail(6, format!("panic: {}", text.unwrap_or_default()));
        Outcome { found, imports: 0, kills: 0, joined: 0 }
    })
}

/// Cuts a history that breaks a law down: large parts first, then one step after the other.
fn cut_down(seed: u64, law: u8, mut steps: Vec<Step>) -> Vec<Step> {
    let mut size = steps.len();
    while size > 0 {
        let mut at = steps.len();
        while at > 0 {
            let from = at.saturating_sub(size);
            let mut shorter = steps.clone();
            shorter.drain(from..at);
            if run(seed, &shorter, false).found.breaks(law).is_some() {
                steps = shorter;
            }
            at = from.min(steps.len());
        }
        size /= 2;
    }
    steps
}

/// What a child says of its histories.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Told {
    histories: u64,
    imports: u64,
    kills: u64,
    /// Records at the end that both endpoints show.
    joined: usize,
    /// In how many histories there was something to hold against each law.
    applied: [u64; LAWS + 1],
    /// Seeds that break each law.
    broken: BTreeMap<u8, Vec<u64>>,
    /// The first of them, cut down.
    examples: BTreeMap<u8, String>,
}

const TOLD: &str = "told ";

/// Tries histories, in a process where nobody else commits.
#[test]
fn child() {
    let Ok(seeds) = std::env::var(CHILD_SEEDS) else { return };
    let numbers: Vec<u64> = seeds.split(' ').map(|number| number.parse().unwrap()).collect();
    let (from, until, step) = (numbers[0], numbers[1], numbers[2]);
    kill::watch_commits();
    let mut told = Told::default();
    let one = until - from == 1;
    for seed in (from..until).step_by(usize::try_from(step).unwrap()) {
        let steps = a_history(seed);
        let outcome = run(seed, &steps, false);
        told.histories += 1;
        told.imports += outcome.imports;
        told.kills += outcome.kills;
        told.joined += outcome.joined;
        for (law, applied) in outcome.found.applied.iter().enumerate() {
            told.applied[law] += u64::from(*applied);
        }
        let mut laws: Vec<u8> = outcome.found.broken.iter().map(|(law, _)| *law).collect();
        laws.dedup();
        for law in laws {
            let seeds = told.broken.entry(law).or_default();
            if !seeds.contains(&seed) {
                seeds.push(seed);
            }
            told.examples.entry(law).or_insert_with(|| {
                let shorter = cut_down(seed, law, steps.clone());
                let again = run(seed, &shorter, one).found;
                let first = || format!("not once more; first: {}", outcome.found.breaks(law).unwrap_or_default());
                let error = again.breaks(law).map_or_else(first, str::to_owned);
                format!("TENANTRY_SEED={seed} {shorter:#?}\nlaw {law}: {error}")
            });
        }
    }
    println!("\n{TOLD}{}", serde_json::to_string(&told).unwrap());
}

fn try_histories() -> Told {
    let children: Vec<_> = match number("TENANTRY_SEED") {
        Some(seed) => vec![format!("{seed} {} 1", seed + 1)],
        None => {
            let cases = number("TENANTRY_LAWS_CASES").or_else(|| number("TENANTRY_CASES")).unwrap_or(CASES);
            vec![format!("0 {cases} 2"), format!("1 {cases} 2")]
        }
    }
    .into_iter()
    .map(|seeds| {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", CHILD, "--nocapture", "--test-threads=1"])
            .env(CHILD_SEEDS, seeds)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    })
    .collect();
    let mut all = Told::default();
    for child in children {
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let told = text.lines().find_map(|line| line.strip_prefix(TOLD)).unwrap_or_else(|| panic!("{text}"));
        let told: Told = serde_json::from_str(told).unwrap();
        all.histories += told.histories;
        all.imports += told.imports;
        all.kills += told.kills;
        all.joined += told.joined;
        for (sum, more) in all.applied.iter_mut().zip(told.applied) {
            *sum += more;
        }
        for (law, seeds) in told.broken {
            let known = all.broken.entry(law).or_default();
            if known.first().is_none_or(|first| seeds[0] < *first) {
                all.examples.insert(law, told.examples[&law].clone());
            }
            known.extend(seeds);
            known.sort_unstable();
        }
    }
    all
}

/// Tells how one law fared in all histories, and fails with what broke it.
#[track_caller]
fn holds(law: u8) {
    static HISTORIES: OnceLock<Told> = OnceLock::new();
    static TRYING: Mutex<()> = Mutex::new(());
    let told = {
        let _trying = TRYING.lock().unwrap_or_else(PoisonError::into_inner);
        HISTORIES.get_or_init(try_histories)
    };
    let Told { histories, imports, kills, joined, .. } = told;
    let applied = told.applied[usize::from(law)];
    // Past the harness: how much was tried is to be seen also where nothing failed.
    let line = format!(
        "law {law}: {applied} of {histories} histories ({imports} imports, {kills} kills, {joined} joined) could break it\n"
    );
    std::io::stderr().write_all(line.as_bytes()).unwrap();
    if let Some(seeds) = told.broken.get(&law) {
        let first: Vec<_> = seeds.iter().take(20).collect();
        panic!("law {law} is broken in {} of {histories} histories: {first:?}\n{}", seeds.len(), told.examples[&law]);
    }
    assert!(*histories < 500 || *joined * 2 >= usize::try_from(*histories).unwrap(), "{joined} were joined");
    assert!(*histories < 500 || applied * 100 >= *histories, "law {law} was hardly tried: {applied} of {histories}");
}

macro_rules! laws {
    ($($law:literal $name:ident,)+) => {
        $(
            #[test]
            fn $name() {
                holds($law);
            }
        )+
    };
}

laws! {
    1 law_01_a_partial_listing_never_removes_anything,
    2 law_02_nothing_is_removed_without_proof,
    3 law_03_a_change_of_coverage_never_removes_and_another_directory_is_refused,
    4 law_04_no_run_and_no_24_hours_lose_more_than_the_guard_allows_and_hires_flow,
    5 law_05_the_cursor_is_stored_only_with_the_data_that_it_covers,
    6 law_06_killed_at_any_point_and_started_again_the_result_is_that_of_an_undisturbed_run,
    7 law_07_of_two_runs_with_nothing_changed_the_second_emits_and_writes_nothing,
    8 law_08_the_events_equal_the_difference_and_replayed_they_give_the_state,
    9 law_09_one_bad_record_costs_one_quarantine_entry_and_never_a_run,
    10 law_10_the_same_person_stays_the_same_record_and_another_never_becomes_it,
    11 law_11_unknown_never_overwrites_and_nobody_but_the_owner_changes_a_record,
    12 law_12_one_run_an_endpoint_and_a_stale_run_cannot_write,
}
