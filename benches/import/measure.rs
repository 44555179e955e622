//! CPU, memory and disk of this process. It does not know what is measured.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A measurement under way.
pub(crate) struct Measurement {
    start: Instant,
    cpu: f64,
    wal_peak: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    watcher: JoinHandle<()>,
}

impl Measurement {
    /// Begins, and looks at the size of the write-ahead log now and then.
    #[allow(clippy::disallowed_methods)] // a benchmark reads the clock
    pub(crate) fn begin(wal: PathBuf) -> Self {
        let (wal_peak, stop) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let watcher = {
            let (wal_peak, stop) = (Arc::clone(&wal_peak), Arc::clone(&stop));
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let size = std::fs::metadata(&wal).map_or(0, |metadata| metadata.len());
                    wal_peak.fetch_max(size, Ordering::Relaxed);
                    std::thread::sleep(Duration::from_millis(20));
                }
            })
        };
        Self { start: Instant::now(), cpu: cpu_seconds(), wal_peak, stop, watcher }
    }

    /// Ends, and gives the figures as columns.
    pub(crate) fn end(self, state: &Path) -> String {
        let wall = self.start.elapsed().as_secs_f64();
        let cpu = cpu_seconds() - self.cpu;
        self.stop.store(true, Ordering::Relaxed);
        self.watcher.join().unwrap();
        let state = std::fs::metadata(state).unwrap().len() as f64 / 1e6;
        let wal = self.wal_peak.load(Ordering::Relaxed) as f64 / 1e6;
        format!("{cpu:.2} | {wall:.2} | {:.0} | {state:.0} | {wal:.0}", peak_mib())
    }
}

/// Returns user and system time so far.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    // utime and stime, in ticks of 1/100 s: the kernel's fixed unit towards user space.
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

fn peak_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}
