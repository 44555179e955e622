//! `cargo xtask fuzz`: builds the fuzz targets with the stable compiler, runs them, and tells what they have seen.
//!
//! It must not know what a target checks: each is a file under `fuzz/fuzz_targets`, and a panic in it is a finding.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::packages;
use crate::process::{self, Interrupt};

/// How long each target runs if nobody says otherwise.
const SECONDS: u32 = 30;
/// How many inputs each target tries for a change: the same ones on whatever machine, in a second or two.
const INPUTS_OF_A_CHANGE: u32 = 100_000;
/// How long it may take for them at most.
const SECONDS_OF_A_CHANGE: u32 = 60;

/// What libFuzzer needs of a program: counters on edges and the values that are compared. Other than cargo-fuzz's
/// default there is no address sanitizer, which needs an unstable compiler: none of our code is unsafe.
const FLAGS: [&str; 7] = [
    "--cfg",
    "fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];

/// Which targets to run, and how.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Selection {
    seconds: u32,
    target: Option<String>,
    /// One input instead of a search.
    input: Option<PathBuf>,
    /// The same search each time: a change is not stopped by luck.
    repeatable: bool,
}

impl Selection {
    /// Reads the arguments of `cargo xtask fuzz`.
    pub(crate) fn parse(arguments: &[String]) -> Result<Self, String> {
        let mut selection = Self { seconds: SECONDS, target: None, input: None, repeatable: false };
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            match argument.as_str() {
                "--seconds" => {
                    let seconds = rest.next().and_then(|seconds| seconds.parse().ok()).filter(|seconds| *seconds > 0);
                    selection.seconds = seconds.ok_or("--seconds needs a number above 0")?;
                }
                option if option.starts_with('-') => return Err(format!("unknown argument: {option}")),
                target if selection.target.is_none() => selection.target = Some(target.to_owned()),
                input if selection.input.is_none() => selection.input = Some(input.into()),
                other => return Err(format!("unknown argument: {other}")),
            }
        }
        Ok(selection)
    }

    /// All targets, for a short time.
    pub(crate) fn of_a_change() -> Self {
        Self { seconds: SECONDS_OF_A_CHANGE, target: None, input: None, repeatable: true }
    }
}

/// Runs the selected targets and fails if one of them found something.
pub(crate) fn run(selection: &Selection, interrupt: &Interrupt) -> Result<(), String> {
    let fuzz = process::workspace_root().join("fuzz");
    let all = targets(&fuzz)?;
    if let Some(target) = selection.target.as_ref().filter(|target| !all.contains(target)) {
        return Err(format!("there is no target {target}; the targets are {}", all.join(", ")));
    }
    packages::prepare_compiler(interrupt).map_err(|error| error.to_string())?;
    let host = process::host().ok_or("rustc does not run")?;
    let build = target_directory()?.join("fuzz");
    let mut command = process::cargo();
    command.args(["build", "--release", "--locked", "--target", &host, "--target-dir"]).arg(&build);
    if let Some(target) = &selection.target {
        command.args(["--bin", target]);
    }
    command.current_dir(&fuzz).env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\x1f")).env("CARGO_INCREMENTAL", "0");
    process::run(&mut command, interrupt)?;

    let programs = build.join(host).join("release");
    let mut found = Vec::new();
    for target in all.iter().filter(|target| selection.target.as_ref().is_none_or(|chosen| chosen == *target)) {
        let program = programs.join(target);
        if let Some(input) = &selection.input {
            return process::run(Command::new(program).arg(input), interrupt);
        }
        if !search(&program, target, &fuzz, &build, selection, interrupt)? {
            found.push(target.as_str());
        }
    }
    if found.is_empty() { Ok(()) } else { Err(format!("something was found by {}", found.join(", "))) }
}

/// Lets one target search; tells whether all went well.
fn search(
    program: &Path,
    target: &str,
    fuzz: &Path,
    build: &Path,
    selection: &Selection,
    interrupt: &Interrupt,
) -> Result<bool, String> {
    // What was found to reach further is kept there for the next time; the seeds are only read.
    let corpus = build.join(if selection.repeatable { "corpus-of-a-change" } else { "corpus" }).join(target);
    let findings = build.join("findings").join(target);
    if selection.repeatable && corpus.exists() {
        std::fs::remove_dir_all(&corpus).map_err(|error| format!("cannot remove {}: {error}", corpus.display()))?;
    }
    for folder in [&corpus, &findings] {
        std::fs::create_dir_all(folder).map_err(|error| format!("cannot create {}: {error}", folder.display()))?;
    }
    let mut command = Command::new(program);
    command.arg(format!("-max_total_time={}", selection.seconds));
    command.arg(format!("-artifact_prefix={}/", findings.display()));
    command.args(["-max_len=4096", "-timeout=60", "-rss_limit_mb=2048", "-print_final_stats=1"]);
    if selection.repeatable {
        command.args(["-seed=1", "-reload=0"]).arg(format!("-runs={INPUTS_OF_A_CHANGE}"));
    }
    let dictionary = fuzz.join("dictionaries").join(target);
    if dictionary.exists() {
        command.arg(format!("-dict={}", dictionary.display()));
    }
    command.arg(corpus).arg(fuzz.join("seeds").join(target));
    let (well, output) = process::run_captured(&mut command, interrupt)?;
    if well {
        println!("{target:18} {}", Figures::of(&output));
    } else {
        let tail: Vec<&str> = output.lines().collect();
        println!("{}", tail[tail.len().saturating_sub(60)..].join("\n"));
        println!("{target}: to see it again: cargo xtask fuzz {target} <the file that is named above>");
    }
    Ok(well)
}

/// How far a search came.
#[derive(Debug, PartialEq, Eq, Default)]
struct Figures {
    executions: u64,
    edges: u64,
    inputs: u64,
}

impl Figures {
    /// Reads them from what libFuzzer prints.
    fn of(output: &str) -> Self {
        let number = |text: &str| text.split(['/', ' ']).find_map(|word| word.parse().ok()).unwrap_or_default();
        let behind = |label: &str| output.lines().rev().find_map(|line| line.split_once(label).map(|(_, rest)| rest));
        Self {
            executions: behind("stat::number_of_executed_units:").map(number).unwrap_or_default(),
            edges: behind(" cov: ").map(number).unwrap_or_default(),
            inputs: behind(" corp: ").map(number).unwrap_or_default(),
        }
    }
}

impl std::fmt::Display for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:>10} executions, {:>5} edges, {:>4} inputs kept", self.executions, self.edges, self.inputs)
    }
}

fn targets(fuzz: &Path) -> Result<Vec<String>, String> {
    let folder = fuzz.join("fuzz_targets");
    let files = std::fs::read_dir(&folder).map_err(|error| format!("cannot read {}: {error}", folder.display()))?;
    let name = |path: PathBuf| Some(path.file_name()?.to_str()?.strip_suffix(".rs")?.to_owned());
    let mut targets: Vec<_> = files.filter_map(|file| name(file.ok()?.path())).collect();
    targets.sort();
    Ok(targets)
}

/// Returns the target directory that holds this program.
fn target_directory() -> Result<PathBuf, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let folder = program.ancestors().find(|folder| folder.join("CACHEDIR.TAG").exists());
    folder.map(Path::to_owned).ok_or_else(|| "cannot find the target directory".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Selection, String> {
        Selection::parse(&arguments.iter().map(|&argument| argument.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn arguments_choose_target_time_and_input() {
        let wanted =
            Selection { seconds: 7, target: Some("dn".into()), input: Some("crash-1".into()), repeatable: false };
        assert_eq!(parse(&["--seconds", "7", "dn", "crash-1"]), Ok(wanted));
        for wrong in [&["--seconds"][..], &["--seconds", "0"], &["--second", "1"], &["a", "b", "c"]] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn figures_are_read_from_the_last_lines() {
        let output = "#2\tINITED cov: 10 ft: 11 corp: 1/1b exec/s: 0 rss: 30Mb\n\
                      #99\tDONE   cov: 217 ft: 600 corp: 82/3407b lim: 4096 exec/s: 33 rss: 40Mb\n\
                      stat::number_of_executed_units: 99\nstat::average_exec_per_sec:     33\n";
        assert_eq!(Figures::of(output), Figures { executions: 99, edges: 217, inputs: 82 });
    }

    #[test]
    fn every_target_has_seeds_and_a_program() {
        let fuzz = process::workspace_root().join("fuzz");
        let manifest = std::fs::read_to_string(fuzz.join("Cargo.toml")).unwrap();
        let targets = targets(&fuzz).unwrap();
        assert!(!targets.is_empty());
        for target in targets {
            assert!(manifest.contains(&format!("path = \"fuzz_targets/{target}.rs\"")), "{target}");
            assert!(std::fs::read_dir(fuzz.join("seeds").join(&target)).unwrap().next().is_some(), "{target}");
        }
    }
}
