//! Wall time and CPU seconds of one child process, and of the server that serves it. It does not know what either does.

use std::process::{Command, Stdio};
use std::time::Instant;

/// What one process cost.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Cost {
    /// Seconds from its start to its end.
    pub(crate) wall: f64,
    /// User and system time of the process itself.
    pub(crate) client: f64,
    /// User and system time of the server meanwhile.
    pub(crate) server: f64,
}

impl Cost {
    /// Adds what another one cost.
    pub(crate) fn plus(self, other: Self) -> Self {
        Self { wall: self.wall + other.wall, client: self.client + other.client, server: self.server + other.server }
    }

    /// Returns how many times the other one this is.
    pub(crate) fn over(self, other: Self) -> Self {
        Self { wall: self.wall / other.wall, client: self.client / other.client, server: self.server / other.server }
    }

    /// Returns the median of each figure.
    pub(crate) fn median(costs: &[Self]) -> Self {
        let of = |figure: fn(&Self) -> f64| {
            let mut figures: Vec<f64> = costs.iter().map(figure).collect();
            figures.sort_by(f64::total_cmp);
            let middle = figures.len() / 2;
            if figures.len().is_multiple_of(2) {
                f64::midpoint(figures[middle - 1], figures[middle])
            } else {
                figures[middle]
            }
        };
        Self { wall: of(|cost| cost.wall), client: of(|cost| cost.client), server: of(|cost| cost.server) }
    }
}

/// Runs a program to its end and returns what it printed and what it cost.
#[allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
pub(crate) fn measured(command: &mut Command, server: u32) -> (String, Cost) {
    let (start, children, serving) = (Instant::now(), ended_children(), running(server));
    let output = command.stdin(Stdio::null()).output().unwrap();
    let cost = Cost {
        wall: start.elapsed().as_secs_f64(),
        client: ended_children() - children,
        server: running(server) - serving,
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    (String::from_utf8(output.stdout).unwrap(), cost)
}

/// Returns user and system time of all children of this process that have ended.
fn ended_children() -> f64 {
    times("self", 13)
}

fn running(pid: u32) -> f64 {
    times(&pid.to_string(), 11)
}

/// Adds two fields of `/proc/…/stat`, counted behind the program's name.
fn times(process: &str, first: usize) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    // In ticks of 1/100 s: the kernel's fixed unit towards user space.
    (fields[first].parse::<f64>().unwrap() + fields[first + 1].parse::<f64>().unwrap()) / 100.0
}
